"""Calls of streams and metrics that are refused, for the table of `tests/test_messages.py`: (call, what its message says)."""

import contextlib
import tempfile
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from jaxlr import Params, fit_stream, metrics, predict_stream, score_stream
from jaxlr.streaming import from_arrays, from_parquet, from_tables, own_parts

M = 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, 2)).round(2)
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0])
KEY, PARAMS = jax.random.key(0), Params(np.ones(2), np.zeros(()))
FRAME = pd.DataFrame(X, columns=["a", "b"])
HOLE = X.copy()
HOLE[3, 1] = np.nan


def stream(*blocks, **options):
    """A stream of these blocks."""
    return fit_stream(lambda: blocks, **({"l2": 0.1} | options))


def twice(first, second):
    """A stream that is another one at its second pass."""
    left = [first, second]
    return fit_stream(lambda: left.pop(0), l2=0.1)


def checkpoint(name, **options):
    """A stream that goes on from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if path.parent.exists():
            path.write_bytes(b"no checkpoint")
        return stream((X, Y), checkpoint=path, **options)


def of_another_call():
    """A checkpoint that a call with other strengths left behind."""
    with tempfile.TemporaryDirectory() as folder:
        path, left = f"{folder}/passes.npz", [[(X, Y)], [(X, Y[::-1])]]
        with contextlib.suppress(ValueError):
            fit_stream(lambda: left.pop(0), l2=0.1, checkpoint=path)
        return stream((X, Y), l2=0.2, checkpoint=path)


def dataset():
    """A Parquet file without the column that is asked for."""
    path = tempfile.mkdtemp() + "/rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": X[:, 0], "ill": Y}), path)
    return from_parquet(path, "y")


TABLE = {
    "no callable": (lambda: fit_stream([(X, Y)]), "each pass, got list; jaxlr.streaming.from_arrays"),
    "no block": (lambda: stream(X), r"got ndarray in block 0 .*; yield one of these"),
    "an unknown field": (lambda: stream({"X": X, "y": Y, "w": Y}), "got 'w' in block 0 .*; leave it out"),
    "no labels": (lambda: stream({"X": X}), "got no y in block 0 .*; every block has both"),
    "labels of text": (lambda: stream((X, Y.astype(str))), "real array, got dtype .* in block 0"),
    "fewer columns": (lambda: stream((X, Y), (X[:, :1], Y)), r"\(12, 1\) in block 1 .*; give all blocks the same"),
    "counts": (lambda: stream((X, np.c_[Y + 1, Y])), r"y \(..., 12\), got shape \(12, 2\) .*; .* y = successes / trials"),
    "fewer weights": (
        lambda: stream({"X": X, "y": Y, "sample_weight": np.ones(3)}),
        r"got shape \(3,\) in block 0 .*; give it the rows",
    ),
    "other names": (
        lambda: stream((FRAME, Y), (FRAME[["b", "a"]], Y)),
        "columns 'a', 'b' of the first block, got 'b', 'a' in block 1 .*; select the same",
    ),
    "a field of one block": (
        lambda: stream((X, Y), {"X": X, "y": Y, "offset": Y}),
        "offset in all blocks or in none, got block 1 .*; add it",
    ),
    "another dtype": (lambda: stream((X, Y), (X.astype("f4"), Y)), "float64 as .*, got float32 in block 1 .*; convert it"),
    "a hole": (lambda: stream((X, Y), (HOLE, Y)), "got nan in row 3, column 1 of block 1 .*; drop or impute"),
    "three labels": (lambda: stream((X, Y * 2)), "got 2 in row 1 of block 0 .*; for K classes pass num_classes=K"),
    "labels from 1": (lambda: stream((X, Y + 1), num_classes=2), "0..1, got 2 in row 1 .*; number the classes from 0"),
    "a negative weight": (
        lambda: stream({"X": X, "y": Y, "sample_weight": -Y}),
        "sample_weight >= 0, got -1 in row 1 .*; 0 leaves a row out",
    ),
    "no rows": (stream, "got none; blocks.. has to return a fresh iterator"),
    "a short pass": (lambda: twice([(X, Y), (X, Y)], [(X, Y)]), "the 24 rows of the first pass, got the first 12; blocks"),
    "no weight": (lambda: stream({"X": X, "y": Y, "sample_weight": 0 * Y}), "weights that are all 0; give some row weight"),
    "no weight in a resample": (
        lambda: stream({"X": X, "y": Y, "sample_weight": 1.0 * (np.arange(M) == 0)}, num_samples=1, key=KEY),
        "weights that are all 0; give some row weight",
    ),
    "one class": (lambda: stream((X, 0 * Y)), r"all 2 classes .*, got none of \[1\]; an intercept"),
    "all but a copy": (
        lambda: stream((np.c_[X, X[:, 0] + 1e-7 * X[:, 1] ** 2], Y), l2=0),
        "column 2 in the span .*; leave it out",
    ),
    "no models": (lambda: stream((X, Y), l2=np.ones(0)), r"got a batch of shape \(0,\); leave out"),
    "two factors": (lambda: stream((X, Y), penalty_factor=[1, 2, 3]), r"\(..., 2\), got shape \(3,\); give one number"),
    "a negative strength": (lambda: stream((X, Y), l2=-1.0), "finite l2 >= 0, got -1.0; penalty_factor = inf"),
    "a bound beside inf": (
        lambda: stream((X, Y), penalty_factor=[1, np.inf], lower=0.5),
        "bounds that allow 0 .*, got others; make the factor finite",
    ),
    "a start of 3": (
        lambda: stream((X, Y), init=Params(np.zeros(3), np.zeros(()))),
        r"coef of init of shape .*, got \(3,\); pass fit.params",
    ),
    "a start of nan": (
        lambda: stream((X, Y), init=Params(np.full(2, np.nan), np.zeros(()))),
        "finite coef of init, got nan; leave init out",
    ),
    "folds and samples": (lambda: stream((X, Y), folds=3, num_samples=2, key=KEY), "got both; call once for each"),
    "folds of weights": (lambda: stream((X, Y), folds=np.ones((2, M)), key=KEY), "got ndarray; folds of your own are"),
    "a key alone": (lambda: stream((X, Y), key=KEY), "got neither; without them nothing is random"),
    "no folder": (lambda: checkpoint("none/passes.npz"), "got .*, which is none; make it first"),
    "no checkpoint": (lambda: checkpoint("passes.npz"), r"got .*passes.npz, which is none \(.*\); delete it"),
    "a checkpoint of others": (of_another_call, "got .* of other arguments; give each call its own path"),
    "a prediction of nothing": (lambda: list(predict_stream(PARAMS, lambda: [{"y": Y}])), "got none in block 0; every block"),
    "a prediction of a row": (lambda: list(predict_stream(PARAMS, lambda: [X[0]])), r"got shape \(2,\) in block 0; of one row"),
    "a prediction of text": (lambda: list(predict_stream(PARAMS, lambda: [X.astype(str)])), "real array, .*, in block 0"),
    "a prediction of 3": (lambda: list(predict_stream(PARAMS, lambda: [np.ones((4, 3))])), "got .*3.*, in block 0"),
    "an offset of 3": (
        lambda: list(predict_stream(PARAMS, lambda: [{"X": X, "offset": np.ones(3)}])),
        r"with 12 rows .*, got shape \(3,\) in block 0; give one number a row",
    ),
    "a metric": (lambda: score_stream(PARAMS, lambda: [(X, Y)], metrics="brier"), r'the string "brier"; write \("brier",\)'),
    "no sum": (lambda: score_stream(PARAMS, lambda: [(X, Y)], metrics=("roc_auc",)), "got 'roc_auc'; one of the order"),
    "scores of 3": (lambda: score_stream(PARAMS, lambda: [(np.ones((M, 3)), Y)]), "2 columns .*, got 3; pass the blocks"),
    "scores of no fold": (
        lambda: score_stream(PARAMS, lambda: [(X, Y)], folds=3, key=KEY),
        r"3 folds in front, got a batch of shape \(\); give folds and key",
    ),
    "no parts": (lambda: own_parts([]), "at least 1 parts, .*, got 0; cut them smaller"),
    "fewer labels": (lambda: from_arrays(X, Y[:3]), r"y with 12 rows .*, got shape \(3,\); its last axis"),
    "a table": (lambda: from_tables(FRAME, "a"), "got DataFrame; of one table write lambda"),
    "no tables": (lambda: list(from_tables(lambda: [X], "a")()), "expected tables, got ndarray; of one table write"),
    "no column": (lambda: list(from_tables(lambda: [FRAME], "ill")()), r"'ill', got \['a', 'b'\]; name one of these"),
    "no column of a file": (dataset, r"'y', got \['a', 'ill'\]; name one of these"),
    "scores of two classes": (
        lambda: metrics.log_loss(Y, np.zeros((M, 2)), num_classes=3),
        r"\(..., m, 3\) .*, got .*\(12, 2\); give a class a column",
    ),
    "scores of a number": (lambda: metrics.brier(1, np.zeros(())), r"\(..., m\), got y .*; pass the labels"),
    "scores of other rows": (lambda: metrics.brier(Y, np.zeros(3)), r"got shapes y \(12,\), .* \(3,\); rows are the last"),
    "scores of no row": (lambda: metrics.brier(Y[:0], np.zeros(0)), r"at least one row, got .*; of no row"),
    "scores of 2 and 3": (
        lambda: metrics.brier(np.stack([Y] * 2), np.zeros((3, M))),
        r"got shapes y \(2, 12\), proba \(3, 12\); \[:, None\] adds",
    ),
    "labels of 2": (lambda: metrics.brier(2 * Y, np.zeros(M)), "expected y to be labels .*; got 2"),
    "classes of -1": (lambda: metrics.accuracy(Y, 2 * Y - 1), "got -1 and 1; pass predicted > 0"),
}
UNREACHED = {
    "in all processes, got": "needs several processes; tests/streaming/test_processes.py",
    "process {} of {} ended the call": "likewise",
    "processes, each with the rows": "likewise",
    "models of {} columns that fit in the": "needs little memory; tests/streaming/test_many_columns.py",
    "block {} (rows from": "what a block of other columns ends in; tests/streaming/test_predict.py",
}
