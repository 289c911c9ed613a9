"""B to G: many targets, a large sparse set, bootstraps, many designs, one large model, an association scan.

Each side runs in a process of its own, on all cores (peers under joblib, one BLAS thread a worker). Cold is the first call,
compilation or the start of the workers included; warm is the median of three with new values (l2 times 1 + 1e-6 k). Peers
are timed on models spread evenly over the workload, as many as the column says, and scaled to all. The residual is that of
`jaxlr.kkt_residual`, in NumPy, over those models, alike for both sides. "matmul" is the share of the speed of a plain matrix
product, measured in the same process, that logits, gradients and Hessians reach over the whole call.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

REPEATS = 3
Data = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A set of models, and how each side fits them.

    Attributes:
        title: what is measured.
        data: makes the numbers; takes the folder of the reference data.
        shape: batch shape of the models.
        model: X, y, weights or None, l2 of one model (l2 before the factor of the repeat).
        fit: jaxlr's call, with the factor of the repeat; coef and intercept in the batch shape.
        peers: scikit-learn's solvers, with their tol.
        timed: how many models a peer is timed on.
    """

    title: str
    data: Callable[[str], Data]
    shape: Callable[[Data], tuple[int, ...]]
    model: Callable[[Data, tuple[int, ...]], tuple]
    fit: Callable[[Data, float], Any]
    peers: Sequence[tuple[str, float]]
    timed: int


def many_targets(_: str) -> Data:
    """4,000 x 512 with a power-law spectrum, 40 targets."""
    rng, (m, n, targets) = np.random.default_rng(0), (4000, 512, 40)
    U, V = (np.linalg.qr(rng.normal(size=shape))[0] for shape in ((m, n), (n, n)))
    X = (U / np.arange(1, n + 1)) @ V.T
    X /= X.std()
    Z = X @ rng.normal(size=(n, targets))
    y = (rng.random((m, targets)) < 1 / (1 + np.exp(-2 * Z / Z.std(0)))).T.astype(float)
    return {"X": X, "y": y, "l2": np.logspace(0, -5, 10)}


def adult(folder: str) -> Data:
    """a9a, 32,561 x 123, five folds."""
    import scipy.sparse

    raw = np.load(os.path.join(folder, "files", "a9a.npz"))
    sparse = scipy.sparse.csr_matrix((np.ones(len(raw["indices"])), raw["indices"], raw["indptr"]), shape=tuple(raw["shape"]))
    y = (raw["y"] > 0).astype(float)
    fold = np.random.default_rng(0).permutation(len(y)) % 5
    training = (fold[None, :] != np.arange(5)[:, None]).astype(float)
    return {"X": sparse.toarray(), "sparse": sparse, "y": y, "training": training, "l2": np.logspace(-1, -6, 20)}


def resamples(_: str) -> Data:
    """1,000 x 20; the weights are those of `jaxlr.bootstrap`, given to the peers as they are."""
    rng, (m, n) = np.random.default_rng(0), (1000, 20)
    X = rng.normal(size=(m, n))
    y = (X @ rng.normal(size=n) / 2 + rng.logistic(size=m) > 0).astype(float)
    return {"X": X, "y": y, "l2": 1e-3, "num": 20_000}


def resample_weights(data: Data, i: int) -> np.ndarray:
    """Row i of `jaxlr.bootstrap`."""
    import jax

    from jaxlr.weights import resample

    return np.asarray(resample(jax.random.key(0), jax.numpy.int32(i), len(data["y"])))


def many_designs(_: str) -> Data:
    """256 designs of 4,000 x 128, float32, each with its own labels."""
    rng, (k, m, n) = np.random.default_rng(0), (256, 4000, 128)
    X = rng.normal(size=(k, m, n)).astype(np.float32) * (1 / np.sqrt(1 + np.arange(n, dtype=np.float32)))
    z = np.einsum("kmn,kn->km", X, rng.normal(size=(k, n)).astype(np.float32))
    return {"X": X, "y": (z + rng.logistic(size=(k, m)) > 0).astype(np.float32), "l2": np.float32(1e-3)}


def one_large(_: str) -> Data:
    """500,000 x 100."""
    rng, (m, n) = np.random.default_rng(0), (500_000, 100)
    X = rng.normal(size=(m, n))
    return {"X": X, "y": (X @ rng.normal(size=n) / 5 + rng.logistic(size=m) > 0).astype(float), "l2": 1e-6}


def scan(_: str) -> Data:
    """25,000 columns of allele counts beside 3 covariates, 2,500 rows."""
    rng, (k, m) = np.random.default_rng(0), (25_000, 2500)
    covariates = rng.normal(size=(m, 3))
    columns = rng.binomial(2, rng.uniform(0.05, 0.5, size=(k, 1)), size=(k, m)).astype(float)
    y = (covariates @ [0.5, -0.3, 0.2] + rng.logistic(size=m) > 0).astype(float)
    return {"columns": columns, "covariates": covariates, "y": y, "l2": 1e-8}


def _jaxlr() -> Any:
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    return jaxlr


