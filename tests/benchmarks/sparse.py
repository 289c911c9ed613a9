"""Sparse designs, S: text and counts, l2 and l1, many classes, one-hot columns, one large model.

    S1    rt_polarity, 10 folds x 20 l2 from 1e-2 to 1e-6           S3    20 classes, Zipf counts, 10 l2
    S2    the same, 10 folds x 50 l1 from l1_max to l1_max / 100    S4    a9a, 5 folds x 20 l2, beside the dense array
    S5    one model, 200,000 x 100,000 Zipf counts                  S6    S2 as one path

Each case and side runs in a process of its own. Cold is the first call, compilation included and nothing cached; warm is the
second, with new values (strengths times 1 + 1e-6). scikit-learn runs over joblib on all cores, whose processes are there
already, a fold or a strength a job; "converged" counts its models that did not warn. "jaxlr, tol 1e-3" is asked for about the
residual of scikit-learn's defaults. The worst residual, of two folds, is that of `residual`, alike for both sides; the mean
objective is J of these models. Memory is the peak of the process over what it had with the data, in units of the matrix; on our
side the compiler's 50 to 90 MB are in it.
"""

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from scipy.special import log_softmax

TOL, LIMIT = 1e-6, 900  # seconds a side
LOOSE = "jaxlr, tol 1e-3"


@dataclass(frozen=True)
class Case:
    """Models of one design.

    Attributes:
        l2: strengths, from strong to weak.
        l1: shares of l1_max, likewise, in place of l2.
        peers: scikit-learn's solvers, and their tolerances.
    """

    title: str
    source: str
    l2: tuple[float, ...] = ()
    l1: tuple[float, ...] = ()
    num_folds: int = 1
    num_classes: int = 2
    peers: tuple[tuple[str, float], ...] = ()


TEXT, L1 = "rt_polarity", tuple(np.geomspace(1, 0.01, 50))
CASES = {
    "S1": Case("rt_polarity, 10 folds x 20 l2", TEXT, tuple(np.logspace(-2, -6, 20)), num_folds=10,
               peers=(("liblinear", 1e-4), ("newton-cg", 1e-4), ("newton-cg", 1e-6))),
    "S2": Case("rt_polarity, 10 folds x 50 l1", TEXT, l1=L1, num_folds=10, peers=(("liblinear", 1e-4), ("saga", 1e-3))),
    "S3": Case("Zipf, 20,000 x 50,000, 20 classes, 10 l2", "20000 50000", tuple(np.logspace(-3, -6, 10)), num_classes=20,
               peers=(("newton-cg", 1e-4), ("saga", 1e-3))),
    "S4": Case("a9a, 5 folds x 20 l2", "a9a", tuple(np.logspace(-1, -5, 20)), num_folds=5, peers=(("newton-cg", 1e-4),)),
    "S5": Case("Zipf, 200,000 x 100,000, one model", "200000 100000", (1e-5,),
               peers=(("newton-cg", 1e-4), ("newton-cg", 1e-6), ("liblinear", 1e-4))),
    "S6": Case("rt_polarity, one path of 50 l1", TEXT, l1=L1, peers=(("liblinear", 1e-4),)),
}  # fmt: skip


