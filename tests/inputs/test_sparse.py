"""Sparse matrices as they come: what SciPy, JAX and pandas mean by them, inside jit as outside, or a refusal in words."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO, BCSR

import jaxlr
from jaxlr.estimator import LogisticRegressor
from jaxlr.inputs.checks import real_array
from jaxlr.inputs.sparse import sparse_design, to_scipy
from jaxlr.preprocessing import fit_scaler, standardize

pytestmark = pytest.mark.usefixtures("x64")

M, N = 40, 6
RNG = np.random.default_rng(0)
DENSE = RNG.integers(-3, 4, (M, N)) * (RNG.random((M, N)) < 0.3)
Y = np.tile([0, 1], M // 2)
POINT = jaxlr.Params(np.linspace(-1, 1, N), np.float64(0.3))


def drawn(m, n, density):
    """A matrix of as many entries as these are, on every SciPy."""
    rng = np.random.default_rng(0)
    at = rng.choice(m * n, round(density * m * n), replace=False)
    return scipy.sparse.csr_array((rng.random(len(at)), (at // n, at % n)), shape=(m, n))


def logits(matrix):
    """Outside jit and inside."""
    return np.asarray(jaxlr.logits(POINT, matrix)), np.asarray(jax.jit(lambda X: jaxlr.logits(POINT, X))(matrix))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BCOO.fromdense, BCSR.fromdense])
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, bool, np.float16, jnp.bfloat16, np.float32])
def test_numbers_of_any_real_dtype_count_as_they_are(kind, dtype):
    X, made = jnp.asarray(np.abs(DENSE)).astype(dtype), kind(np.abs(DENSE))
    at = (made.indices,) if isinstance(made, BCOO) else (made.indices, made.indptr)
    made = type(made)((made.data.astype(dtype), *at), shape=made.shape)
    wanted = jaxlr.logits(POINT, np.asarray(X, float))
    for found in logits(made):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=64 * np.finfo(float).eps)
    problem = jaxlr.Problem(np.asarray(X, np.float64), Y, l2=0.1)
    inside = jax.jit(lambda B: jaxlr.loss(POINT, jaxlr.Problem(B, Y, l2=0.1)))(made)
    rtol = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(inside, jaxlr.loss(POINT, problem), rtol=rtol)


@pytest.mark.parametrize("dtype", [np.int8, np.float32, float])
def test_entries_of_one_place_are_added_up_as_numbers(dtype):
    data, at = jnp.array([100, 100, 1], dtype), jnp.array([[0, 0], [0, 0], [1, 2]])
    for found in logits(BCOO((data, at), shape=(2, N))):
        np.testing.assert_allclose(found, 0.3 + np.array([-200.0, -0.2]), rtol=1e-6)
    where = (np.array([0, 0, 1]), np.array([0, 0, 2]))
    found = jaxlr.logits(POINT, scipy.sparse.coo_array((np.asarray(data), where), shape=(2, N)))
    np.testing.assert_allclose(found, 0.3 + np.array([-200.0, -0.2]), rtol=1e-6)


def test_true_twice_is_true():
    matrix = scipy.sparse.coo_array((np.ones(2, bool), ([0, 0], [0, 0])), shape=(2, N))
    np.testing.assert_allclose(jaxlr.logits(POINT, matrix), [0.3 - 1, 0.3])
    for found in logits(BCOO((jnp.ones(2, bool), jnp.zeros((2, 2), int)), shape=(2, N))):
        np.testing.assert_allclose(found, [0.3 - 1, 0.3])


def test_an_index_below_0_counts_from_the_end_as_in_jax():
    matrix = BCOO((jnp.array([1.0, 5.0, 7.0]), jnp.array([[0, 0], [-1, 1], [4, 0]])), shape=(4, N))  # 4 is a filler
    for found in logits(matrix):
        np.testing.assert_allclose(found, np.asarray(matrix.todense()) @ POINT.coef + 0.3)


@pytest.mark.parametrize("shape", [(4, 0), (0, N), (4, N)])
def test_matrices_without_entries(shape):
    params = jaxlr.Params(np.ones(shape[1]), np.float64(0.3))
    empty = scipy.sparse.csr_array(shape)
    entries = jnp.zeros(0), jnp.zeros((0, 2), int)
    for matrix in (empty, BCOO(entries, shape=shape)):
        assert jaxlr.logits(params, matrix).tolist() == [0.3] * shape[0]
    assert jax.jit(jaxlr.logits)(params, BCOO(entries, shape=shape)).tolist() == [0.3] * shape[0]


@pytest.mark.parametrize("wrong", [N, -1, 10**6])
def test_an_index_of_scipy_out_of_range_is_refused(wrong):
    matrix = scipy.sparse.csr_array(DENSE.astype(float))
    matrix.indices[3] = wrong
    with pytest.raises(ValueError, match=rf"entries of its shape \({M}, {N}\), got a broken matrix"):
        jaxlr.fit(matrix, Y, l2=0.1)


def test_data_alike_share_their_programs():
    sizes = {sparse_design(drawn(100, 90, d)).num_entries for d in (0.1, 0.101, 0.102)}
    assert len(sizes) == 1
    np.testing.assert_array_equal(to_scipy(sparse_design(scipy.sparse.csr_array(DENSE))).toarray(), DENSE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BCOO.fromdense, BCSR.fromdense])
def test_complex_numbers_are_refused_inside_jit_too(kind):
    with pytest.raises(TypeError, match=r"X to be real.*complex"):
        jax.jit(lambda X: jaxlr.fit(X, Y, l2=0.1))(kind(DENSE * 1j))


TABLE = pd.DataFrame({"a": pd.arrays.SparseArray(np.tile([0.0, 0, 1, 0], 10), fill_value=0.0)})


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (pd.date_range("2020", periods=M), "datetime64"),
        (pd.to_timedelta(np.arange(M), unit="s"), "timedelta64"),
        (["3"] * M, "(object|str)"),
        (pd.Categorical(["1", "2"] * (M // 2)), "category"),
        (pd.interval_range(0, M), "interval"),
        (np.arange(M) * 1j, "complex"),
    ],
)
def test_a_table_with_a_sparse_column_has_numbers_in_the_others(column, dtype):
    with pytest.raises(TypeError, match=rf"numeric columns in X, got 'other' \({dtype}"):
        jaxlr.fit(TABLE.assign(other=column), Y, l2=0.1)


def test_a_table_with_an_interval_column_alone_is_refused_by_its_name():
    with pytest.raises(TypeError, match=r"numeric columns in X, got 'i' \(interval"):
        jaxlr.fit(pd.DataFrame({"i": pd.interval_range(0, M)}), Y, l2=0.1)


def test_a_table_keeps_its_dtype_and_names_its_gaps():
    narrow = TABLE.astype(pd.SparseDtype(np.float32, 0)).assign(b=np.ones(M, np.float32), c=np.int16(1))
    assert sparse_design(narrow).dtype == np.float32
    assert sparse_design(narrow.assign(c=2**24 + 1)).rows.data.max() == 2**24 + 1  # float32 has not this integer
    assert sparse_design(narrow.assign(c=1.5)).dtype == np.float64
    assert sparse_design(TABLE.assign(b=np.ones(M, np.float32))).dtype == np.float64
    gap = TABLE.assign(b=pd.arrays.SparseArray(np.where(np.arange(M) == 3, np.nan, 0.0), fill_value=0.0))
    with pytest.raises(ValueError, match="finite X, got 1 such numbers, nan first in row 3, column 'b'"):
        jaxlr.fit(gap, Y, l2=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["y", "sample_weight", "offset"])
def test_other_arguments_are_dense(name):
    with pytest.raises(TypeError, match=f"expected {name} to be a dense array without mask, got BCOO"):
        inspect.unwrap(real_array)(name, BCOO.fromdense(Y))


def test_several_sparse_designs_are_refused():
    matrix = scipy.sparse.csr_array(DENSE)
    with pytest.raises(TypeError, match="expected one X, got a list of sparse ones"):
        jaxlr.fit([matrix, matrix], Y, l2=0.1)


@pytest.mark.slow
def test_standardized_columns_would_not_be_sparse():
    matrix = scipy.sparse.csr_array(DENSE.astype(float))
    with pytest.raises(TypeError, match="expected a dense X"):
        inspect.unwrap(standardize)(matrix, fit_scaler(matrix.toarray()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BCOO.fromdense, BCSR.fromdense])
def test_estimators_take_matrices_of_jax(kind):
    X = DENSE.astype(float)
    wanted, found = (LogisticRegressor().fit(given, Y) for given in (X, kind(X)))
    np.testing.assert_allclose(found.coef_, wanted.coef_, atol=1e-10)
    np.testing.assert_allclose(found.predict_proba(kind(X)), wanted.predict_proba(X), atol=1e-10)


@pytest.mark.slow
def test_many_entries_stay_sparse_where_an_array_would_not_fit(monkeypatch):
    monkeypatch.setattr("jaxlr.engine.sparsity.bytes_free", lambda: 2**20)
    X = drawn(600, 400, 0.25)
    fit = jaxlr.fit(X, np.arange(600) % 2, l2=0.1)
    assert bool(fit.converged)
    assert fit.solver == "newton_cg"


@pytest.mark.slow
def test_deviations_under_many_weights_are_those_of_each_row_of_weights():
    X = drawn(300, 500, 0.05)
    weights = np.random.default_rng(1).poisson(1, (3, 300)).astype(float)
    options = {"l2": 0.01, "standardize": True}
    many = jaxlr.fit(X, np.arange(300) % 2, sample_weight=weights, **options)
    for i in range(3):
        dense = jaxlr.fit(X.toarray(), np.arange(300) % 2, sample_weight=weights[i], **options)
        np.testing.assert_allclose(many.params.coef[i], dense.params.coef, atol=1e-9)


def test_the_direction_of_a_separation_of_sparse_columns():
    X = DENSE.astype(float)
    found = jaxlr.separating_direction(scipy.sparse.csr_array(X), X[:, 0] > 0)
    wanted = jaxlr.separating_direction(X, X[:, 0] > 0)
    np.testing.assert_array_equal(found.coef, wanted.coef)


def test_numbers_whose_sum_overflows_are_finite():
    X = scipy.sparse.csr_array(np.array([[1e308, 0], [1e308, 1], [0, 2.0], [0, 1]]))
    assert bool(jaxlr.fit(X, [0, 1, 0, 1], l2=0.1).converged)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [{"l2": 0.05}, {"l1": 0.005}])
@pytest.mark.parametrize("exponent", [39, -40])
def test_units_that_float32_does_not_hold(strength, exponent):
    rng = np.random.default_rng(0)
    X, y = np.where(rng.random((400, 400)) < 0.03, rng.normal(size=(400, 400)), 0), np.arange(400) % 2
    X[:, 7] *= 10.0**exponent
    found, wanted = (jaxlr.fit(given, y, **strength) for given in (scipy.sparse.csr_array(X), X))
    assert bool(found.converged)
    np.testing.assert_allclose(np.delete(found.params.coef, 7), np.delete(wanted.params.coef, 7), atol=1e-8)


@pytest.mark.slow
def test_columns_that_are_all_constant_leave_the_intercept():
    X = scipy.sparse.csr_array(np.vstack([np.zeros((200, 800)), np.eye(200, 800)]))
    weights = np.ones((2, 400))
    weights[0, 200:] = 0
    fit = jaxlr.fit(X, np.arange(400) % 2, l2=0.1, standardize=True, sample_weight=weights)
    assert fit.converged.tolist() == [True, True]
    assert not np.any(fit.params.coef[0])


def test_true_twice_in_a_matrix_of_bool_is_true_and_the_matrix_of_the_caller_stays_as_it_is():
    twice = scipy.sparse.csr_array((np.ones(3, bool), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    assert to_scipy(sparse_design(twice)).toarray().tolist() == [[1, 0], [0, 1]]
    assert twice.indices.tolist() == [0, 0, 1]
