"""Cross-validation against the loop that it replaces; what did not converge is never chosen."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Fit, Params, Problem, Status, cross_validate, fit
from jaxlr.metrics.measures import measures
from jaxlr.model.likelihood import likelihood_of
from jaxlr.selection.relaxed import relaxed
from jaxlr.selection.scores import choose

EPS = np.finfo(np.float64).eps
M, N, K = 60, 3, 5
RNG = np.random.default_rng(3)
X = RNG.normal(size=(M, N))
Y = (RNG.random(M) < 1 / (1 + np.exp(-X @ [1.5, -1.0, 0.0]))).astype(float)
S = RNG.integers(1, 4, M).astype(float)
L2 = np.array([1.0, 0.1, 0.01, 1e-3])
FOLDS = (RNG.permutation(M)[None, :] % K != np.arange(K)[:, None]).astype(float)
METRICS = ("log_loss", "accuracy", "roc_auc")


@pytest.fixture(scope="module")
def cv():
    return cross_validate(X, Y, l2=L2, folds=FOLDS, sample_weight=S, metrics=METRICS)


def test_scores_are_those_of_the_rows_that_each_fold_holds_out(cv):
    assert cv.fits.status.shape == (K, 4)
    for i in (0, K - 1):
        rows = FOLDS[i] == 0
        for j in (0, 3):
            one = fit(X[~rows], Y[~rows], sample_weight=S[~rows], l2=L2[j])
            z = np.asarray(jaxlr.logits(one.params, X[rows]))
            expected = {
                "log_loss": np.average(np.logaddexp(0, z) - Y[rows] * z, weights=S[rows]),
                "accuracy": np.average((z >= 0) == Y[rows], weights=S[rows]),
                "roc_auc": float(jaxlr.metrics.roc_auc(Y[rows], z, sample_weight=S[rows])),
            }
            for name, value in expected.items():
                assert abs(float(cv.scores[name][i, j]) - value) <= 1e-8  # two fits, each to tol 1e-10 over a curvature of 1e-2


def test_mean_and_standard_error_are_over_folds(cv):
    for name in METRICS:
        scores = np.asarray(cv.scores[name])
        np.testing.assert_allclose(np.asarray(cv.mean[name]), scores.mean(0), rtol=10 * EPS)
        np.testing.assert_allclose(np.asarray(cv.standard_error[name]), scores.std(0, ddof=1) / np.sqrt(K), rtol=100 * EPS)


def test_best_is_the_lowest_loss_and_one_se_the_strongest_penalty_within_one_standard_error(cv):
    mean, error = np.asarray(cv.mean["log_loss"]), np.asarray(cv.standard_error["log_loss"])
    best = int(np.argmin(mean))
    close = mean <= mean[best] + error[best]
    assert cv.best == (best,)
    assert cv.one_se == (int(np.argmax(np.where(close, L2, -np.inf))),)


def test_one_standard_error_is_that_of_the_best_penalty_and_what_is_nan_is_never_chosen():
    goodness, error = np.array([np.nan, -1.2, -1.09, -1.0, -1.5]), np.array([0.9, 0.9, 0.9, 0.1, 0.9])
    assert choose(goodness, error, np.array([5.0, 4.0, 3.0, 2.0, 1.0])) == ((3,), (2,))  # -1.2 is two errors from the best
    assert choose(np.full(2, np.nan), np.ones(2), np.ones(2)) == (None, None)


def test_the_error_of_a_mean_over_rows_is_their_deviation_over_the_root_of_their_number():
    hits, s = np.array([1, 1, 0, 1, 0, 0]), np.array([2.0, 2.0, 2.0, 2.0, 2.0, 0.0])  # five rows, whatever the weight of each
    error = jax.jit(measures(likelihood_of(None))["accuracy"].error)(np.ones(6, int), hits - 0.5, s)
    np.testing.assert_allclose(error, np.std(hits[:5], ddof=1) / np.sqrt(5), rtol=8 * EPS)


def test_a_blend_with_a_refit_that_failed_has_its_status_where_that_counts():
    zero = np.zeros(1)

    def of(status, coef):
        return Fit(params=Params(np.full((1, 2), coef), zero), value=zero, kkt=zero, gap=zero,
                   status=np.full(1, status, np.int32), num_steps=np.ones(1, np.int32), solver="proximal")  # fmt: skip

    penalized, alone = of(Status.CONVERGED, 1.0), of(Status.SEPARATED, 9.0)
    data = Problem(RNG.normal(size=(9, 2)), np.arange(9) % 2)
    found = relaxed(lambda **_: alone, penalized, np.array([1.0, 0.5]), {}, None, data)
    assert found.status.tolist() == [Status.CONVERGED, Status.SEPARATED]
    assert found.params.coef.tolist() == [[1, 1], [5, 5]]


def test_the_choice_does_not_depend_on_the_order_of_the_grid(cv):
    other = cross_validate(X, Y, l2=L2[::-1], folds=FOLDS, sample_weight=S)
    assert L2[::-1][other.best] == L2[cv.best]
    assert L2[::-1][other.one_se] == L2[cv.one_se]


@pytest.mark.parametrize("rule", ["best", "one_se"])
def test_the_refit_is_the_fit_of_all_rows_at_the_chosen_penalty(rule):
    got = cross_validate(X, Y, l2=L2, folds=FOLDS, rule=rule)
    expected = fit(X, Y, l2=L2[got.best if rule == "best" else got.one_se])
    np.testing.assert_allclose(np.asarray(got.refit.params.coef), np.asarray(expected.params.coef), rtol=100 * EPS)
    assert cross_validate(X, Y, l2=L2, folds=FOLDS, refit=False).refit is None


def test_more_is_better_for_accuracy_and_auc():
    for name in ("accuracy", "roc_auc"):
        got = cross_validate(X, Y, l2=L2, folds=FOLDS, select=name, refit=False)
        assert got.best == (int(np.argmax(np.asarray(got.mean[name]))),)


def test_a_number_of_folds_is_stratified_and_follows_the_key():
    one, same, other = (
        cross_validate(X, Y, l2=L2, folds=K, key=jax.random.key(i), refit=False).scores["log_loss"] for i in (0, 0, 1)
    )
    assert np.array_equal(np.asarray(one), np.asarray(same))
    assert not np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.slow
def test_a_grid_may_have_any_shape():
    got = cross_validate(X, Y, l2=L2.reshape(2, 2), folds=FOLDS)
    assert got.fits.status.shape == (K, 2, 2)
    assert len(got.best) == len(got.one_se) == 2
    single = cross_validate(X, Y, l2=0.1, folds=FOLDS)
    assert single.best == single.one_se == ()
    assert single.mean["log_loss"].shape == ()


@pytest.mark.slow
def test_a_model_that_did_not_converge_scores_nan_and_its_penalty_is_not_chosen():
    separated = (X[:, 0] > 0).astype(float)  # without a penalty there is no estimate
    with pytest.warns(UserWarning, match="among the others"):
        got = cross_validate(X, separated, l2=np.array([0.0, 0.1]), folds=FOLDS)
    assert np.asarray(got.fits.status)[:, 0].tolist() == [Status.SEPARATED] * K
    assert np.isnan(np.asarray(got.scores["log_loss"])[:, 0]).all()
    assert got.best == got.one_se == (1,)


@pytest.mark.slow
def test_where_nothing_can_be_chosen_a_warning_says_so_and_the_fits_are_kept():
    separated = (X[:, 0] > 0).astype(float)
    with pytest.warns(UserWarning, match="nothing is chosen"):
        got = cross_validate(X, separated, l2=np.array([0.0]), folds=FOLDS)
    assert (got.best, got.one_se, got.refit) == (None, None, None)
    assert got.fits.status.shape == (K, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": "accuracy"}, r'write \("accuracy",\)'),
        ({"folds": 5, "key": 0}, "key"),
        ({"y": np.where(Y == 1, "yes", "no")}, "pass y == 'yes'"),
    ],
)
def test_bad_types_are_refused(changes, message):
    with pytest.raises(TypeError, match=message):
        cross_validate(**({"X": X, "y": Y, "l2": L2, "folds": FOLDS} | changes))


@pytest.mark.slow
def test_a_penalty_that_is_out_of_the_choice_is_said_to_be():
    separated = (X[:, 0] > 0).astype(float)
    with pytest.warns(UserWarning, match="1 of 2 penalties lack a log_loss in some fold: the choice is among the others"):
        got = cross_validate(X, separated, l2=np.array([0.0, 0.1]), folds=FOLDS)
    assert got.best == (1,)


@pytest.mark.slow
def test_a_grid_of_l1_and_l2_chooses_a_pair_and_the_strongest_within_one_standard_error():
    l1, l2 = np.array([0.1, 0.01, 1e-3])[:, None], np.array([0.1, 1e-3])
    got = cross_validate(X, Y, l1=l1, l2=l2, folds=FOLDS, rule="one_se")
    assert got.fits.status.shape == (K, 3, 2)
    assert bool(got.fits.converged.all())
    mean, error = np.asarray(got.mean["log_loss"]), np.asarray(got.standard_error["log_loss"])
    assert got.best == np.unravel_index(np.argmin(mean), mean.shape)
    close = mean <= mean[got.best] + error[got.best]
    i, j = got.one_se
    assert close[i, j]
    assert l1[i, 0] + l2[j] == np.max((l1 + l2)[close])
    expected = fit(X, Y, l1=l1[i, 0], l2=l2[j])
    np.testing.assert_allclose(np.asarray(got.refit.params.coef), np.asarray(expected.params.coef), rtol=100 * EPS)


@pytest.mark.slow
def test_the_path_of_glmnet_goes_in_as_it_is():
    got = cross_validate(X, Y, folds=FOLDS, standardize=True, **jaxlr.glmnet_path(X, Y, num_strengths=8))
    assert got.fits.status.shape == (K, 8)
    assert bool(got.fits.converged.all())


@pytest.mark.slow
def test_options_reach_the_fits():
    got = cross_validate(X * [1, 10, 100], Y, l2=L2, folds=FOLDS, standardize=True, penalty_factor=np.ones(N), refit=False)
    plain = cross_validate(X, Y, l2=L2, folds=FOLDS, standardize=True, refit=False)
    np.testing.assert_allclose(np.asarray(got.mean["log_loss"]), np.asarray(plain.mean["log_loss"]), rtol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 5}, "expected a key"),
        ({"folds": FOLDS[:, :-1]}, r"weights \(k, 60\), .* got ndarray of shape \(5, 59\)"),
        ({"folds": np.ones((2, M))}, "every fold to hold out rows"),
        ({"metrics": ("mse",)}, "expected metrics among log_loss, .*, got 'mse'"),
        ({"rule": "min"}, "expected rule"),
        ({"l2": np.array([-1.0])}, "expected l2 >= 0"),
        ({"X": X[None]}, "got batch axes"),
        ({"sample_weight": np.ones((K, M))}, "got batch axes"),
        ({"penalty_factor": np.ones((4, N))}, "got batch axes"),
        ({"offset": np.zeros((4, M))}, "got batch axes"),
        ({"X": X[:50]}, "last axis 50"),
        ({"y": Y * 0.8 + 0.1, "folds": "loo"}, "got soft labels; pass folds=10 and a key"),
        ({"folds": [(np.arange(50), np.arange(50, 60))] * 2}, "0 where a row is held out"),
        ({"folds": np.where(FOLDS == 0, np.nan, 1)}, "finite weights >= 0 in folds"),
    ],
)
def test_bad_input_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        cross_validate(**({"X": X, "y": Y, "l2": L2, "folds": FOLDS} | changes))


# --- more than two classes --------------------------------------------------------------------------------------------------

LABELS = (np.asarray(X)[:, 0] > -0.4).astype(int) + (np.asarray(X)[:, 0] + np.asarray(X)[:, 1] > 0.5)


@pytest.mark.slow
def test_multinomial_models_are_scored_on_the_rows_held_out():
    cv = cross_validate(X, LABELS, num_classes=3, l2=L2, folds=FOLDS, metrics=("accuracy", "brier"))
    for k in (0, len(FOLDS) - 1):
        one = jaxlr.fit(X, LABELS, num_classes=3, sample_weight=FOLDS[k], l2=L2[-1])
        out = np.asarray(FOLDS[k]) == 0
        proba = np.asarray(jaxlr.predict_proba(one.params, np.asarray(X)[out]))
        truth = np.eye(3)[LABELS[out]]
        expected = {
            "log_loss": -np.log(proba[truth == 1]).mean(),
            "accuracy": (proba.argmax(1) == LABELS[out]).mean(),
            "brier": ((proba - truth) ** 2).sum(1).mean(),
        }
        for name, value in expected.items():
            assert float(cv.scores[name][k, -1]) == pytest.approx(value, rel=1e-6)  # both converged to tol
    assert cv.refit.params.coef.shape == (3, np.shape(X)[1])


def test_metrics_and_labels_of_more_classes_are_checked():
    with pytest.raises(ValueError, match=r"expected metrics among log_loss, accuracy, brier, .*, got 'average_precision'"):
        cross_validate(X, LABELS, num_classes=3, l2=L2, folds=FOLDS, metrics=("average_precision",))
    with pytest.raises(ValueError, match="or soft labels in"):
        cross_validate(X, LABELS, l2=L2, folds=FOLDS)


@pytest.mark.parametrize("num_classes", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_soft_labels_are_scored_as_the_hard_ones_they_stand_for(num_classes):
    rng, K = np.random.default_rng(0), num_classes or 2
    design, trials = rng.normal(size=(40, 2)), rng.integers(1, 9, 40)
    shares = rng.dirichlet(np.ones(K), 40)
    soft = shares[:, 1] if num_classes is None else shares
    names = ("log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "roc_auc")
    folds = (np.arange(40) % 4 != np.arange(4)[:, None]) * 1.0
    options = {"l2": np.array([1e-1, 1.0]), "metrics": names, "num_classes": num_classes}
    cv = cross_validate(design, soft, sample_weight=trials, folds=folds, **options)
    of_each = {"sample_weight": (trials * shares.T).ravel(), "folds": np.tile(folds, K)}
    hard = cross_validate(np.tile(design, (K, 1)), np.repeat(np.arange(K), 40), **of_each, **options)
    assert cv.best == hard.best
    for name in names:  # the models are converged to a residual of tol
        np.testing.assert_allclose(cv.mean[name], hard.mean[name], rtol=1e-6)
        np.testing.assert_allclose(cv.standard_error[name], hard.standard_error[name], rtol=1e-5, atol=1e-9)
    drawn = cross_validate(design, soft, sample_weight=trials, folds=4, key=jax.random.key(0), **options)
    assert np.all(np.isfinite(drawn.scores["log_loss"]))
