"""What a chunk of models needs, what the device has, and the largest chunk that is worth its memory.

The estimate counts numbers, for m rows, k columns with the intercept, D designs and L models side by side:

    D (6 m k + 3 m k (k + 1) / 2 + 4 p^2)   working columns, twice where n > m, 10 m k with an orthonormal basis;
                                            for few columns the products of their pairs; 8 numbers an entry where sparse;
                                            a preconditioner of p columns
    L (24 m C + 6 h^2 + 32 k C + 3 m W)     logits, residuals, weights; Hessian of h columns and factor, kept
                                            and new, 10 h^2 with groups; states; W gathered columns
    8 m C                                   evidence of so many points of a path as make 64 models at once
    3 (k C + 8)                             results of every model, on their way out

with C the classes of a multinomial model, else 1,

and the fields of the chunk twice, as they came and as they are; on a CPU also what the compiler takes. A benchmark holds it
against the peak of a process (``python -m tests.benchmarks scale``).
"""

import math
from typing import NamedTuple

import jax

from jaxlr.batching.strategy import Traits, columns_to_solve, num_parameters
from jaxlr.inputs.memory import bytes_free
from jaxlr.solvers.rounding import most_parameters
from jaxlr.solvers.solve import Settings
from jaxlr.solvers.working_set import leaves_out

_PREFERRED_NUMBERS = {"cpu": 2**18}  # rows times models: two megabytes of float64 stay near a core
_MOST_NUMBERS = 2**24  # elsewhere
_FEWEST_MODELS = 64  # side by side, or matrix products are too thin
_COMPILER = 2**27  # bytes; 50 to 90 MB were seen
_NEVER_MISSED = 2**28  # bytes: less is not worth asking the device
_SHARE = 0.8  # of what is free; the rest is for what the estimate does not see


class Needs(NamedTuple):
    """What the memory of a model depends on.

    Attributes:
        m: rows, on one device.
        n: columns.
        own: numbers that a model brings beside its design: labels, weights, offsets.
        hessian: columns of a model's own Hessian, of steps or of a verdict, 0 without one.
        gathered: columns that a model gathers to solve for, 0 where it solves for all of them.
        preconditioner: columns of the one that models share, 0 without one.
        products: whether the products of all pairs of columns stand.
        designs: how many designs stand at once: 0 is one that all models share, None is one for each.
        itemsize: bytes of a number.
        num_classes: of the multinomial model, 1 for the binary one.
        basis: whether an orthonormal basis of the columns may stand beside them.
        entries: of a sparse design, 0 of an array.
        grouped: whether norms of groups bring a curvature of their own.
    """

    m: int
    n: int
    own: int
    hessian: int
    gathered: int
    preconditioner: int
    products: bool
    designs: int | None
    itemsize: int
    num_classes: int = 1
    basis: bool = False
    entries: int = 0
    grouped: bool = False


def needs_of(settings: Settings, traits: Traits, own: int) -> Needs:
    """What the memory of a model depends on, as it was chosen; m is the rows on one device, `own` what a model brings beside
    its design."""
    k, num_classes = columns_to_solve(settings, traits.m, traits.n), math.prod(settings.likelihood.classes)
    size, dense = settings.room or k, settings.solver != "newton_cg" and not settings.matrix_free
    parameters = num_parameters(settings, size, traits.smooth)
    judged = not settings.coercive and parameters <= most_parameters(settings.settled or settings.basis > 0)
    pairs = num_classes * (num_classes + 1) // 2 if settings.likelihood.classes and dense else 0  # a row for each two classes
    return Needs(
        m=traits.m,
        n=traits.n,
        own=own,
        hessian=parameters if dense or judged else 0,
        gathered=(size if leaves_out(settings.room, k) and not settings.matrix_free else 0) + pairs,
        preconditioner=0 if dense or settings.matrix_free else math.ceil(k * math.sqrt(num_classes)),  # a block for each class
        products=settings.products,
        designs=0 if traits.num_designs == 1 else 1 if settings.one_by_one else None,
        itemsize=traits.itemsize,
        num_classes=num_classes,
        basis=settings.basis > 0,
        entries=traits.entries,
        grouped=traits.largest_group > 0,
    )


def bytes_needed(needs: Needs, side_by_side: int, num_results: int) -> int:
    """Upper bound on the memory in bytes that a call takes on a device.

    Args:
        needs: of a model.
        side_by_side: models in a chunk, a path counted once.
        num_results: models of the whole call, whose results are kept.
    """
    m, k, C = needs.m, needs.n + 1, needs.num_classes
    design = (10 if needs.basis else 6 if needs.n <= m else 12) * m * k if not needs.entries else 8 * needs.entries
    design += 4 * needs.preconditioner**2
    paired = min(needs.hessian, k)
    design += 3 * m * paired * (paired + 1) // 2 if needs.products else 0
    model = 24 * m * C + 32 * k * C + (10 if needs.grouped else 6) * needs.hessian**2 + 3 * m * needs.gathered
    came_in = needs.own + (m * needs.n if needs.designs != 0 else 0)
    designs = max(needs.designs, 1) if needs.designs is not None else side_by_side
    models = 1 if needs.designs == 1 else side_by_side
    evidence = 8 * m * C * max(min(_FEWEST_MODELS, num_results) - models, 0)  # of the points of a path at once
    numbers = designs * design + models * model + evidence + 2 * side_by_side * came_in + 3 * num_results * (k * C + 8)
    return needs.itemsize * numbers + (_COMPILER if jax.default_backend() == "cpu" else 0)


def models_side_by_side(numbers: int) -> int:
    """How many models to fit side by side, at least 64, where each brings so many numbers and memory is no question."""
    return max(_FEWEST_MODELS, _PREFERRED_NUMBERS.get(jax.default_backend(), _MOST_NUMBERS) // numbers)


def models_that_fit(needs: Needs, num_models: int, num_results: int, asked: int | None = None, sharing: int = 1) -> int:
    """How many of the models, a path counted once, to fit side by side.

    Args:
        asked: the caller's number; None is what is worth its memory and fits.
        sharing: devices, or chunks, of this process that work at the same time; on a CPU they share its memory.

    Raises:
        MemoryError: what was asked for, or a single model, needs more than the device has free.
    """
    numbers = needs.m * max(needs.n if needs.designs != 0 else 1, needs.num_classes)
    size = min(num_models, asked or models_side_by_side(numbers))
    if bytes_needed(needs, size, num_results) < _NEVER_MISSED:
        return size
    free = bytes_free(sharing)
    while asked is None and size > 1 and bytes_needed(needs, size, num_results) > _SHARE * free:
        size = -(-size // 2)
    if (needed := bytes_needed(needs, size, num_results)) > free:
        advice = "pass a smaller batch_size" if size > 1 else "fit fewer models, rows or columns, or spread them over a mesh"
        raise MemoryError(
            f"expected {size} of {num_results} models at a time, and the results of all, in the {free / 2**30:.3g} GiB that "
            f"the device has free, got a need of up to {needed / 2**30:.3g} GiB; {advice}"
        )
    return size
