"""One model per column beside shared covariates: those of `fit` on the columns side by side."""

import numpy as np
import pytest

import jaxlr
from jaxlr import Status, fit_columns
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, K = 60, 7
C = RNG.standard_normal((M, 2)) * [1, 100] + [0, 50]
G = RNG.binomial(2, 0.4, size=(K, M)).astype(float)
Y = (C[:, 0] + 0.5 * G[0] + RNG.logistic(size=M) > 0).astype(float)
TOL = 1e-10
OPTIONS = {
    "plain": {},
    "ridge": {"l2": 0.1},
    "factors": {"l2": 0.1, "penalty_factor": np.array([0.0, 2, 1])},
    "weights and offset": {"sample_weight": RNG.integers(0, 3, M), "offset": RNG.standard_normal(M)},
    "standardized": {"l2": 0.01, "standardize": True},
    "no intercept": {"l2": 0.1, "fit_intercept": False},
}


def side_by_side(covariates, columns, **options):
    """The same models with a copy of the covariates for each."""
    designs = np.stack([np.column_stack([covariates, column]) for column in columns])
    return jaxlr.fit(designs, Y, **options)


def assert_same(got, expected):
    assert np.asarray(got.status).tolist() == np.asarray(expected.status).tolist() == [Status.CONVERGED] * len(got.status)
    np.testing.assert_allclose(got.params.coef, expected.params.coef, rtol=0, atol=10 * TOL)
    np.testing.assert_allclose(got.params.intercept, expected.params.intercept, rtol=0, atol=100 * TOL)
    np.testing.assert_allclose(got.value, expected.value, rtol=10 * TOL)
    assert np.all(np.asarray(got.kkt) <= TOL)


@pytest.mark.parametrize("name", quick(OPTIONS, "weights and offset"))
def test_each_model_is_the_fit_of_its_columns(name):
    assert_same(fit_columns(G, Y, covariates=C, **OPTIONS[name]), side_by_side(C, G, **OPTIONS[name]))


def test_a_column_in_the_span_of_the_covariates_has_no_estimate_and_the_others_have_theirs():
    """As far as its Gram matrix can tell, which rounding leaves with something else than 0."""
    columns = G.copy()
    columns[1:4] = [C[:, 0] / 3 + C[:, 1] / 7 + 1, C[:, 1] * (1 + 1e-9 * G[1]), C[:, 0] - C[:, 1] / 11]
    fit = fit_columns(columns, Y, covariates=C, **OPTIONS["weights and offset"])
    assert fit.status.tolist() == [Status.CONVERGED] + 3 * [Status.STALLED] + 3 * [Status.CONVERGED]


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "l2"), [([np.inf, 0, 0], 0.0), ([1.0, 0, 0], 0.1)])
def test_a_column_in_the_span_of_covariates_with_a_penalty_has_an_estimate(factor, l2):
    """A copy, and a sum, of a covariate that is left out or penalized: nothing else without a penalty takes their place."""
    options = {"penalty_factor": np.array(factor), "l2": l2}
    columns = np.stack([C[:, 0], C[:, 0] + C[:, 1] / 11, G[0]])
    assert_same(fit_columns(columns, Y, covariates=C, **options), side_by_side(C, columns, **options))
    free = fit_columns(C[:, 1][None], Y, covariates=C, **options)  # a copy of the one without a penalty
    assert free.status.tolist() == [Status.STALLED]


