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
_EVIDENCE = ("value", "kkt", "gap", "status", "num_steps")
_STEADY = 20.0  # sum of the sizes of the weights; equal steps give 4 + 6 + 4 + 1


class Strengths(NamedTuple):
    """Of the penalties; l1 is None for a smooth objective."""

    l1: Any
    l2: Any


def follow(
    fit_lanes: Callable[[Strengths, Any, Any], tuple[Fit, Any]],
    strengths: Strengths,
    start: Any,
    solver: str,
    carried: Any = None,
) -> Fit:
    """Fit a path in every lane, to a Fit (L, P) in the order of the strengths.

    Args:
        fit_lanes: fits S models in each lane: strengths (L, S), starts, parameters (L, S, ...), and what it carries along the
            path, to a Fit (L, S) and that.
        strengths: by lane, in any order (L, P), or (L, 1) where one stays the same.
        start: of the first points, parameters (L, ...).
        solver: static; for "newton" a path may be cut, for others penalties of one strength belong together.
        carried: what `fit_lanes` is given at the first points.
    """
    num_lanes, num_points = np.broadcast_shapes(*(strength.shape for strength in jax.tree.leaves(strengths)))
    along = [jax.lax.stop_gradient(strength) for strength in jax.tree.leaves(strengths) if strength.shape[1] > 1]
    along = functools.reduce(jnp.add, along)  # where both vary
    num_segments = max(1, min(num_points // _SHORTEST, -(-_LANES // num_lanes))) if solver == "newton" else 1
    length = -(-num_points // num_segments)
    order = jnp.argsort(-along, axis=-1)

    def in_order(strength: Array) -> Array:
        strength = jnp.broadcast_to(strength, (num_lanes, num_points))
        ordered = jnp.take_along_axis(strength, order, axis=-1)
        ordered = jnp.pad(ordered, ((0, 0), (0, num_segments * length - num_points)), mode="edge")
        return jnp.moveaxis(ordered.reshape(num_lanes, num_segments, length), -1, 0)

    def point(state: tuple[Array, Any], at: tuple[Array, Strengths]) -> tuple[tuple[Array, Any], Array]:
        """From the last points (p, L, S, parameters and t), the latest first, to these and the rows of the point."""
        (known, carried), (t, strengths) = state, at
        fits, carried = fit_lanes(strengths, _as_params(extrapolate(t, known[..., -1], known[..., :-1]), start), carried)
        rows = _as_rows(fits.params, 2)
        latest = jnp.concatenate([jax.lax.stop_gradient(rows), t[..., None]], axis=-1)
        healthy = (fits.status == Status.CONVERGED)[None, ..., None]
        known = jnp.where(healthy, jnp.concatenate([latest[None], known[:-1]]), known)
        return (known, carried), _with_evidence(rows, fits)

    num_known = 1 if strengths.l1 is not None else _POINTS
    never = jnp.full((num_lanes, 1), jnp.nan, along.dtype)
    first = jax.lax.stop_gradient(jnp.concatenate([_as_rows(start, 1), never], axis=-1))
    known = jnp.broadcast_to(first[:, None, :], (num_known, num_lanes, num_segments, first.shape[-1]))
    _, rows = jax.lax.scan(point, (known, carried), (jnp.log(in_order(along)), jax.tree.map(in_order, strengths)))
    place = jnp.argsort(order, axis=-1)
    return _as_fit(rows[place % length, np.arange(num_lanes)[:, None], place // length], start, solver)


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


def _with_evidence(rows: Array, fits: Fit) -> Array:
    """Parameters with all other numbers of a fit behind them, counts as floats: one array is stored and sorted in one go."""
    numbers = (getattr(fits, name) for name in _EVIDENCE)
    return jnp.concatenate([rows, *(number.astype(rows.dtype)[..., None] for number in numbers)], axis=-1)


def _as_fit(rows: Array, like: Any, solver: str) -> Fit:
    """The Fit of such rows."""
    value, kkt, gap, status, num_steps = (rows[..., place] for place in range(-len(_EVIDENCE), 0))
    return Fit(
        params=_as_params(rows[..., : -len(_EVIDENCE)], like),
        value=value,
        kkt=kkt,
        gap=gap,
        status=status.astype(jnp.int32),
        num_steps=num_steps.astype(jnp.int32),
        solver=solver,
    )


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
    return jnp.sum(weights[..., None] * solutions, axis=0)
