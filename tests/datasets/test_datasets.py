"""The data sets are what their sources say."""

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import kstest

import jaxlr
from jaxlr import Status
from jaxlr.inputs.checks import check_key

pytestmark = pytest.mark.usefixtures("x64")


def test_breast_cancer_has_the_published_counts():
    data = jaxlr.datasets.breast_cancer()
    assert data.X.shape == (569, 30)
    assert (data.y == 1).sum() == 357
    assert len(data.feature_names) == 30
    assert data.target_names[1] == "benign"
    # Street, Wolberg & Mangasarian 1993: mean radius of the first patient 17.99, malignant.
    assert data.X[0, 0] == 17.99
    assert data.y[0] == 0


def test_discount_codes_are_the_nine_customers():
    data = jaxlr.datasets.discount_codes()
    assert dict(zip(data.X[:, 0].tolist(), data.y.tolist(), strict=True)) == {
        50: 0, 10: 1, 20: 1, 5: 1, 95: 0, 70: 0, 100: 0, 200: 0, 0: 1,
    }  # fmt: skip


def test_data_are_float64_with_integer_labels():
    for name in ("breast_cancer", "discount_codes", "low_birth_weight", "remission", "spector"):
        data = getattr(jaxlr.datasets, name)()
        assert data.X.dtype == np.float64
        assert set(np.unique(data.y)) == {0, 1}


@pytest.mark.parametrize(
    ("name", "file", "ones"), [("low_birth_weight", "lbw_stata", 59), ("remission", "remission", 9), ("spector", "spector", 11)]
)
def test_the_other_real_sets_are_those_whose_published_fits_the_suite_holds(name, file, ones):
    data = getattr(jaxlr.datasets, name)()
    path = Path(__file__).parent.parent / "reference" / f"{file}.csv"
    assert ",".join(["y", *data.feature_names]) == path.read_text().split("\n")[0]
    np.testing.assert_array_equal(np.column_stack([data.y, data.X]), np.loadtxt(path, delimiter=",", skiprows=1))
    assert data.y.sum() == ones


def test_moons_without_noise_lie_on_their_circles_and_class_0_comes_first():
    X, y = jaxlr.datasets.two_moons(jax.random.key(0), 101, noise=0.0)
    center = np.where(np.asarray(y)[:, None] == 1, [1.0, 0.5], 0.0)
    np.testing.assert_allclose(np.linalg.norm(X - center, axis=1), 1, atol=4e-16)
    assert y.tolist() == [0] * 50 + [1] * 51


@pytest.mark.slow
def test_clouds_have_informative_redundant_and_noise_columns():
    X, y = jaxlr.datasets.clouds(jax.random.key(0), 4000, num_informative=3, num_redundant=2, num_noise=2, separation=2.0)
    X, y = np.asarray(X), np.asarray(y)
    assert np.linalg.matrix_rank(X) == 5
    between = X[y == 1].mean(axis=0) - X[y == 0].mean(axis=0)
    np.testing.assert_allclose(np.abs(between[:3]), 4, atol=0.15)  # the side of the cube; means of 2,000 rows
    np.testing.assert_allclose(between[5:], 0, atol=0.15)
    assert kstest(X[:, 5], "norm").pvalue > 1e-3


@pytest.mark.slow
def test_logistic_data_return_their_params():
    params = jaxlr.Params(np.array([1.0, -0.5]), np.array(0.3))
    X, y = jaxlr.datasets.logistic(jax.random.key(0), params, 100_000)
    got = jaxlr.fit(X, y).params
    np.testing.assert_allclose(got.coef, params.coef, atol=0.04)  # four standard errors
    np.testing.assert_allclose(got.intercept, params.intercept, atol=0.04)


@pytest.mark.slow
def test_separable_data_are_separated_by_the_margin():
    X, y = jax.vmap(lambda key: jaxlr.datasets.separable(key, 30, 4, margin=0.7))(jax.random.split(jax.random.key(0), 5))
    assert set(np.asarray(jaxlr.fit(X, y).status).tolist()) == {int(Status.SEPARATED)}
    # The hyperplane of `separable` is drawn first: no row lies within the margin, and the nearest rows show that it counts.
    for key, rows, labels in zip(jax.random.split(jax.random.key(0), 5), np.asarray(X), np.asarray(y), strict=True):
        direction = np.asarray(jax.random.normal(jax.random.split(key)[0], (4,)))
        distance = (2 * labels - 1) * (rows @ direction) / np.linalg.norm(direction)
        assert 0.7 - 1e-12 <= distance.min() < 0.9


MADE = (
    jaxlr.datasets.two_moons,
    jaxlr.datasets.clouds,
    jaxlr.datasets.separable,
    lambda key, m: jaxlr.datasets.logistic(key, ONE, m),
)
KEY, ONE = jax.random.key(0), jaxlr.Params(np.ones(2), np.array(0.0))


@pytest.mark.parametrize("make", MADE, ids=["two_moons", "clouds", "separable", "logistic"])
def test_rows_and_keys_that_are_none_are_refused(make):
    for m in (0, -3, 2.5):
        with pytest.raises((ValueError, TypeError), match="m"):
            make(KEY, m)
    with pytest.raises(TypeError, match="key"):
        make(0, 10)
    with pytest.raises(ValueError, match="expected one key"):
        make(jax.random.split(KEY, 3), 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_key(0), "expected a key of jax.random, such as"),
        (lambda: jaxlr.datasets.two_moons(KEY, noise=np.nan), "noise"),
        (lambda: jaxlr.datasets.clouds(KEY, num_informative=0), "num_informative to be an integer >= 1"),
        (lambda: jaxlr.datasets.clouds(KEY, num_redundant=-1), "num_redundant to be an integer >= 0"),
        (lambda: jaxlr.datasets.clouds(KEY, num_noise=-1), "num_noise to be an integer >= 0"),
        (lambda: jaxlr.datasets.clouds(KEY, separation=np.inf), "separation"),
        (lambda: jaxlr.datasets.separable(KEY, 1), "m to be an integer >= 2"),
        (lambda: jaxlr.datasets.separable(KEY, n=0), "n to be an integer >= 1"),
        (lambda: jaxlr.datasets.separable(KEY, margin=0.0), "margin"),
        (lambda: jaxlr.datasets.logistic(KEY, jaxlr.Params(np.ones((2, 2)), np.ones(2)), 5), "params of one model"),
        (lambda: jaxlr.datasets.logistic(KEY, jaxlr.Params(np.array([np.nan]), np.array(0.0)), 5), "coef to be finite"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_generators_map_over_keys():
    X, _ = jax.jit(jax.vmap(lambda key: jaxlr.datasets.two_moons(key, 20)))(jax.random.split(jax.random.key(0), 3))
    assert X.shape == (3, 20, 2)
    assert not np.array_equal(X[0], X[1])


def test_no_row_of_separable_data_is_nearer_the_other_class_than_twice_the_margin():
    X, y = map(np.asarray, jaxlr.datasets.separable(jax.random.key(3), 40, 2, margin=2.0))
    apart = np.linalg.norm(X[y == 0][:, None] - X[y == 1][None], axis=-1)
    assert apart.min() >= 4 - 1e-12
