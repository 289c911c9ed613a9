"""Folds whose training rows lack a class."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import SoftmaxParams

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LABELS = np.arange(60) // 20
BLOCKS = (LABELS[None, :] != np.arange(3)[:, None]).astype(float)  # as KFold(3) cuts rows in order
L2 = np.array([1.0, 0.1])


@pytest.mark.slow
def test_the_classes_that_are_there_are_fitted_and_scored():
    with pytest.warns(UserWarning, match=r"log_loss is infinite under every penalty in folds \[0, 1, 2\].* nothing is chosen"):
        cv = jaxlr.cross_validate(X, LABELS, num_classes=3, l2=L2, folds=BLOCKS, metrics=("accuracy",))
    assert cv.fits.converged.all()
    assert cv.best is None
    assert np.asarray(cv.mean["accuracy"]).tolist() == [0, 0]  # no held-out row is of a class that was there
    assert np.isinf(cv.mean["log_loss"]).all()
    for fold, there in enumerate(([1, 2], [0, 2], [0, 1])):
        rows = BLOCKS[fold] > 0
        alone = jaxlr.fit(X[rows], np.searchsorted(there, LABELS[rows]), num_classes=2, l2=L2)
        coef, intercept = (np.asarray(part)[fold] for part in cv.fits.params)
        np.testing.assert_allclose(coef[:, there], alone.params.coef, rtol=0, atol=1e-9)  # tol 1e-10 over l2 >= 0.1
        np.testing.assert_allclose(intercept[:, there], alone.params.intercept, rtol=0, atol=1e-8)
        assert (coef[:, fold] == 0).all()
        assert (intercept[:, fold] == -np.inf).all()
        proba = jaxlr.predict_proba(SoftmaxParams(coef[0], intercept[0]), X)
        assert (np.asarray(proba)[:, fold] == 0).all()


@pytest.mark.slow
def test_the_fit_of_the_others_is_the_limit_of_all_classes():
    """With a weight of 1e-13 on the rows of a class the K classes have an estimate, as near as that to its limit."""
    weights = np.where(LABELS == 2, 1e-13, 1.0)
    near = jaxlr.fit(X, LABELS, num_classes=3, l2=0.1, sample_weight=weights)
    folds = np.stack([BLOCKS[2], np.arange(60) % 2])
    with pytest.warns(UserWarning, match="infinite under every penalty in folds \\[0\\]"):
        cv = jaxlr.cross_validate(X, LABELS, num_classes=3, l2=0.1, folds=folds)
    limit = jax.tree.map(lambda leaf: leaf[0], cv.fits.params)
    np.testing.assert_allclose(near.params.coef, limit.coef, rtol=0, atol=1e-9)
    assert cv.best == ()


@pytest.mark.slow
def test_a_class_of_one_row_leaves_the_choice_to_the_other_folds():
    labels = np.where(np.arange(60) == 7, 2, np.arange(60) % 2)
    options = {"num_classes": 3, "l2": L2, "metrics": ("accuracy", "brier"), "key": jax.random.key(0)}
    with pytest.warns(UserWarning, match="the choice is by the other folds"):
        cv = jaxlr.cross_validate(X, labels, folds=5, **options)
    lacking = np.isinf(cv.scores["log_loss"]).all(axis=1)
    assert lacking.sum() == 1
    mean = np.asarray(cv.scores["log_loss"])[~lacking].mean(axis=0)
    assert cv.best == (int(np.argmin(mean)),)
    assert cv.refit.converged
    assert np.isfinite(cv.mean["accuracy"]).all()
    assert np.isfinite(cv.mean["brier"]).all()


def test_training_rows_of_one_class_alone_are_refused():
    folds = np.stack([LABELS == 0, LABELS > 0]).astype(float)
    with pytest.raises(ValueError, match=r"two classes or more in every fold, got those of \[0\] in fold 0"):
        jaxlr.cross_validate(X, LABELS, num_classes=3, l2=0.1, folds=folds)


@pytest.mark.slow
def test_a_fold_that_holds_out_one_class_leaves_the_choice_by_ranking_to_the_others():
    labels, thirds = np.isin(np.arange(60), (3, 31)).astype(int), np.arange(60) // 20
    folds = (thirds != np.arange(3)[:, None]).astype(float)  # the last one holds out no 1
    options = {"l2": np.array([1.0, 1e-3]), "folds": folds, "select": "roc_auc"}
    with pytest.warns(
        UserWarning, match=r"roc_auc is undefined .* in folds \[2\], whose held-out rows lack a class: the choice is"
    ):
        cv = jaxlr.cross_validate(X, labels, **options)
    area = np.asarray(cv.scores["roc_auc"])
    assert np.isnan(area[2]).all()
    assert cv.best == (int(np.argmax(area[:2].mean(axis=0))),)
    assert cv.refit.converged
    with pytest.warns(UserWarning, match=r"in folds \[0, 1\], whose held-out rows lack a class: nothing is chosen"):
        none = jaxlr.cross_validate(X, labels, **options | {"folds": np.stack([thirds != 2, thirds != 2]).astype(float)})
    assert none.best is None
