"""The multinomial model: its derivatives, its certificates, and the laws of its fits."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

import jaxlr
from jaxlr import Problem, SoftmaxParams, Status
from jaxlr.linalg.dense import Dense
from jaxlr.model.likelihood import Multinomial
from jaxlr.model.softmax import contrasts
from jaxlr.testing import check_gradient
from jaxlr.testing.strategies import arrays
from tests.helpers import assert_tree_close, tolerance

pytestmark = pytest.mark.usefixtures("x64")

K, M, N = 3, 12, 2
EPS = float(np.finfo(float).eps)
TOL = 1e-10  # of fit in float64
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
LABELS = np.argmax(X @ RNG.standard_normal((4, 3)) + RNG.gumbel(size=(60, 3)), axis=1)


@functools.cache
@st.composite
def problems(draw, largest_l1=2.0):
    labels = np.array([0, 1, 2, *draw(st.lists(st.integers(0, K - 1), min_size=M - K, max_size=M - K))])
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=M, max_size=M)), float)
    weights[:K] += 1  # every class has weight
    strengths = st.sampled_from([2.0**-i for i in range(-1, 8)])
    l1 = draw(st.sampled_from([0.0, 0.125])) if largest_l1 else 0.0
    offset = draw(arrays((M, K)))
    return Problem(draw(arrays((M, N))), labels, weights, offset, l1=l1, l2=draw(strengths))


@functools.cache
def params():
    return st.builds(SoftmaxParams, arrays((K, N)), arrays((K,)))


def assert_same(got, expected, tol=4 * TOL, l2=1e-2):
    """Two minima: each gradient is <= tol in every direction, and the penalty or the data bend J by l2 at least."""
    assert bool(np.all(got.converged))
    assert bool(np.all(expected.converged))
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=0, atol=tol / l2)
    np.testing.assert_allclose(got.params.intercept, expected.params.intercept, rtol=0, atol=tol / l2)


# Numbers of the rows


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, np.float32, np.float64])
def test_log_softmax_and_logsumexp_are_right_to_the_last_digits(dtype):
    rng = np.random.default_rng(10)
    rows = rng.standard_normal((40, 3)) * 10.0 ** rng.integers(-3, 3, (40, 1))
    z = np.asarray(jnp.asarray(rows, dtype)).astype(np.float64)
    with mpmath.workdps(400):
        sums = [mpmath.log(sum(mpmath.exp(mpmath.mpf(v)) for v in row)) for row in z.tolist()]
        exact = np.array([[float(mpmath.mpf(v) - s) for v in row] for row, s in zip(z.tolist(), sums, strict=True)])
        sums = np.array([float(s) for s in sums])
    # The rounding of z - max z, half an eps of it, is a relative error of its exponential; nothing else cancels.
    spread = np.ptp(z, axis=1, keepdims=True)
    got = np.asarray(jaxlr.log_softmax(jnp.asarray(z, dtype)).astype(float))
    tiny = float(jnp.finfo(dtype).tiny)
    assert np.all(np.abs(got - exact) <= tolerance(dtype, 4) * (1 + spread) * np.abs(exact) + tiny)
    got = np.asarray(jaxlr.logsumexp(jnp.asarray(z, dtype)).astype(float))
    assert np.all(np.abs(got - sums) <= tolerance(dtype, 4) * (np.abs(sums) + np.abs(z).max(axis=1)))


@pytest.mark.slow
def test_infinite_logits_give_the_limits():
    inf, nan = np.inf, np.nan
    rows = np.array([[inf, 0, -inf], [-inf, 1, -inf], [inf, inf, 0], [-inf, -inf, -inf], [0, nan, 0], [0, -1e9, -inf]])
    expected = [[0, -inf, -inf], [-inf, 0, -inf], [-np.log(2), -np.log(2), -inf], [-np.log(3)] * 3, [nan] * 3, [0, -1e9, -inf]]
    np.testing.assert_allclose(jaxlr.log_softmax(rows), expected, rtol=EPS)
    np.testing.assert_array_equal(jaxlr.logsumexp(rows), [inf, 1, inf, -inf, nan, 0])
    slopes = jax.jacobian(jaxlr.logsumexp)(jnp.array([0.0, -inf, -1e9]))
    np.testing.assert_array_equal(slopes, [1, 0, 0])


def test_predictions():
    at = SoftmaxParams(np.array([[0.0], [1.0], [np.nan]])[:, :, None], np.zeros((3, 1)))
    two = SoftmaxParams(np.array([[[0.0], [1.0]], [[0.0], [np.nan]]]), np.zeros((2, 2)))
    np.testing.assert_array_equal(jaxlr.predict(two, np.array([[-2.0], [2.0]])), [[0, 1], [-1, -1]])
    assert jaxlr.predict_proba(at, np.ones((5, 1))).shape == (3, 5, 1)
    with pytest.raises(ValueError, match=r"coef \(..., K, n\)"):
        jaxlr.logits(two, np.ones((3, 4)))


# Objective


@given(params(), problems())
def test_the_gradient_is_that_of_the_smooth_part(at, problem):
    check_gradient(jaxlr.loss, jaxlr.gradient, at, problem)
    total = np.asarray(jaxlr.gradient(at, problem).intercept).sum()
    assert abs(total) <= 10 * EPS


@given(params(), params(), problems())
def test_the_hessian_vector_product_is_the_derivative_of_the_gradient(at, v, problem):
    _, expected = jax.jvp(lambda at: jaxlr.gradient(at, problem), (at,), (v,))
    assert_tree_close(jaxlr.hvp(at, problem, v), expected, k=1000, scale=10)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [Multinomial(3), Multinomial(3).in_contrasts()], ids=["classes", "contrasts"])
def test_the_hessian_in_coordinates_of_the_classes_is_that_of_its_products(likelihood):
    rng = np.random.default_rng(10)
    basis = likelihood.basis
    problem, at = Problem(X, LABELS), SoftmaxParams(rng.standard_normal((3, 4)), rng.standard_normal(3))
    A = Dense(jnp.concatenate([X, np.ones((60, 1))], axis=1))
    H = np.asarray(likelihood.assemble(A.gram(likelihood.curvature(jaxlr.logits(at, X).T, jnp.full(60, 1 / 60)).pairs())))
    for column in range(H.shape[1]):
        v = basis @ np.eye(H.shape[0])[column].reshape(basis.shape[1], 5)
        product = jaxlr.hvp(at, problem, SoftmaxParams(v[:, :4], v[:, 4]))
        product = basis.T @ np.column_stack([product.coef, product.intercept])
        np.testing.assert_allclose(H[:, column], product.ravel(), rtol=0, atol=100 * EPS)


def test_contrasts_are_an_orthonormal_basis_of_zero_sums():
    for classes in (2, 3, 10):
        Q = contrasts(classes)
        np.testing.assert_allclose(Q.T @ Q, np.eye(classes - 1), rtol=0, atol=4 * EPS)
        np.testing.assert_allclose(Q.sum(axis=0), 0, rtol=0, atol=classes * EPS)


def test_saturated_rows_keep_their_digits():
    """A right label at logits of 1000 has the loss and residuals of exp(-1000), wrong ones a loss of 1000."""
    problem = Problem(np.array([[1.0]]), np.array([0]))
    for size, loss in ((40.0, 2 * np.exp(-80.0)), (-40.0, 80 + np.log(2))):
        at = SoftmaxParams(np.array([[size], [-size], [-size]]), np.zeros(3))
        np.testing.assert_allclose(jaxlr.loss(at, problem), loss, rtol=4 * EPS)
    at = SoftmaxParams(np.array([[40.0], [-40], [-40]]), np.zeros(3))
    np.testing.assert_allclose(jaxlr.gradient(at, problem).intercept, np.exp(-80.0) * np.array([-2, 1, 1]), rtol=8 * EPS)


# Certificates


@pytest.mark.slow
@settings(max_examples=10)
@given(params(), problems())
def test_the_gap_bounds_what_is_left_to_gain_and_vanishes_with_the_residual(at, problem):
    fit = jaxlr.fit(*_fields(problem)[0], num_classes=K, **_fields(problem)[1])
    assert int(fit.status) == Status.CONVERGED
    left = float(jaxlr.loss(at, problem) - fit.value)
    gap = float(jaxlr.duality_gap(at, problem))
    assert np.isfinite(gap)
    assert gap >= left - 1e-13 * (1 + left)
    # J is bent by l2 >= 2^-7 in coefficients and by the data in intercepts; rounding leaves eps times logits up to 100.
    assert 0 <= float(fit.gap) <= 1000 * EPS
    np.testing.assert_allclose(fit.kkt, jaxlr.kkt_residual(fit.params, problem), rtol=0, atol=2 * TOL)


def _fields(problem):
    names = ("sample_weight", "offset", "l1", "l2")
    return (problem.X, problem.y), {name: getattr(problem, name) for name in names}


@pytest.mark.slow
def test_no_bound_where_there_is_none():
    gap = jax.jit(jaxlr.duality_gap)
    at = SoftmaxParams(np.zeros((3, 4)), np.zeros(3))
    assert float(gap(at, Problem(X, LABELS))) == np.inf
    assert float(gap(at, Problem(X, 0 * LABELS, l2=1.0))) == np.inf
    assert float(gap(at, Problem(X, 0 * LABELS, l2=1.0, fit_intercept=False))) < np.inf
    huge = SoftmaxParams(1e200 * X[:3], np.zeros(3))
    assert float(gap(huge, Problem(X, LABELS, l2=1.0))) > 0


# Fits


@pytest.mark.slow
@settings(max_examples=5)
@given(problems(largest_l1=0), st.permutations(range(K)))
def test_a_permutation_of_the_classes_permutes_the_rows(problem, order):
    args, options = _fields(problem)
    del options["l1"]
    fit = jaxlr.fit(*args, num_classes=K, **options)
    place = np.argsort(order)
    permuted = jaxlr.fit(args[0], place[args[1]], num_classes=K, **options | {"offset": options["offset"][:, order]})
    # Flat directions are bent by 2^-7 (coefficients) or by the curvature of rows of logits up to 20 (intercepts).
    np.testing.assert_allclose(permuted.params.coef, fit.params.coef[np.array(order)], rtol=0, atol=2**8 * TOL)
    np.testing.assert_allclose(permuted.value, fit.value, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("l2", [0.0, pytest.param(0.05, marks=pytest.mark.slow)])
def test_a_weight_is_a_number_of_rows_and_zero_sums_hold(l2):
    rng = np.random.default_rng(10)
    weights = rng.integers(0, 3, 60)
    fit = jaxlr.fit(X, LABELS, num_classes=3, sample_weight=weights, l2=l2)
    rows = np.repeat(np.arange(60), weights)
    assert_same(fit, jaxlr.fit(X[rows], LABELS[rows], num_classes=3, l2=l2))
    size = np.abs(fit.params.coef).max()
    np.testing.assert_allclose(np.sum(fit.params.coef, axis=0), 0, rtol=0, atol=16 * EPS * size)
    np.testing.assert_allclose(np.sum(fit.params.intercept), 0, rtol=0, atol=16 * EPS * size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"l1": 0.02, "l2": 0.01}, *(pytest.param(p, marks=pytest.mark.slow) for p in ({"l2": 0.1}, {}))]
)
def test_two_classes_are_the_binary_model(options):
    """z = z_1 - z_0 has both rows' penalty, l2 / 2 (c^2 / 4 + c^2 / 4): that of l2 / 2; the l1 of both is l1 |c| / 2 twice."""
    y = LABELS > 0
    fit = jaxlr.fit(X, y, num_classes=2, **{name: value if name == "l1" else 2 * value for name, value in options.items()})
    binary = jaxlr.fit(X, y, **options)
    np.testing.assert_allclose(fit.params.coef[1] - fit.params.coef[0], binary.params.coef, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fit.params.intercept[1] - fit.params.intercept[0], binary.params.intercept, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fit.value, binary.value, rtol=8 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"l2": 0.02},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"l2": 0.02, "fit_intercept": False}, marks=pytest.mark.slow),
        pytest.param({"l2": 0.02, "standardize": True, "penalty_factor": np.array([0, 1, 2, 1])}, marks=pytest.mark.slow),
        pytest.param({"l2": 0.02, "offset": RNG.standard_normal((60, 3))}, marks=pytest.mark.slow),
    ],
)
def test_the_solvers_agree(options):
    newton = jaxlr.fit(X, LABELS, num_classes=3, solver="newton", **options)
    assert newton.solver == "newton"
    assert_same(jaxlr.fit(X, LABELS, num_classes=3, solver="newton_cg", **options), newton)
    assert_same(jaxlr.fit(X, LABELS, num_classes=3, solver="proximal", **options), newton)
    start = SoftmaxParams(np.full((3, 4), 3.0), np.array([1.0, 2, 3]))
    assert_same(jaxlr.fit(X, LABELS, num_classes=3, solver="newton", init=start, **options), newton)


