"""What every metric does first: check its rows, bring them to one dtype, and weigh them.

Shapes and types are checked always, values wherever they are concrete (also inside someone's jit or vmap). What a traced
value makes of a metric is said by the metric. Means and rates do not depend on the unit of the weights:

    mean = sum_i s_i rows_i / sum_i s_i,        s = sample_weight 2^-k, k such that the largest is between 1/2 and 1
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.inputs.checks import check_count, real_array, warn_about_float32
from jaxlr.inputs.tables import Data, as_wide, check_aligned, is_concrete
from jaxlr.linalg.moments import exponent_of_largest, times_power_of_two


class Rows(NamedTuple):
    """The rows of a metric, broadcast against each other: (..., m) each, of one floating dtype.

    Attributes:
        y: labels.
        predicted: classes, probabilities, logits or scores; with K classes all but the first (..., m, K).
        weight: sample_weight as it was given.
        share: the same times a power of two, for means and rates.
    """

    y: Array
    predicted: Array
    weight: Array
    share: Array


def checked_rows(y: Data, name: str, predicted: Data, sample_weight: Data | None, num_classes: int | None = None) -> Rows:
    """Check the rows of a metric and broadcast them, in the dtype of predictions that are not classes, else in that of floating
    labels; in the default float where that has 16 bits, which hold no sums, or there is none.

    Args:
        y: 0/1 where classes are predicted, else in [0, 1]; with num_classes 0..K-1.
        name: what is predicted: "predicted" (classes), "proba", "logits" or "score".
        predicted: (..., m), with num_classes (..., m, K) unless it is classes.
        sample_weight: >= 0; None is 1.
        num_classes: K >= 2, or None.

    Raises:
        TypeError: something is not a real array.
        ValueError: shapes do not fit or are empty, or a value is out of its range.
    """
    if num_classes is not None:
        check_count("num_classes", num_classes, 2)
    given = {"y": y, name: predicted} | ({} if sample_weight is None else {"sample_weight": sample_weight})
    check_aligned(given, dict.fromkeys(given, "m"))
    given = {key: real_array(key, value) for key, value in given.items()}
    of_classes = num_classes is not None and name != "predicted"
    _check_shapes({key: np.shape(value) for key, value in given.items()}, name, num_classes if of_classes else None)
    for key, value in given.items():
        if is_concrete(value):
            _check_values(key, np.asarray(value), name == "predicted", num_classes)
    if name != "predicted" and given[name].dtype == np.float64 and jnp.result_type(float) != np.float64:
        warn_about_float32(name)
    labels, values = as_wide(given["y"]), as_wide(given[name])
    dtype = labels.dtype if name == "predicted" else values.dtype
    weight = as_wide(given["sample_weight"]) if "sample_weight" in given else jnp.ones(labels.shape[-1], dtype)
    share = times_power_of_two(weight, -exponent_of_largest(weight, axis=-1))
    shape = np.broadcast_shapes(labels.shape, values.shape[:-1] if of_classes else values.shape, weight.shape)
    values = jnp.broadcast_to(values, shape + (values.shape[-1:] if of_classes else ()))
    labels, weight, share = (jnp.broadcast_to(part, shape).astype(dtype) for part in (labels, weight, share))
    return Rows(labels, values.astype(dtype), weight, share)


def weighted_mean(rows: Float[Array, "... m"], share: Float[Array, "... m"]) -> Float[Array, "..."]:
    """The mean over the last axis by weight, as `checked_rows` scales it; NaN where no row has weight. Rows of weight 0 do not
    count, whatever they hold."""
    return jnp.sum(jnp.where(share > 0, share * rows, 0), axis=-1) / jnp.sum(share, axis=-1)


def _check_shapes(shapes: dict[str, tuple[int, ...]], name: str, num_classes: int | None) -> None:
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if num_classes is not None:
        if len(shapes[name]) < 2 or shapes[name][-1] != num_classes:
            raise ValueError(
                f"expected {name} (..., m, {num_classes}) with num_classes={num_classes}, got {listed}; give a class a column"
            )
        shapes = shapes | {name: shapes[name][:-1]}
    if min(map(len, shapes.values())) == 0:
        raise ValueError(f"expected arrays (..., m), got {listed}; pass the labels and predictions of all rows")
    if len({shape[-1] for shape in shapes.values()}) > 1:
        raise ValueError(
            f"expected arrays with the same number of rows, got shapes {listed}; rows are the last axis, batch axes lead"
        )
    if shapes["y"][-1] == 0:
        raise ValueError(f"expected at least one row, got shapes {listed}; of no row there is no mean")
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise ValueError(
            f"expected batch axes that broadcast against each other, got shapes {listed}; [:, None] adds an axis"
        ) from None


def _check_values(name: str, raw: np.ndarray, hard: bool, num_classes: int | None) -> None:
    value = raw.astype(np.result_type(raw.dtype, np.float32), copy=False)  # 16-bit types lack NumPy's functions
    if num_classes is not None and name in ("y", "predicted"):
        least = 0 if name == "y" else -1
        whole = (value >= least) & (value < num_classes) & (value == np.floor(value))
        _refuse(name, value, ~whole, f"classes 0..{num_classes - 1}")
    elif name == "y" and hard:
        _refuse(name, value, ~np.isin(value, (0, 1)), "labels 0/1; for labels -1/1 pass y > 0, for more num_classes=K")
    elif name == "y":
        _refuse(name, value, ~((value >= 0) & (value <= 1)), "labels in [0, 1]; for labels -1/1 pass y > 0")
    elif name == "predicted":
        _refuse(name, value, ~np.isin(value, (-1, 0, 1)), "classes 0/1; for probabilities pass proba >= 0.5")
        if np.any(value == -1) and np.any(value == 1) and not np.any(value == 0):
            raise ValueError("expected predicted to be classes 0/1, got -1 and 1; pass predicted > 0")
    elif name == "proba":
        _refuse(name, value, (value < 0) | (value > 1), "probabilities in [0, 1]; jaxlr.sigmoid makes them from logits")
    elif name == "sample_weight":
        dtype: Any = jax.dtypes.canonicalize_dtype(value.dtype)
        held = (value == 0) | ((value >= float(jnp.finfo(dtype).tiny)) & (value <= float(jnp.finfo(dtype).max)))
        _refuse(name, value, ~held, f">= 0, neither infinite nor subnormal in {dtype}")


def _refuse(name: str, value: np.ndarray, bad: Any, form: str) -> None:
    if np.any(bad):
        first = tuple(map(int, np.argwhere(bad)[0]))
        raise ValueError(f"expected {name} to be {form}; got {value[first]} first at index {first}")
