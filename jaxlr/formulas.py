"""Tables with categories as sparse designs, and their coding carried to further tables.

formulaic reads formulas and codes levels. What it would pass over is refused here in words: rows with missing values, levels
that the first table did not have, names that two columns share.
"""

import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxlr.inputs.columns import usable_columns

_LISTED = 8  # levels named one by one in a message
_INTERCEPT, _STAND_IN = "1", "\ue000"  # a column of that name is the intercept to formulaic: there it has one for private use


@dataclass(frozen=True, eq=False)
class DesignMatrix:
    """The columns that a table with categories was coded into, and their coding for further tables.

    Attributes:
        matrix: scipy.sparse.csc_array (m, n) of float64, the X of `jaxlr.fit`; there is no column of the intercept in it.
        names: (n,), such as "color[T.red]".
        spec: the coding, formulaic's ModelSpec.
        kinds: which columns of the table were "numbers", which "categories".
        unknown: as in `design_matrix`.
    """

    matrix: Any
    names: tuple[str, ...]
    spec: Any = field(repr=False)
    kinds: Mapping[str, str] = field(repr=False)
    unknown: str = "refuse"

    def transform(self, table: Any) -> Any:
        """The columns `names` of another table: levels, references and knots are those of the first.

        Args:
            table: has the columns that were used; their order does not matter, nor do further ones.

        Returns:
            scipy.sparse.csc_array (rows of the table, n).

        Raises:
            TypeError: as in `design_matrix`.
            ValueError: as in `design_matrix`; a column is not there or of another kind; a level is unknown.

        Example:
            >>> import pandas as pd
            >>> design = design_matrix(pd.DataFrame({"color": ["red", "blue"]}), unknown="zero")
            >>> design.transform(pd.DataFrame({"color": ["blue", "pink"]})).toarray().tolist()
            [[1.0, 0.0], [0.0, 0.0]]
        """
        frame, _, unusable = usable_columns(table, self.kinds)
        return _coded(self.spec, frame, unusable, self.unknown)[0]


def design_matrix(table: Any, formula: str | None = None, *, penalized: bool = True, unknown: str = "refuse") -> DesignMatrix:
    """A table of numbers and categories as a sparse design; formulaic codes it (`pip install "jaxlr[formula]"`).

    Text and categories become columns of 0 and 1, one for each level: in sorted order, or in that which a Categorical of
    pandas or an Enum of polars declares. Numbers stay as they are, True and False become 1 and 0. No row is ever dropped.

    Args:
        table: a DataFrame of pandas or polars.
        formula: right-hand side of a formula of formulaic, such as "C(year) + bs(age, df=4) + sex:dose": code that sees the
            table and formulaic's functions; None takes every column. The intercept is left to the fit, but counts for the
            coding: with "0 +" the first category keeps all levels.
        penalized: whether every level is kept, for a penalty tells them apart and treats them alike; False drops what the
            intercept and other columns span already, of a category its first level, so that coefficients are differences
            from that.
        unknown: what a level that the first table did not have becomes in further ones: "refuse" or "zero", 0 in all columns
            of its category (without a penalty that is the first level).

    Returns:
        DesignMatrix.

    Raises:
        ImportError: formulaic is not installed.
        TypeError: the table is none.
        ValueError: a column that is used misses values or is neither numbers nor text nor categories; the formula has a
            left-hand side, cannot be read or evaluated, or has no columns; numbers of the design are not finite.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"age": [30, 41, 52], "color": ["red", "blue", "red"]})
        >>> design_matrix(table).names
        ('age', 'color[blue]', 'color[red]')
        >>> design_matrix(table, "age + color", penalized=False).names
        ('age', 'color[T.red]')
    """
    try:
        formulaic = importlib.import_module("formulaic")
    except ImportError as error:
        raise ImportError('expected formulaic for design_matrix, got no such package; pip install "jaxlr[formula]"') from error
    if not (isinstance(unknown, str) and unknown in ("refuse", "zero")):
        raise ValueError(f'expected unknown to be "refuse" or "zero", got {unknown!r}')
    if not (formula is None or isinstance(formula, str)):
        raise TypeError(f"expected formula to be a string or None, got {type(formula).__name__}; write it as text")
    frame, kinds, unusable = usable_columns(table)
    if not len(frame):
        raise ValueError("expected a table with rows, whose levels are those of its categories, got none; pass rows")
    Term, Factor = formulaic.parser.types.Term, formulaic.parser.types.Factor
    one = Term([Factor("1", eval_method="literal")])
    inside = [_STAND_IN if name == _INTERCEPT else name for name in (*kinds, *unusable)]
    every = [Term([Factor(name, eval_method="lookup")]) for name in inside]
    try:
        spec = formulaic.ModelSpec.from_spec(
            [one, *every] if formula is None else formula.replace(f"`{_INTERCEPT}`", f"`{_STAND_IN}`"),
            context={"__formulaic_variables_available__": inside},  # what "." stands for
            ensure_full_rank=not penalized,
            na_action="ignore",  # the others lose rows
            output="sparse",
        )
    except (formulaic.errors.FormulaicError, SyntaxError) as error:
        raise ValueError(f"expected a formula of formulaic, got {formula!r}: {_first_line(error)}") from error
    if not isinstance(spec, formulaic.ModelSpec):
        raise ValueError(
            f'expected the right-hand side of one formula, such as "a + C(b)", got {formula!r}; labels are the y of the fit'
        )
    matrix, names, spec = _coded(spec, frame, unusable, unknown)
    if not names:
        raise ValueError("expected columns beside the intercept, which the fit has itself, got none; name columns of the table")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected columns with names of their own, got two named {twice!r}; rename columns of the table")
    return DesignMatrix(matrix, names, spec, kinds, unknown)


