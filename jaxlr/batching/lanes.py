"""All models of one design: what they share is prepared once, then they are fitted side by side.

Models of one design differ in weights, labels, offsets and penalties; they are lanes of `jax.vmap`, in matrix products that
they share. A path of penalties is followed in each lane.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.designs import prepare_design
from jaxlr.batching.loops import alone, in_groups, loop
from jaxlr.batching.path import Strengths, follow, points_at_once
from jaxlr.batching.rounds import Mean, not_made, solve_in_rounds
from jaxlr.model.norms import as_groups
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.preconditioner import Preconditioner, curvature_inputs
from jaxlr.solvers.solve import Member, Settings, fit_of, solution_of
from jaxlr.solvers.working import Working, to_working, units_of
from jaxlr.solvers.working_set import Known, leaves_out, nothing_known


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Models:
    """Every model of a batch, or of one design; the same record of 0 and None is its in_axes.

    Attributes:
        problem: X (m, n), and the other leaves core, or with an axis of lanes L in front; where there is a path its
            strengths with an axis of its points behind it, P or 1.
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
        problem: without X and strengths.
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
    strengths = strengths_of(models, axes, num_lanes)
    working = prepare_design(models.problem, models.present, models.columns, settings)
    lanes, lane_axes = with_units(models, axes, working)
    in_rounds = settings.solver == "newton_cg" and not settings.matrix_free
    # Without the products, dense models that share a design would each copy it: they run one after the other.
    apart = not in_rounds and working.aid is None and not settings.products
    shared = _Lanes(lanes, lane_axes, working, alone if num_lanes == 1 else loop if apart else jax.vmap)
    start = _start(models, axes, num_lanes, settings)
    if start is not None:
        start = jax.lax.stop_gradient(jax.vmap(to_working, (0, None))(start, working))
    elif has_path:
        start = jnp.zeros((num_lanes, *settings.likelihood.classes, working.A.shape[1]), working.unit.dtype)
    return (_fit_in_rounds if in_rounds else _fit_by_factors)(shared, strengths, start, has_path, tol, settings)


class _Lanes(NamedTuple):
    """All lanes of a design, their in_axes, what they share, and what maps over them."""

    lanes: Lane
    axes: Lane
    working: Working
    across: Callable

    def over(self, function: Callable, aid: Any = None) -> Callable:
        """A function of (member, *own) of one model, over models (L, S) or (L,), of strengths and what each has of its own.

        Args:
            function: takes a `Member`.
            aid: a `Preconditioner` of all models; None is the aid of `working`.
        """
        working = self.working if aid is None else self.working._replace(aid=aid)

        def of_lane(lane: Lane, strengths: Strengths, *own: Any) -> Any:
            def one(strengths: Strengths, *own: Any) -> Any:
                problem = replace(lane.problem, **strengths._asdict())
                return function(Member(problem, working, lane.units, lane.deviation), *own)

            if strengths.l2.ndim:
                return (alone if strengths.l2.size == 1 else jax.vmap)(one, in_axes=(0, *(0 for _ in own)))(strengths, *own)
            return one(strengths, *own)

        return lambda *own: self.across(of_lane, in_axes=(self.axes, *(0 for _ in own)))(self.lanes, *own)


def _fit_by_factors(
    lanes: _Lanes, strengths: Strengths, start: Array | None, has_path: bool, tol: Array, settings: Settings
) -> Fit:
    """Fit models of strengths (L, P) or (L,), with a factor each; the evidence of many points is one product of matrices."""
    solve = lanes.over(lambda member, x, *known: solution_of(member, x, tol, settings, settings.max_steps, *known))
    fit = lanes.over(lambda member, solution: fit_of(solution, member, tol, settings))
    if not has_path or start is None:
        return fit(strengths, solve(strengths, start))

    def point(strengths: Strengths, x: Array, known: Known | None) -> tuple[Solution, Array, Array, Known | None]:
        found = solve(strengths, x) if known is None else solve(strengths, x, known)
        return found._replace(known=None), found.status, found.params, found.known

    def transposed(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 1, 0), tree)

    known = nothing_known(start[:, None], lanes.working.A.shape[0]) if leaves_out(settings.room, start.shape[-1]) else None
    solutions = follow(point, strengths, start, settings.solver, known)
    num_lanes, num_points = solutions.status.shape
    strengths = jax.tree.map(lambda strength: jnp.broadcast_to(strength, (num_lanes, num_points)), strengths)
    points = transposed((strengths, solutions))
    together = points_at_once(num_lanes, math.prod(settings.likelihood.classes))
    return transposed(in_groups(lambda some: transposed(fit(*transposed(some))), points, together))


