"""Figures of models: the sigmoid, decision boundaries with contours of the probability, coefficients over a penalty."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.tables import as_floating, column_names
from jaxlr.model.logistic import sigmoid
from jaxlr.model.predict import Params, logits
from jaxlr.plots.style import CLASS_COLOURS, CLASS_MARKERS, CYCLE, GREY, axes, check_logarithmic, finish, lone_points
from jaxlr.results.fit import Fit

_CONTOURS = (0.1, 0.25, 0.5, 0.75, 0.9)
_CHOSEN = ("--", ":", "-.", "-")
_NAMED = 10  # coefficients that get their name at the end of the line
_COUNTS = 6  # on the upper axis


def sigmoid_curve(*, limit: float = 8.0, ax: Axes | None = None) -> Axes:
    """The sigmoid over logits from -limit to limit, with the point at which the predicted class changes.

    Args:
        limit: largest logit, > 0.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Example:
        >>> sigmoid_curve().get_xlabel()
        'logit (log-odds)'
    """
    ax = axes(ax)
    z = np.linspace(-limit, limit, 401)
    ax.plot(z, np.asarray(sigmoid(z.astype(np.float32))), color=CYCLE[0], lw=2)
    ax.plot([0], [0.5], "o", color=CYCLE[1], label="logit 0: probability 0.5")
    ax.axhline(0.5, color=GREY, lw=0.8, ls=":")
    ax.set(xlabel="logit (log-odds)", ylabel="probability of y = 1", ylim=(-0.03, 1.03))
    return finish(ax, legend=True)


def decision_boundary(
    params: Params,
    X: Data,
    y: Data,
    *,
    features: tuple[int, int] = (0, 1),
    feature_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The rows over two columns, the line where the probability is 0.5, and contours of the probability.

    The other columns stand at their means. The boundary is a contour of the logit, so that vertical lines need no special
    case, and models whose boundary lies elsewhere simply show none.

    Args:
        params: coef (n,), intercept ().
        X: design (m, n), n >= 2, in the units of params.
        y: labels (m,), 0/1.
        features: the two columns, horizontal and vertical.
        feature_names: n names; None takes those of X where it is a table, and numbers the columns where not.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: X has not these two columns, shapes do not fit, a label is not 0/1, or a value is not finite.

    Example:
        >>> X, y = np.array([[0, 1], [1, 0], [2, 2]], np.float32), np.array([0, 0, 1])
        >>> decision_boundary(Params(np.ones(2, np.float32), np.float32(-2)), X, y).get_ylabel()
        'x1'
    """
    feature_names = column_names(X) if feature_names is None else feature_names
    X, y = np.asarray(real_array("X", X), float), np.asarray(y)
    params = Params(as_floating(params.coef), as_floating(params.intercept))
    _check_model(params, X, y, features)
    ax = axes(ax)
    names = [f"x{column}" for column in range(X.shape[1])] if feature_names is None else feature_names
    sides = []
    for column in features:
        low, high = X[:, column].min(), X[:, column].max()
        room = 0.08 * (high - low) or 1.0
        sides.append(np.linspace(low - room, high + room, 200))
    grid = np.tile(X.mean(axis=0), (200, 200, 1))
    grid[..., features[0]], grid[..., features[1]] = np.meshgrid(*sides)
    z = np.asarray(logits(params, grid.reshape(-1, X.shape[1]).astype(params.coef.dtype)), float).reshape(200, 200)
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
    for value, colour, marker in zip((0, 1), CLASS_COLOURS, CLASS_MARKERS, strict=True):
        rows = X[y == value]
        style = {"color": colour, "marker": marker, "edgecolor": "white", "linewidth": 0.6, "label": f"y = {value}"}
        ax.scatter(rows[:, features[0]], rows[:, features[1]], s=34, zorder=3, **style)
    ax.set(xlabel=names[features[0]], ylabel=names[features[1]])
    ax.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]))
    ax.legend(fontsize="small", framealpha=0.9, loc="upper right")
    return finish(ax)


