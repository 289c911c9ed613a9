"""Predictions: logits are linear in the parameters, probabilities their sigmoid or their softmax.

The type of the parameters says which; batch axes stand in front, and the classes last. A Fit stands for its params, and where
it was one of a table, the columns of another go by name.
"""

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import common_shape, real_array
from jaxlr.inputs.tables import Data, DesignData, as_floating, in_order
from jaxlr.linalg.dot import einsum, times
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.logistic import sigmoid
from jaxlr.model.params import HasParams, Params, SoftmaxParams
from jaxlr.model.softmax import log_softmax


def logits(params: Params | SoftmaxParams | HasParams, X: DesignData, offset: Data | None = None) -> Float[Array, "..."]:
    """X . coef + intercept + offset, of every class where there are several.

    With a shared X (m, n) all models of the batch are one matrix product. The product uses the highest precision, since
    certificates rest on it.

    Args:
        params: Params, coef (..., n) and intercept (...), or SoftmaxParams, coef (..., K, n) and intercept (..., K); their
            dtype decides. A Fit stands for its params.
        X: design (m, n), sparse too, or (..., m, n) with batch axes that broadcast against those of params. Of a table the
            columns that a Fit was given by name are taken, in its order; for params, or a Fit of an array, they go by position.
        offset: added to the logits, (m,) or (..., m), of K classes (m, K) or (..., m, K); None is 0.

    Returns:
        Logits (..., m), in nats (log-odds); of K classes (..., m, K).

    Raises:
        TypeError, ValueError: X and coef do not have the same number of columns; a table lacks one that the Fit names; params
            are something else.

    Example:
        >>> import numpy as np
        >>> logits(Params(np.ones(2, np.float32), np.float32(1)), np.ones((3, 2), np.float32)).tolist()
        [3.0, 3.0, 3.0]
        >>> params = SoftmaxParams(np.eye(3, 2, dtype=np.float32), np.zeros(3, np.float32))
        >>> logits(params, np.ones((1, 2), np.float32)).tolist()
        [[1.0, 1.0, 0.0]]
    """
    return _logits(*_by_name(params, X), offset)


def own_params(params: Any) -> Any:
    """Params, of a Fit its own."""
    if isinstance(params, (Params, SoftmaxParams)) or not hasattr(params, "params"):
        if hasattr(params, "refit"):
            raise TypeError(f"expected jaxlr.Params, jaxlr.SoftmaxParams or a Fit, got {type(params).__name__}; pass its refit")
        likelihood_of_params(params)  # which refuses what is neither
        return params
    return params.params


def _by_name(params: Any, X: Any) -> tuple[Any, Any]:
    """Params, of a Fit its own, and X with the columns that it names."""
    own, names = own_params(params), getattr(params, "names", None)
    return own, X if names is None else in_order(X, names)


def check_intercepts(params: Any) -> None:
    """Refuse a Fit whose strata have intercepts of their own, which it does not know."""
    if getattr(params, "solver", None) == "conditional":
        raise ValueError(
            "expected a fit with an intercept, got a conditional one, which knows no probability of a row; jaxlr.logits gives "
            "log odds ratios against a row of zeros of the same stratum"
        )


@program()
def _logits(params: Params | SoftmaxParams, X: DesignData, offset: Data | None) -> Float[Array, "..."]:
    classes = likelihood_of_params(params).classes
    coef, intercept = as_floating(params.coef), as_floating(params.intercept)
    given: Any = X
    design = (given if isinstance(given, Sparse) else as_floating(given)).astype(coef.dtype)
    if design.ndim < 2 or coef.ndim < 1 + len(classes) or design.shape[-1] != coef.shape[-1]:
        form = "(..., K, n)" if classes else "(..., n)"
        raise ValueError(
            f"expected X (..., m, n) and coef {form} with one n, got X {design.shape} and coef {coef.shape}; give X the "
            "columns of the fit"
        )
    intercepts = intercept.shape[: max(intercept.ndim - len(classes), 0)]
    if intercept.shape != (*intercepts, *coef.shape[-2 : -2 + len(classes)]):
        raise ValueError(
            f"expected intercepts (..., K) of the coef {coef.shape}, got shape {intercept.shape}; one for each class"
        )
    common_shape({"X": design.shape[:-2], "coef": coef.shape[: coef.ndim - 1 - len(classes)], "intercept": intercepts})
    if isinstance(design, Sparse):
        z = design.times(coef) if not classes else jnp.moveaxis(design.times(coef), -2, -1)
    elif classes:
        z = einsum("...mn,...kn->...mk", design, coef)
    elif design.ndim == 2:
        z = times(design, coef)
    else:
        z = einsum("...n,...mn->...m", coef, design)
    place = -1 - len(classes)  # of the rows
    z = jnp.add(*jnp.broadcast_arrays(z, jnp.expand_dims(intercept.astype(coef.dtype), place)))
    if offset is None:
        return z
    offset = as_floating(offset).astype(coef.dtype)
    if classes and offset.ndim == 1:
        raise ValueError(f"expected offset (..., m, K) of K classes, got shape {offset.shape}; one a row is offset[:, None]")
    try:
        if offset.ndim and offset.shape[place] != z.shape[place]:  # a column (m, 1) would make m logits of each row
            raise ValueError
        return jnp.add(*jnp.broadcast_arrays(z, offset))
    except ValueError:
        raise ValueError(
            f"expected an offset that goes with logits {z.shape}, got shape {offset.shape}; one number a row of X, batch axes "
            "in front: np.ravel takes a column"
        ) from None