WORKLOADS = {
    "B": Workload(
        "40 targets x 10 l2, 4,000 x 512",
        many_targets,
        lambda data: (40, 10),
        lambda data, at: (data["X"], data["y"][at[0]], None, data["l2"][at[1]]),
        lambda data, f: _jaxlr().fit(data["X"], data["y"][:, None], l2=data["l2"] * f, tol=1e-7),
        (("newton-cg", 1e-7), ("newton-cholesky", 1e-6), ("lbfgs", 1e-7)),
        8,
    ),
    "C": Workload(
        "a9a 32,561 x 123, 5 folds x 20 l2",
        adult,
        lambda data: (5, 20),
        lambda data, at: (data["sparse"], data["y"], data["training"][at[0]], data["l2"][at[1]]),
        lambda data, f: _jaxlr().fit(
            data["X"], data["y"], sample_weight=data["training"][:, None], l2=data["l2"] * f, tol=1e-7
        ),
        (("liblinear", 1e-6), ("newton-cholesky", 1e-6)),
        20,
    ),
    "D": Workload(
        "20,000 bootstrap resamples of 1,000 x 20",
        resamples,
        lambda data: (data["num"],),
        lambda data, at: (data["X"], data["y"], resample_weights(data, at[0]), data["l2"]),
        lambda data, f: _jaxlr().fit_bootstrap(_key(0), data["X"], data["y"], data["num"], l2=data["l2"] * f),
        (("newton-cholesky", 1e-6), ("lbfgs", 1e-6)),
        400,
    ),
    "E": Workload(
        "256 designs of 4,000 x 128, float32",
        many_designs,
        lambda data: (256,),
        lambda data, at: (data["X"][at], data["y"][at], None, data["l2"]),
        lambda data, f: _jaxlr().fit(data["X"], data["y"], l2=data["l2"] * np.float32(f)),
        (("newton-cg", 1e-4), ("newton-cholesky", 1e-4), ("lbfgs", 1e-4), ("glum", 1e-4)),
        32,
    ),
    "F": Workload(
        "one model, 500,000 x 100",
        one_large,
        lambda data: (),
        lambda data, at: (data["X"], data["y"], None, data["l2"]),
        lambda data, f: _jaxlr().fit(data["X"], data["y"], l2=data["l2"] * f, tol=1e-7),
        (("newton-cholesky", 1e-6), ("lbfgs", 1e-6), ("glum", 1e-6)),
        1,
    ),
    "G": Workload(
        "association scan, 25,000 columns beside 3 covariates, 2,500 rows",
        scan,
        lambda data: (len(data["columns"]),),
        lambda data, at: (np.column_stack([data["covariates"], data["columns"][at]]), data["y"], None, data["l2"]),
        lambda data, f: _jaxlr().fit_columns(data["columns"], data["y"], covariates=data["covariates"], l2=data["l2"] * f),
        (("newton-cholesky", 1e-6), ("lbfgs", 1e-6)),
        400,
    ),
}


def _key(seed: int) -> Any:
    import jax

    return jax.random.key(seed)


def residual(X: Any, y: np.ndarray, s: np.ndarray | None, l2: float, coef: np.ndarray, intercept: float) -> float:
    """The KKT residual of one ridge model."""
    w = np.full(len(y), 1 / len(y)) if s is None else s / s.sum()
    z = X @ np.asarray(coef, float) + intercept
    wr = w * (1 / (1 + np.exp(-z)) - y)
    mean = X.T @ w
    variance = X.multiply(X).T @ w - mean**2 if hasattr(X, "multiply") else w @ (X - mean) ** 2
    sd = np.sqrt(np.maximum(variance, 0))
    u = X.T @ wr + l2 * coef - mean * wr.sum()
    return float(max(np.abs(u / np.where(sd < 1e-12, 1, sd)).max(), abs(wr.sum())))


def spread(shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """Models at even distances over the workload."""
    size = int(np.prod(shape, dtype=int))
    flat = np.unique(np.linspace(0, size - 1, min(count, size)).round().astype(int))
    return [tuple(int(i) for i in np.unravel_index(at, shape)) if shape else () for at in flat]


def measure_jaxlr(letter: str, folder: str) -> dict[str, Any]:
    """Cold and median warm seconds, and the residuals of the models that the peers are timed on."""
    import jax

    work = WORKLOADS[letter]
    data = work.data(folder)
    _jaxlr()
    seconds: list[float] = []
    fit: Any = None
    for k in range(REPEATS + 1):
        start = time.perf_counter()
        fit = jax.block_until_ready(work.fit(data, 1 + 1e-6 * k))
        seconds.append(time.perf_counter() - start)
    factor, coef, intercept = 1 + 1e-6 * REPEATS, np.asarray(fit.params.coef), np.asarray(fit.params.intercept)
    worst = 0.0
    for at in spread(work.shape(data), work.timed):
        X, y, s, l2 = work.model(data, at)
        worst = max(worst, residual(X, y, s, l2 * factor, coef[at], intercept[at]))
    done, warm = int(np.asarray(fit.converged).sum()), float(np.median(seconds[1:]))
    X = work.model(data, spread(work.shape(data), 1)[0])[0]
    share = counted_flops(fit, *X.shape) / warm / matmul_flops(fit.kkt.dtype)
    return {"cold": seconds[0], "warm": warm, "worst": worst, "done": done, "timed": fit.kkt.size, "share": share}


def peer_model(solver: str, tol: float, l2: float, weight_sum: float) -> Any:
    """glum's regressor, whose penalty is l2 itself, or scikit-learn's."""
    if solver == "glum":
        from glum import GeneralizedLinearRegressor  # pyright: ignore[reportMissingImports]

        return GeneralizedLinearRegressor(family="binomial", alpha=float(l2), l1_ratio=0, gradient_tol=tol, max_iter=10_000)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (l2 * weight_sum), solver=solver, tol=tol, max_iter=10_000)


