"""Blocks of arrays, tables and files: callables as `jaxlr.fit_stream` takes them, each a few lines."""

import importlib
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from jaxlr.inputs.checks import check_count
from jaxlr.inputs.labels import hint_of_counts

_ROWS = 2**16
T = TypeVar("T", bound=Sequence[Any])


def own_parts(parts: T) -> T:
    """The parts of a list, such as files, that this process of a job streams: as many as the others do, give or take one, that
    follow each other, so that the stream of all processes is the list.

    Args:
        parts: a sequence, the same in all processes, of at least as many parts as there are processes; of the rows of an array
            ``range(len(X))``.

    Returns:
        A slice of it; all, where `jax.distributed` has joined no job.

    Raises:
        ValueError: there are more processes than parts.

    Example:
        >>> own_parts(["a.parquet", "b.parquet"])  # of two processes one would have each
        ['a.parquet', 'b.parquet']
    """
    count, process = jax.process_count(), jax.process_index()
    if len(parts) < count:
        raise ValueError(f"expected at least {count} parts, one for each process, got {len(parts)}; cut them smaller")
    return parts[len(parts) * process // count : len(parts) * (process + 1) // count]  # pyright: ignore[reportReturnType]


def from_arrays(
    X: Any, y: Any = None, *, sample_weight: Any = None, offset: Any = None, rows: int = _ROWS
) -> Callable[[], Iterator[dict[str, Any]]]:
    """Blocks of arrays that slice: on disk (``np.load(path, mmap_mode="r")``, HDF5, Zarr), in memory, sparse ones of SciPy by
    rows.

    Args:
        X: (m, n); a table loses its names, for which there is `from_tables`.
        y: (..., m), soft labels of K classes (..., m, K), or None, for predictions.
        sample_weight: (..., m), or None.
        offset: (..., m) or (..., m, K), or None.
        rows: of a block.

    Returns:
        A callable for `jaxlr.fit_stream` and its neighbours.

    Raises:
        ValueError: a field has another number of rows than X.

    Example:
        >>> import numpy as np
        >>> blocks = from_arrays(np.eye(5), np.array([0, 1, 0, 1, 1]), rows=2)
        >>> [block["y"].tolist() for block in blocks()]
        [[0, 1], [0, 1], [1]]
    """
    check_count("rows", rows, 1)
    X = X if hasattr(X, "shape") and hasattr(X, "__getitem__") and not hasattr(X, "columns") else np.asarray(X)
    m = X.shape[0]
    given = {"y": y, "sample_weight": sample_weight, "offset": offset}
    fields = {
        name: value if hasattr(value, "shape") and not hasattr(value, "to_numpy") else np.asarray(value)
        for name, value in given.items()
        if value is not None
    }
    of_classes = {name for name in ("y", "offset") if name in fields and fields[name].shape[-2:-1] == (m,)}
    behind = {name: int(name in of_classes and value.shape[-1] != m) for name, value in fields.items()}
    for name, value in fields.items():
        if not value.ndim or value.shape[-1 - behind[name]] != m:
            fix = (name == "y" and hint_of_counts(value.shape, m)) or "; its last axis is that of the rows"
            raise ValueError(f"expected {name} with {m} rows as X has, got shape {value.shape}{fix}")
    by_rows = X.tocsr() if hasattr(X, "tocsr") else X

    def blocks() -> Iterator[dict[str, Any]]:
        for start in range(0, m, rows):
            which = slice(start, min(start + rows, m))
            own = {name: value[(..., which, *[slice(None)] * behind[name])] for name, value in fields.items()}
            yield {"X": by_rows[which], **own}
            for value in (X, *fields.values()):
                _forget(value)

    return blocks


def from_tables(
    tables: Callable[[], Iterable[Any]], y: str | None = None, *, sample_weight: str | None = None, offset: str | None = None
) -> Callable[[], Iterator[dict[str, Any]]]:
    """Blocks of data frames of pandas or polars, such as ``lambda: pandas.read_csv(path, chunksize=100_000)``.

    Args:
        tables: a callable that returns a fresh iterator of tables.
        y: name of the column of labels, or None, for predictions.
        sample_weight, offset: names of columns, or None.

    Returns:
        A callable for `jaxlr.fit_stream` and its neighbours; all other columns are those of X.

    Raises:
        TypeError: tables is no callable; at a pass, what it brings is no table.
        ValueError: at a pass, there is no such column.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"age": [30.0, 40.0], "ill": [0, 1]})
        >>> [list(block["X"].columns) for block in from_tables(lambda: [table], "ill")()]
        [['age']]
    """
    roles = {
        name: column for name, column in (("y", y), ("sample_weight", sample_weight), ("offset", offset)) if column is not None
    }

    if not callable(tables):
        raise TypeError(
            f"expected a callable that returns a fresh iterator of tables, got {type(tables).__name__}; "
            "of one table write lambda: [table]"
        )

    def blocks() -> Iterator[dict[str, Any]]:
        for table in tables():
            if not hasattr(table, "columns"):
                raise TypeError(f"expected tables, got {type(table).__name__}; of one table write lambda: [table]")
            if missing := [column for column in roles.values() if column not in table.columns]:
                raise ValueError(f"expected tables with a column {missing[0]!r}, got {list(table.columns)}; name one of these")
            others = [column for column in table.columns if column not in roles.values()]
            yield {"X": table[others], **{name: table[column].to_numpy() for name, column in roles.items()}}

    return blocks


def from_parquet(
    source: Any,
    y: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    sample_weight: str | None = None,
    offset: str | None = None,
    rows: int = _ROWS,
) -> Callable[[], Iterator[dict[str, Any]]]:
    """Blocks of Parquet files or of any dataset of Arrow; only the columns that are asked for are read. Needs pyarrow.

    Args:
        source: path, list of paths or folder, or a ``pyarrow.dataset.Dataset``.
        y: name of the column of labels, or None, for predictions.
        columns: names of the columns of X, in this order; None is all others.
        sample_weight, offset: names of columns, or None.
        rows: of a block, at most; no block spans two groups of rows.

    Returns:
        A callable for `jaxlr.fit_stream` and its neighbours.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: there is no such column.

    Example:
        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> path = tempfile.mkdtemp() + "/rows.parquet"
        >>> pyarrow.parquet.write_table(pyarrow.table({"age": [30.0, 40.0], "ill": [0, 1]}), path)
        >>> [block["y"].tolist() for block in from_parquet(path, "ill")()]
        [[0, 1]]
    """
    check_count("rows", rows, 1)
    arrow = importlib.import_module("pyarrow.dataset")
    dataset = source if isinstance(source, arrow.Dataset) else arrow.dataset(source)
    there = dataset.schema.names
    roles = {
        name: column for name, column in (("y", y), ("sample_weight", sample_weight), ("offset", offset)) if column is not None
    }
    of_X = [name for name in there if name not in roles.values()] if columns is None else list(columns)
    wanted = [*of_X, *roles.values()]
    if missing := [name for name in wanted if name not in there]:
        raise ValueError(f"expected a dataset with a column {missing[0]!r}, got {there}; name one of these")

    def blocks() -> Iterator[dict[str, Any]]:
        for batch in dataset.to_batches(columns=wanted, batch_size=rows, batch_readahead=1, fragment_readahead=1):
            of = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in wanted}
            X = _Table(of_X, [of[name] for name in of_X]) if of_X else np.empty((batch.num_rows, 0))
            yield {"X": X, **{name: of[column] for name, column in roles.items()}}

    return blocks


class _Table:
    """Named columns, as `jaxlr.inputs.tables` knows a table."""

    def __init__(self, columns: list[str], arrays: list[np.ndarray]) -> None:
        self.columns, self.arrays = columns, arrays
        self.dtypes = [array.dtype for array in arrays]

    def __getitem__(self, columns: list[str]) -> "_Table":
        return _Table(columns, [self.arrays[self.columns.index(column)] for column in columns])

    def to_numpy(self) -> np.ndarray:
        return np.stack(self.arrays, axis=1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy
        return self.to_numpy() if dtype is None else self.to_numpy().astype(dtype)


def _forget(value: Any) -> None:
    """Let go of the pages of a file that was mapped for reading, which would count as memory of the process."""
    mapped = getattr(value, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and getattr(value, "mode", "r") == "r" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
