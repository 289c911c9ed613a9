"""Programs: pure functions, compiled once a machine, for on CPU most of the time before a first answer is the compiler's.

A call whose arguments are known (no tracer) looks for the compiled program of its shapes, dtypes and static arguments in this
process, then in the store on disk, and compiles only what neither has. Inside someone's jit, vmap or grad the function is a
part of their program.

Most of compiling is LLVM's work on many small kernels. Its first level, without the expensive passes, makes programs that run
as fast, in seven eighths of the time; XLA's older generator of these kernels, where this version still has it, takes two thirds
of the newer one's. Both are asked for program by program, and global flags stay as they are.
"""

import functools
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import SingleDeviceSharding
from jax.stages import Compiled

from jaxlr.compilation import store
from jaxlr.compilation.key import key_of
from jaxlr.inputs.sparse import is_sparse, sparse_design
from jaxlr.inputs.tables import as_numpy, native, table_numbers

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
# Programs in memory, those used longest ago going first. Linux maps at most 65,530 pieces of memory into a process, a program
# of a fit is 200 to 350 of them, and XLA crashes where there are no more.
_MOST_LOADED = 100
_OF_ITS_OWN = ("jax_default_device", "jax_disable_jit", "jax_debug_nans", "jax_debug_infs", "jax_check_tracer_leaks")

_FIRST_LEVEL: dict[str, Any] = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}
_OLDER_GENERATOR: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}

_loaded: dict[Any, Compiled] = {}
_last_used: dict[Any, float] = {}
_one_at_a_time: dict[Any, threading.Lock] = {}


