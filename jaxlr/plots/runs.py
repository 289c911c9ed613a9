"""Figures of many models at once: losses over epochs, grids, and how well every model converged."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.font_manager import FontProperties

from jaxlr.inputs.checks import Data
from jaxlr.plots.style import BLUE, CYCLE, VERMILION, axes, check_logarithmic, finish, lone_points
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_MARKERS = dict(zip(list(Status)[1:], "sD^xP*", strict=True))  # by status, for models that failed


def losses(
    losses: Data,
    *,
    labels: Sequence[str] | None = None,
    values: Data | None = None,
    value_name: str = "learning rate",
    ax: Axes | None = None,
) -> Axes:
    """Loss over epochs, of one run or of many; a run that diverged ends in a cross, on the upper edge if it never was finite.

    Args:
        losses: (num_epochs,) or (runs, num_epochs), as `jaxlr.train` gives them, in nats per unit of weight.
        labels: one a run, for a few runs.
        values: (runs,), > 0: what differs between many runs, shown as colour on a log scale.
        value_name: name of the values.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: losses have more axes, there are not as many labels or values as runs, or a value is not > 0.

    Example:
        >>> losses(np.array([0.6, 0.5, 0.4])).get_xlabel()
        'epoch'
    """
    runs = np.atleast_2d(np.asarray(losses))
    if runs.ndim > 2:
        raise ValueError(f"expected losses (num_epochs,) or (runs, num_epochs), got shape {runs.shape}; reshape a larger batch")
    for name, count in (("labels", labels and len(labels)), ("values", None if values is None else np.size(values))):
        if count is not None and count != len(runs):
            raise ValueError(f"expected one of {name} for each of {len(runs)} runs, got {count}; give each run its own")
    if values is not None:
        values = np.asarray(values)
        check_logarithmic("values", values)
    ax = axes(ax)
    if values is not None:
        colours = ScalarMappable(LogNorm(values.min(), values.max()), colormaps["viridis"])
        styles = [{"color": colours.to_rgba(value), "lw": 0.8, "alpha": 0.8} for value in values]
        ax.figure.colorbar(colours, ax=ax, label=value_name)
    else:
        cycle = [{"color": colour, "ls": ls} for ls in ("-", "--", ":", "-.") for colour in CYCLE]
        styles = [cycle[i % len(cycle)] | {"label": None if labels is None else labels[i]} for i in range(len(runs))]
    diverged = 0
    for run, style in zip(runs, styles, strict=True):
        ax.plot(np.arange(1, len(run) + 1), run, **style, **lone_points(run))
        if not np.all(np.isfinite(run)):
            diverged += 1
            last = int(np.argmin(np.isfinite(run)))  # the epoch before the first that is not finite
            place, transform = ((last, run[last - 1]), ax.transData) if last else ((1, 1), ax.get_xaxis_transform())
            cross = {"color": style["color"], "clip_on": False, "transform": transform, "zorder": 3}
            ax.plot(*place, "x", ms=7, mew=1.5, **cross)
    if diverged:
        ax.plot([], [], "x", color="black", ms=7, mew=1.5, label=f"diverged ({diverged} of {len(runs)})")
    ax.set(xlabel="epoch", ylabel="loss J (nats per unit of weight)", yscale="log")
    return finish(ax, legend=diverged > 0 or (labels is not None and values is None))


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
        raise ValueError(
            f"expected values (a, b), rows (a,), columns (b,), got {values.shape}, {rows.shape}, {columns.shape}; transpose "
            "the values"
        )
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
    letter = 0.65 * FontProperties(size=rcParams["xtick.labelsize"]).get_size_in_points()  # a digit is 0.64 em wide
    ax.yaxis.set_ticks(**_ticks(rows, room=math.inf))
    ax.xaxis.set_ticks(**_ticks(columns, room=ax.bbox.width / ax.figure.dpi * 72 / letter))
    ax.set(xlabel=column_name, ylabel=row_name)
    return ax


def convergence_map(fit: Fit, *, ax: Axes | None = None) -> Axes:
    """The KKT residual of every model, and which failed and how.

    Args:
        fit: of one model, a path or a grid; axes before the last are flattened.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: fit is something else.

    Example:
        >>> import jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> convergence_map(jaxlr.fit(X, y, l2=np.array([0.1, 1.0]))).get_xlabel()
        'model'
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"expected a Fit, got {type(fit).__name__}; pass the result of jaxlr.fit")
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


def _ticks(values: np.ndarray, room: float) -> dict[str, Any]:
    """Ticks with labels that fit into room letters beside each other: evenly spaced numbers, at most eight, or all words."""
    if not np.issubdtype(values.dtype, np.number):
        labels = [str(value) for value in values]
        turned = {"rotation": 30, "ha": "right"} if _letters(labels) > room else {}
        return {"ticks": range(len(labels)), "labels": labels} | turned
    stride = math.ceil(len(values) / 8)
    while _letters(labels := _numbers(values[::stride])) > room and len(labels) > 1:
        stride += 1
    return {"ticks": range(0, len(values), stride), "labels": labels}


def _letters(labels: list[str]) -> int:
    return sum(len(label) + 2 for label in labels)


def _numbers(values: np.ndarray) -> list[str]:
    """The shortest labels, from two digits on, that differ where the values do."""
    digits = 2
    while len({f"{value:.{digits}g}" for value in values}) < len(np.unique(values)) and digits < 17:
        digits += 1
    return [f"{value:.{digits}g}" for value in values]
