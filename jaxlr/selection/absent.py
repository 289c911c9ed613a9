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
from jaxtyping import Array, Bool, Float

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


def of_comparable_folds(
    scores: Float[Array, "k *grid"], converged: Bool[Array, "k *grid"], name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard error over the folds in which some penalty has a finite score. One whose scores are all infinite, for a
    class that its training rows lack, or all undefined, for one that its held-out rows lack, tells nothing about penalties. A
    warning names such folds.

    Args:
        scores: by fold and penalty.
        converged: whether the models did.
        name: of the metric.

    Returns:
        Both (*grid), NaN where a model did not converge, and everywhere where no fold tells; and which penalties have no score
        in some fold that tells.
    """
    given, known = np.asarray(scores), np.asarray(converged)
    by_fold, of_fold = given.reshape(len(given), -1), known.reshape(len(given), -1)
    some = of_fold.any(axis=1)
    infinite = some & (~of_fold | np.isinf(by_fold)).all(axis=1)
    undefined = some & (~of_fold | np.isnan(by_fold)).all(axis=1)
    tells = ~(infinite | undefined)
    outcome = "the choice is by the other folds" if tells.any() else "nothing is chosen"
    because = {
        "infinite": (infinite, "training rows lack a class that is held out"),
        "undefined": (undefined, "held-out rows lack a class"),
    }
    for what, (mute, rows) in because.items():
        if mute.any():
            warnings.warn(
                f"{name} is {what} under every penalty in folds {np.flatnonzero(mute).tolist()}, whose {rows}: {outcome}; "
                "jaxlr.stratified_kfold deals classes evenly",
                stacklevel=3,
            )
    given = given[tells] if tells.any() else np.full_like(given, np.nan)
    mean = np.where(known.all(axis=0), np.mean(given, axis=0), np.nan)
    error = np.std(given, axis=0, ddof=1) / len(given) ** 0.5 if len(given) > 1 else np.full(mean.shape, np.nan)
    return mean, np.asarray(error), np.asarray(np.isnan(mean) if tells.any() else ~known.all(axis=0))
