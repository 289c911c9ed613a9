"""Streamed fits of one of two processes, each with rows of its own; run in processes of their own by test_processes.py.

``python -m tests.streaming.in_processes FOLDER PORT i CASE ...`` writes FOLDER/i.json.
"""

import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np

from jaxlr import fit_stream, predict_stream, score_stream
from jaxlr.streaming import own_parts, passes, run, wide

M, LAST = 3000, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, 5)) + 3
Y = (X @ [1, -1, 0.5, 0, 2] - 7 + RNG.logistic(size=M) > 0).astype(int)
THREE = np.digitize(X[:, 0] + RNG.logistic(size=M), [2, 4])
WEIGHT = RNG.integers(0, 3, M).astype(float)
EDGES = [0, 300, 350, 1400, 2900, 3000]  # of five parts: 350 rows for the first process, 2650 for the second
CALLS = {
    "path and folds": {"l2": np.array([0.1, 0.001]), "folds": 3},
    "bootstrap": {"l1": 0.01, "l2": 0.01, "num_samples": 2},
    "three classes": {"l2": 0.01, "num_classes": 3},
    "without a penalty": {},
    "chords": {"l2": np.array([1.0, 0.1])},
    "many columns": {"l2": np.array([1.0, 0.1])},
    "many columns with kinks": {"l1": np.array([0.1, 0.01]), "l2": 0.01},
}


class Blocks:
    """The parts of this process in blocks of 100 rows, that do something at block `at` of all that are read."""

    def __init__(self, parts, y=Y, at=None, do=None):
        self.parts, self.y, self.read, self.at, self.do = parts, y, 0, at, do

    def __call__(self):
        for part in self.parts:
            for start in range(EDGES[part], EDGES[part + 1], 100):
                which = slice(start, min(start + 100, EDGES[part + 1]))
                if self.read == self.at:
                    self.do()
                self.read += 1
                yield {"X": X[which], "y": self.y[which], "sample_weight": WEIGHT[which]}


def arguments_of(name):
    """Keys are no constants: before a process has joined the others JAX must not be used."""
    arguments = CALLS[name]
    return arguments | ({"key": jax.random.key(1)} if {"folds", "num_samples"} & set(arguments) else {})


def found(name, parts):
    """What a call finds, its numbers to the last bit."""
    passes._CHEAP = 0 if name == "chords" else 2**18
    wide._FEW, wide._WORK = (0, 0) if name.startswith("many columns") else (2**9, 2**20)
    fits = fit_stream(Blocks(parts, THREE if name == "three classes" else Y), **arguments_of(name))
    numbers = [np.asarray(part, float).ravel() for part in (*fits.params, fits.value, fits.kkt, fits.num_passes)]
    if name == "path and folds":
        scores = score_stream(fits, Blocks(parts), metrics=("log_loss", "brier"), folds=3, key=jax.random.key(1))
        numbers += [np.asarray(score).ravel() for score in scores.values()]
    return np.concatenate(numbers)


def raised(call):
    try:
        call()
    except (Exception, KeyboardInterrupt) as error:
        status = np.asarray(error.fit.status).tolist() if hasattr(error, "fit") else None
        return {"type": type(error).__name__, "words": str(error), "status": status}
    return None


def failures(folder, process, parts):
    """What is raised in this process where something is wrong in the second."""
    arguments, second = arguments_of("path and folds"), process == 1

    def fail():
        raise OSError("the disk is gone")

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    def checkpointed(at):
        """Of processes that share no folder."""
        path = folder / f"{process}" / "state.npz"
        return fit_stream(Blocks(parts, at=at if second else None, do=fail), **arguments, checkpoint=path)

    (folder / f"{process}").mkdir()
    blocks = len(list(Blocks(parts)()))  # of a pass
    poisoned = np.where(second & (np.arange(M) == 2950), 7, Y)
    wider = lambda: ({**block, "X": np.c_[block["X"], block["X"]]} for block in Blocks(parts)())  # noqa: E731
    report = {
        "a label": raised(lambda: fit_stream(Blocks(parts, poisoned), **arguments)),
        "a disk": raised(lambda: fit_stream(Blocks(parts, at=3 * blocks + 5 if second else None, do=fail), **arguments)),
        "an interrupt": raised(
            lambda: fit_stream(Blocks(parts, at=3 * blocks + 5 if second else None, do=interrupt), **arguments)
        ),
        "other arguments": raised(lambda: fit_stream(Blocks(parts), l2=0.1 + process)),
        "other columns": raised(lambda: fit_stream(wider if second else Blocks(parts), **arguments)),
        "no rows": raised(lambda: fit_stream(Blocks([] if second else parts), **arguments)),
        "few parts": raised(lambda: own_parts(["one"])),
        "scores": raised(lambda: score_stream(fit_stream(Blocks(parts), l2=0.1), Blocks(parts, poisoned))),
    }
    ended = raised(lambda: checkpointed(3 * blocks + 5))
    there = sorted(path.name for path in folder.glob("*/*"))
    fits = checkpointed(None)
    whole = fit_stream(Blocks(parts), **arguments)
    return report | {
        "checkpoint": {
            "ended": ended,
            "there": there,
            "left": [path.name for path in folder.glob(f"{process}/*")],
            "same": bool(np.array_equal(fits.params.coef, whole.params.coef)),
        }
    }


def main(folder, port, process, *names):
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=int(process))
    run._SAMPLE = 200
    folder, parts = Path(folder), own_parts(range(LAST))
    report = {"parts": list(parts)}
    for name in names:
        report[name] = failures(folder, int(process), parts) if name == "failures" else found(name, parts).tolist()
    fits = fit_stream(Blocks(parts), l2=0.1)
    report["predicted"] = sum(len(proba) for proba in predict_stream(fits, Blocks(parts)))
    (folder / f"{process}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
