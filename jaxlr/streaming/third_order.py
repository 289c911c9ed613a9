"""The first step of ONE model, third order: what Newton's leaves is known from the sampled rows.

    gradient(x + d) = g + H d + T(d),    T(d) = sum_i s_i (r(z_i + dz_i) - r(z_i) - W(z_i) dz_i) A_i
    d <- that of the gradient g + T(d)

T is of the order of dz^2. Over r sampled rows it is right to some 1 / sqrt(r), so that of an error of 0.1 logits, which their
minimum has, about 1e-4 is left where Newton's step leaves 1e-3, and a pass is saved. With the T of all rows this is the method
of Chebyshev (Traub, Iterative Methods for the Solution of Equations, 1964, section 5.2). What a step without a look may be
(`jaxlr.solvers.damped`) is proved of Newton's direction alone; of this one the next pass sees where it ends.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned, dot, times
from jaxlr.model.likelihood import Likelihood
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.directions import How, direction
from jaxlr.streaming.points import Model, point
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.states import State
from jaxlr.streaming.sums import Sums

_LEAST = 0.5  # of what Newton's direction promises, that J begins to fall by along the new one


def corrected(x: Float[Array, "*B k"], state: State, sums: Sums, model: Model, rows: Sample, tol: Array, how: How) -> State:
    """A model after its first direction, with a better one.

    Args:
        x: where the sums are of.
        rows: the sample, with weights (r,) and offsets of this model.
    """
    here, penalty = point(x, sums, model, how.likelihood, how.n), model.penalty
    more = jnp.where(aligned(penalty.free, x), _remainder(x, state.d, rows, how.likelihood), 0)
    found = direction(x, here._replace(g=here.g + more), None, None, model, tol, how)
    fall = -jnp.sum(here.g * found.d + penalty.growth(x, x + found.d))
    first = (state.status == RUNNING) & (state.num_steps == 1) & (state.length == 1)
    better = first & (fall >= _LEAST * state.decrement**2)
    d = jnp.where(better, found.d, state.d)
    return state._replace(
        d=d, error=jnp.where(better, found.error, state.error), x=jnp.where(first, penalty.moved(state.origin, d), state.x)
    )


def _remainder(x: Float[Array, "*B k"], d: Float[Array, "*B k"], rows: Sample, likelihood: Likelihood) -> Float[Array, "*B k"]:
    """T(d); the label of a row is in none of its parts."""
    dtype = rows.A.dtype
    z, dz = (times(rows.A, likelihood.expand(part.astype(dtype))) for part in (x, d))
    z = z if rows.offset is None else z + rows.offset.T
    zero = jnp.zeros(len(rows.A), dtype)
    change = jax.lax.optimization_barrier(likelihood.residual(z + dz, zero) - likelihood.residual(z, zero))
    left = aligned(rows.s, change) * change - likelihood.curvature(z, rows.s).times(dz)
    return likelihood.reduce(dot(left, rows.A)).astype(x.dtype)
