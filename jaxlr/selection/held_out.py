"""Scores of the rows that each fold holds out, for all its models at once.

score[fold, penalty] = metric of the rows that the fold holds out, under their own weights
mean = average over folds        standard_error = sd over folds (1 / (k - 1)) / sqrt(k)

Soft labels are scored as the hard ones they stand for (`jaxlr.metrics.measures.hard`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.lanes import Models
from jaxlr.compilation.program import program
from jaxlr.engine.buckets import filled_rows
from jaxlr.metrics.measures import Scores, hard, measures
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def scores_of_folds(fits: Fit, held_out: Problem, names: tuple[str, ...], soft: bool) -> tuple[Scores, Scores, Scores]:
    """Score the models of each fold.

    Args:
        fits: (k, *grid).
        held_out: X (m, n), y (m,) or soft (m, K), offset, and sample_weight (k, m), 0 for the rows that a fold trains on.
        names: of the measures.
        soft: whether labels are probabilities.

    Returns:
        By name scores (k, *grid), NaN of a model that is not CONVERGED, and over the folds mean and standard error (*grid).
    """
    likelihood = likelihood_of_params(fits.params)
    if soft and isinstance(likelihood, Multinomial):
        likelihood = likelihood._replace(soft=True)
    filled = filled_rows(Models(problem=held_out), fits.status.size, likelihood).problem
    return _scored(fits.params, fits.status, filled, names, soft)


@program("names", "soft")
def _scored(
    params: Params | SoftmaxParams, status: Array, problem: Problem, names: tuple[str, ...], soft: bool
) -> tuple[Scores, Scores, Scores]:
    known = measures(likelihood_of_params(params))

    def of_one(params: Params | SoftmaxParams, status: Array, s: Array) -> Scores:
        y, z = problem.y, logits(params, problem.X, problem.offset)
        if soft:
            y, z, s = hard(y, z, s)
        return {name: jnp.where(status == Status.CONVERGED, known[name].score(y, z, s), jnp.nan) for name in names}

    of_fold = of_one
    for _ in range(status.ndim - 1):
        of_fold = jax.vmap(of_fold, in_axes=(0, 0, None))
    scores = jax.vmap(of_fold)(params, status, problem.sample_weight)
    return scores, *_over_folds(scores)


def _over_folds(scores: Scores) -> tuple[Scores, Scores]:
    """Mean and standard error over the folds, by metric; the error of one fold is NaN."""
    mean = {name: jnp.mean(score, axis=0) for name, score in scores.items()}
    count = len(next(iter(scores.values())))
    if count == 1:
        return mean, {name: jnp.full_like(score, jnp.nan) for name, score in mean.items()}
    return mean, {name: jnp.std(score, axis=0, ddof=1) / count**0.5 for name, score in scores.items()}
