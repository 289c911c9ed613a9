"""One model as its statistics see it: on the working columns, and of several classes in contrasts.

    x = Q' params       z = A Q x + offset       I = N Q' A' W A Q, Fisher's information, W the curvature of the losses
    params on X, those of a base subtracted  =  ((Q - Q_base) (x) T) x

with A the standardized columns (`jaxlr.solvers.working`), on which no digit is lost by the units of a column, T what takes
parameters there to those on X, and Q the contrasts (`jaxlr.model.likelihood`): of K classes (K - 1) (n + 1) parameters are
free. In the binary model Q and Q - Q_base are the number 1.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.inputs.checks import check_count
from jaxlr.linalg.cholesky import after
from jaxlr.linalg.dot import aligned, dot
from jaxlr.model.likelihood import Likelihood, Multinomial, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, penalty_of, row_weights
from jaxlr.solvers.system import System, system_of
from jaxlr.solvers.working import (
    Working,
    dependent_columns,
    from_basis,
    from_working,
    prepare,
    solved_after,
    to_working,
    units_of,
    working_problem,
)


class Fitted(NamedTuple):
    """One model, on the working columns.

    Attributes:
        system: its data.
        working: its prepared design.
        x: the estimate in its coordinates (*B, k).
        z: its logits (*K, m).
        back: T (n + 1, k), the last row 0 without an intercept.
        undetermined: parameters that the data do not determine (n + 1,), for their column depends on those before it, or the
            fit shares a coefficient with such a column; None where there are none.
        dependent: which columns of A depend on others (k,), or None where none does.
        weights: of which others these are made, the basis's (f, f), likewise.
    """

    system: System
    working: Working
    x: Array
    z: Array
    back: Array
    undetermined: Array | None
    dependent: Array | None
    weights: Array | None

    @property
    def determined(self) -> Float[Array, "parameters k"]:
        """T, NaN for a parameter that the data do not determine."""
        return self.back if self.undetermined is None else jnp.where(self.undetermined[:, None], jnp.nan, self.back)

    @property
    def free(self) -> Bool[Array, "*B k"]:
        """Which of x can move: not what an absolute penalty holds at 0, nor what belongs to a dependent column."""
        free = (self.x != 0) | aligned(self.system.penalty.l1 == 0, self.x)
        return free if self.dependent is None else free & aligned(~self.dependent, self.x)

    @property
    def num_parameters(self) -> Any:
        """How many the data determine: the rank of the columns, for every free class."""
        size = math.prod(self.x.shape)
        if self.dependent is None:
            return size
        return size - size // len(self.dependent) * jnp.sum(self.dependent.astype(self.x.dtype))


def fitted(params: Params | SoftmaxParams, problem: Problem, basis: int) -> Fitted:
    """One model of a fit, from its parameters on X; with absolute penalties, which know nothing of contrasts, in those
    themselves.

    Args:
        basis: static; how many columns without a penalty there are at most, where some may depend on each other; else 0.
    """
    likelihood = likelihood_of_params(params)
    likelihood = likelihood.in_contrasts() if problem.l1 is None else likelihood
    system, working = prepared(problem, likelihood, basis)
    inside = to_working(params, working)
    n, k = len(working.unit), inside.shape[-1]
    scaled = from_basis(jnp.eye(n, dtype=inside.dtype), working).T / working.unit[:, None]
    last = -dot(working.center, scaled)
    back = jnp.concatenate([scaled, last[None, :]])
    if problem.fit_intercept:
        back = jnp.concatenate([back, jnp.eye(n + 1, dtype=back.dtype)[:, n:]], axis=1)
    else:
        back = back.at[n].set(0)
    undetermined = dependent = weights = None
    if working.basis is not None:
        # One solve after the other (`jaxlr.linalg.cholesky`), those of the model alone behind those that all share.
        later = solved_after(scaled, working).basis
        assert later is not None
        weights, dependent = later.weights, jnp.pad(dependent_columns(working), (0, k - n))
        again = from_working(after(weights, inside), working, type(params))
        undetermined, inside = _undetermined(params, again, working), after(again.coef, inside)
    return Fitted(system, working, likelihood.reduce(inside), system.logits(inside), back, undetermined, dependent, weights)


def _undetermined(params: Params | SoftmaxParams, again: Params | SoftmaxParams, working: Working) -> Bool[Array, " p"]:
    """Parameters of dependent columns, and those that are others again when these have coefficients of 0, as in R."""
    given, moved = joined(params), jnp.abs(joined(again) - joined(params))
    eps, coef = jnp.finfo(given.dtype).eps, jnp.abs(jnp.asarray(params.coef))
    # In logits, of which 1 is one: an estimate that is 0 by symmetry moves by rounding, which is as large as itself.
    unit, center = aligned(working.unit, coef), aligned(jnp.abs(working.center), coef)
    of_coef = jnp.max(coef * unit, initial=1, axis=-1, keepdims=True) / unit
    of_intercept = jnp.max(coef * center, initial=1, axis=-1, keepdims=True)
    rounding = eps**0.75 * jnp.concatenate([of_coef, of_intercept], axis=-1)
    shares = moved > jnp.maximum(eps**0.25 * jnp.maximum(jnp.abs(given), moved), rounding)
    shares = shares if shares.ndim == 1 else jnp.any(shares, axis=0)
    return shares | jnp.append(dependent_columns(working), False)


def prepared(problem: Problem, likelihood: Likelihood, basis: int) -> tuple[System, Working]:
    """A problem on the working columns, as the solvers have it but with the derivatives of X, and the prepared design."""
    present = None if problem.sample_weight is None else problem.sample_weight > 0
    penalty, free = penalty_of(problem), None
    if basis:
        (free,) = jnp.nonzero(penalty.absent, size=basis, fill_value=problem.X.shape[-1])
    working = prepare(jnp.asarray(problem.X), present, problem.fit_intercept, free=free)
    working = working._replace(A=working.rows)
    units = units_of(working, row_weights(problem), problem.fit_intercept)
    return system_of(working_problem(problem, working, None), working, units, likelihood, coercive=False), working


def functionals(model: Fitted, base: int | None) -> Float[Array, "parameters p"]:
    """The parameters on X as rows c . x: (K (n + 1), B k), class by class and the intercept last in each; 0 where one is 0.

    Args:
        model: of K classes or binary.
        base: class whose parameters are subtracted from those of every class; None subtracts nothing.
    """
    likelihood = model.system.likelihood
    Q = likelihood.basis if isinstance(likelihood, Multinomial) else np.ones((1, 1))
    if likelihood.classes and base is not None:
        Q = Q - Q[base]
    Q = jnp.asarray(Q, model.x.dtype)[:, None, :, None]
    rows = jnp.where(Q == 0, 0, Q * model.determined[None, :, None, :])  # 0 for the base, also where nothing is determined
    return rows.reshape(math.prod(rows.shape[:2]), math.prod(rows.shape[2:]))


def known(likelihood: Likelihood, n: int, fit_intercept: bool, base: int | None) -> Bool[np.ndarray, "*K p"]:
    """Which parameters are 0 by definition: those of the base, and an intercept that is not fitted, which stands last."""
    zero = np.zeros((*likelihood.classes, n + 1), bool)
    zero[..., n] = not fit_intercept
    if likelihood.classes and base is not None:
        zero[base] = True
    return zero


def check_base(params: Params | SoftmaxParams, base: Any) -> None:
    """Refuse a base that is neither None nor a class; or not 0 for a binary fit, which has no classes to choose from."""
    classes = likelihood_of_params(params).classes
    if not classes and not (isinstance(base, (int, np.integer)) and base == 0):
        raise ValueError(
            f"expected no base for a binary fit, whose coefficients are those of y = 1 against 0, got {base!r}; leave it out"
        )
    if base is None:
        return
    check_count("base", base, 0)
    if classes and base >= classes[0]:
        raise ValueError(f"expected base None or a class from 0 to {classes[0] - 1}, got {base!r}")


def joined(params: Params | SoftmaxParams) -> Array:
    """Parameters as one array (..., n + 1), the intercept last."""
    return jnp.concatenate([jnp.asarray(params.coef), jnp.asarray(params.intercept)[..., None]], axis=-1)


def estimates(params: Params | SoftmaxParams, base: int | None) -> Array:
    """The parameters on X, those of the base subtracted: (..., n + 1), of K classes (..., K, n + 1), the intercept last."""
    values = joined(params)
    if base is None or isinstance(params, Params):
        return values
    return values - values[..., base : base + 1, :]


def as_params(values: Array, like: Params | SoftmaxParams) -> Params | SoftmaxParams:
    """Numbers of every parameter, (..., n + 1), of K classes (..., K, n + 1) or (..., K (n + 1)), the intercept last, as
    parameters of the kind of `like`."""
    coef = jnp.shape(like.coef)
    if isinstance(like, SoftmaxParams) and values.shape[-1] != coef[-1] + 1:
        values = values.reshape(*values.shape[:-1], coef[-2], coef[-1] + 1)
    return type(like)(values[..., :-1], values[..., -1])
