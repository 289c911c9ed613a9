"""Metrics of predicted classes: weights of rows by class and by prediction.

With true_k the weight of the rows of class k, predicted_k of those predicted so, and both_k of those that are both,

    accuracy = sum_k both_k / sum_k true_k        recall_k = both_k / true_k        precision_k = both_k / predicted_k

    balanced accuracy = mean_k recall_k           F1_k = 2 both_k / (true_k + predicted_k)

the last the harmonic mean of recall and precision. Functions broadcast over batch axes in front. Classes are 0/1, or with
num_classes 0..K-1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inputs.tables import Data
from jaxlr.metrics.rows import Rows, checked_rows, weighted_mean


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


def accuracy(
    y: Data, predicted: Data, *, sample_weight: Data | None = None, num_classes: int | None = None
) -> Float[Array, "..."]:
    """The share of rows, by weight, that are predicted right.

    Args:
        y: labels (..., m), 0/1, or 0..K-1.
        predicted: classes (..., m) likewise; the -1 of `jaxlr.predict` for a model without parameters is never right.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2; None is the two classes 0/1.

    Returns:
        Shares (...) in [0, 1]; NaN where no row has weight.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import numpy as np
        >>> float(accuracy(np.array([0, 1]), np.array([1, 1])))
        0.5
        >>> float(accuracy(np.array([0, 2]), np.array([0, 2]), num_classes=3))
        1.0
    """
    rows = checked_rows(y, "predicted", predicted, sample_weight, num_classes)
    return weighted_mean((rows.y == rows.predicted).astype(rows.y.dtype), rows.share)


def balanced_accuracy(
    y: Data, predicted: Data, *, sample_weight: Data | None = None, num_classes: int | None = None
) -> Float[Array, "..."]:
    """The mean over the classes of the share of their rows that is predicted right: every class counts the same.

    Args:
        y: labels (..., m), 0/1, or 0..K-1.
        predicted: classes (..., m) likewise.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2; None is the two classes 0/1.

    Returns:
        Means (...) in [0, 1] over the classes that have weight; NaN where none has.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import numpy as np
        >>> float(balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])))
        0.5

    References:
        Brodersen, Ong, Stephan & Buhmann 2010, ICPR, The balanced accuracy and its posterior distribution, section 2.
    """
    both, true, _ = _by_class(checked_rows(y, "predicted", predicted, sample_weight, num_classes), num_classes)
    recall = jnp.where(true > 0, both / jnp.where(true > 0, true, 1), 0)
    return jnp.sum(recall, axis=-1) / jnp.sum(true > 0, axis=-1).astype(recall.dtype)


def f1(y: Data, predicted: Data, *, sample_weight: Data | None = None, num_classes: int | None = None) -> Float[Array, "..."]:
    """The F1 score of class 1, or of each class: the harmonic mean of precision and recall.

    Args:
        y: labels (..., m), 0/1, or 0..K-1.
        predicted: classes (..., m) likewise.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2, for the scores of all classes, whose mean is called macro F1; None is that of 1 among 0/1.

    Returns:
        Scores (...) in [0, 1], with num_classes (..., K); NaN where no row of weight is of the class or predicted so.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import numpy as np
        >>> round(float(f1(np.array([0, 1, 1]), np.array([1, 1, 1]))), 2)
        0.8
        >>> f1(np.array([0, 1, 1]), np.array([0, 1, 1]), num_classes=2).tolist()
        [1.0, 1.0]

    References:
        van Rijsbergen, Information Retrieval (1979), chapter 7: 1 - E with equal weights.
    """
    both, true, predicted = _by_class(checked_rows(y, "predicted", predicted, sample_weight, num_classes), num_classes)
    scores = 2 * both / (true + predicted)
    return scores[..., 1] if num_classes is None else scores


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


def _by_class(rows: Rows, num_classes: int | None) -> tuple[Array, Array, Array]:
    """The shares of the rows that are of each class and predicted so, of it, and predicted so: (..., K) each."""
    true, predicted = (
        jax.nn.one_hot(classes.astype(jnp.int32), num_classes or 2, dtype=rows.share.dtype)
        for classes in (rows.y, rows.predicted)
    )
    share = rows.share[..., None]
    both, true, predicted = (jnp.sum(share * part, axis=-2) for part in (true * predicted, true, predicted))
    return both, true, predicted
