"""Multinomial models, one or a batch of them: the checks, and the engine of `jaxlr.fit`.

minimize  sum_i w_i (logsumexp_k z_ik - z_i,label_i) + sum_j f_j (l1 sum_k |coef_kj| + l2 / 2 sum_k coef_kj^2)
z_ik = X_i . coef_k + intercept_k + offset_ik,        w = s / sum(s)
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxlr.batching.lanes import products_fit
from jaxlr.batching.program import fit_batch
from jaxlr.engine.arguments import checked_call, checked_fields, checked_start, chosen_settings
from jaxlr.engine.run import Call, run
from jaxlr.inputs.checks import SOFTMAX_AXES, Data, check_count, is_concrete
from jaxlr.model.params import SoftmaxParams
from jaxlr.results.fit import Fit

# Parameters up to which factoring a Hessian costs no more than the products that conjugate gradients take instead, where
# models share a design (python -m tests.benchmarks L).
_DENSE = 128
_DENSE_ALONE = 2048  # and up to which a Hessian tells whether the data are separated


def fit_softmax(
    X: Data,
    labels: Data,
    num_classes: int,
    *,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: SoftmaxParams | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Fit:
    """Fit multinomial logistic regressions; every model comes back with the evidence that it converged.

    All that is said of `jaxlr.fit` holds here: axes in front of the core axes are batch axes and broadcast against each other
    (folds are weights, penalties a path); the classes are never a batch axis. No class is the base: every class has
    coefficients of its own, and whatever has no penalty, the intercepts too, sums to 0 over the classes; with l2 alone
    everything does. Two classes are the binary model: the difference of their rows is what `jaxlr.fit` finds with l2 / 2.

    The Fit is constant under differentiation.

    Args:
        X: design (..., m, n); its floating dtype (32 or 64 bits) is that of everything else.
        labels: integers 0..num_classes - 1 (..., m).
        num_classes: static, K >= 2.
        sample_weight: (..., m) >= 0; None is 1. A weight k means the row k times, 0 that it is not there.
        offset: (..., m, K), added to the logits; None is 0.
        l1: strength of the absolute penalty (...), on the scale of the mean loss; the zeros that it makes are exact.
        l2: strength of the squared penalty (...), on the scale of the mean loss; scikit-learn's C is 1 / (l2 sum(s)).
        penalty_factor: (..., n) >= 0, multiplies the strengths by column; None is 1. The intercepts are never penalized.
        fit_intercept: static. Without it the intercepts are 0.
        standardize: static. True measures each penalty in standard deviations of its column under the model's own weights.
        init: start, coef (..., K, n) and intercept (..., K); None is 0. The answer does not depend on it beyond tol.
        solver: static: "newton" factors Hessians, "newton_cg" takes conjugate gradients for many parameters, "proximal" is for
            l1, "auto" chooses by shapes; the Fit says which.
        tol: on the KKT residual, > 0; None is 1e-10 in float64 and 1e-5 in float32.
        max_steps: static, from 1 to 2**31 - 1; None is 200.
        batch_size: static, models at a time; None is as many as are worth their memory.
        mesh: static, devices to spread the models over; an axis named "rows" spreads the rows of X. None is one device.
        progress: static; True shows a bar on stderr.

    Returns:
        Fit, its fields with the batch shape in front; params are `jaxlr.SoftmaxParams`, kkt and gap those of
        `jaxlr.softmax_kkt_residual` and `jaxlr.softmax_duality_gap`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, labels that are no integers 0..num_classes - 1, a negative weight or penalty; or NaN, a
            class without weight (beside intercepts or a column without a penalty), no weight in the whole call. In some
            members of a batch only, these are the status NONFINITE or INVALID of the members.
        MemoryError, KeyboardInterrupt: as `jaxlr.fit`.

    Example:
        >>> import numpy as np
        >>> X, labels = np.arange(6.0)[:, None], np.array([0, 0, 1, 2, 1, 2])
        >>> fit = fit_softmax(X, labels, 3, l2=np.array([0.1, 1.0]))
        >>> fit.converged.tolist(), fit.params.coef.shape
        ([True, True], (2, 3, 1))

    References:
        Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33, section 4: the same objective; McCullagh &
        Nelder, Generalized Linear Models (1989), section 5.2.4: the model.
    """
    call = _prepare(locals())
    return run(fit_batch, call.fields, call.tol, (call.settings,), call, SOFTMAX_AXES)


def _prepare(given: dict[str, Any]) -> Call:
    """Check the arguments, and choose the solver by shapes."""
    check_count("num_classes", given["num_classes"], 2)
    start, num_classes = checked_start(given, SoftmaxParams), int(given["num_classes"])
    data = {name: given[name] for name in ("X", "labels", "sample_weight", "offset", "l1", "l2", "penalty_factor")} | start
    data["offset"] = _checked_classes(data, num_classes)
    checked = checked_fields(given, data, SOFTMAX_AXES)
    fields, X, fit_intercept = checked.fields, checked.fields["X"], bool(given["fit_intercept"])
    _check_labels(fields["labels"], fields.get("sample_weight"), num_classes, fit_intercept, checked.penalized)
    fields["y"] = fields.pop("labels")

    m, n = X.shape[-2:]
    k = n + fit_intercept
    designs, num_models = (int(np.prod(shape, dtype=int)) for shape in (X.shape[:-2], checked.batch))
    num_parameters = (num_classes - ("l1" not in fields)) * k
    products = products_fit(m, k, designs, checked.dtype.itemsize)
    alone = num_models == designs and not checked.coercive and num_parameters <= _DENSE_ALONE
    dense = alone or (num_parameters <= _DENSE and (products or num_models == designs))
    settings = chosen_settings(given, checked, dense)._replace(num_classes=num_classes)
    dense = settings.solver != "newton_cg"
    return checked_call(
        given,
        checked,
        settings,
        SOFTMAX_AXES,
        hessian=num_parameters if dense else 0,
        gathered=num_classes * (num_classes + 1) // 2 if dense else 0,  # a row for each pair of classes
        preconditioner=0 if dense else int(np.ceil(k * np.sqrt(num_classes))),  # a block for each class
        products=dense and products and num_models > designs,
        num_classes=num_classes,
    )


def _checked_classes(data: dict[str, Any], num_classes: int) -> Any:
    """Refuse what has an axis of classes of another length; the offset with that axis in front of the rows."""
    shapes = {name: np.shape(data[name]) for name in ("labels", "offset", "coef", "intercept") if data.get(name) is not None}
    rows = np.shape(data["X"])[-2:-1]
    labels = shapes.get("labels", ())
    if len(labels) > 1 and labels[-1:] != rows and labels[-2:-1] == rows:
        one_hot = labels[-1] == num_classes
        advice = "labels.argmax(axis=-1) of one-hot rows" if one_hot else "batch axes in front"
        raise ValueError(f"expected integer labels (..., m) for X with {rows[0]} rows, got shape {labels}; pass {advice}")
    for name, axis, form in (("offset", -1, "(..., m, K)"), ("coef", -2, "(..., K, n)"), ("intercept", -1, "(..., K)")):
        if name in shapes and (len(shapes[name]) < -axis or shapes[name][axis] != num_classes):
            raise ValueError(f"expected {name} {form} with K = {num_classes} classes, got shape {shapes[name]}")
    if "offset" not in shapes:
        return None
    offset = data["offset"] if isinstance(data["offset"], jax.Array) else np.asarray(data["offset"])
    if offset.ndim < 2:
        raise ValueError(f"expected offset (..., m, K), got shape {offset.shape}")
    return offset.swapaxes(-1, -2)


def _check_labels(labels: Any, sample_weight: Any, num_classes: int, fit_intercept: bool, penalized: Any) -> None:
    """Refuse labels that are no classes, and a class without weight where every member of the call has that."""
    if not is_concrete(labels):
        return
    y = np.asarray(labels)
    if jnp.issubdtype(y.dtype, jnp.floating) and np.any((y != np.floor(y)) & np.isfinite(y)):
        raise ValueError(f"expected integer labels 0..{num_classes - 1}, got {y[(y != np.floor(y)) & np.isfinite(y)][0]}")
    least, most = (extreme.reduce(y, axis=None) for extreme in (np.fmin, np.fmax))
    if least < 0 or most >= num_classes:
        raise ValueError(f"expected labels 0..{num_classes - 1} of num_classes = {num_classes}, got {least} to {most}")
    if not is_concrete(sample_weight):
        return
    s = np.ones(y.shape[-1:]) if sample_weight is None else np.asarray(sample_weight)
    if not np.any(s != 0):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    if penalized is None and not fit_intercept:
        return
    lacking = np.stack([~np.einsum("...m,...m->...", s > 0, y == k) for k in range(num_classes)])
    unsafe = lacking if fit_intercept else lacking & ~np.asarray(penalized)
    if np.all(np.any(unsafe, axis=0)):
        absent = [k for k in range(num_classes) if np.all(unsafe[k])]
        raise ValueError(
            f"expected all {num_classes} classes among the rows of positive weight, got none of {absent or 'some'}; no finite "
            "estimate exists (an intercept or an unpenalized column would go to infinity)"
        )