def _fit_in_rounds(
    lanes: _Lanes, strengths: Strengths, start: Array | None, has_path: bool, tol: Array, settings: Settings
) -> Fit:
    """The same by conjugate gradients (`jaxlr.batching.rounds`), whose mean Hessian is carried along a path."""
    working, classes = lanes.working, settings.likelihood.classes
    directions = working.A if working.aid is None else working.aid

    def point(strengths: Strengths, x: Array, mean: Mean) -> tuple[Fit, Array, Array, Mean]:
        def inputs(x: Array) -> tuple[Array, Array]:
            return lanes.over(lambda member, x: curvature_inputs(member.system(settings), x))(strengths, x)

        def find(x: Array, max_steps: Array, aid: Preconditioner) -> Solution:
            one = lambda member, x, max_steps: solution_of(member, x, tol, settings, max_steps)  # noqa: E731
            return lanes.over(one, aid)(strengths, x, max_steps)

        batch = strengths.l2.shape
        found, aid, mean = solve_in_rounds(find, inputs, directions, x, batch, mean, tol, settings.max_steps)
        fits = lanes.over(lambda member, solution: fit_of(solution, member, tol, settings), aid)(strengths, found)
        return fits, fits.status, found.params, mean

    mean = not_made(classes, working.A.shape[1], directions.dtype, settings.wide)
    if start is None:
        start = jnp.zeros((*strengths.l2.shape, *classes, working.A.shape[1]), working.unit.dtype)
    return follow(point, strengths, start, settings.solver, mean) if has_path else point(strengths, start, mean)[0]


def strengths_of(models: Models, axes: Models, num_lanes: int) -> Strengths:
    """The strengths of every lane, (L,) or with a path (L, P) or (L, 1); None without one.

    Args:
        models: of one design; strengths (L, P or 1), or without either axis.
        axes: 0 where a leaf has an axis of lanes, None elsewhere.
        num_lanes: static, L.
    """

    def of(name: str) -> Array | None:
        strength = getattr(models.problem, name)
        return None if strength is None else with_lanes(strength, getattr(axes.problem, name), num_lanes)

    return Strengths(*map(of, Strengths._fields))


def with_units(models: Models, axes: Models, working: Working) -> tuple[Lane, Lane]:
    """The lanes, with the units of the columns under every row of weights, and their in_axes.

    Args:
        models, axes: as in `fit_design`.
        working: the prepared design (m, k).
    """
    problem, s = models.problem, jax.lax.stop_gradient(models.problem.sample_weight)

    def weights(s: Array | None) -> Array:
        return row_weights(Problem(working.A, None, sample_weight=s))

    if models.columns is not None and working.basis is None:
        axis, units = axes.columns.location, (models.columns.location, models.columns.scale)
    else:
        axis = axes.problem.sample_weight
        w = weights(s)[None] if axis is None else jax.vmap(weights)(s)
        units = units_of(working, w, problem.fit_intercept)
        if axis is None:
            units = jax.tree.map(lambda values: values[0], units)
    rest = dict.fromkeys(("X", *Strengths._fields))
    if problem.groups is not None:
        problem = replace(problem, groups=as_groups(problem.groups, working.unit.dtype))
    lanes = Lane(replace(problem, **rest), units, models.deviation)
    return lanes, Lane(replace(axes.problem, **rest), axis, axes.deviation)


def with_lanes(value: Array, axis: int | None, num_lanes: int) -> Array:
    """A leaf with an axis of lanes (L, ...), from (L, ...) of axis 0 or (...) of axis None.

    Args:
        num_lanes: static, L.
    """
    return value if axis == 0 else jnp.broadcast_to(value, (num_lanes, *value.shape))


def _start(models: Models, axes: Models, num_lanes: int, settings: Settings) -> Params | SoftmaxParams | None:
    if models.start is None:
        return None
    coef, intercept = (with_lanes(*part, num_lanes) for part in zip(models.start, axes.start, strict=True))
    return type(models.start)(coef, intercept if settings.fit_intercept else jnp.zeros_like(intercept))
