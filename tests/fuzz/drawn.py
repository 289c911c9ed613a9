"""What is drawn: batches of problems of one shape, so that one program fits them all, each problem hard in a way of its own.

A `Form` is what is static in a batch: shape, classes, penalty, dtype. Within it vary the columns (ties, copies, near
collinearity at 1e-9 to 1e-2, scales of 1e-6 to 1e6 far from the origin, outliers, all of these at once), labels that are
random, likely, all but separated or soft, weights with zeros and rare rows, offsets, strengths over eight powers of 10, bounds.
"""

from typing import Any, NamedTuple

import numpy as np

COLUMNS = ("plain", "ties", "copies", "near", "scales", "outliers", "everything")
PENALTIES = ("none", "l2", "l1", "both", "partial", "bounds", "groups")


class Form(NamedTuple):
    """What one program fits.

    Attributes:
        m: rows.
        n: columns.
        K: classes.
        penalty: one of PENALTIES.
        fit_intercept: whether there is an intercept.
        dtype: of X.
        sparse: whether X is a scipy.sparse matrix, one for the batch.
        solver: of `jaxlr.fit`.
        soft: whether labels of K > 2 classes are shares.
    """

    m: int
    n: int
    K: int = 2
    penalty: str = "none"
    fit_intercept: bool = True
    dtype: Any = np.float64
    sparse: bool = False
    solver: str = "auto"
    soft: bool = False


FORMS = [
    *(Form(*shape, penalty=penalty) for penalty in PENALTIES for shape in ((5, 2), (12, 3), (30, 4))),
    *(Form(4 * K, 2, K, penalty) for penalty in PENALTIES for K in (3, 4, 5)),
    *(Form(12, 3, penalty=penalty, fit_intercept=False) for penalty in ("none", "l2", "l1", "bounds")),
    Form(15, 2, 3, fit_intercept=False),
    *(Form(12, 3, penalty=penalty, dtype=np.float32) for penalty in PENALTIES),
    *(Form(15, 2, 3, penalty, dtype=np.float32) for penalty in ("none", "l2", "l1")),
    *(Form(30, 8, K, penalty, sparse=True) for K in (2, 3) for penalty in ("l2", "l1", "both")),
    *(Form(12, 3, penalty=penalty, solver="newton_cg") for penalty in ("none", "l2", "partial")),
    *(Form(12, 3, penalty=penalty, solver="proximal") for penalty in ("none", "l2", "partial")),
    *(Form(12, 2, 3, penalty, soft=True) for penalty in ("none", "l2", "l1")),
    *(Form(6, 9, penalty=penalty) for penalty in ("l2", "l1", "groups", "bounds")),
]


class Drawn(NamedTuple):
    """A batch of problems, the batch axis in front.

    Attributes:
        form: what they share.
        columns: which of COLUMNS each has.
        X: (B, m, n).
        y: labels (B, m), or shares (B, m, K).
        weight: (B, m).
        offset: (B, m), (B, m, K) of several classes.
        l1: (B,).
        l2: likewise.
        l1_group: likewise.
        factor: (B, n).
        lower: (B, n).
        upper: (B, n).
        groups: (n,).
    """

    form: Form
    columns: np.ndarray
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    l1_group: np.ndarray
    factor: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    groups: np.ndarray


def draw(rng: np.random.Generator, form: Form, size: int) -> Drawn:
    """So many problems of one form."""
    m, n, K = form.m, form.n, form.K
    columns = rng.choice(COLUMNS, size=1 if form.sparse else size)
    X = np.stack([_columns(rng, kind, m, n) for kind in columns])
    if form.sparse:
        X = X * (rng.random(X.shape) < 0.4)
        X, columns = np.repeat(X, size, axis=0), np.repeat(columns, size)
    X = X.astype(form.dtype)
    y = np.stack([_labels(rng, x.astype(float), K) for x in X])
    if form.soft:
        mixed = (np.eye(K)[y] + np.eye(K)[rng.integers(0, K, y.shape)]) / 2
        y = np.where(rng.random((*y.shape, 1)) < 0.5, mixed, np.eye(K)[y])
    elif K == 2:
        shares = rng.choice([0.0, 0.25, 0.5, 1.0], size=y.shape)
        y = np.where((rng.random((size, 1)) < 0.15) & (rng.random(y.shape) < 0.3), shares, y)
    weight = _pick(rng, np.ones((size, m)), rng.integers(0, 4, (size, m)) + 0.0, 10 ** rng.uniform(-4, 1, (size, m)))
    weight[rng.random((size, m)) < 0.05] = 0
    sizes = 10 ** rng.uniform(-1, 1, size) * (rng.random(size) < 0.3)
    offset = rng.standard_normal((m, size) if K == 2 else (m, K, size)) * sizes
    drawn = Drawn(
        form, columns, X, y, weight, np.moveaxis(offset, -1, 0),
        l1=np.zeros(size), l2=np.zeros(size), l1_group=np.zeros(size), factor=np.ones((size, n)),
        lower=np.full((size, n), -np.inf), upper=np.full((size, n), np.inf), groups=np.arange(n) // 2,
    )  # fmt: skip
    return _rounded(drawn._replace(**_penalties(rng, form, size)))


