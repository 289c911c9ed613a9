"""Predictions and marginal effects of real data are those of statsmodels, Stata, and the Python package marginaleffects."""

import functools
import json

import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference
from tests.reference import mnlogit
from tests.reference.margins import BINARY, HERE, METHODS, PLACES, ROWS, SETS
from tests.reference.robust import load

pytestmark = pytest.mark.usefixtures("x64")

RESULTS = json.loads((HERE / "margins.json").read_text())
RTOL = 1e-11  # the numbers of the file have 14 digits; both estimates are roots of the gradient to 1e-14
STATA_RTOL, STATA_ATOL = 5e-6, 5e-9  # what it printed, some numbers to 6 digits only, from estimates that stop at 1e-7


@functools.cache
def fitted(name):
    data = load(name)
    X, y = np.array(data["X"]), np.array(data["y"])
    return data, X, jaxlr.fit(X, y, tol=1e-14), Problem(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["model", "cluster"])
def test_predictions_are_those_of_get_prediction(name, kind):
    data, X, fit, problem = fitted(name)
    clusters = {"clusters": np.array(data["ways"], float)[:, 0]} if kind == "cluster" else {}
    expected = RESULTS[name]["predictions"][kind]
    found = inference.predictions(fit, problem, X[:ROWS], kind=kind, **clusters)
    for ours, theirs in zip(found, ("mean", "mean_se", "mean_ci_lower", "mean_ci_upper"), strict=True):
        np.testing.assert_allclose(ours, expected[theirs], rtol=RTOL)
    own = inference.predictions(fit, problem, kind=kind, **clusters)
    for ours, again in zip(found, own, strict=True):
        np.testing.assert_allclose(ours, again[:ROWS], rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_effects_are_those_of_get_margeff(name):
    _, _, fit, problem = fitted(name)
    for method in METHODS:
        for place in PLACES:
            found = inference.marginal_effects(fit, problem, at=place, method=method)
            estimate, error = np.array(RESULTS[name]["effects"][f"{place} {method}"])
            np.testing.assert_allclose(found.estimate, estimate, rtol=RTOL)
            np.testing.assert_allclose(found.standard_error, error, rtol=RTOL)
            np.testing.assert_allclose(
                found.z, np.where(error > 0, estimate / np.where(error > 0, error, 1), np.nan), rtol=RTOL
            )
    for method in ("dydx", "eydx"):
        found = inference.marginal_effects(fit, problem, method=method, discrete="binary")
        assert_equal(found, inference.marginal_effects(fit, problem, method=method, discrete=BINARY[name]))
        np.testing.assert_allclose(
            [found.estimate, found.standard_error], RESULTS[name]["effects"][f"discrete {method}"], rtol=RTOL
        )


def assert_equal(one, other):
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_effects_are_those_that_stata_prints():
    _, _, fit, problem = fitted("spector")
    assert len(RESULTS["Stata, spector"]) == 14
    for key, expected in RESULTS["Stata, spector"].items():
        place, method = key.split()
        options = {"discrete": [2]} if place == "discrete" else {"at": place}
        found = inference.marginal_effects(fit, problem, method=method, **options)
        np.testing.assert_allclose(
            [found.estimate, found.standard_error], expected, rtol=STATA_RTOL, atol=STATA_ATOL, err_msg=key
        )


@pytest.mark.slow
def test_effects_on_classes_are_those_of_mnlogit():
    X, labels = map(np.asarray, mnlogit.load("anes96"))
    fit = jaxlr.fit(X, labels, num_classes=7, tol=1e-13)
    for place in ("overall", "mean"):
        found = inference.marginal_effects(fit, Problem(X, labels), at=place)
        for ours, theirs in zip((found.estimate, found.standard_error), RESULTS["anes96"][place], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)  # errors of MNLogit are those of an inverse of condition 1e6
        np.testing.assert_allclose(np.sum(found.estimate, axis=0), 0, atol=1e-15)


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.slow
def test_marginaleffects_takes_a_fit_and_says_the_same(num_classes):
    import marginaleffects
    import pandas as pd

    data, X, _, _ = fitted("lbw_stata")
    labels = np.array(data["y"]) if num_classes is None else X[:, 8].clip(0, 2)  # how often a physician was seen
    table = pd.DataFrame(X[:, :8], columns=list("abcdefgh"))
    fit, problem = jaxlr.fit(table, labels, num_classes=num_classes), Problem(table, labels)
    model = inference.for_marginaleffects(fit, problem, table)
    low, high = (np.where(np.arange(8) == 4, value, X[:, :8]) for value in (0, 1))
    for theirs, measure in {"differenceavg": "difference", "lnratioavg": "log_ratio", "lnoravg": "log_odds_ratio"}.items():
        ours = inference.comparisons(fit, problem, low, high, measure=measure, kind="HC0")
        for ours_kind, vcov in ((inference.comparisons(fit, problem, low, high, measure=measure), True), (ours, "HC0")):
            expected = marginaleffects.comparisons(model, variables={"e": [0, 1]}, comparison=theirs, vcov=vcov)
            order = np.argsort(expected["group"]) if num_classes else [0]
            np.testing.assert_allclose(expected["estimate"].to_numpy()[order], np.ravel(ours_kind.estimate), rtol=1e-12)
            errors = expected["std_error"].to_numpy()[order]  # theirs are by differences, of about the root of eps
            np.testing.assert_allclose(errors, np.ravel(ours_kind.standard_error), rtol=1e-5)
    slopes = marginaleffects.avg_slopes(model)
    order = np.lexsort([slopes["term"], *([slopes["group"]] if num_classes else [])])
    ours = inference.marginal_effects(fit, problem, discrete="binary")
    np.testing.assert_allclose(slopes["estimate"].to_numpy()[order], np.ravel(ours.estimate), rtol=1e-3, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_marginaleffects_has_errors_of_fits_in_either_dtype_and_columns_by_name(dtype):
    import marginaleffects
    import pandas as pd

    data, X, _, _ = fitted("lbw_stata")
    table, y = pd.DataFrame(X[:, [1, 4]].astype(dtype), columns=["weight", "smoke"]), np.array(data["y"], dtype)
    fit, problem = jaxlr.fit(table, y), Problem(table, y)
    ours = inference.marginal_effects(fit, problem, discrete=["smoke"])
    for given in (table, table[["smoke", "weight"]], table.assign(low=y)):
        slopes = marginaleffects.avg_slopes(inference.for_marginaleffects(fit, problem, given)).sort("term", descending=True)
        assert slopes["term"].to_list() == ["weight", "smoke"]
        # Slopes are differences of differences.
        np.testing.assert_allclose(slopes["estimate"], ours.estimate, rtol=1e-4)
        np.testing.assert_allclose(slopes["std_error"], ours.standard_error, rtol=2e-2)
    for given, message in (
        (table.rename(columns={"weight": "w"}), "none named 'weight'"),
        (table.iloc[:10], "the table of the rows that were fitted"),
        (table + 1, "the table of the rows that were fitted"),
    ):
        with pytest.raises(ValueError, match=message):
            inference.for_marginaleffects(fit, problem, given)
    with pytest.raises(TypeError, match="expected a DataFrame"):
        inference.for_marginaleffects(fit, problem, X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": np.ones(189)}, "without offset"),
        ({"y": np.stack([np.arange(189) % 2, np.arange(189) % 3 > 0])}, "expected one model, got a batch"),
        ({"X": np.arange(189.0)[:, None] * [1, 2]}, "got NaN among its variances"),
    ],
)
def test_fits_that_marginaleffects_cannot_take_are_refused(change, message):
    import pandas as pd

    data, X, _, _ = fitted("lbw_stata")
    given = {"X": X[:, :2], "y": np.array(data["y"])} | change
    fit = jaxlr.fit(given["X"], given["y"], offset=given.get("offset"))
    with pytest.raises(ValueError, match=message):
        inference.for_marginaleffects(fit, Problem(**given), pd.DataFrame(given["X"], columns=["a", "b"]))
