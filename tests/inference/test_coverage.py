"""95 % intervals by robust errors hold the value that the estimates tend to, as often as they should, where the model is wrong.

Each law is tried on thousands of data sets, in one call. A share of k intervals is off by sqrt(0.95 0.05 / k) by chance; four
of that are allowed.
"""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("x64", "optimized")]

SETS = 4000
CHANCE = 4 * np.sqrt(0.95 * 0.05 / SETS)
HUGE = 400_000
NODES, SHARES = np.polynomial.hermite_e.hermegauss(40)


def normal_cdf(z):
    return np.asarray(jax.scipy.stats.norm.cdf(z))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def limit(X, p):
    """What estimates tend to: the estimate of a huge sample of rows whose labels are their probabilities."""
    fit = jaxlr.fit(X, p)
    assert fit.converged
    return fit.params


def coverage(truth, fits, problem, **options):
    """Shares of intervals that hold the true value: of each coefficient, and of the intercept."""
    assert fits.converged.all()
    found, truth = (jax.tree.map(np.asarray, part) for part in (inference.wald(fits, problem, **options), truth))
    return np.append(
        np.mean((found.lower.coef <= truth.coef) & (truth.coef <= found.upper.coef), axis=0),
        np.mean((found.lower.intercept <= truth.intercept) & (truth.intercept <= found.upper.intercept)),
    )


def test_hc3_covers_where_the_form_of_the_model_is_wrong():
    """A probit with a square of the first column, fitted by a logistic model that is linear."""
    rng, m = np.random.default_rng(1), 400

    def probability(X):
        return normal_cdf(0.3 + X[..., 0] - 0.8 * X[..., 0] ** 2 + 0.5 * X[..., 1] * np.abs(X[..., 0]))

    def rows(*shape):
        shared = rng.exponential(size=(*shape, 1))
        return 0.7 * (shared - 1) + 0.5 * rng.standard_normal((*shape, 2))

    many = rows(HUGE)
    truth, X = limit(many, probability(many)), rows(SETS, m)
    y = (rng.uniform(size=(SETS, m)) < probability(X)).astype(float)
    fits, problem = jaxlr.fit(X, y), Problem(X, y)
    np.testing.assert_allclose(coverage(truth, fits, problem, kind="HC3"), 0.95, rtol=0, atol=CHANCE)
    assert np.min(coverage(truth, fits, problem)) < 0.95 - 2 * CHANCE  # model-based


def test_clusters_cover_where_rows_share_an_effect_and_model_based_intervals_do_not():
    rng, G, size = np.random.default_rng(2), 150, 6
    slope, spread = np.array([0.7, -0.4]), 1.2
    many = rng.standard_normal((HUGE, 2))
    p = sum(share * sigmoid(many @ slope + spread * node) for node, share in zip(NODES, SHARES / SHARES.sum(), strict=True))
    truth = limit(many, p)
    clusters = np.repeat(np.arange(G), size)
    shared, own = rng.standard_normal((SETS, G, 1)), rng.standard_normal((SETS, G, size))
    X = np.stack([np.broadcast_to(shared, own.shape), own], axis=-1).reshape(SETS, G * size, 2)  # the first is of the cluster
    effect = np.repeat(spread * rng.standard_normal((SETS, G)), size, axis=1)
    y = (rng.uniform(size=effect.shape) < sigmoid(X @ slope + effect)).astype(float)
    fits, problem = jaxlr.fit(X, y), Problem(X, y)
    np.testing.assert_allclose(coverage(truth, fits, problem, kind="cluster", clusters=clusters), 0.95, rtol=0, atol=CHANCE)
    of_cluster, of_row, intercept = coverage(truth, fits, problem)
    assert max(of_cluster, intercept) < 0.85
    np.testing.assert_allclose(of_row, 0.95, rtol=0, atol=2 * CHANCE)  # nothing is shared in this column


