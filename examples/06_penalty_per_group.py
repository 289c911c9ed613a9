"""One penalty per group of columns, tuned by gradient descent through the fits on the loss of held-out rows."""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import CYCLE, finish

jax.config.update("jax_enable_x64", True)
GROUPS = ("mean", "error", "worst")  # each of 10 measurements: mean of the cells, its standard error, mean of the worst
STEPS = 41


def main(out: Path) -> None:
    """Tune one common penalty, go on from there with one per group, and compare on rows that neither has seen."""
    X, y, names, _ = jaxlr.datasets.breast_cancer()
    group = np.array([[part in name for part in GROUPS].index(True) for name in names])
    seen = np.asarray(jaxlr.stratified_kfold(jax.random.key(0), y, 10))[:, None]  # (10, 1, m): 0 is for the comparison
    train = seen * np.asarray(jaxlr.stratified_kfold(jax.random.key(1), y, 5))  # (10, 5, m): what else is 0 tunes
    optimizer = optax.adam(optax.cosine_decay_schedule(0.5, STEPS), b1=0.5, b2=0.9)

    def losses(log_l2: jax.Array, train: np.ndarray, score: np.ndarray) -> jax.Array:
        """Fit to some rows, score on others: the mean log loss over the folds of each of the 10 splits."""
        fit = jaxlr.fit(X, y, sample_weight=train, l2=1.0, penalty_factor=jnp.exp(log_l2)[:, None, group], standardize=True)
        loss = jaxlr.logistic_loss(jaxlr.logits(fit.params, X), y)
        return jnp.sum(score * loss, axis=(1, 2)) / jnp.sum(score, axis=(1, 2))

    @jax.jit
    def descend(log_l2: jax.Array, tie: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        def step(carry: tuple, _: None) -> tuple:
            log_l2, state = carry
            tuning, pull_back = jax.vjp(lambda log_l2: losses(log_l2, train, seen - train), log_l2)
            updates, state = optimizer.update(pull_back(jnp.ones(10))[0] @ tie, state)  # no split touches another
            return (log_l2 + updates, state), (log_l2, tuning, losses(log_l2, seen, 1 - seen))

        return jax.lax.scan(step, (log_l2, optimizer.init(log_l2)), length=STEPS)[1]

    common = descend(jnp.full((10, 3), -5.0), np.full((3, 3), 1 / 3))
    own = descend(common[0][-1], np.eye(3))
    for name, (log_l2, tuning, unseen) in {"one penalty": common, "one per group": own}.items():
        l2 = ", ".join(f"{part} {value:.1e}" for part, value in zip(GROUPS, jnp.exp(log_l2[-1].mean(0)), strict=True))
        print(f"{name:14s} log loss held-out {tuning[-1].mean():.4f}, unseen {unseen[-1].mean():.4f}; l2: {l2}")
    for name, before, after in (("held-out", common[1], own[1]), ("unseen", common[2], own[2])):
        gain = np.asarray(before[-1] - after[-1])
        mean, error = gain.mean(), gain.std(ddof=1) / np.sqrt(10)
        print(f"gained on {name} rows: {mean:.4f} +- {error:.4f} nats per row, in {(gain > 0).sum()} of 10 splits")
    draw(*(np.concatenate(values) for values in zip(common, own, strict=True)), out=out)


def draw(log_l2: np.ndarray, tuning: np.ndarray, unseen: np.ndarray, out: Path) -> None:
    """The losses and the penalties step by step: means of the splits, and each split as a thin line."""
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    left.plot(tuning.mean(1), color=CYCLE[0], label="held-out rows, tuned on")
    left.plot(unseen.mean(1), "--", color=CYCLE[1], label="unseen rows")
    left.set(xlabel="step of gradient descent", ylabel="log loss (nats per row)", title="Mean of 10 splits")
    for i, (name, style) in enumerate(zip(GROUPS, ("-", "--", ":"), strict=True)):
        right.plot(np.exp(log_l2[:, :, i]), style, color=CYCLE[i], lw=0.5, alpha=0.5)
        right.plot(np.exp(log_l2[:, :, i].mean(1)), style, color=CYCLE[i], lw=2.5, label=name)
    right.set(xlabel="step of gradient descent", ylabel="l2 of the group of columns", yscale="log", title="Penalties")
    for ax in (left, right):
        ax.axvline(STEPS - 1, color="black", lw=0.8)
        ax.margins(y=0.12)
        for x, text in ((0.28, "one penalty"), (0.72, "one per group")):
            ax.text(x, 0.02, text, transform=ax.transAxes, ha="center")
        finish(ax, legend=True)
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "06_penalty_per_group.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
