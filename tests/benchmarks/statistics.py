"""Statistics of 10,000 fitted models of 500 x 8 against statsmodels in a loop.

    robust     influence, leave-one-out, HC2, HC3, sampling weights, clusters, HAC, and a joint Wald test
    margins    predictions of all rows with intervals, average marginal effects, those of discrete columns, comparisons

The models have labels of their own beside one design, or designs of their own too. Two times are taken on both sides: of the
statistic of a fitted model, and of fit and statistic. Each statistic runs in a process of its own: cold is its first call,
compilation included, warm the median of five later ones; the peak is what the resident set of the process grows by from just
before the first call to its end, at most, the results in it. statsmodels is timed on the first 200 models: GLMInfluence for
leverage, residuals, Cook's distance and DFBETA; its one-step change of each row's own logit for leave-one-out; HC0 (for
sampling weights), HC2 and HC3 of the weighted least squares of its last step; `cov_cluster`; `cov_hac`; `wald_test`;
`get_prediction(...).summary_frame()`; `get_margeff`; for comparisons the delta method of its predictions, which it has no
function for.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MODELS, M, N, CLUSTERS = 10_000, 500, 8, 50
PEER_MODELS, REPEATS = 200, 5
KINDS = ("targets", "designs")
COVARIANCES = ("HC2", "HC3", "sampling", "cluster", "HAC")
ROBUST = ("influence", "leave_one_out", *COVARIANCES, "wald_test")
MARGINS = ("predictions", "effects", "discrete", "comparisons")
OURS = {"influence": "cooks_distance", "leave_one_out": "logits", "wald_test": "statistic"}  # what is compared
LAGS, R = 4, np.eye(3, N)  # of HAC; the hypotheses, three coefficients of 0
DISCRETE = 2  # columns of 0 and 1, the last ones


def data(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (m, n) or (k, m, n), y (k, m), and the clusters (m,)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((M, N) if kind == "targets" else (MODELS, M, N))
    X[..., -DISCRETE:] = X[..., -DISCRETE:] > 0
    z = rng.normal(0, 0.5, (MODELS, N)) @ X.T if kind == "targets" else (X @ rng.normal(0, 0.5, (MODELS, N, 1)))[..., 0]
    return X, (z + rng.logistic(size=z.shape) > 0).astype(float), np.repeat(np.arange(CLUSTERS), M // CLUSTERS)


def _status(name: str) -> float:
    """A line of the status of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 2**10


def measure(kind: str, name: str) -> None:
    """Time both sides, and print the numbers as JSON."""
    import jax

    import jaxlr
    from jaxlr import inference

    jax.config.update("jax_enable_x64", True)
    X, y, clusters = data(kind)
    problem, fits = jaxlr.Problem(X, y), []
    fit = jax.block_until_ready(jaxlr.fit(X, y))
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(jaxlr.fit(X, y))
        fits.append(time.perf_counter() - start)
    call: Callable[[], Any] = {
        "influence": lambda: inference.influence(fit, problem),
        "leave_one_out": lambda: inference.leave_one_out(fit, problem),
        "HC2": lambda: inference.covariance(fit, problem, kind="HC2"),
        "HC3": lambda: inference.covariance(fit, problem, kind="HC3"),
        "sampling": lambda: inference.covariance(fit, problem, kind="sampling"),
        "cluster": lambda: inference.covariance(fit, problem, kind="cluster", clusters=clusters),
        "HAC": lambda: inference.covariance(fit, problem, kind="HAC", lags=LAGS),
        "wald_test": lambda: inference.wald_test(fit, problem, np.c_[R, np.zeros(3)]),
        "predictions": lambda: inference.predictions(fit, problem),
        "effects": lambda: inference.marginal_effects(fit, problem),
        "discrete": lambda: inference.marginal_effects(fit, problem, discrete=range(N - DISCRETE, N)),
        "comparisons": lambda: inference.comparisons(fit, problem, X, X + 1),
    }[name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident set begins anew
    before = _status("VmRSS")
    start = time.perf_counter()
    found = jax.block_until_ready(call())
    cold, peak, seconds = time.perf_counter() - start, _status("VmHWM") - before, []
    for _ in range(REPEATS):
        del found
        start = time.perf_counter()
        found = jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(found) if np.size(leaf) > 1]  # not degrees of freedom
    whole = np.all([np.isfinite(leaf).reshape(MODELS, -1).all(axis=1) for leaf in leaves], axis=0)
    row = {"cold": cold, "warm": float(np.median(seconds)), "fit": float(np.median(fits)), "peak": peak}
    row |= _peer(name, X, y, clusters, found)
    row |= {"done": int(np.sum(whole & np.asarray(fit.converged))), "results": sum(leaf.nbytes for leaf in leaves) / 2**20}
    print(json.dumps(row))