def predict_proba(params: Params | SoftmaxParams | HasParams, X: DesignData, offset: Data | None = None) -> Float[Array, "..."]:
    """The probability that y = 1, or that of every class.

    Args:
        params: as in `logits`.
        X: as in `logits`.
        offset: as in `logits`.

    Returns:
        Probabilities (..., m) in [0, 1]; of K classes (..., m, K), which sum to 1 over the classes.

    Raises:
        TypeError, ValueError: as `logits`; a Fit of `jaxlr.fit_conditional`.

    Example:
        >>> import numpy as np
        >>> predict_proba(Params(np.zeros(2), np.zeros(())), np.ones((3, 2))).tolist()
        [0.5, 0.5, 0.5]
        >>> predict_proba(SoftmaxParams(np.zeros((4, 2)), np.zeros(4)), np.ones((1, 2))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    check_intercepts(params)
    return _predict_proba(*_by_name(params, X), offset)


@program()
def _predict_proba(params: Params | SoftmaxParams, X: DesignData, offset: Data | None) -> Float[Array, "..."]:
    z = _logits(params, X, offset)
    return jnp.exp(log_softmax(z)) if likelihood_of_params(params).classes else sigmoid(z)


def predict(
    params: Params | SoftmaxParams | HasParams, X: DesignData, *, threshold: ArrayLike = 0.5, offset: Data | None = None
) -> Int[Array, "*batch m"]:
    """The predicted class: 1 where the probability reaches the threshold, else 0; of several the most probable one.

    Args:
        params: as in `logits`.
        X: as in `logits`.
        threshold: a probability, scalar or broadcast against the result; of two classes only.
        offset: as in `logits`.

    Returns:
        Classes (..., m), int32, the first of several that are equally probable. A NaN probability (a model without parameters)
        or threshold gives -1, which is no class.

    Raises:
        TypeError, ValueError: as `predict_proba`; a threshold other than 1/2 for several classes.

    Example:
        >>> import numpy as np
        >>> predict(Params(np.ones(1), np.zeros(())), np.array([[-1.0], [0.0], [1.0]])).tolist()
        [0, 1, 1]
        >>> predict(SoftmaxParams(np.array([[0.0], [1.0]]), np.zeros(2)), np.array([[-2.0], [2.0]])).tolist()
        [0, 1]
    """
    check_intercepts(params)
    own, X = _by_name(params, X)
    if likelihood_of_params(own).classes and not (isinstance(threshold, float) and threshold == 0.5):
        raise ValueError(f"expected no threshold for several classes, got {threshold!r}: the most probable one is taken")
    return _predict(own, X, real_array("threshold", threshold), offset)


@program()
def _predict(params: Params | SoftmaxParams, X: Any, threshold: ArrayLike, offset: Data | None) -> Int[Array, "*batch m"]:
    if likelihood_of_params(params).classes:
        z = _logits(params, X, offset)
        return jnp.where(jnp.any(jnp.isnan(z), axis=-1), -1, jnp.argmax(z, axis=-1)).astype(jnp.int32)
    proba = _predict_proba(params, X, offset)
    common_shape({"threshold": jnp.shape(threshold), "probabilities": proba.shape})
    threshold = jnp.asarray(threshold, proba.dtype)
    classes = (proba >= threshold).astype(jnp.int32)
    return jnp.where(jnp.isnan(proba) | jnp.isnan(threshold), -1, classes)
