"""The folds of cross-validation, as they come in."""

from typing import Any

import numpy as np

from jaxlr.inputs.checks import Data, check_key
from jaxlr.weights import stratified_kfold


def training_weights(folds: int | str | Data, key: Any, y: Data, m: int) -> np.ndarray:
    """Weights of training (k, m), 0 where a row is held out.

    Args:
        folds: their number, or such weights.
        key: for a number.
        y: labels (m,), whose classes are spread evenly.
        m: rows.

    Raises:
        TypeError, ValueError: a number without key, weights of another shape or below 0, a fold that holds out nothing.
    """
    if isinstance(folds, (int, np.integer)):
        if key is None:
            raise ValueError(
                f"expected a key for folds={folds}, got None; pass key=jax.random.key(...), or weights (k, m) as folds"
            )
        check_key(key)
        return np.asarray(stratified_kfold(key, np.asarray(y), int(folds)))
    try:
        training: np.ndarray = np.asarray(folds, float)
    except (TypeError, ValueError):
        training = np.empty(0)
    if training.ndim != 2 or training.shape[1] != m:
        form = f"weights (k, {m}), 0 where a row is held out"
        got = repr(folds) if isinstance(folds, str) else f"{type(folds).__name__} of shape {training.shape}"
        raise ValueError(f'expected folds to be an integer, "loo" or {form}, got {got}')
    if np.any(bad := ~(np.isfinite(training) & (training >= 0))):
        at = tuple(map(int, np.argwhere(bad)[0]))
        raise ValueError(f"expected finite weights >= 0 in folds, got {training[at]} first at index {at}; 0 holds a row out")
    if np.any(np.all(training != 0, axis=1)):
        raise ValueError("expected every fold to hold out rows (weight 0), got one without; bootstrap counts may lack them")
    return training