@pytest.mark.slow
def test_l1_makes_exact_zeros_and_leaves_sums_of_zero_where_nothing_is_penalized():
    options = {"l1": 0.05, "penalty_factor": np.array([0.0, 1, 1, 1])}
    fit = jaxlr.fit(X, LABELS, num_classes=3, **options)
    assert bool(fit.converged)
    coef = np.asarray(fit.params.coef)
    assert np.any(coef == 0)
    assert not np.any(coef[:, 0] == 0)
    assert abs(coef[:, 0].sum()) <= 8 * EPS
    assert float(jaxlr.kkt_residual(fit.params, Problem(X, LABELS, **options))) <= 2 * TOL


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["newton", pytest.param("newton_cg", marks=pytest.mark.slow)])
def test_a_batch_is_its_members_one_by_one(solver):
    folds = np.asarray(jaxlr.kfold(jax.random.key(0), 60, 2))
    l2 = np.logspace(0, -2, 8)
    labels = np.stack([LABELS, 2 - LABELS])
    fits = jaxlr.fit(X, labels[:, None, None], num_classes=3, sample_weight=folds[:, None], l2=l2, solver=solver)
    assert fits.params.coef.shape == (2, 2, 8, 3, 4)
    for member in [(0, 1, 7), (1, 0, 3)]:
        t, fold, i = member
        alone = jaxlr.fit(X, labels[t], num_classes=3, sample_weight=folds[fold], l2=l2[i], solver="newton")
        assert_same(jax.tree.map(lambda leaf, member=member: leaf[member], fits), alone)
    cut = jaxlr.fit(X, labels[:, None, None], num_classes=3, sample_weight=folds[:, None], l2=l2, solver=solver, batch_size=8)
    assert_same(cut, fits)


