"""`check_certified` reads what solvers hand back, passes minima, and says of the rest what they are."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

import jaxlr
from jaxlr import Params, Problem
from jaxlr.testing import check_certified, problems

pytestmark = pytest.mark.usefixtures("x64")

X, Y, *_ = jaxlr.datasets.low_birth_weight()
X = (X - X.mean(0)) / X.std(0)
TABLE = np.loadtxt(Path(__file__).parent.parent / "reference" / "iris.csv", delimiter=",", skiprows=1)
IRIS, SPECIES = TABLE[:, 1:], np.array(["setosa", "versicolor", "virginica"])[TABLE[:, 0].astype(int)]


@pytest.mark.slow
def test_a_fit_its_arrays_and_float32_are_certified():
    fit = jaxlr.fit(X, Y, l2=0.01)
    found = check_certified(fit, Problem(X, Y, l2=0.01), 1e-10)
    np.testing.assert_allclose([found.kkt, found.gap], [fit.kkt, fit.gap], rtol=0, atol=1e-12)
    arrays = np.asarray(fit.params.coef)[None], np.asarray(fit.params.intercept)[None]
    assert check_certified(arrays, Problem(pd.DataFrame(X), pd.Series(Y), l2=0.01), 1e-10).kkt == found.kkt
    assert check_certified(fit, Problem(csr_array(X), Y, l2=0.01), 1e-10).kkt == pytest.approx(found.kkt, abs=1e-15)
    narrow = jaxlr.fit(X.astype(np.float32), Y, l2=np.float32(0.01))
    with jax.enable_x64(False):
        assert 0 < check_certified(narrow, Problem(X.astype(np.float32), Y, l2=np.float32(0.01)), 1e-5).kkt < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"l1": 0.02},
        {"l1": 0.01, "l2": 0.1},
        pytest.param({"l2": 0.1, "upper": np.zeros(9)}, marks=pytest.mark.slow),
        pytest.param({"l1_group": 0.02, "groups": np.arange(9) // 3}, marks=pytest.mark.slow),
    ],
)
def test_kinks_are_certified(options):
    options = {k: v[: X.shape[1]] if np.ndim(v) else v for k, v in options.items()}
    fit = jaxlr.fit(X, Y, **options)
    assert check_certified(fit, Problem(X, Y, **options), 1e-10).gap < 1e-9
    worse = Params(np.asarray(fit.params.coef) - np.eye(X.shape[1])[0] * 1e-3, fit.params.intercept)
    with pytest.raises(AssertionError, match=r"KKT residual .* allowed 1e-10; largest at coef\[0\] = .* J - min J <= "):
        check_certified(worse, Problem(X, Y, **options), 1e-10)


@pytest.mark.slow
def test_scikit_learn_is_read_with_its_labels_and_its_C():
    named = np.where(Y == 1, "z low", "a high")
    problem = Problem(X, named, l2=jaxlr.l2_from_C(10.0, len(Y)))
    right = LogisticRegression(C=10.0, solver="newton-cholesky", tol=1e-10).fit(X, named)
    assert check_certified(right, problem, 1e-9).gap < 1e-15
    rough = LogisticRegression(C=10.0, tol=1e-2).fit(X, named)
    with pytest.raises(AssertionError, match=r"KKT residual .* allowed 1e-09; largest at .*\d$"):
        check_certified(rough, problem, 1e-9)
    with pytest.raises(AssertionError, match=r"C = 10 is l1 \+ l2 = 0.000529\d*, the problem has 1"):
        check_certified(right, Problem(X, named, l2=1.0), 1e-9)


@pytest.mark.slow
def test_scikit_learn_of_several_classes_is_read():
    model = LogisticRegression(C=2.0, solver="newton-cholesky", tol=1e-10).fit(IRIS, SPECIES)
    found = check_certified(model, Problem(IRIS, SPECIES, l2=jaxlr.l2_from_C(2.0, len(IRIS))), 1e-9)
    assert found.params.coef.shape == (3, 4)
    assert found.gap < 1e-12


@pytest.mark.slow
def test_the_chosen_C_of_scikit_learn_counts():
    model = LogisticRegressionCV(
        Cs=[0.1, 1.0], cv=3, solver="newton-cholesky", tol=1e-10, l1_ratios=(0.0,), use_legacy_attributes=False
    ).fit(X, Y)
    problem = Problem(X, Y, l2=jaxlr.l2_from_C(float(np.ravel(model.C_)[0]), len(Y)))
    assert check_certified(model, problem, 1e-9).gap < 1e-12


def test_our_own_estimator_is_read():
    model = jaxlr.estimator.LogisticRegressor(C=0.5).fit(X, Y)
    assert check_certified(model, Problem(X, Y, l2=jaxlr.l2_from_C(0.5, len(Y))), 1e-9).kkt < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 3, None])
def test_statsmodels_is_read_wherever_its_constant_stands(place):
    constant = np.ones(len(X))
    exog = X if place is None else np.insert(X, place, constant, axis=1)
    problem = Problem(X, Y, fit_intercept=place is not None)
    logit = sm.Logit(Y, exog).fit(disp=False, tol=1e-12)
    assert check_certified(logit, problem, 1e-9).gap == np.inf
    table = pd.DataFrame(exog, columns=[f"x{j}" if j != place else "const" for j in range(exog.shape[1])])
    glm = sm.GLM(Y, table, family=sm.families.Binomial()).fit(tol=1e-14)
    assert check_certified(glm, problem, 1e-9).params.coef.shape == (X.shape[1],)
    whole = Problem(exog, Y, fit_intercept=False)  # its columns, the constant among them
    assert check_certified(logit, whole, 1e-9).params.intercept == 0


def test_statsmodels_of_several_classes_is_read():
    labels = np.arange(len(X)) % 3
    results = sm.MNLogit(labels, sm.add_constant(X[:, :3])).fit(disp=False, tol=1e-12)
    found = check_certified(results, Problem(X[:, :3], labels), 1e-9)
    np.testing.assert_allclose(found.params.coef.sum(axis=0), 0, atol=1e-15)


def test_statsmodels_without_a_constant_is_refused_in_words():
    results = sm.Logit(Y, X).fit(disp=False)
    with pytest.raises(ValueError, match="expected one constant among the columns"):
        check_certified(results, Problem(X[:, 1:], Y), 1e-9)


SEPARATED = {
    "complete": ([[0], [1], [2], [3]], [0, 0, 1, 1], {}, "complete separation"),
    "quasi": ([[0], [1], [1], [2]], [0, 0, 1, 1], {}, "quasi-complete separation.*column 0"),
    "by the second column": ([[0, 0], [1, 0], [0, 0], [1, 0], [1, 1]], [0, 1, 1, 0, 1], {}, "quasi-complete .*by column 1"),
    "of one class": ([[0], [1], [2]], [1, 1, 1], {}, "complete separation.*the intercept"),
    "beside a penalized column": (
        [[0, 3], [1, 1], [2, 5], [3, 2]], [0, 0, 1, 1], {"l2": 1.0, "penalty_factor": np.array([0.0, 1])}, "by column 0"
    ),
    "between the bounds": ([[0], [1], [2], [3]], [0, 0, 1, 1], {"lower": np.zeros(1)}, "complete"),
    "by weight": ([[0], [1], [0], [3]], [0, 0, 1, 1], {"sample_weight": np.array([1.0, 1, 0, 1])}, "complete"),
}  # fmt: skip


@pytest.mark.parametrize("name", SEPARATED)
def test_separated_classes_are_never_certified(name):
    rows, labels, options, words = SEPARATED[name]
    rows = np.array(rows, float)
    params = Params(np.full(rows.shape[1], 80.0), np.array(-120.0))
    with pytest.raises(AssertionError, match=f"no minimum exists.*{words}"):
        check_certified(params, Problem(rows, np.array(labels), **options), 10.0)


@pytest.mark.slow
def test_a_bound_or_a_penalty_stops_a_separation():
    rows, labels = np.array([[0.0], [1], [2], [3]]), np.array([0, 0, 1, 1])
    for options in ({"l1": 0.01}, {"upper": np.zeros(1)}, {"lower": np.full(1, -5.0), "upper": np.full(1, 5.0)}):
        fit = jaxlr.fit(rows, labels, **options)
        assert check_certified(fit, Problem(rows, labels, **options), 1e-9).kkt <= 1e-10


@pytest.mark.slow
def test_classes_of_several_that_are_separated_are_never_certified():
    labels = np.unique(SPECIES, return_inverse=True)[1]
    fit = jaxlr.fit(IRIS, labels, num_classes=3)  # the first species stands apart
    with pytest.raises(AssertionError, match=r"no minimum exists.*quasi-complete separation"):
        check_certified(fit, Problem(IRIS, labels), 10.0)


def test_what_others_call_converged_on_separated_data_is_found_out():
    rows, labels = np.arange(8.0)[:, None], np.arange(8) >= 4
    with pytest.warns((PerfectSeparationWarning, ConvergenceWarning)):
        results = sm.GLM(labels.astype(float), sm.add_constant(rows), family=sm.families.Binomial()).fit()
    with pytest.raises(AssertionError, match="a solver stopped on the way to infinity"):
        check_certified(results, Problem(rows, labels), 1e-3)


@given(problems(separated=True, weighted=False, penalized=True))
def test_no_separated_problem_without_a_penalty_is_certified(problem):
    if problem.l1 + problem.l2 == 0:
        with pytest.raises(AssertionError, match="no minimum exists"):
            check_certified(Params(np.zeros(problem.X.shape[1]), np.array(0.0)), problem, 10.0)


def test_what_is_no_result_of_a_solver_is_refused():
    problem = Problem(X, Y, l2=0.1)
    with pytest.raises(TypeError, match="expected Params, a Fit"):
        check_certified(X, problem, 1e-6)
    with pytest.raises(ValueError, match=rf"expected coef \(n,\) or \(K, n\) of n = {X.shape[1]} columns, got \(2,\)"):
        check_certified((np.zeros(2), 0.0), problem, 1e-6)
    with pytest.raises(ValueError, match="with a constant, got 2"):
        check_certified(SimpleNamespace(params=np.zeros(2), model=None), problem, 1e-6)
    with pytest.raises(AssertionError, match="coef not finite"):
        check_certified((np.full(X.shape[1], np.nan), 0.0), problem, 1e-6)
    with pytest.raises(ValueError, match=r"Params of one model, coef \(n,\), got a batch, \(2, "):  # not the classes of one
        check_certified(jaxlr.fit(X, Y, l2=np.array([0.1, 1.0])), problem, 1e-6)
    with pytest.raises(ValueError, match="without strata"):
        check_certified((np.zeros(X.shape[1]), 0.0), Problem(X, Y, strata=np.arange(len(X)) // 2), 1e-6)
