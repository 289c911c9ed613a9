"""The score test of columns that were not fitted.

    S = u' V^-1 u,  u = sum_i s_i x_i r_i,  V = sum_i s_i x_i^2 W_i - C I^-1 C'               df: free logits

with r, W (the curvature of the losses) and the information I those of the fit without the column x, C what x shares with the
columns that were fitted; of K classes r and W are in contrasts, of K - 1 logits. It is chi-square under the smaller model, for
many rows (Rao 1948, Proceedings of the Cambridge Philosophical Society 44, eq. 2.3), and needs no fit with the column: a scan
of many columns is three matrix products.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jaxlr.batching.loops import in_groups, loop
from jaxlr.compilation.program import program
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.fitted import fitted
from jaxlr.inference.likelihood_ratio import free_logits
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import Data, real_array
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers.system import mean_information


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
    check_given(fit, problem)
    given = real_array("columns", columns)
    m = np.shape(problem.X)[-2]
    if given.ndim != 2 or given.shape[1] != m:
        hint = "; the axes look transposed, pass columns.T" if given.ndim == 2 and given.shape[0] == m else ""
        raise ValueError(f"expected columns (k, {m}), one test each, got shape {given.shape}{hint}")
    inputs = over_models(_score_test, fit, problem)
    likelihood = likelihood_of_params(fit.params).in_contrasts()
    statistics = _statistics(given, inputs, likelihood, bool(problem.fit_intercept), np.shape(fit.status))
    return chi_square_test(statistics, free_logits(likelihood))


def _score_test(params: Params | SoftmaxParams, problem: Problem, basis: int) -> tuple[Array, Array, Array, Array]:
    """What the statistics of all columns need of a model: w, s r (*B, m), the pairs of s W, and s W A I^-1/2 (p, *B, m)."""
    model = fitted(params, problem, basis)
    system, likelihood = model.system, model.system.likelihood
    s = system.total * system.w
    r, curvature = likelihood.residual(model.z, system.y), likelihood.curvature(model.z, s)
    root = inverse_root(system.total * mean_information(system, model.z), model.free.reshape(-1)).reshape(-1, *model.x.shape)
    spanned = jax.vmap(lambda x: likelihood.reduce(curvature.times(likelihood.expand(system.A.times(x)))))(root)
    return system.w, likelihood.reduce(aligned(s, r) * r), curvature.pairs(), spanned


@program("likelihood", "fit_intercept", "batch")
def _statistics(
    columns: Num[Array, "k m"],
    inputs: tuple[Array, Array, Array, Array],
    likelihood: Likelihood,
    fit_intercept: bool,
    batch: tuple[int, ...],
) -> Float[Array, "*batch k"]:
    """u' V^-1 u. A basis whose columns are orthonormal in the information makes C I^-1 C' a sum of squares."""
    columns = jnp.asarray(columns, inputs[0].dtype)
    m = columns.shape[1]  # behind them are rows that fill up a bucket
    inputs = jax.tree.map(lambda part: part[..., :m].reshape(-1, *part.shape[len(batch) : -1], m), inputs)

    def of_group(x: Float[Array, "g m"]) -> Float[Array, "g models"]:
        def of_model(w: Array, slopes: Array, pairs: Array, basis: Array) -> Float[Array, " g"]:
            own = jnp.where(w > 0, x, 0)  # what stands in rows without weight does not count
            if fit_intercept:  # keeps the digits of columns far from 0
                own = jnp.where(w > 0, own - dot(own, w)[:, None], 0)
            sums = dot(slopes, own.T), dot(pairs, (own**2).T), dot(basis, own.T)
            return jax.vmap(lambda u, V, along: _quadratic_form(u, V, along, likelihood), in_axes=-1)(*sums)

        return loop(of_model, in_axes=(0,) * len(inputs))(*inputs).T

    statistics = jnp.moveaxis(in_groups(of_group, columns, models_side_by_side(m)), 0, -1)
    return statistics.reshape(*batch, -1)


def _quadratic_form(
    u: Float[Array, "*B"], pairs: Float[Array, "*P"], along: Float[Array, "p *B"], likelihood: Likelihood
) -> Float[Array, ""]:
    """u' V^-1 u of one column, V in units of its diagonal before the projection; NaN where rounding is all that is left of the
    column. Elimination of [V u; u' 0] leaves -u' V^-1 u."""
    squares, along = likelihood.assemble(pairs[..., None, None]), along.reshape(len(along), -1)
    size, unit = len(squares), jnp.sqrt(jnp.diagonal(squares))
    V = (squares - dot(along.T, along)) / (unit[:, None] * unit[None, :])
    u = (u.reshape(-1) / unit)[:, None]
    bordered = jnp.block([[V, u], [u.T, jnp.zeros((1, 1), V.dtype)]])

    def eliminate(j: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, least = state
        pivot = rest[j, j]
        return rest - rest[:, j][:, None] * (rest[j] / pivot)[None, :], jnp.minimum(least, pivot)

    left, least = jax.lax.fori_loop(0, size, eliminate, (bordered, jnp.full((), jnp.inf, V.dtype)))
    return jnp.where(least > jnp.finfo(V.dtype).eps ** 0.75, -left[size, size], jnp.nan)
