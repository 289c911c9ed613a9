"""Buckets: data of similar size share a program, for compiling takes seconds where fitting takes milliseconds.

A design is filled up to one of few sizes, with rows of weight 0, which no sum counts, and columns of zeros, whose coefficients
are 0: the answer is the same to rounding. How coarse the sizes are depends on the predicted work

    models * m * n * min(m, n) * classes^2

of the filled problem, and never on what was called before: single small models have one of two sizes, of which the smaller
takes a fifth of the time of the other, and what takes longer than a compilation keeps its own. So does what has more columns
than rows, whose estimate without a penalty is that in the span of the rows.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlr.batching.axes import Core, cores_of, map_leaves
from jaxlr.batching.lanes import Models
from jaxlr.inputs.sparse import rounded_up
from jaxlr.inputs.tables import is_concrete
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import Likelihood

# Where filled problems have at most so much work, a unit of which takes 0.1 to 1 ns on one core.
_SINGLE, _SIMILAR, _ROUNDED = 2**22, 2**27, 2**31
_MOST_COPIED = 2**23  # bytes
_MOST_ENTRIES = 2**20


class Size(NamedTuple):
    """Rows and columns."""

    m: int
    n: int


_OF_ONE = Size(640, 32), Size(2048, 40)


def bucket(size: Size, models: int, classes: int, fill: str, entries: int = 0) -> Size:
    """The size that a problem is filled up to, along the axes in `fill`, "m" or "mn".

    Args:
        size: of the data.
        models: how many share the program.
        classes: 1, or K.
        entries: of a sparse design, whose programs know nothing of the columns but their number; 0 of an array.
    """

    def filled(rows: int, columns: int) -> Size:
        return Size(rows, columns if "n" in fill and size.n else size.n)

    def work(filled: Size) -> int:
        m, n = filled.m, filled.n + 1
        return models * m * n * min(m, n) * classes**2

    if entries:
        similar = Size(rounded_up(size.m, 16), rounded_up(size.n, 16))
        return similar if entries <= _MOST_ENTRIES else size
    if size.n > size.m:
        return size
    of_one = [filled(*to) for to in _OF_ONE]
    if work(of_one[-1]) <= _SINGLE:
        for to in of_one:
            if size.m <= to.m and size.n <= to.n:
                return to
    similar = filled(rounded_up(size.m, 4), -(-size.n // 8) * 8)
    if work(similar) <= _SIMILAR and similar.n <= similar.m:
        return similar
    rounded = Size(rounded_up(size.m, 32), size.n)
    return rounded if work(rounded) <= _ROUNDED else size


def is_here(models: Models) -> bool:
    """Whether all is known, and on the host or the first device."""
    here = {jax.local_devices()[0]}
    leaves = jax.tree.leaves(models)
    return all(is_concrete(leaf) and (not isinstance(leaf, jax.Array) or leaf.devices() == here) for leaf in leaves)


def fill(models: Models, cores: Models, to: Size) -> Models:
    """Models filled up to their bucket; where that is their size, or much would be copied, as they are.

    Args:
        models: NumPy or JAX arrays, their batch axes in front.
        cores: a Core in the place of each leaf.
        to: the size of the bucket.
    """
    problem = models.problem
    size = Size(*problem.X.shape[-2:])
    sparse = isinstance(problem.X, Sparse)
    if not sparse and (to == size or sum(leaf.nbytes for leaf in jax.tree.leaves(models)) > _MOST_COPIED):
        return models
    more = {"m": to.m - size.m, "n": to.n - size.n}

    def filled(core: Core, leaf: Any) -> Any:
        if isinstance(leaf, Sparse):
            return leaf if to == size else leaf.padded(*to, leaf.num_entries)
        after = [more.get(axis, 0) for axis in core.axes]
        if not any(after):
            return leaf
        own = leaf.shape[leaf.ndim - len(after) :]
        whole = np.full((*core.lead(leaf), *map(sum, zip(own, after, strict=True))), core.filler, leaf.dtype)
        whole[(..., *map(slice, own))] = leaf
        return whole

    if problem.sample_weight is None and to.m > size.m:
        models = replace(models, problem=replace(problem, sample_weight=np.ones(size.m, np.int8)))
    return map_leaves(filled, cores, models)


def filled_rows(models: Models, num_models: int, likelihood: Likelihood) -> Models:
    """Models of the data with their rows filled up to the bucket of so many models, where that is possible."""
    if not is_here(models):
        return models
    X = models.problem.X
    if isinstance(X, Sparse):
        return models
    to = bucket(Size(*X.shape[-2:]), num_models, math.prod(likelihood.classes), "m")
    return fill(models, cores_of(likelihood, models.problem.fit_intercept), to)
