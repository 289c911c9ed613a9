"""The penalty: one term a coefficient, and what conditions of optimality, bounds and steps ask of it.

    pen(c)  = l1 |c| + l2 / 2 c^2                     the intercept has none: both strengths 0; l1 = inf holds c at 0
    pen*(u) = max(|u| - l1, 0)^2 / (2 l2)             its conjugate; 0 or inf where l2 = 0

It has a kink at 0 where l1 > 0: there a coefficient rests while the slope of the loss is between -l1 and l1. Its curvature l2
stands in every Hessian. Coefficients with bounds are those of `jaxlr.model.bounds.Bounded`, which has the same methods.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.dot import aligned


class Penalty(NamedTuple):
    """Strengths by column; parameters may have an axis of classes in front.

    Attributes:
        l1: (k,) >= 0.
        l2: (k,) >= 0.
    """

    l1: Array
    l2: Array

    @property
    def free(self) -> Array:
        """Whether a coefficient may move (k,)."""
        return ~jnp.isinf(self.l1)

    @property
    def bounding(self) -> Array:
        """Whether it keeps a coefficient finite by itself (k,)."""
        return self.l1 + self.l2 > 0

    @property
    def absent(self) -> Array:
        """Whether a coefficient has none (k,)."""
        return self.l1 + self.l2 == 0

    @property
    def kinked(self) -> Array:
        """Whether it has a kink (k,)."""
        return self.l1 > 0

    @property
    def invalid(self) -> Array:
        """Whether a strength is negative, ()."""
        return jnp.min(jnp.minimum(self.l1, self.l2), initial=0) < 0

    def like(self, x: Float[Array, "*K k"]) -> "Penalty":
        """For parameters with an axis of classes in front."""
        return Penalty(*(aligned(strength, x) for strength in self))

    def nearest(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The nearest parameters that are allowed: 0 for those that are held there."""
        return jnp.where(aligned(self.free, x), x, 0)

    def moved(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Where a step leads that may end at kinks; at 0 it does to the last digit."""
        return x + step

    def with_bounds(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Parameters that move with the bounds where they are at one: here there is none."""
        return x

    def shared(self, params: Float[Array, "K k"]) -> Float[Array, " k"]:
        """What all classes of parameters share without a penalty: their means."""
        return jnp.where(self.absent, jnp.mean(params, axis=0), 0)

    def of(self, at: Int[Array, " c"], held: Bool[Array | np.ndarray, " c"]) -> "Penalty":
        """That of some columns, of which some are held at 0."""
        return Penalty(jnp.where(held, jnp.inf, self.l1[at]), self.l2[at])

    def padded(self, k: int) -> "Penalty":
        """With an intercept last, if k has one more column."""
        return Penalty(*(jnp.pad(strength, (0, k - len(strength))) for strength in self))

    def value(self, x: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The penalty of all coefficients."""
        l1, l2 = (aligned(strength, x) for strength in self)
        # 0 * inf is 0 for an infinite l1, also in derivatives; and x^2 alone could overflow where l2 is 0.
        return jnp.sum(jnp.where(x == 0, 0, l1) * jnp.abs(x) + (l2 / 2 * x) * x)

    def smooth_slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the squared part."""
        return aligned(self.l2, x) * x

    def slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the absolute part, 0 where a coefficient is 0."""
        return aligned(self.l1, x) * jnp.sign(x)

    def violations(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far each coefficient is from its condition of optimality, where the smooth part of J has this slope: the distance
        of -slope from the subdifferential of l1 |x|."""
        return jnp.maximum(self.slack(slope, x), 0)

    def slack(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The same, and below 0 how far a coefficient at a kink is from leaving it."""
        l1 = aligned(self.l1, x)
        return jnp.where(x != 0, jnp.abs(slope + l1 * jnp.sign(x)), jnp.abs(slope) - l1)

    def pull(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """What is missing to the condition of optimality of each coefficient, with its sign."""
        l1 = aligned(self.l1, x)
        return -jnp.where(x != 0, slope + l1 * jnp.sign(x), jnp.sign(slope) * jnp.maximum(jnp.abs(slope) - l1, 0))

    def growth(self, x: Float[Array, "*K k"], to: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The change of the absolute parts from x to another point."""
        return aligned(jnp.where(self.free, self.l1, 0), x) * (jnp.abs(to) - jnp.abs(x))

    def unlimited(self, u: Float[Array, "*K k"]) -> tuple[Bool[Array, "..."], Bool[Array, "..."]]:
        """Where the conjugate is infinite above l1, and where below -l1."""
        return aligned(self.l2 == 0, u), aligned(self.l2 == 0, u)

    def endless(self, d: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The part of a direction that it costs nothing to follow for ever."""
        above, below = self.unlimited(d)
        return jnp.where(aligned(self.l1 == 0, d) & jnp.where(d > 0, above, below), d, 0)

    def changes(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivatives of the absolute parts from x along -step, on the near side of a 0."""
        bend = jnp.where(x != 0, jnp.sign(x) * step, -jnp.abs(step))
        return aligned(jnp.where(self.free, self.l1, 0), x) * bend

    def shrinkage(self, u: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The largest factor <= 1 that brings u to where the conjugate is finite: |u| <= l1 where there is no l2, to the last
        digit."""
        eps = jnp.finfo(self.l1.dtype).eps
        most = jnp.where((self.l1 > 0) & (self.l2 == 0), (1 - 4 * eps) * self.l1, jnp.inf)
        return jnp.min(aligned(most, u) / jnp.abs(u), initial=1)

    def conjugacy(self, c: Float[Array, "*K k"], u: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far c and u are from conjugate, pen(c) + pen*(u) - u c >= 0: with |u| = excess + min(|u|, l1), completed to a
        square, so that nothing cancels."""
        l1, l2 = (aligned(strength, c) for strength in self)
        along = c * jnp.where(u < 0, -1, 1)  # c in the direction of u
        excess = jnp.where(l2 > 0, jnp.maximum(jnp.abs(u) - l1, 0), 0)
        square = (l2 * along - excess) / jnp.sqrt(2 * jnp.where(l2 > 0, l2, 1))
        slope = jnp.where(along > 0, jnp.maximum(l1 - jnp.abs(u), 0), l1 + jnp.minimum(jnp.abs(u), l1))
        return square**2 + jnp.where(c == 0, 0, slope * jnp.abs(c))

    def flat(self, s: Float[Array, " parameters"], classes: int) -> "Penalty":
        """The absolute part of all parameters v = x / s, class by class."""
        return Penalty(s * jnp.tile(self.l1, classes), jnp.zeros_like(s))

    def over(self, curvature: Float[Array, " k"]) -> "Penalty":
        """The absolute part of parameters of that curvature, for `prox`."""
        return Penalty(self.l1 / curvature, self.l2)

    def prox(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The minimum of (v - x)^2 / 2 + l1 |v|: soft thresholding."""
        return jnp.sign(x) * jnp.maximum(jnp.abs(x) - self.l1, 0)

    def rests(self, v: Float[Array, "..."]) -> Bool[Array, "..."]:
        """Whether a coefficient is at a kink."""
        return (v == 0) & (self.l1 != 0)

    def turns(self, v: Float[Array, " k"], d: Float[Array, " k"]) -> tuple[Bool[Array, " k"], Float[Array, "..."]]:
        """Whether a coefficient that does not rest comes to a kink on the way from v to v + d, and to which."""
        return (self.l1 > 0) & ((v + d) * v <= 0), jnp.zeros((), v.dtype)
