"""The two likelihoods, as static objects: all that solvers, certificates and statistics ask of the loss of a row.

                    logits z       loss l(z, y)                        residual dl/dz      curvature d2l/dz2
    Binary          (m,)           log(1 + exp(z)) - y z               sigmoid(z) - y      c = p (1 - p)
    Multinomial     (K, m)         logsumexp_k z_k - z_y               p_k - [y = k]       diag(p) - p p'

Classes stand in front of rows and columns, so that the same lines serve both: logits and residuals (*classes, m), parameters
(*classes, k). A solver moves in coordinates x = Q' params: for classes without an absolute penalty Q holds the contrasts
(K, K - 1), all that sums to 0 over the classes, so that the Hessian has no null space of its own; else it is the identity.

Along a change dz of the logits both losses are quasi-self-concordant, |l'''| <= R l'' (Bach 2010, Electronic Journal of
Statistics 4, section 2), with R = `reach`: the third derivative of logsumexp is the third cumulant of a number that varies by
at most R, hence at most R times its variance, the second derivative.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from jaxlr.linalg.dot import aligned, dot
from jaxlr.model import logistic, multinomial
from jaxlr.model.curvature import ClassCurvature, LogitCurvature
from jaxlr.model.params import Params, SoftmaxParams


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

    def least_losses(self, y: Float[Array, " m"]) -> Float[Array, " m"]:
        """The losses of the best logits: the entropies of soft labels."""
        entropy = lambda p: jnp.where(p > 0, -p * jnp.log(jnp.where(p > 0, p, 1)), 0)  # noqa: E731
        return entropy(y) + entropy(1 - y)

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

    def class_weights(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " 2"]:
        """The weight of each class."""
        return jnp.stack([jnp.sum(w * (1 - y)), jnp.sum(w * y)])

    def least_class_weight(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """The weight of the rarest class."""
        return jnp.minimum(jnp.sum(w * (1 - y)), jnp.sum(w * y))

    def rarity(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """4 p (1 - p), p the weight of the rarest class: the scale of gradient and curvature at the minimum."""
        return 4 * jnp.sum(w * y) * jnp.sum(w * (1 - y))

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

    def zero_sums(self, params: Float[Array, " k"], unpenalized: Bool[Array, " k"]) -> Float[Array, " k"]:
        """The same logits without what changes none of them and has no penalty: there is nothing of the kind."""
        del unpenalized
        return params

    def dual(
        self, z: Float[Array, " m"], y: Float[Array, " m"], w: Float[Array, " m"], balanced: bool
    ) -> tuple[Float[Array, " m"], Callable[[Array], Float[Array, " m"]]]:
        """Residuals of a dual point, and the divergence of the rows there once they are shrunk by a factor <= 1.

        Balanced residuals sum to 0 under the weights, as an intercept asks.
        """
        r = logistic.balanced_residuals(z, y, w) if balanced else logistic.residual(z, y)
        return r, lambda shrink: logistic.divergence(z, y, shrink * r)


class Multinomial(NamedTuple):
    """A logit for each class and row, labels 0..K-1; a label that is NaN makes its row NaN, another is of no class.

    Attributes:
        num_classes: K.
        contrasts: whether x is in contrasts.
    """

    num_classes: int
    contrasts: bool = False

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

    def losses(self, z: Float[Array, "K m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """Losses >= 0 of the rows."""
        logs = multinomial.log_softmax(z, axis=0)
        return -jnp.sum(jnp.where(multinomial.is_label(y, self.num_classes), logs, 0), axis=0) + 0 * y

    def least_losses(self, y: Float[Array, " m"]) -> Float[Array, " m"]:
        """The losses of the best logits."""
        return jnp.zeros_like(y)

    def residual(self, z: Float[Array, "K m"], y: Float[Array, " m"]) -> Float[Array, "K m"]:
        """The derivative of the losses in the logits; the label's own is minus the sum of the others."""
        return multinomial.residuals(z, y)

    def curvature(
        self, z: Float[Array, "K m"], w: Float[Array, " m"], dtype: Any = None, saturates: bool = True
    ) -> ClassCurvature:
        """The second derivative of the weighted losses in the logits, in a dtype of its own where one is given; without
        `saturates` no probability is taken to be near 1."""
        below = z - jnp.max(z, axis=0)[None, :]
        p = multinomial.proba(below if dtype is None else below.astype(dtype))
        return ClassCurvature(p, w.astype(p.dtype), multinomial.most_probable(p) if saturates else None, self.basis)

    def reach(self, dz: Float[Array, "K m"]) -> Float[Array, " m"]:
        """R of a change of the logits."""
        return jnp.max(dz, axis=0) - jnp.min(dz, axis=0)

    def margins(self, y: Float[Array, " m"]) -> Float[Array, "K m"]:
        """The change of logits that improves every row."""
        return multinomial.is_label(y, self.num_classes).astype(y.dtype) - 1 / self.num_classes

    def class_weights(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " K"]:
        """The weight of each class."""
        return jnp.sum(jnp.where(multinomial.is_label(y, self.num_classes), w[None, :], 0), axis=1)

    def least_class_weight(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """The weight of the rarest class."""
        return jnp.min(self.class_weights(y, w))

    def rarity(self, y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """4 p (1 - p), p the weight of the rarest class that has any: the scale of gradient and curvature at the minimum."""
        p = self.class_weights(y, w)
        return jnp.min(4 * p * (1 - p), initial=1, where=p > 0)

    def out_of_range(self, y: Float[Array, " m"]) -> Array:
        """Whether a label is none."""
        return jnp.any((y < 0) | (y > self.num_classes - 1) | (y != jnp.floor(y)) & ~jnp.isnan(y))

    @property
    def basis(self) -> np.ndarray:
        """Q (K, K - 1) of contrasts, or the identity (K, K)."""
        return multinomial.contrasts(self.num_classes) if self.contrasts else np.eye(self.num_classes)

    def expand(self, x: Float[Array, "B k"]) -> Float[Array, "K k"]:
        """Parameters of coordinates, Q x."""
        return dot(jnp.asarray(self.basis, x.dtype), x) if self.contrasts else x

    def reduce(self, g: Float[Array, "K k"]) -> Float[Array, "B k"]:
        """Coordinates of parameters, Q' g."""
        return dot(jnp.asarray(self.basis.T, g.dtype), g) if self.contrasts else g

    def assemble(self, blocks: Float[Array, "P k k"]) -> Float[Array, "parameters parameters"]:
        """A Hessian (B k, B k) of its Gram matrices, one a pair of coordinates."""
        (size,), k = self.coordinates, blocks.shape[-1]
        place = np.zeros((size, size), np.int32)
        i, j = np.triu_indices(size)
        place[i, j] = place[j, i] = np.arange(len(i))
        return jnp.swapaxes(blocks[place], 1, 2).reshape(size * k, size * k)

    def with_sums(self, H: Float[Array, "p p"], unpenalized: Bool[Array, " k"]) -> Float[Array, "p p"]:
        """A Hessian with a curvature along what changes no logit and has no penalty: what all classes share, which stays 0."""
        if self.contrasts:
            return H
        diagonal = jnp.mean(jnp.diagonal(H).reshape(self.num_classes, -1), axis=0)
        average = jnp.full((self.num_classes, self.num_classes), 1 / self.num_classes, H.dtype)
        sums = jnp.diag(jnp.where(unpenalized, diagonal, 0))
        return H + (average[:, None, :, None] * sums[None, :, None, :]).reshape(H.shape)

    def add_sums(self, Hv: Float[Array, "B k"], v: Float[Array, "B k"], strength: Float[Array, " k"]) -> Float[Array, "B k"]:
        """A product with a Hessian, of this curvature along what changes no logit: the mean over the classes."""
        return Hv if self.contrasts else Hv + strength[None, :] * jnp.mean(v, axis=0)[None, :]

    def zero_sums(self, params: Float[Array, "K k"], unpenalized: Bool[Array, " k"]) -> Float[Array, "K k"]:
        """The same logits without what changes none of them and has no penalty: what all classes share."""
        return params - jnp.where(unpenalized, jnp.mean(params, axis=0), 0)[None, :]

    def dual(
        self, z: Float[Array, "K m"], y: Float[Array, " m"], w: Float[Array, " m"], balanced: bool
    ) -> tuple[Float[Array, "K m"], Callable[[Array], Float[Array, " m"]]]:
        """Residuals of a dual point, and the divergence of the rows there once they are shrunk by a factor <= 1; balanced
        residuals of every class sum to 0 under the weights."""
        return multinomial.dual(z, y, w, balanced)


Likelihood = Binary | Multinomial


def likelihood_of(num_classes: int | None) -> Likelihood:
    """The likelihood that `num_classes` of a fit names.

    Args:
        num_classes: K, None for the binary model.

    Returns:
        Static, hashable.
    """
    return Binary() if num_classes is None else Multinomial(num_classes)


def likelihood_of_params(params: Any) -> Likelihood:
    """The likelihood whose parameters these are.

    Args:
        params: Params, or SoftmaxParams of one model or a batch.

    Returns:
        Static, hashable.

    Raises:
        TypeError: they are something else.
    """
    if isinstance(params, SoftmaxParams):
        return Multinomial(jnp.shape(params.coef)[-2])
    if isinstance(params, Params):
        return Binary()
    raise TypeError(f"expected jaxlr.Params or jaxlr.SoftmaxParams, got {type(params).__name__}")


def alike(vector: Shaped[Array, " k"], x: Float[Array, "*B k"]) -> Shaped[Array, " parameters"]:
    """A vector over columns, once for each coordinate of the classes: of the length of x.ravel().

    Args:
        vector: (k,).
        x: (*B, k).

    Returns:
        (B k,).
    """
    return jnp.broadcast_to(aligned(vector, x), x.shape).ravel()
