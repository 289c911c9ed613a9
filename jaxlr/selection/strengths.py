"""Strengths of penalties: the path that glmnet takes, and strengths as other systems state them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import Data, DesignData, check_count, check_flag, checked_arrays, common_shape, real_array
from jaxlr.inputs.groups import checked_groups
from jaxlr.inputs.sparse import columns_of, to_dense
from jaxlr.inputs.tables import as_floating, is_concrete
from jaxlr.linalg.operators import as_design
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.problem import Problem, row_weights
from jaxlr.selection.null_model import l1_max

_LEAST_SHARE = 1e-3  # of l1 in a strength that is to hold anything at 0: glmnet's constant


def glmnet_path(
    X: DesignData,
    y: Data,
    *,
    alpha: ArrayLike = 1.0,
    num_strengths: int = 100,
    ratio: float | None = None,
    groups: Data | None = None,
    penalty_factor: Data | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    standardize: bool = True,
    fit_intercept: bool = True,
    num_classes: int | None = None,
) -> dict[str, Any]:
    """The strengths that glmnet would take for these data, as arguments of `fit` and `cross_validate`.

    lambda falls in equal steps of its logarithm from the least one that holds all coefficients at 0 to a share of it;
    l1 (with groups l1_group) = alpha lambda, l2 = (1 - alpha) lambda. glmnet scales penalty factors so that they sum to n, and
    so are those that come back; `fit` takes factors as they are.

    Args:
        X: design (m, n), sparse too.
        y: labels (m,), as in `jaxlr.fit`.
        alpha: share of l1, in [0, 1]; for the first lambda no less than 0.001 of it counts.
        num_strengths: how many, >= 1.
        ratio: the last lambda over the first, in (0, 1); None is 0.01 for more columns than rows, else 0.0001.
        groups: integers (n,), as in `jaxlr.fit`; np.arange(n) with num_classes is glmnet's type.multinomial="grouped". None is
            none.
        penalty_factor: (n,) >= 0, not all 0; None is 1.
        sample_weight: (m,) >= 0; None is 1.
        offset: (m,), with num_classes (m, K); None is 0.
        standardize: as it will be given to `fit`, whose default is False, and glmnet's True.
        fit_intercept: as it will be given to `fit`.
        num_classes: likewise.

    Returns:
        {"l1": (num_strengths,), "l2": (num_strengths,)}, with "penalty_factor" (n,) if that was given; with groups "l1_group"
        in the place of "l1", and "groups".

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
        raise TypeError(
            "expected a call outside jit, for which columns count depends on the data, got tracers; close over them"
        )
    fields, batch = checked_arrays(given, num_classes, sparse=True)
    if batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}; call once for each")
    check_count("num_strengths", num_strengths, 1)
    check_flag("standardize", standardize)
    check_flag("fit_intercept", fit_intercept)
    design: Any = fields["X"]
    dtype, (m, n) = design.dtype, design.shape
    ratio = (0.01 if m < n else 1e-4) if ratio is None else ratio
    if np.ndim(share := np.asarray(real_array("alpha", alpha))) or not 0 <= share <= 1:
        raise ValueError(f"expected alpha to be one number in [0, 1], got {alpha!r}; one path for each share of l1")
    if not (isinstance(ratio, (float, np.floating)) and 0 < ratio < 1):
        raise ValueError(f"expected ratio to be one number in (0, 1), got {ratio!r}")
    factor = np.ones(n, dtype) if penalty_factor is None else np.asarray(fields["penalty_factor"])
    if not np.any(factor > 0):
        raise ValueError("expected a penalized column, got penalty_factor that is 0 everywhere; fit without l1 and l2")
    held = np.isposinf(factor)
    factor = np.where(held, np.inf, factor * (n / np.sum(np.where(held, 1, factor))))  # as glmnet counts columns left out
    s, offset = fields.get("sample_weight"), fields.get("offset")
    unit = np.asarray(_deviations(design, s)) if standardize else np.ones(n, dtype)
    varies = unit > 0
    if not np.any(varies & (factor > 0)):
        raise ValueError("expected a penalized column that is not constant, got none; no strength holds anything at 0")
    numbers = checked_groups(groups, 1.0, n, factor) if groups is not None else None
    if numbers is not None:  # all columns of a group have one factor, and a constant one counts in its size
        unit = np.where(varies, unit, 1)
        design = (to_dense(design) if isinstance(design, Sparse) else np.asarray(design)) / unit
        unit, varies = np.ones_like(unit), np.ones(n, bool)
    if not np.all(varies):
        design = columns_of(design, varies) if isinstance(design, Sparse) else np.asarray(design)[:, varies]
    data = Problem(design, fields["y"], s, offset, penalty_factor=(factor * unit)[varies], fit_intercept=fit_intercept,
                   groups=numbers)  # fmt: skip
    first = np.asarray(l1_max(data, num_classes=num_classes))
    if np.isnan(first):
        raise ValueError(
            "expected a null model with an estimate, got columns of penalty_factor 0 that separate the classes; penalize them"
        )
    first = first / np.maximum(np.asarray(alpha, dtype), _LEAST_SHARE)
    strengths = first * ratio ** (np.arange(num_strengths, dtype=dtype) / max(num_strengths - 1, 1))
    absolute, l2 = elastic_net(strengths, alpha)
    path = {"l1": absolute, "l2": l2} if numbers is None else {"l1_group": absolute, "l2": l2, "groups": groups}
    return path | ({} if penalty_factor is None else {"penalty_factor": jnp.asarray(factor)})


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
    given = {"C": real_array("C", C), "weight_sum": real_array("weight_sum", weight_sum)}
    for name, value in given.items():
        if is_concrete(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(f"expected {name} > 0, got {value}")
    common_shape({name: value.shape for name, value in given.items()})
    return _inverse_product(*given.values())


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
    strength, share = real_array("alpha", alpha), real_array("l1_ratio", l1_ratio)
    if is_concrete(strength) and not np.all(np.asarray(strength) >= 0):
        raise ValueError(f"expected alpha >= 0, got {alpha}")
    if is_concrete(share) and not np.all((np.asarray(share) >= 0) & (np.asarray(share) <= 1)):
        raise ValueError(f"expected l1_ratio in [0, 1], got {l1_ratio}")
    common_shape({"alpha": strength.shape, "l1_ratio": share.shape})
    return _shares(strength, share)


@program()
def _shares(alpha: ArrayLike, l1_ratio: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    alpha, l1_ratio = as_floating(alpha), as_floating(l1_ratio)
    return alpha * l1_ratio, alpha * (1 - l1_ratio)
