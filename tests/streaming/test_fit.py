"""Streamed fits are those of `fit` on all rows: estimates, evidence and statuses, however the rows are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, Status, duality_gap, fit, fit_stream, kkt_residual, loss
from jaxlr.datasets import breast_cancer
from jaxlr.linalg.dense import triangle
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.penalty import Penalty
from jaxlr.streaming import from_arrays, passes, run
from jaxlr.streaming.carried import two_sum
from jaxlr.streaming.checks import check_independent
from jaxlr.streaming.points import Model
from jaxlr.streaming.resamples import Resamples, resample_weights
from jaxlr.streaming.rows import _log1p, of_rows
from jaxlr.streaming.sums import Sums
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

DATA = breast_cancer()
X, Y = (DATA.X - DATA.X.mean(axis=0)) / DATA.X.std(axis=0) * 3 + 2, DATA.y
M = len(Y)
THREE = np.digitize(X[:, 0] + X[:, 3], np.quantile(X[:, 0] + X[:, 3], [0.3, 0.7]))
RNG = np.random.default_rng(0)
EPS = np.finfo(np.float64).eps
WEIGHT = RNG.integers(0, 4, M).astype(float)
OFFSET = RNG.normal(size=M)


def cut(rows, X=X, y=Y, **fields):
    """Blocks of so many rows."""
    whole = {"X": X, "y": y, **fields}

    def blocks():
        for start in range(0, len(X), rows):
            yield {
                name: value[start : start + rows] if name == "X" else value[..., start : start + rows]
                for name, value in whole.items()
            }

    return blocks


@pytest.fixture(params=[2**14, 128], ids=["all rows sampled", "a few rows sampled"])
def sampled(request, monkeypatch):
    """Where the start is the answer already, and where steps have to be taken."""
    monkeypatch.setattr(run, "_SAMPLE", request.param)
    return request.param


CASES = {
    "ridge path": {"l2": np.array([1.0, 0.1, 0.01])},
    "lasso": {"l1": 0.02},
    "elastic net": {"l1": np.array([0.05, 0.01]), "l2": 0.02, "penalty_factor": np.linspace(0.5, 2, 30)},
    "bounds": {"l2": 0.01, "lower": 0.0, "upper": 0.2},
    "standardized": {"l2": 0.05, "standardize": True},
    "no intercept": {"l2": 0.05, "fit_intercept": False},
    "some unpenalized": {"l2": 0.05, "penalty_factor": np.r_[0, 0, np.ones(28)]},
}


@pytest.mark.parametrize("name", quick(CASES, "ridge path"))
def test_a_streamed_fit_is_that_of_all_rows(name, sampled):
    arguments = CASES[name]
    found, wanted = fit_stream(cut(100), **arguments), fit(X, Y, **arguments)
    assert found.converged.all() and wanted.converged.all()  # noqa: PT018
    # Both have squared an error under tol at least once: what is left is rounding, over curvatures of 1e-3 and more.
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.params.intercept, wanted.params.intercept, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-13)
    assert (np.asarray(found.params.coef) == 0).tolist() == (np.asarray(wanted.params.coef) == 0).tolist()
    assert np.max(found.kkt) <= 1e-10
    assert np.array_equal(np.isinf(found.gap), np.isinf(wanted.gap))
    # The last step is proved: with kinks the gap keeps some of that before.
    assert np.max(np.where(np.isinf(found.gap), 0, found.gap)) <= (1e-15 if name not in ("lasso", "bounds") else 1e-11)
    assert np.max(found.num_passes) <= (3 if sampled > M else 14)  # from 0 where too few rows are sampled
    assert np.array_equal(found.to_dict()["num_passes"], found.num_passes)


@pytest.mark.slow
def test_no_bit_depends_on_how_the_rows_were_cut(sampled):
    found = [fit_stream(cut(rows), l2=0.1) for rows in (1, 7, 1000)]
    assert np.array_equal(found[0].params.coef, found[1].params.coef)
    assert np.array_equal(found[0].params.coef, found[2].params.coef)
    assert float(found[0].kkt) == float(found[1].kkt) == float(found[2].kkt)


@pytest.mark.slow
@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_three_classes(l1, sampled):
    arguments = {"num_classes": 3, "l1": l1, "l2": 0.05}
    found, wanted = fit_stream(cut(64, y=THREE), **arguments), fit(X, THREE, **arguments)
    assert bool(found.converged) and bool(wanted.converged)  # noqa: PT018
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.params.intercept, wanted.params.intercept, rtol=1e-9, atol=1e-10)
    assert float(found.gap) <= 1e-15


@pytest.mark.slow
def test_weights_offsets_and_many_targets_come_from_the_blocks(sampled):
    targets = np.stack([Y, 1 - Y, RNG.integers(0, 2, M)])
    weights = np.stack([WEIGHT, 1.0 * (RNG.random(M) > 0.3)])[:, None]
    blocks = cut(50, y=targets, sample_weight=weights, offset=OFFSET)
    found = fit_stream(blocks, l2=0.1)
    wanted = fit(X, targets, sample_weight=weights, offset=OFFSET, l2=0.1)
    assert found.status.shape == (2, 3) and found.converged.all()  # noqa: PT018
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-13)


@pytest.mark.slow
def test_the_evidence_is_that_of_the_parameters_handed_back(sampled):
    """Also where they are far from the minimum, after a single step: the bound holds, and is the loss's own."""
    found = fit_stream(cut(100), l1=0.02, l2=0.01, max_steps=1)
    problem, best = Problem(X, Y, l1=0.02, l2=0.01), fit(X, Y, l1=0.02, l2=0.01)
    params = Params(found.params.coef, found.params.intercept)
    np.testing.assert_allclose(found.value, loss(params, problem), rtol=1e-13)
    np.testing.assert_allclose(found.kkt, kkt_residual(params, problem), rtol=1e-6, atol=1e-14)
    assert float(found.value - best.value) <= float(found.gap) + 1e-15  # rounding of J
    assert float(found.gap) <= 10 * float(duality_gap(params, problem)) + 1e-15
    if sampled < M:
        assert Status(int(found.status)) == Status.MAX_STEPS


