"""Any optax optimizer against Newton's method, on one figure; and eight lines that train on batches as they are read."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import CYCLE

jax.config.update("jax_enable_x64", True)
L2, RESOLUTION = 1e-3, 1e-16  # J is about 0.06: smaller differences are rounding
OPTIMIZERS = {
    "sgd, rate 1": optax.sgd(1.0),
    "momentum 0.9": optax.sgd(0.3, momentum=0.9, nesterov=True),
    "adagrad": optax.adagrad(0.5),
    "rmsprop": optax.rmsprop(0.02),
    "adam": optax.adam(0.1),
    "adam, cosine rate": optax.adam(optax.cosine_decay_schedule(0.2, 200)),
    "lbfgs": optax.lbfgs(),
}


def newton(problem: jaxlr.Problem, num_steps: int) -> jax.Array:
    """Plain Newton from 0, written with the public gradient and Hessian: the loss after each step."""

    def step(params, _):
        g = jaxlr.gradient(params, problem)
        d = jnp.linalg.solve(jaxlr.hessian(params, problem), jnp.append(g.coef, g.intercept))
        params = jaxlr.Params(params.coef - d[:-1], params.intercept - d[-1])
        return params, jaxlr.loss(params, problem)

    zero = jaxlr.Params(jnp.zeros(problem.X.shape[1]), jnp.zeros(()))
    return jax.lax.scan(step, zero, length=num_steps)[1]


def stream(chunks: Iterable, optimizer: optax.GradientTransformation) -> Any:
    """One pass over data that come in chunks, from disk or from anywhere: each goes on where the last one stopped."""
    run = None
    for X, y in chunks:
        run = jaxlr.train(X, y, optimizer, batch_size=16, num_epochs=1, init=run, l2=L2)
    return run


def main(out: Path) -> None:
    """Train with each optimizer for 200 epochs over all rows, and draw what is left above the minimum."""
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X = np.asarray(jaxlr.preprocessing.standardize(X, jaxlr.preprocessing.fit_scaler(X)))
    minimum = float(jaxlr.fit(X, y, l2=L2).value)
    curves = {"newton": newton(jaxlr.Problem(X, y, l2=L2), 12)}
    curves |= {name: jaxlr.train(X, y, optimizer, num_epochs=200, l2=L2).losses for name, optimizer in OPTIMIZERS.items()}
    fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    ax.axhspan(RESOLUTION / 3, RESOLUTION, color="#DDDDDD", label="rounding")
    for i, (name, losses) in enumerate(curves.items()):
        excess = np.asarray(losses) - minimum
        last = f"{excess[-1]:.1e}" if excess[-1] > RESOLUTION else f"below {RESOLUTION}"
        print(f"{name:18s} J - minimum after {len(excess):3d} epochs: {last}")
        style: dict[str, Any] = {"color": CYCLE[i % 6], "ls": ("-", "--", "-.", ":")[i % 4], "marker": "os^Dv*Ph"[i]}
        ax.plot(np.arange(1, len(excess) + 1), np.maximum(excess, RESOLUTION), **style, ms=4, markevery=0.15, label=name)
    ax.set(xscale="log", yscale="log", xlabel="epoch (one pass over all rows)", ylabel="J - minimum (nats per row)")
    ax.legend(frameon=False, fontsize=9)

    chunks = np.random.default_rng(0).permutation(560).reshape(10, 56)
    streamed = stream(((X[rows], y[rows]) for rows in chunks), optax.adam(0.05))
    print(f"streamed in 10 chunks: loss {float(jaxlr.loss(streamed.params, jaxlr.Problem(X, y, l2=L2))):.4f}")
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "05_optimizers.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
