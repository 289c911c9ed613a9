"""Many batches, and the table of their verdicts: seed and number of a batch replay it."""

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.fuzz.drawn import FORMS, Drawn, Form, draw
from tests.fuzz.judge import fit_drawn, judge, tally

BATCH = 250


def replay(seed: int, number: int, form: Form, size: int) -> Drawn:
    """The batch of that number."""
    return draw(np.random.default_rng([seed, number]), form, size)


def fuzz(
    number: int, seed: int, forms: Sequence[Form] = FORMS, *, progress: bool = False
) -> tuple[dict[str, Counter], list[str]]:
    """So many problems or a few more: counts by kind, and a line on each that is false or undecided."""
    counts: dict[str, Counter] = {}
    found = []
    size = min(BATCH, -(-number // len(forms)))
    batches = -(-number // size)
    for batch in range(batches):
        form = forms[37 * batch % len(forms)]  # all kinds early
        drawn = replay(seed, batch, form, size)
        judged = judge(drawn, fit_drawn(drawn))
        tally(drawn, judged, counts)
        words = f"batch {batch} of size {size}, {form}"
        new = [
            f"{judged.wrong[i]}: problem {i}, {drawn.columns[i]}, off {judged.off[i]:.2g}, {words}"
            for i in np.flatnonzero(judged.wrong != "")
        ]
        found += new
        if progress:
            print(*new, f"{batch + 1} of {batches} batches", sep="\n", file=sys.stderr, flush=True)
    return counts, found


COLUMNS = ("CONVERGED", "SEPARATED", "STALLED", "MAX_STEPS", "INVALID", "NONFINITE")


def table(counts: dict[str, Counter]) -> str:
    """Shares of the statuses in percent, counts of what is false or undecided, and the largest change of a logit."""
    head = f"{'':24s}{'problems':>9s}" + "".join(f"{name.lower():>11s}" for name in COLUMNS)
    lines = [head + f"{'false C':>9s}{'false S':>9s}{'other':>7s}{'undecided':>11s}{'logits off':>12s}"]
    for key in sorted(counts, key=lambda key: (key == "all", key)):
        count = counts[key]
        total = sum(value for name, value in count.items() if name.isupper())
        shares = "".join(f"{100 * count[name] / total:11.2f}" for name in COLUMNS)
        undecided = sum(value for name, value in count.items() if name.startswith("undecided"))
        lines.append(
            f"{key:24s}{total:9d}{shares}{count['false CONVERGED']:9d}{count['false SEPARATED']:9d}{count['false other']:7d}"
            f"{undecided:11d}{float(count['worst']):12.1e}"
        )
    return "\n".join(lines)
