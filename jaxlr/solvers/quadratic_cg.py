"""The quadratic of a proximal Newton step, with its absolute penalties, where its matrix is known by products alone.

    minimize  q(d) = g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       D the diagonal of H

With v = x + d, e = H d and the slopes on both sides of 0,

    plus = g + l1 + e      minus = g - l1 + e      (that of q is plus where v_j > 0, minus where v_j < 0)

and the face of the columns that are at no kink, neither 0 nor a bound, every round takes one product with H and one of these:

    conjugate gradients    on the face, preconditioned by D, up to the first coefficient that comes to a kink
    a projection           of what is left of that step: whatever would go beyond its kink ends there
    a proximal gradient    v <- soft(v - (g + e) / (L D), l1 / (L D)), but no further than the next kink; L is the curvature
                           of the last such step over D

The last one brings in columns; it comes where the conditions of what is at a kink are violated more than those on the face.
Steps of the last two kinds are taken whole where q falls, which keeps them at their kinks, and else end at the minimum along
them. So q always falls, and once the face is right, conjugate gradients converge on it. (Interleaved proximal gradients and
conjugate gradients: Solntsev, Nocedal & Byrd 2015, Optimization Methods and Software 30, algorithm iiCG.) Models side by side
take such steps each of its own kind, with their products in one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.model.bounds import Bounded
from jaxlr.model.groups import AnyPenalty


class State(NamedTuple):
    """What changes from round to round."""

    d: Array
    dz: Array  # A d
    e: Array  # H d
    p: Array  # the next step, or its direction
    lands: Array  # which coefficients that step, if taken whole, brings to a kink
    conjugate: Array  # whether it is one of conjugate gradients
    size: Array  # psi . psi / D of conjugate gradients
    steepness: Array  # L
    residual: Array
    num_products: Array


class Quadratic(NamedTuple):
    """What does not change from round to round, in units of the largest violation.

    Attributes:
        product: from p to A p and H p.
        x: where d is 0.
        plus, minus: g + l1 and g - l1, out of reach for what is held at 0.
        diagonal: of H, > 0.
        units: in which residuals are measured.
        bounds: d at the lower and at the upper ones, None where there are none.
    """

    product: Callable[[Array], tuple[Array, Array]]
    x: Array
    plus: Array
    minus: Array
    diagonal: Array
    units: Array
    bounds: tuple[Array, Array] | None

    @property
    def bends(self) -> Array:
        """Where 0 is a kink."""
        return self.plus != self.minus

    def rests(self, d: Array) -> Array:
        """Which coefficients are at a kink."""
        at_zero = (self.x + d == 0) & self.bends
        return at_zero if self.bounds is None else at_zero | (d <= self.bounds[0]) | (d >= self.bounds[1])

    def sides(self, d: Array, e: Array) -> tuple[Array, Array]:
        """Slopes of q to the left and to the right."""
        v, plus, minus = self.x + d, self.plus + e, self.minus + e
        left, right = jnp.where(v > 0, plus, minus), jnp.where(v < 0, minus, plus)
        if self.bounds is None:
            return left, right
        low, high = self.bounds
        return jnp.where(d <= low, -jnp.inf, left), jnp.where(d >= high, jnp.inf, right)

    def turns(self, d: Array, step: Array) -> tuple[Array, Array]:
        """Which coefficients, none of them at a kink, come to one on a step, and to which d."""
        v = self.x + d
        crosses = self.bends & (v != 0) & ((v + step) * v <= 0)
        if self.bounds is None:
            return crosses, -self.x
        low, high = self.bounds
        down = jnp.maximum(low, jnp.where(crosses, -self.x, -jnp.inf))
        up = jnp.minimum(high, jnp.where(crosses, -self.x, jnp.inf))
        comes = (step != 0) & jnp.where(step < 0, d + step <= down, d + step >= up)
        return comes, jnp.where(step < 0, down, up)

    def kink_at(self, d: Array) -> Array:
        """The kink nearest to d."""
        if self.bounds is None:
            return -self.x
        low, high = self.bounds
        bound = jnp.where(jnp.abs(d - low) <= jnp.abs(d - high), low, high)
        return jnp.where(self.bends & (jnp.abs(d + self.x) <= jnp.abs(d - bound)), -self.x, bound)

    def proximal_step(self, d: Array, e: Array, steepness: Array) -> tuple[Array, Array]:
        """The step of a proximal gradient as far as the next kink, and which coefficients it brings to one."""
        v, plus, minus, scale = self.x + d, self.plus + e, self.minus + e, steepness * self.diagonal
        up, down = jnp.maximum(v - plus / scale, 0), jnp.minimum(v - minus / scale, 0)
        target = jnp.where(v > 0, up, jnp.where(v < 0, down, up + down))
        target = jnp.where(self.bends, target, v - plus / scale)
        lands = self.bends & (v != 0) & (target == 0)
        step = jnp.where(lands, -v, target - v)
        if self.bounds is None:
            return step, lands
        low, high = (bound - d for bound in self.bounds)
        within = jnp.clip(step, low, high)
        return within, lands | ((within != 0) & ((within == low) | (within == high)))


def quadratic_at(
    x: Float[Array, "*B k"],
    g: Float[Array, "*B k"],
    product: Callable[[Array], tuple[Array, Array]],
    diagonal: Float[Array, "*B k"],
    penalty: AnyPenalty,
    units: Float[Array, " k"],
) -> tuple[Quadratic, Float[Array, ""]]:
    """The quadratic at x in the dtype of its diagonal, and the largest violation, by which its numbers are divided: so little
    is lost to rounding however small what is left of a direction is.

    Args:
        g: gradient of the smooth part.
        product: from p to A p and H p, in that dtype.
        units: in which residuals are measured.
    """
    largest = jnp.max(penalty.violations(g, x) / aligned(units, x))
    largest = jnp.where(largest > 0, largest, 1)
    free, l1, at = aligned(penalty.free, x), aligned(jnp.where(penalty.free, penalty.l1, 0), x), penalty.like(x)

    def scaled(values: Array) -> Array:
        return (values / largest).astype(diagonal.dtype)

    return Quadratic(
        product=product,
        x=scaled(x),
        plus=scaled(jnp.where(free, g + l1, jnp.inf)),
        minus=scaled(jnp.where(free, g - l1, -jnp.inf)),
        diagonal=jnp.where(free & (diagonal > 0), diagonal, 1),
        units=aligned(units, x).astype(diagonal.dtype),
        bounds=(scaled(at.lower - x), scaled(at.upper - x)) if isinstance(at, Bounded) else None,
    ), largest


def direction_of(
    quadratic: Quadratic, end: State, x: Float[Array, "*B k"], largest: Float[Array, ""], penalty: AnyPenalty
) -> Float[Array, "*B k"]:
    """d in the dtype of x, which takes what has landed at a kink there to the last digit. Arguments as of `quadratic_at`."""
    d = largest * end.d.astype(x.dtype)
    d = jnp.where(quadratic.bends & (quadratic.x + end.d == 0), -x, d)
    at = penalty.like(x)
    if quadratic.bounds is None or not isinstance(at, Bounded):
        return d
    low, high = quadratic.bounds
    return jnp.where(end.d <= low, at.lower - x, jnp.where(end.d >= high, at.upper - x, d))


def minimum(quadratic: Quadratic, no_change: Float[Array, "*K m"], goes_on: Callable[[State], Array]) -> State:
    """Minimize the quadratic, from d = 0, as long as that goes on."""
    x, diagonal = quadratic.x, quadratic.diagonal

    def onward(state: State) -> State:
        """What to do next, at d and e: p, of conjugate gradients where `conjugate` says that its size and p may go on."""
        face = ~quadratic.rests(state.d)
        left, right = quadratic.sides(state.d, state.e)
        psi = jnp.where(face, right, 0)
        inside = jnp.max(jnp.abs(psi) / quadratic.units)
        outside = jnp.max(jnp.where(face, 0, jnp.maximum(left, -right)) / quadratic.units, initial=0)
        y = psi / diagonal
        size = jnp.sum(psi * y)
        p = -y + jnp.where(state.conjugate, size / jnp.where(state.size > 0, state.size, 1), 0) * state.p
        step, lands = quadratic.proximal_step(state.d, state.e, state.steepness)
        conjugate = inside >= outside
        return state._replace(
            p=jnp.where(conjugate, jnp.where(face, p, 0), step),
            lands=lands & ~conjugate,
            conjugate=conjugate,
            size=size,
            residual=jnp.maximum(inside, outside),
        )

    def one_round(state: State) -> State:
        p = state.p
        dz, Hp = quadratic.product(p)
        curved = jnp.sum(p * Hp)
        inverse = 1 / jnp.where(curved > 0, curved, 1)
        v = x + state.d
        side = jnp.where(v != 0, v, p)
        slope = jnp.where(p != 0, jnp.where(side < 0, quadratic.minus, quadratic.plus) + state.e, 0)
        best = -jnp.sum(slope * p) * inverse
        alpha = state.size * inverse
        comes, kink = quadratic.turns(state.d, alpha * p)
        turns = state.conjugate & comes
        reach = jnp.where(turns, (kink - state.d) / jnp.where(turns, p, 1), jnp.inf)
        first = jnp.minimum(alpha, jnp.min(reach))
        t = jnp.where(curved > 0, jnp.where(state.conjugate, first, jnp.where(best >= 0.5, 1, best)), 0)
        d = state.d + t * p
        gone = jnp.where(state.conjugate, turns & (reach <= first), state.lands & (t == 1))
        d = jnp.where(gone, jnp.where(state.conjugate, kink, quadratic.kink_at(d)), d)
        steep = curved / jnp.maximum(jnp.sum(diagonal * p * p), jnp.finfo(x.dtype).tiny)
        stopped = jnp.any(turns)
        new = onward(
            state._replace(
                d=d,
                dz=state.dz + t * dz,
                e=state.e + t * Hp,
                conjugate=state.conjugate & ~stopped,
                steepness=jnp.where(state.conjugate | (curved <= 0), state.steepness, jnp.maximum(steep, 0.5)),
                num_products=state.num_products + 1,
            )
        )
        projected = jnp.where(turns, kink - d, (alpha - first) * p)
        return new._replace(
            p=jnp.where(stopped, projected, new.p),
            lands=jnp.where(stopped, turns, new.lands),
            conjugate=new.conjugate & ~stopped,
        )

    zeros, one, no = jnp.zeros_like(x), jnp.ones((), x.dtype), jnp.bool_(False)
    begin = onward(State(zeros, no_change, zeros, zeros, zeros != 0, no, one, one, one, jnp.int32(0)))
    return jax.lax.while_loop(goes_on, one_round, begin)
