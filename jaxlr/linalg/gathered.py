"""Columns that were gathered for a working set: work follows how many are in use, not how many there is room for.

    Gathered         the rows of A', of which the last few are in use
    Transposed       a dense A', to gather from

The Gram matrix is made of blocks of columns, in loops over those in use, and only on and over the diagonal.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.dot import dot, times

_BLOCK = 64  # columns


class Transposed(NamedTuple):
    """A dense A' (k, m), to gather columns of A from."""

    rows: Any

    def restricted(self, at: Int[Array, " c"], used: Int[Array, ""]) -> "Gathered":
        """Some columns, of which the last `used` count."""
        return Gathered(self.rows[at], used)


class Gathered(NamedTuple):
    """A', a row for each column (k, m). The last `used` (and what else their blocks hold) have a Gram matrix, the others must
    not move."""

    rows: Any
    used: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of A."""
        return self.rows.shape[::-1]

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.rows.dtype

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
        """A v."""
        return dot(v, self.rows)

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K k"]:
        """A' r."""
        return times(self.rows, r)

    def gram(self, d: Float[Array, "*P m"]) -> Float[Array, "*P k k"]:
        """A' diag(d) A, for every row of d; 0 for columns that are not in use."""
        if d.ndim > 1:
            return jax.lax.map(self.gram, d)
        k = self.rows.shape[0]
        size = min(_BLOCK, k)
        num_blocks = -(-k // size)
        filled = num_blocks * size - k  # the first block begins so far in front of the first column: it overlaps the second
        first = jnp.maximum(num_blocks - -(-self.used // size), 0).astype(np.int32)

        def begin(i: Array) -> Array:
            return jnp.maximum(i * size - filled, 0).astype(np.int32)

        def block(i: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(self.rows, begin(i), size)

        def of_column(i: Array, G: Array) -> Array:
            weighted = block(i) * d[None, :]

            def pair(j: Array, G: Array) -> Array:
                return jax.lax.dynamic_update_slice(G, times(block(j), weighted), (begin(i), begin(j)))

            return jax.lax.fori_loop(first, i + 1, pair, G)

        G = jax.lax.fori_loop(first, np.int32(num_blocks), of_column, jnp.zeros((k, k), d.dtype))
        return jnp.where(np.tri(k, dtype=bool), G, G.T)
