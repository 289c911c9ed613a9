"""Measures of fit: groups as R and statsmodels have them, pseudo R-squared, and Hosmer and Lemeshow's test."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pandas as pd
import pytest

import jaxlr
from jaxlr import Problem, inference
from jaxlr.inference.binomial import kullback_leibler, log_saturated
from jaxlr.inference.tails import chi_square_test
from tests.helpers import known_fit, tolerance

pytestmark = pytest.mark.usefixtures("x64")

EPS = float(np.finfo(float).eps)
RNG = np.random.default_rng(0)
M = 30
X = RNG.standard_normal((M, 2))
TRIALS = RNG.integers(1, 60, M)
SUCCESSES = RNG.binomial(TRIALS, 1 / (1 + np.exp(-X @ [1.0, -0.5])))
SUCCESSES[:2] = 0, TRIALS[1]  # the ends, whose largest probability is 1
SHARES = SUCCESSES / TRIALS


def grouped():
    return jaxlr.fit(X, SHARES, sample_weight=TRIALS), Problem(X, SHARES, TRIALS)


def single(X, successes, trials):
    """The rows of every trial."""
    y = np.concatenate([np.repeat([1, 0], [s, n - s]) for s, n in zip(successes, trials, strict=True)])
    return np.repeat(X, trials, axis=0), y


def test_two_groups_with_a_parameter_each_have_the_likelihood_of_their_shares_and_count_as_two():
    successes, trials = np.array([3, 6]), np.array([12, 8])
    y, odds = successes / trials, successes / (trials - successes)
    fit, problem = known_fit([np.log(odds[1] / odds[0])], np.log(odds[0])), Problem(np.array([[0.0], [1.0]]), y, trials)
    found = inference.goodness_of_fit(fit, problem, trials=trials)
    likelihood = math.prod(
        math.comb(n, k) * (k / n) ** k * (1 - k / n) ** (n - k) for k, n in zip(successes, trials, strict=True)
    )
    assert float(found.log_likelihood) == pytest.approx(math.log(likelihood), rel=64 * EPS)
    assert float(found.bic) == pytest.approx(2 * math.log(2) - 2 * math.log(likelihood), rel=64 * EPS)
    assert float(found.df_residual) == 0


@pytest.mark.slow
def test_groups_are_those_of_statsmodels():
    import statsmodels.api as sm

    found = inference.goodness_of_fit(*grouped(), trials=TRIALS)
    both = np.column_stack([SUCCESSES, TRIALS - SUCCESSES])
    peer = sm.GLM(both, sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-14)
    expected = {
        "log_likelihood": peer.llf, "null_log_likelihood": peer.llnull, "deviance": peer.deviance, "df_residual": peer.df_resid,
        "null_deviance": peer.null_deviance, "aic": peer.aic, "bic": peer.bic_llf,
    }  # fmt: skip
    for name, value in expected.items():  # sums of 30 terms, each to a few eps; lgamma of statsmodels subtracts numbers of 250
        assert float(getattr(found, name)) == pytest.approx(value, rel=1e3 * EPS), name
    assert float(found.pearson.statistic) == pytest.approx(peer.pearson_chi2, rel=1e3 * EPS)
    assert float(found.pearson.df) == peer.df_resid


def test_groups_are_those_of_r(request):
    folder = request.config.getoption("--reference-data")
    if folder is None:
        pytest.skip("needs --reference-data")
    table = pd.read_csv(f"{folder}/files/menarche_grouped.csv")
    n, y = table["trials"].to_numpy(), (table["successes"] / table["trials"]).to_numpy()
    design = table[["Age"]].to_numpy()
    fit = jaxlr.fit(design, y, sample_weight=n)
    found = inference.goodness_of_fit(fit, Problem(design, y, n), trials=n)
    assert float(found.log_likelihood) == pytest.approx(-55.377627156552, rel=1e-12)  # as R prints it
    assert float(found.deviance) == pytest.approx(26.7034516357649, rel=1e-12)
    assert float(found.null_deviance) == pytest.approx(3693.88357479415, rel=1e-12)
    assert float(found.aic) == pytest.approx(114.755254313104, rel=1e-12)
    assert float(found.df_residual) == 23
    text = str(inference.summary(fit, Problem(design, y, n), trials=n))
    assert "Null deviance: 3693.9  on 24 degrees of freedom" in text
    assert "Residual deviance: 26.703  on 23 degrees of freedom" in text


@pytest.mark.slow
def test_pearson_of_covariate_patterns_is_that_of_stata():
    """Stata's manual, logistic postestimation, estat gof: 182 covariate patterns, Pearson chi2(173) = 179.24, p = 0.3567."""
    design, y, *_ = jaxlr.datasets.low_birth_weight()
    patterns, which, trials = np.unique(design[:, :8], axis=0, return_inverse=True, return_counts=True)
    y = np.bincount(which.ravel(), y) / trials
    fit = jaxlr.fit(patterns, y, sample_weight=trials)
    test = inference.goodness_of_fit(fit, Problem(patterns, y, trials), trials=trials).pearson
    assert round(float(test.statistic), 2) == 179.24
    assert float(test.df) == 173
    assert round(float(test.p_value), 4) == 0.3567


