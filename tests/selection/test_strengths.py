"""Where paths begin, and the path that glmnet takes: its own numbers, from R."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, glmnet_path, l1_max
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

X, Y, *_ = jaxlr.datasets.low_birth_weight()
M, N = X.shape
EPS = np.finfo(float).eps
# R 4.2.2, glmnet 4.1.6, on these data, with
#   w <- 1 + (seq_len(nrow(X)) %% 3); o <- (seq_len(nrow(X)) %% 5) / 10; f <- c(0, rep(1:2, 4))
#   glmnet(X, y, "binomial", alpha = a, standardize = s, thresh = 1e-14)$lambda                 plain
#   glmnet(X, y, "binomial", alpha = a, standardize = s, weights = w, offset = o, penalty.factor = f, ...)  weighted
# the first, the 50th and the 100th; where glmnet stops early, continued in equal ratios
W, OFFSET, FACTOR = 1.0 + np.arange(1, M + 1) % 3, np.arange(1, M + 1) % 5 / 10, np.array([0.0, 1, 2, 1, 2, 1, 2, 1, 2])
GLMNET = {
    (1, True, False): [0.0908626233611225, 0.000951891155729045, 9.08626233611193e-06],
    (1, True, True): [0.131667859528449, 0.00137937323778099, 1.31667859528447e-05],
    (1, False, False): [2.39357800733462, 0.0250755002601466, 0.000239357800733465],
    (1, False, True): [3.03050260931308, 0.0317480227238661, 0.000303050260931316],
    (0.5, True, False): [0.181725246722245, 0.00190378231145812, 1.81725246722245e-05],
    (0.5, True, True): [0.263335719056897, 0.00275874647556198, 2.63335719056894e-05],
    (0.5, False, False): [4.78715601466924, 0.0501510005202935, 0.000478715601466936],
    (0.5, False, True): [6.06100521862616, 0.063496045447731, 0.00060610052186261],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", quick(GLMNET, (0.5, True, True)), ids=str)
def test_the_strengths_are_those_of_glmnet(case):
    alpha, standardize, weighted = case
    options = {"sample_weight": W, "offset": OFFSET, "penalty_factor": FACTOR} if weighted else {}
    path = glmnet_path(X, Y, alpha=alpha, standardize=standardize, **options)
    strengths = np.asarray(path["l1"] + path["l2"])
    expected = GLMNET[case]
    # The null model of glmnet, where it has columns, is right to its own threshold.
    np.testing.assert_allclose(strengths[[0, 49, 99]], expected, rtol=1e-6 if weighted else 1e-12)
    np.testing.assert_allclose(path["l1"], alpha * strengths, rtol=1e-15)
    if weighted:
        np.testing.assert_allclose(path["penalty_factor"], FACTOR * N / FACTOR.sum(), rtol=1e-15)


@pytest.mark.slow
def test_the_first_model_of_the_path_has_no_coefficient_and_the_second_has_one():
    path = glmnet_path(X, Y, num_strengths=50, ratio=0.01)
    assert path["l1"].shape == (50,)
    assert float(path["l1"][-1] / path["l1"][0]) == pytest.approx(0.01, rel=1e-12)
    fits = jaxlr.fit(X, Y, standardize=True, **path)
    assert bool(fits.converged.all())
    assert np.count_nonzero(fits.params.coef, axis=1)[:2].tolist() == [0, 1]


def test_the_largest_strength_is_that_of_the_conditions_at_the_null_model():
    share = Y.mean()
    expected = np.abs((X - X.mean(0)).T @ (share - Y)).max() / M
    assert float(l1_max(Problem(X, Y))) == pytest.approx(expected, rel=1e-12)
    uncentered = np.abs(X.T @ (0.5 - Y)).max() / M
    assert float(l1_max(Problem(X, Y, fit_intercept=False))) == pytest.approx(uncentered, rel=1e-12)


def test_it_is_never_under_the_exact_number_by_any_rounding():
    """Under it the first column would come in; the sums are taken in twice the digits."""
    rng = np.random.default_rng(0)
    columns, labels = rng.normal(size=(20, 3)), rng.random((200, 20))
    found = jax.vmap(lambda y: l1_max(Problem(columns, y, fit_intercept=False)))(labels)
    exact = np.abs((0.5 - labels.astype(np.longdouble)) @ columns.astype(np.longdouble)).max(axis=1) / 20
    assert np.all(np.asarray(found, np.longdouble) >= exact)
    np.testing.assert_allclose(found, exact.astype(float), rtol=1e-13)  # 4 eps sum |x r| over sums near a tenth of it


@pytest.mark.slow
def test_it_maps_over_problems():
    labels = np.stack([Y, 1 - Y, np.roll(Y, 7)]).astype(float)
    each = jax.vmap(lambda y: l1_max(Problem(X, y)))(labels)
    np.testing.assert_allclose(each, [float(l1_max(Problem(X, y))) for y in labels], rtol=1e-12)


def test_the_factors_of_a_path_sum_to_the_number_of_columns():
    """As glmnet has them: their unit is that of the strengths."""
    plain, doubled = glmnet_path(X, Y), glmnet_path(X, Y, penalty_factor=np.full(N, 2.0))
    np.testing.assert_allclose(doubled["penalty_factor"], np.ones(N), rtol=4 * EPS)
    np.testing.assert_allclose(doubled["l1"], plain["l1"], rtol=4 * EPS)


def test_without_a_penalized_column_nothing_is_to_be_held():
    assert float(l1_max(Problem(X, Y, penalty_factor=np.zeros(N)))) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1.0}, r"expected ratio to be one number in \(0, 1\), got 1.0"),
        ({"alpha": 1.5}, r"alpha to be one number in \[0, 1\], got 1.5"),
        ({"alpha": np.array([0.5, 1.0])}, "alpha to be one number"),
        ({"X": np.ones((M, 3))}, "not constant"),
        ({"X": np.column_stack([Y, X]), "penalty_factor": np.arange(N + 1) > 0}, "separate the classes"),
        ({"num_strengths": 0}, "num_strengths"),
        ({"penalty_factor": np.zeros(N)}, "expected a penalized column"),
        ({"y": np.ones(M)}, "both classes"),
        ({"X": X[None]}, "got batch axes"),
    ],
)
def test_bad_input_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        glmnet_path(**({"X": X, "y": Y} | changes))


def test_without_l1_the_path_begins_where_a_thousandth_of_it_would():
    """glmnet's alpha = 0: its lambda_max is that of alpha = 0.001."""
    first = float(glmnet_path(X, Y)["l1"][0])
    assert np.isclose(glmnet_path(X, Y, alpha=0.0)["l2"][0], first / 1e-3, rtol=1e-14)
    assert np.isclose(glmnet_path(X, Y, alpha=1e-4)["l2"][0], (1 - 1e-4) * first / 1e-3, rtol=1e-14)
