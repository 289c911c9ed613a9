"""One objective, its analytic gradient and its Hessian, for ONE problem; `jax.vmap` makes the batch.

For rows i = 1..m and columns j = 1..n, with w_i = s_i / sum(s) (s = sample_weight):

    z_i  = X_i . coef + intercept + offset_i
    J    = sum_i w_i l(z_i, y_i) + sum_j f_j (l1 |coef_j| + l2 / 2 coef_j^2),     l(z, y) = log(1 + exp(z)) - y z
    g    = X' (w r) + f l2 coef,   g_0 = sum_i w_i r_i,                           r = dl/dz = sigmoid(z) - y
    H    = [X 1]' diag(w c) [X 1] + diag(f l2, 0),                                c = d2l/dz2

The data term is a weighted MEAN, the intercept is never penalized, and g and H are those of the smooth part of J (without
the l1 term). Gradient and Hessian as in McCullagh & Nelder, Generalized Linear Models (1989), section 4.4.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inputs.tables import as_floating
from jaxlr.linalg.operators import Bordered, Standardized, times, times_transposed
from jaxlr.model.logistic import curvature, logistic_loss, residual
from jaxlr.model.params import Params

_HIGHEST = jax.lax.Precision.HIGHEST


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """Data and penalties of one logistic regression: a pytree, without validation (`jaxlr.fit` checks).

    Attributes:
        X: design (m, n); its floating dtype is that of everything else.
        y: labels (m,), 0/1 of any dtype, or soft labels in [0, 1].
        sample_weight: (m,) >= 0; None is 1. A weight k means the row k times, a weight 0 that the row is not there.
        offset: (m,), added to the logits; None is 0.
        l1: strength of the absolute penalty, () or one per column (n,), >= 0, on the scale of the mean loss.
        l2: strength of the squared penalty, () or one per column (n,), >= 0, on the scale of the mean loss.
        penalty_factor: (n,) >= 0, multiplies both strengths; None is 1.
        fit_intercept: static; without it the intercept of the parameters is ignored.

    Example:
        A batch maps over the fields that differ, here over four l2:

        >>> import jax, numpy as np
        >>> X, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
        >>> problems = Problem(X, y, l2=np.ones(4, np.float32))
        >>> axes = Problem(X=None, y=None, l1=None, l2=0)
        >>> start = Params(np.zeros(3, np.float32), np.zeros((), np.float32))
        >>> jax.vmap(loss, in_axes=(None, axes))(start, problems).shape
        (4,)
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    X: Any
    y: Any
    sample_weight: Any = None
    offset: Any = None
    l1: Any = 0.0
    l2: Any = 0.0
    penalty_factor: Any = None
    fit_intercept: bool = field(default=True, metadata={"static": True})


def loss(params: Params, problem: Problem) -> Float[Array, ""]:
    """The objective J, the l1 term included, in nats per unit of weight.

    Args:
        params: coef (n,), intercept ().
        problem: one problem.

    Returns:
        Scalar of X's dtype; NaN where no row has weight.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]))
        >>> round(float(loss(Params(np.zeros(2, np.float32), np.float32(0)), problem)), 6)
        0.693147
    """
    return loss_at(problem_logits(params, problem), jnp.asarray(params.coef, dtype_of(problem)), problem)


def loss_at(z: Float[Array, " m"], coef: Float[Array, " n"], problem: Problem) -> Float[Array, ""]:
    """The objective where the logits are known already.

    Args:
        z: logits (m,).
        coef: (n,).
        problem: one problem.

    Returns:
        J.
    """
    w, l1, l2 = row_weights(problem), *penalties(problem)
    data = jnp.sum(w * logistic_loss(z, problem.y))
    # An infinite l1 holds its coefficient at 0: 0 * inf is 0 here; coef^2 alone could overflow where l2 is 0.
    return data + jnp.sum(jnp.where(coef == 0, 0, l1 * jnp.abs(coef))) + jnp.sum((l2 / 2 * coef) * coef)


def gradient(params: Params, problem: Problem) -> Params:
    """The analytic gradient of the smooth part of J (l1 left out).

    Args:
        params: coef (n,), intercept ().
        problem: one problem.

    Returns:
        Params of X's dtype; the intercept's entry is 0 when fit_intercept is False.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]))
        >>> gradient(Params(np.zeros(2, np.float32), np.float32(0)), problem).coef.tolist()
        [0.25, -0.25]
    """
    X, (_, l2) = design(problem), penalties(problem)
    coef = jnp.asarray(params.coef, X.dtype)
    wr = row_weights(problem) * residual(problem_logits(params, problem), problem.y)
    intercept = jnp.sum(wr) if problem.fit_intercept else jnp.zeros((), X.dtype)
    return Params(times_transposed(X, wr) + l2 * coef, intercept)


