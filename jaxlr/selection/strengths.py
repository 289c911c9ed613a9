"""Strengths of penalties: where paths begin, the path that glmnet takes, and strengths as other systems state them.

With g the gradient of the loss where every penalized coefficient is 0 and the others are fitted (the null model),

    l1_max = max_j |g_j| / f_j            over the penalized columns, f = penalty_factor

is the least l1 for which they all stay 0 (Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33, section 2.5).
"""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.fitting.fit import fit
from jaxlr.inputs.checks import Data, DesignData, check_count, checked_arrays
from jaxlr.inputs.sparse import columns_of
from jaxlr.inputs.tables import as_floating, is_concrete
from jaxlr.linalg.dot import aligned, dot
from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.operators import as_design
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import likelihood_of
from jaxlr.model.problem import Problem, problem_logits, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_LEAST_SHARE = 1e-3  # of l1 in a strength that is to hold anything at 0: glmnet's constant


def l1_max(problem: Problem, *, num_classes: int | None = None) -> Float[Array, ""]:
    """The least l1 for which every penalized coefficient is exactly 0.

    Args:
        problem: one problem, for a fit without standardize; its l1 and l2 do not count, and its penalty_factor is known
            outside jit. Factors of 0 leave columns in the null model.
        num_classes: K of a multinomial model, whose labels y holds; None is the binary one.

    Returns:
        Scalar of X's dtype, on the scale of the mean loss, rounded up by a bound on the rounding of g; 0 where no column is
        penalized, NaN where the null model has no estimate.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; penalty_factor is a tracer.

    Example:
        >>> import numpy as np
        >>> problem = Problem(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]))
        >>> round(float(l1_max(problem)), 6)
        0.5
    """
    factor = problem.penalty_factor
    if not is_concrete(factor):
        raise ValueError("expected penalty_factor known outside jit: it says which columns the null model has")
    given = {name: getattr(problem, name) for name in ("X", "y", "sample_weight", "offset", "penalty_factor")}
    arrays, batch = checked_arrays(given, num_classes, sparse=True)
    if batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}; map with jax.vmap")
    free = () if factor is None else tuple(map(int, np.flatnonzero(np.asarray(factor) == 0)))
    null = None
    if free or problem.fit_intercept:
        X: Any = arrays["X"]
        rows: dict[str, Any] = {name: arrays.get(name) for name in ("sample_weight", "offset")}
        columns: Any = np.array(free, np.int32)
        X = X.gather(columns).T if isinstance(X, Sparse) else (np.asarray(X) if is_concrete(X) else X)[:, columns]
        null = fit(X, arrays["y"], num_classes=num_classes, fit_intercept=problem.fit_intercept, **rows)
    return _largest_slope(replace(problem, **arrays, l1=None, l2=0.0), null, free, likelihood_of(num_classes).classes)


@program("free", "classes")
def _largest_slope(problem: Problem, null: Fit | None, free: tuple[int, ...], classes: tuple[int, ...]) -> Float[Array, ""]:
    """max_j |g_j| / f_j, rounded up, at the null model, whose columns are those that are free."""
    X, kind = problem.X, likelihood_of(*(classes or (None,)))
    params = kind.params_type(jnp.zeros((*classes, X.shape[1]), X.dtype), jnp.zeros(classes, X.dtype))
    if null is not None:
        coef = params.coef.at[..., np.array(free, int)].set(null.params.coef)
        params = params._replace(coef=coef, intercept=null.params.intercept)
    w = row_weights(problem)
    r = kind.residual(problem_logits(params, problem), problem.y)
    wr = aligned(w, r) * r
    if isinstance(X, Sparse):
        center = X.moments(w)[0] if problem.fit_intercept else jnp.zeros(X.shape[1], X.dtype)
        slopes = X.transposed_times(wr) - center * jnp.sum(wr, axis=-1, keepdims=True)
        size = jnp.abs(wr)
        rounding = X.absolute().transposed_times(size) + jnp.abs(center) * jnp.sum(size, axis=-1, keepdims=True)
    else:
        centered = X - column_moments(X, w)[0][None, :] if problem.fit_intercept else X
        slopes, rounding = dot(wr, centered), dot(jnp.abs(wr), jnp.abs(centered))
    slopes = jnp.abs(slopes) + 4 * jnp.finfo(X.dtype).eps * rounding
    slopes = jnp.max(slopes.reshape(-1, X.shape[1]), axis=0)
    factor = jnp.ones_like(slopes) if problem.penalty_factor is None else problem.penalty_factor
    most = jnp.max(jnp.where(factor > 0, slopes / jnp.where(factor > 0, factor, 1), 0), initial=0)
    return most if null is None else jnp.where(null.status == Status.CONVERGED, most, jnp.nan)


