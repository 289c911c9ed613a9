"""Data on which other solvers give a wrong answer with a good conscience: outliers, near collinearity, rare classes."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status, fit
from tests.fuzz.drawn import FORMS
from tests.fuzz.run import replay
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = float(np.finfo(np.float64).eps)


def _outlier(size: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    y = (rng.random(200) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    X[0, 0], y[0] = size, 1
    return X, y


@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_a_cell_far_out_does_not_hide_what_the_other_rows_say(l2):
    answers = []
    for size in (1e3, 1e6, 1e9):
        got = fit(*_outlier(size), l2=l2)
        assert Status(int(got.status)) == Status.CONVERGED
        answers.append(np.asarray(got.params.coef))
    # From 1e3 on the outlier has probability 1 to the last digit: only the other rows are left to fit.
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-9)
    np.testing.assert_allclose(answers[2], answers[0], rtol=1e-9)


@pytest.mark.slow
def test_a_cell_far_out_in_a_row_of_weight_0_is_not_there():
    X, y = _outlier(1e7)
    weight = np.ones((2, 200))
    weight[1, 0] = 0
    got, alone = fit(X, y, sample_weight=weight, l2=1e-2), fit(X[1:], y[1:], l2=1e-2)
    assert got.converged.all()
    np.testing.assert_allclose(got.params.coef[1], alone.params.coef, rtol=1e-9)


@pytest.mark.slow
def test_a_cell_far_out_does_not_stop_cross_validation():
    X, y = _outlier(1e7)
    cv = jaxlr.cross_validate(X, y, l2=np.array([1e-1, 1e-2, 1e-3]), folds=5, key=jax.random.key(0))
    assert cv.fits.converged.all()


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "distances"), [(np.float64, 10.0 ** np.arange(-15, -1)), (np.float32, [1e-5, 1e-4, 1e-3])])
def test_a_column_that_others_nearly_make_up_is_fitted_or_said_to_be_beyond_the_dtype(dtype, distances):
    rng = np.random.default_rng(0)
    a, b, e = rng.normal(size=(3, 200))
    y = (rng.random(200) < 1 / (1 + np.exp(-a - 0.7 * e))).astype(int)
    lowest = float(fit(np.stack([a, b, e], axis=1), y).value)
    for distance in distances:
        X = np.stack([a, b, a + b + distance * e], axis=1).astype(dtype)
        got = fit(X, y)
        if Status(int(got.status)) == Status.CONVERGED:
            # The columns are rounded: e is known to eps / distance, and below 64 eps it is taken for their rounding.
            known = distance > 64 * np.finfo(dtype).eps
            assert not known or float(got.value) <= lowest + 1e-3
        else:
            assert Status(int(got.status)) == Status.STALLED


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "rate"), [(np.float64, 1e-6), (np.float64, 1e-10), (np.float32, 1e-4), (np.float32, 1e-6)])
def test_a_rare_class_is_not_a_separated_one(dtype, rate):
    X = np.array([[0], [1], [0], [1]], dtype)
    got = fit(X, [0, 0, 1, 1], sample_weight=np.array([1, 1, rate, rate]))
    assert Status(int(got.status)) == Status.CONVERGED
    # The last step moved the intercept by at most sqrt(tol): half the square of that is left.
    assert float(got.params.intercept) == pytest.approx(np.log(rate), abs=1e-10 if dtype == np.float64 else 1e-5)
    again = fit(X, [0, 0, 1, 1], sample_weight=np.array([1, 1, rate, rate]), init=got.params)
    assert Status(int(again.status)) == Status.CONVERGED


def test_a_class_however_rare_has_its_log_odds_or_a_limit_of_steps_that_came_first():
    """Both classes have the same rows: the coefficient is 0, with a penalty or without, and the intercept log(rate)."""
    rates = 10.0 ** -np.array([2, 6, 10, 13.6, 16, 20])
    weights = np.array([1, 1, 0, 0]) + rates[:, None] * np.array([0, 0, 1, 1])
    penalties = np.array([[0.0], [1.0]])
    got = fit([[0.0], [1], [0], [1]], [0, 0, 1, 1], sample_weight=weights, l2=penalties, max_steps=32)
    assert not np.any(got.params.coef)
    off = np.abs(np.asarray(got.params.intercept) - np.log(rates))
    # A step takes one off the logit: 27 to a rate of 1e-10. The last one before CONVERGED is squared.
    assert np.asarray(got.status).tolist() == 2 * [3 * [Status.CONVERGED] + 3 * [Status.MAX_STEPS]]
    assert np.all(off[:, :3] <= 1e-10)


def test_the_gap_covers_what_rounding_of_an_intercept_far_from_the_data_leaves():
    rng = np.random.default_rng(1)
    X, y = np.round(64 * rng.normal(size=(200, 3))) / 64, rng.integers(0, 2, 200)
    near, origin = fit(X, y, l2=1e-2), 2.0**36  # X + origin is exact
    for turn in ([1, 1, 1], [1, -1, 1], [-1, 0, 1], [0, 0, -1]):
        shift = origin * np.array(turn)
        far = fit(X + shift, y, l2=1e-2)
        coef = np.asarray(far.params.coef)
        terms = (Fraction(a) * Fraction(b) for a, b in zip(coef, shift, strict=True))
        intercept = sum(terms, Fraction(float(far.params.intercept)))
        z = X @ coef + float(intercept)
        J = np.mean(np.logaddexp(0, z) - y * z) + 5e-3 * coef @ coef
        assert J - float(near.value) <= float(far.gap) + 8 * EPS


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "rest"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_labels_smoothed_by_a_hair_have_an_estimate(dtype, rest):
    got = fit(np.array([[0], [1]], dtype), np.array([rest, 1 - rest]))
    assert Status(int(got.status)) == Status.CONVERGED
    expected = 2 * np.log((1 - rest) / rest)
    # 1 - rest is rounded, by eps / 2 of rest.
    assert float(got.params.coef[0]) == pytest.approx(expected, rel=float(np.finfo(dtype).eps) / rest)


@pytest.mark.slow
@pytest.mark.parametrize("standardize", quick([False, True], True))
@pytest.mark.parametrize(
    ("dtype", "unit"), [(np.float32, 1e-30), (np.float32, 1e30), (np.float64, 1e-200), (np.float64, 1e200)]
)
def test_units_near_the_ends_of_the_dtype_change_nothing(dtype, unit, standardize):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    l2 = 0.1 if standardize else 0.0
    plain, scaled = (fit((X * scale).astype(dtype), y, l2=l2, standardize=standardize) for scale in (1, unit))
    assert plain.converged
    assert scaled.converged
    # X * unit is rounded anew, by eps / 2 each.
    rtol, atol = 1e3 * np.finfo(dtype).eps, 1e2 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(scaled.params.coef, float) * unit, plain.params.coef, rtol=rtol, atol=atol)


@pytest.mark.slow
def test_values_that_only_tracers_get_past_the_checks_are_invalid():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    weight = np.where(np.arange(60) < 5, -1.0, 1.0)
    calls = (
        jax.jit(lambda l2: fit(X, y, l2=l2))(-1e-3),
        jax.jit(lambda weight: fit(X, y, sample_weight=weight, l2=0.1))(weight),
        jax.jit(lambda y: fit(X, y, l2=0.1))(2 * y - 1),
        jax.jit(lambda tol: fit(X, y, l2=0.1, tol=tol))(jnp.nan),
    )
    assert [Status(int(got.status)) for got in calls] == [Status.INVALID] * 4


RARE = {
    "newton_cg": {"l2": 0.1, "solver": "newton_cg"},
    "lasso": {"l1": 0.1},
    "newton": {"l2": 0.1},
    "three classes": {"num_classes": 3, "l1": 0.01},
    "two classes": {"num_classes": 2},
}


def _share(fit, X, is_rare, weights, rare):
    """Probability of the rare class over its weight, which an intercept makes 1 at the minimum."""
    p = np.asarray(jaxlr.predict_proba(fit.params, X), float)
    return np.sum(weights * (p if p.ndim == 1 else p[:, rare])) / np.sum(weights * is_rare)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", quick([np.float32, np.float64], np.float32))
@pytest.mark.parametrize("name", quick(RARE, "newton_cg", "three classes"))
def test_a_class_of_next_to_no_weight_has_its_intercept_or_no_converged(name, dtype):
    """Beside penalized columns a small gradient says nothing about the intercept of a class rarer than about 100 tol."""
    options = RARE[name]
    X, is_rare = np.random.default_rng(1).normal(size=(60, 3)).astype(dtype), np.arange(60) < 25
    rare = options.get("num_classes", 2) - 1
    y = np.where(is_rare, rare, np.arange(60) % max(rare, 1))
    weights = np.where(is_rare, 10.0 ** -np.array([[5], [8], [12], [16], [22], [30], [36]]), 1)
    fits = jaxlr.fit(X, y, sample_weight=weights, **options)
    converged = np.asarray(fits.converged)
    assert converged[: 2 if dtype == np.float64 else 1].all()
    for k in np.flatnonzero(converged):
        # A Newton step that moves no logit by more than 1e-2 leaves at most that, and steps square it.
        assert _share(jax.tree.map(lambda leaf, k=k: leaf[k], fits), X, is_rare, weights[k], rare) == pytest.approx(1, abs=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_intercept_alone_of_labels_near_0_is_their_logit_or_not_converged(dtype):
    labels = 10.0 ** -np.array([5, 10, 20, 25, 30, 36])
    fits = jaxlr.fit(np.zeros((20, 0), dtype), np.broadcast_to(labels[:, None], (6, 20)).astype(dtype))
    converged = np.asarray(fits.converged)
    assert converged.sum() >= (6 if dtype == np.float64 else 4)
    np.testing.assert_allclose(np.asarray(fits.params.intercept)[converged], np.log(labels)[converged], rtol=0, atol=1e-4)


def _hidden_row(distance, seed):
    """Two columns that one row alone tells apart, by which it is separated, and a third one."""
    rng = np.random.default_rng(seed)
    a, e = rng.normal(size=(2, 40))
    y = (rng.random(40) < 1 / (1 + np.exp(-a - e))).astype(float)
    y[0] = 1
    return np.column_stack([a, a + distance * (np.arange(40) == 0), e]), y


@pytest.mark.slow
@pytest.mark.parametrize("solver", quick(["newton", "newton_cg", "proximal"], "newton"))
@pytest.mark.parametrize("dtype", quick([np.float64, np.float32], np.float64))
def test_a_row_that_its_offset_has_settled_does_not_hide_that_it_separates(solver, dtype):
    """Found by the fuzzer: the Newton step along the difference was 0 instead of 1, by the jitter of the factor."""
    cases = [(d, size, seed) for d in (1.0, 0.1, 0.01) for size in (0, 10, 20, 30, 40, 60, 100, 1000) for seed in range(3)]
    X, y = (np.stack(parts).astype(dtype) for parts in zip(*(_hidden_row(d, seed) for d, _, seed in cases), strict=True))
    offset = np.array([size for _, size, _ in cases], dtype)[:, None] * (np.arange(40) == 0).astype(dtype)
    assert jaxlr.separation(X[0], y[0]) == "quasi"
    assert not np.any(fit(X, y, offset=offset, solver=solver).converged)
    # Without the copy that row is settled, and its offset says nothing wrong.
    assert np.all(fit(X[..., [0, 2]], y, offset=offset, solver=solver).converged)


@pytest.mark.slow
@pytest.mark.parametrize("solver", quick(["newton", "newton_cg", "proximal"], "newton"))
def test_nor_does_a_row_that_a_start_far_away_has_settled(solver):
    sizes = 10.0 ** np.array([0, 1, 2, 3, 4, 6])
    cases = [(d, size, seed) for d in (1.0, 0.1, 0.01, 1e-4) for size in sizes for seed in range(3)]
    X, y = (np.stack(parts) for parts in zip(*(_hidden_row(d, seed) for d, _, seed in cases), strict=True))
    start = np.array([size for _, size, _ in cases])[:, None] * [1.0, 2.0, 3.0]
    assert not np.any(fit(X, y, init=Params(start, np.zeros(len(start))), solver=solver).converged)
    # The estimate of all other rows is found from there, and again from itself.
    found = fit(X[..., [0, 2]], y, init=Params(start[:, [0, 2]], np.zeros(len(start))), solver=solver)
    assert np.all(found.converged)
    assert np.all(fit(X[..., [0, 2]], y, init=found.params, solver=solver).converged)


@pytest.mark.slow
def test_a_row_of_several_classes_does_not_either():
    X, y = _hidden_row(0.1, 0)
    labels = np.where(np.arange(40) % 3 == 2, 2, y).astype(int)
    labels[0] = 1
    offset = np.zeros((40, 3))
    offset[0, 1] = 60
    assert Status(int(fit(X, labels, num_classes=3, offset=offset).status)) == Status.STALLED
    assert bool(fit(X[:, [0, 2]], labels, num_classes=3, offset=offset).converged)


def test_a_step_that_saturates_every_row_ends_in_no_minimum():
    """Separated, by the linear program of the fuzzer: a step past the outlier leaves residuals of 1e-281, whose curvature is
    under the least of the dtype. The next step was 1e-131 for about a logit, its square 0 like lambda, and CONVERGED."""
    X = np.array([[-1.0800914066212821, -0.8276949766025145], [-196093.31882324140, -275.74796377552718],
                  [0.8175893230330334, 0.9093894930888412], [-1.2547477139888590, 1.8710302047620722]])  # fmt: skip
    offset = np.array([7.089618236677514, -6.79344231005602, 14.096165848208024, 5.708437377430695])
    got = fit(X, np.array([0, 1, 0, 0]), sample_weight=np.array([3.0, 1, 1, 2]), offset=offset)
    assert float(got.value) < 1e-100
    assert Status(int(got.status)) in (Status.SEPARATED, Status.STALLED)


def test_saturated_rows_of_the_wrong_class_hide_no_separation():
    """Coefficients at their bounds put all rows beyond 1,000 logits, two of them on the wrong side: the slope of the intercept
    is 0 to the last digit and so is its curvature, no column may move any further, and no class is separated."""
    first = [-3.5853886468065964e-04, -3.4990529166633899e-04, -3.6038925198136131e-04, -3.6827566030768965e-04, -3.69333e-04]
    second = [9180.508978093465, -5208.409232966910, -5738.413895105731, -4681.432514756127, 10210.405075826347]
    X, upper = np.stack([first, second], axis=1), np.array([0.1, 0.25])
    got = fit(X, np.array([0, 1, 1, 0, 0]), lower=np.array([-np.inf, 0.25]), upper=upper)
    np.testing.assert_array_equal(got.params.coef, upper)
    assert float(got.kkt) == 0
    assert Status(int(got.status)) == Status.STALLED


@pytest.mark.parametrize("solver", ["newton_cg", "newton", "proximal"])
def test_the_step_that_decides_is_newtons(solver):
    """Separated by two columns without a penalty, and many more logits for most rows than for three: conjugate gradients that
    end once the gradient is small made a step of less than 1e-2 logits where Newton's has a thousand."""
    X = np.array(
        [
            [0.594, -1.191, 0.199, 0.299, -0.665, 0.031, -1.387, -0.837, -0.789, -0.071, -0.394],
            [0.226, -0.664, -0.423, -1.423, 1.328, -0.917, -0.512, -0.287, -1.461, -0.813, -1.096],
            [-1.441, -1.115, 0.285, -0.064, -0.084, 0.502, -1.411, 1.104, 0.298, -0.004, 0.37],
        ]
    ).T
    y = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1])
    offset = np.array([0.138, -0.185, 0.58, -0.207, 0.316, 0.578, 0.269, -0.474, -0.236, -1.028, 0.029])
    got = fit(X, y, offset=offset, l2=3.3e-5, penalty_factor=np.array([1.9, 0, 0]), solver=solver)
    assert Status(int(got.status)) == Status.SEPARATED


