"""Laws of the inference functions: batches, weights, units, tails, refusals, robust covariances, scans, summaries."""

import functools
import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, inference
from jaxlr.inference.separation import separating_direction
from jaxlr.inference.tails import normal_quantile
from tests.helpers import known_fit

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
RNG = np.random.default_rng(0)
M, N = 60, 3
X = RNG.standard_normal((M, N)) * [1, 5, 0.2] + [0, 30, 1]
Y = (X @ [0.8, -0.1, 1.0] + 2 + RNG.logistic(size=M) > 0).astype(float)
S = RNG.integers(0, 4, (2, M)).astype(float)
A = np.column_stack([X, np.ones(M)])
PROBLEM = Problem(X, Y)
ratio_unchecked = inspect.unwrap(inference.likelihood_ratio)  # without the annotation checker of the suite, as users call it


@pytest.fixture(scope="module")
def fit():
    return jaxlr.fit(X, Y)


@functools.cache
def weighted():
    return jaxlr.fit(X, Y, sample_weight=S), Problem(X, Y, S)


def weights_of(params, s):
    p = np.asarray(jaxlr.predict_proba(params, X))
    return s * p * (1 - p), s * (p - Y)


# --- covariances ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "HC0", "HC1"])
def test_covariances_are_those_of_the_formula_for_every_member_of_a_batch(kind):
    fits, problem = weighted()
    found = np.asarray(inference.covariance(fits, problem, kind=kind))
    for i in range(2):
        d, _ = weights_of(jax.tree.map(lambda leaf, i=i: leaf[i], fits.params), S[i])
        p = np.asarray(jaxlr.predict_proba(jax.tree.map(lambda leaf, i=i: leaf[i], fits.params), X))
        bread = np.linalg.inv((A.T * d) @ A)
        meat = (A.T * (S[i] * (p - Y) ** 2)) @ A  # a weight k is the row k times
        total = S[i].sum()
        expected = {"model": bread, "HC0": bread @ meat @ bread}
        expected["HC1"] = expected["HC0"] * total / (total - 4)
        # The formula in NumPy loses the condition number of columns far from 0, about 1e5.
        np.testing.assert_allclose(found[i], expected[kind], rtol=1e-9)


@pytest.mark.slow
def test_a_weight_is_so_many_rows():
    fits, problem = weighted()
    rows = np.repeat(np.arange(M), S[0].astype(int))
    again = jaxlr.fit(X[rows], Y[rows])
    several = Problem(X[rows], Y[rows])
    for kind in ("model", "HC1"):
        one, other = (inference.standard_errors(f, p, kind=kind) for f, p in ((fits, problem), (again, several)))
        np.testing.assert_allclose(one.coef[0], other.coef, rtol=1e-8)
    found, expected = inference.goodness_of_fit(fits, problem), inference.goodness_of_fit(again, several)
    for name in set(found._fields) - {"pearson"}:  # of trials alone
        np.testing.assert_allclose(np.asarray(getattr(found, name))[0], getattr(expected, name), rtol=1e-10, err_msg=name)


@pytest.mark.slow
def test_penalized_fits_are_refused_by_name_unless_asked_for(fit):
    ridge, problem = jaxlr.fit(X, Y, l2=0.1), Problem(X, Y, l2=0.1)
    for function in (inference.covariance, inference.wald, inference.profile_intervals, inference.goodness_of_fit):
        with pytest.raises(ValueError, match="expected an unpenalized fit"):
            function(ridge, problem)
    H = np.asarray(jaxlr.hessian(ridge.params, problem)) * M
    np.testing.assert_allclose(inference.covariance(ridge, problem, penalized=True), np.linalg.inv(H), rtol=1e-9)
    with pytest.raises(ValueError, match="expected a fit without l1"):
        inference.covariance(fit, Problem(X, Y, l1=0.1), penalized=True)
    with pytest.raises(ValueError, match="likelihood ratio"):
        inference.likelihood_ratio(ridge, fit, problem, df=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: inference.covariance(f, PROBLEM, kind="HC4"), "expected kind 'model', .*'HAC', got 'HC4'"),
        (lambda f: inference.wald(f, PROBLEM, level=95.0), r"expected level in \(0, 1\)"),
        (lambda f: inference.covariance(f, Problem(X, np.stack([Y, Y]))), r"expected a problem of the batch \(\)"),
        (lambda f: inference.score_test(f, PROBLEM, X), r"expected columns \(k, 60\).*transposed"),
        (lambda f: inference.likelihood_ratio(f, f, PROBLEM), "df = 0; swap them"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df=0), "expected df to be an integer >= 1, .*got 0"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df=1.5), "expected df .*got 1.5"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df=np.nan), "expected df .*got nan"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df="1"), "expected df .*got '1'"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df=True), "expected df .*got True"),
        (lambda f: ratio_unchecked(f, f, PROBLEM, df=[1, 0]), "expected df .*one a model, got"),
        (lambda f: inference.profile_intervals(f, PROBLEM, level=np.nan), r"expected level in \(0, 1\).*got nan"),
        (lambda f: inference.summary(f, PROBLEM, names=["a"]), "expected 3 names"),
        (lambda f: inference.bootstrap_intervals(f, f), r"expected resamples \(k, ...\)"),
    ],
)
def test_bad_input_is_refused_in_words(call, message, fit):
    with pytest.raises(ValueError, match=message):
        call(fit)


