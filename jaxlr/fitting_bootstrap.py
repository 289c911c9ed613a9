"""Fit bootstrap resamples whose weights are made inside the program, a chunk at a time.

Resample i (Efron 1979, Annals of Statistics 7) weights row r by the number of times that it was drawn; it is row i of
`jaxlr.bootstrap`, a function of (key, i) alone. A chunk of resamples is drawn, fitted and forgotten before the next, so that
the weights of a million never stand in memory at once. Every resample starts from the fit of all rows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.checks import Data
from jaxlr.compilation import program
from jaxlr.designs import precondition_at, prepare_design
from jaxlr.fitting import fit, prepare
from jaxlr.model import Params
from jaxlr.objective import Problem, row_weights
from jaxlr.preprocessing import column_moments
from jaxlr.resampling import resample
from jaxlr.result import Fit
from jaxlr.solvers.certified import Settings, fit_one
from jaxlr.solvers.shared import units_of

_NUMBERS = 2**18  # weights of a chunk: two megabytes of float64 stay near a core


def fit_bootstrap(
    key: Array,
    X: Data,
    y: Data,
    num_samples: int,
    *,
    sample_weight: Data | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Fit:
    """Fit bootstrap resamples of one problem.

    Args:
        key: a key of `jax.random`; resample i depends on it only through ``jax.random.fold_in(key, i)``.
        X: design (m, n).
        y: labels (m,), 0/1 or soft.
        num_samples: static, number of resamples k, >= 1.
        sample_weight: (m,) >= 0, multiplied by the counts; None is 1.
        batch_size: static, resamples at a time, >= 1; None is as many as keep the weights of a chunk at 2 MB of float64.
            The answer does not depend on it beyond tol.
        **options: further arguments of `jaxlr.fit`: offset, l2, penalty_factor, fit_intercept, standardize, init, solver,
            tol, max_steps.

    Returns:
        Fit (k,). A resample that lacks a class, or whose classes are separated, says so in its status.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; batch axes; num_samples or batch_size less than 1.

    Example:
        >>> import jax
        >>> from jaxlr.datasets import two_moons
        >>> X, y = two_moons(jax.random.key(0), 40)
        >>> resamples = fit_bootstrap(jax.random.key(1), X, y, 100, l2=0.1)
        >>> resamples.params.coef.std(axis=0).shape, bool(resamples.converged.all())  # standard errors
        ((2,), True)

    References:
        Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 6.2 (standard errors).
    """
    for name, value in (("num_samples", num_samples), ("batch_size", 1 if batch_size is None else batch_size)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"expected {name} to be an integer >= 1, got {value!r}")
    if not isinstance(key, jax.Array):
        raise TypeError(f"expected a key of jax.random, such as jax.random.key(0), got {key!r}")
    options |= {"sample_weight": sample_weight}
    arrays, tol, batch, settings = prepare(X, y, **options, models_per_problem=int(num_samples))
    if batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}; map with jax.vmap")
    start = fit(X, y, **options).params
    size = _NUMBERS // arrays["y"].size if batch_size is None else int(batch_size)
    return _program(key, arrays, start, tol, int(num_samples), min(max(size, 1), int(num_samples)), settings)


@program("num_samples", "batch_size", "settings")
def _program(
    key: Array,
    arrays: dict[str, Array],
    start: Params,
    tol: Array,
    num_samples: int,
    batch_size: int,
    settings: Settings,
) -> Fit:
    """Chunks one after the other, the resamples of a chunk side by side."""
    fields = {name: value for name, value in arrays.items() if name not in ("X", "coef", "intercept")}
    s = fields.pop("sample_weight", None)
    X, m = arrays["X"], arrays["X"].shape[0]
    shared = prepare_design(X, None if s is None else s > 0, settings, num_models=num_samples)
    shared = precondition_at(shared, fields | ({} if s is None else {"sample_weight": s}), start, settings)

    def one(i: Array) -> Fit:
        counts = resample(key, i, m).astype(X.dtype)
        own: dict[str, Any] = fields | {"sample_weight": counts if s is None else counts * s}
        w = row_weights(Problem(X, None, sample_weight=own["sample_weight"]))
        own["units"] = units_of(shared, w, settings.fit_intercept)
        if settings.standardize:
            own["sd"] = column_moments(X, w)[1]
        return fit_one(own, start, shared, tol, settings)

    num_chunks = -(-num_samples // batch_size)
    numbers = jnp.minimum(jnp.arange(num_chunks * batch_size), num_samples - 1).reshape(num_chunks, batch_size)
    fits = jax.lax.map(jax.vmap(one), numbers)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:num_samples], fits)
