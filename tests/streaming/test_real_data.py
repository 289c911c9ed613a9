"""Streams of real data have the answers of `fit`, to 1e-9, whether their blocks have 1, 7 or 1,000 rows.

Small sets ship in tests/reference. `pytest -m slow --reference-data FOLDER` adds every binary, weighted and grouped set of that
folder. The same columns serve several models, which are streamed once.
"""

import numpy as np
import pytest

from jaxlr import Status, fit, fit_stream
from tests.fitting.test_reference import Case, _results

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("x64")]

EQUAL = 1e-9  # in standard deviations of a column: both have squared an error under 1e-10 at least once
PENALTIES = {"ridge and elastic net": {"l1": np.array([0.0, 0.05]), "l2": 0.01}}


def pytest_generate_tests(metafunc):
    """One test for each set of columns; those of a reference folder exist only where one is given."""
    cases = {}
    given = metafunc.config.getoption("--reference-data")
    for folder in (None, given) if given else (None,):
        for name, entry in _results(folder)["models"].items():
            key = entry["file"], tuple(entry.get("columns", ())), entry["intercept"]
            cases.setdefault(key, pytest.param(Case("models", name, folder), id=name if folder is None else f"folder-{name}"))
    metafunc.parametrize("case", cases.values())


def cut(data, rows):
    """Blocks of so many rows."""
    fields = {"X": data.X, "y": data.y, "sample_weight": data.sample_weight}

    def blocks():
        for start in range(0, len(data.y), rows):
            yield {name: part[start : start + rows] for name, part in fields.items() if part is not None}

    return blocks


def test_a_stream_of_real_data_is_a_fit_of_it(case):
    data, intercept = case.data(), case.entry["intercept"]
    options = dict(PENALTIES)
    if case.entry["separation"] == "none" and case.entry["certified"]:
        options["none"] = {}
    unit = np.maximum(data.X.std(axis=0), np.finfo(float).tiny)
    for name, penalty in options.items():
        wanted = fit(data.X, data.y, sample_weight=data.sample_weight, fit_intercept=intercept, **penalty)
        found = [fit_stream(cut(data, rows), fit_intercept=intercept, **penalty) for rows in (1, 7, 1000)]
        assert np.all(wanted.status == Status.CONVERGED), name
        for one in found:
            assert np.all(one.status == Status.CONVERGED), name
            off = unit * np.abs(np.asarray(one.params.coef) - np.asarray(wanted.params.coef))
            assert np.max(off, initial=0) <= EQUAL * (1 + np.max(unit * np.abs(wanted.params.coef), initial=0)), name
            np.testing.assert_allclose(one.value, wanted.value, rtol=1e-13, err_msg=name)
            np.testing.assert_array_equal(np.isinf(one.gap), np.isinf(wanted.gap), err_msg=name)
            np.testing.assert_array_equal(one.params.coef, found[0].params.coef, err_msg=name)
