"""One study from the table to the publication: risks of a low birth weight, as odds ratios, risks, and a check of the model."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxlr
from jaxlr import inference, plots

jax.config.update("jax_enable_x64", True)
MODEL = "age + weight + I(weight**2) + C(race) + smoke * hypertension + uterine + visits"
EFFECTS = {"age, a year": "age", "weight, 10 pounds": "weight", "smoking": "smoke", "hypertension": "hypertension"}
STEPS = {"age": 1, "weight": 10}  # all others are 0 or 1


def study() -> tuple[pd.DataFrame, np.ndarray]:
    """189 mothers as a table, and whether the child weighed under 2,500 g."""
    X, y, names, _ = jaxlr.datasets.low_birth_weight()
    data = pd.DataFrame(X, columns=list(names))
    race = np.select([data.race_black == 1, data.race_other == 1], ["black", "other"], "white")
    table = data[["age", "lwt", "smoke", "ht", "ui", "ftv"]]
    table = table.set_axis(["age", "weight", "smoke", "hypertension", "uterine", "visits"], axis=1)
    return table.assign(race=pd.Categorical(race, ["white", "black", "other"])), y


def main(out: Path) -> None:
    """Code the table, fit, print what a paper prints, and draw it."""
    table, y = study()
    design = jaxlr.preprocessing.design_matrix(table, MODEL, penalized=False)
    X = design.matrix.toarray()
    fit, problem = jaxlr.fit(X, y), jaxlr.Problem(X, y)
    jaxlr.raise_on_failure(fit)
    print(inference.summary(fit, problem, names=design.names))

    # What a variable does, through all of its columns: everyone with it against everyone without it, or one step more.
    shown = {}
    for kind in ("model", "HC3"):
        found = []
        for name in EFFECTS.values():
            low = table if name in STEPS else table.assign(**{name: 0})
            high = table.assign(**{name: table[name] + STEPS[name] if name in STEPS else 1})
            found.append(inference.comparisons(fit, problem, design.transform(low), design.transform(high), kind=kind))
        shown[f"{kind} errors"] = jax.tree.map(lambda *each: np.stack(each), *found)
    print("average change of the risk, in percentage points (95 % interval)")
    effects = shown["model errors"]
    for i, name in enumerate(EFFECTS):
        print(f"  {name:20s}{100 * effects.estimate[i]:6.1f} ({100 * effects.lower[i]:.1f} to {100 * effects.upper[i]:.1f})")

    measures, test = inference.goodness_of_fit(fit, problem), inference.hosmer_lemeshow(fit, problem)
    print(f"Tjur's R2 {measures.tjur:.3f}, Nagelkerke's {measures.nagelkerke:.3f}; Hosmer-Lemeshow p = {test.p_value:.2f}")

    _, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.6), layout="constrained", width_ratios=[1.2, 1, 0.9])
    plots.forest(shown, list(EFFECTS), value_name="average change of the risk (95 % interval)", ax=left)
    left.set_title("Low birth weight, 189 mothers: what changes the risk")
    weight = np.linspace(table.weight.min(), table.weight.max(), 80)
    for smoke, label in ((0, "no smoker"), (1, "smoker")):
        typical = pd.concat([table.iloc[:1]] * len(weight)).assign(weight=weight, smoke=smoke, race="white", hypertension=0)
        rows = design.transform(typical.assign(age=table.age.median(), uterine=0, visits=0))
        plots.predicted(weight, inference.predictions(fit, problem, rows), name="weight (pounds)", label=label, ax=middle)
    middle.set(title="White, of median age: the risk (95 % band)", ylabel="risk of a low birth weight")
    plots.calibration(y, jaxlr.predict_proba(fit, X), num_bins=8, ax=right)
    right.set_title("Is it true what the model says?")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "18_study.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
