"""Groups of columns, as they come in: refused in words where they are no integers, one for each column."""

from typing import Any

import numpy as np

from jaxlr.inputs.checks import Data, is_zero
from jaxlr.inputs.tables import as_numpy, is_concrete


def checked_groups(groups: Data | None, l1_group: Data, n: int, penalty_factor: Any = None) -> np.ndarray | None:
    """The group of each column as a number from 0 on (n,); None where no norm has a strength.

    Args:
        groups: integers (n,), the same for columns that are together.
        l1_group: strength of the norms.
        n: columns.
        penalty_factor: (..., n); None is 1.

    Raises:
        TypeError: groups are no integers.
        ValueError: groups are missing or a tracer, not (n,), or penalty factors differ within one.
    """
    if groups is None:
        if not is_zero(l1_group):
            raise ValueError(
                "expected groups (n,), which columns are together, beside l1_group, got None; np.arange(n) puts each alone"
            )
        return None
    if not is_concrete(groups):
        raise ValueError(
            "expected groups known outside jit, for they say which columns are together, got a tracer; close over them"
        )
    raw = as_numpy("groups", groups)
    if raw.dtype.kind not in "iu" and raw.size:
        raise TypeError(
            f"expected groups to be integers, got {type(groups).__name__} of dtype {raw.dtype}; np.unique(groups, "
            "return_inverse=True)[1] numbers names"
        )
    if raw.shape != (n,):
        raise ValueError(
            f"expected groups ({n},), an integer for each column of X, got shape {raw.shape}; a column of no group has a "
            "number of its own"
        )
    if is_zero(l1_group) or n == 0:
        return None
    kinds, first, number = np.unique(raw, return_index=True, return_inverse=True)
    if penalty_factor is not None and is_concrete(penalty_factor):
        factor = np.asarray(penalty_factor)
        known = ~np.isnan(factor).any(axis=-1, keepdims=True)  # a member with a NaN is NONFINITE, and no other is
        differs = np.argwhere(known & (factor != factor[..., first[number]]))
        if len(differs):
            own = kinds[number[differs[0, -1]]]
            raise ValueError(
                f"expected one penalty_factor for all columns of a group, got several in group {own}; give its columns the same"
            )
    return number.astype(np.int32).reshape(n)
