"""The last step of ONE model, proved and not seen: the pass that would only confirm it is saved.

Where a pass has summed, loss and gradient along a short step s are those of the sums but for terms of higher order,

    |loss(x + s) - (loss + u . s + s' G s / 2)| <= R^3 / 24        |gradient(x + s) - (u + G s)|_j <= R^2 / 8 scale_j

R being what no logit, of classes no difference of two, moves by more than, by the norms of the rows: the third derivative along
the step is at most R times the second, and that R^2 / 4 (`jaxlr.model.likelihood`); of a residual and a column about its mean
it is the same with 1 for one R, times the deviation of the column. A model that the rules of `jaxlr.solvers.descent` call
CONVERGED by the size of its next step takes that step: value and KKT residual of where it ends are those of the quadratic and
these bounds. The gap is that of before, less what the objective falls by; before, without kinks, the dual point may have the
residuals at the end of the step as the sums say, r' = r + W dz, so that a' = u + G s exactly, and the divergence is at most
s' G s (`jaxlr.streaming.points`).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import once
from jaxlr.linalg.dot import dot
from jaxlr.results.status import Status
from jaxlr.solvers.descent import RUNNING, judge
from jaxlr.streaming.directions import EPS, How
from jaxlr.streaming.points import Model, farthest, point
from jaxlr.streaming.states import State
from jaxlr.streaming.steps import Before, as_direction, rules_of
from jaxlr.streaming.sums import Sums, unpacked


def proved(x: Float[Array, "*B k"], state: State, sums: Sums, model: Model, tol: Array, how: How) -> State:
    """A model after a pass, at the end of its next step if that is proved to be a minimum.

    Args:
        x: where the sums are of; the state is where the step from there leads.
    """
    s, rules = state.x - x, rules_of(state, model, tol, how)
    R = farthest(s, model)
    before = Before(state.before, state.before_reach, state.steep_steps)
    judged = judge(rules, before, state, as_direction(state, False), R, jnp.asarray(jnp.inf), jnp.bool_(False), EPS)
    change = dot(how.likelihood.assemble(unpacked(sums.gram)), s.ravel()).reshape(s.shape)
    moved = sums._replace(loss=sums.loss + jnp.sum((sums.slope + change / 2) * s), slope=sums.slope + change, gram=None)
    there = point(state.x, moved, model, how.likelihood, how.n)
    gap = state.gap
    if not how.kinked:
        moved = moved._replace(bend=once(~jnp.isnan(there.gap), moved.bend))
        curved, left = jnp.sum(s * change) / model.total, point(x, moved, model, how.likelihood, how.n, R).gap
        gap = jnp.minimum(gap, (jnp.sqrt(curved) + jnp.sqrt(left)) ** 2)
    kkt = there.kkt + R**2 / 8
    gap = jnp.maximum(gap + there.value - state.value, 0) + R**3 / 24 + 4 * EPS * jnp.abs(there.value)
    whole = (state.status == RUNNING) & (state.num_steps > 0) & (state.length == 1) & jnp.all(state.origin == x)
    holds = whole & judged.polished & (judged.status == Status.CONVERGED) & (kkt <= rules.tol)
    return state._replace(
        origin=jnp.where(holds, state.x, state.origin),
        value=jnp.where(holds, there.value, state.value),
        kkt=jnp.where(holds, kkt, state.kkt),
        gap=jnp.where(holds, gap, state.gap),
        status=jnp.where(holds, Status.CONVERGED, state.status).astype(jnp.int32),
    )
