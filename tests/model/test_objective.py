"""The objective: its derivatives agree on three roads, and the laws of DESIGN.md section 1 hold, one test a law."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr import Params, Problem, SoftmaxParams, duality_gap, gradient, hessian, hvp, kkt_residual, logistic_loss, loss
from jaxlr.testing import check_gradient, params_of, problems, problems_with_params
from jaxlr.testing.strategies import arrays
from tests.helpers import assert_tree_close, count_traces, tolerance

pytestmark = pytest.mark.usefixtures("x64")

FUNCTIONS = [loss, gradient, hessian]
# Drawn numbers are at most 4: logits are at most 3 * 16 + 8 = 56 and rounded by that many eps, and a column multiplies
# the error by 4.
SCALE = 256.0
K = 8

_loss, _gradient, _hessian, _hvp = (jax.jit(f) for f in (loss, gradient, hessian, hvp))
_directional = jax.jit(lambda params, problem, v: jax.jvp(lambda p: gradient(p, problem), (params,), (v,))[1])
_auto_hessian = jax.jit(jax.hessian(loss))


@jax.jit
def everything(params: Params, problem: Problem) -> tuple:
    """Loss, gradient and Hessian."""
    return loss(params, problem), gradient(params, problem), hessian(params, problem)


def assert_close(actual, expected) -> None:
    assert_tree_close(actual, expected, K, SCALE)


def take_rows(problem: Problem, index) -> Problem:
    """The problem with the rows of index, in that order."""
    per_row = {k: getattr(problem, k) for k in ("X", "y", "sample_weight", "offset")}
    return replace(problem, **{k: v[index] for k, v in per_row.items() if v is not None})


def with_weights(problem: Problem, s=None) -> Problem:
    """The problem with sample_weight s, or its own written out."""
    own = np.ones(len(problem.y)) if problem.sample_weight is None else problem.sample_weight
    return replace(problem, sample_weight=own if s is None else s)


def factors(problem: Problem) -> np.ndarray:
    return np.ones(problem.X.shape[1]) if problem.penalty_factor is None else problem.penalty_factor


def flat_hessian(tree: Params) -> np.ndarray:
    """jax.hessian's nested Params as one matrix, intercept last."""
    top = np.concatenate([tree.coef.coef, np.asarray(tree.coef.intercept)[:, None]], axis=1)
    return np.concatenate([top, np.append(tree.intercept.coef, tree.intercept.intercept)[None, :]])


# --- The formula and its derivatives ------------------------------------------------------------------------------------


@pytest.mark.slow
@given(problems_with_params())
def test_loss_is_the_formula(case):
    problem, params = case
    s = np.ones(len(problem.y)) if problem.sample_weight is None else problem.sample_weight
    z = problem.X @ params.coef + (params.intercept if problem.fit_intercept else 0)
    z = z + (0 if problem.offset is None else problem.offset)
    data = np.sum(s * (np.logaddexp(0, z) - problem.y * z)) / np.sum(s)
    penalty = np.sum(factors(problem) * (problem.l1 * np.abs(params.coef) + problem.l2 / 2 * params.coef**2))
    assert_close(_loss(params, problem), jnp.asarray(data + penalty))


@given(problems_with_params(weighted=True))
def test_analytic_gradient_is_autodiff_is_finite_differences(case):
    problem, params = case
    check_gradient(_loss, _gradient, params, problem)


@pytest.mark.slow
@given(problems_with_params(weighted=True, l1=st.just(0.0)))
def test_hessian_is_autodiff_and_symmetric(case):
    problem, params = case
    H = np.asarray(_hessian(params, problem))
    assert_close(H, flat_hessian(_auto_hessian(params, problem)))
    assert_close(H, H.T)


@pytest.mark.slow
@given(problems_with_params(weighted=True), st.data())
def test_hvp_is_the_hessian_times_the_vector(case, data):
    problem, params = case
    v = data.draw(params_of(problem))
    product = np.asarray(_hessian(params, problem)) @ np.append(v.coef, v.intercept)
    assert_close(_hvp(params, problem, v), Params(jnp.asarray(product[:-1]), jnp.asarray(product[-1])))


