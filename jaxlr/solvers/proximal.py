"""Proximal Newton's method for absolute penalties: every step minimizes the quadratic model of the loss with them as they are.

    d = argmin_d  g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' C A + diag(l2)

(Lee, Sun & Saunders 2014, SIAM Journal on Optimization 24, algorithm 1.) The quadratic is that of `jaxlr.solvers.quadratic`,
of groups that of `quadratic_groups`, whose minimum has exact zeros. Several classes are taken as they are, not in contrasts;
what has no penalty leaves the sum over the classes free, and a curvature along that sum changes no minimum.

How long a step may be: along d the smooth part changes by at most t g . d + t^2 d' H d h(R t), h(a) = (exp(a) - 1 - a) / a^2
(see `jaxlr.solvers.damped`), the penalties, being convex, by at most t times their change over all of d. With q < 0 the change
of the quadratic, J falls wherever t h(R t) <= 1/2 - q / (d' H d): the rules of the smooth solver hold as they are as long as
-q >= 0.218 d' H d, of which the minimum has 1/2.

A Hessian H_0 = A' C_0 A + D_0 + diag(l2) that was made before, D_0 its damping, may stand for H, which saves its products and
most factors where it is kept. Its step leaves (H - H_0) d = A' (C - C_0) dz - D_0 d in the gradient. The size of the first part
is known without a product with A, by the inequality of Cauchy and Schwarz, for columns A_j of mean square 1:

    |A' (C - C_0) dz|_{H^-1} <= rho,     |A_j' (C - C_0) dz| <= sqrt(A_j' C A_j) rho <= rho / 2,
    rho^2 = (C - C_0) dz . C^-1 (C - C_0) dz

While rho <= lambda / 4, lambda = sqrt(d' H d), and no logit moves by more than 1/2, a step leaves a quarter of lambda, and 0.3
more for the change of C on the way. After a step that leaves more a new one is made. Damping, an inexact minimum and rounding
are not in rho: where lambda does not fall to 3/4 all the same, or the quadratic would grow (that step is not taken), nothing
is kept from there on. No verdict rests on the lambda of an H_0 that was made elsewhere, nor, once one failed, on any while the
residual halves. (A chord method: Kelley 1995, Iterative Methods for Linear and Nonlinear Equations, section 5.4.)
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import in_own_units
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.curvature import Curvature
from jaxlr.model.groups import Grouped
from jaxlr.model.likelihood import alike
from jaxlr.solvers import quadratic, quadratic_groups
from jaxlr.solvers.damped import Solution, damping, hides_separation, minimize, polish_of
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.system import System
from jaxlr.solvers.together import anew_if

_ENOUGH = 0.218  # h(1) - 1/2
_SHORTER = 0.69  # times a step that falls too little, and 1/2 - q / (d' H d) is over h(1)
_AGED, _FAILED = 0.25, 0.75  # of lambda


def step_length(fall: Float[Array, ""], curved: Float[Array, ""]) -> Float[Array, ""]:
    """The share of a direction that is a step: all of it, where the quadratic falls by enough of d' H d."""
    return jnp.where(fall >= _ENOUGH * curved, 1, _SHORTER)


def solve(
    system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array, keeps: bool = False
) -> Solution:
    """Minimize the objective of one problem, l1 >= 0 (inf holds a coefficient at 0), from `start` or 0; zeros are exact.

    Args:
        keeps: static; whether a Hessian is kept as long as it serves, for coercive systems.
    """

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: _Hessian | None) -> Direction:
        return _direction(system, x, here, jitter, running, kept, tol)

    none = _none_kept(system) if keeps else None
    found = minimize(system, start, tol, max_steps, direction, polish_of(tol, POLISH), kept=none)
    return found._replace(params=system.likelihood.zero_sums(found.params, system.penalty))


class _Hessian(NamedTuple):
    H: Array  # in its own units
    s: Array  # those
    curvature: Curvature  # of which it was made
    damping: Array  # its own, in mean squares of the columns
    factor: quadratic.Factor | None  # where it may be kept
    new: Any = True  # whether it was made here
    serves: Any = True  # whether the next step may be taken with it too
    failed: Any = False  # whether one that was kept did less than it should: no more of them are
    decrement: Any = jnp.inf  # lambda of the step before
    kkt: Any = jnp.inf  # likewise


