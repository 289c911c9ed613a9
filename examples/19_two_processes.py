"""Two processes stream half of the files each, and find what one finds with all: 5 folds x 20 strengths, scored in one pass.

On two machines each runs one such process, with the address of the first: jax.distributed.initialize("host0:1234", 2, i).
"""

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr

jax.config.update("jax_enable_x64", True)
L2 = np.geomspace(1, 1e-4, 20)


def main(out: Path) -> None:
    """Write the files, fit in one process, then in two, and draw scores and differences."""
    rng = np.random.default_rng(0)
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        for part in range(8):
            X = rng.normal(size=(500, 40))
            np.savez(f"{folder}/part{part}.npz", X=X, y=X[:, :12] @ np.linspace(-1, 1, 12) + 2 * rng.logistic(size=500) > 0)
        coef, scores = fit_and_score(sorted(Path(folder).glob("*.npz")))
        free.bind(("localhost", 0))
        command = [sys.executable, __file__, "--out", folder, "--join", f"localhost:{free.getsockname()[1] + 1}"]
        processes = [subprocess.Popen([*command, str(i)]) for i in (0, 1)]
        assert [process.wait() for process in processes] == [0, 0]
        first, second = (np.load(f"{folder}/{i}.npy") for i in (0, 1))
    off = np.abs(first - coef).max(axis=-1)
    print(f"the two processes agree to the last bit: {np.array_equal(first, second)}; with one: to {off.max():.0e}")
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
    left.plot(L2, scores.T, color="C0", alpha=0.4, lw=1)
    left.plot(L2, scores.mean(axis=0), color="C0", lw=2)
    left.set(ylabel="held-out log loss", title="100 models, scored in one pass")
    right.plot(L2, np.maximum(off, 1e-18).T, ".", color="C0")
    right.axhline(np.finfo(float).eps, color="C1", lw=1)
    right.set(yscale="log", ylim=(1e-18, 1e-12), ylabel="largest change of a coefficient", title="two processes, not one")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="l2")
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "19_two_processes.png", dpi=150)
    print(f"figure: {out / '19_two_processes.png'}")


def fit_and_score(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and held-out log losses (5, 20) of the rows of these files, and of those of other processes."""

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for file in jaxlr.streaming.own_parts(files):
            with np.load(file) as part:
                yield part["X"], part["y"]

    key = jax.random.key(0)
    fits = jaxlr.fit_stream(blocks, l2=L2, folds=5, key=key)
    scores = jaxlr.score_stream(fits, blocks, folds=5, key=key)["log_loss"]
    rows = sum(len(y) for _, y in blocks())
    print(f"process {jax.process_index()} of {jax.process_count()}: {rows} rows, {str(fits).splitlines()[0]}")
    return np.asarray(fits.params.coef), np.asarray(scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    parser.add_argument("--join", nargs=2, help="address of the first of two processes, and which this is")
    given = parser.parse_args()
    if given.join:
        jax.distributed.initialize(given.join[0], num_processes=2, process_id=int(given.join[1]))
        np.save(given.out / given.join[1], fit_and_score(sorted(given.out.glob("*.npz")))[0])
    else:
        main(given.out)
