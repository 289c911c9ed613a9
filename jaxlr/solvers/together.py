"""What models that run side by side decide together.

A solver is written for one problem. Where many are lanes of `jax.vmap`, a choice of its own in each (`jax.lax.switch`) would
run every branch for all; made of a number that all share, it stays a choice.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped


@jax.custom_batching.custom_vmap
def largest_of_all(number: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """The largest such number of all models side by side, the same for each; the number itself of a model alone. Of arrays
    element by element."""
    return number


@largest_of_all.def_vmap
def _(axis_size: int, in_batched: Any, numbers: Shaped[Array, "L ..."]) -> tuple[Shaped[Array, "..."], bool]:
    del axis_size, in_batched
    return largest_of_all(jnp.max(numbers, axis=0)), False


def anew_if(wanted: Bool[Array, ""], new: Callable[[], Any], old: Any) -> Any:
    """`new()` where any of the models side by side wants it, for all; else what there is, which a choice (`jax.lax.cond`) would
    copy."""
    once = largest_of_all(wanted.astype(jnp.int32)) > 0
    return jax.lax.while_loop(lambda state: state[1], lambda _: (new(), jnp.bool_(False)), (old, once))[0]
