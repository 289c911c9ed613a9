"""Laws of inference of several classes: two are the binary model, a base is a view, a batch is its members."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, inference

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, K = 120, 3
X = RNG.normal(size=(M, 2)) * [1, 3] + [0, 50]
LABELS = (X[:, 0] + RNG.normal(size=M) > -0.5).astype(int) + (X[:, 1] + 2 * RNG.normal(size=M) > 51)
S = RNG.integers(1, 4, M).astype(float)
OFFSET = RNG.normal(size=(M, K)) / 2
PROBLEM = Problem(X, LABELS)
FIELDS = ("estimate", "standard_error", "z", "p_value", "lower", "upper")


@functools.cache
def fitted():
    return jaxlr.fit(X, LABELS, num_classes=K)


@functools.cache
def two_and_binary():
    """The same data as two classes and as a binary model, with weights and an offset."""
    y, shift = (LABELS > 0).astype(int), OFFSET[:, 0]
    both = np.column_stack([np.zeros(M), shift])
    two = jaxlr.fit(X, y, num_classes=2, sample_weight=S, offset=both), Problem(X, y, S, both)
    return two, (jaxlr.fit(X, y, sample_weight=S, offset=shift), Problem(X, y, S, shift))


def assert_class_1_is(found, expected, rtol=1e-8):
    np.testing.assert_allclose(found.coef[1], expected.coef, rtol=rtol)
    np.testing.assert_allclose(found.intercept[1], expected.intercept, rtol=rtol)


# --- two classes are the binary model ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "HC1"])
def test_two_classes_have_the_wald_tests_and_covariance_of_the_binary_model(kind):
    two, one = two_and_binary()
    got, expected = inference.wald(*two, kind=kind), inference.wald(*one, kind=kind)
    for name in FIELDS:
        assert_class_1_is(getattr(got, name), getattr(expected, name))
    V = np.asarray(inference.covariance(*two, kind=kind))
    np.testing.assert_allclose(V[3:, 3:], inference.covariance(*one, kind=kind), rtol=1e-7)
    assert not V[:3].any()
    assert not V[:, :3].any()


@pytest.mark.slow
def test_two_classes_have_the_profiles_of_the_binary_model():
    two, one = two_and_binary()
    got, expected = inference.profile_intervals(*two), inference.profile_intervals(*one)
    for name in ("estimate", "lower", "upper"):
        assert_class_1_is(getattr(got, name), getattr(expected, name))
    assert np.isnan(got.lower.coef[0]).all()
    got, expected = inference.profile_tests(*two), inference.profile_tests(*one)
    assert_class_1_is(got.statistic, expected.statistic)
    assert_class_1_is(got.p_value, expected.p_value)


@pytest.mark.slow
def test_two_classes_have_the_fit_and_the_score_tests_of_the_binary_model():
    two, one = two_and_binary()
    for got, expected in zip(inference.goodness_of_fit(*two), inference.goodness_of_fit(*one), strict=True):
        assert float(got) == pytest.approx(float(expected), rel=1e-10)
    columns = RNG.normal(size=(5, M))
    got, expected = inference.score_test(*two, columns), inference.score_test(*one, columns)
    assert (got.df, expected.df) == (1, 1)
    np.testing.assert_allclose(got.statistic, expected.statistic, rtol=1e-7)


# --- a base is a view -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_base_is_another_view_of_the_same_differences():
    first, last, none = (inference.wald(fitted(), PROBLEM, base=base) for base in (0, 2, None))
    np.testing.assert_allclose(first.standard_error.coef[2], last.standard_error.coef[0], rtol=1e-10)
    np.testing.assert_allclose(first.estimate.coef[2], -last.estimate.coef[0], rtol=1e-12)
    np.testing.assert_allclose(none.estimate.coef, fitted().params.coef)
    V = {base: np.asarray(inference.covariance(fitted(), PROBLEM, base=base)) for base in (0, 1, None)}
    D = np.kron(np.eye(K) - np.eye(K)[1], np.eye(3))  # a class less class 1
    np.testing.assert_allclose(V[1], D @ V[0] @ D.T, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(V[1], D @ V[None] @ D.T, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(V[None].reshape(K, 3, K, 3).sum(axis=0), 0, atol=1e-10)


@pytest.mark.slow
def test_a_base_has_no_test():
    found = inference.wald(fitted(), PROBLEM, base=1)
    assert np.isnan(found.z.coef[1]).all()
    assert np.isnan(found.p_value.intercept[1])
    assert not np.asarray(found.estimate.coef[1]).any()
    assert np.isnan(found.standard_error.coef[1]).all()
    assert not np.asarray(inference.standard_errors(fitted(), PROBLEM, base=1).coef[1]).any()
    assert np.isfinite(np.asarray(found.p_value.coef)[[0, 2]]).all()


@pytest.mark.slow
def test_every_base_is_another_view_of_the_same_profiles():
    first, last = (inference.profile_intervals(fitted(), PROBLEM, base=base) for base in (0, 2))
    np.testing.assert_allclose(first.lower.coef[2], -np.asarray(last.upper.coef[0]), rtol=1e-8)
    none = inference.profile_intervals(fitted(), PROBLEM, base=None)
    assert np.all(np.asarray(none.lower.coef) < np.asarray(none.estimate.coef))
    assert np.all(np.asarray(none.upper.coef) > np.asarray(none.estimate.coef))


# --- the formulas, and refits -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_covariances_are_those_of_the_formula(fit_intercept):
    """In NumPy, from scores (p - e_label) (x) a and the Hessian, of the classes 1 and 2 against 0."""
    A = X - [0.0, 50.0]
    problem = Problem(A, LABELS, S, fit_intercept=fit_intercept)
    fit = jaxlr.fit(A, LABELS, num_classes=K, sample_weight=S, fit_intercept=fit_intercept)
    p, k = np.asarray(jaxlr.predict_proba(fit.params, A)), 2 + fit_intercept
    rows = np.column_stack([A, np.ones(M)])[:, :k]
    W = np.einsum("i,ika->ika", S, p[:, :, None] * np.eye(K) - p[:, :, None] * p[:, None, :])[:, 1:, 1:]
    bread = np.linalg.inv(np.einsum("ika,ij,il->kjal", W, rows, rows).reshape(2 * k, 2 * k))
    scores = ((p - np.eye(K)[LABELS])[:, 1:, None] * rows[:, None, :]).reshape(M, -1)
    meat = scores.T @ (S[:, None] * scores)
    expected = {"model": bread, "HC0": bread @ meat @ bread}
    expected["HC1"] = expected["HC0"] * S.sum() / (S.sum() - 2 * k)
    kept = np.flatnonzero(np.tile(np.arange(3) < k, K))[k:]
    for kind, V in expected.items():
        found = np.asarray(inference.covariance(fit, problem, kind=kind))
        np.testing.assert_allclose(found[np.ix_(kept, kept)], V, rtol=1e-8, atol=1e-14)
        rest = np.setdiff1d(np.arange(9), kept)
        assert not found[rest].any()


@pytest.mark.slow
def test_the_covariance_of_a_penalized_fit_holds_the_penalty():
    """V^-1 is the Hessian where it can move: penalized coefficients sum to 0 over the classes, as intercepts do."""
    problem, fit = Problem(X, LABELS, l2=0.1), jaxlr.fit(X, LABELS, num_classes=K, l2=0.1)
    V = np.asarray(inference.covariance(fit, problem, base=None, penalized=True))
    H = np.asarray(jaxlr.hessian(fit.params, problem)) * M
    centre = np.kron(np.eye(K) - 1 / K, np.eye(3))
    np.testing.assert_allclose(V @ H @ centre, centre, atol=1e-7)


@pytest.mark.slow
def test_the_likelihood_ratio_of_two_multinomial_fits_has_the_degrees_of_freedom_of_all_their_classes():
    rng = np.random.default_rng(4)
    wide, labels = rng.normal(size=(500, 3)), rng.integers(0, 4, 500)
    larger, smaller = (jaxlr.fit(columns, labels, num_classes=4) for columns in (wide, wide[:, :1]))
    test = inference.likelihood_ratio(larger, smaller, Problem(wide, labels))
    assert test.df == 6  # (K - 1) for each of 2 columns
    statistic = 2 * 500 * (float(smaller.value) - float(larger.value))
    assert float(test.statistic) == pytest.approx(statistic, rel=1e-12)
    assert float(test.p_value) == pytest.approx(float(np.exp(inference.log_chi_square_tail(statistic, 6))), rel=1e-12)


@pytest.mark.slow
def test_likelihoods_are_not_compared_with_others():
    four = jaxlr.fit(X[:, :1], RNG.integers(0, 4, M), num_classes=4)
    binary = jaxlr.fit(X[:, :1], LABELS > 0)
    with pytest.raises(ValueError, match="one multinomial with 3 classes and one binary"):
        inference.likelihood_ratio(fitted(), binary, PROBLEM)
    with pytest.raises(ValueError, match="one multinomial with 3 classes and one multinomial with 4 classes"):
        inference.likelihood_ratio(fitted(), four, PROBLEM)


@pytest.mark.slow
def test_score_tests_are_those_of_the_formula():
    """u' V^-1 u from the whole Hessian of the larger model at the smaller one's estimate."""
    columns = np.stack([RNG.normal(size=M) + 100, LABELS + RNG.normal(size=M), X[:, 0] * 2 - X[:, 1], np.ones(M)])
    test = inference.score_test(fitted(), PROBLEM, columns)
    assert test.df == K - 1
    assert np.isnan(np.asarray(test.statistic)).tolist() == [False, False, True, True]
    p = np.asarray(jaxlr.predict_proba(fitted().params, X))
    W = (p[:, :, None] * np.eye(K) - p[:, :, None] * p[:, None, :])[:, 1:, 1:]
    for column, statistic in zip(columns[:2], test.statistic, strict=False):
        A = np.column_stack([column - column.mean(), X - X.mean(axis=0), np.ones(M)])
        g = np.einsum("ik,ij->jk", (p - np.eye(K)[LABELS])[:, 1:], A).ravel()
        H = np.einsum("ika,ij,il->jkla", W, A, A).reshape(8, 8)
        assert float(statistic) == pytest.approx(g @ np.linalg.solve(H, g), rel=1e-7)


@pytest.mark.slow
def test_profiles_agree_with_refits():
    """Newton's method with the parameter held, written out for it."""
    found, tests = inference.profile_intervals(fitted(), PROBLEM, level=0.9), inference.profile_tests(fitted(), PROBLEM)
    quantile = float(inference.tails.normal_quantile(0.9)) ** 2

    A = np.column_stack([X - X.mean(axis=0), np.ones(M)])

    def objective(x, value):
        theta = jnp.concatenate([jnp.zeros(3), value[None], x]).reshape(K, 3)
        z = A @ theta.T
        return jnp.sum(jax.nn.logsumexp(z, axis=1) - z[np.arange(M), LABELS])

    slope, bend = jax.jit(jax.grad(objective)), jax.jit(jax.hessian(objective))

    def risen(value):
        """2 N (min F - F) where the first coefficient of class 1 less that of class 0 is held at a value."""
        x, value = jnp.zeros(5), jnp.asarray(value)
        for _ in range(50):
            step = jnp.linalg.solve(bend(x, value), slope(x, value))
            x = x - step / max(1, float(jnp.max(jnp.abs(step))))
        return 2 * (float(objective(x, value)) - M * float(fitted().value))

    for end in (found.lower.coef[1, 0], found.upper.coef[1, 0]):
        assert risen(float(end)) == pytest.approx(quantile, rel=1e-7)
    assert float(tests.statistic.coef[1, 0]) == pytest.approx(risen(0.0), rel=1e-7)