@given(problems_with_params(weighted=True), st.data())
def test_hvp_is_the_derivative_of_the_gradient(case, data):
    problem, params = case
    v = data.draw(params_of(problem))
    assert_close(_hvp(params, problem, v), _directional(params, problem, v))


@given(problems_with_params(weighted=True))
def test_hessian_is_positive_semidefinite(case):
    problem, params = case
    assert np.linalg.eigvalsh(np.asarray(_hessian(params, problem)))[0] >= -tolerance(float, K) * SCALE


@pytest.mark.slow
@given(problems_with_params(weighted=False))
def test_absent_fields_are_weights_of_one_no_offset_and_factors_of_one(case):
    problem, params = case
    m, n = problem.X.shape
    written = replace(problem, sample_weight=np.ones(m), offset=np.zeros(m), penalty_factor=np.ones(n))
    assert_close(everything(params, written), everything(params, problem))
    assert_close(_hvp(params, written, params), _hvp(params, problem, params))


@given(problems_with_params(weighted=True), st.data())
def test_loss_is_convex_along_segments(case, data):
    problem, a = case
    b = data.draw(params_of(problem))
    J_a, J_b = _loss(a, problem), _loss(b, problem)
    for t in (0.125, 0.5, 0.75):
        between = jax.tree.map(lambda p, q, t=t: t * p + (1 - t) * q, a, b)
        assert _loss(between, problem) <= t * J_a + (1 - t) * J_b + tolerance(float, K) * SCALE


@given(problems_with_params(weighted=True), st.data())
def test_gradient_is_a_lower_tangent_of_the_smooth_part(case, data):
    problem, a = case
    b = data.draw(params_of(problem))
    problem = replace(problem, l1=np.float64(0))
    g = _gradient(a, problem)
    tangent = _loss(a, problem) + np.dot(g.coef, b.coef - a.coef) + g.intercept * (b.intercept - a.intercept)
    assert _loss(b, problem) >= tangent - tolerance(float, K) * SCALE


# --- Penalties ----------------------------------------------------------------------------------------------------------


@given(problems_with_params(weighted=True))
def test_l1_enters_the_loss_and_neither_gradient_nor_hessian(case):
    problem, params = case
    without = replace(problem, l1=np.float64(0))
    penalty = problem.l1 * np.sum(factors(problem) * np.abs(params.coef))
    assert_close(_loss(params, problem), _loss(params, without) + penalty)
    assert_tree_close(_gradient(params, problem), _gradient(params, without), 0)
    assert_tree_close(_hessian(params, problem), _hessian(params, without), 0)


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_a_penalty_factor_is_a_scaled_strength_per_column(case):
    problem, params = case
    f = problem.penalty_factor
    vectors_given = replace(problem, l1=problem.l1 * f, l2=problem.l2 * f, penalty_factor=None)
    assert_close(everything(params, vectors_given), everything(params, problem))


@given(problems_with_params(weighted=True))
def test_a_penalty_factor_for_all_columns_scales_the_strengths(case):
    problem, params = case
    doubled = replace(problem, penalty_factor=2 * problem.penalty_factor)
    assert_close(everything(params, replace(problem, l1=2 * problem.l1, l2=2 * problem.l2)), everything(params, doubled))


@given(problems_with_params(weighted=True), st.sampled_from([-4.0, 0.5, 4.0]))
def test_the_intercept_is_not_penalized(case, intercept):
    problem, params = case
    params = params._replace(intercept=np.float64(intercept))
    without = replace(problem, l1=np.float64(0), l2=np.float64(0))
    penalty = np.sum(factors(problem) * (problem.l1 * np.abs(params.coef) + problem.l2 / 2 * params.coef**2))
    assert_close(_loss(params, problem) - penalty, _loss(params, without))
    assert_close(_gradient(params, problem).intercept, _gradient(params, without).intercept)


def test_an_infinite_strength_holds_a_coefficient_at_zero():
    problem = Problem(np.eye(3), np.array([0, 1, 1]), l1=np.array([np.inf, 0.1, 0.1]), l2=0.5)
    held, moved = (Params(np.array([c, 1.0, -1.0]), np.float64(0.25)) for c in (0.0, 1e-9))
    assert loss(held, problem) == loss(held, replace(problem, l1=np.array([0, 0.1, 0.1])))
    assert loss(moved, problem) == np.inf


