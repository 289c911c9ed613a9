"""Where the solvers cross: seconds a model of "newton" and "newton_cg" over rows, columns and models.

Ridge models (l2 = 1e-3) of standard normal columns: one model, 64 targets of one design, and 8 designs side by side. Warm,
the best of three, each with new values. `*` marks what solver="auto" chooses.
"""

import time
from typing import Any

import numpy as np

ROWS = (500, 5000, 50_000)
COLUMNS = (8, 16, 32, 64, 128, 256)
KINDS = ("one model", "64 targets", "8 designs")
_MOST_NUMBERS = 2**25


def problem(kind: str, m: int, n: int) -> tuple[Any, Any]:
    """X and y of a kind."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(*((8,) if kind == "8 designs" else ()), m, n))
    lead = (64, m) if kind == "64 targets" else X.shape[:-1]
    return X, (rng.random(lead) < 0.4).astype(float)


def seconds_per_model(X: Any, y: Any, solver: str) -> float:
    """Warm, or NaN where a model did not converge."""
    import jax

    import jaxlr

    times, fit = [], jaxlr.fit(X, y, l2=1e-3, solver=solver)
    for k in range(3):
        start = time.perf_counter()
        fit = jax.block_until_ready(jaxlr.fit(X, y, l2=1e-3 * (1 + 1e-3 + 1e-6 * k), solver=solver))
        times.append(time.perf_counter() - start)
    return min(times) / fit.kkt.size if bool(fit.converged.all()) else float("nan")


def main() -> None:
    """Print the table."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    print("Seconds a model, float64, by solver and columns")
    print(f"{'':12s}{'rows':>7s}{'solver':>11s}" + "".join(f"{n:>12d}" for n in COLUMNS))
    for kind in KINDS:
        for m in ROWS:
            sizes = [n for n in COLUMNS if m * n * (8 if kind == "8 designs" else 1) <= _MOST_NUMBERS]
            problems = {n: problem(kind, m, n) for n in sizes}
            chosen = {n: jaxlr.fit(*problems[n], l2=1e-3, max_steps=1).solver for n in sizes}
            for solver in ("newton", "newton_cg"):
                row = {n: seconds_per_model(*problems[n], solver) for n in sizes}
                cells = "".join(f"{row[n]:>11.2e}{'*' if chosen[n] == solver else ' '}" for n in sizes)
                print(f"{kind:12s}{m:>7d}{solver:>11s}{cells}", flush=True)