def coefficient_path(
    strengths: Data,
    coef: Data | Fit,
    *,
    names: Sequence[str] | None = None,
    chosen: dict[str, int] | None = None,
    strength_name: str = "l2 (scale of the mean loss)",
    ax: Axes | None = None,
) -> Axes:
    """Coefficients over the strength of a penalty; the largest ones at the weakest penalty are named.

    Where some are exactly 0, the upper axis counts those that are not.

    Args:
        strengths: (g,), > 0, in any order; drawn on a log axis.
        coef: (g, n), the coefficients at each, or the Fit (g,) of the path.
        names: n names of the columns; None takes those of the Fit or table, and numbers them where there are none.
        chosen: by label, an index into strengths, marked by a vertical line; at most four.
        strength_name: of the horizontal axis.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: shapes do not fit, a strength is not > 0, or more than four are chosen.

    Example:
        >>> coefficient_path(np.array([0.1, 1.0]), np.array([[2.0, -1.0], [0.5, -0.2]])).get_xscale()
        'log'
    """
    if isinstance(coef, Fit):
        coef, names = coef.params.coef, coef.names if names is None else names
    names = column_names(coef) if names is None else names
    strengths, coef = np.asarray(strengths), np.asarray(coef)
    if strengths.ndim != 1 or coef.shape[:1] != strengths.shape or coef.ndim != 2:
        raise ValueError(f"expected strengths (g,) and coef (g, n), got {strengths.shape} and {coef.shape}")
    check_logarithmic("strengths", strengths)
    chosen_strengths = {label: float(strengths[index]) for label, index in (chosen or {}).items()}
    if len(chosen_strengths) > len(_CHOSEN):
        raise ValueError(f"expected at most {len(_CHOSEN)} chosen strengths, one a line style, got {len(chosen_strengths)}")
    order = np.argsort(strengths, kind="stable")
    strengths, coef = strengths[order], coef[order]
    ax = axes(ax)
    names = [f"x{column}" for column in range(coef.shape[1])] if names is None else names
    largest = np.argsort(-np.abs(coef[0]))[:_NAMED]
    for column in range(coef.shape[1]):
        style: dict[str, Any] = {"color": GREY, "lw": 0.7, "alpha": 0.6}
        if column in largest:
            place = int(np.flatnonzero(largest == column)[0])
            style = {"color": CYCLE[place % len(CYCLE)], "ls": ("-", "--")[place // len(CYCLE)], "label": names[column]}
        ax.plot(strengths, coef[:, column], **style, **lone_points(coef[:, column]))
    for (label, strength), ls in zip(chosen_strengths.items(), _CHOSEN, strict=False):
        ax.axvline(strength, color="black", lw=1, ls=ls, label=label)
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xscale="log", xlabel=strength_name, ylabel="coefficient (log-odds per unit of the column)")
    if np.any(coef == 0):
        at = np.unique(np.linspace(0, len(strengths) - 1, _COUNTS).round().astype(int))
        counts = ax.secondary_xaxis("top")
        counts.set_xticks(strengths[at], labels=[str(count) for count in np.count_nonzero(coef[at], axis=1)])
        counts.set_xticks([], minor=True)
        counts.set_xlabel("coefficients that are not 0")
    ax.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    return finish(ax)


def _check_model(params: Params, X: np.ndarray, y: np.ndarray, features: tuple[int, int]) -> None:
    if X.ndim != 2 or len(features) != 2 or not all(0 <= column < X.shape[1] for column in features):
        raise ValueError(f"expected X (m, n) with the columns {features}, got shape {X.shape}")
    m, n = X.shape
    if m == 0 or y.shape != (m,):
        raise ValueError(f"expected X (m, n) and y (m,) with at least one row, got shapes {X.shape} and {y.shape}")
    if params.coef.shape != (n,) or params.intercept.shape != ():
        shapes = f"{params.coef.shape} and {params.intercept.shape}"
        raise ValueError(
            f"expected params of one model, coef ({n},) and intercept (), got shapes {shapes}; draw them one by one"
        )
    if not np.all(np.isin(y, (0, 1))):
        raise ValueError(f"expected labels 0/1, got values such as {np.unique(y)[:4]}; pass y > 0?")
    for name, value in (("X", X), ("coef", params.coef), ("intercept", params.intercept)):
        if not np.all(np.isfinite(value)):
            raise ValueError(f"expected finite {name}, got NaN or infinity; look at the status of the fit, or drop those rows")
