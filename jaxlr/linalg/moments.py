"""Moments of columns that neither overflow nor lose a constant column: sums of numbers brought to [0, 1].

mean_j = sum_i w_i X_ij        sd_j^2 = sum_i w_i (X_ij - mean_j)^2        w sums to 1
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.dot import AnyArray, dot, einsum

_BLOCK = 2**24  # bytes of a block of columns
_FEWEST = 64  # columns of one: shorter rows are read slowly
_ROWS = 2**10  # whose terms are added one after the other: of millions, in float32, that loses three digits or more
_AT_A_TIME, _ROWS_OF_GRAM = 32, 256
_DOWN, _UP = 2.0**-4, 2.0**64  # so that differences of large numbers are finite, and those of small ones are not flushed to 0


def column_moments(
    X: Float[AnyArray, "... m n"], w: Float[AnyArray, "... m"]
) -> tuple[Float[AnyArray, "... n"], Float[AnyArray, "... n"]]:
    """Mean and standard deviation of the columns under weights that sum to 1.

    Args:
        X: design (m, n), of NumPy or JAX; further axes in front broadcast.
        w: weights (m,) that sum to 1, likewise.

    Returns:
        mean (n,) and sd (n,); sd is exactly 0 for a column that is constant over the rows of positive weight.
    """
    xp = X.__array_namespace__()
    present = (w > 0)[..., None]
    every = isinstance(present, np.ndarray) and bool(present.all())  # what is known then needs no look at each number
    counted = (lambda values, _: values) if every else lambda values, other: xp.where(present, values, other)
    largest = xp.max(xp.abs(counted(X, 0)), axis=-2, initial=0)
    unit = xp.where(largest < 1, _UP, _DOWN).astype(X.dtype)
    X = X * unit[..., None, :]
    lowest = xp.min(counted(X, xp.inf), axis=-2, initial=xp.inf)
    above = counted(X - lowest[..., None, :], 0)  # exactly 0 in a constant column
    span = xp.max(above, axis=-2, initial=0)
    span = xp.where(span > 0, span, 1)
    share = above / span[..., None, :]  # squares neither overflow nor vanish
    mean = _over_rows(w, share)
    variance = _over_rows(w, (share - mean[..., None, :]) ** 2)
    return (lowest + span * mean) / unit, span * xp.sqrt(variance) / unit


def _over_rows(w: Float[AnyArray, "... m"], X: Float[AnyArray, "... m n"]) -> Float[AnyArray, "... n"]:
    """sum_i w_i X_ij, of many rows by blocks."""
    whole = X.shape[-2] - X.shape[-2] % _ROWS
    if whole <= _ROWS:
        return einsum("...m,...mn->...n", w, X)
    blocks = X[..., :whole, :].reshape(*X.shape[:-2], -1, _ROWS, X.shape[-1])
    of_blocks = einsum("...bs,...bsn->...bn", w[..., :whole].reshape(*w.shape[:-1], -1, _ROWS), blocks)
    return of_blocks.sum(axis=-2) + einsum("...m,...mn->...n", w[..., whole:], X[..., whole:, :])


def sum_over_rows(terms: Float[Array, "m n"]) -> Float[Array, " n"]:
    """The sum of the rows, known to few eps of their sizes however many they are: 32 neighbours are added, and then their sums.
    In one sum terms of which many are equal, such as those of two levels, round in the same direction: 80 eps of 3,000 rows in
    float32, and in a product of a vector and a narrow matrix thousands."""
    while (m := len(terms)) > _AT_A_TIME:
        whole = -(-m // _AT_A_TIME)
        filled = jnp.pad(terms, ((0, whole * _AT_A_TIME - m), (0, 0)))
        terms = jnp.sum(filled.reshape(whole, _AT_A_TIME, -1), axis=1)
    return jnp.sum(terms, axis=0)


def gram_over_rows(V: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """V' V, likewise: products of a few hundred rows, and then their sums."""
    m, n = V.shape
    size = max(_ROWS_OF_GRAM, n)
    whole = m - m % size
    rest = dot(V[whole:].T, V[whole:])
    if not whole:
        return rest
    blocks = V[:whole].reshape(-1, size, n)
    return rest + sum_over_rows(einsum("brk,brl->bkl", blocks, blocks).reshape(-1, n * n)).reshape(n, n)


