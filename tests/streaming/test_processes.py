"""Two processes that stream rows of their own find what one finds with all, and end together."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from jaxlr.results.status import Status
from jaxlr.streaming import passes, run, wide
from tests.streaming.in_processes import CALLS, LAST, found

pytestmark = [pytest.mark.usefixtures("x64")]


def in_two_processes(folder, *names):
    """The reports of both."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.streaming.in_processes", str(folder), str(port)]
    processes = [
        subprocess.Popen([*command, str(i), *names], env=dict(os.environ), stderr=subprocess.PIPE, text=True) for i in (0, 1)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=900)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:
            process.kill()
    return [json.loads((folder / f"{i}.json").read_text()) for i in (0, 1)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return in_two_processes(tmp_path_factory.mktemp("processes"), *CALLS)


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    return [report["failures"] for report in in_two_processes(tmp_path_factory.mktemp("failures"), "failures")]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_two_processes_find_what_one_finds_and_the_same_to_the_last_bit(reports, monkeypatch, name):
    monkeypatch.setattr(run, "_SAMPLE", 200)
    monkeypatch.setattr(passes, "_CHEAP", passes._CHEAP)
    for constant in ("_FEW", "_WORK"):
        monkeypatch.setattr(wide, constant, getattr(wide, constant))
    first, second = (report[name] for report in reports)
    assert first == second
    expected = found(name, range(LAST))
    # Sums round differently, by some eps, which curvatures of 1e-2 and less take to the coefficients.
    np.testing.assert_allclose(first, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_parts_are_dealt_in_their_order(reports):
    assert [report["parts"] for report in reports] == [[0, 1], [2, 3, 4]]
    assert [report["predicted"] for report in reports] == [350, 2650]


@pytest.mark.slow
def test_what_one_process_raises_ends_both_in_words(failures):
    first, second = failures
    assert second["a label"]["type"] == "ValueError"
    assert "labels 0/1 (or soft labels in [0, 1]), got 7 in row 50 of block" in second["a label"]["words"]
    assert "(rows from 2900 of the stream)" in second["a label"]["words"]
    assert first["a label"]["words"] == f"process 1 of 2 ended the call for all: ValueError: {second['a label']['words']}"
    assert first["scores"]["words"] == first["a label"]["words"]
    assert (second["a disk"]["type"], first["a disk"]["type"]) == ("OSError", "RuntimeError")
    assert first["a disk"]["words"] == "process 1 of 2 ended the call for all: OSError: the disk is gone"
    assert "process 1 of 2 ended the call for all: ValueError: expected blocks with rows" in first["no rows"]["words"]


@pytest.mark.slow
def test_an_interrupt_of_one_process_is_one_of_both(failures):
    for report in failures:
        assert report["an interrupt"]["type"] == "KeyboardInterrupt"
        assert report["an interrupt"]["status"] == [[Status.NOT_RUN] * 2] * 3


@pytest.mark.slow
def test_calls_that_are_not_the_same_are_refused_in_both(failures):
    for report in failures:
        assert report["other arguments"]["words"].startswith("expected the same arguments in all processes, got ")
        assert "expected the same columns, dtypes and fields in all processes, got " in report["other columns"]["words"]
        assert '"n": 5' in report["other columns"]["words"]
        assert "expected at least 2 parts, one for each process, got 1" in report["few parts"]["words"]


@pytest.mark.slow
def test_the_first_process_keeps_the_checkpoint_of_both(failures):
    for report in failures:
        found = report["checkpoint"]
        assert found["ended"] is not None
        assert (found["there"], found["left"], found["same"]) == (["state.npz"], [], True)
