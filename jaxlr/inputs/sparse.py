"""Sparse designs at the edge: what SciPy, JAX and pandas have, as one kind.

Duplicates are added up, and the matrix is laid out by rows and by columns; on the host zeros are dropped too.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO, BCSR, JAXSparse
from jaxtyping import Bool

from jaxlr.inputs.memory import aligned, bytes_free
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.csr import Csr
from jaxlr.linalg.sparse import Sparse, from_entries

_MOST = 2**31 - 1  # that an index of 32 bits holds


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix of SciPy or JAX, a table with sparse columns, or a `Sparse`."""
    return isinstance(value, (Sparse, JAXSparse)) or hasattr(value, "tocsr") or _has_sparse_columns(value)


def sparse_design(value: Any) -> Sparse:
    """The design of a sparse matrix (m, n); of NumPy arrays where its numbers are known.

    Args:
        value: as `is_sparse` knows them: scipy.sparse of any format, BCOO or BCSR without batch and dense axes, a table.

    Raises:
        TypeError: numbers that are not real, or another kind of JAX.
        ValueError: no matrix, or too many entries.
    """
    if isinstance(value, Sparse):
        return value
    if isinstance(value, JAXSparse):
        if not isinstance(value, (BCOO, BCSR)):
            raise TypeError(f"expected X as BCSR or BCOO, or as scipy.sparse, got {type(value).__name__}")
        if value.ndim != 2 or value.n_batch or value.n_dense:
            raise ValueError(f"expected X (m, n) without batch and dense axes in {type(value).__name__}, got {value!r}")
        return _of_jax(value)
    import scipy.sparse

    if hasattr(value, "tocsr"):
        if value.ndim != 2:
            raise ValueError(f"expected X (m, n), got a sparse array of shape {value.shape}")
        return _of_scipy(value)
    if len({str(dtype) for dtype in value.dtypes}) == 1 and getattr(value.dtypes.iloc[0], "fill_value", 1) == 0:
        return _of_scipy(value.sparse.to_coo())
    columns = [scipy.sparse.csc_array(np.asarray(value.iloc[:, j], float)[:, None]) for j in range(value.shape[1])]
    return _of_scipy(scipy.sparse.hstack(columns))


def to_scipy(X: Sparse) -> Any:
    """A known design as scipy.sparse.csr_array."""
    import scipy.sparse

    data, indices, indptr = map(np.asarray, X.rows)
    count = indptr[-1]
    return scipy.sparse.csr_array((data[:count], indices[:count], indptr), shape=X.shape)


def to_dense(X: Sparse) -> Any:
    """A design as an array, of NumPy where its numbers are known.

    Raises:
        MemoryError: it would not fit; nothing was allocated.
    """
    m, n = X.shape
    needed, free = m * n * X.dtype.itemsize, bytes_free()
    if needed > free:
        raise MemoryError(
            f"X, sparse, has to be dense here, {needed / 2**30:.3g} GiB for shape {X.shape}, and {free / 2**30:.3g} GiB are "
            "free; in jaxlr.fit a sparse X stays so where every column has a penalty, without mesh"
        )
    return to_scipy(X).toarray() if is_concrete(X.rows.data) and is_concrete(X.rows.indices) else X.to_array()


def columns_of(X: Sparse, columns: Bool[np.ndarray, " n"]) -> Sparse:
    """Some columns of a known design.

    Args:
        X: (m, n), of NumPy or JAX arrays.
        columns: which of them.
    """
    return _of_scipy(to_scipy(X)[:, np.flatnonzero(columns)])


def _of_scipy(matrix: Any) -> Sparse:
    if matrix.dtype.kind not in "fiub":
        raise TypeError(f"expected X to be real, got a sparse matrix of dtype {matrix.dtype}; convert it to float first")
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize not in (4, 8):
        matrix = matrix.astype(np.dtype(jnp.result_type(float)))
    rows = matrix.tocsr()
    if not rows.has_canonical_format or not np.all(rows.data):
        rows = rows.copy() if rows is matrix else rows
        rows.sum_duplicates()
        rows.eliminate_zeros()
    if rows.nnz > _MOST or max(rows.shape) > _MOST:
        raise ValueError(f"expected at most {_MOST} entries, rows and columns in a sparse X, got {rows.nnz} and {rows.shape}")
    columns = rows.tocsc()

    def compressed(part: Any) -> Csr:
        indices, indptr = (aligned(at.astype(np.int32, copy=False)) for at in (part.indices, part.indptr))
        return Csr(aligned(part.data), indices, indptr)

    design, (m, n) = Sparse(compressed(rows), compressed(columns)), rows.shape
    return design if rows.nnz else design.padded(m, n, 1)  # XLA takes no empty matrix


def _of_jax(value: Any) -> Sparse:
    concrete = all(map(is_concrete, (value.data, value.indices)))
    m, n = value.shape
    if isinstance(value, BCSR):
        row, column = Csr(value.data, value.indices, value.indptr).row_of_entries(), value.indices
    else:
        row, column = value.indices[:, 0], value.indices[:, 1]
    if not concrete:
        return from_entries(value.data, row.astype(np.int32), column.astype(np.int32), (m, n))
    import scipy.sparse

    data, row, column = map(np.asarray, (value.data, row, column))
    there = (row >= 0) & (row < m) & (column >= 0) & (column < n)  # JAX fills up with entries behind the last row or column
    return _of_scipy(scipy.sparse.coo_array((data[there], (row[there], column[there])), shape=(m, n)))


def _has_sparse_columns(value: Any) -> bool:
    if not (hasattr(value, "columns") and hasattr(value, "to_numpy") and hasattr(value, "dtypes")):
        return False
    return any(getattr(dtype, "subtype", None) is not None for dtype in value.dtypes)


def density(X: Sparse) -> float:
    """The share of places that have an entry."""
    return X.num_entries / max(math.prod(X.shape), 1)
