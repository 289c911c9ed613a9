"""Follow a path of penalties, strong to weak: each point starts where the points before it lead.

With t the logarithm of the strength, a point starts at the polynomial through the last (up to four) solutions of its lane,

    x(t) = sum_i weight_i x_i        weight_i = prod_{j != i} (t - t_j) / (t_i - t_j)        (Lagrange)

which costs no product with the data and leaves Newton two steps or so. (With l1 coefficients enter and leave along the path,
which no polynomial foresees: a point starts at the one before.) A long path is cut into segments, side by side as
further lanes, where there are too few lanes to fill the machine; only their first points start cold. More would only wait: all
lanes go to their next points together. A point that did not converge is left out, so that a path goes on from its last healthy
point.

Extrapolation along a regularization path: Park & Hastie 2007, Journal of the Royal Statistical Society B 69, section 2.2.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.results.status import Status

_LANES = 64  # a machine is busy with so many
_CUT = {"cpu": 32}  # lanes that paths are cut into, at most; elsewhere as many as keep it busy
_SHORTEST = 8  # points in a segment, or cold starts outweigh the gain
_POINTS = 4  # a cubic
_STEADY = 20.0  # sum of the sizes of the weights; equal steps give 4 + 6 + 4 + 1


class Strengths(NamedTuple):
    """Of the penalties; l1 is None for a smooth objective, l1_group without groups."""

    l1: Any
    l2: Any
    l1_group: Any = None


def points_at_once(num_lanes: int, num_classes: int) -> int:
    """How many points of a path make a matrix that keeps a machine busy.

    Args:
        num_lanes: static; lanes side by side.
        num_classes: static; columns of a model, 1 for the binary one.
    """
    return max(1, _LANES // (num_lanes * num_classes))


class _State(NamedTuple):
    times: Array  # log strengths of the last points (p, L, S), the latest first; NaN where there was none
    solutions: Array  # theirs (p, L, S, parameters)
    carried: Any


def follow(
    solve: Callable[[Strengths, Array, Any], tuple[Any, Array, Array, Any]],
    strengths: Strengths,
    start: Float[Array, "L *K k"],
    solver: str,
    carried: Any = None,
) -> Any:
    """What is found along a path in every lane: a pytree of (L, P, ...), in the order of the strengths.

    Args:
        solve: S models in each lane: from strengths (L, S), starts (L, S, *K, k) and what is carried along the path, to what is
            found, a pytree of (L, S, ...), its status, the solutions, and what is carried on.
        strengths: by lane, in any order (L, P), or (L, 1) where one stays the same.
        start: of the first points, in working coordinates.
        solver: static; for "newton" a path may be cut, for others penalties of one strength belong together.
        carried: what `solve` is given at the first points.
    """
    num_lanes, num_points = np.broadcast_shapes(*(strength.shape for strength in jax.tree.leaves(strengths)))
    along = [jax.lax.stop_gradient(strength) for strength in jax.tree.leaves(strengths) if strength.shape[1] > 1]
    along = functools.reduce(jnp.add, along)  # where both vary
    most_lanes = _CUT.get(jax.default_backend(), _LANES)
    num_segments = max(1, min(num_points // _SHORTEST, most_lanes // num_lanes)) if solver == "newton" else 1
    length = -(-num_points // num_segments)
    order = jnp.argsort(-along, axis=-1)

    def in_order(strength: Array) -> Array:
        strength = jnp.broadcast_to(strength, (num_lanes, num_points))
        ordered = jnp.take_along_axis(strength, order, axis=-1)
        ordered = jnp.pad(ordered, ((0, 0), (0, num_segments * length - num_points)), mode="edge")
        return jnp.moveaxis(ordered.reshape(num_lanes, num_segments, length), -1, 0)

    def point(state: _State, at: tuple[Array, Strengths]) -> tuple[_State, Any]:
        t, strengths = at
        x = extrapolate(t, state.times, state.solutions)
        found, status, x, carried = solve(strengths, x.reshape(*t.shape, *start.shape[1:]), state.carried)
        healthy = (status == Status.CONVERGED)[None]
        latest = jax.lax.stop_gradient(x).reshape(1, *state.solutions.shape[1:])
        times = jnp.where(healthy, jnp.concatenate([t[None], state.times[:-1]]), state.times)
        solutions = jnp.where(healthy[..., None], jnp.concatenate([latest, state.solutions[:-1]]), state.solutions)
        return _State(times, solutions, carried), found

    num_known = 1 if strengths.l1 is not None else _POINTS
    shape = (num_known, num_lanes, num_segments)
    first = jax.lax.stop_gradient(start).reshape(1, num_lanes, 1, -1)
    begin = _State(jnp.full(shape, jnp.nan, along.dtype), jnp.broadcast_to(first, (*shape, first.shape[-1])), carried)
    _, found = jax.lax.scan(point, begin, (jnp.log(in_order(along)), jax.tree.map(in_order, strengths)))
    place = jnp.argsort(order, axis=-1)
    at = place % length, np.arange(num_lanes)[:, None], place // length
    return jax.tree.map(lambda leaf: leaf[at], found)


def extrapolate(
    t: Float[Array, "..."], times: Float[Array, "p ..."], solutions: Float[Array, "p ... k"]
) -> Float[Array, "... k"]:
    """The polynomial through the last solutions; the last one itself where points coincide, or the next is too far away.

    Args:
        t: log strength of the next point.
        times: log strength of the last ones, latest first, NaN where there was none.
        solutions: theirs.
    """
    known = ~jnp.isnan(times)
    pairs = np.arange(len(times))
    others = known[None] & (pairs[:, None] != pairs[None, :]).reshape(len(pairs), len(pairs), *(1,) * t.ndim)
    factors = (t[None] - times)[None] / (times[:, None] - times[None])
    weights = jnp.where(known, jnp.prod(jnp.where(others, factors, 1), axis=1), 0)
    steady = jnp.sum(jnp.abs(weights), axis=0) <= _STEADY  # not NaN, not infinite
    last = (pairs == 0).astype(times.dtype).reshape(-1, *(1,) * t.ndim)
    weights = jnp.where((steady & known[0])[None], weights, last)
    return functools.reduce(jnp.add, [weights[i][..., None] * solutions[i] for i in pairs])  # in one pass
