"""Hypothesis strategies for one problem and its parameters: few shapes, so that few programs are compiled; tame magnitudes.

Numbers are multiples of 1/64 of at most 4 in size, strengths and units powers of 2, so that float32 holds them too. What is
hard is there on request: classes that can be separated, columns that depend on others, weights with zeros, columns in units
from 2^-20 to 2^20 and far from the origin.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxlr.model.params import Params
from jaxlr.model.problem import Problem

SHAPES = ((5, 1), (8, 3))
LARGEST = 4.0

Draw = Callable[..., Any]  # Hypothesis's own protocol cannot be checked at run time


@functools.cache
def numbers(low: float | int = -LARGEST, high: float | int = LARGEST) -> st.SearchStrategy[float]:
    """Multiples of 1/64 between low and high."""
    return st.integers(round(64 * low), round(64 * high)).map(lambda k: k / 64)


@functools.cache
def arrays(shape: tuple, low: float | int = -LARGEST, high: float | int = LARGEST) -> st.SearchStrategy[np.ndarray]:
    """Arrays of such numbers."""
    return hnp.arrays(np.int64, shape, elements=st.integers(round(64 * low), round(64 * high))).map(lambda k: k / 64)


@functools.cache
@st.composite
def designs(draw: Draw, m: int, n: int, *, collinear: bool | None = None, badly_scaled: bool = False) -> np.ndarray:
    """Designs X (m, n), float64.

    Args:
        draw: given by Hypothesis.
        m: rows.
        n: columns, >= 1.
        collinear: True makes the last column constant, zero, a copy of the first or the sum of all others (a single column
            stays free as its own copy); False draws it as the others; None either.
        badly_scaled: every column in a unit of its own, from 2^-20 to 2^20, and 0 or 1,024 such units from the origin.

    Returns:
        A strategy.

    Example:
        >>> designs(5, 2, badly_scaled=True).filter(lambda X: X.shape == (5, 2))  # doctest: +ELLIPSIS
        designs(...
    """
    X = draw(arrays((m, n)))
    dependent = ["constant", "zero", "repeated", "sum"]
    kind = draw(st.sampled_from({None: ["free"] * 3 + dependent, True: dependent, False: ["free"]}[collinear]))
    if kind == "constant":
        X[:, -1] = draw(numbers(0.25, LARGEST))
    elif kind == "zero":
        X[:, -1] = 0
    elif kind == "repeated":
        X[:, -1] = X[:, 0]
    elif kind == "sum":
        X[:, -1] = X[:, :-1].sum(axis=1)
    if badly_scaled:
        far = draw(hnp.arrays(np.int64, (n,), elements=st.sampled_from([0, 1024])))
        X = (X + far) * 2.0 ** draw(hnp.arrays(np.int64, (n,), elements=st.integers(-20, 20)))
    return X


@functools.cache
def labels(m: int, *, soft: bool | None = None) -> st.SearchStrategy[np.ndarray]:
    """Labels (m,) as floats, both classes among them.

    Args:
        m: rows.
        soft: False draws 0 and 1, True also what is between; None either.

    Returns:
        A strategy.

    Example:
        >>> labels(3, soft=False).filter(lambda y: y.sum() > 0)  # doctest: +ELLIPSIS
        arrays(...
    """
    hard = hnp.arrays(np.float64, (m,), elements=st.sampled_from([0.0, 1.0]))
    mixed = hnp.arrays(np.float64, (m,), elements=st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]))
    chosen = {None: hard | mixed, False: hard, True: mixed}[soft]
    return chosen.filter(lambda y: 0 < y.sum() < m)


@st.composite
def problems(
    draw: Draw,
    *,
    shapes: Sequence = SHAPES,
    l1: st.SearchStrategy[float] | None = None,
    l2: st.SearchStrategy[float] | None = None,
    fit_intercept: bool | None = None,
    weighted: bool | None = None,
    penalized: bool = False,
    soft: bool | None = None,
    separated: bool = False,
    collinear: bool | None = None,
    badly_scaled: bool = False,
) -> Problem:
    """One float64 `jaxlr.Problem` of two classes, both of which have weight.

    Args:
        draw: given by Hypothesis.
        shapes: (m, n) to draw from; each compiles programs of its own.
        l1: strengths to draw from; None draws 0 or a number.
        l2: likewise.
        fit_intercept: None draws it.
        weighted: True gives weights (zeros among them, but not of separated classes), offset and penalty factors; False none of
            them; None either.
        penalized: every penalty factor is > 0.
        soft: whether labels may lie between 0 and 1; None draws it.
        separated: True labels the rows by the side of a threshold of the first column, on which other rows may lie with
            either label: without a penalty no estimate exists. Otherwise labels are as they come.
        collinear: of the design, see `designs`.
        badly_scaled: likewise.

    Returns:
        A strategy.

    Raises:
        ValueError: separated and soft labels are asked for together.

    Example:
        >>> import jax
        >>> from hypothesis import given, settings
        >>> from jaxlr import fit
        >>> @settings(max_examples=5, database=None, deadline=None)
        ... @given(problems(shapes=[(8, 2)], separated=True, weighted=False, fit_intercept=True))
        ... def never_converges(problem):
        ...     assert not bool(fit(problem.X, problem.y).converged)
        >>> never_converges()
    """
    if separated and soft:
        raise ValueError("expected hard labels of separated classes, got soft=True; leave soft or separated away")
    strengths = st.sampled_from([0.0, 0.0, 2.0**-7, 0.125, 1.0])
    m, n = draw(st.sampled_from(list(shapes)))
    X = draw(designs(m, n, collinear=collinear, badly_scaled=badly_scaled))
    fit_intercept = bool(draw(st.booleans())) if fit_intercept is None else fit_intercept
    if separated:
        X, y = _separated(draw, X, fit_intercept)
    else:
        y = draw(labels(m, soft=soft))
    optional = {}
    if draw(st.booleans()) if weighted is None else weighted:
        s = draw(arrays((m,), 0, LARGEST))
        s[... if separated else [np.argmax(y), np.argmin(y)]] += 0.5
        factor = draw(arrays((n,), 0.25 if penalized else 0, 2))
        optional = {"sample_weight": s, "offset": draw(arrays((m,))), "penalty_factor": factor}
    return Problem(
        X,
        y,
        l1=np.float64(draw(strengths if l1 is None else l1)),
        l2=np.float64(draw(strengths if l2 is None else l2)),
        fit_intercept=fit_intercept,
        **optional,
    )


def _separated(draw: Draw, X: np.ndarray, fit_intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """X, without an intercept some rows turned round, and labels that the first column tells: whether it is over its median,
    without an intercept over 0. Rows on the threshold have either label."""
    m = len(X)
    if not fit_intercept:
        X = np.where(np.arange(m) % 2, -1.0, 1.0)[:, None] * X
    margin = X[:, 0] - (np.sort(X[:, 0])[m // 2] if fit_intercept else 0.0)
    either = draw(hnp.arrays(np.float64, (m,), elements=st.sampled_from([0.0, 1.0])))
    y = np.where(margin > 0, 1.0, np.where(margin < 0, 0.0, either))
    assume(np.any(margin != 0) and y.min() < y.max())
    return X, y


@st.composite
def params_of(draw: Draw, problem: Problem) -> Params:
    """Parameters of the problem's width, of at most 4 in size, at times with every coefficient 0.

    Args:
        draw: given by Hypothesis.
        problem: of two classes.

    Returns:
        A strategy.

    Example:
        >>> from hypothesis import given, settings
        >>> from jaxlr import loss
        >>> problem = Problem(np.eye(3), np.array([0.0, 1, 1]))
        >>> @settings(max_examples=5, database=None, deadline=None)
        ... @given(params_of(problem))
        ... def never_negative(params):
        ...     assert loss(params, problem) >= 0
        >>> never_negative()
    """
    coef = draw(arrays((problem.X.shape[1],))) * draw(st.sampled_from([1.0, 1.0, 0.0]))
    return Params(coef, np.float64(draw(numbers())))


@st.composite
def problems_with_params(draw: Draw, **kwargs) -> tuple[Problem, Params]:
    """A problem and parameters for it.

    Args:
        draw: given by Hypothesis.
        **kwargs: of `problems`.

    Returns:
        A strategy.

    Example:
        >>> problems_with_params(soft=False).map(lambda case: case[0].y)  # doctest: +ELLIPSIS
        problems_with_params(...
    """
    problem = draw(problems(**kwargs))
    return problem, draw(params_of(problem))
