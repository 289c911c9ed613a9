"""Fits of the columns of an association scan, each beside the same covariates, and what their tests are made of.

Of a column that separates the classes estimate, error and likelihood ratio are Firth's.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jaxlr.batching.loops import in_groups
from jaxlr.batching.strategy import products_fit
from jaxlr.compilation.program import program
from jaxlr.engine.memory import models_side_by_side
from jaxlr.fitting.columns import fit_columns
from jaxlr.fitting.firth import fit_firth
from jaxlr.inference.likelihood_ratio import ratio_test
from jaxlr.inference.profile import profile_tests
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.model.logistic import curvature
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem, row_weights, weight_sum
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working import prepare, to_working, with_own


def tests_of_columns(
    given: Any, chosen: np.ndarray, small: Fit, problem: Problem, batch_size: int | None, progress: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the columns (k, m) status, estimate, its error and likelihood ratio (k,), NaN where a column is not chosen, and
    whether these are Firth's, as where a column separates the classes.

    Args:
        chosen: which columns are fitted.
        small: the model without them, of problem.
    """
    k, dtype = len(given), problem.X.dtype
    rows: dict[str, Any] = {"sample_weight": problem.sample_weight, "offset": problem.offset}
    status = np.full(k, Status.NOT_RUN, np.int32)
    estimate, error, ratio = (np.full(k, np.nan, dtype) for _ in range(3))
    if np.any(chosen):
        own = given if np.all(chosen) else np.asarray(given)[chosen]
        fits = fit_columns(own, problem.y, covariates=problem.X, batch_size=batch_size, progress=progress, **rows)
        status[chosen] = fits.status
        estimate[chosen], error[chosen] = _own(fits, own, problem)
        # of a constant one `fit_columns` knows that it is one, and not only that it is near the span of the others
        status[chosen & np.isnan(error) & (status == Status.CONVERGED)] = Status.STALLED
        ratio[chosen] = ratio_test(fits, small, problem, 1).statistic
    firth = status == Status.SEPARATED
    if np.any(firth):
        own, common = np.asarray(given)[firth], problem.X
        designs = np.concatenate([np.broadcast_to(common, (len(own), *common.shape)), own[:, :, None]], axis=2)
        fits = fit_firth(designs, problem.y, batch_size=batch_size, **rows)
        estimate[firth], error[firth] = _own(fits, own, problem)
        ratio[firth] = profile_tests(fits, Problem(designs, problem.y, **rows)).statistic.coef[:, -1]
        firth[np.flatnonzero(firth)] = np.asarray(fits.status) == Status.CONVERGED
    estimate, ratio = (np.where(np.isnan(error), np.nan, value) for value in (estimate, ratio))
    return status, estimate, error, ratio, firth


def _own(fits: Fit, columns: Any, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of the own columns, NaN where a model is not CONVERGED."""
    found = np.asarray(fits.status) == Status.CONVERGED
    errors = _own_errors(columns, fits.params, problem)
    return np.where(found, np.asarray(fits.params.coef)[:, -1], np.nan), np.where(found, errors, np.nan)


@program()
def _own_errors(columns: Num[Array, "k m"], params: Params, problem: Problem) -> Float[Array, " k"]:
    """Standard error of the own column's coefficient in every model: a corner of the inverse information.

    What the covariates give is one matrix product for all models of a group, as in `jaxlr.fitting.columns`.
    """
    common = problem.X
    columns = jnp.asarray(columns, common.dtype)
    m, c = common.shape
    with_products = products_fit(m, c + 1, 1, common.dtype.itemsize)
    working = prepare(common, None, True, with_products)
    w, total = row_weights(problem), weight_sum(problem)

    def one(member: tuple[Array, Params]) -> Array:
        own, mine = member
        design = with_own(working, own, None, True)
        x = to_working(Params(jnp.roll(mine.coef, 1), mine.intercept), design)
        z = design.A.times(x) + (0 if problem.offset is None else problem.offset)
        root = inverse_root(total * design.A.gram(w * curvature(z)))
        return jnp.sqrt(jnp.sum(root[:, 0] ** 2)) / design.unit[0]

    return in_groups(jax.vmap(one), (columns, params), models_side_by_side(m if with_products else m * (c + 1)))
