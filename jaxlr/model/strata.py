"""Strata: which rows belong together, laid out for recursions that pass over the rows of many strata at once.

Strata of similar size stand in one block, a row of the block each, filled up with -1 to the longest. How many cases, or
controls where these are fewer, a stratum can have at most is a size too: half of its rows as long as the labels are not known,
less where they are. A stratum of one row says nothing, nor does one without a case or a control, so that no block has them.

Columns are taken about their mean within strata, which no conditional likelihood notices: no digit is lost to an origin, and
a column that is constant within every stratum is exactly 0.
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
            raise ValueError(f"expected strata ({m},), one label a row, got {len(self.place)} of them")

    def numbers(self, k: int) -> int:
        """How many numbers the recursion over k columns keeps: rows, and sums for each number of cases."""
        sizes = [(*np.shape(block), most) for block, most in zip(self.blocks, self.most, strict=True)]
        return sum(S * (r * (k + 4) + 3 * most * (k * k + 2 * k + 2)) for S, r, most in sizes)

    def same(self, other: Any) -> bool:
        """Whether these are the strata of another problem, as they were made of labels."""
        if not isinstance(other, Strata) or len(self.blocks) != len(other.blocks):
            return False
        return all(np.array_equal(one, two) for one, two in zip(self.blocks, other.blocks, strict=True))

    def known(self, y: Any, sample_weight: Any) -> "Strata":
        """The same for labels (..., m) and weights (..., m) that are known, None being 1: with less to do."""
        y, s = np.asarray(y) == 1, None if sample_weight is None else np.asarray(sample_weight) > 0
        found = []
        for block in map(np.asarray, self.blocks):
            there = block >= 0 if s is None else (block >= 0) & s[..., block]
            cases = np.sum(y[..., block] & there, axis=-1)
            fewer = np.minimum(cases, np.sum(there, axis=-1) - cases)
            found += zip(block, np.max(fewer, axis=tuple(range(fewer.ndim - 1))).tolist(), strict=True)
        return _laid_out([(rows[rows >= 0], most) for rows, most in found if most > 0], len(self.place))


def strata_of(labels: Any, m: int | None = None) -> Strata:
    """The strata of labels (m,) of any kind, whatever y is.

    Raises:
        TypeError, ValueError: as `jaxlr.inputs.clusters.numbered`.
    """
    numbers, count = numbered("strata", labels, m)
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(numbers, minlength=count))[:-1])
    return _laid_out([(rows, len(rows) // 2) for rows in groups if len(rows) > 1], len(numbers))


def _laid_out(strata: list[tuple[np.ndarray, int]], m: int) -> Strata:
    """Rows of strata, and the most that each can have, in few blocks of similar ones."""
    kinds: dict[tuple[int, int], list[tuple[np.ndarray, int]]] = {}
    for rows, most in strata:
        kinds.setdefault(((len(rows) - 1).bit_length(), (most - 1).bit_length() // 2), []).append((rows, most))
    blocks = [kinds[kind] for kind in sorted(kinds)]
    while True:
        pairs = [(_work(a + b) - _work(a) - _work(b), i) for i, (a, b) in enumerate(itertools.pairwise(blocks))]
        wasted, i = min(pairs, default=(_WASTED, 0))
        if wasted >= _WASTED:
            break
        blocks[i : i + 2] = [blocks[i] + blocks[i + 1]]
    place, filled, first = np.full(m, -1, np.int32), [], 0
    for block in blocks:
        length = max(len(rows) for rows, _ in block)
        table = np.full((len(block), length), -1, np.int32)
        for i, (rows, _) in enumerate(block):
            table[i, : len(rows)] = rows
            place[rows] = first + i * length + np.arange(len(rows))
        filled.append(table)
        first += table.size
    place[place < 0] = first
    return Strata(tuple(filled), place, tuple(max(most for _, most in block) for block in blocks))


def _work(block: list[tuple[np.ndarray, int]]) -> int:
    return len(block) * max(len(rows) for rows, _ in block) * max(most for _, most in block)


def centered(
    X: Float[AnyArray, "... m n"], strata: Strata, present: Bool[AnyArray, "... m"] | None
) -> Float[AnyArray, "... m n"]:
    """Columns about their means within strata, 0 in rows that are not there or in no block; of NumPy or JAX.

    Args:
        present: rows that are there; None is all.
    """
    xp: Any = X.__array_namespace__()
    strata.check(X.shape[-2])
    lead, n, parts = X.shape[:-2], X.shape[-1], []
    for block in strata.blocks:
        there = xp.asarray(block) >= 0
        there = xp.broadcast_to(there if present is None else there & xp.take(present, block, axis=-1), (*lead, *block.shape))
        rows = xp.where(there[..., None], xp.take(X, block.reshape(-1), axis=-2).reshape(*lead, *block.shape, n), 0)
        # About a row of the stratum first: nothing is left of a constant, and no mean of large numbers is rounded.
        first = xp.argmax(there, axis=-1)[..., None, None]
        rows = xp.where(there[..., None], rows - xp.take_along_axis(rows, first, axis=-2), 0)
        count = xp.maximum(xp.sum(there, axis=-1), 1).astype(X.dtype)
        rows = rows - (xp.sum(rows, axis=-2) / count[..., None])[..., None, :]
        parts.append(xp.where(there[..., None], rows, 0).reshape(*lead, block.size, n))
    parts.append(xp.zeros((*lead, 1, n), X.dtype))
    return xp.take(xp.concatenate(parts, axis=-2), strata.place, axis=-2)
