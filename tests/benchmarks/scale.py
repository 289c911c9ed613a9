"""From 10 to 1,000,000 models of 200 x 10, float64: time of a model, and the peak of the process under the printed bound.

Targets are boolean y (k, 200), simulated beside one X; resamples are those of `jaxlr.fit_bootstrap`, whose weights are drawn
inside the program. Each size runs in a process of its own. The bound is printed before the run; the peak is what the resident
set of the process grew by, at most, from just before the first call (data made, JAX started) to the end of it, so compilation
and results are in it and the data are not. First is that call; warm the quickest of five later ones with new l2 (of two at
100,000 models, none at a million).
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [10, 100, 1_000, 10_000, 100_000, 1_000_000]
KINDS = ("targets", "resamples")
M, N = 200, 10
FIGURE = Path(__file__).parent.parent.parent / "examples" / "figures" / "scale.png"
_OTHER_CHUNK, _SOME = 777, 20_000


def data(kind: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """X (m, n) and y, (k, m) for targets, made in blocks so that nothing larger than y ever stands."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(M, N))
    y = np.empty((k if kind == "targets" else 1, M), bool)
    for start in range(0, len(y), 1000):
        size = min(1000, len(y) - start)
        y[start : start + size] = rng.normal(size=(size, N)) @ X.T / 2 + rng.logistic(size=(size, M)) > 0
    return X, y if kind == "targets" else y[0]


def measure(kind: str, k: int) -> None:
    """Print the bound, run, and print the numbers as JSON."""
    import jax

    import jaxlr
    from jaxlr.engine.arguments import Arguments, prepare
    from tests.helpers import memory_bound

    jax.config.update("jax_enable_x64", True)
    X, y = data(kind, k)
    key = jax.random.key(0)

    def run(l2: float, **options: Any) -> jaxlr.Fit:
        if kind == "targets":
            return jax.block_until_ready(jaxlr.fit(X, y, l2=l2, **options))
        return jax.block_until_ready(jaxlr.fit_bootstrap(key, X, y, options.pop("k", k), l2=l2, **options))

    call = prepare(Arguments(X=X, y=y, l2=1e-3), models_per_problem=1 if kind == "targets" else k)
    if kind == "resamples":
        call = call._replace(batch=(k,), drawn=M)
    print(memory_bound(call) / 2**20, flush=True)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    fit = run(1e-3)
    first = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    done, kkt = int(np.asarray(fit.converged).sum()), float(np.asarray(fit.kkt).max())
    row = {"first": first, "peak": peak, "done": done, "kkt": kkt}
    if kind == "resamples" and k >= _SOME:  # resample i depends on the key and i alone
        some = run(1e-3, k=_SOME, batch_size=_OTHER_CHUNK)
        row["difference"] = float(np.abs(np.asarray(some.params.coef) - np.asarray(fit.params.coef)[:_SOME]).max())
    seconds = []
    while k <= 100_000 and len(seconds) < (5 if k <= 10_000 else 2):
        start = time.perf_counter()
        run(1e-3 * (1 + 1e-6 * (1 + len(seconds))))
        seconds.append(time.perf_counter() - start)
    row["warm"] = min(seconds, default=None)
    print(json.dumps(row))


def main() -> None:
    """Print the curves and draw them."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS:
        print(f"{kind}, {M} x {N}, float64, {os.cpu_count()} cores")
        print(
            f"{'models':>10s}{'bound MiB':>11s}{'peak MiB':>10s}{'bound/peak':>12s}{'first s':>9s}{'warm s':>9s}"
            f"{'us/model':>10s}{'converged':>11s}{'worst kkt':>11s}"
        )
        for k in SIZES:
            command = [sys.executable, "-c", f"from tests.benchmarks import scale; scale.measure({kind!r}, {k})"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                bound = float(process.stdout.readline() or "nan")
                print(f"{k:10,d}{bound:11.0f}", end="", flush=True)
                printed = process.stdout.read()
            if process.returncode:
                print("  failed")
                continue
            row = json.loads(printed.splitlines()[-1]) | {"models": k, "bound": bound}
            seconds = row["first"] if row["warm"] is None else row["warm"]
            row["each"] = seconds / k * 1e6
            rows.setdefault(kind, []).append(row)
            warm = "-" if row["warm"] is None else f"{row['warm']:.3f}"
            print(
                f"{row['peak']:10.0f}{bound / row['peak']:12.2f}{row['first']:9.2f}{warm:>9s}{row['each']:10.1f}"
                f"{row['done']:11,d}{row['kkt']:11.1e}"
            )
            if "difference" in row:
                print(f"{'':10s} coef of the first {_SOME:,d} by chunks of {_OTHER_CHUNK}: {row['difference']:.1e} apart")
    draw(rows)


def draw(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Time of a model on the left, memory on the right."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    for (kind, curve), marker, colour in zip(rows.items(), "os", ("C0", "C1"), strict=False):
        models = [row["models"] for row in curve]
        left.plot(models, [row["each"] for row in curve], marker + "-", color=colour, label=kind)
        right.plot(models, [row["peak"] for row in curve], marker + "-", color=colour, label=f"{kind}: peak")
        right.plot(models, [row["bound"] for row in curve], marker + ":", color=colour, mfc="white", label=f"{kind}: bound")
    left.set(xscale="log", yscale="log", xlabel="models in one call", ylabel="µs per model", title="Time")
    right.set(xscale="log", yscale="log", xlabel="models in one call", ylabel="MiB beside the data", title="Memory")
    right.set_yticks([50, 100, 200, 400, 800], labels=["50", "100", "200", "400", "800"])
    left.set_yticks([30, 60, 100, 200, 400], labels=["30", "60", "100", "200", "400"])
    for ax in (left, right):
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(FIGURE, dpi=120)
    print(f"figure: {FIGURE}")
