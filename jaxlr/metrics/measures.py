"""What logits are scored by, under the names that `jaxlr.cross_validate` and `jaxlr.score_stream` know.

    score = sum_i w_i rows_i,    w = s / sum(s)        error^2 = m / (m - 1) sum_i w_i^2 (rows_i - score)^2

for a measure that is a mean over rows, of which m have weight; with equal weights the error is sd / sqrt(m). A row is drawn
with all its weight, so that the unit of the weights does not matter (Gatz & Smith 1995, Atmospheric Environment 29, 1185, after
Cochran). What is no mean over rows, such as a ranking of them, has no such error.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.moments import exponent_of_largest, times_power_of_two
from jaxlr.metrics.counts import balanced_accuracy, f1
from jaxlr.metrics.means import class_brier, class_loss
from jaxlr.metrics.ranking import average_precision, roc_auc
from jaxlr.metrics.rows import weighted_mean
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.logistic import logistic_loss, sigmoid
from jaxlr.model.softmax import log_softmax

Scores = dict[str, Array]  # by name


class Measure(NamedTuple):
    """A mean over rows, or a number of all of them.

    Attributes:
        sign: 1 where more is better, -1 where less is.
        rows: of labels and logits, (m,); None for what is no mean.
        whole: of labels, logits and weights, (); None for a mean.
    """

    sign: int
    rows: Callable | None = None
    whole: Callable | None = None

    def score(self, y: Array, z: Array, s: Float[Array, " m"]) -> Float[Array, ""]:
        """Of labels (m,) and logits, (m,) or (m, K), under weights; NaN where no row has weight."""
        if self.rows is None:
            assert self.whole is not None
            return self.whole(y, z, s)
        return weighted_mean(self.rows(y, z), _shares(s))

    def error(self, y: Array, z: Array, s: Float[Array, " m"]) -> Float[Array, ""]:
        """The standard error of that score; NaN of what is no mean over rows, and of a single row."""
        if self.rows is None:
            return jnp.full((), jnp.nan, z.dtype)
        rows, share = self.rows(y, z), _shares(s)
        off = jnp.where(share > 0, share * (rows - weighted_mean(rows, share)), 0)
        m = jnp.sum(share > 0).astype(z.dtype)
        return jnp.sqrt(m / (m - 1) * jnp.sum(off**2)) / jnp.sum(share)


def measures(likelihood: Likelihood) -> dict[str, Measure]:
    """All that there are for such models, by name."""
    return _OF_CLASSES if likelihood.classes else _BINARY


def hard(y: Array, z: Array, s: Float[Array, " m"]) -> tuple[Array, Array, Array]:
    """Labels, logits and weights of the rows that soft labels stand for, those of successes / trials too: a row of each class,
    with its share of the weight.

    Args:
        y: in [0, 1] (m,), or probabilities of K classes (m, K).
        z: logits (m,) or (m, K).
        s: weights.
    """
    shares = jnp.stack([1 - y, y]) if y.ndim == 1 else y.T
    labels = jnp.repeat(jnp.arange(len(shares)), len(y)).astype(y.dtype)
    return labels, jnp.concatenate([z] * len(shares)), (shares * s[None, :]).ravel()


def _shares(s: Float[Array, " m"]) -> Float[Array, " m"]:
    """The weights in a unit in which no sum overflows."""
    return times_power_of_two(s, -exponent_of_largest(s, axis=-1))


def _predicted(z: Array) -> Array:
    """The most probable class of each row, the first of several."""
    return jnp.argmax(z, axis=-1).astype(jnp.int32)


_BINARY = {
    "log_loss": Measure(-1, lambda y, z: logistic_loss(z, y)),
    "accuracy": Measure(1, lambda y, z: ((z >= 0) == (y == 1)).astype(z.dtype)),
    "brier": Measure(-1, lambda y, z: (sigmoid(z) - y) ** 2),
    "balanced_accuracy": Measure(1, whole=lambda y, z, s: balanced_accuracy(y, z >= 0, sample_weight=s)),
    "f1": Measure(1, whole=lambda y, z, s: f1(y, z >= 0, sample_weight=s)),
    "roc_auc": Measure(1, whole=lambda y, z, s: roc_auc(y, z, sample_weight=s)),
    "average_precision": Measure(1, whole=lambda y, z, s: average_precision(y, z, sample_weight=s)),
}
# The Brier score sums over the classes (Brier 1950, Monthly Weather Review 78); what has a value for each class is its mean.
_OF_CLASSES = {
    "log_loss": Measure(-1, class_loss),
    "accuracy": Measure(1, lambda labels, z: (_predicted(z).astype(labels.dtype) == labels).astype(z.dtype)),
    "brier": Measure(-1, lambda labels, z: class_brier(labels, jnp.exp(log_softmax(z)))),
    "balanced_accuracy": Measure(
        1, whole=lambda labels, z, s: balanced_accuracy(labels, _predicted(z), sample_weight=s, num_classes=z.shape[-1])
    ),
    "f1": Measure(1, whole=lambda labels, z, s: jnp.mean(f1(labels, _predicted(z), sample_weight=s, num_classes=z.shape[-1]))),
    "roc_auc": Measure(
        1, whole=lambda labels, z, s: jnp.mean(roc_auc(labels, log_softmax(z), sample_weight=s, num_classes=z.shape[-1]))
    ),
}
