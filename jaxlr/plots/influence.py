"""The figure of influence: which rows are badly fitted, which could pull the fit, and which do."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from jaxlr.inference.influence import Influence
from jaxlr.plots.style import BLUE, GREY, VERMILION, axes, finish

_LARGEST = 600.0  # square points, the area of the largest bubble
_NAMED = 5  # rows
_LEGEND = (1.0, 0.25)  # sizes of bubbles there, of the largest, rounded to one digit
_FAR = 2.0  # residuals, and multiples of the mean leverage, beyond which a row deserves a look
_MARGIN = 0.1  # of an axis, beyond its outermost rows
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))  # where a number may stand
_DIGIT, _LINE = 6.0, 10.0  # points, of a number's characters


def influence(found: Influence, *, ax: Axes | None = None) -> Axes:
    """Standardized deviance residual by leverage: each row a mark, in a bubble whose area is Cook's distance.

    The rows of the five largest bubbles bear their numbers, from 0. Residuals beyond 2 and leverages beyond twice their mean
    are behind the dotted lines. Left out are rows without weight, and those of leverage 1, which have no standardized residual.

    Args:
        found: of one model, as `jaxlr.inference.influence` returns it; of a batch take a member by
            ``jax.tree.map(lambda leaf: leaf[i], found)``.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: found is something else, such as a fit.
        ValueError: influence of several models, or of one that did not converge.

    Example:
        >>> import jaxlr
        >>> X, y, *_ = jaxlr.datasets.spector()
        >>> ax = influence(jaxlr.inference.influence(jaxlr.fit(X, y), jaxlr.Problem(X, y)))
        >>> ax.get_xlabel(), sorted(text.get_text() for text in ax.texts)
        ('leverage', ['13', '23', '25', '31', '4'])

    References:
        Fox, Applied Regression Analysis and Generalized Linear Models (2016), section 11.4 (the bubble plot); Williams 1987,
        Applied Statistics 36 (residuals of generalized linear models).
    """
    if not isinstance(found, Influence):
        raise TypeError(f"expected an Influence, got {type(found).__name__}; pass jaxlr.inference.influence(fit, problem)")
    h, residual, cook = (
        np.asarray(value, float) for value in (found.leverage, found.standardized_deviance, found.cooks_distance)
    )
    if h.ndim != 1:
        raise ValueError(
            f"expected the influence of one model, arrays (m,), got {h.shape}; take jax.tree.map(lambda leaf: leaf[i], found)"
        )
    rows = np.flatnonzero((h > 0) & np.isfinite(residual) & np.isfinite(cook))
    if not len(rows):
        raise ValueError("expected the influence of a model that converged, got no row with a number; look at its status")
    far = _FAR * float(np.mean(h[h > 0]))
    h, residual, cook = h[rows], residual[rows], cook[rows]
    scale = _LARGEST / max(float(cook.max()), float(np.finfo(float).tiny))
    ax = axes(ax)
    for own, marker, colour, label in (
        (residual > 0, "^", VERMILION, "y above its probability"),
        (residual <= 0, "o", BLUE, "y below it"),
    ):
        _bubbles(ax, h[own], residual[own], scale * cook[own], colour)
        ax.scatter(h[own], residual[own], s=10, color=colour, marker=marker, lw=0, label=label)
    for share in _LEGEND:
        size = float(f"{share * cook.max():.0e}")
        _bubbles(ax, [], [], scale * size, GREY, f"Cook's distance {size:g}")
    ax.axhline(0, color=GREY, lw=0.8)
    ax.axhline(-_FAR, color=GREY, lw=0.8, ls=":")
    ax.axhline(_FAR, color=GREY, lw=0.8, ls=":", label="2, or twice the mean")
    ax.axvline(far, color=GREY, lw=0.8, ls=":")
    low, high = min(float(residual.min()), -_FAR), max(float(residual.max()), _FAR)
    margin = _MARGIN * (high - low)
    ax.set(xlabel="leverage", ylabel="standardized deviance residual", ylim=(low - margin, high + margin))
    ax.set_xlim(0, (1 + _MARGIN) * max(float(h.max()), far))
    _number(ax, rows, np.column_stack([h, residual]), scale * cook)
    ax.legend(frameon=False, fontsize="small", labelspacing=1.3, handlelength=2.6, loc="center left", bbox_to_anchor=(1, 0.5))
    return finish(ax)


def _bubbles(ax: Axes, x: Any, y: Any, areas: Any, colour: str, label: str | None = None) -> None:
    ax.scatter(x, y, s=areas, color=to_rgba(colour, 0.25), edgecolors=[to_rgba(colour, 0.6)], lw=0.6, label=label)


def _number(ax: Axes, rows: np.ndarray, places: np.ndarray, areas: np.ndarray) -> None:
    """Write the numbers of the rows with the largest bubbles, each beside its own, inside the axes, where it hides no other
    number and as few rows as can be."""
    points, corners = (
        at * 72 / ax.figure.dpi for at in (ax.transData.transform(places), ax.transAxes.transform([(0, 0), (1, 1)]))
    )
    middle, extent = corners.mean(axis=0), np.ptp(corners, axis=0) / 2
    written: list[tuple[np.ndarray, np.ndarray]] = []
    for i in np.argsort(-areas, kind="stable")[:_NAMED]:
        half = np.array([_DIGIT * len(str(rows[i])), _LINE]) / 2
        steps = np.array(_SIDES) * (np.sqrt(areas[i] / np.pi) + half)

        def hidden(step: np.ndarray, i: int = i, half: np.ndarray = half) -> int:
            centre = points[i] + step
            rows_under = np.all(np.abs(points - centre) < half, axis=1)
            crossing = sum(bool(np.all(np.abs(other - centre) < half + size)) for other, size in written)
            outside = bool(np.any(np.abs(centre - middle) + half > extent))
            return int(np.sum(rows_under)) + len(points) * (crossing + outside)

        step = min(steps, key=hidden)
        written.append((points[i] + step, half))
        place, offset = (float(places[i, 0]), float(places[i, 1])), (float(step[0]), float(step[1]))
        ax.annotate(str(rows[i]), place, offset, textcoords="offset points", ha="center", va="center", fontsize="small")
