"""Derivatives of a fit by the implicit function theorem: one solve with the Hessian at the minimum, whatever found it.

With t all numbers of a problem (X, y, weights, offset, strengths, penalty factors, bounds), in working coordinates,

    z = A Q x + offset     J = w . l(z, y) + kappa . |x| + lambda . x^2 / 2
    g = Q' A' (w r) + kappa sign(x) + lambda x     H = Q' A' W A Q + diag(lambda)

on the support, where x is not 0 or kappa is 0 (what is 0 besides stays there as long as |A_j' (w r)| < kappa_j), and at no
bound (with which x moves there); norms of groups that are not 0 are smooth, their derivatives parts of g and H. The minimum
x(t) has g(x(t); t) = 0, and so, with dg and dJ the derivatives of g and J in t at a fixed x,

    H dx = -dg        dvalue = dJ

The first is the implicit function theorem (Krantz & Parks, The Implicit Function Theorem, 2002, chapter 3; Blondel et al.
2022, Efficient and modular implicit differentiation, section 2.1), the second the envelope theorem. Origin and units of the
working columns (see `jaxlr.solvers.working`) are constants here: the coefficients on X do not depend on them.
"""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.linalg.operators import Standardized
from jaxlr.model.bounds import Bounded
from jaxlr.model.groups import AnyPenalty, Grouped
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.norms import as_groups
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.penalty import Penalty
from jaxlr.model.problem import Problem, bounds_of, finite_factor, row_weights, strengths_of_groups
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.linear import SOLVES, Hessian
from jaxlr.solvers.working import Working, from_working, solved_after, to_working

# Where a model did not converge, what its derivatives are computed from: finite, and with no derivative of 0.
_STAND_IN = {
    "y": 0.5,
    "sample_weight": 1,
    "offset": 0,
    "l1": 1,
    "l2": 1,
    "penalty_factor": 1,
    "lower": -2,
    "upper": 2,
    "l1_group": 1,
}


class _Road(NamedTuple):
    """What is static: the likelihood, in its coordinates, and how to solve with the Hessian."""

    likelihood: Likelihood
    solve: str


def differentiable(
    fit: Fit, problem: Problem, working: Working, deviation: Float[Array, " n"] | None, likelihood: Likelihood, solve: str
) -> Fit:
    """Give params and value of one model their derivatives, NaN where it is not CONVERGED; all else in a Fit has none.

    Args:
        fit: computed from whatever has no derivatives.
        problem: its data with their derivatives; X does not count.
        working: the prepared design, whose `rows` have the derivatives of X.
        deviation: in which penalties are measured; None is 1.
        solve: static, a name in `jaxlr.solvers.linear.SOLVES`.
    """
    t = replace(problem, X=working.rows)
    road = _Road(likelihood.in_contrasts() if problem.l1 is None else likelihood, solve)
    deviation, working = jax.lax.stop_gradient((deviation, working._replace(rows=None)))
    params, value = jax.lax.stop_gradient((fit.params, fit.value))
    working = solved_after(params.coef, working)
    params, value = _minimum(road, t, params, value, fit.status, deviation, working)
    return replace(fit, params=params, value=value)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _minimum(
    road: _Road, t: Problem, params: Any, value: Array, status: Array, deviation: Array | None, working: Working
) -> tuple:
    """Params and value as the solver found them: where nothing is differentiated, this is nothing at all."""
    del road, t, status, deviation, working
    return params, value


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moving_minimum(
    road: _Road, t: Problem, params: Any, value: Array, status: Array, deviation: Array | None, working: Working
) -> tuple:
    """The same for derivatives of derivatives: x - H^-1 (g - constant g) = x, and J likewise.

    In the reverse mode of a scan JAX forgets custom rules; this formula has the first derivatives of the minimum without
    its rule, and with b = 0 the solve costs nothing.
    """
    at, x, finite = _where_it_stands(road, t, params, status, working)
    g, J, held = _gradient_and_value(road, at, x, finite, deviation)
    hessian = _hessian(road, at, x, finite, deviation)
    scale = hessian.scale() + aligned(hessian.strength, x)
    dx = hessian.conjugate_gradients(jnp.where(hessian.free, jax.lax.stop_gradient(g) - g, 0), lambda r: r / scale)
    dx = dx + (held - jax.lax.stop_gradient(held))
    moved = (_on_X(road, dx, finite), J - jax.lax.stop_gradient(J))
    return jax.tree.map(jnp.add, (params, value), moved)


