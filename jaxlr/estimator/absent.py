"""Models of rows that lack a class: of a fold, or where all its weight is 0, by class_weight or by sample_weight.

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
from jaxlr.results.status import Status


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
    certain = _certain(estimator, rows, there, np.broadcast_shapes(np.shape(C), np.shape(l1_ratio)))
    number = np.flatnonzero(there)
    if len(number) == 1:
        return certain
    init = None if init is None else tuple(part[number] for part in init)
    fits = fit_classes(estimator, rows, C, l1_ratio, classes=number, init=init, max_steps=max_steps)
    fits = replace(fits, params=Params(*fits.params))

    def among_all(every: np.ndarray, fitted: np.ndarray) -> np.ndarray:
        every = every.copy()
        every[:, number] = fitted
        return every

    if is_one_model(estimator):  # whose evidence is that of the classes that are there
        return replace(fits, params=jax.tree.map(among_all, certain.params, fits.params))
    return jax.tree.map(among_all, replace(certain, solver=fits.solver), fits)


def _certain(estimator: Any, rows: Rows, there: np.ndarray, grid: tuple[int, ...]) -> Fit:
    """Models that give each absent class the probability 0, and a class that is alone 1: Fit as `fit_rows`.

    No residual and so no gradient is left there, but that of the penalty, whose minimum is the coefficient next to 0: kkt is 0.
    The value and the gap are not asked for, and NaN.
    """
    own = there if len(there) > 2 else there[1:]  # of two classes the logit is that of the second
    one_model, far = is_one_model(estimator), never(rows.X.dtype)
    of_class = np.where(own, -far if there.sum() == 1 and not one_model else 0, far)
    shape = (len(rows.weights), len(own), *grid)
    intercept = np.broadcast_to(of_class.reshape(-1, *[1] * len(grid)), shape)
    lower, upper = (none if bound is None else bound for bound, none in ((estimator.lower, -np.inf), (estimator.upper, np.inf)))
    coef = np.broadcast_to(np.clip(np.zeros(rows.X.shape[1]), lower, upper), (*shape, rows.X.shape[1]))
    models = unfitted(rows, (shape[0], 1 if one_model else len(own), *grid), shape, (coef, intercept))
    return replace(models, kkt=np.zeros_like(models.kkt), status=np.full_like(models.status, Status.CONVERGED))
