"""Rows of scikit-learn for one call of `jaxlr.fit`: labels of any kind, weights of classes, one batch of all models.

scikit-learn minimizes C sum_i s_i l(z_i, y_i) + (1 - r) / 2 |coef|^2 + r |coef|_1, r its l1_ratio: jaxlr's objective with

    l1 = r / (C sum(s))        l2 = (1 - r) / (C sum(s))

More than two classes are one multinomial model (`jaxlr.fit` with `num_classes`), or on request each is fitted against the
rest, in one program: `fit(X, one_hot)`, the classes a batch axis. float64 input is computed in float64, whatever JAX's
configuration.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.run import run
from jaxlr.estimator.parameters import solver, tolerance
from jaxlr.inputs.sparse import of_scipy
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


class Rows(NamedTuple):
    """What is fitted.

    Attributes:
        X: (m, n), float32 or float64, an array or of scipy.sparse.
        y: (m,), as it came.
        codes: the number of each row's class (m,).
        weights: (..., 1 or M, m) >= 0; M models, one for each class, with "ovr".
        offset: (m,), (m, K) or None.
        penalty_factor: (n,) or None.
    """

    X: Any
    y: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    offset: np.ndarray | None = None
    penalty_factor: np.ndarray | None = None


def to_numpy(value: Any) -> Any:
    """An array of JAX as one of NumPy, its sparse matrices as SciPy's, anything else as it is."""
    return np.asarray(value) if isinstance(value, jax.Array) else of_scipy(value)


def is_one_model(estimator: Any) -> bool:
    """Whether the classes share one multinomial model."""
    return estimator.multi_class == "multinomial" and len(estimator.classes_) > 2


def check_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, offset: Any, penalty_factor: Any) -> Rows:
    """The data of a fit, checked; `classes_` and what scikit-learn knows of columns are set.

    Args:
        estimator: one of this package.
        X: (m, n), an array, of scipy.sparse, or a DataFrame.
        y: (m,), labels of any kind.
        sample_weight: (m,) >= 0; None is 1.
        offset: (m,), of more than two classes (m, K) too; None is 0.
        penalty_factor: (n,) >= 0; None is 1.

    Raises:
        TypeError, ValueError: in scikit-learn's words, or those of `jaxlr.fit`.
    """
    shape = np.shape(y) if isinstance(y, (list, tuple)) else getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] == 2:
        fix = "for successes and failures pass each row as a 1 and as a 0, with these as sample_weight"
        raise ValueError(f"expected y (m,), got shape {shape}; {fix}")
    dtypes = [np.float64] if estimator.solver == "liblinear" else [np.float64, np.float32]
    X, y = validate_data(estimator, to_numpy(X), to_numpy(y), accept_sparse="csr", dtype=dtypes)
    plain = y.dtype.kind in "biuU"  # labels whatever the values, unless most of them differ
    if not plain:
        check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if plain and 2 * len(classes) > len(y):
        check_classification_targets(y)
    if len(classes) == 1 and not estimator.fit_intercept and classes.dtype.kind in "biuf" and classes[0] in (0, 1):
        classes, codes = np.array([0, 1], classes.dtype), codes + int(classes[0])  # as of differences of matched pairs
    if len(classes) < 2:
        raise ValueError(f"expected at least 2 classes in y, got one class only: {classes[0]}; nothing tells rows apart then")
    if len(classes) > 2 and estimator.solver == "liblinear" and estimator.multi_class != "ovr":
        raise ValueError(
            "The 'liblinear' solver does not support multiclass classification. Leave solver as it is by default for the "
            'multinomial model, or choose multi_class="ovr".'
        )
    estimator.classes_ = classes
    s = np.ones(X.shape[0], X.dtype)
    if sample_weight is not None:
        s = _check_sample_weight(to_numpy(sample_weight), X, dtype=X.dtype, ensure_non_negative=True)
    weights = (_class_weights(estimator, y, codes, s) * s).astype(X.dtype)
    if not np.any(weights > 0):
        raise ValueError(
            "expected rows of positive weight, sample_weight times class_weight, got weights that are all 0; give some class "
            "weight"
        )
    if offset is not None:
        offset = np.asarray(to_numpy(offset), X.dtype)
        shapes = {(len(y), len(classes))} if is_one_model(estimator) else {(len(y),)}
        shapes |= {(len(y), len(classes))} if len(classes) > 2 else set()
        if offset.shape not in shapes:
            wanted = " or ".join(map(str, sorted(shapes)))
            raise ValueError(f"expected offset {wanted}, got shape {offset.shape}; give a number a row")
    if penalty_factor is not None:
        penalty_factor = np.asarray(to_numpy(penalty_factor), X.dtype)
    return Rows(X, y, codes, weights, offset, penalty_factor)


