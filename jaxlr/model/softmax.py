"""Functions of the logits of a row, the classes in front, right to the last digits.

With t an index of the largest logit,

    logsumexp(z)     = z_t + log1p(sum_{k != t} exp(z_k - z_t))
    log_softmax(z)_k = (z_k - z_t) - log1p(sum_{l != t} exp(z_l - z_t))
    residual_k       = p_k - [label = k],     the label's own minus the sum of the others

(for probabilities Y_ik in place of a label, p_k - Y_ik) add only terms of one sign behind z_t, so nothing cancels (shifted sums
with the largest term apart: Blanchard, Higham & Higham 2021, IMA Journal of Numerical Analysis 41, Accurately computing the
log-sum-exp and softmax functions).

Dual points. For distributions p_i over the classes with sum_i w_i (p_i - e_label_i) = 0 (that is for the intercepts), Fenchel's
inequality bounds what is left to gain (`jaxlr.model.certificates`); of soft labels Y_i stands in place of e_label_i. They are
found without iteration: q' = softmax(z + b), b one Newton step of the intercepts; what is left, c_k = sum_i w_i q'_ik - (weight
of class k), is moved from the classes that have too much to those that have too little,

    p_i = (1 - sigma) e_label_i + sigma [ q'_i (1 - theta) + (q'_i . theta) rho ]
    theta_k = max(c_k, 0) / sum_i w_i q'_ik          rho_l = max(-c_l, 0) / sum_k max(-c_k, 0)

KL is convex, so with tau_i = sigma q'_i . theta it is at most tau_i (cross entropy of rho) + the smaller of sum_k q_ik d_ik^2
(chi-square; q_ik (1 + d_ik) is what p_i has without rho) and the cross entropy of that rest.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from jaxlr.inputs.tables import as_floating
from jaxlr.linalg.cholesky import cholesky, solve
from jaxlr.linalg.dot import dot


def logsumexp(z: ArrayLike, axis: int = -1) -> Float[Array, "..."]:
    """log(sum_k exp(z_k)) over the classes.

    Args:
        z: logits, any shape, any real dtype.
        axis: static, of the classes.

    Returns:
        z's shape without the axis, z's dtype. -inf where all logits are -inf, inf where one is inf, NaN where one is NaN.

    Raises:
        TypeError: z is not real.

    Example:
        >>> float(logsumexp(jnp.array([-jnp.inf, 1000.0])))
        1000.0
    """
    z = as_floating(z)
    wide = jnp.moveaxis(z.astype(jnp.float32) if z.dtype.itemsize < 4 else z, axis, 0)
    return _logsumexp(wide).astype(z.dtype)


def log_softmax(z: ArrayLike, axis: int = -1) -> Float[Array, "..."]:
    """The log-probability of every class.

    Args:
        z: logits, any shape, any real dtype.
        axis: static, of the classes.

    Returns:
        Array of z's shape and dtype, <= 0. Infinite logits give the limits, in which several that are inf, or all that are
        -inf, are equal; NaN where one of the row is NaN.

    Raises:
        TypeError: z is not real.

    Example:
        >>> log_softmax(jnp.array([0.0, -jnp.inf, -1000.0])).tolist()
        [0.0, -inf, -1000.0]
    """
    z = as_floating(z)
    wide = jnp.moveaxis(z.astype(jnp.float32) if z.dtype.itemsize < 4 else z, axis, 0)
    return jnp.moveaxis(_log_softmax(wide), 0, axis).astype(z.dtype)


def shifted(z: Float[Array, "K *rows"]) -> tuple[Float[Array, "K *rows"], Float[Array, "*rows"], Float[Array, "*rows"]]:
    """z - max z, max z, and sum exp(z - max z) - 1, over the classes in front."""
    top = jnp.max(z, axis=0)
    # By its place: XLA may compute z twice, rounded differently, so that no logit equals the largest.
    first = np.arange(z.shape[0]).reshape(-1, *(1,) * (z.ndim - 1)) == jnp.argmax(z, axis=0)[None]
    below = jnp.where((first & ~jnp.isnan(z)) | (z == top[None]), 0, z - top[None])  # inf - inf is 0 here
    return below, top, jnp.sum(jnp.where(first, 0, jnp.exp(below)), axis=0)


@jax.custom_jvp
def _log_softmax(z: Float[Array, "K *rows"]) -> Float[Array, "K *rows"]:
    below, _, rest = shifted(z)
    return below - jnp.log1p(rest)[None]


@_log_softmax.defjvp
def _log_softmax_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z,), (dz,) = primals, tangents
    value = _log_softmax(z)
    return value, dz - jnp.sum(jnp.exp(value) * dz, axis=0)[None]


@jax.custom_jvp
def _logsumexp(z: Float[Array, "K *rows"]) -> Float[Array, "*rows"]:
    _, top, rest = shifted(z)
    return top + jnp.log1p(rest)


@_logsumexp.defjvp
def _logsumexp_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z,), (dz,) = primals, tangents
    return _logsumexp(z), jnp.sum(jnp.exp(_log_softmax(z)) * dz, axis=0)


def is_label(y: Float[Array, " m"], num_classes: int) -> Bool[Array, "K m"]:
    """Which rows are of which class; a row whose label is no class is of none."""
    return y[None, :] == jnp.arange(num_classes, dtype=y.dtype)[:, None]


def shares(y: Float[Array, "m *K"], num_classes: int) -> Float[Array, "K m"]:
    """How much of a row is of each class: 0 or 1 by its label, or its probabilities over their sum; NaN where a label is."""
    if y.ndim == 1:
        return jnp.where(is_label(y, num_classes), 1, 0 * y[None, :])
    total = jnp.sum(y, axis=1)
    return y.T / jnp.where(total > 0, total, 1)[None, :]  # rows that fill up a block are all 0


def proba(z: Float[Array, "K m"]) -> Float[Array, "K m"]:
    """softmax(z_i) for every row."""
    e = jnp.exp(z - jnp.max(z, axis=0)[None, :])
    return e / jnp.sum(e, axis=0)[None, :]


def residuals(z: Float[Array, "K m"], y: Float[Array, "m *K"]) -> Float[Array, "K m"]:
    """The derivative of the loss in the logits, p - [label = k]; the label's own is minus the sum of the others, and NaN makes
    its row NaN."""
    if y.ndim == 2:
        return _soft_residuals(proba(z), shares(y, z.shape[0]))
    label = is_label(y, z.shape[0])
    e = jnp.exp(z - jnp.max(z, axis=0)[None, :])
    others = jnp.sum(jnp.where(label, 0, e), axis=0)
    return jnp.where(label, -others[None, :], e) / (jnp.sum(e, axis=0) + 0 * y)[None, :]


def _soft_residuals(p: Float[Array, "K m"], Y: Float[Array, "K m"]) -> Float[Array, "K m"]:
    """p - Y; where a class has the whole row, minus the sum of the others."""
    others = jnp.sum(jnp.where(Y == 1, 0, p), axis=0)
    return jnp.where(Y == 1, -others[None, :], p - Y)


def most_probable(p: Float[Array, "K m"]) -> Bool[Array, "K m"]:
    """Which class of each row is the most probable one, the first of several."""
    return np.arange(p.shape[0])[:, None] == jnp.argmax(p, axis=0)[None, :]


def contrasts(num_classes: int) -> np.ndarray:
    """An orthonormal basis Q (K, K - 1) of what sums to 0 over the classes (Helmert's contrasts), Q'Q = 1.

    Wherever J is smooth its minimum has such coefficients and intercepts, or can have, and |Q x|^2 = |x|^2 keeps the penalty.

    Example:
        >>> contrasts(2).ravel().round(6).tolist()
        [0.707107, -0.707107]
    """
    u = np.arange(1, num_classes)
    Q = np.where(np.arange(num_classes)[:, None] < u[None, :], 1.0, 0.0)
    Q[u, u - 1] = -u
    return Q / np.sqrt(u * (u + 1))[None, :]


def evidence(
    z: Float[Array, "K m"], y: Float[Array, "m *K"], w: Float[Array, " m"], balanced: bool
) -> tuple[Float[Array, " m"], Float[Array, "K m"], Float[Array, "K m"], Callable[[Array], Float[Array, " m"]]]:
    """Losses (m,), residuals and those of a dual point, p - e_label (K, m) for sigma = 1, and from sigma to upper bounds on
    KL(p_i || softmax(z_i)) (m,) for sigma times these: all of one exponential a logit.

    Where `balanced`, the residuals of the dual point sum to 0 under the weights w, which sum to 1, for every class.
    """
    below, _, rest = shifted(z)
    if y.ndim == 1:
        label = is_label(y, z.shape[0])
        rest = rest + 0 * y  # NaN where the label is
        logs = below - jnp.log1p(rest)[None, :]
        losses = 0 * y - jnp.sum(jnp.where(label, logs, 0), axis=0)  # both terms of the sum are >= 0
        q = jnp.exp(below) / (1 + rest)[None, :]
        others = jnp.sum(jnp.where(label, 0, q), axis=0)
        r, excess = jnp.where(label, -others[None, :], q), losses
        over = jnp.where(label, jnp.expm1(losses)[None, :], -1)
    else:
        Y, logs = shares(y, z.shape[0]), below - jnp.log1p(rest)[None, :]
        losses = jnp.sum(jnp.where(Y > 0, -Y * logs, 0 * Y), axis=0)
        q = jnp.exp(logs)
        r = _soft_residuals(q, Y)
        over = jnp.where(r == 0, 0, -r / q)
        entropy = -jnp.sum(jnp.where(Y > 0, Y * jnp.log(jnp.where(Y > 0, Y, 1)), 0), axis=0)
        excess = jnp.maximum(losses - entropy, 0) + 4 * jnp.finfo(z.dtype).eps * (losses + entropy)  # no less than KL(Y | q)
    d, theta, rho = _balance(q, r, w) if balanced else (0 * q, 0 * q[:, 0], 0 * q[:, 0])
    tau = jnp.sum(q * (1 + d) * theta[:, None], axis=0)
    d = d - (1 + d) * theta[:, None]
    dual = r + q * d + tau[None, :] * rho[:, None]
    return losses, r, dual, lambda sigma: _divergence(q, logs, over, excess, d, tau, rho, sigma)


def _balance(q: Array, r: Array, w: Array) -> tuple[Array, Array, Array]:
    """What makes every class have its weight: q' = q (1 + d), d (K, m), then shares theta (K,) of it moved to rho (K,)."""
    wq, c = w[None, :] * q, jnp.sum(w[None, :] * r, axis=1)
    # The Newton matrix is made of products of two classes; on constants, its null space, it is the identity.
    pairs = dot(wq, q.T)
    off = jnp.where(np.eye(len(c), dtype=bool), 0, pairs)
    L = cholesky(jnp.diag(jnp.sum(off, axis=1)) - off + jnp.sum(off) / len(c) ** 2)
    newton = -solve(L, solve(L, c[:, None]), transposed=True)[:, 0]
    largest = jnp.max(jnp.abs(newton))
    b = jnp.where(largest > 0, newton * (jnp.log1p(largest) / largest), 0)  # safe from any start, Newton's near the root
    b = jnp.where(jnp.all(jnp.isfinite(b)), b - jnp.max(b), 0)
    # exp(b) / sum q exp(b) - 1, where neither a small b nor a large one costs digits.
    change = jnp.sum(q * jnp.expm1(b)[:, None], axis=0)
    total = jnp.where(largest < 0.5, 1 + change, jnp.sum(q * jnp.exp(b)[:, None], axis=0))
    d = (jnp.expm1(b)[:, None] - change[None, :]) / total[None, :]
    of_class, excess = jnp.sum(wq * (1 + d), axis=1), c + jnp.sum(wq * d, axis=1)
    missing = jnp.maximum(-excess, 0)
    moves = (excess > 0) & (jnp.sum(missing) > 0)
    theta = jnp.where(moves, jnp.minimum(excess / of_class, 1), 0)
    return d, theta, missing / jnp.where(jnp.sum(missing) > 0, jnp.sum(missing), 1)


def _divergence(
    q: Array, logs: Array, over: Array, excess: Array, d: Array, tau: Array, rho: Array, sigma: Array
) -> Float[Array, " m"]:
    """Upper bounds on KL(p_i || q_i), q = softmax(z), where the labels are q (1 + over), and KL of them from q is excess."""
    relative = sigma * d + (1 - sigma) * over  # of a label itself (1 - q) / q, and -1 elsewhere
    chi_square = jnp.sum(jnp.where(relative == 0, 0, (q * relative) * relative), axis=0)
    entropies = jnp.where(q == 0, 0, -q * logs)  # of classes without probability nothing is left
    cross_entropy = (1 - sigma) * excess + sigma * jnp.sum(entropies * (1 + d), axis=0)
    received = -jnp.sum(jnp.where(rho[:, None] == 0, 0, logs * rho[:, None]), axis=0)
    moved = jnp.where(tau == 0, 0, sigma * tau * received)
    return moved + jnp.where(chi_square <= cross_entropy, chi_square, cross_entropy)
