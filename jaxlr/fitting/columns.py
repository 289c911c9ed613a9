"""One model per column, beside covariates that all models share: the shape of an association scan.

    z = covariates . coef_1..c + column_j coef_own + intercept + offset         j = 1..k

Everything that touches the covariates is one matrix product for all models of a chunk, and the shared block is never
copied (`jaxlr.linalg.operators`). Every model starts from the fit of the covariates alone, where its own coefficient is 0.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import in_groups, products_fit
from jaxlr.engine.arguments import prepare
from jaxlr.engine.memory import models_side_by_side
from jaxlr.engine.run import before, run
from jaxlr.fitting.fit import start_of, with_defaults
from jaxlr.inputs.checks import CORE_AXES, Data, checked, is_zero, real_array
from jaxlr.inputs.tables import check_aligned, column_names
from jaxlr.linalg.moments import column_moments
from jaxlr.model.problem import Problem, row_weights
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings, fit_one
from jaxlr.solvers.working import share, share_own, units_of


def fit_columns(
    columns: Data,
    y: Data,
    *,
    covariates: Data | None = None,
    penalty_factor: Data | None = None,
    **options: Any,
) -> Fit:
    """Fit one model per column.

    Args:
        columns: (k, m), one model each; its floating dtype is that of everything else.
        y: labels (m,), 0/1 or soft.
        covariates: (m, c), in every model; None is none.
        penalty_factor: (c + 1,) >= 0, that of the own column last; None is 1.
        **options: further arguments of `jaxlr.fit`, without init and solver: sample_weight (m,), offset (m,), l2 () and so on.

    Returns:
        Fit (k,), with coef (k, c + 1), the own column's last. A column that separates the classes, or is not finite, says so
        in the status of its model.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; axes that do not fit.

    Example:
        >>> import numpy as np
        >>> columns, y = np.array([[0, 1, 2, 3], [1, 0, 0, 1]]), np.array([0, 1, 0, 1])
        >>> fit_columns(columns, y, l2=0.1).params.coef.shape
        (2, 1)

    References:
        Balding 2006, Nature Reviews Genetics 7, box 3 (association tests by logistic regression with covariates).
    """
    if unknown := {"init", "solver"} & set(options):
        raise TypeError(f"expected options of fit but {', '.join(sorted(unknown))}: the start is the fit of the covariates")
    rows = {"columns": columns, "covariates": covariates, "y": y} | {
        name: options.get(name) for name in ("sample_weight", "offset")
    }
    check_aligned(rows, CORE_AXES | {"columns": "m", "covariates": "mn"})
    given = real_array("columns", columns)
    if given.ndim != 2:
        raise ValueError(f"expected columns (k, m), one model each, got shape {given.shape}")
    own, dtype, _ = checked({"X": given[:, :, None]})  # a design each
    (k, m), own = given.shape, own["X"][:, :, 0]
    common = np.zeros((m, 0)) if covariates is None else checked({"X": covariates})[0]["X"]
    if common.ndim != 2 or common.shape[0] != m:
        hint = "; the axes look transposed, pass columns.T" if common.shape[:1] == (k,) else ""
        raise ValueError(f"expected covariates (m, c) with m = {m} as in columns (k, m), got shape {common.shape}{hint}")
    if np.shape(y) != (m,):
        hint = "; the axes look transposed, pass columns.T" if np.shape(y) == (k,) else ""
        raise ValueError(f"expected y ({m},) to match columns {given.shape}, got shape {np.shape(y)}{hint}")
    c = common.shape[1]
    factor = np.ones(c + 1) if penalty_factor is None else real_array("penalty_factor", penalty_factor)
    if factor.shape != (c + 1,):
        raise ValueError(f"expected penalty_factor ({c + 1},), the own column's last, got shape {factor.shape}")
    common = jnp.asarray(common, dtype)
    one = jnp.concatenate([common, jnp.asarray(own[0], dtype)[:, None]], axis=1)  # stands for all of them in the checks
    one = jnp.where(jnp.isfinite(one), one, 0)
    solver = "newton" if is_zero(options.get("l1", 0.0)) else "proximal"
    given = with_defaults(X=one, y=y, penalty_factor=factor, solver=solver, **options)
    call = prepare(given, models_per_problem=k)
    if call.settings.room:  # no column is left out
        call = call._replace(settings=call.settings._replace(room=c + 1 + call.settings.fit_intercept))
    if call.batch:
        raise ValueError(f"expected one problem beside the columns, got batch axes {call.batch}")
    names = column_names(covariates)
    names = None if names is None else (*names, "column")
    many = call._replace(batch=(k,), needs=call.needs._replace(own=m), names=names)
    start = Params(jnp.zeros(c, dtype), jnp.zeros((), dtype))
    if c or call.settings.fit_intercept:
        with before(many):
            start = start_of(X=common, y=y, penalty_factor=call.fields["penalty_factor"][:c], **options)
    fields = call.fields | {"X": common, "column": own}
    return run(_program, fields, (start, call.tol), (call.settings,), many, CORE_AXES | {"column": "m"})


@program("batch", "settings")
def _program(fields: dict[str, Array], shared: Any, batch: tuple[int, ...], settings: Settings) -> Fit:
    """The models of a chunk, those side by side that are worth their memory; inside, the own column comes first."""
    del batch
    start, tol = shared
    common, columns, s = fields.pop("X"), fields.pop("column"), fields.get("sample_weight")
    m, present = common.shape[0], None if s is None else s > 0
    fields["penalty_factor"] = jnp.roll(fields["penalty_factor"], 1)
    with_products = products_fit(m, common.shape[1] + settings.fit_intercept, 1, common.dtype.itemsize)
    shared = share(common, present, settings.fit_intercept, with_products)
    w = row_weights(Problem(common, None, sample_weight=s))
    begin = Params(jnp.append(jnp.zeros(1, common.dtype), start.coef), start.intercept)

    def one(own: Array) -> Fit:
        design = share_own(shared, own, present, settings.fit_intercept)
        mine = fields | {"units": units_of(design, w, settings.fit_intercept)}
        if settings.standardize:
            mine["sd"] = jnp.append(column_moments(own[:, None], w)[1], column_moments(common, w)[1])
        return fit_one(mine, begin, design, tol, settings)

    fits = in_groups(jax.vmap(one), columns, models_side_by_side(m if with_products else m * common.shape[1]))
    coef = jnp.roll(fits.params.coef, -1, axis=-1)
    return replace(fits, params=Params(coef, fits.params.intercept))
