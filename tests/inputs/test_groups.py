"""Groups as they come in: refused in words where they are no groups, whatever else is asked."""

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

import jaxlr
from jaxlr import Params, Problem, Status, cross_validate, fit, glmnet_path, l1_max, loss
from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(1)
X, GROUPS = RNG.normal(size=(60, 6)), np.array([0, 0, 1, 1, 2, 2])
Y = (X[:, 0] + RNG.logistic(size=60) > 0).astype(int)
FOLDS = np.array([np.arange(60) % 3 != k for k in range(3)], float)


@pytest.mark.parametrize("groups", [list("aabbcc"), pd.Series(list("aabbcc"), dtype="category"), GROUPS + 0.5, GROUPS > 0])
def test_what_is_no_integer_is_refused_with_what_to_do(groups):
    for call in (
        lambda: fit(X, Y, l1_group=0.1, groups=groups),
        lambda: cross_validate(X, Y, l1_group=0.1, groups=groups, folds=FOLDS),
        lambda: glmnet_path(X, Y, groups=groups),
        lambda: l1_max(Problem(X, Y, groups=groups)),
        lambda: LogisticRegressor(l1_ratio=1.0, groups=groups).fit(X, Y),
    ):
        with pytest.raises(TypeError, match=r"groups to be integers, got \w+ of dtype .*; np\.unique\(groups"):
            call()


def test_a_problem_with_half_of_the_pair_is_refused():
    here = Params(np.ones(6), np.zeros(()))
    with pytest.raises(ValueError, match=r"expected groups \(n,\) of a problem with l1_group, got None"):
        loss(here, Problem(X, Y, l1_group=0.5))
    with pytest.raises(TypeError, match="expected groups to be integers, got dtype float64"):
        loss(here, Problem(X, Y, l1_group=0.5, groups=GROUPS + 0.5))
    assert loss(here, Problem(X, Y, groups=GROUPS)) == loss(here, Problem(X, Y))


@pytest.mark.slow
def test_a_member_with_a_nan_is_nonfinite_alone_and_hides_no_other():
    """A NaN of one member hid factors that differ in another, and where it was not first it was taken for a difference."""
    hole, differs = [np.nan, 1, 1, 1, 1, 1.0], [1, 2, 1, 1, 1, 1.0]
    for factors in ([hole, np.ones(6)], [hole[::-1], np.ones(6)]):
        found = fit(X, Y, l1_group=0.03, groups=GROUPS, penalty_factor=np.array(factors))
        assert found.status.tolist() == [Status.NONFINITE, Status.CONVERGED]
    with pytest.raises(ValueError, match="expected one penalty_factor for all columns of a group, got several in group"):
        fit(X, Y, l1_group=0.03, groups=GROUPS, penalty_factor=np.array([hole, differs]))


@pytest.mark.slow
def test_traced_factors_that_differ_within_a_group_are_nonfinite():
    traced = jax.jit(lambda factor: fit(X, Y, l1_group=0.03, groups=GROUPS, penalty_factor=factor))
    assert Status(int(traced(np.array([1, 2, 1, 1, 1, 1.0])).status)) == Status.NONFINITE
    assert Status(int(traced(np.array([2, 2, 1, 1, 1, 1.0])).status)) == Status.CONVERGED


@pytest.mark.slow
def test_no_column_is_no_group():
    bare = fit(X[:, :0], Y, l1_group=0.1, groups=[])
    assert Status(int(bare.status)) == Status.CONVERGED
    np.testing.assert_array_equal(bare.params.intercept, fit(X[:, :0], Y).params.intercept)
    for gamma in (0.0, [0.5]):
        cv = cross_validate(X[:, :0], Y, l1=[0.1], gamma=gamma, folds=FOLDS)
        plain = cross_validate(X[:, :0], Y, l1=[0.1], folds=FOLDS).fits.params.intercept
        # solvers and blends differ by rounding
        np.testing.assert_allclose(cv.fits.params.intercept, plain, rtol=8 * np.finfo(float).eps, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-100, 1e100, 1e140])
def test_columns_of_any_size_converge(size):
    found = fit(X * size, Y, l1_group=0.02 * size, groups=GROUPS)
    assert Status(int(found.status)) == Status.CONVERGED
    expected = fit(X, Y, l1_group=0.02, groups=GROUPS).params.coef
    # kkt 1e-10 over the least curvature of these columns, about 0.1
    np.testing.assert_allclose(found.params.coef * size, expected, rtol=0, atol=1e-9)


def test_shares_that_fit_no_grid_are_named():
    with pytest.raises(ValueError, match=r"got l1 \(3,\), gamma \(2,\); \[:, None\] adds an axis"):
        cross_validate(X, Y, l1=[0.08, 0.02, 0.005], gamma=[0, 0.5], folds=FOLDS)
    for gamma in ([], [-0.1], [np.nan], "half"):
        with pytest.raises(ValueError, match=r"expected gamma in \[0, 1\]"):
            cross_validate(X, Y, l1=0.1, gamma=gamma, folds=FOLDS)


def test_the_strength_beside_which_a_path_begins_is_checked():
    for l1, said in ((-1.0, "l1 >= 0"), (np.nan, "l1"), (np.array([0.01, 0.02]), "batch axes")):
        with pytest.raises(ValueError, match=said):
            l1_max(Problem(X, Y, groups=GROUPS, l1=l1))


@pytest.mark.slow
def test_estimators_refuse_groups_without_a_share():
    for estimator in (LogisticRegressor(groups=GROUPS), LogisticRegressorCV(groups=GROUPS)):
        with pytest.raises(ValueError, match="expected l1_ratio > 0 beside groups"):
            estimator.fit(X, Y)
    search = GridSearchCV(LogisticRegressor(l1_ratio=1.0), {"groups": [None, GROUPS]}, cv=3).fit(X, Y)
    assert search.best_score_ > 0.5


@pytest.mark.slow
def test_a_cross_validation_is_no_fit():
    cv = cross_validate(X, Y, l2=0.1, folds=FOLDS)
    with pytest.raises(TypeError, match="a Fit, got CrossValidation; pass its refit"):
        getattr(jaxlr.logits, "__wrapped__", jaxlr.logits)(cv, X)  # past the types that the tests check
    assert jaxlr.logits(cv.refit, X).shape == (60,)
