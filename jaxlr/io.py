"""Results in one file: arrays as NumPy stores them, a JSON header that says what they are, and a digest of it all.

The file is a .npz archive that NumPy alone can read. Its member "header" is JSON,

    {"format": "jaxlr", "version": 1, "jaxlr": ..., "content": ...}

in which an array is {"array": NAME, "dtype": ...}, NAME being another member, and a result {"type": ..., "fields": {...}}. The
comment of the archive ends in the SHA-256 (FIPS 180-4) of every byte before it, which is checked before anything is read. No
pickle is written or read: a file can hold numbers and text, and no code.
"""

import hashlib
import json
import math
import os
import stat
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import is_concrete
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.preprocessing import Scaler
from jaxlr.results.fit import Fit
from jaxlr.selection.scores import CrossValidation

_VERSION = 1
_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (Fit, Params, SoftmaxParams, Scaler, CrossValidation)}
_PARTS: dict[type, dict[str, Any]] = {  # what is no array
    Fit: {"params": Params | SoftmaxParams, "solver": str, "names": tuple | None, "num_passes": np.ndarray | None},
    CrossValidation: {"fits": Fit, "folds": int | str, "refit": Fit | None}
    | dict.fromkeys(("scores", "mean", "standard_error"), dict)
    | dict.fromkeys(("best", "one_se"), tuple | None)
    | dict.fromkeys(("l1_group", "gamma"), np.ndarray | None),
}
_MARK, _HEX, _BLOCK = b"jaxlr sha256 ", 64, 2**20


class _UnreadableError(Exception):
    """What is wrong with a file."""


def save(path: str | os.PathLike[str], result: Any) -> None:
    """Write a result to a file, wholly or not at all: until the last byte is written an older file stands as it was.

    Args:
        path: of the file; its name is taken as it is.
        result: a Fit, Params, SoftmaxParams, Scaler or CrossValidation, outside jit.

    Raises:
        TypeError: the path is none; the result is something else, or holds what `load` would not take for its own.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, numpy as np
        >>> from jaxlr import Params
        >>> path = tempfile.mkdtemp() + "/params.npz"
        >>> save(path, Params(np.array([1.0, 2.0]), np.array(0.5)))
        >>> load(path).coef.tolist()
        [1.0, 2.0]
    """
    _check_path(path)
    if type(result) not in _TYPES.values():
        raise TypeError(f"expected a {', '.join(_TYPES)}, got {type(result).__name__}; save its parts")
    arrays: dict[str, np.ndarray] = {}
    content = _encoded(result, "", arrays)
    try:
        _check_fields(_decoded(content, arrays))  # or `load` would refuse it, when it is too late
    except _UnreadableError as error:
        raise TypeError(f"expected a whole {type(result).__name__}, got one that {error}; save its parts") from None
    header = {"format": "jaxlr", "version": _VERSION, "jaxlr": version("jaxlr"), "content": content}
    path = Path(path).resolve()  # a link keeps leading there
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(unfinished, "xb+") as file:
            if path.exists():
                os.chmod(unfinished, path.stat().st_mode)
            _write(file, header, arrays)
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote.

    Args:
        path: of the file.

    Returns:
        The result, its arrays NumPy's: the same bits, whether JAX computes in float64 or not.

    Raises:
        TypeError, ValueError: the path is none; the file is not by `save`, is cut off or altered, or of a later version.
        OSError: there is no such file, or it cannot be read.

    Example:
        >>> import tempfile, numpy as np
        >>> from jaxlr import fit, predict
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> path = tempfile.mkdtemp() + "/fit.npz"
        >>> save(path, fit(X, y, l2=0.1))
        >>> bool(load(path).converged), predict(load(path).params, X).tolist()
        (True, [0, 0, 1, 1])
    """
    _check_path(path)
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode):
            raise _UnreadableError("is a pipe or a device")  # which may have no end
        with open(path, "rb") as file:
            return _read(file)
    except _UnreadableError as error:
        raise ValueError(f"expected a file by jaxlr.io.save, got {os.fspath(path)}, which {error}; save it anew") from None


def _check_path(path: object) -> None:
    """Refuse what is no path: a number would be a file that is open already."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"expected path to be a string or os.PathLike, got {type(path).__name__}; name a file")


