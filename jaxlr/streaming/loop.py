"""One pass after the first: what is summed, what that says about each model, and where it goes next."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.results.status import Status
from jaxlr.solvers.descent import RARE, RUNNING
from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.calls import Call, Progress
from jaxlr.streaming.checks import check_classes, check_independent
from jaxlr.streaming.directions import Aid, How
from jaxlr.streaming.frames import models_of, rounded, starts
from jaxlr.streaming.inside import Inside
from jaxlr.streaming.passes import one_pass
from jaxlr.streaming.points import Model, farthest
from jaxlr.streaming.proved import proved
from jaxlr.streaming.sample import Sample, of_models
from jaxlr.streaming.states import State, start
from jaxlr.streaming.steps import advance
from jaxlr.streaming.sums import Sums
from jaxlr.streaming.third_order import corrected
from jaxlr.streaming.wide import road, urgency, wants_gram

_OWN = 1e-9  # what every column without a penalty has of its own at a start: ten times what `check_independent` asks for


def next_pass(call: Call, reader: Reader, progress: Progress, told: Callable[[int], None]) -> Progress:
    """One more pass, and what it says about each model."""
    measures = progress.model is None
    running, exact = progress.running, progress.exact
    inside, state = road(call, progress) if call.wide else (None, progress.state)
    frame, plan = call.frame, call.plan(exact, measures)
    if call.wide and inside is None:
        plan = call.plan(False, measures, shared=wants_gram(call, progress))
    if inside is not None:
        exact, frame, plan = True, frame._replace(inside=inside.columns), call.plan(True, measures, len(inside.columns))
    rows = reader.rows(call.shape.rows(reader.m, call.wide))
    sums, at = one_pass(rows, state, call.batch, frame, plan, running, told)
    model, n = progress.model, call.frame.center.shape[0]
    if model is None:
        model, state = _measured(call, sums, state, at)
    how = How(call.steps, n, call.batch.kinked, exact, call.max_steps)
    few = jax.tree.map(lambda leaf: leaf[at], (state, model))
    if sums.shared is not None and progress.sample is not None:
        progress = progress._replace(sample=progress.sample._replace(gram=np.asarray(sums.shared, np.float32)))
    null = sums.null
    # Those of the next pass, without.
    sums = sums._replace(classes=None, null=None, total=None, means=None, squares=None, norm=None, shared=None)
    aid, axes = _aid(call, progress, inside, at)
    new = _host(_advance(few[0], sums, aid, few[1], np.float64(call.tol), how, axes))
    if null is not None:
        total = np.where(few[1].total > 0, few[1].total, 1)
        new = _at_zero_where_that_is_better(new, np.asarray(null) / total, call, at)
    if exact and inside is None:
        began = (few[0].status == RUNNING) & (few[0].num_steps == 0) & ((new.num_steps > 0) | (new.status != RUNNING))
        check_independent(sums, few[1], call.k, n, began, reader.handed)
    if progress.sample is not None and not call.wide:
        rows, of_rows = of_models(progress.sample, call.batch, at)
        new = _host(_corrected(few[0].x, new, sums, few[1], rows, np.float64(call.tol), how, of_rows))
        progress = progress._replace(sample=None)
    bounds = None if call.bounds is None else tuple(bound[at] for bound in call.bounds)
    x, _ = rounded(new.x, bounds, few[1], call.frame, call.steps, call.batch.kinked, str(call.dtype))
    # A point that was judged stays what it is.
    keep = (new.status != RUNNING).reshape(-1, *(1,) * (x.ndim - 1))
    new = new._replace(x=np.where(keep, new.x, np.asarray(x)))
    if exact and inside is None and _may_be_proved(few[0].x, new, few[1], call.tol):
        new = _host(_proved(few[0].x, new, sums, few[1], np.float64(call.tol), how))
    wanted = None
    if inside is not None:
        wanted = np.asarray(urgency(new.x, few[0].x, new.status, sums, few[1], call.steps, n))
    state = _put(state, new, at)
    passes = progress.passes + 1
    ended = np.where((state.status != RUNNING) & (progress.ended == 0), np.int32(passes), progress.ended)
    left = state.status == RUNNING
    suffices = np.asarray(call.tol <= RARE * model.rarity)
    exact = progress.exact or bool(np.any(state.slow[left])) or not bool(np.all(suffices[left]))
    return progress._replace(
        state=state, model=model, exact=exact and not call.wide, passes=passes, ended=ended, urgency=wanted
    )


def _measured(call: Call, sums: Sums, state: State, at: np.ndarray) -> tuple[Model, State]:
    """The models, of what the first sums over all rows say of their columns and classes, and which of them are INVALID."""
    fields = {name: value[at] for name, value in call.batch.fields.items()}
    fit_intercept, standardize = bool(call.asked.fit_intercept), bool(call.asked.standardize)
    model = _host(models_of(sums, call.batch.s[at], fields, call.frame, call.steps, fit_intercept, standardize))
    invalid = check_classes(np.asarray(sums.classes), model, fit_intercept)
    status = np.where(invalid, np.int32(Status.INVALID), state.status)
    return model, state._replace(status=status, num_steps=np.where(invalid, 0, state.num_steps))


def _aid(call: Call, progress: Progress, inside: Inside | None, at: np.ndarray) -> tuple[Aid, Any]:
    """What directions of some models are made of beside the sums, and its axes of models."""
    if inside is not None:
        return inside, None
    if progress.sample is not None and call.wide:
        return of_models(progress.sample, call.batch, at)
    return (None, None) if progress.chord is None or progress.exact else (jnp.asarray(progress.chord[at]), 0)


@program("how", "axes")
def _advance(state: State, sums: Sums, aid: Aid, model: Model, tol: Any, how: How, axes: Any) -> State:
    return jax.vmap(lambda state, sums, aid, model: advance(state, sums, aid, model, tol, how), in_axes=(0, 0, axes, 0))(
        state, sums, aid, model
    )


@program("how", "axes")
def _corrected(x: Any, state: State, sums: Sums, model: Model, rows: Sample, tol: Any, how: How, axes: Any) -> State:
    return jax.vmap(lambda x, state, sums, model, rows: corrected(x, state, sums, model, rows, tol, how), (0, 0, 0, 0, axes))(
        x, state, sums, model, rows
    )


@program("how")
def _proved(x: Any, state: State, sums: Sums, model: Model, tol: Any, how: How) -> State:
    return jax.vmap(lambda x, state, sums, model: proved(x, state, sums, model, tol, how))(x, state, sums, model)


def _may_be_proved(x: np.ndarray, new: State, model: Model, tol: float) -> bool:
    """Whether a step is short enough for `proved`."""
    reach = np.asarray(jax.vmap(farthest)(new.x - x, model))
    return bool(np.any((new.status == RUNNING) & (reach**2 <= tol)))


def _at_zero_where_that_is_better(new: State, null: np.ndarray, call: Call, at: np.ndarray) -> State:
    """The models, of which those with a higher objective than all parameters 0 have begin there anew: one row far out that the
    sample has not is enough, and from so far away the way back is long. So do those whose start has saturated all rows that
    tell a column from others."""
    classes, n = call.likelihood.classes, call.frame.center.shape[0]
    nothing = call.likelihood.params_type(np.zeros((call.batch.size, *classes, n)), np.zeros((call.batch.size, *classes)))
    zero = np.asarray(starts(nothing, call.bounds, call.frame, call.steps, call.k))[at]
    axes = tuple(range(1, zero.ndim))
    worse = ~(new.value <= null * (1 + 1e-9)) | ~(new.own > _OWN)
    worse &= (new.status != Status.INVALID) & np.any(new.origin != zero, axis=axes)
    anew = start(zero, call.wide)._replace(slow=worse)  # a chord's Hessian is that of elsewhere
    if new.trail is not None and anew.trail is not None:
        anew = anew._replace(trail=anew.trail._replace(pairs=jax.tree.map(np.zeros_like, new.trail.pairs)))
    return jax.tree.map(lambda old, value: np.where(worse.reshape(-1, *(1,) * (old.ndim - 1)), value, old), new, anew)


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _put(whole: Any, new: Any, at: np.ndarray) -> Any:
    def put(old: np.ndarray, value: np.ndarray) -> np.ndarray:
        copy = np.array(old)
        copy[at] = value
        return copy

    return jax.tree.map(put, whole, new)
