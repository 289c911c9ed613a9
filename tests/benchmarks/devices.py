"""One device against two virtual ones: 20,000 targets of 200 x 10, float64, on the same cores. Ideal is 1: nothing is lost."""

import json
import os
import subprocess
import sys
import time

import numpy as np

MODELS, REPEATS = 20_000, 5


def measure() -> None:
    """Print models per second, medians of calls that take turns, and the largest difference, as JSON."""
    import jax

    import jaxlr
    from tests.benchmarks.scale import data

    jax.config.update("jax_enable_x64", True)
    X, y = data("targets", MODELS)
    meshes = {"one device": None, "two devices": jax.make_mesh((2,), ("models",))}
    fits = {name: jaxlr.fit(X, y, l2=1e-3, mesh=mesh) for name, mesh in meshes.items()}
    one, two = (np.asarray(fit.params.coef) for fit in fits.values())
    seconds: dict[str, list[float]] = {name: [] for name in meshes}
    for k in range(REPEATS):
        for name, mesh in meshes.items():
            start = time.perf_counter()
            jax.block_until_ready(jaxlr.fit(X, y, l2=1e-3 * (1 + 1e-6 * k), mesh=mesh))
            seconds[name].append(time.perf_counter() - start)
    speeds = {name: MODELS / float(np.median(times)) for name, times in seconds.items()}
    done = {name: int(np.asarray(fit.converged).sum()) for name, fit in fits.items()}
    print(json.dumps({"speeds": speeds, "done": done, "difference": float(np.abs(one - two).max())}))


def main() -> None:
    """Print the table."""
    print(f"devices: {MODELS:,d} targets, 200 x 10, float64, {os.cpu_count()} cores, median of {REPEATS}")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    command = [sys.executable, "-c", "from tests.benchmarks import devices; devices.measure()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"XLA_FLAGS": flags})
    if done.returncode:
        print(f"failed: {done.stderr.strip().splitlines()[-1]}")
        return
    row = json.loads(done.stdout.splitlines()[-1])
    for name, speed in row["speeds"].items():
        print(f"{name:14s}{speed:12,.0f} models/s{row['done'][name]:10,d} converged")
    ratio = row["speeds"]["two devices"] / row["speeds"]["one device"]
    print(f"two / one = {ratio:.2f}; coefficients {row['difference']:.1e} apart")
