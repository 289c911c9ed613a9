"""Metrics against their definitions, written out in NumPy; weights count rows."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxlr import metrics

EPS = np.finfo(np.float64).eps
M = 12
LABELS = hnp.arrays(np.int64, M, elements=st.integers(0, 1))
# A coarse grid of scores makes ties common.
SCORES = hnp.arrays(np.float64, M, elements=st.integers(-4, 4).map(float))
WEIGHTS = hnp.arrays(np.float64, M, elements=st.integers(0, 3).map(float))


@given(LABELS, SCORES, WEIGHTS)
def test_auc_is_the_weighted_share_of_pairs_in_the_right_order_with_ties_counted_half(y, score, s):
    order = (score[:, None] > score[None, :]) + (score[:, None] == score[None, :]) / 2
    pairs = (s * y)[:, None] * (s * (1 - y))[None, :]
    got = float(metrics.roc_auc(y, score, sample_weight=s))
    if pairs.sum() == 0:
        assert np.isnan(got)
    else:
        assert abs(got - (pairs * order).sum() / pairs.sum()) <= 4 * M * EPS


@given(LABELS, SCORES, WEIGHTS)
def test_log_loss_and_accuracy_are_weighted_means(y, score, s):
    loss = np.logaddexp(0, score) - y * score
    right = y == (score > 0)
    for got, rows in (
        (metrics.log_loss(y, score, sample_weight=s), loss),
        (metrics.accuracy(y, (score > 0).astype(np.int32), sample_weight=s), right),
    ):
        if s.sum() == 0:
            assert np.isnan(float(got))
        else:
            assert abs(float(got) - (s * rows).sum() / s.sum()) <= 4 * M * EPS * max(1, loss.max())


@given(LABELS, SCORES)
def test_a_weight_k_equals_the_row_k_times(y, score):
    s = np.arange(M) % 3
    for metric in (metrics.roc_auc, metrics.log_loss):
        weighted = float(metric(y, score, sample_weight=s))
        repeated = float(metric(np.repeat(y, s), np.repeat(score, s)))
        assert np.isclose(weighted, repeated, rtol=4 * M * EPS, atol=4 * M * EPS, equal_nan=True)


def test_auc_depends_on_order_only():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, 50), rng.normal(size=50)
    assert float(metrics.roc_auc(y, z)) == float(metrics.roc_auc(y, 1 / (1 + np.exp(-z))))


def test_metrics_broadcast_over_batch_axes():
    rng = np.random.default_rng(1)
    y, z, s = rng.integers(0, 2, 20), rng.normal(size=(3, 4, 20)), rng.random((3, 1, 20))
    for metric in (metrics.roc_auc, metrics.log_loss):
        got = np.asarray(metric(y, z, sample_weight=s))
        assert got.shape == (3, 4)
        single = [[float(metric(y, z[i, j], sample_weight=s[i, 0])) for j in range(4)] for i in range(3)]
        assert np.allclose(got, single, rtol=80 * EPS, atol=0)
        mapped = jax.vmap(jax.vmap(metric, (None, 0)), (None, 0))(y, z)
        assert np.allclose(np.asarray(mapped), np.asarray(metric(y, z)), rtol=80 * EPS, atol=0)


def test_a_row_of_weight_zero_may_hold_anything_finite():
    y, z, s = np.array([0, 1, 1]), np.array([-1.0, 2.0, -1e300]), np.array([1.0, 1.0, 0.0])
    for metric in (metrics.roc_auc, metrics.log_loss):
        assert float(metric(y, z, sample_weight=s)) == pytest.approx(float(metric(y[:2], z[:2])), rel=4 * EPS)


def test_log_loss_is_finite_however_wrong_the_model_is():
    assert float(metrics.log_loss(np.array([0.0, 1.0]), np.array([1e4, -1e4]))) == 1e4


def test_a_nan_score_has_no_area():
    assert np.isnan(float(metrics.roc_auc(np.array([0, 1, 1]), np.array([0.0, np.nan, 1.0]))))


def test_metrics_keep_the_dtype_of_the_predictions():
    y, z = np.array([0, 1]), np.array([0.5, 1.0], np.float32)
    assert metrics.log_loss(y, z).dtype == metrics.roc_auc(y, z).dtype == np.float32


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same last axis"):
        metrics.accuracy(np.zeros(3, int), np.zeros(4, int))
