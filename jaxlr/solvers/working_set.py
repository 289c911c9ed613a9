"""Absolute penalties on very many columns: the problem is solved on the few that count, and all the others are checked.

A round takes the coefficients that are not 0 and, as far as there is room, the columns outside that violate their optimality
conditions most,

    slack_j = |u_j| - l1_j,     in the notation of `jaxlr.model.certificates`; a coefficient 0 is optimal where slack_j <= 0

solves the problem on these with the others as they are, and looks at the gradient of all columns: the model is CONVERGED when
none of them is over the tolerance, so that no column is left out unchecked. On a path most models take one round. Where more
coefficients count than there is room for, the rounds are steps of block coordinate descent. Working sets: Massias, Gramfort &
Salmon 2018, Proceedings of Machine Learning Research 80 (celer), section 3, with the violation as the priority.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.operators import times_transposed
from jaxlr.model.certificates import kkt_of_gradient
from jaxlr.model.logistic import residual
from jaxlr.model.objective import Problem, penalties, problem_logits, row_weights
from jaxlr.model.params import Params
from jaxlr.results.status import Status
from jaxlr.solvers import proximal
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.working import Shared

_RUNNING = -1


class _State(NamedTuple):
    x: Array  # (k,) parameters, intercept last
    z: Array  # (m,) their logits
    g: Array  # (k,) gradient of the smooth part there
    kkt: Array  # residual there, inf before the first round
    status: Array
    num_steps: Array
    num_rounds: Int[Array, ""]


def usual_room(m: int, k: int, with_l2: bool) -> int:
    """How many columns to solve for at once: an eighth of the rows, from 64 (48 without l2, where supports are smaller) to
    256, or all where they are no more than twice that. A small set makes for cheap steps; a larger support takes more rounds.

    Args:
        m: rows.
        k: columns of the design, the intercept counted.
        with_l2: whether there may be a squared penalty beside the absolute one.

    Returns:
        From 1 to k.
    """
    size = min(max(m // 8, 64 if with_l2 else 48), 256)
    return k if k <= 2 * size else size


def most_used(room: int) -> int:
    """How many columns may be in use where the rest of a working set is for those that come in.

    Args:
        room: columns that are solved for at once.

    Returns:
        Seven eighths of them.
    """
    return room - room // 8


def solve(
    problem: Problem,
    init: Params | None,
    tol: Float[Array, ""],
    max_steps: int,
    shared: Shared,
    coercive: bool,
    room: int,
) -> Solution:
    """Minimize the objective of one problem, on all columns at once where they are few.

    Args:
        problem: one problem in working coordinates, l1 >= 0 (inf holds a coefficient at 0).
        init: start, coef (n,), intercept (), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps in a round, and of rounds.
        shared: the prepared design of the problem, with A transposed where columns are left out.
        coercive: static; whether every column is known to have a penalty.
        room: static; columns that are solved for at once, the intercept counted.

    Returns:
        Solution, its zeros exact.
    """
    k, n = shared.A.shape[1], len(shared.unit)
    size = room - (k - n)
    if size >= n:
        return proximal.solve(problem, init, tol, max_steps, shared, coercive)
    w, y, (l1, l2) = row_weights(problem), problem.y, penalties(problem)
    location, scale = shared.units
    # As for `newton_cg`: coefficients are to be exact, not their residual alone small, unless few digits are asked for.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, 1e-3).astype(tol.dtype)

    # What has no penalty may separate the classes, which is only seen where all of it is in the set.
    unseen = jnp.sum((l1 == 0) & (l2 == 0)) > most_used(size)

    def gradient_at(x: Array, z: Array) -> Array:
        return times_transposed(shared.A, w * residual(z, y)) + jnp.pad(l2, (0, k - n)) * x

    def one_round(state: _State) -> _State:
        coef, intercept = state.x[:n], state.x[n:]
        u = state.g[:n] - location * jnp.sum(state.g[n:])
        slack = jnp.where(coef != 0, jnp.abs(u + l1 * jnp.sign(coef)), jnp.abs(u) - l1) / scale
        used = (coef != 0) | (l1 == 0)
        overflows = jnp.sum(used) > most_used(size)
        urgency = jnp.where(used & ~overflows, jnp.inf, slack)
        inside = jax.lax.top_k(urgency.astype(jnp.float32), size)[1]  # float64 takes 30 times as long on a CPU
        rows = jnp.concatenate([shared.low[inside], shared.low[n:]])
        start = Params(coef[inside], jnp.sum(intercept))
        small = replace(
            problem,
            X=rows[:size].T,
            l1=l1[inside],
            l2=l2[inside],
            offset=state.z - jnp.dot(jnp.append(start.coef, intercept), rows, precision="highest"),
        )
        design = Shared(rows.T, 0 * l1[inside], 1 + 0 * l1[inside], None, units=(location[inside], scale[inside]))
        found = proximal.solve(small, start, tol, max_steps, design, coercive)
        x = jnp.concatenate([coef.at[inside].set(found.params.coef), found.params.intercept[None]])[:k]
        z = problem_logits(found.params, small)
        g = gradient_at(x, z)
        kkt = kkt_of_gradient(Params(g[:n], jnp.sum(g[n:])), x[:n], l1, shared.units)
        num_steps, num_rounds = state.num_steps + found.num_steps, state.num_rounds + 1
        over = num_rounds >= max_steps
        stuck = (kkt <= tol) & (kkt > state.kkt / 2)
        enough = jnp.where(overflows, jnp.maximum(polish, 1e-2), polish) * tol  # block coordinate descent takes its time
        again = (found.status == Status.CONVERGED) & (unseen | ~((kkt <= enough) | stuck))
        late = jnp.where((kkt <= tol) & ~unseen, Status.CONVERGED, Status.MAX_STEPS)
        status = jnp.where(again, jnp.where(over, late, _RUNNING), found.status)
        return _State(x, z, g, kkt, status.astype(jnp.int32), num_steps, num_rounds)

    first = Params(jnp.zeros(n, l1.dtype), jnp.zeros((), l1.dtype)) if init is None else init
    first = first._replace(coef=jnp.where(jnp.isinf(l1), 0, first.coef))
    x, z = jnp.append(first.coef, first.intercept)[:k], problem_logits(first, problem)
    unknown = jnp.full_like(tol, jnp.inf)
    begin = _State(x, z, gradient_at(x, z), unknown, jnp.int32(_RUNNING), jnp.int32(0), jnp.int32(0))
    end = jax.lax.while_loop(lambda state: state.status == _RUNNING, one_round, begin)
    return Solution(Params(end.x[:n], jnp.sum(end.x[n:])), end.status, end.num_steps)
