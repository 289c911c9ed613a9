"""What models that run side by side decide together.

A solver is written for one problem. Where many are lanes of `jax.vmap`, a choice of its own in each (`jax.lax.switch`) would
run every branch for all; made of a number that all share, it stays a choice.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


@jax.custom_batching.custom_vmap
def largest_of_all(number: Int[Array, ""]) -> Int[Array, ""]:
    """The largest such number of all models side by side, the same for each; the number itself of a model alone."""
    return number


@largest_of_all.def_vmap
def _(axis_size: int, in_batched: Any, numbers: Int[Array, " L"]) -> tuple[Int[Array, ""], bool]:
    del axis_size, in_batched
    return largest_of_all(jnp.max(numbers)), False
