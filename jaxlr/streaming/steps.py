"""From the sums of a pass to the parameters of the next one, and to a verdict: proved steps, seen where they end.

The rules are those of `jaxlr.solvers.descent`, a pass at a time. A pass sums at x = origin + t d and measures R, the largest
change of a logit along the step, of which in memory one knows before:

    minimum passed      R over max(log(1 + R / t), 1), a slope > 0 at x, and J fallen by less than a tenth of t lambda^2
                        (Armijo's rule: Nocedal & Wright, Numerical Optimization (2006), equation 3.4): back to the origin, to
                        a shorter step
    else                the verdict on the origin, whose whole step is known now: where it has CONVERGED by the size of that
                        step x is the answer, whose evidence this very pass has summed, else there is a new direction at x
                        (where norms of rows prove that its step will be as small, `jaxlr.streaming.proved` takes it at once)

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
from jaxtyping import Array, Bool, Float, Int

from jaxlr.results.status import Status
from jaxlr.solvers.damped import AGAINST
from jaxlr.solvers.descent import RARE, RUNNING, Direction, Rules, judge, proved_length
from jaxlr.streaming.directions import EPS, Aid, Found, How, direction
from jaxlr.streaming.points import Here, Model, farthest, point
from jaxlr.streaming.secants import with_pair
from jaxlr.streaming.states import State, Trail
from jaxlr.streaming.sums import Sums

_FALL, _GROWTH = 0.1, 4
_POLISH = 0.1  # of tol, what the square of the last step may be: here more digits cost a pass
_HIDDEN = 3 * EPS**0.75  # what a column has of its own where little more than jitter holds it up
_PATIENCE = 8  # passes without a lower residual, of the steps of many columns


class _Look(NamedTuple):
    """What a pass says of x and of the step to it: R of all of d, and the slope of J at x along the step."""

    here: Here
    step: Float[Array, "*B k"]
    reach: Float[Array, ""]
    slope: Float[Array, ""]
    finite: Bool[Array, ""]  # J and what it is judged by, at x
    seen: Bool[Array, ""]  # that the KKT residual is <= tol
    passed: Bool[Array, ""]  # the minimum, on the way
    first: Bool[Array, ""]  # no step yet
    last: Bool[Array, ""]  # no step any more
    separates: Bool[Array, ""]  # that d may, as in `jaxlr.solvers.damped`


class Before(NamedTuple):
    """Of the point before, what a verdict asks for."""

    decrement: Array
    reach: Array
    steep_steps: Array


class _Verdict(NamedTuple):
    status: Int[Array, ""]
    better: Bool[Array, ""]  # x than the origin, where one of them is handed back


def advance(state: State, sums: Sums, aid: Aid, model: Model, tol: Array, how: How) -> State:
    """One model after a pass; one that has ended stays as it is.

    Args:
        aid: what its direction is made of beside the sums.
    """
    rules = rules_of(state, model, tol, how)
    look = _look(state, sums, rules, model, how)
    trail = None if state.trail is None else _followed(state.trail, look)
    old = not how.exact or trail is not None
    origin = look.here._replace(H=None, value=state.value, kkt=state.kkt, gap=state.gap)
    before = Before(state.before, state.before_reach, state.steep_steps)
    step = as_direction(state, state.old)._replace(separates=look.separates)
    judged = judge(rules, before, origin, step, look.reach, jnp.asarray(jnp.inf), look.last, EPS)
    verdict = _of_origin(state, look, judged, trail, rules, old)

    found = direction(state.x, look.here, aid, None if trail is None else trail.pairs, model, rules.tol, how)
    lost = (verdict.status == RUNNING) & ~look.passed & ~jnp.isfinite(found.decrement)
    verdict = verdict._replace(status=jnp.where(lost, Status.STALLED, verdict.status).astype(jnp.int32))

    new = _moved(state, look, verdict, found, model)
    goes_on = ~look.passed & (verdict.status == RUNNING)
    after = goes_on & ~look.first
    new = new._replace(
        old=jnp.where(goes_on, old, state.old),
        before=jnp.where(after, judged.decrement, state.before),
        before_reach=jnp.where(after, look.reach, state.before_reach),
        steep_steps=jnp.where(after, judged.steep_steps, state.steep_steps),
        slow=state.slow | (after & (not how.exact) & (look.here.kkt > state.kkt / 2)),
        trail=None if trail is None else trail._replace(g=jnp.where(goes_on, look.here.g, trail.g)),
    )
    running = state.status == RUNNING
    return jax.tree.map(lambda new, old: jnp.where(running, new, old), new, state)


def rules_of(state: State, model: Model, tol: Array, how: How) -> Rules:
    """Of the verdicts on a model."""
    penalized = jnp.all((model.penalty.bounding | ~model.penalty.free)[: how.n])
    suffices = penalized
    if state.x.shape[-1] > how.n:  # as in `jaxlr.solvers.damped`
        if state.trail is not None:
            tol = jnp.minimum(tol, RARE * model.rarity)
        suffices &= tol <= RARE * model.rarity
    return Rules(model.penalty, penalized, suffices, model.rarity, tol, jnp.int32(how.max_steps), _POLISH)


def _look(state: State, sums: Sums, rules: Rules, model: Model, how: How) -> _Look:
    here = point(state.x, sums, model, how.likelihood, how.n)
    step, first = state.x - state.origin, state.num_steps == 0
    # Of a chord the norms of the rows are enough: the objective and its slope tell what is asked of a step.
    moves = sums.moves if how.exact else farthest(step, model)
    reach = moves / state.length
    slope = jnp.sum(here.g * step + model.penalty.changes(state.x, step))
    others = farthest(state.d - model.penalty.endless(state.d), model)  # what has a penalty, or a bound ahead
    fallen = state.value - here.value >= _FALL * state.length * state.decrement**2
    return _Look(
        here=here,
        step=step,
        reach=reach,
        slope=slope,
        finite=jnp.isfinite(here.kkt) & jnp.isfinite(here.value) & jnp.all(jnp.isfinite(here.g)),
        seen=here.kkt <= rules.tol,
        passed=~first & (moves > proved_length(reach)) & ~(slope <= 0) & ~fallen,
        first=first,
        last=state.num_steps >= how.max_steps,
        separates=(sums.falls <= AGAINST * moves) & (others <= AGAINST * reach),
    )


def as_direction(found: State | Found, old: Array | bool) -> Direction:
    """What is known of a step before it is taken, for `judge`."""
    # Every column had 1e-10 of its own at the start (`jaxlr.streaming.checks`): saturated rows hide the rest of it.
    hides = ~(found.own > _HIDDEN)
    return Direction(found.d, found.d, found.decrement, found.error, found.unresolved, hides, found.inexact, old=old)


def _of_origin(state: State, look: _Look, judged: Any, trail: Trail | None, rules: Rules, old: bool) -> _Verdict:
    """The verdict on the origin, now that its whole step is known.

    Args:
        judged: that of `jaxlr.solvers.descent`.
        old: whether the Hessian of directions is not that of where they begin.
    """
    here, held = look.here, ~look.first & ~look.passed & look.finite
    status = jnp.where(held, judged.status, RUNNING)
    if old:
        status = jnp.where(held & look.seen & rules.suffices, Status.CONVERGED, status)
    if trail is not None:
        status = jnp.where((status == RUNNING) & (trail.idle >= _PATIENCE), Status.STALLED, status)
    status = jnp.where(look.last & (status == RUNNING), Status.MAX_STEPS, status)
    better = ~look.passed & look.finite & (look.first | (judged.polished & look.seen) | ~(here.kkt > state.kkt))
    seen = jnp.where(better, here.kkt, state.kkt) <= rules.tol
    status = jnp.where((status == Status.CONVERGED) & ~seen, Status.STALLED, status)
    return _Verdict(jnp.where(look.finite, status, Status.NONFINITE), better)


def _moved(state: State, look: _Look, verdict: _Verdict, found: Found, model: Model) -> State:
    """Where the next pass sums: along the new direction, less far along the old one, or where the model has ended."""
    here, ended = look.here, verdict.status != RUNNING
    goes_on = ~look.passed & ~ended
    known = goes_on | (ended & verdict.better)
    # The root of the slopes at both ends, if they were on a line; no shorter than what needs no look, and no longer than half:
    # of slopes on a line Armijo's rule has failed for a root under 1 / 1.8, and others have it next to where they are.
    square = state.decrement**2
    root = state.length * square / (square + jnp.maximum(look.slope / state.length, 0))
    proved = jnp.minimum(proved_length(look.reach) / look.reach, state.length / 2)
    cut = jnp.maximum(jnp.where(root < state.length, jnp.minimum(root, state.length / 2), 0), proved)
    whole = jnp.minimum(_GROWTH * state.length, 1)
    length = jnp.where(goes_on, whole, jnp.where(look.passed, cut, state.length))
    origin, d = jnp.where(goes_on, state.x, state.origin), jnp.where(goes_on, found.d, state.d)
    end = jnp.where(verdict.better, state.x, state.origin)
    x = jnp.where(ended, end, model.penalty.moved(origin, length * d))
    return state._replace(
        x=x,
        origin=jnp.where(ended, x, origin),
        d=d,
        length=length,
        value=jnp.where(known, here.value, state.value),
        kkt=jnp.where(known, here.kkt, state.kkt),
        gap=jnp.where(known, here.gap, state.gap),
        error=jnp.where(goes_on, found.error, state.error),
        unresolved=jnp.where(goes_on, found.unresolved, state.unresolved),
        decrement=jnp.where(goes_on, found.decrement, state.decrement),
        own=jnp.where(goes_on, found.own, state.own),
        inexact=jnp.where(goes_on, found.inexact, state.inexact),
        status=verdict.status,
        num_steps=state.num_steps + (~ended).astype(jnp.int32),
    )


def _followed(trail: Trail, look: _Look) -> Trail:
    """With what this pass has found at the end of a step."""
    kkt, pairs = look.here.kkt, trail.pairs
    if pairs is not None:
        pairs = with_pair(pairs, jnp.where(look.first, 0, look.step), look.here.g - trail.g)
    idle = jnp.where(kkt < trail.least, 0, trail.idle + 1)
    least = jnp.minimum(kkt, trail.least)
    return Trail(trail.g, jnp.where(look.passed, trail.least, least), jnp.where(look.passed, trail.idle, idle), pairs)