def _none_kept(system: System) -> _Hessian:
    """Of no use, in the shape of one that is."""
    k, dtype = int(np.prod(system.likelihood.coordinates, dtype=int)) * system.A.shape[1], system.w.dtype
    H, z, no = jnp.zeros((k, k), dtype), jnp.zeros((*system.likelihood.classes, len(system.w)), dtype), jnp.bool_(False)
    curvature, most = system.likelihood.curvature(z, system.w), jnp.asarray(jnp.inf, dtype)
    return _Hessian(H, H[0], curvature, H[0, 0], quadratic.no_factor(H), no, no, no, most, most)


def _hessian(
    system: System, x: Array, kkt: Array, curvature: Curvature, jitter: Array, running: Array, kept: _Hessian | None
) -> _Hessian:
    """A new one, or that which is kept where it serves all models side by side."""

    def new() -> _Hessian:
        H = system.likelihood.assemble(system.A.gram(curvature.pairs()))
        H = system.likelihood.with_sums(H, system.penalty.absent)
        more = alike(system.penalty.l2 + damping(kkt) * system.squares, x)
        H, s = in_own_units(H, more, alike(system.free, x), jitter)
        if kept is None:
            return _Hessian(H, s, curvature, damping(kkt), None)
        yes = jnp.bool_(True)
        return _Hessian(H, s, curvature, damping(kkt), quadratic.no_factor(H), yes, yes, kept.failed, kept.decrement, kept.kkt)

    return new() if kept is None else anew_if(running & ~kept.serves, new, kept)


def _direction(
    system: System, x: Array, here: Point, jitter: Array, running: Array, kept: _Hessian | None, tol: Array
) -> Direction:
    likelihood, penalty, kkt = system.likelihood, system.penalty, here.kkt
    curvature = likelihood.curvature(here.z, system.w)
    free, scale = alike(system.free, x), alike(system.scale, x)
    now = _hessian(system, x, kkt, curvature, jitter, running, kept)
    H, s = now.H, jnp.where(free, now.s, 1)
    start, slope, units = x.ravel() / s, s * here.g.ravel(), s * scale
    kinks = penalty.flat(s, len(s) // x.shape[-1])
    # Where a gradient does not suffice a step is always taken to be seen: under separation it stays long.
    least = jnp.where(system.suffices, jnp.inf, kkt / 100)
    enough = jnp.maximum(jnp.minimum(kkt, 1e-2) * kkt, jnp.minimum(POLISH / 4 * tol, least))
    enough = jnp.where(running, enough, jnp.inf)  # models that have ended keep no other waiting
    given = H, slope, start
    if isinstance(kinks, Grouped):
        v, factor = quadratic_groups.minimize(*given, kinks, units, enough), now.factor
    else:
        v, factor = quadratic.minimize(*given, kinks, units, enough, now.factor)

    change = v - start
    H_change = dot(H, change)
    d = jnp.where(v == 0, -x.ravel(), s * change).reshape(x.shape)
    dz = system.A.times(d)
    error = jnp.max(kinks.violations(slope + H_change, v) / units)
    curved = jnp.sum(change * H_change)
    if kept is not None:
        curved = jnp.sum(dz * curvature.times(dz)) + jnp.sum(aligned(penalty.l2, d) * d * d)
    fall = -jnp.sum(slope * change) - curved / 2 - jnp.sum(kinks.growth(start, v))
    length = step_length(fall, curved)
    if kept is not None:
        rho = jnp.sqrt(curvature.dual_square(curvature.times(dz) - now.curvature.times(dz)))
        damped = now.damping * jnp.max(jnp.abs(d) * aligned(system.squares / system.scale, d))
        error = jnp.where(length < 1, jnp.inf, error + rho / 2 + damped)
        length = jnp.where(now.new | (fall >= 0), length, 0)
        failed = now.failed | (~now.new & ~((fall >= 0) & (jnp.sqrt(curved) <= _FAILED * now.decrement)))
        close = (rho <= _AGED * jnp.sqrt(curved)) & (system.largest(likelihood.reach(dz)) <= 0.5)
        kept = now._replace(
            factor=factor, new=jnp.bool_(False), serves=close & ~failed, failed=failed, decrement=jnp.sqrt(curved), kkt=kkt
        )
    # What is left to the intercepts: rounding of b may be all that their curvature is, where a class is rare.
    left = (s * jnp.abs(slope + H_change)).reshape(x.shape)[..., system.n :]
    return Direction(
        d=d * length,
        dz=dz * length,
        decrement=jnp.sqrt(curved),
        error=error,
        unresolved=jnp.sqrt(jitter * jnp.sum(change**2)),
        hides=hides_separation(system, curvature),
        inexact=jnp.any(left > 1e-2),
        old=~jnp.bool_(now.new) | (jnp.bool_(now.failed) & (kkt < now.kkt / 2)),
        kept=kept,
    )
