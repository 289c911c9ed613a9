"""What both estimators do after the fit: logits X . coef_ + intercept_ + offset, and probabilities and classes of them.

Rows of NumPy, SciPy and tables are checked by scikit-learn and give NumPy arrays. A `jax.Array` gives `jax.Array`s, computed
where it is, under jit and differentiation too; there its number of columns alone is checked. Classes that are no numbers are
NumPy's in any case.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import BaseEstimator
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _check_n_features, check_is_fitted, validate_data

from jaxlr.inputs.sparse import of_scipy
from jaxlr.model.logistic import log_sigmoid
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

try:
    from sklearn.callback import CallbackSupportMixin  # pyright: ignore[reportAssignmentType]
except ImportError:

    class CallbackSupportMixin:
        """scikit-learn 1.8 has no callbacks."""


class LinearClassifier(CallbackSupportMixin, LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """What both estimators do before and after the fit."""

    multi_class: Any
    fit_intercept: Any
    class_weight: Any
    classes_: np.ndarray
    coef_: Any
    intercept_: np.ndarray
    kkt_: np.ndarray
    converged_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def penalty(self) -> Any:
        """As given; "l1" also where the share of the absolute penalty is 1, which `SelectFromModel` asks for its threshold."""
        own = self.__dict__
        given, shares = own["penalty"], [own[name] for name in ("l1_ratio_", "l1_ratio", "l1_ratios") if name in own]
        lasso = isinstance(given, str) and given == "deprecated" and np.all(np.asarray(shares[0]) == 1)
        return "l1" if lasso else given

    @penalty.setter
    def penalty(self, given: Any) -> None:
        self.__dict__["penalty"] = given

    @classmethod
    @functools.cache  # each fit of a search asks five times, which takes scikit-learn as long as fitting
    def _get_param_names(cls) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super()._get_param_names()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters as they were given.

        Args:
            deep: whether those of parameters that are estimators are named too.

        Returns:
            By name.
        """
        return super().get_params(deep) | {"penalty": self.__dict__["penalty"]}

    def decision_function(self, X: Any, offset: Any = None) -> Any:
        """Logits.

        Args:
            X: (m, n), an array, of scipy.sparse, or a DataFrame with the columns of the fit.
            offset: added to the logits, (m,), of K > 2 classes (m, K) too; None is 0.

        Returns:
            (m,) of the second class; (m, K) of K > 2 classes.

        Raises:
            NotFittedError, ValueError: in scikit-learn's words.
        """
        check_is_fitted(self, "coef_")
        if isinstance(X, jax.Array):
            return _moved(self._logits_of_jax(X), offset)
        X = validate_data(self, of_scipy(X), reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        z = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return _moved(z[:, 0] if z.shape[1] == 1 else z, offset)

    def predict(self, X: Any, offset: Any = None) -> Any:
        """The class whose logit is largest.

        Args:
            X: (m, n).
            offset: as for `decision_function`.

        Returns:
            (m,), of `classes_`.
        """
        z = self.decision_function(X, offset)
        best = (z > 0).astype(np.int32) if z.ndim == 1 else z.argmax(axis=1)
        if isinstance(z, jax.Array) and self.classes_.dtype.kind in "biuf":
            return jnp.asarray(self.classes_)[best]
        return self.classes_[np.asarray(best)]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None) -> float:
        """The accuracy.

        Args:
            X: (m, n).
            y: (m,).
            sample_weight: (m,) >= 0; None is 1.
            offset: as for `decision_function`.

        Returns:
            The share of rows that are predicted right.
        """
        predicted, labels = np.asarray(self.predict(X, offset)), np.asarray(y)
        if sample_weight is None and labels.shape == predicted.shape and labels.dtype == predicted.dtype:
            return float(np.mean(predicted == labels))  # without the checks of labels of any kind, which take longer than a fit
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def predict_log_proba(self, X: Any, offset: Any = None) -> Any:
        """Logarithms of `predict_proba`, right also where a probability is 0 or 1 to rounding.

        Args:
            X, offset: as for `decision_function`.

        Returns:
            (m, K).
        """
        z = self.decision_function(X, offset)
        return log_probabilities(z, self.multi_class if z.ndim > 1 else "")

    def predict_proba(self, X: Any, offset: Any = None) -> Any:
        """Probabilities.

        Args:
            X: (m, n).
            offset: as for `decision_function`.

        Returns:
            (m, K), in the order of `classes_`; with "ovr" those of each class against the rest, scaled to sum to 1.
        """
        log_proba = self.predict_log_proba(X, offset)
        return jnp.exp(log_proba) if isinstance(log_proba, jax.Array) else np.exp(log_proba)

    def _logits_of_jax(self, X: jax.Array) -> Any:
        """Logits of rows of JAX, in their dtype."""
        _check_n_features(self, X, reset=False)
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else jnp.zeros(()).dtype
        coef = self.coef_ if isinstance(self.coef_, np.ndarray) else self.coef_.toarray()
        most = float(np.finfo(dtype).max) / 2  # an intercept of a class that was absent may be near that of float64
        coef, intercept = (np.clip(part, -most, most).astype(dtype) for part in (coef, self.intercept_))
        return logits(Params(coef[0], intercept[0]) if len(coef) == 1 else SoftmaxParams(coef, intercept), X)

    def _keep(self, fits: Fit) -> None:
        """The models that predict, and their evidence."""
        self.coef_, self.intercept_ = fits.params
        self.kkt_, self.converged_ = fits.kkt, fits.status == Status.CONVERGED


def log_probabilities(z: Any, multi_class: str) -> Any:
    """Logarithms of the probabilities (..., m, K), right also where a probability is 0 or 1 to rounding.

    Args:
        z: logits of NumPy or JAX, (..., m) of the second class, or with `multi_class` (..., m, K).
        multi_class: "multinomial", "ovr", or "" of two classes.
    """
    xp, log_of_one, log_of_all = (
        (jnp, log_sigmoid, jax.nn.log_softmax) if isinstance(z, jax.Array) else (np, log_expit, log_softmax)
    )
    if not multi_class:
        return log_of_one(xp.stack([-z, z], axis=-1))
    return log_of_all(z if multi_class == "multinomial" else log_of_one(z), axis=-1)


def _moved(z: Any, offset: Any) -> Any:
    """Logits (m,) or (m, K) with an offset: of the same shape, or (m,) for all classes."""
    if offset is None:
        return z
    offset = (jnp if isinstance(z, jax.Array) else np).asarray(offset, z.dtype)
    if offset.shape not in (z.shape, z.shape[:1]):
        raise ValueError(f"expected offset {z.shape}, got shape {offset.shape}; give a number a row of X")
    return z + offset.reshape(offset.shape + (1,) * (z.ndim - offset.ndim))
