"""What all figures share: axes, and colours that stay apart for every kind of colour vision.

The colours are those of Okabe & Ito (Color Universal Design, 2008); maps are perceptually uniform (viridis, cividis).
Meaning never rests on colour alone: markers, line styles or labels repeat it.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
GREY = "#666666"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_CLASS_MARKERS = "o^sDvPX"  # one more than colours, so that 42 pairs come before any is used again


def axes(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure of 6.4 x 4 inches."""
    return plt.subplots(figsize=(6.4, 4), layout="constrained")[1] if ax is None else ax


def finish(ax: Axes, *, legend: bool = False) -> Axes:
    """The last touch: no frame above and to the right, a legend without a box."""
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(frameon=False, fontsize="small")
    return ax


def lone_points(values: NDArray) -> dict[str, Any]:
    """Options of `Axes.plot` for a marker where a line would show nothing: at finite points whose neighbours are not.

    Example:
        >>> lone_points(np.array([1.0, np.nan, 2.0, 3.0]))
        {'marker': 'o', 'ms': 4, 'markevery': [0]}
    """
    finite = np.pad(np.isfinite(values), 1)
    where = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:]).tolist()
    return {"marker": "o", "ms": 4, "markevery": where} if where else {}


def check_logarithmic(name: str, values: NDArray) -> None:
    """Refuse what has no place on a log scale: all but finite values > 0 along one axis."""
    if values.ndim != 1 or len(values) == 0 or not np.all(np.isfinite(values) & (values > 0)):
        shown = np.array2string(values, threshold=8)
        raise ValueError(f"expected {name} (k,) > 0, for a log scale, got {shown}; leave the others out of the figure")


def class_style(k: int) -> dict[str, Any]:
    """Colour and marker of the rows of class k, options of `Axes.scatter`: another pair for each of the first 42.

    Example:
        >>> class_style(0)["marker"], class_style(1)["marker"]
        ('o', '^')
    """
    return {"color": CYCLE[k % len(CYCLE)], "marker": _CLASS_MARKERS[k % len(_CLASS_MARKERS)]}


def term_names(names: Sequence[str] | None, shape: tuple[int, ...]) -> list[str]:
    """A name for each coefficient of this shape, (n,) or class by class (K, n), of the names of the columns; None numbers them.

    Raises:
        ValueError: there are not as many names as columns.

    Example:
        >>> term_names(["age"], (2, 1))
        ['age [0]', 'age [1]']
    """
    *classes, columns = shape
    names = [f"x{column}" for column in range(columns)] if names is None else list(names)
    if len(names) != columns:
        raise ValueError(f"expected a name for each of {columns} columns, got {len(names)}; name every column")
    return [f"{name} [{k}]" for k in range(*classes) for name in names] if classes else names
