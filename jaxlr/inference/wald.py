"""Wald's tests and intervals, of the covariance V of the estimates.

z = estimate / sqrt(V_jj)        p = P(|Z| > |z|)        estimate -+ quantile sqrt(V_jj)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxlr.compilation.program import program
from jaxlr.inference.covariance import standard_errors
from jaxlr.inference.delta import effects
from jaxlr.inference.fitted import as_params, estimates, joined
from jaxlr.inference.tails import normal_quantile
from jaxlr.inputs.checks import Data
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


class Intervals(NamedTuple):
    """Confidence intervals.

    Attributes:
        estimate: Params (...), or SoftmaxParams (...).
        lower: of the same kind.
        upper: of the same kind.
    """

    estimate: Any
    lower: Any
    upper: Any


class Wald(NamedTuple):
    """Wald's tests of every parameter being 0, and intervals; each field is Params or SoftmaxParams, the batch shape in front.

    Attributes:
        estimate: coefficients and intercept.
        standard_error: of each; NaN, as all that follows from it, where the estimate is 0 by definition and has no error: the
            base of several classes, and an intercept that is not fitted; and where `covariance` is NaN.
        z: estimate / standard_error.
        p_value: P(|Z| > |z|).
        log_p: its natural logarithm, finite where p_value has underflowed.
        lower: ends of the intervals.
        upper: ends of the intervals.
    """

    estimate: Any
    standard_error: Any
    z: Any
    p_value: Any
    log_p: Any
    lower: Any
    upper: Any


def wald(
    fit: Fit,
    problem: Problem,
    *,
    level: float = 0.95,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Wald:
    """Wald's test and interval for every parameter of every model.

    Args:
        fit: as in `covariance`.
        problem: its data, as in `covariance`.
        level: of the intervals, in (0, 1).
        kind, clusters, lags, small_sample, penalized: as in `covariance`.
        base: as in `covariance`; estimates are those of a class less those of the base.

    Returns:
        Wald.

    Raises:
        ValueError: as `covariance`; level is not in (0, 1).

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(wald(jaxlr.fit(X, y), jaxlr.Problem(X, y)).p_value.coef[0]), 3)
        0.403
        >>> X, labels = np.array([[0], [1], [2], [3], [4], [5], [2], [3]]), np.array([0, 0, 1, 2, 1, 2, 2, 0])
        >>> tests = wald(jaxlr.fit(X, labels, num_classes=3), jaxlr.Problem(X, labels))
        >>> np.asarray(tests.standard_error.coef, float).round(2).tolist()
        [[nan], [0.98], [0.99]]

    References:
        Wald 1943, Transactions of the American Mathematical Society 54; McCullagh & Nelder 1989, section 4.4.4; Agresti,
        Categorical Data Analysis (2002), section 7.1 (baseline-category logits).
    """
    reach = normal_quantile(level)
    errors = standard_errors(
        fit, problem, kind=kind, clusters=clusters, lags=lags, small_sample=small_sample, base=base, penalized=penalized
    )
    return _wald(errors, fit.params, reach, base)


@program("base")
def _wald(errors: Params | SoftmaxParams, params: Params | SoftmaxParams, reach: ArrayLike, base: int | None) -> Wald:
    estimate, error = estimates(params, base), joined(errors)
    found = effects(estimate, jnp.where(error > 0, error, jnp.nan), reach)
    return Wald(*(as_params(field, params) for field in found))


def odds_ratios(intervals: Intervals | Wald) -> Intervals:
    """Estimates and intervals as odds ratios, exp(coef): the odds at one more unit of a column, over those before.

    Of several classes they are relative risk ratios: the odds of a class against the base.

    Args:
        intervals: of `wald`, `profile_intervals` or `bootstrap_intervals`.

    Returns:
        Intervals, of the intercept's the odds at 0.

    Raises:
        TypeError: they are none.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(odds_ratios(wald(jaxlr.fit(X, y), jaxlr.Problem(X, y))).estimate.coef[0]), 3)
        2.48

    References:
        Agresti, Categorical Data Analysis (2002), sections 5.1.1 and 7.1.1.
    """
    if not isinstance(intervals, (Intervals, Wald)):
        raise TypeError(f"expected intervals as of jaxlr.inference.wald, got {type(intervals).__name__}; pass those of a fit")
    return _exponentials(Intervals(intervals.estimate, intervals.lower, intervals.upper))


@program()
def _exponentials(intervals: Intervals) -> Intervals:
    return jax.tree.map(jnp.exp, intervals)
