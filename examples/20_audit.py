"""What others call converged: 1,000 models each of scikit-learn, glmnet and statsmodels at their defaults."""

import argparse
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

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
for (f in seq_len(nrow(folds))) write.table(as.matrix(coef(glmnet(X[folds[f, ], ], y[folds[f, ]], "binomial", alpha = 0,
  lambda = l2, standardize = FALSE), s = l2)), "found", append = f > 1, row.names = FALSE, col.names = FALSE)"""


def glmnet(**tables: np.ndarray) -> list[Any]:
    """(coef, intercept) of every fold and strength, in the order of l2."""
    with tempfile.TemporaryDirectory() as folder:
        for name, values in tables.items():
            np.savetxt(Path(folder) / name, values)
        subprocess.run(["Rscript", "-e", R, folder], check=True)
        found = np.loadtxt(Path(folder) / "found").reshape(len(tables["folds"]), -1, len(tables["l2"]))
    return [(path[1:, i], path[0, i]) for path in found for i in range(len(tables["l2"]))]


def main(out: Path) -> None:
    """1,000 ridge models by each solver, then 1,000 resamples without a penalty: what was said, and what is true."""
    warnings.simplefilter("ignore")
    X, y, *_ = jaxlr.datasets.breast_cancer()
    X, l2 = (X - X.mean(0)) / X.std(0), np.logspace(1, -5, 100)
    folds = np.asarray(jaxlr.kfold(jax.random.key(0), len(y), 10))
    every = [(np.flatnonzero(fold), strength) for fold in folds for strength in l2]
    fit, models = jaxlr.fit(X, y, sample_weight=folds[:, None], l2=l2), {}
    for solver in ("lbfgs", "newton-cg", "newton-cholesky", "saga"):
        models[solver] = [LogisticRegression(C=1 / (len(r) * s), solver=solver).fit(X[r], y[r]) for r, s in every]
    models |= {"glmnet": glmnet(X=X, y=y, folds=folds, l2=l2)} if shutil.which("Rscript") else {}
    models["jaxlr"] = list(zip(fit.params.coef.reshape(1000, -1), fit.params.intercept.ravel(), strict=True))
    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained")
    print("1,000 ridge models at the defaults of each  residual: median    worst   J - min J at most, worst")
    for number, (name, fitted) in enumerate(models.items()):
        found = [check_certified(fitted[i], jaxlr.Problem(X[r], y[r], l2=s), np.inf) for i, (r, s) in enumerate(every)]
        kkt, gap = np.array([(one.kkt, one.gap) for one in found]).T
        print(f"{name:>42s}{np.median(kkt):18.1e}{kkt.max():9.1e}{gap.max():28.1e}")
        for ax, values in ((left, kkt), (middle, gap)):
            ax.loglog(np.tile(l2, 10), np.maximum(values, 1e-32), ".", ms=3, alpha=0.5, color=f"C{number}", label=name)
    print("glmnet is left out: no Rscript here" * ("glmnet" not in models))
    left.set(xlabel="l2", title="Breast cancer, 10 folds × 100 l2: KKT residual")
    middle.set(xlabel="l2", title="duality gap: J - min J is at most this")
    left.legend(markerscale=4, fontsize=9)

    X, y, *_ = jaxlr.datasets.spector()
    said = []
    for counts in np.asarray(jaxlr.bootstrap(jax.random.key(1), len(y), 1000)).astype(int):
        rows = np.repeat(np.arange(len(y)), counts)
        model = sm.GLM(y[rows], sm.add_constant(X[rows], has_constant="add"), family=sm.families.Binomial()).fit()
        exists = jaxlr.separation(X[rows], y[rows]) == "none"
        kkt = jaxlr.kkt_residual(jaxlr.Params(model.params[1:], model.params[0]), jaxlr.Problem(X, y, counts))
        said.append((np.abs(model.params).max(), float(kkt), exists, model.converged))
    size, kkt, exists, converged = np.array(said).T
    wrong = (converged == 1) & (exists == 0)
    print(
        f"statsmodels: {int((exists == 0).sum())} of 1,000 resamples have no estimate; {int(wrong.sum())} of these are said to"
    )
    print(f"be converged, with coefficients up to {size[wrong].max(initial=0):.0f}")
    for which, label in ((exists == 1, "an estimate exists"), (exists == 0, "classes separated: none exists")):
        right.loglog(size[which], np.maximum(kkt[which], 1e-18), ".", label=f"{label}: {int(which.sum())}")
    right.set(xlabel="largest coefficient", title="statsmodels' GLM on 1,000 resamples of 32 students: KKT residual")
    right.legend(fontsize=9)
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "20_audit.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
