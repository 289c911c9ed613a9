"""Many devices: the models of one on 8 virtual devices and in two processes; rows are not gathered, nothing compiles again."""

import functools
import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr.engine.devices import check_mesh
from tests.engine.test_chunks import TARGETS, X, Y, models

pytestmark = pytest.mark.usefixtures("x64")

TOL = 1e-10
QUICK = ("13 targets, 8 devices",)
SLOW = (
    "one model by rows", "bootstrap", "bootstrap of clusters", "in chunks of 8", "folds and a path", "conjugate gradients",
    "columns",
)  # fmt: skip
CALLS = [*QUICK, *(pytest.param(call, marks=pytest.mark.slow) for call in SLOW)]


def started(num_devices, *arguments):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}"
    command = [sys.executable, "-m", "tests.on_devices", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"XLA_FLAGS": flags}, stderr=subprocess.PIPE, text=True)


def finished(processes, outs):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    return [json.loads(out.read_text()) for out in outs]


@pytest.fixture(scope="module")
def run_on_8_devices(tmp_path_factory):
    """Reports by name; each group of calls runs once."""

    @functools.cache
    def reports(calls):
        out = tmp_path_factory.mktemp("devices") / "report.json"
        return finished([started(8, out, *calls)], [out])[0]

    return lambda call: reports(QUICK if call in QUICK else SLOW)[call]


@pytest.fixture(scope="module")
def in_two_processes(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    outs = [tmp_path_factory.mktemp("processes") / f"{i}.json" for i in range(2)]
    return finished([started(2, out, port, i) for i, out in enumerate(outs)], outs)


def assert_agree(report):
    assert report["status"] == report["expected status"]
    assert report["text"] == report["expected text"]
    assert report["difference"] <= 1e3 * TOL


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_8_devices_give_the_models_of_one(run_on_8_devices, call):
    assert_agree(run_on_8_devices(call))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_a_second_call_on_a_mesh_compiles_nothing_and_gives_the_same(run_on_8_devices, call):
    assert run_on_8_devices(call)["compiled"][0] > 0
    assert run_on_8_devices(call)["compiled"][1] == 0
    assert run_on_8_devices(call)["same again"]


@pytest.mark.parametrize("call", CALLS)
def test_only_results_are_gathered_never_rows(run_on_8_devices, call):
    assert run_on_8_devices(call)["gathered"] == []


def test_failed_models_on_a_mesh_are_named(run_on_8_devices):
    status = run_on_8_devices("13 targets, 8 devices")["status"]
    assert status[3:5] == [jaxlr.Status.NONFINITE, jaxlr.Status.SEPARATED]
    assert status.count(jaxlr.Status.CONVERGED) == 11


@pytest.mark.slow
def test_rows_that_cannot_be_dealt_out_and_nan_among_them_are_refused(run_on_8_devices):
    said = run_on_8_devices("one model by rows")
    assert "expected a multiple of 8 rows for the mesh axis 'rows', got 47; add rows of weight 0" in said["47 rows"]
    assert "expected finite X, got NaN or infinity" in said["NaN"]


@pytest.mark.slow
def test_a_design_on_many_devices_needs_the_mesh(run_on_8_devices):
    said = run_on_8_devices("one model by rows")
    for case in ("no mesh", "grad"):
        assert "expected X on one device, or mesh= outside jit and differentiation" in said[case]


@pytest.mark.slow
@pytest.mark.parametrize("call", ["targets", "bootstrap of halves"])
def test_two_processes_give_the_models_of_one_to_each(in_two_processes, call):
    for report in in_two_processes:
        assert_agree(report[call])


@pytest.mark.slow
def test_a_mesh_of_one_device_is_one_device():
    mesh = jax.make_mesh((1,), ("models",))
    got, expected = (jaxlr.fit(X, TARGETS, l2=0.1, mesh=mesh) for mesh in (mesh, None))
    np.testing.assert_allclose(models(got), models(expected), rtol=0, atol=1e3 * TOL)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(got))


def test_what_is_no_mesh_for_models_is_refused():
    with pytest.raises(TypeError, match=r"expected mesh to be a jax.sharding.Mesh, .*, got 8"):
        check_mesh(8, 48)
    with pytest.raises(ValueError, match=r"expected one axis for the models .* got axes \('a', 'b'\)"):
        jaxlr.fit(X, Y, mesh=jax.make_mesh((1, 1), ("a", "b")))
