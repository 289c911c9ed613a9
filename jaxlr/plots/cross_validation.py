"""Figures of cross-validation: the held-out score over a path of penalties, of one way to hold rows out or of several."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from jaxlr.inputs.checks import Data
from jaxlr.plots.style import CYCLE, VERMILION, axes, check_logarithmic, finish, lone_points
from jaxlr.selection.scores import CrossValidation

_LINES = ("-", "--", ":", "-.")


def cv_curve(
    cv: CrossValidation | Mapping[str, CrossValidation],
    strengths: Data,
    *,
    metric: str = "log_loss",
    strength_name: str = "l2 (scale of the mean loss)",
    ax: Axes | None = None,
) -> Axes:
    """The mean held-out score over a path of penalties, its band of one standard error, and the two choices.

    Args:
        cv: of a path, mean (g,), or several of the same path by label.
        strengths: (g,), > 0, in any order.
        metric: which score.
        strength_name: of the horizontal axis.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: cv is something else, such as a fit.
        ValueError: the grid is not a path of these strengths, one is not > 0, or the metric was not scored.

    Example:
        >>> import jax, jaxlr
        >>> X, y, l2 = np.arange(20).reshape(10, 2) % 7, np.arange(10) % 2, np.array([0.1, 1.0])
        >>> cv = jaxlr.cross_validate(X, y, l2=l2, folds=2, key=jax.random.key(0), refit=False)
        >>> cv_curve(cv, l2).get_xscale()
        'log'
        >>> both = {"2 folds": cv, "leave-one-out": jaxlr.cross_validate(X, y, l2=l2, folds="loo", refit=False)}
        >>> [line.get_label() for line in cv_curve(both, l2).lines][::3]
        ['2 folds', 'leave-one-out']
    """
    strengths = np.asarray(strengths)
    curves = cv if isinstance(cv, Mapping) else {None: cv}
    for each in curves.values():
        if not isinstance(each, CrossValidation):
            raise TypeError(f"expected a CrossValidation, got {type(each).__name__}; pass the result of jaxlr.cross_validate")
        if metric not in each.mean:
            raise ValueError(f"expected a metric that was scored, {', '.join(each.mean)}, got {metric!r}")
        if np.shape(each.mean[metric]) != strengths.shape:
            raise ValueError(
                f"expected a path, mean and strengths (g,), got {np.shape(each.mean[metric])} and {strengths.shape}; draw one "
                "path of a larger grid"
            )
    check_logarithmic("strengths", strengths)
    ax = axes(ax)
    order = np.argsort(strengths, kind="stable")
    for place, (name, each) in enumerate(curves.items()):
        mean, error = np.asarray(each.mean[metric]), np.asarray(each.standard_error[metric])
        colour = CYCLE[place % len(CYCLE)]
        band = None if place else "± one standard error"
        ax.fill_between(
            strengths[order], (mean - error)[order], (mean + error)[order], color=colour, alpha=0.25, lw=0, label=band
        )
        label = name or f"mean over {'rows' if each.folds == 'loo' else 'folds'}"
        line = {"color": colour, "ls": _LINES[place % len(_LINES)], "label": label}
        ax.plot(strengths[order], mean[order], **line, **lone_points(mean[order]))
        prefix, colours = (f"{name}, ", (colour, colour)) if name else ("", (VERMILION, "black"))
        choices = ("best mean", each.best, "o"), ("one standard error", each.one_se, "s")
        for (choice, index, marker), shade in zip(choices, colours, strict=True):
            if index is not None:
                named = f"{prefix}{choice}: {strengths[index]:.1e}"
                ax.plot(strengths[index], mean[index], marker, color=shade, ms=7, ls="none", label=named)
    unit = {"log_loss": " (nats per row)"}.get(metric, "")
    ax.set(xscale="log", xlabel=strength_name, ylabel=f"held-out {metric.replace('_', ' ')}{unit}")
    return finish(ax, legend=True)
