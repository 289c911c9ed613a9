"""The conditional likelihood of matched sets: which rows of a stratum are its d cases, given that there are d.

    J_s = log e_d(exp(z_i), i in s) - sum_{i a case} z_i           e_d the elementary symmetric function of degree d
    J   = sum_s w_s J_s          w_s the weight of one of its rows, which all have the same

(Breslow & Day, Statistical Methods in Cancer Research 1, 1980, chapter 7.) Constants within a stratum cancel, and there is no
intercept. One pass over the rows takes every sum, with the recursion e_k <- e_k + exp(z) e_{k-1} of Gail, Lubin & Rubinstein
1981, Biometrika 68, divided through so that nothing overflows and nothing cancels. After some rows, for each k <= d, of all
ways to choose k of them with probabilities in proportion to exp(sum of z):

    rho_k   log e_k / e_{k-1}
    M_k     mean of the sum of x over the rows chosen
    C_k     covariance of that sum

and for the next row, with logit z, of which q_k = sigmoid(z - rho_k) is the chance that it is among k chosen of all of them,

    D_k   = M_{k-1} + x - M_k
    rho_k <- log(exp(rho_k) + exp(z)) - log(1 + exp(z - rho_{k-1}))
    M_k   <- (1 - q_k) M_k + q_k (M_{k-1} + x)
    C_k   <- (1 - q_k) C_k + q_k C_{k-1} + q_k (1 - q_k) D_k D_k'

means and covariances of mixtures. Errors of rho do not grow: 0 <= q_{k-1} <= q_k, since rho_k falls with k (Newton's
inequalities), so that an error is at most the mean of two before it, and rounding. The cases themselves are one way to choose,
c of them among the rows so far, and its chance is a product; hence losses and slopes of logits z - rho_c, as those of rows by
themselves,

    J_s = sum_i l(z_i - rho_c, y_i)        dJ_s/dcoef = sum_i r(z_i - rho_c, y_i) D_c        d2J_s/dcoef2 = C_d

where each loss is >= 0 and each residual right to its last digits. With more cases than controls these are chosen, z -> -z.
Along a change dz of the logits J_s is quasi-self-concordant, |J'''| <= R J'' (`jaxlr.model.likelihood`), with R the d largest
dz of a stratum less the d smallest: what the sum of dz over a choice varies by.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.linalg.dot import dot
from jaxlr.model import logistic
from jaxlr.model.problem import Problem, design, row_weights
from jaxlr.model.strata import Strata, at_once


class Block(NamedTuple):
    """Strata of similar size, of one model: S of them, with r rows and at most D cases. The strata are the last axis, for each
    step of the recursion is the same in all of them.

    Attributes:
        rows: which these are (r, S), any where there is none.
        there: whether there is one, with weight (r, S).
        cases: 1 or 0 (r, S); of the controls, where these are fewer.
        sign: -1 where they are (S,), else 1.
        x: columns of the rows times sign (r, k, S).
        d: how many cases (S,).
        size: how many rows that are there (S,).
        w: weight of a row (S,).
        most: D, static.
    """

    rows: Array
    there: Array
    cases: Array
    sign: Array
    x: Array
    d: Array
    size: Array
    w: Array
    most: int

    def signed(self, z: Float[Array, " m"]) -> Float[Array, "r S"]:
        """Numbers of all rows at those of the block; 0 where there is none."""
        return jnp.where(self.there, z[self.rows], 0) * self.sign[None, :]


class Matched(NamedTuple):
    """The strata of one model, and its columns there."""

    blocks: tuple[Block, ...]

    def loss(self, z: Float[Array, " m"]) -> Float[Array, ""]:
        """J at logits z of the rows."""
        return sum((dot(b.w, _sums(b, b.signed(z), 0).loss) for b in self.blocks), jnp.zeros((), z.dtype))

    def slope(self, z: Float[Array, " m"], k: int) -> Float[Array, " k"]:
        """Gradient of J in the coefficients of the k columns."""
        return sum((dot(_sums(b, b.signed(z), 1).slope, b.w) for b in self.blocks), jnp.zeros(k, z.dtype))

    def information(self, z: Float[Array, " m"], k: int) -> Float[Array, "k k"]:
        """Hessian of J in the coefficients of the k columns."""
        return sum((_information(b, b.signed(z)) for b in self.blocks), jnp.zeros((k, k), z.dtype))

    def reach(self, dz: Float[Array, " m"]) -> Float[Array, ""]:
        """R of a change of the logits."""
        return jnp.max(jnp.stack([jnp.zeros((), dz.dtype), *(_range(b, b.signed(dz)) for b in self.blocks)]))

    @property
    def rarity(self) -> Any:
        """4 d (r - d) / r^2, the mean of all rows: in (0, 1], the scale of gradient and curvature at the minimum."""
        return 4 * sum(jnp.sum(b.w * b.d * (b.size - b.d) / jnp.maximum(b.size, 1)) for b in self.blocks)

    @property
    def num_cases(self) -> Any:
        """Weight of the cases, those of strata that have controls too."""
        return sum(jnp.sum(jnp.where(b.d == 0, 0, b.w * jnp.where(b.sign > 0, b.d, b.size - b.d))) for b in self.blocks)


def matched(strata: Strata, A: Float[Array, "m k"], y: Float[Array, " m"], w: Float[Array, " m"]) -> Matched:
    """The strata of one model.

    Args:
        strata: of all rows.
        A: its columns, about their means within strata.
        y: labels, 0 or 1; others make everything NaN.
        w: weights of the rows, those of a stratum 0 or the same; others make everything NaN.
    """
    strata.check(len(y))
    y = jnp.where((y == 0) | (y == 1), y, jnp.nan)
    return Matched(tuple(_block(*parts, A, y, w) for parts in zip(strata.blocks, strata.most, strict=True)))


def _block(rows: Any, most: int, A: Float[Array, "m k"], y: Float[Array, " m"], w: Float[Array, " m"]) -> Block:
    rows = jnp.asarray(rows).T
    there, rows = rows >= 0, jnp.maximum(rows, 0)
    own = w[rows]
    there &= ~(own == 0)  # a NaN is there
    weight = jnp.max(jnp.where(there, own, 0), axis=0)
    same = jnp.all(~there | (own == weight[None, :]), axis=0)
    cases = jnp.where(there, y[rows], 0)
    d, size = jnp.sum(cases, axis=0), jnp.sum(there, axis=0).astype(y.dtype)
    turned = 2 * d > size
    sign = jnp.where(turned, -1, 1).astype(y.dtype)
    cases = jnp.where(there & turned[None, :], 1 - cases, cases)
    x = jnp.where(there[:, None, :], jnp.swapaxes(A[rows], 1, 2), 0) * sign[None, None, :]
    d, w = jnp.where(turned, size - d, d), jnp.where(same, weight, jnp.nan)
    return Block(rows, there, cases, sign, x, d, size, w, most)


def matched_of(problem: Problem) -> Matched:
    """The strata of a problem, whose X is about its means within them (`within_strata`)."""
    A = design(problem).to_array()
    return matched(problem.strata, A, jnp.asarray(problem.y, A.dtype), row_weights(problem))


class _Sums(NamedTuple):
    rho: Array  # (D, S), for k = 1..D
    chosen: Array  # c (S,)
    loss: Array  # (S,)
    M: Any = None  # (k, D, S)
    slope: Any = None  # (k, S)
    C: Any = None  # (pairs, D, S), the upper triangle


def _sums(block: Block, z: Float[Array, "r S"], order: int) -> _Sums:
    """All that one pass over the rows takes: losses; of order 1 slopes too; of order 2 covariances too, but no slopes."""
    (_, k, S), D, dtype = block.x.shape, block.most, z.dtype
    never = float(jnp.finfo(dtype).max) / 4  # so many cannot be chosen yet: the logarithm of 0, without infinities
    number, (i, j) = jnp.arange(1, D + 1, dtype=dtype)[:, None], np.triu_indices(k)

    def before(values: Array) -> Array:
        """Values of k - 1, 0 for k = 1."""
        return jnp.pad(values[..., :-1, :], [(0, 0)] * (values.ndim - 2) + [(1, 0), (0, 0)])

    def row(sums: _Sums, own: tuple[Array, ...]) -> tuple[_Sums, None]:
        z, x, case, there = own
        t = z[None, :] - sums.rho
        more, less = (logistic.logistic_loss(t, jnp.full_like(t, label)) for label in (0, 1))  # log(1 + exp(t)), of -t
        rho = jnp.where(t > 0, z[None, :] + less, sums.rho + more) - before(more)
        chosen = sums.chosen + case
        here = number == chosen[None, :]
        t_c = jnp.sum(jnp.where(here, t, 0), axis=0)
        counts = there & (chosen > 0)
        new = sums._replace(
            rho=jnp.where(there[None, :], rho, sums.rho),
            chosen=chosen,
            loss=sums.loss + jnp.where(counts, logistic.logistic_loss(t_c, case), 0 * chosen),
        )
        if not order:
            return new, None
        chance, rest = logistic.residual(t, jnp.zeros_like(t)), -logistic.residual(t, jnp.ones_like(t))  # of one exponential
        q, p = jnp.where(there[None, :], chance, 0)[None], jnp.where(there[None, :], rest, 1)[None]
        with_x = before(sums.M) + x[:, None, :]
        change = with_x - sums.M
        new = new._replace(M=p * sums.M + q * with_x)
        if order == 1:
            r_c = jnp.where(counts, logistic.residual(t_c, case), 0 * chosen)
            return new._replace(slope=sums.slope + r_c[None, :] * jnp.sum(jnp.where(here[None], change, 0), axis=1)), None
        return new._replace(C=p * sums.C + q * before(sums.C) + q * p * change[i] * change[j]), None

    none = jnp.zeros(S, dtype)
    start = _Sums(jnp.full((D, S), -never, dtype), none, none)
    if order:
        start = start._replace(M=jnp.zeros((k, D, S), dtype), slope=jnp.zeros((k, S), dtype) if order == 1 else None)
    if order == 2:
        start = start._replace(C=jnp.zeros((len(i), D, S), dtype))
    return jax.lax.scan(row, start, (z, block.x, block.cases, block.there))[0]


def _information(block: Block, z: Float[Array, "r S"]) -> Float[Array, "k k"]:
    """The weighted sum of the covariances of all strata, some of them at a time."""

    def of(some: tuple[Block, Array]) -> Array:
        block, z = some
        C = _sums(block._replace(most=most), z, 2).C
        here = jnp.arange(1, most + 1, dtype=z.dtype)[:, None] == block.d[None, :]
        return dot(C.reshape(len(C), here.size), jnp.where(here, block.w[None, :], 0).ravel())

    most, (_, k, S) = block.most, block.x.shape
    (i, j), size = np.triu_indices(k), at_once(most, k)
    groups = -(-S // size)
    if groups == 1:
        pairs = of((block, z))
    else:
        size = -(-S // groups)

        def grouped(leaf: Array) -> Array:
            filled = jnp.pad(leaf, [(0, 0)] * (leaf.ndim - 1) + [(0, groups * size - S)])
            return jnp.moveaxis(filled.reshape(*leaf.shape[:-1], groups, size), -2, 0)

        pairs = jnp.sum(jax.lax.map(of, jax.tree.map(grouped, (block._replace(most=None), z))), axis=0)
    return jnp.zeros((k, k), z.dtype).at[i, j].set(pairs).at[j, i].set(pairs)


def _range(block: Block, dz: Float[Array, "r S"]) -> Float[Array, ""]:
    """The largest R of the strata that have a case and a control."""
    low, high = (jnp.where(block.there, dz, end) for end in (jnp.inf, -jnp.inf))
    if block.most > 1:
        low, high = jnp.sort(low, axis=0), -jnp.sort(-high, axis=0)
        first = jnp.arange(len(dz), dtype=dz.dtype)[:, None] < block.d[None, :]
        R = jnp.sum(jnp.where(first, high - low, 0), axis=0)
    else:
        R = jnp.max(high, axis=0) - jnp.min(low, axis=0)
    return jnp.max(jnp.where((block.d > 0) & ~(block.w == 0), R, 0))
