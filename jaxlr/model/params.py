"""The model: logits are linear in the parameters, probabilities their sigmoid.

    logits = X . coef + intercept + offset        P(y = 1) = sigmoid(logits)

Batch axes stand in front: ``coef`` (..., n) and ``intercept`` (...) give (..., m).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxlr.inputs.tables import Data, as_floating
from jaxlr.model.logistic import sigmoid


class Params(NamedTuple):
    """Parameters of one model or of a batch.

    Attributes:
        coef: coefficients (..., n).
        intercept: intercepts (...); zeros for a model without one.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    coef: Any
    intercept: Any


def logits(params: Params, X: Data, offset: Data | None = None) -> Float[Array, "*batch m"]:
    """X . coef + intercept + offset.

    With a shared X (m, n) all models of the batch are one matrix product. The product uses the highest precision, since
    certificates rest on it.

    Args:
        params: coef (..., n), intercept (...); their dtype decides.
        X: design (m, n), or (..., m, n) with batch axes that broadcast against those of params.
        offset: added to the logits, (m,) or (..., m); None is 0.

    Returns:
        Logits (..., m), in nats (log-odds).

    Raises:
        TypeError, ValueError: X and coef do not have the same number of columns.

    Example:
        >>> import numpy as np
        >>> logits(Params(np.ones(2, np.float32), np.float32(1)), np.ones((3, 2), np.float32)).tolist()
        [3.0, 3.0, 3.0]
    """
    coef = as_floating(params.coef)
    X = as_floating(X).astype(coef.dtype)
    if X.ndim < 2 or coef.ndim < 1 or X.shape[-1] != coef.shape[-1]:
        raise ValueError(f"expected X (..., m, n) and coef (..., n) with one n, got X {X.shape} and coef {coef.shape}")
    if X.ndim == 2:
        z = jnp.dot(coef, X.T, precision=jax.lax.Precision.HIGHEST)
    else:
        z = jnp.einsum("...n,...mn->...m", coef, X, precision=jax.lax.Precision.HIGHEST)
    z = jnp.add(*jnp.broadcast_arrays(z, as_floating(params.intercept).astype(coef.dtype)[..., None]))
    return z if offset is None else jnp.add(*jnp.broadcast_arrays(z, as_floating(offset).astype(coef.dtype)))


def predict_proba(params: Params, X: Data, offset: Data | None = None) -> Float[Array, "*batch m"]:
    """The probability that y = 1.

    Args:
        params: coef (..., n), intercept (...).
        X: design (m, n) or (..., m, n).
        offset: added to the logits, (m,) or (..., m); None is 0.

    Returns:
        Probabilities (..., m) in [0, 1].

    Raises:
        TypeError, ValueError: as `logits`.

    Example:
        >>> import numpy as np
        >>> predict_proba(Params(np.zeros(2), np.zeros(())), np.ones((3, 2))).tolist()
        [0.5, 0.5, 0.5]
    """
    return sigmoid(logits(params, X, offset))


def predict(params: Params, X: Data, *, threshold: ArrayLike = 0.5, offset: Data | None = None) -> Int[Array, "*batch m"]:
    """The predicted class: 1 where the probability reaches the threshold, else 0.

    Args:
        params: coef (..., n), intercept (...).
        X: design (m, n) or (..., m, n).
        threshold: a probability, scalar or broadcast against the result.
        offset: added to the logits, (m,) or (..., m); None is 0.

    Returns:
        Classes (..., m), int32. A NaN probability (a model without parameters) gives -1, which is neither class.

    Raises:
        TypeError, ValueError: as `logits`.

    Example:
        >>> import numpy as np
        >>> predict(Params(np.ones(1), np.zeros(())), np.array([[-1.0], [0.0], [1.0]])).tolist()
        [0, 1, 1]
    """
    proba = predict_proba(params, X, offset)
    classes = (proba >= jnp.asarray(threshold, proba.dtype)).astype(jnp.int32)
    return jnp.where(jnp.isnan(proba), -1, classes)


class SoftmaxParams(NamedTuple):
    """Parameters of one multinomial model of K classes, or of a batch.

    Attributes:
        coef: coefficients (..., K, n).
        intercept: intercepts (..., K); zeros for a model without.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    coef: Any
    intercept: Any