PROVED = {
    "loose": (5, {"l2": 0.01, "tol": 1e-3}),
    "ridge": (6, {"l2": 0.01}),
    "three classes": (5, {"l2": 0.01, "num_classes": 3}),
    "float32": (6, {"l2": 0.01, "X": X[:, :6].astype(np.float32)}),
    "lasso": (6, {"l1": 0.01}),
    "weights and an offset": (7, {"l2": 0.01, "sample_weight": WEIGHT, "offset": OFFSET}),
}


@pytest.mark.parametrize("name", quick(PROVED, "loose"))
def test_a_last_step_that_no_pass_has_seen_has_bounds_for_its_evidence(monkeypatch, name):
    """One pass fewer than where the last point is seen."""
    monkeypatch.setattr(run, "_SAMPLE", 256)
    most, options = PROVED[name]
    given = {"X": X[:, :6], "y": THREE if name == "three classes" else Y} | options
    rows = {key: given.pop(key) for key in ("X", "y", "sample_weight", "offset") if key in given}
    found = fit_stream(cut(100, **rows), **given)
    assert found.converged
    assert int(found.num_passes) <= most
    tol = given.pop("tol", 1e-5 if name == "float32" else 1e-10)
    classes = {"num_classes": given.pop("num_classes")} if "num_classes" in given else {}
    wide = {key: value.astype(float) for key, value in rows.items()}
    wanted = fit(**wide, **given, **classes)
    problem = Problem(**wide, **{key: np.asarray(value, found.kkt.dtype).astype(float) for key, value in given.items()})
    params = jax.tree.map(lambda part: np.asarray(part, float), found.params)
    eps = float(jnp.finfo(found.kkt.dtype).eps)
    assert float(kkt_residual(params, problem)) <= (1 + 4 * eps) * float(found.kkt) + 1e-15  # sums of another order
    assert float(found.kkt) <= tol
    away = float(loss(params, problem)) - float(loss(wanted.params, problem))
    assert -1e-15 <= away <= float(found.gap) + 1e-15
    np.testing.assert_allclose(found.value, loss(params, problem), rtol=max(eps, (tol / 10) ** 1.5 / 24, 1e-14))


