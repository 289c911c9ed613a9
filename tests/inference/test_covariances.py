"""Robust covariances: the formulas in NumPy, of every member of a batch; laws of weights; joint tests; what is refused."""

import itertools

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(5)
M, N = 60, 2
X = RNG.standard_normal((M, N))
Y = (X[:, 0] + RNG.logistic(size=M) > 0).astype(float)
LABELS = np.digitize(X[:, 0] + RNG.logistic(size=M), [-1, 1])
S = RNG.integers(0, 4, (2, M)).astype(float)
A = np.column_stack([X, np.ones(M)])
CITY, YEAR = RNG.integers(0, 9, M), RNG.integers(0, 5, M)
K = N + 1


def parts(s):
    """Of one binary model: bread, scores of the rows under their weights, leverage of one row."""
    fit = jaxlr.fit(X, Y, sample_weight=s)
    p = np.asarray(jaxlr.predict_proba(fit.params, X))
    bread = np.linalg.inv((A.T * (s * p * (1 - p))) @ A)
    return bread, A * (Y - p)[:, None], p * (1 - p) * np.sum((A @ bread) * A, axis=1)


def clustered(u, labels, total, small, present):
    sums = np.stack([u[labels == label].sum(0) for label in np.unique(labels)])
    G = len(np.unique(labels[present]))
    return sums.T @ sums * (G / (G - 1) * (total - 1) / (total - K) if small else 1)


def meat(kind, s, small):
    _, u, h = parts(s)
    total, m = s.sum(), np.count_nonzero(s)
    if kind in ("HC0", "HC1", "HC2", "HC3"):
        own = u / (1 - h[:, None]) ** {"HC2": 0.5, "HC3": 1}.get(kind, 0)
        return (own.T * s) @ own * (total / (total - K) if kind == "HC1" else 1)
    u = u * s[:, None]
    if kind == "sampling":
        return u.T @ u * (m / (m - 1) if small else 1)
    if kind == "cluster":
        return clustered(u, CITY, total, small, s > 0)
    if kind == "two ways":
        both = CITY * 100 + YEAR
        return sum(sign * clustered(u, labels, total, small, s > 0) for sign, labels in ((1, CITY), (1, YEAR), (-1, both)))
    found = u.T @ u
    for lag in range(1, 4):
        product = u[lag:].T @ u[:-lag]
        found = found + (1 - lag / 4) * (product + product.T)
    return found * (total / (total - K) if small else 1)


OPTIONS = {
    "HC0": {}, "HC1": {}, "HC2": {}, "HC3": {}, "sampling": {}, "cluster": {"clusters": [f"city {c}" for c in CITY]},
    "two ways": {"kind": "cluster", "clusters": np.column_stack([CITY, YEAR])}, "HAC": {"lags": 3},
}  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) if kind != "HC3" else kind for kind in OPTIONS])
def test_covariances_are_those_of_the_formulas_for_every_member_of_a_batch(kind):
    fits, problem = jaxlr.fit(X, Y, sample_weight=S), Problem(X, Y, S)
    for small in (True, False):
        found = inference.covariance(fits, problem, **{"kind": kind} | OPTIONS[kind], small_sample=small)
        for i, s in enumerate(S):
            bread = parts(s)[0]
            # Of condition numbers of 10 or so; intersections are subtracted from what is larger.
            np.testing.assert_allclose(found[i], bread @ meat(kind, s, small) @ bread, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["HC0", "HC2", "HC3"])
def test_a_weight_is_so_many_rows(kind):
    repeated = np.repeat(np.arange(M), S[0].astype(int))
    V = inference.covariance(jaxlr.fit(X, Y, sample_weight=S[0]), Problem(X, Y, S[0]), kind=kind)
    rows = inference.covariance(jaxlr.fit(X[repeated], Y[repeated]), Problem(X[repeated], Y[repeated]), kind=kind)
    np.testing.assert_allclose(V, rows, rtol=1e-10)


@pytest.mark.slow
def test_sampling_errors_do_not_depend_on_the_scale_of_the_weights_and_clusters_of_single_rows_are_hc0():
    one, many = (
        inference.covariance(jaxlr.fit(X, Y, sample_weight=k * S[0]), Problem(X, Y, k * S[0]), kind="sampling")
        for k in (1, 700)
    )
    np.testing.assert_allclose(one, many, rtol=1e-10)
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    single = inference.covariance(fit, problem, kind="cluster", clusters=np.arange(M), small_sample=False)
    np.testing.assert_allclose(single, inference.covariance(fit, problem, kind="HC0"), rtol=1e-12)
    without_lags = inference.covariance(fit, problem, kind="HAC", lags=0, small_sample=False)
    np.testing.assert_allclose(without_lags, inference.covariance(fit, problem, kind="HC0"), rtol=1e-12)


