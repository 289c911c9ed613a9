"""A scaler is fitted once and carried to new data; constants survive; parameters come back to the original columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr.preprocessing import Scaler, fit_scaler, standardize, unscale_params

EPS = np.finfo(np.float64).eps


def test_standardized_columns_have_mean_zero_and_standard_deviation_one():
    X = np.random.default_rng(0).normal(5, 3, (40, 3))
    Z = np.asarray(standardize(X, fit_scaler(X)))
    assert np.abs(Z.mean(0)).max() <= 40 * EPS
    assert np.abs(Z.std(0) - 1).max() <= 40 * EPS


def test_a_weight_k_equals_the_row_k_times_and_weight_zero_a_missing_row():
    rng = np.random.default_rng(1)
    X, s = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    X[s == 0] = 1e200
    weighted, repeated = fit_scaler(X, s), fit_scaler(np.repeat(X, s, axis=0))
    for one, other in zip(weighted, repeated, strict=True):
        assert np.allclose(one, other, rtol=40 * EPS, atol=40 * EPS)


def test_a_constant_column_becomes_zero():
    X = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    scaler = fit_scaler(X)
    assert np.asarray(scaler.scale)[0] == 1
    assert np.array_equal(np.asarray(standardize(X, scaler))[:, 0], np.zeros(7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_no_unit_overflows_or_vanishes(dtype, unit):
    X = (np.array([[0.0], [1.0], [2.0]]) * unit).astype(dtype)
    Z = np.asarray(standardize(X, fit_scaler(X)))
    assert Z.dtype == dtype
    assert np.allclose(Z[:, 0], np.sqrt(1.5) * np.array([-1, 0, 1]), rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@given(st.integers(0, 2**31 - 1))
def test_unscaled_parameters_give_the_same_logits(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(3, 2, (15, 4))
    scaler = fit_scaler(X)
    params = jaxlr.Params(rng.normal(size=(2, 4)), rng.normal(size=2))
    standardized = np.asarray(jaxlr.logits(params, standardize(X, scaler)))
    original = np.asarray(jaxlr.logits(unscale_params(params, scaler), X))
    assert np.allclose(standardized, original, rtol=0, atol=200 * EPS * np.abs(standardized).max())


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
