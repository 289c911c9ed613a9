"""``python -m tests.fuzz [NUMBER] [SEED]``: so many problems, and a table of how they ended by kind."""

import argparse
import sys
import time

from tests.fuzz.run import fuzz, table

if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=10_000, help="problems")
    parser.add_argument("seed", type=int, nargs="?", default=0, help="of the random numbers")
    number, seed = vars(parser.parse_args()).values()
    start = time.perf_counter()
    counts, found = fuzz(number, seed, progress=True)
    print(table(counts))
    print(f"seed {seed}, {time.perf_counter() - start:.0f} s")
    sys.exit(any("false" in line for line in found))
