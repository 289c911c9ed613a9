"""The evidence that a model converged: a scale-free optimality residual, and a bound on what is left to gain.

KKT residual. With g the gradient of the smooth part of J, mean_j and sd_j those of column j under the model's own weights:

    u_j = g_j - mean_j g_0                    (the gradient for the centred column)
    v_j = |u_j + l1_j sign(coef_j)|           where coef_j != 0,  else max(|u_j| - l1_j, 0)
    kkt = max(|g_0|, max_j v_j / sd_j)        and the largest of all classes

Duality gap (Koh, Kim & Boyd 2007, JMLR 8, sections 2.2 to 2.4, with an l2 term, an offset and classes). For residuals r that
belong to probabilities p (p_i = y_i + r_i in [0, 1], or distributions p_i = e_label_i + r_i) with sum_i w_i r_i = 0, and
a = X' (w r), Fenchel's inequality gives J(params) - min J <= gap,

    gap = sum_i w_i KL(p_i || p(z_i)) + sum_j [ pen_j(coef_j) + pen_j*(-a_j) + a_j coef_j ]

with pen and pen* of `jaxlr.model.penalty`, within bounds of `jaxlr.model.bounds`, of groups what `jaxlr.model.groups` gives: a
sum of terms that are all >= 0, nothing cancels, and the bound can be far below the rounding error of J itself.

With strata (`jaxlr.model.conditional`) columns are those about their means within them, and the gap is what strong convexity
leaves, sum_j v_j^2 / (2 l2_j): inf where a column has no l2.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.linalg.dot import aligned
from jaxlr.model.conditional import matched_of
from jaxlr.model.groups import AnyPenalty
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.objective import gradient
from jaxlr.model.params import Parameters, Params, SoftmaxParams
from jaxlr.model.problem import (
    Problem,
    check_one,
    design,
    dtype_of,
    penalty_of,
    problem_logits,
    row_weights,
    within_strata,
)


@program()
def kkt_residual(params: Parameters, problem: Problem) -> Float[Array, ""]:
    """How far params are from satisfying the optimality conditions: 0 exactly at the optima.

    Unchanged when a column is shifted, or rescaled together with its penalty. Without an intercept the root mean square
    of a column stands for sd_j and mean_j is 0; a constant column has sd_j = 1. With strata both are about means within them.

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, on the scale of the mean loss per standard deviation of a column; inf outside the problem's bounds, NaN for
        non-finite input.

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(kkt_residual(Params(np.zeros(1, np.float32), np.float32(0)), problem))
        0.5
        >>> float(kkt_residual(SoftmaxParams(np.zeros((2, 1)), np.zeros(2)), problem))
        0.5
    """
    check_one(params, problem)
    problem = problem if problem.strata is None else within_strata(problem)
    coef = jnp.asarray(params.coef, dtype_of(problem))
    g = gradient(type(params)(coef, params.intercept), problem)
    return kkt_of_gradient(g, coef, penalty_of(problem), standard_units(problem))


def kkt_of_gradient(
    g: Params | SoftmaxParams, coef: Float[Array, "*K n"], penalty: AnyPenalty, units: tuple[Array, Array]
) -> Float[Array, ""]:
    """The KKT residual where the gradient of the smooth part and the `standard_units` of the columns are known already."""
    mean, sd = (aligned(unit, coef) for unit in units)
    u = g.coef - mean * g.intercept[..., None]
    of_columns = jnp.max(penalty.violations(u, coef) / sd, initial=0)
    return jnp.maximum(of_columns, jnp.max(jnp.abs(g.intercept)))


def standard_units(problem: Problem) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Location and scale in which the KKT residual measures columns: mean and standard deviation under the problem's weights;
    without an intercept 0 and the root mean square. The scale of a constant (without an intercept: zero) column is 1."""
    mean, sd = design(problem).moments(row_weights(problem))
    if not problem.fit_intercept:
        mean, sd = jnp.zeros_like(mean), jnp.hypot(mean, sd)
    return mean, jnp.where(sd == 0, 1, sd)


