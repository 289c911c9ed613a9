"""One pass after the first: what is summed, what that says about each model, and where it goes next."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.results.status import Status
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.calls import Call, Progress
from jaxlr.streaming.checks import check_classes, check_independent
from jaxlr.streaming.directions import How
from jaxlr.streaming.frames import models_of, rounded, starts
from jaxlr.streaming.passes import one_pass
from jaxlr.streaming.points import Model
from jaxlr.streaming.steps import State, advance, start
from jaxlr.streaming.sums import Sums


def next_pass(call: Call, reader: Reader, progress: Progress, told: Callable[[int], None]) -> Progress:
    """One more pass, and what it says about each model."""
    measures = progress.model is None
    running = progress.running
    rows = reader.rows(call.shape.rows(reader.m))
    sums, at = one_pass(rows, progress.state, call.batch, call.frame, call.plan(progress.exact, measures), running, told)
    model, state = progress.model, progress.state
    if model is None:
        own = {name: value[at] for name, value in call.batch.fields.items()}
        model = _host(
            models_of(
                sums,
                call.batch.s[at],
                own,
                call.frame,
                call.steps,
                bool(call.asked.fit_intercept),
                bool(call.asked.standardize),
            )
        )
        invalid = check_classes(np.asarray(sums.classes), model, bool(call.asked.fit_intercept))
        status = np.where(invalid, np.int32(Status.INVALID), state.status)
        state = state._replace(status=status, num_steps=np.where(invalid, 0, state.num_steps))
        if progress.exact:
            check_independent(sums, model, call.k, call.frame.center.shape[0], ~invalid, reader.kind)
    how = How(call.steps, call.frame.center.shape[0], call.batch.kinked, progress.exact, call.max_steps)
    few = jax.tree.map(lambda leaf: leaf[at], (state, model))
    chord = None if progress.chord is None or progress.exact else progress.chord[at]
    null = sums.null
    # Those of the next pass, without.
    sums = sums._replace(classes=None, null=None, total=None, means=None, squares=None, norm=None)
    new = _host(_advance(few[0], sums, chord, few[1], np.float64(call.tol), how))
    if null is not None:
        new = _at_zero_where_that_is_better(new, np.asarray(null) / few[1].total, call, at)
    bounds = None if call.bounds is None else tuple(bound[at] for bound in call.bounds)
    x, _ = rounded(new.x, bounds, few[1], call.frame, call.steps, call.batch.kinked, str(call.dtype))
    # A point that was judged stays what it is.
    keep = (new.status != RUNNING).reshape(-1, *(1,) * (x.ndim - 1))
    new = new._replace(x=np.where(keep, new.x, np.asarray(x)))
    state = _put(state, new, at)
    passes = progress.passes + 1
    ended = np.where((state.status != RUNNING) & (progress.ended == 0), np.int32(passes), progress.ended)
    left = state.status == RUNNING
    suffices = np.asarray(call.tol <= 2.5e-3 * model.rarity)
    exact = progress.exact or bool(np.any(state.slow[left])) or not bool(np.all(suffices[left]))
    return Progress(state, model, progress.chord, exact, passes, ended)


@program("how")
def _advance(state: State, sums: Sums, chord: Any, model: Model, tol: Any, how: How) -> State:
    axes = (0, 0, None if chord is None else 0, 0)
    return jax.vmap(lambda state, sums, chord, model: advance(state, sums, chord, model, tol, how), in_axes=axes)(
        state, sums, chord, model
    )


def _at_zero_where_that_is_better(new: State, null: np.ndarray, call: Call, at: np.ndarray) -> State:
    """The models, of which those with a higher objective than all parameters 0 have begin there anew: one row far out that the
    sample has not is enough, and from so far away the way back is long."""
    classes, n = call.likelihood.classes, call.frame.center.shape[0]
    nothing = call.likelihood.params_type(np.zeros((call.batch.size, *classes, n)), np.zeros((call.batch.size, *classes)))
    zero = np.asarray(starts(nothing, call.bounds, call.frame, call.steps, call.k))[at]
    axes = tuple(range(1, zero.ndim))
    worse = (new.status != Status.INVALID) & ~(new.value <= null * (1 + 1e-9)) & np.any(new.origin != zero, axis=axes)
    anew = start(zero)._replace(slow=worse)  # a chord's Hessian is that of elsewhere
    return jax.tree.map(lambda old, value: np.where(worse.reshape(-1, *(1,) * (old.ndim - 1)), value, old), new, anew)


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _put(whole: Any, new: Any, at: np.ndarray) -> Any:
    def put(old: np.ndarray, value: np.ndarray) -> np.ndarray:
        copy = np.array(old)
        copy[at] = value
        return copy

    return jax.tree.map(put, whole, new)