@pytest.mark.slow
def test_many_models_take_the_hessian_of_the_sample_along(monkeypatch):
    """A chord needs more passes than Newton's method, and comes to the same."""
    monkeypatch.setattr(passes, "_CHEAP", 0)
    monkeypatch.setattr(run, "_SAMPLE", 400)
    l2 = np.geomspace(1, 0.05, 5)
    found, wanted = fit_stream(cut(100), l2=l2), fit(X, Y, l2=l2)
    assert found.converged.all()
    # kkt <= tol = 1e-10 over a curvature of 1e-2 at least
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-8)
    assert np.max(found.gap) <= 1e-15


@pytest.mark.slow
def test_a_chord_that_does_not_serve_gives_way_to_newton_s_method(monkeypatch):
    """The Hessians of 150 rows of 30 columns, with next to no penalty, are no others'."""
    monkeypatch.setattr(passes, "_CHEAP", 0)
    monkeypatch.setattr(run, "_SAMPLE", 300)
    found, wanted = fit_stream(cut(100), l2=np.array([0.1, 1e-3])), fit(X, Y, l2=np.array([0.1, 1e-3]))
    assert found.converged.all()
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-8, atol=1e-7)  # tol over a curvature of 1e-3
    assert np.max(found.num_passes) <= 20


def test_logarithms_of_a_pass_keep_their_digits():
    e = np.r_[0, np.geomspace(1e-300, 1, 1000)]
    np.testing.assert_allclose(_log1p(jnp.asarray(e)), np.log1p(e), rtol=4 * np.finfo(float).eps)


def test_sums_over_many_blocks_lose_no_digits():
    """TwoSum: what plain sums lose of 1 + 1e-16 + ..., of which each is less than half an eps."""
    parts = np.r_[1.0, np.full(1000, 1e-16)]
    total, rounding = np.zeros(1), np.zeros(1)
    for part in parts:
        total, rest = jax.jit(two_sum)(total, np.array([part]))
        rounding = rounding + rest
    assert float((total + rounding)[0]) == 1 + 1e-13


@pytest.mark.slow
def test_separated_rows_have_no_estimate():
    x = np.arange(40.0)[:, None]
    y = (x[:, 0] > 20).astype(int)
    assert Status(int(fit_stream(cut(7, X=x, y=y)).status)) == Status.SEPARATED
    quasi = np.r_[y, 0, 1]
    assert Status(int(fit_stream(cut(7, X=np.r_[x, [[20.5]], [[20.5]]], y=quasi)).status)) == Status.SEPARATED


@pytest.mark.slow
def test_an_estimate_without_penalty_is_that_of_fit():
    """The remission data, Lee 1974; estimates without a penalty."""
    x = X[:, [1, 4, 8]]
    found, wanted = fit_stream(cut(64, X=x)), fit(x, Y)
    assert bool(found.converged) and bool(wanted.converged)  # noqa: PT018
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9)
    assert np.isinf(float(found.gap))


@pytest.mark.slow
def test_float32_blocks_are_summed_in_float64_and_the_results_are_their_own_evidence(sampled):
    narrow = X.astype(np.float32)
    found = fit_stream(cut(100, X=narrow), l2=0.1)
    assert found.params.coef.dtype == found.kkt.dtype == np.float32
    assert bool(found.converged)
    wanted = fit(narrow.astype(np.float64), Y, l2=np.float32(0.1).astype(float))
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=2e-7)  # one rounding to float32 of about 1
    with jax.enable_x64(False):
        again = fit_stream(cut(100, X=narrow), l2=0.1)
    assert np.array_equal(found.params.coef, again.params.coef)


@pytest.mark.slow
def test_a_constant_column_and_rows_without_weight_do_not_count(sampled):
    wide = np.c_[X[:, :4], np.full(M, 7.0)]
    weight = np.where(np.arange(M) % 5 == 0, 0.0, 1.0)
    filled = np.where(weight[:, None] > 0, wide, 1e30)
    found = fit_stream(cut(100, X=filled, sample_weight=weight), l2=0.1)
    wanted = fit(wide[weight > 0], Y[weight > 0], l2=0.1)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-12)
    assert float(found.params.coef[-1]) == 0


