"""A batch in chunks of one shape: memory is bounded, one compilation serves them all, and an interrupt loses nothing.

A chunk is a block of the batch, as many models along each batch axis as its shape says. The last block of an axis begins
early enough to be whole (its first models are fitted twice), and a batch of one chunk is filled up with copies of its last
members to one of few sizes, so that batches of similar size share a program.
"""

import contextlib
import itertools
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm.auto import tqdm

from jaxlr.result import Fit
from jaxlr.status import Status

_EXACT = 16  # sizes up to this are left as they are


def fit_in_chunks(
    program: Callable[[dict[str, Array]], Fit],
    fields: Mapping[str, Any],
    core_rank: Mapping[str, int],
    batch: tuple[int, ...],
    chunk: tuple[int, ...],
    progress: bool,
) -> Fit:
    """Fit a batch, a chunk at a time.

    Args:
        program: from the fields of a chunk to its Fit (*chunk,).
        fields: by name, NumPy or JAX arrays (..., *core), each with batch axes that broadcast to `batch`.
        core_rank: of every field.
        batch: shape of the batch.
        chunk: shape of a chunk; where it is longer than the batch, the batch is filled up.
        progress: whether to show a bar on stderr, with the models done and failed.

    Returns:
        Fit (*batch,).

    Raises:
        KeyboardInterrupt: an interrupt came; the chunk that ran was finished, and the attribute `fit` is the Fit (*batch,),
            with the status NOT_RUN for models that were not reached.
    """

    def fit_block(at: tuple[int, ...]) -> Fit:
        return program({name: _cut(value, core_rank[name], at, chunk) for name, value in fields.items()})

    if chunk == batch and not progress:
        return fit_block((0,) * len(batch))
    whole: Any = None
    starts = itertools.product(*(range(0, size, step) for size, step in zip(batch, chunk, strict=True)))
    with _deferred_interrupt() as interrupted, tqdm(total=int(np.prod(batch)), unit="model", disable=not progress) as bar:
        for start in starts:
            at = tuple(max(min(a, size - step), 0) for a, size, step in zip(start, batch, chunk, strict=True))
            block = jax.tree.map(np.asarray, fit_block(at))
            if whole is None:
                whole = jax.tree.map(lambda leaf: _unfitted(leaf, batch, len(chunk)), block)
                whole.status[...] = Status.NOT_RUN
            bar.update(_write(whole, block, at))
            bar.set_postfix(failed=int(np.sum(~np.isin(whole.status, (Status.CONVERGED, Status.NOT_RUN)))))
            if interrupted:
                done = int(np.sum(whole.status != Status.NOT_RUN))
                error = KeyboardInterrupt(f"{done} of {whole.status.size} models were fitted: they are in its attribute fit")
                error.fit = jax.tree.map(jnp.asarray, whole)  # pyright: ignore[reportAttributeAccessIssue]
                raise error
    return jax.tree.map(jnp.asarray, whole)


def common_size(size: int, multiple: int = 1) -> int:
    """The next of the few sizes that programs are compiled for: eight in each octave, at most an eighth more.

    Args:
        size: >= 1.
        multiple: that it has to be a multiple of.

    Returns:
        >= size.
    """
    if size > _EXACT:
        step = 2 ** ((size - 1).bit_length() - 4)
        size = -(-size // step) * step
    return -(-size // multiple) * multiple


def _cut(value: Any, core_rank: int, at: tuple[int, ...], chunk: tuple[int, ...]) -> Any:
    """A field of the chunk that begins at `at`."""
    first = value.ndim - core_rank - len(at)  # of the field's axes, negative where it lacks some
    fill = [(0, 0)] * value.ndim
    for axis, (start, length) in enumerate(zip(at, chunk, strict=True), first):
        if axis < 0 or value.shape[axis] == 1:
            continue
        if length < value.shape[axis]:
            is_jax = isinstance(value, jax.Array)
            value = jax.lax.dynamic_slice_in_dim(value, start, length, axis) if is_jax else _slice(value, start, length, axis)
        fill[axis] = (0, length - value.shape[axis])
    if any(after for _, after in fill):
        value = (jnp if isinstance(value, jax.Array) else np).pad(value, fill, mode="edge")
    return value


def _write(whole: Fit, block: Fit, at: tuple[int, ...]) -> int:
    """Put a block in its place; the number of models that are new."""
    inside = tuple(
        min(length, size - start) for length, size, start in zip(block.status.shape, whole.status.shape, at, strict=True)
    )
    place = tuple(slice(start, start + length) for start, length in zip(at, inside, strict=True))
    kept = tuple(slice(0, length) for length in inside)
    new = int(np.sum(whole.status[place] == Status.NOT_RUN))
    for leaf, part in zip(jax.tree.leaves(whole), jax.tree.leaves(block), strict=True):
        leaf[place] = part[kept]
    return new


def _slice(value: Any, start: int, length: int, axis: int) -> Any:
    return value[(slice(None),) * axis + (slice(start, start + length),)]


def _unfitted(leaf: np.ndarray, batch: tuple[int, ...], batch_rank: int) -> np.ndarray:
    return np.full(batch + leaf.shape[batch_rank:], np.nan if np.issubdtype(leaf.dtype, np.floating) else 0, leaf.dtype)


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[list[bool]]:
    """A first interrupt is noted in the list, a second one interrupts at once."""
    noted: list[bool] = []
    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )

    def note(*_: Any) -> None:
        noted.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
