"""Checks at the edge: what came in is refused in words, before anything is computed.

Types, shapes and batch axes are checked always; values on every argument that is concrete, also inside someone's jit or
vmap (with NumPy on the raw argument, since jax.numpy would trace there). What only some members of a batch have (NaN, one
class, no weight) is not refused: it becomes the status of those members.
"""

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxlr.inputs.bounds import check_bounds, to_columns
from jaxlr.inputs.finite import all_finite
from jaxlr.inputs.labels import advice, check_labels, check_probabilities, hint_of_counts, is_soft
from jaxlr.inputs.sparse import is_sparse, sparse_design, to_dense
from jaxlr.inputs.tables import Data, DesignData, as_numpy, check_aligned, is_concrete, is_key, table_numbers
from jaxlr.inputs.values import check_entries, check_values
from jaxlr.linalg.sparse import Sparse


def core_axes(num_classes: int | None = None, soft: bool = False) -> dict[str, str]:
    """The axes of one model's fields, such as "mn" for X, behind those of the batch: m rows, n columns, c classes; y has these
    too where its labels are `soft`."""
    c = "" if num_classes is None else "c"
    data = {"X": "mn", "y": "m" + c * soft, "sample_weight": "m", "offset": "m" + c, "penalty_factor": "n", "l1": "", "l2": ""}
    data |= {"lower": "n", "upper": "n", "l1_group": "", "groups": "n"}
    return data | {"coef": c + "n", "intercept": c}


