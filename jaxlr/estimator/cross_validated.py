"""Cross-validation for scikit-learn: all folds, penalties and classes are one batch of models, scored by its scorers.

The score of a penalty is its mean over the folds, and the best one wins, the smallest C among equals; see
`jaxlr.cross_validate` for standard errors and their rule.
"""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv

from jaxlr.estimator.classifier import LinearClassifier, LogisticRegressor, fit_labels, warn_about_failures
from jaxlr.status import Status


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
        multi_class: Any = "ovr",
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "LogisticRegressorCV":
        """Fit every fold and penalty, score the rows held out, choose, and fit all rows.

        Args:
            X: (m, n), an array or a DataFrame.
            y: (m,), labels of any kind.
            sample_weight: (m,) >= 0, in the fits and in the scores; None is 1.

        Returns:
            The estimator.

        Raises:
            TypeError, ValueError: as `LogisticRegressor.fit`; no model of some fold has a score.

        Warns:
            ConvergenceWarning: some models did not converge; their penalties cannot be chosen.
        """
        X, y, labels, weights = self.prepare(X, y, sample_weight)
        self.Cs_ = np.logspace(-4, 4, self.Cs) if isinstance(self.Cs, Integral) else np.asarray(self.Cs, float)
        self.l1_ratios_ = np.asarray(self.l1_ratios, float)
        if self.Cs_.ndim != 1 or self.l1_ratios_.ndim != 1 or not self.Cs_.size * self.l1_ratios_.size:
            raise ValueError(f"expected Cs and l1_ratios with a value at least, got {self.Cs!r} and {self.l1_ratios!r}")
        splitter: Any = check_cv(self.cv, y, classifier=True)
        folds = list(splitter.split(X, y))
        counts = np.stack([np.bincount(train, minlength=len(X)) for train, _ in folds]).astype(X.dtype)
        fits = fit_labels(self, X, labels, counts[:, None, :] * weights, self.Cs_, self.l1_ratios_[:, None])
        warn_about_failures(fits)
        converged = np.all(fits.status == Status.CONVERGED, axis=1)
        coefs, intercepts = (np.moveaxis(part, 1, 3) for part in fits.params)
        self.coefs_paths_ = np.concatenate([coefs, intercepts[..., None]], axis=-1) if self.fit_intercept else coefs
        self.n_iter_ = fits.num_steps.max(axis=1)
        self.scores_ = np.full(converged.shape, np.nan)
        for k, r, c in np.argwhere(converged):
            self.coef_, self.intercept_ = coefs[k, r, c], intercepts[k, r, c]
            self.scores_[k, r, c] = self._score(X, y, sample_weight, folds[k][1])
        mean = self.scores_.mean(axis=0).T  # in the order in which scikit-learn breaks ties: by C, then by share
        if np.isnan(mean).all():
            raise ValueError("expected a penalty whose models converge in every fold, found none; raise max_iter or tol")
        if self.refit:
            c, r = np.unravel_index(np.nanargmax(mean), mean.shape)
            self.C_, self.l1_ratio_ = float(self.Cs_[c]), float(self.l1_ratios_[r])
            final = fit_labels(self, X, labels, weights, self.C_, self.l1_ratio_)
            warn_about_failures(final)
            self.coef_, self.intercept_ = final.params
            self.kkt_, self.converged_ = final.kkt, final.status == Status.CONVERGED
            return self
        best = [np.unravel_index(np.nanargmax(fold), fold.shape) for fold in self.scores_.transpose(0, 2, 1)]
        chosen = tuple(np.array([(k, r, c) for k, (c, r) in enumerate(best)]).T)
        self.C_, self.l1_ratio_ = float(self.Cs_[chosen[2]].mean()), float(self.l1_ratios_[chosen[1]].mean())
        self.coef_, self.intercept_ = coefs[chosen].mean(axis=0), intercepts[chosen].mean(axis=0)
        self.kkt_ = np.moveaxis(fits.kkt, 1, 3)[chosen].max(axis=0)
        self.converged_ = converged[chosen].all(keepdims=True)
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

    def _score(self, X: np.ndarray, y: np.ndarray, sample_weight: Any, rows: np.ndarray) -> float:
        """Of the present coefficients on some rows."""
        judged = LogisticRegressor()
        judged.classes_, judged.coef_, judged.intercept_ = self.classes_, self.coef_, self.intercept_
        weight = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[rows]}
        return get_scorer(self.scoring or "accuracy")(judged, X[rows], y[rows], **weight)
