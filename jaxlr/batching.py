"""From batch axes to programs: designs outside, then the lanes that share a design, then a path of penalties.

An axis of X is an axis of designs, each prepared once. The last axis, where nothing but l2 varies along it, is a path, and
is followed from strong to weak. All other axes are lanes: models side by side, in matrix products that they share. A field
without an axis is shared along it and never copied.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.checks import CORE_RANK
from jaxlr.model import Params
from jaxlr.objective import Problem, row_weights
from jaxlr.preprocessing import column_moments
from jaxlr.result import Fit
from jaxlr.solvers.certified import Settings, fit_one, working_problem
from jaxlr.solvers.newton_cg import mean_curvature_inputs, precondition
from jaxlr.solvers.path import follow
from jaxlr.solvers.shared import Shared, params_to_working, share, units_of

_CORE_RANK = CORE_RANK | {"present": 1, "sd": 1}
_PRODUCTS_BYTES = 2**30  # products of columns stand up to this size
_SHORTEST_PATH = 8


@functools.partial(jax.jit, static_argnames=("batch", "settings"))
def fit_batch(arrays: dict[str, Array], tol: Array, batch: tuple[int, ...], settings: Settings) -> Fit:
    """Fit every member of a batch in one program.

    Args:
        arrays: fields by name, each with its batch axes in front; "coef" and "intercept" are the start.
        tol: on the KKT residual.
        batch: shape to which all batch axes broadcast.
        settings: static.

    Returns:
        Fit, the batch shape in front.
    """
    fields = arrays | _rows_with_weight(arrays) | (_deviations(arrays) if settings.standardize else {})
    fields = {name: _full_rank(value, _CORE_RANK[name], len(batch)) for name, value in fields.items()}
    axes = list(range(len(batch)))
    designs = [axis for axis in axes if fields["X"].shape[axis] > 1]
    path = [axis for axis in axes[-1:] if _is_path(fields, axis)]
    lanes = [axis for axis in axes if axis not in designs + path]
    num_lanes = int(np.prod([batch[axis] for axis in lanes], dtype=int))

    def arrange(name: str, value: Array) -> tuple[Array, dict[int, bool], bool]:
        value = jnp.moveaxis(value, designs + lanes + path, axes)
        varies = [size > 1 for size in value.shape[: len(batch)]]
        core = value.shape[len(designs + lanes) if name == "l2" and path else len(batch) :]
        outer = tuple(size for size in value.shape[: len(designs)] if size > 1)
        own = any(varies[len(designs) : len(designs + lanes)])
        flat = [batch[axis] for axis in lanes] if own else [1] * len(lanes)
        value = jnp.broadcast_to(value, value.shape[: len(designs)] + tuple(flat) + value.shape[len(designs + lanes) :])
        return value.reshape(outer + (num_lanes,) * own + core), dict(enumerate(varies[: len(designs)])), own

    arranged = {name: arrange(name, value) for name, value in fields.items()}
    own = {name: has_lanes for name, (_, _, has_lanes) in arranged.items()}
    mapped = functools.partial(_fit_design, own=own, num_lanes=num_lanes, has_path=bool(path), tol=tol, settings=settings)
    for axis in reversed(range(len(designs))):
        mapped = jax.vmap(mapped, in_axes=({name: 0 if varies[axis] else None for name, (_, varies, _) in arranged.items()},))
    fits = mapped({name: value for name, (value, _, _) in arranged.items()})

    def restore(leaf: Array) -> Array:
        core = leaf.shape[len(designs) + 1 + bool(path) :]
        leaf = leaf.reshape(tuple(batch[axis] for axis in designs + lanes + path) + core)
        return jnp.moveaxis(leaf, axes, designs + lanes + path)

    return jax.tree.map(restore, fits)


def products_fit(m: int, k: int, designs: int, itemsize: int) -> bool:
    """Whether the products of all pairs of columns stand in memory.

    Args:
        m: rows.
        k: columns of the design, the intercept counted.
        designs: their number.
        itemsize: bytes of a number.

    Returns:
        True up to 1 GiB.
    """
    return designs * m * k * (k + 1) // 2 * itemsize <= _PRODUCTS_BYTES


def _is_path(fields: dict[str, Array], axis: int) -> bool:
    """Whether the axis is long enough for a path, and l2 alone varies along it."""
    varying = {name for name, value in fields.items() if value.shape[axis] > 1}
    return varying == {"l2"} and fields["l2"].shape[axis] >= _SHORTEST_PATH


def _fit_design(
    fields: dict[str, Array], *, own: dict[str, bool], num_lanes: int, has_path: bool, tol: Array, settings: Settings
) -> Fit:
    """All models of one design: Fit (L,), with a path (L, P); `own` says which fields have an axis of lanes."""
    X, dense = fields.pop("X"), settings.solver == "newton"
    shared = prepare_design(X, fields.pop("present", None), settings, num_models=num_lanes * fields["l2"].size)
    start = None
    if "coef" in fields:
        start = Params(fields.pop("coef"), fields.pop("intercept"))
        start = start._replace(intercept=start.intercept if settings.fit_intercept else jnp.zeros_like(start.intercept))
    strengths = fields.pop("l2")
    fields, own = _with_units(fields, own, shared, settings.fit_intercept)
    axes = {name: 0 if own[name] else None for name in fields}

    # Without the products, dense models that share a design would each copy it: they run one after the other.
    across = _loop if dense and shared.products is None and num_lanes > 1 else jax.vmap

    def fit_lanes(l2: Array, start: Params | None) -> Fit:
        """l2 and start (L, S) or (L,) to Fit of that shape."""
        prepared = shared if dense else _preconditioned(shared, fields, axes, l2, start, settings)

        def lane(fields: dict[str, Any], l2: Array, start: Params | None) -> Fit:
            def one(l2: Array, start: Params | None) -> Fit:
                return fit_one(fields | {"l2": l2}, start, prepared, tol, settings)

            return jax.vmap(one)(l2, start) if l2.ndim else one(l2, start)

        return across(lane, in_axes=(axes, 0, 0))(fields, l2, start)

    if start is not None:
        coef, intercept = (_with_lanes(start[i], own[name], num_lanes) for i, name in enumerate(("coef", "intercept")))
        start = Params(coef, intercept)
    strengths = _with_lanes(strengths, own["l2"], num_lanes)
    if not has_path:
        return fit_lanes(strengths, start)
    if start is None:
        start = Params(jnp.zeros((num_lanes, X.shape[1]), X.dtype), jnp.zeros(num_lanes, X.dtype))
    return follow(fit_lanes, strengths, start, in_segments=dense)


def prepare_design(X: Array, present: Array | None, settings: Settings, num_models: int) -> Shared:
    """What the models of one design share.

    Args:
        X: design (m, n).
        present: rows that have weight in at least one model (m,); None is all.
        settings: static.
        num_models: static; how many share it.

    Returns:
        Shared.
    """
    m, k = X.shape[0], X.shape[1] + settings.fit_intercept
    dense = settings.solver == "newton"
    with_products = dense and num_models > 1 and products_fit(m, k, 1, X.dtype.itemsize)
    # Whether data are separated shows in the last digits of a Hessian, which float32 does not have.
    low = None if dense else jnp.float32 if settings.coercive else X.dtype
    return share(X, present, settings.fit_intercept, with_products, low)


def precondition_at(shared: Shared, fields: dict[str, Any], start: Params, settings: Settings) -> Shared:
    """Prepare `newton_cg` for models that start at one place.

    Args:
        shared: the prepared design.
        fields: of the model there.
        start: coef (n,), intercept ().
        settings: static.

    Returns:
        Shared, with the preconditioner where the solver asks for one.
    """
    if settings.solver == "newton":
        return shared
    working = working_problem(fields | {"sd": jnp.ones_like(shared.unit)}, shared, settings)
    return precondition(shared, *mean_curvature_inputs(working, params_to_working(start, shared)))


def _preconditioned(
    shared: Shared, fields: dict[str, Any], axes: dict[str, int | None], l2: Array, start: Params | None, settings: Settings
) -> Shared:
    """Shared with the preconditioner made at the mean curvature of all models, where they start."""
    if start is None:
        n = shared.unit.shape[0]
        start = Params(jnp.zeros((*l2.shape, n), l2.dtype), jnp.zeros(l2.shape, l2.dtype))

    def lane(fields: dict[str, Any], l2: Array, start: Params) -> Any:
        def one(l2: Array, start: Params) -> Any:
            working = working_problem(fields | {"l2": l2}, shared, settings)
            return mean_curvature_inputs(working, params_to_working(start, shared))

        return jax.vmap(one)(l2, start) if l2.ndim else one(l2, start)

    d, strength = jax.vmap(lane, in_axes=(axes, 0, 0))(fields, l2, start)
    batch = tuple(range(l2.ndim))
    return precondition(shared, jnp.mean(d, axis=batch), jnp.mean(strength, axis=batch))


def _with_units(
    fields: dict[str, Any], own: dict[str, bool], shared: Shared, fit_intercept: bool
) -> tuple[dict[str, Any], dict[str, bool]]:
    """The fields with the units of the columns under every row of weights."""
    m = shared.A.shape[0]
    s = fields.get("sample_weight", jnp.ones(m, shared.A.dtype))

    def units(s: Array) -> tuple[Array, Array]:
        return units_of(shared, row_weights(Problem(shared.A, None, sample_weight=s)), fit_intercept)

    has_lanes = own.get("sample_weight", False)
    return fields | {"units": (jax.vmap(units) if has_lanes else units)(s)}, own | {"units": has_lanes}


def _with_lanes(value: Array, own: bool, num_lanes: int) -> Array:
    return value if own else jnp.broadcast_to(value, (num_lanes, *value.shape))


def _loop(function: Callable, in_axes: tuple[dict[str, int | None], int, int]) -> Callable:
    """`jax.vmap` one after the other, with the same axes."""

    def looped(fields: dict[str, Any], *mapped: Any) -> Any:
        same = {name: value for name, value in fields.items() if in_axes[0][name] is None}
        differing = {name: value for name, value in fields.items() if in_axes[0][name] == 0}
        return jax.lax.map(lambda lane: function(same | lane[0], *lane[1:]), (differing, *mapped))

    return looped


def _full_rank(value: Array, core_rank: int, batch_rank: int) -> Array:
    missing = batch_rank + core_rank - value.ndim
    return value.reshape((1,) * missing + value.shape)


def _deviations(arrays: dict[str, Array]) -> dict[str, Array]:
    """Standard deviation of every column under every row of weights: (..., n), batch axes of X and weights."""
    X = arrays["X"]
    s = arrays.get("sample_weight", jnp.ones(X.shape[:-1], X.dtype))
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
    s = jnp.where(jnp.isfinite(s), s, 0)
    s = s.reshape((1,) * (X.ndim - 1 - s.ndim) + s.shape)
    batch_of_X = (1,) * (s.ndim + 1 - X.ndim) + X.shape[:-2]
    shared = tuple(axis for axis, size in enumerate(batch_of_X) if size == 1)
    return {"present": jnp.max(s, axis=shared, keepdims=True) > 0}
