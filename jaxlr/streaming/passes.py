"""Passes over the blocks: all running models together, the next block read while this one is summed, in all processes."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxlr.model.likelihood import Likelihood
from jaxlr.streaming.ahead import ahead
from jaxlr.streaming.blocks import Rows
from jaxlr.streaming.carried import of_all_processes
from jaxlr.streaming.models import Batch
from jaxlr.streaming.processes import everyone, together
from jaxlr.streaming.resamples import Resamples
from jaxlr.streaming.states import State
from jaxlr.streaming.sums import Frame, Lanes, Plan, Sums, sums_of

_BYTES = 2**27  # that the numbers of a block may take
_MOST_ROWS, _FEWEST_ROWS = 2**16, 64
_MOST_PRODUCTS, _SHARED = 4096, 16  # of pairs of columns, and models that share them, at least
_CACHED = 2**23  # bytes of products that stay near the processor; of columns alone a quarter, which are read five times
_WIDE = 2**24  # bytes of a block of many columns, whose products and sums want many rows
_CHEAP = 2**18  # products a row, of all Hessians: below this reading takes longer
_EXACT = 8  # so many models are not sorted out

Told = Callable[[int], None]  # of rows that are done; raises to stop


class Shape(NamedTuple):
    """What the cost of a pass depends on.

    Attributes:
        lanes: models.
        k: working columns, with the intercept.
        pairs: of coordinates of the classes.
        classes: logits a row.
        n: columns of X.
        weights: rows of weights.
    """

    lanes: int
    k: int
    pairs: int
    classes: int
    n: int
    weights: int

    @property
    def cheap(self) -> bool:
        """Whether Hessians cost less than what else a pass does."""
        return self.lanes * self.pairs * self.k**2 <= _CHEAP

    @property
    def products(self) -> bool:
        """Whether the products of all pairs of columns are formed."""
        return self.k * (self.k + 1) // 2 <= _MOST_PRODUCTS and self.lanes * self.pairs >= _SHARED

    def rows(self, m: int, wide: bool = False) -> int:
        """Rows of a block: as many as are worth their memory, a power of 2."""
        products = self.k * (self.k + 1) // 2 if self.products and not wide else self.k
        numbers = self.lanes * (8 + 6 * self.classes + 2 * self.pairs) + 4 * self.k + products + 3 * self.weights
        near = _CACHED // (8 * products) if self.products else _CACHED // (4 * 8 * products)
        near = _WIDE // (8 * self.k) if wide else near
        most = min(_BYTES // (8 * numbers), near, _MOST_ROWS)
        size = max(most, _FEWEST_ROWS)
        return min(2 ** (size.bit_length() - 1), 2 ** max(m - 1, 1).bit_length())

    @property
    def hessian_bytes(self) -> int:
        """What the Hessians of all models take, with their sums."""
        return 8 * self.lanes * self.pairs * self.k**2 * 4


def shape_of(batch: Batch, likelihood: Likelihood, n: int, k: int, resamples: Resamples) -> Shape:
    """Of a batch."""
    coordinates = math.prod(likelihood.coordinates)
    weights = math.prod(resamples.axes) * math.prod(batch.leads["sample_weight"])
    return Shape(batch.size, k, coordinates * (coordinates + 1) // 2, math.prod(likelihood.classes), n, weights)


def one_pass(
    rows: Iterator[Rows], state: State, batch: Batch, frame: Frame, plan: Plan, running: np.ndarray, told: Told
) -> tuple[Sums, np.ndarray]:
    """The sums of the models that run (some L' of them) over the rows of all processes, and the numbers of these models, the
    last repeated up to one of few sizes.

    Args:
        rows: of the pass.
        running: numbers of models.
        told: is told how many rows were done after each block.
    """
    at = _filled_up(running, batch.size)
    step = state.x - state.origin
    lanes = Lanes(state.x[at], step[at], batch.y[at], batch.s[at], batch.offset[at])

    def blocks(reading: Iterable[Rows]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
        for block in reading:
            row = np.arange(block.first, block.first + block.fields["X"].shape[0], dtype=np.uint64)
            yield own_names(block.fields), row, np.int64(block.size)
            told(block.size)

    def of_own_rows() -> tuple[Sums, Sums]:
        with contextlib.closing(ahead(rows)) as reading:
            return sums_of(blocks(reading), lanes, frame, plan)

    carried = together(of_own_rows)
    largest = {name: np.max(everyone(getattr(carried[0], name)), axis=0) for name in carried[0].largest()}
    return of_all_processes(carried)._replace(**largest), at


def own_names(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a block under the names of the sums."""
    return {{"sample_weight": "s"}.get(name, name): value for name, value in fields.items()}


def _filled_up(running: np.ndarray, size: int) -> np.ndarray:
    """The numbers of the models, the last repeated: all, a half, a quarter and so on have programs of their own."""
    target = size
    while target > _EXACT and len(running) <= target // 2:
        target = -(-target // 2)
    return np.concatenate([running, np.full(target - len(running), running[-1])]) if len(running) < target else running
