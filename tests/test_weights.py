"""Folds and bootstraps are weights: every row is held out once, classes are spread evenly, draws follow the key alone,
and clusters are drawn whole."""

import inspect

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr

KEY = jax.random.key(7)
SIZES = st.sampled_from([(7, 2), (7, 7), (23, 5)])  # each is a program


@pytest.mark.slow
@given(SIZES, st.integers(0, 2**31 - 1))
def test_every_row_is_held_out_by_exactly_one_fold(size, seed):
    m, k = size
    folds = np.asarray(jaxlr.kfold(jax.random.key(seed), m, k))
    assert folds.shape == (k, m)
    assert np.array_equal((folds == 0).sum(0), np.ones(m))
    assert set(np.unique(folds)) <= {0.0, 1.0}


@given(SIZES, st.integers(0, 2**31 - 1))
def test_fold_sizes_differ_by_at_most_one(size, seed):
    m, k = size
    held_out = (np.asarray(jaxlr.kfold(jax.random.key(seed), m, k)) == 0).sum(1)
    assert np.ptp(held_out) <= 1


@given(SIZES, st.integers(0, 2**31 - 1))
def test_stratified_folds_spread_each_class_and_the_total_evenly(size, seed):
    m, k = size
    y = np.random.default_rng(seed).integers(0, 2, m)
    held_out = np.asarray(jaxlr.stratified_kfold(jax.random.key(seed), y, k)) == 0
    assert np.array_equal(held_out.sum(0), np.ones(m))
    for rows in (np.ones(m, bool), y == 0, y == 1):
        assert np.ptp(held_out[:, rows].sum(1)) <= 1


def test_folds_depend_on_the_key():
    one, other = (np.asarray(jaxlr.kfold(key, 100, 5)) for key in jax.random.split(KEY))
    assert not np.array_equal(one, other)
    assert np.array_equal(one, np.asarray(jaxlr.kfold(jax.random.split(KEY)[0], 100, 5)))


def test_bootstrap_rows_are_counts_that_sum_to_m():
    counts = np.asarray(jaxlr.bootstrap(KEY, 40, 300))
    assert np.array_equal(counts.sum(1), np.full(300, 40.0))
    assert np.array_equal(counts, np.round(counts))
    assert counts.min() == 0
    assert len(np.unique(counts, axis=0)) == 300  # draws of their own: none of 10^23 possible ones comes twice
    # A count is Binomial(40, 1/40): variance 39/40; the mean of 12,000 squares is within 5 standard errors (0.02) of it.
    assert abs(((counts - 1) ** 2).mean() - 39 / 40) < 0.1


def test_a_bootstrap_row_does_not_depend_on_how_many_rows_there_are():
    assert np.array_equal(np.asarray(jaxlr.bootstrap(KEY, 30, 4)), np.asarray(jaxlr.bootstrap(KEY, 30, 9))[:4])


CLINICS = np.array(["north", "south", "east", "west"])[np.random.default_rng(2).integers(0, 4, 30)]


def test_the_rows_of_a_cluster_share_their_count_and_counts_sum_to_the_number_of_clusters():
    counts = np.asarray(jaxlr.cluster_bootstrap(KEY, CLINICS, 300))
    first = np.stack([counts[:, name == CLINICS][:, 0] for name in np.unique(CLINICS)])
    for name, count in zip(np.unique(CLINICS), first, strict=True):
        assert np.array_equal(counts[:, name == CLINICS], np.repeat(count[:, None], np.sum(name == CLINICS), axis=1))
    assert np.array_equal(first.sum(0), np.full(300, 4.0))
    # A count is Binomial(4, 1/4): variance 3/4; the mean of 1,200 squares is within 5 standard errors (0.03) of it.
    assert abs(((first - 1) ** 2).mean() - 3 / 4) < 0.15


@pytest.mark.slow
def test_clusters_of_one_row_are_the_bootstrap_and_names_and_the_number_of_resamples_make_no_difference():
    assert np.array_equal(jaxlr.cluster_bootstrap(KEY, [f"row {i}" for i in range(20)], 5), jaxlr.bootstrap(KEY, 20, 5))
    counts = np.asarray(jaxlr.cluster_bootstrap(KEY, CLINICS, 9))
    renamed = {"north": 3, "south": "b", "east": (0, 1), "west": 2.5}
    labels = np.empty(len(CLINICS), object)
    labels[:] = [renamed[name] for name in CLINICS]
    assert np.array_equal(jaxlr.cluster_bootstrap(KEY, labels, 4), counts[:4])
    assert np.array_equal(jaxlr.cluster_bootstrap(KEY, pd.Series(CLINICS, dtype="category"), 4), counts[:4])


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        (["a"] * 5, "at least two clusters, got 1"),
        ([], "at least two clusters, got 0"),
        (np.array([[1, 2], [3, 4]]), r"one label a row, got shape \(2, 2\)"),
        ([[1, 2], [3, 4]], "labels that have a hash"),
        ([1.0, np.nan], "got missing ones"),
        (["a", None], "got missing ones"),
        (pd.Series(["a", None, "b"], dtype="string"), "got missing ones"),
    ],
)
def test_impossible_clusters_are_refused(clusters, message):
    with pytest.raises(ValueError, match=message):
        jaxlr.cluster_bootstrap(KEY, clusters, 2)