def _class_weights(estimator: Any, y: np.ndarray, codes: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The factors that class_weight means: (1, m), or (M, m) where "balanced" is meant of each class against the rest."""
    if (kind := estimator.class_weight) is None:
        return np.ones((1, len(y)))
    if kind != "balanced":
        return compute_class_weight(kind, classes=estimator.classes_, y=y)[codes][None, :]
    sides = codes[None, :] if is_one_model(estimator) else (codes == _models(estimator)[:, None]).astype(int)
    return np.stack([_balanced(of_rows, s)[of_rows] for of_rows in sides])


def _balanced(codes: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Factors that give all classes the same weight, as scikit-learn's do: of those that have any, for rows of weight 0 are not
    there."""
    by_class = np.bincount(codes, s)
    there = by_class > 0
    return by_class.sum() / (max(there.sum(), 1) * np.where(there, by_class, np.inf))


def _models(estimator: Any) -> np.ndarray:
    """The class that each model of "ovr" or of two classes is about: (M,), numbers."""
    return np.arange(int(len(estimator.classes_) == 2), len(estimator.classes_))


def fit_classes(
    estimator: Any, rows: Rows, C: Any, l1_ratio: Any, *, classes: Any = None, init: Any = None, max_steps: int | None = None
) -> Fit:
    """Fit the labels under the weights and penalties, with the parameters of an estimator and in the dtype of X.

    Raises as `jaxlr.fit`.

    Args:
        estimator: one of this package, with `classes_`.
        rows: with weights (..., 1 or M, m).
        C: inverse strengths > 0.
        l1_ratio: shares of l1, in [0, 1]; they broadcast with C to the grid.
        classes: numbers of those that are fitted, where rows of others have no weight; None is all.
        init: coef (1 or K, n) and intercept (1 or K,) to start from, without a grid and axes of weights; None is 0.
        max_steps: most steps; None is max_iter.

    Returns:
        Fit (..., M, *grid) of NumPy arrays, M being 1 for a multinomial model. Its params are coef (..., K or 1, *grid, n) and
        intercept (..., K or 1, *grid), of the classes that are fitted.
    """
    C, l1_ratio = np.asarray(C, float), np.asarray(l1_ratio, float)
    if not np.all(np.finfo(rows.X.dtype).tiny <= C):
        raise ValueError(f"expected C > 0, got {C}; it is the inverse of a strength")
    grid, weights, one_model = (1,) * np.broadcast(C, l1_ratio).ndim, rows.weights, is_one_model(estimator)
    steps = int(estimator.max_iter if max_steps is None else max_steps)
    if one_model:
        classes = np.arange(len(estimator.classes_)) if classes is None else classes
        weights, offset = weights[..., 0, :], None if rows.offset is None else rows.offset[:, classes]
        labels = np.minimum(np.searchsorted(classes, rows.codes), len(classes) - 1)  # where a class is not fitted, of no weight
    else:
        classes = _models(estimator) if classes is None else classes
        labels = _before_rows((rows.codes == classes[:, None]).astype(rows.X.dtype), grid)
        weights = weights if weights.shape[-2] == 1 else weights[..., classes - _models(estimator)[0], :]
        offset = rows.offset if rows.offset is None or rows.offset.ndim == 1 else _before_rows(rows.offset.T[classes], grid)
    strength = 1 / (C * weights.sum(axis=-1, dtype=float).reshape(weights.shape[:-1] + grid))
    if steps == 0:
        lead, sizes = rows.weights.shape[:-2], np.broadcast_shapes(C.shape, l1_ratio.shape)
        return unfitted(rows, (*lead, 1 if one_model else len(classes), *sizes), (*lead, len(classes), *sizes), init)
    given: dict[str, Any] = {"sample_weight": None if np.all(weights == 1) else _before_rows(weights, grid)}
    given |= {"fit_intercept": bool(estimator.fit_intercept), "offset": offset, "penalty_factor": rows.penalty_factor}
    absolute = {"l1": strength * l1_ratio}
    if estimator.groups is not None:
        absolute = {"l1_group": strength * l1_ratio, "groups": estimator.groups}
    given |= absolute | {"l2": strength * (1 - l1_ratio), "tol": tolerance(estimator, rows.X.dtype), "max_steps": steps}
    bounds = {"lower": estimator.lower, "upper": estimator.upper}
    given |= {name: np.asarray(bound, float) for name, bound in bounds.items() if bound is not None}
    given |= {"num_classes": len(classes) if one_model else None, "progress": bool(estimator.verbose)}
    given |= {"solver": solver(estimator, l1_ratio)}
    kind = SoftmaxParams if one_model else Params
    with jax.enable_x64(True):
        call = prepare(Arguments(X=rows.X, y=labels, init=None if init is None else kind(*init), **given), filled_axes="mn")
        fits = jax.tree.map(np.array, run(call, on_host=True))
    if not one_model:
        return fits
    at, (coef, intercept) = weights.ndim - 1, fits.params
    params = SoftmaxParams(np.moveaxis(coef, -2, at), np.moveaxis(intercept, -1, at))
    return replace(jax.tree.map(lambda leaf: np.expand_dims(leaf, at), fits), params=params)


def training_weights(folds: list[tuple[Any, Any]], rows: Rows) -> np.ndarray:
    """How often a fold trains on each row, times the weights: (k, 1 or K, m)."""
    m = len(rows.y)
    counts = [np.bincount(np.arange(m)[train], minlength=m) for train, _ in folds]  # of indices or of a mask
    if not counts:
        raise ValueError("expected cv with at least one fold, got none; give a number of folds")
    weights = np.stack(counts).astype(rows.X.dtype)[:, None, :] * rows.weights
    if not (some := np.any(weights > 0, axis=(1, 2))).all():
        raise ValueError(
            f"expected training rows of positive weight in every fold, got none in fold {np.argmin(some)}; give fewer folds"
        )
    return weights


def unfitted(rows: Rows, models: tuple[int, ...], classes: tuple[int, ...], init: Any = None) -> Fit:
    """Models where they start, NOT_RUN, with no evidence.

    Args:
        rows: what would be fitted.
        models: shape of the evidence, (..., M, *grid).
        classes: shape of the intercepts, (..., K or 1, *grid).
        init: coef and intercept to start from, of these shapes; None is 0.
    """
    dtype = rows.X.dtype
    coef, intercept = (np.zeros((*classes, rows.X.shape[1]), dtype), np.zeros(classes, dtype)) if init is None else init
    unknown, none = np.full(models, np.nan, dtype), np.zeros(models, np.int32)
    evidence = {"value": unknown, "kkt": unknown.copy(), "gap": unknown.copy(), "num_steps": none}
    params = Params(np.array(coef, dtype), np.array(intercept, dtype))
    return Fit(params=params, status=np.full(models, Status.NOT_RUN, np.int32), solver="none", **evidence)


def _before_rows(rows: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Rows (..., m) with axes for the grid before the last."""
    return rows.reshape(rows.shape[:-1] + grid + rows.shape[-1:])
