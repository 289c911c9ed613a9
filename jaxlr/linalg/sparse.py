"""Sparse designs: a matrix by its rows and by its columns, each compressed, with those methods of a design that need no
dense columns.

Nothing here is ever made dense but columns that are asked for. Origin and units of columns are not put into the numbers, which
would fill the matrix, but taken into account around the products (`jaxlr.linalg.operators.Standardized`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.csr import Csr, product
from jaxlr.linalg.moments import from_squares

_ENTRIES = 2**10  # of a column whose terms are added one after the other, as rows are in `jaxlr.linalg.moments`


class Sparse(NamedTuple):
    """A matrix (m, n) by its rows and by its columns.

    Attributes:
        rows: the matrix.
        columns: the transposed matrix.
    """

    rows: Csr
    columns: Csr

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.indptr.shape[0] - 1, self.columns.indptr.shape[0] - 1

    @property
    def ndim(self) -> int:
        """As of an array."""
        return 2

    @property
    def dtype(self) -> jnp.dtype:
        """That of the numbers."""
        return self.rows.data.dtype

    @property
    def nbytes(self) -> int:
        """What the entries take, both ways."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))

    @property
    def num_entries(self) -> int:
        """Places for entries."""
        return self.rows.data.shape[0]

    def with_data(self, function: Any) -> "Sparse":
        """The matrix of a function of each number, one that leaves 0 at 0."""
        return Sparse(*(part._replace(data=function(part.data)) for part in self))

    def astype(self, dtype: Any) -> "Sparse":
        """In another dtype."""
        return self if self.dtype == dtype else self.with_data(lambda data: data.astype(dtype))

    def padded(self, m: int, n: int, entries: int) -> "Sparse":
        """With empty rows and columns, and room for entries that do not count; of NumPy arrays."""

        def filled(part: Csr, size: int) -> Csr:
            more = entries - len(part.data)
            indptr = np.pad(part.indptr, (0, size + 1 - len(part.indptr)), mode="edge")
            return Csr(np.pad(part.data, (0, more)), np.pad(part.indices, (0, more)), indptr)

        return Sparse(filled(self.rows, m), filled(self.columns, n))

    def times(self, v: Float[Array, "*K n"]) -> Float[Array, "*K m"]:
        """X v."""
        return product(self.rows, self.columns, v)

    def transposed_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K n"]:
        """X' r."""
        return product(self.columns, self.rows, r)

    def squares_times(self, r: Float[Array, "*K m"]) -> Float[Array, "*K n"]:
        """X^2' r, of the squares of the entries."""
        return self.with_data(jnp.square).transposed_times(r)

    def absolute(self) -> "Sparse":
        """The sizes of the numbers."""
        return self.with_data(jnp.abs)

    def gather(self, at: Int[Array | np.ndarray, " c"]) -> Float[Array, "c m"]:
        """Some columns as rows of an array; n is a column of zeros."""
        count, (m, n) = len(at), self.shape
        place = jnp.full(n, count, np.int32).at[at].set(jnp.arange(count, dtype=np.int32), mode="drop")
        row = place.at[self.columns.row_of_entries()].get(mode="fill", fill_value=count)
        zeros = jnp.zeros((count, m), self.dtype)
        return zeros.at[row, self.columns.indices].add(self.columns.data, mode="drop")

    def restricted(self, at: Int[Array | np.ndarray, " c"]) -> "Sparse":
        """Some of the columns, with as many places for entries."""
        count = len(at)
        place = jnp.full(self.shape[1], count, self.rows.indices.dtype).at[at].set(np.arange(count, dtype=np.int32))
        return Sparse(self.rows.with_columns(place, count), self.columns.with_rows(at))

    def to_array(self) -> Float[Array, "m n"]:
        """The matrix itself."""
        return self.gather(jnp.arange(self.shape[1], dtype=np.int32)).T

    def moments(self, w: Float[Array, " m"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Mean and standard deviation of the columns under weights that sum to 1; the latter exactly 0 for a column that is
        constant over the rows of positive weight (see `jaxlr.linalg.moments.column_moments`)."""
        columns, n = self.columns, self.shape[1]
        column, own = columns.row_of_entries(), w[columns.indices]
        there = own > 0
        piece = column + np.arange(len(own), dtype=column.dtype) // _ENTRIES  # rises with every column, and within a long one
        num_pieces = n + len(own) // _ENTRIES
        column_of_piece = jnp.full(num_pieces, n, column.dtype).at[piece].set(column, mode="drop")

        def over_entries(combine: Any, values: Array) -> Array:
            of_pieces = combine(values, piece, num_segments=num_pieces, indices_are_sorted=True)
            return combine(of_pieces, column_of_piece, num_segments=n)

        def of_column(values: Array) -> Array:
            return values.at[column].get(mode="clip")

        count = over_entries(jax.ops.segment_sum, there.astype(np.int32))
        has_zeros = count < jnp.sum(w > 0, dtype=np.int32)
        absent = jnp.where(has_zeros, jnp.maximum(1 - over_entries(jax.ops.segment_sum, own), 0), 0)
        lowest = over_entries(jax.ops.segment_min, jnp.where(there, columns.data, jnp.inf))
        lowest = jnp.where(has_zeros, jnp.minimum(lowest, 0), jnp.where(count > 0, lowest, 0))
        above = jnp.where(there, columns.data - of_column(lowest), 0)  # exactly 0 in a constant column
        span = jnp.maximum(over_entries(jax.ops.segment_max, above), jnp.where(has_zeros, -lowest, 0))
        span = jnp.where(span > 0, span, 1)  # squares neither overflow nor vanish
        share, of_zeros = above / of_column(span), jnp.where(has_zeros, -lowest / span, 0)
        mean = over_entries(jax.ops.segment_sum, own * share) + absent * of_zeros
        squares = over_entries(jax.ops.segment_sum, own * (share - of_column(mean)) ** 2)
        variance = squares + absent * (of_zeros - mean) ** 2
        return lowest + span * mean, span * jnp.sqrt(variance)

    def moments_of_lanes(
        self, w: Float[Array, "L m"], least: float | None = None
    ) -> tuple[Float[Array, "L n"], Float[Array, "L n"]]:
        """`moments` under many rows of weights: two products wherever their digits are enough (`from_squares`)."""
        return from_squares(self.squares_times(w), self.transposed_times(w), lambda: jax.lax.map(self.moments, w), least)

    def moments_about(self, w: Float[Array, " m"], center: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Mean less center, and standard deviation."""
        mean, sd = self.moments(w)
        return mean - center, sd


def from_entries(data: Array, row: Int[Array, " e"], column: Int[Array, " e"], shape: tuple[int, int]) -> Sparse:
    """The matrix of entries in any order, those of one place added up; those out of the matrix do not count. Inside jit, where
    the host cannot sort them."""
    m, n = shape
    if not len(data):  # XLA takes no empty matrix
        data, row, column = (jnp.full(1, end, part.dtype) for part, end in ((data, 0), (row, m), (column, n)))
    there = (row >= 0) & (row < m) & (column >= 0) & (column < n)
    row, column = (jnp.where(there, at, end) for at, end in ((row, m), (column, n)))
    order = jnp.lexsort((column, row))
    data, row, column = data[order], row[order], column[order]
    begins = jnp.append(True, (row[1:] != row[:-1]) | (column[1:] != column[:-1]))
    place = jnp.cumsum(begins) - 1
    data = jax.ops.segment_sum(data, place, num_segments=len(data), indices_are_sorted=True)
    row, column = (jnp.full_like(at, end).at[place].set(at) for at, end in ((row, m), (column, n)))

    def compressed(first: Array, second: Array, size: int) -> Csr:
        order = jnp.lexsort((second, first))
        indptr = jnp.searchsorted(first[order], jnp.arange(size + 1, dtype=first.dtype)).astype(first.dtype)
        return Csr(data[order], second[order], indptr)

    return Sparse(compressed(row, column, m), compressed(column, row, n))
