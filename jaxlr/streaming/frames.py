"""Between the parameters that are handed back and those of the steps, on working columns; and what a model is there.

Every point that a pass sums at is one that could be handed back: rounded to the dtype of the results on X, so that its evidence
is that of the very numbers that the caller gets.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.dot import aligned
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem, penalty_of
from jaxlr.solvers.measured import in_units
from jaxlr.solvers.working import Working, from_working, join, params_to_working, working_problem
from jaxlr.streaming.points import Model
from jaxlr.streaming.sums import Frame, Sums

_CONSTANT = 1e-13  # a variance under that of its mean square is rounding


def working_of(frame: Frame) -> Working:
    """The frame as the working columns that `jaxlr.solvers` know, without rows."""
    empty = Dense(jnp.zeros((1, len(frame.center))))
    return Working(empty, empty, frame.center, frame.unit)


def to_x(params: Params | SoftmaxParams, frame: Frame, likelihood: Likelihood, k: int) -> Float[Array, "*B k"]:
    """Parameters of one model on X, in the coordinates of the steps."""
    return likelihood.reduce(join(params_to_working(params, working_of(frame)), k))


def to_params(x: Float[Array, "*B k"], bounds: Any, frame: Frame, likelihood: Likelihood) -> Params | SoftmaxParams:
    """Parameters of one model on X, in float64."""
    return from_working(likelihood.expand(x), working_of(frame), likelihood.params_type, bounds)


@program("likelihood", "k")
def starts(params: Params | SoftmaxParams, bounds: Any, frame: Frame, likelihood: Likelihood, k: int) -> Array:
    """Coordinates (L, *B, k) of parameters on X of many models, clipped to their bounds."""
    if bounds is not None:
        lower, upper = (bound if params.coef.ndim == 2 else bound[:, None, :] for bound in bounds)
        params = params._replace(coef=jnp.clip(params.coef, lower, upper))
    return jax.vmap(lambda params: to_x(params, frame, likelihood, k))(params)


@program("likelihood", "kinked", "dtype")
def rounded(x: Array, bounds: Any, model: Model | None, frame: Frame, likelihood: Likelihood, kinked: bool, dtype: str) -> Any:
    """Points (L, *B, k) as they could be handed back, and as parameters on X of the dtype of the results."""

    def one(x: Array, bounds: Any, penalty: Any) -> tuple[Array, Any]:
        if kinked and penalty is not None:  # what all classes share without a penalty changes no logit
            x = likelihood.zero_sums(x, penalty)
        params = to_params(x, bounds, frame, likelihood)
        given = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        if likelihood.classes and dtype != "float64":
            balanced = jax.tree.map(lambda leaf: _balanced(leaf, dtype), params)
            centered = jnp.full(params.coef.shape[-1], not kinked)
            if kinked and penalty is not None and bounds is None:
                centered = penalty.absent[: len(centered)]
            given = type(params)(jnp.where(aligned(centered, given.coef), balanced.coef, given.coef), balanced.intercept)
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), given)
        return to_x(wide, frame, likelihood, x.shape[-1]), given

    return jax.vmap(one)(x, bounds, None if model is None else model.penalty)


def _balanced(centered: Float[Array, "K *n"], dtype: str) -> Float[Array, "K *n"]:
    """Numbers whose sum over the classes is 0, rounded so that it stays 0 to the last digit: what all classes share is none of
    the coordinates of the steps, and without it numbers would be rounded a second time, to others than a pass has judged.

    They are multiples of the last place of the largest; those that were rounded furthest in the direction of the sum go one
    back.
    """
    eps = float(jnp.finfo(dtype).eps)
    _, exponent = jnp.frexp(jnp.max(jnp.abs(centered), axis=0) * (1 + 2 * eps))  # one place further it is still a number
    unit = jnp.ldexp(jnp.full(exponent.shape, eps / 2), exponent)
    exact = centered / unit[None]
    whole = jnp.round(exact)
    excess = jnp.sum(whole, axis=0)[None]
    rank = jnp.argsort(jnp.argsort(exact - whole, axis=0), axis=0).astype(excess.dtype)
    back = jnp.where(rank < excess, 1.0, jnp.where(rank >= len(whole) + excess, -1.0, 0.0))
    return ((whole - back) * unit[None]).astype(dtype)


@program("likelihood", "fit_intercept", "standardize")
def models_of(
    sums: Sums,
    lanes: Any,
    fields: dict[str, Any],
    frame: Frame,
    likelihood: Likelihood,
    fit_intercept: bool,
    standardize: bool,
) -> Model:
    """The models (L,), of the sums of a pass that measured.

    Args:
        lanes: which row of the weights is each model's (L,).
        fields: strengths and bounds, as in `jaxlr.streaming.models.Batch`.
    """
    n = len(frame.center)
    total = sums.total
    safe = jnp.where(total > 0, total, 1)[:, None]
    mean, square = sums.means[:, :n] / safe, sums.squares[:, :n] / safe
    variance = square - mean**2
    deviation = jnp.sqrt(jnp.where(variance <= _CONSTANT * square, 0, variance))
    location, scale = in_units((mean, deviation), frame.unit[None, :], fit_intercept)
    more = ((0, 0), (0, int(fit_intercept)))
    location, scale = jnp.pad(location, more)[lanes], jnp.pad(scale, more, constant_values=1)[lanes]

    def penalty(fields: dict[str, Array], deviation: Array | None) -> Any:
        given = {name: value for name, value in fields.items() if name not in ("l1", "l2")}
        problem = Problem(
            jnp.zeros((1, n)), jnp.zeros(1), l1=fields["l1"], l2=fields["l2"], fit_intercept=fit_intercept, **given
        )
        return penalty_of(working_problem(problem, working_of(frame), deviation)).padded(n + int(fit_intercept))

    measured = (deviation * frame.unit[None, :])[lanes] if standardize else None
    penalties = jax.vmap(penalty, in_axes=(0, None if measured is None else 0))(fields, measured)
    share = sums.classes / safe[lanes]
    rarity = jnp.min(jnp.where((share > 0) & (share < 1), 4 * share * (1 - share), 1), axis=1)
    return Model(penalties, location, scale, total[lanes], rarity, jnp.broadcast_to(sums.norm, rarity.shape))
