"""Few models of many columns: P. probes on embeddings, M. multinomial models of MNIST, N. single models in float64.

Each case and side runs in a process of its own. Cold is the first call, compilation included and nothing cached; warm is the
median of three with new values (l2 times 1 + 1e-6 k). scikit-learn fits a path from the strongest penalty on, each model from
the one before (`warm_start`), with its threads in BLAS for one set of rows, and one fold a worker of joblib for several, of
which it is timed on as many as there are cores. Its tolerance is its default, looser than ours; "jaxlr, tol 1e-3" is asked for
the residual that it reaches. The worst residual of the timed models is that of `residual`, in NumPy and float64, alike for both
sides: the largest slope by a coefficient, in standard deviations of its column.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

REPEATS = 3
LOOSE = "jaxlr, tol 1e-3"


@dataclass(frozen=True)
class Case:
    """Models of one design.

    Attributes:
        shape: rows and columns; None for MNIST.
        l2: strengths, from strong to weak.
        num_folds: each strength is fitted to the training rows of so many.
        dtype: of both sides.
        peers: scikit-learn's solvers.
    """

    title: str
    shape: tuple[int, int] | None
    l2: tuple[float, ...]
    num_folds: int = 1
    dtype: str = "float32"
    peers: tuple[str, ...] = ("newton-cg", "lbfgs")


EIGHT, SIX = tuple(np.logspace(-1, -5, 8)), tuple(np.logspace(-2, -5, 6))
CASES = {
    "P": [
        Case(f"{title}, {m:,} x {n:,} float32", (m, n), l2, num_folds)
        for m, n in ((8000, 1024), (5000, 2048))
        for title, l2, num_folds in (("one model", (1e-3,), 1), ("8 l2", EIGHT, 1), ("5 folds x 8 l2", EIGHT, 5))
    ],
    "M": [
        Case(f"{title}, MNIST 10,000 x 784, 10 classes, {dtype}", None, l2, dtype=dtype)
        for dtype in ("float32", "float64")
        for title, l2 in (("one model", (1e-4,)), ("6 l2", SIX))
    ],
    "N": [
        Case(f"one model, {m:,} x {n:,} float64" + ("" if l2 else ", no penalty"), (m, n), (l2,), dtype="float64", peers=peers)
        for m, n, l2 in ((5000, 2000, 1e-3), (20_000, 1500, 1e-3), (2000, 4000, 1e-3), (4000, 1000, 0.0))
        for peers in [("newton-cg", "lbfgs", "newton-cholesky") if m < 20_000 else ("newton-cg", "lbfgs")]
    ],
}


def data(case: Case, folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, labels, and the training rows of each fold (f, m): a spectrum of 1 / sqrt(j), or MNIST's test images. Without a
    penalty the signal is weak, or the data would be separated."""
    rng = np.random.default_rng(0)
    if case.shape is None:
        raw = np.load(os.path.join(folder, "files", "mnist_t10k.npz"))
        X, labels = raw["X"] / 255.0, raw["y"].astype(int)
    else:
        m, n = case.shape
        X = rng.normal(size=(m, n)) / np.sqrt(np.arange(1, n + 1)) @ np.linalg.qr(rng.normal(size=(n, n)))[0]
        labels = ((2 if min(case.l2) else 0.3) * X @ rng.normal(size=n) + rng.logistic(size=m) > 0).astype(int)
    fold_of_row = rng.permutation(len(X)) % case.num_folds
    training = np.ones((1, len(X)), bool) if case.num_folds == 1 else fold_of_row != np.arange(case.num_folds)[:, None]
    return X.astype(case.dtype), labels, training


def residual(X: np.ndarray, labels: np.ndarray, l2: float, coef: np.ndarray, intercept: np.ndarray) -> float:
    """The KKT residual of one ridge model, coef (K, n) with K = 1 for two classes."""
    X, coef, K = X.astype(float), np.atleast_2d(coef).astype(float), max(len(coef), 2) if np.ndim(coef) == 2 else 2
    z = X @ coef.T + np.ravel(intercept)
    z = np.hstack([0 * z, z]) if z.shape[1] == 1 else z
    p = np.exp(z - z.max(1, keepdims=True))
    r = (p / p.sum(1, keepdims=True) - np.eye(K)[labels]) / len(X)
    r = r[:, -len(coef) :]
    u = (X - X.mean(0)).T @ r + l2 * coef.T
    sd = X.std(0)
    return float(max(np.abs(u / np.where(sd < 1e-6, 1, sd)[:, None]).max(), np.abs(r.sum(0)).max()))


