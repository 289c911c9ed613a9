"""What the models of one design share: working columns, and what their solver takes from them."""

import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.linalg.basis import least_pivot, pivot_of_a_copy, weighted
from jaxlr.linalg.cholesky import once
from jaxlr.linalg.dense import Dense, Rough
from jaxlr.linalg.gathered import Transposed
from jaxlr.linalg.operators import Standardized
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.problem import Problem
from jaxlr.solvers.measured import Columns
from jaxlr.solvers.preconditioner import Jacobi
from jaxlr.solvers.solve import Settings
from jaxlr.solvers.working import Working, prepare, prepare_sparse
from jaxlr.solvers.working_set import leaves_out


def prepare_design(problem: Problem, present: Array | None, columns: Columns | None, settings: Settings) -> Working:
    """What the models of one design share.

    Args:
        problem: of one design (m, n), as of `jaxlr.batching.lanes.Models`.
        present, columns: likewise.
        settings: static.

    Returns:
        Working, its aid the transposed columns for working sets, and those in the dtype of directions for conjugate gradients.
    """
    X = problem.X
    if isinstance(X, Sparse):
        return _prepare_sparse(X, present, settings)
    few, free = leaves_out(settings.room, X.shape[1] + settings.fit_intercept), _free(problem, settings.basis)
    with_products = settings.products and not few
    working = prepare(X, present, settings.fit_intercept, with_products, columns, free)
    if settings.unsure:
        V = weighted(working.columns.to_array(), present, settings.fit_intercept)[2]
        pivot = least_pivot(V)
        assert isinstance(working.A, Dense)
        array = once(~jnp.any(pivot > jnp.inf), working.A.array)  # Hessians are factored after that, not beside it
        near = ~(pivot > 2 * pivot_of_a_copy(V.dtype, V.shape[1]))
        working = working._replace(near=near, A=working.A._replace(array=array))
    if few:
        return working._replace(aid=Transposed(working.A.to_array().T))
    # Whether data are separated shows in the last digits of a Hessian, which float32 does not have.
    rough = settings.solver == "newton_cg" and settings.coercive
    return working._replace(aid=Rough(working.A.to_array().astype(jnp.float32))) if rough else working


def _prepare_sparse(X: Sparse, present: Array | None, settings: Settings) -> Working:
    """The same of a sparse design, its aid its columns for working sets, and what directions are computed from."""
    working = prepare_sparse(X, present, settings.fit_intercept)
    # Without a penalty only a basis would tell columns apart that are near each other's span.
    working = working._replace(near=None if settings.coercive else jnp.bool_(True))
    assert isinstance(working.A, Standardized)
    if settings.solver == "proximal":
        return working._replace(aid=working.A.in_units())
    directions = working.A.in_units().astype(jnp.float32) if settings.coercive else working.A
    return working._replace(aid=Jacobi(directions) if settings.matrix_free else directions)


def _free(problem: Problem, count: int) -> Array | None:
    """The columns that no model of a design penalizes (count,), None for 0; where these are all, for want of any penalty."""
    n = problem.X.shape[1]
    if count in (0, n):
        return jnp.arange(n) if count else None
    assert problem.penalty_factor is not None
    factors = problem.penalty_factor.reshape(-1, n)
    held, penalized = jnp.any(jnp.isposinf(factors), axis=0), jnp.any(factors > 0, axis=0)  # a NaN does not count
    penalized = jnp.where(count + jnp.sum(held) == n, held, penalized)  # without strengths only what is held at 0
    return jnp.nonzero(~penalized, size=count, fill_value=n)[0]
