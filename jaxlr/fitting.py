"""The front door: one model or a batch of them, by broadcasting.

    minimize  sum_i s_i l(z_i, y_i) / sum_i s_i + sum_j f_j (l1 |coef_j| + l2 / 2 coef_j^2)
    z_i = X_i . coef + intercept + offset_i,        l(z, y) = log(1 + exp(z)) - y z

Checks on the host, and the choice of a solver; `jaxlr.batching` does the rest in one compiled program.
"""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.batching import fit_batch
from jaxlr.checks import Data, check_classes, checked_arrays, is_concrete
from jaxlr.designs import is_wide, products_fit
from jaxlr.model import Params
from jaxlr.result import Fit
from jaxlr.solvers.certified import SOLVERS, Settings

_DEFAULT_MAX_STEPS = 200
_FEW_COLUMNS = 64  # up to here a Hessian costs no more than the 10 to 20 products that conjugate gradients take instead


def fit(
    X: Data,
    y: Data,
    *,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
) -> Fit:
    """Fit logistic regressions; every model comes back with the evidence that it converged.

    Axes in front of the core axes are batch axes, and those of all fields broadcast against each other: l2 (100,) gives
    100 models, with sample_weight (10, 1, m) beside it 10 x 100. Works under jit, vmap and grad-free transformations;
    broadcasting is the fast road.

    Args:
        X: design (..., m, n); its floating dtype (32 or 64 bits) is that of everything else, other dtypes become the
            default float.
        y: labels (..., m), 0/1 of any dtype, or soft labels in [0, 1].
        sample_weight: (..., m) >= 0; None is 1. A weight k means the row k times, 0 that it is not there.
        offset: (..., m), added to the logits; None is 0.
        l1: strength of the absolute penalty (...), on the scale of the mean loss. Only 0 for now.
        l2: strength of the squared penalty (...), on the scale of the mean loss; scikit-learn's C is 1 / (l2 sum(s)).
        penalty_factor: (..., n) >= 0, multiplies the strengths by column; None is 1. The intercept is never penalized.
        fit_intercept: static. Without it the intercepts are 0.
        standardize: static. True measures each penalty in standard deviations of its column under the model's own
            weights, as glmnet does (a constant column gets coefficient 0); coefficients stay on the original scale.
        init: start, coef (..., n) and intercept (...); None is 0. The answer does not depend on it beyond tol.
        solver: static: "newton" factors Hessians, "newton_cg" takes conjugate gradients for many columns, "auto" chooses by
            shapes; the Fit says which.
        tol: on the KKT residual, > 0; None is 1e-10 in float64 and 1e-5 in float32.
        max_steps: static, from 1 to 2**31 - 1; None is 200.

    Returns:
        Fit, its fields with the batch shape in front.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, labels outside [0, 1], a negative weight or penalty; or NaN, one class, no weight
            in the whole call. In some members of a batch only, these are the status NONFINITE or INVALID of the members.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> fit(X, y, l2=np.array([0.1, 1.0])).converged.tolist()
        [True, True]

    References:
        Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), eqs. 4.20 to 4.26 (Newton), and 18.11
        for the l2 penalty; the certificates are in `jaxlr.kkt_residual` and `jaxlr.duality_gap`.
    """
    return fit_batch(
        *prepare(
            X,
            y,
            sample_weight=sample_weight,
            offset=offset,
            l1=l1,
            l2=l2,
            penalty_factor=penalty_factor,
            fit_intercept=fit_intercept,
            standardize=standardize,
            init=init,
            solver=solver,
            tol=tol,
            max_steps=max_steps,
        )
    )


def prepare(
    X: Data,
    y: Data,
    *,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    models_per_problem: int = 1,
) -> tuple[dict[str, Array], Array, tuple[int, ...], Settings]:
    """Check the arguments of `fit`.

    Args:
        X: and all others, as in `fit`.
        models_per_problem: how many models will share each design beyond the batch, for the choice of the solver.

    Returns:
        Fields by name, tol, batch shape, and what is static.

    Raises:
        TypeError, ValueError: as `fit`.
    """
    for name, switch in (("fit_intercept", fit_intercept), ("standardize", standardize)):
        if not isinstance(switch, (bool, np.bool_)):
            raise TypeError(f"expected {name} to be True or False, known outside jit, got {switch!r}")
    if solver not in ("auto", *SOLVERS):
        raise ValueError(f'expected solver "auto", {", ".join(map(repr, SOLVERS))}, got {solver!r}')
    max_steps = _DEFAULT_MAX_STEPS if max_steps is None else max_steps
    if not isinstance(max_steps, (int, np.integer)) or isinstance(max_steps, bool) or not 1 <= max_steps < 2**31:
        raise ValueError(f"expected max_steps to be an integer from 1 to 2**31 - 1, got {max_steps!r}")
    if not is_concrete(l1) or np.any(np.asarray(l1) != 0):
        raise ValueError("expected l1 = 0, known outside jit: the l1 penalty is not available yet; use l2")
    if init is not None and not isinstance(init, Params):
        raise TypeError(f"expected init to be jaxlr.Params(coef, intercept), got {type(init).__name__}")
    start = {} if init is None else {"coef": init.coef, "intercept": init.intercept}
    data = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "l1": l1, "l2": l2}
    arrays, batch = checked_arrays(data | {"penalty_factor": penalty_factor} | start)
    del arrays["l1"]  # known to be 0: the smooth program
    if arrays["X"].shape[-1] == 0 and not fit_intercept:
        raise ValueError("expected a column or an intercept, got X without columns and fit_intercept=False")
    penalized = failed = None
    if is_concrete(l2) and is_concrete(penalty_factor):
        factor = np.ones(1) if penalty_factor is None else np.asarray(penalty_factor)
        penalized = (np.asarray(l2) > 0) & np.all(factor > 0, axis=-1)
        failed = np.isnan(np.asarray(l2, float)) | np.isnan(factor).any(axis=-1)
    check_classes(y, sample_weight, fit_intercept, penalized)
    if solver == "auto":
        n = min(arrays["X"].shape[-2:]) if is_wide(arrays, standardize) else arrays["X"].shape[-1]
        solver = _chosen(arrays["X"], n, models_per_problem * int(np.prod(batch, dtype=int)), bool(fit_intercept))
    # A NaN does not count: the other members run the same program beside it as without it.
    coercive = penalized is not None and not standardize and bool(np.all(penalized | failed))
    settings = Settings(bool(fit_intercept), bool(standardize), int(max_steps), solver, coercive)
    return arrays, _checked_tol(tol, arrays["X"].dtype), batch, settings


def _chosen(X: Array, n: int, num_models: int, fit_intercept: bool) -> str:
    """By shapes alone: Hessians for a model alone, and for few columns; else conjugate gradients."""
    m, designs = X.shape[-2], int(np.prod(X.shape[:-2], dtype=int))
    alone = num_models == designs
    few = n <= _FEW_COLUMNS and products_fit(m, n + fit_intercept, designs, X.dtype.itemsize)
    return "newton" if alone or few else "newton_cg"


def _checked_tol(tol: ArrayLike | None, dtype: jnp.dtype) -> Array:
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    if is_concrete(tol) and not (np.ndim(tol) == 0 and np.asarray(tol) > 0):
        raise ValueError(f"expected tol to be one number > 0, got {tol!r}")
    return jnp.asarray(tol, dtype)
