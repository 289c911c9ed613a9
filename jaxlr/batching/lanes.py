"""All models of one design: what they share is prepared once, then they are fitted side by side.

Models of one design differ in weights, labels, offsets and penalties; they are lanes of `jax.vmap`, in matrix products that
they share. A path of penalties is followed in each lane.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlr.batching.path import follow
from jaxlr.model.objective import Problem, row_weights
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.implicit import differentiable
from jaxlr.solvers.newton_cg import mean_curvature_inputs, precondition
from jaxlr.solvers.softmax_certified import fit_softmax_one, softmax_problem, to_working
from jaxlr.solvers.softmax_cg import class_curvature_inputs
from jaxlr.solvers.solve import Settings, certify, fit_one, working_problem
from jaxlr.solvers.working import Shared, params_to_working, share, units_of, units_of_lanes

_PRODUCTS_BYTES = 2**30  # products of columns stand up to this size


def fit_design(
    fields: dict[str, Array], *, own: dict[str, bool], num_lanes: int, has_path: bool, tol: Array, settings: Settings
) -> Fit:
    """Fit all models of one design.

    Args:
        fields: X (m, n), and the others by name, with an axis of lanes L in front where `own` says so; l1 and l2 also with an
            axis behind it where there is a path, P or 1.
        own: which fields have an axis of lanes.
        num_lanes: static, L.
        has_path: static.
        tol: on the KKT residual.
        settings: static.

    Returns:
        Fit (L,), with a path (L, P).
    """
    X, dense = fields.pop("X"), settings.solver != "newton_cg"
    strengths = {name: _with_lanes(fields.pop(name), own[name], num_lanes) for name in ("l1", "l2") if name in fields}
    num_models = max(strength.size for strength in strengths.values())
    shared = prepare_design(X, fields.pop("present", None), settings, num_models)
    start = None
    if "coef" in fields:
        kind = SoftmaxParams if settings.num_classes else Params
        start = kind(fields.pop("coef"), fields.pop("intercept"))
        start = start._replace(intercept=start.intercept if settings.fit_intercept else jnp.zeros_like(start.intercept))
    fields, own = _with_units(fields, own, shared, settings.fit_intercept)
    axes = {name: 0 if own[name] else None for name in fields}

    # Without the products, dense models that share a design would each copy it: they run one after the other.
    fit_model = fit_softmax_one if settings.num_classes else fit_one
    across = loop if dense and shared.products is None and shared.low is None and num_lanes > 1 else jax.vmap

    def fit_lanes(strengths: dict[str, Array], start: Any) -> Fit:
        """Strengths and start (L, S) or (L,) to Fit of that shape."""
        prepared = shared if dense else _preconditioned(shared, fields, axes, strengths["l2"], start, settings)

        def lane(fields: dict[str, Any], strengths: dict[str, Array], start: Any) -> Fit:
            def one(strengths: dict[str, Array], start: Any) -> Fit:
                return fit_model(fields | strengths, start, prepared, tol, settings)

            models = strengths["l2"].size
            if models > 1:
                return jax.vmap(one)(strengths, start)
            # An axis of length 1 would only keep XLA from seeing that arrays lie as they are needed.
            shape = strengths["l2"].shape
            fit = one(*jax.tree.map(lambda leaf: leaf[(0,) * len(shape)], (strengths, start)))
            return jax.tree.map(lambda leaf: leaf.reshape(shape + leaf.shape), fit)

        return across(lane, in_axes=(axes, 0, 0))(fields, strengths, start)

    if start is not None:
        coef, intercept = (_with_lanes(start[i], own[name], num_lanes) for i, name in enumerate(("coef", "intercept")))
        start = type(start)(coef, intercept)
    if not has_path:
        return fit_lanes(strengths, start)
    if start is None:
        start = _zeros((num_lanes,), X.shape[1], X.dtype, settings.num_classes)
    return follow(fit_lanes, strengths, start, in_segments=settings.solver == "newton")


def is_wide(arrays: Mapping[str, Any], standardize: bool) -> bool:
    """Whether m columns can stand for n: more columns than rows, all with the same squared penalty in all models.

    Args:
        arrays: fields by name.
        standardize: static.

    Returns:
        True or False, known outside jit.
    """
    m, n = arrays["X"].shape[-2:]
    return n > m and "penalty_factor" not in arrays and "l1" not in arrays and not standardize


def fit_wide(
    fields: dict[str, Array], *, own: dict[str, bool], num_lanes: int, has_path: bool, tol: Array, settings: Settings
) -> Fit:
    """Fit all models of a design of more columns than rows, in the span of its rows.

    With X - center = R' Q', Q (n, m) orthonormal, the minimum is coef = Q theta, where theta minimizes the same objective on
    the m columns of R' (Hastie & Tibshirani 2004, Biostatistics 5, section 3). The certificates are those of coef on X.

    Args:
        fields: as in `fit_design`.
        own: likewise.
        num_lanes: likewise.
        has_path: likewise.
        tol: likewise.
        settings: likewise.

    Returns:
        Fit (L,), with a path (L, P).
    """
    shared = share(fields["X"], fields.get("present"), settings.fit_intercept)
    given, fields = fields, jax.lax.stop_gradient(fields)
    X = fields["X"]
    centered = shared.A[:, : X.shape[1]] * shared.unit[None, :]
    Q, R = jnp.linalg.qr(centered.T)
    # What rounding left of rows that depend on each other would be a column like any other.
    noise = 4 * X.shape[0] * jnp.finfo(X.dtype).eps * jnp.sqrt(jnp.sum(centered**2 + shared.center[None, :] ** 2, axis=1))
    R = jnp.where(jnp.abs(R) > noise[None, :], R, 0 * R)
    small = fields | {"X": R.T}
    if "coef" in fields:
        small["intercept"] = fields["intercept"] + jnp.dot(fields["coef"], shared.center, precision="highest")
        small["coef"] = jnp.dot(fields["coef"], Q, precision="highest")
    # A residual on X is at most so many times that on R': |u_j| <= |Q_j| |u|, over sd_j.
    factor = jnp.max(jnp.sqrt(jnp.sum(Q * Q, axis=1) * jnp.sum(shared.unit**2)) / shared.unit)
    options = {"num_lanes": num_lanes, "has_path": has_path, "settings": settings}
    fits = fit_design(small, own=own, tol=tol / jnp.where(factor > 1, factor, 1), **options)  # NaN is not
    coef = jnp.dot(fits.params.coef, Q.T, precision="highest")
    params = Params(coef, fits.params.intercept - jnp.dot(coef, shared.center, precision="highest"))

    rest = {name: value for name, value in given.items() if name not in ("X", "present", "coef", "intercept", "l2")}
    rest, own_rest = _with_units(rest, own, shared, settings.fit_intercept)
    axes = {name: 0 if own_rest[name] else None for name in rest}

    def lane(fields: dict[str, Any], *model: Any) -> Fit:
        def one(l2: Array, params: Params, status: Array, num_steps: Array) -> Fit:
            mine = fields | {"l2": l2}
            constant = jax.lax.stop_gradient(mine)
            working = working_problem(constant, shared, settings)
            units = shared._replace(units=constant["units"])
            fit = certify(params, status, num_steps, working, units, tol, settings)
            # On R' more was asked for than on X.
            enough = (fit.status == Status.STALLED) & (fit.kkt <= tol) & (l2 > 0)
            fit = replace(fit, status=jnp.where(enough, Status.CONVERGED, fit.status).astype(jnp.int32))
            return differentiable(fit, mine, shared, in_span=True)

        return jax.vmap(one)(*model) if has_path else one(*model)

    l2 = _with_lanes(given["l2"], own["l2"], num_lanes)
    return jax.vmap(lane, in_axes=(axes, 0, 0, 0, 0))(rest, l2, params, fits.status, fits.num_steps)


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
    dense = settings.solver != "newton_cg"
    if 0 < settings.room < k:
        shared = share(X, present, settings.fit_intercept, low=X.dtype)
        return shared._replace(columns=shared.A[:, : X.shape[1]])
    with_products = dense and num_models > 1 and products_fit(m, k, 1, X.dtype.itemsize)
    # Whether data are separated shows in the last digits of a Hessian, which float32 does not have.
    low = None if dense or num_models == 1 else jnp.float32 if settings.coercive else X.dtype
    return share(X, present, settings.fit_intercept, with_products, low)


def _preconditioned(
    shared: Shared, fields: dict[str, Any], axes: dict[str, int | None], l2: Array, start: Any, settings: Settings
) -> Shared:
    """Shared with the preconditioner made at the mean curvature of all models, where they start, and their least penalty."""
    if start is None:
        start = _zeros(l2.shape, shared.unit.shape[0], l2.dtype, settings.num_classes)

    def lane(fields: dict[str, Any], l2: Array, start: Any) -> Any:
        def one(l2: Array, start: Any) -> Any:
            mine = fields | {"l2": l2}
            if settings.num_classes:
                return class_curvature_inputs(softmax_problem(mine, shared, settings), to_working(start, shared))
            return mean_curvature_inputs(working_problem(mine, shared, settings), params_to_working(start, shared))

        return jax.vmap(one)(l2, start) if l2.ndim else one(l2, start)

    d, strength = jax.vmap(lane, in_axes=(axes, 0, 0))(fields, l2, start)
    # The mean as a product: a sum would be computed again for every column of the weighted design.
    d = jnp.dot(jnp.full(l2.size, 1 / l2.size, d.dtype), d.reshape(l2.size, -1)).reshape(d.shape[l2.ndim :])
    least = jnp.min(strength, axis=tuple(range(l2.ndim)))
    if not settings.num_classes:
        return precondition(shared, d, least)
    names = ("inverse", "diagonal", "least")
    made = jax.vmap(lambda d: operator.attrgetter(*names)(precondition(shared, d, least)))(d)
    return shared._replace(**dict(zip(names, made, strict=True)))


def _zeros(batch: tuple[int, ...], n: int, dtype: Any, num_classes: int) -> Params | SoftmaxParams:
    core = (num_classes,) * (num_classes > 0)
    kind = SoftmaxParams if num_classes else Params
    return kind(jnp.zeros((*batch, *core, n), dtype), jnp.zeros((*batch, *core), dtype))


def _with_units(
    fields: dict[str, Any], own: dict[str, bool], shared: Shared, fit_intercept: bool
) -> tuple[dict[str, Any], dict[str, bool]]:
    """The fields with the units of the columns under every row of weights."""
    m = shared.A.shape[0]
    s = jax.lax.stop_gradient(fields.get("sample_weight", jnp.ones(m, shared.A.dtype)))

    has_lanes = own.get("sample_weight", False)

    def weights(s: Array) -> Array:
        return row_weights(Problem(shared.A, None, sample_weight=s))

    if has_lanes:
        return fields | {"units": units_of_lanes(shared, jax.vmap(weights)(s), fit_intercept)}, own | {"units": True}
    return fields | {"units": units_of(shared, weights(s), fit_intercept)}, own | {"units": False}


def _with_lanes(value: Array, own: bool, num_lanes: int) -> Array:
    return value if own else jnp.broadcast_to(value, (num_lanes, *value.shape))


def loop(function: Callable, in_axes: tuple[Any, ...]) -> Callable:
    """`jax.vmap` one after the other, with the same axes.

    Args:
        function: of fields by name, and more arguments.
        in_axes: 0 or None for each field, and 0 for the others.

    Returns:
        The mapped function.
    """

    def looped(fields: dict[str, Any], *mapped: Any) -> Any:
        same = {name: value for name, value in fields.items() if in_axes[0][name] is None}
        differing = {name: value for name, value in fields.items() if in_axes[0][name] == 0}
        return jax.lax.map(lambda lane: function(same | lane[0], *lane[1:]), (differing, *mapped))

    return looped


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
