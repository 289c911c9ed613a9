"""All models of one design: what they share is prepared once, then they are fitted side by side.

Models of one design differ in weights, labels, offsets and penalties; they are lanes of `jax.vmap`, in matrix products that
they share. A path of penalties is followed in each lane.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.loops import loop
from jaxlr.batching.path import Strengths, follow
from jaxlr.batching.rounds import Mean, in_rounds, not_made
from jaxlr.batching.strategy import num_segments
from jaxlr.linalg.basis import least_pivot, weighted
from jaxlr.linalg.operators import Rough
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.preconditioner import Preconditioner, curvature_inputs
from jaxlr.solvers.solve import Settings, fit_of, solution_of, solve_one
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
    working = prepare_design(models, settings)
    lanes, lane_axes = with_units(models, axes, working)
    start, k = _start(models, axes, num_lanes, settings), working.A.shape[1]
    num_points = max(strength[0].size for strength in jax.tree.leaves(strengths))
    segments = num_segments(settings, X.shape[0], k, num_lanes, num_points) if has_path else 1
    if settings.solver != "newton_cg":
        # Without the products, dense models that share a design would each copy it: they run one after the other.
        apart = working.aid is None and not settings.products and num_lanes > 1
        fitted = _over(lanes, lane_axes, _fitted(working, tol, settings), loop if apart else jax.vmap)
        fit_lanes, carried = lambda strengths, start, carried: (fitted(strengths, start), carried), None
    else:
        fit_lanes = _fit_in_rounds(lanes, lane_axes, working, tol, settings)
        carried = not_made((num_lanes, segments), settings.likelihood.classes, k, _directions(working).dtype)
    if not has_path:
        return fit_lanes(strengths, start, carried)[0]
    start = zeros((num_lanes,), X.shape[1], X.dtype, settings) if start is None else start
    return follow(fit_lanes, strengths, start, settings.solver, segments, carried)


def _fitted(working: Working, tol: Array, settings: Settings) -> Callable[..., Fit]:
    """A function of (lane, aid, strengths, start) to the Fit of one model."""

    def fitted(lane: Lane, _: Any, strengths: Strengths, start: Any) -> Fit:
        problem = replace(lane.problem, l1=strengths.l1, l2=strengths.l2)
        return solve_one(problem, start, working, lane.units, lane.deviation, tol, settings)

    return fitted


def _over(lanes: Lane, axes: Lane, function: Callable, across: Callable = jax.vmap, aid: Any = None) -> Callable:
    """A function of (lane, aid, strengths, *own) of one model, over models (L, S) or (L,), of strengths and what they own.

    Args:
        aid: a `Preconditioner` for all models, or, where S > 1, for each of S; None where there is none.
    """

    def of_lane(lane: Lane, strengths: Strengths, *own: Any) -> Any:
        def one(aid: Any, *own: Any) -> Any:
            return function(lane, aid, *own)

        own, shape = (strengths, *own), strengths.l2.shape
        if strengths.l2.size > 1:
            by_point = None if aid is None else Preconditioner(None, inverse=0, diagonal=0, least=0)
            return jax.vmap(one, in_axes=(by_point, *(0 for _ in own)))(aid, *own)
        # An axis of length 1 would only keep XLA from seeing that arrays lie as they are needed.
        found = one(aid, *jax.tree.map(lambda leaf: leaf[(0,) * len(shape)], own))
        return jax.tree.map(lambda leaf: leaf.reshape(shape + leaf.shape), found)

    return lambda *own: across(of_lane, in_axes=(axes, *(0 for _ in own)))(lanes, *own)


def _directions(working: Working) -> Any:
    return working.A if working.aid is None else working.aid


def _fit_in_rounds(lanes: Lane, axes: Lane, working: Working, tol: Array, settings: Settings) -> Callable:
    """A function of (strengths, start, Mean) to Fit and Mean, for conjugate gradients (`jaxlr.batching.rounds`)."""
    dtype, directions = working.unit.dtype, _directions(working)

    def fit_lanes(strengths: Strengths, start: Any, mean: Mean) -> tuple[Fit, Mean]:
        batch = strengths.l2.shape
        start = zeros(batch, len(working.unit), dtype, settings) if start is None else start
        begin = _over(lanes, axes, lambda lane, _, strengths, start: to_working(start, working))(strengths, start)

        def inputs(x: Array) -> tuple[Array, Array]:
            def one(lane: Lane, _: Any, strengths: Strengths, x: Array) -> tuple[Array, Array]:
                inner = working_problem(replace(lane.problem, l2=strengths.l2), working, lane.deviation)
                return curvature_inputs(system_of(inner, working, lane.units, settings.likelihood, settings.coercive), x)

            return jax.lax.stop_gradient(_over(lanes, axes, one)(strengths, x))

        def find(x: Array, max_steps: Array, aid: Preconditioner) -> Solution:
            def one(lane: Lane, aid: Any, strengths: Strengths, x: Array, max_steps: Array) -> Solution:
                problem, prepared = replace(lane.problem, l1=strengths.l1, l2=strengths.l2), working._replace(aid=aid)
                return solution_of(problem, x, prepared, lane.units, lane.deviation, tol, settings, max_steps)

            return _over(lanes, axes, one, aid=aid)(strengths, x, max_steps)

        begin = jax.lax.stop_gradient(begin)
        solution, aid, mean = in_rounds(find, inputs, directions, begin, batch, mean, settings.max_steps)

        def judged(lane: Lane, aid: Any, strengths: Strengths, solution: Solution) -> Fit:
            problem, prepared = replace(lane.problem, l1=strengths.l1, l2=strengths.l2), working._replace(aid=aid)
            return fit_of(solution, problem, prepared, lane.units, lane.deviation, tol, settings)

        return _over(lanes, axes, judged, aid=aid)(strengths, solution), mean

    return fit_lanes


def strengths_of(models: Models, axes: Models, num_lanes: int) -> Strengths:
    """The strengths of every lane, (L,) or with a path (L, P) or (L, 1); l1 is None without one.

    Args:
        models: of one design; l1 and l2 (L, P or 1), or without either axis.
        axes: 0 where a leaf has an axis of lanes, None elsewhere.
        num_lanes: static, L.
    """
    l1 = None if models.problem.l1 is None else with_lanes(models.problem.l1, axes.problem.l1, num_lanes)
    return Strengths(l1, with_lanes(models.problem.l2, axes.problem.l2, num_lanes))


def prepare_design(models: Models, settings: Settings) -> Working:
    """What the models of one design share.

    Args:
        models: of one design.
        settings: static.

    Returns:
        Working, its aid the transposed columns for working sets, and those in the dtype of directions for conjugate gradients.
    """
    X = models.problem.X
    few, free = 0 < settings.room < X.shape[1] + settings.fit_intercept, _free(models.problem, settings.basis)
    with_products = settings.products and not few
    working = prepare(X, models.present, settings.fit_intercept, with_products, models.columns, free)
    if settings.unsure:
        V = weighted(working.columns.to_array(), models.present, settings.fit_intercept)[2]
        working = working._replace(near=least_pivot(V) <= 4 * (max(V.shape) * jnp.finfo(V.dtype).eps) ** 0.5)  # that of a copy
    if few:
        return working._replace(aid=working.A.to_array().T)
    # Whether data are separated shows in the last digits of a Hessian, which float32 does not have.
    rough = settings.solver == "newton_cg" and settings.coercive
    return working._replace(aid=Rough(working.A.to_array().astype(jnp.float32))) if rough else working


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
