"""More columns than rows: the models that all columns give, found in the span of the rows."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 30, 80
X = RNG.standard_normal((M, N)) * 10 + 5
Y = RNG.integers(0, 2, (3, M)).astype(float)
EPS = np.finfo(np.float64).eps
OPTIONS = {
    "ridge": {"l2": 1e-2},
    "no intercept": {"l2": 1e-2, "fit_intercept": False},
    "weights": {"l2": 1e-2, "sample_weight": RNG.integers(0, 3, (3, M))},
    "offset": {"l2": 1e-2, "offset": RNG.standard_normal(M)},
    "path": {"l2": np.logspace(1, -3, 9)},
    "conjugate gradients": {"l2": 1e-2, "solver": "newton_cg"},
    "a start": {"l2": 1e-2, "init": Params(RNG.standard_normal(N), np.float64(1))},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(OPTIONS, "ridge"))
def test_they_are_the_models_of_all_columns(name):
    labels = Y[:, None] if name == "path" else Y
    fit = jaxlr.fit(X, labels, **OPTIONS[name])
    # Factors, all 1, take the road of all columns.
    all_columns = {"solver": "newton", "penalty_factor": np.ones(N)}
    expected = jaxlr.fit(X, labels, **(OPTIONS[name] | all_columns))
    assert bool(fit.converged.all())
    # Coefficients are about 1e-2; l2 and tol bound what differs.
    np.testing.assert_allclose(fit.params.coef, expected.params.coef, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fit.value, expected.value, rtol=1e-9)


@pytest.mark.slow
def test_certificates_are_those_of_all_columns():
    fit = jaxlr.fit(X, Y[0], l2=1e-2)
    problem = jaxlr.Problem(X, Y[0], l2=1e-2)
    np.testing.assert_allclose(fit.value, jaxlr.loss(fit.params, problem), rtol=64 * EPS)
    assert abs(float(fit.kkt) - float(jaxlr.kkt_residual(fit.params, problem))) <= 256 * EPS
    assert 0 <= float(fit.gap) <= 1e-10


@pytest.mark.slow
def test_without_a_penalty_they_are_separated():
    assert np.asarray(jaxlr.fit(X, Y).status).tolist() == [Status.SEPARATED] * 3


@pytest.mark.slow
def test_float32_many_designs_and_jit():
    fit = jax.jit(jaxlr.fit)(np.stack([X, 2 * X]).astype(np.float32), Y[:2], l2=0.1)
    assert fit.kkt.dtype == np.float32
    assert bool(fit.converged.all())


@pytest.mark.slow
def test_thousands_of_columns_are_as_many_as_rows():
    wide = np.random.default_rng(1).standard_normal((38, 7129))
    fit = jaxlr.fit(wide, Y[0].repeat(2)[:38], l2=np.logspace(0, -3, 8))
    assert bool(fit.converged.all())
    assert fit.params.coef.shape == (8, 7129)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["newton", "newton_cg"])
def test_rows_that_depend_on_each_other_leave_no_column_of_rounding(solver):
    rng = np.random.default_rng(10)
    twice, soft = np.concatenate([X[:10], X[:10]]), rng.uniform(size=10)
    both = jaxlr.fit(twice, np.append(Y[0, :10], 1 - Y[0, :10]), solver=solver)  # each row has both labels: coef = 0
    assert bool(both.converged)
    np.testing.assert_allclose(both.params.coef, 0, atol=1e-8)
    np.testing.assert_allclose(both.value, np.log(2), rtol=8 * EPS)
    exact = jaxlr.fit(X[:10], soft, solver=solver)
    assert bool(exact.converged)  # ten rows, any ten logits
    np.testing.assert_allclose(jaxlr.predict_proba(exact.params, X[:10]), soft, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_a_design_that_is_not_finite_says_so_alone():
    designs = np.stack([X, X, X])
    designs[1, 0, 0] = np.nan
    fit = jaxlr.fit(designs, Y, l2=0.1)
    assert np.asarray(fit.status).tolist() == [Status.CONVERGED, Status.NONFINITE, Status.CONVERGED]
