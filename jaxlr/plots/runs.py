"""Figures of many models at once: losses over epochs, grids, cross-validation, and how well every model converged."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm

from jaxlr.checks import Data
from jaxlr.plots.style import BLUE, CYCLE, VERMILION, axes, finish
from jaxlr.result import Fit
from jaxlr.selection import CrossValidation
from jaxlr.status import Status

_MARKERS = dict(zip(list(Status)[1:], "sD^xP*", strict=True))  # by status, for models that failed


def losses(
    losses: Data,
    *,
    labels: Sequence[str] | None = None,
    values: Data | None = None,
    value_name: str = "learning rate",
    ax: Axes | None = None,
) -> Axes:
    """Loss over epochs, of one run or of many; a run ends where it diverged.

    Args:
        losses: (num_epochs,) or (runs, num_epochs), as `jaxlr.train` gives them, in nats per unit of weight.
        labels: one a run, for a few runs.
        values: (runs,), > 0: what differs between many runs, shown as colour on a log scale.
        value_name: name of the values.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Example:
        >>> losses(np.array([0.6, 0.5, 0.4])).get_xlabel()
        'epoch'
    """
    ax = axes(ax)
    runs = np.atleast_2d(np.asarray(losses))
    epochs = np.arange(1, runs.shape[1] + 1)
    if values is not None:
        values = np.asarray(values)
        colours = ScalarMappable(LogNorm(values.min(), values.max()), colormaps["viridis"])
        for run, value in zip(runs, values, strict=True):
            ax.plot(epochs, run, color=colours.to_rgba(value), lw=0.8, alpha=0.8)
        ax.figure.colorbar(colours, ax=ax, label=value_name)
    else:
        styles = [(colour, ls) for ls in ("-", "--", ":", "-.") for colour in CYCLE]
        for i, run in enumerate(runs):
            colour, ls = styles[i % len(styles)]
            ax.plot(epochs, run, color=colour, ls=ls, label=None if labels is None else labels[i])
    ax.set(xlabel="epoch", ylabel="loss J (nats per unit of weight)", yscale="log")
    return finish(ax, legend=labels is not None and values is None)


def heat_map(
    values: Data,
    rows: Data,
    columns: Data,
    *,
    row_name: str,
    column_name: str,
    value_name: str,
    chosen: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A quantity over a two-way grid; cells that are not numbers are crossed out.

    Args:
        values: (a, b).
        rows: (a,), the value of each row.
        columns: (b,), the value of each column.
        row_name: of the vertical axis.
        column_name: of the horizontal axis.
        value_name: of the colour bar, with its unit.
        chosen: index of a cell to be framed.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: shapes do not fit.

    Example:
        >>> grid = np.array([[0.3, 0.2], [0.4, np.nan]])
        >>> heat_map(grid, [0.1, 1.0], [1, 2], row_name="l2", column_name="l1", value_name="log loss").get_ylabel()
        'l2'
    """
    values, rows, columns = np.asarray(values), np.asarray(rows), np.asarray(columns)
    if values.shape != rows.shape + columns.shape:
        raise ValueError(f"expected values (a, b), rows (a,), columns (b,), got {values.shape}, {rows.shape}, {columns.shape}")
    ax = axes(ax)
    image = ax.imshow(np.ma.masked_invalid(values), origin="lower", aspect="auto", cmap="viridis")
    ax.figure.colorbar(image, ax=ax, label=value_name)
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        ax.plot(missing[:, 1], missing[:, 0], "x", color=VERMILION, label="no value")
        ax.legend(fontsize="small", framealpha=0.9, loc="upper right")
    if chosen is not None:
        style = {"s": 120, "marker": "s", "facecolor": "none", "edgecolor": "white", "linewidth": 2.5}
        ax.scatter([chosen[1]], [chosen[0]], **style)
        ax.scatter([chosen[1]], [chosen[0]], **(style | {"edgecolor": "black", "linewidth": 1}))
    for axis, ticks in ((ax.yaxis, rows), (ax.xaxis, columns)):
        places = np.unique(np.linspace(0, len(ticks) - 1, min(len(ticks), 8)).round().astype(int))
        axis.set_ticks(places, [f"{ticks[place]:.2g}" for place in places])
    ax.set(xlabel=column_name, ylabel=row_name)
    return ax


