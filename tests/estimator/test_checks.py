"""scikit-learn's own checks of an estimator, every one of them: a check raises where the estimator fails it."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV


@pytest.mark.slow
@parametrize_with_checks([LogisticRegressor()])
def test_of_one_model(estimator, check):
    assert check(estimator) is None  # it raises AssertionError, or an error of its own, where the estimator fails


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The least populated class in y:UserWarning")  # of a check's own two rows of a class
@parametrize_with_checks([LogisticRegressorCV(Cs=3, cv=3)])
def test_of_cross_validation(estimator, check):
    assert check(estimator) is None
