"""The quadratic of a proximal Newton step, with its absolute penalties: coordinate by coordinate, then Newton on the support.

    minimize  q(v) = g . (v - v0) + (v - v0)' H (v - v0) / 2 + sum_j l1_j |v_j|       and within bounds, where there are some

A sweep over the coordinates, each at its own minimum (soft thresholding, clipped), finds the support and its signs, the support
being what rests at no kink, neither 0 nor a bound; Newton's equations on it take the rest of the way at once, as far as no
coefficient comes to a kink:

    H_SS delta = -(g + H (v - v0) + l1 sign(v))_S       v_S <- v_S + t delta

Coefficients that would go beyond a kink stop there: with t at the first of them q falls, and of some larger t, where several
stop at once, the one with the lowest q is taken. As long as there are such coefficients no sweep comes between, or
it would take them in again. Both halves lower q, so that the repetition cannot cycle, and correlated columns, on which sweeps
alone would take for ever, cost a few factors. Sweeps: Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33,
section 3; steps on a face: the active set method of Nocedal & Wright, Numerical Optimization (2006), section 16.5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg import blocked
from jaxlr.linalg.dot import dot
from jaxlr.model.bounds import Bounded
from jaxlr.model.penalty import Penalty
from jaxlr.solvers.together import anew_if, largest_of_all

_MOST_PASSES = 64  # what is left then is for the next quadratic
_EXPONENTS = np.linspace(1, 0, 8)  # lengths from the first kink to the whole step


class Factor(NamedTuple):
    """The factor of H on a support (k,), with the identity elsewhere."""

    factor: blocked.Blocked
    support: Array


def rounding(v: Float[Array, " k"], start: Float[Array, " k"]) -> Float[Array, ""]:
    """What is not known of a slope g + H (v - v0), v itself being rounded, the diagonal of H 1 and no entry larger: all that is
    left of it where v or v - v0 is long, as under separation."""
    return jnp.finfo(v.dtype).eps * jnp.sum(jnp.abs(v) + jnp.abs(v - start))


def no_factor(H: Float[Array, "k k"]) -> Factor:
    """Of no support, in the shape of a factor.

    Args:
        H: for its shape and dtype.
    """
    return Factor(blocked.nothing(len(H), H.dtype), jnp.zeros(len(H), bool))


class _State(NamedTuple):
    v: Array
    sweeps: Array  # whether a sweep comes first: no coefficient stood in the way of the last step on the support
    residual: Array
    num_passes: Int[Array, ""]
    factor: Factor | None


def minimize(
    H: Float[Array, "k k"],
    slope: Float[Array, " k"],
    start: Float[Array, " k"],
    penalty: Penalty | Bounded,
    units: Float[Array, " k"],
    enough: Float[Array, ""],
    factor: Factor | None = None,
) -> tuple[Float[Array, " k"], Factor | None]:
    """Minimize the quadratic: v with exact zeros, no higher than the start; not finite where a factor failed. And the last
    factor, where one was given.

    Args:
        H: symmetric, positive definite, its diagonal nearly 1.
        slope: g, of the smooth part at the start: where little is left of it, no digit of that is lost to H v.
        start: v0, where q is already low; a step is always taken, for rounding may be all that its residual is.
        penalty: of v, l2 apart; an l1 of inf holds a coefficient at 0, where `start` has it.
        units: in which residuals are measured, > 0.
        enough: residual at which to stop.
        factor: the last one of the same H; None where none is kept.
    """
    k = len(slope)
    used = largest_of_all(jnp.max(jnp.where(jnp.isinf(penalty.l1), 0, k - np.arange(k, dtype=np.int32))))  # the last ones
    diagonal = jnp.diagonal(H)
    in_own_units = penalty.over(diagonal)

    def slope_at(v: Array) -> Array:
        return slope + dot(H, v - start)

    b = slope - dot(H, start)  # digits enough for a sweep, which finds the support

    def coordinate(j: Array, v: Array) -> Array:
        every = (H, v, b, diagonal, in_own_units)
        row, at, first, curvature, own = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, j, keepdims=False), every)
        return jax.lax.dynamic_update_index_in_dim(v, own.prox(at - (first + dot(row, v)) / curvature), j, 0)

    def factored(support: Array) -> blocked.Blocked:
        face = jnp.where(support[:, None] & support[None, :], H, 0)
        return blocked.factor(jnp.where(np.eye(k, dtype=bool), diagonal[:, None], face), used)

    def one_pass(state: _State) -> _State:
        # From the last to the first: a column that comes in before the others have moved often has to go again.
        count = largest_of_all(jnp.where(state.sweeps, used, 0))
        swept = jax.lax.fori_loop(0, count, lambda i, v: coordinate(k - 1 - i, v), state.v)
        v = jnp.where(state.sweeps, swept, state.v)
        support = ~penalty.rests(v)
        slope = slope_at(v) + jnp.where(support, penalty.l1 * jnp.sign(v), 0)
        if state.factor is None:
            kept, L = None, factored(support)
        else:
            others = jnp.any(support != state.factor.support)
            L = anew_if(others, lambda: factored(support), state.factor.factor)
            kept = Factor(L, support)
        delta = jnp.where(support, blocked.solve(L, jnp.where(support, -slope, 0)), 0)
        comes, kink = penalty.turns(v, delta)
        turns = support & comes
        reach = jnp.where(turns, (v - kink) / jnp.where(turns, -delta, 1), 1)
        lengths = jnp.min(reach) ** _EXPONENTS.astype(v.dtype)
        gone = turns[None, :] & (reach[None, :] <= lengths[:, None])
        changes = jnp.where(gone, (kink - v)[None, :], lengths[:, None] * delta[None, :])
        H_change = dot(changes, H)
        falls = dot(changes, slope) + jnp.sum(changes * H_change, axis=1) / 2
        lowest = jnp.argmin(falls)
        v = jnp.where(gone[lowest], kink, v + changes[lowest])
        residual = jnp.max((penalty.violations(slope_at(v), v) - rounding(v, start)) / units)
        return _State(v, ~jnp.any(turns), residual, state.num_passes + 1, kept)

    enough = jnp.maximum(enough, 4 * jnp.finfo(b.dtype).eps * jnp.max(jnp.abs(b) / units))  # what rounding leaves
    more = lambda state: (state.residual > enough) & (state.num_passes < _MOST_PASSES)  # noqa: E731
    # With the factor of this support a step on it comes first.
    sweeps = jnp.bool_(True) if factor is None else jnp.any(penalty.rests(start) == factor.support)
    begin = _State(start, sweeps, jnp.full_like(enough, jnp.inf), jnp.int32(0), factor)
    end = jax.lax.while_loop(more, one_pass, begin)
    return end.v, end.factor
