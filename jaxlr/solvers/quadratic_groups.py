"""The quadratic of a proximal Newton step with norms of groups: proximal gradients find the groups, Newton takes the rest.

    minimize  q(v) = g . (v - v0) + (v - v0)' H (v - v0) / 2 + sum_j l1_j |v_j| + sum_g lambda_g |D_g v_g|

A proximal gradient step moves all groups at once, each in a metric that is over its block of H, L_g D_g^2 with L_g the
Frobenius norm of D^-1 H_gg D^-1, in which its minimum has a closed form: soft thresholding of the columns, then of the norm,

    e = soft(v - (g + H (v - v0)) / (L D^2), l1 / (L D^2))        v_g <- e_g max(1 - lambda_g / (L_g |D_g e_g|), 0)

(Yuan & Lin 2006, Journal of the Royal Statistical Society B 68, section 2; Simon et al. 2013, Journal of Computational and
Graphical Statistics 22, section 3.) Groups that correlate make it too long: q being convex, it falls on the way up to the
minimum of the parabola that is over it. On the face of what is at no kink the norms are smooth, with second derivative N, and
Newton's equations

    (H + N)_SS delta = -(g + H (v - v0) + l1 sign(v) + D a)_S        D a the derivative of the norms

take several lengths; a coefficient whose sign, or a group whose direction turns round on the way ends at 0. Of these points the
one with the lowest q is taken, if it is lower.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg import blocked
from jaxlr.linalg.dot import dot
from jaxlr.model.bounds import Bounded
from jaxlr.model.groups import Grouped
from jaxlr.model.norms import largest, norms, sums
from jaxlr.solvers.quadratic import rounding
from jaxlr.solvers.together import largest_of_all

_MOST_PASSES = 64  # what is left then is for the next quadratic
_GRADIENTS = 4  # steps of that kind before one of Newton's
_FIXED_POINTS = 8
# Lengths from the first kink to the whole step, and shorter ones.
_EXPONENTS, _SHARES = np.append(np.linspace(1, 0, 6), [1, 1]), np.append(np.ones(6), [0.5, 0.25])


class _State(NamedTuple):
    v: Array
    free: Array  # whether nothing stood in the way of the last step on the face
    residual: Array
    num_passes: Int[Array, ""]


def minimize(
    H: Float[Array, "k k"],
    slope: Float[Array, " k"],
    start: Float[Array, " k"],
    penalty: Grouped,
    units: Float[Array, " k"],
    enough: Float[Array, ""],
) -> Float[Array, " k"]:
    """Minimize the quadratic: v with exact zeros, no higher than the start; not finite where a factor failed.

    Args:
        H, slope, start, units, enough: as in `jaxlr.solvers.quadratic.minimize`.
        penalty: of v, l2 apart, with the norms.
    """
    k, number = len(slope), penalty.number
    unit = largest(penalty.weights, number)  # with weights of at most 1 no square overflows
    penalty = penalty._replace(weights=penalty.weights / unit, l1_group=penalty.l1_group * unit)
    D, l1, strength = penalty.weights, jnp.where(penalty.free, penalty.l1, jnp.inf), penalty.l1_group
    used = largest_of_all(jnp.max(jnp.where(penalty.free, k - np.arange(k, dtype=np.int32), 0)))  # the last ones
    scaled = jnp.where(number[:, None] == number[None, :], H / (D[:, None] * D[None, :]), 0)
    metric = jnp.sqrt(sums(jnp.sum(scaled * scaled, axis=1), number)) * (D * D)

    zeros = penalty.nearest(jnp.zeros_like(slope))

    def slope_at(v: Array) -> Array:
        return slope + dot(H, v - start)

    def residual_at(v: Array, slope: Array) -> Array:
        return jnp.max((penalty.violations(slope, v) - rounding(v, start)) / units)

    def shrunk(e: Array) -> Array:
        """The minimum of |D (v - e)|^2 L / 2 + lambda |D v|, within bounds where there are some."""
        shrinking = strength * (D * D) / metric
        size = norms(D * e, number)
        to = e * jnp.maximum(1 - shrinking / jnp.where(size > 0, size, 1), 0)
        if not isinstance(penalty.base, Bounded):
            return to
        size = norms(D * penalty.nearest(e), number)
        for _ in range(_FIXED_POINTS):
            to = penalty.nearest(e * (size / jnp.where(size > 0, size + shrinking, 1)))
            size = norms(D * to, number)
        leads = norms(D * jnp.where(penalty.nearest(jnp.sign(e)) == zeros, 0, e), number) > shrinking
        return jnp.where(leads | (norms(zeros, number) > 0), to, 0)

    def gradient_step(_: Any, at: tuple[Array, Array]) -> tuple[Array, Array]:
        v, slope = at
        moved = v - slope / metric
        to = shrunk(jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - l1 / metric, 0))
        change = to - v
        H_change = dot(H, change)
        curved = jnp.sum(change * H_change)
        falls = -jnp.sum(slope * change + penalty.growth(v, to))
        t = jnp.where(falls < curved, jnp.maximum(falls, 0) / jnp.where(curved > 0, curved, 1), 1)
        return jnp.where(t < 1, v + t * change, to), slope + t * H_change

    def newton_step(v: Array, slope: Array) -> tuple[Array, Array]:
        """Where it leads, and whether nothing came to a kink on the way."""
        face = ~penalty.rests(v)
        norm = penalty.curvature(v)
        curved = jnp.where(face[:, None] & face[None, :], H + norm.matrix(), 0)
        s = jax.lax.rsqrt(jnp.where(face, jnp.diagonal(curved), 1))
        L = blocked.factor(jnp.where(np.eye(k, dtype=bool), 1, curved * s[:, None] * s[None, :]), used)
        delta = jnp.where(face, s * blocked.solve(L, jnp.where(face, -s * (slope + penalty.slope(v)), 0)), 0)

        # How far a coefficient is from a kink of its own, and its group from where v + t delta is at a right angle to v.
        comes, kink = penalty.base.turns(v, delta)
        away = jnp.where(face & comes, (v - kink) / jnp.where(delta == 0, 1, -delta), jnp.inf)
        y = D * D * v
        size, turn = sums(jnp.stack([y * v, -y * delta], axis=1), number).T
        turns = jnp.where((strength > 0) & (turn >= size) & (size > 0), size / jnp.where(turn > 0, turn, 1), jnp.inf)
        first = jnp.minimum(jnp.min(jnp.minimum(away, turns)), 1)
        lengths = (first ** _EXPONENTS.astype(v.dtype) * _SHARES.astype(v.dtype))[None, :]
        to = jnp.where(
            away[:, None] <= lengths, jnp.broadcast_to(kink, v.shape)[:, None], v[:, None] + lengths * delta[:, None]
        )
        to = jnp.where(turns[:, None] <= lengths, zeros[:, None], to)
        changes = to - v[:, None]  # (k, lengths)
        changed = jnp.sum(changes * (slope[:, None] + dot(H, changes) / 2), axis=0)
        squares = sums(jnp.concatenate([to, v[:, None]], axis=1) ** 2 * (D * D)[:, None], number)
        sizes = jnp.sqrt(squares)
        both = sizes[:, :-1] + sizes[:, -1:]
        grown = (strength * D * D)[:, None] * changes * (v[:, None] + to) / jnp.where(both > 0, both, 1)
        grown = grown + jnp.where(penalty.free, l1, 0)[:, None] * (jnp.abs(to) - jnp.abs(v)[:, None])
        changed = changed + jnp.sum(grown, axis=0)
        lowest = jnp.argmin(changed)  # of a NaN, where a factor failed
        stays = changed[lowest] >= 0
        return jnp.where(stays, v, to[:, lowest]), stays | (first == 1)

    def one_pass(state: _State) -> _State:
        # Not after a kink, or what has just come to it would be taken in again.
        count = largest_of_all(jnp.where(state.free, np.int32(_GRADIENTS), 0))
        own = state.v, slope_at(state.v)
        moved = jax.lax.fori_loop(0, count, gradient_step, own)
        v, slope = (jnp.where(state.free, new, old) for new, old in zip(moved, own, strict=True))
        v, free = newton_step(v, slope)
        return _State(v, free, residual_at(v, slope_at(v)), state.num_passes + 1)

    size = jnp.abs(slope - dot(H, start)) / units
    enough = jnp.maximum(enough, 4 * jnp.finfo(slope.dtype).eps * jnp.max(size))  # what rounding leaves
    more = lambda state: (state.residual > enough) & (state.num_passes < _MOST_PASSES)  # noqa: E731
    begin = _State(start, jnp.bool_(True), jnp.full_like(enough, jnp.inf), jnp.int32(0))
    return jax.lax.while_loop(more, one_pass, begin).v
