"""Columns that differ by next to nothing: coefficients are those of the difference itself, or it is said that none is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Status
from jaxlr.linalg.dense import Dense
from jaxlr.model.likelihood import Binary
from jaxlr.model.penalty import Penalty
from jaxlr.solvers import newton
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.rounding import doubted
from jaxlr.solvers.system import System

EPS = float(np.finfo(np.float64).eps)
M = 200


def near(distance, seeds, effect=0.5):
    """Designs whose last column differs from the first by a distance; the same with that difference, as it was rounded, for a
    column; labels."""
    designs, differences, labels = [], [], []
    for seed, d in zip(seeds, np.broadcast_to(distance, len(seeds)), strict=True):
        rng = np.random.default_rng(seed)
        a, e = rng.normal(size=(M, 3)), rng.normal(size=M)
        last = a[:, 0] + d * e
        designs.append(np.column_stack([a, last]))
        differences.append(np.column_stack([a, (last - a[:, 0]) / d]))
        labels.append((a[:, 0] + effect * e + rng.logistic(size=M) > 0).astype(float))
    return np.stack(designs), np.stack(differences), np.stack(labels)


def off(fits, exact, distance):
    """How far coefficients of the last column are from those of the difference, in the unit of the latter."""
    return np.abs(np.asarray(fits.params.coef)[..., 3] * distance - np.asarray(exact.params.coef)[..., 3])


def assert_never_wrong(fits, exact, distance, needed):
    """CONVERGED is right to cond x eps, and is what comes out down to `needed`."""
    converged = np.asarray(fits.status) == Status.CONVERGED
    assert np.all(converged[distance >= needed])
    assert np.all(converged | (np.asarray(fits.status) == Status.STALLED))
    # 100: norms of the columns and of the inverse information; 1e-8 what tol leaves.
    assert np.all((off(fits, exact, distance) <= 100 * EPS / distance + 1e-8)[converged])


@pytest.mark.usefixtures("x64")
def test_a_solver_without_a_basis_converges_to_what_it_resolves_and_to_nothing_else():
    """Newton's method on (a, a + d e) as it is: once d is under the root of its jitter a gradient along e moves no logit."""
    rng = np.random.default_rng(0)
    a, e = rng.normal(size=(2, M))
    y = jnp.asarray((a + 0.5 * e + rng.logistic(size=M) > 0).astype(float))
    distances, none = 10.0 ** -np.arange(2, 13, 2), jnp.zeros(2)

    @jax.jit
    @jax.vmap
    def solve(d):
        system = System(
            Binary(), Dense(jnp.stack([a, a + d * e], axis=1)), w=jnp.full(M, 1 / M), total=jnp.float64(M), y=y, offset=None,
            present=None, penalty=Penalty(none, none), location=none, scale=none + 1, n=2, coercive=False,
        )  # fmt: skip
        return newton.solve(system, None, jnp.float64(1e-10), 100)

    found = solve(distances)
    assert found.status.tolist() == 3 * [Status.CONVERGED] + 3 * [Status.STALLED]
    of_e = np.asarray(found.params)[:, 1] * distances
    # The last step was at most the root of 1e-5 tol, and at 1e-6 a third of what was left.
    np.testing.assert_allclose(of_e[:3], of_e[0], rtol=0, atol=1e-7)


@pytest.mark.usefixtures("x64")
def test_a_minimum_whose_logits_hang_on_the_last_digits_of_a_column_is_doubted():
    """One column of 1 and -1, one row of each class: a gradient known to error / 2 and a curvature of 1 / 4 at 0."""
    A, half, none = Dense(jnp.array([[1.0], [-1.0]])), jnp.full(2, 0.5), jnp.zeros(1)
    system = System(
        Binary(), A, w=half, total=jnp.float64(2), y=jnp.array([1.0, 0]), offset=None, present=None,
        penalty=Penalty(none, none), location=none, scale=none + 1, n=1, coercive=False,
    )  # fmt: skip
    found = Solution(none, jnp.int32(Status.CONVERGED), jnp.int32(1))
    judged = jax.jit(jax.vmap(lambda error: doubted(found, system, error[None]).status))(jnp.array([0.0, 0.049, 0.051]))
    assert judged.tolist() == [Status.CONVERGED, Status.CONVERGED, Status.STALLED]  # known to a tenth


