"""Small data, measured on the host: NumPy takes a millisecond for what a program would have to compile in a tenth of a second.

These are origin and units of the columns (`jaxlr.solvers.working`), their standard deviations, and the rows that have weight.
What is large, in someone's jit or on another device is measured by the program.
"""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from jaxlr.batching.lanes import Models
from jaxlr.batching.program import rows_with_weight
from jaxlr.engine.buckets import Size
from jaxlr.linalg.moments import column_moments
from jaxlr.model.problem import summing_to_1
from jaxlr.solvers.measured import measured

_MOST = 2**18  # numbers


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
        columns = measured(X, w, None if present.all() else present, problem.fit_intercept)
        deviation = column_moments(X, w)[1] if standardize else None
    return replace(models, present=present, columns=columns, deviation=deviation)
