"""A batch in chunks of one shape: memory is bounded, one compilation serves them all, and an interrupt loses nothing.

A chunk is a block of the batch, as many models along each batch axis as its shape says. The last block of an axis begins
early enough to be whole (its first models are fitted twice), and a batch of one chunk is filled up with copies of its last
members to one of few sizes, so that batches of similar size share a program. Chunks that keep one core busy each run beside
each other, each in a thread.
"""

import contextlib
import itertools
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from jaxlr.batching.axes import Core, map_leaves
from jaxlr.model.likelihood import Likelihood
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def fit_in_chunks(
    program: Callable[[Any], Fit],
    fields: Any,
    cores: Any,
    unfitted: Callable[[], Fit],
    batch: tuple[int, ...],
    chunk: tuple[int, ...],
    progress: bool,
    at_once: int = 1,
) -> Fit:
    """Fit a batch, chunk by chunk, to a Fit (*batch,) of NumPy arrays, or of JAX's where it is one chunk.

    Args:
        program: from the fields of a chunk to its Fit (*chunk,).
        fields: NumPy or JAX arrays (..., *core), each with batch axes that broadcast to `batch`.
        unfitted: makes the Fit (*batch,) of `not_run`.
        chunk: where it is longer than the batch, the batch is filled up.
        progress: whether to show a bar on stderr, with the models done and failed.
        at_once: chunks that run beside each other.

    Raises:
        KeyboardInterrupt: an interrupt came; what ran was finished, and the attribute `fit` is the Fit (*batch,), with the
            status NOT_RUN for models that were not reached.
    """

    x64 = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]

    def fit_block(at: tuple[int, ...]) -> Fit:
        with jax.enable_x64(x64):  # as the caller has it: threads do not inherit that
            return program(map_leaves(lambda core, leaf: _cut(leaf, core, at, chunk), cores, fields))

    def fit_on_host(at: tuple[int, ...]) -> Fit:
        return jax.tree.map(np.asarray, fit_block(at))

    with deferred_interrupt() as interrupted:
        if chunk == batch and not progress:
            # Till then XLA may read NumPy arrays where they lie, and the caller is free to change them afterwards.
            fits = jax.block_until_ready(program(fields))
            return fits if not interrupted else _raise_interrupt(fits)
        fits, failed = unfitted(), 0
        starts = itertools.product(*(range(0, size, step) for size, step in zip(batch, chunk, strict=True)))
        corners = (
            tuple(max(min(a, size - step), 0) for a, size, step in zip(start, batch, chunk, strict=True)) for start in starts
        )
        corners = itertools.takewhile(lambda _: not interrupted, corners)
        with tqdm(total=fits.status.size, unit=" models", unit_scale=True, disable=not progress) as bar:
            for at, block in _side_by_side(fit_on_host, corners, at_once):
                new = _write(fits, block, at)
                failed += int(np.sum(new != Status.CONVERGED))
                bar.set_postfix(failed=failed, refresh=False)
                bar.update(new.size)
        return fits if not interrupted else _raise_interrupt(fits)


def not_run(batch: tuple[int, ...], n: int, dtype: Any, solver: str, likelihood: Likelihood) -> Fit:
    """What is known before anything is fitted: a Fit (*batch,) of NumPy arrays, NOT_RUN, without steps, and NaN elsewhere."""

    def unknown(*core: int) -> np.ndarray:
        return np.full((*batch, *core), np.nan, dtype)

    classes = likelihood.classes
    return Fit(
        params=likelihood.params_type(unknown(*classes, n), unknown(*classes)),
        value=unknown(),
        kkt=unknown(),
        gap=unknown(),
        status=np.full(batch, Status.NOT_RUN, np.int32),
        num_steps=np.zeros(batch, np.int32),
        solver=solver,
    )


def _side_by_side(function: Callable, items: Iterable, at_once: int) -> Iterator[tuple[Any, Any]]:
    """Items and their results, in order; those that were begun are finished when there are no more items."""
    if at_once == 1:
        yield from ((item, function(item)) for item in items)
        return
    pool, begun = ThreadPoolExecutor(at_once), deque()
    try:
        for item in items:
            begun.append((item, pool.submit(function, item)))
            if len(begun) == at_once:
                yield begun[0][0], begun.popleft()[1].result()
        for item, future in begun:
            yield item, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a second interrupt waits for nothing


def _cut(value: Any, core: Core, at: tuple[int, ...], chunk: tuple[int, ...]) -> Any:
    """A field of the chunk that begins at `at`."""
    first = len(core.lead(value)) - len(at)  # of the field's axes, negative where it lacks some
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


def _slice(value: Any, start: int, length: int, axis: int) -> Any:
    return value[(slice(None),) * axis + (slice(start, start + length),)]


def _write(whole: Fit, block: Fit, at: tuple[int, ...]) -> np.ndarray:
    """Put a block in its place; the status of the models that are new."""
    inside = tuple(
        min(length, size - start) for length, size, start in zip(block.status.shape, whole.status.shape, at, strict=True)
    )
    place = tuple(slice(start, start + length) for start, length in zip(at, inside, strict=True))
    kept = tuple(slice(0, length) for length in inside)
    new = block.status[kept][whole.status[place] == Status.NOT_RUN]
    for leaf, part in zip(jax.tree.leaves(whole), jax.tree.leaves(block), strict=True):
        leaf[place] = part[kept]
    return new


def _raise_interrupt(fits: Fit) -> NoReturn:
    done = int(np.sum(np.asarray(fits.status) != Status.NOT_RUN))
    error = KeyboardInterrupt(f"{done} of {fits.status.size} models were fitted: they are in its attribute fit")
    error.fit = fits  # pyright: ignore[reportAttributeAccessIssue]
    raise error


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[list[bool]]:
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
