"""The arguments of a fit: as they were given, then checked on the host, with all that is chosen from shapes."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.batching.axes import cores_of, has_path
from jaxlr.batching.lanes import Models
from jaxlr.batching.program import fit_batch
from jaxlr.batching.strategy import Traits, choose, is_large
from jaxlr.engine.buckets import Size, bucket, fill, is_here
from jaxlr.engine.dependence import in_basis, is_bounded, unpenalized
from jaxlr.engine.devices import check_mesh
from jaxlr.engine.plan import Call
from jaxlr.engine.small import with_columns
from jaxlr.engine.sparsity import as_it_pays
from jaxlr.inputs.checks import Data, DesignData, check_count, check_flag, check_init, checked, is_zero
from jaxlr.inputs.groups import checked_groups
from jaxlr.inputs.labels import check_classes, is_soft
from jaxlr.inputs.tables import as_numpy, column_names, is_concrete, is_key
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import Likelihood, likelihood_of
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.solvers.solve import Settings

_SOLVERS = ("newton", "newton_cg", "proximal")
DEFAULT_MAX_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What `jaxlr.fit` is called with, under the names and with the defaults that its docstring explains."""

    X: DesignData
    y: Data
    num_classes: int | None = None
    sample_weight: Data | None = None
    offset: Data | None = None
    l1: Data = 0.0
    l2: Data = 0.0
    l1_group: Data = 0.0
    groups: Data | None = None
    lower: Data | None = None
    upper: Data | None = None
    penalty_factor: Data | None = None
    fit_intercept: bool = True
    standardize: bool = False
    init: Params | SoftmaxParams | None = None
    solver: str = "auto"
    tol: ArrayLike | None = None
    max_steps: int | None = None
    batch_size: int | None = None
    mesh: Mesh | None = None
    progress: bool = False


def prepare(given: Arguments, models_per_problem: int = 1, filled_axes: str = "") -> Call:
    """Check the arguments of a fit, and choose what they leave open. Raises as `jaxlr.fit`.

    Args:
        given: as they came.
        models_per_problem: that each design will have beyond the batch.
        filled_axes: of X, that may be filled up to a bucket; "" where the caller changes the data.
    """
    likelihood = _checked_static(given)
    models, dtype, batch = _checked_models(given)
    problem, tol, n = models.problem, checked_tol(given.tol, dtype), models.problem.X.shape[-1]
    strengths = problem.l1, problem.l2, problem.l1_group, problem.penalty_factor
    known, free = all(map(is_concrete, strengths)), unpenalized(problem)
    soft = given.num_classes is not None and is_soft(problem.X, problem.y, given.num_classes)
    if soft and isinstance(likelihood, Multinomial):
        likelihood = likelihood._replace(soft=True)
    check_classes(problem.y, problem.sample_weight, problem.fit_intercept, given.num_classes, soft)
    penalized = known and not free.any()
    values_known = all(map(is_concrete, jax.tree.leaves((models, tol))))  # a tol may be a tracer where the data are known
    not_in_basis = not values_known or given.mesh is not None or is_bounded(problem)
    asked = Settings(
        likelihood=likelihood,
        fit_intercept=problem.fit_intercept,
        standardize=bool(given.standardize),
        max_steps=DEFAULT_MAX_STEPS if given.max_steps is None else int(given.max_steps),
        solver=given.solver,
        coercive=penalized and not given.standardize,
        checked=values_known,
        unsure=not penalized and (not known or bool(free.all(axis=-1).any())) and not_in_basis,
        settled=problem.offset is not None or models.start is not None or is_bounded(problem),
    )
    on_path = problem.l1 is not None and has_path(models, cores_of(likelihood, problem.fit_intercept), "proximal")
    num_models = models_per_problem * math.prod(batch)
    num_paths = num_models // max(batch[-1], 1) if on_path else num_models
    traits = _traits(given, models, dtype, num_models, num_paths, penalized)
    settings = choose(asked, traits)
    if filled_axes and is_concrete(tol) and given.mesh is None and not settings.large and is_here(models):
        models = _small(models, dtype, batch, settings, filled_axes)
        (rows, columns), entries = models.problem.X.shape[-2:], getattr(models.problem.X, "num_entries", 0)
        traits = traits._replace(m=rows, n=columns, free=columns if traits.free == n else traits.free, entries=entries)
        settings = choose(asked._replace(solver=settings.solver), traits)
    if settings.solver != "proximal" and not traits.smooth:
        kind = "l1" if problem.groups is None else "l1_group"
        smooth, these = f"{kind} = 0, known outside jit,", f"an {kind}"
        if is_bounded(problem):
            smooth, these = "no bounds", "bounds"
        raise ValueError(f'expected {smooth} for solver "{settings.solver}", got {these}; use "proximal" or "auto"')
    return Call(
        program=fit_batch,
        models=models,
        own=(),
        own_cores=(),
        dtype=dtype,
        tol=tol,
        batch=batch,
        settings=settings,
        traits=traits,
        batch_size=None if given.batch_size is None else int(given.batch_size),
        mesh=given.mesh,
        progress=bool(given.progress),
        names=column_names(given.X),
        num_columns=n,
    )


