"""Working coordinates: standardized columns, on which no answer depends on the units or the origin of a column.

    A_j = (X_j - center_j) / unit_j,    coef -> unit_j coef_j,    intercept -> intercept + center . coef,
    l1_j -> l1_j / unit_j,              l2_j -> l2_j / unit_j^2

There the objective, its KKT residual and its duality gap are the same numbers, but rounding is not. Centers and units come from
X alone, never from a model's weights, so that under `vmap` one matrix serves every model. A vector of parameters is
(*K, k): the coefficients, and last the intercept where there is one (`split` and `join`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.operators import Bordered, Dense, Design
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, penalty_of

_FAR = 1e9  # units


class Working(NamedTuple):
    """A design, prepared for all models that share it.

    Attributes:
        A: working columns (m, k), the last one 1 with an intercept (k = n + 1), else k = n.
        columns: A without that last column (m, n).
        center: (n,), 0 without an intercept.
        unit: (n,), > 0, a standard deviation of the column, without an intercept a root mean square; 1 where that is 0.
        rows: A with the derivatives of X, also in rows without weight, but far out; all else is constant.
        aid: what a solver has prepared from it: the `Preconditioner` of conjugate gradients, for working sets A `Transposed`.
    """

    A: Design
    columns: Design
    center: Array
    unit: Array
    rows: Any = None
    aid: Any = None


def prepare(
    X: Float[Array, "m n"], present: Bool[Array, " m"] | None, fit_intercept: bool, with_products: bool = False
) -> Working:
    """Prepare a design for the solvers.

    Args:
        present: rows that have weight in at least one model; fillers in the others are set to 0. None is all rows.
        fit_intercept: static; False leaves the columns where they are.
        with_products: static; form the products of columns.
    """
    center, unit, columns, rows = _standardized(X, present, fit_intercept)
    A = columns
    if fit_intercept:
        one = jnp.ones((X.shape[0], 1), X.dtype)
        A, rows = jnp.concatenate([A, one], axis=1), jnp.concatenate([rows, one], axis=1)
    products = None
    if with_products:
        i, j = np.triu_indices(A.shape[1])
        products = A[:, i] * A[:, j]
    return Working(Dense(A, products), Dense(columns), center, unit, Dense(rows))


def with_own(working: Working, own: Float[Array, " m"], present: Bool[Array, " m"] | None, fit_intercept: bool) -> Working:
    """Add a column of a model's own, as the first, to a design that was prepared from the columns that models share."""
    center, unit, column, rows = _standardized(own[:, None], present, fit_intercept)
    return Working(
        A=Bordered(column[:, 0], working.A),
        columns=Bordered(column[:, 0], working.columns),
        center=jnp.concatenate([center, working.center]),
        unit=jnp.concatenate([unit, working.unit]),
        rows=Bordered(rows[:, 0], working.rows),
    )


def units_of(
    working: Working, w: Float[Array, "*L m"], fit_intercept: bool
) -> tuple[Float[Array, "*L n"], Float[Array, "*L n"]]:
    """Location and scale of the working columns under weights that sum to 1, `jaxlr.model.certificates.standard_units` there.

    The scale of a column that is constant under the weights is 1 on X; without an intercept it is the root mean square.
    """
    location, scale = working.columns.moments(w)
    if not fit_intercept:
        location, scale = jnp.zeros_like(location), jnp.hypot(location, scale)
    return location, jnp.where(scale == 0, 1 / aligned(working.unit, scale), scale)


def working_problem(problem: Problem, working: Working, deviation: Float[Array, " n"] | None) -> Problem:
    """A problem in working coordinates, with two penalty vectors (n,); its own X does not count.

    Penalties measure coefficients in `deviation`, 0 to hold one at 0; None is 1.
    """
    l1, l2 = penalty_of(Problem(working.columns, None, None, None, problem.l1, problem.l2, problem.penalty_factor))
    per_unit = 1 / working.unit if deviation is None else deviation / working.unit
    # A scale may be infinite. Far under what overflows a strength holds everything at 0; that of inf itself is not a caller's.
    l1 = jnp.where(l1 == 0, 0, jnp.minimum(l1 * per_unit, jnp.sqrt(jnp.finfo(l1.dtype).max)))
    if problem.l1 is not None:
        l1 = jnp.where(jnp.isinf(jnp.asarray(problem.l1)), jnp.nan, l1)
    if deviation is not None:
        l1 = jnp.where(deviation == 0, jnp.inf, l1)  # an infinite strength holds a coefficient at 0
    return Problem(
        X=working.columns,
        y=jnp.asarray(problem.y, l1.dtype),
        sample_weight=problem.sample_weight,
        offset=problem.offset,
        l1=l1,
        l2=l2 * per_unit * per_unit,
        fit_intercept=problem.fit_intercept,
    )


def join(params: Params | SoftmaxParams, k: int) -> Float[Array, "*K k"]:
    """Parameters as one vector, the intercept last if k = n + 1."""
    return jnp.concatenate([params.coef, params.intercept[..., None]], axis=-1)[..., :k]


def split(x: Float[Array, "*K k"], n: int) -> tuple[Float[Array, "*K n"], Float[Array, "*K"]]:
    """Coefficients and intercept of a vector of parameters, the intercept 0 where k = n."""
    return x[..., :n], jnp.sum(x[..., n:], axis=-1)


def to_working(params: Params | SoftmaxParams, working: Working) -> Float[Array, "*K k"]:
    """Parameters of the same logits on the working columns, as a vector."""
    return join(params_to_working(params, working), working.A.shape[1])


def params_to_working(params: Params | SoftmaxParams, working: Working) -> Params | SoftmaxParams:
    """The same, as parameters."""
    coef = params.coef * aligned(working.unit, params.coef)
    return type(params)(coef, params.intercept + dot(params.coef, working.center))


def from_working(
    x: Float[Array, "*K k"], working: Working, params_type: type[Params] | type[SoftmaxParams]
) -> Params | SoftmaxParams:
    """Parameters of the same logits on X."""
    coef, intercept = split(x, len(working.unit))
    coef = coef / aligned(working.unit, coef)
    intercept = intercept - dot(coef, working.center)
    # What all classes share changes no logit, and depends on the origin: the intercepts on X sum to 0.
    return params_type(coef, intercept - jnp.mean(intercept) if intercept.ndim else intercept)


def _standardized(
    X: Float[Array, "m n"], present: Bool[Array, " m"] | None, fit_intercept: bool
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "m n"], Float[Array, "m n"]]:
    """Centers, units and working columns, all constant under differentiation; and these with the derivatives of X."""
    constant = jax.lax.stop_gradient(X)
    center, unit = _center_and_unit(constant, present, fit_intercept)
    A = (constant - center[None, :]) / unit[None, :]
    rows = (X - center[None, :]) / jnp.where(jnp.isfinite(unit), unit, 1)[None, :]
    if present is not None:  # fillers so far out that their squares could overflow are 0 in both, but NaN stays NaN
        A = jnp.where(present[:, None], A, 0 * A)
        rows = jnp.where(present[:, None] | (jnp.abs(rows) < _FAR), rows, 0 * rows)
    return center, unit, A, rows


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
