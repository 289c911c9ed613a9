"""An orthonormal basis of the columns of a design, found column by column, and which columns depend on those before them.

    A_j - mean_j = sum_{i <= j} Q_i R_ij        A c + b = Q t + (b + mean . c),    t = R c

by modified Gram-Schmidt, whose R is as good as Householder's (Bjorck 1967, BIT 7). What is left of a column is judged against
what rounding may have left,

    error_j = own_j + sum_{i < j} |c_i| own_i       own_j = eps (8 + |origin_j|) |A_j|

with A_j - sum_i c_i A_i what is left, for R and Q are those of columns that are off by their own errors: sums of m products are
known to about that (`sum_over_rows`), and a number known to eps |X| to no more once a mean is subtracted. Nothing beyond that:
the column depends on those before it, and Q_j is 0, as in R, which drops the later of two; where so much is a large share of
it, that is not sure. More than that and less than eps^0.7 of the column, R's tolerance of 1e-11 in float64: it cannot be told.
Rows are weighted by 1 / max(1, |A_i|), which no dependence notices, so that one row far out does not squeeze all others
together.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.cholesky import cholesky
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dot import AnyArray, dot
from jaxlr.linalg.moments import gram_over_rows, sum_over_rows

_SUMS_KNOWN_TO = 8  # eps
_KNOWN_TO = 128  # eps, of correlations: half as much was seen of 100 levels in 3,000 rows in order


class Basis(NamedTuple):
    """Of n columns; where none is near the span of the others it is these columns themselves, mean 0 and R the identity.

    Attributes:
        columns: Q (m, n), mean squares about 1; 0 in rows that are not there, and where a column depends on others.
        mean: (n,).
        R: upper triangle (n, n), the row of a dependent column that of the identity.
        needed: whether some column is near the span of the others.
        dependent: which columns depend on those before them (n,), and a constant one, that is 0 without its mean.
        unclear: whether for some column it cannot be told.
        error: what rounding may have put into the columns of Q, root mean squares (n,).
    """

    columns: Array
    mean: Array
    R: Array
    needed: Array
    dependent: Array
    unclear: Array
    error: Array

    def to_basis(self, c: Float[Array, "*K n"]) -> Float[Array, "*K n"]:
        """t = R c, 0 for a dependent column."""
        t = jnp.where(self.dependent, 0, dot(c, self.R.T))
        return jnp.where(self.needed, t, c)

    def rows_in_basis(self, rows: Float[Array, "m n"], present: Bool[Array, " m"] | None) -> Float[Array, "m n"]:
        """Q with the derivatives of rows of A; in rows that are not there, where Q is 0, these themselves."""
        moved = jnp.where(self.dependent[None, :], 0, solve_lower(self.R.T, (rows - self.mean[None, :]).T).T)
        constant = self.columns if present is None else jnp.where(present[:, None], self.columns, moved)
        return jnp.where(self.needed, jax.lax.stop_gradient(constant - moved) + moved, rows)

    def from_basis(self, t: Float[Array, "*K n"]) -> Float[Array, "*K n"]:
        """c = R^-1 t, 0 for a dependent column."""
        c = jnp.where(self.dependent, 0, t)
        c = solve_lower(self.R.T, c.reshape(-1, t.shape[-1]).T, transposed=True).T.reshape(t.shape)
        return jnp.where(self.needed, jnp.where(self.dependent, 0, c), t)

    @property
    def weights(self) -> Float[Array, "n n"]:
        """What each dependent column is made of, a row for each, the others 0."""
        before = jnp.where(self.dependent[:, None] | jnp.eye(len(self.R), dtype=bool), 0, self.R)
        return jnp.where(self.dependent[:, None], self.from_basis(before.T), 0)


def orthonormal(
    A: Float[Array, "m n"], present: Bool[Array, " m"] | None, origin: Float[Array, " n"], fit_intercept: bool
) -> Basis:
    """The basis of working columns.

    Args:
        A: columns about their center, in their units.
        present: rows that are there; None is all.
        origin: that center in these units.
        fit_intercept: static; whether a constant is among the columns, in front.
    """
    n, eps = A.shape[1], float(jnp.finfo(A.dtype).eps)
    d, mean, V = weighted(A, present, fit_intercept)
    needed = ~(least_pivot(V) > nearest(A.dtype, n))  # rounding may leave correlations that are those of no columns, and NaN
    size, columns = jnp.sqrt(sum_over_rows(V**2)), jnp.arange(n, dtype=jnp.int32)

    def of_column(j: Array, state: tuple) -> tuple:
        V, R, inverse, dependent, unclear, in_Q = state
        v, here = V[:, j], columns == j
        left = jnp.sqrt(sum_over_rows(v[:, None] ** 2)[0])
        c = dot(inverse, jnp.where(columns < j, R[:, j], 0))
        error = own[j] + dot(jnp.abs(c), own)
        nothing, little = left <= 2 * error, left <= eps**0.7 * size[j]
        gone, pivot = nothing | little, jnp.where(nothing | little, 1, left)
        q = jnp.where(gone, 0, v / pivot)
        r = jnp.where(columns > j, sum_over_rows(q[:, None] * V), 0)
        return (
            jnp.where(here[None, :], q[:, None], V - q[:, None] * r[None, :]),
            jnp.where(here[:, None], jnp.where(here, pivot, r)[None, :], R),
            jnp.where(here[None, :] & ~gone, (jnp.where(here, 1, -c) / pivot)[:, None], inverse),
            dependent | (here & gone),
            unclear | (little & ~nothing) | (nothing & (left > nearest(A.dtype, 0) * size[j])),
            jnp.where(here & ~gone, error / pivot, in_Q),
        )

    own = eps * (_SUMS_KNOWN_TO + jnp.abs(origin)) * size
    none = jnp.zeros((n, n), A.dtype)
    start = V, none, none, columns < 0, jnp.bool_(False), jnp.zeros_like(own)
    # No column where no basis is needed; under vmap none at all where no design of the batch needs one.
    V, R, _, dependent, unclear, error = jax.lax.fori_loop(0, jnp.where(needed, n, 0), of_column, start)
    unit, eye = jnp.sqrt(jnp.sum(d**2)), jnp.eye(n, dtype=A.dtype)
    dependent = jnp.where(needed, dependent, size == 0)
    Q = V * jnp.where(d > 0, unit / jnp.where(d > 0, d, 1), 0)[:, None]
    return Basis(
        columns=jnp.where(needed, Q, A),
        mean=jnp.where(needed, mean, 0),
        R=jnp.where(needed & ~(dependent[None, :] & (eye > 0)), R / unit, eye),
        needed=needed,
        dependent=dependent,
        unclear=unclear,
        error=error,
    )


def nearest(dtype: jnp.dtype, n: int) -> float:
    """How near the span of those before it, in its own size, one of n columns may be without a basis: 1e-3 in float64."""
    return float(np.hypot(8 * np.finfo(dtype).eps ** 0.25, pivot_of_a_copy(dtype, n)))


def pivot_of_a_copy(dtype: jnp.dtype, n: int) -> float:
    """What is left in the pivot of one of n columns that depends on the others, by rounding."""
    return float((2 * n * _KNOWN_TO * np.finfo(dtype).eps) ** 0.5)


def least_pivot(V: Float[AnyArray, "... m n"]) -> Any:
    """What is left of a column without those before it, as a share of it, at least; in arrays of NumPy or JAX.

    From their correlations, whose digits are half of those of the columns; 1 where none is left to tell.
    """
    xp, (m, n) = V.__array_namespace__(), V.shape[-2:]
    V = V.astype(np.float64) if isinstance(V, np.ndarray) else V
    known_to = max(_KNOWN_TO, 4 * m if xp is np else 0) * float(np.finfo(V.dtype).eps)
    size = xp.sqrt(xp.sum(V**2, axis=-2))
    V = V / xp.where(size > 0, size, 1)[..., None, :]
    C: Any = np.matmul(np.swapaxes(V, -1, -2), V) if isinstance(V, np.ndarray) else gram_over_rows(V)
    C = xp.where(np.eye(n, dtype=bool), 1 + known_to, xp.where(xp.isfinite(C), C, 0))
    L = np.linalg.cholesky(C) if xp is np else cholesky(C)
    return xp.min(xp.diagonal(L, axis1=-2, axis2=-1), axis=-1, initial=1)


def weighted(
    A: Float[AnyArray, "... m n"], present: Bool[AnyArray, "... m"] | None, fit_intercept: bool
) -> tuple[Float[AnyArray, "... m"], Float[AnyArray, "... n"], Float[AnyArray, "... m n"]]:
    """d, the mean of the columns under d^2, and d (A - mean)."""
    xp = A.__array_namespace__()
    d = 1 / xp.maximum(xp.max(xp.abs(A), axis=-1, initial=0), 1)
    if present is not None:
        d = xp.where(present, d, 0)
    mean = xp.zeros_like(A[..., 0, :])
    if fit_intercept:
        over_rows = (lambda terms: terms.sum(axis=-2)) if xp is np else sum_over_rows
        total = over_rows(d[..., None] ** 2)
        mean = over_rows(d[..., None] ** 2 * A) / xp.maximum(total, np.finfo(A.dtype).tiny)
    return d, mean, d[..., None] * (A - mean[..., None, :])