def _coded(spec: Any, frame: Any, unusable: Mapping[str, str], unknown: str) -> tuple[Any, tuple[str, ...], Any]:
    """Columns of a frame without the intercept, their names, and the coding."""
    import scipy.sparse

    materializer = spec.get_materializer(frame.rename(columns={_INTERCEPT: _STAND_IN}), context={})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of, levels unknown and numbers not finite, is refused below
            made = materializer.get_model_matrix(spec)
    except Exception as error:  # a formula runs any code
        text = _shown(str(spec.formula))
        found = [f"column {name!r} {why}" for name, why in unusable.items() if _names(text, name)]
        if found:
            raise ValueError(
                f"expected columns that can be used, got a table whose {', and '.join(found)}; mend these columns, or leave "
                "them out"
            ) from error
        known = ", ".join(map(repr, frame.columns))
        raise ValueError(
            f"expected a formula that can be evaluated on the columns {known}, got {text!r}: {_first_line(error)}"
        ) from error
    spec = made.model_spec
    _check_levels(spec, materializer.factor_cache, unknown)
    kept = [any(scoped.factors for scoped in row.scoped_terms) for row in spec.structure for _ in row.columns]
    whole: Any = scipy.sparse.csc_array(made.__wrapped__, dtype=np.float64)
    matrix = whole[:, np.flatnonzero(kept)]
    of_numbers = [name for name, (_, state) in spec.encoder_state.items() if _are_numbers(state.get("categories", [""]))]
    names = tuple(_named(name, of_numbers) for name, keep in zip(spec.column_names, kept, strict=True) if keep)
    finite = np.isfinite(matrix.data)
    if not finite.all():
        bad = np.repeat(np.arange(len(names)), np.diff(matrix.indptr))[~finite]
        found = ", ".join(f"{names[j]!r} ({count} rows)" for j, count in zip(*np.unique(bad, return_counts=True), strict=True))
        raise ValueError(
            f"expected finite numbers in the design, got missing or infinite ones in {found}; fill them in, or drop the rows"
        )
    return matrix, names, spec


def _check_levels(spec: Any, factors: Mapping[str, Any], unknown: str) -> None:
    """Refuse levels that would be lost: unknown ones, and those that formulaic cannot name."""
    pandas = importlib.import_module("pandas")

    found = []
    for name, (_, state) in spec.encoder_state.items():
        if "categories" not in state:
            continue
        known = state["categories"]
        # formulaic skips what begins with two underscores.
        if len(set(map(str, known))) < len(known) or any(str(level).startswith("__") for level in known):
            raise ValueError(
                f"expected levels of {name!r} whose names differ and do not begin with '__', got {_listed(list(known))}; "
                "rename levels"
            )
        values = pandas.Series(factors[name].values.__wrapped__)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            strange = values[pandas.Categorical(values, categories=known).codes < 0]  # as formulaic finds them
        if len(strange):
            rows = f"{len(strange)} row{'s' if len(strange) > 1 else ''}, first at row {strange.index[0]}"
            found.append(f"{name!r} has {_listed(strange.unique().tolist())} in {rows}; known are {_listed(known)}")
    if found and unknown == "refuse":
        raise ValueError(
            f"expected levels that the first table had, got others: {'. '.join(found)}. Make the design anew from rows that "
            'have them, declare them by a Categorical, or code them as zeros with design_matrix(..., unknown="zero")'
        )


def _named(name: str, of_numbers: list[str]) -> str:
    """As the table has it: its "1", and its whole numbers as levels, of the factors that are numbers."""
    for factor in of_numbers:
        name = re.sub(rf"({re.escape(factor)}\[(?:T\.)?-?\d+)\.0\]", r"\1]", name)
    return _shown(name)


def _are_numbers(levels: Any) -> bool:
    return all(isinstance(level, float) for level in levels)


def _shown(text: str) -> str:
    return text.replace(_STAND_IN, _INTERCEPT)


def _listed(levels: list[Any]) -> str:
    shown = (int(level) if isinstance(level, float) and level.is_integer() else level for level in levels[:_LISTED])
    return ", ".join(map(repr, shown)) + (f" and {len(levels) - _LISTED} more" if len(levels) > _LISTED else "")


def _names(formula: str, column: str) -> bool:
    """Whether a formula speaks of a column."""
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", formula) is not None


def _first_line(error: Exception) -> str:
    return _shown(str(error) or type(error).__name__).splitlines()[0]
