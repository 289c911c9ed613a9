"""One model with very many rows: from the fit of some rows to that of all, without a copy of the design.

The minimum over every s-th row is within the sampling error of the minimum over all, and so is its Hessian: conjugate
gradients that start at the one and are preconditioned by the inverse of the other need a few products with the whole design
(sub-sampled Newton methods: Roosta-Khorasani & Mahoney 2019, Mathematical Programming 174). These are taken with X as it
lies in memory (`jaxlr.linalg.operators`), since writing a copy costs more than many products.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.strategy import ROWS_PER_COLUMN
from jaxlr.linalg.dense import Tall
from jaxlr.linalg.operators import Standardized
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.preconditioner import curvature_inputs, precondition
from jaxlr.solvers.solve import Member, Settings, solve_one
from jaxlr.solvers.working import prepare, to_working, units_of


def fit_large(problem: Problem, tol: Array, settings: Settings) -> Fit:
    """Fit one model.

    Args:
        problem: X (m, n), y (m,), without weights.
        tol: on the KKT residual ().
        settings: static.
    """
    given, problem = problem, jax.lax.stop_gradient(problem)
    X, fit_intercept = problem.X, settings.fit_intercept
    m, n = X.shape
    stride = m // (ROWS_PER_COLUMN * (n + 1))
    working = prepare(X[::stride], None, fit_intercept)
    units = units_of(working, row_weights(Problem(working.A, None)), fit_intercept)
    offset = None if problem.offset is None else problem.offset[::stride]
    some = replace(problem, y=problem.y[::stride], offset=offset)
    member = Member(some, working, units)
    first = solve_one(member, None, jnp.maximum(tol, 1e-6), settings._replace(solver="newton"))
    start = jax.tree.map(lambda part: jnp.where(first.status == Status.CONVERGED, part, 0), first.params)
    d, l2 = curvature_inputs(member.system(settings), to_working(start, working))
    made = precondition(working.A.half_gram(d), l2)

    A = Standardized(Tall(X), working.center, working.unit, jnp.ones(int(fit_intercept), X.dtype))
    columns = A.first_columns(n)
    working = working._replace(A=A, columns=columns, rows=A._replace(X=Tall(given.X)), aid=made._replace(directions=A))
    units = units_of(working, row_weights(Problem(A, None)), fit_intercept)
    return solve_one(Member(given, working, units), start, tol, settings)
