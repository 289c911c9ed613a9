"""Predictions of data larger than memory: the probabilities of the rows of a block, then those of the next.

Rows are computed in pieces of one shape, the last piece of a block filled up, so that one program serves blocks of all sizes;
the next block is read meanwhile.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxlr.inputs.checks import real_array
from jaxlr.inputs.sparse import is_sparse
from jaxlr.inputs.tables import in_order
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import HasParams, Params, SoftmaxParams
from jaxlr.model.predict import own_params, predict_proba
from jaxlr.streaming.ahead import ahead
from jaxlr.streaming.blocks import Blocks, check_callable

_BYTES = 2**27  # that the numbers of a piece may take
_FEWEST_ROWS, _MOST_ROWS = 64, 2**16


def predict_stream(params: Params | SoftmaxParams | HasParams, blocks: Blocks) -> Iterator[np.ndarray]:
    """The probabilities of `jaxlr.predict_proba`, for rows that come in blocks.

    Args:
        params: of one model or a batch, as in `jaxlr.predict_proba`. A Fit stands for its params, and takes the columns of
            tables by name.
        blocks: as for `jaxlr.fit_stream`, a callable that returns an iterator of (X, y) or of mappings with "X" (r, n) and
            where wanted "offset", (..., r) or with several classes (..., r, K); here X alone is a block too. Labels and weights
            are not looked at. In a job of many processes each predicts the rows of its own blocks.

    Returns:
        A generator with an array for each block, also for one without rows, in their order: probabilities (..., r), of K
        classes (..., r, K).

    Raises:
        TypeError, ValueError: as `jaxlr.predict_proba`, with the number of the block.

    Example:
        >>> import numpy as np
        >>> params = Params(np.array([1.0, -1.0]), np.array(0.0))
        >>> [proba.tolist() for proba in predict_stream(params, lambda: [np.ones((2, 2)), np.zeros((1, 2))])]
        [[0.5, 0.5], [0.5]]
    """
    check_callable(blocks)
    own = own_params(params)
    return _predicted(params, blocks, bool(likelihood_of_params(own).classes), np.size(own.intercept))


def _predicted(params: Any, blocks: Blocks, classes: bool, logits: int) -> Iterator[np.ndarray]:
    names, size, first = getattr(params, "names", None), 0, 0
    reading = ahead(_taken(blocks, names, int(classes)))
    try:
        for index, (X, offset) in enumerate(reading):
            if not size and len(X):
                most = min(max(_BYTES // (8 * (4 * logits + X.shape[1])), _FEWEST_ROWS), _MOST_ROWS)
                size = min(2 ** (most.bit_length() - 1), 2 ** max(len(X) - 1, 1).bit_length())
            parts = []
            try:
                piece = max(size, 1)
                for start in range(0, max(len(X), 1), piece):  # one without rows too
                    which = slice(start, start + piece)
                    some = None if offset is None else _filled(_rows(offset, which, int(classes)), piece, int(classes))
                    proba = np.asarray(predict_proba(params, _filled(X[which], piece, 1), some))
                    parts.append(_rows(proba, slice(min(piece, len(X) - start)), int(classes)))
            except (TypeError, ValueError) as error:
                raise _same(error)(f"{error}, in block {index} (rows from {first} of the stream)") from None
            yield np.concatenate(parts, axis=-1 - int(classes))
            first += len(X)
    finally:
        reading.close()


def _taken(blocks: Blocks, names: tuple[str, ...] | None, behind: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """X (r, n) and offset of each block.

    Args:
        blocks: of the caller.
        names: columns of a table that are taken.
        behind: axes of an offset behind its rows.
    """
    for index, block in enumerate(blocks()):
        where = f"block {index}"
        given: Any = block[0] if isinstance(block, tuple) and len(block) == 2 else block
        offset: Any = None
        if isinstance(block, Mapping):
            given, offset = block.get("X"), block.get("offset")
        if given is None:
            raise TypeError(f"expected X, got none in {where}; every block has it")
        try:
            given = given if names is None else in_order(given, names)
            X = np.asarray(real_array("X", given.toarray() if is_sparse(given) else given))
            offset = None if offset is None else np.asarray(real_array("offset", offset))
        except (TypeError, ValueError) as error:
            raise _same(error)(f"{error}, in {where}") from None
        if X.ndim != 2:
            raise ValueError(f"expected X (rows, columns), got shape {X.shape} in {where}; of one row pass x[None]")
        if offset is not None and (offset.ndim <= behind or offset.shape[-1 - behind] != len(X)):
            fix = "give one number a row" + behind * " and class"
            raise ValueError(f"expected offset with {len(X)} rows as X has, got shape {offset.shape} in {where}; {fix}")
        yield X, offset


def _same(error: Exception) -> type[Exception]:
    return TypeError if isinstance(error, TypeError) else ValueError


def _rows(value: np.ndarray, which: slice, behind: int) -> np.ndarray:
    """Some rows of what has so many axes behind them."""
    return value[(..., which, *[slice(None)] * behind)]


def _filled(value: np.ndarray, size: int, behind: int) -> np.ndarray:
    """With zeros to so many rows."""
    lacking = size - value.shape[-1 - behind]
    return np.pad(value, [(0, 0)] * (value.ndim - 1 - behind) + [(0, lacking)] + [(0, 0)] * behind) if lacking else value