@pytest.mark.slow
def test_clusters_of_several_classes_are_those_of_the_scores():
    fit, problem = jaxlr.fit(X, LABELS, num_classes=3), Problem(X, LABELS)
    found = inference.covariance(fit, problem, kind="cluster", clusters=CITY, small_sample=False)
    z = np.asarray(jaxlr.logits(fit.params, X))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    free = (p - np.eye(3)[LABELS])[:, 1:]  # against class 0
    u = (free[:, :, None] * A[:, None, :]).reshape(M, -1)
    W = np.einsum("mk,kl->mkl", p[:, 1:], np.eye(2)) - p[:, 1:, None] * p[:, None, 1:]
    bread = np.linalg.inv(np.einsum("mkl,mi,mj->kilj", W, A, A).reshape(2 * K, 2 * K))
    sums = np.stack([u[label == CITY].sum(0) for label in np.unique(CITY)])
    np.testing.assert_allclose(np.asarray(found)[K:, K:], bread @ sums.T @ sums @ bread, rtol=1e-8)


@pytest.mark.slow
def test_a_joint_test_of_one_parameter_is_the_square_of_its_z_and_does_not_depend_on_how_hypotheses_are_written():
    fits, problem = jaxlr.fit(X, Y, sample_weight=S), Problem(X, Y, S)
    one = inference.wald_test(fits, problem, [[1, 0, 0]], kind="HC3")
    np.testing.assert_allclose(one.statistic, inference.wald(fits, problem, kind="HC3").z.coef[:, 0] ** 2, rtol=1e-12)
    R, mixed = np.eye(3)[:2], np.array([[2.0, 1, 0], [-1, 5, 0]])
    both, again = (inference.wald_test(fits, problem, H, H @ [0.5, -0.2, 0]) for H in (R, mixed))
    assert int(both.df) == 2
    np.testing.assert_allclose(both.statistic, again.statistic, rtol=1e-10)
    for i in range(2):
        V, b = np.asarray(inference.covariance(fits, problem))[i], np.asarray(fits.params.coef)[i] - [0.5, -0.2]
        np.testing.assert_allclose(both.statistic[i], b @ np.linalg.solve(V[:2, :2], b), rtol=1e-10)