def zipf(m: int, n: int, num_classes: int, per_row: int = 60) -> tuple[Any, np.ndarray]:
    """Logarithms of counts of words with frequencies 1 / rank, rows of length 1, and labels of a model with a twentieth of
    the words in it."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, n + 1)
    words = rng.choice(n, size=m * per_row, p=frequency / frequency.sum())
    X = scipy.sparse.csr_array((np.ones(m * per_row), (np.repeat(np.arange(m), per_row), words)), shape=(m, n))
    X.sum_duplicates()
    X.data = np.log1p(X.data)
    X = scipy.sparse.csr_array(X.multiply(1 / np.sqrt(X.multiply(X).sum(axis=1))[:, None]))
    Z = X @ (rng.normal(size=(n, num_classes)) * (rng.random((n, 1)) < 0.05))
    return X, np.argmax(2 * Z / Z.std() + rng.gumbel(size=Z.shape), axis=1)


def data(case: Case, folder: str) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, labels, the training rows of each fold (f, m), and l1 and l2 of each model of a fold."""
    X: Any
    if case.source[0].isdigit():
        m, n = map(int, case.source.split())
        X, labels = zipf(m, n, case.num_classes)
    else:
        raw: Any = np.load(os.path.join(folder, "files", f"{case.source}.npz"))
        values = raw["data"].astype(float) if "data" in raw else np.ones(len(raw["indices"]))
        X = scipy.sparse.csr_array((values, raw["indices"], raw["indptr"]), shape=tuple(raw["shape"]))
        labels = (raw["y"] > 0).astype(int)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)  # liblinear takes no others
    fold_of_row = np.random.default_rng(1).permutation(X.shape[0]) % case.num_folds
    training = fold_of_row != np.arange(case.num_folds)[:, None] if case.num_folds > 1 else np.ones((1, X.shape[0]), bool)
    most = np.abs(X.T @ (labels - labels.mean())).max() / X.shape[0]  # l1_max
    l1 = most * np.asarray(case.l1) if case.l1 else np.zeros(len(case.l2))
    return X, labels, training, l1, np.asarray(case.l2) if case.l2 else np.zeros(len(case.l1))


def residual(X: Any, labels: np.ndarray, l1: float, l2: float, coef: np.ndarray, intercept: np.ndarray) -> tuple[float, float]:
    """The KKT residual of one model, the largest violation by a coefficient in standard deviations of its column, coef (K, n)
    with K = 1 for two classes; and its objective."""
    m, coef = X.shape[0], np.atleast_2d(coef)
    z = X @ coef.T + np.ravel(intercept)
    z = np.hstack([0 * z, z]) if z.shape[1] == 1 else z
    logs = log_softmax(z, axis=1)
    r = (np.exp(logs) - np.eye(z.shape[1])[labels])[:, -len(coef) :] / m
    mean = X.mean(axis=0)
    sd = np.sqrt(np.maximum(X.multiply(X).mean(axis=0) - mean**2, 0))
    u = (X.T @ r).T - mean[None, :] * r.sum(axis=0)[:, None] + l2 * coef
    violation = np.where(coef != 0, np.abs(u + l1 * np.sign(coef)), np.maximum(np.abs(u) - l1, 0))
    worst = max((violation / np.where(sd < 1e-9, 1, sd)[None, :]).max(), np.abs(r.sum(axis=0)).max())
    penalty = l1 * np.abs(coef).sum() + l2 / 2 * (coef**2).sum()
    return float(worst), float(penalty - logs[np.arange(m), labels].mean())


def peak() -> float:
    """Of the memory of this process, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def measure_jaxlr(case: Case, folder: str, dense: bool, tol: float) -> dict[str, Any]:
    """Cold and warm seconds, how many converged, the worst residual, the mean objective, and memory."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, labels, training, l1, l2 = data(case, folder)
    given: Any = X.toarray() if dense else X
    options: dict[str, Any] = {"num_classes": case.num_classes} if case.num_classes > 2 else {}
    if case.num_folds > 1:
        options["sample_weight"] = training[:, None].astype(float)
    before, seconds = peak(), []
    fit: Any = None
    for k in range(2):
        strengths = {"l1": l1 * (1 + 1e-6 * k)} if case.l1 else {"l2": l2 * (1 + 1e-6 * k)}
        start = time.perf_counter()
        fit = jax.block_until_ready(jaxlr.fit(given, labels, **strengths, tol=tol, **options))
        seconds.append(time.perf_counter() - start)
    taken = peak() - before
    batch = (case.num_folds, len(l2))
    coef = np.asarray(fit.params.coef).reshape(*batch, -1, X.shape[1])
    intercept = np.asarray(fit.params.intercept).reshape(*batch, -1)
    judged = [
        residual(X[training[f]], labels[training[f]], l1[i] * (1 + 1e-6), l2[i] * (1 + 1e-6), coef[f, i], intercept[f, i])
        for f in range(min(batch[0], 2))
        for i in range(batch[1])
    ]
    done = f"{int(np.asarray(fit.converged).sum())}/{fit.status.size}"
    return summary(X, seconds, judged, done, taken)


