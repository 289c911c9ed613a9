"""Approximate leave-one-out of 100 l2, breast cancer (569 x 30, standardized), float64: the whole sweep by
`cross_validate(folds="loo")`, against its 100 fits alone and all 56,900 refits without a row, in one call of `jaxlr.fit`.

All in one process; each warm repeat has new values (l2 times 1 + 1e-6 k). The log loss is compared with that of the refits,
over all l2 and over those where leaving a row out does not all but separate the classes.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

REPEATS = 5
WEAK = 2e-4


def main() -> None:
    """Print the three sides, and the two ratios that are asked for: at least 50, at most 2."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X, l2, m = (X - X.mean(0)) / X.std(0), np.logspace(1, -5, 100), len(y)
    without = (1 - np.eye(m))[:, None]  # (m, 1, m)
    sides: dict[str, Callable[[np.ndarray], Any]] = {
        "100 fits": lambda l2: jaxlr.fit(X, y, l2=l2),
        "leave-one-out": lambda l2: jaxlr.cross_validate(X, y, l2=l2, folds="loo", refit=False),
        f"{100 * m:,} refits": lambda l2: jaxlr.fit(X, y, sample_weight=without, l2=l2),
    }
    print(f"Leave-one-out, breast cancer {m} x {X.shape[1]}, 100 l2, float64, 2 cores")
    print(f"{'':20s}{'cold s':>9s}{'warm s':>9s}{'models':>8s}{'converged':>11s}{'worst kkt':>11s}")
    warm, losses = [], []
    for name, side in sides.items():
        seconds = []
        for k in range(1 + REPEATS):
            start = time.perf_counter()
            jax.block_until_ready(side(l2 * (1 + 1e-6 * k)))
            seconds.append(time.perf_counter() - start)
        warm.append(float(np.median(seconds[1:])))
        found = side(l2)
        fits = found if isinstance(found, jaxlr.Fit) else found.fits
        losses += [] if fits.status.ndim == 1 else [_log_loss(found, X, y)]
        row = f"{name:20s}{seconds[0]:9.2f}{warm[-1]:9.3f}{fits.status.size:8d}{int(fits.converged.sum()):11d}"
        print(f"{row}{float(np.max(fits.kkt)):11.1e}")
    approximate, exact = losses
    error = np.abs(approximate / exact - 1)
    print(f"largest difference of the log loss: {error.max():.1%}, with l2 >= {WEAK:.0e} {error[l2 >= WEAK].max():.1%}")
    print(f"warm: refits / leave-one-out = {warm[2] / warm[1]:.0f}, leave-one-out / fits = {warm[1] / warm[0]:.2f}")


def _log_loss(found: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of leave-one-out as it was scored, of refits on the rows left out."""
    if hasattr(found, "mean"):
        return np.asarray(found.mean["log_loss"])
    z = np.einsum("ign,in->ig", np.asarray(found.params.coef), X) + np.asarray(found.params.intercept)
    return np.mean(np.logaddexp(0, z) - y[:, None] * z, axis=0)
