"""Follow a path of penalties, strong to weak: each point starts where the points before it lead.

With t the logarithm of the strength, a point starts at the polynomial through the last (up to four) solutions of its lane,

    x(t) = sum_i weight_i x_i        weight_i = prod_{j != i} (t - t_j) / (t_i - t_j)        (Lagrange)

which costs no product with the data and leaves Newton two steps or so. (With l1 coefficients enter and leave along the path,
which no polynomial foresees: a point starts at the one before.) A long path is cut into segments, side by side as
further lanes, where there are too few lanes to fill the machine; only their first points start cold. A point that did not
converge is left out, so that a path goes on from its last healthy point.

Extrapolation along a regularization path: Park & Hastie 2007, Journal of the Royal Statistical Society B 69, section 2.2.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_LANES = 64  # a machine is busy with so many
_SHORTEST = 8  # points in a segment, or cold starts outweigh the gain
_POINTS = 4  # a cubic
_STEADY = 20.0  # sum of the sizes of the weights; equal steps give 4 + 6 + 4 + 1


class Strengths(NamedTuple):
    """Of the penalties.

    Attributes:
        l1: (...), None for a smooth objective.
        l2: (...).
    """

    l1: Any
    l2: Any


class _Known(NamedTuple):
    """The last solutions of a path, the latest first.

    Attributes:
        rows: parameters (p, L, S, parameters).
        t: logarithms of their strengths (p, L, S), NaN where there was none.
    """

    rows: Array
    t: Array


def follow(
    fit_lanes: Callable[[Strengths, Any], Fit],
    strengths: Strengths,
    start: Any,
    in_segments: bool,
) -> Fit:
    """Fit a path in every lane.

    Args:
        fit_lanes: fits S models in each lane: strengths (L, S) and starts, parameters (L, S, ...), to a Fit (L, S).
        strengths: by lane, in any order (L, P), or (L, 1) where one stays the same.
        start: of the first points, parameters (L, ...).
        in_segments: static; whether a path may be cut, or penalties of one strength belong together.

    Returns:
        Fit (L, P), in the order of the strengths.
    """
    num_lanes, num_points = np.broadcast_shapes(*(strength.shape for strength in jax.tree.leaves(strengths)))
    along = [jax.lax.stop_gradient(strength) for strength in jax.tree.leaves(strengths) if strength.shape[1] > 1]
    along = functools.reduce(jnp.add, along)  # where both vary
    num_segments = max(1, min(num_points // _SHORTEST, -(-_LANES // num_lanes))) if in_segments else 1
    length = -(-num_points // num_segments)
    order = jnp.argsort(-along, axis=-1)

    def in_order(strength: Array) -> Array:
        strength = jnp.broadcast_to(strength, (num_lanes, num_points))
        ordered = jnp.take_along_axis(strength, order, axis=-1)
        ordered = jnp.pad(ordered, ((0, 0), (0, num_segments * length - num_points)), mode="edge")
        return jnp.moveaxis(ordered.reshape(num_lanes, num_segments, length), -1, 0)

    def point(known: _Known, at: tuple[Array, Strengths]) -> tuple[_Known, Fit]:
        t, strengths = at
        fits = fit_lanes(strengths, _as_params(extrapolate(t, known.t, known.rows), start))
        latest = _Known(jax.lax.stop_gradient(_as_rows(fits.params, 2)), t)
        healthy = fits.status == Status.CONVERGED

        def pushed(new: Array, old: Array) -> Array:
            here = healthy.reshape(1, *healthy.shape, *(1,) * (new.ndim - healthy.ndim))
            return jnp.where(here, jnp.concatenate([new[None], old[:-1]]), old)

        return jax.tree.map(pushed, latest, known), fits

    num_known = 1 if strengths.l1 is not None else _POINTS
    shape = (num_known, num_lanes, num_segments)
    rows = jax.lax.stop_gradient(_as_rows(start, 1))
    never = _Known(jnp.broadcast_to(rows[:, None, :], (*shape, rows.shape[-1])), jnp.full(shape, jnp.nan, along.dtype))
    _, fits = jax.lax.scan(point, never, (jnp.log(in_order(along)), jax.tree.map(in_order, strengths)))
    place = jnp.argsort(order, axis=-1)
    at = (place % length, np.arange(num_lanes)[:, None], place // length)
    return jax.tree.map(lambda leaf: leaf[at], fits)


def _as_rows(params: Any, lead: int) -> Array:
    """Parameters with so many leading axes as rows."""
    return jnp.concatenate([leaf.reshape(*leaf.shape[:lead], -1) for leaf in jax.tree.leaves(params)], axis=-1)


def _as_params(rows: Array, like: Any) -> Any:
    """Rows as parameters again, of the shapes behind the first axis of these."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([int(np.prod(leaf.shape[1:], dtype=int)) for leaf in leaves])
    parts = jnp.split(rows, ends[:-1], axis=-1)
    shaped = [part.reshape(*part.shape[:-1], *leaf.shape[1:]) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)


def extrapolate(
    t: Float[Array, "..."], times: Float[Array, "p ..."], solutions: Float[Array, "p ... k"]
) -> Float[Array, "... k"]:
    """The polynomial through the last solutions.

    Args:
        t: log strength of the next point (...).
        times: log strength of the last ones, latest first (p, ...), NaN where there was none.
        solutions: theirs (p, ..., k).

    Returns:
        (..., k); the last solution itself where points coincide, or the next is too far away for a polynomial.
    """
    known = ~jnp.isnan(times)
    pairs = np.arange(len(times))
    others = known[None] & (pairs[:, None] != pairs[None, :]).reshape(len(pairs), len(pairs), *(1,) * t.ndim)
    factors = (t[None] - times)[None] / (times[:, None] - times[None])
    weights = jnp.where(known, jnp.prod(jnp.where(others, factors, 1), axis=1), 0)
    steady = jnp.sum(jnp.abs(weights), axis=0) <= _STEADY  # not NaN, not infinite
    last = (pairs == 0).astype(times.dtype).reshape(-1, *(1,) * t.ndim)
    weights = jnp.where((steady & known[0])[None], weights, last)
    return jnp.sum(weights[..., None] * solutions, axis=0)
