"""Influence and robust covariances of real data are those of 40-digit arithmetic, of statsmodels, Stata, R and SAS."""

import csv
import functools
import json

import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference
from tests.helpers import quick
from tests.reference.robust import FIELDS, HERE, SETS, load

pytestmark = pytest.mark.usefixtures("x64")

RESULTS = json.loads((HERE / "robust.json").read_text())
KINDS = ("HC0", "HC1", "HC2", "HC3", "cluster", "two ways", "HAC", "sampling")
# The numbers of the file have 14 digits. What is left of 16 are three for fits to a residual of 1e-13, and for the columns of
# remission, which nearly depend on each other.
RTOL = 1e-11
# statsmodels' Newton steps end at 1e-11.
RTOL_OF_STATSMODELS = 1e-10


@functools.cache
def fitted(name, weights=None):
    """The data of a set, with the fit and the problem under these weights."""
    data = load(name)
    X, y = np.array(data["X"]), np.array(data["y"])
    s = None if weights is None else np.array(data[weights], float)
    return data, jaxlr.fit(X, y, sample_weight=s, tol=1e-13), Problem(X, y, s)


def assert_influence_is(found, expected, rtol):
    values = {name: np.asarray(getattr(found, name))[:, None] for name in FIELDS}
    values["dfbeta"] = np.column_stack([found.dfbeta.coef, found.dfbeta.intercept])
    for name, value in values.items():
        rows = np.array(expected[name]).reshape(len(expected["number"]), -1)
        scale = np.abs(rows).max(axis=0)  # a change of a parameter may be small in one row by chance
        np.testing.assert_allclose(value[expected["number"]] / scale, rows / scale, rtol=0, atol=rtol, err_msg=name)
        if "squares" in expected:
            np.testing.assert_allclose(np.sum(value**2, axis=0), expected["squares"][name], rtol=rtol, err_msg=name)


def assert_covariance_is(found, triangle, rtol):
    found, place = np.asarray(found), np.tril_indices(len(triangle))
    scale = np.sqrt(np.abs([row[-1] for row in triangle]))  # of several ways it may be negative
    expected = np.concatenate(triangle) / np.outer(scale, scale)[place]
    for half in (found, found.T):
        np.testing.assert_allclose((half / np.outer(scale, scale))[place], expected, rtol=0, atol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(SETS, "spector", "lbw_stata"))
def test_influence(name):
    _, fit, problem = fitted(name)
    found = inference.influence(fit, problem)
    assert_influence_is(found, RESULTS["sets"][name]["exact"]["influence"], RTOL)
    assert_influence_is(found, RESULTS["sets"][name]["statsmodels"]["influence"], RTOL_OF_STATSMODELS)


CASES = [f"{name}: {kind}" for name in SETS for kind in KINDS]
QUICK = ["lbw_stata: HC1", "lbw_stata: cluster", "lbw_stata: HAC", "spector: HC3"]


@pytest.mark.parametrize("case", quick(CASES, *QUICK))
def test_covariances(case):
    name, kind = case.split(": ")
    data, fit, problem = fitted(name, "weight" if kind == "sampling" else None)
    options = {
        "cluster": {"clusters": [one for one, _ in data["ways"]]},
        "two ways": {"kind": "cluster", "clusters": np.array(data["ways"])},
        "HAC": {"lags": data["lags"]},
    }
    found = inference.covariance(fit, problem, **{"kind": kind} | options.get(kind, {}))
    assert_covariance_is(found, RESULTS["sets"][name]["exact"]["covariance"][kind], RTOL)
    if kind != "sampling":
        variance = RESULTS["sets"][name]["statsmodels"]["variance"][kind]
        np.testing.assert_allclose(np.diag(found), variance, rtol=RTOL_OF_STATSMODELS)