@pytest.mark.slow
def test_no_model_of_ten_thousand_converges_to_anything_but_its_minimum():
    rng = np.random.default_rng(0)
    distance = 10 ** rng.uniform(-12, -1, size=10_000)
    effect = 10 ** rng.uniform(-3, 0)
    designs, differences, labels = near(distance, range(10_000), effect)
    exact = jaxlr.fit(differences, labels)
    assert bool(exact.converged.all())
    assert_never_wrong(jaxlr.fit(designs, labels), exact, distance, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver", ["newton", *(pytest.param(name, marks=pytest.mark.slow) for name in ("newton_cg", "proximal"))]
)
@pytest.mark.parametrize("l2", [0.0, np.array([0.0, 1e-3])[:, None]])
def test_every_solver_resolves_or_says_so_also_beside_penalties(solver, l2):
    distance = np.array([1e-5, 1e-7, 1e-9, 1e-12, 1e-13])
    designs, differences, labels = near(distance, range(5), effect=0.1)
    fits, exact = jaxlr.fit(designs, labels, l2=l2, solver=solver), jaxlr.fit(differences, labels)
    fits = fits if np.ndim(l2) == 0 else jax.tree.map(lambda leaf: leaf[0], fits)
    assert_never_wrong(fits, exact, distance, 1e-9)
    assert not np.any(np.asarray(fits.status)[3:] == Status.CONVERGED)


@pytest.mark.parametrize(
    "penalty",
    [
        {"l2": 1e-2},
        {"l1": 1e-2},
        *(
            pytest.param(more, marks=pytest.mark.slow)
            for more in ({"l1": 1e-2, "l2": 1e-2}, {"l2": 1e-2, "solver": "newton_cg"})
        ),
    ],
)
@pytest.mark.slow
def test_columns_without_a_penalty_are_resolved_beside_those_that_have_one(penalty):
    """By a penalty_factor of 0 in all models, or in one of two."""
    distance = np.array([1e-5, 1e-7, 1e-9, 1e-12, 1e-13])
    designs, differences, labels = near(distance, range(5), effect=0.1)
    factor = np.array([0.0, 1, 1, 0])
    for penalties in ({"penalty_factor": factor}, {"penalty_factor": np.stack([factor, np.ones(4)])[:, None]}):
        fits, exact = (jaxlr.fit(X, labels, **penalty | penalties) for X in (designs, differences))
        if fits.status.ndim == 2:
            assert bool(fits.converged[1].all())  # its neighbour, penalized throughout
            fits, exact = (jax.tree.map(lambda leaf: leaf[0], both) for both in (fits, exact))
        assert_never_wrong(fits, exact, distance, 1e-9)
        assert not np.any(np.asarray(fits.status)[3:] == Status.CONVERGED)


@pytest.mark.slow
def test_a_copy_without_a_penalty_is_held_at_0_beside_a_penalized_column():
    designs, _, labels = near(1.0, [2])
    X, factor = np.column_stack([designs[0], designs[0][:, 1] - designs[0][:, 2]]), np.array([1.0, 0, 0, 1, 0])
    fit, without = (
        jaxlr.fit(X, labels[0], l2=0.1, penalty_factor=factor),
        jaxlr.fit(X[:, :4], labels[0], l2=0.1, penalty_factor=factor[:4]),
    )
    np.testing.assert_allclose(fit.params.coef, [*without.params.coef, 0], atol=1e-8)
    errors = jaxlr.inference.standard_errors(fit, jaxlr.Problem(X, labels[0], l2=0.1, penalty_factor=factor), penalized=True)
    expected = jaxlr.inference.standard_errors(
        without, jaxlr.Problem(X[:, :4], labels[0], l2=0.1, penalty_factor=factor[:4]), penalized=True
    )
    np.testing.assert_allclose(errors.coef, [*expected.coef, np.nan], rtol=1e-8)


@pytest.mark.slow
def test_a_penalty_that_is_known_only_inside_jit_never_converges_by_rounding():
    distance = np.array([1e-2, 1e-11, 1e-12, 1e-13])
    designs, _, labels = near(distance, range(4), effect=0.1)
    fits = jax.jit(lambda l2: jaxlr.fit(designs, labels, l2=l2))(jnp.array([0.0, 1e-2])[:, None])
    assert fits.status[0].tolist() == [Status.CONVERGED] + 3 * [Status.STALLED]
    assert bool(fits.converged[1].all())


@pytest.mark.slow
def test_classes_and_jit_resolve_them_too():
    distance = 1e-8
    designs, differences, labels = near(distance, [1])
    labels = np.where(np.arange(M) % 3 == 0, 2, labels[0])
    fits, exact = (jax.jit(lambda X: jaxlr.fit(X, labels, num_classes=3))(X[0]) for X in (designs, differences))
    assert bool(fits.converged)
    assert np.all(off(fits, exact, distance) <= 100 * EPS / distance)


@pytest.mark.slow
def test_a_copy_is_held_at_0_and_the_rest_is_the_model_without_it():
    designs, _, labels = near(1.0, [2])
    copied = np.column_stack([designs[0], designs[0][:, 1] - designs[0][:, 2]])
    expected = [*jaxlr.fit(designs[0], labels[0]).params.coef, 0]
    for fits in (jaxlr.fit(copied, labels[0]), jaxlr.fit(copied, labels[0], l2=np.array([1e-2, 0.0]))):
        np.testing.assert_allclose(np.reshape(fits.params.coef, (-1, 5))[-1], expected, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [1e-13, *(pytest.param(d, marks=pytest.mark.slow) for d in (1e-8, 1e-10, 1e-12))])