def summary(X: Any, seconds: list[float], judged: list[tuple[float, float]], done: str, taken: float) -> dict[str, Any]:
    """A row of the table."""
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    worst, objective = np.max([found[0] for found in judged]), np.mean([found[1] for found in judged])
    return {"cold": seconds[0], "warm": seconds[-1], "worst": worst, "mean": objective, "done": done, "memory": taken / size}


def measure_peer(case: Case, folder: str, solver: str, tol: float) -> dict[str, Any]:
    """The same of scikit-learn."""
    from joblib import Parallel, delayed
    from sklearn.linear_model import LogisticRegression

    X, labels, training, l1, l2 = data(case, folder)
    cores = os.cpu_count() or 1
    rows = [(X[of], labels[of]) for of in training]

    def path(X: Any, labels: np.ndarray, at: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int]]:
        kind: dict[str, Any] = {"penalty": "l1"} if case.l1 else {}
        model = LogisticRegression(solver=solver, tol=tol, max_iter=10_000, warm_start=True, random_state=0, **kind)
        found = []
        for strength in (l1 if case.l1 else l2)[at]:
            model.C = 1 / (strength * X.shape[0])
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, labels)
            failed = any("converge" in str(warning.message) for warning in caught)
            found.append((np.array(model.coef_), np.array(model.intercept_), failed))
        return found

    before, pool = peak(), Parallel(cores, max_nbytes="1M")
    apart = case.num_folds == 1 and len(l2) > 1  # no folds to deal out: strengths
    parts = np.array_split(np.arange(len(l2)), cores if apart else 1)
    pool(delayed(len)([]) for _ in range(cores))
    start = time.perf_counter()
    found: Any = pool(delayed(path)(*of, part) for of in rows for part in parts)
    seconds = [time.perf_counter() - start]
    models = [[model for part in found[f * len(parts) : (f + 1) * len(parts)] for model in part] for f in range(len(rows))]
    judged = [residual(*rows[f], l1[i], l2[i], *models[f][i][:2]) for f in range(min(len(rows), 2)) for i in range(len(l2))]
    quiet = sum(not model[2] for of in models for model in of)
    return summary(X, seconds, judged, f"{quiet}/{len(rows) * len(l2)}", peak() - before)


def report(name: str, folder: str, side: str) -> None:
    """Measure one side and print it as JSON."""
    case = CASES[name]
    if side.startswith("jaxlr"):
        print(json.dumps(measure_jaxlr(case, folder, "dense" in side, 1e-3 if side == LOOSE else TOL)))
    else:
        solver, tol = side.split()
        print(json.dumps(measure_peer(case, folder, solver, float(tol))))


def main(folder: str) -> None:
    """Print a table for each case."""
    for name, case in CASES.items():
        print(f"{name}. {case.title}, {os.cpu_count()} cores")
        print(f"{'':34s}{'cold s':>9s}{'warm s':>9s}{'converged':>11s}{'worst kkt':>11s}{'mean J':>14s}{'memory':>8s}")
        dense = ["jaxlr, dense array"] if name == "S4" else []
        sides = ["jaxlr", LOOSE, *dense, *(f"{solver} {tol:g}" for solver, tol in case.peers)]
        warm = {}
        for side in sides:
            code = f"from tests.benchmarks import sparse; sparse.report({name!r}, {folder!r}, {side!r})"
            try:
                run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                print(f"{side:34s}over {LIMIT} s")
                continue
            row = json.loads(run.stdout.splitlines()[-1])
            warm[side] = row["warm"]
            print(
                f"{side:34s}{row['cold']:9.2f}{row['warm']:9.2f}{row['done']:>11s}{row['worst']:11.1e}{row['mean']:14.10f}"
                f"{row['memory']:8.1f}",
                flush=True,
            )
        best = min(seconds for side, seconds in warm.items() if side not in ("jaxlr", LOOSE))
        for side in ("jaxlr", LOOSE):
            print(f"warm: best of the others / {side} = {best / warm[side]:.2f}")
