"""Tests between models: the likelihood ratio of nested fits, and the score test of columns that were not fitted.

    LR = 2 (log-likelihood of the larger model - that of the smaller)                      df: parameters more
    S = u' V^-1 u,  u = x' s r,  V = x' S x - x' S A (A' S A)^-1 A' S x                     df = 1, of K classes K - 1

where r, S (weights times curvatures) and A are those of the fit without the column x; of K classes all are in contrasts, and
there are K - 1 numbers u. Both are chi-square under the smaller model, for many rows (Wilks 1938, Annals of Mathematical
Statistics 9; Rao 1948, Proceedings of the Cambridge Philosophical Society 44). The score test needs no fit with the column: a
scan of many columns is three matrix products.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.batching.compilation import program
from jaxlr.batching.loops import in_groups
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.over_models import estimate_of, over_models
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, is_zero, real_array
from jaxlr.linalg.cholesky import cholesky, inverse_root
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dot import einsum
from jaxlr.linalg.operators import triangle
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, weight_sum
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def likelihood_ratio(larger: Fit, smaller: Fit, problem: Problem, *, df: int | None = None) -> Test:
    """The likelihood-ratio test between nested fits of the same rows, model by model.

    Args:
        larger: fit with all parameters, unpenalized.
        smaller: fit with some of them left out or held at 0, of a batch that broadcasts against the other's.
        problem: data of the larger one; only the rows and their weights count.
        df: parameters left out; None is the difference in columns, of K classes K - 1 times that.

    Returns:
        Test of the broadcast batch; NaN where one of both is not CONVERGED, or where the smaller model fits better than the
        larger, which it cannot if they are nested. It is the difference of two values, each rounded to eps: of float32 fits
        of N rows it is right to about 1e-7 N.

    Raises:
        ValueError: a penalized problem; fits of different likelihoods or numbers of classes; df less than 1.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0]]), np.array([0, 1, 0, 1, 1])
        >>> test = likelihood_ratio(jaxlr.fit(X, y), jaxlr.fit(X[:, :1], y), jaxlr.Problem(X, y))
        >>> test.df, round(float(test.p_value), 3)
        (1, 0.96)

    References:
        Wilks 1938, Annals of Mathematical Statistics 9.
    """
    if not (is_zero(0.0 if problem.l1 is None else problem.l1) and is_zero(problem.l2)):
        raise ValueError(
            "expected unpenalized fits for a likelihood ratio, got a problem with l1 or l2 > 0 (or unknown inside jit)"
        )
    if "firth" in (larger.solver, smaller.solver):
        raise ValueError("expected fits of the likelihood itself, got Firth's; use jaxlr.inference.profile_tests")
    likelihood, other = (likelihood_of_params(fit.params) for fit in (larger, smaller))
    if likelihood != other:
        raise ValueError(f"expected fits of one likelihood, got {likelihood} and {other}")
    of_column = math.prod(likelihood.in_contrasts().coordinates)
    more = of_column * (larger.params.coef.shape[-1] - smaller.params.coef.shape[-1]) if df is None else df
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
        Test (..., k), df = 1, of K classes K - 1; NaN where the model is not CONVERGED, or where a column is a combination of
        those of X.

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
    return chi_square_test(_statistics(tested, *inputs, bool(problem.fit_intercept)), inputs[0].shape[-2])


def _score_test(params: Params | SoftmaxParams, problem: Problem) -> tuple[Array, Array, Array]:
    """What the statistics of all columns need of a model: s r (B, m), s c of the pairs of B coordinates (P, m), and s c A times
    roots of (A' S A)^-1, so that the projection of x is a sum of squares: (m, B, r)."""
    estimate = estimate_of(params, problem)
    system, likelihood = estimate.system, estimate.system.likelihood
    m, num_coordinates = len(system.w), math.prod(likelihood.coordinates)
    u = system.total * system.w[None, :] * likelihood.reduce(likelihood.residual(estimate.z, system.y)).reshape(-1, m)
    pairs = system.total * likelihood.curvature(estimate.z, system.w).pairs().reshape(-1, m)
    root = inverse_root(system.total * estimate.hessian).reshape(-1, num_coordinates, system.A.shape[1])
    basis = einsum("ik,rbk->bir", system.A.array, root)
    return u, pairs, einsum("abi,bir->iar", pairs[triangle(num_coordinates)], basis)


@program("fit_intercept")
def _statistics(
    columns: Float[Array, "k m"],
    slopes: Float[Array, "... B m"],
    pairs: Float[Array, "... P m"],
    basis: Float[Array, "... m B r"],
    fit_intercept: bool,
) -> Float[Array, "... k"]:
    """u' V^-1 u."""
    size = slopes.shape[-2]
    place, diagonal = triangle(size), np.arange(size)

    def of_group(x: Float[Array, "g m"]) -> Float[Array, "g ..."]:
        x = x - jnp.mean(x, axis=1, keepdims=True) if fit_intercept else x  # keeps the digits of columns far from 0
        u = einsum("...bm,gm->g...b", slopes, x)
        squares = einsum("...pm,gm->g...p", pairs, x**2)[..., place]
        along = einsum("...mbr,gm->g...br", basis, x)
        V = squares - einsum("g...ar,g...br->g...ab", along, along)
        known = V[..., diagonal, diagonal] > jnp.finfo(x.dtype).eps ** 0.75 * squares[..., diagonal, diagonal]
        known = jnp.all(known, axis=-1)  # else rounding is all that is left of the column
        return jnp.where(known, _quadratic_form(V, u, known), jnp.nan)

    return jnp.moveaxis(in_groups(of_group, columns, models_side_by_side(columns.shape[1])), 0, -1)


def _quadratic_form(V: Float[Array, "... B B"], u: Float[Array, "... B"], known: Array) -> Float[Array, "..."]:
    """u' V^-1 u; for one number no factor is called."""
    if u.shape[-1] == 1:
        return u[..., 0] ** 2 / jnp.where(known, V[..., 0, 0], 1)
    V = jnp.where(known[..., None, None], V, jnp.eye(u.shape[-1], dtype=V.dtype))
    half = jnp.vectorize(lambda V, u: solve_lower(cholesky(V), u[:, None])[:, 0], signature="(b,b),(b)->(b)")(V, u)
    return jnp.sum(half**2, axis=-1)
