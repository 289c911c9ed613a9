"""Absolute penalties: exact zeros, proved minima, whatever the design; the laws of the core hold as for the smooth penalty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr import Params, Problem, Status
from jaxlr.testing import problems
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

TOL = 1e-10  # of fit in float64
M, N = 40, 6
RNG = np.random.default_rng(0)
X = RNG.standard_normal((M, N))
Y = (X @ [2.0, -1.0, 0.5, 0, 0, 0] + RNG.logistic(size=M) > 0).astype(float)
GRID = np.geomspace(0.2, 1e-4, 9)

fit = jax.jit(jaxlr.fit, static_argnames=("fit_intercept", "standardize"))  # of traced l1: one program for all values
certificates = jax.jit(lambda params, problem: (jaxlr.kkt_residual(params, problem), jaxlr.duality_gap(params, problem)))


def both(fit):
    return np.append(np.asarray(fit.params.coef), np.asarray(fit.params.intercept))


# --- every design -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(problem=problems(l1=st.sampled_from([1e-4, 2.0**-7, 0.125, 1.0]), weighted=True, penalized=True))
def test_every_penalized_problem_ends_converged_at_a_point_that_meets_its_conditions(problem):
    fields = {name: value for name, value in vars(problem).items() if name not in ("X", "y")}
    found = fit(problem.X, problem.y, **fields)
    assert Status(int(found.status)) == Status.CONVERGED
    kkt, gap = certificates(found.params, problem)
    # The residual divides by the deviation of a column, 1/64 of its center at the least, so that rounding counts 256 times.
    assert float(kkt) <= TOL + 256 * np.finfo(float).eps
    assert 0 <= float(gap) <= 1e-7
    assert float(found.value) <= float(jaxlr.loss(Params(0 * problem.X[0], np.float64(0)), problem))


def designs():
    rng = np.random.default_rng(1)
    free = rng.standard_normal((M, N))
    repeated, opposite = free.copy(), free.copy()
    repeated[:, 3:], opposite[:, 3:] = free[:, :3], -free[:, :3]
    constant = free.copy()
    constant[:, 0], constant[:, 1] = 3, 0
    return {
        "free": free,
        "repeated": repeated,
        "opposite": opposite,
        "constant": constant,
        "correlated": 1e-3 * free + rng.standard_normal((M, 1)),
        "scales": free * 10.0 ** np.arange(-6, 6, 2),
        "heavy tails": rng.standard_cauchy((M, N)),
        "one hot": np.eye(N)[rng.integers(0, N, M)],
    }


@pytest.mark.slow
def test_hard_designs_of_one_batch_all_converge_down_to_a_tiny_strength():
    stacked = np.stack(list(designs().values()))
    found = jaxlr.fit(stacked[:, None], Y, l1=np.append(GRID, 1e-6), standardize=True)
    assert bool(found.converged.all())
    assert np.asarray(found.gap).max() <= 1e-8
    coef = dict(zip(designs(), np.asarray(found.params.coef), strict=True))
    assert np.all(coef["constant"][:, :2] == 0)
    assert np.all(coef["repeated"][:, :3] * coef["repeated"][:, 3:] >= 0)  # x and x do not work against each other
    assert np.all(coef["opposite"][:, :3] * coef["opposite"][:, 3:] <= 0)


@pytest.mark.parametrize("n", quick([12, 60], "60"))
def test_more_columns_than_rows(n):
    wide = np.random.default_rng(2).standard_normal((20, n))
    y = (wide[:, 0] + wide[:, 1] > 0).astype(float)  # separable
    found = jaxlr.fit(wide, y, l1=GRID)
    assert bool(found.converged.all())
    assert np.asarray(found.gap).max() <= 1e-9
    assert (np.count_nonzero(found.params.coef, axis=1) <= 20).all()


@pytest.mark.slow
def test_float32_converges_too_and_keeps_its_dtype():
    found = jaxlr.fit(X.astype(np.float32), Y, l1=GRID)
    assert found.params.coef.dtype == jnp.float32
    assert bool(found.converged.all())
    exact = jaxlr.fit(X, Y, l1=GRID)
    np.testing.assert_allclose(found.params.coef, exact.params.coef, rtol=0, atol=1e-3)


# --- limits and special cases -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_at_the_largest_strength_and_above_every_coefficient_is_exactly_0_and_just_below_one_is_not():
    largest = float(jaxlr.l1_max(Problem(X, Y)))
    found = fit(X, Y, l1=largest * np.array([1, 1.001, 10, 1e308, 0.999]), penalty_factor=np.full(N, 1.0))
    assert bool(found.converged.all())
    assert np.count_nonzero(found.params.coef, axis=1).tolist() == [0, 0, 0, 0, 1]
    share = Y.mean()
    np.testing.assert_allclose(found.params.intercept[:4], np.log(share / (1 - share)), rtol=1e-12)


@pytest.mark.slow
def test_without_l1_it_is_newton():
    found = fit(X, Y, l1=jnp.float64(0), l2=0.01)
    np.testing.assert_allclose(both(found), both(jaxlr.fit(X, Y, l2=0.01)), rtol=0, atol=100 * TOL)
    assert found.solver == "proximal"


@pytest.mark.slow
def test_a_column_without_a_penalty_stays_in_and_is_the_null_model_at_a_large_strength():
    factor = np.where(np.arange(N) == 1, 0.0, 1.0)
    found = fit(X, Y, l1=np.array([100.0, 0.01]), penalty_factor=factor)
    assert bool(found.converged.all())
    alone = jaxlr.fit(X[:, 1:2], Y)
    np.testing.assert_allclose(found.params.coef[0], np.where(factor == 0, alone.params.coef[0], 0), rtol=100 * TOL)
    assert np.isinf(found.gap).all()  # no bound where something is not penalized


@pytest.mark.slow
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_few_digits_hide_no_separation_by_a_column_without_a_penalty(tol):
    assert (
        Status(int(fit(X, X[:, 0] > 0, l1=0.02, penalty_factor=np.array([0.0, 1, 1, 1, 1, 1]), tol=tol).status))
        == Status.SEPARATED
    )


@pytest.mark.slow
def test_a_separating_column_without_a_penalty_is_told_to_be_separated():
    separating = np.column_stack([Y - 0.5, X])
    found = fit(separating, Y, l1=np.array([0.1, 0.1]), penalty_factor=np.array([[0.0] + [1.0] * N, [1.0] * (N + 1)]))
    assert np.asarray(found.status).tolist() == [Status.SEPARATED, Status.CONVERGED]


@pytest.mark.slow
def test_a_failed_model_leaves_its_neighbours_alone():
    l1, s = np.array([0.1, np.nan, 0.01, np.inf]), np.ones((4, M))
    s[0, :] = Y  # one class
    found = jaxlr.fit(X, Y, l1=l1, sample_weight=s)
    assert np.asarray(found.status).tolist() == [Status.INVALID, Status.NONFINITE, Status.CONVERGED, Status.NONFINITE]
    np.testing.assert_allclose(found.params.coef[2], jaxlr.fit(X, Y, l1=0.01).params.coef, rtol=0, atol=100 * TOL)


def test_the_smooth_solvers_refuse_l1_by_name():
    for solver in ("newton", "newton_cg"):
        with pytest.raises(ValueError, match=f'l1 = 0.* for solver "{solver}", got an l1; use "proximal"'):
            jaxlr.fit(X, Y, l1=0.1, solver=solver)
    with pytest.raises(ValueError, match="expected l1 >= 0, got -1"):
        jaxlr.fit(X, Y, l1=-1.0)


# --- paths ------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_path_is_the_models_one_by_one_in_any_order():
    order = np.random.default_rng(1).permutation(len(GRID))
    path = jaxlr.fit(X, Y, l1=GRID[order])
    alone = jax.vmap(lambda l1: jaxlr.fit(X, Y, l1=l1))(GRID)
    assert bool(path.converged.all())
    np.testing.assert_allclose(path.params.coef, np.asarray(alone.params.coef)[order], rtol=0, atol=100 * TOL)
    np.testing.assert_array_equal(np.asarray(path.params.coef) != 0, np.asarray(alone.params.coef)[order] != 0)


@pytest.mark.slow
def test_a_path_may_vary_both_strengths_or_l2_beside_an_l1():
    l1, l2 = jaxlr.elastic_net(GRID, 0.5)
    mixed, crossed = jaxlr.fit(X, Y, l1=l1, l2=l2), jaxlr.fit(X, Y, l1=GRID[2:4, None], l2=GRID)
    for found, strengths in ((mixed, (l1, l2)), (crossed, np.broadcast_arrays(GRID[2:4, None], GRID))):
        assert bool(found.converged.all())
        for at in np.ndindex(found.status.shape):
            alone = fit(X, Y, l1=strengths[0][at], l2=strengths[1][at])
            np.testing.assert_allclose(found.params.coef[at], alone.params.coef, rtol=0, atol=100 * TOL)


# --- laws of the core -------------------------------------------------------------------------------------------------------

LAWS = {
    "a weight is a repetition": lambda f: (
        f(X, sample_weight=1.0 + (np.arange(M) < 9)),
        f(np.concatenate([X, X[:9]]), y=np.concatenate([Y, Y[:9]])),
        lambda coef: coef,
    ),
    "a weight of 0 is no row": lambda f: (
        f(X, sample_weight=1.0 * (np.arange(M) > 5)),
        f(X[6:], y=Y[6:]),
        lambda coef: coef,
    ),
    "columns permute with their coefficients": lambda f: (f(X[:, ::-1]), f(X), lambda coef: coef[::-1]),
    "classes change with the signs": lambda f: (f(X, y=1 - Y), f(X), lambda coef: -coef),
    "a column's unit goes into its factor": lambda f: (
        f(X * [10, 1, 1, 1, 1, 1], penalty_factor=np.array([10.0, 1, 1, 1, 1, 1])),
        f(X),
        lambda coef: coef / [10, 1, 1, 1, 1, 1],
    ),
    "a shift goes into the intercept": lambda f: (f(X + 5), f(X), lambda coef: coef),
    "standardize measures in standard deviations": lambda f: (
        f(X * np.arange(1, 7), standardize=True),
        f(X, penalty_factor=X.std(0)),
        lambda coef: coef / np.arange(1, 7),
    ),
    "a repeated column shares its coefficient": lambda f: (
        f(np.column_stack([X, X[:, 0]]), merge=True),
        f(X),
        lambda coef: coef,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", quick(LAWS, "a repeated column shares its coefficient"))
def test_the_laws_of_the_core_hold(law):
    def one(X, y=Y, merge=False, **fields):
        coef = np.asarray(jaxlr.fit(X, y, l1=0.02, **fields).params.coef)
        return np.append(coef[0] + coef[-1], coef[1:-1]) if merge else coef

    changed, plain, expected = LAWS[law](one)
    np.testing.assert_allclose(changed, expected(plain), rtol=0, atol=1000 * TOL)
    np.testing.assert_array_equal(changed != 0, expected(plain) != 0)


@pytest.mark.slow
def test_it_agrees_with_an_independent_solver():
    """scikit-learn's saga, a stochastic gradient method, to its own tolerance."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    l1, l2 = 0.03, 0.02
    found = jaxlr.fit(X, Y, l1=l1, l2=l2)
    theirs = linear_model.LogisticRegression(
        solver="saga", l1_ratio=l1 / (l1 + l2), C=1 / (M * (l1 + l2)), tol=1e-12, max_iter=100_000
    ).fit(X, Y)
    np.testing.assert_allclose(theirs.coef_[0], found.params.coef, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(theirs.coef_[0] != 0, np.asarray(found.params.coef) != 0)
