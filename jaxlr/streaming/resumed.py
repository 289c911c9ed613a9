"""What finished passes found as arrays by name, and back."""

import json
from array import array
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.model.bounds import Bounded
from jaxlr.model.penalty import Penalty
from jaxlr.streaming.blocks import Kind, Reader
from jaxlr.streaming.calls import Progress
from jaxlr.streaming.models import Asked
from jaxlr.streaming.points import Model
from jaxlr.streaming.steps import State


def identity(asked: Asked, x64: bool) -> dict[str, Any]:
    """What tells a call from another, for `jaxlr.streaming.checkpoint.digest`."""
    parts = {}
    for name, value in vars(asked).items():
        if value is None or isinstance(value, (bool, int, float)):
            parts[name] = value
        elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            parts[name] = np.asarray(jax.random.key_data(value))
        else:
            parts[name] = np.asarray(value)
    return parts | {"x64": x64}


def to_arrays(progress: Progress, reader: Reader, center: np.ndarray, unit: np.ndarray) -> dict[str, np.ndarray]:
    """Everything that a later process needs to go on."""
    assert reader.kind is not None and reader.prints is not None  # noqa: PT018
    kind = reader.kind
    dtypes = {name: dtype.str for name, dtype in kind.dtypes.items()}
    described = json.dumps({"n": kind.n, "names": kind.names, "dtypes": dtypes, "leads": kind.leads})
    arrays: dict[str, Any] = {"kind": np.array(described), "center": center, "unit": unit, "m": np.int64(reader.m)}
    arrays["prints"] = np.frombuffer(reader.prints, np.uint64)
    arrays |= {f"state.{name}": value for name, value in progress.state._asdict().items()}
    if progress.model is not None:
        model = progress.model._asdict()
        arrays |= {f"penalty.{name}": value for name, value in model.pop("penalty")._asdict().items()}
        arrays |= {f"model.{name}": value for name, value in model.items()}
    if progress.chord is not None:
        arrays["chord"] = progress.chord
    return arrays | {"exact": np.bool_(progress.exact), "passes": np.int64(progress.passes), "ended": progress.ended}


def of_arrays(arrays: Mapping[str, np.ndarray], reader: Reader) -> tuple[Progress, np.ndarray, np.ndarray]:
    """The progress, origin and units of the columns; the reader goes on as after the passes before."""
    described = json.loads(str(arrays["kind"]))
    names = None if described["names"] is None else tuple(described["names"])
    dtypes = {name: np.dtype(dtype) for name, dtype in described["dtypes"].items()}
    reader.kind = Kind(described["n"], names, dtypes, {name: tuple(lead) for name, lead in described["leads"].items()})
    reader.prints, reader.m = array("Q", arrays["prints"].tobytes()), int(arrays["m"])
    parts: dict[str, dict[str, Any]] = {
        prefix: {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        for prefix in ("state.", "penalty.", "model.")
    }
    model = None
    if parts["model."]:
        penalty = (Bounded if "lower" in parts["penalty."] else Penalty)(**parts["penalty."])
        model = Model(penalty=penalty, **parts["model."])
    state, chord = State(**parts["state."]), arrays.get("chord")
    progress = Progress(state, model, chord, bool(arrays["exact"]), int(arrays["passes"]), arrays["ended"])
    return progress, arrays["center"], arrays["unit"]
