"""The arguments of a fit: checked on the host, and the solver chosen by shapes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.batching import is_path, stay_in_cache
from jaxlr.checks import CORE_RANK, Data, check_classes, check_count, checked, is_concrete, is_zero
from jaxlr.designs import is_wide, products_fit
from jaxlr.devices import check_mesh
from jaxlr.frames import column_names
from jaxlr.large import is_large
from jaxlr.memory import Needs
from jaxlr.model import Params
from jaxlr.planning import Call
from jaxlr.solvers.certified import Settings
from jaxlr.solvers.working_set import usual_room

_SOLVERS = ("newton", "newton_cg", "proximal")
DEFAULT_MAX_STEPS = 200
# Numbers in the products of all pairs of columns, up to which Hessians cost no more than the products that conjugate gradients
# take instead (python -m tests.benchmarks crossing): for models that share a design, and for one alone.
_PRODUCTS = 2**20
_PRODUCTS_ALONE = 2**23


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
    check_switches(given, Params)
    init = given["init"]
    start = {} if init is None else {"coef": init.coef, "intercept": init.intercept}
    data = {name: given[name] for name in ("X", "y", "sample_weight", "offset", "l1", "l2", "penalty_factor")}
    fields, dtype, batch = checked(data | start)
    smooth = is_zero(given["l1"])
    if smooth:
        del fields["l1"]
    X, fit_intercept, standardize = fields["X"], bool(given["fit_intercept"]), bool(given["standardize"])
    if X.shape[-1] == 0 and not fit_intercept:
        raise ValueError("expected a column or an intercept, got X without columns and fit_intercept=False")
    if given["mesh"] is not None:
        check_mesh(given["mesh"], X.shape[-2])
    penalized, coercive = penalized_members(given["l1"], given["l2"], given["penalty_factor"])
    check_classes(fields["y"], fields.get("sample_weight"), fit_intercept, penalized)

    m, n = X.shape[-2:]
    k = (min(m, n) if is_wide(fields, standardize) else n) + fit_intercept
    designs = int(np.prod(X.shape[:-2], dtype=int))
    num_models = models_per_problem * int(np.prod(batch, dtype=int))
    products = products_fit(m, k, designs, dtype.itemsize)
    plain = not standardize and init is None and not {"sample_weight", "l1"} & set(fields) and given["mesh"] is None
    large = num_models == 1 and plain and X.ndim == 2 and is_concrete(X) and is_large(X, fit_intercept)
    large &= given["solver"] in ("auto", "newton_cg")
    alone = num_models == designs
    small = m * k * (k + 1) // 2 <= (_PRODUCTS_ALONE if alone else _PRODUCTS) and products
    # A model alone has few products to gain, and Hessians tell more where the data may be separated.
    chosen = "newton" if not large and (small or (alone and not coercive)) else "newton_cg"
    chosen = chosen if smooth else "proximal"
    solver = chosen if given["solver"] == "auto" else given["solver"]
    if solver != "proximal" and not smooth:
        raise ValueError(f'expected l1 = 0, known outside jit, for solver "{solver}"; use "proximal" or "auto" with l1')
    max_steps = DEFAULT_MAX_STEPS if given["max_steps"] is None else int(given["max_steps"])
    room = usual_room(m, n + fit_intercept, not is_zero(given["l2"])) if solver == "proximal" else 0
    settings = Settings(fit_intercept, standardize, max_steps, solver, coercive and not standardize, large, room)

    lengths = {name: value.shape[value.ndim - CORE_RANK[name] :] for name, value in fields.items()}
    own = [int(np.prod(lengths[name])) for name, value in fields.items() if name != "X" and value.ndim > CORE_RANK[name]]
    dense, size = solver != "newton_cg", room or k
    needs = Needs(
        m=m,
        n=n,
        own=sum(own),
        hessian=size if dense else 0,
        gathered=size if size < k else 0,
        preconditioner=0 if dense else k,
        products=dense and size == k and products and num_models > designs,
        designs=0 if designs == 1 else 1 if stay_in_cache(X) else None,
        itemsize=dtype.itemsize,
    )
    last = {name: (1, *value.shape[: value.ndim - CORE_RANK[name]])[-1] for name, value in fields.items()}
    return Call(
        fields=fields,
        dtype=dtype,
        tol=checked_tol(given["tol"], dtype),
        batch=batch,
        has_path=bool(batch) and is_path(last),
        settings=settings,
        needs=needs,
        batch_size=None if given["batch_size"] is None else int(given["batch_size"]),
        mesh=given["mesh"],
        progress=bool(given["progress"]),
        names=column_names(given["X"]),
    )


def check_switches(given: dict[str, Any], kind: type) -> None:
    """Refuse static arguments that are not what they must be.

    Args:
        given: all arguments of a fit, by name.
        kind: of the parameters.

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
    if given["init"] is not None and not isinstance(given["init"], kind):
        raise TypeError(f"expected init to be jaxlr.{kind.__name__}(coef, intercept), got {type(given['init']).__name__}")


def penalized_members(l1: Data, l2: Data, penalty_factor: Data | None) -> tuple[np.ndarray | None, bool]:
    """Whether every column has a penalty.

    Args:
        l1: strength of the absolute penalty (...).
        l2: strength of the squared penalty (...).
        penalty_factor: (..., n) or None.

    Returns:
        By member (...), None where that is not known yet; and whether in all members.
    """
    if not (is_concrete(l1) and is_concrete(l2) and is_concrete(penalty_factor)):
        return None, False
    factor = np.ones(1) if penalty_factor is None else np.asarray(penalty_factor)
    strength = np.asarray(l1, float) + np.asarray(l2, float)
    penalized = np.asarray((strength > 0) & np.all(factor > 0, axis=-1))
    # A NaN does not count: the other members run the same program beside it as without it.
    failed = np.isnan(strength) | np.isnan(factor).any(axis=-1)
    return penalized, bool(np.all(penalized | failed))


def checked_tol(tol: ArrayLike | None, dtype: jnp.dtype) -> Array:
    """The tolerance, by default that of the dtype.

    Args:
        tol: on the KKT residual, or None.
        dtype: of the fit.

    Returns:
        A scalar of that dtype.

    Raises:
        ValueError: it is not one number > 0.
    """
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    if is_concrete(tol) and not (np.ndim(tol) == 0 and np.asarray(tol).dtype.kind in "iuf" and np.asarray(tol) > 0):
        raise ValueError(f"expected tol to be one number > 0, got {tol!r}")
    return jnp.asarray(tol, dtype)
