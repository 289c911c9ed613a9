"""J. Firth's estimates of 10,000 bootstrap resamples of 1,000 x 10, against firthmodels, and logistf where R has it.
K. An association scan of 25,000 columns with score, Wald and likelihood-ratio tests, against its plain fits.

Both sides of a ratio run in this process, one after the other; firthmodels fits the first 200 resamples by itself and with
joblib on all cores, and is timed per model. All sides stop at 1e-8 or better: firthmodels' gradient is on the scale of the sum.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PEER_MODELS = 200
REPEATS = 3
_R = """
library(logistf)
X <- as.matrix(read.csv(file.path(folder, "X.csv"), header = FALSE)); y <- scan(file.path(folder, "y.csv"), quiet = TRUE)
S <- as.matrix(read.csv(file.path(folder, "S.csv"), header = FALSE))
data <- data.frame(y, X)
started <- proc.time()[3]
for (i in seq_len(nrow(S))) logistf(y ~ ., data[rep(seq_along(y), S[i, ]), ], pl = FALSE)
cat((proc.time()[3] - started) / nrow(S))
"""


def timed(run: Callable[[int], object]) -> tuple[float, float]:
    """Seconds of the first call, and the median of the next, each with its own number."""
    seconds = []
    for k in range(REPEATS + 1):
        start = time.perf_counter()
        run(k)
        seconds.append(time.perf_counter() - start)
    return seconds[0], float(np.median(seconds[1:]))


def firth() -> None:
    """Workload J."""
    import jax
    from firthmodels import FirthLogisticRegression  # pyright: ignore[reportMissingImports]
    from joblib import Parallel, delayed

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 10))
    y = (X @ rng.normal(0, 0.5, 10) - 1 + rng.logistic(size=1000) > 0).astype(int)
    counts = np.asarray(jaxlr.bootstrap(jax.random.key(0), 1000, 10_000))
    found = {}

    def ours(k: int) -> None:
        start = jaxlr.fit_firth(X, y).params
        found["fit"] = jax.block_until_ready(jaxlr.fit_firth(X, y, sample_weight=counts * (1 + 1e-9 * k), init=start))

    def theirs(i: int) -> np.ndarray:
        rows = np.repeat(np.arange(1000), counts[i].astype(int))
        return FirthLogisticRegression(gtol=1e-8, xtol=1e-8, max_iter=100).fit(X[rows], y[rows]).coef_

    print("J. Firth, 10,000 resamples of 1,000 x 10, 2 cores")
    print(
        f"{'':28s}{'cold s':>9s}{'warm s':>9s}{'models':>8s}{'ms/model':>10s}{'converged':>11s}{'worst kkt':>11s}{'coef':>9s}"
    )
    cold, warm = timed(ours)
    fit = found["fit"]
    own, worst = warm / 10, float(np.max(fit.kkt))
    print(f"{'jaxlr':28s}{cold:9.2f}{warm:9.3f}{10_000:8d}{own:10.3f}{int(fit.converged.sum()):11d}{worst:11.1e}{0:9.0e}")
    theirs(0)
    start = time.perf_counter()
    coefs = np.array([theirs(i) for i in range(PEER_MODELS)])
    loop = time.perf_counter() - start
    apart = np.abs(coefs - np.asarray(fit.params.coef)[:PEER_MODELS]).max()
    with Parallel(n_jobs=-1) as pool:
        pool(delayed(theirs)(i) for i in range(4))
        start = time.perf_counter()
        pool(delayed(theirs)(i) for i in range(PEER_MODELS))
        joined = time.perf_counter() - start
    for name, seconds in (("firthmodels, loop", loop), ("firthmodels, joblib", joined)):
        each = seconds / PEER_MODELS * 1e3
        print(f"{name:28s}{'':9s}{seconds:9.3f}{PEER_MODELS:8d}{each:10.3f}{'':11s}{'':11s}{apart:9.0e}")
        print(f"{name} / jaxlr, per model = {each / own:.1f}")
    each = logistf(X, y, counts[:PEER_MODELS])
    if each is not None:
        print(f"{'logistf, loop':28s}{'':17s}{PEER_MODELS:8d}{each * 1e3:10.3f}")


def logistf(X: np.ndarray, y: np.ndarray, counts: np.ndarray) -> float | None:
    """Seconds a model, or None where R has no logistf."""
    if not shutil.which("Rscript"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, table in (("X", X), ("y", y), ("S", counts)):
            np.savetxt(Path(folder) / f"{name}.csv", table, delimiter=",", fmt="%.17g")
        code = f'folder <- "{folder}"\n{_R}'
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def scan() -> None:
    """Workload K."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    columns = rng.binomial(2, rng.uniform(0.05, 0.5, (25_000, 1)), size=(25_000, 2500)).astype(float)
    covariates = rng.standard_normal((2500, 3))
    y = (covariates @ [0.5, -0.3, 0.2] - 1 + rng.logistic(size=2500) > 0).astype(int)
    found = {}

    def fits(_: int) -> None:
        found["fit"] = jax.block_until_ready(jaxlr.fit_columns(columns, y, covariates=covariates))

    def whole(_: int) -> None:
        found["scan"] = jax.block_until_ready(jaxlr.association_scan(columns, y, covariates=covariates).likelihood_ratio)

    print("K. association scan, 25,000 columns beside 3 covariates, 2,500 rows, 2 cores")
    print(f"{'':28s}{'cold s':>9s}{'warm s':>9s}{'converged':>11s}")
    times = {"plain fits": timed(fits), "score, Wald and LR tests": timed(whole)}
    done = int(found["fit"].converged.sum()), int(np.isfinite(found["scan"].p_value).sum())
    for (name, (cold, warm)), count in zip(times.items(), done, strict=True):
        print(f"{name:28s}{cold:9.2f}{warm:9.3f}{count:11d}")
    print(f"warm: tests / fits = {times['score, Wald and LR tests'][1] / times['plain fits'][1]:.2f}")
