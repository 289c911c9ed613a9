"""Metrics of the order of scores: what a threshold that sinks from +inf to the lowest score catches, row by row.

    true_positive(t) = sum_i s_i y_i [score_i >= t]           false_positive(t) = sum_i s_i (1 - y_i) [score_i >= t]

Curves have m + 1 points whatever the data, so that they jit and vmap: one for +inf and one for each row, from the highest
score down; rows with tied scores repeat one point. Functions broadcast over batch axes in front. Of K classes each is ranked
by a score of its own, against the rest or against each other class.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inputs.tables import Data
from jaxlr.metrics.rows import checked_rows


class RocCurve(NamedTuple):
    """Receiver operating characteristic, each (..., m + 1), from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: share of the zeros with a score of at least the threshold; NaN without zeros.
        true_positive_rate: share of the ones likewise; NaN without ones.
        threshold: +inf, then the scores in descending order.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    false_positive_rate: Any
    true_positive_rate: Any
    threshold: Any


class PrecisionRecall(NamedTuple):
    """Precision and recall, each (..., m + 1), from recall 0 to recall 1.

    Attributes:
        precision: share of ones among the rows with a score of at least the threshold; 1 where there are none.
        recall: share of the ones that have such a score; NaN without ones.
        threshold: +inf, then the scores in descending order.
    """

    precision: Any
    recall: Any
    threshold: Any


def roc_curve(y: Data, score: Data, *, sample_weight: Data | None = None) -> RocCurve:
    """The ROC curve.

    Args:
        y: labels (..., m) in [0, 1].
        score: logits or probabilities (..., m); only their order counts.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        RocCurve, three arrays (..., m + 1); NaN rates where a class has no weight or a score is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> roc_curve(jnp.array([0, 1, 1]), jnp.array([0.1, 0.1, 0.8])).true_positive_rate.tolist()
        [0.0, 0.5, 1.0, 1.0]

    References:
        Fawcett 2006, Pattern Recognition Letters 27, algorithm 1.
    """
    true, false, threshold = _caught(y, score, sample_weight)
    return RocCurve(false / false[..., -1:], true / true[..., -1:], threshold)


def roc_auc(y: Data, score: Data, *, sample_weight: Data | None = None, num_classes: int | None = None) -> Float[Array, "..."]:
    """The area under the ROC curve: the chance that a 1 scores higher than a 0, ties counted half.

    Args:
        y: labels (..., m) in [0, 1], or 0..K-1.
        score: logits or probabilities (..., m), of K classes (..., m, K); only their order counts.
        sample_weight: (..., m) >= 0; None is 1. Rows of weight 0 do not count.
        num_classes: static, K >= 2, for the areas of each class against the rest; None is the binary one.

    Returns:
        Areas (...) in [0, 1], with num_classes (..., K); NaN where a class, or the rest, has no weight or a score is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> float(roc_auc(jnp.array([0, 0, 1, 1]), jnp.array([0.1, 0.4, 0.35, 0.8])))
        0.75

    References:
        Hanley & McNeil 1982, Radiology 143, section III (the Mann-Whitney statistic); Fawcett 2006, algorithm 2, and
        section 9 for several classes.
    """
    return _area(*_caught(y, score, sample_weight, num_classes)[:2])


def roc_auc_pairs(y: Data, score: Data, *, num_classes: int, sample_weight: Data | None = None) -> Float[Array, "... K K"]:
    """The areas of pairs of classes: [a, b] is the chance that a row of class a has a higher score for a than one of class b.

    Their mean is the measure M of Hand & Till, which no share of a class changes.

    Args:
        y: labels (..., m), 0..K-1.
        score: logits or probabilities (..., m, K).
        num_classes: static, K >= 2.
        sample_weight: (..., m) >= 0; None is 1. Rows of weight 0 do not count.

    Returns:
        Areas (..., K, K) in [0, 1]; NaN on the diagonal, where one of both classes has no weight, or a score is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> areas = roc_auc_pairs(jnp.array([0, 1, 2]), jnp.eye(3), num_classes=3)
        >>> float(jnp.nanmean(areas))
        1.0

    References:
        Hand & Till 2001, Machine Learning 45, eqs. 3 and 7.
    """
    rows = checked_rows(y, "score", score, sample_weight, num_classes)
    of_class = _of_classes(rows.y, num_classes)
    a, b = of_class[..., :, None, :], of_class[..., None, :, :]
    scores = jnp.swapaxes(rows.predicted, -1, -2)[..., :, None, :]
    return _area(*_swept(a, scores, rows.share[..., None, None, :] * jnp.maximum(a, b))[:2])


