"""Soft labels of several classes: a row with probabilities Y_k is its K copies with labels k and weights Y_k."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, fit

RNG = np.random.default_rng(0)
M, N, K = 40, 3, 4
EPS = np.finfo(float).eps
X = RNG.normal(size=(M, N))
SOFT = RNG.dirichlet(np.ones(K), M)
S = RNG.uniform(0, 2, M)
LABELS = RNG.integers(0, K, M)
COPIES = (np.repeat(X, K, axis=0), np.tile(np.arange(K), M), (S[:, None] * SOFT).ravel())


@pytest.mark.slow
@pytest.mark.parametrize("strengths", [{"l2": 0.05}, {"l1": 0.02}, {}, {"l2": 0.05, "fit_intercept": False}], ids=str)
def test_a_soft_row_is_its_copies(strengths):
    soft = fit(X, SOFT, num_classes=K, sample_weight=S, **strengths)
    copies = fit(*COPIES[:2], num_classes=K, sample_weight=COPIES[2], **strengths)
    assert int(soft.status) == int(copies.status) == Status.CONVERGED
    np.testing.assert_allclose(soft.params.coef, copies.params.coef, rtol=0, atol=1e-8)  # tol 1e-10 over curvatures >= 0.01
    np.testing.assert_allclose(soft.value, copies.value, rtol=16 * EPS)
    if strengths.keys() <= {"l1", "l2"} and strengths:
        assert 0 <= float(soft.gap) <= 1e-12


@pytest.mark.slow
def test_loss_gradient_and_hessian_are_those_of_the_copies():
    params = jaxlr.SoftmaxParams(RNG.normal(size=(K, N)), RNG.normal(size=K))
    soft, copies = Problem(X, SOFT, S, l2=0.1), Problem(*COPIES, l2=0.1)
    np.testing.assert_allclose(jaxlr.loss(params, soft), jaxlr.loss(params, copies), rtol=16 * EPS)
    for one, other, auto in zip(
        jaxlr.gradient(params, soft), jaxlr.gradient(params, copies), jax.grad(jaxlr.loss)(params, soft), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=64 * EPS)
        np.testing.assert_allclose(one, auto, rtol=0, atol=64 * EPS)
    np.testing.assert_allclose(jaxlr.hessian(params, soft), jaxlr.hessian(params, copies), rtol=0, atol=64 * EPS)
    np.testing.assert_allclose(jaxlr.kkt_residual(params, soft), jaxlr.kkt_residual(params, copies), rtol=1e-10)


@pytest.mark.slow
def test_the_gap_bounds_what_is_left_at_any_point():
    problem = Problem(X, SOFT, S, l1=0.01, l2=0.05)
    best = float(fit(X, SOFT, num_classes=K, sample_weight=S, l1=0.01, l2=0.05, tol=1e-13).value)
    for scale in (0.0, 1e-3, 0.1, 1.0, 30.0):
        params = jaxlr.SoftmaxParams(scale * RNG.normal(size=(K, N)), scale * RNG.normal(size=K))
        left = float(jaxlr.loss(params, problem)) - best
        assert left <= float(jaxlr.duality_gap(params, problem)) + 8 * EPS * best


@pytest.mark.slow
def test_one_hot_rows_are_labels_and_batches_and_jit_take_soft_ones():
    hard, soft = (fit(X, y, num_classes=K, l2=0.1) for y in (LABELS, np.eye(K)[LABELS]))
    np.testing.assert_allclose(hard.params.coef, soft.params.coef, rtol=0, atol=1e-9)
    both = np.stack([SOFT, np.eye(K)[LABELS]])
    batch = fit(X, both, num_classes=K, l2=0.1)
    np.testing.assert_allclose(batch.params.coef[1], soft.params.coef, rtol=0, atol=1e-9)
    traced = jax.jit(lambda Y: fit(X, Y, num_classes=K, l2=0.1).params.coef)(SOFT)
    np.testing.assert_allclose(batch.params.coef[0], traced, rtol=0, atol=1e-9)
    grid = fit(X, both[:, None], num_classes=K, l2=[1.0, 0.1])
    np.testing.assert_allclose(grid.params.coef[:, 1], batch.params.coef, rtol=0, atol=1e-9)
    single = fit(X.astype(np.float32), SOFT.astype(np.float32), num_classes=K, l2=0.1)
    assert single.converged
    np.testing.assert_allclose(single.params.coef, traced, rtol=0, atol=1e-3)  # tol 1e-5 over the curvature 0.1
    assert int(jax.jit(lambda Y: fit(X, Y, num_classes=K, l2=0.1).status)(2 * SOFT)) == Status.INVALID


@pytest.mark.slow
def test_standard_errors_of_soft_rows_are_those_of_their_copies():
    soft, copies = fit(X, SOFT, num_classes=K, sample_weight=S), fit(*COPIES[:2], num_classes=K, sample_weight=COPIES[2])
    found = jaxlr.inference.standard_errors(soft, Problem(X, SOFT, S))
    wanted = jaxlr.inference.standard_errors(copies, Problem(*COPIES))
    np.testing.assert_allclose(found.coef[1:], wanted.coef[1:], rtol=1e-8)


def test_what_is_no_probabilities_is_refused():
    with pytest.raises(ValueError, match=r"whose rows sum to 1, got 2 in row 0, off by 1; divide by the sums"):
        fit(X, 2 * SOFT, num_classes=K, l2=0.1)
    with pytest.raises(ValueError, match="expected soft labels >= 0"):
        fit(X, SOFT - 0.5, num_classes=K, l2=0.1)
    with pytest.raises(ValueError, match=r"expected all 4 classes .* got none of \[2\]"):
        fit(X, np.eye(K)[np.where(LABELS == 2, 0, LABELS)], num_classes=K, l2=0.1)
    with pytest.raises(ValueError, match="got soft labels; pass folds=10 and a key"):
        jaxlr.cross_validate(X, SOFT, num_classes=K, l2=0.1, folds="loo")
