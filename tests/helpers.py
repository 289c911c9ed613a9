"""What the tests share: tolerances in units of the dtype, errors in ulp, and checkers (which test_helpers.py checks)."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr import Fit, Params, Status
from jaxlr.engine.devices import sizes
from jaxlr.engine.memory import bytes_needed
from jaxlr.engine.plan import chunk_of, chunks_at_once


def quick(names: Iterable[str], *quick_ones: str) -> list[Any]:
    """Names to parametrize a test with: these ones by default, the others under -m slow."""
    return [name if name in quick_ones else pytest.param(name, marks=pytest.mark.slow) for name in names]


def memory_bound(call: Any) -> int:
    """Upper bound, in bytes, on what a checked call takes on a device beside its arguments."""
    devices = sizes(call.mesh)[0]
    side_by_side = math.prod(chunk_of(call)[: len(call.side_by_side)])
    return chunks_at_once(call) * bytes_needed(call.needs, -(-side_by_side // devices), math.prod(call.batch))


def known_fit(coef: Any, intercept: Any) -> Fit:
    """One model of two classes whose estimates are known in closed form, as a fit would hand it back."""
    none = np.zeros(())
    return Fit(params=Params(np.asarray(coef, float), np.float64(intercept)), value=none, kkt=none, gap=none,
               status=np.int32(Status.CONVERGED), num_steps=np.int32(1), solver="newton")  # fmt: skip


def tolerance(dtype: Any, k: float) -> float:
    """k units of rounding of the dtype."""
    return k * float(jnp.finfo(dtype).eps)


def ulp(exact: np.ndarray, dtype: Any) -> np.ndarray:
    """One unit in the last place of the dtype at each exact value (float64); the smallest subnormal near 0."""
    info = jnp.finfo(dtype)
    magnitude = np.maximum(np.abs(np.asarray(exact, np.float64)), float(info.tiny))
    power_of_two = (magnitude.view(np.int64) & ~((1 << 52) - 1)).view(np.float64)
    return power_of_two * 2.0 ** -int(info.nmant)


def ulp_error(actual: Any, exact: np.ndarray, tail: np.ndarray | float = 0.0) -> np.ndarray:
    """Errors of actual in ulp of its own dtype against finite references exact + tail (float64 each).

    The tail carries what float64 cannot, for actual in float64: actual - exact is exact when the two are close.
    """
    dtype = actual.dtype
    return np.abs((np.asarray(actual).astype(np.float64) - exact) - tail) / ulp(exact, dtype)


def assert_within_ulp(actual: Any, exact: np.ndarray, bar: float, *, at: Any, tail: np.ndarray | float = 0.0) -> float:
    """The accuracy bar: at most `bar` ulp on normal results, at most the smallest normal number off below it.

    XLA flushes subnormal results to zero, except those of float16, which are normal numbers of the float32 in which they
    are computed. NaN belongs to NaN and infinity to infinity. Failures list the worst points.

    Returns:
        The largest error on normal results, in ulp.
    """
    actual = np.asarray(actual)
    exact = np.asarray(exact, np.float64)
    wide = actual.astype(np.float64)
    info = jnp.finfo(actual.dtype)
    assert actual.shape == exact.shape, f"shape {actual.shape}, expected {exact.shape}"
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs((wide - exact) - tail)
        error = off / ulp(exact, actual.dtype)
    if actual.dtype != np.float16:
        subnormal = np.abs(exact) < float(info.tiny)
        error[subnormal] = np.where(off[subnormal] <= float(info.tiny), 0, np.inf)
    odd = ~np.isfinite(off) | ~np.isfinite(exact)
    error[odd] = np.where((wide[odd] == exact[odd]) | (np.isnan(wide[odd]) & np.isnan(exact[odd])), 0, np.inf)
    if not np.all(error <= bar):
        worst = np.argsort(error.ravel())[::-1][:8]
        points = np.broadcast_to(np.asarray(at), actual.shape).ravel()
        lines = [
            f"at {points[i]!s}: got {wide.ravel()[i]!r}, exact {exact.ravel()[i]!r}: {error.ravel()[i]:.2f}" for i in worst
        ]
        raise AssertionError(f"{np.sum(error > bar)} of {error.size} beyond {bar} ulp ({actual.dtype}):\n" + "\n".join(lines))
    return float(np.max(error, initial=0.0))


def assert_tree_close(actual: Any, expected: Any, k: float, scale: float = 1.0) -> None:
    """Two pytrees agree in structure, shapes and dtypes, and each leaf to k eps of (scale + its largest entry)."""
    structures = jax.tree.structure(actual), jax.tree.structure(expected)
    assert structures[0] == structures[1], f"structure {structures[0]}, expected {structures[1]}"
    for (path, leaf), other in zip(jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True):
        a, b, name = np.asarray(leaf), np.asarray(other), jax.tree_util.keystr(path) or "value"
        assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{name}: {a.dtype} {a.shape}, expected {b.dtype} {b.shape}"
        if not np.issubdtype(a.dtype, np.inexact):
            np.testing.assert_array_equal(a, b, err_msg=name)
            continue
        largest = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(a.dtype, k) * (scale + largest), err_msg=name)


def count_traces(f: Callable) -> tuple[Callable, Callable[[], int]]:
    """f under jit, and a function that says how often it has been traced."""
    traces = []

    def counted(*args):
        traces.append(None)
        return f(*args)

    return jax.jit(counted), lambda: len(traces)


_COMPILED = []


@functools.cache  # JAX 0.8 cannot take a listener back
def _listening():
    def heard(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            _COMPILED.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)


def count_compilations(function):
    """How many programs XLA compiles while the function runs."""
    _listening()
    before = len(_COMPILED)
    function()
    return len(_COMPILED) - before
