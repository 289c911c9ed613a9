"""Derivatives of fits with groups: those of the minimum on the groups that are not 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Status, fit, fit_bootstrap
from tests.fitting.test_groups import GROUPS, KINDS, OFFSET, N, S, X, Y

pytestmark = pytest.mark.usefixtures("x64")

H = 1e-5
FACTOR = np.array([1.0, 2, 1, 0.5, 0.5, 2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("standardize", "kind"),
    [
        (True, "binary"),
        pytest.param(False, "binary", marks=pytest.mark.slow),
        pytest.param(False, "multinomial", marks=pytest.mark.slow),
        pytest.param(True, "multinomial", marks=pytest.mark.slow),
    ],
)
def test_derivatives_are_those_of_the_minimum_on_the_support(standardize, kind):
    def found(t):
        model = fit(
            X * (1 + 0.1 * t[0]), **KINDS[kind], l1_group=0.05 * (1 + t[1]), l1=0.01 * (1 + t[2]), l2=0.02 * (1 + t[3]),
            sample_weight=1 + (S - 1.5) * t[4], penalty_factor=FACTOR * (1 + t[5]), groups=GROUPS, standardize=standardize,
            tol=1e-13,
        )  # fmt: skip
        return jnp.concatenate([jnp.ravel(model.params.coef), jnp.ravel(model.params.intercept), model.value[None]])

    here = jnp.zeros(6)
    zeros = np.asarray(found(here)) == 0
    assert np.any(zeros)
    assert not np.all(zeros[:-4])
    columns = [(found(here.at[i].set(H)) - found(here.at[i].set(-H))) / (2 * H) for i in range(6)]
    differences = np.stack(columns, axis=1)
    for jacobian in (jax.jacfwd, jax.jacrev):
        slopes = jacobian(found)(here)
        np.testing.assert_allclose(slopes, differences, atol=1e-7)  # H^2 and 1e-13 / H
        assert np.all(np.asarray(slopes)[zeros] == 0)


@pytest.mark.slow
def test_the_value_falls_by_the_norms_that_the_strength_weighs():
    strengths, options = jnp.array([0.1, 0.03, 0.01]), {"groups": GROUPS, "offset": OFFSET, "tol": 1e-12}
    slope = jax.grad(lambda l1_group: jnp.sum(fit(X, Y, l1_group=l1_group, **options).value))(strengths)
    coef = np.asarray(fit(X, Y, l1_group=strengths, **options).params.coef)
    norms = sum(np.sqrt(np.sum(g == GROUPS)) * np.linalg.norm(coef[:, g == GROUPS], axis=1) for g in set(GROUPS.tolist()))
    np.testing.assert_allclose(slope, norms, rtol=1e-9)  # the coefficients are right to 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    def value(l1_group):
        return fit(X, **KINDS[kind], l1_group=l1_group, l2=0.01, groups=GROUPS, tol=1e-13).value

    here, h = jnp.float64(0.03), 1e-4
    gradient = jax.grad(value)
    difference = (gradient(here + h) - gradient(here - h)) / (2 * h)
    for second in (jax.grad(gradient), jax.jacfwd(gradient)):
        assert float(second(here)) == pytest.approx(float(difference), rel=1e-4)  # h^2 over the strength squared
    assert float(difference) < 0


@pytest.mark.slow
def test_where_everything_is_0_only_the_intercept_moves():
    def coef(l1_group):
        return fit(X, Y, l1_group=l1_group, groups=GROUPS).params

    slopes = jax.jacfwd(coef)(jnp.float64(1.0))
    np.testing.assert_array_equal(slopes.coef, np.zeros(N))
    np.testing.assert_array_equal(slopes.intercept, 0)


@pytest.mark.slow
def test_a_member_without_a_minimum_has_no_derivatives_and_its_neighbours_have_theirs():
    def value(l1_group):
        found = fit(X, Y, l1_group=l1_group, groups=GROUPS)
        return jnp.sum(found.params.coef, axis=1), found.status

    strengths = jnp.array([0.05, -0.05])
    slopes, status = jax.jacfwd(value, has_aux=True)(strengths)
    assert [Status(int(one)) for one in status] == [Status.CONVERGED, Status.INVALID]
    alone = jax.jacfwd(value, has_aux=True)(strengths[:1])[0]
    np.testing.assert_allclose(slopes[0, 0], alone[0, 0], rtol=1e-6)  # coefficients to 1e-8
    assert np.isnan(slopes[1, 1])


@pytest.mark.slow
def test_a_bootstrap_is_its_resamples():

    key, options = jax.random.key(3), {"l1_group": 0.05, "l1": 0.01, "groups": GROUPS}
    resamples = fit_bootstrap(key, X, Y, 8, **options)
    weights = jaxlr.bootstrap(key, len(Y), 8)
    assert bool(resamples.converged.all())
    expected = fit(X, Y, sample_weight=weights, **options)
    np.testing.assert_allclose(resamples.params.coef, expected.params.coef, atol=1e-8)  # two fits to 1e-10 over 0.05
    np.testing.assert_array_equal(resamples.params.coef == 0, expected.params.coef == 0)
    assert np.any(np.std(np.asarray(resamples.params.coef), axis=0) > 0.01)
