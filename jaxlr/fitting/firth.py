"""Firth's estimates, for one model or a batch, or for those models of a batch that are separated."""

from typing import Any

import numpy as np

from jaxlr.batching.program import fit_batch
from jaxlr.engine.arguments import prepare
from jaxlr.engine.run import run, run_some
from jaxlr.fitting.fit import with_defaults
from jaxlr.inputs.checks import CORE_AXES, Data, is_concrete
from jaxlr.results.fit import Fit

_NOT_OPTIONS = {"l1", "l2", "penalty_factor", "standardize", "solver"}


def fit_firth(X: Data, y: Data, *, only: Data | None = None, **options: Any) -> Fit:
    """Fit logistic regressions by Firth's penalized likelihood.

    The estimates are finite whatever the data, separated ones included, and their bias is of order 1/m^2. For tests and
    intervals see `jaxlr.inference`: `profile_intervals`, `profile_tests`, and `covariance`, whose standard errors are those
    of the Fisher information at the estimate.

    Args:
        X: design (..., m, n), n + 1 <= m, its columns linearly independent.
        y: labels (..., m), 0/1 or soft.
        only: which models of the batch to fit (...), such as ``fit.status == Status.SEPARATED``; the others are NOT_RUN.
            None is all.
        **options: sample_weight, offset, fit_intercept, init, tol, max_steps, batch_size, mesh and progress, as in `jaxlr.fit`.
            A weight k means the row k times.

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
    if unknown := _NOT_OPTIONS & set(options):
        raise TypeError(f"expected options of fit but {', '.join(sorted(unknown))}: Firth's penalty is the only one")
    call = prepare(with_defaults(X=X, y=y, solver="newton", **options))
    m, n = call.fields["X"].shape[-2:]
    if n + call.settings.fit_intercept > m:
        raise ValueError(f"expected no more parameters than rows, got X with {m} rows and {n} columns; use fit with l2 > 0")
    settings = call.settings._replace(solver="firth")
    call = call._replace(settings=settings)
    if only is None:
        return run(fit_batch, call.fields, call.tol, (settings,), call)
    if not all(is_concrete(value) for value in (only, *call.fields.values())):
        raise TypeError("expected a call outside jit: only says which models are computed")
    only = np.asarray(only)
    if only.dtype != bool or only.shape != call.batch:
        raise ValueError(f"expected only to be booleans of the batch {call.batch}, got {only.dtype} of shape {only.shape}")
    return run_some(fit_batch, call.fields, call.tol, call, CORE_AXES, np.argwhere(only))