def with_rounding(gap: Any, kkt: Any, params: Params | SoftmaxParams, center: Any) -> Any:
    """The gap of one model or of many, NumPy's or JAX's, where rounding blurs the intercepts on columns about `center` (n,).

    The curvature of J along any change of them by at most blur is at most blur^2, of one logit blur^2 / 4.
    """
    coef, intercept = params
    shift = abs(coef * center).sum(axis=-1)
    of_classes = tuple(range(gap.ndim, intercept.ndim))
    blur = 2 * np.finfo(gap.dtype).eps * (abs(intercept) + shift).max(axis=of_classes)
    return gap + math.prod(intercept.shape[gap.ndim :]) * blur * kkt + blur**2 / 2


@program()
def duality_gap(params: Params | SoftmaxParams, problem: Problem) -> Float[Array, ""]:
    """A bound on J(params) - min J, whatever params are.

    The dual point: shift the intercepts by a Newton step towards weighted residuals that sum to 0, shrink or move those that
    are too heavy until they do, then shrink all until the columns without an l2 term satisfy |a_j| <= l1_j. Every such point
    gives a bound; what rounding adds to it is of the order of (eps max |logit|)^2.

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, in nats per unit of weight; inf where no bound can be given (a column without a penalty or two
        finite bounds, parameters outside the bounds, a class without weight beside an intercept, input that is not finite).

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(duality_gap(Params(np.zeros(1, np.float32), np.float32(0)), problem))
        0.25
        >>> float(duality_gap(SoftmaxParams(np.zeros((2, 1)), np.zeros(2)), problem))
        0.5
    """
    check_one(params, problem)
    problem = problem if problem.strata is None else within_strata(problem)
    return evidence(params, problem, standard_units(problem))[2]


def evidence(
    params: Params | SoftmaxParams, problem: Problem, units: tuple[Array, Array]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """`jaxlr.loss`, `kkt_residual` and `duality_gap` in two products with the data; `units` are those of `standard_units`."""
    likelihood, penalty, w = likelihood_of_params(params), penalty_of(problem), row_weights(problem)
    z = problem_logits(params, problem)
    if problem.strata is not None:
        return _evidence_of_sets(params, problem, z, units)
    y, coef = jnp.asarray(problem.y, z.dtype), jnp.asarray(params.coef, z.dtype)
    losses, primal, dual, divergence = likelihood.evidence(z, y, w, problem.fit_intercept)
    both = jnp.stack([primal, dual])
    sides = design(problem).transposed_times((aligned(w, both) * both).reshape(-1, len(w)))
    slopes, a = sides.reshape(2, *coef.shape)

    intercept = jnp.sum(aligned(w, primal) * primal, axis=-1) if problem.fit_intercept else jnp.zeros_like(slopes[..., 0])
    kkt = kkt_of_gradient(type(params)(slopes + penalty.smooth_slope(coef), intercept), coef, penalty, units)

    shrink = penalty.shrinkage(-a)
    gap = jnp.sum(w * divergence(shrink)) + jnp.sum(penalty.conjugacy(coef, -shrink * a))
    unbounded = ~jnp.all(penalty.bounding)
    if problem.fit_intercept:
        unbounded |= jnp.min(likelihood.class_weights(y, w)) == 0
    return jnp.sum(w * losses) + penalty.value(coef), kkt, jnp.where(unbounded | jnp.isnan(gap), jnp.inf, gap)


def _evidence_of_sets(
    params: Params | SoftmaxParams, problem: Problem, z: Float[Array, " m"], units: tuple[Array, Array]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """The same of a problem about its means within strata."""
    sets, penalty, coef = matched_of(problem), penalty_of(problem), jnp.asarray(params.coef, z.dtype)
    g = sets.slope(z, len(coef)) + penalty.smooth_slope(coef)
    kkt = kkt_of_gradient(type(params)(g, jnp.zeros((), z.dtype)), coef, penalty, units)
    gap = jnp.sum(penalty.violations(g, coef) ** 2 / (2 * jnp.where(penalty.l2 > 0, penalty.l2, 1)))
    unbounded = jnp.any(~(penalty.l2 > 0)) | jnp.isnan(gap)
    return sets.loss(z) + penalty.value(coef), kkt, jnp.where(unbounded, jnp.inf, gap)
