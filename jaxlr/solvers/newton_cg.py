"""Newton's method without a Hessian, for many columns: conjugate gradients, preconditioned for all models at once.

    H v = Q' A' W (A Q v) + l2 v,      H d = -g as far as it is worth

with W the curvature of the losses, Q the contrasts of several classes, and P of `jaxlr.solvers.preconditioner`. A direction is
exact enough once what it leaves of the KKT residual is a fifth of what the step itself may add to it, for W changes on the way:
sum_i w_i R_i^2 / 20 at most, R_i the change of the logits (`jaxlr.solvers.descent`); or a quarter of what tol asks for (inexact
steps: Nocedal & Wright, Numerical Optimization 2006, section 7.1). Products are computed in float32 wherever penalties rule out
separation; gradients and certificates have the full precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import aligned
from jaxlr.solvers.damped import Solution, damping, hides_separation, minimize, polish_of
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.system import System

STIFF = 1e10  # penalty over the mean square of the column
POLISH = 1e-3  # of tol, for digits that more products are worth
SHARE = 0.2 / 20  # of sum_i w_i R_i^2 that a direction may leave
_EXACT = 1e-6  # of r . P r at the start
_USUAL = 2  # products in a direction where the preconditioner is new
_MOST_PRODUCTS = 200  # in one direction; float32 has lost all conjugacy by then


class _State(NamedTuple):
    d: Array
    dz: Array
    r: Array  # -g - H d
    p: Array
    size: Array  # r . P r
    enough: Array  # whether that will do
    num_products: Array


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array) -> Solution:
    """Minimize the objective of one problem with l1 = 0 (inf holds a coefficient at 0), from `start` or 0; the system's `aid`
    is the preconditioner. The status is AGED where directions took as many products over the usual ones as it allows."""
    polish = polish_of(tol, POLISH)

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: None) -> Direction:
        del kept
        return _direction(system, x, here, jitter, running, tol, polish * tol)

    system = system._replace(likelihood=system.likelihood.in_contrasts())
    return minimize(system, start, tol, max_steps, direction, polish, system.aid.budget)


def _direction(system: System, x: Array, here: Point, jitter: Array, running: Array, tol: Array, wanted: Array) -> Direction:
    likelihood, kkt, directions, dtype = system.likelihood, here.kkt, system.aid.directions, system.aid.dtype
    # Where the data may be separated, the curvature of saturated rows counts however small it is.
    curvature = likelihood.curvature(here.z, system.w, dtype, saturates=not system.coercive)
    inverse = system.aid.for_model(curvature.diagonal(), system.penalty.l2, system.n)
    # On the scale of the Hessian, or it would hide a separation.
    jitter = jitter * jnp.sum(curvature.diagonal()).astype(x.dtype)
    l2 = aligned((system.penalty.l2 + (damping(kkt) + jitter) * system.squares).astype(dtype), x)
    stiff = aligned(system.penalty.l2 > STIFF * system.squares, x)  # nothing else counts there, nor fits into float32
    free = aligned(system.free, x) & ~stiff
    largest = jnp.max(jnp.abs(here.g), initial=0, where=jnp.broadcast_to(free, x.shape))
    arrived = system.suffices & (kkt <= wanted)  # where nothing but the gradient is asked for
    judged = ~system.suffices & (kkt <= tol)  # by the length of this very step
    r = jnp.where(running & ~arrived & (largest > 0) & free, -here.g / largest, 0).astype(dtype)

    def preconditioned(r: Array) -> Array:
        return jnp.where(free, likelihood.reduce(inverse(likelihood.expand(r))), 0)

    def product(p: Array) -> tuple[Array, Array]:
        dz = directions.times(likelihood.expand(p))
        Hp = likelihood.reduce(directions.transposed_times(curvature.times(dz))) + l2 * p
        return dz, jnp.where(free, Hp, 0)

    def close(dz: Array, r: Array) -> Array:
        left = largest * system.smooth_kkt(likelihood.expand(r).astype(x.dtype))
        changes = largest**2 * jnp.sum(system.w * likelihood.reach(dz).astype(x.dtype) ** 2)
        return ~judged & (left <= jnp.maximum(SHARE * changes, wanted / 4))

    end, crude = _conjugate_gradients(product, preconditioned, r, jnp.zeros(here.z.shape, dtype), close)
    d, r = (largest * vector.astype(x.dtype) for vector in (end.d, end.r))
    dz = largest * end.dz.astype(x.dtype)
    d = jnp.where(stiff, -here.g / jnp.where(stiff, aligned(system.penalty.l2, x), 1), d)
    # There the other coefficients' step leaves at most its change of the residuals, <= R / 4, times the column.
    r = jnp.where(stiff, 0.25 * system.largest(likelihood.reach(dz)) * aligned(jnp.sqrt(system.squares), x), r)
    # What is left to the intercepts: P knows nothing of the curvature of rare classes.
    curved = jnp.sum(curvature.diagonal(), axis=-1, keepdims=True).astype(r.dtype)
    inexact = jnp.any(jnp.abs(likelihood.expand(r)[..., system.n :]) > 1e-2 * curved)
    return Direction(
        d=d,
        dz=dz,
        decrement=jnp.sqrt(-jnp.sum(here.g * d)),
        error=system.smooth_kkt(likelihood.expand(r)),
        unresolved=jnp.sqrt(jitter * jnp.sum(aligned(system.squares, d) * d * d, where=free)),
        hides=hides_separation(system, curvature),
        inexact=inexact,
        crude=crude,
        spent=None if system.aid.budget is None else jnp.maximum(end.num_products - _USUAL, 0),
    )


def _conjugate_gradients(
    product: Callable[[Array], tuple[Array, Array]],
    preconditioned: Callable[[Array], Array],
    r: Float[Array, "*B k"],
    no_change: Float[Array, "*K m"],
    close: Callable[[Array, Array], Array],
) -> tuple[_State, Bool[Array, ""]]:
    """Solve H d = r (Nocedal & Wright 2006, algorithm 5.3): the last state, and whether that is crude.

    Args:
        product: from p to its change of the logits and H p.
        preconditioned: from r to P r.
        r: what is to be solved for.
        no_change: of the logits, zeros.
        close: of the change of the logits along d and the residual left, whether that may do; r . P r falls to a hundredth
            at least, and no further than to a millionth.
    """
    y = preconditioned(r)
    first = jnp.sum(r * y)

    def step(state: _State) -> _State:
        dz, Hp = product(state.p)
        pHp = jnp.sum(state.p * Hp)
        alpha = jnp.where(pHp > 0, state.size / pHp, 0)
        dz, r = state.dz + alpha * dz, state.r - alpha * Hp
        y = preconditioned(r)
        size = jnp.where(pHp > 0, jnp.sum(r * y), 0)
        p = y + size / state.size * state.p
        enough = (size <= jnp.where(close(dz, r), 1e-2, _EXACT).astype(r.dtype) * first) | (size == 0)
        return _State(state.d + alpha * state.p, dz, r, p, size, enough, state.num_products + 1)

    begin = _State(0 * r, no_change, r, y, first, first == 0, jnp.int32(0))
    end = jax.lax.while_loop(lambda at: ~at.enough & (at.num_products < _MOST_PRODUCTS), step, begin)
    return end, end.size > _EXACT * first
