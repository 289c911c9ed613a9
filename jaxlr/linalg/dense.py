"""Designs that are arrays: matrices (m, k) that solvers and certificates know by a few products only.

    Dense            an array, perhaps with the products of its pairs of columns
    Rough            an array in a dtype of its own: for directions
    Tall             an array of very many rows, as it lies in memory

Vectors may have an axis of classes in front: (k,) or (K, k), (m,) or (K, m). Under `vmap` over vectors alone, everything that
touches the matrix is one matrix product for all models.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import dot, times
from jaxlr.linalg.moments import by_columns, column_moments, moments_of_lanes

_BLOCKS = 512
_ROWS = 1024  # whose products are taken at a time


class Dense(NamedTuple):
    """An array (m, k), and where they fit into memory the products of its pairs of columns i <= j (m, k (k + 1) / 2), so that
    the Hessians of all models are one matrix product."""

    array: Any
    products: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.array.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        return times(self.array, v)

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        return dot(r, self.array)

    def gram(self, d: Float[Array, "*P m"]) -> Float[Array, "*P k k"]:
        """A' diag(d) A, for every row of d."""
        if self.products is not None:
            return dot(d, self.products)[..., triangle(self.shape[1])]
        if d.ndim > 1:
            return jax.lax.map(self.gram, d)
        return dot(self.array.T * d[None, :], self.array)

    def quadratic_forms(self, C: Float[Array, "k k"]) -> Float[Array, " m"]:
        """a_i' C a_i for every row, C symmetric; of many models one matrix product, where the products of columns stand."""
        if self.products is None:
            return jnp.sum(dot(self.array, C) * self.array, axis=1)
        i, j = np.triu_indices(len(C))
        return dot(self.products, C[i, j] * np.where(i == j, 1, 2).astype(C.dtype))

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        return self.array

    def first_columns(self, n: int) -> "Dense":
        """The first n columns."""
        return Dense(self.array[:, :n])

    def half_gram(self, d: Float[Array, " m"]) -> Float[Array, "k k"]:
        """A' diag(d) A, of which what is over the corner of the second half may be 0."""
        return _half_gram(self.array, d)

    def squares_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A^2' r, of the squares of the numbers."""
        return dot(r, self.array**2)

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean and standard deviation of the columns under weights that sum to 1."""
        return by_columns(lambda columns: column_moments(columns, w), self.array)

    def moments_of_lanes(self, w: Float[Array, "L m"], n: int) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
        """The same of the first n columns under many rows of weights."""
        return moments_of_lanes(self.array, w, n)


class Rough(NamedTuple):
    """An array (m, k) in a dtype of its own, for directions, which need not be exact: products are of the default precision."""

    array: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.array.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        return jnp.einsum("...k,mk->...m", v, self.array)

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        return jnp.dot(r, self.array)

    def half_gram(self, d: Float[Array, " m"]) -> Float[Array, "k k"]:
        """As of `Dense`."""
        return _half_gram(self.array, d)

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        return self.array


class Tall(NamedTuple):
    """An array (m, k) of very many rows, as it lies in memory: inside `Standardized`."""

    array: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.array.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        return times(self.array, v)

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r: in blocks of rows, which all cores share; over all rows at once it would be the work of one."""
        m = self.shape[0]
        blocks = next(count for count in range(min(m, _BLOCKS), 0, -1) if m % count == 0)
        by_block = jnp.moveaxis(r.reshape(-1, blocks, m // blocks), 1, 0)
        products = jnp.matmul(by_block, self.array.reshape(blocks, m // blocks, -1), precision="highest")
        return jnp.sum(products, axis=0).reshape(*r.shape[:-1], -1)

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        return self.array

    def moments_about(self, w: Float[Array, " m"], center: Float[Array, " k"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean less center, and standard deviation."""
        mean = self.transposed_times(w) - center * jnp.sum(w)
        squares = jnp.sum(w[:, None] * (self.array - center[None, :]) ** 2, axis=0)
        return mean, jnp.sqrt(squares - mean**2)


def triangle(k: int) -> np.ndarray:
    """Where the pair (i, j) stands among the pairs i <= j of k columns: (k, k), symmetric."""
    place = np.zeros((k, k), np.int32)
    i, j = np.triu_indices(k)
    place[i, j] = place[j, i] = np.arange(len(i))
    return place


def _half_gram(A: Float[Array, "m k"], d: Float[Array, " m"]) -> Float[Array, "k k"]:
    """In the dtype of A, by blocks of rows."""
    (m, k), middle = A.shape, A.shape[1] // 2
    size, d = min(m, _ROWS), jax.lax.stop_gradient(d).astype(A.dtype)

    def add(i: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        start = jnp.minimum(i * size, m - size)  # the last block begins early enough to be whole
        rows, own = (jax.lax.dynamic_slice_in_dim(a, start, size) for a in (A, d))
        weighted = rows * jnp.where(start + np.arange(size) >= i * size, own, 0)[:, None]
        left, corner = jnp.dot(weighted.T, rows[:, :middle]), jnp.dot(weighted[:, middle:].T, rows[:, middle:])
        return sums[0] + left, sums[1] + corner

    zeros = jnp.zeros((k, middle), A.dtype), jnp.zeros((k - middle, k - middle), A.dtype)
    left, corner = jax.lax.fori_loop(0, -(-m // size), add, zeros)
    return jnp.concatenate([left, jnp.pad(corner, ((middle, 0), (0, 0)))], axis=1)
