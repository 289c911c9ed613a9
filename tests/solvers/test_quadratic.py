"""The quadratic with absolute penalties: its minimum meets the optimality conditions, also where the matrix is singular."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr.linalg.blocked import factor
from jaxlr.model.penalty import Penalty
from jaxlr.solvers.quadratic import minimize, no_factor
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
K = 6
JITTER = EPS**0.75  # what the solver adds to the diagonal
solve = jax.jit(lambda H, b, start, l1: minimize(H, b + H @ start, start, absolute(l1), jnp.ones(K), jnp.float64(0))[0])


def absolute(l1):
    return Penalty(jnp.asarray(l1), jnp.zeros_like(l1))


def matrix(kind, rng, k=K):
    rows = rng.standard_normal((10 if kind != "wide" else 3, k))
    if kind == "repeated":
        rows[:, k // 2 :] = rows[:, : k - k // 2]
    if kind == "opposite":
        rows[:, k // 2 :] = -rows[:, : k - k // 2]
    if kind == "correlated":
        rows = 1e-4 * rows + rng.standard_normal((10, 1))
    H = rows.T @ rows
    s = 1 / np.sqrt(np.diag(H))
    H = H * s[:, None] * s
    np.fill_diagonal(H, 1 + JITTER)
    return H


def residual(H, b, v, l1):
    return float(jnp.max(absolute(l1).violations(jnp.asarray(b + H @ v), jnp.asarray(v))))


@pytest.mark.parametrize("kind", quick(["free", "repeated", "opposite", "correlated", "wide"], "correlated"))
@given(seed=st.integers(0, 10**6), strength=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 2.0]), cold=st.booleans())
def test_the_minimum_meets_the_optimality_conditions(kind, seed, strength, cold):
    rng = np.random.default_rng(seed)
    H, b, l1 = matrix(kind, rng), rng.uniform(-1, 1, K), strength * rng.integers(0, 3, K) / 2
    if kind != "free":  # in the range of H, so that a minimum exists without a penalty
        b = H @ b
    v = np.asarray(solve(H, b, np.zeros(K) if cold else rng.standard_normal(K) * rng.integers(0, 2, K), l1))
    # Coefficients of up to 1 / strength of a singular matrix, each product rounded.
    assert residual(H, b, v, l1) <= 1e3 * EPS * (1 + np.abs(v).max())


def test_what_rounding_leaves_is_asked_of_no_pass(monkeypatch):
    """Two columns that are 1e-9 apart and their coefficients, of 1e4, leave a residual of 1e-12: what is under that is noise,
    after which all 64 passes went, for each model of a batch and at each of its steps."""
    rng, factors = np.random.default_rng(0), []
    rows = rng.standard_normal((40, 4))
    rows[:, 3] = rows[:, 2] + 1e-9 * rng.standard_normal(40)
    s = 1 / np.linalg.norm(rows, axis=0)
    H = jnp.asarray(s[:, None] * (rows.T @ rows) * s + JITTER * np.eye(4))
    start, slope = np.array([1, 2, 1e4, -1e4]) + rng.standard_normal(4), 1e-9 * rng.standard_normal(4)
    penalty = Penalty(jnp.array([1e-3, 0, 0, 0]), jnp.zeros(4))

    def counted(*given):
        jax.debug.callback(lambda: factors.append(1))
        return factor(*given)

    monkeypatch.setattr("jaxlr.solvers.quadratic.blocked.factor", counted)
    v, _ = minimize(H, jnp.asarray(slope), jnp.asarray(start), penalty, jnp.full(4, 2.0), jnp.float64(EPS))
    jax.effects_barrier()
    assert 1 <= len(factors) <= 2
    noise = EPS * float(np.sum(np.abs(v) + np.abs(v - start)))
    assert float(jnp.max(penalty.violations(slope + H @ (v - start), v))) <= noise + 2 * EPS


def test_no_pass_raises_the_quadratic(monkeypatch):
    """A sweep lowers it, and so does the step on the support, wherever a kink cuts it short; otherwise passes could cycle."""
    monkeypatch.setattr("jaxlr.solvers.quadratic._MOST_PASSES", 1)

    @jax.jit
    @jax.vmap
    def lowered(H, b, l1, start):
        def q(v):
            return jnp.sum(b * v) + v @ H @ v / 2 + jnp.sum(l1 * jnp.abs(v))

        return q(start), q(minimize(H, b + H @ start, start, absolute(l1), jnp.ones(K), jnp.float64(0))[0])

    rng = np.random.default_rng(0)
    H = np.stack([matrix("correlated", rng) for _ in range(64)])
    b = (H @ rng.uniform(-1, 1, (64, K, 1)))[..., 0]
    start = rng.standard_normal((64, K)) * rng.integers(0, 2, (64, K))
    before, after = map(np.asarray, lowered(H, b, 0.25 * rng.integers(0, 3, (64, K)), start))
    assert np.all(after <= before + 1e3 * EPS * (1 + np.abs(before)))  # sums of a few dozen products


def test_a_strength_over_the_slopes_leaves_exact_zeros_and_infinity_holds_a_coefficient():
    rng = np.random.default_rng(0)
    H, b = matrix("free", rng), rng.uniform(-1, 1, K)
    assert np.all(np.asarray(solve(H, b, np.ones(K), np.full(K, np.abs(b).max()))) == 0)
    held = np.where(np.arange(K) == 2, np.inf, 1e-3)
    v = np.asarray(solve(H, b, np.zeros(K), held))
    assert v[2] == 0
    assert np.all(v[np.arange(K) != 2] != 0)


@pytest.mark.slow
def test_hundreds_of_columns_of_rank_10_end_with_few_coefficients_in_few_passes():
    """A sweep takes nearly all of them in; one at a time they would take hundreds of passes to leave."""
    k, rng = 300, np.random.default_rng(1)
    H = matrix("correlated", rng, k)
    b, l1 = H @ rng.standard_normal(k) / k, np.full(k, 1e-6)
    v = np.asarray(minimize(*map(jnp.asarray, (H, b, np.zeros(k))), absolute(l1), jnp.ones(k), jnp.asarray(1e-12))[0])
    assert residual(H, b, v, l1) <= 1e-12
    assert np.count_nonzero(v) <= 20


@pytest.mark.parametrize("kind", quick(["free", "correlated", "wide", "many free", "many correlated"], "wide"))
def test_a_factor_that_is_kept_changes_no_minimum(kind):
    rng, k = np.random.default_rng(1), 300 if "many" in kind else 6
    kind = kind.removeprefix("many ")
    H, l1 = jnp.asarray(matrix(kind, rng, k)), jnp.asarray(0.01 * rng.integers(0, 3, k))

    @jax.jit
    def with_factor(b, start, factor):
        return minimize(H, b + H @ start, start, absolute(l1), jnp.ones(k), jnp.float64(0), factor)

    factor, v = no_factor(H), jnp.zeros(k)
    for b in (np.asarray(H) @ (rng.standard_normal(k) * scale) for scale in (1, 1, 1e-3)):
        for _ in range(2):  # from far, and from the minimum with its own factor
            v, factor = with_factor(jnp.asarray(b), v, factor)
            assert residual(np.asarray(H), b, np.asarray(v), np.asarray(l1)) <= 1e3 * k * EPS * (1 + np.abs(v).max())
        np.testing.assert_array_equal(np.asarray(factor.support)[np.asarray(v) != 0], True)
