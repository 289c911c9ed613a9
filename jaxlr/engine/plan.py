"""A checked call, and how many of its models are fitted together: as many as are worth their memory, in few sizes."""

import math
import os
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from jaxlr.engine.chunks import common_size
from jaxlr.engine.devices import sizes
from jaxlr.engine.memory import Needs, bytes_needed, models_that_fit
from jaxlr.solvers.solve import Settings

_LARGE_DESIGNS = 2**26  # bytes that are not copied to fill up a batch
_LARGE_RESULTS = 2**22  # numbers that are not copied to cut filled-up batches to size
_DESIGNS_OF_A_CORE = 8  # one after the other in a chunk


class Call(NamedTuple):
    """The arguments of a fit, checked.

    Attributes:
        fields: NumPy or JAX arrays by name, each with its batch axes in front.
        dtype: to which they are brought, a chunk at a time.
        tol: on the KKT residual.
        batch: shape to which all batch axes broadcast.
        has_path: whether the last of them is a path.
        settings: what the solver has to know.
        needs: what a model needs of the memory.
        batch_size: models at a time; None is as many as are worth their memory.
        mesh: devices; None is one.
        progress: whether to show a bar.
        names: of the columns, None where X was no table.
    """

    fields: dict[str, Any]
    dtype: jnp.dtype
    tol: Array
    batch: tuple[int, ...]
    has_path: bool
    settings: Settings
    needs: Needs
    batch_size: int | None
    mesh: Mesh | None
    progress: bool
    names: tuple[str, ...] | None = None


def chunk_of(call: Call) -> tuple[int, ...]:
    """How many models are fitted together along each batch axis.

    Args:
        call: the checked call.

    Returns:
        The shape of a chunk. Without a batch_size a path stays whole, and shapes are rounded up to few sizes.

    Raises:
        MemoryError: a chunk would not fit.
    """
    devices, _, sharing = sizes(call.mesh)
    at_once = chunks_at_once(call)
    needs, others = _on_a_device(call), call.batch[: len(call.batch) - call.has_path]
    num_results = math.prod(call.batch)
    if call.batch_size is not None:
        chunk = _block(call.batch, call.batch_size)
        own = -(-math.prod(chunk[: len(others)]) // devices)
        models_that_fit(needs, own, num_results, own, sharing)
    else:
        own = -(-math.prod(others) // devices)
        most = devices * models_that_fit(needs, own, num_results, None, sharing * at_once)
        X = call.fields["X"]
        if at_once > 1:
            designs = math.prod(X.shape[:-2])
            most = min(most, math.prod(others) // designs * min(_DESIGNS_OF_A_CORE, -(-designs // at_once)))
        chunk = _block(others, most) + call.batch[len(others) :]
        fixed = {axis - X.ndim + 2 for axis in range(X.ndim - 2)} if X.nbytes > _LARGE_DESIGNS else set()
        if call.needs.n * num_results <= _LARGE_RESULTS:
            chunk = tuple(size if axis - len(chunk) in fixed else common_size(size) for axis, size in enumerate(chunk))
    longest = int(np.argmax(chunk)) if chunk else None
    return tuple(-(-size // devices) * devices if axis == longest else size for axis, size in enumerate(chunk))


def memory_bound(call: Call) -> int:
    """Upper bound on what a call takes on a device, beside its arguments.

    Args:
        call: the checked call.

    Returns:
        Bytes.

    Raises:
        MemoryError: as `chunk_of`.
    """
    side_by_side = math.prod(chunk_of(call)[: len(call.batch) - call.has_path])
    of_a_chunk = bytes_needed(_on_a_device(call), -(-side_by_side // sizes(call.mesh)[0]), math.prod(call.batch))
    return chunks_at_once(call) * of_a_chunk


def chunks_at_once(call: Call) -> int:
    """How many chunks run side by side: as many as there are cores where designs come one after the other, which keeps one core
    busy. But not where LAPACK waits for XLA's threads (see `jaxlr.linalg.cholesky`): in batches of factors, and in the QR of
    designs with more columns than rows.

    Args:
        call: the checked call.

    Returns:
        At least 1.
    """
    needs = call.needs
    lapack = call.settings.solver != "newton_cg" or needs.n > needs.m
    if lapack or needs.designs != 1 or call.mesh is not None or call.batch_size is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _on_a_device(call: Call) -> Needs:
    rows = sizes(call.mesh)[1]
    return call.needs._replace(m=-(-call.needs.m // rows), own=-(-call.needs.own // rows))


def _block(batch: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The block of at most so many models that leaves the last axes whole, in pieces of one size."""
    block = list(batch)
    for axis, size in enumerate(batch):
        if (models := math.prod(block)) > most:
            pieces = -(-size // max(1, most * block[axis] // models))
            block[axis] = -(-size // pieces)
    return tuple(block)
