"""The factor of the columns in use: its solves against NumPy's, for one matrix and for many side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.linalg.blocked import factor, nothing, solve

pytestmark = pytest.mark.usefixtures("x64")

EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(0)


def matrices(count, k, used):
    """Of condition numbers under 100, the identity in all columns but the last ones."""
    A = RNG.standard_normal((count, 2 * used, used)) / np.sqrt(2 * used)
    H = np.tile(np.eye(k), (count, 1, 1))
    H[:, k - used :, k - used :] = np.swapaxes(A, 1, 2) @ A + 0.1 * np.eye(used)
    b = np.zeros((count, k))
    b[:, k - used :] = RNG.standard_normal((count, used))
    return jnp.asarray(H), jnp.asarray(b)


@pytest.mark.slow
@pytest.mark.parametrize(("k", "used"), [(5, 5), (256, 40), (257, 257), (300, 129), (512, 512), (700, 1), (700, 500)])
def test_solves_are_those_of_numpy(k, used):
    H, b = matrices(3, k, used)
    expected = np.linalg.solve(H, b[..., None])[..., 0]
    answer = lambda H, b, used: solve(factor(H, used), b)  # noqa: E731
    one = np.stack([jax.jit(answer)(*pair, jnp.int32(used)) for pair in zip(H, b, strict=True)])
    many = np.asarray(jax.jit(jax.vmap(answer, (0, 0, None)))(H, b, jnp.int32(used)))
    for got in (one, many):
        np.testing.assert_allclose(got, expected, rtol=0, atol=100 * k * EPS * np.abs(expected).max())
        assert not got[:, : k - used].any()


@pytest.mark.parametrize("k", [40, 300])
def test_a_factor_has_the_shape_of_none(k):
    H, _ = matrices(1, k, k)
    none, found = nothing(k, H.dtype), jax.jit(factor)(H[0], jnp.int32(k))
    assert jax.tree.map(jnp.shape, none) == jax.tree.map(jnp.shape, found)
    assert jax.tree.map(lambda leaf: leaf.dtype, none) == jax.tree.map(lambda leaf: leaf.dtype, found)


@pytest.mark.slow
@pytest.mark.parametrize("k", [40, 300])
def test_what_is_not_definite_is_not_finite(k):
    H, b = matrices(1, k, k)
    found = jax.jit(lambda H, b: solve(factor(H, jnp.int32(k)), b))(H[0] - 3 * jnp.eye(k), b[0])
    assert not np.isfinite(found).all()
