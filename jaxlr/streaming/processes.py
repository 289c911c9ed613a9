"""Many processes: each streams rows of its own, and all go on with the same bits, or end with the same words.

Every process of a job that `jax.distributed` joined makes the same call. What one of them finds, fails at or is interrupted in
is said where all meet next, so that none waits for one that has gone; what is decided is decided by the first, and sent to the
others byte for byte, so that their steps are the same on machines of different kinds too. A process alone meets nobody.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxlr.streaming.blocks import Reader

T = TypeVar("T")
_WORDS = 1000  # bytes of a message
_FINE, _FAILED, _INTERRUPTED = 0, 1, 2


class InterruptedPassError(Exception):
    """An interrupt came while blocks were read, here or in another process."""


def together(work: Callable[[], T]) -> T:
    """What work returns, once it has returned in all processes.

    Raises:
        Exception: what it raises here.
        InterruptedPassError: it was interrupted in another process.
        RuntimeError: it failed in another process, with the words that it failed with there.
    """
    if jax.process_count() == 1:
        return work()
    result, error, state, words = None, None, _FINE, ""
    try:
        result = work()
    except InterruptedPassError as raised:
        error, state = raised, _INTERRUPTED
    except Exception as raised:  # whatever it is the others have to hear of it
        error, state, words = raised, _FAILED, f"{type(raised).__name__}: {raised}"
    message = np.zeros(1 + _WORDS, np.uint8)
    said = words.encode()[:_WORDS]
    message[0], message[1 : 1 + len(said)] = state, np.frombuffer(said, np.uint8)
    heard = everyone(message)
    if error is not None:
        raise error
    for process, other in enumerate(heard):
        if other[0] == _FAILED:
            its = other[1:].tobytes().rstrip(b"\0").decode(errors="ignore")
            raise RuntimeError(f"process {process} of {len(heard)} ended the call for all: {its}")
    if np.any(heard[:, 0] == _INTERRUPTED):
        raise InterruptedPassError
    return result  # pyright: ignore[reportReturnType]


def everyone(value: Any) -> np.ndarray:
    """What each process brings (processes, *shape), in their order; all bring one shape and dtype."""
    value = np.asarray(value)
    raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    found = np.ascontiguousarray(multihost_utils.process_allgather(raw))
    return found.view(value.dtype).reshape(-1, *value.shape)


def ragged(value: np.ndarray) -> list[np.ndarray]:
    """What each process brings, of any length along the first axis."""
    lengths = everyone(np.int64(len(value)))
    filled = np.zeros((max(int(lengths.max()), 1), *value.shape[1:]), value.dtype)
    filled[: len(value)] = value
    return [part[:length] for part, length in zip(everyone(filled), lengths, strict=True)]


def of_first(tree: T) -> T:
    """The arrays of the first process; those of the others have the same structure, shapes and dtypes."""
    if jax.process_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(leaf) for leaf in leaves]
    raw = np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])
    found = np.ascontiguousarray(multihost_utils.broadcast_one_to_all(raw))
    parts = np.split(found, np.cumsum([array.nbytes for array in arrays])[:-1])
    return jax.tree.unflatten(
        structure, [part.copy().view(array.dtype).reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]
    )


def bytes_of_first(content: bytes | None) -> bytes | None:
    """What the first process brings, of any length, or None; what others bring does not count."""
    if jax.process_count() == 1:
        return content
    size = int(everyone(np.int64(-1 if content is None else len(content)))[0])
    if size < 0:
        return None
    own = content if content is not None and jax.process_index() == 0 else bytes(size)
    return of_first(np.frombuffer(own, np.uint8)).tobytes()


def number_rows(reader: Reader, told: Callable[[int], None]) -> None:
    """Give the rows of this process their numbers in the stream of all, by a look that counts them.

    Args:
        reader: has made no pass yet.
        told: is told how many rows there were after each block; raises to stop.

    Raises:
        ValueError: blocks have other columns, dtypes or fields in another process.
    """
    if jax.process_count() == 1:
        return

    def counted() -> int:
        total = 0
        for count in reader.counts():
            total += count
            told(count)
        return total

    counts = everyone(np.int64(together(counted)))
    assert reader.kind is not None
    check_alike("the same columns, dtypes and fields", reader.kind.described())
    reader.start = int(np.sum(counts[: jax.process_index()]))


def check_alike(what: str, own: str) -> None:
    """Refuse what is not the same in all processes.

    Args:
        what: completes "expected ... in all processes".
        own: what this one has.

    Raises:
        ValueError: in all of them.
    """
    if jax.process_count() == 1:
        return
    said = [part.tobytes().decode() for part in ragged(np.frombuffer(own.encode(), np.uint8))]
    if other := [process for process, its in enumerate(said) if its != said[0]]:
        first, its = (text if len(text) <= _WORDS else text[:_WORDS] + "..." for text in (said[0], said[other[0]]))
        raise ValueError(
            f"expected {what} in all processes, got {first} in process 0 and {its} in process {other[0]}; make the same call "
            "in each"
        )
