"""How well models fit: log-likelihood, deviance, and what is made of them.

    log-likelihood = - sum_i s_i l(z_i, y_i)                 of two classes y log p + (1 - y) log(1 - p), of several log p_label
    deviance       = 2 sum_i s_i KL(y_i || p_i)              -2 log-likelihood where no label is soft
    AIC = -2 log-likelihood + 2 k        BIC = -2 log-likelihood + k log N

with k parameters that the data determine, the rank of the columns for every free class, and N = sum_i s_i rows. The null model
has the offset, and an intercept if the model has one. Of rows that are groups, y_i n_i successes in n_i trials each, s_i / n_i
times,

    log-likelihood = - deviance / 2 + sum_i (s_i / n_i) log dbinom(y_i n_i; n_i, y_i)         N = sum_i s_i / n_i groups
    Pearson        = sum_i s_i (y_i - p_i)^2 / (p_i (1 - p_i))                                df = N - k

The first is the likelihood with its binomial coefficients, as R has it, with nothing large to cancel
(`jaxlr.inference.binomial`). Shares of the null model's likelihood are those of the single trials, the same however these are
grouped: with their number T, l and l_0 the log-likelihoods without coefficients,

    McFadden = 1 - l / l_0     Cox & Snell = 1 - exp(-2 (l - l_0) / T)     Nagelkerke = Cox & Snell / (1 - exp(2 l_0 / T))
    Tjur     = mean p where y = 1 - mean p where y = 0
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inference.binomial import kullback_leibler, log_saturated
from jaxlr.inference.fitted import fitted, prepared
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.trials import checked_trials
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.logistic import sigmoid
from jaxlr.model.multinomial import Multinomial
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
        cox_snell: another; of a linear model it would be R-squared.
        nagelkerke: the same over the most that it can be.
        tjur: coefficient of discrimination, NaN of several classes.
        pearson: the Test of groups on df_residual degrees of freedom, for many trials in each; None without trials, for of
            single rows the statistic has no such distribution (`hosmer_lemeshow` tests these).
    """

    log_likelihood: Any
    null_log_likelihood: Any
    deviance: Any
    null_deviance: Any
    df_residual: Any
    aic: Any
    bic: Any
    mcfadden: Any
    cox_snell: Any
    nagelkerke: Any
    tjur: Any
    pearson: Test | None


def goodness_of_fit(fit: Fit, problem: Problem, *, trials: Data | None = None, penalized: bool = False) -> Goodness:
    """Log-likelihood, deviance, AIC, BIC, pseudo R-squared and Pearson's test of every model.

    Args:
        fit: unpenalized, of two classes or several, its batch shape in front; Firth's too, whose log-likelihood is that without
            the penalty.
        problem: its data, each field with the batch axes that it had there.
        trials: (..., m), where rows are groups with y = successes / trials: the log-likelihoods, AIC, BIC and df are then those
            of R's glm(cbind(successes, failures)). The sample_weight is the trials, or them times the copies of the group, as
            in folds and bootstraps of groups. None takes rows for single trials, a weight k for k of them.
        penalized: whether a fit with l2 > 0 is accepted; k is then still the number of parameters, so that AIC and BIC are
            not what they were made for.

    Returns:
        Goodness; NaN where a model is not CONVERGED.

    Raises:
        TypeError: trials are no real array.
        ValueError: a penalized fit, unless asked for; trials of several classes, that are no whole numbers >= 0, or of which y
            is no share or sample_weight no multiple.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(goodness_of_fit(jaxlr.fit(X, y), jaxlr.Problem(X, y)).deviance), 3)
        4.695
        >>> trials = np.array([10, 10, 10, 10])
        >>> problem = jaxlr.Problem(X, np.array([1, 4, 5, 9]) / trials, sample_weight=trials)
        >>> found = goodness_of_fit(jaxlr.fit(X, problem.y, sample_weight=trials), problem, trials=trials)
        >>> float(found.df_residual), round(float(found.pearson.p_value), 2)
        (2.0, 0.57)

    References:
        McCullagh & Nelder 1989, sections 4.4.3 and 4.4.5; Akaike 1974, IEEE Transactions on Automatic Control 19; Schwarz 1978,
        Annals of Statistics 6; McFadden 1974, in Frontiers in Econometrics, p. 121; Cox & Snell 1989, Analysis of Binary Data,
        p. 208; Nagelkerke 1991, Biometrika 78, eqs. 1 and 3; Tjur 2009, The American Statistician 63, eq. 9.
    """
    check_given(fit, problem)
    grouped = None
    if trials is not None:
        if likelihood_of_params(fit.params).classes:
            raise ValueError(
                "expected no trials for a fit of several classes, whose labels are of single rows, got some; leave them out"
            )
        grouped = _grouped(problem, trials, fit)
    parts = over_models(_goodness_of_fit, fit, problem, penalized=penalized)
    measures, statistic = _measures(parts, grouped)
    pearson = None if trials is None else chi_square_test(statistic, measures["df_residual"])
    return Goodness(**measures, pearson=pearson)


