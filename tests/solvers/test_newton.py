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
from jaxlr.solvers import newton
from jaxlr.solvers.shared import from_working, share, to_working
from tests.helpers import tolerance, x64  # noqa: F401

TOL = {np.float64: 1e-10, np.float32: 1e-5}  # of fit
EPS = float(np.finfo(np.float64).eps)


def _noisy(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal columns and labels that follow them loosely: far from separated, well conditioned."""
    X = rng.standard_normal(shape)
    z = X.sum(axis=-1) / np.sqrt(shape[-1])
    return X, (z + rng.logistic(size=z.shape) > 0).astype(float)


def _statuses(fit: jaxlr.Fit) -> set[Status]:
    return {Status(int(status)) for status in np.unique(fit.status)}


# --- units -----------------------------------------------------------------------------------------------------------------


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


def test_an_origin_far_from_the_data_costs_the_digits_of_the_data_and_no_more():
    X, y = _noisy(np.random.default_rng(2), (60, 5))
    origin = np.array([0, 1e3, -1e5, 1e7, -1e9])
    shifted = X + origin
    plain, far = jaxlr.fit(shifted - origin, y), jaxlr.fit(shifted, y)  # the same rounded columns
    assert _statuses(far) == {Status.CONVERGED}
    np.testing.assert_allclose(far.params.coef, plain.params.coef, rtol=0, atol=64 * EPS)
    assert float(far.value) == pytest.approx(float(plain.value), rel=64 * EPS * np.abs(origin).max())


# --- rank ------------------------------------------------------------------------------------------------------------------


def _rank_deficient(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A base (60, 3) with labels, and what may be written beside it without adding a direction (60, 3) each."""
    B, y = _noisy(rng, (60, 3))
    one, zero = np.ones(60), np.zeros(60)
    group = np.arange(60) % 3
    dummies = (group[:, None] == np.arange(3)).astype(float)
    B[:, 1:] = dummies[:, 1:]  # with an intercept, the full set of dummies is the base again
    beside = {
        "duplicated": B,
        "duplicated in other units": B * [1e8, 1e-8, -3.0],
        "sums": np.column_stack([B[:, 0] + B[:, 1], B[:, 0] - B[:, 2], B.sum(axis=1)]),
        "sums to rounding": np.column_stack([0.1 * B[:, 0] + 0.7 * B[:, 1], B[:, 0] / 3 - B[:, 2], B @ [0.3, 0.9, 1.1]]),
        "constant": np.column_stack([one, 1e3 * one, -0.1 * one]),
        "zero": np.column_stack([zero, zero, zero]),
        "all dummies": dummies,
        "everything": np.column_stack([B[:, 0], 0.1 * one, zero]),
    }
    return B, y, beside


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_that_add_no_direction_leave_the_minimum_where_it_was(dtype):
    B, y, beside = _rank_deficient(np.random.default_rng(3))
    B = B.astype(dtype).astype(float)
    designs = np.stack([np.hstack([B, columns]) for columns in beside.values()])
    reduced = jaxlr.fit(B, y)
    fit = jaxlr.fit(designs.astype(dtype), y)
    assert _statuses(fit) == {Status.CONVERGED}
    assert np.all(np.asarray(fit.kkt) <= TOL[dtype])
    # float32 rounds the sums: they then add a direction, in which the loss may fall by rounding times the logits.
    np.testing.assert_allclose(fit.value, float(reduced.value), rtol=tolerance(dtype, 16))
    if dtype == np.float64:
        z = jaxlr.logits(fit.params, designs)
        expected = np.broadcast_to(jaxlr.logits(reduced.params, B), z.shape)
        # The value is flat there: what is determined are the logits, to the root of its rounding at worst.
        np.testing.assert_allclose(z, expected, rtol=0, atol=np.sqrt(EPS))


def test_without_an_intercept_columns_that_add_no_direction_leave_the_minimum_where_it_was():
    B, y, beside = _rank_deficient(np.random.default_rng(4))
    names = ("duplicated", "duplicated in other units", "sums", "sums to rounding", "zero")
    designs = np.stack([np.hstack([B, beside[name]]) for name in names])
    reduced, fit = (jaxlr.fit(X, y, fit_intercept=False) for X in (B, designs))
    assert _statuses(fit) == {Status.CONVERGED}
    np.testing.assert_allclose(fit.value, float(reduced.value), rtol=16 * EPS)


def test_more_columns_than_rows_with_l2_is_the_problem_of_as_many_columns_as_rows():
    X, y = _noisy(np.random.default_rng(5), (12, 40))
    l2 = 10.0 ** np.arange(-6, 2)
    Q, R = np.linalg.qr(X.T)  # coef is in the span of the rows: coef = Q a, |coef| = |a|, X coef = R' a
    wide, small = jaxlr.fit(X, y, l2=l2), jaxlr.fit(R.T, y, l2=l2)
    assert _statuses(wide) == _statuses(small) == {Status.CONVERGED}
    assert np.all(np.asarray(wide.gap) <= TOL[np.float64] ** 2 * 40 / l2)  # strong convexity: |g|^2 / (2 l2)
    # Each is within |g| / l2 of the minimum.
    error = np.abs(np.asarray(wide.params.coef) - np.asarray(small.params.coef) @ Q.T).max(axis=1)
    assert np.all(error <= 2 * np.sqrt(40) * TOL[np.float64] / l2 + 64 * EPS)


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


@given(seed=st.integers(0, 2**32 - 1), log_size=st.floats(-2, 6), log_unit=st.floats(-3, 3))
def test_from_any_start_the_value_never_ends_above_that_of_the_start(seed, log_size, log_unit):
    rng = np.random.default_rng(seed)
    X, y = _tiny(rng, 64)
    X[32:] += rng.standard_normal((32, 7, 2))
    X *= 10**log_unit
    start = Params(10**log_size * rng.standard_normal((64, 2)), 10**log_size * rng.standard_normal(64))
    fit = jaxlr.fit(X, y, init=start)
    assert _statuses(fit) <= {Status.CONVERGED, Status.SEPARATED}
    first, last = (np.asarray(_values(params, X, y)) for params in (start, fit.params))
    assert np.all(np.isfinite(fit.params.coef))
    assert np.all(last <= first * (1 + 16 * EPS) + 16 * EPS)


def _working(X: np.ndarray, y: np.ndarray, params: Params):
    problem = Problem(X, y)
    shared = share(jnp.asarray(X), jnp.ones(X.shape[0], bool), True, False)
    return *to_working(problem, params, shared), shared


@functools.partial(jax.jit, static_argnames="max_steps")
@functools.partial(jax.vmap, in_axes=(0, 0, 0, None))
def _solve(X, y, params, max_steps):
    working, inside, shared = _working(X, y, params)
    solution = newton.solve(working, inside, jnp.asarray(1e-10), max_steps, shared)
    return from_working(solution.params, shared), solution.status, solution.num_steps


def test_every_step_decreases_the_objective():
    rng = np.random.default_rng(6)
    X, y = _tiny(rng, 256)
    X[128:] += rng.standard_normal((128, 7, 2))
    size = 10 ** rng.uniform(-1, 4, (256, 1))
    params = Params(size * rng.standard_normal((256, 2)), size[:, 0] * rng.standard_normal(256))
    value = np.asarray(_values(params, X, y))
    for _ in range(60):
        params, _, _ = _solve(X, y, params, 1)
        before, value = value, np.asarray(_values(params, X, y))
        assert np.all(value <= before * (1 + 16 * EPS) + 16 * EPS)


def test_a_limit_of_steps_ends_max_steps_at_the_iterate_of_so_many_steps():
    X, y = _noisy(np.random.default_rng(7), (256, 7, 2))
    y[:, 0], y[:, 1] = 0, 1
    params = Params(np.full((256, 2), 3.0), np.full(256, -3.0))
    step = params
    for max_steps in (1, 2, 3):
        step, _, _ = _solve(X, y, step, 1)
        fit = jaxlr.fit(X, y, init=params, max_steps=max_steps)
        counted = _solve(X, y, params, max_steps)
        assert _statuses(fit) == {Status.MAX_STEPS}
        assert set(np.unique(counted[1])) == {Status.MAX_STEPS}
        assert np.all(np.asarray(fit.num_steps) == max_steps)
        # One step after another rounds the conversion to and from working coordinates once more each.
        for found in (fit.params, counted[0]):
            for a, b in zip(found, step, strict=True):
                np.testing.assert_allclose(a, b, rtol=tolerance(np.float64, 2**12), atol=tolerance(np.float64, 2**12))


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
    X, y = _tiny(np.random.default_rng(8), 1500)
    return X, y, np.array([_separates(rows, labels, fit_intercept) for rows, labels in zip(X, y, strict=True)])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_separated_is_the_verdict_exactly_where_linear_programming_finds_a_direction(dtype, fit_intercept):
    X, y, separable = _with_verdicts(fit_intercept)
    assert 0.1 < separable.mean() < 0.9
    fit = jaxlr.fit(X.astype(dtype), y, fit_intercept=fit_intercept)
    status = np.asarray(fit.status)
    np.testing.assert_array_equal(status == Status.SEPARATED, separable)
    assert np.all(status[~separable] == Status.CONVERGED)


def test_far_starts_do_not_change_the_verdict():
    X, y, separable = _with_verdicts(True)
    rng = np.random.default_rng(9)
    size = 10 ** rng.uniform(-1, 6, (len(y), 1))
    fit = jaxlr.fit(X, y, init=Params(size * rng.standard_normal((len(y), 2)), size[:, 0] * rng.standard_normal(len(y))))
    np.testing.assert_array_equal(np.asarray(fit.status) == Status.SEPARATED, separable)
    assert np.all(np.asarray(fit.status)[~separable] == Status.CONVERGED)


def test_any_l2_on_every_column_ends_the_separation():
    X, y, _ = _with_verdicts(True)
    fit = jaxlr.fit(X, y, l2=1e-6)
    assert _statuses(fit) == {Status.CONVERGED}
    assert np.all(np.asarray(fit.gap) <= TOL[np.float64] ** 2 * 2 / 1e-6)


@pytest.mark.parametrize(("dtype", "smallest"), [(np.float64, -7), (np.float32, -3)])
def test_classes_that_overlap_by_a_hair_are_not_separated(dtype, smallest):
    """The estimate exists however small the overlap; its gradient is of the order of the overlap, which tol must resolve."""
    overlap = 10.0 ** np.arange(smallest, 0)
    x = np.array([0.0, 1, 2, 3, 3, 4, 5, 6])
    X = np.repeat(x[None], len(overlap), axis=0)
    X[:, 3] += overlap
    y = (np.arange(8) >= 4).astype(float)
    fit = jaxlr.fit(X[:, :, None].astype(dtype), y)
    assert _statuses(fit) <= {Status.CONVERGED, Status.STALLED}
    assert dtype == np.float32 or _statuses(fit) == {Status.CONVERGED}


@pytest.mark.parametrize(("dtype", "smallest"), [(np.float64, -7), (np.float32, -3)])
def test_one_row_of_little_weight_keeps_the_estimate_finite(dtype, smallest):
    weight = np.ones((-smallest, 8))
    weight[:, 3] = 10.0 ** np.arange(smallest, 0)
    X = np.array([0.0, 1, 2, 5, 3, 4, 5, 6])[:, None]
    y = (np.arange(8) >= 4).astype(float)
    fit = jaxlr.fit(X.astype(dtype), y, sample_weight=weight)
    assert _statuses(fit) <= {Status.CONVERGED, Status.STALLED}
    assert dtype == np.float32 or _statuses(fit) == {Status.CONVERGED}


# --- precision and pace ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_tol_below_the_dtype_ends_stalled_with_the_residual_that_was_reached(dtype):
    X, y = _noisy(np.random.default_rng(10), (64, 60, 5))
    fit = jaxlr.fit(X.astype(dtype), y, tol=1e-25)
    kkt, stalled = np.asarray(fit.kkt), np.asarray(fit.status) == Status.STALLED
    assert np.all(stalled | (kkt <= 1e-25))
    assert stalled.mean() > 0.9
    # The gradient is a mean of 60 terms below 1 times columns of unit size: each is rounded a few times.
    assert np.all(kkt <= tolerance(dtype, 16))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_well_conditioned_problems_take_at_most_12_steps(dtype):
    X, y = _noisy(np.random.default_rng(10), (64, 60, 5))
    fit = jaxlr.fit(X.astype(dtype), y)
    assert _statuses(fit) == {Status.CONVERGED}
    assert int(np.max(fit.num_steps)) <= 12


def test_near_the_minimum_each_step_squares_the_error():
    X, y = _noisy(np.random.default_rng(11), (64, 60, 5))
    minimum = jaxlr.fit(X, y).params

    def error(params: Params) -> np.ndarray:
        z = np.asarray(jaxlr.logits(params, X)) - np.asarray(jaxlr.logits(minimum, X))
        return np.abs(z).max(axis=1)

    params, errors = Params(np.zeros((64, 5)), np.zeros(64)), []
    for _ in range(10):
        params, _, _ = _solve(X, y, params, 1)
        errors.append(error(params))
    for before, after in itertools.pairwise(errors):
        near = before <= 0.5
        # |l'''| <= l'': a full step leaves less than the square of the largest logit error, times a condition number.
        assert np.all(after[near] <= 2 * before[near] ** 2 + 256 * EPS)
    assert np.all(errors[-1] <= 256 * EPS)


def test_soft_labels_made_by_a_model_return_it():
    rng = np.random.default_rng(12)
    X, _ = _noisy(rng, (64, 60, 5))
    coef, intercept = rng.standard_normal((64, 5)), rng.standard_normal(64)
    y = jaxlr.predict_proba(Params(coef, intercept), X)
    fit = jaxlr.fit(X, y)
    assert _statuses(fit) == {Status.CONVERGED}
    # Labels rounded to eps / 2 where the curvature is 1e-2 or more, in well-conditioned columns.
    np.testing.assert_allclose(fit.params.coef, coef, rtol=0, atol=2**12 * EPS)
    np.testing.assert_allclose(fit.params.intercept, intercept, rtol=0, atol=2**12 * EPS)


# --- structure -------------------------------------------------------------------------------------------------------------


def test_without_columns_the_intercept_is_the_log_odds():
    rng = np.random.default_rng(13)
    y, weight = rng.uniform(size=(64, 20)), rng.uniform(size=(64, 20))
    fit = jaxlr.fit(np.zeros((20, 0)), y, sample_weight=weight)
    assert _statuses(fit) == {Status.CONVERGED}
    assert fit.params.coef.shape == (64, 0)
    p = np.average(y, weights=weight, axis=1)
    np.testing.assert_allclose(fit.params.intercept, np.log(p / (1 - p)), rtol=0, atol=16 * EPS)


def test_without_an_intercept_the_fit_is_that_of_the_data_and_their_mirror_image():
    X, y = _noisy(np.random.default_rng(14), (60, 5))
    start = Params(np.ones(5), np.array(7.0))
    none = jaxlr.fit(X, y, fit_intercept=False, init=start)
    mirrored = jaxlr.fit(np.vstack([X, -X]), np.concatenate([y, 1 - y]))
    assert _statuses(none) == {Status.CONVERGED}
    assert float(none.params.intercept) == 0
    np.testing.assert_allclose(mirrored.params.intercept, 0, rtol=0, atol=16 * EPS)
    np.testing.assert_allclose(none.params.coef, mirrored.params.coef, rtol=0, atol=64 * EPS)


def test_standardize_is_the_fit_of_standardized_columns_in_the_units_of_the_data():
    rng = np.random.default_rng(15)
    X, y = _noisy(rng, (60, 5))
    X = X * 10.0 ** np.arange(-4, 6, 2) + 3
    X[:, 2] = 0.1  # constant
    weight = rng.uniform(size=60)
    mean = np.average(X, weights=weight, axis=0)
    sd = np.sqrt(np.average((X - mean) ** 2, weights=weight, axis=0))
    sd[2] = np.inf
    strengths = {"l2": 10.0 ** np.arange(-4, 2), "penalty_factor": np.array([1, 2, 1, 0.5, 3]), "sample_weight": weight}
    inside = jaxlr.fit(X, y, standardize=True, **strengths)
    outside = jaxlr.fit((X - mean) / sd, y, **strengths)
    assert _statuses(inside) == _statuses(outside) == {Status.CONVERGED}
    np.testing.assert_array_equal(inside.params.coef[:, 2], 0)
    # Columns standardized outside are rounded: 3e4 of them in the first, whose mean is 3e4 times its deviation.
    atol = tolerance(np.float64, 64) * np.abs(mean / sd).max()
    np.testing.assert_allclose(
        np.asarray(inside.params.coef)[:, sd < np.inf] * sd[sd < np.inf],
        np.asarray(outside.params.coef)[:, sd < np.inf],
        rtol=0,
        atol=atol,
    )
    np.testing.assert_allclose(inside.value, outside.value, rtol=atol)


def test_products_of_columns_prepared_once_give_the_hessian_of_each_model():
    X, y = _noisy(np.random.default_rng(16), (60, 5))
    for with_products in (False, True):
        shared = share(jnp.asarray(X), jnp.ones(60, bool), True, with_products)
        working, inside = to_working(Problem(X, y), Params(np.zeros(5), np.zeros(())), shared)
        solution = jax.jit(newton.solve, static_argnums=3)(working, inside, jnp.asarray(1e-10), 100, shared)
        assert Status(int(solution.status)) == Status.CONVERGED
        found = from_working(solution.params, shared)
        expected = jaxlr.fit(X, y).params
        np.testing.assert_allclose(found.coef, expected.coef, rtol=0, atol=64 * EPS)
        np.testing.assert_allclose(found.intercept, expected.intercept, rtol=0, atol=64 * EPS)
