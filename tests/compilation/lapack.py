"""Which calls of LAPACK in a program do not wait for each other.

On a CPU each waits on a thread of XLA's pool until other threads of that pool have done its parts of a batch. Two at once leave
none where there are two cores, and the program never ends (jaxlib 0.10: `jaxlr.linalg.cholesky`).
"""

from typing import Any

LAPACK = ("cholesky", "triangular_solve", "lu", "qr", "householder_product", "geqrf", "eigh", "svd", "eig", "schur")
_INLINED = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")


def unordered(jaxpr: Any) -> list[tuple[str, str]]:
    """Pairs of calls without a path from one to the other, in a traced program and in the bodies of its loops."""
    calls: list[tuple[str, frozenset[int]]] = []
    bodies: list[Any] = []

    def walk(jaxpr: Any, inputs: list[frozenset[int]], caller: str) -> list[frozenset[int]]:
        known = dict(zip(jaxpr.invars, inputs, strict=True))
        of = lambda atom: known.get(atom, frozenset()) if not hasattr(atom, "val") else frozenset()  # noqa: E731
        for eqn in jaxpr.eqns:
            before = frozenset().union(*map(of, eqn.invars))
            inner = _bodies(eqn)
            if eqn.primitive.name in _INLINED and len(inner) == 1:
                outputs = walk(inner[0], [of(atom) for atom in eqn.invars], caller or _where(eqn))
            else:
                if eqn.primitive.name in LAPACK or any(map(_calls_lapack, inner)):
                    calls.append((f"{eqn.primitive.name} of {caller or _where(eqn)}", before))
                    before |= {len(calls) - 1}
                bodies.extend(inner)
                outputs = [before] * len(eqn.outvars)
            known |= dict(zip(eqn.outvars, outputs, strict=True))
        return [of(atom) for atom in jaxpr.outvars]

    walk(jaxpr, [frozenset()] * len(jaxpr.invars), "")
    pairs = [(calls[i][0], name) for j, (name, before) in enumerate(calls) for i in range(j) if i not in before]
    return pairs + [pair for body in bodies for pair in unordered(body)]


def _bodies(eqn: Any) -> list[Any]:
    parts = [part for value in eqn.params.values() for part in (value if isinstance(value, (tuple, list)) else [value])]
    parts = [getattr(part, "jaxpr", part) for part in parts]
    return [part for part in parts if hasattr(part, "eqns") and hasattr(part, "invars")]


def _calls_lapack(jaxpr: Any) -> bool:
    return any(eqn.primitive.name in LAPACK or any(map(_calls_lapack, _bodies(eqn))) for eqn in jaxpr.eqns)


def _where(eqn: Any) -> str:
    frames = (
        [frame for frame in eqn.source_info.traceback.frames if "jaxlr" in frame.file_name] if eqn.source_info.traceback else []
    )
    return " < ".join(f"{frame.file_name.rsplit('/', 1)[1]}:{frame.line_num}" for frame in frames[:3])
