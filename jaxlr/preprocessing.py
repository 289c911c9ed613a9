"""Scaling of columns, fitted once and carried to new data.

    mean_j = sum_i w_i X_ij        scale_j^2 = sum_i w_i (X_ij - mean_j)^2        w = sample_weight / sum(sample_weight)

The standard deviation is that of the population (1 / m, as in glmnet and scikit-learn's StandardScaler), computed in two
passes. A constant column keeps the scale 1, so that it becomes 0 and not NaN. Missing values are refused, not imputed.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.checks import Data, checked_arrays, is_concrete
from jaxlr.model import Params
from jaxlr.numerics import as_floating


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
            row has weight.

    Example:
        >>> import numpy as np
        >>> fit_scaler(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)).scale.tolist()
        [1.0, 1.0]
    """
    arrays, batch = checked_arrays({"X": X, "sample_weight": sample_weight})
    if batch:
        raise ValueError(f"expected X (m, n) and sample_weight (m,), got axes {batch} in front; map with jax.vmap")
    if sample_weight is not None and is_concrete(sample_weight) and not np.any(np.asarray(sample_weight) > 0):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0")
    X = arrays["X"]
    s = arrays.get("sample_weight", jnp.ones(X.shape[0], X.dtype))
    s = s / jnp.max(s)
    mean, sd = column_moments(X, s / jnp.sum(s))
    return Scaler(mean, jnp.where(sd == 0, 1, sd))


def standardize(X: ArrayLike, scaler: Scaler) -> Float[Array, "m n"]:
    """(X - mean) / scale.

    Args:
        X: design (m, n), of the data that the scaler was fitted to or of new data.
        scaler: as `fit_scaler` gives it.

    Returns:
        (m, n), without units; NaN where X is.

    Raises:
        ValueError: X and the scaler do not have the same number of columns.

    Example:
        >>> import numpy as np
        >>> X = np.array([[1.0], [3.0]], np.float32)
        >>> standardize(X, fit_scaler(X)).tolist()
        [[-1.0], [1.0]]
    """
    X = as_floating(X)
    if X.shape[-1:] != np.shape(scaler.mean)[-1:]:
        raise ValueError(f"expected X (m, n) with the columns of the scaler, {np.shape(scaler.mean)}, got shape {X.shape}")
    return (X - jnp.asarray(scaler.mean, X.dtype)[None, :]) / jnp.asarray(scaler.scale, X.dtype)[None, :]


def unscale_params(params: Params, scaler: Scaler) -> Params:
    """Parameters for the original columns that give the same logits as params on the standardized ones.

    Args:
        params: coef (..., n), intercept (...), fitted to `standardize(X, scaler)`.
        scaler: the scaler.

    Returns:
        Params: coef / scale and intercept - mean . coef / scale.

    Example:
        >>> import numpy as np
        >>> float(unscale_params(Params(np.array([2.0]), np.array(0.0)), Scaler(np.array([3.0]), np.array([2.0]))).intercept)
        -3.0
    """
    coef = as_floating(params.coef)
    coef = coef / jnp.broadcast_to(jnp.asarray(scaler.scale, coef.dtype), coef.shape)
    shift = jnp.einsum("...n,n->...", coef, jnp.asarray(scaler.mean, coef.dtype), precision="highest")
    return Params(coef, jnp.asarray(params.intercept, coef.dtype) - shift)


def column_moments(X: Float[Array, "m n"], w: Float[Array, " m"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Mean and standard deviation of the columns under weights that sum to 1.

    Args:
        X: design (m, n).
        w: weights (m,) that sum to 1.

    Returns:
        mean (n,) and sd (n,); sd is exactly 0 for a column that is constant over the rows of positive weight.
    """
    present = (w > 0)[:, None]
    lowest = jnp.min(X, axis=0, initial=jnp.inf, where=present)
    above = jnp.where(present, X - lowest[None, :], 0)  # exactly 0 in a constant column
    span = jnp.max(above, axis=0, initial=0)
    unit = jnp.where(span == 0, 1, span)  # squares of deviations in units of the span neither overflow nor vanish
    above = above / unit[None, :]
    mean = jnp.dot(w, above, precision="highest")
    variance = jnp.sum(w[:, None] * (above - mean[None, :]) ** 2, axis=0)
    return lowest + unit * mean, unit * jnp.sqrt(variance)
