"""The estimators beside scikit-learn's own: the same probabilities, attributes and choices, in pipelines and searches."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneOut, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxlr
from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV
from tests.helpers import count_compilations, quick

X, Y, NAMES, _ = jaxlr.datasets.low_birth_weight()
X = np.asarray((X - X.mean(0)) / X.std(0))
LABELS = np.where(Y == 1, "low", "normal")
THREE = np.array(["a", "b", "c"])[(X[:, 1] > -0.3).astype(int) + ((X[:, 1] + X[:, 0]) > 0.7)]
S = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)
# saga stops at small steps, which are far from the minimum under strong penalties: hence the weak ones below.
SAME = 1e-5
GRID = {
    "default": {},
    "weak": {"C": 100.0},
    "strong": {"C": 1e-3},
    "no penalty": {"C": np.inf},
    "no intercept": {"fit_intercept": False, "C": 0.3},
    "balanced": {"class_weight": "balanced"},
    "class weights": {"class_weight": {"low": 3.0, "normal": 0.5}},
    "lasso": {"l1_ratio": 1.0, "C": 0.2},
    "elastic net": {"l1_ratio": 0.4, "C": 0.5},
}


def peer(**options):
    solver = "saga" if options.get("l1_ratio") else "newton-cholesky"
    return LogisticRegression(**options, solver=solver, tol=1e-10, max_iter=100_000, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, S], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", quick(GRID, "default"))
def test_probabilities_are_those_of_scikit_learn(name, weights):
    ours = LogisticRegressor(**GRID[name]).fit(X, LABELS, weights)
    theirs = peer(**GRID[name]).fit(X, LABELS, weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=SAME)
    assert ours.predict(X).tolist() == theirs.predict(X).tolist()
    assert ours.classes_.tolist() == theirs.classes_.tolist()
    assert (ours.coef_.shape, ours.intercept_.shape) == (theirs.coef_.shape, theirs.intercept_.shape)
    assert ours.converged_.all()
    assert (ours.kkt_ <= 1e-10).all()


MULTINOMIAL = {"plain": {}, "weak": {"C": 30.0}, "balanced": {"class_weight": "balanced"}, "lasso": {"l1_ratio": 1.0}}


@pytest.mark.slow
@pytest.mark.parametrize("weights", [S, pytest.param(None, marks=pytest.mark.slow)], ids=["weighted", "plain"])
@pytest.mark.parametrize("name", quick(MULTINOMIAL, "balanced"))
def test_more_classes_are_the_multinomial_model_of_scikit_learn(name, weights):
    ours = LogisticRegressor(**MULTINOMIAL[name]).fit(X, THREE, weights)
    theirs = peer(**MULTINOMIAL[name]).fit(X, THREE, weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=SAME)
    assert (ours.coef_.shape, ours.intercept_.shape) == (theirs.coef_.shape, theirs.intercept_.shape)
    assert ours.n_iter_.shape == ours.kkt_.shape == (1,)
    assert ours.converged_.all()


@pytest.mark.slow
def test_cross_validation_of_the_multinomial_model_is_that_of_scikit_learn():
    options = {"Cs": [0.1, 1.0, 10.0], "l1_ratios": (0.0,), "scoring": "neg_log_loss", "cv": 4}
    ours = LogisticRegressorCV(**options).fit(X, THREE)
    theirs = LogisticRegressionCV(**options, solver="newton-cholesky", tol=1e-9, use_legacy_attributes=False).fit(X, THREE)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=0, atol=SAME)
    np.testing.assert_allclose(ours.coefs_paths_, theirs.coefs_paths_, rtol=0, atol=10 * SAME)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=SAME)
    assert ours.n_iter_.shape == theirs.n_iter_.shape


@pytest.mark.slow
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_each_class_against_the_rest_on_request(class_weight):
    ours = LogisticRegressor(class_weight=class_weight, multi_class="ovr").fit(X, THREE)
    theirs = OneVsRestClassifier(peer(class_weight=class_weight)).fit(X, THREE)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=0, atol=SAME)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=SAME)
    assert ours.predict(X).tolist() == theirs.predict(X).tolist()
    assert ours.n_iter_.shape == ours.kkt_.shape == (3,)


@pytest.mark.slow
def test_the_weights_of_a_dictionary_are_those_of_the_classes_themselves():
    by_class = {"a": 1.0, "b": 5.0, "c": 2.0}
    ours = LogisticRegressor(class_weight=by_class).fit(X, THREE)
    rows = LogisticRegressor().fit(X, THREE, np.array([by_class[label] for label in THREE]))
    np.testing.assert_array_equal(ours.coef_, rows.coef_)


CV = {
    "accuracy": {},
    "log loss": {"scoring": "neg_log_loss", "cv": 4},
    "average": {"refit": False, "scoring": "neg_log_loss"},
    "balanced": {"class_weight": "balanced", "scoring": "roc_auc"},
    "elastic nets": {"l1_ratios": (0.0, 0.5, 1.0), "scoring": "neg_log_loss", "Cs": [0.3, 1.0, 3.0]},
}


@pytest.mark.parametrize("weights", [S, pytest.param(None, marks=pytest.mark.slow)], ids=["weighted", "plain"])
@pytest.mark.parametrize("name", quick(CV, "log loss"))
def test_cross_validation_is_that_of_scikit_learn(name, weights):
    options = {"Cs": 5, "l1_ratios": (0.0,)} | CV[name]
    saga = {"solver": "saga", "max_iter": 100_000} if "elastic" in name else {"solver": "newton-cholesky"}
    ours = LogisticRegressorCV(**options).fit(X, LABELS, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of defaults that are given here
        theirs = LogisticRegressionCV(**{"scoring": "accuracy"} | options, **saga, tol=1e-9, use_legacy_attributes=False)
        theirs.fit(X, LABELS, weights)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=0, atol=SAME)
    np.testing.assert_allclose(ours.coefs_paths_, theirs.coefs_paths_, rtol=0, atol=10 * SAME)
    assert (ours.C_, ours.l1_ratio_) == pytest.approx((theirs.C_, theirs.l1_ratio_))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=SAME)
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    assert ours.score(X, LABELS) == pytest.approx(theirs.score(X, LABELS), abs=SAME)


@pytest.mark.slow
def test_cross_validation_of_more_classes_is_that_of_its_folds():
    folds = list(StratifiedKFold(3).split(X, THREE))
    ours = LogisticRegressorCV(Cs=[0.1, 10.0], cv=folds, multi_class="ovr").fit(X, THREE)
    for k, (train, test) in enumerate(folds):
        one = LogisticRegressor(C=0.1, multi_class="ovr").fit(X[train], THREE[train])
        coef = ours.coefs_paths_[k, 0, 0]
        np.testing.assert_allclose(coef, np.column_stack([one.coef_, one.intercept_]), rtol=0, atol=1e-8)
        assert ours.scores_[k, 0, 0] == one.score(X[test], THREE[test])


@pytest.mark.slow
def test_a_search_over_50_clones_compiles_once():
    rows = np.arange(187)  # folds of 149 and 150 rows
    search = GridSearchCV(LogisticRegressor(), {"C": np.logspace(-3, 3, 50)}, cv=5, refit=False)
    LogisticRegressor(C=2.0).fit(X[rows[:150]], LABELS[rows[:150]])
    assert count_compilations(lambda: search.fit(X[rows], LABELS[rows])) == 0
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_pipelines_clones_and_pickles_are_the_model():
    model = make_pipeline(StandardScaler(), LogisticRegressor(C=0.5)).fit(X, LABELS)
    again = clone(model).fit(X, LABELS)
    for other in (again, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model[-1]), "coef_")


def test_tables_keep_the_names_and_other_columns_are_refused():
    table = pd.DataFrame(X, columns=list(NAMES))
    model = LogisticRegressor().fit(table, pd.Series(LABELS))
    assert model.feature_names_in_.tolist() == list(NAMES)
    assert model.predict(table).tolist() == model.predict(table.copy()).tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[list(NAMES)[::-1]])


def test_probabilities_far_out_keep_their_digits():
    model = LogisticRegressor(C=1e6).fit(np.array([[-1.0], [1.0]]), np.array([0, 1]))
    far = model.predict_log_proba(np.array([[1e3]]))[0]
    assert far[0] == pytest.approx(-1e3 * model.coef_[0, 0] - model.intercept_[0], rel=1e-15)
    assert -1e-300 < far[1] <= 0


@pytest.mark.slow
def test_the_dtype_is_that_of_the_input():
    for dtype in (np.float32, np.float64):
        model = LogisticRegressor().fit(X.astype(dtype), Y)
        assert model.coef_.dtype == model.predict_proba(X.astype(dtype)).dtype == dtype


@pytest.mark.slow
def test_what_does_not_converge_warns_and_cannot_be_chosen():
    with pytest.warns(ConvergenceWarning, match=r"1 of 1 models ended SEPARATED: .*add a penalty"):
        model = LogisticRegressor(C=np.inf).fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])
    assert model.converged_.tolist() == [False]
    with pytest.warns(ConvergenceWarning, match="raise max_iter"), pytest.raises(ValueError, match="found none"):
        LogisticRegressorCV(max_iter=1, Cs=2).fit(X, Y)
    separated = np.column_stack([X, np.where(Y == 1, 1.0, -1.0)])
    with pytest.warns(ConvergenceWarning, match="5 of 10 models ended SEPARATED"):
        cv = LogisticRegressorCV(Cs=[1.0, np.inf]).fit(separated, Y)
    assert cv.C_ == 1
    assert np.isnan(cv.scores_[:, 0, 1]).all()


def test_bad_data_are_refused_in_words():
    with pytest.raises(ValueError, match="got one class only: 1"):
        LogisticRegressor().fit(X, np.ones(len(X), int))
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegressor().fit(np.full((4, 1), np.nan), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="expected Cs with at least one value"):
        LogisticRegressorCV(Cs=[]).fit(X, Y)


@pytest.mark.slow
def test_masks_and_negative_indices_are_rows():
    first = np.arange(len(Y)) % 3 > 0
    mask = LogisticRegressorCV(cv=[(first, ~first)], Cs=[1.0]).fit(X, LABELS)
    rows = LogisticRegressorCV(cv=[(np.flatnonzero(first), np.flatnonzero(~first) - len(Y))], Cs=[1.0]).fit(X, LABELS)
    np.testing.assert_array_equal(mask.coefs_paths_, rows.coefs_paths_)
    np.testing.assert_array_equal(mask.scores_, rows.scores_)


@pytest.mark.slow
def test_folds_that_lack_rows_of_a_class_are_scored():
    rows = np.r_[:15, len(Y) - 15 : len(Y)]
    few = LogisticRegressorCV(cv=LeaveOneOut(), Cs=[1.0], scoring="neg_log_loss").fit(X[rows], LABELS[rows])
    assert np.isfinite(few.scores_).all()
    with pytest.raises(ValueError, match="at least one fold"):
        LogisticRegressorCV(cv=[]).fit(X, LABELS)
    with pytest.raises(ValueError, match="got none in fold 0"):
        LogisticRegressorCV(cv=[(np.arange(0), np.arange(5))]).fit(X, LABELS)


@pytest.mark.slow
def test_groups_stay_together():
    groups = np.arange(len(Y)) % 7
    model = LogisticRegressorCV(cv=GroupKFold(3), Cs=[1.0]).fit(X, LABELS, groups=groups)
    folds = list(GroupKFold(3).split(X, Y, groups))
    np.testing.assert_array_equal(model.scores_, LogisticRegressorCV(cv=folds, Cs=[1.0]).fit(X, LABELS).scores_)


@pytest.mark.slow
def test_an_estimator_whose_fit_failed_does_not_predict():
    def broken(*_):
        raise RuntimeError("broken scorer")

    model = LogisticRegressorCV(scoring=broken, Cs=2)
    with pytest.raises(RuntimeError, match="broken scorer"):
        model.fit(X, LABELS)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.slow
def test_sparse_rows_are_those_of_the_array_and_text_goes_through_a_search():
    rng = np.random.default_rng(0)
    names = np.array([f"w{j}" for j in range(400)])
    labels = rng.integers(0, 3, 150)
    texts = [" ".join([*rng.choice(names, 12), *(f"c{k}{i}" for i in rng.integers(0, 6, 2))]) for k in labels]
    search = GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegressor()), {"logisticregressor__C": [1.0, 10.0]}, cv=3)
    best = search.fit(texts, labels).best_estimator_
    rows, model = best[0].transform(texts), best[1]
    assert model.converged_.all()
    dense = clone(model).fit(rows.toarray(), labels)
    np.testing.assert_allclose(model.coef_, dense.coef_, rtol=0, atol=1e-4)  # tol over the penalty
    np.testing.assert_allclose(model.predict_proba(rows), model.predict_proba(rows.toarray()), rtol=1e-12)
    one, other = (LogisticRegressorCV(Cs=2, cv=3).fit(design, labels) for design in (rows, rows.toarray()))
    np.testing.assert_array_equal(one.scores_, other.scores_)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_bounds(labels, multi_class):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 4)), rng.integers(0, labels, 90)
    options = {"multi_class": multi_class, "lower": 0.0, "upper": [0.1, 1, 1, np.inf]}
    model = LogisticRegressor(**options).fit(X, y)
    assert model.converged_.all()
    assert np.all((model.coef_ >= 0) & (model.coef_ <= options["upper"]))
    kind = {} if labels == 2 else {"num_classes": 3}
    if labels == 2 or multi_class == "multinomial":
        wanted = jaxlr.fit(X, y, l2=1 / 90, lower=0.0, upper=np.array(options["upper"]), **kind)
        np.testing.assert_allclose(model.coef_, np.reshape(wanted.params.coef, model.coef_.shape), atol=1e-6)
    chosen = LogisticRegressorCV(Cs=3, cv=3, **options).fit(X, y)
    assert np.all((chosen.coef_ >= 0) & (chosen.coef_ <= options["upper"]))
