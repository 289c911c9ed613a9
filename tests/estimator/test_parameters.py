"""Every parameter of scikit-learn's classes: taken, checked in its words, and with the effect that the guide's table names."""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV
from tests.helpers import quick

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = (X[:, 0] + RNG.normal(size=90) > 0).astype(int)
PAIRS = [(LogisticRegressor, LogisticRegression), (LogisticRegressorCV, LogisticRegressionCV)]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_every_parameter_of_scikit_learn_is_one_here_and_in_the_table(ours, theirs):
    wanted, here = (set(inspect.signature(kind).parameters) for kind in (theirs, ours))
    assert wanted <= here
    guide = (Path(__file__).parents[2] / "examples" / "scikit_learn.md").read_text()
    table = guide.split("## Parameters")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert here <= named


def same(one, other):
    np.testing.assert_array_equal(one.fit(X, Y).coef_, other.fit(X, Y).coef_)


@pytest.mark.slow
def test_what_chooses_or_steers_a_solver_changes_nothing():
    odd = {"dual": True, "intercept_scaling": 7.0, "random_state": 3}
    for solver in ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"):
        same(LogisticRegressor(l1_ratio=0.5), LogisticRegressor(l1_ratio=0.5, solver=solver, **odd))
    for solver in ("newton-cg", "newton-cholesky"):
        model = LogisticRegressor(solver=solver).fit(X, Y)
        np.testing.assert_allclose(model.coef_, LogisticRegressor().fit(X, Y).coef_, rtol=0, atol=1e-8)  # tol over the penalty
    same(LogisticRegressorCV(Cs=2, cv=2), LogisticRegressorCV(Cs=2, cv=2, solver="sag", n_jobs=2, **odd))


@pytest.mark.slow
def test_liblinear_means_two_classes_and_float64():
    three, narrow = RNG.integers(0, 3, len(X)), X.astype(np.float32)
    with pytest.raises(ValueError, match="The 'liblinear' solver does not support multiclass classification"):
        LogisticRegressor(solver="liblinear").fit(X, three)
    assert LogisticRegressor(solver="liblinear", multi_class="ovr").fit(X, three).coef_.shape == (3, 4)
    dtypes = [LogisticRegressor(solver=solver).fit(narrow, Y).coef_.dtype for solver in ("liblinear", "lbfgs")]
    assert dtypes == [np.float64, np.float32]


@pytest.mark.slow
def test_the_penalties_of_scikit_learn_mean_what_they_say():
    for penalty, given in {"l2": {}, "l1": {"l1_ratio": 1}, None: {"C": np.inf}}.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", FutureWarning)
            old = LogisticRegressor(penalty=penalty).fit(X, Y)
        np.testing.assert_array_equal(old.coef_, LogisticRegressor(**given).fit(X, Y).coef_)
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        lasso = LogisticRegressorCV(penalty="l1", Cs=[0.1, 1.0], cv=2).fit(X, Y)
    np.testing.assert_array_equal(lasso.coef_, LogisticRegressorCV(l1_ratios=(1,), Cs=[0.1, 1.0], cv=2).fit(X, Y).coef_)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="l1_ratio must be specified"):
        LogisticRegressor(penalty="elasticnet", l1_ratio=None).fit(X, Y)


@pytest.mark.slow
def test_defaults_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegressor().fit(X, Y)
        LogisticRegressorCV(Cs=2, cv=2).fit(X, Y)
        LogisticRegressor(C=np.inf).fit(X, Y)