@pytest.mark.slow
def test_of_rows_that_stand_for_several():
    _, fit, problem = fitted("lbw_stata", "times")
    expected = RESULTS["sets"]["lbw_stata"]["exact"]["times"]
    assert_influence_is(inference.influence(fit, problem), expected["influence"], RTOL)
    for kind, triangle in expected["covariance"].items():
        assert_covariance_is(inference.covariance(fit, problem, kind=kind), triangle, RTOL)


def test_robust_errors_that_stata_printed():
    _, fit, problem = fitted("spector")
    m, printed = len(problem.y), np.array(RESULTS["printed"]["Stata, glm, vce(robust), spector"])
    found = np.asarray(inference.covariance(fit, problem, kind="HC0")) * (m / (m - 1))  # Stata's factor
    scale = np.sqrt(np.diag(printed))
    # Stata's steps ended where the estimate of GPA was 2.82611242 for 2.82611259: the errors have as many digits.
    np.testing.assert_allclose(found / np.outer(scale, scale), printed / np.outer(scale, scale), rtol=0, atol=1e-6)


def test_residuals_that_stata_printed():
    _, _, problem = fitted("lbw_stata")
    X = problem.X[:, :-1]  # without ftv
    found = inference.influence(jaxlr.fit(X, problem.y), Problem(X, problem.y))
    printed = np.array(RESULTS["printed"]["Stata, glm, predict pearson deviance, lbw_stata without ftv"])
    for value, column in ((found.pearson, printed[:, 0]), (found.deviance, printed[:, 1])):
        np.testing.assert_allclose(value, column, rtol=1e-6)


def test_errors_of_clusters_that_r_printed():
    data, fit, problem = fitted("gee_logistic")
    printed = RESULTS["printed"]["R, gee, independence, robust errors, gee_logistic"]
    errors = inference.standard_errors(
        fit, problem, kind="cluster", clusters=[one for one, _ in data["ways"]], small_sample=False
    )
    np.testing.assert_allclose(errors.coef, printed["errors"], rtol=1e-7)
    np.testing.assert_allclose(errors.intercept, printed["intercept"][1], rtol=1e-7)
    np.testing.assert_allclose(fit.params.coef, printed["coef"], rtol=1e-7)


def test_influence_that_sas_printed(pytestconfig):
    """Of Finney's rows, as in Pregibon 1981, which a reference folder has."""
    folder = pytestconfig.getoption("--reference-data")
    printed = {name: np.array(value) for name, value in RESULTS["printed"]["SAS, PROC LOGISTIC, influence, vaso"].items()}
    # Its columns agree with each other: what is printed is the one-step influence that is computed here.
    np.testing.assert_allclose(printed["C"] * (1 - printed["leverage"]), printed["CBar"], rtol=2e-3, atol=1e-4)
    if folder is None:
        return
    with open(f"{folder}/files/vaso.csv") as file:
        rows = list(csv.DictReader(file))
    X = np.array([[float(row["LogRate"]), float(row["LogVolume"])] for row in rows])
    y = np.array([float(row["y"]) for row in rows])
    fit, problem = jaxlr.fit(X, y), Problem(X, y)
    found, errors = inference.influence(fit, problem), inference.standard_errors(fit, problem)
    expected = {
        "leverage": found.leverage,
        "pearson": found.pearson,
        "deviance": found.deviance,
        "C": found.cooks_distance * 3,
        "CBar": found.cooks_distance * 3 * (1 - found.leverage),
        "DIFCHISQ": found.standardized_pearson**2,
        "DIFDEV": found.deviance**2 + found.cooks_distance * 3 * (1 - found.leverage),
        "dfbetas_intercept": found.dfbeta.intercept / errors.intercept,
        "dfbetas_LogRate": found.dfbeta.coef[:, 0] / errors.coef[0],
        "dfbetas_LogVolume": found.dfbeta.coef[:, 1] / errors.coef[1],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(value, printed[name], rtol=0, atol=1e-4, err_msg=name)
