"""The model: logits are linear, probabilities their sigmoid, classes a threshold; batch axes lead and broadcast."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxlr import Params, SoftmaxParams, logits, predict, predict_proba, sigmoid
from tests.helpers import assert_tree_close, tolerance

pytestmark = pytest.mark.usefixtures("x64")

M, N = 5, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((M, N))
OFFSET = RNG.standard_normal(M)
ONE = Params(RNG.standard_normal(N), np.float64(0.5))
FUNCTIONS = [logits, predict_proba, predict]
each_function = pytest.mark.parametrize("function", FUNCTIONS)

# name: batch axes of params, of X, of the offset, and of the result
BATCHES = {
    "one model": ((), (), (), ()),
    "many models, shared X": ((4,), (), (), (4,)),
    "a grid of models, shared X": ((2, 4), (), (), (2, 4)),
    "one model, many X": ((), (4,), (), (4,)),
    "each model its X": ((4,), (4,), (), (4,)),
    "models against X": ((2, 1), (4,), (), (2, 4)),
    "each model its offset": ((4,), (), (4,), (4,)),
    "one model, many offsets": ((), (), (4,), (4,)),
    "offsets against models": ((4,), (), (2, 1), (2, 4)),
    "everything batched": ((2, 1), (4,), (2, 4), (2, 4)),
}


def _batch(params_axes, X_axes, offset_axes):
    rng = np.random.default_rng(1)
    params = Params(rng.standard_normal((*params_axes, N)), rng.standard_normal(params_axes))
    return params, rng.standard_normal((*X_axes, M, N)), rng.standard_normal((*offset_axes, M))


@pytest.mark.parametrize("axes", BATCHES.values(), ids=BATCHES)
def test_logits_of_a_batch_are_those_of_its_members(axes):
    *given, expected_axes = axes
    params, Xs, offsets = _batch(*given)
    actual = logits(params, Xs, offsets)
    assert actual.shape == (*expected_axes, M)
    coef = np.broadcast_to(params.coef, (*expected_axes, N))
    intercept = np.broadcast_to(params.intercept, expected_axes)
    Xs, offsets = np.broadcast_to(Xs, (*expected_axes, M, N)), np.broadcast_to(offsets, (*expected_axes, M))
    for i in np.ndindex(expected_axes):
        expected = Xs[i] @ coef[i] + intercept[i] + offsets[i]
        assert_tree_close(actual[i], jnp.asarray(expected), 2 * N)


@pytest.mark.slow
@each_function
@pytest.mark.parametrize("axes", BATCHES.values(), ids=BATCHES)
def test_proba_and_classes_have_the_shape_of_the_logits(function, axes):
    *given, expected_axes = axes
    params, Xs, offsets = _batch(*given)
    result = function(params, Xs, offset=offsets)
    assert result.shape == (*expected_axes, M)
    assert result.dtype == (jnp.int32 if function is predict else jnp.float64)


def test_no_offset_is_an_offset_of_zero():
    for function in FUNCTIONS:
        np.testing.assert_array_equal(function(ONE, X), function(ONE, X, offset=np.zeros(M)))


def test_proba_is_the_sigmoid_of_the_logits():
    np.testing.assert_array_equal(predict_proba(ONE, X, OFFSET), sigmoid(logits(ONE, X, OFFSET)))


def test_an_intercept_is_a_column_of_ones():
    ones = np.concatenate([X, np.ones((M, 1))], axis=1)
    expected = logits(Params(np.append(ONE.coef, ONE.intercept), np.zeros(())), ones)
    assert_tree_close(logits(ONE, X), expected, 2 * N)


def test_logits_are_exact_where_the_numbers_are():
    small = np.array([[1.0, 2, -3], [0, 0, 0], [1e6, -1, 0.5]])
    params = Params(np.array([1.0, -2, 0.25]), np.float64(-1))
    np.testing.assert_array_equal(logits(params, small), [-4.75, -1, 1e6 + 1.125])


def test_proba_is_exact_far_out_and_never_nan():
    params = Params(np.ones(1), np.float64(0))
    far = np.array([-np.inf, -1e300, -745.0, 0, 40, 1e300, np.inf])[:, None]
    proba = np.asarray(predict_proba(params, far))
    np.testing.assert_array_equal(proba[[0, 1, 3, 4, 5, 6]], [0, 0, 0.5, 1, 1, 1])
    assert proba[2] <= np.finfo(float).tiny


# --- predict ------------------------------------------------------------------------------------------------------------


def test_a_probability_equal_to_the_threshold_is_class_one():
    params = Params(np.ones(1), np.float64(0))
    points = np.array([-1.0, 0.0, 1.0, np.log(3.0)])[:, None]
    np.testing.assert_array_equal(predict(params, points), [0, 1, 1, 1])
    proba = predict_proba(params, points)
    for i in range(4):
        assert predict(params, points, threshold=proba[i])[i] == 1
        assert predict(params, points, threshold=np.nextafter(proba[i], 1))[i] == 0


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, [1, 1, 1]), (0.3, [0, 1, 1]), (0.9, [0, 0, 0]), (1, [0, 0, 0])])
def test_the_threshold_is_a_probability(threshold, expected):
    points = np.array([-1.0, 0.0, 1.0])[:, None]
    classes = predict(Params(np.ones(1), np.float64(0)), points, threshold=threshold)
    np.testing.assert_array_equal(classes, expected)
    assert classes.dtype == jnp.int32


def test_a_threshold_may_differ_from_model_to_model():
    params, Xs, _ = _batch((4,), (), ())
    thresholds = np.array([0.1, 0.4, 0.6, 0.9])
    classes = predict(params, Xs, threshold=np.broadcast_to(thresholds[:, None], (4, M)))
    for i, threshold in enumerate(thresholds):
        single = Params(params.coef[i], params.intercept[i])
        np.testing.assert_array_equal(classes[i], predict(single, Xs, threshold=threshold))


def test_a_nan_probability_is_neither_class():
    params = Params(np.array([[1.0], [np.nan]]), np.zeros(2))
    classes = predict(params, np.array([[-1.0], [1.0], [np.nan]]))
    np.testing.assert_array_equal(classes, [[0, 1, -1], [-1, -1, -1]])


# --- dtypes -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64])
def test_the_dtype_of_the_coefficients_is_kept(dtype):
    params = Params(jnp.asarray(ONE.coef, dtype), jnp.asarray(ONE.intercept, dtype))
    for design in (X, X.astype(np.float32), np.ones((M, N), np.int8), np.ones((M, N), bool)):
        assert logits(params, design, OFFSET).dtype == dtype
        assert predict_proba(params, design, OFFSET).dtype == dtype
        assert predict(params, design, offset=OFFSET).dtype == jnp.int32
    assert logits(params, np.zeros((2, M, N))).dtype == dtype


def test_float32_is_right_to_rounding():
    single = jax.tree.map(np.float32, (ONE, X, OFFSET))
    expected = X.astype(np.float32).astype(float) @ single[0].coef.astype(float) + 0.5 + single[2].astype(float)
    scale = np.abs(X) @ np.abs(ONE.coef) + 0.5 + np.abs(OFFSET)
    assert np.all(np.abs(np.asarray(logits(*single), float) - expected) <= tolerance(np.float32, N) * scale)


def test_integers_and_python_numbers_are_accepted_as_params():
    result = logits(Params(np.array([1, 2, 3]), 1), np.ones((M, N), np.int32))
    assert result.dtype == jnp.float64
    np.testing.assert_array_equal(result, np.full(M, 7.0))


# --- transformations ----------------------------------------------------------------------------------------------------


@each_function
def test_jit_and_vmap_agree_with_the_plain_call(function):
    params, Xs, offsets = _batch((4,), (4,), (4,))

    def call(p, x, o):
        return function(p, x, offset=o)

    expected = call(params, Xs, offsets)
    assert_tree_close(jax.jit(call)(params, Xs, offsets), expected, 2 * N)
    assert_tree_close(jax.vmap(call)(params, Xs, offsets), expected, 2 * N)
    shared = jax.vmap(call, in_axes=(0, None, None))(params, X, OFFSET)
    assert_tree_close(shared, call(params, X, OFFSET), 2 * N)


def test_gradients_of_logits_are_the_design():
    jacobian = jax.jacobian(logits)(ONE, X, OFFSET)
    np.testing.assert_array_equal(jacobian.coef, X)
    np.testing.assert_array_equal(jacobian.intercept, np.ones(M))
    np.testing.assert_array_equal(jax.jacobian(logits, argnums=2)(ONE, X, OFFSET), np.eye(M))


def test_gradients_of_proba_are_those_of_finite_differences():
    v = np.arange(1.0, M + 1)

    def f(params):
        return jnp.sum(v * predict_proba(params, X, OFFSET))

    check_grads(f, (ONE,), order=1, modes=["rev"])


# --- errors -------------------------------------------------------------------------------------------------------------


@each_function
@pytest.mark.parametrize(
    ("coef", "design", "offset"),
    [
        ((N,), (M, N + 1), (M,)),
        ((N,), (N,), (M,)),
        ((), (M, N), (M,)),
        ((), (M, 1), (M,)),
        ((4, N), (4, M, N + 1), (M,)),
        ((4, N), (3, M, N), (M,)),
        ((N,), (M, N), (M + 1,)),
        ((4, N), (M, N), (3, M)),
    ],
)
def test_shapes_that_do_not_fit_raise_value_error(function, coef, design, offset):
    with pytest.raises(ValueError, match=r"expected X|[Ss]hape|Size|expected batch axes that broadcast"):
        function(Params(np.zeros(coef), np.zeros(coef[:-1])), np.zeros(design), offset=np.zeros(offset))


@each_function
def test_an_intercept_of_another_batch_raises_value_error(function):
    with pytest.raises(ValueError, match="expected batch axes that broadcast"):
        function(Params(np.zeros((4, N)), np.zeros(3)), X)


@each_function
@pytest.mark.parametrize("place", ["coef", "intercept", "X", "offset"])
def test_complex_numbers_raise_type_error_and_are_not_cut_to_their_real_part(function, place):
    given = {"coef": np.zeros(N), "intercept": np.zeros(()), "X": X, "offset": OFFSET}
    given[place] = given[place] + 1j
    with pytest.raises(TypeError):
        function(Params(given["coef"], given["intercept"]), given["X"], offset=given["offset"])


@each_function
def test_text_is_refused(function):
    with pytest.raises((TypeError, ValueError)):
        function(ONE, np.full((M, N), "a"))


def test_an_offset_of_several_classes_has_their_axis():
    """One of K rows would else be taken for one of K classes, where there are as many of both."""
    params = SoftmaxParams(np.eye(3, 2), np.zeros(3))
    with pytest.raises(ValueError, match=r"offset \(..., m, K\)"):
        logits(params, np.ones((3, 2)), np.arange(3.0))
