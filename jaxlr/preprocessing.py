"""Scaling of columns, fitted once and carried to new data; and, from `jaxlr.formulas`, designs of tables with categories.

    mean_j = sum_i w_i X_ij        scale_j^2 = sum_i w_i (X_ij - mean_j)^2        w = sample_weight / sum(sample_weight)

The standard deviation is that of the population (1 / m, as in glmnet and scikit-learn's StandardScaler), computed in two
passes. A constant column keeps the scale 1, so that it becomes 0 and not NaN. Missing values are refused, not imputed.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.formulas import DesignMatrix, design_matrix
from jaxlr.inputs.checks import Data, checked_arrays
from jaxlr.inputs.sparse import is_sparse
from jaxlr.inputs.tables import as_floating, is_concrete
from jaxlr.linalg.moments import column_moments, exponent_of_largest, times_power_of_two
from jaxlr.model.params import Params

__all__ = ["DesignMatrix", "Scaler", "design_matrix", "fit_scaler", "standardize", "unscale_params"]


class Scaler(NamedTuple):
    """Location and scale of columns, in the units of the columns.

    Attributes:
        mean: (n,).
        scale: (n,), > 0.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    mean: Any
    scale: Any


def fit_scaler(X: Data, sample_weight: Data | None = None) -> Scaler:
    """Weighted mean and standard deviation of each column.

    Args:
        X: design (m, n).
        sample_weight: (m,) >= 0; None is 1. Rows of weight 0 do not count.

    Returns:
        Scaler; the scale of a column that is constant over the rows of positive weight is 1.

    Raises:
        TypeError: an argument is not real.
        ValueError: X is empty or has axes in front (map with jax.vmap), a value is NaN or infinite, a weight negative, or no
            row has weight. (Weights that are traced and all 0 give NaN.)

    Example:
        >>> import numpy as np
        >>> fit_scaler(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)).scale.tolist()
        [1.0, 1.0]
    """
    arrays, batch = checked_arrays({"X": X, "sample_weight": sample_weight})
    if batch:
        raise ValueError(f"expected X (m, n) and sample_weight (m,), got axes {batch} in front; map with jax.vmap")
    if sample_weight is not None and is_concrete(sample_weight) and not np.any(np.asarray(sample_weight) > 0):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    columns: jax.Array = arrays["X"]
    s = arrays.get("sample_weight", jnp.ones(columns.shape[0], columns.dtype))
    s = times_power_of_two(s, -exponent_of_largest(s, axis=0))
    mean, sd = column_moments(columns, s / jnp.sum(s))
    return Scaler(mean, jnp.where(sd == 0, 1, sd))


def standardize(X: Data, scaler: Scaler) -> Float[Array, "m n"]:
    """(X - mean) / scale.

    Args:
        X: design (m, n), of the data that the scaler was fitted to or of new data.
        scaler: as `fit_scaler` gives it.

    Returns:
        (m, n), without units; NaN where X is.

    Raises:
        TypeError: X is not real, or sparse.
        ValueError: X and the scaler do not have the same number of columns, or one has axes in front (map with jax.vmap).

    Example:
        >>> import numpy as np
        >>> X = np.array([[1.0], [3.0]], np.float32)
        >>> standardize(X, fit_scaler(X)).tolist()
        [[-1.0], [1.0]]
    """
    if is_sparse(X):
        raise TypeError(
            "expected a dense X, got a sparse one, which would become dense; fit it as it is, with standardize=True"
        )
    X = as_floating(X)
    if X.ndim != 2:
        raise ValueError(f"expected X (m, n), got shape {X.shape}; map with jax.vmap")
    mean, scale = _checked(scaler, X.shape[1], X.dtype)
    # In units of about the scale, X - mean overflows only where the result does.
    k = jnp.frexp(scale)[1]
    deviation = times_power_of_two(X, -k[None, :]) - times_power_of_two(mean, -k)[None, :]
    return deviation / times_power_of_two(scale, -k)[None, :]


def unscale_params(params: Params, scaler: Scaler) -> Params:
    """Parameters for the original columns that give the same logits as params on the standardized ones.

    Args:
        params: coef (..., n), intercept (...), fitted to `standardize(X, scaler)`.
        scaler: the scaler.

    Returns:
        Params: coef / scale and intercept - mean . coef / scale.

    Raises:
        TypeError: something is not real.
        ValueError: coef and the scaler do not have the same number of columns, the intercept has other batch axes than coef,
            or the scaler has axes in front (map with jax.vmap).

    Example:
        >>> import numpy as np
        >>> float(unscale_params(Params(np.array([2.0]), np.array(0.0)), Scaler(np.array([3.0]), np.array([2.0]))).intercept)
        -3.0
    """
    if not isinstance(params, Params):
        raise TypeError(f"expected params to be jaxlr.Params, got {type(params).__name__}; of a Fit pass fit.params")
    coef, intercept = as_floating(params.coef), as_floating(params.intercept)
    if coef.ndim == 0 or intercept.shape != coef.shape[:-1]:
        raise ValueError(
            f"expected coef (..., n) and intercept (...), got shapes {coef.shape} and {intercept.shape}; one intercept a model"
        )
    mean, scale = _checked(scaler, coef.shape[-1], coef.dtype)
    coef = coef / jnp.broadcast_to(scale, coef.shape)
    shift = jnp.einsum("...n,n->...", coef, mean, precision="highest")
    return Params(coef, intercept.astype(coef.dtype) - shift)


def _checked(scaler: Scaler, n: int, dtype: jnp.dtype) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    if not isinstance(scaler, Scaler):
        raise TypeError(f"expected a Scaler, got {type(scaler).__name__}; pass the result of fit_scaler")
    mean, scale = (as_floating(field).astype(dtype) for field in scaler)
    if mean.ndim != 1 or scale.ndim != 1:
        raise ValueError(
            f"expected a scaler of mean (n,) and scale (n,), got {mean.shape} and {scale.shape}; map with jax.vmap"
        )
    if not mean.shape == scale.shape == (n,):
        raise ValueError(
            f"expected the columns of the scaler, mean {mean.shape} and scale {scale.shape}, got {n} columns; fit a scaler to "
            "these"
        )
    return mean, scale
