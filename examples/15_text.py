"""Text: which package of Python's standard library does a docstring come from? The words that a sparse lasso path lets in.

The texts are the docstrings of whatever Python runs this, some 2,000 of them; their words are the columns of a sparse matrix,
which stays one.
"""

import argparse
import ast
import re
import sysconfig
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

import jaxlr

jax.config.update("jax_enable_x64", True)

PACKAGES = ("asyncio", "email", "http", "logging", "multiprocessing", "unittest", "xml")


def docstrings(package: str) -> list[str]:
    """Of the functions, classes and modules of a package that say more than a line, without its tests."""
    files = sorted((Path(sysconfig.get_path("stdlib")) / package).rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files if "test" not in path.parts]
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]
    found = {ast.get_docstring(node) or "" for node in nodes}
    return sorted(text for text in found if len(text.split()) >= 6)


def main(out: Path) -> None:
    """Five folds of a path of 30 penalties, seven classes each; then the words of a few of them."""
    texts = [docstrings(package) for package in PACKAGES]
    labels = np.repeat(np.arange(len(PACKAGES)), [len(own) for own in texts])
    hidden = re.compile("|".join(PACKAGES), re.IGNORECASE)  # the answer itself
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, preprocessor=lambda text: hidden.sub(" ", text.lower()))
    X = words.fit_transform([text for own in texts for text in own])
    print(f"{X.shape[0]} docstrings x {X.shape[1]} words, {X.nnz / np.prod(X.shape):.2%} of the places filled")

    most = float(jaxlr.l1_max(jaxlr.Problem(X, labels), num_classes=len(PACKAGES)))
    l1 = most * np.geomspace(1, 0.02, 30)
    options = {"num_classes": len(PACKAGES), "l1": l1, "tol": 1e-6}
    cv = jaxlr.cross_validate(X, labels, folds=5, key=jax.random.key(0), metrics=("accuracy",), **options)
    print(cv)
    jaxlr.raise_on_failure(cv.fits)
    path = jaxlr.fit(X, labels, **options)
    used = np.sum(np.any(np.asarray(path.params.coef) != 0, axis=1), axis=-1)
    print(f"words in the models, from the strongest penalty on: {used[::6].tolist()} of {X.shape[1]}")

    few = int(np.searchsorted(used, 40))
    coef, names = np.asarray(path.params.coef[few]), words.get_feature_names_out()
    figure, (left, *panels) = plt.subplots(1, 1 + len(PACKAGES), figsize=(17, 4.2), width_ratios=[3] + [1] * len(PACKAGES))
    left.errorbar(used, cv.mean["accuracy"], cv.standard_error["accuracy"], marker="o", markersize=3, capsize=2)
    left.axvline(used[few], color="gray", linestyle=":", label=f"the {used[few]} words on the right")
    left.set(xscale="symlog", xlabel="words in the model", ylabel="accuracy on held-out docstrings")
    left.set(xlim=(-0.3, 1.3 * used.max()), ylim=(0, 1))
    left.legend(loc="lower right")
    limit = np.abs(coef).max()
    for ax, package, own in zip(panels, PACKAGES, coef, strict=True):
        top = [j for j in np.argsort(-own)[:7] if own[j] > 0]
        ax.barh(range(len(top)), own[top], color="tab:blue")
        ax.set(title=package, yticks=range(len(top)), yticklabels=names[top], xlim=(0, limit), ylim=(6.6, -0.6))
        ax.set_xlabel("log-odds a unit", fontsize=8)
    figure.tight_layout()
    out.mkdir(parents=True, exist_ok=True)
    plt.savefig(out / "15_text.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="folder for the figure")
    main(parser.parse_args().out)
