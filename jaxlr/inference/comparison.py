"""Tests between models: the likelihood ratio of nested fits, and the score test of columns that were not fitted.

    LR = 2 (log-likelihood of the larger model - that of the smaller)                      df: parameters more
    S = u^2 / v,  u = x' s r,  v = x' S x - x' S A (A' S A)^-1 A' S x,  S = diag(s c)         df = 1

where r, c and A are those of the fit without the column x. Both are chi-square under the smaller model, for many rows (Wilks
1938, Annals of Mathematical Statistics 9; Rao 1948, Proceedings of the Cambridge Philosophical Society 44). The score test
needs no fit with the column: a scan of many columns is three matrix products.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import in_groups
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.over_models import over_models, working
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, is_zero, real_array
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.model.logistic import curvature, residual
from jaxlr.model.problem import Problem, problem_logits, row_weights, weight_sum
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working import hessian_of

_HIGHEST = jax.lax.Precision.HIGHEST


def likelihood_ratio(larger: Fit, smaller: Fit, problem: Problem, *, df: int | None = None) -> Test:
    """The likelihood-ratio test between nested fits of the same rows, model by model.

    Args:
        larger: fit with all parameters, unpenalized.
        smaller: fit with some of them left out or held at 0, of a batch that broadcasts against the other's.
        problem: data of the larger one; only the rows and their weights count.
        df: parameters left out; None is the difference in columns.

    Returns:
        Test of the broadcast batch; NaN where one of both is not CONVERGED, or where the smaller model fits better than the
        larger, which it cannot if they are nested. It is the difference of two values, each rounded to eps: of float32 fits
        of N rows it is right to about 1e-7 N.

    Raises:
        ValueError: a penalized problem; fits by different solvers of different likelihoods; df less than 1.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0]]), np.array([0, 1, 0, 1, 1])
        >>> test = likelihood_ratio(jaxlr.fit(X, y), jaxlr.fit(X[:, :1], y), jaxlr.Problem(X, y))
        >>> test.df, round(float(test.p_value), 3)
        (1, 0.96)

    References:
        Wilks 1938, Annals of Mathematical Statistics 9.
    """
    if not (is_zero(problem.l1) and is_zero(problem.l2)):
        raise ValueError(
            "expected unpenalized fits for a likelihood ratio, got a problem with l1 or l2 > 0 (or unknown inside jit)"
        )
    if "firth" in (larger.solver, smaller.solver):
        raise ValueError("expected fits of the likelihood itself, got Firth's; use jaxlr.inference.profile_tests")
    more = larger.params.coef.shape[-1] - smaller.params.coef.shape[-1] if df is None else df
    if more < 1:
        raise ValueError(f"expected the first fit to have more parameters than the second, got df = {more}; swap them")
    statistic = 2 * weight_sum(problem) * (jnp.asarray(smaller.value) - jnp.asarray(larger.value))
    possible = statistic >= -1e3 * jnp.finfo(jnp.asarray(larger.value).dtype).eps * weight_sum(problem)
    both = possible & (jnp.asarray(larger.status) == Status.CONVERGED) & (jnp.asarray(smaller.status) == Status.CONVERGED)
    return chi_square_test(jnp.where(both, statistic, jnp.nan).astype(jnp.asarray(larger.value).dtype), more)


def score_test(fit: Fit, problem: Problem, columns: Data) -> Test:
    """Test columns that a fit does not have, each alone, without fitting them.

    Args:
        fit: of the other columns, unpenalized, a batch or one.
        problem: its data.
        columns: (k, m), each tested alone beside all of X.

    Returns:
        Test (..., k), df = 1; NaN where the model is not CONVERGED, or where a column is a combination of those of X.

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
    tested = jnp.asarray(given, inputs[0].dtype)
    if problem.sample_weight is not None:  # what stands in rows without weight does not count
        s = jnp.asarray(problem.sample_weight).reshape(-1, m)
        tested = jnp.where(jnp.max(s, axis=0)[None, :] > 0, tested, 0)
    return chi_square_test(_statistics(tested, *inputs, bool(problem.fit_intercept)), 1)


def _score_test(params: Params, problem: Problem) -> tuple[Array, Array, Array]:
    """What the statistics of all columns need of a model: s r, s c, and A (A' S A)^-1/2 (m, k)."""
    w, total, (shared, _) = row_weights(problem), weight_sum(problem), working(problem)
    z = problem_logits(params, problem)
    root = inverse_root(total * hessian_of(shared, w * curvature(z)))
    basis = jnp.dot(shared.A, root.T, precision=_HIGHEST)
    return total * w * residual(z, problem.y), total * w * curvature(z), basis


@program("fit_intercept")
def _statistics(
    columns: Float[Array, "k m"],
    slopes: Float[Array, "... m"],
    curvatures: Float[Array, "... m"],
    basis: Float[Array, "... m c"],
    fit_intercept: bool,
) -> Float[Array, "... k"]:
    """u^2 / v. A basis whose columns are orthonormal under S makes the projection of x a sum of squares."""

    def of_group(x: Float[Array, "g m"]) -> Float[Array, "g ..."]:
        x = x - jnp.mean(x, axis=1, keepdims=True) if fit_intercept else x  # keeps the digits of columns far from 0
        u = jnp.einsum("...m,gm->g...", slopes, x, precision=_HIGHEST)
        squares = jnp.einsum("...m,gm->g...", curvatures, x**2, precision=_HIGHEST)
        along = jnp.einsum("...mc,gm->g...c", curvatures[..., None] * basis, x, precision=_HIGHEST)
        v = squares - jnp.sum(along**2, axis=-1)
        known = v > jnp.finfo(x.dtype).eps ** 0.75 * squares  # else rounding is all that is left of the column
        return jnp.where(known, u**2 / jnp.where(known, v, 1), jnp.nan)

    return jnp.moveaxis(in_groups(of_group, columns, models_side_by_side(columns.shape[1])), 0, -1)
