"""Conjugate gradients in rounds: the preconditioner that models share is made again where it has aged.

    P = (H + diag(l2))^-1,    H = A' diag(d) A,    d the mean curvature of the models where H was made

H costs as much as many products, and serves until curvatures have changed, along a path or from step to step. Products over
the usual ones are counted; once they have cost as much as H (together then at most about twice what the best choice costs, as
in renting or buying skis), the models stop, H is made anew where they are, and those that are not done go on. Each round of a
model may spend twice as much, and the last as much as it likes, so that little is lost where a new H does no better.

Where H is dear (many columns, few models) a first round does without, on the diagonal alone, if so many products may do:

    2/5 sqrt(1 + h / l2) log(2 / tol)  <=  what H costs        h the largest eigenvalue of H, l2 the least penalty

four fifths of the bound of conjugate gradients for eigenvalues from l2 to h + l2 (Nocedal & Wright 2006, eq. 5.36, with
1 - 2 / sqrt(kappa) as exp(-2 / sqrt(kappa))), which normal columns stay so far under. It may spend half of that; where it fell
short, later points of a path do not try it again.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.dense import Rough
from jaxlr.linalg.operators import Design
from jaxlr.solvers.damped import Solution, polish_of
from jaxlr.solvers.descent import AGED
from jaxlr.solvers.newton_cg import POLISH
from jaxlr.solvers.preconditioner import Preconditioner, finite, precondition

_ROUNDS = 4
_THIN = 12  # logits a row: a product of few is as slow as one of so many
_FACTOR = 3.3  # times k^3, as long as a preconditioner of k columns takes beside a plain product
_LEAST = 16  # products: a round takes a few itself
_DEAR = 32  # products that H costs from where doing without is worth a program's being longer
_UNLIMITED = 2**30  # products


class Mean(NamedTuple):
    """H (*K, k, k), whether it has to be made again, the products that were spent since it was made, and whether a round that
    went without fell short; None where none may go without."""

    hessian: Any
    aged: Bool[Array, ""]
    spent: Int[Array, ""]
    missed: Any


class _State(NamedTuple):
    solution: Solution  # of all models
    mean: Mean
    aid: Preconditioner
    num_rounds: Int[Array, ""]


def not_made(classes: tuple[int, ...], k: int, dtype: jnp.dtype, wide: bool) -> Mean:
    """H before the first models: zeros, to be made at once.

    Args:
        classes: static, () or (K,).
        k: columns, the intercept counted.
        dtype: of the directions.
        wide: static; whether the columns are those of a triangle (`jaxlr.batching.wide`), for which the diagonal falls short.
    """
    return Mean(jnp.zeros((*classes, k, k), dtype), jnp.bool_(True), jnp.int32(0), None if wide else jnp.bool_(False))


def solve_in_rounds(
    find: Callable[[Array, Array, Preconditioner], Solution],
    inputs: Callable[[Array], tuple[Array, Array]],
    directions: Design | Rough,
    start: Float[Array, "..."],
    batch: tuple[int, ...],
    mean: Mean,
    tol: Array,
    max_steps: int,
) -> tuple[Solution, Preconditioner, Mean]:
    """Solve models side by side: their solutions, the last preconditioner, and H for others like them.

    Args:
        find: from where models begin, the steps that each may take, and the preconditioner, to their solutions.
        inputs: from where models are to weights times curvatures (*batch, *K, m), and penalty vectors (*batch, k).
        directions: A, in the dtype of the directions.
        start: in working coordinates (*batch, *K, k).
        batch: static; shape of the models.
        mean: as models before these left it.
        tol: on the KKT residual.
        max_steps: static; limit of steps of a model.
    """
    (*classes, k, _), m, num_models = mean.hessian.shape, directions.shape[0], math.prod(batch)
    # Operations of H and preconditioners over those of a product.
    made = math.prod(classes) * (1.5 * m * k**2 + _FACTOR * k**3)
    worth = max(1, round(made / (4 * m * k * (num_models * math.prod(classes) + _THIN))))

    may_go_without = worth >= _DEAR and mean.missed is not None

    def one_round(state: _State) -> _State:
        old, mean, last = state.solution, state.mean, state.num_rounds == _ROUNDS - 1
        d, l2 = jax.lax.stop_gradient(inputs(old.params))
        # The mean as a product: a sum would be computed again for every column of the weighted design.
        weights = jnp.full(num_models, 1 / num_models, d.dtype)
        d = jnp.dot(weights, d.reshape(num_models, -1)).reshape(d.shape[len(batch) :])
        least = jnp.min(l2.reshape(num_models, -1), axis=0)
        without = jnp.bool_(False)
        if may_go_without:
            may = mean.aged & ~mean.missed & (state.num_rounds == 0)
            needed = jax.lax.cond(may, lambda: _products(directions, d, least, tol), lambda: jnp.full_like(tol, jnp.inf))
            without = needed <= worth
        H = jax.lax.cond(mean.aged & ~without, lambda: _mean_hessians(directions, d), lambda: mean.hessian)
        before = jnp.where(mean.aged, 0, mean.spent)
        budget = jnp.where(last, _UNLIMITED, (max(worth, _LEAST) << state.num_rounds) - before)
        budget = jnp.where(without, worth // 2, budget)
        aid = _preconditioners(H, d, least, without) if may_go_without else _inverses(H, least)
        going = old.status == AGED
        whole = aid._replace(directions=directions, budget=budget)
        new = find(old.params, jnp.where(going, max_steps - old.num_steps, 1), whole)
        status = jnp.where(going, new.status, old.status)
        params = jnp.where(going.reshape(*batch, *(1,) * (new.params.ndim - len(batch))), new.params, old.params)
        solution = Solution(params, status, old.num_steps + jnp.where(going, new.num_steps, 0))
        spent = before + jnp.max(jnp.where(going, new.spent, 0))
        fell_short = jnp.any(status == AGED)
        aged = fell_short | without | (spent >= worth) | ~jnp.any(d > 0)  # of no model that can be fitted
        missed = mean.missed | (without & fell_short) if may_go_without else mean.missed
        return _State(solution, Mean(H, aged, spent, missed), aid, state.num_rounds + 1)

    begin = Solution(start, jnp.full(batch, AGED, jnp.int32), jnp.zeros(batch, jnp.int32))
    zeros = jnp.zeros(mean.hessian.shape[:-1], mean.hessian.dtype)
    made_yet = jnp.bool_(True) if may_go_without else None
    unknown = Preconditioner(None, mean.hessian, zeros, jnp.zeros(k, zeros.dtype), made=made_yet)
    end = jax.lax.while_loop(
        lambda state: jnp.any(state.solution.status == AGED), one_round, _State(begin, mean, unknown, jnp.int32(0))
    )
    return end.solution, end.aid._replace(directions=directions), end.mean


def _mean_hessians(directions: Design | Rough, d: Float[Array, "*K m"]) -> Float[Array, "*K k k"]:
    """Of every class; one for all where they are alike, as they are where models start at 0."""
    if d.ndim == 1:
        return directions.half_gram(d)
    shape = (len(d), directions.shape[1], directions.shape[1])
    same = lambda: jnp.broadcast_to(directions.half_gram(d[0]), shape)  # noqa: E731
    each = lambda: jax.lax.map(directions.half_gram, d)  # noqa: E731
    return jax.lax.cond(jnp.all(d == d[:1]), same, each)


def _products(directions: Design | Rough, d: Float[Array, "*K m"], l2: Float[Array, " k"], tol: Array) -> Array:
    """How many products conjugate gradients may take with the diagonal alone."""
    mean = jnp.mean(d.reshape(-1, d.shape[-1]), axis=0).astype(directions.dtype)

    def size(v: Array) -> Array:
        return jnp.sqrt(jnp.sum(v * v))

    # The power method, from a vector that no design knows.
    v = directions.transposed_times(mean * jnp.cos(jnp.arange(len(mean), dtype=mean.dtype)))
    v = directions.transposed_times(mean * directions.times(v / size(v)))
    largest = size(directions.transposed_times(mean * directions.times(v / size(v))))
    kappa = 1 + largest.astype(tol.dtype) / jnp.sort(l2)[1].astype(tol.dtype)  # one column may have none, as the intercept has
    return 0.4 * jnp.sqrt(kappa) * jnp.log(2 / (tol * polish_of(tol, POLISH)))


def _preconditioners(
    H: Float[Array, "*K k k"], d: Float[Array, "*K m"], l2: Float[Array, " k"], without: Array
) -> Preconditioner:
    """Of every class; without H its diagonal, the mean curvature."""

    def plain() -> Preconditioner:
        mean = jnp.broadcast_to(jnp.sum(d, axis=-1, keepdims=True), H.shape[:-1])
        return Preconditioner(None, H, mean.astype(H.dtype), finite(l2, H.dtype), made=jnp.bool_(False))

    return jax.lax.cond(without, plain, lambda: _inverses(H, l2)._replace(made=jnp.bool_(True)))


def _inverses(H: Float[Array, "*K k k"], l2: Float[Array, " k"]) -> Preconditioner:
    """Of every class."""
    if H.ndim == 2:
        return precondition(H, l2)
    out_axes = Preconditioner(None, inverse=0, diagonal=0, least=None)
    return jax.vmap(precondition, in_axes=(0, None), out_axes=out_axes)(H, l2)
