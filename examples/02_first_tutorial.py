"""The first tutorial done right: clouds that a line separates, moons that none does, and what one run of 100 rows is worth."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import SKY, VERMILION

jax.config.update("jax_enable_x64", True)


def trained(key: jax.Array, make) -> tuple[jax.Array, jax.Array, jaxlr.Training]:
    """The tutorial's recipe on standardized columns: 1,000 epochs over 100 rows at the rate 0.01."""
    X, y = make(key)
    X = jaxlr.preprocessing.standardize(X, jaxlr.preprocessing.fit_scaler(X))
    return X, y, jaxlr.train(X, y, optax.sgd(0.01), batch_size=100, num_epochs=1000)


def accuracy(params: jaxlr.Params, X: jax.Array, y: jax.Array) -> jax.Array:
    """Share of rows predicted right."""
    return jaxlr.metrics.accuracy(y, jaxlr.predict(params, X))


def main(out: Path) -> None:
    """Train on both data sets, then on 200 draws of the moons at once."""
    fig, axes = plt.subplots(2, 2, figsize=(10, 7.4), layout="constrained")
    runs = {}
    for ax, (name, make) in zip(axes[0], (("clouds", clouds), ("moons", jaxlr.datasets.two_moons)), strict=True):
        X, y, run = runs[name] = trained(jax.random.key(1), make)
        share = float(accuracy(run.params, X, y))
        print(
            f"{name}: accuracy {share}, loss {run.losses[0]:.4f} -> {run.losses[-1]:.4f}, {jaxlr.Status(int(run.status)).name}"
        )
        jaxlr.plots.decision_boundary(run.params, X, y, feature_names=("x0 (sd)", "x1 (sd)"), ax=ax)
        ax.set_title(f"{name}: accuracy {share:.2f}")
    jaxlr.plots.losses(np.stack([run.losses for *_, run in runs.values()]), labels=list(runs), ax=axes[1, 0])
    axes[1, 0].set_title("loss over all rows after each epoch")

    @jax.jit
    @jax.vmap
    def draw(key):
        X, y, run = trained(key, jaxlr.datasets.two_moons)
        return accuracy(run.params, X, y)

    shares = np.asarray(draw(jax.random.split(jax.random.key(0), 200)))
    print(f"moons, 200 draws in one program: accuracy {shares.mean():.4f} on average, {shares.min():.2f} to {shares.max():.2f}")
    print(f"draws with the published 0.87: {np.isclose(shares, 0.87).sum()}")
    axes[1, 1].hist(100 * shares, bins=np.arange(70.5, 96), color=SKY, edgecolor="white")
    axes[1, 1].axvline(87, color=VERMILION, ls="--", label="published: 87 %")
    axes[1, 1].set(xlabel="accuracy (% of 100 rows)", ylabel="draws", title="moons: 200 draws, one program")
    axes[1, 1].legend(frameon=False, loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "02_first_tutorial.png", dpi=120)


def clouds(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two clouds in two informative columns."""
    return jaxlr.datasets.clouds(key, 100, num_informative=2, separation=1.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
