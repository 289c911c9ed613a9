"""The loop of every damped solver: a step is proved where it ends, and each verdict has its rule.

    x <- x + t d        lambda^2 = -g . d        R = max_i reach(dz_i),  dz the change of the logits along d

A step of at most max(log(1 + R), 1) logits decreases J without a look (`jaxlr.solvers.damped`); a longer one is looked at where
it ends: a slope <= 0 there shows that the minimum along the ray is not passed (J is convex), else the loop goes back to where
the step began and cuts its length. The rules of the verdict, the first that holds:

    NONFINITE     a number is not finite
    CONVERGED     kkt <= tol, seen or proved for the last step, and, unless every column has a penalty and no class is rare, a
                  Newton step that moves no logit of a row of positive weight by more than 1e-2 and resolves what the gradient
                  asks for
    SEPARATED     kkt <= min(tol, eps^0.6) rarity and a step that stays over 0.1 logits while lambda falls (under separation,
                  complete or quasi, it stays near 1 and the gradient vanishes, lambda to exp(-1/2) with each) and worsens the
                  margin of no row that has weight, or whose saturated rows hide a separation
    STALLED       the decrement lambda stopped falling before: rounding has the last word
    MAX_STEPS     the limit came first

A solver whose preconditioner has aged leaves the loop where its last step is proved, with the status AGED, to be begun anew.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlr.linalg.cholesky import least_curvature
from jaxlr.model.groups import AnyPenalty
from jaxlr.results.status import Status

RUNNING, AGED = -1, -2
RARE = 2.5e-3  # of the rarity, what tol is at most where a residual alone shows a minimum beside an intercept
_PATIENCE = 5  # steps that look like separation before it is the verdict
_FALLS = 0.8  # of lambda, what it is at most after such a step; jitter makes steps short that fall by less
_VANISHES = 0.99  # of lambda / R, likewise


class Point(NamedTuple):
    """What is known at some parameters.

    Attributes:
        z: logits of the rows.
        g: gradient of the smooth part of J, of the shape of x, 0 where a parameter may not move.
        kkt: KKT residual.
        finite: whether all of it is.
    """

    z: Array
    g: Array
    kkt: Array
    finite: Array


class Direction(NamedTuple):
    """A descent direction, Newton's or nearly.

    Attributes:
        d: of the shape of x; not finite where the Hessian could not be factored.
        dz: its change of the logits.
        decrement: lambda.
        error: bound on the KKT residual that H d + g leaves.
        unresolved: the share of lambda that the jitter adds.
        hides: whether saturated rows hide a separation.
        inexact: whether more than 1e-2 may be left to an intercept, of a class whose weight is next to nothing.
        crude: whether lambda may be far below that of Newton's direction, which then still is large after the step.
        separates: whether it may be one that separates, which worsens no margin of a row.
        spent: what its preconditioner cost beside a new one; None where there is none.
        old: whether lambda tells nothing about rounding, because its Hessian was made elsewhere.
        kept: for the next search; None where nothing is.
    """

    d: Array
    dz: Array
    decrement: Array
    error: Array
    unresolved: Array
    hides: Array
    inexact: Array
    crude: Array | bool = False
    separates: Array | bool = True
    old: Array | bool = False
    spent: Any = None
    kept: Any = None


class Rules(NamedTuple):
    """What verdicts depend on beside the step.

    Attributes:
        penalty: of the parameters; its kinks and what is held count.
        penalized: whether every column that may move has a penalty.
        suffices: whether a KKT residual of tol shows a minimum by itself.
        rarity: of the rarest class, in (0, 1]: where one is rare, so are gradient and curvature at the minimum.
        tol: on the KKT residual.
        max_steps: limit of steps.
        polish: <= 1, the share of tol that is asked of the square of the last step, and of what its direction leaves.
        budget: once directions have spent that, the preconditioner has aged; None where none does.
    """

    penalty: AnyPenalty
    penalized: Array
    suffices: Array
    rarity: Array
    tol: Array
    max_steps: int | Array
    polish: float | Array
    budget: Any = None


class _State(NamedTuple):
    origin: Array  # parameters, the last ones proved
    step: Array  # from there, to be proved
    move: Array  # R of that step
    reach: Array  # R of its direction
    fall: Array  # how fast J begins to decrease along that step; 0 once it was cut
    decrement: Array  # lambda at the previous x, inf while it tells nothing
    jitter: Array  # grows where a Hessian cannot be factored
    steep_steps: Array  # consecutive steps that look like separation
    status: Array
    num_steps: Array
    spent: Any = None
    kept: Any = None


class _Verdict(NamedTuple):
    status: Array
    polished: Array  # whether the step only polishes
    decrement: Array  # inf where it tells nothing
    steep_steps: Array


def descend(
    x: Array,
    at: Callable[[Array], Point],
    search: Callable[[Array, Point, Array, Array, Any], Direction],
    reach_of: Callable[[Array], Array],
    rules: Rules,
    kept: Any = None,
) -> tuple[Array, Int[Array, ""], Int[Array, ""], Any]:
    """Minimize a convex loss that is quasi-self-concordant in R: parameters, status, number of steps, and what was spent.

    Args:
        at: from parameters to what is known there.
        search: (x, Point, jitter, running, kept) to a Direction; what it is where not running does not count.
        reach_of: from the change of the logits to R.
        kept: what the first search is given.
    """
    eps = float(jnp.finfo(x.dtype).eps)

    def step(state: _State) -> _State:
        x = rules.penalty.moved(state.origin, state.step)
        here = at(x)
        slope = jnp.sum(here.g * state.step + rules.penalty.changes(x, state.step))
        passed = (state.move > proved_length(state.reach)) & ~(slope <= 0)
        leaves = jnp.bool_(False) if rules.budget is None else (state.spent >= rules.budget) & ~passed
        found = search(x, here, state.jitter, (state.status == RUNNING) & ~leaves, state.kept)
        factored = jnp.isfinite(found.decrement)
        reach = jnp.where(factored, reach_of(found.dz), jnp.inf)
        longest = jnp.where(state.move < state.reach, 8 * state.move, jnp.inf)  # after a cut
        last = state.num_steps + 1 >= rules.max_steps
        verdict = judge(rules, state, here, found, reach, longest, last, eps)
        status = jnp.where(leaves, AGED, verdict.status)
        status = jnp.where(passed, RUNNING, jnp.where(here.finite, status, Status.NONFINITE))

        # Where the minimum was passed: the geometric mean of that length and the proved one, soon the proved one itself; at the
        # first look only what is twice as far back as the slope, fallen in proportion, would be 0, if that is longer.
        # The step of a verdict is taken where it only polishes.
        d = jnp.where(passed, state.step, jnp.where(factored, found.d, 0))
        size = jnp.where(passed, state.move, reach)
        reach = jnp.where(passed, state.reach, reach)
        proved = jnp.minimum(size, proved_length(reach))
        cut = jnp.where(size > 16 * proved, jnp.sqrt(size * proved), proved)
        short = size * (state.fall / (state.fall + 2 * slope))
        cut = jnp.where((state.fall > 0) & (short > cut), short, cut)
        move = jnp.where(last, proved, jnp.where(passed, cut, jnp.minimum(size, longest)))
        taken = passed | (factored & here.finite & ~leaves & ((status == RUNNING) | verdict.polished))
        origin = jnp.where(passed | ~here.finite, state.origin, x)
        ahead = jnp.where(taken & (size > 0), d * (move / size), 0)
        return _State(
            origin=jnp.where(here.finite | passed | (state.num_steps > 0), origin, jnp.nan),
            step=ahead,
            move=jnp.where(taken, move, 0),
            reach=reach,
            fall=jnp.where(passed, 0, jnp.sum(rules.penalty.changes(x, -ahead) - here.g * ahead)),
            decrement=jnp.where(passed, state.decrement, verdict.decrement),
            jitter=jnp.where(factored, state.jitter, 10 * state.jitter),
            steep_steps=jnp.where(passed, state.steep_steps, verdict.steep_steps),
            status=jnp.where(last & (status == RUNNING), Status.MAX_STEPS, status).astype(jnp.int32),
            num_steps=state.num_steps + jnp.where(leaves, 0, 1),
            spent=None if rules.budget is None else state.spent + jnp.where(passed | leaves, 0, found.spent),
            kept=found.kept,
        )

    zero, none = jnp.zeros_like(rules.tol), jnp.int32(0)
    start = _State(x, 0 * x, zero, zero, zero, zero + jnp.inf, zero + eps**0.75, none, jnp.int32(RUNNING), none, kept=kept)
    start = start if rules.budget is None else start._replace(spent=none)
    end = jax.lax.while_loop(lambda state: state.status == RUNNING, step, start)
    return rules.penalty.moved(end.origin, end.step), end.status, end.num_steps, end.spent


def judge(
    rules: Rules, state: Any, here: Any, found: Direction, reach: Array, longest: Array, last: Array, eps: float
) -> _Verdict:
    """What the step from here says, where the minimum was not passed on the way.

    Args:
        state: with decrement, R of the direction and steep steps of the point before.
        here: a point, of which the KKT residual counts.
        found: the step's direction.
        reach: R of it.
        longest: R that the step may have.
        last: whether no step comes after.
        eps: of the dtype.
    """
    tol, kkt, penalized, hidden = rules.tol, here.kkt, rules.penalized, found.hides
    factored = jnp.isfinite(found.decrement)
    old = jnp.bool_(found.old)
    exhausted = factored & ~hidden & ~old & (found.decrement >= 0.9 * state.decrement)
    # The residuals after a full step differ from their linearization by at most max|l'''| / 2 dz^2 <= dz^2 / 20, and so
    # does the KKT residual: a step so small needs no look at where it ends.
    polished = (reach**2 <= rules.polish * jnp.minimum(tol, 1)) & (found.error <= rules.polish * tol / 2) & (reach <= longest)
    # What the jitter adds to the decrement is that of directions which H does not resolve: the rounding of g, a few eps, on
    # exactly collinear columns (eps / sqrt(jitter)); more is a gradient along nearly collinear ones, and no minimum.
    resolved = found.unresolved <= 8 * eps**0.625
    converged = polished | ((kkt <= tol) & (exhausted | last))
    # A curvature that is next to nothing in this dtype made the step shorter than it should be. (Squares would be 0.)
    inexact = found.inexact | ((1e3 * least_curvature(tol.dtype)) ** 0.5 * reach > found.decrement)
    converged &= rules.suffices | ((reach <= 1e-2) & ~inexact)
    converged &= penalized | (~hidden & resolved)
    flat = kkt <= jnp.minimum(tol, eps**0.6) * rules.rarity
    informative = factored & ~old & ~jnp.bool_(found.crude) & ((reach <= 1e-2) | (flat & ((reach <= 1) | ~penalized)))
    falls = found.decrement <= _FALLS * state.decrement
    # Steps that jitter alone makes short grow shorter as lambda falls, the curvature along them being what it was.
    falls &= found.decrement * state.reach <= _VANISHES * state.decrement * reach
    steep = flat & factored & ~penalized & (((reach > 0.1) & falls & found.separates) | hidden)
    steep_steps = jnp.where(steep, state.steep_steps + 1, 0)
    status = jnp.where(exhausted, Status.STALLED, RUNNING)
    status = jnp.where(steep_steps > _PATIENCE, Status.SEPARATED, status)
    status = jnp.where(converged, Status.CONVERGED, status)
    return _Verdict(status, polished, jnp.where(informative, found.decrement, jnp.inf), steep_steps)


def proved_length(reach: Float[Array, ""]) -> Float[Array, ""]:
    """The largest R of a step that decreases J without a look: max(log(1 + R), 1)."""
    return jnp.maximum(jnp.log1p(reach), 1)
