"""Wald's joint test of linear hypotheses, R b = r, of the covariance V of the estimates b.

chi^2 = (R b - r)' (R V R')^-1 (R b - r)        of rank(R) degrees of freedom
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inference.fitted import check_base, fitted, functionals
from jaxlr.inference.meat import Kind, checked_kind, covariance_along, errors_of
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, real_array
from jaxlr.linalg.cholesky import cholesky, solve
from jaxlr.linalg.dot import dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


def wald_test(
    fit: Fit,
    problem: Problem,
    R: Data,
    r: Data = 0.0,
    *,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Test:
    """The joint test of linear hypotheses, R params = r.

    Args:
        fit: as in `covariance`.
        problem: its data, as in `covariance`.
        R: (q, n + 1), finite and known outside jit, one hypothesis a row and the intercept last; of K classes (q, K (n + 1)),
            class by class. Rows that depend on others are refused; what tests parameters that are 0 by definition is NaN.
        r: (q,) or one number.
        kind, clusters, lags, small_sample, base, penalized: as in `covariance`.

    Returns:
        Test (...), df = q; NaN where a model is not CONVERGED, and where the covariance of the hypotheses is singular or none
        at all: as a rule, of fewer clusters than hypotheses.

    Raises:
        ValueError: as `covariance`; R is no matrix of full row rank with a column for each parameter; r does not go with it.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y, *_ = jaxlr.datasets.low_birth_weight()
        >>> race = np.eye(X.shape[1] + 1)[2:4]  # both columns of one factor
        >>> round(float(wald_test(jaxlr.fit(X, y), jaxlr.Problem(X, y), race).p_value), 3)
        0.029

    References:
        Wald 1943, Transactions of the American Mathematical Society 54; Hosmer, Lemeshow & Sturdivant 2013, section 2.4.
    """
    check_given(fit, problem)
    check_base(fit.params, base)
    parameters = (np.shape(fit.params.coef)[-1] + 1) * math.prod(likelihood_of_params(fit.params).classes)
    hypotheses, values = _checked_hypotheses(R, r, parameters)
    asked, numbers = checked_kind(fit, problem, kind, clusters, lags, small_sample)
    statistic = over_models(
        _wald_test, fit, problem, penalized=penalized, options=(asked, base), shared=(hypotheses, values, numbers),
        by_row=asked.by_row,
    )  # fmt: skip
    return chi_square_test(statistic, len(hypotheses))


def _checked_hypotheses(R: Data, r: Data, parameters: int) -> tuple[Float[np.ndarray, "q p"], Float[np.ndarray, " q"]]:
    """R and r, each hypothesis over its largest coefficient."""
    hypotheses, values = np.asarray(real_array("R", R), float), np.asarray(real_array("r", r), float)
    if hypotheses.ndim != 2 or not len(hypotheses) or hypotheses.shape[1] != parameters:
        raise ValueError(
            f"expected R (q, {parameters}), a column for each parameter, got shape {hypotheses.shape}; the intercept comes last"
        )
    if values.shape not in ((), (len(hypotheses),)):
        raise ValueError(
            f"expected r of one number or ({len(hypotheses)},), got shape {values.shape}; one number is that of all rows of R"
        )
    if not (np.isfinite(hypotheses).all() and np.isfinite(values).all()):
        raise ValueError("expected finite numbers in R and r, got NaN or infinities; leave such hypotheses out")
    size = np.abs(hypotheses).max(axis=1)
    hypotheses = hypotheses / np.where(size > 0, size, 1)[:, None]
    if np.linalg.matrix_rank(hypotheses) < len(hypotheses):
        raise ValueError("expected hypotheses that do not depend on each other, got rows of R that do; leave them out")
    return hypotheses, np.broadcast_to(values, size.shape) / size


def _wald_test(
    params: Params | SoftmaxParams,
    problem: Problem,
    R: Float[Array, "q p"],
    r: Float[Array, " q"],
    clusters: Array,
    kind: Kind,
    base: int | None,
    basis: int,
) -> Float[Array, ""]:
    """The statistic, of combinations of the hypotheses that have the variance 1 and no covariance where the model holds, so
    that nothing cancels between hypotheses on parameters that are all but one."""
    model = fitted(params, problem, basis)
    R, r = R.astype(model.z.dtype), r.astype(model.z.dtype)
    asked = jnp.any(R != 0, axis=0)  # a parameter that is not determined may stay out of the question
    C = dot(R, jnp.where(asked[:, None], functionals(model, base), 0))
    errors = errors_of(model, kind, clusters)
    half = dot(errors.root.reshape(len(errors.root), -1), C.T)
    T = jnp.linalg.qr(half, mode="r").T  # half = Q T'
    known = jnp.min(jnp.abs(jnp.diagonal(T)) / jnp.sqrt(jnp.sum(half**2, axis=0))) > jnp.finfo(T.dtype).eps ** 0.75
    solved = solve(T, jnp.concatenate([C, r[:, None]], axis=1))  # in one call (`jaxlr.linalg.cholesky`)
    C, r = solved[:, :-1], solved[:, -1]
    off, V = dot(C, model.x.reshape(-1)) - r, covariance_along(errors, C)
    size = jnp.sqrt(jnp.diagonal(V))
    L = cholesky(V / (size[:, None] * size[None, :]))
    # Fewer clusters than hypotheses, or of several ways, leave a matrix that is singular, or no covariance.
    known &= jnp.min(jnp.diagonal(L)) ** 2 > 64 * len(R) * jnp.finfo(T.dtype).eps ** 0.75
    return jnp.where(known, jnp.sum(solve(L, (off / size)[:, None]) ** 2), jnp.nan)
