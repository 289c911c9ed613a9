"""Absolute penalties on very many columns: the problem is solved on the few that count, and all the others are checked.

A round takes the coefficients that are not 0 and, as far as there is room, the columns outside that violate their optimality
conditions most,

    slack_j = |u_j| - l1_j,     in the notation of `jaxlr.model.certificates`; a coefficient 0 is optimal where slack_j <= 0

solves the problem on these with the others as they are, and looks at the gradient of all columns: the model is CONVERGED when
none of them is over the tolerance, so that no column is left out unchecked. On a path most models take one round. Where more
coefficients count than there is room for, the rounds are steps of block coordinate descent. Working sets: Massias, Gramfort &
Salmon 2018, Proceedings of Machine Learning Research 80 (celer), section 3, with the violation as the priority.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.operators import Dense
from jaxlr.model.penalty import Penalty
from jaxlr.results.status import Status
from jaxlr.solvers import proximal
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.descent import RUNNING
from jaxlr.solvers.system import System


class _State(NamedTuple):
    params: Array  # (*K, k)
    z: Array  # (*K, m) their logits
    g: Array  # (*K, k) gradient of the smooth part there
    kkt: Array  # residual there, inf before the first round
    status: Array
    num_steps: Array
    num_rounds: Int[Array, ""]


def most_used(room: int) -> int:
    """How many columns may be in use, seven eighths: the rest of a working set is for those that come in."""
    return room - room // 8


def solve(
    system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int | Array, room: int
) -> Solution:
    """Minimize the objective of one problem, on all columns at once where they are few; zeros are exact.

    Args:
        system: l1 >= 0 (inf holds a coefficient at 0), its `aid` A transposed where columns are left out.
        start: None is 0.
        max_steps: limit of Newton steps in a round, and of rounds.
        room: static; columns that are solved for at once, the intercept counted.
    """
    n, k = system.n, system.A.shape[1]
    size = room - (k - n)
    if size >= n:
        return proximal.solve(system, start, tol, max_steps)
    penalty, rows = system.penalty, system.aid
    # As for `newton_cg`: coefficients are to be exact, not their residual alone small, unless few digits are asked for.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, 1e-3).astype(tol.dtype)
    # What has no penalty may separate the classes, which is only seen where all of it is in the set.
    unseen = jnp.sum((penalty.l1 == 0)[:n] & (penalty.l2 == 0)[:n]) > most_used(size)

    def one_round(state: _State) -> _State:
        coef = state.params[..., :n]
        inside, overflows = _most_urgent(system, state, size)
        inside = jnp.concatenate([inside, np.arange(n, k, dtype=np.int32)])
        at_first, own = state.params[..., inside], rows[inside]
        small = system._replace(
            A=Dense(own.T),
            n=size,
            penalty=Penalty(penalty.l1[inside], penalty.l2[inside]),
            location=system.location[inside],
            scale=system.scale[inside],
            offset=state.z - dot(at_first, own),
        )
        found = proximal.solve(small, at_first, tol, max_steps)
        params = jnp.zeros_like(state.params).at[..., :n].set(coef).at[..., inside].set(found.params)
        z = small.logits(found.params)
        g = system.gradient(params, z)
        kkt = system.kkt(g, params)
        num_rounds = state.num_rounds + 1
        stuck = (kkt <= tol) & (kkt > state.kkt / 2)
        enough = jnp.where(overflows, jnp.maximum(polish, 1e-2), polish) * tol  # block coordinate descent takes its time
        again = (found.status == Status.CONVERGED) & (unseen | ~((kkt <= enough) | stuck))
        late = jnp.where((kkt <= tol) & ~unseen, Status.CONVERGED, Status.MAX_STEPS)
        status = jnp.where(again, jnp.where(num_rounds >= max_steps, late, RUNNING), found.status)
        return _State(params, z, g, kkt, status.astype(jnp.int32), state.num_steps + found.num_steps, num_rounds)

    params = jnp.zeros((*system.likelihood.classes, k), system.w.dtype) if start is None else start
    params = jnp.where(aligned(system.free, params), params, 0)
    z = system.logits(params)
    begin = _State(
        params, z, system.gradient(params, z), jnp.full_like(tol, jnp.inf), jnp.int32(RUNNING), jnp.int32(0), jnp.int32(0)
    )
    end = jax.lax.while_loop(lambda state: state.status == RUNNING, one_round, begin)
    return Solution(end.params, end.status, end.num_steps)


def _most_urgent(system: System, state: _State, size: int) -> tuple[Int[Array, " size"], Array]:
    """The columns to solve for: those in use, as far as they fit, then those that violate their conditions most; and whether
    more are in use than fit."""
    n, l1 = system.n, system.penalty.l1[: system.n]
    coef, u = state.params[..., :n], system.centered(state.g)[..., :n]
    strength = aligned(l1, coef)
    slack = jnp.where(coef != 0, jnp.abs(u + strength * jnp.sign(coef)), jnp.abs(u) - strength)
    slack = jnp.max((slack / aligned(system.scale[:n], coef)).reshape(-1, n), axis=0)
    used = jnp.any((coef != 0).reshape(-1, n), axis=0) | (l1 == 0)
    overflows = jnp.sum(used) > most_used(size)
    urgency = jnp.where(used & ~overflows, jnp.inf, slack)
    return jax.lax.top_k(urgency.astype(jnp.float32), size)[1], overflows  # float64 takes 30 times as long on a CPU
