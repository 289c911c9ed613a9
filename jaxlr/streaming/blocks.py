"""Blocks of rows as they come in: refused in words that name block and row, and re-cut to one shape.

A pass is one iterator of the callable that the caller gives. Its blocks may have any sizes; what the sums see are blocks of one
fixed number of rows, the last one filled up with rows that do not count, so that one program serves all and no sum depends on
how the rows were cut. Every pass has to bring the same rows: of each block number of rows and checksum (CRC-32) are kept from
the first pass, and compared.
"""

import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxlr.inputs.checks import real_array
from jaxlr.inputs.labels import hint_of_counts
from jaxlr.inputs.sparse import is_sparse
from jaxlr.inputs.tables import column_names
from jaxlr.streaming.fields import FIELDS, Kind, are_soft, bad_value, core_shape

Blocks = Callable[[], Iterable[Any]]


def check_callable(blocks: object) -> None:
    """Refuse what no pass can be made of."""
    if not callable(blocks):
        raise TypeError(
            f"expected blocks to be a callable that returns a fresh iterator at each pass, got {type(blocks).__name__}; "
            "jaxlr.streaming.from_arrays and its neighbours make one"
        )


class Rows(NamedTuple):
    """A block of the fixed shape.

    Attributes:
        fields: "X" (R, n), "y" (T, R), soft ones of several classes (T, R, K), and where there are some "sample_weight" (W, R)
            and "offset" (O, R), of several classes (O, R, K), their axes in front made one, in the dtype of the first block.
        first: number of the first row in the stream.
        size: rows that count, the others are filled up.
    """

    fields: dict[str, np.ndarray]
    first: int
    size: int


