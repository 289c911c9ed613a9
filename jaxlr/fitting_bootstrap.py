"""Fit bootstrap resamples whose weights are made inside the program.

Resample i (Efron 1979, Annals of Statistics 7) weights row r by the number of times that it was drawn; it is row i of
`jaxlr.bootstrap`, a function of (key, i) alone. A chunk of resamples is drawn, fitted and forgotten before the next, so that
the weights of a million never stand in memory at once. Every resample starts from the fit of all rows.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.arguments import prepare
from jaxlr.checks import Data, check_count, check_key
from jaxlr.compilation import program
from jaxlr.designs import in_groups, precondition_at, prepare_design
from jaxlr.fitting import fit, with_defaults
from jaxlr.memory import models_side_by_side
from jaxlr.objective import Problem, row_weights
from jaxlr.preprocessing import column_moments
from jaxlr.resampling import resample
from jaxlr.result import Fit
from jaxlr.running import run
from jaxlr.solvers.certified import Settings, fit_one
from jaxlr.solvers.shared import units_of


def fit_bootstrap(
    key: Array,
    X: Data,
    y: Data,
    num_samples: int,
    **options: Any,
) -> Fit:
    """Fit bootstrap resamples of one problem.

    Args:
        key: a key of `jax.random`; resample i depends on it only through ``jax.random.fold_in(key, i)``.
        X: design (m, n).
        y: labels (m,), 0/1 or soft.
        num_samples: static, number of resamples k, >= 1.
        **options: further arguments of `jaxlr.fit`. sample_weight (m,) is multiplied by the counts; batch_size counts
            resamples, whose weights are all of them that stands in memory.

    Returns:
        Fit (k,). A resample that lacks a class, or whose classes are separated, says so in its status.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; batch axes; num_samples less than 1.

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
    check_count("num_samples", num_samples, 1)
    check_key(key)
    given = with_defaults(X=X, y=y, **options)
    call = prepare(given, models_per_problem=int(num_samples))
    if call.batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {call.batch}; map with jax.vmap")
    start = fit(**given | {"batch_size": None, "mesh": None, "progress": False}).params
    arrays = {name: jnp.asarray(value, call.dtype) for name, value in call.fields.items()}
    numbers = {"number": np.arange(num_samples, dtype=np.int32)}
    many = call._replace(dtype=np.dtype(np.int32), batch=(int(num_samples),), needs=call.needs._replace(own=call.needs.m))
    return run(_program, numbers, (key, arrays, start, call.tol), (call.settings,), many, {"number": ""})


@program("batch", "settings")
def _program(fields: dict[str, Array], shared: Any, batch: tuple[int, ...], settings: Settings) -> Fit:
    """The resamples of a chunk, those side by side that are worth their memory."""
    key, arrays, start, tol = shared
    numbers = fields["number"]
    fields = {name: value for name, value in arrays.items() if name not in ("X", "coef", "intercept")}
    s = fields.pop("sample_weight", None)
    X, m = arrays["X"], arrays["X"].shape[0]
    shared = prepare_design(X, None if s is None else s > 0, settings, num_models=batch[0])
    shared = precondition_at(shared, fields | ({} if s is None else {"sample_weight": s}), start, settings)

    def one(i: Array) -> Fit:
        counts = resample(key, i, m).astype(X.dtype)
        own: dict[str, Any] = fields | {"sample_weight": counts if s is None else counts * s}
        w = row_weights(Problem(X, None, sample_weight=own["sample_weight"]))
        own["units"] = units_of(shared, w, settings.fit_intercept)
        if settings.standardize:
            own["sd"] = column_moments(X, w)[1]
        return fit_one(own, start, shared, tol, settings)

    return in_groups(one, numbers, models_side_by_side(m))
