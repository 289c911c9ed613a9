"""The scalar functions meet the bar of 4 ulp (1 ulp for 16-bit types) at every dtype, and so do their derivatives.

Exhaustive for float16 and bfloat16 here, for float32 under -m slow; stratified for float64 against mpmath. References for
types of up to 32 bits are the formulas of jaxlr.model.logistic in float64, which add only terms of one sign and are therefore
right to about 1e-16, a billionth of a float32 ulp.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxlr import curvature, log_sigmoid, logistic_loss, residual, sigmoid
from jaxlr.testing import check_bounds_of_sigmoid, check_limits_of_loss
from tests.helpers import assert_within_ulp, quick, tolerance

pytestmark = pytest.mark.usefixtures("x64", "optimized")

FUNCTIONS = {
    "sigmoid": sigmoid,
    "log_sigmoid": log_sigmoid,
    "curvature": curvature,
    "loss": logistic_loss,
    "residual": residual,
}
DTYPES = ["float16", "bfloat16", "float32", "float64"]
BAR = {"float16": 1, "bfloat16": 1, "float32": 4, "float64": 4}
SLOPE_BAR = 8  # curvature' = -curvature * tanh(z / 2), the third derivative of the loss: 4 ulp, 3 of XLA's tanh, a rounding


def _e(z):
    return np.exp(-np.abs(z))


def _exact_loss(z, y):
    with np.errstate(invalid="ignore"):  # 0 * inf, where the label is hard and right
        return np.nan_to_num(np.where(z < 0, y, 1 - y) * np.abs(z), nan=0, posinf=np.inf) + np.log1p(_e(z))


def _exact_sigmoid(z):
    return np.where(z >= 0, 1.0, _e(z)) / (1 + _e(z))


def _exact_curvature(z):
    return _e(z) / (1 + _e(z)) ** 2


def _exact_slope(z):
    """The derivative of the curvature."""
    return -_exact_curvature(z) * np.tanh(z / 2)


class Case(NamedTuple):
    """A function of the logit alone, with its value and its first derivative in float64 and in mpmath."""

    function: Callable
    exact: Callable
    exact_first: Callable
    mp: Callable
    mp_first: Callable
    first_bar: float = 4


def _mp_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def _mp_softplus(z):
    return mpmath.log1p(mpmath.exp(z))


def _mp_curvature(z):
    return _mp_sigmoid(z) * _mp_sigmoid(-z)


def _mp_slope(z):
    return -_mp_curvature(z) * mpmath.tanh(z / 2)


CASES = {
    "sigmoid": Case(sigmoid, _exact_sigmoid, _exact_curvature, _mp_sigmoid, _mp_curvature),
    "log_sigmoid": Case(
        log_sigmoid,
        lambda z: np.minimum(z, 0) - np.log1p(_e(z)),
        lambda z: _exact_sigmoid(-z),
        lambda z: -_mp_softplus(-z),
        lambda z: _mp_sigmoid(-z),
    ),
    "curvature": Case(curvature, _exact_curvature, _exact_slope, _mp_curvature, _mp_slope, SLOPE_BAR),
    "loss y=0": Case(
        lambda z: logistic_loss(z, 0), lambda z: np.maximum(z, 0) + np.log1p(_e(z)), _exact_sigmoid, _mp_softplus, _mp_sigmoid
    ),
    "loss y=1": Case(
        lambda z: logistic_loss(z, 1),
        lambda z: np.maximum(-z, 0) + np.log1p(_e(z)),
        lambda z: -_exact_sigmoid(-z),
        lambda z: _mp_softplus(-z),
        lambda z: -_mp_sigmoid(-z),
    ),
    "residual y=0": Case(lambda z: residual(z, 0), _exact_sigmoid, _exact_curvature, _mp_sigmoid, _mp_curvature),
    "residual y=1": Case(
        lambda z: residual(z, 1), lambda z: -_exact_sigmoid(-z), _exact_curvature, lambda z: -_mp_sigmoid(-z), _mp_curvature
    ),
}
# The second derivative of each is the first derivative of another.
SECOND = {
    "sigmoid": "curvature",
    "loss y=0": "residual y=0",
    "loss y=1": "residual y=1",
    "residual y=0": "curvature",
    "residual y=1": "curvature",
}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_half = pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def _derivative(f, order=1):
    for _ in range(order):
        f = jax.grad(f)
    return jax.jit(jax.vmap(f))


def _wide(z):
    """As float64, with signaling NaNs made quiet: NumPy warns when it meets one."""
    with np.errstate(invalid="ignore"):
        return z.astype(np.float64) + 0.0


def _all_16_bit(dtype):
    return np.arange(2**16, dtype=np.uint16).view(dtype)


def _sample_32_bit():
    """About a million float32: every 4093rd bit pattern (a prime: all parts of the significand), and the edges."""
    return np.arange(0, 2**32, 4093, dtype=np.uint64).astype(np.uint32).view(np.float32)


def _sample_64_bit():
    """A few thousand float64 of either sign: all magnitudes, the range where exp(-z) is a number, each regime change."""
    rng = np.random.default_rng(0)
    z = np.concatenate(
        [
            [0.0, 0.5, 1.0, 20.0, 36.0, 36.7368, 37.0, 38.0, 700.0, 708.0, 708.3964, 709.7827, 744.0, 745.0, 745.2, 1e308],
            rng.uniform(0, 745, 500),
            rng.uniform(0, 40, 500),
            rng.uniform(0, 3, 300),
            np.exp(rng.uniform(np.log(1e-300), np.log(1e300), 200)),
            np.exp(rng.uniform(np.log(1e-20), np.log(1e3), 300)),
        ]
    )
    return np.concatenate([z, -z])


def _mp_table(f, z):
    """Values to 40 digits as float64 head and tail."""
    with mpmath.workdps(40):
        exact = [f(mpmath.mpf(float(x))) for x in z]
        head = [float(v) for v in exact]
        return np.array(head), np.array([float(v - h) for v, h in zip(exact, head, strict=True)])


# --- The accuracy bar ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@each_case
@each_half
def test_every_16_bit_number_is_right_to_an_ulp(case, dtype):
    z = _all_16_bit(dtype)
    actual = jax.jit(case.function)(z)
    assert actual.dtype == dtype
    exact = case.exact(_wide(z))
    assert_within_ulp(actual, exact, 1, at=z)


@pytest.mark.slow
@each_case
@each_half
def test_first_derivatives_of_every_16_bit_number_are_right_to_an_ulp(case, dtype):
    z = _all_16_bit(dtype)
    exact = case.exact_first(_wide(z))
    assert_within_ulp(_derivative(case.function)(z), exact, 1, at=z)


@pytest.mark.slow
@each_case
def test_a_million_float32_are_right_to_the_bar(case):
    z = _sample_32_bit()
    exact = case.exact(_wide(z))
    assert_within_ulp(jax.jit(case.function)(z), exact, BAR["float32"], at=z)


@pytest.mark.slow
@each_case
def test_first_derivatives_of_a_million_float32_are_right_to_the_bar(case):
    z = _sample_32_bit()
    exact = case.exact_first(_wide(z))
    assert_within_ulp(_derivative(case.function)(z), exact, case.first_bar, at=z)


@pytest.mark.slow
@each_case
def test_float64_is_right_to_the_bar(case):
    z = _sample_64_bit()
    exact, tail = _mp_table(case.mp, z)
    assert_within_ulp(jax.jit(case.function)(z), exact, BAR["float64"], at=z, tail=tail)


@each_case
def test_first_derivatives_of_float64_are_right_to_the_bar(case):
    z = _sample_64_bit()
    exact, tail = _mp_table(case.mp_first, z)
    assert_within_ulp(_derivative(case.function)(z), exact, case.first_bar, at=z, tail=tail)


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_are_right_to_the_bar(name, dtype):
    z = _sample_64_bit()
    z = z[np.abs(z) < float(jnp.finfo(dtype).max)].astype(dtype)
    first = CASES[SECOND[name]]
    exact, tail = _mp_table(first.mp_first, z)
    assert_within_ulp(_derivative(CASES[name].function, 2)(z), exact, first.first_bar, at=z, tail=tail)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_of_log_sigmoid_and_curvature(dtype):
    z = _sample_64_bit()
    z = z[np.abs(z) < float(jnp.finfo(dtype).max)].astype(dtype)
    exact, tail = _mp_table(lambda x: -_mp_curvature(x), z)
    assert_within_ulp(_derivative(log_sigmoid, 2)(z), exact, BAR[dtype], at=z, tail=tail)
    # c (1 - 6 c) has a zero, near which its terms cancel: the error is measured in c, and tanh, 3 ulp, enters it squared.
    c, (exact, _) = _exact_curvature(z.astype(float)), _mp_table(lambda x: _mp_curvature(x) * (1 - 6 * _mp_curvature(x)), z)
    off = np.abs(np.asarray(_derivative(curvature, 2)(z), float) - exact)
    assert np.all(off <= tolerance(dtype, 4 * BAR[dtype]) * c + float(jnp.finfo(dtype).tiny))


@pytest.mark.slow
@each_function
def test_every_float32_is_right_to_the_bar(name):
    labels = [c for c in CASES if c.split(" ")[0] == name]
    functions = {label: jax.jit(CASES[label].function) for label in labels}
    chunk = 2**20

    def worst_of(start):
        z = np.arange(start, min(start + chunk + 1, 2**32), dtype=np.uint64).astype(np.uint32).view(np.float32)
        worst = 0.0
        for label, function in functions.items():
            actual = np.asarray(function(z))
            worst = max(worst, assert_within_ulp(actual, CASES[label].exact(_wide(z)), BAR["float32"], at=z))
            if name == "sigmoid":  # bit patterns of one sign ascend in magnitude; chunks overlap by one
                steps = np.diff(actual) if start < 2**31 else -np.diff(actual)
                assert np.all((steps >= 0) | np.isnan(steps))
        return worst

    with ThreadPoolExecutor(2) as pool:
        worst = max(pool.map(worst_of, range(0, 2**32, chunk)))
    print(f"{name}: worst {worst:.3f} ulp over all float32")


# --- Soft labels --------------------------------------------------------------------------------------------------------

SOFT = [1e-30, 0.1, 0.5, 0.7, 1 - 2.0**-24]


@each_half
@pytest.mark.parametrize("y", SOFT)
def test_loss_of_a_soft_label_is_right_to_an_ulp_for_every_16_bit_number(dtype, y):
    z, label = _all_16_bit(dtype), np.float32(y)  # 16-bit logits are computed in float32, with the label in float32
    assert_within_ulp(jax.jit(logistic_loss)(z, label), _exact_loss(_wide(z), float(label)), 1, at=z)


@pytest.mark.slow
@pytest.mark.parametrize("y", SOFT)
def test_loss_of_a_soft_label_is_right_to_the_bar(y):
    z = _sample_64_bit()[::8]
    z = z[np.abs(z) < 800]
    with mpmath.workdps(400):  # log(1 + exp(z)) - y z as it stands: 324 digits may cancel at z = -745
        values = [_mp_softplus(mpmath.mpf(float(x))) - mpmath.mpf(y) * mpmath.mpf(float(x)) for x in z]
        exact = np.array([float(v) for v in values])
        tail = np.array([float(v - h) for v, h in zip(values, exact, strict=True)])
    assert_within_ulp(jax.jit(logistic_loss)(z, y), exact, BAR["float64"], at=z, tail=tail)
    z, label = _sample_32_bit(), np.float32(y)
    assert_within_ulp(jax.jit(logistic_loss)(z, label), _exact_loss(_wide(z), float(label)), BAR["float32"], at=z)


@pytest.mark.parametrize("y", SOFT)
def test_residual_of_a_soft_label_is_right_to_the_bar_of_its_larger_term(y):
    # sigmoid(z) - y is 0 where the label is the probability: the error is measured against the two terms that are
    # subtracted, probability and label counted from 0 where z < 0 and from 1 elsewhere.
    for z, dtype in ((_sample_64_bit(), np.float64), (_sample_32_bit(), np.float32)):
        label = dtype(y)
        far = np.longdouble(label) if dtype == np.float64 else np.float64(label)
        with np.errstate(invalid="ignore"):
            z_far = z.astype(far.dtype)
        probability, target = _e(z_far) / (1 + _e(z_far)), np.where(z < 0, far, 1 - far)
        exact = np.where(z < 0, 1, -1) * (probability - target)
        off = np.abs(np.asarray(jax.jit(residual)(z, label)).astype(far.dtype) - exact)
        np.testing.assert_array_equal(np.isnan(off), np.isnan(z))
        bound = tolerance(dtype, BAR["float64"]) * (probability + target) + np.finfo(dtype).tiny
        assert np.all((off <= bound) | np.isnan(z))


# --- Special cases ------------------------------------------------------------------------------------------------------

NAN, INF, LOG2 = np.nan, np.inf, np.log(2.0)
SPECIAL = [
    # name, label, value at -inf, -1000 (float16: the same), -0, 0, 1000, inf; at NaN it is NaN
    ("sigmoid", None, 0, 0, 0.5, 0.5, 1, 1),
    ("log_sigmoid", None, -INF, -1000, -LOG2, -LOG2, 0, 0),
    ("curvature", None, 0, 0, 0.25, 0.25, 0, 0),
    ("loss", 0, 0, 0, LOG2, LOG2, 1000, INF),
    ("loss", 1, INF, 1000, LOG2, LOG2, 0, 0),
    ("loss", 0.5, INF, 500, LOG2, LOG2, 500, INF),
    ("loss", 0.25, INF, 250, LOG2, LOG2, 750, INF),
    ("residual", 0, 0, 0, 0.5, 0.5, 1, 1),
    ("residual", 1, -1, -1, -0.5, -0.5, 0, 0),
    ("residual", 0.5, -0.5, -0.5, 0, 0, 0.5, 0.5),
    ("residual", 0.25, -0.25, -0.25, 0.25, 0.25, 0.75, 0.75),
]
SPECIAL_Z = [-INF, -1000.0, -0.0, 0.0, 1000.0, INF]


@each_dtype
@pytest.mark.parametrize(("name", "y", "expected"), [(name, y, values) for name, y, *values in SPECIAL])
def test_special_values_are_exact(dtype, name, y, expected):
    labels = () if y is None else (y,)
    z = jnp.asarray([*SPECIAL_Z, NAN], dtype)
    for function in (FUNCTIONS[name], jax.jit(FUNCTIONS[name])):
        actual = np.asarray(function(z, *labels))
        assert actual.dtype == z.dtype
        np.testing.assert_array_equal(_wide(actual), _wide(np.asarray(jnp.asarray([*expected, NAN], dtype))))


@each_dtype
@pytest.mark.parametrize("name", ["loss", "residual"])
def test_a_nan_label_gives_nan(dtype, name):
    assert np.all(np.isnan(np.asarray(FUNCTIONS[name](jnp.asarray([-INF, -1, 0, 1, INF], dtype), NAN), np.float32)))


# Derivatives at the special points, first and second, by the same columns as SPECIAL_Z. c = 1/4 at 0.
SPECIAL_DERIVATIVES = [
    ("sigmoid", None, [0, 0, 0.25, 0.25, 0, 0], [0, 0, 0, 0, 0, 0]),
    ("log_sigmoid", None, [1, 1, 0.5, 0.5, 0, 0], [0, 0, -0.25, -0.25, 0, 0]),
    ("curvature", None, [0, 0, 0, 0, 0, 0], [0, 0, -0.125, -0.125, 0, 0]),
    ("loss", 0, [0, 0, 0.5, 0.5, 1, 1], [0, 0, 0.25, 0.25, 0, 0]),
    ("loss", 1, [-1, -1, -0.5, -0.5, 0, 0], [0, 0, 0.25, 0.25, 0, 0]),
    ("loss", 0.25, [-0.25, -0.25, 0.25, 0.25, 0.75, 0.75], [0, 0, 0.25, 0.25, 0, 0]),
    ("residual", 0, [0, 0, 0.25, 0.25, 0, 0], [0, 0, 0, 0, 0, 0]),
    ("residual", 1, [0, 0, 0.25, 0.25, 0, 0], [0, 0, 0, 0, 0, 0]),
    ("residual", 0.25, [0, 0, 0.25, 0.25, 0, 0], [0, 0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize("dtype", quick(DTYPES, "float32", "float64"))
@pytest.mark.parametrize(("name", "y", "first", "second"), SPECIAL_DERIVATIVES)
def test_derivatives_at_special_values_are_exact_and_never_nan(dtype, name, y, first, second):
    labels = () if y is None else (y,)
    z = jnp.asarray(SPECIAL_Z, dtype)

    def f(x):
        return FUNCTIONS[name](x, *labels)

    ones = jnp.ones_like(z)
    once = {
        "grad": jax.vmap(jax.grad(f)),
        "grad of jit": jax.vmap(jax.grad(jax.jit(f))),
        "forward": lambda z: jax.jvp(f, (z,), (ones,))[1],
        "under remat": jax.vmap(jax.grad(jax.checkpoint(f))),
    }
    twice = {
        "grad of grad": jax.vmap(jax.grad(jax.grad(f))),
        "forward over reverse": lambda z: jax.jvp(jax.vmap(jax.grad(f)), (z,), (ones,))[1],
        "reverse over forward": jax.vmap(jax.grad(lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1])),
    }
    for roads, expected in ((once, first), (twice, second)):
        for road, derivative in roads.items() if dtype == "float32" else list(roads.items())[:1]:
            actual = np.asarray(jax.jit(derivative)(z))
            assert actual.dtype == z.dtype
            np.testing.assert_array_equal(_wide(actual), np.array(expected, float), err_msg=road)


@pytest.mark.slow
@each_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_at_plus_and_minus_forty_keep_their_digits(case, dtype):
    z = np.array([-40.0, 40.0], dtype)
    exact, tail = _mp_table(case.mp_first, z)
    assert_within_ulp(_derivative(case.function)(z), exact, case.first_bar, at=z, tail=tail)
    assert np.all(np.isfinite(np.asarray(_derivative(case.function, 2)(z))))


@pytest.mark.slow
@each_dtype
def test_derivatives_in_the_label(dtype):
    z = jnp.asarray([-INF, -40.0, -1.0, 0.0, 1.0, 40.0, INF] * 3, dtype)
    label = jnp.repeat(jnp.asarray([0.0, 0.25, 1.0], dtype), 7)
    ones = np.asarray(jnp.ones_like(z))
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.grad(logistic_loss, argnums=1)))(z, label), np.asarray(-z))
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.grad(residual, argnums=1)))(z, label), -ones)
    mixed = jax.grad(jax.grad(logistic_loss, argnums=1), argnums=0), jax.grad(jax.grad(logistic_loss, argnums=0), argnums=1)
    for derivative in mixed:
        np.testing.assert_array_equal(jax.jit(jax.vmap(derivative))(z, label), -ones)


def test_both_derivatives_at_once_equal_each_alone():
    z, y = np.array([-3.0, 0.5, 20.0]), np.array([0.0, 0.3, 1.0])
    for f in (logistic_loss, residual):
        both = jax.vmap(jax.grad(f, argnums=(0, 1)))(z, y)
        alone = [jax.vmap(jax.grad(f, argnums=i))(z, y) for i in (0, 1)]
        for b, a in zip(both, alone, strict=True):
            np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("y", [np.int32(1), np.bool_(True), np.float16(1)])
def test_labels_of_any_type_have_the_same_derivative_in_the_logit(y):
    z = np.array([-INF, -1000, 0, 1000, INF], np.float32)
    expected = np.array([-1, -1, -0.5, 0, 0], np.float32)
    np.testing.assert_array_equal(jax.vmap(jax.grad(logistic_loss), in_axes=(0, None))(z, y), expected)


# --- Properties ---------------------------------------------------------------------------------------------------------


@each_half
def test_sigmoid_is_monotone_and_in_the_unit_interval_over_every_16_bit_number(dtype):
    z = _all_16_bit(dtype)
    z = np.sort(z[~np.isnan(z.astype(np.float32))].astype(np.float32)).astype(dtype)
    s = np.asarray(jax.jit(sigmoid)(z)).astype(np.float32)
    assert np.all(np.diff(s) >= 0)
    assert s[0] == 0
    assert s[-1] == 1


def _numbers(dtype):
    return hnp.arrays(dtype, (16,), elements=st.floats(allow_nan=False, width=32 if dtype == "float32" else 64))


each_width = pytest.mark.parametrize("dtype", ["float32", "float64"])
_sigmoid, _loss, _residual, _curvature = map(jax.jit, (sigmoid, logistic_loss, residual, curvature))


def test_sigmoid_grows_between_neighbouring_float32():
    # NUMERICS: measured for every float32 on CPU, which -m slow repeats; not promised for float64.
    for x in np.array([-80, -20, -3, -0.4, 0.1, 1, 9, 16], np.float32):
        z = np.sort(x + np.arange(4000, dtype=np.float32) * np.spacing(x))
        assert np.all(np.diff(np.asarray(_sigmoid(z))) >= 0)


def test_sigmoid_and_loss_keep_the_laws_that_others_are_asked_for():
    """Bounds, tails, symmetry, limits and convexity, to 4 of the 8 eps that others are allowed."""
    for sigmoid_of in (sigmoid, _sigmoid):
        assert max(check_bounds_of_sigmoid(sigmoid_of).values()) <= BAR["float64"]
    for loss_of in (logistic_loss, _loss):
        assert max(check_limits_of_loss(loss_of).values()) <= BAR["float64"]


@each_width
@given(data=st.data(), y=st.floats(0, 1, width=16))
def test_loss_is_never_negative_and_residual_lies_between_the_labels(dtype, data, y):
    z = data.draw(_numbers(dtype))
    label = np.full((), y, dtype)
    assert np.all(np.asarray(_loss(z, label)) >= 0)
    r = np.asarray(_residual(z, label))
    assert np.all((r >= -y) & (r <= 1 - label))


@each_dtype
def test_opposite_labels_are_symmetric_bit_for_bit(dtype):
    z = {"float32": _sample_32_bit, "float64": _sample_64_bit}.get(dtype, lambda: _all_16_bit(jnp.dtype(dtype)))()
    z = z[~np.isnan(_wide(z))]
    one, zero = (np.ones((), np.float32), np.zeros((), np.float32))
    np.testing.assert_array_equal(np.asarray(_residual(z, one)), -np.asarray(_residual(-z, zero)))
    np.testing.assert_array_equal(np.asarray(_loss(z, one)), np.asarray(_loss(-z, zero)))


@each_dtype
def test_curvature_is_even_bit_for_bit_and_at_most_a_quarter_to_rounding(dtype):
    z = {"float32": _sample_32_bit, "float64": _sample_64_bit}.get(dtype, lambda: _all_16_bit(jnp.dtype(dtype)))()
    z = z[~np.isnan(_wide(z))]
    c = np.asarray(_curvature(z))
    np.testing.assert_array_equal(c, np.asarray(_curvature(-z)))
    assert np.all(_wide(c) <= 0.25 * (1 + tolerance(dtype, 1)))


@pytest.mark.slow
@each_width
def test_log_sigmoid_is_minus_the_loss_of_label_one(dtype):
    z = _sample_64_bit()
    z = z[np.abs(z) < float(jnp.finfo(dtype).max)].astype(dtype)
    np.testing.assert_allclose(log_sigmoid(z), -logistic_loss(z, 1), rtol=tolerance(dtype, 4))


# --- Types and shapes ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@each_dtype
@each_function
def test_the_dtype_of_the_logit_is_kept_whatever_the_label_is(dtype, name):
    z = jnp.asarray([-1.0, 0.0, 2.0], dtype)
    labels = [()] if name in ("sigmoid", "log_sigmoid", "curvature") else [(True,), (np.float64(0.5),)]
    for label in labels:
        slope = jax.vmap(jax.grad(FUNCTIONS[name]), in_axes=(0, *(None for _ in label)))
        for f in (FUNCTIONS[name], jax.jit(FUNCTIONS[name]), jax.jit(slope)):
            assert f(z, *label).dtype == z.dtype


@pytest.mark.slow
@each_function
@pytest.mark.parametrize("z", [np.array([0, 1, 3], np.int32), np.array([0, 1, 3], np.uint8), np.array([False, True]), 2, True])
def test_integers_and_booleans_are_the_same_numbers_in_the_default_float(name, z):
    labels = () if name in ("sigmoid", "log_sigmoid", "curvature") else (1,)
    actual, expected = FUNCTIONS[name](z, *labels), FUNCTIONS[name](np.asarray(z, np.float64), *labels)
    assert actual.dtype == jnp.float64
    np.testing.assert_array_equal(actual, expected)
    with jax.enable_x64(False):
        assert FUNCTIONS[name](z, *labels).dtype == jnp.float32


@each_function
def test_python_scalars_give_scalars(name):
    labels = () if name in ("sigmoid", "log_sigmoid", "curvature") else (0.25,)
    actual = FUNCTIONS[name](0.5, *labels)
    assert actual.shape == ()
    assert actual.dtype == jnp.float64


@each_function
@pytest.mark.parametrize("z", [1j, np.array([1 + 0j]), "1", np.array(["a"])], ids=repr)
def test_complex_numbers_and_strings_raise_type_error(name, z):
    labels = () if name in ("sigmoid", "log_sigmoid", "curvature") else (1,)
    with pytest.raises(TypeError):
        FUNCTIONS[name](z, *labels)
    if labels:
        with pytest.raises(TypeError):
            FUNCTIONS[name](np.zeros(1), z)


@pytest.mark.slow
@pytest.mark.parametrize("f", [logistic_loss, residual])
def test_labels_and_logits_broadcast(f):
    z, y = np.linspace(-2, 2, 6).reshape(3, 2), np.array([0.0, 1.0])
    assert f(z, y).shape == (3, 2)
    assert f(z[:, :1], y).shape == (3, 2)
    assert f(0.0, y).shape == (2,)
    np.testing.assert_array_equal(f(z, y)[1], f(z[1], y))
    with pytest.raises(ValueError, match="shape"):
        f(z, np.zeros(3))


# --- The numbers of the tutorials ---------------------------------------------------------------------------------------

# from mpmath import mp, mpf, log1p, exp; mp.dps = 40
# for z in (-50, -35, 0, 20, 35, 40, 45): print(z, float(log1p(exp(mpf(z)))))
TUTORIAL_LOSSES = {
    -50.0: 1.9287498479639178e-22,
    -35.0: 6.305116760146987e-16,
    0.0: 0.6931471805599453,
    20.0: 20.000000002061153,
    35.0: 35.0,
    40.0: 40.0,
    45.0: 45.0,
}


def test_losses_of_the_tutorial_are_right_to_the_bar():
    z = np.array(list(TUTORIAL_LOSSES))
    actual = jax.vmap(logistic_loss, in_axes=(0, None))(z, 0)
    np.testing.assert_allclose(actual, list(TUTORIAL_LOSSES.values()), rtol=tolerance(np.float64, BAR["float64"]))
    np.testing.assert_array_equal(actual[-3:], z[-3:])


def test_the_first_loss_of_the_tutorial():
    np.testing.assert_allclose(logistic_loss(25.0, 0.0), 25.000000000013888, rtol=tolerance(np.float64, 1))
