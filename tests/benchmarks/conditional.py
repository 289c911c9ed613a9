"""Conditional logistic regression against statsmodels' ConditionalLogit in a loop.

* pairs: 5,000 models of 400 matched pairs, a column of its own beside two covariates that all share; fits, and fits with Wald's
  tests. statsmodels is timed on the first 50, from 0, at its defaults (BFGS and a Hessian by differences).
* one to four, and many of many: the same of 160 sets of 5, and of 40 sets of 20 with 5 to 15 cases (statsmodels: 3 models).
* a stratum of 3,000 rows with 300 cases, 3 columns. statsmodels recurs through rows, and ends in a RecursionError.

Cold is the first call, compilation included, warm the median of five later ones. "off" is the largest distance of statsmodels'
estimates from ours, in standard errors; its optimizer stops where it does, which is what kkt is for.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

MODELS, REPEATS = 5_000, 5
CASES = {"1:1": (400, 2, 1, 1), "1:4": (160, 5, 1, 1), "m:n": (40, 20, 5, 15)}  # sets, rows of one, fewest and most cases
PEER_MODELS = {"1:1": 50, "1:4": 50, "m:n": 3}


def data(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (k, m, 3), y (m,) and strata (m,)."""
    number, rows, fewest, most = CASES[name]
    rng = np.random.default_rng(0)
    strata = np.repeat(np.arange(number), rows)
    common, columns = rng.standard_normal((len(strata), 2)), rng.standard_normal((MODELS, len(strata)))
    score = common @ [0.5, -0.3] + rng.gumbel(size=len(strata))
    rank = np.argsort(np.argsort(-score.reshape(number, rows), axis=1), axis=1)
    y = (rank < rng.integers(fewest, most + 1, (number, 1))).astype(float).ravel()
    X = np.concatenate([np.broadcast_to(common, (MODELS, *common.shape)), columns[:, :, None]], axis=2)
    return X, y, strata


def _times(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds cold and warm, and the result."""
    import jax

    seconds, found = [], None
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        found = jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return seconds[0], float(np.median(seconds[1:])), found


def _verdict(fit: Any) -> str:
    status = np.asarray(fit.status).reshape(-1)
    return f"{np.sum(status == 0)} of {status.size} CONVERGED, max kkt {np.max(np.asarray(fit.kkt)):.1e}"


def main() -> None:
    """Print the table."""
    import jax
    from statsmodels.discrete.conditional_models import ConditionalLogit  # pyright: ignore[reportMissingImports]

    import jaxlr
    from jaxlr import inference

    jax.config.update("jax_enable_x64", True)
    print("\nConditional logistic regression of matched sets, milliseconds a model")
    print(f"{'sets':>5}{'':>12}{'cold':>9}{'warm':>9}{'statsmodels':>13}{'warm ratio':>12}{'off':>9}   verdict")
    for name in CASES:
        X, y, strata = data(name)
        problem = jaxlr.Problem(X, y, strata=strata)
        seconds, found = [], []
        for columns in X[: PEER_MODELS[name]]:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = ConditionalLogit(y, columns, groups=strata).fit(disp=False)
            seconds.append(time.perf_counter() - start)
            found.append(result.params)
        theirs = float(np.median(seconds))
        cold, warm, fit = _times(lambda: jaxlr.fit_conditional(X, y, strata))  # noqa: B023
        wald_cold, wald_warm, tests = _times(lambda: inference.wald(fit, problem))  # noqa: B023
        error = np.asarray(tests.standard_error.coef)[: len(found)]
        off = np.max(np.abs(np.asarray(found) - np.asarray(fit.params.coef)[: len(found)]) / error)
        for label, first, later in (("fit", cold, warm), ("fit and wald", cold + wald_cold, warm + wald_warm)):
            ours, peer = 1e3 * later / MODELS, 1e3 * theirs
            print(f"{name:>5}{label:>13}{1e3 * first / MODELS:>8.3f}{ours:>9.3f}{peer:>13.2f}{peer / ours:>11.0f}x"
                  f"{off:>9.1e}   {_verdict(fit)}")  # fmt: skip
    rng = np.random.default_rng(0)
    X, y, strata = rng.standard_normal((3000, 3)), np.zeros(3000), np.zeros(3000)
    y[np.argsort(-(X @ [0.5, -0.5, 0.2] + rng.gumbel(size=3000)))[:300]] = 1
    cold, warm, fit = _times(lambda: jaxlr.fit_conditional(X, y, strata))
    start = time.perf_counter()
    try:
        ConditionalLogit(y, X, groups=strata).fit(disp=False)
        theirs = f"{time.perf_counter() - start:.2f} s"
    except (RecursionError, FloatingPointError) as error:
        theirs = f"{type(error).__name__} after {time.perf_counter() - start:.2f} s"
    print(f"300 of 3,000 rows in one stratum: cold {cold:.2f} s, warm {warm:.2f} s, {_verdict(fit)}; statsmodels: {theirs}")
