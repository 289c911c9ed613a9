"""Fit bootstrap resamples whose weights are made inside the program.

Resample i (Efron 1979, Annals of Statistics 7) weights row r by the number of times that it was drawn; it is row i of
`jaxlr.bootstrap`, a function of (key, i) alone. A chunk of resamples is drawn, fitted and forgotten before the next, so that
the weights of a million never stand in memory at once. Every resample starts from the fit of all rows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import in_groups
from jaxlr.batching.program import fit_batch
from jaxlr.engine.arguments import prepare
from jaxlr.engine.memory import models_side_by_side
from jaxlr.engine.run import before, run
from jaxlr.fitting.fit import start_of, with_defaults
from jaxlr.inputs.checks import CORE_AXES, Data, check_count, check_key
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings
from jaxlr.weights import resample


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
    settings = call.settings._replace(large=False)  # resamples have weights
    many = call._replace(batch=(int(num_samples),), settings=settings, needs=call.needs._replace(own=call.needs.m))
    with before(many):
        start = start_of(**given)
    fields = {name: value for name, value in call.fields.items() if name not in ("coef", "intercept")}
    fields["number"] = np.arange(num_samples, dtype=np.int32)
    return run(_program, fields, (key, start, call.tol), (settings,), many, CORE_AXES | {"number": ""})


@program("batch", "settings")
def _program(fields: dict[str, Array], shared: Any, batch: tuple[int, ...], settings: Settings) -> Fit:
    """The resamples of a chunk, those side by side that are worth their memory."""
    del batch
    key, start, tol = shared
    X, numbers = fields["X"], fields.pop("number")
    m = X.shape[0]
    s = fields.get("sample_weight", jnp.ones(m, X.dtype))
    every = fields | {"coef": start.coef, "intercept": start.intercept, "present": s > 0}

    def fit_group(numbers: Array) -> Fit:
        counts = jax.vmap(resample, in_axes=(None, 0, None))(key, numbers, m)
        return fit_batch(every | {"sample_weight": counts.astype(s.dtype) * s[None, :]}, tol, numbers.shape, settings)

    return in_groups(fit_group, numbers, models_side_by_side(m))