def hessian(params: Params, problem: Problem) -> Float[Array, "k k"]:
    """The Hessian of the smooth part of J, intercept last.

    Args:
        params: coef (n,), intercept ().
        problem: one problem.

    Returns:
        Symmetric matrix (n + 1, n + 1); the intercept's row and column are 0 when fit_intercept is False.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]), l2=1.0)
        >>> hessian(Params(np.zeros(2, np.float32), np.float32(0)), problem).tolist()
        [[1.125, 0.0, 0.125], [0.0, 1.125, 0.125], [0.125, 0.125, 0.25]]
    """
    X, (_, l2) = design(problem), penalties(problem)
    wc = row_weights(problem) * curvature(problem_logits(params, problem))
    last = jnp.full((X.shape[0], 1), 1 if problem.fit_intercept else 0, X.dtype)
    A = jnp.concatenate([X, last], axis=1)
    H = jnp.dot(A.T * wc[None, :], A, precision=_HIGHEST)
    return H + jnp.diag(jnp.concatenate([l2, jnp.zeros(1, X.dtype)]))


def hvp(params: Params, problem: Problem, v: Params) -> Params:
    """The Hessian of the smooth part of J times v, without forming the Hessian: two products with X.

    Args:
        params: coef (n,), intercept ().
        problem: one problem.
        v: coef (n,), intercept ().

    Returns:
        H v as Params; the intercept's entry is 0 when fit_intercept is False.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]), l2=1.0)
        >>> at = Params(np.zeros(2, np.float32), np.float32(0))
        >>> hvp(at, problem, Params(np.ones(2, np.float32), np.float32(0))).coef.tolist()
        [1.125, 1.125]
    """
    X, (_, l2) = design(problem), penalties(problem)
    coef = jnp.asarray(v.coef, X.dtype)
    dz = _only_weighted(_linear(v, problem), problem)
    wcdz = row_weights(problem) * curvature(problem_logits(params, problem)) * dz
    intercept = jnp.sum(wcdz) if problem.fit_intercept else jnp.zeros((), X.dtype)
    return Params(times_transposed(X, wcdz) + l2 * coef, intercept)


def design(problem: Problem) -> Any:
    """X (m, n) as a floating array: its dtype is the problem's.

    Args:
        problem: one problem.

    Returns:
        X, floating, or what stands for a matrix as it is.
    """
    return problem.X if isinstance(problem.X, (Bordered, Standardized)) else as_floating(problem.X)


def dtype_of(problem: Problem) -> jnp.dtype:
    """The dtype that everything computed from the problem has.

    Args:
        problem: one problem.

    Returns:
        A floating dtype.
    """
    return design(problem).dtype


def row_weights(problem: Problem) -> Float[Array, " m"]:
    """The weights of the mean, w = s / sum(s); divided by the largest first, so that no sum overflows.

    Args:
        problem: one problem.

    Returns:
        (m,), summing to 1; NaN where no row has weight.
    """
    X = design(problem)
    if problem.sample_weight is None:
        return jnp.full(X.shape[0], 1 / X.shape[0], X.dtype)
    s = jnp.asarray(problem.sample_weight, X.dtype)
    s = s / jnp.max(s)
    return s / jnp.sum(s)


def weight_sum(problem: Problem) -> Float[Array, "..."]:
    """How many rows there are, a weight k counting k times.

    Args:
        problem: one problem, or several with the batch axes of the weights in front.

    Returns:
        sum(s) (...).
    """
    X = design(problem)
    if problem.sample_weight is None:
        return jnp.asarray(X.shape[-2], X.dtype)
    return jnp.sum(jnp.asarray(problem.sample_weight, X.dtype), axis=-1)


def penalties(problem: Problem) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The two penalty vectors, penalty factors multiplied in.

    Args:
        problem: one problem.

    Returns:
        l1 (n,) and l2 (n,).
    """
    X = design(problem)
    factor = jnp.asarray(1 if problem.penalty_factor is None else problem.penalty_factor, X.dtype)
    strengths = (factor * jnp.asarray(strength, X.dtype) for strength in (problem.l1, problem.l2))
    l1, l2 = (jnp.broadcast_to(strength, X.shape[1:]) for strength in strengths)
    return l1, l2


def problem_logits(params: Params, problem: Problem) -> Float[Array, " m"]:
    """The logits of the problem's rows.

    Args:
        params: coef (n,), intercept (); the intercept counts only where it is fitted.
        problem: one problem.

    Returns:
        Logits (m,); only the offset in rows of weight 0, where finite fillers may overflow.
    """
    z = _only_weighted(_linear(params, problem), problem)
    return z if problem.offset is None else z + jnp.asarray(problem.offset, z.dtype)


def _linear(params: Params, problem: Problem) -> Float[Array, " m"]:
    dtype = dtype_of(problem)
    intercept = jnp.asarray(params.intercept if problem.fit_intercept else 0, dtype)
    return times(design(problem), jnp.asarray(params.coef, dtype)) + intercept


def _only_weighted(z: Float[Array, " m"], problem: Problem) -> Float[Array, " m"]:
    return z if problem.sample_weight is None else jnp.where(jnp.asarray(problem.sample_weight) > 0, z, 0)
