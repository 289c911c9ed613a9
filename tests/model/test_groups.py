"""The penalty of groups: its norms, conditions of optimality and conjugate, and the certificates that follow from them."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr import Params, Problem, SoftmaxParams, duality_gap, fit, kkt_residual, loss
from jaxlr.model.bounds import Bounded
from jaxlr.model.groups import Grouped
from jaxlr.model.norms import as_groups, norms
from jaxlr.model.penalty import Penalty

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
INF = np.inf
K = 6
seeds = st.integers(0, 10**6)


def drawn(seed, *, boxed=False, l1=None, l2=None, weighted=True):
    """A penalty of six columns in random groups, and a generator."""
    rng = np.random.default_rng(seed)
    strengths = [rng.choice([0.0, 0.3], K) if l1 is None else np.full(K, l1)]
    strengths += [rng.choice([0.0, 0.5, 4.0], K) if l2 is None else np.full(K, l2)]
    number = rng.integers(0, K, K).astype(np.int32)
    lam = rng.choice([0.2, 1.5], K)[number]
    D = rng.choice([0.25, 1.0, 3.0], K) if weighted else np.ones(K)
    base = Penalty(*map(jnp.asarray, strengths))
    if boxed:
        base = Bounded(*base, jnp.asarray(rng.choice([-INF, -1.5, 0.0], K)), jnp.asarray(rng.choice([0.0, 1.0, INF], K)))
    return Grouped(base, jnp.asarray(lam), jnp.asarray(D), jnp.asarray(number)), rng


def point(penalty, rng, classes=()):
    """Parameters within the bounds, some groups and some coefficients of them 0."""
    x = rng.normal(size=(*classes, K)) * rng.choice([0.1, 1.0, 3.0])
    x = x * rng.choice([0, 1], K)[np.asarray(penalty.number)] * rng.choice([0, 1, 1], x.shape)
    return penalty.nearest(jnp.asarray(x))


def value_of(penalty, x):
    """By the definition, of classes in front."""
    x, (l1, l2, *_) = np.reshape(np.asarray(x), (-1, K)), map(np.asarray, penalty.base)
    D, number, lam = np.asarray(penalty.weights), np.asarray(penalty.number), np.asarray(penalty.l1_group)
    groups = sum(lam[number == g][0] * np.linalg.norm((D * x)[:, number == g]) for g in set(number))
    return np.sum(l1 * np.abs(x) + l2 / 2 * x**2) + groups


def nearest(penalty, x):
    return np.clip(x, penalty.base.lower, penalty.base.upper) if isinstance(penalty.base, Bounded) else np.asarray(x)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [(), (3,)])
@pytest.mark.parametrize("boxed", [False, True])
def test_the_value_is_that_of_the_definition_and_growth_its_change(classes, boxed):
    for seed in range(10):
        penalty, rng = drawn(seed, boxed=boxed)
        x, to = point(penalty, rng, classes), point(penalty, rng, classes)
        expected = value_of(penalty, x)
        assert abs(float(penalty.value(x)) - expected) <= 16 * EPS * expected  # a dozen terms, all >= 0
        squares = np.sum(np.asarray(penalty.l2) / 2 * (np.asarray(to) ** 2 - np.asarray(x) ** 2))
        grown = float(jnp.sum(penalty.growth(x, to)))
        assert abs(grown - (value_of(penalty, to) - expected - squares)) <= 64 * EPS * (1 + expected + value_of(penalty, to))


@pytest.mark.slow
def test_outside_the_bounds_the_value_is_infinite():
    penalty, _ = drawn(1, boxed=True)
    outside = jnp.where(jnp.isfinite(penalty.base.upper), penalty.base.upper + 1, 0)
    assert bool(jnp.any(outside > 0))
    assert float(penalty.value(outside)) == INF


def test_growth_does_not_cancel():
    penalty, rng = drawn(5, l1=0.0, l2=0.0)
    x = jnp.asarray(rng.normal(size=K))
    to = x * (1 + 1e-13 * jnp.asarray(rng.normal(size=K)))
    with mp.workdps(50):
        sizes = [mp.mpf(0), mp.mpf(0)]
        for i, at in enumerate((x, to)):
            for g in set(np.asarray(penalty.number).tolist()):
                inside = [j for j in range(K) if penalty.number[j] == g]
                squares = mp.fsum((mp.mpf(float(penalty.weights[j])) * mp.mpf(float(at[j]))) ** 2 for j in inside)
                sizes[i] += mp.mpf(float(penalty.l1_group[inside[0]])) * mp.sqrt(squares)
        exact = float(sizes[1] - sizes[0])
    terms = float(jnp.sum(jnp.abs(penalty.growth(x, to))))
    assert abs(float(jnp.sum(penalty.growth(x, to))) - exact) <= 32 * EPS * terms  # far below eps of the value
    assert terms < 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e200, 1.0, 1e-200])
def test_no_square_of_a_norm_overflows_or_vanishes(size):
    y = jnp.array([3 * size, 0.0, -4 * size, 0.0, 2 * size, 0.0])
    number = jnp.array([2, 0, 2, 0, 4, 5], jnp.int32)
    expected = np.array([5 * size, 0, 5 * size, 0, 2 * size, 0])
    np.testing.assert_allclose(norms(y, number), expected, rtol=4 * EPS)
    np.testing.assert_allclose(norms(jnp.stack([y, y]), number), expected * np.sqrt(2), rtol=4 * EPS)
    assert np.all(np.isfinite(jax.jacobian(lambda y: norms(y, number))(jnp.zeros(K))))


@pytest.mark.parametrize("size", [1e200, 1.0, 1e-200])
def test_the_derivative_of_a_norm_is_a_direction_of_any_size(size):
    number = jnp.array([2, 0, 2, 0, 4, 5], jnp.int32)
    y = jnp.array([3 * size, 0.0, -4 * size, 0.0, 2 * size, 0.0])
    slope = jax.grad(lambda y: jnp.sum(norms(y, number)[jnp.array([0, 4])]))(y)
    np.testing.assert_allclose(slope, [0.6, 0, -0.8, 0, 1, 0], rtol=8 * EPS)


def test_groups_are_known_by_any_integers_and_have_the_roots_of_their_sizes():
    groups = as_groups(np.array([7, -3, 7, 100, 7, -3]), jnp.dtype(float))
    np.testing.assert_array_equal(groups.number, [1, 0, 1, 2, 1, 0])
    np.testing.assert_allclose(groups.multiplier**2, [3, 2, 3, 1, 3, 2], rtol=4 * EPS)
    assert as_groups(groups, jnp.dtype(float)) is groups


@pytest.mark.parametrize("classes", [(), (3,)])
@pytest.mark.slow
def test_the_curvature_is_the_hessian_of_the_norms(classes):
    for seed in range(5):
        penalty, rng = drawn(seed, l1=0.0, l2=0.0)
        x = jnp.asarray(rng.normal(size=(*classes, K)))
        curvature = penalty.curvature(x)
        number, D, lam = np.asarray(penalty.number), penalty.weights, penalty.l1_group

        def total(v, number=number, D=D, lam=lam, x=x):
            y = D * v.reshape(x.shape) if x.ndim == 1 else D[None, :] * v.reshape(x.shape)
            return sum(lam[np.argmax(number == g)] * jnp.sqrt(jnp.sum(y[..., number == g] ** 2)) for g in set(number))

        exact = np.asarray(jax.hessian(total)(x.ravel()))
        size = float(jnp.max(curvature.root**2))  # of the terms that cancel
        np.testing.assert_allclose(curvature.matrix(), exact, atol=64 * EPS * size)
        np.testing.assert_allclose(np.ravel(curvature.diagonal()), np.diagonal(exact), atol=64 * EPS * size)
        v = jnp.asarray(rng.normal(size=x.shape))
        np.testing.assert_allclose(np.ravel(curvature.times(v)), exact @ np.ravel(v), atol=64 * EPS * size * K)
        slope = jax.grad(total)(x.ravel())
        np.testing.assert_allclose(np.ravel(penalty.slope_of_norms(x)), slope, atol=64 * EPS * np.max(np.abs(slope)))
        # Along c itself a norm is straight, and rounding makes it no lower.
        assert np.min(np.linalg.eigvalsh(curvature.matrix())) >= -8 * EPS * size


def test_a_group_that_is_0_has_no_curvature():
    penalty, _ = drawn(0, l1=0.0, l2=0.0)
    x = jnp.where(penalty.number == penalty.number[0], 0.0, jnp.arange(1.0, K + 1))
    at_zero = np.asarray(penalty.number == penalty.number[0])
    matrix = np.asarray(penalty.curvature(x).matrix())
    assert np.all(matrix[at_zero] == 0)
    assert np.all(np.isfinite(matrix))


@pytest.mark.slow
@given(seeds, st.booleans())
def test_a_slope_violates_nothing_exactly_where_no_direction_leads_down(seed, boxed):
    penalty, rng = drawn(seed, boxed=boxed)
    x = point(penalty, rng)
    tilt, _ = penalty.tilt(jnp.asarray(rng.normal(size=K)), x)
    slope = jnp.asarray(rng.normal(size=K) * rng.choice([0.05, 0.5, 3.0]))
    if rng.random() < 0.5:  # one at which the coefficients that are not at a kink are optimal
        slope = jnp.where(x != 0, -penalty.base.slope(x) - tilt, slope * rng.choice([0.05, 1]))
    smooth = np.asarray(slope - penalty.smooth_slope(x))
    step = 1e-7

    def rises(d):
        to = nearest(penalty, np.asarray(x) + step * np.asarray(d))
        return (value_of(penalty, to) - value_of(penalty, x) + np.sum(smooth * (to - np.asarray(x)))) / step

    worst = float(jnp.max(penalty.violations(slope, x)))
    assert (worst > 8 * EPS) == (float(jnp.max(penalty.slack(slope, x))) > 8 * EPS)
    # Rounding of the values over the step, and the curvature times it.
    noise = 1e-6
    if worst <= 8 * EPS:
        assert min(rises(rng.normal(size=K)) for _ in range(20)) >= -noise
    elif worst > 1e-3:
        down = penalty.base.pull(slope + penalty.tilt(slope, x)[0], x) / penalty.weights**2
        assert rises(down) < 0


@pytest.mark.slow
@given(seeds)
def test_where_the_minimum_has_a_closed_form_it_violates_nothing(seed):
    penalty, rng = drawn(seed, l2=0.0)
    z, D, number = rng.normal(size=K) * 2, np.asarray(penalty.weights), np.asarray(penalty.number)
    e = np.sign(z) * np.maximum(np.abs(z) - np.asarray(penalty.l1) / D**2, 0)
    sizes = np.array([np.linalg.norm((D * e)[number == g]) for g in number])
    x = e * np.maximum(1 - np.asarray(penalty.l1_group) / np.where(sizes > 0, sizes, 1), 0)
    slope = jnp.asarray(D**2 * (x - z))
    bound = 64 * EPS * (1 + np.max(np.abs(slope)))
    assert float(jnp.max(penalty.violations(slope, jnp.asarray(x)))) <= bound
    assert float(jnp.max(penalty.violations(slope + 0.1, jnp.asarray(x)))) > 1e-3 or not np.any(x)
    # A minimum and its slope are conjugate.
    assert float(jnp.sum(penalty.conjugacy(jnp.asarray(x), -slope))) <= bound * (1 + np.max(np.abs(x)))


@pytest.mark.slow
@given(seeds, st.booleans())
def test_conjugacy_is_above_what_any_other_point_gains(seed, boxed):
    penalty, rng = drawn(seed, boxed=boxed)
    c, u = point(penalty, rng), jnp.asarray(rng.normal(size=K) * rng.choice([0.1, 1.0, 5.0]))
    u = u * penalty.shrinkage(u)
    own = penalty.conjugacy(c, u)
    assert np.all(np.asarray(own) >= 0)

    def phi(t):
        return value_of(penalty, t) - np.sum(np.asarray(u) * np.asarray(t))

    l2 = np.where(np.asarray(penalty.l2) > 0, np.asarray(penalty.l2), 0.1)
    soft = np.sign(u) * np.maximum(np.abs(u) - np.asarray(penalty.l1), 0) / l2
    others = [scale * soft for scale in (0, 0.1, 0.5, 1)] + [
        rng.normal(size=K) * scale for scale in (0.1, 1, 10) for _ in range(9)
    ]
    least = min(phi(nearest(penalty, t)) for t in others)
    assert phi(c) - least <= float(jnp.sum(own)) + 64 * EPS * (1 + abs(phi(c)) + abs(least))


def test_of_norms_alone_the_conjugate_is_0_in_their_ball_and_what_is_left_is_in_closed_form():
    """pen(c) + pen*(u) - u c = sum_g lambda_g |D c_g| - u c."""
    conjugacy = jax.jit(Grouped.conjugacy)
    for seed in range(5):
        penalty, rng = drawn(seed, l1=0.0, l2=0.0)
        D, number, lam = (np.asarray(part) for part in (penalty.weights, penalty.number, penalty.l1_group))
        c, u = np.asarray(point(penalty, rng)), rng.normal(size=K)
        u = u / max(1, *(np.linalg.norm((u / D)[number == g]) / lam[number == g][0] for g in number))
        size = 1 + value_of(penalty, c) + np.sum(np.abs(u * c))
        assert abs(float(jnp.sum(conjugacy(penalty, c, u))) - (value_of(penalty, c) - np.sum(u * c))) <= 16 * EPS * size


@given(seeds)
def test_shrinkage_brings_a_slope_to_where_the_conjugate_is_finite_and_no_further_than_it_says(seed):
    penalty, rng = drawn(seed, l2=0.0)
    u = rng.normal(size=K) * rng.choice([0.1, 1.0, 30.0])
    factor = float(penalty.shrinkage(jnp.asarray(u)))
    D, number, lam, l1 = (np.asarray(part) for part in (penalty.weights, penalty.number, penalty.l1_group, penalty.l1))

    def excess(u):
        soft = np.maximum(np.abs(u) - l1, 0) / D
        return max(np.linalg.norm(soft[number == g]) / lam[number == g][0] for g in number)

    assert 0 < factor <= 1
    assert excess(factor * u) <= 1
    assert (factor == 1) == (excess(u) <= 1)
    if not np.any(l1):
        assert factor == pytest.approx(min(1, 1 / excess(u)), rel=16 * EPS)


M, N = 30, 5


def problem_of(seed, *, classes, boxed, l1, l2):
    """A problem with random groups and weights, and a generator."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(M, N)) * 2, rng.integers(0, classes, M)
    y[:classes] = np.arange(classes)
    weight = rng.integers(0, 4, M) + (np.arange(M) < classes)
    groups = rng.integers(0, 3, N)
    factor = rng.choice([0.5, 1.0, 2.0], 3)[groups]
    bounds = {"lower": np.array([0.0, -INF, -0.2, 0.1, -INF]), "upper": np.array([INF, 0.3, 0.1, INF, INF])} if boxed else {}
    strengths = {"l1_group": rng.choice([0.01, 0.05]), "l1": l1, "l2": l2}
    return Problem(X, y, weight, penalty_factor=factor, groups=groups, **strengths, **bounds), rng


