"""The front door: broadcasting, statuses, isolation of failures, checks, dtypes, transformations, no retracing."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Problem, Status, fit

EPS = np.finfo(np.float64).eps
TOL = 1e-10
M, N = 40, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, N))
Y = (RNG.random(M) < 1 / (1 + np.exp(-X @ [1.0, -0.5, 0.2]))).astype(float)
S = RNG.integers(0, 3, M).astype(float)
L2 = np.array([0.3, 0.01, 1.0, 0.05])
FOLDS = (np.arange(M)[None, :] % 3 != np.arange(3)[:, None]).astype(float)


def assert_same_models(one, other, k=1e4):
    """Equal to tol: two runs differ by their residuals over the curvature, which is above 1e-2 here."""
    for a, b in zip(one.params, other.params, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=k * TOL)
    np.testing.assert_array_equal(np.asarray(one.status), np.asarray(other.status))


def single(l2, **options):
    return fit(X, Y, l2=l2, **options)


@pytest.mark.slow
def test_a_batch_equals_the_loop_over_its_models():
    batch = fit(X, Y, sample_weight=FOLDS[:, None], l2=L2)
    assert batch.kkt.shape == (3, 4)
    assert batch.params.coef.shape == (3, 4, N)
    for i in range(3):
        for j in range(4):
            assert_same_models(jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], batch), single(L2[j], sample_weight=FOLDS[i]))


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"y": np.stack([Y, 1 - Y])[:, None], "l2": L2}, (2, 4)),
        ({"X": np.stack([X, 2 * X, X + 1]), "offset": np.zeros((3, M))}, (3,)),
        ({"penalty_factor": np.eye(N), "l2": 0.1}, (3,)),
        ({"l2": np.full((2, 1, 2), 0.1), "sample_weight": FOLDS[:, None]}, (2, 3, 2)),
        pytest.param({}, (), marks=pytest.mark.slow),
        pytest.param({"l2": L2}, (4,), marks=pytest.mark.slow),
        pytest.param({"l2": L2[:, None], "sample_weight": FOLDS}, (4, 3), marks=pytest.mark.slow),
        pytest.param({"y": np.stack([Y, 1 - Y])}, (2,), marks=pytest.mark.slow),
        pytest.param({"X": np.stack([X, 2 * X])[:, None], "l2": L2}, (2, 4), marks=pytest.mark.slow),
        pytest.param({"l2": np.full((1, 1), 0.1)}, (1, 1), marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) or "single" if isinstance(value, dict) else None,
)
def test_the_batch_axes_of_all_fields_broadcast(fields, shape):
    fields = {"X": X, "y": Y, "l2": 0.1} | fields
    got = fit(**fields)
    assert got.status.shape == got.value.shape == got.kkt.shape == got.gap.shape == got.num_steps.shape == shape
    assert got.params.coef.shape == (*shape, N)
    assert np.asarray(got.converged).all()


def test_jit_vmap_and_broadcasting_agree():
    broadcast = fit(X, Y, l2=L2)
    assert_same_models(jax.jit(fit)(X, Y, l2=L2), broadcast)
    assert_same_models(jax.jit(jax.vmap(lambda l2: fit(X, Y, l2=l2)))(L2), broadcast)


@pytest.mark.slow
def test_vmap_without_jit_is_the_same_too():
    assert_same_models(jax.vmap(lambda l2: fit(X, Y, l2=l2))(L2), fit(X, Y, l2=L2))
    weighted = jax.vmap(lambda s: fit(X, Y, sample_weight=s, l2=0.1))(FOLDS)
    assert_same_models(weighted, fit(X, Y, sample_weight=FOLDS, l2=0.1))


@pytest.mark.slow
def test_certificates_are_those_of_the_returned_parameters():
    got = fit(X, Y, sample_weight=S, l2=0.1)
    problem = Problem(X, Y, sample_weight=S, l2=0.1)
    assert float(got.kkt) <= TOL
    assert abs(float(got.kkt) - float(jaxlr.kkt_residual(got.params, problem))) <= 100 * EPS
    assert abs(float(got.value) - float(jaxlr.loss(got.params, problem))) <= 10 * EPS
    assert 0 <= float(got.gap) <= TOL


@pytest.mark.slow
def test_a_nan_model_leaves_its_neighbours_bit_for_bit_alone():
    good = fit(np.stack([X, 2 * X, X - 1]), Y, l2=0.1)
    designs = np.stack([X, 2 * X, X - 1])
    designs[1, 5, 2] = np.nan
    bad = fit(designs, Y, l2=0.1)
    assert np.asarray(bad.status).tolist() == [Status.CONVERGED, Status.NONFINITE, Status.CONVERGED]
    for one, other in zip(jax.tree.leaves(good), jax.tree.leaves(bad), strict=True):
        assert np.array_equal(np.asarray(one)[[0, 2]], np.asarray(other)[[0, 2]])
    assert np.isnan(np.asarray(bad.params.coef)[1]).all()


def three_members():
    return {
        "y": np.stack([Y] * 3), "sample_weight": np.stack([S] * 3), "offset": np.zeros((3, M)),
        "penalty_factor": np.ones((3, N)), "l2": np.full(3, 0.1), "init": Params(np.zeros((3, N)), np.zeros(3)),
    }  # fmt: skip


def test_a_member_without_weight_is_invalid():
    fields = three_members()
    fields["sample_weight"][1] = 0
    got = fit(X, **fields)
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.INVALID, Status.CONVERGED]
    assert np.isnan(np.asarray(got.params.coef)[1]).all()


@pytest.mark.parametrize("field", ["y", "sample_weight", "offset", "penalty_factor", "l2", "coef"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_poisoned_member_is_nonfinite_and_the_others_are_untouched(field, poison):
    fields = three_members()
    clean = fit(X, **fields)
    target = fields["init"].coef if field == "coef" else fields[field]
    target[(1, int(np.flatnonzero(S == 0)[0])) if target.shape[1:] == (M,) else (1, *(0,) * (target.ndim - 1))] = poison
    if field == "penalty_factor" and poison == np.inf:  # which leaves the column out
        assert float(fit(X, **fields).params.coef[1, 0]) == 0
        return
    if field == "y" and poison == np.inf:
        with pytest.raises(ValueError, match="labels"):
            fit(X, **fields)
        return
    got = fit(X, **fields)
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.NONFINITE, Status.CONVERGED]
    for one, other in zip(jax.tree.leaves(clean), jax.tree.leaves(got), strict=True):
        assert np.array_equal(np.asarray(one)[[0, 2]], np.asarray(other)[[0, 2]])


@pytest.mark.slow
def test_members_without_weight_or_with_one_class_are_invalid():
    weights = np.stack([S, np.zeros(M), S * (Y == 1), S * (Y == 0)])
    got = fit(X, Y, sample_weight=weights, l2=0.1)
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.INVALID, Status.INVALID, Status.INVALID]
    assert np.isnan(np.asarray(got.params.coef)[1]).all()
    assert np.isfinite(np.asarray(got.params.coef)[2:]).all()
    assert_same_models(jax.tree.map(lambda leaf: leaf[0], got), fit(X, Y, sample_weight=S, l2=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("strengths", [{}, {"l2": 0.1}, {"l1": 0.02}, {"l1": 0.02, "penalty_factor": [1.0, 0.0, 1.0]}], ids=str)
def test_one_class_without_an_intercept_has_the_estimate_of_rows_turned_round(strengths):
    """l(z, 1) = l(-z, 0): a row may be turned round with its label, as differences of pairs are."""
    rows, sign = X + np.array([0.3, 0, 0]), np.where(np.arange(M) % 2, 1, -1)
    got = fit(rows, np.ones(M), fit_intercept=False, **strengths)
    wanted = fit(rows * sign[:, None], (sign > 0).astype(float), fit_intercept=False, **strengths)
    assert int(got.status) == int(wanted.status) == Status.CONVERGED
    np.testing.assert_allclose(got.params.coef, wanted.params.coef, rtol=0, atol=1e4 * TOL)
    assert float(got.params.intercept) == 0
    assert float(got.gap) <= 1e-15 or not np.isfinite(wanted.gap)


@pytest.mark.slow
def test_one_class_without_an_intercept_in_closed_form_and_separated():
    """a rows of 1 and b rows of -1, all with y = 1, have the estimate log(a / b); without rows of -1 there is none."""
    sides = np.repeat([1.0, -1.0], [7, 3])[:, None]
    for got in (
        fit(sides, np.ones(10), fit_intercept=False),
        jax.jit(lambda y: fit(sides, y, fit_intercept=False))(np.ones(10)),
    ):
        np.testing.assert_allclose(float(got.params.coef[0]), np.log(7 / 3), rtol=8 * EPS)
    assert int(fit(np.abs(sides), np.ones(10), fit_intercept=False).status) == Status.SEPARATED
    batch = fit(sides, np.stack([np.ones(10), np.arange(10) % 2]), fit_intercept=False)
    assert batch.converged.all()
    firth = jaxlr.fit_firth(np.abs(sides), np.ones(10), fit_intercept=False)
    # Firth's estimate of m rows of 1: log((m + 1/2) / (1/2)), as with half a success and half a failure more.
    np.testing.assert_allclose(float(firth.params.coef[0]), np.log(21), rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l2": 0.1},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"l1": 0.05},
                {"l2": 0.1, "standardize": True},
                {"l2": 0.1, "solver": "newton_cg"},
                {"l1": 0.02, "l2": 0.1},
            )
        ),
    ],
    ids=str,
)
def test_an_infinite_penalty_factor_leaves_a_column_out(options):
    got, wanted = fit(X, Y, penalty_factor=[1, np.inf, 1], **options), fit(X[:, [0, 2]], Y, **options)
    assert_same_models(
        fit(X[:, [0, 2]], Y, **options),
        jaxlr.results.fit.Fit(**{**vars(got), "params": Params(got.params.coef[jnp.array([0, 2])], got.params.intercept)}),
    )
    assert float(got.params.coef[1]) == 0
    np.testing.assert_allclose([got.value, got.gap], [wanted.value, wanted.gap], rtol=1e-9, atol=1e-18)
    if "standardize" not in options:
        fields = {name: value for name, value in options.items() if name != "solver"}
        problem = Problem(X, Y, penalty_factor=np.array([1, np.inf, 1]), **fields)
        np.testing.assert_allclose(jaxlr.loss(got.params, problem), got.value, rtol=8 * EPS)
        assert float(jaxlr.kkt_residual(got.params, problem)) <= TOL


@pytest.mark.slow
def test_infinite_penalty_factors_by_member_in_derivatives_and_paths():
    factors = np.array([[1, np.inf, 1], [1, 1, 1], [np.inf, np.inf, np.inf]])
    got = fit(X, Y, l2=0.1, penalty_factor=factors)
    assert got.converged.all()
    assert (np.asarray(got.params.coef) == 0).tolist() == np.isinf(factors).tolist()
    slope = jax.grad(lambda l2: fit(X, Y, l2=l2, penalty_factor=factors[0]).params.coef.sum())(0.1)
    wanted = jax.grad(lambda l2: fit(X[:, [0, 2]], Y, l2=l2).params.coef.sum())(0.1)
    np.testing.assert_allclose(slope, wanted, rtol=1e-8)
    path = jaxlr.glmnet_path(X, Y, penalty_factor=[1, np.inf, 2], num_strengths=3)
    # glmnet counts a column left out as one of factor 1, and scales the factors to a mean of 1.
    np.testing.assert_allclose(path["penalty_factor"], [0.75, np.inf, 1.5], rtol=4 * EPS)
    with pytest.raises(ValueError, match="leave the column out of X"):
        jaxlr.inference.wald(fit(X, Y, penalty_factor=factors[0]), Problem(X, Y, penalty_factor=factors[0]))


@pytest.mark.slow
def test_a_separated_member_is_named_and_its_neighbours_converge():
    separated = (X[:, 0] > 0).astype(float)
    got = fit(X, np.stack([Y, separated, separated]), l2=np.array([0.0, 0.0, 0.1]))
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.SEPARATED, Status.CONVERGED]
    assert np.isfinite(np.asarray(got.params.coef)).all()


def test_weights_and_labels_of_every_dtype_are_accepted():
    reference = fit(X, Y, sample_weight=S, l2=0.1)
    for y in (Y.astype(bool), Y.astype(np.int8), Y.astype(np.float32), jnp.asarray(Y)):
        assert_same_models(fit(X, y, sample_weight=S.astype(int), l2=0.1), reference)
    assert fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], l2=1).params.coef.shape == (1,)


@pytest.mark.slow
def test_doubling_a_weight_equals_repeating_the_row_and_zero_its_absence():
    weighted, repeated = fit(X, Y, sample_weight=S), fit(np.repeat(X, S.astype(int), 0), np.repeat(Y, S.astype(int)))
    assert_same_models(weighted, repeated)
    filled = X.copy()
    filled[S == 0] = 1e30
    assert_same_models(fit(filled, Y, sample_weight=S), repeated)


def test_permuting_rows_columns_or_problems_permutes_the_answer():
    rng = np.random.default_rng(10)
    rows, columns, problems = rng.permutation(M), rng.permutation(N), rng.permutation(4)
    reference = fit(X, Y, l2=L2)
    permuted = fit(X[rows][:, columns], Y[rows], l2=L2[problems])
    expected = Params(np.asarray(reference.params.coef)[problems][:, columns], np.asarray(reference.params.intercept)[problems])
    np.testing.assert_allclose(np.asarray(permuted.params.coef), expected.coef, rtol=0, atol=1e4 * TOL)
    np.testing.assert_allclose(np.asarray(permuted.params.intercept), expected.intercept, rtol=0, atol=1e4 * TOL)


@pytest.mark.slow
def test_halved_columns_side_by_side_with_half_the_penalty_give_the_same_predictions():
    # [X, X] / 2 with coefficient c twice: logits X c, penalty l2' / 2 (2 c^2) = l2 / 2 c^2 at l2' = l2 / 2.
    one = fit(X, Y, l2=0.1)
    two = fit(np.hstack([X, X]) / 2, Y, l2=0.05)
    np.testing.assert_allclose(np.asarray(two.params.coef), np.tile(np.asarray(one.params.coef), 2), atol=1e4 * TOL)


@pytest.mark.slow
def test_stacking_the_data_twice_changes_nothing():
    assert_same_models(fit(np.vstack([X, X]), np.tile(Y, 2), l2=0.1), fit(X, Y, l2=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("standardize", [False, True])
def test_shifting_columns_leaves_predictions_unchanged(standardize):
    one = fit(X, Y, l2=0.1, standardize=standardize)
    shifted = X + np.array([10.0, -1e3, 1e5])
    other = fit(shifted, Y, l2=0.1, standardize=standardize)
    np.testing.assert_allclose(np.asarray(other.params.coef), np.asarray(one.params.coef), atol=1e5 * TOL)
    proba = [np.asarray(jaxlr.predict_proba(f.params, data)) for f, data in ((one, X), (other, shifted))]
    np.testing.assert_allclose(proba[0], proba[1], atol=1e5 * TOL)


@pytest.mark.slow
def test_standardize_equals_fitting_standardized_columns():
    weights = np.stack([S, np.ones(M)])
    got = fit(X, Y, sample_weight=weights, l2=0.1, standardize=True, penalty_factor=np.array([1.0, 2.0, 0.0]))
    for i in range(2):
        scaler = jaxlr.preprocessing.fit_scaler(X, weights[i])
        Z = np.asarray(jaxlr.preprocessing.standardize(X, scaler))
        there = fit(Z, Y, sample_weight=weights[i], l2=0.1, penalty_factor=np.array([1.0, 2.0, 0.0]))
        back = jaxlr.preprocessing.unscale_params(there.params, scaler)
        np.testing.assert_allclose(np.asarray(got.params.coef)[i], np.asarray(back.coef), atol=1e4 * TOL)
        np.testing.assert_allclose(float(got.value[i]), float(there.value), rtol=1e3 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standardize_gives_a_constant_column_the_coefficient_zero(fit_intercept):
    constant = np.column_stack([X, np.full(M, 3.0)])
    init = Params(np.ones(N + 1), np.zeros(()))
    got = fit(constant, Y, l2=np.array([0.0, 0.1]), standardize=True, fit_intercept=fit_intercept, init=init)
    assert np.asarray(got.converged).all()
    assert np.array_equal(np.asarray(got.params.coef)[:, N], np.zeros(2))
    assert_same_models(
        fit(X, Y, l2=np.array([0.0, 0.1]), standardize=True, fit_intercept=fit_intercept),
        jaxlr.Fit(**{**vars(got), "params": Params(got.params.coef[:, :N], got.params.intercept)}),
    )


@pytest.mark.slow
def test_the_answer_does_not_depend_on_the_start():
    starts = Params(np.array([np.zeros(N), np.ones(N), [50.0, -80.0, 1e4], [1e-3] * 3]), np.array([0.0, -3.0, 1e3, 0.0]))
    got = fit(X, Y, l2=0.1, init=starts)
    for i in range(1, 4):
        assert_same_models(*(jax.tree.map(lambda leaf, i=i: leaf[i], got) for i in (0, i)))


@pytest.mark.slow
def test_an_offset_is_a_column_whose_coefficient_is_one():
    # Substituting coef + 1 in the unpenalized problem: the same logits.
    free, moved = fit(X, Y), fit(X, Y, offset=X @ np.ones(N))
    np.testing.assert_allclose(np.asarray(moved.params.coef) + 1, np.asarray(free.params.coef), atol=1e4 * TOL)
    assert bool(moved.converged)


def test_soft_labels_have_their_known_optimum():
    w, b = np.array([0.5, -1.0, 2.0]), 0.3
    soft = np.asarray(jaxlr.sigmoid(X @ w + b))
    got = fit(X, soft)
    np.testing.assert_allclose(np.asarray(got.params.coef), w, rtol=0, atol=1e3 * EPS)
    np.testing.assert_allclose(float(got.params.intercept), b, rtol=0, atol=1e3 * EPS)


def test_an_intercept_alone_is_the_logit_of_the_mean():
    got = fit(np.zeros((15, 0)), np.repeat([1.0, 0.0], [10, 5]))
    assert abs(float(got.params.intercept) - np.log(2)) <= 4 * EPS
    assert 0 <= float(got.gap) <= EPS


def test_a_tolerance_below_the_dtype_ends_at_rounding_with_the_residual_reached():
    got = fit(X, Y, l2=0.1, tol=1e-30)
    assert int(got.status) in (Status.STALLED, Status.CONVERGED)
    assert float(got.kkt) <= 10 * EPS


def test_a_step_limit_is_named():
    assert np.asarray(fit(X, Y, l2=L2, max_steps=1).status).tolist() == [Status.MAX_STEPS] * 4


@pytest.mark.slow
def test_models_that_share_a_large_design_run_without_copies_of_it(monkeypatch):
    # Without the products, sharing lanes must loop, not copy X; the answer is the same.
    expected = fit(X, Y, sample_weight=FOLDS[:, None], l2=L2)
    monkeypatch.setattr("jaxlr.batching.strategy._PRODUCTS_BYTES", 0)
    jax.clear_caches()
    got = fit(X, Y, sample_weight=FOLDS[:, None], l2=L2)
    jax.clear_caches()
    assert_same_models(got, expected)


@pytest.mark.slow
def test_large_designs_one_after_the_other_are_the_same_models(monkeypatch):
    designs, labels = np.stack([X, 2 * X, X - 1]), np.stack([Y, 1 - Y])[:, None]
    expected = fit(designs, labels, l2=0.1)
    monkeypatch.setattr("jaxlr.batching.strategy._CACHE", 0)
    jax.clear_caches()
    got = fit(designs, labels, l2=0.1)
    jax.clear_caches()
    assert got.kkt.shape == (2, 3)
    assert_same_models(got, expected)


@pytest.mark.slow
def test_what_the_caller_writes_into_his_arrays_afterwards_does_not_count():
    rng = np.random.default_rng(10)
    m, n = 2000, 60
    memory = np.empty(m * n + 8)
    design = memory[-memory.ctypes.data % 64 // 8 :][: m * n].reshape(m, n)  # so aligned JAX reads it where it lies
    assert design.ctypes.data % 64 == 0
    original = rng.normal(size=(3, m, n))
    labels = (original[:, :, 0] + rng.logistic(size=(3, m)) > 0).astype(float)
    fits = []
    for X_, y_ in zip(original, labels, strict=True):
        design[:] = X_
        fits.append(fit(design, y_, l2=1e-3))
    for got, X_, y_ in zip(fits, original, labels, strict=True):
        assert_same_models(got, fit(X_, y_, l2=1e-3), k=1e3)


def count_traces(function):
    """How often jit traces the solver while the function runs."""
    calls = []
    original = jaxlr.batching.lanes.solution_of

    def counting(*arguments):
        calls.append(1)
        return original(*arguments)

    jaxlr.batching.lanes.solution_of = counting
    try:
        function()
    finally:
        jaxlr.batching.lanes.solution_of = original
    return len(calls)


@pytest.mark.slow
def test_new_values_never_retrace():
    options = {"max_steps": 193}  # that no other test has
    assert count_traces(lambda: fit(X, Y, sample_weight=FOLDS[:, None], l2=L2, **options)) > 0
    again = lambda: fit(X + 1, 1 - Y, sample_weight=FOLDS[:, None] * 2, l2=L2 * 3, tol=1e-9, **options)  # noqa: E731
    assert count_traces(again) == 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype):
    got = fit(X.astype(dtype), Y, sample_weight=S, offset=np.zeros(M), l2=L2)
    assert {leaf.dtype for leaf in (*got.params, got.value, got.kkt, got.gap)} == {np.dtype(dtype)}
    assert {got.status.dtype, got.num_steps.dtype} == {np.dtype(np.int32)}
    assert np.asarray(got.converged).all()


@pytest.mark.parametrize("dtype", [np.int32, bool, np.float16])
def test_other_dtypes_of_x_become_the_default_float(dtype):
    assert fit((X > 0).astype(dtype), Y, l2=0.1).kkt.dtype == jnp.result_type(float)


@pytest.mark.slow
def test_the_text_of_a_fit_lists_failures_first():
    text = str(fit(X, np.stack([Y, (X[:, 0] > 0).astype(float)]), max_steps=60))
    lines = text.splitlines()
    assert lines[0] == "2 models by newton, shape (2,): 1 converged"
    assert lines[1].startswith("  1 SEPARATED at (1,)")
    assert "add a penalty" in lines[1]
    assert "worst kkt" in lines[2]


def test_raise_on_failure_says_how_many_where_and_what_to_do():
    jaxlr.raise_on_failure(fit(X, Y, l2=L2))
    with pytest.raises(jaxlr.SolverError, match=r"4 of 4 models did not converge:\n  4 MAX_STEPS at \(0,\), .*raise max_steps"):
        jaxlr.raise_on_failure(fit(X, Y, l2=L2, max_steps=1))


def test_a_traced_fit_still_has_a_text():
    seen = []
    jax.jit(lambda y: seen.append(str(fit(X, y, l2=0.1))))(Y)
    assert seen == ["Fit(newton, traced)"]


BAD = {
    "NaN in X": ({"X": np.where(np.arange(M)[:, None] == 7, np.nan, X)}, "got column 0 has 1 missing value, first at row 7"),
    "inf in offset": ({"offset": np.full(M, np.inf)}, "expected finite offset"),
    "NaN in every member": ({"y": np.full((2, M), np.nan)}, "expected finite y"),
    "labels -1 and 1": ({"y": 2 * Y - 1}, r"expected labels 0/1 .*got values from -1.0 to 1.0; pass y == 1.0"),
    "labels 1 and 2": ({"y": Y + 1}, "expected labels"),
    "one class": ({"y": np.ones(M)}, "expected both classes .*got only y = 1"),
    "one class in every member": ({"y": np.zeros((2, M))}, "expected both classes .*got only y = 0"),
    "no weight": ({"sample_weight": np.zeros(M)}, "weights that are all 0"),
    "negative weight": ({"sample_weight": -np.ones(M)}, "expected sample_weight >= 0, got -1"),
    "negative l2": ({"l2": np.array([0.1, -0.1])}, "expected l2 >= 0, got -0.1"),
    "negative penalty factor": ({"penalty_factor": -np.ones(N)}, "expected penalty_factor >= 0"),
    "negative l1": ({"l1": -0.1}, "expected l1 >= 0, got -0.1"),
    "l1 for a smooth solver": ({"l1": 0.1, "solver": "newton"}, 'for solver "newton", got an l1; use "proximal"'),
    "transposed y": ({"y": np.stack([Y, Y], 1)}, r"look transposed, pass y.T"),
    "y as a column": ({"y": Y[:, None]}, r"pass np.ravel\(y\)"),
    "short y": ({"y": Y[:-1]}, r"expected y \(..., m\) with last axis 40 to match X \(40, 3\), got shape \(39,\)"),
    "X of rank 1": ({"X": X[:, 0]}, r"expected X with at least 2 axes, \(..., m, n\), got shape \(40,\)"),
    "no rows": ({"X": np.zeros((0, 3)), "y": np.zeros(0)}, "at least one row"),
    "no columns and no intercept": ({"X": np.zeros((M, 0)), "fit_intercept": False}, "a column or an intercept"),
    "clashing batch axes": (
        {"y": np.stack([Y, Y]), "l2": np.ones(3)}, r"batch axes that broadcast against each other, got y \(2,\), l2 \(3,\)"
    ),
    "an empty batch": ({"l2": np.zeros(0)}, "at least one model"),
    "unknown solver": ({"solver": "lbfgs"}, "expected solver"),
    "tol of 0": ({"tol": 0.0}, "expected tol"),
    "no steps": ({"max_steps": 0}, "expected max_steps"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_what_was_expected_and_what_came(case):
    changes, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        fit(**({"X": X, "y": Y} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.where(Y > 0, "yes", "no")}, "expected y to be a real array, got dtype <U3; pass y == 'yes'"),
        ({"X": X.astype(complex)}, "expected X to be a real array"),
    ],
)
def test_wrong_types_are_refused(changes, message):
    with pytest.raises(TypeError, match=message):
        fit(**({"X": X, "y": Y} | changes))


def test_concrete_arguments_are_checked_inside_jit_and_vmap_too():
    with pytest.raises(ValueError, match="expected l2 >= 0"):
        jax.jit(lambda y: fit(X, y, l2=-1.0).kkt)(Y)
    with pytest.raises(ValueError, match="expected finite X"):
        jax.vmap(lambda l2: fit(X * np.nan, Y, l2=l2).kkt)(L2)


def test_what_jit_cannot_check_becomes_a_status():
    poisoned = Y.copy()
    poisoned[0] = np.nan
    fitted = jax.jit(lambda y: fit(X, y, l2=0.1))
    assert int(fitted(poisoned).status) == Status.NONFINITE
    assert int(fitted(np.ones(M)).status) == Status.INVALID


def run_in_float32(code):
    return subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True, timeout=300)


@pytest.mark.slow
def test_without_x64_float64_data_warn_once_and_name_the_line():
    code = "import numpy as np, jaxlr; X = np.arange(8.0)[:, None]; y = np.arange(8) % 2\n"
    code += "for _ in range(2): print(jaxlr.fit(X, y, l2=0.1).kkt.dtype)"
    done = run_in_float32(code)
    assert done.stdout.split() == ["float32", "float32"]
    assert done.stderr.count("jax_enable_x64") == 1


@pytest.mark.slow
def test_importing_jaxlr_changes_nothing_and_imports_nothing_optional():
    code = "import sys, jax; before = jax.config.jax_enable_x64; import jaxlr\n"
    code += "print(before == jax.config.jax_enable_x64, any(m in sys.modules for m in ('matplotlib', 'sklearn', 'pandas')))"
    assert run_in_float32(code).stdout.split() == ["True", "False"]


@pytest.mark.slow
def test_the_residual_of_a_lane_far_from_the_shared_center_is_its_own():
    rng, group = np.random.default_rng(1), np.arange(200) % 2
    spread = 0.01 * rng.normal(size=200)
    design = np.c_[spread + 10 * group, rng.normal(size=200)].astype(np.float32)
    labels = (rng.random(200) < 1 / (1 + np.exp(-200 * spread))).astype(np.float32)
    weights = np.stack([group == 0, group == 1]).astype(np.float32)
    got = fit(design, labels, sample_weight=weights)  # 10 away, 0.01 wide: float32 has no digits left for one of the lanes
    far = int(np.argmax(got.kkt))
    problem = Problem(design, labels, sample_weight=weights[far])
    exact = jaxlr.kkt_residual(Params(got.params.coef[far], got.params.intercept[far]), problem)
    assert int(got.status[far]) == Status.STALLED
    np.testing.assert_allclose(got.kkt[far], exact, rtol=0.1)  # of what rounding leaves of the parameters


@pytest.mark.slow
def test_a_member_whose_weights_become_nan_leaves_the_others_bit_for_bit():
    weights = np.stack([np.arange(M) < M // 2, np.arange(M) >= M // 2]).astype(float)
    clean = fit(X, Y, sample_weight=weights, l2=1e-2)
    weights[1] = np.nan
    got = fit(X, Y, sample_weight=weights, l2=1e-2)
    assert np.asarray(got.status).tolist() == [Status.CONVERGED, Status.NONFINITE]
    assert np.array_equal(got.params.coef[0], clean.params.coef[0])