def _derivative(road: _Road, primals: tuple, tangents: tuple) -> tuple:
    t, _, _, status, deviation, working = primals
    params, value = _moving_minimum(road, *primals)
    working = solved_after(params.coef, working)
    at, x, finite = _where_it_stands(road, t, params, status, working)
    parts, structure = jax.tree.flatten(at)
    moving = {i: part for i, part in enumerate(jax.tree.leaves(tangents[0])) if not isinstance(part, SymbolicZero)}

    def slopes(moved: dict[int, Array]) -> tuple[Array, Array, Array]:
        whole = jax.tree.unflatten(structure, [moved.get(i, part) for i, part in enumerate(parts)])
        return _gradient_and_value(road, whole, x, finite, deviation)

    _, changes = jax.jvp(slopes, ({i: parts[i] for i in moving},), (moving,))
    return (params, value), _response(road, _hessian(road, at, x, finite, deviation), status, finite, changes)


_minimum.defjvp(_derivative, symbolic_zeros=True)
_moving_minimum.defjvp(_derivative, symbolic_zeros=True)


def _where_it_stands(
    road: _Road, t: Problem, params: Params | SoftmaxParams, status: Array, working: Working
) -> tuple[Problem, Float[Array, "*B k"], Working]:
    """t, x and the prepared design without what is not finite, which belongs to models that did not converge.

    Out of the way, it leaves no NaN in what they share with others; their own derivatives become NaN in the solve.
    """
    converged = status == Status.CONVERGED
    center = jnp.where(jnp.isfinite(working.center), working.center, 0)
    working = working._replace(center=center, unit=jnp.where(jnp.isfinite(working.unit), working.unit, 1))
    A = t.X
    if not isinstance(A, Standardized):  # that is checked on the host, and not to be copied
        A = jax.tree.map(lambda part: jnp.where(jnp.isfinite(part), part, 0), A)
    given = {name: part for name in _STAND_IN if (part := getattr(t, name)) is not None}
    t = replace(t, X=A, **{name: jnp.where(converged, part, _STAND_IN[name]) for name, part in given.items()})
    x = road.likelihood.reduce(to_working(params, working))
    return t, jnp.where(converged, x, 1), working


def _gradient_and_value(
    road: _Road, t: Problem, x: Float[Array, "*B k"], working: Working, deviation: Array | None
) -> tuple[Float[Array, "*B k"], Float[Array, ""], Float[Array, "*B k"]]:
    """g, J and x, which moves with bounds alone."""
    w, penalty = _weights_and_penalty(t, working, deviation)
    x = penalty.with_bounds(x)
    z, likelihood = _logits(road, t, x), road.likelihood
    r, kinked, squared = likelihood.residual(z, t.y), penalty.slope(x), penalty.smooth_slope(x)
    g = likelihood.reduce(t.X.transposed_times(aligned(w, r) * r)) + kinked + squared
    value = jnp.sum(w * likelihood.losses(z, t.y)) + jnp.sum(kinked * x) + jnp.sum(squared / 2 * x)
    return g, value, x


def _logits(road: _Road, t: Problem, x: Float[Array, "*B k"]) -> Float[Array, "*K m"]:
    z = t.X.times(road.likelihood.expand(x))
    return z if t.offset is None else z + t.offset.T


