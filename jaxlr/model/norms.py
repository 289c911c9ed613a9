"""Groups of columns, each known by the number of its group in 0..k-1, and the norms of their coefficients."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from jaxlr.linalg.dot import aligned


class Groups(NamedTuple):
    """Which columns are together.

    Attributes:
        number: of the group of each column (k,), in 0..k-1.
        multiplier: of the strengths (k,).
        weights: D (k,), > 0.
    """

    number: Array
    multiplier: Array
    weights: Array


def as_groups(groups: Any, dtype: jnp.dtype) -> Groups:
    """Groups of integers (k,), the same for columns that are together, with the roots of their sizes; Groups as they are.

    Args:
        groups: integers (k,), or Groups.
        dtype: of the numbers.

    Raises:
        TypeError: they are no integers.
    """
    if isinstance(groups, Groups):
        return groups
    groups = jnp.asarray(groups)
    if not jnp.issubdtype(groups.dtype, jnp.integer):
        raise TypeError(
            f"expected groups to be integers, got dtype {groups.dtype}; np.unique(groups, return_inverse=True)[1] numbers names"
        )
    number = jnp.unique(groups, return_inverse=True, size=len(groups))[1].astype(np.int32).reshape(groups.shape)
    ones = jnp.ones(groups.shape, dtype)
    return Groups(number, jnp.sqrt(sums(ones, number)), ones)


def sums(values: Float[Array, "k ..."], number: Int[Array, " k"]) -> Float[Array, "k ..."]:
    """For each column the sum over its group.

    Args:
        values: (k, ...), by column.
        number: of the group of each column, in 0..k-1.
    """
    return jax.ops.segment_sum(values, number, num_segments=len(number))[number]


def largest(values: Shaped[Array, " k"], number: Int[Array, " k"]) -> Shaped[Array, " k"]:
    """For each column the largest in its group.

    Args:
        values: (k,), by column.
        number: as in `sums`.
    """
    return jax.ops.segment_max(values, number, num_segments=len(number))[number]


def norms(y: Float[Array, "*K k"], number: Int[Array, " k"]) -> Float[Array, " k"]:
    """For each column the norm of its group over all classes, in units of the largest number, so that no square overflows;
    what is next to nothing beside that is 0.

    Args:
        y: (*K, k), the classes in front.
        number: as in `sums`.
    """
    y = y.reshape(math.prod(y.shape[:-1]), len(number))
    unit = jax.lax.stop_gradient(jnp.max(jnp.abs(y), initial=0))  # on which the norms do not depend
    scaled = y / jnp.where(unit > 0, unit, 1)
    squares = sums(jnp.sum(scaled * scaled, axis=0), number)
    return unit * jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)  # the root of 0 has no derivative


class NormCurvature(NamedTuple):
    """The second derivative of the norms, R (1 - y y') R for each group, y = D c / |D c|.

    Attributes:
        root: R, the root of lambda / |D c| times D, 0 where the group is 0, of the shape of c.
        direction: y, likewise.
        number: of the groups.
    """

    root: Array
    direction: Array
    number: Array

    def times(self, v: Float[Array, "*K k"]) -> Float[Array, "*K k"]:
        """The product with v."""
        w = self.root * v
        along = sums((self.direction * w).reshape(-1, len(self.number)).sum(axis=0), self.number)
        return self.root * (w - self.direction * aligned(along, v))

    def diagonal(self) -> Float[Array, "*K k"]:
        """Not below 0, whatever rounding."""
        return self.root * self.root * jnp.maximum(1 - self.direction**2, 0)

    def matrix(self) -> Float[Array, "parameters parameters"]:
        """Whole, class by class, and not indefinite, whatever rounding."""
        root, y = self.root.ravel(), self.direction.ravel()
        number = jnp.tile(self.number, len(y) // len(self.number))
        outer = jnp.where(number[:, None] == number[None, :], y[:, None] * y[None, :], 0)
        least = 1 + 8 * float(jnp.finfo(y.dtype).eps)
        return (jnp.diag(jnp.full_like(y, least)) - outer) * root[:, None] * root[None, :]
