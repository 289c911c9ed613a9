"""The axes of a batch: those of designs, lanes that share a design, and a path of penalties; split for the solvers, and joined.

An axis of X is an axis of designs, each prepared once. The last axis, where nothing but l1, l2 and l1_group vary along it, is a
path, and is followed from strong to weak. All other axes are lanes: models side by side, in matrix products that they share.

    (*batch, *core)    ->    (D, L, P, *core)    ->    (*batch, *core)

A leaf that does not vary along the designs or the lanes has no such axis: it is shared along it and never copied.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.batching.lanes import Models
from jaxlr.batching.path import Strengths
from jaxlr.batching.strategy import is_path
from jaxlr.inputs.checks import core_axes
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.likelihood import Likelihood
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.problem import Problem
from jaxlr.solvers.measured import Columns


@dataclass(frozen=True)
class Core:
    """What a leaf is for one model, behind the axes of the batch.

    Attributes:
        axes: a letter each, such as "mn": m rows, n columns, c classes.
        strength: whether it is a strength, that varies along a path.
        dtype: None is that of the batch.
        filler: of further rows and columns that change no answer.
    """

    axes: str
    strength: bool = False
    dtype: Any = None
    filler: int = 0

    def lead(self, value: Any) -> tuple[int, ...]:
        """The batch axes of such a leaf (..., *axes)."""
        return value.shape[: value.ndim - len(self.axes)]


@functools.cache
def cores_of(likelihood: Likelihood, fit_intercept: bool) -> Models:
    """Models with a Core in the place of each leaf."""
    named = core_axes(*likelihood.classes, soft=isinstance(likelihood, Multinomial) and likelihood.soft)
    cores = {name: Core(axes, strength=name in Strengths._fields) for name, axes in named.items()}
    cores["penalty_factor"] = Core("n", filler=1)  # so that columns of zeros have a penalty wherever the others have
    cores["groups"] = Core("n", dtype=np.int32, filler=-1)  # of their own
    start = likelihood.params_type(cores.pop("coef"), cores.pop("intercept"))
    problem = Problem(**cores, fit_intercept=fit_intercept)
    columns = Columns(center=Core("n"), unit=Core("n", filler=1), location=Core("n"), scale=Core("n", filler=1))
    return Models(problem=problem, start=start, present=Core("m", dtype=bool), deviation=Core("n"), columns=columns)


def map_leaves(function: Callable[..., Any], cores: Any, *trees: Any) -> Any:
    """`jax.tree.map` over cores and trees of the same structure, where the first tree may have None, which stays, for a leaf; a
    sparse design is one.

    Args:
        function: of a core and the leaves in its place.
        cores: a pytree of Core.
        *trees: arrays, or None where the first has None.
    """

    def of_leaf(leaf: Any, core: Any, *others: Any) -> Any:
        return None if leaf is None else function(core, leaf, *others)

    return jax.tree.map(of_leaf, trees[0], cores, *trees[1:], is_leaf=lambda leaf: leaf is None or isinstance(leaf, Sparse))


def member_of(tree: Any, cores: Any, batch: tuple[int, ...], member: tuple[Array, ...]) -> Any:
    """What belongs to one model of a batch, by its index along each axis; what does not vary along one is not copied along it.

    Args:
        tree: Models, or another tree.
        cores: a Core for each leaf.
    """

    def own(core: Core, value: Array) -> Array:
        lead = core.lead(value)
        places = member[len(batch) - len(lead) :]
        return value[tuple(place if size > 1 else 0 for place, size in zip(places, lead, strict=True))]

    return map_leaves(own, cores, tree)


class Axes(NamedTuple):
    """Which axis of a batch is what.

    Attributes:
        batch: its shape.
        designs: axes along which X varies.
        lanes: all others but the path.
        path: the last axis, or nothing.
    """

    batch: tuple[int, ...]
    designs: tuple[int, ...]
    lanes: tuple[int, ...]
    path: tuple[int, ...]

    def sizes(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of some axes of the batch."""
        return tuple(self.batch[axis] for axis in axes)

    @property
    def num_lanes(self) -> int:
        """L, 1 without lanes."""
        return math.prod(self.sizes(self.lanes))

    def along(self, value: Any, core: Core, axes: tuple[int, ...]) -> bool:
        """Whether a leaf varies along any of these axes of the batch, of which its own are the last."""
        lead = core.lead(value)
        return any(axis >= 0 and lead[axis] > 1 for axis in (axis - len(self.batch) + len(lead) for axis in axes))

    def split(self, value: Any, core: Core) -> Any:
        """A leaf with the axes (D, L, P, *core), without D or L where it does not vary along them; strengths alone have P."""
        if isinstance(value, Sparse):
            return value
        lead, own = core.lead(value), value.shape[len(core.lead(value)) :]
        sizes = (1,) * (len(self.batch) - len(lead)) + lead
        groups = [axes for axes in (self.designs, self.lanes) if any(sizes[axis] > 1 for axis in axes)]
        kept = [axis for axes in groups for axis in axes] + list(self.path)
        rest = [axis for axis in range(len(self.batch)) if axis not in kept]
        value = jnp.moveaxis(value.reshape(*sizes, *own), rest + kept, range(len(self.batch)))
        path = tuple(sizes[axis] for axis in self.path) if core.strength else ()
        full = [size for axes in groups for size in self.sizes(axes)]
        value = jnp.broadcast_to(value.reshape(value.shape[len(rest) :]), (*full, *sizes[len(sizes) - len(self.path) :], *own))
        return value.reshape(*(math.prod(self.sizes(axes)) for axes in groups), *path, *own)

    def join(self, value: Array) -> Array:
        """A result (D, L, P, *core), without D or P where there are no designs or no path, with the axes of the batch."""
        order = self.designs + self.lanes + self.path
        core = value.shape[bool(self.designs) + 1 + bool(self.path) :]
        return jnp.moveaxis(value.reshape(*self.sizes(order), *core), range(len(order)), order)


