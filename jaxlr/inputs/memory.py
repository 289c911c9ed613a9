"""What the memory of a device has free."""

import os
import pathlib

import jax


def bytes_free(sharing: int = 1) -> int:
    """What a device has free; on a CPU what the process may still take, for each of the devices that work at the same time."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    free = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else []
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():  # free pages and what the kernel gives back
        free = [int(line.split()[1]) * 1024 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")]
    group = pathlib.Path("/sys/fs/cgroup")
    limit, used = (group / name for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and (bound := limit.read_text().strip()).isdigit():
        free.append(int(bound) - int(used.read_text()))
    return min(free, default=2**63) // sharing
