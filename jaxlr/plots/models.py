"""Figures of coefficients: the sigmoid that they act through, and their path over the strength of a penalty."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from jaxlr.inputs.checks import Data
from jaxlr.inputs.groups import checked_groups
from jaxlr.inputs.tables import column_names
from jaxlr.model.logistic import sigmoid
from jaxlr.model.params import SoftmaxParams
from jaxlr.plots.style import CYCLE, GREY, axes, check_logarithmic, finish, lone_points, term_names
from jaxlr.results.fit import Fit

_CHOSEN = ("--", ":", "-.", "-")
_NAMED = 10  # coefficients that get their name at the end of the line
_COUNTS = 6  # on the upper axis
_LISTED = 3  # names of columns in that of their group


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


def coefficient_path(
    strengths: Data,
    coef: Data | Fit,
    *,
    names: Sequence[str] | None = None,
    chosen: dict[str, int] | None = None,
    strength_name: str = "l2 (scale of the mean loss)",
    lower: Data | None = None,
    upper: Data | None = None,
    groups: Data | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Coefficients over the strength of a penalty; the largest ones at the weakest penalty are named.

    Where some are exactly 0, the upper axis counts those that are not, of groups how many are not 0 as a whole.

    Args:
        strengths: (g,), > 0, in any order; drawn on a log axis.
        coef: (g, n), the coefficients at each, of K classes (g, K, n), or the Fit (g,) of the path.
        names: n names of the columns; None takes those of the Fit or table, and numbers them where there are none. Of several
            classes a line is named "name [k]".
        chosen: by label, an index into strengths, marked by a vertical line; at most four.
        strength_name: of the horizontal axis.
        lower: the bounds of the fit (n,) or one number: coefficients that are at one that is not 0 are marked, which weaker
            penalties would let go further. None is none.
        upper: likewise.
        groups: integers (n,), as in `jaxlr.fit`: the lines of a group, of all classes too, have one colour, and one entry of
            the legend with the names of its columns, each once. None is none.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: groups are no integers.
        ValueError: shapes, names or groups do not fit, a strength is not > 0, or more than four are chosen.

    Example:
        >>> coefficient_path(np.array([0.1, 1.0]), np.array([[2.0, -1.0], [0.5, -0.2]])).get_xscale()
        'log'
        >>> path = coefficient_path(np.array([0.1, 1.0]), np.array([[[2.0], [-2.0]], [[0.5], [-0.5]]]), names=["age"])
        >>> [text.get_text() for text in path.get_legend().get_texts()]
        ['age [0]', 'age [1]']
        >>> path = coefficient_path(np.array([0.1, 1.0]), np.ones((2, 3)), names=["age", "race", "race"], groups=[0, 1, 1])
        >>> [text.get_text() for text in path.get_legend().get_texts()]
        ['age', 'race']
    """
    shapes = {2: "(g, n)", 3: "(g, K, n)"}
    if isinstance(coef, Fit):
        del shapes[2 if isinstance(coef.params, SoftmaxParams) else 3]
        coef, names = coef.params.coef, coef.names if names is None else names
    names = column_names(coef) if names is None else names
    strengths, coef = np.asarray(strengths), np.asarray(coef)
    if strengths.ndim != 1 or coef.shape[:1] != strengths.shape or coef.ndim not in shapes:
        raise ValueError(
            f"expected strengths (g,) and coef {' or '.join(shapes.values())}, got {strengths.shape} and {coef.shape}; draw "
            "one path of a larger batch"
        )
    shape, labels, counted = coef.shape[1:], term_names(names, coef.shape[1:]), "coefficients"
    number = np.arange(len(labels))  # of the group of each line
    if groups is not None:
        labels, together = _groups(groups, term_names(names, shape[-1:]))
        number, counted = np.broadcast_to(together, shape).reshape(-1), "groups"
    coef = coef.reshape(len(strengths), -1)
    check_logarithmic("strengths", strengths)
    chosen_strengths = {label: float(strengths[index]) for label, index in (chosen or {}).items()}
    if len(chosen_strengths) > len(_CHOSEN):
        raise ValueError(
            f"expected at most {len(_CHOSEN)} chosen strengths, one a line style, got {len(chosen_strengths)}; choose fewer"
        )
    order = np.argsort(strengths, kind="stable")
    strengths, coef = strengths[order], coef[order]
    ax = axes(ax)
    sizes = np.zeros((len(labels), len(strengths)))  # the largest of each group
    np.maximum.at(sizes, number, np.abs(coef).T)
    largest = np.argsort(-sizes[:, 0])[:_NAMED].tolist()
    for column, own in enumerate(number.tolist()):
        style: dict[str, Any] = {"color": GREY, "lw": 0.7, "alpha": 0.6}
        if own in largest:
            place = largest.index(own)
            style = {"color": CYCLE[place % len(CYCLE)], "ls": ("-", "--")[place // len(CYCLE)]}
            if own not in number[:column]:
                style["label"] = labels[own]
        ax.plot(strengths, coef[:, column], **style, **lone_points(coef[:, column]))
    for name, bound, marker in (("lower", lower, "v"), ("upper", upper, "^")):
        if bound is not None:
            as_fitted = np.asarray(bound, np.result_type(coef.dtype, np.float32))
            at_bound = coef == np.broadcast_to(as_fitted, shape).reshape(-1)[None, :]
            point, column = np.nonzero(at_bound & (coef != 0))
            label = f"at the {name} bound" if len(point) else None
            ax.plot(strengths[point], coef[point, column], marker, color="black", ms=4, mfc="none", label=label)
    for (label, strength), ls in zip(chosen_strengths.items(), _CHOSEN, strict=False):
        ax.axvline(strength, color="black", lw=1, ls=ls, label=label)
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xscale="log", xlabel=strength_name, ylabel="coefficient (log-odds per unit of the column)")
    if np.any(sizes == 0):
        at = np.unique(np.linspace(0, len(strengths) - 1, _COUNTS).round().astype(int))
        counts = ax.secondary_xaxis("top")
        counts.set_xticks(strengths[at], labels=[str(count) for count in np.count_nonzero(sizes[:, at], axis=0)])
        counts.set_xticks([], minor=True)
        counts.set_xlabel(f"{counted} that are not 0")
    ax.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    return finish(ax)


def _groups(groups: Data, names: list[str]) -> tuple[list[str], NDArray]:
    """A label for each group, of the names of its columns, and the number of the group of each column."""
    number = checked_groups(groups, 1.0, len(names))
    assert number is not None  # they have a strength here
    own: dict[int, dict[str, None]] = {group: {} for group in np.unique(number).tolist()}
    for name, group in zip(names, number.tolist(), strict=True):
        own[group][name] = None
    listed = (list(few) for few in own.values())
    return [", ".join(few) if len(few) <= _LISTED else f"{few[0]} and {len(few) - 1} more" for few in listed], number
