"""Metrics against their definitions, written out in NumPy; weights count rows."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxlr import metrics
from jaxlr.inputs.checks import warn_about_float32

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
M = 12
LABELS = hnp.arrays(np.int64, M, elements=st.integers(0, 1))
# A coarse grid of scores makes ties common.
SCORES = hnp.arrays(np.float64, M, elements=st.integers(-4, 4).map(float))
WEIGHTS = hnp.arrays(np.float64, M, elements=st.integers(0, 3).map(float))


@pytest.mark.slow
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


def test_numbers_of_16_bits_are_summed_in_the_default_float():
    """70,001 rows: more than float16 has numbers, and far more than it counts one by one."""
    rng = np.random.default_rng(0)
    y, score = rng.integers(0, 2, 70_001), rng.random(70_001).astype(np.float16)
    for metric in (metrics.log_loss, metrics.roc_auc, metrics.brier, metrics.calibration):
        for got, expected in zip(*(jax.tree.leaves(metric(y, x)) for x in (score, score.astype(float))), strict=True):
            np.testing.assert_array_equal(got, expected)
    counts = metrics.confusion(y.astype(np.float16), score > 0.5)
    assert float(counts.true_positive) == np.sum(y * (score > 0.5))
    weights = np.array([60_000, 1e-3], np.float16)
    share = float(weights[1]) / float(np.sum(weights, dtype=float))  # less than any number there
    np.testing.assert_allclose(metrics.accuracy([0, 1], [1, 1], sample_weight=weights), share, rtol=4 * EPS)


@pytest.mark.slow
@given(LABELS, SCORES)
def test_a_weight_k_equals_the_row_k_times(y, score):
    s = np.arange(M) % 3
    for metric in (metrics.roc_auc, metrics.log_loss):
        weighted = float(metric(y, score, sample_weight=s))
        repeated = float(metric(np.repeat(y, s), np.repeat(score, s)))
        assert np.isclose(weighted, repeated, rtol=4 * M * EPS, atol=4 * M * EPS, equal_nan=True)


@pytest.mark.slow
def test_auc_depends_on_order_only():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, 50), rng.normal(size=50)
    assert float(metrics.roc_auc(y, z)) == float(metrics.roc_auc(y, 1 / (1 + np.exp(-z))))


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_row_of_weight_zero_may_hold_anything_finite():
    y, z, s = np.array([0, 1, 1]), np.array([-1.0, 2.0, -1e300]), np.array([1.0, 1.0, 0.0])
    for metric in (metrics.roc_auc, metrics.log_loss):
        assert float(metric(y, z, sample_weight=s)) == pytest.approx(float(metric(y[:2], z[:2])), rel=4 * EPS)


def test_log_loss_is_finite_however_wrong_the_model_is():
    assert float(metrics.log_loss(np.array([0.0, 1.0]), np.array([1e4, -1e4]))) == 1e4


@pytest.mark.slow
def test_a_nan_score_has_no_area():
    assert np.isnan(float(metrics.roc_auc(np.array([0, 1, 1]), np.array([0.0, np.nan, 1.0]))))


@pytest.mark.slow
def test_metrics_keep_the_dtype_of_the_predictions():
    y, z = np.array([0, 1]), np.array([0.5, 1.0], np.float32)
    assert metrics.log_loss(y, z).dtype == metrics.roc_auc(y, z).dtype == np.float32


Y4, P4, C4 = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 1, 0, 1])
METRICS = {  # what each predicts
    "accuracy": C4, "confusion": C4, "log_loss": P4, "brier": P4, "calibration": P4, "roc_curve": P4, "roc_auc": P4,
    "precision_recall": P4, "average_precision": P4, "balanced_accuracy": C4, "f1": C4,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_under_jit_and_vmap_every_metric_is_itself(name):
    metric, predicted = getattr(metrics, name), np.stack([METRICS[name], METRICS[name][::-1]])
    s = np.array([[1.0, 2.0, 0.0, 3.0], [4.0, 1.0, 1.0, 0.5]])
    mapped = jax.jit(jax.vmap(lambda y, p, s: metric(y, p, sample_weight=s), in_axes=(None, 0, 0)))(Y4, predicted, s)
    for i in range(2):
        single = metric(Y4, predicted[i], sample_weight=s[i])
        for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(single), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=8 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("unit", "dtype"), [(2.0**66, np.float32), (2.0**-120, np.float32), (2.0**1023, float), (2.0**-1000, float)]
)
def test_the_unit_of_the_weights_does_not_matter(name, unit, dtype):
    s = np.array([1.0, 0.5, 0.25, 1.0], dtype)
    predicted = METRICS[name].astype(dtype)
    got, expected = (getattr(metrics, name)(Y4, predicted, sample_weight=w) for w in ((s * unit).astype(dtype), s))
    if name == "confusion":  # counts have the unit of the weights
        expected = [cell * unit for cell in expected]
    if name == "calibration":
        got, expected = got[:2], expected[:2]
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_calibration_is_the_weighted_means_in_each_bin():
    rng = np.random.default_rng(3)
    y, proba, s = rng.random(30), rng.random(30), rng.integers(0, 3, 30).astype(float)
    proba[:3] = 0.5, 0.0, 1.0  # bins are closed above
    curve = metrics.calibration(y, proba, sample_weight=s, num_bins=2)
    for i, inside in enumerate((proba <= 0.5, proba > 0.5)):
        assert float(curve.weight[i]) == s[inside].sum()
        for got, rows in ((curve.predicted, proba), (curve.observed, y)):
            assert float(got[i]) == pytest.approx(np.average(rows[inside], weights=s[inside]), rel=16 * EPS)


def test_a_probability_that_is_nan_makes_the_number_nan_unless_its_row_has_no_weight():
    proba = np.array([0.1, np.nan, 0.35, 0.8])
    assert np.isnan(float(metrics.brier(Y4, proba)))
    assert np.isnan(metrics.calibration(Y4, proba, num_bins=2)).all()
    s = np.array([1.0, 0.0, 1.0, 1.0])
    assert np.isfinite(float(metrics.brier(Y4, proba, sample_weight=s)))
    assert np.isfinite(metrics.calibration(Y4, proba, sample_weight=s, num_bins=2)).all()


def test_a_model_without_parameters_is_never_right():
    assert float(metrics.accuracy(Y4, np.full(4, -1))) == 0
    assert np.array_equal(metrics.confusion(Y4, np.full(4, -1)), np.zeros(4))


@pytest.mark.slow
def test_scores_that_float32_would_tie_are_announced_once():
    warn_about_float32.cache_clear()
    y, score = np.array([0, 1, 0, 1]), 0.1 + np.array([0.0, 2.0, 1.0, 3.0]) * 1e-12
    assert float(metrics.roc_auc(y, score)) == 1
    with jax.enable_x64(False):
        with pytest.warns(UserWarning, match="score is float64 but JAX computes in float32"):
            metrics.roc_auc(y, score)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            metrics.roc_auc(y, score)
            metrics.accuracy(y, np.ones(4))


EVERY = tuple(METRICS)
CLASSES, PROBABILITIES = ("accuracy", "confusion", "balanced_accuracy", "f1"), ("brier", "calibration")
REFUSED = {
    "labels -1/1": (EVERY, (2 * Y4 - 1, None, None), "labels .* pass y > 0.*; got -1"),
    "NaN labels": (EVERY, (np.where(Y4 == 1, np.nan, 0.0), None, None), "expected y to be labels"),
    "soft labels": (CLASSES, (Y4 / 2, None, None), "labels 0/1"),
    "class 2": (CLASSES, (Y4, C4 + 1, None), "classes 0/1"),
    "probabilities for classes": (CLASSES, (Y4, P4, None), "pass proba >= 0.5"),
    "classes -1/1": (CLASSES, (Y4, 2 * C4 - 1, None), "pass predicted > 0"),
    "a probability above 1": (PROBABILITIES, (Y4, P4 + 0.5, None), "probabilities in .* got 1.3 first at index"),
    "a negative probability": (PROBABILITIES, (Y4, P4 - 0.5, None), "probabilities in"),
    "a negative weight": (EVERY, (Y4, None, np.array([1.0, -1.0, 1.0, 1.0])), "sample_weight to be >= 0"),
    "a NaN weight": (EVERY, (Y4, None, np.array([1.0, np.nan, 1.0, 1.0])), "sample_weight to be >= 0"),
    "an infinite weight": (EVERY, (Y4, None, np.array([1.0, np.inf, 1.0, 1.0])), "sample_weight to be >= 0"),
    "another length": (EVERY, (Y4[:3], None, None), "same number of rows"),
    "another length of the weights": (EVERY, (Y4, None, np.ones(1)), "same number of rows"),
    "a scalar": (EVERY, (1, None, None), r"expected arrays \(..., m\)"),
    "batch axes that differ": (EVERY, (np.stack([Y4] * 2), None, np.ones((3, 4))), "batch axes that broadcast"),
    "no row": (EVERY, (Y4[:0], P4[:0], None), "at least one row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_is_refused_in_words_by_every_metric(case):
    names, (y, predicted, s), message = REFUSED[case]
    for name in names:
        with pytest.raises(ValueError, match=message):
            getattr(metrics, name)(y, METRICS[name] if predicted is None else predicted, sample_weight=s)


def test_what_is_no_real_array_is_refused_under_jit_as_well():
    for name, predicted in METRICS.items():
        with pytest.raises(TypeError, match="real array"):
            getattr(metrics, name)(np.array(["a", "b", "a", "b"]), predicted)
        with pytest.raises(ValueError, match="same number of rows"):
            jax.jit(getattr(metrics, name))(Y4[:3], predicted)
    with pytest.raises(ValueError, match="num_bins to be an integer >= 1"):
        metrics.calibration(Y4, P4, num_bins=0)


def test_values_that_are_traced_are_not_looked_at():
    assert float(jax.jit(metrics.brier)(jnp.array([0.0, 1.0]), jnp.array([0.0, 3.0]))) == 2
