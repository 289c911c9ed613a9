"""Conjugate gradients for the multinomial model: many parameters, and every product shared by all models of a batch.

    H v = Q' [ A' (w p_k (dz_k - sum_l p_l dz_l)) + l2 (Q v)_k ]_k,     dz = A (Q v)
    P   = Q' diag_k( (A' diag(w p_k (1 - p_k)) A + l2)^-1 ) Q

P takes every class for itself, one against all others, and is restricted to what sums to 0 over the classes: there it is
nearly the inverse of H (a direction to 1e-2 takes 2 products on the digits with l2 = 0.1, 6 with 1e-4, where blocks of the
contrasts take 4 and 21). One block a class is made for all models, at their mean curvature where they start and their
least penalties, as in `jaxlr.solvers.newton_cg`; a model whose penalties are far over the least has the diagonal for P.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.model.objective import Problem, penalties, row_weights
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_certificates import kkt_of_class_gradient
from jaxlr.model.softmax_objective import bent_by, class_logits, class_proba, contrasts, most_probable
from jaxlr.solvers.damped import DAMPING, Direction, Point, System
from jaxlr.solvers.softmax_damped import SoftmaxSolution, minimize
from jaxlr.solvers.working import Shared

_HIGHEST = "highest"
_MOST_PRODUCTS = 200  # in one direction; float32 has lost all conjugacy by then
_LEAST_CURVATURE = 1e-4  # a start far out has none at all, and its steps would see it again only when it is too late


class _State(NamedTuple):
    d: Array
    dz: Array
    r: Array  # -g - H d
    p: Array
    size: Array  # r . P r
    num_products: Array


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
        shared: the prepared design of the problem, with `inverse` (K, k, k), `diagonal` (K, k) and `least` (K, k), and `low`
            where directions have a dtype of their own.
        num_classes: static, K.
        coercive: static; whether every column is known to have an l2 penalty.

    Returns:
        SoftmaxSolution.
    """
    P, n, dtype = shared.inverse, shared.unit.shape[0], shared.inverse.dtype
    basis = contrasts(num_classes)
    Q, AT = jnp.asarray(basis, dtype), shared.A.T if shared.low is None else shared.low
    own = jnp.pad(penalties(problem)[1], (0, P.shape[-1] - n)).astype(dtype)
    # As for `newton_cg`: in units of the diagonal P leaves a spread of l2 / least, the diagonal one of 1 / l2.
    diagonal = jnp.mean(shared.diagonal, axis=0)
    strong = jnp.all(own[:n] ** 2 > diagonal[:n] * jnp.maximum(shared.least[0, :n], 1e-6 * diagonal[:n]))
    jacobi = 1 / (shared.diagonal + own[None, :])
    polish = jnp.where(tol > np.sqrt(jnp.finfo(tol.dtype).eps), 1, 1e-3).astype(tol.dtype)

    def direction(system: System, x: Array, here: Point, jitter: Array, running: Array) -> Direction:
        p = class_proba((here.z - jnp.max(here.z, axis=0)[None, :]).astype(dtype))
        w, top = system.w.astype(dtype)[None, :], most_probable(p)
        damping = DAMPING * jnp.minimum(here.kkt, 1) ** 2
        jitter = jitter * jnp.sum(w * p * (1 - p)).astype(x.dtype)  # on the scale of the Hessian
        l2 = (system.l2 + (damping + jitter) * system.squares).astype(dtype)[None, :]
        free = system.free[None, :]
        largest = jnp.max(jnp.abs(here.g), initial=0)
        arrived = system.penalized & (here.kkt <= polish * tol)  # where nothing but the gradient is asked for
        r = jnp.where(running & ~arrived & (largest > 0), -here.g / largest, 0).astype(dtype)

        def preconditioned(r: Array) -> Array:
            of_class = jnp.dot(Q, r)
            y = jnp.where(strong, jacobi * of_class, jnp.einsum("kj,kji->ki", of_class, P))
            return jnp.where(free, jnp.dot(Q.T, y), 0)

        y = preconditioned(r)
        size = jnp.sum(r * y)
        # Neither more digits than the step can keep, nor than tol asks for.
        enough = jnp.clip(jnp.maximum(here.kkt, polish * tol / (10 * here.kkt)), 1e-3, 0.1).astype(dtype) ** 2 * size

        def step(state: _State) -> _State:
            of_class = jnp.dot(Q, state.p)
            dz = jnp.dot(of_class, AT)
            # Where the data may be separated, the curvature of saturated rows counts however small it is.
            bent = w * (p * (dz - jnp.sum(p * dz, axis=0)[None, :]) if coercive else bent_by(p, dz, top))
            Hp = jnp.where(free, jnp.dot(Q.T, jnp.dot(bent, AT.T)) + l2 * state.p, 0)
            bend = jnp.sum(state.p * Hp)
            alpha = jnp.where(bend > 0, state.size / bend, 0)
            r = state.r - alpha * Hp
            y = preconditioned(r)
            size = jnp.where(bend > 0, jnp.sum(r * y), 0)
            along = y + size / state.size * state.p
            return _State(state.d + alpha * state.p, state.dz + alpha * dz, r, along, size, state.num_products + 1)

        start = _State(0 * r, jnp.zeros_like(p), r, y, size, jnp.int32(0))
        end = jax.lax.while_loop(lambda at: (at.size > enough) & (at.num_products < _MOST_PRODUCTS), step, start)
        d, left = (largest * vector.astype(x.dtype) for vector in (end.d, jnp.dot(Q, end.r)))
        hides = jnp.bool_(False)
        if system.margins is not None:  # v . H^-1 v >= (v . v)^2 / v . H v, for each class against all others
            v = jnp.dot(Q.astype(x.dtype), jnp.where(system.l2[None, :] > 0, 0, system.margins), precision=_HIGHEST)
            q = class_proba(here.z)
            others = jnp.where(top, jnp.sum(jnp.where(top, 0, q), axis=0)[None, :], 1 - q)
            squares = jnp.dot(v, shared.A.T, precision=_HIGHEST) ** 2
            bend = jnp.sum(system.w[None, :] * q * others * squares, axis=1)
            size = (1 - 1 / num_classes) * jnp.sum(v * v, axis=1)
            hides = jnp.any(size**2 > system.hidden_from * bend)
        left = SoftmaxParams(left[:, :n], jnp.sum(left[:, n:], axis=1))
        return Direction(
            d=d,
            dz=largest * end.dz.astype(x.dtype),
            decrement=jnp.sqrt(-jnp.sum(here.g * d)),
            error=kkt_of_class_gradient(left, left.coef, jnp.zeros_like(system.l2[:n]), shared.units),
            unresolved=jnp.sqrt(jitter * jnp.sum(system.squares[None, :] * d * d)),
            hides=hides,
        )

    return minimize(problem, init, tol, max_steps, shared, basis, direction, polish, coercive)


def class_curvature_inputs(problem: Problem, start: SoftmaxParams) -> tuple[Float[Array, "K m"], Float[Array, " n"]]:
    """What one model adds to what the preconditioner is made from.

    Args:
        problem: one problem in working coordinates.
        start: where it starts, in working coordinates.

    Returns:
        Weights times p (1 - p) of every class (K, m), 0 where they are not finite, and l2 (n,), there infinite.
    """
    p = class_proba(class_logits(start, problem))
    d = row_weights(problem)[None, :] * jnp.maximum(p * (1 - p), _LEAST_CURVATURE)
    l2 = penalties(problem)[1]
    healthy = jnp.isfinite(jnp.sum(d) + jnp.sum(l2))
    return jnp.where(healthy, d, 0), jnp.where(healthy, l2, jnp.inf)
