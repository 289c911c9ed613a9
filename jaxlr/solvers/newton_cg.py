"""Newton's method without a Hessian, for many columns: conjugate gradients, preconditioned for all models at once.

    H v = A' (w c * (A v)) + l2 v,      H d = -g up to  |H d + g|_P <= eta |g|_P,      eta = kkt, from 1e-3 to 0.1

P is the inverse of the Hessian at the mean curvature of all models of a batch, as they start, and at the least of their
penalties, and stays: one product A' D A and one Cholesky factor for the whole batch, and models that differ in folds,
targets or penalties need few products each (preconditioning: Nocedal & Wright, Numerical Optimization 2006, algorithm 5.3;
inexact steps: section 7.1). A model whose penalties are far over the least has the diagonal of its Hessian for P instead. A
direction need not be exact, so that products are computed in float32 wherever penalties rule out separation; gradients and
certificates have the full precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, inverse
from jaxlr.linalg.operators import times, times_transposed
from jaxlr.model.certificates import kkt_of_gradient
from jaxlr.model.logistic import curvature
from jaxlr.model.objective import Problem, penalties, problem_logits, row_weights
from jaxlr.model.params import Params
from jaxlr.solvers.damped import DAMPING, Direction, Solution, System, minimize
from jaxlr.solvers.working import Shared

STIFF = 1e10  # penalty over the mean square of the column
_LEAF = 80  # columns of a block
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
        shared: the prepared design of the problem, with `inverse`, and `low` where directions have a dtype of their own.
        coercive: static; whether every column is known to have an l2 penalty.

    Returns:
        Solution.
    """
    P, n, dtype = shared.inverse, shared.unit.shape[0], shared.inverse.dtype
    precondition = preconditioner(shared, jnp.pad(penalties(problem)[1], (0, P.shape[0] - n)))

    def product(v: Array) -> Array:
        return times(shared.A, v) if shared.low is None else jnp.dot(v, shared.low)

    def product_transposed(r: Array) -> Array:
        return times_transposed(shared.A, r) if shared.low is None else jnp.dot(r, shared.low.T)

    # Who asks for few digits gets them in few products; else coefficients are to be exact, not their residual alone small.
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, 1e-3).astype(tol.dtype)

    def direction(system: System, x: Array, g: Array, z: Array, kkt: Array, jitter: Array, running: Array) -> Direction:
        del x
        wc = (system.w * curvature(z)).astype(dtype)
        damping = DAMPING * jnp.minimum(kkt, 1) ** 2
        jitter = jitter * jnp.sum(system.w * curvature(z))  # on the scale of the Hessian, or it would hide a separation
        l2 = (system.l2 + (damping + jitter) * system.squares).astype(dtype)
        stiff = system.l2 > STIFF * system.squares  # so much that nothing else counts, nor fits into float32
        free = system.free & ~stiff
        largest = jnp.max(jnp.abs(g), initial=0, where=free)
        arrived = system.penalized & (kkt <= polish * tol)  # where nothing but the gradient is asked for
        r = jnp.where(running & ~arrived & (largest > 0) & free, -g / largest, 0).astype(dtype)

        def preconditioned(r: Array) -> Array:
            return jnp.where(free, precondition(r), 0)

        y = preconditioned(r)
        size = jnp.sum(r * y)
        enough = jnp.clip(kkt, 1e-3, 0.1).astype(dtype) ** 2 * size

        def step(state: _State) -> _State:
            Ap = product(state.p)
            Hp = jnp.where(free, product_transposed(wc * Ap) + l2 * state.p, 0)
            bend = jnp.sum(state.p * Hp)
            alpha = jnp.where(bend > 0, state.size / bend, 0)
            r = state.r - alpha * Hp
            y = preconditioned(r)
            size = jnp.where(bend > 0, jnp.sum(r * y), 0)
            p = y + size / state.size * state.p
            return _State(state.d + alpha * state.p, state.dz + alpha * Ap, r, p, size, state.num_products + 1)

        start = _State(0 * r, jnp.zeros_like(wc), r, y, size, jnp.int32(0))
        end = jax.lax.while_loop(lambda at: (at.size > enough) & (at.num_products < _MOST_PRODUCTS), step, start)
        d, r = (largest * vector.astype(g.dtype) for vector in (end.d, end.r))
        d = jnp.where(stiff, -g / jnp.where(stiff, system.l2, 1), d)
        # There the other coefficients' step leaves at most its curvature, c <= 1/4, times the column.
        r = jnp.where(stiff, 0.25 * jnp.max(jnp.abs(end.dz)).astype(r.dtype) * largest * jnp.sqrt(system.squares), r)
        hides = jnp.bool_(False)
        if system.margins is not None:  # v . H^-1 v >= (v . v)^2 / v . H v
            v = system.margins
            bend = jnp.sum(system.w * curvature(z) * times(shared.A, v) ** 2) + jnp.sum(system.l2 * v * v)
            hides = jnp.sum(v * v) ** 2 > system.hidden_from * bend
        return Direction(
            d=d,
            dz=largest * end.dz.astype(g.dtype),
            decrement=jnp.sqrt(-jnp.sum(g * d)),
            error=kkt_of_gradient(Params(r[:n], r[n:].sum()), d[:n], 0 * d[:n], shared.units),
            unresolved=jnp.sqrt(jitter * jnp.sum(system.squares * d * d, where=free)),
            hides=hides,
        )

    return minimize(problem, init, tol, max_steps, shared, direction, polish, coercive)


