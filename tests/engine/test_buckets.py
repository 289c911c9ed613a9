"""Buckets: few sizes, and the answers of the data as they are."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr import Params, Problem, Status, cross_validate, fit, fit_firth, inference
from jaxlr.engine import arguments, small
from jaxlr.engine.buckets import Size, bucket
from tests.helpers import count_compilations, quick

RNG = np.random.default_rng(0)
M, N = 60, 4
X = RNG.standard_normal((M, N)) * [1, 1e-3, 50, 1] + [0, 1e-2, 100, 0]
Y = (RNG.uniform(size=M) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)
LABELS = RNG.integers(0, 3, M)
S = RNG.integers(0, 3, M).astype(float)
EPS = np.finfo(np.float64).eps

sizes = st.builds(Size, st.integers(1, 100_000), st.integers(0, 2000))


@given(sizes, st.integers(1, 2000), st.sampled_from([1, 3, 10]), st.sampled_from(["m", "mn"]))
def test_a_bucket_is_no_smaller_and_costs_little(size, models, classes, axes):
    to = bucket(size, models, classes, axes)
    assert to.m >= size.m
    assert to.n >= size.n
    assert to.n == size.n or "n" in axes
    of_one = (to.m, to.n) in [(640, size.n), (640, 32), (2048, size.n), (2048, 40)]
    assert of_one or (to.m <= size.m * 1.25 + 1 and to.n < size.n + 8)
    assert (to.n > to.m) == (size.n > size.m)
    if to != size:
        assert models * to.m * (to.n + 1) * min(to.m, to.n + 1) * classes**2 <= 2**31
    assert bucket(to, models, classes, axes) == to


def test_small_problems_share_two_sizes_and_long_ones_keep_theirs():
    assert {bucket(Size(m, n), 1, 1, "mn") for m in (40, 80, 640) for n in (1, 3, 32)} == {Size(640, 32)}
    assert {bucket(Size(m, n), 1, 1, "mn") for m, n in ((641, 1), (80, 33), (2000, 40))} == {Size(2048, 40)}
    assert bucket(Size(455, 30), 100, 1, "mn") == bucket(Size(456, 30), 100, 1, "mn")
    assert bucket(Size(569, 30), 100_000, 1, "mn") == Size(569, 30)
    assert bucket(Size(60, 3), 8, 1, "mn").m < 80  # many small models take longer than one
    assert bucket(Size(10, 30), 1, 1, "mn") == Size(10, 30)  # wide


FIELDS = {
    "none": {"X": X, "y": Y},
    "ridge": {"X": X, "y": Y, "l2": np.array([1e-1, 1e-3])},
    "lasso": {"X": X, "y": Y, "l1": 0.02, "standardize": True},
    "everything": {
        "X": X, "y": np.stack([Y, 1 - Y]), "sample_weight": S, "offset": 0.1 * X[:, 3], "l2": 0.01,
        "penalty_factor": [1, 2, 1e-20, 0], "init": Params(np.ones(N) / 100, np.zeros(())),
    },
    "no intercept": {"X": X, "y": Y, "l2": 0.1, "fit_intercept": False},
    "conjugate gradients": {"X": X, "y": Y, "l2": 0.1, "solver": "newton_cg"},
    "designs": {"X": np.stack([X, X[::-1]]), "y": Y, "l2": 0.01},
    "classes": {"X": X, "y": LABELS, "num_classes": 3, "offset": np.outer(X[:, 3], [0, 1, -1]) / 10, "l2": 0.01},
    "lists": {"X": X.tolist(), "y": Y.astype(int).tolist(), "l2": 1, "penalty_factor": [1, 2, 0.5, 1]},
    "no columns": {"X": X[:, :0], "y": Y},
}  # fmt: skip


@pytest.mark.parametrize("name", quick(FIELDS, "none", "lists"))
def test_answers_are_those_of_the_data_alone(name, monkeypatch):
    """Neither filled up, nor measured on the host."""
    filled = jax.tree.map(np.asarray, fit(**FIELDS[name]))
    monkeypatch.setattr(arguments, "bucket", lambda size, *_: size)
    monkeypatch.setattr(small, "_MOST", -1)
    alone = jax.tree.map(np.asarray, fit(**FIELDS[name]))
    assert filled.solver == alone.solver
    assert filled.converged.all()
    assert np.array_equal(filled.num_steps, alone.num_steps)
    scale = np.append(X.std(0), 1)
    for got, expected in ((filled.params.coef, alone.params.coef), (filled.value[..., None], alone.value[..., None])):
        assert got.shape == expected.shape
        unit = scale[: got.shape[-1]] if got.shape[-1] > 1 else 1
        # Newton's last step leaves about the square of tol, conjugate gradients tol itself.
        tol = 1e-9 if alone.solver == "newton_cg" else 1e3 * EPS
        np.testing.assert_allclose(got * unit, expected * unit, rtol=0, atol=tol)
    assert np.array_equal(np.isinf(filled.gap), np.isinf(alone.gap))


@pytest.mark.slow
def test_ten_data_sets_of_ten_sizes_are_two_compilations():
    def call(m, n):
        design = RNG.standard_normal((m, n))
        return fit(design, np.arange(m) % 2)

    call(100, 5), call(1000, 5)
    for m, n in zip(np.linspace(80, 2000, 10).astype(int), np.linspace(3, 40, 10).astype(int), strict=True):
        got = []
        assert count_compilations(lambda m=m, n=n, got=got: got.append(call(m, n))) == 0
        assert got[0].params.coef.shape == (n,)


@pytest.mark.slow
def test_statistics_and_scores_are_filled_by_rows():
    def call(m):
        data = X[:m], Y[:m]
        found = fit(*data)
        scores = cross_validate(*data, l2=np.array([0.1, 1.0]), folds=np.stack([np.arange(m) % 2, (np.arange(m) + 1) % 2])).mean
        return inference.summary(found, Problem(*data)), scores

    call(41)
    assert count_compilations(lambda: call(43)) == 0


@pytest.mark.slow
def test_firth_is_filled_by_rows_alone():
    first, second = fit_firth(X[:41], Y[:41]), []
    assert count_compilations(lambda: second.append(fit_firth(X[:43], Y[:43]))) == 0
    assert first.converged
    assert second[0].params.coef.shape == (N,)


@pytest.mark.slow
def test_failures_keep_their_names():
    designs = np.stack([X, X, X])
    designs[1, 3, 2] = np.nan
    weights = np.stack([np.ones(M), np.ones(M), np.zeros(M)])
    got = fit(designs, Y, sample_weight=weights, l2=0.1)
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.NONFINITE, Status.INVALID]
    assert fit(X, X[:, 0] > 0).status == Status.SEPARATED


def test_known_data_inside_jit_are_fitted_there():
    alone = fit(X, Y, l2=0.1).params.coef
    for kind in (jax.jit, lambda f: lambda a: jax.lax.scan(lambda c, _: (c, f(c)), a, None, length=1)[1][0]):
        got = kind(lambda a: a * fit(X, Y, l2=0.1).params.coef)(np.ones(()))
        np.testing.assert_allclose(got * X.std(0), alone * X.std(0), rtol=0, atol=1e3 * EPS)


@pytest.mark.slow
def test_without_a_penalty_wide_fits_are_those_in_the_span_of_the_rows():
    wide, soft = RNG.standard_normal((10, 30)), RNG.uniform(0.2, 0.8, 10)
    got, traced = fit(wide, soft), jax.jit(fit)(wide, soft)
    np.testing.assert_allclose(got.params.coef, traced.params.coef, rtol=0, atol=1e4 * EPS)


def test_what_is_traced_is_not_filled():
    shapes = []
    jax.jit(lambda X, l2: shapes.append(fit(X, Y, l2=l2).params.coef.shape))(X, 0.1)
    text = str(jax.make_jaxpr(lambda X: fit(X, Y, l2=0.1).params.coef)(X))
    assert shapes == [(N,)]
    assert "640" not in text
