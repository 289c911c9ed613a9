"""Figures: they return Axes that show the data, whatever the params, and leave the global style alone."""

import inspect
import itertools

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats

import jaxlr
from jaxlr import Params, SoftmaxParams, plots
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

NAN = np.nan
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] + RNG.logistic(size=40) > 0).astype(int)
L2 = np.logspace(0, -3, 5)
LOSSES = RNG.random((5, 9))
LABELS = np.arange(40) % 3
ONES = np.ones((3, 2))
CLASSES = SoftmaxParams(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 2.0], [0.0, 1.0, -2.0]]), np.zeros(3))


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


def influence_of_rows(weight=None):
    return jaxlr.inference.influence(jaxlr.fit(X, Y, sample_weight=weight), jaxlr.Problem(X, Y, weight))


def whole(coef):
    return jaxlr.inference.Intervals(*3 * [SoftmaxParams(coef, coef[:, 0])])


def intervals_of_classes(coef):
    ends = [np.where(np.arange(3)[:, None] == 0, base, factor * coef) for factor, base in ((1, 0.0), (0.5, NAN), (2, NAN))]
    return jaxlr.inference.Intervals(*(SoftmaxParams(end, np.zeros(3)) for end in ends))


def effects_of(params):
    """Three effects, each within 0.1."""
    return jaxlr.inference.Effects(params.coef, *[None] * 4, params.coef - 0.1, params.coef + 0.1)


def predicted_rows(num_classes=None):
    """Probabilities of the rows of X, with an interval of 0.1 to each side."""
    p = 1 / (1 + np.exp(-X[:, 0])) if num_classes is None else np.full((len(X), num_classes), 1 / num_classes)
    return jaxlr.inference.Predictions(p, 0.05 + 0 * p, p - 0.1, p + 0.1)


def drawings(fits, cv):
    params = jax.tree.map(lambda leaf: leaf[-1], fits.params)
    z, proba = jaxlr.logits(params, X), jaxlr.predict_proba(params, X)
    grid = np.outer(L2, L2)
    return {
        "sigmoid_curve": lambda ax: plots.sigmoid_curve(ax=ax),
        "decision_boundary": lambda ax: plots.decision_boundary(params, X, Y, features=(2, 0), ax=ax),
        "regions": lambda ax: plots.decision_boundary(CLASSES, X, LABELS, features=(2, 0), ax=ax),
        "losses": lambda ax: plots.losses(LOSSES[:3], labels="abc", ax=ax),
        "many losses": lambda ax: plots.losses(LOSSES, values=L2, ax=ax),
        "heat_map": lambda ax: plots.heat_map(
            grid, L2, L2, row_name="l2", column_name="l1", value_name="J", chosen=(1, 2), ax=ax
        ),
        "cv_curve": lambda ax: plots.cv_curve(cv, L2, ax=ax),
        "cv_curves": lambda ax: plots.cv_curve({"4 folds": cv, "again": cv}, L2, ax=ax),
        "coefficient_path": lambda ax: plots.coefficient_path(L2, fits.params.coef, names="abc", chosen={"best": 2}, ax=ax),
        "path of classes": lambda ax: plots.coefficient_path(L2, L2[:, None, None] * CLASSES.coef, names="abc", ax=ax),
        "forest": lambda ax: plots.forest({"a": intervals(L2), "b": intervals(-L2)}, list("vwxyz"), ax=ax),
        "forest of classes": lambda ax: plots.forest({"a": intervals_of_classes(CLASSES.coef + 1)}, "abc", none=1.0, ax=ax),
        "forest of effects": lambda ax: plots.forest({"a": effects_of(params)}, "abc", value_name="probability", ax=ax),
        "predicted": lambda ax: plots.predicted(X[:, 0], predicted_rows(), name="age", ax=ax),
        "predicted classes": lambda ax: plots.predicted(X[:, 0], predicted_rows(3), label="model", ax=ax),
        "influence": lambda ax: plots.influence(influence_of_rows(), ax=ax),
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
    "manhattan", "qq", "roc", "precision_recall", "calibration", "convergence_map", "convergence_map of a grid", "regions",
    "path of classes", "forest of classes", "cv_curves", "influence", "forest of effects", "predicted",
    "predicted classes",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(NAMES, "sigmoid_curve", "cv_curve", "coefficient_path", "forest", "manhattan"))
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


