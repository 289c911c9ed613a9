"""Follow a path of penalties, strong to weak: each point starts where the points before it lead.

With t = log l2, the start of a point is the parabola through the last three solutions of its lane,

    x(t) = x_0 + (t - t_0) [x_0, x_1] + (t - t_0) (t - t_1) [x_0, x_1, x_2]        (Newton's divided differences)

which costs no product with the data and leaves Newton one or two steps. A long path is cut into segments, side by side as
further lanes, where there are too few lanes to fill the machine; only their first points start cold. A point that did not
converge is left out, so that a path goes on from its last healthy point.

Extrapolation along a regularization path: Park & Hastie 2007, Journal of the Royal Statistical Society B 69, section 2.2.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.model import Params
from jaxlr.result import Fit
from jaxlr.status import Status

_LANES = 64  # a machine is busy with so many
_SHORTEST = 8  # points in a segment, or cold starts outweigh the gain


def follow(
    fit_lanes: Callable[[Float[Array, "L S"], Params], Fit], l2: Float[Array, "L P"], start: Params, in_segments: bool
) -> Fit:
    """Fit a path in every lane.

    Args:
        fit_lanes: fits S models in each lane: l2 (L, S) and starts, coef (L, S, n), intercept (L, S), to a Fit (L, S).
        l2: strengths of the squared penalty by lane, in any order (L, P).
        start: of the first points, coef (L, n), intercept (L,).
        in_segments: static; whether a path may be cut, or penalties of one strength belong together.

    Returns:
        Fit (L, P), in the order of l2.
    """
    num_lanes, num_points = l2.shape
    num_segments = max(1, min(num_points // _SHORTEST, -(-_LANES // num_lanes))) if in_segments else 1
    length = -(-num_points // num_segments)
    order = jnp.argsort(-l2, axis=-1)
    ordered = jnp.take_along_axis(l2, order, axis=-1)
    ordered = jnp.pad(ordered, ((0, 0), (0, num_segments * length - num_points)), mode="edge")
    ordered = ordered.reshape(num_lanes, num_segments, length)

    def point(history: tuple[Array, Array], strengths: Array) -> tuple[tuple[Array, Array], Fit]:
        times, solutions = history
        t = jnp.log(strengths)
        x = extrapolate(t, times, solutions)
        fits = fit_lanes(strengths, Params(x[..., :-1], x[..., -1]))
        healthy = fits.status == Status.CONVERGED
        x = jnp.concatenate([fits.params.coef, fits.params.intercept[..., None]], axis=-1)
        times = jnp.where(healthy, jnp.stack([t, times[0], times[1]]), times)
        solutions = jnp.where(healthy[..., None], jnp.stack([x, solutions[0], solutions[1]]), solutions)
        return (times, solutions), fits

    x = jnp.concatenate([start.coef, start.intercept[:, None]], axis=-1)
    solutions = jnp.broadcast_to(x[:, None, :], (3, num_lanes, num_segments, x.shape[-1]))
    none_yet = jnp.full((3, num_lanes, num_segments), jnp.nan, l2.dtype)
    _, fits = jax.lax.scan(point, (none_yet, solutions), jnp.moveaxis(ordered, -1, 0))

    back = jnp.argsort(order, axis=-1)

    def restore(leaf: Array) -> Array:
        leaf = jnp.moveaxis(leaf, 0, 2).reshape(num_lanes, num_segments * length, *leaf.shape[3:])
        return jnp.take_along_axis(leaf, back.reshape(back.shape + (1,) * (leaf.ndim - 2)), axis=1)

    return jax.tree.map(restore, fits)


def extrapolate(
    t: Float[Array, "..."], times: Float[Array, "3 ..."], solutions: Float[Array, "3 ... k"]
) -> Float[Array, "... k"]:
    """The parabola through the last solutions.

    Args:
        t: log l2 of the next point (...).
        times: log l2 of the last three, latest first (3, ...), NaN where there was none.
        solutions: theirs (3, ..., k).

    Returns:
        (..., k); the last solution itself where there are not three, points coincide, or the next is far away.
    """
    t0, t1, t2 = times
    secant = (t - t0) / (t0 - t1)
    bend = (t - t0) * (t - t1) / ((t0 - t2) * (t1 - t2))
    tilt = bend * (t1 - t2) / (t0 - t1)
    steady = jnp.abs(secant) + jnp.abs(bend) + jnp.abs(tilt) <= 4  # 3 where steps are equal; not NaN, not infinite
    secant, bend, tilt = (jnp.where(steady, weight, 0)[..., None] for weight in (secant, bend, tilt))
    first, second = solutions[0] - solutions[1], solutions[1] - solutions[2]
    return solutions[0] + (secant + tilt) * first - bend * second
