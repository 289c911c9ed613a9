"""Derivatives of a conditional fit by the implicit function theorem, as `jaxlr.solvers.implicit` has them of the others.

With t all numbers of a problem with strata, in working coordinates, g and H gradient and Hessian of its J,

    H dx = -dg        dvalue = dJ

where dg and dJ are derivatives in t at a fixed x, of the recursion of `jaxlr.model.conditional`.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.linalg.cholesky import cholesky, in_own_units, solve
from jaxlr.model.conditional import matched_of
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem, penalty_of, problem_logits
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working import Working, from_working, solved_after, to_working


def differentiable(fit: Fit, problem: Problem, working: Working) -> Fit:
    """Give params and value of one model their derivatives, NaN where it is not CONVERGED; all else in a Fit has none.

    Args:
        fit: computed from whatever has no derivatives.
        problem: in working coordinates, with the derivatives of its data.
        working: the prepared design, without.
    """
    params, value = jax.lax.stop_gradient((fit.params, fit.value))
    params, value = _minimum(problem, params, value, fit.status, working)
    return replace(fit, params=params, value=value)


@jax.custom_jvp
def _minimum(problem: Problem, params: Params, value: Array, status: Array, working: Working) -> tuple[Params, Array]:
    """Params and value as the solver found them: where nothing is differentiated, this is nothing at all."""
    del problem, status, working
    return params, value


@_minimum.defjvp
def _minimum_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    problem, *_, status, working = primals
    params, value = _minimum(*primals)  # of which it has derivatives again
    x = to_working(params, working)

    def gradient_and_value(problem: Problem) -> tuple[Array, Array]:
        z, sets, penalty = problem_logits(Params(x, jnp.zeros((), x.dtype)), problem), matched_of(problem), penalty_of(problem)
        return sets.slope(z, len(x)) + penalty.smooth_slope(x), sets.loss(z) + penalty.value(x)

    dg, dJ = jax.jvp(gradient_and_value, (problem,), tangents[:1])[1]
    z, penalty = problem_logits(Params(x, jnp.zeros((), x.dtype)), problem), penalty_of(problem)
    H = matched_of(problem).information(z, len(x))
    free = penalty.free & (jnp.diagonal(H) + penalty.l2 > 0)  # what is constant within strata rests at 0
    H, s = in_own_units(H, penalty.l2, free, jnp.asarray(jnp.finfo(x.dtype).eps ** 0.75))
    L = cholesky(H)
    dx = -s * solve(L, solve(L, (s * dg)[:, None]), transposed=True)[:, 0]
    known = jnp.where(status == Status.CONVERGED, 1, jnp.nan).astype(x.dtype)
    moved = from_working(jnp.where(free, dx, 0), solved_after(L, working), Params)
    return (params, value), jax.tree.map(lambda change: known * change, (moved, dJ))
