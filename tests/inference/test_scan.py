"""Scans beside covariates that are constant, copied, far from 0, that separate the classes, or are too many."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest

import jaxlr
from jaxlr import Status
from tests.helpers import tolerance

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M = 200
C = RNG.standard_normal((M, 3))
COLUMNS = np.concatenate([RNG.binomial(2, 0.3, (2, M)), RNG.standard_normal((2, M)), np.zeros((1, M))])
Y = (C @ [0.5, -0.5, 0.3] + 0.8 * COLUMNS[2] + RNG.logistic(size=M) > 0) * 1.0
CASES = ((RNG.random(M) < 0.08) & (Y == 1)) * 1.0  # a batch with cases alone
CONTROLS = ((RNG.random(M) < 0.08) & (Y == 0)) * 1.0
COLUMNS[4, np.flatnonzero((Y == 1) & (CASES == 0))[:9]] = 1  # separates, beside whatever covariates
S = RNG.integers(0, 3, M).astype(float)
WITH, COPY = S > 0, C[:, 1]
COMBINATION = 2 * C[:, 0] - C[:, 2] + 1


def scan(columns=COLUMNS, y=Y, dtype=np.float64, covariates=C, **options):
    return jaxlr.association_scan(columns.astype(dtype), y, covariates=covariates, **options)


def assert_same(found, expected, dtype=np.float64):
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.firth, expected.firth)
    assert found.firth[4]
    # Sums over the rows in another basis; a likelihood ratio is a difference of values, each right to N eps.
    rtol, ratio = tolerance(dtype, 1e3), tolerance(dtype, 20 * M)
    for name in ("estimate", "standard_error"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=rtol)
    for one, other in ((found.score, expected.score), (found.wald, expected.wald)):
        np.testing.assert_allclose(one.statistic, other.statistic, rtol=rtol, atol=rtol)
    one, other = found.likelihood_ratio.statistic, expected.likelihood_ratio.statistic
    # Firth's is a profile, which is refined to the root of what a solver tells apart.
    np.testing.assert_allclose(one, other, rtol=tolerance(dtype, 1e5), atol=ratio)


@functools.cache
def plain(dtype, weighted):
    return scan(dtype=dtype, sample_weight=S if weighted else None)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize(
    ("weighted", "covariates"),
    [
        (False, np.column_stack([C, np.full(M, 3.0)])),
        (False, np.column_stack([COPY, C])),
        (False, np.column_stack([COMBINATION, C, np.zeros(M), C[:, 2] * 1000])),
        (True, np.column_stack([C, COPY, COMBINATION])),
        (True, np.column_stack([C, np.where(WITH, 1, 7.0)])),
        (True, np.column_stack([C, np.where(WITH, C[:, 0], 1e9)])),
    ],
    ids=["constant", "copy first", "combinations", "weights", "constant where weight is", "copy where weight is"],
)
def test_covariates_that_depend_change_nothing(weighted, covariates, dtype):
    found = scan(dtype=dtype, covariates=covariates, sample_weight=S if weighted else None)
    assert_same(found, plain(dtype, weighted), dtype)
    assert not found.left_out.any()


@pytest.mark.slow
def test_covariates_far_from_0_keep_their_digits():
    big = 1e8 + C[:, :1]
    near = np.column_stack([big - 1e8, C[:, 1:]])  # the same numbers
    found = scan(covariates=np.column_stack([big, C[:, 1:], big]))
    assert_same(found, scan(covariates=near))
    null = jaxlr.fit(near, Y)
    assert float(found.null.params.coef[0]) == pytest.approx(float(null.params.coef[0]), rel=1e-9)
    shifted = null.params.intercept - 1e8 * null.params.coef[0]
    assert float(found.null.params.intercept) == pytest.approx(float(shifted), rel=1e-9)


@pytest.mark.slow
def test_a_column_that_is_a_covariate_has_no_test_whatever_is_copied():
    columns = np.concatenate([COLUMNS, C.T[:2], COMBINATION[None], np.ones((1, M))])
    found = scan(columns, covariates=np.column_stack([C, COPY]))
    for values in (found.score.statistic, found.estimate, found.likelihood_ratio.statistic):
        assert np.isnan(np.asarray(values)[5:]).all()
        assert not np.isnan(np.asarray(values)[:5]).any()
    assert found.status[5:].tolist() == [Status.STALLED] * 4  # constant or a combination


@pytest.mark.slow
@pytest.mark.parametrize(
    ("covariates", "out", "named"),
    [
        (np.column_stack([C, CASES]), CASES, "covariate 3, which separates"),
        (pd.DataFrame({"a": C[:, 0], "u": CASES, "b": C[:, 1], "v": CONTROLS, "c": C[:, 2]}), CASES + CONTROLS, "'u', 'v'"),
        (np.column_stack([C, CASES * C[:, 0] ** 2 - CONTROLS]), CASES + CONTROLS, "covariate 3"),
    ],
    ids=["dummy", "names", "numbers"],
)
@pytest.mark.parametrize("weighted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_beside_covariates_that_separate_a_scan_is_that_of_the_other_rows(covariates, out, named, weighted):
    s, kept = (S if weighted else np.ones(M)), out == 0
    with pytest.warns(UserWarning, match=named):
        found = scan(covariates=covariates, sample_weight=s)
    assert_same(found, scan(COLUMNS[:, kept], Y[kept], covariates=C[kept], sample_weight=s[kept]))
    np.testing.assert_array_equal(found.left_out, (out > 0) & (s > 0))


@pytest.mark.slow
def test_rows_are_left_out_that_separate_only_behind_others():
    """Of a column that puts some rows on the wrong side, where another column has infinitely more to say about these."""
    behind = ((np.arange(M) % 9 == 0) & (Y == 1) & (CASES == 0)) * 1.0
    mixed = behind + 5 * CASES * np.sign(C[:, 0])
    assert jaxlr.separation(np.column_stack([C, mixed]), Y) == "none"
    kept = (CASES == 0) & (behind == 0)
    with pytest.warns(UserWarning, match="covariates 3, 4"):
        found = scan(covariates=np.column_stack([C, CASES, mixed]))
    np.testing.assert_array_equal(found.left_out, ~kept)
    assert_same(found, scan(COLUMNS[:, kept], Y[kept], covariates=C[kept]))


@pytest.mark.slow
def test_the_limit_is_that_of_large_coefficients():
    with pytest.warns(UserWarning, match="separates the classes in"):
        found = scan(covariates=np.column_stack([C, CASES]))
    assert_same(found, scan(offset=45 * CASES))  # exp(-45) is under eps


def test_covariates_that_separate_all_rows_are_named():
    with pytest.raises(ValueError, match=r"got covariate 'd', which separates the classes .* in 200 rows of 4 .*; drop it, or"):
        scan(covariates=pd.DataFrame(np.column_stack([C, 2 * Y + 1]), columns=list("abcd")))


@pytest.mark.slow
def test_too_few_rows_are_refused_with_both_numbers():
    few = WITH & (np.cumsum(WITH) <= 4)
    match = "got 4 rows and 5 parameters; leave covariates out, or penalize them"
    for call in (jaxlr.association_scan, jaxlr.fit_columns):
        with pytest.raises(ValueError, match=match):
            call(COLUMNS, Y, covariates=C, sample_weight=few)
        with pytest.raises(ValueError, match=match):
            call(COLUMNS[:, few], Y[few], covariates=C[few])
    assert jaxlr.fit_columns(COLUMNS[:, few], [0, 1, 0, 1], covariates=C[few], l2=0.1).converged.all()
    with pytest.raises(ValueError, match="expected both classes among the rows of positive weight, got only y = 1"):
        scan(sample_weight=Y)


@pytest.mark.slow
def test_copies_do_not_count_as_parameters():
    rows = np.flatnonzero(CASES == 0)[:30]
    copies = np.repeat(C[rows][:, :1], 40, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scan(COLUMNS[:4, rows], Y[rows], covariates=copies)
    expected = scan(COLUMNS[:4, rows], Y[rows], covariates=copies[:, :1])
    np.testing.assert_allclose(found.score.statistic, expected.score.statistic, rtol=1e-9)
    assert set(np.asarray(found.status)) <= {Status.CONVERGED, Status.SEPARATED}
    np.testing.assert_array_equal(found.status, expected.status)


@pytest.mark.slow
def test_shares_are_the_rows_they_stand_for():
    rng = np.random.default_rng(1)
    columns, trials = rng.binomial(2, 0.4, size=(3, 40)), rng.integers(2, 6, 40)
    successes = rng.binomial(trials, 0.4)
    one_each = np.repeat(np.arange(40), trials)
    labels = np.concatenate([np.arange(t) < s for t, s in zip(trials, successes, strict=True)]).astype(int)
    shares, rows = (
        jaxlr.association_scan(columns, successes / trials, sample_weight=trials),
        jaxlr.association_scan(columns[:, one_each], labels),
    )
    for name in ("score", "wald", "likelihood_ratio"):
        np.testing.assert_allclose(getattr(shares, name).statistic, getattr(rows, name).statistic, rtol=1e-7)  # of tol 1e-10