def test_a_coefficient_held_at_zero_leaves_no_nan_in_derivatives_of_the_loss():
    X, y = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.0]]), np.array([0, 1, 1])
    at, problem = Params(np.array([0.0, 0.3]), np.array(0.1)), Problem(X, y, l2=0.1, penalty_factor=np.array([np.inf, 1.0]))
    assert_tree_close(jax.grad(loss)(at, problem), gradient(at, problem), tolerance(np.float64, K))
    assert loss(Params(np.array([1e-9, 0.3]), np.array(0.1)), problem) == np.inf


@given(problems_with_params(weighted=True, fit_intercept=False))
def test_without_an_intercept_the_intercept_is_ignored(case):
    problem, params = case
    other = params._replace(intercept=params.intercept + 1)
    assert_tree_close(everything(other, problem), everything(params, problem), 0)
    assert _gradient(params, problem).intercept == 0
    H = np.asarray(_hessian(params, problem))
    assert np.all(H[-1] == 0)
    assert np.all(H[:, -1] == 0)
    assert _hvp(params, problem, params).intercept == 0
    assert_tree_close(_hvp(params, problem, other), _hvp(params, problem, params), 0)


# --- Metamorphic laws ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_doubling_a_weight_equals_repeating_the_row(case):
    problem, params = case
    problem = with_weights(problem)
    s = problem.sample_weight * np.where(np.arange(len(problem.y)) == 1, 2, 1)
    repeated = take_rows(problem, np.append(np.arange(len(problem.y)), 1))
    assert_close(everything(params, with_weights(problem, s)), everything(params, repeated))


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_integer_weights_equal_repeated_rows(case):
    problem, params = case
    m = len(problem.y)
    counts = np.where(np.arange(m) % 2, 2, 1)
    index = np.repeat(np.arange(m), counts)
    problem = with_weights(problem, np.ones(m))
    assert_close(everything(params, with_weights(problem, counts.astype(float))), everything(params, take_rows(problem, index)))


@pytest.mark.slow
@given(problems_with_params(weighted=True), st.sampled_from([0.0, 1e30, -1e30, 1e300]))
def test_a_weight_of_zero_equals_an_absent_row_whatever_finite_filler_stands_there(case, filler):
    problem, params = case
    problem = with_weights(problem)
    s = problem.sample_weight.copy()
    s[2] = 0
    if not (s * problem.y).sum() or not (s * (1 - problem.y)).sum():
        s[:] = np.where(np.arange(len(s)) == 2, 0, 1)
    absent = take_rows(with_weights(problem, s), np.arange(len(s)) != 2)
    X, offset = problem.X.copy(), np.zeros(len(s)) if problem.offset is None else problem.offset.copy()
    X[2], offset[2] = filler, filler
    present = replace(problem, X=X, offset=offset, sample_weight=s)
    assert_close(everything(params, present), everything(params, absent))
    assert_close(_hvp(params, present, params), _hvp(params, absent, params))


def test_a_weight_of_zero_hides_the_largest_float32_too():
    largest = np.finfo(np.float32).max
    X, y = np.float32([[1, 2], [-1, 0.5], [largest, -largest]]), np.array([0, 1])
    s, offset = np.float32([1, 2, 0]), np.float32([0.5, -0.5, largest])
    params, strengths = Params(np.float32([3, -2]), np.float32(1)), {"l2": np.float32(0.1), "l1": np.float32(0.1)}
    absent = Problem(X[:2], y, sample_weight=s[:2], offset=offset[:2], **strengths)
    for label in (0, 1):  # one of them has the loss of an infinite logit
        present = Problem(X, np.append(y, label), sample_weight=s, offset=offset, **strengths)
        assert_tree_close(everything(params, present), everything(params, absent), K)


@given(problems_with_params(weighted=True), st.sampled_from([2.0**-40, 3.0, 1e300]))
def test_scaling_all_weights_changes_nothing(case, factor):
    problem, params = case
    problem = with_weights(problem)
    scaled = with_weights(problem, problem.sample_weight * factor)
    assert_close(everything(params, scaled), everything(params, problem))


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_repeating_all_rows_changes_nothing(case):
    problem, params = case
    twice = take_rows(problem, np.tile(np.arange(len(problem.y)), 2))
    assert_close(everything(params, twice), everything(params, problem))


