"""The penalty: one term a coefficient, and what conditions of optimality, bounds and steps ask of it.

    pen(c)  = l1 |c| + l2 / 2 c^2                     the intercept has none: both strengths 0; l1 = inf holds c at 0
    pen*(u) = max(|u| - l1, 0)^2 / (2 l2)             its conjugate; 0 or inf where l2 = 0

Its proximal step is in `jaxlr.solvers.quadratic`, and its curvature l2 stands in every Hessian.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

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

    def padded(self, k: int) -> "Penalty":
        """With an intercept last, if k has one more column."""
        return Penalty(*(jnp.pad(strength, (0, k - len(strength))) for strength in self))

    def value(self, x: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The penalty of all coefficients."""
        l1, l2 = (aligned(strength, x) for strength in self)
        # 0 * inf is 0 for an infinite l1, and x^2 alone could overflow where l2 is 0.
        return jnp.sum(jnp.where(x == 0, 0, l1 * jnp.abs(x)) + (l2 / 2 * x) * x)

    def smooth_slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the squared part."""
        return aligned(self.l2, x) * x

    def violations(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far each coefficient is from its condition of optimality, where the smooth part of J has this slope."""
        return violations(slope, x, aligned(self.l1, x))

    def changes(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivatives of the absolute parts from x along -step, on the near side of a 0."""
        bend = jnp.where(x != 0, jnp.sign(x) * step, -jnp.abs(step))
        return aligned(jnp.where(self.free, self.l1, 0), x) * bend

    def dual_bound(self) -> Float[Array, " k"]:
        """The largest |u| that the conjugate allows (k,): l1 where there is no l2, to the last digit."""
        eps = jnp.finfo(self.l1.dtype).eps
        return jnp.where((self.l1 > 0) & (self.l2 == 0), (1 - 4 * eps) * self.l1, jnp.inf)

    def conjugacy(self, c: Float[Array, "*K k"], u: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far c and u are from conjugate, pen(c) + pen*(u) - u c >= 0: with |u| = excess + min(|u|, l1), completed to a
        square, so that nothing cancels."""
        l1, l2 = (aligned(strength, c) for strength in self)
        along = c * jnp.where(u < 0, -1, 1)  # c in the direction of u
        excess = jnp.where(l2 > 0, jnp.maximum(jnp.abs(u) - l1, 0), 0)
        square = (l2 * along - excess) / jnp.sqrt(2 * jnp.where(l2 > 0, l2, 1))
        slope = jnp.where(along > 0, jnp.maximum(l1 - jnp.abs(u), 0), l1 + jnp.minimum(jnp.abs(u), l1))
        return square**2 + jnp.where(c == 0, 0, slope * jnp.abs(c))


def violations(slope: Float[Array, "..."], x: Float[Array, "..."], l1: Float[Array, "..."]) -> Float[Array, "..."]:
    """The distance of -slope from the subdifferential of l1 |x|, where slope is that of the smooth part."""
    return jnp.where(x != 0, jnp.abs(slope + l1 * jnp.sign(x)), jnp.maximum(jnp.abs(slope) - l1, 0))
