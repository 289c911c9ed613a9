"""The lasso and the elastic net: 2,100 models on folds of real data, coefficients that are exactly 0, each with its proof."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """A path of l1 and a grid l1 x l2, cross-validated; what is chosen, and how few columns that takes."""
    X, y, names, _ = jaxlr.datasets.breast_cancer()
    options = {"folds": 10, "key": jax.random.key(0), "standardize": True}
    strengths = jaxlr.glmnet_path(X, y)  # those of R's glmnet: 100 values of l1, from the least that leaves no column
    cv = jaxlr.cross_validate(X, y, **strengths, rule="one_se", **options)
    l1 = np.asarray(strengths["l1"])
    print(cv.fits)
    chosen = {"lowest mean": cv.best[0], "one standard error": cv.one_se[0]}
    path = jaxlr.fit(X, y, **strengths, standardize=True)
    coef = np.asarray(path.params.coef)
    for label, i in chosen.items():
        size, loss = np.count_nonzero(coef[i]), cv.mean["log_loss"][i]
        print(f"{label}: l1 = {l1[i]:.2e}, {size} of {len(names)} columns, held-out log loss {loss:.4f}, gap {path.gap[i]:.0e}")
    print("columns:", ", ".join(names[j] for j in np.flatnonzero(cv.refit.params.coef)))

    grid = {"l1": np.geomspace(l1[0], l1[0] / 1e4, 11)[:, None], "l2": np.geomspace(1, 1e-4, 10)}
    two_way = jaxlr.cross_validate(X, y, **grid, **options)
    i, j = two_way.best
    best = two_way.mean["log_loss"][i, j]
    print(f"of {two_way.fits.status[0].size} pairs: l1 = {grid['l1'][i, 0]:.1e}, l2 = {grid['l2'][j]:.1e}, log loss {best:.4f}")
    jaxlr.raise_on_failure(two_way.fits)

    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.4), layout="constrained", width_ratios=(1.2, 1, 1))
    name = "l1 (per standard deviation)"
    jaxlr.plots.coefficient_path(l1, coef * X.std(0), names=names, chosen=chosen, strength_name=name, ax=left)
    left.set(ylabel="coefficient (log-odds per standard deviation)", yscale="symlog")
    jaxlr.plots.cv_curve(cv, l1, strength_name=name, ax=middle)
    jaxlr.plots.heat_map(
        np.log10(two_way.mean["log_loss"]),
        grid["l1"][:, 0],
        grid["l2"],
        row_name=name,
        column_name="l2",
        value_name="log10 of the held-out log loss",
        chosen=two_way.best,
        ax=right,
    )
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "08_lasso.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
