"""Strata: which rows belong together, laid out for recursions that pass over the rows of many strata at once.

Strata of similar size stand in one block, a row of the block each, filled up with -1 to the longest. How many cases, or
controls where these are fewer, a stratum can have at most is a size too: half of its rows as long as the labels are not known,
less where they are. A stratum of one row says nothing, nor does one without a case or a control, so that no block has them.

Columns are taken about their mean within strata, which no conditional likelihood notices: no digit is lost to an origin, and
a column that is constant within every stratum, but for rounding, is exactly 0.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxlr.inputs.clusters import numbered
from jaxlr.linalg.dot import AnyArray

_WASTED = 2**16  # rows times cases, filled up in vain, that are cheaper than another loop to compile
_AT_ONCE = 2**22  # numbers of the covariances that stand side by side
_ROUNDED = 16  # times eps: what products of a few dozen terms, summed in another order, differ by


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Strata:
    """The strata of the rows of a problem: a pytree of integers.

    Attributes:
        blocks: of each block the rows of its strata (S, r), -1 where there is none.
        place: of each row where it stands in the blocks, read one after the other (m,); behind them all where it is in none.
        most: static; of each block how many cases or controls, whichever are fewer, a stratum has at most.
    """

    # Any: as a pytree it also holds in_axes and shapes.
    blocks: Any
    place: Any
    most: tuple[int, ...] = field(metadata={"static": True})

    def check(self, m: int) -> None:
        """Refuse those of another number of rows."""
        if len(self.place) != m:
            raise ValueError(f"expected strata ({m},), one label a row, got {len(self.place)} of them; label each row of X")

    def numbers(self, k: int) -> int:
        """How many numbers the recursion over k columns keeps: rows, and sums for each number of cases."""
        sizes = [(*np.shape(block), most) for block, most in zip(self.blocks, self.most, strict=True)]
        sums = (S * 2 * k + min(S, at_once(most, k)) * k * k + 2 * S for S, _, most in sizes)
        return sum(S * r * (k + 4) + 3 * most * own for (S, r, most), own in zip(sizes, sums, strict=True))

    def same(self, other: Any) -> bool:
        """Whether these are the strata of another problem, as they were made of labels."""
        if not isinstance(other, Strata) or len(self.blocks) != len(other.blocks):
            return False
        return all(np.array_equal(one, two) for one, two in zip(self.blocks, other.blocks, strict=True))

    def known(self, y: Any, sample_weight: Any) -> "Strata":
        """The same for labels (..., m) and weights (..., m) that are known, None being 1: with less to do."""
        y, s = np.asarray(y) == 1, None if sample_weight is None else np.asarray(sample_weight) > 0
        rows, sizes, most = [np.zeros(0, np.int32)], [np.zeros(0, int)], [np.zeros(0, int)]
        for block in map(np.asarray, self.blocks):
            there = block >= 0 if s is None else (block >= 0) & s[..., block]
            cases = np.sum(y[..., block] & there, axis=-1)
            fewer = np.minimum(cases, np.sum(there, axis=-1) - cases)
            fewer = np.max(fewer, axis=tuple(range(fewer.ndim - 1)))
            kept = block[fewer > 0]
            rows.append(kept[kept >= 0])
            sizes.append(np.sum(kept >= 0, axis=1))
            most.append(fewer[fewer > 0])
        return _laid_out(np.concatenate(rows), np.concatenate(sizes), np.concatenate(most), len(self.place))


def at_once(most: int, k: int) -> int:
    """How many strata have their covariances of k columns side by side."""
    return max(1, _AT_ONCE // (most * max(k, 1) ** 2))


def strata_of(labels: Any, m: int | None = None) -> Strata:
    """The strata of labels (m,) of any kind, whatever y is.

    Raises:
        TypeError, ValueError: as `jaxlr.inputs.clusters.numbered`.
    """
    numbers, count = numbered("strata", labels, m)
    sizes = np.bincount(numbers, minlength=count)
    rows = np.argsort(numbers, kind="stable")[np.repeat(sizes > 1, sizes)]
    sizes = sizes[sizes > 1]
    return _laid_out(rows, sizes, sizes // 2, len(numbers))


def _laid_out(rows: np.ndarray, sizes: np.ndarray, most: np.ndarray, m: int) -> Strata:
    """Rows of strata, one stratum after the other, and the most that each can have, in few blocks of similar ones."""
    kinds = 32 * np.frexp(sizes - 1)[1] + np.frexp(most - 1)[1] // 2  # frexp counts the binary digits
    blocks = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]

    def work(block: np.ndarray) -> int:
        return len(block) * int(sizes[block].max()) * int(most[block].max())

    while True:
        pairs = [(work(np.concatenate([a, b])) - work(a) - work(b), i) for i, (a, b) in enumerate(itertools.pairwise(blocks))]
        wasted, i = min(pairs, default=(_WASTED, 0))
        if wasted >= _WASTED:
            break
        blocks[i : i + 2] = [np.concatenate(blocks[i : i + 2])]
    place, filled, first = np.full(m, -1, np.int32), [], 0
    ends = np.cumsum(sizes)
    for block in blocks:
        at = np.arange(sizes[block].max())[None, :]
        there = at < sizes[block][:, None]
        table = np.where(there, rows[np.minimum((ends - sizes)[block][:, None] + at, len(rows) - 1)], -1).astype(np.int32)
        place[table[there]] = first + np.flatnonzero(there)
        filled.append(table)
        first += table.size
    place[place < 0] = first
    return Strata(tuple(filled), place, tuple(int(most[block].max()) for block in blocks))


def centered(
    X: Float[AnyArray, "... m n"], strata: Strata, present: Bool[AnyArray, "... m"] | None
) -> Float[AnyArray, "... m n"]:
    """Columns about their means within strata, 0 in rows that are not there or in no block; of NumPy or JAX.

    Args:
        present: rows that are there; None is all.
    """
    xp: Any = X.__array_namespace__()
    strata.check(X.shape[-2])
    lead, n, parts, spreads, sizes = X.shape[:-2], X.shape[-1], [], [], []
    for block in strata.blocks:
        there = xp.asarray(block) >= 0
        there = xp.broadcast_to(there if present is None else there & xp.take(present, block, axis=-1), (*lead, *block.shape))
        rows = xp.where(there[..., None], xp.take(X, block.reshape(-1), axis=-2).reshape(*lead, *block.shape, n), 0)
        sizes.append(xp.max(xp.abs(rows), axis=-2))
        # About a row of the stratum first: nothing is left of a constant, and no mean of large numbers is rounded.
        first = xp.argmax(there, axis=-1)[..., None, None]
        rows = xp.where(there[..., None], rows - xp.take_along_axis(rows, first, axis=-2), 0)
        spreads.append(xp.max(rows, axis=-2) - xp.min(rows, axis=-2))
        count = xp.maximum(xp.sum(there, axis=-1), 1).astype(X.dtype)
        rows = rows - (xp.sum(rows, axis=-2) / count[..., None])[..., None, :]
        parts.append(xp.where(there[..., None], rows, 0).reshape(*lead, block.size, n))
    parts.append(xp.zeros((*lead, 1, n), X.dtype))
    rows = xp.take(xp.concatenate(parts, axis=-2), strata.place, axis=-2)
    if not strata.blocks:
        return rows
    still = _is_still(xp.concatenate(spreads, axis=-2), xp.concatenate(sizes, axis=-2))[..., None, :]
    # Values of 0 that keep their derivatives.
    return xp.where(still, rows - jax.lax.stop_gradient(rows) if isinstance(rows, jax.Array) else 0, rows)


def _is_still(spread: Float[AnyArray, "... S n"], size: Float[AnyArray, "... S n"]) -> Bool[AnyArray, "... n"]:
    """Whether a column varies by rounding alone in every stratum.

    Roundings are of the order of the largest value of the stratum; or of the geometric mean of these where the terms of a sum
    happen to cancel in some strata. One stratum with more than that leaves the column as it is, to the last digit.

    Args:
        spread: largest less smallest value of a column in each stratum.
        size: its largest absolute value there.
    """
    xp: Any = size.__array_namespace__()
    positive = size > 0
    logs = xp.sum(xp.log(xp.where(positive, size, 1)), axis=-2, keepdims=True)
    usual = xp.exp(logs / xp.maximum(xp.sum(positive, axis=-2, keepdims=True), 1).astype(size.dtype))
    rounding = _ROUNDED * xp.finfo(size.dtype).eps * xp.maximum(size, usual)
    return xp.all(spread <= rounding, axis=-2)
