"""Leverage: how far a row moves its own logits, of one factor of the Hessian for all rows of a model.

    H = sum_i w_i W_i (x) a_i a_i' + pen''        R' R = H^-1        U_i = R (I (x) a_i)        q_i = U_i' U_i

with W_i the curvature of the loss in the logits, c = p (1 - p) of two classes, and weights w that sum to 1. h_i = w_i c_i q_i
is the diagonal of the hat matrix of the last Newton step, sum_i h_i the degrees of freedom that the model uses (Pregibon 1981,
Annals of Statistics 9, section 3).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.fitted import Fitted
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import aligned, dot
from jaxlr.solvers.system import mean_information


class Leverage(NamedTuple):
    """What one row's weight moves, at the estimate.

    Attributes:
        root: R (p, *B, k), 0 for what an absolute penalty holds at 0, and for dependent columns.
        moved: U (p, *B, m), 0 in rows without weight.
    """

    root: Array
    moved: Array

    def of_gradient(self, g: Float[Array, "*B k"]) -> Float[Array, "*B m"]:
        """The change of the logits along H^-1 g."""
        along = dot(self.root.reshape(len(self.root), -1), g.reshape(-1))
        return jnp.tensordot(along, self.moved, 1, precision="highest")


def remainder(h: Float[Array, " m"]) -> Float[Array, " m"]:
    """1 - h, NaN where nothing of it is left but rounding: such a row determines a parameter alone."""
    return jnp.where(1 - h > jnp.finfo(h.dtype).eps ** 0.75, 1 - h, jnp.nan)


def leverage(model: Fitted, jitter: float = 0.0) -> Leverage:
    """The leverage of all rows; NaN where the Hessian is singular as far as its dtype can tell.

    Args:
        model: at its estimate.
        jitter: added to the diagonal of the Hessian where that is 1, so that copies leave it definite.
    """
    system = model.system
    root = inverse_root(mean_information(system, model.z), model.free.reshape(-1), jitter)
    root = root.reshape(len(root), *model.x.shape)
    moved = system.A.times(root)
    return Leverage(root, jnp.where(aligned(system.w, moved) > 0, moved, 0))
