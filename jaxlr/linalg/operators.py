"""Designs: matrices (m, k) that solvers and certificates know by a few products only.

    Dense            an array, perhaps with the products of its pairs of columns
    Rough            an array in a dtype of its own: for directions
    Bordered         [own common]: one column of a model's own beside a block that many models share
    Standardized     [(X - center) / unit, 1], of X as it lies in memory

A new kind of design is a pytree here with the methods of `Dense`. Vectors
may have an axis of classes in front: (k,) or (K, k), (m,) or (K, m). Under `vmap` over vectors alone, everything that touches
the matrix is one matrix product for all models.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned, dot, times
from jaxlr.linalg.moments import by_columns, column_moments

_BLOCKS = 512


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

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean and standard deviation of the columns under weights that sum to 1."""
        return by_columns(lambda columns: column_moments(columns, w), self.array)


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

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        return self.array


class Bordered(NamedTuple):
    """[own common], a column (m,) in front of a design (m, c)."""

    own: Any
    common: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.common.shape[0], self.common.shape[1] + 1

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.common.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        return v[..., :1] * aligned(self.own, v) + self.common.times(v[..., 1:])

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        own = jnp.sum(aligned(self.own, r) * r, axis=-1, keepdims=True)
        return jnp.concatenate([own, self.common.transposed_times(r)], axis=-1)

    def gram(self, d: Float[Array, "*P m"]) -> Float[Array, "*P k k"]:
        """A' diag(d) A, for every row of d."""
        if d.ndim > 1:
            return jax.lax.map(self.gram, d)
        weighted = d * self.own
        border = jnp.append(jnp.sum(weighted * self.own), self.common.transposed_times(weighted))
        return jnp.concatenate([border[None, :], jnp.concatenate([border[1:, None], self.common.gram(d)], axis=1)])

    def quadratic_forms(self, C: Float[Array, "k k"]) -> Float[Array, " m"]:
        """a_i' C a_i for every row, C symmetric."""
        return C[0, 0] * self.own**2 + 2 * self.own * self.common.times(C[0, 1:]) + self.common.quadratic_forms(C[1:, 1:])

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        return jnp.concatenate([self.own[:, None], self.common.to_array()], axis=1)

    def first_columns(self, n: int) -> "Bordered":
        """The first n >= 1 columns."""
        return Bordered(self.own, self.common.first_columns(n - 1))

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean and standard deviation of the columns under weights that sum to 1."""
        parts = column_moments(self.own[:, None], w), self.common.moments(w)
        return jnp.append(parts[0][0], parts[1][0]), jnp.append(parts[0][1], parts[1][1])


class Standardized(NamedTuple):
    """[(X - center) / unit, ones], for columns whose center is not so far out that the difference would lose digits.

    Attributes:
        X: (m, n).
        center: (n,).
        unit: (n,).
        ones: (1,) of 1 for a last column of ones, (0,) without.
    """

    X: Any
    center: Any
    unit: Any
    ones: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1] + self.ones.shape[0]

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.X.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        n = self.X.shape[1]
        u = v[..., :n] / aligned(self.unit, v)
        return times(self.X, u) + (jnp.sum(v[..., n:], axis=-1) - dot(u, self.center))[..., None]

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        total, m = jnp.sum(r, axis=-1, keepdims=True), self.shape[0]
        # In blocks, which all cores share; over all rows at once it would be the work of one.
        blocks = next(count for count in range(min(m, _BLOCKS), 0, -1) if m % count == 0)
        X = self.X.reshape(blocks, m // blocks, -1)
        by_block = jnp.moveaxis(r.reshape(-1, blocks, m // blocks), 1, 0)
        sums = jnp.sum(jnp.matmul(by_block, X, precision="highest"), axis=0).reshape(*r.shape[:-1], -1)
        columns = (sums - aligned(self.center, sums) * total) / aligned(self.unit, sums)
        return jnp.concatenate([columns, total * aligned(self.ones, total)], axis=-1)

    def gram(self, d: Float[Array, "*P m"]) -> Float[Array, "*P k k"]:
        """A' diag(d) A, for every row of d; the columns are formed."""
        return Dense(self.to_array()).gram(d)

    def quadratic_forms(self, C: Float[Array, "k k"]) -> Float[Array, " m"]:
        """a_i' C a_i for every row, C symmetric; the columns are formed."""
        return Dense(self.to_array()).quadratic_forms(C)

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        columns = (self.X - self.center[None, :]) / self.unit[None, :]
        return jnp.concatenate([columns, jnp.broadcast_to(self.ones, (len(columns), len(self.ones)))], axis=1)

    def first_columns(self, n: int) -> "Standardized":
        """All columns but the ones."""
        assert n == self.X.shape[1]
        return self._replace(ones=self.ones[:0])

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean and standard deviation of the columns under weights that sum to 1; no column of ones."""
        mean = self.transposed_times(w)
        squares = jnp.sum(w[:, None] * (self.X - self.center[None, :]) ** 2, axis=0) / self.unit**2
        return mean, jnp.sqrt(squares - mean**2)


Design = Dense | Bordered | Standardized


def as_design(X: Any) -> Design:
    """A design of a real array (m, k), integers and booleans in the default float, or the design itself.

    Raises:
        TypeError: X is not real.
    """
    if isinstance(X, Design):
        return X
    X = jnp.asarray(X)
    if jnp.issubdtype(X.dtype, jnp.integer) or X.dtype == jnp.bool_:
        X = X.astype(jnp.result_type(float))
    if not jnp.issubdtype(X.dtype, jnp.floating):
        raise TypeError(f"expected a real array, got dtype {X.dtype}")
    return Dense(X)


def triangle(k: int) -> np.ndarray:
    """Where the pair (i, j) stands among the pairs i <= j of k columns: (k, k), symmetric."""
    place = np.zeros((k, k), np.int32)
    i, j = np.triu_indices(k)
    place[i, j] = place[j, i] = np.arange(len(i))
    return place
