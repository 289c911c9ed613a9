"""Moments of columns under many weights at once are those of the columns, also where a mean square has lost their digits."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.linalg.moments import column_moments, moments_of_lanes

pytestmark = pytest.mark.usefixtures("x64")


def test_deviations_are_right_to_four_digits_however_small_beside_the_mean():
    rng = np.random.default_rng(0)
    noise, w = rng.standard_normal((50, 2)), rng.random((3, 50))
    w /= w.sum(axis=1, keepdims=True)
    columns = np.array([0.0, 1.0]) + noise * [1.0, 1e-7]  # 1e-14 of the mean square of the second is its variance
    mean, sd = moments_of_lanes(jnp.asarray(columns), jnp.asarray(w), 2)
    centred = columns - np.array([0.0, 1.0])
    wanted = np.sqrt(w @ centred**2 - (w @ centred) ** 2)
    np.testing.assert_allclose(mean, w @ columns, rtol=0, atol=4 * np.finfo(float).eps)
    np.testing.assert_allclose(sd, wanted, rtol=1e-4)


@pytest.mark.parametrize("on", [np.asarray, jnp.asarray], ids=["NumPy", "JAX"])
def test_moments_of_many_rows_of_float32_keep_their_digits(on):
    rng = np.random.default_rng(0)
    X = np.stack([rng.random(1_000_003), rng.random(1_000_003) < 0.02], axis=1).astype(np.float32)
    mean, sd = column_moments(on(X), on(np.full(len(X), 1 / len(X), np.float32)))
    # Blocks of 1,024 terms, and their 976 sums: added one after the other, 1e6 terms are off by 1e-4 and more.
    np.testing.assert_allclose(sd, X.astype(float).std(axis=0), rtol=128 * np.finfo(np.float32).eps)
    np.testing.assert_allclose(mean, X.astype(float).mean(axis=0), rtol=0, atol=128 * np.finfo(np.float32).eps)
