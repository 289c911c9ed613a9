"""One model per column, beside covariates that all models share: the shape of an association scan.

    z = covariates . coef_1..c + column_j coef_own + intercept + offset         j = 1..k

Everything that touches the covariates is one matrix product for all models of a chunk, and the shared block is never
copied (`jaxlr.bordered`). Every model starts from the fit of the covariates alone, where its own coefficient is 0.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.checks import Data, checked_arrays, real_array
from jaxlr.compilation import program
from jaxlr.fitting import fit, prepare
from jaxlr.model import Params
from jaxlr.objective import Problem, row_weights
from jaxlr.preprocessing import column_moments
from jaxlr.result import Fit
from jaxlr.solvers.certified import Settings, fit_one
from jaxlr.solvers.shared import share, share_own, units_of

_NUMBERS = 2**19  # of a chunk of columns: four megabytes of float64 stay near a core


def fit_columns(
    columns: Data,
    y: Data,
    *,
    covariates: Data | None = None,
    penalty_factor: Data | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Fit:
    """Fit one model per column.

    Args:
        columns: (k, m), one model each; its floating dtype is that of everything else.
        y: labels (m,), 0/1 or soft.
        covariates: (m, c), in every model; None is none.
        penalty_factor: (c + 1,) >= 0, that of the own column last; None is 1.
        batch_size: static, models at a time, >= 1; None is as many as keep their columns at 4 MB of float64. The answer does
            not depend on it beyond tol.
        **options: further arguments of `jaxlr.fit`: sample_weight (m,), offset (m,), l2 (), fit_intercept, standardize,
            tol, max_steps.

    Returns:
        Fit (k,), with coef (k, c + 1), the own column's last. A column that separates the classes, or is not finite, says so
        in the status of its model.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; axes that do not fit.

    Example:
        >>> import numpy as np
        >>> columns, y = np.array([[0, 1, 2, 3], [1, 0, 0, 1]]), np.array([0, 1, 0, 1])
        >>> fit_columns(columns, y, l2=0.1).params.coef.shape
        (2, 1)

    References:
        Balding 2006, Nature Reviews Genetics 7, box 3 (association tests by logistic regression with covariates).
    """
    if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
        raise ValueError(f"expected batch_size to be an integer >= 1, got {batch_size!r}")
    if unknown := {"init", "solver"} & set(options):
        raise TypeError(f"expected options of fit but {', '.join(sorted(unknown))}: the start is the fit of the covariates")
    given = real_array("columns", columns)
    if given.ndim != 2:
        raise ValueError(f"expected columns (k, m), one model each, got shape {given.shape}")
    own = checked_arrays({"X": given[:, :, None]})[0]["X"][:, :, 0]  # a design each
    k, m = own.shape
    common = jnp.zeros((m, 0), own.dtype) if covariates is None else checked_arrays({"X": covariates})[0]["X"].astype(own.dtype)
    if common.ndim != 2 or common.shape[0] != m:
        hint = "; the axes look transposed, pass columns.T" if common.shape[:1] == (k,) or np.shape(y)[-1:] == (k,) else ""
        raise ValueError(f"expected covariates (m, c) with m = {m} as in columns (k, m), got shape {common.shape}{hint}")
    c = common.shape[1]
    factor = np.ones(c + 1) if penalty_factor is None else penalty_factor
    if np.shape(factor) != (c + 1,):
        raise ValueError(f"expected penalty_factor ({c + 1},), the own column's last, got shape {np.shape(factor)}")
    one = jnp.concatenate([common, own[0][:, None]], axis=1)  # stands for all of them in the checks
    arrays, tol, batch, settings = prepare(jnp.where(jnp.isfinite(one), one, 0), y, penalty_factor=factor, **options)
    if batch:
        raise ValueError(f"expected one problem beside the columns, got batch axes {batch}")
    start = Params(jnp.zeros(c, own.dtype), jnp.zeros((), own.dtype))
    if c or settings.fit_intercept:
        start = fit(common, y, penalty_factor=arrays["penalty_factor"][:c], **options).params
    size = min(max(_NUMBERS // m, 1) if batch_size is None else int(batch_size), k)
    del arrays["X"]
    return _program(own, common, arrays, start, tol, size, settings)


@program("batch_size", "settings")
def _program(
    columns: Array,
    common: Array,
    arrays: dict[str, Array],
    start: Params,
    tol: Array,
    batch_size: int,
    settings: Settings,
) -> Fit:
    """Chunks one after the other, the models of a chunk side by side; inside, the own column comes first."""
    k, m = columns.shape
    s = arrays.get("sample_weight")
    present = None if s is None else s > 0
    own_first = jnp.roll(arrays["penalty_factor"], 1)
    fields = arrays | {"penalty_factor": own_first}
    shared = share(common, present, settings.fit_intercept, with_products=True)
    w = row_weights(Problem(common, None, sample_weight=s))
    begin = Params(jnp.append(jnp.zeros(1, common.dtype), start.coef), start.intercept)

    def one(own: Array) -> Fit:
        design = share_own(shared, own, present, settings.fit_intercept)
        mine = fields | {"units": units_of(design, w, settings.fit_intercept)}
        if settings.standardize:
            mine["sd"] = jnp.append(column_moments(own[:, None], w)[1], column_moments(common, w)[1])
        return fit_one(mine, begin, design, tol, settings._replace(solver="newton"))

    num_chunks = -(-k // batch_size)
    filled = jnp.pad(columns, ((0, num_chunks * batch_size - k), (0, 0)), mode="edge")
    fits = jax.lax.map(jax.vmap(one), filled.reshape(num_chunks, batch_size, m))
    fits = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:k], fits)
    coef = jnp.roll(fits.params.coef, -1, axis=-1)
    return replace(fits, params=Params(coef, fits.params.intercept))
