"""The penalty of coefficients with bounds: infinite outside, so that the bounds are kinks like that of l1.

    pen(c)  = l1 |c| + l2 / 2 c^2   where lower <= c <= upper, else inf
    pen*(u) = u c* - pen(c*)        its conjugate, with c* = min(max(soft(u, l1) / l2, lower), upper),  soft as in `prox`;
                                    for l2 = 0 the bound towards which u points, where |u| > l1

Conditions of optimality. Its subdifferential at c is [left, right] (+ l2 c), left = l1 sign(c) or -l1 at 0, but -inf at the
lower bound, right likewise, but inf at the upper one; so with u the slope of the smooth part

    violation = max(u + left, -u - right, 0)

which without bounds is the one of `jaxlr.model.penalty`, and at a bound asks only that the slope should not lead away from it;
outside the bounds nothing helps, and it is infinite.

Duality gap. What c and u add is pen(c) + pen*(u) - u c = phi(c) - phi(c*), phi(t) = pen(t) - u t, whose minimum is c*. With q a
subgradient of l1 |t| at c* (u itself between -l1 and l1 where that is 0) and e = l2 c* + q - u, which is 0 unless c* is a bound
and then leads from it into the interval,

    phi(c) - phi(c*) = l2 / 2 (c - c*)^2 + e (c - c*) + (l1 |c| - q c)

three terms that are all >= 0, so that nothing cancels. With two finite bounds any u will do: no penalty is needed.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.dot import aligned
from jaxlr.model.penalty import Penalty

_ROUNDING = 4  # times eps, of a coefficient and its bound: the difference that a step to the bound may leave


class Bounded(NamedTuple):
    """Strengths and bounds by column, with the methods of `Penalty`; the intercept has none.

    Attributes:
        l1: (k,) >= 0.
        l2: (k,) >= 0.
        lower: (k,), -inf for none.
        upper: (k,) >= lower, inf for none.
    """

    l1: Array
    l2: Array
    lower: Array
    upper: Array

    @property
    def strengths(self) -> Penalty:
        """Without the bounds."""
        return Penalty(self.l1, self.l2)

    @property
    def free(self) -> Array:
        """Whether a coefficient may move (k,)."""
        return self.strengths.free & (self.lower < self.upper)

    @property
    def bounding(self) -> Array:
        """Whether a coefficient is kept finite (k,)."""
        return self.strengths.bounding | (jnp.isfinite(self.lower) & jnp.isfinite(self.upper))

    @property
    def absent(self) -> Array:
        """Whether a coefficient has neither strength nor bound (k,)."""
        return (self.l1 + self.l2 == 0) & ~self.kinked

    @property
    def kinked(self) -> Array:
        """Whether there is a kink (k,)."""
        return (self.l1 > 0) | jnp.isfinite(self.lower) | jnp.isfinite(self.upper)

    @property
    def invalid(self) -> Array:
        """Whether a strength is negative, nothing lies between two bounds, or these exclude the 0 of one held there, ()."""
        barred = ~self.strengths.free & ((self.lower > 0) | (self.upper < 0))
        return jnp.any((self.lower > self.upper) | barred) | self.strengths.invalid

    def like(self, x: Float[Array, "*K k"]) -> "Bounded":
        """For parameters with an axis of classes in front."""
        return Bounded(*(aligned(part, x) for part in self))

    def nearest(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The nearest parameters that are allowed."""
        return self.like(x).clipped(self.strengths.nearest(x))

    def clipped(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Within the bounds."""
        return jnp.minimum(jnp.maximum(x, self.lower), self.upper)

    def moved(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Where a step leads, at the bound where rounding alone is between."""
        at, to = self.like(x), x + step
        near = _ROUNDING * jnp.finfo(x.dtype).eps * jnp.abs(x)
        for bound in (at.lower, at.upper):
            there = jnp.where(jnp.isfinite(bound), bound, 0)
            at_bound = jnp.abs(to - bound) <= near + _ROUNDING * jnp.finfo(x.dtype).eps * jnp.abs(there)
            to = jnp.where(at_bound, bound, to)
        return at.clipped(to)

    def with_bounds(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Parameters that move with the bounds where they are at one."""
        at = self.like(x)
        return jnp.where(x <= at.lower, at.lower, jnp.where(x >= at.upper, at.upper, x))

    def shared(self, params: Float[Array, "K k"]) -> Float[Array, " k"]:
        """What all classes of parameters share without a penalty: their means, as far as none leaves its bounds without it."""
        least, most = jnp.max(params, axis=0) - self.upper, jnp.min(params, axis=0) - self.lower
        mean = jnp.minimum(jnp.maximum(jnp.mean(params, axis=0), least), most)
        return jnp.where(self.strengths.absent, mean, 0)

    def of(self, at: Int[Array, " c"], held: Bool[Array | np.ndarray, " c"]) -> "Bounded":
        """That of some columns, of which some are held at 0."""
        return Bounded(*self.strengths.of(at, held), self.lower[at], self.upper[at])

    def padded(self, k: int) -> "Bounded":
        """With an intercept last, if k has one more column."""
        more = (0, k - len(self.l1))
        lower, upper = (jnp.pad(self[i], more, constant_values=none) for i, none in ((2, -jnp.inf), (3, jnp.inf)))
        return Bounded(*self.strengths.padded(k), lower, upper)

    def outside(self, x: Float[Array, "*K k"]) -> Bool[Array, "*K k"]:
        """Which coefficients are out of bounds, or not 0 where they are held there."""
        at = self.like(x)
        return (x < at.lower) | (x > at.upper) | (~at.strengths.free & (x != 0))

    def value(self, x: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The penalty of all coefficients."""
        return jnp.where(jnp.any(self.outside(x)), jnp.inf, self.strengths.value(x))

    def smooth_slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the squared part."""
        return self.strengths.smooth_slope(x)

    def slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the absolute part, 0 where a coefficient is 0."""
        return self.strengths.slope(x)

    def violations(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far each coefficient is from its condition of optimality, where the smooth part of J has this slope."""
        return jnp.maximum(self.slack(slope, x), 0)

    def slack(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The same, and below 0 how far a coefficient at a kink is from leaving it."""
        at = self.like(x)
        left, right = at.sides(x, slope - at.l1, slope + at.l1)
        return jnp.where(self.outside(x), jnp.inf, jnp.maximum(left, -right))

    def pull(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """What is missing to the condition of optimality of each coefficient, with its sign."""
        at = self.like(x)
        left, right = at.sides(x, slope - at.l1, slope + at.l1)
        return jnp.where(left > 0, -left, jnp.maximum(-right, 0))

    def growth(self, x: Float[Array, "*K k"], to: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The change of the absolute parts from x to another point."""
        return self.strengths.growth(x, to)

    def unlimited(self, u: Float[Array, "*K k"]) -> tuple[Bool[Array, "..."], Bool[Array, "..."]]:
        """Where the conjugate is infinite above l1, and where below -l1: no l2, and no bound ahead."""
        at = self.like(u)
        return (at.l2 == 0) & jnp.isinf(at.upper), (at.l2 == 0) & jnp.isinf(at.lower)

    def endless(self, d: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The part of a direction that it costs nothing to follow for ever, no bound being ahead."""
        above, below = self.unlimited(d)
        return jnp.where((self.like(d).l1 == 0) & jnp.where(d > 0, above, below), d, 0)

    def sides(
        self, x: Float[Array, "..."], minus: Float[Array, "..."], plus: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The slopes to the left and to the right of x, of those below and above 0."""
        left = jnp.where(x <= self.lower, -jnp.inf, jnp.where(x > 0, plus, minus))
        return left, jnp.where(x >= self.upper, jnp.inf, jnp.where(x < 0, minus, plus))

    def changes(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivatives of the absolute parts from x along -step, on the near side of a 0."""
        return self.strengths.changes(x, step)

    def shrinkage(self, u: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The largest factor <= 1 that brings u to where the conjugate is finite: |u| <= l1 where there is neither an l2 nor a
        bound ahead."""
        at, eps = self.like(u), jnp.finfo(u.dtype).eps
        ahead = jnp.where(u > 0, at.upper, -at.lower)
        most = jnp.where((at.l2 == 0) & jnp.isinf(ahead), (1 - 4 * eps) * at.l1, jnp.inf)
        return jnp.min(jnp.where(jnp.abs(u) <= most, 1, most / jnp.abs(u)), initial=1)

    def conjugacy(self, c: Float[Array, "*K k"], u: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far c and u are from conjugate, phi(c) - phi(c*) >= 0 in the notation above."""
        at = self.like(c)
        ahead = jnp.where(u > 0, at.upper, at.lower)
        excess = jnp.sign(u) * jnp.maximum(jnp.abs(u) - at.l1, 0)
        far = jnp.where((excess == 0) | jnp.isinf(ahead), 0, ahead)
        best = at.clipped(jnp.where(at.l2 > 0, excess / jnp.where(at.l2 > 0, at.l2, 1), far))
        q = jnp.where(best == 0, jnp.clip(u, -at.l1, at.l1), at.l1 * jnp.sign(best))
        at_bound = (best <= at.lower) | (best >= at.upper)
        way = c - best
        away = jnp.where(at_bound, jnp.maximum((at.l2 * best + q - u) * way, 0), 0)
        bend = jnp.where(c == 0, 0, jnp.maximum(at.l1 - q * jnp.sign(c), 0) * jnp.abs(c))
        return jnp.where(self.outside(c), jnp.inf, (at.l2 / 2 * way) * way + away + bend)

    def flat(self, s: Float[Array, " parameters"], classes: int) -> "Bounded":
        """Without the squared part, of all parameters v = x / s, class by class."""
        bounds = (jnp.tile(bound, classes) / s for bound in (self.lower, self.upper))
        return Bounded(*self.strengths.flat(s, classes), *bounds)

    def over(self, curvature: Float[Array, " k"]) -> "Bounded":
        """That of parameters of that curvature, for `prox`."""
        return self._replace(l1=self.l1 / curvature)

    def prox(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The minimum of (v - x)^2 / 2 + l1 |v| within the bounds: that without them, clipped."""
        return self.clipped(self.strengths.prox(x))

    def rests(self, v: Float[Array, "..."]) -> Bool[Array, "..."]:
        """Whether a coefficient is at a kink."""
        return self.strengths.rests(v) | (v <= self.lower) | (v >= self.upper)

    def turns(self, v: Float[Array, " k"], d: Float[Array, " k"]) -> tuple[Bool[Array, " k"], Float[Array, " k"]]:
        """Whether a coefficient that does not rest comes to a kink on the way from v to v + d, and to which."""
        crosses, _ = self.strengths.turns(v, d)
        down = jnp.maximum(self.lower, jnp.where(crosses, 0, -jnp.inf))
        up = jnp.minimum(self.upper, jnp.where(crosses, 0, jnp.inf))
        return jnp.where(d < 0, v + d <= down, v + d >= up), jnp.where(d < 0, down, up)
