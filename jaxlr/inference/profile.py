"""Intervals and tests by the profile likelihood: of the likelihood itself, or of Firth's penalized one.

With F the objective on the scale of a mean and N = sum(s), the interval of a parameter c . x holds the values at which

    2 N (min F subject to c . x  -  min F) <= q        q: quantile of the chi-square distribution, 1 df

Its ends are where c . x is largest and smallest on the level set F(x) <= min F + q / (2 N). With g and H at x, the minimum of
the quadratic model there is x - H^-1 g, lower than F by g . H^-1 g / 2, and its level set has its ends at

    x - H^-1 g +- t H^-1 c        t^2 = (2 (F_max - F) + g . H^-1 g) / (c . H^-1 c)

which is taken again and again, no step longer than its logits may move safely (`jaxlr.solvers.damped`): the first is Wald's
interval. Venzon & Moolgavkar 1988, Applied Statistics 37, eqs. 5 to 8. A test holds c . x at 0 in the same way. Firth's
penalty is always that of all columns (Heinze & Schemper 2002, Statistics in Medicine 21, section 2.3). Of several classes x is
in contrasts, and c . x a parameter of a class less that of the base (`jaxlr.inference.fitted`).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.batching.loops import in_groups
from jaxlr.compilation.program import program
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.fitted import (
    Fitted,
    as_params,
    check_base,
    estimates,
    fitted,
    functionals,
    known,
)
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.tails import Test, chi_square_test, normal_quantile
from jaxlr.inference.wald import Intervals
from jaxlr.linalg.cholesky import after, cholesky, in_own_units, inverse_root
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers import firth
from jaxlr.solvers.firth import Point
from jaxlr.solvers.system import mean_information

_MOST_STEPS = 1000


class _Walk(NamedTuple):
    x: Array  # (*B, k)
    d: Array  # (*B, k) the full step before
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
        base: of K classes, the one that all are compared with: the interval is that of a parameter of a class less that of the
            base. None takes the parameters of the fit, which sum to 0 over the classes.

    Returns:
        Intervals of the estimates as they are; ends are NaN for the base and an intercept that is not fitted, where a model is
        not CONVERGED, or where an end was not found. (With nearly as many columns as rows Firth's likelihood can have several
        maxima along a parameter, and an interval several ends: one of them.)

    Raises:
        ValueError: a penalized fit; base is no class; level is not in (0, 1).

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
    check_given(fit, problem)
    check_base(fit.params, base)
    options = (base, fit.solver == "firth", quantile)
    lower, upper = over_models(_profile_intervals, fit, problem, options=options, lanes=2 * _num_parameters(fit))
    return _intervals(fit.params, lower, upper, base)


@program("base")
def _intervals(params: Params | SoftmaxParams, lower: Array, upper: Array, base: int | None) -> Intervals:
    return Intervals(*(as_params(end, params) for end in (estimates(params, base), lower, upper)))


def profile_tests(fit: Fit, problem: Problem, *, base: int | None = 0) -> Test:
    """The likelihood-ratio test of every parameter being 0, all others free: in R, drop1 of a glm, and logistf's p-values.

    Args:
        fit: as in `profile_intervals`.
        problem: its data, as in `profile_intervals`.
        base: as in `profile_intervals`; the parameter of a class is held at that of the base.

    Returns:
        Test, df = 1, its statistic, p_value and log_p being Params (...) or SoftmaxParams (...); NaN as in `profile_intervals`.

    Raises:
        ValueError: a penalized fit; base is no class.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 0, 1, 1])  # separated
        >>> round(float(profile_tests(jaxlr.fit_firth(X, y), jaxlr.Problem(X, y)).p_value.coef[0]), 3)
        0.138

    References:
        Heinze & Schemper 2002, Statistics in Medicine 21, section 2.3.
    """
    check_given(fit, problem)
    check_base(fit.params, base)
    options = (base, fit.solver == "firth")
    test = chi_square_test(over_models(_profile_tests, fit, problem, options=options, lanes=_num_parameters(fit)), 1)
    statistic, p_value, log_p = _of_parameters((test.statistic, test.p_value, test.log_p), fit.params)
    return Test(statistic, 1, p_value, log_p)


@program()
def _of_parameters(parts: tuple[Array, ...], params: Params | SoftmaxParams) -> tuple[Any, ...]:
    return tuple(as_params(part, params) for part in parts)


def _num_parameters(fit: Fit) -> int:
    """Of one model, so many walks at a time."""
    return math.prod(likelihood_of_params(fit.params).classes) * (np.shape(fit.params.coef)[-1] + 1)


def _profile_intervals(
    params: Params | SoftmaxParams, problem: Problem, base: int | None, of_firth: bool, quantile: float, basis: int
) -> tuple[Array, Array]:
    model, at, lowest, definite = _begun(params, problem, of_firth, basis)
    highest = lowest + quantile / (2 * model.system.total)

    def end(c: Array, side: Array) -> Array:
        def step(x: Array) -> Array:
            here = at(x)
            newton, along = here.solve(here.g, c)
            left = 2 * (highest - here.value) + jnp.sum(here.g * newton)
            return (side * jnp.sqrt(jnp.maximum(left, 0) / jnp.sum(c * along)) * along - newton).reshape(x.shape)

        return jnp.sum(c * _settled(step, model).ravel())

    sides = jnp.asarray([-1, 1], model.x.dtype)
    both_ends = _of_free(lambda c: jax.vmap(lambda side: end(c, side))(sides), model, problem, base, definite)
    return both_ends[:, 0], both_ends[:, 1]


def _profile_tests(params: Params | SoftmaxParams, problem: Problem, base: int | None, of_firth: bool, basis: int) -> Array:
    model, at, lowest, definite = _begun(params, problem, of_firth, basis)

    def risen(c: Array) -> Array:
        def step(x: Array) -> Array:
            here = at(x)
            newton, along = here.solve(here.g, c)
            return (along * (jnp.sum(c * (newton - x.ravel())) / jnp.sum(c * along)) - newton).reshape(x.shape)

        return 2 * model.system.total * (at(_settled(step, model)).value - lowest)

    return _of_free(risen, model, problem, base, definite)


def _begun(
    params: Params | SoftmaxParams, problem: Problem, of_firth: bool, basis: int
) -> tuple[Fitted, Callable[[Array], Point], Float[Array, ""], Bool[Array, ""]]:
    """A model, F around it, its least value, and whether the information there is definite, as for standard errors. What walks
    from there factors its matrices after these (`jaxlr.linalg.cholesky`)."""
    model = fitted(params, problem, basis)
    root = inverse_root(mean_information(model.system, model.z), model.free.reshape(-1))
    at, start = _objective(model, of_firth), after(root, model.x)
    here = at(start)
    return model._replace(x=after(here.L, start)), at, here.value, jnp.all(jnp.isfinite(root))


def _of_free(
    function: Callable[[Array], Array], model: Fitted, problem: Problem, base: int | None, definite: Bool[Array, ""]
) -> Float[Array, "p *r"]:
    """A function of the rows c of all parameters, a group side by side; NaN for those that are known to be 0 or not determined,
    and for all where the information is not definite."""
    rows = functionals(model, base)
    free = np.flatnonzero(~known(model.system.likelihood, problem.X.shape[1], problem.fit_intercept, base))
    m, k = model.system.A.shape
    found = in_groups(jax.vmap(function), rows[free], models_side_by_side(m * k))
    found = jnp.where(definite, found, jnp.nan)
    return jnp.full((len(rows), *found.shape[1:]), jnp.nan, found.dtype).at[free].set(found)


def _objective(model: Fitted, of_firth: bool) -> Callable[[Array], Point]:
    """F with its derivatives as a function of x (*B, k)."""
    system, likelihood = model.system, model.system.likelihood

    def at(x: Array) -> Point:
        params = likelihood.expand(x)
        z = system.logits(params)
        if of_firth:
            return firth.point(x, z, system)
        H, size = mean_information(system, z), math.prod(x.shape)
        H, s = in_own_units(H, jnp.zeros(size, x.dtype), model.free.reshape(-1), jnp.zeros((), x.dtype))
        g = likelihood.reduce(system.gradient(params, z)).ravel()
        return Point(jnp.sum(system.w * likelihood.losses(z, system.y)), g, cholesky(H), s)

    return at


def _settled(step: Callable[[Array], Array], model: Fitted) -> Float[Array, "*B k"]:
    """Steps until one moves no logit by more than eps^(3/4), or, below the root of eps, until they grow no smaller; NaN if that
    never comes."""
    system, eps = model.system, float(jnp.finfo(model.x.dtype).eps)

    def settled(state: _Walk) -> Array:
        slow = (state.moved <= eps**0.5) & (state.moved >= 0.99 * state.before)
        return ~(state.moved > eps**0.75) | slow  # and where nothing can be found, for a number is NaN

    def one(state: _Walk) -> _Walk:
        d = step(state.x)
        dz, dz_before = (system.A.times(system.likelihood.expand(move)) for move in (d, state.d))
        reach = system.largest(system.likelihood.reach(dz))
        # Fisher's information may be less than half of the curvature, and full steps swing: then shorter ones.
        swings = jnp.sum(dz * dz_before) < 0
        damping = jnp.where(swings & (reach >= 0.9 * state.moved), state.damping / 2, 1.2 * state.damping)
        damping = jnp.clip(damping, 1 / 64, 1)
        part = jnp.minimum(damping, jnp.maximum(jnp.log1p(reach), 1) / reach)
        return _Walk(state.x + jnp.where(reach > 0, part, 1) * d, d, reach, state.moved, damping, state.num_steps + 1)

    far = jnp.full((), np.inf, model.x.dtype)
    more = lambda state: ~settled(state) & (state.num_steps < _MOST_STEPS)  # noqa: E731
    start = _Walk(model.x, 0 * model.x, far, far, jnp.ones_like(far), jnp.int32(0))
    end = jax.lax.while_loop(more, one, start)
    return jnp.where(settled(end), end.x, jnp.nan)