def matmul_flops(dtype: Any) -> float:
    """Floating point operations a second of a plain product of two matrices."""
    import jax

    A = jax.numpy.ones((2000, 2000), dtype)
    product = jax.jit(lambda A: A @ A)
    jax.block_until_ready(product(A))
    start = time.perf_counter()
    for _ in range(5):
        jax.block_until_ready(product(A))
    return 5 * 2 * 2000**3 / (time.perf_counter() - start)


def counted_flops(fit: Any, m: int, n: int) -> float:
    """Those of logits, gradients and, where they are formed, Hessians; the products of conjugate gradients come on top."""
    per_step = 4 * m * n + (m * n * (n + 1) if fit.solver == "newton" else 0)
    return float(np.asarray(fit.num_steps, float).sum()) * per_step


def measure_peer(letter: str, folder: str, solver: str, tol: float) -> dict[str, Any]:
    """Seconds of scikit-learn on a part of the models, scaled to all, on all cores."""
    import warnings

    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    work = WORKLOADS[letter]
    data = work.data(folder)
    part = spread(work.shape(data), work.timed)
    problems = [work.model(data, at) for at in part]
    alone = len(part) == 1

    def one(X: Any, y: np.ndarray, s: np.ndarray | None, l2: float, factor: float) -> tuple[np.ndarray, float, int]:
        model = peer_model(solver, tol, l2 * factor, len(y) if s is None else s.sum())
        with threadpool_limits(None if alone else 1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y, sample_weight=s)
        return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]), len(caught)

    fitted: list[Any] = []
    pool: Any = Parallel(1 if alone else os.cpu_count(), max_nbytes="1M")
    seconds = []
    for k in range(2):
        start = time.perf_counter()
        fitted = pool(delayed(one)(*problem, 1 + 1e-6 * k) for problem in problems)
        seconds.append(time.perf_counter() - start)
    worst = max(residual(X, y, s, l2 * (1 + 1e-6), fit[0], fit[1]) for (X, y, s, l2), fit in zip(problems, fitted, strict=True))
    scale = int(np.prod(work.shape(data), dtype=int)) / len(part)
    done = sum(fit[2] == 0 for fit in fitted)
    return {"cold": seconds[0] * scale, "warm": seconds[1] * scale, "worst": worst, "done": done, "timed": len(part)}


def main(letter: str, folder: str) -> None:
    """Print the table of one workload."""
    work = WORKLOADS[letter]
    print(f"{letter}. {work.title}, {os.cpu_count()} cores")
    heads = {"cold s": 9, "warm s": 9, "models": 8, "converged": 11, "worst kkt": 11, "memory GB": 11}
    heads |= {"models/s": 10, "matmul": 8}
    print(" " * 34 + "".join(f"{head:>{width}s}" for head, width in heads.items()))
    warm, shape = {}, work.shape(work.data(folder))
    for side in ("jaxlr", *(f"{solver} {tol}" for solver, tol in work.peers)):
        command = [
            sys.executable,
            "-c",
            f"from tests.benchmarks import engine; engine.report({letter!r}, {folder!r}, {side!r})",
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        name = side.split()[0] if side[:4] in ("jaxl", "glum") else "scikit-learn " + side.split()[0]
        if run.returncode:
            print(f"{name:34s}failed: {run.stderr.strip().splitlines()[-1]}")
            continue
        row = json.loads(run.stdout.splitlines()[-1])
        warm[side] = row["warm"]
        numbers = f"{row['cold']:9.2f}{row['warm']:9.3f}{row['timed']:8d}{row['done']:11d}"
        speed = f"{int(np.prod(shape, dtype=int)) / row['warm']:10,.1f}" + (f"{row['share']:8.0%}" if "share" in row else "")
        print(f"{name:34s}{numbers}{row['worst']:11.1e}{row['memory']:11.2f}{speed}", flush=True)
    if "jaxlr" in warm and len(warm) > 1:
        print(f"warm: best peer / jaxlr = {min(t for side, t in warm.items() if side != 'jaxlr') / warm['jaxlr']:.1f}")


def report(letter: str, folder: str, side: str) -> None:
    """Measure one side and print it as JSON."""
    row = (
        measure_jaxlr(letter, folder)
        if side == "jaxlr"
        else measure_peer(letter, folder, side.split(maxsplit=1)[0], float(side.split()[1]))
    )
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(row | {"memory": max(own, workers) / 2**20}))
