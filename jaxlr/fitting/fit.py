"""The front door: one model or a batch of them, by broadcasting.

    minimize  sum_i s_i l(z_i, y_i) / sum_i s_i + sum_j f_j (l1 |coef_j| + l2 / 2 coef_j^2)
              + l1_group sum_g sqrt(size_g) f_g |coef_g|_2                                       lower <= coef <= upper
    z_i = X_i . coef + intercept + offset_i,        l(z, y) = log(1 + exp(z)) - y z

and with num_classes = K the multinomial model, every class with coefficients of its own,

    minimize  sum_i w_i (logsumexp_k z_ik - z_i,y_i) + sum_j f_j (l1 sum_k |coef_kj| + l2 / 2 sum_k coef_kj^2)
    z_ik = X_i . coef_k + intercept_k + offset_ik,        w = s / sum(s)

`jaxlr.engine.arguments` checks what comes in, `jaxlr.batching.strategy` chooses the solver, `jaxlr.engine.run` cuts a large
batch into chunks, and `jaxlr.batching.program` fits a chunk in one compiled program.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.run import run
from jaxlr.inputs.checks import Data, DesignData
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.results.fit import Fit


def fit(
    X: DesignData,
    y: Data,
    *,
    num_classes: int | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    l1_group: Data = 0.0,
    groups: Data | None = None,
    lower: Data | None = None,
    upper: Data | None = None,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | SoftmaxParams | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Fit:
    """Fit logistic regressions; every model comes back with the evidence that it converged.

    Axes in front of the core axes are batch axes, and those of all fields broadcast against each other: l2 (100,) gives
    100 models, with sample_weight (10, 1, m) beside it 10 x 100. Works under jit and vmap; broadcasting is the fast road.

    Works under differentiation, forward and reverse, once and twice: params and value have the derivatives of the minimum in
    X, y, sample_weight, offset, strengths, penalty_factor and bounds, by the implicit function theorem (one solve with the
    Hessian at the minimum, whatever the solver did; with l1 and groups on their support, with bounds on what is at none, which
    a small change leaves as they are except where a coefficient is just about to enter or leave). kkt and gap have the
    derivative 0, and so does everything in init and tol. A model that is not CONVERGED has no minimum that moves: its
    derivatives are NaN, and those of its neighbours do not notice.

    Args:
        X: design (..., m, n); its floating dtype (32 or 64 bits) is that of everything else, other dtypes become the
            default float. One (m, n) for all may be sparse, of SciPy (any format) or JAX (BCSR, BCOO), or a data frame with
            sparse columns: it stays so where every column is penalized or the penalties are tracers, and that pays.
        y: labels (..., m), 0/1 of any dtype, or soft labels in [0, 1], such as successes / trials with sample_weight = trials;
            with num_classes integers 0..num_classes - 1, or soft labels (..., m, K), probabilities of the classes, as of
            distillation and label smoothing (where m is K, (m, K) are m labels of K models).
        num_classes: static, K >= 2 of the multinomial model; None is the binary one.
        sample_weight: (..., m) >= 0; None is 1. A weight k means the row k times, 0 that it is not there.
        offset: (..., m), with num_classes (..., m, K), added to the logits; None is 0.
        l1: strength of the absolute penalty (...), on the scale of the mean loss; the zeros that it makes are exact. An l1 that
            is 0 everywhere and known outside jit is the smooth program. `jaxlr.l1_max` is where all coefficients are 0.
        l2: strength of the squared penalty (...), on the scale of the mean loss; scikit-learn's C is 1 / (l2 sum(s)).
        l1_group: strength of the norms of groups (...), on the scale of the mean loss: whole groups are exactly 0 or not (group
            lasso; with l1 beside it the sparse group lasso). `jaxlr.l1_max` of a Problem with groups is where all are 0.
        groups: integers (n,), known outside jit, the same for columns that are together, such as the dummies of a factor or the
            basis of a spline. With num_classes the coefficients of all classes belong to their column's group: np.arange(n) is
            glmnet's type.multinomial="grouped". penalty_factor is the same within a group (traced, it is NONFINITE
            otherwise). A sparse X is made dense. Without l1_group they count for nothing.
        lower: least coefficients (..., n) or one number, of every class alike, -inf for none; on the scale of X, with
            standardize too. None is none. The intercept is free; a coefficient at its bound is exactly that.
        upper: greatest ones likewise, inf for none; one that equals the lower one is the coefficient.
        penalty_factor: (..., n) >= 0, multiplies the strengths by column, inf leaves a column out: its coefficient is 0, as in
            glmnet, and bounds have to allow that; None is 1. The intercept is never penalized.
        fit_intercept: static. Without it the intercepts are 0.
        standardize: static. True measures each penalty in standard deviations of its column under the model's own
            weights, as glmnet does (a constant column gets coefficient 0, or the bound next to that); coefficients stay on the
            original scale.
        init: start, coef (..., n) and intercept (...), with num_classes SoftmaxParams, coef (..., K, n) and intercept (..., K);
            None is 0. The answer does not depend on it beyond tol.
        solver: static: "newton" factors Hessians, "newton_cg" takes conjugate gradients for many columns, "proximal" is for l1,
            groups and bounds, "auto" chooses by shapes; the Fit says which.
        tol: on the KKT residual, > 0 and finite; None is 1e-10 in float64 and 1e-5 in float32.
        max_steps: static, from 1 to 2**31 - 1; None is 200. With l1 steps may share a Hessian (twice as many, and
            cheaper), and with working sets it is the limit in each.
        batch_size: static, models at a time; None is as many as are worth their memory, and fit into what the device has
            free. The answer does not depend on it beyond tol.
        mesh: static, devices to spread the models over; an axis named "rows" spreads the rows of X. None is one device. Under
            jit and differentiation the call is one program of one device, without chunks, mesh and bar.
        progress: static; True shows a bar on stderr, with the models done and failed.

    Returns:
        Fit, its fields with the batch shape in front; its params are SoftmaxParams with num_classes, else Params. Without a
        penalty a column that depends on those before it has the coefficient 0, as in R; where rounding does not tell whether
        it does (a share of less than eps^0.7 of it is its own), the model is STALLED. So it is within bounds where columns
        without a penalty depend on each other: there the minimum is not one point.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, labels outside [0, 1] or no integers 0..num_classes - 1, a negative weight or penalty,
            lower > upper, groups that are missing or not (n,); or NaN, a class without weight beside an intercept, no weight,
            or bounds that exclude the 0 of a column left out, in the whole call. In some members of a batch only, these are
            the status NONFINITE or INVALID of the members.
        MemoryError: a chunk, or a sparse X that has to be dense, needs more than the device has free; nothing was allocated.
        KeyboardInterrupt: between chunks; its attribute `fit` is the Fit so far, NOT_RUN where models were not reached.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> fit(X, y, l2=np.array([0.1, 1.0])).converged.tolist()
        [True, True]
        >>> fit(X, [0, 1, 2, 0], num_classes=3, l2=0.1).params.coef.shape
        (3, 1)
        >>> from scipy.sparse import csr_array
        >>> bool(fit(csr_array(X), y, l2=0.1).converged)
        True

    References:
        Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), eqs. 4.20 to 4.26 (Newton), 4.31 for the
        l1 penalty, and 18.11 for l2; the certificates are in `jaxlr.kkt_residual` and `jaxlr.duality_gap`. Several classes:
        McCullagh & Nelder, Generalized Linear Models (1989), section 5.2.4 (the model); Friedman, Hastie & Tibshirani 2010,
        Journal of Statistical Software 33, section 4 (the objective).
    """
    given = Arguments(
        X=X,
        y=y,
        num_classes=num_classes,
        sample_weight=sample_weight,
        offset=offset,
        l1=l1,
        l2=l2,
        l1_group=l1_group,
        groups=groups,
        penalty_factor=penalty_factor,
        lower=lower,
        upper=upper,
        fit_intercept=fit_intercept,
        standardize=standardize,
        init=init,
        solver=solver,
        tol=tol,
        max_steps=max_steps,
        batch_size=batch_size,
        mesh=mesh,
        progress=progress,
    )
    return run(prepare(given, filled_axes="mn"))


def start_of(given: Arguments) -> Any:
    """Where other fits may start: the parameters of a fit, constant under differentiation. Raises as `fit`."""
    constant = {name: jax.tree.map(_constant, value) for name, value in vars(given).items()}
    alone = replace(given, **constant | {"batch_size": None, "progress": False})
    return run(prepare(alone, filled_axes="mn")).params


def _constant(leaf: Any) -> Any:
    return leaf if is_concrete(leaf) else jax.lax.stop_gradient(leaf)
