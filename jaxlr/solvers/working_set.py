"""Absolute penalties on very many columns: the problem is solved on the few that count, and all the others are checked.

A round takes the coefficients that are not 0 and, as far as there is room, the columns outside that violate their optimality
conditions most,

    slack_j = |u_j| - l1_j,     in the notation of `jaxlr.model.certificates`; a coefficient 0 is optimal where slack_j <= 0

solves the problem on these with the others as they are, and looks at the gradient of all columns: the model is CONVERGED when
none of them is over the tolerance, so that no column is left out unchecked. On a path most models take one round, in the
smallest room that holds what all models side by side need (an eighth more than are in use or violate their conditions), so that
work follows the support: 2 s for a path of 50 on 20,000 x 500 of which 82 count, and 42 s in a room of all columns. Where more
coefficients count than there is room for, the rounds are steps of block coordinate descent. Working sets: Massias, Gramfort &
Salmon 2018, Proceedings of Machine Learning Research 80 (celer), section 3, with the violation as the priority.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.dot import aligned
from jaxlr.model.groups import Grouped
from jaxlr.model.norms import largest
from jaxlr.results.status import Status
from jaxlr.solvers import proximal, proximal_cg
from jaxlr.solvers.damped import Solution, polish_of
from jaxlr.solvers.descent import RUNNING
from jaxlr.solvers.newton_cg import POLISH
from jaxlr.solvers.system import System
from jaxlr.solvers.together import largest_of_all

_SMALLEST = 40  # columns of a room
_PARTS = 4, 2  # of the largest room, the others
_PARTS_OF_PRODUCTS = 16, 5, 2  # the same where there are no Gram matrices
_FEW = 256  # columns, whose Gram matrices are made of their products where many models share these


class Known(NamedTuple):
    """What two passes over all columns tell about parameters, kept from one point of a path to the next.

    Attributes:
        params: (*K, k) in working coordinates.
        z: their logits (*K, m).
        slope: gradient of the loss (*K, k).
    """

    params: Array
    z: Array
    slope: Array


class _State(NamedTuple):
    at: Known
    kkt: Array  # residual there, inf before the first round
    status: Array
    num_steps: Array
    num_rounds: Int[Array, ""]


def rooms_of(room: int, k: int, parts: tuple[int, ...] = _PARTS) -> tuple[int, ...]:
    """The sizes of rooms for k columns: by default a quarter and a half of the largest, as far as that pays, and that
    itself.

    Args:
        room: the largest, the intercept counted.
        k: columns of the design, likewise.
        parts: of the largest, the others.
    """
    if room == k and k <= _FEW:
        return (k,)
    return (*(room // part for part in parts if room // part >= _SMALLEST), room)


def leaves_out(room: int, k: int) -> bool:
    """Whether some of the columns may be left out.

    Args:
        room: columns to solve for at once, at most, 0 for all.
        k: columns of the design, the intercept counted.
    """
    return room > 0 and rooms_of(room, k) != (k,)


def most_used(room: int) -> int:
    """How many columns may be in use, seven eighths: the rest of a working set is for those that come in."""
    return room - room // 8


def solve(
    system: System,
    start: Float[Array, "*K k"] | None,
    tol: Float[Array, ""],
    max_steps: int | Array,
    room: int,
    keeps: bool = False,
    known: Known | None = None,
    matrix_free: bool = False,
) -> Solution:
    """Minimize the objective of one problem, on all columns at once where these are few; zeros are exact.

    Args:
        system: l1 >= 0 (inf holds a coefficient at 0), its `aid` what columns are taken from where some are left out.
        start: None is 0.
        max_steps: limit of Newton steps in a round, and of rounds.
        room: static; columns that are solved for at once, at most, the intercept counted.
        keeps: static, as in `jaxlr.solvers.proximal`.
        known: of the start, perhaps: what is known of other parameters does not count.
        matrix_free: static; whether the columns that are solved for have no Gram matrix.

    Returns:
        Solution, with what is known of its parameters.
    """
    n, k = system.n, system.A.shape[1]

    def solve_all(system: System, start: Array | None) -> Solution:
        if matrix_free:
            return proximal_cg.solve(system, start, tol, max_steps)
        return proximal.solve(system, start, tol, max_steps, keeps)

    rooms = rooms_of(room, k, _PARTS_OF_PRODUCTS if matrix_free else _PARTS)
    if not leaves_out(room, k):
        return solve_all(system._replace(A=system.aid) if matrix_free else system, start)
    params = jnp.zeros((*system.likelihood.classes, k), system.w.dtype) if start is None else start
    params = system.penalty.nearest(params)
    size = room - (k - n)
    penalty, columns = system.penalty, system.aid
    polish = polish_of(tol, POLISH)
    # What has no penalty may separate the classes, which is only seen where all of it is in the set.
    most_in_use = n if room == k else most_used(size)
    unseen = jnp.sum(~penalty.bounding[:n]) > most_in_use

    def in_room(room: int, at: Known, most: _Urgency, needed: Array) -> tuple[Solution, Array]:
        order = jax.lax.top_k(most.urgency, room - (k - n))[1]
        # The most urgent last, beside the intercept, where the sweeps begin.
        inside = jnp.concatenate([order[::-1], np.arange(n, k, dtype=np.int32)])
        left_out = jnp.asarray(np.arange(room, 0, -1, dtype=np.int32) > needed)
        at_first, own = at.params[..., inside], columns.restricted(inside, needed)
        if isinstance(penalty, Grouped):
            left_out = ~_whole(penalty, inside, left_out)
            at_first = jnp.where(aligned(left_out, at_first), 0, at_first)
        # Where all that is in use is inside nothing has to be taken from the logits, whose rounding would add up along a path.
        outside = jnp.where(most.overflows, at.z - own.times(at_first), 0 if system.offset is None else system.offset)
        small = system._replace(
            A=own,
            n=room - (k - n),
            penalty=penalty.of(inside, left_out),
            location=system.location[inside],
            scale=system.scale[inside],
            offset=outside,
        )
        found = solve_all(small, at_first)
        new = found.params
        if isinstance(penalty, Grouped):
            new = jnp.where(aligned(left_out, new), at.params[..., inside], new)
        params = at.params.at[..., n:].set(0).at[..., inside].set(new)
        return found._replace(params=params), small.logits(found.params)

    def one_round(state: _State) -> _State:
        most = _urgency(system, state.at, most_in_use)
        if matrix_free:  # they share the columns that any of them wants, and so the matrix
            urgency = largest_of_all(jnp.where(state.status == RUNNING, most.urgency, 0))
            most = most._replace(urgency=urgency, wanted=jnp.sum(urgency > 0, dtype=np.int32))
        needed = largest_of_all(jnp.where(state.status == RUNNING, most.wanted + most.wanted // 8 + k - n + 4, 0))
        place = jnp.sum(needed > np.array(rooms[:-1], np.int32), dtype=np.int32)
        found, z = jax.lax.switch(place, [partial(in_room, room) for room in rooms], state.at, most, needed)
        at = Known(found.params, z, system.loss_slope(z))
        kkt = system.kkt(system.with_penalty(at.slope, at.params), at.params)
        num_rounds = state.num_rounds + 1
        stuck = (kkt <= tol) & (kkt > state.kkt / 2)
        enough = jnp.where(most.overflows, jnp.maximum(polish, 1e-2), polish) * tol  # block coordinate descent takes its time
        again = (found.status == Status.CONVERGED) & (unseen | ~((kkt <= enough) | stuck))
        late = jnp.where((kkt <= tol) & ~unseen, Status.CONVERGED, Status.MAX_STEPS)
        status = jnp.where(again, jnp.where(num_rounds >= max_steps, late, RUNNING), found.status)
        return _State(at, kkt, status.astype(jnp.int32), state.num_steps + found.num_steps, num_rounds)

    begin = _State(_known(system, params, known), jnp.full_like(tol, jnp.inf), jnp.int32(RUNNING), jnp.int32(0), jnp.int32(0))
    end = jax.lax.while_loop(lambda state: state.status == RUNNING, one_round, begin)
    return Solution(end.at.params, end.status, end.num_steps, known=end.at)


def nothing_known(like: Float[Array, "*K k"], m: int) -> Known:
    """Of no parameters: NaN is equal to none.

    Args:
        like: parameters, for their shape.
        m: rows.
    """
    return Known(jnp.full_like(like, jnp.nan), jnp.zeros((*like.shape[:-1], m), like.dtype), jnp.zeros_like(like))


def _known(system: System, params: Float[Array, "*K k"], known: Known | None) -> Known:
    """What is known of these parameters, by two products where they are others in any of the models side by side."""

    def anew(params: Array) -> Known:
        z = system.logits(params)
        return Known(params, z, system.loss_slope(z))

    if known is None:
        return anew(params)
    others = largest_of_all(jnp.any(params != known.params).astype(jnp.int32))
    return jax.lax.cond(others > 0, anew, lambda params: known._replace(params=params), params)


def _whole(penalty: Grouped, inside: Int[Array, " c"], left_out: Bool[Array, " c"]) -> Bool[Array, " c"]:
    """Which columns are inside with all others of their groups."""
    size = jnp.zeros_like(penalty.number).at[penalty.number].add(1)
    number = penalty.number[inside]
    count = jnp.zeros_like(size).at[number].add(jnp.where(left_out, 0, 1).astype(size.dtype))
    return ~left_out & (count == size)[number]


class _Urgency(NamedTuple):
    urgency: Array  # (n,) float32, of which a CPU finds the largest 30 times as fast
    wanted: Array  # how many columns are in use or violating their conditions
    overflows: Array  # whether more are in use than there is room for


def _urgency(system: System, at: Known, most: int) -> _Urgency:
    """How urgent it is to solve for a column: one in use before all others unless these are more than `most`, then one that
    violates its condition most."""
    n, u = system.n, system.centered(system.with_penalty(at.slope, at.params))
    slack = (system.penalty.slack(u, at.params) / aligned(system.scale, u))[..., :n]
    slack = jnp.max(slack.reshape(-1, n), axis=0)
    in_use = (at.params != 0) | ~system.penalty.like(at.params).rests(at.params)
    used = jnp.any(in_use[..., :n].reshape(-1, n), axis=0)
    if isinstance(system.penalty, Grouped):
        slack, used = (largest(part, system.penalty.number[:n]) for part in (slack, used.astype(slack.dtype)))
        used = used > 0
    overflows = jnp.sum(used) > most
    urgency = jnp.where(used & ~overflows, jnp.inf, slack)
    return _Urgency(urgency.astype(jnp.float32), jnp.sum(used | (slack > 0), dtype=np.int32), overflows)
