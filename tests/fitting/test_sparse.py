"""Sparse designs: the fit of the array, for every option, from every kind of sparse matrix; what has no road for them is made
dense, or refused in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental.sparse import BCOO, BCSR

import jaxlr
from jaxlr import Params, Problem, Status, fit
from jaxlr.batching import strategy
from jaxlr.engine import sparsity
from jaxlr.inputs import sparse as edge
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

M, N = 90, 60
RNG = np.random.default_rng(0)
DENSE = np.where(RNG.random((M, N)) < 0.1, RNG.integers(1, 4, (M, N)), 0).astype(float)
DENSE[:, 4] = 0
DENSE[:, 9] = 3.0
DENSE[11] = 0
X = scipy.sparse.csr_array(DENSE)
Z = DENSE @ RNG.standard_normal((N, 3)) / 2
Y = (Z[:, 0] + RNG.logistic(size=M) > 0).astype(float)
LABELS = np.argmax(Z + RNG.gumbel(size=Z.shape), axis=1)
SAME = 1e-10  # tol of both, over a curvature of penalties and data near 1e-2, is what coefficients may differ by times 100


@pytest.fixture(scope="module", params=["diagonal", pytest.param("inverse", marks=pytest.mark.slow)], autouse=True)
def stays_sparse(request):
    """Small data are not made dense here; conjugate gradients with the inverse that models share, and with the diagonal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparsity, "_FEW", 0)
        patch.setattr(sparsity, "_DENSE", 2)
        if request.param == "diagonal":
            patch.setattr(strategy, "_MOST_IN_COMMON", 0)
        yield request.param


def assert_same(sparse, dense):
    np.testing.assert_array_equal(np.asarray(sparse.status), np.asarray(dense.status))
    assert bool(sparse.converged.all())
    np.testing.assert_allclose(sparse.value, dense.value, rtol=1e-14, atol=1e-15)
    assert float(jnp.max(sparse.kkt)) <= SAME
    np.testing.assert_allclose(sparse.gap, dense.gap, rtol=0, atol=SAME)  # inf where a column has no penalty
    for one, other in zip(sparse.params, dense.params, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=100 * SAME)


OPTIONS = {
    "l2": {"l2": 0.01},
    "path of l2": {"l2": np.array([1.0, 0.1, 0.01])},
    "l1": {"l1": 0.01},
    "elastic net": {"l1": np.array([0.02, 0.01]), "l2": 0.01},
    "factors": {"l1": 0.01, "l2": 0.02, "penalty_factor": RNG.random(N) + 0.5},
    "standardized": {"l2": 0.01, "standardize": True},
    "standardized l1": {"l1": 0.01, "standardize": True},
    "no intercept": {"l2": 0.01, "fit_intercept": False},
    "folds, offset, targets": {
        "y": np.stack([Y, 1 - Y])[:, None],
        "l2": 0.05,
        "sample_weight": RNG.integers(0, 3, (3, M)).astype(float),
        "offset": RNG.standard_normal(M),
    },
    "a column without a penalty": {"l2": 0.02, "penalty_factor": np.where(np.arange(N) == 2, 0.0, 1.0)},
    "columns left out": {"l2": 0.02, "penalty_factor": np.where(np.arange(N) % 5 == 2, np.inf, 1.0)},
    "soft labels": {"y": 0.1 + 0.8 * Y, "l2": 0.02},
    "bounds": {"l1": 0.005, "l2": 0.01, "lower": -0.1, "upper": np.where(np.arange(N) < 9, -0.02, 0.2), "standardize": True},
    "a start": {"l2": 0.02, "init": Params(RNG.standard_normal(N), 0.5)},
    "chunks": {"l2": np.full((2, 3), 0.02), "sample_weight": RNG.random((2, 1, M)), "batch_size": 1},
}