def _traits(given: Arguments, models: Models, dtype: jnp.dtype, num_models: int, num_paths: int, coercive: bool) -> Traits:
    """What the choices depend on, of checked arguments."""
    problem, fit_intercept = models.problem, bool(given.fit_intercept)
    sparse = isinstance(problem.X, Sparse)
    X, smooth, has_l2 = problem.X, problem.l1 is None, not is_zero(given.l2)
    plain = not given.standardize and given.mesh is None and models.start is None and problem.sample_weight is None and smooth
    return Traits(
        m=X.shape[-2],
        n=X.shape[-1],
        num_designs=math.prod(X.shape[:-2]),
        num_models=num_models,
        num_paths=num_paths,
        itemsize=dtype.itemsize,
        smooth=smooth,
        absolute=not smooth and (_mostly_held(problem) or not (is_zero(given.l1) and is_zero(given.l1_group))),
        has_l2=has_l2,
        same_penalty=problem.penalty_factor is None,
        penalized=coercive,
        free=0 if coercive or sparse else in_basis(problem, dtype, is_here(models)),
        entries=X.num_entries if sparse else 0,
        largest_group=0 if problem.groups is None else int(np.bincount(problem.groups).max(initial=0)),
        large=not sparse
        and num_models == 1
        and plain
        and X.ndim == 2
        and is_concrete(X)
        and is_large(X, fit_intercept, has_l2),
    )


def _mostly_held(problem: Problem) -> bool:
    """Whether bounds hold more coefficients at 0 than not."""
    if problem.lower is None or problem.upper is None or not (is_concrete(problem.lower) and is_concrete(problem.upper)):
        return False
    return float(np.mean((np.asarray(problem.lower) == 0) & (np.asarray(problem.upper) == 0))) > 0.5


def _small(models: Models, dtype: jnp.dtype, batch: tuple[int, ...], settings: Settings, filled_axes: str) -> Models:
    """Models of known data, their columns measured and their design filled up to a bucket, where they are small."""
    likelihood = settings.likelihood
    X = models.problem.X
    entries = X.num_entries if isinstance(X, Sparse) else 0
    to = bucket(Size(*X.shape[-2:]), math.prod(batch), math.prod(likelihood.classes), filled_axes, entries)
    if not settings.wide and not entries:
        models = with_columns(models, dtype, to, settings.standardize)
    return fill(models, cores_of(likelihood, settings.fit_intercept), to)


