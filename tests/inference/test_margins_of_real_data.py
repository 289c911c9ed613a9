"""Predictions and marginal effects of every data set that has an estimate are those of statsmodels.

The small sets that ship in tests/reference are in `test_margins_reference.py`; `pytest -m slow --reference-data FOLDER` runs
these laws over those of that folder.
"""

import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference
from tests.fitting.test_reference import LARGE, Case, _results
from tests.reference.margins import METHODS, PLACES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings("ignore:Maximum Likelihood optimization failed"),  # to 1e-14: estimates are compared anyway
]

RTOL = 1e-9  # statsmodels' steps end within 1e-12 of the root; probabilities of 1e-11 in banknote keep 10 digits of that


def pytest_generate_tests(metafunc):
    folder = metafunc.config.getoption("--reference-data")
    models = {} if folder is None else _results(folder)["models"]
    cases = [
        Case("models", name, folder)
        for name, entry in models.items()
        if entry["certified"] and entry["intercept"] and entry.get("columns") and name not in (*LARGE, "spam")
    ]
    metafunc.parametrize("case", cases, ids=lambda case: case.name)


def test_predictions_and_effects_are_those_of_statsmodels(case):
    import statsmodels.api as sm

    X, y, weight = case.data()
    fit, problem = jaxlr.fit(X, y, sample_weight=weight, tol=1e-13), Problem(X, y, weight)
    A, start = np.column_stack([X, np.ones(len(y))]), np.append(fit.params.coef, fit.params.intercept)
    family = sm.families.Binomial()
    glm = sm.GLM(y, A, family=family, freq_weights=weight).fit(tol=1e-14, maxiter=100, start_params=start)
    frame, found = glm.get_prediction(A).summary_frame(), inference.predictions(fit, problem)
    counted = frame["mean_se"].to_numpy() > 1e-12  # statsmodels' probabilities next to 1 have no digits left
    for ours, theirs in zip(found, ("mean", "mean_se", "mean_ci_lower", "mean_ci_upper"), strict=True):
        np.testing.assert_allclose(np.asarray(ours)[counted], frame[theirs][counted], rtol=RTOL)
    if weight is not None:
        return  # its Logit takes none
    logit = sm.Logit(y, A).fit(method="newton", tol=1e-14, maxiter=100, disp=0, start_params=start)
    for place in PLACES:
        for method in METHODS:
            theirs, ours = (
                logit.get_margeff(at=place, method=method),
                inference.marginal_effects(fit, problem, at=place, method=method),
            )
            np.testing.assert_allclose(ours.estimate, theirs.margeff, rtol=RTOL, err_msg=f"{place} {method}")
            np.testing.assert_allclose(ours.standard_error, theirs.margeff_se, rtol=RTOL, err_msg=f"{place} {method}")
