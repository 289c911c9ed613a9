"""Scores of data larger than memory: all models and folds in one pass over blocks of rows.

    score = sum_i s_i rows_i / sum_i s_i,    of the rows that the fold holds out

in float64, from block to block with their rounding errors (`jaxlr.streaming.carried`). Rows are what `jaxlr.cross_validate`
sums (`jaxlr.metrics.measures`), and soft labels count as the hard ones they stand for; a curve of calibration is three sums for
each bin. A ranking, such as ROC AUC, is no sum over rows: it asks for all scores in order.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import common_shape
from jaxlr.inputs.tables import as_floating, in_order
from jaxlr.linalg.dot import dot, times
from jaxlr.metrics.means import Calibration
from jaxlr.metrics.measures import hard, measures
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.logistic import sigmoid
from jaxlr.model.params import HasParams, Params, SoftmaxParams
from jaxlr.model.predict import check_intercepts, own_params
from jaxlr.results.status import Status
from jaxlr.streaming.ahead import ahead, kind_ahead
from jaxlr.streaming.blocks import Blocks, Reader, check_callable
from jaxlr.streaming.carried import of_all_processes, plus
from jaxlr.streaming.fields import Kind
from jaxlr.streaming.models import lanes_of
from jaxlr.streaming.passes import own_names
from jaxlr.streaming.processes import check_alike, number_rows, together
from jaxlr.streaming.resamples import Resamples, checked_resamples, resample_weights, typed

_BINS = 10  # of `jaxlr.metrics.calibration`
_BYTES = 2**27  # that the numbers of a block may take
_FEWEST_ROWS, _MOST_ROWS = 64, 2**14


class Plan(NamedTuple):
    """What is static: the likelihood, names of metrics, and which rows are held out."""

    likelihood: Likelihood
    names: tuple[str, ...]
    resamples: Resamples


class Lanes(NamedTuple):
    """The models (L,): parameters, and which labels, weights and offsets are theirs."""

    params: Any
    y: Any
    s: Any
    offset: Any


def score_stream(
    params: Params | SoftmaxParams | HasParams,
    blocks: Blocks,
    *,
    metrics: Sequence[str] = ("log_loss",),
    folds: int | None = None,
    key: Array | None = None,
) -> dict[str, Any]:
    """Score models on rows that come in blocks, in one pass.

    Args:
        params: of one model or a batch, as in `jaxlr.predict_proba`. A Fit stands for its params, and takes the columns of
            tables by name.
        blocks: as for `jaxlr.fit_stream`, their axes in front broadcasting against the batch. In a job of many processes each
            has blocks of its own, and all get the scores of all rows.
        metrics: names among "log_loss", "accuracy" (threshold 1/2; of several classes the most probable one), "brier" (summed
            over several classes) and, of two classes, "calibration". Rankings ask for all scores in order: give those of
            `jaxlr.predict_stream` to `jaxlr.metrics.roc_auc`.
        folds: K, with `key` as they were given to `jaxlr.fit_stream`: each of the K models along the first axis of the batch is
            scored on the rows that its fold holds out.
        key: of `jax.random`, with folds.

    Returns:
        By metric, scores (...) of the batch; "calibration" is a `jaxlr.metrics.Calibration` (..., 10), the curve of
        `jaxlr.metrics.calibration`. A model of a Fit that did not converge scores NaN, as in `jaxlr.cross_validate`, and so
        do parameters that are NaN, and a model without rows of weight.

    Raises:
        TypeError: an argument or a field of a block has the wrong type.
        ValueError: values or shapes are not what they must be, with block and row; an unknown metric; folds that are not the
            first axis of the batch.
        RuntimeError: another process raised something, whose words it has.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
        >>> params = Params(np.zeros((2, 1)), np.array([0.0, 1.0]))
        >>> score_stream(params, lambda: [(X[:3], y[:3]), (X[3:], y[3:])], metrics=("accuracy", "brier"))["brier"].shape
        (2,)
    """
    check_callable(blocks)
    check_intercepts(params)
    own = own_params(params)
    likelihood, dtype = likelihood_of_params(own), as_floating(own.coef).dtype
    plan = Plan(likelihood, _checked_names(metrics, likelihood), checked_resamples(folds, None, key))
    reader = Reader(_by_name(blocks, getattr(params, "names", None)), *likelihood.classes or (None,))
    with jax.enable_x64(True):
        number_rows(reader, lambda count: None)
        kind = kind_ahead(reader)
        shape, of_model = _laid_out(np.shape(own.intercept)[: -1 if likelihood.classes else None], own, kind, plan)
        check_alike("the same models and metrics", f"{plan} of shape {shape}")
        lanes = Lanes(_of_lanes(own, of_model, likelihood), *lanes_of(kind.leads, shape, plan.resamples))
        sums = of_all_processes(together(lambda: _of_own_rows(reader, lanes, typed(key), plan)))
    failed = np.any([np.isnan(part).reshape(len(of_model), -1).any(axis=1) for part in lanes.params], axis=0)
    if (status := getattr(params, "status", None)) is not None:
        failed |= np.asarray(status).reshape(-1)[of_model] != Status.CONVERGED
    found = _scores(sums, plan.names)
    found = jax.tree.map(lambda value: np.where(failed.reshape(-1, *(1,) * (value.ndim - 1)), np.nan, value), found)
    return jax.tree.map(lambda value: jnp.asarray(value.reshape((*shape, *value.shape[1:])).astype(dtype)), found)


def _checked_names(metrics: Sequence[str], likelihood: Likelihood) -> tuple[str, ...]:
    if isinstance(metrics, str):
        raise TypeError(f'expected metrics as a tuple of names, got the string "{metrics}"; write ("{metrics}",)')
    known = [name for name, measure in measures(likelihood).items() if measure.rows is not None]
    known += [] if likelihood.classes else ["calibration"]
    if unknown := [name for name in metrics if name not in known]:
        raise ValueError(
            f"expected metrics among {', '.join(known)}, got {unknown[0]!r}; one of the order of all scores asks for these: "
            "see jaxlr.predict_stream"
        )
    return tuple(dict.fromkeys(metrics))


def _by_name(blocks: Blocks, names: tuple[str, ...] | None) -> Blocks:
    """The blocks with the columns of these names."""

    if names is None:
        return blocks

    def named(block: Any) -> Any:
        fields = dict(zip(("X", "y"), block, strict=True)) if isinstance(block, tuple) and len(block) == 2 else block
        if not isinstance(fields, Mapping) or fields.get("X") is None:
            return block  # which the reader refuses in words
        return {**fields, "X": in_order(fields["X"], names)}

    return lambda: map(named, blocks())


def _laid_out(batch: tuple[int, ...], params: Any, kind: Kind, plan: Plan) -> tuple[tuple[int, ...], np.ndarray]:
    """The batch of the scores, and which of the models each of them is of."""
    if kind.n != np.shape(params.coef)[-1]:
        raise ValueError(
            f"expected X with {np.shape(params.coef)[-1]} columns as the models have, got {kind.n}; pass the blocks of the fit"
        )
    front = plan.resamples.axes
    if batch[: len(front)] != front:
        raise ValueError(
            f"expected models with an axis of {front[0]} folds in front, got a batch of shape {batch}; give folds and key as "
            "they were in fit_stream"
        )
    shape = (*front, *common_shape({"the models": batch[len(front) :], **kind.leads}))
    numbers = np.arange(math.prod(batch)).reshape((*front, *(1,) * (len(shape) - len(batch)), *batch[len(front) :]))
    return shape, np.broadcast_to(numbers, shape).reshape(-1)


def _of_lanes(params: Any, of_model: np.ndarray, likelihood: Likelihood) -> Any:
    """The parameters of each lane (L, *K, n) and (L, *K), in float64."""
    coef, intercept = (np.asarray(part).astype(np.float64) for part in params)
    flat = coef.reshape(-1, *likelihood.classes, coef.shape[-1]), intercept.reshape(-1, *likelihood.classes)
    return type(params)(*(part[of_model] for part in flat))


def _of_own_rows(reader: Reader, lanes: Lanes, key: Any, plan: Plan) -> tuple[Any, Any]:
    """Sums by metric, and their rounding errors."""
    assert reader.kind is not None
    L, classes = len(lanes.y), math.prod(plan.likelihood.classes)
    numbers = L * (4 + 4 * classes + 3 * len(plan.names) + 3 * _BINS * ("calibration" in plan.names)) + 2 * reader.kind.n
    most = max(min(_BYTES // (8 * numbers), _MOST_ROWS), _FEWEST_ROWS)
    lanes, key = jax.device_put((lanes, key))
    shapes = {name: (L, _BINS, 3) if name == "calibration" else (L,) for name in ("", *plan.names)}
    carried: Any = jax.device_put(tuple({name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2)))
    add = None
    with contextlib.closing(ahead(reader.rows(2 ** (most.bit_length() - 1)))) as reading:
        for block in reading:
            row = np.arange(block.first, block.first + len(block.fields["X"]), dtype=np.uint64)
            given = own_names(block.fields), row, np.int64(block.size), lanes, key
            add = add or _add_block.like(carried, *given, plan)
            carried = jax.block_until_ready(add(carried, *given))
    return carried


@program("plan", quick=False)  # it runs for every block
def _add_block(carried: Any, fields: dict[str, Any], row: Any, count: Any, lanes: Lanes, key: Any, plan: Plan) -> Any:
    X, y = (fields[name].astype(jnp.float64) for name in ("X", "y"))
    soft = y.ndim == 3 or (not plan.likelihood.classes and jnp.issubdtype(fields["y"].dtype, jnp.floating))
    size = X.shape[0]
    s = jnp.ones((1, size)) if "s" not in fields else fields["s"].astype(jnp.float64)
    if plan.resamples.axes:
        held_out = 1 - resample_weights(key, row, plan.resamples)
        s = (held_out[:, None, :] * s[None, :, :]).reshape(-1, size)
    s = jnp.where(jnp.arange(size)[None, :] < count, s, 0)
    offset = None if "offset" not in fields else fields["offset"].astype(jnp.float64)
    known = measures(plan.likelihood)

    def of_lane(params: Any, y: Array, s: Array, offset: Array | None) -> dict[str, Array]:
        z = times(X, params.coef) + params.intercept[..., None]
        z = z if offset is None else z + offset.T
        sums = {"": jnp.sum(s)}
        labels, logits, weights = hard(y, z.T, s) if soft else (y, z.T, s)
        for name in plan.names:
            if name == "calibration":
                proba = sigmoid(z)
                bins = jnp.searchsorted(jnp.asarray(np.linspace(0, 1, _BINS + 1)[1:-1]), proba)
                inside = jnp.where(bins[None, :] == jnp.arange(_BINS, dtype=bins.dtype)[:, None], s[None, :], 0)
                sums[name] = dot(inside, jnp.stack([jnp.ones(size), proba, y], axis=1))
            else:
                of_rows: Any = known[name].rows
                sums[name] = jnp.sum(jnp.where(weights > 0, weights * of_rows(labels, logits), 0))
        return sums

    axes: list[int | None] = [0]
    own = []
    for values, at in ((y, lanes.y), (s, lanes.s), (offset, lanes.offset)):
        shared = values is None or values.shape[0] == 1
        axes.append(None if shared else 0)
        own.append(None if values is None else values[0] if shared else values[at])
    return plus(carried, jax.vmap(of_lane, in_axes=tuple(axes))(lanes.params, *own))


def _scores(sums: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """By metric (L,), of the sums (L,); curves (L, bins) of (L, bins, 3)."""
    total = np.asarray(sums[""])
    with np.errstate(invalid="ignore", divide="ignore"):
        found: dict[str, Any] = {}
        for name in names:
            its = np.asarray(sums[name])
            if name == "calibration":
                weight, proba, ones = np.moveaxis(its, 2, 0)
                found[name] = Calibration(proba / weight, ones / weight, weight)
            else:
                found[name] = its / total
    return found
