"""The conditional likelihood against sums over all choices of cases, automatic differentiation, and 40-digit arithmetic."""

import functools
import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr import Params, Problem
from jaxlr.model.conditional import matched_of
from jaxlr.model.strata import centered, strata_of
from jaxlr.testing.strategies import arrays
from tests.helpers import tolerance

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
STRATA = np.array([0, 1, 0, 1, 2, 0, 1, 0, 2, 3, 1, 1, 1])  # of 4, 6, 2 and 1 rows


@st.composite
def matched(draw):
    """Data of such strata, any labels, weights of strata and rows that are not there; and coefficients."""
    m = len(STRATA)
    y = np.array(draw(st.lists(st.sampled_from([0, 1]), min_size=m, max_size=m)))
    s = np.array(draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=4, max_size=4)))[STRATA]
    s = s * np.array(draw(st.lists(st.sampled_from([1, 1, 1, 0]), min_size=m, max_size=m)))
    s[12] = 1.0  # some weight
    s[STRATA == 1] = np.where(s[STRATA == 1] > 0, 1.0, 0)
    coef = draw(arrays((2,), -1, 1) | st.just(np.zeros(2)))
    return draw(arrays((m, 2))), y, s, draw(arrays((m,))), coef


def taken(case):
    X, y, s, offset, coef = case
    return Problem(X, y, s, offset, l2=0.25, strata=STRATA), Params(coef, np.zeros(()))


def by_choices(params, problem):
    """Value, gradient and Hessian, from all ways to choose the cases of every stratum."""
    X, y, s = (np.asarray(part) for part in (problem.X, problem.y, problem.sample_weight))
    z = X @ params.coef + problem.offset
    J, g, H = problem.l2 / 2 * params.coef @ params.coef, problem.l2 * params.coef, problem.l2 * np.eye(2)
    for number in range(4):
        rows = np.flatnonzero((number == STRATA) & (s > 0))
        if len(rows):
            choices = np.array(list(itertools.combinations(rows, int(y[rows].sum()))), int)
            logs, sums = z[choices].sum(axis=1), X[choices].sum(axis=1)
            p = np.exp(logs - logs.max())
            total, p = p.sum(), p / p.sum()
            w, mean = s[rows[0]] / s.sum(), p @ sums
            J += w * (logs.max() + np.log(total) - z[rows][y[rows] == 1].sum())
            g = g + w * (mean - X[rows][y[rows] == 1].sum(axis=0))
            H = H + w * (sums - mean).T @ (p[:, None] * (sums - mean))
    return J, g, H


@pytest.mark.slow
@given(matched())
def test_value_and_derivatives_are_those_of_all_choices(case):
    problem, params = taken(case)
    J, g, H = by_choices(params, problem)
    size = 1 + np.max(np.abs(problem.X)) ** 2 * 6  # sums of up to 3 rows and a few dozen roundings
    np.testing.assert_allclose(jaxlr.loss(params, problem), J, rtol=0, atol=20 * EPS * size)
    np.testing.assert_allclose(jaxlr.gradient(params, problem).coef, g, rtol=0, atol=20 * EPS * size)
    np.testing.assert_allclose(jaxlr.hessian(params, problem)[:2, :2], H, rtol=0, atol=20 * EPS * size)


def test_a_pair_has_a_closed_form_and_its_gap_is_what_strong_convexity_leaves():
    """The case 1 ahead of its control: J = log(1 + exp(-c)) / 2 + l2 c^2 / 2, for the pair has half the weight of its rows."""
    l2 = 0.5 / (1 + np.e)  # so that the minimum is at 1
    problem = Problem(np.array([[1.0], [0.0]]), np.array([1, 0]), l2=l2, strata=np.zeros(2))

    def value(c):
        return np.log1p(np.exp(-c)) / 2 + l2 / 2 * c**2

    functions = jax.jit(lambda at: [f(at, problem) for f in (jaxlr.loss, jaxlr.hessian, jaxlr.duality_gap)])
    for c in (0.0, 1.0, 3.0):
        J, H, gap = functions(Params(np.full(1, c), np.zeros(())))
        p, left = 1 / (1 + np.exp(c)), value(c) - value(1.0)
        np.testing.assert_allclose(J, value(c), rtol=8 * EPS)
        np.testing.assert_allclose(H, np.diag([p * (1 - p) / 2 + l2, 0]), rtol=0, atol=8 * EPS)
        # The curvature of J is between l2 and l2 + 1 / 8.
        assert left - 8 * EPS <= gap <= (1 + 1 / (8 * l2)) * left + 8 * EPS


