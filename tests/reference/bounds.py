"""Fits within bounds at fifty digits: `python -m tests.reference.bounds` writes bounds.json.

The active set is that of a fit in float64; Newton's equations on the free coefficients then are solved with mpmath, and the
conditions of optimality checked in as many digits: the slope is 0 where a coefficient is free, within l1 where it is 0, and
leads out of the interval where it is at a bound.
"""

import csv
import json
from pathlib import Path

import numpy as np

INF = np.inf
HERE = Path(__file__).parent
CASES = {
    "not negative": {"lower": 0.0},
    "not negative, l2": {"lower": 0.0, "l2": 0.01},
    "lasso, not negative": {"lower": 0.0, "l1": 0.01},
    "box": {"lower": -0.5, "upper": 0.5},
    "elastic net in boxes": {
        "lower": [-INF, 0.1, -0.2, -1.0, -INF, 0.3],
        "upper": [0.0, 0.4, INF, 0.05, 0.5, 0.3],
        "l1": 0.005,
        "l2": 0.02,
    },
}


def remission():
    """Lee's remission data (27, 6), in standard deviations, and labels."""
    with (HERE / "remission.csv").open() as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    table = np.array(rows)
    X, y = table[:, 1:], table[:, 0].astype(int)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def exact(case):
    import mpmath as mp

    from jaxlr import fit

    mp.mp.dps = 60
    X, y = remission()
    m, n = X.shape
    lower, upper = (np.broadcast_to(case.get(side, none), (n,)) for side, none in (("lower", -INF), ("upper", INF)))
    l1, l2 = mp.mpf(str(case.get("l1", 0))), mp.mpf(str(case.get("l2", 0)))
    start = np.asarray(fit(X, y, **case, tol=1e-12).params.coef)
    held = (start <= lower) | (start >= upper) | ((start == 0) & (l1 > 0))
    free = [j for j in range(n) if not held[j]] + [n]
    A = [[mp.mpf(float(value)) for value in row] + [mp.mpf(1)] for row in X]
    x = [mp.mpf(repr(float(value))) for value in start] + [mp.mpf(0)]
    for j in range(n):
        for bound in (lower[j], upper[j]):
            if start[j] == bound:
                x[j] = mp.mpf(float(bound))

    def slopes():
        p = [1 / (1 + mp.exp(-mp.fdot(row, x))) for row in A]
        g = [mp.fsum((p[i] - int(y[i])) * A[i][j] for i in range(m)) / m + (l2 * x[j] if j < n else 0) for j in range(n + 1)]
        return p, g

    for _ in range(100):
        p, g = slopes()
        full = mp.matrix([g[j] + (l1 * mp.sign(x[j]) if j < n else 0) for j in free])
        if mp.norm(full, mp.inf) < mp.mpf(10) ** -50:
            break
        H = mp.matrix(len(free), len(free))
        for a, j in enumerate(free):
            for b, k in enumerate(free):
                H[a, b] = mp.fsum(p[i] * (1 - p[i]) * A[i][j] * A[i][k] for i in range(m)) / m + (l2 if j == k < n else 0)
        step = mp.lu_solve(H, full)
        length = min(mp.mpf(1), 1 / mp.norm(step, mp.inf))
        for a, j in enumerate(free):
            x[j] -= length * step[a]
    else:
        raise RuntimeError("no convergence")
    for j in range(n):
        left = -l1 if x[j] <= 0 else l1
        right = l1 if x[j] >= 0 else -l1
        left, right = (-mp.inf if x[j] <= lower[j] else left), (mp.inf if x[j] >= upper[j] else right)
        assert max(g[j] + left, -g[j] - right) < mp.mpf(10) ** -50
        assert lower[j] <= x[j] <= upper[j]
    losses = [mp.log(1 + mp.exp(z)) - int(y[i]) * z for i, z in enumerate(mp.fdot(row, x) for row in A)]
    value = mp.fsum(losses) / m + mp.fsum(l1 * abs(c) + l2 / 2 * c**2 for c in x[:n])
    return {
        "coef": [float(c) for c in x[:n]],
        "intercept": float(x[n]),
        "value": float(value),
        "at_bound": [bool(x[j] <= lower[j] or x[j] >= upper[j]) for j in range(n)],
    }


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {name: exact(case) for name, case in CASES.items()}
    (HERE / "bounds.json").write_text(json.dumps(found, indent=1) + "\n")
