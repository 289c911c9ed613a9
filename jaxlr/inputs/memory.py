"""Memory of a device: what is free, and arrays of NumPy that JAX uses where they lie."""

import math
import os
import pathlib

import jax
import numpy as np

_LARGE_COPY = 2**24  # bytes
_ROOT = pathlib.Path("/sys/fs/cgroup")
# Of both versions: the folder, the limit, what is used, and what of that are pages of files that nobody asks for.
_GROUPS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def bytes_free(sharing: int = 1) -> int:
    """What a device has free; on a CPU what the process may still take, for each of the devices that work at the same time."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    free = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else []
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():  # free pages and what the kernel gives back
        free = [int(line.split()[1]) * 1024 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")]
    return min([*free, *_left_by_groups()], default=2**63) // sharing


def _left_by_groups() -> list[int]:
    """What control groups of Linux leave to the process. Pages of files that nobody asks for count as used there; the kernel
    gives them back."""
    left = []
    for folder, limit, used, unused in _GROUPS:
        try:
            bound, taken, stat = ((_ROOT / folder / name).read_text() for name in (limit, used, "memory.stat"))
        except OSError:
            continue
        if bound.strip().isdigit():  # else there is none
            pages = dict(line.split() for line in stat.splitlines()).get(unused, 0)
            left.append(int(bound) - int(taken) + int(pages))
    return left


def check_room(what: str, *shape: int, itemsize: int = 8) -> None:
    """Refuse what would not fit, before anything is allocated.

    Args:
        what: of the caller's, such as "m rows".
        shape: of the largest array of it.
        itemsize: bytes of a number.

    Raises:
        MemoryError: the device has less free.
    """
    needed, free = math.prod(map(int, shape)) * itemsize, bytes_free()
    if needed > free:
        raise MemoryError(
            f"expected {what} that fit in the {free / 2**30:.3g} GiB that are free, got a need of {needed / 2**30:.3g} GiB; "
            "ask for fewer"
        )


def aligned(value: np.ndarray) -> np.ndarray:
    """On a CPU JAX uses the memory of NumPy as it is, where it begins at a multiple of 64 bytes; else it copies, more slowly
    than NumPy."""
    if value.nbytes < _LARGE_COPY or value.ctypes.data % 64 == 0 or jax.default_backend() != "cpu":
        return value
    memory = np.empty(value.size + 64 // value.itemsize, value.dtype)
    start = -memory.ctypes.data % 64 // value.itemsize
    copy = memory[start : start + value.size].reshape(value.shape)
    np.copyto(copy, value)
    return copy
