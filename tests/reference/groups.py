"""Fits with norms of groups at fifty digits: `python -m tests.reference.groups` writes groups.json.

Which coefficients are 0 or at a bound is taken from a fit in float64; Newton's equations on the others, with the curvature of
the norms, then are solved with mpmath, and the conditions of optimality checked in as many digits: the slope is 0 where a
coefficient is free, within l1 where it is 0 in a group that is not, leads out of the interval at a bound, and of a group that
is 0 the norm of what l1 and the bounds leave of the slopes is at most lambda sqrt(size).
"""

import csv
import json
from pathlib import Path

import numpy as np

from tests.reference.bounds import remission

INF = np.inf
HERE = Path(__file__).parent
PAIRS = [0, 7, 0, 7, 3, 3]
CASES = {
    "group lasso": {"l1_group": 0.12, "groups": PAIRS},
    "group lasso, l2": {"l1_group": 0.09, "l2": 0.02, "groups": PAIRS},
    "sparse group lasso": {"l1_group": 0.03, "l1": 0.04, "groups": PAIRS},
    "group lasso in boxes": {
        "l1_group": 0.09,
        "l1": 0.001,
        "groups": PAIRS,
        "lower": [0.0, -INF, -INF, -1.0, 0.0, -INF],
        "upper": [INF, INF, 0.01, 0.25, INF, 0.0],
    },
    "three classes": {"l1_group": 0.06, "groups": [0, 1, 2, 3], "num_classes": 3},
    "three classes, sparse, l2": {"l1_group": 0.02, "l1": 0.02, "l2": 0.01, "groups": [5, 1, 5, 1], "num_classes": 3},
}


def iris():
    """Fisher's irises (150, 4), in standard deviations, and three labels."""
    with (HERE / "iris.csv").open() as file:
        table = np.array([[float(value) for value in row] for row in list(csv.reader(file))[1:]])
    X = table[:, 1:]
    return (X - X.mean(axis=0)) / X.std(axis=0), table[:, 0].astype(int)


def data_of(case):
    """The data of a case."""
    return iris() if "num_classes" in case else remission()


def exact(case):
    import mpmath as mp

    from jaxlr import fit

    mp.mp.dps = 60
    X, y = data_of(case)
    (m, n), K = X.shape, case.get("num_classes", 1)
    lower, upper = (np.broadcast_to(case.get(side, none), (n,)) for side, none in (("lower", -INF), ("upper", INF)))
    l1, l2, l1_group = (mp.mpf(str(case.get(name, 0))) for name in ("l1", "l2", "l1_group"))
    found = fit(X, y, **case, tol=1e-12).params
    start, intercept = np.reshape(found.coef, (K, n)), np.reshape(found.intercept, K)
    together = {group: [(k, j) for j in range(n) if case["groups"][j] == group for k in range(K)] for group in case["groups"]}
    own = {at: members for members in together.values() for at in members}
    strength = {group: l1_group * mp.sqrt(mp.mpf(len(members) // K)) for group, members in together.items()}
    lam = {at: strength[case["groups"][at[1]]] for at in own}

    # Every class has coefficients 0..n-1 and the intercept n.
    A = [[mp.mpf(float(value)) for value in row] + [mp.mpf(1)] for row in X]
    x = {(k, j): mp.mpf(repr(float(start[k, j]))) for k, j in own}
    x |= {(k, j): mp.mpf(float(bound)) for k, j in own for bound in (lower[j], upper[j]) if start[k, j] == bound}
    mean = mp.fsum(mp.mpf(float(b)) for b in intercept) / K if K > 1 else 0
    x |= {(k, n): mp.mpf(float(intercept[k])) - mean for k in range(K)}
    held = {(k, j) for k, j in own if start[k, j] in (lower[j], upper[j]) or start[k, j] == 0}
    free = [at for at in x if at not in held]

    def norm(at):
        return mp.sqrt(mp.fsum(x[other] ** 2 for other in own[at]))

    def logits(row):
        return [mp.fdot(row, [x[k, j] for j in range(n + 1)]) for k in range(K)]

    def probabilities():
        for row in A:
            terms = [mp.exp(z) for z in logits(row)]
            yield [term / (mp.fsum(terms) + (K == 1)) for term in terms]

    def of_label(i, k):
        return int(y[i] == k) if K > 1 else int(y[i])

    def slopes(p):
        """Of the loss and the squared part."""
        g = {(k, j): mp.fsum((p[i][k] - of_label(i, k)) * A[i][j] for i in range(m)) / m for k, j in x}
        return {at: g[at] + (l2 * x[at] if at in own else 0) for at in x}

    def kinked(at):
        """The derivative of the absolute parts where they have one."""
        if at not in own:
            return mp.mpf(0)
        return l1 * mp.sign(x[at]) + (lam[at] * x[at] / norm(at) if norm(at) > 0 else 0)

    def second(p, at, other):
        (k, j), (q, r) = at, other
        terms = (p[i][k] * (int(k == q) - p[i][q]) * A[i][j] * A[i][r] for i in range(m))
        h = mp.fsum(terms) / m + (l2 if at == other and at in own else 0)
        if K > 1 and j == r == n:
            h += 1  # the intercepts sum to 0
        if at in own and other in own[at] and norm(at) > 0:
            h += lam[at] / norm(at) * (int(at == other) - x[at] * x[other] / norm(at) ** 2)
        return h

    for _ in range(100):
        p = list(probabilities())
        g = slopes(p)
        full = mp.matrix([g[at] + kinked(at) for at in free])
        if mp.norm(full, mp.inf) < mp.mpf(10) ** -50:
            break
        step = mp.lu_solve(mp.matrix([[second(p, at, other) for other in free] for at in free]), full)
        for a, at in enumerate(free):
            x[at] -= step[a] * min(mp.mpf(1), 1 / mp.norm(step, mp.inf))
    else:
        raise RuntimeError("no convergence")

    least = mp.mpf(10) ** -50
    for members in together.values():
        missing = {}
        for at in members:
            slope = g[at] + kinked(at) - l1 * mp.sign(x[at])
            left, right = slope + (l1 if x[at] > 0 else -l1), slope + (-l1 if x[at] < 0 else l1)
            left, right = (-mp.inf if x[at] <= lower[at[1]] else left), (mp.inf if x[at] >= upper[at[1]] else right)
            missing[at] = max(left, -right, mp.mpf(0))
            assert lower[at[1]] <= x[at] <= upper[at[1]]
        zero = all(x[at] == 0 for at in members)
        assert mp.sqrt(mp.fsum(e**2 for e in missing.values())) <= (lam[members[0]] if zero else least)
    assert all(abs(g[k, n]) < least for k in range(K))

    losses = []
    for i, row in enumerate(A):
        z = logits(row)
        losses.append(mp.log(mp.fsum(map(mp.exp, z)) + (K == 1)) - mp.fsum(of_label(i, k) * z[k] for k in range(K)))
    value = mp.fsum(losses) / m + mp.fsum(l1 * abs(x[at]) + l2 / 2 * x[at] ** 2 for at in own)
    value += mp.fsum(lam[members[0]] * norm(members[0]) for members in together.values())
    shape = (K, n) if K > 1 else (n,)
    return {
        "coef": np.reshape([float(x[k, j]) for k in range(K) for j in range(n)], shape).tolist(),
        "intercept": [float(x[k, n]) for k in range(K)] if K > 1 else float(x[0, n]),
        "value": float(value),
    }


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    results = {name: exact(case) for name, case in CASES.items()}
    (HERE / "groups.json").write_text(json.dumps(results, indent=1) + "\n")
