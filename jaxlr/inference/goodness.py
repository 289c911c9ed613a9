"""How well models fit: log-likelihood, deviance, and what is made of them.

    log-likelihood = sum_i s_i (y_i log p_i + (1 - y_i) log(1 - p_i))           binomial coefficients left out
    deviance       = 2 sum_i s_i KL(y_i || p_i)                                  -2 log-likelihood where labels are 0/1
    AIC = -2 log-likelihood + 2 k        BIC = -2 log-likelihood + k log N       McFadden's R^2 = 1 - log-likelihood / null

with k parameters and N = sum_i s_i rows. The null model has the offset, and an intercept if the model has one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.inference.over_models import over_models
from jaxlr.model.logistic import curvature, logistic_loss, residual
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit


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


def _goodness_of_fit(params: Params, problem: Problem) -> tuple[Array, ...]:
    w, y, total = row_weights(problem), problem.y, weight_sum(problem)
    k = params.coef.shape[0] + problem.fit_intercept
    loglik = -total * jnp.sum(w * logistic_loss(problem_logits(params, problem), y))
    null = -total * jnp.sum(w * logistic_loss(_null_logits(problem), y))
    entropy = lambda p: jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0)  # noqa: E731
    saturated = total * jnp.sum(w * (entropy(y) + entropy(1 - y)))
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


def _null_logits(problem: Problem) -> Array:
    """The offset and the intercept at which the residuals sum to 0: Newton's method in one number, log-damped."""
    w, y = row_weights(problem), problem.y
    offset = jnp.zeros_like(y) if problem.offset is None else problem.offset
    if not problem.fit_intercept:
        return offset
    share = jnp.sum(w * y)
    start = jnp.log(share) - jnp.log1p(-share) - jnp.sum(w * offset)

    def step(_: Array, intercept: Array) -> Array:
        z = intercept + offset
        newton = -jnp.sum(w * residual(z, y)) / jnp.sum(w * curvature(z))
        return intercept + jnp.sign(newton) * jnp.minimum(jnp.abs(newton), jnp.log1p(jnp.abs(newton)) + 1e-3)

    return jax.lax.fori_loop(0, 60, step, start) + offset