@pytest.mark.slow
def test_summary_and_errors_take_the_same_kinds():
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    errors = inference.standard_errors(fit, problem, kind="cluster", clusters=CITY)
    summary = inference.summary(fit, problem, kind="cluster", clusters=CITY)
    np.testing.assert_array_equal(summary.table["standard_error"][1:], errors.coef)
    assert str(summary).endswith("Standard errors: cluster")
    V = inference.covariance(fit, problem, kind="cluster", clusters=CITY)
    np.testing.assert_allclose(np.diag(V)[:N], np.asarray(errors.coef) ** 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cluster"}, "clusters"),
        ({"clusters": CITY}, "clusters"),
        ({"kind": "HAC"}, "lags"),
        ({"kind": "HAC", "lags": -1}, "lags"),
        ({"kind": "cluster", "clusters": CITY[:-1]}, "one label a row"),
        ({"kind": "cluster", "clusters": np.zeros(M)}, "at least two"),
        ({"kind": "HC4"}, "HC3"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        inference.covariance(jaxlr.fit(X, Y), Problem(X, Y), **options)


@pytest.mark.slow
def test_hypotheses_that_cannot_be_tested_are_refused():
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    for R, r, message in (
        (np.eye(2), 0, "column for each"),
        ([[1, 0, 0], [2, 0, 0]], 0, "depend"),
        ([[1, 0, 0]], [1, 2], "expected r"),
    ):
        with pytest.raises(ValueError, match=message):
            inference.wald_test(fit, problem, R, r)
    with pytest.raises(ValueError, match="two classes"):
        inference.covariance(jaxlr.fit(X, LABELS, num_classes=3), Problem(X, LABELS), kind="HC3")


@pytest.mark.slow
def test_what_did_not_converge_is_nan_alone():
    targets = np.stack([Y, X[:, 0] > 0])
    V = np.asarray(inference.covariance(jaxlr.fit(X, targets), Problem(X, targets), kind="cluster", clusters=CITY))
    assert jax.tree.all(jax.tree.map(lambda a, b: a == b, np.isnan(V).all(axis=(1, 2)).tolist(), [False, True]))
    assert not np.isnan(V[0]).any()


@pytest.mark.slow
def test_the_factor_of_clusters_alone_does_not_depend_on_the_scale_of_weights_and_the_other_needs_counts():
    def errors(scale, small_sample, **kind):
        s = scale * np.ones(M)
        problem = Problem(X, Y, s)
        return inference.standard_errors(jaxlr.fit(X, Y, sample_weight=s), problem, small_sample=small_sample, **kind).coef

    of_clusters = {"kind": "cluster", "clusters": CITY}
    whole, alone = errors(1.0, True, **of_clusters), errors(1.0, "clusters", **of_clusters)
    np.testing.assert_allclose(whole, alone * np.sqrt((M - 1) / (M - K)), rtol=1e-12)
    np.testing.assert_allclose(errors(1 / M, "clusters", **of_clusters), alone, rtol=1e-12)
    for kind in (of_clusters, {"kind": "HC1"}, {"kind": "HAC", "lags": 2}, {"kind": "HC3"}):
        assert np.all(np.isnan(errors(1 / M, True, **kind)))  # N = 1 <= k, and leverages of a whole row over 1


@pytest.mark.slow
def test_one_cluster_with_weight_is_nan_in_that_member_alone():
    s = np.stack([np.ones(M), (CITY[0] == CITY).astype(float)])
    fits, problem = jaxlr.fit(X, Y, sample_weight=s), Problem(X, Y, s)
    for small_sample in (True, False):
        V = np.asarray(inference.covariance(fits, problem, kind="cluster", clusters=CITY, small_sample=small_sample))
        assert np.isnan(V[1]).all()
        assert np.isfinite(V[0]).all()


@pytest.mark.parametrize(
    "missing", [np.where(CITY[0] == CITY, np.nan, CITY), np.where(CITY[0] == CITY, None, CITY), np.full((M, 2), None)]
)
def test_missing_labels_of_clusters_are_refused(missing):
    with pytest.raises(ValueError, match="missing"):
        inference.covariance(jaxlr.fit(X, Y), Problem(X, Y), kind="cluster", clusters=missing)


@pytest.mark.slow
def test_many_ways_are_one_program():
    ways = np.stack([np.arange(M) % d for d in range(2, 10)], axis=1)
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    V = np.asarray(inference.covariance(fit, problem, kind="cluster", clusters=ways, small_sample=False))
    expected = np.zeros_like(V)
    for size in range(1, 9):
        for chosen in itertools.combinations(range(8), size):
            labels = np.unique(ways[:, chosen], axis=0, return_inverse=True)[1].ravel()
            one = inference.covariance(fit, problem, kind="cluster", clusters=labels, small_sample=False)
            expected += (-1) ** (size + 1) * np.asarray(one)
    np.testing.assert_allclose(V, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_joint_tests_of_columns_that_are_all_but_one_are_those_of_their_difference():
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 120))
    y = (rng.random(120) < 0.5).astype(float)
    difference = ((a + 1e-8 * c) - a) / 1e-8
    near, exact = np.stack([a, b, a + 1e-8 * c], axis=1), np.stack([a, b, difference], axis=1)
    # b1 + b3 of the one are b1 of the other, b3 is b3 times 1e8.
    for R, same in (([[1, 0, 1, 0]], [[1, 0, 0, 0]]), (np.eye(4)[[0, 2]], np.eye(4)[[0, 2]])):
        for kind in ("model", "HC3"):
            found = inference.wald_test(jaxlr.fit(near, y), Problem(near, y), R, kind=kind).statistic
            expected = inference.wald_test(jaxlr.fit(exact, y), Problem(exact, y), same, kind=kind).statistic
            np.testing.assert_allclose(found, expected, rtol=1e-6)  # 100 eps / 1e-8


@pytest.mark.slow
def test_fewer_clusters_than_hypotheses_test_nothing():
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    two = np.arange(M) % 4 < 1
    assert np.isnan(float(inference.wald_test(fit, problem, np.eye(3)[:2], kind="cluster", clusters=two).statistic))
    assert np.isfinite(float(inference.wald_test(fit, problem, np.eye(3)[:1], kind="cluster", clusters=two).statistic))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2.0**600, 2.0**-600])
def test_errors_have_digits_where_their_squares_have_none(scale):
    fit, scaled = (jaxlr.fit(columns, Y) for columns in (X, X * scale))
    for kind in ("model", "HC3"):
        expected = np.asarray(inference.standard_errors(fit, Problem(X, Y), kind=kind).coef) / scale
        np.testing.assert_allclose(
            inference.standard_errors(scaled, Problem(X * scale, Y), kind=kind).coef, expected, rtol=1e-9
        )


def test_rows_written_on_different_scales_are_hypotheses_all_the_same():
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    R = np.eye(3)[:2]
    expected = inference.wald_test(fit, problem, R, [0.1, 0.2]).statistic
    tiny = np.array([1e-200, 1e150])
    np.testing.assert_allclose(
        inference.wald_test(fit, problem, R * tiny[:, None], tiny * [0.1, 0.2]).statistic, expected, rtol=1e-12
    )
