"""What passes have seen of the curvature along the steps that ONE model took, and how a Hessian B_0 is bent to that.

    B_i+1 = B_i - u_i u_i' + v_i v_i'          u_i = B_i s_i / sqrt(s_i . B_i s_i),   v_i = y_i / sqrt(y_i . s_i)

s_i are the last steps, y_i what the gradient changed by along each of them: after a pass that is known over all rows, and costs
no product of its own. B s = y along the newest, and B is positive definite as B_0 is (BFGS: Nocedal & Wright, Numerical
Optimization (2006), equation 6.19). Where the loss has bent more along these steps than B_0 says, as it does beside far more
columns than rows, B_0 takes that ratio c >= 1 first (self-scaling: Oren & Luenberger 1974, Management Science 20); there a pass
in two would else be lost to a shorter step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import dot


class Pairs(NamedTuple):
    """What passes have seen, of one model.

    Attributes:
        s: steps of length 1 (h, *B, k), the newest last, 0 for those that were not taken yet; float32.
        y: what the gradient changed by along them, float32.
    """

    s: Any
    y: Any


def no_pairs(count: int, shape: tuple[int, ...], lanes: int) -> Pairs:
    """Of models (lanes,) with parameters of this shape."""
    return Pairs(*(np.zeros((lanes, count, *shape), np.float32) for _ in range(2)))


def with_pair(pairs: Pairs, step: Float[Array, "*B k"], change: Float[Array, "*B k"]) -> Pairs:
    """With one more, where it has the curvature > 0 that a convex function has beyond rounding.

    Args:
        step: from one point to another.
        change: of the gradient of the smooth part.
    """
    size = jnp.sqrt(jnp.sum(step**2))
    safe = jnp.where(size > 0, size, 1)
    s, y = (part / safe for part in (step, change))
    known = (size > 0) & (jnp.sum(s * y) > 1e-8 * jnp.sum(y * y)) & jnp.isfinite(jnp.sum(y))
    new = (jnp.concatenate([old[1:], part[None].astype(old.dtype)]) for old, part in zip(pairs, (s, y), strict=True))
    return Pairs(*(jnp.where(known, after, old) for after, old in zip(new, pairs, strict=True)))


def longer_of(seen: Float[Array, "h *B k"], pairs: Pairs, more: Float[Array, "*B k"]) -> Array:
    """c: what steps have seen of the curvature of the loss, over what B_0 had said of it.

    Args:
        seen: products of the loss of B_0 with the steps.
        more: what is added to its diagonal.
    """
    said = jnp.sum(pairs.s * seen)
    ratio = jnp.sum(pairs.s * (pairs.y - more[None] * pairs.s)) / jnp.where(said > 0, said, 1)
    return jnp.where((said > 0) & (ratio > 1), ratio, 1)


def bent(Bs: Float[Array, "h *B k"], pairs: Pairs) -> tuple[Float[Array, "h *B k"], Float[Array, "h *B k"]]:
    """u_i and v_i, 0 for pairs that are none.

    Args:
        Bs: B_0 s_i.
    """

    def one(i: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        s, y = pairs.s[i], pairs.y[i]
        own = Bs[i] - part_of(both[0], s) + part_of(both[1], s)  # of those before it, the others are 0 yet
        before, after = jnp.sum(s * own), jnp.sum(s * y)
        known = (before > 0) & (after > 0)
        u = jnp.where(known, own * jax.lax.rsqrt(jnp.where(known, before, 1)), 0)
        v = jnp.where(known, y * jax.lax.rsqrt(jnp.where(known, after, 1)), 0)
        return both[0].at[i].set(u), both[1].at[i].set(v)

    return jax.lax.fori_loop(0, len(Bs), one, (jnp.zeros_like(Bs), jnp.zeros_like(Bs)))


def part_of(u: Float[Array, "h *B k"], p: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
    """sum_i u_i (u_i . p)."""
    flat = u.reshape(len(u), -1)
    return dot(dot(flat, p.ravel()), flat).reshape(p.shape)
