"""How a fit looks in print and in a notebook: what became of the models, how far they converged, the coefficients of one.

The HTML has inline styles and no script; whatever came from the user is escaped. Colours are readable on light and dark pages.
"""

import html
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxlr.results.status import Status

_COLOURS = dict(zip(Status, ("#009e73", "#e69f00", "#cc79a7", "#d55e00", "#000000", "#7f7f7f", "#bdbdbd"), strict=True))
_MOST_CELLS = (24, 100)  # of the map; larger batches show the worst model of each cell
_MOST_TERMS = 20
_LISTED = 5  # failed models named one by one
_DECADES = (-16.0, -4.0)  # of the residuals, from the darkest to the palest green


def headline(fit: Any) -> str:
    """How many models there are, and how many converged: such as "3 models by newton, shape (3,): 2 converged"."""
    status = np.asarray(fit.status)
    shape = f", shape {status.shape}" if status.ndim else ""
    models = "1 model" if status.size == 1 else f"{status.size} models"
    return f"{models} by {fit.solver}{shape}: {np.sum(status == Status.CONVERGED)} converged"


def failures(status: Any, kkt: Any) -> dict[Status, str]:
    """What became of the models that did not converge, and what to do, a line by status."""
    status, kkt = np.asarray(status), np.asarray(kkt)
    lines = {}
    for cause in list(Status)[1:]:
        members = np.argwhere(status == cause)
        if not len(members):
            continue
        where = ""
        if status.ndim:
            named = ", ".join(str(tuple(map(int, member))) for member in members[:_LISTED])
            where = f" at {named}{', ...' if len(members) > _LISTED else ''}"
        residuals = kkt[status == cause]
        worst = f" (worst kkt {np.nanmax(residuals):.1e})" if not np.isnan(residuals).all() else ""
        lines[cause] = f"{len(members)} {cause.name}{where}{worst}: {cause.advice}"
    return lines


def evidence(fit: Any) -> list[str]:
    """Lines with the worst residual and bound of the models that converged, and the steps of all; none of an empty batch."""
    done = np.asarray(fit.status) == Status.CONVERGED
    lines = []
    if np.any(done):
        gap = np.max(np.asarray(fit.gap)[done])
        bound = f"worst duality gap {gap:.1e}" if np.isfinite(gap) else "no duality gap where something is not penalized"
        lines.append(f"converged: worst kkt {np.max(np.asarray(fit.kkt)[done]):.1e}, {bound}")
    steps = np.asarray(fit.num_steps)
    if not done.size:
        return []
    passes = getattr(fit, "num_passes", None)
    over = "" if passes is None else f", in {np.max(np.asarray(passes))} passes over the rows"
    return [*lines, f"steps: {steps.min()} to {steps.max()}{over}"]


def fit_as_html(fit: Any) -> str:
    """A card for one model or a batch."""
    status = np.asarray(fit.status)
    parts = [f"<b>{html.escape(headline(fit))}</b>", _bar(status)]
    for cause, line in failures(status, fit.kkt).items():
        parts.append(f'<div><span style="color:{_COLOURS[cause]}">&#9632;</span> {html.escape(line)}</div>')
    parts += [f"<div>{html.escape(line)}</div>" for line in evidence(fit)]
    if status.size:
        parts.append(_map(status, np.asarray(fit.kkt)) if status.ndim else _terms(fit))
    return f'<div style="font-family:sans-serif;font-size:90%;max-width:46em;line-height:1.5">{"".join(parts)}</div>'


def _bar(status: np.ndarray) -> str:
    """A band as wide as the page, cut in proportion."""
    counts = [(cause, int(np.sum(status == cause))) for cause in Status]
    pieces = (f'<div style="flex:{count};background:{_COLOURS[cause]}"></div>' for cause, count in counts if count)
    return f'<div style="display:flex;height:8px;margin:4px 0">{"".join(pieces)}</div>'