@pytest.mark.slow
def test_a_member_without_a_class_is_invalid_and_a_call_of_such_is_refused():
    targets = np.stack([Y, np.zeros_like(Y)])
    found = fit_stream(cut(100, y=targets), l2=0.1)
    assert np.asarray(found.status).tolist() == [Status.CONVERGED, Status.INVALID]
    with pytest.raises(ValueError, match=r"got none of \[1\]"):
        fit_stream(cut(100, y=np.zeros(M)), l2=0.1)


def test_a_constant_column_is_named_and_not_the_intercept_that_it_copies():
    """Behind the columns stands that of ones; their sums of products are those of a pass."""
    A = np.column_stack([np.sin(np.arange(9)), np.full(9, 2.0), np.ones(9)])
    packed, one = np.zeros(6), np.ones(1)
    packed[triangle(3)] = A.T @ A
    sums = Sums(loss=one, slope=one, bend=one, chi=one, gram=packed[None], moves=one, falls=one)
    model = Model(Penalty(np.zeros((1, 3)), np.zeros((1, 3))), location=one, scale=one, total=9 * one, rarity=one, norm=one)
    with pytest.raises(ValueError, match="got column 1 in the span of those before it"):
        check_independent(sums, model, 3, 2, np.ones(1, bool), None)


def test_rows_that_follow_each_other_are_dealt_to_the_folds_in_an_order_of_their_own():
    m, folds = 300, 3
    weights = np.asarray(resample_weights(jax.random.key(3), np.arange(m, dtype=np.uint64), Resamples(folds=folds)))
    orders = np.argmin(weights, axis=0).reshape(-1, folds)
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(folds), (m // folds, 1)))
    assert len(np.unique(orders, axis=0)) == 6  # of 100 draws one of the six is missing once in 10^7 keys


@pytest.mark.slow
def test_folds_are_dealt_by_row_number():
    key = jax.random.key(3)
    weights = np.asarray(resample_weights(key, np.arange(M, dtype=np.uint64), Resamples(folds=5)))
    assert np.array_equal(weights.sum(axis=0), np.full(M, 4.0))
    held_out = (1 - weights).sum(axis=1)
    assert held_out.max() - held_out.min() <= 1
    later = np.asarray(resample_weights(key, np.arange(100, 300, dtype=np.uint64), Resamples(folds=5)))
    assert np.array_equal(weights[:, 100:300], later)
    found = fit_stream(cut(100), folds=5, key=key, l2=np.array([1.0, 0.1]))
    wanted = fit(X, Y, sample_weight=weights[:, None], l2=np.array([1.0, 0.1]))
    assert found.status.shape == (5, 2)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)


SOFT_CASES = {
    "ridge path": {"l2": np.array([0.1, 0.01])},
    "none": {},
    "lasso": {"l1": 0.02},
    "bounds": {"l2": 0.01, "lower": -0.1, "upper": 0.2},
}


def _probabilities(m):
    """Of 3 classes: some rows are all of one, some lack one."""
    Y = np.random.default_rng(3).dirichlet(np.full(3, 0.5), size=m)
    Y[:40] = np.eye(3)[THREE[:40]]
    Y[40:80, 1] = 0
    return Y / Y.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", quick(SOFT_CASES, "ridge path"))
def test_soft_labels_of_classes(name, monkeypatch):
    monkeypatch.setattr(run, "_SAMPLE", 128)
    monkeypatch.setattr(run, "_SMALL_SAMPLE", 128)
    soft, arguments = _probabilities(M), SOFT_CASES[name]
    few = X[:, :6]
    blocks = from_arrays(few, soft, sample_weight=WEIGHT, rows=3)  # as many as classes
    found, wanted = (
        fit_stream(blocks, num_classes=3, **arguments),
        fit(few, soft, sample_weight=WEIGHT, num_classes=3, **arguments),
    )
    assert found.converged.all() and wanted.converged.all()  # noqa: PT018
    assert np.all(found.num_passes > 2)  # steps were taken with these sums
    # Both have squared an error under tol at least once: what is left is rounding, over curvatures of 1e-3 and more.
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-10)
    np.testing.assert_allclose(found.value, wanted.value, rtol=64 * EPS)
    problem = Problem(few, soft, WEIGHT, **{"l2": 0.0, **arguments})
    if np.ndim(problem.l2) == 0:
        exact = float(kkt_residual(found.params, problem))
        assert exact <= float(found.kkt) + 64 * EPS


