"""What is Newton's own: any scale, any rank and any start, and a verdict that linear programming confirms."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import jaxlr
from jaxlr import Params, Problem, Status
from jaxlr.model.certificates import standard_units
from jaxlr.model.likelihood import Binary
from jaxlr.solvers import newton
from jaxlr.solvers.system import system_of
from jaxlr.solvers.working import from_working, prepare, working_problem
from tests.helpers import quick, tolerance

pytestmark = pytest.mark.usefixtures("x64")

TOL = {np.float64: 1e-10, np.float32: 1e-5}  # of fit
EPS = float(np.finfo(np.float64).eps)
ZERO = Params(np.zeros((64, 6)), np.zeros(64))  # most batches are (64, 60, 6) with a start: one compilation
FAR = 1024  # models of 7 rows and 2 columns in each batch with starts


def _noisy(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal columns and labels that follow them loosely: far from separated, well conditioned."""
    X = rng.standard_normal(shape)
    z = X.sum(axis=-1) / np.sqrt(shape[-1])
    return X, (z + rng.logistic(size=z.shape) > 0).astype(float)


def _statuses(fit: jaxlr.Fit) -> set[Status]:
    return {Status(int(status)) for status in np.unique(fit.status)}


# --- units -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_powers_of_two_as_units_change_nothing_but_the_units_of_the_answer(fit_intercept):
    X, y = _noisy(np.random.default_rng(0), (60, 5))
    unit = 2.0 ** np.array([-27, -13, 0, 13, 27])  # 1e-8 to 1e8; products with them are exact
    plain, scaled = (jaxlr.fit(design, y, fit_intercept=fit_intercept) for design in (X, X * unit))
    assert _statuses(scaled) == {Status.CONVERGED}
    np.testing.assert_array_equal(np.asarray(scaled.params.coef) * unit, plain.params.coef)
    np.testing.assert_array_equal(scaled.params.intercept, plain.params.intercept)
    assert (float(scaled.value), float(scaled.kkt)) == (float(plain.value), float(plain.kkt))
    assert int(scaled.num_steps) == int(plain.num_steps)


def test_columns_of_1e_minus_8_beside_columns_of_1e8_converge_to_the_same_predictions():
    X, y = _noisy(np.random.default_rng(1), (60, 5))
    unit = np.array([1e-8, 1e-4, 1.0, 1e4, 1e8])
    plain, scaled = jaxlr.fit(X, y), jaxlr.fit(X * unit, y)
    assert _statuses(scaled) == {Status.CONVERGED}
    # Each entry of X * unit is rounded once, by eps / 2: that moves a well-conditioned estimate by a few times as much.
    np.testing.assert_allclose(np.asarray(scaled.params.coef) * unit, plain.params.coef, rtol=0, atol=64 * EPS)
    np.testing.assert_allclose(jaxlr.logits(scaled.params, X * unit), jaxlr.logits(plain.params, X), rtol=0, atol=64 * EPS)


def test_an_origin_away_from_the_data_costs_the_digits_of_the_intercept_and_no_more():
    X, y = _noisy(np.random.default_rng(2), (60, 5))
    for origin, status in (
        (np.array([0, 10, -1e2, 1e3, -1e4]), Status.CONVERGED),
        (np.array([0, 1e3, -1e5, 1e7, -1e9]), Status.STALLED),  # the intercept as rounded for the caller misses tol
    ):
        shifted = X + origin
        plain, far = jaxlr.fit(shifted - origin, y), jaxlr.fit(shifted, y)  # the same rounded columns
        assert _statuses(far) == {status}
        np.testing.assert_allclose(far.params.coef, plain.params.coef, rtol=0, atol=64 * EPS)
        # The intercept contains origin . coef, rounded; the gradient moves by no more than the logits.
        assert float(far.kkt) <= 4 * EPS * np.abs(origin).max()


# --- rank ------------------------------------------------------------------------------------------------------------------


