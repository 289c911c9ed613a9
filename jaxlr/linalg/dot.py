"""Products of full precision, in one place: on GPU and TPU the default is less, and a certificate at that is worthless."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

_HIGHEST = jax.lax.Precision.HIGHEST


def dot(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jnp.dot` at the highest precision."""
    return jnp.dot(a, b, precision=_HIGHEST)


def einsum(form: str, *operands: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jnp.einsum` at the highest precision."""
    return jnp.einsum(form, *operands, precision=_HIGHEST)


def aligned(vector: Shaped[Array, "..."], like: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """A vector over the last axis with axes of length 1 in front, to the rank of `like`: what belongs to a row or a column
    belongs to all classes."""
    return vector.reshape((1,) * (like.ndim - vector.ndim) + vector.shape)
