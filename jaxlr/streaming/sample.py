"""Rows of the first pass that stay in memory, of which steps are made where no pass has summed what they need."""

from typing import Any, NamedTuple

import numpy as np

from jaxlr.streaming.first import First
from jaxlr.streaming.models import Batch
from jaxlr.streaming.sums import Frame

_ROWS = 2**12  # brought to working columns at a time


class Sample(NamedTuple):
    """Rows in memory.

    Attributes:
        A: working columns (r, k), float32.
        s: weights (W, r), each summing to 1, float32.
        offset: (O, r), of several classes (O, r, K), float32, or None.
        gram: A' D A (k, k) over all rows, float32, or None.
    """

    A: Any
    s: Any
    offset: Any
    gram: Any = None


def sample_of(first: First, weights: np.ndarray | None, frame: Frame, k: int, size: int | None = None) -> Sample:
    """Those of the first pass.

    Args:
        weights: of all resamples and rows of weights (W, r), or None.
        k: working columns, with the intercept.
        size: of the result, filled up with rows of weight 0; None is as many as there are.
    """
    r, n = len(first.numbers), len(frame.center)
    s = np.ones((1, r)) if weights is None else weights
    A = np.ones((r, k), np.float32)
    for start in range(0, r, _ROWS):
        rows = first.sample["X"][start : start + _ROWS].astype(np.float64)
        A[start : start + _ROWS, :n] = (rows - frame.center) / frame.unit
    A[~(s > 0).any(axis=0)] = 0
    total = np.sum(s, axis=1, keepdims=True)
    s, offset = (s / np.where(total > 0, total, 1)).astype(np.float32), first.sample.get("offset")
    offset = None if offset is None else offset.astype(np.float32)
    if size is not None:
        more = 0, size - r
        A, s = np.pad(A, (more, (0, 0))), np.pad(s, ((0, 0), more))
        offset = None if offset is None else np.pad(offset, ((0, 0), more, *[(0, 0)] * (offset.ndim - 2)))
    return Sample(A, s, offset)


def of_models(sample: Sample, batch: Batch, at: np.ndarray) -> tuple[Sample, Sample]:
    """The sample with weights and offsets of some models, and the axes to map it over."""
    of, axes = [], []
    for values, rows in ((sample.s, batch.s), (sample.offset, batch.offset)):
        shared = values is None or len(values) == 1
        of.append(None if values is None else values[0] if shared else values[rows[at]])
        axes.append(None if shared else 0)
    return Sample(sample.A, of[0], of[1], sample.gram), Sample(None, axes[0], axes[1])
