"""``python -m tests.benchmarks [NAME ...]``: both sides of each ratio from one run."""

import argparse
import datetime
import os
import platform
from functools import partial
from importlib.metadata import version

from tests.benchmarks import (
    bounds,
    conditional,
    crossing,
    devices,
    engine,
    estimators,
    first,
    groups,
    growth,
    inference,
    lasso,
    lasso_growth,
    learning_rates,
    leave_one_out,
    scale,
    softmax,
    sparse,
    statistics,
    stream,
    sweep,
    wide,
)


def machine() -> str:
    """When and on what: the line above every table."""
    with open("/proc/cpuinfo") if os.path.exists("/proc/cpuinfo") else open(os.devnull) as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpy", "scikit-learn"))
    return f"{datetime.date.today()}, {models[0] if models else platform.machine()}, {os.cpu_count()} cores; {versions}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = [
        "A",
        *engine.WORKLOADS,
        "H",
        "I",
        "J",
        "K",
        "L",
        "M",
        "N",
        "P",
        "S",
        "lasso",
        "bounds",
        "groups",
        "loo",
        "robust",
        "margins",
        "conditional",
        "first",
        "estimators",
        "rates",
        "crossing",
        "scale",
        "growth",
        "lasso-growth",
        "devices",
        "stream",
    ]
    titles = [f"{letter}: {work.title}" for letter, work in engine.WORKLOADS.items()]
    about = "; ".join(
        [
            "A: the cross-validated sweep",
            *titles,
            "H: the lasso; I: on very wide data; lasso: one path of larger data",
            "J: Firth; K: an association scan; L: softmax",
            "S: sparse designs; few models of many columns, M: multinomial, N: in float64, P: probes",
            "bounds: lasso paths that may not be negative; groups: group lasso paths, against adelie and skglm",
            "loo: leave-one-out against refits; conditional: matched sets against statsmodels",
            "robust: influence and robust errors; margins: predictions and effects; against statsmodels",
            "first: the first answer of a process; estimators: cross-validation and a search, against scikit-learn",
            "rates: 1,000 learning rates against a loop",
            "crossing: newton against newton_cg",
            "scale: time and memory of 10 to 1,000,000 models",
            "growth: time and memory as models, columns and rows grow, against scikit-learn",
            "lasso-growth: the same of a lasso path, against celer and glmnet",
            "devices: one against two",
            "stream: data on disk in a process of little memory",
        ]
    )
    parser.add_argument("workload", nargs="*", choices=[*names, []], help=about + "; all without a name")
    parser.add_argument(
        "--reference-data",
        help="folder with files/, a9a.npz, leukemia_golub.csv.gz, mnist_t10k.npz, rt_polarity.npz: C, I, M, S, lasso",
    )
    arguments = parser.parse_args()
    os.environ["JAXLR_CACHE_DIR"] = "off"  # a cold call compiles; `first` has stores of its own
    run = {
        "A": sweep.main,
        "J": inference.firth,
        "K": inference.scan,
        "L": softmax.main,
        "S": partial(sparse.main, arguments.reference_data or "."),
        "first": first.main,
        "estimators": estimators.main,
        "bounds": bounds.main,
        "groups": groups.main,
        "loo": leave_one_out.main,
        "robust": partial(statistics.main, statistics.ROBUST),
        "margins": partial(statistics.main, statistics.MARGINS),
        "conditional": conditional.main,
        "rates": learning_rates.main,
        "crossing": crossing.main,
        "scale": scale.main,
        "growth": growth.main,
        "lasso-growth": lasso_growth.main,
        "devices": devices.main,
        "stream": stream.run,
    }
    run |= {letter: partial(lasso.main, letter, arguments.reference_data or ".") for letter in lasso.TABLES}
    run |= {letter: partial(engine.main, letter, arguments.reference_data or ".") for letter in engine.WORKLOADS}
    run |= {letter: partial(wide.main, letter, arguments.reference_data or ".") for letter in wide.CASES}
    print(machine())
    for name in arguments.workload or [
        name for name in names if name not in ("C", "I", "M", "S", "lasso") or arguments.reference_data
    ]:
        run[name]()
