"""Groups on paths and in cross-validation, the relaxed lasso, estimators, and what is refused in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

import jaxlr
from jaxlr import Params, Problem, Status, cross_validate, fit, glmnet_path, l1_max
from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV
from tests.fitting.test_groups import GROUPS, KINDS, OFFSET, THREE, M, N, S, X, Y
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
SPARSE = scipy.sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0))
FACTOR = np.array([1.0, 0, 1, 0.5, 0.5, 0])
FOLDS = (np.random.default_rng(1).permutation(M)[None, :] % 4 != np.arange(4)[:, None]).astype(float)
LARGEST = {
    "plain": {},
    "l1": {"l1": 0.02},
    "weights": {"sample_weight": S, "offset": OFFSET},
    "no intercept": {"fit_intercept": False},
    "not negative": {"lower": np.zeros(N), "l1": 0.01},
    "sparse": {"X": SPARSE},
    "three classes": {"y": THREE, "num_classes": 3},
    "factor": {"penalty_factor": FACTOR, "l1": 0.01},
    "all": {"X": SPARSE, "y": THREE, "num_classes": 3, "penalty_factor": FACTOR, "sample_weight": S, "l1": 0.01},
}


@pytest.mark.parametrize("name", quick(LARGEST, "l1", "not negative", "all"))
@pytest.mark.slow
def test_the_largest_strength_is_the_least_that_holds_all_at_0(name):
    given = {"X": X, "y": Y, "groups": GROUPS} | LARGEST[name]
    problem = Problem(**{key: value for key, value in given.items() if key != "num_classes"})
    first = float(l1_max(problem, num_classes=given.get("num_classes")))
    shares = np.array([1.0, 1 - 1e-6, 1 + 1e-6])
    found = fit(**given, l1_group=first * shares, tol=1e-12)
    assert bool(found.converged.all())
    free = given.get("penalty_factor", np.ones(N)) == 0
    held = np.asarray(found.params.coef)[..., ~free]
    assert not np.any(held[0])
    assert not np.any(held[2])
    assert np.any(held[1])
    assert np.all(np.asarray(found.params.coef)[..., free] != 0)


@pytest.mark.slow
def test_the_largest_strength_is_that_of_the_slopes_at_the_null_model():
    slopes = np.maximum(np.abs((X - X.mean(axis=0)).T @ (Y.mean() - Y)) / M - 0.02, 0)
    expected = max(np.linalg.norm(slopes[g == GROUPS]) / np.sqrt(np.sum(g == GROUPS)) for g in GROUPS)
    assert float(l1_max(Problem(X, Y, groups=GROUPS, l1=0.02))) == pytest.approx(expected, rel=1e-12)
    assert float(l1_max(Problem(X, Y, groups=GROUPS, l1=1.0))) == 0
    assert float(l1_max(Problem(X, Y, groups=GROUPS, penalty_factor=np.zeros(N)))) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", quick(KINDS, "binary"))
def test_every_model_beside_the_threshold_converges(kind):
    classes = KINDS[kind].get("num_classes")
    first = float(l1_max(Problem(X, KINDS[kind]["y"], groups=GROUPS), num_classes=classes))
    steps = 10.0 ** -np.arange(1, 17)
    found = fit(X, **KINDS[kind], l1_group=first * (1 + np.array([[1], [-1]]) * steps), groups=GROUPS)
    assert bool(found.converged.all())
    assert not np.any(found.params.coef[0])
    used = np.any(np.asarray(found.params.coef[1]).reshape(len(steps), -1) != 0, axis=1)
    assert np.all(used[:8])  # the residual of 0 there is over the tolerance of 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("standardize", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_path_begins_where_the_first_group_enters(standardize):
    path = glmnet_path(X, Y, groups=GROUPS, alpha=0.5, num_strengths=30, ratio=0.01, standardize=standardize)
    np.testing.assert_array_equal(path["groups"], GROUPS)
    np.testing.assert_array_equal(path["l1_group"], path["l2"])
    assert float(path["l1_group"][-1] / path["l1_group"][0]) == pytest.approx(0.01, rel=1e-12)
    fits = fit(X, Y, standardize=standardize, **path)
    assert bool(fits.converged.all())
    used = np.asarray(fits.params.coef) != 0
    assert used.sum(axis=1)[:2].tolist() == [0, 2]
    pure = glmnet_path(X, Y, groups=GROUPS, num_strengths=3, standardize=standardize)
    assert float(pure["l1_group"][0]) == pytest.approx(float(path["l1_group"][0]), rel=1e-12)


@pytest.mark.slow
def test_the_path_of_groups_of_one_column_is_that_of_the_lasso():
    options = {"num_strengths": 5, "penalty_factor": np.arange(N) + 0.5, "sample_weight": S}
    alone, lasso = glmnet_path(X, Y, groups=np.arange(N), **options), glmnet_path(X, Y, **options)
    np.testing.assert_allclose(alone["l1_group"], lasso["l1"], rtol=1e-12)
    np.testing.assert_array_equal(alone["penalty_factor"], lasso["penalty_factor"])


@pytest.mark.slow
def test_sparse_equals_dense():
    options = {"l1_group": np.array([0.05, 0.01]), "l1": 0.005, "groups": GROUPS}
    found, wanted = fit(SPARSE, Y, **options), fit(SPARSE.toarray(), Y, **options)
    assert bool(found.converged.all())
    assert np.any(found.params.coef)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-9)


@pytest.mark.parametrize("kind", ["binary", pytest.param("multinomial", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_scores_are_those_of_fits_of_each_fold(kind):
    path = glmnet_path(X, **KINDS[kind], groups=GROUPS, num_strengths=4, ratio=0.05)
    options = {**KINDS[kind], "groups": GROUPS, "standardize": True}
    cv = cross_validate(X, l1_group=path["l1_group"], folds=FOLDS, **options)
    assert cv.fits.status.shape == (4, 4)
    assert cv.l1_group.shape == (4,)
    for i, j in [(0, 3), (3, 2)]:
        one, rows = fit(X, l1_group=path["l1_group"][j], sample_weight=FOLDS[i], **options), FOLDS[i] == 0
        z, y = np.asarray(jaxlr.logits(one.params, X[rows])), KINDS[kind]["y"][rows]
        lost = np.logaddexp(0, z) - y * z if kind == "binary" else np.logaddexp.reduce(z, axis=0) - z[y, np.arange(len(y))]
        assert float(cv.scores["log_loss"][i, j]) == pytest.approx(lost.mean(), abs=1e-8)  # coefficients to 1e-8
    again = fit(X, l1_group=path["l1_group"][cv.best[0]], **options)
    np.testing.assert_allclose(cv.refit.params.coef, again.params.coef, atol=1e-8)


@pytest.fixture(scope="module")
def relaxed():
    """A path with three shares."""
    shares = np.array([[0.0], [0.4], [1.0]])
    return cross_validate(X, Y, l1_group=np.array([0.1, 0.02]), groups=GROUPS, gamma=shares, folds=FOLDS)


@pytest.mark.slow
def test_gamma_1_is_the_penalized_fit_and_gamma_0_that_of_its_columns_alone(relaxed):
    plain = cross_validate(X, Y, l1_group=np.array([0.1, 0.02]), groups=GROUPS, folds=FOLDS)
    np.testing.assert_array_equal(relaxed.fits.params.coef[:, 2], plain.fits.params.coef)
    np.testing.assert_array_equal(relaxed.scores["log_loss"][:, 2], plain.scores["log_loss"])
    np.testing.assert_array_equal(relaxed.fits.value[:, 2], plain.fits.value)
    assert np.all(np.isnan(relaxed.fits.value[:, :2]))
    for fold, j in [(0, 0), (2, 1)]:
        used = np.asarray(plain.fits.params.coef[fold, j]) != 0
        alone = fit(X[:, used], Y, sample_weight=FOLDS[fold])
        got = np.asarray(relaxed.fits.params.coef[fold, 0, j])
        np.testing.assert_allclose(got[used], alone.params.coef, atol=1e-7)  # two fits to 1e-10 over curvatures of 0.01
        assert not np.any(got[~used])
    assert 0 < np.count_nonzero(plain.fits.params.coef[0, 0]) < N


@pytest.mark.slow
def test_shares_between_blend_both(relaxed):
    for part in map(np.asarray, relaxed.fits.params):
        expected = 0.4 * part[:, 2] + (1 - 0.4) * part[:, 0]
        np.testing.assert_allclose(part[:, 1], expected, rtol=0, atol=4 * EPS * np.max(np.abs(part)))
    assert relaxed.gamma.shape == relaxed.fits.status.shape[1:] == (3, 2)
    steps = np.asarray(relaxed.fits.num_steps)
    assert np.all(steps[:, 0] > steps[:, 2])
    np.testing.assert_array_equal(steps[:, 0], steps[:, 1])


@pytest.mark.slow
def test_the_relaxed_lasso_counts_columns_that_any_class_uses():
    options = {"num_classes": 3, "folds": FOLDS, "l1": np.array([0.08])}
    cv = cross_validate(X, THREE, gamma=0.0, **options)
    penalized = np.asarray(cross_validate(X, THREE, **options).fits.params.coef)[0, 0]
    used = np.any(penalized != 0, axis=0)
    assert np.any((penalized == 0) & used)
    assert not np.all(used)
    alone = fit(X[:, used], THREE, num_classes=3, sample_weight=FOLDS[0])
    np.testing.assert_allclose(cv.fits.params.coef[0, 0][:, used], alone.params.coef, atol=1e-6)  # 1e-10 over 1e-3
    assert not np.any(cv.fits.params.coef[0, 0][:, ~used])


@pytest.mark.slow
def test_a_refit_whose_classes_are_separated_says_so_and_is_not_chosen():
    A = np.column_stack([X, 3.0 * Y - 1])
    groups = np.append(GROUPS, 100)
    options = {"l1_group": 0.1, "groups": groups, "folds": FOLDS, "gamma": np.array([0.0, 0.5, 1.0])}
    with pytest.warns(UserWarning, match="2 of 3 penalties lack"):
        cv = cross_validate(A, Y, **options)
    assert np.all(cv.fits.status[:, :2] == Status.SEPARATED)
    assert np.all(cv.fits.status[:, 2] == Status.CONVERGED)
    assert cv.best == (2,)


@pytest.mark.slow
def test_columns_without_a_penalty_count_in_the_refit():
    options = {"l1_group": 0.5, "groups": GROUPS, "penalty_factor": FACTOR, "folds": FOLDS, "refit": True}
    cv = cross_validate(X, Y, gamma=0.0, **options)
    alone = fit(X[:, FACTOR == 0], Y)
    np.testing.assert_allclose(cv.refit.params.coef[FACTOR == 0], alone.params.coef, atol=1e-8)
    assert not np.any(cv.refit.params.coef[FACTOR > 0])


@pytest.mark.parametrize("gamma", [-0.1, 1.5, np.nan, "a"])
def test_shares_out_of_range_are_refused(gamma):
    with pytest.raises(ValueError, match=r"expected gamma in \[0, 1\]"):
        cross_validate(X, Y, l1=0.1, folds=FOLDS, gamma=gamma)


@pytest.mark.slow
def test_estimators_take_groups():
    model = LogisticRegressor(groups=GROUPS, l1_ratio=0.8, C=0.2)
    found = clone(model).fit(X, Y)
    strength = 1 / (0.2 * M)
    wanted = fit(X, Y, l1_group=0.8 * strength, l2=0.2 * strength, groups=GROUPS)
    np.testing.assert_allclose(found.coef_[0], wanted.params.coef, atol=1e-8)
    assert 0 < np.count_nonzero(found.coef_) < N
    cv = LogisticRegressorCV(groups=GROUPS, l1_ratios=(1.0,), Cs=np.array([0.1, 1.0]), cv=3).fit(X, Y)
    again = LogisticRegressor(groups=GROUPS, l1_ratio=1.0, C=cv.C_).fit(X, Y)
    np.testing.assert_allclose(cv.coef_, again.coef_, atol=1e-8)
    assert cv.scores_.shape == (3, 1, 2)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({}, ValueError, r"expected groups \(n,\), which columns are together, beside l1_group, got None; np.arange"),
        ({"groups": np.arange(N) / 2}, TypeError, "expected groups to be integers, got ndarray of dtype float64; np.unique"),
        ({"groups": np.array(list("aabbcc"))}, TypeError, "expected groups to be integers, got ndarray of dtype <U1"),
        (
            {"groups": np.arange(N - 1)},
            ValueError,
            r"groups \(6,\), an integer for each column of X, got shape \(5,\)",
        ),
        ({"groups": GROUPS[None]}, ValueError, r"got shape \(1, 6\)"),
        ({"groups": GROUPS, "penalty_factor": np.arange(N)}, ValueError, "one penalty_factor for all columns of a group, got"),
        ({"groups": GROUPS, "l1_group": -1.0}, ValueError, "expected l1_group >= 0, got -1.0"),
        ({"groups": GROUPS, "l1_group": np.nan}, ValueError, "expected finite l1_group, got nan"),
        ({"groups": GROUPS, "solver": "newton"}, ValueError, 'l1_group = 0, known outside jit, for solver "newton"'),
    ],
)
def test_what_is_refused_in_words(options, kind, words):
    with pytest.raises(kind, match=words):
        fit(X, Y, **{"l1_group": 0.1} | options)


@pytest.mark.slow
def test_the_group_whose_factors_differ_is_named():
    factor = np.array([1.0, 1, 1, 2, 3, 1])
    with pytest.raises(ValueError, match=r"got several in group 9; give"):
        fit(X, Y, l1_group=0.1, groups=GROUPS, penalty_factor=np.stack([np.ones(N), factor]))
    found = fit(X, Y, l1_group=0.0, l1=0.1, groups=GROUPS, penalty_factor=factor)
    assert bool(found.converged)


def test_groups_are_known_outside_jit():
    with pytest.raises(ValueError, match="expected groups known outside jit"):
        jax.jit(lambda groups: fit(X, Y, l1_group=0.1, groups=groups).value)(jnp.asarray(GROUPS))


def test_without_a_strength_groups_change_nothing():
    plain, grouped = fit(X, Y, l2=0.1), fit(X, Y, l2=0.1, l1_group=0.0, groups=GROUPS)
    np.testing.assert_array_equal(plain.params.coef, grouped.params.coef)
    problem = Problem(X, Y, l2=0.1, l1_group=0.0, groups=GROUPS)
    assert float(jaxlr.loss(plain.params, problem)) == pytest.approx(float(plain.value), rel=4 * EPS)


@pytest.mark.slow
def test_what_has_no_distribution_is_refused():
    options = {"l1_group": 0.1, "groups": GROUPS}
    params = Params(np.zeros(N), np.float64(0))
    assert np.isfinite(jaxlr.duality_gap(params, Problem(X, Y, **options)))
    with pytest.raises(ValueError, match=r"without l1_group.*fit_bootstrap"):
        jaxlr.inference.standard_errors(fit(X, Y, **options), Problem(X, Y, **options))
    with pytest.raises(ValueError, match='no bounds, l1_group or gamma with folds="loo"'):
        cross_validate(X, Y, folds="loo", **options)
    with pytest.raises(ValueError, match='no bounds, l1_group or gamma with folds="loo"'):
        cross_validate(X, Y, folds="loo", l1=0.1, gamma=0.5)
