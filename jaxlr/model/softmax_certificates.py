"""The evidence that a multinomial model converged: a scale-free optimality residual, and a bound on what is left to gain.

KKT residual. With g_kj and g_0k the gradient of the smooth part of J, mean_j and sd_j those of column j under the model's
own weights, as in the binary model:

    u_kj = g_kj - mean_j g_0k
    v_kj = |u_kj + l1_j sign(coef_kj)|        where coef_kj != 0,  else max(|u_kj| - l1_j, 0)
    kkt  = max(max_k |g_0k|, max_kj v_kj / sd_j)

Duality gap. For distributions p_i over the classes with sum_i w_i (p_i - e_label_i) = 0 (that is for the intercepts), and
a_k = X' (w r_k) with r_i = p_i - e_label_i, Fenchel's inequality gives J(params) - min J <= gap,

    gap = sum_i w_i KL(p_i || softmax(z_i)) + sum_kj [ pen_j(coef_kj) + pen_j*(-a_kj) + a_kj coef_kj ]

a sum of terms >= 0 (pen, pen* as in `jaxlr.model.certificates`). The p are found without iteration: q' = softmax(z + b), b
one Newton step of the intercepts; what is left, c_k = sum_i w_i q'_ik - (weight of class k), is moved from the classes that
have too much to those that have too little,

    p_i = (1 - sigma) e_label_i + sigma [ q'_i (1 - theta) + (q'_i . theta) rho ]
    theta_k = max(c_k, 0) / sum_i w_i q'_ik          rho_l = max(-c_l, 0) / sum_k max(-c_k, 0)

and sigma <= 1 shrinks until the columns without an l2 term satisfy |a_kj| <= l1_j. KL is convex, so with tau_i = sigma q'_i .
theta it is at most tau_i (cross entropy of rho) + the smaller of sum_k q_ik d_ik^2 (chi-square; q_ik (1 + d_ik) is what p_i has
without rho) and the cross entropy of that rest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, solve
from jaxlr.model.certificates import conjugacy, standard_units, violations
from jaxlr.model.multinomial import shifted
from jaxlr.model.objective import Problem, design, penalties, row_weights
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_objective import class_logits, labels_of, loss_of_rows, softmax_gradient

_HIGHEST = jax.lax.Precision.HIGHEST


def softmax_kkt_residual(params: SoftmaxParams, problem: Problem) -> Float[Array, ""]:
    """How far params are from satisfying the optimality conditions: 0 exactly at the optima.

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, on the scale of the mean loss per standard deviation of a column; NaN for non-finite input.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(softmax_kkt_residual(SoftmaxParams(np.zeros((2, 1)), np.zeros(2)), problem))
        0.5
    """
    coef = jnp.asarray(params.coef, design(problem).dtype)
    g = softmax_gradient(SoftmaxParams(coef, params.intercept), problem)
    return kkt_of_class_gradient(g, coef, penalties(problem)[0], standard_units(problem))


def kkt_of_class_gradient(g: SoftmaxParams, coef: Array, l1: Array, units: tuple[Array, Array]) -> Float[Array, ""]:
    """The KKT residual where the gradient and the units of the columns are known already.

    Args:
        g: gradient of the smooth part of J, coef (K, n), intercept (K,).
        coef: coefficients (K, n).
        l1: penalty vector (n,).
        units: mean (n,) and sd (n,), from `jaxlr.model.certificates.standard_units`.

    Returns:
        Scalar >= 0.
    """
    mean, sd = units
    u = g.coef - mean[None, :] * g.intercept[:, None]
    v = violations(u.ravel(), coef.ravel(), jnp.tile(l1, coef.shape[0])).reshape(u.shape)
    return jnp.max(jnp.append(v / sd[None, :], jnp.abs(g.intercept)))


def softmax_duality_gap(params: SoftmaxParams, problem: Problem) -> Float[Array, ""]:
    """A bound on J(params) - min J, whatever params are.

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1, any l1, l2 >= 0.

    Returns:
        Scalar >= 0, in nats per unit of weight; inf where no bound can be given (a column without a penalty, a class without
        weight beside intercepts, input that is not finite).

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), l2=0.5)
        >>> float(softmax_duality_gap(SoftmaxParams(np.zeros((2, 1)), np.zeros(2)), problem))
        0.5
    """
    return softmax_evidence(params, problem, standard_units(problem))[2]


def softmax_evidence(
    params: SoftmaxParams, problem: Problem, units: tuple[Array, Array]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Objective, KKT residual and duality gap, in two products with the data.

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1, any l1, l2 >= 0.
        units: mean (n,) and sd (n,), from `jaxlr.model.certificates.standard_units`.

    Returns:
        `softmax_loss`, `softmax_kkt_residual` and `softmax_duality_gap`.
    """
    X, w, (l1, l2) = design(problem), row_weights(problem), penalties(problem)
    coef = jnp.asarray(params.coef, X.dtype)
    num_classes = coef.shape[0]
    is_label = labels_of(problem, num_classes)
    below, _, rest = shifted(class_logits(params, problem))
    logs = below - jnp.log1p(rest)[None, :]
    losses = -jnp.sum(jnp.where(is_label, logs, 0), axis=0)  # both terms of the sum are >= 0
    q = jnp.exp(below) / (1 + rest)[None, :]
    others = jnp.sum(jnp.where(is_label, 0, q), axis=0)
    primal = jnp.where(is_label, -others[None, :], q)
    d, theta, rho = _balance(q, primal, w) if problem.fit_intercept else (0 * q, 0 * q[:, 0], 0 * q[:, 0])
    tau = jnp.sum(q * (1 + d) * theta[:, None], axis=0)
    d = d - (1 + d) * theta[:, None]
    dual = primal + q * d + tau[None, :] * rho[:, None]

    sides = jnp.dot(jnp.concatenate([w[None, :] * primal, w[None, :] * dual]), X, precision=_HIGHEST)
    slopes, a = sides[:num_classes], sides[num_classes:]
    intercept = jnp.sum(w[None, :] * primal, axis=1) if problem.fit_intercept else jnp.zeros_like(slopes[:, 0])
    kkt = kkt_of_class_gradient(SoftmaxParams(slopes + l2[None, :] * coef, intercept), coef, l1, units)

    most = jnp.where((l1 > 0) & (l2 == 0), (1 - 4 * jnp.finfo(q.dtype).eps) * l1, jnp.inf)
    sigma = jnp.min(most[None, :] / jnp.abs(a), initial=1)
    divergence = _divergence(q, logs, is_label, losses, d, tau, rho, sigma)
    tiled = (jnp.tile(strength, num_classes) for strength in (l1, l2))
    gap = jnp.sum(w * divergence) + jnp.sum(conjugacy(coef.ravel(), -sigma * a.ravel(), *tiled))
    unbounded = jnp.min(l1 + l2, initial=jnp.inf) == 0
    if problem.fit_intercept:
        unbounded |= jnp.min(jnp.sum(jnp.where(is_label, w[None, :], 0), axis=1)) == 0
    return loss_of_rows(losses, coef, problem), kkt, jnp.where(unbounded | jnp.isnan(gap), jnp.inf, gap)


