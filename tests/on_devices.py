"""Fits on many devices, each beside the same on one; run in processes of their own by test_devices.py.

``python -m tests.on_devices OUT CALL ...`` in a process of 8 virtual devices, ``python -m tests.on_devices OUT PORT i`` as
process i of 2, of 2 virtual devices each, joined by `jax.distributed`.
"""

import json
import re
import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import jaxlr
from jaxlr.engine import devices
from tests.engine.test_chunks import COLUMNS, FOLDS, L2, TARGETS, X, Y, models

ROWS = PartitionSpec("rows")


def main(out, *arguments):
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    together = arguments[0].isdigit()
    if together:
        port, process = arguments
        jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=int(process))
    Path(out).write_text(json.dumps(of_two_processes() if together else of_one_process(arguments)))


def of_one_process(names):
    spread, rows = jax.make_mesh((8,), ("models",)), jax.make_mesh((8,), ("rows",))
    both = jax.make_mesh((2, 4), ("models", "rows"))
    by_rows = jax.device_put(X, NamedSharding(rows, ROWS))
    poisoned = TARGETS.astype(float)
    poisoned[3, 0], poisoned[4] = np.nan, X[:, 0] > 0
    calls = {
        "13 targets, 8 devices": (lambda mesh: jaxlr.fit(X, poisoned, l2=0.0, mesh=mesh), spread),
        "in chunks of 8": (lambda mesh: jaxlr.fit(X, TARGETS, l2=0.1, batch_size=5, mesh=mesh), spread),
        "folds and a path": (lambda mesh: jaxlr.fit(X, Y, sample_weight=FOLDS[:, None], l2=L2, mesh=mesh), both),
        "conjugate gradients": (lambda mesh: jaxlr.fit(X, TARGETS, l2=0.1, solver="newton_cg", mesh=mesh), both),
        "one model by rows": (lambda mesh: jaxlr.fit(by_rows if mesh else X, Y, l2=0.1, mesh=mesh), rows),
        "bootstrap": (lambda mesh: jaxlr.fit_bootstrap(jax.random.key(3), X, Y, 11, l2=0.1, mesh=mesh), both),
        "bootstrap of clusters": (
            lambda mesh: jaxlr.fit_bootstrap(jax.random.key(3), X, Y, 11, clusters=np.arange(len(Y)) // 3, l2=0.1, mesh=mesh),
            both,
        ),
        "columns": (lambda mesh: jaxlr.fit_columns(COLUMNS, Y, covariates=X[:, :2], l2=0.1, mesh=mesh), both),
    }
    report = {}
    for name in names:
        call, mesh = calls[name]
        with Watch() as first:
            got = call(mesh)
        with Watch() as second:
            again = call(mesh)
        report[name] = compared(got, call(None)) | {
            "gathered": first.gathered(),
            "compiled": [first.compiled, second.compiled],
            "same again": bool(np.array_equal(models(got), models(again), equal_nan=True)),
        }
    if "one model by rows" in names:
        report["one model by rows"] |= of_bad_rows(rows)
    return report


def of_bad_rows(rows):
    """What is said of rows that cannot be dealt out, and of NaN among them."""
    said = {}
    poisoned_rows = jax.device_put(np.where(np.arange(len(X))[:, None] == 7, np.nan, X), NamedSharding(rows, ROWS))
    for name, (X_, mesh) in {"47 rows": (X[:-1], rows), "NaN": (poisoned_rows, rows)}.items():
        try:
            jaxlr.fit(X_, Y[: len(X_)], mesh=mesh)
        except ValueError as error:
            said[name] = str(error)
    by_rows = jax.device_put(X, NamedSharding(rows, ROWS))
    for name, call in {
        "no mesh": lambda: jaxlr.fit(by_rows, Y, l2=0.1),
        "grad": lambda: jax.grad(lambda l2: jaxlr.fit(by_rows, Y, l2=l2, mesh=rows).value)(0.1),
    }.items():
        try:
            call()
        except ValueError as error:
            said[name] = str(error)
    return said


def of_two_processes():
    """The same NumPy arrays in both processes, or a global array of which each process made its half of the rows."""
    models_rows, rows_models = jax.make_mesh((2, 2), ("models", "rows")), jax.make_mesh((2, 2), ("rows", "models"))
    half = len(X) // 2
    mine = X[half * jax.process_index() :][:half]
    halves = jax.make_array_from_process_local_data(NamedSharding(rows_models, ROWS), mine)
    key = jax.random.key(3)
    return {
        "targets": compared(
            jaxlr.fit(X, TARGETS, l2=0.1, batch_size=6, mesh=models_rows), jaxlr.fit(X, TARGETS, l2=0.1, batch_size=6)
        ),
        "bootstrap of halves": compared(
            jaxlr.fit_bootstrap(key, halves, Y, 11, l2=0.1, mesh=rows_models), jaxlr.fit_bootstrap(key, X, Y, 11, l2=0.1)
        ),
    }


def compared(got, expected):
    return {
        "difference": float(np.nanmax(np.abs(models(got) - models(expected)))),
        "status": np.asarray(got.status).tolist(),
        "expected status": np.asarray(expected.status).tolist(),
        "text": str(got).splitlines()[0],
        "expected text": str(expected).splitlines()[0],
    }


class Watch:
    """Counts compilations, and keeps the programs that run on a mesh."""

    def __enter__(self):
        self.compiled, self.programs = 0, []
        jax.monitoring.register_event_duration_secs_listener(self.heard)
        self.original = devices._spread
        devices._spread = self.spread
        return self

    def __exit__(self, *_):
        devices._spread = self.original
        jax.monitoring.unregister_event_duration_listener(self.heard)

    def heard(self, event, *_, **__):
        self.compiled += event == "/jax/core/compile/backend_compile_duration"

    def spread(self, *arguments):
        program = self.original(*arguments)

        def run(*placed):
            self.programs.append((program, placed))
            return program(*placed)

        return run

    def gathered(self):
        """What the programs gather that has an axis of rows."""
        texts = [program.lower(*placed).compile().as_text() for program, placed in self.programs[-1:]]
        shapes = [shape for text in texts for shape in re.findall(r"= \(?\w+\[([\d,]+)\][^=]* all-gather(?:-start)?\(", text)]
        return [shape for shape in shapes if str(len(X)) in shape.split(",")]


if __name__ == "__main__":
    main(*sys.argv[1:])
