"""Figures: they return Axes that show the data, whatever the params, and leave the global style alone."""

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, plots
from tests.helpers import x64  # noqa: F401

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] + RNG.logistic(size=40) > 0).astype(int)
L2 = np.logspace(0, -3, 5)


@pytest.fixture(autouse=True)
def _closed():
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def fits():
    return jaxlr.fit(X, Y, l2=L2)


@pytest.fixture(scope="module")
def cv():
    return jaxlr.cross_validate(X, Y, l2=L2, folds=4, key=jax.random.key(0), refit=False)


def drawings(fits, cv):
    params = jax.tree.map(lambda leaf: leaf[-1], fits.params)
    z, proba = jaxlr.logits(params, X), jaxlr.predict_proba(params, X)
    grid = np.outer(L2, L2)
    return {
        "sigmoid_curve": lambda ax: plots.sigmoid_curve(ax=ax),
        "decision_boundary": lambda ax: plots.decision_boundary(params, X, Y, features=(2, 0), ax=ax),
        "losses": lambda ax: plots.losses(RNG.random((3, 9)), labels="abc", ax=ax),
        "many losses": lambda ax: plots.losses(RNG.random((5, 9)), values=L2, ax=ax),
        "heat_map": lambda ax: plots.heat_map(
            grid, L2, L2, row_name="l2", column_name="l1", value_name="J", chosen=(1, 2), ax=ax
        ),
        "cv_curve": lambda ax: plots.cv_curve(cv, L2, ax=ax),
        "coefficient_path": lambda ax: plots.coefficient_path(L2, fits.params.coef, names="abc", chosen={"best": 2}, ax=ax),
        "roc": lambda ax: plots.roc(Y, z, label="model", ax=ax),
        "precision_recall": lambda ax: plots.precision_recall(Y, z, label="model", ax=ax),
        "calibration": lambda ax: plots.calibration(Y, proba, num_bins=5, ax=ax),
        "convergence_map": lambda ax: plots.convergence_map(fits, ax=ax),
        "convergence_map of a grid": lambda ax: plots.convergence_map(cv.fits, ax=ax),
    }


NAMES = (
    "sigmoid_curve", "decision_boundary", "losses", "many losses", "heat_map", "cv_curve", "coefficient_path", "roc",
    "precision_recall", "calibration", "convergence_map", "convergence_map of a grid",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_on_the_given_axes_or_its_own_and_labelled(name, fits, cv):
    draw = drawings(fits, cv)[name]
    _, ax = plt.subplots()
    assert draw(ax) is ax
    own = draw(None)
    assert own is not ax
    for drawn in (ax, own):
        assert drawn.get_xlabel()
        assert drawn.get_ylabel()
        assert drawn.has_data()
        drawn.figure.canvas.draw()


@pytest.mark.parametrize("coef", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1e-9, 1e-9, 5.0), (50.0, -80.0, 0.0)])
def test_any_params_have_a_picture_vertical_and_absent_boundaries_included(coef):
    ax = plots.decision_boundary(Params(np.array(coef), np.array(0.1)), X, Y)
    ax.figure.canvas.draw()
    boundary = [c for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    assert len(boundary) == any(coef[:2]) * (max(map(abs, coef[:2])) > 1e-3)
    if coef == (1.0, 0.0, 0.0):
        line = boundary[0].get_paths()[list(boundary[0].levels).index(0)].vertices
        np.testing.assert_allclose(line[:, 0], -0.1, atol=1e-12)  # x0 = -intercept / coef0


def test_a_failed_model_is_marked(fits):
    bad = jaxlr.fit(X, Y, l2=L2, max_steps=1)
    labels = plots.convergence_map(bad).get_legend_handles_labels()[1]
    assert "MAX_STEPS (5)" in labels


def test_a_run_that_diverged_ends_and_a_missing_cell_is_crossed():
    ax = plots.losses(np.array([[1.0, 2.0, np.nan], [1.0, 0.5, 0.2]]), labels=["diverged", "fine"])
    assert np.isnan(ax.lines[0].get_ydata()[-1])
    grid = np.array([[1.0, np.nan]])
    ax = plots.heat_map(grid, [1.0], [1.0, 2.0], row_name="a", column_name="b", value_name="c")
    assert [list(point) for point in ax.lines[0].get_xydata()] == [[1, 0]]


def test_shapes_that_do_not_fit_are_refused(cv):
    with pytest.raises(ValueError, match="columns"):
        plots.decision_boundary(Params(np.ones(1), np.array(0.0)), X[:, :1], Y)
    with pytest.raises(ValueError, match="expected values"):
        plots.heat_map(np.ones((2, 3)), [1.0], [1.0], row_name="a", column_name="b", value_name="c")
    with pytest.raises(ValueError, match="path"):
        plots.cv_curve(cv, L2[:2])
    with pytest.raises(ValueError, match="strengths"):
        plots.coefficient_path(L2, np.ones((3, 2)))
