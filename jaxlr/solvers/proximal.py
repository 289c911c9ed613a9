"""Proximal Newton's method for absolute penalties: every step minimizes the quadratic model of the loss with them as they are.

    d = argmin_d  g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' W A + diag(l2)

(Lee, Sun & Saunders 2014, SIAM Journal on Optimization 24, algorithm 1.) The quadratic is that of `jaxlr.solvers.quadratic`,
whose minimum has exact zeros. Several classes are taken as they are, not in contrasts; what has no penalty leaves the sum over
the classes free, and a curvature along that sum changes no minimum.

How long a step may be: along d the smooth part changes by at most t g . d + t^2 d' H d h(R t), h(a) = (exp(a) - 1 - a) / a^2
(see `jaxlr.solvers.damped`), the penalties, being convex, by at most t times their change over all of d. With q < 0 the change
of the quadratic, J falls wherever t h(R t) <= 1/2 - q / (d' H d): the rules of the smooth solver hold as they are as long as
-q >= 0.218 d' H d, of which the minimum has 1/2.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import in_own_units
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import alike
from jaxlr.model.penalty import violations
from jaxlr.solvers import quadratic
from jaxlr.solvers.damped import Solution, curvature_along, damping, minimize
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.system import System

_ENOUGH = 0.218  # h(1) - 1/2
_SHORTER = 0.69  # times a step that falls too little, and 1/2 - q / (d' H d) is over h(1)


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array) -> Solution:
    """Minimize the objective of one problem, l1 >= 0 (inf holds a coefficient at 0), from `start` or 0; zeros are exact."""

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        del running
        return _direction(system, x, here, jitter, tol)

    # Who asks for few digits gets them in few steps.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, POLISH).astype(tol.dtype)
    found = minimize(system, start, tol, max_steps, direction, polish)
    unpenalized = system.penalty.l1 + system.penalty.l2 == 0
    return found._replace(params=system.likelihood.zero_sums(found.params, unpenalized))


def _direction(system: System, x: Array, here: Point, jitter: Array, tol: Array) -> Direction:
    likelihood, penalty, kkt = system.likelihood, system.penalty, here.kkt
    curvature = likelihood.curvature(here.z, system.w)
    H = likelihood.assemble(system.A.gram(curvature.pairs()))
    H = likelihood.with_sums(H, penalty.l1 + penalty.l2 == 0)
    free, scale = alike(system.free, x), alike(system.scale, x)
    H, s = in_own_units(H, alike(penalty.l2 + damping(kkt) * system.squares, x), free, jitter)
    s = jnp.where(free, s, 1)
    start, slope, l1, units = x.ravel() / s, s * here.g.ravel(), s * alike(penalty.l1, x), s * scale
    # Where a gradient does not suffice a step is always taken to be seen: under separation it stays long.
    least = jnp.where(system.suffices, jnp.inf, kkt / 100)
    enough = jnp.maximum(jnp.minimum(kkt, 1e-2) * kkt, jnp.minimum(POLISH / 4 * tol, least))
    v = quadratic.minimize(H, slope - dot(H, start), start, l1, units, enough)

    change = v - start
    H_change = dot(H, change)
    curved = jnp.sum(change * H_change)
    grown = jnp.where(free, l1, 0) * (jnp.abs(v) - jnp.abs(start))
    fall = -jnp.sum(slope * change) - curved / 2 - jnp.sum(grown)
    d = jnp.where(v == 0, -x.ravel(), s * change) * jnp.where(fall >= _ENOUGH * curved, 1, _SHORTER)
    d = d.reshape(x.shape)
    hides = jnp.bool_(False)
    if system.margins is not None:  # along what has no penalty
        along = jnp.where(aligned(penalty.l1, x) > 0, 0, system.margins)
        hides = jnp.sum(along * along) ** 2 > system.hidden_from * curvature_along(system, curvature, along)
    # What is left to the intercepts: rounding of b may be all that their curvature is, where a class is rare.
    left = (s * jnp.abs(slope + H_change)).reshape(x.shape)[..., system.n :]
    return Direction(
        d=d,
        dz=system.A.times(d),
        decrement=jnp.sqrt(curved),
        error=jnp.max(violations(slope + H_change, v, l1) / units),
        unresolved=jnp.sqrt(jitter * jnp.sum(change**2)),
        hides=hides,
        inexact=jnp.any(left > 1e-2),
    )
