"""Proximal Newton's method for absolute penalties: every step minimizes the quadratic model of the loss with them as they are.

    d = argmin_d  g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' diag(w c) A + diag(l2)

(Lee, Sun & Saunders 2014, SIAM Journal on Optimization 24, algorithm 1.) The quadratic is that of `jaxlr.solvers.quadratic`,
whose minimum has exact zeros.

How long a step may be: along d the smooth part changes by at most t g . d + t^2 d' H d h(R t), h(a) = (exp(a) - 1 - a) / a^2
(see `jaxlr.solvers.damped`), the penalties, being convex, by at most t times their change over all of d. With q < 0 the change
of the quadratic, J falls wherever t h(R t) <= 1/2 - q / (d' H d): the rules of the smooth solver hold as they are as long as
-q >= 0.218 d' H d, of which the minimum has 1/2.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import in_own_units
from jaxlr.linalg.operators import times
from jaxlr.model.certificates import violations
from jaxlr.model.logistic import curvature
from jaxlr.model.objective import Problem
from jaxlr.model.params import Params
from jaxlr.solvers import quadratic
from jaxlr.solvers.damped import DAMPING, Direction, Solution, System, minimize
from jaxlr.solvers.working import Shared, hessian_of

POLISH = 1e-5  # as for `newton`
ENOUGH = 0.218  # h(1) - 1/2
SHORTER = 0.69  # times a step that falls too little, and 1/2 - q / (d' H d) is over h(1)


def solve(
    problem: Problem, init: Params | None, tol: Float[Array, ""], max_steps: int, shared: Shared, coercive: bool = False
) -> Solution:
    """Minimize the objective of one problem with `jaxlr.solvers.damped.minimize`.

    Args:
        problem: one problem in working coordinates, l1 >= 0 (inf holds a coefficient at 0).
        init: start, coef (n,), intercept (), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        coercive: static; whether every column is known to have a penalty.

    Returns:
        Solution, its zeros exact.
    """
    A, k = shared.A, shared.A.shape[1]
    scale = jnp.pad(shared.units[1], (0, k - len(shared.unit)), constant_values=1)

    def direction(system: System, x: Array, g: Array, z: Array, kkt: Array, jitter: Array, running: Array) -> Direction:
        del running
        l1, free, wc = system.l1, system.free, system.w * curvature(z)
        damping = DAMPING * jnp.minimum(kkt, 1) ** 2 * system.squares  # as for `newton`
        H, s = in_own_units(hessian_of(shared, wc), system.l2 + damping, free, jitter)
        s = jnp.where(free, s, 1)
        start, slope, penalty, units = x / s, s * g, s * l1, s * scale
        # Where something is not penalized a step is always taken to be seen: under separation it stays long.
        least = jnp.where(system.penalized, jnp.inf, kkt / 100)
        enough = jnp.maximum(jnp.minimum(kkt, 1e-2) * kkt, jnp.minimum(POLISH / 4 * tol, least))
        v = quadratic.minimize(H, slope - jnp.dot(H, start, precision="highest"), start, penalty, units, enough)

        change = v - start
        bent = jnp.dot(H, change, precision="highest")
        curved = jnp.sum(change * bent)
        grown = jnp.where(free, penalty, 0) * (jnp.abs(v) - jnp.abs(start))
        fall = -jnp.sum(slope * change) - curved / 2 - jnp.sum(grown)
        d = jnp.where(v == 0, -x, s * change) * jnp.where(fall >= ENOUGH * curved, 1, SHORTER)
        hides = jnp.bool_(False)
        if system.margins is not None:  # v . H^-1 v >= (v . v)^2 / v . H v, along what has no penalty
            along = jnp.where(l1 > 0, 0, system.margins)
            bend = jnp.sum(wc * times(A, along) ** 2) + jnp.sum(system.l2 * along * along)
            hides = jnp.sum(along * along) ** 2 > system.hidden_from * bend
        return Direction(
            d=d,
            dz=times(A, d),
            decrement=jnp.sqrt(curved),
            error=jnp.max(violations(slope + bent, v, penalty) / units),
            unresolved=jnp.sqrt(jitter * jnp.sum(change**2)),
            hides=hides,
        )

    # Who asks for few digits gets them in few steps.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, POLISH).astype(tol.dtype)
    return minimize(problem, init, tol, max_steps, shared, direction, polish, coercive)