def _checked_static(given: Arguments) -> Likelihood:
    """Refuse static arguments that are not what they must be, and a start of another kind."""
    if given.num_classes is not None:
        check_count("num_classes", given.num_classes, 2)
    likelihood = likelihood_of(None if given.num_classes is None else int(given.num_classes))
    for name in ("fit_intercept", "standardize", "progress"):
        check_flag(name, getattr(given, name))
    if not (isinstance(given.solver, str) and given.solver in ("auto", *_SOLVERS)):
        raise ValueError(f'expected solver "auto", {", ".join(map(repr, _SOLVERS))}, got {given.solver!r}')
    check_max_steps(given.max_steps)
    if given.batch_size is not None:
        check_count("batch_size", given.batch_size, 1)
    check_init(given.init, likelihood.params_type)
    return likelihood


def check_max_steps(max_steps: int | None) -> None:
    """Refuse what is no limit of steps."""
    whole = isinstance(max_steps, (int, np.integer)) and not isinstance(max_steps, bool)
    if max_steps is not None and not (whole and 1 <= max_steps < 2**31):
        raise ValueError(f"expected max_steps to be an integer from 1 to 2**31 - 1, got {max_steps!r}")


def _checked_models(given: Arguments) -> tuple[Models, jnp.dtype, tuple[int, ...]]:
    """The arrays as they came, without an l1 that is 0; the dtype to which they are to be brought, and the batch."""
    names = ("X", "y", "sample_weight", "offset", "l1", "l2", "l1_group", "penalty_factor", "lower", "upper")
    start = {} if given.init is None else {"coef": given.init.coef, "intercept": given.init.intercept}
    arrays, dtype, batch = checked({name: getattr(given, name) for name in names} | start, given.num_classes, sparse=True)
    for name in ("lower", "upper"):
        if name in arrays and is_concrete(arrays[name]) and not np.any(np.isfinite(arrays[name])):
            del arrays[name]  # none at all
    groups = checked_groups(given.groups, given.l1_group, arrays["X"].shape[-1], arrays.get("penalty_factor"))
    smooth = is_zero(given.l1) and not ("lower" in arrays or "upper" in arrays) and groups is None
    problem = Problem(
        X=arrays["X"],
        y=arrays["y"],
        sample_weight=arrays.get("sample_weight"),
        offset=arrays.get("offset"),
        l1=None if smooth else arrays["l1"],
        l2=arrays["l2"],
        penalty_factor=arrays.get("penalty_factor"),
        lower=arrays.get("lower"),
        upper=arrays.get("upper"),
        l1_group=None if groups is None else arrays["l1_group"],
        groups=groups,
        fit_intercept=bool(given.fit_intercept),
    )
    needs_dense = given.mesh is not None or given.solver == "newton" or groups is not None
    problem = as_it_pays(problem, dtype, needs_dense)
    m, n = problem.X.shape[-2:]
    if n == 0 and not given.fit_intercept:
        raise ValueError("expected a column or an intercept, got X without columns and fit_intercept=False; leave that True")
    if given.mesh is not None:
        check_mesh(given.mesh, m)
    init = None if given.init is None else given.init._replace(coef=arrays["coef"], intercept=arrays["intercept"])
    return Models(problem=problem, start=init), dtype, batch


def checked_tol(tol: ArrayLike | None, dtype: jnp.dtype) -> Array | np.ndarray:
    """The tolerance of KKT residuals, () in the dtype of a fit; None is 1e-10 in float64 and 1e-5 in float32. Raises ValueError
    where it is no finite number > 0 there."""
    if tol is None:
        tol = 1e-10 if dtype == jnp.float64 else 1e-5
    tol = tol if isinstance(tol, jax.Array) and not is_key(tol) else as_numpy("tol", tol)
    if not is_concrete(tol):
        return jnp.asarray(tol, dtype)
    real = np.ndim(tol) == 0 and any(jnp.issubdtype(tol.dtype, kind) for kind in (jnp.floating, jnp.integer))
    with np.errstate(over="ignore"):
        value = np.asarray(tol).astype(dtype if real else bool)
    if not (real and 0 < value < np.inf):
        raise ValueError(f"expected tol to be one finite number > 0 in {dtype}, got {tol}; leave it out for the default")
    return value
