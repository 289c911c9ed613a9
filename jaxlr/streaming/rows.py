"""Loss, residual and curvature of the rows of ONE model at their logits: for two classes, all of one exponential.

With e = exp(-|z|), the probability of the less probable label is v = e / (1 + e), and (`jaxlr.model.logistic`)

    l = c |z| + log(1 + e),   c = y if z < 0 else 1 - y         r = v - y if z < 0 else (1 - y) - v         l'' = v (1 - v)

    log(1 + e) = 2 artanh(t) = 2 t (1 + t^2 / 3 + t^4 / 5 + ...),   t = e / (2 + e) <= 1/3

(Abramowitz & Stegun, Handbook of Mathematical Functions (1964), equation 4.1.27), of which 16 terms leave 2e-17 of the whole:
the compiler makes vector instructions of that, and of its own logarithm none, which would be most of the time of a pass.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.model import softmax
from jaxlr.model.likelihood import Likelihood

_TERMS = 16


class OfRows(NamedTuple):
    """Losses (m,), weighted residuals (*K, m), weights of the rows in the Gram matrices (*P, m), and |r|^2 / W (m,)."""

    losses: Array
    residuals: Array
    pairs: Array
    chi: Array


def of_rows(z: Float[Array, "*K m"], y: Float[Array, "m *soft"], s: Float[Array, " m"], likelihood: Likelihood) -> OfRows:
    """All at once.

    Args:
        z: logits.
        y: labels, or of several classes their probabilities; s: weights.
        likelihood: of the model.
    """
    if likelihood.classes:
        losses, pairs = likelihood.losses(z, y), likelihood.curvature(z, s).pairs()
        r = likelihood.residual(z, y)
        # Of a label (1 - p) / p in all; of probabilities the sum of r^2 / p.
        chi = jnp.expm1(losses) if y.ndim == 1 else jnp.sum(jnp.where(r == 0, 0, r * (r / softmax.proba(z))), axis=0)
        return OfRows(losses, s[None, :] * r, pairs, chi)
    size = jnp.abs(z)
    e = jax.lax.optimization_barrier(jnp.exp(-size))  # once, for all that is made of it
    v = jax.lax.optimization_barrier(e / (1 + e))
    right = jnp.where(z < 0, y, 1 - y)  # what is missing to the more probable label
    r = jnp.where(z < 0, v - y, (1 - y) - v)
    c = v * (1 - v)
    linear = jnp.where(right == 0, 0, right * size)
    return OfRows(linear + _log1p(e), s * r, s * c, jnp.where(r == 0, 0, r * (r / c)))


def _log1p(e: Float[Array, " m"]) -> Float[Array, " m"]:
    """log(1 + e) for 0 <= e <= 1, to the last digits of small e too."""
    t = e / (2 + e)
    square = t * t
    series = jnp.full_like(t, 1 / (2 * _TERMS - 1))
    for term in range(_TERMS - 2, -1, -1):
        series = 1 / (2 * term + 1) + square * series
    return 2 * (t * series)