@given(problems_with_params(weighted=True))
def test_permuting_rows_changes_nothing(case):
    problem, params = case
    assert_close(everything(params, take_rows(problem, np.arange(len(problem.y))[::-1])), everything(params, problem))


@given(problems_with_params(weighted=True))
def test_permuting_columns_permutes_the_derivatives(case):
    problem, params = case
    order = np.roll(np.arange(problem.X.shape[1]), 1)
    permuted = replace(problem, X=problem.X[:, order], penalty_factor=problem.penalty_factor[order])
    J, g, H = everything(params, problem)
    both = np.append(order, len(order))
    expected = J, Params(g.coef[order], g.intercept), H[np.ix_(both, both)]
    assert_close(everything(params._replace(coef=params.coef[order]), permuted), expected)


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_halved_repeated_columns_with_half_the_penalties_repeat_the_coefficients(case):
    problem, params = case
    f = problem.penalty_factor
    halved = replace(
        problem,
        X=np.concatenate([problem.X, problem.X], axis=1) / 2,
        l1=problem.l1 / 2,
        l2=problem.l2 / 2,
        penalty_factor=None if f is None else np.tile(f, 2),
    )
    repeated = params._replace(coef=np.tile(params.coef, 2))
    assert_close(_loss(repeated, halved), _loss(params, problem))
    g = _gradient(params, problem)
    assert_close(_gradient(repeated, halved), Params(jnp.tile(g.coef / 2, 2), g.intercept))


@pytest.mark.slow
@given(problems_with_params(weighted=True))
def test_an_offset_is_an_unpenalized_column_with_coefficient_one(case):
    problem, params = case
    column = replace(
        problem,
        X=np.concatenate([problem.X, problem.offset[:, None]], axis=1),
        offset=None,
        penalty_factor=np.append(problem.penalty_factor, 0),
    )
    extended = params._replace(coef=np.append(params.coef, 1))
    assert_close(_loss(extended, column), _loss(params, problem))
    g, expected = _gradient(extended, column), _gradient(params, problem)
    assert_close(Params(g.coef[:-1], g.intercept), expected)


@pytest.mark.slow
@given(problems_with_params(weighted=True, fit_intercept=True))
def test_an_intercept_is_an_unpenalized_column_of_ones(case):
    problem, params = case
    column = replace(
        problem,
        X=np.concatenate([problem.X, np.ones((len(problem.y), 1))], axis=1),
        penalty_factor=np.append(problem.penalty_factor, 0),
        fit_intercept=False,
    )
    joined = Params(np.append(params.coef, params.intercept), np.float64(0))
    assert_close(_loss(joined, column), _loss(params, problem))
    g, expected = _gradient(joined, column), _gradient(params, problem)
    assert_close(g.coef, jnp.append(expected.coef, expected.intercept))
    assert_close(_hessian(joined, column)[:-1, :-1], _hessian(params, problem))


@given(problems_with_params(weighted=True))
def test_opposite_labels_and_signs_are_the_same_problem(case):
    problem, params = case
    opposite = replace(problem, y=1 - problem.y, offset=None if problem.offset is None else -problem.offset)
    J, g, H = everything(params, problem)
    negative = jax.tree.map(np.negative, params)
    assert_close(everything(negative, opposite), (J, jax.tree.map(jnp.negative, g), H))


@given(problems_with_params(weighted=True, soft=True))
def test_a_soft_label_is_two_hard_rows_with_its_weights(case):
    problem, params = case
    problem = with_weights(problem)
    m, y, s = len(problem.y), problem.y, problem.sample_weight
    split = replace(
        take_rows(problem, np.tile(np.arange(m), 2)),
        y=np.repeat([1.0, 0.0], m),
        sample_weight=np.concatenate([s * y, s * (1 - y)]),
    )
    assert_close(everything(params, split), everything(params, problem))


@given(problems_with_params(weighted=True, fit_intercept=True), st.data())
def test_shifting_a_column_is_a_change_of_intercept(case, data):
    problem, params = case
    shift = data.draw(arrays((problem.X.shape[1],)))
    shifted = params._replace(intercept=params.intercept - np.dot(shift, params.coef))
    assert_close(_loss(shifted, replace(problem, X=problem.X + shift)), _loss(params, problem))


