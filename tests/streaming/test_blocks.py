"""Blocks are refused in words that name block and row, re-cut to one shape, and read one ahead."""

import itertools
import threading
import time

import numpy as np
import pytest

from jaxlr import fit_stream
from jaxlr.streaming.ahead import ahead
from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.first import center_and_unit, first_pass

X = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
Y = (np.arange(23) % 3 == 0).astype(np.int8)


def cut(*sizes, X=X, y=Y):
    edges = np.cumsum([0, *sizes])
    return lambda: ((X[a:b], y[a:b]) for a, b in itertools.pairwise(edges))


def test_blocks_of_any_sizes_are_cut_to_one_shape():
    for sizes in [(23,), (1,) * 23, (5, 0, 11, 7), (8, 8, 7)]:
        rows = list(Reader(cut(*sizes), None).rows(8))
        assert [(block.first, block.size, block.fields["X"].shape) for block in rows] == [
            (0, 8, (8, 3)),
            (8, 8, (8, 3)),
            (16, 7, (8, 3)),
        ]
        together = np.concatenate([block.fields["X"][: block.size] for block in rows])
        assert np.array_equal(together, X)
        assert rows[0].fields["X"].dtype == np.float32


def spoiled(name, at, value):
    fields = {"X": X.copy(), "y": Y.astype(float), "sample_weight": np.ones(23)}
    fields[name][at] = value
    return lambda: ({key: part[a : a + 10] for key, part in fields.items()} for a in (0, 10, 20))


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        (spoiled("X", (13, 1), np.nan), r"finite X, got nan in row 3, column 1 of block 1 \(rows from 10 of the stream\)"),
        (spoiled("y", 21, 2), r"labels 0/1 .*, got 2.0 in row 1 of block 2 \(rows from 20"),
        (spoiled("y", 4, -1), r"labels 0/1 .*, got -1.0 in row 4 of block 0"),
        (spoiled("sample_weight", 5, -2), r"sample_weight >= 0, got -2.0 in row 5 of block 0"),
        (lambda: [(X, Y), (X[:, :2], Y)], r"X \(rows, 3\), got shape \(23, 2\) in block 1"),
        (lambda: [(X, Y), (X.astype(float), Y)], r"X of dtype float32 as in the first block, got float64 in block 1"),
        (lambda: [(X, Y[:-1])], r"y \(..., 23\), got shape \(22,\) in block 0"),
        (
            lambda: [{"X": X, "y": Y}, {"X": X, "y": Y, "offset": 0.0 * Y}],
            "offset in all blocks or in none, got block 1 .* unlike the first",
        ),
        (lambda: [], "blocks with rows at every pass, got none"),
    ],
)
def test_what_no_block_may_be_is_refused_by_block_and_row(blocks, match):
    with pytest.raises(ValueError, match=match):
        fit_stream(blocks, l2=0.1)


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        (lambda: [(X, Y, Y)], r"\(X, y\) or a mapping .*, got tuple in block 0"),
        (lambda: [{"X": X, "y": Y, "weight": Y}], "'weight' in block 0"),
        (lambda: [(X, Y.astype(str))], "real array, got dtype .* in block 0"),
    ],
)
def test_what_is_no_block_is_refused(blocks, match):
    with pytest.raises(TypeError, match=match):
        fit_stream(blocks, l2=0.1)


def passes(*each):
    """Another pass brings other blocks."""
    left = list(each)
    return lambda: iter(left.pop(0) if len(left) > 1 else left[0])


SWAPPED = X.copy()
SWAPPED[[11, 12]] = SWAPPED[[12, 11]]


@pytest.mark.parametrize(
    ("second", "match"),
    [
        (cut(10, 13, X=SWAPPED)(), r"numbers of the first pass in the same order, got others in block 1 \(rows from 10"),
        (cut(11, 12)(), "10 rows as in the first pass, got 11 in block 0"),
        (cut(10)(), "the 23 rows of the first pass, got the first 10"),
        ([*cut(10, 13)(), (X, Y)], "the 23 rows of the first pass, got more: block 2"),
        ([(X[:10].astype(float), Y[:10])], "dtype float32 as in the first block, got float64 in block 0"),
        (iter(()), "got none"),
    ],
)
def test_a_later_pass_has_to_bring_the_same(second, match):
    with pytest.raises(ValueError, match=match):
        fit_stream(passes(list(cut(10, 13)()), list(second)), l2=0.1)


@pytest.mark.slow
def test_names_of_tables_are_kept_and_have_to_stay():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    assert fit_stream(lambda: [(table, Y)], l2=0.1).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="columns 'a', 'b', 'c' of the first block, got 'c', 'b', 'a' in block 1"):
        fit_stream(lambda: [(table, Y), (table[["c", "b", "a"]], Y)], l2=0.1)


def test_the_next_block_is_read_while_this_one_is_used():
    reading = threading.Event()

    def items():
        yield 0
        reading.set()
        yield 1

    made = ahead(items())
    assert next(made) == 0
    assert reading.wait(10)
    assert list(made) == [1]


def test_what_a_reader_raises_is_raised_and_its_thread_ends():
    def items():
        yield 0
        raise RuntimeError("disk")

    made = ahead(items())
    assert next(made) == 0
    with pytest.raises(RuntimeError, match="disk"):
        next(made)
    left = ahead(iter(range(100)))
    next(left)
    left.close()
    end = time.monotonic() + 10
    while any(thread.name == "jaxlr-reader" for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(thread.name == "jaxlr-reader" for thread in threading.enumerate())


def test_moments_keep_their_digits_and_the_sample_is_the_same_at_each_run():
    far = np.random.default_rng(1).normal(size=(5000, 2)) * [1, 1e-3] + [1e8, -5]
    far[:, 1] = np.where(np.arange(5000) < 4999, far[:, 1], far[:, 1] + 1)
    y = np.zeros(5000)
    blocks = [lambda r=r: ((far[i : i + r], y[i : i + r]) for i in range(0, 5000, r)) for r in (7, 5000)]
    found = [first_pass(Reader(these, None).rows(512), lambda n, weights: 700, True) for these in blocks]
    center, unit = center_and_unit(found[0].moments, True)
    np.testing.assert_allclose(center, far.mean(axis=0), rtol=4e-15)  # NumPy's sums are not exact either
    np.testing.assert_allclose(unit, far.std(axis=0), rtol=1e-7)  # eps times 1e8, of the numbers themselves
    assert np.array_equal(found[0].numbers, found[1].numbers)
    assert 350 / 2 < len(found[0].numbers) <= 700
    assert np.array_equal(found[0].sample["X"], far[found[0].numbers.astype(int)])