def test_soft_labels_of_two_classes_have_the_measures_of_the_binary_model():
    """The deviance of shares is that over the saturated model, of the likelihood of each row's own shares."""
    y = (np.arange(M) % 5 + 1) / 7
    both = np.stack([1 - y, y], axis=1)
    found = inference.goodness_of_fit(jaxlr.fit(X, both, num_classes=2), Problem(X, both))
    expected = inference.goodness_of_fit(jaxlr.fit(X, y), Problem(X, y))
    for name in ("log_likelihood", "deviance", "null_deviance", "aic", "mcfadden", "cox_snell", "nagelkerke"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)


@pytest.mark.slow
def test_the_null_model_has_the_offset():
    fit = jaxlr.fit(X, LABELS, num_classes=K, offset=OFFSET, sample_weight=S)
    found = inference.goodness_of_fit(fit, Problem(X, LABELS, S, OFFSET))
    null = jaxlr.fit(np.zeros((M, 0)), LABELS, num_classes=K, offset=OFFSET, sample_weight=S)
    assert float(found.null_log_likelihood) == pytest.approx(-float(null.value) * S.sum(), rel=1e-12)
    without = jaxlr.fit(X, LABELS, num_classes=K, offset=OFFSET, fit_intercept=False)
    found = inference.goodness_of_fit(without, Problem(X, LABELS, offset=OFFSET, fit_intercept=False))
    log_p = jax.nn.log_softmax(OFFSET)[np.arange(M), LABELS]
    assert float(found.null_log_likelihood) == pytest.approx(float(log_p.sum()), rel=1e-12)
    assert float(found.df_residual) == M - 4


