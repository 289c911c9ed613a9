"""Linear systems with the Hessian at a minimum, by conjugate gradients: what derivatives of a fit need.

    H x = b,    H = Q' A' W A Q + diag(lambda)

preconditioned by the factored Hessian itself (a step or two), or as `newton_cg` is, or by the diagonal on the support of very
many columns, or, for more columns than rows, in the span of the rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.linalg.cholesky import cholesky, in_own_units
from jaxlr.linalg.cholesky import solve as solve_lower
from jaxlr.linalg.dense import Dense
from jaxlr.linalg.dot import aligned, dot, times
from jaxlr.linalg.operators import Design
from jaxlr.model.likelihood import Likelihood, alike
from jaxlr.model.norms import NormCurvature
from jaxlr.solvers.newton_cg import STIFF
from jaxlr.solvers.working import Working


class Hessian(NamedTuple):
    """H in parts.

    Attributes:
        A: design (m, k).
        likelihood: static, with its coordinates.
        curvature: W, of the losses.
        strength: lambda (k,).
        unpenalized: which columns have no penalty at all (k,).
        free: whether a coefficient may move, of the shape of x; what is held at 0 has the identity.
        norms: the curvature of those of groups; None where there are none.
    """

    A: Design
    likelihood: Likelihood
    curvature: Any
    strength: Array
    unpenalized: Array
    free: Array
    norms: NormCurvature | None = None

    def times(self, v: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
        """H v, with a curvature along what changes no logit and has no penalty."""
        held = jnp.where(self.free, v, 0)
        dz = self.A.times(self.likelihood.expand(held))
        moved = self.likelihood.reduce(self.A.transposed_times(self.curvature.times(dz))) + aligned(self.strength, v) * held
        if self.norms is not None:
            moved = moved + self.norms.times(held)
        moved = self.likelihood.add_sums(moved, held, jnp.where(self.unpenalized, self.scale(), 0))
        return jnp.where(self.free, moved, v)

    def scale(self) -> Float[Array, ""]:
        """The mean curvature of a logit, mean squares of the working columns being about 1."""
        return jnp.sum(self.curvature.diagonal())

    def conjugate_gradients(self, b: Float[Array, "*B k"], precondition: Callable[[Array], Array]) -> Float[Array, "*B k"]:
        """H^-1 b. Far below the tolerance, what is left of b is rounding, also along directions that H does not resolve."""
        enough = float(jnp.finfo(b.dtype).eps ** 0.75)
        return jax.scipy.sparse.linalg.cg(self.times, b, tol=enough, M=precondition)[0]


def _factored(working: Working, hessian: Hessian, b: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
    likelihood, jitter = hessian.likelihood, jnp.asarray(jnp.finfo(b.dtype).eps ** 0.75)
    H = likelihood.assemble(working.A.gram(hessian.curvature.pairs()))
    H = likelihood.with_sums(H, hessian.unpenalized)
    if hessian.norms is not None:
        H = H + hessian.norms.matrix()
    strength = alike(hessian.strength, b)
    # A column of zeros, as a constant one is beside an intercept, has nothing to move, and the rounding of b no step.
    moves = hessian.free.ravel() & (jnp.diagonal(H) + strength > 0)
    H, s = in_own_units(H, strength, moves, jitter)
    L = cholesky(H)

    def precondition(r: Array) -> Array:
        y = solve_lower(L, solve_lower(L, (s * r.ravel())[:, None]), transposed=True)[:, 0]
        return jnp.where(hessian.free, (s * y).reshape(r.shape), r)

    return hessian.conjugate_gradients(b, precondition)


def _preconditioned(working: Working, hessian: Hessian, b: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
    likelihood, dtype, d = hessian.likelihood, working.aid.dtype, hessian.curvature.diagonal()
    inverse, strength = working.aid.for_model(d, hessian.strength, len(working.unit)), aligned(hessian.strength, b)
    stiff = strength > STIFF  # nothing else counts there, nor fits into float32

    def precondition(r: Array) -> Array:
        soft = likelihood.reduce(inverse(likelihood.expand(jnp.where(stiff, 0, r).astype(dtype)))).astype(r.dtype)
        return jnp.where(hessian.free, jnp.where(stiff, r / jnp.where(stiff, strength, 1), soft), 0)

    return hessian.conjugate_gradients(b, precondition)


def _diagonal(working: Working, hessian: Hessian, b: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
    squares = working.A.squares_times(hessian.curvature.diagonal()) + aligned(hessian.strength, b)
    if hessian.norms is not None:
        squares = squares + hessian.norms.diagonal()
    return hessian.conjugate_gradients(b, lambda r: jnp.where(hessian.free, r / squares, r))


def _in_span(working: Working, hessian: Hessian, b: Float[Array, "*B k"]) -> Float[Array, "*B k"]:
    """For more columns than rows and one l2 for all: m equations, in the singular vectors of the centered X.

    Across the span of the rows H is l2 alone; along it, l2 + mean(d) S^2 preconditions.
    """
    unit, n, eps = working.unit, len(working.unit), jnp.finfo(b.dtype).eps
    A, l2 = working.A.to_array(), hessian.strength[0] * unit[0] ** 2
    X = A[:, :n] * unit[None, :]
    _, S, V = jnp.linalg.svd(X, full_matrices=False)
    small = jnp.concatenate([dot(X, V.T), A[:, n:]], axis=1)
    k = small.shape[1]
    strength = jnp.pad(jnp.full_like(S, l2), (0, k - len(S)))
    free = jnp.ones((*b.shape[:-1], k), bool)
    within = hessian._replace(A=Dense(small), strength=strength, unpenalized=strength == 0, free=free)
    diagonal = hessian.scale() * jnp.append(jnp.maximum(S**2 / len(X), eps * S[0] ** 2), 1)[:k] + strength
    right = b[..., :n] * aligned(unit, b)
    along = times(V, right)
    across = right - dot(along, V)
    across = across - dot(times(V, across), V)
    v = within.conjugate_gradients(jnp.concatenate([along, b[..., n:]], axis=-1), lambda r: r / aligned(diagonal, r))
    x = dot(v[..., : len(S)], V) + jnp.where(l2 > 0, across / jnp.where(l2 > 0, l2, 1), 0)
    return jnp.concatenate([x * aligned(unit, x), v[..., len(S) :]], axis=-1)


SOLVES = {"factored": _factored, "preconditioned": _preconditioned, "diagonal": _diagonal, "span": _in_span}
