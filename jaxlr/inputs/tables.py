"""Tables with named columns: their numbers and names on the way in, and results as tables on the way out.

A table is whatever has `columns` and `to_numpy`, as the data frames of pandas and polars have. Neither is imported before a
table is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.linalg.sparse import Sparse

_LISTED = 5  # columns named one by one in a message


@runtime_checkable
class HasArray(Protocol):
    """A Series, a DataFrame, or whatever else NumPy makes an array of."""

    def __array__(self) -> np.ndarray: ...


@runtime_checkable
class HasEntries(Protocol):
    """A sparse matrix of SciPy or JAX."""

    def todense(self) -> Any: ...


Data = ArrayLike | Sequence[Any] | HasArray  # at the edge nested lists and tables are arrays too
DesignData = Data | HasEntries | Sparse


def is_concrete(value: object) -> bool:
    """Whether the value is known now (not a tracer).

    Args:
        value: any argument.

    Returns:
        True for NumPy arrays, scalars and computed JAX arrays.
    """
    return not isinstance(value, Tracer)


def column_names(value: Any) -> tuple[str, ...] | None:
    """Names of the columns of a table, None for what is none.

    Raises:
        ValueError: two columns have the same name.
    """
    if not _is_table(value):
        return None
    names = tuple(map(str, value.columns))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected columns with names of their own, got two named {twice!r}; rename one")
    return names


def in_order(table: Any, names: tuple[str, ...]) -> Any:
    """The columns of these names in this order, without others; what is no table, as it is.

    Args:
        table: a data frame, or anything else.
        names: of columns.

    Raises:
        ValueError: a column is not there; the message names it.
    """
    own = column_names(table)
    if own is None or own == names:
        return table
    if missing := [name for name in names if name not in own]:
        lacking, there = (", ".join([*map(repr, some[:_LISTED]), *["..."][: len(some) > _LISTED]]) for some in (missing, own))
        raise ValueError(f"expected a table with the columns of the fit, got none named {lacking}; it has {there}")
    at = [own.index(name) for name in names]
    return table.iloc[:, at] if hasattr(table, "iloc") else table[[table.columns[j] for j in at]]


def table_numbers(name: str, value: Any) -> Any:
    """The numbers of a table or a series, where NumPy alone would make objects of them, missing ones NaN; everything else as it
    is.

    Raises:
        TypeError: a column of a table is sparse or not numeric; the message names the latter.
    """
    if not hasattr(value, "to_numpy"):
        return value
    table = _is_table(value)
    dtypes = list(value.dtypes) if table else [value.dtype]
    if any(map(has_fill, dtypes)):
        raise TypeError(f"expected {name} without sparse columns, got some; make them dense first")
    kinds = [getattr(dtype, "kind", None) for dtype in dtypes]
    if table:
        check_numeric(name, value)
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(kind in set("biuf") for kind in kinds):  # columns that hold pandas.NA, or unlike dtypes
        return value.to_numpy(dtype=common_float(dtypes), na_value=np.nan)
    return array


def common_float(dtypes: Sequence[Any]) -> type[np.floating]:
    """The dtype of numbers of unlike columns, as NumPy has it: float32 where that holds all of them, else float64."""
    common = np.result_type(*(f"{dtype.kind}{dtype.itemsize}" for dtype in dtypes))
    return np.float32 if common == np.float32 else np.float64


def as_numpy(name: str, value: Any) -> np.ndarray:
    """The array that NumPy makes of a value, as JAX takes it (`native`).

    Raises:
        TypeError: it makes none, as of rows of different lengths, or of keys.
    """
    check_no_key(name, value)
    try:
        return native(np.asarray(value))
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, jax.errors.TracerArrayConversionError):
            raise TypeError(
                f"expected {name} to be one array, got a {type(value).__name__} of tracers; jnp.stack them"
            ) from None
        raise TypeError(
            f"expected {name} to be a real array, got a {type(value).__name__} of which NumPy makes none ({error}); give all "
            "rows the same length"
        ) from None


def native(array: Any) -> Any:
    """An array of NumPy in the byte order of this machine, and no wider than float64: JAX has no others."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def is_key(value: Any) -> bool:
    """Whether it is a typed key of `jax.random`, or an array of them."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def check_no_key(name: str, value: Any) -> None:
    """Refuse a key in the place of what may be drawn with it."""
    if is_key(value):
        raise TypeError(f"expected {name} to be an array, got a key of jax.random; pass what is drawn with it, or it as key=")


def has_fill(dtype: Any) -> bool:
    """Whether a dtype is that of a sparse column of pandas."""
    return hasattr(dtype, "fill_value") and hasattr(dtype, "subtype")


def check_numeric(name: str, table: Any) -> None:
    """Refuse a table with columns that are no numbers; the message names them.

    Args:
        name: of the argument.
        table: a data frame.
    """
    if bad := [(column, dtype) for column, dtype in zip(table.columns, table.dtypes, strict=True) if _is_no_number(dtype)]:
        listed = ", ".join(f"{str(column)!r} ({dtype})" for column, dtype in bad[:_LISTED])
        convert = "cast" if hasattr(bad[0][1], "is_numeric") else "pandas.to_numeric"
        raise TypeError(
            f"expected numeric columns in {name}, got {listed}{', ...' if len(bad) > _LISTED else ''}; convert "
            f"numbers with {convert}, code categories with jaxlr.preprocessing.design_matrix"
        )


def _is_no_number(dtype: Any) -> bool:
    """Of pandas by the kind, of polars in its own words."""
    if hasattr(dtype, "is_numeric"):
        return not dtype.is_numeric() and str(dtype) not in ("Boolean", "Null")
    return getattr(dtype, "kind", None) in set("OSUMmcV")


def check_aligned(fields: Mapping[str, Any], core_axes: Mapping[str, str]) -> None:
    """Refuse tables and series whose rows, or columns, bear different labels; what has no labels of its own does not count."""
    for axis, called in (("m", "rows"), ("n", "columns")):
        labels = {name: _labels(value, core_axes.get(name, ""), axis) for name, value in fields.items()}
        labels = {name: label for name, label in labels.items() if label is not None}
        for name, label in labels.items():
            first = next(iter(labels))
            if len(label) == len(labels[first]) and not label.equals(labels[first]):
                raise ValueError(
                    f"expected {first} and {name} with the same labels of the {called} in the same order, got different ones; "
                    f"align them first, or pass {name}.to_numpy() to go by position"
                )


def _labels(value: Any, core: str, axis: str) -> Any:
    """The index of a series, or that of a table's axis; None for what has none."""
    if axis not in core or not hasattr(getattr(value, "index", None), "equals"):
        return None
    axes = [None, *core] if _is_table(value) and len(core) == 1 else list(core)
    if axis == axes[0]:
        # A series of columns counts by position unless it says otherwise.
        return None if axis == "n" and not _is_table(value) and list(value.index) == list(range(len(value))) else value.index
    return value.columns if _is_table(value) else None


