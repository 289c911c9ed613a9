"""Values that no member of a batch can have are refused; what only some members have is their status."""

import re

import numpy as np
import pytest

from jaxlr import Status, fit

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = RNG.random(60) < 0.5


def test_a_factor_of_infinity_is_no_hole_beside_that_of_another_member():
    """The inf of one member was taken for a hole, and the whole call refused for the NaN of another."""
    found = fit(X, Y, l2=0.1, penalty_factor=np.array([[1, np.inf], [1, np.nan]]))
    assert found.status.tolist() == [Status.CONVERGED, Status.NONFINITE]
    assert np.asarray(found.params.coef)[0, 1] == 0
    with pytest.raises(ValueError, match=r"expected finite penalty_factor, got nan first at index \(1,\)"):
        fit(X, Y, l2=0.1, penalty_factor=np.array([np.inf, np.nan]))


@pytest.mark.parametrize("name", ["l1", "l2", "sample_weight", "penalty_factor"])
def test_numbers_that_the_dtype_cannot_hold_are_refused(name):
    """Above the largest one they became infinite on the way, with a warning of NumPy, and the model NONFINITE."""
    for number in (1e39, 1e-39):
        value = np.full({"sample_weight": 60, "penalty_factor": 2}.get(name, ()), number)
        with pytest.raises(
            ValueError, match=re.escape(f"expected {name} that float32 can hold, 0 or from 1.2e-38 to 3.4e+38, got {number}")
        ):
            fit(X.astype(np.float32), Y, **{"l2": 0.1, name: value})
