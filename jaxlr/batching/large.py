"""One model with very many rows: from the fit of some rows to that of all, without a copy of the design.

The minimum over every s-th row is within the sampling error of the minimum over all, and so is its Hessian: conjugate
gradients that start at the one and are preconditioned by the inverse of the other need a few products with the whole design
(sub-sampled Newton methods: Roosta-Khorasani & Mahoney 2019, Mathematical Programming 174). These are taken with X as it
lies in memory (`jaxlr.linalg.operators.Standardized`), since writing a copy costs more than many products.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.linalg.operators import Standardized
from jaxlr.model.objective import Problem, row_weights
from jaxlr.model.params import Params
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.newton_cg import mean_curvature_inputs, precondition
from jaxlr.solvers.solve import Settings, fit_one, working_problem
from jaxlr.solvers.working import params_to_working, share, units_of

_ROWS_PER_COLUMN = 256  # of some rows; their Hessian is off by a sixteenth
_LARGE = 2**26  # bytes
_LOOKED_AT = 4096  # rows


def is_large(X: Any, fit_intercept: bool) -> bool:
    """Whether a design is worth this road: large, many rows for each column, and centered well enough to be used as it is.

    Args:
        X: design (m, n), NumPy or JAX, known outside jit.
        fit_intercept: static.

    Returns:
        True or False.
    """
    m, n = X.shape
    if X.nbytes < _LARGE or m < 2 * _ROWS_PER_COLUMN * (n + 1) or X.dtype.kind != "f":
        return False
    some = np.asarray(X[:: max(1, m // _LOOKED_AT)], float)
    far = np.abs(some.mean(axis=0)) if fit_intercept else np.zeros(n)
    # Products without the difference X - center lose the digits of far / sd.
    return bool(np.all(far < jnp.finfo(X.dtype).eps ** -0.125 * some.std(axis=0)))


def fit_large(fields: dict[str, Array], tol: Array, settings: Settings) -> Fit:
    """Fit one model.

    Args:
        fields: X (m, n), y (m,), l2 () and so on, without weights; "coef" and "intercept" are not used.
        tol: on the KKT residual.
        settings: static.

    Returns:
        Fit of one model.
    """
    given, fields = fields, jax.lax.stop_gradient(fields)
    X = fields["X"]
    (m, n), fit_intercept = X.shape, settings.fit_intercept
    stride = _stride(m, n)
    rest = {name: value for name, value in fields.items() if name not in ("X", "coef", "intercept")}
    shared = share(X[::stride], None, fit_intercept, low=X.dtype)
    units = units_of(shared, row_weights(Problem(shared.A, None)), fit_intercept)
    some: dict[str, Any] = {name: value[::stride] if name in ("y", "offset") else value for name, value in rest.items()}
    some |= {"units": units}
    first = fit_one(some, None, shared, jnp.maximum(tol, 1e-6), settings._replace(solver="newton"))
    usable = first.status == Status.CONVERGED
    start = Params(jnp.where(usable, first.params.coef, 0), jnp.where(usable, first.params.intercept, 0))
    working = working_problem(some, shared, settings)
    shared = precondition(shared, *mean_curvature_inputs(working, params_to_working(start, shared)))

    ones = jnp.ones(int(fit_intercept), X.dtype)
    A = Standardized(X, shared.center, shared.unit, ones)
    shared = shared._replace(A=A, low=None, rows=A._replace(X=given["X"]))
    every = {name: given[name] for name in rest} | {"units": units_of(shared, row_weights(Problem(X, None)), fit_intercept)}
    return fit_one(every, start, shared, tol, settings)


def _stride(m: int, n: int) -> int:
    return m // (_ROWS_PER_COLUMN * (n + 1))
