"""What finished passes have found, in one file: written beside, then renamed over the older one, so that it is whole at any
moment.

The file is a .npz archive of numbers without pickle. `call` is a digest of the arguments of the call; the checksums of the
blocks are in it too, so that another call, or other data, is refused.
"""

import hashlib
import io
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def digest(parts: Mapping[str, Any]) -> str:
    """SHA-256 of arguments: arrays by their numbers, others by how they print."""
    sha = hashlib.sha256()
    for name in sorted(parts):
        value = parts[name]
        array = isinstance(value, np.ndarray)
        sha.update(f"{name}={value.dtype.str, value.shape}".encode() if array else f"{name}={value!r}".encode())
        sha.update(np.ascontiguousarray(value).tobytes() if array else b";")
    return sha.hexdigest()


def save(path: str | os.PathLike[str], call: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, wholly or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    place = Path(path).resolve()
    unfinished = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        with open(unfinished, "xb") as file:
            np.savez(file, allow_pickle=False, call=np.array(call), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, place)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> bytes | None:
    """The file that `save` wrote; None where there is none.

    Raises:
        FileNotFoundError: there is no folder for it, which else would be seen after a pass.
    """
    place = Path(path).resolve()
    if not place.parent.is_dir():
        raise FileNotFoundError(f"expected checkpoint in a folder, got {place.parent}, which is none; make it first")
    return place.read_bytes() if place.exists() else None


def load(content: bytes, path: str | os.PathLike[str], call: str) -> dict[str, np.ndarray]:
    """The arrays that `save` wrote.

    Args:
        content: of the file.
        path: where it is.
        call: digest of the call.

    Raises:
        ValueError: the file is none of `save`, or of another call.
    """
    try:
        with np.lib.npyio.NpzFile(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # whatever these bytes make of zipfile and NumPy
        raise ValueError(
            f"expected a checkpoint of fit_stream, got {os.fspath(path)}, which is none ({error}); delete it"
        ) from None
    if str(arrays.pop("call", "")) != call:
        raise ValueError(
            f"expected the checkpoint of this call, got {os.fspath(path)} of other arguments; give each call its own path"
        )
    return arrays