@pytest.mark.slow
def test_designs_and_jit_and_vmap():
    Xs = np.stack([X, X + 1, 2 * X])
    fits = jaxlr.fit(Xs, LABELS, num_classes=3, l2=0.1)
    mapped = jax.jit(jax.vmap(lambda X: jaxlr.fit(X, LABELS, num_classes=3, l2=0.1)))(jnp.asarray(Xs))
    assert_same(mapped, fits)
    assert_same(jax.tree.map(lambda leaf: leaf[2], fits), jaxlr.fit(2 * X, LABELS, num_classes=3, l2=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["newton", pytest.param("newton_cg", marks=pytest.mark.slow)])
def test_one_failed_model_never_touches_its_neighbours(solver):
    weights = np.ones((3, 60))
    weights[1, 5] = np.nan
    weights[2, LABELS == 1] = 0
    fits = jaxlr.fit(X, LABELS, num_classes=3, sample_weight=weights, l2=0.1, solver=solver)
    assert fits.status.tolist() == [Status.CONVERGED, Status.NONFINITE, Status.INVALID]
    alone = jaxlr.fit(X, LABELS, num_classes=3, l2=0.1, solver="newton")
    assert_same(jax.tree.map(lambda leaf: leaf[0], fits), alone)


@pytest.mark.slow
def test_iris_has_no_estimate_without_a_penalty():
    iris, labels = load_iris(return_X_y=True)
    weights = np.ones((3, 150))
    weights[1, ::5] = 0
    weights[2, 1::5] = 0
    fits = jaxlr.fit(iris, labels, num_classes=3, sample_weight=weights)
    assert fits.status.tolist() == [Status.SEPARATED] * 3


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["newton", "newton_cg"])
def test_separation_is_seen_from_any_start_and_in_float32(solver):
    iris, labels = load_iris(return_X_y=True)
    far = SoftmaxParams(np.array([[300.0], [-300], [0]]) * np.ones(4), np.zeros(3))
    assert int(jaxlr.fit(iris, labels, num_classes=3, init=far, solver=solver).status) == Status.SEPARATED
    assert int(jaxlr.fit(iris.astype(np.float32), labels, num_classes=3, solver=solver).status) == Status.SEPARATED
    fit = jaxlr.fit(iris, labels, num_classes=3, init=far, l2=1e-3, solver=solver)
    assert_same(fit, jaxlr.fit(iris, labels, num_classes=3, l2=1e-3), l2=1e-3)


