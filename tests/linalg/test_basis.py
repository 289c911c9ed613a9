"""The basis of a design: orthonormal, it gives the same logits, and dependence is found and never taken for digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.linalg.basis import least_pivot, nearest, orthonormal, weighted
from jaxlr.linalg.moments import gram_over_rows, sum_over_rows

M = 120
EPS = float(np.finfo(np.float64).eps)
_BASIS = jax.jit(orthonormal, static_argnames="fit_intercept")


def basis_of(A, present=None, origin=None, fit_intercept=True):
    origin = np.zeros(A.shape[1], A.dtype) if origin is None else origin
    return _BASIS(A, present, origin, fit_intercept)


def columns(seed=0, m=M):
    return np.random.default_rng(seed).normal(size=(m, 4))


@pytest.mark.slow
@pytest.mark.parametrize("distance", [1e-4, 1e-7, 1e-9, 1e-10])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_near_each_other_become_orthonormal_and_keep_their_logits(distance, fit_intercept):
    A = columns()
    A[:, 2] = A[:, 0] + distance * A[:, 2]
    basis = basis_of(A, fit_intercept=fit_intercept)
    assert bool(basis.needed)
    assert not bool(basis.unclear)
    assert not basis.dependent.any()
    d = 1 / np.maximum(np.abs(A).max(axis=1), 1)
    Q = d[:, None] * np.asarray(basis.columns) / np.sqrt(np.sum(d**2))
    # Gram-Schmidt loses orthogonality by eps over the distance.
    np.testing.assert_allclose(Q.T @ Q, np.eye(4), atol=20 * EPS / distance)
    assert not fit_intercept or np.abs(d @ Q).max() <= 20 * EPS / distance * np.linalg.norm(d)
    c = np.array([1.0, -2, 3, 0.5])
    t = basis.to_basis(jnp.asarray(c))
    np.testing.assert_allclose(basis.columns @ t + basis.mean @ c, A @ c, atol=100 * EPS)
    np.testing.assert_allclose(basis.from_basis(t), c, rtol=100 * EPS / distance)


def test_the_later_of_two_depends_and_takes_its_coefficient_along():
    A = columns()
    A[:, 3] = A[:, 0] - A[:, 1] + 2
    basis = basis_of(A)
    assert basis.dependent.tolist() == [False, False, False, True]
    assert not bool(basis.unclear)
    assert not np.asarray(basis.columns)[:, 3].any()
    c = np.array([1.0, 2, 3, 5])
    t = basis.to_basis(jnp.asarray(c))
    np.testing.assert_allclose(basis.columns @ t + basis.mean @ c, A @ c, atol=100 * EPS)
    np.testing.assert_allclose(basis.from_basis(t), [6, -3, 3, 0], atol=100 * EPS)


@pytest.mark.parametrize("distance", [1e-12, 1e-13])
def test_what_is_neither_rounding_nor_resolved_is_unclear(distance):
    A = columns()
    A[:, 2] = A[:, 0] + distance * A[:, 2]
    basis = basis_of(A)
    assert bool(basis.unclear)
    assert basis.dependent.tolist() == [False, False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("m", [20, 200, 5000])
@pytest.mark.parametrize("origin", [0, 100, 1e6])
def test_exact_dependence_is_found_at_any_size_and_far_from_the_origin(m, origin):
    """The columns are rounded before their mean is taken away; that is not a digit of a column."""
    rng = np.random.default_rng(m)
    for _ in range(20):
        X = rng.normal(size=(m, 3)) * np.exp(rng.normal(size=3)) + origin * rng.normal(size=3)
        X = np.column_stack([X, X @ rng.normal(size=3) + rng.normal(), rng.normal(size=m)])
        center, unit = X.mean(0), X.std(0)
        basis = basis_of((X - center) / unit, origin=center / unit)
        assert basis.dependent.tolist() == [False, False, False, True, False]
        assert not bool(basis.unclear)


def test_a_row_far_out_does_not_make_columns_depend():
    A = columns()
    A[0, :2] = 1e13
    assert not basis_of(A).dependent.any()


def test_rows_that_are_not_there_do_not_count_and_constants_depend_on_the_intercept():
    A = columns()
    A[:, 1] = A[:, 0]
    A[5, 1] = 1e6
    A[:, 3] = 0
    present = jnp.asarray(np.arange(M) != 5)
    basis = basis_of(A, present)
    assert basis.dependent.tolist() == [False, True, False, True]
    assert not np.asarray(basis.columns)[5].any()
    alone = basis_of(columns())
    assert not bool(alone.needed)
    np.testing.assert_array_equal(alone.columns, columns())
    np.testing.assert_array_equal(alone.R, np.eye(4))


@pytest.mark.slow
def test_a_design_that_needs_no_basis_is_left_as_it_is_beside_one_that_does():
    A = np.stack([columns(1), columns(2)])
    A[1, :, 3] = A[1, :, 2]
    found = jax.vmap(lambda A: orthonormal(A, None, jnp.zeros(4), True))(jnp.asarray(A))
    assert found.needed.tolist() == [False, True]
    np.testing.assert_array_equal(found.columns[0], A[0])
    assert found.dependent.tolist() == [[False] * 4, [False, False, False, True]]


def test_the_least_pivot_is_the_distance_of_the_nearest_column_in_numpy_and_jax():
    A = columns(m=5000)
    A[:, 2] = A[:, 0] + 1e-3 * A[:, 2]
    host = least_pivot(weighted(A, None, True)[2])
    device = least_pivot(weighted(jnp.asarray(A), None, True)[2])
    assert float(host) == pytest.approx(1e-3, rel=0.5)  # rows far out count less
    assert float(device) == pytest.approx(float(host), rel=4 * 5000 * 2.2e-16 / 1e-6)  # squares are known to that
    assert least_pivot(np.zeros((5, 0))) == 1
    assert nearest(np.dtype(np.float64), 9) < 1e-3 < nearest(np.dtype(np.float32), 9)


def test_a_column_of_many_rows_that_another_is_near_is_not_said_to_depend_on_it():
    """What is left is 300 eps of float32: it was taken for rounding of a sum of 300,000 terms, and the coefficient 0."""
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(2, 300_000))
    A = np.stack([x, x + 2e-5 * other], axis=1)
    center, unit = A.mean(axis=0), A.std(axis=0)
    found = orthonormal(jnp.asarray((A - center) / unit, jnp.float32), None, jnp.asarray(center / unit, jnp.float32), True)
    assert not found.dependent.any()
    assert abs(float(found.R[1, 1]) - 2e-5) < 4 * np.finfo(np.float32).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("in_order", [False, True])
def test_levels_in_many_rows_depend_on_each_other_to_rounding(dtype, in_order):
    """Their terms are equal, and round in one direction where they are added one after the other: 800 eps of 30,000 rows."""
    rng = np.random.default_rng(4)
    level = rng.integers(4, size=30_000)
    A = np.c_[np.eye(4)[np.sort(level) if in_order else level], rng.normal(size=(30_000, 2))]
    center, unit = A.mean(axis=0), A.std(axis=0)
    found = orthonormal(jnp.asarray((A - center) / unit, dtype), None, jnp.asarray(center / unit, dtype), True)
    assert found.dependent.tolist() == [False] * 3 + [True] + [False] * 2
    assert not found.unclear
    parts = np.asarray(found.weights)[3] * unit[3] / unit  # of the levels themselves
    np.testing.assert_allclose(parts, [-1, -1, -1, 0, 0, 0], atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_many_rows_are_known_to_a_few_eps(dtype):
    rng, eps = np.random.default_rng(5), np.finfo(dtype).eps
    A = np.c_[np.eye(4)[np.sort(rng.integers(4, size=30_000))], rng.normal(size=(30_000, 2))]
    A = ((A - A.mean(axis=0)) / A.std(axis=0)).astype(dtype)
    w = (1 / np.maximum(1, np.abs(A).max(axis=1))).astype(dtype)
    sums = jax.jit(lambda w, A: sum_over_rows(w[:, None] * A))(w, A)  # products and their sum in one loop
    off = np.asarray(sums) - (w[:, None] * A).astype(np.longdouble).sum(axis=0).astype(float)
    assert np.max(np.abs(off)) <= 4 * eps * np.linalg.norm(w) * np.sqrt(len(A))  # beside the sizes of the terms
    V = np.asarray(A[:, :2] / np.linalg.norm(A[:, :2], axis=0), dtype)  # of so few columns XLA adds products one by one
    exact = V.astype(np.longdouble)
    off = np.asarray(gram_over_rows(jnp.asarray(V))) - (exact.T @ exact).astype(float)
    assert np.max(np.abs(off)) <= 64 * eps  # half of what is allowed
