"""Metrics that are sums over rows, by weight: w = s / sum(s), s = sample_weight.

accuracy = sum_i w_i [y_i = predicted_i]    log_loss = sum_i w_i l(z_i, y_i)    brier = sum_i w_i (proba_i - y_i)^2

Functions broadcast over batch axes in front. Rows of weight 0 do not count, whatever finite numbers they hold.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.checks import is_concrete
from jaxlr.numerics import as_floating, logistic_loss


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


def accuracy(y: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The share of rows, by weight, that are predicted right.

    Args:
        y: labels (..., m), 0/1.
        predicted: classes (..., m), as `jaxlr.predict` gives them.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        Shares (...) in [0, 1]; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> float(accuracy(np.array([0, 1]), np.array([1, 1])))
        0.5
    """
    y = _labels(y)
    y, predicted = _same_rows(y, as_floating(predicted).astype(y.dtype))
    return _mean((y == predicted).astype(y.dtype), sample_weight)


def log_loss(y: ArrayLike, logits: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The mean logistic loss, from LOGITS (not probabilities), so that it is right however sure the model is.

    Args:
        y: labels (..., m) in [0, 1].
        logits: (..., m), as `jaxlr.logits` gives them.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        Means (...), in nats; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> round(float(log_loss(np.array([0, 1]), np.zeros(2))), 6)
        0.693147
    """
    logits = as_floating(logits)
    y, logits = _same_rows(_labels(y).astype(logits.dtype), logits)
    return _mean(logistic_loss(logits, y), sample_weight)


def brier(y: ArrayLike, proba: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Float[Array, "..."]:
    """The mean squared error of the probability of class 1 (Brier 1950, Monthly Weather Review 78; half his two-class sum).

    Args:
        y: labels (..., m) in [0, 1].
        proba: probabilities (..., m), as `jaxlr.predict_proba` gives them.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        Means (...) in [0, 1]; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> float(brier(np.array([0, 1]), np.array([0.5, 1.0])))
        0.125
    """
    proba = as_floating(proba)
    y, proba = _same_rows(_labels(y).astype(proba.dtype), proba)
    return _mean((proba - y) ** 2, sample_weight)


def confusion(y: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Confusion:
    """How much weight each class has under each prediction.

    Args:
        y: labels (..., m), 0/1.
        predicted: classes (..., m), 0/1; a row that is neither (-1 of a model without parameters) is counted nowhere.
        sample_weight: (..., m) >= 0; None is 1: then these are counts.

    Returns:
        Confusion, four arrays (...).

    Example:
        >>> import numpy as np
        >>> [float(count) for count in confusion(np.array([0, 1, 1]), np.array([0, 0, 1]))]
        [1.0, 0.0, 1.0, 1.0]
    """
    y = _labels(y)
    y, predicted = _same_rows(y, as_floating(predicted).astype(y.dtype))
    s = _weights(y, sample_weight)
    return Confusion(*(jnp.sum(jnp.where((y == a) & (predicted == b), s, 0), axis=-1) for a in (0, 1) for b in (0, 1)))


def calibration(y: ArrayLike, proba: ArrayLike, *, sample_weight: ArrayLike | None = None, num_bins: int = 10) -> Calibration:
    """The reliability curve: how often y is 1 where the model says so with probability p.

    Bins are equal parts of [0, 1], each closed above (DeGroot & Fienberg 1983, The Statistician 32, section 3).

    Args:
        y: labels (..., m) in [0, 1].
        proba: probabilities (..., m).
        sample_weight: (..., m) >= 0; None is 1.
        num_bins: static, >= 1.

    Returns:
        Calibration, three arrays (..., num_bins).

    Example:
        >>> import numpy as np
        >>> calibration(np.array([0, 1, 1]), np.array([0.2, 0.4, 0.9]), num_bins=2).observed.tolist()
        [0.5, 1.0]
    """
    proba = as_floating(proba)
    y, proba = _same_rows(_labels(y).astype(proba.dtype), proba)
    edges = jnp.asarray(np.linspace(0, 1, num_bins + 1)[1:-1], proba.dtype)
    bins = jnp.searchsorted(edges, proba)
    numbers = jnp.arange(num_bins, dtype=bins.dtype).reshape((1,) * (bins.ndim - 1) + (num_bins, 1))
    inside = bins[..., None, :] == numbers
    s = jnp.where(inside, _weights(y, sample_weight)[..., None, :], 0)
    weight = jnp.sum(s, axis=-1)
    predicted, observed = (jnp.sum(jnp.where(s > 0, s * rows[..., None, :], 0), axis=-1) / weight for rows in (proba, y))
    return Calibration(predicted, observed, weight)


def _labels(y: ArrayLike) -> Array:
    if is_concrete(y) and np.any((np.asarray(y, float) < 0) | (np.asarray(y, float) > 1)):
        raise ValueError(f"expected labels 0/1 (or in [0, 1]), got values such as {np.unique(np.asarray(y))[:4]}; pass y > 0?")
    return as_floating(y)


def _same_rows(a: Array, b: Array) -> list[Array]:
    if a.shape[-1:] != b.shape[-1:]:
        raise ValueError(f"expected arrays with the same last axis, got shapes {a.shape} and {b.shape}")
    return jnp.broadcast_arrays(a, b)


def _weights(rows: Array, sample_weight: ArrayLike | None) -> Array:
    return jnp.broadcast_arrays(rows, jnp.asarray(1 if sample_weight is None else sample_weight, rows.dtype))[1]


def _mean(rows: Array, sample_weight: ArrayLike | None) -> Array:
    if sample_weight is None:
        return jnp.mean(rows, axis=-1)
    rows, s = jnp.broadcast_arrays(rows, jnp.asarray(sample_weight, rows.dtype))
    return jnp.sum(jnp.where(s > 0, s * rows, 0), axis=-1) / jnp.sum(s, axis=-1)
