"""Bootstrap fits: those of the weight rows of `bootstrap`, whatever the chunk."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, fit_bootstrap, inference
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
M = 40
X = RNG.standard_normal((M, 3))
Y = (X @ [1.0, -0.5, 0.2] + RNG.logistic(size=M) > 0).astype(float)
KEY = jax.random.key(3)


def models_of(params):
    return np.concatenate([np.asarray(params.coef), np.asarray(params.intercept)[..., None]], axis=-1)


def models(fit):
    return models_of(fit.params)


OPTIONS = {"plain": {}, "standardized": {"standardize": True}, "conjugate gradients": {"solver": "newton_cg"}}


@pytest.mark.slow
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


CLUSTERS = np.random.default_rng(4).permutation(np.arange(M) % 9)


@pytest.mark.slow
def test_resamples_of_clusters_are_the_rows_of_cluster_bootstrap_whatever_the_chunk():
    counts = jaxlr.cluster_bootstrap(KEY, CLUSTERS, 12)
    got = fit_bootstrap(KEY, X, Y, 12, clusters=[f"clinic {c}" for c in CLUSTERS], l2=0.1, batch_size=5)
    expected = jaxlr.fit(X, Y, sample_weight=counts, l2=0.1)
    assert bool(got.converged.all())
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=2e-9)


@pytest.mark.slow
def test_errors_of_the_cluster_bootstrap_are_those_of_the_cluster_covariance():
    rng, G, k = np.random.default_rng(11), 200, 2000
    clusters = np.repeat(np.arange(G), 8)
    shared, own = rng.standard_normal((G, 2))[clusters], rng.standard_normal((8 * G, 2))
    columns, effect = 0.9 * shared + 0.4 * own, 1.5 * rng.standard_normal(G)[clusters]
    y = (columns @ [0.5, -0.5] + effect + rng.logistic(size=8 * G) > 0).astype(float)
    fit = jaxlr.fit(columns, y)
    of_clusters, of_rows = (models(fit_bootstrap(KEY, columns, y, k, clusters=c)).std(axis=0) for c in (clusters, None))
    robust, plain = (
        models_of(inference.standard_errors(fit, Problem(columns, y), **options))
        for options in ({"kind": "cluster", "clusters": clusters, "small_sample": False}, {"kind": "HC0"})
    )
    # A standard deviation of k draws is off by 1 / sqrt(2 k) = 1.6 %, 4 of which are allowed; and the covariance is that of the
    # bootstrap to first order: what is left is of the order of parameters over units.
    monte_carlo = 4 / np.sqrt(2 * k)
    np.testing.assert_allclose(of_clusters, robust, rtol=monte_carlo + 3 / G)
    np.testing.assert_allclose(of_rows, plain, rtol=monte_carlo + 3 / len(y))
    assert np.all(of_rows < 0.75 * robust)


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
    with pytest.raises(ValueError, match=rf"expected clusters \({M},\), one label a row, got shape \(3,\)"):
        fit_bootstrap(KEY, X, Y, 2, clusters=[0, 1, 2])


@pytest.mark.slow
def test_resamples_of_more_columns_than_rows_are_fitted_in_the_span_of_the_rows():
    rng = np.random.default_rng(10)
    wide, labels = rng.standard_normal((20, 400)), np.arange(20) % 2
    program = jax.jit(lambda key: fit_bootstrap(key, wide, labels, 100, l2=0.1)).lower(KEY).compile()
    assert program.memory_analysis().temp_size_in_bytes < 100 * 400**2 * 8 / 4  # no Hessian of all columns for each
    got = fit_bootstrap(KEY, wide, labels, 20, l2=0.1)
    expected = jaxlr.fit(wide, labels, sample_weight=jaxlr.bootstrap(KEY, 20, 20), l2=0.1)
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=2e-9)
