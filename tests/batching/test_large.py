"""One model with many rows: the minimum that all rows have, from a start that some rows give."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status
from jaxlr.batching import strategy
from jaxlr.engine.arguments import Arguments, prepare
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 4000, 3
X = RNG.standard_normal((M, N)) * [1, 1e-3, 50] + [0, 1e-2, 100]
Y = (RNG.uniform(size=M) < 1 / (1 + np.exp(-(X / X.std(0)) @ [1, -0.5, 0.2] + 0.5))).astype(float)
EPS = np.finfo(np.float64).eps


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    monkeypatch.setattr(strategy, "_LARGE", 0)


OPTIONS = {
    "none": {},
    "ridge": {"l2": 1e-2},
    "no intercept": {"fit_intercept": False},
    "offset": {"offset": RNG.standard_normal(M)},
    "factors": {"penalty_factor": np.ones(N)},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(OPTIONS, "none"))
def test_it_is_the_fit_of_all_rows(name):
    options = OPTIONS[name]
    got, expected = jaxlr.fit(X, Y, **options), jaxlr.fit(X, Y, solver="newton", **options)
    assert (got.solver, expected.solver) == ("newton_cg", "newton")
    assert bool(got.converged)
    # Both residuals are under 1e-10 per standard deviation, where the data bend J by 0.01 at least.
    np.testing.assert_allclose(got.params.coef * X.std(0), expected.params.coef * X.std(0), rtol=0, atol=2e-8)
    np.testing.assert_allclose(got.value, expected.value, rtol=1e-12)


@pytest.mark.slow
def test_the_certificate_is_that_of_the_data():
    fit = jaxlr.fit(X, Y, l2=1e-3, tol=1e-6)
    problem = jaxlr.Problem(X, Y, l2=1e-3)
    assert float(fit.kkt) <= 1e-6
    assert abs(float(fit.kkt) - float(jaxlr.kkt_residual(fit.params, problem))) <= 1024 * EPS
    np.testing.assert_allclose(fit.value, jaxlr.loss(fit.params, problem), rtol=64 * EPS)


@pytest.mark.slow
def test_some_rows_without_an_estimate_only_cost_steps():
    rare = (np.arange(M) % 1000 == 1).astype(float)  # no row of the first sample has label 1
    fit = jaxlr.fit(X, rare, l2=1e-2)
    assert fit.solver == "newton_cg"
    assert bool(fit.converged)
    separated = jaxlr.fit(X, (X[:, 0] > 0).astype(float))
    assert int(separated.status) == Status.SEPARATED


def test_what_does_not_suit_it_takes_the_other_road():
    for design, options in [
        (X + np.array([1e6, 0, 0]), {}),  # without the difference to the center, six digits would be lost
        (X[:1000], {}),
        (X, {"sample_weight": np.ones(M)}),
        (X, {"standardize": True}),
        (X, {"init": Params(np.zeros(N), np.float64(0))}),
    ]:
        call = prepare(Arguments(X=design, y=Y[: len(design)], **options))
        assert not call.settings.large
        assert call.settings.solver == "newton"
    assert jax.eval_shape(jaxlr.fit, X, Y).solver == "newton"


@pytest.mark.slow
def test_float32_and_batch_axes_of_one():
    fit = jaxlr.fit((X - X.mean(0)).astype(np.float32), Y[None, None], l2=np.float32([[0.1]]))
    assert fit.solver == "newton_cg"
    assert fit.kkt.shape == (1, 1)
    assert fit.params.coef.dtype == np.float32
    assert bool(fit.converged.all())


@pytest.mark.slow
def test_its_derivatives_are_the_differences_of_refits():
    def fitted(l2):
        fit = jaxlr.fit(X, Y, l2=l2, tol=1e-12)
        assert fit.solver == "newton_cg"
        return fit.params.coef * X.std(0)

    _, got = jax.jvp(fitted, (1e-2,), (1.0,))
    expected = (np.asarray(fitted(1e-2 + 1e-6)) - np.asarray(fitted(1e-2 - 1e-6))) / 2e-6
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
