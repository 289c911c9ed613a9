"""Products of full precision, in one place: on GPU and TPU the default is less, and a certificate at that is worthless."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

AnyArray = TypeVar("AnyArray", Array, np.ndarray)  # of functions that are written for both, in the namespace of their array

_HIGHEST = jax.lax.Precision.HIGHEST


def dot(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jnp.dot` at the highest precision."""
    return jnp.dot(a, b, precision=_HIGHEST)


def einsum(form: str, *operands: Any) -> Any:
    """`jnp.einsum` at the highest precision; of NumPy's arrays on the host."""
    if all(isinstance(operand, np.ndarray) for operand in operands):
        return np.einsum(form, *operands)
    return jnp.einsum(form, *operands, precision=_HIGHEST)


def times(A: Float[Array, "m k"], v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
    """A v, for every row of v, over the last axis of both: `dot(v, A.T)` is the same, but for one vector XLA on a CPU copies A
    transposed, which takes 3 to 17 times as long as the product.

    Args:
        A: matrix.
        v: a vector, or several along its first axes.
    """
    return einsum("...k,mk->...m", v, A)


def aligned(vector: Shaped[Array, "..."], like: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """A vector over the last axis with axes of length 1 in front, to the rank of `like`: what belongs to a row or a column
    belongs to all classes."""
    return vector.reshape((1,) * (like.ndim - vector.ndim) + vector.shape)