def measure_jaxlr(case: Case, folder: str, tol: float | None) -> dict[str, Any]:
    """Cold and median warm seconds, how many converged, the worst residual."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", case.dtype == "float64")
    X, labels, training = data(case, folder)
    options: dict[str, Any] = {"num_classes": 10} if case.shape is None else {}
    if tol is not None:
        options["tol"] = tol
    if case.num_folds > 1:
        options["sample_weight"] = training[:, None].astype(case.dtype)
    seconds: list[float] = []
    fit: Any = None
    for k in range(REPEATS + 1):
        l2 = np.asarray(case.l2, case.dtype) * np.dtype(case.dtype).type(1 + 1e-6 * k)
        start = time.perf_counter()
        fit = jax.block_until_ready(jaxlr.fit(X, labels, l2=l2 if l2.size > 1 else l2[0], **options))
        seconds.append(time.perf_counter() - start)
    batch = (case.num_folds, len(case.l2))
    coef = np.asarray(fit.params.coef).reshape(*batch, *fit.params.coef.shape[fit.status.ndim :])
    intercept = np.asarray(fit.params.intercept).reshape(*batch, -1)
    strengths = np.asarray(case.l2) * (1 + 1e-6 * REPEATS)
    rows = [(X[of], labels[of]) for of in training]
    worst = max(residual(*rows[f], strengths[i], coef[f, i], intercept[f, i]) for f in range(batch[0]) for i in range(batch[1]))
    done = f"{int(np.asarray(fit.converged).sum())}/{fit.status.size}"
    return {"cold": seconds[0], "warm": float(np.median(seconds[1:])), "worst": worst, "done": done}


def measure_peer(case: Case, folder: str, solver: str) -> dict[str, Any]:
    """The same of scikit-learn, scaled to all folds."""
    from joblib import Parallel, delayed
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    X, labels, training = data(case, folder)
    timed = min(case.num_folds, os.cpu_count() or 1)
    rows = [(X[of], labels[of]) for of in training[:timed]]

    def path(X: np.ndarray, labels: np.ndarray, factor: float, threads: int | None) -> list[tuple[np.ndarray, np.ndarray, int]]:
        model, found = LogisticRegression(solver=solver, max_iter=10_000, warm_start=True), []
        for l2 in case.l2:
            model.C = 1 / (l2 * factor * len(X)) if l2 else np.inf
            with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, labels)
            found.append((np.array(model.coef_), np.array(model.intercept_), len(caught)))
        return found

    pool: Any = Parallel(timed, max_nbytes="1M")
    seconds, found = [], []
    for k in range(2):
        start = time.perf_counter()
        found = pool(delayed(path)(*of, 1 + 1e-6 * k, None if timed == 1 else 1) for of in rows)
        seconds.append((time.perf_counter() - start) * case.num_folds / timed)
    worst = max(
        residual(*of, l2 * (1 + 1e-6), coef, intercept)
        for of, models in zip(rows, found, strict=True)
        for l2, (coef, intercept, _) in zip(case.l2, models, strict=True)
    )
    quiet = sum(model[2] == 0 for models in found for model in models)
    return {"cold": seconds[0], "warm": seconds[1], "worst": worst, "done": f"{quiet}/{timed * len(case.l2)}"}


def report(letter: str, at: int, folder: str, side: str) -> None:
    """Measure one side and print it as JSON."""
    case = CASES[letter][at]
    ours = {"jaxlr": None, LOOSE: 1e-3}
    print(json.dumps(measure_jaxlr(case, folder, ours[side]) if side in ours else measure_peer(case, folder, side)))


def main(letter: str, folder: str) -> None:
    """Print the tables of one letter."""
    for at, case in enumerate(CASES[letter]):
        print(f"{letter}. {case.title}, {os.cpu_count()} cores")
        print(f"{'':34s}{'cold s':>9s}{'warm s':>9s}{'converged':>11s}{'worst kkt':>11s}")
        warm = {}
        for side in ("jaxlr", LOOSE, *case.peers):
            code = f"from tests.benchmarks import wide; wide.report({letter!r}, {at}, {folder!r}, {side!r})"
            run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            name = side if side in ("jaxlr", LOOSE) else "scikit-learn " + side
            if run.returncode:
                print(f"{name:34s}failed: {run.stderr.strip().splitlines()[-1]}")
                continue
            row = json.loads(run.stdout.splitlines()[-1])
            warm[side] = row["warm"]
            print(f"{name:34s}{row['cold']:9.2f}{row['warm']:9.3f}{row['done']:>11s}{row['worst']:11.1e}", flush=True)
        peers = [seconds for side, seconds in warm.items() if side in case.peers]
        for side in (side for side in ("jaxlr", LOOSE) if side in warm and peers):
            print(f"warm: best peer / {side} = {min(peers) / warm[side]:.2f}")
