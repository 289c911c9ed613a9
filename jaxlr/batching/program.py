"""From batch axes to programs: designs outside, then the lanes that share a design, then a path of penalties.

An axis of X is an axis of designs, each prepared once. The last axis, where nothing but l1 and l2 vary along it, is a path, and
is followed from strong to weak. All other axes are lanes: models side by side, in matrix products that they share. A field
without an axis is shared along it and never copied.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import fit_design, fit_wide, is_wide, loop
from jaxlr.batching.large import fit_large
from jaxlr.inputs.checks import CORE_RANK, SOFTMAX_AXES
from jaxlr.linalg.moments import column_moments
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings

_CORE_RANK = CORE_RANK | {"present": 1, "sd": 1}
_SOFTMAX_RANK = _CORE_RANK | {name: len(axes) for name, axes in SOFTMAX_AXES.items()}
_SHORTEST_PATH = 8
_LARGE_DESIGN = 2**20  # bytes


@program("batch", "settings")
def fit_batch(arrays: dict[str, Array], tol: Array, batch: tuple[int, ...], settings: Settings) -> Fit:
    """Fit every member of a batch in one program.

    Args:
        arrays: fields by name, each with its batch axes in front; "coef" and "intercept" are the start, and "present" (..., m)
            says which rows have weight in some model, where that is known already.
        tol: on the KKT residual.
        batch: shape to which all batch axes broadcast.
        settings: static.

    Returns:
        Fit, the batch shape in front.
    """
    if settings.large:
        alone = {name: value.reshape(value.shape[value.ndim - CORE_RANK[name] :]) for name, value in arrays.items()}
        return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape), fit_large(alone, tol, settings))
    fields = _rows_with_weight(arrays) | arrays | (_deviations(arrays) if settings.standardize else {})
    rank = _SOFTMAX_RANK if settings.num_classes else _CORE_RANK
    fields = {name: _full_rank(value, rank[name], len(batch)) for name, value in fields.items()}
    axes = list(range(len(batch)))
    designs = [axis for axis in axes if fields["X"].shape[axis] > 1]
    path = [axis for axis in axes[-1:] if is_path({name: value.shape[axis] for name, value in fields.items()})]
    lanes = [axis for axis in axes if axis not in designs + path]
    num_lanes = int(np.prod([batch[axis] for axis in lanes], dtype=int))

    def arrange(name: str, value: Array) -> tuple[Array, dict[int, bool], bool]:
        value = jnp.moveaxis(value, designs + lanes + path, axes)
        varies = [size > 1 for size in value.shape[: len(batch)]]
        core = value.shape[len(designs + lanes) if name in ("l1", "l2") and path else len(batch) :]
        outer = tuple(size for size in value.shape[: len(designs)] if size > 1)
        own = any(varies[len(designs) : len(designs + lanes)])
        flat = [batch[axis] for axis in lanes] if own else [1] * len(lanes)
        value = jnp.broadcast_to(value, value.shape[: len(designs)] + tuple(flat) + value.shape[len(designs + lanes) :])
        return value.reshape(outer + (num_lanes,) * own + core), dict(enumerate(varies[: len(designs)])), own

    arranged = {name: arrange(name, value) for name, value in fields.items()}
    own = {name: has_lanes for name, (_, _, has_lanes) in arranged.items()}
    wide = is_wide(arrays, settings.standardize) and not settings.num_classes
    fit_models = fit_wide if wide else fit_design
    mapped = functools.partial(fit_models, own=own, num_lanes=num_lanes, has_path=bool(path), tol=tol, settings=settings)
    across = loop if stay_in_cache(fields["X"]) else jax.vmap
    for axis in reversed(range(len(designs))):
        mapped = across(mapped, in_axes=({name: 0 if varies[axis] else None for name, (_, varies, _) in arranged.items()},))
    fits = mapped({name: value for name, (value, _, _) in arranged.items()})

    def restore(leaf: Array) -> Array:
        core = leaf.shape[len(designs) + 1 + bool(path) :]
        leaf = leaf.reshape(tuple(batch[axis] for axis in designs + lanes + path) + core)
        return jnp.moveaxis(leaf, axes, designs + lanes + path)

    return jax.tree.map(restore, fits)


def stay_in_cache(X: Any) -> bool:
    """Whether designs come one after the other: on CPU, those so large that side by side each step would stream them from
    memory, while one alone stays near the cores.

    Args:
        X: (..., m, n).

    Returns:
        True or False, known outside jit.
    """
    return jax.default_backend() == "cpu" and X.shape[-2] * X.shape[-1] * X.dtype.itemsize >= _LARGE_DESIGN


def is_path(sizes: Mapping[str, int]) -> bool:
    """Whether an axis is long enough for a path, and strengths alone vary along it.

    Args:
        sizes: of every field along the last batch axis.

    Returns:
        True or False, known outside jit.
    """
    varying = {name: size for name, size in sizes.items() if size > 1}
    return bool(varying) and set(varying) <= {"l1", "l2"} and max(varying.values()) >= _SHORTEST_PATH


def _full_rank(value: Array, core_rank: int, batch_rank: int) -> Array:
    missing = batch_rank + core_rank - value.ndim
    return value.reshape((1,) * missing + value.shape)


def _deviations(arrays: dict[str, Array]) -> dict[str, Array]:
    """Standard deviation of every column under every row of weights: (..., n), batch axes of X and weights."""
    X = jax.lax.stop_gradient(arrays["X"])
    s = jax.lax.stop_gradient(arrays.get("sample_weight", jnp.ones(X.shape[:-1], X.dtype)))
    rank = max(X.ndim - 2, s.ndim - 1)
    deviations = jnp.vectorize(
        lambda X, s: column_moments(X, row_weights(Problem(X, None, sample_weight=s)))[1], signature="(m,n),(m)->(n)"
    )
    return {"sd": deviations(_full_rank(X, 2, rank), _full_rank(s, 1, rank))}


def _rows_with_weight(arrays: dict[str, Array]) -> dict[str, Array]:
    """Rows that have weight in some model of their design: (..., m) with the batch axes of X; nothing without weights."""
    if "sample_weight" not in arrays:
        return {}
    X, s = arrays["X"], arrays["sample_weight"]
    s = jnp.where(jnp.isinf(s), 0, s)
    # A member that became NaN throughout had weight somewhere: without it the others would be computed otherwise.
    s = jnp.where(jnp.isnan(s), jnp.all(jnp.isnan(s), axis=-1, keepdims=True).astype(s.dtype), s)
    s = s.reshape((1,) * (X.ndim - 1 - s.ndim) + s.shape)
    batch_of_X = (1,) * (s.ndim + 1 - X.ndim) + X.shape[:-2]
    shared = tuple(axis for axis, size in enumerate(batch_of_X) if size == 1)
    return {"present": jnp.max(s, axis=shared, keepdims=True) > 0}
