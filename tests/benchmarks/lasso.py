"""H. 1,000 lasso models: breast cancer (569 x 30, standardized), 10 folds x 100 l1 from 100/569 to 1e-4/569, against glmnet.
I. A lasso path of 100 l1 on 10 folds of very wide data (leukemia, 72 x 7,129), against glmnet and celer (without an intercept);
the same at random, and with an l1 share of 0.1.
lasso. One path of 50 l1 down to a hundredth of the largest, on larger data.

Each side runs in a process of its own; glmnet times itself in R and keeps its coefficients sparse. Every side is asked for
several tolerances, and the worst KKT residual and duality gap of its models, computed alike for all, stand beside its time, so
that times can be compared at equal gaps. The median of the warm repeats, each with new values (l1 times 1 + 1e-6 k); a side
that takes over five minutes is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import glmnet, sweep

REPEATS = 5
SECONDS = 300  # for a side, with its repeats


class Case(NamedTuple):
    """Title, share of l1 in the strength, folds (1: all rows), strengths, the last as a share of the first, and classes."""

    title: str
    share: float = 1.0
    folds: int = 10
    strengths: int = 100
    least: float = 0.01
    classes: int = 2


CASES = {
    "H": Case("H. lasso, breast cancer 569 x 30"),
    "I": Case("I. lasso, leukemia 72 x 7,129"),
    "I2": Case("I2. lasso, normal 72 x 7,129"),
    "I3": Case("I3. l1 share 0.1, normal 72 x 7,129", share=0.1),
    "N1": Case("N1. lasso, MNIST odd or even 10,000 x 784", folds=1, strengths=50),
    "N2": Case("N2. lasso, normal 50,000 x 100", folds=1, strengths=50),
    "N3": Case("N3. lasso, rank 20 and noise 20,000 x 500", folds=1, strengths=50),
    "N4": Case("N4. lasso, normal 2,000 x 2,000", folds=1, strengths=50),
    "N5": Case("N5. l1 share 0.5, normal 2,000 x 2,000", share=0.5, folds=1, strengths=50),
    "N6": Case("N6. the rows of N3 in 10 folds", strengths=50),
    "N7": Case("N7. three classes, normal 336 x 3,348", folds=1, strengths=20, least=0.05, classes=3),
}
TABLES = {"H": ["H"], "I": ["I", "I2", "I3"], "lasso": ["N1", "N2", "N3", "N4", "N5", "N6", "N7"]}


def problem(name: str, folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns, labels, training masks (folds, m), strengths of the penalty."""
    case, rng = CASES[name], np.random.default_rng(0)
    if name == "H":
        X, y, training, _ = sweep.problem()
        return X, y, training, np.geomspace(100 / 569, 1e-4 / 569, 100)
    if name == "I":
        table = np.loadtxt(Path(folder) / "files" / "leukemia_golub.csv.gz", delimiter=",", skiprows=1)
        X, y = table[:, 1:], table[:, 0]
        X = (X - X.mean(0)) / X.std(0)
    elif name == "N1":
        images = np.load(Path(folder) / "files" / "mnist_t10k.npz")
        X, y = images["X"].reshape(10_000, -1) / 255, (images["y"] % 2).astype(float)
    elif name == "N7":
        X, effects = rng.standard_normal((336, 3348)), np.zeros((3348, 3))
        effects[:20] = rng.standard_normal((20, 3))
        y = np.argmax(X @ effects + rng.gumbel(size=(336, 3)), axis=1).astype(float)
    else:
        shape = {"I2": (72, 7129), "I3": (72, 7129), "N2": (50_000, 100), "N3": (20_000, 500)}
        shape = shape.get("N3" if name == "N6" else name, (2000, 2000))
        X = rng.standard_normal(shape)
        if name in ("N3", "N6"):
            X += rng.standard_normal((shape[0], 20)) @ rng.standard_normal((20, shape[1]))
            X = (X - X.mean(0)) / X.std(0)
        effects = np.zeros(shape[1])
        effects[: shape[1] // 40 or 5] = 0.5 * rng.standard_normal(shape[1] // 40 or 5)
        y = (X @ effects + rng.logistic(size=shape[0]) > 0).astype(float)
    fold_of_row = np.random.default_rng(0).permutation(len(y)) % 10
    training = (fold_of_row[None, :] != np.arange(10)[:, None]) if case.folds > 1 else np.ones((1, len(y)))
    labels = y if case.classes == 2 else (y[:, None] == np.arange(case.classes)).astype(float)
    largest = np.abs(X.T @ (labels.mean(axis=0) - labels)).max() / len(y) / case.share
    return X, y, training.astype(float), np.geomspace(largest, case.least * largest, case.strengths)


def run_jaxlr(
    X: np.ndarray, y: np.ndarray, training: np.ndarray, tol: float, share: float, num_classes: int | None = None
) -> Callable:
    """All models in one call."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)

    def run(strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        l1, l2 = jaxlr.elastic_net(strengths, share) if share < 1 else (strengths, 0.0)
        weights = training[:, None] if len(training) > 1 else None
        fit = jax.block_until_ready(jaxlr.fit(X, y, sample_weight=weights, l1=l1, l2=l2, tol=tol, num_classes=num_classes))
        lead, classes = (len(training), len(strengths)), () if num_classes is None else (num_classes,)
        coef, intercept = np.asarray(fit.params.coef), np.asarray(fit.params.intercept)
        return coef.reshape(*lead, *classes, -1), intercept.reshape(*lead, *classes)

    return run


def run_celer(X: np.ndarray, y: np.ndarray, training: np.ndarray, tol: float) -> Callable:
    """A path for each fold; its strength is on the scale of the sum."""
    from celer import celer_path  # pyright: ignore[reportMissingImports]

    folds = [(np.asfortranarray(X[s > 0]), 2 * y[s > 0] - 1) for s in training]

    def run(l1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        coef = [celer_path(rows, labels, "logreg", alphas=l1 * len(labels), tol=tol)[1].T for rows, labels in folds]
        return np.array(coef), np.zeros((len(folds), len(l1)))

    return run


TIGHT = ("jaxlr", 1e-8)
SIDES = {name: [TIGHT, ("glmnet", 1e-7), ("glmnet", 1e-14)] for name in CASES}
SIDES["N7"] = [TIGHT]
SIDES["I"] += [("jaxlr", 1e-2), ("celer", 1e-4), ("celer", 1e-8)]
for name in ("I2", "N1", "N2", "N3", "N4"):
    SIDES[name] += [("celer", 1e-4)]


def worst_evidence(
    X: np.ndarray,
    y: np.ndarray,
    training: np.ndarray,
    strengths: np.ndarray,
    share: float,
    side: str,
    coef: np.ndarray,
    intercept: np.ndarray,
) -> tuple[float, float, int]:
    """Worst KKT residual and duality gap of the models that a side returned, and how many these are."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)

    kind = jaxlr.Params if coef.ndim == 3 else jaxlr.SoftmaxParams

    def of_one(params: Any, s: jax.Array, strength: jax.Array) -> tuple[jax.Array, jax.Array]:
        l1, l2 = share * strength, (1 - share) * strength
        one = jaxlr.Problem(X, y, sample_weight=s, l1=l1, l2=l2, fit_intercept=side != "celer")
        return jaxlr.kkt_residual(params, one), jaxlr.duality_gap(params, one)

    of_fold = jax.jit(jax.vmap(of_one, (0, None, 0)))
    models = zip(coef, intercept, training, strict=True)
    worst = [of_fold(kind(*fold), s, strengths) for *fold, s in models]
    kkt, gap = (np.array([np.asarray(fold[i]) for fold in worst]) for i in range(2))
    returned = np.isfinite(kkt)
    return float(np.max(kkt[returned])), float(np.max(gap[returned])), int(returned.sum())


def most_used(coef: np.ndarray) -> int:
    """The most coefficients of a model that are not 0, of all classes."""
    return int(np.count_nonzero(np.nan_to_num(coef).reshape(*coef.shape[:2], -1), axis=-1).max())


def report(name: str, folder: str, side: str, tol: float, out: str) -> None:
    """Measure one side, print it as JSON, and write its coefficients to a file."""
    X, y, training, strengths = problem(name, folder)
    share = CASES[name].share
    if side == "glmnet":
        seconds, coef, intercept = glmnet.run(X, y, training, strengths, tol, REPEATS, alpha=share)
    else:
        classes = None if CASES[name].classes == 2 else CASES[name].classes
        run = run_jaxlr(X, y, training, tol, share, classes) if side == "jaxlr" else run_celer(X, y, training, tol)
        seconds, coef, intercept = [], np.empty(0), np.empty(0)
        for k in range(REPEATS + 1):
            start = time.perf_counter()
            coef, intercept = run(strengths * (1 + 1e-6 * k))
            seconds.append(time.perf_counter() - start)
    np.save(out, coef)
    kkt, gap, returned = worst_evidence(X, y, training, strengths * (1 + 1e-6 * REPEATS), share, side, coef, intercept)
    row = {"cold": seconds[0], "warm": float(np.median(seconds[1:])), "kkt": kkt, "gap": gap, "returned": returned}
    print(json.dumps(row | {"used": most_used(coef)}))


def apart(out: str, coefs: str) -> str:
    """The largest difference of a coefficient from jaxlr's at its tight tolerance, as a share of its model's largest one."""
    if "celer" in out:  # it has no intercept
        return "-"
    coef, certified = np.load(out), np.load(f"{coefs}/{TIGHT[0]}{TIGHT[1]}.npy")
    largest = np.abs(certified).max(axis=-1)
    return f"{np.nanmax(np.abs(coef - certified).max(axis=-1) / np.where(largest > 0, largest, 1)):.0e}"


def main(table: str, folder: str) -> None:
    """Print the tables of a name; the last column compares coefficients with those of jaxlr at its tight tolerance."""
    for name in TABLES[table]:
        _one(name, folder)


def _one(name: str, folder: str) -> None:
    case = CASES[name]
    print(f"{case.title}, {case.folds} x {case.strengths} models, {os.cpu_count()} cores")
    print(
        f"{'':28s}{'cold s':>8s}{'warm s':>9s}{'models/s':>10s}{'returned':>10s}{'non-zero':>10s}"
        f"{'worst kkt':>11s}{'worst gap':>11s}{'coef':>9s}"
    )
    warm, coefs = {}, tempfile.mkdtemp()
    for side, tol in sorted(SIDES[name], key=lambda side: side != TIGHT):
        out = f"{coefs}/{side}{tol}.npy"
        call = f"from tests.benchmarks import lasso; lasso.report({name!r}, {folder!r}, {side!r}, {tol!r}, {out!r})"
        label = f"{side}, tolerance {tol:.0e}"
        try:
            done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"{label:28s}not done after {SECONDS} s for {REPEATS + 1} calls")
            continue
        if done.returncode:
            print(f"{label:28s}failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        warm[label] = row["warm"]
        print(
            f"{label:28s}{row['cold']:8.2f}{row['warm']:9.3f}{case.folds * case.strengths / row['warm']:10,.0f}"
            f"{row['returned']:10d}{row['used']:10d}"
            f"{row['kkt']:11.1e}{row['gap']:11.1e}{apart(out, coefs):>9s}"
        )
    ours = [seconds for label, seconds in warm.items() if label.startswith("jaxlr")]
    for label, seconds in warm.items():
        if not label.startswith("jaxlr") and ours:
            print(f"warm: {label} / jaxlr = {seconds / ours[0]:.1f}")