def _balance(q: Array, r: Array, w: Array) -> tuple[Array, Array, Array]:
    """What makes every class have its weight: q' = q (1 + d), d (K, m), then shares theta (K,) of it moved to rho (K,)."""
    wq, c = w[None, :] * q, jnp.sum(w[None, :] * r, axis=1)
    # The Newton matrix is made of products of two classes; on constants, its null space, it is the identity.
    pairs = jnp.dot(wq, q.T, precision=_HIGHEST)
    off = jnp.where(np.eye(len(c), dtype=bool), 0, pairs)
    L = cholesky(jnp.diag(jnp.sum(off, axis=1)) - off + jnp.sum(off) / len(c) ** 2)
    newton = -solve(L, solve(L, c[:, None]), transposed=True)[:, 0]
    largest = jnp.max(jnp.abs(newton))
    b = jnp.where(largest > 0, newton * (jnp.log1p(largest) / largest), 0)  # safe from any start, Newton's near the root
    b = jnp.where(jnp.all(jnp.isfinite(b)), b - jnp.max(b), 0)
    # exp(b) / sum q exp(b) - 1, where neither a small b nor a large one costs digits.
    change = jnp.sum(q * jnp.expm1(b)[:, None], axis=0)
    total = jnp.where(largest < 0.5, 1 + change, jnp.sum(q * jnp.exp(b)[:, None], axis=0))
    d = (jnp.expm1(b)[:, None] - change[None, :]) / total[None, :]
    of_class, excess = jnp.sum(wq * (1 + d), axis=1), c + jnp.sum(wq * d, axis=1)
    missing = jnp.maximum(-excess, 0)
    moves = (excess > 0) & (jnp.sum(missing) > 0)
    theta = jnp.where(moves, jnp.minimum(excess / of_class, 1), 0)
    return d, theta, missing / jnp.where(jnp.sum(missing) > 0, jnp.sum(missing), 1)


def _divergence(
    q: Array, logs: Array, is_label: Array, losses: Array, d: Array, tau: Array, rho: Array, sigma: Array
) -> Float[Array, " m"]:
    """Upper bounds on KL(p_i || q_i), q = softmax(z)."""
    # e_label is q (1 + (1 - q) / q) at the label, and q (1 - 1) elsewhere.
    relative = sigma * d + (1 - sigma) * jnp.where(is_label, jnp.expm1(losses)[None, :], -1)
    chi_square = jnp.sum(jnp.where(relative == 0, 0, (q * relative) * relative), axis=0)
    entropies = jnp.where(q == 0, 0, -q * logs)  # of classes without probability nothing is left
    cross_entropy = (1 - sigma) * losses + sigma * jnp.sum(entropies * (1 + d), axis=0)
    received = -jnp.sum(jnp.where(rho[:, None] == 0, 0, logs * rho[:, None]), axis=0)
    moved = jnp.where(tau == 0, 0, sigma * tau * received)
    return moved + jnp.where(chi_square <= cross_entropy, chi_square, cross_entropy)