@pytest.mark.slow
@given(matched())
def test_derivatives_are_those_of_automatic_differentiation(case):
    problem, params = taken(case)

    def value(coef):
        return jaxlr.loss(Params(coef, params.intercept), problem)

    size = 1 + np.max(np.abs(problem.X)) ** 2 * 6
    slope, curved = jax.grad(value)(params.coef), jax.hessian(value)(params.coef)
    found, H = jaxlr.gradient(params, problem), jaxlr.hessian(params, problem)
    np.testing.assert_allclose(found.coef, slope, rtol=0, atol=20 * EPS * size)
    np.testing.assert_allclose(H[:2, :2], curved, rtol=0, atol=50 * EPS * size)
    assert float(found.intercept) == 0
    assert not np.any(H[2])
    assert not np.any(H[:, 2])
    v = Params(np.array([1.0, -2.0]), np.ones(()))
    np.testing.assert_allclose(jaxlr.hvp(params, problem, v).coef, H[:2, :2] @ v.coef, rtol=0, atol=20 * EPS * size)


@pytest.mark.slow
@pytest.mark.parametrize(("r", "d"), [(2, 1), (40, 3), (60, 30), (60, 55)])
def test_large_sets_and_large_logits_keep_their_digits(r, d):
    """Against elementary symmetric functions in 40 digits; logits up to 1e5 where sums of exponentials overflow."""
    rng = np.random.default_rng(r + d)
    X, y = rng.normal(size=(r, 1)), np.zeros(r)
    y[rng.permutation(r)[:d]] = 1
    for size in (0.0, 1.0, 30.0, 1e5):
        with mpmath.workdps(40):
            x = [mpmath.mpf(float(value)) for value in X[:, 0]]
            e, slopes = [mpmath.mpf(1)] + [mpmath.mpf(0)] * d, [mpmath.mpf(0)] * (d + 1)
            for value in x:
                w = mpmath.exp(size * value)
                for k in range(d, 0, -1):
                    slopes[k] += w * (slopes[k - 1] + value * e[k - 1])
                    e[k] += w * e[k - 1]
            chosen = mpmath.fsum(value for value, case in zip(x, y, strict=True) if case)
            J, g = (mpmath.log(e[d]) - size * chosen) / r, (slopes[d] / e[d] - chosen) / r
        problem, params = Problem(X, y, strata=np.zeros(r)), Params(np.full(1, size), np.zeros(()))
        rounding = 4 * r * EPS * (1 + size)  # of the logits themselves
        assert abs(float(jaxlr.loss(params, problem)) - float(J)) <= rounding
        assert abs(float(jaxlr.gradient(params, problem).coef[0]) - float(g)) <= rounding


@pytest.mark.slow
def test_a_loss_next_to_nothing_keeps_its_digits():
    problem = Problem(np.array([[1.0], [0.0], [1.0], [0.0]]), np.array([1, 0, 1, 0]), strata=np.zeros(4))
    for size in (40.0, 300.0):
        at = Params(np.full(1, size), np.zeros(()))
        # The next best of the six choices: one of four pairs of a case and a control, exp(-size) each.
        np.testing.assert_allclose(float(jaxlr.loss(at, problem)), np.exp(-size), rtol=4 * EPS * size)
        np.testing.assert_allclose(float(jaxlr.gradient(at, problem).coef[0]), -np.exp(-size), rtol=4 * EPS * size)
        np.testing.assert_allclose(float(jaxlr.hessian(at, problem)[0, 0]), np.exp(-size), rtol=4 * EPS * size)


def test_cases_and_controls_are_exchanged_by_a_sign():
    rng = np.random.default_rng(0)
    X, y, strata = rng.normal(size=(30, 2)), rng.integers(0, 2, 30), np.repeat(np.arange(6), 5)
    at, turned = Params(np.array([0.5, -1.0]), np.zeros(())), Params(np.array([-0.5, 1.0]), np.zeros(()))
    one, other = Problem(X, y, strata=strata), Problem(X, 1 - y, strata=strata)
    assert float(jaxlr.loss(at, one)) == float(jaxlr.loss(turned, other))
    np.testing.assert_array_equal(jaxlr.hessian(at, one), jaxlr.hessian(turned, other))


