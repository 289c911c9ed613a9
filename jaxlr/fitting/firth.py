"""Firth's estimates, for one model or a batch, or for those models of a batch that are separated."""

from __future__ import annotations

import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.plan import Call
from jaxlr.engine.run import run, run_some
from jaxlr.inputs.checks import Data
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit


def fit_firth(
    X: Data,
    y: Data,
    *,
    only: Data | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    fit_intercept: bool = True,
    init: Params | None = None,
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Fit:
    """Fit logistic regressions by Firth's penalized likelihood.

    The estimates are finite whatever the data, separated ones included, and their bias is of order 1/m^2. For tests and
    intervals see `jaxlr.inference`: `profile_intervals`, `profile_tests`, and `covariance`, whose standard errors are those
    of the Fisher information at the estimate. Of two classes only, and without further penalties.

    Args:
        X: design (..., m, n), n + 1 <= m (n <= m without an intercept), its columns linearly independent.
        y: labels (..., m), 0/1 or soft.
        only: which models of the batch to fit (...), such as ``fit.status == Status.SEPARATED``; the others are NOT_RUN.
            None is all.
        tol: on the KKT residual of the penalized likelihood, as in `jaxlr.fit`.
        sample_weight, offset, fit_intercept, init, max_steps, batch_size, mesh, progress: as in `jaxlr.fit`; a weight k means
            the row k times.

    Returns:
        Fit, with solver "firth". `value` is minus the penalized log-likelihood over the sum of the weights, `kkt` the residual
        of its score, `gap` inf. STALLED where columns depend on each other: no estimate is the only one.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; more parameters than rows.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[1], [2], [3], [4]]), np.array([0, 0, 1, 1])  # separated: fit has no estimate
        >>> firth = fit_firth(X, y)
        >>> bool(firth.converged), bool(np.isfinite(firth.params.coef).all())
        (True, True)

    References:
        Firth 1993, Biometrika 80, section 3.1; Heinze & Schemper 2002, Statistics in Medicine 21, eq. 2.
    """
    given = Arguments(
        X=X,
        y=y,
        sample_weight=sample_weight,
        offset=offset,
        fit_intercept=fit_intercept,
        init=init,
        tol=tol,
        max_steps=max_steps,
        batch_size=batch_size,
        mesh=mesh,
        progress=progress,
        solver="newton",
    )
    call = prepare(given, filled_axes="m")
    m, n = np.shape(X)[-2:]
    if n + call.settings.fit_intercept > m:
        shape = f"{m} rows and {n} columns"
        raise ValueError(f"expected no more parameters than rows, got X with {shape}; use fit with l2 > 0")
    call = call._replace(settings=call.settings._replace(solver="firth"))
    return run(call) if only is None else run_some(call, np.argwhere(_chosen(only, call)))


def _chosen(only: Data, call: Call) -> np.ndarray:
    """Which models of the batch to fit, checked."""
    if not (is_concrete(only) and call.concrete):
        raise TypeError(
            "expected a call outside jit, for only says which models are computed, got a tracer; leave only out there"
        )
    only = np.asarray(only)
    if only.dtype != bool or only.shape != call.batch:
        raise ValueError(
            f"expected only to be booleans of the batch {call.batch}, got {only.dtype} of shape {only.shape}; such as "
            "fit.status == Status.SEPARATED"
        )
    return only
