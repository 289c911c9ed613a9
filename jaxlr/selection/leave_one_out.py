"""Cross-validation that holds out one row at a time: every penalty is fitted once, on all rows, and the logits that a row would
have without itself are those of one Newton step (`jaxlr.inference.leave_one_out`).

With `standardize` the columns keep the deviations s of all rows: in units of these, X_j / s_j and s_j coef_j, the penalties are
alike for all columns. With l1 and more columns than rows, columns that are 0 in every model are left out, for held-out models
are taken to have the zeros of the whole one.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxlr.inference.leave_one_out import held_out_logits
from jaxlr.inference.over_models import over_models
from jaxlr.inputs.checks import is_zero
from jaxlr.linalg.dot import aligned
from jaxlr.linalg.moments import column_moments
from jaxlr.metrics.measures import Scores, measures
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, row_weights, summing_to_1
from jaxlr.results.fit import Fit

_MOST_PARAMETERS = 4096  # of a Hessian: 128 MB and some seconds a model


def scores_of_rows(fits: Fit, problem: Problem, names: Sequence[str], standardize: bool) -> tuple[Scores, Scores]:
    """Score the held-out logits of all rows by every model, under the row weights.

    Args:
        fits: on all rows, (*batch).
        problem: X (m, n), y, offset and penalty_factor of all models; sample_weight, l1 and l2 with the batch axes.
        names: of the measures.
        standardize: whether the penalties of the fits are in standard deviations.

    Returns:
        By name the scores (*batch), and their standard errors as means over the rows; NaN where a model is not CONVERGED, its
        Hessian is singular, or the measure is no mean over rows.

    Raises:
        ValueError: l1 lets in too many columns.
    """
    fits, problem = _in_own_units(fits, problem) if standardize else (fits, problem)
    if _leaves_columns_out(problem):
        fits, problem = _with_columns(fits, problem, _used(fits, problem))
        _check_count(problem, likelihood_of_params(fits.params))
    return over_models(_scored, fits, problem, penalized=True, absolute=True, options=(tuple(names),))


def check_size(problem: Problem, likelihood: Likelihood) -> None:
    """Refuse models whose Hessians are too large, as far as that is known before they are fitted; ValueError."""
    m, n = np.shape(problem.X)
    in_span = n > m and is_zero(problem.l1) and problem.penalty_factor is None
    if not in_span and not _leaves_columns_out(problem):
        _check_count(problem, likelihood)


def _check_count(problem: Problem, likelihood: Likelihood) -> None:
    count = np.shape(problem.X)[1] * math.prod(likelihood.classes)
    if count > _MOST_PARAMETERS:
        raise ValueError(
            f'expected at most {_MOST_PARAMETERS} coefficients that are not held at 0 for folds="loo", got {count}: the '
            "Hessian of each model is factored; pass folds=10, or with more columns than rows l2 alone, without penalty_factor"
        )


def _leaves_columns_out(problem: Problem) -> bool:
    m, n = np.shape(problem.X)
    return n > m and bool(np.all(np.asarray(problem.l1) > 0))


def _scored(params: Params | SoftmaxParams, problem: Problem, names: tuple[str, ...], basis: int) -> tuple[Scores, Scores]:
    likelihood, w = likelihood_of_params(params), row_weights(problem)
    z = held_out_logits(params, problem, basis)
    known = ~jnp.any(jnp.isnan(z) & (aligned(w, z) > 0))  # where a logit is NaN, a class is one all the same
    of_name, judged = measures(likelihood), (jnp.asarray(problem.y, z.dtype), z.T, w)
    scores = {name: jnp.where(known, of_name[name].score(*judged), jnp.nan) for name in names}
    return scores, {name: jnp.where(known, of_name[name].error(*judged), jnp.nan) for name in names}


def _in_own_units(fits: Fit, problem: Problem) -> tuple[Fit, Problem]:
    """The same models of columns with deviation 1, and without constant columns, whose coefficients are 0."""
    X = np.asarray(problem.X)
    s = np.ones(len(X)) if problem.sample_weight is None else np.asarray(problem.sample_weight).reshape(-1)
    deviation = column_moments(X, summing_to_1(s.astype(X.dtype)))[1]
    fits, problem = _with_columns(fits, problem, deviation > 0)
    deviation = deviation[deviation > 0]
    params = fits.params._replace(coef=np.asarray(fits.params.coef) * deviation)
    return replace(fits, params=params), replace(problem, X=problem.X / deviation)


def _used(fits: Fit, problem: Problem) -> Bool[np.ndarray, " n"]:
    """Columns with a coefficient in some model, and those that no penalty holds at 0."""
    coef = np.asarray(fits.params.coef)
    used = np.any(coef.reshape(-1, coef.shape[-1]) != 0, axis=0)
    return used if problem.penalty_factor is None else used | (np.asarray(problem.penalty_factor) == 0)


def _with_columns(fits: Fit, problem: Problem, kept: Bool[np.ndarray, " n"]) -> tuple[Fit, Problem]:
    """Models without the other columns, whose coefficients are 0."""
    factor = None if problem.penalty_factor is None else np.asarray(problem.penalty_factor)[kept]
    params = fits.params._replace(coef=np.asarray(fits.params.coef)[..., kept])
    return replace(fits, params=params), replace(problem, X=np.asarray(problem.X)[:, kept], penalty_factor=factor)
