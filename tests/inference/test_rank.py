"""Columns that depend on each other: what is determined is that of the fit without them, the rest is NaN and said."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference

RNG = np.random.default_rng(0)
M = 300
X = RNG.normal(size=(M, 3)) * [1, 10, 0.1] + [0, 50, 1e3]
Y = (X[:, 0] + 0.05 * (X[:, 1] - 50) + RNG.logistic(size=M) > 0).astype(int)
LABELS = np.where(RNG.random(M) < 0.3, 2, Y)
DEPENDENT = np.column_stack([X, 2 * X[:, 0] - 3 * X[:, 1] + 1, np.ones(M)])
CLOSE = {"rtol": 1e-8, "atol": 1e-8}  # estimates to tol = 1e-10, over curvatures of 0.1

# statsmodels 0.15: GLM(Y, add_constant(X), Binomial()).fit(tol=1e-15) of the three independent columns.
GLM = {
    "coef": [0.8778365897315, 0.0684386337525, 0.2113844255465],
    "error": [0.1543805713191, 0.01450185587367, 1.332865331338],
    "intercept": [-214.9909398582, 1332.887636841],
    "aic": 356.0529181875862,
    "bic": 370.86804808621105,
}


@pytest.fixture(scope="module")
def fit():
    return jaxlr.fit(DEPENDENT, Y)


PROBLEM, ALONE = Problem(DEPENDENT, Y), Problem(X, Y)


@pytest.mark.slow
def test_estimates_and_errors_are_those_of_a_glm_without_the_later_columns(fit):
    tests, goodness = inference.wald(fit, PROBLEM), inference.goodness_of_fit(fit, PROBLEM)
    np.testing.assert_allclose(fit.params.coef, [*GLM["coef"], 0, 0], **CLOSE)
    np.testing.assert_allclose(tests.standard_error.coef, [*GLM["error"], np.nan, np.nan], **CLOSE)
    np.testing.assert_allclose(fit.params.intercept, GLM["intercept"][0], **CLOSE)
    np.testing.assert_allclose(tests.standard_error.intercept, GLM["intercept"][1], **CLOSE)
    assert float(goodness.aic) == pytest.approx(GLM["aic"], rel=1e-12)
    assert (float(goodness.df_residual), float(goodness.bic)) == (M - 4, pytest.approx(GLM["bic"], rel=1e-12))


@pytest.mark.slow
def test_a_summary_says_which_columns_depend_on_which(fit):
    table = inference.summary(fit, PROBLEM, names=list("abcde"))
    assert table.equations == ("d = 2 a - 3 b + 1", "e = 1")
    assert table.dependent.tolist() == [False, False, False, True, True]
    text = str(table)
    assert "Not determined, held at 0: d = 2 a - 3 b + 1\n" in text
    assert f"on {M - 1} degrees of freedom\n" in text
    assert f"on {M - 4} degrees of freedom\n" in text
    assert inference.summary(jaxlr.fit(X, Y), ALONE).equations == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "HC3", *(pytest.param(k, marks=pytest.mark.slow) for k in ("sampling", "HAC"))])
def test_covariances_influence_and_profiles_are_those_of_the_determined_parameters(fit, kind):
    alone = jaxlr.fit(X, Y)
    lags = {"lags": 2} if kind == "HAC" else {}
    got, expected = (inference.covariance(f, p, kind=kind, **lags) for f, p in ((fit, PROBLEM), (alone, ALONE)))
    there = [0, 1, 2, 5]
    np.testing.assert_allclose(np.asarray(got)[np.ix_(there, there)], expected, rtol=1e-7)
    assert np.isnan(np.asarray(got)[[3, 4]]).all()
    if kind != "model":
        return
    for function in (inference.profile_intervals, inference.profile_tests, inference.influence, inference.leave_one_out):
        found = jax.tree.leaves(function(fit, PROBLEM)), jax.tree.leaves(function(alone, ALONE))
        for mine, theirs in zip(*found, strict=True):
            shared = mine if np.shape(mine) == np.shape(theirs) else mine[..., :3]
            np.testing.assert_allclose(shared, theirs, rtol=1e-6, atol=1e-8)
    assert np.isnan(np.asarray(inference.profile_tests(fit, PROBLEM).p_value.coef)[3:]).all()


@pytest.mark.slow
def test_classes_lose_the_same_columns_and_a_likelihood_ratio_its_degrees_of_freedom(fit):
    problem = Problem(DEPENDENT, LABELS)
    several, alone = jaxlr.fit(DEPENDENT, LABELS, num_classes=3), jaxlr.fit(X, LABELS, num_classes=3)
    errors = np.asarray(inference.standard_errors(several, problem).coef)
    np.testing.assert_allclose(errors[1:, :3], inference.standard_errors(alone, Problem(X, LABELS)).coef[1:], rtol=1e-7)
    assert np.isnan(errors[1:, 3:]).all()
    assert float(inference.goodness_of_fit(several, problem).df_residual) == M - 2 * 4
    assert inference.likelihood_ratio(several, jaxlr.fit(X[:, :1], LABELS, num_classes=3), problem).df == 4
    assert inference.likelihood_ratio(fit, jaxlr.fit(X[:, :1], Y), PROBLEM).df == 2
    without = DEPENDENT[:, [0, 1, 3, 4]]  # both depend there too
    assert inference.likelihood_ratio(fit, jaxlr.fit(without, Y), PROBLEM).df == 1


@pytest.mark.slow
def test_a_likelihood_ratio_counts_each_model_of_a_batch():
    designs = np.stack([np.column_stack([X, X[:, 0]]), np.column_stack([X, RNG.normal(size=M)])])
    test = inference.likelihood_ratio(jaxlr.fit(designs, Y), jaxlr.fit(X[:, :1], Y), Problem(designs, Y))
    assert test.df.tolist() == [2, 3]
    for j, columns in enumerate((X, designs[1])):
        expected = inference.likelihood_ratio(jaxlr.fit(columns, Y), jaxlr.fit(X[:, :1], Y), Problem(columns, Y))
        assert float(test.p_value[j]) == pytest.approx(float(expected.p_value), rel=1e-6)


@pytest.mark.slow
def test_differences_of_a_bradley_terry_model_have_errors_whoever_is_held_at_0():
    """K players of rank K - 1: R holds the last at 0, and differences do not depend on that."""
    players = 5
    first = RNG.integers(0, players, 200)
    second = (first + RNG.integers(1, players, 200)) % players
    design = np.eye(players)[first] - np.eye(players)[second]
    won = (RNG.random(200) < 1 / (1 + np.exp(second - first))).astype(int)
    fit, problem = jaxlr.fit(design, won, fit_intercept=False), Problem(design, won, fit_intercept=False)
    turned = design[:, ::-1]
    other, reverse = jaxlr.fit(turned, won, fit_intercept=False), Problem(turned, won, fit_intercept=False)
    assert float(fit.params.coef[-1]) == 0
    assert float(inference.goodness_of_fit(fit, problem).df_residual) == 200 - (players - 1)
    R = np.zeros((1, players + 1))
    R[0, :2] = [1, -1]
    got, expected = inference.wald_test(fit, problem, R), inference.wald_test(other, reverse, R[:, [4, 3, 2, 1, 0, 5]] * -1)
    assert np.isnan(float(expected.p_value))  # there the first of them is the one held at 0
    V = np.asarray(inference.covariance(other, reverse))[:4, :4]
    c = np.array([0, 0, 0, 1.0])
    assert float(got.statistic) == pytest.approx(float(other.params.coef[3] ** 2 / (c @ V @ c)), rel=1e-8)


@pytest.mark.slow
def test_a_resample_whose_columns_depend_shows_no_error_that_another_choice_would_change():
    """Resamples share the columns of all rows; where a level is missing, coefficients are shared and no longer R's."""
    left_out = np.arange(M) < 50
    design = np.column_stack([X[:, :2], X[:, 1] + left_out * RNG.normal(size=M)])
    weights = np.stack([np.ones(M), 1.0 - left_out])
    fits, problem = jaxlr.fit(design, Y, sample_weight=weights), Problem(design, Y, weights)
    assert bool(fits.converged.all())
    errors = np.asarray(inference.standard_errors(fits, problem).coef)
    assert np.isfinite(errors[0]).all()
    assert np.isfinite(errors[1]).tolist() == [True, False, False]
    assert np.asarray(inference.goodness_of_fit(fits, problem).df_residual).tolist() == [M - 4, M - 50 - 3]