def _columns(rng: np.random.Generator, kind: str, m: int, n: int) -> np.ndarray:
    X = rng.standard_normal((m, n))
    if kind == "everything":
        for one in rng.permutation([k for k in ("ties", "near", "scales", "outliers", "copies") if rng.random() < 0.5]):
            X = _bent(rng, X, one)
        return X
    return _bent(rng, X, kind)


def _bent(rng: np.random.Generator, X: np.ndarray, kind: str) -> np.ndarray:
    """The columns made hard in one way."""
    m, n = X.shape
    if kind == "ties":
        return np.clip(np.round(X * rng.choice([0.5, 1.0])), -2, 2)
    if kind == "copies":
        made = rng.integers(0, 4)
        last = [X[:, 0], np.ones(m), X[:, :-1].sum(axis=1), np.zeros(m)][made]
        return np.column_stack([X[:, :-1], last])
    if kind == "near":
        near = X[:, rng.integers(0, n - 1)] if n > 1 else np.ones(m)
        e = rng.standard_normal(m) if rng.random() < 0.7 else (np.arange(m) == rng.integers(m)).astype(float)
        return np.column_stack([X[:, :-1], near + 10 ** rng.uniform(-9, -2) * np.max(np.abs(near)) * e])
    if kind == "scales":
        far = 10 ** rng.uniform(-1, 3, n) * rng.choice([-1, 0, 0, 1], size=n)
        return (X + far) * 10 ** rng.uniform(-6, 6, n)
    if kind == "outliers":
        X = X.copy()
        for _ in range(rng.integers(1, 3)):
            X[rng.integers(m), rng.integers(n)] *= 10 ** rng.uniform(2, 6)
    return X


def _labels(rng: np.random.Generator, X: np.ndarray, K: int) -> np.ndarray:
    """Labels 0..K-1: random ones, likely ones, or those of a plane, of which a few are turned."""
    m, n = X.shape
    sd = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(sd > 0, sd, 1)
    scores = Z @ rng.standard_normal((n, K)) * 10 ** rng.uniform(-1, 1) + rng.standard_normal(K) * 0.5
    if rng.random() < 0.6:
        scores = scores + rng.gumbel(size=(m, K))
    y = np.argmax(scores, axis=1)
    turned = rng.random(m) < rng.choice([0.0, 0.1])
    y = np.where(turned, rng.integers(0, K, m), y)
    if len(np.unique(y)) < K and rng.random() < 0.9:  # a class may be absent: INVALID beside an intercept
        y[rng.permutation(m)[:K]] = np.arange(K)
    return y


def _penalties(rng: np.random.Generator, form: Form, size: int) -> dict[str, Any]:
    n, kind = form.n, form.penalty
    some = {"l1": 10 ** rng.uniform(-5, -0.5, size), "l2": 10 ** rng.uniform(-8, 0, size)}
    if kind in ("l1", "l2"):
        return {kind: some[kind]}
    if kind == "both":
        return some
    if kind == "partial":
        return {"l2": some["l2"], "factor": (rng.random((size, n)) < 0.5) * 10 ** rng.uniform(-1, 1, (size, n))}
    if kind == "bounds":
        lows = np.array([-np.inf, 0.0, -np.inf, -0.5, 0.0, -np.inf, 0.25])
        highs = np.array([np.inf, np.inf, 0.0, 0.5, 2.0, 0.1, 0.25])
        which = rng.integers(0, len(lows), (size, n))
        strengths = {name: value * (rng.random(size) < 0.4) for name, value in some.items()}
        return strengths | {"lower": lows[which], "upper": highs[which]}
    if kind == "groups":
        strengths = {name: value * (rng.random(size) < 0.5) for name, value in some.items()}
        return strengths | {"l1_group": 10 ** rng.uniform(-4, -0.5, size)}
    return {}


def _pick(rng: np.random.Generator, *choices: np.ndarray) -> np.ndarray:
    """One of them for each problem."""
    which = rng.integers(0, len(choices), len(choices[0]))
    return np.stack(choices)[which, np.arange(len(which))]


def _rounded(drawn: Drawn) -> Drawn:
    """All numbers as the dtype has them, in float64."""
    numbers = {
        name: value.astype(drawn.form.dtype).astype(float)
        for name, value in drawn._asdict().items()
        if name not in ("form", "columns", "y", "groups")
    }
    y = drawn.y if drawn.y.dtype == int else drawn.y.astype(drawn.form.dtype).astype(float)
    return drawn._replace(y=y, **numbers)
