"""Products with sparse matrices, rows compressed (CSR): one primitive of JAX, with the rules that it needs.

    (A V)_il = sum_e data_e V_{indices_e, l},    e from indptr_i to indptr_{i+1}

On a CPU `jax.experimental.sparse.BCSR` @ array is a kernel of jaxlib, threaded over rows: 15 to 20 times as fast as what plain
`jax.vmap` of it falls back to. So the batching rule is our own: models side by side are columns of ONE product. The kernel
takes columns in packets, and 3 times as long for 10 as for 16, so that columns are filled up to whole packets; more than a few
packets at a time would not stay near the core. Where a platform lacks the kernel, BCSR has another road to the same numbers.

A product is linear in V: its derivative is the same product, its transpose that of the transposed matrix.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int

_PACKET = 8  # columns, of float32 with 256 bits; of float64 two
_AT_ONCE = 64  # columns


class Csr(NamedTuple):
    """A matrix (m, k), its entries row by row, no place twice; those behind the last of `indptr` do not count.

    Attributes:
        data: (e,).
        indices: columns of the entries (e,), int32 or int64.
        indptr: where rows begin and end (m + 1,), likewise.
    """

    data: Any
    indices: Any
    indptr: Any

    def row_of_entries(self) -> Int[Array, " e"]:
        """The row of each entry, m for those that do not count."""
        ends = self.indptr[1:]
        return jnp.cumsum(jnp.zeros_like(self.indices).at[ends].add(1, mode="drop"), dtype=self.indices.dtype)

    def with_rows(self, at: Int[Array | np.ndarray, " c"]) -> "Csr":
        """Some of the rows, with as many places for entries."""
        starts, counts = self.indptr[at], self.indptr[at + 1] - self.indptr[at]
        indptr = jnp.concatenate([jnp.zeros(1, counts.dtype), jnp.cumsum(counts, dtype=counts.dtype)])
        rows = Csr(self.data, self.indices, indptr)
        row = jnp.minimum(rows.row_of_entries(), len(at) - 1)
        entry = starts[row] + jnp.arange(len(self.data), dtype=counts.dtype) - indptr[row]
        data, indices = (part.at[entry].get(mode="clip") for part in self[:2])
        return Csr(data, indices, indptr)

    def with_columns(self, place: Int[Array, " k"], count: int) -> "Csr":
        """Some of the columns, at places of their own; those placed at `count` are left out."""
        column = place[self.indices]
        kept = (column < count) & (jnp.arange(len(self.data), dtype=self.indptr.dtype) < self.indptr[-1])
        before = jnp.concatenate([jnp.zeros(1, self.indptr.dtype), jnp.cumsum(kept, dtype=self.indptr.dtype)])
        to = jnp.where(kept, before[:-1], len(self.data))
        data, indices = (jnp.zeros_like(part).at[to].set(part, mode="drop") for part in (self.data, column))
        return Csr(data, indices, before[self.indptr])


def product(A: Csr, transposed: Csr, v: Float[Array, "*K k"]) -> Float[Array, "*K m"]:
    """A v, over the last axis, for a matrix that is given both ways.

    Args:
        A: the matrix (m, k).
        transposed: A' (k, m), of the same entries: for derivatives.
        v: a vector, or several along its first axes, of A's dtype.
    """
    if not v.shape[-1]:
        return jnp.zeros((*v.shape[:-1], A.indptr.shape[0] - 1), v.dtype)
    columns = v.reshape(-1, v.shape[-1]).T
    return _product().bind(*A, *transposed, columns).T.reshape(*v.shape[:-1], -1)


def _by_kernel(data: Array, indices: Array, indptr: Array, *operands: Array) -> Float[Array, "m L"]:
    from jax.experimental.sparse import BCSR  # which takes a fifth of a second to import

    *_, V = operands
    k, L = V.shape
    A = BCSR((data, indices, indptr), shape=(indptr.shape[0] - 1, k))
    if L <= _AT_ONCE:
        return (A @ jnp.pad(V, ((0, 0), (0, -L % _PACKET))))[:, :L]
    count = -(-L // _AT_ONCE)
    size = -(-L // (count * _PACKET)) * _PACKET
    blocks = jnp.pad(V, ((0, 0), (0, count * size - L))).reshape(k, count, size)
    products = jax.lax.map(lambda i: A @ blocks[:, i], jnp.arange(count, dtype=np.int32))
    return jnp.moveaxis(products, 0, 1).reshape(-1, count * size)[:, :L]


def _shape_of_product(data: Any, indices: Any, indptr: Any, *operands: Any) -> Any:
    *_, V = operands
    return ShapedArray((indptr.shape[0] - 1, V.shape[1]), V.dtype)


def _side_by_side(operands: tuple[Array, ...], axes: tuple[int | None, ...]) -> tuple[Array, int]:
    """Of one matrix and many V one product; of many matrices one after the other."""
    *matrix, V = operands
    *axes_of_matrix, axis = axes
    if axis is not None and not any(own is not None for own in axes_of_matrix):
        V = jnp.moveaxis(V, axis, 1)
        k, count, L = V.shape
        return _product().bind(*matrix, V.reshape(k, count * L)).reshape(-1, count, L), 1
    mapped = [jnp.moveaxis(leaf, own, 0) for leaf, own in zip(operands, axes, strict=True) if own is not None]

    def one(own: list[Array]) -> Array:
        rest = iter(own)
        return _product().bind(*(leaf if at is None else next(rest) for leaf, at in zip(operands, axes, strict=True)))

    return jax.lax.map(one, mapped), 0


def _derivative(operands: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Any]:
    """In V, and in the numbers of the matrix."""
    data, indices, indptr, *_, V = operands
    value = _product().bind(*operands)
    moved = []
    if not isinstance(tangents[-1], ad.Zero):
        moved.append(_product().bind(*operands[:-1], tangents[-1]))
    if not isinstance(tangents[0], ad.Zero):
        terms = tangents[0][:, None] * V[indices]
        row = Csr(data, indices, indptr).row_of_entries()
        moved.append(jax.ops.segment_sum(terms, row, num_segments=len(indptr) - 1, indices_are_sorted=True))
    return value, sum(moved[1:], moved[0]) if moved else ad.Zero.from_primal_value(value)  # pyright: ignore[reportAttributeAccessIssue]


def _transposed(cotangent: Any, *operands: Any) -> tuple[Any, ...]:
    matrix, V = operands[:6], operands[6]
    result = ad.Zero(V.aval) if isinstance(cotangent, ad.Zero) else _product().bind(*matrix[3:], *matrix[:3], cotangent)
    return *[None] * 6, result


@functools.cache
def _product() -> Any:
    """The primitive, with its rules."""
    from jax.extend.core import Primitive  # with it JAX imports Pallas, an eighth of the time of `import jaxlr`

    primitive = Primitive("sparse_product")
    primitive.def_impl(jax.jit(_by_kernel))
    primitive.def_abstract_eval(_shape_of_product)
    batching.primitive_batchers[primitive] = _side_by_side
    ad.primitive_jvps[primitive] = _derivative
    ad.primitive_transposes[primitive] = _transposed
    mlir.register_lowering(primitive, mlir.lower_fun(_by_kernel, multiple_results=False))
    return primitive
