"""The arguments of a fit: checked on the host, and the solver chosen by shapes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.batching.lanes import is_wide, products_fit
from jaxlr.batching.large import is_large
from jaxlr.batching.program import is_path, stay_in_cache
from jaxlr.engine.devices import check_mesh
from jaxlr.engine.memory import Needs
from jaxlr.engine.plan import Call
from jaxlr.inputs.checks import CORE_AXES, Data, check_classes, check_count, checked, is_concrete, is_zero
from jaxlr.inputs.tables import column_names
from jaxlr.model.params import Params
from jaxlr.solvers.solve import Settings
from jaxlr.solvers.working_set import usual_room

_SOLVERS = ("newton", "newton_cg", "proximal")
_DEFAULT_MAX_STEPS = 200
# Numbers in the products of all pairs of columns, up to which Hessians cost no more than the products that conjugate gradients
# take instead (python -m tests.benchmarks crossing): for models that share a design, and for one alone.
_PRODUCTS = 2**20
_PRODUCTS_ALONE = 2**23


class Checked(NamedTuple):
    """The fields of a fit, checked, and what is known of their penalties.

    Attributes:
        fields: NumPy or JAX arrays by name; "l1" only where some strength may be positive.
        dtype: to which they are brought.
        batch: shape to which all batch axes broadcast.
        penalized: whether every column has a penalty, by member (...); None where that is not known yet.
        coercive: whether every column has one in all members.
    """

    fields: dict[str, Any]
    dtype: jnp.dtype
    batch: tuple[int, ...]
    penalized: np.ndarray | None
    coercive: bool


def prepare(given: dict[str, Any], models_per_problem: int = 1) -> Call:
    """Check the arguments of a fit.

    Args:
        given: all arguments of `jaxlr.fit`, by name.
        models_per_problem: how many models will share each design beyond the batch.

    Returns:
        Call.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`.
    """
    start = checked_start(given, Params)
    data = {name: given[name] for name in ("X", "y", "sample_weight", "offset", "l1", "l2", "penalty_factor")}
    checked = checked_fields(given, data | start)
    fields, X, fit_intercept = checked.fields, checked.fields["X"], bool(given["fit_intercept"])
    check_classes(fields["y"], fields.get("sample_weight"), fit_intercept, checked.penalized)

    m, n = X.shape[-2:]
    k = (min(m, n) if is_wide(fields, bool(given["standardize"])) else n) + fit_intercept
    designs = int(np.prod(X.shape[:-2], dtype=int))
    num_models = models_per_problem * int(np.prod(checked.batch, dtype=int))
    products = products_fit(m, k, designs, checked.dtype.itemsize)
    plain = not given["standardize"] and not start and not {"sample_weight", "l1"} & set(fields) and given["mesh"] is None
    large = num_models == 1 and plain and X.ndim == 2 and is_concrete(X) and is_large(X, fit_intercept)
    large &= given["solver"] in ("auto", "newton_cg")
    alone = num_models == designs
    small = m * k * (k + 1) // 2 <= (_PRODUCTS_ALONE if alone else _PRODUCTS) and products
    # A model alone has few products to gain, and Hessians tell more where the data may be separated.
    dense = not large and (small or (alone and not checked.coercive))
    settings = chosen_settings(given, checked, dense)
    room = usual_room(m, n + fit_intercept, not is_zero(given["l2"])) if settings.solver == "proximal" else 0
    dense, size = settings.solver != "newton_cg", room or k
    return checked_call(
        given,
        checked,
        settings._replace(large=large, room=room),
        CORE_AXES,
        hessian=size if dense else 0,
        gathered=size if size < k else 0,
        preconditioner=0 if dense else k,
        products=dense and size == k and products and num_models > designs,
    )


def checked_fields(given: dict[str, Any], data: dict[str, Any], core_axes: Mapping[str, str] = CORE_AXES) -> Checked:
    """Check the fields of a fit.

    Args:
        given: all its arguments, by name.
        data: its fields, those of the start included.
        core_axes: of every field.

    Returns:
        Checked.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`.
    """
    fields, dtype, batch = checked(data, core_axes)
    if is_zero(given["l1"]):
        del fields["l1"]
    m, n = fields["X"].shape[-2:]
    if n == 0 and not given["fit_intercept"]:
        raise ValueError("expected a column or an intercept, got X without columns and fit_intercept=False")
    if given["mesh"] is not None:
        check_mesh(given["mesh"], m)
    return Checked(fields, dtype, batch, *_penalized(given["l1"], given["l2"], given["penalty_factor"]))


def chosen_settings(given: dict[str, Any], checked: Checked, dense: bool) -> Settings:
    """What is static in a fit.

    Args:
        given: all its arguments, by name.
        checked: its fields.
        dense: whether factors of Hessians are the better choice where there is no l1.

    Returns:
        Settings.

    Raises:
        ValueError: the solver that was asked for knows no l1.
    """
    smooth = "l1" not in checked.fields
    best = "proximal" if not smooth else "newton" if dense else "newton_cg"
    solver = best if given["solver"] == "auto" else given["solver"]
    if solver != "proximal" and not smooth:
        raise ValueError(f'expected l1 = 0, known outside jit, for solver "{solver}"; use "proximal" or "auto" with l1')
    standardize = bool(given["standardize"])
    return Settings(
        fit_intercept=bool(given["fit_intercept"]),
        standardize=standardize,
        max_steps=_DEFAULT_MAX_STEPS if given["max_steps"] is None else int(given["max_steps"]),
        solver=solver,
        coercive=checked.coercive and not standardize,
    )


def checked_call(
    given: dict[str, Any], checked: Checked, settings: Settings, core_axes: Mapping[str, str], **needs: Any
) -> Call:
    """The call that runs.

    Args:
        given: all arguments of a fit, by name.
        checked: its fields.
        settings: what is static.
        core_axes: of every field.
        **needs: of `jaxlr.engine.memory.Needs` what the solver decides.

    Returns:
        Call.

    Raises:
        ValueError: tol is not one number > 0.
    """
    fields, X = checked.fields, checked.fields["X"]
    lead = {name: value.shape[: value.ndim - len(core_axes[name])] for name, value in fields.items()}
    own = [int(np.prod(value.shape[len(lead[name]) :])) for name, value in fields.items() if name != "X" and lead[name]]
    designs = int(np.prod(X.shape[:-2], dtype=int))
    common = {"m": X.shape[-2], "n": X.shape[-1], "own": sum(own), "itemsize": checked.dtype.itemsize}
    return Call(
        fields=fields,
        dtype=checked.dtype,
        tol=_checked_tol(given["tol"], checked.dtype),
        batch=checked.batch,
        has_path=bool(checked.batch) and is_path({name: (1, *axes)[-1] for name, axes in lead.items()}),
        settings=settings,
        needs=Needs(**common, designs=0 if designs == 1 else 1 if stay_in_cache(X) else None, **needs),
        batch_size=None if given["batch_size"] is None else int(given["batch_size"]),
        mesh=given["mesh"],
        progress=bool(given["progress"]),
        names=column_names(given["X"]),
    )


def checked_start(given: dict[str, Any], kind: type) -> dict[str, Any]:
    """Refuse static arguments that are not what they must be, and a start of another kind.

    Args:
        given: all arguments of a fit, by name.
        kind: of the parameters.

    Returns:
        The fields "coef" and "intercept" of the start; none without one.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`.
    """
    for name in ("fit_intercept", "standardize", "progress"):
        if not isinstance(given[name], (bool, np.bool_)):
            raise TypeError(f"expected {name} to be True or False, known outside jit, got {given[name]!r}")
    if given["solver"] not in ("auto", *_SOLVERS):
        raise ValueError(f'expected solver "auto", {", ".join(map(repr, _SOLVERS))}, got {given["solver"]!r}')
    max_steps = given["max_steps"]
    whole = isinstance(max_steps, (int, np.integer)) and not isinstance(max_steps, bool)
    if max_steps is not None and not (whole and 1 <= max_steps < 2**31):
        raise ValueError(f"expected max_steps to be an integer from 1 to 2**31 - 1, got {max_steps!r}")
    if given["batch_size"] is not None:
        check_count("batch_size", given["batch_size"], 1)
    init = given["init"]
    if init is not None and not isinstance(init, kind):
        raise TypeError(f"expected init to be jaxlr.{kind.__name__}(coef, intercept), got {type(init).__name__}")
    return {} if init is None else {"coef": init.coef, "intercept": init.intercept}


def _penalized(l1: Data, l2: Data, penalty_factor: Data | None) -> tuple[np.ndarray | None, bool]:
    """Whether every column has a penalty: by member, None where that is not known; and in all members."""
    if not (is_concrete(l1) and is_concrete(l2) and is_concrete(penalty_factor)):
        return None, False
    factor = np.ones(1) if penalty_factor is None else np.asarray(penalty_factor)
    strength = np.asarray(l1, float) + np.asarray(l2, float)
    penalized = np.asarray((strength > 0) & np.all(factor > 0, axis=-1))
    # A NaN does not count: the other members run the same program beside it as without it.
    failed = np.isnan(strength) | np.isnan(factor).any(axis=-1)
    return penalized, bool(np.all(penalized | failed))


def _checked_tol(tol: ArrayLike | None, dtype: jnp.dtype) -> Array:
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    if is_concrete(tol) and not (np.ndim(tol) == 0 and np.asarray(tol).dtype.kind in "iuf" and np.asarray(tol) > 0):
        raise ValueError(f"expected tol to be one number > 0, got {tol!r}")
    return jnp.asarray(tol, dtype)
