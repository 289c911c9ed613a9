"""Covariance and standard errors of the estimates, of the kinds that `jaxlr.inference.meat` defines."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.fitted import as_params, check_base, fitted, functionals
from jaxlr.inference.meat import Kind, checked_kind, covariance_of
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inputs.checks import Data
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


def covariance(
    fit: Fit,
    problem: Problem,
    *,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Float[Array, "... p p"]:
    """Estimated covariance of the estimates, of every model of a fit.

    Args:
        fit: by `jaxlr.fit`, `fit_firth` and so on, its batch shape in front. The scores of a robust kind are those of the
            likelihood, Firth's too.
        problem: its data, each field with the batch axes that it had there.
        kind: "model"; the sandwiches "HC0" to "HC3", robust to a wrong form of the model, "HC2" and "HC3" of two classes alone;
            "sampling" for weights of a survey; "cluster" for rows that belong together; "HAC" for rows in order of time. But
            for "sampling" a weight k means the row k times.
        clusters: for "cluster", labels of any kind (m,), or of d ways (m, d).
        lags: for "HAC", L >= 0, how many rows apart errors may depend on each other. A row of weight 0 keeps its place.
        small_sample: whether "sampling", "cluster" and "HAC" have their factors for small samples: m / (m - 1), of G clusters
            G / (G - 1) (N - 1) / (N - k) as in statsmodels, N / (N - k). "clusters" is G / (G - 1) alone, the default of Stata
            and of R's sandwich for a logit, and what weights that are no counts need.
        base: of K classes, the one that all are compared with, as in most tables: the covariance is that of the parameters of
            each class less those of the base. None takes those of the fit, which sum to 0 over the classes.
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and V is the covariance of the posterior
            under the prior that l2 stands for (Wood, Generalized Additive Models, 2017, section 6.10).

    Returns:
        (..., n + 1, n + 1), intercept last; of K classes (..., K (n + 1), K (n + 1)), class by class as in `jaxlr.hessian`; of
        the dtype of the fit. 0 in the rows and columns of the base, and of an intercept that is not fitted. NaN where a model
        is not CONVERGED; for parameters that the data do not determine: those of columns that depend on others before them, as
        in R, and those that share a coefficient with such a column, in a resample; and where a factor or a leverage has no
        meaning: N <= k, one cluster of positive weight, a row of leverage 1 in "HC2" and "HC3". With clusters of several ways V
        may have negative variances where clusters are few (Cameron, Gelbach & Miller 2011, section 2.3): their roots are NaN.

    Raises:
        TypeError: clusters that are known only inside jit.
        ValueError: a penalized fit, unless asked for; the data of another fit; an unknown kind, or clusters, lags or factors
            that it does not go with; missing labels of clusters, or one cluster; lags >= m; base is no class; shapes that do
            not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y)).shape
        (2, 2)
        >>> V = covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y), kind="cluster", clusters=["a", "a", "b", "c"])
        >>> round(float(V[0, 0]), 2)
        0.58

    References:
        White 1982, Econometrica 50, theorem 3.2; the others by kind in `jaxlr/inference/meat.py`.
    """
    return _of_models(_covariance, fit, problem, kind, clusters, lags, small_sample, base, penalized)


def standard_errors(
    fit: Fit,
    problem: Problem,
    *,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Params | SoftmaxParams:
    """Standard errors of the estimates, of every model of a fit.

    Args:
        fit: as in `covariance`.
        problem: its data, as in `covariance`.
        kind, clusters, lags, small_sample, base, penalized: as in `covariance`.

    Returns:
        Params (...), of K classes SoftmaxParams (...): roots of the diagonal of `covariance`, also where their squares have no
        place in the dtype.

    Raises:
        TypeError, ValueError: as `covariance`.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> round(float(standard_errors(jaxlr.fit(X, y), jaxlr.Problem(X, y)).coef[0]), 3)
        1.085

    References:
        McCullagh & Nelder 1989, section 4.4.4.
    """
    return _of_models(_standard_errors, fit, problem, kind, clusters, lags, small_sample, base, penalized)


def _of_models(function: Any, fit: Fit, problem: Problem, *kind_base_penalized: Any) -> Any:
    *asked, base, penalized = kind_base_penalized
    check_given(fit, problem)
    check_base(fit.params, base)
    kind, numbers = checked_kind(fit, problem, *asked)
    return over_models(function, fit, problem, penalized=penalized, options=(kind, base), shared=(numbers,), by_row=kind.by_row)


def _covariance(
    params: Params | SoftmaxParams, problem: Problem, clusters: Array, kind: Kind, base: int | None, basis: int
) -> Float[Array, "p p"]:
    V, unit = _in_units(params, problem, clusters, kind, base, basis)
    return V * unit[:, None] * unit[None, :]


def _standard_errors(
    params: Params | SoftmaxParams, problem: Problem, clusters: Array, kind: Kind, base: int | None, basis: int
) -> Params | SoftmaxParams:
    V, unit = _in_units(params, problem, clusters, kind, base, basis)
    return as_params(jnp.sqrt(jnp.diagonal(V)) * unit, params)


def _in_units(
    params: Params | SoftmaxParams, problem: Problem, clusters: Array, kind: Kind, base: int | None, basis: int
) -> tuple[Float[Array, "p p"], Float[Array, " p"]]:
    """The covariance of the parameters in units in which no square overflows, and these."""
    model = fitted(params, problem, basis)
    C = functionals(model, base)
    size = jnp.max(jnp.abs(C), axis=1, initial=0)
    unit = jnp.where(size > 0, size, 1)  # NaN where a parameter is not determined
    unit = jnp.where(jnp.isnan(size), 1, unit)
    return covariance_of(model, C / unit[:, None], kind, clusters), unit
