"""What one Hessian leaves of another is bounded without a product with the columns, for one logit and for several."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlr.model.likelihood import Binary, Multinomial

pytestmark = pytest.mark.usefixtures("x64")

M, N = 12, 3
ROUNDING = 1 + 1e-12


def dense(curvature, shape):
    """The matrix of `times` of each row, (m, K, K)."""
    units = np.eye(int(np.prod(shape[:-1], dtype=int)))
    columns = [np.asarray(curvature.times(jnp.asarray(np.broadcast_to(unit.reshape(*shape[:-1], 1), shape)))) for unit in units]
    return np.stack([column.reshape(-1, shape[-1]) for column in columns]).transpose(2, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [Binary(), Multinomial(3)])
@given(seed=st.integers(0, 10**6), far=st.sampled_from([1e-6, 1.0, 30.0]))
def test_the_dual_square_is_that_of_the_inverse(likelihood, seed, far):
    rng = np.random.default_rng(seed)
    shape, w = (*likelihood.classes, M), rng.dirichlet(np.ones(M))
    curvature = likelihood.curvature(jnp.asarray(rng.uniform(-3, 3, shape)), jnp.asarray(w))
    r = curvature.times(jnp.asarray(far * rng.standard_normal(shape)))
    rows = np.moveaxis(np.asarray(r).reshape(-1, M), 1, 0)
    expected = np.einsum("mk,mkl,ml->", rows, np.linalg.pinv(dense(curvature, shape), rcond=1e-10), rows)
    np.testing.assert_allclose(float(curvature.dual_square(r)), expected, rtol=1e-8)  # pinv of condition numbers up to 1e6
    assert float(curvature.dual_square(0 * r)) == 0


@pytest.mark.parametrize("likelihood", [Binary(), Multinomial(3)])
@given(seed=st.integers(0, 10**6), apart=st.sampled_from([1e-3, 0.3, 5.0]))
def test_another_hessian_leaves_no_more_than_its_bound(likelihood, seed, apart):
    rng = np.random.default_rng(seed)
    shape, w, A = (*likelihood.classes, M), rng.dirichlet(np.ones(M)), rng.standard_normal((M, N))
    z = rng.uniform(-3, 3, shape)
    here, before = (likelihood.curvature(jnp.asarray(at), jnp.asarray(w)) for at in (z, z + apart * rng.standard_normal(shape)))
    dz = jnp.asarray(rng.standard_normal((*likelihood.classes, N)) @ A.T)
    left = here.times(dz) - before.times(dz)
    rho = np.sqrt(float(here.dual_square(left)))
    slope = np.asarray(left) @ A
    assert np.all(np.abs(slope) <= ROUNDING * rho * np.sqrt(w @ A**2) / 2)
    # In the norm of H^-1, for each class alone: what is left along any change v is at most |v|_H rho.
    v = jnp.asarray(rng.standard_normal((*likelihood.classes, N)) @ A.T)
    assert abs(float(jnp.sum(v * left))) <= ROUNDING * np.sqrt(float(jnp.sum(v * here.times(v)))) * rho
