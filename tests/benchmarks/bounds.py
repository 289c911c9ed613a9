"""bounds. Lasso paths that may not be negative, 10 folds: breast cancer (569 x 30, 100 l1 down to a thousandth of the first),
and 2,000 x 300 normal columns of which 20 count (50 l1 down to a hundredth).

Beside them the same paths without bounds, scipy's L-BFGS-B over joblib on all cores, a fold a job, each l1 from the one before,
and glmnet with lower.limits=0 where R is. The worst violation of the conditions of optimality is computed alike for all.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import glmnet

REPEATS = 5
CASES = {"breast cancer, 569 x 30": (100, 1e-3), "normal, 2,000 x 300": (50, 1e-2)}


def problem(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, labels, training rows of each fold (10, m), and l1 (g,)."""
    rng = np.random.default_rng(0)
    if name.startswith("breast"):
        from jaxlr.datasets import breast_cancer

        X, y, *_ = breast_cancer()
        X, y = (X - X.mean(axis=0)) / X.std(axis=0), 1.0 - y
    else:
        X = rng.normal(size=(2000, 300))
        y = (X[:, :20] @ rng.uniform(0, 0.5, 20) + rng.logistic(size=2000) > 0).astype(float)
    training = (np.random.default_rng(0).permutation(len(y)) % 10 != np.arange(10)[:, None]).astype(float)
    count, least = CASES[name]
    largest = np.max(X.T @ (y - y.mean())) / len(y)
    return X, y, training, np.geomspace(largest, least * largest, count)


def worst(X: np.ndarray, y: np.ndarray, training: np.ndarray, l1: np.ndarray, found: Any, lower: float) -> float:
    """The largest violation of all models, coef (10, g, n) and intercept (10, g)."""
    coef, intercept = map(np.asarray, found)
    most = 0.0
    for fold, s in enumerate(training):
        z = coef[fold] @ X.T + intercept[fold][:, None]
        r = (1 / (1 + np.exp(-z)) - y) * (s / s.sum())
        left, right = np.where(coef[fold] > 0, 1, -1) * l1[:, None], np.where(coef[fold] < 0, -1, 1) * l1[:, None]
        g = r @ X
        left = np.where(coef[fold] <= lower, -np.inf, left)
        most = max(most, np.maximum(g + left, -g - right).max(), np.abs(r.sum(axis=1)).max())
    return float(most)


def lbfgs_of_fold(X: np.ndarray, y: np.ndarray, l1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The path of one fold: coef (g, n), intercept (g,)."""
    from scipy.optimize import minimize

    n, x, path = X.shape[1], np.zeros(X.shape[1] + 1), []
    for strength in l1:

        def objective(t: np.ndarray, strength: float = strength) -> tuple[float, np.ndarray]:
            z = X @ t[:n] + t[n]
            r = (1 / (1 + np.exp(-z)) - y) / len(y)
            value = np.mean(np.logaddexp(0, z) - y * z) + strength * np.sum(t[:n])
            return float(value), np.append(X.T @ r + strength, r.sum())

        options = {"gtol": 1e-8, "ftol": 1e-15, "maxiter": 10_000}
        bounds = [(0, None)] * n + [(None, None)]
        x = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        path.append(x)
    return np.array(path)[:, :n], np.array(path)[:, n]


def main() -> None:
    """Print a table for each case."""
    import jax
    from joblib import Parallel, delayed

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    for name in CASES:
        X, y, training, l1 = problem(name)
        print(f"{name}, 10 folds x {len(l1)} l1\n{'':36s}{'cold s':>9s}{'warm s':>9s}{'converged':>11s}{'worst kkt':>11s}")
        best, ours = np.inf, {}

        def run_jaxlr(tol: float, bounds: dict[str, float]) -> Callable[[np.ndarray], Any]:
            return lambda l1: jax.block_until_ready(
                jaxlr.fit(X, y, l1=l1, sample_weight=training[:, None], tol=tol, **bounds)  # noqa: B023  # pyright: ignore[reportArgumentType]
            )

        for tol in (1e-10, 1e-6):
            for bounds in ({"lower": 0.0}, {}):
                run, seconds = run_jaxlr(tol, bounds), []
                fit: Any = None
                for k in range(REPEATS + 1):
                    start = time.perf_counter()
                    fit = run(l1 * (1 + 1e-6 * k))
                    seconds.append(time.perf_counter() - start)
                label = f"jaxlr, tol {tol:g}, {'not negative' if bounds else 'free'}"
                kkt = worst(X, y, training, l1 * (1 + 1e-6 * REPEATS), fit.params, bounds.get("lower", -np.inf))
                warm = float(np.median(seconds[1:]))
                print(f"{label:36s}{seconds[0]:9.2f}{warm:9.3f}{int(fit.converged.sum()):11d}{kkt:11.1e}", flush=True)
                ours |= {tol: warm} if bounds else {}
        pool = Parallel(os.cpu_count() or 1)
        pool(delayed(len)([]) for _ in range(os.cpu_count() or 1))
        start = time.perf_counter()
        paths: Any = pool(delayed(lbfgs_of_fold)(X[s > 0], y[s > 0], l1) for s in training)
        seconds = time.perf_counter() - start
        found = np.array([path[0] for path in paths]), np.array([path[1] for path in paths])
        print(f"{'scipy L-BFGS-B, gtol 1e-8':36s}{'':9s}{seconds:9.3f}{'':11s}{worst(X, y, training, l1, found, 0):11.1e}")
        best = seconds
        for threshold in (1e-7, 1e-14):
            try:
                times, *found = glmnet.run(X, y, training, l1, threshold, REPEATS, alpha=1, lower=0)
            except FileNotFoundError:
                print("glmnet: Rscript is not installed")
                break
            warm = float(np.median(times[1:]))
            kkt = worst(X, y, training, l1 * (1 + 1e-6 * REPEATS), found, 0)
            print(f"{f'glmnet, thresh {threshold:g}':36s}{times[0]:9.2f}{warm:9.3f}{'':11s}{kkt:11.1e}")
            best = min(best, warm)
        for tol, warm in ours.items():
            print(f"warm: best of the others / jaxlr at {tol:g} = {best / warm:.1f}")