@pytest.mark.slow
def test_a_scan_beside_covariates_that_depend_is_that_beside_the_others():
    columns = RNG.normal(size=(3, M))
    columns[2] = X[:, 1] - 2 * X[:, 0]
    got, expected = (jaxlr.association_scan(columns, Y, covariates=c) for c in (DEPENDENT, X))
    assert got.status.tolist() == [0, 0, jaxlr.Status.STALLED]
    np.testing.assert_allclose(got.estimate, expected.estimate, rtol=1e-6)
    np.testing.assert_allclose(got.standard_error, expected.standard_error, rtol=1e-6)
    np.testing.assert_allclose(got.score.p_value, expected.score.p_value, rtol=1e-6)
    assert np.isnan(got.score.p_value[2])
    assert np.isnan(got.estimate[2])


@pytest.mark.slow
def test_inside_jit_what_depends_is_found_too(fit):
    errors = jax.jit(lambda y: inference.standard_errors(jaxlr.fit(DEPENDENT, y), Problem(DEPENDENT, y)).coef)(Y)
    np.testing.assert_allclose(errors, inference.standard_errors(fit, PROBLEM).coef, rtol=1e-7)


@pytest.mark.slow
def test_a_likelihood_ratio_counts_what_the_data_of_both_fits_determine():
    """A resample shares coefficients, so that none is 0: only the data of the smaller fit tell what it has left out."""
    columns = np.random.default_rng(7).normal(size=(60, 4))
    columns[:30, 1] = columns[:30, 0]
    y, s = np.sin(np.arange(60)) > 0, np.stack([np.ones(60), np.arange(60) < 30])
    larger, smaller = (jaxlr.fit(X, y, sample_weight=s) for X in (columns, columns[:, :2]))
    problem, of_smaller = Problem(columns, y, s), Problem(columns[:, :2], y, s)
    test = inference.likelihood_ratio(larger, smaller, problem, smaller_problem=of_smaller)
    alone = inference.likelihood_ratio(
        jaxlr.fit(columns[:30], y[:30]), jaxlr.fit(columns[:30, :2], y[:30]), Problem(columns[:30], y[:30])
    )
    assert test.df == alone.df == 2
    np.testing.assert_allclose(test.p_value[1], alone.p_value, rtol=1e-8)
    with pytest.raises(ValueError, match="smaller_problem"):
        inference.likelihood_ratio(larger, smaller, problem)