@pytest.mark.parametrize("name", quick(OPTIONS, "l2"))
def test_a_sparse_design_is_fitted_like_the_array(name, stays_sparse):
    options = OPTIONS[name]
    if "l1" in options and stays_sparse == "inverse":
        return  # nothing differs
    assert_same(fit(X, **({"y": Y} | options)), fit(DENSE, **({"y": Y} | options)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"l2": np.array([0.1, 0.01])}, pytest.param({"l1": 0.01, "l2": 0.01}, marks=pytest.mark.slow), {"l1": 0.02}],
    ids=["l2", "elastic net", "l1"],
)
def test_several_classes(options, stays_sparse):
    if "l1" in options and stays_sparse == "inverse":
        return
    given = options | {"num_classes": 3}
    assert_same(fit(X, LABELS, **given), fit(DENSE, LABELS, **given))


@pytest.mark.slow
def test_few_columns_share_an_inverse(monkeypatch):
    monkeypatch.setattr(strategy, "_MOST_IN_COMMON", 1024)
    for options in (OPTIONS["path of l2"], OPTIONS["folds, offset, targets"]):
        assert_same(fit(X, **({"y": Y} | options)), fit(DENSE, **({"y": Y} | options)))


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.floats(-3, 0), st.booleans())
def test_law_sparse_equals_dense_whatever_the_numbers(seed, exponent, scaled):
    rng = np.random.default_rng(seed)
    dense = DENSE * rng.standard_normal((M, N)) * 10.0 ** rng.integers(-3, 4, N)  # the same places, so one program
    y, s = rng.integers(0, 2, M).astype(float), rng.random(M)
    options = {"l2": 10.0**exponent, "sample_weight": s, "standardize": scaled}
    one, other = fit(scipy.sparse.csr_array(dense), y, **options), fit(dense, y, **options)
    assert bool(one.converged)
    assert bool(other.converged)
    scale = np.abs(dense).max(axis=0)  # coefficients by what they move
    # Far out, where rows are saturated, a residual of tol leaves a share of a coefficient.
    np.testing.assert_allclose(one.params.coef * scale, other.params.coef * scale, rtol=1e3 * SAME, atol=1e3 * SAME)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-13)


