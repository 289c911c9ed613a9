"""How programs are compiled: on CPU most of the time before a first answer is the compiler's.

XLA has two code generators for fused loops on CPU. The older one compiles these programs in two thirds of the time and they
run as fast; it is asked for program by program, where this version of XLA knows the option, and global flags stay as they are.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer


def program(*static_argnames: str) -> Callable[[Callable], Callable]:
    """`jax.jit`, quick to compile. Inside someone's jit or vmap the function is a part of their program."""

    def decorate(function: Callable) -> Callable:
        one_at_a_time = threading.Lock()  # one wrapper for all threads: jax.jit lets them wait for one compilation
        inner = jax.jit(function, static_argnames=static_argnames)

        @functools.cache
        def quick() -> Callable:
            return jax.jit(function, static_argnames=static_argnames, compiler_options=quick_options())

        def alone() -> Callable:
            with one_at_a_time:
                return quick()

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((args, kwargs)))
            return (inner if traced else alone())(*args, **kwargs)

        return call

    return decorate


@functools.cache
def quick_options() -> dict[str, Any]:
    """Options of the compiler for the quicker generator: none but on a CPU, and where this version of XLA has one generator."""
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options
