"""Sums from block to block, and from process to process, with their rounding errors.

    total = fl(a + b),   other = fl(total - a),   error = (a - (total - other)) + (b - other),   total + error = a + b exactly

(TwoSum: Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B.) The errors are added up beside the totals, so that
what is lost does not grow with the number of blocks. Over processes each adds up a share of the numbers, in the order of the
processes, and sends it to all: the bits are the same everywhere, and no process holds the sums of all.
"""

from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

T = TypeVar("T")
_AXIS = "processes"


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Sum and rounding error."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def plus(carried: tuple[T, T], new: T) -> tuple[T, T]:
    """The sums with new ones, and their rounding errors."""
    sums, errors = carried
    leaves, structure = jax.tree.flatten(sums)
    both = [two_sum(a, b) for a, b in zip(leaves, jax.tree.leaves(new), strict=True)]
    total, rounding = (jax.tree.unflatten(structure, [pair[i] for pair in both]) for i in range(2))
    return total, jax.tree.map(jnp.add, errors, rounding)


def whole(carried: tuple[T, T]) -> T:
    """The sums, their rounding errors added: on the host, where that needs no program."""
    return jax.tree.map(np.add, *jax.tree.map(np.asarray, carried))


def of_all_processes(carried: tuple[T, T]) -> T:
    """The sums of all processes, float64, their rounding errors added."""
    if jax.process_count() == 1:
        return whole(carried)
    leaves, structure = jax.tree.flatten(carried[0])
    both = np.stack([np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(side)]) for side in carried])
    count, size = jax.process_count(), both.shape[1]
    share = -(-size // count)
    own = np.pad(both, ((0, 0), (0, count * share - size))).reshape(1, 2, count, share)
    mesh = Mesh([next(d for d in jax.devices() if d.process_index == process) for process in range(count)], (_AXIS,))
    dealt = jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec(_AXIS)), own)
    total = np.asarray(_sums_of_shares(dealt, mesh).addressable_data(0))[:size]
    parts = np.split(total, np.cumsum([np.size(leaf) for leaf in leaves])[:-1])
    return jax.tree.unflatten(structure, [part.reshape(np.shape(leaf)) for part, leaf in zip(parts, leaves, strict=True)])


@partial(jax.jit, static_argnames="mesh")
def _sums_of_shares(dealt: Float[Array, "p 2 p share"], mesh: Mesh) -> Float[Array, " size"]:
    def add(carried: tuple[Array, Array], part: Array) -> tuple[tuple[Array, Array], None]:
        total, rounding = two_sum(carried[0], part[0])
        return (total, carried[1] + part[1] + rounding), None

    def of_share(own: Array) -> Array:
        parts = jax.lax.all_to_all(own[0], _AXIS, split_axis=1, concat_axis=0)  # (p, 2, share): mine, of each process
        (total, rounding), _ = jax.lax.scan(add, (parts[0, 0], parts[0, 1]), parts[1:])
        return jax.lax.all_gather(total + rounding, _AXIS, tiled=True)

    spread: Any = jax.shard_map(of_share, mesh=mesh, in_specs=PartitionSpec(_AXIS), out_specs=PartitionSpec(), check_vma=False)
    return spread(dealt)
