"""The passes of a call, from the first look at the rows to the last verdict."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.fitting.fit import fit
from jaxlr.model.likelihood import Likelihood
from jaxlr.results.status import Status
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.blocks import Reader, rows_of
from jaxlr.streaming.checks import check_classes, check_independent
from jaxlr.streaming.directions import How
from jaxlr.streaming.first import First
from jaxlr.streaming.frames import models_of, rounded, starts
from jaxlr.streaming.models import Asked, Batch
from jaxlr.streaming.passes import Shape, one_pass, own_names
from jaxlr.streaming.points import Model, point
from jaxlr.streaming.resamples import Resamples, resample_weights
from jaxlr.streaming.steps import State, advance, start
from jaxlr.streaming.sums import Frame, Lanes, Plan, Sums, add_block, whole

_MOST_STEPS = 50


class Call(NamedTuple):
    """What stays the same from pass to pass.

    Attributes:
        asked: the arguments.
        likelihood: as the caller names it; steps: in the coordinates of the steps.
        resamples, batch, shape: of the models.
        frame: of the columns.
        dtype: of the results.
        tol: on the KKT residual.
    """

    asked: Asked
    likelihood: Likelihood
    steps: Likelihood
    resamples: Resamples
    batch: Batch
    shape: Shape
    frame: Frame
    dtype: Any
    tol: float

    @property
    def k(self) -> int:
        """Working columns, with the intercept."""
        return self.frame.center.shape[0] + int(self.asked.fit_intercept)

    @property
    def max_steps(self) -> int:
        """Limit of steps."""
        return _MOST_STEPS if self.asked.max_steps is None else int(self.asked.max_steps)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of the coefficients on X (L, n)."""
        fields, n = self.batch.fields, self.frame.center.shape[0]
        if "lower" not in fields and "upper" not in fields:
            return None
        none = np.full((self.batch.size, n), np.inf)
        return fields.get("lower", -none), fields.get("upper", none)

    def plan(self, exact: bool, measures: bool) -> Plan:
        """Of a pass."""
        return Plan(self.steps, bool(self.asked.fit_intercept), self.resamples, exact, measures, self.shape.products)


class Progress(NamedTuple):
    """What passes have found; NumPy arrays and numbers.

    Attributes:
        state: of the models (L,).
        model: once they are measured.
        chord: Hessians of the sample (L, *P, k, k), or None.
        exact: whether Hessians are summed.
        passes: so far; ended: after which each model ended (L,), 0 before.
    """

    state: State
    model: Model | None
    chord: Any
    exact: bool
    passes: int
    ended: np.ndarray

    @property
    def running(self) -> np.ndarray:
        """Numbers of the models that run."""
        return np.flatnonzero(self.state.status == RUNNING)


