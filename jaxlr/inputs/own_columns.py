"""Columns that have a model each, beside covariates that all of them share, as they come in: refused under their own names."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.checks import Data, dtype_of_design, real_array
from jaxlr.inputs.sparse import is_sparse
from jaxlr.inputs.tables import is_concrete
from jaxlr.inputs.values import check_values


def checked_columns(columns: Data, covariates: Data | None, each: str) -> tuple[Any, jnp.dtype]:
    """Columns (k, m) as an array, and the dtype of what is computed from them.

    Args:
        columns: (k, m).
        covariates: (m, c), also sparse; None is none.
        each: what there is one of for each column.

    Raises:
        TypeError: these are no real arrays.
        ValueError: columns are not (k, m), or none of them is finite, or some covariate is not.
    """
    given = real_array("columns", columns)
    if given.ndim != 2 or 0 in given.shape:
        raise ValueError(f"expected columns (k, m), one {each} each, got shape {given.shape}; one column is columns[None]")
    dtype = dtype_of_design(given.dtype)
    if is_concrete(given):
        check_values("columns", given, dtype, 1, columns)
    if covariates is not None and is_concrete(covariates) and not is_sparse(covariates) and np.ndim(covariates) == 2:
        check_values("covariates", real_array("covariates", covariates), dtype, 2, covariates)
    return given, dtype
