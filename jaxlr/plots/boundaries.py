"""Figures of decision boundaries over two columns: contours of the probability of one model, or the regions of its classes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.tables import as_floating, column_names
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.logistic import sigmoid
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.plots.style import axes, class_style, finish, term_names

_CONTOURS = (0.1, 0.25, 0.5, 0.75, 0.9)
_POINTS = 200  # of the grid, on each side


def decision_boundary(
    params: Params | SoftmaxParams,
    X: Data,
    y: Data,
    *,
    features: tuple[int, int] = (0, 1),
    feature_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The rows over two columns, with what the model says in between: the type of params decides what is drawn.

    Params: the line where the probability is 0.5, and contours of the probability. SoftmaxParams: the region in which each
    class is the most probable one, and the lines between them. The other columns stand at their means. Boundaries are contours
    of logits, so that vertical lines need no special case, and models whose boundary lies elsewhere simply show none.

    Args:
        params: Params, coef (n,) and intercept (), or SoftmaxParams, coef (K, n) and intercept (K,).
        X: design (m, n), n >= 2, in the units of params.
        y: labels (m,), 0/1, or 0, ..., K - 1.
        features: the two columns, horizontal and vertical.
        feature_names: n names; None takes those of X where it is a table, and numbers the columns where not.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: params are something else.
        ValueError: X has not these two columns, shapes do not fit, a label is no class, or a value is not finite.

    Example:
        >>> X, y = np.array([[0, 1], [1, 0], [2, 2]], np.float32), np.array([0, 0, 1])
        >>> decision_boundary(Params(np.ones(2, np.float32), np.float32(-2)), X, y).get_ylabel()
        'x1'
        >>> params = SoftmaxParams(np.eye(3, 2, dtype=np.float32), np.zeros(3, np.float32))
        >>> [text.get_text() for text in decision_boundary(params, X, np.arange(3)).get_legend().get_texts()]
        ['y = 0', 'y = 1', 'y = 2']
    """
    feature_names = column_names(X) if feature_names is None else feature_names
    X, y = np.asarray(real_array("X", X), float), np.asarray(y)
    classes = likelihood_of_params(params).classes
    params = type(params)(as_floating(params.coef), as_floating(params.intercept))
    num_classes = classes[0] if classes else 2
    _check_model(params, classes, X, features)
    _check_rows(X, y, num_classes)
    names = term_names(feature_names, X.shape[1:])
    ax = axes(ax)
    sides = []
    for column in features:
        low, high = X[:, column].min(), X[:, column].max()
        room = 0.08 * (high - low) or 1.0
        sides.append(np.linspace(low - room, high + room, _POINTS))
    grid = np.tile(X.mean(axis=0), (_POINTS, _POINTS, 1))
    grid[..., features[0]], grid[..., features[1]] = np.meshgrid(*sides)
    z = np.asarray(logits(params, grid.reshape(-1, X.shape[1]).astype(params.coef.dtype)), float)
    (_draw_regions if classes else _draw_contours)(ax, sides, z.reshape(_POINTS, _POINTS, *classes))
    for value in range(num_classes):
        rows = X[y == value]
        style = class_style(value) | {"edgecolor": "white", "linewidth": 0.6, "label": f"y = {value}"}
        ax.scatter(rows[:, features[0]], rows[:, features[1]], s=34, zorder=3, **style)
    ax.set(xlabel=names[features[0]], ylabel=names[features[1]])
    ax.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]))
    ax.legend(fontsize="small", framealpha=0.9, loc="upper right")
    return finish(ax)


def _draw_contours(ax: Axes, sides: Sequence[np.ndarray], z: np.ndarray) -> None:
    """The probability as shade and contours, of logits on a grid."""
    proba = np.asarray(sigmoid(z.astype(np.float32)))
    shade = ax.pcolormesh(*sides, proba, cmap="cividis", vmin=0, vmax=1, alpha=0.35, shading="nearest", rasterized=True)
    ax.figure.colorbar(shade, ax=ax, label="probability of y = 1")
    levels = [level for level in np.log(_CONTOURS) - np.log1p(-np.array(_CONTOURS)) if z.min() < level < z.max()]
    if levels:
        lines = ax.contour(
            *sides, z, levels=levels, colors="black",
            linewidths=[2.0 if level == 0 else 0.8 for level in levels],
            linestyles=["-" if level == 0 else "--" for level in levels],
        )  # fmt: skip
        ax.clabel(lines, fmt=lambda level: f"{1 / (1 + np.exp(-level)):.2g}", fontsize="small")


def _draw_regions(ax: Axes, sides: Sequence[np.ndarray], z: np.ndarray) -> None:
    """The most probable class as shade, and the edge of each region, of logits on a grid with the classes last."""
    num_classes = z.shape[-1]
    colours = ListedColormap([class_style(k)["color"] for k in range(num_classes)])
    shade = {"cmap": colours, "vmin": -0.5, "vmax": num_classes - 0.5, "alpha": 0.25, "shading": "nearest", "rasterized": True}
    ax.pcolormesh(*sides, z.argmax(axis=-1), **shade)
    for k in range(num_classes):
        lead = z[..., k] - np.delete(z, k, axis=-1).max(axis=-1, initial=-np.inf)
        if lead.min() < 0 < lead.max():
            ax.contour(*sides, lead, levels=[0], colors="black", linewidths=1.5)


def _check_model(params: Params | SoftmaxParams, classes: tuple[int, ...], X: np.ndarray, features: tuple[int, int]) -> None:
    if X.ndim != 2 or len(features) != 2 or not all(0 <= column < X.shape[1] for column in features):
        raise ValueError(f"expected X (m, n) with the columns {features}, got shape {X.shape}; pass the X of the fit")
    expected = (*classes, X.shape[1]), classes
    shapes = params.coef.shape, params.intercept.shape
    if shapes != expected:
        wanted, got = (f"coef {coef} and intercept {intercept}" for coef, intercept in (expected, shapes))
        raise ValueError(f"expected params of one model, {wanted}, got {got}; draw them one by one")
    for name, value in (("coef", params.coef), ("intercept", params.intercept)):
        if not np.all(np.isfinite(value)):
            raise ValueError(f"expected finite {name}, got NaN or infinity; look at the status of the fit")


def _check_rows(X: np.ndarray, y: np.ndarray, num_classes: int) -> None:
    if len(X) == 0 or y.shape != X.shape[:1]:
        raise ValueError(
            f"expected X (m, n) and y (m,) with at least one row, got shapes {X.shape} and {y.shape}; one label a row"
        )
    if not np.all(np.isin(y, range(num_classes))):
        expected = "0/1" if num_classes == 2 else f"0, ..., {num_classes - 1}"
        advice = "pass y > 0?" if num_classes == 2 else "number the classes from 0 on"
        raise ValueError(f"expected labels {expected}, got values such as {np.unique(y)[:4]}; {advice}")
    if not np.all(np.isfinite(X)):
        raise ValueError("expected finite X, got NaN or infinity; drop those rows")
