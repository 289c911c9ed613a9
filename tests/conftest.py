"""The strictest modes of JAX, float64 unless JAX_ENABLE_X64=0 says otherwise, and tamed Hypothesis profiles."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator

os.environ["JAXLR_CACHE_DIR"] = "off"  # every test compiles what it runs
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # one of scikit-learn's checks asks for it, before SciPy is imported

import jax
import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, settings

mpl.use("Agg")
jax.config.update("jax_enable_x64", os.environ.get("JAX_ENABLE_X64", "1") not in ("0", "false", "False"))
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of the suite's time. What depends on optimized code asks for `optimized`.
jax.config.update("jax_disable_most_optimizations", True)

# XLA's older code generator compiles in half the time; an XLA_FLAGS of one's own, an empty one too, keeps the default.
_QUICK = {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"}
if "XLA_FLAGS" not in os.environ:  # workers inherit it
    _started = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=os.environ | _QUICK, check=False)
    os.environ |= _QUICK if _started.returncode == 0 else {"XLA_FLAGS": ""}  # a flag that XLA does not know ends the process

gc.set_threshold(200_000, 50, 100)  # tracing makes many objects and few cycles
# As many workers as cores: one thread each is enough.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["NPROC"] = "1"
    jax.devices()  # XLA has looked
    del os.environ["NPROC"]

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=20, **_COMMON)
settings.register_profile("ci", max_examples=20, derandomize=True, **_COMMON)
settings.register_profile("deep", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(scope="module")
def x64() -> Iterator[None]:
    """Float64 exists in every test of a module that uses this, also where JAX_ENABLE_X64=0 runs the suite."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def optimized() -> Iterator[None]:
    """The module that uses this runs the code that users run, not the quickly compiled code of the other tests."""
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reference-data", default=None, help="folder with reference.json and files/: run every data set of it")
