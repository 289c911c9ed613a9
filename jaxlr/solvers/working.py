"""Working coordinates: standardized columns, on which no answer depends on the units or the origin of a column.

    A_j = (X_j - center_j) / unit_j,    coef -> unit_j coef_j,    intercept -> intercept + center . coef,
    l1_j -> l1_j / unit_j,              l2_j -> l2_j / unit_j^2

There the objective, its KKT residual and its duality gap are the same numbers, but rounding is not. Centers and units come from
X alone, never from a model's weights, so that under `vmap` one matrix serves every model. A vector of parameters is
(*K, k): the coefficients, and last the intercept where there is one (`split` and `join`).
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.basis import Basis, orthonormal
from jaxlr.linalg.cholesky import after
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.moments import by_columns
from jaxlr.linalg.operators import Bordered, Design, Standardized
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.groups import Grouped
from jaxlr.model.norms import Groups
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, penalty_of
from jaxlr.solvers.measured import Columns, center_and_unit, in_place, in_units

_FAR = 1e9  # units


class Working(NamedTuple):
    """A design, prepared for all models that share it.

    Attributes:
        A: working columns (m, k), the last one 1 with an intercept (k = n + 1), else k = n.
        columns: A without that last column (m, n).
        center: (n,), 0 without an intercept.
        unit: (n,), > 0, a standard deviation of the column, without an intercept a root mean square; 1 where that is 0.
        rows: A with the derivatives of X, also in rows without weight, but far out; all else is constant.
        aid: what a solver has prepared from it: the `Preconditioner` of conjugate gradients, for working sets A transposed.
        basis: the `Basis` that stands for columns without a penalty; None where they stand for themselves.
        free: which columns these are (f,), n for none.
        near: whether some column is so near the span of others that only a basis could tell them apart; None where nobody asks.
    """

    A: Design
    columns: Design
    center: Array
    unit: Array
    rows: Any = None
    aid: Any = None
    basis: Basis | None = None
    free: Any = None
    near: Any = None


def prepare(
    X: Float[Array, "m n"],
    present: Bool[Array, " m"] | None,
    fit_intercept: bool,
    with_products: bool = False,
    known: Columns | None = None,
    free: Int[Array, " f"] | None = None,
) -> Working:
    """Prepare a design for the solvers.

    Args:
        present: rows that have weight in at least one model; fillers in the others are set to 0. None is all rows.
        fit_intercept: static; False leaves the columns where they are.
        with_products: static; form the products of columns.
        known: where they have been measured already.
        free: columns without a penalty, n for none: an orthonormal basis stands for them where some are near the span of the
            others. None looks for none.
    """
    if known is None:
        center, unit = by_columns(lambda X: center_and_unit(X, present, fit_intercept), jax.lax.stop_gradient(X))
    else:
        center, unit = known[:2]
    columns, rows = _standardized(X, present, center, unit)
    basis = None
    if free is not None:
        own, moved = _taken(columns, free), _taken(rows, free)
        basis = orthonormal(own, present, _taken(center / unit, free), fit_intercept)
        columns, rows = _put(columns, free, basis.columns), _put(rows, free, basis.rows_in_basis(moved, present))
        center = _put(center, free, _taken(center, free) + _taken(unit, free) * basis.mean)
        # What factors Hessians of these waits for what the basis solved, and so does what it solves next.
        columns, basis = after(rows[:1, :1], columns), basis._replace(R=after(rows[:1, :1], basis.R))
    A = columns
    if fit_intercept:
        one = jnp.ones((X.shape[0], 1), X.dtype)
        A, rows = jnp.concatenate([A, one], axis=1), jnp.concatenate([rows, one], axis=1)
    products = None
    if with_products:
        i, j = np.triu_indices(A.shape[1])
        products = A[:, i] * A[:, j]
    return Working(Dense(A, products), Dense(columns), center, unit, Dense(rows), basis=basis, free=free)


def prepare_sparse(X: Sparse, present: Bool[Array, " m"] | None, fit_intercept: bool) -> Working:
    """Prepare a sparse design: origin and units are those of all rows that are present.

    Args:
        present: as in `prepare`, of which all numbers are finite.
        fit_intercept: static.
    """
    there = jnp.ones(X.shape[0], X.dtype) if present is None else present.astype(X.dtype)
    w = there / jnp.maximum(jnp.sum(there), 1)
    center, unit = jax.lax.stop_gradient(X).moments(w)
    if not fit_intercept:
        center, unit = jnp.zeros_like(center), jnp.hypot(center, unit)
    varies = unit >= jnp.finfo(unit.dtype).tiny
    rows = Standardized(X, center, jnp.where(varies, unit, jnp.inf), jnp.ones(int(fit_intercept), X.dtype))
    A = jax.lax.stop_gradient(rows)
    return Working(A, A.first_columns(X.shape[1]), center, jnp.where(varies, unit, 1), rows)


def with_own(working: Working, own: Float[Array, " m"], present: Bool[Array, " m"] | None, fit_intercept: bool) -> Working:
    """Add a column of a model's own, as the first, to a design that was prepared from the columns that models share."""
    center, unit = center_and_unit(jax.lax.stop_gradient(own[:, None]), present, fit_intercept)
    column, rows = _standardized(own[:, None], present, center, unit)
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
    if w.ndim > 1:
        return in_units(working.A.moments_of_lanes(w, len(working.unit)), working.unit, fit_intercept)
    return in_units(working.columns.moments(w), working.unit, fit_intercept)


