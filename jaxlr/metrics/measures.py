"""What logits are scored by, under the names that `jaxlr.cross_validate` and `jaxlr.score_stream` know.

    score = sum_i w_i rows_i,    w = s / sum(s)        error^2 = m / (m - 1) sum_i w_i^2 (rows_i - score)^2

for a measure that is a mean over rows, of which m have weight; with equal weights the error is sd / sqrt(m). A row is drawn
with all its weight, so that the unit of the weights does not matter (Gatz & Smith 1995, Atmospheric Environment 29, 1185, after
Cochran). A ranking of all rows has no such error.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.moments import exponent_of_largest, times_power_of_two
from jaxlr.metrics.ranking import average_precision, roc_auc
from jaxlr.metrics.rows import weighted_mean
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.logistic import logistic_loss, sigmoid
from jaxlr.model.softmax import log_softmax

Scores = dict[str, Array]  # by name


class Measure(NamedTuple):
    """A mean over rows, or a ranking of them.

    Attributes:
        sign: 1 where more is better, -1 where less is.
        rows: of labels and logits, (m,); None for a ranking.
        ranking: of labels, logits and weights, (); None for a mean.
    """

    sign: int
    rows: Callable | None = None
    ranking: Callable | None = None

    def score(self, y: Array, z: Array, s: Float[Array, " m"]) -> Float[Array, ""]:
        """Of labels (m,) and logits, (m,) or (m, K), under weights; NaN where no row has weight."""
        if self.rows is None:
            assert self.ranking is not None
            return self.ranking(y, z, sample_weight=s)
        return weighted_mean(self.rows(y, z), _shares(s))

    def error(self, y: Array, z: Array, s: Float[Array, " m"]) -> Float[Array, ""]:
        """The standard error of that score; NaN of a ranking, and of a single row."""
        if self.rows is None:
            return jnp.full((), jnp.nan, z.dtype)
        rows, share = self.rows(y, z), _shares(s)
        off = jnp.where(share > 0, share * (rows - weighted_mean(rows, share)), 0)
        m = jnp.sum(share > 0).astype(z.dtype)
        return jnp.sqrt(m / (m - 1) * jnp.sum(off**2)) / jnp.sum(share)


def measures(likelihood: Likelihood) -> dict[str, Measure]:
    """All that there are for such models, by name."""
    return _OF_CLASSES if likelihood.classes else _BINARY


def _shares(s: Float[Array, " m"]) -> Float[Array, " m"]:
    """The weights in a unit in which no sum overflows."""
    return times_power_of_two(s, -exponent_of_largest(s, axis=-1))


def _of_label(rows: Array, labels: Array) -> Array:
    """The entry (m,) of each row (m, K) that is of its label."""
    return jnp.take_along_axis(rows, labels.astype(jnp.int32)[:, None], axis=-1)[:, 0]


def _class_brier(labels: Array, z: Array) -> Array:
    proba = jnp.exp(log_softmax(z))
    return jnp.sum(proba**2, axis=-1) - 2 * _of_label(proba, labels) + 1


_BINARY = {
    "log_loss": Measure(-1, lambda y, z: logistic_loss(z, y)),
    "accuracy": Measure(1, lambda y, z: ((z >= 0) == (y == 1)).astype(z.dtype)),
    "brier": Measure(-1, lambda y, z: (sigmoid(z) - y) ** 2),
    "roc_auc": Measure(1, ranking=roc_auc),
    "average_precision": Measure(1, ranking=average_precision),
}
# The Brier score sums over the classes (Brier 1950, Monthly Weather Review 78).
_OF_CLASSES = {
    "log_loss": Measure(-1, lambda labels, z: -_of_label(log_softmax(z), labels)),
    "accuracy": Measure(1, lambda labels, z: (jnp.argmax(z, axis=-1).astype(labels.dtype) == labels).astype(z.dtype)),
    "brier": Measure(-1, _class_brier),
}