def _map(status: np.ndarray, kkt: np.ndarray) -> str:
    """A cell for each model, or for the worst of several: green by its residual, or in the colour of its failure."""
    rows = int(np.prod(status.shape[:-1], dtype=int))
    grid = np.where(np.isnan(kkt), np.inf, kkt).reshape(rows, -1), status.reshape(rows, -1)
    edges = [
        np.linspace(0, size, min(size, most) + 1).astype(int) for size, most in zip(grid[0].shape, _MOST_CELLS, strict=True)
    ]
    cells = []
    width = max(3, 400 // (len(edges[1]) - 1))
    for i, (top, bottom) in enumerate(zip(edges[0], edges[0][1:], strict=False)):
        for j, (left, right) in enumerate(zip(edges[1], edges[1][1:], strict=False)):
            residual, outcome = (part[top:bottom, left:right].ravel() for part in grid)
            worst = int(np.lexsort((residual, outcome != Status.CONVERGED))[-1])
            colour, name = _cell(float(residual[worst]), Status(int(outcome[worst])))
            first = tuple(map(int, np.unravel_index(top * grid[0].shape[1] + left, status.shape)))
            model = f"{first}" if residual.size == 1 else f"the worst from {first} on"
            title = f"{model}: {name}, kkt {residual[worst]:.1e}"
            cells.append(
                f'<rect x="{j * width}" y="{10 * i}" width="{width}" height="10" fill="{colour}"><title>{title}</title></rect>'
            )
    size = f'width="{width * (len(edges[1]) - 1)}" height="{10 * (len(edges[0]) - 1)}"'
    each = "each model" if status.size == len(cells) else "the worst model of each cell"
    rows_are = "" if status.ndim < 3 else "; a row for every index but the last"
    caption = f"kkt residual of {each}, from 1e-16 (dark) to 1e-4 (pale); other colours failed{rows_are}"
    return f'<svg {size} style="display:block;margin:6px 0">{"".join(cells)}</svg><div style="opacity:.7">{caption}</div>'


def _cell(residual: float, outcome: Status) -> tuple[str, str]:
    if outcome != Status.CONVERGED:
        return _COLOURS[outcome], outcome.name
    low, high = _DECADES
    pale = np.clip((np.log10(max(residual, 10**low)) - low) / (high - low), 0, 1)
    return f"hsl(164,{70 - 30 * pale:.0f}%,{25 + 50 * pale:.0f}%)", outcome.name


def _terms(fit: Any) -> str:
    """The coefficients of one model, the largest first, each with a bar."""
    coef, intercepts = np.asarray(fit.params.coef), np.ravel(fit.params.intercept)
    names = [f"x{column}" for column in range(coef.shape[-1])] if fit.names is None else fit.names
    of_class = [f" [{k}]" for k in range(len(coef))] if coef.ndim > 1 else [""]
    names, coef = [f"{name}{k}" for k in of_class for name in names], coef.ravel()
    order = np.argsort(-np.abs(np.nan_to_num(coef)), kind="stable")[:_MOST_TERMS]
    largest = float(np.max(np.abs(coef), initial=0, where=np.isfinite(coef))) or 1.0
    lines = [
        f"<tr><td>(intercept){k}</td><td style='text-align:right'>{float(intercept):.5g}</td><td></td></tr>"
        for k, intercept in zip(of_class, intercepts, strict=True)
    ]
    for j in order:
        length = 0 if not np.isfinite(coef[j]) else abs(float(coef[j])) / largest * 100
        side = "left:50%" if coef[j] > 0 else "right:50%"
        colour = "#0072b2" if coef[j] > 0 else "#d55e00"
        bar = (
            '<div style="position:relative;width:12em;height:.8em">'
            f'<div style="position:absolute;{side};width:{length / 2:.1f}%;height:100%;background:{colour}"></div></div>'
        )
        name, value = html.escape(str(names[j])), f"{float(coef[j]):.5g}"
        lines.append(f"<tr><td>{name}</td><td style='text-align:right'>{value}</td><td>{bar}</td></tr>")
    more = f"<div>and {len(coef) - len(order):,} smaller ones</div>" if len(coef) > len(order) else ""
    head = "<tr><th style='text-align:left'>column</th><th>coefficient</th><th></th></tr>"
    return f"<table>{head}{''.join(lines)}</table>{more}"


def data_frame(
    columns: Mapping[str, np.ndarray], shape: tuple[int, ...], level: str, inner: Mapping[str, Sequence[Any]] | None = None
) -> Any:
    """A pandas DataFrame of arrays that share their leading axes, a row for each member of the batch; () is one row.

    Args:
        columns: by name, each of the shape, and of one more axis for each of `inner`.
        level: name of the index: "model", numbered by axis where there are several.
        inner: labels of the axes behind, which become the innermost levels, by their names.

    Raises:
        ImportError: pandas is not installed.
    """
    pd = importlib.import_module("pandas")
    inner = {} if inner is None else inner
    levels: list[Any] = [range(size) for size in shape] + list(inner.values())
    labels = [f"{level}_{axis}" if len(shape) > 1 else level for axis in range(len(shape))] + list(inner)
    index = None
    if len(levels) == 1:
        index = pd.Index(levels[0], name=labels[0])
    elif levels:
        index = pd.MultiIndex.from_product(levels, names=labels)
    return pd.DataFrame({name: np.asarray(column).reshape(-1) for name, column in columns.items()}, index=index)