@pytest.mark.parametrize("names", [[1, 2, 3], 3, "abc"])
def test_names_that_are_no_list_of_strings_are_refused(names, fit):
    with pytest.raises(TypeError, match="expected 3 names of columns in a list of strings, got"):
        inspect.unwrap(inference.summary)(fit, PROBLEM, names=names)


@pytest.mark.parametrize("level", ["95%", None, True, [0.9, 0.95], np.nan])
def test_a_level_that_is_no_number_between_0_and_1_is_refused(level):
    with pytest.raises(ValueError, match=r"expected level in \(0, 1\), such as 0.95, got"):
        inspect.unwrap(normal_quantile)(level)


@pytest.mark.slow
def test_degrees_of_freedom_may_be_given_for_each_model():
    larger, smaller = weighted()[0], jaxlr.fit(X[:, :2], Y, sample_weight=S)
    test = inference.likelihood_ratio(larger, smaller, weighted()[1], df=[1, 2])
    for i, df in enumerate((1, 2)):
        alone = inference.likelihood_ratio(larger, smaller, weighted()[1], df=df)
        assert float(test.p_value[i]) == float(alone.p_value[i])


@pytest.mark.slow
def test_a_model_that_did_not_converge_is_nan_and_its_neighbours_are_not():
    labels = np.stack([Y, (X[:, 0] > 0) * 1.0])
    fits = jaxlr.fit(X, labels)
    assert fits.status.tolist() == [Status.CONVERGED, Status.SEPARATED]
    found = inference.wald(fits, Problem(X, labels))
    assert np.isnan(np.asarray(found.p_value.coef)).all(axis=1).tolist() == [False, True]
    alone = inference.wald(jaxlr.fit(X, Y), PROBLEM)
    np.testing.assert_allclose(found.p_value.coef[0], alone.p_value.coef, rtol=1e-9)


# --- tails ------------------------------------------------------------------------------------------------------------------


def test_p_values_are_right_in_the_far_tail():
    z = np.array([0.0, 1e-8, 0.5, 1.96, 5.0, 10.0, 37.0])
    with mpmath.workdps(40):
        exact = [mpmath.erfc(mpmath.mpf(value) / mpmath.sqrt(2)) for value in z]
        for found, p in zip(np.asarray(inference.log_normal_tails(z)), exact, strict=True):
            assert found == pytest.approx(float(mpmath.log(p)), rel=1e-14, abs=1e-15)
        assert float(exact[-1]) < 1e-298
        for df in (1, 2, 3, 4, 7, 20):
            for x in (0.0, 1e-3, 1.0, 30.0, 1370.0):
                exact_p = mpmath.gammainc(mpmath.mpf(df) / 2, mpmath.mpf(x) / 2, mpmath.inf, regularized=True)
                found = float(inference.log_chi_square_tail(np.float64(x), df))
                assert found == pytest.approx(float(mpmath.log(exact_p)), rel=1e-13, abs=1e-14), (df, x)
    far = inference.log_normal_tails(np.float32(200.0))  # its p-value has no place in any dtype
    assert float(far) == pytest.approx(-20006.0, rel=1e-4)


