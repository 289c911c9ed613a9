"""What is measured on the host: rows far out, rows that only other models have, numbers that XLA takes for 0."""

import jax
import numpy as np
import pytest

from jaxlr import Status, fit, fit_firth

pytestmark = pytest.mark.usefixtures("x64")

M = 60
RNG = np.random.default_rng(0)
X = RNG.standard_normal((M, 4))
Y = (X @ [1, -1, 0.5, 0] + 2 * RNG.standard_normal(M) > 0).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "far"), [(np.float64, 1e8), (np.float64, 1e9), (np.float32, 1e4)])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("call", [fit, jax.jit(fit)], ids=["filled", "traced"])
def test_a_number_far_out_squeezes_no_column(dtype, far, l2, call):
    columns = X.copy()
    columns[3, 1] = far
    got = call(columns.astype(dtype), Y, l2=l2)
    rest = np.arange(M) != 3
    # The row far out is saturated: what it adds to the slope of its column vanishes.
    alone = fit(X[rest], Y[rest], l2=l2 * M / (M - 1))
    assert got.status == Status.CONVERGED
    assert abs(got.params.coef[1]) > 0.1
    np.testing.assert_allclose(got.params.coef, alone.params.coef, rtol=0.3)


@pytest.mark.slow
def test_rows_that_only_models_of_other_chunks_have_touch_nothing():
    weights = np.ones((4, M))
    weights[:3, :5] = 0
    far = X.copy()
    far[:5] = 1e300
    assert (fit(far, Y, sample_weight=weights, l2=0.01, batch_size=1).status == Status.CONVERGED).all()
    chosen = fit_firth(far, Y, sample_weight=weights, only=np.array([1, 0, 1, 0], bool)).status
    assert np.asarray(chosen).tolist() == [Status.CONVERGED, Status.NOT_RUN] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "scale"), [(np.float64, 1e-310), (np.float64, 3e-308), (np.float32, 1e-40)])
@pytest.mark.parametrize("options", [{}, {"l1": 0.1}, {"l2": 0.1, "standardize": True}, {"l2": 0.1, "fit_intercept": False}])
def test_columns_of_subnormal_numbers_are_columns_of_zeros(dtype, scale, options):
    columns = X * [1, scale, 1, 1]
    got, alone = fit(columns.astype(dtype), Y, **options), fit((X * [1, 0, 1, 1]).astype(dtype), Y, **options)
    assert got.status == Status.CONVERGED
    np.testing.assert_allclose(got.value, alone.value, rtol=64 * np.finfo(dtype).eps)
