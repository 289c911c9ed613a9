"""Derivatives of a fit by the implicit function theorem: one solve with the Hessian at the minimum, whatever found it.

With t all numbers of a problem (X, y, weights, offset, l1, l2, penalty factors), in working coordinates,

    z = A x + offset     J = w . l(z, y) + kappa . |x| + lambda . x^2 / 2
    g = A' (w r) + kappa sign(x) + lambda x     H = A' diag(w c) A + diag(lambda)

on the support, where x is not 0 or kappa is 0 (what is 0 besides stays there as long as |A_j' (w r)| < kappa_j). The minimum
x(t) has g(x(t); t) = 0, and so, with dg and dJ the derivatives of g and J in t at a fixed x,

    H dx = -dg        dvalue = dJ

The first is the implicit function theorem (Krantz & Parks, The Implicit Function Theorem, 2002, chapter 3; Blondel et al.
2022, Efficient and modular implicit differentiation, section 2.1), the second the envelope theorem. Origin and units of the
working columns (see `jaxlr.solvers.working`) are constants here: the coefficients on X do not depend on them.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.operators import Standardized, first_columns, times, times_transposed
from jaxlr.model.logistic import curvature, logistic_loss, residual
from jaxlr.model.objective import Problem, row_weights
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.newton_cg import STIFF, preconditioner
from jaxlr.solvers.working import Shared, from_working, hessian_of, params_to_working

# Where a model did not converge, what its derivatives are computed from: finite, and with no derivative of 0.
_STAND_IN = {"y": 0.5, "sample_weight": 1, "offset": 0, "l1": 1, "l2": 1, "penalty_factor": 1}


def differentiable(fit: Fit, fields: dict[str, Any], shared: Shared, in_span: bool = False) -> Fit:
    """Give params and value of one model their derivatives; all else in a Fit has none.

    Args:
        fit: of one model, computed from whatever has no derivatives.
        fields: as in `jaxlr.solvers.solve.fit_one`, with their derivatives.
        shared: the prepared design; `rows` has the derivatives of X.
        in_span: static; whether the model was fitted in the span of its rows, see `jaxlr.batching.lanes.fit_wide`.

    Returns:
        The same Fit. The derivatives of a model that is not CONVERGED are NaN.
    """
    t = {name: value for name, value in fields.items() if name not in ("units", "sd")} | {"A": shared.rows}
    sd, shared = jax.lax.stop_gradient((fields.get("sd"), shared._replace(rows=None, units=None)))
    params, value = jax.lax.stop_gradient((fit.params, fit.value))
    params, value = _minimum(in_span, t, params, value, fit.status, sd, shared)
    return replace(fit, params=params, value=value)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _minimum(in_span: bool, t: dict[str, Any], params: Params, value: Array, status: Array, sd: Any, shared: Shared) -> tuple:
    """Params and value as the solver found them: where nothing is differentiated, this is nothing at all."""
    del in_span, t, status, sd, shared
    return params, value


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moving_minimum(
    in_span: bool, t: dict[str, Any], params: Params, value: Array, status: Array, sd: Any, shared: Shared
) -> tuple:
    """The same for derivatives of derivatives: x - H^-1 (g - constant g) = x, and J likewise.

    In the reverse mode of a scan JAX forgets custom rules; this formula has the first derivatives of the minimum without
    its rule, and with b = 0 the solve costs nothing.
    """
    del in_span
    at, x, finite = _where_it_stands(t, params, status, shared)
    g, J = _gradient_and_value(at, x, finite, sd)
    hessian = _hessian(at, x, finite, sd)
    scale = jnp.sum(hessian.d) + hessian.strength
    dx = _conjugate_gradients(hessian, jnp.where(hessian.free, jax.lax.stop_gradient(g) - g, 0), lambda r: r / scale)
    moved = (_on_X(dx, finite), J - jax.lax.stop_gradient(J))
    return jax.tree.map(jnp.add, (params, value), moved)


def _derivative(in_span: bool, primals: tuple, tangents: tuple) -> tuple:
    t, _, _, status, sd, shared = primals
    params, value = _moving_minimum(in_span, *primals)
    at, x, finite = _where_it_stands(t, params, status, shared)
    parts, structure = jax.tree.flatten(at)
    moving = {i: part for i, part in enumerate(jax.tree.leaves(tangents[0])) if not isinstance(part, SymbolicZero)}

    def slopes(moved: dict[int, Array]) -> tuple[Array, Array]:
        whole = jax.tree.unflatten(structure, [moved.get(i, part) for i, part in enumerate(parts)])
        return _gradient_and_value(whole, x, finite, sd)

    _, changes = jax.jvp(slopes, ({i: parts[i] for i in moving},), (moving,))
    solve = _solve_in_span if in_span else _solve
    return (params, value), _response(solve, _hessian(at, x, finite, sd), status, finite, changes)


_minimum.defjvp(_derivative, symbolic_zeros=True)
_moving_minimum.defjvp(_derivative, symbolic_zeros=True)


def _where_it_stands(
    t: dict[str, Any], params: Params, status: Array, shared: Shared
) -> tuple[dict[str, Any], Float[Array, " k"], Shared]:
    """t, x and the prepared design without what is not finite, which belongs to models that did not converge.

    Out of the way, it leaves no NaN in what they share with others; their own derivatives become NaN in the solve.
    """
    converged = status == Status.CONVERGED
    center = jnp.where(jnp.isfinite(shared.center), shared.center, 0)
    shared = shared._replace(center=center, unit=jnp.where(jnp.isfinite(shared.unit), shared.unit, 1))
    A = t["A"]
    if not isinstance(A, Standardized):  # that is checked on the host, and not to be copied
        A = jax.tree.map(lambda part: jnp.where(jnp.isfinite(part), part, 0), A)
    t = {name: jnp.where(converged, part, _STAND_IN[name]) for name, part in t.items() if name != "A"} | {"A": A}
    working = params_to_working(params, shared)
    return t, jnp.where(converged, jnp.append(working.coef, working.intercept)[: A.shape[1]], 1), shared


def _gradient_and_value(
    t: dict[str, Any], x: Float[Array, " k"], shared: Shared, sd: Any
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """g and J."""
    w, absolute, strength = _weights_and_penalties(t, shared, sd)
    z = times(t["A"], x) + t.get("offset", 0)
    g = times_transposed(t["A"], w * residual(z, t["y"])) + absolute * jnp.sign(x) + strength * x
    return g, jnp.sum(w * logistic_loss(z, t["y"])) + jnp.sum(absolute * jnp.abs(x)) + jnp.sum(strength / 2 * x * x)


def _weights_and_penalties(
    t: dict[str, Any], shared: Shared, sd: Any
) -> tuple[Float[Array, " m"], Float[Array, " k"], Float[Array, " k"]]:
    """w, kappa and lambda, both 0 for the intercept."""
    n, k = len(shared.unit), t["A"].shape[1]
    w = row_weights(Problem(t["A"], None, sample_weight=t.get("sample_weight")))
    if sd is None:
        scale = 1 / shared.unit
    else:  # penalties in standard deviations: those of working columns are near 1, so that the difference keeps its digits
        A = first_columns(t["A"], n)
        variance = times_transposed(jax.tree.map(jnp.square, A), w) - times_transposed(A, w) ** 2
        scale = jnp.where(sd > 0, jnp.sqrt(jnp.where(sd > 0, variance, 1)), 0)
    factor = t.get("penalty_factor", jnp.ones(n, w.dtype))
    absolute, strength = t.get("l1", 0 * t["l2"]) * factor * scale, t["l2"] * factor * scale**2
    return w, jnp.pad(absolute, (0, k - n)), jnp.pad(strength, (0, k - n))


class _Hessian(NamedTuple):
    """H in parts."""

    A: Any
    d: Array  # weights times curvatures (m,)
    strength: Array  # lambda (k,)
    free: Array  # whether a coefficient may move (k,); what is held at 0 has the identity

    def times(self, v: Float[Array, " k"]) -> Float[Array, " k"]:
        """H v."""
        moved = times_transposed(self.A, self.d * times(self.A, jnp.where(self.free, v, 0))) + self.strength * v
        return jnp.where(self.free, moved, v)


def _hessian(t: dict[str, Any], x: Float[Array, " k"], shared: Shared, sd: Any) -> _Hessian:
    w, absolute, strength = _weights_and_penalties(t, shared, sd)
    free = (x != 0) | (absolute == 0)
    if sd is not None:
        free &= jnp.pad(sd > 0, (0, len(x) - len(sd)), constant_values=True)
    return _Hessian(t["A"], w * curvature(times(t["A"], x) + t.get("offset", 0)), strength, free)


def _response(
    solve: Callable[[Shared, _Hessian, Array], Array],
    hessian: _Hessian,
    status: Array,
    shared: Shared,
    changes: tuple[Float[Array, " k"], Float[Array, ""]],
) -> tuple[Params, Float[Array, ""]]:
    """dparams and dvalue of changes dg and dJ, both linear in them.

    NaN for both where the model did not converge, or the solve failed; but 0 of what is 0, so that in reverse mode a model
    that nobody asks about leaves no NaN in what it shares with others.
    """

    def solved(_: Callable, changes: Array) -> Array:
        b, slope = jnp.where(hessian.free, changes[:-1], 0), changes[-1]
        largest = jnp.max(jnp.abs(b))
        largest = jnp.where(largest > 0, largest, 1)
        dx = largest * solve(shared, hessian, b / largest)
        terms = (b, jnp.sum(hessian.d) * dx, hessian.strength * dx)  # mean squares of working columns are about 1
        enough = jnp.finfo(dx.dtype).eps ** 0.5 * sum(jnp.linalg.norm(term) for term in terms)
        trusted = (status == Status.CONVERGED) & (jnp.linalg.norm(hessian.times(dx) - b) <= enough)
        otherwise = jnp.where(jnp.any(b != 0) | (slope != 0), jnp.nan, 0)
        return jnp.where(trusted, jnp.append(dx, slope), otherwise)

    # In one array: in reverse over reverse mode JAX transposes a solve of several only where all of them are linear.
    b = jnp.append(jnp.where(hessian.free, -changes[0], 0), changes[1])
    moved = jax.lax.custom_linear_solve(lambda v: jnp.append(hessian.times(v[:-1]), v[-1]), b, solved, symmetric=True)
    return _on_X(moved[:-1], shared), moved[-1]


def _on_X(dx: Float[Array, " k"], shared: Shared) -> Params:
    n = len(shared.unit)
    return from_working(Params(dx[:n], jnp.sum(dx[n:])), shared)


def _solve(shared: Shared, hessian: _Hessian, b: Float[Array, " k"]) -> Float[Array, " k"]:
    """By conjugate gradients, preconditioned by the factored Hessian itself (a step or two), or as `newton_cg` is, or, on the
    support of very many columns, by the diagonal."""
    if shared.columns is not None:
        squares = times_transposed(shared.A**2, hessian.d) + hessian.strength
        return _conjugate_gradients(hessian, b, lambda r: jnp.where(hessian.free, r / squares, r))
    if shared.inverse is None:
        jitter = jnp.asarray(jnp.finfo(b.dtype).eps ** 0.75)
        H, s = in_own_units(hessian_of(shared, hessian.d), hessian.strength, hessian.free, jitter)
        L = cholesky(H)

        def factored(r: Array) -> Array:
            return s * solve_lower(L, solve_lower(L, (s * r)[:, None]), transposed=True)[:, 0]

        return _conjugate_gradients(hessian, b, factored)

    precondition, dtype = preconditioner(shared, hessian.strength), shared.inverse.dtype
    stiff = hessian.strength > STIFF  # nothing else counts there, nor fits into float32

    def preconditioned(r: Array) -> Array:
        soft = precondition(jnp.where(stiff, 0, r).astype(dtype)).astype(r.dtype)
        return jnp.where(hessian.free, jnp.where(stiff, r / jnp.where(stiff, hessian.strength, 1), soft), 0)

    return _conjugate_gradients(hessian, b, preconditioned)


def _solve_in_span(shared: Shared, hessian: _Hessian, b: Float[Array, " k"]) -> Float[Array, " k"]:
    """The same for more columns than rows and one l2 for all: m equations, in the singular vectors of the centered X.

    Across the span of the rows H is l2 alone; along it, l2 + mean(d) S^2 preconditions.
    """
    unit, n, eps = shared.unit, len(shared.unit), jnp.finfo(b.dtype).eps
    X, c, l2 = shared.A[:, :n] * unit[None, :], jnp.sum(hessian.d), hessian.strength[0] * unit[0] ** 2
    _, S, V = jnp.linalg.svd(X, full_matrices=False)
    A = jnp.concatenate([jnp.dot(X, V.T, precision="highest"), shared.A[:, n:]], axis=1)
    k = A.shape[1]
    small = _Hessian(A, hessian.d, jnp.pad(jnp.full_like(S, l2), (0, k - len(S))), jnp.ones(k, bool))
    diagonal = c * jnp.append(jnp.maximum(S**2 / len(X), eps * S[0] ** 2), 1)[:k] + small.strength
    right = b[:n] * unit
    along = times(V, right)
    across = right - times_transposed(V, along)
    across = across - times_transposed(V, times(V, across))
    v = _conjugate_gradients(small, jnp.append(along, b[n:]), lambda r: r / diagonal)
    x = times_transposed(V, v[: len(S)]) + jnp.where(l2 > 0, across / jnp.where(l2 > 0, l2, 1), 0)
    return jnp.append(x * unit, v[len(S) :])


def _conjugate_gradients(
    hessian: _Hessian, b: Float[Array, " k"], precondition: Callable[[Array], Array]
) -> Float[Array, " k"]:
    # Far below it, what is left of b is rounding, also along directions that H does not resolve.
    enough = float(jnp.finfo(b.dtype).eps ** 0.75)
    return jax.scipy.sparse.linalg.cg(hessian.times, b, tol=enough, M=precondition)[0]
