"""Solve one multinomial problem, and certify the parameters that are handed back: as `jaxlr.solvers.solve`, for classes."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlr.model.objective import Problem, penalties, row_weights
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_certificates import softmax_evidence
from jaxlr.model.softmax_objective import labels_of
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers import softmax_cg, softmax_newton, softmax_proximal
from jaxlr.solvers.softmax_damped import SoftmaxSolution
from jaxlr.solvers.solve import Settings, working_problem
from jaxlr.solvers.working import Shared

_HIGHEST = "highest"
SOLVERS = {"newton": softmax_newton.solve, "newton_cg": softmax_cg.solve, "proximal": softmax_proximal.solve}


def fit_softmax_one(
    fields: dict[str, Any], start: SoftmaxParams | None, shared: Shared, tol: Float[Array, ""], settings: Settings
) -> Fit:
    """Fit one multinomial problem.

    Args:
        fields: as in `jaxlr.solvers.solve.fit_one`, y the labels, offset with the classes in front (K, m).
        start: coef (K, n), intercept (K,), on X; None is 0.
        shared: prepared from X.
        tol: on the KKT residual.
        settings: static.

    Returns:
        Fit of one model, constant under differentiation.
    """
    fields, start, shared, tol = jax.lax.stop_gradient((fields, start, shared._replace(rows=None), tol))
    working, shared = softmax_problem(fields, shared, settings), shared._replace(units=fields["units"])
    inside = None if start is None else to_working(start, shared)
    solve = SOLVERS[settings.solver]
    solution = solve(working, inside, tol, settings.max_steps, shared, settings.num_classes, settings.coercive)
    return _certify(solution, working, shared, tol, settings)


def softmax_problem(fields: dict[str, Any], shared: Shared, settings: Settings) -> Problem:
    """A multinomial problem on the working columns.

    Args:
        fields: as in `fit_softmax_one`.
        shared: prepared from X.
        settings: static.

    Returns:
        The problem, its offset (m, K).
    """
    turned = {"offset": fields["offset"].T} if "offset" in fields else {}
    return working_problem(fields | turned, shared, settings)


def to_working(params: SoftmaxParams, shared: Shared) -> SoftmaxParams:
    """Parameters of the same logits on the working columns.

    Args:
        params: coef (K, n), intercept (K,), on X.
        shared: prepared from X.

    Returns:
        SoftmaxParams.
    """
    shift = jnp.dot(params.coef, shared.center, precision=_HIGHEST)
    return SoftmaxParams(params.coef * shared.unit[None, :], params.intercept + shift)


def _from_working(params: SoftmaxParams, shared: Shared) -> SoftmaxParams:
    coef = params.coef / shared.unit[None, :]
    return SoftmaxParams(coef, params.intercept - jnp.dot(coef, shared.center, precision=_HIGHEST))


def _certify(solution: SoftmaxSolution, working: Problem, shared: Shared, tol: Array, settings: Settings) -> Fit:
    """The Fit of a solution, with the evidence for the very parameters that are handed back."""
    (coef, intercept), (l1, l2) = _from_working(solution.params, shared), penalties(working)
    # What has no penalty sums to 0 over the classes, which changes no probability.
    coef = jnp.where((l1 + l2 > 0)[None, :], coef, coef - jnp.mean(coef, axis=0)[None, :])
    params = SoftmaxParams(coef, intercept - jnp.mean(intercept))
    value, kkt, gap = softmax_evidence(to_working(params, shared), working, shared.units)
    # Rounding blurs the intercepts on the working columns; the curvature of J along any change of them by <= blur is <= blur^2.
    shift = jnp.sum(jnp.abs(coef * shared.center[None, :]), axis=1)
    blur = 2 * jnp.finfo(kkt.dtype).eps * jnp.max(jnp.abs(params.intercept) + shift)
    invalid = _is_invalid(working, tol, settings.num_classes)
    status = jnp.where((solution.status == Status.CONVERGED) & ~(kkt <= tol), Status.STALLED, solution.status)
    return Fit(
        params=params,
        value=value,
        kkt=kkt,
        gap=gap + settings.num_classes * blur * kkt + blur**2 / 2,
        status=jnp.where(invalid, Status.INVALID, status).astype(jnp.int32),
        num_steps=jnp.where(invalid, 0, solution.num_steps),
        solver=settings.solver,
    )


def _is_invalid(problem: Problem, tol: Array, num_classes: int) -> Bool[Array, ""]:
    """No weight, a class without weight where nothing keeps the estimate finite, or values that only tracers get past."""
    w, y, (l1, l2) = row_weights(problem), problem.y, penalties(problem)
    lacking = jnp.min(jnp.sum(jnp.where(labels_of(problem, num_classes), w[None, :], 0), axis=1)) == 0
    if not problem.fit_intercept:
        lacking &= ~(jnp.min(l1 + l2, initial=1) > 0)
    out_of_range = jnp.any((y < 0) | (y > num_classes - 1) | (y != jnp.floor(y)) & ~jnp.isnan(y))
    out_of_range |= (jnp.min(jnp.minimum(l1, l2), initial=0) < 0) | ~(tol > 0)
    lacking &= ~jnp.any(jnp.isnan(y))
    if problem.sample_weight is None:
        return lacking | out_of_range
    return lacking | out_of_range | (jnp.max(problem.sample_weight) == 0) | (jnp.min(problem.sample_weight) < 0)
