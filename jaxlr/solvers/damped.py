"""Damped steps for one smooth problem: no loss is evaluated, so no rounding of the loss can mislead it.

    H d = -g        x <- x + t d        lambda^2 = -g . d = d . H d        R = max_i |dz_i|,  dz = A d

The logistic loss is quasi-self-concordant, |l'''| <= l'' (Bach 2010, Electronic Journal of Statistics 4, section 2), so
along the ray phi(t) = J(x + t d) has the slope

    phi'(t) <= -lambda^2 (1 - (exp(R t) - 1) / R)

which is <= 0 up to t = log(1 + R) / R, and a full step decreases J whenever R <= 1 (there J changes by at most
-lambda^2 (1 - (exp(R) - 1 - R) / R^2)). A step of at most max(log(1 + R), 1) logits needs no other proof. A longer one is
proved where it ends, by the gradient that the next step needs anyway: a slope <= 0 there shows that the minimum along the
ray is not passed (J is convex); else the solver goes back to where the step began and cuts its length. So every step that
is kept decreases J, from any start, and only derivatives are compared.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlr.linalg.operators import times, times_transposed
from jaxlr.model.certificates import kkt_of_gradient
from jaxlr.model.logistic import residual
from jaxlr.model.objective import Problem, penalties, problem_logits, row_weights
from jaxlr.model.params import Params
from jaxlr.results.status import Status
from jaxlr.solvers.working import Shared

_RUNNING = -1
# Damping 1e-5 min(kkt, 1)^2 of the columns' mean squares leads out of saturation, where the Hessian has underflowed (starts at
# logits of 1e6 take 20 to 60 steps); it falls with the square of the residual, so that neither the last steps nor the
# verdict on separation feel it.
DAMPING = 1e-5
_PATIENCE = 5  # steps that look like separation before it is the verdict; under separation each divides the gradient by e


class Solution(NamedTuple):
    """What a solver hands back.

    Attributes:
        params: coef (n,), intercept (), in working coordinates.
        status: int32, see `jaxlr.Status`.
        num_steps: int32, Newton steps taken.
    """

    params: Params
    status: Int[Array, ""]
    num_steps: Int[Array, ""]


class System(NamedTuple):
    """What stays the same from step to step; k counts the columns and the intercept.

    Attributes:
        w: weights of the rows (m,), summing to 1.
        l1: penalty vector (k,), 0 for the intercept, inf where a coefficient is held at 0.
        l2: penalty vector (k,), 0 for the intercept.
        squares: mean squares of the columns (k,).
        free: whether a coefficient may move (k,); an infinite l1 holds it at 0.
        penalized: whether every column that may move has a penalty.
        margins: the direction that improves every margin at once (k,); None where the start is 0.
        hidden_from: a separation is hidden where margins . H^-1 margins is not under this.
    """

    w: Array
    l1: Array
    l2: Array
    squares: Array
    free: Array
    penalized: Array
    margins: Array | None
    hidden_from: Array


class Point(NamedTuple):
    """What is known at some parameters.

    Attributes:
        z: logits of the rows.
        g: gradient of the smooth part of J, 0 where a coefficient may not move.
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
        d: (k,); not finite where the Hessian could not be factored.
        dz: its change of the logits (m,).
        decrement: lambda.
        error: bound on the KKT residual that H d + g leaves.
        unresolved: the share of lambda that the jitter adds.
        hides: whether saturated rows hide a separation.
    """

    d: Array
    dz: Array
    decrement: Array
    error: Array
    unresolved: Array
    hides: Array


class _State(NamedTuple):
    origin: Array  # (k,) parameters, intercept last: the last ones proved
    step: Array  # (k,) from there, to be proved
    move: Array  # the largest change of a logit in that step
    reach: Array  # R of its direction
    decrement: Array  # lambda at the previous x, inf while it tells nothing
    jitter: Array  # grows where a Hessian cannot be factored
    steep_steps: Array  # consecutive steps that look like separation
    status: Array
    num_steps: Array


def minimize(
    problem: Problem,
    init: Params | None,
    tol: Float[Array, ""],
    max_steps: int,
    shared: Shared,
    direction: Callable[..., Direction],
    polish: float | Float[Array, ""],
    coercive: bool,
) -> Solution:
    """Minimize the objective of one problem.

    CONVERGED needs kkt <= tol, seen or proved for the last step, and, unless every column has an l2 penalty, a Newton step
    that moves no logit of a row of positive weight by more than 1e-2. Under separation that step stays near 1 while the
    gradient vanishes: where it stays over 0.1 for several steps with kkt <= min(tol, eps^0.6), the status is SEPARATED.
    STALLED means that the Newton decrement stopped falling before: rounding has the last word.

    Args:
        problem: one problem in working coordinates; l1 = 0 (inf holds a coefficient at 0) unless `direction` sees to it.
        init: start, coef (n,), intercept (), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        direction: (system, x, g, z, kkt, jitter, running) to a Direction; what it is where not running does not count.
        polish: <= 1, the share of tol that is asked of the square of the last step, and of what its direction leaves.
        coercive: static; whether every column is known to have a penalty, so that nothing can be separated.

    Returns:
        Solution.
    """
    A, n, eps = shared.A, shared.unit.shape[0], jnp.finfo(shared.A.dtype).eps
    w, y, (l1, l2) = row_weights(problem), jnp.asarray(problem.y), penalties(problem)
    l1, l2 = (jnp.pad(strength, (0, A.shape[1] - n)) for strength in (l1, l2))  # the intercept is free of both
    location, scale = shared.units
    squares = jnp.append(location**2 + scale**2, 1)[: A.shape[1]]  # mean squares of the columns
    free = ~jnp.isinf(l1)
    penalized = jnp.bool_(True) if coercive else jnp.min((l1 + l2)[:n], initial=jnp.inf, where=free[:n]) > 0
    # Where one class is rare, so are gradient and curvature at the minimum: both are judged on that scale.
    rarity = 4 * jnp.sum(w * y) * jnp.sum(w * (1 - y))
    x, margins, hidden_from = jnp.zeros_like(l2), None, jnp.inf
    if init is not None:
        x = jnp.where(free, jnp.append(init.coef, init.intercept)[: A.shape[1]], 0)
        # The direction that improves every margin at once. Where a start far out has saturated rows so much that the jitter
        # hides a separation, the curvature along it shows that: margins . H^-1 margins is over eps^-0.6 (float32: 1.5e5).
        if not coercive:
            margins = jnp.where(free, times_transposed(A, w * (2 * y - 1)), 0)
            saturated = jnp.max(jnp.where(w > 0, jnp.abs(times(A, x)), 0)) > -0.3 * np.log(eps)
            hidden_from = jnp.where(saturated & ~penalized, max(eps**-0.6, 1.5e5) / rarity, jnp.inf)
    system = System(w, l1, l2, squares, free, penalized, margins, jnp.asarray(hidden_from, A.dtype))

    def at(x: Array) -> Point:
        z = problem_logits(Params(x[:n], x[n:].sum()), problem)
        g = jnp.where(free, times_transposed(A, w * residual(z, y)) + l2 * x, 0)
        kkt = kkt_of_gradient(Params(g[:n], g[n:].sum()), x[:n], l1[:n], shared.units)
        return Point(z, g, kkt, jnp.isfinite(kkt) & jnp.isfinite(jnp.sum(w * z)))

    def search(x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        return direction(system, x, here.g, here.z, here.kkt, jitter, running)

    def reach_of(dz: Array) -> Array:
        return jnp.max(jnp.where(w > 0, jnp.abs(dz), 0))

    x, status, num_steps = descend(x, at, search, reach_of, system, rarity, tol, max_steps, polish)
    return Solution(Params(x[:n], x[n:].sum()), status, num_steps)


def descend(
    x: Array,
    at: Callable[[Array], Point],
    search: Callable[[Array, Point, Array, Array], Direction],
    reach_of: Callable[[Array], Array],
    system: System,
    rarity: Array,
    tol: Float[Array, ""],
    max_steps: int,
    polish: float | Float[Array, ""],
) -> tuple[Array, Int[Array, ""], Int[Array, ""]]:
    """The loop of `minimize`, for any loss that is quasi-self-concordant in what `reach_of` measures.

    Args:
        x: start, of the shape of the gradient.
        at: from parameters to what is known there.
        search: (x, Point, jitter, running) to a Direction; what it is where not running does not count.
        reach_of: from the change of the logits to R.
        system: of which `l1`, `free` and `penalized` are read, of a shape that broadcasts against x.
        rarity: of the rarest class, in (0, 1]: the scale of gradient and curvature at the minimum.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        polish: as in `minimize`.

    Returns:
        Parameters, status and number of steps.
    """
    l1, free, penalized, eps = system.l1, system.free, system.penalized, jnp.finfo(x.dtype).eps

    def step(state: _State) -> _State:
        x = state.origin + state.step
        here = at(x)
        g, kkt, finite = here.g, here.kkt, here.finite
        bend = jnp.where(x != 0, jnp.sign(x) * state.step, -jnp.abs(state.step))  # of |x|, on the near side of a 0
        slope = jnp.sum(g * state.step) + jnp.sum(jnp.where(free, l1, 0) * bend)
        passed = (state.move > _proved(state.reach)) & ~(slope <= 0)
        found = search(x, here, state.jitter, state.status == _RUNNING)
        decrement, hidden = found.decrement, found.hides
        factored = jnp.isfinite(decrement)
        d = jnp.where(factored, found.d, 0)
        reach = jnp.where(factored, reach_of(found.dz), jnp.inf)

        num_steps = state.num_steps + 1
        last = num_steps >= max_steps
        exhausted = factored & ~hidden & (decrement >= 0.9 * state.decrement)
        longest = jnp.where(state.move < state.reach, 8 * state.move, jnp.inf)  # after a cut
        # The residuals after a full step differ from their linearization by at most max|l'''| / 2 dz^2 <= dz^2 / 20, and so
        # does the KKT residual: a step so small needs no look at where it ends.
        polished = (reach**2 <= polish * jnp.minimum(tol, 1)) & (found.error <= polish * tol / 2) & (reach <= longest)
        # What the jitter adds to the decrement is that of directions which H does not resolve: the rounding of g, a few eps, on
        # exactly collinear columns (eps / sqrt(jitter)); more is a gradient along nearly collinear ones, and no minimum.
        resolved = found.unresolved <= 8 * eps**0.625
        converged = polished | ((kkt <= tol) & (exhausted | last))
        converged &= penalized | ((reach <= 1e-2) & ~hidden & resolved)
        flat = kkt <= jnp.minimum(tol, eps**0.6) * rarity
        telling = factored & ((reach <= 1e-2) | (flat & ((reach <= 1) | ~penalized)))
        steep = flat & factored & ~penalized & ((reach > 0.1) | hidden)
        steep_steps = jnp.where(steep, state.steep_steps + 1, 0)
        verdict = jnp.where(exhausted, Status.STALLED, _RUNNING)
        verdict = jnp.where(steep_steps > _PATIENCE, Status.SEPARATED, verdict)
        verdict = jnp.where(converged, Status.CONVERGED, verdict)
        verdict = jnp.where(finite, verdict, Status.NONFINITE)
        verdict = jnp.where(passed, _RUNNING, verdict)

        # Where the minimum was passed: the geometric mean of that length and the proved one, soon the proved one itself.
        # The step of a verdict is taken where it only polishes.
        d, size = jnp.where(passed, state.step, d), jnp.where(passed, state.move, reach)
        reach = jnp.where(passed, state.reach, reach)
        proved = jnp.minimum(size, _proved(reach))
        cut = jnp.where(size > 16 * proved, jnp.sqrt(size * proved), proved)
        move = jnp.where(last, proved, jnp.where(passed, cut, jnp.minimum(size, longest)))
        taken = passed | (factored & finite & ((verdict == _RUNNING) | polished))
        origin = jnp.where(passed | ~finite, state.origin, x)
        return _State(
            origin=jnp.where(finite | passed | (state.num_steps > 0), origin, jnp.nan),
            step=jnp.where(taken & (size > 0), d * (move / size), 0),
            move=jnp.where(taken, move, 0),
            reach=reach,
            decrement=jnp.where(passed, state.decrement, jnp.where(telling, decrement, jnp.inf)),
            jitter=jnp.where(factored, state.jitter, 10 * state.jitter),
            steep_steps=jnp.where(passed, state.steep_steps, steep_steps),
            status=jnp.where(last & (verdict == _RUNNING), Status.MAX_STEPS, verdict).astype(jnp.int32),
            num_steps=num_steps,
        )

    zero, none = jnp.zeros_like(tol), jnp.int32(0)
    start = _State(x, 0 * x, zero, zero, zero + jnp.inf, zero + eps**0.75, none, jnp.int32(_RUNNING), none)
    end = jax.lax.while_loop(lambda state: state.status == _RUNNING, step, start)
    return end.origin + end.step, end.status, end.num_steps


def _proved(reach: Array) -> Array:
    """The largest change of a logit that decreases J without a look: max(log(1 + R), 1)."""
    return jnp.maximum(jnp.log1p(reach), 1)
