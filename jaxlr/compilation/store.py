"""A store of compiled programs on disk, so that a new process need not trace, lower and compile what an earlier one did.

An entry is a file of the user's cache directory, named by the digest of all that its program depends on
(`jaxlr.compilation.key`):

    magic | SHA-256 of key and payload | payload,      payload = pickle of `jax.experimental.serialize_executable.serialize`

What is damaged, of another key or not the user's own is a miss, before anything of it is read as a program. Entries are
written beside their place and moved there, so that no process sees half of one; the oldest ones go when the store is full.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.stages import Compiled

_VARIABLE = "JAXLR_CACHE_DIR"
_MAGIC = b"jaxlr program 1\n"
_SUFFIX = ".jaxlr"
_DIGEST = hashlib.sha256().digest_size
_MOST_BYTES = 2**29


def directory() -> Path | None:
    """Where the store is: $JAXLR_CACHE_DIR, else where the platform keeps caches; None where it is "off" or no place known."""
    asked = os.environ.get(_VARIABLE)
    if asked and asked.lower() == "off":
        return None
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        caches = "~/Library/Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with contextlib.suppress(RuntimeError):  # a user without a home
        return Path(asked or os.path.join(caches, "jaxlr")).expanduser()
    return None


def load(key: bytes) -> Compiled | None:
    """The program of a key, ready to run; None where the store has none that is whole and the user's own."""
    folder = directory()
    if folder is None:
        return None
    path = folder / _name(key)
    try:
        if not (_is_own(folder) and _is_own(path) and _is_entry(path)):
            return None
        entry = path.read_bytes()
    except OSError:
        return None
    if (payload := _payload(key, entry)) is None:
        return None
    with contextlib.suppress(OSError):  # a store that can only be read
        os.utime(path)
    _initialize_lapack()
    try:
        return serialize_executable.deserialize_and_load(*pickle.loads(payload), execution_devices=jax.local_devices()[:1])
    except Exception:  # whatever the runtime raises, the program can be compiled again
        return None


def save(key: bytes, program: Compiled) -> None:
    """Keep the program of a key that was compiled just now; where that cannot be done nothing happens.

    Where JAX keeps compiled programs of its own the program may be one of them, and what was loaded once lacks, when it is
    serialized again, the code of its kernels (jaxlib 0.10 to 0.12: "Function ... not found" when it runs).
    """
    folder = directory()
    if folder is None or jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return
    try:
        payload = pickle.dumps(serialize_executable.serialize(program))
    except Exception:  # not every runtime can serialize every program
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(folder):
            return
        handle, partial = tempfile.mkstemp(dir=folder, suffix=_SUFFIX)  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + _digest(key, payload) + payload)
            os.replace(partial, folder / _name(key))
        except BaseException:
            os.unlink(partial)
            raise
        _remove_oldest(folder)


def _name(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest() + _SUFFIX


def _digest(key: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(key).digest() + payload).digest()


def _payload(key: bytes, entry: bytes) -> bytes | None:
    """What an entry holds; None unless it is whole and of this key."""
    head = len(_MAGIC) + _DIGEST
    payload = entry[head:]
    return payload if entry[:head] == _MAGIC + _digest(key, payload) else None


def _is_entry(path: Path) -> bool:
    """Whether it is a file, which a pipe is not that nobody writes to, of a size that the store keeps."""
    found = path.stat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES


def _is_own(path: Path) -> bool:
    """Whether nobody but the user can have written it: a program is code."""
    if not hasattr(os, "geteuid"):
        return True
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _remove_oldest(folder: Path) -> None:
    """Remove the entries that were used longest ago, until the others are within the bound."""
    entries = []
    for path in folder.glob("*" + _SUFFIX):
        with contextlib.suppress(OSError):  # removed by another process
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    excess = sum(size for _, size, _ in entries) - _MOST_BYTES
    for _, size, path in sorted(entries):
        if excess <= 0:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        excess -= size


@functools.cache
def _initialize_lapack() -> None:
    """On a CPU a loaded program calls LAPACK through pointers that JAX sets when it first lowers such a call."""
    if jax.default_backend() != "cpu":
        return
    try:
        from jaxlib.lapack import prepare_lapack_call  # what a lowering calls, without the lowering: half the time

        prepare_lapack_call("potrf_ffi", np.dtype(np.float32))
    except (ImportError, TypeError):
        jax.jit(jax.lax.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), np.float32))
