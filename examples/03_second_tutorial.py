"""The second tutorial done right: whom to send a discount code, from a guess to the discovery that no estimate exists."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxlr
from jaxlr.plots.style import CYCLE

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """Go through the tutorial, line by line."""
    X, y, *_ = jaxlr.datasets.discount_codes()
    loss, proba = float(jaxlr.logistic_loss(25.0, 0.0)), float(jaxlr.sigmoid(25.0))
    print(f"one guess, logit 25 for a 0: loss {loss!r}, probability {proba!r}")

    guesses = np.arange(-10, 10) / 10
    grid = jax.vmap(lambda w: jaxlr.logistic_loss(50 * w, 0.0))(guesses)
    for w, loss in zip(guesses, grid, strict=True):
        print(f"  w = {w:4.1f}  loss {float(loss)!r}")

    print("gradient descent without an intercept, 30,000 epochs:")
    runs = {}
    for rate in (0.001, 0.01, 0.1):
        runs[rate] = jaxlr.train(X, y, optax.sgd(rate), num_epochs=30_000, fit_intercept=False)
        last = [float(loss) for loss in runs[rate].losses[-2:]]
        print(f"  rate {rate}: w {float(runs[rate].params.coef[0])!r}, last losses {last}")
    exact = jaxlr.fit(X, y, fit_intercept=False)
    print(f"  it is not stuck: that IS the minimum. fit: w {float(exact.params.coef[0])!r}, J {float(exact.value)!r}")
    curvature = float(jaxlr.hessian(exact.params, jaxlr.Problem(X, y, fit_intercept=False))[0, 0])
    print(f"  rates up to 2 / curvature = {2 / curvature:.5f} are stable")

    with_intercept = jaxlr.train(X, y, optax.sgd(0.01), num_epochs=100_000)
    for spent in (10.0, 250.0):
        p = float(jaxlr.predict_proba(with_intercept.params, np.array([[spent]]))[0])
        print(f"with an intercept, ${spent:.0f}: class {int(p >= 0.5)} (probability {p:.4g})")
    print(jaxlr.fit(X, y))
    ridge = jaxlr.fit(X, y, l2=0.01, standardize=True)
    print(f"with l2 = 0.01 it exists: {ridge.params}, {'converged' if ridge.converged else 'failed'}")

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    shown = np.unique(np.logspace(0, np.log10(30_000), 400).astype(int)) - 1
    left.set_prop_cycle(color=CYCLE)
    right.set_prop_cycle(color=CYCLE)
    for (rate, run), ls in zip(runs.items(), ("-", "--", ":"), strict=True):
        left.plot(shown + 1, np.asarray(run.losses)[shown], ls=ls, label=f"rate {rate}")
    left.axhline(float(exact.value), color="black", lw=0.8, label="minimum, by fit")
    left.set(xscale="log", yscale="log", xlabel="epoch", ylabel="loss J (nats per customer)", title="without an intercept")
    dollars = np.linspace(0, 200, 300)
    for params, label, ls in (
        (exact.params, "no intercept", "--"), (with_intercept.params, "100,000 epochs", "-"), (ridge.params, "l2 = 0.01", ":")
    ):  # fmt: skip
        right.plot(dollars, jaxlr.predict_proba(params, dollars[:, None]), ls=ls, label=label)
    right.plot(X[:, 0], y, "o", color="black", label="customers")
    right.set(xlabel="amount spent (dollars)", ylabel="probability of a discount code", title="who gets a code")
    left.set_ylim(bottom=0.1)
    left.legend(frameon=False, fontsize=9, loc="lower left", ncols=2)
    right.legend(frameon=False, fontsize=9)
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "03_second_tutorial.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