def test_hac_covers_where_rows_near_in_time_depend_on_each_other_and_model_based_intervals_do_not():
    """A latent error and a column that are moving averages of the last three: each label by itself is logistic, scores of rows
    at most two apart are correlated. Of these Bartlett's weights keep 95 % and more."""
    rng, m, lags = np.random.default_rng(5), 1500, 24

    def smooth(shape):
        steps = rng.standard_normal((*shape, m + 2))
        return (steps[..., :-2] + steps[..., 1:-1] + steps[..., 2:]) / np.sqrt(3)

    x, latent = smooth((SETS,)), normal_cdf(smooth((SETS,)))
    y = (latent < sigmoid(0.5 * x - 0.3)).astype(float)
    X, truth = x[..., None], jaxlr.Params(np.array([0.5]), np.array(-0.3))
    fits, problem = jaxlr.fit(X, y), Problem(X, y)
    np.testing.assert_allclose(coverage(truth, fits, problem, kind="HAC", lags=lags), 0.95, rtol=0, atol=CHANCE)
    assert np.max(coverage(truth, fits, problem)) < 0.9


def test_sampling_weights_cover_where_the_sample_depends_on_the_labels():
    """Of a population whose model is right, rows are seen with probabilities that depend on label and column together."""
    rng, m, pool = np.random.default_rng(3), 600, 4000
    truth = jaxlr.Params(np.array([1.0]), np.array(-1.0))
    x = rng.standard_normal((SETS, pool))
    y = rng.uniform(size=x.shape) < sigmoid(x - 1)
    seen = np.where(y, 0.6, 0.15) * np.where((x > 0) == y, 1.0, 0.5)
    chosen = np.argsort(rng.uniform(size=x.shape) >= seen, axis=1, kind="stable")[:, :m]  # the first of those seen
    x, y, seen = (np.take_along_axis(part, chosen, axis=1) for part in (x, y, seen))
    X, y, s = x[..., None], y.astype(float), 1 / seen
    fits, problem = jaxlr.fit(X, y, sample_weight=s), Problem(X, y, s)
    plain = jaxlr.fit(X, y)
    np.testing.assert_allclose(coverage(truth, fits, problem, kind="sampling"), 0.95, rtol=0, atol=CHANCE)
    assert np.max(coverage(truth, plain, Problem(X, y))) < 0.5
    assert np.min(coverage(truth, fits, problem)) < 0.95 - 2 * CHANCE  # as if a weight of k were k rows


def test_predictions_effects_and_comparisons_cover():
    """Intervals of probabilities at new rows, of average effects at these rows, and of comparisons."""
    rng, m = np.random.default_rng(4), 300
    X, new = rng.standard_normal((m, 2)), np.array([[0.0, 0.0], [1.0, -1.0], [2.0, 1.0]])
    high = X + np.array([1.0, 0.0])
    for truth in (
        jaxlr.Params(np.array([0.8, -0.5]), np.array(-0.4)),
        jaxlr.SoftmaxParams(np.array([[0.8, -0.5], [0.0, 0.3], [-0.8, 0.2]]), np.array([0.3, 0.0, -0.3])),
    ):
        p = np.asarray(jaxlr.predict_proba(truth, X))
        chosen = rng.uniform(size=(SETS, m))
        several = isinstance(truth, jaxlr.SoftmaxParams)
        y = (chosen[..., None] > np.cumsum(p, axis=-1)).sum(axis=-1) if several else (chosen < p).astype(int)
        fits, problem = jaxlr.fit(X, y, num_classes=3 if several else None), Problem(X, y)
        assert fits.converged.all()
        slopes = jax.vmap(jax.jacobian(lambda x, truth=truth: jaxlr.predict_proba(truth, x[None])[0]))(X)
        pairs = [
            (jaxlr.predict_proba(truth, new), inference.predictions(fits, problem, new)),
            (np.mean(slopes, axis=0), inference.marginal_effects(fits, problem)),
            (np.mean(np.asarray(jaxlr.predict_proba(truth, high)) - p, axis=0), inference.comparisons(fits, problem, X, high)),
        ]
        for exact, found in pairs:
            true = np.asarray(exact)
            shares = np.mean((np.asarray(found.lower) <= true) & (true <= np.asarray(found.upper)), axis=0)
            # Of 300 rows the distribution is normal but for some 1 / 300.
            np.testing.assert_allclose(shares, 0.95, rtol=0, atol=CHANCE + 1 / 300)