# --- Types and transformations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.int32, np.int8, np.bool_, np.float32, np.float16])
def test_labels_of_any_type_are_the_same_numbers(kind):
    X, y = np.random.default_rng(0).standard_normal((6, 2)), np.array([0, 1, 1, 0, 1, 0])
    params = Params(np.array([1.0, -2.0]), np.float64(0.5))
    expected = everything(params, Problem(X, y.astype(float), l2=0.1))
    assert_tree_close(everything(params, Problem(X, y.astype(kind), l2=0.1)), expected, 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [*FUNCTIONS, lambda params, problem: hvp(params, problem, params)])
def test_the_design_decides_the_dtype_of_every_result(f, dtype):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 2)).astype(dtype), np.array([0, 1, 1, 0, 1, 0])
    wide = {"sample_weight": np.ones(6), "offset": np.ones(6), "penalty_factor": np.ones(2), "l1": 0.1, "l2": np.float64(0.1)}
    params = Params(np.array([1.0, -2.0]), np.float64(0.5))
    for problem in (Problem(X, y), Problem(X, y, **wide), Problem(X, y.astype(float), l1=1, l2=1)):
        for leaf in jax.tree.leaves(jax.eval_shape(f, params, problem)):
            assert leaf.dtype == dtype
    for leaf in jax.tree.leaves(f(params, Problem(X, y, **wide))):
        assert leaf.dtype == dtype


def test_float32_agrees_with_float64_to_rounding():
    rng = np.random.default_rng(0)
    wide = Problem(*(np.float32(a) for a in (rng.standard_normal((50, 3)), rng.integers(0, 2, 50))), l2=np.float32(0.125))
    params = Params(np.float32([1, -2, 0.5]), np.float32(0.25))
    narrow = everything(params, wide)
    exact = everything(params, replace(wide, X=wide.X.astype(float)))
    assert_tree_close(narrow, jax.tree.map(lambda a: np.asarray(a, np.float32), exact), K)


def test_vmap_over_l2_is_a_loop_over_l2():
    rng = np.random.default_rng(0)
    X, y, l2 = rng.standard_normal((6, 2)), np.array([0, 1, 1, 0, 1, 0]), np.array([0.0, 0.1, 1.0, 10.0])
    params = Params(np.array([1.0, -2.0]), np.float64(0.5))
    axes = Problem(X=None, y=None, l1=None, l2=0)
    for f in FUNCTIONS:
        batch = jax.vmap(f, in_axes=(None, axes))(params, Problem(X, y, l2=l2))
        for i in range(4):
            assert_tree_close(jax.tree.map(lambda a, i=i: a[i], batch), f(params, Problem(X, y, l2=l2[i])), K)


def test_vmap_over_weights_labels_and_params_is_a_loop():
    rng = np.random.default_rng(0)
    X, Y, S = rng.standard_normal((6, 2)), rng.integers(0, 2, (3, 6)), rng.uniform(0, 2, (3, 6))
    params = Params(rng.standard_normal((3, 2)), rng.standard_normal(3))
    axes = Problem(X=None, y=0, sample_weight=0, l1=None, l2=None)
    for f in FUNCTIONS:
        batch = jax.vmap(f, in_axes=(0, axes))(params, Problem(X, Y, sample_weight=S, l1=0.1, l2=0.1))
        for i in range(3):
            single = Problem(X, Y[i], sample_weight=S[i], l1=0.1, l2=0.1)
            one = Params(params.coef[i], params.intercept[i])
            assert_tree_close(jax.tree.map(lambda a, i=i: a[i], batch), f(one, single), K)


def test_new_numbers_are_not_traced_again_and_a_new_intercept_flag_is():
    counted, traces = count_traces(loss)
    params, X = Params(np.zeros(2), np.zeros(())), np.eye(2)
    for strength in (0.0, 0.1, 5.0):
        counted(params, Problem(X * strength, np.array([0, 1]), l1=strength, l2=strength))
    assert traces() == 1
    counted(params, Problem(X, np.array([0, 1]), fit_intercept=False))
    assert traces() == 2


