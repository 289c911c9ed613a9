"""What all figures share: axes, and colours that stay apart for every kind of colour vision.

The colours are those of Okabe & Ito (Color Universal Design, 2008); maps are perceptually uniform (viridis, cividis).
Meaning never rests on colour alone: markers, line styles or labels repeat it.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
GREY = "#666666"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
CLASS_COLOURS, CLASS_MARKERS = (BLUE, VERMILION), ("o", "^")


def axes(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure of 6.4 x 4 inches.

    Args:
        ax: where to draw, or None.

    Returns:
        Axes.
    """
    return plt.subplots(figsize=(6.4, 4), layout="constrained")[1] if ax is None else ax


def finish(ax: Axes, *, legend: bool = False) -> Axes:
    """The last touch: no frame above and to the right, a legend without a box.

    Args:
        ax: drawn already.
        legend: whether labelled artists get one.

    Returns:
        The same Axes.
    """
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(frameon=False, fontsize="small")
    return ax
