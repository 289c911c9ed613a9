"""Cholesky factors L L' = H and triangular solves, of one small matrix, to be mapped over many.

On a CPU JAX hands them to LAPACK, a batch in parts to the pool of threads, and waits on a thread of that pool. Where several
devices of one process share the pool, all of its threads can be waiting, for ever (jaxlib up to 0.10, seen with two devices on
two cores). There they are written out, a column at a time.

`inverse` is for many columns: given 8 right-hand sides or more, OpenBLAS starts threads of its own, and these wait for more
work so eagerly that they take a core away from everything else.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cholesky(H: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Factor a matrix.

    Args:
        H: symmetric, positive definite; only its lower triangle is read.

    Returns:
        L, lower triangular; not finite where H is not definite.
    """
    if not _share_a_pool():
        return jnp.linalg.cholesky(H, symmetrize_input=False)
    k = H.shape[0]
    rows = jnp.arange(k, dtype=jnp.int32)

    def column(j: Array, L: Array) -> Array:
        rest = H[:, j] - jnp.sum(L * L[j][None, :], axis=1)
        return L.at[:, j].set(jnp.where(rows >= j, rest * jax.lax.rsqrt(rest[j]), 0))

    return jax.lax.fori_loop(0, k, column, jnp.zeros_like(H))


def solve(L: Float[Array, "k k"], b: Float[Array, "k r"], transposed: bool = False) -> Float[Array, "k r"]:
    """Solve L x = b, or L' x = b.

    Args:
        L: lower triangular.
        b: right-hand sides.
        transposed: static.

    Returns:
        x (k, r).
    """
    if not _share_a_pool():
        return jax.scipy.linalg.solve_triangular(L, b, lower=True, trans=int(transposed))
    k = L.shape[0]

    def entry(i: Array, x: Array) -> Array:
        j = k - 1 - i if transposed else i
        row = L[:, j] if transposed else L[j]
        return x.at[j].set((b[j] - jnp.sum(row[:, None] * x, axis=0)) / L[j, j])

    return jax.lax.fori_loop(0, k, entry, jnp.zeros_like(b))


def inverse(L: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Invert a triangular factor, a row at a time.

    Args:
        L: lower triangular.

    Returns:
        L^-1, lower triangular.
    """
    k = L.shape[0]
    unit = jnp.eye(k, dtype=L.dtype)

    def row(i: Array, x: Array) -> Array:
        return x.at[i].set((unit[i] - jnp.dot(L[i], x, precision="highest")) / L[i, i])

    return jax.lax.fori_loop(0, k, row, jnp.zeros_like(L))


def _share_a_pool() -> bool:
    return jax.default_backend() == "cpu" and jax.local_device_count() > 1