# --- weights, batches, resamples --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_weight_is_so_many_rows():
    rows = np.repeat(np.arange(M), S.astype(int))
    one = jaxlr.fit(X, LABELS, num_classes=K, sample_weight=S), Problem(X, LABELS, S)
    other = jaxlr.fit(X[rows], LABELS[rows], num_classes=K), Problem(X[rows], LABELS[rows])
    for kind in ("model", "HC1"):
        got, expected = (inference.standard_errors(*pair, kind=kind) for pair in (one, other))
        np.testing.assert_allclose(got.coef, expected.coef, rtol=1e-8)
    for got, expected in zip(inference.goodness_of_fit(*one), inference.goodness_of_fit(*other), strict=True):
        assert float(got) == pytest.approx(float(expected), rel=1e-10)


@functools.cache
def batch():
    """Members with a class without weight, an offset of their own, and neither."""
    weights = np.stack([S, np.where(LABELS == 2, 0, 1.0), np.ones(M)])
    offsets = np.stack([OFFSET, 0 * OFFSET, 0 * OFFSET])
    fits = jaxlr.fit(X, LABELS, num_classes=K, sample_weight=weights, offset=offsets)
    assert fits.status.tolist() == [Status.CONVERGED, Status.INVALID, Status.CONVERGED]
    return fits, Problem(X, LABELS, weights, offsets)


