"""Wald's joint test of linear hypotheses, R b = r, of the covariance V of the estimates b.

chi^2 = (R b - r)' (R V R')^-1 (R b - r)        of rank(R) degrees of freedom
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inference.covariance import covariance
from jaxlr.inference.fitted import estimates
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, real_array
from jaxlr.linalg.dot import einsum
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
    small_sample: bool = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Test:
    """The joint test of linear hypotheses, R params = r.

    Args:
        fit: as in `covariance`.
        problem: its data, as in `covariance`.
        R: (q, n + 1), one hypothesis a row and the intercept last; of K classes (q, K (n + 1)), class by class. Rows that
            depend on others are refused; what tests parameters that are 0 by definition is NaN.
        r: (q,) or one number.
        kind, clusters, lags, small_sample, base, penalized: as in `covariance`.

    Returns:
        Test (...), df = q; NaN where a model is not CONVERGED.

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
    hypotheses = np.asarray(real_array("R", R), float)
    parameters = np.shape(fit.params.coef)[-1] + 1
    parameters *= math.prod(likelihood_of_params(fit.params).classes)
    if hypotheses.ndim != 2 or hypotheses.shape[1] != parameters:
        raise ValueError(f"expected R (q, {parameters}), a column for each parameter, got shape {hypotheses.shape}")
    if not 0 < len(hypotheses) == np.linalg.matrix_rank(hypotheses):
        raise ValueError("expected hypotheses that do not depend on each other, got rows of R that do; leave them out")
    values = np.asarray(real_array("r", r), float)
    if values.shape not in ((), (len(hypotheses),)):
        raise ValueError(f"expected r of one number or ({len(hypotheses)},), got shape {values.shape}")
    V = covariance(
        fit, problem, kind=kind, clusters=clusters, lags=lags, small_sample=small_sample, base=base, penalized=penalized
    )
    return chi_square_test(_joint(V, fit.params, hypotheses, values, base), len(hypotheses))


@program("base")
def _joint(V: Array, params: Params | SoftmaxParams, R: ArrayLike, r: ArrayLike, base: int | None) -> Float[Array, "..."]:
    """(R b - r)' (R V R')^-1 (R b - r), in units of the standard errors of R b."""
    R, r = jnp.asarray(R, V.dtype), jnp.asarray(r, V.dtype)
    b = estimates(params, base).reshape(*V.shape[:-1])
    asked = jnp.any(R != 0, axis=0)
    V = jnp.where(asked[:, None] & asked[None, :], V, 0)  # a parameter that is not determined may stay out of the question
    W = einsum("qp,...pk,rk->...qr", R, V, R)
    error = jnp.sqrt(jnp.diagonal(W, axis1=-2, axis2=-1))
    off = einsum("qp,...p->...q", R, b)
    off = (off - jnp.broadcast_to(r, off.shape)) / error
    solved = jnp.linalg.solve(W / (error[..., :, None] * error[..., None, :]), off[..., None])[..., 0]
    return jnp.sum(off * solved, axis=-1)