def test_an_own_column_near_the_covariates_is_never_converged_to_anything_else(distance):
    designs, _, labels = near(distance, [3], effect=0.1)
    fits = jaxlr.fit_columns(designs[0, :, 3:].T, labels[0], covariates=designs[0, :, :3])
    assert fits.status.tolist() == [Status.STALLED]
    assert bool(jaxlr.fit_columns(designs[0, :, 3:].T, labels[0], covariates=designs[0, :, :3], l2=0.1).converged[0])


@pytest.mark.slow
def test_derivatives_are_those_of_the_difference():
    """At a distance of 1e-6 both have digits: dcoef_last / dy and, through X, dvalue."""
    distance = 1e-6
    designs, differences, labels = near(distance, [4])

    def slope(X, unit):
        return jax.jacrev(lambda y: jaxlr.fit(X, y).params.coef[3] * unit)(labels[0])

    np.testing.assert_allclose(slope(designs[0], distance), slope(differences[0], 1.0), atol=1e3 * EPS / distance)

    def slope_through_X(X):
        return jax.grad(lambda step: jaxlr.fit(X.at[:, 1].multiply(1 + step * labels[0]), labels[0]).value)(0.0)

    expected = slope_through_X(jnp.asarray(differences[0]))
    np.testing.assert_allclose(slope_through_X(jnp.asarray(designs[0])), expected, atol=1e3 * EPS / distance)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "options", [{}, *(pytest.param(o, marks=pytest.mark.slow) for o in ({"solver": "newton_cg"}, {"num_classes": 3}))]
)
def test_classes_that_one_row_separates_by_a_column_near_another_never_converge(dtype, options):
    """(a, a + d r) with r of one row are the columns (a, r): separated by r, for all d that the dtype tells from 0."""
    row = np.arange(40)
    a, y = np.sin(1.7 * row), np.where((row % 4 == 1) & ("num_classes" in options), 2, row % 3 == 0)
    distances = [1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10] if dtype == np.float64 else [0.1, 0.01, 1e-3, 1e-4]
    designs = np.stack([np.stack([a, a + d * (row == k)], axis=1) for d in distances for k in range(0, 40, 3)])
    labels = y.astype(np.int32 if options.get("num_classes") else dtype)
    assert not np.any(jaxlr.fit(designs.astype(dtype), labels, **options).converged)


def chain(m, n, step, share, seed):
    """Columns that each differ by little from the one before, and one that is made of these differences but for a share."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((m, n + 1))
    walk = e[:, :1] + step * np.column_stack([np.zeros(m), np.cumsum(e[:, 1:n], axis=1)])
    last = e[:, 1:n].sum(axis=1) / np.sqrt(n - 1) + share * e[:, n]
    y = (rng.random(m) < 1 / (1 + np.exp(-0.5 * e[:, 0] - 1.5 * e[:, n]))).astype(float)
    return np.column_stack([walk, last]), y


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_what_a_chain_of_near_columns_leaves_of_another_is_not_taken_for_rounding():
    X, y = chain(2000, 30, 5e-4, 1e-4, seed=1)
    Q, R = np.linalg.qr(np.column_stack([np.ones(len(X)), X]))
    assert np.abs(np.diagonal(R)).min() > 1e-5 * np.abs(R).max()  # full rank, far from rounding
    t = np.zeros(len(R))
    for _ in range(20):  # Newton's method on Q, all of whose columns are apart
        p = 1 / (1 + np.exp(-Q @ t))
        t += np.linalg.solve(Q.T @ (Q * (p * (1 - p))[:, None]), Q.T @ (y - p))
    fit = jaxlr.fit(X, y)
    assert int(fit.status) == Status.CONVERGED
    assert np.all(np.asarray(fit.params.coef) != 0)
    z = Q @ t
    expected = np.linalg.solve(R, t)[1:]
    size = np.abs(expected).max()  # 5e6: logits are sums of numbers so large, known to eps times that
    assert float(fit.value) == pytest.approx(np.mean(np.logaddexp(0, z) - y * z), abs=size * EPS)
    np.testing.assert_allclose(fit.params.coef, expected, rtol=0, atol=np.linalg.cond(R) * EPS * size)


@pytest.mark.slow
def test_lags_of_a_random_walk_in_float32_are_all_estimated():
    walk = np.cumsum(np.random.default_rng(3).standard_normal(2040))
    lags = np.stack([walk[40 - k : 2040 - k] for k in range(40)], axis=1).astype(np.float32)
    y = (np.random.default_rng(4).random(2000) < 1 / (1 + np.exp(-lags[:, 0] / lags[:, 0].std()))).astype(np.float32)
    fit = jaxlr.fit(lags, y)
    assert int(fit.status) == Status.CONVERGED
    assert np.all(np.asarray(fit.params.coef) != 0)
