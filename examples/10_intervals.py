"""Three kinds of intervals for the risks of a low birth weight: Wald's, the profile likelihood's, and the bootstrap's."""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt

import jaxlr
from jaxlr import inference

jax.config.update("jax_enable_x64", True)


def main(out: Path) -> None:
    """Fit, print the table, and draw the forest of odds ratios."""
    X, y, names, _ = jaxlr.datasets.low_birth_weight()
    problem = jaxlr.Problem(X, y)
    fit = jaxlr.fit(X, y)
    print(inference.summary(fit, problem, names=names))

    # Resamples in which the classes are separated have no estimate but Firth's: all of them are fitted by his likelihood.
    counts = jaxlr.bootstrap(jax.random.key(0), len(y), 5000)
    resamples = jaxlr.fit_firth(X, y, sample_weight=counts)
    print(resamples)
    found = {
        "Wald": inference.wald(fit, problem),
        "profile likelihood": inference.profile_intervals(fit, problem),
        "Firth, profile": inference.profile_intervals(jaxlr.fit_firth(X, y), problem),
        "bootstrap, percentile": inference.bootstrap_intervals(fit, resamples),
        "bootstrap, basic": inference.bootstrap_intervals(fit, resamples, method="basic"),
    }
    shown = {method: inference.odds_ratios(intervals) for method, intervals in found.items()}
    smoke = names.index("smoke")
    for method, ratios in shown.items():
        numbers = [float(part.coef[smoke]) for part in (ratios.estimate, ratios.lower, ratios.upper)]
        print(f"{method:22s} odds ratio of smoking {numbers[0]:.2f} ({numbers[1]:.2f} to {numbers[2]:.2f})")

    _, ax = plt.subplots(figsize=(8, 6.4), layout="constrained")
    jaxlr.plots.forest(shown, names, none=1.0, value_name="odds ratio per unit of the column (95 % interval)", ax=ax)
    ax.set_title("Low birth weight, 189 mothers: five kinds of intervals")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "10_intervals.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
