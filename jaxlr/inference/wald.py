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

from jaxlr.factors import cholesky, in_own_units, inverse
from jaxlr.inference.models import both, joined, over_models
from jaxlr.inference.tails import log_normal_tails, normal_quantile
from jaxlr.model import Params
from jaxlr.numerics import curvature, residual
from jaxlr.objective import Problem, hessian, problem_logits, row_weights, weight_sum
from jaxlr.preprocessing import column_moments
from jaxlr.result import Fit

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
    """V, computed on centered columns: a column far from 0 would cost it digits."""
    w, total = row_weights(problem), weight_sum(problem)
    X = jnp.asarray(problem.X)
    center = column_moments(X, w)[0] if problem.fit_intercept else jnp.zeros(X.shape[1], X.dtype)
    z = problem_logits(params, problem)
    centered = Problem(
        X - center[None, :], problem.y, problem.sample_weight, z, l2=problem.l2, penalty_factor=problem.penalty_factor,
        fit_intercept=problem.fit_intercept,
    )  # fmt: skip
    H = hessian(Params(jnp.zeros_like(params.coef), jnp.zeros_like(params.intercept)), centered)
    k = H.shape[0]
    fitted = jnp.arange(k) < k - 1 + problem.fit_intercept
    scaled, s = in_own_units(H, jnp.zeros(k, H.dtype), fitted, jnp.zeros((), H.dtype))
    L = cholesky(scaled)
    root = inverse(L) * s[None, :]
    eps, columns = jnp.finfo(H.dtype).eps, jnp.diagonal(H)[:-1]
    raw = jnp.sum((w * curvature(z))[:, None] * X**2, axis=0, where=(w > 0)[:, None])
    independent = jnp.all(columns > (64 * eps) ** 2 * raw) & (jnp.min(jnp.diagonal(L)) ** 2 > 64 * k * eps)
    V = jnp.where(independent, jnp.dot(root.T, root, precision="highest") / total, jnp.nan)
    if kind != "model":
        A = jnp.concatenate([centered.X, jnp.ones((X.shape[0], 1), X.dtype)], axis=1)
        rows = A * (jnp.sqrt(w) * residual(z, problem.y))[:, None]
        half = jnp.dot(rows, V, precision="highest") * jnp.sqrt(total)
        V = jnp.dot(half.T, half, precision="highest")
        V = V * (total / (total - (k - 1 + problem.fit_intercept))) if kind == "HC1" else V
    # The intercept on X is that on the centered columns minus coef . center.
    back = jnp.eye(k, dtype=V.dtype).at[-1, :-1].set(-center)
    return jnp.dot(jnp.dot(back, V, precision="highest"), back.T, precision="highest")


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