@runtime_checkable
class Program(Protocol[P, R_co]):
    """A compiled function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def like(self, *args: P.args, **kwargs: P.kwargs) -> Callable[..., R_co]:
        """The same of further arguments like these, arrays of the same shapes in their order without the static ones: for
        loops, in which looking for the program would take longer than running it."""
        ...


def program(*static_argnames: str, quick: bool = True) -> Callable[[Callable[P, R_co]], Program[P, R_co]]:
    """`jax.jit`, its programs kept on disk for other processes. Lists and tables are arrays to it, and sparse matrices a
    `Sparse`.

    Args:
        static_argnames: as of `jax.jit`.
        quick: whether compiling quickly counts for more than the last fifth of the speed.
    """

    def decorate(function: Callable[P, R_co]) -> Program[P, R_co]:
        signature = inspect.signature(function)
        inner = jax.jit(function, static_argnames=static_argnames)
        options = quick_options if quick else dict

        def anew() -> Any:
            @functools.wraps(function)
            def alone(*args: P.args, **kwargs: P.kwargs) -> R_co:  # JAX keeps its programs as long as the function lives
                return function(*args, **kwargs)

            return jax.jit(alone, static_argnames=static_argnames, compiler_options=options())

        @functools.cache
        def unplain(options: tuple[tuple[str, Any], ...]) -> Any:
            return jax.jit(function, static_argnames=static_argnames, compiler_options=dict(options))

        def found(*args: P.args, **kwargs: P.kwargs) -> tuple[Callable[..., R_co], dict[str, Any]]:
            """What to run, and the arguments that it is given."""
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            statics = {name: given.arguments.pop(name) for name in static_argnames}
            arrays = jax.tree.map(_as_array, tuple(given.arguments.values()), is_leaf=_is_data)
            leaves, structure = jax.tree.flatten(arrays)
            if not all(map(_is_numeric, leaves)):
                return functools.partial(function, **statics), given.arguments  # which refuses them in its own words
            fields = dict(zip(given.arguments, jax.tree.unflatten(structure, leaves), strict=True))
            traced = any(isinstance(leaf, Tracer) for leaf in leaves)
            plain = not traced and _is_plain(leaves)
            if traced or (not plain and _inside_jit()):
                return functools.partial(inner, **statics), fields
            if not plain:
                with _lock(function):  # one wrapper for all threads: jax.jit lets them wait for one compilation
                    own = unplain(tuple(options().items()))
                return functools.partial(own, **statics), fields
            known = (function, structure, *map(_kind, leaves), *statics.values(), *jax.config.values.values())
            return _in_memory(anew, known, fields, statics), fields

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R_co:
            run, fields = found(*args, **kwargs)
            return run(**fields)

        def like(*args: P.args, **kwargs: P.kwargs) -> Callable[..., R_co]:
            run, fields = found(*args, **kwargs)
            return lambda *others: run(**dict(zip(fields, others, strict=True)))

        call.like = like  # pyright: ignore[reportAttributeAccessIssue]
        return cast("Program[P, R_co]", call)

    return decorate


def _is_data(value: Any) -> bool:
    """A list, a table or a sparse matrix, where arrays are expected."""
    if isinstance(value, (np.ndarray, np.generic, int, float, tuple, type(None), jax.Array)):
        return False
    return isinstance(value, list) or hasattr(value, "to_numpy") or is_sparse(value)


def _as_array(value: Any) -> Any:
    if is_sparse(value):
        return sparse_design(value)
    if _is_data(value):
        return as_numpy("an argument", table_numbers("X", value))
    return native(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _is_numeric(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc":
        return True
    if isinstance(leaf, int):
        most = np.iinfo(jnp.result_type(int))
        return most.min <= leaf <= most.max
    return isinstance(leaf, float) or (isinstance(leaf, (np.ndarray, np.generic, jax.Array)) and _is_of_numbers(leaf.dtype))


@functools.cache
def _is_of_numbers(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.number, jnp.bool_, jax.dtypes.prng_key))


def _in_memory(anew: Callable[[], Any], known: tuple, given: dict[str, Any], statics: dict[str, Any]) -> Compiled:
    """The compiled program of this process, which the first call of its kind finds for all threads."""
    compiled = _loaded.get(known)
    if compiled is None:
        with _lock(known):
            compiled = _loaded.get(known) or _found(anew, known, given, statics)
        _one_at_a_time.pop(known, None)
    _last_used[known] = time.monotonic()
    return compiled


def _found(anew: Callable[[], Any], known: tuple, given: dict[str, Any], statics: dict[str, Any]) -> Compiled:
    """The compiled program, of the store or compiled now."""
    function, structure, *_ = known
    shapes = [(leaf.shape, str(leaf.dtype), leaf.weak_type) for leaf in map(jax.typeof, jax.tree.leaves(given))]
    key = key_of(function, structure, shapes, statics.values())
    compiled = None if key is None else store.load(key)
    if compiled is None:
        compiled = anew().lower(**given, **statics).compile()
        if key is not None:
            store.save(key, compiled)
    while len(_loaded) >= _MOST_LOADED:
        oldest = min(list(_loaded), key=lambda other: _last_used.get(other, 0))
        _loaded.pop(oldest, None)
        _last_used.pop(oldest, None)
    _loaded[known] = compiled
    return compiled


def _kind(leaf: Any) -> Any:
    """What a program needs to know of an argument; equal kinds have one program."""
    if isinstance(leaf, (bool, int, float)):
        return type(leaf)
    return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)


def _is_plain(leaves: list[Any]) -> bool:
    """Whether a program of the first device alone serves these arguments, and JAX is not asked to watch what runs."""
    if any(getattr(jax.config, name) for name in _OF_ITS_OWN) or not jax.sharding.get_abstract_mesh().empty:
        return False
    here = SingleDeviceSharding(jax.local_devices()[0])
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
    return all(array.sharding == here and _is_row_major(array) for array in arrays)


def _is_row_major(array: jax.Array) -> bool:
    """Whether the array lies as programs expect it, unless they were compiled for another layout."""
    if array.ndim < 2 or jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return True
    layout = array.format.layout  # pyright: ignore[reportAttributeAccessIssue]
    return layout is None or tuple(layout.major_to_minor) == tuple(range(array.ndim))


def _inside_jit() -> bool:
    """Whether operations on known numbers are traced."""
    return isinstance(jax.device_put(np.zeros(())), Tracer)


def _lock(known: Any) -> threading.Lock:
    """Threads that want the same program wait for the one that compiles it."""
    return _one_at_a_time.setdefault(known, threading.Lock())


def quick_options() -> dict[str, Any]:
    """Options of the compiler for compiling quickly: none but on a CPU, and those that this version of XLA knows; levels where
    JAX is not asked for one."""
    if jax.default_backend() != "cpu":
        return {}
    wanted: list[dict[str, Any]] = [_OLDER_GENERATOR]
    if not jax.config.values["jax_disable_most_optimizations"]:
        wanted.append(_FIRST_LEVEL)
    return {name: value for options in wanted if _is_known(tuple(options)) for name, value in options.items()}


@functools.cache
def _is_known(names: tuple[str, ...]) -> bool:
    """Whether this version of XLA has these options."""
    try:
        jax.jit(lambda: 0).lower().compile({name: (_OLDER_GENERATOR | _FIRST_LEVEL)[name] for name in names})
    except jax.errors.JaxRuntimeError:
        return False
    return True
