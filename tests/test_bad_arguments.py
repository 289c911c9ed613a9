"""Bad arguments end in words: a ValueError or TypeError that says what was expected, never in an error of XLA or a hang.

Random combinations run in a process of their own (`tests/bad_arguments.py`); what they found once is listed by kinds below.
"""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2

from jaxlr import inference

pytestmark = pytest.mark.usefixtures("x64")


def offences(seed, count, timeout):
    run = subprocess.run(
        [sys.executable, "-m", "tests.bad_arguments", str(seed), str(count)],
        capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    *found, last = run.stdout.splitlines()
    assert last == f"{count} calls"
    return found


@pytest.mark.slow
def test_a_few_random_combinations_end_in_words():
    assert not offences(0, 60, 300)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_random_combinations_end_in_words(seed):
    assert not offences(seed, 2500, 3600)


def test_many_degrees_of_freedom_take_a_loop_and_have_the_digits_of_scipy():
    for df in (100, 101, 102, 1001):  # on both sides of where a program of its own ends, odd and even
        x = np.array([0.5, 1.0, 2.0]) * df
        # A logarithm near 0 is right to the rounding of the sum of probabilities.
        np.testing.assert_allclose(inference.log_chi_square_tail(x, df), chi2.logsf(x, df), rtol=1e-10, atol=1e-13)
