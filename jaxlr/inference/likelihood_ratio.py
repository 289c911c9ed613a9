"""The likelihood-ratio test of nested fits.

    LR = 2 (log-likelihood of the larger model - that of the smaller)                      df: free parameters more

chi-square under the smaller model, for many rows (Wilks 1938, Annals of Mathematical Statistics 9).
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inference.over_models import check_given, checked_pair
from jaxlr.inference.rank import num_parameters
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, is_zero
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def likelihood_ratio(
    larger: Fit, smaller: Fit, problem: Problem, *, smaller_problem: Problem | None = None, df: int | Data | None = None
) -> Test:
    """The likelihood-ratio test between nested fits of the same rows, model by model.

    Args:
        larger: fit with all parameters, unpenalized.
        smaller: fit with some of them left out or held at 0, of a batch that broadcasts against the other's.
        problem: data of the larger one.
        smaller_problem: data of the smaller one: it is then checked that this has no penalty and the same rows, and the
            parameters of both are counted as their data determine them. None trusts that it is so.
        df: free parameters left out, an integer >= 1 or an array of them, one a model. None counts them; without a
            smaller_problem by columns, of K classes K - 1 times, where columns depend on others without those held at 0: an
            intercept that is left out is not seen then.

    Returns:
        Test of the broadcast batch; NaN where one of both is not CONVERGED or has as many parameters as the other, and where
        the smaller model fits better than the larger, which it cannot if they are nested. It is the difference of two values,
        each rounded to eps: of float32 fits of N rows it is right to about 1e-7 N.

    Raises:
        ValueError: a penalized problem; the data of another fit; problems of different rows; fits of different likelihoods or
            numbers of classes; df less than 1, or to be counted where coefficients are shared by columns that depend on others.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0]]), np.array([0, 1, 0, 1, 1])
        >>> test = likelihood_ratio(jaxlr.fit(X, y), jaxlr.fit(X[:, :1], y), jaxlr.Problem(X, y))
        >>> test.df, round(float(test.p_value), 3)
        (1, 0.96)

    References:
        Wilks 1938, Annals of Mathematical Statistics 9.
    """
    check_given(larger, problem)
    check_given(smaller, problem if smaller_problem is None else smaller_problem)
    _check_unpenalized(problem)
    if "firth" in (larger.solver, smaller.solver):
        raise ValueError("expected fits of the likelihood itself, got Firth's; use jaxlr.inference.profile_tests")
    if (larger.solver == "conditional") != (smaller.solver == "conditional"):
        raise ValueError(
            f"expected two fits of one likelihood, got one by {larger.solver!r} and one by {smaller.solver!r}; fit both with "
            "jaxlr.fit_conditional, the null model to X[:, :0]"
        )
    kinds = [likelihood_of_params(fit.params) for fit in (larger, smaller)]
    if kinds[0] != kinds[1]:
        named = [f"multinomial with {kind.classes[0]} classes" if kind.classes else "binary" for kind in kinds]
        raise ValueError(
            f"expected two fits of one likelihood, got one {named[0]} and one {named[1]}; fit both with one num_classes"
        )
    checked_pair(larger, problem)
    if smaller_problem is not None:
        _check_same_rows(problem, smaller_problem)
        checked_pair(smaller, smaller_problem)
    more = _left_out(larger, smaller, problem, smaller_problem) if df is None else _checked_df(df)
    if np.all(more < 1):
        least = np.min(more)
        raise ValueError(f"expected the first fit to have more parameters than the second, got df = {least}; swap them")
    return ratio_test(larger, smaller, problem, more)


def _check_unpenalized(problem: Problem) -> None:
    if not ((problem.l1 is None or is_zero(problem.l1)) and is_zero(problem.l2)):
        raise ValueError(
            "expected unpenalized fits for a likelihood ratio, got a problem with l1 or l2 > 0 (or unknown inside jit); fit "
            "both without"
        )


def _check_same_rows(problem: Problem, other: Problem) -> None:
    """Refuse a problem with a penalty, or one that is known to have other labels, weights or offsets."""
    _check_unpenalized(other)
    if np.shape(problem.X)[-2] != np.shape(other.X)[-2]:
        raise ValueError(
            f"expected the same rows in both problems, got {np.shape(problem.X)[-2]} and {np.shape(other.X)[-2]}; fit the same "
            "rows twice"
        )
    if not (problem.strata is None and other.strata is None) and not (problem.strata and problem.strata.same(other.strata)):
        raise ValueError("expected the same strata in both problems, got others; fit the same matched sets twice")
    for name, default in (("y", None), ("sample_weight", 1), ("offset", 0)):
        one, two = (default if getattr(p, name) is None else getattr(p, name) for p in (problem, other))
        if (
            is_concrete(one)
            and is_concrete(two)
            and not np.all(np.equal(*np.broadcast_arrays(np.asarray(one), np.asarray(two))))
        ):
            raise ValueError(f"expected the same {name} in both problems, got others; fit the same rows twice")


def _checked_df(df: Any) -> int | np.ndarray:
    """Degrees of freedom as they were given; ValueError where they are no integers >= 1."""
    if not is_concrete(df) or np.asarray(df).dtype.kind not in "iu" or np.any(np.asarray(df) < 1):
        raise ValueError(
            f"expected df to be an integer >= 1, or an array of them, one a model, got {df!r}; None counts columns"
        )
    return np.asarray(df) if np.ndim(df) else int(df)


def _left_out(larger: Fit, smaller: Fit, problem: Problem, smaller_problem: Problem | None) -> int | np.ndarray:
    """How many parameters the data of the larger fit determine beyond those of the smaller: one number, or one for each model
    where they differ."""
    free = free_logits(likelihood_of_params(larger.params))
    columns = np.shape(larger.params.coef)[-1] - np.shape(smaller.params.coef)[-1]
    determined = num_parameters(larger, problem)
    if smaller_problem is not None:
        of_smaller = num_parameters(smaller, smaller_problem)
        if is_concrete(determined) and is_concrete(of_smaller):
            each = np.nan_to_num(np.asarray(determined) - np.asarray(of_smaller), nan=free * columns).astype(int)
        else:
            return free * (columns + problem.fit_intercept - smaller_problem.fit_intercept)
    elif isinstance(determined, int) or not is_concrete(determined):
        return free * columns
    else:
        whole = free * (np.shape(larger.params.coef)[-1] + problem.fit_intercept)
        lost = whole - np.nan_to_num(np.asarray(determined), nan=whole)
        if np.any(lost != np.where(larger.converged, free * _held(larger), lost)):
            raise ValueError(
                "expected a smaller_problem, or df, where columns of the larger fit share coefficients with those that they "
                "depend on, as in resamples, got neither: their number does not tell what the smaller fit has left out"
            )
        each = (free * columns - lost + np.minimum(free * _held(smaller), lost)).astype(int)
    return int(each.flat[0]) if np.all(each == each.flat[0]) else each


def _held(fit: Fit) -> Any:
    """How many columns have coefficients of exactly 0 (...)."""
    coef = np.asarray(fit.params.coef)
    return np.sum(np.all(coef == 0, axis=tuple(range(np.ndim(fit.status), coef.ndim - 1))), axis=-1)


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


def free_logits(likelihood: Likelihood) -> int:
    """1, or K - 1 of K classes: the free parameters of a column."""
    return math.prod(likelihood.in_contrasts().coordinates)
