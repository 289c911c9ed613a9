"""groups. Group lasso paths: 10 folds of 2,000 x 200 normal columns in 40 groups of which 8 count (100 strengths down to a
hundredth of the first), and one path of 100 x 2,000 in 400 groups (30 strengths down to a twentieth).

Beside them adelie's grpnet, folds over a pool of processes, where the environment variable ADELIE_PYTHON names a Python that
has it (it wants NumPy 1), and skglm's GroupProxNewton, a fold after the other, each strength from the one before. Conditions of
optimality and objectives are computed alike for all; "above" is how far an objective is over that of jaxlr, at most and least.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 3
CASES = {"2,000 x 200 in 40 groups": (2000, 200, 5, 10, 100, 0.01), "100 x 2,000 in 400 groups": (100, 2000, 5, 1, 30, 0.05)}
_GRPNET = """
import sys, time
from multiprocessing import Pool
import numpy as np, adelie
data = np.load(sys.argv[1]); X, y, training, strengths, size = (data[k] for k in ("X", "y", "training", "strengths", "size"))
tol, workers = float(sys.argv[3]), int(sys.argv[4])
def path(s):
    rows = np.flatnonzero(s)
    state = adelie.grpnet(np.asfortranarray(X[rows]), adelie.glm.binomial(y[rows]), groups=np.arange(0, X.shape[1], int(size)),
        lmda_path=strengths, early_exit=False, progress_bar=False, n_threads=1, tol=tol, irls_tol=tol, adev_tol=1, ddev_tol=0,
        irls_max_iters=10**6, max_iters=10**7)
    return state.betas.toarray(), np.array(state.intercepts)
with Pool(workers) as pool:
    pool.map(len, [[]] * workers)
    start = time.perf_counter(); found = pool.map(path, list(training)); seconds = time.perf_counter() - start
