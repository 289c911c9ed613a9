"""Sparse designs at the edge: what SciPy, JAX and pandas have, as one kind.

Duplicates are added up, and the matrix is laid out by rows and by columns; on the host zeros are dropped too.
"""

import math
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxlr.inputs.memory import aligned, bytes_free
from jaxlr.inputs.tables import check_numeric, common_float, has_fill, is_concrete
from jaxlr.linalg.csr import Csr
from jaxlr.linalg.sparse import Sparse, from_entries

_MOST = 2**31 - 1  # that an index of 32 bits holds
_FEW = 2**20  # entries, of which there is room for one of few numbers, so that data alike share their programs


def _is_of_jax(value: Any) -> bool:
    """Whether a value is a sparse matrix of JAX, whose module takes a fifth of a second to import."""
    module = sys.modules.get("jax.experimental.sparse")
    return module is not None and isinstance(value, module.JAXSparse)


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix of SciPy or JAX, a table with sparse columns, or a `Sparse`."""
    return isinstance(value, Sparse) or _is_of_jax(value) or hasattr(value, "tocsr") or _has_sparse_columns(value)


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
    if _is_of_jax(value):
        from jax.experimental.sparse import BCOO, BCSR

        if not isinstance(value, (BCOO, BCSR)):
            raise TypeError(f"expected X as BCSR or BCOO, or as scipy.sparse, got {type(value).__name__}; convert it to one")
        if value.ndim != 2 or value.n_batch or value.n_dense:
            raise ValueError(
                f"expected X (m, n) without batch and dense axes in {type(value).__name__}, got {value!r}; pass one design"
            )
        return _of_jax(value)
    import scipy.sparse

    if hasattr(value, "tocsr"):
        if value.ndim != 2:
            raise ValueError(f"expected X (m, n), got a sparse array of shape {value.shape}; reshape it")
        return _of_scipy(value)
    check_numeric("X", value)
    if len({str(dtype) for dtype in value.dtypes}) == 1 and getattr(value.dtypes.iloc[0], "fill_value", 1) == 0:
        return _of_scipy(value.sparse.to_coo())
    held = [getattr(dtype, "subtype", dtype) for dtype in value.dtypes]
    kind = common_float(held)
    numbers = [value.iloc[:, j].to_numpy(dtype=kind, na_value=np.nan) for j in range(len(held))]
    columns = [scipy.sparse.csc_array(np.asarray(column)[:, None]) for column in numbers]
    return _of_scipy(scipy.sparse.hstack(columns))


def to_scipy(X: Sparse) -> Any:
    """A known design as scipy.sparse.csr_array."""
    import scipy.sparse

    data, indices, indptr = map(np.asarray, X.rows)
    count = indptr[-1]
    return scipy.sparse.csr_array((data[:count], indices[:count], indptr), shape=X.shape)


def of_scipy(value: Any) -> Any:
    """A matrix of BCOO or BCSR as scipy.sparse.csr_array, anything else as it is: for libraries that know nothing of JAX."""
    return to_scipy(sparse_design(value)) if _is_of_jax(value) else value


def to_dense(X: Sparse) -> Any:
    """A design as an array, of NumPy where its numbers are known.

    Raises:
        MemoryError: it would not fit; nothing was allocated.
    """
    m, n = X.shape
    needed, free = m * n * X.dtype.itemsize, bytes_free()
    if needed > free:
        raise MemoryError(
            f"expected a sparse X that can be made dense in the {free / 2**30:.3g} GiB that are free, got one of shape "
            f"{X.shape}, {needed / 2**30:.3g} GiB; in jaxlr.fit it stays sparse where every column has a penalty, without mesh"
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
    if hasattr(matrix, "check_format"):
        try:
            matrix.check_format(full_check=True)  # an index out of range would be one into foreign memory
        except ValueError as error:
            raise ValueError(f"expected X with entries of its shape {matrix.shape}, got a broken matrix: {error}") from error
    if matrix.dtype.kind == "b":
        matrix = matrix.tocsr(copy=True)
        matrix.sum_duplicates()  # true twice is true
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize not in (4, 8):
        matrix = matrix.astype(np.dtype(jnp.result_type(float)))
    rows = matrix.tocsr()
    if not rows.has_canonical_format or not np.all(rows.data):
        rows = rows.copy() if rows is matrix else rows
        rows.sum_duplicates()
        rows.eliminate_zeros()
    if rows.nnz > _MOST or max(rows.shape) > _MOST:
        raise ValueError(
            f"expected at most {_MOST} entries, rows and columns in a sparse X, got {rows.nnz} and {rows.shape}; use "
            "jaxlr.fit_stream"
        )
    columns = rows.tocsc()

    def compressed(part: Any) -> Csr:
        indices, indptr = (aligned(at.astype(np.int32, copy=False)) for at in (part.indices, part.indptr))
        return Csr(aligned(part.data), indices, indptr)

    design, (m, n) = Sparse(compressed(rows), compressed(columns)), rows.shape
    return design if rows.nnz > _FEW else design.padded(m, n, rounded_up(max(rows.nnz, 1), 16))  # XLA takes no empty matrix


def _of_jax(value: Any) -> Sparse:
    if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer) or value.dtype == bool):
        raise TypeError(
            f"expected X to be real, got a {type(value).__name__} of dtype {value.dtype}; convert it to float first"
        )
    m, n = value.shape
    if hasattr(value, "indptr"):
        row, column = Csr(value.data, value.indices, value.indptr).row_of_entries(), value.indices
    else:
        row, column = value.indices[:, 0], value.indices[:, 1]
    wide = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize >= 4
    dtype = value.dtype if wide else jnp.result_type(float)
    if not all(map(is_concrete, (value.data, value.indices))):
        # An unsigned index would not fit, and one below 0 counts from the end, as in JAX.
        row, column = (
            jnp.where(at < 0, at + size, at) for at, size in ((row.astype(np.int32), m), (column.astype(np.int32), n))
        )
        design = from_entries(value.data.astype(dtype), row, column, (m, n))
        return design.with_data(jnp.sign) if value.dtype == bool else design
    import scipy.sparse

    data, row, column = map(np.asarray, (value.data, row, column))
    row, column = (np.where(at < 0, at.astype(np.int64) + size, at) for at, size in ((row, m), (column, n)))
    there = (row >= 0) & (row < m) & (column >= 0) & (column < n)  # JAX fills up with entries behind the last row or column
    data = data if data.dtype == bool else data.astype(dtype)
    return _of_scipy(scipy.sparse.coo_array((data[there], (row[there], column[there])), shape=(m, n)))


def _has_sparse_columns(value: Any) -> bool:
    if not (hasattr(value, "columns") and hasattr(value, "to_numpy") and hasattr(value, "dtypes")):
        return False
    return any(has_fill(dtype) for dtype in value.dtypes)


def rounded_up(size: int, in_an_octave: int) -> int:
    """The next of so many sizes from each power of two to the next.

    Args:
        size: >= 1.
        in_an_octave: how many.
    """
    step = max(1, 2 ** (size - 1).bit_length() // (2 * in_an_octave))
    return -(-size // step) * step


def density(X: Sparse) -> float:
    """The share of places that have an entry."""
    return X.num_entries / max(math.prod(X.shape), 1)