def test_the_distance_of_soft_labels_is_that_of_the_curvature():
    """chi-square of the rows, r' W^+ r, as the duality gap asks for."""
    rng, likelihood = np.random.default_rng(6), Multinomial(3)
    z, soft = rng.normal(size=(3, 5)), rng.dirichlet(np.ones(3), size=5)
    found = of_rows(jnp.asarray(z), jnp.asarray(soft), jnp.ones(5), likelihood)
    p = scipy.special.softmax(z, axis=0)
    r = p - soft.T
    wanted = [r[:, i] @ np.linalg.pinv(np.diag(p[:, i]) - np.outer(p[:, i], p[:, i])) @ r[:, i] for i in range(5)]
    np.testing.assert_allclose(found.chi, wanted, rtol=1e-9)  # what a pseudo-inverse leaves of 16 digits


@pytest.mark.slow
def test_soft_labels_of_as_many_rows_as_classes():
    soft, arguments = _probabilities(M)[[100, 101, 102]], {"num_classes": 3, "l2": 1.0}
    found = fit_stream(lambda: [(X[:3, :2], soft)], **arguments)
    wanted = fit(np.r_[X[:3, :2], X[:1, :2]], np.r_[soft, soft[:1]], sample_weight=np.array([1.0, 1, 1, 0]), **arguments)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=64 * EPS)


@pytest.mark.parametrize(
    ("soft", "match"),
    [
        (lambda Y: Y * 1.1, "probabilities of 3 classes.* in row 0 of block 0"),
        (lambda Y: np.where(np.arange(M)[:, None] == 333, [1.5, -0.5, 0.0], Y), r"got \[1.5, -0.5, 0.0\] in row 33 of block 3"),
        (lambda Y: Y[:, :2], r"y \(..., 100\), got shape \(100, 2\) in block 0 .*; give it the rows of X"),
        (lambda Y: np.where(np.arange(M)[:, None] == 333, np.nan, Y), "finite y, got .*nan.* in row 33 of block 3"),
    ],
)
def test_what_are_no_probabilities(soft, match):
    with pytest.raises(ValueError, match=match):
        fit_stream(from_arrays(X, soft(_probabilities(M)), rows=100), num_classes=3)


@pytest.mark.slow
def test_bootstrap_counts_are_poisson():
    key, m, k = jax.random.key(4), 4000, 50
    counts = np.asarray(resample_weights(key, np.arange(m, dtype=np.uint64), Resamples(samples=k)))
    # Of 200,000 draws: five standard errors of mean and variance, and of the share of 0, exp(-1).
    assert abs(counts.mean() - 1) < 5 / np.sqrt(counts.size)
    assert abs(counts.var() - 1) < 5 * np.sqrt(3 / counts.size)
    assert abs((counts == 0).mean() - np.exp(-1)) < 5 * 0.5 / np.sqrt(counts.size)
    assert abs(np.corrcoef(counts)[0, 1:]).max() < 5 / np.sqrt(m)
    found = fit_stream(cut(100), num_samples=3, key=key, l2=0.1)
    wanted = fit(X, Y, sample_weight=counts[:3, :M], l2=0.1)
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)


@pytest.mark.slow
def test_the_fit_prints_its_passes_and_comes_back_from_a_file(tmp_path):
    found = fit_stream(cut(100), l2=0.1)
    assert "in 2 passes over the rows" in str(found)
    jaxlr.io.save(tmp_path / "fit.npz", found)
    assert jaxlr.io.load(tmp_path / "fit.npz").num_passes == 2


def test_converged_means_that_a_step_more_would_move_no_logit_by_more_than_tol(monkeypatch):
    """Of a small residual the next step may still be of the order of its root."""
    monkeypatch.setattr(run, "_SAMPLE", 128)
    tol, rng = 1e-9, np.random.default_rng(2)
    for _ in range(6):
        Z = rng.normal(size=(400, 3))
        y = (Z @ [1, -1, 0.5] + rng.logistic(size=400) > 0).astype(float)
        found, exact = fit_stream(cut(100, Z, y), tol=tol), fit(Z, y)
        assert found.converged
        away = jaxlr.logits(found.params, Z) - jaxlr.logits(exact.params, Z)
        assert np.max(np.abs(away)) <= 1.1 * tol  # what follows that step is of the order of its square


