"""The choice of a `LogisticRegressorCV`: the penalty whose mean score over the folds is best, and the model that predicts."""

import warnings
from typing import Any

import numpy as np

from jaxlr.estimator.absent import fit_rows
from jaxlr.estimator.classifier import warn_about_failures
from jaxlr.estimator.rows import Rows
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def choose(estimator: Any, rows: Rows, fits: Fit, there: np.ndarray) -> None:
    """Set C_, l1_ratio_, and the coefficients with their evidence.

    Args:
        estimator: with `scores_` (k, r, c), NaN where a model did not converge; the best comes first in the order in which
            scikit-learn breaks ties, by C, then by share.
        rows: all of them.
        fits: of the folds, (k, M, r, c).
        there: which classes each fold trains on, (k, K).

    Raises:
        ValueError: for every penalty some model did not converge, or no fold has a score.

    Warns:
        UserWarning: a fold has no score under any penalty, and the others choose.
    """
    converged = np.all(fits.status == Status.CONVERGED, axis=1)
    told = _telling(estimator, converged)
    mean = np.where(converged.all(axis=0), estimator.scores_[told].mean(axis=0), np.nan).T
    if np.isnan(mean).all():
        raise ValueError("expected a penalty whose models converge in every fold, found none; the warnings say why")
    if estimator.refit:
        c, r = np.unravel_index(np.nanargmax(mean), mean.shape)
        estimator.C_, estimator.l1_ratio_ = float(estimator.Cs_[c]), float(estimator.l1_ratios_[r])
        fits = fit_rows(estimator, rows, estimator.C_, estimator.l1_ratio_)
        warn_about_failures(estimator, fits, stacklevel=5)
        estimator._keep(fits)
        return
    of_folds = estimator.scores_[told].transpose(0, 2, 1)
    c, r = np.array([np.unravel_index(np.nanargmax(fold), fold.shape) for fold in of_folds]).T
    k, there = told, there[told]
    estimator.C_, estimator.l1_ratio_ = float(estimator.Cs_[c].mean()), float(estimator.l1_ratios_[r].mean())
    coef, intercept, kkt = (np.moveaxis(part, 1, 3)[k, r, c] for part in (*fits.params, fits.kkt))
    # a class counts in the folds that have it
    used: Any = there if len(estimator.classes_) > 2 else there.all(axis=1, keepdims=True)
    used = used if estimator.fit_intercept and used.any(axis=0).all() else np.ones_like(used)
    used = used / used.sum(axis=0)
    estimator.coef_ = np.einsum("kc,kcn->cn", used, coef).astype(coef.dtype)
    estimator.intercept_ = np.einsum("kc,kc->c", used, intercept).astype(coef.dtype)
    estimator.kkt_ = kkt.max(axis=0)
    estimator.converged_ = np.ones(estimator.kkt_.shape, bool)  # what did not converge has no score


def _telling(estimator: Any, converged: np.ndarray) -> np.ndarray:
    """The numbers of the folds that tell penalties from each other: all but those whose models have no score although they
    converged (k, r, c), such as an area under the curve of rows of one class."""
    mute = converged.any(axis=(1, 2)) & np.isnan(np.where(converged, estimator.scores_, np.nan)).all(axis=(1, 2))
    if not mute.any():
        return np.arange(len(estimator.scores_))
    name = estimator.scoring if isinstance(estimator.scoring, str) else "the score"
    why = f"{name} is NaN on the rows held out in folds {np.flatnonzero(mute).tolist()}"
    fix = "with fewer folds, or splits that are stratified, every fold holds out each class"
    if mute.all():
        raise ValueError(f"expected a fold that has a score, got none: {why}, whatever the penalty; {fix}")
    warnings.warn(f"{why}, whatever the penalty: the choice is by the other folds; {fix}", UserWarning, stacklevel=5)
    return np.flatnonzero(~mute)
