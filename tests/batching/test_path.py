"""The path of penalties: the same models as one by one, in the caller's order, in fewer steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status
from jaxlr.batching.path import Strengths, extrapolate, follow

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
GRID = np.logspace(1, -5, 21)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 5))
Y = (X @ RNG.standard_normal((5, 3)) + RNG.logistic(size=(80, 3)) > 0).T.astype(float)


def models(fit):
    return np.concatenate([np.asarray(fit.params.coef), np.asarray(fit.params.intercept)[..., None]], axis=-1)


@pytest.fixture(scope="module")
def path():
    return jaxlr.fit(X, Y[:, None], l2=GRID)


@pytest.mark.slow
def test_a_path_is_the_models_one_by_one(path):
    assert bool(path.converged.all())
    # vmap does not see the path: every model starts cold.
    alone = jax.vmap(lambda l2: jaxlr.fit(X, Y, l2=l2), out_axes=1)(GRID)
    np.testing.assert_allclose(models(path), models(alone), rtol=0, atol=1e4 * EPS)
    np.testing.assert_allclose(path.value, alone.value, rtol=16 * EPS)


@pytest.mark.slow
def test_warm_starts_save_steps(path):
    steps = np.asarray(path.num_steps)
    cold = np.asarray(jax.vmap(lambda l2: jaxlr.fit(X, Y, l2=l2), out_axes=1)(GRID).num_steps)
    assert steps.mean() < 0.6 * cold.mean()
    assert np.median(steps) <= 4  # at 3 points a decade


@pytest.mark.slow
def test_a_step_that_barely_passed_the_minimum_is_not_all_but_undone():
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X, folds = (X - X.mean(axis=0)) / X.std(axis=0), (np.arange(len(y)) % 10 != np.arange(10)[:, None]).astype(float)
    fits = jaxlr.fit(X, y, sample_weight=folds[:, None], l2=np.logspace(-6, -8, 8))  # all but separated
    assert bool(fits.converged.all())
    assert np.asarray(fits.num_steps)[:, 1:].max() <= 12  # 8; 34 where the step was cut to what is proved


@pytest.mark.slow
def test_the_order_of_the_grid_does_not_matter_and_comes_back(path):
    order = np.random.default_rng(1).permutation(len(GRID))
    shuffled = jaxlr.fit(X, Y[:, None], l2=GRID[order])
    np.testing.assert_allclose(models(shuffled), models(path)[:, order], rtol=0, atol=1e4 * EPS)


@pytest.mark.slow
def test_equal_and_zero_penalties_are_points_like_others():
    repeated = jaxlr.fit(X, Y[0], l2=np.concatenate([np.zeros(2), GRID[:5], GRID[:5]]))
    assert bool(repeated.converged.all())
    np.testing.assert_allclose(models(repeated)[2:7], models(repeated)[7:], rtol=0, atol=1e4 * EPS)
    np.testing.assert_allclose(models(repeated)[:2], models(jaxlr.fit(X, Y[:2] * 0 + Y[0])), rtol=0, atol=1e4 * EPS)


@pytest.mark.slow
def test_each_lane_may_have_its_own_grid():
    grids = np.stack([GRID, GRID[::-1] * 2])
    both = jaxlr.fit(X, Y[0], l2=grids)
    for k in range(2):
        np.testing.assert_allclose(models(both)[k], models(jaxlr.fit(X, Y[0], l2=grids[k])), rtol=0, atol=1e4 * EPS)


@pytest.mark.slow
def test_a_point_that_fails_leaves_the_others_to_converge(path):
    grid = GRID.copy()
    grid[[3, 10]] = np.nan
    failed = jaxlr.fit(X, Y[:, None], l2=grid)
    status = np.asarray(failed.status)
    assert (status[:, [3, 10]] == Status.NONFINITE).all()
    others = np.delete(np.arange(len(GRID)), [3, 10])
    assert (status[:, others] == Status.CONVERGED).all()
    np.testing.assert_allclose(models(failed)[:, others], models(path)[:, others], rtol=0, atol=1e4 * EPS)


def test_a_path_goes_on_from_its_last_healthy_point():
    """With l1 a point starts where the one before it ended, unless that did not converge."""
    l1 = np.array([[1.0, 8.0, 2.0, 4.0]])  # followed from 8 down to 1

    def solve(strengths, start, carried):
        ends = strengths.l1[..., None]
        failed = strengths.l1 == 4
        status = jnp.where(failed, Status.STALLED, Status.CONVERGED)
        return start, status, jnp.where(failed[..., None], jnp.nan, ends), carried

    starts = follow(solve, Strengths(jnp.asarray(l1), jnp.zeros((1, 1))), jnp.full((1, 1, 1), 9.0), "proximal")
    np.testing.assert_array_equal(np.ravel(starts), [2, 9, 8, 8])


@pytest.mark.slow
def test_the_end_of_a_path_without_a_penalty_is_told_to_be_separated():
    fit = jaxlr.fit(X, np.stack([X[:, 0] > 0, Y[0] > 0])[:, None], l2=np.append(GRID, 0))
    assert (np.asarray(fit.status)[:, :-1] == Status.CONVERGED).all()
    assert np.asarray(fit.status)[:, -1].tolist() == [Status.SEPARATED, Status.CONVERGED]


@pytest.mark.slow
def test_a_start_is_taken_and_changes_nothing(path):
    start = Params(np.full(5, 3.0), np.float64(-1))
    np.testing.assert_allclose(models(jaxlr.fit(X, Y[:, None], l2=GRID, init=start)), models(path), rtol=0, atol=1e4 * EPS)


@pytest.mark.slow
def test_a_path_in_every_design_and_under_jit(path):
    designs = np.stack([X, X + 1])
    fit = jax.jit(jaxlr.fit)(designs[:, None], Y[0], l2=GRID)
    assert bool(fit.converged.all())
    for coef in np.asarray(fit.params.coef):
        np.testing.assert_allclose(coef, path.params.coef[0], rtol=0, atol=1e4 * EPS)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_polynomial_through_all_known_points_is_continued_exactly(degree):
    times = np.where(np.arange(4) <= degree, [1.0, 2.5, 3.0, 4.0], np.nan)
    polynomial = lambda t: np.stack([t**degree - 1, 2 * t**degree + 1], axis=-1)  # noqa: E731
    got = extrapolate(jnp.asarray(0.5), jnp.asarray(times), jnp.asarray(np.nan_to_num(polynomial(times))))
    np.testing.assert_allclose(got, polynomial(np.float64(0.5)), rtol=0, atol=64 * EPS)


@pytest.mark.parametrize("t", [-50.0, -np.inf, 0.5])
def test_where_points_coincide_or_are_far_nothing_is_guessed(t):
    rng = np.random.default_rng(10)
    times = np.array([1.0, 1.0, 3.0, 4.0]) if t == 0.5 else np.array([1.0, 2.5, 3.0, 4.0])
    solutions = rng.standard_normal((4, 2))
    np.testing.assert_array_equal(extrapolate(*map(jnp.asarray, (t, times, solutions))), solutions[0])
