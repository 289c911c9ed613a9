"""How well models fit: log-likelihood, deviance, and what is made of them.

    log-likelihood = - sum_i s_i l(z_i, y_i)                 of two classes y log p + (1 - y) log(1 - p), of several log p_label
    deviance       = 2 sum_i s_i KL(y_i || p_i)              -2 log-likelihood where labels are 0/1, or those of several classes
    AIC = -2 log-likelihood + 2 k        BIC = -2 log-likelihood + k log N       McFadden's R^2 = 1 - log-likelihood / null

with k parameters that the data determine, the rank of the columns for every free class, and N = sum_i s_i rows; binomial
coefficients are left out. The null model has the offset, and an intercept if the model has one.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.fitted import fitted, prepared
from jaxlr.inference.over_models import over_models
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.results.fit import Fit
from jaxlr.solvers import newton

_NULL_STEPS = 200


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
        mcfadden: share of the null model's log-likelihood that the model explains, a pseudo R-squared.
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
        fit: unpenalized, of two classes or several, its batch shape in front; Firth's too, whose log-likelihood is that without
            the penalty.
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


def _goodness_of_fit(params: Params | SoftmaxParams, problem: Problem, basis: int) -> tuple[Array, ...]:
    likelihood = likelihood_of_params(params).in_contrasts()
    w, total, z = row_weights(problem), weight_sum(problem), problem_logits(params, problem)
    k = fitted(params, problem, basis).num_parameters
    loglik = -total * jnp.sum(w * likelihood.losses(z, problem.y))
    null = -total * _null_loss(problem, likelihood)
    saturated = -total * jnp.sum(w * likelihood.least_losses(problem.y))
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


def _null_loss(problem: Problem, likelihood: Likelihood) -> Float[Array, ""]:
    """The mean loss of the null model: the entropy of the shares of the classes, unless an offset asks for a fit without
    columns, or the intercept is 0."""
    w, y = row_weights(problem), problem.y
    if problem.fit_intercept and problem.offset is None:
        share = likelihood.class_weights(y, w)
        return -jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.where(share > 0, share, 1)), 0))
    z = jnp.zeros((*likelihood.classes, len(y)), y.dtype)
    z = z if problem.offset is None else z + problem.offset.T
    if problem.fit_intercept:
        system, _ = prepared(replace(problem, X=problem.X[:, :0], l2=0.0, penalty_factor=None), likelihood, basis=0)
        tol = jnp.sqrt(jnp.finfo(y.dtype).eps)  # its square is what the loss is off by
        z = system.logits(newton.solve(system, None, tol, _NULL_STEPS).params)
    return jnp.sum(w * likelihood.losses(z, y))
