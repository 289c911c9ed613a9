"""Proximal Newton's method without a Hessian: for sparse designs, whose supports may be thousands of columns.

    minimize  q(d) = g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' C A + diag(l2),   D its diagonal

as in `jaxlr.solvers.proximal`, but H is known by its products alone. With v = x + d, r = g + H d the slope of the quadratic and
the face of the columns with v_j != 0, every round takes one product with H and one of these steps:

    conjugate gradients    on the face, preconditioned by D, up to the first coefficient that becomes 0
    a projection           of what is left of that step: whatever would change its sign becomes 0
    a proximal gradient    v <- soft(v - r / (L D), l1 / (L D)), L the curvature of the last such step over D

The last one brings in columns; it comes where the conditions of what is 0 are violated more than those on the face. Steps of
the last two kinds are taken whole where q falls, which keeps their zeros, and else end at the minimum along them. So q always
falls, and once the face is right, conjugate gradients converge on it. (Interleaved proximal gradients and conjugate gradients:
Solntsev, Nocedal & Byrd 2015, Optimization Methods and Software 30, algorithm iiCG.) Models side by side take such steps each
of its own kind, with their products in one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import aligned
from jaxlr.model.penalty import violations
from jaxlr.solvers.damped import Solution, curvature_along, damping, minimize
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.newton_cg import SHARE
from jaxlr.solvers.proximal import ENOUGH, SHORTER
from jaxlr.solvers.system import System

_MOST_PRODUCTS = 400  # in one direction
_LEFT = 0.1  # of the residual, at most


class _State(NamedTuple):
    v: Array
    dz: Array  # A (v - x)
    r: Array  # slope of the quadratic at v
    p: Array  # the next step, or its direction
    conjugate: Array  # whether that is one of conjugate gradients
    size: Array  # psi . psi / D of conjugate gradients
    steepness: Array  # L
    residual: Array
    num_products: Array


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array) -> Solution:
    """Minimize the objective of one problem, l1 >= 0 (inf holds a coefficient at 0), from `start` or 0; zeros are exact."""
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, POLISH).astype(tol.dtype)

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: None) -> Direction:
        del kept
        return _direction(system, x, here, jitter, running, polish * tol)

    found = minimize(system, start, tol, max_steps, direction, polish)
    unpenalized = system.penalty.l1 + system.penalty.l2 == 0
    return found._replace(params=system.likelihood.zero_sums(found.params, unpenalized))


def _direction(system: System, x: Array, here: Point, jitter: Array, running: Array, wanted: Array) -> Direction:
    likelihood, penalty, kkt = system.likelihood, system.penalty, here.kkt
    curvature = likelihood.curvature(here.z, system.w)
    # On the scale of the Hessian, or it would hide a separation.
    jitter = jitter * jnp.sum(curvature.diagonal())
    l1, units = aligned(penalty.l1, x), aligned(system.scale, x)
    l2 = aligned(penalty.l2 + (damping(kkt) + jitter) * system.squares, x)
    diagonal = system.A.squares_times(curvature.diagonal()) + l2
    diagonal = jnp.where(aligned(system.free, x) & (diagonal > 0), diagonal, 1)

    def product(p: Array) -> tuple[Array, Array]:
        dz = system.A.times(p)
        return dz, jnp.where(aligned(system.free, p), system.A.transposed_times(curvature.times(dz)) + l2 * p, 0)

    least = jnp.where(system.suffices, jnp.inf, kkt / 100)

    def close(dz: Array, residual: Array) -> Array:
        changes = jnp.sum(system.w * likelihood.reach(dz) ** 2)
        return residual <= jnp.maximum(jnp.minimum(SHARE * changes, _LEFT * kkt), jnp.minimum(wanted / 4, least))

    end = _minimum(product, x, here, diagonal, l1, units, close, running)
    d, dz = end.v - x, end.dz
    d = jnp.where(end.v == 0, -x, d)
    curved = jnp.sum(dz * curvature.times(dz)) + jnp.sum(l2 * d * d)
    grown = jnp.where(aligned(system.free, x), l1, 0) * (jnp.abs(end.v) - jnp.abs(x))
    fall = -jnp.sum(here.g * d) - curved / 2 - jnp.sum(grown)
    length = jnp.where(fall >= ENOUGH * curved, 1, SHORTER)
    hides = jnp.bool_(False)
    if system.margins is not None:  # along what has no penalty
        along = jnp.where(l1 > 0, 0, system.margins)
        hides = jnp.sum(along * along) ** 2 > system.hidden_from * curvature_along(system, curvature, along)
    curved_alone = jnp.sum(curvature.diagonal(), axis=-1, keepdims=True)
    return Direction(
        d=d * length,
        dz=dz * length,
        decrement=jnp.sqrt(curved),
        error=end.residual,
        unresolved=jnp.sqrt(jitter * jnp.sum(aligned(system.squares, d) * d * d)),
        hides=hides,
        inexact=jnp.any(jnp.abs(end.r[..., system.n :]) > 1e-2 * curved_alone),
        crude=end.num_products >= _MOST_PRODUCTS,
    )


def _minimum(
    product: Callable[[Array], tuple[Array, Array]],
    x: Float[Array, "*K k"],
    here: Point,
    diagonal: Float[Array, "*K k"],
    l1: Float[Array, "... k"],
    units: Float[Array, "... k"],
    close: Callable[[Array, Array], Array],
    running: Bool[Array, ""],
) -> _State:
    """Minimize the quadratic, from x.

    Args:
        product: from p to A p and H p.
        here: where its slope is that of the smooth part of J.
        diagonal: of H, > 0.
        l1: inf holds a coefficient at 0.
        units: in which residuals are measured.
        close: of the change of the logits and the residual left, whether that may do.
        running: whether the minimum counts.
    """

    def soft(u: Array, most: Array) -> Array:
        return jnp.sign(u) * jnp.maximum(jnp.abs(u) - most, 0)

    def onward(state: _State) -> _State:
        """What to do next, at v and r: p, of conjugate gradients where `conjugate` says that its size and p may go on."""
        v, r = state.v, state.r
        face = (v != 0) | (l1 == 0)
        psi = jnp.where(face, r + jnp.where(face, l1, 0) * jnp.sign(v), 0)
        violated = violations(r, v, l1) / units
        inside, outside = (jnp.max(jnp.where(where, violated, 0)) for where in (face, ~face))
        y = psi / diagonal
        size = jnp.sum(psi * y)
        p = -y + jnp.where(state.conjugate, size / jnp.where(state.size > 0, state.size, 1), 0) * state.p
        scale = state.steepness * diagonal
        entering = soft(v - r / scale, l1 / scale) - v
        conjugate = inside >= outside
        return state._replace(
            p=jnp.where(conjugate, jnp.where(face, p, 0), entering),
            conjugate=conjugate,
            size=size,
            residual=jnp.maximum(inside, outside),
        )

    def one_round(state: _State) -> _State:
        v, p = state.v, state.p
        dz, Hp = product(p)
        curved = jnp.sum(p * Hp)
        inverse = 1 / jnp.where(curved > 0, curved, 1)
        # Along a whole step signs do not change, or from 0 only: the absolute values are linear.
        grown = jnp.sum(jnp.where(jnp.isinf(l1), 0, l1) * (jnp.abs(v + p) - jnp.abs(v)))
        best = -(jnp.sum(state.r * p) + grown) * inverse
        whole = jnp.where(best >= 0.5, 1, best)
        alpha = state.size * inverse
        turns = state.conjugate & (l1 > 0) & (v != 0) & ((v + alpha * p) * v <= 0)
        reach = jnp.where(turns, v / jnp.where(turns, -p, 1), jnp.inf)
        first = jnp.minimum(alpha, jnp.min(reach))
        t = jnp.where(curved > 0, jnp.where(state.conjugate, first, whole), 0)
        moved = v + t * p
        moved = jnp.where(turns & (reach <= first), 0, moved)
        projected = jnp.where(turns, -moved, (alpha - first) * p)
        steep = curved / jnp.maximum(jnp.sum(diagonal * p * p), jnp.finfo(v.dtype).tiny)
        new = onward(
            state._replace(
                v=moved,
                dz=state.dz + t * dz,
                r=state.r + t * Hp,
                conjugate=state.conjugate & ~jnp.any(turns),
                steepness=jnp.where(state.conjugate | (curved <= 0), state.steepness, jnp.maximum(steep, 0.5)),
                num_products=state.num_products + 1,
            )
        )
        stopped = jnp.any(turns)
        p = jnp.where(stopped, projected, new.p)
        return new._replace(p=p, conjugate=new.conjugate & ~stopped)

    rounding = 4 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(here.g) / units)
    no, one = jnp.bool_(False), jnp.ones((), x.dtype)
    begin = onward(_State(x, jnp.zeros_like(here.z), here.g, jnp.zeros_like(x), no, one, one, one, jnp.int32(0)))

    def more(at: _State) -> Array:
        return running & (at.num_products < _MOST_PRODUCTS) & (at.residual > rounding) & ~close(at.dz, at.residual)

    return jax.lax.while_loop(more, one_round, begin)
