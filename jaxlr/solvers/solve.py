"""Solve one problem, and certify the parameters that are handed back.

The solver works on standardized columns (see `jaxlr.solvers.working`); objective, KKT residual and duality gap are the same
numbers there, and are evaluated at the parameters as they were rounded for the caller.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import aligned
from jaxlr.model.certificates import evidence, with_rounding
from jaxlr.model.conditional import matched_of
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, bounds_of, penalty_of, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers import firth, implicit_sets, newton, newton_cg, proximal, working_set
from jaxlr.solvers.damped import Solution, after_verdict
from jaxlr.solvers.implicit import differentiable
from jaxlr.solvers.rounding import doubted, hidden
from jaxlr.solvers.system import System, system_of
from jaxlr.solvers.working import (
    Working,
    errors_of_basis,
    from_working,
    params_to_working,
    split,
    to_working,
    working_problem,
)

_SOLVERS = {"newton": newton.solve, "newton_cg": newton_cg.solve, "proximal": proximal.solve, "firth": firth.solve,
            "conditional": newton.solve}  # fmt: skip


class Settings(NamedTuple):
    """What is static in a fit.

    Attributes:
        likelihood: of the model.
        fit_intercept: whether there is an intercept.
        standardize: whether penalties are measured in standard deviations of the columns.
        max_steps: limit of Newton steps, with working sets of each.
        solver: "newton", "newton_cg", "proximal", "firth" or "conditional", that of a problem with strata.
        coercive: whether every column is known to have a penalty, so that nothing can be separated.
        large: whether the one model starts from the fit of some rows, and X is used as it lies in memory.
        room: columns that "proximal" solves for at once, at most, the intercept counted; 0 for the others.
        keeps: whether "proximal" keeps a Hessian as long as it serves.
        wide: whether more columns than rows are solved in the span of the rows.
        matrix_free: whether a solver has nothing of its Hessians but products and the diagonal, for sparse designs.
        products: whether the products of all pairs of columns stand in memory.
        one_by_one: whether designs come one after the other.
        checked: whether all values were known to the checks, which tracers get past.
        basis: of how many columns, those without a penalty, an orthonormal basis is taken where some are near others' span.
        unsure: whether a model may be without a penalty, but in no basis; near the span of others no estimate is certain then.
        settled: whether an offset, a start or bounds may have said of rows what no step has to say any more.
    """

    likelihood: Likelihood
    fit_intercept: bool
    standardize: bool
    max_steps: int
    solver: str
    coercive: bool
    large: bool = False
    room: int = 0
    keeps: bool = False
    wide: bool = False
    matrix_free: bool = False
    products: bool = False
    one_by_one: bool = False
    checked: bool = False
    basis: int = 0
    unsure: bool = False
    settled: bool = False


class Member(NamedTuple):
    """One model of a design that is prepared.

    Attributes:
        problem: its data; X is that of `working`.
        working: prepared from X.
        units: location and scale of the working columns under its weights, (n,) each.
        deviation: standard deviations of X under its weights (n,), in which penalties are measured; None is 1.
    """

    problem: Problem
    working: Working
    units: tuple[Array, Array]
    deviation: Array | None = None

    def constant(self) -> "Member":
        """Without derivatives."""
        return jax.lax.stop_gradient(self._replace(working=self.working._replace(rows=None)))

    def inner(self) -> Problem:
        """The problem in working coordinates."""
        return working_problem(self.problem, self.working, self.deviation)

    def system(self, settings: Settings) -> System:
        """The problem as a solver sees it."""
        partial = any(getattr(self.problem, name) is not None for name in ("penalty_factor", "lower", "upper"))
        system = system_of(self.inner(), self.working, self.units, settings.likelihood, settings.coercive)
        return system._replace(partial=partial)


def solve_one(member: Member, start: Params | SoftmaxParams | None, tol: Float[Array, ""], settings: Settings) -> Fit:
    """Fit one problem: with the derivatives of the minimum in the problem and X (Firth's has none). Batches go by
    `jaxlr.batching.lanes`, which asks for `solution_of` and `fit_of` apart.

    Args:
        member: the model.
        start: parameters on X; None is 0.
        tol: on the KKT residual.
        settings: static.
    """
    begin = None if start is None else to_working(start, member.working)
    return fit_of(solution_of(member, begin, tol, settings, settings.max_steps), member, tol, settings)


def solution_of(
    member: Member,
    start: Float[Array, "*K k"] | None,
    tol: Float[Array, ""],
    settings: Settings,
    max_steps: int | Array,
    known: working_set.Known | None = None,
) -> Solution:
    """What the solver finds within so many steps, from a start in working coordinates or 0, of which working sets may know
    something; without derivatives."""
    member, start, tol, known = member.constant(), *jax.lax.stop_gradient((start, tol, known))
    working, system = member.working, member.system(settings)
    if settings.room:
        matrix_free = settings.matrix_free
        solution = working_set.solve(system, start, tol, max_steps, settings.room, settings.keeps, known, matrix_free)
    else:
        solution = _SOLVERS[settings.solver](system, start, tol, max_steps)
    if settings.solver != "firth":
        solution = after_verdict(hidden(solution, system, settings.settled))
    if working.basis is None:
        return solution
    errors = errors_of_basis(working)
    as_it_is, unsure = lambda found: found, lambda found: doubted(found, system, errors)
    return after_verdict(jax.lax.cond(working.basis.needed, unsure, as_it_is, solution))


def fit_of(solution: Solution, member: Member, tol: Float[Array, ""], settings: Settings) -> Fit:
    """The Fit of a solution, with its evidence and derivatives."""
    constant, solution, tol = member.constant(), *jax.lax.stop_gradient((solution, tol))
    bounds = bounds_of(constant.problem, len(constant.working.unit), solution.params.dtype)
    params = from_working(solution.params, constant.working, settings.likelihood.params_type, bounds)
    if settings.solver == "firth":
        found = firth.evidence(to_working(params, constant.working), constant.system(settings), constant.working.unit)
        return _judged(params, solution, found, constant.inner(), constant.working, tol, settings)
    fit = certify(params, solution, constant, tol, settings)
    if settings.solver == "conditional":
        return implicit_sets.differentiable(fit, replace(member.inner(), X=member.working.rows), constant.working)
    given = member.problem, member.working, member.deviation
    return differentiable(fit, *given, settings.likelihood, _road(settings, constant.working.A.shape[1]))


def _road(settings: Settings, k: int) -> str:
    """How derivatives solve with the Hessian, see `jaxlr.solvers.implicit`."""
    if settings.solver == "newton_cg":
        return "preconditioned"
    return "diagonal" if settings.matrix_free or 0 < settings.room < k else "factored"


def certify(
    params: Params | SoftmaxParams, solution: Solution, member: Member, tol: Float[Array, ""], settings: Settings
) -> Fit:
    """The Fit of parameters on X, with the evidence; CONVERGED only where the residual of these very parameters, or
    with a basis of those in it, is <= tol.

    Args:
        params: as they are handed back.
        solution: how the solver ended, and its steps.
        member: the model, without derivatives.
        tol: on the KKT residual.
        settings: static.
    """
    working, problem = member.working, member.inner()
    inside = params_to_working(params, working)
    if working.basis is not None:
        # Of columns near the span of others coefficients are so large that rounding them moves logits: what counts is what was
        # found in the basis.
        found, needed = type(params)(*split(solution.params, len(working.unit))), working.basis.needed
        inside = jax.tree.map(lambda own, rounded: jnp.where(needed, own, rounded), found, inside)
    return _judged(params, solution, evidence(inside, problem, member.units), problem, working, tol, settings)


def _judged(
    params: Params | SoftmaxParams,
    solution: Solution,
    found: tuple[Array, Array, Array],
    problem: Problem,
    working: Working,
    tol: Float[Array, ""],
    settings: Settings,
) -> Fit:
    value, kkt, gap = found
    invalid = _is_invalid(problem, tol, settings)
    doubtful = ~(kkt <= tol)
    if working.basis is not None:
        doubtful |= working.basis.unclear
    if working.near is not None:
        free = problem.l1 + problem.l2 + (0 if problem.l1_group is None else problem.l1_group) == 0
        x = solution.params[..., : len(free)]
        moves = jnp.any(~penalty_of(problem).like(x).rests(x).reshape(-1, len(free)), axis=0)  # what rests at a bound is known
        doubtful |= working.near & jnp.any(free & moves) & jnp.all(free | jnp.isinf(problem.l1))
    status = jnp.where((solution.status == Status.CONVERGED) & doubtful, Status.STALLED, solution.status)
    return Fit(
        params=params,
        value=value,
        kkt=kkt,
        gap=with_rounding(gap, kkt, params, aligned(working.center, params.coef)),
        status=jnp.where(invalid, Status.INVALID, status).astype(jnp.int32),
        num_steps=jnp.where(invalid, 0, solution.num_steps),
        solver=settings.solver,
    )


def _is_invalid(problem: Problem, tol: Float[Array, ""], settings: Settings) -> Bool[Array, ""]:
    """No weight, a class without weight beside an intercept, bounds that exclude the 0 of a column that is left out, or values
    that only tracers get past the checks."""
    y, s, penalty, likelihood = problem.y, problem.sample_weight, penalty_of(problem), settings.likelihood
    if problem.strata is not None:
        lacking = matched_of(problem).num_cases == 0
    else:
        lacking = jnp.bool_(False)
        if problem.fit_intercept:  # which has no finite estimate then
            lacking = jnp.min(likelihood.class_weights(y, row_weights(problem))) == 0  # not where a label is NaN
    invalid = lacking if s is None else lacking | jnp.all(s == 0)  # a maximum may lose a NaN
    if settings.checked:  # of bounds that exclude a 0 only where all members have such
        return invalid if problem.lower is None else invalid | penalty.invalid
    # What does not vary along a path comes first: XLA takes it out of the loop, whole.
    invalid = invalid | likelihood.out_of_range(y) | ~((tol > 0) & (tol < jnp.inf))
    if s is not None:
        invalid = invalid | jnp.any(s < 0)
    return invalid | penalty.invalid
