"""What rounding of an orthonormal basis hides: a minimum is none where it depends on the last digits of the columns.

What is left of a column at a relative distance d from the others is known to about eps / d, so that the gradient along it is
known to

    e_j = error_j rms(r),        and the estimate to        H^-1 e        (first order, as a Newton step of that gradient).

That is little where rows are of both kinds everywhere, and without bound where the classes are all but separated: curvature
ends there, and the residual of the last digits stops a descent that would go on for ever.

An offset, a start or a bound far away may say of a row what no step has to say any more, and a long step may have said it.
Where such rows alone tell some direction of the columns apart, no curvature is left along it but the jitter of the factor, a
Newton step is 0 instead of 1, and nothing is known of the estimate, which may be infinite; nor is it where every row of a
column is saturated. Of v = A' (w margins) over these rows, that is the share of v (H + J)^-1 v that is due to J,

    v (H + J)^-1 J (H + J)^-1 v  >  eps^(5/16) v (H + J)^-1 v

where columns at the distance at which a basis begins to stand for them have a tenth of that. Rows that a step saturated leave
nothing but J, a share of 1; what rows of little weight have is seen by the steps, up to a tenth.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units, least_curvature
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dot import aligned
from jaxlr.results.status import Status
from jaxlr.solvers.damped import Solution
from jaxlr.solvers.system import System, mean_information

_MOST = 0.1  # of a logit, or of a step
_MOST_PARAMETERS = 4096  # of a Hessian that is formed for that
_FEW_PARAMETERS = 512  # of one that every fit without a penalty forms


def doubted(solution: Solution, system: System, errors: Float[Array, " k"]) -> Solution:
    """The same, STALLED instead of CONVERGED where a logit is not known to a tenth.

    Args:
        errors: of the columns of A, root mean squares.
    """
    if np.size(solution.params) > _MOST_PARAMETERS:
        return solution
    z = system.logits(solution.params)
    r = system.likelihood.residual(z, system.y)
    size = jnp.sqrt(jnp.sum(aligned(system.w, r) * r**2, axis=-1, keepdims=True))
    if system.likelihood.classes:
        size = size * (-1.0) ** np.arange(len(r))[:, None].astype(size.dtype)  # what all classes share moves no logit
    jitter = jnp.asarray(jnp.finfo(z.dtype).eps ** 0.75)
    free = jnp.broadcast_to(aligned(system.free, solution.params), solution.params.shape).ravel()
    H, s = in_own_units(mean_information(system, z), jnp.zeros(free.size, z.dtype), free, jitter)
    L = cholesky(H)
    step = solve_lower(L, (s * (size * aligned(errors, r)).ravel())[:, None])
    step = s * solve_lower(L, step, transposed=True)[:, 0]
    moved = system.likelihood.reach(system.A.times(step.reshape(solution.params.shape)))
    doubtful = (solution.status == Status.CONVERGED) & ~(system.largest(moved) <= _MOST)
    return solution._replace(status=jnp.where(doubtful, Status.STALLED, solution.status).astype(jnp.int32))


def hidden(solution: Solution, system: System, settled: bool) -> Solution:
    """The same, STALLED instead of CONVERGED where saturated rows are all that tells a direction apart.

    Args:
        settled: whether they may have been saturated from the start; else by a step, and nothing is left of their curvature.
    """
    x = solution.params
    if system.coercive or system.sets is not None or np.size(x) > most_parameters(settled):
        return solution
    z = system.logits(x)
    eps, r = float(jnp.finfo(z.dtype).eps), system.likelihood.residual(z, system.y)
    wanted = jnp.where(jnp.abs(r) < eps**0.25, system.likelihood.margins(system.y), 0)
    moves = (aligned(system.free, x) & ~system.penalty.like(x).rests(x)).ravel()
    most = eps ** (5 / 16) if settled else _MOST

    def looked(_: Array) -> tuple[Array, Array]:
        v = system.A.transposed_times(aligned(system.w, wanted) * wanted).ravel()
        jitter = jnp.asarray(eps**0.75, z.dtype)
        information, flat = mean_information(system, z), jnp.bool_(False)
        if settled:
            saturated = jnp.diagonal(information) <= 1e3 * least_curvature(z.dtype)
            flat = jnp.any(moves & saturated & (jnp.diagonal(mean_information(system, jnp.zeros_like(z))) > 0))
        H, s = in_own_units(information, jnp.zeros(v.size, z.dtype), moves, jitter)
        L = cholesky(H)
        half = solve_lower(L, (s * v)[:, None])
        step = solve_lower(L, half, transposed=True)
        return flat | ~(jitter * jnp.sum(step**2) <= most * jnp.sum(half**2)), jnp.bool_(False)

    # A loop of one step: under vmap of none where no model asks for it.
    some = settled | jnp.any(aligned(system.w, wanted) * wanted != 0)
    asked = (solution.status == Status.CONVERGED) & ~system.penalized & some
    unknown, _ = jax.lax.while_loop(lambda at: at[1], lambda at: looked(at[0]), (jnp.bool_(False), asked))
    status = jnp.where(asked & unknown, Status.STALLED, solution.status)
    return solution._replace(status=status.astype(jnp.int32))


def most_parameters(settled: bool) -> int:
    """Of models that `hidden` forms a Hessian for."""
    return _MOST_PARAMETERS if settled else _FEW_PARAMETERS
