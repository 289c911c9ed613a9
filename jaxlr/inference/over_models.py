"""One model's function over all models of a fit: the plumbing that the files beside this one share.

Estimates without a penalty have the asymptotic distributions of the textbooks; penalized ones have not, so that each function
refuses them by name. What a model that did not converge would give is NaN.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.batching.compilation import program
from jaxlr.batching.lanes import in_groups
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inputs.checks import CORE_AXES, SOFTMAX_AXES, checked_arrays, is_concrete, is_zero
from jaxlr.model.certificates import kkt_residual
from jaxlr.model.problem import Problem
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.softmax_certificates import softmax_kkt_residual
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.working import Shared, share

_SLACK = 100  # times the residual of the fit, or the root of eps
_DATA = ("X", "y", "sample_weight", "offset", "l2", "penalty_factor")


def over_models(
    function: Callable[..., Any],
    fit: Fit,
    problem: Problem,
    *,
    penalized: bool = False,
    multinomial: bool = False,
    options: tuple = (),
) -> Any:
    """Apply a function of one model to every model of a fit.

    Args:
        function: of module level, (params, problem, *options) to a pytree of arrays, for one problem.
        fit: its batch shape in front.
        problem: the data of the fit, each field with the batch axes that it had there.
        penalized: whether an l2 penalty is no obstacle.
        multinomial: whether the function is one of multinomial models.
        options: static.

    Returns:
        What the function gives, the batch shape in front; NaN for models that are not CONVERGED.

    Raises:
        ValueError: a penalty that the function knows no distribution for; a model of the other kind; shapes that do not fit.
    """
    name = function.__name__.strip("_").replace("_", " ")
    if isinstance(fit.params, SoftmaxParams) != multinomial:
        kinds = ("fit_softmax", "fit; for multinomial models there is softmax_wald")
        raise ValueError(f"expected a Fit by jaxlr.{kinds[not multinomial]}, got {type(fit.params).__name__} for its {name}")
    if not is_zero(problem.l1):
        raise ValueError(
            f"expected a fit without l1 (known outside jit) for its {name}, for its distribution is not known; "
            "resample instead, with jaxlr.fit_bootstrap"
        )
    if not (penalized or is_zero(problem.l2)):
        raise ValueError(
            f"expected an unpenalized fit for its {name}, got l2 > 0 (or unknown inside jit): a penalized estimate is biased; "
            "pass penalized=True where a function has it, to ask for the inverse of the penalized Hessian all the same"
        )
    fields = {name: getattr(problem, name) for name in _DATA} | {"coef": fit.params.coef, "intercept": fit.params.intercept}
    if is_zero(problem.l2):
        fields |= {"l2": 0.0, "penalty_factor": None}
    if multinomial:
        fields["labels"] = fields.pop("y")
        if fields["offset"] is not None:
            fields["offset"] = jnp.swapaxes(jnp.asarray(fields["offset"]), -1, -2)
    arrays, batch = checked_arrays(fields, SOFTMAX_AXES if multinomial else CORE_AXES)
    if batch != np.shape(fit.status):
        raise ValueError(f"expected a problem of the batch {np.shape(fit.status)} of the fit, got one of {batch}")
    intercept = bool(problem.fit_intercept)
    if fit.solver != "firth" and is_concrete(fit.status) and all(map(is_concrete, arrays.values())):
        residual = softmax_kkt_residual if multinomial else kkt_residual
        _check_pair(np.asarray(_mapped(arrays, fit.status, residual, batch, intercept, ())), fit)
    return _mapped(arrays, fit.status, function, batch, intercept, options)


def _check_pair(kkt: np.ndarray, fit: Fit) -> None:
    """Refuse data at which the estimates are no minimum: those of another fit."""
    most = _SLACK * np.maximum(np.asarray(fit.kkt), np.sqrt(np.finfo(kkt.dtype).eps))
    if np.any(kkt > most):
        raise ValueError(
            f"expected the problem that was fitted, got one whose gradient at the estimate is not 0 ({np.nanmax(kkt):.1e}); "
            "give it the X, y, sample_weight, offset, l2 and fit_intercept of the fit"
        )


@program("function", "batch", "fit_intercept", "options")
def _mapped(
    arrays: dict[str, Array], status: Array, function: Callable, batch: tuple[int, ...], fit_intercept: bool, options: tuple
) -> Any:
    """A group of models at a time; a field without an axis is never copied along it."""
    core_axes = SOFTMAX_AXES if "labels" in arrays else CORE_AXES
    shapes = {name: value.shape[: value.ndim - len(core_axes[name])] for name, value in arrays.items()}

    def one(member: tuple[Array, ...]) -> Any:
        def own(name: str, value: Array) -> Array:
            lead = shapes[name]
            places = member[len(batch) - len(lead) :]
            return value[tuple(place if size > 1 else 0 for place, size in zip(places, lead, strict=True))]

        mine = {name: own(name, value) for name, value in arrays.items()}
        params: Any = Params(mine.pop("coef"), mine.pop("intercept"))
        if "labels" in mine:
            params, mine["y"] = SoftmaxParams(*params), mine.pop("labels")
            mine |= {"offset": mine["offset"].T} if "offset" in mine else {}
        found = function(params, Problem(**mine, fit_intercept=fit_intercept), *options)
        converged = status[member] == Status.CONVERGED
        return jax.tree.map(lambda leaf: jnp.where(converged, leaf, jnp.nan), found)

    if not batch:
        return one(())
    members = tuple(axis.reshape(-1) for axis in np.indices(batch))
    m, n = arrays["X"].shape[-2:]
    results = in_groups(jax.vmap(one), jax.tree.map(jnp.asarray, members), models_side_by_side(m * (n + 1)))
    return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape[1:]), results)


def both(parameters: Array) -> Params:
    """Params from one array (..., n + 1), the intercept last.

    Args:
        parameters: (..., n + 1).

    Returns:
        coef (..., n), intercept (...).
    """
    return Params(parameters[..., :-1], parameters[..., -1])


def joined(params: Params) -> Array:
    """One array (..., n + 1) from Params, the intercept last.

    Args:
        params: coef (..., n), intercept (...).

    Returns:
        (..., n + 1).
    """
    return jnp.concatenate([params.coef, params.intercept[..., None]], axis=-1)


def working(problem: Problem) -> tuple[Shared, Float[Array, "k k"]]:
    """The design on which derivatives are computed, as the solvers have it, and the parameters on X in terms of those on it.

    Args:
        problem: one problem.

    Returns:
        The prepared design, its A being (m, k), and the matrix that takes its parameters to coef and, where one is fitted, the
        intercept on X.
    """
    present = None if problem.sample_weight is None else problem.sample_weight > 0
    shared = share(jnp.asarray(problem.X), present, problem.fit_intercept)
    n, k = len(shared.unit), shared.A.shape[1]
    coefs = jnp.eye(n, k, dtype=shared.unit.dtype) / shared.unit[:, None]
    if not problem.fit_intercept:
        return shared, coefs
    return shared, jnp.concatenate([coefs, jnp.append(-shared.center / shared.unit, 1)[None, :]])
