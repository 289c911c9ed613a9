"""Proximal Newton's method without a Hessian: for sparse designs, whose supports may be thousands of columns.

    minimize  q(d) = g . d + d' H d / 2 + sum_j l1_j |x_j + d_j|       H = A' C A + diag(l2)

as in `jaxlr.solvers.proximal` (and within bounds), but H is known by its products alone (`jaxlr.solvers.quadratic_cg`).

Where every column has a penalty all of that is in float32, as for `newton_cg`: g + l1 and g - l1 are rounded as differences, in
units of the largest violation, so that what is left of a direction is a small share of it however small it is. Gradients and
certificates have the full precision.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.linalg.operators import Standardized
from jaxlr.solvers.damped import Solution, damping, hides_separation, minimize, polish_of
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.newton_cg import SHARE
from jaxlr.solvers.proximal import step_length
from jaxlr.solvers.quadratic_cg import State, direction_of, minimum, quadratic_at
from jaxlr.solvers.system import System

_MOST_PRODUCTS = 400  # in one direction
_LEFT = 0.1  # of the residual, at most
_ROUNDING = 16  # times eps, of the largest violation: what a direction may leave


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array) -> Solution:
    """Minimize the objective of one problem, l1 >= 0 (inf holds a coefficient at 0), from `start` or 0; zeros are exact."""
    polish = polish_of(tol, POLISH)
    assert isinstance(system.A, Standardized)
    directions = system.A.astype(jnp.float32) if system.coercive else system.A

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: None) -> Direction:
        del kept
        return _direction(system, directions, x, here, jitter, running, polish * tol)

    found = minimize(system, start, tol, max_steps, direction, polish)
    return found._replace(params=system.likelihood.zero_sums(found.params, system.penalty))


def _direction(
    system: System, A: Standardized, x: Array, here: Point, jitter: Array, running: Array, wanted: Array
) -> Direction:
    likelihood, penalty, kkt, dtype = system.likelihood, system.penalty, here.kkt, A.dtype
    curvature = likelihood.curvature(here.z, system.w)
    # On the scale of the Hessian, or it would hide a separation.
    jitter = jitter * jnp.sum(curvature.diagonal())
    free, l1 = aligned(system.free, x), aligned(jnp.where(system.free, penalty.l1, 0), x)
    l2 = aligned(penalty.l2 + (damping(kkt) + jitter) * system.squares, x)
    rough, strength = likelihood.curvature(here.z, system.w, dtype), l2.astype(dtype)

    def product(p: Array) -> tuple[Array, Array]:
        dz = A.times(p)
        return dz, jnp.where(free, A.transposed_times(rough.times(dz)) + strength * p, 0)

    diagonal = A.squares_times(rough.diagonal()) + strength
    quadratic, largest = quadratic_at(x, here.g, product, diagonal, penalty, system.scale)
    least = jnp.where(system.suffices, jnp.inf, kkt / 100)
    rounding = 4 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(here.g) / aligned(system.scale, x))

    def goes_on(at: State) -> Array:
        changes = largest**2 * jnp.sum(system.w * likelihood.reach(at.dz).astype(x.dtype) ** 2)
        enough = jnp.maximum(jnp.minimum(SHARE * changes, _LEFT * kkt), jnp.minimum(wanted / 4, least))
        enough = jnp.maximum(enough, jnp.maximum(rounding, _ROUNDING * float(jnp.finfo(dtype).eps) * largest))
        return running & (at.num_products < _MOST_PRODUCTS) & (largest * at.residual.astype(x.dtype) > enough)

    end = minimum(quadratic, jnp.zeros(here.z.shape, dtype), goes_on)
    d, dz = direction_of(quadratic, end, x, largest, penalty), largest * end.dz.astype(x.dtype)
    curved = jnp.sum(dz * curvature.times(dz)) + jnp.sum(l2 * d * d)
    # Along d signs do not change but from 0 or to 0.
    side = jnp.where(x != 0, x, d)
    fall = -jnp.sum((here.g + l1 * jnp.sign(side)) * d) - curved / 2
    length = step_length(fall, curved)
    curved_alone = jnp.sum(curvature.diagonal(), axis=-1, keepdims=True)
    left = largest * jnp.where(free, quadratic.plus + end.e, 0)[..., system.n :].astype(x.dtype)
    return Direction(
        d=d * length,
        dz=dz * length,
        decrement=jnp.sqrt(curved),
        error=largest * end.residual.astype(x.dtype),
        unresolved=jnp.sqrt(jitter * jnp.sum(aligned(system.squares, d) * d * d)),
        hides=hides_separation(system, curvature),
        inexact=jnp.any(jnp.abs(left) > 1e-2 * curved_alone),
        crude=end.num_products >= _MOST_PRODUCTS,
    )