np.savez(sys.argv[2], coef=[c for c, _ in found], intercept=[b for _, b in found], seconds=seconds)
"""


def problem(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """X, labels, training rows of each fold (k, m), strengths (g,), and the size of a group."""
    m, n, size, folds, count, least = CASES[name]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, n))
    y = (X[:, : 8 * size] @ rng.normal(0, 0.3, 8 * size) + rng.logistic(size=m) > 0).astype(float)
    training = np.ones((1, m)) if folds == 1 else (rng.permutation(m) % folds != np.arange(folds)[:, None]).astype(float)
    slope = (X - X.mean(axis=0)).T @ (y - y.mean()) / m
    largest = np.max(np.linalg.norm(slope.reshape(-1, size), axis=1)) / size**0.5
    return X, y, training, np.geomspace(largest, least * largest, count), size


def judged(
    X: np.ndarray, y: np.ndarray, training: np.ndarray, strengths: np.ndarray, size: int, found: Any
) -> tuple[float, Any]:
    """The largest violation of all models, coef (k, g, n) and intercept (k, g), and their objectives (k, g)."""
    most, values = 0.0, []
    for coef, intercept, s in zip(*map(np.asarray, found), training, strict=True):
        w, z = s / s.sum(), coef @ X.T + intercept[:, None]
        r = (1 / (1 + np.exp(-z)) - y) * w
        c, g = (part.reshape(len(coef), -1, size) for part in (coef, r @ X))
        norm, strength = np.linalg.norm(c, axis=2), strengths[:, None] * size**0.5
        there = np.abs(g + (strength / np.where(norm > 0, norm, 1))[..., None] * c).max(axis=2)
        most = max(most, np.where(norm > 0, there, np.linalg.norm(g, axis=2) - strength).max(), np.abs(r.sum(axis=1)).max())
        values.append((np.logaddexp(0, z) - y * z) @ w + strength[:, 0] * norm.sum(axis=1))
    return float(most), np.array(values)


def grpnet(data: dict[str, Any], tol: float) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Seconds, and coef (k, g, n) and intercept (k, g), by adelie in a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, **data)
        command = [os.environ["ADELIE_PYTHON"], "-c", _GRPNET, str(given), str(found), str(tol), str(os.cpu_count() or 1)]
        subprocess.run(command, check=True)
        with np.load(found) as arrays:
            return float(arrays["seconds"]), (arrays["coef"], arrays["intercept"])


def group_prox_newton(data: dict[str, Any], tol: float) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """The same by skglm, its compilation before the clock starts."""
    from skglm.datafits import LogisticGroup  # pyright: ignore[reportMissingImports]
    from skglm.penalties import WeightedGroupL2  # pyright: ignore[reportMissingImports]
    from skglm.solvers import GroupProxNewton  # pyright: ignore[reportMissingImports]

    n, size = data["X"].shape[1], data["size"]
    ends, order = np.arange(0, n + 1, size, dtype=np.int32), np.arange(n, dtype=np.int32)
    solver: Any = GroupProxNewton(tol=tol, max_iter=200, fit_intercept=True, warm_start=True)

    def path(s: np.ndarray, strengths: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
        X, y = np.asfortranarray(data["X"][s > 0]), 2 * data["y"][s > 0] - 1
        w, z, coef, intercept = np.zeros(n + 1), np.zeros(len(y)), [], []
        for strength in strengths:
            penalty = WeightedGroupL2(strength, np.full(n // size, size**0.5), ends, order)
            w = solver.solve(X, y, LogisticGroup(ends, order), penalty, w.copy(), z.copy())[0]
            z = X @ w[:-1] + w[-1]
            coef.append(w[:-1].copy())
            intercept.append(float(w[-1]))
        return coef, intercept

    path(data["training"][0], data["strengths"][:2])
    start = time.perf_counter()
    found = [path(s, data["strengths"]) for s in data["training"]]
    seconds = time.perf_counter() - start
    return seconds, (np.array([coef for coef, _ in found]), np.array([intercept for _, intercept in found]))


def main() -> None:
    """Print a table for each case."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    for name in CASES:
        X, y, training, strengths, size = problem(name)
        given = X, y, training, strengths, size
        groups = np.arange(X.shape[1]) // size
        print(f"{name}, {len(training)} folds x {len(strengths)} strengths")
        print(f"{'':28s}{'cold s':>9s}{'warm s':>9s}{'converged':>11s}{'worst kkt':>11s}{'above, most':>13s}{'least':>10s}")
        reference, ours, others = None, {}, []
        for tol in (1e-10, 1e-6):
            seconds, fit = [], None
            for k in range(REPEATS + 1):
                start = time.perf_counter()
                fit = jaxlr.fit(
                    X,
                    y,
                    l1_group=strengths * (1 + 1e-6 * (REPEATS - k)),
                    groups=groups,
                    sample_weight=training[:, None],
                    tol=tol,
                )
                jax.block_until_ready(fit.kkt)
                seconds.append(time.perf_counter() - start)
            assert fit is not None
            kkt, values = judged(*given, fit.params)
            reference = values if reference is None else reference
            ours[tol] = float(np.median(seconds[1:]))
            above = values - reference
            print(
                f"{f'jaxlr, tol {tol:g}':28s}{seconds[0]:9.2f}{ours[tol]:9.3f}{int(fit.converged.sum()):11d}{kkt:11.1e}"
                f"{above.max():13.1e}{above.min():10.1e}",
                flush=True,
            )
        data: dict[str, Any] = dict(zip(("X", "y", "training", "strengths", "size"), given, strict=True))
        peers = [("adelie", grpnet, (1e-7, 1e-14))] if "ADELIE_PYTHON" in os.environ else []
        for label, run, tols in [*peers, ("skglm", group_prox_newton, (1e-4, 1e-10))]:
            for tol in tols:
                try:
                    seconds, found = run(data, tol)
                except ImportError:
                    print(f"{label} is not installed")
                    break
                kkt, values = judged(*given, found)
                over = values - reference
                print(
                    f"{f'{label}, tol {tol:g}':28s}{'':9s}{seconds:9.3f}{'':11s}{kkt:11.1e}{over.max():13.1e}{over.min():10.1e}"
                )
                others.append((label, tol, seconds, kkt))
        for label, tol, seconds, kkt in others:
            print(
                f"warm: {label} at {tol:g} ({kkt:.0e}) / jaxlr: "
                + ", ".join(f"{seconds / s:.2f} at {t:g}" for t, s in ours.items())
            )
