"""scikit-learn's own checks of an estimator, every one of them."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV


@parametrize_with_checks([LogisticRegressor(), LogisticRegressorCV(Cs=3, cv=3)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