@pytest.mark.slow
def test_grouping_changes_no_share_of_the_likelihood():
    import statsmodels.api as sm

    rows, y = single(X, SUCCESSES, TRIALS)
    found = inference.goodness_of_fit(*grouped(), trials=TRIALS)
    alone = inference.goodness_of_fit(jaxlr.fit(rows, y), Problem(rows, y))
    peer = sm.GLM(y, sm.add_constant(rows), family=sm.families.Binomial()).fit(tol=1e-14)
    p, T = peer.fittedvalues, len(y)
    cox_snell = peer.pseudo_rsquared("cs")
    expected = {
        "mcfadden": peer.pseudo_rsquared("mcf"),
        "cox_snell": cox_snell,
        "nagelkerke": cox_snell / (1 - math.exp(2 * peer.llnull / T)),
        "tjur": p[y == 1].mean() - p[y == 0].mean(),
    }
    for name, value in expected.items():
        for one in (found, alone):
            assert float(getattr(one, name)) == pytest.approx(value, rel=1e4 * EPS), name
    assert alone.pearson is None


@pytest.mark.slow
def test_folds_and_bootstraps_of_groups_count_their_copies():
    copies = np.stack([np.arange(M) % 3 != 0, np.random.default_rng(1).multinomial(M, np.full(M, 1 / M))])
    trials = TRIALS.copy()
    trials[0] = 0  # where no copy is, there need be no trial
    copies[:, 0] = 0
    fits = jaxlr.fit(X, SHARES, sample_weight=copies * trials)
    found = inference.goodness_of_fit(fits, Problem(X, SHARES, copies * trials), trials=trials)
    for i in range(2):
        rows = np.repeat(np.arange(M), copies[i])
        problem = Problem(X[rows], SHARES[rows], trials[rows])
        fit = jaxlr.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
        alone = inference.goodness_of_fit(fit, problem, trials=trials[rows])
        for (path, value), other in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(alone), strict=True):
            assert float(value[i]) == pytest.approx(float(other), rel=1e4 * EPS), jax.tree_util.keystr(path)