@pytest.mark.parametrize("tol", [np.ones(1), float("nan"), -1.0, 1j], ids=str)
def test_a_tol_that_is_no_positive_number_is_refused(tol):
    with pytest.raises((TypeError, ValueError), match="expected tol to be one finite number > 0 in float64, got"):
        fit_stream(cut(100), l2=0.1, tol=tol)


@pytest.mark.parametrize("options", [{"l2": 0.01}, *(pytest.param(o, marks=pytest.mark.slow) for o in ({"l1": 0.01}, {}))])
def test_a_cell_far_out_that_the_sample_has_not_costs_a_few_passes_and_no_digit(monkeypatch, options):
    """From the minimum of the sample, where such a row has a loss of millions, there was no way back in 200 passes."""
    monkeypatch.setattr(run, "_SAMPLE", 128)
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(400, 3))
    y = (clean @ [1, -1, 0.5] + rng.logistic(size=400) > 0).astype(float)
    for row in (0, 5, 13, 17):
        far = clean.copy()
        far[row, 0] = (1e6, 1e8)[row % 2] * (1 - 2 * y[row])
        found, wanted = fit_stream(cut(100, far, y), **options), fit(far, y, **options)
        assert found.converged
        assert wanted.converged
        assert int(found.num_passes) <= 25
        np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-9)  # tol over a curvature of 0.1
        np.testing.assert_allclose(found.value, wanted.value, rtol=1e-13)


@pytest.mark.slow
def test_a_factor_of_infinity_leaves_a_column_out():
    factor = np.ones(30)
    factor[[2, 7]] = np.inf
    found = fit_stream(cut(100), l2=0.1, penalty_factor=factor)
    np.testing.assert_allclose(found.params.coef, fit(X, Y, l2=0.1, penalty_factor=factor).params.coef, atol=1e-9)
    assert not np.any(found.params.coef[np.isinf(factor)])
    with pytest.raises(ValueError, match="bounds that allow 0"):
        fit_stream(cut(100), l2=0.1, penalty_factor=factor, lower=0.1)


@pytest.mark.slow
def test_one_class_without_an_intercept_has_its_estimate():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 2)) + 0.5
    found, wanted = fit_stream(cut(50, Z, np.ones(200)), fit_intercept=False), fit(Z, np.ones(200), fit_intercept=False)
    assert found.converged
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-8)
    ones = fit_stream(cut(50, np.abs(Z), np.ones(200)), fit_intercept=False)
    assert Status(int(ones.status)) == Status.SEPARATED


START = {
    "one for all": Params(np.full(30, 0.05), np.zeros(())),
    "each its own": Params(np.linspace(-0.1, 0.1, 60).reshape(2, 30), np.zeros(2)),
}


@pytest.mark.parametrize("name", quick(START, "each its own"))
def test_a_start_changes_no_digit(name):
    strengths = np.array([1.0, 0.1])
    found, wanted = fit_stream(cut(100), l2=strengths, init=START[name]), fit(X, Y, l2=strengths)
    assert found.converged.all()
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)
    again = fit_stream(cut(100), l2=strengths, init=wanted.params)
    assert np.all(again.num_passes == 2)  # the first, and one that sees the minimum
    np.testing.assert_allclose(again.params.coef, wanted.params.coef, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("init", "error", "words"),
    [
        (
            SoftmaxParams(np.zeros((3, 30)), np.zeros(3)),
            TypeError,
            r"expected init to be jaxlr.Params.*, got SoftmaxParams; pass",
        ),
        (Params(np.zeros(29), np.zeros(())), ValueError, r"expected coef of init of shape \(..., 30\), got \(29,\); pass"),
        (Params(np.zeros(30), np.array(np.nan)), ValueError, "expected finite intercept of init, got nan; leave init out"),
        (Params(np.zeros((3, 30)), np.zeros(3)), ValueError, r"batch axes that broadcast .* coef \(3,\)"),
    ],
    ids=["classes", "columns", "numbers", "batch"],
)
def test_a_start_of_other_models_is_refused(init, error, words):
    with pytest.raises(error, match=words):
        fit_stream(cut(100), l2=np.array([1.0, 0.1]), init=init)
