"""Tests between models: the likelihood ratio of nested fits, and the score test of columns that were not fitted.

    LR = 2 (log-likelihood of the larger model - that of the smaller)                      df: free parameters more
    S = u' V^-1 u,  u = sum_i s_i x_i r_i,  V = sum_i s_i x_i^2 W_i - C I^-1 C'               df: free logits

with r, W (the curvature of the losses) and the information I those of the fit without the column x, C what x shares with the
columns that were fitted; of K classes r and W are in contrasts, of K - 1 logits. Both are chi-square under the smaller model,
for many rows (Wilks 1938, Annals of Mathematical Statistics 9; Rao 1948, Proceedings of the Cambridge Philosophical Society 44,
eq. 2.3). The score test needs no fit with the column: a scan of many columns is three matrix products.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from jaxlr.batching.loops import in_groups, loop
from jaxlr.compilation.program import program
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.fitted import fitted
from jaxlr.inference.over_models import checked_pair, over_models
from jaxlr.inference.rank import num_parameters
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, is_zero, real_array
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.system import mean_information


def likelihood_ratio(larger: Fit, smaller: Fit, problem: Problem, *, df: int | Data | None = None) -> Test:
    """The likelihood-ratio test between nested fits of the same rows, model by model.

    Args:
        larger: fit with all parameters, unpenalized.
        smaller: fit with some of them left out or held at 0, of a batch that broadcasts against the other's.
        problem: data of the larger one.
        df: free parameters left out, an integer >= 1 or an array of them, one a model; None is the difference in columns, of K
            classes K - 1 times it, where columns depend on others that of the ranks. Pass it where an intercept is left out.

    Returns:
        Test of the broadcast batch; NaN where one of both is not CONVERGED, or where the smaller model fits better than the
        larger, which it cannot if they are nested. It is the difference of two values, each rounded to eps: of float32 fits
        of N rows it is right to about 1e-7 N.

    Raises:
        ValueError: a penalized problem; the data of another fit than the larger; fits of different likelihoods or numbers of
            classes; df less than 1.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0]]), np.array([0, 1, 0, 1, 1])
        >>> test = likelihood_ratio(jaxlr.fit(X, y), jaxlr.fit(X[:, :1], y), jaxlr.Problem(X, y))
        >>> test.df, round(float(test.p_value), 3)
        (1, 0.96)

    References:
        Wilks 1938, Annals of Mathematical Statistics 9.
    """
    if not ((problem.l1 is None or is_zero(problem.l1)) and is_zero(problem.l2)):
        raise ValueError(
            "expected unpenalized fits for a likelihood ratio, got a problem with l1 or l2 > 0 (or unknown inside jit)"
        )
    if "firth" in (larger.solver, smaller.solver):
        raise ValueError("expected fits of the likelihood itself, got Firth's; use jaxlr.inference.profile_tests")
    kinds = [likelihood_of_params(fit.params) for fit in (larger, smaller)]
    if kinds[0] != kinds[1]:
        named = [f"multinomial with {kind.classes[0]} classes" if kind.classes else "binary" for kind in kinds]
        raise ValueError(f"expected two fits of one likelihood, got one {named[0]} and one {named[1]}")
    checked_pair(larger, problem)
    more = _left_out(larger, smaller, problem) if df is None else _checked_df(df)
    if np.any(more < 1):
        least = np.min(more)
        raise ValueError(f"expected the first fit to have more parameters than the second, got df = {least}; swap them")
    return ratio_test(larger, smaller, problem, more)


def _checked_df(df: Any) -> int | np.ndarray:
    """Degrees of freedom as they were given; ValueError where they are no integers >= 1."""
    if not is_concrete(df) or np.asarray(df).dtype.kind not in "iu" or np.any(np.asarray(df) < 1):
        raise ValueError(
            f"expected df to be an integer >= 1, or an array of them, one a model, got {df!r}; None counts columns"
        )
    return np.asarray(df) if np.ndim(df) else int(df)


def _left_out(larger: Fit, smaller: Fit, problem: Problem) -> int | np.ndarray:
    """How many parameters the data of the larger fit determine beyond those of the smaller: one number, or one for each model
    where they differ. Where columns of the larger depend on others, coefficients of the smaller that are exactly 0 are those of
    such columns; inside jit none is taken to."""
    free = _free_logits(likelihood_of_params(larger.params))
    more = free * (np.shape(larger.params.coef)[-1] - np.shape(smaller.params.coef)[-1])
    determined = num_parameters(larger, problem)
    if isinstance(determined, int) or not is_concrete(determined):
        return more
    whole = free * (np.shape(larger.params.coef)[-1] + problem.fit_intercept)
    lost = whole - np.nan_to_num(np.asarray(determined), nan=whole)
    coef = np.asarray(smaller.params.coef)
    held = free * np.sum(np.all(coef == 0, axis=tuple(range(np.ndim(smaller.status), coef.ndim - 1))), axis=-1)
    each = (more - lost + np.minimum(held, lost)).astype(int)
    return int(each.flat[0]) if np.all(each == each.flat[0]) else each


def ratio_test(larger: Fit, smaller: Fit, problem: Problem, df: int | np.ndarray) -> Test:
    """The likelihood-ratio test of fits that are known to be nested, of the rows of a problem."""
    of_larger, of_smaller = (larger.value, larger.status), (smaller.value, smaller.status)
    return chi_square_test(_ratio(of_larger, of_smaller, np.shape(problem.X)[-2], problem.sample_weight), df)


@program()
def _ratio(larger: tuple[Array, Array], smaller: tuple[Array, Array], m: ArrayLike, sample_weight: Any) -> Float[Array, "..."]:
    """2 N times the difference of the values; NaN where one is not CONVERGED, or the smaller model fits better."""
    (least, status), (value, other_status) = larger, smaller
    total = m if sample_weight is None else jnp.sum(jnp.asarray(sample_weight, least.dtype), axis=-1)
    statistic = 2 * total * (value - least)
    possible = statistic >= -1e3 * jnp.finfo(least.dtype).eps * total
    both = possible & (status == Status.CONVERGED) & (other_status == Status.CONVERGED)
    return jnp.where(both, statistic, jnp.nan).astype(least.dtype)


def _free_logits(likelihood: Likelihood) -> int:
    """1, or K - 1 of K classes: the free parameters of a column."""
    return math.prod(likelihood.in_contrasts().coordinates)


def score_test(fit: Fit, problem: Problem, columns: Data) -> Test:
    """Test columns that a fit does not have, each alone, without fitting them.

    Args:
        fit: of the other columns, unpenalized, a batch or one.
        problem: its data.
        columns: (k, m), each tested alone beside all of X.

    Returns:
        Test (..., k), df = 1, of K classes K - 1; NaN where the model is not CONVERGED, or where a column is a combination of
        those of X.

    Raises:
        TypeError, ValueError: columns are not real (k, m); as `covariance`.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3], [4]]), np.array([0, 1, 0, 1, 1])
        >>> columns = np.array([[1, 0, 0, 1, 0], [0, 2, 1, 0, 0]])
        >>> score_test(jaxlr.fit(X, y), jaxlr.Problem(X, y), columns).p_value.shape
        (2,)

    References:
        Rao 1948, Proceedings of the Cambridge Philosophical Society 44; Hosmer, Lemeshow & Sturdivant, Applied Logistic
        Regression (2013), section 1.3.
    """
    given = real_array("columns", columns)
    m = np.shape(problem.X)[-2]
    if given.ndim != 2 or given.shape[1] != m:
        hint = "; the axes look transposed, pass columns.T" if given.ndim == 2 and given.shape[0] == m else ""
        raise ValueError(f"expected columns (k, {m}), one test each, got shape {given.shape}{hint}")
    inputs = over_models(_score_test, fit, problem)
    likelihood = likelihood_of_params(fit.params).in_contrasts()
    statistics = _statistics(given, inputs, likelihood, bool(problem.fit_intercept), np.shape(fit.status))
    return chi_square_test(statistics, _free_logits(likelihood))


def _score_test(params: Params | SoftmaxParams, problem: Problem, basis: int) -> tuple[Array, Array, Array, Array]:
    """What the statistics of all columns need of a model: w, s r (*B, m), the pairs of s W, and s W A I^-1/2 (p, *B, m)."""
    model = fitted(params, problem, basis)
    system, likelihood = model.system, model.system.likelihood
    s = system.total * system.w
    r, curvature = likelihood.residual(model.z, system.y), likelihood.curvature(model.z, s)
    root = inverse_root(system.total * mean_information(system, model.z), model.free.reshape(-1)).reshape(-1, *model.x.shape)
    spanned = jax.vmap(lambda x: likelihood.reduce(curvature.times(likelihood.expand(system.A.times(x)))))(root)
    return system.w, likelihood.reduce(aligned(s, r) * r), curvature.pairs(), spanned


@program("likelihood", "fit_intercept", "batch")
def _statistics(
    columns: Num[Array, "k m"],
    inputs: tuple[Array, Array, Array, Array],
    likelihood: Likelihood,
    fit_intercept: bool,
    batch: tuple[int, ...],
) -> Float[Array, "*batch k"]:
    """u' V^-1 u. A basis whose columns are orthonormal in the information makes C I^-1 C' a sum of squares."""
    columns = jnp.asarray(columns, inputs[0].dtype)
    m = columns.shape[1]  # behind them are rows that fill up a bucket
    inputs = jax.tree.map(lambda part: part[..., :m].reshape(-1, *part.shape[len(batch) : -1], m), inputs)

    def of_group(x: Float[Array, "g m"]) -> Float[Array, "g models"]:
        def of_model(w: Array, slopes: Array, pairs: Array, basis: Array) -> Float[Array, " g"]:
            own = jnp.where(w > 0, x, 0)  # what stands in rows without weight does not count
            if fit_intercept:  # keeps the digits of columns far from 0
                own = jnp.where(w > 0, own - dot(own, w)[:, None], 0)
            sums = dot(slopes, own.T), dot(pairs, (own**2).T), dot(basis, own.T)
            return jax.vmap(lambda u, V, along: _quadratic_form(u, V, along, likelihood), in_axes=-1)(*sums)

        return loop(of_model, in_axes=(0,) * len(inputs))(*inputs).T

    statistics = jnp.moveaxis(in_groups(of_group, columns, models_side_by_side(m)), 0, -1)
    return statistics.reshape(*batch, -1)


def _quadratic_form(
    u: Float[Array, "*B"], pairs: Float[Array, "*P"], along: Float[Array, "p *B"], likelihood: Likelihood
) -> Float[Array, ""]:
    """u' V^-1 u of one column, V in units of its diagonal before the projection; NaN where rounding is all that is left of the
    column. Elimination of [V u; u' 0] leaves -u' V^-1 u."""
    squares, along = likelihood.assemble(pairs[..., None, None]), along.reshape(len(along), -1)
    size, unit = len(squares), jnp.sqrt(jnp.diagonal(squares))
    V = (squares - dot(along.T, along)) / (unit[:, None] * unit[None, :])
    u = (u.reshape(-1) / unit)[:, None]
    bordered = jnp.block([[V, u], [u.T, jnp.zeros((1, 1), V.dtype)]])

    def eliminate(j: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, least = state
        pivot = rest[j, j]
        return rest - rest[:, j][:, None] * (rest[j] / pivot)[None, :], jnp.minimum(least, pivot)

    left, least = jax.lax.fori_loop(0, size, eliminate, (bordered, jnp.full((), jnp.inf, V.dtype)))
    return jnp.where(least > jnp.finfo(V.dtype).eps ** 0.75, -left[size, size], jnp.nan)
