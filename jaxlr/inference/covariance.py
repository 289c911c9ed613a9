"""Covariance of the estimates: V = I^-1 M I^-1, with Fisher's information I and the M that a kind of error asks for.

    model       M = I = sum_i s_i W_i (x) a_i a_i'                               a = (x, 1), W_i the curvature of the loss
    HC0         M = sum_i s_i u_i u_i',  u_i = r_i (x) a_i                       robust to a wrong model of the variance
    HC1         HC0 times N / (N - k),  N = sum_i s_i, k free parameters
    HC2, HC3    u_i over sqrt(1 - h_i), over 1 - h_i,  h_i = c_i a_i' I^-1 a_i the leverage of one row
    sampling    M = sum_i s_i^2 u_i u_i', times m / (m - 1) for m rows           weights of a survey, or inverse probabilities
    cluster     M = sum_g v_g v_g', v_g the sum of s_i u_i in cluster g, times G / (G - 1) (N - 1) / (N - k)
    HAC         M = sum_{|t - l| <= L} (1 - |t - l| / (L + 1)) s_t u_t s_l u_l', times N / (N - k)       rows in order of time

with W_i = p (1 - p) and r_i = p - y of two classes, diag(p) - p p' and p - e_label of several. A weight k means the row k
times, but for "sampling", where errors do not depend on the scale of the weights. With clusters of several ways, errors are
those of each way, less those of their intersections, and so on. Factors for small samples can be switched off.

McCullagh & Nelder, Generalized Linear Models (1989), sections 4.4.4 and 5.2.4; White 1982, Econometrica 50, theorem 3.2;
MacKinnon & White 1985, Journal of Econometrics 29, section 2 (HC1 to HC3); Binder 1983, International Statistical Review 51,
section 4 (sampling); Liang & Zeger 1986, Biometrika 73, section 2; Cameron, Gelbach & Miller 2011, Journal of Business &
Economic Statistics 29, section 2.2; Newey & West 1987, Econometrica 55, eq. 5.
"""

from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inference.fitted import Fitted, check_base, fitted, functionals
from jaxlr.inference.over_models import over_models
from jaxlr.inputs.checks import Data, check_count
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers.system import mean_information

_KINDS = ("model", "HC0", "HC1", "HC2", "HC3", "sampling", "cluster", "HAC")


class _Asked(NamedTuple):
    """What is static: the arguments, and for each set of clusters its sign and how many there are."""

    kind: str
    base: int | None
    lags: int
    small_sample: bool
    clusters: tuple[tuple[int, int], ...]


def covariance(
    fit: Fit,
    problem: Problem,
    *,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool = True,
    base: int | None = 0,
    penalized: bool = False,
) -> Float[Array, "... p p"]:
    """Estimated covariance of the estimates, of every model of a fit.

    Args:
        fit: by `jaxlr.fit`, `fit_firth` and so on, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        kind: "model", the sandwiches "HC0" to "HC3", "sampling", "cluster" or "HAC", as the file of this function defines them;
            "HC2" and "HC3" of two classes alone.
        clusters: for "cluster", labels of any kind (m,), or of d ways (m, d).
        lags: for "HAC", L >= 0, how many rows apart errors may depend on each other. A row of weight 0 keeps its place.
        small_sample: whether "sampling", "cluster" and "HAC" have their factors for small samples.
        base: of K classes, the one that all are compared with, as in most tables: the covariance is that of the parameters of
            each class less those of the base. None takes those of the fit, which sum to 0 over the classes.
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and V is the covariance of the posterior
            under the prior that l2 stands for (Wood, Generalized Additive Models, 2017, section 6.10).

    Returns:
        (..., n + 1, n + 1), intercept last; of K classes (..., K (n + 1), K (n + 1)), class by class as in `jaxlr.hessian`. 0
        in the rows and columns of the base, and of an intercept that is not fitted. NaN where a model is not CONVERGED, and for
        parameters that the data do not determine: those of columns that depend on others before them, as in R, and those that
        share a coefficient with such a column, in a resample.

    Raises:
        ValueError: a penalized fit, unless asked for; the data of another fit; an unknown kind, or clusters or lags that it
            does not go with; fewer than two clusters; base is no class; shapes that do not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y)).shape
        (2, 2)
        >>> V = covariance(jaxlr.fit(X, y), jaxlr.Problem(X, y), kind="cluster", clusters=["a", "a", "b", "c"])
        >>> round(float(V[0, 0]), 2)
        0.58

    References:
        Those of the file of this function.
    """
    if kind not in _KINDS:
        raise ValueError(f"expected kind {', '.join(map(repr, _KINDS))}, got {kind!r}")
    check_base(fit.params, base)
    if kind in ("HC2", "HC3") and likelihood_of_params(fit.params).classes:
        raise ValueError(f'expected a fit of two classes in one logit for {kind!r}, got a multinomial one; use "HC0" or "HC1"')
    for name, value, its_kind in (("clusters", clusters, "cluster"), ("lags", lags, "HAC")):
        if (value is None) == (kind == its_kind):
            raise ValueError(
                f"expected {name} with kind {its_kind!r} and with no other, got {name} {value!r} and kind {kind!r}"
            )
    if lags is not None:
        check_count("lags", lags, 0)
    codes, sets = ((), ()) if clusters is None else _sets_of_clusters(clusters, np.shape(problem.X)[-2])
    asked = _Asked(kind, base, lags or 0, bool(small_sample), sets)
    return over_models(
        _covariance, fit, problem, penalized=penalized, options=(asked,), shared=codes, by_row=kind in ("cluster", "HAC")
    )


