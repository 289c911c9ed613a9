"""Penalties and weights as other systems state them, converted to jaxlr's l1, l2 and sample_weight."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.inputs.checks import is_concrete
from jaxlr.inputs.tables import Data, table_numbers
from jaxlr.model.logistic import as_floating


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
    alpha, l1_ratio = as_floating(alpha), as_floating(l1_ratio)
    return alpha * l1_ratio, alpha * (1 - l1_ratio)


def class_weight(y: Data, weights: str | Mapping[int, float]) -> Float[Array, "*batch m"]:
    """Sample weights from weights of the classes.

    Args:
        y: labels (..., m), 0/1.
        weights: {0: a, 1: b}, or "balanced": m / (2 m_c) for a class of m_c rows (King & Zeng 2001, Political Analysis 9,
            section 4.2), so that both classes weigh the same and the weights sum to m.

    Returns:
        sample_weight (..., m), the default float.

    Raises:
        ValueError: weights is neither, or labels are not 0/1; with "balanced", one class has no row.

    Example:
        >>> import numpy as np
        >>> class_weight(np.array([0, 0, 0, 1]), {0: 1.0, 1: 3.0}).tolist()
        [1.0, 1.0, 1.0, 3.0]
    """
    y = table_numbers("y", y)
    if is_concrete(y) and not np.all(np.isin(np.asarray(y), (0, 1))):
        raise ValueError(f"expected labels 0/1, got {np.unique(np.asarray(y))[:5]}")
    if isinstance(weights, str):
        if weights != "balanced":
            raise ValueError(f'expected "balanced" or {{0: a, 1: b}}, got {weights!r}')
        ones = np.asarray(y).mean(-1) if is_concrete(y) else 0.5
        if np.any((ones == 0) | (ones == 1)):
            raise ValueError('expected both classes in y for "balanced", got one class')
        y = jnp.asarray(y).astype(jnp.result_type(float))
        share_of_ones = jnp.mean(y, axis=-1, keepdims=True)
        weight_0, weight_1 = 0.5 / (1 - share_of_ones), 0.5 / share_of_ones
    else:
        if set(weights) != {0, 1} or not all(np.isfinite(w) and w >= 0 for w in weights.values()):
            raise ValueError(f"expected finite weights >= 0 for the classes 0 and 1, got {dict(weights)}")
        y = jnp.asarray(y).astype(jnp.result_type(float))
        weight_0, weight_1 = weights[0], weights[1]
    return jnp.where(y == 1, weight_1, weight_0)
