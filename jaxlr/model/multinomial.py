"""The multinomial model: one row of coefficients for each class, probabilities their softmax.

    logits_k = X . coef_k + intercept_k + offset_k        P(label = k) = exp(logits_k) / sum_l exp(logits_l)

The symmetric parametrization: no class is the base, and what is added to all classes alike changes no probability. Batch axes
stand in front: ``coef`` (..., K, n) and ``intercept`` (..., K) give logits (..., m, K). With t an index of the largest logit,

    logsumexp(z)     = z_t + log1p(sum_{k != t} exp(z_k - z_t))
    log_softmax(z)_k = (z_k - z_t) - log1p(sum_{l != t} exp(z_l - z_t))

add only terms of one sign behind z_t, so nothing cancels (shifted sums with the largest term apart: Blanchard, Higham & Higham
2021, IMA Journal of Numerical Analysis 41, Accurately computing the log-sum-exp and softmax functions).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxlr.inputs.tables import as_floating
from jaxlr.model.params import SoftmaxParams


def softmax_logits(params: SoftmaxParams, X: ArrayLike, offset: ArrayLike | None = None) -> Float[Array, "*batch m K"]:
    """X . coef_k + intercept_k + offset_k for every class.

    Args:
        params: coef (..., K, n), intercept (..., K); their dtype decides.
        X: design (m, n), or (..., m, n) with batch axes that broadcast against those of params.
        offset: added to the logits, (m, K) or (..., m, K); None is 0.

    Returns:
        Logits (..., m, K), in nats.

    Raises:
        TypeError, ValueError: X and coef do not have the same number of columns.

    Example:
        >>> import numpy as np
        >>> params = SoftmaxParams(np.eye(3, 2, dtype=np.float32), np.zeros(3, np.float32))
        >>> softmax_logits(params, np.ones((1, 2), np.float32)).tolist()
        [[1.0, 1.0, 0.0]]
    """
    coef = as_floating(params.coef)
    X = as_floating(X).astype(coef.dtype)
    if X.ndim < 2 or coef.ndim < 2 or X.shape[-1] != coef.shape[-1]:
        raise ValueError(f"expected X (..., m, n) and coef (..., K, n) with one n, got X {X.shape} and coef {coef.shape}")
    z = jnp.einsum("...mn,...kn->...mk", X, coef, precision=jax.lax.Precision.HIGHEST)
    z = jnp.add(*jnp.broadcast_arrays(z, as_floating(params.intercept).astype(coef.dtype)[..., None, :]))
    return z if offset is None else jnp.add(*jnp.broadcast_arrays(z, as_floating(offset).astype(coef.dtype)))


def softmax_predict_proba(params: SoftmaxParams, X: ArrayLike, offset: ArrayLike | None = None) -> Float[Array, "*batch m K"]:
    """The probability of every class.

    Args:
        params: coef (..., K, n), intercept (..., K).
        X: design (m, n) or (..., m, n).
        offset: added to the logits, (m, K) or (..., m, K); None is 0.

    Returns:
        Probabilities (..., m, K), which sum to 1 over the classes.

    Raises:
        TypeError, ValueError: as `softmax_logits`.

    Example:
        >>> import numpy as np
        >>> softmax_predict_proba(SoftmaxParams(np.zeros((4, 2)), np.zeros(4)), np.ones((1, 2))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    return jnp.exp(log_softmax(softmax_logits(params, X, offset)))


def softmax_predict(params: SoftmaxParams, X: ArrayLike, offset: ArrayLike | None = None) -> Int[Array, "*batch m"]:
    """The most probable class, the first of several.

    Args:
        params: coef (..., K, n), intercept (..., K).
        X: design (m, n) or (..., m, n).
        offset: added to the logits, (m, K) or (..., m, K); None is 0.

    Returns:
        Classes (..., m), int32; -1, which is no class, where a logit is NaN.

    Raises:
        TypeError, ValueError: as `softmax_logits`.

    Example:
        >>> import numpy as np
        >>> softmax_predict(SoftmaxParams(np.array([[0.0], [1.0]]), np.zeros(2)), np.array([[-2.0], [2.0]])).tolist()
        [0, 1]
    """
    z = softmax_logits(params, X, offset)
    return jnp.where(jnp.any(jnp.isnan(z), axis=-1), -1, jnp.argmax(z, axis=-1)).astype(jnp.int32)


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
    """Logits relative to the largest, and what all but that one add to the sum of their exponentials.

    Args:
        z: logits, the classes in front (K, ...).

    Returns:
        z - max z (K, ...), max z (...), and sum exp(z - max z) - 1 (...).
    """
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
