"""One model's function over all models of a fit: the plumbing that the files beside this one share.

Estimates without a penalty have the asymptotic distributions of the textbooks; penalized ones have not, so that each function
refuses them by name. What a model that did not converge would give is NaN. Of K classes statistics are those of a class less a
base, as tables print them: with Q the contrasts of the classes, x the coordinates of the solver (`jaxlr.model.likelihood`) and
params = Q x, a class less the base is (Q_k - Q_base) x.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.batching.axes import cores_of, map_leaves
from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import Models
from jaxlr.batching.loops import in_groups
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inputs.checks import check_count, checked_arrays, is_zero
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.certificates import kkt_residual
from jaxlr.model.likelihood import Likelihood, Multinomial, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.penalty import Penalty
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.system import System, system_of
from jaxlr.solvers.working import Working, prepare, to_working, units_of, working_problem

_SLACK = 100  # times the residual of the fit, or the root of eps


def over_models(
    function: Callable[..., Any], fit: Fit, problem: Problem, *, penalized: bool = False, options: tuple = ()
) -> Any:
    """Apply a function of one model to every model of a fit.

    Args:
        function: of module level, (params, problem, *options) to a pytree of arrays, for one problem.
        fit: its batch shape in front.
        problem: the data of the fit, each field with the batch axes that it had there.
        penalized: whether an l2 penalty is no obstacle.
        options: static.

    Returns:
        What the function gives, the batch shape in front; NaN for models that are not CONVERGED.

    Raises:
        ValueError: a penalty that the function knows no distribution for; shapes that do not fit; the problem of another fit.
    """
    name = function.__name__.strip("_").replace("_", " ")
    if not is_zero(0.0 if problem.l1 is None else problem.l1):
        raise ValueError(
            f"expected a fit without l1 (known outside jit) for its {name}, for its distribution is not known; "
            "resample instead, with jaxlr.fit_bootstrap"
        )
    if not (penalized or is_zero(problem.l2)):
        raise ValueError(
            f"expected an unpenalized fit for its {name}, got l2 > 0 (or unknown inside jit): a penalized estimate is biased; "
            "pass penalized=True where a function has it, to ask for the inverse of the penalized Hessian all the same"
        )
    models, batch = _models(fit, problem)
    if batch != np.shape(fit.status):
        raise ValueError(f"expected a problem of the batch {np.shape(fit.status)} of the fit, got one of {batch}")
    if fit.solver != "firth" and is_concrete(fit.status) and all(map(is_concrete, jax.tree.leaves(models))):
        _check_pair(np.asarray(_mapped(models, fit.status, kkt_residual, batch, ())), fit)
    return _mapped(models, fit.status, function, batch, options)


def _models(fit: Fit, problem: Problem) -> tuple[Models, tuple[int, ...]]:
    """The data, checked, with the parameters for the start; and the batch."""
    l2 = {"l2": 0.0, "penalty_factor": None} if is_zero(problem.l2) else {}
    problem = replace(problem, l1=None, **l2)
    names = ("X", "y", "sample_weight", "offset", "l2", "penalty_factor")
    fields = {name: getattr(problem, name) for name in names} | {"coef": fit.params.coef, "intercept": fit.params.intercept}
    likelihood = likelihood_of_params(fit.params)
    arrays, batch = checked_arrays(fields, likelihood.num_classes if isinstance(likelihood, Multinomial) else None)
    params = type(fit.params)(arrays.pop("coef"), arrays.pop("intercept"))
    return Models(problem=replace(problem, **arrays), start=params), batch


def _check_pair(kkt: np.ndarray, fit: Fit) -> None:
    """Refuse data at which the estimates are no minimum: those of another fit."""
    most = _SLACK * np.maximum(np.asarray(fit.kkt), np.sqrt(np.finfo(kkt.dtype).eps))
    if np.any(kkt > most):
        raise ValueError(
            f"expected the problem that was fitted, got one whose gradient at the estimate is not 0 ({np.nanmax(kkt):.1e}); "
            "give it the X, y, sample_weight, offset, l2 and fit_intercept of the fit"
        )


@program("function", "batch", "options")
def _mapped(models: Models, status: Array, function: Callable, batch: tuple[int, ...], options: tuple) -> Any:
    """A group of models at a time; a field without an axis is never copied along it."""
    cores = cores_of(likelihood_of_params(models.start), models.problem.fit_intercept)

    def one(member: tuple[Array, ...]) -> Any:
        def own(core: Any, value: Array) -> Array:
            lead = core.lead(value)
            places = member[len(batch) - len(lead) :]
            return value[tuple(place if size > 1 else 0 for place, size in zip(places, lead, strict=True))]

        mine = map_leaves(own, cores, models)
        found = function(mine.start, mine.problem, *options)
        converged = status[member] == Status.CONVERGED
        return jax.tree.map(lambda leaf: jnp.where(converged, leaf, jnp.nan), found)

    if not batch:
        return one(())
    members = tuple(jnp.asarray(axis.reshape(-1)) for axis in np.indices(batch))
    m, n = models.problem.X.shape[-2:]
    numbers = m * (n + 1) * int(np.prod(likelihood_of_params(models.start).classes, dtype=int))
    results = in_groups(jax.vmap(one), members, models_side_by_side(numbers))
    return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape[1:]), results)


def parameters_of(x: Array, like: Params | SoftmaxParams) -> Params | SoftmaxParams:
    """Parameters from one array, the intercept last.

    Args:
        x: (..., *K, n + 1).
        like: whose kind they have.

    Returns:
        coef (..., *K, n), intercept (..., *K).
    """
    return type(like)(x[..., :-1], x[..., -1])


def joined(params: Params | SoftmaxParams) -> Array:
    """One array from parameters, the intercept last.

    Args:
        params: coef (..., *K, n), intercept (..., *K).

    Returns:
        (..., *K, n + 1).
    """
    return jnp.concatenate([jnp.asarray(params.coef), jnp.asarray(params.intercept)[..., None]], axis=-1)


def less_base(x: Array, params: Params | SoftmaxParams, base: int | None) -> Array:
    """Parameters of every class less those of the base.

    Args:
        x: (..., *K, n + 1).
        params: whose kind they have.
        base: a class, or None.

    Returns:
        (..., *K, n + 1); as it came for two classes in one logit, or without a base.
    """
    if base is None or not likelihood_of_params(params).classes:
        return x
    return x - x[..., base : base + 1, :]


def check_base(base: int | None, params: Params | SoftmaxParams) -> None:
    """Refuse what is no class.

    Args:
        base: a class, or None.
        params: of the fit.

    Raises:
        ValueError: it is something else; for binary models 0 and None alone make sense.
    """
    if base is None:
        return
    check_count("base", base, 0)
    num_classes = max((1, *likelihood_of_params(params).classes))
    if base >= num_classes:
        raise ValueError(f"expected base None or a class from 0 to {num_classes - 1}, got {base!r}")


class Estimate(NamedTuple):
    """An estimate as the solvers see it, without the penalties of its problem.

    Attributes:
        system: the problem on working columns, in coordinates for a smooth objective.
        params: the estimate on working columns (*K, k).
        z: its logits (*K, m).
        l2: of its problem on the working columns (k,).
        to_X: from the parameters of one class on working columns to those on X (p, k), p = n + 1 with an intercept, else n.
        classes: what statistics are about, as combinations of coordinates (C, B): a logit; every class, or that less the base.
    """

    system: System
    params: Array
    z: Array
    l2: Array
    to_X: Array  # noqa: N815
    classes: np.ndarray

    @property
    def hessian(self) -> Array:
        """Of the mean loss and the squared penalty (B k, B k)."""
        system = self.system
        H = system.likelihood.assemble(system.A.gram(system.likelihood.curvature(self.z, system.w).pairs()))
        return H + jnp.diag(jnp.tile(self.l2, len(H) // len(self.l2)))

    def on_X(self, x: Float[Array, "r p"]) -> Float[Array, "r C q"]:
        """Rows of coordinates as rows of parameters on X, the intercept last and 0 where none is fitted."""
        of_class = x.reshape(len(x), -1, self.to_X.shape[1])
        found = jnp.einsum("rbk,cb,jk->rcj", of_class, jnp.asarray(self.classes, x.dtype), self.to_X, precision="highest")
        return jnp.pad(found, ((0, 0), (0, 0), (0, self.system.n + 1 - self.to_X.shape[0])))


def estimate_of(params: Params | SoftmaxParams, problem: Problem, base: int | None = None) -> Estimate:
    """The estimate of one model, on the columns on which the solvers work.

    Args:
        params: on X.
        problem: one problem.
        base: the class that others are compared with; None compares none.

    Returns:
        Estimate.
    """
    present = None if problem.sample_weight is None else problem.sample_weight > 0
    working = prepare(jnp.asarray(problem.X), present, problem.fit_intercept)
    likelihood = likelihood_of_params(params).in_contrasts()
    inner = working_problem(problem, working, None)
    same = row_weights(Problem(working.A, None))  # no residual is asked for in units of the model's own
    system = system_of(inner, working, units_of(working, same, problem.fit_intercept), likelihood, True)
    l2, x = system.penalty.l2, to_working(params, working)
    system = system._replace(penalty=Penalty(0 * l2, 0 * l2))
    return Estimate(system, x, system.logits(x), l2, _to_X(working, problem.fit_intercept), _classes(likelihood, base))


def _to_X(working: Working, fit_intercept: bool) -> Float[Array, "p k"]:
    n, k = len(working.unit), working.A.shape[1]
    coefs = jnp.eye(n, k, dtype=working.unit.dtype) / working.unit[:, None]
    if not fit_intercept:
        return coefs
    return jnp.concatenate([coefs, jnp.append(-working.center / working.unit, 1)[None, :]])


def _classes(likelihood: Likelihood, base: int | None) -> np.ndarray:
    if not isinstance(likelihood, Multinomial):
        return np.ones((1, 1))
    return likelihood.basis if base is None else likelihood.basis - likelihood.basis[base]
