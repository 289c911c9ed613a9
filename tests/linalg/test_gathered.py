"""Gathered columns against the same numbers in NumPy: products of all of them, Gram matrices of those in use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.linalg.dot import times
from jaxlr.linalg.gathered import Gathered

pytestmark = pytest.mark.usefixtures("x64")

EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(0)
M, K = 50, 150  # no multiple of the blocks, so that the first one overlaps the second
ROWS = RNG.standard_normal((K, M))
D = RNG.uniform(size=(3, M))


@pytest.mark.parametrize("used", [1, 64, 65, 100, 149, 150, 400])
def test_the_gram_matrix_of_the_columns_in_use_is_that_of_numpy(used):
    got = np.asarray(jax.jit(lambda used: Gathered(jnp.asarray(ROWS), used).gram(jnp.asarray(D[0])))(used))
    expected = (ROWS * D[0]) @ ROWS.T
    last = max(K - used, 0)
    np.testing.assert_allclose(got[last:, last:], expected[last:, last:], rtol=0, atol=M * EPS * np.abs(expected).max())
    np.testing.assert_array_equal(got, got.T)
    assert used > 64 or not got[: K - 64].any()  # nothing was formed there


def test_of_many_models_each_has_its_own_weights_and_columns():
    rows = RNG.standard_normal((3, K, M))
    got = jax.vmap(lambda rows, d: Gathered(rows, jnp.int32(K)).gram(d))(jnp.asarray(rows), jnp.asarray(D))
    expected = np.einsum("lim,lm,ljm->lij", rows, D, rows)
    np.testing.assert_allclose(got, expected, rtol=0, atol=M * EPS * np.abs(expected).max())
    pairs = Gathered(jnp.asarray(ROWS), jnp.int32(K)).gram(jnp.asarray(D))
    np.testing.assert_allclose(pairs, np.einsum("im,lm,jm->lij", ROWS, D, ROWS), rtol=0, atol=M * EPS * np.abs(expected).max())


@pytest.mark.parametrize("lead", [(), (4,)])
def test_products_are_those_of_numpy(lead):
    A = Gathered(jnp.asarray(ROWS), jnp.int32(7))
    v, r = RNG.standard_normal((*lead, K)), RNG.standard_normal((*lead, M))
    assert A.shape == (M, K)
    np.testing.assert_allclose(A.times(jnp.asarray(v)), v @ ROWS, rtol=0, atol=K * EPS * 10)
    np.testing.assert_allclose(A.transposed_times(jnp.asarray(r)), r @ ROWS.T, rtol=0, atol=M * EPS * 10)
    np.testing.assert_allclose(times(jnp.asarray(ROWS), jnp.asarray(r)), r @ ROWS.T, rtol=0, atol=M * EPS * 10)


def test_one_vector_asks_for_no_transposed_copy():
    text = jax.jit(times).lower(jnp.asarray(ROWS), jnp.ones(M)).as_text()
    assert "dot_general" in text
    assert "transpose" not in text
