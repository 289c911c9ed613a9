"""Numbers that no member of a batch can have, refused in words that say where they are: holes, and what is out of range."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.finite import all_finite, not_finite
from jaxlr.inputs.tables import Data, column_names, is_concrete
from jaxlr.linalg.sparse import Sparse

_NOT_NEGATIVE = ("sample_weight", "l1", "l2", "l1_group", "penalty_factor")


def check_entries(X: Sparse, given: Any) -> None:
    """Refuse what is missing or infinite in a sparse design."""
    if is_concrete(X.rows.data) and not (all_finite(X.rows.data) or np.isfinite(X.rows.data).all()):
        entry = int(np.argmin(np.isfinite(X.rows.data)))
        row, column = int(np.searchsorted(X.rows.indptr, entry, side="right") - 1), int(X.rows.indices[entry])
        names, more = column_names(given), int(np.sum(~np.isfinite(X.rows.data)))
        got = f"{more} such numbers, {X.rows.data[entry]} first in row {row}, column {repr(names[column]) if names else column}"
        raise ValueError(f"expected finite X, got {got}; drop or impute missing values before the fit")


def check_values(name: str, raw: Data, dtype: jnp.dtype, core_rank: int, given: Any) -> None:
    """Refuse numbers that no member of a batch can have, and strengths and weights that the dtype cannot hold. Of a field that
    is as large as the memory allows no copy is made, and a spread design is not gathered.

    Args:
        raw: known now.
        dtype: to which it will be brought.
        core_rank: how many axes are those of one model.
        given: the same as it came, whose columns may have names.
    """
    spread = isinstance(raw, jax.Array) and len(raw.sharding.device_set) > 1 and name in ("X", "columns")
    value: Any = raw if spread else np.asarray(raw)
    if not spread and value.dtype.itemsize < 4 and jnp.issubdtype(value.dtype, jnp.floating):
        value = value.astype(np.float32)  # 16-bit types lack NumPy's functions
    if not all_finite(value):
        core = tuple(range(-core_rank, 0))
        with jax.ensure_compile_time_eval():
            finite = (jnp if spread else np).isfinite(value)
            if name == "penalty_factor":
                finite = finite | np.isposinf(value)
            none = not np.any(finite.all(axis=core))
        if none:
            if spread:
                got = "NaN or infinity"
            elif name in ("X", "covariates") and value.ndim == 2:
                got = not_finite(value, given)
            else:
                first = tuple(map(int, np.argwhere(~finite)[0]))
                got = f"{value[first]}{f' first at index {first}' if first else ''}"
            fix = "drop or impute missing values before the fit"
            if name in ("l1", "l2"):
                fix = "penalty_factor = inf holds a coefficient at 0"
            raise ValueError(f"expected finite {name}, got {got}; {fix}")
    if name in _NOT_NEGATIVE:
        if np.any(value < 0):
            raise ValueError(f"expected {name} >= 0, got {np.nanmin(value)}")
        info = jnp.finfo(dtype)
        if np.any(beyond := ((value > 0) & (value < info.tiny)) | ((value > info.max) & (value < np.inf))):
            raise ValueError(
                f"expected {name} that {dtype} can hold, 0 or from {info.tiny:.1e} to {info.max:.1e}, got {value[beyond][0]}; "
                "0 leaves it out"
            )
