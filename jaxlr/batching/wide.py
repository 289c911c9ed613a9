"""Models of more columns than rows, in the span of the rows.

With X - center = R' Q', Q (n, m) orthonormal, the minimum is coef = Q theta, where theta minimizes the same objective on the m
columns of R' (Hastie & Tibshirani 2004, Biostatistics 5, section 3). The certificates are those of coef on X.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.lanes import Lane, Models, fit_design, strengths_of, with_units
from jaxlr.linalg.dot import dot, times
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.implicit import differentiable
from jaxlr.solvers.solve import Member, Settings, certify
from jaxlr.solvers.working import Working, prepare


def fit_wide(models: Models, *, axes: Models, num_lanes: int, has_path: bool, tol: Array, settings: Settings) -> Fit:
    """Fit all models of a design of more columns than rows, with one squared penalty for all columns of a model and no other;
    arguments and Fit are those of `fit_design`."""
    working = prepare(models.problem.X, models.present, settings.fit_intercept)
    given, models = models, jax.lax.stop_gradient(models)
    small, Q, factor = in_span(models, working)
    options = {"num_lanes": num_lanes, "has_path": has_path, "settings": settings}
    fits = fit_design(small, axes=axes, tol=tol / jnp.where(factor > 1, factor, 1), **options)  # NaN is not
    coef = times(Q, fits.params.coef)
    params = settings.likelihood.params_type(coef, fits.params.intercept - dot(coef, working.center))
    lanes, lane_axes = with_units(given, axes, working)

    def lane(lane: Lane, *model: Any) -> Fit:
        def one(l2: Array, params: Any, status: Array, num_steps: Array) -> Fit:
            problem = replace(lane.problem, l2=l2)
            constant, units = jax.lax.stop_gradient((problem, lane.units))
            solution = Solution(params, status, num_steps)
            fit = certify(params, solution, Member(constant, working, units), tol, settings)
            # On R' more was asked for than on X.
            enough = (fit.status == Status.STALLED) & (fit.kkt <= tol) & (constant.l2 > 0)
            fit = replace(fit, status=jnp.where(enough, Status.CONVERGED, fit.status).astype(jnp.int32))
            return differentiable(fit, problem, working, None, settings.likelihood, "span")

        return jax.vmap(one)(*model) if has_path else one(*model)

    l2 = strengths_of(given, axes, num_lanes).l2
    return jax.vmap(lane, in_axes=(lane_axes, 0, 0, 0, 0))(lanes, l2, params, fits.status, fits.num_steps)


def in_span(models: Models, working: Working) -> tuple[Models, Array, Array]:
    """The same models on R' (m, m), Q (n, m), and how many times its residual that on X may be at most ().

    Args:
        models: of one design (m, n), n > m.
        working: that design, prepared.
    """
    X = models.problem.X
    centered = working.columns.to_array() * working.unit[None, :]
    Q, R = jnp.linalg.qr(centered.T)
    # What rounding left of rows that depend on each other would be a column like any other.
    noise = 4 * X.shape[0] * jnp.finfo(X.dtype).eps * jnp.sqrt(jnp.sum(centered**2 + working.center[None, :] ** 2, axis=1))
    R = jnp.where(jnp.abs(R) > noise[None, :], R, 0 * R)
    start = models.start
    if start is not None:
        start = type(start)(dot(start.coef, Q), start.intercept + dot(start.coef, working.center))
    # |u_j| <= |Q_j| |u|, over sd_j.
    factor = jnp.max(jnp.sqrt(jnp.sum(Q * Q, axis=1) * jnp.sum(working.unit**2)) / working.unit)
    return replace(models, problem=replace(models.problem, X=R.T), start=start), Q, factor
