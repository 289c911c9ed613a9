"""Scores known by name beside scikit-learn's own scorers, model by model: the same numbers, warnings and errors."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array
from sklearn.metrics import get_scorer, get_scorer_names, make_scorer, matthews_corrcoef

import jaxlr
from jaxlr.estimator import LogisticRegressorCV, scores
from jaxlr.estimator.rows import Rows
from jaxlr.estimator.scores import known_scores
from jaxlr.estimator.scoring import held_out_scores
from tests.helpers import count_compilations, quick

M, N, FOLDS, R, C = 24, 2, 2, 1, 3
EPS = float(np.finfo(np.float64).eps)
# Small integers: logits are exact, so that ties are ties on both sides, and common.
NUMBERS = st.integers(-3, 3).map(float)
HELD_OUT = [np.arange(0, M, 2), np.arange(1, M, 2)[:-1]]
NAMES = np.array(["a", "b", "c"])


def drawn(K, dtype=float):
    rows = 1 if K == 2 else K
    return st.tuples(
        hnp.arrays(dtype, (FOLDS, R, C, rows, N), elements=NUMBERS),
        hnp.arrays(dtype, (FOLDS, R, C, rows), elements=NUMBERS),
        hnp.arrays(dtype, (M, N), elements=NUMBERS),
        hnp.arrays(np.int64, M, elements=st.integers(0, K - 1)).map(lambda y: np.append(np.repeat(np.arange(K), 2), y)[:M]),
        st.none() | hnp.arrays(dtype, M, elements=st.integers(1, 3).map(float)),
    )


def scored(scoring, classes, problem, multi_class="multinomial", held_out=HELD_OUT, converged=None, offset=None, verbose=0):
    coef, intercept, X, y, s = problem
    estimator = LogisticRegressorCV(scoring=scoring, multi_class=multi_class, verbose=verbose)
    estimator.classes_ = classes
    weights = {} if s is None else {"sample_weight": s}
    converged = np.ones((FOLDS, R, C), bool) if converged is None else converged
    rows = Rows(X, classes[y], y, np.ones((1, M)), offset)
    return held_out_scores(estimator, (coef, intercept), converged, rows, held_out, weights)


def assert_equal(name, classes, problem, eps=EPS, exact=False, **options):
    """The scores, or the error, of a name are those of scikit-learn's scorer of that name."""
    both, coef, intercept, X = [], *problem[:3]
    if name == "neg_log_loss" and len(classes) == 2 and not exact:
        # scikit-learn has log(1 - p) of the rounded p of class 1: a loss is off by up to eps / (1 - p)
        eps *= np.exp(np.abs(X @ coef.reshape(-1, N).T + intercept.ravel()).max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for scoring in (name, get_scorer(name)):
            try:
                both.append(scored(scoring, classes, problem, **options))
            except (ValueError, ZeroDivisionError) as error:
                both.append(str(error))
    if any(isinstance(one, str) for one in both):
        assert str(both[0]) == str(both[1])
        return
    most = max(1.0, float(np.nanmax(np.abs(both[1]), initial=0)))
    np.testing.assert_allclose(both[0], both[1], rtol=0, atol=8 * M * eps * most, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(known_scores(None), "accuracy", "average_precision", "f1", "neg_log_loss", "roc_auc"))
@settings(max_examples=8)
@given(drawn(2))
def test_scores_of_two_classes_are_those_of_scikit_learn(name, problem):
    assert_equal(name, np.arange(2) if name == "average_precision" else NAMES[:2], problem)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["average_precision", "roc_auc", "f1"])
def test_the_class_that_is_looked_for_is_that_of_scikit_learn(name):
    for classes in (np.array([-1, 1]), np.array([False, True]), np.array([1, 2]), NAMES[:2]):
        assert_equal(name, classes, random(2))


