"""A design of columns that many models share and one column of a model's own, without a copy of the shared block.

    X v = own v_0 + common v_1..c         X' r = (own . r, common' r)

Under `jax.vmap` over the own columns alone, everything that touches the shared block is one matrix product for all models.
Functions of this file take ordinary arrays too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HIGHEST = jax.lax.Precision.HIGHEST


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


Matrix = Float[Array, "_ _"] | Bordered


def times(X: Matrix, v: Float[Array, " k"]) -> Float[Array, " m"]:
    """X v.

    Args:
        X: (m, k).
        v: (k,).

    Returns:
        (m,).
    """
    if isinstance(X, Bordered):
        return X.own * v[0] + jnp.dot(v[1:], X.common.T, precision=_HIGHEST)
    return jnp.dot(v, X.T, precision=_HIGHEST)


def times_transposed(X: Matrix, r: Float[Array, " m"]) -> Float[Array, " k"]:
    """X' r.

    Args:
        X: (m, k).
        r: (m,).

    Returns:
        (k,).
    """
    if isinstance(X, Bordered):
        return jnp.append(jnp.sum(X.own * r), jnp.dot(r, X.common, precision=_HIGHEST))
    return jnp.dot(r, X, precision=_HIGHEST)


def squared(X: Matrix) -> Matrix:
    """The square of every entry.

    Args:
        X: (m, k).

    Returns:
        (m, k).
    """
    return jax.tree.map(lambda part: part * part, X)


def first_columns(X: Matrix, n: int) -> Matrix:
    """The first columns.

    Args:
        X: (m, k).
        n: static, >= 1 for a bordered design.

    Returns:
        (m, n).
    """
    return Bordered(X.own, X.common[:, : n - 1]) if isinstance(X, Bordered) else X[:, :n]
