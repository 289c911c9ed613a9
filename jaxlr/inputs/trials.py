"""Trials of rows that are groups: y is the share of the successes, sample_weight the trials times the copies of the group."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.checks import real_array
from jaxlr.inputs.tables import Data, is_concrete

_ULPS = 8  # of a quotient that is multiplied again


def checked_trials(trials: Data, y: Any, sample_weight: Any | None, batch: tuple[int, ...]) -> Any:
    """Trials as an array, checked beside labels and weights as far as these are known.

    Args:
        trials: (..., m).
        y: array (..., m).
        sample_weight: array (..., m), or None.
        batch: shape that all axes in front broadcast to.

    Raises:
        TypeError: they are no real array.
        ValueError: they have other rows or batch axes; are no whole numbers >= 0; or do not go with labels and weights, where a
            row has weight.
    """
    raw, m = real_array("trials", trials), y.shape[-1]
    if raw.shape[-1:] != (m,):
        raise ValueError(f"expected trials (..., {m}), one number a row, got shape {raw.shape}; np.full(m, n) has n in each")
    if not _broadcasts(raw.shape[:-1], batch):
        raise ValueError(
            f"expected trials (..., {m}) with batch axes of the fit, {batch}, got shape {raw.shape}; trials that all models "
            "share have none"
        )
    if not is_concrete(raw):
        return raw
    n = np.asarray(raw).astype(float)
    if np.any(bad := ~((n >= 0) & (n == np.floor(n)) & np.isfinite(n))):
        raise ValueError(f"expected trials to be whole numbers >= 0, got {n[bad][0]:g}; count the trials of each row")
    if not is_concrete(sample_weight):
        return raw
    s = np.ones(m) if sample_weight is None else np.asarray(sample_weight)
    copies = np.round(s / np.where(n > 0, n, 1))
    bad = (s > 0) & ((n == 0) | (np.abs(s - copies * n) > _rounding(s) * s))
    if np.any(bad):
        weight, number = (np.broadcast_to(value, bad.shape)[bad][0] for value in (s, n))
        raise ValueError(
            f"expected sample_weight to be the trials, or a whole multiple, got weight {weight:g} of {number:g} trials; fit "
            "with sample_weight=trials"
        )
    if is_concrete(y):
        successes = np.asarray(y).astype(float) * n
        bad = (s > 0) & (np.abs(successes - np.round(successes)) > _rounding(np.asarray(y)) * n)
        if np.any(bad):
            found, number = (np.broadcast_to(value, bad.shape)[bad][0] for value in (successes, n))
            raise ValueError(
                f"expected y = successes / trials, got y * trials = {found:g} of {number:g} trials; divide successes by trials"
            )
    return raw


def _rounding(value: np.ndarray) -> float:
    floating = jnp.issubdtype(value.dtype, jnp.floating)
    return _ULPS * float(jnp.finfo(value.dtype if floating else np.float64).eps)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
