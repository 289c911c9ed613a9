"""Ten classes: the digits, cross-validated over 20 penalties; what a model sees in them; three flowers without an estimate."""

import argparse
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_iris

import jaxlr

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """100 models of 650 parameters each, their choice, and the coefficients of each class as an image."""
    X, labels = load_digits(return_X_y=True)
    X, l2 = X / 16, np.logspace(0, -5, 20)
    cv = jaxlr.cross_validate(X, labels, num_classes=10, l2=l2, folds=5, key=jax.random.key(0), metrics=("accuracy",))
    print(cv)
    jaxlr.raise_on_failure(cv.fits)
    print(f"accuracy {cv.mean['accuracy'][cv.best]:.3f}, of the one-standard-error choice {cv.mean['accuracy'][cv.one_se]:.3f}")
    coef = np.asarray(cv.refit.params.coef)
    print(f"largest sum of coefficients over the classes: {np.abs(coef.sum(axis=0)).max():.0e}")

    flowers, species = load_iris(return_X_y=True)
    fit = jaxlr.fit(flowers, species, num_classes=3, l2=np.array([0.0, 1e-3]))
    print("iris, without a penalty and with l2 = 0.001:", [jaxlr.Status(int(status)).name for status in fit.status])
    print(f"  with the penalty: {fit.params.coef[1].round(2).tolist()}, gap {fit.gap[1]:.0e}")

    figure = plt.figure(figsize=(16, 4.4), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 2))
    left, right = halves
    jaxlr.plots.cv_curve(cv, l2, strength_name="l2 (scale of the mean loss)", ax=left.subplots())
    limit = np.abs(coef).max()
    panels = right.subplots(2, 5)
    images = [ax.imshow(coef[k].reshape(8, 8), cmap="PuOr", vmin=-limit, vmax=limit) for k, ax in enumerate(panels.flat)]
    for k, ax in enumerate(panels.flat):
        ax.set(title=str(k), xticks=[], yticks=[])
    right.colorbar(images[0], ax=panels, label="coefficient (log-odds per full pixel)")
    right.suptitle("what speaks for a digit, and what against it")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "12_softmax.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
