"""Designs made of others, and what is taken for a design.

    Bordered         [own common]: one column of a model's own beside a block that many models share
    Standardized     [(X - center) / unit, 1], of X as it lies in memory: tall or sparse

A new kind of design is a pytree with the methods of `jaxlr.linalg.dense.Dense`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.dense import Dense
from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.moments import column_moments, moments_of_lanes
from jaxlr.linalg.sparse import Sparse

_COLUMNS = 64  # that are formed at a time


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

    def half_gram(self, d: Float[Array, " m"]) -> Float[Array, "k k"]:
        """As of `Dense`; here all of it."""
        return self.gram(d)

    def squares_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A^2' r, of the squares of the numbers."""
        own = jnp.sum(aligned(self.own**2, r) * r, axis=-1, keepdims=True)
        return jnp.concatenate([own, self.common.squares_times(r)], axis=-1)

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

    def moments_of_lanes(self, w: Float[Array, "L m"], n: int) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
        """The same of the first n columns under many rows of weights."""
        return moments_of_lanes(self.to_array(), w, n)


class Standardized(NamedTuple):
    """[(X - center) / unit, ones], of which nothing but X is in memory: for columns whose center is not so far out that the
    difference would lose digits.

    Attributes:
        X: `Tall` or `Sparse` (m, n).
        center: (n,).
        unit: (n,), infinite for a column of zeros.
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

    def astype(self, dtype: Any) -> "Standardized":
        """In another dtype, of a sparse X."""
        return Standardized(self.X.astype(dtype), *(part.astype(dtype) for part in self[1:]))

    def in_units(self) -> "Standardized":
        """The same of a sparse X whose numbers are in units: a narrow dtype may hold them where it does not hold X."""
        rows, columns = self.X
        column = columns.row_of_entries()
        scaled = [data / self.unit.at[at].get(mode="clip") for data, at in ((rows.data, rows.indices), (columns.data, column))]
        X = Sparse(*(part._replace(data=data) for part, data in zip(self.X, scaled, strict=True)))
        return Standardized(X, self.center / self.unit, jnp.ones_like(self.unit), self.ones)

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        n = self.X.shape[1]
        u = v[..., :n] / aligned(self.unit, v)
        return self.X.times(u) + (jnp.sum(v[..., n:], axis=-1) - dot(u, self.center))[..., None]

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        total, sums = jnp.sum(r, axis=-1, keepdims=True), self.X.transposed_times(r)
        columns = (sums - aligned(self.center, sums) * total) / aligned(self.unit, sums)
        return jnp.concatenate([columns, total * aligned(self.ones, total)], axis=-1)

    def squares_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A^2' r, of the squares of the numbers, of a sparse X."""
        total, c = jnp.sum(r, axis=-1, keepdims=True), aligned(self.center, r)
        squares = self.X.squares_times(r) - 2 * c * self.X.transposed_times(r) + c**2 * total
        squares = jnp.maximum(squares, jnp.finfo(r.dtype).eps * c**2 * total)  # what rounding may have left
        return jnp.concatenate([squares / aligned(self.unit, r) ** 2, total * aligned(self.ones, total)], axis=-1)

    def restricted(self, at: Int[Array | np.ndarray, " c"], used: Int[Array, ""]) -> "Standardized":
        """Some columns of a sparse X, and last that of ones, where there is one."""
        del used
        at = at[: len(at) - len(self.ones)]
        return Standardized(self.X.restricted(at), self.center[at], self.unit[at], self.ones)

    def gather(self, at: Int[Array | np.ndarray, " c"]) -> Float[Array, "c m"]:
        """Some columns as rows of an array, of a sparse X."""
        center, unit = (values.at[at].get(mode="clip") for values in (self.center, self.unit))
        return jnp.where((at < self.X.shape[1])[:, None], (self.X.gather(at) - center[:, None]) / unit[:, None], 1)

    def gram(self, d: Float[Array, "*P m"]) -> Float[Array, "*P k k"]:
        """A' diag(d) A, for every row of d; the columns are formed."""
        return Dense(self.to_array()).gram(d)

    def half_gram(self, d: Float[Array, " m"]) -> Float[Array, "k k"]:
        """The same of a sparse X, of which a few columns at a time are formed."""
        k, d = self.shape[1], jax.lax.stop_gradient(d).astype(self.dtype)
        size = min(k, _COLUMNS)
        starts = np.minimum(np.arange(0, k, size), k - size).astype(np.int32)
        columns = np.arange(size, dtype=np.int32)
        of_block = lambda start: self.transposed_times(d[None, :] * self.gather(start + columns))  # noqa: E731
        blocks, block = jax.lax.map(of_block, starts), np.arange(k) // size
        return blocks[block, np.arange(k) - starts[block]]

    def quadratic_forms(self, C: Float[Array, "k k"]) -> Float[Array, " m"]:
        """a_i' C a_i for every row, C symmetric; the columns are formed."""
        return Dense(self.to_array()).quadratic_forms(C)

    def to_array(self) -> Float[Array, "m k"]:
        """The matrix itself."""
        columns = (self.X.to_array() - self.center[None, :]) / self.unit[None, :]
        return jnp.concatenate([columns, jnp.broadcast_to(self.ones, (len(columns), len(self.ones)))], axis=1)

    def first_columns(self, n: int) -> "Standardized":
        """All columns but the ones."""
        assert n == self.X.shape[1]
        return self._replace(ones=self.ones[:0])

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Mean and standard deviation of the columns under weights that sum to 1; no column of ones."""
        mean, sd = self.X.moments_about(w, self.center)
        return mean / self.unit, sd / self.unit

    def moments_of_lanes(self, w: Float[Array, "L m"], n: int) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
        """The same under many rows of weights, of a sparse X."""
        assert n == self.X.shape[1]
        mean, sd = self.X.moments_of_lanes(w)
        return (mean - self.center[None, :]) / self.unit[None, :], sd / self.unit[None, :]


Design = Dense | Bordered | Standardized  # that solvers work on


def as_design(X: Any) -> Design | Sparse:
    """A design of a real array (m, k), integers and booleans in the default float, or the design itself.

    Raises:
        TypeError: X is not real.
    """
    if isinstance(X, Design | Sparse):
        return X
    X = jnp.asarray(X)
    if jnp.issubdtype(X.dtype, jnp.integer) or X.dtype == jnp.bool_:
        X = X.astype(jnp.result_type(float))
    if not jnp.issubdtype(X.dtype, jnp.floating):
        raise TypeError(f"expected a real array, got dtype {X.dtype}")
    return Dense(X)
