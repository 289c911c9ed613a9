"""The penalty of coefficients with bounds: its conditions of optimality, its conjugate and its kinks."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import jaxlr
from jaxlr.model.bounds import Bounded
from jaxlr.model.penalty import Penalty

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
INF = np.inf
numbers = st.floats(-3, 3, width=32)
ends = st.tuples(st.sampled_from([-INF, -1.5, 0.0, 0.25]), st.sampled_from([0.25, 1.0, INF]))


def bounded(l1, l2, lower, upper):
    return Bounded(*(jnp.asarray([value], float) for value in (l1, l2, lower, upper)))


def one(value):
    return jnp.asarray([value], float)


@pytest.mark.slow
@given(numbers, st.floats(-5, 5), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.5]))
def test_without_bounds_it_is_the_plain_penalty(c, u, l1, l2):
    plain, mine = Penalty(one(l1), one(l2)), bounded(l1, l2, -INF, INF)
    u = float(np.clip(u, -l1, l1)) if l2 == 0 else u
    for name in ("violations", "slack"):
        assert float(getattr(mine, name)(one(u), one(c))[0]) == float(getattr(plain, name)(one(u), one(c))[0])
    np.testing.assert_allclose(mine.conjugacy(one(c), one(u)), plain.conjugacy(one(c), one(u)), rtol=64 * EPS, atol=64 * EPS)
    assert float(mine.shrinkage(one(u))) == float(plain.shrinkage(one(u)))
    np.testing.assert_array_equal(mine.prox(one(u)), plain.prox(one(u)))


@given(numbers, st.floats(-5, 5), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.5, 4.0]), ends)
@example(0.5, 2.0, 0.3, 0.0, (-INF, 1.0))  # the bound ahead is all that ends the ray
@example(0.5, -2.0, 0.3, 0.0, (-1.5, INF))
def test_conjugacy_is_what_a_search_for_the_supremum_finds(c, u, l1, l2, bounds):
    lower, upper = bounds
    penalty = bounded(l1, l2, lower, upper)
    c = float(np.clip(c, lower, upper))
    u = float(u * penalty.shrinkage(one(u)))

    def phi(t):
        return l1 * abs(t) + l2 / 2 * t**2 - u * t

    # phi is convex: without l2 its minimum is at a kink or an end, with it within |u| / l2 of 0.
    far = 1 + abs(u) / l2 if l2 else 10.0
    low, high = max(lower, -far), min(upper, far)
    found = minimize_scalar(phi, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    least = min([phi(t) for t in (low, high, 0.0) if low <= t <= high] + [found.fun])
    size = 1 + abs(phi(c)) + abs(least)
    assert abs(float(penalty.conjugacy(one(c), one(u))[0]) - (phi(c) - least)) <= 1e-9 * size  # that of the search
    assert float(penalty.conjugacy(one(c), one(u))[0]) >= 0


@given(numbers, st.floats(-5, 5), st.sampled_from([0.0, 0.3]), ends)
def test_a_slope_violates_nothing_exactly_where_the_minimum_is(c, slope, l1, bounds):
    """The minimum of slope t + l1 |t| + (t - c)^2 / 2 is prox(c - slope)."""
    penalty = bounded(l1, 0.0, *bounds)
    at = penalty.prox(one(c - slope))
    violation = penalty.violations(one(slope) + at - c, at)
    assert float(violation[0]) <= 8 * EPS * (1 + abs(slope) + abs(c))
    assert bounds[0] <= float(at[0]) <= bounds[1]


def test_outside_the_bounds_nothing_is_optimal_and_the_objective_is_infinite():
    X, y = np.array([[-1.0], [1.0], [2.0]]), np.array([0, 1, 0])
    problem = jaxlr.Problem(X, y, l2=0.1, lower=np.zeros(1), upper=np.ones(1))
    outside = jaxlr.Params(np.array([-0.5]), np.float64(0))
    assert float(jaxlr.loss(outside, problem)) == INF
    assert float(jaxlr.kkt_residual(outside, problem)) == INF
    assert float(jaxlr.duality_gap(outside, problem)) == INF
    inside = jaxlr.Params(np.array([0.5]), np.float64(0))
    assert float(jaxlr.loss(inside, problem)) == float(jaxlr.loss(inside, jaxlr.Problem(X, y, l2=0.1)))


def test_without_a_penalty_two_bounds_bound_what_is_left_and_one_does_not():
    X, y = np.array([[-1.0], [1.0], [2.0]]), np.array([0, 1, 1])  # separated: J falls for ever as coef grows
    at = jaxlr.Params(np.array([0.5]), np.float64(0))
    for lower, upper in ((0.0, INF), (-INF, 1.0), (0.0, 1.0)):
        problem = jaxlr.Problem(X, y, l2=0.0, lower=np.array([lower]), upper=np.array([upper]))
        assert np.isfinite(jaxlr.duality_gap(at, problem)) == (np.isfinite(lower) and np.isfinite(upper))


@given(numbers, st.floats(-4, 4).filter(bool), st.sampled_from([0.0, 0.3]), ends)
def test_a_step_turns_at_the_first_kink(v, d, l1, bounds):
    lower, upper = bounds
    penalty = bounded(l1, 0.0, lower, upper)
    v = float(np.clip(v, lower, upper))
    if bool(penalty.rests(one(v))[0]):
        return
    kinks = [k for k in (lower, upper, *([0.0] if l1 else [])) if (k - v) * d > 0 and abs(k - v) <= abs(d)]
    turns, kink = penalty.turns(one(v), one(d))
    assert bool(turns[0]) == bool(kinks)
    if kinks:
        assert float(kink[0]) == min(kinks, key=lambda k: abs(k - v))


def test_a_step_that_ends_at_a_bound_does_so_to_the_last_digit():
    x = np.random.default_rng(0).uniform(0.1, 1e3, 1000)
    lower = np.full(1000, 0.1)
    penalty = Bounded(jnp.zeros(1000), jnp.zeros(1000), jnp.asarray(lower), jnp.full(1000, INF))
    assert np.all(np.asarray(penalty.moved(jnp.asarray(x), jnp.asarray(lower - x))) == lower)
    near = penalty.moved(jnp.asarray(x), jnp.asarray(lower - x + 1e-9))
    assert np.all(np.asarray(near) > lower)
