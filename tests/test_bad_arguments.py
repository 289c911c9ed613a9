"""Bad arguments end in words: a ValueError or TypeError that says what was expected, never in an error of XLA or a hang.

Random combinations run in a process of their own (`tests/bad_arguments.py`); what they found once is listed by kinds below.
"""

import subprocess
import sys

import pytest


def offences(seed, count, timeout):
    run = subprocess.run(
        [sys.executable, "-m", "tests.bad_arguments", str(seed), str(count)],
        capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    *found, last = run.stdout.splitlines()
    assert last == f"{count} calls"
    return found


def test_a_few_random_combinations_end_in_words():
    assert not offences(0, 150, 300)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_random_combinations_end_in_words(seed):
    assert not offences(seed, 2500, 3600)
