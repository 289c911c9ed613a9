"""Newton's method with the Hessian factored: for few parameters, however many models.

H = Q' A' W A Q + diag(l2)        H d = -g        lambda^2 = -g . d

with W the curvature of the losses, and for several classes Q their contrasts (`jaxlr.model.likelihood`); with strata A' W A is
the covariance of `jaxlr.model.conditional`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.model.likelihood import alike
from jaxlr.solvers.damped import Solution, damping, minimize
from jaxlr.solvers.descent import Direction, Point
from jaxlr.solvers.system import System

POLISH = 1e-5  # steps square the error: a few more digits cost next to nothing


def solve(system: System, start: Float[Array, "*K k"] | None, tol: Float[Array, ""], max_steps: int) -> Solution:
    """Minimize the objective of one problem with l1 = 0 (inf holds a coefficient at 0), from `start` or 0."""
    system = system._replace(likelihood=system.likelihood.in_contrasts())
    return minimize(system, start, tol, max_steps, _direction, POLISH)


def _direction(system: System, x: Array, here: Point, jitter: Array, running: Array, kept: None) -> Direction:
    del running, kept
    likelihood, g = system.likelihood, here.g.ravel()
    more, free = alike(system.penalty.l2 + damping(here.kkt) * system.squares, x), alike(system.free, x)
    # The jitter makes collinear columns definite and stays far below eps^0.6, where separation is judged.
    H, s = in_own_units(system.information(here.z), more, free, jitter)
    L = cholesky(H)
    # In one call: two that do not wait for each other could wait for the same threads (see jaxlr.linalg.cholesky).
    sides = [-s * g] if system.margins is None else [-s * g, s * system.margins.ravel()]
    halves = solve_lower(L, jnp.stack(sides, axis=1))
    half, scaled = halves[:, 0], solve_lower(L, halves[:, :1], transposed=True)[:, 0]
    hides = jnp.bool_(False) if system.margins is None else ~(jnp.sum(halves[:, 1] ** 2) < system.hidden_from)
    squares = jnp.sum(jnp.stack([half, scaled]) ** 2, axis=1)
    d = (s * scaled).reshape(x.shape)
    return Direction(
        d=d,
        dz=system.A.times(likelihood.expand(d)),
        decrement=jnp.sqrt(squares[0]),
        error=jnp.zeros_like(here.kkt),
        unresolved=jnp.sqrt(jitter * squares[1]),
        hides=hides,
        inexact=jnp.bool_(False),
    )
