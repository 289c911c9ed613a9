"""Estimators for scikit-learn (extra "sklearn"): `LogisticRegressor` and `LogisticRegressorCV`."""

from jaxlr.estimator.classifier import LogisticRegressor as LogisticRegressor
from jaxlr.estimator.cross_validated import LogisticRegressorCV as LogisticRegressorCV
