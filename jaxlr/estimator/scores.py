"""scikit-learn's names of scores, more is better, that stand for a metric of `jaxlr.metrics`: of many models at once.

    score = +-metric(y, judged, sample_weight)

of what scikit-learn's scorer judges, logits, probabilities or classes, in float64. Of two classes K is None, and the score of
several classes is a mean over them, or over their pairs, in scikit-learn's way each the same ("macro") or by weight.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inputs.sparse import rounded_up
from jaxlr.metrics.counts import accuracy, balanced_accuracy, f1
from jaxlr.metrics.means import brier, log_loss
from jaxlr.metrics.ranking import average_precision, roc_auc, roc_auc_pairs

_MOST = 2**22  # numbers judged at once
_SIZES = 4  # in an octave, that rows and models are filled up to: folds and grids of similar size share a program


class Score(NamedTuple):
    """A score that is a metric.

    Attributes:
        of: what is judged: "logits", "log_proba" (for the loss), "proba" or "predicted".
        metric: of labels (h,), what is judged, weights (h,) and K, to a number for each model.
        every_class: whether each class has to have weight, for it to be defined as in scikit-learn.
        weighted: whether scikit-learn's takes weights.
        of_ones: whether scikit-learn takes the label 1 for the class that is looked for, and not the second one.
    """

    of: str
    metric: Callable[[Array, Array, Array, Any], Array]
    every_class: bool = False
    weighted: bool = True
    of_ones: bool = False


def known_scores(num_classes: int | None) -> dict[str, Score]:
    """The scores that are metrics, by name, of two classes (None) or K."""
    return _OF_TWO if num_classes is None else _OF_MORE


def folds_at_once(num_folds: int, num_models: int, num_rows: int, num_classes: int | None) -> int:
    """How many folds to score together: all, unless that is more numbers than are worth having at once."""
    return max(num_folds, 1) if num_folds * num_models * num_rows * (num_classes or 1) ** 2 <= _MOST else 1


def scores_of(
    name: str,
    labels: Sequence[np.ndarray],
    judged: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    num_classes: int | None,
    most_rows: int,
) -> Float[np.ndarray, "folds models"]:
    """The scores of as many models on the rows of each fold.

    Args:
        name: of `known_scores`.
        labels: (h,) of a fold, 0..K-1.
        judged: (models, h), logits, log-probabilities and probabilities of K classes (models, h, K).
        weights: (h,) >= 0.
        num_classes: K > 2, or None.
        most_rows: h of the largest fold, here or in a call that follows.
    """
    rows, models = rounded_up(most_rows, _SIZES), len(judged[0])
    step = min(rounded_up(models, _SIZES), max(1, _MOST // (len(labels) * rows * (num_classes or 1) ** 2)))
    y, s = _stacked(labels, rows), _stacked(weights, rows)
    blocks = []
    with jax.enable_x64(True):
        for start in range(0, models, step):
            some = _stacked([of_fold[start : start + step] for of_fold in judged], step, rows)
            blocks.append(np.asarray(_scored(y, some, s, name=name, num_classes=num_classes)))
    return np.concatenate(blocks, axis=1)[:, :models]


def _stacked(parts: Sequence[np.ndarray], *sizes: int) -> np.ndarray:
    """In float64, with zeros behind along the first axes of each: rows of weight 0, and models that nobody asks for."""
    whole = np.zeros((len(parts), *sizes, *parts[0].shape[len(sizes) :]))
    for own, part in zip(whole, parts, strict=True):
        own[tuple(map(slice, part.shape))] = part
    return whole


@program("name", "num_classes")
def _scored(y: Any, judged: Any, s: Any, name: str, num_classes: int | None) -> Array:
    metric = known_scores(num_classes)[name].metric
    return jax.vmap(lambda y, judged, s: metric(y, judged, s, num_classes))(y, judged, s)


def _plain(metric: Callable, sign: int = 1) -> Callable:
    return lambda y, x, s, K: sign * metric(y, x, sample_weight=s, num_classes=K)


def _macro(metric: Callable) -> Callable:
    """The mean over the classes."""
    return lambda y, x, s, K: jnp.mean(metric(y, x, sample_weight=s, num_classes=K or 2), axis=-1)


def _by_weight(metric: Callable) -> Callable:
    """The mean over the classes, by weight."""

    def mean(y: Array, x: Array, s: Array, K: int | None) -> Array:
        weight = _class_weights(y, s, K or 2)[None, :]
        return jnp.sum(weight * metric(y, x, sample_weight=s, num_classes=K or 2), axis=-1) / jnp.sum(weight)

    return mean


def _of_pairs(by_weight: bool) -> Callable:
    """The mean over the pairs of classes (Hand & Till 2001), by weight if asked."""

    def mean(y: Array, x: Array, s: Array, K: int) -> Array:
        of_class = _class_weights(y, s, K)
        weight = of_class[:, None] + of_class[None, :] if by_weight else jnp.ones((K, K), s.dtype)
        weight, apart = weight[None], ~jnp.eye(K, dtype=bool)[None]
        areas = roc_auc_pairs(y, x, sample_weight=s, num_classes=K)
        return jnp.sum(jnp.where(apart, weight * areas, 0), axis=(-2, -1)) / jnp.sum(jnp.where(apart, weight, 0))

    return mean


def _class_weights(y: Array, s: Array, num_classes: int) -> Array:
    return jnp.sum(s[:, None] * jax.nn.one_hot(y.astype(jnp.int32), num_classes, dtype=s.dtype), axis=0)


_OF_ANY = {
    "accuracy": Score("predicted", _plain(accuracy)),
    "balanced_accuracy": Score("predicted", _plain(balanced_accuracy), every_class=True),
    "f1_macro": Score("predicted", _macro(f1), every_class=True),
    "f1_micro": Score(
        "predicted", _plain(accuracy)
    ),  # each wrong row is a false positive of one class, a false negative of one
    "f1_weighted": Score("predicted", _by_weight(f1), every_class=True),
    "neg_brier_score": Score("proba", _plain(brier, -1)),
    "neg_log_loss": Score("log_proba", _plain(log_loss, -1)),
}
_OF_TWO = _OF_ANY | {
    "average_precision": Score("logits", _plain(average_precision), every_class=True, of_ones=True),
    "f1": Score("predicted", _plain(f1), every_class=True),
    "roc_auc": Score("logits", _plain(roc_auc), every_class=True),
    "roc_auc_ovo": Score("proba", _plain(roc_auc), every_class=True),
    "roc_auc_ovo_weighted": Score("proba", _plain(roc_auc), every_class=True),
    "roc_auc_ovr": Score("proba", _plain(roc_auc), every_class=True),
    "roc_auc_ovr_weighted": Score("proba", _plain(roc_auc), every_class=True),
}
_OF_MORE = _OF_ANY | {
    "average_precision": Score("logits", _macro(average_precision), every_class=True),
    "roc_auc_ovo": Score("proba", _of_pairs(by_weight=False), every_class=True, weighted=False),
    "roc_auc_ovo_weighted": Score("proba", _of_pairs(by_weight=True), every_class=True, weighted=False),
    "roc_auc_ovr": Score("proba", _macro(roc_auc), every_class=True),
    "roc_auc_ovr_weighted": Score("proba", _by_weight(roc_auc), every_class=True),
}
