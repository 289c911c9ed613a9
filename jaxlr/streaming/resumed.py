"""What finished passes found as arrays by name, and back."""

import json
from array import array
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.model.bounds import Bounded
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.penalty import Penalty
from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.calls import Progress
from jaxlr.streaming.fields import Kind
from jaxlr.streaming.models import Asked
from jaxlr.streaming.points import Model
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.secants import Pairs
from jaxlr.streaming.states import State, Trail
from jaxlr.streaming.sums import Frame


def identity(asked: Asked, x64: bool) -> dict[str, Any]:
    """What tells a call from another, for `jaxlr.streaming.checkpoint.digest`."""
    parts = {}
    for name, value in vars(asked).items():
        if value is None or isinstance(value, (bool, int, float)):
            parts[name] = value
        elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            parts[name] = np.asarray(jax.random.key_data(value))
        elif isinstance(value, (Params, SoftmaxParams)):
            parts |= {f"init.{field}": np.asarray(part) for field, part in value._asdict().items()}
        else:
            parts[name] = np.asarray(value)
    return parts | {"x64": x64}


def to_arrays(
    progress: Progress, reader: Reader, prints: list[np.ndarray], frame: Frame, growth: float
) -> dict[str, np.ndarray]:
    """Everything that a later call needs to go on; `prints` are those of the readers of all processes, `growth` as in
    `jaxlr.streaming.dependent`."""
    assert reader.kind is not None
    arrays: dict[str, Any] = {"kind": np.array(reader.kind.described()), "center": frame.center, "unit": frame.unit}
    if reader.columns is not None:
        arrays |= {"columns": reader.columns, "growth": np.float64(growth)}
    arrays |= {"prints": np.concatenate(prints), "blocks": np.array([len(its) for its in prints])}
    state = progress.state._asdict()
    trail = state.pop("trail")
    arrays |= {f"state.{name}": value for name, value in state.items()}
    if trail is not None:
        trail = trail._asdict()
        pairs = trail.pop("pairs")
        arrays |= {f"trail.{name}": value for name, value in trail.items()}
        arrays |= {} if pairs is None else {f"pairs.{name}": value for name, value in pairs._asdict().items()}
    if progress.model is not None:
        model = progress.model._asdict()
        arrays |= {f"penalty.{name}": value for name, value in model.pop("penalty")._asdict().items()}
        arrays |= {f"model.{name}": value for name, value in model.items()}
    if progress.chord is not None:
        arrays["chord"] = progress.chord
    if progress.sample is not None:
        arrays |= {f"sample.{name}": value for name, value in progress.sample._asdict().items() if value is not None}
    if progress.urgency is not None:
        arrays["urgency"] = progress.urgency
    return arrays | {"exact": np.bool_(progress.exact), "passes": np.int64(progress.passes), "ended": progress.ended}


def of_arrays(
    arrays: Mapping[str, np.ndarray], reader: Reader
) -> tuple[Progress, list[np.ndarray], np.ndarray, np.ndarray, float]:
    """The progress, the prints, origin and units of the columns, and `growth`; the reader goes on as after the passes before.

    Raises:
        ValueError: there were other processes.
    """
    said = json.loads(str(arrays["kind"]))
    names = None if said["names"] is None else tuple(said["names"])
    dtypes = {name: np.dtype(dtype) for name, dtype in said["dtypes"].items()}
    leads = {name: tuple(lead) for name, lead in said["leads"].items()}
    reader.kind = Kind(said["n"], names, dtypes, leads, said["soft"])
    prints = np.split(arrays["prints"], np.cumsum(arrays["blocks"])[:-1])
    if len(prints) != jax.process_count():
        raise ValueError(
            f"expected {len(prints)} processes, each with the rows that it had when the checkpoint was written, got "
            f"{jax.process_count()}; start as many, or delete the checkpoint"
        )
    rows = [int(np.sum(its >> np.uint64(32))) for its in prints]
    process = jax.process_index()
    reader.prints, reader.m, reader.start = array("Q", prints[process].tobytes()), rows[process], sum(rows[:process])
    parts: dict[str, dict[str, Any]] = {
        prefix: {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        for prefix in ("state.", "trail.", "pairs.", "penalty.", "model.", "sample.")
    }
    model = None
    if parts["model."]:
        penalty = (Bounded if "lower" in parts["penalty."] else Penalty)(**parts["penalty."])
        model = Model(penalty=penalty, **parts["model."])
    trail = sample = None
    if parts["trail."]:
        trail = Trail(**parts["trail."], pairs=Pairs(**parts["pairs."]) if parts["pairs."] else None)
    if parts["sample."]:
        sample = Sample(**{"offset": None} | parts["sample."])
    state, exact, passes = State(**parts["state."], trail=trail), bool(arrays["exact"]), int(arrays["passes"])
    progress = Progress(state, model, arrays.get("chord"), exact, passes, arrays["ended"], sample, arrays.get("urgency"))
    reader.columns = arrays.get("columns")
    return progress, prints, arrays["center"], arrays["unit"], float(arrays.get("growth", 1))
