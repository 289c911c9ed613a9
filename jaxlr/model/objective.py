"""One objective, its analytic gradient and its Hessian, for ONE problem; `jax.vmap` makes the batch.

For rows i = 1..m and columns j = 1..n, with w_i = s_i / sum(s) (s = sample_weight):

    z_i  = X_i . coef + intercept + offset_i
    J    = sum_i w_i l(z_i, y_i) + sum_j f_j (l1 |coef_j| + l2 / 2 coef_j^2) + l1_group sum_g sqrt(size_g) f_g |coef_g|
    g    = X' (w r) + f l2 coef,   g_0 = sum_i w_i r_i,                           r = dl/dz
    H    = [X 1]' diag(w c) [X 1] + diag(f l2, 0),                                c = d2l/dz2

The data term is a weighted MEAN, the intercept is never penalized, and g and H are those of the smooth part of J (without
the l1 terms). The type of the parameters says which model it is (l, r and c: `jaxlr.model.likelihood`): `Params` the binary
one, `SoftmaxParams` the multinomial one, every class with coefficients and a penalty of its own (glmnet's ungrouped model:
Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33, section 4). Gradient and Hessian as in McCullagh &
Nelder, Generalized Linear Models (1989), section 4.4, and Boehning 1992, Annals of the Institute of Statistical Mathematics
44, section 2. A problem with strata has the conditional likelihood (`jaxlr.model.conditional`) in place of the sums over rows.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.conditional import Matched, matched_of
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Parameters, Params, SoftmaxParams
from jaxlr.model.problem import (
    Problem,
    check_one,
    design,
    linear_change,
    penalty_of,
    problem_logits,
    row_weights,
    within_strata,
)


@program()
def loss(params: Params | SoftmaxParams, problem: Problem) -> Float[Array, ""]:
    """The objective J, the l1 terms included, in nats per unit of weight.

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem.

    Returns:
        Scalar of X's dtype; inf outside the problem's bounds, NaN where no row has weight.

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]))
        >>> round(float(loss(Params(np.zeros(2, np.float32), np.float32(0)), problem)), 6)
        0.693147
        >>> three = SoftmaxParams(np.zeros((3, 2), np.float32), np.zeros(3, np.float32))
        >>> round(float(loss(three, problem)), 6)  # log 3
        1.098612
    """
    check_one(params, problem)
    if problem.strata is not None:
        problem, sets, z = _within_strata(params, problem)
        return sets.loss(z) + penalty_of(problem).value(jnp.asarray(params.coef, z.dtype))
    z = problem_logits(params, problem)
    losses = likelihood_of_params(params).losses(z, jnp.asarray(problem.y, z.dtype))
    return jnp.sum(row_weights(problem) * losses) + penalty_of(problem).value(jnp.asarray(params.coef, z.dtype))


@program()
def gradient(params: Parameters, problem: Problem) -> Parameters:
    """The analytic gradient of the smooth part of J (l1 left out).

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem.

    Returns:
        Parameters of the same kind, of X's dtype; the intercept's entry is 0 when fit_intercept is False.

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]))
        >>> gradient(Params(np.zeros(2, np.float32), np.float32(0)), problem).coef.tolist()
        [0.25, -0.25]
    """
    check_one(params, problem)
    if problem.strata is not None:
        problem, sets, z = _within_strata(params, problem)
        coef = jnp.asarray(params.coef, z.dtype)
        return type(params)(sets.slope(z, len(coef)) + penalty_of(problem).smooth_slope(coef), jnp.zeros((), z.dtype))
    z = problem_logits(params, problem)
    r = likelihood_of_params(params).residual(z, jnp.asarray(problem.y, z.dtype))
    return _slopes(aligned(row_weights(problem), r) * r, params, problem)


@program()
def hessian(params: Params | SoftmaxParams, problem: Problem) -> Float[Array, "parameters parameters"]:
    """The Hessian of the smooth part of J, the intercept last; of K classes, class by class.

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem.

    Returns:
        Symmetric matrix (n + 1, n + 1), of K classes (K (n + 1), K (n + 1)); an intercept's row and column are 0 when
        fit_intercept is False.

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]), l2=1.0)
        >>> hessian(Params(np.zeros(2, np.float32), np.float32(0)), problem).tolist()
        [[1.125, 0.0, 0.125], [0.0, 1.125, 0.125], [0.125, 0.125, 0.25]]
    """
    check_one(params, problem)
    likelihood, l2 = likelihood_of_params(params), penalty_of(problem).padded(jnp.shape(params.coef)[-1] + 1).l2
    if problem.strata is not None:
        problem, sets, z = _within_strata(params, problem)
        return jnp.pad(sets.information(z, len(l2) - 1), (0, 1)) + jnp.diag(l2)
    X = design(problem).to_array()
    last = jnp.full((X.shape[0], 1), 1 if problem.fit_intercept else 0, X.dtype)
    d = likelihood.curvature(problem_logits(params, problem), row_weights(problem)).pairs()
    H = likelihood.assemble(Dense(jnp.concatenate([X, last], axis=1)).gram(d))
    return H + jnp.diag(jnp.tile(l2, H.shape[0] // len(l2)))


@program()
def hvp(params: Parameters, problem: Problem, v: Parameters) -> Parameters:
    """The Hessian of the smooth part of J times v, without forming the Hessian (but with strata): two products with X.

    Args:
        params: coef (n,), intercept (); of K classes `SoftmaxParams`, coef (K, n), intercept (K,).
        problem: one problem.
        v: of the same kind and shape.

    Returns:
        H v, likewise; the intercept's entry is 0 when fit_intercept is False.

    Raises:
        TypeError: params are something else, or `SoftmaxParams` of a problem with strata.
        ValueError: params or rows are not those of one problem, such as a column y (m, 1) or a batch.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.eye(2, dtype=np.float32), np.array([0, 1]), l2=1.0)
        >>> at = Params(np.zeros(2, np.float32), np.float32(0))
        >>> hvp(at, problem, Params(np.ones(2, np.float32), np.float32(0))).coef.tolist()
        [1.125, 1.125]
    """
    check_one(params, problem)
    check_one(v, problem)
    if problem.strata is not None:
        coef = dot(hessian(params, problem)[:-1, :-1], jnp.asarray(v.coef, design(problem).dtype))
        return type(params)(coef, jnp.zeros((), coef.dtype))
    curvature = likelihood_of_params(params).curvature(problem_logits(params, problem), row_weights(problem))
    return _slopes(curvature.times(linear_change(v, problem)), v, problem)


def _within_strata(params: Params | SoftmaxParams, problem: Problem) -> tuple[Problem, Matched, Float[Array, " m"]]:
    """A problem about its means within strata, these, and its logits there."""
    problem = within_strata(problem)
    return problem, matched_of(problem), problem_logits(params, problem)


def _slopes(wr: Float[Array, "*K m"], params: Parameters, problem: Problem) -> Parameters:
    """From weighted numbers of the rows to those of the parameters, with the squared penalty."""
    X = design(problem)
    coef = X.transposed_times(wr) + penalty_of(problem).smooth_slope(jnp.asarray(params.coef, X.dtype))
    intercept = jnp.sum(wr, axis=-1) if problem.fit_intercept else jnp.zeros(wr.shape[:-1], X.dtype)
    return type(params)(coef, intercept)
