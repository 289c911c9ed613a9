"""folds="loo": approximate held-out logits of all rows against the models of the other rows, its laws, its refusals."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, cross_validate, fit, inference, metrics

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
NEAR = 0.02  # relative, of the approximation
M, N = 120, 5
RNG = np.random.default_rng(0)
X = RNG.standard_normal((M, N)) * [1, 5, 0.2, 2, 1] + [0, 3, 1, 0, 0]
SCORE = X @ [1, -0.2, 2, 0, 0] - 1
Y = (SCORE + RNG.logistic(size=M) > 0).astype(float)
LABELS = np.digitize(SCORE + RNG.logistic(size=M), [-1, 1])
S = RNG.integers(0, 4, M).astype(float)
L2 = np.array([1.0, 0.1, 0.01])
METRICS = ("log_loss", "accuracy", "brier", "roc_auc", "average_precision")


def refitted(y, sample_weight=None, **options):
    """The log loss of every row under the model of all the others, by its weight."""
    s = np.ones(M) if sample_weight is None else sample_weight
    l1, l2 = (np.asarray(options.pop(name, 0.0), float) for name in ("l1", "l2"))
    grid = np.broadcast_shapes(l1.shape, l2.shape)
    axes = tuple(range(1, 1 + len(grid)))
    fits = fit(X, y, sample_weight=np.expand_dims((1 - np.eye(M)) * s, axes), l1=l1, l2=l2, **options)
    assert np.asarray(fits.converged)[s > 0].all()
    z = np.einsum("i...n,in->i...", np.asarray(fits.params.coef), X) + np.asarray(fits.params.intercept)
    if options.get("offset") is not None:
        z = z + np.expand_dims(options["offset"], axes)
    if options.get("num_classes"):
        z = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
        loss = -np.take_along_axis(z, np.expand_dims(y, (*axes, len(grid) + 1)), axis=-1)[..., 0]
    else:
        loss = np.logaddexp(0, z) - np.expand_dims(y, axes) * z
    return np.average(loss, axis=0, weights=s)


CASES = {
    "ridge": {},
    "lasso": {"l1": L2 / 10, "l2": 0.0},
    "weights": {"sample_weight": S},
    "elastic net on a grid": {"l1": np.array([[0.05], [0.001]])},
    "penalty factor": {"penalty_factor": np.array([0, 1, 2, 1, 0.5])},
    "standardized": {"standardize": True, "sample_weight": S},
    "standardized elastic net": {"standardize": True, "l1": 0.01, "penalty_factor": np.array([0, 1, 2, 1, 0.5])},
    "offset": {"offset": SCORE / 2},
    "no intercept": {"fit_intercept": False, "standardize": True},
    "classes": {"y": LABELS, "num_classes": 3},
    "classes, lasso": {"y": LABELS, "num_classes": 3, "l1": 0.01},
    "classes, standardized": {"y": LABELS, "num_classes": 3, "standardize": True},
}
QUICK = ("ridge", "standardized elastic net")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_the_held_out_loss_is_near_that_of_exact_refits(name):
    case = {"y": Y, "l2": L2} | CASES[name]
    got = cross_validate(X, folds="loo", refit=False, **case)
    expected = refitted(**case)
    np.testing.assert_allclose(got.mean["log_loss"], expected, rtol=NEAR)
    # The chosen penalty is as good as the best one, as far as the approximation can tell.
    assert expected[got.best] <= expected.min() * (1 + NEAR)


@pytest.fixture(scope="module")
def cv():
    return cross_validate(X, Y, l2=L2, folds="loo", sample_weight=S, metrics=METRICS)


@pytest.mark.slow
def test_scores_are_those_of_the_held_out_logits_of_all_rows(cv):
    alone = fit(X, Y, l2=L2, sample_weight=S)
    z = np.asarray(inference.leave_one_out(alone, Problem(X, Y, S, l2=L2)).logits)
    expected = {
        "log_loss": metrics.log_loss(Y, z, sample_weight=S),
        "accuracy": metrics.accuracy(Y, z >= 0, sample_weight=S),
        "brier": metrics.brier(Y, jaxlr.sigmoid(z), sample_weight=S),
        "roc_auc": metrics.roc_auc(Y, z, sample_weight=S),
        "average_precision": metrics.average_precision(Y, z, sample_weight=S),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(cv.mean[name], value, rtol=1e-9, err_msg=name)  # two fits, each to tol
        np.testing.assert_array_equal(cv.scores[name][0], cv.mean[name])


@pytest.mark.slow
def test_the_standard_error_is_that_of_a_mean_over_rows_and_nan_for_rankings(cv):
    plain = cross_validate(X, Y, l2=L2, folds="loo", refit=False)
    z = np.asarray(inference.leave_one_out(fit(X, Y, l2=L2), Problem(X, Y, l2=L2)).logits)
    loss = np.logaddexp(0, z) - Y * z
    np.testing.assert_allclose(plain.standard_error["log_loss"], loss.std(axis=1, ddof=1) / np.sqrt(M), rtol=1e-9)
    for name in ("roc_auc", "average_precision"):
        assert np.isnan(cv.standard_error[name]).all()
    # Under weights: the delta method of a ratio of two sums, each row one draw.
    z = np.asarray(inference.leave_one_out(fit(X, Y, l2=L2, sample_weight=S), Problem(X, Y, S, l2=L2)).logits)
    brier, m = (1 / (1 + np.exp(-z)) - Y) ** 2, np.sum(S > 0)
    off = (S * (brier - np.average(brier, axis=1, weights=S)[:, None]))[:, S > 0]
    np.testing.assert_allclose(cv.standard_error["brier"], off.std(axis=1, ddof=1) * np.sqrt(m) / S.sum(), rtol=1e-9)


@pytest.mark.slow
def test_the_fits_are_the_grid_on_all_rows_and_the_refit_is_one_of_them(cv):
    assert cv.fits.status.shape == (1, 3)
    assert cv.folds == "loo"
    assert str(cv).startswith("leave-one-out x 3 penalties")
    alone = fit(X, Y, l2=L2, sample_weight=S)
    np.testing.assert_allclose(cv.fits.params.coef[0], alone.params.coef, rtol=0, atol=1e-9)
    np.testing.assert_allclose(cv.refit.params.coef, alone.params.coef[cv.best], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_the_unit_of_the_weights_the_order_of_rows_and_rows_without_weight_do_not_matter(cv):
    order = RNG.permutation(np.flatnonzero(S > 0))
    other = cross_validate(X[order], Y[order], l2=L2, folds="loo", sample_weight=S[order] / 7, metrics=METRICS)
    for name in METRICS:
        np.testing.assert_allclose(other.mean[name], cv.mean[name], rtol=1e-9)
        np.testing.assert_allclose(other.standard_error[name], cv.standard_error[name], rtol=1e-9)


@pytest.mark.slow
def test_a_row_is_held_out_with_all_its_weight():
    """Not so a copy of it, beside which the others stay: twice the row is better predicted than a row of weight 2."""
    twice = cross_validate(np.vstack([X, X]), np.hstack([Y, Y]), l2=L2, folds="loo", refit=False).mean["log_loss"]
    doubled = cross_validate(X, Y, l2=L2, folds="loo", sample_weight=np.full(M, 2.0), refit=False).mean["log_loss"]
    once = cross_validate(X, Y, l2=L2, folds="loo", refit=False).mean["log_loss"]
    np.testing.assert_allclose(doubled, once, rtol=1e-9)
    assert (np.asarray(twice) < np.asarray(once)).all()


@pytest.mark.slow
def test_a_constant_column_changes_nothing_where_columns_are_standardized():
    options = {"l1": 0.01, "l2": L2, "folds": "loo", "standardize": True, "refit": False}
    with_one = cross_validate(np.column_stack([X, np.full(M, 3.0)]), Y, **options)
    np.testing.assert_allclose(with_one.mean["log_loss"], cross_validate(X, Y, **options).mean["log_loss"], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("penalties", [{"l2": L2}, {"l1": L2 / 10}], ids=["l2", "l1"])
def test_many_more_columns_than_rows_are_served_as_if_all_were_in_the_hessian(penalties):
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((40, 5000))
    y = (wide[:, :3].sum(axis=1) + rng.logistic(size=40) > 0).astype(float)
    wide /= wide.std(axis=0)
    assert np.isfinite(cross_validate(wide, y, folds="loo", refit=False, **penalties).mean["log_loss"]).all()
    few = wide[:, :300]
    got = cross_validate(few, y, folds="loo", standardize=True, refit=False, **penalties)
    whole = inference.leave_one_out(fit(few, y, **penalties), Problem(few, y, **penalties, penalty_factor=np.ones(300)))
    np.testing.assert_allclose(got.mean["log_loss"], whole.log_loss, rtol=1e-8)  # tol over the least l2


@pytest.mark.slow
def test_tables_and_float32_are_served():
    pd = pytest.importorskip("pandas")
    table = cross_validate(pd.DataFrame(X, columns=list("abcde")), pd.Series(Y), l2=L2, folds="loo")
    assert table.fits.names == tuple("abcde")
    single = cross_validate(X.astype(np.float32), Y, l2=L2, folds="loo", standardize=True)
    double = cross_validate(X, Y, l2=L2, folds="loo", standardize=True)
    assert single.mean["log_loss"].dtype == np.float32
    np.testing.assert_allclose(single.mean["log_loss"], double.mean["log_loss"], rtol=1e-4)  # tol of float32 is 1e-5


@pytest.mark.slow
def test_what_did_not_converge_has_no_score_and_is_not_chosen():
    separated = (X[:, 0] > 0).astype(float)
    with pytest.warns(UserWarning, match="1 of 2 penalties lack a log_loss: the choice is among the others"):
        got = cross_validate(X, separated, l2=np.array([0.0, 0.1]), folds="loo", metrics=("accuracy",))
    assert int(got.fits.status[0, 0]) == Status.SEPARATED
    assert np.isnan(got.mean["accuracy"][0])
    assert got.best == got.one_se == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": "lo"}, "an integer, \"loo\" or weights .*, got 'lo'"),
        ({"select": "roc_auc", "rule": "one_se"}, 'rule "best" to select by roc_auc'),
        (
            {"X": np.ones((M, 5000)), "penalty_factor": np.ones(5000)},
            "at most 4096 coefficients .*, got 5000: .* pass folds=10",
        ),
        ({"X": np.ones((M, 2000)), "num_classes": 3, "l1": np.array([0, 0.1, 0.1]), "y": LABELS}, "got 6000"),
        ({"l2": np.array([-1.0])}, "expected l2 >= 0"),
    ],
)
def test_what_cannot_be_served_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        cross_validate(**({"X": X, "y": Y, "l2": L2, "folds": "loo"} | changes))


def test_no_key_is_asked_for_and_one_changes_nothing():
    plain, keyed = (cross_validate(X, Y, l2=L2, folds="loo", key=key, refit=False) for key in (None, jax.random.key(1)))
    np.testing.assert_array_equal(plain.mean["log_loss"], keyed.mean["log_loss"])
