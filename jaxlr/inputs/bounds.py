"""Bounds of coefficients, as they come in: refused in words where no coefficient lies between them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import is_concrete


def to_columns(bound: Any, n: int, dtype: jnp.dtype) -> Any:
    """A bound (..., n) of this dtype, infinite where that cannot hold it.

    Args:
        bound: (..., n), or () for all columns, of NumPy or JAX.
        n: columns.
        dtype: of the design.
    """
    with np.errstate(over="ignore"):
        bound = bound.astype(dtype)
    return bound if bound.ndim else (jnp if isinstance(bound, jax.Array) else np).broadcast_to(bound, (n,))


def check_bounds(given: Mapping[str, Any]) -> None:
    """Refuse a NaN, a bound that leaves nothing, and a lower one above the upper one.

    Args:
        given: of "lower" and "upper" (..., n) those that there are; tracers are not looked at.
    """
    known = [name for name in ("lower", "upper") if name in given and is_concrete(given[name])]
    bounds = {name: np.asarray(given[name], float) for name in known}
    for name, none in (("lower", -np.inf), ("upper", np.inf)):
        bound = bounds.get(name, np.zeros(()))
        if np.any(wrong := np.isnan(bound) | (bound == -none)):
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(
                f"expected {name} to be numbers, or {none} for no bound, got {bound[at]} first at index {at}; None is none"
            )
    if len(bounds) == 2:
        lower, upper = np.broadcast_arrays(bounds["lower"], bounds["upper"])
        if np.any(lower > upper):
            at = tuple(map(int, np.argwhere(lower > upper)[0]))
            raise ValueError(f"expected lower <= upper, got {lower[at]} > {upper[at]} first at index {at}; swap them")
