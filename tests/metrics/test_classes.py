"""Metrics of several classes equal scikit-learn's to rounding, over random weighted rows with ties."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax, softmax
from sklearn import metrics as reference
from sklearn.preprocessing import label_binarize

from jaxlr import metrics
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

M, K = 15, 3
EPS = float(np.finfo(np.float64).eps)
LABELS = hnp.arrays(np.int64, M - K, elements=st.integers(0, K - 1)).map(lambda y: np.append(np.arange(K), y))
CLASSES = hnp.arrays(np.int64, M, elements=st.integers(0, K - 1))
LOGITS = hnp.arrays(np.float64, (M, K), elements=st.integers(-4, 4).map(lambda k: k / 2))  # a coarse grid: ties are common
WEIGHTS = hnp.arrays(np.float64, M, elements=st.integers(0, 3).map(float)).map(lambda s: np.append(s[:K] + 1, s[K:]))
OF_CLASSES = ("accuracy", "balanced_accuracy", "f1")
OF_SCORES = ("log_loss", "brier", "roc_auc", "average_precision", "roc_auc_pairs")


@functools.cache
def traced(name):
    """A metric as one program."""
    return jax.jit(functools.partial(getattr(metrics, name), num_classes=K))


def close(got, expected, scale=1.0):
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=8 * M * EPS * scale)


@given(LABELS, CLASSES, WEIGHTS)
def test_predicted_classes(y, predicted, s):
    close(traced("accuracy")(y, predicted, sample_weight=s), reference.accuracy_score(y, predicted, sample_weight=s))
    expected = reference.recall_score(y, predicted, sample_weight=s, average="macro", labels=range(K))
    close(traced("balanced_accuracy")(y, predicted, sample_weight=s), expected)
    expected = reference.f1_score(y, predicted, sample_weight=s, average=None, labels=range(K))
    close(traced("f1")(y, predicted, sample_weight=s), expected)


def test_the_brier_score_of_a_sure_model_keeps_its_digits():
    p = np.array([[1 - 3e-9, 2e-9, 1e-9]])
    expected = (1 - p[0, 0]) ** 2 + p[0, 1] ** 2 + p[0, 2] ** 2  # a sum of squares: nothing cancels
    np.testing.assert_allclose(metrics.brier(np.array([0]), p, num_classes=3), expected, rtol=8 * EPS)


@given(LABELS, LOGITS, WEIGHTS)
def test_losses(y, z, s):
    close(traced("log_loss")(y, z, sample_weight=s), -np.average(log_softmax(z, axis=1)[np.arange(M), y], weights=s), scale=8)
    expected = reference.brier_score_loss(y, softmax(z, axis=1), sample_weight=s, labels=range(K))
    close(traced("brier")(y, softmax(z, axis=1), sample_weight=s), expected)


@given(LABELS, LOGITS, WEIGHTS)
def test_each_class_is_ranked_against_the_rest(y, z, s):
    hot = label_binarize(y, classes=range(K))
    expected = reference.roc_auc_score(hot, z, sample_weight=s, average=None)
    close(traced("roc_auc")(y, z, sample_weight=s), expected)
    expected = reference.average_precision_score(hot, z, sample_weight=s, average=None)
    close(traced("average_precision")(y, z, sample_weight=s), expected)


@given(LABELS, LOGITS, WEIGHTS)
def test_pairs_of_classes_are_ranked_by_themselves(y, z, s):
    areas = np.asarray(traced("roc_auc_pairs")(y, z, sample_weight=s))
    assert np.isnan(np.diag(areas)).all()
    for a, b in ((0, 1), (1, 0), (2, 1)):
        rows = (y == a) | (y == b)
        close(areas[a, b], reference.roc_auc_score(y[rows] == a, z[rows, a], sample_weight=s[rows]))


@pytest.mark.slow
def test_the_mean_of_all_pairs_is_the_measure_of_hand_and_till():
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, K, 60), softmax(rng.normal(size=(60, K)), axis=1)
    areas = np.asarray(metrics.roc_auc_pairs(y, proba, num_classes=K))
    expected = reference.roc_auc_score(y, proba, multi_class="ovo")
    assert np.nanmean(areas) == pytest.approx(expected, rel=60 * EPS)


@pytest.mark.slow
def test_two_of_k_classes_are_the_binary_metrics():
    rng = np.random.default_rng(1)
    y, z = rng.integers(0, 2, 20), rng.normal(size=20)
    two, predicted = np.stack([np.zeros(20), z], axis=1), (z > 0).astype(int)
    for name, binary, several in (
        ("accuracy", predicted, predicted), ("balanced_accuracy", predicted, predicted), ("log_loss", z, two),
    ):  # fmt: skip
        metric = getattr(metrics, name)
        close(metric(y, several, num_classes=2), metric(y, binary))
    for name, binary, several in (("f1", predicted, predicted), ("roc_auc", z, two), ("average_precision", z, two)):
        metric = getattr(metrics, name)
        close(np.asarray(metric(y, several, num_classes=2))[1], metric(y, binary))
    proba = softmax(two, axis=1)
    close(metrics.brier(y, proba, num_classes=2), 2 * metrics.brier(y, proba[:, 1]))


@pytest.mark.slow
def test_a_class_without_weight_is_undefined_or_left_out():
    y, predicted, s = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), np.array([1.0, 1.0, 1.0, 0.0])
    assert float(metrics.balanced_accuracy(y, predicted, sample_weight=s, num_classes=3)) == 0.75
    for name in ("f1", "roc_auc", "average_precision"):
        judged = predicted if name == "f1" else np.eye(3)[predicted]
        of_class = np.asarray(getattr(metrics, name)(y, judged, sample_weight=s, num_classes=3))
        assert np.isnan(of_class).tolist() == [False, False, True], name
    assert np.isnan(float(metrics.f1(np.zeros(2, int), np.zeros(2, int))))
    assert np.isnan(float(metrics.balanced_accuracy(y, predicted, sample_weight=np.zeros(4), num_classes=3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", quick([*OF_CLASSES, *OF_SCORES], "f1", "brier", "roc_auc_pairs"))
def test_batch_axes_are_single_calls_also_traced(name):
    rng = np.random.default_rng(2)
    y, s = rng.integers(0, K, M), rng.random((2, 1, M))
    judged = rng.integers(0, K, (2, 3, M)) if name in OF_CLASSES else softmax(rng.normal(size=(2, 3, M, K)), axis=-1)
    metric = getattr(metrics, name)
    whole = np.asarray(metric(y, judged, sample_weight=s, num_classes=K))
    single = metric(y, judged[1, 2], sample_weight=s[1, 0], num_classes=K)
    np.testing.assert_allclose(whole[1, 2], single, rtol=8 * M * EPS)
    np.testing.assert_allclose(whole, traced(name)(y, judged, sample_weight=s), rtol=8 * M * EPS)


REFUSED = {
    "a label above": (OF_CLASSES + OF_SCORES, np.array([0, 1, 3]), None, "expected y to be classes 0..2; got 3"),
    "a soft label": (OF_SCORES, np.array([0, 0.5, 1]), None, "expected y to be classes 0..2; got 0.5"),
    "a predicted class": (OF_CLASSES, None, np.array([0, 1, 5]), "expected predicted to be classes 0..2; got 5"),
    "one score a row": (OF_SCORES, None, np.zeros(3), r"\(..., m, 3\) with num_classes=3"),
    "other rows": (OF_SCORES, None, np.full((4, 3), 0.5), "same number of rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_is_refused_in_words(case):
    names, y, judged, message = REFUSED[case]
    for name in names:
        usual = np.array([0, 1, 2]) if name in OF_CLASSES else np.eye(3)
        with pytest.raises(ValueError, match=message):
            getattr(metrics, name)(np.arange(3) if y is None else y, usual if judged is None else judged, num_classes=3)
    with pytest.raises(ValueError, match="num_classes to be an integer >= 2"):
        metrics.accuracy(np.zeros(2, int), np.zeros(2, int), num_classes=1)
