"""Comparisons of two versions of the same rows, on average: at the higher, and at the lower value of something.

    p1 = sum_i w_i P(y = 1 | high_i)        p0 = sum_i w_i P(y = 1 | low_i)        w sums to 1

    difference       p1 - p0                                                  average treatment effect, risk difference
    log_ratio        log(p1 / p0)                                             logarithm of the relative risk
    log_odds_ratio   log(p1 / (1 - p1)) - log(p0 / (1 - p0))                  that of the marginal odds ratio

Standardization, or the g-formula of one point in time. Errors are those of the delta method (`jaxlr.inference.delta`).

Hernan & Robins, Causal Inference: What If (2020), section 13.3; Lane & Nelder 1982, Biometrics 38 (predicted margins).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp
from jaxtyping import Array, Float

from jaxlr.inference.delta import Effects, effects, pullbacks, standard_error
from jaxlr.inference.fitted import fitted
from jaxlr.inference.meat import Kind, checked_kind, errors_of
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.rows import Rows, checked_rows, coordinates
from jaxlr.inference.tails import normal_quantile
from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.tables import DesignData, is_concrete
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.logistic import log_sigmoid, sigmoid
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit

_MEASURES = ("difference", "log_ratio", "log_odds_ratio")


def comparisons(
    fit: Fit,
    problem: Problem,
    low: DesignData,
    high: DesignData,
    *,
    measure: str = "difference",
    sample_weight: Data | None = None,
    offset: Data | None = None,
    level: float = 0.95,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    penalized: bool = False,
) -> Effects:
    """The average probability of rows at the higher value of something against that at the lower, in every model of a fit.

    Args:
        fit: as in `jaxlr.inference.covariance`.
        problem: its data, as there.
        low: rows (r, n) or (..., r, n), as in `jaxlr.inference.predictions`: as a rule those of the problem, with some of their
            columns changed, such as all dummies of a factor, or a column with its square.
        high: the same rows at the other value.
        measure: "difference", "log_ratio" or "log_odds_ratio".
        sample_weight: of these rows (r,) >= 0; None is that of the problem, of whose rows they are then versions, r = m.
        offset: of these rows, as in `jaxlr.inference.predictions`.
        level: of the intervals, in (0, 1).
        kind, clusters, lags, small_sample, penalized: as in `jaxlr.inference.covariance`.

    Returns:
        Effects (...), of K classes (..., K).

    Raises:
        TypeError, ValueError: as `predictions`; low and high of other shapes; a measure that is none of these; weights that are
            negative or all 0.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0], [5, 1]]), np.array([0, 1, 0, 1, 0, 1])
        >>> found = comparisons(jaxlr.fit(X, y), jaxlr.Problem(X, y), X * [1, 0], X * [1, 0] + [0, 1])
        >>> round(float(found.estimate), 2), round(float(found.standard_error), 2)
        (0.31, 0.38)

    References:
        Hernan & Robins, Causal Inference: What If (2020), section 13.3; Greenland 1991, Biometrics 47 (standardized measures).
    """
    check_given(fit, problem)
    reach = normal_quantile(level)
    if not (isinstance(measure, str) and measure in _MEASURES):
        raise ValueError(f"expected measure {', '.join(map(repr, _MEASURES))}, got {measure!r}")
    m = np.shape(problem.X)[-2]
    rows = tuple(checked_rows(fit, problem, X, offset, name) for X, name in ((low, "low"), (high, "high")))
    sizes = [own.X.shape[-2] for own in rows if own is not None]
    if len(sizes) < 2:
        raise TypeError("expected low and high to be rows (r, n), got None; low may be the X of the problem")
    if sizes[0] != sizes[1]:
        raise ValueError(f"expected low and high (r, n) of the same rows, got {sizes} rows; make both of one X")
    weights = None if sample_weight is None else _checked_weights(sample_weight, sizes[0], jnp.asarray(fit.value).dtype)
    if weights is None and sizes[0] != m:
        raise ValueError(
            f"expected low and high of the {m} rows of the problem, or a sample_weight, got {sizes[0]} rows; "
            "np.ones(r) weighs them alike"
        )
    asked, numbers = checked_kind(fit, problem, kind, clusters, lags, small_sample)
    estimate, error = over_models(
        _comparisons, fit, problem, penalized=penalized, options=(asked, measure), shared=(weights, numbers), rows=rows,
        by_row=True,
    )  # fmt: skip
    return effects(estimate, error, reach)


def _checked_weights(sample_weight: Data, r: int, dtype: Any) -> Float[Array, " r"]:
    """Weights of r rows in the dtype of a fit; of known ones the values are checked, also in someone's jit."""
    given = real_array("sample_weight", sample_weight)
    if given.shape != (r,):
        raise ValueError(
            f"expected sample_weight ({r},), one for each row of low and high, got {given.shape}; None is that of the problem"
        )
    if is_concrete(given):
        with np.errstate(over="ignore"):
            s = np.asarray(given).astype(dtype)
        if not (np.isfinite(s).all() and np.all(s >= 0) and np.any(s > 0)):
            raise ValueError("expected finite sample_weight >= 0 that are not all 0, got others; weigh rows by numbers")
    return jnp.asarray(given, dtype)


def _comparisons(
    params: Params | SoftmaxParams,
    problem: Problem,
    low: Rows,
    high: Rows,
    weights: Float[Array, " r"] | None,
    clusters: Array,
    kind: Kind,
    measure: str,
    basis: int,
) -> tuple[Array, Array]:
    model = fitted(params, problem, basis)
    errors, likelihood = errors_of(model, kind, clusters), model.system.likelihood
    w = row_weights(problem) if weights is None else weights / jnp.max(weights)
    w = w / jnp.sum(w)
    at = tuple(logits(params, own.X, own.offset) for own in (low, high))
    at = tuple(z.T if likelihood.classes else z for z in at)
    (before, known), (after, also) = (coordinates(model, own.X) for own in (low, high))

    def function(low: Array, high: Array) -> Array:
        return compared(likelihood.log_odds(low), likelihood.log_odds(high), w, measure)

    along = pullbacks(function, at, (before, after), model, errors)
    determined = jnp.all((known & also) | (w == 0))
    return function(*at), jnp.where(determined, standard_error(along, errors), jnp.nan)


def compared(low: Float[Array, "*K r"], high: Float[Array, "*K r"], w: Float[Array, " r"], measure: str) -> Float[Array, "*K"]:
    """The measure of rows of these log odds, under weights that sum to 1; nothing cancels where probabilities are near 0 or 1.

    Differences of rows are sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)).
    """
    if measure == "difference":
        up, down = (sigmoid(a) * sigmoid(-b) * -jnp.expm1(jnp.where(b <= a, b - a, 0)) for a, b in ((high, low), (low, high)))
        return dot(jnp.where(high >= low, up, -down), w)

    def log_mean(eta: Float[Array, "*K r"]) -> Float[Array, "*K"]:
        return logsumexp(log_sigmoid(eta), axis=-1, b=aligned(w, eta))

    ratio = log_mean(high) - log_mean(low)
    return ratio if measure == "log_ratio" else ratio - (log_mean(-high) - log_mean(-low))
