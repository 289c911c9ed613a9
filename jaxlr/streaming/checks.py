"""What only all rows together can show, refused in words: classes without weight, and columns that depend on each other."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.linalg.dense import triangle
from jaxlr.streaming.fields import Kind
from jaxlr.streaming.points import Model
from jaxlr.streaming.sums import Sums

_DEPENDENT = 1e-10  # share of the variance of a column that is its own: sums of products know it to about 1e-13


def check_classes(classes: np.ndarray, model: Model, fit_intercept: bool) -> np.ndarray:
    """Which models have no weight, or a class without weight beside an intercept (L,).

    Args:
        classes: weight of each class (L, classes).
        model: of the models (L,).
        fit_intercept: whether there is one.

    Raises:
        ValueError: all of them are like that.
    """
    lacking = (np.min(classes, axis=1) == 0) & fit_intercept
    none = np.asarray(model.total) == 0
    if np.all(none):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    if np.all(lacking | none):
        absent = np.flatnonzero(classes[np.argmax(~none)] == 0).tolist()
        raise ValueError(
            f"expected all {classes.shape[1]} classes among the rows of positive weight, got none of {absent}; "
            "an intercept has no finite estimate then"
        )
    return lacking | none


def check_independent(sums: Sums, model: Model, k: int, n: int, valid: np.ndarray, kind: Kind | None) -> None:
    """Refuse columns without a penalty that depend on those before them.

    Args:
        sums: of a pass, with Hessians, at points to which no step has led.
        valid: models that count (L,).

    Raises:
        ValueError: names a column.
    """
    penalty = jax.tree.map(jnp.asarray, model.penalty)
    free = np.asarray(penalty.absent & penalty.free)
    chosen = valid & free[:, :n].any(axis=1)
    if not chosen.any():
        return
    packed = np.asarray(sums.gram)[chosen]
    packed = packed if packed.ndim == 2 else packed[:, 0]
    gram = np.sum(packed / np.asarray(model.total)[chosen][:, None], axis=0)[triangle(k)]
    columns = np.flatnonzero(free[chosen].any(axis=0) & (np.diagonal(gram) > 0))
    columns = np.concatenate([columns[columns >= n], columns[columns < n]])  # the intercept comes first
    scale = np.sqrt(np.diagonal(gram)[columns])
    left = gram[np.ix_(columns, columns)] / scale[:, None] / scale[None, :]
    for i, column in enumerate(columns):
        own = left[i, i]
        if own < _DEPENDENT:
            name = column if kind is None or kind.names is None else repr(kind.names[column])
            raise ValueError(
                f"expected columns without a penalty that do not depend on each other, got column {name} in the span of those "
                "before it, as far as sums can tell; leave it out, or give it an l2"
            )
        left[i + 1 :, i + 1 :] -= left[i + 1 :, i, None] * (left[i, None, i + 1 :] / own)
