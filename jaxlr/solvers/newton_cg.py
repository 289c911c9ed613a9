"""Newton's method without a Hessian, for many columns: conjugate gradients, preconditioned for all models at once.

    H v = A' (w c * (A v)) + l2 v,      H d = -g up to  |H d + g|_P <= eta |g|_P,      eta = kkt, from 1e-3 to 0.1

P is the inverse of the Hessian at the mean curvature of all models of a batch, as they start: one product A' D A and one
Cholesky factor for the whole batch, and models that differ in folds, targets or penalties need few products each
(preconditioning: Nocedal & Wright, Numerical Optimization 2006, algorithm 5.3; inexact steps: section 7.1). A direction
need not be exact, so that products are computed in float32 wherever penalties rule out separation; gradients and
certificates have the full precision.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.certificates import kkt_of_gradient
from jaxlr.model import Params
from jaxlr.numerics import curvature
from jaxlr.objective import Problem, penalties, problem_logits, row_weights
from jaxlr.solvers.damped import DAMPING, Direction, Solution, System, minimize
from jaxlr.solvers.shared import Shared

_MOST_PRODUCTS = 200  # in one direction; float32 has lost all conjugacy by then


class _State(NamedTuple):
    d: Array
    dz: Array
    r: Array  # -g - H d
    p: Array
    size: Array  # r . P r
    num_products: Array


def solve(
    problem: Problem, init: Params | None, tol: Float[Array, ""], max_steps: int, shared: Shared, coercive: bool = False
) -> Solution:
    """Minimize the smooth objective of one problem with `jaxlr.solvers.damped.minimize`.

    Args:
        problem: one problem in working coordinates, l1 = 0 (inf holds a coefficient at 0).
        init: start, coef (n,), intercept (), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem, with `low` and `inverse`.
        coercive: static; whether every column is known to have an l2 penalty.

    Returns:
        Solution.
    """
    AT, P = shared.low, shared.inverse
    n = shared.unit.shape[0]
    # Who asks for few digits gets them in few products; else coefficients are to be exact, not their residual alone small.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, 1e-3).astype(tol.dtype)

    def direction(system: System, g: Array, z: Array, kkt: Array, jitter: Array, running: Array) -> Direction:
        wc = (system.w * curvature(z)).astype(AT.dtype)
        l2 = (system.l2 + (DAMPING * jnp.minimum(kkt, 1) ** 2 + jitter) * system.squares).astype(AT.dtype)
        largest = jnp.max(jnp.abs(g))
        arrived = system.penalized & (kkt <= polish * tol)  # where nothing but the gradient is asked for
        r = jnp.where(running & ~arrived & (largest > 0), -g / largest, 0).astype(AT.dtype)
        y = jnp.where(system.free, jnp.dot(r, P), 0)
        size = jnp.sum(r * y)
        enough = jnp.clip(kkt, 1e-3, 0.1).astype(AT.dtype) ** 2 * size

        def step(state: _State) -> _State:
            Ap = jnp.dot(state.p, AT)
            Hp = jnp.where(system.free, jnp.dot(wc * Ap, AT.T) + l2 * state.p, 0)
            bend = jnp.sum(state.p * Hp)
            alpha = jnp.where(bend > 0, state.size / bend, 0)
            r = state.r - alpha * Hp
            y = jnp.where(system.free, jnp.dot(r, P), 0)
            size = jnp.where(bend > 0, jnp.sum(r * y), 0)
            p = y + size / state.size * state.p
            return _State(state.d + alpha * state.p, state.dz + alpha * Ap, r, p, size, state.num_products + 1)

        start = _State(0 * r, jnp.zeros_like(wc), r, y, size, jnp.int32(0))
        end = jax.lax.while_loop(lambda at: (at.size > enough) & (at.num_products < _MOST_PRODUCTS), step, start)
        d, r = (largest * vector.astype(g.dtype) for vector in (end.d, end.r))
        return Direction(
            d=d,
            dz=largest * end.dz.astype(g.dtype),
            decrement=jnp.sqrt(-jnp.sum(g * d)),
            error=kkt_of_gradient(Params(r[:n], r[n:].sum()), d[:n], 0 * d[:n], shared.units),
            unresolved=jnp.zeros_like(kkt),
            hides=jnp.bool_(False),
        )

    return minimize(problem, init, tol, max_steps, shared, direction, polish, coercive)


def mean_curvature_inputs(problem: Problem, start: Params) -> tuple[Float[Array, " m"], Float[Array, " n"]]:
    """What one model adds to the mean that the preconditioner is made from.

    Args:
        problem: one problem in working coordinates.
        start: where it starts, in working coordinates.

    Returns:
        Weights times curvatures (m,) and l2 (n,), 0 throughout where they are not finite.
    """
    # A start far out has no curvature at all, and its steps would see it again only when it is too late.
    c = jnp.maximum(curvature(problem_logits(start, problem)), 1e-3)
    d, l2 = row_weights(problem) * c, penalties(problem)[1]
    healthy = jnp.isfinite(jnp.sum(d) + jnp.sum(l2))
    return jnp.where(healthy, d, 0), jnp.where(healthy, l2, 0)


def precondition(shared: Shared, d: Float[Array, " m"], l2: Float[Array, " n"]) -> Shared:
    """Add the preconditioner (A' diag(d) A + diag(l2))^-1.

    Args:
        shared: the prepared design, with `low`.
        d: mean weights times curvatures (m,).
        l2: mean penalty vector (n,).

    Returns:
        Shared with `inverse`.
    """
    AT = shared.low
    k = AT.shape[0]
    l2 = jnp.pad(l2, (0, k - l2.shape[0])).astype(AT.dtype)
    H = jnp.dot(AT * d.astype(AT.dtype)[None, :], AT.T)
    diagonal = H[np.arange(k), np.arange(k)] + l2
    s = jax.lax.rsqrt(diagonal + jnp.sqrt(jnp.finfo(AT.dtype).tiny))
    jitter = k * jnp.finfo(AT.dtype).eps
    H = jnp.where(np.eye(k, dtype=bool), 1 + jitter, H * s[:, None] * s[None, :])
    L = jnp.linalg.cholesky(H, symmetrize_input=False)
    half = jax.scipy.linalg.solve_triangular(L, jnp.diag(s), lower=True)
    half = jnp.where(jnp.isfinite(jnp.sum(half)), half, jnp.diag(s))
    return shared._replace(inverse=jnp.dot(half.T, half))
