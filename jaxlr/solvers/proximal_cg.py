"""Proximal Newton's method without a Hessian: for sparse designs, whose supports may be thousands of columns.

    minimize  q(d) = g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' C A + diag(l2),   D its diagonal

as in `jaxlr.solvers.proximal`, but H is known by its products alone. With v = x + d, e = H d and the slopes on both sides of 0,

    plus = g + l1 + e      minus = g - l1 + e      (that of q is plus where v_j > 0, minus where v_j < 0)

and the face of the columns with v_j != 0, every round takes one product with H and one of these steps:

    conjugate gradients    on the face, preconditioned by D, up to the first coefficient that becomes 0
    a projection           of what is left of that step: whatever would change its sign becomes 0
    a proximal gradient    v <- soft(v - (g + e) / (L D), l1 / (L D)), but no further than 0 where v is not 0 yet; L is the
                           curvature of the last such step over D

The last one brings in columns; it comes where the conditions of what is 0 are violated more than those on the face. Steps of
the last two kinds are taken whole where q falls, which keeps their zeros, and else end at the minimum along them. So q always
falls, and once the face is right, conjugate gradients converge on it. (Interleaved proximal gradients and conjugate gradients:
Solntsev, Nocedal & Byrd 2015, Optimization Methods and Software 30, algorithm iiCG.) Models side by side take such steps each
of its own kind, with their products in one.

Where every column has a penalty all of that is in float32, as for `newton_cg`: g + l1 and g - l1 are rounded as differences, in
units of the largest violation, so that what is left of a direction is a small share of it however small it is. Gradients and
certificates have the full precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.linalg.operators import Standardized
from jaxlr.solvers.damped import Solution, curvature_along, damping, minimize
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.newton_cg import SHARE
from jaxlr.solvers.proximal import ENOUGH, SHORTER
from jaxlr.solvers.system import System

_MOST_PRODUCTS = 400  # in one direction
_LEFT = 0.1  # of the residual, at most
_ROUNDING = 16  # times eps, of the largest violation: what a direction may leave


class _State(NamedTuple):
    d: Array
    dz: Array  # A d
    e: Array  # H d
    p: Array  # the next step, or its direction
    vanishes: Array  # which coefficients that step, if taken whole, makes 0
    conjugate: Array  # whether it is one of conjugate gradients
    size: Array  # psi . psi / D of conjugate gradients
    steepness: Array  # L
    residual: Array
    num_products: Array


class _Quadratic(NamedTuple):
    """What does not change from round to round, in units of the largest violation.

    Attributes:
        product: from p to A p and H p.
        x: where d is 0.
        plus, minus: g + l1 and g - l1, out of reach for what is held at 0.
        diagonal: of H, > 0.
        units: in which residuals are measured.
    """

    product: Callable[[Array], tuple[Array, Array]]
    x: Array
    plus: Array
    minus: Array
    diagonal: Array
    units: Array


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array) -> Solution:
    """Minimize the objective of one problem, l1 >= 0 (inf holds a coefficient at 0), from `start` or 0; zeros are exact."""
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, POLISH).astype(tol.dtype)
    assert isinstance(system.A, Standardized)
    directions = system.A.astype(jnp.float32) if system.coercive else system.A

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: None) -> Direction:
        del kept
        return _direction(system, directions, x, here, jitter, running, polish * tol)

    found = minimize(system, start, tol, max_steps, direction, polish)
    return found._replace(params=system.likelihood.zero_sums(found.params, system.penalty.absent))


def _direction(
    system: System, A: Standardized, x: Array, here: Point, jitter: Array, running: Array, wanted: Array
) -> Direction:
    likelihood, penalty, kkt, dtype = system.likelihood, system.penalty, here.kkt, A.dtype
    curvature = likelihood.curvature(here.z, system.w)
    # On the scale of the Hessian, or it would hide a separation.
    jitter = jitter * jnp.sum(curvature.diagonal())
    free, l1 = aligned(system.free, x), aligned(jnp.where(system.free, penalty.l1, 0), x)
    l2 = aligned(penalty.l2 + (damping(kkt) + jitter) * system.squares, x)
    rough, strength = likelihood.curvature(here.z, system.w, dtype), l2.astype(dtype)

    def product(p: Array) -> tuple[Array, Array]:
        dz = A.times(p)
        return dz, jnp.where(free, A.transposed_times(rough.times(dz)) + strength * p, 0)

    largest = jnp.max(penalty.violations(here.g, x) / aligned(system.scale, x))
    largest = jnp.where(largest > 0, largest, 1)
    diagonal = A.squares_times(rough.diagonal()) + strength
    quadratic = _Quadratic(
        product=product,
        x=(x / largest).astype(dtype),
        plus=jnp.where(free, (here.g + l1) / largest, jnp.inf).astype(dtype),
        minus=jnp.where(free, (here.g - l1) / largest, -jnp.inf).astype(dtype),
        diagonal=jnp.where(free & (diagonal > 0), diagonal, 1),
        units=aligned(system.scale, x).astype(dtype),
    )
    least = jnp.where(system.suffices, jnp.inf, kkt / 100)
    rounding = 4 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(here.g) / aligned(system.scale, x))

    def goes_on(at: _State) -> Array:
        changes = largest**2 * jnp.sum(system.w * likelihood.reach(at.dz).astype(x.dtype) ** 2)
        enough = jnp.maximum(jnp.minimum(SHARE * changes, _LEFT * kkt), jnp.minimum(wanted / 4, least))
        enough = jnp.maximum(enough, jnp.maximum(rounding, _ROUNDING * float(jnp.finfo(dtype).eps) * largest))
        return running & (at.num_products < _MOST_PRODUCTS) & (largest * at.residual.astype(x.dtype) > enough)

    end = _minimum(quadratic, jnp.zeros(here.z.shape, dtype), goes_on)
    d, dz = (largest * vector.astype(x.dtype) for vector in (end.d, end.dz))
    d = jnp.where(quadratic.x + end.d == 0, -x, d)
    curved = jnp.sum(dz * curvature.times(dz)) + jnp.sum(l2 * d * d)
    # Along d signs do not change but from 0 or to 0.
    side = jnp.where(x != 0, x, d)
    fall = -jnp.sum((here.g + l1 * jnp.sign(side)) * d) - curved / 2
    length = jnp.where(fall >= ENOUGH * curved, 1, SHORTER)
    hides = jnp.bool_(False)
    if system.margins is not None:  # along what has no penalty
        along = jnp.where(aligned(penalty.kinked, x), 0, system.margins)
        hides = jnp.sum(along * along) ** 2 > system.hidden_from * curvature_along(system, curvature, along)
    curved_alone = jnp.sum(curvature.diagonal(), axis=-1, keepdims=True)
    left = largest * jnp.where(free, quadratic.plus + end.e, 0)[..., system.n :].astype(x.dtype)
    return Direction(
        d=d * length,
        dz=dz * length,
        decrement=jnp.sqrt(curved),
        error=largest * end.residual.astype(x.dtype),
        unresolved=jnp.sqrt(jitter * jnp.sum(aligned(system.squares, d) * d * d)),
        hides=hides,
        inexact=jnp.any(jnp.abs(left) > 1e-2 * curved_alone),
        crude=end.num_products >= _MOST_PRODUCTS,
    )


def _minimum(quadratic: _Quadratic, no_change: Float[Array, "*K m"], goes_on: Callable[[_State], Array]) -> _State:
    """Minimize the quadratic, from d = 0, as long as that goes on."""
    x, diagonal = quadratic.x, quadratic.diagonal
    bends = quadratic.plus != quadratic.minus

    def onward(state: _State) -> _State:
        """What to do next, at d and e: p, of conjugate gradients where `conjugate` says that its size and p may go on."""
        v, plus, minus = x + state.d, quadratic.plus + state.e, quadratic.minus + state.e
        face = (v != 0) | ~bends
        psi = jnp.where(face, jnp.where(v < 0, minus, plus), 0)
        inside = jnp.max(jnp.abs(psi) / quadratic.units)
        outside = jnp.max(jnp.where(face, 0, jnp.maximum(minus, -plus)) / quadratic.units, initial=0)
        y = psi / diagonal
        size = jnp.sum(psi * y)
        p = -y + jnp.where(state.conjugate, size / jnp.where(state.size > 0, state.size, 1), 0) * state.p
        scale = state.steepness * diagonal
        up, down = jnp.maximum(v - plus / scale, 0), jnp.minimum(v - minus / scale, 0)
        target = jnp.where(bends, jnp.where(v > 0, up, jnp.where(v < 0, down, up + down)), v - plus / scale)
        conjugate = inside >= outside
        vanishes = bends & (v != 0) & (target == 0) & ~conjugate
        return state._replace(
            p=jnp.where(conjugate, jnp.where(face, p, 0), jnp.where(vanishes, -v, target - v)),
            vanishes=vanishes,
            conjugate=conjugate,
            size=size,
            residual=jnp.maximum(inside, outside),
        )

    def one_round(state: _State) -> _State:
        v, p = x + state.d, state.p
        dz, Hp = quadratic.product(p)
        curved = jnp.sum(p * Hp)
        inverse = 1 / jnp.where(curved > 0, curved, 1)
        side = jnp.where(v != 0, v, p)
        slope = jnp.where(p != 0, jnp.where(side < 0, quadratic.minus, quadratic.plus) + state.e, 0)
        best = -jnp.sum(slope * p) * inverse
        alpha = state.size * inverse
        turns = state.conjugate & bends & (v != 0) & ((v + alpha * p) * v <= 0)
        reach = jnp.where(turns, v / jnp.where(turns, -p, 1), jnp.inf)
        first = jnp.minimum(alpha, jnp.min(reach))
        t = jnp.where(curved > 0, jnp.where(state.conjugate, first, jnp.where(best >= 0.5, 1, best)), 0)
        gone = jnp.where(state.conjugate, turns & (reach <= first), state.vanishes & (t == 1))
        d = jnp.where(gone, -x, state.d + t * p)
        steep = curved / jnp.maximum(jnp.sum(diagonal * p * p), jnp.finfo(x.dtype).tiny)
        new = onward(
            state._replace(
                d=d,
                dz=state.dz + t * dz,
                e=state.e + t * Hp,
                conjugate=state.conjugate & ~jnp.any(turns),
                steepness=jnp.where(state.conjugate | (curved <= 0), state.steepness, jnp.maximum(steep, 0.5)),
                num_products=state.num_products + 1,
            )
        )
        stopped = jnp.any(turns)
        projected = jnp.where(turns, -(x + d), (alpha - first) * p)
        return new._replace(
            p=jnp.where(stopped, projected, new.p),
            vanishes=jnp.where(stopped, turns, new.vanishes),
            conjugate=new.conjugate & ~stopped,
        )

    zeros, one, no = jnp.zeros_like(x), jnp.ones((), x.dtype), jnp.bool_(False)
    begin = onward(_State(zeros, no_change, zeros, zeros, zeros != 0, no, one, one, one, jnp.int32(0)))
    return jax.lax.while_loop(goes_on, one_round, begin)
