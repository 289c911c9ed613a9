"""Batches in chunks: the same models as in one piece, one program for similar sizes, a bar, and interrupts."""

import json
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Status, fit
from jaxlr.batching.axes import Core
from jaxlr.compilation.program import quick_options
from jaxlr.engine import plan as planning
from jaxlr.engine import run as running
from jaxlr.engine.chunks import fit_in_chunks, not_run
from jaxlr.inputs.sparse import rounded_up
from jaxlr.model.likelihood import Binary
from jaxlr.results.fit import Fit
from tests.helpers import count_compilations, quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 48, 3
X = RNG.standard_normal((M, N))
TARGETS = X @ RNG.standard_normal((N, 13)) / 2 + RNG.logistic(size=(M, 13)) > 0
TARGETS = TARGETS.T
Y = TARGETS[0]
COLUMNS = RNG.standard_normal((11, M))
FOLDS = (np.arange(M)[None, :] % 3 != np.arange(3)[:, None]).astype(float)
L2 = np.logspace(0, -2, 20)


def models(got):
    return np.concatenate([np.asarray(got.params.coef), np.asarray(got.params.intercept)[..., None]], axis=-1)


def assert_same(got, expected, k=1e3):
    """To tol: residuals are under 1e-10, and J is bent by at least 1e-2 here."""
    np.testing.assert_array_equal(np.asarray(got.status), np.asarray(expected.status))
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=k * 1e-10)
    for name in ("value", "kkt", "gap", "num_steps"):
        assert getattr(got, name).shape == getattr(expected, name).shape
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(got))