WRONG = {
    "C": -1.0,
    "l1_ratio": 1.5,
    "multi_class": "auto",
    "max_iter": -1,
    "tol": -1.0,
    "solver": "newton",
    "penalty": "l3",
    "class_weight": "balance",
    "warm_start": "yes",
    "fit_intercept": None,
    "random_state": "a",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_is_refused_in_the_words_of_scikit_learn(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of LogisticRegressor must be"):
        LogisticRegressor(**{name: WRONG[name]}).fit(X, Y)


def test_a_wrong_parameter_of_cross_validation_is_refused_too():
    for name, value in {"Cs": 0, "scoring": "accurate", "refit": "no", "use_legacy_attributes": "warn", "cv": "five"}.items():
        with pytest.raises(ValueError, match=f"The '{name}' parameter of LogisticRegressorCV must be"):
            LogisticRegressorCV(**{name: value}).fit(X, Y)
    with pytest.raises(ValueError, match="l1_ratios must be an array-like of numbers between 0 and 1"):
        LogisticRegressorCV(l1_ratios=(0.5, 1.5)).fit(X, Y)


@pytest.mark.slow
def test_no_step_leaves_a_model_where_it_starts_and_a_tol_of_0_is_what_the_dtype_reaches():
    with pytest.warns(ConvergenceWarning, match="max_iter is 0"):
        start = LogisticRegressor(max_iter=0).fit(X, Y)
    assert not start.coef_.any()
    assert start.n_iter_.tolist() == [0]
    assert not start.converged_.any()
    model = LogisticRegressor(tol=0).fit(X, Y)
    assert model.converged_.all()
    assert model.kkt_[0] <= 64 * np.finfo(float).eps
    with pytest.warns(ConvergenceWarning, match="The max_iter was reached which means the coef_ did not converge"):
        LogisticRegressor(max_iter=1).fit(X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("multi_class", ["multinomial", pytest.param("ovr", marks=pytest.mark.slow)])
def test_a_warm_start_starts_at_the_last_fit(labels, multi_class):
    y = RNG.integers(0, labels, len(X))
    model = LogisticRegressor(warm_start=True, multi_class=multi_class).fit(X, y)
    first, coef = model.n_iter_.max(), model.coef_.copy()
    again = model.sparsify().fit(X, y)
    assert again.n_iter_.max() < first
    np.testing.assert_allclose(again.coef_, coef, rtol=0, atol=1e-8)
    with pytest.raises(ValueError, match="Initialization coef is of shape"):
        model.fit(X[:, :2], y)
    with pytest.raises(ValueError, match="Initialization coef is of shape"):
        model.fit(X, np.arange(90) % (5 - labels))


@pytest.mark.slow
def test_the_default_threshold_of_a_selection_knows_the_lasso():
    for lasso in (LogisticRegressor(l1_ratio=1, C=0.1), LogisticRegressorCV(l1_ratios=(1.0,), Cs=[0.05, 0.1], cv=2)):
        selection = SelectFromModel(lasso).fit(X, Y)
        assert selection.threshold_ == 1e-5
        assert clone(selection.estimator_).get_params() == lasso.get_params()
    assert SelectFromModel(LogisticRegressor()).fit(X, Y).threshold_ > 1e-5


LEGACY = {"by default": {}, "given": {"l1_ratios": np.array([0.0, 1.0])}, "several classes": {"l1_ratios": np.zeros(1)}}


@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", quick(LEGACY, "by default"))
def test_legacy_attributes_are_those_of_scikit_learn(name, refit):
    data = load_iris(return_X_y=True) if "several" in name else (X, Y)
    options = {"Cs": [0.1, 1.0], "cv": 2, "use_legacy_attributes": True, "scoring": "neg_log_loss", "refit": refit} | LEGACY[
        name
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ours = LogisticRegressorCV(**options).fit(*data)
        solver = "saga" if name == "given" else "newton-cholesky"
        theirs = LogisticRegressionCV(**options, solver=solver, tol=1e-6, max_iter=20_000).fit(*data)
    for attribute in ("C_", "l1_ratio_", "n_iter_", "coef_", "intercept_", "l1_ratios_"):
        assert np.shape(getattr(ours, attribute)) == np.shape(getattr(theirs, attribute)), attribute
    for attribute in ("scores_", "coefs_paths_"):
        one, other = getattr(ours, attribute), getattr(theirs, attribute)
        assert list(one) == list(other)
        for label in one:
            np.testing.assert_allclose(one[label], other[label], rtol=0, atol=1e-3)  # where saga's small steps end
    np.testing.assert_allclose(ours.C_, theirs.C_)


@pytest.mark.slow
def test_legacy_attributes_warn_of_the_axis_that_they_will_have():
    with pytest.warns(FutureWarning, match="The default value for l1_ratios will change"):
        LogisticRegressorCV(Cs=2, cv=2, use_legacy_attributes=True).fit(X, Y)