@pytest.mark.slow
def test_a_likelihood_ratio_refuses_a_smaller_fit_with_a_penalty_or_of_other_rows():
    y = np.sin(np.arange(len(X))) > 0
    larger, problem = jaxlr.fit(X, y), Problem(X, y)
    for other, message in (
        (Problem(X[:, :1], y, l2=1.0), "unpenalized"),
        (Problem(X[1:, :1], y[1:]), "same rows"),
        (Problem(X[:, :1], ~y), "same y"),
        (Problem(X[:, :1], y, offset=np.ones(len(X))), "same offset"),
    ):
        smaller = jaxlr.fit(other.X, other.y, l2=other.l2, offset=other.offset)
        with pytest.raises(ValueError, match=message):
            inference.likelihood_ratio(larger, smaller, problem, smaller_problem=other)


@pytest.mark.slow
def test_a_member_whose_fits_have_as_many_parameters_is_nan_alone():
    a, b = np.random.default_rng(8).normal(size=(2, 60))
    designs, y = np.stack([np.stack([a, a], axis=1), np.stack([a, b], axis=1)]), np.sin(np.arange(60)) > 0
    test = inference.likelihood_ratio(jaxlr.fit(designs, y), jaxlr.fit(a[:, None], y), Problem(designs, y))
    assert np.isnan(np.asarray(test.p_value)).tolist() == [True, False]


def test_estimates_that_are_0_but_for_rounding_are_determined():
    """Two of five players win as often as the last, whom R holds at 0."""
    pairs = np.array([(a, b) for a in range(5) for b in range(a + 1, 5)] * 6)
    design = np.eye(5)[pairs[:, 0]] - np.eye(5)[pairs[:, 1]]
    won = np.array(list("110011101100010100110100111111011011000110011001011010110011"), int)
    fit, problem = jaxlr.fit(design, won, fit_intercept=False), Problem(design, won, fit_intercept=False)
    # statsmodels 0.15: GLM(won, design[:, :4], Binomial()).fit(tol=1e-14).bse
    expected = [0.5282705437953744, 0.5380072743397853, 0.5282705437953744, 0.5380072743397852, np.nan]
    np.testing.assert_allclose(inference.standard_errors(fit, problem).coef, expected, rtol=1e-9)
