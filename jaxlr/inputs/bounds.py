"""Bounds of coefficients, as they come in: refused in words where no coefficient lies between them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import column_names, is_concrete


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


def check_bounds(given: Mapping[str, Any], X: Any = None) -> None:
    """Refuse a NaN, a bound that leaves nothing, a lower one above the upper one, and in every member of a batch one that
    excludes the 0 at which an infinite penalty factor holds a coefficient.

    Args:
        given: of "lower", "upper" and "penalty_factor" (..., n) those that there are; tracers are not looked at.
        X: the design as it came, whose columns may have names.
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
    if bounds and "penalty_factor" in given and is_concrete(given["penalty_factor"]):
        ends = bounds.get("lower", -np.inf), bounds.get("upper", np.inf), np.isposinf(given["penalty_factor"])
        lower, upper, held = np.broadcast_arrays(*ends)
        barred = held & ((lower > 0) | (upper < 0))
        if np.all(np.any(barred, axis=-1)):
            at = tuple(map(int, np.argwhere(barred)[0]))
            names = column_names(X)
            name, bound = ("lower", lower[at]) if lower[at] > 0 else ("upper", upper[at])
            raise ValueError(
                f"expected bounds around 0 where penalty_factor is inf, which holds a coefficient there, got {name} = {bound} "
                f"for column {repr(names[at[-1]]) if names else at[-1]}; give it a finite factor, or drop the bound"
            )
