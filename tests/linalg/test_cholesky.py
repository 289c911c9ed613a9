"""Cholesky factors written out: LAPACK's, mapped or not, and not finite where the matrix is not definite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.linalg import cholesky as factors

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def written_out(monkeypatch):
    monkeypatch.setattr(factors, "_share_a_pool", lambda: True)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 7])
def test_factors_and_solutions_are_those_of_lapack(k):
    rng = np.random.default_rng(10)
    H = rng.standard_normal((5, k, k + 2))
    H, b = H @ H.transpose(0, 2, 1), rng.standard_normal((5, k, 2))
    L = np.asarray(jax.vmap(factors.cholesky)(np.tril(H)))  # the upper triangle is not read
    expected = np.linalg.cholesky(H)
    np.testing.assert_allclose(L, expected, rtol=0, atol=100 * EPS * np.max(np.abs(H), initial=1))
    for transposed in (False, True):
        x = np.asarray(jax.vmap(lambda L, b, t=transposed: factors.solve(L, b, t))(expected, b))
        A = expected.transpose(0, 2, 1) if transposed else expected
        np.testing.assert_allclose(np.einsum("ijk,ikr->ijr", A, x), b, rtol=0, atol=1e4 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 7])
def test_the_inverse_of_a_factor_is_lower_triangular_and_undoes_it(k):
    rng = np.random.default_rng(10)
    L = np.tril(rng.standard_normal((k, k))) + 3 * np.eye(k)
    inverse = np.asarray(factors.inverse(jnp.asarray(L)))
    assert not np.triu(inverse, 1).any()
    np.testing.assert_allclose(inverse @ L, np.eye(k), rtol=0, atol=100 * k * EPS)


def test_what_is_not_definite_is_not_finite():
    assert not np.isfinite(np.asarray(factors.cholesky(jnp.asarray([[1.0, 2.0], [2.0, 1.0]])))).all()


def test_the_root_of_an_inverse_is_nan_where_rounding_alone_keeps_a_matrix_definite():
    near = [[1, 1], [1, 1 + 8 * EPS]]  # (1, -1) has a curvature of 8 eps, as any sum of products may have
    root, none = np.asarray(jax.jit(jax.vmap(factors.inverse_root))(jnp.asarray([[[2, 1], [1, 2]], near])))
    np.testing.assert_allclose(root.T @ root, np.array([[2, -1], [-1, 2]]) / 3, rtol=16 * EPS)
    assert np.isnan(none).all()
