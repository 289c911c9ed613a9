"""What code written for scikit-learn does to an estimator: arrays of JAX, absent classes, offsets, metadata, callbacks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import clone
from sklearn.callback import ScoringMonitor  # 1.9
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxlr
from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = (X[:, 0] + RNG.normal(size=90) > 0).astype(int)
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]


@pytest.mark.slow
@pytest.mark.parametrize("multi_class", ["multinomial", pytest.param("ovr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("classes", [2, 3])
def test_arrays_of_jax_give_arrays_of_jax(classes, multi_class):
    rows = classes > SPECIES
    data, labels = IRIS[rows], SPECIES[rows]
    model = LogisticRegressor(C=0.1, multi_class=multi_class).fit(jnp.asarray(data), jnp.asarray(labels))
    np.testing.assert_array_equal(model.coef_, clone(model).fit(data, labels).coef_)
    for name in ("decision_function", "predict", "predict_proba", "predict_log_proba"):
        ours, wanted = getattr(model, name)(jnp.asarray(data)), getattr(model, name)(data)
        assert isinstance(ours, jax.Array)
        np.testing.assert_allclose(ours, wanted, rtol=1e-12, atol=1e-12)
    assert model.score(jnp.asarray(data), jnp.asarray(labels)) == model.score(data, labels)
    narrow = jnp.asarray(data, jnp.float32)
    assert model.predict_proba(narrow).dtype == jnp.float32
    np.testing.assert_allclose(jax.jit(model.predict_proba)(narrow), model.predict_proba(data), rtol=0, atol=1e-5)
    slope = jax.grad(lambda row: model.decision_function(row[None]).sum())(jnp.asarray(data[0]))
    np.testing.assert_allclose(slope, model.coef_.sum(axis=0), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="X has 2 features, but LogisticRegressor is expecting 4"):
        model.predict(jnp.asarray(data[:, :2]))
    by_name = clone(model).fit(data, NAMES[rows])
    assert by_name.predict(jnp.asarray(data)).tolist() == by_name.predict(data).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_a_fold_without_a_class_is_the_model_of_the_others(multi_class):
    options = {"multi_class": multi_class, "Cs": [0.1, 1.0], "scoring": "neg_log_loss"}
    model = LogisticRegressorCV(cv=KFold(3), **options).fit(IRIS, NAMES)
    for k, (train, test) in enumerate(KFold(3).split(IRIS)):
        there = np.unique(SPECIES[train])
        coef, intercept = model.coefs_paths_[k, 0, 1, :, :-1], model.coefs_paths_[k, 0, 1, :, -1]
        if multi_class == "multinomial":
            wanted = jaxlr.fit(IRIS[train], np.searchsorted(there, SPECIES[train]), num_classes=2, l2=1 / len(train)).params
        else:
            wanted = jaxlr.fit(IRIS[train], (SPECIES[train] == there[:, None]).astype(float), l2=1 / len(train)).params
        np.testing.assert_allclose(coef[there], wanted.coef, rtol=0, atol=1e-7)
        np.testing.assert_allclose(intercept[there], wanted.intercept, rtol=0, atol=1e-6)
        fold = LogisticRegressor(multi_class=multi_class).fit(IRIS, NAMES)
        fold.coef_, fold.intercept_ = coef, intercept
        proba = fold.predict_proba(IRIS[test])
        assert not proba[:, k].any()  # the rows held out are all of the class that is absent
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        assert model.scores_[k, 0, 1] == pytest.approx(-log_loss(NAMES[test], proba, labels=model.classes_))
        assert np.isfinite(fold.decision_function(IRIS)).all()
    averaged = LogisticRegressorCV(cv=KFold(3), refit=False, **options).fit(IRIS, NAMES)
    assert np.abs(averaged.intercept_).max() < 100


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_fold_of_one_class_alone(fit_intercept):
    one = np.repeat([0, 1], 20)
    model = LogisticRegressorCV(cv=KFold(2), Cs=[0.5, 1.0], fit_intercept=fit_intercept).fit(X[:40], one)
    if fit_intercept:
        assert model.scores_.tolist() == [[[0.0, 0.0]], [[0.0, 0.0]]]
        assert not model.coefs_paths_[..., :-1].any()
        assert model.C_ == 0.5
    else:  # the penalty keeps the estimate finite
        wanted = jaxlr.fit(X[20:40], np.ones(20), l2=1 / 20, fit_intercept=False).params.coef
        np.testing.assert_allclose(model.coefs_paths_[0, 0, 1, 0], wanted, rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_a_class_of_weight_0_has_probability_0(multi_class):
    weights, by_row, there = {"setosa": 1, "versicolor": 2, "virginica": 0}, np.array([1.0, 2.0, 0.0])[SPECIES], SPECIES < 2
    model = LogisticRegressor(multi_class=multi_class, class_weight=weights).fit(IRIS, NAMES)
    assert sorted(set(model.predict(IRIS))) == ["setosa", "versicolor"]
    assert not model.predict_proba(IRIS)[:, 2].any()
    assert not model.predict_proba(jnp.asarray(IRIS, jnp.float32))[:, 2].any()
    same = LogisticRegressor(multi_class=multi_class).fit(IRIS, NAMES, by_row)
    np.testing.assert_array_equal(same.predict_proba(IRIS), model.predict_proba(IRIS))
    # of one model with coefficients -c/2 and c/2 the squared penalty is half that of c; of two models each is that of c
    two = LogisticRegressor(C=2 if multi_class == "multinomial" else 1).fit(IRIS[there], NAMES[there], by_row[there])
    np.testing.assert_allclose(model.predict_proba(IRIS)[:, :2], two.predict_proba(IRIS), rtol=0, atol=1e-7)


def test_one_class_that_has_weight_has_probability_1():
    assert LogisticRegressor(class_weight={0: 0, 1: 1}).fit(X, Y).predict_proba(X)[:, 1].tolist() == [1.0] * len(X)
    alone = LogisticRegressor(lower=0.5).fit(X, Y, Y == 0)
    assert alone.predict_proba(X)[:, 0].tolist() == [1.0] * len(X)
    assert (alone.coef_ == 0.5).all()
    assert alone.converged_.all()
    with pytest.raises(ValueError, match="sample_weight times class_weight, got weights that are all 0; give"):
        LogisticRegressor(class_weight={0: 0, 1: 1}).fit(X, Y, Y == 0)


@pytest.mark.slow
def test_balanced_classes_are_those_that_have_weight():
    kept = SPECIES < 2
    model = LogisticRegressor(class_weight="balanced").fit(IRIS, NAMES, np.where(kept, 1 + SPECIES, 0))
    wanted = LogisticRegressor(class_weight="balanced", C=2).fit(IRIS[kept], NAMES[kept], 1 + SPECIES[kept])
    np.testing.assert_allclose(model.predict_proba(IRIS)[:, :2], wanted.predict_proba(IRIS), rtol=0, atol=1e-7)


@pytest.mark.slow
def test_bags_without_a_rare_class_are_fitted():
    """As scikit-learn's LogisticRegression on the rows of a bag; a bag of one class is sure of it."""
    rare = np.isin(np.arange(90), (3, 50)).astype(int)
    bag = BaggingClassifier(LogisticRegressor(), n_estimators=8, random_state=0).fit(X, rare)
    proba = np.zeros(90)
    for rows in bag.estimators_samples_:
        if rare[rows].any():
            proba += LogisticRegression(tol=1e-10, max_iter=10**4).fit(X[rows], rare[rows]).predict_proba(X)[:, 1]
    assert sum(not rare[rows].any() for rows in bag.estimators_samples_) > 0
    np.testing.assert_allclose(bag.predict_proba(X)[:, 1], proba / 8, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_pairs_that_all_have_one_label_are_fitted_without_an_intercept():
    differences = np.abs(X[:, :2]) - 0.3
    turned = np.where(np.arange(90) % 2, 1, -1)
    model = LogisticRegressor(fit_intercept=False).fit(differences, np.ones(90, int))
    wanted = LogisticRegressor(fit_intercept=False).fit(differences * turned[:, None], turned > 0)
    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(model.coef_, wanted.coef_, rtol=0, atol=1e-8)
    with pytest.raises(ValueError, match="got one class only: x"):
        LogisticRegressor(fit_intercept=False).fit(differences, np.full(90, "x"))


@pytest.mark.slow
@pytest.mark.parametrize("multi_class", ["multinomial", pytest.param("ovr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("classes", [2, 3])
def test_offset_and_penalty_factor_are_those_of_fit(classes, multi_class):
    rows = classes > SPECIES
    data, labels = IRIS[rows], SPECIES[rows]
    m = len(labels)
    offset, factor = RNG.normal(size=(m, classes)), np.array([0.5, 1, 2, 4])
    one_model = multi_class == "multinomial" and classes == 3
    offset = offset[:, 0] if classes == 2 else offset
    model = LogisticRegressor(multi_class=multi_class).fit(data, labels, offset=offset, penalty_factor=factor)
    targets = labels if one_model else (labels == np.arange(classes)[:, None]).astype(float)[int(classes == 2) :]
    kind = {"num_classes": 3} if one_model else {}
    wanted = jaxlr.fit(data, targets, offset=offset if one_model else offset.T, l2=1 / m, penalty_factor=factor, **kind).params
    np.testing.assert_allclose(model.coef_, np.reshape(wanted.coef, model.coef_.shape), rtol=0, atol=1e-7)
    moved = model.decision_function(data, offset=offset)
    np.testing.assert_allclose(moved, model.decision_function(data) + offset, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(jnp.asarray(data), offset), model.predict_proba(data, offset), rtol=1e-10)
    with pytest.raises(ValueError, match="expected offset"):
        model.fit(data, labels, offset=offset[:3])


@pytest.mark.filterwarnings("ignore:Only one class is present:sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, False])
def test_folds_that_have_no_score_leave_the_choice_to_the_others(refit):
    rare = np.isin(np.arange(90), (3, 50)).astype(int)
    options = {"Cs": [1e-4, 1.0, 1e4], "scoring": "roc_auc", "refit": refit}
    with pytest.warns(UserWarning, match="(least populated class|roc_auc is NaN)") as told:
        model = LogisticRegressorCV(cv=5, **options).fit(X, rare)
    mute = np.isnan(model.scores_[:, 0]).all(axis=1)
    words = (
        f"roc_auc is NaN on the rows held out in folds {np.flatnonzero(mute).tolist()}, whatever the penalty: the choice is by"
    )
    assert any(words in str(one.message) for one in told)
    assert mute.sum() == 3
    of_others = model.scores_[~mute, 0]
    best = of_others.mean(axis=0).argmax() if refit else of_others.argmax(axis=1)
    assert np.mean(np.array(options["Cs"])[best]) == model.C_
    assert np.isfinite(model.coef_).all()
    zeros = [(np.arange(90), np.flatnonzero(rare == 0))] * 2
    with pytest.raises(ValueError, match=r"expected a fold that has a score, got none: roc_auc is NaN .* in folds \[0, 1\]"):
        LogisticRegressorCV(cv=zeros, **options).fit(X, rare)


@pytest.mark.slow
def test_scores_know_the_offset():
    offset = 3 * RNG.normal(size=90)
    y = (X[:, 0] + offset + RNG.logistic(size=90) > 0).astype(int)
    right, losses, folds = [], [], list(KFold(2).split(X))
    for train, test in folds:
        model = LogisticRegressor().fit(X[train], y[train], offset=offset[train])
        proba = model.predict_proba(X[test], offset[test])[:, 1]
        right.append(np.mean((proba > 0.5) == y[test]))
        losses.append(-log_loss(y[test], proba))
        assert model.score(X[test], y[test], offset=offset[test]) == right[-1]
        assert model.score(X[test], y[test]) < right[-1] - 0.1  # a third of what moves the labels is in X
    given = {"cv": folds, "params": {"offset": offset}}
    of_logits = make_scorer(lambda y, z, offset: -log_loss(y, expit(z + offset)), response_method="decision_function")
    with sklearn.config_context(enable_metadata_routing=True):
        one = LogisticRegressor().set_fit_request(offset=True)
        with pytest.raises(ValueError, match=r"\[offset\] are passed but are not explicitly set .* LogisticRegressor.score"):
            cross_val_score(one, X, y, **given)
        one.set_score_request(offset=True)
        assert cross_val_score(one, X, y, **given).tolist() == right
        found = cross_val_score(one, X, y, scoring=of_logits.set_score_request(offset=True), **given)
        np.testing.assert_allclose(found, losses, rtol=1e-12)
    chosen = LogisticRegressorCV(Cs=[1.0], cv=2, scoring="neg_log_loss").fit(X, y, offset=offset)
    wanted = -log_loss(y, chosen.predict_proba(X, offset))
    assert chosen.score(X, y, offset=offset) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ValueError, match="X has 2 features, but LogisticRegressorCV"):
        chosen.score(X[:, :2], y, offset=offset)


@pytest.mark.slow
def test_scores_of_cross_validation_know_the_offset():
    offset = 2 * RNG.normal(size=90)
    folds = list(KFold(3).split(X))
    options = {"cv": folds, "Cs": [0.1, 1.0]}
    for scoring in ("neg_log_loss", None):
        model = LogisticRegressorCV(scoring=scoring, **options).fit(X, Y, offset=offset)
        train, test = folds[1]
        one = LogisticRegressor(C=0.1).fit(X[train], Y[train], offset=offset[train])
        proba = one.predict_proba(X[test], offset[test])[:, 1]
        wanted = -log_loss(Y[test], proba) if scoring else np.mean((proba > 0.5) == Y[test])
        assert model.scores_[1, 0, 0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.slow
def test_metadata_go_where_they_are_requested():
    weights, offset, groups = RNG.uniform(1, 2, 90), RNG.normal(size=90), np.arange(90) % 6
    plain = LogisticRegressorCV(cv=GroupKFold(3), Cs=[1.0]).fit(X, Y, weights, groups)
    wanted = plain.score(X, Y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        model = LogisticRegressorCV(cv=GroupKFold(3), Cs=[1.0], scoring=scorer).fit(X, Y, sample_weight=weights, groups=groups)
        np.testing.assert_allclose(model.scores_, plain.scores_, rtol=1e-12)
        assert model.score(X, Y, sample_weight=weights) == pytest.approx(wanted)
        with pytest.raises(TypeError, match="got unexpected argument"):
            model.fit(X, Y, exposure=offset)
        part = LogisticRegressor().set_fit_request(sample_weight=True, offset=True, penalty_factor=False)
        part.set_score_request(sample_weight=True, offset=True)
        search = GridSearchCV(make_pipeline(StandardScaler().set_fit_request(sample_weight=False), part), {}, cv=2)
        search.fit(X, Y, sample_weight=weights, offset=offset)
        scaled = StandardScaler().fit_transform(X)
        wanted = LogisticRegressor().fit(scaled, Y, weights, offset=offset)
        np.testing.assert_allclose(search.best_estimator_[-1].coef_, wanted.coef_, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing=True"):
        LogisticRegressorCV().fit(X, Y, exposure=offset)


class Watcher:
    """A callback that keeps what it is told, and ends a fit after some steps."""

    def __init__(self, most=100):
        self.most, self.told = most, []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.told.append((context.task_name, None if fitted_estimator is None else fitted_estimator.coef_.copy()))
        return sum(isinstance(line, tuple) for line in self.told) >= self.most


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_callbacks_are_told_of_every_step(classes):
    rows = classes > SPECIES
    watcher = Watcher()
    model = LogisticRegressor(C=0.1).set_callbacks(watcher).fit(IRIS[rows], SPECIES[rows])
    plain = LogisticRegressor(C=0.1).fit(IRIS[rows], SPECIES[rows])
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=0, atol=1e-8)
    assert model.converged_.all()
    steps = [line[1] for line in watcher.told if isinstance(line, tuple) and line[0] == "newton-iter"]
    assert len(steps) == model.n_iter_[0] + 1
    assert steps[-1] is None
    np.testing.assert_array_equal(steps[-2], model.coef_)
    assert (watcher.told[0], watcher.told[-1]) == ("setup", "teardown")


@pytest.mark.slow
def test_a_callback_can_end_a_fit_and_others_watch_scores_and_stages():
    with pytest.warns(UserWarning, match="MAX_STEPS"):
        model = LogisticRegressor().set_callbacks(Watcher(most=2)).fit(X, Y)
    assert model.n_iter_.tolist() == [2]
    monitor = ScoringMonitor(scoring="accuracy")
    model = LogisticRegressor().set_callbacks(monitor).fit(X, Y, RNG.uniform(1, 2, 90))
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit", *["newton-iter"] * model.n_iter_[0]]
    assert log[0]["accuracy"] == log[-1]["accuracy"]
    watcher = Watcher()
    LogisticRegressorCV(Cs=2, cv=2).set_callbacks(watcher).fit(X, Y)
    assert [line[0] for line in watcher.told if isinstance(line, tuple)] == [
        "fit the folds",
        "score the folds",
        "choose",
        "fit",
    ]
