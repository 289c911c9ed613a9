"""What all models of a batch share: working coordinates, and the products of columns.

A solver works on standardized columns,

    A_j = (X_j - center_j) / unit_j,    coef -> unit_j coef_j,    intercept -> intercept + center . coef,
    l1_j -> l1_j / unit_j,              l2_j -> l2_j / unit_j^2

where the objective, its KKT residual and its duality gap are the same numbers, but rounding is not: no answer depends on
the units or the origin of a column. Centers and units come from X alone, never from a model's weights, so that under
`vmap` one matrix serves every model.

The Hessians of all models are then one matrix product: with P the products of pairs of columns (m, N), N the pairs
i <= j, every Hessian is D @ P for its own D = weights times curvatures (m,).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.inputs.tables import as_floating
from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.operators import Bordered, Standardized, first_columns, times_transposed
from jaxlr.model.objective import Problem, penalties
from jaxlr.model.params import Params

_HIGHEST = jax.lax.Precision.HIGHEST
_FAR = 1e9  # units


class Shared(NamedTuple):
    """Prepared from X alone, but for the units.

    Attributes:
        A: design in working coordinates (m, k), an array or what stands for one; the last column is 1 with an intercept
            (k = n + 1), else k = n.
        center: (n,), 0 without an intercept.
        unit: (n,), > 0, a standard deviation of the column, without an intercept a root mean square; 1 where that is 0.
        products: of the pairs of A's columns, or of its common ones (m, N), or None where they would not fit in memory.
        low: A transposed (k, m), for the directions of `newton_cg`, in their dtype, and for the columns of a working set.
        columns: A without the last column of 1, where a slice of it each time would cost as much as a product with it.
        inverse: preconditioner of `newton_cg` (k, k), of that dtype.
        diagonal: of the mean Hessian that it was made from, without penalties (k,).
        least: the penalties that it was made from (k,).
        units: location and scale (n,) in which the KKT residual measures the working columns, under the model's own weights.
        rows: A with the derivatives of X, rows without weight as they are; all else is constant under differentiation.
    """

    A: Any
    center: Float[Array, " n"]
    unit: Float[Array, " n"]
    products: Float[Array, "m N"] | None
    low: Any = None
    columns: Any = None
    inverse: Any = None
    diagonal: Any = None
    least: Any = None
    units: Any = None
    rows: Any = None


def share(
    X: Float[Array, "m n"],
    present: Bool[Array, " m"] | None,
    fit_intercept: bool,
    with_products: bool = False,
    low: Any = None,
) -> Shared:
    """Prepare a design for the solvers.

    Args:
        X: design (m, n).
        present: rows that have weight in at least one model (m,); fillers in the other rows are set to 0. None is all rows.
        fit_intercept: static; False leaves the columns where they are.
        with_products: static; form the products of columns.
        low: static; dtype of the directions of `newton_cg`, None for `newton`.

    Returns:
        Shared.
    """
    center, unit, A, rows = _working(X, present, fit_intercept)
    if fit_intercept:
        one = jnp.ones((X.shape[0], 1), X.dtype)
        A, rows = jnp.concatenate([A, one], axis=1), jnp.concatenate([rows, one], axis=1)
    products = None
    if with_products:
        i, j = np.triu_indices(A.shape[1])
        products = A[:, i] * A[:, j]
    return Shared(A, center, unit, products, low=None if low is None else A.T.astype(low), rows=rows)


def share_own(shared: Shared, own: Float[Array, " m"], present: Bool[Array, " m"] | None, fit_intercept: bool) -> Shared:
    """Add a column of a model's own to a shared design.

    Args:
        shared: prepared from the columns that models share.
        own: (m,).
        present: rows that have weight in at least one model (m,); None is all rows.
        fit_intercept: static, as in `share`.

    Returns:
        Shared, the own column first.
    """
    center, unit, A, rows = _working(own[:, None], present, fit_intercept)
    return shared._replace(
        A=Bordered(A[:, 0], shared.A),
        center=jnp.concatenate([center, shared.center]),
        unit=jnp.concatenate([unit, shared.unit]),
        rows=Bordered(rows[:, 0], shared.rows),
    )


def _working(
    X: Float[Array, "m n"], present: Bool[Array, " m"] | None, fit_intercept: bool
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "m n"], Float[Array, "m n"]]:
    """Centers, units and working columns, all constant under differentiation; and these with the derivatives of X."""
    constant = jax.lax.stop_gradient(X)
    center, unit = _center_and_unit(constant, present, fit_intercept)
    A = (constant - center[None, :]) / unit[None, :]
    rows = (X - center[None, :]) / jnp.where(jnp.isfinite(unit), unit, 1)[None, :]
    if present is not None:  # fillers so far out that their squares could overflow are 0 in both
        rows = jnp.where(present[:, None] | (jnp.abs(rows) < _FAR), rows, 0 * rows)
    return center, unit, _only(present, A), rows


def _center_and_unit(
    X: Float[Array, "m n"], present: Bool[Array, " m"] | None, fit_intercept: bool
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Mean and standard deviation of each column in that one of up to 8 groups of rows where it varies least (but varies).

    One row far out would otherwise squeeze all others together, and in the models where that row has no weight, or is
    saturated, nothing would tell the column from a constant.
    """
    m, n = X.shape
    num_groups = min(max(m // 32, 1), 8)
    where = jnp.ones((m, 1), bool) if present is None else present[:, None]
    whole = m - m % num_groups
    groups = X[:whole].reshape(m // num_groups, num_groups, n)
    counted = where[:whole].reshape(m // num_groups, num_groups, 1)
    counts = jnp.maximum(jnp.sum(counted.astype(X.dtype), axis=0), 1)
    if fit_intercept:
        base = jnp.min(groups, axis=0, initial=jnp.inf, where=counted)
        lowest = jnp.min(base, axis=0)
        base = jnp.where(jnp.any(counted, axis=0), base, lowest[None, :])
        span = jnp.max(groups, axis=(0, 1), initial=-jnp.inf, where=counted) - lowest
    else:
        base = jnp.zeros((num_groups, n), X.dtype)
        span = jnp.max(jnp.abs(groups), axis=(0, 1), initial=0, where=counted)
    span = jnp.where(span == 0, 1, span)  # squares neither overflow nor vanish
    above = jnp.where(counted, (groups - base[None, :, :]) / span[None, None, :], 0)  # exactly 0 in a constant column
    means = jnp.sum(above, axis=0) / counts if fit_intercept else base
    deviations = jnp.where(counted, above - means[None, :, :], 0)
    variances = jnp.sum(deviations**2, axis=0) / counts
    variances = jnp.where(variances > 0, variances, jnp.inf)
    least = jnp.min(variances, axis=0)
    center = base + span[None, :] * means
    center = jnp.max(jnp.where(variances == least[None, :], center, -jnp.inf), axis=0)
    return center, span * jnp.where(least < jnp.inf, jnp.sqrt(least), 1)


def _only(present: Bool[Array, " m"] | None, rows: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """Fillers in rows without weight become 0, but NaN stays NaN."""
    return rows if present is None else jnp.where(present[:, None], rows, 0 * rows)


def units_of(shared: Shared, w: Float[Array, " m"], fit_intercept: bool) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Location and scale of the working columns under a model's weights: `jaxlr.model.certificates.standard_units` there.

    Args:
        shared: the prepared design.
        w: weights that sum to 1 (m,).
        fit_intercept: static; without it the root mean square is the scale.

    Returns:
        location (n,) and scale (n,); the scale of a column that is constant under the weights is 1 on X.
    """
    if isinstance(shared.A, Standardized):
        X, center = shared.A.X, shared.A.center[None, :]
        location = times_transposed(first_columns(shared.A, len(shared.unit)), w)
        square = jnp.sum(w[:, None] * (X - center) ** 2, axis=0) / shared.unit**2
        return location, jnp.sqrt(square - location**2 if fit_intercept else square)
    parts = [shared.A] if not isinstance(shared.A, Bordered) else [shared.A.own[:, None], shared.A.common]
    moments = zip(*(column_moments(part, w) for part in parts), strict=True)
    location, scale = (jnp.concatenate(list(moment))[: len(shared.unit)] for moment in moments)
    if not fit_intercept:
        location, scale = jnp.zeros_like(location), jnp.hypot(location, scale)
    return location, jnp.where(scale == 0, 1 / shared.unit, scale)


def units_of_lanes(
    shared: Shared, w: Float[Array, "L m"], fit_intercept: bool
) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
    """`units_of` under many rows of weights, in two matrix products wherever their digits are enough.

    Args:
        shared: the prepared design, no `Bordered` one.
        w: weights, each row summing to 1 (L, m).
        fit_intercept: static.

    Returns:
        locations (L, n) and scales (L, n).
    """
    A = shared.A[:, : len(shared.unit)]
    squares, location = jnp.dot(w, A * A, precision=_HIGHEST), jnp.dot(w, A, precision=_HIGHEST)
    if not fit_intercept:
        return 0 * location, jnp.where(squares == 0, 1 / shared.unit[None, :], jnp.sqrt(squares))
    variance = squares - location**2
    few_digits = (variance < 1e4 * jnp.finfo(A.dtype).eps * squares) & (squares > 0)  # of 1e-4, enough for a residual
    scale = jnp.where(squares == 0, 1 / shared.unit[None, :], jnp.sqrt(jnp.maximum(variance, 0)))
    return jax.lax.cond(
        jnp.any(few_digits),
        lambda: jax.lax.map(lambda w: units_of(shared, w, fit_intercept), w),
        lambda: (location, scale),
    )


def hessian_of(shared: Shared, d: Float[Array, " m"]) -> Float[Array, "k k"]:
    """A' diag(d) A.

    Args:
        shared: the prepared design.
        d: weights times curvatures (m,).

    Returns:
        Symmetric matrix (k, k).
    """
    A, k = shared.A, shared.A.shape[1]
    if isinstance(A, Bordered):
        weighted = d * A.own
        border = jnp.append(jnp.sum(weighted * A.own), jnp.dot(weighted, A.common, precision=_HIGHEST))
        inner = hessian_of(shared._replace(A=A.common), d)
        return jnp.concatenate([border[None, :], jnp.concatenate([border[1:, None], inner], axis=1)])
    if shared.products is None:
        return jnp.dot(A.T * d[None, :], A, precision=_HIGHEST)
    position = np.zeros((k, k), np.int32)
    i, j = np.triu_indices(k)
    position[i, j] = position[j, i] = np.arange(len(i))
    return jnp.dot(d, shared.products, precision=_HIGHEST)[position]


def to_working(problem: Problem, shared: Shared, penalty_scale: Float[Array, " n"] | None = None) -> Problem:
    """A problem in working coordinates.

    Args:
        problem: one problem.
        shared: prepared from the problem's X.
        penalty_scale: what the penalties measure coefficients in (n,), 0 to hold one at 0; None is 1.

    Returns:
        The problem with the working columns and two penalty vectors (n,).
    """
    l1, l2 = penalties(problem)
    per_unit = 1 / shared.unit if penalty_scale is None else penalty_scale / shared.unit
    # A scale may be infinite. Far under what overflows a strength holds everything at 0; that of inf itself is not a caller's.
    l1 = jnp.where(l1 == 0, 0, jnp.minimum(l1 * per_unit, jnp.sqrt(jnp.finfo(l1.dtype).max)))
    l1 = jnp.where(jnp.isinf(jnp.asarray(problem.l1)), jnp.nan, l1)
    if penalty_scale is not None:
        l1 = jnp.where(penalty_scale == 0, jnp.inf, l1)  # an infinite strength holds a coefficient at 0
    return Problem(
        X=problem.X,
        y=as_floating(problem.y).astype(shared.A.dtype),
        sample_weight=problem.sample_weight,
        offset=problem.offset,
        l1=l1,
        l2=l2 * per_unit * per_unit,
        fit_intercept=problem.fit_intercept,
    )


def params_to_working(params: Params, shared: Shared) -> Params:
    """Parameters of the same logits on the working columns.

    Args:
        params: coef (n,), intercept (), on X.
        shared: prepared from X.

    Returns:
        Params.
    """
    shift = jnp.dot(params.coef, shared.center, precision=_HIGHEST)
    return Params(params.coef * shared.unit, params.intercept + shift)


def from_working(params: Params, shared: Shared) -> Params:
    """Parameters back on the original columns.

    Args:
        params: coef (n,), intercept (), in working coordinates.
        shared: prepared from the problem's X.

    Returns:
        Params of the same logits on X.
    """
    coef = params.coef / shared.unit
    return Params(coef, params.intercept - jnp.dot(coef, shared.center, precision=_HIGHEST))
