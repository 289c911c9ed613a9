"""Real data sets with their sources."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """A design, its labels, and what the columns are called.

    Attributes:
        X: design (m, n), float64.
        y: labels (m,), int32, 0/1.
        feature_names: n names.
        target_names: the names of class 0 and class 1.
    """

    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    target_names: tuple[str, str]


def breast_cancer() -> Dataset:
    """Breast Cancer Wisconsin (Diagnostic): 30 measurements of cell nuclei of 569 tumours; y = 1 is benign (357 rows).

    The classes are completely separated, so an unpenalized fit has no estimate; the columns cover five decades.

    Source: W. Wolberg, O. Mangasarian, N. Street, W. Street, UCI Machine Learning Repository (1995),
    doi:10.24432/C5DW2B, licence CC BY 4.0; the file is that of scikit-learn (BSD-3-Clause).

    Returns:
        Dataset with X (569, 30), each column in the units of the source.

    Example:
        >>> breast_cancer().X.shape
        (569, 30)
    """
    with files("jaxlr.datasets").joinpath("breast_cancer.csv").open() as file:
        names = file.readline().strip().split(",")[1:]
        table = np.loadtxt(file, delimiter=",")
    return Dataset(table[:, 1:], table[:, 0].astype(np.int32), tuple(names), ("malignant", "benign"))


def discount_codes() -> Dataset:
    """Nine customers of a web shop: the amount that each has spent (dollars), and whether to send a discount code (y = 1).

    Without an intercept the estimate is -0.0333 per dollar; with one the classes are completely separated at 20 to 50
    dollars, and no estimate exists.

    Source: nine numbers from "Your First Machine Learning Model: logistic regression" (2019).

    Returns:
        Dataset with X (9, 1).

    Example:
        >>> discount_codes().y.tolist()
        [0, 1, 1, 1, 0, 0, 0, 0, 1]
    """
    spent = np.array([50, 10, 20, 5, 95, 70, 100, 200, 0], float)
    send = np.array([0, 1, 1, 1, 0, 0, 0, 0, 1], np.int32)
    return Dataset(spent[:, None], send, ("amount_spent",), ("no_discount", "send_discount"))
