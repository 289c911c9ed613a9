"""One model's function over all models of a fit: the plumbing that the files beside this one share.

Estimates without a penalty have the asymptotic distributions of the textbooks; penalized ones have not, so that each function
refuses them by name. What a model that did not converge would give is NaN.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.batching.axes import cores_of, member_of
from jaxlr.batching.lanes import Models
from jaxlr.batching.loops import over_members
from jaxlr.batching.program import rows_of_design
from jaxlr.compilation.program import program
from jaxlr.engine.buckets import filled_rows, is_here
from jaxlr.engine.dependence import in_basis_of_one
from jaxlr.engine.memory import models_side_by_side
from jaxlr.inference.rows import Rows
from jaxlr.inputs.checks import check_flag, checked_arrays, is_zero, real_array
from jaxlr.inputs.labels import is_soft
from jaxlr.inputs.sparse import is_sparse
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.certificates import kkt_residual
from jaxlr.model.likelihood import Likelihood, likelihood_of_params
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.problem import Problem, within_strata
from jaxlr.model.strata import Strata, centered
from jaxlr.results.fit import Fit, check_fit
from jaxlr.results.status import Status

_SLACK = 100  # times the residual of the fit, or the root of eps
_MOST_NUMBERS = 2**26  # of a group: rows moved and Hessians, several times 500 megabytes in all
# What goes by the Hessian and the value alone, whose likelihood a problem with strata knows.
_OF_STRATA = ("_covariance", "_standard_errors", "_wald_test", "_dependences", "_num_parameters", "_goodness_of_sets")
_DATA = ("X", "y", "sample_weight", "offset", "l1", "l2", "penalty_factor")


def check_given(fit: Any, problem: Any) -> None:
    """Refuse what is no Fit, and what is no Problem of a design."""
    check_fit("fit", fit)
    if not isinstance(problem, Problem):
        raise TypeError(f"expected problem to be a jaxlr.Problem, got {type(problem).__name__}; give it the data of the fit")
    check_flag("fit_intercept", problem.fit_intercept)
    if problem.penalty_factor is not None:
        real_array("penalty_factor", problem.penalty_factor)
    X = problem.X if is_sparse(problem.X) else real_array("X", problem.X)
    if len(X.shape) < 2:
        raise ValueError(f"expected a problem with X (..., m, n), got shape {X.shape}; give it the data of the fit")


def over_models(
    function: Callable[..., Any],
    fit: Fit,
    problem: Problem,
    *,
    penalized: bool = False,
    absolute: bool = False,
    options: tuple = (),
    shared: tuple = (),
    rows: tuple[Rows | None, ...] = (),
    lanes: int = 1,
    by_row: bool = False,
) -> Any:
    """Apply a function of one model to every model of a fit: NaN for those that are not CONVERGED.

    Args:
        function: of module level, (params, problem, *rows, *shared, *options, basis) to a pytree of arrays, for one problem,
            with `basis` as in `jaxlr.inference.fitted`; its name stands in messages.
        problem: the data of the fit, each field with the batch axes that it had there.
        penalized: whether an l2 penalty is no obstacle.
        absolute: whether l1 is none.
        options: static.
        shared: arrays that all models have.
        rows: further rows, each model its own where they have batch axes.
        lanes: how many copies of itself the function runs side by side.
        by_row: whether its results have an axis of rows, so that no rows may be filled up.

    Raises:
        TypeError: the parameters of the fit are of no model.
        ValueError: a penalty that the function knows no distribution for; the data of another fit; shapes that do not fit.
    """
    check_flag("penalized", penalized)
    name = function.__name__.strip("_").replace("_", " ")
    if not (absolute or problem.l1 is None or is_zero(problem.l1)):
        raise ValueError(
            f"expected a fit without l1 (known outside jit) for its {name}, got one with it, whose distribution is not known; "
            "resample instead, with jaxlr.fit_bootstrap"
        )
    if not (penalized or is_zero(problem.l2)):
        raise ValueError(
            f"expected an unpenalized fit for its {name}, got l2 > 0 (or unknown inside jit): a penalized estimate is biased; "
            "pass penalized=True where a function has it, to ask for the inverse of the penalized Hessian all the same"
        )
    if problem.strata is not None:
        _check_for_strata(name, function, options)
    models, batch = checked_pair(fit, problem, by_row)
    more = sum(0 if own is None else own.X.shape[-2] for own in rows)
    lanes *= 1 + more // models.problem.X.shape[-2]
    options = (*options, may_depend(problem, models))
    return _mapped(models, fit.status, shared, function, batch, options, lanes, _known_strata(problem), rows)


def may_depend(problem: Problem, models: Models) -> int:
    """How many columns a model leaves without a penalty, where some of them may depend on each other: static, 0 where small
    data show that none does.

    Args:
        problem: as it was given.
        models: `checked_pair` of it.
    """
    # As they were given: inside jit the arrays of known numbers are tracers.
    penalties = {"l1": problem.l1, "l2": problem.l2, "penalty_factor": problem.penalty_factor}
    return in_basis_of_one(replace(models.problem, **penalties), is_here(models))


def checked_pair(fit: Fit, problem: Problem, by_row: bool = False) -> tuple[Models, tuple[int, ...]]:
    """The data with the estimates for a start, and the batch shape; ValueError where they are known to be those of another fit:
    where their gradient at the estimates is not 0."""
    if (fit.solver == "conditional") != (problem.strata is not None):
        expected, got = ("with", "none") if problem.strata is None else ("without", "some")
        raise ValueError(
            f"expected a problem {expected} strata for a fit by {fit.solver!r}, got {got}; those of jaxlr.fit_conditional are "
            "the strata of its Problem"
        )
    models, batch = _checked(fit, problem)
    if not by_row and problem.strata is None:
        models = filled_rows(models, math.prod(batch), _likelihood_of(models))
    if batch != np.shape(fit.status):
        raise ValueError(
            f"expected a problem of the batch {np.shape(fit.status)} of the fit, got one of {batch}; give each field the axes "
            "that it had there"
        )
    if fit.solver == "firth" or not all(map(is_concrete, jax.tree.leaves((fit.status, models)))):
        return models, batch
    kkt = np.asarray(_mapped(models, fit.status, (), kkt_residual, batch, (), 1, _known_strata(problem)))
    # Large coefficients, of columns near the span of others, move logits where they are rounded.
    largest = np.max(np.abs(np.asarray(fit.params.coef)), initial=0) * np.max(np.abs(np.asarray(models.problem.X)), initial=0)
    eps = np.finfo(kkt.dtype).eps
    most = _SLACK * np.maximum(np.asarray(fit.kkt), max(np.sqrt(eps), eps * largest))
    if np.any(kkt > most):
        last = "fit_intercept" if problem.strata is None else "strata"
        raise ValueError(
            f"expected the problem that was fitted, got one whose gradient at the estimate is not 0 ({np.nanmax(kkt):.1e}); "
            f"give it the X, y, sample_weight, offset, l2 and {last} of the fit"
        )
    return models, batch


def _checked(fit: Fit, problem: Problem) -> tuple[Models, tuple[int, ...]]:
    """The data, with the estimates for a start, as arrays of one dtype; and the batch shape to which all of them broadcast."""
    if not (problem.lower is None and problem.upper is None):
        raise ValueError(
            "expected a fit without bounds, got some: the distribution of an estimate that may be at one is not known; "
            "resample instead, with jaxlr.fit_bootstrap"
        )
    if not (problem.l1_group is None or is_zero(problem.l1_group)):
        raise ValueError(
            "expected a fit without l1_group (0, known outside jit), got one with it, the distribution of whose estimates is "
            "not known; resample instead, with jaxlr.fit_bootstrap"
        )
    factor = problem.penalty_factor
    if factor is not None and is_concrete(factor) and np.any(np.isinf(np.asarray(factor))):
        raise ValueError(
            "expected finite penalty_factor, got inf, which holds a coefficient at 0; leave the column out of X, and fit again"
        )
    fields = {name: getattr(problem, name) for name in _DATA} | fit.params._asdict()
    if problem.l1 is None or is_zero(problem.l1):
        del fields["l1"]
        fields |= {"l2": 0.0, "penalty_factor": None} if is_zero(problem.l2) else {}
    arrays, batch = checked_arrays(fields, *likelihood_of_params(fit.params).classes)
    params = type(fit.params)(arrays.pop("coef"), arrays.pop("intercept"))
    if problem.strata is not None:
        X, s = arrays["X"], arrays.get("sample_weight")
        arrays["X"] = centered(X, problem.strata, None if s is None else rows_of_design(X, s))
    given = {"l1": None} | arrays
    return Models(problem=Problem(**given, fit_intercept=bool(problem.fit_intercept)), start=params), batch


def _likelihood_of(models: Models) -> Likelihood:
    """That of their parameters and labels."""
    likelihood, problem = likelihood_of_params(models.start), models.problem
    soft = bool(likelihood.classes) and is_soft(problem.X, problem.y, *likelihood.classes)
    return likelihood._replace(soft=True) if isinstance(likelihood, Multinomial) and soft else likelihood


def _known_strata(problem: Problem) -> Strata | None:
    """The strata of a problem, of no more cases than there are."""
    if problem.strata is None or not (is_concrete(problem.y) and is_concrete(problem.sample_weight)):
        return problem.strata
    return problem.strata.known(problem.y, problem.sample_weight)


def _check_for_strata(name: str, function: Callable, options: tuple) -> None:
    """Refuse what is not known of the conditional likelihood."""
    if function.__name__ not in _OF_STRATA:
        raise ValueError(
            f"expected a problem without strata for its {name}, which belongs to the likelihood of single rows, got some; a "
            "conditional fit has covariance, standard_errors, wald, wald_test, odds_ratios, likelihood_ratio and summary"
        )
    kind = getattr(options[0], "name", "model") if options else "model"
    if kind != "model":
        raise ValueError(f'expected kind "model" of a problem with strata, got {kind!r}; resample strata instead, with '
                         "jaxlr.cluster_bootstrap")  # fmt: skip


@program("function", "batch", "options", "lanes")
def _mapped(
    models: Models,
    status: Array,
    shared: tuple,
    function: Callable,
    batch: tuple[int, ...],
    options: tuple,
    lanes: int,
    strata: Strata | None = None,
    rows: tuple[Rows | None, ...] = (),
) -> Any:
    """A group of models at a time; a field without an axis is never copied along it."""
    cores = cores_of(_likelihood_of(models), models.problem.fit_intercept)
    of_rows = tuple(None if own is None else Rows(cores.problem.X, cores.problem.offset) for own in rows)

    def one(member: tuple[Array, ...]) -> Any:
        mine, own = member_of((models, rows), (cores, of_rows), batch, member)
        problem = mine.problem if strata is None else within_strata(replace(mine.problem, strata=strata))
        found = function(mine.start, problem, *own, *shared, *options)
        converged = status[member] == Status.CONVERGED
        return jax.tree.map(lambda leaf: jnp.where(converged, leaf, jnp.nan), found)

    (m, n), num_classes = models.problem.X.shape[-2:], math.prod(likelihood_of_params(models.start).classes)
    numbers = lanes * num_classes * (m * (n + num_classes) + num_classes * n**2)
    numbers += 0 if strata is None else strata.numbers(n)
    return over_members(one, batch, max(1, min(models_side_by_side(numbers), _MOST_NUMBERS // numbers)))
