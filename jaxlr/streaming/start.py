"""Where the models start: at their minimum over the sampled rows, and for many models with the Hessians of these."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.fitting.fit import fit
from jaxlr.inputs.sparse import rounded_up
from jaxlr.model.likelihood import Likelihood
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.streaming.blocks import rows_of
from jaxlr.streaming.calls import Call, Progress
from jaxlr.streaming.carried import whole
from jaxlr.streaming.first import First
from jaxlr.streaming.frames import models_of, rounded, starts
from jaxlr.streaming.passes import own_names
from jaxlr.streaming.points import Model, point
from jaxlr.streaming.resamples import resample_weights
from jaxlr.streaming.sample import sample_of
from jaxlr.streaming.states import State, start
from jaxlr.streaming.sums import Lanes, Sums, sums_of
from jaxlr.streaming.wide import is_coercive, urgency

_PER_COLUMN = 5  # rows of the sample, at least; of fewer the minimum is further from that of all rows than 0 is

_TOL = 1e-4  # of that minimum: what other rows change is more


def begin(call: Call, first: First, m: int) -> Progress:
    """Where the models start: at `init`, or at the minimum over the sampled rows, or at 0 where these are so few for the
    columns that count that it is far from that of all m rows."""
    batch, kind, rows = call.batch, call.likelihood.params_type, len(first.numbers)
    classes, n, L = call.likelihood.classes, call.frame.center.shape[0], batch.size
    coef, intercept = np.zeros((L, *classes, n)), np.zeros((L, *classes))
    weights, found = _weights(call, first), None
    enough = rows >= min(m, _PER_COLUMN * call.k)
    if batch.start:
        coef, intercept = batch.start["coef"], batch.start["intercept"]
    elif enough or (call.wide and _over_noise(call, rows)):
        with contextlib.suppress(ValueError):  # the sample lacks a class, or weight: what all rows have is seen later
            found = _fit(call, first, weights, call.tol if rows == m else max(call.tol, _TOL))
    if found is not None:
        good = np.asarray(found.status).reshape(L) == Status.CONVERGED
        whole_coef, whole_intercept = (np.asarray(part).reshape(L, *part.shape[len(batch.shape) :]) for part in found.params)
        if not enough:
            used = np.sum(np.any((whole_coef != 0).reshape(L, -1, n), axis=1), axis=1)
            good &= rows >= _PER_COLUMN * used
        coef[good], intercept[good] = whole_coef[good], whole_intercept[good]
    x = starts(kind(coef, intercept), call.bounds, call.frame, call.steps, call.k)
    x, _ = rounded(x, call.bounds, None, call.frame, call.steps, batch.kinked, str(call.dtype))
    state = start(np.asarray(x), call.wide)
    exact = not call.wide and (call.shape.cheap or not enough or not is_coercive(batch, call.bounds))
    progress = Progress(state, None, None, exact, 1, np.zeros(L, np.int32))
    flat = None if weights is None else weights.reshape(-1, rows)
    if call.wide:
        progress = progress._replace(sample=sample_of(first, flat, call.frame, call.k))
        return progress._replace(urgency=_urgency(call, first, state)) if batch.kinked else progress
    if not exact:
        return progress._replace(chord=_chord(call, first, progress.state))
    if not enough or rows == m:
        return progress
    return progress._replace(sample=sample_of(first, flat, call.frame, call.k, rounded_up(rows, 4)))


def _weights(call: Call, first: First) -> np.ndarray | None:
    """Of the sampled rows (..., r), in the resamples that are made inside; None where all are 1."""
    if "sample_weight" not in first.sample and not call.resamples.axes:
        return None
    own = first.sample.get("sample_weight", np.ones((1, len(first.numbers)))).astype(np.float64)
    own = own.reshape(*call.batch.leads["sample_weight"], -1)
    if not call.resamples.axes:
        return own
    anew = np.asarray(resample_weights(call.frame.key, first.numbers, call.resamples))
    return anew.reshape(anew.shape[0], *(1,) * (len(call.batch.shape) - 1), -1) * own


def _fit(call: Call, first: First, weights: np.ndarray | None, tol: float) -> Fit:
    """The models of the sampled rows, filled up with rows of weight 0 to few sizes, which share programs."""
    r = len(first.numbers)
    size = rounded_up(r, 4)
    row = np.arange(size + (size == call.asked.num_classes))  # as many rows as classes would say another kind of labels
    at, counts = np.minimum(row, r - 1), (row < r).astype(np.float64)
    sample = {name: rows_of(name, value, at).astype(np.float64) for name, value in first.sample.items()}
    given: dict[str, Any] = {name: value.astype(np.float64) for name, value in call.batch.given.items()}
    for name in ("y", "offset"):
        if name in sample:
            given[name] = sample[name].reshape(*call.batch.leads[name], *sample[name].shape[1:])
    return fit(
        sample["X"],
        num_classes=call.asked.num_classes,
        sample_weight=counts if weights is None else weights[..., at] * counts,
        fit_intercept=bool(call.asked.fit_intercept),
        standardize=bool(call.asked.standardize),
        tol=tol,
        **given,
    )


def _over_noise(call: Call, rows: int) -> bool:
    """Whether every l1 is over what gradients of so few rows differ by from that of all: two standard errors, each of at most
    1/2 over the root of their number."""
    fields = call.batch.fields
    l1 = fields["l1"][:, None] * fields.get("penalty_factor", np.ones((1, 1)))
    return bool(np.all(l1 >= (1 if call.asked.standardize else call.frame.unit) / np.sqrt(rows)))


def _urgency(call: Call, first: First, state: State) -> np.ndarray:
    """Of the columns, over the sampled rows (n,)."""
    sums, model = _summed(call, first, state, False)
    n = call.frame.center.shape[0]
    return np.asarray(urgency(state.x, state.x, state.status, sums, model, call.steps, n))


def _chord(call: Call, first: First, state: State) -> np.ndarray:
    """Hessians of the loss over the sampled rows (L, p, p)."""
    sums, model = _summed(call, first, state, True)
    return np.asarray(_hessians(state.x, sums, model, call.steps, call.frame.center.shape[0]))


def _summed(call: Call, first: First, state: State, exact: bool) -> tuple[Sums, Model]:
    """The sums over the sampled rows, and the models that these measure."""
    plan, batch = call.plan(exact, True), call.batch
    lanes = Lanes(state.x, np.zeros_like(state.x), batch.y, batch.s, batch.offset)
    size, m = call.shape.rows(len(first.numbers), call.wide), len(first.numbers)

    def blocks() -> Iterator[tuple[dict[str, Any], Any, Any]]:
        for begin in range(0, m, size):
            some = np.minimum(np.arange(begin, begin + size), m - 1)
            rows = {name: rows_of(name, value, some) for name, value in first.sample.items()}
            yield own_names(rows), first.numbers[some], np.int64(min(size, m - begin))

    sums = whole(sums_of(blocks(), lanes, call.frame, plan))
    model = models_of(sums, batch.s, batch.fields, call.frame, call.steps, bool(call.asked.fit_intercept), False)
    safe = model._replace(total=jnp.where(model.total > 0, model.total, 1))
    return sums._replace(classes=None, null=None, total=None, means=None, squares=None, norm=None), safe


@program("likelihood", "n")
def _hessians(x: Any, sums: Sums, model: Model, likelihood: Likelihood, n: int) -> jax.Array:
    return jax.vmap(lambda x, sums, model: point(x, sums, model, likelihood, n).H)(x, sums, model)