def test_the_scale_of_curvature_is_1_for_halves_and_less_for_one_case_among_many():
    """4 d (r - d) / r^2, the mean of all rows: a separation is told from an estimate by it. Two pairs and a set of ten."""
    x, strata = np.arange(14.0)[:, None], np.repeat([0, 1, 2], [2, 2, 10])
    scale = jax.jit(lambda y: matched_of(Problem(x, y, strata=strata)).rarity)
    for d, own in ((1, 0.36), (5, 1.0), (9, 0.36), (0, 0.0)):
        y = np.append([1, 0, 0, 1], np.arange(10) < d)
        assert float(scale(y)) == pytest.approx((4 + 10 * own) / 14, rel=8 * EPS)


def test_order_of_rows_and_names_of_strata_do_not_count():
    rng = np.random.default_rng(1)
    X, y, strata = rng.normal(size=(40, 2)), rng.integers(0, 2, 40), rng.integers(0, 9, 40)
    order, at = rng.permutation(40), Params(np.array([0.5, -1.0]), np.zeros(()))
    value = jaxlr.loss(at, Problem(X, y, strata=strata))
    named = [f"set {number}" for number in strata[order]]
    np.testing.assert_allclose(jaxlr.loss(at, Problem(X[order], y[order], strata=named)), value, rtol=40 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_that_is_constant_within_strata_has_no_slope_and_no_curvature(dtype):
    strata = np.repeat(np.arange(7), 3)
    X = np.column_stack([(strata + 0.1) * 1e6, np.arange(21) % 4]).astype(dtype)
    problem, at = Problem(X, np.arange(21) % 3 == 0, strata=strata), Params(np.full(2, 0.1, dtype), np.zeros((), dtype))
    assert float(jaxlr.gradient(at, problem).coef[0]) == 0
    assert not np.any(jaxlr.hessian(at, problem)[0])
    assert jaxlr.loss(at, problem).dtype == dtype


@pytest.mark.slow
def test_float32_has_the_digits_of_float32():
    rng = np.random.default_rng(2)
    X, y, strata = rng.normal(size=(60, 2)), rng.integers(0, 2, 60), np.repeat(np.arange(4), 15)
    at = Params(np.array([0.5, -1.0]), np.zeros(()))
    exact = jaxlr.gradient(at, Problem(X, y, strata=strata)).coef
    half = jax.tree.map(lambda part: np.asarray(part, np.float32), at)
    found = jaxlr.gradient(half, Problem(X.astype(np.float32), y, strata=strata)).coef
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance(np.float32, 60))


@pytest.mark.slow
def test_many_covariances_are_taken_in_groups(monkeypatch):
    rng = np.random.default_rng(3)
    X, y, strata = rng.normal(size=(70, 2)), rng.integers(0, 2, 70), np.repeat(np.arange(14), 5)
    at, problem = Params(np.array([0.5, -1.0]), np.zeros(())), Problem(X, y, strata=strata)
    whole = jaxlr.hessian(at, problem)
    monkeypatch.setattr("jaxlr.model.strata._AT_ONCE", 24)
    jax.clear_caches()
    monkeypatch.setattr("jaxlr.compilation.program._loaded", {})
    np.testing.assert_allclose(jaxlr.hessian(at, problem), whole, rtol=0, atol=10 * EPS)


def test_labels_and_weights_that_are_none_are_nan_and_never_another_answer():
    X, strata, at = np.arange(4.0)[:, None], np.array([0, 0, 1, 1]), Params(np.ones(1), np.zeros(()))
    assert np.isnan(jaxlr.loss(at, Problem(X, np.array([0.5, 0, 1, 0]), strata=strata)))
    assert np.isnan(jaxlr.loss(at, Problem(X, np.array([1, 0, 1, 0]), np.array([1.0, 2.0, 1.0, 1.0]), strata=strata)))


def test_strata_of_similar_work_share_a_block_and_a_large_one_stands_alone():
    labels = np.concatenate([np.repeat(np.arange(1000), 2), np.full(3000, -1)])
    strata = strata_of(labels)
    assert sorted(block.shape for block in strata.blocks) == [(1, 3000), (1000, 2)]
    known = strata.known(np.concatenate([np.tile([0, 1], 1000), np.arange(3000) < 30]), None)
    assert sorted(known.most) == [1, 30]
    assert not strata.known(np.zeros(5000), None).blocks


