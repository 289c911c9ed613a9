"""Origin and units of the columns of designs, in arrays of NumPy or JAX: from X alone, never from a model's weights."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxlr.linalg.dot import AnyArray
from jaxlr.linalg.moments import column_moments

_GROUPS, _LEAST, _FEW = 8, 8, 2048  # of rows: how many, how many in each at least, and how few rows are all in one


class Columns(NamedTuple):
    """What is measured of the columns of a design: center and unit as in `Working`, location and scale as `units_of` has them
    under the weights of a model; (n,), or with batch axes in front."""

    center: Any
    unit: Any
    location: Any
    scale: Any


def measured(
    X: Float[AnyArray, "... m n"], w: Float[AnyArray, "... m"], present: Bool[AnyArray, "... m"] | None, fit_intercept: bool
) -> Columns:
    """The columns of designs and all their models, in arrays of NumPy or JAX.

    Args:
        X: designs; w: weights that sum to 1, whose axes in front broadcast against those of X.
        present: as in `prepare`.
        fit_intercept: static.
    """
    center, unit = center_and_unit(X, present, fit_intercept)
    columns = in_place(X, present, center, unit)
    return Columns(center, unit, *in_units(column_moments(columns, w), unit, fit_intercept))


def in_units(moments: tuple[Any, Any], unit: Float[AnyArray, "... n"], fit_intercept: bool) -> tuple[Any, Any]:
    """Location and scale of working columns from their mean and standard deviation."""
    location, scale = moments
    xp = scale.__array_namespace__()
    if not fit_intercept:
        location, scale = xp.zeros_like(location), xp.hypot(location, scale)
    return location, xp.where(scale < np.finfo(scale.dtype).tiny, 1 / unit, scale)


def in_place(
    X: Float[AnyArray, "... m n"],
    present: Bool[AnyArray, "... m"] | None,
    center: Float[AnyArray, "... n"],
    unit: Float[AnyArray, "... n"],
) -> Float[AnyArray, "... m n"]:
    """Working columns. Fillers so far out that their squares could overflow are 0, but NaN stays NaN."""
    A: Any = (X - center[..., None, :]) / unit[..., None, :]
    return A if present is None else A.__array_namespace__().where(present[..., None], A, 0 * A)


def center_and_unit(
    X: Float[AnyArray, "... m n"], present: Bool[AnyArray, "... m"] | None, fit_intercept: bool
) -> tuple[Float[AnyArray, "... n"], Float[AnyArray, "... n"]]:
    """Mean and standard deviation of each column in that one of up to 8 groups of rows where it varies least (but varies).

    One row far out would otherwise squeeze all others together, and in the models where that row has no weight, or is
    saturated, nothing would tell the column from a constant.
    """
    xp, (*batch, m, n), tiny = X.__array_namespace__(), X.shape, np.finfo(X.dtype).tiny
    where = xp.ones((m, 1), bool) if present is None else present[..., None]
    num_groups = min(max(m // _LEAST, 1), _GROUPS)
    if m < _FEW and (lacking := -m % num_groups):  # of many rows those few can be left out
        X = xp.concatenate([X, X[..., :lacking, :]], axis=-2)  # any numbers, which do not count
        where = xp.concatenate([where, xp.zeros((*where.shape[:-2], lacking, 1), bool)], axis=-2)
    in_group = X.shape[-2] // num_groups
    whole = in_group * num_groups
    groups = X[..., :whole, :].reshape(*batch, in_group, num_groups, n)
    counted = where[..., :whole, :].reshape(*where.shape[:-2], in_group, num_groups, 1)
    counts = xp.maximum(xp.sum(counted.astype(X.dtype), axis=-3), 1)
    if fit_intercept:
        base = xp.min(xp.where(counted, groups, xp.inf), axis=-3)
        lowest = xp.min(base, axis=-2)
        base = xp.where(xp.any(counted, axis=-3), base, lowest[..., None, :])
        span = xp.max(xp.where(counted, groups, -xp.inf), axis=(-3, -2)) - lowest
    else:
        base = xp.zeros((num_groups, n), X.dtype)
        span = xp.max(xp.where(counted, xp.abs(groups), 0), axis=(-3, -2))
    span = xp.where(span < tiny, 1, span)  # squares neither overflow nor vanish; what XLA flushes to 0 is 0 in NumPy too
    above = xp.where(counted, (groups - base[..., None, :, :]) / span[..., None, None, :], 0)  # exactly 0 in a constant column
    means = xp.sum(above, axis=-3) / counts if fit_intercept else base
    deviations = xp.where(counted, above - means[..., None, :, :], 0)
    variances = xp.sum(deviations**2, axis=-3) / counts
    variances = xp.where(variances > 0, variances, xp.inf)
    least = xp.min(variances, axis=-2)
    center = base + span[..., None, :] * means
    center = xp.max(xp.where(variances == least[..., None, :], center, -xp.inf), axis=-2)
    unit = span * xp.where(least < xp.inf, xp.sqrt(least), 1)
    return center, xp.where(unit < tiny, 1, unit)
