"""Calls of the estimators and of `jaxlr.testing` that are refused, for the table of `tests/test_messages.py`."""

import functools
import warnings

import numpy as np
import statsmodels.api as sm
from sklearn.model_selection import PredefinedSplit

from jaxlr import Params, Problem, testing
from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV

M = 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, 2)).round(2)
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0])
THREE = np.arange(M) % 3
P = Problem(X, Y.astype(float), l2=0.1)
OWN = {  # scikit-learn's words, which its tests read
    "l1_ratio must be specified",
    "l1_ratios must be an array-like",
    "The 'liblinear' solver does not",
    "Initialization coef is of shape",
}


def quiet(call):
    """The call without its warnings, which are not what is read here."""

    def alone(*args, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*args, **options)

    return alone


@quiet
def one(*data, fit=None, **options):
    """A fitted classifier."""
    return LogisticRegressor(**options).fit(*(data or (X, Y)), **(fit or {}))


@quiet
def several(*data, fit=None, **options):
    """One with a chosen penalty."""
    given = {"Cs": [1.0], "cv": 2, "use_legacy_attributes": False, "l1_ratios": (0,)}
    return LogisticRegressorCV(**(given | options)).fit(*(data or (X, Y)), **(fit or {}))


def warm():
    """A start of other data."""
    model = LogisticRegressor(warm_start=True).fit(X, Y)
    return model.fit(X, THREE)


@quiet
def drawn():
    """A problem that cannot be both."""
    return testing.problems(separated=True, soft=True).example()


@functools.cache
def of_statsmodels(constants):
    """Results of a Logit with so many constants."""
    return sm.Logit(Y, np.column_stack([X, *[np.ones(M)] * constants])).fit(disp=0)


class Mute:
    """A split whose second fold trains on nothing."""

    def split(self, X, y=None, groups=None):
        yield np.arange(6), np.arange(6, M)
        yield np.arange(0), np.arange(M)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


class NoFold(Mute):
    """No split."""

    def split(self, X, y=None, groups=None):
        return iter(())


TABLE = {
    "counts of an estimator": (lambda: one(X, np.c_[Y, 1 - Y]), r"y \(m,\), got shape \(12, 2\); for successes and failures"),
    "one class of an estimator": (lambda: one(X, np.ones(M, int)), "at least 2 classes in y, got one class only: 1; nothing"),
    "liblinear of three": (lambda: one(X, THREE, solver="liblinear"), "Leave solver as it is by default"),
    "no weight of an estimator": (lambda: one(class_weight={0: 0.0, 1: 0.0}), "weights that are all 0; give some class weight"),
    "offset of an estimator": (lambda: one(fit={"offset": np.zeros(3)}), r"offset \(12,\), got shape \(3,\); give a number"),
    "offset of decisions": (lambda: one().decision_function(X, offset=np.zeros(3)), r"got shape \(3,\); give a number a row"),
    "elastic net without a share": (lambda: one(penalty="elasticnet", l1_ratio=None), "l1_ratio must be specified"),
    "groups of ridge": (lambda: one(groups=[0, 0]), "l1_ratio > 0 beside groups, .* got 0.*; raise it"),
    "another start": (warm, "expected shape .*; warm_start is for data alike"),
    "shares over 1": (lambda: several(l1_ratios=(2.0,)), "numbers between 0 and 1; got"),
    "no C": (lambda: several(Cs=[]), r"Cs with at least one value, got \[\]; give numbers"),
    "C of -1": (lambda: several(Cs=[-1.0]), r"C > 0, got \[-1.\]; it is the inverse"),
    "no fold": (lambda: several(cv=NoFold()), "cv with at least one fold, got none; give a number"),
    "an empty fold": (lambda: several(cv=Mute()), "got none in fold 1; give fewer folds"),
    "no penalty converges": (lambda: several(Cs=[1e300], max_iter=1, tol=1e-12), "converge in every fold, found none"),
    "no fold has a score": (
        lambda: several(cv=PredefinedSplit(np.where(Y == 0, 0, 1)), scoring="roc_auc"),
        "a fold that has a score, got none: roc_auc is NaN .*; with fewer folds",
    ),
    "soft and separated": (drawn, "hard labels of separated classes, got soft=True; leave"),
    "certified of nothing": (lambda: testing.check_certified(7, P, 1e-8), "expected Params, a Fit, .* got int"),
    "certified of a batch": (
        lambda: testing.check_certified(Params(np.ones((2, 2)), np.zeros(2)), P, 1e-8),
        r"one model, coef \(n,\), got a batch, \(2, 2\); check them one by one",
    ),
    "certified of more": (
        lambda: testing.check_certified((np.ones(3), 0.0), P, 1e-8),
        r"n = 2 columns, got \(3,\); pass",
    ),
    "certified of more of statsmodels": (
        lambda: testing.check_certified(of_statsmodels(1), Problem(X[:, :1], P.y), 1e-8),
        "1 coefficients, or 2 with a constant, got 3 from statsmodels; pass",
    ),
    "certified without a constant": (
        lambda: testing.check_certified(of_statsmodels(0), Problem(X[:, :1], P.y), 1e-8),
        "one constant among the columns .* found 0; X of the problem",
    ),
    "certified of matched sets": (
        lambda: testing.check_certified((np.ones(2), 0.0), Problem(X, P.y, strata=np.arange(M) // 2), 1e-8),
        "without strata, got one of matched sets: .*; jaxlr.fit_conditional",
    ),
}
