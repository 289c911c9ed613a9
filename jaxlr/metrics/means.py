"""Metrics of probabilities that are means over rows, by weight: w = s / sum(s), s = sample_weight.

    log_loss = sum_i w_i l(z_i, y_i)                          brier = sum_i w_i (proba_i - y_i)^2

and of K classes, with y_i one of 0..K-1,

    log_loss = -sum_i w_i log_softmax(z_i)_y_i                brier = sum_i w_i sum_k (proba_ik - [y_i = k])^2

Functions broadcast over batch axes in front. Rows of weight 0 do not count, whatever finite numbers they hold.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inputs.checks import check_count
from jaxlr.inputs.tables import Data
from jaxlr.metrics.rows import Rows, checked_rows, weighted_mean
from jaxlr.model.logistic import logistic_loss
from jaxlr.model.softmax import log_softmax


class Calibration(NamedTuple):
    """A reliability curve over equal bins of the probability, each (..., num_bins); NaN in a bin without weight.

    Attributes:
        predicted: mean probability in the bin.
        observed: share of ones in the bin.
        weight: weight of the rows in the bin.
    """

    predicted: Any
    observed: Any
    weight: Any


def log_loss(
    y: Data, logits: Data, *, sample_weight: Data | None = None, num_classes: int | None = None
) -> Float[Array, "..."]:
    """The mean logistic loss, from LOGITS (not probabilities), so that it is right however sure the model is.

    Args:
        y: labels (..., m) in [0, 1], or 0..K-1.
        logits: (..., m), of K classes (..., m, K), as `jaxlr.logits` gives them.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2; None is the binary model.

    Returns:
        Means (...), in nats; NaN where no row has weight or a logit is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(log_loss(jnp.array([0, 1]), jnp.zeros(2))), 6)
        0.693147
    """
    rows = checked_rows(y, "logits", logits, sample_weight, num_classes)
    loss = logistic_loss(rows.predicted, rows.y) if num_classes is None else class_loss(rows.y, rows.predicted)
    return weighted_mean(loss, rows.share)


def brier(y: Data, proba: Data, *, sample_weight: Data | None = None, num_classes: int | None = None) -> Float[Array, "..."]:
    """The mean squared error of the probability of class 1, half of Brier's sum over both; of K classes his sum over all.

    Args:
        y: labels (..., m) in [0, 1], or 0..K-1.
        proba: probabilities (..., m), of K classes (..., m, K), as `jaxlr.predict_proba` gives them.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2; None is the binary model.

    Returns:
        Means (...) in [0, 1], with num_classes in [0, 2]; NaN where no row has weight or a probability is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> float(brier(jnp.array([0, 1]), jnp.array([0.5, 1.0])))
        0.125

    References:
        Brier 1950, Monthly Weather Review 78, eq. 2.
    """
    rows = checked_rows(y, "proba", proba, sample_weight, num_classes)
    error = (rows.predicted - rows.y) ** 2 if num_classes is None else class_brier(rows.y, rows.predicted)
    return weighted_mean(error, rows.share)


def class_loss(labels: Float[Array, "... m"], logits: Float[Array, "... m K"]) -> Float[Array, "... m"]:
    """The loss of each row: minus the log-probability of its label, one of 0..K-1."""
    return -jnp.take_along_axis(log_softmax(logits), labels.astype(jnp.int32)[..., None], axis=-1)[..., 0]


def class_brier(labels: Float[Array, "... m"], proba: Float[Array, "... m K"]) -> Float[Array, "... m"]:
    """The squared distance of each row's probabilities from those of its label, one of 0..K-1."""
    true = jax.nn.one_hot(labels.astype(jnp.int32), proba.shape[-1], dtype=proba.dtype)
    return jnp.sum((proba - true) ** 2, axis=-1)


def calibration(y: Data, proba: Data, *, sample_weight: Data | None = None, num_bins: int = 10) -> Calibration:
    """The reliability curve: how often y is 1 where the model says so with probability p.

    Bins are equal parts of [0, 1], each closed above (DeGroot & Fienberg 1983, The Statistician 32, section 3).

    Args:
        y: labels (..., m) in [0, 1].
        proba: probabilities (..., m).
        sample_weight: (..., m) >= 0; None is 1.
        num_bins: static, >= 1.

    Returns:
        Calibration, three arrays (..., num_bins); all NaN where a probability is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, a value that is not traced is out of its range, or num_bins is no
            integer >= 1.

    Example:
        >>> import jax.numpy as jnp
        >>> calibration(jnp.array([0, 1, 1]), jnp.array([0.2, 0.4, 0.9]), num_bins=2).observed.tolist()
        [0.5, 1.0]
    """
    check_count("num_bins", num_bins, 1)
    rows = checked_rows(y, "proba", proba, sample_weight)
    undefined = jnp.any(jnp.isnan(rows.predicted) & (rows.weight > 0), axis=-1)[..., None]
    edges = jnp.asarray(np.linspace(0, 1, num_bins + 1)[1:-1], rows.predicted.dtype)
    bins = jnp.searchsorted(edges, rows.predicted)
    numbers = jnp.arange(num_bins, dtype=bins.dtype).reshape((1,) * (bins.ndim - 1) + (num_bins, 1))
    inside = bins[..., None, :] == numbers
    rows = Rows(*(jnp.broadcast_to(field[..., None, :], inside.shape) for field in rows))
    weight, share = (jnp.where(inside, field, 0) for field in (rows.weight, rows.share))
    curves = weighted_mean(rows.predicted, share), weighted_mean(rows.y, share), jnp.sum(weight, axis=-1)
    return Calibration(*(jnp.where(undefined, jnp.nan, curve) for curve in curves))
