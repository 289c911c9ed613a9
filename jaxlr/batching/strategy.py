"""What is chosen from shapes: each choice once, on the host, or where a program is traced; programs and memory obey it.

matrix_free     sparse designs of many columns, or with l1, know Hessians by products and their own diagonals
solver          factors of Hessians where they cost no more than the products that conjugate gradients take
large           one model of very many rows starts from the fit of some (jaxlr.batching.large)
wide            more columns than rows are solved in the span of the rows (jaxlr.batching.wide)
room            columns of a working set (jaxlr.solvers.working_set)
keeps           a Hessian is kept as long as it serves, where making one costs more than the steps (jaxlr.solvers.proximal)
products        the products of all pairs of columns stand in memory, for models that share a design
one_by_one      designs come one after the other
basis           an orthonormal basis of columns without a penalty that are near each other's span (jaxlr.linalg.basis)
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.linalg.basis import least_pivot, nearest, weighted
from jaxlr.model.likelihood import Binary
from jaxlr.solvers.solve import Settings
from jaxlr.solvers.working_set import leaves_out

# Numbers in the products of all pairs of columns, up to which Hessians cost no more than the products that conjugate gradients
# take instead (python -m tests.benchmarks crossing): for models that share a design, and for one alone.
_PRODUCTS = 2**20
_PRODUCTS_ALONE = 2**23
# The same in parameters of multinomial models that share a design (python -m tests.benchmarks L).
_PARAMETERS = 128
_PARAMETERS_ALONE = 2048  # up to which a Hessian tells whether the data are separated
_PRODUCTS_BYTES = 2**30  # products of columns stand up to this size
_MOST_IN_COMMON = 1024  # columns of a sparse design whose models share the inverse of a Hessian
_SHARED = 600  # models times that are the square of the columns up to which products are read as fast as Hessians are made
_DEAR = 2**25  # products for Hessians that are worth a larger program
_CACHE = 2**20  # bytes of a design that stays near the cores
_SHORTEST_PATH = 8
ROWS_PER_COLUMN = 256  # of some rows of a large design; their Hessian is off by a sixteenth
_LARGE = 2**26  # bytes
_LOOKED_AT = 4096  # rows


class Traits(NamedTuple):
    """What the choices depend on, beside what the caller asked for.

    Attributes:
        m: rows.
        n: columns.
        num_designs: designs of the call.
        num_models: models of the call.
        num_paths: the same, a path of l1 counted once.
        itemsize: bytes of a number.
        smooth: whether there are no l1, bounds or groups.
        absolute: whether there are an l1, groups or bounds that hold many coefficients at 0.
        has_l2: whether there may be an l2.
        same_penalty: whether all columns have the same, for want of a penalty_factor.
        penalized: whether every column has a penalty in all models.
        large: whether there is one model, of a large design (`is_large`), that brings neither weights nor a start.
        free: how many columns no model penalizes, 0 where these are far from each other's span.
        entries: of a sparse design, 0 of an array.
        largest_group: columns of it, 0 without groups.
    """

    m: int
    n: int
    num_designs: int
    num_models: int
    num_paths: int
    itemsize: int
    smooth: bool
    absolute: bool
    has_l2: bool
    same_penalty: bool
    penalized: bool
    large: bool = False
    free: int = 0
    entries: int = 0
    largest_group: int = 0


def choose(asked: Settings, traits: Traits) -> Settings:
    """Complete what the caller asked for, whose solver may be "auto".

    Args:
        asked: by the caller.
        traits: what is known of the data before anything is compiled.
    """
    m, num_designs = traits.m, traits.num_designs
    sparse = traits.entries > 0
    wide = not sparse and traits.n > m and traits.same_penalty and traits.smooth and not asked.standardize
    asked = asked._replace(wide=wide)
    k = columns_to_solve(asked, m, traits.n)
    large = traits.large and asked.likelihood == Binary() and asked.solver in ("auto", "newton_cg")
    solver = asked.solver
    if solver == "auto":
        dense = not (large or sparse) and _factors_pay(asked, traits, k)
        solver = "proximal" if not traits.smooth else "newton" if dense else "newton_cg"
    basis = 0 if large or wide or sparse else traits.free
    few = solver == "proximal" and traits.absolute  # bounds alone hold no coefficient at 0
    # Of groups no more than rows need to differ from 0, but all of their columns do.
    rows = m * max(traits.largest_group, 1)
    room = usual_room(rows, k, traits.has_l2, math.prod(asked.likelihood.classes)) if few else 0
    room = k if sparse and solver == "proximal" else room  # without Gram matrices all may be in the largest room
    room = k if room and (basis == traits.n or 4 * traits.largest_group > room) else room  # nothing will be 0, or all at once
    chosen = asked._replace(
        solver=solver,
        large=large,
        one_by_one=num_designs > 1 and stay_in_cache(m, traits.n, traits.itemsize),
        matrix_free=sparse and (solver == "proximal" or k > _MOST_IN_COMMON),
        basis=basis,
        unsure=asked.unsure and basis < traits.n and not wide and not sparse,
    )
    return with_room(chosen, traits, room)


def with_room(settings: Settings, traits: Traits, room: int) -> Settings:
    """Settings with another room, and what follows from that.

    Args:
        settings: as chosen.
        traits: of the data.
        room: columns to solve for at once, 0 for no working set.
    """
    m, num_designs, k = traits.m, traits.num_designs, columns_to_solve(settings, traits.m, traits.n)
    if settings.solver == "newton_cg" or settings.matrix_free or leaves_out(room, k):
        shared = False
    elif settings.solver == "proximal":  # its paths are not cut: few models stand side by side to share the products
        side_by_side = traits.num_paths // num_designs
        shared = side_by_side > 1 and side_by_side * _SHARED >= k**2
    else:
        shared = traits.num_models > num_designs
    products = shared and products_fit(m, k, num_designs, traits.itemsize)
    # With few rows factors cost more than the products, which are what keeping saves; it takes more steps.
    dear = traits.num_models * m * room**2 >= _DEAR and 8 * k <= room**2 and room <= 2 * m
    return settings._replace(
        room=room, keeps=settings.coercive and not (products or settings.matrix_free) and dear, products=products
    )


def _factors_pay(asked: Settings, traits: Traits, k: int) -> bool:
    """Whether factors of Hessians are the better choice where there is no l1."""
    alone, fits = traits.num_models == traits.num_designs, products_fit(traits.m, k, traits.num_designs, traits.itemsize)
    # A model alone has few products to gain, and Hessians tell more where the data may be separated.
    doubtful = alone and not traits.penalized
    if asked.likelihood == Binary():
        numbers = traits.m * k * (k + 1) // 2
        return doubtful or (fits and numbers <= (_PRODUCTS_ALONE if alone else _PRODUCTS))
    parameters = num_parameters(asked, k, traits.smooth)
    return (doubtful and parameters <= _PARAMETERS_ALONE) or ((fits or alone) and parameters <= _PARAMETERS)


def columns_to_solve(settings: Settings, m: int, n: int) -> int:
    """Columns that a solver sees, the intercept counted.

    Args:
        settings: as chosen.
        m, n: rows and columns of X.
    """
    return (min(m, n) if settings.wide else n) + settings.fit_intercept


def num_parameters(settings: Settings, k: int, smooth: bool) -> int:
    """Unknowns of one model: without l1 its classes sum to 0.

    Args:
        settings: its likelihood has the classes.
        k: columns, the intercept counted.
        smooth: whether there is no l1.
    """
    return k * int(np.prod([num_classes - smooth for num_classes in settings.likelihood.classes], dtype=int))


def usual_room(m: int, k: int, has_l2: bool, num_classes: int = 1) -> int:
    """How many columns to solve for at once.

    As many as there are rows and an eighth more without l2, where no more coefficients than rows need to differ from 0, an
    eighth less with it. From 48 (64 with l2) to 1,024, or all where they are no more than twice that; what needs few of them is
    solved in a smaller room (`jaxlr.solvers.working_set`). Several classes share a set of 256.

    Args:
        m: rows.
        k: columns of the design, the intercept counted.
        has_l2: whether there may be a squared penalty beside the absolute one.
        num_classes: 1 for the binary model.
    """
    size = min(max(m - m // 8, 64) if has_l2 else max(m + m // 8, 48), 1024) if num_classes == 1 else 256
    return k if k <= 2 * size else size


def products_fit(m: int, k: int, num_designs: int, itemsize: int) -> bool:
    """Whether the products of all pairs of columns stand in memory, up to 1 GiB.

    Args:
        m, k: rows, and columns with the intercept.
        num_designs: side by side.
        itemsize: bytes of a number.
    """
    return num_designs * m * k * (k + 1) // 2 * itemsize <= _PRODUCTS_BYTES


def stay_in_cache(m: int, n: int, itemsize: int) -> bool:
    """Whether designs come one after the other: on CPU, those so large that side by side each step would stream them from
    memory, while one alone stays near the cores."""
    return jax.default_backend() == "cpu" and m * n * itemsize >= _CACHE


def is_path(strengths: int, others: int, solver: str) -> bool:
    """Whether the last axis of a batch is long enough for a path, and strengths alone vary along it.

    Args:
        strengths: length of that axis of l1, l2 or l1_group.
        others: the same of everything else.
        solver: that was chosen or asked for.
    """
    shortest = 2 if solver == "newton_cg" else _SHORTEST_PATH  # different penalties ask for different preconditioners
    return strengths >= shortest and others == 1


def is_large(X: Any, fit_intercept: bool, has_l2: bool) -> bool:
    """Whether a design is worth the road of `jaxlr.batching.large`: large, many rows for each column, centered well enough to
    be used as it is, and without an l2 no column near the span of the others."""
    m, n = X.shape
    if X.nbytes < _LARGE or m < 2 * ROWS_PER_COLUMN * (n + 1) or X.dtype.kind != "f":
        return False
    some = np.asarray(X[:: max(1, m // _LOOKED_AT)], float)
    far, sd = np.abs(some.mean(axis=0)) if fit_intercept else np.zeros(n), some.std(axis=0)
    # Products without the difference X - center lose the digits of far / sd.
    if not np.all(far < jnp.finfo(X.dtype).eps ** -0.125 * sd):
        return False
    return has_l2 or bool(least_pivot(weighted(some / sd, None, fit_intercept)[2]) > nearest(X.dtype, X.shape[1]))