def _sets_of_clusters(clusters: Data, m: int) -> tuple[tuple[np.ndarray, ...], tuple[tuple[int, int], ...]]:
    """For every way and every intersection of ways the number of each row's cluster (m,), its sign, and how many there are."""
    labels = np.asarray(clusters)
    if labels.ndim not in (1, 2) or labels.shape[0] != m:
        raise ValueError(f"expected clusters ({m},), or ({m}, d) of d ways, one label a row, got shape {labels.shape}")
    columns = [np.unique(column, return_inverse=True)[1] for column in labels.reshape(m, -1).T]
    if any(column.max() < 1 for column in columns):
        raise ValueError("expected at least two clusters, got one, whose sum of scores is 0")
    codes, sets = [], []
    for ways in range(1, len(columns) + 1):
        for chosen in combinations(columns, ways):
            number = np.unique(np.stack(chosen, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
            codes.append(number.astype(np.int32))
            sets.append(((-1) ** (ways + 1), int(number.max()) + 1))
    return tuple(codes), tuple(sets)


def _covariance(params: Params | SoftmaxParams, problem: Problem, *codes_asked_basis: Any) -> Float[Array, "p p"]:
    *codes, asked, basis = codes_asked_basis
    model = fitted(params, problem, basis)
    system, total, k = model.system, model.system.total, model.num_parameters
    root = inverse_root(mean_information(system, model.z), model.free.reshape(-1)) / jnp.sqrt(total)
    half = dot(root, functionals(model, asked.base).T)
    if asked.kind == "model":
        return dot(half.T, half)
    s, present = total * system.w, system.w > 0
    scores, leverage = _scores(model, root)
    rows = dot(scores.T, half)  # u_i' I^-1, of the parameters on X (m, p)
    if asked.kind.startswith("HC"):
        power = {"HC2": 0.5, "HC3": 1.0}.get(asked.kind, 0.0)
        rows = rows * (jnp.sqrt(s) / (1 - leverage) ** power)[:, None]
        V = dot(rows.T, rows)
        return V * (total / (total - k)) if asked.kind == "HC1" else V
    rows = rows * s[:, None]
    if asked.kind == "sampling":
        m = jnp.sum(present.astype(s.dtype))
        return dot(rows.T, rows) * (m / (m - 1) if asked.small_sample else 1)
    small = total / (total - k)
    if asked.kind == "HAC":
        V = _with_lags(rows, asked.lags)
        return V * small if asked.small_sample else V
    V = jnp.zeros_like(half, shape=(half.shape[1],) * 2)
    for number, (sign, count) in zip(codes, asked.clusters, strict=True):
        sums = jax.ops.segment_sum(rows, number, count)
        G = jnp.sum(jax.ops.segment_max(present.astype(s.dtype), number, count))
        factor = G / (G - 1) * small * ((total - 1) / total) if asked.small_sample else 1
        V = V + sign * factor * dot(sums.T, sums)
    return V


def _scores(model: Fitted, root: Float[Array, "p p"]) -> tuple[Float[Array, "p m"], Float[Array, " m"]]:
    """R u_i of every row, 0 without weight, and of two classes its leverage c_i |R a_i|^2, R' R = I^-1."""
    system, likelihood = model.system, model.system.likelihood
    moved = system.A.times(root.reshape(-1, *model.x.shape))
    moved = jnp.where(aligned(system.w, moved) > 0, moved, 0)
    r = likelihood.reduce(likelihood.residual(model.z, system.y))
    scores = jnp.sum(moved * r[None], axis=tuple(range(1, r.ndim)))
    if likelihood.classes:
        return scores, jnp.zeros_like(system.w)
    c = likelihood.curvature(model.z, jnp.ones_like(system.w)).diagonal()
    return scores, c * jnp.sum(moved**2, axis=0)


def _with_lags(rows: Float[Array, "m p"], lags: int) -> Float[Array, "p p"]:
    """Sums of products of rows up to so many places apart, under Bartlett's weights."""
    V = dot(rows.T, rows)
    for lag in range(1, min(lags, len(rows) - 1) + 1):
        product = dot(rows[lag:].T, rows[:-lag])
        V = V + (1 - lag / (lags + 1)) * (product + product.T)
    return V
