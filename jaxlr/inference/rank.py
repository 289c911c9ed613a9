"""Which columns depend on those before them, and how: what a table of estimates says beside NaN.

    X_j = constant_j + sum_{i < j} weights_ji X_i        over the rows of positive weight, as far as the dtype can tell

The later of two is the dependent one, as in R; its coefficient is 0 and its standard error NaN (`jaxlr.linalg.basis`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.inference.fitted import fitted, prepared
from jaxlr.inference.over_models import checked_pair, may_depend, over_models
from jaxlr.linalg.dot import dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.solvers.working import dependent_columns

_SHARE = 1e-6  # of a column that another makes up: less is rounding


class Dependences(NamedTuple):
    """Of every model; what belongs to a column that depends on no others is 0.

    Attributes:
        dependent: 1 or 0 (..., n), NaN where a model is not CONVERGED.
        weights: (..., n, n), a row for each dependent column.
        constant: (..., n).
    """

    dependent: Any
    weights: Any
    constant: Any


def dependences(fit: Fit, problem: Problem) -> Dependences | None:
    """Which columns of an unpenalized fit depend on others; None where its data show that none does.

    Raises:
        ValueError: the data of another fit; shapes that do not fit.
    """
    if not may_depend(problem, checked_pair(fit, problem)[0]):
        return None
    return Dependences(*over_models(_dependences, fit, problem))


def _dependences(params: Params | SoftmaxParams, problem: Problem, basis: int) -> tuple[Array, Array, Array]:
    working = prepared(problem, likelihood_of_params(params), basis)[1]
    assert working.basis is not None
    n, free, unit = len(working.unit), working.free, working.unit
    weights = jnp.zeros((n, n), unit.dtype).at[free[:, None], free[None, :]].set(working.basis.weights, mode="drop")
    weights = jnp.where(jnp.abs(weights) > _SHARE, weights * unit[:, None] / unit[None, :], 0)
    dependent = dependent_columns(working)
    constant = jnp.where(dependent, working.center - dot(weights, working.center), 0)
    return dependent.astype(unit.dtype), weights, constant


def num_parameters(fit: Fit, problem: Problem) -> Any:
    """How many parameters the data of every model determine (...): an int where that is known to be all of them."""
    likelihood = likelihood_of_params(fit.params).in_contrasts()
    if not may_depend(problem, checked_pair(fit, problem)[0]):
        return int(np.prod(likelihood.coordinates, dtype=int)) * (np.shape(fit.params.coef)[-1] + problem.fit_intercept)
    return over_models(_num_parameters, fit, problem)


def _num_parameters(params: Params | SoftmaxParams, problem: Problem, basis: int) -> Array:
    return fitted(params, problem, basis).num_parameters


def equations(found: Dependences, names: Sequence[str]) -> list[str]:
    """The dependences of one model, a line for each dependent column, such as "x3 = x1 - 2 x2"."""
    lines = []
    for j, name in enumerate(names):
        if np.asarray(found.dependent)[j] != 1:
            continue
        weights, constant = np.asarray(found.weights)[j], float(np.asarray(found.constant)[j])
        terms = [(weight, other) for weight, other in zip(weights, names, strict=True) if weight]
        size = max([abs(constant), *(abs(weight) for weight, _ in terms)])
        if not terms or abs(constant) > _SHARE * size:
            terms.append((constant, ""))
        signed = " ".join(_term(weight, name) for weight, name in terms)
        lines.append(f"{name} = {'-' * signed.startswith('-')}{signed[2:]}")
    return lines


def _term(weight: float, name: str) -> str:
    """Such as "+ 2 x1", "- x2" and "+ 3"."""
    size = f"{abs(weight):.4g}"
    return ("- " if weight < 0 else "+ ") + (name if name and size == "1" else f"{size} {name}".strip())
