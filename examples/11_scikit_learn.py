"""In place of scikit-learn: its pipelines, tables and scores, beside its own estimator; then names, a file and a table out."""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxlr

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """50 strengths on 10 folds by both estimators: scores, probabilities, times; the same table through the functions."""
    X, y, names, _ = jaxlr.datasets.breast_cancer()
    table, labels = pd.DataFrame(X, columns=list(names)), np.where(y == 1, "benign", "malignant")
    options = {"Cs": np.logspace(-4, 4, 50), "cv": 10, "scoring": "neg_log_loss", "l1_ratios": (0.0,)}
    peer = {"solver": "newton-cholesky", "max_iter": 1000, "n_jobs": -1, "use_legacy_attributes": False}
    models = {
        "jaxlr": jaxlr.estimator.LogisticRegressorCV(**options),
        "scikit-learn": LogisticRegressionCV(**options, **peer, tol=1e-6),
    }
    seconds, fitted = {}, {}
    for name, model in models.items():
        for run in ("first call", "second call"):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                fitted[name] = make_pipeline(StandardScaler(), model).fit(table, labels)
            seconds[name, run] = time.perf_counter() - start
        print(
            f"{name:>12}: C = {model.C_:.4g}, "
            + ", ".join(f"{run} {seconds[name, run]:.2f} s" for run in ("first call", "second call"))
        )
    proba = {name: model.predict_proba(table) for name, model in fitted.items()}
    print(f"largest difference of probabilities: {np.abs(proba['jaxlr'] - proba['scikit-learn']).max():.0e}")
    print("each model's residual:", models["jaxlr"].kkt_, "converged:", models["jaxlr"].converged_)

    fit = jaxlr.fit(table, y, l2=np.logspace(0, -6, 50), standardize=True)
    with tempfile.TemporaryDirectory() as folder:
        jaxlr.io.save(Path(folder) / "path.npz", fit)
        fit = jaxlr.io.load(Path(folder) / "path.npz")
    print(fit.to_pandas(l2=np.logspace(0, -6, 50))[["l2", "status", "kkt", "coef_mean_texture"]].iloc[::10])

    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.4), layout="constrained", width_ratios=(1, 0.7, 1.3))
    for (name, model), style in zip(models.items(), ("-", "o"), strict=True):
        left.semilogx(model.Cs_, -model.scores_[:, 0].mean(axis=0), style, ms=4, label=name)
    left.set(xlabel="C", ylabel="held-out log loss", title="the same scores")
    left.legend(frameon=False)
    bars = [f"{name}\n{run}" for name, run in seconds]
    middle.barh(bars[::-1], list(seconds.values())[::-1], color=["#56b4e9", "#56b4e9", "#0072b2", "#0072b2"])
    middle.set(xlabel="seconds, 501 models", title="first call: compilation included")
    jaxlr.plots.coefficient_path(np.logspace(0, -6, 50), fit, ax=right)
    right.set(yscale="symlog", title="names come with the table")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "11_scikit_learn.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
