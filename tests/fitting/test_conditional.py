"""Conditional fits against statsmodels, R and Stata, pairs against their differences, and batches against loops."""

import functools
import json
import math
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Problem, Status, fit_conditional, inference
from tests.helpers import memory_bound, quick
from tests.reference.conditional import HERE, PUBLISHED, SETS, load

pytestmark = pytest.mark.usefixtures("x64")

EPS = np.finfo(float).eps
TOL = 1e-10  # of a fit in float64, on the KKT residual


@functools.cache
def reference(name):
    data = load(name)
    X, y, strata, offset = data["X"], data["y"], data["strata"], data.get("offset")
    expected = json.loads((HERE / "conditional.json").read_text())[name]
    return fit_conditional(X, y, strata, offset=offset), Problem(X, y, offset=offset, strata=strata), expected


def sets(num_strata=30, rows=5, n=2, seed=0):
    """A design, labels with at least a case and a control in each stratum, and strata."""
    rng = np.random.default_rng(seed)
    strata = np.repeat(np.arange(num_strata), rows)
    X = rng.normal(size=(len(strata), n)) + rng.normal(size=num_strata)[strata, None]
    y = rng.integers(0, 2, len(strata))
    y[::rows], y[1::rows] = 1, 0
    return X, y, strata


def close(found, expected, atol=1e3 * EPS):
    """Two fits of the same models, whose steps end next to the root of the gradient."""
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.params.coef, expected.params.coef, rtol=0, atol=atol)
    np.testing.assert_allclose(found.value, expected.value, rtol=0, atol=100 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(SETS, "infert", "lbw_race", "stata_2d"))
def test_estimates_errors_and_likelihoods_are_those_of_statsmodels(name):
    fit, problem, expected = reference(name)
    assert fit.solver == "conditional"
    assert bool(fit.converged)
    N = len(problem.y)
    # Both are roots of a score; differences of it of order 4 make its errors.
    np.testing.assert_allclose(fit.params.coef, expected["coef"], rtol=1e-10)
    np.testing.assert_allclose(inference.standard_errors(fit, problem).coef, expected["standard_error"], rtol=1e-8)
    np.testing.assert_allclose(-N * fit.value, expected["log_likelihood"], rtol=1e-12)
    table = inference.summary(fit, problem)
    np.testing.assert_allclose(table.goodness.log_likelihood, expected["log_likelihood"], rtol=1e-12)
    if problem.offset is None:  # statsmodels' null leaves the offset where it is, too, but its own function adds it
        np.testing.assert_allclose(table.goodness.null_log_likelihood, expected["null_log_likelihood"], rtol=1e-12)


@pytest.mark.parametrize("name", quick(PUBLISHED, "infert"))
def test_estimates_are_those_printed_by_r_and_stata(name):
    fit, problem, _ = reference(name)
    for key, found in (("coef", fit.params.coef), ("standard_error", inference.standard_errors(fit, problem).coef)):
        digits = 5e-5 if name == "infert" else 1e-6  # half a unit of the last digit; Stata's seven digits
        np.testing.assert_allclose(found, PUBLISHED[name][key], rtol=0, atol=digits)


@pytest.mark.slow
def test_the_ratio_of_infert_is_that_of_r_with_and_without_its_problem():
    fit, problem, _ = reference("infert")
    null = fit_conditional(problem.X[:, :0], problem.y, load("infert")["strata"])
    assert null.params.coef.shape == (0,)
    for smaller in (None, replace(problem, X=problem.X[:, :0])):
        test = inference.likelihood_ratio(fit, null, problem, smaller_problem=smaller)
        assert test.df == 2
        assert abs(float(test.statistic) - PUBLISHED["infert"]["ratio"]) < 5e-3


