"""One problem as a solver sees it, in working coordinates: all that stays the same from step to step."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.linalg.operators import Design
from jaxlr.model.conditional import Matched, matched_of
from jaxlr.model.groups import AnyPenalty
from jaxlr.model.likelihood import Likelihood, alike
from jaxlr.model.problem import Problem, penalty_of, row_weights, weight_sum
from jaxlr.solvers.working import Working


class System(NamedTuple):
    """Parameters are vectors (*K, k), the intercept last; x are these in the coordinates of the likelihood.

    Attributes:
        likelihood: static.
        A: design (m, k).
        w: weights of the rows (m,), summing to 1.
        total: how many rows there are, a weight k counting k times.
        y: labels (m,).
        offset: of the logits (*K, m); None is 0.
        present: rows that have weight (m,); None is all.
        penalty: of every parameter (k,), 0 for the intercept; l1 is inf where a coefficient is held at 0.
        location: in which the KKT residual measures columns (k,), 0 for the intercept.
        scale: likewise (k,), 1 for the intercept.
        n: static, columns without the intercept.
        coercive: static; whether every column is known to have a penalty, so that nothing can be separated.
        partial: static; whether columns that cost something, or have bounds, may stand beside others that have none.
        aid: what the solver has prepared for all models of the design, see `Working`.
        suffices: whether a KKT residual of tol shows a minimum by itself, see `jaxlr.solvers.damped`.
        margins: the direction that improves every margin at once, of the shape of x; None from 0, or where coercive.
        hidden_from: a separation is hidden where margins . H^-1 margins is not under this.
        sets: the strata of a conditional likelihood, which takes the place of that of the rows; None where there are none.
    """

    likelihood: Likelihood
    A: Design
    w: Array
    total: Array
    y: Array
    offset: Array | None
    present: Array | None
    penalty: AnyPenalty
    location: Array
    scale: Array
    n: int
    coercive: bool
    partial: bool = False
    aid: Any = None
    suffices: Any = False
    margins: Array | None = None
    hidden_from: Any = jnp.inf
    sets: Matched | None = None

    @property
    def free(self) -> Array:
        """Whether a parameter may move (k,)."""
        return self.penalty.free

    @property
    def squares(self) -> Array:
        """Mean squares of the columns under the weights (k,)."""
        return self.location**2 + self.scale**2

    @property
    def penalized(self) -> Array:
        """Whether every column that may move has a penalty, or bounds on both sides."""
        if self.coercive:
            return jnp.bool_(True)
        return jnp.all((self.penalty.bounding | ~self.free)[: self.n])

    def logits(self, params: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """Only the offset in rows of weight 0, where finite fillers may overflow."""
        z = self.A.times(params)
        z = z if self.present is None else jnp.where(aligned(self.present, z), z, 0)
        return z if self.offset is None else z + self.offset

    def largest(self, of_rows: Float[Array, " m"]) -> Float[Array, ""]:
        """The largest of the rows that have weight."""
        return jnp.max(jnp.where(self.w > 0, of_rows, 0))

    def gradient(self, params: Float[Array, "*K k"], z: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """Of the smooth part of J, 0 where a parameter may not move."""
        return self.with_penalty(self.loss_slope(z), params)

    def loss_slope(self, z: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """Gradient of the loss."""
        if self.sets is not None:
            return self.sets.slope(z, self.A.shape[1])
        r = self.likelihood.residual(z, self.y)
        return self.A.transposed_times(aligned(self.w, r) * r)

    def with_penalty(self, slope: Float[Array, "*K k"], params: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """Gradient of the smooth part of J, where this is that of the loss."""
        g = slope + self.penalty.smooth_slope(params)
        return jnp.where(aligned(self.free, g), g, 0)

    def information(self, z: Float[Array, "*K m"]) -> Float[Array, "p p"]:
        """Hessian of the loss (B k, B k), in the coordinates of the likelihood."""
        if self.sets is not None:
            return self.sets.information(z, self.A.shape[1])
        return self.likelihood.assemble(self.A.gram(self.likelihood.curvature(z, self.w).pairs()))

    def reach(self, dz: Float[Array, "*K m"]) -> Float[Array, ""]:
        """R of a change of the logits, of the row or stratum where it is largest."""
        return self.largest(self.likelihood.reach(dz)) if self.sets is None else self.sets.reach(dz)

    @property
    def rarity(self) -> Float[Array, ""]:
        """Scale of gradient and curvature at the minimum, in (0, 1]: that of the rarest class, or of cases within strata."""
        return self.likelihood.rarity(self.y, self.w) if self.sets is None else self.sets.rarity

    def centered(self, g: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The gradient for the centred columns."""
        return g - aligned(self.location, g) * jnp.sum(g[..., self.n :], axis=-1, keepdims=True)

    def kkt(self, g: Float[Array, "*K k"], params: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The KKT residual, see `jaxlr.kkt_residual`."""
        return jnp.max(self.penalty.violations(self.centered(g), params) / aligned(self.scale, g))

    def smooth_kkt(self, g: Float[Array, "*K k"]) -> Float[Array, ""]:
        """The same without absolute penalties."""
        return jnp.max(jnp.abs(self.centered(g)) / aligned(self.scale, g))


def system_of(problem: Problem, working: Working, units: tuple[Array, Array], likelihood: Likelihood, coercive: bool) -> System:
    """The system of a problem in working coordinates (`jaxlr.solvers.working.working_problem`)."""
    k, n = working.A.shape[1], len(working.unit)
    dtype = working.unit.dtype
    return System(
        likelihood=likelihood,
        A=working.A,
        w=row_weights(problem),
        total=weight_sum(problem),
        y=problem.y,
        offset=None if problem.offset is None else jnp.asarray(problem.offset, dtype).T,
        present=None if problem.sample_weight is None else problem.sample_weight > 0,
        penalty=penalty_of(problem).padded(k),
        location=jnp.pad(units[0], (0, k - n)),
        scale=jnp.pad(units[1], (0, k - n), constant_values=1),
        n=n,
        coercive=coercive,
        aid=working.aid,
        sets=None if problem.strata is None else matched_of(problem),
    )


def mean_information(system: System, z: Float[Array, "*K m"]) -> Float[Array, "p p"]:
    """I / N, and the squared penalty: the Hessian (B k, B k) of J in the coordinates of the likelihood, at logits z."""
    likelihood, penalty = system.likelihood, system.penalty
    H = likelihood.with_sums(system.information(z), penalty.absent)
    return H + jnp.diag(alike(penalty.l2, jnp.zeros((*likelihood.coordinates, system.A.shape[1]), H.dtype)))