@pytest.mark.slow
def test_without_covariates_and_without_anything_else():
    assert_same(fit_columns(G, Y), side_by_side(np.zeros((M, 0)), G))
    assert_same(fit_columns(G, Y, fit_intercept=False, l2=0.1), side_by_side(C[:, :0], G, fit_intercept=False, l2=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("penalties", [{"l2": 0.1}, {"l1": 0.02, "l2": 0.05}])
def test_each_multinomial_model_is_the_fit_of_its_columns(penalties):
    labels, options = (C[:, 0] > -0.5).astype(int) + (C[:, 0] > 0.5), penalties | {"num_classes": 3}
    options |= {
        "sample_weight": RNG.integers(0, 3, M),
        "offset": RNG.standard_normal((M, 3)),
        "penalty_factor": np.array([1, 2, 1]),
    }
    designs = np.stack([np.column_stack([C, column]) for column in G])
    got = fit_columns(G, labels, covariates=C, **options)
    assert got.params.coef.shape == (K, 3, 3)
    assert_same(got, jaxlr.fit(designs, labels, **options))


@pytest.mark.slow
def test_chunks_change_nothing():
    whole = fit_columns(G, Y, covariates=C)
    assert_same(fit_columns(G, Y, covariates=C, batch_size=3), whole)


@pytest.mark.slow
def test_certificates_are_those_of_the_whole_design():
    fit = fit_columns(G, Y, covariates=C, l2=0.1)
    for j in (0, K - 1):
        problem = jaxlr.Problem(np.column_stack([C, G[j]]), Y, l2=0.1)
        params = jaxlr.Params(fit.params.coef[j], fit.params.intercept[j])
        eps = np.finfo(float).eps
        np.testing.assert_allclose(fit.value[j], jaxlr.loss(params, problem), rtol=16 * eps)
        assert abs(float(fit.kkt[j]) - float(jaxlr.kkt_residual(params, problem))) <= 256 * eps
        assert 0 <= float(fit.gap[j]) <= TOL


@pytest.mark.slow
def test_a_bad_column_is_the_status_of_its_model_alone():
    columns = G.copy()
    columns[1] = Y  # separates
    columns[2, 3] = np.nan
    columns[4] = 1.0  # constant: the intercept again
    fit = fit_columns(columns, Y, covariates=C)
    expected = np.full(K, Status.CONVERGED)
    expected[1], expected[2] = Status.SEPARATED, Status.NONFINITE
    assert np.asarray(fit.status).tolist() == expected.tolist()
    others = [0, 3, 5, 6]
    reference = fit_columns(G, Y, covariates=C)
    assert np.array_equal(np.asarray(fit.params.coef)[others], np.asarray(reference.params.coef)[others])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": G[0]}, r"expected columns \(k, m\), one model each, got shape \(60,\)"),
        ({"columns": G[None]}, r"expected columns \(k, m\), one model each, got shape \(1, 7, 60\)"),
        ({"columns": G.T}, r"expected covariates \(m, c\) with m = 7 .* pass columns.T"),
        ({"penalty_factor": np.ones(2)}, r"expected penalty_factor \(3,\), the own column's last, got shape \(2,\)"),
        ({"batch_size": 0}, "expected batch_size to be an integer >= 1, got 0"),
        ({"l2": np.ones(3)}, r"got batch axes \(3,\)"),
        ({"y": 2 * Y}, r"labels|\[0, 1\]"),
    ],
)
def test_wrong_calls_say_what_was_expected(change, says):
    arguments = {"columns": G, "y": Y, "covariates": C} | change
    with pytest.raises(ValueError, match=says):
        fit_columns(**arguments)


@pytest.mark.slow
def test_without_a_penalty_a_constant_column_is_0_and_one_near_the_span_of_the_covariates_is_stalled():
    rng = np.random.default_rng(0)
    covariates, own, labels = rng.standard_normal((200, 2)), rng.standard_normal(200), rng.integers(0, 2, 200)
    near = [covariates[:, 0] + share * own for share in (1e-5, 5e-7, 1e-9)]
    fit = jaxlr.fit_columns(np.stack([np.full(200, 3.0), *near]), labels, covariates=covariates)
    assert fit.status.tolist() == [Status.CONVERGED, Status.CONVERGED, Status.STALLED, Status.STALLED]
    assert fit.params.coef[0, -1] == 0
    assert jaxlr.fit(np.column_stack([covariates, near[2]]), labels).converged
