"""A complete association scan: 20,000 simulated genotypes, score tests first, then fits, Firth where a column separates."""

import argparse
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxlr

jax.config.update("jax_enable_x64", True)
PEOPLE, VARIANTS, CHROMOSOMES = 2000, 20_000, 10
CAUSAL = {2500: 0.55, 9300: -0.5, 15_200: 0.6}  # log-odds an allele


def simulated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Genotypes (variants, people) in blocks that are correlated, rare ones among them; cases and controls; age and sex."""
    frequency = np.repeat(rng.beta(0.5, 2, VARIANTS // 20), 20).clip(0.001, 0.5)
    frequency[list(CAUSAL)] = 0.3
    haplotypes = []
    for _ in range(2):
        latent = (
            rng.standard_normal((VARIANTS // 20, 1, PEOPLE)) * 0.7 + rng.standard_normal((VARIANTS // 20, 20, PEOPLE)) * 0.7
        )
        order = np.argsort(np.argsort(latent.reshape(VARIANTS, PEOPLE), axis=1), axis=1)
        haplotypes.append(order < np.maximum(1, frequency * PEOPLE)[:, None])
    genotypes = haplotypes[0] + haplotypes[1].astype(np.float32)
    covariates = np.column_stack([rng.standard_normal(PEOPLE), rng.integers(0, 2, PEOPLE)])
    risk = covariates @ [0.4, 0.3] + sum(effect * genotypes[variant] for variant, effect in CAUSAL.items())
    y = (risk - np.median(risk) - 1.5 + rng.logistic(size=PEOPLE) > 0).astype(int)
    return genotypes, y, covariates


def main(out: Path) -> None:
    """Scan, print what stands out, and draw the Manhattan and the QQ plot."""
    genotypes, y, covariates = simulated(np.random.default_rng(1))
    start = time.perf_counter()
    scan = jaxlr.association_scan(genotypes.astype(float), y, covariates=covariates)
    print(f"{VARIANTS} variants, {PEOPLE} people ({y.sum()} cases): {time.perf_counter() - start:.1f} s, compilation included")
    for status in jaxlr.Status:
        if count := int(np.sum(scan.status == status)):
            print(f"  {count} {status.name}")
    print(f"  {int(scan.firth.sum())} by Firth's penalized likelihood, all finite: {bool(np.isfinite(scan.estimate).all())}")
    log_p = np.asarray(scan.likelihood_ratio.log_p)
    top = np.flatnonzero(log_p < np.log(5e-8))
    print(
        "genome-wide significant:", ", ".join(f"{v} (log-odds {scan.estimate[v]:.2f}, p {np.exp(log_p[v]):.0e})" for v in top)
    )
    near = np.isin(np.arange(VARIANTS) // 20, [variant // 20 for variant in CAUSAL])
    common = ~near & (np.minimum(genotypes.mean(1), 2 - genotypes.mean(1)) > 0.02)
    for name, test in (("score", scan.score), ("Wald", scan.wald), ("likelihood ratio", scan.likelihood_ratio)):
        inflation = np.nanmedian(np.asarray(test.statistic)[common]) / 0.4549364
        print(f"lambda_GC of the {name} test, causal blocks and rare variants left out: {inflation:.3f}")

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", width_ratios=(2.2, 1))
    groups = np.arange(VARIANTS) // (VARIANTS // CHROMOSOMES) + 1
    jaxlr.plots.manhattan(log_p, groups=groups, marked=scan.firth, ax=left)
    left.set(xlabel="chromosome", title=f"{VARIANTS:,} variants, {PEOPLE:,} people: likelihood-ratio tests")
    jaxlr.plots.qq(log_p[common], label="common, null", ax=right)
    right.set_title("calibrated under the null")
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "09_association_scan.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
