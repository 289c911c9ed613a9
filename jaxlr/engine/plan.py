"""A checked call, and how many of its models are fitted together: as many as are worth their memory, in few sizes."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from jaxlr.batching.axes import Core, cores_of, has_path, map_leaves
from jaxlr.batching.lanes import Models
from jaxlr.batching.strategy import Traits
from jaxlr.engine.devices import sizes
from jaxlr.engine.memory import Needs, models_that_fit, needs_of
from jaxlr.inputs.sparse import rounded_up
from jaxlr.inputs.tables import is_concrete
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings

_LARGE_DESIGNS = 2**26  # bytes that are not copied to fill up a batch
_LARGE_RESULTS = 2**22  # numbers that are not copied to cut filled-up batches to size
_DESIGNS_OF_A_CORE = 8  # one after the other in a chunk


class Call(NamedTuple):
    """The arguments of a fit, checked, and the program that fits them.

    Attributes:
        program: (models, tol, *own, batch, settings) to a Fit (*batch,).
        models: NumPy or JAX arrays, each with its batch axes in front.
        own: further arrays of the program, with batch axes or without.
        own_cores: a Core for each.
        dtype: to which they are brought, a chunk at a time.
        tol: on the KKT residual.
        batch: shape to which all batch axes broadcast.
        settings: what is static.
        traits: what that was chosen from.
        batch_size: models at a time; None is as many as are worth their memory.
        mesh: devices; None is one.
        progress: whether to show a bar.
        names: of the columns, None where X was no table.
        num_columns: that are handed back; those behind them fill up a bucket.
        drawn: numbers that the program makes for each model.
    """

    program: Callable[..., Fit]
    models: Models
    own: tuple[Any, ...]
    own_cores: tuple[Core, ...]
    dtype: jnp.dtype
    tol: Array | np.ndarray
    batch: tuple[int, ...]
    settings: Settings
    traits: Traits
    batch_size: int | None
    mesh: Mesh | None
    progress: bool
    names: tuple[str, ...] | None
    num_columns: int
    drawn: int = 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the program is given, whole."""
        return (self.models, self.tol, *self.own)

    @property
    def concrete(self) -> bool:
        """Whether all of that is known now, outside jit and differentiation."""
        return all(is_concrete(leaf) for leaf in jax.tree.leaves(self.arguments))

    @property
    def cores(self) -> tuple[Any, ...]:
        """A Core for each leaf of the arguments."""
        settings = self.settings
        return (cores_of(settings.likelihood, settings.fit_intercept), Core(""), *self.own_cores)

    @property
    def side_by_side(self) -> tuple[int, ...]:
        """The batch without its path."""
        models, *_ = self.cores
        long = bool(self.batch) and self.batch[-1] > 1
        return self.batch[: len(self.batch) - (long and has_path(self.models, models, self.settings.solver))]

    @property
    def needs(self) -> Needs:
        """What a model needs of the memory of a device."""
        rows, beside_X = sizes(self.mesh)[1], replace(self.models, problem=replace(self.models.problem, X=None))
        numbers = map_leaves(
            lambda core, leaf: math.prod(leaf.shape[len(core.lead(leaf)) :]) if core.lead(leaf) else 0,
            self.cores,
            (beside_X, *self.arguments[1:]),
        )
        own = sum(jax.tree.leaves(numbers)) + self.drawn
        return needs_of(self.settings, self.traits._replace(m=-(-self.traits.m // rows)), -(-own // rows))


def chunk_of(call: Call) -> tuple[int, ...]:
    """How many models are fitted together along each batch axis. Without a batch_size a path stays whole, and shapes are
    rounded up to few sizes.

    Raises:
        MemoryError: a chunk would not fit.
    """
    devices, _, sharing = sizes(call.mesh)
    at_once = chunks_at_once(call)
    needs, others, num_results = call.needs, call.side_by_side, math.prod(call.batch)
    if call.batch_size is not None:
        chunk = _block(call.batch, call.batch_size)
        own = -(-math.prod(chunk[: len(others)]) // devices)
        models_that_fit(needs, own, num_results, own, sharing)
    else:
        own = -(-math.prod(others) // devices)
        most = devices * models_that_fit(needs, own, num_results, None, sharing * at_once)
        X = call.models.problem.X
        if at_once > 1:
            designs = math.prod(X.shape[:-2])
            most = min(most, math.prod(others) // designs * min(_DESIGNS_OF_A_CORE, -(-designs // at_once)))
        chunk = _block(others, most) + call.batch[len(others) :]
        fixed = {axis - X.ndim + 2 for axis in range(X.ndim - 2)} if X.nbytes > _LARGE_DESIGNS else set()
        if needs.n * num_results <= _LARGE_RESULTS:
            chunk = tuple(size if axis - len(chunk) in fixed else rounded_up(size, 8) for axis, size in enumerate(chunk))
    longest = int(np.argmax(chunk)) if chunk else None
    return tuple(-(-size // devices) * devices if axis == longest else size for axis, size in enumerate(chunk))


def chunks_at_once(call: Call) -> int:
    """How many chunks run side by side: as many as there are cores where designs come one after the other, which keeps one core
    busy. But not where LAPACK waits for XLA's threads (see `jaxlr.linalg.cholesky`): in batches of factors, and in the QR of
    designs with more columns than rows."""
    lapack = call.settings.solver != "newton_cg" or call.traits.n > call.traits.m
    if lapack or not call.settings.one_by_one or call.mesh is not None or call.batch_size is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _block(batch: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The block of at most so many models that leaves the last axes whole, in pieces of one size."""
    block = list(batch)
    for axis, size in enumerate(batch):
        if (models := math.prod(block)) > most:
            pieces = -(-size // max(1, most * block[axis] // models))
            block[axis] = -(-size // pieces)
    return tuple(block)
