"""Labels: numbers from 0 to 1 of the binary model, classes 0..K-1 of the multinomial one, and each with weight somewhere."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import Data, is_concrete

AS_SHARES = "y = successes / trials with sample_weight = trials"


def hint_of_counts(shape: tuple[int, ...], m: int) -> str:
    """What to do with two columns, successes and failures, in the place of labels; nothing where these have another shape."""
    return f"; for successes and failures pass {AS_SHARES}, their sum" if shape == (m, 2) and m != 2 else ""


def check_labels(y: Any, num_classes: int | None) -> None:
    """Refuse labels that no model knows; NaN is no label, and is not judged here."""
    y = np.asarray(y)
    y = y.astype(np.float32) if y.dtype.itemsize < 4 and jnp.issubdtype(y.dtype, jnp.floating) else y
    least, most = (extreme.reduce(y, axis=None) for extreme in (np.fmin, np.fmax))
    if num_classes is None:
        if least < 0 or most > 1:
            fix = f"for labels -1/1 pass y > 0, for classes 0..K-1 pass num_classes=K, for counts {AS_SHARES}"
            raise ValueError(f"expected labels 0/1 (or soft labels in [0, 1]), got values from {least} to {most}; {fix}")
        return
    fractions = y[(y != np.floor(y)) & np.isfinite(y)] if jnp.issubdtype(y.dtype, jnp.floating) else np.empty(0)
    if fractions.size:
        raise ValueError(f"expected integer labels 0..{num_classes - 1}, got {fractions[0]}")
    if least < 0 or most >= num_classes:
        raise ValueError(f"expected labels 0..{num_classes - 1} of num_classes = {num_classes}, got {least} to {most}")


def check_classes(
    y: Data,
    sample_weight: Data | None,
    fit_intercept: bool,
    penalized: Data | None,
    num_classes: int | None = None,
) -> None:
    """Refuse data without weight or without some class, where every member of the call has that.

    Args:
        y: a soft label counts for both classes.
        fit_intercept: with an intercept, a class without weight leaves no finite estimate whatever the penalty; without one it
            is refused where some column of it has none.
        penalized: whether every column has a penalty, by member; None when not known yet.
    """
    if not (is_concrete(y) and is_concrete(sample_weight)):
        return
    y = np.asarray(y)
    s = np.ones(np.shape(y)[-1:]) if sample_weight is None else np.asarray(sample_weight)

    def of_class(y: np.ndarray) -> list[np.ndarray]:
        return [y < 1, y > 0] if num_classes is None else [y == k for k in range(num_classes)]

    first_y, first_s = (a[(0,) * (a.ndim - 1)] for a in (y, s))
    if all(np.any((first_s > 0) & rows) for rows in of_class(first_y)):
        return
    if not np.any(s != 0):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    if penalized is None and not fit_intercept:
        return
    lacking = np.stack([~np.einsum("...m,...m->...", s > 0, rows) for rows in of_class(y)])  # of booleans: any row
    unsafe = lacking if fit_intercept else lacking & ~np.asarray(penalized)
    if np.all(np.any(unsafe, axis=0)):
        absent = [k for k, without in enumerate(unsafe) if np.all(without)]
        every, got = f"all {num_classes} classes", f"none of {absent or 'some'}"
        if num_classes is None:
            every, got = "both classes", f"only y = {int(absent == [0])}"
        why = "no finite estimate of the intercept exists"
        if not fit_intercept:
            why = "what has no penalty may have no finite estimate; give every column one, or two finite bounds"
        raise ValueError(f"expected {every} among the rows of positive weight, got {got}; {why}")
