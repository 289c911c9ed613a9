"""Run a checked call: as one program inside someone's jit, else chunk by chunk, on one device or on many."""

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh
from jaxtyping import Array

from jaxlr.checks import CORE_AXES
from jaxlr.chunks import common_size, fit_in_chunks, not_run, varies
from jaxlr.devices import brought, check_on_one_device, on_mesh, place, sizes
from jaxlr.memory import Needs, bytes_needed, models_that_fit
from jaxlr.result import Fit
from jaxlr.solvers.certified import Settings
from jaxlr.solvers.working_set import most_used
from jaxlr.status import Status

_LARGE_DESIGNS = 2**26  # bytes that are not copied to fill up a batch
_LARGE_RESULTS = 2**22  # numbers that are not copied to cut filled-up batches to size
_DESIGNS_OF_A_CORE = 8  # one after the other in a chunk
_MORE, _MOST_ROOM = 4, 1024  # times the room of a working set, where it was too small


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
        fields: by name, with batch axes in front; they are brought to the dtype of the call, but "number" stays int32.
        shared: a small pytree without batch axes.
        static: hashable.
        call: the checked call, with the batch of these fields.
        core_axes: of every field, such as "mn", behind its batch axes.

    Returns:
        Fit (*batch,).

    Raises:
        MemoryError, KeyboardInterrupt: as `jaxlr.fit`.
    """
    traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((dict(fields), shared)))
    if traced or call.mesh is None:
        check_on_one_device(fields["X"])
    if traced:
        return program(brought(fields, call.dtype), shared, call.batch, *static)
    chunk = chunk_of(call)
    core_rank = {name: len(axes) for name, axes in core_axes.items()}
    cut = {name: value for name, value in fields.items() if varies(value, core_rank[name])}
    same = brought({name: value for name, value in fields.items() if name not in cut}, call.dtype)
    if call.mesh is not None:
        same = place(same, call.mesh, core_axes, chunk)
        on_devices = on_mesh(program, call.mesh, core_axes, chunk, static)
    else:
        same = same if chunk == call.batch else jax.device_put(same)
        on_devices = lambda fields, shared: program(fields, shared, chunk, *static)  # noqa: E731
    fits = fit_in_chunks(
        lambda block: on_devices(brought(block, call.dtype) | same, shared),
        cut,
        core_rank,
        functools.partial(_not_run, call),
        call.batch,
        chunk,
        call.progress,
        _chunks_at_once(call),
    )
    room = call.settings.room
    if not 0 < room < min(call.needs.n + call.settings.fit_intercept, _MOST_ROOM) or call.mesh is not None:
        return fits
    failed = np.isin(np.asarray(fits.status), (Status.MAX_STEPS, Status.STALLED))
    crowded = failed & (np.count_nonzero(np.asarray(fits.params.coef), axis=-1) > most_used(room) // 2)
    if not np.any(crowded):
        return fits
    return _with_more_room(program, fields, shared, call, core_axes, fits, np.argwhere(crowded))


def _with_more_room(
    program: Callable[..., Fit],
    fields: Mapping[str, Any],
    shared: Any,
    call: Call,
    core_axes: Mapping[str, str],
    fits: Fit,
    at: np.ndarray,
) -> Fit:
    """The same fits, but those at these indices (N, axes of the batch) with more columns in the working set."""
    columns = call.needs.n + call.settings.fit_intercept
    room = min(_MORE * call.settings.room, columns)
    settings, gathered = call.settings._replace(room=room), room if room < columns else 0
    start = {"coef": np.asarray(fits.params.coef), "intercept": np.asarray(fits.params.intercept)}
    more = call._replace(settings=settings, needs=call.needs._replace(hessian=room, gathered=gathered))
    again = run_some(program, {**fields, **start}, shared, more, core_axes, at, fits)
    steps = np.array(again.num_steps)
    steps[tuple(at.T)] += np.asarray(fits.num_steps)[tuple(at.T)]
    return replace(again, num_steps=jax.device_put(steps))


def run_some(
    program: Callable[..., Fit],
    fields: Mapping[str, Any],
    shared: Any,
    call: Call,
    core_axes: Mapping[str, str],
    at: np.ndarray,
    fits: Fit | None = None,
) -> Fit:
    """Run a program over some members of a batch, outside jit.

    Args:
        program: as in `run`.
        fields: likewise, of the whole batch.
        shared: likewise.
        call: the checked call, with the whole batch.
        core_axes: likewise.
        at: indices of the members (N, axes of the batch).
        fits: what the others are; None is NOT_RUN.

    Returns:
        Fit (*batch,).

    Raises:
        MemoryError, KeyboardInterrupt: as `jaxlr.fit`.
    """
    result = _not_run(call) if fits is None else fits
    if not len(at):
        return result

    def chosen(value: Any, core_rank: int) -> Any:
        lead = value.shape[: value.ndim - core_rank]
        index = (at[:, at.shape[1] - len(lead) + axis] if size > 1 else 0 for axis, size in enumerate(lead))
        return value[tuple(index)]

    fields = {name: chosen(value, len(core_axes[name])) for name, value in fields.items()}
    few = call._replace(fields=fields, batch=(len(at),), has_path=False)
    interrupt = None
    try:
        again = run(program, fields, shared, (call.settings,), few, core_axes)
    except KeyboardInterrupt as error:
        again, interrupt = getattr(error, "fit", _not_run(few)), error
    again = jax.tree.map(np.asarray, again)
    ran = again.status != Status.NOT_RUN
    where = tuple(at[ran].T)

    def merged(old: Any, new: Any) -> np.ndarray:
        whole = np.array(old)
        whole[where] = new[ran].reshape(whole[where].shape)
        return whole

    result = jax.device_put(jax.tree.map(merged, result, again)) if np.any(ran) else result
    if interrupt is not None:
        interrupt.fit = result  # pyright: ignore[reportAttributeAccessIssue]
        raise interrupt
    return result


def _not_run(call: Call) -> Fit:
    return not_run(call.batch, call.needs.n, call.dtype, call.settings.solver, call.settings.num_classes)


@contextlib.contextmanager
def before(call: Call) -> Iterator[None]:
    """What a call does before its first chunk; an interrupt of that says too that no model was run.

    Args:
        call: the checked call.

    Yields:
        Nothing.

    Raises:
        MemoryError: as `jaxlr.fit`, before anything is done.
        KeyboardInterrupt: with the attribute `fit`.
    """
    chunk_of(call)
    try:
        yield
    except KeyboardInterrupt as error:
        error.fit = _not_run(call)  # pyright: ignore[reportAttributeAccessIssue]
        raise


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
    at_once = _chunks_at_once(call)
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
    return _chunks_at_once(call) * of_a_chunk


def _chunks_at_once(call: Call) -> int:
    """Designs that come one after the other keep one core busy: as many chunks of them as there are cores. But not where LAPACK
    waits for XLA's threads (see `jaxlr.factors`): in batches of factors, and in the QR of designs with more columns than rows.
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
