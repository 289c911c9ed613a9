"""L. Multinomial models of the digits, 1,797 x 64 and 10 classes: 5 folds x 20 l2, against scikit-learn's solvers.

All sides run in this process, one after the other, on all cores. scikit-learn fits each fold's rows with C = 1 / (l2 m); its
tolerance is the loosest of a few at which the worst residual of the first fold (by `jaxlr.kkt_residual`, as ours)
is at most ours. newton-cg, its best solver here, fits all models, alone and with joblib, whose first time includes the
start of the workers; the others fit every fifth l2 of the first fold, and are multiplied by 25.
"""

import time
import warnings
from typing import Any

import numpy as np

FOLDS, TOL, REPEATS = 5, 1e-6, 3


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
        fit = jax.block_until_ready(jaxlr.fit(X, labels, num_classes=10, **many))
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
        return float(jaxlr.kkt_residual(jaxlr.SoftmaxParams(*found), problem))

    def within(solver: str, strengths: np.ndarray, tols: tuple[float, ...]) -> tuple[float, float, float]:
        """Seconds of these models of the first fold, at the first tolerance that reaches our residual, and that residual."""
        elapsed = tol = reached = np.nan
        for tol in tols:
            start = time.perf_counter()
            found = [one(solver, tol, 0, strength) for strength in strengths]
            elapsed = time.perf_counter() - start
            reached = max(residual(model, strength) for model, strength in zip(found, strengths, strict=True))
            if reached <= worst:
                break
        return elapsed, tol, reached

    for solver in ("newton-cholesky", "lbfgs"):
        elapsed, tol, reached = within(solver, l2[::5], (1e-6, 1e-7))
        print(f"{f'{solver}, tol {tol:.0e}, loop':34s}{25 * elapsed:9.2f}{4:8d}{reached:11.1e}")
    _, tol, reached = within("newton-cg", l2, (1e-6, 3e-7, 1e-7, 3e-8))
    jobs: list[Any] = [delayed(one)("newton-cg", tol, fold, strength) for fold in range(FOLDS) for strength in l2]
    times = []
    start = time.perf_counter()
    for function, args, _ in jobs:
        function(*args)
    times.append(time.perf_counter() - start)
    start = time.perf_counter()
    with Parallel(n_jobs=-1) as pool:
        for _ in range(REPEATS + 1):
            pool(jobs)
            times.append(time.perf_counter() - start)
            start = time.perf_counter()
    loop, first, again = times[0], times[1], float(np.median(times[2:]))
    for name, total in (("loop", loop), ("joblib, first", first), ("joblib, again", again)):
        print(f"{f'newton-cg, tol {tol:.0e}, {name}':34s}{total:9.2f}{len(jobs):8d}{reached:11.1e}")
    print(f"newton-cg / jaxlr: warm {min(loop, again) / warm:.1f}, cold {min(loop, first) / seconds[0]:.2f}")