def _is_table(value: object) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def as_floating(x: Data) -> Float[Array, "..."]:
    """x as a JAX array of floating dtype: floats keep theirs, integers and booleans take the default float.

    Args:
        x: any real array or scalar.

    Returns:
        Floating array of x's shape.

    Raises:
        TypeError: x is not real.
    """
    given: Any = x
    if not isinstance(x, (jax.Array, float)):
        given = as_numpy("an argument", table_numbers("X", x))
    kind: Any = np.float64 if isinstance(given, float) else given.dtype
    if jnp.issubdtype(kind, jnp.floating):
        return jnp.asarray(given)
    if jnp.issubdtype(kind, jnp.integer) or kind == np.bool_:
        wide: Any = jnp.result_type(float)
        return jnp.asarray(
            np.asarray(given).astype(wide) if not isinstance(given, jax.Array) else given.astype(wide)
        )  # in NumPy, where a large integer has its place
    check_no_key("an argument", given)
    raise TypeError(f"expected a real array, got dtype {kind}; convert it to float first")


def as_wide(x: Data) -> Float[Array, "..."]:
    """The same, those of 16 bits in the default float, as a design of these: sums of many rows have no place in them."""
    numbers = as_floating(x)
    return numbers if numbers.dtype.itemsize >= 4 else numbers.astype(float)
