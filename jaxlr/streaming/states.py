"""One model between two passes: where it is, the step that led there, and what earlier steps say."""

from typing import Any, NamedTuple

import numpy as np

from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.secants import Pairs


class Trail(NamedTuple):
    """What steps of many columns leave behind.

    Attributes:
        g: gradient of the smooth part at the origin (*B, k).
        least: the lowest KKT residual so far; idle: passes since then.
        pairs: steps, and what the gradient changed by along them; None where Hessians are summed.
    """

    g: Any
    least: Any
    idle: Any
    pairs: Pairs | None


class State(NamedTuple):
    """One model between two passes, or with axes in front many.

    Attributes:
        x: parameters (*B, k) that the next pass sums at.
        origin: the last ones proved.
        d: direction from there; length: t, the share of it that leads to x.
        value, kkt, gap: at the origin.
        error, unresolved, decrement, inexact, old: of d, as of `jaxlr.solvers.descent.Direction`; own: of its Hessian
            (`jaxlr.streaming.directions.Found`).
        before: decrement of the point before, inf while it tells nothing; before_reach: R of its direction.
        steep_steps: consecutive steps that look like separation.
        slow: whether a chord's step did not halve the residual.
        status: `jaxlr.Status`, or RUNNING.
        num_steps: steps so far.
        trail: of many columns, else None.
    """

    x: Any
    origin: Any
    d: Any
    length: Any
    value: Any
    kkt: Any
    gap: Any
    error: Any
    unresolved: Any
    decrement: Any
    own: Any
    inexact: Any
    old: Any
    before: Any
    before_reach: Any
    steep_steps: Any
    slow: Any
    status: Any
    num_steps: Any
    trail: Trail | None = None


def start(x: np.ndarray, many_columns: bool) -> State:
    """Models (L, *B, k) that have not been summed yet."""
    L = len(x)
    number, flag, count = (lambda fill, dtype=dtype: np.full(L, fill, dtype) for dtype in (np.float64, bool, np.int32))
    nan, inf = number(np.nan), number(np.inf)
    return State(
        x=x,
        origin=x,
        d=np.zeros_like(x),
        length=number(1),
        value=nan,
        kkt=nan,
        gap=inf,
        error=nan,
        unresolved=nan,
        decrement=nan,
        own=number(1),
        inexact=flag(False),
        old=flag(False),
        before=inf,
        before_reach=number(0),
        steep_steps=count(0),
        slow=flag(False),
        status=count(RUNNING),
        num_steps=count(0),
        trail=Trail(np.zeros_like(x), inf, count(0), None) if many_columns else None,
    )
