"""Marginal effects: how a probability changes with a column, at some rows or on average over all of them.

    dydx   d p / d x_j            of two classes p (1 - p) coef_j, of several p_k (coef_kj - sum_l p_l coef_lj)
    eyex   d log p / d log x_j    dydx x_j / p                    elasticity
    dyex   d p / d log x_j        dydx x_j
    eydx   d log p / d x_j        dydx / p
    discrete columns              p at x_j = 1 less p at x_j = 0, of the logarithms of p for "eydx"

Errors are those of the delta method (`jaxlr.inference.delta`): rows are taken as they are, and only the estimate is random.

Greene, Econometric Analysis (2012), section 17.3.2, eqs. 17-18 to 17-20; Cameron & Trivedi, Microeconometrics (2005), section
14.3.2 (two classes), 15.4.3 (several).
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.batching.loops import loop
from jaxlr.inference.comparisons import compared
from jaxlr.inference.delta import Effects, derivatives, effects, pullbacks, standard_error
from jaxlr.inference.fitted import fitted
from jaxlr.inference.meat import Kind, checked_kind, errors_of
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.rows import Rows, checked_rows, coordinates
from jaxlr.inference.tails import normal_quantile
from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.sparse import is_sparse, sparse_design, to_dense
from jaxlr.inputs.tables import DesignData, column_names, is_concrete
from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.moments import column_moments
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.logistic import curvature, log_sigmoid, sigmoid
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.model.problem import Problem, row_weights
from jaxlr.model.softmax import log_softmax
from jaxlr.results.fit import Fit

_METHODS = ("dydx", "eyex", "dyex", "eydx")
_PLACES = ("overall", "mean", "median")


def marginal_effects(
    fit: Fit,
    problem: Problem,
    *,
    at: str | DesignData = "overall",
    method: str = "dydx",
    discrete: str | Sequence[int | str] = (),
    offset: Data | None = None,
    level: float = 0.95,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    penalized: bool = False,
) -> Effects:
    """The effect of every column on the probability that y = 1, or on that of every class, in every model of a fit.

    Args:
        fit: as in `jaxlr.inference.covariance`.
        problem: its data, as there; weights count as copies of rows.
        at: "overall", the average of the effects at all rows; "mean" or "median", the effects at the means or the medians of
            the columns (and of the offset); or rows (r, n), a table too, the effects at each.
        method: "dydx", "eyex", "dyex" or "eydx".
        discrete: columns, by index or name, whose effect is that of 1 against 0, all others as they are; "binary" is all
            columns that hold nothing but 0 and 1. Not with "eyex" and "dyex". Of factors see `jaxlr.inference.comparisons`.
        offset: of the rows `at`, as in `jaxlr.inference.predictions`.
        level: of the intervals, in (0, 1).
        kind, clusters, lags, small_sample, penalized: as in `jaxlr.inference.covariance`.

    Returns:
        Effects (..., n), of K classes (..., K, n); at rows (..., r, n) and (..., r, K, n). Where columns depend on each other
        the errors of the later ones are NaN, and the effects of the others those of the fit without these, as in R.

    Raises:
        TypeError, ValueError: as `covariance`; `at`, method, discrete or the shape of rows is none of these.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0, 1], [1, 0], [2, 0], [3, 1], [4, 0], [5, 1]]), np.array([0, 1, 0, 1, 0, 1])
        >>> found = marginal_effects(jaxlr.fit(X, y), jaxlr.Problem(X, y), discrete=[1])
        >>> [np.asarray(part, float).round(2).tolist() for part in (found.estimate, found.standard_error)]
        [[0.07, 0.31], [0.1, 0.38]]

    References:
        Greene, Econometric Analysis (2012), section 17.3.2; Bartus 2005, Stata Journal 5 (discrete columns).
    """
    check_given(fit, problem)
    reach = normal_quantile(level)
    if not (isinstance(method, str) and method in _METHODS):
        raise ValueError(f"expected method {', '.join(map(repr, _METHODS))}, got {method!r}")
    if at is None or (isinstance(at, str) and at not in _PLACES):
        raise ValueError(f"expected at {', '.join(map(repr, _PLACES))}, or rows (r, n), got {at!r}")
    if isinstance(at, str) and offset is not None:
        raise ValueError(
            f"expected an offset with rows only, got one with at={at!r}, which takes that of the problem; leave it out"
        )
    place = at if isinstance(at, str) else "rows"
    rows = None if isinstance(at, str) else checked_rows(fit, problem, at, offset, "at")
    asked, numbers = checked_kind(fit, problem, kind, clusters, lags, small_sample)
    columns = _discrete_columns(discrete, fit, problem)
    if columns and method.endswith("ex"):
        raise ValueError(f'expected method "dydx" or "eydx" for discrete columns, got {method!r}: their logarithm is that of 0')
    estimate, error = over_models(
        _marginal_effects, fit, problem, penalized=penalized, options=(asked, place, method, columns), shared=(numbers,),
        rows=(rows,), by_row=asked.by_row,
    )  # fmt: skip
    return effects(estimate, error, reach)


def _discrete_columns(discrete: Any, fit: Fit, problem: Problem) -> tuple[int, ...]:
    """Their indices."""
    n, given, X = np.shape(fit.params.coef)[-1], problem.X, None
    if is_concrete(given):
        dense = to_dense(sparse_design(given)) if is_sparse(given) else real_array("X", given)
        X = np.asarray(dense).reshape(math.prod(dense.shape[:-1]), n)
    if isinstance(discrete, str):
        if discrete != "binary":
            raise ValueError(f'expected discrete to be "binary" or a list of columns, got {discrete!r}; list one column too')
        if X is None:
            raise TypeError('expected X that is known outside jit for discrete="binary", got a tracer; list the columns')
        return tuple(np.flatnonzero(np.all((X == 0) | (X == 1), axis=0) & np.any(X[:1] != X, axis=0)).tolist())
    chosen = list(discrete) if isinstance(discrete, (list, tuple, range, np.ndarray)) and np.iterable(discrete) else [None]
    if any(column is None or isinstance(column, (bool, np.bool_)) for column in chosen):
        raise TypeError(f'expected discrete to be "binary" or a list of indices or names of columns, got {discrete!r}')
    names, found = fit.names or column_names(given) or (), []
    for column in chosen:
        if isinstance(column, str) and column in names:
            found.append(names.index(column))
        elif isinstance(column, (int, np.integer)) and -n <= column < n:
            found.append(int(column) % n)
        else:
            known = f"or {', '.join(map(repr, names[:5]))}{', ...' * (len(names) > 5)}" if names else "(they have no names)"
            raise ValueError(f"expected discrete columns from 0 to {n - 1} {known}, got {column!r}")
        if X is not None and not np.isin(X[:, found[-1]], [0, 1]).all():
            raise ValueError(
                f"expected discrete columns of 0 and 1, got other numbers in column {column!r}; compare any two of its values "
                "with jaxlr.inference.comparisons"
            )
    return tuple(dict.fromkeys(found))


def _marginal_effects(
    params: Params | SoftmaxParams,
    problem: Problem,
    rows: Rows | None,
    clusters: Array,
    kind: Kind,
    place: str,
    method: str,
    discrete: tuple[int, ...],
    basis: int,
) -> tuple[Array, Array]:
    model = fitted(params, problem, basis)
    errors, likelihood, w = errors_of(model, kind, clusters), model.system.likelihood, row_weights(problem)

    columns = np.array(discrete, int)

    def at_rows(X: Float[Array, "r n"], offset: Array | None, weights: Float[Array, " r"]) -> tuple[Array, Array]:
        """Their weighted mean, and its error."""
        z = logits(params, X, offset)
        z = z.T if likelihood.classes else z
        own, determined = coordinates(model, X)
        at, rows = (z, params.coef), (own, model.determined[: X.shape[1]])
        function = lambda z, coef: _average_effects(z, coef, X, weights, method, likelihood)  # noqa: E731
        found, error = function(*at), standard_error(derivatives(function, at, rows, model, errors, X.size), errors)
        if len(columns):
            contrast = lambda x, slope, row: of_column(z, own, weights, x, slope, row)  # noqa: E731
            one, its_error = loop(contrast, (0, 0, 0))(X.T[columns], params.coef.T[columns], rows[1][columns])
            found, error = found.at[..., columns].set(one.T), error.at[..., columns].set(its_error.T)
        known = jnp.all(determined | (weights == 0)) | (place == "overall")
        return found, jnp.where(known, error, jnp.nan)

    def of_column(
        z: Float[Array, "*K r"], own: Array, weights: Array, x: Float[Array, " r"], slope: Array, row: Float[Array, " k"]
    ) -> tuple[Array, Array]:
        """1 against 0 in a discrete column."""

        def function(z: Array, slope: Array) -> Array:
            low, high = (likelihood.log_odds(z + slope * aligned(value - x, z)) for value in (0, 1))
            if method == "dydx":
                return compared(low, high, weights, "difference")
            return dot(log_sigmoid(high) - log_sigmoid(low), weights)

        at, rows = (z, slope[..., None]), (own, row[None])
        return function(*at), standard_error(pullbacks(function, at, rows, model, errors), errors)

    if place == "overall":
        return at_rows(problem.X, problem.offset, w)
    one = jnp.ones(1, w.dtype)
    if rows is not None:
        offsets = () if rows.offset is None else (rows.offset,)
        each = lambda X, *offset: at_rows(X[None], offset[0][None] if offset else None, one)  # noqa: E731
        return loop(each, (0,) * (1 + len(offsets)))(rows.X, *offsets)
    s = jnp.ones_like(w) if problem.sample_weight is None else jnp.asarray(problem.sample_weight, w.dtype)
    middle = (lambda part: column_moments(part, w)[0]) if place == "mean" else lambda part: _medians(part, s)
    offset = None
    if problem.offset is not None:
        offset = middle(problem.offset.reshape(len(w), -1)).reshape(1, *problem.offset.shape[1:])
    return at_rows(middle(problem.X)[None], offset, one)


def _average_effects(
    z: Float[Array, "*K r"],
    coef: Float[Array, "*K n"],
    X: Float[Array, "r n"],
    weights: Float[Array, " r"],
    method: str,
    likelihood: Likelihood,
) -> Float[Array, "*K n"]:
    """The weighted mean over rows."""
    relative, scaled = method.startswith("ey"), method.endswith("ex")

    def mean(of_rows: Float[Array, "*K r"]) -> Float[Array, "*K n"]:
        if scaled:
            return dot(of_rows * aligned(weights, of_rows), X)
        return jnp.broadcast_to(dot(of_rows, weights)[..., None], (*of_rows.shape[:-1], X.shape[1]))

    if not likelihood.classes:
        return coef * mean(sigmoid(-z) if relative else curvature(z))
    p = jnp.exp(log_softmax(z, axis=0))

    def of_class(p_k: Float[Array, " r"], coef_k: Float[Array, " n"]) -> Float[Array, " n"]:
        """p_k sum_l p_l (coef_k - coef_l), in which nothing cancels where p_k is near 1."""
        return jnp.sum(mean(p if relative else p * p_k[None, :]) * (coef_k[None, :] - coef), axis=0)

    return loop(of_class, (0, 0))(p, coef)


def _medians(columns: Float[Array, "m n"], s: Float[Array, " m"]) -> Float[Array, " n"]:
    """Of rows that stand there as often as their weights say: the mean of the two in the middle."""
    total, eps = jnp.sum(s), jnp.finfo(s.dtype).eps
    exact = jnp.all(s == jnp.round(s)) & (total * eps < 1)
    slack = jnp.where(exact, 0, 32 * eps * total)  # a sum that is one half but for rounding

    def median(column: Float[Array, " m"]) -> Float[Array, ""]:
        order = jnp.argsort(jnp.where(s > 0, column, jnp.inf))
        below = jnp.cumsum(s[order])
        lower = column[order[jnp.searchsorted(below, total / 2 - slack)]]
        upper = column[order[jnp.searchsorted(below, total / 2 + slack, side="right")]]
        return lower + (upper - lower) / 2

    return jax.vmap(median)(columns.T)
