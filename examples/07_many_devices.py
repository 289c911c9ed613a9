"""Many devices: models spread over one axis of a mesh, rows over another; on 8 virtual devices, then in two processes.

On many machines each runs one such process, with the address of the first: jax.distributed.initialize("host0:1234", 2, i).
"""

import argparse
import math
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import jaxlr

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
X = rng.normal(size=(4096, 8))
Y = (X @ rng.normal(size=(8, 40)) + rng.logistic(size=(4096, 40)) > 0).T  # 40 targets


def main(out: Path) -> None:
    """Fit on one device, on 8 in two ways and in two processes of 4, and draw what each device holds."""
    expected, held = jaxlr.fit(X, Y, l2=1e-3), {"one device": [X.nbytes]}
    coef = np.asarray(expected.params.coef)
    held["8 x models"] = compare("8 x models", jax.make_mesh((8,), ("models",)), coef)
    held["2 x models, 4 x rows"] = compare("2 x models, 4 x rows", jax.make_mesh((2, 4), ("models", "rows")), coef)
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("localhost", 0))
        np.save(f"{folder}/expected.npy", coef)
        join = ["--out", folder, "--join", f"localhost:{free.getsockname()[1] + 1}"]
        processes = [subprocess.Popen([sys.executable, __file__, *join, str(i)], env=with_devices(4)) for i in (0, 1)]
        if failed := sum(process.wait() != 0 for process in processes):
            raise SystemExit(f"{failed} of 2 processes failed")
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.6), layout="constrained", sharey=True)
    for ax, (name, sizes) in zip(axes, held.items(), strict=True):
        ax.bar(range(len(sizes)), np.array(sizes) / 2**10, color="C0")
        ax.set(title=name, xlabel="device", xlim=(-0.7, 7.7), xticks=range(len(sizes)))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("design on it (KiB)")
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "07_many_devices.png", dpi=150)
    print(f"figure: {out / '07_many_devices.png'}")


def compare(name: str, mesh: jax.sharding.Mesh, expected: np.ndarray) -> list[int]:
    """Fit on a mesh, of a design that no process need hold whole; bytes of it on the devices of this process."""
    placed = NamedSharding(mesh, PartitionSpec("rows" if "rows" in mesh.axis_names else None))
    design = jax.make_array_from_callback(X.shape, placed, lambda rows: X[rows])  # called for each device
    fits = jaxlr.fit(design, Y, l2=1e-3, mesh=mesh)
    jaxlr.raise_on_failure(fits)
    print(f"{name}: coefficients {np.abs(np.asarray(fits.params.coef) - expected).max():.0e} from one device")
    return [math.prod(placed.shard_shape(X.shape)) * X.itemsize] * jax.local_device_count()


def with_devices(count: int) -> dict[str, str]:
    """The environment of a process of so many virtual devices."""
    return os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    parser.add_argument("--join", nargs=2, help="address of the first of two processes, and which this is")
    given = parser.parse_args()
    if given.join:
        jax.distributed.initialize(given.join[0], num_processes=2, process_id=int(given.join[1]))
        both = jax.make_mesh((2, 4), ("models", "rows"))
        compare(f"process {given.join[1]} of 2", both, np.load(given.out / "expected.npy"))
    elif jax.device_count() < 8:  # virtual devices are there from the start of a process or never
        raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=with_devices(8), check=False).returncode)
    else:
        main(given.out)