def _encoded(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The value as JSON, its arrays put aside under names such as "params.coef"."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping) or type(value) in _TYPES.values():
        parts = value if isinstance(value, Mapping) else {field: _part(value, field) for field in _fields(type(value))}
        encoded = {key: _encoded(part, f"{name}.{key}".removeprefix("."), arrays) for key, part in parts.items()}
        return {"mapping": encoded} if isinstance(value, Mapping) else {"type": type(value).__name__, "fields": encoded}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(part, f"{name}.{place}", arrays) for place, part in enumerate(value)]}
    if not is_concrete(value):
        raise TypeError(f"expected a result outside jit, got a tracer in {name}; return it from the jitted function first")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" and array.dtype != jnp.bfloat16:
        raise TypeError(f"expected numbers in {name}, got {type(value).__name__} of dtype {array.dtype}; leave that out")
    arrays[name] = array if array.dtype.kind in "biuf" else array.view(np.uint16)
    return {"array": name, "dtype": array.dtype.name}


def _part(result: Any, field: str) -> Any:
    part = getattr(result, field)  # a number where an array belongs is one
    return np.asarray(part) if isinstance(part, int) and field not in _PARTS.get(type(result), ()) else part


def _decoded(encoded: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if encoded is None or isinstance(encoded, (str, int)):
        return encoded
    match encoded:
        case {"array": str(name), "dtype": str(dtype)}:
            array = arrays[name].view(jnp.bfloat16) if dtype == "bfloat16" else arrays[name]
            if array.dtype.name == dtype and (array.dtype.kind in "biuf" or dtype == "bfloat16"):
                return array
        case {"tuple": [*parts]}:
            return tuple(_decoded(part, arrays) for part in parts)
        case {"mapping": dict(parts)}:
            return {key: _decoded(part, arrays) for key, part in parts.items()}
        case {"type": str(kind), "fields": dict(parts)} if kind in _TYPES and set(parts) == set(_fields(_TYPES[kind])):
            return _TYPES[kind](**{field: _decoded(part, arrays) for field, part in parts.items()})
    raise _UnreadableError("holds what this version does not know")


def _fields(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)


def _write(file: Any, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("header.json", json.dumps(header, indent=1))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = _MARK + b"0" * _HEX
    digest = _digest(file)
    file.seek(-_HEX, os.SEEK_END)
    file.write(digest)
    file.flush()


def _digest(file: Any) -> bytes:
    """SHA-256, in hexadecimal digits, of all but the last ones of a file."""
    left = file.seek(0, os.SEEK_END) - _HEX
    file.seek(0)
    sha = hashlib.sha256()
    while left > 0 and (block := file.read(min(left, _BLOCK))):
        sha.update(block)
        left -= len(block)
    return sha.hexdigest().encode()


def _read(file: Any) -> Any:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _HEX - len(_MARK), 0))
    end = file.read()
    if not end.startswith(_MARK) or len(end) != _HEX + len(_MARK):
        raise _UnreadableError("is none, or is cut off")
    if _digest(file) != end[len(_MARK) :]:
        raise _UnreadableError("was altered since: its digest does not match")
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            plain = all(info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 for info in members)
            if not plain or sum(info.file_size for info in members) > size:
                raise _UnreadableError("has members that are compressed, encrypted or larger than it is")
            header = json.loads(archive.read("header.json"))
            if header["format"] != "jaxlr" or not header["version"] >= 1:
                raise _UnreadableError("is none")
            if header["version"] > _VERSION:
                raise _UnreadableError(f"needs jaxlr {header['jaxlr']} or later (format {header['version']})")
            arrays = {
                info.filename.removesuffix(".npy"): _array(archive, info) for info in members if info.filename[-4:] == ".npy"
            }
        result = _decoded(header["content"], arrays)
    except _UnreadableError:
        raise
    except Exception as error:  # whatever these bytes make of zipfile, json and NumPy
        raise _UnreadableError(f"was not written by it, though it says so ({type(error).__name__})") from None
    _check_fields(result)
    return result


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """An array as NumPy stores it; no memory is taken for what is not there."""
    with archive.open(member) as stream:
        of_format = np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if of_format != (1, 0) or stream.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_fields(result: Any) -> None:
    """A result of ours, with results of ours, arrays and text where they belong."""
    if type(result) not in _TYPES.values():
        raise _UnreadableError(f"holds no {', '.join(_TYPES)}")
    for field in _fields(type(result)):
        part = getattr(result, field)
        if not isinstance(part, _PARTS.get(type(result), {}).get(field, np.ndarray)):
            raise _UnreadableError(f"holds a {type(part).__name__} as {field}")
        if type(part) in _TYPES.values():
            _check_fields(part)
