"""Folds whose training rows lack a class: the classes that are there are fitted, and the absent one has probability 0.

The likelihood of K classes has no minimum then. Along the intercept of the absent class it falls for ever towards that of the
others, so that the limit is their fit, with

    intercept = -inf        coef = 0, where a penalty holds them, and any others where none does

for the absent class. Its rows that are held out have an infinite log loss, as they should, and count as errors elsewhere.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlr.model.params import SoftmaxParams
from jaxlr.results.fit import Fit


def fit_present(
    fit_models: Callable[..., Fit],
    y: Float[np.ndarray, " m"],
    offset: Float[Array, "m K"] | None,
    num_classes: int,
    weights: Float[np.ndarray, "k *grid m"],
    **strengths: Any,
) -> Fit:
    """The fits (k, *grid) of all folds, each of the classes that its weights leave.

    Args:
        fit_models: `jaxlr.fit` of X, with an intercept, for labels and the keyword arguments num_classes, offset and
            sample_weight.
        y: labels.
        offset: of the logits, or None.
        num_classes: K.
        weights: 0 where a row is held out.
        strengths: as in `jaxlr.fit`.

    Raises:
        ValueError: a fold has rows of one class alone.
    """
    some = weights.reshape(len(weights), -1, weights.shape[-1])[:, 0] > 0
    present = np.stack([np.any(some & (y == k), axis=-1) for k in range(num_classes)], axis=-1)
    if present.all():
        return fit_models(y, num_classes=num_classes, offset=offset, sample_weight=weights, **strengths)
    few = np.sum(present, axis=1) < 2
    if few.any():
        fold = int(np.argmax(few))
        raise ValueError(
            f"expected training rows of two classes or more in every fold, got those of {np.flatnonzero(present[fold])} "
            f"in fold {fold}; deal the rows anew, with jaxlr.stratified_kfold or another key"
        )
    kinds, kind = np.unique(present, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    parts = []
    for i, there in enumerate(kinds):
        classes = np.flatnonzero(there)
        labels = np.cumsum(there) - 1
        own = fit_models(
            np.maximum(labels[y.astype(int)], 0),
            num_classes=len(classes),
            offset=None if offset is None else offset[:, classes],
            sample_weight=weights[kind == i],
            **strengths,
        )
        coef, intercept = map(np.asarray, own.params)
        every = SoftmaxParams(
            np.zeros((*coef.shape[:-2], num_classes, coef.shape[-1]), coef.dtype),
            np.full((*coef.shape[:-2], num_classes), -np.inf, coef.dtype),
        )
        every.coef[..., classes, :], every.intercept[..., classes] = coef, intercept
        parts.append(replace(own, params=every, solver=parts[0].solver if parts else own.solver))
    order = np.argsort(np.concatenate([np.flatnonzero(kind == i) for i in range(len(kinds))]))
    return jax.tree.map(lambda *leaves: jax.numpy.asarray(np.concatenate(leaves)[order]), *parts)


def of_comparable_folds(scores: Float[Array, "k *grid"], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the folds in which some penalty has a finite score: a fold that is infinite under all, for a
    class that its training rows lack, tells nothing about penalties. A warning names such folds.

    Args:
        scores: by fold and penalty.
        name: of the metric.

    Returns:
        Both (*grid); NaN where a model did not converge, and everywhere where no fold tells.
    """
    given = np.asarray(scores)
    tells = ~np.all(np.isinf(given.reshape(len(given), -1)), axis=1)
    if not tells.all():
        outcome = "the choice is by the other folds" if tells.any() else "nothing is chosen"
        warnings.warn(
            f"{name} is infinite under every penalty in folds {np.flatnonzero(~tells).tolist()}, whose training rows lack a "
            f"class that is held out: {outcome}; jaxlr.stratified_kfold deals classes evenly",
            stacklevel=3,
        )
        given = given[tells] if tells.any() else np.full_like(given, np.nan)
    count = len(given)
    error = np.std(given, axis=0, ddof=1) / count**0.5 if count > 1 else np.full(given.shape[1:], np.nan)
    return np.asarray(np.mean(given, axis=0)), np.asarray(error)