@pytest.mark.slow
@pytest.mark.parametrize(
    "function",
    [
        pytest.param(inference.wald, marks=pytest.mark.slow),
        functools.partial(inference.covariance, kind="HC0"),
        inference.goodness_of_fit,
        pytest.param(functools.partial(inference.score_test, columns=RNG.normal(size=(2, M))), marks=pytest.mark.slow),
        pytest.param(inference.profile_intervals, marks=pytest.mark.slow),
        pytest.param(inference.profile_tests, marks=pytest.mark.slow),
    ],
    ids=["wald", "covariance", "goodness_of_fit", "score_test", "profile_intervals", "profile_tests"],
)
def test_a_batch_is_its_members_and_nan_where_one_did_not_converge(function):
    fits, problem = batch()
    found = function(fits, problem)
    for i in (0, 2):
        member = jax.tree.map(lambda leaf, i=i: leaf[i], fits)
        alone = function(member, Problem(X, LABELS, problem.sample_weight[i], problem.offset[i]))
        for got, expected in zip(jax.tree.leaves(found), jax.tree.leaves(alone), strict=True):
            if np.ndim(got):  # a degree of freedom is none
                np.testing.assert_allclose(got[i], expected, rtol=1e-7, atol=1e-12)
    first = found.statistic if isinstance(found, inference.Test) else jax.tree.leaves(found)[-1]
    params = first if isinstance(first, jaxlr.SoftmaxParams) else [first]
    assert all(np.isnan(leaf[1]).all() for leaf in params)


