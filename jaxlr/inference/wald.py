"""Covariance of the estimates, standard errors, and Wald's tests and intervals.

    model       V = I^-1,  I = sum_i s_i c_i a_i a_i'                            a = (x, 1)
    HC0         V = I^-1 (sum_i s_i u_i u_i') I^-1,  u_i = r_i a_i               robust to a wrong model of the variance
    HC1         HC0 times N / (N - k),  N = sum_i s_i, k parameters

Model-based: McCullagh & Nelder, Generalized Linear Models (1989), section 4.4.4; sandwich: White 1982, Econometrica 50,
theorem 3.2; HC1: MacKinnon & White 1985, Journal of Econometrics 29, section 2. A weight k means the row k times.

Of K classes c is the matrix diag(p) - p p', r the residuals of the classes, and V is that of a class less the base, the
parametrization of most tables, in which the base has coefficients 0 (Agresti, Categorical Data Analysis, 2002, section 7.1).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.over_models import check_base, estimate_of, joined, less_base, over_models, parameters_of
from jaxlr.inference.tails import log_normal_tails, normal_quantile
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import dot
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit

_KINDS = ("model", "HC0", "HC1")


class Intervals(NamedTuple):
    """Confidence intervals.

    Attributes:
        estimate: parameters (...).
        lower: parameters (...).
        upper: parameters (...).
    """

    estimate: Any
    lower: Any
    upper: Any


class Wald(NamedTuple):
    """Wald's tests of every parameter being 0, and intervals; each field is Params or SoftmaxParams, its batch shape in front.

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


def covariance(
    fit: Fit, problem: Problem, *, kind: str = "model", base: int | None = 0, penalized: bool = False
) -> Float[Array, "... p p"]:
    """Estimated covariance of the estimates, of every model of a fit.

    Args:
        fit: by `jaxlr.fit`, `fit_firth` and so on, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        kind: "model", or the sandwich "HC0" or "HC1".
        base: of K classes the one that all are compared with, which has no covariance (0); None keeps the parameters of the
            fit, which sum to 0 over the classes.
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and V is the covariance of the posterior
            under the prior that l2 stands for (Wood, Generalized Additive Models, 2017, section 6.10).

    Returns:
        (..., n + 1, n + 1), intercept last; of K classes (..., K (n + 1), K (n + 1)), class by class. 0 in the rows and columns
        of what is known, an intercept that is not fitted or a base. NaN where a model is not CONVERGED, or its columns depend
        on each other, as far as the dtype can tell.

    Raises:
        ValueError: a penalized fit, unless asked for; an unknown kind; no class for a base; shapes that do not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y)).shape
        (2, 2)

    References:
        McCullagh & Nelder 1989, sections 4.4.4 and 5.2.4; White 1982, theorem 3.2; MacKinnon & White 1985, section 2.
    """
    if kind not in _KINDS:
        raise ValueError(f"expected kind {', '.join(map(repr, _KINDS))}, got {kind!r}")
    check_base(base, fit.params)
    return over_models(_covariance, fit, problem, penalized=penalized, options=(kind, base))


def _covariance(params: Params | SoftmaxParams, problem: Problem, kind: str, base: int | None) -> Float[Array, "p p"]:
    """V of the working columns, taken to those of X."""
    estimate = estimate_of(params, problem, base)
    system, H = estimate.system, estimate.hessian
    half = inverse_root(H) / jnp.sqrt(system.total)
    if kind != "model":
        r = system.likelihood.reduce(system.likelihood.residual(estimate.z, system.y)).reshape(-1, len(system.w))
        scores = jnp.einsum("bi,ik->ibk", jnp.sqrt(system.w)[None, :] * r, system.A.array).reshape(len(system.w), -1)
        half = dot(dot(scores, half.T), half) * jnp.sqrt(system.total)
    half = estimate.on_X(half).reshape(len(half), -1)
    return dot(half.T, half) * (system.total / (system.total - len(H)) if kind == "HC1" else 1)


def standard_errors(
    fit: Fit, problem: Problem, *, kind: str = "model", base: int | None = 0, penalized: bool = False
) -> Params | SoftmaxParams:
    """Standard errors of the estimates, of every model of a fit.

    Args:
        fit: as in `covariance`.
        problem: likewise.
        kind: likewise.
        base: likewise.
        penalized: likewise.

    Returns:
        Params or SoftmaxParams (...): roots of the diagonal of `covariance`.

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
    V = covariance(fit, problem, kind=kind, base=base, penalized=penalized)
    errors = jnp.sqrt(jnp.diagonal(V, axis1=-2, axis2=-1))
    return parameters_of(errors.reshape(joined(fit.params).shape), fit.params)


def wald(
    fit: Fit,
    problem: Problem,
    *,
    level: float = 0.95,
    kind: str = "model",
    base: int | None = 0,
    penalized: bool = False,
) -> Wald:
    """Wald's test and interval for every parameter of every model.

    Args:
        fit: as in `covariance`.
        problem: likewise.
        level: of the intervals, in (0, 1).
        kind: as in `covariance`.
        base: likewise: the estimates of K classes are those of a class less the base, whose own are 0 and have no test (NaN).
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
        >>> X, labels = np.array([[0.0], [1], [2], [3], [4], [5], [2], [3]]), np.array([0, 0, 1, 2, 1, 2, 2, 0])
        >>> tests = wald(jaxlr.fit(X, labels, num_classes=3), jaxlr.Problem(X, labels))
        >>> tests.standard_error.coef.round(2).tolist()
        [[0.0], [0.98], [0.99]]

    References:
        Wald 1943, Transactions of the American Mathematical Society 54; McCullagh & Nelder 1989, section 4.4.4.
    """
    reach = normal_quantile(level)
    error = joined(standard_errors(fit, problem, kind=kind, base=base, penalized=penalized))
    estimate = less_base(joined(fit.params), fit.params, base)
    z = jnp.where(error > 0, estimate / jnp.where(error > 0, error, 1), jnp.nan)
    log_p = log_normal_tails(z)
    fields = (estimate, error, z, jnp.exp(log_p), log_p, estimate - reach * error, estimate + reach * error)
    return Wald(*(parameters_of(field, fit.params) for field in fields))


def odds_ratios(intervals: Intervals | Wald) -> Intervals:
    """Estimates and intervals as odds ratios, exp(coef): the odds at one more unit of a column, over those before; of a class
    less a base the relative risk ratios.

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
    return Intervals(*(parameters_of(jnp.exp(joined(end)), end) for end in ends))
