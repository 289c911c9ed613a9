"""Fits with norms of groups: equal to what others find, certified, and with every option of a fit."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, Status, duality_gap, fit, kkt_residual, l1_max, loss
from tests.helpers import quick
from tests.reference.groups import CASES, data_of

pytestmark = pytest.mark.usefixtures("x64")

INF = np.inf
EPS = np.finfo(float).eps
RNG = np.random.default_rng(0)
M, N = 120, 6
X = RNG.normal(size=(M, N)) * [1, 2, 0.5, 1, 1, 1] + [0, 3, 0, 1, 0, 0]
Z = (X - X.mean(axis=0)) / X.std(axis=0) @ [1, -1, 0.5, 0, 0.1, -0.2]
Y = (Z + RNG.logistic(size=M) > 0).astype(int)
THREE = np.digitize(Z + RNG.logistic(size=M), [-0.7, 0.7])
S = RNG.integers(0, 4, M)
OFFSET = RNG.normal(size=M)
GROUPS = np.array([4, 0, 4, 9, 9, 0])
KINDS = {"binary": {"y": Y}, "multinomial": {"y": THREE, "num_classes": 3}}
EXACT = json.loads((Path(__file__).parents[1] / "reference" / "groups.json").read_text())


def slow(value):
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)


def missing(params, *, y, l1_group, groups=GROUPS, A=X, weight=1.0, offset=0.0, factor=1.0, **given):
    """How far parameters are from the conditions of optimality, in NumPy."""
    coef, (m, n) = np.atleast_2d(params.coef), A.shape
    z = coef @ A.T + np.asarray(params.intercept).reshape(-1, 1) + np.transpose(offset)
    if "num_classes" in given:
        p = np.exp(z - np.logaddexp.reduce(z, axis=0)) - (y == np.arange(len(z))[:, None])
    else:
        p = 1 / (1 + np.exp(-z)) - y
    w, factor = np.broadcast_to(weight, m) / np.sum(np.broadcast_to(weight, m)), np.broadcast_to(factor, n)
    u = (p * w) @ A + given.get("l2", 0) * factor * coef
    worst = [np.max(np.abs(p @ w))] if given.get("fit_intercept", True) else [0]
    l1 = given.get("l1", 0) * factor
    for g in np.unique(groups):
        own = groups == g
        c, lam = coef[:, own], l1_group * np.sqrt(own.sum()) * factor[own][0]
        size = np.linalg.norm(c)
        here = u[:, own] + lam * c / (size if size else 1)
        left = np.where(c != 0, np.abs(here + l1[own] * np.sign(c)), np.maximum(np.abs(here) - l1[own], 0))
        worst.append(np.max(left) if size else max(np.linalg.norm(left) - lam, 0))
    return max(worst)


@pytest.mark.parametrize("name", quick(CASES, "group lasso"))
def test_estimates_are_those_of_fifty_digits(name):
    """tests/reference/groups.py, which checks the conditions of optimality in as many."""
    A, y = data_of(CASES[name])
    found, wanted = fit(A, y, **CASES[name], tol=1e-14), EXACT[name]
    assert Status(int(found.status)) == Status.CONVERGED
    # kkt 1e-14 over the least eigenvalue of the Hessian, about 1e-3 here
    np.testing.assert_allclose(found.params.coef, wanted["coef"], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.params.intercept, wanted["intercept"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.value, wanted["value"], rtol=1e-14)
    np.testing.assert_array_equal(np.asarray(found.params.coef) == 0, np.asarray(wanted["coef"]) == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, slow({"l2": 0.05}), slow({"standardize": True}), {"lower": -0.2, "upper": 0.4}], ids=str
)
def test_groups_of_one_column_are_the_lasso(options):
    l1 = np.array([0.15, 0.05, 0.01])
    alone, lasso = fit(X, Y, l1_group=l1, groups=np.arange(N), **options), fit(X, Y, l1=l1, **options)
    assert bool(alone.converged.all())
    # Both to a kkt of 1e-10 over curvatures of about 0.05
    np.testing.assert_allclose(alone.params.coef, lasso.params.coef, atol=1e-8)
    np.testing.assert_allclose(alone.value, lasso.value, rtol=1e-13)
    np.testing.assert_array_equal(alone.params.coef == 0, lasso.params.coef == 0)
    assert 0 < np.count_nonzero(alone.params.coef) < 3 * N


@pytest.mark.slow
@pytest.mark.parametrize("kind", quick(KINDS, "multinomial"))
def test_whole_groups_are_0_or_none_of_their_columns_is(kind):
    found = fit(X, **KINDS[kind], l1_group=np.geomspace(0.2, 0.01, 8), groups=GROUPS)
    assert bool(found.converged.all())
    zero = np.asarray(found.params.coef) == 0
    zero = zero if kind == "binary" else zero.all(axis=1)
    counts = set()
    for g in np.unique(GROUPS):
        assert np.all(zero[:, g == GROUPS] == zero[:, g == GROUPS][:, :1])
        counts |= set(zero[:, g == GROUPS][:, 0].tolist())
    assert counts == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_order_and_names_of_columns_do_not_matter(kind, l1):
    options = {**KINDS[kind], "l1_group": 0.05, "l1": l1, "tol": 1e-12}
    here, order = fit(X, groups=GROUPS, **options), RNG.permutation(N)
    there = fit(X[:, order], groups=GROUPS[order], **options)
    renamed = fit(X, groups=np.array([-7, 12, -7, 3, 3, 12]), **options)
    assert np.any(here.params.coef)
    np.testing.assert_allclose(there.params.coef, np.asarray(here.params.coef)[..., order], atol=1e-10)  # tol over 0.05
    np.testing.assert_allclose(renamed.params.coef, here.params.coef, atol=1e-10)
    assert missing(here.params, **options) <= 1e-11


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.02]), st.sampled_from([0.0, 0.05]))
def test_the_objective_is_at_most_that_of_lbfgs_and_the_gap_a_bound(seed, l1, l2):
    rng = np.random.default_rng(seed)
    groups, A, y = rng.integers(0, 3, 5), rng.normal(size=(60, 5)), rng.integers(0, 2, 60)
    lam, smoothing = 0.03 * np.sqrt([np.sum(groups == g) for g in groups]), 1e-7
    first = np.array([groups.tolist().index(g) == j for j, g in enumerate(groups)])
    together = groups[:, None] == groups

    def objective(t):  # parts above and below 0, and norms that are round at 0
        coef = t[:5] - t[5:10]
        z, sizes = A @ coef + t[10], np.sqrt(together @ coef**2 + smoothing**2)
        r = (1 / (1 + np.exp(-z)) - y) / 60
        g = A.T @ r + l2 * coef + lam * coef / sizes
        value = np.mean(np.logaddexp(0, z) - y * z) + l1 * np.sum(t[:10]) + l2 / 2 * np.sum(coef**2) + lam[first] @ sizes[first]
        return value, np.concatenate([g + l1, l1 - g, [r.sum()]])

    sides = [(0, None)] * 10 + [(None, None)]
    theirs = minimize(
        objective, np.full(11, 0.01), jac=True, method="L-BFGS-B", bounds=sides, options={"ftol": 0, "gtol": 1e-9}
    )
    problem = Problem(A, y, l1=l1, l2=l2, l1_group=0.03, groups=groups)
    mine, there = fit(A, y, l1=l1, l2=l2, l1_group=0.03, groups=groups), Params(theirs.x[:5] - theirs.x[5:10], theirs.x[10])
    assert bool(mine.converged)
    ahead = float(loss(there, problem)) - float(mine.value)
    assert -8 * EPS <= ahead <= 1e-5  # smoothed norms hold back by less than lam smoothing, and a search that ends by itself
    assert ahead <= float(duality_gap(there, problem)) + 8 * EPS
    assert float(kkt_residual(mine.params, problem)) <= 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"fit_intercept": False, "offset": OFFSET},
        slow({"offset": OFFSET}),
        slow({"sample_weight": S}),
        slow({"penalty_factor": np.array([0.5, 2, 0.5, 0, 0, 2])}),
        {"penalty_factor": np.array([0, 3, 0, 1, 1, 3]), "l1": 0.005, "sample_weight": S, "offset": OFFSET, "l2": 0.01},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kind", KINDS)
def test_with_every_option_the_conditions_of_optimality_hold(kind, options):
    if kind == "multinomial" and "offset" in options:
        options = options | {"offset": OFFSET[:, None] * [1, 0, -1]}
    found = fit(X, **KINDS[kind], l1_group=0.04, groups=GROUPS, **options)
    renamed = {"sample_weight": "weight", "penalty_factor": "factor"}
    assert bool(found.converged)
    given = {renamed.get(name, name): value for name, value in options.items()}
    assert missing(found.params, **KINDS[kind], l1_group=0.04, **given) <= 1e-9  # tol 1e-10 of columns, of at most 2 units
    worse = found.params._replace(coef=found.params.coef + 1e-3)
    assert missing(worse, **KINDS[kind], l1_group=0.04, **given) > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", quick(KINDS, "binary"))
def test_a_weight_k_is_a_row_k_times_and_standardize_scales_by_hand(kind):
    rows, y = np.repeat(np.arange(M), S), KINDS[kind]["y"]
    options = {**KINDS[kind], "l1_group": 0.06, "l1": 0.005, "groups": GROUPS}
    weighted = fit(X, **options, sample_weight=S, standardize=True)
    repeated = fit(X[rows], **options | {"y": y[rows]}, standardize=True)
    np.testing.assert_allclose(weighted.params.coef, repeated.params.coef, atol=1e-8)  # kkt 1e-10 over 0.05
    sd = X[rows].std(axis=0)
    scaled = fit(X / sd, **options, sample_weight=S)
    assert np.any(scaled.params.coef)
    np.testing.assert_allclose(weighted.params.coef, np.asarray(scaled.params.coef) / sd, atol=1e-8)


@pytest.mark.slow
def test_float32_finds_the_same():
    single, double = (fit(X.astype(kind), Y, l1_group=np.array([0.1, 0.02]), groups=GROUPS) for kind in (np.float32, float))
    assert bool(single.converged.all())
    assert single.params.coef.dtype == np.float32
    np.testing.assert_allclose(single.params.coef, double.params.coef, atol=1e-3)  # tol 1e-5 over 0.05
    np.testing.assert_array_equal(single.params.coef == 0, double.params.coef == 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", quick(KINDS, "binary"))
def test_a_batch_is_its_members(kind):
    weights = np.asarray(jaxlr.kfold(jax.random.key(0), M, 3))
    l1_group, l1 = np.geomspace(0.1, 1e-3, 4), np.array([0.0, 0.01])[:, None]
    many = fit(X, **KINDS[kind], groups=GROUPS, sample_weight=weights[:, None, None], l1_group=l1_group, l1=l1)
    assert many.status.shape == (3, 2, 4)
    assert bool(many.converged.all())
    for at in [(0, 0, 0), (1, 1, 2), (2, 0, 3)]:
        own = {"sample_weight": weights[at[0]], "l1": l1[at[1], 0], "l1_group": l1_group[at[2]]}
        alone = fit(X, **KINDS[kind], groups=GROUPS, **own)
        np.testing.assert_allclose(many.params.coef[at], alone.params.coef, atol=1e-7)  # kkt 1e-10 over 0.005


@pytest.mark.slow
def test_the_answer_does_not_depend_on_the_start():
    options = {"l1_group": 0.05, "groups": GROUPS, "tol": 1e-12}
    cold = fit(X, Y, **options)
    for start in (cold.params, Params(np.full(N, 5.0), np.float64(-3)), Params(np.zeros(N), np.float64(0))):
        np.testing.assert_allclose(fit(X, Y, init=start, **options).params.coef, cold.params.coef, atol=1e-10)
    assert int(fit(X, Y, init=cold.params, **options).num_steps) < int(cold.num_steps)


@pytest.mark.slow
def test_one_bad_strength_spoils_its_member_alone():
    good = fit(X, Y, l1_group=np.array([0.1, 0.05]), groups=GROUPS)
    missing_one = fit(X, Y, l1_group=np.array([0.1, np.nan, 0.05]), groups=GROUPS)
    assert [Status(int(one)) for one in missing_one.status] == [Status.CONVERGED, Status.NONFINITE, Status.CONVERGED]
    negative = jax.jit(lambda l1_group: fit(X, Y, l1_group=l1_group, groups=GROUPS))(jnp.array([0.1, -0.1, 0.05]))
    assert [Status(int(one)) for one in negative.status] == [Status.CONVERGED, Status.INVALID, Status.CONVERGED]
    for found in (missing_one, negative):
        np.testing.assert_allclose(found.params.coef[np.array([0, 2])], good.params.coef, atol=1e-8)


@pytest.mark.slow
def test_it_maps_and_compiles_over_strengths():
    strengths = jnp.array([0.2, 0.1, 0.02])
    batch = fit(X, Y, l1_group=strengths, groups=GROUPS)
    mapped = jax.jit(jax.vmap(lambda l1_group: fit(X, Y, l1_group=l1_group, groups=GROUPS).params))(strengths)
    np.testing.assert_allclose(mapped.coef, batch.params.coef, atol=1e-8)
    np.testing.assert_array_equal(mapped.coef == 0, batch.params.coef == 0)


@pytest.mark.slow
def test_classes_have_coefficients_that_sum_to_0_of_every_column():
    found = fit(X, **KINDS["multinomial"], l1_group=0.02, groups=GROUPS, tol=1e-12)
    coef = np.asarray(found.params.coef)
    assert np.any(coef)
    np.testing.assert_allclose(coef.sum(axis=0), 0, atol=1e-10)  # what all classes share costs, and changes no loss
    shifted = SoftmaxParams(coef + 0.1, found.params.intercept)
    assert float(loss(shifted, Problem(X, THREE, l1_group=0.02, groups=GROUPS))) > float(found.value)


@pytest.mark.parametrize("options", [{}, {"l1": 0.01}, slow({"l2": 0.1})], ids=str)
@pytest.mark.slow
def test_more_columns_than_rows_are_solved_on_those_that_count(options):
    rng = np.random.default_rng(2)
    A, groups = rng.normal(size=(60, 800)), np.repeat(np.arange(200), 4)
    y = (A[:, :8].sum(axis=1) + rng.logistic(size=60) > 0).astype(int)
    l1_group = 0.4 * float(l1_max(Problem(A, y, groups=groups, l1=options.get("l1"))))
    found = fit(A, y, l1_group=l1_group, groups=groups, tol=1e-12, **options)
    assert bool(found.converged)
    used = np.isin(groups, groups[np.asarray(found.params.coef) != 0])
    assert 4 <= used.sum() < 400
    alone = fit(A[:, used], y, l1_group=l1_group, groups=groups[used], tol=1e-12, **options)
    np.testing.assert_allclose(found.params.coef[used], alone.params.coef, atol=1e-9)
    assert missing(found.params, A=A, y=y, groups=groups, l1_group=l1_group, **options) <= 1e-11


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "l1_group"), [(141, 0.02), (26, 0.05)])
def test_a_bound_above_0_keeps_the_rest_of_its_group_free(seed, l1_group):
    rng = np.random.default_rng(seed)
    A, y, bounds = 2 * rng.normal(size=(30, 2)), rng.integers(0, 2, 30), {"lower": np.array([0.1, 0.0])}
    found = fit(A, y, l1_group=l1_group, groups=np.zeros(2, int), **bounds)
    assert Status(int(found.status)) == Status.CONVERGED
    assert float(found.params.coef[0]) == 0.1
    assert float(found.params.coef[1]) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "share"), [(8, 0.01), slow((18, 1e-3)), slow((23, 1e-3))])
def test_columns_that_all_but_depend_on_each_other(seed, share):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 12)) + 1e-3 * rng.normal(size=(80, 12))
    y, groups = rng.integers(0, 2, 80), rng.integers(0, 4, 12)
    found = fit(A, y, groups=groups, l1_group=share * l1_max(Problem(A, y, groups=groups)))
    assert Status(int(found.status)) == Status.CONVERGED
    assert float(found.gap) <= 1e-10


@pytest.mark.slow
def test_groups_of_uneven_sizes():
    rng = np.random.default_rng(3)
    A, groups = rng.normal(size=(150, 100)), np.concatenate([np.zeros(60, int), np.arange(1, 31), np.full(10, 31)])
    y = (A[:, 55:65].sum(axis=1) + rng.logistic(size=150) > 0).astype(int)
    for l1_group in (0.05, 0.005):
        found = fit(A, y, l1_group=l1_group, groups=groups, tol=1e-11)
        assert bool(found.converged)
        assert missing(found.params, A=A, y=y, groups=groups, l1_group=l1_group) <= 1e-10
    assert np.all(np.asarray(found.params.coef)[:60] != 0)
