"""A scaler is fitted once and carried to new data; constants survive; parameters come back to the original columns."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr.preprocessing import Scaler, fit_scaler, standardize, unscale_params

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps


@pytest.mark.slow
def test_standardized_columns_have_mean_zero_and_standard_deviation_one():
    X = np.random.default_rng(0).normal(5, 3, (40, 3))
    Z = np.asarray(standardize(X, fit_scaler(X)))
    assert np.abs(Z.mean(0)).max() <= 40 * EPS
    assert np.abs(Z.std(0) - 1).max() <= 40 * EPS


@pytest.mark.slow
def test_a_weight_k_equals_the_row_k_times_and_weight_zero_a_missing_row():
    rng = np.random.default_rng(1)
    X, s = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    X[s == 0] = 1e200
    weighted, repeated = fit_scaler(X, s), fit_scaler(np.repeat(X, s, axis=0))
    for one, other in zip(weighted, repeated, strict=True):
        assert np.allclose(one, other, rtol=40 * EPS, atol=40 * EPS)


@pytest.mark.slow
def test_a_constant_column_becomes_zero():
    X = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    scaler = fit_scaler(X)
    assert np.asarray(scaler.scale)[0] == 1
    assert np.array_equal(np.asarray(standardize(X, scaler))[:, 0], np.zeros(7))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_no_unit_overflows_or_vanishes(dtype, unit):
    X = (np.array([[0.0], [1.0], [2.0]]) * unit).astype(dtype)
    Z = np.asarray(standardize(X, fit_scaler(X)))
    assert Z.dtype == dtype
    assert np.allclose(Z[:, 0], np.sqrt(1.5) * np.array([-1, 0, 1]), rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.slow
@given(st.integers(0, 2**31 - 1))
def test_unscaled_parameters_give_the_same_logits(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(3, 2, (15, 4))
    scaler = fit_scaler(X)
    params = jaxlr.Params(rng.normal(size=(2, 4)), rng.normal(size=2))
    standardized = np.asarray(jaxlr.logits(params, standardize(X, scaler)))
    original = np.asarray(jaxlr.logits(unscale_params(params, scaler), X))
    assert np.allclose(standardized, original, rtol=0, atol=200 * EPS * np.abs(standardized).max())


def test_a_constant_column_has_scale_one_and_weights_near_the_largest_are_weights():
    X = np.column_stack([np.full(4, 0.1), [0.0, 1.0, 2.0, 9.0]])
    scaler = jax.jit(fit_scaler)(X, np.array([1, 1, 1, 0]) * np.finfo(float).max)
    np.testing.assert_allclose(scaler.mean, [0.1, 1.0], rtol=4 * EPS)
    np.testing.assert_allclose(scaler.scale, [1.0, np.sqrt(2 / 3)], rtol=4 * EPS)


def test_new_data_use_the_old_scaler():
    scaler = Scaler(np.array([1.0]), np.array([2.0]))
    assert np.asarray(standardize(np.array([[5.0]]), scaler)).item() == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.array([[1.0], [np.nan]]),), None),
        ((np.zeros((0, 2)),), "at least one row"),
        ((np.arange(3.0),), "at least 2 axes"),
        ((np.zeros((2, 3, 2)),), "jax.vmap"),
        ((np.ones((2, 1)), [1.0, -1.0]), "sample_weight >= 0"),
        ((np.ones((2, 1)), [0.0, 0.0]), "all 0"),
    ],
)
def test_what_cannot_be_scaled_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message or "finite X"):
        fit_scaler(*arguments)


def test_a_scaler_of_other_columns_is_refused():
    with pytest.raises(ValueError, match="columns of the scaler"):
        standardize(np.ones((2, 1)), fit_scaler(np.arange(6.0).reshape(2, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_and_weights_near_the_largest_are_scaled(dtype):
    largest = np.finfo(dtype).max
    units = np.array([[1, 1], [-1, 0.5], [-1, 1]])
    scaler = fit_scaler((units * largest).astype(dtype), np.full(3, largest, dtype))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(scaler.mean) / largest, units.mean(0), rtol=0, atol=4 * eps)
    np.testing.assert_allclose(np.asarray(scaler.scale) / largest, units.std(0), rtol=8 * eps)
    Z = np.asarray(standardize((units * largest).astype(dtype), scaler))
    np.testing.assert_allclose(Z, (units - units.mean(0)) / units.std(0), rtol=0, atol=16 * eps)


def test_weights_that_are_traced_and_all_zero_give_nan():
    scaler = jax.jit(fit_scaler)(np.ones((2, 1)), np.zeros(2))
    assert np.isnan(scaler.mean).all()
    assert np.isnan(scaler.scale).all()


SCALER = Scaler(np.zeros(2), np.ones(2))
BATCH = Scaler(np.zeros((3, 2)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: standardize(np.ones((3, 4, 2)), SCALER), "map with jax.vmap"),
        (lambda: standardize(np.ones((4, 2)), BATCH), "map with jax.vmap"),
        (lambda: standardize(np.ones((4, 2)), Scaler(np.zeros(2), np.ones(1))), "columns of the scaler"),
        (lambda: unscale_params(jaxlr.Params(np.ones((3, 2)), np.ones(3)), BATCH), "map with jax.vmap"),
        (lambda: unscale_params(jaxlr.Params(np.ones(1), np.array(0.0)), SCALER), "columns of the scaler"),
        (lambda: unscale_params(jaxlr.Params(np.ones((3, 2)), np.ones(2)), SCALER), "intercept"),
    ],
)
def test_batch_axes_and_other_lengths_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float32, 1e-36), (np.float32, 3e-36), (np.float64, 3e-307), (np.float64, 1e-306)]
)
def test_numbers_near_the_least_keep_their_digits(dtype, scale):
    rng = np.random.default_rng(0)
    X = (rng.choice([-1, 1], (60, 1)) * rng.uniform(0.5, 1, (60, 1)) * scale).astype(dtype)  # no number is subnormal itself
    exact = X.astype(np.longdouble)
    scaler = fit_scaler(X)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(scaler.scale) / scale, np.float64(exact.std(0) / scale), rtol=0.3 * 60 * eps)
    np.testing.assert_allclose(np.asarray(scaler.mean) / scale, np.float64(exact.mean(0) / scale), rtol=0, atol=60 * eps)
