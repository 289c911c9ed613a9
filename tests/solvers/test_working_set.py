"""Very many columns: the answer is that of all columns at once, and no column is left out unchecked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status
from jaxlr.batching import strategy
from jaxlr.engine import run as running
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.gathered import Transposed
from jaxlr.model.certificates import standard_units
from jaxlr.model.likelihood import Binary
from jaxlr.model.penalty import Penalty
from jaxlr.solvers import working_set
from jaxlr.solvers.system import System, system_of
from jaxlr.solvers.working import prepare, working_problem
from jaxlr.solvers.working_set import leaves_out, rooms_of

pytestmark = pytest.mark.usefixtures("x64")

TOL = 1e-10
RNG = np.random.default_rng(0)
M, N = 40, 400
X = RNG.standard_normal((M, N))
Y = (X[:, :5].sum(1) + RNG.logistic(size=M) > 0).astype(float)
GRID = np.geomspace(0.2, 2e-3, 8)


@pytest.fixture(scope="module")
def path():
    return jaxlr.fit(X, Y, l1=GRID)


def test_there_is_room_for_fewer_columns_than_there_are():
    assert strategy.usual_room(M, N + 1, False) == 48
    assert leaves_out(strategy.usual_room(M, N + 1, True), N + 1)


def test_rooms_are_parts_of_the_largest():
    assert rooms_of(101, 101) == (101,)
    assert rooms_of(81, 7130) == (40, 81)
    assert rooms_of(501, 501) == (125, 250, 501)
    assert rooms_of(48, 10**6) == (48,)


@pytest.fixture
def small_room(monkeypatch):
    monkeypatch.setattr(strategy, "usual_room", lambda *shape: 64)


@pytest.mark.slow
def test_every_column_meets_its_conditions(path):
    assert bool(path.converged.all())
    check = jax.jit(lambda params, l1: jaxlr.kkt_residual(params, Problem(X, Y, l1=l1)))
    for k, l1 in enumerate(GRID):
        params = jax.tree.map(lambda leaf, k=k: leaf[k], path.params)
        assert float(check(params, l1)) <= 2 * TOL
    assert np.asarray(path.gap).max() <= 1e-9


@pytest.mark.slow
def test_the_columns_that_no_model_uses_can_be_left_out(path):
    used = np.flatnonzero(np.any(np.asarray(path.params.coef) != 0, axis=0))
    assert len(used) < 60
    few = jaxlr.fit(X[:, used], Y, l1=GRID)
    np.testing.assert_allclose(np.asarray(path.params.coef)[:, used], few.params.coef, rtol=0, atol=1000 * TOL)


@pytest.mark.slow
@pytest.mark.usefixtures("small_room")
def test_a_support_larger_than_the_room_is_found_in_more_rounds_and_with_more_room(monkeypatch):
    l1, l2 = 1e-3, np.array([1e-2, 1e-1])
    found = jaxlr.fit(X, Y, l1=l1, l2=l2)
    assert bool(found.converged.all())
    assert (np.count_nonzero(found.params.coef, axis=1) > 200).all()
    assert np.asarray(found.gap).max() <= 1e-12
    monkeypatch.setattr(running, "_MOST_ROOM", 0)
    crowded = jaxlr.fit(X, Y, l1=l1, l2=l2, max_steps=20)
    assert not bool(crowded.converged.all())  # says so, where it is not given more


@pytest.mark.slow
@pytest.mark.usefixtures("small_room")
def test_only_the_models_that_need_more_room_are_solved_again():
    s = np.ones((2, 1, M))
    s[1, 0, :5] = 0
    l1, l2 = np.array([0.2, 1e-3]), np.array([1e-2])
    batch = jaxlr.fit(X, np.stack([Y, 1 - Y])[:, None, None], sample_weight=s, l1=l1, l2=l2)
    assert batch.status.shape == (2, 2, 2)
    assert bool(batch.converged.all())
    for a, b, c in np.ndindex(2, 2, 2):
        alone = jaxlr.fit(X, [Y, 1 - Y][a], sample_weight=s[b, 0], l1=l1[c], l2=0.01)
        np.testing.assert_allclose(batch.params.coef[a, b, c], alone.params.coef, rtol=0, atol=1000 * TOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"fit_intercept": False}, {"standardize": True}, {"penalty_factor": 0.5 + np.arange(N) % 3}]
)
def test_the_switches_hold_for_many_columns_too(options):
    found = jaxlr.fit(X * (1 + np.arange(N) % 5), Y, l1=0.05, **options)
    assert bool(found.converged)
    used = np.flatnonzero(np.asarray(found.params.coef))
    options = {name: value[used] if name == "penalty_factor" else value for name, value in options.items()}
    few = jaxlr.fit((X * (1 + np.arange(N) % 5))[:, used], Y, l1=0.05, **options)
    np.testing.assert_allclose(np.asarray(found.params.coef)[used], few.params.coef, rtol=0, atol=1000 * TOL)


def test_all_that_is_needed_is_in_the_room_and_what_is_not_seen_whole_never_converges():
    """Room for 23 columns: a lasso of less has its minimum; 26 without a penalty that separate the classes together do not."""
    rng = np.random.default_rng(0)
    m, n = 200, 30
    X, beta = rng.standard_normal((m, n)), rng.standard_normal(n)
    A = jnp.column_stack([X, np.ones(m)])

    @jax.jit
    def solve(y, l1):
        system = System(
            Binary(), Dense(A), w=jnp.full(m, 1 / m), total=jnp.float64(m), y=y, offset=None, present=None,
            penalty=Penalty(l1, jnp.zeros(n)).padded(n + 1), location=jnp.zeros(n + 1), scale=jnp.ones(n + 1), n=n,
            coercive=False, aid=Transposed(A.T),
        )  # fmt: skip
        found = working_set.solve(system, None, jnp.float64(TOL), 50, 24)
        return found, system.kkt(system.gradient(found.params, system.logits(found.params)), found.params)

    z = X @ beta
    lasso, kkt = solve((z / 3 + rng.logistic(size=m) > 0).astype(float), np.full(n, 0.03))
    assert 10 < np.count_nonzero(lasso.params) < 23
    assert int(lasso.status) == Status.CONVERGED
    assert float(kkt) <= TOL
    apart, _ = solve((z > 0).astype(float), np.where(np.arange(n) < 26, 0, 0.05))
    assert int(apart.status) != Status.CONVERGED


@pytest.mark.slow
def test_a_start_is_taken_and_changes_nothing(path):
    rng = np.random.default_rng(10)
    start = jaxlr.Params(rng.standard_normal(N), np.float64(3))
    found = jaxlr.fit(X, Y, l1=GRID[3], init=start)
    np.testing.assert_allclose(found.params.coef, path.params.coef[3], rtol=0, atol=1000 * TOL)


@pytest.mark.slow
def test_more_columns_without_a_penalty_than_there_is_room_for_do_not_hide_a_separation():
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((600, 400)).astype(np.float32)
    separated = (wide[:, :200] @ rng.standard_normal(200) > 0).astype(np.float32)
    factor = np.repeat(np.float32([0, 1]), 200)
    assert int(jaxlr.fit(wide, separated, l1=0.01, penalty_factor=factor).status) == jaxlr.Status.SEPARATED


@pytest.mark.slow
@pytest.mark.usefixtures("small_room")
def test_an_interrupt_while_models_get_more_room_keeps_the_first_pass(monkeypatch):
    chunks, rounds = running.fit_in_chunks, []

    def once(*args):
        rounds.append(args)
        if len(rounds) > 1:
            raise KeyboardInterrupt
        return chunks(*args)

    monkeypatch.setattr(running, "fit_in_chunks", once)
    with pytest.raises(KeyboardInterrupt) as caught:
        jaxlr.fit(X, Y, l1=np.array([0.1, 1e-3]), l2=1e-2, max_steps=20)
    fits = caught.value.fit
    assert fits.status.tolist() == [jaxlr.Status.CONVERGED, jaxlr.Status.MAX_STEPS]


@pytest.mark.slow
def test_a_path_is_not_touched_by_a_broken_point_and_reached_from_a_start_far_away(small_room):
    healthy = jaxlr.fit(X, Y, l1=GRID)
    broken = jaxlr.fit(X, Y, l1=np.insert(GRID, 3, np.nan))
    assert Status(int(broken.status[3])) == Status.NONFINITE
    np.testing.assert_allclose(np.delete(broken.params.coef, 3, axis=0), healthy.params.coef, rtol=0, atol=100 * TOL)
    far = jaxlr.fit(X, Y, l1=GRID, init=jaxlr.Params(5 * RNG.standard_normal(N), 3.0))
    assert bool(far.converged.all())
    np.testing.assert_allclose(far.params.coef, healthy.params.coef, rtol=0, atol=100 * TOL)


@pytest.mark.slow
def test_what_is_known_of_other_parameters_does_not_count():
    start = jnp.asarray(RNG.standard_normal(N + 1))
    working = prepare(jnp.asarray(X), jnp.ones(M, bool), True)
    inner = working_problem(Problem(X, Y, l1=0.05), working, None)
    system = system_of(inner, working, standard_units(inner), Binary(), True)._replace(aid=Transposed(working.A.to_array().T))
    solve = jax.jit(lambda start, known: working_set.solve(system, start, jnp.float64(TOL), 50, 48, known=known))
    none = working_set.nothing_known(start, M)
    right = solve(start, none)
    wrong = none._replace(params=start + 1, z=none.z + 5, slope=none.slope + 7)
    for known in (wrong, right.known):
        np.testing.assert_array_equal(solve(start, known).params, right.params)
    again = solve(right.params, right.known)
    np.testing.assert_allclose(again.params, right.params, rtol=0, atol=TOL)
