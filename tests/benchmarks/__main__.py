"""``python -m tests.benchmarks [A|B]``: jaxlr beside its peers, both sides of every ratio from one run."""

import argparse

from tests.benchmarks import learning_rates, sweep

WORKLOADS = {"A": sweep.main, "B": learning_rates.main}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    about = "A: the cross-validated sweep against scikit-learn; B: 1,000 learning rates against a loop; all without it"
    parser.add_argument("workload", nargs="?", choices=sorted(WORKLOADS), help=about)
    chosen = parser.parse_args().workload
    for name, run in WORKLOADS.items():
        if chosen in (None, name):
            run()
