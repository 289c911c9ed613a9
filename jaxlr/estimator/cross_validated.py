"""Cross-validation for scikit-learn: all folds, penalties and classes are one batch of models, scored by its scorers.

The score of a penalty is its mean over the folds, and the best one wins, the smallest C among equals; see
`jaxlr.cross_validate` for standard errors and their rule.
"""

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import check_cv

from jaxlr.estimator.classifier import LinearClassifier, LogisticRegressor, Rows, check_groups, fit_rows, warn_about_failures
from jaxlr.results.status import Status


class LogisticRegressorCV(LinearClassifier):
    """Logistic regression, its penalty chosen by cross-validation, in place of scikit-learn's LogisticRegressionCV.

    All folds, strengths, shares and classes are models of one batch. Attributes have the shapes that scikit-learn's have with
    use_legacy_attributes=False.

    Args:
        Cs: values of C, or how many from 1e-4 to 1e4.
        l1_ratios: shares of the absolute penalty, each in [0, 1].
        fit_intercept: whether there is an intercept, which is never penalized.
        cv: as in scikit-learn: None (5 stratified folds), their number, a splitter, or pairs of indices.
        scoring: name of a score or a scorer (estimator, X, y) of scikit-learn; None is the accuracy.
        refit: whether to fit all rows at the best mean score; False averages the best coefficients of each fold.
        class_weight: None, "balanced", or weights by class.
        tol: as in `LogisticRegressor`.
        max_iter: likewise.
        multi_class: likewise.
        lower: likewise.
        upper: likewise.
        groups: likewise.

    Attributes:
        coef_, intercept_, classes_, converged_, kkt_: as of a `LogisticRegressor`; without refit the last two are those of the
            worst model that was averaged.
        C_, l1_ratio_: the choice; without refit the means over the folds.
        Cs_: (c,).
        l1_ratios_: (r,).
        scores_: (k, r, c), on the rows that each of k folds holds out; NaN where a model did not converge.
        coefs_paths_: (k, r, c, 1 or K, n + 1), the intercept last; (..., n) without one.
        n_iter_: (k, r, c), the most steps of a model.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = LogisticRegressorCV(Cs=5, cv=3, scoring="neg_log_loss").fit(X / X.std(axis=0), y)
        >>> model.C_, model.scores_.shape
        (1.0, (3, 1, 5))
    """

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        fit_intercept: Any = True,
        cv: Any = None,
        scoring: Any = None,
        refit: Any = True,
        class_weight: Any = None,
        tol: Any = None,
        max_iter: Any = 200,
        multi_class: Any = "multinomial",
        lower: Any = None,
        upper: Any = None,
        groups: Any = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.multi_class = multi_class
        self.lower = lower
        self.upper = upper
        self.groups = groups

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "LogisticRegressorCV":
        """Fit every fold and penalty, score the rows held out, choose, and fit all rows.

        Args:
            X: (m, n), an array, of scipy.sparse, or a DataFrame.
            y: (m,), labels of any kind.
            sample_weight: (m,) >= 0, in the fits and in the scores; None is 1.
            groups: (m,), for a `cv` that splits by groups.

        Returns:
            The estimator.

        Raises:
            TypeError, ValueError: as `LogisticRegressor.fit`; a fold trains on no row of some class; for every penalty some
                model did not converge.

        Warns:
            ConvergenceWarning: some models did not converge; their penalties cannot be chosen.
        """
        rows = self._rows(X, y, sample_weight)
        self.Cs_ = np.logspace(-4, 4, self.Cs) if isinstance(self.Cs, Integral) else np.asarray(self.Cs, float)
        self.l1_ratios_ = np.asarray(self.l1_ratios, float)
        for name, values in (("Cs", self.Cs_), ("l1_ratios", self.l1_ratios_)):
            if values.ndim != 1 or not values.size:
                raise ValueError(f"expected {name} with at least one value, got {getattr(self, name)!r}")
        check_groups(self.groups, self.l1_ratios_)
        splitter: Any = check_cv(self.cv, rows.y, classifier=True)
        folds = list(splitter.split(rows.X, rows.y, groups))
        fits = fit_rows(self, rows._replace(weights=_training_weights(folds, rows)), self.Cs_, self.l1_ratios_[:, None])
        warn_about_failures(fits)
        coefs, intercepts = (np.moveaxis(part, 1, 3) for part in fits.params)
        self.coefs_paths_ = np.concatenate([coefs, intercepts[..., None]], axis=-1) if self.fit_intercept else coefs
        self.n_iter_ = fits.num_steps.max(axis=1)
        self.scores_ = np.full(self.n_iter_.shape, np.nan)
        scorer = _accuracy if self.scoring in (None, "accuracy") else _scorer(self.scoring, self.classes_)
        for k, r, c in np.argwhere(np.all(fits.status == Status.CONVERGED, axis=1)):
            held_out = folds[k][1]
            weight = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[held_out]}
            judged = self._judged(coefs[k, r, c], intercepts[k, r, c])
            self.scores_[k, r, c] = scorer(judged, rows.X[held_out], rows.y[held_out], **weight)
        mean = self.scores_.mean(axis=0).T  # in the order in which scikit-learn breaks ties: by C, then by share
        if np.isnan(mean).all():
            raise ValueError("expected a penalty whose models converge in every fold, found none; the warnings say why")
        if self.refit:
            c, r = np.unravel_index(np.nanargmax(mean), mean.shape)
            self.C_, self.l1_ratio_ = float(self.Cs_[c]), float(self.l1_ratios_[r])
            fits = fit_rows(self, rows, self.C_, self.l1_ratio_)
            warn_about_failures(fits)
            self._keep(fits)
            return self
        best = [np.unravel_index(np.nanargmax(fold), fold.shape) for fold in self.scores_.transpose(0, 2, 1)]
        k, r, c = np.array([(k, r, c) for k, (c, r) in enumerate(best)]).T
        self.C_, self.l1_ratio_ = float(self.Cs_[c].mean()), float(self.l1_ratios_[r].mean())
        self.coef_, self.intercept_ = coefs[k, r, c].mean(axis=0), intercepts[k, r, c].mean(axis=0)
        self.kkt_ = np.moveaxis(fits.kkt, 1, 3)[k, r, c].max(axis=0)
        self.converged_ = np.ones(self.kkt_.shape, bool)  # what did not converge has no score
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score that `scoring` names.

        Args:
            X: (m, n).
            y: (m,).
            sample_weight: (m,) >= 0; None is 1.

        Returns:
            The score, more is better.
        """
        scorer = get_scorer(self.scoring or "accuracy")
        return scorer(self, X, y, **({} if sample_weight is None else {"sample_weight": sample_weight}))

    def _judged(self, coef: np.ndarray, intercept: np.ndarray) -> LogisticRegressor:
        """The model of a fold, for a scorer."""
        model = LogisticRegressor(multi_class=self.multi_class)
        model.classes_, model.coef_, model.intercept_ = self.classes_, coef, intercept
        return model


def _training_weights(folds: list[tuple[Any, Any]], rows: Rows) -> np.ndarray:
    """How often a fold trains on each row, times the weights: (k, 1 or K, m)."""
    m = len(rows.y)
    counts = [np.bincount(np.arange(m)[train], minlength=m) for train, _ in folds]  # of indices or of a mask
    if not counts:
        raise ValueError("expected cv with at least one fold, got none")
    for k, count in enumerate(counts):
        present = rows.y[(count > 0) & (rows.weights.max(axis=0) > 0)]
        if len(absent := np.setdiff1d(rows.y, present)):
            raise ValueError(f"expected training rows of every class in every fold, got none of class {absent[0]} in fold {k}")
    return np.stack(counts).astype(rows.X.dtype)[:, None, :] * rows.weights


def _accuracy(model: LinearClassifier, X: Any, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """scikit-learn's accuracy, without its checks of every argument: these take most of the time of a fit."""
    z = X @ model.coef_.T + model.intercept_
    best = (z[:, 0] > 0).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)
    return float(np.average(model.classes_[best] == y, weights=sample_weight))


def _scorer(scoring: str | Callable, classes: np.ndarray) -> Callable:
    """A scorer that knows all classes, also where the rows held out lack one."""
    scorer: Any = get_scorer(scoring)
    score = getattr(scorer, "_score_func", None)
    known = {} if score is None else inspect.signature(score).parameters
    if score is None or "labels" not in known:
        return scorer
    options = {"labels": classes} | ({"pos_label": classes[-1]} if "pos_label" in known and len(classes) == 2 else {})
    options |= scorer._kwargs
    return make_scorer(score, greater_is_better=scorer._sign == 1, response_method=scorer._response_method, **options)
