"""All models of one design: what they share is prepared once, then they are fitted side by side.

Models of one design differ in weights, labels, offsets and penalties; they are lanes of `jax.vmap`, in matrix products that
they share. A path of penalties is followed in each lane.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.loops import loop
from jaxlr.batching.path import Strengths, follow
from jaxlr.linalg.basis import least_pivot, weighted
from jaxlr.linalg.operators import Transposed
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.solvers.preconditioner import Preconditioner, curvature_inputs, precondition
from jaxlr.solvers.solve import Settings, solve_one
from jaxlr.solvers.system import system_of
from jaxlr.solvers.working import Working, prepare, to_working, units_of, working_problem


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Models:
    """Every model of a batch, or of one design; the same record of 0 and None is its in_axes.

    Attributes:
        problem: X (m, n), and the other leaves core, or with an axis of lanes L in front; where there is a path l1 and l2 with
            an axis of its points behind it, P or 1.
        start: parameters on X, likewise; None is 0.
        present: rows that have weight in some model of the design (m,); None is all.
        deviation: standard deviations of the columns under the weights (n,) or (L, n), with standardize; else None.
        columns: `Columns`, likewise, where they have been measured already.
    """

    problem: Problem
    start: Params | SoftmaxParams | Any = None
    present: Any = None
    deviation: Any = None
    columns: Any = None


class Lane(NamedTuple):
    """What a model of a design has beside the design, its strengths and its start; of all lanes, or their in_axes.

    Attributes:
        problem: without X, l1 and l2.
        units: location and scale of the working columns under its weights.
        deviation: as in `Models`.
    """

    problem: Problem
    units: Any
    deviation: Any


def fit_design(models: Models, *, axes: Models, num_lanes: int, has_path: bool, tol: Array, settings: Settings) -> Fit:
    """Fit all models of one design, to a Fit (L,), with a path (L, P).

    Args:
        axes: 0 where a leaf has an axis of lanes, None elsewhere.
        num_lanes: static, L.
    """
    X, strengths = models.problem.X, strengths_of(models, axes, num_lanes)
    alone = max(strength.size for strength in jax.tree.leaves(strengths)) == 1
    working = prepare_design(models, settings, alone)
    lanes, lane_axes = with_units(models, axes, working)
    # Without the products, dense models that share a design would each copy it: they run one after the other.
    factored = settings.solver != "newton_cg"
    across = loop if factored and working.aid is None and not settings.products and num_lanes > 1 else jax.vmap

    def fit_lanes(strengths: Strengths, start: Any) -> Fit:
        """Strengths and start (L, S) or (L,) to Fit of that shape."""
        prepared = working if factored else _preconditioned(working, lanes, lane_axes, strengths.l2, start, settings)

        def lane(lane: Lane, strengths: Strengths, start: Any) -> Fit:
            def one(strengths: Strengths, start: Any) -> Fit:
                problem = replace(lane.problem, l1=strengths.l1, l2=strengths.l2)
                return solve_one(problem, start, prepared, lane.units, lane.deviation, tol, settings)

            if strengths.l2.size > 1:
                return jax.vmap(one)(strengths, start)
            # An axis of length 1 would only keep XLA from seeing that arrays lie as they are needed.
            shape = strengths.l2.shape
            fit = one(*jax.tree.map(lambda leaf: leaf[(0,) * len(shape)], (strengths, start)))
            return jax.tree.map(lambda leaf: leaf.reshape(shape + leaf.shape), fit)

        return across(lane, in_axes=(lane_axes, 0, 0))(lanes, strengths, start)

    start = _start(models, axes, num_lanes, settings)
    if not has_path:
        return fit_lanes(strengths, start)
    start = zeros((num_lanes,), X.shape[1], X.dtype, settings) if start is None else start
    return follow(fit_lanes, strengths, start, settings.solver)


def strengths_of(models: Models, axes: Models, num_lanes: int) -> Strengths:
    """The strengths of every lane, (L,) or with a path (L, P) or (L, 1); l1 is None without one.

    Args:
        models: of one design; l1 and l2 (L, P or 1), or without either axis.
        axes: 0 where a leaf has an axis of lanes, None elsewhere.
        num_lanes: static, L.
    """
    l1 = None if models.problem.l1 is None else with_lanes(models.problem.l1, axes.problem.l1, num_lanes)
    return Strengths(l1, with_lanes(models.problem.l2, axes.problem.l2, num_lanes))


def prepare_design(models: Models, settings: Settings, alone: bool) -> Working:
    """What the models of one design share.

    Args:
        models: of one design.
        settings: static.
        alone: static; whether there is one model.

    Returns:
        Working, its aid the transposed columns for working sets, and those in the dtype of directions for conjugate gradients
        of several models.
    """
    X = models.problem.X
    few, free = 0 < settings.room < X.shape[1] + settings.fit_intercept, _free(models.problem, settings.basis)
    with_products = settings.products and not few
    working = prepare(X, models.present, settings.fit_intercept, with_products, models.columns, free)
    if settings.unsure:
        V = weighted(working.columns.to_array(), models.present, settings.fit_intercept)[2]
        working = working._replace(near=least_pivot(V) <= 4 * (max(V.shape) * jnp.finfo(V.dtype).eps) ** 0.5)  # that of a copy
    if few:
        return working._replace(aid=Transposed(working.A.to_array().T))
    if alone or settings.solver != "newton_cg":
        return working
    # Whether data are separated shows in the last digits of a Hessian, which float32 does not have.
    low = jnp.float32 if settings.coercive else X.dtype
    return working._replace(aid=Transposed(working.A.to_array().T.astype(low)))


def _free(problem: Problem, count: int) -> Array | None:
    """The columns that no model of a design penalizes (count,), None for 0; where these are all, for want of any penalty."""
    n = problem.X.shape[1]
    if count in (0, n):
        return jnp.arange(n) if count else None
    assert problem.penalty_factor is not None
    penalized = jnp.any(problem.penalty_factor.reshape(-1, n) > 0, axis=0)  # a NaN does not count
    return jnp.nonzero(~penalized, size=count, fill_value=n)[0]


def with_units(models: Models, axes: Models, working: Working) -> tuple[Lane, Lane]:
    """The lanes, with the units of the columns under every row of weights, and their in_axes."""
    problem, s = models.problem, jax.lax.stop_gradient(models.problem.sample_weight)

    def weights(s: Array | None) -> Array:
        return row_weights(Problem(working.A, None, sample_weight=s))

    if models.columns is not None and working.basis is None:
        axis, units = axes.columns.location, (models.columns.location, models.columns.scale)
    else:
        axis = axes.problem.sample_weight
        units = units_of(working, weights(s) if axis is None else jax.vmap(weights)(s), problem.fit_intercept)
    rest = {"X": None, "l1": None, "l2": None}
    lanes = Lane(replace(problem, **rest), units, models.deviation)
    return lanes, Lane(replace(axes.problem, **rest), axis, axes.deviation)


def with_lanes(value: Array, axis: int | None, num_lanes: int) -> Array:
    """A leaf with an axis of lanes (L, ...): of axis 0 it has that, of axis None it is (...)."""
    return value if axis == 0 else jnp.broadcast_to(value, (num_lanes, *value.shape))


def zeros(batch: tuple[int, ...], n: int, dtype: jnp.dtype, settings: Settings) -> Params | SoftmaxParams:
    """Parameters that are 0: coef (*batch, *K, n), intercept (*batch, *K)."""
    likelihood, shape = settings.likelihood, (*batch, *settings.likelihood.classes)
    return likelihood.params_type(jnp.zeros((*shape, n), dtype), jnp.zeros(shape, dtype))


def _start(models: Models, axes: Models, num_lanes: int, settings: Settings) -> Params | SoftmaxParams | None:
    if models.start is None:
        return None
    coef, intercept = (with_lanes(*part, num_lanes) for part in zip(models.start, axes.start, strict=True))
    return type(models.start)(coef, intercept if settings.fit_intercept else jnp.zeros_like(intercept))


def _preconditioned(working: Working, lanes: Lane, lane_axes: Lane, l2: Array, start: Any, settings: Settings) -> Working:
    """With the preconditioner made at the mean curvature of all models, where they start, and their least penalty."""
    if start is None:
        start = zeros(l2.shape, len(working.unit), l2.dtype, settings)

    def lane(lane: Lane, l2: Array, start: Any) -> Any:
        def one(l2: Array, start: Any) -> Any:
            inner = working_problem(replace(lane.problem, l2=l2), working, lane.deviation)
            system = system_of(inner, working, lane.units, settings.likelihood, settings.coercive)
            return curvature_inputs(system, to_working(start, working))

        return jax.vmap(one)(l2, start) if l2.ndim else one(l2, start)

    d, strength = jax.vmap(lane, in_axes=(lane_axes, 0, 0))(lanes, l2, start)
    # The mean as a product: a sum would be computed again for every column of the weighted design.
    d = jnp.dot(jnp.full(l2.size, 1 / l2.size, d.dtype), d.reshape(l2.size, -1)).reshape(d.shape[l2.ndim :])
    least = jnp.min(strength, axis=tuple(range(l2.ndim)))
    directions = working.A if working.aid is None else working.aid
    if d.ndim == 1:
        return working._replace(aid=precondition(directions, d, least))
    of_class = jax.vmap(
        lambda d: precondition(directions, d, least),
        out_axes=Preconditioner(directions=None, inverse=0, diagonal=0, least=None),
    )
    return working._replace(aid=of_class(d))
