"""Figures of predictions: their curves with a band, ROC, precision-recall and calibration curves.

Of several classes each is drawn against the others: `roc(y == k, proba[:, k], label=f"class {k}")`.
"""

import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes

from jaxlr import metrics
from jaxlr.inference.predictions import Predictions
from jaxlr.inference.tails import normal_quantile
from jaxlr.inputs.checks import Data
from jaxlr.plots.style import CYCLE, GREY, axes, finish

_CYCLE = {"color": CYCLE[:4], "linestyle": ("-", "--", "-.", ":")}


def roc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The ROC curve with its area; the dotted diagonal is a score that knows nothing.

    Args:
        y: labels (m,), 0/1.
        score: logits or probabilities (m,).
        sample_weight: (m,) >= 0; None is 1.
        label: name of the model in the legend.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: as `jaxlr.metrics.roc_curve`, or scores of several classes.

    Example:
        >>> roc(np.array([0, 1]), np.array([0.2, 0.7], np.float32)).get_xlabel()
        'false positive rate'
    """
    _check_one_class("score", score)
    ax = axes(ax)
    curve = metrics.roc_curve(y, score, sample_weight=sample_weight)
    area = float(metrics.roc_auc(y, score, sample_weight=sample_weight))
    _diagonal(ax)
    ax.plot(curve.false_positive_rate, curve.true_positive_rate, lw=2, label=_named(label, f"area {area:.3f}"))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    return _unit_square(ax)


def precision_recall(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The precision-recall curve as steps, with its average precision; a score that knows nothing has the share of ones.

    Args:
        y: labels (m,), 0/1.
        score: logits or probabilities (m,).
        sample_weight: (m,) >= 0; None is 1.
        label: name of the model in the legend.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: as `jaxlr.metrics.precision_recall`, scores of several classes, or no row has weight.

    Example:
        >>> precision_recall(np.array([0, 1]), np.array([0.2, 0.7], np.float32)).get_ylabel()
        'precision'
    """
    _check_one_class("score", score)
    if sample_weight is not None and not np.any(np.asarray(sample_weight)):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    ax = axes(ax)
    curve = metrics.precision_recall(y, score, sample_weight=sample_weight)
    average = float(metrics.average_precision(y, score, sample_weight=sample_weight))
    if not ax.lines:
        ax.set_prop_cycle(**_CYCLE)
        share = float(curve.precision[-1])  # of all rows
        ax.axhline(share, color=GREY, lw=1, ls=":", label=f"no knowledge, {share:.2f}")
    named = _named(label, f"average {average:.3f}")
    ax.step(curve.recall, curve.precision, where="pre", lw=2, label=named)
    ax.set(xlabel="recall", ylabel="precision")
    return _unit_square(ax)