@pytest.mark.slow
def test_groups_under_jit():
    fit, problem = grouped()
    inside = jax.jit(lambda y, n: inference.goodness_of_fit(fit, Problem(X, y, n), trials=n))(SHARES, TRIALS)
    outside = inference.goodness_of_fit(fit, problem, trials=TRIALS)
    for found, expected in zip(jax.tree.leaves(inside), jax.tree.leaves(outside), strict=True):
        assert float(found) == pytest.approx(float(expected), rel=1e3 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_a_million_trials_keep_their_digits(dtype):
    for n in (1, 2, 15, 16, 17, 1000, 10**6, 2**24):
        for s in sorted({0, 1, n // 3, n // 2, n - 1, n}):
            with mpmath.workdps(60):
                powers = [count * mpmath.log(mpmath.mpf(count) / n) for count in (s, n - s) if count]
                log = mpmath.log(mpmath.binomial(n, s)) + sum(powers)
            found = float(log_saturated(jnp.asarray(s, dtype), jnp.asarray(n, dtype)))
            # d is known to 1e-16, and the logarithm of a number that is right to 4 eps
            assert found == pytest.approx(float(log), rel=tolerance(dtype, 4), abs=tolerance(dtype, 4)), (n, s)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergences_do_not_cancel(dtype):
    z = np.array([-80.0, -20.0, -3.0, -0.2, 0.0, 1e-3, 0.7, 5.0, 16.0, 30.0], dtype)
    for y in np.array([0.0, 1e-6, 0.3, 0.5, 0.5003, 0.95, 1.0], dtype):
        for at, found in zip(z, np.asarray(kullback_leibler(jnp.asarray(z), jnp.full(len(z), y))), strict=True):
            with mpmath.workdps(60):
                p = 1 / (1 + mpmath.exp(-mpmath.mpf(float(at))))
                q = mpmath.mpf(float(y))
                parts = [(a * mpmath.log(a / b) if a else 0) for a, b in ((q, p), (1 - q, 1 - p))]
                slope = abs(p - q)  # d KL / d p (1 - p) p, by which p is known to eps
                exact = sum(parts)
            assert float(found) == pytest.approx(float(exact), rel=tolerance(dtype, 16), abs=tolerance(dtype, 4) * float(slope))


@pytest.mark.slow
def test_deviances_of_a_million_trials_in_float32():
    n = np.full(M, 10**6)
    p = 1 / (1 + np.exp(-(X @ [1.0, -0.5])))
    successes = RNG.binomial(n, p)
    found = {}
    for dtype in (np.float32, np.float64):
        design, y = X.astype(dtype), (successes / n).astype(dtype)
        fit = jaxlr.fit(design, y, sample_weight=n)
        found[dtype] = inference.goodness_of_fit(fit, Problem(design, y, n), trials=n)
    for name in ("log_likelihood", "deviance", "aic", "bic"):
        few, many = (float(getattr(measures, name)) for measures in found.values())
        # y - p is 1e-3 of p, whose logit is rounded to eps: so are deviances, where sums over trials would be off by 1.
        assert few == pytest.approx(many, rel=tolerance(np.float32, 1e4)), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, p: inference.goodness_of_fit(f, p, trials=TRIALS[:-1]), r"expected trials \(..., 30\)"),
        (lambda f, p: inference.goodness_of_fit(f, p, trials=np.stack([TRIALS] * 2)), r"batch axes of the fit, \(\)"),
        (lambda f, p: inference.goodness_of_fit(f, p, trials=TRIALS + 0.5), "whole numbers >= 0"),
        (lambda f, p: inference.goodness_of_fit(f, p, trials=-TRIALS), "whole numbers >= 0"),
        (lambda f, p: inference.goodness_of_fit(f, p, trials=TRIALS * 2), "be the trials, or a whole multiple"),
        (lambda f, p: inference.goodness_of_fit(f, Problem(X, SHARES), trials=TRIALS), "fit with sample_weight=trials"),
        (lambda f, p: inference.goodness_of_fit(f, Problem(X, SHARES * 0.99, TRIALS), trials=TRIALS), "expected y = succ"),
        (lambda f, p: inference.goodness_of_fit(f, p, trials=0 * TRIALS), "expected sample_weight to be the trials"),
        (lambda f, p: inference.hosmer_lemeshow(f, p, num_groups=2), "expected num_groups to be an integer >= 3"),
    ],
)  # fmt: skip
def test_what_is_no_group_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call(*grouped())


@pytest.mark.slow
def test_several_classes_have_no_trials():
    labels = np.arange(M) % 3
    fit = jaxlr.fit(X, labels, num_classes=3)
    assert np.isnan(inference.goodness_of_fit(fit, Problem(X, labels)).tjur)
    with pytest.raises(ValueError, match="expected no trials for a fit of several classes"):
        inference.goodness_of_fit(fit, Problem(X, labels), trials=TRIALS)
    with pytest.raises(ValueError, match="expected a fit of two classes in one logit"):
        inference.hosmer_lemeshow(fit, Problem(X, labels))


