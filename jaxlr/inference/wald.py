"""Covariance of the estimates, standard errors, and Wald's tests and intervals.

    model       V = I^-1,  I = sum_i s_i c_i a_i a_i'                            a = (x, 1)
    HC0         V = I^-1 (sum_i s_i r_i^2 a_i a_i') I^-1                         robust to a wrong model of the variance
    HC1         HC0 times N / (N - k),  N = sum_i s_i, k parameters

Model-based: McCullagh & Nelder, Generalized Linear Models (1989), section 4.4.4; sandwich: White 1982, Econometrica 50,
theorem 3.2; HC1: MacKinnon & White 1985, Journal of Econometrics 29, section 2. A weight k means the row k times.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.over_models import both, joined, over_models, working
from jaxlr.inference.tails import log_normal_tails, normal_quantile
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.model.logistic import curvature, residual
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.model.objective import penalties
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.solvers.working import hessian_of

_KINDS = ("model", "HC0", "HC1")


class Intervals(NamedTuple):
    """Confidence intervals.

    Attributes:
        estimate: Params (...).
        lower: Params (...).
        upper: Params (...).
    """

    estimate: Any
    lower: Any
    upper: Any


class Wald(NamedTuple):
    """Wald's tests of every parameter being 0, and intervals; each field is Params with the batch shape in front.

    Attributes:
        estimate: coefficients and intercept.
        standard_error: of each.
        z: estimate / standard_error.
        p_value: P(|Z| > |z|).
        log_p: its natural logarithm, finite where p_value has underflowed.
        lower: ends of the intervals.
        upper: likewise.
    """

    estimate: Any
    standard_error: Any
    z: Any
    p_value: Any
    log_p: Any
    lower: Any
    upper: Any


def covariance(fit: Fit, problem: Problem, *, kind: str = "model", penalized: bool = False) -> Float[Array, "... k k"]:
    """Estimated covariance of the estimates, of every model of a fit.

    Args:
        fit: by `jaxlr.fit`, `fit_firth` and so on, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        kind: "model", or the sandwich "HC0" or "HC1".
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and V is the covariance of the posterior
            under the prior that l2 stands for (Wood, Generalized Additive Models, 2017, section 6.10).

    Returns:
        (..., n + 1, n + 1), intercept last; 0 in its row and column without an intercept. NaN where a model is not CONVERGED,
        or its columns depend on each other, as far as the dtype can tell.

    Raises:
        ValueError: a penalized fit, unless asked for; an unknown kind; shapes that do not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y)).shape
        (2, 2)

    References:
        McCullagh & Nelder 1989, section 4.4.4; White 1982, theorem 3.2; MacKinnon & White 1985, section 2.
    """
    if kind not in _KINDS:
        raise ValueError(f"expected kind {', '.join(map(repr, _KINDS))}, got {kind!r}")
    return over_models(_covariance, fit, problem, penalized=penalized, options=(kind,))


def _covariance(params: Params, problem: Problem, kind: str) -> Float[Array, "k k"]:
    """V of the working columns, taken to those of X."""
    shared, to_X = working(problem)
    w, total, z = row_weights(problem), weight_sum(problem), problem_logits(params, problem)
    l2 = penalties(problem)[1] / shared.unit**2
    k = shared.A.shape[1]
    H = hessian_of(shared, w * curvature(z)) + jnp.diag(jnp.pad(l2, (0, k - len(l2))))
    half = inverse_root(H) / jnp.sqrt(total)
    if kind != "model":
        rows = shared.A * (jnp.sqrt(w) * residual(z, problem.y))[:, None]
        half = jnp.dot(jnp.dot(rows, half.T, precision="highest"), half, precision="highest") * jnp.sqrt(total)
    half = jnp.dot(half, to_X.T, precision="highest")
    V = jnp.dot(half.T, half, precision="highest") * (total / (total - k) if kind == "HC1" else 1)
    return jnp.pad(V, (0, params.coef.shape[0] + 1 - k))  # no intercept is known to be 0


def standard_errors(fit: Fit, problem: Problem, *, kind: str = "model", penalized: bool = False) -> Params:
    """Standard errors of the estimates, of every model of a fit.

    Args:
        fit: as in `covariance`.
        problem: likewise.
        kind: likewise.
        penalized: likewise.

    Returns:
        Params (...): roots of the diagonal of `covariance`.

    Raises:
        ValueError: as `covariance`.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(standard_errors(jaxlr.fit(X, y), jaxlr.Problem(X, y)).coef[0]), 3)
        1.085

    References:
        McCullagh & Nelder 1989, section 4.4.4.
    """
    V = covariance(fit, problem, kind=kind, penalized=penalized)
    return both(jnp.sqrt(jnp.diagonal(V, axis1=-2, axis2=-1)))


def wald(fit: Fit, problem: Problem, *, level: float = 0.95, kind: str = "model", penalized: bool = False) -> Wald:
    """Wald's test and interval for every parameter of every model.

    Args:
        fit: as in `covariance`.
        problem: likewise.
        level: of the intervals, in (0, 1).
        kind: as in `covariance`.
        penalized: likewise.

    Returns:
        Wald.

    Raises:
        ValueError: as `covariance`; level is not in (0, 1).

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(wald(jaxlr.fit(X, y), jaxlr.Problem(X, y)).p_value.coef[0]), 3)
        0.403

    References:
        Wald 1943, Transactions of the American Mathematical Society 54; McCullagh & Nelder 1989, section 4.4.4.
    """
    reach = normal_quantile(level)
    error = joined(standard_errors(fit, problem, kind=kind, penalized=penalized))
    estimate = joined(fit.params)
    z = jnp.where(error > 0, estimate / jnp.where(error > 0, error, 1), jnp.nan)
    log_p = log_normal_tails(z)
    fields = (estimate, error, z, jnp.exp(log_p), log_p, estimate - reach * error, estimate + reach * error)
    return Wald(*map(both, fields))


def odds_ratios(intervals: Intervals | Wald) -> Intervals:
    """Estimates and intervals as odds ratios, exp(coef): the odds at one more unit of a column, over those before.

    Args:
        intervals: of `wald`, `profile_intervals` or `bootstrap_intervals`.

    Returns:
        Intervals, of the intercept's the odds at 0.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(odds_ratios(wald(jaxlr.fit(X, y), jaxlr.Problem(X, y))).estimate.coef[0]), 3)
        2.48
    """
    ends = (intervals.estimate, intervals.lower, intervals.upper)
    return Intervals(*(both(jnp.exp(joined(end))) for end in ends))
