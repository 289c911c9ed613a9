"""Clusters: rows that belong together, by labels of any kind."""

from typing import Any

import numpy as np

from jaxlr.inputs.tables import is_concrete


def cluster_numbers(clusters: Any, m: int | None = None) -> tuple[np.ndarray, int]:
    """The number of each row's cluster (m,), in the order in which the labels come first, and how many clusters there are.

    Numbers depend on which rows belong together, not on what the labels are called.

    Args:
        clusters: labels (m,) of any kind, known outside jit.
        m: number of rows, None where any will do.

    Raises:
        TypeError: inside jit.
        ValueError: not one label a row, missing labels, or fewer than two clusters.
    """
    if not is_concrete(clusters):
        raise TypeError("expected clusters to be known outside jit, for their number is a shape; got a tracer")
    labels = np.asarray(clusters)
    if labels.ndim != 1 or labels.shape[0] != (labels.shape[0] if m is None else m):
        raise ValueError(f"expected clusters ({'m' if m is None else m},), one label a row, got shape {labels.shape}")
    known: dict[Any, int] = {}
    numbers = np.fromiter((known.setdefault(label, len(known)) for label in labels.tolist()), np.int32, len(labels))
    if any(label is None or (label != label) is not False for label in known):  # noqa: PLR0124, NaN, NaT or NA
        raise ValueError("expected a label for each row of clusters, got missing ones; give them labels, or leave the rows out")
    if len(known) < 2:
        raise ValueError(f"expected at least two clusters, got {len(known)}: nothing varies from draw to draw")
    return numbers, len(known)
