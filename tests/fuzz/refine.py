"""From the parameters that were handed back to the minimum: Newton's method in 80-bit arithmetic on what is free to move.

    held       a coefficient at 0 under l1, at a bound, in a group that is 0, or one that comes to such a kink on a step
    step       whole where that decreases J; else log(1 + R) / R of it, R the largest change of a logit, which is sure to
    found      where a step moves no logit by more than 1e-9 of the largest: the next one would by the square of that

Columns without penalty and bounds are centered and made orthonormal (Gram and Schmidt, twice): those at a distance of 1e-9 cost
9 of 19 digits there, and none afterwards. Logits are carried along, so that no coefficient of theirs is ever needed.

What is held stays so: J is no less there than its minimum over all coefficients, and a check against it weaker, not wrong.
"""

from typing import NamedTuple

import numpy as np

from tests.fuzz.exact import LONG, Model, logits, objective, probabilities, take, units

_STEPS = 400
_FOUND = 1e-9
_JITTER = 1e-16  # over the rounding of 35 parameters
_DEPENDENT = 32  # roundings of the columns: less than that is what was rounded, and no column of its own


class Minimum(NamedTuple):
    """Where Newton's method ended.

    Attributes:
        z: logits (B, c, m).
        coef: coefficients of the columns with penalty or bounds (B, c, n), 0 for the others.
        found: whether it is the minimum (B,).
        move: the largest change of a logit by the last step (B,).
    """

    z: np.ndarray
    coef: np.ndarray
    found: np.ndarray
    move: np.ndarray


def refine(model: Model, coef: np.ndarray, intercept: np.ndarray) -> Minimum:
    """The minima of a batch, from finite parameters (B, c, n) and (B, c) in 80-bit arithmetic."""
    A, loose = basis_of(model)
    z, coef = logits(model, coef, intercept), np.where(loose[:, None], 0, coef)
    held = _resting(model, coef)
    found, move = np.zeros(len(z), bool), np.full(len(z), np.inf)
    left = np.arange(len(z))
    for _ in range(_STEPS):
        own = take(model, left)
        dx, dz = _step(own, A[left], z[left], coef[left], held[left])
        reach = np.minimum(reach_of(dz), 1e300)
        length = np.where(reach > 1, np.log1p(reach) / np.where(reach > 1, reach, 1), 1)
        dx = np.where(loose[left][:, None], 0, dx)
        length = np.where(objective(own, coef[left] + dx, z[left] + dz) < objective(own, coef[left], z[left]), 1, length)
        until, stops = _kinks(own, coef[left], dx)
        short = until < length
        length = np.where(short, until, length)[:, None, None]
        moved = coef[left] + length * dx
        first = short[:, None, None] & (stops == until[:, None, None])
        moved = np.where(first, _nearest_kink(own, moved), moved)
        z[left] += length * dz
        coef[left], held[left] = moved, held[left] | first
        move[left] = np.where(short, np.inf, reach)
        found[left] = ~short & (reach <= _FOUND * (1 + reach_of(z[left])))
        left = left[~found[left] & ~np.isnan(reach)]
        if not len(left):
            break
    return Minimum(z, coef, found, move)


def reach_of(dz: np.ndarray) -> np.ndarray:
    """The largest change of a logit (B,), of several classes of the difference of two."""
    return (np.abs(dz[:, 0]) if dz.shape[1] == 1 else dz.max(axis=1) - dz.min(axis=1)).max(axis=1)