@pytest.mark.slow
@pytest.mark.parametrize("coef", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1e-9, 1e-9, 5.0), (50.0, -80.0, 0.0)])
def test_any_params_have_a_picture_vertical_and_absent_boundaries_included(coef):
    ax = plots.decision_boundary(Params(np.array(coef), np.array(0.1)), X, Y)
    ax.figure.canvas.draw()
    boundary = [c for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    assert len(boundary) == any(coef[:2]) * (max(map(abs, coef[:2])) > 1e-3)
    if coef == (1.0, 0.0, 0.0):
        line = boundary[0].get_paths()[list(boundary[0].levels).index(0)].vertices
        np.testing.assert_allclose(line[:, 0], -0.1, atol=1e-12)  # x0 = -intercept / coef0


def test_of_several_classes_the_region_of_the_most_probable_one_is_drawn():
    ax = plots.decision_boundary(CLASSES, X, LABELS, features=(0, 2))
    mesh, *rest = ax.collections
    lines = [drawn for drawn in rest if type(drawn).__name__ == "QuadContourSet"]
    rows = rest[len(lines) :]
    corners = mesh.get_coordinates()
    points = np.zeros((200, 200, 3))
    points[..., 0], points[..., 2] = ((corners[1:, 1:, axis] + corners[:-1, :-1, axis]) / 2 for axis in range(2))
    points[..., 1] = X[:, 1].mean()
    expected = jaxlr.predict(CLASSES, points.reshape(-1, 3)).reshape(200, 200)
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(200, 200), expected)
    assert len(lines) == 3
    for k, line in enumerate(lines):
        edge = np.full((len(line.get_paths()[0].vertices), 3), X[:, 1].mean())
        edge[:, [0, 2]] = line.get_paths()[0].vertices
        z = (
            np.sort(np.delete(np.asarray(jaxlr.logits(CLASSES, edge)), k, axis=1))
            - np.asarray(jaxlr.logits(CLASSES, edge))[:, [k]]
        )
        np.testing.assert_allclose(z[:, -1], 0, atol=0.05)  # the contour is linear within cells, the maximum is not
    for k, drawn in enumerate(rows):
        np.testing.assert_array_equal(drawn.get_offsets(), X[k == LABELS][:, [0, 2]])
        assert mpl.colors.to_hex(drawn.get_facecolor()[0]) == plots.style.class_style(k)["color"].lower()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["y = 0", "y = 1", "y = 2"]


def test_two_classes_have_the_boundary_of_the_binary_model():
    one = Params(np.array([1.0, -2.0, 0.5]), np.array(0.3))
    two = SoftmaxParams(np.stack([-one.coef / 2, one.coef / 2]), np.array([-0.15, 0.15]))
    edges = [drawn for drawn in plots.decision_boundary(two, X, Y).collections if type(drawn).__name__ == "QuadContourSet"]
    assert len(edges) == 2
    for edge in edges:
        points = edge.get_paths()[0].vertices
        logits = jaxlr.logits(one, np.column_stack([points, np.full(len(points), X[:, 2].mean())]))
        np.testing.assert_allclose(logits, 0, atol=1e-12)


def test_a_class_that_is_never_the_most_probable_has_no_region_and_many_have_styles_of_their_own():
    beside = SoftmaxParams(np.eye(3), np.array([0.0, 0.0, -100.0]))
    ax = plots.decision_boundary(beside, X, LABELS)
    assert sum(type(drawn).__name__ == "QuadContourSet" for drawn in ax.collections) == 2
    one_class = SoftmaxParams(np.ones((1, 3)), np.zeros(1))
    plots.decision_boundary(one_class, X, 0 * LABELS).figure.canvas.draw()
    assert len({tuple(plots.style.class_style(k).values()) for k in range(42)}) == 42


