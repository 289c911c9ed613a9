"""Firth's penalized likelihood: the bias of order 1/m removed, and a finite estimate for separated data.

    maximize  log-likelihood + log det(I) / 2          I = A' diag(s c) A, the Fisher information

on the scale of a mean, with w = s / sum(s), M = A' diag(w c) A = I / sum(s), and leverages h,

    minimize  F(x) = sum_i w_i l(z_i, y_i) - log det(I) / (2 sum(s))
    gradient  A' (w r + h / sum(s) * (p - 1/2))        h_i = w_i c_i A_i M^-1 A_i'

(Firth 1993, Biometrika 80, section 3.1; Heinze & Schemper 2002, Statistics in Medicine 21, eqs. 1 and 2.) The steps are
those of Fisher scoring, -M^-1 gradient, shortened until F falls. What M leaves out of the Hessian is of the order of h, small
where rows are many; the last few changes of the gradient make up for it (the limited-memory BFGS update of M: Nocedal &
Wright, Numerical Optimization, 2006, algorithm 7.4). A weight k means the row k times, here too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units, inverse
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dot import dot
from jaxlr.results.status import Status
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.descent import RUNNING
from jaxlr.solvers.system import System

_LONGEST = 5.0  # change of a logit in one step
_SHORTEST = 1e-6  # share of a step: what does not fall along less falls no more
_POLISH = 1e-3  # share of tol
_PAIRS = 4  # of changes that are remembered


class Point(NamedTuple):
    """The penalized likelihood at some parameters.

    Attributes:
        value: F, the determinant being that of the working columns.
        g: its gradient (k,).
        L: factor of M in the units s (k, k); not finite where the columns depend on each other.
        s: units in which the diagonal of M is 1 (k,).
    """

    value: Array
    g: Array
    L: Array
    s: Array

    def solve(self, *sides: Float[Array, " k"]) -> Float[Array, "r k"]:
        """M^-1 b of each side b, in one call."""
        half = solve_lower(self.L, jnp.stack([self.s * b for b in sides], axis=1))
        return (self.s[:, None] * solve_lower(self.L, half, transposed=True)).T


class _State(NamedTuple):
    x: Array  # (k,) the last point whose value fell
    value: Array
    g: Array  # (k,)
    kkt: Array
    changes: Array  # (pairs, 2, k) of the parameters and of the gradient, the latest first
    d: Array  # (k,) the step from there
    share: Array  # of it, to be tried
    status: Array
    num_steps: Array


def point(x: Float[Array, " k"], z: Float[Array, " m"], system: System) -> Point:
    """Value, gradient and information at the parameters x, of which the logits z are known."""
    w, y, total = system.w, system.y, system.total
    # From one exponential, for many rows wait for these: right to eps, and so are the sums over rows.
    e = jnp.exp(-jnp.abs(z))
    half_off = jnp.sign(z) * (1 - e) / (2 * (1 + e))  # p - 1/2
    losses = jnp.log1p(e) + jnp.maximum(z, 0) - y * z
    wc = w * e / (1 + e) ** 2
    k = len(x)
    information = system.A.gram(wc)
    M, s = in_own_units(information, jnp.zeros_like(x), jnp.ones(k, bool), jnp.zeros_like(total))
    varies = jnp.all(jnp.diagonal(information) > jnp.sqrt(jnp.finfo(x.dtype).tiny))  # a column of 0 has no information
    L = jnp.where(varies, cholesky(M), jnp.nan)
    half = inverse(L) * s[None, :]
    h = wc * system.A.quadratic_forms(dot(half.T, half))
    g = system.A.transposed_times(w * (half_off + (0.5 - y)) + h / total * half_off)
    log_det = 2 * (jnp.sum(jnp.log(jnp.diagonal(L))) - jnp.sum(jnp.log(s))) + k * jnp.log(total)
    return Point(jnp.sum(w * losses) - log_det / (2 * total), g, L, s)


def solve(system: System, start: Float[Array, " k"] | None, tol: Float[Array, ""], max_steps: int) -> Solution:
    """Maximize the penalized likelihood of one problem without further penalties, from `start` or 0.

    STALLED where no estimate exists, for the columns depend on each other. `tol` is on the KKT residual, that of F; `max_steps`
    limits the points that are evaluated.
    """

    def at(x: Array) -> tuple[Point, Array]:
        here = point(x, system.logits(x), system)
        return here, system.smooth_kkt(here.g)

    def direction(here: Point, changes: Array) -> Array:
        d = -_two_loops(here, changes)
        return d * jnp.minimum(1, _LONGEST / system.largest(jnp.abs(system.A.times(d))))

    def step(state: _State) -> _State:
        x = state.x + state.share * state.d
        here, kkt = at(x)
        latest = jnp.stack([x - state.x, here.g - state.g])[None]
        changes = jnp.concatenate([latest, state.changes[:-1]])
        d = direction(here, changes)
        slack = 16 * jnp.finfo(d.dtype).eps * (1 + jnp.abs(here.value))
        falls = (here.value <= state.value + slack) & jnp.all(jnp.isfinite(d))
        exhausted = falls & (kkt >= 0.9 * state.kkt)
        num_steps = state.num_steps + 1
        done = falls & ((kkt <= _POLISH * tol) | (exhausted & (kkt <= tol)))
        stuck = ~falls & (state.share < _SHORTEST)
        kkt = jnp.where(falls, kkt, state.kkt)
        late = jnp.where(kkt <= tol, Status.CONVERGED, jnp.where(stuck, Status.STALLED, Status.MAX_STEPS))
        status = jnp.where(stuck | (num_steps >= max_steps), late, RUNNING)
        return _State(
            x=jnp.where(falls, x, state.x),
            value=jnp.where(falls, here.value, state.value),
            g=jnp.where(falls, here.g, state.g),
            kkt=kkt,
            changes=jnp.where(falls, changes, state.changes),
            d=jnp.where(falls, d, state.d),
            share=jnp.where(falls, 1, state.share / 4),
            status=jnp.where(done, Status.CONVERGED, status).astype(jnp.int32),
            num_steps=num_steps,
        )

    x = jnp.zeros(system.A.shape[1], tol.dtype) if start is None else start
    here, kkt = at(x)
    none = jnp.zeros((_PAIRS, 2, len(x)), x.dtype)
    d = direction(here, none)
    status = jnp.where(jnp.all(jnp.isfinite(d)), RUNNING, jnp.where(jnp.isfinite(kkt), Status.STALLED, Status.NONFINITE))
    finite_data = jnp.all(jnp.isfinite(system.A.transposed_times(system.w * system.y)))
    status = jnp.where(finite_data & (status == Status.NONFINITE), Status.STALLED, status)
    begin = _State(x, here.value, here.g, kkt, none, d, jnp.ones_like(tol), status.astype(jnp.int32), jnp.int32(1))
    end = jax.lax.while_loop(lambda state: state.status == RUNNING, step, begin)
    return Solution(end.x, end.status, end.num_steps)


def _two_loops(here: Point, changes: Float[Array, "p 2 k"]) -> Float[Array, " k"]:
    """The gradient, divided by M as the changes correct it; those along which F is not convex do not count."""
    q, taken = here.g, []
    for x, g in changes:
        curved = jnp.sum(x * g)
        rate = jnp.where(curved > 0, jnp.sum(x * q) / jnp.where(curved > 0, curved, 1), 0)
        taken.append((x, g, rate, curved))
        q = q - rate * g
    (d,) = here.solve(q)
    for x, g, rate, curved in reversed(taken):
        back = jnp.where(curved > 0, jnp.sum(g * d) / jnp.where(curved > 0, curved, 1), 0)
        d = d + (rate - back) * x
    return d


def evidence(
    params: Float[Array, " k"], system: System, unit: Float[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """F on the scale of X, its KKT residual, and inf for a bound, of parameters on the working columns."""
    here = point(params, system.logits(params), system)
    kkt = system.smooth_kkt(here.g)
    return here.value - jnp.sum(jnp.log(unit)) / system.total, kkt, jnp.full_like(kkt, jnp.inf)
