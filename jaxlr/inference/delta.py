"""The delta method: errors of functions f of an estimate, by their derivatives along the factor R of its covariance R' S R.

    V_f = (df R') S (df R')'        df R'_i = d/dt f(x + t R_i) at t = 0, by forward differentiation, a row of R at a time

R has as many rows as there are parameters, and every function that is asked for is one of logits, on rows A of any design, and
of coefficients on X: along R_i these move by A R_i and T R_i.

Oehlert 1992, American Statistician 46, section 2; Agresti, Categorical Data Analysis (2002), section 14.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.batching.loops import in_groups
from jaxlr.compilation.program import program
from jaxlr.inference.fitted import Fitted
from jaxlr.inference.meat import Errors
from jaxlr.inference.tails import log_normal_tails
from jaxlr.linalg.dot import dot

_MOST_NUMBERS = 2**24  # of the derivatives that stand side by side


class Effects(NamedTuple):
    """Estimates with their standard errors, tests of being 0, and intervals; all of one shape, the batch in front.

    Attributes:
        estimate: of the function.
        standard_error: by the delta method; NaN where a model is not CONVERGED, and where the data do not determine what is
            estimated.
        z: estimate / standard_error.
        p_value: P(|Z| > |z|).
        log_p: its natural logarithm, finite where p_value has underflowed.
        lower: ends of the intervals.
        upper: ends of the intervals.
    """

    estimate: Any
    standard_error: Any
    z: Any
    p_value: Any
    log_p: Any
    lower: Any
    upper: Any


@program()
def effects(estimate: Float[Array, "..."], error: Float[Array, "..."], reach: ArrayLike) -> Effects:
    """Tests and intervals of estimates; an error of 0, of what no parameter moves, tests nothing."""
    error = jnp.where(error >= 0, error, jnp.nan)
    z = jnp.where(error > 0, estimate / jnp.where(error > 0, error, 1), jnp.nan)
    log_p = log_normal_tails(z)
    return Effects(estimate, error, z, jnp.exp(log_p), log_p, estimate - reach * error, estimate + reach * error)


def derivatives(
    function: Callable[..., Float[Array, "*f"]],
    at: tuple[Float[Array, "*K _"], ...],
    rows: tuple[Float[Array, "_ k"], ...],
    model: Fitted,
    errors: Errors,
    numbers: int = 1,
) -> Float[Array, "p *f"]:
    """The derivatives of a function along the rows of R, forwards: for functions of many values.

    Args:
        function: of `at`.
        at: logits (*K, r) of rows; coefficients too, which are those of the rows `Fitted.determined`.
        rows: these rows in working coordinates.
        numbers: static; how many the function holds beside its arguments.
    """

    def along(root: Float[Array, "*B k"]) -> Float[Array, "*f"]:
        dx = model.system.likelihood.expand(root)
        return jax.jvp(function, at, tuple(dot(dx, own.T) for own in rows))[1]

    size = max(1, _MOST_NUMBERS // (numbers + sum(part.size for part in at)))
    return in_groups(jax.vmap(along), errors.root, size)


def pullbacks(
    function: Callable[..., Float[Array, "*K"]],
    at: tuple[Float[Array, "*K _"], ...],
    rows: tuple[Float[Array, "_ k"], ...],
    model: Fitted,
    errors: Errors,
) -> Float[Array, "p *K"]:
    """The same backwards, one pass over the rows for each value: for functions of one number, or one a class."""
    gradients = jax.jacrev(function, argnums=tuple(range(len(at))))(*at)
    slopes: Any = sum(dot(gradient, own) for gradient, own in zip(gradients, rows, strict=True))  # (*K, *K, k)
    reduce = model.system.likelihood.reduce
    slopes = jax.vmap(reduce)(slopes) if model.system.likelihood.classes else reduce(slopes)
    values = slopes.shape[: slopes.ndim - model.x.ndim]
    root = errors.root.reshape(len(errors.root), -1)
    return dot(root, slopes.reshape(-1, root.shape[1]).T).reshape(-1, *values)


def standard_error(along: Float[Array, "p *f"], errors: Errors) -> Float[Array, "*f"]:
    """Of functions whose derivatives along the rows of R these are; also where their squares have no place in the dtype."""
    size = jnp.max(jnp.abs(along), axis=0, initial=0)
    size = jnp.where(size > 0, size, 1)  # also where it is NaN, which its row keeps
    along = along / size[None]
    if errors.meat is None:
        return size * jnp.sqrt(jnp.sum(along**2, axis=0))
    by_function = along.reshape(len(along), -1).T
    return size * jnp.sqrt(jnp.sum(dot(by_function, errors.meat) * by_function, axis=1)).reshape(size.shape)