KINDS = {  # made when they are asked for: JAX compiles for some
    "csc": X.tocsc, "coo": X.tocoo, "lil": X.tolil, "dok": X.todok, "csr_matrix": lambda: scipy.sparse.csr_matrix(X),
    "BCSR": lambda: BCSR.fromdense(DENSE), "BCOO": lambda: BCOO.fromdense(DENSE),
    "filled BCOO": lambda: BCOO.fromdense(DENSE, nse=M * N // 2),
    "integers": lambda: scipy.sparse.csr_array(DENSE.astype(np.int64)),
    "table": lambda: pd.DataFrame.sparse.from_spmatrix(X),
    "table in part": lambda: pd.DataFrame(DENSE).astype({0: pd.SparseDtype(float, 3.0)}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sparse_matrix(kind):
    assert_same(fit(KINDS[kind](), Y, l2=0.1), fit(DENSE, Y, l2=0.1))


@pytest.mark.slow
def test_doubled_entries_and_zeros_that_are_stored():
    weird = scipy.sparse.coo_array((np.r_[DENSE[DENSE != 0], 0.0, 1.0, 2.0], (
        np.r_[DENSE.nonzero()[0], 4, 7, 7], np.r_[DENSE.nonzero()[1], 4, 5, 5])), shape=(M, N))  # fmt: skip
    before, dense = weird.copy(), DENSE.copy()
    dense[7, 5] += 3
    assert_same(fit(weird, Y, l2=0.1), fit(dense, Y, l2=0.1))
    assert weird.nnz == before.nnz  # left as it was


def test_wide_indices_and_unsorted_ones():
    wide = X.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for i in range(M):
        part = slice(wide.indptr[i], wide.indptr[i + 1])
        wide.indices[part], wide.data[part] = wide.indices[part][::-1].copy(), wide.data[part][::-1].copy()
    wide.has_sorted_indices = False
    assert_same(fit(wide, Y, l2=0.1), fit(DENSE, Y, l2=0.1))


def test_names_of_a_table_with_sparse_columns():
    table = pd.DataFrame.sparse.from_spmatrix(X, columns=[f"w{j}" for j in range(N)])
    assert fit(table, Y, l2=0.1).names == tuple(table.columns)


@pytest.mark.parametrize(
    ("matrix", "error", "words"),
    [
        (lambda: scipy.sparse.csr_array(DENSE * 1j), TypeError, "real"),
        (lambda: scipy.sparse.coo_array(np.arange(4.0)), ValueError, r"X \(m, n\)"),
        (lambda: BCOO.fromdense(np.ones((2, M, 3))), ValueError, r"X \(m, n\)"),
        (lambda: BCOO.fromdense(DENSE, n_batch=1), ValueError, "batch and dense axes"),
        (
            lambda: scipy.sparse.csr_array(np.where(DENSE > 2, np.nan, DENSE)),
            ValueError,
            r"finite X, got \d+ such numbers, nan first in row",
        ),
        (lambda: scipy.sparse.csr_array((M - 1, N)), ValueError, f"last axis {M - 1}"),
    ],
)
def test_what_is_refused_in_words(matrix, error, words):
    with pytest.raises(error, match=words):
        fit(matrix(), Y, l2=0.1)


@pytest.mark.slow
def test_what_has_no_road_of_its_own_is_made_dense_if_that_fits(monkeypatch):
    assert fit(X, Y, l2=np.array([0.1, 0.0])).solver == fit(DENSE, Y, l2=np.array([0.1, 0.0])).solver
    assert fit(X, Y, l2=0.1, solver="newton").solver == "newton"
    monkeypatch.setattr(edge, "bytes_free", lambda: 1000)
    with pytest.raises(MemoryError, match=r"a sparse X that can be made dense.*every column has a penalty"):
        fit(X, Y)


@pytest.mark.slow
def test_without_a_penalty_inside_jit_no_estimate_is_certain():
    found = jax.jit(lambda l2: fit(X, Y, l2=l2))(jnp.array([0.0, 0.1]))
    assert Status(int(found.status[0])) != Status.CONVERGED
    assert Status(int(found.status[1])) == Status.CONVERGED


SEPARATING = DENSE.copy()
SEPARATING[:, 3] = (2 * Y - 1) * (np.arange(M) % 2)
HELD = np.where(np.arange(N) == 3, 0.0, 1.0)
BAD = np.ones((3, M))
BAD[0, 5], BAD[1] = np.nan, 0
YEAR = DENSE.copy()
YEAR[:, 7] = 2000 + RNG.integers(-10, 10, M)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dense", "options"),
    [
        (SEPARATING, {"l2": 0.01, "penalty_factor": HELD}),
        pytest.param(SEPARATING, {"l1": 0.01, "penalty_factor": HELD}, marks=pytest.mark.slow),
        (DENSE, {"l2": 0.1, "sample_weight": BAD}),
        (DENSE, {"l2": np.array([0.1, np.nan, 0.01])}),
        pytest.param(DENSE, {"l1": np.geomspace(0.2, 1e-5, 10)}, marks=pytest.mark.slow),
        (DENSE, {"l1": 0.01, "init": Params(1e3 * RNG.standard_normal(N), 5.0)}),
        (YEAR, {"l2": 0.01}),
        (DENSE * 10.0 ** RNG.integers(-6, 7, N), {"l1": 0.01}),
        (np.zeros((M, N)), {"l2": 0.1}),
        (DENSE, {"l2": 0.05, "penalty_factor": np.stack([HELD, np.roll(HELD, 2)])}),
    ],
    ids=["separated", "separated l1", "weights", "nan", "weak l1", "far start", "year", "scales", "empty", "own free columns"],
)
def test_hard_problems_end_like_those_of_the_array(dense, options):
    one, other = (fit(design, Y, **options) for design in (scipy.sparse.csr_array(dense), dense))
    np.testing.assert_array_equal(one.status, other.status)
    scale, at = np.abs(dense).max(axis=0), np.asarray(one.converged)
    coefs = ((np.asarray(found.params.coef) * scale)[at] for found in (one, other))
    np.testing.assert_allclose(*coefs, rtol=1e3 * SAME, atol=1e3 * SAME)  # where l1 is weak coefficients are large


@pytest.mark.slow
def test_objective_gradient_and_certificates_take_a_sparse_design():
    at, l1, l2 = Params(RNG.standard_normal(N), 0.3), 0.01, 0.1
    sparse, dense = (Problem(design, Y, l1=l1, l2=l2) for design in (X, DENSE))
    for function in (jaxlr.loss, jaxlr.kkt_residual, jaxlr.duality_gap, jaxlr.gradient, jaxlr.hessian):
        for one, other in zip(jax.tree.leaves(function(at, sparse)), jax.tree.leaves(function(at, dense)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jaxlr.hvp(at, sparse, at).coef, jaxlr.hvp(at, dense, at).coef, rtol=1e-12, atol=1e-14)
    for function in (jaxlr.logits, jaxlr.predict_proba, jaxlr.predict):
        np.testing.assert_allclose(function(at, X), function(at, DENSE), rtol=1e-12, atol=1e-14)


@pytest.mark.slow
def test_paths_cross_validation_and_bootstrap():
    for function in (lambda design: jaxlr.l1_max(Problem(design, Y)), lambda design: jaxlr.glmnet_path(design, Y)["l1"]):
        np.testing.assert_allclose(function(X), function(DENSE), rtol=1e-12)
    key, l2 = jax.random.key(0), np.array([1.0, 0.1])
    one, other = (jaxlr.cross_validate(design, Y, l2=l2, folds=3, key=key) for design in (X, DENSE))
    assert one.best == other.best
    np.testing.assert_allclose(one.scores["log_loss"], other.scores["log_loss"], rtol=0, atol=100 * SAME)
    assert_same(jaxlr.fit_bootstrap(key, X, Y, 5, l2=0.1), jaxlr.fit_bootstrap(key, DENSE, Y, 5, l2=0.1))


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"l1": 0.01}, marks=pytest.mark.slow), {"standardize": True}], ids=["l2", "l1", "standardized"]
)
@pytest.mark.slow
def test_derivatives_through_the_fit(options):
    c = RNG.standard_normal(N)

    def of(design):
        return lambda l2, s: jnp.sum(jnp.asarray(c) * fit(design, Y, l2=l2, sample_weight=s, **options).params.coef)

    at = 0.1, jnp.asarray(RNG.random(M) + 0.5)
    for one, other in zip(jax.grad(of(X), (0, 1))(*at), jax.grad(of(DENSE), (0, 1))(*at), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_inside_jit_a_sparse_matrix_may_be_traced_and_its_numbers_have_derivatives():
    bcsr = BCSR.fromdense(DENSE)

    def of_entries(data):
        design = BCSR((data, bcsr.indices, bcsr.indptr), shape=bcsr.shape)
        return jnp.sum(jnp.sin(fit(design, Y, l2=0.1).params.coef))

    value, slope = jax.jit(jax.value_and_grad(of_entries))(bcsr.data)
    other, slopes = jax.value_and_grad(lambda design: jnp.sum(jnp.sin(fit(design, Y, l2=0.1).params.coef)))(jnp.asarray(DENSE))
    np.testing.assert_allclose(value, other, rtol=0, atol=100 * SAME)
    np.testing.assert_allclose(slope, slopes[DENSE.nonzero()], rtol=0, atol=1e-8)


@pytest.mark.slow
def test_float32():
    found = fit(X.astype(np.float32), Y, l2=0.1)
    assert found.params.coef.dtype == np.float32
    assert bool(found.converged)
    np.testing.assert_allclose(found.params.coef, fit(DENSE, Y, l2=0.1).params.coef, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_every_front_door_lowers_for_other_platforms():
    from jax import export

    program = jax.jit(lambda l2, l1: (fit(X, Y, l2=l2).params.coef, fit(X, Y, l2=l2, l1=l1).params.coef))
    for platform in ("cuda", "tpu"):
        assert export.export(program, platforms=[platform])(jnp.array([0.1]), jnp.array([0.01])).mlir_module()
