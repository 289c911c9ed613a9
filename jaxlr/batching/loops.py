"""`jax.vmap` one after the other, or in groups: for what should not stand side by side."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def loop(function: Callable, in_axes: tuple[Any, ...]) -> Callable:
    """`jax.vmap` one after the other, with the same axes.

    Args:
        function: of pytrees.
        in_axes: a pytree for each argument, 0 or None in the place of its leaves or subtrees.
    """
    return _along(function, in_axes, jax.lax.map)


def alone(function: Callable, in_axes: tuple[Any, ...]) -> Callable:
    """`jax.vmap` of axes of length 1, which would only keep XLA from seeing that arrays lie as they are needed: products of
    several classes take twice as long there.

    Args:
        function, in_axes: as in `loop`; mapped axes are of length 1.
    """

    def first(one: Callable, own: list[Array]) -> Any:
        return jax.tree.map(lambda leaf: leaf[None], one([leaf[0] for leaf in own]))

    return _along(function, in_axes, first)


def _along(function: Callable, in_axes: tuple[Any, ...], over: Callable[[Callable, list[Array]], Any]) -> Callable:
    def mapped(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        axes = structure.flatten_up_to(_filled(in_axes, arguments))
        differing = [leaf for leaf, axis in zip(leaves, axes, strict=True) if axis is not None]

        def one(own: list[Array]) -> Any:
            rest = iter(own)
            mine = [leaf if axis is None else next(rest) for leaf, axis in zip(leaves, axes, strict=True)]
            return function(*jax.tree.unflatten(structure, mine))

        return over(one, differing)

    return mapped


def _filled(in_axes: tuple[Any, ...], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """An axis in the place of every leaf, where one may stand for a whole subtree."""

    def of_subtree(axis: int | None, subtree: Any) -> Any:
        return jax.tree.map(lambda _: axis, subtree)

    return jax.tree.map(of_subtree, in_axes, arguments, is_leaf=lambda axis: axis is None)


def in_groups(function: Callable, mapped: Any, size: int) -> Any:
    """A function of groups, one group after the other.

    Args:
        function: of a group, its axis in front.
        mapped: a pytree with one leading axis (k, ...).
        size: static, >= 1; a group has at most so many.
    """
    k = jax.tree.leaves(mapped)[0].shape[0]
    num_groups = -(-k // size)
    if num_groups <= 1:
        return function(mapped)
    size = -(-k // num_groups)

    def grouped(leaf: Array) -> Array:
        filled = jnp.pad(leaf, [(0, num_groups * size - k)] + [(0, 0)] * (leaf.ndim - 1), mode="edge")
        return filled.reshape(num_groups, size, *leaf.shape[1:])

    results = jax.lax.map(function, jax.tree.map(grouped, mapped))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:k], results)


def over_members(function: Callable, batch: tuple[int, ...], most: int) -> Any:
    """A function of the index of a member along each axis, over all members of a batch: results (*batch, ...).

    Args:
        function: to a pytree of arrays.
        batch: static.
        most: members side by side.
    """
    if not batch:
        return function(())
    members = tuple(jnp.asarray(axis.reshape(-1)) for axis in np.indices(batch))
    results = in_groups(jax.vmap(function), members, even_size(math.prod(batch), most))
    return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape[1:]), results)


def even_size(k: int, most: int) -> int:
    """The size of groups of k, over half of `most` and at most that, that leaves no rest, where there is one; else `most`.

    For large results: a last group that is filled up costs a copy of them all.

    Args:
        k: models.
        most: models in a group.

    Example:
        >>> even_size(10_000, 58), even_size(67, 64)
        (50, 64)
    """
    return next((size for size in range(most, most // 2, -1) if k % size == 0), most)
