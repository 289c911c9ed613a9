"""The front door: one model or a batch of them, by broadcasting.

    minimize  sum_i s_i l(z_i, y_i) / sum_i s_i + sum_j f_j (l1 |coef_j| + l2 / 2 coef_j^2)
    z_i = X_i . coef + intercept + offset_i,        l(z, y) = log(1 + exp(z)) - y z

`_fit_one` is written for one problem. `fit` checks on the host, finds the batch axes of every field, and maps `_fit_one`
over them axis by axis; a field without an axis is shared along it and never copied.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.certificates import duality_gap, kkt_of_gradient
from jaxlr.checks import CORE_RANK, Data, check_classes, checked_arrays, is_concrete
from jaxlr.model import Params
from jaxlr.objective import Problem, gradient, loss, penalties, row_weights
from jaxlr.preprocessing import column_moments
from jaxlr.result import Fit
from jaxlr.solvers import newton
from jaxlr.solvers.shared import from_working, params_to_working, share, to_working, with_units
from jaxlr.status import Status

_CORE_RANK = CORE_RANK | {"present": 1, "mean": 1, "sd": 1}
_DEFAULT_MAX_STEPS = 200
_PRODUCTS_BYTES = 2**30  # products of columns stand up to this size; beyond it models run one after the other


def fit(
    X: Data,
    y: Data,
    *,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
) -> Fit:
    """Fit logistic regressions; every model comes back with the evidence that it converged.

    Axes in front of the core axes are batch axes, and those of all fields broadcast against each other: l2 (100,) gives
    100 models, with sample_weight (10, 1, m) beside it 10 x 100. Works under jit, vmap and grad-free transformations;
    broadcasting is the fast road.

    Args:
        X: design (..., m, n); its floating dtype (32 or 64 bits) is that of everything else, other dtypes become the
            default float.
        y: labels (..., m), 0/1 of any dtype, or soft labels in [0, 1].
        sample_weight: (..., m) >= 0; None is 1. A weight k means the row k times, 0 that it is not there.
        offset: (..., m), added to the logits; None is 0.
        l1: strength of the absolute penalty (...), on the scale of the mean loss. Only 0 for now.
        l2: strength of the squared penalty (...), on the scale of the mean loss; scikit-learn's C is 1 / (l2 sum(s)).
        penalty_factor: (..., n) >= 0, multiplies the strengths by column; None is 1. The intercept is never penalized.
        fit_intercept: static. Without it the intercepts are 0.
        standardize: static. True measures each penalty in standard deviations of its column under the model's own
            weights, as glmnet does (a constant column gets coefficient 0); coefficients stay on the original scale.
        init: start, coef (..., n) and intercept (...); None is 0. The answer does not depend on it beyond tol.
        solver: static, "auto" or "newton".
        tol: on the KKT residual, > 0; None is 1e-10 in float64 and 1e-5 in float32.
        max_steps: static, from 1 to 2**31 - 1; None is 200.

    Returns:
        Fit, its fields with the batch shape in front.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, labels outside [0, 1], a negative weight or penalty; or NaN, one class, no weight
            in the whole call. In some members of a batch only, these are the status NONFINITE or INVALID of the members.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> fit(X, y, l2=np.array([0.1, 1.0])).converged.tolist()
        [True, True]

    References:
        Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), eqs. 4.20 to 4.26 (Newton), and 18.11
        for the l2 penalty; the certificates are in `jaxlr.kkt_residual` and `jaxlr.duality_gap`.
    """
    for name, switch in (("fit_intercept", fit_intercept), ("standardize", standardize)):
        if not isinstance(switch, (bool, np.bool_)):
            raise TypeError(f"expected {name} to be True or False, known outside jit, got {switch!r}")
    if solver not in ("auto", "newton"):
        raise ValueError(f'expected solver "auto" or "newton", got {solver!r}')
    max_steps = _DEFAULT_MAX_STEPS if max_steps is None else max_steps
    if not isinstance(max_steps, (int, np.integer)) or isinstance(max_steps, bool) or not 1 <= max_steps < 2**31:
        raise ValueError(f"expected max_steps to be an integer from 1 to 2**31 - 1, got {max_steps!r}")
    if not is_concrete(l1) or np.any(np.asarray(l1) != 0):
        raise ValueError("expected l1 = 0, known outside jit: the l1 penalty is not available yet; use l2")
    if init is not None and not isinstance(init, Params):
        raise TypeError(f"expected init to be jaxlr.Params(coef, intercept), got {type(init).__name__}")
    start = {} if init is None else {"coef": init.coef, "intercept": init.intercept}
    data = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "l1": l1, "l2": l2}
    arrays, batch = checked_arrays(data | {"penalty_factor": penalty_factor} | start)
    del arrays["l1"]  # known to be 0: the smooth program
    if arrays["X"].shape[-1] == 0 and not fit_intercept:
        raise ValueError("expected a column or an intercept, got X without columns and fit_intercept=False")
    penalized = None
    if is_concrete(l2) and is_concrete(penalty_factor):
        factor = np.ones(1) if penalty_factor is None else np.asarray(penalty_factor)
        penalized = (np.asarray(l2) > 0) & np.all(factor > 0, axis=-1)
    check_classes(y, sample_weight, fit_intercept, penalized)
    return _program(arrays, _checked_tol(tol, arrays["X"].dtype), batch, bool(fit_intercept), bool(standardize), int(max_steps))


def _checked_tol(tol: ArrayLike | None, dtype: jnp.dtype) -> Array:
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    if is_concrete(tol) and not (np.ndim(tol) == 0 and np.asarray(tol) > 0):
        raise ValueError(f"expected tol to be one number > 0, got {tol!r}")
    return jnp.asarray(tol, dtype)


@functools.partial(jax.jit, static_argnames=("batch", "fit_intercept", "standardize", "max_steps"))
def _program(
    arrays: dict[str, Array], tol: Array, batch: tuple[int, ...], fit_intercept: bool, standardize: bool, max_steps: int
) -> Fit:
    """One compiled program: designs are an outer map, the models that share a design one flat inner map.

    What depends on X and weights only is prepared before, once for each pair of them.
    """
    m, n = arrays["X"].shape[-2:]
    k, designs = n + int(fit_intercept), int(np.prod(arrays["X"].shape[:-2], dtype=int))
    products_bytes = designs * m * k * (k + 1) // 2 * arrays["X"].dtype.itemsize
    with_products = int(np.prod(batch, dtype=int)) > designs and products_bytes <= _PRODUCTS_BYTES

    fields = arrays | _rows_with_weight(arrays) | _moments(arrays)
    fields = {name: _batch_axes_first(value, _CORE_RANK[name], len(batch)) for name, value in fields.items()}
    of_design = [axis for axis, size in enumerate(fields["X"].shape[: len(batch)]) if size > 1]
    lanes = [size for axis, size in enumerate(batch) if axis not in of_design]
    num_designs, num_lanes = len(of_design), int(np.prod(lanes, dtype=int))
    layout = {}

    def arrange(name: str, value: Array) -> Array:
        value = jnp.moveaxis(value, of_design, range(num_designs))
        outer, inner, core = value.shape[:num_designs], value.shape[num_designs : len(batch)], value.shape[len(batch) :]
        layout[name] = [size > 1 for size in outer], any(size > 1 for size in inner)
        if layout[name][1]:
            inner = tuple(lanes)
        outer = tuple(size for size in outer if size > 1)
        return jnp.broadcast_to(value, value.shape[:num_designs] + inner + core).reshape(
            outer + (num_lanes,) * layout[name][1] + core
        )

    fields = {name: arrange(name, value) for name, value in fields.items()}

    def one(fields: dict[str, Array]) -> Fit:
        return _fit_one(fields, tol, fit_intercept, standardize, max_steps, with_products)

    # Without the products, models that share a design would each copy it: they run one after the other.
    across_lanes = _vmap if with_products or num_lanes == 1 else _loop
    mapped = across_lanes(one, {name: 0 if layout[name][1] else None for name in fields}) if num_lanes > 1 else one
    for axis in reversed(range(num_designs)):
        mapped = _vmap(mapped, {name: 0 if layout[name][0][axis] else None for name in fields})

    def restore(leaf: Array) -> Array:
        core = leaf.shape[num_designs + (num_lanes > 1) :]
        leaf = leaf.reshape(tuple(batch[axis] for axis in of_design) + tuple(lanes) + core)
        return jnp.moveaxis(leaf, range(num_designs), of_design)

    return jax.tree.map(restore, mapped(fields))


def _vmap(function: Callable, axes: dict[str, int | None]) -> Callable:
    return jax.vmap(function, in_axes=(axes,))


def _loop(function: Callable, axes: dict[str, int | None]) -> Callable:
    def looped(fields: dict[str, Array]) -> Fit:
        shared = {name: value for name, value in fields.items() if axes[name] is None}
        own = {name: value for name, value in fields.items() if axes[name] == 0}
        return jax.lax.map(lambda member: function(shared | member), own)

    return looped


def _batch_axes_first(value: Array, core_rank: int, batch_rank: int) -> Array:
    missing = batch_rank + core_rank - value.ndim
    return value.reshape((1,) * missing + value.shape)


def _moments(arrays: dict[str, Array]) -> dict[str, Array]:
    """Mean and standard deviation of every column under every row of weights: (..., n), batch axes of X and weights."""
    X = arrays["X"]
    s = arrays.get("sample_weight", jnp.ones(X.shape[:-1], X.dtype))
    rank = max(X.ndim - 2, s.ndim - 1)
    X, s = _batch_axes_first(X, 2, rank), _batch_axes_first(s, 1, rank)
    moments = jnp.vectorize(
        lambda X, s: column_moments(X, row_weights(Problem(X, None, sample_weight=s))), signature="(m,n),(m)->(n),(n)"
    )
    mean, sd = moments(X, s)
    return {"mean": mean, "sd": sd}


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


def _fit_one(
    fields: dict[str, Array], tol: Array, fit_intercept: bool, standardize: bool, max_steps: int, with_products: bool
) -> Fit:
    """Solve one problem, and certify the parameters that are handed back."""
    start = None
    if "coef" in fields:
        start = Params(fields["coef"], fields["intercept"] if fit_intercept else jnp.zeros_like(tol))
    data = {name: value for name, value in fields.items() if name not in ("coef", "intercept", "present", "mean", "sd")}
    problem = Problem(**data, fit_intercept=fit_intercept)
    penalty_scale = fields["sd"] if standardize else None
    shared = share(problem.X, fields.get("present"), fit_intercept, with_products)
    shared = with_units(shared, fields["mean"], fields["sd"], fit_intercept)
    working = to_working(problem, shared, penalty_scale)
    inside = None if start is None else params_to_working(start, shared)
    solution = newton.solve(working, inside, tol, max_steps, shared)

    params = from_working(solution.params, shared)
    returned = params_to_working(params, shared)  # certified as rounded for the caller
    kkt = kkt_of_gradient(gradient(returned, working), returned.coef, working.l1, shared.units)
    # Rounding blurs the intercept of the returned parameters on the working columns; the curvature of J in it is <= 1/4.
    blur = 2 * jnp.finfo(kkt.dtype).eps * (jnp.abs(params.intercept) + jnp.sum(jnp.abs(params.coef * shared.center)))
    invalid = _is_invalid(working, tol)
    status = jnp.where((solution.status == Status.CONVERGED) & ~(kkt <= tol), Status.STALLED, solution.status)
    return Fit(
        params=params,
        value=loss(returned, working),
        kkt=kkt,
        gap=duality_gap(returned, working) + blur * kkt + blur**2 / 8,
        status=jnp.where(invalid, Status.INVALID, status).astype(jnp.int32),
        num_steps=jnp.where(invalid, 0, solution.num_steps),
        solver="newton",
    )


def _is_invalid(problem: Problem, tol: Array) -> Array:
    """No weight, one class where nothing keeps the estimate finite, or values that only tracers get past the checks."""
    w, y, (l1, l2) = row_weights(problem), problem.y, penalties(problem)
    one_class = (jnp.sum(w * y) == 0) | (jnp.sum(w * (1 - y)) == 0)
    if not problem.fit_intercept:
        one_class &= ~(jnp.min(jnp.where(jnp.isinf(l1), 1, l2), initial=1) > 0)
    out_of_range = (jnp.max(jnp.abs(y - 0.5)) > 0.5) | (jnp.min(l2, initial=0) < 0) | ~(tol > 0)
    if problem.sample_weight is None:
        return one_class | out_of_range
    return one_class | out_of_range | (jnp.max(problem.sample_weight) == 0) | (jnp.min(problem.sample_weight) < 0)