@pytest.mark.slow
def test_bootstrap_intervals_are_those_of_the_differences_to_the_base():
    draws = RNG.normal(size=(99, K, 2))
    resamples = jaxlr.Fit(
        params=jaxlr.SoftmaxParams(draws, draws[..., 0]), value=np.zeros(99), kkt=np.zeros(99), gap=np.zeros(99),
        status=np.zeros(99, np.int32), num_steps=np.ones(99, np.int32), solver="newton",
    )  # fmt: skip
    found = inference.bootstrap_intervals(fitted(), resamples, level=0.9)
    assert found.lower.coef.shape == (K, 2)
    assert found.lower.intercept.shape == (K,)
    np.testing.assert_allclose(found.lower.coef, np.quantile(draws - draws[:, :1], 0.05, axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.estimate.coef, fitted().params.coef - fitted().params.coef[:1], rtol=1e-14)
    none = inference.bootstrap_intervals(fitted(), resamples, level=0.9, base=None, method="basic")
    expected = 2 * np.asarray(fitted().params.coef) - np.quantile(draws, 0.95, axis=0)
    np.testing.assert_allclose(none.lower.coef, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"expected resamples \(k, ...\) of the fit"):
        inference.bootstrap_intervals(jaxlr.fit(X, LABELS > 0), resamples)


@pytest.mark.slow
def test_bootstraps_of_the_front_door_give_intervals_around_the_estimate():
    resamples = jaxlr.fit_bootstrap(jax.random.key(0), X, LABELS, 60, num_classes=K)
    found = inference.bootstrap_intervals(fitted(), resamples, base=1)
    lower, estimate, upper = (np.asarray(part.coef)[[0, 2]] for part in (found.lower, found.estimate, found.upper))
    assert np.all((lower < estimate) & (estimate < upper))
    assert not np.asarray(found.upper.coef[1]).any()


# --- summaries and refusals -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_summary_of_a_batch_has_a_row_for_every_model_class_and_term():
    table = inference.summary(*batch(), names=["a", "b"], base=2)
    assert "3 models" in str(table)
    frame = table.to_pandas()
    assert frame.index.names == ["model", "class", "term"]
    assert len(frame) == 3 * 2 * 3
    found = inference.wald(*batch(), base=2)
    assert frame.loc[(0, 1, "b"), "estimate"] == pytest.approx(float(found.estimate.coef[0, 1, 1]))
    symmetric = inference.summary(fitted(), PROBLEM, base=None)
    assert [f"y={k}" in str(symmetric) for k in range(K)] == [True] * K
    assert "Df Model: 4" in " ".join(str(symmetric).split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inference.wald(fitted(), PROBLEM, base=3), "expected base None or a class from 0 to 2, got 3"),
        (lambda: inference.covariance(fitted(), PROBLEM, base=True), "expected base to be an integer >= 0, got True"),
        (lambda: inference.profile_tests(fitted(), PROBLEM, base=-1), "expected base to be an integer >= 0, got -1"),
        (lambda: inference.wald(*two_and_binary()[1], base=1), "expected no base for a binary fit"),
        (lambda: inference.profile_intervals(*two_and_binary()[1], base=None), "expected no base for a binary fit"),
        (lambda: inference.wald(fitted(), Problem(X, LABELS, l2=0.1)), "expected an unpenalized fit"),
        (lambda: inference.covariance(fitted(), Problem(X, LABELS, l1=0.1)), "expected a fit without l1"),
        (lambda: inference.goodness_of_fit(fitted(), Problem(X, LABELS, offset=OFFSET)), "the problem that was fitted"),
        (lambda: inference.wald(fitted(), Problem(X, np.stack([LABELS, LABELS]))), r"expected a problem of the batch \(\)"),
        (lambda: inference.score_test(fitted(), PROBLEM, X), r"expected columns \(k, 120\).*transposed"),
    ],
)
def test_what_has_no_answer_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
