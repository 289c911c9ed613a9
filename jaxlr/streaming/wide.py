"""Many columns: what stands for Hessians that are too large, and what that takes of memory, known before it is spent.

Where the Hessians of all models cost far more than the rest of a pass, and every column has a penalty, or two bounds,

    kinks, and few columns at none     Hessians of the columns inside (`jaxlr.streaming.inside`)
    else                               products with rows in memory, and the last steps (`jaxlr.streaming.surrogate`)

The second takes the place of the first from where more columns are in use than there is room for. A pass of it costs little
more than the two products with X that logits and gradients are; one alone sums a Gram matrix for all models too, where there
are at most 4,096 columns.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.inputs.memory import bytes_free
from jaxlr.model.likelihood import Likelihood
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.calls import Call, Progress
from jaxlr.streaming.inside import Inside, chosen, most_inside, overflows, urgency_of
from jaxlr.streaming.models import Batch
from jaxlr.streaming.passes import Shape
from jaxlr.streaming.points import Model, point
from jaxlr.streaming.secants import no_pairs
from jaxlr.streaming.states import State
from jaxlr.streaming.sums import Sums

_FEW, _WORK = 512, 2**20  # columns, and products a row of all Hessians: up to either they are summed
_PAIRS = 8
_GRAM = 2**12  # columns of which one Gram matrix for all models is summed, once


def is_coercive(batch: Batch, bounds: tuple[np.ndarray, np.ndarray] | None) -> bool:
    """Whether every column of every model has a penalty, or two finite bounds."""
    factor = batch.fields.get("penalty_factor", np.ones((1, 1)))
    kept = factor * (batch.fields["l1"] + batch.fields["l2"])[:, None] > 0
    if bounds is not None:
        kept = kept | (np.isfinite(bounds[0]) & np.isfinite(bounds[1]))
    return bool(np.all(kept))


def is_wide(shape: Shape, coercive: bool) -> bool:
    """Whether no Hessian of all columns is summed."""
    return coercive and shape.k > _FEW and shape.lanes * shape.pairs * shape.k**2 > _WORK


def check_memory(shape: Shape, coercive: bool, wide: bool, sampled: int) -> None:
    """Refuse what does not fit, in words.

    Args:
        sampled: rows that are kept.

    Raises:
        MemoryError: the device has less free.
    """
    what, needed, advice = "Hessians", shape.hessian_bytes, "give every column an l1 or l2, with which none are needed, or "
    if wide:
        what, needed = "sums, steps and sampled rows", wide_bytes(shape, sampled)
    if needed > (free := bytes_free()):
        raise MemoryError(
            f"expected {what} of {shape.lanes} models of {shape.k} columns that fit in the {free / 2**30:.3g} GiB that are "
            f"free, got a need of {needed / 2**30:.3g} GiB; {'' if coercive else advice}fit fewer models a call, or screen the "
            "columns on a sample first"
        )


def wide_bytes(shape: Shape, sampled: int) -> int:
    """What many columns take: points and sums of all models in float64, their last steps and logits of the sample in float32,
    and the sampled rows, as they came, as working columns, and squared."""
    blocks = int(np.sqrt(2 * shape.pairs))
    points, sums = 8 * 8 * blocks, 8 * 4 * (blocks + shape.pairs)
    steps = 4 * blocks * (5 * _PAIRS + 16)
    inside = 8 * shape.lanes * shape.pairs * 4 * most_inside(shape.lanes, shape.pairs, shape.n) ** 2
    rows = sampled * (16 * shape.k + 24 * shape.lanes * shape.classes)
    gram = 16 * shape.k**2 if shape.k <= _GRAM else 0
    return shape.lanes * shape.k * (points + sums + steps) + inside + rows + gram


def road(call: Call, progress: Progress) -> tuple[Inside | None, State]:
    """The columns inside, None where the surrogate serves, and the models with what that needs."""
    state, n = progress.state, call.frame.center.shape[0]
    assert state.trail is not None
    shape = call.shape
    most = most_inside(shape.lanes, shape.pairs, shape.n)
    if progress.urgency is not None and state.trail.pairs is None and not overflows(progress.urgency, most):
        return chosen(progress.urgency, most, call.k > n), state
    if state.trail.pairs is None:
        pairs = no_pairs(_PAIRS, state.x.shape[1:], len(state.x))
        state = state._replace(trail=state.trail._replace(pairs=pairs))
    return None, state


def wants_gram(call: Call, progress: Progress) -> bool:
    """Whether this pass sums the Gram matrix at the mean curvature: once, where the surrogate serves."""
    return call.k <= _GRAM and progress.sample is not None and progress.sample.gram is None


@program("likelihood", "n")
def urgency(x: Any, at: Any, status: Any, sums: Sums, model: Model, likelihood: Likelihood, n: int) -> jax.Array:
    """Of the columns to all models (L,) together.

    Args:
        x: where the next pass sums.
        at: where these sums are of.
        status: of the models after them.
    """

    def one(x: Any, at: Any, status: Any, sums: Sums, model: Model) -> jax.Array:
        return urgency_of(x, point(at, sums, model, likelihood, n), model, status == RUNNING, n)

    return jnp.max(jax.vmap(one)(x, at, status, sums, model), axis=0)
