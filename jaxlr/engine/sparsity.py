"""Whether a sparse design stays so. It is made dense, as far as memory allows,

    for few numbers, or where every sixth place has an entry     dense products are as fast, and their programs serve all data
    for a model without a penalty, solver="newton" or a mesh     only Hessians, or a basis, tell what the data determine

and where columns without a penalty beside others are near each other's span.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from jaxlr.engine.dependence import nearly_dependent, unpenalized
from jaxlr.inputs.memory import bytes_free
from jaxlr.inputs.sparse import columns_of, density, to_dense
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.problem import Problem

_FEW = 2**17  # numbers
_DENSE = 1 / 6


def as_it_pays(problem: Problem, dtype: jnp.dtype, needs_dense: bool) -> Problem:
    """The problem with its X as it is, or made dense.

    Args:
        problem: its leaves have their batch axes in front.
        dtype: to which it will be brought.
        needs_dense: whether what was asked for has no road for a sparse X.

    Raises:
        MemoryError: X has to be dense, and would not fit.
    """
    X = problem.X
    if not isinstance(X, Sparse):
        return problem
    m, n = X.shape
    full = density(X) >= _DENSE and m * n * X.dtype.itemsize <= bytes_free()
    if needs_dense or m * n <= _FEW or full or _undetermined(problem, dtype):
        return replace(problem, X=to_dense(X))
    return problem


def _undetermined(problem: Problem, dtype: jnp.dtype) -> bool:
    """Whether some model is known to have no penalty, or columns without one that are near each other's span."""
    free = unpenalized(problem)
    if np.any(free.all(axis=-1)):
        return True
    some = free.any(axis=tuple(range(free.ndim - 1)))
    if not some.any() or not is_concrete(problem.X.rows.data):
        return False
    dense = replace(problem, X=to_dense(columns_of(problem.X, some)))
    return nearly_dependent(dense, dtype, np.ones(int(some.sum()), bool), of_models=False)
