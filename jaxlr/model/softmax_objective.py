"""The multinomial objective, its analytic gradient and Hessian-vector product, for ONE problem; `jax.vmap` makes the batch.

For rows i = 1..m, columns j = 1..n and classes k = 1..K, with w_i = s_i / sum(s) (s = sample_weight):

    z_ik = X_i . coef_k + intercept_k + offset_ik,         p_i = softmax(z_i)
    J    = sum_i w_i (logsumexp(z_i) - z_i,label_i) + sum_j f_j (l1 sum_k |coef_kj| + l2 / 2 sum_k coef_kj^2)
    g_k  = X' (w r_k) + f l2 coef_k,   g_0k = sum_i w_i r_ik,                  r_ik = p_ik - [label_i = k]
    (H v)_k = X' (w q_k) + f l2 v_k,   q_ik = p_ik (dz_ik - sum_l p_il dz_il),     dz = X v' + v_0

The data term is a weighted MEAN, the intercepts are never penalized, g and H are those of the smooth part of J (without the
l1 term), and every class has its penalty: glmnet's ungrouped multinomial model (Friedman, Hastie & Tibshirani 2010, Journal
of Statistical Software 33, section 4). A `jaxlr.Problem` holds the data, with integer labels for y and an offset (m, K); the
number of classes is that of the parameters. Gradient and Hessian: Boehning 1992, Annals of the Institute of Statistical
Mathematics 44, section 2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.model.multinomial import log_softmax
from jaxlr.model.objective import Problem, design, penalties, row_weights
from jaxlr.model.params import SoftmaxParams

_HIGHEST = jax.lax.Precision.HIGHEST


def softmax_loss(params: SoftmaxParams, problem: Problem) -> Float[Array, ""]:
    """The multinomial objective J, the l1 term included, in nats per unit of weight.

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1 (m,), offset (m, K) or None.

    Returns:
        Scalar of X's dtype; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(3, dtype=np.float32), np.array([0, 1, 2]))
        >>> zero = SoftmaxParams(np.zeros((3, 3), np.float32), np.zeros(3, np.float32))
        >>> round(float(softmax_loss(zero, problem)), 6)  # log 3
        1.098612
    """
    coef = jnp.asarray(params.coef, design(problem).dtype)
    losses = row_losses(class_logits(params, problem), labels_of(problem, coef.shape[0]))
    return loss_of_rows(losses, coef, problem)


def softmax_gradient(params: SoftmaxParams, problem: Problem) -> SoftmaxParams:
    """The analytic gradient of the smooth part of J (l1 left out).

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1 (m,), offset (m, K) or None.

    Returns:
        SoftmaxParams of X's dtype; the intercepts' entries are 0 when fit_intercept is False.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.ones((1, 1), np.float32), np.array([1]))
        >>> zero = SoftmaxParams(np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
        >>> softmax_gradient(zero, problem).intercept.tolist()
        [0.5, -0.5]
    """
    coef = jnp.asarray(params.coef, design(problem).dtype)
    r = class_residuals(class_logits(params, problem), labels_of(problem, coef.shape[0]))
    return _back(row_weights(problem)[None, :] * r, coef, problem)


def softmax_hvp(params: SoftmaxParams, problem: Problem, v: SoftmaxParams) -> SoftmaxParams:
    """The Hessian of the smooth part of J times v, without forming it: two products with X.

    Args:
        params: coef (K, n), intercept (K,).
        problem: one problem, y the labels 0..K-1 (m,), offset (m, K) or None.
        v: coef (K, n), intercept (K,).

    Returns:
        H v as SoftmaxParams; the intercepts' entries are 0 when fit_intercept is False.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.ones((1, 1), np.float32), np.array([1]))
        >>> zero = SoftmaxParams(np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
        >>> softmax_hvp(zero, problem, SoftmaxParams(np.zeros((2, 1)), np.array([1, 0]))).intercept.tolist()
        [0.25, -0.25]
    """
    X = design(problem)
    coef = jnp.asarray(v.coef, X.dtype)
    p = class_proba(class_logits(params, problem))
    dz = _only_weighted(_linear(v, problem), problem)
    return _back(row_weights(problem)[None, :] * bent_by(p, dz, most_probable(p)), coef, problem)


def class_logits(params: SoftmaxParams, problem: Problem) -> Float[Array, "K m"]:
    """The logits of the problem's rows, the classes in front.

    Args:
        params: coef (K, n), intercept (K,); the intercepts count only where they are fitted.
        problem: one problem, offset (m, K) or None.

    Returns:
        Logits (K, m); only the offset in rows of weight 0, where finite fillers may overflow.
    """
    z = _only_weighted(_linear(params, problem), problem)
    return z if problem.offset is None else z + jnp.asarray(problem.offset, z.dtype).T


def labels_of(problem: Problem, num_classes: int) -> Bool[Array, "K m"]:
    """Which rows are of which class.

    Args:
        problem: one problem, y the labels (m,).
        num_classes: static, K.

    Returns:
        (K, m); a row whose label is no class is of none.
    """
    y = jnp.asarray(problem.y)
    return y[None, :] == jnp.arange(num_classes, dtype=y.dtype)[:, None]


def row_losses(z: Float[Array, "K m"], is_label: Bool[Array, "K m"]) -> Float[Array, " m"]:
    """logsumexp(z_i) - z_i,label_i, minus the log-probability of the label.

    Args:
        z: logits (K, m).
        is_label: from `labels_of`.

    Returns:
        Losses >= 0 (m,).
    """
    return -jnp.sum(jnp.where(is_label, log_softmax(z, axis=0), 0), axis=0)


def class_proba(z: Float[Array, "K m"]) -> Float[Array, "K m"]:
    """softmax(z_i) for every row.

    Args:
        z: logits (K, m).

    Returns:
        Probabilities (K, m).
    """
    e = jnp.exp(z - jnp.max(z, axis=0)[None, :])
    return e / jnp.sum(e, axis=0)[None, :]


def class_residuals(z: Float[Array, "K m"], is_label: Bool[Array, "K m"]) -> Float[Array, "K m"]:
    """The derivative of the loss in the logits, p - [label = k]; the label's own is minus the sum of the others.

    Args:
        z: logits (K, m).
        is_label: from `labels_of`.

    Returns:
        (K, m), in [-1, 1].
    """
    e = jnp.exp(z - jnp.max(z, axis=0)[None, :])
    others = jnp.sum(jnp.where(is_label, 0, e), axis=0)
    return jnp.where(is_label, -others[None, :], e) / jnp.sum(e, axis=0)[None, :]


def most_probable(p: Float[Array, "K m"]) -> Bool[Array, "K m"]:
    """Which class of each row is the most probable one, the first of several.

    Args:
        p: probabilities (K, m).

    Returns:
        (K, m), one class of each row.
    """
    return np.arange(p.shape[0])[:, None] == jnp.argmax(p, axis=0)[None, :]


def bent_by(p: Float[Array, "K m"], dz: Float[Array, "K m"], top: Bool[Array, "K m"]) -> Float[Array, "K m"]:
    """The change of the probabilities, p_k (dz_k - sum_l p_l dz_l): with dz relative to one class of each row, so that nothing
    cancels where that one has nearly all probability.

    Args:
        p: probabilities (K, m).
        dz: change of the logits (K, m).
        top: from `most_probable`.

    Returns:
        (K, m).
    """
    dz = dz - jnp.sum(jnp.where(top, dz, 0), axis=0)[None, :]
    return p * (dz - jnp.sum(p * dz, axis=0)[None, :])


def loss_of_rows(losses: Float[Array, " m"], coef: Float[Array, "K n"], problem: Problem) -> Float[Array, ""]:
    """J where the losses of the rows are known already.

    Args:
        losses: from `row_losses`.
        coef: (K, n).
        problem: one problem.

    Returns:
        J.
    """
    l1, l2 = (strength[None, :] for strength in penalties(problem))
    # As in the binary objective: 0 * inf is 0 for an infinite l1, and coef^2 alone could overflow where l2 is 0.
    penalty = jnp.sum(jnp.where(coef == 0, 0, l1 * jnp.abs(coef))) + jnp.sum((l2 / 2 * coef) * coef)
    return jnp.sum(row_weights(problem) * losses) + penalty


def contrasts(num_classes: int) -> np.ndarray:
    """An orthonormal basis Q of what sums to 0 over the classes (Helmert's contrasts).

    Wherever J is smooth its minimum has such coefficients and intercepts, or can have, and |Q x|^2 = |x|^2 keeps the penalty.

    Args:
        num_classes: K.

    Returns:
        Q (K, K - 1), Q'Q = 1, each column summing to 0.

    Example:
        >>> contrasts(2).ravel().round(6).tolist()
        [0.707107, -0.707107]
    """
    u = np.arange(1, num_classes)
    Q = np.where(np.arange(num_classes)[:, None] < u[None, :], 1.0, 0.0)
    Q[u, u - 1] = -u
    return Q / np.sqrt(u * (u + 1))[None, :]


def _linear(params: SoftmaxParams, problem: Problem) -> Float[Array, "K m"]:
    X = design(problem)
    z = jnp.dot(jnp.asarray(params.coef, X.dtype), X.T, precision=_HIGHEST)
    return z + jnp.asarray(params.intercept, X.dtype)[:, None] if problem.fit_intercept else z


def _only_weighted(z: Float[Array, "K m"], problem: Problem) -> Float[Array, "K m"]:
    return z if problem.sample_weight is None else jnp.where(jnp.asarray(problem.sample_weight)[None, :] > 0, z, 0)


def _back(wr: Float[Array, "K m"], coef: Float[Array, "K n"], problem: Problem) -> SoftmaxParams:
    """From weighted numbers of the rows to those of the parameters, with the squared penalty."""
    (_, l2), X = penalties(problem), design(problem)
    intercept = jnp.sum(wr, axis=1) if problem.fit_intercept else jnp.zeros(coef.shape[0], X.dtype)
    return SoftmaxParams(jnp.dot(wr, X, precision=_HIGHEST) + l2[None, :] * coef, intercept)
