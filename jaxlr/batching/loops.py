"""Loops in place of `jax.vmap`: one member after the other, or a group at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def loop(function: Callable, in_axes: tuple[Any, ...]) -> Callable:
    """`jax.vmap` one after the other, with the same axes: what has none is shared, and never copied.

    Args:
        function: of pytrees.
        in_axes: for each argument a prefix of it, 0 or None.

    Returns:
        The mapped function.
    """

    def looped(*args: Any) -> Any:
        leaves, structure = jax.tree.flatten(args)
        axes = jax.tree.leaves(jax.tree.broadcast(in_axes, args, is_leaf=lambda axis: axis is None), is_leaf=_is_axis)
        mapped = [leaf for leaf, axis in zip(leaves, axes, strict=True) if axis is not None]

        def one(own: list[Array]) -> Any:
            rest = iter(own)
            whole = [leaf if axis is None else next(rest) for leaf, axis in zip(leaves, axes, strict=True)]
            return function(*jax.tree.unflatten(structure, whole))

        return jax.lax.map(one, mapped)

    return looped


def _is_axis(axis: Any) -> bool:
    return axis is None


def in_groups(function: Callable, mapped: Any, size: int) -> Any:
    """Groups of at most so many, one after the other.

    Args:
        function: of a group, its axis in front.
        mapped: a pytree with one leading axis (k, ...).
        size: static, >= 1.

    Returns:
        The results (k, ...).
    """
    k = jax.tree.leaves(mapped)[0].shape[0]
    num_groups = -(-k // size)
    if num_groups == 1:
        return function(mapped)
    size = -(-k // num_groups)

    def grouped(leaf: Array) -> Array:
        filled = jnp.pad(leaf, [(0, num_groups * size - k)] + [(0, 0)] * (leaf.ndim - 1), mode="edge")
        return filled.reshape(num_groups, size, *leaf.shape[1:])

    results = jax.lax.map(function, jax.tree.map(grouped, mapped))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:k], results)
