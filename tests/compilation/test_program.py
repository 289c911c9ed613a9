"""Programs: the function itself, whatever its arguments are and wherever it is called."""

import gc
import subprocess
import sys
import weakref

import jax
import numpy as np
import pytest
from jax.experimental.layout import Format, Layout
from jax.sharding import SingleDeviceSharding

from jaxlr import Params, predict_proba
from jaxlr.compilation import program as programs

X = np.random.default_rng(0).standard_normal((6, 3))
PARAMS = Params(np.ones(3), np.zeros(()))
EXPECTED = np.asarray(predict_proba.__wrapped__(PARAMS, X))
EPS = np.finfo(np.float64).eps


def same(got):
    np.testing.assert_allclose(got, EXPECTED, rtol=4 * EPS)


def test_lists_and_tables_are_arrays():
    pandas = pytest.importorskip("pandas")
    for form in (X.tolist(), pandas.DataFrame(X), jax.numpy.asarray(X), np.asfortranarray(X)):
        same(predict_proba(PARAMS, form))
    with pytest.raises(TypeError, match="expected a real array, got dtype <U1"):
        predict_proba(PARAMS, np.array([["a", "b", "c"]]))


def test_an_array_of_another_layout_has_a_program_of_its_own():
    here = SingleDeviceSharding(jax.devices()[0])
    other = jax.device_put(X, Format(Layout((1, 0)), here))
    for form in (other, jax.device_put(X, here), other):
        same(predict_proba(PARAMS, form))


@pytest.mark.slow
def test_the_programs_in_memory_are_bounded_and_those_used_longest_ago_go(monkeypatch):
    """XLA crashes where a process has more than some hundred of them."""
    monkeypatch.setattr(programs, "_MOST_LOADED", 3)
    monkeypatch.setattr(programs, "_loaded", loaded := {})
    first = weakref.ref(_program_of(loaded, 1))
    kept = _program_of(loaded, 2)
    _program_of(loaded, 3)
    predict_proba(PARAMS, X[:2])
    _program_of(loaded, 4)
    gc.collect()
    assert len(loaded) == 3
    assert kept in loaded.values()
    assert first() is None  # JAX's caches do not hold it either


def _program_of(loaded, rows):
    predict_proba(PARAMS, X[:rows])
    return list(loaded.values())[-1]


@pytest.mark.parametrize("watch", [jax.debug_nans, jax.checking_leaks, jax.disable_jit])
def test_what_jax_watches_runs_as_it_asks_inside_jit_and_outside(watch):
    with watch(True) if watch is not jax.checking_leaks else watch():
        same(predict_proba(PARAMS, X))
        same(jax.jit(lambda a: a * predict_proba(PARAMS, X))(1.0))


def test_inside_jit_known_numbers_are_computed_too():
    same(jax.jit(lambda a: a * predict_proba(PARAMS, X))(1.0))
    assert jax.eval_shape(lambda: predict_proba(PARAMS, X)).shape == (6,)


def test_under_another_mode_of_jax_it_is_another_program():
    results = {}
    for precise in (True, False, True):
        with jax.enable_x64(precise):
            results[precise] = predict_proba(PARAMS, X).dtype
    assert results == {True: np.float64, False: np.float32}


def test_few_programs_stay_loaded(monkeypatch):
    monkeypatch.setattr(programs, "_loaded", {})
    monkeypatch.setattr(programs, "_MOST_LOADED", 2)
    for rows in (1, 2, 3, 1):
        np.testing.assert_allclose(predict_proba(PARAMS, X[:rows]), EXPECTED[:rows], rtol=4 * EPS)
    assert len(programs._loaded) == 2


DEVICES = """
import jax, numpy as np, jaxlr
second = jax.devices()[1]
X, y = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), (np.arange(60) % 2).astype(np.float32)
there = jax.device_put((X, y), second)
assert jaxlr.fit(*there, l2=0.1).params.coef.devices() == {second}
params = jaxlr.fit(X, y, l2=0.1).params
assert jaxlr.predict_proba(jax.device_put(params, second), there[0]).devices() == {second}
jax.jit(lambda a: a + jaxlr.predict_proba(jax.device_put(params, second), there[0]))(1.0)
with jax.default_device(second):
    assert jaxlr.predict_proba(jax.tree.map(np.asarray, params), X).devices() == {second}
"""


@pytest.mark.slow
def test_data_on_another_device_are_computed_there(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    subprocess.run([sys.executable, "-c", DEVICES], check=True)
