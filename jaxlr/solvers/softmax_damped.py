"""Damped steps for one multinomial problem: the loop of `jaxlr.solvers.damped`, in a basis of the classes.

    params = Q x        g = Q' (A' (w r) + l2 params)        R = max_i (max_k dz_ik - min_k dz_ik),  dz = A (Q d)

x is (B, k), the intercept its last column. Where J is smooth, Q holds the contrasts of the classes (K, K - 1): all that sums
to 0 over them, so that H has no null space of its own; with l1 it is the identity (K, K).

The third derivative of logsumexp along dz is the third cumulant of a number that varies by at most R, hence at most R times
its variance, the second derivative: the loss is quasi-self-concordant as the binary one is, with the largest change of a
difference of two logits for R, and all that the loop proves holds here.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.model.objective import Problem, penalties, row_weights
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_certificates import kkt_of_class_gradient
from jaxlr.model.softmax_objective import class_residuals, labels_of
from jaxlr.solvers.damped import Direction, Point, System, descend
from jaxlr.solvers.working import Shared

_HIGHEST = "highest"


class SoftmaxSolution(NamedTuple):
    """What a solver hands back.

    Attributes:
        params: coef (K, n), intercept (K,), in working coordinates.
        status: int32, see `jaxlr.Status`.
        num_steps: int32, Newton steps taken.
    """

    params: SoftmaxParams
    status: Int[Array, ""]
    num_steps: Int[Array, ""]


def minimize(
    problem: Problem,
    init: SoftmaxParams | None,
    tol: Float[Array, ""],
    max_steps: int,
    shared: Shared,
    basis: np.ndarray,
    direction: Callable[[System, Array, Point, Array, Array], Direction],
    polish: float | Float[Array, ""],
    coercive: bool,
) -> SoftmaxSolution:
    """Minimize the objective of one problem.

    Args:
        problem: one problem in working coordinates, offset (m, K) or None; l1 = 0 (inf holds a coefficient at 0) unless
            `direction` sees to it.
        init: start, coef (K, n), intercept (K,), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        basis: Q (K, B), orthonormal.
        direction: (system, x, point, jitter, running) to a Direction, whose d is (B, k) and dz (K, m); the vectors over
            columns of `system` are (k,), its margins (B, k), and the point's g is (B, k).
        polish: as in `jaxlr.solvers.damped.minimize`.
        coercive: static; whether every column is known to have a penalty, so that nothing can be separated.

    Returns:
        SoftmaxSolution; how it ended is decided as in the binary model.
    """
    A, n, dtype = shared.A, shared.unit.shape[0], shared.A.dtype
    Q, k, num_classes, eps = jnp.asarray(basis, dtype), A.shape[1], basis.shape[0], float(jnp.finfo(dtype).eps)
    w, (l1, l2) = row_weights(problem) + 0 * problem.y, penalties(problem)  # a NaN label spreads
    l1, l2 = (jnp.pad(strength, (0, k - n)) for strength in (l1, l2))  # the intercepts are free of both
    is_label = labels_of(problem, num_classes)
    location, scale = shared.units
    squares = jnp.append(location**2 + scale**2, 1)[:k]  # mean squares of the columns
    free = ~jnp.isinf(l1)
    penalized = jnp.bool_(True) if coercive else jnp.min((l1 + l2)[:n], initial=jnp.inf, where=free[:n]) > 0
    of_class = jnp.sum(jnp.where(is_label, w[None, :], 0), axis=1)
    rarity = jnp.min(4 * of_class * (1 - of_class), initial=1, where=of_class > 0)

    def logits_of(params: Array) -> Array:
        z = jnp.where(w[None, :] == 0, 0, jnp.dot(params, A.T, precision=_HIGHEST))
        return z if problem.offset is None else z + problem.offset.T

    x, margins, hidden_from = jnp.zeros((Q.shape[1], k), dtype), None, jnp.asarray(jnp.inf, dtype)
    if init is not None:
        whole = jnp.concatenate([init.coef, init.intercept[:, None]], axis=1)[:, :k]
        x = jnp.where(free[None, :], jnp.dot(Q.T, whole, precision=_HIGHEST), 0)
        if not coercive:  # as in the binary model: where a start far out hides a separation
            centered = w[None, :] * (is_label.astype(dtype) - 1 / num_classes)
            margins = jnp.dot(Q.T, jnp.dot(centered, A, precision=_HIGHEST), precision=_HIGHEST)
            margins = jnp.where(free[None, :], margins, 0)
            far = _reach(logits_of(jnp.dot(Q, x, precision=_HIGHEST)), w) > -0.3 * np.log(eps)
            hidden_from = jnp.where(far & ~penalized, max(eps**-0.6, 1.5e5) / rarity, jnp.inf).astype(dtype)
    system = System(w, l1, l2, squares, free, penalized, margins, hidden_from)

    def at(x: Array) -> Point:
        params = jnp.dot(Q, x, precision=_HIGHEST)
        z = logits_of(params)
        g = jnp.dot(w[None, :] * class_residuals(z, is_label), A, precision=_HIGHEST) + l2[None, :] * params
        g = jnp.where(free[None, :], g, 0)
        slope = SoftmaxParams(g[:, :n], jnp.sum(g[:, n:], axis=1))
        kkt = kkt_of_class_gradient(slope, params[:, :n], l1[:n], shared.units)
        finite = jnp.isfinite(kkt) & jnp.isfinite(jnp.sum(w[None, :] * z))
        return Point(z, jnp.dot(Q.T, g, precision=_HIGHEST), kkt, finite)

    def search(x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        return direction(system, x, here, jitter, running)

    by_column = system._replace(l1=l1[None, :], free=free[None, :])
    x, status, num_steps = descend(x, at, search, lambda dz: _reach(dz, w), by_column, rarity, tol, max_steps, polish)
    params = jnp.dot(Q, x, precision=_HIGHEST)
    return SoftmaxSolution(SoftmaxParams(params[:, :n], jnp.sum(params[:, n:], axis=1)), status, num_steps)


def _reach(dz: Float[Array, "K m"], w: Float[Array, " m"]) -> Float[Array, ""]:
    """The largest change of a difference of two logits in a row of positive weight."""
    return jnp.max(jnp.where(w > 0, jnp.max(dz, axis=0) - jnp.min(dz, axis=0), 0))
