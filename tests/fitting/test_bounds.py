"""Fits within bounds: equal to what others find, certified, and with every option of a fit."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import jaxlr
from jaxlr import Params, Problem, Status, cross_validate, duality_gap, fit, fit_bootstrap, kkt_residual, l1_max, loss
from jaxlr.datasets import breast_cancer
from tests.helpers import quick
from tests.reference.bounds import CASES, remission

pytestmark = pytest.mark.usefixtures("x64")

INF = np.inf
RNG = np.random.default_rng(0)
M, N = 120, 6
X = RNG.normal(size=(M, N)) * [1, 10, 0.1, 1, 1, 1] + [0, 100, 0, 1, 0, 0]
Z = (X - X.mean(axis=0)) / X.std(axis=0) @ [1, -1, 0.5, 0, 2, -0.2]
Y = (Z + RNG.logistic(size=M) > 0).astype(int)
THREE = RNG.integers(0, 3, M)
LOWER = np.array([0, -0.02, -INF, 0.05, -1, 0])
UPPER = np.array([0.4, INF, 3, 0.6, 1, INF])
EXACT = json.loads((Path(__file__).parents[1] / "reference" / "bounds.json").read_text())


@pytest.mark.parametrize("name", quick(CASES, "box"))
def test_estimates_are_those_of_fifty_digits(name):
    """tests/reference/bounds.py, which checks the conditions of optimality in as many."""
    A, y = remission()
    found, wanted = fit(A, y, **CASES[name], tol=1e-14), EXACT[name]
    assert Status(int(found.status)) == Status.CONVERGED
    # kkt 1e-14 over the least eigenvalue of the free Hessian, about 1e-3 here
    np.testing.assert_allclose(found.params.coef, wanted["coef"], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.params.intercept, wanted["intercept"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.value, wanted["value"], rtol=1e-14)
    at_bound = np.asarray(wanted["at_bound"], bool)
    bounds = [np.broadcast_to(CASES[name].get(side, none), at_bound.shape) for side, none in (("lower", -INF), ("upper", INF))]
    on = np.isin(np.asarray(found.params.coef), bounds[0]) | np.isin(np.asarray(found.params.coef), bounds[1])
    np.testing.assert_array_equal(on, at_bound)


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.02]), st.sampled_from([0.0, 0.05]))
def test_the_objective_is_at_most_that_of_bounded_lbfgs_and_the_gap_a_bound(seed, l1, l2):
    rng = np.random.default_rng(seed)
    lower = rng.choice([-INF, -0.5, 0.0, 0.1], 5)
    upper = np.maximum(rng.choice([INF, 0.2, 1.0], 5), lower)
    A, y = rng.normal(size=(60, 5)), rng.integers(0, 2, 60)

    def objective(t):  # in parts above and below 0, each of one sign, so that it is smooth
        coef = t[:5] - t[5:10]
        z = A @ coef + t[10]
        r = (1 / (1 + np.exp(-z)) - y) / 60
        g = A.T @ r + l2 * coef
        value = np.mean(np.logaddexp(0, z) - y * z) + l1 * np.sum(t[:10]) + l2 / 2 * np.sum(coef**2)
        return value, np.concatenate([g + l1, l1 - g, [r.sum()]])

    parts = [*zip(np.maximum(lower, 0), np.maximum(upper, 0), strict=True)]
    parts += [*zip(np.maximum(-upper, 0), np.maximum(-lower, 0), strict=True), (-INF, INF)]
    start = np.array([low if np.isfinite(low) else 0 for low, _ in parts])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=parts, options={"ftol": 0, "gtol": 1e-10})
    mine = fit(A, y, l1=l1, l2=l2, lower=lower, upper=upper)
    assert bool(mine.converged)
    assert float(mine.value) <= found.fun + 4 * np.finfo(float).eps
    coef = np.clip(found.x[:5] - found.x[5:10], lower, upper)
    problem = Problem(A, y, l1=l1, l2=l2, lower=lower, upper=upper)
    there = Params(coef, found.x[10])
    assert float(loss(there, problem)) - float(mine.value) <= float(duality_gap(there, problem)) + 4 * np.finfo(float).eps
    assert float(kkt_residual(mine.params, problem)) <= 1e-10


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01]), st.sampled_from([0.0, 0.05]), st.booleans())
def test_the_gap_bounds_what_is_left_wherever_it_is_asked(seed, l1, l2, boxed):
    rng = np.random.default_rng(seed)
    lower = np.array([0.0, -0.3, -0.2]) if boxed else np.array([0.0, -INF, -0.2])
    upper = np.array([1.0, 0.3, 0.1]) if boxed else np.array([INF, 0.3, INF])
    A, y = rng.normal(size=(30, 3)), rng.integers(0, 2, 30)
    problem = Problem(A, y, l1=l1, l2=l2, lower=lower, upper=upper)
    least = float(fit(A, y, l1=l1, l2=l2, lower=lower, upper=upper, tol=1e-13).value)
    for scale in (0.01, 0.3, 3.0):
        there = Params(np.clip(rng.normal(size=3) * scale, lower, upper), np.float64(rng.normal() * scale))
        gap = float(duality_gap(there, problem))
        assert float(loss(there, problem)) - least <= gap + 4 * np.finfo(float).eps
        assert np.isfinite(gap) == (l1 + l2 > 0 or boxed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"l2": 0.05}, marks=pytest.mark.slow),
        pytest.param({"l1": 0.01, "l2": 0.05}, marks=pytest.mark.slow),
        {"standardize": True, "l1": 0.01},
    ],
)
@pytest.mark.parametrize("kind", [{"y": Y}, {"y": THREE, "num_classes": 3}], ids=["binary", "multinomial"])
def test_it_commutes_with_signs_and_units(options, kind):
    options = {"lower": LOWER, "upper": UPPER} | options | kind
    here = fit(X, **options)
    mirrored = fit(-X, **options | {"lower": -UPPER, "upper": -LOWER})
    assert bool(here.converged)
    np.testing.assert_allclose(mirrored.params.coef, -here.params.coef, atol=1e-8)
    if options.get("standardize") or not ({"l1", "l2"} & options.keys()):
        scaled = fit(X * 1e3, **options | {"lower": LOWER / 1e3, "upper": UPPER / 1e3})
        np.testing.assert_allclose(np.asarray(scaled.params.coef) * 1e3, here.params.coef, rtol=1e-6, atol=1e-8)
    coef = np.asarray(here.params.coef)
    assert np.all((coef >= LOWER) & (coef <= UPPER))


@pytest.mark.slow
def test_bounds_out_of_reach_change_nothing():
    free, far = fit(X, Y, l1=0.01), fit(X, Y, l1=0.01, lower=-1e6, upper=1e6)
    np.testing.assert_allclose(far.params.coef, free.params.coef, atol=1e-9)
    np.testing.assert_allclose(far.value, free.value, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [{"y": Y}, {"y": THREE, "num_classes": 3}], ids=["binary", "multinomial"])
def test_a_batch_is_its_members(likelihood):
    weights = np.asarray(jaxlr.kfold(jax.random.key(0), M, 3))
    lower = np.stack([np.zeros(N), LOWER])[:, None, None]
    l1 = np.geomspace(0.1, 1e-3, 9)
    many = fit(X, sample_weight=weights[:, None], l1=l1, lower=lower, **likelihood)
    assert many.status.shape == (2, 3, 9)
    assert bool(many.converged.all())
    for at in [(0, 0, 0), (1, 2, 4), (0, 1, 8)]:
        alone = fit(X, sample_weight=weights[at[1]], l1=l1[at[2]], lower=lower[at[0], 0, 0], **likelihood)
        np.testing.assert_allclose(many.params.coef[at], alone.params.coef, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({"l1": 0.01}, 2),
        pytest.param({"l2": 0.01}, 3, marks=pytest.mark.slow),
        pytest.param({"l1": 0.002, "l2": 0.01, "standardize": True}, 2, marks=pytest.mark.slow),
        pytest.param({"l1": 0.01}, 3, marks=pytest.mark.slow),
        pytest.param({"l1": 0.002, "l2": 0.01, "standardize": True}, 3, marks=pytest.mark.slow),
    ],
)
def test_sparse_equals_dense(options, classes):
    rng = np.random.default_rng(1)
    S = scipy.sparse.csr_array(np.where(rng.random((400, 350)) < 0.05, rng.random((400, 350)), 0))
    y, kind = rng.integers(0, classes, 400), {} if classes == 2 else {"num_classes": classes}
    lower, upper = rng.choice([-INF, -0.1, 0.0, 0.05], 350), rng.choice([INF, 0.2, 0.05], 350)
    found, wanted = (fit(given, y, lower=lower, upper=upper, **options, **kind) for given in (S, S.toarray()))
    assert bool(found.converged)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-8)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-12)
    assert np.all(np.asarray(found.params.coef) >= lower)


@pytest.mark.slow
def test_separated_only_where_a_direction_within_the_bounds_separates():
    above = (X[:, 0] > 0).astype(int)
    assert Status(int(fit(X, above, lower=0.0).status)) == Status.SEPARATED
    assert Status(int(fit(X, above).status)) == Status.SEPARATED
    assert Status(int(fit(X, above, upper=0.0).status)) == Status.CONVERGED
    boxed = fit(X, above, lower=-1e6, upper=1e6)
    assert Status(int(boxed.status)) == Status.CONVERGED
    assert float(boxed.gap) < 1e-6
    far = jaxlr.Params(np.full(N, 1e3), np.float64(0))
    assert Status(int(fit(X, above, upper=0.0, init=far).status)) == Status.CONVERGED


@pytest.mark.parametrize(
    ("standardize", "kind"),
    [
        pytest.param(False, {"y": Y}, marks=pytest.mark.slow),
        (True, {"y": Y}),
        (False, {"y": THREE, "num_classes": 3}),
        pytest.param(True, {"y": THREE, "num_classes": 3}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_derivatives_are_those_of_the_minimum_on_the_free_set(standardize, kind):
    finite = np.isfinite(LOWER), np.isfinite(UPPER)

    def found(t):
        low = np.where(LOWER == 0, 0.03, np.where(finite[0], LOWER, 0))  # 0 is a kink of l1 too, which has one side alone
        lower = jnp.where(finite[0], low * (1 + t[3]) + t[3] / 10, -INF)
        upper = jnp.where(finite[1], jnp.where(finite[1], UPPER, 0) * (1 + t[4]), INF)
        A, l1, l2 = X * (1 + 0.1 * t[0]), 0.01 * (1 + t[1]), 0.02 * (1 + t[2])
        model = fit(A, **kind, l1=l1, l2=l2, lower=lower, upper=upper, standardize=standardize, tol=1e-13)
        return jnp.concatenate([jnp.ravel(model.params.coef), jnp.ravel(model.params.intercept), model.value[None]])

    here, h = jnp.zeros(5), 1e-5
    differences = np.stack([(found(here.at[i].set(h)) - found(here.at[i].set(-h))) / (2 * h) for i in range(5)], axis=1)
    for jacobian in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(jacobian(found)(here), differences, atol=1e-7)  # h^2 and 1e-13 / h


@pytest.mark.slow
def test_second_derivatives():
    def value(t):
        return fit(X, Y, l2=0.02, lower=np.zeros(N) + t[0], upper=jnp.full(N, 0.5) * (1 + t[1]), tol=1e-13).value

    h, here = 1e-4, jnp.array([0.01, 0.0])
    gradient = jax.grad(value)
    differences = np.stack([(gradient(here.at[i].add(h)) - gradient(here.at[i].add(-h))) / (2 * h) for i in range(2)])
    np.testing.assert_allclose(jax.hessian(value)(here), differences, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_paths_folds_and_resamples():
    A, y, *_ = breast_cancer()
    A = (A - A.mean(axis=0)) / A.std(axis=0)
    problem = Problem(A, y, lower=np.zeros(A.shape[1]))
    first = float(l1_max(problem))
    assert not np.any(fit(A, y, l1=first, lower=0.0).params.coef)
    assert np.any(fit(A, y, l1=0.99 * first, lower=0.0).params.coef)
    assert first < float(l1_max(Problem(A, y)))
    chosen = cross_validate(A, y, l1=np.geomspace(first, first / 100, 8), lower=0.0, folds=4, key=jax.random.key(0))
    assert bool(chosen.fits.converged.all())
    assert np.all(np.asarray(chosen.refit.params.coef) >= 0)
    resamples = fit_bootstrap(jax.random.key(1), A, y, 20, l2=0.01, upper=0.1)
    assert bool(resamples.converged.all())
    assert float(np.max(resamples.params.coef)) == 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lower": np.zeros(5)}, "last axis 6 to match X"),
        ({"lower": np.zeros(2)}, "a pair of bounds is lower=a, upper=b"),
        ({"lower": 1.0, "upper": 0.0}, r"lower <= upper, got 1.0 > 0.0 first at index \(0,\)"),
        ({"lower": np.full(6, INF)}, "or -inf for no bound, got inf"),
        ({"upper": np.array([0, 0, np.nan, 0, 0, 0])}, r"or inf for no bound, got nan first at index \(2,\)"),
        ({"lower": 0.0, "solver": "newton"}, 'no bounds for solver "newton", got bounds; use "proximal" or "auto"'),
    ],
)
def test_what_is_refused_in_words(options, words):
    with pytest.raises(ValueError, match=words):
        fit(X, Y, **options)


@pytest.mark.slow
def test_inside_jit_bounds_that_cross_are_invalid_where_they_do():
    status = jax.jit(lambda upper: fit(X, Y, l2=0.1, lower=np.zeros(N), upper=upper).status)(
        jnp.asarray(np.outer([1.0, -1.0], np.ones(N)))
    )
    assert [Status(int(one)) for one in status] == [Status.CONVERGED, Status.INVALID]


A_BARRED = {"upper": np.array([-0.1, INF]), "l2": 0.1}, np.array([INF, 1.0])  # which hold column 0 at 0, outside its bound


@pytest.mark.slow
def test_bounds_that_exclude_the_0_of_a_column_left_out_are_invalid_where_they_do():
    A, y, (options, barred) = X[:40, :2], Y[:40], A_BARRED
    found = fit(A, y, penalty_factor=np.stack([np.ones(2), barred]), **options)  # of one member alone
    assert [Status(int(one)) for one in found.status] == [Status.CONVERGED, Status.INVALID]
    np.testing.assert_allclose(found.params.coef[0], fit(A, y, **options).params.coef, rtol=1e-9)  # tol 1e-10
    status = jax.jit(lambda factor: fit(A, y, penalty_factor=factor, **options).status)(jnp.asarray(barred))
    assert Status(int(status)) == Status.INVALID


def test_no_point_is_certified_where_bounds_exclude_the_0_of_a_column_left_out():
    options, barred = A_BARRED
    problem = Problem(X[:, :2], Y, penalty_factor=barred, **options)
    for coef in (np.zeros(2), np.array([-0.1, 0.0])):
        params = Params(coef, np.zeros(()))
        assert float(loss(params, problem)) == float(kkt_residual(params, problem)) == INF


@pytest.mark.slow
def test_what_has_no_distribution_is_refused():
    problem = Problem(X, Y, lower=np.zeros(N))
    with pytest.raises(ValueError, match=r"without bounds.*fit_bootstrap"):
        jaxlr.inference.standard_errors(fit(X, Y, lower=0.0), problem)
    with pytest.raises(ValueError, match="no bounds"):
        cross_validate(X, Y, l2=0.1, folds="loo", lower=0.0)
    with pytest.raises(ValueError, match="that include 0"):
        l1_max(Problem(X, Y, lower=np.full(N, 0.1)))


@pytest.mark.slow
def test_more_columns_in_use_than_seven_eighths_of_a_sparse_design():
    """All of them have room, so that none has to wait for the others."""
    rng = np.random.default_rng(0)
    S = scipy.sparse.csr_array(np.where(rng.random((600, 400)) < 0.03, rng.normal(size=(600, 400)) + 1, 0))
    y = (rng.random(600) < 1 / (1 + np.exp(-(S @ np.pad(2 * rng.normal(size=30), (0, 370)))))).astype(int)
    lower = np.where(np.arange(400) % 3 == 0, -INF, 0.0)
    found, wanted = (fit(given, y, l2=1e-3, lower=lower, upper=0.5) for given in (S, S.toarray()))
    assert bool(found.converged)
    assert int(found.num_steps) <= 2 * int(wanted.num_steps)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-9)


@pytest.mark.slow
def test_columns_that_depend_on_each_other_are_open_unless_they_rest_at_bounds():
    D = np.column_stack([X, X[:, 0]])
    assert Status(int(fit(D, Y, lower=-INF).status)) == Status.CONVERGED  # no bound at all
    assert Status(int(fit(D, Y, lower=0.0).status)) == Status.STALLED
    assert Status(int(fit(D, Y, lower=-1.0, upper=1.0).status)) == Status.CONVERGED
    wide = np.abs(np.random.default_rng(0).normal(size=(20, 50)))
    assert Status(int(fit(wide, np.full(20, 0.6), upper=0.0, fit_intercept=False).status)) == Status.CONVERGED


@pytest.mark.slow
def test_a_bound_that_float32_does_not_hold_is_none():
    A = X.astype(np.float32)
    far, none = fit(A, Y, l2=0.1, lower=-1e300, upper=1e39), fit(A, Y, l2=0.1)
    np.testing.assert_allclose(far.params.coef, none.params.coef, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="got inf first"):
        fit(A, Y, lower=1e39)


def test_a_separating_direction_within_bounds_is_found_in_float32_too():
    """Found by the fuzzer: the gradient that is left was lost in H x, a step was 0, and logits of -16 were CONVERGED."""
    X = np.zeros((11, 3), np.float32)
    X[[0, 1, 2, 4, 9], [2, 0, 2, 2, 0]] = 1, 1, -1, 1, -1
    X[[1, 3, 5, 8, 9], [1, 1, 1, 1, 2]] = -1
    y = np.array([0, 0, 0, 1, 0, 1, 1, 0.5, 0, 1, 1], np.float32)
    weight = np.array([2, 2, 2, 1, 1, 2, 2, 2, 1, 1, 3], np.float32)
    bounds = {"lower": np.array([-INF, 0.25, -INF], np.float32), "upper": np.array([0, 0.25, 0.1], np.float32)}
    params = None
    for _ in range(6):  # nor where it goes on from where it stopped
        found = fit(X, y, sample_weight=weight, **bounds, init=params)
        assert Status(int(found.status)) in (Status.SEPARATED, Status.STALLED)
        params = found.params
