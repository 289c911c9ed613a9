"""The relaxed lasso: what an absolute penalty chose, with less of its shrinkage.

    params = gamma params_penalized + (1 - gamma) params_refitted,    0 <= gamma <= 1

the second those of the columns that the first did not set to 0, without a penalty (Hastie, Tibshirani & Tibshirani 2020,
Statistical Science 35, eq. 6; R's glmnet 4.1, relax=TRUE). Of several classes a column counts that any of them uses.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from jaxlr.compilation.program import program
from jaxlr.inputs.sparse import columns_of, to_dense
from jaxlr.inputs.tables import as_numpy
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_DEPENDENT = 1e-11  # of a column's size: R's tolerance in glm


def check_gamma(gamma: Any) -> np.ndarray:
    """The shares as an array.

    Args:
        gamma: in [0, 1], any shape.

    Raises:
        ValueError: they are something else.
    """
    shares = as_numpy("gamma", gamma)
    if shares.dtype.kind not in "iuf" or not shares.size or not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"expected gamma in [0, 1], 1 for the penalized estimate itself, got {gamma!r}")
    return shares


def relaxed(fit_models: Callable[..., Fit], fits: Fit, gamma: Any, bounds: dict[str, Any], factor: Any, data: Problem) -> Fit:
    """Blend fits with those of their columns alone; of columns that depend on others the first ones stand for all.

    Args:
        fit_models: with bounds, strengths and a start to a Fit of the same data and weights.
        fits: penalized (*batch).
        gamma: shares of the penalized estimate, that broadcast against the batch.
        bounds: "lower" and "upper" of the fits (n,), or None.
        factor: penalty_factor of the fits (n,): what it leaves without a penalty counts. None is 1.
        data: X, and sample_weight (..., m) or None, of the fits.

    Returns:
        Fit of the broadcast batch: kkt and gap are the larger of both, steps their sum, the status that of the fit that failed;
        the value is NaN where gamma is not 1.
    """
    coef = np.asarray(fits.params.coef)
    classes = tuple(range(fits.status.ndim, coef.ndim - 1))
    used = np.any(coef != 0, axis=classes)
    if factor is not None:
        used = used | (np.asarray(factor) == 0)
    used = _independent(used, data)
    ends = {"lower": -np.inf, "upper": np.inf} | {name: bound for name, bound in bounds.items() if bound is not None}
    alone = fit_models(**{name: np.where(used, end, 0.0) for name, end in ends.items()}, l1=0.0, l2=0.0, l1_group=0.0)
    return _blended(fits, alone, jnp.asarray(gamma, coef.dtype))


def _independent(used: Bool[np.ndarray, "... n"], data: Problem) -> Bool[np.ndarray, "... n"]:
    """Which columns count in each model, without those that depend on the ones before them in the rows that it has."""
    if not used.size:
        return used
    X, s = data.X, np.ones(data.X.shape[0]) if data.sample_weight is None else np.asarray(data.sample_weight)
    rows = np.broadcast_to(s > 0, (*used.shape[:-1], s.shape[-1])).reshape(-1, s.shape[-1])
    both = np.concatenate([rows, used.reshape(-1, used.shape[-1])], axis=1)
    kinds, kind = np.unique(both, axis=0, return_inverse=True)
    kept = []
    for present, columns in zip(*np.split(kinds, [rows.shape[1]], axis=1), strict=True):
        own = to_dense(columns_of(X, columns)) if isinstance(X, Sparse) else np.asarray(X)[:, columns]
        left = np.flatnonzero(columns)[_first_independent(own[present].astype(float), data.fit_intercept)]
        kept.append(np.isin(np.arange(len(columns)), left))
    return np.stack(kept)[kind.ravel()].reshape(used.shape)


def _first_independent(A: np.ndarray, fit_intercept: bool) -> Int[np.ndarray, " r"]:
    """The columns that do not depend on those before them: of which more than rounding is left beside these."""
    largest = np.max(np.abs(A), axis=0, initial=0)
    A = A / np.where(largest > 0, largest, 1)
    A = A - A.mean(axis=0) if fit_intercept else A
    at, size = np.arange(A.shape[1]), np.linalg.norm(A, axis=0)
    at = at[size > _DEPENDENT * np.sqrt(len(A))]
    while at.size:
        left = np.zeros(len(at))
        R = np.linalg.qr(A[:, at] / size[at], mode="r")
        left[: len(R)] = np.abs(np.diagonal(R))
        if np.all(left > _DEPENDENT):
            break
        at = np.delete(at, np.argmax(left <= _DEPENDENT))  # the first, or its rounding would stand for a direction
    return at


@program()
def _blended(fits: Fit, alone: Fit, gamma: jax.Array) -> Fit:
    batch = jnp.broadcast_shapes(fits.status.shape, gamma.shape)
    whole = jnp.broadcast_to(gamma, batch)

    def blend(penalized: jax.Array, refitted: jax.Array) -> jax.Array:
        share = whole.reshape(batch + (1,) * (penalized.ndim - fits.status.ndim))
        # NaN of a fit that counts for nothing is nothing.
        parts = jnp.where(share > 0, share * penalized, 0), jnp.where(share < 1, (1 - share) * refitted, 0)
        return parts[0] + parts[1]

    both = whole < 1
    failed = jnp.where(fits.status != Status.CONVERGED, fits.status, jnp.where(both, alone.status, Status.CONVERGED))
    return replace(
        fits,
        params=jax.tree.map(blend, fits.params, alone.params),
        value=jnp.where(both, jnp.nan, fits.value),
        kkt=jnp.where(both, jnp.maximum(fits.kkt, alone.kkt), fits.kkt),
        gap=jnp.where(both, jnp.maximum(fits.gap, alone.gap), fits.gap),
        status=failed.astype(fits.status.dtype),
        num_steps=fits.num_steps + jnp.where(both, alone.num_steps, 0),
    )
