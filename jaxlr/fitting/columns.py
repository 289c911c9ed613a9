"""One model per column, beside covariates that all models share: the shape of an association scan.

    z = covariates . coef_1..c + column_j coef_own + intercept + offset         j = 1..k

Everything that touches the covariates is one matrix product for all models of a chunk, and the shared block is never
copied (`jaxlr.linalg.operators`). Every model starts from the fit of the covariates alone, where its own coefficient is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from jaxlr.batching.axes import Core
from jaxlr.batching.lanes import Models
from jaxlr.batching.loops import in_groups
from jaxlr.batching.strategy import with_room
from jaxlr.compilation.program import program
from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.memory import models_side_by_side
from jaxlr.engine.plan import Call
from jaxlr.engine.run import before, run
from jaxlr.fitting.fit import start_of
from jaxlr.inputs.checks import Data, checked, core_axes, is_zero, real_array
from jaxlr.inputs.labels import hint_of_counts
from jaxlr.inputs.own_columns import checked_columns
from jaxlr.inputs.tables import check_aligned, column_names, is_concrete
from jaxlr.linalg.cholesky import after, cholesky, in_own_units, inverse
from jaxlr.linalg.dot import dot
from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.operators import Bordered, Design
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers import working as designs
from jaxlr.solvers.solve import Member, Settings, solve_one
from jaxlr.solvers.working import units_of, with_own


def fit_columns(
    columns: Data,
    y: Data,
    *,
    covariates: Data | None = None,
    num_classes: int | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Fit:
    """Fit one model per column.

    Args:
        columns: (k, m), one model each; its floating dtype is that of everything else.
        y: labels (m,), as in `jaxlr.fit`.
        covariates: (m, c), in every model; None is none.
        penalty_factor: (c + 1,) >= 0, that of the own column last; None is 1.
        num_classes, sample_weight, offset, l1, l2, fit_intercept, standardize, tol, max_steps, batch_size, mesh, progress: as
            in `jaxlr.fit`, without batch axes.

    Returns:
        Fit (k,), with coef (k, c + 1), of K classes (k, K, c + 1), the own column's last. A column that separates the classes,
        or is not finite, says so in the status of its model. Without a penalty one whose distance from the span of the
        covariates without one and the intercept is less than about 3e-6 of its size (float32: 5e-3) is STALLED, for this is
        told by their Gram matrix; `jaxlr.fit` resolves 1e-9. One that is 0, or constant beside an intercept, is CONVERGED.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; axes that do not fit; fewer rows of positive
            weight than parameters without a penalty.

    Example:
        >>> import numpy as np
        >>> columns, y = np.array([[0, 1, 2, 3], [1, 0, 0, 1]]), np.array([0, 1, 0, 1])
        >>> fit_columns(columns, y, l2=0.1).params.coef.shape
        (2, 1)

    References:
        Balding 2006, Nature Reviews Genetics 7, box 3 (association tests by logistic regression with covariates).
    """
    rows = {"columns": columns, "covariates": covariates, "y": y, "sample_weight": sample_weight, "offset": offset}
    check_aligned(rows, core_axes(num_classes) | {"columns": "m", "covariates": "mn"})
    own, common = _checked_columns(columns, covariates, y)
    c = common.shape[1]
    factor = np.ones(c + 1) if penalty_factor is None else real_array("penalty_factor", penalty_factor)
    if factor.shape != (c + 1,):
        raise ValueError(
            f"expected penalty_factor ({c + 1},), the own column's last, got shape {factor.shape}; leave it out for 1"
        )
    xp = jnp if isinstance(own, jax.Array) or isinstance(common, jax.Array) else np
    one = xp.concatenate([common, own[:1].T.astype(common.dtype)], axis=1)  # stands for all in the checks
    given = Arguments(
        X=xp.where(xp.isfinite(one), one, 0),
        y=y,
        num_classes=num_classes,
        sample_weight=sample_weight,
        offset=offset,
        l1=l1,
        l2=l2,
        penalty_factor=factor,
        fit_intercept=fit_intercept,
        standardize=standardize,
        solver="newton" if is_zero(l1) else "proximal",
        tol=tol,
        max_steps=max_steps,
        batch_size=batch_size,
        mesh=mesh,
        progress=progress,
    )
    call = prepare(given, models_per_problem=len(own))
    if call.batch:
        raise ValueError(f"expected one problem beside the columns, got batch axes {call.batch}; call once for each")
    if is_concrete(l1) and is_concrete(l2) and is_concrete(factor):
        free = _without_penalty(np.asarray(l1) + np.asarray(l2), np.asarray(factor))
        check_enough_rows(common, sample_weight, free, fit_intercept)
    many = _call_of_columns(call, own, common, column_names(covariates))
    alone = replace(given, X=common, penalty_factor=factor[:c], solver="auto")
    start = None
    if c or fit_intercept:
        with before(many):
            start = start_of(alone)
    return run(many._replace(models=replace(many.models, start=start)))


def _checked_columns(columns: Data, covariates: Data | None, y: Data) -> tuple[Any, Any]:
    """The columns (k, m) and the covariates (m, c), of one dtype."""
    given, dtype = checked_columns(columns, covariates, "model")
    k, m = given.shape
    common = np.zeros((m, 0)) if covariates is None else checked({"X": covariates})[0]["X"]
    if common.ndim != 2 or common.shape[0] != m:
        hint = "; the axes look transposed, pass columns.T" if common.shape[:1] == (k,) else ""
        raise ValueError(f"expected covariates (m, c) with m = {m} as in columns (k, m), got shape {common.shape}{hint}")
    if np.shape(y) != (m,):
        hint = "; the axes look transposed, pass columns.T" if np.shape(y) == (k,) else hint_of_counts(np.shape(y), m)
        raise ValueError(f"expected y ({m},) to match columns {given.shape}, got shape {np.shape(y)}{hint}")
    return given, (jnp if isinstance(common, jax.Array) else np).asarray(common, dtype)


def check_enough_rows(common: Any, sample_weight: Data | None, free: np.ndarray, fit_intercept: bool) -> None:
    """Refuse what is known to have too few rows for the own column of any model to be told from the others.

    Args:
        common: covariates (m, c).
        sample_weight: (m,).
        free: which columns have no penalty (c + 1,), the own one last.
        fit_intercept: whether there is an intercept.
    """
    if not (is_concrete(common) and is_concrete(sample_weight) and free[-1]):
        return
    s = np.ones(len(common)) if sample_weight is None else np.asarray(sample_weight)
    rows, parameters = int(np.sum(s > 0)), int(np.sum(free)) + fit_intercept
    if rows == 0 or rows >= parameters:
        return
    X = np.column_stack([np.asarray(common, float)[s > 0][:, free[:-1]], np.ones((rows, int(fit_intercept)))])
    size = np.max(np.abs(X), axis=0)
    if np.linalg.matrix_rank(X / np.where(size > 0, size, 1)) == rows:  # of columns that depend on others it is less
        raise ValueError(
            "expected no fewer rows of positive weight than parameters without a penalty (covariates, column, intercept), "
            f"got {rows} rows and {parameters} parameters; leave covariates out, or penalize them"
        )


def _call_of_columns(call: Call, own: Any, common: Any, names: tuple[str, ...] | None) -> Call:
    """The call of all columns, from that of one."""
    if (settings := call.settings).room:  # no column is left out
        settings = with_room(settings, call.traits, call.traits.n + settings.fit_intercept)
    return call._replace(
        program=_program,
        models=replace(call.models, problem=replace(call.models.problem, X=common)),
        own=(own,),
        own_cores=(Core("m"),),
        batch=(len(own),),
        settings=settings,
        names=None if names is None else (*names, "column"),
    )


@program("batch", "settings")
def _program(models: Models, tol: Array, columns: Float[Array, "k m"], batch: tuple[int, ...], settings: Settings) -> Fit:
    """The models of a chunk, those side by side that are worth their memory; inside, the own column comes first."""
    del batch
    problem, common = models.problem, models.problem.X
    m, present = common.shape[0], None if problem.sample_weight is None else problem.sample_weight > 0
    working = designs.prepare(common, present, settings.fit_intercept, settings.products)
    w = row_weights(Problem(working.A, None, sample_weight=problem.sample_weight))
    mine = replace(problem, X=None, penalty_factor=jnp.roll(problem.penalty_factor, 1))

    spanned = None
    free = _without_penalty(problem.l2 if problem.l1 is None else problem.l1 + problem.l2, problem.penalty_factor)
    if not settings.coercive and working.A.shape[1]:
        rows = jnp.ones_like(w) if present is None else present.astype(w.dtype)
        spanned = _span(working.A, rows, jnp.append(free[:-1], jnp.ones(int(settings.fit_intercept), bool)))
        tol = after(spanned, tol)  # and with it all steps

    if (start := models.start) is not None:
        own_first = [(0, 0)] * (start.coef.ndim - 1) + [(1, 0)]
        start = start._replace(coef=jnp.pad(start.coef, own_first))

    def one(own: Array) -> Fit:
        bordered = with_own(working, own, present, settings.fit_intercept)
        deviation = None
        if settings.standardize:
            deviation = jnp.append(column_moments(own[:, None], w)[1], column_moments(common, w)[1])
        member = Member(mine, bordered, units_of(bordered, w, settings.fit_intercept), deviation)
        fit = solve_one(member, start, tol, settings)
        if spanned is None:
            return fit
        assert isinstance(bordered.A, Bordered)
        return _doubted(fit, _own_share(bordered.A, spanned), free[-1])

    fits = in_groups(jax.vmap(one), columns, models_side_by_side(m if settings.products else m * max(common.shape[1], 1)))
    return replace(fits, params=fits.params._replace(coef=jnp.roll(fits.params.coef, -1, axis=-1)))


def _without_penalty(strength: Any, factor: Any) -> Any:
    """Which columns have none, by their penalty factors; inf holds a coefficient at 0."""
    return ((strength == 0) | (factor == 0)) & (factor < np.inf)


def _span(A: Design, rows: Float[Array, " m"], free: Bool[Array, " k"]) -> Float[Array, "k k"]:
    """What makes the free ones of the columns that all models share orthonormal: W with W A'A W' their identity."""
    jitter = jnp.asarray(jnp.finfo(A.dtype).eps ** 0.75)
    H, s = in_own_units(A.gram(rows), jnp.zeros(A.shape[1], A.dtype), free, jitter)
    return inverse(cholesky(H)) * s[None, :]


def _own_share(A: Bordered, span: Float[Array, "k k"]) -> Float[Array, ""]:
    """What a column has beside that span, as a share of its squares."""
    within = dot(span, A.common.transposed_times(A.own))
    return 1 - jnp.sum(within**2) / jnp.sum(A.own**2)


def _doubted(fit: Fit, share: Float[Array, ""], free: Bool[Array, ""]) -> Fit:
    """A free column that is a combination of free ones, as far as its Gram matrix can tell, has no estimate."""
    doubtful = free & (share <= 4 * jnp.finfo(share.dtype).eps ** 0.75) & (fit.status == Status.CONVERGED)
    return replace(fit, status=jnp.where(doubtful, Status.STALLED, fit.status).astype(fit.status.dtype))