def preconditioner(shared: Shared, l2: Float[Array, " k"]) -> Callable[[Float[Array, " k"]], Float[Array, " k"]]:
    """What stands for the inverse of the Hessian of one model.

    Args:
        shared: the prepared design, with `inverse`, `diagonal` and `least`.
        l2: penalty vector of the model, 0 for the intercept (k,).

    Returns:
        A symmetric positive linear function, in the dtype of `inverse`.
    """
    P, n, l2 = shared.inverse, shared.unit.shape[0], l2.astype(shared.inverse.dtype)
    # In units of the Hessian's diagonal P leaves a spread of l2 / least, the diagonal one of 1 / l2: they meet at l2^2 = least.
    strong = jnp.all(l2[:n] ** 2 > shared.diagonal[:n] * jnp.maximum(shared.least[:n], 1e-6 * shared.diagonal[:n]))
    jacobi = 1 / (shared.diagonal + l2)
    return lambda r: jnp.where(strong, jacobi * r, jnp.dot(r, P))


def mean_curvature_inputs(problem: Problem, start: Params) -> tuple[Float[Array, " m"], Float[Array, " n"]]:
    """What one model adds to what the preconditioner is made from.

    Args:
        problem: one problem in working coordinates.
        start: where it starts, in working coordinates.

    Returns:
        Weights times curvatures (m,), 0 where they are not finite, and l2 (n,), there infinite.
    """
    # A start far out has no curvature at all, and its steps would see it again only when it is too late.
    c = jnp.maximum(curvature(problem_logits(start, problem)), 1e-3)
    d, l2 = row_weights(problem) * c, penalties(problem)[1]
    healthy = jnp.isfinite(jnp.sum(d) + jnp.sum(l2))
    return jnp.where(healthy, d, 0), jnp.where(healthy, l2, jnp.inf)


def precondition(shared: Shared, d: Float[Array, " m"], l2: Float[Array, " n"]) -> Shared:
    """Add the preconditioner (A' diag(d) A + diag(l2))^-1.

    Args:
        shared: the prepared design, with `low`.
        d: mean weights times curvatures (m,).
        l2: least penalty vector (n,).

    Returns:
        Shared with `inverse`, `diagonal` and `least`.
    """
    AT = shared.A.T if shared.low is None else shared.low
    k = AT.shape[0]
    d, l2 = jax.lax.stop_gradient((d, l2))
    l2 = jnp.where(jnp.isfinite(l2), jnp.minimum(l2, 1e30), 0)  # that float32 can hold
    least = jnp.pad(l2, (0, k - l2.shape[0])).astype(AT.dtype)
    weighted, middle = AT * d.astype(AT.dtype)[None, :], k // 2
    left, corner = jnp.dot(weighted, AT[:middle].T), jnp.dot(weighted[middle:], AT[middle:].T)
    H = jnp.concatenate([left, jnp.pad(corner, ((middle, 0), (0, 0)))], axis=1)  # what is over the corner is not read
    diagonal = H[np.arange(k), np.arange(k)]
    s = jax.lax.rsqrt(diagonal + least + jnp.sqrt(jnp.finfo(AT.dtype).tiny))
    jitter = k * jnp.finfo(AT.dtype).eps
    H = jnp.where(np.eye(k, dtype=bool), 1 + jitter, H * s[:, None] * s[None, :])
    half = _inverse_factor(H, max(_LEAF, -(-k // 16))) * s[None, :]
    half = jnp.where(jnp.isfinite(jnp.sum(half)), half, jnp.diag(s))
    return shared._replace(inverse=jnp.dot(half.T, half), diagonal=diagonal, least=least)


def _inverse_factor(H: Float[Array, "k k"], leaf: int) -> Float[Array, "k k"]:
    """L^-1 where H = L L', in matrix products of all but small blocks (see `jaxlr.linalg.cholesky`).

    [A B'; B C] has the inverse factor [A_ 0; -C_ W A_, C_], where A_ is that of A, W = B A_' and C_ that of C - W W'.
    """
    k = H.shape[0]
    if k <= leaf:
        return inverse(cholesky(H))
    first = _inverse_factor(H[: k // 2, : k // 2], leaf)
    W = jnp.dot(H[k // 2 :, : k // 2], first.T)
    last = _inverse_factor(H[k // 2 :, k // 2 :] - jnp.dot(W, W.T), leaf)
    below = -jnp.dot(last, jnp.dot(W, first))
    return jnp.block([[first, jnp.zeros((k // 2, k - k // 2), H.dtype)], [below, last]])
