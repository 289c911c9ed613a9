"""Hypothesis strategies for one Problem and its Params: few shapes, so that few programs are compiled; tame magnitudes.

Numbers are multiples of 1/64 of at most 4 in size and strengths powers of 2, so that float32 holds them too.
"""

import functools

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxlr import Params, Problem

SHAPES = [(5, 1), (8, 3)]
LARGEST = 4


@functools.cache
def numbers(low: float = -LARGEST, high: float = LARGEST) -> st.SearchStrategy[float]:
    """Multiples of 1/64 between low and high."""
    return st.integers(round(64 * low), round(64 * high)).map(lambda k: k / 64)


@functools.cache
def arrays(shape: tuple[int, ...], low: float = -LARGEST, high: float = LARGEST) -> st.SearchStrategy[np.ndarray]:
    """Arrays of such numbers."""
    return hnp.arrays(np.int64, shape, elements=st.integers(round(64 * low), round(64 * high))).map(lambda k: k / 64)


@functools.cache
@st.composite
def designs(draw: st.DrawFn, m: int, n: int) -> np.ndarray:
    """X (m, n), at times with a constant, a zero or a repeated last column."""
    X = draw(arrays((m, n)))
    kind = draw(st.sampled_from(["free", "free", "constant", "zero", "repeated"]))
    if kind == "constant":
        X[:, -1] = draw(numbers(0.25, LARGEST))
    elif kind == "zero":
        X[:, -1] = 0
    elif kind == "repeated":
        X[:, -1] = X[:, 0]
    return X


@functools.cache
def labels(m: int, *, soft: bool | None = None) -> st.SearchStrategy[np.ndarray]:
    """Labels (m,) as floats with both classes: hard, soft, or either (None)."""
    hard = hnp.arrays(np.float64, (m,), elements=st.sampled_from([0.0, 1.0]))
    mixed = hnp.arrays(np.float64, (m,), elements=st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]))
    chosen = {None: hard | mixed, False: hard, True: mixed}[soft]
    return chosen.filter(lambda y: 0 < y.sum() < m)


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    l1: st.SearchStrategy[float] | None = None,
    l2: st.SearchStrategy[float] | None = None,
    fit_intercept: bool | None = None,
    full: bool | None = None,
    penalized: bool = False,
    soft: bool | None = None,
) -> Problem:
    """One float64 problem; both classes have weight.

    Args:
        draw: given by Hypothesis.
        l1: strengths to draw from; None draws 0 or a number.
        l2: likewise.
        fit_intercept: None draws it.
        full: True gives weights (zeros among them), offset and penalty factors; False none of them; None either.
        penalized: every penalty factor is > 0.
        soft: whether labels may lie between 0 and 1; None draws it.
    """
    strengths = st.sampled_from([0.0, 0.0, 2.0**-7, 0.125, 1.0])
    m, n = draw(st.sampled_from(SHAPES))
    X, y = draw(designs(m, n)), draw(labels(m, soft=soft))
    optional = {}
    if draw(st.booleans()) if full is None else full:
        s = draw(arrays((m,), 0, LARGEST))
        s[[np.argmax(y), np.argmin(y)]] += 0.5
        factor = draw(arrays((n,), 0.25 if penalized else 0, 2))
        optional = {"sample_weight": s, "offset": draw(arrays((m,))), "penalty_factor": factor}
    return Problem(
        X,
        y,
        l1=np.float64(draw(strengths if l1 is None else l1)),
        l2=np.float64(draw(strengths if l2 is None else l2)),
        fit_intercept=draw(st.booleans()) if fit_intercept is None else fit_intercept,
        **optional,
    )


@st.composite
def params_for(draw: st.DrawFn, problem: Problem) -> Params:
    """Parameters of the problem's width, zeros among the coefficients."""
    coef = draw(arrays((problem.X.shape[1],))) * draw(st.sampled_from([1.0, 1.0, 0.0]))
    return Params(coef, np.float64(draw(numbers())))


@st.composite
def problems_with_params(draw: st.DrawFn, **kwargs) -> tuple[Problem, Params]:
    """A problem and parameters for it."""
    problem = draw(problems(**kwargs))
    return problem, draw(params_for(problem))
