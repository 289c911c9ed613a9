"""Which rows the risks of a low birth weight rest on: influence, refits without them, and errors that need no true model."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr
from jaxlr import inference

jax.config.update("jax_enable_x64", True)
MOST = 5


def main(out: Path) -> None:
    """Fit, find the rows of most influence, fit again without each, and draw what changes."""
    X, y, names, _ = jaxlr.datasets.low_birth_weight()
    fit, problem = jaxlr.fit(X, y), jaxlr.Problem(X, y)
    found = inference.influence(fit, problem)
    error = inference.standard_errors(fit, problem)
    top = np.argsort(-np.asarray(found.cooks_distance))[:MOST]
    print(f"the degrees of freedom of the model: {float(found.leverage.sum()):.4f}")

    # One call: without each of these rows, and without all of them.
    kept = 1 - np.eye(len(y))[top]
    fits = jaxlr.fit(X, y, sample_weight=np.vstack([kept, kept.prod(axis=0)]))
    print("row  leverage  residual  Cook's distance  moves most, in standard errors: to first order, by a refit")
    for i, row in enumerate(top):
        moved = np.asarray(fit.params.coef - fits.params.coef[i]) / np.asarray(error.coef)
        first = np.asarray(found.dfbeta.coef[row]) / np.asarray(error.coef)
        most = int(np.argmax(np.abs(moved)))
        h, residual, cook = found.leverage[row], found.standardized_deviance[row], found.cooks_distance[row]
        print(f"{row:3d}{h:10.3f}{residual:10.2f}{cook:17.4f}  {names[most]:12s}{first[most]:6.2f}{moved[most]:6.2f}")
    held_out = inference.leave_one_out(fit, problem).log_loss
    print(f"log loss: {float(fit.value):.4f} of the rows fitted, {float(held_out):.4f} of each row by the model of the others")

    few = jax.tree.map(lambda leaf: leaf[-1], fits)
    without = jaxlr.Problem(X, y, sample_weight=kept.prod(axis=0))
    intervals = {
        "all rows": inference.wald(fit, problem),
        "all rows, HC3 errors": inference.wald(fit, problem, kind="HC3"),
        f"without the {MOST} numbered": inference.wald(few, without),
    }
    shown = {name: inference.odds_ratios(found) for name, found in intervals.items()}
    _, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained", width_ratios=[1.1, 1])
    jaxlr.plots.influence(found, ax=left)
    left.set_title("Low birth weight, 189 mothers: who could move the fit, and who does")
    jaxlr.plots.forest(shown, names, none=1.0, value_name="odds ratio per unit of the column (95 % interval)", ax=right)
    right.set_title("What they move")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "14_influence.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