@pytest.mark.parametrize("columns", [np.asarray, pd.DataFrame])
def test_two_columns_of_counts_say_what_to_do(columns):
    counts = columns(np.column_stack([SUCCESSES, TRIALS - SUCCESSES]))
    calls = [
        lambda: jaxlr.fit(X, counts), lambda: jaxlr.fit_firth(X, counts), lambda: jaxlr.fit_columns(X.T, counts),
        lambda: jaxlr.association_scan(X.T, counts), lambda: jaxlr.cross_validate(X, counts, key=jax.random.key(0)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match="y = successes / trials with sample_weight = trials, their sum"):
            call()
    with pytest.raises(ValueError, match="pass each row as a 1 and as a 0, with these as sample_weight"):
        jaxlr.estimator.LogisticRegressor().fit(X, counts)
    with pytest.raises(ValueError, match="for counts y = successes / trials with sample_weight = trials"):
        jaxlr.fit(X, SUCCESSES)


def test_tails_of_many_degrees_of_freedom():
    df = np.array([1, 2, 3, 20, 101, 1000, 0, np.nan])
    x = np.array([1.5, 0.0, 80.0, 5.0, 130.0, 1300.0, 1.0, 1.0])
    found = chi_square_test(x, df)
    for i in range(6):
        with mpmath.workdps(40):
            exact = mpmath.log(mpmath.gammainc(mpmath.mpf(df[i]) / 2, mpmath.mpf(x[i]) / 2, mpmath.inf, regularized=True))
        # a term of the sum is exp of numbers of up to df log df
        assert float(found.log_p[i]) == pytest.approx(float(exact), rel=1e-13, abs=EPS * df[i] * (1 + math.log(df[i])))
    assert np.isnan(np.asarray(found.p_value)[6:]).all()


# --- Hosmer and Lemeshow ----------------------------------------------------------------------------------------------------


def in_numpy(y, p, copies, num_groups, method="linear"):
    """hoslem.test of R's ResourceSelection, line by line, on rows that are repeated; and how many groups have rows."""
    rows = np.repeat(np.arange(len(y)), copies)
    y, p = y[rows], np.round(p[rows], 12)
    cuts = np.unique(np.quantile(p, np.arange(num_groups + 1) / num_groups, method=method))
    group = np.searchsorted(cuts[1:-1], p, side="left")
    statistic, used = 0.0, 0
    for k in np.unique(group):
        inside, used = group == k, used + 1
        for observed, expected in ((y, p), (1 - y, 1 - p)):
            statistic += (observed[inside].sum() - expected[inside].sum()) ** 2 / expected[inside].sum()
    return statistic, used


def test_hosmer_lemeshow_of_three_groups_of_ten_whose_expected_numbers_are_2_5_and_8():
    """1, 7 and 7 ones at x = -1, 0, 1: by symmetry the intercept is 0, and 20 sigmoid(slope) - 10 = 7 - 1."""
    x, y = np.repeat([-1.0, 0.0, 1.0], 10)[:, None], np.concatenate([np.arange(10) < ones for ones in (1, 7, 7)])
    found = inference.hosmer_lemeshow(known_fit([np.log(4)], 0), Problem(x, y.astype(float)), num_groups=3)
    assert float(found.statistic) == pytest.approx(1 / 2 + 1 / 8 + 4 * (1 / 5 + 1 / 5) + 1 / 8 + 1 / 2, rel=64 * EPS)
    assert float(found.df) == 1


@pytest.mark.slow
def test_hosmer_lemeshow_of_low_birth_weight():
    """Stata's manual, estat gof, group(10): chi2(8) = 9.65, p = 0.2904, of groups cut at observed probabilities."""
    design, y, *_ = jaxlr.datasets.low_birth_weight()
    design, ones = design[:, :8], np.ones(len(y), int)
    fit = jaxlr.fit(design, y)
    p = np.asarray(jaxlr.predict_proba(fit.params, design))
    assert round(in_numpy(y, p, ones, 10, "inverted_cdf")[0], 2) == 9.65
    test = inference.hosmer_lemeshow(fit, Problem(design, y))
    assert float(test.statistic) == pytest.approx(in_numpy(y, p, ones, 10)[0], rel=1e-9)
    assert float(test.df) == 8
    assert round(float(chi_square_test(in_numpy(y, p, ones, 10, "inverted_cdf")[0], test.df).p_value), 4) == 0.2904


@pytest.mark.slow
@pytest.mark.parametrize("levels", [None, 3, 5])
def test_hosmer_lemeshow_is_that_of_plain_numpy_with_ties_and_weights(levels):
    rng = np.random.default_rng(levels)
    design = rng.standard_normal((80, 2)) if levels is None else rng.integers(0, levels, (80, 2)).astype(float)
    y, copies = (rng.random(80) < 0.4) * 1.0, rng.integers(0, 4, (3, 80))
    fits = jaxlr.fit(design, y, sample_weight=copies)
    proba = np.asarray(jaxlr.predict_proba(fits.params, design))
    for num_groups in (4, 10):
        found = inference.hosmer_lemeshow(fits, Problem(design, y, copies), num_groups=num_groups)
        for i in range(3):
            statistic, used = in_numpy(y, proba[i], copies[i], num_groups)
            assert float(found.statistic[i]) == pytest.approx(statistic, rel=1e-9)  # p was rounded to 1e-12
            assert float(found.df[i]) == used - 2


@pytest.mark.slow
def test_hosmer_lemeshow_of_groups_is_that_of_their_trials_and_the_same_under_jit():
    fit, problem = grouped()
    rows, y = single(X, SUCCESSES, TRIALS)
    found = inference.hosmer_lemeshow(fit, problem, num_groups=6)
    alone = inference.hosmer_lemeshow(jaxlr.fit(rows, y), Problem(rows, y), num_groups=6)
    inside = jax.jit(lambda y: inference.hosmer_lemeshow(fit, Problem(X, y, TRIALS), num_groups=6))(SHARES)
    for other in (alone, inside):
        assert float(found.statistic) == pytest.approx(float(other.statistic), rel=1e-9)
        assert float(found.df) == float(other.df)


@pytest.mark.slow
def test_hosmer_lemeshow_in_float32_counts_a_million_rows():
    rng = np.random.default_rng(3)
    design = rng.integers(0, 12, (200, 1)).astype(np.float32)
    copies = rng.integers(1, 10**4, 200)
    y = rng.binomial(copies, 1 / (1 + np.exp(1 - 0.2 * design[:, 0]))) / copies
    found = []
    for dtype in (np.float32, np.float64):
        given = design.astype(dtype), y.astype(dtype)
        found.append(inference.hosmer_lemeshow(jaxlr.fit(*given, sample_weight=copies), Problem(*given, copies)))
    assert float(found[0].df) == float(found[1].df)
    # (O - E) / E is 1e-3, of sums right to some eps
    assert float(found[0].statistic) == pytest.approx(float(found[1].statistic), rel=tolerance(np.float32, 1e5))


def test_weights_that_are_no_counts_have_no_groups():
    X, y = np.arange(40.0)[:, None], np.arange(40) % 3 < 1
    w = np.full(40, 0.5)
    with pytest.raises(ValueError, match="expected whole numbers in sample_weight"):
        inference.hosmer_lemeshow(jaxlr.fit(X, y, sample_weight=w), Problem(X, y, w))


def test_infinite_trials_are_refused():
    X, y = np.arange(4.0)[:, None], np.array([0.5, 0.25, 0.5, 0.75])
    with pytest.raises(ValueError, match="expected trials to be whole numbers >= 0, got inf"):
        inference.goodness_of_fit(jaxlr.fit(X, y), Problem(X, y), trials=np.full(4, np.inf))
