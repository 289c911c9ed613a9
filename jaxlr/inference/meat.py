"""Covariance of linear functions of the estimates, C b: V = C I^-1 M I^-1 C', with Fisher's information I and a meat M.

    model       M = I = sum_i s_i W_i (x) a_i a_i'                               a = (x, 1), W_i the curvature of the loss
    HC0         M = sum_i s_i u_i u_i',  u_i = r_i (x) a_i                       robust to a wrong model of the variance
    HC1         HC0 times N / (N - k),  N = sum_i s_i, k free parameters
    HC2, HC3    u_i over sqrt(1 - h_i), over 1 - h_i,  h_i = c_i a_i' I^-1 a_i the leverage of one row
    sampling    M = sum_i s_i^2 u_i u_i', times m / (m - 1) for m rows           weights of a survey, or inverse probabilities
    cluster     M = sum_g v_g v_g', v_g the sum of s_i u_i in cluster g, times G / (G - 1) (N - 1) / (N - k)
    HAC         M = sum_{|t - l| <= L} (1 - |t - l| / (L + 1)) s_t u_t s_l u_l', times N / (N - k)       rows in order of time

with W_i = p (1 - p) and r_i = p - y of two classes, diag(p) - p p' and p - e_label of several. A weight k means the row k
times, but for "sampling", where errors do not depend on the scale of the weights, nor do those of clusters without the factor
(N - 1) / (N - k). With clusters of several ways, errors are those of each way, less those of their intersections, and so on.

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
from jaxtyping import Array, Float, Int

from jaxlr.inference.fitted import Fitted
from jaxlr.inference.leverage import Leverage, leverage, remainder
from jaxlr.inputs.checks import Data, check_count, core_axes
from jaxlr.inputs.clusters import cluster_numbers
from jaxlr.inputs.tables import check_aligned
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit

_KINDS = ("model", "HC0", "HC1", "HC2", "HC3", "sampling", "cluster", "HAC")
_POWERS = {"HC2": 0.5, "HC3": 1.0}


class Kind(NamedTuple):
    """A kind of covariance: static.

    Attributes:
        name: one of those above.
        lags: L of "HAC".
        small_sample: True for all factors, False for none, "clusters" for G / (G - 1) alone.
        signs: of the clusters of each way, of each intersection of ways, and so on.
        most: of clusters in one of these.
    """

    name: str
    lags: int
    small_sample: bool | str
    signs: tuple[int, ...]
    most: int

    @property
    def by_row(self) -> bool:
        """Whether it goes by the numbers of rows, so that none may be filled up."""
        return self.name in ("cluster", "HAC")


def checked_kind(
    fit: Fit, problem: Problem, kind: str, clusters: Data | None, lags: int | None, small_sample: bool | str
) -> tuple[Kind, Int[np.ndarray, "ways m"]]:
    """A kind as it was asked for, and for every way, and every intersection of ways, the number of each row's cluster.

    Args:
        fit: whose covariance it is to be.
        problem: its data.
        kind, clusters, lags, small_sample: as in `jaxlr.inference.covariance`.

    Raises:
        TypeError: clusters are not known outside jit.
        ValueError: what does not go together, as in `jaxlr.inference.covariance`, and clusters whose rows bear other labels
            than those of the problem's tables.
    """
    tables = {name: getattr(problem, name) for name in ("X", "y", "sample_weight", "offset")}
    axes = core_axes(next(iter(likelihood_of_params(fit.params).classes), None))
    check_aligned(tables | {"clusters": clusters}, axes | {"clusters": "md"})
    m = np.shape(problem.X)[-2]
    if not (isinstance(kind, str) and kind in _KINDS):
        raise ValueError(f"expected kind {', '.join(map(repr, _KINDS))}, got {kind!r}")
    if kind in _POWERS and likelihood_of_params(fit.params).classes:
        raise ValueError(f'expected a fit of two classes in one logit for {kind!r}, got a multinomial one; use "HC0" or "HC1"')
    for name, value, its_kind in (("clusters", clusters, "cluster"), ("lags", lags, "HAC")):
        if (value is None) == (kind == its_kind):
            raise ValueError(
                f"expected {name} with kind {its_kind!r} and with no other, got {name} {value!r} and kind {kind!r}"
            )
    of_clusters = isinstance(small_sample, str) and small_sample == "clusters" and kind == "cluster"
    if not (isinstance(small_sample, (bool, np.bool_)) or of_clusters):
        message = 'True, False, or with kind "cluster" "clusters" for the factor of the number of clusters alone'
        raise ValueError(f"expected small_sample {message}, got {small_sample!r} and kind {kind!r}")
    if lags is not None:
        check_count("lags", lags, 0)
        if lags >= m:
            raise ValueError(f"expected lags under the number of rows, {m}, got {lags}; scores of all rows sum to 0")
    signs, numbers = ((), np.zeros((0, 0), np.int32)) if clusters is None else _intersections(clusters, m)
    small_sample = small_sample if isinstance(small_sample, str) else bool(small_sample)
    return Kind(kind, lags or 0, small_sample, signs, int(numbers.max(initial=0)) + 1), numbers


def _intersections(clusters: Any, m: int) -> tuple[tuple[int, ...], Int[np.ndarray, "sets m"]]:
    """Of every way and every intersection of ways the sign, and the number of each row's cluster."""
    # Of objects each label stays as it is; cluster_numbers refuses tracers.
    labels: Any = np.array(clusters, object) if isinstance(clusters, (list, tuple)) else clusters
    shape = np.shape(labels)
    if len(shape) not in (1, 2) or shape[1:] == (0,):
        raise ValueError(
            f"expected clusters ({m},), or ({m}, d) of d ways, one label a row, got shape {shape}; labels go along the rows"
        )
    if hasattr(labels, "columns"):
        ways = [labels[column] for column in labels.columns]
    else:
        ways = [labels] if len(shape) == 1 else labels.T
    columns = [cluster_numbers(way, m)[0] for way in ways]
    signs, numbers = [], []
    for size in range(1, len(columns) + 1):
        for chosen in combinations(columns, size):
            signs.append((-1) ** (size + 1))
            numbers.append(np.unique(np.stack(chosen, axis=1), axis=0, return_inverse=True)[1].reshape(-1))
    return tuple(signs), np.stack(numbers).astype(np.int32)


