"""Standard errors, tests and intervals of multinomial models without a penalty.

With Q the contrasts of the classes (K, K - 1) and x the parameters in them, coef = Q x, the covariance of the estimates is

    cov(x) = (N H)^-1,   H the Hessian of the mean loss in x,      var(c . coef_j) = (Q'c)' cov(x_j) (Q'c),   N = sum(s)

c being a class, or a class less the base: the parametrization of most tables, in which the base class has coefficients 0.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.inference.over_models import over_models, working
from jaxlr.inference.tails import log_normal_tails, normal_quantile
from jaxlr.inference.wald import Wald
from jaxlr.inputs.checks import check_count
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.model.problem import Problem, row_weights, weight_sum
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.softmax_objective import class_logits, class_proba, contrasts
from jaxlr.results.fit import Fit
from jaxlr.solvers.softmax_newton import class_hessian


def softmax_wald(fit: Fit, problem: Problem, *, base: int | None = 0, level: float = 0.95) -> Wald:
    """Wald's test and interval for every parameter of every multinomial model.

    Args:
        fit: by `jaxlr.fit_softmax`, without a penalty, its batch shape in front.
        problem: its data, y the labels, offset (..., m, K), each field with the batch axes that it had there. A weight k is k
            rows.
        base: the class that all are compared with, as in most tables: coefficients are those of a class less those of the
            base, whose own are 0 and have no error (NaN). None keeps those of the fit, which sum to 0 over the classes.
        level: of the intervals, in (0, 1).

    Returns:
        Wald, each field SoftmaxParams, coef (..., K, n) and intercept (..., K); NaN for a model that is not CONVERGED, or whose
        columns depend on each other.

    Raises:
        ValueError: the fit is penalized or no multinomial one, the problem is not its problem, base is no class, or level is
            not in (0, 1).

    Example:
        >>> import numpy as np, jaxlr
        >>> X, labels = np.array([[0.0], [1], [2], [3], [4], [5], [2], [3]]), np.array([0, 0, 1, 2, 1, 2, 2, 0])
        >>> tests = softmax_wald(jaxlr.fit_softmax(X, labels, 3), jaxlr.Problem(X, labels))
        >>> tests.standard_error.coef.round(2).tolist()
        [[nan], [0.98], [0.99]]

    References:
        McCullagh & Nelder, Generalized Linear Models (1989), section 5.2.4; Agresti, Categorical Data Analysis (2002), section
        7.1 (baseline-category logits).
    """
    reach = normal_quantile(level)
    coef, intercept = (jnp.asarray(part) for part in fit.params)
    if base is not None:
        check_count("base", base, 0)
    if isinstance(fit.params, SoftmaxParams) and base is not None and base >= coef.shape[-2]:
        raise ValueError(f"expected base None or a class from 0 to {coef.shape[-2] - 1}, got {base!r}")
    errors = over_models(_errors, fit, problem, multinomial=True, options=(base,))
    estimate = jnp.concatenate([coef, intercept[..., None]], axis=-1)
    estimate = estimate if base is None else estimate - estimate[..., base : base + 1, :]
    z = jnp.where(errors > 0, estimate / jnp.where(errors > 0, errors, 1), jnp.nan)
    log_p = log_normal_tails(z)
    fields = (estimate, errors, z, jnp.exp(log_p), log_p, estimate - reach * errors, estimate + reach * errors)
    return Wald(*(SoftmaxParams(field[..., :-1], field[..., -1]) for field in fields))


def _errors(params: SoftmaxParams, problem: Problem, base: int | None) -> Float[Array, "K parameters"]:
    """Standard errors, that of the intercept last; NaN of what is known to be 0."""
    num_classes, n = params.coef.shape
    Q, (shared, to_X) = contrasts(num_classes), working(problem)
    k = shared.A.shape[1]
    H = class_hessian(shared, row_weights(problem), class_proba(class_logits(params, problem)), Q)
    root = inverse_root(weight_sum(problem) * H).reshape(-1, num_classes - 1, k)
    of_class = jnp.asarray(Q if base is None else Q - Q[base], H.dtype)
    errors = jnp.linalg.norm(jnp.einsum("rbk,cb,jk->rcj", root, of_class, to_X, precision="highest"), axis=0)
    errors = jnp.pad(errors, ((0, 0), (0, n + 1 - errors.shape[1])))
    return jnp.where(errors > 0, errors, jnp.nan)
