"""The models of a call: its arguments checked, and its batch laid out as lanes, each with the numbers of its rows of fields."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxlr.engine.arguments import check_max_steps, checked_tol
from jaxlr.inputs.bounds import check_bounds, to_columns
from jaxlr.inputs.checks import Data, check_count, check_flag, check_init, common_shape, real_array
from jaxlr.inputs.values import check_values
from jaxlr.model.likelihood import Likelihood, likelihood_of
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.streaming.fields import Kind
from jaxlr.streaming.resamples import Resamples, checked_resamples

_CORES = {"l1": 0, "l2": 0, "penalty_factor": 1, "lower": 1, "upper": 1}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `jaxlr.fit_stream` is called with, apart from the blocks."""

    num_classes: int | None
    l1: Data
    l2: Data
    lower: Data | None
    upper: Data | None
    penalty_factor: Data | None
    fit_intercept: bool
    standardize: bool
    init: Params | SoftmaxParams | None
    folds: int | None
    num_samples: int | None
    key: Any
    tol: ArrayLike | None
    max_steps: int | None

    def checked(self) -> tuple[Likelihood, Resamples]:
        """The likelihood and the resamples, once what needs no data is found to be in order. Raises TypeError, ValueError."""
        if self.num_classes is not None:
            check_count("num_classes", self.num_classes, 2)
        for name in ("fit_intercept", "standardize"):
            check_flag(name, getattr(self, name))
        check_max_steps(self.max_steps)
        checked_tol(self.tol, np.dtype(np.float64))
        likelihood = likelihood_of(self.num_classes)
        check_init(self.init, likelihood.params_type)
        return likelihood, checked_resamples(self.folds, self.num_samples, self.key)

    def of_columns(self, columns: np.ndarray) -> "Asked":
        """The same of fewer columns (n,), of a call that is in order."""
        init, given = self.init, {name: getattr(self, name) for name in ("penalty_factor", "lower", "upper")}
        of_columns = {name: np.asarray(value) for name, value in given.items() if value is not None}
        return replace(
            self,
            **{name: value[..., columns] if value.ndim else value for name, value in of_columns.items()},
            init=None if init is None else init._replace(coef=np.asarray(init.coef)[..., columns]),
        )


class Batch(NamedTuple):
    """The batch as L lanes.

    Attributes:
        shape: of the batch.
        y, s, offset: which row of the field is each lane's (L,); of weights, of resamples times weights.
        fields: "l1", "l2" (L,), "penalty_factor", "lower", "upper" (L, n), those that there are, of the dtype of the results.
        given: the same as they broadcast to the batch, for `jaxlr.fit`.
        start: "coef" (L, *K, n) and "intercept" (L, *K); nothing without one.
        leads: axes in front of "y", "sample_weight" and "offset", for the same.
        kinked: whether there are an l1 or bounds.
    """

    shape: tuple[int, ...]
    y: np.ndarray
    s: np.ndarray
    offset: np.ndarray
    fields: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    start: dict[str, np.ndarray]
    leads: dict[str, tuple[int, ...]]
    kinked: bool

    @property
    def size(self) -> int:
        """L."""
        return math.prod(self.shape)