def covariance_of(model: Fitted, C: Float[Array, "q p"], kind: Kind, clusters: Int[Array, "ways m"]) -> Float[Array, "q q"]:
    """The covariance of linear functions of a model's estimate.

    Args:
        C: of x in the coordinates of the model.
    """
    return covariance_along(errors_of(model, kind, clusters), C)


class Errors(NamedTuple):
    """The covariance of an estimate in its factors, R' S R.

    Attributes:
        root: R (p, *B, k) with R' R = I^-1.
        meat: S = R M R' (p, p); None is the identity.
    """

    root: Array
    meat: Array | None


def errors_of(model: Fitted, kind: Kind, clusters: Int[Array, "ways m"]) -> Errors:
    """The covariance of a model's estimate."""
    rows = leverage(model)
    root = rows.root / jnp.sqrt(model.system.total)
    return Errors(root, None if kind.name == "model" else _meat(model, rows, kind, clusters))


def covariance_along(errors: Errors, C: Float[Array, "q p"]) -> Float[Array, "q q"]:
    """The same, from the covariance of the estimate."""
    half = dot(errors.root.reshape(len(errors.root), C.shape[1]), C.T)
    return dot(half.T, half if errors.meat is None else dot(errors.meat, half))


def _meat(model: Fitted, rows: Leverage, kind: Kind, clusters: Int[Array, "ways m"]) -> Float[Array, "p p"]:
    """R M R'."""
    system, N, k = model.system, model.system.total, model.num_parameters
    r = system.likelihood.reduce(system.likelihood.residual(model.z, system.y))
    r = jnp.where(aligned(system.w, r) > 0, r, 0)
    u = jnp.sum(rows.moved * r[None], axis=tuple(range(1, r.ndim))) / jnp.sqrt(N)  # R u (p, m)
    s, size = N * system.w, jnp.where(k < N, N / (N - k), jnp.nan)
    if kind.name in _POWERS:
        c = system.likelihood.curvature(model.z, jnp.ones_like(s)).diagonal()
        u = u / remainder(c * jnp.sum(rows.moved**2, axis=0) / N)[None, :] ** _POWERS[kind.name]
    if kind.name.startswith("HC"):
        return dot(u * s[None, :], u.T) * (size if kind.name == "HC1" else 1)
    u = u * s[None, :]
    if kind.name == "HAC":
        return _lagged(u, kind.lags) * (size if kind.small_sample else 1)
    if kind.name == "sampling":
        m = jnp.sum((s > 0).astype(s.dtype))
        return dot(u, u.T) * (m / (m - 1) if kind.small_sample else 1)
    return _clustered(u, s > 0, kind, clusters) * (size * (N - 1) / N if kind.small_sample is True else 1)


def _clustered(u: Float[Array, "p m"], present: Any, kind: Kind, clusters: Int[Array, "ways m"]) -> Float[Array, "p p"]:
    """Sums of products within clusters; NaN where fewer than two have weight."""

    def add(V: Array, of_way: tuple[Array, Array]) -> tuple[Array, None]:
        sign, numbers = of_way
        sums = jax.ops.segment_sum(u.T, numbers, kind.most)
        G = jnp.sum(jax.ops.segment_max(present.astype(u.dtype), numbers, kind.most) > 0, dtype=u.dtype)
        factor = G / (G - 1) if kind.small_sample else 1.0
        return V + sign * jnp.where(G > 1, factor, jnp.nan) * dot(sums.T, sums), None

    return jax.lax.scan(add, jnp.zeros((len(u), len(u)), u.dtype), (jnp.asarray(kind.signs, u.dtype), clusters))[0]


def _lagged(u: Float[Array, "p m"], lags: int) -> Float[Array, "p p"]:
    """Sums of products of rows up to so many places apart, under Bartlett's weights."""
    place = jnp.arange(u.shape[1])

    def add(lag: Array, V: Array) -> Array:
        product = dot(u, jnp.where(place[None, :] >= lag, jnp.roll(u, lag, axis=1), 0).T)
        return V + (1 - lag.astype(u.dtype) / (lags + 1)) * (product + product.T)

    return jax.lax.fori_loop(1, lags + 1, add, dot(u, u.T))
