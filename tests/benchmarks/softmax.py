"""L. Multinomial models of the digits, 1,797 x 64 and 10 classes: 5 folds x 20 l2, against scikit-learn's solvers.

All sides run in this process, one after the other, on all cores. scikit-learn fits each fold's rows with C = 1 / (l2 m); its
tolerance is the loosest power of ten times 1 or 3 at which the worst residual of the first fold, measured by
`jaxlr.softmax_kkt_residual` as ours is, is at most ours. Slow solvers are timed on the first fold, and multiplied by 5.
"""

import time
import warnings
from typing import Any

import numpy as np

FOLDS, TOL, REPEATS = 5, 1e-6, 3
SLOW = 60.0  # seconds of all models, from which one fold is timed


def main() -> None:
    """Workload L."""
    import jax
    from joblib import Parallel, delayed
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    digits: Any = load_digits()
    X, labels, l2 = digits.data / 16, digits.target, np.logspace(0, -5, 20)
    training = np.asarray(jaxlr.kfold(jax.random.key(0), len(X), FOLDS))
    print("L. softmax, digits 1,797 x 64, 10 classes, 5 folds x 20 l2")
    print(f"{'':34s}{'seconds':>9s}{'models':>8s}{'worst kkt':>11s}")

    seconds, fit = [], None
    for k in range(REPEATS + 1):
        start = time.perf_counter()
        many = {"sample_weight": training[:, None], "l2": l2 * (1 + 1e-9 * k), "tol": TOL}
        fit = jax.block_until_ready(jaxlr.fit_softmax(X, labels, 10, **many))
        seconds.append(time.perf_counter() - start)
    assert fit is not None
    warm, worst = float(np.median(seconds[1:])), float(np.max(fit.kkt))
    print(f"{'jaxlr, cold':34s}{seconds[0]:9.2f}{fit.status.size:8d}")
    print(f"{'jaxlr, warm':34s}{warm:9.3f}{int(fit.converged.sum()):8d}{worst:11.1e}")

    def one(solver: str, tol: float, fold: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
        rows = training[fold] > 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            C = 1 / (strength * rows.sum())
            model = LogisticRegression(C=C, solver=solver, tol=tol, max_iter=10_000).fit(X[rows], labels[rows])  # pyright: ignore
        return model.coef_, model.intercept_

    def residual(found: tuple[np.ndarray, np.ndarray], strength: float) -> float:
        problem = jaxlr.Problem(X, labels, sample_weight=training[0], l2=strength)
        return float(jaxlr.softmax_kkt_residual(jaxlr.SoftmaxParams(*found), problem))

    best: dict[str, float] = {}
    for solver in ("newton-cg", "newton-cholesky", "lbfgs"):
        for tol in (1e-5, 3e-6, 1e-6, 3e-7, 1e-7, 3e-8):
            start = time.perf_counter()
            found = [one(solver, tol, 0, strength) for strength in l2]
            fold = time.perf_counter() - start
            reached = max(residual(model, strength) for model, strength in zip(found, l2, strict=True))
            if reached <= worst:
                break
        jobs: list[Any] = [delayed(one)(solver, tol, i, s) for i in range(FOLDS) for s in l2]
        if fold * FOLDS < SLOW:
            start = time.perf_counter()
            for i in range(FOLDS):
                for strength in l2:
                    one(solver, tol, i, strength)
            alone, timed = time.perf_counter() - start, len(jobs)
        else:
            alone, timed, jobs = fold * FOLDS, len(l2), jobs[: len(l2)]
        with Parallel(n_jobs=-1) as pool:
            pool(jobs[:4])  # the workers have started
            start = time.perf_counter()
            pool(jobs)
            together = (time.perf_counter() - start) * FOLDS * len(l2) / timed
        for name, total in ((f"{solver}, tol {tol:.0e}, loop", alone), (f"{solver}, tol {tol:.0e}, joblib", together)):
            best[name] = total
            print(f"{name:34s}{total:9.2f}{timed:8d}{reached:11.1e}")
    name = min(best, key=lambda name: best[name])
    print(f"best of scikit-learn ({name}) / jaxlr: warm {best[name] / warm:.1f}, cold {best[name] / seconds[0]:.1f}")
