"""Metrics that are sums over rows, by weight: w = s / sum(s), s = sample_weight.

accuracy = sum_i w_i [y_i = predicted_i]    log_loss = sum_i w_i l(z_i, y_i)    brier = sum_i w_i (proba_i - y_i)^2

Functions broadcast over batch axes in front. Rows of weight 0 do not count, whatever finite numbers they hold.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inputs.checks import check_count
from jaxlr.inputs.tables import Data
from jaxlr.metrics.rows import Rows, checked_rows, weighted_mean
from jaxlr.model.logistic import logistic_loss


class Confusion(NamedTuple):
    """Weight of the rows by class and prediction, each (...).

    Attributes:
        true_negative: y = 0 predicted 0.
        false_positive: y = 0 predicted 1.
        false_negative: y = 1 predicted 0.
        true_positive: y = 1 predicted 1.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    true_negative: Any
    false_positive: Any
    false_negative: Any
    true_positive: Any


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


def accuracy(y: Data, predicted: Data, *, sample_weight: Data | None = None) -> Float[Array, "..."]:
    """The share of rows, by weight, that are predicted right.

    Args:
        y: labels (..., m), 0/1.
        predicted: classes (..., m), 0/1; the -1 of `jaxlr.predict` for a model without parameters is never right.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        Shares (...) in [0, 1]; NaN where no row has weight.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import numpy as np
        >>> float(accuracy(np.array([0, 1]), np.array([1, 1])))
        0.5
    """
    rows = checked_rows(y, "predicted", predicted, sample_weight)
    return weighted_mean((rows.y == rows.predicted).astype(rows.y.dtype), rows.share)


def log_loss(y: Data, logits: Data, *, sample_weight: Data | None = None) -> Float[Array, "..."]:
    """The mean logistic loss, from LOGITS (not probabilities), so that it is right however sure the model is.

    Args:
        y: labels (..., m) in [0, 1].
        logits: (..., m), as `jaxlr.logits` gives them.
        sample_weight: (..., m) >= 0; None is 1.

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
    rows = checked_rows(y, "logits", logits, sample_weight)
    return weighted_mean(logistic_loss(rows.predicted, rows.y), rows.share)


def brier(y: Data, proba: Data, *, sample_weight: Data | None = None) -> Float[Array, "..."]:
    """The mean squared error of the probability of class 1 (Brier 1950, Monthly Weather Review 78; half his two-class sum).

    Args:
        y: labels (..., m) in [0, 1].
        proba: probabilities (..., m), as `jaxlr.predict_proba` gives them.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        Means (...) in [0, 1]; NaN where no row has weight or a probability is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> float(brier(jnp.array([0, 1]), jnp.array([0.5, 1.0])))
        0.125
    """
    rows = checked_rows(y, "proba", proba, sample_weight)
    return weighted_mean((rows.predicted - rows.y) ** 2, rows.share)


def confusion(y: Data, predicted: Data, *, sample_weight: Data | None = None) -> Confusion:
    """How much weight each class has under each prediction.

    Args:
        y: labels (..., m), 0/1.
        predicted: classes (..., m), 0/1; a row that is neither (-1 of a model without parameters) is counted nowhere.
        sample_weight: (..., m) >= 0; None is 1: then these are counts.

    Returns:
        Confusion, four arrays (...).

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import numpy as np
        >>> [float(count) for count in confusion(np.array([0, 1, 1]), np.array([0, 0, 1]))]
        [1.0, 0.0, 1.0, 1.0]
    """
    rows = checked_rows(y, "predicted", predicted, sample_weight)
    cells = ((rows.y == a) & (rows.predicted == b) for a in (0, 1) for b in (0, 1))
    return Confusion(*(jnp.sum(jnp.where(cell, rows.weight, 0), axis=-1) for cell in cells))


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
