"""The Cholesky factor of a matrix of many columns, of which the last few are in use: work follows how many these are.

    H = L L'        L_jj L_jj' = H_jj - sum_{i < j} L_ji L_ji'        L_rj = (H_rj - sum_{i < j} L_ri L_ji') L_jj^-T,  r > j

in blocks of 64 columns, from the first that holds one in use. (Golub & Van Loan, Matrix Computations (2013), section 4.2.5.)
All but the blocks of the diagonal are matrix products; LAPACK on all columns would start threads of its own on a CPU
(`jaxlr.linalg.cholesky`), and copies the factor for every solve.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg import cholesky
from jaxlr.linalg.dot import dot, times

_BLOCK = 64
_ONE = 127  # columns that are one block, left to LAPACK: from 128 on it starts threads


class Blocked(NamedTuple):
    """L (K, K), K >= k columns, the first ones filled up; the inverses of its diagonal blocks (K / 64, 64, 64), None where L
    is one block; and the first block in use."""

    L: Any
    inverses: Any
    first: Any


def nothing(k: int, dtype: Any) -> Blocked:
    """Of no matrix, in the shape of a factor.

    Args:
        k: columns.
        dtype: of the numbers.
    """
    if k <= _ONE:
        return Blocked(jnp.zeros((k, k), dtype), None, jnp.int32(0))
    count = -(-k // _BLOCK)
    return Blocked(jnp.zeros((count * _BLOCK,) * 2, dtype), jnp.zeros((count, _BLOCK, _BLOCK), dtype), jnp.int32(0))


def factor(H: Float[Array, "k k"], used: Array) -> Blocked:
    """Factor H; not finite where it is not positive definite.

    Args:
        H: symmetric; the identity in all columns but the last `used`.
        used: how many count, at least 1, an array, the same for all matrices side by side.
    """
    k, begin = len(H), nothing(len(H), H.dtype)
    if begin.inverses is None:
        return begin._replace(L=cholesky.cholesky(H))
    count, filled = len(begin.inverses), len(begin.L) - k
    H = jnp.where(np.diag(np.arange(k + filled) < filled), 1, jnp.pad(H, (filled, 0)))
    first = (count - -(-used // _BLOCK)).astype(np.int32)

    def of(A: Array, r: Array, j: Array) -> Array:
        return jax.lax.dynamic_slice(A, (r * _BLOCK, j * _BLOCK), (_BLOCK, _BLOCK))

    def put(L: Array, new: Array, r: Array, j: Array) -> Array:
        return jax.lax.dynamic_update_slice(L, new, (r * _BLOCK, j * _BLOCK))

    def rest(L: Array, r: Array, j: Array) -> Array:
        return jax.lax.fori_loop(first, j, lambda i, S: S - times(of(L, j, i), of(L, r, i)), of(H, r, j))

    def column(j: Array, F: Blocked) -> Blocked:
        own = cholesky.cholesky(rest(F.L, j, j))
        inverse = cholesky.inverse(own)

        def below(r: Array, L: Array) -> Array:
            return put(L, times(inverse, rest(L, r, j)), r, j)

        L = jax.lax.fori_loop(j + 1, np.int32(count), below, put(F.L, own, j, j))
        return F._replace(L=L, inverses=jax.lax.dynamic_update_index_in_dim(F.inverses, inverse, j, 0))

    return jax.lax.fori_loop(first, np.int32(count), column, begin._replace(first=first))


def solve(F: Blocked, b: Float[Array, " k"]) -> Float[Array, " k"]:
    """H^-1 b.

    Args:
        F: the factor of H (k, k).
        b: 0 where no column is in use.
    """
    if F.inverses is None:
        return cholesky.solve(F.L, cholesky.solve(F.L, b[:, None]), transposed=True)[:, 0]
    count, filled = len(F.inverses), len(F.L) - len(b)
    b = jnp.pad(b, (filled, 0))

    def at(x: Array, j: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, j * _BLOCK, _BLOCK)

    def forward(j: Array, x: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(x, dot(F.inverses[j], at(b, j) - dot(at(F.L, j), x)), j * _BLOCK, 0)

    half = jax.lax.fori_loop(F.first, np.int32(count), forward, jnp.zeros_like(b))

    def backward(i: Array, x: Array) -> Array:
        j = count - 1 - i
        below = jax.lax.dynamic_slice_in_dim(F.L, j * _BLOCK, _BLOCK, axis=1)
        return jax.lax.dynamic_update_slice_in_dim(x, dot(at(half, j) - dot(x, below), F.inverses[j]), j * _BLOCK, 0)

    return jax.lax.fori_loop(np.int32(0), count - F.first, backward, jnp.zeros_like(b))[filled:]
