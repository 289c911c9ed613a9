"""What one pass adds up, for all models at once: sums over rows, from which objective, gradient, Hessian and evidence follow.

For each model, with raw weights s, logits z and the curvature W of a row (`jaxlr.model.likelihood`), on working columns A
(`jaxlr.solvers.working`: centred, in standard deviations, the ones of the intercept last):

    loss   sum_i s_i l(z_i, y_i)              slope  sum_i s_i r_i A_i             bend   sum_i s_i W_i A_i
    chi    sum_i s_i |r_i|^2 / W_i            gram   sum_i s_i W_i A_i A_i'        moves  max_i R(step of the logits)
    falls  max_i of what the step takes from a margin

All in float64, whatever the dtype of the data. Within a block sums are matrix products; from block to block they are carried
with their rounding errors (`jaxlr.streaming.carried`).
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.linalg.dense import triangle
from jaxlr.linalg.dot import dot, times
from jaxlr.model.likelihood import Likelihood
from jaxlr.streaming.carried import plus
from jaxlr.streaming.resamples import Resamples, resample_weights
from jaxlr.streaming.rows import of_rows


class Plan(NamedTuple):
    """What is static in a pass.

    Attributes:
        likelihood: in the coordinates of the steps.
        fit_intercept: whether there is an intercept.
        resamples: how rows are weighted anew.
        kinked: whether there are an l1 or bounds, so that `chi` is asked for.
        exact: whether Hessians are summed, and `moves` and `falls` measured.
        measures: whether moments and class weights are.
        products: whether Hessians are one matrix product with the products of all pairs of columns.
        shared: whether the Gram matrix at the mean curvature is summed.
    """

    likelihood: Likelihood
    fit_intercept: bool
    resamples: Resamples
    kinked: bool
    exact: bool
    measures: bool
    products: bool
    shared: bool = False


class Frame(NamedTuple):
    """Origin and units of the working columns (n,), the key of the resamples, and of which columns of A Hessians are summed,
    None for all."""

    center: Any
    unit: Any
    key: Any
    inside: Any = None


class Lanes(NamedTuple):
    """The models of a pass: where they are and the step that led there (L, *B, k); which labels, weights and offsets are theirs
    (L,)."""

    x: Any
    step: Any
    y: Any
    s: Any
    offset: Any


class Sums(NamedTuple):
    """See above; of L models, `total` to `squares` of the rows of weights (W,) alone.

    Attributes:
        loss, slope, bend, chi, gram, moves, falls: as above; `gram` is packed, or None; curvatures by pairs of coordinates.
        classes: weight of each class (L, classes).
        null: loss where all parameters are 0 (L,).
        total: sum of the weights.
        means, squares: weighted sums of A and of its squares (W, k).
        norm: the largest norm of a row of A ().
        shared: A' D A (k, k), D the mean of s W over models and classes, float32: directions are made of it, no evidence is.
    """

    loss: Any
    slope: Any
    bend: Any
    chi: Any
    gram: Any
    moves: Any
    falls: Any
    classes: Any = None
    null: Any = None
    total: Any = None
    means: Any = None
    squares: Any = None
    norm: Any = None
    shared: Any = None

    def largest(self) -> list[str]:
        """Names of those that are maxima, not sums."""
        return [name for name in ("moves", "falls", "norm") if getattr(self, name) is not None]


def nothing(fields: dict[str, Any], row: Any, count: Any, lanes: Lanes, frame: Frame, plan: Plan) -> tuple[Sums, Sums]:
    """The sums before the first block, and their rounding errors. Arguments as of `add_block`."""
    shapes = _traced.eval_shape(fields, row, count, lanes, frame, plan)
    return tuple(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes) for _ in range(2))


@program("plan", quick=False)  # it runs for every block
def add_block(
    carried: tuple[Sums, Sums], fields: dict[str, Any], row: Any, count: Any, lanes: Lanes, frame: Frame, plan: Plan
) -> tuple[Sums, Sums]:
    """The sums with those of a block, and their rounding errors.

    Args:
        carried: those before.
        fields: "X" (R, n), "y" (T, R) or (T, R, K), "s" (W, R) or none, "offset" (O, R) or (O, R, K) or none.
        row: numbers of the rows (R,), uint64.
        count: rows that count.
        lanes, frame: the models, and the columns.
        plan: static.
    """
    new = _of_block(fields, row, count, lanes, frame, plan)
    total, errors = plus(carried, new)
    largest = {name: jnp.maximum(getattr(carried[0], name), getattr(new, name)) for name in new.largest()}
    return total._replace(**largest), errors._replace(**{name: jnp.zeros_like(value) for name, value in largest.items()})


def sums_of(blocks: Iterable[tuple[dict[str, Any], Any, Any]], lanes: Lanes, frame: Frame, plan: Plan) -> tuple[Sums, Sums]:
    """The sums of blocks of one shape, and their rounding errors.

    Args:
        blocks: the fields, the numbers of the rows and how many count, of each.
    """
    lanes, frame = jax.device_put((lanes, frame))
    carried, add = None, None
    for block in blocks:
        if carried is None or add is None:
            carried = jax.device_put(nothing(*block, lanes, frame, plan))
            add = add_block.like(carried, *block, lanes, frame, plan)
        carried = jax.block_until_ready(add(carried, *block, lanes, frame))
    assert carried is not None
    return carried


def _of_block(fields: dict[str, Array], row: Array, count: Array, lanes: Lanes, frame: Frame, plan: Plan) -> Sums:
    likelihood, X = plan.likelihood, fields["X"]
    size = X.shape[0]
    there = jnp.arange(size) < count
    s = jnp.ones((1, size)) if "s" not in fields else fields["s"].astype(jnp.float64)
    if plan.resamples.axes:
        assert frame.key is not None
        anew = resample_weights(frame.key, row, plan.resamples)
        s = (anew[:, None, :] * s[None, :, :]).reshape(-1, size)
    s = jnp.where(there[None, :], s, 0)
    present = jnp.any(s > 0, axis=0)
    A = (X.astype(jnp.float64) - frame.center[None, :]) / frame.unit[None, :]
    if plan.fit_intercept:
        A = jnp.concatenate([A, jnp.ones((size, 1))], axis=1)
    A = jnp.where(present[:, None], A, 0)
    y = fields["y"].astype(jnp.float64)
    offset = fields.get("offset")

    def of_lane(x: Array, step: Array, y: Array, s: Array, offset: Array | None) -> tuple[Any, ...]:
        z = times(A, likelihood.expand(x))
        z = z if offset is None else z + offset.T
        found = of_rows(z, y, s, likelihood)
        # Made whole first: inside a sum they would be computed a number at a time.
        weighted = lambda numbers: dot(jax.lax.optimization_barrier(jnp.where(s > 0, s * numbers, 0)), jnp.ones(size))  # noqa: E731
        moves, falls, chi = jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        if plan.exact:
            dz = times(A, likelihood.expand(step))
            moves, falls = (jnp.max(jnp.where(s > 0, change, 0)) for change in (likelihood.reach(dz), likelihood.falls(dz, y)))
        if plan.kinked:
            chi = weighted(found.chi)
        classes = null = None
        if plan.measures:
            classes = likelihood.class_weights(y, s)
            at_zero = jnp.zeros_like(z) if offset is None else jnp.broadcast_to(offset.T, z.shape)
            null = weighted(of_rows(at_zero, y, s, likelihood).losses)
        return (
            weighted(found.losses),
            likelihood.reduce(dot(found.residuals, A)),
            found.pairs,
            chi,
            (moves, falls),
            classes,
            null,
        )

    axes: list[int | None] = [0, 0]
    own = []
    for values, at in ((y, lanes.y), (s, lanes.s), (None if offset is None else offset.astype(jnp.float64), lanes.offset)):
        shared = values is None or values.shape[0] == 1
        axes.append(None if shared else 0)
        own.append(None if values is None else values[0] if shared else values[at])
    loss, slope, pairs, chi, farthest, classes, null = jax.vmap(of_lane, in_axes=tuple(axes))(lanes.x, lanes.step, *own)
    some = A if frame.inside is None else A[:, frame.inside]
    sums = Sums(loss, slope, dot(pairs, A), chi, _grams(pairs, some, plan) if plan.exact else None, *farthest)
    if plan.shared:
        narrow, mean = A.astype(jnp.float32), jnp.mean(_traces(pairs, plan), axis=0).astype(jnp.float32)
        sums = sums._replace(shared=dot(narrow.T * mean[None, :], narrow))
    if not plan.measures:
        return sums
    return sums._replace(
        classes=classes,
        null=null,
        total=jnp.sum(s, axis=1),
        means=dot(s, A),
        squares=dot(s, A * A),
        norm=jnp.sqrt(jnp.max(jnp.sum(A * A, axis=1))),
    )


_traced = jax.jit(_of_block, static_argnames="plan")  # keeps what shapes it has seen


def _traces(pairs: Float[Array, "L *P r"], plan: Plan) -> Float[Array, "L r"]:
    """Of the curvatures of the rows."""
    if not plan.likelihood.classes:
        return pairs
    i, j = np.triu_indices(plan.likelihood.coordinates[0])
    return jnp.sum(pairs[:, np.flatnonzero(i == j)], axis=1)


def _grams(pairs: Float[Array, "*P r"], A: Float[Array, "r k"], plan: Plan) -> Float[Array, "*P packed"]:
    """A' diag(d) A for every row d of pairs, its triangle i <= j."""
    i, j = np.triu_indices(A.shape[1])
    if plan.products:
        return dot(pairs, A[:, i] * A[:, j])
    flat = jax.lax.map(lambda d: dot(A.T * d[None, :], A)[i, j], pairs.reshape(-1, len(A)))
    return flat.reshape(*pairs.shape[:-1], -1)


def unpacked(packed: Float[Array, "*P packed"]) -> Float[Array, "*P k k"]:
    """Gram matrices of their triangles."""
    return packed[..., triangle((math.isqrt(8 * packed.shape[-1] + 1) - 1) // 2)]