def fitted(problem, classes, **options):
    fields = {name: value for name, value in vars(problem).items() if value is not None}
    return fit(**fields, num_classes=None if classes == 2 else classes, **options)


def random_params(problem, rng, classes, scale):
    shape = () if classes == 2 else (classes,)
    coef = rng.normal(size=(*shape, N)) * scale * rng.choice([0, 1], 3)[problem.groups]
    if problem.lower is not None:
        coef = np.clip(coef, problem.lower, problem.upper)
    return (Params if classes == 2 else SoftmaxParams)(coef, rng.normal(size=shape) * scale)


@pytest.mark.parametrize(
    ("classes", "boxed"), [(2, False), (2, True), (3, False), pytest.param(3, True, marks=pytest.mark.slow)]
)
@given(seed=seeds, l1=st.sampled_from([0.0, 0.02]), l2=st.sampled_from([0.0, 0.05]))
@pytest.mark.slow
def test_the_gap_bounds_what_is_left_wherever_it_is_asked(classes, boxed, seed, l1, l2):
    problem, rng = problem_of(seed, classes=classes, boxed=boxed, l1=l1, l2=l2)
    found = fitted(problem, classes, tol=1e-13)
    assert float(found.kkt) <= 1e-12  # tol, or where rounding ends
    assert float(found.gap) <= 64 * EPS
    least = float(found.value)
    for scale in (0.01, 0.3, 3.0):
        there = random_params(problem, rng, classes, scale)
        gap = float(duality_gap(there, problem))
        assert np.isfinite(gap)
        assert float(loss(there, problem)) - least <= gap + 16 * EPS * (1 + least)
        assert float(kkt_residual(there, problem)) > 1e-6


@pytest.mark.slow
@given(seeds, st.sampled_from([0.0, 0.02]))
def test_the_residual_is_0_at_optima_alone_and_the_same_when_columns_are_shifted(seed, l1):
    problem, rng = problem_of(seed, classes=2, boxed=False, l1=l1, l2=0.0)
    params = fitted(problem, 2, tol=1e-13).params
    assert float(kkt_residual(params, problem)) <= 1e-12
    moved = params._replace(coef=params.coef + 1e-6 * rng.normal(size=N))
    shift = rng.normal(size=N) * 8
    for here in (moved, random_params(problem, rng, 2, 1.0)):
        there = here._replace(intercept=here.intercept - np.sum(shift * np.asarray(here.coef)))
        residual = float(kkt_residual(here, problem))
        assert residual > 1e-8
        shifted = Problem(**vars(problem) | {"X": problem.X + shift})
        # logits of at most some 100 and columns of some 10, rounded, over deviations of at least 1
        assert abs(float(kkt_residual(there, shifted)) - residual) <= 1000 * EPS * (1 + residual)
