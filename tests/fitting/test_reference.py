"""Published and certified results: every digit that somebody printed, and every digit that 256-bit arithmetic certified.

Small data sets ship in tests/reference (README.md there names the sources). `pytest --reference-data FOLDER` runs the same
laws over every binary, weighted and grouped data set of that folder beside the shipped ones; wide and large ones are slow.
"""

import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import xlogy

import jaxlr
from jaxlr import Fit, Params, Problem, Status
from tests.helpers import tolerance
from tests.reference.extract import HERE, NOT_FEATURES, extract, header

pytestmark = pytest.mark.usefixtures("x64", "optimized")

TOL = 1e-10  # of fit in float64
TOL32 = 1e-5  # of fit in float32
LARGE = ("colon_alon", "leukemia_golub", "a9a", "mnist_t10k")


class Data(NamedTuple):
    """One model's rows; grouped data are two rows a group, weighted by successes and failures."""

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None


@dataclass(frozen=True)
class Case:
    """One model, or the paths of penalties of one data set, in the shipped folder (folder = None) or in a reference folder."""

    kind: str
    name: str
    folder: str | None

    @property
    def entry(self) -> dict[str, Any]:
        """What extract.py says about it."""
        return _results(self.folder)[self.kind][self.name]

    def data(self) -> Data:
        """Its rows."""
        return _load(self.folder, self.entry["file"], tuple(self.entry.get("columns", ())) if self.kind == "models" else None)


@functools.cache
def _results(folder: str | None) -> dict[str, Any]:
    return json.loads((HERE / "results.json").read_text()) if folder is None else extract(Path(folder))


@functools.cache
def _table(folder: str | None, file: str) -> tuple[list[str], np.ndarray]:
    """Column names and values of one file, y first."""
    if folder is None and file == "wdbc.csv":
        data = jaxlr.datasets.breast_cancer()
        return ["y", *data.feature_names], np.column_stack([data.y, data.X])
    path = HERE / file if folder is None else Path(folder) / "files" / file
    if path.suffix != ".npz":
        return header(path), np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    with np.load(path) as arrays:
        y = arrays["y"].astype(float)
        if "indptr" not in arrays:  # mnist: 3 against 8
            used = (y == 3) | (y == 8)
            return [], np.column_stack([y[used] == 8, arrays["X"][used] / 255])
        dense = np.zeros(arrays["shape"])
        dense[np.repeat(np.arange(len(y)), np.diff(arrays["indptr"])), arrays["indices"]] = 1
        return [], np.column_stack([y, dense])


