"""Columns of a table as formulas take them: numbers and categories, and in words what is wrong with the others."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlr.inputs.tables import column_names


def usable_columns(table: Any, expected: Mapping[str, str] | None = None) -> tuple[Any, dict[str, str], dict[str, str]]:
    """A data frame of the columns that can be used, or of those expected; their kinds; and what is wrong with the others.

    Args:
        table: of pandas or polars.
        expected: kinds of columns by name, "numbers" or "categories"; None takes them all.

    Raises:
        TypeError: the table is none.
    """
    pandas = importlib.import_module("pandas")

    names = column_names(table)
    if names is None:
        raise TypeError(
            f"expected a table, a DataFrame of pandas or polars, got {type(table).__name__}; make it one, with names of columns"
        )
    columns, kinds, unusable = {}, {}, {}
    for j, name in enumerate(names):
        if expected is not None and name not in expected:
            continue
        values, kind = _plain(table.iloc[:, j] if hasattr(table, "iloc") else table[name])
        if kind not in ("numbers", "categories"):
            unusable[name] = kind
        elif expected is not None and kind != expected[name]:
            unusable[name] = f"holds {kind}, and held {expected[name]} in the first table"
        else:
            columns[name], kinds[name] = values, kind
    unusable |= {name: "is not in the table" for name in expected or () if name not in names}
    return pandas.DataFrame(columns, index=range(len(table))), kinds, unusable


def _plain(column: Any) -> tuple[Any, str]:
    """A column as formulaic takes it, and "numbers" or "categories"; or else what is wrong with it."""
    pandas = importlib.import_module("pandas")
    types = pandas.api.types

    if isinstance(column, pandas.Series):
        values = column.reset_index(drop=True)
    elif type(column.dtype).__name__ == "Enum":
        values = pandas.Series(pandas.Categorical(column.to_list(), categories=column.dtype.categories.to_list()))
    else:
        try:
            values = pandas.Series(column.to_numpy())
        except Exception:  # polars has kinds that NumPy lacks
            return column, f"is of dtype {column.dtype}, neither numbers nor text nor categories; convert it"
    values = values.infer_objects()
    missing = np.flatnonzero(values.isna())
    if len(missing):
        several = "s" if len(missing) > 1 else ""
        return values, f"has {len(missing)} missing value{several}, first at row {missing[0]} (fill in or drop)"
    if isinstance(values.dtype, pandas.CategoricalDtype):
        return values, "categories"
    if types.is_string_dtype(values):
        return values.astype(object), "categories"
    if not (types.is_bool_dtype(values) or types.is_any_real_numeric_dtype(values)):
        held = f"{types.infer_dtype(values)} objects" if values.dtype == object else f"dtype {values.dtype}"
        return values, f"is of {held}, neither numbers nor text nor categories; convert it"
    return values.astype(np.float64), "numbers"  # integers would overflow where they are multiplied