class Reader:
    """Reads passes over the same rows.

    Attributes:
        kind: of the blocks, once the first has come.
        prints: of each block, the number of its rows and its checksum in one integer; of a first pass that ended.
        m: rows of a pass that ended.
        start: number of the first row, where other processes stream those before it.
        columns: which are handed out (n,); None is all.
    """

    def __init__(self, blocks: Blocks, num_classes: int | None) -> None:
        check_callable(blocks)
        self.blocks, self.num_classes = blocks, num_classes
        self.kind: Kind | None = None
        self.prints: array | None = None
        self.m = self.start = 0
        self.columns: np.ndarray | None = None

    @property
    def handed(self) -> Kind | None:
        """The kind of what is handed out."""
        return self.kind if self.kind is None or self.columns is None else self.kind.of_columns(self.columns)

    def rows(self, size: int) -> Iterator[Rows]:
        """One pass, in blocks of `size` rows. Raises ValueError or TypeError for what no pass, or not this one, may bring."""
        whole: dict[str, np.ndarray] = {}
        first, filled = self.start, 0
        for fields in self._checked():
            start, count = 0, fields["X"].shape[0]
            if self.columns is not None:
                fields["X"] = fields["X"][:, self.columns]
            while start < count:
                if not filled:
                    whole = {name: _empty(name, value, size) for name, value in fields.items()}
                take = min(size - filled, count - start)
                for name, value in fields.items():
                    rows_of(name, whole[name], slice(filled, filled + take))[...] = rows_of(
                        name, value, slice(start, start + take)
                    )
                start, filled = start + take, filled + take
                if filled == size:
                    yield Rows(whole, first, size)
                    first, filled = first + size, 0
        if filled:
            yield Rows(whole, first, filled)

    def counts(self) -> Iterator[int]:
        """Rows of each block, of a look at shapes and types alone."""
        return (len(fields["X"]) for _, fields in self._of_one_kind())

    def _checked(self) -> Iterator[dict[str, np.ndarray]]:
        """The fields of each block, those of a first pass with their values checked, of a later one with their checksum."""
        seen, row = array("Q"), 0
        for where, fields in self._of_one_kind():
            count = len(fields["X"])
            mark = count << 32 | _checksum(fields)
            if self.prints is None:
                self._check_values(fields, where)
            elif len(seen) >= len(self.prints) or self.prints[len(seen)] != mark:
                raise ValueError(self._changed(len(seen), count, where))
            seen.append(mark)
            row += count
            yield fields
        if self.prints is not None and len(seen) != len(self.prints):
            raise ValueError(
                f"expected the {self.m} rows of the first pass, got the first {row}; blocks() has to bring all again"
            )
        self.prints, self.m = seen, row

    def _of_one_kind(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Where each block is, in words, and its fields; those without rows are passed over."""
        row = 0
        for index, block in enumerate(self.blocks()):
            where = f"block {index} (rows from {self.start + row} of the stream)"
            fields, names = self._fields(block, where)
            if count := len(fields["X"]):
                row += count
                yield where, self._of_kind(fields, names, where)
        if not row:
            raise ValueError(
                "expected blocks with rows at every pass, got none; blocks() has to return a fresh iterator each time"
            )

    def _changed(self, index: int, count: int, where: str) -> str:
        assert self.prints is not None
        if index >= len(self.prints):
            return f"expected the {self.m} rows of the first pass, got more: {where}"
        if self.prints[index] >> 32 != count:
            return f"expected {self.prints[index] >> 32} rows as in the first pass, got {count} in {where}"
        return f"expected the numbers of the first pass in the same order, got others in {where}"

    def _fields(self, block: Any, where: str) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
        """The fields of a block as arrays, and the names of its columns."""
        if isinstance(block, tuple) and len(block) == 2:
            block = dict(zip(("X", "y"), block, strict=True))
        if not isinstance(block, Mapping):
            got = f"{type(block).__name__} in {where}; yield one of these for each block"
            raise TypeError(f"expected (X, y) or a mapping of {', '.join(FIELDS)}, got {got}")
        if unknown := [name for name in block if name not in FIELDS]:
            raise TypeError(f"expected the fields {', '.join(FIELDS)}, got {unknown[0]!r} in {where}; leave it out")
        if absent := [name for name in ("X", "y") if block.get(name) is None]:
            raise TypeError(f"expected X and y, got no {absent[0]} in {where}; every block has both")
        names, fields = column_names(block["X"]), {}
        for name, value in block.items():
            if value is None:
                continue
            try:
                dense = value.toarray() if name == "X" and is_sparse(value) and hasattr(value, "toarray") else value
                fields[name] = np.asarray(real_array(name, dense))
            except TypeError as error:
                raise TypeError(f"{error}, in {where}") from None
        X = fields["X"]
        if X.ndim != 2 or (self.kind is not None and X.shape[1] != self.kind.n):
            wanted = "(rows, columns)" if self.kind is None else f"(rows, {self.kind.n})"
            raise ValueError(f"expected X {wanted}, got shape {X.shape} in {where}; give all blocks the same columns")
        soft = self._are_soft(fields)
        for name, value in fields.items():
            core = core_shape(name, X.shape, self.num_classes, soft)
            if value.ndim < len(core) or value.shape[value.ndim - len(core) :] != core:
                counts = hint_of_counts(value.shape, len(X)) if name == "y" and self.num_classes is None else ""
                fix = counts or "; give it the rows of X, batch axes lead"
                wanted = f"{name} (..., {', '.join(map(str, core))})"
                raise ValueError(f"expected {wanted}, got shape {value.shape} in {where}{fix}")
        return fields, names

    def _of_kind(self, fields: dict[str, np.ndarray], names: tuple[str, ...] | None, where: str) -> dict[str, np.ndarray]:
        """The fields, their axes in front made one, if they are of the kind of the first block."""
        X, soft = fields["X"], self._are_soft(fields)
        cores = {name: len(core_shape(name, X.shape, self.num_classes, soft)) for name in fields}
        leads = {name: value.shape[: value.ndim - cores[name]] for name, value in fields.items()}
        kind = Kind(X.shape[1], names, {name: value.dtype for name, value in fields.items()}, leads, soft)
        if self.kind is None:
            self.kind = kind
        if kind.names != self.kind.names:
            mine, its = _few(self.kind.names), _few(kind.names)
            raise ValueError(f"expected the columns {mine} of the first block, got {its} in {where}; select the same in each")
        for mine, its, what in (
            (self.kind.dtypes, kind.dtypes, "dtype"),
            (self.kind.leads, kind.leads, "axes in front of the rows"),
        ):
            for name in sorted(mine.keys() | its.keys()):
                if name not in mine or name not in its:
                    raise ValueError(
                        f"expected {name} in all blocks or in none, got {where} unlike the first; add it, or leave it out"
                    )
                if mine[name] != its[name]:
                    raise ValueError(
                        f"expected {name} of {what} {mine[name]} as in the first block, got {its[name]} in {where}; convert it"
                    )
        own = {name: value.reshape(-1, *value.shape[len(leads[name]) :]) for name, value in fields.items() if name != "X"}
        return {"X": X, **own}

    def _check_values(self, fields: dict[str, np.ndarray], where: str) -> None:
        for name, value in fields.items():
            found = bad_value(name, value, self.num_classes, self.kind is not None and self.kind.soft)
            if found is not None:
                at = found.at
                row, column = at[0 if name == "X" else 1], f", column {self._called(at[-1])}" if name == "X" else ""
                raise ValueError(f"expected {found.wanted}, got {found.got} in row {row}{column} of {where}; {found.fix}")

    def _are_soft(self, fields: dict[str, np.ndarray]) -> bool:
        """Whether labels are probabilities, as the first block tells."""
        return are_soft(fields, self.num_classes) if self.kind is None else self.kind.soft

    def _called(self, column: int) -> str:
        names = None if self.kind is None else self.kind.names
        return str(column) if names is None else repr(names[column])


def rows_of(name: str, value: np.ndarray, which: Any) -> np.ndarray:
    """Some rows of a field."""
    return value[which] if name == "X" else value[:, which]


def _empty(name: str, value: np.ndarray, size: int) -> np.ndarray:
    shape = (size, *value.shape[1:]) if name == "X" else (value.shape[0], size, *value.shape[2:])
    return np.zeros(shape, value.dtype)


def _checksum(fields: Mapping[str, np.ndarray]) -> int:
    checksum = 0
    for name in FIELDS:
        if name in fields:
            checksum = zlib.crc32(np.ascontiguousarray(fields[name]).reshape(-1).view(np.uint8).data, checksum)
    return checksum


def _few(names: tuple[str, ...] | None) -> str:
    return "without names" if names is None else ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
