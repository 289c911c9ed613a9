"""Proximal Newton's method for the multinomial model with absolute penalties.

    d = argmin_d  g . d + d' H d / 2 + sum_kj l1_j |x_kj + d_kj|        H = Hessian over all K (n + 1) parameters

as in `jaxlr.solvers.proximal`, whose bounds on the length of a step hold here too. Columns without any penalty, and the
intercepts, leave the sum over the classes free: there the projector on that sum is added to H, which changes no minimum that
sums to 0.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import in_own_units
from jaxlr.model.certificates import violations
from jaxlr.model.objective import Problem
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_objective import class_proba
from jaxlr.solvers import quadratic
from jaxlr.solvers.damped import DAMPING, Direction, Point, System
from jaxlr.solvers.proximal import ENOUGH, POLISH, SHORTER
from jaxlr.solvers.softmax_damped import SoftmaxSolution, minimize
from jaxlr.solvers.softmax_newton import class_hessian
from jaxlr.solvers.working import Shared

_HIGHEST = "highest"


def solve(
    problem: Problem,
    init: SoftmaxParams | None,
    tol: Float[Array, ""],
    max_steps: int,
    shared: Shared,
    num_classes: int,
    coercive: bool = False,
) -> SoftmaxSolution:
    """Minimize the objective of one problem.

    Args:
        problem: one problem in working coordinates, l1 >= 0 (inf holds a coefficient at 0).
        init: start, coef (K, n), intercept (K,), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        num_classes: static, K.
        coercive: static; whether every column is known to have a penalty.

    Returns:
        SoftmaxSolution, its zeros exact.
    """
    A, k, basis = shared.A, shared.A.shape[1], np.eye(num_classes)
    scale = jnp.pad(shared.units[1], (0, k - len(shared.unit)), constant_values=1)
    average = jnp.full((num_classes, num_classes), 1 / num_classes, A.dtype)

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        del running
        damping = DAMPING * jnp.minimum(here.kkt, 1) ** 2 * system.squares
        columns = (system.l1, system.l2 + damping, system.free, scale)
        l1, more, free, sd = (jnp.tile(vector, num_classes) for vector in columns)
        whole = class_hessian(shared, system.w, class_proba(here.z), basis)
        unpenalized = jnp.where(system.l1 + system.l2 == 0, jnp.mean(jnp.diagonal(whole).reshape(x.shape), axis=0), 0)
        whole = whole + (average[:, None, :, None] * jnp.diag(unpenalized)[None, :, None, :]).reshape(whole.shape)
        H, s = in_own_units(whole, more, free, jitter)
        s = jnp.where(free, s, 1)
        start, slope, penalty, units = x.ravel() / s, s * here.g.ravel(), s * l1, s * sd
        least = jnp.where(system.penalized, jnp.inf, here.kkt / 100)
        enough = jnp.maximum(jnp.minimum(here.kkt, 1e-2) * here.kkt, jnp.minimum(POLISH / 4 * tol, least))
        v = quadratic.minimize(H, slope - jnp.dot(H, start, precision=_HIGHEST), start, penalty, units, enough)

        change = v - start
        bent = jnp.dot(H, change, precision=_HIGHEST)
        curved = jnp.sum(change * bent)
        grown = jnp.where(free, penalty, 0) * (jnp.abs(v) - jnp.abs(start))
        fall = -jnp.sum(slope * change) - curved / 2 - jnp.sum(grown)
        d = jnp.where(v == 0, -x.ravel(), s * change) * jnp.where(fall >= ENOUGH * curved, 1, SHORTER)
        d = d.reshape(x.shape)
        hides = jnp.bool_(False)
        if system.margins is not None:  # v . H^-1 v >= (v . v)^2 / v . H v, along what has no penalty
            along = jnp.where(system.l1[None, :] > 0, 0, system.margins)
            bend = jnp.sum(along.ravel() * jnp.dot(whole, along.ravel(), precision=_HIGHEST))
            bend += jnp.sum(system.l2[None, :] * along * along)
            hides = jnp.sum(along * along) ** 2 > system.hidden_from * bend
        return Direction(
            d=d,
            dz=jnp.dot(d, A.T, precision=_HIGHEST),
            decrement=jnp.sqrt(curved),
            error=jnp.max(violations(slope + bent, v, penalty) / units),
            unresolved=jnp.sqrt(jitter * jnp.sum(change**2)),
            hides=hides,
        )

    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, POLISH).astype(tol.dtype)
    return minimize(problem, init, tol, max_steps, shared, basis, direction, polish, coercive)
