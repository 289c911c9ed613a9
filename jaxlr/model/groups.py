"""The penalty of groups of columns: a norm of each, so that whole groups are 0 or not.

    pen(c) = sum_j pen_j(c_j) + sum_g lambda_g |D_g c_g|_2        lambda_g = l1_group sqrt(size_g) f_g

pen_j that of `jaxlr.model.penalty` or `jaxlr.model.bounds`, c_g the coefficients of all columns of a group, of several classes
those of all of them, and D = 1 on X (Yuan & Lin 2006, Journal of the Royal Statistical Society B 68, eq. 2.1; with l1 the
sparse group lasso, Simon et al. 2013, Journal of Computational and Graphical Statistics 22, eq. 4). The norm is the largest of
all a' D_g c_g with |a| <= lambda_g, and everything is asked column by column once such an a is chosen, `tilt` being D a:

Conditions of optimality. At c_g != 0 there is one, a = lambda_g D_g c_g / |D_g c_g|. At 0, with e_j what is missing to the
condition of column j alone (`pull`), the one that helps most: D a = e min(1, lambda_g / |D^-1 e|), which leaves nothing where
|D^-1 e| <= lambda_g.

Duality gap. Whatever a is, the conjugate of pen at u is at most sum_j pen_j*(t_j) with t = u - D a, so that

    pen(c) + pen*(u) - u c <= sum_j [pen_j(c_j) + pen_j*(t_j) - t_j c_j] + sum_g [lambda_g |D c_g| - a' D c_g]
    lambda |y| - a' y = |y| / (2 lambda) (|lambda y / |y| - a|^2 + lambda^2 - |a|^2)

all terms >= 0. Where nothing but the norm keeps pen_j* finite (`unlimited`), t_j has to be between -l1_j and l1_j, for which
|D^-1 soft(u, l1)| <= lambda_g suffices, and so a factor of u,

    sigma = s + (1 - s) lambda_g / |D^-1 soft(u, l1)|,    s = min_j l1_j / |u_j|,

a chord of the convex |D^-1 soft(sigma u, l1)| - lambda_g, from where that is -lambda_g. Between these limits a is that of
c != 0, or at 0 that of the conditions above, as far as the ball has room.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.dot import aligned
from jaxlr.model.bounds import Bounded
from jaxlr.model.norms import NormCurvature, largest, norms
from jaxlr.model.penalty import Penalty


class Grouped(NamedTuple):
    """A penalty by column and norms of groups, with the methods of `Penalty` but those of a quadratic by column (`prox`,
    `turns`, `pull`, `over`, `unlimited`); the intercept has none.

    Attributes:
        base: by column.
        l1_group: lambda (k,), the same for the columns of a group, >= 0.
        weights: D (k,), > 0.
        number: of the group of each column (k,), in 0..k-1.
    """

    base: Penalty | Bounded
    l1_group: Array
    weights: Array
    number: Array

    @property
    def l1(self) -> Array:
        """That of the columns (k,)."""
        return self.base.l1

    @property
    def l2(self) -> Array:
        """That of the columns (k,)."""
        return self.base.l2

    @property
    def free(self) -> Array:
        """Whether a coefficient may move (k,)."""
        return self.base.free

    @property
    def bounding(self) -> Array:
        """Whether it keeps a coefficient finite by itself (k,)."""
        return self.base.bounding | (self.l1_group > 0)

    @property
    def absent(self) -> Array:
        """Whether a coefficient has none (k,)."""
        return self.base.absent & (self.l1_group == 0)

    @property
    def kinked(self) -> Array:
        """Whether it has a kink (k,)."""
        return self.base.kinked | (self.l1_group > 0)

    @property
    def invalid(self) -> Array:
        """Whether a strength is negative, or nothing lies between two bounds, ()."""
        return (jnp.min(self.l1_group, initial=0) < 0) | self.base.invalid

    def like(self, x: Float[Array, "*K k"]) -> "Grouped":
        """For parameters with an axis of classes in front."""
        return self._replace(base=self.base.like(x))

    def endless(self, d: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The part of a direction that it costs nothing to follow for ever."""
        return jnp.where(aligned(self.l1_group == 0, d), self.base.endless(d), 0)

    def nearest(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The nearest parameters that are allowed."""
        return self.base.nearest(x)

    def moved(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Where a step leads that may end at kinks."""
        return self.base.moved(x, step)

    def with_bounds(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Parameters that move with the bounds where they are at one."""
        return self.base.with_bounds(x)

    def shared(self, params: Float[Array, "K k"]) -> Float[Array, " k"]:
        """What all classes of parameters share without a penalty."""
        return jnp.where(self.absent, self.base.shared(params), 0)

    def of(self, at: Int[Array, " c"], held: Bool[Array | np.ndarray, " c"]) -> "Grouped":
        """That of some columns, of which some are held at 0."""
        number = self.number[at]
        first = jnp.zeros_like(self.number).at[number].set(np.arange(len(at), dtype=np.int32))
        return Grouped(self.base.of(at, held), self.l1_group[at], self.weights[at], first[number])

    def padded(self, k: int) -> "Grouped":
        """With an intercept last, if k has one more column."""
        n = len(self.number)
        l1_group, weights = (jnp.pad(part, (0, k - n), constant_values=i) for i, part in enumerate(self[1:3]))
        number = jnp.concatenate([self.number, np.arange(n, k, dtype=np.int32)])
        return Grouped(self.base.padded(k), l1_group, weights, number)

    def norms(self, x: Float[Array, "*K k"]) -> Float[Array, " k"]:
        """|D x| of the group of each column, over all classes."""
        return norms(aligned(self.weights, x) * x, self.number)

    def of_group(self, y: Float[Array, "*K k"]) -> Float[Array, "..."]:
        """|y| of the group of each column, over all classes, with an axis of these."""
        return aligned(norms(y, self.number), y)

    def slope_of_norms(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the norms, 0 where a group is 0."""
        N, D = (aligned(part, x) for part in (self.norms(x), self.weights))
        return jnp.where(N > 0, aligned(self.l1_group, x) * D * (D * x / jnp.where(N > 0, N, 1)), 0)

    def slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the absolute parts, 0 where a coefficient is 0 and of the norms where a group is."""
        return self.base.slope(x) + self.slope_of_norms(x)

    def curvature(self, x: Float[Array, "*K k"]) -> NormCurvature:
        """The second derivative of the norms."""
        N, D = (aligned(part, x) for part in (self.norms(x), self.weights))
        size = jnp.where(N > 0, N, 1)
        strength = aligned(self.l1_group, x) / size
        there = (N > 0) & (strength > 0)  # the root of 0 has no derivative
        root = jnp.where(there, jnp.sqrt(jnp.where(there, strength, 1)) * D, 0)
        return NormCurvature(jnp.broadcast_to(root, x.shape), D * x / size, self.number)

    def value(self, x: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The penalty of all coefficients."""
        return self.base.value(x) + jnp.sum(self.slope_of_norms(x) * x)

    def smooth_slope(self, x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivative of the squared part."""
        return self.base.smooth_slope(x)

    def tilt(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> tuple[Float[Array, "*K k"], Float[Array, "..."]]:
        """D a where the smooth part has this slope, and how far a group that is 0 is from leaving, |D^-1 e| - lambda."""
        pull, zero, strength = self.base.pull(slope, x), aligned(self.norms(x) == 0, x), aligned(self.l1_group, x)
        missing = self.of_group(jnp.where(zero, pull, 0) / aligned(self.weights, x))
        tilt = jnp.where(zero, pull * _share(strength, missing), self.slope_of_norms(x))
        return tilt, jnp.where(zero, missing - strength, jnp.inf)

    def violations(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far each coefficient is from its condition of optimality, where the smooth part of J has this slope."""
        return self.base.violations(slope + self.tilt(slope, x)[0], x)

    def slack(self, slope: Float[Array, "*K k"], x: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The same, and below 0 how far a group at 0 is from leaving it."""
        tilt, leaves = self.tilt(slope, x)
        return jnp.where(leaves > 0, self.base.slack(slope + tilt, x), leaves)

    def changes(self, x: Float[Array, "*K k"], step: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The derivatives of the absolute parts from x along -step, on the near side of a 0."""
        at_zero = jnp.where(aligned(self.norms(x) == 0, x), step, 0)
        return self.base.changes(x, step) + self.slope_of_norms(x) * step - self.slope_of_norms(at_zero) * at_zero

    def growth(self, x: Float[Array, "*K k"], to: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The change of the absolute parts from x to another point."""
        both, D = aligned(self.norms(x) + self.norms(to), x), aligned(self.weights, x)
        of_norms = aligned(self.l1_group, x) * (D * (to - x)) * (D * (x + to) / jnp.where(both > 0, both, 1))
        return self.base.growth(x, to) + of_norms

    def shrinkage(self, u: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The largest factor <= 1, to first order, that brings u to where the conjugate is finite."""
        (up, down), l1, size = self.base.unlimited(u), aligned(self.l1, u), jnp.abs(u)
        over = jnp.where(jnp.where(u > 0, up, down), jnp.maximum(size - l1, 0), 0)
        missing = norms(over / aligned(self.weights, u), self.number)
        of_columns = jnp.where(over > 0, l1 / jnp.where(size > 0, size, 1), 1).reshape(-1, len(self.number))
        s = -largest(-jnp.min(of_columns, axis=0), self.number)
        chord = s + (1 - s) * (self.l1_group / jnp.where(missing > 0, missing, 1))
        most = jnp.where(missing <= self.l1_group, 1, (1 - 8 * jnp.finfo(u.dtype).eps) * chord)
        return jnp.min(most, initial=1)

    def conjugacy(self, c: Float[Array, "*K k"], u: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """How far c and u are from conjugate at most, by the a above."""
        strength, D, N = (aligned(part, c) for part in (self.l1_group, self.weights, self.norms(c)))
        direction = D * c / jnp.where(N > 0, N, 1)
        missing = self.base.pull(-u, jnp.zeros_like(c)) / D
        wish = jnp.where(N > 0, strength * direction, missing * _share(strength, self.of_group(missing)))
        up, down = self.base.unlimited(u)
        l1 = aligned(self.l1, c)
        least, most = jnp.where(up, (u - l1) / D, -jnp.inf), jnp.where(down, (u + l1) / D, jnp.inf)
        needed, wished = jnp.minimum(jnp.maximum(0, least), most), jnp.minimum(jnp.maximum(wish, least), most)
        size, further = self.of_group(needed), self.of_group(wished)
        a = needed + (wished - needed) * _share(strength - size, further - size)
        size = self.of_group(a)
        y, most = strength * direction - a, jnp.where(strength > 0, strength, 1)
        lacks = jnp.maximum(strength - size, 0) * ((strength + size) / most)
        # The last term, of a whole group, in shares of its columns that sum to 1.
        own = N / 2 * (y * (y / most) + lacks * direction**2)
        return self.base.conjugacy(c, u - D * a) + own

    def flat(self, s: Float[Array, " parameters"], classes: int) -> "Grouped":
        """Without the squared part, of all parameters v = x / s, class by class."""
        l1_group, weights, number = (jnp.tile(part, classes) for part in self[1:])
        return Grouped(self.base.flat(s, classes), l1_group, weights * s, number)

    def rests(self, v: Float[Array, "*K k"]) -> Bool[Array, "*K k"]:
        """Whether a coefficient is at a kink."""
        return self.base.rests(v) | aligned((self.norms(v) == 0) & (self.l1_group > 0), v)


def _share(room: Array, size: Array) -> Array:
    """The largest factor <= 1 of a vector of this size, for which there is room."""
    return jnp.where(size <= room, 1, jnp.maximum(room, 0) / jnp.where(size > 0, size, 1))


AnyPenalty = Penalty | Bounded | Grouped
