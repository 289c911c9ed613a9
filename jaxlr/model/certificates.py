"""The evidence that a model converged: a scale-free optimality residual, and a bound on what is left to gain.

KKT residual. With g the gradient of the smooth part of J, mean_j and sd_j those of column j under the model's own weights:

    u_j = g_j - mean_j g_0                    (the gradient for the centred column)
    v_j = |u_j + l1_j sign(coef_j)|           where coef_j != 0,  else max(|u_j| - l1_j, 0)
    kkt = max(|g_0|, max_j v_j / sd_j)

Duality gap (Koh, Kim & Boyd 2007, JMLR 8, sections 2.2 to 2.4, with an l2 term and an offset). For residuals r with
p_i = y_i + r_i in [0, 1], sum_i w_i r_i = 0 and a = X' (w r), Fenchel's inequality gives J(params) - min J <= gap,

    gap = sum_i w_i KL(p_i || sigmoid(z_i)) + sum_j [ pen_j(coef_j) + pen_j*(-a_j) + a_j coef_j ]
    pen(c) = l1 |c| + l2 / 2 c^2              pen*(a) = max(|a| - l1, 0)^2 / (2 l2),  0 or inf where l2 = 0

a sum of terms that are all >= 0: nothing cancels, and the bound can be far below the rounding error of J itself.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.operators import times_transposed
from jaxlr.model.logistic import curvature, logistic_loss, residual
from jaxlr.model.objective import Problem, design, dtype_of, gradient, loss_at, penalties, problem_logits, row_weights
from jaxlr.model.params import Params


def kkt_residual(params: Params, problem: Problem) -> Float[Array, ""]:
    """How far params are from satisfying the optimality conditions: 0 exactly at the optima.

    Unchanged when a column is shifted, or rescaled together with its penalty. Without an intercept the root mean square
    of a column stands for sd_j and mean_j is 0; a constant column has sd_j = 1.

    Args:
        params: coef (n,), intercept ().
        problem: one problem, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, on the scale of the mean loss per standard deviation of a column; NaN for non-finite input.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(kkt_residual(Params(np.zeros(1, np.float32), np.float32(0)), problem))
        0.5
    """
    coef = jnp.asarray(params.coef, dtype_of(problem))
    g = gradient(Params(coef, params.intercept), problem)
    return kkt_of_gradient(g, coef, penalties(problem)[0], standard_units(problem))


def kkt_of_gradient(g: Params, coef: Array, l1: Array, units: tuple[Array, Array]) -> Float[Array, ""]:
    """The KKT residual where the gradient and the units of the columns are known already.

    Args:
        g: gradient of the smooth part of J, coef (n,), intercept ().
        coef: coefficients (n,).
        l1: penalty vector (n,).
        units: mean (n,) and sd (n,), from `standard_units`.

    Returns:
        Scalar >= 0.
    """
    mean, sd = units
    u = g.coef - mean * g.intercept
    return jnp.max(jnp.append(violations(u, coef, l1) / sd, jnp.abs(g.intercept)))


def violations(slope: Float[Array, " k"], coef: Float[Array, " k"], l1: Float[Array, " k"]) -> Float[Array, " k"]:
    """How far each coefficient is from its optimality condition.

    Args:
        slope: of the smooth part.
        coef: coefficients.
        l1: penalty vector, >= 0.

    Returns:
        Distances >= 0 (k,).
    """
    return jnp.where(coef != 0, jnp.abs(slope + l1 * jnp.sign(coef)), jnp.maximum(jnp.abs(slope) - l1, 0))


def standard_units(problem: Problem) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The location and scale in which the KKT residual measures columns.

    Args:
        problem: one problem.

    Returns:
        mean (n,) and sd (n,) under the problem's weights; 0 and the root mean square without an intercept. The scale of
        a constant (without an intercept: zero) column is 1.
    """
    mean, sd = column_moments(design(problem), row_weights(problem))
    if not problem.fit_intercept:
        mean, sd = jnp.zeros_like(mean), jnp.hypot(mean, sd)
    return mean, jnp.where(sd == 0, 1, sd)


def duality_gap(params: Params, problem: Problem) -> Float[Array, ""]:
    """A bound on J(params) - min J, whatever params are.

    The dual point: shift the intercept by a Newton step towards weighted residuals that sum to 0, shrink those of the
    heavier sign until they do, then all until the columns without an l2 term satisfy |a_j| <= l1_j. Every such point gives
    a bound; what rounding adds to it is of the order of (eps max |logit|)^2.

    Args:
        params: coef (n,), intercept ().
        problem: one problem, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, in nats per unit of weight; inf where no bound can be given (a column without a penalty, one class
        beside an intercept, input that is not finite).

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(duality_gap(Params(np.zeros(1, np.float32), np.float32(0)), problem))
        0.25
    """
    coef = jnp.asarray(params.coef, dtype_of(problem))
    z = problem_logits(params, problem)
    r = _dual_residuals(z, problem)
    return _gap(coef, z, r, times_transposed(design(problem), row_weights(problem) * r), problem)


