"""A. 1,000 models: breast cancer (569 x 30, standardized), 100 l2 x 10 folds, float64, against scikit-learn on all cores,
glmnet in one process, and `optax.lbfgs` under `jax.vmap`, which is timed on every tenth l2 and scaled to all.

Each side runs in a process of its own, so that its first call is really cold: for jaxlr that includes compilation, for
scikit-learn under joblib the start of the worker processes. Imports count for neither. Each warm repeat has new values
(l2 times 1 + 1e-6 k). The gradient is that of the SUM-scaled objective, computed alike for both sides in NumPy.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import glmnet

REPEATS = 5


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardized columns, labels, training masks (10, m), l2 (100,)."""
    from jaxlr.datasets import breast_cancer

    X, y, *_ = breast_cancer()
    X = (X - X.mean(0)) / X.std(0)
    fold_of_row = np.random.default_rng(0).permutation(len(y)) % 10
    return X, y.astype(float), (fold_of_row[None, :] != np.arange(10)[:, None]).astype(float), np.logspace(1, -4, 100)


def run_jaxlr() -> tuple[Callable, Callable]:
    """All models in one call of `jaxlr.fit`."""
    import jax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, y, training, _ = problem()
    results = []

    def run(l2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fit = jax.block_until_ready(jaxlr.fit(X, y, sample_weight=training[:, None], l2=l2))
        results[:] = [fit]
        return np.asarray(fit.params.coef), np.asarray(fit.params.intercept)

    return run, lambda: int(np.asarray(results[0].converged).sum())


def run_sklearn(solver: str, jobs: int) -> tuple[Callable, Callable]:
    """A loop over models, or joblib over folds with one BLAS thread each."""
    import warnings

    from joblib import Parallel, delayed
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    X, y, training, _ = problem()
    failures = []

    def fold(train: np.ndarray, l2: np.ndarray, threads: int | None) -> tuple[np.ndarray, np.ndarray, int]:
        rows, coef, intercept = train > 0, [], []
        with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            for strength in l2:
                C = 1 / (strength * train.sum())
                model = LogisticRegression(C=C, solver=solver, tol=1e-6, max_iter=10_000).fit(X[rows], y[rows])
                coef.append(model.coef_[0])
                intercept.append(model.intercept_[0])
        return np.array(coef), np.array(intercept), len(caught)

    def run(l2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fitted: list[Any]
        if jobs == 1:
            fitted = [fold(train, l2, None) for train in training]
        else:
            fitted = Parallel(jobs)(delayed(fold)(train, l2, 1) for train in training)  # pyright: ignore
        failures[:] = [sum(f[2] for f in fitted)]
        return np.array([f[0] for f in fitted]), np.array([f[1] for f in fitted])

    return run, lambda: 1000 - failures[0]


def run_optax() -> tuple[Callable, Callable]:
    """The optimizer that a JAX user has at hand, mapped over the models; at most 200 steps."""
    import jax
    import optax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, y, training, _ = problem()
    results = []

    @jax.jit
    def fit(l2: jax.Array) -> tuple[jaxlr.Params, jax.Array]:
        def one(s: Any, l2: Any) -> tuple[jaxlr.Params, Any]:
            def loss(params: jaxlr.Params) -> jax.Array:
                return jaxlr.loss(params, jaxlr.Problem(X, y, sample_weight=s, l2=l2))

            optimizer = optax.lbfgs()
            value_and_grad = optax.value_and_grad_from_state(loss)
            start = jaxlr.Params(jax.numpy.zeros(X.shape[1]), jax.numpy.zeros(()))

            def step(carry: tuple) -> tuple:
                params, state, _, num_steps = carry
                value, g = value_and_grad(params, state=state)
                updates, state = optimizer.update(g, state, params, value=value, grad=g, value_fn=loss)
                return optax.apply_updates(params, updates), state, optax.tree.norm(g), num_steps + 1

            carry = (start, optimizer.init(start), jax.numpy.inf, 0)
            params, _, norm, _ = jax.lax.while_loop(lambda carry: (carry[2] > 1e-6) & (carry[3] < 200), step, carry)
            return params, norm <= 1e-6

        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(training, l2)

    def run(l2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        params, converged = jax.block_until_ready(fit(l2))
        results[:] = [converged]
        return np.asarray(params.coef), np.asarray(params.intercept)

    return run, lambda: int(np.asarray(results[0]).sum())


def worst_gradient(coef: np.ndarray, intercept: np.ndarray, l2: np.ndarray) -> float:
    """The largest entry of the gradient of the SUM-scaled objective over all models."""
    X, y, training, _ = problem()
    r = 1 / (1 + np.exp(-(coef @ X.T + intercept[..., None]))) - y
    wr = r * training[:, None, :]
    g = wr @ X + l2[None, :, None] * training.sum(1)[:, None, None] * coef
    return float(max(np.abs(g).max(), np.abs(wr.sum(-1)).max()))


SIDES = {
    "jaxlr": run_jaxlr,
    "scikit-learn newton-cholesky, loop": lambda: run_sklearn("newton-cholesky", 1),
    "scikit-learn newton-cholesky, joblib": lambda: run_sklearn("newton-cholesky", os.cpu_count() or 1),
    "scikit-learn lbfgs, joblib": lambda: run_sklearn("lbfgs", os.cpu_count() or 1),
    "optax.lbfgs under vmap": run_optax,
}
GLMNET = {"glmnet, one process, default threshold": 1e-7, "glmnet, one process, threshold 1e-14": 1e-14}
EVERY = {"optax.lbfgs under vmap": 10}  # of the strengths


def measure(side: str) -> dict:
    """Cold and median warm seconds of one side, in this process."""
    X, y, training, l2 = problem()
    if side in GLMNET:
        seconds, coef, intercept = glmnet.run(X, y, training, l2, GLMNET[side], REPEATS)
        gradient = worst_gradient(coef, intercept, l2 * (1 + 1e-6 * REPEATS))
        return {"cold": seconds[0], "warm": float(np.median(seconds[1:])), "gradient": gradient, "converged": "", "timed": 1000}
    run, converged = SIDES[side]()
    every = EVERY.get(side, 1)
    l2 = l2[::every]
    seconds, fitted = [], []
    for k in range(REPEATS + 1):
        values = l2 * (1 + 1e-6 * k)
        start = time.perf_counter()
        coef, intercept = run(values)
        seconds.append(every * (time.perf_counter() - start))
        fitted.append((coef, intercept, values))
    gradients = [worst_gradient(*one) for one in fitted]  # not between calls: NumPy's threads spin on for a while
    warm = float(np.median(seconds[1:]))
    timed = 1000 // every
    return {"cold": seconds[0], "warm": warm, "gradient": max(gradients), "converged": converged(), "timed": timed}


def main() -> None:
    """Print the table."""
    print("A. breast cancer 569 x 30, 100 l2 x 10 folds = 1,000 models, float64,", os.cpu_count(), "cores")
    print(f"{'':42s}{'cold s':>8s}{'warm s':>8s}{'models/s':>10s}{'models':>8s}{'converged':>11s}{'worst gradient (sum)':>22s}")
    rows = {}
    for side in (*SIDES, *GLMNET):
        command = [sys.executable, "-c", f"from tests.benchmarks import sweep; sweep.report({side!r})"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{side:42s}failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        row = rows[side] = json.loads(done.stdout.splitlines()[-1])
        speed = f"{1000 / row['warm']:10,.0f}"
        print(
            f"{side:42s}{row['cold']:8.2f}{row['warm']:8.3f}{speed}{row['timed']:8d}{row['converged']:>11}{row['gradient']:22.1e}"
        )
    for side in [side for side in GLMNET if side in rows and "jaxlr" in rows]:
        print(f"warm: {side} / jaxlr = {rows[side]['warm'] / rows['jaxlr']['warm']:.1f}")
    peers = [row for side, row in rows.items() if side.startswith("scikit-learn")]
    if "jaxlr" in rows and peers:
        for kind in ("cold", "warm"):
            best = min(peer[kind] for peer in peers)
            print(f"{kind}: best scikit-learn / jaxlr = {best / rows['jaxlr'][kind]:.1f}")
        print(f"cold jaxlr against warm scikit-learn: {min(peer['warm'] for peer in peers) / rows['jaxlr']['cold']:.2f}")


def report(side: str) -> None:
    """Measure one side and print it as JSON."""
    print(json.dumps(measure(side)))
