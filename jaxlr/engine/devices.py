"""Many devices: models spread over one axis of a mesh, rows over the axis named "rows".

Models need nothing of each other, so each device runs the program on its own (`jax.shard_map`) and waits for nobody. Rows
are sums in every product with the data; XLA adds them up over the devices that hold them (`jax.sharding.NamedSharding`), and
a design that comes in sharded by rows is never gathered. Every process of a job that `jax.distributed` joined makes the same
call, and gets the whole answer.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlr.batching.axes import Core, map_leaves
from jaxlr.compilation.program import quick_options
from jaxlr.inputs.memory import aligned
from jaxlr.linalg.sparse import Sparse
from jaxlr.results.fit import Fit

_ROWS = "rows"


def check_mesh(mesh: object, m: int) -> None:
    """Refuse what models and m rows cannot be spread over: no mesh, more than one axis beside "rows", rows that cannot be dealt
    out evenly."""
    if not isinstance(mesh, Mesh):
        raise TypeError(f'expected mesh to be a jax.sharding.Mesh, as of jax.make_mesh((8,), ("models",)), got {mesh!r}')
    if len(set(mesh.axis_names) - {_ROWS}) > 1:
        raise ValueError(
            f'expected one axis for the models and perhaps one named "rows", got axes {mesh.axis_names}; name them in '
            "jax.make_mesh"
        )
    if m % mesh.shape.get(_ROWS, 1):
        raise ValueError(
            f"expected a multiple of {mesh.shape[_ROWS]} rows for the mesh axis {_ROWS!r}, got {m}; add rows of weight 0"
        )


def check_on_one_device(X: Any) -> None:
    """Refuse a design that explicit sharding deals out where a call is one program, without sums over devices."""
    X = X.rows.data if isinstance(X, Sparse) else X
    spec = getattr(getattr(jax.typeof(X), "sharding", None), "spec", ())
    if any(name is not None for name in spec):
        raise ValueError(
            f"expected X on one device, or mesh= outside jit and differentiation, got X dealt out by {spec}; "
            f"pass mesh=, or jax.device_put(X, jax.devices()[0])"
        )


def sizes(mesh: Mesh | None) -> tuple[int, int, int]:
    """Devices that models are spread over, that rows are spread over, and those of this process; one without a mesh."""
    if mesh is None:
        return 1, 1, 1
    return mesh.shape.get(_models(mesh), 1), mesh.shape.get(_ROWS, 1), len(mesh.local_devices)


def place(fields: Any, mesh: Mesh, cores: Any, chunk: tuple[int, ...]) -> Any:
    """Put the fields of a chunk on the devices that need them; what lies there already stays.

    Args:
        fields: a pytree of NumPy or JAX arrays (..., *core).
        mesh: as `check_mesh` accepts it.
        cores: a Core in the place of each; its axis m is dealt out.
        chunk: shape of the batch; its longest axis is spread, a multiple of the devices.
    """
    mesh = _automatic(mesh)
    return map_leaves(lambda core, leaf: _place(leaf, NamedSharding(mesh, _spec(leaf, core, mesh, chunk))), cores, fields)


def on_mesh(
    program: Callable[..., Fit], mesh: Mesh, cores: tuple[Any, ...], chunk: tuple[int, ...], settings: Hashable
) -> Callable[[tuple[Any, ...]], Fit]:
    """A program of a chunk on all devices of a mesh: from its arguments to a Fit (*chunk,) that every process holds whole.

    Args:
        program: (*arguments, chunk, settings) to a Fit (*chunk,).
        mesh, cores, chunk: as in `place`.
        settings: static.
    """

    def run(arguments: tuple[Any, ...]) -> Fit:
        placed = place(arguments, mesh, cores, chunk)
        specs, structure = jax.tree.flatten(
            map_leaves(lambda core, leaf: _spec(leaf, core, mesh, chunk, rows=None), cores, placed)
        )
        spread = _spread(program, _automatic(mesh), structure, tuple(specs), chunk, settings)
        return jax.device_put(jax.tree.map(_whole, spread(placed)))

    return run


@functools.lru_cache(maxsize=64)
def _spread(
    program: Callable[..., Fit],
    mesh: Mesh,
    structure: Any,
    specs: tuple[PartitionSpec, ...],
    chunk: tuple[int, ...],
    settings: Hashable,
) -> Callable[[tuple[Any, ...]], Fit]:
    models, axis = _models(mesh), _spread_axis(mesh, chunk)
    own = tuple(size // mesh.shape[models] if i == axis else size for i, size in enumerate(chunk))

    def on_device(arguments: tuple[Any, ...]) -> Fit:
        return program(*arguments, own, settings)

    if axis is not None:
        on_device = jax.shard_map(
            on_device,
            mesh=mesh,
            in_specs=(jax.tree.unflatten(structure, specs),),
            out_specs=PartitionSpec(*[None] * axis, models),
            axis_names={models},
            check_vma=False,
        )
    return jax.jit(on_device, compiler_options=quick_options())


def _automatic(mesh: Mesh) -> Mesh:
    """The mesh whose axes XLA may use as it needs."""
    return Mesh(mesh.devices, mesh.axis_names)


def _models(mesh: Mesh) -> str | None:
    """The axis that models are spread over."""
    return next((name for name in mesh.axis_names if name != _ROWS), None)


def _spread_axis(mesh: Mesh, chunk: tuple[int, ...]) -> int | None:
    """The axis of the batch that models are spread along."""
    return int(np.argmax(chunk)) if chunk and _models(mesh) else None


def _spec(value: Any, core: Core, mesh: Mesh, chunk: tuple[int, ...], rows: str | None = _ROWS) -> PartitionSpec:
    """Which axis of a field lies along which axis of the mesh."""
    rows, lead = rows if rows in mesh.axis_names else None, len(core.lead(value))
    names: list[str | None] = [None] * lead + [rows if axis == "m" else None for axis in core.axes]
    spread = _spread_axis(mesh, chunk)
    if spread is not None and (axis := lead - len(chunk) + spread) >= 0 and value.shape[axis] > 1:
        names[axis] = _models(mesh)
    return PartitionSpec(*names)


def _place(value: Any, sharding: NamedSharding) -> jax.Array:
    """Every process puts its part of what it holds; what lies on several processes moves between devices."""
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_place(jax.random.key_data(value), sharding), impl=jax.random.key_impl(value))
    on_host = not isinstance(value, jax.Array) or (value.is_fully_addressable and not sharding.is_fully_addressable)
    if not on_host:
        return jax.device_put(value, sharding)
    host = np.asarray(value)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def _whole(leaf: jax.Array) -> np.ndarray:
    return np.asarray(leaf if leaf.is_fully_addressable else multihost_utils.process_allgather(leaf, tiled=True))


def brought(fields: Any, cores: Any, dtype: jnp.dtype) -> Any:
    """The fields in one dtype, keys as they are; NumPy arrays stay so, for a program takes them over where they lie.

    Args:
        fields: a pytree of arrays.
        cores: a Core in the place of each; one that names a dtype keeps to that.
        dtype: floating.
    """

    def bring(core: Core, value: Any) -> Any:
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return value
        own = dtype if core.dtype is None else core.dtype
        if isinstance(value, Sparse):
            return value.astype(own)
        return jnp.asarray(value, own) if isinstance(value, jax.Array) else aligned(np.asarray(value, own))

    return map_leaves(bring, cores, fields)
