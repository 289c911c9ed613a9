"""Loops are `jax.vmap`, one member or a group after the other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr import Problem
from jaxlr.batching.loops import even_size, in_groups, loop

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Problem(np.arange(24.0).reshape(3, 4, 2), np.arange(4.0), l2=np.arange(3.0))
AXES = Problem(0, None, None, None, None, 0)


def total(problem, pair, scale):
    return {"sum": scale * (jnp.sum(problem.X * problem.y[:, None]) + problem.l2), "pair": pair[0] + pair[1]}


@pytest.mark.parametrize("axis", [0, None], ids=["an axis for a whole subtree", "a subtree that all share"])
def test_a_loop_is_vmap_with_the_same_axes(axis):
    pair = (np.arange(3.0), np.ones(3)) if axis == 0 else (np.arange(3.0), np.float64(1))
    arguments = (replace(PROBLEMS, l1=None), pair, np.float64(2))
    axes = (replace(AXES, l1=None), axis, None)
    got, expected = (mapped(total, in_axes=axes)(*arguments) for mapped in (loop, jax.vmap))
    jax.tree.map(np.testing.assert_array_equal, got, expected)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_groups_of_any_size_give_the_same_results_in_order(size):
    x = jnp.arange(5.0)
    np.testing.assert_array_equal(in_groups(lambda group: {"square": group**2}, x, size)["square"], x**2)


def test_groups_leave_no_rest_where_some_size_over_half_of_the_most_does():
    for k, most in ((10_000, 58), (10_000, 64), (67, 64), (64, 64), (1, 64), (97, 50), (3, 1)):
        divisors = [size for size in range(most // 2 + 1, most + 1) if k % size == 0]
        assert even_size(k, most) == max(divisors, default=most)
