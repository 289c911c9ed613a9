"""The first pass: origin and units of the columns, and a sample of rows that is the same at each run.

Means and norms of blocks are put together by the formulas of Chan, Golub & LeVeque 1983, The American Statistician 37,
equations 2.1, about the first row that has weight, so that a constant column has a deviation of exactly 0, and in units of
powers of two, so that no square overflows or vanishes. A row is in the sample where a hash of its number (SplitMix64: Steele,
Lea & Flood 2014, Proceedings of OOPSLA) is a multiple of 2^h: h grows whenever the sample would be too large, so that nothing
needs to be known of the number of rows: it is the least for which the rows of all processes are not too many, and their sample
that of one process.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlr.streaming.blocks import Rows, rows_of
from jaxlr.streaming.processes import everyone, ragged

_LEVELS = 64  # bits of a hash
_LEAST = 1e-140  # of a norm: of smaller ones squares vanish


class Moments(NamedTuple):
    """Of rows that have weight: how many, and of their columns (n,) the origin, the mean about it, and the norm about the
    mean."""

    num_rows: int
    base: np.ndarray
    mean: np.ndarray
    norm: np.ndarray


class First(NamedTuple):
    """What the first pass found, in one process or in all.

    Attributes:
        moments: of the columns.
        level: h, of the hashes.
        numbers: of the sampled rows.
        sample: their fields.
    """

    moments: Moments
    level: int
    numbers: np.ndarray
    sample: dict[str, np.ndarray]


def first_pass(rows: Iterable[Rows], most: Callable[[int, int], int], fit_intercept: bool) -> First:
    """Look at all rows of this process once.

    Args:
        rows: of the pass.
        most: rows of the sample, of the numbers of columns and of weights of a row.
        fit_intercept: without it columns stay where they are.
    """
    moments, level, parts, size = None, 0, [], 0
    for block in rows:
        fields = {name: rows_of(name, value, slice(block.size)) for name, value in block.fields.items()}
        X, s = fields["X"], fields.get("sample_weight")
        if moments is None:
            moments = Moments(0, *(np.zeros(X.shape[1]) for _ in range(3)))
        present = slice(None) if s is None else (s > 0).any(axis=0)
        own = X[present]
        if len(own):
            if not moments.num_rows and fit_intercept:
                moments = moments._replace(base=own[0].astype(np.float64))
            moments = _both(moments, _moments(own, moments.base))
        row = np.arange(block.first, block.first + block.size, dtype=np.uint64)
        parts.append(_of_level(fields, row, level))
        size += len(parts[-1][1])
        while size > most(X.shape[1], 1 if s is None else len(s)):
            level += 1
            parts = [_of_level(*part, level) for part in parts]
            size = sum(len(numbers) for _, numbers in parts)
    assert moments is not None
    sample = {name: np.concatenate([part[name] for part, _ in parts], axis=int(name != "X")) for name in parts[0][0]}
    return First(moments, level, np.concatenate([numbers for _, numbers in parts]), sample)


def of_all_processes(own: First, most: Callable[[int, int], int]) -> First:
    """What the first passes of all processes found, put together in their order."""
    if jax.process_count() == 1:
        return own
    counts, *parts = (everyone(np.asarray(part)) for part in own.moments)
    moments = None
    for its in map(Moments, counts.tolist(), *parts):
        if its.num_rows:
            moments = its if moments is None else _both(moments, its)
    sizes = [np.sum(_is_in(own.numbers, level)) if level >= own.level else 2**32 for level in range(_LEVELS)]
    largest = most(len(own.moments.base), len(own.sample.get("sample_weight", [1])))
    level = int(np.argmax(np.sum(everyone(np.array(sizes, np.int64)), axis=0) <= largest))
    sample, numbers = _of_level(own.sample, own.numbers, level)
    axes = {name: int(name != "X") for name in sample}
    sample = {
        name: np.concatenate(
            [np.moveaxis(part, 0, axes[name]) for part in ragged(np.moveaxis(value, axes[name], 0))], axes[name]
        )
        for name, value in sample.items()
    }
    return First(own.moments if moments is None else moments, level, np.concatenate(ragged(numbers)), sample)


def thinned(first: First, most: int) -> First:
    """The same with fewer sampled rows.

    Args:
        most: rows.
    """
    while len(first.numbers) > most:
        level = first.level + 1
        sample, numbers = _of_level(first.sample, first.numbers, level)
        first = first._replace(level=level, numbers=numbers, sample=sample)
    return first


def center_and_unit(moments: Moments, fit_intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """Origin and units of the columns (n,), as in `jaxlr.solvers.working.Working`; without an intercept columns stay where they
    are, and units are root mean squares. Raises ValueError where no row has weight."""
    if not moments.num_rows:
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    center, unit = moments.base + moments.mean, moments.norm / np.sqrt(moments.num_rows)
    if not fit_intercept:
        center, unit = np.zeros_like(center), np.hypot(unit, moments.mean)
    return center, np.where(unit < np.finfo(np.float64).tiny, 1, unit)


def _moments(rows: np.ndarray, base: np.ndarray) -> Moments:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, norm = _about_mean(rows, base)
    far = np.flatnonzero(~((norm > _LEAST) & (norm < np.inf)))
    far = far[(rows[:, far] != base[far]).any(axis=0)]  # not those that are constant
    if len(far):
        some = rows[:, far] - base[far]
        scale = np.ldexp(1.0, np.clip(np.frexp(np.max(np.abs(some), axis=0))[1], -1000, 1000))
        mean[far], norm[far] = (part * scale for part in _about_mean(some / scale, 0))
    return Moments(len(rows), base, mean, norm)


def _about_mean(X: np.ndarray, base: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean about the base and norm about the mean."""
    off = np.subtract(X, base, dtype=np.float64)
    mean = np.einsum("ij->j", off) / len(off)
    off -= mean
    return mean, np.sqrt(np.einsum("ij,ij->j", off, off))


def _both(one: Moments, other: Moments) -> Moments:
    total = one.num_rows + other.num_rows
    apart = (other.base - one.base) + other.mean - one.mean
    between = np.abs(apart) * np.sqrt(one.num_rows * other.num_rows / total)
    norm = np.hypot(np.hypot(one.norm, other.norm), between)
    return Moments(total, one.base, one.mean + apart * (other.num_rows / total), norm)


def _of_level(sample: dict[str, np.ndarray], numbers: np.ndarray, level: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    kept = _is_in(numbers, level)
    return {name: rows_of(name, value, kept) for name, value in sample.items()}, numbers[kept]


def _is_in(numbers: np.ndarray, level: int) -> np.ndarray:
    """Whether rows are in the sample of a level."""
    return _hash(numbers) % np.uint64(2**level) == 0


def _hash(row: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = (row + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