DESIGNS = np.stack([X, 2 * X, X - 1, X[::-1], X + X[:, :1]])
STARTS = Params(np.zeros((13, N)), np.linspace(-1, 1, 13))
BATCHES = {
    "targets": ({"y": TARGETS}, 5),
    "soft targets as floats": ({"y": np.where(TARGETS, 0.9, 0.2)}, 5),
    "integer targets": ({"y": TARGETS.astype(np.int8)}, 4),
    "JAX arrays": ({"y": TARGETS, "l2": np.full(13, 0.1)}, 5),
    "one at a time": ({"y": TARGETS[:3]}, 1),
    "larger than the batch": ({"y": TARGETS}, 1000),
    "a batch of one": ({"y": TARGETS[:1]}, 4),
    "one model": ({"y": Y}, 4),
    "a path, cut": ({"y": Y, "l2": L2}, 9),
    "paths side by side": ({"y": TARGETS[:4, None], "l2": L2}, 40),
    "a path, cut in each fold": ({"y": Y, "sample_weight": FOLDS[:, None], "l2": L2}, 8),
    "many designs": ({"X": DESIGNS, "y": Y}, 2),
    "designs x targets": ({"X": DESIGNS[:3, None], "y": TARGETS[:4]}, 4),
    "offsets, factors and starts": (
        {"y": TARGETS, "offset": np.outer(np.arange(13), X[:, 0]) / 20, "penalty_factor": np.ones((13, 1)) + np.eye(N)[0],
         "init": STARTS}, 5,
    ),
    "inner axes": ({"y": TARGETS[:6].reshape(2, 3, M), "l2": np.array([0.1, 0.3])[:, None]}, 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("chunk", [5, 13, 16])
def test_every_model_has_the_place_of_its_fields(kind, chunk):
    """Also where chunks overlap, or one is longer than the batch."""
    unfitted = lambda: not_run((13,), 0, np.float64, "newton", Binary())  # noqa: E731
    sizes = []

    def program(values):
        sizes.append(len(values))
        values = np.asarray(values)
        none = np.zeros(len(values), np.int32)
        params = Params(np.zeros((len(values), 0)), values)
        return Fit(params=params, value=values, kkt=values, gap=values, status=none, num_steps=none, solver="newton")

    got = fit_in_chunks(program, kind(np.arange(13.0)), Core(""), unfitted, (13,), (chunk,), progress=False)
    np.testing.assert_array_equal(got.value, np.arange(13))
    assert got.status.tolist() == [Status.CONVERGED] * 13
    assert sizes == [chunk] * -(-13 // chunk)


_QUICK = ("targets", "a batch of one")


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(BATCHES, *_QUICK))
def test_chunks_are_the_same_models_as_the_whole(name):
    fields, batch_size = BATCHES[name]
    fields = {"X": X, "l2": 0.1} | fields
    if name == "JAX arrays":
        fields = jax.tree.map(jnp.asarray, fields)
    assert_same(fit(**fields, batch_size=batch_size), fit(**fields))


@pytest.mark.slow
def test_a_failed_member_of_a_chunk_leaves_the_others_alone():
    poisoned = np.where(TARGETS, 1.0, 0.0)
    poisoned[6, 3], poisoned[9] = np.nan, 1.0
    clean, got = fit(X, TARGETS, l2=0.1, batch_size=5), fit(X, poisoned, l2=0.1, batch_size=5)
    assert np.flatnonzero(np.asarray(got.status)).tolist() == [6, 9]
    assert np.asarray(got.status)[[6, 9]].tolist() == [Status.NONFINITE, Status.INVALID]
    others = np.setdiff1d(np.arange(13), [6, 9])
    for one, other in zip(jax.tree.leaves(clean), jax.tree.leaves(got), strict=True):
        assert np.array_equal(np.asarray(one)[others], np.asarray(other)[others])


@pytest.mark.slow
def test_batches_of_similar_size_share_one_program():
    strengths = np.logspace(0, -2, 103)
    jax.clear_caches()
    assert count_compilations(lambda: fit(X, Y, l2=strengths)) > 0
    for size in (97, 100, 103):
        got = []
        assert count_compilations(lambda size=size, got=got: got.append(fit(X, Y, l2=2 * strengths[:size]))) == 0
        assert got[0].kkt.shape == (size,)
        assert np.asarray(got[0].converged).all()


@pytest.mark.slow
def test_all_chunks_and_new_values_share_one_program():
    call = lambda factor, k: fit(X, np.tile(TARGETS, (k, 1)), l2=0.1 * factor, batch_size=4)  # noqa: E731
    call(1, 1)
    assert count_compilations(lambda: call(2, 1)) == 0
    assert count_compilations(lambda: call(3, 4)) == 0  # a longer batch is more chunks


def test_sizes_are_few_and_at_most_an_eighth_too_large():
    sizes = np.arange(1, 5000)
    common = np.array([rounded_up(int(size), 8) for size in sizes])
    assert (common >= sizes).all()
    assert (common <= sizes * 1.125).all()
    assert len(set(common)) < 90
    assert all(rounded_up(int(size), 8) == size for size in set(common.tolist()))


def test_the_bar_counts_the_models_done_and_failed(capfd):
    bad = TARGETS.copy()
    bad[2] = True
    fit(X, bad, l2=0.1, batch_size=5, progress=True)
    bar = capfd.readouterr().err
    assert "13.0/13.0" in bar
    assert "failed=1" in bar
    fit(X, TARGETS, l2=0.1, batch_size=5)
    assert capfd.readouterr().err == ""


LONG = """
import json, sys
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
import jaxlr
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 10))
y = X[:, 0] + rng.logistic(size=200) > 0
call = lambda: jaxlr.fit_bootstrap(jax.random.key(0), X, y, 200_000, l2=0.1, batch_size=64, progress=True)
try:
    call()
except KeyboardInterrupt as error:
    got = error.fit
    done = np.asarray(got.status) != jaxlr.Status.NOT_RUN
    whole = jaxlr.fit_bootstrap(jax.random.key(0), X, y, int(done.sum()), l2=0.1, batch_size=64)
    print(json.dumps({
        "done": int(done.sum()),
        "first": bool(done[: done.sum()].all()),
        "shape": list(got.params.coef.shape),
        "converged": int(np.asarray(got.converged).sum()),
        "difference": float(np.abs(np.asarray(got.params.coef)[done] - np.asarray(whole.params.coef)).max()),
        "rest": bool(np.isnan(np.asarray(got.params.coef)[~done]).all()),
        "message": str(error),
    }))
"""


@pytest.mark.slow
def test_an_interrupt_from_outside_loses_nothing_that_was_finished():
    process = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = ""
    while "64.0" not in seen and "128" not in seen:  # models are done
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-2000:]
    got = json.loads(out)
    assert got["shape"] == [200_000, 10]
    assert 64 <= got["done"] == got["converged"] < 200_000
    assert got["done"] % 64 == 0
    assert got["first"]
    assert got["rest"]
    assert got["difference"] <= 1e-9
    assert got["message"].startswith(f"{got['done']} of 200000 models were fitted")


@pytest.fixture
def two_at_once(monkeypatch):
    """Designs of any size count as large, and there are two cores."""
    monkeypatch.setattr("jaxlr.batching.strategy._CACHE", 0)
    monkeypatch.setattr(planning, "_DESIGNS_OF_A_CORE", 2)
    monkeypatch.setattr(planning.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    jax.clear_caches()
    yield
    jax.clear_caches()


MANY_DESIGNS = {"X": X + np.arange(11)[:, None, None] * X[::-1] / 4, "y": Y, "l2": 0.1, "solver": "newton_cg"}


def heard_by(monkeypatch, listener):
    """Calls the listener when a chunk begins, in its thread."""
    original = running.brought

    def brought(arguments, cores, dtype):
        models = arguments[0]
        if models is not None and models.problem.X is not None and models.problem.X.ndim > 2:
            listener()
        return original(arguments, cores, dtype)

    monkeypatch.setattr(running, "brought", brought)


@pytest.mark.slow
def test_large_designs_run_side_by_side_in_threads_and_are_the_same_models(two_at_once, monkeypatch):
    quick_options()  # asks the compiler once
    threads = []
    heard_by(monkeypatch, lambda: threads.append(threading.get_ident()))
    got = []
    compiled = count_compilations(lambda: got.append(fit(**MANY_DESIGNS)))
    assert len(threads) == 6
    assert len(set(threads)) == 2
    assert compiled == 1  # although two threads ask for it
    assert count_compilations(lambda: fit(**MANY_DESIGNS | {"batch_size": 2})) == 0  # the same program
    one_by_one = [fit(**MANY_DESIGNS | {"X": design}) for design in MANY_DESIGNS["X"]]
    assert_same(got[0], jax.tree.map(lambda *leaves: jnp.stack(leaves), *one_by_one))


@pytest.mark.slow
def test_an_interrupt_of_chunks_side_by_side_keeps_both(two_at_once, monkeypatch):
    begun = []

    def interrupt():
        begun.append(1)
        if len(begun) == 2:
            signal.raise_signal(signal.SIGINT)

    heard_by(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt, match="of 11 models were fitted") as caught:
        fit(**MANY_DESIGNS)
    status = np.asarray(caught.value.fit.status)
    done = int(np.sum(status == Status.CONVERGED))
    assert done == 2 * len(begun)
    assert 4 <= done < 11
    assert (status[done:] == Status.NOT_RUN).all()


def interrupt_in(monkeypatch, name):
    """An interrupt while the solver is traced, as it is for a max_steps that no other test has."""
    original = getattr(jaxlr.batching.lanes, name)

    def interrupting(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return original(*arguments, **options)

    monkeypatch.setattr(jaxlr.batching.lanes, name, interrupting)


@pytest.mark.slow
def test_an_interrupt_of_the_only_chunk_carries_it(monkeypatch):
    interrupt_in(monkeypatch, "solution_of")
    with pytest.raises(KeyboardInterrupt, match="3 of 3 models were fitted") as caught:
        fit(X, TARGETS[:3], l2=0.1, max_steps=191)
    assert np.asarray(caught.value.fit.converged).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_an_interrupt_before_the_first_resample_says_that_none_was_run(monkeypatch):
    interrupt_in(monkeypatch, "solution_of")
    with pytest.raises(KeyboardInterrupt) as caught:
        jaxlr.fit_bootstrap(jax.random.key(0), X, Y, 7, l2=0.1, max_steps=192)
    assert np.asarray(caught.value.fit.status).tolist() == [Status.NOT_RUN] * 7
    assert caught.value.fit.params.coef.shape == (7, N)