def test_clusters_inside_jit_are_refused_for_their_number_is_a_shape():
    with pytest.raises(TypeError, match="known outside jit"):
        jax.jit(lambda clusters: jaxlr.cluster_bootstrap(KEY, clusters, 2))(np.arange(4))


def test_resampling_runs_under_jit():
    jitted = jax.jit(lambda key: jaxlr.kfold(key, 12, 3))
    assert np.array_equal(np.asarray(jitted(KEY)), np.asarray(jaxlr.kfold(KEY, 12, 3)))


@pytest.mark.parametrize("num_folds", [0, 1, 11, True])
def test_an_impossible_number_of_folds_is_refused(num_folds):
    with pytest.raises(ValueError, match="expected num_folds"):
        jaxlr.kfold(KEY, 10, num_folds)


@pytest.mark.parametrize(
    "draw",
    [
        lambda key: inspect.unwrap(jaxlr.kfold)(key, 10, 2),
        lambda key: inspect.unwrap(jaxlr.stratified_kfold)(key, np.arange(10) % 2, 2),
        lambda key: inspect.unwrap(jaxlr.bootstrap)(key, 10, 2),
        lambda key: inspect.unwrap(jaxlr.cluster_bootstrap)(key, list("aabbc"), 2),
        lambda key: inspect.unwrap(jaxlr.fit_bootstrap)(key, np.arange(10.0)[:, None], np.arange(10) % 2, 2),
        lambda key: inspect.unwrap(jaxlr.cross_validate)(
            np.arange(10.0)[:, None], np.arange(10) % 2, l2=[0.1], folds=2, key=key
        ),
    ],
)
def test_what_is_no_key_is_refused(draw):
    with pytest.raises(TypeError, match=r"expected a key of jax.random, such as jax.random.key\(0\), got 0"):
        draw(0)
    with pytest.raises(ValueError, match="expected one key, got keys of shape"):
        draw(jax.random.split(KEY))


def test_impossible_bootstraps_and_labels_are_refused():
    with pytest.raises(ValueError, match="expected num_samples"):
        jaxlr.bootstrap(KEY, 10, 0)
    with pytest.raises(ValueError, match="expected num_samples to be an integer >= 1, got True"):
        jaxlr.bootstrap(KEY, 10, True)
    with pytest.raises(ValueError, match="expected m"):
        jaxlr.bootstrap(KEY, 0, 10)
    with pytest.raises(ValueError, match="expected y"):
        jaxlr.stratified_kfold(KEY, np.zeros((2, 3)), 2)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, np.float32, np.float64])
def test_balanced_weights_have_the_digits_of_the_default_float_whatever_the_labels_have(dtype):
    """Shares were rounded to the dtype of the labels: to three digits in float16."""
    y = (np.arange(3001) % 3 == 0).astype(dtype)
    weights = jaxlr.class_weight(y, "balanced")
    assert weights.dtype == np.float64
    exact = np.where(y == 1, 3001 / (2 * 1001), 3001 / (2 * 2000))
    np.testing.assert_allclose(weights, exact, rtol=4 * np.finfo(np.float64).eps)


@pytest.mark.parametrize("y", [np.float64(1.0), np.zeros(0), np.zeros((0, 3))])
@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 2.0}])
def test_labels_without_rows_have_no_weights(y, weights):
    with pytest.raises(ValueError, match=r"expected labels \(\.\.\., m\), got shape"):
        jaxlr.class_weight(y, weights)


def test_folds_that_would_not_fit_are_refused_before_anything_is_allocated():
    for folds in (lambda: jaxlr.kfold(KEY, 10**7, 10**7), lambda: jaxlr.stratified_kfold(KEY, np.arange(10**7) % 2, 10**7)):
        with pytest.raises(MemoryError, match="expected folds of m rows that fit in"):
            folds()
