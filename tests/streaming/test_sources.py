"""Blocks of arrays, tables and files bring the same rows."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from jaxlr import fit, fit_stream
from jaxlr.streaming import from_arrays, from_parquet, from_tables

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)) * (RNG.random((200, 3)) > 0.4)
Y = (X[:, 0] + RNG.logistic(size=200) > 0).astype(int)
WEIGHT = RNG.integers(1, 4, 200)


@functools.cache
def wanted():
    return np.asarray(fit(X, Y, sample_weight=WEIGHT, l2=0.1).params.coef)


def check(blocks):
    found = fit_stream(blocks, l2=0.1)
    np.testing.assert_allclose(found.params.coef, wanted(), rtol=1e-10)  # both are squared errors under 1e-10
    return found


def test_arrays_in_memory_on_disk_and_sparse_ones(tmp_path):
    check(from_arrays(X, Y, sample_weight=WEIGHT, rows=33))
    check(from_arrays(scipy.sparse.coo_array(X), Y, sample_weight=WEIGHT, rows=33))
    np.save(tmp_path / "X.npy", X)
    check(from_arrays(np.load(tmp_path / "X.npy", mmap_mode="r"), Y, sample_weight=WEIGHT, rows=33))
    with pytest.raises(ValueError, match="y with 200 rows as X has, got shape"):
        from_arrays(X, Y[:-1])


def test_batches_and_offsets_of_classes_are_cut_by_rows():
    targets, offset = np.stack([Y, 1 - Y]), RNG.normal(size=(200, 3))
    blocks = list(from_arrays(X, targets, offset=offset, rows=150)())
    assert [block["y"].shape for block in blocks] == [(2, 150), (2, 50)]
    assert [block["offset"].shape for block in blocks] == [(150, 3), (50, 3)]


def test_tables_in_pieces():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"a": X[:, 0], "b": X[:, 1], "ill": Y, "c": X[:, 2], "times": WEIGHT}
    for table in (pd.DataFrame(columns), pl.DataFrame(columns)):
        found = check(
            from_tables(lambda table=table: (table[a : a + 30] for a in range(0, 200, 30)), "ill", sample_weight="times")
        )
        assert found.names == ("a", "b", "c")
    with pytest.raises(ValueError, match="a column 'well'"):
        fit_stream(from_tables(lambda: [pd.DataFrame(columns)], "well"))


def test_parquet_files_are_read_by_columns(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"a": X[:, 0], "unused": ["x"] * 200, "b": X[:, 1], "ill": Y, "c": X[:, 2], "times": WEIGHT}
    parquet.write_table(arrow.table(columns), tmp_path / "rows.parquet", row_group_size=70)
    names = ["a", "b", "c"]
    found = check(from_parquet(tmp_path / "rows.parquet", "ill", columns=names, sample_weight="times", rows=40))
    assert found.names == ("a", "b", "c")
    with pytest.raises(ValueError, match="a column 'd'"):
        from_parquet(tmp_path / "rows.parquet", "ill", columns=["d"])
    alone = fit_stream(from_parquet(tmp_path / "rows.parquet", "ill", columns=[]))  # the intercept
    assert alone.params.coef.shape == (0,)
    missing = arrow.table({"a": [1.0, None, 2.0], "ill": [0, 1, 1]})
    parquet.write_table(missing, tmp_path / "missing.parquet")
    with pytest.raises(ValueError, match="got nan in row 1, column 'a' of block 0"):
        fit_stream(from_parquet(tmp_path / "missing.parquet", "ill"), l2=0.1)


def test_what_is_no_array_and_no_stream_of_tables_is_refused():
    table = pd.DataFrame({"age": [30.0, 40.0], "ill": [0, 1]})
    assert [block["y"].tolist() for block in from_arrays(table[["age"]], table["ill"], rows=1)()] == [[0], [1]]
    assert [block["X"].tolist() for block in from_arrays([[1.0], [2.0]], [0, 1], rows=1)()] == [[[1.0]], [[2.0]]]
    for rows in (0, -5):
        with pytest.raises(ValueError, match="rows"):
            from_arrays(X, Y, rows=rows)
    with pytest.raises(TypeError, match="tables"):
        from_tables(table, "ill")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"expected tables, got str; of one table write lambda: \[table\]"):
        list(from_tables(lambda: table, "ill")())