def glmnet_path(
    X: DesignData,
    y: Data,
    *,
    alpha: ArrayLike = 1.0,
    num_strengths: int = 100,
    ratio: float | None = None,
    penalty_factor: Data | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    standardize: bool = True,
    fit_intercept: bool = True,
    num_classes: int | None = None,
) -> dict[str, Any]:
    """The strengths that glmnet would take for these data, as arguments of `fit` and `cross_validate`.

    lambda falls in equal steps of its logarithm from the least one that holds all coefficients at 0 to a share of it;
    l1 = alpha lambda, l2 = (1 - alpha) lambda. glmnet scales penalty factors so that they sum to n, and so are those that
    come back; `fit` takes factors as they are.

    Args:
        X: design (m, n), sparse too.
        y: labels (m,), as in `jaxlr.fit`.
        alpha: share of l1, in [0, 1]; for the first lambda no less than 0.001 of it counts.
        num_strengths: how many, >= 1.
        ratio: the last lambda over the first, in (0, 1); None is 0.01 for more columns than rows, else 0.0001.
        penalty_factor: (n,) >= 0, not all 0; None is 1.
        sample_weight: (m,) >= 0; None is 1.
        offset: (m,), with num_classes (m, K); None is 0.
        standardize: as it will be given to `fit`, whose default is False, and glmnet's True.
        fit_intercept: as it will be given to `fit`.
        num_classes: likewise.

    Returns:
        {"l1": (num_strengths,), "l2": (num_strengths,)}, with "penalty_factor" (n,) if that was given.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; alpha, ratio or num_strengths out of its range; no column is penalized;
            inside jit.

    Example:
        >>> import numpy as np
        >>> from jaxlr.datasets import low_birth_weight
        >>> X, y, *_ = low_birth_weight()
        >>> path = glmnet_path(X, y)  # for fit(X, y, standardize=True, **path)
        >>> path["l1"].shape, round(float(path["l1"][0]), 6)
        ((100,), 0.090863)

    References:
        Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33, section 2.5; R's glmnet 4.1.
    """
    given = {"X": X, "y": y, "penalty_factor": penalty_factor, "sample_weight": sample_weight, "offset": offset}
    if not all(is_concrete(value) for value in given.values()):
        raise TypeError("expected a call outside jit: which columns count depends on the data")
    fields, batch = checked_arrays(given, num_classes, sparse=True)
    if batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}")
    check_count("num_strengths", num_strengths, 1)
    design: Any = fields["X"]
    dtype, (m, n) = design.dtype, design.shape
    ratio = (0.01 if m < n else 1e-4) if ratio is None else ratio
    if not (np.ndim(alpha) == 0 and np.asarray(alpha).dtype.kind in "iuf" and 0 <= np.asarray(alpha) <= 1):
        raise ValueError(f"expected alpha to be one number in [0, 1], got {alpha!r}; one path for each share of l1")
    if not (isinstance(ratio, (float, np.floating)) and 0 < ratio < 1):
        raise ValueError(f"expected ratio to be one number in (0, 1), got {ratio!r}")
    factor = np.ones(n, dtype) if penalty_factor is None else np.asarray(fields["penalty_factor"])
    if not np.any(factor > 0):
        raise ValueError("expected a penalized column, got penalty_factor that is 0 everywhere; fit without l1 and l2")
    factor = factor * (n / np.sum(factor))
    s, offset = fields.get("sample_weight"), fields.get("offset")
    unit = np.asarray(_deviations(design, s)) if standardize else np.ones(n, dtype)
    varies = unit > 0
    if not np.any(varies & (factor > 0)):
        raise ValueError("expected a penalized column that is not constant, got none; no strength holds anything at 0")
    if not np.all(varies):
        design = columns_of(design, varies) if isinstance(design, Sparse) else np.asarray(design)[:, varies]
    data = Problem(design, fields["y"], s, offset, penalty_factor=(factor * unit)[varies], fit_intercept=fit_intercept)
    first = np.asarray(l1_max(data, num_classes=num_classes))
    if np.isnan(first):
        raise ValueError("expected a null model with an estimate: its columns, those of penalty_factor 0, separate the classes")
    first = first / np.maximum(np.asarray(alpha, dtype), _LEAST_SHARE)
    strengths = first * ratio ** (np.arange(num_strengths, dtype=dtype) / max(num_strengths - 1, 1))
    l1, l2 = elastic_net(strengths, alpha)
    return {"l1": l1, "l2": l2} | ({} if penalty_factor is None else {"penalty_factor": jnp.asarray(factor)})