def cv_curve(
    cv: CrossValidation,
    strengths: Data,
    *,
    metric: str = "log_loss",
    strength_name: str = "l2 (scale of the mean loss)",
    ax: Axes | None = None,
) -> Axes:
    """The mean held-out score over a path of penalties, its band of one standard error, and the two choices.

    Args:
        cv: of a path, mean (g,).
        strengths: (g,), > 0.
        metric: which score.
        strength_name: of the horizontal axis.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: the grid is not a path of these strengths.

    Example:
        >>> import jax, jaxlr
        >>> X, y = np.arange(20).reshape(10, 2) % 7, np.arange(10) % 2
        >>> cv = jaxlr.cross_validate(X, y, l2=np.array([0.1, 1.0]), folds=2, key=jax.random.key(0), refit=False)
        >>> cv_curve(cv, np.array([0.1, 1.0])).get_xscale()
        'log'
    """
    strengths = np.asarray(strengths)
    mean, error = np.asarray(cv.mean[metric]), np.asarray(cv.standard_error[metric])
    if mean.shape != strengths.shape:
        raise ValueError(f"expected a path, mean and strengths (g,), got {mean.shape} and {strengths.shape}")
    ax = axes(ax)
    ax.fill_between(strengths, mean - error, mean + error, color=BLUE, alpha=0.25, lw=0, label="± one standard error")
    ax.plot(strengths, mean, color=BLUE, label="mean over folds")
    for label, index, marker, colour in (
        ("best mean", cv.best, "o", VERMILION),
        ("one standard error", cv.one_se, "s", "black"),
    ):
        if index is not None:
            named = f"{label}: {strengths[index]:.1e}"
            ax.plot(strengths[index], mean[index], marker, color=colour, ms=7, ls="none", label=named)
    unit = {"log_loss": " (nats per row)"}.get(metric, "")
    ax.set(xscale="log", xlabel=strength_name, ylabel=f"held-out {metric.replace('_', ' ')}{unit}")
    return finish(ax, legend=True)


def convergence_map(fit: Fit, *, ax: Axes | None = None) -> Axes:
    """The KKT residual of every model, and which failed and how.

    Args:
        fit: of one model, a path or a grid; axes before the last are flattened.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Example:
        >>> import jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> convergence_map(jaxlr.fit(X, y, l2=np.array([0.1, 1.0]))).get_xlabel()
        'model'
    """
    ax = axes(ax)
    status, kkt = np.atleast_1d(np.asarray(fit.status)), np.atleast_1d(np.asarray(fit.kkt, float))
    floor = np.finfo(np.asarray(fit.kkt).dtype).eps / 16  # a residual of exactly 0 has no logarithm
    if status.ndim == 1:
        done = status == Status.CONVERGED
        ax.plot(np.flatnonzero(done), np.maximum(kkt[done], floor), ".", color=BLUE, label=f"converged ({done.sum()})")
        shown = np.where(np.isfinite(kkt), np.maximum(kkt, floor), 1.0)
        places = [(np.flatnonzero(status == cause), shown[status == cause], cause) for cause in _MARKERS]
        ax.set(xlabel="model", ylabel="KKT residual", yscale="log")
    else:
        grid = kkt.reshape(-1, kkt.shape[-1])
        image = ax.imshow(np.log10(np.maximum(grid, floor)), origin="lower", aspect="auto", cmap="cividis")
        ax.figure.colorbar(image, ax=ax, label="log10 of the KKT residual")
        flat = status.reshape(grid.shape)
        places = [(*np.nonzero(flat == cause)[::-1], cause) for cause in _MARKERS]
        ax.set(xlabel="model, last axis of the batch", ylabel="model, other axes of the batch")
    for x, height, cause in places:
        if len(x):
            ax.plot(x, height, _MARKERS[cause], color=VERMILION, mec="white", ms=7, label=f"{cause.name} ({len(x)})")
    labelled = ax.get_legend_handles_labels()[0]
    if labelled:
        ax.legend(fontsize="small", framealpha=0.9, loc="upper right")
    return finish(ax) if status.ndim == 1 else ax
