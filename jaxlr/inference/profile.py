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

from jaxlr.inference.over_models import both, over_models, working
from jaxlr.inference.tails import Test, chi_square_test, normal_quantile
from jaxlr.inference.wald import Intervals
from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.operators import times, times_transposed
from jaxlr.model.logistic import curvature, logistic_loss, residual
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.solvers import firth
from jaxlr.solvers.firth import Point
from jaxlr.solvers.working import Shared, hessian_of, params_to_working

_MOST_STEPS = 1000


class _Walk(NamedTuple):
    x: Array  # (k,)
    d: Array  # (k,) the full step before
    moved: Array  # the largest change of a logit in the full step before
    before: Array  # and in the one before that
    damping: Array  # share of full steps that is taken
    num_steps: Array


def profile_intervals(fit: Fit, problem: Problem, *, level: float = 0.95) -> Intervals:
    """Profile-likelihood intervals for every parameter of every model.

    Args:
        fit: unpenalized, by `jaxlr.fit` or `jaxlr.fit_firth`, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        level: in (0, 1).

    Returns:
        Intervals; NaN where a model is not CONVERGED, or an end was not found. (With nearly as many columns as rows Firth's
        likelihood can have several maxima along a parameter, and an interval several ends: one of them.)

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
    lower, upper = over_models(_profile_intervals, fit, problem, options=(fit.solver == "firth", quantile))
    return Intervals(fit.params, both(lower), both(upper))


def profile_tests(fit: Fit, problem: Problem) -> Test:
    """The likelihood-ratio test of every parameter being 0, all others free: in R, drop1 of a glm, and logistf's p-values.

    Args:
        fit: as in `profile_intervals`.
        problem: likewise.

    Returns:
        Test, df = 1, its statistic, p_value and log_p being Params (...).

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
    test = chi_square_test(over_models(_profile_tests, fit, problem, options=(fit.solver == "firth",)), 1)
    return Test(both(test.statistic), 1, both(test.p_value), both(test.log_p))


def _profile_intervals(params: Params, problem: Problem, of_firth: bool, quantile: float) -> tuple[Array, Array]:
    at, shared, x, functionals = _prepared(params, problem, of_firth)
    highest = at(x)[0].value + quantile / (2 * weight_sum(problem))

    def end(c: Array, side: Array) -> Array:
        def step(x: Array) -> Array:
            here, _ = at(x)
            newton, along = here.solve(here.g), here.solve(c)
            left = 2 * (highest - here.value) + jnp.sum(here.g * newton)
            return side * jnp.sqrt(jnp.maximum(left, 0) / jnp.sum(c * along)) * along - newton

        return jnp.sum(c * _settled(step, x, shared))

    sides = jnp.asarray([-1, 1], x.dtype)
    ends = jax.vmap(lambda c: jax.vmap(lambda side: end(c, side))(sides))(functionals)
    ends = _with_intercept(ends.T, problem.fit_intercept)
    return ends[0], ends[1]


def _profile_tests(params: Params, problem: Problem, of_firth: bool) -> Array:
    at, shared, x, functionals = _prepared(params, problem, of_firth)
    lowest = at(x)[0].value

    def risen(c: Array) -> Array:
        def step(x: Array) -> Array:
            here, _ = at(x)
            newton, along = here.solve(here.g), here.solve(c)
            return along * (jnp.sum(c * (newton - x)) / jnp.sum(c * along)) - newton

        return at(_settled(step, x, shared))[0].value - lowest

    statistics = 2 * weight_sum(problem) * jax.vmap(risen)(functionals)
    return _with_intercept(statistics, problem.fit_intercept)


def _prepared(
    params: Params, problem: Problem, of_firth: bool
) -> tuple[Callable[[Array], tuple[Point, Array]], Shared, Float[Array, " k"], Float[Array, "k k"]]:
    """F with its derivatives as a function of x, the working design, the estimate, and the parameters on X as rows c."""
    shared, functionals = working(problem)
    n, k = len(shared.unit), shared.A.shape[1]
    inner = Problem(shared.A[:, :n], problem.y, problem.sample_weight, problem.offset, fit_intercept=problem.fit_intercept)

    def at(x: Array) -> tuple[Point, Array]:
        z = problem_logits(Params(x[:n], jnp.sum(x[n:])), inner)
        return (firth.point if of_firth else _likelihood)(x, z, inner, shared), z

    inside = params_to_working(params, shared)
    return at, shared, jnp.append(inside.coef, inside.intercept)[:k], functionals


def _likelihood(x: Array, z: Array, problem: Problem, shared: Shared) -> Point:
    """The mean loss and its derivatives, as `jaxlr.solvers.firth.point` gives those of Firth's."""
    w, k = row_weights(problem), len(x)
    H = hessian_of(shared, w * curvature(z))
    H, s = in_own_units(H, jnp.zeros_like(x), jnp.ones(k, bool), jnp.zeros((), x.dtype))
    g = times_transposed(shared.A, w * residual(z, problem.y))
    return Point(jnp.sum(w * logistic_loss(z, problem.y)), g, cholesky(H), s)


def _settled(step: Callable[[Array], Array], x: Float[Array, " k"], shared: Shared) -> Float[Array, " k"]:
    """Steps until one moves no logit by more than eps^(3/4), or, below the root of eps, until they grow no smaller; NaN if that
    never comes."""
    eps = float(jnp.finfo(x.dtype).eps)

    def settled(state: _Walk) -> Array:
        slow = (state.moved <= eps**0.5) & (state.moved >= 0.99 * state.before)
        return (state.moved <= eps**0.75) | slow

    def one(state: _Walk) -> _Walk:
        d = step(state.x)
        reach = jnp.max(jnp.abs(times(shared.A, d)))
        # Fisher's information may be less than half of the curvature, and full steps swing: then shorter ones.
        swings = jnp.sum(times(shared.A, d) * times(shared.A, state.d)) < 0
        damping = jnp.where(swings & (reach >= 0.9 * state.moved), state.damping / 2, 1.2 * state.damping)
        damping = jnp.clip(damping, 1 / 64, 1)
        part = jnp.minimum(damping, jnp.maximum(jnp.log1p(reach), 1) / reach)
        return _Walk(state.x + jnp.where(reach > 0, part, 1) * d, d, reach, state.moved, damping, state.num_steps + 1)

    far = jnp.full((), np.inf, x.dtype)
    more = lambda state: ~settled(state) & (state.num_steps < _MOST_STEPS)  # noqa: E731
    end = jax.lax.while_loop(more, one, _Walk(x, 0 * x, far, far, jnp.ones_like(far), jnp.int32(0)))
    return jnp.where(settled(end), end.x, jnp.nan)


def _with_intercept(values: Float[Array, "... k"], fit_intercept: bool) -> Float[Array, "... p"]:
    """NaN in the place of an intercept that is not fitted."""
    if fit_intercept:
        return values
    return jnp.concatenate([values, jnp.full((*values.shape[:-1], 1), jnp.nan, values.dtype)], axis=-1)