def working_problem(problem: Problem, working: Working, deviation: Float[Array, " n"] | None) -> Problem:
    """A problem in working coordinates, with the numbers of its penalty as vectors (n,); its own X does not count.

    Penalties measure coefficients in `deviation`, 0 to hold one at 0; None is 1.
    """
    penalty = penalty_of(replace(problem, X=working.columns))
    by_column = penalty.base if isinstance(penalty, Grouped) else penalty
    l1, l2, *bounds = by_column
    per_unit = 1 / working.unit if deviation is None else deviation / working.unit
    # A scale may be infinite. Far under what overflows a strength holds everything at 0; that of inf itself is not a caller's.
    l1 = jnp.where(l1 == 0, 0, jnp.minimum(l1 * per_unit, jnp.sqrt(jnp.finfo(l1.dtype).max)))
    if problem.penalty_factor is not None:
        l1 = jnp.where(jnp.isposinf(jnp.asarray(problem.penalty_factor)), jnp.inf, l1)
    if problem.l1 is not None:
        l1 = jnp.where(jnp.isinf(jnp.asarray(problem.l1)), jnp.nan, l1)
    lower = upper = None
    if bounds:
        lower, upper = (bound * working.unit for bound in bounds)
        if deviation is not None:
            held = jnp.clip(0, lower, upper)
            lower, upper = (jnp.where(deviation == 0, held, bound) for bound in (lower, upper))
    elif deviation is not None:
        l1 = jnp.where(deviation == 0, jnp.inf, l1)  # an infinite strength holds a coefficient at 0
    groups = l1_group = None
    if isinstance(penalty, Grouped):
        held = (per_unit == 0) | jnp.isinf(per_unit)
        groups = Groups(penalty.number, jnp.ones_like(l1), penalty.weights * jnp.where(held, 1, per_unit))
        l1_group = jnp.where(jnp.isinf(penalty.l1_group), jnp.nan, penalty.l1_group)
    return Problem(
        X=working.columns,
        y=jnp.asarray(problem.y, l1.dtype),
        sample_weight=problem.sample_weight,
        offset=problem.offset,
        l1=l1,
        l2=l2 * per_unit * per_unit,
        lower=lower,
        upper=upper,
        l1_group=l1_group,
        groups=groups,
        strata=problem.strata,
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
    if working.basis is not None:
        coef = _put(coef, working.free, working.basis.to_basis(_taken(coef, working.free)))
    return type(params)(coef, params.intercept + dot(params.coef, working.center))


def from_working(
    x: Float[Array, "*K k"],
    working: Working,
    params_type: type[Params] | type[SoftmaxParams],
    bounds: tuple[Float[Array, " n"], Float[Array, " n"]] | None = None,
) -> Params | SoftmaxParams:
    """Parameters of the same logits on X; at its bounds on X a coefficient is what they are, to the last digit."""
    coef, intercept = split(x, len(working.unit))
    coef = from_basis(coef, working)
    inside, unit = coef, aligned(working.unit, coef)
    coef = coef / unit
    if bounds is not None:
        lower, upper = (aligned(bound, coef) for bound in bounds)
        coef = jnp.minimum(jnp.maximum(coef, lower), upper)
        coef = jnp.where(inside <= lower * unit, lower, jnp.where(inside >= upper * unit, upper, coef))
    intercept = intercept - dot(coef, working.center)
    # What all classes share changes no logit, and depends on the origin: the intercepts on X sum to 0.
    return params_type(coef, intercept - jnp.mean(intercept) if intercept.ndim else intercept)


def from_basis(c: Float[Array, "*K n"], working: Working) -> Float[Array, "*K n"]:
    """Coefficients of the basis, on the columns for which it stands."""
    if working.basis is None:
        return c
    return _put(c, working.free, working.basis.from_basis(_taken(c, working.free)))


def dependent_columns(working: Working) -> Bool[Array, " n"]:
    """Which columns depend on those before them, where there is a basis."""
    assert working.basis is not None
    return _put(jnp.zeros(len(working.unit), bool), working.free, working.basis.dependent)


def solved_after(solved: Array, working: Working) -> Working:
    """The same, its basis solving for nothing before these numbers are known (`jaxlr.linalg.cholesky`): transposed, in reverse
    mode, its solves come before those of the Hessian."""
    if working.basis is None:
        return working
    return working._replace(basis=working.basis._replace(R=after(solved, working.basis.R)))


def errors_of_basis(working: Working) -> Float[Array, " k"]:
    """What rounding may have put into the columns of A, root mean squares, where there is a basis."""
    assert working.basis is not None
    k, n = working.A.shape[1], len(working.unit)
    return jnp.pad(_put(jnp.zeros_like(working.unit), working.free, working.basis.error), (0, k - n))


def _taken(values: Array, at: Int[Array, " f"]) -> Array:
    """Columns (..., f) of an array (..., n), 0 for column n."""
    return values.at[..., at].get(mode="fill", fill_value=0)


def _put(values: Array, at: Int[Array, " f"], new: Array) -> Array:
    """An array (..., n) with these columns (..., f)."""
    count = len(at)
    where = jnp.full(values.shape[-1], count).at[at].set(jnp.arange(count), mode="drop")
    return jnp.where(where < count, new.at[..., where].get(mode="fill", fill_value=0), values)  # a gather, to be transposed


def _standardized(
    X: Float[Array, "m n"], present: Bool[Array, " m"] | None, center: Float[Array, " n"], unit: Float[Array, " n"]
) -> tuple[Float[Array, "m n"], Float[Array, "m n"]]:
    """Working columns that are constant under differentiation, and these with the derivatives of X."""
    rows = (X - center[None, :]) / jnp.where(jnp.isfinite(unit), unit, 1)[None, :]
    if present is not None:
        rows = jnp.where(present[:, None] | (jnp.abs(rows) < _FAR), rows, 0 * rows)
    return in_place(jax.lax.stop_gradient(X), present, center, unit), rows