def test_steps_that_grow_shorter_as_lambda_falls_show_no_separation():
    """A row of 5e7 logits, for a cell far out: the jitter leaves two thirds of the way at each step, and of all logits it is
    that row's which moves by more than 0.1 to the end. A minimum exists, by a linear program and in 80-bit arithmetic."""
    drawn = replay(44, 84, FORMS[37 * 84 % len(FORMS)], 250)
    X, y, s, factor = (part[240] for part in (drawn.X, drawn.y, drawn.weight, drawn.factor))
    assert X[2, 1] == pytest.approx(-130680.405, abs=1e-3)
    got = fit(X, y, sample_weight=s, offset=drawn.offset[240], l2=drawn.l2[240], penalty_factor=factor, solver="proximal")
    assert Status(int(got.status)) in (Status.CONVERGED, Status.STALLED)
    assert float(got.kkt) < 1e-10


@pytest.mark.parametrize("solver", ["newton", "newton_cg", "proximal"])
def test_rows_of_little_weight_forbid_a_separation(solver):
    """Not separated, by linear programming: six steps of a logit each improve all rows but one, of the weight 2e-10."""
    X = [[-2.0, -2], [-2, -1], [2, 2], [1, -2], [1, 1], [0, -2], [0, 0], [-2, 1]]
    s = [1.7579e-10, 4.5165e-2, 1.4437e-2, 4.373e-11, 2.9306e-7, 4.9858e-9, 1.3008e-8, 1.5153e-3]
    got = fit(np.array(X), np.array([0, 1, 0, 1, 1, 1, 1, 1]), sample_weight=np.array(s), solver=solver)
    assert Status(int(got.status)) in (Status.CONVERGED, Status.STALLED)


