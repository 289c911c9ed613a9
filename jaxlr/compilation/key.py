"""What a compiled program depends on, the key of the store: another source, compiler, machine or setting is another program."""

import functools
import hashlib
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jaxlib.version

_PACKAGE = Path(__file__).parents[1]


def key_of(function: Callable, structure: Any, shapes: Iterable[Any], statics: Iterable[Any]) -> bytes | None:
    """The key of a program; None where it depends on code that is not of this package.

    Args:
        function: whose program it is.
        structure: of the arguments, a pytree's.
        shapes: of their leaves, with dtypes.
        statics: values of the static arguments.
    """
    named = [_named(value) for value in (function, *statics)]
    if None in named:
        return None
    return repr((_environment(), named, str(structure), list(shapes), jax.config.values)).encode()


def _named(value: Any) -> str | None:
    """A value in words that are the same in every process; None of a function from elsewhere."""
    if isinstance(value, (tuple, list)):
        parts = [_named(part) for part in value]
        return None if None in parts else f"{type(value).__name__}{parts}"
    if not callable(value) or isinstance(value, type):
        return repr(value)
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "<")
    return f"{module}.{name}" if module.startswith("jaxlr.") and "<" not in name else None


@functools.cache
def _environment() -> tuple[Any, ...]:
    """What is the same for all programs of a process."""
    device = jax.local_devices()[0]
    return (
        _source(),
        (jax.__version__, jaxlib.version.__version__),
        (device.platform, device.device_kind, device.client.platform_version),
        (platform.machine(), _cpu_features(), os.cpu_count()),
        (os.environ.get("XLA_FLAGS", ""), os.environ.get("NPROC", "")),
    )


def _source() -> str:
    """Digest of the source of this package."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _cpu_features() -> str:
    """Instructions that the processor has: programs use those of the machine that they were compiled on."""
    try:
        with open("/proc/cpuinfo") as info:
            return next(line for line in info if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor()
