"""Figures of estimates and tests: a forest of intervals, a Manhattan plot and a QQ plot of a scan."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from jaxlr.inference.delta import Effects
from jaxlr.inference.wald import Intervals, Wald
from jaxlr.inputs.checks import Data
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.plots.style import CYCLE, GREY, axes, finish, term_names

_SHADE = 0.18
_HALF_CHI_SQUARE = 0.4549364231195724  # median of a chi-square distribution with 1 df


def forest(
    intervals: Mapping[str, Intervals | Wald | Effects],
    names: Sequence[str],
    *,
    none: float = 0.0,
    value_name: str = "coefficient (log-odds)",
    ax: Axes | None = None,
) -> Axes:
    """Estimates and intervals, a row for each term, one mark for each method.

    Of K classes a term is a column and a class, "name [k]", class by class; a base, which has no intervals, has no rows.

    Args:
        intervals: by method, of one model with n columns, as functions of `jaxlr.inference` return them: their ends are Params
            or, all of them, SoftmaxParams; or Effects (n,), of K classes (K, n), a single one () under one name.
        names: n names of the columns.
        none: the value of no effect, marked by a line: 0 for coefficients, 1 for odds ratios (drawn on a log axis).
        value_name: of the horizontal axis.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        TypeError: intervals are no mapping, or it has something else, such as a fit.
        ValueError: shapes do not fit, methods are of different models, or they have different bases.

    Example:
        >>> from jaxlr import Params
        >>> ends = [Params(np.array(coef), np.array(0.0)) for coef in ([0.5, -1.0], [0.1, -1.5], [0.9, -0.5])]
        >>> forest({"Wald": Intervals(*ends)}, ["a", "b"]).get_xlabel()
        'coefficient (log-odds)'
    """
    kinds = (Intervals, Wald, Effects)
    if not isinstance(intervals, Mapping) or not all(isinstance(each, kinds) for each in intervals.values()):
        got = type(intervals).__name__
        raise TypeError(f'expected intervals by method, got {got}; pass such as {{"Wald": jaxlr.inference.wald(fit, problem)}}')
    parts, names = _rows_of_forest(intervals, names, none)
    terms = len(names)
    ax = axes(ax)
    for i, (method, (estimate, lower, upper)) in enumerate(parts.items()):
        place = np.arange(terms) + _SHADE * (i - (len(parts) - 1) / 2)
        colour = CYCLE[i % len(CYCLE)]
        ax.hlines(place, lower, upper, color=colour, lw=1.4)
        ax.plot(np.append(lower, upper), np.tile(place, 2), "|", color=colour, ms=5)
        ax.plot(estimate, place, "osD^v"[i % 5], color=colour, ms=4, label=method)
    ax.axvline(none, color="black", lw=0.8)
    ax.set(xlabel=value_name, ylabel="term", xscale="log" if none > 0 else "linear", ylim=(terms - 0.5, -0.5))
    ax.set_yticks(range(terms), labels=list(names))
    return finish(ax, legend=True)


def manhattan(
    log_p: Data,
    *,
    groups: Data | None = None,
    threshold: float = 5e-8,
    marked: Data | None = None,
    ax: Axes | None = None,
) -> Axes:
    """-log10 p of every column of a scan, in their order.

    Args:
        log_p: natural logarithms of p-values (k,); NaN is left out.
        groups: (k,), such as chromosomes, told apart by colour; None is one.
        threshold: p-value of significance, marked by a line.
        marked: booleans (k,), columns with a ring, such as those of Firth's estimates; None is none.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: shapes do not fit.

    Example:
        >>> manhattan(np.log([0.5, 1e-9, 0.1]), groups=[1, 1, 2]).get_ylabel()
        '-log10 p'
    """
    log_p = np.asarray(log_p, float)
    heights = -log_p / np.log(10)
    groups = np.zeros(heights.shape, int) if groups is None else np.asarray(groups)
    marked = np.zeros(heights.shape, bool) if marked is None else np.asarray(marked, bool)
    _check_logarithms(log_p)
    if heights.ndim != 1 or groups.shape != heights.shape or marked.shape != heights.shape:
        raise ValueError(
            f"expected log_p, groups and marked (k,), got {heights.shape}, {groups.shape} and {marked.shape}; one for each test"
        )
    ax = axes(ax)
    place = np.arange(len(heights))
    names = list(dict.fromkeys(groups.tolist()))
    for i, name in enumerate(names):
        own = groups == name
        ax.plot(place[own], heights[own], ".", color=(CYCLE[0], GREY)[i % 2], ms=3, rasterized=True)
    if np.any(marked):
        ax.plot(place[marked], heights[marked], "o", mfc="none", color=CYCLE[1], ms=6, label="Firth's estimate")
    ax.axhline(-np.log10(threshold), color="black", lw=0.8, ls="--", label=f"p = {threshold:.0e}")
    if len(names) > 1:
        ax.set_xticks([place[groups == name].mean() for name in names], labels=[str(name) for name in names])
    ax.set(xlabel="column" if len(names) == 1 else "group", ylabel="-log10 p", ylim=(0, None))
    return finish(ax, legend=True)


def qq(log_p: Data, *, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Observed against expected -log10 p of a scan, with lambda_GC: the median statistic over that of a chi-square with 1 df.

    Args:
        log_p: natural logarithms of p-values (k,) of tests with 1 df; NaN is left out.
        label: of the points; None names them by lambda_GC alone.
        ax: where to draw; None makes a figure.

    Returns:
        Axes.

    Raises:
        ValueError: no number is left.

    Example:
        >>> qq(np.log(np.linspace(0.01, 0.99, 99))).get_legend().get_texts()[0].get_text()
        'lambda_GC = 1.00'

    References:
        Devlin & Roeder 1999, Biometrics 55 (genomic control).
    """
    log_p = np.asarray(log_p, float)
    _check_logarithms(log_p)
    log_p = np.sort(log_p[~np.isnan(log_p)])
    k = len(log_p)
    if k == 0:
        raise ValueError("expected logarithms of p-values, got none that is a number; look at the status of the fits")
    from scipy.special import betaincinv, ndtri_exp

    ax = axes(ax)
    inflation = ndtri_exp(np.median(log_p) - np.log(2)) ** 2 / _HALF_CHI_SQUARE
    rank = np.arange(1, k + 1)
    expected = -np.log10((rank - 0.5) / k)
    band = [-np.log10(betaincinv(rank, k + 1 - rank, q)) for q in (0.025, 0.975)]
    ax.fill_between(expected, band[1], band[0], color=GREY, alpha=0.25, lw=0)
    ax.plot(expected, expected, color="black", lw=0.8)
    name = f"lambda_GC = {inflation:.2f}" if label is None else f"{label}: lambda_GC = {inflation:.2f}"
    ax.plot(expected, -log_p / np.log(10), ".", ms=3, rasterized=True, label=name)
    ax.set(xlabel="expected -log10 p (band: 95 %)", ylabel="observed -log10 p")
    return finish(ax, legend=True)