def _load(folder: str | None, file: str, columns: tuple[str, ...] | None) -> Data:
    names, table = _table(folder, file)
    if not names:
        return Data(table[:, 1:], table[:, 0], None)
    column = {name: table[:, j] for j, name in enumerate(names)}
    if columns is None:
        columns = tuple(name for name in names if name not in NOT_FEATURES)
    X = np.column_stack([column[name] for name in columns]) if columns else np.zeros((len(table), 0))
    if "successes" not in column:
        return Data(X, column["y"], column.get("w"))
    won, lost = column["successes"], column["trials"] - column["successes"]
    return Data(np.vstack([X, X]), np.repeat([1.0, 0.0], len(X)), np.concatenate([won, lost]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each model that a law applies to; those of a reference folder exist only where one is given."""
    selections: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
        "model": ("models", lambda entry: True),
        "estimate": ("models", lambda entry: bool(entry["certified"])),
        "printed": ("models", lambda entry: bool(entry["certified"] and entry["published"])),
        "separated": ("models", lambda entry: entry["separation"] != "none"),
        "paths": ("paths", lambda entry: True),
    }
    folders = [None, metafunc.config.getoption("--reference-data")]
    for argument, (kind, applies) in selections.items():
        if argument not in metafunc.fixturenames:
            continue
        cases = [
            pytest.param(
                Case(kind, name, folder),
                id=name if folder is None else f"folder-{name}",
                marks=[pytest.mark.slow] if name in LARGE else [],
            )
            for folder in folders[: 1 if folders[1] is None else 2]
            for name, entry in _results(folder)[kind].items()
            if applies(entry)
        ]
        metafunc.parametrize(argument, cases)


@functools.cache
def _fit(case: Case, dtype: str = "float64", through: str | None = None) -> tuple[Fit, Data]:
    """The unpenalized fit in a dtype, of a design that another dtype may have rounded before.

    Small data are padded to one shape, which saves a compilation each: rows of weight 0 and columns of zeros are not there.
    """
    X, y, weight = case.data()
    X = X.astype(through or dtype).astype(dtype)
    m, n = X.shape
    padding = ((0, 64 - m), (0, 8 - n))
    if m > 64 or n > 8:
        return jaxlr.fit(X, y, sample_weight=weight, fit_intercept=case.entry["intercept"]), Data(X, y, weight)
    fit = jaxlr.fit(
        np.pad(X, padding),
        np.pad(y, padding[0]),
        sample_weight=np.pad(np.ones(m) if weight is None else weight, padding[0]),
        fit_intercept=case.entry["intercept"],
    )
    return replace(fit, params=Params(fit.params.coef[:n], fit.params.intercept)), Data(X, y, weight)


def _named(case: Case, numbers: dict[str, float | str]) -> np.ndarray:
    """Numbers by name in the order coef, intercept."""
    names = case.entry["columns"] + (["(Intercept)"] if case.entry["intercept"] else [])
    return np.array([numbers[name] for name in names])


def _coefficients(case: Case, fit: Fit) -> np.ndarray:
    found = np.append(fit.params.coef, fit.params.intercept)
    return found if case.entry["intercept"] else found[:-1]


def _weight_sum(data: Data) -> float:
    return float(len(data.y) if data.sample_weight is None else np.sum(data.sample_weight))


_hessian = jax.jit(jaxlr.hessian)


def _information(case: Case, params: Params, data: Data) -> np.ndarray:
    """Observed information: the Hessian of the mean loss times the weight sum."""
    problem = Problem(*data, fit_intercept=case.entry["intercept"])
    H = np.asarray(_hessian(params, problem)) * _weight_sum(data)
    return H if case.entry["intercept"] else H[:-1, :-1]


def _inverse(H: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse of a positive definite matrix, and the condition number of the matrix in units where its diagonal is 1."""
    s = 1 / np.sqrt(np.diag(H))
    scaled = H * s[:, None] * s
    return np.linalg.inv(scaled) * s[:, None] * s, float(np.linalg.cond(scaled))


def _std_errors(case: Case, params: Params, data: Data) -> tuple[np.ndarray, float]:
    inverse, condition = _inverse(_information(case, params, data))
    return np.sqrt(np.diag(inverse)), condition


# --- the results themselves ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_result_belongs_to_columns_of_its_file_and_the_shipped_ones_are_those_of_the_folder(model):
    X, y, _ = model.data()
    assert set(np.unique(y)) == {0, 1}
    assert X.shape[1] == len(model.entry["columns"]) or model.entry["file"].endswith(".npz")
    shipped = Case("models", model.name, None)
    if model.name in _results(None)["models"]:
        assert json.loads(json.dumps(model.entry)) == shipped.entry
        for a, b in zip(model.data(), shipped.data(), strict=True):
            np.testing.assert_array_equal(a, b)


# --- estimates that exist --------------------------------------------------------------------------------------------------


def test_estimates_agree_with_the_certified_ones(estimate):
    fit, _ = _fit(estimate)
    assert Status(int(fit.status)) == Status.CONVERGED
    certified = _named(estimate, estimate.entry["certified"][0]["coefficients"])
    np.testing.assert_allclose(_coefficients(estimate, fit), certified, rtol=100 * TOL, atol=0)


def test_log_likelihoods_agree_with_the_certified_ones(estimate):
    fit, data = _fit(estimate)
    certified = estimate.entry["certified"][0]["loglik"]
    # At a minimum an error of the parameters counts squared: what is left is the rounding of a sum.
    assert -float(fit.value) * _weight_sum(data) == pytest.approx(certified, rel=tolerance(np.float64, 64))


@pytest.mark.slow
def test_standard_errors_from_the_hessian_agree_with_the_certified_ones(estimate):
    fit, data = _fit(estimate)
    found, condition = _std_errors(estimate, fit.params, data)
    certified = _named(estimate, estimate.entry["certified"][0]["std_errors"])
    # Coefficients are right to 100 tol, and an inverse loses the condition number of its matrix.
    np.testing.assert_allclose(found, certified, rtol=100 * TOL + tolerance(np.float64, condition), atol=0)


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def _assert_prints_as(found: float, printed: str, units: float, condition: float = 16) -> None:
    """The number rounds to what was printed, or is off by as many units of the last digit as the source is known to be.

    The units are themselves known to two decimals, and found has lost `condition` units of rounding.
    """
    unit = 10.0 ** -_decimals(printed)
    allowed = (max(0.5, units) + 0.005) * unit + tolerance(np.float64, condition) * abs(found)
    assert abs(found - float(printed)) <= allowed, f"got {found!r}, printed {printed}"


def _saturated_loglik(data: Data) -> float:
    """The log-likelihood of grouped rows at their own proportions; 0 for single rows."""
    if data.sample_weight is None or set(data.y[: len(data.y) // 2]) != {1.0}:
        return 0.0
    won, lost = np.split(data.sample_weight, 2)
    return float(np.sum(xlogy(won, won / (won + lost)) + xlogy(lost, lost / (won + lost))))


@pytest.mark.slow
def test_published_figures_are_met_to_their_printed_digits(printed):
    for published in printed.entry["published"]:
        rounded = any("data_rounding" in certified for certified in printed.entry["certified"])
        fit, data = _fit(printed, through="float32" if rounded else None)  # Stata stored float32
        off = {name: miss["units_of_last_digit"] for name, miss in published["agreement"].get("last_digit_misses", {}).items()}
        for kind, (found, condition) in (
            ("coefficients", (_coefficients(printed, fit), 16)),
            ("std_errors", _std_errors(printed, fit.params, data)),
        ):
            figures = published.get(f"{kind}_as_printed", {})
            names = printed.entry["columns"] + ["(Intercept)"]
            assert set(figures) <= set(names)
            for name, number in zip(names, found, strict=True):
                if name in figures:
                    _assert_prints_as(number, figures[name], off.get(f"{kind}:{name}", 0), condition)
        loglik = -float(fit.value) * _weight_sum(data)
        if "loglik" in published:
            _assert_prints_as(loglik, repr(published["loglik"]), off.get("loglik", 0))
        if "deviance" in published:
            deviance = 2 * (_saturated_loglik(data) - loglik)
            _assert_prints_as(deviance, repr(published["deviance"]), off.get("deviance", 0))


def test_rounding_the_columns_to_float32_as_stata_does_gives_the_certified_estimate_of_the_rounded_data():
    spector = Case("models", "spector", None)
    rounded = spector.entry["certified"][1]
    assert "float32" in rounded["data_rounding"]
    fit, _ = _fit(spector, through="float32")
    exact, _ = _fit(spector)
    certified = _named(spector, rounded["coefficients"])
    np.testing.assert_allclose(_coefficients(spector, fit), certified, rtol=100 * TOL, atol=0)
    assert np.all(np.abs(_coefficients(spector, exact) / certified - 1) > 100 * TOL)  # the rounding of the data is seen


# --- float32 ---------------------------------------------------------------------------------------------------------------


def _float32_bound(case: Case, data: Data, certified: np.ndarray) -> np.ndarray:
    """What float32 may do to each coefficient: round the data, round the gradient, and stop at kkt <= tol.

    To first order an error of the gradient moves the estimate by H^-1 times it. With A = [X 1] and u = eps / 2, rounding X and
    the products of the logits changes the gradient by at most u (|A|' (w |r|) + 2 |A|' (w c |A| |x|)), row by row.
    """
    X, y, weight = data
    A = np.column_stack([X, np.ones(len(y))]) if case.entry["intercept"] else X
    params = Params(certified[: X.shape[1]], certified[-1] if case.entry["intercept"] else np.float64(0))
    w = np.ones(len(y)) if weight is None else weight
    w = w / w.sum()
    z = A @ certified
    r, c = np.asarray(jaxlr.residual(z, y)), np.asarray(jaxlr.curvature(z))
    inverse = _inverse(_information(case, params, data) / _weight_sum(data))[0]
    size = np.abs(A)
    rounding = size.T @ (w * np.abs(r)) + 2 * size.T @ (w * c * (size @ np.abs(certified)))
    centered = X - w @ X if case.entry["intercept"] else X
    sd = np.sqrt(w @ centered**2)
    T = np.eye(len(certified))
    if case.entry["intercept"]:
        T[:-1, -1] = w @ X
        sd = np.append(sd, 1)
    stop = np.abs(inverse @ T) @ sd
    return tolerance(np.float32, 0.5) * (np.abs(inverse) @ rounding) + TOL32 * stop


@pytest.mark.slow
def test_float32_ends_converged_or_stalled_and_as_near_as_its_digits_allow(estimate):
    fit, _ = _fit(estimate, "float32")
    assert fit.params.coef.dtype == jnp.float32
    assert Status(int(fit.status)) in (Status.CONVERGED, Status.STALLED)
    certified = _named(estimate, estimate.entry["certified"][0]["coefficients"])
    bound = _float32_bound(estimate, estimate.data(), certified)
    # 2: the bound is of first order in eps.
    assert np.all(np.abs(_coefficients(estimate, fit) - certified) <= 2 * bound)


# --- estimates that do not exist -------------------------------------------------------------------------------------------


def test_data_that_linear_programming_separates_end_separated_without_a_penalty(separated):
    fit, data = _fit(separated)
    assert Status(int(fit.status)) == Status.SEPARATED
    assert np.all(np.isfinite(fit.params.coef))
    for limit in separated.entry["limit"]:
        # The infimum of the loss, from above: what is left to gain falls as fast as the gradient, which is under tol.
        infimum = -limit["limit_loglik"] / _weight_sum(data)
        assert infimum <= float(fit.value) * (1 + tolerance(np.float64, 64)) <= infimum + 100 * TOL


@pytest.mark.slow
def test_separated_data_are_separated_in_float32_too(separated):
    status = Status(int(_fit(separated, "float32")[0].status))
    # In a9a few of the 32,561 rows separate, a gradient that float32 loses in the others': it may say that it got nowhere.
    open_end = (Status.STALLED, Status.MAX_STEPS) if separated.name in LARGE else ()
    assert status in (Status.SEPARATED, *open_end)


# --- paths of penalties -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ridge_lasso_and_elastic_net_paths_agree_with_the_certified_ones(paths):
    X, y, _ = paths.data()
    names = [name for name in _table(paths.folder, paths.entry["file"])[0] if name not in NOT_FEATURES]
    programs = {}
    for item in paths.entry["paths"]:
        programs.setdefault((item["standardize"], item["alpha"] > 0, len(item["path"])), []).append(item)
    for (standardize, _, _), items in programs.items():
        strengths = np.array([[point["lambda_"] for point in item["path"]] for item in items])
        l1, l2 = jaxlr.elastic_net(strengths, np.array([[float(item["alpha"])] for item in items]))
        fit = jaxlr.fit(X, y, l1=l1, l2=l2, standardize=standardize)
        assert np.all(np.asarray(fit.status) == Status.CONVERGED)
        for (i, item), k in itertools.product(enumerate(items), range(strengths.shape[1])):
            point = item["path"][k]
            coef, intercept = np.asarray(fit.params.coef)[i, k], float(fit.params.intercept[i, k])
            if not item["certified"]:
                problem = Problem(X, y, l1=l1[i, k], l2=l2[i, k])
                _assert_no_worse_than_glmnet(point, coef, intercept, problem, float(fit.value[i, k]))
                continue
            _assert_path_point(point, names, coef, intercept, X)
            loglik = -float(np.sum(jaxlr.logistic_loss(X @ coef + intercept, y)))
            # Not a minimum of the loss alone: its slope along an error of the coefficients counts.
            assert loglik == pytest.approx(point["loglik"], rel=100 * TOL)


def _assert_path_point(point: dict[str, Any], names: list[str], coef: np.ndarray, intercept: float, X: np.ndarray) -> None:
    close = functools.partial(np.testing.assert_allclose, rtol=100 * TOL, atol=0)
    close(intercept, point["intercept"])
    if "coef" in point:
        close(coef, np.array(point["coef"]))
    elif "coefficients" in point:  # the others are 0, exactly
        assert {names[j] for j in np.flatnonzero(coef)} == set(point["coefficients"])
        certified = np.array([point["coefficients"].get(name, 0.0) for name in names])
        # Of very many columns a support that outgrows the working set is solved to a hundredth of tol and no further.
        close(coef, certified, atol=100 * TOL * np.abs(certified).max() if len(X) < len(names) else 0)
    else:
        close(coef[:10], np.array([point["beta_first10"][name] for name in names[:10]]))
        close(np.linalg.norm(coef), point["beta_l2"])
        close(X @ coef + intercept, np.array(point["linear_predictor"]))


def _assert_no_worse_than_glmnet(
    point: dict[str, Any], coef: np.ndarray, intercept: float, problem: Problem, value: float
) -> None:
    """At its threshold of 1e-12 glmnet's logits are right to 1e-5 or so (its coefficients, among columns that depend on each
    other, are some of many)."""
    theirs = Params(np.array(point["coef"]), np.float64(point["intercept"]))
    assert value <= float(jaxlr.loss(theirs, problem)) * (1 + tolerance(np.float64, 64))
    z = jaxlr.logits(theirs, problem.X)
    np.testing.assert_allclose(problem.X @ coef + intercept, z, rtol=0, atol=1e-4)
    assert np.count_nonzero(coef) == np.count_nonzero(theirs.coef)


# --- starts that trap Newton -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_starts_from_which_full_newton_steps_diverge_reach_the_certified_estimate():
    """Three data sets on which R's glm reports convergence at the wrong end of the line."""
    cases = [Case("models", f"newton_trap_{i}", None) for i in (1, 2, 3)]
    X, y, weight = (np.stack(rows)[:, None] for rows in zip(*(case.data() for case in cases), strict=True))
    rng = np.random.default_rng(0)
    size = np.concatenate([[0, 1, 1, 10, 10, 100, 100], np.full(25, 1e3)])
    starts = size[:, None] * rng.uniform(-1, 1, (len(size), 2))
    fit = jaxlr.fit(X, y, sample_weight=weight, init=Params(starts[:, :1], starts[:, 1]))
    assert np.all(np.asarray(fit.status) == Status.CONVERGED)
    for found_coef, found_intercept, case in zip(fit.params.coef, fit.params.intercept, cases, strict=True):
        certified = _named(case, case.entry["certified"][0]["coefficients"])
        found = np.column_stack([found_coef, found_intercept])
        np.testing.assert_allclose(found, np.broadcast_to(certified, found.shape), rtol=100 * TOL, atol=0)


@pytest.mark.slow
def test_an_intercept_alone_is_found_from_any_start():
    """15 rows, 10 of them 1: full Newton steps diverge from 3 and from 5. The estimate is log(10 / 5)."""
    mount = Case("models", "mount_start5", None)
    X, y, _ = mount.data()
    starts = np.array([0, 2.5, 3, 5, 1e3, -1e3])
    fit = jaxlr.fit(X, y, init=Params(np.zeros((len(starts), 0)), starts))
    assert np.all(np.asarray(fit.status) == Status.CONVERGED)
    certified = mount.entry["certified"][0]["coefficients"]["(Intercept)"]
    assert certified == pytest.approx(np.log(2), rel=tolerance(np.float64, 1))
    np.testing.assert_allclose(fit.params.intercept, certified, rtol=100 * TOL)
