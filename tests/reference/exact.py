"""One logistic model in 40-digit arithmetic: estimate, influence of the rows, and the sums that robust covariances are made of.

Formulas as the files `influence` and `covariance` of `jaxlr.inference` state them, from nothing but the table.
"""

from typing import Any

from mpmath import exp, log, lu_solve, matrix, mp, mpf, sign, sqrt

DIGITS, STEPS = 40, 60


class Exact:
    """One model in 40-digit arithmetic: the estimate, the inverse of its information, the rows' residuals and leverage."""

    def __init__(self, X: list, y: list, s: list | None = None) -> None:
        mp.dps = DIGITS
        self.A = [[mpf(value) for value in row] + [mpf(1)] for row in X]
        self.s = [mpf(1 if s is None else value) for value in (s or y)]
        k = self.k = len(self.A[0])
        x = matrix(k, 1)
        for _ in range(STEPS):
            p = [1 / (1 + exp(-sum(a * b for a, b in zip(row, x, strict=True)))) for row in self.A]
            r = [yi - pi for yi, pi in zip(map(mpf, y), p, strict=True)]
            g = matrix([sum(si * ri * row[j] for si, ri, row in zip(self.s, r, self.A, strict=True)) for j in range(k)])
            c = [pi * (1 - pi) for pi in p]
            step = lu_solve(self._weighted([si * ci for si, ci in zip(self.s, c, strict=True)]), g)
            if max(abs(d) for d in step) < mpf(10) ** (5 - DIGITS):
                break
            x += step
        else:
            raise ValueError("Newton's method did not end")
        self.x, self.r, self.c = x, r, c
        self.V = self._weighted([si * ci for si, ci in zip(self.s, c, strict=True)]) ** -1
        self.moved = [self.V * matrix(row) for row in self.A]
        self.own = [
            ci * sum(a * b for a, b in zip(row, v, strict=True)) for ci, row, v in zip(c, self.A, self.moved, strict=True)
        ]
        h = self.h = [si * qi for si, qi in zip(self.s, self.own, strict=True)]
        pearson = [ri * sqrt(si / ci) for ri, si, ci in zip(r, self.s, c, strict=True)]
        deviance = [sign(ri) * sqrt(-2 * si * log(1 - abs(ri))) for ri, si in zip(r, self.s, strict=True)]
        self.rows = {
            "leverage": h,
            "pearson": pearson,
            "deviance": deviance,
            "standardized_pearson": [value / sqrt(1 - hi) for value, hi in zip(pearson, h, strict=True)],
            "standardized_deviance": [value / sqrt(1 - hi) for value, hi in zip(deviance, h, strict=True)],
            "cooks_distance": [value**2 * hi / ((1 - hi) ** 2 * k) for value, hi in zip(pearson, h, strict=True)],
            "dfbeta": [
                [float(vj * si * ri / (1 - hi)) for vj in v] for v, si, ri, hi in zip(self.moved, self.s, r, h, strict=True)
            ],
        }

    def _weighted(self, w: list) -> Any:
        H = matrix(self.k, self.k)
        for wi, row in zip(w, self.A, strict=True):
            for a in range(self.k):
                for b in range(self.k):
                    H[a, b] += wi * row[a] * row[b]
        return H

    def of_vectors(self, vectors: list) -> Any:
        """V M V, M the sum of u u'."""
        M = matrix(self.k, self.k)
        for u in vectors:
            for a in range(self.k):
                for b in range(self.k):
                    M[a, b] += u[a] * u[b]
        return self.V * M * self.V

    def scores(self, power: float = 0) -> list:
        """u_i sqrt(s_i) / (1 - h_i)^power, h_i of one of the rows that a row stands for."""
        scale = [ri * sqrt(si) / (1 - qi) ** mpf(power) for ri, si, qi in zip(self.r, self.s, self.own, strict=True)]
        return [[value * a for a in row] for value, row in zip(scale, self.A, strict=True)]

    def clustered(self, labels: list) -> Any:
        """Of clusters of one way, with the factor for small samples."""
        sums: dict[Any, list] = {}
        for label, ri, si, row in zip(labels, self.r, self.s, self.A, strict=True):
            old = sums.setdefault(label, [mpf(0)] * self.k)
            sums[label] = [value + si * ri * a for value, a in zip(old, row, strict=True)]
        G, N = len(sums), sum(self.s)
        return self.of_vectors(list(sums.values())) * (mpf(G) / (G - 1) * (N - 1) / (N - self.k))

    def lagged(self, lags: int) -> Any:
        """Newey and West's, with the factor N / (N - k)."""
        u = [[ri * a for a in row] for ri, row in zip(self.r, self.A, strict=True)]
        M = matrix(self.k, self.k)
        for i, v in enumerate(u):
            for j in range(max(0, i - lags), min(len(u), i + lags + 1)):
                share = 1 - mpf(abs(i - j)) / (lags + 1)
                for a in range(self.k):
                    for b in range(self.k):
                        M[a, b] += share * v[a] * u[j][b]
        return self.V * M * self.V * (mpf(len(u)) / (len(u) - self.k))
