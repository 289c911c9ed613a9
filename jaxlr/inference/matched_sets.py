"""How well conditional fits of matched sets fit.

    log-likelihood = sum_s s_s log P(the cases of stratum s | their number)            null: coefficients of 0, with the offset
    deviance = -2 log-likelihood     AIC = -2 log-likelihood + 2 k     BIC = -2 log-likelihood + k log N

with k parameters that the data determine, and N all cases of positive weight, a weight k counting k times, with or without
controls in their stratum: the events that R's clogit counts (nevent, and nobs in BIC).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.inference.fitted import fitted
from jaxlr.inference.goodness import Goodness
from jaxlr.inference.over_models import over_models
from jaxlr.linalg.dot import dot
from jaxlr.model.conditional import matched_of
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.results.fit import Fit


def goodness_of_sets(fit: Fit, problem: Problem, penalized: bool) -> Goodness:
    """Measures of fit of a problem with strata; df_residual is N - k, and all pseudo R-squared but McFadden's are NaN, for a
    conditional likelihood has no single trials.

    Args:
        fit: by `jaxlr.fit_conditional`.
        problem: its data.
        penalized: whether a fit with l2 > 0 is accepted.
    """
    return Goodness(*over_models(_goodness_of_sets, fit, problem, penalized=penalized), pearson=None)


def _goodness_of_sets(params: Params, problem: Problem, basis: int) -> tuple[Array, ...]:
    sets, total, k = matched_of(problem), weight_sum(problem), fitted(params, problem, basis).num_parameters
    at_zero = Params(jnp.zeros_like(params.coef), jnp.zeros_like(params.intercept))
    loglik, null = (-total * sets.loss(problem_logits(at, problem)) for at in (params, at_zero))
    N = total * dot(row_weights(problem), jnp.asarray(problem.y, total.dtype))
    measures = loglik, null, -2 * loglik, -2 * null, N - k, 2 * k - 2 * loglik, k * jnp.log(N) - 2 * loglik, 1 - loglik / null
    return *measures, *(jnp.full_like(loglik, jnp.nan),) * 3


def sets_and_cases(problem: Problem) -> tuple[int, int] | None:
    """How many strata of one model have a case and a control of positive weight, and how many cases these have; None of a
    batch."""
    y, s = np.asarray(problem.y), problem.sample_weight
    if y.ndim > 1 or np.ndim(s) > 1:
        return None
    strata = problem.strata.known(y, s)
    cases = (y == 1) & (strata.place < sum(map(np.size, strata.blocks)))
    return sum(map(len, strata.blocks)), int(np.sum(cases if s is None else cases & (np.asarray(s) > 0)))
