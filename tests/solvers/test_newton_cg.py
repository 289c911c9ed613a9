"""Newton with conjugate gradients: the minimum that factored Hessians find, and the same verdicts."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 300, 20
X = RNG.standard_normal((M, N))
Y = (X @ RNG.standard_normal((N, 6)) + RNG.logistic(size=(M, 6)) > 0).T.astype(float)
TOL = 1e-10
OPTIONS = {
    "strong": {"l2": 0.1},
    "weak": {"l2": 1e-4},
    "none": {},
    "no intercept": {"l2": 1e-3, "fit_intercept": False},
    "standardized": {"l2": 1e-3, "standardize": True},
    "offset": {"l2": 1e-3, "offset": RNG.standard_normal(M)},
    "weights": {"l2": 1e-3, "sample_weight": RNG.integers(0, 3, (6, M))},
    "factors": {"l2": 1e-2, "penalty_factor": np.r_[0, 0, np.ones(N - 2)]},
    "path": {"l2": np.logspace(0, -3, 8)[:, None]},
}


def assert_same_minimum(got, expected, l2):
    """Both gradients are <= tol in every direction; a penalty or the data bend J by 1e-3 at least."""
    assert bool(got.converged.all())
    bound = 2 * TOL / max(l2, 1e-3)
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=0, atol=bound)
    np.testing.assert_allclose(got.params.intercept, expected.params.intercept, rtol=0, atol=bound)


@pytest.mark.parametrize("name", quick(OPTIONS, "weights"))
def test_the_minimum_is_that_of_factored_hessians(name):
    options = OPTIONS[name]
    got = jaxlr.fit(X, Y, solver="newton_cg", **options)
    assert got.solver == "newton_cg"
    assert_same_minimum(got, jaxlr.fit(X, Y, solver="newton", **options), np.min(options.get("l2", 0)))


@pytest.mark.slow
@pytest.mark.parametrize("strong", [1e11, 1e30])
def test_a_penalty_beyond_everything_is_no_obstacle_beside_weak_ones(strong):
    fit = jaxlr.fit(X, Y[:3], l2=np.array([1e-3, 1e-3, strong]), solver="newton_cg")
    assert bool(fit.converged.all())
    np.testing.assert_allclose(fit.params.intercept[2], np.log(Y[2].mean() / (1 - Y[2].mean())), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_float32_reaches_its_tolerance():
    fit = jaxlr.fit(X.astype(np.float32), Y, l2=1e-3, solver="newton_cg")
    assert fit.kkt.dtype == np.float32
    assert bool(fit.converged.all())


@pytest.mark.slow
def test_one_model_and_many_designs():
    one = jaxlr.fit(X, Y[0], l2=1e-3, solver="newton_cg")
    assert_same_minimum(one, jaxlr.fit(X, Y[0], l2=1e-3), 1e-3)
    designs = np.stack([X, X + 1])
    assert_same_minimum(jaxlr.fit(designs, Y[:2], l2=1e-3, solver="newton_cg"), jaxlr.fit(designs, Y[:2], l2=1e-3), 1e-3)


@pytest.mark.slow
def test_separation_complete_and_quasi_is_told_beside_models_that_converge():
    complete = np.stack([X[:, 0] > 0, Y[0] > 0])
    assert np.asarray(jaxlr.fit(X, complete, solver="newton_cg").status).tolist() == [Status.SEPARATED, Status.CONVERGED]
    only_ones = Y[0] * (np.arange(M) % 10 == 0)  # a column that is 0 wherever y is
    quasi = jaxlr.fit(np.column_stack([X[:, :3], only_ones]), np.stack([Y[0], Y[1]]), solver="newton_cg")
    assert np.asarray(quasi.status).tolist() == [Status.SEPARATED, Status.CONVERGED]


@pytest.mark.slow
def test_columns_that_add_no_direction_change_no_prediction():
    collinear = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(M)])
    got = jaxlr.fit(collinear, Y, solver="newton_cg")
    assert bool(got.converged.all())
    expected = jaxlr.logits(jaxlr.fit(X, Y).params, X)
    np.testing.assert_allclose(jaxlr.logits(got.params, collinear), expected, rtol=0, atol=1e3 * TOL)


@pytest.mark.slow
def test_units_of_columns_do_not_matter_without_a_penalty():
    unit = np.logspace(-8, 8, N)
    got = jaxlr.fit(X * unit, Y, solver="newton_cg")
    assert bool(got.converged.all())
    np.testing.assert_allclose(np.asarray(got.params.coef) * unit, jaxlr.fit(X, Y).params.coef, rtol=0, atol=1e3 * TOL)


@pytest.mark.slow
def test_a_failed_member_leaves_its_neighbours_to_tol():
    bad = Y.copy()
    bad[2] = np.nan
    fit = jaxlr.fit(X, bad, l2=1e-3, solver="newton_cg")
    status = np.full(6, Status.CONVERGED)
    status[2] = Status.NONFINITE
    assert np.asarray(fit.status).tolist() == status.tolist()
    healthy = status == Status.CONVERGED
    expected = jaxlr.fit(X, Y, l2=1e-3, solver="newton_cg")
    np.testing.assert_allclose(
        np.asarray(fit.params.coef)[healthy], np.asarray(expected.params.coef)[healthy], rtol=0, atol=2 * TOL / 1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("failing", [np.inf, np.nan])
def test_a_path_that_begins_with_a_failed_point_goes_on(failing):
    fit = jaxlr.fit(X, Y[0], l2=np.array([failing, 1e-2, 1e-3]), solver="newton_cg")
    assert np.asarray(fit.status).tolist() == [Status.NONFINITE, Status.CONVERGED, Status.CONVERGED]


@pytest.mark.slow
def test_models_that_each_all_but_leave_out_other_columns_converge_side_by_side():
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((100, 150))
    y = (wide[:, 0] + rng.logistic(size=100) > 0).astype(float)
    factor = np.full((2, 150), 1e6)
    factor[0, ::2] = factor[1, 1::2] = 1
    fit = jaxlr.fit(wide, y, l2=1e-4, penalty_factor=factor, solver="newton_cg")
    assert bool(fit.converged.all())
    for k in range(2):
        alone = jaxlr.fit(wide, y, l2=1e-4, penalty_factor=factor[k], solver="newton")
        np.testing.assert_allclose(fit.params.coef[k], alone.params.coef, rtol=0, atol=2 * TOL / 1e-4)


@pytest.mark.slow
def test_a_start_far_out_comes_back():
    far = Params(np.full(N, 1e3), np.zeros(()))
    assert_same_minimum(jaxlr.fit(X, Y, l2=1e-3, init=far, solver="newton_cg"), jaxlr.fit(X, Y, l2=1e-3), 1e-3)


@pytest.mark.slow
def test_many_columns_choose_it_and_the_text_says_so():
    wide = np.random.default_rng(1).standard_normal((600, 70))
    labels = (wide[:, :2].T > 0) ^ (np.arange(600) % 7 == 0)
    fit = jaxlr.fit(wide, labels, l2=0.1)
    assert "by newton_cg" in str(fit)
    assert bool(fit.converged.all())
    assert jaxlr.fit(wide, labels[0], l2=0.1).solver == "newton"  # a model alone
    assert jaxlr.fit(wide[:, :40], labels, l2=0.1).solver == "newton"


@pytest.mark.slow
def test_new_values_never_retrace():
    jitted = jax.jit(lambda X, Y, l2: jaxlr.fit(X, Y, l2=l2, solver="newton_cg"))
    jitted(X, Y, 0.1)
    jitted(X + 1, 1 - Y, 0.2)
    assert jitted._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("far", [1e3, 1e6])
def test_a_start_far_out_does_not_hide_a_separation(far):
    separated = (X[:50, 0] > 0).astype(float)
    init = Params(np.eye(3)[0] * far, np.float64(0))
    assert int(jaxlr.fit(X[:50, :3], separated, solver="newton_cg", init=init).status) == Status.SEPARATED


@pytest.mark.slow
def test_a_path_that_ends_without_a_penalty_is_separated_there():
    rng = np.random.default_rng(10)
    wide = rng.standard_normal((60, 40)).astype(np.float32)
    labels = rng.integers(0, 2, 60).astype(np.float32)
    l2 = np.append(np.logspace(0, -10, 30), 0).astype(np.float32)
    status = np.asarray(jaxlr.fit(wide, labels, l2=l2, solver="newton_cg").status)
    assert int(jaxlr.fit(wide, labels).status) == Status.SEPARATED
    assert status[-1] == Status.SEPARATED


@pytest.mark.slow
def test_penalties_of_any_strength_side_by_side():
    l2 = np.array([1e8, 1e4, 1, 1e-2, 1e-4, 1e-7, 0])
    got = jaxlr.fit(X, Y[0], l2=l2, solver="newton_cg")
    expected = jaxlr.fit(X, Y[0], l2=l2, solver="newton")
    assert bool(got.converged.all())
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=0, atol=1e-7)


@pytest.mark.slow
def test_penalties_that_float32_cannot_hold():
    tiny = X * np.r_[1e-20, np.ones(N - 1)]  # the penalty is 1e40 on its standardized column
    got, expected = (jaxlr.fit(tiny, Y[0], l2=np.array([1.0, 0.1]), solver=s) for s in ("newton_cg", "newton"))
    assert bool(got.converged.all())
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=1e-6)


@pytest.mark.slow
def test_columns_that_are_constant_in_most_rows():
    rng = np.random.default_rng(10)
    spikes = np.tril(rng.standard_normal((96, 90))) - 3.3 * (np.arange(90) % 2)  # ever fewer rows differ
    labels = rng.integers(0, 2, (3, 96)).astype(float)
    got, expected = (jaxlr.fit(spikes, labels, l2=1e-2, solver=s) for s in ("newton_cg", "newton"))
    assert bool(got.converged.all())
    assert bool(expected.converged.all())
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=0, atol=1e-7)
    assert int(np.max(got.num_steps)) <= 12