def lay_out(asked: Asked, kind: Kind, resamples: Resamples, dtype: Any) -> Batch:
    """The lanes of the batch. Raises TypeError, ValueError for what does not fit together.

    Args:
        kind: of the blocks.
        dtype: of the results.
    """
    given = {}
    for name, cores in _CORES.items():
        value = getattr(asked, name)
        if value is None:
            continue
        raw = np.asarray(real_array(name, value))
        if name in ("lower", "upper"):
            raw = np.asarray(to_columns(raw, kind.n, dtype))
        elif np.any(bad := ~((raw >= 0) & (np.isfinite(raw) | (name == "penalty_factor")))):
            wanted = name if name == "penalty_factor" else f"finite {name}"
            raise ValueError(f"expected {wanted} >= 0, got {raw[bad][0]}; penalty_factor = inf holds a coefficient at 0")
        else:
            check_values(name, raw, dtype, cores, value)
        if cores and raw.shape[-1:] != (kind.n,):
            raise ValueError(f"expected {name} (..., {kind.n}), got shape {raw.shape}; give one number a column")
        given[name] = raw.astype(dtype)
    leads = {name: kind.leads.get(name, ()) for name in ("y", "sample_weight", "offset")}
    own = {name: value.shape[: value.ndim - _CORES[name]] for name, value in given.items()}
    init, cores = {}, {}
    if asked.init is not None:
        classes = likelihood_of(asked.num_classes).classes
        cores = {"coef": (*classes, kind.n), "intercept": classes}
        init = {name: _start(name, getattr(asked.init, name), core) for name, core in cores.items()}
        own |= {name: value.shape[: value.ndim - len(cores[name])] for name, value in init.items()}
    inner = common_shape(leads | own)
    shape = (*resamples.axes, *inner)
    if 0 in shape:
        raise ValueError(f"expected models, got a batch of shape {shape}; leave out what has an axis of length 0")
    given |= _held(given)
    check_bounds(given)
    for name in ("lower", "upper"):
        if name in given and not np.any(np.isfinite(given[name])):
            given["l1"] = given["l1"] + np.zeros(given.pop(name).shape[:-1], dtype)  # whose axes stay

    y, s, offset = lanes_of(leads, shape, resamples)
    fields = {}
    for name, value in given.items():
        core = value.shape[value.ndim - _CORES[name] :]
        fields[name] = np.broadcast_to(value, (*shape, *core)).reshape(-1, *core).astype(np.float64)
    start = {name: np.broadcast_to(value, (*shape, *cores[name])).reshape(-1, *cores[name]) for name, value in init.items()}
    kinked = "lower" in given or "upper" in given or bool(np.any(given["l1"] > 0))
    return Batch(shape, y, s, offset, fields, given, start, leads, kinked)


def _start(name: str, value: Any, core: tuple[int, ...]) -> np.ndarray:
    """A field of `init`, float64."""
    raw = np.asarray(real_array(name, value), np.float64)
    if raw.shape[raw.ndim - len(core) :] != core:
        wanted = ", ".join(["...", *map(str, core)])
        raise ValueError(f"expected {name} of init of shape ({wanted}), got {raw.shape}; pass fit.params")
    if not np.all(np.isfinite(raw)):
        raise ValueError(f"expected finite {name} of init, got {raw[~np.isfinite(raw)][0]}; leave init out, or start at 0")
    return raw


def _held(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The fields with a bound of 0 on both sides where a penalty factor of inf leaves a column out."""
    out = np.isinf(given.get("penalty_factor", np.zeros(1)))
    if not out.any():
        return {}
    if np.any(out & ((given.get("lower", -np.inf) > 0) | (given.get("upper", np.inf) < 0))):
        raise ValueError(
            "expected bounds that allow 0 where penalty_factor is inf, which leaves a column out, got others; make the factor "
            "finite, or let the bounds have 0"
        )
    dtype = given["penalty_factor"].dtype
    bounds = {
        name: np.where(out, 0, given.get(name, none)).astype(dtype) for name, none in (("lower", -np.inf), ("upper", np.inf))
    }
    return {"penalty_factor": np.where(out, 1, given["penalty_factor"]).astype(dtype)} | bounds


def lanes_of(
    leads: dict[str, tuple[int, ...]], shape: tuple[int, ...], resamples: Resamples
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which row of "y", of resamples times "sample_weight" and of "offset" is each lane's (L,).

    Args:
        leads: axes in front of these fields, () of those that are not there.
        shape: of the batch, resamples in front.
        resamples: of the rows.
    """

    def numbers(lead: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.arange(math.prod(lead)).reshape(lead), shape).reshape(-1).astype(np.int32)

    y, s, offset = (numbers(leads.get(name, ())) for name in ("y", "sample_weight", "offset"))
    if resamples.axes:
        of_sample = np.broadcast_to(np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1)), shape).reshape(-1)
        s = (of_sample * math.prod(leads.get("sample_weight", ())) + s).astype(np.int32)
    return y, s, offset
