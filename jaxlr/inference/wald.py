"""Covariance of the estimates, standard errors, and Wald's tests and intervals.

    model       V = I^-1,  I = sum_i s_i W_i (x) a_i a_i'                        a = (x, 1), W_i the curvature of the loss
    HC0         V = I^-1 (sum_i s_i u_i u_i') I^-1,  u_i = r_i (x) a_i           robust to a wrong model of the variance
    HC1         HC0 times N / (N - k),  N = sum_i s_i, k free parameters

with W_i = p (1 - p) and r_i = p - y of two classes, diag(p) - p p' and p - e_label of several. Model-based: McCullagh & Nelder,
Generalized Linear Models (1989), sections 4.4.4 and 5.2.4; sandwich: White 1982, Econometrica 50, theorem 3.2; HC1: MacKinnon &
White 1985, Journal of Econometrics 29, section 2. A weight k means the row k times.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inference.fitted import as_params, check_base, estimates, fitted, functionals, mean_information
from jaxlr.inference.over_models import over_models
from jaxlr.inference.tails import log_normal_tails, normal_quantile
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit

_KINDS = ("model", "HC0", "HC1")


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
            base of several classes, and an intercept that is not fitted.
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


def covariance(
    fit: Fit, problem: Problem, *, kind: str = "model", base: int | None = 0, penalized: bool = False
) -> Float[Array, "... p p"]:
    """Estimated covariance of the estimates, of every model of a fit.

    Args:
        fit: by `jaxlr.fit`, `fit_firth` and so on, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        kind: "model", or the sandwich "HC0" or "HC1".
        base: of K classes, the one that all are compared with, as in most tables: the covariance is that of the parameters of
            each class less those of the base. None takes those of the fit, which sum to 0 over the classes.
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and V is the covariance of the posterior
            under the prior that l2 stands for (Wood, Generalized Additive Models, 2017, section 6.10).

    Returns:
        (..., n + 1, n + 1), intercept last; of K classes (..., K (n + 1), K (n + 1)), class by class as in `jaxlr.hessian`. 0
        in the rows and columns of the base, and of an intercept that is not fitted. NaN where a model is not CONVERGED, or its
        columns depend on each other, as far as the dtype can tell.

    Raises:
        ValueError: a penalized fit, unless asked for; the data of another fit; an unknown kind; base is no class; shapes that
            do not fit.

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
    check_base(fit.params, base)
    return over_models(_covariance, fit, problem, penalized=penalized, options=(kind, base))


def _covariance(params: Params | SoftmaxParams, problem: Problem, kind: str, base: int | None) -> Float[Array, "p p"]:
    """V of x, taken to the parameters on X."""
    model = fitted(params, problem)
    system, likelihood = model.system, model.system.likelihood
    root = inverse_root(mean_information(system, model.z)) / jnp.sqrt(system.total)
    half = dot(root, functionals(model, base).T)
    if kind != "model":  # the scores u_i, times root and half
        r = likelihood.reduce(likelihood.residual(model.z, system.y))
        moved = system.A.times(root.reshape(-1, *model.x.shape)) * (aligned(jnp.sqrt(system.w), r) * r)[None]
        half = dot(jnp.sum(moved, axis=tuple(range(1, r.ndim))).T, half) * jnp.sqrt(system.total)
    V = dot(half.T, half)
    return V * (system.total / (system.total - model.num_parameters)) if kind == "HC1" else V


def standard_errors(
    fit: Fit, problem: Problem, *, kind: str = "model", base: int | None = 0, penalized: bool = False
) -> Params | SoftmaxParams:
    """Standard errors of the estimates, of every model of a fit.

    Args:
        fit: as in `covariance`.
        problem: its data, as in `covariance`.
        kind: as in `covariance`.
        base: as in `covariance`.
        penalized: as in `covariance`.

    Returns:
        Params (...), of K classes SoftmaxParams (...): roots of the diagonal of `covariance`.

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
    return _errors(V, fit.params)


@program()
def _errors(V: Float[Array, "... p p"], params: Params | SoftmaxParams) -> Params | SoftmaxParams:
    return as_params(jnp.sqrt(jnp.diagonal(V, axis1=-2, axis2=-1)), params)


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
        problem: its data, as in `covariance`.
        level: of the intervals, in (0, 1).
        kind: as in `covariance`.
        base: as in `covariance`; estimates are those of a class less those of the base.
        penalized: as in `covariance`.

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
    return _wald(covariance(fit, problem, kind=kind, base=base, penalized=penalized), fit.params, reach, base)


@program("base")
def _wald(V: Float[Array, "... p p"], params: Params | SoftmaxParams, reach: ArrayLike, base: int | None) -> Wald:
    estimate = estimates(params, base)
    error = jnp.sqrt(jnp.diagonal(V, axis1=-2, axis2=-1)).reshape(estimate.shape)
    error = jnp.where(error > 0, error, jnp.nan)
    z = estimate / error
    log_p = log_normal_tails(z)
    fields = (estimate, error, z, jnp.exp(log_p), log_p, estimate - reach * error, estimate + reach * error)
    return Wald(*(as_params(field, params) for field in fields))


def odds_ratios(intervals: Intervals | Wald) -> Intervals:
    """Estimates and intervals as odds ratios, exp(coef): the odds at one more unit of a column, over those before.

    Of several classes they are relative risk ratios: the odds of a class against the base.

    Args:
        intervals: of `wald`, `profile_intervals` or `bootstrap_intervals`.

    Returns:
        Intervals, of the intercept's the odds at 0.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(odds_ratios(wald(jaxlr.fit(X, y), jaxlr.Problem(X, y))).estimate.coef[0]), 3)
        2.48

    References:
        Agresti, Categorical Data Analysis (2002), sections 5.1.1 and 7.1.1.
    """
    return _exponentials(Intervals(intervals.estimate, intervals.lower, intervals.upper))


@program()
def _exponentials(intervals: Intervals) -> Intervals:
    return jax.tree.map(jnp.exp, intervals)
