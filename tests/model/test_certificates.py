"""The certificates tell the truth: the KKT residual is 0 exactly at optima, the gap is never under the true suboptimality.

Optima are known by construction: any params with |u_j| <= l1_j where coef_j = 0 are the optimum for the soft labels
y = sigmoid(z) - r, where r solves the optimality conditions [X 1]' (w r) = -penalty gradient. Where labels are given, a
proximal Newton method written here finds the optimum, and J is evaluated with 50 digits at both points: an inexact optimum
could only make the test weaker, never wrong.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr import Params, Problem, duality_gap, kkt_residual
from jaxlr.testing import params_of, problems, problems_with_params
from jaxlr.testing.strategies import arrays
from tests.helpers import assert_tree_close, count_traces, quick, tolerance

pytestmark = pytest.mark.usefixtures("x64")

_kkt, _gap = jax.jit(kkt_residual), jax.jit(duality_gap)
POSITIVE = st.sampled_from([2.0**-10, 2.0**-7, 0.125, 1.0])
PENALTIES = {
    "l1": {"l1": POSITIVE, "l2": st.just(0.0)},
    "l2": {"l1": st.just(0.0), "l2": POSITIVE},
    "l1 and l2": {"l1": POSITIVE, "l2": POSITIVE},
}
each_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
each_intercept = pytest.mark.parametrize("fit_intercept", [True, False])


# --- References ---------------------------------------------------------------------------------------------------------


def pieces(problem: Problem) -> tuple:
    """[X 1], y, w, offset and the two penalty arrays with a 0 for the intercept, in float64."""
    X = np.asarray(problem.X, float)
    m, n = X.shape
    A = np.concatenate([X, np.full((m, 1), 1.0 if problem.fit_intercept else 0.0)], axis=1)
    s = np.ones(m) if problem.sample_weight is None else np.asarray(problem.sample_weight, float)
    offset = np.zeros(m) if problem.offset is None else np.asarray(problem.offset, float)
    f = np.ones(n) if problem.penalty_factor is None else np.asarray(problem.penalty_factor, float)
    l1, l2 = (np.append(f * np.broadcast_to(np.asarray(v, float), n), 0) for v in (problem.l1, problem.l2))
    return A, np.asarray(problem.y, float), s / s.sum(), offset, l1, l2


def joined(params: Params) -> np.ndarray:
    return np.append(np.asarray(params.coef, float), float(params.intercept))


def exact_loss(params: Params, problem: Problem) -> mpmath.mpf:
    """J with 50 digits."""
    A, y, _, offset, l1, l2 = pieces(problem)
    s = np.ones(len(y)) if problem.sample_weight is None else np.asarray(problem.sample_weight, float)
    theta = [mpmath.mpf(t) for t in joined(params)]
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for i in range(len(y)):
            z = mpmath.fdot(zip(map(mpmath.mpf, A[i]), theta, strict=True)) + mpmath.mpf(offset[i])
            right = -z if z > 0 else z
            softplus = max(z, mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(right))
            total += mpmath.mpf(s[i]) * (softplus - mpmath.mpf(y[i]) * z)
        total /= mpmath.fsum(map(mpmath.mpf, s))
        return total + mpmath.fsum(
            mpmath.mpf(a) * abs(t) + mpmath.mpf(b) / 2 * t**2 for a, b, t in zip(l1, l2, theta, strict=True)
        )


def reference_optimum(problem: Problem, max_steps: int = 100) -> Params:
    """Proximal Newton: coordinate descent on the quadratic model plus l1, then step halving on J."""
    A, y, w, offset, l1, l2 = pieces(problem)
    theta = np.zeros(A.shape[1])

    def value(t):
        z = A @ t + offset
        return w @ (np.logaddexp(0, z) - y * z) + l1 @ np.abs(t) + l2 @ t**2 / 2

    for _ in range(max_steps):
        z = A @ theta + offset
        p = np.exp(-np.logaddexp(0, -z))
        g = A.T @ (w * (p - y)) + l2 * theta
        H = (A.T * (w * p * np.exp(-np.logaddexp(0, z)))) @ A + np.diag(l2 + 1e-14)
        step = coordinate_descent(theta, g, H, l1) if l1.any() else -np.linalg.solve(H, g)
        size, now = 1.0, value(theta)
        while value(theta + size * step) > now + 1e-15 * abs(now) and size > 1e-6:
            size /= 2
        theta = theta + size * step
        if np.max(np.abs(step)) <= 1e-15 * (1 + np.max(np.abs(theta))):
            break
    return Params(theta[:-1], np.float64(theta[-1]))


def coordinate_descent(theta, g, H, l1):
    """argmin_d g'd + d'Hd/2 + sum l1 |theta + d|."""
    new = theta.copy()
    slope = g.copy()
    for _ in range(200):
        largest = 0.0
        for j in range(len(theta)):
            aim = H[j, j] * new[j] - slope[j]
            target = np.sign(aim) * max(abs(aim) - l1[j], 0) / H[j, j]
            change = target - new[j]
            if change:
                slope = slope + H[:, j] * change
                new[j] = target
                largest = max(largest, abs(change))
        if largest <= 1e-16:
            break
    return new - theta


def constructed(fit_intercept: bool = True, seed: int = 0, l1=0.0, l2=0.0, zeros: bool = False) -> tuple[Problem, Params]:
    """A weighted problem with an offset, m = 12 and n = 3, and its optimum: see the module docstring."""
    rng = np.random.default_rng(seed)
    X, s, offset = rng.standard_normal((12, 3)) + 0.3, rng.uniform(0.5, 2, 12), rng.uniform(-0.25, 0.25, 12)
    coef = rng.uniform(0.1, 0.4, 3) * np.array([1, -1, 0 if zeros else 1])
    optimum = Params(coef, np.float64(0.25 if fit_intercept else 0))
    l1, l2 = np.broadcast_to(l1, 3), np.broadcast_to(l2, 3)
    problem = Problem(X, np.zeros(12), sample_weight=s, offset=offset, l1=l1, l2=l2, fit_intercept=fit_intercept)
    A, _, w, _, _, _ = pieces(problem)
    target = -np.append(l2 * coef + l1 * np.where(coef == 0, 0.5, np.sign(coef)), 0)
    r, *_ = np.linalg.lstsq(A.T * w, target, rcond=None)
    y = 1 / (1 + np.exp(-(A @ joined(optimum) + offset))) - r
    assert np.all((y > 0) & (y < 1))
    return replace(problem, y=y), optimum


CONSTRUCTED = {
    "no penalty": {},
    "l2": {"l2": 0.05},
    "l2 per column": {"l2": np.array([0.05, 0.01, 0.03])},
    "l1": {"l1": 0.02},
    "l1 with a zero": {"l1": 0.02, "zeros": True},
    "both": {"l1": 0.02, "l2": 0.02, "zeros": True},
}
each_constructed = pytest.mark.parametrize("kind", CONSTRUCTED.values(), ids=CONSTRUCTED)
each_bounded = pytest.mark.parametrize("kind", list(CONSTRUCTED.values())[1:], ids=list(CONSTRUCTED)[1:])


def direction(n: int) -> Params:
    v = np.where(np.arange(n + 1) % 2, -0.7, 1.0) / (1 + np.arange(n + 1))
    return Params(v[:-1], np.float64(v[-1]))


def moved(params: Params, by: float) -> Params:
    return jax.tree.map(lambda a, v: np.asarray(a + by * v), params, direction(len(params.coef)))


def assert_gap_bounds_suboptimality(gap, params: Params, problem: Problem, best: Params, k: float = 64) -> None:
    """gap >= J(params) - J(best) beyond rounding.

    The gap is quadratic in rounded quantities, so that rounding moves its square root by k eps; for an l1 term, which is
    linear, it moves the gap itself.
    """
    gap, eps = float(gap), float(jnp.finfo(jnp.result_type(problem.X)).eps)
    assert gap >= 0
    excess = float(exact_loss(params, problem) - exact_loss(best, problem))
    if np.any(np.asarray(problem.l1) > 0):
        assert gap * (1 + k * eps) + k * eps >= excess, f"gap {gap!r} < J - J* = {excess!r}"
    else:
        assert np.sqrt(gap) * (1 + k * eps) + k * eps >= np.sqrt(max(excess, 0)), f"gap {gap!r} < J - J* = {excess!r}"


def test_the_references_agree_with_each_other():
    for kind in CONSTRUCTED.values():
        for fit_intercept in (True, False):
            problem, optimum = constructed(fit_intercept, **kind)
            found = reference_optimum(problem)
            np.testing.assert_allclose(joined(found), joined(optimum), atol=tolerance(float, 1e3))
            assert abs(exact_loss(found, problem) - exact_loss(optimum, problem)) <= tolerance(float, 10)
            assert exact_loss(moved(optimum, 1e-4), problem) > exact_loss(optimum, problem)


# --- KKT residual: zero at optima and nowhere else ----------------------------------------------------------------------


@each_constructed
@each_intercept
def test_kkt_is_zero_at_a_constructed_optimum(kind, fit_intercept):
    for seed in range(5):
        problem, optimum = constructed(fit_intercept, seed, **kind)
        assert _kkt(optimum, problem) <= tolerance(float, 16)


@each_constructed
@each_intercept
def test_kkt_grows_in_proportion_to_the_distance_from_the_optimum(kind, fit_intercept):
    problem, optimum = constructed(fit_intercept, **kind)
    sizes = np.array([1e-2, 1e-4, 1e-6])
    slopes = []
    for j in range(3 + fit_intercept):
        e = np.eye(4)[j]
        if j < 3 and optimum.coef[j] == 0:
            continue  # the kink: see the next test
        for size in sizes:
            off = Params(optimum.coef + size * e[:3], optimum.intercept + size * e[3])
            slopes.append(float(_kkt(off, problem)) / size)
    slopes = np.reshape(slopes, (-1, 3))
    assert np.all(slopes > 0.01)
    np.testing.assert_allclose(slopes[:, :2], slopes[:, 2:] * np.ones((1, 2)), rtol=0.1)  # curvature changes by 1 % at 1e-2


@each_intercept
def test_kkt_jumps_at_the_kink_of_l1(fit_intercept):
    problem, optimum = constructed(fit_intercept, l1=0.02, zeros=True)
    sd = pieces_sd(problem)
    for tiny in (1e-9, -1e-9):
        off = optimum._replace(coef=optimum.coef + tiny * np.array([0, 0, 1]))
        # u = -l1 / 2 there: moving up meets u + l1 = l1 / 2, moving down |u - l1| = 3 l1 / 2
        np.testing.assert_allclose(_kkt(off, problem), (0.5 if tiny > 0 else 1.5) * 0.02 / sd[2], rtol=1e-6)


def pieces_sd(problem: Problem) -> np.ndarray:
    A, _, w, *_ = pieces(problem)
    X = A[:, :-1]
    mean = w @ X if problem.fit_intercept else 0
    return np.sqrt(w @ (X - mean) ** 2)


@pytest.mark.slow
@given(problems_with_params(weighted=True, l1=st.just(0.0), l2=st.just(0.0)))
def test_kkt_is_zero_where_soft_labels_are_the_probabilities(case):
    problem, params = case
    A, _, _, offset, _, _ = pieces(problem)
    params = jax.tree.map(lambda a: a / 4, params)
    y = 1 / (1 + np.exp(-(A @ joined(params) + offset)))
    sd = pieces_sd(problem)
    rounding = 64 / min(1, np.min(sd, initial=1, where=sd > 1e-8))  # residuals of rounding size over the narrowest column
    assert _kkt(params, replace(problem, y=y)) <= tolerance(float, rounding)


def test_kkt_is_zero_at_the_log_odds_of_a_two_by_two_table():
    # 1 of 4 and 3 of 5 positive: intercept logit(1/4), coefficient logit(3/5) - logit(1/4)
    X, y = np.repeat([0.0, 1.0], [4, 5])[:, None], np.array([1, 0, 0, 0, 1, 1, 1, 0, 0])
    optimum = Params(np.array([np.log(3 / 2) + np.log(3)]), np.float64(-np.log(3)))
    assert _kkt(optimum, Problem(X, y)) <= tolerance(float, 4)
    assert _kkt(moved(optimum, 0.01), Problem(X, y)) > 1e-4
    grouped = Problem(np.array([[0.0], [1.0]]), np.array([0.25, 0.6]), sample_weight=np.array([4, 5]))
    assert _kkt(optimum, grouped) <= tolerance(float, 4)


def test_kkt_is_zero_at_the_closed_form_of_one_symmetric_column():
    # X = +-1, no intercept, a share q of labels on the side of X: the optimum is logit(q - l1)
    X, y = np.array([1.0, 1, 1, 1, -1, -1, -1, -1])[:, None], np.array([1, 1, 1, 0, 0, 0, 0, 1])
    problem = Problem(X, y, l1=0.125, fit_intercept=False)
    optimum = Params(np.array([np.log(0.625 / 0.375)]), np.float64(7))
    assert _kkt(optimum, problem) <= tolerance(float, 2)
    np.testing.assert_allclose(_kkt(optimum, replace(problem, l1=0.0)), 0.125, rtol=tolerance(float, 8))
    assert _gap(optimum, problem) <= tolerance(float, 8)


@pytest.mark.slow
@pytest.mark.parametrize("soft", [False, True])
def test_without_columns_that_count_the_optimum_is_the_logit_of_the_mean(soft):
    rng = np.random.default_rng(0)
    X, s = rng.standard_normal((10, 2)), rng.uniform(0.5, 2, 10)
    y = rng.uniform(0, 1, 10) if soft else np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1])
    mean = np.average(y, weights=s)
    optimum = Params(np.zeros(2), np.log(mean / (1 - mean)))
    problem = Problem(X, y, sample_weight=s, l1=10.0)
    assert _kkt(optimum, problem) <= tolerance(float, 2)
    assert _gap(optimum, problem) <= tolerance(float, 2)
    assert _kkt(optimum._replace(intercept=optimum.intercept + 0.01), problem) > 1e-4
    constant = replace(problem, X=np.full((10, 2), 3.0), l1=0.0)
    assert _kkt(optimum, constant) <= tolerance(float, 16)
    assert _kkt(Params(np.array([0.5, 0.5]), optimum.intercept - 3), constant) <= tolerance(float, 16)


@pytest.mark.slow
@each_intercept
def test_zero_is_optimal_exactly_from_the_largest_centred_gradient_on(fit_intercept):
    rng = np.random.default_rng(0)
    X, y, s = rng.standard_normal((10, 3)) + 2, rng.integers(0, 2, 10), rng.uniform(0.5, 2, 10)
    w = s / s.sum()
    mean = w @ y if fit_intercept else 0.5
    null = Params(np.zeros(3), np.log(mean / (1 - mean)))
    u = (w * (mean - y)) @ X - ((w @ X) * (w @ (mean - y)) if fit_intercept else 0)
    largest, j = np.max(np.abs(u)), np.argmax(np.abs(u))
    for l1 in (largest * (1 + tolerance(float, 16)), 2 * largest, 1e3):
        problem = Problem(X, y, sample_weight=s, l1=l1, fit_intercept=fit_intercept)
        assert _kkt(null, problem) <= tolerance(float, 2)
        assert _gap(null, problem) <= tolerance(float, 16)
    problem = Problem(X, y, sample_weight=s, l1=largest * (1 - 1e-6), fit_intercept=fit_intercept)
    expected = 1e-6 * largest / pieces_sd(problem)[j]
    np.testing.assert_allclose(_kkt(null, problem), expected, rtol=1e-6)  # 1e-6 itself has 1e-10 of its digits
    assert exact_loss(reference_optimum(problem), problem) < exact_loss(null, problem)


# --- KKT residual: units ------------------------------------------------------------------------------------------------


@given(problems_with_params(weighted=True, fit_intercept=True), st.data())
def test_kkt_is_unchanged_when_columns_are_shifted(case, data):
    problem, params = case
    shift = data.draw(arrays((problem.X.shape[1],)))
    shifted = params._replace(intercept=params.intercept - shift @ params.coef)
    sd = pieces_sd(problem)
    k = 512 / min(1, np.min(sd, initial=1, where=sd > 1e-8))  # logits of 56, columns of 8, over the narrowest column
    assert_tree_close(_kkt(shifted, replace(problem, X=problem.X + shift)), _kkt(params, problem), k)


@each_constructed
@pytest.mark.parametrize("shift", [1e3, -1e6])
def test_kkt_of_a_far_shifted_column_loses_only_the_digits_of_the_shift(kind, shift):
    problem, params = constructed(**kind)
    for at in (params, moved(params, 0.1)):
        shifted = at._replace(intercept=at.intercept - shift * at.coef[1])
        far = replace(problem, X=problem.X + shift * np.array([0, 1, 0]))
        assert_tree_close(_kkt(shifted, far), _kkt(at, problem), 8 * abs(shift))


@pytest.mark.slow
@given(problems_with_params(weighted=True), st.sampled_from([2.0**-30, -0.5, 4.0, 2.0**20]))
def test_kkt_is_unchanged_when_a_column_is_rescaled_with_its_penalty(case, factor):
    problem, params = case
    if pieces_sd(problem)[0] <= 1e-8:
        return  # a constant column has no scale of its own
    factors = np.where(np.arange(problem.X.shape[1]) == 0, factor, 1.0)
    rescaled = replace(
        problem,
        X=problem.X * factors,
        l1=problem.l1 * problem.penalty_factor * np.abs(factors),
        l2=problem.l2 * problem.penalty_factor * factors**2,
        penalty_factor=None,
    )
    sd = pieces_sd(problem)
    k = 512 / min(1, np.min(sd, initial=1, where=sd > 1e-8))
    assert_tree_close(_kkt(params._replace(coef=params.coef / factors), rescaled), _kkt(params, problem), k)


@each_intercept
def test_gap_is_unchanged_when_a_column_is_rescaled_with_its_penalty(fit_intercept):
    problem, optimum = constructed(fit_intercept, l1=0.02, l2=0.02)
    factors = np.array([8.0, -0.25, 1.0])
    rescaled = replace(problem, X=problem.X * factors, l1=problem.l1 * np.abs(factors), l2=problem.l2 * factors**2)
    for by in (0.01, 1.0, 100.0):
        at = moved(optimum, by)
        expected = _gap(at, problem)
        np.testing.assert_allclose(_gap(at._replace(coef=at.coef / factors), rescaled), expected, rtol=tolerance(float, 1e3))


def test_gap_is_unchanged_when_a_column_is_shifted():
    problem, optimum = constructed(l1=0.02, l2=0.02)
    at, shift = moved(optimum, 0.5), np.array([4.0, 0.0, -2.0])
    shifted = at._replace(intercept=at.intercept - shift @ at.coef)
    expected = _gap(at, problem)
    np.testing.assert_allclose(_gap(shifted, replace(problem, X=problem.X + shift)), expected, rtol=tolerance(float, 1e3))


@each_intercept
def test_the_penalty_of_a_constant_column_is_measured_as_it_is(fit_intercept):
    X, y = np.full((4, 1), 3.0), np.array([0.0, 0, 1, 1])
    params = Params(np.array([0.5]), np.float64(-1.5 if fit_intercept else 0.0))
    problem = Problem(X, y, l2=0.25, fit_intercept=fit_intercept)
    if fit_intercept:  # logits 0, so g_0 = 0 and the pull is l2 coef, in units of 1
        np.testing.assert_allclose(_kkt(params, problem), 0.125, rtol=tolerance(float, 4))
        assert _kkt(Params(np.zeros(1), np.float64(0)), problem) == 0
    else:  # logits 1.5, measured in the root mean square, 3
        expected = 1 / (1 + np.exp(-1.5)) - 0.5 + 0.125 / 3
        np.testing.assert_allclose(_kkt(params, problem), expected, rtol=tolerance(float, 4))


@each_intercept
def test_an_infinite_l1_holds_a_coefficient_at_zero_for_both_certificates(fit_intercept):
    problem, optimum = constructed(fit_intercept, l1=np.array([0.02, 0.02, 0.02]), zeros=True)
    held = replace(problem, l1=np.array([0.02, 0.02, np.inf]))
    assert _kkt(optimum, held) <= tolerance(float, 16)
    assert _gap(optimum, held) <= tolerance(float, 64)
    two = replace(held, X=problem.X[:, :2], l1=0.02, l2=0.0)
    at = moved(optimum, 0.5)
    at = at._replace(coef=at.coef * np.array([1, 1, 0]))
    assert_tree_close(_gap(at, held), _gap(at._replace(coef=at.coef[:2]), two), 16)
    assert_tree_close(_kkt(at, held), _kkt(at._replace(coef=at.coef[:2]), two), 16)


# --- Duality gap: a true bound ------------------------------------------------------------------------------------------


@each_penalty
@given(data=st.data())
def test_gap_is_finite_and_never_under_the_true_suboptimality(penalty, data):
    problem = data.draw(problems(weighted=True, penalized=True, **penalty))
    params = data.draw(params_of(problem))
    best = reference_optimum(problem)
    points = [params, jax.tree.map(np.zeros_like, params), best]
    points += [moved(best, by) for by in (1.0, -1e-2, 1e-4, 1e-7)]
    points += [jax.tree.map(lambda a, t=t: a * t, params) for t in (1e3, -1e5)]
    for point in points:
        gap = _gap(point, problem)
        assert np.isfinite(gap)
        assert_gap_bounds_suboptimality(gap, point, problem, best)


@pytest.mark.slow
@each_penalty
@given(data=st.data())
def test_gap_of_float32_is_finite_and_a_bound_too(penalty, data):
    problem = data.draw(problems(weighted=True, penalized=True, **penalty))
    params = data.draw(params_of(problem))
    best = jax.tree.map(np.float32, reference_optimum(problem))
    narrow, params = jax.tree.map(np.float32, (problem, params))
    points = [params, best, moved(best, 1e-2), *(jax.tree.map(lambda a, t=t: a * t, params) for t in (1e3, 1e5))]
    points = jax.tree.map(np.float32, points)
    for point in points:
        gap = _gap(point, narrow)
        assert gap.dtype == np.float32
        assert np.isfinite(gap)
        assert_gap_bounds_suboptimality(gap, point, narrow, best)


@each_penalty
@given(data=st.data())
def test_gap_bounds_the_distance_to_any_other_point(penalty, data):
    problem = data.draw(problems(weighted=False, **penalty))
    a, b = data.draw(params_of(problem)), data.draw(params_of(problem))
    assert_gap_bounds_suboptimality(_gap(a, problem), a, problem, b)


def _hard_problems() -> dict:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 2)), np.array([0, 1, 1, 0, 1, 0, 1, 1])
    separable = np.stack([y - 0.5 + 0.1 * X[:, 0], X[:, 1]], axis=1)
    rare = np.arange(8) == 5
    return {
        "separable, weak l2": Problem(separable, y, l2=1e-8),
        "separable, weak l1": Problem(separable, y, l1=1e-6),
        "separable, one weak": Problem(separable, y, l1=np.array([1e-6, 0.0]), l2=np.array([0.0, 1e-6])),
        "strong l2": Problem(X, y, l2=1e6),
        "strong l1": Problem(X, y, l1=1e6),
        "weights over 12 decades": Problem(X, y, sample_weight=10.0 ** np.arange(-11, 5, 2), l2=0.01),
        "one rare positive": Problem(X, rare.astype(float), sample_weight=np.where(rare, 1e-9, 1), l2=0.01),
        "offsets of 30": Problem(X, y, offset=np.linspace(-30, 30, 8), l2=0.01),
        "offsets of 1000": Problem(X, y, offset=np.linspace(-1000, 1000, 8), l1=0.01),
        "offsets far to one side": Problem(X, y, offset=np.linspace(400, 500, 8), l2=0.01),
        "labels near 0": Problem(X, np.where(y == 1, 1e-6, 0), l2=0.01),
        "labels near 0 with l1": Problem(X, np.where(y == 1, 1e-6, 1e-9), l1=1e-8),
        "large columns": Problem(1e3 * X, y, l2=1e-3),
        "large columns with l1": Problem(1e3 * X, y, l1=1e-3),
        "small columns": Problem(1e-3 * X, y, l2=1e-3),
        "shifted columns": Problem(X + 1e3, y, l2=1e-3),
        "shifted columns with l1": Problem(X + 1e3, y, l1=1e-3),
    }


HARD = _hard_problems()


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
@each_intercept
@pytest.mark.parametrize("dtype", quick([np.float64, np.float32], np.float64))
def test_gap_of_hard_problems_is_finite_and_a_bound(name, fit_intercept, dtype):
    problem = jax.tree.map(lambda a: np.asarray(a, dtype), replace(HARD[name], fit_intercept=fit_intercept))
    best = jax.tree.map(lambda a: a.astype(dtype), reference_optimum(problem, 300))
    zero = jax.tree.map(np.zeros_like, best)
    points = [zero, best, *(moved(best, by) for by in (1e-3, 1.0)), *(moved(zero, by) for by in (1e3, -1e3, 1e5, -1e5))]
    for point in jax.tree.map(lambda a: np.asarray(a, dtype), points):
        gap = _gap(point, problem)
        assert np.isfinite(gap), f"at {point}: {gap}"
        A, _, _, offset, _, _ = pieces(problem)
        terms = 1 + np.max(np.abs(A) @ np.abs(joined(point)) + np.abs(offset))  # the logits themselves are rounded
        assert_gap_bounds_suboptimality(gap, point, problem, best, k=64 * terms)


@each_bounded
@each_intercept
def test_gap_vanishes_at_a_constructed_optimum(kind, fit_intercept):
    for seed in range(5):
        problem, optimum = constructed(fit_intercept, seed, **kind)
        # quadratic in the rounding of the gradient for a ridge, linear for the kink
        assert _gap(optimum, problem) <= (tolerance(float, 64) if "l1" in kind else tolerance(float, 64) ** 2 / 0.01)


@each_intercept
@pytest.mark.parametrize("kind", ["l2", "l2 per column"])
def test_gap_of_a_ridge_is_of_the_order_of_the_squared_kkt_residual(kind, fit_intercept):
    problem, optimum = constructed(fit_intercept, **CONSTRUCTED[kind])
    ratios = []
    for by in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        at = moved(optimum, by)
        ratios.append(float(_gap(at, problem)) / float(_kkt(at, problem)) ** 2)
    assert min(ratios) > 0.01
    assert max(ratios) < 1.1 * min(ratios)  # constant up to the change of curvature at 1e-2


@each_bounded
@each_intercept
def test_gap_tends_to_zero_with_the_distance_to_the_optimum(kind, fit_intercept):
    problem, optimum = constructed(fit_intercept, **kind)
    gaps = np.array([float(_gap(moved(optimum, by), problem)) for by in 10.0 ** -np.arange(9)])
    assert np.all(np.diff(gaps) < 0)
    assert gaps[-1] <= 1e-7  # at most linear in the distance


@pytest.mark.parametrize("kind", ["l2", "l2 per column", "both"])
@each_intercept
def test_gap_is_not_far_over_the_true_suboptimality_where_every_column_has_an_l2_term(kind, fit_intercept):
    # Both are quadratic in the distance, with factors that differ by the conditioning of the problem. With an l1 term alone
    # the dual point has to be scaled and the gap is linear in the distance.
    problem, optimum = constructed(fit_intercept, **CONSTRUCTED[kind])
    for by in (1e-1, 1e-2, 1e-3):
        at = moved(optimum, by)
        excess = float(exact_loss(at, problem) - exact_loss(optimum, problem))
        assert _gap(at, problem) <= 100 * excess


# --- Duality gap: where there is no bound -------------------------------------------------------------------------------


@given(problems_with_params(weighted=True, penalized=True, l2=POSITIVE), st.data())
def test_an_unpenalized_column_has_no_bound(case, data):
    problem, params = case
    problem.penalty_factor[data.draw(st.integers(0, problem.X.shape[1] - 1))] = 0
    assert _gap(params, problem) == np.inf


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_bound_with_an_intercept_and_one_without(label):
    rng = np.random.default_rng(0)
    problem = Problem(rng.standard_normal((8, 2)), np.full(8, label), l2=0.1, l1=0.01)
    params = Params(np.array([0.5, -1.0]), np.float64(2))
    assert _gap(params, problem) == np.inf
    without = replace(problem, fit_intercept=False)
    assert_gap_bounds_suboptimality(_gap(params, without), params, without, reference_optimum(without))
    assert np.isfinite(_gap(params, without))
    only_by_weight = replace(problem, y=np.array([label] * 6 + [1 - label] * 2), sample_weight=np.array([1.0] * 6 + [0.0] * 2))
    assert _gap(params, only_by_weight) == np.inf
    barely = replace(only_by_weight, sample_weight=np.array([1.0] * 6 + [1e-12] * 2))
    assert np.isfinite(_gap(params, barely))
    assert_gap_bounds_suboptimality(_gap(params, barely), params, barely, reference_optimum(barely))


def test_a_soft_label_is_both_classes():
    problem = Problem(np.array([[1.0], [2.0], [-1.0]]), np.array([1.0, 0.75, 1.0]), l2=0.1)
    params = Params(np.array([1.0]), np.float64(-1))
    assert np.isfinite(_gap(params, problem))
    assert_gap_bounds_suboptimality(_gap(params, problem), params, problem, reference_optimum(problem))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["coef", "intercept", "X", "y", "offset", "sample_weight"])
def test_input_that_is_not_finite_has_no_bound_and_no_small_residual(place, bad):
    problem, params = constructed(l2=0.1)
    if place in ("coef", "intercept"):
        params = params._replace(**{place: params.coef * np.array([1, bad, 1]) if place == "coef" else np.float64(bad)})
    else:
        value = getattr(problem, place).copy()
        value[(3, 1) if place == "X" else 3] = bad
        problem = replace(problem, **{place: value})
    assert _gap(params, problem) == np.inf
    assert not _kkt(params, problem) <= 1e-3


def test_no_weight_at_all_has_no_bound_and_no_residual():
    problem, params = constructed(l2=0.1)
    nothing = replace(problem, sample_weight=np.zeros(12))
    assert _gap(params, nothing) == np.inf
    assert np.isnan(_kkt(params, nothing))


# --- Laws of weights, types and transformations -------------------------------------------------------------------------


def both(params: Params, problem: Problem) -> tuple:
    return _kkt(params, problem), _gap(params, problem)


@pytest.mark.slow
@each_bounded
@each_intercept
def test_doubling_a_weight_equals_repeating_the_row_in_both_certificates(kind, fit_intercept):
    problem, optimum = constructed(fit_intercept, **kind)
    s = problem.sample_weight * np.where(np.arange(12) == 4, 2, 1)
    again = {k: np.concatenate([getattr(problem, k), getattr(problem, k)[4:5]]) for k in ("X", "y", "offset", "sample_weight")}
    at = moved(optimum, 0.5)
    assert_tree_close(both(at, replace(problem, sample_weight=s)), both(at, replace(problem, **again)), 64)


@pytest.mark.slow
@pytest.mark.parametrize("filler", [0.0, 1e30, -1e30])
@each_bounded
@each_intercept
def test_a_weight_of_zero_equals_an_absent_row_whatever_finite_filler_stands_there(kind, fit_intercept, filler):
    problem, optimum = constructed(fit_intercept, **kind)
    s, X, offset, y = (getattr(problem, k).copy() for k in ("sample_weight", "X", "offset", "y"))
    s[4], X[4], offset[4], y[4] = 0, filler, filler, 1
    present = replace(problem, sample_weight=s, X=X, offset=offset, y=y)
    absent = replace(problem, **{k: np.delete(getattr(problem, k), 4, axis=0) for k in ("X", "y", "offset", "sample_weight")})
    for by in (1e-3, 1.0, 1e3):
        at = moved(optimum, by)
        actual, expected = both(at, present), both(at, absent)
        assert_tree_close(actual, expected, 64)


@pytest.mark.slow
def test_a_weight_of_zero_hides_the_largest_float32_from_both_certificates():
    problem, optimum = jax.tree.map(np.float32, constructed(l1=0.02, l2=0.02))
    s, X, offset = (getattr(problem, k).copy() for k in ("sample_weight", "X", "offset"))
    s[4], X[4], offset[4] = 0, np.finfo(np.float32).max, np.finfo(np.float32).max
    present = replace(problem, sample_weight=s, X=X, offset=offset)
    absent = replace(problem, **{k: np.delete(getattr(problem, k), 4, axis=0) for k in ("X", "y", "offset", "sample_weight")})
    at = jax.tree.map(np.float32, moved(optimum, 0.5))
    assert_tree_close(both(at, present), both(at, absent), 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_design_decides_the_dtype(dtype):
    problem, optimum = constructed(l1=0.02, l2=0.02)
    problem = replace(problem, X=problem.X.astype(dtype))
    for value in both(optimum, problem):
        assert value.shape == ()
        assert value.dtype == dtype


@pytest.mark.slow
def test_labels_of_any_type_give_the_same_certificates():
    X, y = np.random.default_rng(0).standard_normal((6, 2)), np.array([0, 1, 1, 0, 1, 0])
    params = Params(np.array([1.0, -2.0]), np.float64(0.5))
    expected = both(params, Problem(X, y.astype(float), l2=0.125))
    for kind in (np.int32, np.bool_, np.float32):
        assert_tree_close(both(params, Problem(X, y.astype(kind), l2=0.125)), expected, 0)


def test_vmap_over_penalties_and_params_is_a_loop():
    problem, optimum = constructed(l1=0.02)
    l2 = np.array([0.0, 0.01, 1.0, 100.0])
    by = np.array([0.0, 1e-3, 1.0, 1e3])
    batch = Params(*(np.stack(leaves) for leaves in zip(*(moved(optimum, b) for b in by), strict=True)))
    axes = Problem(None, None, None, None, l1=None, l2=0)
    strengths = np.broadcast_to(l2[:, None], (4, 3))
    for f, jitted in ((kkt_residual, _kkt), (duality_gap, _gap)):
        values = jax.jit(jax.vmap(f, in_axes=(0, axes)))(batch, replace(problem, l2=strengths))
        for i in range(4):
            assert_tree_close(values[i], jitted(moved(optimum, by[i]), replace(problem, l2=strengths[i])), 64)


def test_a_nan_lane_leaves_its_neighbours_alone():
    problem, optimum = constructed(l2=0.1)
    coef = np.stack([optimum.coef + 0.1, optimum.coef * np.nan, optimum.coef - 0.1])
    batch = Params(coef, np.zeros(3))
    for f, jitted, bad in ((kkt_residual, _kkt, np.isnan), (duality_gap, _gap, np.isinf)):
        values = jax.jit(jax.vmap(f, in_axes=(0, None)))(batch, problem)
        assert bad(values[1])
        for i in (0, 2):
            assert_tree_close(values[i], jitted(Params(coef[i], np.zeros(())), problem), 16)


@pytest.mark.slow
def test_without_jit_the_certificates_are_the_same():
    problem, optimum = constructed(l1=0.02, l2=0.02)
    at = moved(optimum, 0.5)
    assert_tree_close((kkt_residual(at, problem), duality_gap(at, problem)), both(at, problem), 64)


def test_new_strengths_are_not_traced_again():
    for f in (kkt_residual, duality_gap):
        counted, traces = count_traces(f)
        for strength in (0.0, 0.1, 5.0):
            counted(Params(np.zeros(2), np.zeros(())), Problem(np.eye(2), np.array([0, 1]), l1=strength, l2=strength))
        assert traces() == 1
