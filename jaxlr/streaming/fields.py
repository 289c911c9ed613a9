"""The fields of a block: their kind and shapes, and the first of their values that no model can be fitted to."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxlr.inputs.labels import are_probabilities, is_soft

FIELDS = ("X", "y", "sample_weight", "offset")


class Kind(NamedTuple):
    """What all blocks have in common: columns, names, of each field dtype and axes in front of the rows, and whether labels are
    probabilities of several classes."""

    n: int
    names: tuple[str, ...] | None
    dtypes: dict[str, np.dtype]
    leads: dict[str, tuple[int, ...]]
    soft: bool

    def of_columns(self, columns: np.ndarray) -> "Kind":
        """The same of some columns (n,)."""
        names = None if self.names is None else tuple(np.array(self.names, object)[columns])
        return self._replace(n=int(np.sum(columns)), names=names)

    def described(self) -> str:
        """In JSON."""
        dtypes = {name: str(dtype) for name, dtype in sorted(self.dtypes.items())}
        leads = dict(sorted(self.leads.items()))
        return json.dumps({"n": self.n, "names": self.names, "dtypes": dtypes, "leads": leads, "soft": self.soft})


class Bad(NamedTuple):
    """A value that is refused: its place in the field, what was expected and what came in its place, and what to do."""

    at: tuple[int, ...]
    wanted: str
    got: Any
    fix: str


def are_soft(fields: Mapping[str, np.ndarray], num_classes: int | None) -> bool:
    """Whether labels are probabilities of the classes, by the axes of a block; where it has as many rows as there are classes,
    floating numbers of sum 1 are."""
    X, y = fields["X"], fields["y"]
    if num_classes is None:
        return False
    square = y.shape[-2:] == (len(X), num_classes) and jnp.issubdtype(y.dtype, jnp.floating)
    return is_soft(X, y, num_classes) or (square and bool(np.all(are_probabilities(y))))


def core_shape(name: str, shape: tuple[int, ...], num_classes: int | None, soft: bool) -> tuple[int, ...]:
    """The last axes that a field has beside X of this shape.

    Args:
        soft: whether labels are probabilities of the classes.
    """
    classes = () if num_classes is None else (num_classes,)
    behind = {"X": shape[1:], "offset": classes, "y": classes if soft else ()}
    return (shape[0], *behind.get(name, ()))


def bad_value(name: str, value: np.ndarray, num_classes: int | None, soft: bool) -> Bad | None:
    """The first value of a field that is refused, if there is one."""
    wide = value.astype(np.float32) if value.dtype.itemsize < 4 and jnp.issubdtype(value.dtype, jnp.floating) else value
    bad = ~np.isfinite(wide)
    wanted, fix = f"finite {name}", "drop or impute missing values first"
    if name == "y" and not bad.any():
        if soft:
            bad = (wide < 0) | ~are_probabilities(value)[..., None]
            wanted, fix = f"probabilities of {num_classes} classes, >= 0 and of sum 1", "divide by the sums of the rows"
        elif num_classes is None:
            bad = (wide < 0) | (wide > 1)
            wanted, fix = "labels 0/1 (or soft labels in [0, 1])", "for K classes pass num_classes=K"
        else:
            bad = (wide < 0) | (wide > num_classes - 1) | (wide != np.floor(wide))
            wanted, fix = f"integer labels 0..{num_classes - 1}", "number the classes from 0"
    if name == "sample_weight" and not bad.any():
        bad, wanted, fix = wide < 0, "sample_weight >= 0", "0 leaves a row out"
    if not bad.any():
        return None
    at = tuple(map(int, np.argwhere(bad)[0]))
    return Bad(at, wanted, wide[at[:2]].tolist() if soft and name == "y" else wide[at], fix)
