"""Clusters and strata: rows that belong together, by labels of any kind."""

from typing import Any

import numpy as np

from jaxlr.inputs.tables import is_concrete


def cluster_numbers(clusters: Any, m: int | None = None) -> tuple[np.ndarray, int]:
    """`numbered` clusters.

    Raises:
        TypeError, ValueError: as `numbered`; fewer than two clusters.
    """
    numbers, count = numbered("clusters", clusters, m)
    if count < 2:
        raise ValueError(f"expected at least two clusters, got {count}: nothing varies from draw to draw")
    return numbers, count


def numbered(name: str, groups: Any, m: int | None = None) -> tuple[np.ndarray, int]:
    """The number of each row's group (m,), in the order in which the labels come first, and how many groups there are.

    Numbers depend on which rows belong together, not on what the labels are called.

    Args:
        name: of the argument.
        groups: labels (m,) of any kind, known outside jit.
        m: number of rows, None where any will do.

    Raises:
        TypeError: inside jit.
        ValueError: not one label a row, or missing labels.
    """
    if not is_concrete(groups):
        raise TypeError(f"expected {name} to be known outside jit, for their number is a shape; got a tracer")
    labels = np.asarray(groups)
    if labels.ndim != 1 or labels.shape[0] != (labels.shape[0] if m is None else m):
        raise ValueError(f"expected {name} ({'m' if m is None else m},), one label a row, got shape {labels.shape}")
    known: dict[Any, int] = {}
    numbers = np.fromiter((known.setdefault(label, len(known)) for label in labels.tolist()), np.int32, len(labels))
    if any(label is None or (label != label) is not False for label in known):  # noqa: PLR0124, NaN, NaT or NA
        raise ValueError(f"expected a label for each row of {name}, got missing ones; give them labels, or leave the rows out")
    return numbers, len(known)
