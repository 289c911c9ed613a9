"""Groups: factors and splines that enter a model as a whole, with less shrinkage where that serves rows held out."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxlr

jax.config.update("jax_enable_x64", True)
FORMULA = "bs(age, df=4) + bs(lwt, df=4) + race + C(ptl) + C(ftv) + smoke + ht + ui"
WORDS = ["age", "weight", "race", "labours", "visits", "smoking", "hypertension", "irritability"]
TERMS: dict[str, str] = dict(zip(FORMULA.split(" + "), WORDS, strict=True))


def main(out: Path) -> None:
    """A path of the group lasso and of its relaxed forms, cross-validated in one call; which terms enter, and what they say."""
    X, y, names, _ = jaxlr.datasets.low_birth_weight()
    table = pd.DataFrame(X, columns=list(names)).astype(int)
    table["race"] = np.where(table.race_black, "black", np.where(table.race_other, "other", "white"))
    table["ptl"], table["ftv"] = table.ptl.clip(upper=2), table.ftv.clip(upper=3)
    design = jaxlr.preprocessing.design_matrix(table, FORMULA, penalized=False)  # relaxed models have no penalty
    terms = [TERMS[name.split("[")[0]] for name in design.names]
    kinds, groups = np.unique(terms, return_inverse=True)
    A = design.matrix.toarray()

    path = jaxlr.glmnet_path(A, y, groups=groups, num_strengths=40, ratio=0.01)
    gamma = np.array([1.0, 0.5, 0.0])  # shares of the penalized estimate
    options = {"folds": 10, "key": jax.random.key(0), "standardize": True}
    cv = jaxlr.cross_validate(A, y, **path, gamma=gamma[:, None], **options)
    print(cv.fits)
    fit = jaxlr.fit(A, y, **path, standardize=True)
    jaxlr.raise_on_failure(fit)
    strengths, loss = np.asarray(path["l1_group"]), np.asarray(cv.mean["log_loss"])
    coef = np.asarray(fit.params.coef)
    there = np.stack([np.any(coef[:, groups == k] != 0, axis=1) for k in range(len(kinds))], axis=1)
    assert all(np.all((coef[:, groups == k] != 0) == there[:, [k]]) for k in range(len(kinds)))  # as a whole or not at all
    first = np.argmax(there, axis=0)
    entered = [f"{kinds[k]} at {strengths[first[k]]:.3f}" for k in np.argsort(first, kind="stable")]
    print("entered, at l1_group:", ", ".join(entered))
    for share, losses in zip(gamma, loss, strict=True):
        i = np.argmin(losses)
        print(f"gamma {share}: held-out log loss {losses[i]:.4f}, left out: {', '.join(kinds[~there[i]]) or 'nothing'}")

    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.4), layout="constrained", width_ratios=(1.2, 1, 1))
    name, best = "l1_group (per standard deviation)", int(np.argmin(loss[0]))
    chosen = {"lowest mean": best, "lowest mean, relaxed": int(cv.best[1])}
    options = {"names": terms, "groups": groups, "chosen": chosen, "strength_name": name}
    jaxlr.plots.coefficient_path(strengths, coef * A.std(0), **options, ax=left)
    left.set(ylabel="coefficient (log-odds per standard deviation)")
    for g, style in enumerate(("-", "--", ":")):
        (line,) = middle.plot(strengths, loss[g], ls=style, label=f"gamma {gamma[g]}")
        middle.plot(strengths[np.argmin(loss[g])], loss[g].min(), "o", color=line.get_color())
    middle.set(xscale="log", xlabel=name, ylabel="held-out log loss, mean over 10 folds")
    middle.legend(frameon=False, title="share of the penalized estimate")
    weight = np.arange(80, 251)
    new = pd.DataFrame({"lwt": weight, "age": 23, "race": "white", "ptl": 0, "ftv": 0, "smoke": 0, "ht": 0, "ui": 0})
    penalized = jax.tree.map(lambda leaf: leaf[best], fit.params)
    for params, label, style in ((penalized, "group lasso", "-"), (cv.refit.params, "relaxed", "--")):
        right.plot(weight, jaxlr.predict_proba(params, design.transform(new)), style, label=label)
    right.plot(table.lwt, np.full(len(y), 0.004), "|", color="0.6", label="the mothers")
    right.set(xlabel="weight of the mother (pounds), no other risk", ylabel="probability of a low birth weight", ylim=(0, None))
    right.legend(frameon=False)
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "17_groups.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
