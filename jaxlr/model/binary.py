"""The likelihood of two classes, one logit a row: l(z, y) = log(1 + exp(z)) - y z (see `jaxlr.model.likelihood`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import dot
from jaxlr.model import logistic
from jaxlr.model.curvature import LogitCurvature
from jaxlr.model.params import Params


class Binary(NamedTuple):
    """One logit a row, labels in [0, 1]."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Axes of classes: none."""
        return ()

    @property
    def params_type(self) -> type[Params]:
        """The parameters of such a model."""
        return Params

    @property
    def coordinates(self) -> tuple[int, ...]:
        """Axes of x in front of the columns."""
        return ()

    def in_contrasts(self) -> "Binary":
        """In coordinates for a smooth objective."""
        return self

    def losses(self, z: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """Losses >= 0 of the rows."""
        return logistic.logistic_loss(z, y)

    def log_odds(self, z: Float[Array, " m"]) -> Float[Array, " m"]:
        """log p / (1 - p)."""
        return z

    def residual(self, z: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """The derivative of the losses in the logits."""
        return logistic.residual(z, y)

    def curvature(
        self, z: Float[Array, " m"], w: Float[Array, " m"], dtype: Any = None, saturates: bool = True
    ) -> LogitCurvature:
        """The second derivative of the weighted losses in the logits, in a dtype of its own where one is given."""
        del saturates
        wc = w * logistic.curvature(z)
        return LogitCurvature(wc if dtype is None else wc.astype(dtype))

    def reach(self, dz: Float[Array, " m"]) -> Float[Array, " m"]:
        """R of a change of the logits."""
        return jnp.abs(dz)

    def margins(self, y: Float[Array, " m"]) -> Float[Array, " m"]:
        """The change of logits that improves every row."""
        return 2 * y - 1

    def falls(self, dz: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """By how much a change of the logits worsens the margin of a row, that of a soft label either way."""
        return jnp.maximum(jnp.where(y > 0, -dz, 0), jnp.where(y < 1, dz, 0))

    def class_weights(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " 2"]:
        """The weight of each class; NaN where a label is."""
        return dot(jnp.stack([1 - y, y]), w)

    def rarity(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """4 p (1 - p), p the weight of the rarest class, 1 where there is but one: the scale of gradient and curvature at the
        minimum."""
        p, q = self.class_weights(y, w)
        return jnp.where((p == 0) | (q == 0), 1, 4 * p * q)

    def out_of_range(self, y: Float[Array, " m"]) -> Array:
        """Whether a label is none."""
        return jnp.max(jnp.abs(y - 0.5)) > 0.5

    def expand(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        """Parameters of coordinates, Q x."""
        return x

    def reduce(self, g: Float[Array, " k"]) -> Float[Array, " k"]:
        """Coordinates of parameters, Q' g."""
        return g

    def assemble(self, blocks: Float[Array, "k k"]) -> Float[Array, "k k"]:
        """A Hessian of its Gram matrices."""
        return blocks

    def with_sums(self, H: Float[Array, "k k"], unpenalized: Bool[Array, " k"]) -> Float[Array, "k k"]:
        """A Hessian with a curvature along what changes no logit and has no penalty: there is nothing of the kind."""
        del unpenalized
        return H

    def add_sums(self, Hv: Float[Array, " k"], v: Float[Array, " k"], strength: Float[Array, " k"]) -> Float[Array, " k"]:
        """A product with a Hessian, of this curvature along what changes no logit: there is nothing of the kind."""
        del v, strength
        return Hv

    def zero_sums(self, params: Float[Array, " k"], penalty: Any) -> Float[Array, " k"]:
        """The same logits without what changes none of them and has no penalty: there is nothing of the kind."""
        del penalty
        return params

    def evidence(
        self, z: Float[Array, " m"], y: Float[Array, " m"], w: Float[Array, " m"], balanced: bool
    ) -> tuple[Float[Array, " m"], Float[Array, " m"], Float[Array, " m"], Callable[[Array], Float[Array, " m"]]]:
        """Losses, residuals, residuals of a dual point, and the divergence of the rows there once these are shrunk by a
        factor <= 1; balanced ones sum to 0 under the weights, as an intercept asks."""
        r = logistic.balanced_residuals(z, y, w) if balanced else logistic.residual(z, y)
        return self.losses(z, y), self.residual(z, y), r, lambda shrink: logistic.divergence(z, y, shrink * r)
