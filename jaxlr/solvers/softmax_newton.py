"""Newton's method for the multinomial model with the Hessian factored: for few parameters, however many models.

    H = sum_{k < l} (Q_k - Q_l) (Q_k - Q_l)' (x) A' diag(w p_k p_l) A + diag(l2)        H d = -g

with Q_k the rows of the basis: one weighted product of columns for every pair of classes, all of one sign, so that the blocks
keep their digits however saturated the rows are.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.model.objective import Problem
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_objective import class_proba, contrasts
from jaxlr.solvers.damped import DAMPING, Direction, Point, System
from jaxlr.solvers.softmax_damped import SoftmaxSolution, minimize
from jaxlr.solvers.working import Shared

_HIGHEST = "highest"
_POLISH = 1e-5  # as for `newton`


def solve(
    problem: Problem,
    init: SoftmaxParams | None,
    tol: Float[Array, ""],
    max_steps: int,
    shared: Shared,
    num_classes: int,
    coercive: bool = False,
) -> SoftmaxSolution:
    """Minimize the smooth objective of one problem.

    Args:
        problem: one problem in working coordinates, l1 = 0 (inf holds a coefficient at 0).
        init: start, coef (K, n), intercept (K,), in working coordinates; None is 0.
        tol: on the KKT residual.
        max_steps: limit of Newton steps.
        shared: the prepared design of the problem.
        num_classes: static, K.
        coercive: static; whether every column is known to have an l2 penalty.

    Returns:
        SoftmaxSolution.
    """
    basis = contrasts(num_classes)
    Q, A = jnp.asarray(basis, shared.A.dtype), shared.A

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        del running
        damping = DAMPING * jnp.minimum(here.kkt, 1) ** 2 * system.squares
        more, free = (jnp.tile(vector, x.shape[0]) for vector in (system.l2 + damping, system.free))
        H, s = in_own_units(class_hessian(shared, system.w, class_proba(here.z), basis), more, free, jitter)
        L, g = cholesky(H), here.g.ravel()
        sides = [-s * g] if system.margins is None else [-s * g, s * system.margins.ravel()]
        halves = solve_lower(L, jnp.stack(sides, axis=1))
        half, scaled = halves[:, 0], solve_lower(L, halves[:, :1], transposed=True)[:, 0]
        hides = jnp.bool_(False) if system.margins is None else ~(jnp.sum(halves[:, 1] ** 2) < system.hidden_from)
        d = (s * scaled).reshape(x.shape)
        return Direction(
            d=d,
            dz=jnp.dot(jnp.dot(Q, d, precision=_HIGHEST), A.T, precision=_HIGHEST),
            decrement=jnp.sqrt(jnp.sum(half**2)),
            error=jnp.zeros_like(here.kkt),
            unresolved=jnp.sqrt(jitter * jnp.sum(scaled**2)),
            hides=hides,
        )

    return minimize(problem, init, tol, max_steps, shared, basis, direction, _POLISH, coercive)


def class_hessian(
    shared: Shared, w: Float[Array, " m"], p: Float[Array, "K m"], basis: np.ndarray
) -> Float[Array, "parameters parameters"]:
    """The Hessian of the loss in a basis of the classes, without penalties.

    Args:
        shared: the prepared design.
        w: weights of the rows (m,).
        p: probabilities of the classes (K, m).
        basis: Q (K, B).

    Returns:
        Symmetric matrix (B k, B k), the parameters of the first basis vector first.
    """
    A, k = shared.A, shared.A.shape[1]
    a, b = np.triu_indices(basis.shape[0], 1)
    u, v = np.triu_indices(basis.shape[1])
    apart = basis[a] - basis[b]  # (pairs of classes, B)
    mix = jnp.asarray((apart[:, u] * apart[:, v]).T, A.dtype)
    d = jnp.dot(mix, w[None, :] * p[a] * p[b], precision=_HIGHEST)  # (pairs of basis vectors, m)
    i, j = np.triu_indices(k)
    if shared.products is not None:
        blocks = jnp.dot(d, shared.products, precision=_HIGHEST)
    else:
        blocks = jax.lax.map(lambda d: jnp.dot(A.T * d[None, :], A, precision=_HIGHEST)[i, j], d)
    return blocks.ravel()[_layout(basis.shape[1], k)]


def _layout(num_basis: int, k: int) -> np.ndarray:
    """Where in the blocks, pairs of basis vectors by pairs of columns, each entry of the Hessian stands."""
    places = []
    for size in (num_basis, k):
        place = np.zeros((size, size), np.int32)
        i, j = np.triu_indices(size)
        place[i, j] = place[j, i] = np.arange(len(i))
        places.append(place)
    entries = places[0][:, None, :, None] * (k * (k + 1) // 2) + places[1][None, :, None, :]
    return entries.reshape(num_basis * k, num_basis * k)
