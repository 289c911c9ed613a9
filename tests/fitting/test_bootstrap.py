"""Bootstrap fits: those of the weight rows of `bootstrap`, whatever the chunk."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Status, fit_bootstrap
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
M = 40
X = RNG.standard_normal((M, 3))
Y = (X @ [1.0, -0.5, 0.2] + RNG.logistic(size=M) > 0).astype(float)
KEY = jax.random.key(3)


def models(fit):
    return np.concatenate([np.asarray(fit.params.coef), np.asarray(fit.params.intercept)[..., None]], axis=-1)


OPTIONS = {"plain": {}, "standardized": {"standardize": True}, "conjugate gradients": {"solver": "newton_cg"}}


@pytest.mark.parametrize("name", quick(OPTIONS, "plain"))
def test_resamples_are_the_rows_of_bootstrap(name):
    options = OPTIONS[name]
    got = fit_bootstrap(KEY, X, Y, 12, l2=0.1, **options)
    expected = jaxlr.fit(X, Y, sample_weight=jaxlr.bootstrap(KEY, M, 12), l2=0.1)
    if "standardize" in options:
        expected = jaxlr.fit(X, Y, sample_weight=jaxlr.bootstrap(KEY, M, 12), l2=0.1, standardize=True)
    assert bool(got.converged.all())
    # Both residuals are under tol = 1e-10, where l2 bends J by 0.1.
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=2e-9)


@pytest.mark.slow
def test_weights_multiply_the_counts_and_offsets_stay():
    rng = np.random.default_rng(10)
    weight, offset = rng.uniform(size=M), rng.standard_normal(M)
    got = fit_bootstrap(KEY, X, Y, 5, sample_weight=weight, offset=offset, l2=0.1)
    counts = np.asarray(jaxlr.bootstrap(KEY, M, 5))
    expected = jaxlr.fit(X, Y, sample_weight=counts * weight, offset=offset, l2=0.1)
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=2e-9)


@pytest.mark.slow
def test_the_chunk_changes_nothing_and_more_resamples_begin_with_the_same():
    whole = fit_bootstrap(KEY, X, Y, 10, l2=0.1)
    np.testing.assert_allclose(models(fit_bootstrap(KEY, X, Y, 10, l2=0.1, batch_size=3)), models(whole), atol=1e3 * EPS)
    np.testing.assert_allclose(models(fit_bootstrap(KEY, X, Y, 13, l2=0.1))[:10], models(whole), atol=1e3 * EPS)


@pytest.mark.slow
def test_a_resample_without_an_estimate_says_so():
    few = np.array([0, 0, 0, 1, 1, 0.0])
    fit = fit_bootstrap(KEY, X[:6], few, 60)
    counts = np.asarray(jaxlr.bootstrap(KEY, 6, 60))
    one_class = (counts[:, few == 1].sum(1) == 0) | (counts[:, few == 0].sum(1) == 0)
    assert one_class.any()
    assert (np.asarray(fit.status)[one_class] == Status.INVALID).all()
    assert not np.isin(np.asarray(fit.status)[~one_class], [Status.INVALID, Status.NONFINITE]).any()


def test_wrong_calls_say_what_was_expected():
    with pytest.raises(ValueError, match="expected num_samples to be an integer >= 1, got 0"):
        fit_bootstrap(KEY, X, Y, 0)
    with pytest.raises(ValueError, match="expected batch_size to be an integer >= 1, got 0"):
        fit_bootstrap(KEY, X, Y, 2, batch_size=0)
    with pytest.raises(ValueError, match=r"got batch axes \(2,\)"):
        fit_bootstrap(KEY, X, np.stack([Y, Y]), 2)
    with pytest.raises(TypeError):
        fit_bootstrap(0, X, Y, 2)


@pytest.mark.slow
def test_resamples_of_more_columns_than_rows_are_fitted_in_the_span_of_the_rows():
    rng = np.random.default_rng(10)
    wide, labels = rng.standard_normal((20, 400)), np.arange(20) % 2
    program = jax.jit(lambda key: fit_bootstrap(key, wide, labels, 100, l2=0.1)).lower(KEY).compile()
    assert program.memory_analysis().temp_size_in_bytes < 100 * 400**2 * 8 / 4  # no Hessian of all columns for each
    got = fit_bootstrap(KEY, wide, labels, 20, l2=0.1)
    expected = jaxlr.fit(wide, labels, sample_weight=jaxlr.bootstrap(KEY, 20, 20), l2=0.1)
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=2e-9)
