"""At the edges of what numbers can be a stream still is the fit of all rows, and what it refuses it refuses in words."""

import numpy as np
import pytest

from jaxlr import Params, Problem, SoftmaxParams, Status, fit, fit_stream, kkt_residual, score_stream
from jaxlr.streaming import from_arrays, run
from jaxlr.streaming.blocks import Reader
from jaxlr.streaming.first import center_and_unit, first_pass
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2))
Y = (X[:, 0] + RNG.logistic(size=200) > 0).astype(float)
NARROW = X.astype(np.float32)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_no_unit_of_a_column_overflows_or_vanishes(fit_intercept):
    """Squares did: units were 0 under 1e-162 and inf beyond 1e154."""
    powers = np.array([0, 500, 1000, -500, -1000])
    Z = np.ldexp(X[:, :1] + 3, powers)
    moments = first_pass(Reader(from_arrays(Z, Y), None).rows(64), lambda n, weights: 64, fit_intercept).moments
    center, unit = (np.ldexp(part, -powers) for part in center_and_unit(moments, fit_intercept))
    rounding = 8 * np.finfo(float).eps  # of sums of 200 numbers
    np.testing.assert_allclose(center, Z[:, 0].mean() if fit_intercept else 0, rtol=rounding)
    np.testing.assert_allclose(unit, Z[:, 0].std() if fit_intercept else np.sqrt(np.mean(Z[:, 0] ** 2)), rtol=rounding)


@pytest.mark.parametrize("power", quick([-700, 700], -700))
def test_columns_of_any_scale_have_the_estimates_of_fit(power):
    """One far below 1 was taken for constant where penalties are in deviations, CONVERGED; one far above was NONFINITE."""
    Z = X * np.ldexp(1.0, [0, power])
    found, wanted = (
        call(l2=0.1, standardize=True) for call in (lambda **k: fit_stream(from_arrays(Z, Y), **k), lambda **k: fit(Z, Y, **k))
    )
    assert found.converged and wanted.converged  # noqa: PT018
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, rtol=1e-9)  # curvatures of 0.2, residuals under 1e-10


@pytest.mark.slow
def test_a_member_without_weight_is_invalid_as_in_fit_and_divides_nothing_by_0():
    weights = np.stack([np.ones(200), np.zeros(200)])
    found, wanted = fit_stream(from_arrays(X, Y, sample_weight=weights), l2=0.1), fit(X, Y, sample_weight=weights, l2=0.1)
    assert found.status.tolist() == wanted.status.tolist() == [Status.CONVERGED, Status.INVALID]
    assert np.isinf(found.gap).tolist() == [False, True]  # no bound can be given


@pytest.mark.parametrize("l2", [1e-50, 1e39, [0.1, 1e-50]])
def test_a_strength_that_the_results_cannot_hold_is_refused(l2):
    """1e-50 was 0 in float32: an estimate without a penalty was handed back."""
    with pytest.raises(ValueError, match="expected l2 that float32 can hold, 0 or from"):
        fit_stream(from_arrays(NARROW, Y), l2=l2)


def test_axes_that_do_not_fit_are_named():
    for bounds in ({"upper": np.ones((3, 2))}, {"penalty_factor": np.full((3, 2), np.inf)}):
        with pytest.raises(
            ValueError, match=r"expected batch axes that broadcast against each other, got .*lower \(2,\).*; \[:, N"
        ):
            fit_stream(from_arrays(X, Y), lower=np.zeros((2, 2)), **bounds)
    with pytest.raises(ValueError, match=r"broadcast against each other, got the models \(3,\), sample_weight \(2,\)"):
        score_stream(Params(np.ones((3, 2)), np.zeros(3)), from_arrays(X, Y, sample_weight=np.ones((2, 200))))
    with pytest.raises(ValueError, match=r"expected y with 200 rows as X has, got shape \(\)"):
        from_arrays(X, 1.0)


@pytest.mark.slow
def test_bounds_that_are_none_keep_their_axes():
    """The batch of -inf (3, n) was one model."""
    none = np.full((3, 2), -np.inf)
    found = fit_stream(from_arrays(X, Y), l2=0.1, lower=none)
    assert found.status.shape == fit(X, Y, l2=0.1, lower=none).status.shape == (3,)
    assert found.converged.all()


