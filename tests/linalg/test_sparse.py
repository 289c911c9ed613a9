"""Sparse matrices are the matrices that they stand for: products, moments, some of their columns, derivatives, platforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax import export
from jax.experimental.sparse import BCSR

from jaxlr.inputs.sparse import sparse_design, to_dense
from jaxlr.linalg.csr import product
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.operators import Standardized
from jaxlr.linalg.sparse import Sparse, from_entries

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 70, 41
EPS = np.finfo(np.float64).eps
DENSE = RNG.standard_normal((M, N)) * (RNG.random((M, N)) < 0.15)
DENSE[:, 3] = 0
DENSE[5] = 0
DENSE[:, 7] = 2.5  # constant, and no place empty
SPARSE = jax.device_put(sparse_design(scipy.sparse.csr_array(DENSE)))
V, R = RNG.standard_normal((3, 2, N)), RNG.standard_normal((3, 2, M))
MOST = 16 * EPS * M  # sums of up to M numbers near 1


def close(a, b, atol=MOST):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=atol)


def test_products_of_one_vector_of_several_and_of_lanes_of_several():
    close(SPARSE.times(jnp.asarray(V[0, 0])), DENSE @ V[0, 0])
    close(SPARSE.times(jnp.asarray(V[0])), V[0] @ DENSE.T)
    close(jax.jit(jax.vmap(SPARSE.times))(jnp.asarray(V)), V @ DENSE.T)
    close(jax.vmap(jax.vmap(SPARSE.transposed_times), in_axes=1, out_axes=1)(jnp.asarray(R)), R @ DENSE)
    close(SPARSE.squares_times(jnp.asarray(R)), R @ DENSE**2)
    many = RNG.standard_normal((150, N))  # in blocks
    close(SPARSE.times(jnp.asarray(many)), many @ DENSE.T)


def test_many_models_are_one_product_of_the_kernel():
    text = jax.jit(jax.vmap(SPARSE.times)).lower(jnp.ones((5, N))).as_text()
    if jax.default_backend() == "cpu":
        assert text.count("cpu_csr_sparse_dense_ffi") == 1
        assert f"tensor<{N}x8xf64>" in text  # filled up to whole packets


def test_a_product_is_linear_in_the_numbers_of_the_matrix_too():
    v = jnp.asarray(V[0, 0])
    of_data = lambda data: product(SPARSE.rows._replace(data=data), SPARSE.columns, v)  # noqa: E731
    moved = jax.jit(lambda data: jax.jvp(of_data, (data,), (3 * data,))[1])(SPARSE.rows.data)
    close(moved, 3 * DENSE @ V[0, 0])


@pytest.mark.slow
def test_derivatives_forward_reverse_and_of_both_in_the_vector_and_in_the_numbers():
    def plain(data, v):
        A = jnp.zeros((M, N)).at[SPARSE.rows.row_of_entries(), SPARSE.rows.indices].set(data)
        return jnp.sum(jnp.tanh(A @ v) ** 2)

    def of_entries(data, v):
        X = from_entries(data, SPARSE.rows.row_of_entries(), SPARSE.rows.indices, (M, N))
        return jnp.sum(jnp.tanh(X.times(v)) ** 2) + jnp.sum(X.transposed_times(jnp.zeros(M)))

    at = SPARSE.rows.data, jnp.asarray(V[0, 0])
    for derivative in (jax.grad(of_entries, (0, 1)), jax.jacfwd(of_entries, (0, 1))):
        for one, other in zip(derivative(*at), jax.grad(plain, (0, 1))(*at), strict=True):
            close(one, other, 10 * MOST)
    close(jax.hessian(of_entries, 1)(*at), jax.hessian(plain, 1)(*at), 10 * MOST)


def test_matrices_that_differ_are_multiplied_one_after_the_other():
    def of(scale):
        X = SPARSE.with_data(lambda data: scale * data)
        return product(X.rows, X.columns, jnp.asarray(V[0, 0]))

    close(jax.vmap(of)(jnp.array([1.0, 2.0])), np.stack([DENSE @ V[0, 0], 2 * DENSE @ V[0, 0]]))


def test_entries_in_any_order_with_duplicates_and_fillers():
    rows, columns, data = np.array([2, 0, 2, 9, 1]), np.array([1, 2, 1, 0, 9]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = jax.jit(from_entries, static_argnums=3)(data, rows.astype(np.int32), columns.astype(np.int32), (3, 3))
    assert found.to_array().tolist() == [[0, 0, 2], [0, 0, 0], [0, 4, 0]]
    assert found.squares_times(jnp.ones(3)).tolist() == [0, 16, 4]  # a square of the sum


@pytest.mark.slow
def test_moments_are_those_of_the_array_and_exactly_0_in_constant_columns():
    w = RNG.random((4, M)) * (RNG.random((4, M)) < 0.7)
    w[1] = np.arange(M) == 9  # one row
    w[2, DENSE[:, 0] == 0] = 0  # a column without zeros there
    w = w / w.sum(axis=1, keepdims=True)
    array = Dense(jnp.asarray(DENSE))
    for own in w:
        for one, other in zip(SPARSE.moments(jnp.asarray(own)), array.moments(jnp.asarray(own)), strict=True):
            close(one, other)
    assert np.all(np.asarray(SPARSE.moments(jnp.asarray(w[1]))[1]) == 0)
    assert np.all(np.asarray(SPARSE.moments(jnp.asarray(w[0]))[1])[[3, 7]] == 0)
    mean, sd = SPARSE.moments_of_lanes(jnp.asarray(w))
    close(mean, w @ DENSE)
    close(sd, np.stack([np.asarray(array.moments(jnp.asarray(own))[1]) for own in w]))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2.0**600, 2.0**-600])
def test_moments_neither_overflow_nor_vanish(scale):
    w = jnp.full(M, 1 / M)
    for one, other in zip(SPARSE.with_data(lambda data: data * scale).moments(w), SPARSE.moments(w), strict=True):
        close(np.asarray(one) / scale, other)


@pytest.mark.slow
def test_some_columns_with_their_empty_places():
    at = jnp.array([7, 0, 12, 3], np.int32)
    close(SPARSE.restricted(at).to_array(), DENSE[:, np.asarray(at)], 0)
    close(SPARSE.gather(jnp.array([N, 2], np.int32)), np.stack([np.zeros(M), DENSE[:, 2]]), 0)
    close(to_dense(SPARSE), DENSE, 0)


@pytest.mark.slow
def test_padding_changes_nothing():
    host = sparse_design(scipy.sparse.csr_array(DENSE))
    padded = jax.device_put(host.padded(M + 3, N + 2, host.num_entries + 10))
    assert padded.shape == (M + 3, N + 2)
    close(padded.to_array()[:M, :N], DENSE, 0)
    w = jnp.asarray(np.pad(np.full(M, 1 / M), (0, 3)))
    for one, other in zip(padded.moments(w), SPARSE.moments(w[:M]), strict=True):
        close(one[:N], other)
        assert np.all(np.asarray(one[N:]) == 0)


@pytest.mark.slow
@pytest.mark.parametrize("ones", [0, 1])
def test_a_standardized_sparse_design_is_that_of_the_array(ones):
    center, unit = jnp.asarray(RNG.standard_normal(N)), jnp.asarray(RNG.random(N) + 0.5)
    A = Standardized(SPARSE, center, unit.at[3].set(jnp.inf), jnp.ones(ones))
    columns = (DENSE - np.asarray(center)) / np.asarray(A.unit)
    dense = np.hstack([columns, np.ones((M, ones))])
    v, r, d = V[0] @ np.eye(N, N + ones), R[0], RNG.random(M)
    close(A.to_array(), dense)
    close(A.times(jnp.asarray(v)), v @ dense.T, 10 * MOST)
    close(A.transposed_times(jnp.asarray(r)), r @ dense, 10 * MOST)
    close(A.squares_times(jnp.asarray(d)), d @ dense**2, 100 * MOST)
    close(A.half_gram(jnp.asarray(d)), dense.T @ np.diag(d) @ dense, 100 * MOST)
    at = jnp.array([4, 9] + [N] * ones, np.int32)
    close(A.restricted(at, jnp.int32(2)).to_array(), dense[:, np.asarray(at)])


def test_without_the_kernel_the_road_of_jax_gives_the_same_and_every_platform_lowers():
    v = jnp.asarray(V[0, 0])
    plain = BCSR((SPARSE.rows.data, SPARSE.rows.indices, SPARSE.rows.indptr), shape=(M, N)).todense() @ v
    close(SPARSE.times(v), plain)
    for platform in ("cuda", "tpu"):
        text = export.export(jax.jit(jax.vmap(SPARSE.times)), platforms=[platform])(jnp.ones((5, N))).mlir_module()
        assert "cpu_csr_sparse_dense_ffi" not in text


def test_moments_of_many_rows_of_float32_keep_their_digits():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((300_000, 2)) < [0.999, 0.3], rng.normal(2, 1, (300_000, 2)), 0).astype(np.float32)
    X[:, 1][rng.random(300_000) < 0.1] = 1
    found = jax.device_put(sparse_design(scipy.sparse.csr_array(X))).astype(jnp.float32)
    mean, sd = found.moments(jnp.full(300_000, 1 / 300_000, jnp.float32))
    # Of 1,024 terms at a time: added one after the other, 3e5 terms are off by 1e-3.
    np.testing.assert_allclose(sd, X.astype(float).std(axis=0), rtol=512 * np.finfo(np.float32).eps)
    np.testing.assert_allclose(mean, X.astype(float).mean(axis=0), rtol=512 * np.finfo(np.float32).eps)


def test_float32_and_its_number_of_entries():
    rough = SPARSE.astype(jnp.float32)
    assert rough.times(jnp.ones(N, np.float32)).dtype == np.float32
    assert isinstance(rough, Sparse)
    assert int(rough.rows.indptr[-1]) == np.count_nonzero(DENSE)
    assert rough.num_entries == 512  # of 506, filled up
