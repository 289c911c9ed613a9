"""Where a path of l1 begins.

With g the gradient of the loss where every penalized coefficient is 0 and the others are fitted (the null model),

    l1_max = max_j |g_j| / f_j            over the penalized columns, f = penalty_factor

is the least l1 for which they all stay 0 (Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33, section 2.5);
of a column with 0 for a bound only the slope to the other side counts. Of groups, beside an l1 that stays,

    l1_group_max = max_g |soft(g_g, l1 f_g)| / (sqrt(size_g) f_g)
"""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.fitting.fit import fit
from jaxlr.inputs.checks import check_flag, checked_arrays
from jaxlr.inputs.groups import checked_groups
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import likelihood_of
from jaxlr.model.norms import as_groups, norms
from jaxlr.model.problem import Problem, bounds_of, problem_logits, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def l1_max(problem: Problem, *, num_classes: int | None = None) -> Float[Array, ""]:
    """The least l1, with groups the least l1_group, for which every penalized coefficient is exactly 0.

    Args:
        problem: one problem, X sparse too, for a fit without standardize; its l1 (but with groups) and l2 do not count, and its
            penalty_factor, groups and bounds are known outside jit. Factors of 0 leave columns in the null model; the others'
            bounds include 0.
        num_classes: K of a multinomial model, whose labels y holds; None is the binary one.

    Returns:
        Scalar of X's dtype, on the scale of the mean loss, rounded up by a bound on the rounding of g; 0 where no column is
        penalized, NaN where the null model has no estimate.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; penalty_factor or a bound is a tracer; a penalized column must not be 0.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]))
        >>> round(float(l1_max(problem)), 6)
        0.5
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"expected problem to be a jaxlr.Problem, got {type(problem).__name__}; give it X and y")
    check_flag("fit_intercept", problem.fit_intercept)
    factor = problem.penalty_factor
    if not all(map(is_concrete, (factor, problem.lower, problem.upper))):
        raise ValueError(
            "expected penalty_factor and bounds known outside jit, got a tracer: they say which columns the null model has"
        )
    if problem.strata is not None:
        raise ValueError(
            "expected a problem without strata, got some: matched sets have no l1; use jaxlr.fit_conditional with l2"
        )
    names = ("X", "y", "sample_weight", "offset", "penalty_factor", "lower", "upper")
    given = {name: getattr(problem, name) for name in names}
    if problem.groups is not None and problem.l1 is not None:
        given["l1"] = problem.l1
    arrays, batch = checked_arrays(given, num_classes, sparse=True)
    if batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}; map with jax.vmap")
    free = () if factor is None else tuple(map(int, np.flatnonzero(np.asarray(factor) == 0)))
    bounds = {name: np.asarray(arrays[name]) for name in ("lower", "upper") if name in arrays}
    held = (bounds.get("lower", np.zeros(())) > 0) | (bounds.get("upper", np.zeros(())) < 0)
    if np.any(np.delete(np.broadcast_to(held, arrays["X"].shape[1:]), free)):
        raise ValueError(
            "expected bounds of penalized columns that include 0, got others: no l1 holds such a coefficient at 0; give it "
            "penalty_factor 0"
        )
    null = None
    if free or problem.fit_intercept:
        X: Any = arrays["X"]
        rows: dict[str, Any] = {name: arrays.get(name) for name in ("sample_weight", "offset")}
        columns: Any = np.array(free, np.int32)
        X = X.gather(columns).T if isinstance(X, Sparse) else (np.asarray(X) if is_concrete(X) else X)[:, columns]
        inside: dict[str, Any] = {name: bound[columns] for name, bound in bounds.items()}
        null = fit(X, arrays["y"], num_classes=num_classes, fit_intercept=problem.fit_intercept, **rows, **inside)
    groups = checked_groups(problem.groups, 1.0, arrays["X"].shape[1], factor) if problem.groups is not None else None
    fields: dict[str, Any] = arrays | {"l1": arrays.get("l1"), "l2": 0.0, "groups": groups, "l1_group": None}
    return _largest_slope(replace(problem, **fields), null, free, likelihood_of(num_classes).classes)


@program("free", "classes")
def _largest_slope(problem: Problem, null: Fit | None, free: tuple[int, ...], classes: tuple[int, ...]) -> Float[Array, ""]:
    """max_j |g_j| / f_j, or that of groups, rounded up, at the null model, whose columns are those that are free."""
    X, kind = problem.X, likelihood_of(*(classes or (None,)))
    params = kind.params_type(jnp.zeros((*classes, X.shape[1]), X.dtype), jnp.zeros(classes, X.dtype))
    if null is not None:
        coef = params.coef.at[..., np.array(free, int)].set(null.params.coef)
        params = params._replace(coef=coef, intercept=null.params.intercept)
    w = row_weights(problem)
    r = kind.residual(problem_logits(params, problem), problem.y)
    wr = aligned(w, r) * r
    if isinstance(X, Sparse):
        center = X.moments(w)[0] if problem.fit_intercept else jnp.zeros(X.shape[1], X.dtype)
        slopes = X.transposed_times(wr) - aligned(center, wr) * jnp.sum(wr, axis=-1, keepdims=True)
        size = jnp.abs(wr)
        rounding = X.absolute().transposed_times(size) + jnp.abs(aligned(center, wr)) * jnp.sum(size, axis=-1, keepdims=True)
    else:
        centered = X - column_moments(X, w)[0][None, :] if problem.fit_intercept else X
        slopes, rounding = dot(wr, centered), dot(jnp.abs(wr), jnp.abs(centered))
    if (bounds := bounds_of(problem, X.shape[1], X.dtype)) is None:
        slopes = jnp.abs(slopes)
    else:  # only those that lead from 0 to where the bounds allow
        down, up = (aligned(bound != 0, slopes) for bound in bounds)
        slopes = jnp.maximum(jnp.where(up, -slopes, 0), jnp.where(down, slopes, 0))
    slopes = slopes + 4 * jnp.finfo(X.dtype).eps * rounding
    factor = jnp.ones(X.shape[1], X.dtype) if problem.penalty_factor is None else problem.penalty_factor
    if problem.groups is None:
        slopes = jnp.max(slopes.reshape(-1, X.shape[1]), axis=0)
    else:
        groups = as_groups(problem.groups, X.dtype)
        l1 = jnp.asarray(0.0 if problem.l1 is None else problem.l1, X.dtype) * factor
        slopes = norms(jnp.maximum(slopes - aligned(l1, slopes), 0), groups.number) / groups.multiplier
    most = jnp.max(jnp.where(factor > 0, slopes / jnp.where(factor > 0, factor, 1), 0), initial=0)
    return most if null is None else jnp.where(null.status == Status.CONVERGED, most, jnp.nan)