def basis_of(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Centered columns (B, m, n), with ones behind where there is an intercept, and which of them are orthonormal (B, n): those
    without penalty and bounds. One that depends on others, as far as its dtype can tell, is 0 (`jaxlr.fit` says so too)."""
    w, (mean, sd) = model.w[..., None], units(model)
    X = np.where(w > 0, model.X - mean[:, None], 0)
    loose = (model.l1 + model.l2 + model.by_group == 0) & np.isinf(model.lower) & np.isinf(model.upper)
    Q, rounded = np.zeros_like(X), _DEPENDENT * model.eps * (1 + (np.abs(mean) / sd).max(axis=1))
    for j in range(X.shape[2]):
        column = X[:, :, j] / sd[:, j, None]
        for _ in range(2):
            if model.fit_intercept:
                column = column - np.where(model.w > 0, (model.w * column).sum(axis=1)[:, None], 0)
            column = column - (Q @ (np.swapaxes(Q, 1, 2) @ (model.w * column)[..., None]))[..., 0]
        norm = np.sqrt((model.w * column**2).sum(axis=1))
        kept = loose[:, j] & (norm > rounded)
        Q[:, :, j] = np.where(kept[:, None], column / np.where(kept, norm, 1)[:, None], 0)
    A = np.where(loose[:, None], Q, X)
    if model.fit_intercept:
        A = np.concatenate([A, np.where(w > 0, LONG(1), 0)], axis=2)
    return A, loose


def _step(model: Model, A: np.ndarray, z: np.ndarray, coef: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's direction of the coefficients (B, c, n), and its change of the logits (B, c, m)."""
    B, c, n = coef.shape
    k = A.shape[2]
    p = probabilities(z)
    g = (model.w[:, None] * (p - model.shares)) @ A
    g[:, :, :n] += model.l2[:, None] * coef + model.l1[:, None] * np.sign(coef)
    H = np.zeros((B, c, k, c, k), LONG)
    for a in range(c):
        for b in range(a + 1):
            bend = model.w * (p[:, a] * (1 - p[:, a]) if a == b else -p[:, a] * p[:, b])
            block = np.swapaxes(A * bend[..., None], 1, 2) @ A
            H[:, a, :, b] = block
            H[:, b, :, a] = block
    np.einsum("bajaj->baj", H)[:, :, :n] += model.l2[:, None]  # a view
    for group in np.unique(model.groups):
        which = np.flatnonzero(model.groups == group)
        inside, strength = coef[:, :, which], model.by_group[:, which[0]]
        norm = np.sqrt((inside**2).sum(axis=(1, 2)))
        over = np.where((norm > 0) & (strength > 0), strength / np.where(norm > 0, norm, 1), 0)
        g[:, :, which] += over[:, None, None] * inside
        unit = inside / np.where(norm > 0, norm, 1)[:, None, None]
        bend = -np.einsum("bai,bcj->baicj", unit, unit)
        np.einsum("baiai->bai", bend)[:] += 1
        bend = over[:, None, None, None, None] * bend
        H[:, np.arange(c)[:, None, None, None], which[:, None, None], np.arange(c)[:, None], which] += bend
    free = np.ones((B, c, k), bool)
    free[:, :, :n] = ~held
    g, H = np.where(free, g, 0), np.where(free[:, :, :, None, None] & free[:, None, None], H, 0)
    d = -_solve(H.reshape(B, c * k, c * k), g.reshape(B, c * k)).reshape(B, c, k)
    return d[:, :, :n], d @ np.swapaxes(A, 1, 2)


def _solve(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """H^-1 g by Cholesky's method (B, p, p) in units where the diagonal is 1, with a jitter; what has a diagonal of 0 stays."""
    p = H.shape[1]
    diagonal = np.einsum("bii->bi", H)
    d = np.where(diagonal > 0, np.sqrt(np.maximum(diagonal, 0)), 1)
    L, x = H / d[:, :, None] / d[:, None, :], np.where(diagonal > 0, g / d, 0)
    L[:, range(p), range(p)] = 1 + LONG(_JITTER)
    for k in range(p):
        pivot = np.sqrt(np.maximum(L[:, k, k], LONG(_JITTER) / 4))
        L[:, k + 1 :, k] /= pivot[:, None]
        L[:, k, k] = pivot
        L[:, k + 1 :, k + 1 :] -= L[:, k + 1 :, k, None] * L[:, None, k + 1 :, k]
        x[:, k] /= pivot
        x[:, k + 1 :] -= L[:, k + 1 :, k] * x[:, k, None]
    for k in reversed(range(p)):
        x[:, k] = (x[:, k] - (L[:, k + 1 :, k] * x[:, k + 1 :]).sum(axis=1)) / L[:, k, k]
    return x / d


def _resting(model: Model, coef: np.ndarray) -> np.ndarray:
    """Which coefficients are at a kink: 0 under l1, in a group of zeros, or a bound."""
    resting = ((coef == 0) & (model.l1[:, None] > 0)) | (coef == model.lower[:, None]) | (coef == model.upper[:, None])
    for group in np.unique(model.groups):
        which = np.flatnonzero(model.groups == group)
        nothing = np.all(coef[:, :, which] == 0, axis=(1, 2)) & (model.by_group[:, which[0]] > 0)
        resting[:, :, which] |= nothing[:, None, None]
    return resting


def _kinks(model: Model, coef: np.ndarray, dx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The length of a step (B,) at which the first coefficient comes to a kink, and that of each (B, c, n); inf for none."""
    l1, lower, upper = (leaf[:, None] for leaf in (model.l1, model.lower, model.upper))
    with np.errstate(divide="ignore", invalid="ignore"):
        to_zero = np.where((l1 > 0) & (coef * dx < 0), -coef / dx, np.inf)
        to_lower = np.where((dx < 0) & np.isfinite(lower), (lower - coef) / dx, np.inf)
        to_upper = np.where((dx > 0) & np.isfinite(upper), (upper - coef) / dx, np.inf)
    stops = np.minimum(to_zero, np.minimum(to_lower, to_upper))
    return stops.min(axis=(1, 2)), stops


def _nearest_kink(model: Model, coef: np.ndarray) -> np.ndarray:
    """The kink that each coefficient has all but reached."""
    nearest = np.where(model.l1[:, None] > 0, 0, np.inf) * np.ones_like(coef)
    for bound in (model.lower[:, None], model.upper[:, None]):
        nearest = np.where(np.abs(coef - bound) < np.abs(coef - nearest), bound, nearest)
    return nearest
