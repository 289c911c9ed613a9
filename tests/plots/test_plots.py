"""Figures: they return Axes that show the data, whatever the params, and leave the global style alone."""

import itertools

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


def intervals(coef):
    return jaxlr.inference.Intervals(*(Params(factor * coef, np.float64(0)) for factor in (1, 0.5, 2)))


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
        "forest": lambda ax: plots.forest({"a": intervals(L2), "b": intervals(-L2)}, list("vwxyz"), ax=ax),
        "manhattan": lambda ax: plots.manhattan(np.log(L2 / 2), groups=[1, 1, 2, 2, 2], marked=L2 > 0.5, ax=ax),
        "qq": lambda ax: plots.qq(np.log(L2 / 2), label="null", ax=ax),
        "roc": lambda ax: plots.roc(Y, z, label="model", ax=ax),
        "precision_recall": lambda ax: plots.precision_recall(Y, z, label="model", ax=ax),
        "calibration": lambda ax: plots.calibration(Y, proba, num_bins=5, ax=ax),
        "convergence_map": lambda ax: plots.convergence_map(fits, ax=ax),
        "convergence_map of a grid": lambda ax: plots.convergence_map(cv.fits, ax=ax),
    }


NAMES = (
    "sigmoid_curve", "decision_boundary", "losses", "many losses", "heat_map", "cv_curve", "coefficient_path", "forest",
    "manhattan", "qq", "roc", "precision_recall", "calibration", "convergence_map", "convergence_map of a grid",
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


NAN = np.nan
RUNS = np.array([[1.0, 0.5, 0.2], [1.0, 2.0, NAN], [0.7, NAN, NAN], [NAN, NAN, NAN]])


@pytest.mark.parametrize("options", [{}, {"labels": "abcd"}, {"values": [0.1, 1.0, 10.0, 100.0]}], ids=["", "labels", "values"])
def test_a_run_that_diverged_ends_in_a_cross_and_is_counted(options):
    ax = plots.losses(RUNS, **options)
    ax.figure.canvas.draw()
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(2, 2.0), (1, 0.7), (1, 1)]
    assert crosses[2].get_transform() == ax.get_xaxis_transform()  # never finite: on the upper edge
    assert "diverged (3 of 4)" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_finite_point_is_seen():
    (line,) = plots.losses(np.array([0.7])).lines
    assert (line.get_marker(), line.get_markevery()) == ("o", [0])
    lines = plots.coefficient_path(np.array([0.1]), np.array([[2.0, -1.0]])).lines[:2]
    assert [line.get_marker() for line in lines] == ["o", "o"]
    gap = plots.losses(RUNS[0]).lines
    assert gap[0].get_marker() == "None"


def test_paths_are_drawn_in_the_order_of_their_strengths(fits, cv):
    shuffled = np.array([3, 0, 4, 1, 2])
    coef = np.asarray(fits.params.coef)
    ax, expected = (plots.coefficient_path(L2[i], coef[i]) for i in (shuffled, slice(None)))
    for line, other in zip(ax.lines, expected.lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    assert np.all(np.diff(ax.lines[0].get_xdata()) > 0)
    (drawn,) = [line for line in plots.cv_curve(cv, L2).lines if line.get_label() == "mean over folds"]
    np.testing.assert_array_equal(drawn.get_xydata(), np.stack([L2, cv.mean["log_loss"]], axis=1)[::-1])


def test_a_path_with_zeros_counts_what_is_not_0():
    coef = np.array([[2.0, -1.0], [0.5, 0.0], [0.0, 0.0]])
    ax = plots.coefficient_path(np.array([0.1, 1.0, 10.0]), coef)
    ax.figure.canvas.draw()
    (counts,) = ax.child_axes
    assert counts.get_xticks().tolist() == [0.1, 1.0, 10.0]
    assert [label.get_text() for label in counts.get_xticklabels()] == ["2", "1", "0"]
    assert not plots.coefficient_path(np.array([0.1, 1.0]), coef[:2] + 2).child_axes


def test_figures_of_tests_refuse_what_does_not_fit_and_name_lambda():
    with pytest.raises(ValueError, match="expected intervals of one model of 2 columns"):
        plots.forest({"a": intervals(L2)}, ["x", "y"])
    with pytest.raises(ValueError, match=r"expected log_p, groups and marked \(k,\)"):
        plots.manhattan(np.log([0.5, 0.1]), groups=[1])
    with pytest.raises(ValueError, match="none that is a number"):
        plots.qq([NAN])
    inflated = plots.qq(np.log(np.linspace(0.001, 0.3, 99)))
    assert inflated.get_legend().get_texts()[0].get_text() == "lambda_GC = 4.54"


def test_a_missing_cell_is_crossed():
    ax = plots.heat_map(np.array([[1.0, NAN]]), [1.0], [1.0, 2.0], row_name="a", column_name="b", value_name="c")
    assert [list(point) for point in ax.lines[0].get_xydata()] == [[1, 0]]


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        (np.arange(100, 109), ["100", "102", "104", "106", "108"]),
        (np.logspace(-4, 0, 5), ["0.0001", "0.001", "0.01", "0.1", "1"]),
        (["newton", "cg"], ["newton", "cg"]),
        (np.array([1.0, 1.0]), ["1", "1"]),
    ],
)
def test_ticks_are_told_apart_and_evenly_spaced(columns, labels):
    ax = plots.heat_map(np.ones((1, len(columns))), [0], columns, row_name="a", column_name="b", value_name="c")
    assert [label.get_text() for label in ax.get_xticklabels()] == labels


