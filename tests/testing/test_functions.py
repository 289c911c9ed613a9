"""Checks of the sigmoid and of the loss: sound ones of others pass (ours in tests/model), and each mistake is named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

import jaxlr
from jaxlr.testing import check_bounds_of_sigmoid, check_limits_of_loss

pytestmark = pytest.mark.usefixtures("optimized")


@pytest.mark.slow
@pytest.mark.parametrize("sigmoid", [jax.nn.sigmoid, scipy.special.expit, lambda z: 1 / (1 + np.exp(-z))])
def test_sound_sigmoids_of_others_pass(sigmoid):
    check_bounds_of_sigmoid(sigmoid)


@pytest.mark.slow
def test_a_sound_loss_of_another_passes():
    check_limits_of_loss(lambda z, y: y * np.logaddexp(0, -z) + np.where(y < 1, (1 - y) * np.logaddexp(0, z), 0) if y.min() > 0
                         else np.logaddexp(0, z))  # fmt: skip


WRONG_SIGMOIDS = {
    "exponential of either sign": (lambda z: np.exp(z) / (1 + np.exp(z)), "NaN or infinity"),
    "without tails": (lambda z: np.tanh(z / 2) / 2 + z.dtype.type(0.5), "tail"),
    "clipped": (lambda z: np.clip(jaxlr.sigmoid(z), z.dtype.type(1e-6), z.dtype.type(1 - 1e-6)), "tail"),
    "over 1": (lambda z: np.asarray(jaxlr.sigmoid(z)) * z.dtype.type(1.001), "1/2 at 0|outside"),
    "probit": (scipy.special.ndtr, "tail|derivative"),
    "steeper": (lambda z: np.asarray(jaxlr.sigmoid(z * z.dtype.type(1.001))), "tail|exp"),
    "falling": (lambda z: np.asarray(jaxlr.sigmoid(-z)), "falls"),
    "shifted": (lambda z: np.asarray(jaxlr.sigmoid(z + z.dtype.type(0.01))), "1/2 at 0"),
    "another dtype": (lambda z: np.asarray(jaxlr.sigmoid(z)).astype(np.float16), "float16"),
    "nan lost": (lambda z: np.nan_to_num(np.asarray(jaxlr.sigmoid(z))), "-inf, inf and NaN"),
}


@pytest.mark.parametrize("name", WRONG_SIGMOIDS)
def test_a_wrong_sigmoid_is_named(name):
    sigmoid, words = WRONG_SIGMOIDS[name]
    with pytest.raises(AssertionError, match=rf"check_bounds_of_sigmoid.*({words})"):
        check_bounds_of_sigmoid(sigmoid)


WRONG_LOSSES = {
    "overflow": (lambda z, y: np.log1p(np.exp(z)) - y * z, "NaN or infinity"),
    "logarithms of probabilities": (
        lambda z, y: -y * np.log(jaxlr.sigmoid(z)) - (1 - y) * np.log1p(-np.asarray(jaxlr.sigmoid(z))), "NaN or infinity"
    ),
    "NaN where an infinite logit is right": (optax.sigmoid_binary_cross_entropy, "expected the limits"),
    "clipped": (lambda z, y: jaxlr.logistic_loss(jnp.clip(z, -30, 30), y), "convex|far from 0"),
    "bits": (lambda z, y: np.asarray(jaxlr.logistic_loss(z, y)) / z.dtype.type(np.log(2)), "NaN or infinity"),
    "hinge": (lambda z, y: np.maximum(0, 1 - (2 * y - 1) * z), "log 2"),
    "without its label": (lambda z, y: np.logaddexp(z.dtype.type(0), z), "1 - y"),
    "negative": (lambda z, y: np.asarray(jaxlr.logistic_loss(z, y)) - z.dtype.type(0.01), ">= 0"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG_LOSSES)
def test_a_wrong_loss_is_named(name):
    loss, words = WRONG_LOSSES[name]
    with pytest.raises(AssertionError, match=rf"check_limits_of_loss.*({words})"):
        check_limits_of_loss(loss)
