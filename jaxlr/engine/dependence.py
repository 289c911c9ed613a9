"""Columns without a penalty that are near each other's span, and so need an orthonormal basis (`jaxlr.linalg.basis`).

A penalty tells columns apart that the data cannot. Of a member of a batch those without one are

    all of them where l1 + l2 + l1_group = 0,    else those whose penalty_factor is 0,    but none with two finite bounds.

Models that share a program share the basis of what none of them penalizes; members that leave more columns without a penalty
(an l2 of 0 in a grid, a penalty_factor of their own) are fitted by themselves.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxlr.batching.program import rows_with_weight
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.basis import least_pivot, nearest, weighted
from jaxlr.model.problem import Problem

_MOST = 2**18  # numbers looked at, 16 times as many of many designs


def unpenalized(problem: Problem) -> Bool[Any, "... n"]:
    """Which columns are known to have no penalty, with the batch axes of the penalties in front.

    Args:
        problem: NumPy or JAX arrays, or tracers, which count as positive.
    """
    strengths = [strength for strength in (problem.l1, problem.l2, problem.l1_group) if strength is not None]
    strength = sum(map(np.asarray, strengths)) if all(map(is_concrete, strengths)) else np.ones(())
    factor: Any = problem.penalty_factor
    factor = np.ones(problem.X.shape[-1]) if factor is None or not is_concrete(factor) else np.asarray(factor)
    free = ((np.asarray(strength) == 0)[..., None] & ~np.isposinf(factor)) | (factor == 0)
    if is_bounded(problem) and is_concrete(problem.lower) and is_concrete(problem.upper):
        lower, upper = (np.inf if bound is None else bound for bound in (problem.lower, problem.upper))
        free = free & ~(np.isfinite(lower) & np.isfinite(upper))
    # A NaN does not count: the other members run the same program beside it as without it.
    failed = (np.isnan(strength) | np.isnan(factor).any(axis=-1))[..., None]
    return np.where(failed, _of_all(free | failed), free)


def is_bounded(problem: Problem) -> bool:
    """Whether there are bounds, which belong to columns and not to a basis of theirs."""
    return problem.lower is not None or problem.upper is not None


def in_basis(problem: Problem, dtype: jnp.dtype, here: bool) -> int:
    """How many columns no model of a call penalizes; 0 where these are known to be far from each other's span.

    Args:
        problem: with the batch axes in front.
        dtype: to which it will be brought.
        here: whether it is known, and where NumPy can look at it.
    """
    free = _of_all(unpenalized(problem)) & ~np.bool_(is_bounded(problem))
    near = free.any() and (not here or nearly_dependent(problem, dtype, free, of_models=False))
    return int(free.sum()) if near else 0


def in_basis_of_one(problem: Problem, here: bool) -> int:
    """The same of models by themselves, as statistics see them: how many columns a model leaves without a penalty, at most.

    Args:
        problem: with the batch axes in front, in the dtype of the fit.
        here: as in `in_basis`.
    """
    free = unpenalized(problem)
    some = ~_of_all(~free)
    near = some.any() and (not here or nearly_dependent(problem, problem.X.dtype, some, of_models=True))
    return int(free.sum(axis=-1).max()) if near else 0


def with_more_in_basis(problem: Problem, dtype: jnp.dtype, batch: tuple[int, ...]) -> list[tuple[int, Bool[np.ndarray, "..."]]]:
    """Models that leave more columns without a penalty than all have in common, where these are near each other's span: how
    many columns, and which models (*batch,), those of the same columns together. Arguments as in `in_basis`, known."""
    free = unpenalized(problem)
    common, some = _of_all(free), ~_of_all(~free)
    if np.array_equal(common, some) or is_bounded(problem) or not nearly_dependent(problem, dtype, some, of_models=False):
        return []
    free = np.broadcast_to(free, (*batch, problem.X.shape[-1]))
    kinds, kind = np.unique(free.reshape(-1, free.shape[-1]), axis=0, return_inverse=True)
    return [(int(kinds[i].sum()), kind.reshape(batch) == i) for i in range(len(kinds)) if np.any(kinds[i] != common)]


def nearly_dependent(problem: Problem, dtype: jnp.dtype, columns: Bool[np.ndarray, " n"], of_models: bool) -> bool:
    """Whether some of these columns of some design may be near the span of others: on as many of its rows as are small, since
    what depends on all rows depends on some.

    Args:
        problem: NumPy or JAX arrays, their batch axes in front.
        dtype: to which they will be brought.
        columns: which.
        of_models: whether the rows of each model count, and constant columns too; else those with weight in some model of a
            design, for fits hold a constant column at 0.
    """
    X, s = problem.X, problem.sample_weight
    axes = np.broadcast_shapes(X.shape[:-2], s.shape[:-1] if of_models and s is not None else ())
    m, n = X.shape[-2], int(columns.sum())
    stride = max(1, min(-(-math.prod(axes) * m * n // _MOST), m // (4 * max(n, 1))))  # four rows for each column tell
    if math.prod(axes) * (m // stride) * n > 16 * _MOST:
        return True
    X = np.asarray(X[..., ::stride, :], dtype)
    X = X if columns.all() else X[..., columns]
    s = None if s is None else np.asarray(s[..., ::stride], dtype)
    with np.errstate(all="ignore"):
        present = None
        if s is not None and of_models:
            X, present = np.broadcast_to(X, (*axes, *X.shape[-2:])), np.broadcast_to(s > 0, (*axes, X.shape[-2]))
        elif s is not None:
            present = rows_with_weight(X, s)
        V = weighted(_in_deviations(X, present, problem.fit_intercept), present, problem.fit_intercept)[2]
        near = np.any(least_pivot(V) <= nearest(dtype, V.shape[-1]))
        return bool(near or (of_models and not np.all(np.any(V != 0, axis=-2))))


def _in_deviations(
    X: Float[np.ndarray, "... m n"], present: Bool[np.ndarray, "... m"] | None, fit_intercept: bool
) -> Float[np.ndarray, "... m n"]:
    """Columns about their means, 0 where a row is not there, in standard deviations."""
    there = None if present is None else present[..., None]
    A = X if there is None else np.where(there, X, 0)
    largest = np.max(np.abs(A), axis=-2, keepdims=True, initial=0)
    A = A / np.where(largest > 0, largest, 1)  # no square overflows
    if fit_intercept:
        mean = np.mean(A, axis=-2, keepdims=True, where=True if there is None else there)
        A = A - mean if there is None else np.where(there, A - mean, 0)
    deviation = np.sqrt(np.mean(A**2, axis=-2, keepdims=True))
    return A / np.where(deviation > 0, deviation, 1)


def _of_all(free: Bool[Any, "... n"]) -> Any:
    return free.all(axis=tuple(range(free.ndim - 1)))
