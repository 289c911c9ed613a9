"""What is missing or infinite in data: whether there is any, in one pass, and where it begins."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import column_names

_LISTED = 5  # columns named one by one in a message


def all_finite(value: Any) -> bool:
    """A sum that is finite proves it in one pass, wherever the numbers lie; one that is not proves nothing."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return True
    wide = value.dtype if value.dtype.itemsize > 2 else np.dtype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        if isinstance(value, np.ndarray):
            return bool(np.isfinite(value.sum(dtype=wide)))
        with jax.ensure_compile_time_eval():
            return bool(np.isfinite((np.asarray(value) if _lies_on_host(value) else value).sum(dtype=wide)))


def _lies_on_host(value: Any) -> bool:
    """Whether NumPy can read the numbers where they are, all of them by this process."""
    if not isinstance(value, jax.Array):
        return True
    return len(value.devices()) == 1 and value.is_fully_addressable and next(iter(value.devices())).platform == "cpu"


def not_finite(value: np.ndarray, table: Any) -> str:
    """Which columns of a design hold what is missing or infinite, and where it begins: half a sentence, such as "column 'age'
    has 3 missing values, first at row 17"."""
    names, index = column_names(table), getattr(table, "index", None)
    found = []
    bad = ~np.isfinite(value)
    for j in np.flatnonzero(bad.any(axis=0)):
        rows = np.flatnonzero(bad[:, j])
        kind = "missing" if np.isnan(value[rows, j]).all() else "missing or infinite"
        row = int(rows[0])
        label = "" if index is None or index[row] == row else f" (index {index[row]})"
        values = f"{len(rows)} {kind} value{'s' if len(rows) > 1 else ''}"
        found.append(f"column {repr(names[j]) if names else j} has {values}, first at row {row}{label}")
    return "; ".join(found[:_LISTED]) + (f"; and {len(found) - _LISTED} more columns" if len(found) > _LISTED else "")
