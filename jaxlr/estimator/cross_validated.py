"""Cross-validation for scikit-learn: all folds, penalties and classes are one batch of models, scored as it scores them.

The score of a penalty is its mean over the folds, and the best one wins, the smallest C among equals; see
`jaxlr.cross_validate` for standard errors and their rule.
"""

import copy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import metadata_routing

from jaxlr.estimator.absent import classes_there, fit_rows
from jaxlr.estimator.callbacks import root_task, task
from jaxlr.estimator.chosen import choose
from jaxlr.estimator.classifier import LogisticRegressor, warn_about_failures
from jaxlr.estimator.legacy import with_legacy_attributes
from jaxlr.estimator.linear import LinearClassifier
from jaxlr.estimator.parameters import CONSTRAINTS_CV, check_groups, shares
from jaxlr.estimator.routing import routed, router
from jaxlr.estimator.rows import check_rows, to_numpy, training_weights
from jaxlr.estimator.scoring import held_out_scores
from jaxlr.results.status import Status


class LogisticRegressorCV(LinearClassifier):
    """Logistic regression, its penalty chosen by cross-validation, in place of scikit-learn's LogisticRegressionCV.

    All folds, strengths, shares and classes are models of one batch. A fold that trains on no row of some class fits the others
    and gives that class the probability 0.

    Args:
        Cs: values of C, or how many from 1e-4 to 1e4.
        l1_ratios: shares of the absolute penalty, each in [0, 1]; "warn", the default, is (0.0,), and None, deprecated, too.
        fit_intercept: whether there is an intercept, which is never penalized.
        cv: as in scikit-learn: None (5 stratified folds), their number, a splitter, or pairs of indices.
        dual, intercept_scaling, random_state, n_jobs: no effect, as of a `LogisticRegressor`.
        penalty: likewise deprecated: "l1", "l2", or "elasticnet" with l1_ratios.
        scoring: name of a score or a scorer (estimator, X, y) of scikit-learn; None is the accuracy.
        solver, tol, max_iter, class_weight, verbose, multi_class, lower, upper, groups: as of a `LogisticRegressor`.
        refit: whether to fit all rows at the best mean score; False averages the best coefficients of each fold.
        use_legacy_attributes: whether C_, l1_ratio_, coefs_paths_, scores_ and n_iter_ have the shapes of scikit-learn before
            1.10: dictionaries by class, and arrays with the same number for each class.

    Attributes:
        coef_, intercept_, classes_, converged_, kkt_: as of a `LogisticRegressor`; without refit the last two are those of the
            worst model that was averaged.
        C_, l1_ratio_: the choice; without refit the means over the folds.
        Cs_: (c,).
        l1_ratios_: (r,).
        scores_: (k, r, c), on the rows that each of k folds holds out; NaN where a model did not converge, or the score is: a
            fold that has none at all leaves the choice to the others.
        coefs_paths_: (k, r, c, 1 or K, n + 1), the intercept last; (..., n) without one.
        n_iter_: (k, r, c), the most steps of a model.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = LogisticRegressorCV(Cs=5, cv=3, scoring="neg_log_loss").fit(X / X.std(axis=0), y)
        >>> model.C_, model.scores_.shape
        (1.0, (3, 1, 5))
    """

    # of scikit-learn's names: the folds' groups go to the splitter, the weights of a score to the scorer
    __metadata_request__fit: ClassVar = {"groups": metadata_routing.UNUSED}
    __metadata_request__score: ClassVar = {"sample_weight": metadata_routing.UNUSED}
    _parameter_constraints = CONSTRAINTS_CV

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = "warn",
        fit_intercept: Any = True,
        cv: Any = None,
        dual: Any = False,
        penalty: Any = "deprecated",
        scoring: Any = None,
        solver: Any = "lbfgs",
        tol: Any = None,
        max_iter: Any = 200,
        class_weight: Any = None,
        n_jobs: Any = None,
        verbose: Any = 0,
        refit: Any = True,
        intercept_scaling: Any = 1.0,
        random_state: Any = None,
        use_legacy_attributes: Any = False,
        multi_class: Any = "multinomial",
        lower: Any = None,
        upper: Any = None,
        groups: Any = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.multi_class = multi_class
        self.lower = lower
        self.upper = upper
        self.groups = groups

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        *,
        offset: Any = None,
        penalty_factor: Any = None,
        **params: Any,
    ) -> "LogisticRegressorCV":
        """Fit every fold and penalty, score the rows held out, choose, and fit all rows.

        Args:
            X: (m, n), an array of NumPy or JAX, of scipy.sparse, or a DataFrame.
            y: (m,), labels of any kind.
            sample_weight: (m,) >= 0, in the fits and in the scores; None is 1. With metadata routing the scores have it where
                the scorer requests it.
            groups: (m,), for a `cv` that splits by groups.
            offset: as of a `LogisticRegressor`, in the scores too.
            penalty_factor: likewise.
            **params: with metadata routing, what else the splitter and the scorer request.

        Returns:
            The estimator.

        Raises:
            TypeError, ValueError: as `LogisticRegressor.fit`; for every penalty some model did not converge, or no fold has a
                score.

        Warns:
            ConvergenceWarning: some models did not converge; their penalties cannot be chosen.
            UserWarning: a fold has no score, such as "roc_auc" of one class, and the others choose.
            FutureWarning, UserWarning: as `jaxlr.estimator.parameters.shares`.
        """
        sample_weight, offset = (None if part is None else np.asarray(to_numpy(part)) for part in (sample_weight, offset))
        of_splitter, of_scorer = routed(self, "fit", sample_weight, {"groups": groups}, params)
        self.l1_ratios_ = shares(self)
        rows = check_rows(self, X, y, sample_weight, offset, penalty_factor)
        self.Cs_ = np.logspace(-4, 4, self.Cs) if isinstance(self.Cs, Integral) else np.asarray(self.Cs, float)
        for name, values in (("Cs", self.Cs_), ("l1_ratios", self.l1_ratios_)):
            if values.ndim != 1 or not values.size:
                raise ValueError(f"expected {name} with at least one value, got {getattr(self, name)!r}; give numbers (k,)")
        check_groups(self.groups, self.l1_ratios_)
        splitter: Any = check_cv(self.cv, rows.y, classifier=True)
        folds = list(splitter.split(rows.X, rows.y, **of_splitter))
        with root_task(self, rows, sample_weight, 3) as context:
            with task(self, context, "fit the folds"):
                training = rows._replace(weights=training_weights(folds, rows))
                fits = fit_rows(self, training, self.Cs_, self.l1_ratios_[:, None])
            warn_about_failures(self, fits)
            coefs, intercepts = (np.moveaxis(part, 1, 3) for part in fits.params)
            self.coefs_paths_ = np.concatenate([coefs, intercepts[..., None]], axis=-1) if self.fit_intercept else coefs
            self.n_iter_ = fits.num_steps.max(axis=1)
            converged, held_out = np.all(fits.status == Status.CONVERGED, axis=1), [test for _, test in folds]
            with task(self, context, "score the folds"):
                self.scores_ = held_out_scores(self, (coefs, intercepts), converged, rows, held_out, of_scorer)
            with task(self, context, "choose"):
                choose(self, rows, fits, classes_there(self, training))
        if self.use_legacy_attributes:
            with_legacy_attributes(self)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, **params: Any) -> float:
        """The score that `scoring` names.

        Args:
            X: (m, n).
            y: (m,).
            sample_weight: (m,) >= 0; None is 1.
            offset: as for `decision_function`; a scorer knows of none, and judges a model that has it.
            **params: with metadata routing, what else the scorer requests.

        Returns:
            The score, more is better.
        """
        model = self
        if offset is not None:
            model = copy.copy(self)
            vars(model)["decision_function"] = lambda X, _=None: self.decision_function(X, offset)
        return self._get_scorer()(model, X, y, **routed(self, "score", sample_weight, {}, params)[1])

    def get_metadata_routing(self) -> Any:
        """What goes to whom: the weights of scores to the scorer, groups to the splitter.

        Returns:
            sklearn.utils.metadata_routing.MetadataRouter.
        """
        return router(self)

    def _get_scorer(self) -> Any:
        return get_scorer(self.scoring or "accuracy")

    def _of_fold(self, coef: np.ndarray, intercept: np.ndarray, offset: np.ndarray | None) -> LogisticRegressor:
        """The model of a fold, for a scorer of rows with this offset."""
        model = _Judged(multi_class=self.multi_class)
        model.classes_, model.coef_, model.intercept_, model.offset_ = self.classes_, coef, intercept, offset
        return model


class _Judged(LogisticRegressor):
    """A model for a scorer, which knows of no offset: it has that of the rows."""

    offset_: np.ndarray | None

    def decision_function(self, X: Any, offset: Any = None) -> Any:
        return super().decision_function(X, self.offset_)