def begin(call: Call, first: First) -> Progress:
    """Where the models start: at the minimum over the sampled rows, or at 0."""
    batch, kind = call.batch, call.likelihood.params_type
    classes, n, L = call.likelihood.classes, call.frame.center.shape[0], batch.size
    coef, intercept = np.zeros((L, *classes, n)), np.zeros((L, *classes))
    weights = None
    if "sample_weight" in first.sample or call.resamples.axes:
        own = first.sample.get("sample_weight", np.ones((1, len(first.numbers)))).astype(np.float64)
        weights = own.reshape(*batch.leads["sample_weight"], -1)
        if call.resamples.axes:
            anew = np.asarray(resample_weights(call.frame.key, first.numbers, call.resamples))
            weights = anew.reshape(anew.shape[0], *(1,) * (len(batch.shape) - 1), -1) * weights
    given: dict[str, Any] = {name: value.astype(np.float64) for name, value in batch.given.items()}
    for name in ("y", "offset"):
        if name in first.sample:
            given[name] = first.sample[name].astype(np.float64).reshape(*batch.leads[name], *first.sample[name].shape[1:])
    try:
        found = fit(
            first.sample["X"].astype(np.float64),
            num_classes=call.asked.num_classes,
            sample_weight=weights,
            fit_intercept=bool(call.asked.fit_intercept),
            standardize=bool(call.asked.standardize),
            **given,
        )
    except ValueError:  # the sample lacks a class, or weight: what all rows have is seen later
        pass
    else:
        good = np.asarray(found.status).reshape(L) == Status.CONVERGED
        whole_coef, whole_intercept = (np.asarray(part).reshape(L, *part.shape[len(batch.shape) :]) for part in found.params)
        coef[good], intercept[good] = whole_coef[good], whole_intercept[good]
    x = starts(kind(coef, intercept), call.bounds, call.frame, call.steps, call.k)
    x, _ = rounded(x, call.bounds, None, call.frame, call.steps, batch.kinked, str(call.dtype))
    state = start(np.asarray(x))
    exact = call.shape.cheap or not _coercive(call)
    progress = Progress(state, None, None, exact, 1, np.zeros(L, np.int32))
    return progress if exact else progress._replace(chord=_chord(call, first, progress.state))


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
        invalid = check_classes(np.asarray(sums.classes), model, bool(call.asked.fit_intercept), call.frame.center.shape[0])
        status = np.where(invalid, np.int32(Status.INVALID), state.status)
        state = state._replace(status=status, num_steps=np.where(invalid, 0, state.num_steps))
        if progress.exact:
            check_independent(sums, model, call.k, call.frame.center.shape[0], ~invalid, reader.kind)
    how = How(call.steps, call.frame.center.shape[0], call.batch.kinked, progress.exact, call.max_steps)
    few = jax.tree.map(lambda leaf: leaf[at], (state, model))
    chord = None if progress.chord is None or progress.exact else progress.chord[at]
    new = _advance(few[0], sums, chord, few[1], np.float64(call.tol), how)
    bounds = None if call.bounds is None else tuple(bound[at] for bound in call.bounds)
    x, _ = rounded(new.x, bounds, few[1], call.frame, call.steps, call.batch.kinked, str(call.dtype))
    # A point that was judged stays what it is.
    keep = (np.asarray(new.status) != RUNNING).reshape(-1, *(1,) * (x.ndim - 1))
    new = new._replace(x=np.where(keep, np.asarray(new.x), np.asarray(x)))
    state = _put(state, _host(new), at)
    passes = progress.passes + 1
    ended = np.where((state.status != RUNNING) & (progress.ended == 0), np.int32(passes), progress.ended)
    left = state.status == RUNNING
    suffices = np.asarray(call.tol <= 2.5e-3 * model.rarity)
    exact = progress.exact or bool(np.any(state.slow[left])) or not bool(np.all(suffices[left]))
    return Progress(state, model, progress.chord, exact, passes, ended)


@program("how")
def _advance(state: State, sums: Sums, chord: Any, model: Model, tol: Any, how: How) -> State:
    axes = (0, 0, None if chord is None else 0, 0)
    few = sums._replace(classes=None, total=None, means=None, squares=None)
    return jax.vmap(lambda state, sums, chord, model: advance(state, sums, chord, model, tol, how), in_axes=axes)(
        state, few, chord, model
    )


def _coercive(call: Call) -> bool:
    """Whether every column of every model has a penalty, or two finite bounds."""
    fields = call.batch.fields
    factor = fields.get("penalty_factor", np.ones((1, 1)))
    kept = factor * (fields["l1"] + fields["l2"])[:, None] > 0
    if call.bounds is not None:
        kept = kept | (np.isfinite(call.bounds[0]) & np.isfinite(call.bounds[1]))
    return bool(np.all(kept))


def _chord(call: Call, first: First, state: State) -> np.ndarray:
    """Hessians of the loss over the sampled rows (L, p, p)."""
    plan, batch = call.plan(True, True), call.batch
    lanes = Lanes(state.x, np.zeros_like(state.x), batch.y, batch.s, batch.offset)
    size, m, carried = call.shape.rows(len(first.numbers)), len(first.numbers), None
    for begin in range(0, m, size):
        some = np.arange(begin, begin + size)
        rows = {name: rows_of(name, value, np.minimum(some, m - 1)) for name, value in first.sample.items()}
        numbers = first.numbers[np.minimum(some, m - 1)]
        carried = add_block(carried, own_names(rows), numbers, np.int64(min(size, m - begin)), lanes, call.frame, plan)
    assert carried is not None
    sums = whole(carried)
    model = models_of(sums, batch.s, batch.fields, call.frame, call.steps, bool(call.asked.fit_intercept), False)
    safe = model._replace(total=jnp.where(model.total > 0, model.total, 1))
    few = sums._replace(classes=None, total=None, means=None, squares=None)
    return np.asarray(_hessians(state.x, few, safe, call.steps, call.frame.center.shape[0]))


@program("likelihood", "n")
def _hessians(x: Any, sums: Sums, model: Model, likelihood: Likelihood, n: int) -> jax.Array:
    return jax.vmap(lambda x, sums, model: point(x, sums, model, likelihood, n).H)(x, sums, model)


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _put(whole: Any, new: Any, at: np.ndarray) -> Any:
    def put(old: np.ndarray, value: np.ndarray) -> np.ndarray:
        copy = np.array(old)
        copy[at] = value
        return copy

    return jax.tree.map(put, whole, new)