@pytest.mark.parametrize(
    ("labels", "options", "match"),
    [
        (np.eye(3)[LABELS] * 2, {}, "rows sum to 1"),
        (LABELS + 1, {}, "0..2"),
        (LABELS + 0.5, {}, "integer"),
        (LABELS % 2, {}, "all 3 classes"),
        (LABELS[:-1], {}, "last axis 60"),
        (LABELS, {"offset": np.zeros((60, 2))}, "offset"),
        (LABELS, {"init": SoftmaxParams(np.zeros((2, 4)), np.zeros(3))}, "coef"),
        (LABELS, {"l1": 0.1, "solver": "newton"}, "l1 = 0"),
        (LABELS, {"sample_weight": np.zeros(60)}, "weight"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(labels, options, match):
    with pytest.raises(ValueError, match=match):
        jaxlr.fit(X, labels, num_classes=3, **options)


def test_wrong_types_are_refused():
    with pytest.raises(ValueError, match="num_classes"):
        jaxlr.fit(X, LABELS, num_classes=1)
    with pytest.raises(TypeError, match="SoftmaxParams"):
        jaxlr.fit(X, LABELS, num_classes=3, init=jaxlr.Params(np.zeros(4), 0.0))


@pytest.mark.slow
def test_a_fit_is_constant_under_differentiation():
    slope = jax.grad(lambda l2: jnp.sum(jaxlr.fit(X, LABELS, num_classes=3, l2=l2).params.coef))(0.1)
    assert float(slope) == 0
