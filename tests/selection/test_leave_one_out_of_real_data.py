"""Approximate leave-one-out against all refits without a row, on real data: 100 strengths of l2 from 10 to 1e-5, standardized
columns. `pytest -m slow --reference-data FOLDER` adds the sets of that folder to those that ship.

Within 2 % at every strength where each row is one of many. Where a row less all but separates the classes (few rows, a weak
penalty) one Newton step is not enough, and most losses come out too low: the table says from where on, and by how much.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import jaxlr

pytestmark = [pytest.mark.usefixtures("x64"), pytest.mark.slow]

L2 = np.logspace(1, -5, 100)
NEAR = 0.02  # relative


class Accuracy(NamedTuple):
    """Measured: the weakest l2 that is near, and the error that is not exceeded at any."""

    least: float = L2[-1]
    worst: float = NEAR


SHIPPED = {
    "low_birth_weight": Accuracy(),  # 189 x 9, worst -0.1 %
    "breast_cancer": Accuracy(2e-4, 0.20),  # 569 x 30, separated
    "remission": Accuracy(4.5e-2, 0.29),  # 27 x 6
    "spector": Accuracy(1.6e-2, 0.05),  # 32 x 3
}
IN_FOLDER = {
    "chdage": Accuracy(),  # 100 x 1, worst -0.1 %
    "donner": Accuracy(),  # 45 x 2, -0.6 %
    "urine": Accuracy(),  # 77 x 6, -1.6 %
    "ucla_admit": Accuracy(),  # 400 x 5, -0.02 %
    "saheart": Accuracy(),  # 462 x 9, -0.02 %
    "sex2": Accuracy(),  # 239 x 6, -0.1 %
    "banknote": Accuracy(),  # 1,372 x 4, +0.1 %
    "glmnet_multinomial": Accuracy(),  # 500 x 30, 3 classes, -0.2 %
    "orings": Accuracy(1e-2, 0.04),  # 23 x 1
    "vaso": Accuracy(6.5e-3, 0.065),  # 39 x 4
    "endometrial": Accuracy(3.2e-3, 0.033),  # 79 x 3, quasi-separated
    "icu": Accuracy(7.1e-3, 0.046),  # 200 x 21, quasi-separated
    "glmnet_binomial": Accuracy(1.9e-2, 0.165),  # 100 x 30, separated
    "iris": Accuracy(1.3e-4, 0.195),  # 150 x 4, 3 classes, one of them separated
}


def pytest_generate_tests(metafunc):
    folder = metafunc.config.getoption("--reference-data")
    cases = [pytest.param(None, name, id=name) for name in SHIPPED]
    if folder is not None:
        cases += [pytest.param(folder, name, id=f"folder-{name}") for name in IN_FOLDER]
    metafunc.parametrize(("folder", "name"), cases)


def loaded(folder, name):
    if folder is None:
        X, y, *_ = getattr(jaxlr.datasets, name)()
    else:
        table = np.loadtxt(Path(folder) / "files" / f"{name}.csv", delimiter=",", skiprows=1)
        X, y = table[:, 1:], table[:, 0].astype(int)
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def refitted(X, y, num_classes):
    """The log loss of every strength, over m models without a row."""
    m, total = len(y), np.zeros(len(L2))
    for rows in np.array_split(np.arange(m), max(1, m // 200)):
        fits = jaxlr.fit(X, y, sample_weight=(1 - np.eye(m))[rows, None], l2=L2, num_classes=num_classes)
        assert fits.converged.all()
        coef, intercept = map(np.asarray, fits.params)
        z = np.einsum("rg...n,rn->rg...", coef, X[rows]) + intercept
        if num_classes is None:
            total += np.sum(np.logaddexp(0, z) - y[rows, None] * z, axis=0)
        else:
            below = z - z.max(axis=-1, keepdims=True)
            own = np.take_along_axis(below, y[rows, None, None], axis=-1)[..., 0]
            total += np.sum(np.log(np.sum(np.exp(below), axis=-1)) - own, axis=0)
    return total / m


def test_the_log_loss_is_near_that_of_refits_at_every_strength_that_the_table_says(folder, name):
    X, y = loaded(folder, name)
    num_classes = None if y.max() == 1 else int(y.max()) + 1
    cv = jaxlr.cross_validate(X, y, l2=L2, folds="loo", num_classes=num_classes, refit=False)
    assert cv.fits.converged.all()
    exact, accuracy = refitted(X, y, num_classes), {**SHIPPED, **IN_FOLDER}[name]
    error = np.asarray(cv.mean["log_loss"]) / exact - 1
    assert np.abs(error[accuracy.least <= L2]).max() <= NEAR, dict(zip(L2, error, strict=True))
    assert np.abs(error).max() <= accuracy.worst
    assert exact[cv.best] <= exact.min() * (1 + NEAR)  # what is chosen is as good as what refits choose
