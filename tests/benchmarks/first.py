"""The first answer: whole processes, from `python` to the printed answer, beside scikit-learn's.

The first process finds an empty store and compiles, the second one loads; XLA's and JAX's own caches are not used. Medians of
five processes each, in turn.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

_DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(500, 20))
y = (X[:, 0] + rng.logistic(size=500) > 0).astype(int)
"""
_JAXLR = "import jax\njax.config.update('jax_enable_x64', True)\nimport jaxlr\n"
_CANCER = "from sklearn.datasets import load_breast_cancer\nX, y = load_breast_cancer(return_X_y=True)\n"
_PIPELINE = "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
_FIT_PIPELINE = "model = make_pipeline(StandardScaler(), {}).fit(X, y)\nprint(model.predict_proba(X)[:2])\n"

# By title: imports and statements of jaxlr, those of scikit-learn where it has the like, and the converged models.
_TASKS = {
    "one model, 500 x 20": (
        _JAXLR,
        _DATA + "fit = jaxlr.fit(X, y, l2=1 / 500)\nprint(fit)\n",
        "from sklearn.linear_model import LogisticRegression\n",
        _DATA + "model = LogisticRegression().fit(X, y)\nprint(model.coef_)\n",
        "fit.converged",
    ),
    "README's ten lines, 1,000 models": (
        "import numpy as np\n" + _JAXLR,
        "X, y, *_ = jaxlr.datasets.breast_cancer()\nX = (X - X.mean(0)) / X.std(0)\n"
        "cv = jaxlr.cross_validate(X, y, l2=np.logspace(1, -5, 100), folds=10, key=jax.random.key(0))\n"
        "print(cv.fits, cv.best, jaxlr.predict_proba(cv.refit.params, X)[:5])\n",
        "",
        "",
        "cv.fits.converged",
    ),
    "estimator in a pipeline, 569 x 30": (
        _PIPELINE + "from jaxlr.estimator import LogisticRegressor\n",
        _CANCER + _FIT_PIPELINE.format("LogisticRegressor()"),
        _PIPELINE + "from sklearn.linear_model import LogisticRegression\n",
        _CANCER + _FIT_PIPELINE.format("LogisticRegression()"),
        "model[-1].converged_",
    ),
    "estimator with Cs=50, cv=10": (
        _PIPELINE + "from jaxlr.estimator import LogisticRegressorCV\n",
        _CANCER + _FIT_PIPELINE.format("LogisticRegressorCV(Cs=50, cv=10)"),
        _PIPELINE + "from sklearn.linear_model import LogisticRegressionCV\n",
        _CANCER + _FIT_PIPELINE.format("LogisticRegressionCV(Cs=50, cv=10, l1_ratios=(0,), use_legacy_attributes=False)"),
        "model[-1].converged_",
    ),
    "fit and summary, 500 x 20": (
        _JAXLR,
        _DATA + "fit = jaxlr.fit(X, y)\nprint(jaxlr.inference.summary(fit, jaxlr.Problem(X, y)))\n",
        "",
        "",
        "fit.converged",
    ),
}
_SIZES = """
for m, n in zip(np.linspace(80, 2000, 10).astype(int), np.linspace(3, 40, 10).astype(int)):
    X = rng.normal(size=(m, n))
    y = (X[:, 0] + rng.logistic(size=m) > 0).astype(int)
    begun = time.perf_counter()
    fit = jaxlr.fit(X, y)
    assert fit.converged
    print("%.1f" % (1e3 * (time.perf_counter() - begun)), end=" ")
"""


class Run(NamedTuple):
    """Seconds of a process: whole, and from its imports to its answer; and the share of models that converged."""

    wall: float
    answer: float
    converged: float


def _python(code: str, store: str) -> str:
    """What a process prints. Python keeps its bytecode, as of an installed package: else it compiles jaxlr anew each time."""
    environment = os.environ | {"JAXLR_CACHE_DIR": store, "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout


def run(imports: str, statements: str, converged: str, store: str) -> Run:
    """One process."""
    code = f"{imports}\nimport time\n_begun = time.perf_counter()\n{statements}\n_answered = time.perf_counter() - _begun\n"
    code += f"import numpy as np\nprint(_answered, np.mean({converged}))"
    begun = time.perf_counter()
    printed = _python(code, store)
    return Run(time.perf_counter() - begun, *map(float, printed.split()[-2:]))


def _median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(column) for column in zip(*runs, strict=True)))


def main(repeats: int = 5) -> None:
    """Print the table, after a process that writes Python's bytecode."""
    _python("import jaxlr.estimator", "off")
    print("\nThe first answer: seconds of a process, and in brackets from its imports on; medians of", repeats)
    print("| task | scikit-learn | jaxlr, empty store | jaxlr, second process | scikit-learn / second | converged |")
    print("|---|---|---|---|---|---|")
    for title, (imports, statements, peer_imports, peer, converged) in _TASKS.items():
        peers, firsts, seconds = [], [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as store:
                if peer:
                    peers.append(run(peer_imports, peer, "1", "off"))
                firsts.append(run(imports, statements, converged, store))
                seconds.append(run(imports, statements, converged, store))
        first, second = _median(firsts), _median(seconds)
        cells = [f"{side.wall:.2f} ({side.answer:.2f})" for side in (first, second)]
        ratio = ["", ""]
        if peers:
            other = _median(peers)
            ratio = [f"{other.wall:.2f} ({other.answer:.2f})", f"{other.wall / second.wall:.2f}"]
        print(f"| {title} | {ratio[0]} | {' | '.join(cells)} | {ratio[1]} | {first.converged:.0%}, {second.converged:.0%} |")
    with tempfile.TemporaryDirectory() as store:
        printed = _python(f"import time\n{_DATA}{_JAXLR}{_SIZES}", store)
    print("\nTen data sets of ten sizes in one process, 80 x 3 to 2,000 x 40, all converged, milliseconds a call:", printed)