def test_rows_of_little_weight_forbid_a_separation_of_several_classes():
    """A class against another as above, a third one of rows of both kinds."""
    X = [[-2.0, -2], [-2, -1], [2, 2], [1, -2], [1, 1], [0, -2], [0, 0], [-2, 1], [1, -1], [-1, 1], [1, 1], [-1, -1]]
    s = [1.7579e-10, 4.5165e-2, 1.4437e-2, 4.373e-11, 2.9306e-7, 4.9858e-9, 1.3008e-8, 1.5153e-3, 1e-2, 1e-2, 1e-2, 1e-2]
    y = np.array([0, 1, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    got = fit(np.array(X), y, sample_weight=np.array(s), num_classes=3)
    assert Status(int(got.status)) in (Status.CONVERGED, Status.STALLED)


@pytest.mark.parametrize("solver", ["newton", "newton_cg", "proximal"])
def test_a_step_that_saturates_the_rows_of_a_direction_ends_in_no_minimum(solver):
    """Separated, by linear programming: a step for the rows of the weight 1e-8 went 5,000 logits far, after which nothing was
    left to go on for, and CONVERGED."""
    X = [[1.0, 2], [2, -2], [-2, 1], [2, 1], [2, 0], [2, -2], [-2, -2], [-1, 1]]
    s = [4.058535507779154e-08, 4.666713257269101e-09, 1.6034487968399386e-10, 1.84730214700338e-11, 2.8730174930139022e-11,
         0.07232233077068535, 0.07435750701191567, 5.61129831786267e-07]  # fmt: skip
    got = fit(np.array(X), np.array([0, 1, 1, 1, 1, 1, 1, 0]), sample_weight=np.array(s), solver=solver)
    assert Status(int(got.status)) in (Status.SEPARATED, Status.STALLED)


@pytest.mark.parametrize("solver", ["newton", "newton_cg"])
def test_what_a_penalized_column_takes_part_in_is_no_separation(solver):
    """The columns without a penalty do not separate the classes (by linear programming), all together do: until the penalty of
    one is felt, where the gradient is 1e-10, steps are as long as under separation."""
    X = [[-29831.79, -2678.14, 2538.506], [-25761.7, 5715.98, 2515.995], [-28405.23, -974.04, 2414.047],
         [-29682.5, -8341.63, 2698.869], [-25901.4, 9294.64, 2615.059], [-28690.17, -1353.62, 2553.117],
         [-19933.31, -941.61, 2731.613], [-25808.62, -4260.96, 2605.274], [-25690.11, 7317.38, 2645.81],
         [-19710.24, 339.15, 2744.662], [-29190.5, 4037.59, 2505.114], [-28258.76, 8905.37, 2783.555]]  # fmt: skip
    y, factor = np.array([0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0]), np.array([0, 0.1134, 0])
    got = fit(np.array(X), y, l2=1.37e-4, penalty_factor=factor, solver=solver)
    assert got.converged
    best = minimum(np.array(X), y, 1.37e-4 * factor)
    np.testing.assert_allclose(np.append(got.params.coef, got.params.intercept), best, rtol=1e-6)  # known to 1e-10 of a logit


def minimum(X, y, l2):
    """By Newton's method in 60 digits."""
    with mpmath.workdps(60):
        A = mpmath.matrix(np.c_[X - X.mean(axis=0), np.ones(len(X))].tolist())
        m, k = A.rows, A.cols
        ridge, x = mpmath.diag([*map(mpmath.mpf, l2.tolist()), mpmath.mpf(0)]), mpmath.zeros(k, 1)
        R = mpmath.mpf(1)
        while R > 1e-20:
            p = [1 / (1 + mpmath.exp(-z)) for z in A * x]
            g = A.T * mpmath.matrix([(p[i] - int(y[i])) / m for i in range(m)]) + ridge * x
            H = A.T * mpmath.diag([p[i] * (1 - p[i]) / m for i in range(m)]) * A + ridge
            step = mpmath.lu_solve(H, g)
            R = max(map(abs, A * step))
            x = x - step * mpmath.log(1 + R) / R
        coef = np.array([float(value) for value in x])
    return np.append(coef[:-1], coef[-1] - X.mean(axis=0) @ coef[:-1])
