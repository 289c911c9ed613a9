"""Run a checked call: as one program inside someone's jit, else chunk by chunk, on one device or on many."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh
from jaxtyping import Array

from jaxlr.checks import CORE_AXES
from jaxlr.chunks import common_size, fit_in_chunks
from jaxlr.devices import models_axis, on_mesh
from jaxlr.memory import Needs, models_that_fit
from jaxlr.result import Fit
from jaxlr.solvers.certified import Settings

_LARGE_DESIGNS = 2**26  # bytes that are not copied to fill up a batch
_LARGE_COPY = 2**24  # bytes


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


def run(
    program: Callable[..., Fit],
    fields: Mapping[str, Any],
    shared: Any,
    static: tuple,
    call: Call,
    core_axes: Mapping[str, str] = CORE_AXES,
) -> Fit:
    """Run a program over a batch.

    Args:
        program: (fields, shared, batch, *static) to a Fit (*batch,).
        fields: by name, with batch axes in front.
        shared: a pytree without batch axes.
        static: hashable.
        call: the checked call, with the batch of these fields.
        core_axes: of every field, such as "mn", behind its batch axes.

    Returns:
        Fit (*batch,).

    Raises:
        MemoryError, KeyboardInterrupt: as `jaxlr.fit`.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((dict(fields), shared))):
        return program(_brought(fields, call.dtype), shared, call.batch, *static)
    chunk = chunk_of(call)
    if call.mesh is None:
        on_devices = lambda fields: program(fields, shared, chunk, *static)  # noqa: E731
    else:
        spread = on_mesh(program, call.mesh, core_axes, chunk, static)
        on_devices = lambda fields: spread(fields, shared)  # noqa: E731
    core_rank = {name: len(axes) for name, axes in core_axes.items()}
    return fit_in_chunks(lambda cut: on_devices(_brought(cut, call.dtype)), fields, core_rank, call.batch, chunk, call.progress)


def _brought(fields: Mapping[str, Any], dtype: jnp.dtype) -> dict[str, Any]:
    """The fields in one dtype; NumPy arrays stay so, for a program takes them over where they lie."""
    return {
        name: jnp.asarray(value, dtype) if isinstance(value, jax.Array) else _aligned(np.asarray(value, dtype))
        for name, value in fields.items()
    }


def _aligned(value: np.ndarray) -> np.ndarray:
    """On a CPU JAX uses the memory of NumPy as it is, where it begins at a multiple of 64 bytes; else it copies, more slowly
    than NumPy."""
    if value.nbytes < _LARGE_COPY or value.ctypes.data % 64 == 0 or jax.default_backend() != "cpu":
        return value
    memory = np.empty(value.size + 64 // value.itemsize, value.dtype)
    start = -memory.ctypes.data % 64 // value.itemsize
    aligned = memory[start : start + value.size].reshape(value.shape)
    np.copyto(aligned, value)
    return aligned


def chunk_of(call: Call) -> tuple[int, ...]:
    """How many models are fitted together along each batch axis.

    Args:
        call: the checked call.

    Returns:
        The shape of a chunk. Without a batch_size a path stays whole, and shapes are rounded up to few sizes.

    Raises:
        MemoryError: a chunk would not fit.
    """
    devices = 1 if call.mesh is None else call.mesh.shape.get(models_axis(call.mesh), 1)
    path = call.batch[len(call.batch) - call.has_path :]
    others = call.batch[: len(call.batch) - call.has_path]
    num_results = int(np.prod(call.batch, dtype=int))
    if call.batch_size is not None:
        chunk = _block(call.batch, call.batch_size)
        side_by_side = int(np.prod(chunk[: len(others)], dtype=int))
        models_that_fit(call.needs, side_by_side, num_results, side_by_side)
    else:
        most = devices * models_that_fit(call.needs, -(-int(np.prod(others, dtype=int)) // devices), num_results)
        chunk = _block(others, most) + path
        X = call.fields.get("X", np.empty((0, 0)))
        fixed = {axis - X.ndim + 2 for axis in range(X.ndim - 2)} if X.nbytes > _LARGE_DESIGNS else set()
        chunk = tuple(size if axis - len(chunk) in fixed else common_size(size) for axis, size in enumerate(chunk))
    longest = int(np.argmax(chunk)) if chunk else None
    return tuple(-(-size // devices) * devices if axis == longest else size for axis, size in enumerate(chunk))


def _block(batch: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The block of at most so many models that leaves the last axes whole, in pieces of one size."""
    block = list(batch)
    for axis, size in enumerate(batch):
        if (models := int(np.prod(block, dtype=int))) > most:
            pieces = -(-size // max(1, most * block[axis] // models))
            block[axis] = -(-size // pieces)
    return tuple(block)
