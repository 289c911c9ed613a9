"""Small data, measured on the host: NumPy takes a millisecond for what a program would have to compile in a tenth of a second.

These are origin and units of the columns (`jaxlr.solvers.working`), their standard deviations, and the rows that have weight.
What is large, in someone's jit or on another device is measured by the program.
"""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxlr.batching.lanes import Models
from jaxlr.batching.program import rows_with_weight
from jaxlr.engine.buckets import Size
from jaxlr.linalg.basis import least_pivot, nearest, weighted
from jaxlr.linalg.moments import column_moments
from jaxlr.model.problem import Problem, summing_to_1
from jaxlr.solvers.measured import measured

_MOST = 2**18  # numbers


def nearly_dependent(problem: Problem, dtype: jnp.dtype, of_models: bool) -> bool:
    """Whether columns of some design may be near the span of others: on as many of its rows as are small, since what depends on
    all rows depends on some.

    Args:
        problem: NumPy or JAX arrays, their batch axes in front.
        dtype: to which they will be brought.
        of_models: whether the rows of each model count, and constant columns too; else those with weight in some model of a
            design, for fits hold a constant column at 0.
    """
    X, s = problem.X, problem.sample_weight
    (m, n), axes = X.shape[-2:], np.broadcast_shapes(X.shape[:-2], s.shape[:-1] if of_models and s is not None else ())
    stride = max(1, -(-math.prod(axes) * m * n // _MOST))
    if stride > 1 and m // stride < 2 * n:
        return True  # too few to tell
    X = np.asarray(X[..., ::stride, :], dtype)
    s = None if s is None else np.asarray(s[..., ::stride], dtype)
    with np.errstate(all="ignore"):
        present = None
        if s is not None and of_models:
            X, present = np.broadcast_to(X, (*axes, *X.shape[-2:])), np.broadcast_to(s > 0, (*axes, X.shape[-2]))
        elif s is not None:
            present = rows_with_weight(X, s)
        V = weighted(_in_deviations(X, present, problem.fit_intercept), present, problem.fit_intercept)[2]
        near = np.any(least_pivot(V) <= nearest(dtype))
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


def with_columns(models: Models, dtype: jnp.dtype, to: Size, standardize: bool) -> Models:
    """Models whose columns and rows are measured, where they are small; the others as they are.

    Args:
        models: NumPy or JAX arrays, their batch axes in front.
        dtype: to which they will be brought.
        to: the size that their design will be filled up to: one bucket, one program.
        standardize: whether penalties are measured in standard deviations.
    """
    problem = models.problem
    given = problem.sample_weight
    axes = np.broadcast_shapes(problem.X.shape[:-2], () if given is None else given.shape[:-1])
    if math.prod(axes) * to.m * to.n > _MOST:
        return models
    X = np.asarray(problem.X, dtype, order="C")  # a table's columns have the same sums
    s = np.ones(X.shape[:-1], dtype) if given is None else np.asarray(given, dtype)
    with np.errstate(all="ignore"):  # a model without weight, or numbers that overflow, say so in their status
        w = summing_to_1(s)
        present = rows_with_weight(X, s)
        columns = measured(X, w, present, problem.fit_intercept)
        deviation = column_moments(X, w)[1] if standardize else None
    return replace(models, present=present, columns=columns, deviation=deviation)
