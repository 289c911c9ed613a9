"""Long work is never lost: kills, interrupts and bad blocks leave a checkpoint from which the same answer comes."""

import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxlr import Status, fit, fit_stream
from jaxlr.streaming import run

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M = 3000
X = RNG.normal(size=(M, 5))
Y = (X @ [1, -1, 0.5, 0, 2] + RNG.logistic(size=M) > 0).astype(int)
ARGUMENTS = {"l2": np.array([0.1, 0.001]), "folds": 3, "key": jax.random.key(1)}


class Blocks:
    """Blocks that do something at block `at` of all that are read."""

    def __init__(self, at=None, do=None):
        self.read, self.at, self.do = 0, at, do

    def __call__(self):
        for start in range(0, M, 500):
            if self.read == self.at:
                self.do()
            self.read += 1
            yield X[start : start + 500], Y[start : start + 500]


@pytest.fixture(autouse=True)
def few_rows_sampled(monkeypatch):
    """So that steps have to be taken."""
    monkeypatch.setattr(run, "_SAMPLE", 200)


def fail():
    raise OSError("the disk is gone")


@pytest.mark.slow
@pytest.mark.parametrize("block", [3, 8, 14, 21])
def test_a_call_goes_on_where_another_ended_to_the_same_bits(block, tmp_path):
    path, wanted, whole = tmp_path / "state.npz", Blocks(), Blocks(block, fail)
    expected = fit_stream(wanted, **ARGUMENTS)
    with pytest.raises(OSError, match="disk is gone"):
        fit_stream(whole, **ARGUMENTS, checkpoint=path)
    rest = Blocks()
    found = fit_stream(rest, **ARGUMENTS, checkpoint=path)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.array_equal(one, other)
    assert rest.read == wanted.read - block // 6 * 6  # passes that had ended are not repeated
    assert not path.exists()


@pytest.mark.slow
def test_another_call_and_other_data_are_refused(tmp_path):
    path = tmp_path / "state.npz"
    with pytest.raises(OSError, match="disk is gone"):
        fit_stream(Blocks(14, fail), **ARGUMENTS, checkpoint=path)
    with pytest.raises(ValueError, match=r"the checkpoint of this call, got .* of other arguments"):
        fit_stream(Blocks(), **ARGUMENTS | {"l2": 0.2}, checkpoint=path)
    other = X.copy()
    other[600, 0] += 1
    with pytest.raises(ValueError, match="numbers of the first pass in the same order, got others in block 1"):
        fit_stream(lambda: ((other[a : a + 500], Y[a : a + 500]) for a in range(0, M, 500)), **ARGUMENTS, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"a checkpoint of fit_stream, got .* delete it"):
        fit_stream(Blocks(), **ARGUMENTS, checkpoint=path)


def test_what_is_no_checkpoint_is_refused_in_words(tmp_path):
    path = tmp_path / "state.npy"
    np.save(path, X)  # an array and no archive: a TypeError of NumPy's escaped
    for content in (path.read_bytes(), b"", b"PK\3\4" + bytes(60)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"expected a checkpoint of fit_stream, got .*state\.npy, which is none"):
            fit_stream(Blocks(), **ARGUMENTS, checkpoint=path)


def test_a_folder_that_is_not_there_is_named_before_the_first_pass(tmp_path):
    blocks = Blocks()
    with pytest.raises(FileNotFoundError, match=r"expected checkpoint in a folder, got .*nowhere, which is none; make"):
        fit_stream(blocks, **ARGUMENTS, checkpoint=tmp_path / "nowhere" / "state.npz")
    assert not blocks.read


def test_an_interrupt_hands_back_what_is_known():
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="0 of 6 models had ended") as caught:
        fit_stream(Blocks(14, interrupt), **ARGUMENTS)
    found = caught.value.fit
    assert np.all(np.asarray(found.status) == Status.NOT_RUN)
    assert np.all(np.isfinite(found.params.coef))
    assert np.all(found.num_passes == 2)
    with pytest.raises(KeyboardInterrupt, match="no pass over the rows had ended"):
        fit_stream(Blocks(2, interrupt), **ARGUMENTS)


@pytest.mark.slow
def test_a_bar_counts_rows_and_passes(capsys):
    fit_stream(Blocks(), l2=0.1, progress=True)
    assert "pass 2, 1 of 1 models" in capsys.readouterr().err


PROGRAM = """
import sys, time
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from jaxlr import fit_stream
from jaxlr.streaming import run
run._SAMPLE = 200
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 5))
y = (X @ [1, -1, 0.5, 0, 2] + rng.logistic(size=3000) > 0).astype(int)

def blocks():
    for start in range(0, 3000, 500):
        time.sleep(0.02)
        print("read", flush=True)
        yield X[start : start + 500], y[start : start + 500]

found = fit_stream(blocks, l2=np.array([0.1, 0.001]), folds=3, key=jax.random.key(1), checkpoint=sys.argv[1])
np.save(sys.argv[2], found.params.coef)
"""


@pytest.mark.slow
def test_kills_at_random_moments_change_no_bit(tmp_path):
    """kill -9 at 20 random moments of the passes, resumed: 20 equal answers."""

    def command(name):
        return [sys.executable, "-c", PROGRAM, str(tmp_path / f"{name}.npz"), str(tmp_path / f"{name}.npy")]

    done = subprocess.run(command("whole"), check=True, capture_output=True, text=True)
    expected, blocks = np.load(tmp_path / "whole.npy"), done.stdout.count("read")
    for trial in range(20):
        with subprocess.Popen(command(trial), stdout=subprocess.PIPE, text=True) as process:
            for _ in range(int(RNG.integers(1, blocks))):
                process.stdout.readline()
            time.sleep(float(RNG.uniform(0, 0.02)))
            process.kill()
        assert not (tmp_path / f"{trial}.npy").exists()
        subprocess.run(command(trial), check=True, capture_output=True)
        np.testing.assert_array_equal(np.load(tmp_path / f"{trial}.npy"), expected)
        assert sorted(path.name for path in tmp_path.glob("*.npz")) == []


@pytest.mark.slow
def test_the_answer_is_that_of_fit():
    key = ARGUMENTS["key"]
    found = fit_stream(Blocks(), l2=0.01, num_samples=2, key=key)
    again = fit_stream(Blocks(), l2=0.01, num_samples=2, key=key)
    assert np.array_equal(found.params.coef, again.params.coef)
    np.testing.assert_allclose(fit_stream(Blocks(), l2=0.01).params.coef, fit(X, Y, l2=0.01).params.coef, rtol=1e-9)
