"""Intervals and tests by the profile likelihood: of the likelihood itself, or of Firth's penalized one.

With F the objective on the scale of a mean and N = sum(s), the interval of a parameter c . x holds the values at which

    2 N (min F subject to c . x  -  min F) <= q        q: quantile of the chi-square distribution, 1 df

Its ends are where c . x is largest and smallest on the level set F(x) <= min F + q / (2 N). With g and H at x, the minimum of
the quadratic model there is x - H^-1 g, lower than F by g . H^-1 g / 2, and its level set has its ends at

    x - H^-1 g +- t H^-1 c        t^2 = (2 (F_max - F) + g . H^-1 g) / (c . H^-1 c)

which is taken again and again, no step longer than its logits may move safely (`jaxlr.solvers.damped`): the first is Wald's
interval. Venzon & Moolgavkar 1988, Applied Statistics 37, eqs. 5 to 8. A test holds c . x at 0 in the same way. Firth's
penalty is always that of all columns (Heinze & Schemper 2002, Statistics in Medicine 21, section 2.3).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inference.over_models import Estimate, check_base, estimate_of, joined, less_base, over_models, parameters_of
from jaxlr.inference.tails import Test, chi_square_test, normal_quantile
from jaxlr.inference.wald import Intervals
from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers import firth
from jaxlr.solvers.firth import Point

_MOST_STEPS = 1000


class _Walk(NamedTuple):
    x: Array  # (k,)
    d: Array  # (k,) the full step before
    moved: Array  # the largest change of a logit in the full step before
    before: Array  # and in the one before that
    damping: Array  # share of full steps that is taken
    num_steps: Array


def profile_intervals(fit: Fit, problem: Problem, *, level: float = 0.95, base: int | None = 0) -> Intervals:
    """Profile-likelihood intervals for every parameter of every model.

    Args:
        fit: unpenalized, by `jaxlr.fit` or `jaxlr.fit_firth`, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        level: in (0, 1).
        base: of K classes the one that all are compared with: intervals are those of a class less the base; None keeps the
            parameters of the fit.

    Returns:
        Intervals; NaN for a base, and where a model is not CONVERGED, or an end was not found. (With nearly as many columns as
        rows Firth's likelihood can have several maxima along a parameter, and an interval several ends: one of them.)

    Raises:
        ValueError: a penalized fit; level is not in (0, 1).

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> interval = profile_intervals(jaxlr.fit_firth(X, y), jaxlr.Problem(X, y))
        >>> bool(interval.lower.coef[0] < interval.estimate.coef[0] < interval.upper.coef[0])
        True

    References:
        Venzon & Moolgavkar 1988, Applied Statistics 37, eqs. 5 to 8; Heinze & Schemper 2002, section 2.3.
    """
    quantile = normal_quantile(level) ** 2
    check_base(base, fit.params)
    ends = over_models(_profile_intervals, fit, problem, options=(fit.solver == "firth", base, quantile))
    estimate = less_base(joined(fit.params), fit.params, base)
    return Intervals(*(parameters_of(part, fit.params) for part in (estimate, *ends)))


def profile_tests(fit: Fit, problem: Problem, *, base: int | None = 0) -> Test:
    """The likelihood-ratio test of every parameter being 0, all others free: in R, drop1 of a glm, and logistf's p-values.

    Args:
        fit: as in `profile_intervals`.
        problem: likewise.
        base: likewise.

    Returns:
        Test, df = 1, its statistic, p_value and log_p being parameters (...); NaN for a base.

    Raises:
        ValueError: a penalized fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 0, 1, 1])  # separated
        >>> round(float(profile_tests(jaxlr.fit_firth(X, y), jaxlr.Problem(X, y)).p_value.coef[0]), 3)
        0.138

    References:
        Heinze & Schemper 2002, Statistics in Medicine 21, section 2.3.
    """
    check_base(base, fit.params)
    test = chi_square_test(over_models(_profile_tests, fit, problem, options=(fit.solver == "firth", base)), 1)
    statistic, p_value, log_p = (parameters_of(part, fit.params) for part in (test.statistic, test.p_value, test.log_p))
    return Test(statistic, 1, p_value, log_p)


def _profile_intervals(
    params: Params | SoftmaxParams, problem: Problem, of_firth: bool, base: int | None, quantile: float
) -> tuple[Array, Array]:
    estimate = estimate_of(params, problem, base)
    at, x = _objective(estimate, of_firth)
    highest = at(x).value + quantile / (2 * estimate.system.total)

    def end(c: Array, side: Array) -> Array:
        def step(x: Array) -> Array:
            here = at(x)
            newton, along = here.solve(here.g), here.solve(c)
            left = 2 * (highest - here.value) + jnp.sum(here.g * newton)
            return side * jnp.sqrt(jnp.maximum(left, 0) / jnp.sum(c * along)) * along - newton

        return jnp.sum(c * _settled(step, x, estimate))

    sides = jnp.asarray([-1, 1], x.dtype)
    ends = jax.vmap(lambda side: _of_parameters(lambda c: end(c, side), estimate, params))(sides)
    return ends[0], ends[1]


def _profile_tests(params: Params | SoftmaxParams, problem: Problem, of_firth: bool, base: int | None) -> Array:
    estimate = estimate_of(params, problem, base)
    at, x = _objective(estimate, of_firth)
    lowest = at(x).value

    def risen(c: Array) -> Array:
        def step(x: Array) -> Array:
            here = at(x)
            newton, along = here.solve(here.g), here.solve(c)
            return along * (jnp.sum(c * (newton - x)) / jnp.sum(c * along)) - newton

        return at(_settled(step, x, estimate)).value - lowest

    return 2 * estimate.system.total * _of_parameters(risen, estimate, params)


def _objective(estimate: Estimate, of_firth: bool) -> tuple[Callable[[Array], Point], Float[Array, " p"]]:
    """F with its derivatives as a function of the coordinates in one vector, and the estimate."""
    system, like = estimate.system, estimate.system.likelihood
    x = like.reduce(estimate.params)

    def at(flat: Array) -> Point:
        params = like.expand(flat.reshape(x.shape))
        z = system.logits(params)
        if of_firth:
            return firth.point(flat, z, system)
        H = like.assemble(system.A.gram(like.curvature(z, system.w).pairs()))
        H, s = in_own_units(H, jnp.zeros_like(flat), jnp.ones(flat.shape, bool), jnp.zeros((), flat.dtype))
        g = like.reduce(system.gradient(params, z)).ravel()
        return Point(jnp.sum(system.w * like.losses(z, system.y)), g, cholesky(H), s)

    return at, x.ravel()


def _of_parameters(function: Callable[[Array], Array], estimate: Estimate, params: Params | SoftmaxParams) -> Array:
    """A function of rows c for all parameters on X, of the shape of these; NaN for what is known, as an intercept that is not
    fitted or a base."""
    classes = np.flatnonzero(np.any(estimate.classes != 0, axis=1))
    rows = jnp.einsum("cb,jk->cjbk", jnp.asarray(estimate.classes[classes], estimate.z.dtype), estimate.to_X)
    found = jax.vmap(jax.vmap(function))(rows.reshape(*rows.shape[:2], -1))
    whole = jnp.full((len(estimate.classes), estimate.system.n + 1), jnp.nan, found.dtype)
    return whole.at[classes, : found.shape[1]].set(found).reshape(joined(params).shape)


def _settled(step: Callable[[Array], Array], x: Float[Array, " p"], estimate: Estimate) -> Float[Array, " p"]:
    """Steps until one moves no logit by more than eps^(3/4), or, below the root of eps, until they grow no smaller; NaN if that
    never comes."""
    eps, system, like = float(jnp.finfo(x.dtype).eps), estimate.system, estimate.system.likelihood
    shape = (*like.coordinates, system.A.shape[1])

    def logits_of(d: Array) -> Array:
        return system.A.times(like.expand(d.reshape(shape)))

    def settled(state: _Walk) -> Array:
        slow = (state.moved <= eps**0.5) & (state.moved >= 0.99 * state.before)
        return (state.moved <= eps**0.75) | slow

    def one(state: _Walk) -> _Walk:
        d = step(state.x)
        dz = logits_of(d)
        reach = jnp.max(like.reach(dz))
        # Fisher's information may be less than half of the curvature, and full steps swing: then shorter ones.
        swings = jnp.sum(dz * logits_of(state.d)) < 0
        damping = jnp.where(swings & (reach >= 0.9 * state.moved), state.damping / 2, 1.2 * state.damping)
        damping = jnp.clip(damping, 1 / 64, 1)
        part = jnp.minimum(damping, jnp.maximum(jnp.log1p(reach), 1) / reach)
        return _Walk(state.x + jnp.where(reach > 0, part, 1) * d, d, reach, state.moved, damping, state.num_steps + 1)

    far = jnp.full((), np.inf, x.dtype)
    more = lambda state: ~settled(state) & (state.num_steps < _MOST_STEPS)  # noqa: E731
    end = jax.lax.while_loop(more, one, _Walk(x, 0 * x, far, far, jnp.ones_like(far), jnp.int32(0)))
    return jnp.where(settled(end), end.x, jnp.nan)
