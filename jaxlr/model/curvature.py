"""The second derivative of weighted losses in the logits: what Hessians and their products are made of.

    one logit      w c,  c = p (1 - p)
    K classes      w (diag(p) - p p')

`times` bends a change of the logits into that of the residuals; `pairs` are the weights of the rows in the Gram matrices of
which a Hessian in the coordinates of the classes is made.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import dot


class LogitCurvature(NamedTuple):
    """Of a binary loss: weights times curvatures, a number a row."""

    wc: Array

    def times(self, dz: Float[Array, " m"]) -> Float[Array, " m"]:
        """The change of the residuals with that of the logits."""
        return self.wc * dz

    def diagonal(self) -> Float[Array, " m"]:
        """The curvature of each logit."""
        return self.wc

    def dual_square(self, r: Float[Array, " m"]) -> Float[Array, ""]:
        """r . C^-1 r of a change of the residuals."""
        return jnp.sum(jnp.where(r == 0, 0, r * r / self.wc))

    def pairs(self) -> Float[Array, " m"]:
        """Weights of the rows in the Gram matrix that is the Hessian."""
        return self.wc


class ClassCurvature(NamedTuple):
    """Of a multinomial loss: w (diag(p) - p p'), never formed.

    Attributes:
        p: probabilities (K, m).
        w: weights of the rows (m,).
        top: the most probable class of each row (K, m), or None where none is near 1.
        basis: Q (K, B), static, of the coordinates.
    """

    p: Array
    w: Array
    top: Array | None
    basis: np.ndarray

    def times(self, dz: Float[Array, "K m"]) -> Float[Array, "K m"]:
        """The change of the residuals with that of the logits, p_k (dz_k - sum_l p_l dz_l): with dz relative to the most
        probable class, so that nothing cancels where that one has nearly all probability."""
        if self.top is not None:
            dz = dz - jnp.sum(jnp.where(self.top, dz, 0), axis=0)[None, :]
        return self.w[None, :] * (self.p * (dz - jnp.sum(self.p * dz, axis=0)[None, :]))

    def diagonal(self) -> Float[Array, "K m"]:
        """The curvature of each logit."""
        return self.w[None, :] * (self.p * (1 - self.p))

    def dual_square(self, r: Float[Array, "K m"]) -> Float[Array, ""]:
        """r . C^+ r of a change of the residuals, which sum to 0: r_k / (w p_k) is a dz that makes it."""
        return jnp.sum(jnp.where(r == 0, 0, r * r / (self.w[None, :] * self.p)))

    def pairs(self) -> Float[Array, "P m"]:
        """Weights of the rows in the Gram matrices of which a Hessian is made, a row for each pair of coordinates:

            H = sum_{k < l} (Q_k - Q_l) (Q_k - Q_l)' (x) A' diag(w p_k p_l) A

        all of one sign, so that the blocks keep their digits however saturated the rows are."""
        basis = self.basis
        a, b = np.triu_indices(len(basis), 1)
        u, v = np.triu_indices(basis.shape[1])
        apart = basis[a] - basis[b]  # (pairs of classes, B)
        mix = jnp.asarray((apart[:, u] * apart[:, v]).T, self.p.dtype)
        return dot(mix, self.w[None, :] * self.p[a] * self.p[b])


Curvature = LogitCurvature | ClassCurvature