def precision_recall(y: Data, score: Data, *, sample_weight: Data | None = None) -> PrecisionRecall:
    """The precision-recall curve.

    Args:
        y: labels (..., m) in [0, 1].
        score: logits or probabilities (..., m); only their order counts.
        sample_weight: (..., m) >= 0; None is 1.

    Returns:
        PrecisionRecall, three arrays (..., m + 1); NaN where a score is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> precision_recall(jnp.array([0, 1]), jnp.array([0.3, 0.8])).precision.tolist()
        [1.0, 1.0, 0.5]

    References:
        Davis & Goadrich 2006, ICML, section 2.
    """
    true, false, threshold = _caught(y, score, sample_weight)
    return PrecisionRecall(_precision(true, false), true / true[..., -1:], threshold)


def average_precision(
    y: Data, score: Data, *, sample_weight: Data | None = None, num_classes: int | None = None
) -> Float[Array, "..."]:
    """The area under the precision-recall curve as a step function: the mean precision over the ones.

    Args:
        y: labels (..., m) in [0, 1], or 0..K-1.
        score: logits or probabilities (..., m), of K classes (..., m, K); only their order counts.
        sample_weight: (..., m) >= 0; None is 1.
        num_classes: static, K >= 2, for the averages of each class against the rest; None is the binary one.

    Returns:
        Averages (...) in [0, 1], with num_classes (..., K); NaN where the ones have no weight or a score is NaN.

    Raises:
        TypeError: an argument is not a real array.
        ValueError: shapes do not fit, there is no row, or a value that is not traced is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> float(average_precision(jnp.array([1, 0, 0, 1]), jnp.array([0.9, 0.8, 0.7, 0.6])))
        0.75

    References:
        Manning, Raghavan & Schutze, Introduction to Information Retrieval (2008), section 8.4.
    """
    true, false, _ = _caught(y, score, sample_weight, num_classes)
    return jnp.sum(jnp.diff(true) * _precision(true, false)[..., 1:], axis=-1) / true[..., -1]


def _area(true: Array, false: Array) -> Array:
    """Under the curve through these points, as a share of the square."""
    rate = true / true[..., -1:]
    return jnp.sum(jnp.diff(false) * (rate[..., 1:] + rate[..., :-1]), axis=-1) / 2 / false[..., -1]


def _precision(true: Array, false: Array) -> Array:
    caught = true + false
    return jnp.where(caught == 0, 1, true / jnp.where(caught == 0, 1, caught))


def _caught(y: Data, score: Data, sample_weight: Data | None, num_classes: int | None = None) -> tuple[Array, Array, Array]:
    """Share of the ones and of the zeros at or above each threshold, and the thresholds: (..., m + 1) each, with num_classes
    (..., K, m + 1), a class being the ones and the rest the zeros."""
    rows = checked_rows(y, "score", score, sample_weight, num_classes)
    if num_classes is None:
        return _swept(rows.y, rows.predicted, rows.share)
    return _swept(_of_classes(rows.y, num_classes), jnp.swapaxes(rows.predicted, -1, -2), rows.share[..., None, :])


def _of_classes(y: Float[Array, "... m"], num_classes: int) -> Float[Array, "... K m"]:
    """1 where a row is of a class."""
    return jax.nn.one_hot(y.astype(jnp.int32), num_classes, dtype=y.dtype, axis=-2)


def _swept(y: Array, score: Array, share: Array) -> tuple[Array, Array, Array]:
    return jnp.vectorize(_swept_by_one, signature="(m),(m),(m)->(k),(k),(k)")(y, score, share)


def _swept_by_one(y: Array, score: Array, s: Array) -> tuple[Array, Array, Array]:
    order = jnp.argsort(-score)
    ranked = score[order]
    end_of_tie = jnp.searchsorted(-ranked, -ranked, side="right")
    end_of_tie = jnp.pad(end_of_tie, (1, 0))
    true, false = (jnp.pad(jnp.cumsum(weight[order]), (1, 0))[end_of_tie] for weight in (s * y, s * (1 - y)))
    undefined = jnp.any(jnp.isnan(score) & (s > 0))
    true, false = (jnp.where(undefined, jnp.nan, weight) for weight in (true, false))
    return true, false, jnp.pad(ranked, (1, 0), constant_values=jnp.inf)