def _check_logarithms(log_p: np.ndarray) -> None:
    if np.any(bad := (log_p > 0) | np.isinf(log_p)):
        raise ValueError(
            f"expected natural logarithms of p-values, finite and <= 0, got {log_p[bad][0]:.3g}; pass log_p of jaxlr.inference"
        )


def _rows_of_forest(
    intervals: Mapping[str, Intervals | Wald | Effects], names: Sequence[str], none: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """By method estimates, lower and upper ends (3, rows), and the names of the rows."""
    parts: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] | None = None
    for method, found in intervals.items():
        ends = [end if isinstance(found, Effects) else end.coef for end in (found.estimate, found.lower, found.upper)]
        ends = [np.reshape(end, 1) if np.ndim(end) == 0 else end for end in ends]
        classes = np.shape(ends[0])[:-1][:1] if isinstance(found, Effects) else likelihood_of_params(found.estimate).classes
        own = (*classes, len(names))
        if any(np.shape(end) != own for end in ends):
            of = f"{len(names)} columns" if len(own) == 1 else f"{own[0]} classes and {len(names)} columns"
            raise ValueError(
                f"expected intervals of one model of {of} for {method!r}, got shape {np.shape(ends[0])}; draw them one by one"
            )
        if shape not in (None, own):
            raise ValueError(
                f"expected intervals of models of the same classes, got coef {shape} and {own} for {method!r}; draw them one "
                "by one"
            )
        shape = own
        parts[method] = np.stack([np.asarray(end, float) for end in ends])
    if shape is None or len(shape) == 1:
        return parts, list(names)
    known = [np.all(np.isnan(part) | (part == 0) | (part == none), axis=(0, 2)) for part in parts.values()]
    bases = {
        tuple(np.flatnonzero(each).tolist()) for each in known if not np.all(each)
    }  # a model that failed is NaN throughout
    if len(bases) > 1:
        raise ValueError(
            f"expected intervals against the same base, got the bases {sorted(bases)}, one a method; choose one base"
        )
    kept = [k for k in range(shape[0]) if k not in next(iter(bases), ())]
    rows = np.reshape(term_names(names, shape), shape)[kept].ravel().tolist()
    return {method: part[:, kept].reshape(3, -1) for method, part in parts.items()}, rows
