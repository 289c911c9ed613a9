"""What others call converged: 1,000 models each of scikit-learn, glmnet and statsmodels at their defaults."""

import argparse
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression

import jaxlr
from jaxlr.testing import check_certified

jax.config.update("jax_enable_x64", True)
R = """suppressMessages(library(glmnet)); setwd(commandArgs(TRUE)[1]); table <- function(name) as.matrix(read.table(name))
X <- table("X"); y <- table("y"); l2 <- as.vector(table("l2")); folds <- table("folds") > 0
for (f in seq_len(nrow(folds))) write.table(t(as.matrix(coef(glmnet(X[folds[f, ], ], y[folds[f, ]], "binomial", alpha = 0,
  lambda = l2, standardize = FALSE), s = l2))), "found", append = f > 1, row.names = FALSE, col.names = FALSE)"""


def glmnet(**tables: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(coef, intercept) of every fold and strength, in the order of l2."""
    with tempfile.TemporaryDirectory() as folder:
        for name, values in tables.items():
            np.savetxt(Path(folder) / name, values)
        subprocess.run(["Rscript", "-e", R, folder], check=True)
        return [(row[1:], row[0]) for row in np.loadtxt(Path(folder) / "found")]


def main(out: Path) -> None:
    """1,000 ridge models by each solver, then 1,000 resamples without a penalty: what was said, and what is true."""
    warnings.simplefilter("ignore")
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X, l2 = (X - X.mean(0)) / X.std(0), np.logspace(1, -5, 100)
    folds = np.asarray(jaxlr.kfold(jax.random.key(0), len(y), 10))
    every = [(np.flatnonzero(fold), strength) for fold in folds for strength in l2]
    params, models = jaxlr.fit(X, y, sample_weight=folds[:, None], l2=l2).params, {}
    for solver in ("lbfgs", "newton-cholesky", "saga"):
        models[solver] = [LogisticRegression(C=1 / (len(r) * s), solver=solver).fit(X[r], y[r]) for r, s in every]
    models |= {"glmnet": glmnet(X=X, y=y, folds=folds, l2=l2)} if shutil.which("Rscript") else {}
    models["jaxlr"] = list(zip(*(np.asarray(leaf).reshape(1000, *leaf.shape[2:]) for leaf in params), strict=True))
    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained")
    print(f"{'1,000 ridge models, defaults of':>32s}{'residual: median':>18s}{'worst':>9s}{'gap: worst':>12s}")
    for name, fitted in models.items():
        found = [check_certified(fitted[i], jaxlr.Problem(X[r], y[r], l2=s), np.inf) for i, (r, s) in enumerate(every)]
        kkt, gap = np.array([(one.kkt, one.gap) for one in found]).T
        print(f"{name:>32s}{np.median(kkt):18.1e}{kkt.max():9.1e}{gap.max():12.1e}")
        for ax, values in ((left, kkt), (middle, gap)):
            ax.loglog(np.tile(l2, 10), np.maximum(values, 1e-32), ".", ms=3, alpha=0.5, label=name)
    print("glmnet is left out: no Rscript here" * ("glmnet" not in models))
    for ax, title in ((left, "Breast cancer, 10 folds × 100 l2: KKT residual"), (middle, "duality gap: J - min J is at most")):
        ax.set(xlabel="l2", title=title)
    left.legend(markerscale=4)
    (X, y, *_), said = jaxlr.datasets.spector(), []
    for counts in np.asarray(jaxlr.bootstrap(jax.random.key(1), len(y), 1000)).astype(int):
        model = sm.GLM(np.repeat(y, counts), np.repeat(sm.add_constant(X), counts, axis=0), family=sm.families.Binomial()).fit()
        kkt = jaxlr.kkt_residual(jaxlr.Params(model.params[1:], model.params[0]), jaxlr.Problem(X, y, counts))
        said.append((np.abs(model.params).max(), kkt, jaxlr.separation(X, y, counts) == "none", model.converged))
    size, kkt, exists, converged = np.array(said, float).T
    wrong, none = (converged == 1) & (exists == 0), int(np.sum(exists == 0))
    print(f"statsmodels: {none} of 1,000 resamples have no estimate, {int(wrong.sum())} of them are said to be converged,")
    print(f"with a residual of {kkt[wrong].max(initial=0):.0e} at most and coefficients up to {size[wrong].max(initial=0):.0f}")
    for which, label in ((exists == 1, f"an estimate exists: {1000 - none}"), (exists == 0, f"none exists, separated: {none}")):
        right.loglog(size[which], np.maximum(kkt[which], 1e-18), ".", label=label)
    right.set(xlabel="largest coefficient", title="statsmodels' GLM, 1,000 resamples: KKT residual")
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "20_audit.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