def calibration(
    y: ArrayLike,
    proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    num_bins: int = 10,
    level: float | None = 0.95,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often y is 1 where the model says p: on the dotted diagonal it is right. The area of a point is its bin's weight.

    The bar of a bin is Wilson's interval of its observed share, the p with |share - p| <= z sqrt(p (1 - p) / n): it crosses the
    diagonal where the share is one that a right model has with probability `level`, bin by bin.

    Args:
        y: labels (m,) in [0, 1].
        proba: probabilities (m,).
        sample_weight: (m,) >= 0; None is 1. For the bars a weight k is k rows.
        num_bins: equal parts of [0, 1].
        level: of the bars, in (0, 1); None draws none.
        label: name of the model in the legend.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: as `jaxlr.metrics.calibration`, probabilities of several classes, NaN among them, no weight, or level is not
            in (0, 1).

    Example:
        >>> calibration(np.array([0, 1]), np.array([0.2, 0.7], np.float32)).get_ylabel()
        'observed share of y = 1'

    References:
        Wilson 1927, Journal of the American Statistical Association 22; Brown, Cai & DasGupta 2001, Statistical Science 16,
        eq. 4, on his and other intervals; Broecker & Smith 2007, Weather and Forecasting 22, on what a reliability curve shows.
    """
    _check_one_class("proba", proba)
    z = None if level is None else normal_quantile(level)
    curve = metrics.calibration(y, proba, sample_weight=sample_weight, num_bins=num_bins)
    predicted, observed, weight = (np.asarray(field)[np.asarray(curve.weight) > 0] for field in curve)
    if not len(weight) or not np.isfinite(predicted).all():
        raise ValueError("expected probabilities of rows with weight, got NaN or no weight; leave out models that failed")
    ax = axes(ax)
    _diagonal(ax)
    (line,) = ax.plot(predicted, observed, lw=1.5, label=_named(label, f"{len(weight)} bins"))
    if z is not None:
        ax.vlines(predicted, *_wilson(observed, weight, z), color=line.get_color(), lw=1.5, alpha=0.6)
    share = weight / weight.max(initial=1)  # first, so that the sum does not overflow
    ax.scatter(predicted, observed, s=20 + 200 * share / share.sum(), color=line.get_color(), edgecolor="white", zorder=3)
    ax.set(xlabel="predicted probability of y = 1", ylabel="observed share of y = 1", aspect="equal")
    return _unit_square(ax)


def predicted(
    x: Data,
    found: Predictions,
    *,
    name: str = "x",
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Predicted probabilities along a column, with the band of their intervals.

    Args:
        x: values of the column (r,), in any order.
        found: `jaxlr.inference.predictions` of one model at rows (r,) with these values, of K classes (r, K): a curve for each.
        name: of the column, on the horizontal axis.
        label: name of the curve in the legend, of several classes in front of the class.
        ax: where to draw; None makes a figure. Call again with the same `ax` for another curve.

    Returns:
        Axes.

    Raises:
        TypeError: found are no Predictions.
        ValueError: x and the predictions are not of the same rows.

    Example:
        >>> from jaxlr.inference import Predictions
        >>> found = Predictions(*(np.array(part) for part in ([0.2, 0.4], [0.1, 0.1], [0.1, 0.2], [0.3, 0.6])))
        >>> predicted([1, 2], found, name="age").get_xlabel()
        'age'
    """
    if not isinstance(found, Predictions):
        raise TypeError(
            f"expected predictions of jaxlr.inference, with their intervals, got {type(found).__name__}; jaxlr.predict_proba "
            "has none"
        )
    x = np.asarray(x)
    proba, lower, upper = (np.asarray(part, float) for part in (found.proba, found.lower, found.upper))
    if x.ndim != 1 or proba.ndim not in (1, 2) or len(proba) != len(x):
        raise ValueError(
            f"expected x (r,) and predictions of one model (r,) or (r, K), got {x.shape} and {proba.shape}; draw the models "
            "one by one"
        )
    ax, order = axes(ax), np.argsort(x, kind="stable")
    if not ax.lines:
        ax.set_prop_cycle(**_CYCLE)
    shape = proba.shape[1:]
    labels = [label] if not shape else [_named(label, f"class {k}") for k in range(*shape)]
    for own, low, high, text in zip(*(part.reshape(len(x), -1).T for part in (proba, lower, upper)), labels, strict=True):
        (line,) = ax.plot(x[order], own[order], lw=2, label=text)
        ax.fill_between(x[order], low[order], high[order], color=line.get_color(), alpha=0.18, lw=0)
    ax.set(xlabel=name, ylabel="probability of the class" if shape else "probability of y = 1", ylim=(-0.02, 1.02))
    return finish(ax, legend=any(text is not None for text in labels))


def _wilson(share: np.ndarray, n: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the interval of a probability, from the share of ones among n and the quantile z."""
    more = z**2 / n.astype(float)
    center, half = share + more / 2, np.sqrt(more * (share * (1 - share) + more / 4))
    return (center - half) / (1 + more), (center + half) / (1 + more)


def _check_one_class(name: str, score: ArrayLike) -> None:
    if np.ndim(score) != 1:
        advice = f"of several classes draw each against the others, y == k and {name}[:, k]"
        raise ValueError(f"expected {name} (m,), got shape {np.shape(score)}; {advice}")


def _diagonal(ax: Axes) -> None:
    if not ax.lines:
        ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
        ax.set_prop_cycle(**_CYCLE)


def _named(label: str | None, value: str) -> str:
    return value if label is None else f"{label}, {value}"


def _unit_square(ax: Axes) -> Axes:
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return finish(ax, legend=True)
