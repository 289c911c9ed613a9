"""The first pass: origin and units of the columns, and a sample of rows that is the same at each run.

Means and sums of squares of blocks are put together by the formulas of Chan, Golub & LeVeque 1983, The American Statistician
37, equations 2.1, about the first row that has weight, so that a constant column has a deviation of exactly 0. A row is in the
sample where a hash of its number (SplitMix64: Steele, Lea & Flood 2014, Proceedings of OOPSLA) is a multiple of 2^h: h grows
whenever the sample would be too large, so that nothing needs to be known of the number of rows.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from jaxlr.streaming.blocks import Rows, rows_of


class First(NamedTuple):
    """What the first pass found.

    Attributes:
        center, unit: of the columns (n,), as in `jaxlr.solvers.working.Working`.
        numbers: of the sampled rows.
        sample: their fields.
    """

    center: np.ndarray
    unit: np.ndarray
    numbers: np.ndarray
    sample: dict[str, np.ndarray]


def first_pass(rows: Iterable[Rows], most: Callable[[int], int], fit_intercept: bool) -> First:
    """Look at all rows once.

    Args:
        rows: of the pass.
        most: rows of the sample, of the number of columns.
        fit_intercept: without it columns stay where they are, and units are root mean squares.
    """
    base = mean = squares = np.zeros(0)
    count, hashed, sample, numbers = 0, 0, {}, np.zeros(0, np.uint64)
    for block in rows:
        fields = {name: rows_of(name, value, slice(block.size)) for name, value in block.fields.items()}
        X, s = fields["X"], fields.get("sample_weight")
        present = slice(None) if s is None else (s > 0).any(axis=0)
        own = X[present].astype(np.float64)
        if len(own):
            if not count:
                base = own[0].copy() if fit_intercept else np.zeros(own.shape[1])
                mean, squares = np.zeros_like(base), np.zeros_like(base)
            own -= base
            its, total = own.mean(axis=0), count + len(own)
            its_squares = np.einsum("ij,ij->j", own - its, own - its)
            squares += its_squares + (its - mean) ** 2 * (count * len(own) / total)
            mean += (its - mean) * (len(own) / total)
            count = total
        row = np.arange(block.first, block.first + block.size, dtype=np.uint64)
        kept = _hash(row) % np.uint64(2**hashed) == 0
        taken = {name: rows_of(name, value, kept) for name, value in fields.items()}
        axes = {name: int(name != "X") for name in taken}
        joined = lambda name, new: np.concatenate([sample[name], new], axis=axes[name]) if sample else new  # noqa: E731, B023
        sample = {name: joined(name, new) for name, new in taken.items()}
        numbers = np.concatenate([numbers, row[kept]])
        while len(numbers) > most(X.shape[1]):
            hashed += 1
            kept = _hash(numbers) % np.uint64(2**hashed) == 0
            sample, numbers = {name: rows_of(name, value, kept) for name, value in sample.items()}, numbers[kept]
    if not count:
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    deviation = np.sqrt(squares / count)
    if not fit_intercept:
        base, deviation, mean = np.zeros_like(base), np.hypot(deviation, mean), np.zeros_like(mean)
    return First(base + mean, np.where(deviation < np.finfo(np.float64).tiny, 1, deviation), numbers, sample)


def _hash(row: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = (row + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