def evidence(
    params: Params, problem: Problem, units: tuple[Array, Array]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Objective, KKT residual and duality gap, in two products with the data.

    Args:
        params: coef (n,), intercept ().
        problem: one problem, any l1, l2 >= 0.
        units: mean (n,) and sd (n,), from `standard_units`.

    Returns:
        `jaxlr.loss`, `kkt_residual` and `duality_gap`.
    """
    coef, w, (l1, l2) = jnp.asarray(params.coef, dtype_of(problem)), row_weights(problem), penalties(problem)
    z = problem_logits(params, problem)
    primal, dual = residual(z, problem.y), _dual_residuals(z, problem)
    slopes, a = jax.vmap(lambda r: times_transposed(design(problem), w * r))(jnp.stack([primal, dual]))
    intercept = jnp.sum(w * primal) if problem.fit_intercept else jnp.zeros_like(z[0])
    kkt = kkt_of_gradient(Params(slopes + l2 * coef, intercept), coef, l1, units)
    return loss_at(z, coef, problem), kkt, _gap(coef, z, dual, a, problem)


def _dual_residuals(z: Array, problem: Problem) -> Array:
    y = jnp.asarray(problem.y, z.dtype)
    return _balanced_residuals(z, y, row_weights(problem)) if problem.fit_intercept else residual(z, y)


def _gap(coef: Array, z: Array, r: Array, a: Array, problem: Problem) -> Float[Array, ""]:
    """The bound that the dual point r gives, with a = X' (w r)."""
    (l1, l2), w, y = penalties(problem), row_weights(problem), jnp.asarray(problem.y, z.dtype)
    # Columns without an l2 term need |a_j| <= l1_j, to the last digit.
    most = jnp.where((l1 > 0) & (l2 == 0), (1 - 4 * jnp.finfo(z.dtype).eps) * l1, jnp.inf)
    shrink = jnp.min(most / jnp.abs(a), initial=1)
    gap = jnp.sum(w * _divergence(z, y, shrink * r)) + jnp.sum(conjugacy(coef, -shrink * a, l1, l2))

    unbounded = jnp.min(l1 + l2, initial=jnp.inf) == 0
    if problem.fit_intercept:
        unbounded |= (jnp.sum(w * y) == 0) | (jnp.sum(w * (1 - y)) == 0)
    return jnp.where(unbounded | jnp.isnan(gap), jnp.inf, gap)


def _divergence(z: Array, y: Array, r: Array) -> Array:
    """An upper bound on KL(p || sigmoid(z)) for p = y + r: the smaller of two.

    Chi-square, (p - sigmoid(z))^2 / curvature(z), keeps its digits however small it is; it can overflow far from the
    optimum, where KL without its negative entropies, loss(z, y) - r z, is finite.
    """
    difference = jnp.abs(r - residual(z, y))  # |p - sigmoid(z)|; its square may vanish together with the curvature
    chi_square = jnp.where(difference == 0, 0, difference * (difference / curvature(z)))
    cross_entropy = logistic_loss(z, y) - r * z
    return jnp.minimum(chi_square, cross_entropy + 4 * jnp.finfo(z.dtype).eps * jnp.abs(r * z))


def conjugacy(c: Array, u: Array, l1: Array, l2: Array) -> Array:
    """How far c and u are from conjugate: pen(c) + pen*(u) - u c, with |u| = excess + min(|u|, l1), completed to a square.

    Args:
        c: coefficients (k,).
        u: slopes of the dual (k,).
        l1: strengths >= 0 (k,).
        l2: strengths >= 0 (k,).

    Returns:
        (k,), >= 0: what each column adds to the gap, in nats per unit of weight.
    """
    along = c * jnp.where(u < 0, -1, 1)  # c in the direction of u
    excess = jnp.where(l2 > 0, jnp.maximum(jnp.abs(u) - l1, 0), 0)
    square = (l2 * along - excess) / jnp.sqrt(2 * jnp.where(l2 > 0, l2, 1))
    slope = jnp.where(along > 0, jnp.maximum(l1 - jnp.abs(u), 0), l1 + jnp.minimum(jnp.abs(u), l1))
    return square**2 + jnp.where(c == 0, 0, slope * jnp.abs(c))


def _balanced_residuals(z: Array, y: Array, w: Array) -> Array:
    """Residuals r with sum_i w_i r_i = 0 and y + r in [0, 1]: one Newton step of the intercept towards that equation, as long
    as the root is never passed by far, then those of the heavier sign are shrunk by what is left."""
    newton = -jnp.sum(w * residual(z, y)) / jnp.sum(w * curvature(z))
    step = jnp.sign(newton) * jnp.log1p(jnp.abs(newton))  # as the solver's: safe from any start, Newton's near the root
    r = residual(z + jnp.where(jnp.isnan(step), 0, step), y)
    above, below = jnp.sum(jnp.maximum(w * r, 0)), jnp.sum(jnp.maximum(-w * r, 0))
    lighter = jnp.minimum(above, below)
    side = jnp.where(r > 0, above, below)
    return r * jnp.where(side > 0, lighter / side, 1)
