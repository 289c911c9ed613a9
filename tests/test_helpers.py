"""The checkers are checked: each fails on the mistake that it is there to find, and passes without it."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr import Params
from tests.helpers import (
    assert_tree_close,
    assert_within_ulp,
    count_traces,
    tolerance,
    ulp,
    ulp_error,
)

pytestmark = pytest.mark.usefixtures("x64")

X0 = Params(np.array([0.5, -1.5]), np.array(2.0))


def test_tolerance_is_in_units_of_the_dtype():
    assert tolerance(jnp.float32, 3) == 3 * 2.0**-23
    assert tolerance(jnp.bfloat16, 1) == 2.0**-7


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1.0, jnp.float32, 2.0**-23),
        (1.999, jnp.float32, 2.0**-23),
        (-2.0, jnp.float64, 2.0**-51),
        (1.0, jnp.bfloat16, 2.0**-7),
        (0.0, jnp.float16, 2.0**-24),
        (2.0**-20, jnp.float16, 2.0**-24),
    ],
)
def test_ulp_is_the_spacing_of_the_dtype(value, dtype, expected):
    assert ulp(np.array(value), dtype) == expected


def test_ulp_error_counts_steps_and_sees_the_tail():
    one_up = np.nextafter(1.0, 2.0)
    assert ulp_error(np.array(one_up), np.array(1.0)) == 1
    assert ulp_error(np.array(1.0), np.array(1.0), np.array(2.0**-54)) == 0.25


@pytest.mark.parametrize("wrong", [1 + 5 * 2.0**-23, np.nan, np.inf, -1.0])
def test_ulp_checker_fails_on_a_wrong_value(wrong):
    exact = np.array([1.0, 2.0])
    assert assert_within_ulp(np.array([1.0, 2.0], np.float32), exact, 4, at=exact) == 0
    with pytest.raises(AssertionError, match="beyond 4 ulp"):
        assert_within_ulp(np.array([wrong, 2.0], np.float32), exact, 4, at=exact)


def test_ulp_checker_fails_where_nan_or_infinity_became_a_number():
    for exact in (np.nan, np.inf, -np.inf):
        assert_within_ulp(np.array([exact], np.float32), np.array([exact]), 4, at=0)
        with pytest.raises(AssertionError):
            assert_within_ulp(np.array([1.0], np.float32), np.array([exact]), 4, at=0)


def test_ulp_checker_lets_subnormals_be_flushed_but_not_grow():
    tiny = float(np.finfo(np.float32).tiny)
    assert_within_ulp(np.array([0.0], np.float32), np.array([tiny / 2]), 4, at=0)
    with pytest.raises(AssertionError):
        assert_within_ulp(np.array([4 * tiny], np.float32), np.array([tiny / 2]), 4, at=0)


def test_tree_checker_passes_equal_trees_and_a_rounding():
    assert_tree_close(X0, X0, 0)
    assert_tree_close(Params(np.nextafter(X0.coef, 9.0), X0.intercept), X0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        X0._replace(coef=X0.coef * (1 + 1e-3)),
        X0._replace(intercept=X0.intercept.astype(np.float32)),
        X0._replace(coef=X0.coef[:, None]),
        X0._replace(coef=None),
        X0._replace(coef=np.array([0.5, np.nan])),
        tuple(X0),
        X0.coef,
    ],
    ids=["value", "dtype", "shape", "dropped leaf", "nan", "tuple", "leaf alone"],
)
def test_tree_checker_fails_on_a_difference(wrong):
    with pytest.raises(AssertionError):
        assert_tree_close(wrong, X0, 100)


def test_tree_checker_fails_on_unequal_integers():
    with pytest.raises(AssertionError):
        assert_tree_close(np.array([1, 2]), np.array([1, 3]), 100)


def test_traces_are_counted():
    doubled, traces = count_traces(lambda a: 2 * a)
    doubled(np.ones(2)), doubled(np.zeros(2))
    assert traces() == 1
    doubled(np.ones(3))
    assert traces() == 2
