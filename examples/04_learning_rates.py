"""1,000 learning rates in one program: which crawl, which arrive, and which never settle."""

import argparse
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import CYCLE

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """Train at every rate, compare with the minimum, and draw the sweep."""
    X, y, *_ = jaxlr.datasets.low_birth_weight()
    X = np.asarray(jaxlr.preprocessing.standardize(X, jaxlr.preprocessing.fit_scaler(X)))
    rates = np.logspace(-4, 3, 1000)
    sweep = jax.jit(jax.vmap(lambda rate: jaxlr.train(X, y, optax.sgd(rate), num_epochs=300)))
    start = time.perf_counter()
    runs = jax.block_until_ready(sweep(rates))
    print(f"{len(rates)} runs of {runs.losses.shape[1]} epochs in {time.perf_counter() - start:.2f} s, compilation included")

    best = jaxlr.fit(X, y)
    curvature = np.linalg.eigvalsh(np.asarray(jaxlr.hessian(best.params, jaxlr.Problem(X, y)))).max()
    excess = np.asarray(runs.losses[:, -1]) - float(best.value)
    arrived, crawling = excess < 1e-6, (excess >= 1e-6) & (rates < 2 / curvature)
    print(f"minimum {float(best.value):.6f} (certified, kkt {float(best.kkt):.0e})")
    print(f"within 1e-6 of it: {arrived.sum()} rates, {rates[arrived].min():.2g} to {rates[arrived].max():.2g}")
    print(f"still crawling: {crawling.sum()}, up to {rates[crawling].max():.2g}")
    print(f"never settling: {(~arrived & ~crawling).sum()}, from {rates[~arrived & ~crawling].min():.2g}")
    print(
        f"stable below 2 / curvature = {2 / curvature:.3g}; runs with numbers that overflowed: {int((runs.status == 4).sum())}"
    )

    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    jaxlr.plots.losses(runs.losses[::20], values=rates[::20], ax=left)
    left.set_title("50 of the 1,000 runs")
    right.set_prop_cycle(color=CYCLE)
    for chosen, marker, label in (
        (crawling, ".", "crawling"), (arrived, "o", "arrived"), (~arrived & ~crawling, "x", "never settling")
    ):  # fmt: skip
        right.plot(rates[chosen], np.maximum(excess[chosen], 1e-16), marker, ms=3, label=label)
    right.axvline(2 / curvature, color="black", lw=0.8, ls="--", label="2 / curvature")
    right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="J after 300 epochs - minimum (nats per row)")
    right.text(0.02, 0.04, "below 1e-16 it is rounding", transform=right.transAxes, fontsize=9)
    right.set_title("1,000 learning rates, one program")
    right.legend(frameon=False, fontsize=9)
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "04_learning_rates.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
