"""Probabilities and scores of rows in blocks are those of all rows together."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from jaxlr import (
    Params,
    SoftmaxParams,
    Status,
    cross_validate,
    fit,
    fit_stream,
    logits,
    metrics,
    predict,
    predict_proba,
    predict_stream,
    score_stream,
)
from jaxlr.datasets import breast_cancer
from jaxlr.streaming import from_arrays, from_parquet, from_tables
from jaxlr.streaming import predict as predicting
from jaxlr.streaming import score as scoring
from jaxlr.streaming.resamples import Resamples, resample_weights

pytestmark = pytest.mark.usefixtures("x64")

DATA = breast_cancer()
X, Y = ((DATA.X - DATA.X.mean(axis=0)) / DATA.X.std(axis=0))[:, :6], DATA.y
M = len(Y)
RNG = np.random.default_rng(0)
WEIGHT = RNG.integers(0, 3, M).astype(float)
OFFSET = RNG.normal(size=M)
THREE = np.digitize(X[:, 0] + RNG.logistic(size=M), [-0.5, 0.5])
PARAMS = Params(RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3)))
CLASSES = SoftmaxParams(RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3)))
KEY = jax.random.key(3)
ROUNDING = 1e-12  # of sums over 569 rows, which float64 knows to 1e-14


def cut(*edges, **fields):
    """Blocks between these rows."""
    whole = {"X": X} | fields
    return lambda: (
        {name: value[a:b] if name == "X" else value[..., a:b] for name, value in whole.items()}
        for a, b in zip([0, *edges], [*edges, M], strict=True)
    )


def test_probabilities_come_by_block_in_their_order(monkeypatch):
    monkeypatch.setattr(predicting, "_BYTES", 2**17)  # pieces of 128 rows
    blocks = cut(10, 10, 300, 301)
    found = list(predict_stream(PARAMS, blocks))
    assert [proba.shape for proba in found] == [(2, 3, 10), (2, 3, 0), (2, 3, 290), (2, 3, 1), (2, 3, 268)]
    wanted = predict_proba(PARAMS, X)
    np.testing.assert_allclose(np.concatenate(found, axis=-1), wanted, rtol=ROUNDING)
    again = predict_stream(PARAMS, lambda: (block["X"] for block in blocks()))
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


def test_probabilities_of_classes_with_offsets():
    offset = RNG.normal(size=(M, 3))
    blocks = lambda: ({"X": X[a : a + 100], "offset": offset[a : a + 100]} for a in range(0, M, 100))  # noqa: E731
    found = np.concatenate(list(predict_stream(CLASSES, blocks)), axis=-2)
    np.testing.assert_allclose(found, predict_proba(CLASSES, X, offset), rtol=ROUNDING)
    binary = np.concatenate(list(predict_stream(PARAMS, cut(100, offset=OFFSET))), axis=-1)
    np.testing.assert_allclose(binary, predict_proba(PARAMS, X, OFFSET), rtol=ROUNDING)


@pytest.mark.slow
def test_columns_of_tables_go_by_name_and_labels_are_not_needed(tmp_path):
    pd, pl, parquet = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow.parquet"))
    names = [f"x{j}" for j in range(6)]
    table = pd.DataFrame(X, columns=names)
    found = fit(table, Y, l2=0.1)
    other = table[names[::-1]].assign(note="a")
    wanted = predict_proba(found, X)
    other.to_parquet(tmp_path / "rows.parquet")
    del parquet
    for blocks in (
        lambda: (other[a : a + 250] for a in range(0, M, 250)),
        from_tables(lambda: [pl.from_pandas(other)]),
        from_parquet(tmp_path / "rows.parquet", rows=200),
        from_arrays(scipy.sparse.csr_array(X), rows=100),
    ):
        np.testing.assert_allclose(np.concatenate(list(predict_stream(found, blocks))), wanted, rtol=ROUNDING)
    scored = score_stream(found, from_tables(lambda: [other.assign(ill=Y).drop(columns="note")], "ill"))
    np.testing.assert_allclose(scored["log_loss"], metrics.log_loss(Y, logits(found, X)), rtol=ROUNDING)
    with pytest.raises(ValueError, match=r"got none named 'x0'; it has .*, in block 1"):
        list(predict_stream(found, lambda: [table, table[names[1:]]]))


def test_predictions_are_lazy_and_compiled_once():
    read = []

    def blocks():
        for a in range(0, 500, 50):
            read.append(a)
            yield X[a : a + 50 - a % 3]

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
    found = predict_stream(PARAMS, blocks)
    assert read == []
    next(found)
    assert len(read) <= 3  # one more is ready, one is read
    before = sum(event == "/jax/core/compile/backend_compile_duration" for event in compiled)
    assert len(list(found)) == 9
    assert sum(event == "/jax/core/compile/backend_compile_duration" for event in compiled) == before
    jax.monitoring.clear_event_listeners()


@pytest.mark.parametrize(
    ("call", "kind", "match"),
    [
        (lambda: list(predict_stream(PARAMS, lambda: [X, X[:, :5]])), ValueError, r"one n, .* block 1 \(rows from 569"),
        (lambda: list(predict_stream(PARAMS, lambda: [X[0]])), ValueError, r"X \(rows, columns\), got shape \(6,\) in block 0"),
        (lambda: list(predict_stream(PARAMS, lambda: [{"y": Y}])), TypeError, "expected X, got none in block 0"),
        (lambda: list(predict_stream(PARAMS, cut(5, offset=OFFSET[:-1]))), ValueError, "offset with 564 rows"),
        (lambda: predict_stream(SimpleNamespace(params=3), cut()), TypeError, "jaxlr.Params or jaxlr.SoftmaxParams, got int"),
        (lambda: score_stream(PARAMS, cut(y=Y), metrics=("roc_auc",)), ValueError, "metrics among .*, got 'roc_auc'"),
        (lambda: score_stream(PARAMS, cut(y=Y), metrics="brier"), TypeError, "a tuple of names"),
        (lambda: score_stream(PARAMS, cut(y=Y), folds=3, key=KEY), ValueError, r"an axis of 3 folds in front, got .* \(2, 3\)"),
        (lambda: score_stream(PARAMS, cut(y=Y), folds=2), TypeError, "key"),
        (lambda: score_stream(PARAMS, cut(y=np.stack([Y] * 4))), ValueError, r"got the models \(2, 3\), y \(4,\)"),
        (lambda: score_stream(PARAMS, cut()), TypeError, "got no y in block 0"),
        (lambda: score_stream(PARAMS, lambda: [(X[:, :4], Y)]), ValueError, "X with 6 columns as the models have, got 4"),
        (lambda: score_stream(PARAMS, cut(5, y=Y + 0.5)), ValueError, "labels 0/1 .*, got 1.5 in row 14 of block 1"),
    ],
)
def test_what_cannot_be_predicted_or_scored_is_refused(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("size", [2**16, 2**27], ids=["many blocks", "one block"])
def test_scores_are_those_of_all_rows(monkeypatch, size):
    monkeypatch.setattr(scoring, "_BYTES", size)
    names = ("log_loss", "brier", "accuracy", "calibration")
    found = score_stream(PARAMS, cut(1, 100, 400, y=Y, sample_weight=WEIGHT, offset=OFFSET), metrics=names)
    z, proba = logits(PARAMS, X, OFFSET), predict_proba(PARAMS, X, OFFSET)
    wanted = {
        "log_loss": metrics.log_loss(Y, z, sample_weight=WEIGHT),
        "brier": metrics.brier(Y, proba, sample_weight=WEIGHT),
        "accuracy": metrics.accuracy(Y, predict(PARAMS, X, offset=OFFSET), sample_weight=WEIGHT),
        "calibration": metrics.calibration(Y, proba, sample_weight=WEIGHT),
    }
    for name in names:
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=ROUNDING), found[name], wanted[name])
    assert found["log_loss"].shape == (2, 3)
    assert isinstance(found["calibration"], metrics.Calibration)


@pytest.mark.slow
def test_scores_of_batches_broadcast():
    targets = np.stack([Y, 1 - Y, THREE == 1])
    weights = np.stack([WEIGHT, np.ones(M)])[:, None]
    found = score_stream(PARAMS, cut(200, y=targets, sample_weight=weights))["log_loss"]
    wanted = metrics.log_loss(targets, logits(PARAMS, X), sample_weight=weights)
    np.testing.assert_allclose(found, wanted, rtol=ROUNDING)
    one = score_stream(Params(PARAMS.coef[0, 0], PARAMS.intercept[0, 0]), cut(200, y=targets))["log_loss"]
    np.testing.assert_allclose(one, metrics.log_loss(targets, logits(PARAMS, X)[0, 0]), rtol=ROUNDING)


def test_scores_of_classes():
    found = score_stream(CLASSES, cut(200, y=THREE, sample_weight=WEIGHT), metrics=("log_loss", "brier", "accuracy"))
    proba, hot = np.asarray(predict_proba(CLASSES, X)), np.eye(3)[THREE]
    mean = lambda rows: np.average(rows, axis=-1, weights=WEIGHT)  # noqa: E731
    np.testing.assert_allclose(found["log_loss"], [mean(-np.log(its[np.arange(M), THREE])) for its in proba], rtol=ROUNDING)
    np.testing.assert_allclose(found["brier"], mean(np.sum((proba - hot) ** 2, axis=-1)), rtol=ROUNDING)
    np.testing.assert_allclose(found["accuracy"], mean(proba.argmax(axis=-1) == THREE), rtol=ROUNDING)


def test_soft_labels_score_as_the_hard_ones_that_they_stand_for():
    """A row of each class, with its share of the weight."""
    names, share = ("log_loss", "brier", "accuracy"), np.random.default_rng(5).uniform(size=len(Y))
    one = Params(PARAMS.coef[0, 0], PARAMS.intercept[0, 0])
    found = score_stream(one, from_arrays(X, share, sample_weight=WEIGHT, rows=90), metrics=(*names, "calibration"))
    twice = from_arrays(np.r_[X, X], np.r_[Y * 0, Y * 0 + 1], sample_weight=np.r_[WEIGHT * (1 - share), WEIGHT * share])
    wanted = score_stream(one, twice, metrics=(*names, "calibration"))
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=ROUNDING)
    np.testing.assert_allclose(found["calibration"].observed, wanted["calibration"].observed, rtol=ROUNDING)
    soft = np.random.default_rng(6).dirichlet(np.ones(3), size=len(Y))
    found = score_stream(CLASSES, from_arrays(X, soft, sample_weight=WEIGHT, rows=90), metrics=names)
    thrice = from_arrays(np.repeat(X, 3, axis=0), np.tile([0, 1, 2], len(Y)), sample_weight=(soft * WEIGHT[:, None]).ravel())
    wanted = score_stream(CLASSES, thrice, metrics=names)
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 3])
def test_held_out_scores_of_one_pass_are_those_of_cross_validation(classes):
    y, l2 = Y if classes is None else THREE, np.array([0.1, 0.01])
    names = ("log_loss", "brier", "accuracy")
    blocks = cut(100, 101, 350, y=y, sample_weight=WEIGHT + 1)
    fits = fit_stream(blocks, num_classes=classes, l2=l2, folds=4, key=KEY)
    found = score_stream(fits, blocks, metrics=names, folds=4, key=KEY)
    folds = np.asarray(resample_weights(KEY, np.arange(M, dtype=np.uint64), Resamples(folds=4)))
    wanted = cross_validate(X, y, num_classes=classes, l2=l2, folds=folds, sample_weight=WEIGHT + 1, metrics=names, refit=False)
    for name in names:
        np.testing.assert_allclose(found[name], wanted.scores[name], rtol=1e-9)  # tol of the fits, 1e-10


@pytest.mark.slow
def test_models_of_many_targets_behind_the_folds():
    targets = np.stack([Y, 1 - Y])
    fits = fit_stream(cut(300, y=targets), l2=0.1, folds=3, key=KEY)
    found = score_stream(fits, cut(7, y=targets), folds=3, key=KEY)["log_loss"]
    held_out = 1 - np.asarray(resample_weights(KEY, np.arange(M, dtype=np.uint64), Resamples(folds=3)))
    wanted = metrics.log_loss(targets[None], logits(fits, X), sample_weight=held_out[:, None])
    np.testing.assert_allclose(found, wanted, rtol=ROUNDING)
    shared = score_stream(Params(fits.params.coef[:, 0], fits.params.intercept[:, 0]), cut(y=targets), folds=3, key=KEY)
    wanted = metrics.log_loss(targets[None], logits(fits, X)[:, :1], sample_weight=held_out[:, None])
    np.testing.assert_allclose(shared["log_loss"], wanted, rtol=ROUNDING)


@pytest.mark.slow
def test_models_that_failed_score_nothing():
    found = fit(X, np.stack([Y, X[:, 0] > 0]), max_steps=100)
    assert np.asarray(found.status).tolist() == [Status.CONVERGED, Status.SEPARATED]
    scores = score_stream(found, cut(y=Y), metrics=("accuracy", "calibration"))
    assert np.isnan(scores["accuracy"]).tolist() == [False, True]
    assert np.isnan(scores["calibration"].weight[1]).all()
    params = Params(jnp.full((2, 6), jnp.array([[0.0], [jnp.nan]])), jnp.zeros(2))
    assert np.isnan(score_stream(params, cut(y=Y), metrics=("accuracy",))["accuracy"]).tolist() == [False, True]


def test_float32_models_are_scored_in_float64():
    narrow = Params(PARAMS.coef.astype(np.float32), PARAMS.intercept.astype(np.float32))
    found = score_stream(narrow, cut(50, y=Y))["log_loss"]
    assert found.dtype == np.float32
    wide = metrics.log_loss(Y, logits(Params(*(np.asarray(part, float) for part in narrow)), X))
    assert np.array_equal(found, np.asarray(wide).astype(np.float32))
    with jax.enable_x64(False):
        assert np.array_equal(score_stream(narrow, cut(50, y=Y))["log_loss"], found)


def test_blocks_without_rows_have_predictions_of_none():
    blocks = [X[:0], X[:50], X[50:50], X[50:80]]
    found = list(predict_stream(PARAMS, lambda: blocks))
    assert [proba.shape[-1] for proba in found] == [0, 50, 0, 30]
    assert [proba.shape for proba in predict_stream(CLASSES, lambda: blocks[:2])] == [(2, 0, 3), (2, 50, 3)]


def test_one_pass_is_one_look_at_every_block():
    """An iterator that serves once is enough; the first block is not passed over."""
    once = cut(50, 200, y=Y)()
    found = score_stream(PARAMS, lambda: once)["log_loss"]
    np.testing.assert_allclose(found, score_stream(PARAMS, cut(y=Y))["log_loss"], rtol=ROUNDING)
