"""What the sums of a pass say about ONE model where it is: objective, gradient, Hessian, KKT residual and duality gap.

Objective, gradient and KKT residual are those of `jaxlr.model.objective` and `jaxlr.model.certificates`. Duality gap: the dual
point has residuals whose weighted sum is 0, as the intercept asks. `jaxlr.duality_gap` finds it in a second look at the rows;
here it comes from the sums of the one pass. With W the curvature of a row and e = sum_i w_i r_i, along the shift t of the
intercepts that Newton's method takes,

    r'_i = r_i - W_i t,     M t = e,     M = sum_i w_i W_i,     so that sum_i w_i r'_i = 0 and a' = a - (sum_i w_i W_i X_i) t

r' belongs to probabilities p' = p (1 - t + p . t) (of two classes p - t p (1 - p)), which are >= 0 wherever the entries of t
differ by at most 1, and KL <= chi-square. Shrunk by sigma for l1 (`jaxlr.model.penalty`), chi-square of all rows together is

    (1 - sigma)^2 sum_i w_i |r_i|^2 / W_i  +  (1 - (1 - sigma)^2) t . M t

exactly, and KL being convex the divergence is at most sigma t . M t + (1 - sigma) sum_i w_i l_i too: the smaller of the two is
taken. Further than 1 from the balance, far from any minimum, there is no bound, and the gap is inf. Residuals that are carried
along a step, no logit moving by more than R, have changed p' by up to p R before: further than 1 - R then.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dense import triangle
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model import softmax
from jaxlr.model.likelihood import Likelihood
from jaxlr.streaming.sums import Sums, unpacked


class Model(NamedTuple):
    """One model, or with axes in front many.

    Attributes:
        penalty: of its parameters (k,), on working columns.
        location, scale: in which its KKT residual measures columns (k,), 0 and 1 for the intercept.
        total: sum of its weights.
        rarity: of its rarest class, see `jaxlr.solvers.descent.Rules`.
        norm: the largest of the rows of A.
    """

    penalty: Any
    location: Any
    scale: Any
    total: Any
    rarity: Any
    norm: Any

    @property
    def squares(self) -> Array:
        """Mean squares of the columns under the weights (k,)."""
        return self.location**2 + self.scale**2


class Here(NamedTuple):
    """What is known at parameters x: gradient of the smooth part (*B, k), Hessian of the loss on the columns of which it was
    summed (None where it was not), objective, KKT residual, duality gap, and the gradient of all classes for the centred
    columns (*K, k)."""

    g: Array
    H: Any
    value: Array
    kkt: Array
    gap: Array
    u: Any = None


def farthest(step: Float[Array, "*B k"], model: Model) -> Float[Array, ""]:
    """What no logit, of classes no difference of two, moves by more than along a step: by the norms of the rows."""
    return np.sqrt(2) * model.norm * jnp.sqrt(jnp.sum(step**2))


def point(
    x: Float[Array, "*B k"], sums: Sums, model: Model, likelihood: Likelihood, n: int, carried: Array | float = 0.0
) -> Here:
    """What the sums of a model at x say.

    Args:
        likelihood: in the coordinates of x.
        n: columns, without the intercept.
        carried: R of a step that the slopes have been carried along.
    """
    penalty = model.penalty
    params = likelihood.expand(x)
    slope, bend, loss = sums.slope / model.total, sums.bend / model.total, sums.loss / model.total
    g = jnp.where(aligned(penalty.free, x), slope + penalty.smooth_slope(x), 0)
    H = None if sums.gram is None else likelihood.assemble(unpacked(sums.gram) / model.total)
    full = jnp.where(aligned(penalty.free, params), likelihood.expand(slope) + penalty.smooth_slope(params), 0)
    centered = full - aligned(model.location, full) * jnp.sum(full[..., n:], axis=-1, keepdims=True)
    kkt = jnp.max(penalty.violations(centered, params) / aligned(model.scale, full))
    gap = _gap(params, slope, bend, loss, sums.chi / model.total, model, likelihood, n, 1 - carried)
    return Here(g, H, loss + penalty.value(params), kkt, gap, centered)


def _gap(
    params: Float[Array, "*K k"],
    slope: Float[Array, "*B k"],
    bend: Float[Array, "*P k"],
    loss: Array,
    chi: Array,
    model: Model,
    likelihood: Likelihood,
    n: int,
    room: Array | float,
) -> Float[Array, ""]:
    of_columns = type(model.penalty)(*(part[:n] for part in model.penalty))
    a, T, near = slope, jnp.zeros(()), jnp.bool_(True)
    if params.shape[-1] > n:
        size = (1, 1) if not likelihood.classes else likelihood.coordinates * 2
        C = bend.reshape(*size, -1) if not likelihood.classes else bend[triangle(size[0])]
        M, e, Q = C[..., n], slope[..., n].reshape(-1), jnp.eye(size[0])
        if likelihood.classes and size == likelihood.classes * 2:  # its null space is what all classes share
            Q = jnp.asarray(softmax.contrasts(size[0]))
        t = dot(Q, jnp.linalg.solve(dot(Q.T, dot(M, Q)), dot(Q.T, e)))
        a = slope - jnp.einsum("klj,l->kj", C, t, precision="highest").reshape(slope.shape)
        shift = likelihood.expand(t[:, None])[:, 0] if likelihood.classes else t
        T, near = dot(t, e), (jnp.max(shift) - jnp.min(shift) if likelihood.classes else jnp.abs(shift[0])) <= room
    a = likelihood.expand(a)[..., :n]
    sigma = of_columns.shrinkage(-a)
    left = 1 - sigma
    square = left**2 * chi + (1 - left**2) * T
    linear = sigma * T + left * loss
    divergence = jnp.where(left == 0, T, jnp.where(square <= linear, square, linear))
    gap = jnp.maximum(divergence, 0) + jnp.sum(of_columns.conjugacy(params[..., :n], -sigma * a))
    unbounded = ~jnp.all(of_columns.bounding) | ~near | jnp.isnan(gap)
    return jnp.where(unbounded, jnp.inf, gap)