def test_wald_covers_for_matched_sets():
    """Sets of four rows with one case or two, chosen by the law of the conditional likelihood."""
    rng, num_strata, slope = np.random.default_rng(5), 90, np.array([0.8, -0.5])
    x = rng.standard_normal((SETS, num_strata, 4, 2)) + 2 * rng.standard_normal((SETS, num_strata, 1, 2))
    choices = np.array([[i == j or (two and i == k) for i in range(4)] for two, j, k in [(0, j, 0) for j in range(4)]
                        + [(1, j, k) for j in range(4) for k in range(j)]], float)  # fmt: skip
    gumbel = rng.gumbel(size=(SETS, num_strata, len(choices))) + (x @ slope) @ choices.T
    many = np.arange(num_strata) % 2 == 1
    gumbel[:, many, :4], gumbel[:, ~many, 4:] = -np.inf, -np.inf
    y, X = choices[np.argmax(gumbel, axis=2)].reshape(SETS, -1), x.reshape(SETS, -1, 2)
    strata = np.repeat(np.arange(num_strata), 4)
    fits, problem = jaxlr.fit_conditional(X, y, strata), Problem(X, y, strata=strata)
    shares = coverage(jaxlr.Params(slope, np.array(0.0)), fits, problem)[:2]
    np.testing.assert_allclose(shares, 0.95, rtol=0, atol=CHANCE + 1 / num_strata / 2)


def _few_rows(seed, sets, m):
    """One design with a rare level, and labels of many sets, whose model is right."""
    rng, truth = np.random.default_rng(seed), jaxlr.Params(np.array([0.8, -0.7]), np.array(0.4))
    X = np.c_[rng.standard_normal(m), np.arange(m) % 5 == 0]
    return X, (rng.uniform(size=(sets, m)) < sigmoid(X @ truth.coef + truth.intercept)).astype(float), truth


def shares(truth, found):
    """Of intervals that hold the true values, the coefficients first."""
    (low, high), inside = (
        (jax.tree.map(np.asarray, found)),
        lambda low, high, value: np.mean((low <= value) & (value <= high), 0),
    )
    held = jax.tree.map(inside, low, high, truth)
    return np.append(held.coef, held.intercept)


def test_profile_intervals_cover_with_few_rows():
    X, y, truth = _few_rows(6, SETS, 80)
    fits = jaxlr.fit(X, y)
    firth = jaxlr.fit_firth(X, y)
    assert firth.converged.all()
    held = np.asarray(fits.converged)  # a few sets are separated, and an interval of these has no upper end
    assert held.mean() > 0.98
    found = inference.profile_intervals(fits, Problem(X, y))
    ends = jax.tree.map(lambda end: np.asarray(end)[held], (found.lower, found.upper))
    np.testing.assert_allclose(shares(truth, ends), 0.95, rtol=0, atol=CHANCE)
    found = inference.profile_intervals(firth, Problem(X, y))
    np.testing.assert_allclose(shares(truth, (found.lower, found.upper)), 0.95, rtol=0, atol=CHANCE)


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_bootstrap_intervals_cover(method):
    sets, chance = 1000, 4 * np.sqrt(0.95 * 0.05 / 1000)
    X, y, truth = _few_rows(7, sets, 400)
    weights = np.asarray(jaxlr.bootstrap(jax.random.key(8), 400, 300))[:, None]
    fits, resamples = jaxlr.fit(X, y), jaxlr.fit(X, y, sample_weight=weights)
    assert fits.converged.all() and resamples.converged.all()  # noqa: PT018
    found = inference.bootstrap_intervals(fits, resamples, method=method)
    np.testing.assert_allclose(shares(truth, (found.lower, found.upper)), 0.95, rtol=0, atol=chance)
