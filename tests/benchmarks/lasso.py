"""H. 1,000 lasso models: breast cancer (569 x 30, standardized), 10 folds x 100 l1 from 100/569 to 1e-4/569, against glmnet.
I. A lasso path of 100 l1 on 10 folds of very wide data (leukemia, 72 x 7,129), against glmnet and celer (without an intercept).

Each side runs in a process of its own; glmnet times itself in R and keeps its coefficients sparse. Every side is asked for
several tolerances, and the worst KKT residual and duality gap of its models, computed alike for all, stand beside its time, so
that times can be compared at equal gaps. The median of the warm repeats, each with new values (l1 times 1 + 1e-6 k).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks import glmnet, sweep

REPEATS = 5


def problem(name: str, folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardized columns, labels, training masks (10, m), l1 (100,)."""
    if name == "H":
        X, y, training, _ = sweep.problem()
        return X, y, training, np.geomspace(100 / 569, 1e-4 / 569, 100)
    table = np.loadtxt(Path(folder) / "files" / "leukemia_golub.csv.gz", delimiter=",", skiprows=1)
    X, y = table[:, 1:], table[:, 0]
    X = (X - X.mean(0)) / X.std(0)
    fold_of_row = np.random.default_rng(0).permutation(len(y)) % 10
    largest = np.abs(X.T @ (y.mean() - y)).max() / len(y)
    return X, y, (fold_of_row[None, :] != np.arange(10)[:, None]).astype(float), np.geomspace(largest, largest / 100, 100)


def run_jaxlr(X: np.ndarray, y: np.ndarray, training: np.ndarray, tol: float) -> Callable:
    """All models in one call."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)

    def run(l1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fit = jax.block_until_ready(jaxlr.fit(X, y, sample_weight=training[:, None], l1=l1, tol=tol))
        return np.asarray(fit.params.coef), np.asarray(fit.params.intercept)

    return run


def run_celer(X: np.ndarray, y: np.ndarray, training: np.ndarray, tol: float) -> Callable:
    """A path for each fold; its strength is on the scale of the sum."""
    from celer import celer_path  # pyright: ignore[reportMissingImports]

    folds = [(np.asfortranarray(X[s > 0]), 2 * y[s > 0] - 1) for s in training]

    def run(l1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        coef = [celer_path(rows, labels, "logreg", alphas=l1 * len(labels), tol=tol)[1].T for rows, labels in folds]
        return np.array(coef), np.zeros((len(folds), len(l1)))

    return run


SIDES = {
    "H": [("jaxlr", 1e-8), ("glmnet", 1e-7), ("glmnet", 1e-14)],
    "I": [("jaxlr", 1e-2), ("jaxlr", 1e-8), ("glmnet", 1e-7), ("glmnet", 1e-14), ("celer", 1e-4), ("celer", 1e-8)],
}
TIGHT = ("jaxlr", 1e-8)


def evidence(
    name: str, folder: str, side: str, coef: np.ndarray, intercept: np.ndarray, l1: np.ndarray
) -> tuple[float, float, int]:
    """Worst KKT residual and duality gap of the models that a side returned, and how many these are."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, y, training, _ = problem(name, folder)

    def of_one(params: jaxlr.Params, s: jax.Array, l1: jax.Array) -> tuple[jax.Array, jax.Array]:
        one = jaxlr.Problem(X, y, sample_weight=s, l1=l1, fit_intercept=side != "celer")
        return jaxlr.kkt_residual(params, one), jaxlr.duality_gap(params, one)

    of_fold = jax.jit(jax.vmap(of_one, (0, None, 0)))
    worst = [of_fold(jaxlr.Params(*model), s, l1) for model, s in zip(zip(coef, intercept, strict=True), training, strict=True)]
    kkt, gap = (np.array([np.asarray(fold[i]) for fold in worst]) for i in range(2))
    returned = np.isfinite(kkt)
    return float(np.max(kkt[returned])), float(np.max(gap[returned])), int(returned.sum())


def report(name: str, folder: str, side: str, tol: float, out: str) -> None:
    """Measure one side, print it as JSON, and write its coefficients to a file."""
    X, y, training, l1 = problem(name, folder)
    if side == "glmnet":
        seconds, coef, intercept = glmnet.run(X, y, training, l1, tol, REPEATS, alpha=1)
    else:
        run = (run_jaxlr if side == "jaxlr" else run_celer)(X, y, training, tol)
        seconds, coef, intercept = [], np.empty(0), np.empty(0)
        for k in range(REPEATS + 1):
            start = time.perf_counter()
            coef, intercept = run(l1 * (1 + 1e-6 * k))
            seconds.append(time.perf_counter() - start)
    np.save(out, coef)
    kkt, gap, returned = evidence(name, folder, side, coef, intercept, l1 * (1 + 1e-6 * REPEATS))
    print(json.dumps({"cold": seconds[0], "warm": float(np.median(seconds[1:])), "kkt": kkt, "gap": gap, "returned": returned}))


def apart(out: str, coefs: str) -> str:
    """The largest difference of a coefficient from jaxlr's at its tight tolerance, as a share of its model's largest one."""
    if "celer" in out:  # it has no intercept
        return "-"
    coef, certified = np.load(out), np.load(f"{coefs}/{TIGHT[0]}{TIGHT[1]}.npy")
    largest = np.abs(certified).max(axis=-1)
    return f"{np.nanmax(np.abs(coef - certified).max(axis=-1) / np.where(largest > 0, largest, 1)):.0e}"


def main(name: str, folder: str) -> None:
    """Print the table; the last column compares coefficients with those of jaxlr at its tight tolerance."""
    print(
        {"H": "H. lasso, breast cancer 569 x 30", "I": "I. lasso, leukemia 72 x 7,129"}[name] + ", 10 folds x 100 l1, 2 cores"
    )
    print(
        f"{'':28s}{'cold s':>8s}{'warm s':>9s}{'models/s':>10s}{'returned':>10s}"
        f"{'worst kkt':>11s}{'worst gap':>11s}{'coef':>9s}"
    )
    warm, coefs = {}, tempfile.mkdtemp()
    for side, tol in sorted(SIDES[name], key=lambda side: side != TIGHT):
        out = f"{coefs}/{side}{tol}.npy"
        call = f"from tests.benchmarks import lasso; lasso.report({name!r}, {folder!r}, {side!r}, {tol!r}, {out!r})"
        done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False)
        label = f"{side}, tolerance {tol:.0e}"
        if done.returncode:
            print(f"{label:28s}failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        warm[label] = row["warm"]
        print(
            f"{label:28s}{row['cold']:8.2f}{row['warm']:9.3f}{1000 / row['warm']:10,.0f}{row['returned']:10d}"
            f"{row['kkt']:11.1e}{row['gap']:11.1e}{apart(out, coefs):>9s}"
        )
    ours = [seconds for label, seconds in warm.items() if label.startswith("jaxlr")]
    for label, seconds in warm.items():
        if not label.startswith("jaxlr") and ours:
            print(f"warm: {label} / jaxlr = {seconds / ours[0]:.1f}")