def test_a_problem_is_a_pytree_whose_none_fields_are_no_leaves():
    problem = Problem(np.eye(2), np.array([0, 1]))
    leaves, structure = jax.tree.flatten(problem)
    assert len(leaves) == 4
    assert jax.tree.unflatten(structure, leaves).fit_intercept
    assert jax.tree.structure(replace(problem, fit_intercept=False)) != structure


def test_no_weight_at_all_gives_nan():
    problem = Problem(np.eye(2), np.array([0, 1]), sample_weight=np.zeros(2))
    assert np.isnan(loss(Params(np.zeros(2), np.zeros(())), problem))


def test_huge_logits_leave_loss_and_derivatives_finite():
    X, y = np.array([[1.0], [-1.0], [2.0]]), np.array([0, 0, 1])
    for scale in (1e3, 1e10, 1e150):
        params = Params(np.array([scale]), np.float64(-scale))  # logits 0, -2 scale (right) and scale (right)
        J, g, H = everything(params, Problem(X, y))
        expected = np.log(2) / 3, Params(np.array([1 / 6]), np.array(1 / 6)), np.full((2, 2), 1 / 12)
        assert_tree_close((J, g, H), expected, K)
        wrong, _, _ = everything(jax.tree.map(np.negative, params), Problem(X, y))
        np.testing.assert_allclose(wrong, scale + np.log(2) / 3, rtol=tolerance(float, K))  # (0 + 2 + 1) / 3 and a logit 0


@given(problems(weighted=False))
def test_at_zero_the_loss_is_log_two(problem):
    params = Params(np.zeros(problem.X.shape[1]), np.float64(0))
    assert_close(_loss(params, problem), logistic_loss(0.0, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_whose_sum_overflows_are_the_shares_that_they_are(dtype):
    X, y = np.array([[1.0], [2.0], [4.0]], dtype), np.array([0, 1, 0])
    params, limits = Params(np.array([0.5], dtype), dtype(-1.0)), np.finfo(dtype)
    for shares in (np.ones(3, dtype), np.array([1.0, 0.5, 0.25], dtype)):
        expected = loss(params, Problem(X, y, sample_weight=shares))
        for unit in (limits.max, limits.tiny / dtype(0.25)):
            assert np.isclose(loss(params, Problem(X, y, sample_weight=shares * unit)), expected, rtol=4 * limits.eps, atol=0)


ONE = {"X": np.ones((4, 2)), "y": np.array([0, 1, 1, 0])}
NOT_ONE = {
    "a column y": (
        Params(np.zeros(2), np.array(0.0)),
        {"y": np.zeros((4, 1))},
        r"expected y \(4,\) .* got shape \(4, 1\); np.ravel",
    ),
    "a column of weights": (
        Params(np.zeros(2), np.array(0.0)),
        {"sample_weight": np.ones((4, 1))},
        r"expected sample_weight \(4,\)",
    ),
    "an offset of two classes": (
        SoftmaxParams(np.zeros((3, 2)), np.zeros(3)),
        {"offset": np.zeros(4)},
        r"expected offset \(4, 3\)",
    ),
    "a batch of models": (Params(np.zeros((3, 2)), np.zeros(3)), {}, r"expected coef \(2,\) .* \(3, 2\); .* jax.vmap a batch"),
    "a batch of designs": (
        Params(np.zeros(2), np.array(0.0)),
        {"X": np.ones((3, 4, 2))},
        r"expected X \(4, 2\) .* got shape \(3, 4, 2\)",
    ),
}


@pytest.mark.parametrize("function", [loss, gradient, hessian, kkt_residual, duality_gap])
@pytest.mark.parametrize("case", NOT_ONE)
def test_what_is_not_one_problem_is_refused(function, case):
    params, fields, message = NOT_ONE[case]
    with pytest.raises(ValueError, match=message):
        function(params, Problem(**(ONE | fields)))


@pytest.mark.parametrize("function", [loss, gradient, hessian, kkt_residual, duality_gap])
def test_several_classes_have_no_strata(function):
    problem = Problem(**ONE, strata=np.array([0, 0, 1, 1]))
    with pytest.raises(TypeError, match=r"expected jaxlr\.Params of a problem with strata, got SoftmaxParams"):
        function(SoftmaxParams(np.zeros((2, 2)), np.zeros(2)), problem)
