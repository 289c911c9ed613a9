"""Labels: numbers from 0 to 1 of the binary model, classes 0..K-1 of the multinomial one, and each with weight somewhere."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.tables import Data, is_concrete

AS_SHARES = "y = successes / trials with sample_weight = trials"
_FEW = 100  # values that are classes rather than counts


def hint_of_counts(shape: tuple[int, ...], m: int) -> str:
    """What to do with two columns, successes and failures, in the place of labels; nothing where these have another shape."""
    return f"; for successes and failures pass {AS_SHARES}, their sum" if shape == (m, 2) and m != 2 else ""


def advice(y: Any) -> str:
    """What to pass in the place of labels that are other numbers, text or objects."""
    flat = np.asarray(y).reshape(-1)
    if flat.dtype == object:
        missing = np.flatnonzero([value is None or (isinstance(value, float) and math.isnan(value)) for value in flat])
        if missing.size:
            return f"drop the rows without a label, the first of {missing.size} is row {missing[0]}"
        numbers = all(isinstance(value, (int, float)) for value in flat)
        text = any(isinstance(value, str) for value in flat)
        flat = np.array([str(value) for value in flat]) if text else np.array(flat.tolist()) if numbers else flat
    if flat.dtype.kind not in "biufUSmM":
        return "encode the classes as 0 and 1, or 0..K-1 with num_classes=K"
    classes = np.unique(flat)
    if len(classes) == 2:
        return f"pass y == {classes[1].item()!r}"
    text = not (np.issubdtype(classes.dtype, np.number) or classes.dtype == bool)
    if len(classes) == 1:
        return f"pass y == {classes[0].item()!r} if that is y = 1"
    fixes = []
    if text or (len(classes) <= _FEW and np.all(classes == np.floor(classes))):
        fixes.append(f"for {len(classes)} classes pass np.unique(y, return_inverse=True)[1] with num_classes={len(classes)}")
    if not text and np.all(classes >= 0):
        fixes.append(f"for counts {AS_SHARES}")
    return ", ".join(fixes) or "for two classes pass y > threshold"


def check_labels(y: Any, num_classes: int | None) -> None:
    """Refuse labels that no model knows; NaN is no label, and is not judged here."""
    y = np.asarray(y)
    y = y.astype(np.float32) if y.dtype.itemsize < 4 and jnp.issubdtype(y.dtype, jnp.floating) else y
    least, most = (extreme.reduce(y, axis=None) for extreme in (np.fmin, np.fmax))
    if num_classes is None:
        if least < 0 or most > 1:
            raise ValueError(f"expected labels 0/1 (or soft labels in [0, 1]), got values from {least} to {most}; {advice(y)}")
        return
    fractions = y[(y != np.floor(y)) & np.isfinite(y)] if jnp.issubdtype(y.dtype, jnp.floating) else np.empty(0)
    if fractions.size:
        raise ValueError(f"expected integer labels 0..{num_classes - 1}, got {fractions[0]}; number the classes from 0")
    if least < 0 or most >= num_classes:
        fix = "pass np.unique(y, return_inverse=True)[1], which numbers the classes from 0"
        raise ValueError(f"expected labels 0..{num_classes - 1} of num_classes = {num_classes}, got {least} to {most}; {fix}")


def is_soft(X: Any, y: Any, num_classes: int) -> bool:
    """Whether labels of K classes are probabilities (..., m, K) of the m rows of X, as their last axes tell; where m is K they
    are a batch of labels."""
    shape, rows = np.shape(y), (X.shape if hasattr(X, "shape") else np.shape(X))[-2:-1]
    return len(shape) > 1 and shape[-2:-1] == rows and shape[-1] == num_classes != rows[0]


def check_probabilities(Y: Any) -> None:
    """Refuse rows that are no probabilities of the classes; NaN is not judged here."""
    Y = np.asarray(Y)
    wide = Y.astype(np.float32) if Y.dtype.itemsize < 4 and jnp.issubdtype(Y.dtype, jnp.floating) else Y
    if np.fmin.reduce(wide, axis=None) < 0:
        raise ValueError(f"expected soft labels >= 0, probabilities of the classes, got {np.nanmin(wide)}")
    if (bad := np.argwhere(~are_probabilities(Y))).size:
        row, of_row = int(bad[0][-1]), float(wide[tuple(bad[0])].sum())
        raise ValueError(
            f"expected soft labels (..., m, K) whose rows sum to 1, got {of_row:.6g} in row {row}, off by "
            f"{abs(of_row - 1):.2g}; divide by the sums"
        )


def are_probabilities(Y: np.ndarray) -> np.ndarray:
    """Which rows of soft labels (..., m, K) sum to 1 but for rounding, or to NaN."""
    floating = jnp.issubdtype(Y.dtype, jnp.floating)
    wide = Y.astype(np.float32) if Y.dtype.itemsize < 4 and floating else Y
    eps = float(jnp.finfo(Y.dtype).eps) if floating else 0.0
    return ~(np.abs(wide.sum(axis=-1) - 1) > 16 * Y.shape[-1] * eps)


def check_classes(
    y: Data, sample_weight: Data | None, fit_intercept: bool, num_classes: int | None = None, soft: bool = False
) -> None:
    """Refuse data without weight or without some class, where every member of the call has that.

    Args:
        y: a soft label counts for both classes.
        fit_intercept: with an intercept, a class without weight leaves no finite estimate whatever the penalty; without one
            there may be an estimate, as of differences of pairs that all have y = 1, and the fit decides.
        soft: whether the labels of K classes are probabilities (..., m, K).
    """
    if not (is_concrete(y) and is_concrete(sample_weight)):
        return
    y = np.asarray(y)
    if soft:
        y = np.moveaxis(y, -1, 0)
    s = np.ones(np.shape(y)[-1:]) if sample_weight is None else np.asarray(sample_weight)

    def of_class(y: np.ndarray) -> list[np.ndarray]:
        if soft:
            return [share > 0 for share in y]
        return [y < 1, y > 0] if num_classes is None else [y == k for k in range(num_classes)]

    one = y[(slice(None), *(0,) * (y.ndim - 2))] if soft else y[(0,) * (y.ndim - 1)]
    if all(np.any((s[(0,) * (s.ndim - 1)] > 0) & rows) for rows in of_class(one)):
        return
    if not np.any(s != 0):
        raise ValueError("expected rows of positive sample_weight, got weights that are all 0; give some row weight")
    if not fit_intercept:
        return
    lacking = np.stack([~np.einsum("...m,...m->...", s > 0, rows) for rows in of_class(y)])  # of booleans: any row
    if np.all(np.any(lacking, axis=0)):
        absent = [k for k, without in enumerate(lacking) if np.all(without)]
        every, got = f"all {num_classes} classes", f"none of {absent or 'some'}"
        if num_classes is None:
            every, got = "both classes", f"only y = {int(absent == [0])}"
        why = "no finite estimate of the intercept exists; fit_intercept=False leaves it out"
        raise ValueError(f"expected {every} among the rows of positive weight, got {got}; {why}")
