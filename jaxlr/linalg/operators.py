"""Designs that are never formed: products with them need no copy of the data.

    [own common]                         one column of a model's own beside a block that many models share
    [(X - center) / unit, 1]             standardized columns, of X as it lies in memory

Under `jax.vmap` over the own columns alone, everything that touches the shared block is one matrix product for all models.
Functions of this file take ordinary arrays too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HIGHEST = jax.lax.Precision.HIGHEST
_BLOCKS = 512


class Bordered(NamedTuple):
    """[own common]: the own column comes first.

    Attributes:
        own: (m,).
        common: (m, c).
    """

    own: Any
    common: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.common.shape[0], self.common.shape[1] + 1

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.common.dtype


class Standardized(NamedTuple):
    """[(X - center) / unit, ones], for columns whose center is not so far out that the difference would lose digits.

    Attributes:
        X: (m, n).
        center: (n,).
        unit: (n,).
        ones: (1,) of 1 for a last column of ones, (0,) without.
    """

    X: Any
    center: Any
    unit: Any
    ones: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1] + self.ones.shape[0]

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.X.dtype


Matrix = Float[Array, "_ _"] | Bordered | Standardized


def times(A: Matrix, v: Float[Array, " k"]) -> Float[Array, " m"]:
    """A v.

    Args:
        A: (m, k).
        v: (k,).

    Returns:
        (m,).
    """
    if isinstance(A, Bordered):
        return A.own * v[0] + jnp.dot(v[1:], A.common.T, precision=_HIGHEST)
    if isinstance(A, Standardized):
        n = A.X.shape[1]
        u = v[:n] / A.unit
        return jnp.dot(u, A.X.T, precision=_HIGHEST) + (jnp.sum(v[n:]) - jnp.dot(A.center, u, precision=_HIGHEST))
    return jnp.dot(v, A.T, precision=_HIGHEST)


def times_transposed(A: Matrix, r: Float[Array, " m"]) -> Float[Array, " k"]:
    """A' r.

    Args:
        A: (m, k).
        r: (m,).

    Returns:
        (k,).
    """
    if isinstance(A, Bordered):
        return jnp.append(jnp.sum(A.own * r), jnp.dot(r, A.common, precision=_HIGHEST))
    if isinstance(A, Standardized):
        total, m = jnp.sum(r), A.shape[0]
        # In blocks, which all cores share; over all rows at once it would be the work of one.
        blocks = next(count for count in range(min(m, _BLOCKS), 0, -1) if m % count == 0)
        r, X = r.reshape(blocks, 1, m // blocks), A.X.reshape(blocks, m // blocks, -1)
        sums = jnp.sum(jnp.matmul(r, X, precision=_HIGHEST), axis=(0, 1))
        return jnp.append((sums - A.center * total) / A.unit, total * A.ones)
    return jnp.dot(r, A, precision=_HIGHEST)


def first_columns(A: Matrix, n: int) -> Matrix:
    """The first columns.

    Args:
        A: (m, k).
        n: static, >= 1 for a bordered design; all but the ones for a standardized one.

    Returns:
        (m, n).
    """
    if isinstance(A, Bordered):
        return Bordered(A.own, A.common[:, : n - 1])
    return A._replace(ones=A.ones[:0]) if isinstance(A, Standardized) else A[:, :n]