def _peer(name: str, X: np.ndarray, y: np.ndarray, clusters: np.ndarray, found: Any) -> dict[str, float]:
    """Seconds of a model's statistic and of its fit, and the largest difference from ours, relative to the largest number of a
    model."""
    import statsmodels.api as sm  # pyright: ignore[reportMissingImports]
    from statsmodels.stats.sandwich_covariance import cov_cluster, cov_hac  # pyright: ignore[reportMissingImports]

    def influence(fit: Any) -> list[Any]:
        own = fit.get_influence(observed=False)
        residuals = fit.resid_pearson, fit.resid_deviance, own.resid_studentized
        return [own.cooks_distance[0], own.hat_matrix_diag, own.d_params, *residuals]

    def leave_one_out(fit: Any) -> list[Any]:
        z = fit.predict(which="linear") - fit.get_influence(observed=False).d_linpred
        return [z, np.mean(np.logaddexp(0, z) - fit.model.endog * z)]

    def compared(fit: Any) -> list[Any]:
        A, p = fit.model.exog, [fit.predict(fit.model.exog + step) for step in (0, np.append(np.ones(N), 0))]
        steps = [
            np.mean((q * (1 - q))[:, None] * (A + step), axis=0)
            for q, step in zip(p, (0, np.append(np.ones(N), 0)), strict=True)
        ]
        slope = steps[1] - steps[0]
        return [np.sqrt(slope @ fit.cov_params() @ slope), np.mean(p[1] - p[0])]

    statistic: Callable[[Any], list[Any]] = {
        "influence": influence,
        "leave_one_out": leave_one_out,
        "HC2": lambda fit: [fit.results_wls.cov_HC2],
        "HC3": lambda fit: [fit.results_wls.cov_HC3],
        "sampling": lambda fit: [fit.results_wls.cov_HC0 * M / (M - 1)],
        "cluster": lambda fit: [cov_cluster(fit, clusters)],
        "HAC": lambda fit: [cov_hac(fit, LAGS, use_correction=True)],
        "wald_test": lambda fit: [fit.wald_test(np.c_[R, np.zeros(3)], scalar=True).statistic],
        "predictions": lambda fit: [fit.get_prediction().summary_frame()["mean_se"].to_numpy()],
        "effects": lambda fit: [fit.get_margeff().margeff_se],
        "discrete": lambda fit: [fit.get_margeff(dummy=True).margeff_se],
        "comparisons": compared,
    }[name]
    ours = found if name in COVARIANCES else getattr(found, OURS.get(name, "standard_error"))
    seconds, apart = np.zeros(2), 0.0
    for i in range(PEER_MODELS):
        A = np.column_stack([X if X.ndim == 2 else X[i], np.ones(M)])
        seconds[0] -= time.perf_counter()
        if name in ("cluster", "HAC", "wald_test", "effects", "discrete"):
            fit = sm.Logit(y[i], A).fit(disp=0)
        else:
            fit = sm.GLM(y[i], A, family=sm.families.Binomial()).fit(attach_wls=True)
        seconds[:2] += np.array([1, -1]) * time.perf_counter()
        theirs = statistic(fit)
        seconds[1] += time.perf_counter()
        apart = max(apart, float(np.abs(theirs[0] - np.asarray(ours[i])).max() / np.abs(theirs[0]).max()))
    fits, statistics = seconds / PEER_MODELS
    return {"peer": statistics, "peer fit": fits, "apart": apart}


def main(names: tuple[str, ...]) -> None:
    """Statistics of many models against statsmodels."""
    print(f"Statistics of {MODELS:,d} models of {M} x {N}, float64, {os.cpu_count()} cores, statsmodels on {PEER_MODELS}")
    print(f"{'':24s}{'':16s}{'statistic, ms/model':>26s}{'and fit, ms/model':>26s}{'':11s}{'peak':>7s}{'results':>9s}")
    sides = f"{'jaxlr':>8s}{'statsm.':>10s}{'ratio':>8s}"
    print(f"{'':24s}{'cold s':>8s}{'warm s':>8s}{sides}{sides}{'converged':>11s}{'MiB':>7s}{'MiB':>9s}{'apart':>8s}")
    for kind in KINDS:
        for name in names:
            command = [sys.executable, "-c", f"from tests.benchmarks import statistics; statistics.measure({kind!r}, {name!r})"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            pairs = [(row["warm"], row["peer"]), (row["warm"] + row["fit"], row["peer"] + row["peer fit"])]
            times = "".join(f"{1e3 * a / MODELS:8.4f}{1e3 * b:10.3f}{b / a * MODELS:8.1f}" for a, b in pairs)
            print(
                f"{f'{kind}: {name}':24s}{row['cold']:8.2f}{row['warm']:8.3f}{times}{row['done']:11,d}{row['peak']:7.0f}"
                f"{row['results']:9.0f}{row['apart']:8.0e}",
                flush=True,
            )
