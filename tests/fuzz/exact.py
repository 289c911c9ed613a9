"""Drawn problems in 80-bit arithmetic: objective, slopes and KKT residual, by the formulas and by nothing of jaxlr.

    J = sum_i w_i l(z_i, y_i) + sum_j (l1_j |coef_j| + l2_j / 2 coef_j^2) + sum_g strength_g |coef_g|

All arrays have the batch in front and the classes first among a model's axes; two classes are one row of logits.
"""

from typing import NamedTuple

import numpy as np

from tests.fuzz.drawn import Drawn

LONG = np.longdouble
EPS = float(np.finfo(LONG).eps)


class Model(NamedTuple):
    """The problems of a batch in 80-bit arithmetic; c is 1 for two classes.

    Attributes:
        X: (B, m, n), rows of weight 0 are 0.
        shares: labels (B, c, m).
        w: weights that sum to 1 (B, m).
        offset: (B, c, m).
        l1: (B, n), with penalty factors.
        l2: likewise.
        by_group: strength of each column's group (B, n).
        lower: (B, n).
        upper: (B, n).
        groups: (n,).
        fit_intercept: whether there is one.
        eps: of the dtype of the columns.
    """

    X: np.ndarray
    shares: np.ndarray
    w: np.ndarray
    offset: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    by_group: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    groups: np.ndarray
    fit_intercept: bool
    eps: float


def model_of(drawn: Drawn) -> Model:
    """The drawn problems; those without any weight have weights of NaN."""
    K, n = drawn.form.K, drawn.form.n
    s = drawn.weight.astype(LONG)
    with np.errstate(invalid="ignore"):
        w = s / s.sum(axis=1, keepdims=True)
    present = s > 0
    y = drawn.y
    if K == 2:
        shares, offset = y[:, None], drawn.offset[:, None]
    else:
        shares = np.moveaxis(np.eye(K)[y] if y.ndim == 2 else y, 2, 1)
        offset = np.moveaxis(drawn.offset, 2, 1)
    factor = drawn.factor.astype(LONG)
    sizes = np.bincount(drawn.groups)[drawn.groups]
    return Model(
        np.where(present[..., None], drawn.X, 0).astype(LONG),
        shares.astype(LONG),
        w,
        np.where(present[:, None], offset, 0).astype(LONG),
        factor * drawn.l1[:, None],
        factor * drawn.l2[:, None],
        np.sqrt(LONG(1) * sizes) * drawn.l1_group[:, None].astype(LONG) * np.ones(n, LONG),
        drawn.lower.astype(LONG),
        drawn.upper.astype(LONG),
        drawn.groups,
        drawn.form.fit_intercept,
        float(np.finfo(drawn.form.dtype).eps),
    )


def take(model: Model, which: np.ndarray) -> Model:
    """Some of the problems."""
    return model._replace(**{k: v[which] for k, v in model._asdict().items() if k not in ("groups", "fit_intercept", "eps")})


def probabilities(z: np.ndarray) -> np.ndarray:
    """Of logits (B, c, m): sigmoid of one, softmax of several."""
    if z.shape[1] == 1:
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1, e) / (1 + e)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def losses(z: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Of the rows (B, m)."""
    if z.shape[1] == 1:
        return (np.where(z < 0, shares, 1 - shares) * np.abs(z) + np.log1p(np.exp(-np.abs(z))))[:, 0]
    top = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - top).sum(axis=1)) + (shares * (top - z)).sum(axis=1)


def penalties(model: Model, coef: np.ndarray) -> np.ndarray:
    """Of coefficients (B, c, n)."""
    plain = (model.l1[:, None] * np.abs(coef) + model.l2[:, None] / 2 * coef**2).sum(axis=(1, 2))
    for g in np.unique(model.groups):
        which = model.groups == g
        plain = plain + model.by_group[:, which][:, 0] * np.sqrt((coef[:, :, which] ** 2).sum(axis=(1, 2)))
    return plain


def logits(model: Model, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """(B, c, m), 0 in rows of weight 0."""
    z = coef @ np.swapaxes(model.X, 1, 2) + model.offset + (intercept[..., None] if model.fit_intercept else 0)
    return np.where(model.w[:, None] > 0, z, 0)


def objective(model: Model, coef: np.ndarray, z: np.ndarray) -> np.ndarray:
    """J (B,)."""
    return (model.w * losses(z, model.shares)).sum(axis=1) + penalties(model, coef)


def units(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the columns (B, n) as the KKT residual has them; a constant column has 1."""
    X, w = model.X, model.w[..., None]
    mean = (w * X).sum(axis=1) if model.fit_intercept else np.zeros(X[:, 0].shape, LONG)
    present = w > 0
    low, high = np.where(present, X, np.inf).min(axis=1), np.where(present, X, -np.inf).max(axis=1)
    constant = low == high if model.fit_intercept else (low == 0) & (high == 0)
    sd = np.sqrt((w * np.where(present, X - mean[:, None], 0) ** 2).sum(axis=1))
    return mean, np.where(constant | (sd == 0), 1, sd)


def slopes(model: Model, coef: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of the smooth part of J for centered columns, u_j = g_j - mean_j g_0 (B, c, n), and g_0 (B, c)."""
    wr = model.w[:, None] * (probabilities(z) - model.shares)
    g0 = wr.sum(axis=2) if model.fit_intercept else np.zeros(wr.shape[:2], LONG)
    mean, _ = units(model)
    X = np.where(model.w[..., None] > 0, model.X - mean[:, None], 0)
    return wr @ X + model.l2[:, None] * coef, g0


def kkt(model: Model, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """The KKT residual of DESIGN (B,)."""
    u, g0 = slopes(model, coef, logits(model, coef, intercept))
    _, sd = units(model)
    off = violations(model, coef, u)
    outside = np.any((coef < model.lower[:, None]) | (coef > model.upper[:, None]), axis=(1, 2))
    largest = np.maximum((off / sd[:, None]).max(axis=(1, 2), initial=0), np.abs(g0).max(axis=1))
    return np.where(outside, np.inf, largest)


def violations(model: Model, coef: np.ndarray, u: np.ndarray) -> np.ndarray:
    """How far -u is from the subdifferential of the rest, coefficient by coefficient (B, c, n)."""
    l1, lower, upper = model.l1[:, None], model.lower[:, None], model.upper[:, None]
    for g in np.unique(
        model.groups
    ):  # the norm of a group that is not 0 is smooth; of one at 0, what it can hold is taken away
        which = model.groups == g
        strength = model.by_group[:, which][:, 0][:, None, None]
        inside = coef[:, :, which]
        norm = np.sqrt((inside**2).sum(axis=(1, 2), keepdims=True))
        free = np.sign(u[:, :, which]) * np.maximum(np.abs(u[:, :, which]) - l1[:, :, which], 0)
        pull = np.sqrt((free**2).sum(axis=(1, 2), keepdims=True))
        at_zero = free * np.minimum(1, strength / np.where(pull > 0, pull, 1))
        u = u.copy()
        u[:, :, which] += np.where(norm > 0, strength * inside / np.where(norm > 0, norm, 1), -at_zero)
    up, down = u + l1, u - l1  # slopes of J to the right and to the left, where the coefficient is 0
    right = np.where(coef >= 0, up, down)
    left = np.where(coef > 0, up, down)
    falls_right = np.where(coef < upper, np.maximum(-right, 0), 0)
    falls_left = np.where(coef > lower, np.maximum(left, 0), 0)
    return np.maximum(falls_right, falls_left)