def test_tails_of_numbers_of_16_bits_are_those_of_wider_ones():
    z = np.array([6.0, 300.0], np.float16)  # whose p-values and squares have no place there
    np.testing.assert_array_equal(inference.log_normal_tails(z), inference.log_normal_tails(z.astype(float)))
    np.testing.assert_array_equal(inference.log_chi_square_tail(z, 3), inference.log_chi_square_tail(z.astype(float), 3))


def test_an_infinite_statistic_has_a_p_value_of_0():
    for df in (1, 2, 3, 150):
        assert float(inference.log_chi_square_tail(np.inf, df)) == -np.inf, df
    test = inference.tails.chi_square_test(np.array([np.inf, np.nan]), np.array([2, 3]))
    np.testing.assert_array_equal(test.p_value, [0, np.nan])


# --- tests and intervals ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_likelihood_ratio_score_and_profile_tests_agree_with_refits(fit):
    smaller = jaxlr.fit(X[:, :2], Y)
    test = inference.likelihood_ratio(fit, smaller, PROBLEM)
    statistic = 2 * M * (float(smaller.value) - float(fit.value))
    assert test.df == 1
    assert float(test.statistic) == pytest.approx(statistic, rel=1e-12)
    assert float(inference.profile_tests(fit, PROBLEM).statistic.coef[2]) == pytest.approx(statistic, rel=1e-9)
    score = inference.score_test(smaller, Problem(X[:, :2], Y), np.stack([X[:, 2], X[:, 0] + 7, np.ones(M)]))
    d, r = _reduced(smaller)
    B = A[:, [0, 1, 3]]
    x = X[:, 2] - B @ np.linalg.solve((B.T * d) @ B, (B.T * d) @ X[:, 2])
    assert float(score.statistic[0]) == pytest.approx((X[:, 2] @ r) ** 2 / (x @ (d * x)), rel=1e-9)
    assert np.isnan(np.asarray(score.statistic)[1:]).all()  # combinations of the columns that are fitted


def test_the_score_test_beside_an_intercept_does_not_see_where_a_column_begins():
    """Of a column x alone (sum x (y - p))^2 / (p (1 - p) sum (x - mean)^2), p the share of ones."""
    x, y = np.array([-3.0, 1.0, 4.0, -1.0, 5.0, -9.0, 2.0, 6.0]), np.array([0.0, 1, 0, 0, 1, 0, 1, 0])
    p = y.mean()
    test = inference.score_test(known_fit([], np.log(p / (1 - p))), Problem(np.zeros((8, 0)), y), np.stack([x, x + 2.0**26]))
    exact = (x @ (y - p)) ** 2 / (p * (1 - p) * np.sum((x - x.mean()) ** 2))
    np.testing.assert_allclose(test.statistic[0], exact, rtol=64 * EPS)
    np.testing.assert_allclose(test.statistic[1], exact, rtol=2.0**26 * 64 * EPS)  # as far as the mean is known


def test_a_profile_interval_of_a_share_ends_where_its_likelihood_has_fallen_by_half_the_quantile():
    ones, m, quantile = 3, 12, normal_quantile(0.9) ** 2
    y, p = (np.arange(m) < ones).astype(float), ones / m
    found = inference.profile_intervals(known_fit([], np.log(p / (1 - p))), Problem(np.zeros((m, 0)), y), level=0.9)
    ends = 1 / (1 + np.exp(-np.array([found.lower.intercept, found.upper.intercept])))
    assert ends[0] < p < ends[1]
    fallen = 2 * m * (p * np.log(p / ends) + (1 - p) * np.log((1 - p) / (1 - ends)))
    np.testing.assert_allclose(fallen, quantile, rtol=1e-11)  # steps end under eps^(3/4) = 2e-12 of a logit


def _reduced(smaller):
    p = np.asarray(jaxlr.predict_proba(smaller.params, X[:, :2]))
    return p * (1 - p), Y - p


@pytest.mark.slow
def test_the_ends_of_a_profile_interval_have_the_likelihood_that_they_should(fit):
    found = inference.profile_intervals(fit, PROBLEM, level=0.9)
    quantile = float(inference.tails.normal_quantile(0.9)) ** 2
    for j in range(N):
        others = [i for i in range(N) if i != j]
        for end in (found.lower.coef[j], found.upper.coef[j]):
            held = jaxlr.fit(X[:, others], Y, offset=X[:, j] * float(end))
            assert 2 * M * (float(held.value) - float(fit.value)) == pytest.approx(quantile, rel=1e-8)


