"""Memory: the bound is above the peak of a process and not far, chunks follow what is free, and what cannot fit is refused."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import fit
from jaxlr.engine import memory
from jaxlr.engine import plan as planning
from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.inputs import memory as inputs_memory
from tests.helpers import memory_bound

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 10))
Y = RNG.random((3000, 200)) > 0.5


def called(**fields):
    return prepare(Arguments(**({"X": X, "y": Y, "l2": 0.1} | fields)))


def test_chunks_follow_what_is_free(monkeypatch):
    whole = planning.chunk_of(called())
    needed = memory.bytes_needed(called().needs, whole[0], 3000)
    monkeypatch.setattr(memory, "_NEVER_MISSED", 0)
    monkeypatch.setattr(memory, "bytes_free", lambda sharing=1: needed)
    some = planning.chunk_of(called())
    assert 1 <= some[0] < whole[0]
    assert memory_bound(called()) <= needed


def test_what_cannot_fit_is_refused_with_both_numbers_before_anything_is_allocated(monkeypatch):
    free = 2**29
    monkeypatch.setattr(memory, "bytes_free", lambda sharing=1: free)
    many = np.broadcast_to(Y[:1], (300_000, 200))
    with pytest.raises(
        MemoryError, match=r"300000 of 300000 models at .* in the 0.5 GiB that the device has free, got .* GiB; .*batch_size"
    ):
        fit(X, many, l2=0.1, batch_size=300_000)
    with pytest.raises(
        MemoryError, match=r"and the results of all, in the 0.5 GiB that the device has free, got a need of up to"
    ):
        jaxlr.fit_bootstrap(jax.random.key(0), X, Y[0], 2**31 - 1, l2=0.1)
    with pytest.raises(MemoryError, match=r"1 of 1 models .*fit fewer models, rows or columns, or spread them over a mesh"):
        fit(np.broadcast_to(X[:1], (2_000_000, 10)), np.arange(2_000_000) % 2, l2=0.1)


def test_what_is_free_is_known_and_shared_by_the_devices_of_a_process():
    free = memory.bytes_free()
    assert 2**20 < free < 2**50
    assert memory.bytes_free(4) < free / 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_leaves_its_limit_less_what_cannot_be_given_back(version, tmp_path, monkeypatch):
    """Pages of files, as of a stream from disk, fill a group up to its limit: nothing was free then, and no version 1 asked."""
    folder, of_limit, of_used, of_pages, *_ = [
        (tmp_path / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        (tmp_path, "memory.max", "memory.current", "inactive_file"),
    ][version - 1]
    folder.mkdir(exist_ok=True)
    (folder / of_limit).write_text(f"{2**22}\n")
    (folder / of_used).write_text(f"{2**22 - 2**12}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{of_pages} {2**20}\n")
    monkeypatch.setattr(inputs_memory, "_ROOT", tmp_path)
    assert memory.bytes_free() == 2**20 + 2**12
    (folder / of_limit).write_text("max\n")
    assert memory.bytes_free() > 2**22


def test_a_bound_grows_with_rows_columns_models_and_results():
    least = memory.bytes_needed(called().needs, 10, 10)
    assert memory.bytes_needed(called().needs, 20, 10) > least
    assert memory.bytes_needed(called().needs, 10, 1000) > least
    assert memory.bytes_needed(called().needs._replace(m=400), 10, 10) > least
    assert memory.bytes_needed(called().needs._replace(n=20), 10, 10) > least


MEASURED = """
import json, os, resource, sys
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
import jaxlr
from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.inputs import memory as inputs_memory
from tests.helpers import memory_bound
rng = np.random.default_rng(0)
def data(m, n, k=1):
    X = rng.standard_normal((m, n))
    return X, (X[:, :1] + rng.logistic(size=(m, k)) > 0).T.copy()
X, Y = data({m}, {n}, {k})
fields = dict(X=X, y=Y, l2=1e-2) | {more}
bound = memory_bound(prepare(Arguments(**fields)))
jax.block_until_ready(jax.numpy.ones(3) + 1)
def peak():  # of this program; ru_maxrss also counts the process that started it
    lines = open("/proc/self/status").read().splitlines() if os.path.exists("/proc/self/status") else []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return 1024 * (marks or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])[0]
before = peak()
jax.block_until_ready(jaxlr.fit(**fields))
print(json.dumps([bound, peak() - before]))
"""


@pytest.mark.parametrize(
    ("m", "n", "k", "more"),
    [
        pytest.param(200, 10, 20_000, "{}", marks=pytest.mark.slow),
        pytest.param(200, 10, 20_000, "dict(batch_size=20_000)", marks=pytest.mark.slow),
        pytest.param(4000, 300, 100, "{}", marks=pytest.mark.slow),
        pytest.param(100_000, 40, 1, "dict(y=Y[0], l2=np.logspace(0, -3, 50))", marks=pytest.mark.slow),
        pytest.param(300, 3000, 1, "dict(y=Y[0])", marks=pytest.mark.slow),
        pytest.param(20_000, 20, 1, "dict(X=np.stack([X] * 30), y=Y[0])", marks=pytest.mark.slow),
    ],
)
def test_the_peak_of_a_process_is_under_the_bound(m, n, k, more):
    code = MEASURED
    for name, value in {"m": m, "n": n, "k": k, "more": more}.items():
        code = code.replace(f"{{{name}}}", str(value))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    bound, peak = json.loads(done.stdout)
    assert peak <= bound
    assert bound <= 3.5 * peak
