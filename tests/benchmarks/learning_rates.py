"""1,000 learning rates: `jax.vmap` of `jaxlr.train` against a Python loop over the same jitted training, float64.

Two moons, 100 rows. Both sides are the same function; cold includes compilation. Each warm repeat has new rates. The last
column is the largest difference of a loss between the two sides.
"""

import os
import time

import numpy as np

RUNS, REPEATS = 1000, 3
WORKLOADS = {
    "batches of 10, shuffled, 100 epochs": {"batch_size": 10, "num_epochs": 100, "shuffle": True},
    "batches of 10, in order, 100 epochs": {"batch_size": 10, "num_epochs": 100, "shuffle": False},
    "all rows, 100 epochs": {"batch_size": None, "num_epochs": 100, "shuffle": False},
}


def main() -> None:
    """Print the table."""
    import jax
    import optax

    import jaxlr

    jax.config.update("jax_enable_x64", True)
    X, y = jaxlr.datasets.two_moons(jax.random.key(0), 100)
    rates = np.logspace(-3, 1, RUNS)
    print(f"Two moons 100 x 2, {RUNS} learning rates, float64, {os.cpu_count()} cores")
    print(f"{'':38s}{'cold s':>8s}{'warm s':>8s}{'loop s':>8s}{'ratio':>7s}{'finite runs':>13s}{'difference':>12s}")
    for name, options in WORKLOADS.items():
        key = jax.random.key(1) if options["shuffle"] else None
        settings = {"batch_size": options["batch_size"], "num_epochs": options["num_epochs"], "key": key}
        one = jax.jit(lambda rate, settings=settings: jaxlr.train(X, y, optax.sgd(rate), **settings))
        many = jax.jit(jax.vmap(one))
        start = time.perf_counter()
        runs = jax.block_until_ready(many(rates))
        cold = time.perf_counter() - start
        jax.block_until_ready(one(rates[0]))
        warm, loop, singles = [], [], []
        for k in range(REPEATS):
            values = rates * (1 + 1e-3 * (k + 1))
            start = time.perf_counter()
            runs = jax.block_until_ready(many(values))
            warm.append(time.perf_counter() - start)
            start = time.perf_counter()
            singles = [jax.block_until_ready(one(value)) for value in values]
            loop.append(time.perf_counter() - start)
        finite = int((np.asarray(runs.status) == jaxlr.Status.MAX_STEPS).sum())
        settled = np.asarray(runs.losses)[:, -1] < np.log(2)  # chaos beyond: rounding grows
        difference = np.abs(np.asarray(runs.losses)[settled] - np.stack([run.losses for run in singles])[settled]).max()
        inner, outer = float(np.median(warm)), float(np.median(loop))
        print(f"{name:38s}{cold:8.2f}{inner:8.3f}{outer:8.3f}{outer / inner:7.1f}{finite:13d}{difference:12.1e}")