def test_odds_ratios_are_exponentials(fit):
    found = inference.wald(fit, PROBLEM)
    ratios = inference.odds_ratios(found)
    np.testing.assert_allclose(ratios.lower.coef, np.exp(found.lower.coef), rtol=1e-15)


# --- Firth ------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_firth_of_some_members_leaves_the_others_alone():
    labels = np.stack([Y, (X[:, 0] > 0) * 1.0])
    flagged = np.asarray(jaxlr.fit(X, labels).status) == Status.SEPARATED
    some, every = jaxlr.fit_firth(X, labels, only=flagged), jaxlr.fit_firth(X, labels)
    assert some.status.tolist() == [Status.NOT_RUN, Status.CONVERGED]
    np.testing.assert_allclose(some.params.coef[1], every.params.coef[1], rtol=1e-8)
    assert bool(every.converged.all())
    with pytest.raises(ValueError, match=r"expected only to be booleans of the batch \(2,\)"):
        jaxlr.fit_firth(X, labels, only=[1, 0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'l2'"):
        jaxlr.fit_firth(X, Y, l2=0.1)
    with pytest.raises(ValueError, match="no more parameters than rows"):
        jaxlr.fit_firth(X[:3], [0, 1, 0])


@pytest.mark.parametrize("table", [(5, 0, 2, 4), (7, 3, 1, 9)])
def test_firth_of_a_table_adds_a_half_to_each_cell(table):
    """The model is saturated: so does Jeffreys' prior, the root of the determinant of the information. A 0 separates."""
    cases, controls = np.array(table[::2], float), np.array(table[1::2], float)
    found = jaxlr.fit_firth([[1.0], [1], [0], [0]], [1, 0, 1, 0], sample_weight=np.array(table, float))
    p, rows = (cases + 0.5) / (cases + controls + 1), cases + controls
    z = np.log(p / (1 - p))
    np.testing.assert_allclose(found.params.coef, [z[0] - z[1]], rtol=1e-10)
    np.testing.assert_allclose(found.params.intercept, z[1], rtol=1e-10)
    likelihood = np.sum(cases * np.log(p) + controls * np.log(1 - p))
    penalized = likelihood + np.sum(np.log(rows * p * (1 - p))) / 2
    np.testing.assert_allclose(found.value, -penalized / rows.sum(), rtol=1e-13)


@pytest.mark.slow
def test_firth_is_the_maximum_of_the_penalized_likelihood():
    found = jaxlr.fit_firth(X, Y, sample_weight=S[0])

    def objective(x):
        z = A @ x
        c = S[0] * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
        return jnp.sum(S[0] * (jnp.logaddexp(0.0, z) - Y * z)) - jnp.linalg.slogdet((A.T * c[None, :]) @ A)[1] / 2

    x = np.append(found.params.coef, found.params.intercept)
    scale = np.append(X.std(0), 1)
    assert np.abs(np.asarray(jax.grad(objective)(x)) / scale).max() <= 1e-9 * S[0].sum()
    assert float(found.value) == pytest.approx(float(objective(x)) / S[0].sum(), rel=1e-12)
    dependent = jaxlr.fit_firth(np.column_stack([X, X[:, 0]]), Y)
    assert int(dependent.status) != Status.CONVERGED


@pytest.mark.slow
def test_firth_has_an_interval_and_a_test_for_every_parameter_of_small_separated_sets():
    rng = np.random.default_rng(7)
    designs = rng.normal(size=(300, 12, 3)).round(1)
    labels = (rng.random((300, 12)) < 0.3).astype(float)
    labels[:, :2] = [1, 0]
    problem = Problem(designs, labels, rng.choice([0.3, 1, 2, 3], size=(300, 12)), rng.normal(size=12))
    fits = jaxlr.fit_firth(designs, labels, sample_weight=problem.sample_weight, offset=problem.offset)
    assert bool(fits.converged.all())
    found = inference.profile_intervals(fits, problem)
    assert np.all(np.asarray(found.lower.coef) < fits.params.coef)
    assert np.all(np.asarray(found.upper.coef) > fits.params.coef)
    assert not np.isnan(inference.profile_tests(fits, problem).p_value.coef).any()


def test_the_problem_must_be_that_of_the_fit(fit):
    with pytest.raises(ValueError, match="expected the problem that was fitted"):
        inference.wald(fit, Problem(X, Y, fit_intercept=False))


# --- separation -------------------------------------------------------------------------------------------------------------


def test_separation_counts_rows_with_weight_alone_and_soft_labels_for_both_classes():
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    assert jaxlr.separation(x, y) == "none"
    assert jaxlr.separation(x, y, [1, 0, 1, 1]) == "complete"
    assert jaxlr.separation(x[[0, 1, 1, 2]], [0, 0, 1, 1]) == "quasi"
    assert jaxlr.separation(x, [0, 0, 0.5, 1]) == "quasi"
    assert jaxlr.separation([[0.0], [1], [2], [3], [1e8]], [0, 0, 1, 1, 1]) == "complete"  # a row far out hides nothing
    with pytest.raises(ValueError, match="batch axes"):
        jaxlr.separation(x, np.stack([y, y]))


def test_a_constant_column_separates_nothing_and_hides_nothing():
    a, y = np.sin(1.7 * np.arange(1, 41)), np.arange(40) % 3 == 0
    for constant in (0.0, 1.0, 1e5):
        columns = np.column_stack([np.full(40, constant), a])
        for fit_intercept in (True, False):
            assert jaxlr.separation(columns, y, fit_intercept=fit_intercept) == "none"
            assert jaxlr.separation(columns, a > 0, fit_intercept=fit_intercept) == "complete"
    assert jaxlr.separation(np.ones((40, 2)), y) == "none"


@pytest.mark.parametrize("share", 10.0 ** -np.arange(0, 10))
def test_what_tells_nearly_dependent_columns_apart_separates_as_it_does_alone(share):
    rng, y = np.random.default_rng(0), np.arange(40) % 3 == 0
    a = np.sin(1.7 * np.arange(40))
    for r, verdict in ((np.arange(40) == 0, "quasi"), (y - 0.5, "complete"), (rng.standard_normal(40), "none")):
        columns = np.column_stack([a, a + share * r])
        assert jaxlr.separation(columns, y) == verdict
        direction = separating_direction(columns, y)
        assert (direction is None) == (verdict == "none")
        if direction is not None:
            margins = np.where(y, 1, -1) * (columns @ direction.coef + direction.intercept)
            assert margins.min() > -1e-6
            assert margins.max() == pytest.approx(1)


def test_integer_columns_near_the_span_of_others_keep_their_verdict():
    """X and (X, X w + 2^-k r) are the same numbers exactly, so that one linear program answers for both."""
    rng, verdicts = np.random.default_rng(5), set()
    for _ in range(20):
        X, r, y = rng.integers(-9, 10, (14, 2)), rng.integers(-2, 3, 14), rng.integers(0, 2, 14)
        y[:2] = 0, 1
        r = r if rng.random() < 0.5 else np.abs(r) * (2 * y - 1)
        verdicts.add(verdict := jaxlr.separation(np.column_stack([X, r]), y))
        for power in (10, 20, 28):
            near = X @ [1, -1] + 2.0**-power * r
            assert jaxlr.separation(np.column_stack([X, near]), y) == verdict
    assert len(verdicts) >= 2


@pytest.mark.parametrize(
    ("X", "r", "y"),
    [
        ([[0, 2], [-2, 0], [0, 0], [-2, 0]], [-1, 1, 1, 2], [0, 1, 1, 1]),
        ([[-2, -2], [-2, 1], [-2, -2], [-1, 1]], [0, 2, -2, -2], [0, 1, 1, 0]),
    ],
)
def test_a_direction_that_may_be_as_long_as_one_likes_is_no_longer_than_its_margins_need(X, r, y):
    """As above; the linear program may end far along a ray, where rounding is more than the margins: that was "none"."""
    X, r = np.array(X), np.array(r)
    assert jaxlr.separation(np.column_stack([X, r]), y) == "complete"
    for power in (24, 26, 28):
        assert jaxlr.separation(np.column_stack([X, X @ [1, -1] + 2.0**-power * r]), y) == "complete"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_status_is_the_verdict_on_thousands_of_random_sets(dtype):
    rng = np.random.default_rng(3)
    for m, n in ((12, 2), (20, 4), (40, 6)):
        designs = np.where(rng.random((700, 1, n)) < 0.4, rng.integers(0, 2, (700, m, n)), rng.standard_normal((700, m, n)))
        designs = designs.astype(dtype)
        labels = (designs @ np.full(n, 1.5) + rng.logistic(size=(700, m)) > 0.5).astype(dtype)
        labels[:, :2] = [0, 1]
        separated = np.array([jaxlr.separation(x, y) != "none" for x, y in zip(designs, labels, strict=True)])
        assert 0.05 < np.mean(separated) < 0.95
        status = np.asarray(jaxlr.fit(designs, labels).status)
        separates = status == Status.SEPARATED
        # In float32 jitter may shorten the steps before the verdict, as where there is a minimum: 5 of 98 sets of six columns.
        assert not np.any(separated & (status == Status.CONVERGED))
        assert np.mean(separates[separated]) >= (1 if dtype == np.float64 else 0.94)
        # Where the estimate puts rows so far out that float32 rounds their probability, it is not told from none.
        exact = jaxlr.fit(designs.astype(float), labels)
        far = np.abs(np.einsum("bmn,bn->bm", designs, exact.params.coef) + np.asarray(exact.params.intercept)[:, None]).max(1)
        beyond = (dtype == np.float32) & (far > -np.log(np.finfo(np.float32).eps))
        assert not np.any(separates & ~separated & ~beyond)
        assert np.mean(separates & ~separated) <= 0.002


# --- scans, resamples, summaries --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_scan_is_the_tests_of_its_fits_and_firth_where_a_column_separates():
    rng = np.random.default_rng(1)
    columns = rng.binomial(2, 0.3, (5, M)).astype(float)
    columns[3] = 0
    columns[3, np.flatnonzero(Y == 1)[:4]] = 1  # all of them cases
    scan = jaxlr.association_scan(columns, Y, covariates=X[:, :1])
    assert np.asarray(scan.status).tolist() == [0, 0, 0, Status.SEPARATED, 0]
    assert scan.firth.tolist() == [False, False, False, True, False]
    for j, fitted in ((0, jaxlr.fit), (3, jaxlr.fit_firth)):
        design = np.column_stack([X[:, :1], columns[j]])
        one, problem = fitted(design, Y), Problem(design, Y)
        found = inference.wald(one, problem)
        assert scan.estimate[j] == pytest.approx(float(found.estimate.coef[1]), rel=1e-8)
        assert scan.standard_error[j] == pytest.approx(float(found.standard_error.coef[1]), rel=1e-8)
        ratio = inference.profile_tests(one, problem).statistic.coef[1]
        assert float(scan.likelihood_ratio.statistic[j]) == pytest.approx(float(ratio), rel=1e-8)
    few = jaxlr.association_scan(columns, Y, covariates=X[:, :1], promising=float(np.sort(scan.score.p_value)[1]))
    assert np.sum(few.status == Status.NOT_RUN) == 3


def test_bootstrap_intervals_are_quantiles_of_the_resamples_that_converged(fit):
    rng = np.random.default_rng(10)
    draws = rng.standard_normal((99, N))
    resamples = jaxlr.Fit(
        params=jaxlr.Params(jnp.asarray(draws), jnp.zeros(99)), value=jnp.zeros(99), kkt=jnp.zeros(99), gap=jnp.zeros(99),
        status=jnp.zeros(99, jnp.int32), num_steps=jnp.ones(99, jnp.int32), solver="newton",
    )  # fmt: skip
    found = inference.bootstrap_intervals(fit, resamples, level=0.9)
    np.testing.assert_allclose(found.lower.coef, np.quantile(draws, 0.05, axis=0), rtol=1e-14)
    basic = inference.bootstrap_intervals(fit, resamples, level=0.9, method="basic")
    np.testing.assert_allclose(basic.upper.coef, 2 * np.asarray(fit.params.coef) - np.asarray(found.lower.coef), rtol=1e-14)
    with pytest.warns(UserWarning, match="1 of 99 resamples did not converge"):
        inference.bootstrap_intervals(fit, jax.tree.map(lambda leaf: leaf, resamples.__class__(
            **{**vars(resamples), "status": resamples.status.at[0].set(Status.SEPARATED)})))  # fmt: skip


def test_a_summary_prints_the_table_and_hands_it_out(fit):
    table = inference.summary(fit, PROBLEM, names=["a", "b", "c"])
    lines = str(table).splitlines()
    assert lines[0].split() == ["Estimate", "Std.", "Error", "z", "value", "Pr(>|z|)", "lower", "upper"]
    assert [line.split()[0] for line in lines[1:5]] == ["(Intercept)", "a", "b", "c"]
    assert f"on {M - 4} degrees of freedom" in str(table)
    given = table.to_dict()
    assert given["terms"] == ["(Intercept)", "a", "b", "c"]
    np.testing.assert_array_equal(given["estimate"][1:], fit.params.coef)
    assert "2 models" in str(inference.summary(*weighted()))


@pytest.mark.slow
def test_each_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    m, draws, truth = 200, 2000, np.array([0.8, -0.5])
    design = rng.standard_normal((m, 2))
    labels = (design @ truth + 0.3 + rng.logistic(size=(draws, m)) > 0).astype(float)
    problem, fits = Problem(design, labels), jaxlr.fit(design, labels)
    firth = jaxlr.fit_firth(design, labels)
    assert bool(fits.converged.all() & firth.converged.all())
    # Monte Carlo error of a share of 0.95 in 2,000 draws: 0.005; 4 of these, and 0.01 for the asymptotics at m = 200.
    intervals = {
        "Wald": inference.wald(fits, problem),
        "HC1": inference.wald(fits, problem, kind="HC1"),
        "profile": inference.profile_intervals(fits, problem),
        "Firth": inference.profile_intervals(firth, problem),
    }
    for name, found in intervals.items():
        covered = np.mean((np.asarray(found.lower.coef) <= truth) & (truth <= np.asarray(found.upper.coef)), axis=0)
        assert np.all(np.abs(covered - 0.95) <= 0.03), (name, covered)
    few = 150  # of bootstrap intervals, 400 resamples each: error 0.018
    counts = np.asarray(jaxlr.bootstrap(jax.random.key(0), m, 400))
    resamples = jaxlr.fit_firth(design, labels[:few], sample_weight=counts[:, None])
    one = jax.tree.map(lambda leaf: leaf[:few], firth)
    for method in ("percentile", "basic"):
        found = inference.bootstrap_intervals(one, resamples, method=method)
        covered = np.mean((np.asarray(found.lower.coef) <= truth) & (truth <= np.asarray(found.upper.coef)), axis=0)
        assert np.all(np.abs(covered - 0.95) <= 0.08), (method, covered)
    score = inference.score_test(jaxlr.fit(design[:, :1], labels), Problem(design[:, :1], labels), rng.standard_normal((1, m)))
    assert abs(np.mean(np.asarray(score.p_value) <= 0.05) - 0.05) <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_a_score_test_ignores_what_stands_in_rows_without_weight(num_classes):
    """Columns far from 0 keep their digits, centred under each model's own weights."""
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(120, 2)), rng.integers(0, num_classes or 2, 120)
    weights = np.stack([np.arange(120) % 2, np.ones(120)])
    columns = 1.7e9 + 500 * rng.normal(size=(2, 120))
    columns[0, 0] = 1e200  # only in a row of weight 0 of the first model
    fits = jaxlr.fit(X, y, num_classes=num_classes, sample_weight=weights)
    found = inference.score_test(fits, Problem(X, y, weights), columns).statistic
    rows = np.arange(120) % 2 == 1
    alone = jaxlr.fit(X[rows], y[rows], num_classes=num_classes)
    expected = inference.score_test(alone, Problem(X[rows], y[rows]), columns[:, rows]).statistic
    np.testing.assert_allclose(found[0], expected, rtol=1e-7)  # the digits that columns of 1.7e9 +- 500 have are 1e-10


def test_a_likelihood_ratio_of_other_data_is_refused():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    with pytest.raises(ValueError, match="expected the problem that was fitted"):
        inference.likelihood_ratio(jaxlr.fit(X, y, l2=1.0), jaxlr.fit(X[:, :1], y, l2=1.0), Problem(X, y))