def test_blocks_hold_every_row_once_and_place_says_where():
    rng = np.random.default_rng(4)
    sizes = np.concatenate([rng.integers(1, 6, 300), [70, 900, 3000]])
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    y = rng.integers(0, 2, len(labels))
    for strata in (strata_of(labels), strata_of(labels).known(y, None)):
        assert len(strata.blocks) > 1
        flat = np.concatenate([block.ravel() for block in strata.blocks] + [[-1]])
        inside = strata.place < len(flat) - 1
        np.testing.assert_array_equal(flat[strata.place[inside]], np.flatnonzero(inside))
        assert np.sum(flat >= 0) == np.sum(inside)
        for block, most in zip(strata.blocks, strata.most, strict=True):
            for filled in block:
                rows = filled[filled >= 0]
                np.testing.assert_array_equal(rows, np.flatnonzero(labels == labels[rows[0]]))
                assert min(np.sum(y[rows]), np.sum(1 - y[rows])) <= most
    assert np.all(inside == np.array([0 < y[labels == label].mean() < 1 for label in labels]))


@pytest.mark.slow
def test_covariances_that_are_not_side_by_side_are_not_counted():
    pairs = strata_of(np.arange(400_000) // 2)
    assert 8 * pairs.numbers(60) < 2.5e9
    assert pairs.numbers(60) > 400_000 * 60 + 2**22  # rows, and covariances of a group


def cancelled(dtype):
    """Labels, strata, and a column that is a sum of 37 products of numbers of the stratum, rounded in another order."""
    rng = np.random.default_rng(5)
    strata = np.repeat(np.arange(60), 4)
    terms = (rng.normal(size=(60, 37)) * rng.normal(size=37)).astype(dtype)[strata]
    orders = np.argsort(rng.random(terms.shape), axis=1)
    column = functools.reduce(np.add, np.take_along_axis(terms, orders, axis=1).T)
    return column, np.tile([1, 0, 0, 1], 60), strata


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.asarray, pytest.param(jnp.asarray, marks=pytest.mark.slow)])
def test_a_column_that_is_constant_but_for_rounding_is_constant(dtype, kind):
    column, _, strata = cancelled(dtype)
    one = strata_of(strata)
    assert any(np.ptp(column[strata == number]) > 0 for number in range(60))
    X = np.stack([column, column, np.arange(240) % 3], axis=1).astype(dtype)
    X[:4, 1] += np.array([0, 0, 0, 1], dtype)  # one stratum says something
    X[4:8, 2] = 1e9  # and a code that is larger than all of it says nothing
    present = np.ones(240, bool)
    found = np.asarray(centered(kind(X), one, None))
    assert not np.any(found[:, 0])
    np.testing.assert_array_equal(found[:, 2].reshape(60, 4)[2], (X[8:12, 2] - X[8:12, 2].mean()))
    assert np.any(found[4:, 1])  # its other digits are as they were
    np.testing.assert_array_equal(np.asarray(centered(kind(X), one, kind(present))), found)
    present[3] = False
    assert not np.any(np.asarray(centered(kind(X), one, kind(present)))[:, 1])
    batch = np.asarray(centered(kind(np.stack([X, 2 * X])), one, None))
    np.testing.assert_array_equal(batch[1], 2 * found)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_that_is_constant_but_for_rounding_has_no_slope(dtype):
    column, y, strata = cancelled(dtype)
    problem = Problem(column[:, None], y, strata=strata)
    assert float(jaxlr.gradient(Params(np.ones(1, dtype), np.zeros((), dtype)), problem).coef[0]) == 0


@pytest.mark.slow
def test_columns_that_are_constant_within_strata_keep_their_derivatives():
    strata = np.repeat(np.arange(5), 3)
    X = jnp.asarray(strata[:, None] + 0.1)
    dX = np.arange(15.0)[:, None] ** 2
    moved = jax.jvp(lambda X: centered(X, strata_of(strata), None), (X,), (dX,))[1]
    np.testing.assert_allclose(moved, dX - np.repeat(dX.reshape(5, 3).mean(axis=1), 3)[:, None], rtol=0, atol=1e3 * EPS)


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 0, 1], "expected strata"), ([[0], [1]], "expected strata"), ([0, None, 1, 1], "missing ones"),
])  # fmt: skip
def test_labels_of_strata_that_are_none_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        jaxlr.loss(Params(np.zeros(1), np.zeros(())), Problem(np.zeros((4, 1)), np.zeros(4), strata=labels))


def test_softmax_parameters_are_refused():
    params = jaxlr.SoftmaxParams(np.zeros((2, 1)), np.zeros(2))
    for function in (jaxlr.loss, jaxlr.gradient, jaxlr.hessian, jaxlr.kkt_residual, jaxlr.duality_gap):
        with pytest.raises(TypeError, match="strata"):
            function(params, Problem(np.zeros((4, 1)), np.zeros(4), strata=np.zeros(4)))
