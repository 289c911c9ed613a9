"""Many devices: models spread over one axis of a mesh, rows over the axis named "rows".

Models need nothing of each other, so each device runs the program on its own (`jax.shard_map`) and waits for nobody. Rows
are sums in every product with the data; XLA adds them up over the devices that hold them (`jax.sharding.NamedSharding`).
Every process of a job that `jax.distributed` joined makes the same call, and gets the whole answer.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jaxlr.result import Fit

_ROWS = "rows"


def check_mesh(mesh: object, m: int) -> None:
    """Refuse what models and rows cannot be spread over.

    Args:
        mesh: the argument.
        m: rows.

    Raises:
        TypeError: it is not a mesh.
        ValueError: it has more than one axis beside "rows", or the rows cannot be dealt out evenly.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f'expected mesh to be a jax.sharding.Mesh, as of jax.make_mesh((8,), ("models",)), got {mesh!r}')
    if len(set(mesh.axis_names) - {_ROWS}) > 1:
        raise ValueError(f'expected one axis for the models and perhaps one named "rows", got axes {mesh.axis_names}')
    if m % mesh.shape.get(_ROWS, 1):
        raise ValueError(
            f"expected a multiple of {mesh.shape[_ROWS]} rows for the mesh axis {_ROWS!r}, got {m}; add rows of weight 0"
        )


def models_axis(mesh: Mesh) -> str | None:
    """The axis that models are spread over.

    Args:
        mesh: as `check_mesh` accepts it.

    Returns:
        Its name, or None where there are only rows.
    """
    return next((name for name in mesh.axis_names if name != _ROWS), None)


def on_mesh(
    program: Callable[..., Fit], mesh: Mesh, core_axes: Mapping[str, str], chunk: tuple[int, ...], static: tuple
) -> Callable[..., Fit]:
    """A program of a chunk, on all devices of a mesh.

    Args:
        program: (fields, shared, chunk, *static) to a Fit (*chunk,).
        mesh: as `check_mesh` accepts it.
        core_axes: of every field, such as "mn", behind its batch axes; m is dealt out.
        chunk: shape of the batch; its longest axis is spread, a multiple of the devices.
        static: hashable.

    Returns:
        (fields, shared) to a Fit (*chunk,) that this process holds whole.
    """
    mesh = Mesh(mesh.devices, mesh.axis_names)  # whose axes XLA may use as it needs
    spread = int(np.argmax(chunk)) if chunk and models_axis(mesh) else None

    def run(fields: dict[str, Array], shared: Any) -> Fit:
        specs = {name: _spec(value, core_axes[name], len(chunk), spread, mesh) for name, value in fields.items()}
        placed = {name: _place(value, NamedSharding(mesh, specs[name])) for name, value in fields.items()}
        everywhere = jax.tree.map(lambda leaf: _place(leaf, NamedSharding(mesh, PartitionSpec())), shared)
        known = tuple(sorted((name, _without_rows(spec)) for name, spec in specs.items()))
        return jax.tree.map(_whole, _sharded(program, mesh, known, chunk, spread, static)(placed, everywhere))

    return run


@functools.lru_cache(maxsize=64)
def _sharded(
    program: Callable[..., Fit], mesh: Mesh, specs: tuple, chunk: tuple[int, ...], spread: int | None, static: tuple
) -> Callable[..., Fit]:
    if spread is None:
        return lambda fields, shared: program(fields, shared, chunk, *static)
    models = models_axis(mesh)
    own = tuple(size // mesh.shape[models] if axis == spread else size for axis, size in enumerate(chunk))
    return jax.jit(
        jax.shard_map(
            lambda fields, shared: program(fields, shared, own, *static),
            mesh=mesh,
            in_specs=(dict(specs), PartitionSpec()),
            out_specs=PartitionSpec(*[None] * spread, models),
            axis_names={models},
            check_vma=False,
        )
    )


def _spec(value: Array, core: str, batch_rank: int, spread: int | None, mesh: Mesh) -> PartitionSpec:
    names: list[str | None] = [None] * (value.ndim - len(core)) + [_ROWS if axis == "m" else None for axis in core]
    if _ROWS not in mesh.axis_names:
        names = [None] * value.ndim
    if spread is not None and (axis := value.ndim - len(core) - batch_rank + spread) >= 0 and value.shape[axis] > 1:
        names[axis] = models_axis(mesh)
    return PartitionSpec(*names)


def _without_rows(spec: PartitionSpec) -> PartitionSpec:
    return PartitionSpec(*(None if name == _ROWS else name for name in spec))


def _place(value: Any, sharding: NamedSharding) -> Array:
    """On the devices of the mesh; what is there already stays."""
    if isinstance(value, jax.Array) and (not value.is_fully_addressable or jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
        return jax.device_put(value, sharding)
    host = np.asarray(value)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def _whole(leaf: Array) -> Array:
    if leaf.is_fully_addressable:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)
