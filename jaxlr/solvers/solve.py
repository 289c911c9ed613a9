"""Solve one problem, and certify the parameters that are handed back.

The solver works on standardized columns (see `jaxlr.solvers.working`); objective, KKT residual and duality gap are the same
numbers there, and are evaluated at the parameters as they were rounded for the caller.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlr.linalg.operators import first_columns
from jaxlr.model.certificates import evidence
from jaxlr.model.objective import Problem, penalties, row_weights
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers import firth, newton, newton_cg, working_set
from jaxlr.solvers.implicit import differentiable
from jaxlr.solvers.working import Shared, from_working, params_to_working, to_working

SOLVERS = {"newton": newton.solve, "newton_cg": newton_cg.solve, "proximal": working_set.solve, "firth": firth.solve}


class Settings(NamedTuple):
    """What is static in a fit.

    Attributes:
        fit_intercept: whether there is an intercept.
        standardize: whether penalties are measured in standard deviations of the columns.
        max_steps: limit of Newton steps.
        solver: "newton", "newton_cg", "proximal" or "firth".
        coercive: whether every column is known to have a penalty, so that nothing can be separated.
        large: whether the one model starts from the fit of some rows, and X is used as it lies in memory.
        room: columns that "proximal" solves for at once, the intercept counted; 0 for the others.
        num_classes: of the multinomial model, 0 for the binary one.
    """

    fit_intercept: bool
    standardize: bool
    max_steps: int
    solver: str
    coercive: bool
    large: bool = False
    room: int = 0
    num_classes: int = 0


def fit_one(fields: dict[str, Any], start: Params | None, shared: Shared, tol: Float[Array, ""], settings: Settings) -> Fit:
    """Fit one problem.

    Args:
        fields: those of `jaxlr.Problem` but X; "units" of the working columns, location and scale (n,); and with
            standardize "sd" (n,), the standard deviations of X under the problem's weights.
        start: coef (n,), intercept (), on X; None is 0.
        shared: prepared from X.
        tol: on the KKT residual.
        settings: static.

    Returns:
        Fit of one model, with the derivatives of the minimum in the fields and X (Firth's has none).
    """
    given = (fields, shared)
    fields, start, shared, tol = jax.lax.stop_gradient((fields, start, shared._replace(rows=None), tol))
    working, shared = working_problem(fields, shared, settings), shared._replace(units=fields["units"])
    inside = None if start is None else params_to_working(start, shared)
    options = {"coercive": settings.coercive} | ({"room": settings.room} if settings.room else {})
    solution = SOLVERS[settings.solver](working, inside, tol, settings.max_steps, shared, **options)

    params = from_working(solution.params, shared)
    fit = certify(params, solution.status, solution.num_steps, working, shared, tol, settings)
    return fit if settings.solver == "firth" else differentiable(fit, *given)


def certify(
    params: Params,
    status: Int[Array, ""],
    num_steps: Int[Array, ""],
    working: Problem,
    shared: Shared,
    tol: Float[Array, ""],
    settings: Settings,
) -> Fit:
    """The Fit of parameters on X, with the evidence.

    Args:
        params: coef (n,), intercept (), on X.
        status: how the solver ended.
        num_steps: its steps.
        working: the problem on the working columns.
        shared: prepared from X, with the units of the KKT residual.
        tol: on the KKT residual.
        settings: static.

    Returns:
        Fit of one model; CONVERGED only where the residual of these very parameters is <= tol.
    """
    returned = params_to_working(params, shared)
    if settings.solver == "firth":
        value, kkt, gap = firth.evidence(returned, working, shared)
    else:
        value, kkt, gap = evidence(returned, working, shared.units)
    # Rounding blurs the intercept of the returned parameters on the working columns; the curvature of J in it is <= 1/4.
    blur = 2 * jnp.finfo(kkt.dtype).eps * (jnp.abs(params.intercept) + jnp.sum(jnp.abs(params.coef * shared.center)))
    invalid = _is_invalid(working, tol)
    status = jnp.where((status == Status.CONVERGED) & ~(kkt <= tol), Status.STALLED, status)
    return Fit(
        params=params,
        value=value,
        kkt=kkt,
        gap=gap + blur * kkt + blur**2 / 8,
        status=jnp.where(invalid, Status.INVALID, status).astype(jnp.int32),
        num_steps=jnp.where(invalid, 0, num_steps),
        solver=settings.solver,
    )


def working_problem(fields: dict[str, Any], shared: Shared, settings: Settings) -> Problem:
    """A problem on the working columns.

    Args:
        fields: as in `fit_one`.
        shared: prepared from X.
        settings: static.

    Returns:
        The problem.
    """
    data = {name: value for name, value in fields.items() if name not in ("units", "sd")}
    X = first_columns(shared.A, shared.unit.shape[0]) if shared.columns is None else shared.columns
    problem = Problem(X=X, **data, fit_intercept=settings.fit_intercept)
    return to_working(problem, shared, fields["sd"] if settings.standardize else None)


def _is_invalid(problem: Problem, tol: Array) -> Array:
    """No weight, one class where nothing keeps the estimate finite, or values that only tracers get past the checks."""
    w, y, (l1, l2) = row_weights(problem), problem.y, penalties(problem)
    one_class = (jnp.sum(w * y) == 0) | (jnp.sum(w * (1 - y)) == 0)
    if not problem.fit_intercept:
        one_class &= ~(jnp.min(l1 + l2, initial=1) > 0)
    out_of_range = (jnp.max(jnp.abs(y - 0.5)) > 0.5) | (jnp.min(jnp.minimum(l1, l2), initial=0) < 0) | ~(tol > 0)
    if problem.sample_weight is None:
        return one_class | out_of_range
    return one_class | out_of_range | (jnp.max(problem.sample_weight) == 0) | (jnp.min(problem.sample_weight) < 0)
