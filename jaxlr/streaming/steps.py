"""From the sums of a pass to the parameters of the next one, and to a verdict: proved steps, seen where they end.

The rules are those of `jaxlr.solvers.descent`, a pass at a time. A pass sums at x = origin + t d and measures R, the largest
change of a logit along the step, of which in memory one knows before:

    minimum passed      R over max(log(1 + R / t), 1), a slope > 0 at x, and J fallen by less than a tenth of t lambda^2
                        (Armijo's rule: Nocedal & Wright, Numerical Optimization (2006), equation 3.4): back to the origin, to
                        a shorter step
    else                the verdict on the origin, whose whole step is known now: where it has CONVERGED by the size of that
                        step x is the answer, whose evidence this very pass has summed, else there is a new direction at x,
                        and x the answer too where norms of rows prove that the next step would be as small

Directions are those of `jaxlr.solvers.newton`, with kinks of `jaxlr.solvers.proximal`, of the Hessian that the pass has summed
(exact), or of that of the sampled rows at their own minimum (a chord: Kelley 1995, Iterative Methods for Linear and Nonlinear
Equations, section 5.4), for many models with a penalty on all columns. Of those kkt <= tol is the verdict; where it does not
halve, Hessians are summed from there on.

With many columns, all of them with a penalty (`jaxlr.streaming.wide`), the direction is that of `jaxlr.streaming.inside` or
`jaxlr.streaming.surrogate`. There too kkt <= tol is the verdict, beside an intercept of a rare class kkt <= 2.5e-3 rarity
(`jaxlr.solvers.damped`), and STALLED that some passes have found no lower residual.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.results.status import Status
from jaxlr.solvers.descent import RUNNING, Direction, Rules, judge, proved_length
from jaxlr.solvers.newton import POLISH
from jaxlr.streaming.directions import EPS, Aid, How, direction
from jaxlr.streaming.points import Here, Model, point
from jaxlr.streaming.secants import Pairs, with_pair
from jaxlr.streaming.sums import Sums

_FALL, _GROWTH = 0.1, 4
_PATIENCE = 8  # passes without a lower residual, of the steps of many columns


class Trail(NamedTuple):
    """What steps of many columns leave behind.

    Attributes:
        g: gradient of the smooth part at the origin (*B, k).
        least: the lowest KKT residual so far; idle: passes since then.
        pairs: steps, and what the gradient changed by along them; None where Hessians are summed.
    """

    g: Any
    least: Any
    idle: Any
    pairs: Pairs | None


class State(NamedTuple):
    """One model between two passes, or with axes in front many.

    Attributes:
        x: parameters (*B, k) that the next pass sums at.
        origin: the last ones proved.
        d: direction from there; length: t, the share of it that leads to x.
        value, kkt, gap: at the origin.
        error, unresolved, decrement, inexact, old: of d, as of `jaxlr.solvers.descent.Direction`.
        before: decrement of the point before, inf while it tells nothing.
        steep_steps: consecutive steps that look like separation.
        slow: whether a chord's step did not halve the residual.
        status: `jaxlr.Status`, or RUNNING.
        num_steps: steps so far.
        trail: of many columns, else None.
    """

    x: Any
    origin: Any
    d: Any
    length: Any
    value: Any
    kkt: Any
    gap: Any
    error: Any
    unresolved: Any
    decrement: Any
    inexact: Any
    old: Any
    before: Any
    steep_steps: Any
    slow: Any
    status: Any
    num_steps: Any
    trail: Trail | None = None


def start(x: np.ndarray, many_columns: bool) -> State:
    """Models (L, *B, k) that have not been summed yet."""
    L = len(x)
    number, flag, count = (lambda fill, dtype=dtype: np.full(L, fill, dtype) for dtype in (np.float64, bool, np.int32))
    nan, inf = number(np.nan), number(np.inf)
    return State(
        x=x,
        origin=x,
        d=np.zeros_like(x),
        length=number(1),
        value=nan,
        kkt=nan,
        gap=inf,
        error=nan,
        unresolved=nan,
        decrement=nan,
        inexact=flag(False),
        old=flag(False),
        before=inf,
        steep_steps=count(0),
        slow=flag(False),
        status=count(RUNNING),
        num_steps=count(0),
        trail=Trail(np.zeros_like(x), inf, count(0), None) if many_columns else None,
    )


def advance(state: State, sums: Sums, aid: Aid, model: Model, tol: Array, how: How) -> State:
    """One model after a pass; one that has ended stays as it is.

    Args:
        aid: what its direction is made of beside the sums.
    """
    likelihood, penalty, n = how.likelihood, model.penalty, how.n
    here = point(state.x, sums, model, likelihood, n)
    finite = jnp.isfinite(here.kkt) & jnp.isfinite(here.value) & jnp.all(jnp.isfinite(here.g))
    first = state.num_steps == 0
    penalized = jnp.all((penalty.bounding | ~penalty.free)[:n])
    suffices = penalized
    if state.x.shape[-1] > n:  # as in `jaxlr.solvers.damped`
        if state.trail is not None:
            tol = jnp.minimum(tol, 2.5e-3 * model.rarity)
        suffices &= tol <= 2.5e-3 * model.rarity
    rules = Rules(penalty, penalized, suffices, model.rarity, tol, jnp.int32(how.max_steps), POLISH)

    step = state.x - state.origin
    # Of a chord the norms of the rows are enough: the objective and its slope tell what is asked of a step.
    moves = sums.moves if how.exact else np.sqrt(2) * model.norm * jnp.sqrt(jnp.sum(step**2))
    reach = moves / state.length
    slope = jnp.sum(here.g * step + penalty.changes(state.x, step))
    fallen = state.value - here.value >= _FALL * state.length * state.decrement**2
    passed = ~first & (moves > proved_length(reach)) & ~(slope <= 0) & ~fallen
    last = state.num_steps >= how.max_steps
    found = Direction(
        state.d, state.d, state.decrement, state.error, state.unresolved, jnp.bool_(False), state.inexact, old=state.old
    )
    previous = Here(here.g, None, state.value, state.kkt, state.gap)
    verdict = judge(rules, _Before(state.before, state.steep_steps), previous, found, reach, jnp.asarray(jnp.inf), last, EPS)
    judged = ~first & ~passed & finite
    status = jnp.where(judged, verdict.status, RUNNING)
    seen = here.kkt <= tol
    if not how.exact or state.trail is not None:
        status = jnp.where(judged & seen & suffices, Status.CONVERGED, status)
    trail = None if state.trail is None else _followed(state.trail, step, here, first, passed)
    if trail is not None:
        status = jnp.where((status == RUNNING) & (trail.idle >= _PATIENCE), Status.STALLED, status)
    status = jnp.where(last & (status == RUNNING), Status.MAX_STEPS, status)
    # Where nothing more is to come the better of the two points is handed back.
    better = ~passed & finite & (first | (verdict.polished & seen) | ~(here.kkt > state.kkt))
    status = jnp.where((status == Status.CONVERGED) & ~(jnp.where(better, here.kkt, state.kkt) <= tol), Status.STALLED, status)
    status = jnp.where(finite, status, Status.NONFINITE)

    moved = direction(state.x, here, aid, None if trail is None else trail.pairs, model, tol, how)
    factored = jnp.isfinite(moved.decrement)
    old = not how.exact or trail is not None
    # By the norms of the rows the next step is so small that no digit that counts would change.
    most = np.sqrt(2) * model.norm * jnp.sqrt(jnp.sum(moved.d**2))
    ahead = Direction(
        moved.d, moved.d, moved.decrement, moved.error, moved.unresolved, jnp.bool_(False), moved.inexact, old=old
    )
    near = judge(rules, _Before(verdict.decrement, verdict.steep_steps), here, ahead, most, jnp.asarray(jnp.inf), last, EPS)
    arrived = ~passed & finite & seen & (most <= tol / 10) & near.polished & (near.status == Status.CONVERGED)
    status = jnp.where((status == RUNNING) & arrived, Status.CONVERGED, status)
    better |= arrived
    status = jnp.where((status == RUNNING) & ~passed & ~factored, Status.STALLED, status)
    ended = status != RUNNING
    goes = ~passed & ~ended
    known = goes | (ended & better)
    # The root of the slopes at both ends, if they were on a line; no shorter than what needs no look.
    square = state.decrement**2
    root = state.length * square / (square + jnp.maximum(slope / state.length, 0))
    cut = jnp.maximum(jnp.where(root < state.length, root, 0), jnp.minimum(proved_length(reach) / reach, state.length / 2))
    whole = jnp.minimum(_GROWTH * state.length, 1)
    length = jnp.where(goes, whole, jnp.where(passed, cut, state.length))
    origin = jnp.where(goes, state.x, state.origin)
    d = jnp.where(goes, moved.d, state.d)
    x = jnp.where(ended, jnp.where(better, state.x, state.origin), penalty.moved(origin, length * d))
    take = lambda new, old: jnp.where(goes, new, old)  # noqa: E731
    new = State(
        x=x,
        origin=jnp.where(ended, x, origin),
        d=d,
        length=length,
        value=jnp.where(known, here.value, state.value),
        kkt=jnp.where(known, here.kkt, state.kkt),
        gap=jnp.where(known, here.gap, state.gap),
        error=take(moved.error, state.error),
        unresolved=take(moved.unresolved, state.unresolved),
        decrement=take(moved.decrement, state.decrement),
        inexact=take(moved.inexact, state.inexact),
        old=take(jnp.bool_(old), state.old),
        before=jnp.where(goes & ~first, verdict.decrement, state.before),
        steep_steps=jnp.where(goes & ~first, verdict.steep_steps, state.steep_steps),
        slow=state.slow | (goes & ~first & (not how.exact) & (here.kkt > state.kkt / 2)),
        status=status.astype(jnp.int32),
        num_steps=state.num_steps + (~ended).astype(jnp.int32),
        trail=None if trail is None else trail._replace(g=take(here.g, trail.g)),
    )
    running = state.status == RUNNING
    return jax.tree.map(lambda new, old: jnp.where(running, new, old), new, state)


def _followed(trail: Trail, step: Array, here: Here, first: Array, passed: Array) -> Trail:
    """With what this pass has found at the end of a step."""
    lower = here.kkt < trail.least
    pairs = trail.pairs
    if pairs is not None:
        pairs = with_pair(pairs, jnp.where(first, 0, step), here.g - trail.g)
    return Trail(
        trail.g,
        jnp.where(passed, trail.least, jnp.minimum(here.kkt, trail.least)),
        jnp.where(passed, trail.idle, jnp.where(lower, 0, trail.idle + 1)),
        pairs,
    )


class _Before(NamedTuple):
    decrement: Array
    steep_steps: Array
