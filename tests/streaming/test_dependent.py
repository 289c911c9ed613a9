"""Columns without a penalty that depend on those before them are left out of a stream, as `fit` leaves them out."""

import warnings

import jax
import numpy as np
import pandas as pd
import pytest

from jaxlr import fit, fit_stream, kkt_residual
from jaxlr.model.problem import Problem
from jaxlr.streaming import from_arrays, from_tables, run
from jaxlr.streaming.resamples import Resamples, resample_weights
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

M, KEY = 3000, jax.random.key(1)
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(M, 3)) * [1, 5, 0.1] + [0, 20, 3]
LEVEL = RNG.integers(4, size=M)
# A level a column, so that all sum to 1, and a combination of numbers.
X = np.c_[NUMBERS, np.eye(4)[LEVEL], NUMBERS[:, 0] - 2 * NUMBERS[:, 2] + 3]
Y = (RNG.uniform(size=M) < 1 / (1 + np.exp(0.3 * (LEVEL == 2) - NUMBERS[:, 0]))).astype(int)
NAMES = ["a", "b", "c", *"uvwx", "d"]
CASES = {
    "no penalty": ({}, [6, 7]),
    "no intercept": ({"fit_intercept": False}, [7]),
    "some penalized": ({"l2": 1e-3, "penalty_factor": np.r_[np.ones(3), np.zeros(5)]}, [6]),
    "folds": ({"folds": 3, "key": KEY}, [6, 7]),
    "one is held at 0": ({"penalty_factor": np.r_[np.inf, np.zeros(7)]}, [6]),  # and with it the last one is no combination
}


@pytest.fixture(autouse=True)
def few_sampled(monkeypatch):
    """So that steps have to be taken."""
    monkeypatch.setattr(run, "_SAMPLE", 512)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize("name", quick(CASES, "no penalty"))
def test_they_are_named_and_the_others_are_those_of_all_rows(name, dtype):
    arguments, left_out = CASES[name]
    narrow = X.astype(dtype)
    which = f"the columns? {', '.join(map(str, left_out))} (is|are) in the span of those before"
    with pytest.warns(UserWarning, match=which):
        found = fit_stream(from_arrays(narrow, Y, rows=700), **arguments)
    if "folds" in arguments:
        arguments = {"sample_weight": np.asarray(resample_weights(KEY, np.arange(M, dtype=np.uint64), Resamples(folds=3)))}
    wanted = fit(narrow, Y, **arguments)
    assert found.converged.all() and wanted.converged.all()  # noqa: PT018
    assert np.all(np.asarray(found.params.coef)[..., left_out] == 0)
    assert np.asarray(found.params.coef).shape == np.asarray(wanted.params.coef).shape
    # Steps have squared an error under tol once more, and float32 knows the coefficients to few eps over curvatures of 1e-2.
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-10 if dtype == np.float64 else 1e-5)
    if np.ndim(found.kkt) == 0:  # of all columns, those that were left out too
        given = {key: value for key, value in arguments.items() if key in ("l2", "penalty_factor", "fit_intercept")}
        exact = kkt_residual(found.params, Problem(narrow.astype(np.float64), Y.astype(np.float64), **({"l2": 0.0} | given)))
        assert float(exact) <= float(found.kkt) + 1e-15


@pytest.mark.slow
def test_a_relation_that_one_row_breaks_is_none():
    """The sampled rows have it, and a pass over all shows that it does not hold."""
    broken = X[:, [0, 1, 2, 7]].copy()
    broken[2777, 3] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_stream(from_arrays(broken, Y, rows=700))
    assert np.all(np.asarray(found.params.coef) != 0)


def test_a_relation_that_one_row_all_but_breaks_is_refused():
    broken = X[:, [0, 1, 2, 7]].copy()
    broken[2777, 3] += 1e-4  # of its variance a share of 3e-12
    with pytest.raises(ValueError, match="got column 3 in the span of those before it, as far as sums can tell"):
        fit_stream(from_arrays(broken, Y, rows=700))


@pytest.mark.slow
def test_where_only_some_models_leave_them_without_a_penalty_they_are_refused():
    with pytest.raises(ValueError, match="got column 6 in the span of those before it"):
        fit_stream(from_arrays(X, Y, rows=700), l2=np.array([0.0, 1e-3]))


@pytest.mark.slow
def test_a_kill_between_passes_leaves_the_answer_as_it_is(tmp_path):
    table, path = pd.DataFrame(X, columns=NAMES).assign(ill=Y), tmp_path / "half.npz"
    count = 0

    def tables():
        nonlocal count
        count += 1
        if count == 4:
            raise RuntimeError("gone")
        for start in range(0, M, 700):
            yield table[start : start + 700]

    with pytest.warns(UserWarning, match="the columns x, d are in the span of those before"):
        wanted = fit_stream(from_tables(lambda: [table], "ill"))
    count = 0
    with pytest.raises(RuntimeError, match="gone"), pytest.warns(UserWarning, match="columns x, d"):
        fit_stream(from_tables(tables, "ill"), checkpoint=path)
    found = fit_stream(from_tables(tables, "ill"), checkpoint=path)
    assert found.names == tuple(NAMES)
    assert np.array_equal(found.params.coef, wanted.params.coef)
    assert np.array_equal(found.num_passes, wanted.num_passes)
