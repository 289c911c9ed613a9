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
    return _read("breast_cancer", ("malignant", "benign"))


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


def low_birth_weight() -> Dataset:
    """Birth weight under 2.5 kg (y = 1, 59 of 189) and nine traits of the mother: age, weight (pounds), habits, history.

    Source: Hosmer & Lemeshow, Applied Logistic Regression (1989), appendix 1, as shipped with Stata; the file is that of
    statsmodels (BSD-3-Clause).

    Returns:
        Dataset with X (189, 9).

    Example:
        >>> int(low_birth_weight().y.sum())
        59
    """
    return _read("low_birth_weight", ("normal", "low"))


def remission() -> Dataset:
    """Remission of cancer (y = 1, 9 of 27 patients) and six measurements of cells: nearly separated and nearly collinear.

    Source: E. Lee 1974, Computer Programs in Biomedicine 4, 80-92; typed from the SAS/STAT documentation, PROC LOGISTIC.

    Returns:
        Dataset with X (27, 6).

    Example:
        >>> remission().feature_names
        ('cell', 'smear', 'infil', 'li', 'blast', 'temp')
    """
    return _read("remission", ("no_remission", "remission"))


def spector() -> Dataset:
    """Whether the grade of 32 students improved (y = 1, 11 of them): grade before, test score, and the new teaching method.

    Source: Spector & Mazzeo 1980, Journal of Economic Education 11, 37-44; public domain, the file is that of statsmodels.

    Returns:
        Dataset with X (32, 3).

    Example:
        >>> spector().X.shape
        (32, 3)
    """
    return _read("spector", ("not_improved", "improved"))


def _read(name: str, target_names: tuple[str, str]) -> Dataset:
    with files("jaxlr.datasets").joinpath(f"{name}.csv").open() as file:
        names = file.readline().strip().split(",")[1:]
        table = np.loadtxt(file, delimiter=",")
    return Dataset(table[:, 1:], table[:, 0].astype(np.int32), tuple(names), target_names)
