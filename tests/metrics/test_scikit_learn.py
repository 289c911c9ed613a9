"""Every metric equals scikit-learn's to rounding, over random weighted rows with ties."""

import warnings

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from jaxlr import metrics

pytestmark = pytest.mark.usefixtures("x64")

M = 14
EPS = float(np.finfo(np.float64).eps)
LABELS = hnp.arrays(np.int64, M, elements=st.integers(0, 1)).filter(lambda y: 0 < y[2:].sum() < M - 2)
SCORES = hnp.arrays(np.float64, M, elements=st.integers(0, 8).map(lambda k: k / 8))  # a coarse grid: ties are common
WEIGHTS = hnp.arrays(np.float64, M, elements=st.integers(0, 3).map(float)).map(lambda s: np.append(s[:2], s[2:] + 1))


@pytest.mark.slow
@given(LABELS, SCORES, WEIGHTS)
def test_single_numbers(y, score, s):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z = np.log(np.clip(score, 0.01, 0.99) / (1 - np.clip(score, 0.01, 0.99)))
        pairs = {
            "roc_auc": (metrics.roc_auc(y, score, sample_weight=s), reference.roc_auc_score(y, score, sample_weight=s)),
            "average_precision": (
                metrics.average_precision(y, score, sample_weight=s),
                reference.average_precision_score(y, score, sample_weight=s),
            ),
            "brier": (metrics.brier(y, score, sample_weight=s), reference.brier_score_loss(y, score, sample_weight=s)),
            "log_loss": (
                metrics.log_loss(y, z, sample_weight=s),
                reference.log_loss(y, np.clip(score, 0.01, 0.99), sample_weight=s),
            ),
            "accuracy": (
                metrics.accuracy(y, score >= 0.5, sample_weight=s),
                reference.accuracy_score(y, score >= 0.5, sample_weight=s),
            ),
        }
    for name, (got, expected) in pairs.items():
        assert abs(float(got) - expected) <= 4 * M * EPS * max(1, expected), name


@given(LABELS, SCORES, WEIGHTS)
def test_confusion(y, score, s):
    expected = reference.confusion_matrix(y, score >= 0.5, labels=[0, 1], sample_weight=s).ravel()
    np.testing.assert_array_equal(np.array(metrics.confusion(y, score >= 0.5, sample_weight=s)), expected)


@given(LABELS, SCORES, WEIGHTS)
def test_curves_have_the_same_points(y, score, s):
    false, true, _ = reference.roc_curve(y, score, sample_weight=s, drop_intermediate=False)
    precision, recall, _ = reference.precision_recall_curve(y, score, sample_weight=s)
    roc = metrics.roc_curve(y, score, sample_weight=s)
    caught = metrics.precision_recall(y, score, sample_weight=s)
    for got, expected in ((roc[:2], (false, true)), (caught[:2], (precision, recall))):
        points = [np.unique(np.round(np.stack(pair, axis=1), 12), axis=0) for pair in (got, expected)]
        np.testing.assert_allclose(points[0], points[1], rtol=0, atol=1e-12)
    assert len(roc.threshold) == len(caught.threshold) == M + 1
    assert np.all(np.diff(roc.threshold) <= 0)


@given(LABELS, SCORES)
def test_calibration(y, score):
    observed, predicted = calibration_curve(y, score, n_bins=5)
    curve = metrics.calibration(y, score, num_bins=5)
    filled = np.asarray(curve.weight) > 0
    np.testing.assert_allclose(np.asarray(curve.observed)[filled], observed, rtol=0, atol=M * EPS)
    np.testing.assert_allclose(np.asarray(curve.predicted)[filled], predicted, rtol=0, atol=M * EPS)
    assert np.isnan(np.asarray(curve.observed)[~filled]).all()


@pytest.mark.slow
def test_all_of_them_jit_and_map_over_batch_axes():
    rng = np.random.default_rng(0)
    y, score, s = rng.integers(0, 2, (3, 20)), rng.random((3, 20)), rng.random((3, 20))
    for metric in (metrics.brier, metrics.average_precision, metrics.roc_curve, metrics.precision_recall, metrics.calibration):
        broadcast = metric(y, score, sample_weight=s)
        mapped = jax.jit(jax.vmap(lambda y, score, s, metric=metric: metric(y, score, sample_weight=s)))(y, score, s)
        for a, b in zip(jax.tree.leaves(broadcast), jax.tree.leaves(mapped), strict=True):
            np.testing.assert_allclose(a, b, rtol=40 * EPS, atol=40 * EPS)
