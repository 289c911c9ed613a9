"""Estimators for scikit-learn: its parameters, its attributes, its labels of any kind; underneath one call of `jaxlr.fit`.

scikit-learn minimizes C sum_i s_i l(z_i, y_i) + (1 - r) / 2 |coef|^2 + r |coef|_1, r its l1_ratio: jaxlr's objective with

    l1 = r / (C sum(s))        l2 = (1 - r) / (C sum(s))

More than two classes are one multinomial model (`jaxlr.fit` with `num_classes`), or on request each is fitted against the
rest, in one program: `fit(X, one_hot)`, the classes a batch axis. float64 input is computed in float64, whatever JAX's
configuration. The extra "sklearn" installs what this file needs.
"""

import warnings
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxlr.fitting.fit import fit
from jaxlr.inputs.sparse import of_scipy
from jaxlr.model.params import SoftmaxParams
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


class Rows(NamedTuple):
    """What is fitted.

    Attributes:
        X: (m, n), float32 or float64, an array or of scipy.sparse.
        y: (m,), as it came.
        labels: of one multinomial model the number of each row's class (m,); else 0/1 (M, m), a row for each of M models.
        weights: (..., 1 or M, m) >= 0.
    """

    X: Any
    y: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """What both estimators do before and after the fit."""

    multi_class: Any
    class_weight: Any
    classes_: np.ndarray
    coef_: np.ndarray
    intercept_: np.ndarray
    kkt_: np.ndarray
    converged_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits.

        Args:
            X: (m, n), an array, of scipy.sparse, or a DataFrame with the columns of the fit.

        Returns:
            (m,) of the second class; (m, K) of K > 2 classes.

        Raises:
            NotFittedError, ValueError: in scikit-learn's words.
        """
        check_is_fitted(self, "coef_")
        X = validate_data(self, of_scipy(X), reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        z = X @ self.coef_.T + self.intercept_
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any) -> np.ndarray:
        """The class whose logit is largest.

        Args:
            X: (m, n).

        Returns:
            (m,), of `classes_`.
        """
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, right also where a probability is 0 or 1 to rounding.

        Args:
            X: (m, n).

        Returns:
            (m, K), in the order of `classes_`; with "ovr" those of each class against the rest, scaled to sum to 1.
        """
        z = self.decision_function(X)
        if z.ndim == 1:
            return log_expit(np.stack([-z, z], axis=1))
        return log_softmax(z if self.multi_class == "multinomial" else log_expit(z), axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities.

        Args:
            X: (m, n).

        Returns:
            (m, K), in the order of `classes_`; with "ovr" those of each class against the rest, scaled to sum to 1.
        """
        return np.exp(self.predict_log_proba(X))

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """The data, checked; `classes_` is set."""
        if self.multi_class not in ("multinomial", "ovr"):
            raise ValueError(f'expected multi_class "multinomial" or "ovr", got {self.multi_class!r}')
        if np.ndim(y) == 2 and np.shape(y)[1] == 2:
            fix = "for successes and failures pass each row as a 1 and as a 0, with these as sample_weight"
            raise ValueError(f"expected y (m,), got shape {np.shape(y)}; {fix}")
        X, y = validate_data(self, of_scipy(X), y, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected at least 2 classes in y, got one class only: {self.classes_[0]}")
        binary = len(self.classes_) == 2
        one_model = self.multi_class == "multinomial" and not binary
        labels = codes if one_model else (codes == np.arange(len(self.classes_))[:, None])[int(binary) :]
        s = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if empty := [c for i, c in enumerate(self.classes_) if not np.any(s[codes == i] > 0)]:
            raise ValueError(f"expected rows of positive sample_weight in every class, got none in class {empty[0]}")
        if self.class_weight == "balanced" and not one_model:
            halves = [
                compute_class_weight("balanced", classes=np.array([False, True]), y=row, sample_weight=s) for row in labels
            ]
            of_rest, of_class = np.array(halves).T[:, :, None]
            factors = np.where(labels, of_class, of_rest)
        else:
            balance = {"sample_weight": s} if self.class_weight == "balanced" else {}
            factors = compute_class_weight(self.class_weight, classes=self.classes_, y=y, **balance)[codes][None, :]
        return Rows(X, y, labels, (factors * s).astype(X.dtype))

    def _keep(self, fits: Fit) -> None:
        """The models that predict, and their evidence."""
        self.coef_, self.intercept_ = fits.params
        self.kkt_, self.converged_ = fits.kkt, fits.status == Status.CONVERGED


class LogisticRegressor(LinearClassifier):
    """Logistic regression, in place of scikit-learn's LogisticRegression.

    Args:
        C: inverse strength of the penalty, > 0, on the scale of the summed loss; inf is no penalty.
        l1_ratio: share of the absolute penalty, in [0, 1].
        fit_intercept: whether there is an intercept, which is never penalized.
        class_weight: None, "balanced", or weights by class.
        tol: on the KKT residual of the mean loss (see `jaxlr.kkt_residual`); None is 1e-10 in float64 and 1e-5 in float32.
        max_iter: limit of Newton steps.
        multi_class: what more than two classes are: "multinomial", one model with the softmax, or "ovr", each class against the
            rest.
        lower: least coefficients, (n,) or one number, -inf for none; None is none. Of two classes those of the second.
        upper: greatest ones, likewise.
        groups: integers (n,), the same for columns that are together: the absolute penalty is that of `jaxlr.fit`'s l1_group
            then, which makes whole groups 0. None is none.

    Attributes:
        coef_: (1, n), or (K, n) with K > 2 classes.
        intercept_: (1,) or (K,).
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

    def __init__(
        self,
        *,
        C: Any = 1.0,
        l1_ratio: Any = 0.0,
        fit_intercept: Any = True,
        class_weight: Any = None,
        tol: Any = None,
        max_iter: Any = 200,
        multi_class: Any = "multinomial",
        lower: Any = None,
        upper: Any = None,
        groups: Any = None,
    ) -> None:
        # scikit-learn: whatever comes is stored, and checked in fit
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.multi_class = multi_class
        self.lower = lower
        self.upper = upper
        self.groups = groups

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "LogisticRegressor":
        """Fit the model.

        Args:
            X: (m, n), an array, of scipy.sparse, or a DataFrame.
            y: (m,), labels of any kind.
            sample_weight: (m,) >= 0; None is 1.

        Returns:
            The estimator.

        Raises:
            TypeError, ValueError: bad data or parameters, in scikit-learn's words or those of `jaxlr.fit`.

        Warns:
            ConvergenceWarning: a model did not converge; it says why, and what to do.
        """
        check_groups(self.groups, self.l1_ratio)
        fits = fit_rows(self, self._rows(X, y, sample_weight), self.C, self.l1_ratio)
        self._keep(fits)
        self.n_iter_ = fits.num_steps
        warn_about_failures(fits)
        return self


def fit_rows(estimator: Any, rows: Rows, C: Any, l1_ratio: Any) -> Fit:
    """Fit the labels under the weights and penalties, with the parameters of an estimator and in the dtype of X.

    Raises as `jaxlr.fit`.

    Args:
        estimator: one of this package.
        rows: with weights (..., 1 or M, m).
        C: inverse strengths > 0.
        l1_ratio: shares of l1, in [0, 1]; they broadcast with C to the grid.

    Returns:
        Fit (..., M, *grid) of NumPy arrays, M being 1 for a multinomial model. Its params are coef (..., K or 1, *grid, n) and
        intercept (..., K or 1, *grid).
    """
    C, l1_ratio = np.asarray(C, float), np.asarray(l1_ratio, float)
    if not np.all(np.finfo(rows.X.dtype).tiny <= C):
        raise ValueError(f"expected C > 0, got {C}")
    if not np.all((l1_ratio >= 0) & (l1_ratio <= 1)):
        raise ValueError(f"expected l1_ratio in [0, 1], got {l1_ratio}")
    if not isinstance(estimator.max_iter, Integral) or estimator.max_iter < 1:
        raise ValueError(f"expected max_iter to be an integer >= 1, got {estimator.max_iter!r}")
    grid, weights = (1,) * np.broadcast(C, l1_ratio).ndim, rows.weights
    one_model = rows.labels.ndim == 1
    weights = weights[..., 0, :] if one_model else weights
    strength = 1 / (C * weights.sum(axis=-1, dtype=float).reshape(weights.shape[:-1] + grid))
    X, labels = rows.X, rows.labels if one_model else _before_rows(rows.labels, grid)
    options: dict[str, Any] = {"sample_weight": None if np.all(weights == 1) else _before_rows(weights, grid)}
    options |= {"fit_intercept": estimator.fit_intercept}
    absolute = {"l1": strength * l1_ratio}
    if estimator.groups is not None:
        absolute = {"l1_group": strength * l1_ratio, "groups": estimator.groups}
    options |= absolute | {"l2": strength * (1 - l1_ratio), "tol": estimator.tol}
    bounds = {"lower": estimator.lower, "upper": estimator.upper}
    options |= {name: np.asarray(bound, float) for name, bound in bounds.items() if bound is not None}
    with jax.enable_x64(True):
        if not one_model:
            return jax.tree.map(np.array, fit(X, labels, max_steps=int(estimator.max_iter), **options))
        fits = fit(X, labels, num_classes=len(estimator.classes_), max_steps=int(estimator.max_iter), **options)
        fits = jax.tree.map(np.array, fits)
    at, (coef, intercept) = weights.ndim - 1, fits.params
    params = SoftmaxParams(np.moveaxis(coef, -2, at), np.moveaxis(intercept, -1, at))
    return replace(jax.tree.map(lambda leaf: np.expand_dims(leaf, at), fits), params=params)


def check_groups(groups: Any, l1_ratio: Any) -> None:
    """Refuse groups (n,), not None, that none of the shares l1_ratio of the penalty belongs to."""
    if groups is not None and not np.any(np.asarray(l1_ratio, float) != 0):
        raise ValueError(f"expected l1_ratio > 0 beside groups, whose share of the penalty it is, got {l1_ratio}")


def _before_rows(rows: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Rows (..., m) with axes for the grid before the last."""
    return rows.reshape(rows.shape[:-1] + grid + rows.shape[-1:])


def warn_about_failures(fits: Fit) -> None:
    """A ConvergenceWarning for each way in which models failed: how many did, and what to do."""
    for cause in Status:
        if cause != Status.CONVERGED and (count := int(np.sum(fits.status == cause))):
            message = f"{count} of {fits.status.size} models ended {cause.name}: {cause.advice}"
            warnings.warn(message.replace("max_steps", "max_iter"), ConvergenceWarning, stacklevel=3)
