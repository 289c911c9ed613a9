"""Run a checked call: as one program inside someone's jit, else chunk by chunk, on one device or on many."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxlr.batching.axes import map_leaves
from jaxlr.batching.strategy import choose, columns_to_solve, with_room
from jaxlr.engine.chunks import fit_in_chunks, not_run
from jaxlr.engine.dependence import with_more_in_basis
from jaxlr.engine.devices import brought, check_on_one_device, on_mesh, place
from jaxlr.engine.plan import Call, chunk_of, chunks_at_once
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working_set import most_used

_MORE, _MOST_ROOM = 4, 1024  # times the room of a working set, where it was too small


def run(call: Call, on_host: bool = False) -> Fit:
    """Run a checked call, to a Fit (*batch,), on the host of NumPy arrays. Raises as `jaxlr.fit`."""
    with _handing_back(call):
        fits = _run(call)
    return _handed_back(call, jax.tree.map(np.asarray, fits) if on_host else fits, on_host)


def run_some(call: Call, at: np.ndarray) -> Fit:
    """Run a call for some members of its batch, outside jit: Fit (*batch,), the others NOT_RUN. Raises as `jaxlr.fit`.

    Args:
        call: checked.
        at: indices of the members (N, axes of the batch).
    """
    with _handing_back(call):
        fits = _run_some(call, at, _not_run(call))
    return _handed_back(call, fits)


@contextlib.contextmanager
def before(call: Call) -> Iterator[None]:
    """What a call does before its first chunk, once it is known to fit into memory; an interrupt of that says too that no model
    was run."""
    chunk_of(call)
    try:
        yield
    except KeyboardInterrupt as error:
        error.fit = _handed_back(call, _not_run(call))  # pyright: ignore[reportAttributeAccessIssue]
        raise


def _run(call: Call) -> Fit:
    """As `run`, with the columns that fill up a bucket and without names."""
    if not call.concrete or call.mesh is None:
        check_on_one_device(call.models.problem.X)
    if not call.concrete:
        return call.program(*brought(call.arguments, call.cores, call.dtype), call.batch, call.settings)
    chunk = chunk_of(call)
    if any(part < size for part, size in zip(chunk, call.batch, strict=True)):
        call = _to_measure(call)
    cut, fit_chunk = _whole(call, chunk) if chunk == call.batch and call.mesh is None else _in_parts(call, chunk)
    unfitted = functools.partial(_not_run, call)
    fits = fit_in_chunks(fit_chunk, cut, call.cores, unfitted, call.batch, chunk, call.progress, chunks_at_once(call))
    crowded = _crowded(call, fits)
    fits = _with_more_room(call, fits, crowded) if len(crowded) else fits
    return _with_own_basis(call, fits)


def _whole(call: Call, chunk: tuple[int, ...]) -> tuple[Any, Callable[[Any], Fit]]:
    """All arguments, and the program that fits them at once."""
    return call.arguments, lambda whole: call.program(*brought(whole, call.cores, call.dtype), chunk, call.settings)


def _in_parts(call: Call, chunk: tuple[int, ...]) -> tuple[Any, Callable[[Any], Fit]]:
    """The arguments that are cut into chunks, and the program that fits one; what is the same for all is brought once."""
    arguments, cores = call.arguments, call.cores
    cut = map_leaves(lambda core, leaf: leaf if max(core.lead(leaf), default=1) > 1 else None, cores, arguments)
    same = map_leaves(lambda _, leaf, own: leaf if own is None else None, cores, arguments, cut)
    same = brought(same, cores, call.dtype)
    if call.mesh is not None:
        same = place(same, call.mesh, cores, chunk)
        program = on_mesh(call.program, call.mesh, cores, chunk, call.settings)
    else:
        same = jax.device_put(same)
        program = lambda arguments: call.program(*arguments, chunk, call.settings)  # noqa: E731
    return cut, lambda own: program(_merged(brought(own, cores, call.dtype), same))


def _with_own_basis(call: Call, fits: Fit) -> Fit:
    """The same fits, but those of models that leave more columns without a penalty than the others, and these near each other's
    span, in an orthonormal basis of their own."""
    settings, traits = call.settings, call.traits
    none = settings.wide or settings.large or traits.entries or call.mesh is not None or call.own or math.prod(call.batch) == 1
    if none or settings.basis == traits.n:
        return fits
    models = replace(call.models, start=None)
    for num_columns, members in with_more_in_basis(call.models.problem, call.dtype, call.batch):
        chosen = choose(settings, traits._replace(free=num_columns))
        fits = _run_some(call._replace(settings=chosen, models=models), np.argwhere(members), fits)
    return fits


def _merged(own: tuple[Any, ...], same: tuple[Any, ...]) -> tuple[Any, ...]:
    """Each leaf of the one where it has that, else of the other."""
    return jax.tree.map(lambda a, b: b if a is None else a, own, same, is_leaf=lambda leaf: leaf is None)


def _crowded(call: Call, fits: Fit) -> np.ndarray:
    """Indices (N, axes of the batch) of the models whose working set was too small."""
    room, columns = call.settings.room, columns_to_solve(call.settings, call.traits.m, call.traits.n)
    if not 0 < room < min(columns, _MOST_ROOM) or call.mesh is not None:
        return np.empty((0, len(call.batch)), int)
    failed = np.isin(np.asarray(fits.status), (Status.MAX_STEPS, Status.STALLED))
    used = np.asarray(fits.params.coef) != 0
    used = used.any(axis=tuple(range(failed.ndim, used.ndim - 1)))  # in any class
    return np.argwhere(failed & (np.count_nonzero(used, axis=-1) > most_used(room) // 2))


def _with_more_room(call: Call, fits: Fit, at: np.ndarray) -> Fit:
    """The same fits, but those at these indices with more columns in the working set."""
    columns = columns_to_solve(call.settings, call.traits.m, call.traits.n)
    room = min(_MORE * call.settings.room, columns)
    models = replace(call.models, start=jax.tree.map(np.asarray, fits.params))
    more = call._replace(models=models, settings=with_room(call.settings, call.traits, room))
    again = _run_some(more, at, fits)
    steps = np.array(again.num_steps)
    steps[tuple(at.T)] += np.asarray(fits.num_steps)[tuple(at.T)]
    return replace(again, num_steps=steps)


def _run_some(call: Call, at: np.ndarray, result: Fit) -> Fit:
    """As `run_some`, likewise; the others are as in the result."""
    if not len(at):
        return result

    def chosen(core: Any, value: Any) -> Any:
        if not (lead := core.lead(value)):
            return value
        index = (at[:, at.shape[1] - len(lead) + axis] if size > 1 else 0 for axis, size in enumerate(lead))
        return value[tuple(index)]

    call = _to_measure(call)
    models, _, *own = map_leaves(chosen, call.cores, call.arguments)
    few = call._replace(models=models, own=tuple(own), batch=(len(at),))
    interrupt = None
    try:
        again = _run(few)
    except KeyboardInterrupt as error:
        again, interrupt = getattr(error, "fit", _not_run(few)), error
    again = jax.tree.map(np.asarray, again)
    ran = again.status != Status.NOT_RUN
    where = tuple(at[ran].T)

    def merged(old: Any, new: Any) -> np.ndarray:
        whole = np.array(old)
        whole[where] = new[ran].reshape(whole[where].shape)
        return whole

    result = jax.tree.map(merged, result, again) if np.any(ran) else result
    if interrupt is not None:
        interrupt.fit = result  # pyright: ignore[reportAttributeAccessIssue]
        raise interrupt
    return result


def _to_measure(call: Call) -> Call:
    """The same without what was measured for all models together: rows that only others have must not touch a chunk."""
    return call._replace(models=replace(call.models, present=None, columns=None, deviation=None))


def _not_run(call: Call) -> Fit:
    return not_run(call.batch, call.traits.n, call.dtype, call.settings.solver, call.settings.likelihood)


@contextlib.contextmanager
def _handing_back(call: Call) -> Iterator[None]:
    """What an interrupt carries is handed back likewise."""
    try:
        yield
    except KeyboardInterrupt as error:
        if hasattr(error, "fit"):
            error.fit = _handed_back(call, error.fit)  # pyright: ignore[reportAttributeAccessIssue]
        raise


def _handed_back(call: Call, fits: Fit, on_host: bool = False) -> Fit:
    """With the names of the columns, and without those that filled up a bucket; NumPy arrays stay so on the host alone."""
    coef = fits.params.coef
    if coef.shape[-1] != call.num_columns:
        fits = replace(fits, params=fits.params._replace(coef=np.asarray(coef)[..., : call.num_columns]))
    if not on_host and any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(fits)):
        fits = jax.device_put(fits)
    return replace(fits, names=call.names)
