"""Data on disk in a process of little memory: 100 l2 x 5 folds by `jaxlr.fit_stream`, float32, from a file of NumPy.

The full size is 20 million rows x 50 (4 GB); ``python -m tests.benchmarks stream`` takes a hundredth of the rows, and ``python
tests/benchmarks/stream.py ROWS FOLDER [STRENGTHS]`` any number. The fit runs in a process of its own, whose peak is the largest
resident set that the kernel saw, JAX itself included. Reading is what a pass costs without any sums: decoding, checksums
and re-cutting, in a thread beside the sums. ``--one ROWS`` takes one model beside scikit-learn's solvers on the data in memory.
``--many ROWS [STRENGTHS]`` takes 2,000 columns, whose Hessians nobody sums: a path of l2, one of l1 where 40 columns count,
and of each a model by scikit-learn.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

N, MANY, BLOCK = 50, 2_000, 100_000
LIMIT = 1.5  # GiB


def write(folder: Path, m: int, n: int = N, every: int = 3, size: float = 1 / 3) -> None:
    """X.npy (m, n) and y.npy (m,), a block at a time: correlated columns, of which one in so many counts."""
    rng, block = np.random.default_rng(0), BLOCK * N // n
    mix = np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))).T.astype(np.float32)
    coef = np.where(np.arange(n) % every == 0, rng.normal(size=n) * size, 0).astype(np.float32)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (m, n))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.int8, (m,))
    for start in range(0, m, block):
        rows = rng.standard_normal((min(block, m - start), n), np.float32) @ mix
        X[start : start + block] = rows
        y[start : start + block] = rows @ coef - 0.5 + rng.logistic(size=len(rows)) > 0
    X.flush()
    y.flush()


def measure(folder: Path, strengths: int) -> None:
    """Fit, and print the numbers as JSON."""
    import jax

    import jaxlr
    from jaxlr.streaming.blocks import Reader

    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("X", "y"))
    l2 = np.geomspace(1, 1e-4, strengths).astype(np.float32)
    blocks = jaxlr.streaming.from_arrays(X, y, rows=2**15)
    start = time.perf_counter()
    fit = jaxlr.fit_stream(blocks, l2=l2, folds=5, key=jax.random.key(0), progress=True)
    whole, passes = time.perf_counter() - start, int(np.max(fit.num_passes))
    reader, reading = Reader(blocks, None), 0.0
    for _ in range(2):  # the first one checks values, the later ones checksums
        start = time.perf_counter()
        for _ in reader.rows(2**15):
            pass
        reading = time.perf_counter() - start
    print(
        json.dumps(
            {
                "rows": len(y),
                "seconds": whole,
                "passes": passes,
                "reading, share": passes * reading / whole,
                "models": int(fit.status.size),
                "converged": int(np.sum(fit.converged)),
                "worst kkt": float(np.max(fit.kkt)),
                "worst gap": float(np.max(fit.gap)),
                "peak GiB": _peak(),
            }
        )
    )


def measure_many(folder: Path, strengths: int, kind: str) -> None:
    """Fit many columns, and print the numbers as JSON."""
    import jaxlr

    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("X", "y"))
    path: dict[str, Any] = {kind: _strengths(kind, strengths).astype(np.float32)}
    start = time.perf_counter()
    fit = jaxlr.fit_stream(jaxlr.streaming.from_arrays(X, y, rows=2**13), **path, progress=True)
    found = {"rows": len(y), "columns": X.shape[1], "seconds": time.perf_counter() - start}
    found |= {"passes": int(np.max(fit.num_passes)), "models": int(fit.status.size), "converged": int(np.sum(fit.converged))}
    found |= {"worst kkt": float(np.max(fit.kkt)), "worst gap": float(np.max(fit.gap)), "peak GiB": _peak()}
    found |= {"most columns in use": int(np.max(np.sum(np.asarray(fit.params.coef) != 0, axis=-1)))}
    print(json.dumps(found))


def _strengths(kind: str, count: int) -> np.ndarray:
    return np.geomspace(0.1, 1e-3, count) if kind == "l2" else np.geomspace(0.05, 0.005, count)


def many(m: int, strengths: int) -> None:
    """Paths of l2 and of l1 from the stream, one model of each by scikit-learn from memory."""
    import jax
    from sklearn.linear_model import LogisticRegression

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    for kind, every, size in (("l2", 3, 0.05), ("l1", 50, 0.3)):
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), m, MANY, every, size)
            command = [sys.executable, __file__, "--measure-many", place, str(strengths), kind]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"| {kind}: ", *(f"{name} {value:.3g} |" for name, value in found.items()), flush=True)
            X, y = (np.array(np.load(Path(place) / f"{name}.npy", mmap_mode="r")) for name in ("X", "y"))
        strength = float(_strengths(kind, strengths)[strengths // 2])
        ratio, solver, tol = (0.0, "lbfgs", 1e-5) if kind == "l2" else (1.0, "saga", 1e-3)
        model = LogisticRegression(C=1 / (strength * m), l1_ratio=ratio, solver=solver, tol=tol, max_iter=200)
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
        params = jaxlr.Params(np.asarray(model.coef_, float)[0], np.asarray(model.intercept_, float)[0])
        given: dict[str, Any] = {kind: strength}
        problem = jaxlr.Problem(X.astype(float), y.astype(float), **given)
        residual = float(jaxlr.kkt_residual(params, problem))
        print(f"| scikit-learn {solver}, one of them: {seconds:.3g} s, residual {residual:.1e}", flush=True)
        assert found["converged"] == found["models"], found


def _peak() -> float:
    """The largest resident set of this program, GiB: getrusage also knows that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


