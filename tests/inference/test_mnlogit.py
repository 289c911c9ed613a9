"""Inference of several classes against statsmodels' MNLogit, R's nnet and certified numbers: every printed figure."""

import functools
import json

import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference
from tests.helpers import quick
from tests.reference.mnlogit import HERE, SETS, load

pytestmark = pytest.mark.usefixtures("x64")

RTOL = 1e-8  # relative; both estimates are roots of the gradient to the last digits


@functools.cache
def fitted(name):
    X, labels = (np.asarray(part) for part in load(name))
    expected = json.loads((HERE / "mnlogit.json").read_text())[name]
    return jaxlr.fit(X, labels, num_classes=int(labels.max()) + 1), Problem(X, labels), expected


def by_class(params):
    """Every class but the base, the intercept first."""
    return np.column_stack([params.intercept, params.coef])[1:]


@pytest.mark.parametrize("name", quick(SETS, "anes96"))
def test_wald_is_what_mnlogit_prints(name):
    fit, problem, expected = fitted(name)
    assert bool(fit.converged)
    found = inference.wald(fit, problem)
    for key in ("estimate", "standard_error", "z", "p_value", "lower", "upper"):
        ours = by_class(getattr(found, key))
        # An end of an interval near 0 has the digits of the error, a p-value those of z times |z|.
        size = np.abs(expected["standard_error"]) if key in ("lower", "upper") else 0
        np.testing.assert_allclose(ours, expected[key], rtol=10 * RTOL if key == "p_value" else RTOL, atol=RTOL * np.max(size))
    ratios = inference.odds_ratios(found)
    np.testing.assert_allclose(by_class(ratios.estimate), np.exp(expected["estimate"]), rtol=RTOL)
    np.testing.assert_allclose(by_class(ratios.upper), np.exp(expected["upper"]), rtol=RTOL * 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(SETS, "anes96"))
def test_covariances_are_those_of_mnlogit(name):
    fit, problem, expected = fitted(name)
    num_classes, n = fit.params.coef.shape
    found = {kind: np.asarray(inference.covariance(fit, problem, kind=kind)) for kind in ("model", "HC0", "HC1")}
    # Theirs have the intercept first in each class, and no base.
    order = np.concatenate([[n, *range(n)] + k * (n + 1) for k in np.arange(1, num_classes)])
    for kind, key in (("model", "covariance"), ("HC0", "HC0_covariance")):
        assert found[kind].shape == (num_classes * (n + 1),) * 2
        np.testing.assert_array_equal(found[kind][: n + 1], 0)
        ours = found[kind][np.ix_(order, order)]
        scale = np.sqrt(np.diag(ours))
        np.testing.assert_allclose(ours[1] / scale, expected[key] / scale, rtol=0, atol=RTOL * scale[1])
        errors = by_class(inference.standard_errors(fit, problem, kind=kind))
        np.testing.assert_allclose(errors, expected["standard_error" if kind == "model" else kind], rtol=RTOL)
    m, free = len(problem.y), (num_classes - 1) * (n + 1)
    size = np.sqrt(np.diag(found["HC1"])) + (np.diag(found["HC1"]) == 0)  # a covariance that cancels is 0 to rounding
    ours, theirs = (V / size[:, None] / size for V in (found["HC1"], found["HC0"] * m / (m - free)))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(SETS, "anes96"))
def test_measures_of_fit_are_those_of_mnlogit(name):
    fit, problem, expected = fitted(name)
    found = inference.goodness_of_fit(fit, problem)
    pairs = {"log_likelihood": "llf", "null_log_likelihood": "llnull", "aic": "aic", "bic": "bic", "mcfadden": "prsquared",
             "df_residual": "df_resid"}  # fmt: skip
    for ours, theirs in pairs.items():
        assert float(getattr(found, ours)) == pytest.approx(expected[theirs], rel=RTOL), ours
    empty = jaxlr.fit(np.zeros((len(problem.y), 0)), problem.y, num_classes=len(fit.params.coef))
    test = inference.likelihood_ratio(fit, empty, problem)
    assert test.df == expected["df_model"]
    assert float(test.statistic) == pytest.approx(expected["llr"], rel=1e-7)
    assert float(test.p_value) == pytest.approx(expected["llr_pvalue"], rel=1e-5)


@pytest.mark.parametrize("name", quick(SETS, "anes96"))
def test_a_summary_prints_what_mnlogit_prints(name):
    fit, problem, expected = fitted(name)
    table = inference.summary(fit, problem, names=SETS[name])
    lines = str(table).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.lstrip().startswith("y=1"))
    numbers = [line.split() for line in lines[begin:] if set(line) - set("-=")]
    assert numbers == [line.split() for line in expected["table"] if set(line) - set("-=")]
    header = " ".join(" ".join(lines[:begin]).split())
    for part in (
        f"No. Observations: {len(problem.y)}",
        f"Df Residuals: {expected['df_resid']:.0f}",
        f"Df Model: {expected['df_model']:.0f}",
        f"Pseudo R-squ.: {expected['prsquared']:.4f}",
        f"Log-Likelihood: {expected['llf']:.5g}",
        f"LL-Null: {expected['llnull']:.5g}",
        f"LLR p-value: {expected['llr_pvalue']:.4g}",
        "converged: True",
    ):
        assert part in header
    given = table.to_dict()
    assert given["classes"] == list(range(1, len(fit.params.coef)))
    assert given["terms"] == expected["terms"]
    np.testing.assert_allclose(given["estimate"], expected["estimate"], rtol=RTOL)
    frame = table.to_pandas()
    assert frame.index.names == ["class", "term"]
    assert frame.loc[(2, "(Intercept)"), "z"] == pytest.approx(expected["z"][1][0], rel=RTOL)


def test_standard_errors_are_those_of_nnet_and_the_certified_ones():
    fit, problem, _ = fitted("anes96")
    ours = by_class(inference.standard_errors(fit, problem))
    entries = json.loads((HERE / "softmax.json").read_text())["anes96"]["estimates"]
    printed = {"certified-here": 1e-10, "nnet": 1e-6, "VGAM": 1e-6}
    seen = set()
    for entry in entries:
        source = entry["origin"] if entry["origin"] == "certified-here" else entry.get("function", "")[:4]
        if source in printed:
            assert entry["cols"] == ["(Intercept)", *SETS["anes96"]]
            np.testing.assert_allclose(ours, entry["std_errors"], rtol=printed[source])
            seen.add(source)
        else:  # Stata prints ten digits, good to some 4e-9
            expected = [entry["equation_1_std_errors"][name] for name in ("(Intercept)", *SETS["anes96"])]
            np.testing.assert_allclose(ours[0], expected, rtol=5e-9)
    assert seen == printed.keys()
