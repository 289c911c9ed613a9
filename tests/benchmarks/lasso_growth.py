"""How the time of a lasso path grows with rows, columns and support: one path of 20 l1, beside celer, and glmnet where it is.

    rows       1,000 to 100,000 of 100 columns, down to 3 % of the largest l1
    columns    30 to 30,000 beside 500 rows, down to 10 %
    support    1,000 x 1,000, down to 50 % to 0.5 % of the largest l1, by the coefficients that differ from 0

Normal columns, a fortieth of them count. Float64, warm: the median of three with new values, jaxlr at 1e-8 (certified), the
others at their default tolerances (celer 1e-4, without an intercept; glmnet 1e-7), which are looser. Each point and side runs
in a process of its own, and is left out after two minutes. A point over the curve beside it is a cliff.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import glmnet, lasso

CURVES = {
    "rows": [1_000, 3_000, 10_000, 30_000, 100_000],
    "columns": [30, 100, 300, 1_000, 3_000, 10_000, 30_000],
    "support": [0.5, 0.3, 0.1, 0.05, 0.02, 0.005],
}
SIDES = {"jaxlr": 1e-8, "celer": 1e-4, "glmnet": 1e-7}
REPEATS, SECONDS = 3, 120
FIGURE = Path(__file__).parent.parent.parent / "examples" / "figures" / "lasso_growth.png"


def problem(curve: str, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, labels and strengths."""
    rng = np.random.default_rng(0)
    m, n, least = {"rows": (size, 100, 0.03), "columns": (500, size, 0.1), "support": (1000, 1000, size)}[curve]
    X, effects = rng.standard_normal((int(m), int(n))), np.zeros(int(n))
    effects[: int(n) // 40 or 5] = 0.5 * rng.standard_normal(int(n) // 40 or 5)
    y = (X @ effects + rng.logistic(size=int(m)) > 0).astype(float)
    largest = np.abs(X.T @ (y.mean() - y)).max() / m
    return X, y, np.geomspace(largest, least * largest, 20)


def measure(curve: str, size: float, side: str) -> None:
    """Print the numbers of one side as JSON."""
    X, y, strengths = problem(curve, size)
    rows = np.ones((1, len(y)))
    if side == "glmnet":
        seconds, coef, intercept = glmnet.run(X, y, rows, strengths, SIDES[side], REPEATS, alpha=1)
    else:
        run = lasso.run_jaxlr(X, y, rows, SIDES[side], 1.0) if side == "jaxlr" else lasso.run_celer(X, y, rows, SIDES[side])
        seconds, coef, intercept = [], np.empty(0), np.empty(0)
        for k in range(REPEATS + 1):
            start = time.perf_counter()
            coef, intercept = run(strengths * (1 + 1e-6 * k))
            seconds.append(time.perf_counter() - start)
    worst = lasso.worst_evidence(X, y, rows, strengths * (1 + 1e-6 * REPEATS), 1.0, side, coef, intercept)
    row = {"first": seconds[0], "warm": float(np.median(seconds[1:])), "used": lasso.most_used(coef)}
    print(json.dumps(row | dict(zip(("kkt", "gap", "returned"), worst, strict=True))))


def main() -> None:
    """Print the curves and draw them."""
    found: dict[str, dict[float, dict[str, Any]]] = {}
    for curve, sizes in CURVES.items():
        heads = f"{'first s':>9s}{'warm s':>10s}{'returned':>10s}{'non-zero':>10s}{'worst kkt':>11s}{'worst gap':>11s}"
        print(f"{curve}, path of 20 l1, float64, {os.cpu_count()} cores\n{'':18s}{heads}")
        for size in sizes:
            for side in SIDES:
                code = f"from tests.benchmarks import lasso_growth; lasso_growth.measure({curve!r}, {size}, {side!r})"
                try:
                    done = subprocess.run(
                        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
                    )
                except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
                    continue
                row = json.loads(done.stdout.splitlines()[-1])
                numbers = f"{row['first']:9.2f}{row['warm']:10.4f}{row['returned']:10d}{row['used']:10d}"
                print(f"{size:10,} {side:7s}{numbers}{row['kkt']:11.1e}{row['gap']:11.1e}", flush=True)
                found.setdefault(curve, {}).setdefault(size, {})[side] = row
    draw(found)


def draw(found: dict[str, dict[float, dict[str, Any]]]) -> None:
    """One panel a curve."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(found), figsize=(9.6, 3.4), layout="constrained", sharey=True)
    labels = {"rows": "rows, 100 columns", "columns": "columns, 500 rows", "support": "coefficients not 0, 1,000 x 1,000"}
    styles = {
        "jaxlr": ("o-", "C0", "jaxlr, 1e-8"),
        "celer": ("s--", "C1", "celer, 1e-4"),
        "glmnet": ("^:", "C2", "glmnet, 1e-7"),
    }
    for ax, (curve, points) in zip(axes, found.items(), strict=True):
        for side, (style, colour, name) in styles.items():
            here = {size: rows[side] for size, rows in points.items() if side in rows}
            at = [points[size]["jaxlr"]["used"] if curve == "support" else size for size in here]
            ax.plot(at, [row["warm"] for row in here.values()], style, color=colour, label=name if here else None)
        ax.set(xlabel=labels[curve], xscale="log", yscale="log")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="seconds for a path of 20, warm")
    axes[0].legend(frameon=False, fontsize=9)
    fig.savefig(FIGURE, dpi=120)
    print("figure: examples/figures/lasso_growth.png")