@pytest.mark.slow
def test_pairs_are_the_differences_of_pairs_without_an_intercept():
    X, _, strata = sets(40, 2, 3)
    y = np.tile([1, 0], 40)
    fit, problem = fit_conditional(X, y, strata), Problem(X, y, strata=strata)
    turn = np.tile([1, -1], 20)  # half of the differences turned round, so that both labels are there
    D, labels = (X[::2] - X[1::2]) * turn[:, None], turn == 1
    other, rows = jaxlr.fit(D, labels, fit_intercept=False), Problem(D, labels, fit_intercept=False)
    np.testing.assert_allclose(fit.params.coef, other.params.coef, rtol=0, atol=1e3 * EPS)
    np.testing.assert_allclose(80 * fit.value, 40 * other.value, rtol=10 * EPS)
    wald, theirs = inference.wald(fit, problem), inference.wald(other, rows)
    np.testing.assert_allclose(wald.standard_error.coef, theirs.standard_error.coef, rtol=1e-12)
    assert np.isnan(wald.standard_error.intercept)
    R = np.eye(3, 4)
    chi = [float(inference.wald_test(*pair, R).statistic) for pair in ((fit, problem), (other, rows))]
    np.testing.assert_allclose(*chi, rtol=1e-11)


@pytest.mark.slow
def test_a_stratum_of_3000_rows_solves_the_equation_of_its_score():
    """The score by another road: the chance of each row as 1 / (1 + e_d / w e_{d-1}) of all others, in long doubles."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 2))
    y = np.zeros(3000)
    y[np.argsort(-(X @ [0.5, -0.5] + rng.gumbel(size=3000)))[:300]] = 1
    fit = fit_conditional(X, y, np.zeros(3000))
    assert bool(fit.converged)
    assert float(fit.kkt) <= TOL
    w = np.exp((X @ np.asarray(fit.params.coef)).astype(np.longdouble))
    # Conditional Bernoulli (Chen, Dempster & Liu 1994, Biometrika 81): with odds scaled so that 300 are expected, e_k
    # by the log of the recursion over rows; its derivative in each log w by the reverse recursion of the chances.
    steps = [np.full(301, -np.inf, np.longdouble)]
    steps[0][0] = 0
    for value in np.log(w):
        steps.append(np.logaddexp(steps[-1], np.concatenate([[-np.inf], steps[-1][:-1] + value])))
    chance, at = np.zeros(3000, np.longdouble), np.zeros(301, np.longdouble)
    at[300] = 1
    for i in range(2999, -1, -1):
        with np.errstate(invalid="ignore"):
            q = np.exp(np.log(w[i]) + np.concatenate([[-np.inf], steps[i][:-1]]) - steps[i + 1])
        q = np.where(np.isnan(q), 0, q)
        chance[i] = at @ q
        at = at * (1 - q) + np.append((at * q)[1:], 0)
    score = X.T @ (y - chance.astype(float)) / 3000
    assert np.max(np.abs(score)) <= 1e-12
    errors = inference.standard_errors(fit, Problem(X, y, strata=np.zeros(3000))).coef
    assert np.all((errors > 1 / np.sqrt(300)) & (errors < 1.2 / np.sqrt(300)))  # d cases of many: about that of 300 rows


@pytest.mark.slow
def test_batches_are_single_fits():
    X, y, strata = sets()
    rng = np.random.default_rng(5)
    labels = np.stack([y, *(rng.permuted(y.reshape(30, 5), axis=1).ravel() for _ in range(3))])
    close(fit_conditional(X, labels, strata), jax.tree.map(lambda *leaves: jnp.stack(leaves),
          *(fit_conditional(X, one, strata) for one in labels)))  # fmt: skip
    designs = rng.normal(size=(3, *X.shape))
    close(fit_conditional(designs, y, strata), jax.tree.map(lambda *leaves: jnp.stack(leaves),
          *(fit_conditional(one, y, strata) for one in designs)))  # fmt: skip
    l2 = np.array([0.0, 1e-3, 1.0])
    path = fit_conditional(X, y, strata, l2=l2[:, None] * np.ones(2))
    assert path.params.coef.shape == (3, 2, 2)
    close(jax.tree.map(lambda leaf: leaf[1, 0], path), fit_conditional(X, y, strata, l2=1e-3))
    chunked = fit_conditional(designs, y, strata, batch_size=2)
    close(chunked, fit_conditional(designs, y, strata))


@pytest.mark.slow
def test_weights_are_strata_repeated_and_rows_left_out():
    X, y, strata = sets()
    s = jaxlr.cluster_bootstrap(jax.random.key(0), strata, 3)
    fits = fit_conditional(X, y, strata, sample_weight=s)
    for i, weights in enumerate(np.asarray(s)):
        drawn = np.repeat(np.arange(30), weights[::5].astype(int))
        rows = (5 * drawn[:, None] + np.arange(5)).ravel()
        again = fit_conditional(X[rows], y[rows], np.repeat(np.arange(len(drawn)), 5))
        close(jax.tree.map(lambda leaf: leaf[i], fits), again)  # noqa: B023
    left = np.ones((2, 150))
    left[1, [3, 4, 20, 77]] = 0
    some = left[1] > 0
    fits = fit_conditional(np.where(some[:, None], X, 1e300), y, strata, sample_weight=left[1])
    close(fits, fit_conditional(X[some], y[some], strata[some]))
    both = fit_conditional(X, y, strata, sample_weight=left)
    close(jax.tree.map(lambda leaf: leaf[1], both), fits)
    errors = inference.standard_errors(both, Problem(X, y, left, strata=strata)).coef
    single = inference.standard_errors(fits, Problem(X[some], y[some], strata=strata[some])).coef
    np.testing.assert_allclose(errors[1], single, rtol=1e-12)


@pytest.mark.slow
def test_a_failed_model_leaves_the_others_bit_for_bit():
    X, y, strata = sets()
    designs = np.stack([X, X + np.sin(X), 2 * X])
    whole = fit_conditional(designs, y, strata)
    spoilt = designs.copy()
    spoilt[1, 7, 0] = np.nan
    found = fit_conditional(spoilt, y, strata)
    assert found.status.tolist() == [Status.CONVERGED, Status.NONFINITE, Status.CONVERGED]
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(one[::2], other[::2])


@pytest.mark.slow
def test_statuses():
    X, y, strata = sets()
    apart = X.copy()
    apart[:, 0] += 10 * y + 100 * strata
    assert int(fit_conditional(apart, y, strata).status) == Status.SEPARATED
    assert bool(fit_conditional(apart, y, strata, l2=0.01).converged)
    pairs, labels, of_pairs = X[:80], np.tile([1, 0], 40), np.repeat(np.arange(40), 2)
    quasi = pairs.copy()
    quasi[::2, 0] = quasi[1::2, 0] + 1
    quasi[0, 0] = quasi[1, 0]  # one pair is undecided
    assert int(fit_conditional(quasi, labels, of_pairs).status) == Status.SEPARATED
    assert int(fit_conditional(quasi, labels, of_pairs, init=Params(np.full(2, 1e3), np.zeros(()))).status) == Status.SEPARATED
    fits = fit_conditional(X, np.stack([y, 0 * y, strata % 2]), strata)
    assert fits.status.tolist() == [Status.CONVERGED, Status.INVALID, Status.INVALID]
    assert int(fit_conditional(X, y, strata, max_steps=1).status) == Status.MAX_STEPS
    far = fit_conditional(X, y, strata, init=Params(np.array([1e3, -1e3]), np.zeros(())))
    close(far, fit_conditional(X, y, strata))


@pytest.mark.slow
def test_columns_without_information_have_coefficients_of_0_and_no_error():
    X, y, strata = sets()
    X = np.round(64 * X) / 64  # so that the copy is one to the last digit
    wide = np.column_stack([X, strata, np.full(150, 7.0), X[:, 0] - 3 * strata])
    fit, problem = fit_conditional(wide, y, strata), Problem(wide, y, strata=strata)
    plain = fit_conditional(X, y, strata)
    assert bool(fit.converged)
    np.testing.assert_allclose(fit.params.coef, np.append(plain.params.coef, [0, 0, 0]), rtol=0, atol=1e3 * EPS)
    errors = inference.standard_errors(fit, problem).coef
    assert np.isnan(errors).tolist() == [False, False, True, True, True]
    np.testing.assert_allclose(errors[:2], inference.standard_errors(plain, Problem(X, y, strata=strata)).coef, rtol=1e-10)
    text = str(inference.summary(fit, problem, names=["a", "b", "set", "seven", "copy"]))
    assert "set is constant within strata" in text
    assert "copy = a" in text


@pytest.mark.slow
def test_a_column_that_is_constant_but_for_rounding_has_the_coefficient_0():
    X, y, strata = sets()
    rng = np.random.default_rng(6)
    measures = rng.normal(size=(30, 5))[strata]
    order = np.argsort(rng.random(measures.shape), axis=1)
    mean = np.take_along_axis(measures, order, axis=1).mean(axis=1)  # of the same five, in other orders
    assert np.ptp(mean[:5]) > 0
    wide, s = np.column_stack([X, mean]), np.where(np.arange(150) == 7, 0.0, 1.0)
    for weight in (None, s):
        fit, plain = (fit_conditional(columns, y, strata, sample_weight=weight) for columns in (wide, X))
        assert bool(fit.converged)
        np.testing.assert_allclose(fit.params.coef, np.append(plain.params.coef, 0), rtol=0, atol=1e3 * EPS)
        problem = Problem(wide, y, weight, strata=strata)
        assert np.isnan(inference.standard_errors(fit, problem).coef).tolist() == [False, False, True]
        assert inference.likelihood_ratio(fit, fit_conditional(X[:, :1], y, strata, sample_weight=weight), problem).df == 1


@pytest.mark.slow
def test_origins_and_units_do_not_count():
    X, y, strata = sets()
    plain = fit_conditional(X, y, strata)
    moved = fit_conditional(X * np.array([1e100, 1e-100]), y, strata)
    np.testing.assert_allclose(moved.params.coef * np.array([1e100, 1e-100]), plain.params.coef, rtol=1e-12)
    far = fit_conditional(X + 1e9 * strata[:, None], y, strata)
    np.testing.assert_allclose(far.params.coef, plain.params.coef, rtol=0, atol=1e11 * EPS)  # X is rounded to 3e9 eps
    offset = fit_conditional(X, y, strata, offset=5.0 * strata)
    np.testing.assert_allclose(offset.params.coef, plain.params.coef, rtol=0, atol=1e5 * EPS)


@pytest.mark.slow
def test_the_gap_bounds_what_is_left_to_gain():
    X, y, strata = sets()
    problem = Problem(X, y, l2=0.05, strata=strata)
    fit = fit_conditional(X, y, strata, l2=0.05)
    assert float(fit.gap) < 1e-20
    rng = np.random.default_rng(0)
    for size in (1e-4, 0.1, 3.0):
        at = Params(fit.params.coef + size * rng.normal(size=2), np.zeros(()))
        gained = float(jaxlr.loss(at, problem) - fit.value)
        assert gained <= float(jaxlr.duality_gap(at, problem)) + EPS
    assert np.isinf(float(fit_conditional(X, y, strata).gap))
    assert float(jaxlr.kkt_residual(fit.params, problem)) <= TOL


@pytest.mark.slow
def test_float32_jit_and_vmap():
    X, y, strata = sets()
    plain = fit_conditional(X, y, strata)
    single = fit_conditional(X.astype(np.float32), y, strata)
    assert single.params.coef.dtype == np.float32
    assert bool(single.converged)
    np.testing.assert_allclose(single.params.coef, plain.params.coef, rtol=0, atol=1e-5)  # its tol
    close(jax.jit(lambda X, y: fit_conditional(X, y, strata))(X, y), plain)
    designs = np.stack([X, 2 * X])
    close(jax.vmap(lambda X: fit_conditional(X, y, strata))(designs), fit_conditional(designs, y, strata))
    errors = jax.jit(lambda X: inference.standard_errors(fit_conditional(X, y, strata), Problem(X, y, strata=strata)).coef)(X)
    np.testing.assert_allclose(errors, inference.standard_errors(plain, Problem(X, y, strata=strata)).coef, rtol=1e-12)


@pytest.mark.slow
def test_derivatives_are_those_of_differences():
    X, y, strata = sets()
    rng = np.random.default_rng(1)
    offset, d = rng.normal(size=150), rng.normal(size=150)

    def taken(X, offset, l2):
        fit = fit_conditional(X, y, strata, offset=offset, l2=l2)
        return jnp.sum(fit.params.coef * np.array([1.0, -2.0])) + 3 * fit.value

    slopes = jax.grad(taken, (0, 1, 2))(X, offset, 0.1)
    h = 1e-5  # differences are off by h^2 and eps / h
    by_X = (taken(X + h * d[:, None], offset, 0.1) - taken(X - h * d[:, None], offset, 0.1)) / (2 * h)
    by_offset = (taken(X, offset + h * d, 0.1) - taken(X, offset - h * d, 0.1)) / (2 * h)
    by_l2 = (taken(X, offset, 0.1 + h) - taken(X, offset, 0.1 - h)) / (2 * h)
    np.testing.assert_allclose(jnp.sum(slopes[0] * d[:, None]), by_X, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(jnp.sum(slopes[1] * d), by_offset, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(slopes[2], by_l2, rtol=1e-7)


@pytest.mark.slow
def test_a_coefficient_held_at_zero_has_no_derivative_and_moves_no_other():
    X, y, strata = sets()
    held = lambda l2: fit_conditional(X, y, strata, l2=l2, penalty_factor=np.array([np.inf, 1.0])).params.coef  # noqa: E731
    alone = lambda l2: fit_conditional(X[:, 1:], y, strata, l2=l2).params.coef  # noqa: E731
    np.testing.assert_allclose(jax.jacfwd(held)(0.1), [0, *jax.jacfwd(alone)(0.1)], rtol=1e-9)  # tol is 1e-10


@pytest.mark.slow
def test_what_knows_no_strata_refuses_them_in_words():
    X, y, strata = sets()
    fit, problem, bare = fit_conditional(X, y, strata), Problem(X, y, strata=strata), Problem(X, y)
    rows = jaxlr.fit(X, y)
    refused = [
        lambda: inference.goodness_of_fit(fit, problem),
        lambda: inference.score_test(fit, problem, X[:, :1].T),
        lambda: inference.profile_intervals(fit, problem),
        lambda: inference.influence(fit, problem),
        lambda: inference.leave_one_out(fit, problem),
        lambda: jaxlr.l1_max(problem),
        lambda: inference.wald(fit, bare),
        lambda: inference.wald(rows, problem),
    ]
    for call in refused:
        with pytest.raises(ValueError, match="strata"):
            call()
    for kind in ("HC0", "HC3", "sampling"):
        with pytest.raises(ValueError, match='expected kind "model"'):
            inference.standard_errors(fit, problem, kind=kind)
    with pytest.raises(ValueError, match="one likelihood"):
        inference.likelihood_ratio(fit, rows, problem)
    small, other = fit_conditional(X[:, :1], y, strata), Problem(X[:, :1], y, strata=strata // 2)
    with pytest.raises(ValueError, match="same strata"):
        inference.likelihood_ratio(fit, small, problem, smaller_problem=other)
    with pytest.raises(ValueError, match=r"the problem that was fitted.*l2 and strata of the fit"):
        inference.wald(fit, Problem(X, y, strata=strata // 2))
    assert "matched set" in Status.INVALID.advice


@pytest.mark.slow
def test_the_null_model_has_a_likelihood_and_no_estimates():
    X, y, strata = sets()
    problem, labels = Problem(X[:, :0], y, strata=strata), np.stack([y, 0 * y])
    fit, both = fit_conditional(X[:, :0], y, strata), fit_conditional(X[:, :0], labels, strata)
    assert float(fit.gap) == float(jaxlr.duality_gap(fit.params, problem)) == 0
    assert both.status.tolist() == [Status.CONVERGED, Status.INVALID]
    assert inference.standard_errors(both, replace(problem, y=labels)).coef.shape == (2, 0)
    assert inference.covariance(fit, problem).tolist() == [[0]]
    assert inference.wald(fit, problem).p_value.coef.shape == (0,)
    assert jaxlr.hessian(fit.params, problem).tolist() == [[0]]
    table = inference.summary(fit, problem)
    choices = np.log([math.comb(5, int(d)) for d in y.reshape(30, 5).sum(axis=1)])
    np.testing.assert_allclose(table.goodness.log_likelihood, -np.sum(choices), rtol=30 * EPS)
    assert "Log-likelihood" in str(table)
    batch = fit_conditional(X[:, :0], y, strata, l2=[0.1, 0.2], init=Params(np.zeros((3, 1, 0)), np.zeros((3, 1))))
    assert batch.gap.tolist() == [[0, 0]] * 3
    with pytest.raises(ValueError, match=r"expected penalty_factor .* with last axis 0 to match X"):
        fit_conditional(X[:, :0], y, strata, penalty_factor=np.ones(3))
    with pytest.raises(ValueError, match=r"expected coef .* with last axis 0 to match X"):
        fit_conditional(X[:, :0], y, strata, init=Params(np.zeros(7), np.zeros(())))


@pytest.mark.slow
def test_bic_counts_all_cases_as_r_does():
    """Cases without a control in their stratum are events too (nevent of coxph, nobs of clogit)."""
    X, y, strata = sets()
    alone = np.where(strata < 4, 1, y)  # four strata of cases alone
    for weight in (None, np.where(strata % 3 == 0, 2.0, 1.0) * (np.arange(150) != 3)):
        fit, problem = fit_conditional(X, alone, strata, sample_weight=weight), Problem(X, alone, weight, strata=strata)
        found = inference.summary(fit, problem).goodness
        cases = float(np.sum(alone if weight is None else alone * weight))
        np.testing.assert_allclose(found.bic, 2 * np.log(cases) - 2 * found.log_likelihood, rtol=10 * EPS)
        np.testing.assert_allclose(found.df_residual, cases - 2, rtol=10 * EPS)


@pytest.mark.slow
def test_the_summary_says_how_many_sets_and_cases_count():
    X, y, strata = sets()
    alone, s = np.where(strata < 4, 1, y), np.where(strata == 5, 0.0, 1.0)
    for weight, kept in ((None, strata >= 4), (s, (strata >= 4) & (strata != 5))):
        fit, problem = fit_conditional(X, alone, strata, sample_weight=weight), Problem(X, alone, weight, strata=strata)
        table, cases = inference.summary(fit, problem), int(alone[kept].sum())
        assert table.sets == table.to_dict()["sets"] == (len(set(strata[kept])), cases)
        assert f"{len(set(strata[kept]))} matched sets with a case and a control, {cases} cases in them" in str(table)


@pytest.mark.slow
def test_rows_that_say_nothing_count_in_the_weights_that_l2_is_measured_by():
    X, y, strata = sets()
    more = [np.concatenate([part, extra]) for part, extra in ((X, X), (y, 0 * y), (strata, 100 + strata))]
    close(fit_conditional(*more, l2=0.05), replace(half := fit_conditional(X, y, strata, l2=0.1), value=half.value / 2))


@pytest.mark.parametrize(("change", "message"), [
    ({"y": 2 * sets()[1]}, "expected labels 0 or 1 of matched sets, got 2; cases are 1, controls 0"),
    ({"strata": None}, "expected strata (150,), one label a row, got None"),
    ({"strata": "set"}, "expected strata (150,), one label a row, got 'set'"),
    ({"y": np.full(150, 0.5)}, "expected labels 0 or 1 of matched sets, got 0.5"),
    ({"strata": np.zeros(149)}, "expected strata (150,), one label a row, got shape (149,)"),
    ({"strata": [None] * 150}, "missing ones"),
    ({"strata": np.arange(150)}, "expected a stratum with a case and a control"),
    ({"y": np.ones(150)}, "expected a stratum with a case and a control"),
    ({"sample_weight": np.arange(150) + 1}, "expected the same sample_weight in all rows of a stratum, or 0, got 1.0 and 5.0"),
    ({"sample_weight": -np.ones(150)}, "expected sample_weight >= 0"),
    ({"l2": -1.0}, "expected l2 >= 0"),
    ({"penalty_factor": np.ones(3)}, "expected penalty_factor"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_words(change, message):
    X, y, strata = sets()
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_conditional(**({"X": X, "y": y, "strata": strata} | change))


def test_strata_are_known_outside_jit():
    X, y, strata = sets()
    with pytest.raises(TypeError, match="expected strata to be known outside jit"):
        jax.jit(lambda strata: fit_conditional(X, y, strata))(strata)


@pytest.mark.slow
def test_tables_name_their_columns_and_a_scan_of_pairs_is_one_call():
    pd = pytest.importorskip("pandas")
    X, _, strata = sets(40, 2)
    y = np.tile([1, 0], 40)
    assert fit_conditional(pd.DataFrame(X, columns=["age", "dose"]), y, strata).names == ("age", "dose")
    columns = np.random.default_rng(0).normal(size=(200, 80))
    designs = np.concatenate([np.broadcast_to(X, (200, 80, 2)), columns[:, :, None]], axis=2)
    fits = fit_conditional(designs, y, strata)
    assert bool(jnp.all(fits.converged))
    errors = inference.standard_errors(fits, Problem(designs, y, strata=strata)).coef
    assert errors.shape == (200, 3)
    alone = fit_conditional(designs[7], y, strata)
    np.testing.assert_allclose(
        errors[7], inference.standard_errors(alone, Problem(designs[7], y, strata=strata)).coef, rtol=1e-12
    )


def test_memory_is_known_before_it_is_spent(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "jaxlr.fitting.conditional.run", lambda call: calls.append(call) or jaxlr.fit(np.eye(3), [0, 1, 1], l2=1.0)
    )
    X, y, strata = sets(3, 200, 4)
    fit_conditional(np.broadcast_to(X, (500, *X.shape)), y, strata)
    call = calls[0]
    assert call.needs.own >= 3 * 200 * 4  # rows in strata, beside what comes in
    assert memory_bound(call) > 8 * 500 * X.size
    monkeypatch.setattr("jaxlr.engine.memory.bytes_free", lambda sharing: 2**20)
    monkeypatch.setattr("jaxlr.engine.memory._NEVER_MISSED", 0)
    with pytest.raises(MemoryError, match="GiB that the device has free"):
        jaxlr.engine.plan.chunk_of(call)


@pytest.mark.slow
def test_probabilities_of_rows_are_refused_for_a_conditional_fit():
    X, y, strata = sets()
    fit = fit_conditional(X, y, strata)
    for function in (jaxlr.predict_proba, jaxlr.predict):
        with pytest.raises(ValueError, match=r"expected a fit with an intercept, got a conditional one.*jaxlr.logits"):
            function(fit, X)
    np.testing.assert_allclose(jaxlr.logits(fit, X), X @ np.asarray(fit.params.coef), rtol=0, atol=1e2 * EPS)
