"""Run a checked call: as one program inside someone's jit, else chunk by chunk, on one device or on many."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxlr.engine.chunks import fit_in_chunks, not_run, varies
from jaxlr.engine.devices import brought, check_on_one_device, on_mesh, place
from jaxlr.engine.plan import Call, chunk_of, chunks_at_once
from jaxlr.inputs.checks import CORE_AXES
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working_set import most_used

_MORE, _MOST_ROOM = 4, 1024  # times the room of a working set, where it was too small


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
    with _naming(call):
        fits = _run(program, fields, shared, static, call, core_axes)
    return replace(fits, names=call.names)


def _run(
    program: Callable[..., Fit],
    fields: Mapping[str, Any],
    shared: Any,
    static: tuple,
    call: Call,
    core_axes: Mapping[str, str],
) -> Fit:
    """As `run`, without the names."""
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
        chunks_at_once(call),
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
    again = _run_some(program, {**fields, **start}, shared, more, core_axes, at, fits)
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
) -> Fit:
    """Run a program over some members of a batch, outside jit.

    Args:
        program: as in `run`.
        fields: likewise, of the whole batch.
        shared: likewise.
        call: the checked call, with the whole batch.
        core_axes: likewise.
        at: indices of the members (N, axes of the batch).

    Returns:
        Fit (*batch,), the others NOT_RUN.

    Raises:
        MemoryError, KeyboardInterrupt: as `jaxlr.fit`.
    """
    with _naming(call):
        fits = _run_some(program, fields, shared, call, core_axes, at, _not_run(call))
    return replace(fits, names=call.names)


def _run_some(
    program: Callable[..., Fit],
    fields: Mapping[str, Any],
    shared: Any,
    call: Call,
    core_axes: Mapping[str, str],
    at: np.ndarray,
    result: Fit,
) -> Fit:
    """As `run_some`, without the names; the others are as in the result."""
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
        again = _run(program, fields, shared, (call.settings,), few, core_axes)
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
def _naming(call: Call) -> Iterator[None]:
    """What an interrupt carries bears the names of the columns too."""
    try:
        yield
    except KeyboardInterrupt as error:
        if hasattr(error, "fit"):
            error.fit = replace(error.fit, names=call.names)  # pyright: ignore[reportAttributeAccessIssue]
        raise


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
        error.fit = replace(_not_run(call), names=call.names)  # pyright: ignore[reportAttributeAccessIssue]
        raise