def _rank_deficient(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A base (60, 3) with labels, and what may be written beside it without adding a direction (60, 3) each."""
    B, y = _noisy(rng, (60, 3))
    one, zero = np.ones(60), np.zeros(60)
    dummies = (np.arange(60)[:, None] % 3 == np.arange(3)).astype(float)
    B[:, 1:] = dummies[:, 1:]  # with an intercept, the full set of dummies is the base again
    return (
        B,
        y,
        {
            "duplicated": B,
            "duplicated in other units": B * [1e8, 1e-8, -3.0],
            "sums": np.column_stack([B[:, 0] + B[:, 1], B[:, 0] - B[:, 2], B.sum(axis=1)]),
            "sums to rounding": B @ np.array([[0.1, 0.7, 0], [1 / 3, 0, -1], [0.3, 0.9, 1.1]]).T,
            "constant": np.column_stack([one, 1e3 * one, -0.1 * one]),
            "zero": np.column_stack([zero, zero, zero]),
            "all dummies": dummies,
            "everything": np.column_stack([B[:, 0], 0.1 * one, zero]),
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_that_add_no_direction_leave_the_minimum_where_it_was(dtype):
    bases, designs, labels = [], [], []
    for seed in range(8):
        B, y, beside = _rank_deficient(np.random.default_rng(seed))
        bases.append(B.astype(dtype).astype(float))
        designs += [np.hstack([B, columns]).astype(dtype) for columns in beside.values()]
        labels.append(y)
    reduced = jaxlr.fit(np.stack(bases), np.stack(labels))
    fit = jaxlr.fit(np.stack(designs), np.repeat(labels, 8, axis=0), init=ZERO)
    assert _statuses(reduced) == _statuses(fit) == {Status.CONVERGED}
    assert np.all(np.asarray(fit.kkt) <= TOL[dtype])
    # float32 rounds the sums: they then add a direction, in which the loss may fall by rounding times the logits.
    np.testing.assert_allclose(fit.value, np.repeat(reduced.value, 8), rtol=tolerance(dtype, 16))
    if dtype == np.float64:
        z = jaxlr.logits(fit.params, np.stack(designs))
        expected = np.repeat(jaxlr.logits(reduced.params, np.stack(bases)), 8, axis=0)
        # The value is flat there: what is determined are the logits, to the root of its rounding at worst.
        np.testing.assert_allclose(z, expected, rtol=0, atol=np.sqrt(EPS))


@pytest.mark.slow
def test_without_an_intercept_columns_that_add_no_direction_leave_the_minimum_where_it_was():
    names = ("duplicated", "duplicated in other units", "sums", "sums to rounding", "zero")
    for seed in range(4):
        B, y, beside = _rank_deficient(np.random.default_rng(seed))
        designs = np.stack([np.hstack([B, beside[name]]) for name in names])
        fit = jaxlr.fit(designs, y, fit_intercept=False)
        assert _statuses(fit) == {Status.CONVERGED}
        np.testing.assert_allclose(fit.value, float(fit.value[names.index("zero")]), rtol=16 * EPS)


@pytest.mark.slow
def test_more_columns_than_rows_with_l2_reach_the_minimum_within_the_span_of_the_rows():
    X, y = _noisy(np.random.default_rng(5), (12, 40))
    l2 = 10.0 ** np.arange(-6, 2)
    fit = jaxlr.fit(X, y, l2=l2)
    assert _statuses(fit) == {Status.CONVERGED}
    assert np.all(np.asarray(fit.gap) <= TOL[np.float64] ** 2 * 40 / l2)  # strong convexity: |g|^2 / (2 l2)
    Q, _ = np.linalg.qr(X.T)
    coef = np.asarray(fit.params.coef)
    # Outside the span only the penalty acts: l2 coef is the gradient there, under tol a column.
    assert np.all(np.abs(coef - coef @ Q @ Q.T).max(axis=1) <= np.sqrt(40) * TOL[np.float64] / l2)


# --- starts ----------------------------------------------------------------------------------------------------------------


@jax.jit
@jax.vmap
def _values(params, X, y):
    return jaxlr.loss(params, Problem(X, y))


def _tiny(rng: np.random.Generator, count: int, m: int = 7, n: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Tiny integer data, both classes present: about a third each overlapping, quasi and completely separated."""
    X = rng.integers(-2, 3, (count, m, n)).astype(float)
    y = rng.integers(0, 2, (count, m)).astype(float)
    y[:, 0], y[:, 1] = 0, 1
    return X, y


def _starts(rng: np.random.Generator, size: float | np.ndarray) -> Params:
    size = np.broadcast_to(size, FAR)
    return Params(size[:, None] * rng.standard_normal((FAR, 2)), size * rng.standard_normal(FAR))


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), log_size=st.floats(-2, 6), log_unit=st.floats(-3, 3))
def test_from_any_start_the_value_never_ends_above_that_of_the_start(seed, log_size, log_unit):
    rng = np.random.default_rng(seed)
    X, y = _tiny(rng, FAR)
    X[::2] += rng.standard_normal((FAR // 2, 7, 2))
    X *= 10**log_unit
    start = _starts(rng, 10**log_size)
    fit = jaxlr.fit(X, y, init=start)
    first, last = (np.asarray(_values(params, X, y)) for params in (start, fit.params))
    assert np.all(np.isfinite(fit.params.coef))
    assert np.all(last <= first + _rounding(start, X) + _rounding(fit.params, X))


def _rounding(params: Params, X: np.ndarray) -> np.ndarray:
    """What a value may be off by: each logit is rounded in units of its largest term, and the loss has slope 1 at most."""
    terms = np.abs(X) @ np.abs(params.coef)[..., None]
    return 4 * EPS * (1 + terms.max(axis=(1, 2)) + np.abs(params.intercept))


def _single_step(X: np.ndarray, y: np.ndarray, params: Params) -> Params:
    return jaxlr.fit(X, y, init=params, max_steps=1).params


@pytest.mark.slow
def test_every_step_decreases_the_objective():
    rng = np.random.default_rng(6)
    X, y = _tiny(rng, FAR)
    X[::2] += rng.standard_normal((FAR // 2, 7, 2))
    params = _starts(rng, 10 ** rng.uniform(-1, 4, FAR))
    value = np.asarray(_values(params, X, y))
    for _ in range(60):
        rounding = _rounding(params, X)
        params = _single_step(X, y, params)
        before, value = value, np.asarray(_values(params, X, y))
        assert np.all(value <= before + rounding + _rounding(params, X))


@pytest.mark.slow
def test_a_limit_of_steps_ends_max_steps_with_a_step_that_needed_no_proof():
    X, y = _noisy(np.random.default_rng(7), (FAR, 7, 2))
    y[:, 0], y[:, 1] = 0, 1
    start = Params(np.full((FAR, 2), 3.0), np.full(FAR, -3.0))
    for max_steps in range(1, 4):
        fit = jaxlr.fit(X, y, init=start, max_steps=max_steps)
        assert _statuses(fit) == {Status.MAX_STEPS}
        assert set(np.unique(fit.num_steps)) == {max_steps}
        assert np.all(np.asarray(fit.value) < np.asarray(_values(start, X, y)))


# --- separation ------------------------------------------------------------------------------------------------------------


def _separates(X: np.ndarray, y: np.ndarray, fit_intercept: bool) -> bool:
    """Whether some direction d has (2 y - 1) z >= 0 in every row and > 0 in one (Konis 2007), by linear programming.

    Maximize the sum of the margins, each in [0, 1]: a direction can be scaled until its largest margin is 1, so that the
    optimum is 0 or at least 1.
    """
    A = np.column_stack([X, np.ones(len(y))]) if fit_intercept else X
    signed = (2 * y - 1)[:, None] * A
    bounds = np.concatenate([np.ones(len(y)), np.zeros(len(y))])
    program = linprog(-signed.sum(axis=0), A_ub=np.vstack([signed, -signed]), b_ub=bounds, bounds=(None, None))
    assert program.status == 0
    return -program.fun > 0.5


@functools.cache
def _with_verdicts(fit_intercept: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = _tiny(np.random.default_rng(8), FAR)
    return X, y, np.array([_separates(rows, labels, fit_intercept) for rows, labels in zip(X, y, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "fit_intercept"),
    [(np.float64, True), (np.float32, True), pytest.param(np.float64, False, marks=pytest.mark.slow)],
)
def test_separated_is_the_verdict_exactly_where_linear_programming_finds_a_direction(dtype, fit_intercept):
    X, y, separable = _with_verdicts(fit_intercept)
    assert 0.1 < separable.mean() < 0.9
    fit = jaxlr.fit(X.astype(dtype), y, fit_intercept=fit_intercept, init=_starts(np.random.default_rng(0), 0))
    status = np.asarray(fit.status)
    np.testing.assert_array_equal(status == Status.SEPARATED, separable)
    assert np.all(status[~separable] == Status.CONVERGED)


@pytest.mark.parametrize("size", [1.0, 10.0, 100.0, 1e4, 1e6])
def test_no_start_changes_the_verdict(size):
    """Far out along a separating direction neither gradient nor curvature is left: that is no proof of a minimum."""
    X, y, separable = _with_verdicts(True)
    status = np.asarray(jaxlr.fit(X, y, init=_starts(np.random.default_rng(9), size)).status)
    hidden = np.flatnonzero(separable & (status == Status.CONVERGED))
    assert not hidden.size, f"{hidden.size} CONVERGED from starts of size {size} on separated data: {hidden[:8]}"
    assert not np.any(status[~separable] == Status.SEPARATED)
    if size <= 100:
        assert np.all(status[separable] == Status.SEPARATED)
        assert np.all(status[~separable] == Status.CONVERGED)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", quick([np.float64, np.float32], np.float64))
def test_separated_data_never_converge_when_the_fit_goes_on_from_where_it_stopped(dtype):
    """A dummy column whose three rows have one class beside columns with estimates: its coefficient goes to infinity."""
    X, y = _noisy(np.random.default_rng(17), (64, 60, 6))
    X[..., 0] = (np.cumsum(y, axis=1) <= 3) & (y == 1)
    params = ZERO
    for _ in range(5):
        fit = jaxlr.fit(X.astype(dtype), y, init=params)
        assert _statuses(fit) <= {Status.SEPARATED, Status.STALLED}
        assert np.any(params.coef) or _statuses(fit) == {Status.SEPARATED}
        params = fit.params


@pytest.mark.slow
def test_any_l2_on_every_column_ends_the_separation():
    X, y, _ = _with_verdicts(True)
    fit = jaxlr.fit(X, y, l2=1e-6, init=_starts(np.random.default_rng(0), 1))
    assert _statuses(fit) == {Status.CONVERGED}
    assert np.all(np.asarray(fit.gap) <= TOL[np.float64] ** 2 * 2 / 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "smallest"), [(np.float64, -7), (np.float32, -3)])
def test_classes_that_overlap_by_a_hair_or_by_a_row_of_little_weight_are_not_separated(dtype, smallest):
    """The estimate exists however small the overlap; the gradient far out is of its order, which tol must resolve."""
    small = 10.0 ** np.arange(smallest, 0)
    x = np.tile([0.0, 1, 2, 3, 3, 4, 5, 6], (2, len(small), 1))
    y = (np.arange(8) >= 4).astype(float)
    weight = np.ones_like(x)
    x[0, :, 3] += small
    x[1, :, 3], weight[1, :, 3] = 5, small
    fit = jaxlr.fit(x[..., None].astype(dtype), y, sample_weight=weight)
    # float32: tol is within two digits of the dtype, which may end above it.
    assert _statuses(fit) <= ({Status.CONVERGED} if dtype == np.float64 else {Status.CONVERGED, Status.STALLED})


# --- precision and pace ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_tol_below_the_dtype_ends_stalled_with_the_residual_that_was_reached(dtype):
    X, y = _noisy(np.random.default_rng(10), (64, 60, 6))
    fit = jaxlr.fit(X.astype(dtype), y, init=ZERO, tol=1e-25)
    kkt, stalled = np.asarray(fit.kkt), np.asarray(fit.status) == Status.STALLED
    assert np.all(stalled | (kkt <= 1e-25))
    assert stalled.mean() > 0.9
    # The gradient is a mean of 60 terms below 1 times columns of unit size: each is rounded a few times.
    assert np.all(kkt <= tolerance(dtype, 16))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_well_conditioned_problems_take_at_most_12_steps(dtype):
    X, y = _noisy(np.random.default_rng(10), (64, 60, 6))
    fit = jaxlr.fit(X.astype(dtype), y, init=ZERO)
    assert _statuses(fit) == {Status.CONVERGED}
    assert int(np.max(fit.num_steps)) <= 12


@pytest.mark.slow
def test_near_the_minimum_each_step_squares_the_error():
    X, y = _noisy(np.random.default_rng(11), (64, 60, 6))
    minimum = jaxlr.fit(X, y, init=ZERO).params

    def error(params: Params) -> np.ndarray:
        z = np.asarray(jaxlr.logits(params, X)) - np.asarray(jaxlr.logits(minimum, X))
        return np.abs(z).max(axis=1)

    params, errors = ZERO, []
    for _ in range(16):  # a last step that needs no proof moves 1 to log(1 + R) logits
        params = _single_step(X, y, params)
        errors.append(error(params))
    for before, after in itertools.pairwise(errors):
        near = before <= 0.5
        # |l'''| <= l'': a full step leaves less than the square of the largest logit error, times a condition number.
        assert np.all(after[near] <= 2 * before[near] ** 2 + 256 * EPS)
    assert np.all(errors[-1] <= 256 * EPS)


@pytest.mark.slow
def test_soft_labels_made_by_a_model_return_it():
    rng = np.random.default_rng(12)
    X, _ = _noisy(rng, (64, 60, 6))
    coef, intercept = rng.standard_normal((64, 6)), rng.standard_normal(64)
    y = jaxlr.predict_proba(Params(coef, intercept), X)
    fit = jaxlr.fit(X, y, init=ZERO)
    assert _statuses(fit) == {Status.CONVERGED}
    # Labels rounded to eps / 2 where the curvature is 1e-2 or more, in well-conditioned columns.
    np.testing.assert_allclose(fit.params.coef, coef, rtol=0, atol=2**12 * EPS)
    np.testing.assert_allclose(fit.params.intercept, intercept, rtol=0, atol=2**12 * EPS)


# --- structure -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_columns_the_intercept_is_the_log_odds():
    rng = np.random.default_rng(13)
    y, weight = rng.uniform(size=(64, 20)), rng.uniform(size=(64, 20))
    fit = jaxlr.fit(np.zeros((20, 0)), y, sample_weight=weight)
    assert _statuses(fit) == {Status.CONVERGED}
    assert fit.params.coef.shape == (64, 0)
    p = np.average(y, weights=weight, axis=1)
    np.testing.assert_allclose(fit.params.intercept, np.log(p / (1 - p)), rtol=0, atol=16 * EPS)


def test_without_an_intercept_the_fit_is_that_of_the_data_and_their_mirror_image():
    X, y = _noisy(np.random.default_rng(14), (30, 5))
    none = jaxlr.fit(np.vstack([X, X]), np.concatenate([y, y]), fit_intercept=False)  # twice: the same mean loss
    mirrored = jaxlr.fit(np.vstack([X, -X]), np.concatenate([y, 1 - y]))
    assert _statuses(none) == _statuses(mirrored) == {Status.CONVERGED}
    assert float(none.params.intercept) == 0
    np.testing.assert_allclose(mirrored.params.intercept, 0, rtol=0, atol=16 * EPS)
    np.testing.assert_allclose(none.params.coef, mirrored.params.coef, rtol=0, atol=64 * EPS)


@pytest.mark.slow
def test_standardize_is_the_fit_of_standardized_columns_in_the_units_of_the_data():
    rng = np.random.default_rng(15)
    X, y = _noisy(rng, (60, 5))
    X = X * 10.0 ** np.arange(-4, 6, 2) + 3
    X[:, 2] = 0.1  # constant
    weight = rng.uniform(size=60)
    mean = np.average(X, weights=weight, axis=0)
    sd = np.sqrt(np.average((X - mean) ** 2, weights=weight, axis=0))
    sd[2] = np.inf
    strengths = {"l2": 1e-2, "penalty_factor": np.array([1, 2, 1, 0.5, 3]), "sample_weight": weight}
    inside = jaxlr.fit(X, y, standardize=True, **strengths)
    outside = jaxlr.fit((X - mean) / sd, y, **strengths)
    assert _statuses(inside) == _statuses(outside) == {Status.CONVERGED}
    varies = np.isfinite(sd)
    assert inside.params.coef[2] == 0
    # The columns standardized outside are rounded: where the mean is 3e4 deviations, to so many eps.
    atol = 64 * EPS * np.abs(mean / sd).max()
    np.testing.assert_allclose((inside.params.coef * sd)[varies], outside.params.coef[varies], rtol=0, atol=atol)
    np.testing.assert_allclose(inside.value, outside.value, rtol=atol)


@pytest.mark.slow
def test_products_of_columns_prepared_once_give_the_hessian_of_each_model():
    X, y = _noisy(np.random.default_rng(16), (60, 5))
    flipped = np.where(np.eye(60, dtype=bool)[:32], 1 - y, y)
    with_products = jaxlr.fit(X, np.vstack([y, flipped]))  # several models on one design
    alone = jaxlr.fit(X, y)
    assert _statuses(with_products) == {Status.CONVERGED}
    np.testing.assert_allclose(with_products.params.coef[0], alone.params.coef, rtol=0, atol=64 * EPS)
    np.testing.assert_allclose(with_products.params.intercept[0], alone.params.intercept, rtol=0, atol=64 * EPS)
    for k in (1, 17, 32):
        single = jaxlr.fit(X, flipped[k - 1])
        np.testing.assert_allclose(with_products.params.coef[k], single.params.coef, rtol=0, atol=64 * EPS)


@pytest.mark.slow
def test_the_solver_itself_is_a_pure_function_of_one_problem_in_working_coordinates():
    X, y = _noisy(np.random.default_rng(16), (60, 5))
    working = prepare(jnp.asarray(X), jnp.ones(60, bool), True)
    inner = working_problem(Problem(X, y), working, None)
    system = system_of(inner, working, standard_units(inner), Binary(), False)
    solution = jax.jit(lambda tol: newton.solve(system, None, tol, 100))(jnp.asarray(TOL[np.float64]))
    assert Status(int(solution.status)) == Status.CONVERGED
    found, expected = from_working(solution.params, working, Params), jaxlr.fit(X, y)
    assert int(solution.num_steps) == int(expected.num_steps)
    np.testing.assert_allclose(found.coef, expected.params.coef, rtol=0, atol=16 * EPS)
    np.testing.assert_allclose(found.intercept, expected.params.intercept, rtol=0, atol=16 * EPS)


@pytest.mark.slow
def test_no_model_whose_next_step_moves_a_logit_by_more_than_a_hundredth_is_converged():
    """Of one class in ten thousand the gradient is under a loose tol long before the intercept, log(q / (1 - q)), is there."""
    y, weights, exact = np.array([0, 1]), np.array([1 - 1e-4, 1e-4]), np.log(1e-4 / (1 - 1e-4))
    early = 0
    for max_steps in range(1, 13):
        found = jaxlr.fit(np.zeros((2, 0)), y, sample_weight=weights, tol=1e-3, max_steps=max_steps, solver="newton")
        off = abs(float(found.params.intercept) - exact)
        early += float(found.kkt) <= 1e-3 and off > 0.02
        # Newton's step for it, (p - q) / (p (1 - p)), is off to second order: from within 1e-2 by 1e-4.
        assert int(found.status) == Status.MAX_STEPS or off <= 1.01e-2
    assert early


def test_steps_that_jitter_makes_short_are_no_sign_of_separation():
    """Found by the fuzzer, in float32: two columns 0.005 apart, of which one has an l2 of 2e-8; the estimate is at 1260."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12))
    X = np.column_stack([b, a, a + 0.005 * rng.normal(size=12)]).astype(np.float32)
    y = (rng.random((64, 12)) < 1 / (1 + np.exp(-2 * a))).astype(np.float32)
    factor = np.array([0, 0, 1], np.float32)
    lower = jaxlr.fit(X.astype(float), y.astype(float), l2=2e-8, penalty_factor=factor.astype(float))
    status = np.asarray(jaxlr.fit(X, y, l2=np.float32(2e-8), penalty_factor=factor).status)
    has_minimum = np.asarray(lower.converged)
    assert has_minimum.sum() > 20
    assert not np.any(has_minimum & (status == Status.SEPARATED))
