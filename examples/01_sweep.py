"""A cross-validated sweep: 100 values of l2 x 10 folds = 1,000 models of real data in one call, each certified."""

import argparse
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """Fit, print what came out, and draw the cross-validation curve."""
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X = np.asarray(jaxlr.preprocessing.standardize(X, jaxlr.preprocessing.fit_scaler(X)))
    l2 = np.logspace(1, -5, 100)

    def sweep(strengths: np.ndarray) -> jaxlr.CrossValidation:
        cv = jaxlr.cross_validate(
            X, y, l2=strengths, folds=10, key=jax.random.key(0), metrics=("log_loss", "accuracy"), refit=True
        )
        return jax.block_until_ready(cv)

    seconds = []
    for nudge in (0, 1e-6):  # new values the second time: nothing is remembered but the compiled program
        start = time.perf_counter()
        cv = sweep(l2 * (1 + nudge))
        seconds.append(time.perf_counter() - start)

    loss, error = np.asarray(cv.mean["log_loss"]), np.asarray(cv.standard_error["log_loss"])
    accuracy = np.asarray(cv.mean["accuracy"])
    print("       l2   log loss        +-   accuracy")
    for i in range(0, 100, 11):
        print(f"{l2[i]:9.2e}  {loss[i]:9.4f} {error[i]:9.4f}  {accuracy[i]:9.4f}")
    for name, (i,) in (("best", cv.best), ("one standard error", cv.one_se)):
        print(f"{name}: l2 = {l2[i]:.3e}, log loss {loss[i]:.4f} +- {error[i]:.4f}, accuracy {accuracy[i]:.4f}")
    print(cv.fits)
    print(f"first call, which compiles or loads, {seconds[0]:.2f} s, warm {seconds[1]:.2f} s")
    jaxlr.raise_on_failure(cv.fits)
    draw(l2, loss, error, {"lowest mean": cv.best[0], "one standard error": cv.one_se[0]}, out)


def draw(l2: np.ndarray, loss: np.ndarray, error: np.ndarray, chosen: dict[str, int], out: Path) -> None:
    """The mean held-out loss with its standard-error band, and the two choices."""
    fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    ax.fill_between(l2, loss - error, loss + error, color="C0", alpha=0.25, lw=0, label="± one standard error")
    ax.plot(l2, loss, color="C0", label="mean of 10 folds")
    for (label, i), marker, colour in zip(chosen.items(), "os", ("C1", "black"), strict=True):
        ax.plot(l2[i], loss[i], marker, color=colour, ms=7, label=f"{label}: l2 = {l2[i]:.1e}")
    ax.set(xscale="log", yscale="log", xlabel="l2 (scale of the mean loss)", ylabel="held-out log loss (nats per row)")
    ax.set_yticks([0.06, 0.1, 0.2, 0.4], labels=["0.06", "0.1", "0.2", "0.4"])
    ax.minorticks_off()
    ax.set_title("Breast cancer, 569 × 30: 1,000 certified models in one call", fontsize=11)
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "01_sweep.png", dpi=150)
    print(f"figure: {out / '01_sweep.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
