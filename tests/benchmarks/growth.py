"""How time and memory grow: 10 to 100,000 models of 200 x 10, one model of 4,000 x 10 to 4,000, one of 100 to 1,000,000 x 20.

Float64, l2 = 1e-3, warm: the median of three with new values, beside the fastest of scikit-learn's solvers at its default
tolerance, which is looser than ours; it fits up to 50 of many models, on all cores, and is scaled to all. Each point and side
runs in a process of its own; memory is what its resident set grew by from just before the first call, compilation included,
and is left out where scikit-learn's workers have it. A point over the curve beside it is a cliff.
"""

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.wide import residual

CURVES = {
    "models": [10, 100, 1_000, 10_000, 100_000],
    "columns": [10, 30, 100, 300, 1_000, 2_000, 4_000],
    "rows": [100, 1_000, 10_000, 100_000, 1_000_000],
}
PEERS = ("newton-cholesky", "lbfgs", "newton-cg")
L2, REPEATS, SOME = 1e-3, 3, 50
FIGURE = Path(__file__).parent.parent.parent / "examples" / "figures" / "growth.png"


def data(curve: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """X (m, n) and y, of many models (k, m)."""
    rng = np.random.default_rng(0)
    m, n = {"models": (200, 10), "columns": (4000, size), "rows": (size, 20)}[curve]
    X = rng.normal(size=(m, n))
    Z = X @ rng.normal(size=(n, size if curve == "models" else 1)) / np.sqrt(n)
    y = (Z + rng.logistic(size=Z.shape) > 0).T.astype(float)
    return X, y if curve == "models" else y[0]


def measure(curve: str, size: int, side: str) -> None:
    """Print the numbers of one side as JSON."""
    X, y = data(curve, size)
    each = y if curve == "models" else y[None]
    chosen = np.unique(np.linspace(0, len(each) - 1, min(len(each), SOME)).round().astype(int))
    run, of_some = (jaxlr_side if side == "jaxlr" else peer_side)(X, y, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for k in range(REPEATS + 1):
        start = time.perf_counter()
        run(each[chosen] if of_some else y, L2 * (1 + 1e-6 * k))
        seconds.append(time.perf_counter() - start)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    coef, intercept, done, total = run(each[chosen] if of_some else y, L2)
    coef, intercept = (coef[chosen], intercept[chosen]) if len(coef) > len(chosen) else (coef, intercept)
    worst = max(residual(X, each[i].astype(int), L2, *model) for i, *model in zip(chosen, coef, intercept, strict=True))
    scale = len(each) / len(chosen) if of_some else 1
    row = {"first": seconds[0], "warm": float(np.median(seconds[1:])) * scale, "done": f"{done}/{total}", "worst": worst}
    print(json.dumps(row | {"peak": None if of_some and curve == "models" else peak}))


def jaxlr_side(X: np.ndarray, y: np.ndarray, _: str) -> tuple[Any, bool]:
    """A call for all models: coef (k, n), intercepts, how many converged, and of how many."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    jax.block_until_ready(jax.numpy.zeros(1))

    def run(y: np.ndarray, l2: float) -> tuple[np.ndarray, np.ndarray, int, int]:
        fit = jaxlr.fit(X, y, l2=l2)
        coef, intercept = np.asarray(fit.params.coef), np.asarray(fit.params.intercept)
        return coef.reshape(-1, X.shape[1]), intercept.reshape(-1), int(np.asarray(fit.converged).sum()), fit.status.size

    return run, False


def peer_side(X: np.ndarray, y: np.ndarray, solver: str) -> tuple[Any, bool]:
    """The same of scikit-learn, for some of many models."""
    from joblib import Parallel, delayed
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    def one(y: np.ndarray, l2: float, threads: int | None) -> tuple[np.ndarray, float, bool]:
        model = LogisticRegression(C=1 / (l2 * len(X)), solver=solver, max_iter=10_000)
        with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]), not caught

    jobs = 1 if y.ndim == 1 else os.cpu_count()
    pool: Any = Parallel(jobs)

    def run(each: np.ndarray, l2: float) -> tuple[np.ndarray, np.ndarray, int, int]:
        found = pool(delayed(one)(y, l2, None if jobs == 1 else 1) for y in each)
        coef, intercept, quiet = zip(*found, strict=True)
        return np.stack(coef), np.array(intercept), sum(quiet), len(quiet)

    return run, True


def main() -> None:
    """Print the curves and draw them."""
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for curve, sizes in CURVES.items():
        print(f"{curve}, float64, {os.cpu_count()} cores")
        heads = f"{'first s':>9s}{'warm s':>10s}{'converged':>15s}{'worst kkt':>11s}{'peak MiB':>10s}"
        print(f"{curve:>10s} {'':28s}{heads}")
        for size in sizes:
            found: dict[str, dict[str, Any]] = {}
            for side in ("jaxlr", *(peer for peer in PEERS if curve != "columns" or size < 2000 or peer != PEERS[0])):
                code = f"from tests.benchmarks import growth; growth.measure({curve!r}, {size}, {side!r})"
                run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
                if run.returncode == 0:
                    found[side] = json.loads(run.stdout.splitlines()[-1])
            best = min((side for side in found if side != "jaxlr"), key=lambda side: found[side]["warm"])
            for side in ("jaxlr", best):
                row, name = found[side], side if side == "jaxlr" else f"scikit-learn {side}"
                peak = "-" if row["peak"] is None else f"{row['peak']:.0f}"
                numbers = f"{row['first']:9.2f}{row['warm']:10.4f}{row['done']:>15s}{row['worst']:11.1e}{peak:>10s}"
                print(f"{size:10,d} {name:28s}{numbers}", flush=True)
            rows.setdefault(curve, {})[size] = {"ours": found["jaxlr"], "theirs": found[best]}
    draw(rows)


def draw(rows: dict[str, dict[int, dict[str, Any]]]) -> None:
    """Time above, memory below, one column a curve."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, len(rows), figsize=(9.6, 5.4), layout="constrained", sharex="col")
    kinds = (("ours", "jaxlr", "o-", "C0"), ("theirs", "fastest of scikit-learn", "s--", "C1"))
    labels = {"models": "models of 200 x 10", "columns": "columns, 4,000 rows", "rows": "rows, 20 columns"}
    for column, (curve, points) in zip(axes.T, rows.items(), strict=True):
        for key, name, style, colour in kinds:
            sizes = list(points)
            column[0].plot(sizes, [points[size][key]["warm"] for size in sizes], style, color=colour, label=name)
            if all(points[size][key]["peak"] is not None for size in sizes):
                column[1].plot(sizes, [points[size][key]["peak"] for size in sizes], style, color=colour, label=name)
        column[1].set(xlabel=labels[curve])
        for ax in column:
            ax.set(xscale="log", yscale="log")
            ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set(ylabel="seconds, warm")
    axes[1, 0].set(ylabel="MiB beside the data")
    axes[0, 0].legend(frameon=False, fontsize=9)
    fig.savefig(FIGURE, dpi=120)
    print("figure: examples/figures/growth.png")
