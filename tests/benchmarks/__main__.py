"""``python -m tests.benchmarks``: jaxlr beside its peers, both sides of every ratio from one run."""

import argparse

from tests.benchmarks import sweep

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("workload", nargs="?", default="A", choices=["A"], help="A: the cross-validated sweep")
    parser.parse_args()
    sweep.main()
