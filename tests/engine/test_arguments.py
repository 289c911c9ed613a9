"""What a call is told, in the dtype of its fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.engine.arguments import checked_tol


@pytest.mark.parametrize("tol", [1e-3, np.float16(1e-3), jnp.bfloat16(1e-3), 1])
def test_a_tolerance_may_be_any_real_number(tol):
    assert checked_tol(tol, np.dtype(np.float32)) == np.float32(float(tol))


@pytest.mark.parametrize("tol", [1e39, 1e-50, np.nan, True, 1j, [1e-3], "1e-3"], ids=str)
def test_a_tolerance_that_the_dtype_cannot_hold_is_refused(tol):
    with pytest.raises((TypeError, ValueError), match="tol"):
        checked_tol(tol, np.dtype(np.float32))
