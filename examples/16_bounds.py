"""Bounds: a risk that may only fall with the mother's weight, and a lasso whose coefficients have a known sign and a cap."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """Steps of an ordered factor with and without upper=0, and their resamples; a path within bounds, and its adaptive form."""
    X, y, names, _ = jaxlr.datasets.low_birth_weight()
    weight = X[:, names.index("lwt")]
    edges = np.quantile(weight, np.arange(1, 8) / 8)
    steps = (weight[:, None] > edges).astype(float)  # a coefficient is the difference of a step from the one before
    level = (np.arange(8)[:, None] > np.arange(7)).astype(float)
    curves = {}
    for label, upper in {"free": np.inf, "only falling": 0.0}.items():
        fit = jaxlr.fit(steps, y, upper=upper)
        resamples = jaxlr.fit_bootstrap(jax.random.key(0), steps, y, 500, l2=1e-3, upper=upper)
        drawn = jaxlr.predict_proba(resamples.params, level)
        curves[label] = jaxlr.predict_proba(fit.params, level), np.quantile(np.asarray(drawn), (0.05, 0.95), axis=0)
        print(f"{label}: J {fit.value:.4f}, kkt {fit.kkt:.0e}, {resamples.converged.sum()} of 500 resamples converged")
        assert label == "free" or np.all(np.diff(np.asarray(curves[label][0], float)) <= 0)

    A, malignant, columns, _ = jaxlr.datasets.breast_cancer()
    A = (A - A.mean(axis=0)) / A.std(axis=0)
    malignant = 1 - malignant  # a tumour that is large, rough or of an odd shape is no less malignant for it
    first = jaxlr.l1_max(jaxlr.Problem(A, malignant, lower=np.zeros(A.shape[1])))
    l1 = np.geomspace(float(first), float(first) / 1e3, 40)
    path = jaxlr.fit(A, malignant, l1=l1, lower=0.0, upper=1.0)
    jaxlr.raise_on_failure(path)
    print(f"{path.status.size} models in [0, 1], the worst gap {path.gap.max():.0e}")
    ridge = np.asarray(jaxlr.fit(A, malignant, l2=1e-2, lower=0.0).params.coef)  # the adaptive lasso: factors of a first fit
    factor = 1 / np.maximum(ridge, 1e-3 * ridge.max())
    for label, own in {"lasso": None, "adaptive lasso": factor / factor.min()}.items():
        options = {"folds": 10, "key": jax.random.key(0), "rule": "one_se"}
        cv = jaxlr.cross_validate(A, malignant, l1=l1, lower=0.0, penalty_factor=own, **options)
        kept = [columns[j] for j in np.flatnonzero(cv.refit.params.coef)]
        print(f"{label}: held-out log loss {cv.mean['log_loss'][cv.one_se]:.4f}, {len(kept)} columns")

    _, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained", width_ratios=(1, 1.2))
    ends = np.concatenate([[weight.min()], edges, [weight.max()]])
    for (label, (probability, band)), colour in zip(curves.items(), ("0.6", "C0"), strict=True):
        left.stairs(
            np.asarray(probability), ends, baseline=None, color=colour, lw=2, label=f"{label}, and 90 % of 500 resamples"
        )
        left.stairs(band[1], ends, baseline=band[0], fill=True, color=colour, alpha=0.2)
    left.set(xlabel="weight of the mother (pounds)", ylabel="probability of a low birth weight", ylim=(0, 1))
    left.legend(frameon=False)
    name = "l1 (per standard deviation)"
    jaxlr.plots.coefficient_path(l1, path.params.coef, names=columns, strength_name=name, lower=0.0, upper=1.0, ax=right)
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "16_bounds.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
