"""R's figures and the certified ones: standard errors, z, p, intervals, tests, Firth's estimates, separation."""

import functools

import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, inference
from tests.reference.inference import NAMES, QUICK, load

pytestmark = pytest.mark.usefixtures("x64")

SEPARATED = ("complete", "quasi")


def pytest_generate_tests(metafunc):
    """A case for each shipped data set, most of them slow, and for each of a reference folder where one is given."""
    if "case" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--reference-data")
        slow = {name: [] if name in QUICK else [pytest.mark.slow] for name in NAMES}
        cases = [pytest.param((name, None), id=name, marks=slow[name]) for name in NAMES]
        if folder is not None:
            cases += [pytest.param((name, folder), id=f"folder-{name}") for name in load(None, folder)]
        metafunc.parametrize("case", cases)


@functools.cache
def fitted(case, firth):
    """The data padded to one shape, so that few programs are compiled: rows of weight 0; the fit, the problem, the results."""
    entry = load(*case)
    X, y = np.asarray(entry["X"]).reshape(len(entry["y"]), -1), np.asarray(entry["y"], float)
    pad = max(64 - len(y), 0)
    problem = Problem(
        np.pad(X, ((0, pad), (0, 0))),
        np.pad(y, (0, pad)),
        np.pad(np.ones(len(y)), (0, pad)),
        fit_intercept=entry["intercept"],
    )
    fit = jaxlr.fit_firth if firth else jaxlr.fit
    return fit(problem.X, problem.y, sample_weight=problem.sample_weight, fit_intercept=entry["intercept"]), problem, entry


def by_name(entry, params):
    values = dict(zip(entry["columns"], np.asarray(params.coef), strict=True))
    return values | ({"(Intercept)": float(params.intercept)} if entry["intercept"] else {})


def assert_are(found, expected, rtol):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=rtol), name


@pytest.mark.slow
def test_standard_errors_z_and_p(case):
    fit, problem, entry = fitted(case, False)
    if "mle" not in entry:
        assert int(fit.status) == Status.SEPARATED
        assert np.isnan(np.asarray(inference.wald(fit, problem).p_value.coef)).all()
        return
    found = inference.wald(fit, problem)
    assert_are(by_name(entry, found.standard_error), entry["mle"]["std_errors"], 1e-11)
    assert_are(by_name(entry, found.z), entry["mle"]["z"], 1e-11)
    # R's own standard errors are right to 1e-8, and its p-values to |z| times that, twice.
    assert_are(by_name(entry, found.p_value), entry["r"]["p_values"], 2e-6)
    measures = inference.goodness_of_fit(fit, problem)
    for name, measure in (("deviance", measures.deviance), ("null_deviance", measures.null_deviance), ("aic", measures.aic)):
        assert float(measure) == pytest.approx(entry["r"][name], rel=1e-12)
    assert float(measures.df_residual) == entry["r"]["df_residual"]


@pytest.mark.slow
def test_profile_intervals(case):
    fit, problem, entry = fitted(case, False)
    found = inference.profile_intervals(fit, problem)
    for side, ends in (("lower", found.lower), ("upper", found.upper)):
        if "profile" in entry:  # roots to 1e-10
            assert_are(by_name(entry, ends), entry["profile"][side], 1e-9)
        assert np.isnan(np.asarray(ends.coef)).all() == ("mle" not in entry)


@pytest.mark.slow
def test_firth(case):
    fit, problem, entry = fitted(case, True)
    if "firth" not in entry:
        assert case[0] not in ("discount", "lbw_stata")
        return
    assert int(fit.status) == Status.CONVERGED
    assert_are(by_name(entry, fit.params), entry["firth"]["coefficients"], 1e-9)
    assert_are(by_name(entry, inference.standard_errors(fit, problem)), entry["firth"]["std_errors"], 1e-9)
    weight = np.sum(problem.sample_weight)
    assert -float(fit.value) * weight == pytest.approx(entry["firth"]["penalized_loglik"], rel=1e-12)
    logistf = entry["logistf"]
    found = inference.profile_intervals(fit, problem)
    if case[0] == "glmnet_binomial":  # 30 columns, 100 rows, separated: the penalized likelihood has several maxima, ends too
        return
    assert_are(by_name(entry, found.lower), logistf["ci_lower"], 1e-7)
    assert_are(by_name(entry, found.upper), logistf["ci_upper"], 1e-7)
    assert_are(by_name(entry, inference.profile_tests(fit, problem).p_value), logistf["p_values"], 1e-7)


def test_separation_is_that_of_linear_programming(case):
    entry = load(*case)
    X, y = np.asarray(entry["X"]).reshape(len(entry["y"]), -1), np.asarray(entry["y"])
    assert jaxlr.separation(X, y, fit_intercept=entry["intercept"]) == entry["separation"]
    direction = jaxlr.separating_direction(X, y, fit_intercept=entry["intercept"])
    assert (direction is None) == (entry["separation"] == "none")
    if direction is not None:
        margins = (2 * y - 1) * (X @ direction.coef + direction.intercept)
        assert margins.min() >= -1e-12
        assert margins.max() == pytest.approx(1, rel=1e-9)
        assert (margins.min() > 1e-9) == (entry["separation"] == "complete")


def test_the_status_is_the_verdict_in_both_dtypes(case):
    entry = load(*case)
    fit, _, _ = fitted(case, False)
    assert (int(fit.status) == Status.SEPARATED) == (entry["separation"] in SEPARATED)