def _weights_and_penalty(t: Problem, working: Working, deviation: Array | None) -> tuple[Float[Array, " m"], AnyPenalty]:
    """w, and kappa and lambda (k,), both 0 for the intercept, with the bounds."""
    n, k = len(working.unit), t.X.shape[1]
    w = row_weights(t)
    if deviation is None:
        scale = 1 / working.unit
    else:  # penalties in standard deviations: those of working columns are near 1, so that the difference keeps its digits
        A = t.X.first_columns(n)
        variance = A.squares_times(w) - A.transposed_times(w) ** 2
        scale = jnp.where(deviation > 0, jnp.sqrt(jnp.where(deviation > 0, variance, 1)), 0)
    factor = jnp.ones(n, w.dtype) if t.penalty_factor is None else finite_factor(t.penalty_factor)[0]
    l1 = 0 * t.l2 if t.l1 is None else t.l1
    penalty, bounds = Penalty(l1 * factor * scale, t.l2 * factor * scale**2), bounds_of(t, n, w.dtype)
    by_column = penalty if bounds is None else Bounded(*penalty, *(bound * working.unit for bound in bounds))
    if t.l1_group is None:
        return w, by_column.padded(k)
    groups = as_groups(t.groups, w.dtype)
    weights = groups.weights * jnp.where(scale > 0, scale, 1)
    return w, Grouped(by_column, strengths_of_groups(t, groups), weights, groups.number).padded(k)


def _hessian(road: _Road, t: Problem, x: Float[Array, "*B k"], working: Working, deviation: Array | None) -> Hessian:
    w, penalty = _weights_and_penalty(t, working, deviation)
    free = ~penalty.like(x).rests(x)
    if deviation is not None:
        varies = jnp.pad(deviation > 0, (0, x.shape[-1] - len(deviation)), constant_values=True)
        free &= aligned(varies, x)
    if t.penalty_factor is not None:
        held = finite_factor(t.penalty_factor)[1]
        free &= aligned(jnp.pad(~held, (0, x.shape[-1] - len(held)), constant_values=True), x)
    curvature = road.likelihood.curvature(_logits(road, t, x), w)
    norms = penalty.curvature(x) if isinstance(penalty, Grouped) else None
    return Hessian(t.X, road.likelihood, curvature, penalty.l2, penalty.absent, free, norms)


def _response(
    road: _Road,
    hessian: Hessian,
    status: Array,
    working: Working,
    changes: tuple[Float[Array, "*B k"], Float[Array, ""], Float[Array, "*B k"]],
) -> tuple[Params | SoftmaxParams, Float[Array, ""]]:
    """dparams and dvalue of changes dg, dJ and those with the bounds, both linear in them.

    NaN for both where the model did not converge, or the solve failed; but 0 of what is 0, so that in reverse mode a model
    that nobody asks about leaves no NaN in what it shares with others.
    """
    shape = hessian.free.shape

    def product(v: Array) -> Array:
        return jnp.append(hessian.times(v[:-1].reshape(shape)), v[-1])

    def solved(_: Any, changes: Array) -> Array:
        b, slope = jnp.where(hessian.free, changes[:-1].reshape(shape), 0), changes[-1]
        largest = jnp.max(jnp.abs(b))
        largest = jnp.where(largest > 0, largest, 1)
        dx = largest * SOLVES[road.solve](working, hessian, b / largest)
        terms = (b, hessian.scale() * dx, aligned(hessian.strength, dx) * dx)  # mean squares of working columns are about 1
        enough = jnp.finfo(dx.dtype).eps ** 0.5 * sum(jnp.linalg.norm(term) for term in terms)
        trusted = (status == Status.CONVERGED) & (jnp.linalg.norm(hessian.times(dx) - b) <= enough)
        otherwise = jnp.where(jnp.any(b != 0) | (slope != 0), jnp.nan, 0)
        return jnp.where(trusted, jnp.append(dx, slope), otherwise)

    # In one array: in reverse over reverse mode JAX transposes a solve of several only where all of them are linear.
    b = jnp.append(jnp.where(hessian.free, -changes[0], 0), changes[1])
    moved = jax.lax.custom_linear_solve(product, b, solved, symmetric=True)
    return _on_X(road, moved[:-1].reshape(shape) + changes[2], working), moved[-1]


def _on_X(road: _Road, dx: Float[Array, "*B k"], working: Working) -> Params | SoftmaxParams:
    return from_working(road.likelihood.expand(dx), working, road.likelihood.params_type)
