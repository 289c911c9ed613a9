"""The direction of ONE model with many columns: by the Hessian of rows in memory, bent to what passes have seen of their own.

    minimize  g . d + d' B d / 2 + kinks at x + d      g: gradient over all rows
    B_0 = c ((1 - a) S + a T) + diag(l2)               S: Hessian of the loss over the sampled rows, by its products

and B that of `jaxlr.streaming.secants` (BFGS from the Hessian of a sample: Byrd, Chin, Neveitt & Nocedal 2011, SIAM Journal on
Optimization 21). On a quadratic that is about the rate of conjugate gradients, preconditioned by B_0.

S over few rows is too long along its largest axes and 0 along most: it is shrunk to a target as far as its rows differ,

    a = (sum_i |S_i|^2 - |S|^2 / r) / |S - T|^2        S = sum_i S_i over r rows, norms of Frobenius
    T = diag(S), or b C (x) A' D A                     D: mean curvature of all models, where one pass summed that over all rows

(Ledoit & Wolf 2004, Journal of Multivariate Analysis 88; shrunk to diag(S): Schafer & Strimmer 2005, Statistical Applications
in Genetics and Molecular Biology 4). C is the mean curvature of the classes, b makes |S - T| least, and |S - T|^2 is the mean
of |(S - T) v|^2 over random signs v. So of one model T is its Hessian, and of many that differ S adds what is their own. The
quadratic is that of `jaxlr.solvers.quadratic_cg`, in float32: a direction need not be exact, and every column has a penalty
here, so that nothing can be separated.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.dot import aligned, dot, times
from jaxlr.model.curvature import Curvature
from jaxlr.model.likelihood import Likelihood
from jaxlr.solvers.damped import damping
from jaxlr.solvers.proximal import step_length
from jaxlr.solvers.quadratic_cg import State, direction_of, minimum, quadratic_at
from jaxlr.streaming.points import Here, Model
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.secants import Pairs, bent, longer_of, part_of

_LEFT = 0.03  # of the residual, that a direction may leave: the next pass leaves more
_MOST_PRODUCTS = 300  # of rows in memory, in one direction
_PROBES = 4
_ROUNDING = 16  # times eps, of the largest violation
_LARGEST = 1e30  # that float32 can hold, squared with care


def direction(
    x: Float[Array, "*B k"], here: Here, rows: Sample, pairs: Pairs, model: Model, tol: Array, likelihood: Likelihood
) -> tuple[Array, Array]:
    """The direction and its decrement.

    Args:
        rows: those of the sample, with weights (r,) and offsets of this model.
        pairs: what its passes have seen.
        likelihood: in the coordinates of x.
    """
    A, penalty, dtype = rows.A, model.penalty, rows.A.dtype
    offset = 0 if rows.offset is None else rows.offset.T
    z = times(A, likelihood.expand(x.astype(dtype))) + offset
    curvature = likelihood.curvature(z, rows.s)
    free, l1 = aligned(penalty.free, x), aligned(jnp.where(penalty.free, penalty.l1, 0), x)
    more = jnp.minimum(penalty.l2 + damping(here.kkt) * model.squares, _LARGEST).astype(dtype)
    more = jnp.broadcast_to(aligned(more, x), x.shape)
    diagonal = _diagonal(curvature.diagonal(), A, likelihood)

    def of_rows(p: Array) -> Array:
        return jnp.where(free, likelihood.reduce(dot(curvature.times(times(A, likelihood.expand(p))), A)), 0)

    target, target_diagonal = _target(rows.gram, curvature, diagonal, likelihood, len(A))
    a, b = _shrinkage(of_rows, target, curvature.diagonal(), A, free, x.shape, rows.gram is None)

    def of_loss(p: Array) -> Array:
        return (1 - a) * of_rows(p) + a * b * target(p)

    no_logits = jnp.zeros(1, dtype)  # nobody asks for their change
    seen = jax.lax.map(of_loss, pairs.s)
    longer = longer_of(seen, pairs, more)
    minus, plus = bent(longer * seen + more[None] * pairs.s, pairs)

    def at_first(p: Array) -> Array:
        return longer * of_loss(p) + more * p

    def product(p: Array) -> tuple[Array, Array]:
        return no_logits, jnp.where(free, at_first(p) - part_of(minus, p) + part_of(plus, p), 0)

    whole = longer * ((1 - a) * diagonal + a * b * target_diagonal) + more
    quadratic, largest = quadratic_at(x, here.g, product, whole, penalty, model.scale)
    enough = jnp.maximum(jnp.maximum(_LEFT * here.kkt, tol / 4) / largest, _ROUNDING * float(jnp.finfo(dtype).eps))
    enough = enough.astype(dtype)

    def goes_on(state: State) -> Array:
        return (state.num_products < _MOST_PRODUCTS) & (state.residual > enough)

    end = minimum(quadratic, no_logits, goes_on)
    d = direction_of(quadratic, end, x, largest, penalty)
    curved = largest**2 * jnp.sum(end.d.astype(x.dtype) * end.e.astype(x.dtype))
    side = jnp.where(x != 0, x, d)  # along d signs do not change but from 0 or to 0
    fall = -jnp.sum(jnp.where(free, here.g + l1 * jnp.sign(side), 0) * d) - curved / 2
    return d * step_length(fall, curved), jnp.sqrt(curved)


def _diagonal(curvatures: Float[Array, "*K r"], A: Float[Array, "r k"], likelihood: Likelihood) -> Float[Array, "*B k"]:
    """Of S; of contrasts the mean, which keeps the trace."""
    diagonal = dot(curvatures, A * A)
    if likelihood.coordinates == likelihood.classes:
        return diagonal
    count = likelihood.coordinates[0]
    return jnp.broadcast_to(jnp.sum(diagonal, axis=0)[None, :] / count, (count, A.shape[1]))


def _target(
    gram: Array | None, curvature: Curvature, diagonal: Float[Array, "*B k"], likelihood: Likelihood, r: int
) -> tuple[Callable[[Array], Array], Array]:
    """T / b by its products, and its diagonal."""
    if gram is None:
        return lambda p: diagonal * p, diagonal
    own = jnp.diagonal(gram)
    if not likelihood.classes:
        return lambda p: dot(p, gram), own
    each = jnp.broadcast_to(jnp.eye(likelihood.coordinates[0], dtype=gram.dtype)[:, :, None], (*likelihood.coordinates * 2, r))
    C = jax.lax.map(lambda e: jnp.sum(likelihood.reduce(curvature.times(likelihood.expand(e))), axis=1), each)
    C = (C + C.T) / 2
    return lambda p: dot(C, dot(p, gram)), jnp.diagonal(C)[:, None] * own[None, :]


def _shrinkage(
    of_rows: Callable[[Array], Array],
    target: Callable[[Array], Array],
    curvatures: Float[Array, "*K r"],
    A: Float[Array, "r k"],
    free: Array,
    shape: tuple[int, ...],
    as_it_is: bool,
) -> tuple[Array, Array]:
    """a and b; a row's part of several classes is taken for as large as its trace, which is more than its norm.

    Args:
        as_it_is: whether b is 1.
    """
    signs = jax.random.rademacher(jax.random.key(0), (_PROBES, *shape), A.dtype)

    def probe(v: Array) -> Array:
        v = jnp.where(free, v, 0)
        mine, its = of_rows(v), jnp.where(free, target(v), 0)
        return jnp.stack([jnp.sum(mine * mine), jnp.sum(mine * its), jnp.sum(its * its)])

    square, both, of_target = jnp.mean(jax.lax.map(probe, signs), axis=0)
    b = jnp.ones_like(both) if as_it_is else jnp.where((both > 0) & (of_target > 0), both / of_target, 1)
    apart = square - 2 * b * both + b**2 * of_target
    of_row = jnp.sum(curvatures.reshape(-1, len(A)), axis=0) * jnp.sum(A * A, axis=1)
    noise = jnp.maximum(jnp.sum(of_row**2) - square / len(A), 0)
    return jnp.where((noise < apart) & (square > 0), noise / jnp.where(apart > 0, apart, 1), 1), b
