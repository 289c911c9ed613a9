"""The direction of ONE model from what is known where it is: Newton's, or with kinks that of the quadratic with them.

Of the Hessian that the pass has summed, of all columns or of those inside (`jaxlr.streaming.inside`), or of that of the sampled
rows: as a matrix (a chord), or by its products (`jaxlr.streaming.surrogate`). In the words of `jaxlr.solvers.newton` and
`jaxlr.solvers.proximal`, whose lines these are, for a Hessian that is known as a matrix.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units, once
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dot import dot
from jaxlr.model.likelihood import Likelihood, alike
from jaxlr.solvers import quadratic
from jaxlr.solvers.damped import damping
from jaxlr.solvers.newton import POLISH
from jaxlr.solvers.proximal import step_length
from jaxlr.streaming.inside import Inside, restricted, spread
from jaxlr.streaming.points import Here, Model
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.secants import Pairs
from jaxlr.streaming.surrogate import direction as surrogate

EPS = 2.0**-52
_TRIES = 12  # of a factor, each with ten times the jitter


class How(NamedTuple):
    """What is static in a step.

    Attributes:
        likelihood: in the coordinates of x.
        n: columns, without the intercept.
        kinked: whether there may be an l1 or bounds.
        exact: whether the pass has summed Hessians.
        max_steps: limit of steps.
    """

    likelihood: Likelihood
    n: int
    kinked: bool
    exact: bool
    max_steps: int


class Found(NamedTuple):
    """A direction, and what a verdict asks of it; own: the least share of its curvature that a column without a penalty has."""

    d: Array
    decrement: Array
    error: Array
    unresolved: Array
    own: Array
    inexact: Array


# What a direction is made of beside the sums: nothing, the Hessian of the sampled rows, the columns inside, or these rows.
Aid = Array | Inside | Sample | None


def direction(x: Float[Array, "*B k"], here: Here, aid: Aid, pairs: Pairs | None, model: Model, tol: Array, how: How) -> Found:
    """Newton's direction, or that of the quadratic with its kinks; the decrement is not finite where no factor was found.

    Args:
        pairs: what passes have seen, where rows are the aid.
    """
    if isinstance(aid, Sample):
        assert pairs is not None
        d, decrement = surrogate(x, here, aid, pairs, model, tol, how.likelihood)
        return Found(d, decrement, jnp.inf + decrement, 0 * decrement, 1 + 0 * decrement, jnp.bool_(False))
    if isinstance(aid, Inside):
        some = how._replace(n=how.n - x.shape[-1] + len(aid.columns))
        found = _of_matrix(*restricted(x, here, model, aid), here.H, tol, some)
        return found._replace(d=spread(found.d, aid, x.shape[-1]), error=jnp.inf + found.error)
    return _of_matrix(x, here, model, here.H if how.exact else aid, tol, how)


def _of_matrix(x: Array, here: Here, model: Model, H: Array | None, tol: Array, how: How) -> Found:
    likelihood, penalty = how.likelihood, model.penalty
    assert H is not None
    H = once(~jnp.isnan(here.gap), H)
    H = likelihood.with_sums(H, penalty.absent) if how.kinked else H
    more, free = alike(penalty.l2 + damping(here.kkt) * model.squares, x), alike(penalty.free, x)

    def attempt(jitter: Array) -> Found:
        scaled, s = in_own_units(H, more, free, jitter)
        find = _with_kinks if how.kinked else _smooth
        return find(x, here, scaled, jnp.where(free, s, 1) if how.kinked else s, jitter, model, tol, how)

    def again(tried: tuple[Found, Array]) -> tuple[Found, Array]:
        return attempt(10 * tried[1]), 10 * tried[1]

    jitter = jnp.asarray(EPS**0.75)
    most = jitter * 10.0**_TRIES
    found, _ = jax.lax.while_loop(
        lambda tried: ~jnp.isfinite(tried[0].decrement) & (tried[1] < most), again, (attempt(jitter), jitter)
    )
    return found._replace(own=_own(once(~(found.decrement < 0), H), free & alike(penalty.absent, x), jitter))


def _own(H: Array, absent: Array, jitter: Array) -> Array:
    """The least share of its curvature that a column without a penalty has of its own."""
    scaled, _ = in_own_units(H, jnp.zeros(len(H)), absent, jitter)
    return jnp.min(jnp.diagonal(cholesky(scaled))) ** 2 - jitter


def _smooth(x: Array, here: Here, H: Array, s: Array, jitter: Array, model: Model, tol: Array, how: How) -> Found:
    del model, tol
    L = cholesky(H)
    half = solve_lower(L, (-s * here.g.ravel())[:, None])
    scaled = solve_lower(L, half, transposed=True)[:, 0]
    squares = jnp.sum(scaled**2)
    none = jnp.zeros_like(here.kkt) if how.exact else jnp.inf + jnp.zeros_like(here.kkt)
    d = (s * scaled).reshape(x.shape)
    return Found(d, jnp.sqrt(jnp.sum(half**2)), none, jnp.sqrt(jitter * squares), jnp.ones(()), jnp.bool_(False))


def _with_kinks(x: Array, here: Here, H: Array, s: Array, jitter: Array, model: Model, tol: Array, how: How) -> Found:
    kinks = model.penalty.flat(s, len(s) // x.shape[-1])
    at, slope, units = x.ravel() / s, s * here.g.ravel(), s * alike(model.scale, x)
    enough = jnp.maximum(jnp.minimum(here.kkt, 1e-2) * here.kkt, POLISH / 4 * jnp.minimum(tol, here.kkt))
    v, _ = quadratic.minimize(H, slope, at, kinks, units, enough)  # pyright: ignore[reportArgumentType]
    change = v - at
    H_change = dot(H, change)
    curved = jnp.sum(change * H_change)
    fall = -jnp.sum(slope * change) - curved / 2 - jnp.sum(kinks.growth(at, v))
    length = step_length(fall, curved)
    error = jnp.max(kinks.violations(slope + H_change, v) / units)
    error = jnp.where((length < 1) | (not how.exact), jnp.inf, error)
    d = jnp.where(v == 0, -x.ravel(), s * change).reshape(x.shape)
    left = (s * jnp.abs(slope + H_change)).reshape(x.shape)[..., how.n :]
    unresolved = jnp.sqrt(jitter * jnp.sum(change**2))
    return Found(d * length, jnp.sqrt(curved), error, unresolved, jnp.ones(()), jnp.any(left > 1e-2))