@pytest.mark.slow
def test_a_path_of_several_classes_has_a_line_for_each_class_and_column():
    fits = jaxlr.fit(X, LABELS, num_classes=3, l1=L2 / 10)
    ax = plots.coefficient_path(L2 / 10, fits, names=["a", "b", "c"])
    coef = np.asarray(fits.params.coef)[::-1]
    lines = {line.get_label(): line.get_ydata() for line in ax.lines[:9]}
    named = [name for name in lines if not name.startswith("_")]
    assert set(named) == {f"{name} [{k}]" for k in range(3) for name in "abc"}
    for name in named:
        np.testing.assert_array_equal(lines[name], coef[:, int(name[3]), "abc".index(name[0])])
    (counts,) = ax.child_axes
    shown = [int(label.get_text()) for label in counts.get_xticklabels()]
    assert shown == np.count_nonzero(coef, axis=(1, 2)).tolist()
    other = plots.coefficient_path(L2 / 10, fits.params.coef, names="abc")
    for line, again in zip(ax.lines, other.lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), again.get_xydata())


@pytest.mark.slow
@pytest.mark.parametrize("odds", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_forest_of_several_classes_has_a_row_for_each_class_and_column_but_none_for_the_base(odds):
    fits, problem = jaxlr.fit(X, LABELS, num_classes=3), jaxlr.Problem(X, LABELS)
    found = jaxlr.inference.wald(fits, problem, base=1)
    found = jaxlr.inference.odds_ratios(found) if odds else found
    ax = plots.forest({"Wald": found}, ["a", "b", "c"], none=float(odds))
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{name} [{k}]" for k in (0, 2) for name in "abc"]
    (marks,) = [line for line in ax.lines if line.get_label() == "Wald"]
    np.testing.assert_array_equal(
        marks.get_xydata(), np.stack([np.asarray(found.estimate.coef)[[0, 2]].ravel(), np.arange(6)], 1)
    )
    (segments,) = ax.collections
    ends = np.array([segment[:, 0] for segment in segments.get_segments()]).T
    np.testing.assert_array_equal(ends, [np.asarray(end.coef)[[0, 2]].ravel() for end in (found.lower, found.upper)])


def test_a_forest_without_a_base_has_every_class_and_a_failed_model_says_nothing_of_one():
    failed = whole(NAN * ONES)
    assert len(plots.forest({"a": whole(ONES), "failed": failed}, "ab").get_yticks()) == 6
    assert len(plots.forest({"a": intervals_of_classes(ONES), "failed": failed}, "ab").get_yticks()) == 4


@pytest.mark.slow
def test_a_failed_model_is_marked(fits):
    bad = jaxlr.fit(X, Y, l2=L2, max_steps=1)
    labels = plots.convergence_map(bad).get_legend_handles_labels()[1]
    assert "MAX_STEPS (5)" in labels


RUNS = np.array([[1.0, 0.5, 0.2], [1.0, 2.0, NAN], [0.7, NAN, NAN], [NAN, NAN, NAN]])


@pytest.mark.slow
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


@pytest.mark.slow
def test_paths_are_drawn_in_the_order_of_their_strengths(fits, cv):
    shuffled = np.array([3, 0, 4, 1, 2])
    coef = np.asarray(fits.params.coef)
    ax, expected = (plots.coefficient_path(L2[i], coef[i]) for i in (shuffled, slice(None)))
    for line, other in zip(ax.lines, expected.lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    assert np.all(np.diff(ax.lines[0].get_xdata()) > 0)
    (drawn,) = [line for line in plots.cv_curve(cv, L2).lines if line.get_label() == "mean over folds"]
    np.testing.assert_array_equal(drawn.get_xydata(), np.stack([L2, cv.mean["log_loss"]], axis=1)[::-1])


@pytest.mark.slow
def test_curves_of_several_ways_to_hold_rows_out_have_their_own_line_band_and_choices(cv):
    loo = jaxlr.cross_validate(X, Y, l2=L2, folds="loo", refit=False)
    assert "mean over rows" in plots.cv_curve(loo, L2).get_legend_handles_labels()[1]
    ax = plots.cv_curve({"4 folds": cv, "leave-one-out": loo}, L2)
    lines = {line.get_label(): line for line in ax.lines}
    for name, each, band in zip(("4 folds", "leave-one-out"), (cv, loo), ax.collections, strict=True):
        mean, error = (np.asarray(part["log_loss"]) for part in (each.mean, each.standard_error))
        np.testing.assert_array_equal(lines[name].get_ydata(), mean[::-1])
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == ((mean - error).min(), (mean + error).max())
        for choice, at in (("best mean", each.best), ("one standard error", each.one_se)):
            (mark,) = [line for label, line in lines.items() if label.startswith(f"{name}, {choice}: {L2[at]:.1e}")]
            np.testing.assert_array_equal(mark.get_xydata(), [[L2[at], mean[at]]])
    styles = [(lines[name].get_color(), lines[name].get_linestyle()) for name in ("4 folds", "leave-one-out")]
    assert len(set(styles)) == 2


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
    underflown = plots.qq(np.full(3, -20005.524133717631))  # mpmath: log(erfc(200 / sqrt(2))), and 200^2 over the median
    assert underflown.get_legend().get_texts()[0].get_text() == "lambda_GC = 87924.37"


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
        (
            lambda: plots.decision_boundary(CLASSES, X, LABELS + 1),
            r"labels 0, ..., 2, got .*\[1 2 3\]; number the classes from 0 on",
        ),
        (lambda: plots.decision_boundary(CLASSES, X[:, :2], LABELS), r"coef \(3, 2\) and intercept \(3,\), got coef \(3, 3\)"),
        (
            lambda: plots.decision_boundary(SoftmaxParams(np.ones((4, 3, 3)), np.ones((4, 3))), X, LABELS),
            "draw them one by one",
        ),
        (lambda: plots.decision_boundary(SoftmaxParams(NAN * CLASSES.coef, np.zeros(3)), X, LABELS), "finite coef"),
        (lambda: plots.coefficient_path(L2[:3], CLASSES.coef, names="ab"), "a name for each of 3 columns, got 2"),
        (lambda: plots.coefficient_path(L2, np.ones((5, 2, 3, 4))), r"coef \(g, n\) or \(g, K, n\), got"),
        (lambda: plots.coefficient_path(L2, np.ones((5, 3)), groups=[0, 1]), r"groups \(3,\), an integer for each column"),
        (lambda: plots.forest({"a": intervals_of_classes(ONES)}, "abc"), "one model of 3 classes and 3 columns for 'a'"),
        (lambda: plots.forest({"a": intervals_of_classes(ONES), "b": intervals(L2[:2])}, "ab"), "models of the same classes"),
        (lambda: plots.forest({"a": intervals_of_classes(ONES), "b": whole(ONES)}, "ab"), "against the same base"),
        (lambda: plots.roc(Y, CLASSES.coef), r"score \(m,\), got shape \(3, 3\); of several classes draw each"),
        (lambda: plots.precision_recall(Y, CLASSES.coef), r"score\[:, k\]"),
        (lambda: plots.calibration(Y, CLASSES.coef), r"proba\[:, k\]"),
        (lambda: plots.calibration(Y, X[:, 0] * 0, level=95.0), r"expected level in \(0, 1\)"),
        (lambda: plots.losses(RUNS[None]), r"\(runs, num_epochs\), got shape \(1, 4, "),
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


@pytest.mark.slow
def test_bars_of_a_calibration_are_wilsons_intervals_of_counts():
    proba = np.array([0.1, 0.15, 0.7, 0.95])
    y, counts = np.array([1.0, 0.0, 1.0, 1.0]), np.array([2, 8, 5, 3])
    ax = plots.calibration(y, proba, sample_weight=counts, num_bins=2, level=0.9)
    (bars,) = [drawn for drawn in ax.collections if type(drawn).__name__ == "LineCollection"]
    for segment, ones, n in zip(bars.get_segments(), (2, 8), (10, 8), strict=True):
        expected = scipy.stats.binomtest(ones, n).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose(segment[:, 1], [expected.low, expected.high], rtol=1e-12)
    without = plots.calibration(y, proba, level=None)
    assert not [drawn for drawn in without.collections if type(drawn).__name__ == "LineCollection"]


def test_another_result_than_the_one_drawn_is_refused_in_words(fits, cv):
    with pytest.raises(TypeError, match=r"expected an Influence, got Fit; pass jaxlr.inference.influence\(fit, problem\)"):
        inspect.unwrap(plots.influence)(fits)
    with pytest.raises(TypeError, match=r"expected a CrossValidation, got Fit; pass the result of jaxlr.cross_validate"):
        inspect.unwrap(plots.cv_curve)(fits, L2)
    with pytest.raises(TypeError, match="expected a Fit, got Params"):
        inspect.unwrap(plots.convergence_map)(ONE)
    for intervals in (fits, {"Wald": fits}):
        with pytest.raises(TypeError, match="expected intervals by method"):
            inspect.unwrap(plots.forest)(intervals, "abc")


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


@pytest.mark.slow
def test_areas_of_bubbles_are_cooks_distances_of_rows_with_weight_and_the_five_largest_have_numbers():
    found = influence_of_rows(np.where(np.arange(40) % 8 == 3, 0.0, 1.0))
    kept = np.asarray(found.leverage) > 0
    assert kept.sum() == 35
    ax = plots.influence(found)
    ax.figure.canvas.draw()
    bubbles = [mark for mark in ax.collections if len(mark.get_sizes()) > 1]
    areas = {
        tuple(place): area for mark in bubbles for place, area in zip(mark.get_offsets().data, mark.get_sizes(), strict=True)
    }
    cook = np.asarray(found.cooks_distance)
    places = np.stack([found.leverage, found.standardized_deviance], axis=1)
    assert len(areas) == 35
    share = [areas[tuple(place)] / area for place, area in zip(places[kept], cook[kept], strict=True)]
    np.testing.assert_allclose(share, share[0], rtol=1e-12)
    numbers = {int(text.get_text()): text.xy for text in ax.texts}
    assert sorted(numbers) == sorted(np.argsort(-cook)[:5])
    for row, place in numbers.items():
        assert place == tuple(places[row])
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(ax.bbox.contains(box.x0, box.y0) and ax.bbox.contains(box.x1, box.y1) for box in boxes)


def test_influence_of_many_models_or_of_none_is_refused_and_a_row_that_fits_itself_is_left_out():
    found = influence_of_rows()
    with pytest.raises(ValueError, match=r"one model, arrays \(m,\), got \(2, 40\)"):
        plots.influence(jax.tree.map(lambda leaf: np.stack([leaf, leaf]), found))
    with pytest.raises(ValueError, match="model that converged"):
        plots.influence(jax.tree.map(lambda leaf: np.full_like(leaf, NAN), found))
    alone = found._replace(
        leverage=np.asarray(found.leverage).copy(), standardized_deviance=np.asarray(found.standardized_deviance).copy()
    )
    alone.leverage[3], alone.standardized_deviance[3] = 1.0, NAN
    ax = plots.influence(alone)
    assert sum(len(mark.get_offsets()) for mark in ax.collections) == 2 * 39
    assert ax.get_xlim()[1] < 1


def test_coefficients_at_a_bound_are_marked():
    coef = np.array([[1.0, 0.5, 0.0], [0.7, 0.5, 0.0], [0.2, 0.3, 0.0]])
    ax = plots.coefficient_path(np.array([0.1, 1.0, 10.0]), coef, lower=0.0, upper=np.array([1.0, 0.5, np.inf]))
    labels = [line.get_label() for line in ax.lines]
    assert "at the lower bound" not in labels
    upper = ax.lines[labels.index("at the upper bound")]
    assert upper.get_xydata().tolist() == [[0.1, 1.0], [0.1, 0.5], [1.0, 0.5]]
    in_float32 = np.array([[0.1], [0.05]], np.float32)  # which has another 0.1
    rounded = plots.coefficient_path(np.array([0.1, 1.0]), in_float32, upper=0.1)
    assert "at the upper bound" in [line.get_label() for line in rounded.lines]


def test_the_lines_of_a_group_share_a_colour_and_one_entry_of_the_legend_and_groups_are_counted():
    coef = np.array([[1.0, 0.5, -0.2, 0.1], [0.7, 0.0, 0.0, 0.1], [0.0, 0.0, 0.0, 0.0]])
    names, groups = ["age", "race[b]", "race[o]", "ftv"], [7, 2, 2, -1]
    ax = plots.coefficient_path(np.array([0.1, 1.0, 10.0]), coef, names=names, groups=groups)
    age, black, other, ftv = ((line.get_color(), line.get_linestyle()) for line in ax.lines[:4])
    assert black == other
    assert len({age, black, ftv}) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["age", "race[b], race[o]", "ftv"]
    assert [label.get_text() for label in ax.child_axes[0].get_xticklabels()] == ["3", "2", "0"]
    assert ax.child_axes[0].get_xlabel() == "groups that are not 0"
    classes = np.stack([coef, -coef], axis=1)  # the classes of a column are together
    ax = plots.coefficient_path(np.array([0.1, 1.0, 10.0]), classes, names=["age", *"rrr"], groups=np.array([0, 1, 1, 1]))
    colours = [line.get_color() for line in ax.lines[:8]]
    assert colours == colours[:4] * 2
    assert colours[0] != colours[1] == colours[2] == colours[3]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["age", "r"]


def test_of_many_groups_the_largest_are_coloured_and_long_names_are_cut():
    coef = np.arange(1.0, 49.0)[None, :]
    ax = plots.coefficient_path(np.array([0.1]), coef, groups=np.repeat(np.arange(12), 4))
    styles = [(line.get_color(), line.get_linestyle()) for line in ax.lines[:48]]
    assert len(set(styles)) == 11  # the two smallest groups are grey
    assert len(set(styles[:8])) == 1
    assert all(len(set(styles[i : i + 4])) == 1 for i in range(0, 48, 4))
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == "x8 and 3 more"
    assert len(texts) == 10


def test_predictions_are_drawn_in_the_order_of_the_column_with_their_band():
    ax = plots.predicted(X[:, 0], predicted_rows(), label="model")
    (line,), (band,) = ax.lines, ax.collections
    x, p = line.get_data()
    np.testing.assert_array_equal(x, np.sort(X[:, 0]))
    np.testing.assert_array_equal(p, np.sort(predicted_rows().proba))  # it grows with the column
    corners = band.get_paths()[0].vertices[1:-1]
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [p[0] - 0.1, p[-1] + 0.1])
    plots.predicted(X[:, 0], predicted_rows(), label="again", ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["model", "again"]
    assert len({one.get_linestyle() for one in ax.lines}) == 2
    with pytest.raises(ValueError, match=r"expected x .* predictions of one model"):
        plots.predicted(X[:5, 0], predicted_rows())


def test_a_forest_of_effects_has_a_row_for_each_class_and_column():
    ends = [np.ones((3, 2)) + shift for shift in (0, -1, 1)]
    ax = plots.forest({"a": jaxlr.inference.Effects(ends[0], *[None] * 4, *ends[1:])}, ["x", "y"])
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"{name} [{k}]" for k in range(3) for name in "xy"]
    with pytest.raises(ValueError, match="one model of 3 columns for 'a'"):
        plots.forest({"a": jaxlr.inference.Effects(np.ones(2), *[None] * 4, np.ones(2), np.ones(2))}, "xyz")


def test_what_a_calibration_or_a_curve_cannot_show_is_refused():
    for options in ({"sample_weight": np.zeros(len(Y))}, {"proba": np.full(len(Y), np.nan)}):
        with pytest.raises(ValueError, match=r"expected .*(NaN or no weight|probabilities)"):
            plots.calibration(Y, **({"proba": np.full(len(Y), 0.5)} | options))
    with pytest.raises(TypeError, match="expected predictions of jaxlr"):
        inspect.unwrap(plots.predicted)(X[:, 0], np.full(len(X), 0.5))


def test_a_single_comparison_has_a_forest():
    found = jaxlr.inference.Effects(np.array(0.1), *[None] * 4, np.array(0.0), np.array(0.2))
    assert [text.get_text() for text in plots.forest({"a": found}, ["smoking"]).get_yticklabels()] == ["smoking"]
