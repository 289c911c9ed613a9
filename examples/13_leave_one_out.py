"""Leave-one-out without refits: beside 10 folds over 100 l2; and penalties of groups of columns, tuned by its gradient."""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import CYCLE, finish

jax.config.update("jax_enable_x64", True)
STEPS = 30


def main(out: Path) -> None:
    """Sweep one penalty both ways; then let penalties of 30 measurements and 30 columns of noise descend on leave-one-out."""
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X, l2, curves = (X - X.mean(0)) / X.std(0), np.logspace(1, -5, 100), {}
    for name, way in {"10 folds": {"folds": 10, "key": jax.random.key(0)}, "leave-one-out": {"folds": "loo"}}.items():
        jaxlr.cross_validate(X, y, l2=2 * l2, **way)  # compiles
        start = time.perf_counter()
        cv = curves[name] = jax.block_until_ready(jaxlr.cross_validate(X, y, l2=l2, **way))
        seconds, (i,) = time.perf_counter() - start, cv.best
        loss, error = (part["log_loss"][i] for part in (cv.mean, cv.standard_error))
        print(f"{name:14s}{cv.fits.status.size:5d} models, {seconds:.3f} s: l2 = {l2[i]:.1e}, loss {loss:.4f} +- {error:.4f}")
    seen = np.asarray(jaxlr.stratified_kfold(jax.random.key(0), y, 10))  # (10, m): 0 is for the comparison
    columns = np.hstack([X, np.random.default_rng(0).permuted(X, axis=0)])  # beside each measurement one that says nothing
    optimizer = optax.adam(optax.cosine_decay_schedule(0.5, STEPS))

    def losses(log_l2: jax.Array) -> tuple[jax.Array, jax.Array]:
        """With penalties (10, 60), of 10 splits: leave-one-out on the rows seen, and the log loss of the others."""
        problem = jaxlr.Problem(columns, y, seen, l2=1.0, penalty_factor=jnp.exp(log_l2))
        fit = jaxlr.fit(columns, y, sample_weight=seen, l2=1.0, penalty_factor=problem.penalty_factor)
        found = jaxlr.inference.leave_one_out(fit, problem)  # rows without weight have the logits of the model
        return found.log_loss, jaxlr.metrics.log_loss(y, found.logits, sample_weight=1 - seen)

    def step(carry: tuple, _: None) -> tuple:
        log_l2, state, tie = carry
        held_out, pull_back, unseen = jax.vjp(losses, log_l2, has_aux=True)
        updates, state = optimizer.update(pull_back(jnp.ones(10))[0] @ tie, state)  # no split touches another
        return (log_l2 + updates, state, tie), (log_l2, held_out, unseen)

    descend = jax.jit(lambda start, tie: jax.lax.scan(step, (start, optimizer.init(start), tie), length=STEPS)[1])
    pairs = np.kron(np.eye(2), np.ones((30, 30)) / 30)
    ties = {"one penalty": np.ones((60, 60)) / 60, "two": pairs, "sixty": np.eye(60)}
    log_l2, runs = jnp.full((10, 60), -4.0), {}
    for name, tie in ties.items():
        runs[name] = descend(log_l2, jnp.asarray(tie))
        log_l2, held_out, unseen = (values[-1] for values in runs[name])
        print(f"{name:12s} leave-one-out {held_out.mean():.4f}, unseen rows {unseen.mean():.4f}")
    draw(curves, l2, runs, out)


def draw(curves: dict, l2: np.ndarray, runs: dict, out: Path) -> None:
    """Both curves, and the losses of the descent: means of the 10 splits."""
    _, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    jaxlr.plots.cv_curve(curves, l2, ax=left).set(yscale="log", title="30 columns, 100 l2: 1,000 models, or 100")
    left.legend(frameon=False, fontsize="x-small", loc="upper center")
    for place, label, style in ((1, "leave-one-out, tuned on", "-"), (2, "unseen rows", "--")):
        right.plot(np.concatenate([run[place].mean(1) for run in runs.values()]), style, color=CYCLE[place], label=label)
    for place, name in enumerate(runs):
        right.text((place + 0.5) * STEPS, 0.02, name, transform=right.get_xaxis_transform(), ha="center")
        right.axvline(place * STEPS, ymax=0.8, color="black", lw=0.8)
    right.set(xlabel="step of gradient descent", ylabel="log loss (nats per row)", title="60 columns, half of them noise")
    finish(right, legend=True).margins(y=0.12)
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "13_leave_one_out.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