class Split(NamedTuple):
    """Models with split axes.

    Attributes:
        models: with the axes (D, L, P, *core).
        designs: the in_axes of the designs: 0 or None for every leaf.
        lanes: those of the lanes of one design.
    """

    models: Models
    designs: Models
    lanes: Models


def axes_of(models: Models, cores: Models, batch: tuple[int, ...], solver: str) -> Axes:
    """What each axis of a batch is: of designs, of lanes, or the path.

    Args:
        models: every leaf with its batch axes in front (..., *core).
        cores: of the leaves.
        batch: shape to which all batch axes broadcast.
        solver: static.
    """
    every = range(len(batch))
    path = (len(batch) - 1,) if has_path(models, cores, solver) else ()
    of_X = cores.problem.X.lead(models.problem.X)
    designs = tuple(axis for axis in every if axis >= len(batch) - len(of_X) and of_X[axis - len(batch)] > 1)
    return Axes(batch, designs, tuple(axis for axis in every if axis not in designs + path), path)


def has_path(models: Models, cores: Models, solver: str) -> bool:
    """Whether the last axis of a batch is a path for this solver; models and cores as in `axes_of`."""

    def longest(models: Models) -> int:
        return max(jax.tree.leaves(map_leaves(lambda core, leaf: (1, *core.lead(leaf))[-1], cores, models)))

    strengths = [getattr(models.problem, name) for name in Strengths._fields]
    others = replace(models, problem=replace(models.problem, **dict.fromkeys(Strengths._fields)))
    return is_path(max((1, *np.shape(strength))[-1] for strength in strengths), longest(others), solver)


def split(models: Models, cores: Models, axes: Axes) -> Split:
    """Models with split axes."""

    def along(which: tuple[int, ...]) -> Models:
        return map_leaves(lambda core, leaf: 0 if axes.along(leaf, core, which) else None, cores, models)

    arranged = map_leaves(lambda core, leaf: axes.split(leaf, core), cores, models)
    return Split(arranged, along(axes.designs), along(axes.lanes))