def level_of_one_class(seed: int, base: float) -> tuple[np.ndarray, np.ndarray]:
    """A level of four rows, all of the rarer class, that no row of a small sample has: nothing else is separated."""
    rng = np.random.default_rng(seed)
    rare = rng.normal(size=(4_000, 2))
    rare[:, 1] = 0
    rare[rng.choice(4_000, 4, replace=False), 1] = 1
    return rare, (rare[:, 0] + base + rng.logistic(size=4_000) > 0) | (rare[:, 1] > 0)


@pytest.mark.parametrize("case", [(10, -4), *(pytest.param(c, marks=pytest.mark.slow) for c in ((1, -4), (5, -5), (8, -5)))])
def test_a_separation_that_the_sample_has_not_is_seen(monkeypatch, case):
    """Newton's step to such a level is one of 1 / p logits. Where it was taken the rows of the level were saturated, and what
    jitter alone held up was CONVERGED; where it was too long it became shorter by a thousandth a pass, up to MAX_STEPS."""
    monkeypatch.setattr(run, "_SAMPLE", 300)
    monkeypatch.setattr(run, "_SMALL_SAMPLE", 300)
    found = fit_stream(from_arrays(*level_of_one_class(*case), rows=1_000), tol=1e-8)
    assert Status(int(found.status)) == Status.SEPARATED
    assert int(found.num_steps) < 30


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 2])
def test_a_start_that_saturates_a_level_makes_no_column_dependent(classes):
    """It was refused as in the span of others."""
    rows, y = level_of_one_class(1, -4)
    y[np.flatnonzero(rows[:, 1])[0]] = False  # so that an estimate exists
    coef, intercept = np.array([1.0, 50.0]), np.array(-4.0)
    init = Params(coef, intercept)
    if classes:
        init = SoftmaxParams(np.array([-coef, coef]) / 2, np.array([-intercept, intercept]) / 2)
    found = fit_stream(from_arrays(rows, y, rows=1_000), init=init, num_classes=classes)
    wanted = fit(rows, y, num_classes=classes)
    assert found.converged
    np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-6)  # tol over the share 1e-3 of the level


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["ridge", "lasso"])
def test_the_evidence_of_classes_in_float32_is_that_of_the_numbers_handed_back(monkeypatch, penalty):
    """They were rounded once more than those that a pass had judged, and their residual was another, over tol at times."""
    monkeypatch.setattr(run, "_SAMPLE", 100)
    monkeypatch.setattr(run, "_SMALL_SAMPLE", 100)
    strength = {name: np.float32(value) for name, value in {"ridge": {"l2": 1e-3}, "lasso": {"l1": 1e-3}}[penalty].items()}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        standard = rng.normal(size=(300, 2))
        y = np.argmax(standard @ rng.normal(size=(2, 3)) + rng.gumbel(size=(300, 3)), axis=1)
        far = (standard * [1, 0.1] + 50).astype(np.float32)
        found = fit_stream(from_arrays(far, y, rows=100), num_classes=3, tol=1e-9, max_steps=6, **strength)
        params = SoftmaxParams(*(np.asarray(part, float) for part in found.params))
        problem = Problem(far.astype(float), y, **{name: value.astype(float) for name, value in strength.items()})
        np.testing.assert_allclose(found.kkt, kkt_residual(params, problem), rtol=1e-4)  # 300 rounded by eps of logits, 1e-12


def test_rows_of_little_weight_forbid_a_separation():
    """Not separated, by linear programming: steps of a logit each improve all rows but one, of the weight 2e-10."""
    X = np.array([[-2.0, -2], [-2, -1], [2, 2], [1, -2], [1, 1], [0, -2], [0, 0], [-2, 1]])
    s = np.array([1.7579e-10, 4.5165e-2, 1.4437e-2, 4.373e-11, 2.9306e-7, 4.9858e-9, 1.3008e-8, 1.5153e-3])
    found = fit_stream(from_arrays(X, np.array([0, 1, 0, 1, 1, 1, 1, 1]), sample_weight=s))
    assert Status(int(found.status)) in (Status.CONVERGED, Status.STALLED)
