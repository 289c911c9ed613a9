"""A number that all models share: their largest, under any vmap, and a choice that stays one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.solvers.together import anew_if, largest_of_all


def test_alone_it_is_the_number_itself():
    assert int(largest_of_all(jnp.int32(3))) == 3
    assert int(jax.jit(largest_of_all)(jnp.int32(3))) == 3


def test_side_by_side_it_is_the_largest_for_all():
    numbers = jnp.asarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    np.testing.assert_array_equal(jax.vmap(largest_of_all)(numbers[0]), [2, 2, 2])
    np.testing.assert_array_equal(jax.vmap(jax.vmap(largest_of_all))(numbers), np.full((2, 3), 5))


def test_a_choice_by_it_runs_one_branch_for_all():
    def choose(number, x):
        return jax.lax.cond(largest_of_all(number) > 1, jnp.sin, jnp.cos, x)

    numbers, x = jnp.arange(3, dtype=np.int32), jnp.linspace(0, 1, 3)
    assert "case" in jax.jit(jax.vmap(choose)).lower(numbers, x).as_text()
    np.testing.assert_array_equal(jax.vmap(choose)(numbers, x), jnp.sin(x))


def test_what_one_of_them_wants_anew_is_made_for_all_and_else_for_none():
    def newer(wanted, x):
        return anew_if(wanted, lambda: 2 * x, x)

    x = jnp.arange(3.0)
    one, none = jnp.asarray([False, True, False]), jnp.zeros(3, bool)
    np.testing.assert_array_equal(jax.vmap(newer)(one, x), 2 * x)
    np.testing.assert_array_equal(jax.vmap(newer)(none, x), x)
    assert float(jax.jit(newer)(jnp.bool_(False), 3.0)) == 3
