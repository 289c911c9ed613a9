"""`LogisticRegressor`: scikit-learn's LogisticRegression, its parameters and attributes; underneath one call of `jaxlr.fit`."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning

from jaxlr.estimator.absent import fit_rows, never
from jaxlr.estimator.callbacks import fit_by_steps, root_task
from jaxlr.estimator.linear import LinearClassifier
from jaxlr.estimator.parameters import CONSTRAINTS, check_groups, strength_and_share
from jaxlr.estimator.rows import check_rows
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


class LogisticRegressor(LinearClassifier):
    """Logistic regression, in place of scikit-learn's LogisticRegression.

    Args:
        penalty: deprecated there, gone in 1.10: None, "l1", "l2" or "elasticnet", in place of C=inf and l1_ratio.
        C: inverse strength of the penalty, > 0, on the scale of the summed loss; inf is no penalty.
        l1_ratio: share of the absolute penalty, in [0, 1].
        dual: no effect, the minimum is the same.
        tol: on the KKT residual of the mean loss (see `jaxlr.kkt_residual`); None is 1e-10 in float64 and 1e-5 in float32,
            and 0 what the dtype can reach.
        fit_intercept: whether there is an intercept, which is never penalized.
        intercept_scaling: no effect, for that reason.
        class_weight: None, "balanced", or weights by class; a class of weight 0 has probability 0.
        random_state: no effect, nothing is random.
        solver: a name of scikit-learn's. The solver is chosen by the data, for every penalty and bound; without l1 and bounds
            "newton-cholesky" and "newton-cg" are `jaxlr.fit`'s "newton" and "newton_cg". With "liblinear" there are two classes
            (or "ovr") and float64, as there. The minimum is the same.
        max_iter: limit of Newton steps; 0 leaves the model where it starts.
        verbose: whether a bar on stderr shows the progress.
        warm_start: whether to start from the coefficients of the last fit.
        n_jobs: no effect; deprecated there, gone in 1.10.
        multi_class: what more than two classes are: "multinomial", one model with the softmax, or "ovr", each class against the
            rest.
        lower: least coefficients, (n,) or one number, -inf for none; None is none. Of two classes those of the second.
        upper: greatest ones, likewise.
        groups: integers (n,), the same for columns that are together: the absolute penalty is that of `jaxlr.fit`'s l1_group
            then, which makes whole groups 0. None is none.

    Attributes:
        coef_: (1, n), or (K, n) with K > 2 classes, in the dtype of X; of scipy.sparse after `sparsify`.
        intercept_: (1,) or (K,); about the least number of the dtype for a class without weight.
        classes_: (K,), sorted.
        n_iter_: (1,), or (K,) with "ovr": steps.
        converged_: likewise, bool.
        kkt_: likewise, the residual that each model ended with.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LogisticRegressor(C=10).fit(X, y)
        >>> round(model.score(X, y), 2), model.converged_.tolist()
        (0.98, [True])
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: Any = 1.0,
        l1_ratio: Any = 0.0,
        dual: Any = False,
        tol: Any = None,
        fit_intercept: Any = True,
        intercept_scaling: Any = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: Any = "lbfgs",
        max_iter: Any = 200,
        verbose: Any = 0,
        warm_start: Any = False,
        n_jobs: Any = None,
        multi_class: Any = "multinomial",
        lower: Any = None,
        upper: Any = None,
        groups: Any = None,
    ) -> None:
        # scikit-learn: whatever comes is stored, and checked in fit
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.multi_class = multi_class
        self.lower = lower
        self.upper = upper
        self.groups = groups

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, penalty_factor: Any = None
    ) -> "LogisticRegressor":
        """Fit the model.

        Args:
            X: (m, n), an array of NumPy or JAX, of scipy.sparse, or a DataFrame.
            y: (m,), labels of any kind.
            sample_weight: (m,) >= 0; None is 1.
            offset: added to the logits, (m,), of K > 2 classes (m, K); predictions take one too. None is 0.
            penalty_factor: (n,) >= 0, multiplies the penalty by column; None is 1.

        Returns:
            The estimator.

        Raises:
            TypeError, ValueError: bad data or parameters, in scikit-learn's words or those of `jaxlr.fit`.

        Warns:
            ConvergenceWarning: a model did not converge; it says why, and what to do.
            FutureWarning, UserWarning: as `jaxlr.estimator.parameters.strength_and_share`.
        """
        C, share = strength_and_share(self)
        check_groups(self.groups, share)
        rows = check_rows(self, X, y, sample_weight, offset, penalty_factor)
        init = self._start(rows.X.shape[1]) if self.warm_start else None
        with root_task(self, rows, sample_weight, max(int(self.max_iter), 1) + 1) as context:
            if context is None:
                fits = fit_rows(self, rows, C, share, init=init)
            else:
                fits = fit_by_steps(self, rows, C, share, init=init, context=context, sample_weight=sample_weight)
            self._keep(fits)
            self.n_iter_ = fits.num_steps
        warn_about_failures(self, fits)
        return self

    def _start(self, n: int) -> Any:
        """Coefficients and intercepts of the last fit, where there was one; that of a class without weight starts at 0."""
        if not hasattr(self, "coef_"):
            return None
        coef = self.coef_ if isinstance(self.coef_, np.ndarray) else self.coef_.toarray()
        if coef.shape != (expected := (len(self.classes_) if len(self.classes_) > 2 else 1, n)):
            raise ValueError(
                f"Initialization coef is of shape {coef.shape}, expected shape {expected}; warm_start is for data alike"
            )
        return coef, np.where(np.abs(self.intercept_) < -never(coef.dtype), self.intercept_, 0)


def warn_about_failures(estimator: Any, fits: Fit, stacklevel: int = 4) -> None:
    """A ConvergenceWarning for each way in which models failed: how many did, and what to do."""
    if np.all(fits.status == Status.CONVERGED):
        return
    most = estimator.max_iter
    reached = (
        f"newton-cg failed to converge after {most} iterations. Increase the number of iterations. "
        if fits.solver == "newton_cg"
        else "The max_iter was reached which means the coef_ did not converge: "
        f"Newton solver did not converge after {most} iterations. "
    )
    for cause in Status:
        if cause != Status.CONVERGED and (count := int(np.sum(fits.status == cause))):
            message = f"{count} of {fits.status.size} models ended {cause.name}: {cause.advice}"
            if cause == Status.MAX_STEPS:
                message = reached + message
            if cause == Status.NOT_RUN:
                message = f"{count} of {fits.status.size} models are where they started: max_iter is 0."
            warnings.warn(message.replace("max_steps", "max_iter"), ConvergenceWarning, stacklevel=stacklevel)
