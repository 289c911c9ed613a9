"""Clusters and strata: rows that belong together, by labels of any kind."""

from typing import Any

import numpy as np

from jaxlr.inputs.tables import as_numpy, is_concrete


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

    Labels are the same where they are equal in Python: 1 and 1.0 are, 1 and "1" are not. Numbers depend on which rows belong
    together, not on what the labels are called.

    Args:
        name: of the argument.
        groups: labels (m,) of any kind that has a hash, tuples too, known outside jit.
        m: number of rows, None where any will do.

    Raises:
        TypeError: inside jit.
        ValueError: not one label a row, missing labels, or labels without a hash.
    """
    if not is_concrete(groups):
        raise TypeError(f"expected {name} to be known outside jit, for their number is a shape; got a tracer")
    labels = _labels(name, groups)
    if labels.ndim != 1 or labels.shape[0] != (labels.shape[0] if m is None else m):
        got = f"shape {labels.shape}" if labels.ndim else repr(groups)
        raise ValueError(
            f"expected {name} ({'m' if m is None else m},), one label a row, got {got}; repeat that of a group for each of its "
            "rows"
        )
    known: dict[Any, int] = {}
    missing = labels.dtype.kind in "mM" and bool(np.any(np.isnat(labels)))  # a list has some number in their place
    try:
        numbers = np.fromiter((known.setdefault(label, len(known)) for label in labels.tolist()), np.int32, len(labels))
    except TypeError:
        raise ValueError(
            f"expected {name} of labels that have a hash, such as numbers, strings or tuples of them, got others; make these "
            "of them first"
        ) from None
    if missing or any(map(_is_missing, known)):
        raise ValueError(f"expected a label for each row of {name}, got missing ones; give them labels, or leave the rows out")
    return numbers, len(known)


def _labels(name: str, groups: Any) -> np.ndarray:
    """Labels in an array that leaves each as it is; of a list alone NumPy would make strings or floats, and axes of tuples."""
    if isinstance(groups, np.ma.MaskedArray):
        labels = groups.data.astype(object)
        labels[np.ma.getmaskarray(groups)] = None
        return labels
    if isinstance(groups, (list, tuple)):
        return np.fromiter((None if label is np.ma.masked else label for label in groups), object, len(groups))
    return as_numpy(name, groups)


def _is_missing(label: Any) -> bool:
    """None, NaN, NaT or NA, or a tuple with one of them."""
    if isinstance(label, tuple):
        return any(map(_is_missing, label))
    try:
        return label is None or not bool(label == label)  # noqa: PLR0124
    except TypeError:  # NA is neither equal to itself nor not
        return True