def exponent_of_largest(x: Float[Array, "..."], axis: int) -> Int[Array, "..."]:
    """The k with max |x| = f 2^k, 1/2 <= f < 1: what to hand to `times_power_of_two` as -k, so that no sum overflows.

    Args:
        x: floating array.
        axis: along which the largest is taken.

    Returns:
        int32, x's shape with 1 for the axis; 0 where all are 0 or subnormal, or one is not finite.

    Example:
        >>> exponent_of_largest(jnp.array([3.0, -4.0]), axis=0).tolist()
        [3]
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True))
    form = _Bits.of(x.dtype)
    biased = jax.lax.bitcast_convert_type(largest, form.integer) >> form.mantissa
    known = (biased > 0) & (biased <= 2 * form.bias)
    return jnp.where(known, biased - (form.bias - 1), 0).astype(jnp.int32)


def times_power_of_two(x: Float[Array, "..."], k: Int[Array, "..."]) -> Float[Array, "..."]:
    """x 2^k, exact where the result is a normal number.

    Args:
        x: floating array.
        k: int32, of x's rank.

    Returns:
        Array of the broadcast shape, x's dtype.

    Example:
        >>> times_power_of_two(jnp.array([3.0]), jnp.array([-2])).tolist()
        [0.75]
    """
    form, half = _Bits.of(x.dtype), k >> 1  # 2^k may overflow, or be a subnormal that is flushed to 0, where x 2^k does neither
    for part in (half, k - half):
        x = x * jax.lax.bitcast_convert_type((part.astype(form.integer) + form.bias) << form.mantissa, x.dtype)
    return x


class _Bits(NamedTuple):
    """How a floating dtype writes 2^k: k + bias, shifted by the digits of the mantissa. Functions of jax.numpy take dozens of
    operations for it."""

    integer: jnp.dtype
    mantissa: int
    bias: int

    @classmethod
    def of(cls, dtype: Any) -> "_Bits":
        info = jnp.finfo(dtype)
        return cls(jnp.dtype(f"int{info.bits}"), info.nmant, 1 - int(info.minexp))


def by_columns(function: Callable[[Array], Any], X: Float[Array, "m n"]) -> Any:
    """What a function finds out about every column of a design (n,), in blocks of columns where the design is large: arrays of
    its size are slow to come by."""
    m, n = X.shape
    size = _BLOCK // (m * X.dtype.itemsize)
    if not _FEWEST <= size < n // 2:
        return function(X)
    starts = np.minimum(np.arange(0, n, size), n - size)  # the last block begins early enough to be whole
    found = jax.lax.map(lambda start: function(jax.lax.dynamic_slice_in_dim(X, start, size, axis=1)), starts)
    block = np.arange(n) // size
    return jax.tree.map(lambda values: values[block, np.arange(n) - starts[block]], found)


def moments_of_lanes(A: Float[Array, "m k"], w: Float[Array, "L m"], n: int) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
    """`column_moments` of the first n columns under many rows of weights that sum to 1: two matrix products wherever their
    digits are enough.

    A has columns near the origin, in units of about their deviation; deviations are right to a relative 1e-4 at least, enough
    for the unit of a residual.
    """
    squares, mean = dot(w, A * A)[:, :n], dot(w, A)[:, :n]
    each = lambda: jax.lax.map(lambda w: by_columns(lambda A: column_moments(A, w), A[:, :n]), w)  # noqa: E731
    return from_squares(squares, mean, each)


def from_squares(
    squares: Float[Array, "L n"],
    mean: Float[Array, "L n"],
    each: Callable[[], tuple[Float[Array, "L n"], Float[Array, "L n"]]],
    least: float | None = None,
) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
    """Means and standard deviations of mean squares, wherever their digits are enough.

    Args:
        squares: of columns under L rows of weights.
        mean: likewise.
        each: the same in full precision, for when they are not.
        least: share of a mean square that its variance has to be, for it loses as many digits; None is what the unit of a
            residual needs, a relative 1e-4.
    """
    variance = squares - mean**2
    few_digits = (variance < (1e4 * float(jnp.finfo(mean.dtype).eps) if least is None else least) * squares) & (squares > 0)
    return jax.lax.cond(jnp.any(few_digits), each, lambda: (mean, jnp.sqrt(jnp.maximum(variance, 0))))