@pytest.mark.slow
@pytest.mark.parametrize("multi_class", ["multinomial", pytest.param("ovr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", quick(known_scores(3), "f1_weighted", "neg_log_loss", "roc_auc_ovo_weighted"))
@settings(max_examples=6)
@given(drawn(3))
def test_scores_of_more_classes_are_those_of_scikit_learn(name, multi_class, problem):
    assert_equal(name, NAMES, problem, multi_class=multi_class)


@pytest.mark.parametrize("K", [2, 3])
def test_every_name_is_one_of_scikit_learn(K):
    assert set(known_scores(None if K == 2 else K)) <= set(get_scorer_names())


def random(K, dtype=float):
    rng, rows = np.random.default_rng(K), 1 if K == 2 else K
    coef, intercept = rng.normal(size=(FOLDS, R, C, rows, N)), rng.normal(size=(FOLDS, R, C, rows))
    X, y, s = rng.normal(size=(M, N)), np.append(np.repeat(np.arange(K), 2), rng.integers(0, K, M - 2 * K)), rng.random(M)
    return *(part.astype(dtype) for part in (coef, intercept, X)), y, s.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("K", [2, 3])
def test_probabilities_of_0_and_1_count_as_in_scikit_learn(K, dtype):
    coef, intercept, X, y, s = random(K, dtype)
    exact = {"eps": float(np.finfo(dtype).eps), "exact": True}
    for name in ("neg_log_loss", "neg_brier_score", "roc_auc_ovr"):
        assert_equal(name, NAMES[:K], (np.round(coef) * 50, np.round(intercept) * 50, np.round(X), y, s), **exact)


@pytest.mark.slow
@pytest.mark.parametrize("K", [2, 3])
def test_folds_without_a_class_or_weight_are_scored_as_scikit_learn_does(K):
    *models, X, y, s = random(K)
    only = [np.flatnonzero(y == 0), np.flatnonzero(y != 1)]
    for name in known_scores(None if K == 2 else K):
        assert_equal(name, NAMES[:K], (*models, X, y, None), held_out=only)
        assert_equal(name, NAMES[:K], (*models, X, y, np.where(y == 1, 0.0, s)))


def test_an_undefined_score_warns_in_the_words_of_scikit_learn():
    *models, X, y, _ = random(2)
    with pytest.warns(UserWarning, match="Only one class is present in y_true"):
        got = scored("roc_auc", NAMES[:2], (*models, X, y, None), held_out=[np.flatnonzero(y == 0), HELD_OUT[0]])
    assert np.isnan(got[0]).all()
    assert np.isfinite(got[1]).all()


def test_models_that_did_not_converge_have_no_score_whatever_they_hold():
    coef, *rest = random(2)
    converged = np.ones((FOLDS, R, C), bool)
    converged[0], converged[1, 0, 1] = False, False
    coef[~converged] = np.nan
    got = scored("accuracy", NAMES[:2], (coef, *rest), converged=converged)
    assert np.array_equal(np.isfinite(got), converged)


def test_other_names_functions_and_scorers_score_model_by_model():
    problem = random(2)
    scorers = "matthews_corrcoef", get_scorer("matthews_corrcoef"), make_scorer(matthews_corrcoef)
    first, *others = (scored(scoring, NAMES[:2], problem) for scoring in scorers)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_sparse_rows_masks_and_small_blocks_change_nothing(monkeypatch):
    coef, intercept, X, y, s = random(3)
    masks = [np.isin(np.arange(M), rows) for rows in HELD_OUT]
    for name in ("accuracy", "roc_auc_ovr_weighted"):
        whole = scored(name, NAMES, (coef, intercept, X, y, s))
        other = scored(name, NAMES, (coef, intercept, csr_array(X), y, s), held_out=masks)
        np.testing.assert_allclose(whole, other, rtol=M * EPS)
        monkeypatch.setattr(scores, "_MOST", 1)
        np.testing.assert_allclose(scored(name, NAMES, (coef, intercept, X, y, s)), whole, rtol=M * EPS)
        monkeypatch.undo()


def test_folds_and_grids_of_similar_size_share_a_program():
    coef, intercept, X, y, s = random(2)
    scored("roc_auc", NAMES[:2], (coef, intercept, X, y, s))
    fewer = [rows[:-1] for rows in HELD_OUT]
    assert count_compilations(lambda: scored("roc_auc", NAMES[:2], (coef, intercept, X, y, None), held_out=fewer)) == 0


def test_a_bar_shows_the_models_where_the_estimator_is_verbose(capsys):
    for scoring in ("matthews_corrcoef", "accuracy"):
        scored(scoring, NAMES[:2], random(2))
        assert not capsys.readouterr().err
        scored(scoring, NAMES[:2], random(2), verbose=1)
        assert f"{FOLDS * R * C}/{FOLDS * R * C}" in capsys.readouterr().err


@pytest.mark.parametrize("K", [2, 3])
def test_offsets_move_the_logits(K):
    rng = np.random.default_rng(5)
    for offset in (rng.normal(size=M), rng.normal(size=(M, K)))[: K - 1]:
        assert_equal("roc_auc_ovr", NAMES[:K], random(K), offset=offset)


@pytest.mark.slow
def test_a_fit_is_scored_so():
    X, y, *_ = jaxlr.datasets.low_birth_weight()
    X, labels = (X - X.mean(0)) / X.std(0), NAMES[np.asarray(y).astype(int)]
    by_name, by_scorer = (
        LogisticRegressorCV(Cs=3, cv=3, scoring=scoring).fit(X, labels) for scoring in ("roc_auc", get_scorer("roc_auc"))
    )
    np.testing.assert_allclose(by_name.scores_, by_scorer.scores_, rtol=100 * EPS)
    assert by_name.C_ == by_scorer.C_
