"""Newton's method with the Hessian factored: for few columns, however many models.

H = A' diag(w c) A + diag(l2)        H d = -g        lambda^2 = -g . d
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.operators import times
from jaxlr.model.logistic import curvature
from jaxlr.model.objective import Problem
from jaxlr.model.params import Params
from jaxlr.solvers.damped import DAMPING, Direction, Solution, System, minimize
from jaxlr.solvers.working import Shared, hessian_of

_POLISH = 1e-5  # steps square the error: a few more digits cost next to nothing


def solve(
    problem: Problem, init: Params | None, tol: Float[Array, ""], max_steps: int, shared: Shared, coercive: bool = False
) -> Solution:
    """Minimize the smooth objective of one problem with `jaxlr.solvers.damped.minimize`.

    Args:
        problem: one problem in working coordinates, l1 = 0 (inf holds a coefficient at 0).
        init: start, coef (n,), intercept (), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        coercive: static; whether every column is known to have an l2 penalty.

    Returns:
        Solution.
    """
    A = shared.A

    def direction(system: System, x: Array, g: Array, z: Array, kkt: Array, jitter: Array, running: Array) -> Direction:
        del x, running
        damping = DAMPING * jnp.minimum(kkt, 1) ** 2 * system.squares
        # The jitter makes collinear columns definite and stays far below eps^0.6, where separation is judged.
        H = hessian_of(shared, system.w * curvature(z))
        H, s = in_own_units(H, system.l2 + damping, system.free, jitter)
        L = cholesky(H)
        # In one call: two that do not wait for each other could wait for the same threads (see jaxlr.linalg.cholesky).
        sides = [-s * g] if system.margins is None else [-s * g, s * system.margins]
        halves = solve_lower(L, jnp.stack(sides, axis=1))
        half, scaled = halves[:, 0], solve_lower(L, halves[:, :1], transposed=True)[:, 0]
        hides = jnp.bool_(False) if system.margins is None else ~(jnp.sum(halves[:, 1] ** 2) < system.hidden_from)
        d = s * scaled
        return Direction(
            d=d,
            dz=times(A, d),
            decrement=jnp.sqrt(jnp.sum(half**2)),
            error=jnp.zeros_like(kkt),
            unresolved=jnp.sqrt(jitter * jnp.sum(scaled**2)),
            hides=hides,
        )

    return minimize(problem, init, tol, max_steps, shared, direction, _POLISH, coercive)
