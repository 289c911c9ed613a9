"""Models of rows that lack a class: of a fold, or where class_weight is 0.

The class has no weight, and an intercept of its own is never penalized: the minimum is approached as that goes to minus
infinity, where the class has probability 0 and no coefficient, and the others are the model of the classes that are there. So
these are fitted, and the class gets the intercept `never`. Of one class alone there is nothing to fit: its probability is 1.

Without an intercept the penalty keeps the coefficients of the class finite, and nothing is special about it.
"""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxlr.estimator.rows import Rows, fit_classes, is_one_model, unfitted
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit


def never(dtype: Any) -> float:
    """The intercept of a class that is not there: finite, so that scores of logits are, and with probability 0."""
    return float(np.finfo(dtype).min) / 2


def classes_there(estimator: Any, rows: Rows) -> np.ndarray:
    """Which classes have weight: bool (F, K), a row for each of the F rows of weights."""
    K, m = len(estimator.classes_), len(rows.codes)
    weights = rows.weights.reshape(-1, rows.weights.shape[-2], m)
    return np.array([np.bincount(rows.codes, weights=w.max(axis=0) > 0, minlength=K) > 0 for w in weights])


def fit_rows(estimator: Any, rows: Rows, C: Any, l1_ratio: Any, *, init: Any = None, max_steps: int | None = None) -> Fit:
    """Fit every model, of the classes that its rows have.

    Arguments, returns and errors are those of `jaxlr.estimator.rows.fit_classes` of all classes.
    """
    there = classes_there(estimator, rows)
    if there.all() or not estimator.fit_intercept:
        return fit_classes(estimator, rows, C, l1_ratio, init=init, max_steps=max_steps)
    lead, flat = rows.weights.shape[:-2], rows.weights.reshape(len(there), *rows.weights.shape[-2:])
    parts, order = [], []
    for pattern in np.unique(there, axis=0):
        members = np.flatnonzero((there == pattern).all(axis=1))
        parts.append(_fit_some(estimator, rows._replace(weights=flat[members]), pattern, C, l1_ratio, init, max_steps))
        order.append(members)
    place = np.argsort(np.concatenate(order))
    alike = [replace(part, solver=parts[0].solver, params=Params(*part.params)) for part in parts]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[place].reshape(*lead, *leaves[0].shape[1:]), *alike)


def _fit_some(estimator: Any, rows: Rows, there: np.ndarray, C: Any, l1_ratio: Any, init: Any, max_steps: int | None) -> Fit:
    """Models of rows that all have the same classes: Fit as `fit_rows`, of weights (F, 1 or M, m)."""
    if there.all():
        return fit_classes(estimator, rows, C, l1_ratio, init=init, max_steps=max_steps)
    count, K, one_model = len(rows.weights), len(there), is_one_model(estimator)
    grid, classes = np.broadcast_shapes(np.shape(C), np.shape(l1_ratio)), K if K > 2 else 1
    fits = unfitted(rows, (count, 1 if one_model else classes, *grid), (count, classes, *grid))
    coef, intercept = fits.params
    far, present = never(rows.X.dtype), there if K > 2 else there[1:]  # of two classes the logit is that of the second
    intercept[:, ~present] = far
    if there.sum() == 1 and not one_model:
        intercept[:, present] = -far
    bounds = [estimator.lower, estimator.upper]
    coef = coef if bounds == [None, None] else np.clip(coef, *bounds).astype(coef.dtype)
    done = {name: np.zeros_like(getattr(fits, name)) for name in ("value", "kkt", "gap", "status")}  # CONVERGED is 0
    fits = replace(fits, params=Params(coef, intercept), **done)
    if there.sum() == 1:
        return fits
    number = np.flatnonzero(there)
    init = None if init is None else tuple(part[number] for part in init)
    part = fit_classes(estimator, rows, C, l1_ratio, classes=number, init=init, max_steps=max_steps)
    coef[:, number], intercept[:, number] = part.params
    if one_model:
        return replace(part, params=fits.params)
    for name in (*done, "num_steps"):
        getattr(fits, name)[:, number] = getattr(part, name)
    return replace(fits, solver=part.solver)