def checked_arrays(
    fields: Mapping[str, DesignData | None], num_classes: int | None = None, *, sparse: bool = False
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Check the fields of a fit and bring them to one dtype, on the device.

    Args:
        fields: by name, each with its core axes last and batch axes in front; absent ones are None.
        num_classes: K, None for the binary model.
        sparse: whether a sparse X may stay so; else it is made dense.

    Returns:
        The present fields as arrays of X's dtype, and the batch shape to which they all broadcast.

    Raises:
        TypeError, ValueError: as `checked`.
    """
    given, dtype, batch = checked(fields, num_classes, sparse=sparse)

    def brought(value: Any) -> Any:
        if isinstance(value, Sparse):
            return jax.device_put(value.astype(dtype))
        return jnp.asarray(value if isinstance(value, jax.Array) else np.asarray(value, dtype), dtype)

    return {name: brought(value) for name, value in given.items()}, batch


def checked(
    fields: Mapping[str, DesignData | None], num_classes: int | None = None, *, sparse: bool = False
) -> tuple[dict[str, Any], jnp.dtype, tuple[int, ...]]:
    """Check the fields of a fit, and leave them where and as they are.

    Absent fields are None. Returns the present ones as NumPy or JAX arrays, the dtype of X, to which they are to be brought,
    and the batch shape to which they all broadcast.

    Raises:
        TypeError: something is not a real array.
        ValueError: shapes or batch axes do not fit together, data are empty, or a value is out of its range.
        MemoryError: a sparse X has to be dense, and would not fit.
    """
    if num_classes is not None:
        check_count("num_classes", num_classes, 2)
    required = {"X", "y", "l1", "l2", "coef", "intercept"}
    soft = num_classes is not None and is_soft(fields.get("X"), fields.get("y"), num_classes)
    axes = core_axes(num_classes, soft)
    if absent := [name for name in fields if name in required and fields[name] is None]:
        raise TypeError(f"expected {', '.join(absent)} to be real arrays, got None")
    check_aligned(fields, axes)
    given = {name: _at_hand(name, _as_array(name, value, sparse)) for name, value in fields.items() if value is not None}
    dtype = dtype_of_design(given["X"].dtype)
    given |= {name: to_columns(given[name], given["X"].shape[-1], dtype) for name in ("lower", "upper") if name in given}
    batch = _check_shapes(given, axes, num_classes)
    for name, value in given.items():
        if isinstance(value, Sparse):
            check_entries(value, fields[name])
        elif name not in ("lower", "upper") and is_concrete(value) and not (name == "X" and all_finite(value)):
            check_values(name, value, dtype, len(axes[name]), fields[name])
            if name == "y" and soft:
                check_probabilities(value)
            elif name == "y":
                check_labels(value, num_classes)
    check_bounds(given, fields["X"])
    return given, dtype, batch


def _as_array(name: str, value: Any, sparse: bool) -> Any:
    """A real array, or a sparse design that may stay so."""
    if name != "X" or not is_sparse(value):
        return real_array(name, value)
    X = sparse_design(value)
    return X if sparse else to_dense(X)


def is_zero(value: Data) -> bool:
    """Whether a strength is known to be 0 everywhere; False for a tracer."""
    return is_concrete(value) and (value is None or not np.any(np.asarray(real_array("a strength", value))))


def real_array(name: str, value: Data) -> Any:
    """The argument as it is, if it is a real array already, else as a NumPy array.

    Raises:
        TypeError: it is sparse, masked, or of a dtype that is not real.
    """
    if hasattr(value, "todense") or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"expected {name} to be a dense array without mask, got {type(value).__name__}; make it one first")
    if isinstance(value, (list, tuple)) and any(hasattr(part, "todense") for part in value):
        raise TypeError(f"expected one {name}, got a {type(value).__name__} of sparse ones; several designs have to be dense")
    raw = value if isinstance(value, jax.Array) and not is_key(value) else as_numpy(name, table_numbers(name, value))
    if not (jnp.issubdtype(raw.dtype, jnp.floating) or jnp.issubdtype(raw.dtype, jnp.integer) or raw.dtype == bool):
        hint = advice(raw) if name == "y" and isinstance(raw, np.ndarray) else "convert it to float first"
        raise TypeError(f"expected {name} to be a real array, got dtype {raw.dtype}; {hint}")
    return raw


def check_init(init: Any, kind: type) -> None:
    """Refuse what is no start of models with such parameters."""
    if init is not None and not isinstance(init, kind):
        wanted = f"jaxlr.{kind.__name__}(coef, intercept)"
        raise TypeError(f"expected init to be {wanted}, got {type(init).__name__}; pass fit.params")


def check_flag(name: str, flag: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(flag, (bool, np.bool_)):
        raise TypeError(f"expected {name} to be True or False, known outside jit, got {flag!r}")


def _at_hand(name: str, value: Any) -> Any:
    """Of arrays that lie on several processes only a design stays there."""
    if name == "X" or not isinstance(value, jax.Array) or not is_concrete(value) or value.is_fully_addressable:
        return value
    return multihost_utils.process_allgather(value, tiled=True)


def check_key(key: object) -> None:
    """Refuse what is not one key of `jax.random`, typed or of the old kind."""
    typed = is_key(key)
    if not isinstance(key, jax.Array) or not (typed or key.dtype == jnp.uint32):
        raise TypeError(f"expected a key of jax.random, such as jax.random.key(0), got {key!r}")
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"expected one key, got keys of shape {key.shape}; map over them with vmap")


def check_count(name: str, count: object, least: int) -> None:
    """Refuse what is not an integer known outside jit, or is too small."""
    if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < least:
        raise ValueError(f"expected {name} to be an integer >= {least}, got {count!r}")


@functools.cache
def warn_about_float32(name: str) -> None:
    """Warn, once for each name, that float64 is about to be rounded."""
    warnings.warn(
        f'{name} is float64 but JAX computes in float32; to compute in float64: jax.config.update("jax_enable_x64", True)',
        stacklevel=5,
    )


def dtype_of_design(dtype: Any) -> jnp.dtype:
    """That of what is computed from a design of a dtype: its own where it is one of 32 or 64 bits that JAX has now."""
    dtype = np.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize < 4:
        return jnp.result_type(float)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        warn_about_float32("X")
    return jax.dtypes.canonicalize_dtype(dtype)


def _check_shapes(given: Mapping[str, Any], core_axes: Mapping[str, str], num_classes: int | None) -> tuple[int, ...]:
    """Refuse axes that are missing, or not as long as those of X and the classes; the batch shape."""
    shapes = {name: value.shape for name, value in given.items()}
    forms = {name: f"({', '.join(['...', *core_axes[name].replace('c', 'K')])})" for name in shapes}
    for name, shape in shapes.items():
        if len(shape) < len(core_axes[name]):
            raise ValueError(f"expected {name} with at least {len(core_axes[name])} axes, {forms[name]}, got shape {shape}")
    m, n = shapes["X"][-2:]
    if m == 0:
        raise ValueError(f"expected X with at least one row, got shape {shapes['X']}; pass rows")
    for name, shape in shapes.items():
        core = core_axes[name]
        if "c" in core and shape[len(shape) - len(core) + core.index("c")] != num_classes:
            raise ValueError(f"expected {name} {forms[name]} with K = {num_classes} classes, got shape {shape}")
        axis = next((axis for axis in core if axis in "mn"), None) if name != "X" else None
        length, place = {"m": m, "n": n}.get(axis or ""), -1 if axis is None else core.index(axis) - len(core)
        if length is not None and shape[place] != length:
            raise ValueError(
                f"expected {name} {forms[name]} with {'last ' * (place == -1)}axis {length} to match X {shapes['X']}, "
                f"got shape {shape}{_hint(name, given[name], length, shapes['X'], num_classes)}"
            )
    batches = {name: shape[: len(shape) - len(core_axes[name])] for name, shape in shapes.items()}
    batch = common_shape(batches)
    if 0 in batch:
        raise ValueError(f"expected at least one model, got batch shape {batch}; leave out fields without members")
    return batch


def common_shape(batches: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape to which batch axes broadcast, by the name of what has them; ValueError where they do not."""
    try:
        return np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {axes}" for name, axes in batches.items() if axes)
        raise ValueError(
            f"expected batch axes that broadcast against each other, got {listed}; [:, None] adds an axis"
        ) from None


def _is_one_hot(y: np.ndarray) -> bool:
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=-1) == 1))


def _hint(name: str, value: Any, length: int, design: tuple[int, ...], num_classes: int | None) -> str:
    """What may be meant by a field whose last axis is not of this length."""
    shape = value.shape
    if name in ("lower", "upper") and shape == (2,):
        return "; a pair of bounds is lower=a, upper=b"
    if len(shape) > 1 and shape[-2] == length:
        turned = f"{name}.T" if shape[-1] > 1 else f"np.ravel({name})"
        counts = hint_of_counts(shape, length) if name == "y" and num_classes is None else ""
        known = np.asarray(value) if name == "y" and shape[-1] > 1 and is_concrete(value) else np.zeros(1)
        if num_classes is not None and np.any(known != np.floor(known)):
            return f"; soft labels have a column for each of the {num_classes} classes"
        if known.size > 1 and _is_one_hot(known):
            meant = "y[:, 1]" if shape[-1] == 2 and num_classes is None else f"y.argmax(axis=-1) with num_classes={shape[-1]}"
            return f"; pass {meant} of one-hot rows, y.T for a model of each column{counts}"
        return f"; batch axes lead: the axes look transposed, pass {turned}{counts}"
    return "; the axes of X look transposed, pass X.T" if design[1:] == shape[-1:] and length == design[-2] else ""
