"""Cholesky factors L L' = H and triangular solves, of one small matrix, to be mapped over many.

On a CPU JAX hands them to LAPACK, a batch in parts to the pool of threads, and waits on a thread of that pool. Where several
devices of one process share the pool, all of its threads can be waiting, for ever (jaxlib up to 0.10, seen with two devices on
two cores). There they are written out, a column at a time. So can two batches of one program that do not wait for each other,
on two cores: `once` makes them wait.

`inverse` is for many columns: given 8 right-hand sides or more, OpenBLAS starts threads of its own, and these wait for more
work so eagerly that they take a core away from everything else.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.linalg.dot import dot

_ROWS = 16  # of the blocks that are inverted a row at a time


def cholesky(H: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Factor a matrix, of which only the lower triangle is read; not finite where it is not positive definite."""
    if not _share_a_pool():
        return jnp.linalg.cholesky(H, symmetrize_input=False)
    k = H.shape[0]
    rows = jnp.arange(k, dtype=jnp.int32)

    def column(j: Array, L: Array) -> Array:
        rest = H[:, j] - jnp.sum(L * L[j][None, :], axis=1)
        return L.at[:, j].set(jnp.where(rows >= j, rest * jax.lax.rsqrt(rest[j]), 0))

    return jax.lax.fori_loop(0, k, column, jnp.zeros_like(H))


def solve(L: Float[Array, "k k"], b: Float[Array, "k r"], transposed: bool = False) -> Float[Array, "k r"]:
    """Solve L x = b, or L' x = b, of a lower triangle L."""
    if not _share_a_pool():
        return jax.scipy.linalg.solve_triangular(L, b, lower=True, trans=int(transposed))
    k = L.shape[0]

    def entry(i: Array, x: Array) -> Array:
        j = k - 1 - i if transposed else i
        row = L[:, j] if transposed else L[j]
        return x.at[j].set((b[j] - jnp.sum(row[:, None] * x, axis=0)) / L[j, j])

    return jax.lax.fori_loop(0, k, entry, jnp.zeros_like(b))


def once(known: Bool[Array, ""], value: Array) -> Array:
    """The value as it is, but not before a flag is known, which is True as far as anybody but the compiler can tell."""
    return jnp.where(known, value, jnp.nan)


def after(solved: Array, value: Array) -> Array:
    """The value as it is, but not before these numbers are known, none of which is over infinity. Where they are of each model
    and the value is not, it would be copied for each."""
    return once(~jnp.any(solved > jnp.inf), value)


def inverse(L: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Invert a lower triangle: small blocks of its diagonal a row at a time, all at once, then pairs of them.

    [A 0; B C] has the inverse [A^-1 0; -C^-1 B A^-1, C^-1].
    """
    k = L.shape[0]
    num_blocks = 1
    while num_blocks * _ROWS < k:
        num_blocks *= 2
    size = max(1, -(-k // num_blocks))
    filled = num_blocks * size - k
    L = jnp.where(np.pad(np.zeros((k, k), bool), (0, filled), constant_values=True), 0, jnp.pad(L, (0, filled)))
    L = jnp.where(np.diag(np.arange(k + filled) >= k), 1, L)

    def below(size: int, left: int) -> Array:
        """Blocks of this size: those of the diagonal, or of every second the one to its left."""
        at = np.arange(left, (k + filled) // size, 1 + left)
        blocks = L.reshape((k + filled) // size, size, (k + filled) // size, size)
        return blocks[at, :, at - left, :]

    diagonal = below(size, 0)
    unit = jnp.eye(size, dtype=L.dtype)

    def row(i: Array, x: Array) -> Array:
        left = jax.lax.dynamic_index_in_dim(diagonal, i, 1, keepdims=False)
        mine = jax.lax.dynamic_index_in_dim(left, i, 1)
        new = (unit[i][None, :] - jnp.einsum("bj,bji->bi", left, x, precision="highest")) / mine
        return jax.lax.dynamic_update_index_in_dim(x, new, i, 1)

    x = jax.lax.fori_loop(0, size, row, jnp.zeros_like(diagonal))
    while len(x) > 1:
        A, C = x[::2], x[1::2]
        B = -jnp.matmul(C, jnp.matmul(below(A.shape[1], 1), A, precision="highest"), precision="highest")
        upper = jnp.concatenate([A, jnp.zeros_like(A)], axis=2)
        x = jnp.concatenate([upper, jnp.concatenate([B, C], axis=2)], axis=1)
    return x[0, :k, :k]


def inverse_by_rows(L: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """The same, all of it a row at a time: a small program, for one small matrix."""
    k = L.shape[0]
    unit = jnp.eye(k, dtype=L.dtype)

    def row(i: Array, x: Array) -> Array:
        mine = L[i]
        return x.at[i].set((unit[i] - dot(mine, x)) / mine[i])

    return jax.lax.fori_loop(0, k, row, jnp.zeros_like(L))


def _share_a_pool() -> bool:
    return jax.default_backend() == "cpu" and jax.local_device_count() > 1


def in_own_units(
    H: Float[Array, "k k"], more: Float[Array, " k"], free: Bool[Array, " k"], jitter: Float[Array, ""]
) -> tuple[Float[Array, "k k"], Float[Array, " k"]]:
    """A Hessian in units where its diagonal is 1, to be factored; and the units s, 0 for what cannot move:
    H + diag(more) is about that divided by s s'.

    Args:
        more: what penalties and damping add to its diagonal.
        free: whether a parameter may move; the rows and columns of the others become those of the identity.
        jitter: added to the diagonal of 1, so that dependent columns leave it definite.
    """
    diagonal = np.arange(len(more))
    s = jnp.where(free, jax.lax.rsqrt(H[diagonal, diagonal] + more + least_curvature(H.dtype)), 0)
    return jnp.where(np.eye(len(more), dtype=bool), 1 + jitter, H * s[:, None] * s[None, :]), s


def least_curvature(dtype: jnp.dtype) -> float:
    """Under the diagonal of a Hessian: keeps what has no curvature left in this dtype, saturated rows, from dividing by 0, and
    steps from overflowing."""
    return float(jnp.finfo(dtype).tiny) ** 0.75


def inverse_root(H: Float[Array, "k k"], free: Bool[Array, " k"] | None = None, jitter: float = 0.0) -> Float[Array, "k k"]:
    """R with R' R = H^-1, the covariance of estimates whose information is H; NaN where H is singular as far as its dtype can
    tell, unless a jitter on its diagonal, in units where that is 1, makes it definite. What is not free has rows and columns of
    0."""
    k, limits = H.shape[0], jnp.finfo(H.dtype)
    none = jnp.zeros(k, H.dtype)
    free = jnp.ones(k, bool) if free is None else free
    scaled, s = in_own_units(H, none, free, jnp.asarray(jitter, H.dtype))
    L = cholesky(scaled)
    definite = jnp.all(~free | (jnp.diagonal(H) > jnp.sqrt(limits.tiny))) & (
        jnp.min(jnp.diagonal(L), initial=1) ** 2 > 64 * k * limits.eps
    )
    return jnp.where(definite, inverse(L) * s[None, :], jnp.nan)
