"""One block ahead: a thread reads, decodes and checks the next block while the sums of this one are computed."""

import queue
import threading
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any, TypeVar

from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.fields import Kind

T = TypeVar("T")
_END = object()


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The items in their order, the next one made in a thread while the caller has this one; what it raises is raised here."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        end: Any = _END
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # whatever it is belongs to the caller
            end = _Raised(error)
        put(end)

    thread = threading.Thread(target=read, name="jaxlr-reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        stopped.set()
        thread.join()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def kind_ahead(reader: Reader) -> Kind:
    """The kind of the blocks, of a look at the first one, with which the next pass begins."""
    if reader.kind is None:
        own, reading, seen = reader.blocks, iter(reader.blocks()), []

        def look() -> Iterator[Any]:
            for block in reading:
                seen.append(block)
                yield block

        def next_pass() -> Iterator[Any]:
            reader.blocks = own
            return chain(seen, reading)

        reader.blocks = look
        next(reader.counts())
        reader.blocks = next_pass
    assert reader.kind is not None
    return reader.kind
