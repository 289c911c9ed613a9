"""How well models fit: log-likelihood, deviance, and what is made of them.

    log-likelihood = sum_i s_i log p_i,label                                     binomial coefficients left out
    deviance       = 2 sum_i s_i KL(y_i || p_i)                                  -2 log-likelihood where labels are 0/1
    AIC = -2 log-likelihood + 2 k        BIC = -2 log-likelihood + k log N       McFadden's R^2 = 1 - log-likelihood / null

with k parameters, of K classes K - 1 for each column, and N = sum_i s_i rows. The null model has the offset, and an intercept
if the model has one.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.inference.over_models import estimate_of, over_models
from jaxlr.linalg.operators import Dense
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.penalty import Penalty
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers import newton
from jaxlr.solvers.system import System


class Goodness(NamedTuple):
    """Measures of fit, each (...) with the batch shape of the fit.

    Attributes:
        log_likelihood: of the model, in nats.
        null_log_likelihood: of the null model.
        deviance: 0 for a model that gives every row its own label.
        null_deviance: of the null model.
        df_residual: N - k.
        aic: Akaike's information criterion.
        bic: the Bayesian one.
        mcfadden: share of the null model's log-likelihood that the model explains.
    """

    log_likelihood: Any
    null_log_likelihood: Any
    deviance: Any
    null_deviance: Any
    df_residual: Any
    aic: Any
    bic: Any
    mcfadden: Any


def goodness_of_fit(fit: Fit, problem: Problem, *, penalized: bool = False) -> Goodness:
    """Log-likelihood, deviance, AIC, BIC and McFadden's R^2 of every model.

    Args:
        fit: unpenalized, its batch shape in front; Firth's too, whose log-likelihood is that without the penalty.
        problem: its data, each field with the batch axes that it had there.
        penalized: whether a fit with l2 > 0 is accepted; k is then still the number of parameters, so that AIC and BIC are
            not what they were made for.

    Returns:
        Goodness; NaN where a model is not CONVERGED.

    Raises:
        ValueError: a penalized fit, unless asked for.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(goodness_of_fit(jaxlr.fit(X, y), jaxlr.Problem(X, y)).deviance), 3)
        4.695

    References:
        McCullagh & Nelder 1989, section 4.4.3; Akaike 1974, IEEE Transactions on Automatic Control 19; Schwarz 1978, Annals of
        Statistics 6; McFadden 1974, in Frontiers in Econometrics, p. 121.
    """
    return Goodness(*over_models(_goodness_of_fit, fit, problem, penalized=penalized))


def _goodness_of_fit(params: Params | SoftmaxParams, problem: Problem) -> tuple[Array, ...]:
    estimate = estimate_of(params, problem)
    system, total = estimate.system, estimate.system.total
    likelihood = system.likelihood
    k = system.A.shape[1] * math.prod(likelihood.coordinates)
    loglik = -total * jnp.sum(system.w * likelihood.losses(estimate.z, system.y))
    null = -total * jnp.sum(system.w * likelihood.losses(_null_logits(system, estimate.z), system.y))
    saturated = -total * jnp.sum(system.w * likelihood.least_losses(system.y))
    return (
        loglik,
        null,
        2 * (saturated - loglik),
        2 * (saturated - null),
        total - k,
        2 * k - 2 * loglik,
        k * jnp.log(total) - 2 * loglik,
        1 - loglik / null,
    )


def _null_logits(system: System, z: Array) -> Array:
    """The offset, and the intercepts at which the residuals of every class sum to 0, where there are any."""
    offset = jnp.zeros_like(z) if system.offset is None else system.offset
    if system.n == system.A.shape[1]:
        return offset
    one, none = jnp.ones(1, z.dtype), jnp.zeros(1, z.dtype)
    null = system._replace(A=Dense(jnp.ones((len(system.w), 1), z.dtype)), n=0, penalty=Penalty(none, none))
    null = null._replace(location=none, scale=one)
    return null.logits(newton.solve(null, None, jnp.asarray(4 * jnp.finfo(z.dtype).eps, z.dtype), 60).params)
