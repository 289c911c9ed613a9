"""Predicted probabilities with their standard errors and intervals.

    eta = log(p / (1 - p))        se(eta)^2 = (d eta / d b) V (d eta / d b)'        se(p) = p (1 - p) se(eta)
    lower, upper = sigmoid(eta -+ quantile se(eta))

of two classes eta is the logit, x . coef + intercept + offset; of several, for each class, z_k - log sum_{l != k} exp(z_l), so
that the intervals of probabilities stay between 0 and 1. The interval is that of the probability, not of a new label.

Hosmer, Lemeshow & Sturdivant, Applied Logistic Regression (2013), section 1.4, eqs. 1.10 and 1.11; Agresti, Categorical Data
Analysis (2002), section 5.4.3.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.batching.loops import in_groups
from jaxlr.inference.delta import derivatives, standard_error
from jaxlr.inference.fitted import fitted
from jaxlr.inference.meat import Kind, checked_kind, errors_of
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.rows import Rows, checked_rows, coordinates
from jaxlr.inference.tails import normal_quantile
from jaxlr.inputs.checks import Data
from jaxlr.inputs.tables import DesignData
from jaxlr.linalg.dot import aligned
from jaxlr.model.logistic import curvature, sigmoid
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit

_MOST_NUMBERS = 2**24  # of the rows of a group, moved along all parameters


class Predictions(NamedTuple):
    """Probabilities (..., r) that y = 1 in r rows, of K classes (..., r, K), and how sure they are.

    Attributes:
        proba: as `jaxlr.predict_proba` has them.
        standard_error: of the probabilities; NaN where a model is not CONVERGED, and in rows whose logits its data do not
            determine.
        lower: ends of the intervals, in [0, 1].
        upper: ends of the intervals.
    """

    proba: Any
    standard_error: Any
    lower: Any
    upper: Any


def predictions(
    fit: Fit,
    problem: Problem,
    X: DesignData | None = None,
    *,
    offset: Data | None = None,
    level: float = 0.95,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    penalized: bool = False,
) -> Predictions:
    """Probabilities with standard errors and intervals, of the rows that were fitted or of new ones, in every model of a fit.

    Args:
        fit: as in `jaxlr.inference.covariance`.
        problem: its data, as there.
        X: rows (r, n), or (..., r, n) with the batch axes of the fit; of a table the columns go by name, as in
            `jaxlr.predict_proba`. None takes those of the problem.
        offset: of these rows, (r,) or (..., r), of K classes (r, K) or (..., r, K); needed with X where the problem has one.
        level: of the intervals, in (0, 1).
        kind, clusters, lags, small_sample, penalized: as in `jaxlr.inference.covariance`.

    Returns:
        Predictions, of the dtype of the fit. A row with NaN has NaN.

    Raises:
        TypeError, ValueError: as `covariance`; rows with another number of columns; no offset where the problem has one, or one
            without X; level is not in (0, 1).

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> found = predictions(jaxlr.fit(X, y), jaxlr.Problem(X, y), np.array([[1.5], [4.0]]))
        >>> [np.asarray(part, float).round(2).tolist() for part in found]
        [[0.5, 0.91], [0.28, 0.25], [0.1, 0.03], [0.9, 1.0]]

    References:
        Hosmer, Lemeshow & Sturdivant, Applied Logistic Regression (2013), section 1.4; predict(se.fit=TRUE) of R's glm.
    """
    check_given(fit, problem)
    reach = jnp.asarray(normal_quantile(level), jnp.asarray(fit.value).dtype)
    asked, numbers = checked_kind(fit, problem, kind, clusters, lags, small_sample)
    rows = checked_rows(fit, problem, X, offset)
    return over_models(
        _predictions, fit, problem, penalized=penalized, options=(asked,), shared=(reach, numbers),
        rows=(rows,),
        by_row=X is None or asked.by_row,
    )  # fmt: skip


def _predictions(
    params: Params | SoftmaxParams,
    problem: Problem,
    rows: Rows | None,
    reach: Float[Array, ""],
    clusters: Array,
    kind: Kind,
    basis: int,
) -> Predictions:
    model = fitted(params, problem, basis)
    likelihood, errors = model.system.likelihood, errors_of(model, kind, clusters)
    fitted_rows = jnp.zeros(1, bool) if rows is not None else row_weights(problem) > 0  # these determine their logits
    rows = Rows(problem.X, problem.offset) if rows is None else rows
    z = logits(params, rows.X, rows.offset)
    z = z.T if likelihood.classes else z

    def of_rows(group: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        X, z, known = group
        at, determined = coordinates(model, X)
        eta = likelihood.log_odds(z.T)
        along = derivatives(likelihood.log_odds, (z.T,), (at,), model, errors)
        return eta.T, jnp.where(aligned(known | determined, eta), standard_error(along, errors), jnp.nan).T

    most = max(1, _MOST_NUMBERS // math.prod(errors.root.shape[:1] + likelihood.classes))
    eta, error = in_groups(of_rows, (rows.X, z.T, jnp.broadcast_to(fitted_rows, rows.X.shape[:1])), most)
    p = sigmoid(eta)
    return Predictions(p, curvature(eta) * error, sigmoid(eta - reach * error), sigmoid(eta + reach * error))
