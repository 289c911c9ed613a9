"""The estimators in scikit-learn's own calls: breast cancer (569 x 30, standardized), 50 C x 10 folds, float64.

    LogisticRegressorCV(Cs=50, cv=10)  and  GridSearchCV(LogisticRegressor(), {"C": 50 values}, cv=10)

beside LogisticRegressionCV and GridSearchCV(LogisticRegression()) with each solver, and on all cores with n_jobs, whose workers
are then started already. Each side runs in a process of its own, in turn, three times; cold is its first call, compilation
included, imports not, warm the quickest of the others, each with new values (C times 1 + 1e-6 k). `converged` counts models
without a ConvergenceWarning; the gradient is that of the SUM-scaled objective of the models of all folds, where the estimator
keeps them.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

ROUNDS, REPEATS = 3, 3
SOLVERS = ("newton-cholesky", "newton-cg", "lbfgs")
CS, FOLDS = np.logspace(-4, 4, 50), 10
SCORINGS = ("accuracy", "neg_log_loss", "roc_auc", "f1_macro")


def problem() -> tuple[np.ndarray, np.ndarray]:
    """Standardized columns and labels."""
    from jaxlr.datasets import breast_cancer

    X, y, *_ = breast_cancer()
    return np.asarray((X - X.mean(0)) / X.std(0)), np.asarray(y).astype(int)


def cross_validated(scoring: str, solver: str | None, jobs: int | None) -> Callable[[np.ndarray], Any]:
    """A call of the estimators that cross-validate, jaxlr's where there is no solver."""
    if solver is None:
        from jaxlr.estimator import LogisticRegressorCV as Ours

        return lambda Cs: Ours(Cs=Cs, cv=FOLDS, scoring=scoring)
    from sklearn.linear_model import LogisticRegressionCV

    theirs: Any = LogisticRegressionCV
    options = {"l1_ratios": (0.0,), "use_legacy_attributes": False, "max_iter": 10_000, "n_jobs": jobs}
    return lambda Cs: theirs(Cs=Cs, cv=FOLDS, scoring=scoring, solver=solver, **options)


def searched(solver: str | None, jobs: int | None) -> Callable[[np.ndarray], Any]:
    """A call of a search, whose models are fitted one at a time."""
    from sklearn.model_selection import GridSearchCV

    if solver is None:
        from jaxlr.estimator import LogisticRegressor

        model: Any = LogisticRegressor()
    else:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(solver=solver, max_iter=10_000)
    return lambda Cs: GridSearchCV(model, {"C": Cs}, cv=FOLDS, refit=False, n_jobs=jobs)


CASES = {f"Cs=50, cv=10, {scoring}": partial(cross_validated, scoring) for scoring in SCORINGS}
CASES |= {"search over 50 C, cv=10": searched}
SIDES: dict[str, tuple[str | None, int | None]] = {"jaxlr": (None, None)}
SIDES |= {f"scikit-learn {solver}": (solver, None) for solver in SOLVERS}
SIDES |= {"scikit-learn newton-cholesky, n_jobs": ("newton-cholesky", os.cpu_count())}


def worst_gradient(model: Any, Cs: np.ndarray) -> float:
    """The largest entry of a gradient, of the models of all folds."""
    from sklearn.model_selection import StratifiedKFold

    X, y = problem()
    worst = 0.0
    for k, (train, _) in enumerate(StratifiedKFold(FOLDS).split(X, y)):
        coef, intercept = model.coefs_paths_[k, 0, :, 0, :-1], model.coefs_paths_[k, 0, :, 0, -1:]
        r = 1 / (1 + np.exp(-(coef @ X[train].T + intercept))) - y[train]
        worst = max(worst, np.abs(r @ X[train] + coef / Cs[:, None]).max(), np.abs(r.sum(-1)).max())
    return worst


def measure(case: str, side: str) -> None:
    """Time one side in this process, and print the numbers as JSON."""
    make, (X, y) = CASES[case](*SIDES[side]), problem()
    seconds, failed, model, Cs = [], 0, None, CS
    for k in range(REPEATS + 1):
        Cs = CS * (1 + 1e-6 * k)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.perf_counter()
            model = make(Cs).fit(X, y)
            seconds.append(time.perf_counter() - start)
        failed = sum("onverge" in str(warning.message) for warning in caught)
    gradient = worst_gradient(model, Cs) if hasattr(model, "coefs_paths_") else float("nan")
    converged = len(CS) * FOLDS - failed
    print(json.dumps({"cold": seconds[0], "warm": min(seconds[1:]), "converged": converged, "gradient": gradient}))


def main() -> None:
    """Print the table."""
    print(f"Estimators, breast cancer 569 x 30, {len(CS)} C x {FOLDS} folds, float64, {os.cpu_count()} cores")
    print(f"{'':42s}{'cold s':>8s}{'warm s':>8s}{'models':>8s}{'converged':>11s}{'worst gradient (sum)':>22s}")
    for case in CASES:
        print(case)
        rows: dict[str, dict] = {}
        for side in list(SIDES) * ROUNDS:
            command = [sys.executable, "-c", f"from tests.benchmarks import estimators; estimators.measure({case!r}, {side!r})"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row, before = json.loads(done.stdout.splitlines()[-1]), rows.get(side, {"cold": np.inf, "warm": np.inf})
            rows[side] = row | {kind: min(row[kind], before[kind]) for kind in ("cold", "warm")}
        for side, row in rows.items():
            converged = f"{len(CS) * FOLDS:8d}{row['converged']:11d}{row['gradient']:22.1e}"
            print(f"{side:42s}{row['cold']:8.2f}{row['warm']:8.3f}{converged}", flush=True)
        for kind in ("cold", "warm"):
            best = min(row[kind] for side, row in rows.items() if side != "jaxlr")
            print(f"{kind}: best scikit-learn / jaxlr = {best / rows['jaxlr'][kind]:.1f}")
