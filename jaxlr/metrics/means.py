"""How good predictions are: weighted means over rows, y first. Functions broadcast over batch axes in front.

accuracy = sum_i w_i [y_i = predicted_i]            log_loss = sum_i w_i l(z_i, y_i)        w = s / sum(s)
roc_auc  = P(score of a 1 > score of a 0) + P(equal) / 2
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.numerics import as_floating, logistic_loss


def accuracy(y: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The share of rows, by weight, that are predicted right.

    Args:
        y: labels (..., m), 0/1.
        predicted: classes (..., m), as `jaxlr.predict` gives them.
        sample_weight: (..., m) >= 0; None is 1. Rows of weight 0 do not count.

    Returns:
        Shares (...) in [0, 1]; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> float(accuracy(np.array([0, 1]), np.array([1, 1])))
        0.5
    """
    y = as_floating(y)
    y, predicted = _same_rows(y, as_floating(predicted).astype(y.dtype))
    return _mean((y == predicted).astype(y.dtype), sample_weight)


def log_loss(y: ArrayLike, logits: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The mean logistic loss, from LOGITS (not probabilities), so that it is right however sure the model is.

    Args:
        y: labels (..., m) in [0, 1].
        logits: (..., m), as `jaxlr.logits` gives them.
        sample_weight: (..., m) >= 0; None is 1. Rows of weight 0 do not count.

    Returns:
        Means (...), in nats; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> round(float(log_loss(np.array([0, 1]), np.zeros(2))), 6)
        0.693147
    """
    logits = as_floating(logits)
    y, logits = _same_rows(as_floating(y).astype(logits.dtype), logits)
    return _mean(logistic_loss(logits, y), sample_weight)


def roc_auc(y: ArrayLike, score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The area under the ROC curve: the chance that a 1 scores higher than a 0, ties counted half.

    The weighted Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143, section III), by sorting.

    Args:
        y: labels (..., m), 0/1.
        score: logits or probabilities (..., m); only their order counts.
        sample_weight: (..., m) >= 0; None is 1. Rows of weight 0 do not count.

    Returns:
        Areas (...) in [0, 1]; NaN where a class has no weight or a score is NaN.

    Example:
        >>> import numpy as np
        >>> float(roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])))
        0.75
    """
    score = as_floating(score)
    s = jnp.ones(score.shape[-1:], score.dtype) if sample_weight is None else jnp.asarray(sample_weight, score.dtype)
    y, score, s = jnp.broadcast_arrays(*_same_rows(as_floating(y).astype(score.dtype), score), s)
    return jnp.vectorize(_roc_auc, signature="(m),(m),(m)->()")(y, score, s)


def _roc_auc(y: Array, score: Array, s: Array) -> Array:
    order = jnp.argsort(score)
    ranked, ones, zeros = score[order], (s * y)[order], (s * (1 - y))[order]
    below = jnp.concatenate([jnp.zeros(1, score.dtype), jnp.cumsum(zeros)])  # weight of the zeros before each place
    lower = below[jnp.searchsorted(ranked, ranked, side="left")]
    upper = below[jnp.searchsorted(ranked, ranked, side="right")]
    area = jnp.sum(ones * (lower + upper)) / 2 / (jnp.sum(ones) * jnp.sum(zeros))
    return jnp.where(jnp.any(jnp.isnan(score)), jnp.nan, area)


def _same_rows(a: Array, b: Array) -> list[Array]:
    if a.shape[-1:] != b.shape[-1:]:
        raise ValueError(f"expected arrays with the same last axis, got shapes {a.shape} and {b.shape}")
    return jnp.broadcast_arrays(a, b)


def _mean(rows: Array, sample_weight: ArrayLike | None) -> Array:
    if sample_weight is None:
        return jnp.mean(rows, axis=-1)
    rows, s = jnp.broadcast_arrays(rows, jnp.asarray(sample_weight, rows.dtype))
    return jnp.sum(jnp.where(s > 0, s * rows, 0), axis=-1) / jnp.sum(s, axis=-1)
