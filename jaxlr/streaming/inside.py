"""Working columns of a stream: Hessians are summed over the few columns that count, the gradient over all of them.

A model with kinks rests at 0, or at a bound, in most of many columns. A pass sums at x the gradient of all columns and the
Hessian of those inside, a set that all models share; the step is Newton's on it, with the others where they are, and

    urgency_j = inf where a coefficient of column j is at no kink, else slack_j, the largest of all models

with the slack of `jaxlr.model.penalty`, in units of the KKT residual, says which columns are inside in the next pass: those in
use, those that violate their conditions, and of the others the nearest to it, as far as there is room. No column is screened
out: a model is CONVERGED when the gradient of a pass shows it for all. So steps and sets settle in the same passes: five to
eight are usual from the minimum over a sample. (Working sets: Massias,
Gramfort & Salmon 2018, Proceedings of Machine Learning Research 80 (celer), section 3; in memory `jaxlr.solvers.working_set`.
Proximal Newton steps: `jaxlr.solvers.proximal`.)
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned
from jaxlr.streaming.points import Here, Model

_LEAST = 128  # columns inside
_WORTH = 64  # times n, products a row of a Hessian: some 16 times what logits and gradients take, for half the passes
_HESSIANS = 2**30  # bytes that those of all models may take, with their sums


class Inside(NamedTuple):
    """Columns (c,), in their order, the intercept last where there is one."""

    columns: Any


def most_inside(lanes: int, pairs: int, n: int) -> int:
    """How many columns may be inside: what there is room for, and worth its work.

    Args:
        lanes: models.
        pairs: of coordinates of their classes.
        n: columns of X.
    """
    return min(math.isqrt(_HESSIANS // (8 * lanes * pairs * 4)), max(math.isqrt(_WORTH * n), _LEAST), n)


def overflows(urgency: np.ndarray, most: int) -> bool:
    """Whether more columns are in use than there is room for, beside an eighth for those that come in."""
    n = len(urgency)
    return most < min(_LEAST, n) or bool(np.sum(urgency == np.inf) > most - (most // 8 if most < n else 0))


def chosen(urgency: np.ndarray, most: int, fit_intercept: bool) -> Inside:
    """The most urgent columns: one of few sizes, so that few programs are compiled.

    Args:
        urgency: of all columns (n,).
        most: columns that there is room for.
    """
    n, used = len(urgency), int(np.sum(urgency == np.inf))
    violating = int(np.sum(urgency > 0)) - used
    wanted = used + used // 8 + min(violating, used + _LEAST)
    size = min(max(_LEAST, 2 ** int(np.ceil(np.log2(max(wanted, 1))))), most)
    columns = np.sort(np.argsort(-urgency, kind="stable")[:size])
    return Inside(np.concatenate([columns, np.arange(n, n + int(fit_intercept))]).astype(np.int32))


def urgency_of(x: Float[Array, "*K k"], here: Here, model: Model, runs: Array, n: int) -> Float[Array, " n"]:
    """Of the columns to one model.

    Args:
        x: where the next pass sums.
        here: what this one has found.
        runs: whether the model does not end here.
    """
    penalty = model.penalty
    slack = (penalty.slack(here.u, x) / aligned(model.scale, x))[..., :n]
    in_use = ~penalty.like(x).rests(x)[..., :n]
    urgency = jnp.where(in_use, jnp.inf, slack) if x.ndim == 1 else jnp.max(jnp.where(in_use, jnp.inf, slack), axis=0)
    movable = penalty.free[:n] & runs
    return jnp.where(movable & ~jnp.isnan(urgency), urgency, -jnp.inf)


def restricted(x: Float[Array, "*B k"], here: Here, model: Model, inside: Inside) -> tuple[Array, Here, Model]:
    """The model on the columns inside."""
    at = inside.columns
    some = Model(
        penalty=model.penalty.of(at, np.zeros(len(at), bool)),
        location=model.location[at],
        scale=model.scale[at],
        total=model.total,
        rarity=model.rarity,
        norm=model.norm,
    )
    return x[..., at], here._replace(g=here.g[..., at]), some


def spread(d: Float[Array, "*B c"], inside: Inside, k: int) -> Float[Array, "*B k"]:
    """A direction on the columns inside, as one on all."""
    return jnp.zeros((*d.shape[:-1], k), d.dtype).at[..., inside.columns].set(d)