def _grouped(problem: Problem, trials: Data, fit: Fit) -> tuple[Array, Array, Array]:
    """Labels, weights and trials."""
    y = real_array("y", problem.y)
    s = None if problem.sample_weight is None else real_array("sample_weight", problem.sample_weight)
    n = checked_trials(trials, y, s, fit.status.shape)
    dtype = fit.value.dtype
    return jnp.asarray(y, dtype), jnp.asarray(np.ones(y.shape[-1]) if s is None else s, dtype), jnp.asarray(n, dtype)


def _goodness_of_fit(params: Params | SoftmaxParams, problem: Problem, basis: int) -> dict[str, Array]:
    likelihood = likelihood_of_params(params).in_contrasts()
    w, y, z = row_weights(problem), problem.y, problem_logits(params, problem)
    null_z = _null_logits(problem, likelihood)
    losses, null_losses = likelihood.losses(z, y), likelihood.losses(null_z, y)
    found = {
        "total": weight_sum(problem),
        "k": jnp.asarray(fitted(params, problem, basis).num_parameters, w.dtype),
        "loss": jnp.sum(w * losses),
        "null_loss": jnp.sum(w * null_losses),
    }
    nothing = jnp.full((), jnp.nan, w.dtype)
    if isinstance(likelihood, Multinomial):
        least = likelihood.least_losses(y)
        above, null_above = (jnp.sum(w * jnp.maximum(own - least, 0)) for own in (losses, null_losses))
        return found | {"above": above, "null_above": null_above, "tjur": nothing, "pearson": nothing}
    p, r, c = sigmoid(z), likelihood.residual(z, y), likelihood.curvature(z, jnp.ones_like(w)).diagonal()
    means = [jnp.sum(share * p) / jnp.sum(share) for share in (w * y, w * (1 - y))]
    return found | {
        "above": jnp.sum(w * kullback_leibler(z, y)),  # over the saturated model
        "null_above": jnp.sum(w * kullback_leibler(null_z, y)),
        "tjur": means[0] - means[1],
        "pearson": jnp.sum(w * jnp.where(r == 0, 0, r * (r / jnp.where(r == 0, 1, c)))),
    }


@program()
def _measures(parts: dict[str, Array], grouped: tuple[Array, Array, Array] | None) -> tuple[dict[str, Array], Array]:
    """The measures by name, and Pearson's statistic, from the means over the trials."""
    total, k = parts["total"], parts["k"]
    deviance, null_deviance = 2 * total * parts["above"], 2 * total * parts["null_above"]
    if grouped is None:
        rows, loglik, null = total, -total * parts["loss"], -total * parts["null_loss"]
    else:
        y, s, n = jnp.broadcast_arrays(*grouped)
        copies = jnp.where(n > 0, jnp.round(s / jnp.where(n > 0, n, 1)), 0)
        rows = jnp.where(jnp.isnan(total), jnp.nan, jnp.sum(copies, axis=-1))
        saturated = jnp.sum(jnp.where(copies > 0, copies * log_saturated(jnp.round(y * n), n), 0), axis=-1)
        loglik, null = saturated - deviance / 2, saturated - null_deviance / 2
    gained = parts["null_above"] - parts["above"]
    cox_snell = -jnp.expm1(-2 * gained)
    measures = {
        "log_likelihood": loglik,
        "null_log_likelihood": null,
        "deviance": deviance,
        "null_deviance": null_deviance,
        "df_residual": rows - k,
        "aic": 2 * k - 2 * loglik,
        "bic": k * jnp.log(rows) - 2 * loglik,
        "mcfadden": 1 - parts["loss"] / parts["null_loss"],
        "cox_snell": cox_snell,
        "nagelkerke": cox_snell / -jnp.expm1(-2 * parts["null_loss"]),
        "tjur": parts["tjur"],
    }
    return measures, total * parts["pearson"]


def _null_logits(problem: Problem, likelihood: Likelihood) -> Float[Array, "*K m"]:
    """The logits of the null model: from the shares of the classes, unless an offset asks for a fit without columns, or the
    intercept is 0."""
    w, y = row_weights(problem), problem.y
    nothing = jnp.zeros((*likelihood.classes, len(y)), y.dtype)
    if problem.fit_intercept and problem.offset is None:
        logs = jnp.log(likelihood.class_weights(y, w))
        return nothing + (logs[:, None] if likelihood.classes else logs[1] - logs[0])
    z = nothing if problem.offset is None else nothing + problem.offset.T
    if problem.fit_intercept:
        system, _ = prepared(replace(problem, X=problem.X[:, :0], l2=0.0, penalty_factor=None), likelihood, basis=0)
        tol = jnp.sqrt(jnp.finfo(y.dtype).eps)  # its square is what the loss is off by
        z = system.logits(newton.solve(system, None, tol, _NULL_STEPS).params)
    return z
