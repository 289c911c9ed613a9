"""The likelihood of K classes, a logit for each: l(z, y) = logsumexp_k z_k - z_y (see `jaxlr.model.likelihood`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dense import triangle
from jaxlr.linalg.dot import dot
from jaxlr.model import softmax
from jaxlr.model.curvature import ClassCurvature
from jaxlr.model.params import SoftmaxParams


class Multinomial(NamedTuple):
    """A logit for each class and row, labels 0..K-1 (m,); a label that is NaN makes its row NaN, another is of no class. Soft
    labels are probabilities of the classes (m, K).

    Attributes:
        num_classes: K.
        contrasts: whether x is in contrasts.
        soft: whether labels are probabilities; what is given labels looks at their axes.
    """

    num_classes: int
    contrasts: bool = False
    soft: bool = False

    @property
    def classes(self) -> tuple[int, ...]:
        """Axes of classes."""
        return (self.num_classes,)

    @property
    def params_type(self) -> type[SoftmaxParams]:
        """The parameters of such a model."""
        return SoftmaxParams

    @property
    def coordinates(self) -> tuple[int, ...]:
        """Axes of x in front of the columns."""
        return (self.num_classes - self.contrasts,)

    def in_contrasts(self) -> "Multinomial":
        """In coordinates for a smooth objective."""
        return self._replace(contrasts=True)

    def losses(self, z: Float[Array, "K m"], y: Float[Array, "m *K"]) -> Float[Array, " m"]:
        """Losses >= 0 of the rows."""
        logs = softmax.log_softmax(z, axis=0)
        if y.ndim == 2:
            Y = softmax.shares(y, self.num_classes)
            return jnp.sum(jnp.where(Y > 0, -Y * logs, 0 * Y), axis=0)
        return -jnp.sum(jnp.where(softmax.is_label(y, self.num_classes), logs, 0), axis=0) + 0 * y

    def log_odds(self, z: Float[Array, "K m"]) -> Float[Array, "K m"]:
        """Of each class against the others together: log p_k / (1 - p_k)."""
        others = jnp.asarray(~np.eye(self.num_classes, dtype=bool))
        return z - logsumexp(jnp.broadcast_to(z[None], (self.num_classes, *z.shape)), axis=1, where=others[:, :, None])

    def least_losses(self, y: Float[Array, "m *K"]) -> Float[Array, " m"]:
        """The losses of the best logits: 0 of a label, of probabilities their entropy."""
        if y.ndim == 2:
            Y = softmax.shares(y, self.num_classes)
            return -jnp.sum(jnp.where(Y > 0, Y * jnp.log(jnp.where(Y > 0, Y, 1)), 0 * Y), axis=0)
        return jnp.zeros_like(y)

    def residual(self, z: Float[Array, "K m"], y: Float[Array, "m *K"]) -> Float[Array, "K m"]:
        """The derivative of the losses in the logits; the label's own is minus the sum of the others."""
        return softmax.residuals(z, y)

    def curvature(
        self, z: Float[Array, "K m"], w: Float[Array, " m"], dtype: Any = None, saturates: bool = True
    ) -> ClassCurvature:
        """The second derivative of the weighted losses in the logits, in a dtype of its own where one is given; without
        `saturates` no probability is taken to be near 1."""
        below = z - jnp.max(z, axis=0)[None, :]
        p = softmax.proba(below if dtype is None else below.astype(dtype))
        return ClassCurvature(p, w.astype(p.dtype), softmax.most_probable(p) if saturates else None, self.basis)

    def reach(self, dz: Float[Array, "K m"]) -> Float[Array, " m"]:
        """R of a change of the logits."""
        return jnp.max(dz, axis=0) - jnp.min(dz, axis=0)

    def margins(self, y: Float[Array, "m *K"]) -> Float[Array, "K m"]:
        """The change of logits that improves every row."""
        return softmax.shares(y, self.num_classes) - 1 / self.num_classes

    def falls(self, dz: Float[Array, "K m"], y: Float[Array, "m *K"]) -> Float[Array, " m"]:
        """By how much a change of the logits worsens the margin of a row, that of a soft label for each of its classes."""
        own = softmax.shares(y, self.num_classes) > 0
        return jnp.max(dz, axis=0) - jnp.min(jnp.where(own, dz, jnp.inf), axis=0)

    def class_weights(self, y: Float[Array, "m *K"], w: Float[Array, " m"]) -> Float[Array, " K"]:
        """The weight of each class; NaN where a label is."""
        if y.ndim == 2:
            return dot(softmax.shares(y, self.num_classes), w)
        return jnp.sum(jnp.where(softmax.is_label(y, self.num_classes), w[None, :], 0 * y[None, :]), axis=1)

    def rarity(self, y: Float[Array, "m *K"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """4 p (1 - p), p the weight of the rarest class that has any: the scale of gradient and curvature at the minimum."""
        p = self.class_weights(y, w)
        return jnp.min(4 * p * (1 - p), initial=1, where=p > 0)

    def out_of_range(self, y: Float[Array, "m *K"]) -> Array:
        """Whether a label is none, or what is given are no probabilities."""
        if y.ndim == 2:
            return jnp.any(y < 0) | jnp.any(jnp.abs(jnp.sum(y, axis=1) - 1) > 16 * self.num_classes * jnp.finfo(y.dtype).eps)
        return jnp.any((y < 0) | (y > self.num_classes - 1) | (y != jnp.floor(y)) & ~jnp.isnan(y))

    @property
    def basis(self) -> np.ndarray:
        """Q (K, K - 1) of contrasts, or the identity (K, K)."""
        return softmax.contrasts(self.num_classes) if self.contrasts else np.eye(self.num_classes)

    def expand(self, x: Float[Array, "B k"]) -> Float[Array, "K k"]:
        """Parameters of coordinates, Q x."""
        return dot(jnp.asarray(self.basis, x.dtype), x) if self.contrasts else x

    def reduce(self, g: Float[Array, "K k"]) -> Float[Array, "B k"]:
        """Coordinates of parameters, Q' g."""
        return dot(jnp.asarray(self.basis.T, g.dtype), g) if self.contrasts else g

    def assemble(self, blocks: Float[Array, "P k k"]) -> Float[Array, "parameters parameters"]:
        """A Hessian (B k, B k) of its Gram matrices, one a pair of coordinates."""
        (size,), k = self.coordinates, blocks.shape[-1]
        return jnp.swapaxes(blocks[triangle(size)], 1, 2).reshape(size * k, size * k)

    def with_sums(self, H: Float[Array, "p p"], unpenalized: Bool[Array, " k"]) -> Float[Array, "p p"]:
        """A Hessian with a curvature along what changes no logit and has no penalty: what all classes share, which stays 0."""
        if self.contrasts:
            return H
        # Of the rarest class: more would drown its own curvature.
        diagonal = jnp.min(jnp.diagonal(H).reshape(self.num_classes, -1), axis=0)
        average = jnp.full((self.num_classes, self.num_classes), 1 / self.num_classes, H.dtype)
        sums = jnp.diag(jnp.where(unpenalized, diagonal, 0))
        return H + (average[:, None, :, None] * sums[None, :, None, :]).reshape(H.shape)

    def add_sums(self, Hv: Float[Array, "B k"], v: Float[Array, "B k"], strength: Float[Array, " k"]) -> Float[Array, "B k"]:
        """A product with a Hessian, of this curvature along what changes no logit: the mean over the classes."""
        return Hv if self.contrasts else Hv + strength[None, :] * jnp.mean(v, axis=0)[None, :]

    def zero_sums(self, params: Float[Array, "K k"], penalty: Any) -> Float[Array, "K k"]:
        """The same logits without what changes none of them and has no penalty: what all classes share, as far as bounds let
        it go."""
        return penalty.moved(params, jnp.broadcast_to(-penalty.shared(params)[None, :], params.shape))

    def evidence(
        self, z: Float[Array, "K m"], y: Float[Array, "m *K"], w: Float[Array, " m"], balanced: bool
    ) -> tuple[Float[Array, " m"], Float[Array, "K m"], Float[Array, "K m"], Callable[[Array], Float[Array, " m"]]]:
        """Losses, residuals, residuals of a dual point, and the divergence of the rows there once these are shrunk by a
        factor <= 1; balanced ones of every class sum to 0 under the weights."""
        return softmax.evidence(z, y, w, balanced)