def run(m: int = 200_000, folder: str | None = None, strengths: int = 100) -> None:
    """Write the data, fit in a process of its own, and print a line."""
    with tempfile.TemporaryDirectory() as own:
        place = Path(own if folder is None else folder)
        if not (place / "y.npy").exists():
            write(place, m)
        command = [sys.executable, __file__, "--measure", str(place), str(strengths)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        "| "
        + " | ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in found.items())
    )
    assert found["converged"] == found["models"], found
    assert found["peak GiB"] < LIMIT, found


def one(m: int) -> None:
    """One model from the stream, and by scikit-learn from memory: cold with the compiler's work, then warm."""
    import jax
    from sklearn.linear_model import LogisticRegression

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), m)
        X, y = (np.load(Path(place) / f"{name}.npy", mmap_mode="r") for name in ("X", "y"))
        blocks = jaxlr.streaming.from_arrays(X, y, rows=2**15)
        memory = np.array(X), np.array(y)
    strength, m = 1e-3, len(y)
    problem = jaxlr.Problem(memory[0].astype(float), memory[1].astype(float), l2=strength)

    def timed(fit):
        start = time.perf_counter()
        found = fit()
        return time.perf_counter() - start, found

    streamed = lambda: jaxlr.fit_stream(blocks, l2=np.float32(strength))  # noqa: E731
    cold, found = timed(streamed)
    warm, found = timed(streamed)
    as_double = jax.tree.map(lambda part: np.asarray(part, float), found.params)
    residual, passes = float(jaxlr.kkt_residual(as_double, problem)), int(found.num_passes)
    print(f"| {m} x {N}, fit_stream: cold {cold:.2f} s, warm {warm:.2f}, {passes} passes, residual {residual:.1e}")
    for solver in ("lbfgs", "newton-cholesky", "newton-cg"):
        model = LogisticRegression(C=1 / (strength * m), solver=solver, tol=1e-4)
        seconds, _ = timed(lambda model=model: model.fit(*memory))
        params = jaxlr.Params(np.asarray(model.coef_, float)[0], np.asarray(model.intercept_, float)[0])
        residual = float(jaxlr.kkt_residual(params, problem))
        print(f"| scikit-learn {solver}: {seconds:.2f} s, residual {residual:.1e}; {seconds / warm:.2f} x fit_stream's warm")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(int(sys.argv[2]))
    elif sys.argv[1] == "--many":
        many(int(sys.argv[2]), *map(int, sys.argv[3:] or ["20"]))
    elif sys.argv[1] == "--measure-many":
        measure_many(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