@program()
def _deviations(X: Any, sample_weight: Float[Array, " m"] | None) -> Float[Array, " n"]:
    return as_design(X).moments(row_weights(Problem(X, None, sample_weight=sample_weight)))[1]


def l2_from_C(C: ArrayLike, weight_sum: ArrayLike) -> Float[Array, "..."]:
    """scikit-learn's C, on the scale of the summed loss, as l2 on the scale of the mean loss: 1 / (C weight_sum).

    Args:
        C: inverse strength > 0 (...).
        weight_sum: sum of the sample weights; the number of rows where there are none.

    Returns:
        l2 (...).

    Raises:
        ValueError: C or weight_sum is not > 0.

    Example:
        >>> float(l2_from_C(0.5, 4))
        0.5
    """
    for name, value in (("C", C), ("weight_sum", weight_sum)):
        if is_concrete(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(f"expected {name} > 0, got {value}")
    return _inverse_product(C, weight_sum)


@program()
def _inverse_product(C: ArrayLike, weight_sum: ArrayLike) -> Float[Array, "..."]:
    return 1 / (as_floating(C) * as_floating(weight_sum))


def elastic_net(alpha: ArrayLike, l1_ratio: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """A strength and a mix as the two strengths: l1 = alpha l1_ratio, l2 = alpha (1 - l1_ratio).

    glmnet's (lambda, alpha) are (alpha, l1_ratio) here (Friedman, Hastie & Tibshirani 2010, J. Stat. Software 33, eq. 2).

    Args:
        alpha: strength >= 0 (...).
        l1_ratio: share of l1, in [0, 1] (...).

    Returns:
        l1 and l2 (...).

    Raises:
        ValueError: alpha is negative or l1_ratio outside [0, 1].

    Example:
        >>> [float(strength) for strength in elastic_net(2.0, 0.25)]
        [0.5, 1.5]
    """
    if is_concrete(alpha) and not np.all(np.asarray(alpha) >= 0):
        raise ValueError(f"expected alpha >= 0, got {alpha}")
    if is_concrete(l1_ratio) and not np.all((np.asarray(l1_ratio) >= 0) & (np.asarray(l1_ratio) <= 1)):
        raise ValueError(f"expected l1_ratio in [0, 1], got {l1_ratio}")
    return _shares(alpha, l1_ratio)


@program()
def _shares(alpha: ArrayLike, l1_ratio: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    alpha, l1_ratio = as_floating(alpha), as_floating(l1_ratio)
    return alpha * l1_ratio, alpha * (1 - l1_ratio)
