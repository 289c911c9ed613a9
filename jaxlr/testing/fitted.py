"""The parameters that another package found, as `Params` or `SoftmaxParams`.

Params, SoftmaxParams, a jaxlr Fit      as they are
(coef, intercept)                       coef (n,) or (1, n) of two classes, (K, n) of K
a scikit-learn classifier               coef_, intercept_; classes_ tell the labels
results of statsmodels                  params, the intercept found by the name or the values of its column;
                                        of MNLogit (k, K - 1) beside a first class of zeros
"""

from typing import Any

import numpy as np

from jaxlr.model.params import Params, SoftmaxParams

_CONSTANTS = ("const", "Intercept", "intercept", "(Intercept)")


def params_from(fitted: Any, num_columns: int) -> Params | SoftmaxParams:
    """Parameters in float64 of a model that was fitted to X with so many columns.

    Args:
        fitted: see above.
        num_columns: n; statsmodels may count its constant beside.

    Returns:
        Params, coef (n,) and intercept (), or SoftmaxParams, coef (K, n) and intercept (K,).

    Raises:
        TypeError: nothing that holds the parameters of a model.
        ValueError: their shapes do not fit n columns, they are those of a batch, or no column of statsmodels is the constant.

    Example:
        >>> params_from((np.array([[1.0, 2.0]]), np.array([0.5])), 2)
        Params(coef=array([1., 2.]), intercept=array(0.5))
    """
    if hasattr(fitted, "coef_") and hasattr(fitted, "intercept_"):
        coef, intercept = fitted.coef_, fitted.intercept_
        coef = coef.toarray() if hasattr(coef, "toarray") else coef  # after sparsify()
    elif hasattr(fitted, "params") and hasattr(fitted, "model"):
        return _of_statsmodels(fitted, num_columns)
    else:
        given = getattr(fitted, "params", fitted)
        if not (isinstance(given, tuple) and len(given) == 2):
            raise TypeError(
                "expected Params, a Fit, (coef, intercept), a fitted scikit-learn classifier or results of statsmodels, "
                f"got {type(fitted).__name__}"
            )
        coef, intercept = given
        if isinstance(given, Params) and np.ndim(coef) > 1:
            raise ValueError(f"expected Params of one model, coef (n,), got a batch, {np.shape(coef)}; check them one by one")
    coef, intercept = np.asarray(coef, float), np.asarray(intercept, float)
    if coef.ndim not in (1, 2) or coef.shape[-1] != num_columns:
        raise ValueError(f"expected coef (n,) or (K, n) of n = {num_columns} columns, got {coef.shape}; pass the problem's own")
    two_classes = coef.ndim == 1 or (len(coef) == 1 and not isinstance(fitted, SoftmaxParams))
    if two_classes:
        return Params(coef.reshape(num_columns), intercept.reshape(()))
    return SoftmaxParams(coef, np.broadcast_to(intercept, len(coef)).copy())


def _of_statsmodels(results: Any, n: int) -> Params | SoftmaxParams:
    values = np.asarray(results.params, float)  # (k,), or (k, K - 1) of MNLogit
    k = len(values)
    if k not in (n, n + 1):
        raise ValueError(
            f"expected {n} coefficients, or {n + 1} with a constant, got {k} from statsmodels; pass the X of its model"
        )
    at = None if k == n else _constant_of(results, k)
    coef = values if at is None else np.delete(values, at, axis=0)
    intercept = np.zeros(values.shape[1:]) if at is None else values[at]
    if values.ndim == 1:
        return Params(coef, np.asarray(intercept))
    coef, intercept = np.pad(coef.T, ((1, 0), (0, 0))), np.pad(intercept, (1, 0))
    return SoftmaxParams(coef - coef.mean(axis=0), intercept - intercept.mean())


def _constant_of(results: Any, k: int) -> int:
    """Which column of statsmodels' design is the constant: by its name, else by its values."""
    names = list(getattr(results.model, "exog_names", None) or [])[:k]
    named = [i for i, name in enumerate(names) if name in _CONSTANTS]
    exog = np.asarray(results.model.exog, float)
    constant = named or [i for i in range(k) if exog[0, i] != 0 and np.all(exog[:, i] == exog[0, i])]
    if len(constant) != 1:
        raise ValueError(
            f"expected one constant among the columns {names} of statsmodels, found {len(constant)}; X of the problem has one "
            "column less than they are: call sm.add_constant, or pass X with all of them and fit_intercept=False"
        )
    return constant[0]