@pytest.mark.parametrize("columns", [1 + 1e-7 * np.arange(40), ["gradient descent", "conjugate gradients", "Newton's method"]])
def test_ticks_do_not_overlap(columns):
    ax = plots.heat_map(np.ones((1, len(columns))), [0], columns, row_name="a", column_name="b", value_name="c")
    ax.figure.canvas.draw()
    labels = ax.get_xticklabels()
    assert len({label.get_text() for label in labels}) == len(labels) > 1
    if labels[0].get_rotation() == 0:
        ends = [label.get_window_extent() for label in labels]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(ends))


def test_integer_parameters_are_drawn_as_floating_ones():
    whole, floating = (
        plots.decision_boundary(Params(np.array(c), np.array(c[0])), X[:, :2], Y) for c in ([1, -1], [1.0, -1.0])
    )
    for ax in (whole, floating):
        ax.figure.canvas.draw()
    np.testing.assert_array_equal(whole.collections[0].get_array(), floating.collections[0].get_array())


ONE = Params(np.ones(3), np.array(0.0))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.decision_boundary(ONE, X, 2 * Y - 1), "labels 0/1"),
        (lambda: plots.decision_boundary(ONE, X, Y[:-1]), r"X \(m, n\) and y \(m,\)"),
        (lambda: plots.decision_boundary(Params(np.ones(2), np.array(0.0)), X, Y), r"coef \(3,\)"),
        (lambda: plots.decision_boundary(Params(np.ones((4, 3)), np.ones(4)), X, Y), "params of one model"),
        (lambda: plots.decision_boundary(Params(np.array([1, NAN, 0]), np.array(0.0)), X, Y), "finite coef"),
        (lambda: plots.decision_boundary(ONE, X * NAN, Y), "finite X"),
        (lambda: plots.losses(RUNS, labels="abc"), "one of labels for each of 4 runs, got 3"),
        (lambda: plots.losses(RUNS, values=[1.0, 2.0]), "one of values for each of 4 runs, got 2"),
        (lambda: plots.losses(RUNS, values=[0.0, 1.0, 2.0, 3.0]), "values .* > 0, for a log scale"),
        (lambda: plots.coefficient_path(np.array([0.0, 1.0]), np.ones((2, 1))), "strengths .* > 0, for a log scale"),
        (lambda: plots.coefficient_path(L2, np.ones((5, 1)), chosen=dict(zip("abcde", range(5), strict=True))), "at most 4"),
        (lambda: plots.precision_recall(Y, X[:, 0], sample_weight=0.0 * Y), "all 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
    assert not plt.get_fignums()


def test_shapes_that_do_not_fit_are_refused(cv):
    with pytest.raises(ValueError, match="columns"):
        plots.decision_boundary(Params(np.ones(1), np.array(0.0)), X[:, :1], Y)
    with pytest.raises(ValueError, match="expected values"):
        plots.heat_map(np.ones((2, 3)), [1.0], [1.0], row_name="a", column_name="b", value_name="c")
    with pytest.raises(ValueError, match="path"):
        plots.cv_curve(cv, L2[:2])
    with pytest.raises(ValueError, match="> 0, for a log scale"):
        plots.cv_curve(cv, L2 - L2[-1])
    with pytest.raises(ValueError, match="a metric that was scored, log_loss, got 'roc_auc'"):
        plots.cv_curve(cv, L2, metric="roc_auc")
    with pytest.raises(ValueError, match="strengths"):
        plots.coefficient_path(L2, np.ones((3, 2)))
