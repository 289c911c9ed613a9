"""Damped steps for one problem: no loss is evaluated, so no rounding of the loss can mislead it.

    H d = -g        x <- x + t d        lambda^2 = -g . d = d . H d        R = max_i reach(dz_i),  dz = A Q d

Both losses are quasi-self-concordant, |l'''| <= R l'' (`jaxlr.model.likelihood`), so along the ray phi(t) = J(x + t d) has the
slope

    phi'(t) <= -lambda^2 (1 - (exp(R t) - 1) / R)

which is <= 0 up to t = log(1 + R) / R, and a full step decreases J whenever R <= 1 (there J changes by at most
-lambda^2 (1 - (exp(R) - 1 - R) / R^2)). A step of at most max(log(1 + R), 1) logits needs no other proof; a longer one is
proved where it ends, by the gradient that the next step needs anyway (`jaxlr.solvers.descent`). So every step that is kept
decreases J, from any start, and only derivatives are compared.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlr.linalg.cholesky import once
from jaxlr.linalg.dot import aligned
from jaxlr.model.curvature import Curvature
from jaxlr.model.penalty import Penalty
from jaxlr.solvers.descent import AGED, RARE, Direction, Point, Rules, descend
from jaxlr.solvers.system import System

# Damping 1e-5 min(kkt, 1)^2 of the columns' mean squares leads out of saturation, where the Hessian has underflowed (starts at
# logits of 1e6 take 20 to 60 steps); it falls with the square of the residual, so that neither the last steps nor the
# verdict on separation feel it.
_DAMPING = 1e-5
AGAINST = 0.1  # of R: rows that a separation leaves where they are still move by what is left of their gradient


class Solution(NamedTuple):
    """What a solver hands back: params (*K, k) in working coordinates, a `jaxlr.Status`, the Newton steps taken, the products
    that its preconditioner cost beside a new one, and a `jaxlr.solvers.working_set.Known` of the params (None where there is
    none)."""

    params: Array
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
    spent: Any = None
    known: Any = None


Search = Callable[[System, Array, Point, Array, Array, Any], Direction]  # (system, x, point, jitter, running, kept)


def minimize(
    system: System,
    start: Float[Array, "*K k"] | None,
    tol: Float[Array, ""],
    max_steps: int | Array,
    direction: Search,
    polish: float | Float[Array, ""],
    budget: Array | None = None,
    kept: Any = None,
) -> Solution:
    """Minimize the objective of one problem; how it ended is decided by the rules of `jaxlr.solvers.descent`.

    Args:
        system: without l1 (inf holds a coefficient at 0) unless `direction` sees to it.
        start: None is 0.
        direction: what it gives where not running does not count.
        polish, budget: as in `jaxlr.solvers.descent.Rules`.
        kept: what `direction` is given first, and then what it gave; None where nothing is.
    """
    likelihood, penalty = system.likelihood, system.penalty
    rarity = system.rarity
    # The curvature of the intercept of a class, about a quarter of its weight, leaves a logit free to move by tol over that: a
    # small gradient shows a minimum where every column has a penalty, and that is less than 1e-2.
    suffices = system.penalized
    if system.A.shape[1] > system.n:
        suffices &= tol <= RARE * rarity
    system = system._replace(suffices=suffices)
    x = jnp.zeros((*likelihood.coordinates, system.A.shape[1]), system.w.dtype)
    if start is not None:
        x = likelihood.reduce(start)
    if start is not None or not isinstance(penalty, Penalty):  # else 0 is allowed
        x = penalty.nearest(x)
        if not system.coercive:
            system = _watchful(system, x, rarity)

    def at(x: Array) -> Point:
        params = likelihood.expand(x)
        z = system.logits(params)
        g = system.gradient(params, z)
        kkt = system.kkt(g, params)
        return Point(z, likelihood.reduce(g), kkt, jnp.isfinite(kkt) & jnp.isfinite(jnp.sum(aligned(system.w, z) * z)))

    def search(x: Array, here: Point, jitter: Array, running: Array, kept: Any) -> Direction:
        found = direction(system, x, here, jitter, running, kept)
        if system.coercive or system.sets is not None:
            return found
        found = found._replace(separates=_separates(system, found.d, found.dz))
        if system.margins is None:
            return found
        # A row of another class that is saturated all the same improves along no separation.
        wrong = system.largest(jnp.abs(likelihood.residual(here.z, system.y))) > 0.9
        if system.partial:
            wrong |= ~_separates(system, x, system.A.times(likelihood.expand(x)))
        return found._replace(hides=found.hides & ~wrong)

    rules = Rules(penalty, system.penalized, suffices, rarity, tol, max_steps, polish, budget)
    x, status, num_steps, spent = descend(x, at, search, system.reach, rules, kept)
    return Solution(likelihood.expand(x), status, num_steps, spent)


def _separates(system: System, d: Float[Array, "*B k"], dz: Float[Array, "*K m"]) -> Bool[Array, ""]:
    """Whether a direction, dz of the logits, may be one that separates: rows of a positive weight, however little, forbid one
    that worsens them, and what has a penalty or a bound ahead has no part in it."""
    against = system.largest(system.likelihood.falls(dz, system.y))
    if system.partial:
        others = d - system.penalty.endless(d)
        against = jnp.maximum(against, system.reach(system.A.times(system.likelihood.expand(others))))
    return against <= AGAINST * system.reach(dz)


def _watchful(system: System, x: Float[Array, "*B k"], rarity: Array) -> System:
    """With the direction that improves every margin at once. Where a start far out has saturated rows so much that the jitter
    hides a separation, the curvature along it shows that: margins . H^-1 margins is over eps^-0.6 (float32: 1.5e5)."""
    eps, likelihood = float(jnp.finfo(x.dtype).eps), system.likelihood
    if system.sets is None:
        wanted = likelihood.margins(system.y)
        margins = likelihood.reduce(system.A.transposed_times(aligned(system.w, wanted) * wanted))
    else:
        margins = -system.loss_slope(jnp.zeros_like(system.w))
    far = system.reach(system.A.times(likelihood.expand(x))) > -0.3 * math.log(eps)
    hidden_from = jnp.where(far & ~system.penalized, max(eps**-0.6, 1.5e5) / rarity, jnp.inf)
    return system._replace(
        margins=jnp.where(aligned(system.free, margins), margins, 0), hidden_from=jnp.asarray(hidden_from, x.dtype)
    )


def polish_of(tol: Float[Array, ""], share: float) -> Float[Array, ""]:
    """The share of tol that the last step is to keep to: coefficients are to be exact, not their residual alone small, unless
    few digits are asked for."""
    return jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, share).astype(tol.dtype)


def after_verdict(solution: Solution) -> Solution:
    """The same, with parameters that nobody has before the verdict: what factors a matrix after that waits for it."""
    return solution._replace(params=once(solution.status >= AGED, solution.params))


def damping(kkt: Float[Array, ""]) -> Float[Array, ""]:
    """What is added to the Hessian's diagonal, in mean squares of the columns."""
    return _DAMPING * jnp.minimum(kkt, 1) ** 2


def hides_separation(system: System, curvature: Curvature) -> Array:
    """Whether saturated rows hide a separation: the curvature along the margins, of what has no kink, v . H v with
    v . H^-1 v >= (v . v)^2 / v . H v."""
    if system.margins is None:
        return jnp.bool_(False)
    v = jnp.where(aligned(system.penalty.kinked, system.margins), 0, system.margins)
    dz = system.A.times(system.likelihood.expand(v))
    curved = jnp.sum(dz * curvature.times(dz)) + jnp.sum(aligned(system.penalty.l2, v) * v * v)
    return jnp.sum(v * v) ** 2 > system.hidden_from * curved
