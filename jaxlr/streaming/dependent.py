"""Columns without a penalty that depend on those before them: left out, as `jaxlr.fit` does, so that their coefficient is 0.

What depends in all rows depends in the sampled ones, where a basis shows it (`jaxlr.linalg.basis`),

    A_j = sum_{k < j} w_jk A_k + c_j

to rounding. A pass of its own asks that of every row that has weight, up to 64 eps of the sum of the sizes of these terms, eps
that of the blocks. Where all agree the column is read no more. Its gradient is that of the others, u_j = sum_k w_jk u_k, and
so its KKT residual at most sum_k |w_jk| times theirs, in the units of the first pass.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import dtype_of_design
from jaxlr.inputs.sparse import rounded_up
from jaxlr.linalg.basis import Basis, least_pivot, nearest, orthonormal, weighted
from jaxlr.streaming.blocks import Rows
from jaxlr.streaming.fields import Kind
from jaxlr.streaming.first import First
from jaxlr.streaming.models import Batch
from jaxlr.streaming.processes import everyone, of_first, together

_PER_COLUMN = 4  # rows of the sample, at least: they tell
_MOST = 2**23  # numbers looked at


class Relations(NamedTuple):
    """Of the f columns at (f,) without a penalty: which may depend on those before them (f,), and of which these consist, w
    (f, f) and c (f,) in working units; rows of others are 0."""

    at: np.ndarray
    dependent: np.ndarray
    w: np.ndarray
    c: np.ndarray

    def of(self, which: np.ndarray) -> "Relations":
        """Those of some of these columns (f,) alone."""
        return Relations(self.at, self.dependent & which, np.where(which[:, None], self.w, 0), np.where(which, self.c, 0))

    @property
    def growth(self) -> float:
        """How many times the KKT residual of the others that of a dependent column may be, at least 1."""
        return float(max(1, np.max(np.sum(np.abs(self.w), axis=1), initial=0)))


def independent(
    first: First,
    center: np.ndarray,
    unit: np.ndarray,
    batch: Batch,
    fit_intercept: bool,
    rows: Callable[[], Iterable[Rows]],
    kind: Kind | None,
) -> tuple[np.ndarray | None, float]:
    """The columns (n,) without those that have no penalty and depend on others, None for all, and `Relations.growth`. Where
    there may be some it takes a pass, and a warning names them.

    Args:
        first: what the first pass found, with origin and unit of the columns (n,).
        batch: the models.
        rows: begins a pass.
        kind: of the blocks.
    """
    free = unpenalized(batch, len(center))
    if not free.any():
        return None, 1.0
    # The sample is the same in all processes, and what the first of them makes of it counts.
    found = of_first(relations_of(first, center, unit, free, fit_intercept))
    if not found.dependent.any():
        return None, 1.0
    off = together(lambda: farthest_off(rows(), found, center, unit))
    relations = found.of(np.max(everyone(off), axis=0) <= _tolerance(first.sample["X"].dtype))
    left_out = relations.at[relations.dependent]
    if not len(left_out):
        return None, 1.0
    names = left_out if kind is None or kind.names is None else [kind.names[column] for column in left_out]
    of, is_in, its = (
        ("column", "is", "its coefficient is") if len(left_out) == 1 else ("columns", "are", "their coefficients are")
    )
    warnings.warn(
        f"the {of} {', '.join(map(str, names))} {is_in} in the span of those before, without a penalty: {its} 0, as in "
        "jaxlr.fit; leave one level of each category out, or give them an l2",
        stacklevel=5,
    )
    return ~np.isin(np.arange(len(center)), left_out), relations.growth


def unpenalized(batch: Batch, n: int) -> np.ndarray:
    """Which columns no model penalizes or holds at 0 (n,); with other bounds none, which belong to columns and to no
    combination."""
    fields, none = batch.fields, np.full((1, n), np.inf)
    lower, upper = fields.get("lower", -none), fields.get("upper", none)
    held = (lower == 0) & (upper == 0)
    if np.any((np.isfinite(lower) | np.isfinite(upper)) & ~held):
        return np.zeros(n, bool)
    strength = fields["l1"] + fields["l2"]
    free = (strength[:, None] == 0) | (fields.get("penalty_factor", np.ones((1, n))) == 0)
    return np.all(free & ~held, axis=0)


def relations_of(first: First, center: np.ndarray, unit: np.ndarray, free: np.ndarray, fit_intercept: bool) -> Relations:
    """The relations of the sampled rows; none where these show none, or are too few.

    Args:
        center, unit: of the columns (n,).
        free: which of them have no penalty (n,).
    """
    X, s, (at,) = first.sample["X"], first.sample.get("sample_weight"), np.nonzero(free)
    X, f = X if s is None else X[(s > 0).any(axis=0)], len(at)
    none = Relations(at, np.zeros(f, bool), np.zeros((f, f)), np.zeros(f))
    if len(X) < _PER_COLUMN * f:
        return none
    X, dtype = X[:: -(-len(X) * f // _MOST)], dtype_of_design(X.dtype)
    A = ((X[:, at].astype(np.float64) - center[at]) / unit[at]).astype(dtype)
    if least_pivot(weighted(A, None, fit_intercept)[2]) > nearest(dtype, f):
        return none
    size = rounded_up(len(A), 4)  # few sizes, which share programs
    filled, present = np.pad(A, ((0, size - len(A)), (0, 0))), np.arange(size) < len(A)
    basis = _basis(filled, present, (center / unit)[at].astype(dtype), fit_intercept)
    dependent, w, mean = (np.asarray(part) for part in (basis.dependent, basis.weights, basis.mean))
    w = np.where(np.abs(w) > _tolerance(dtype), w, 0).astype(np.float64)
    return Relations(at, dependent, w, np.where(dependent, mean - w @ mean, 0).astype(np.float64))


def farthest_off(blocks: Iterable[Rows], relations: Relations, center: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """By how much the rows of a pass that have weight are off the relations, at most (f,), as a share of the sizes of their
    terms."""
    at, D = relations.at, np.eye(len(relations.at)) - relations.w
    origin, most = np.abs(center / unit)[at], np.zeros(len(at))
    for block in blocks:
        fields = block.fields
        present = np.arange(len(fields["X"])) < block.size
        present &= (fields["sample_weight"] > 0).any(axis=0) if "sample_weight" in fields else True
        A = (fields["X"][present][:, at].astype(np.float64) - center[at]) / unit[at]
        sizes = (np.abs(A) + origin) @ np.abs(D).T
        off = np.where(relations.dependent, np.abs(A @ D.T - relations.c), 0)
        most = np.maximum(most, np.max(np.where(off > 0, off / np.where(sizes > 0, sizes, 1), 0), axis=0, initial=0))
    return most


def _tolerance(dtype: Any) -> float:
    """What rounding of blocks of a dtype leaves of a relation that holds, as a share of the sizes of its terms."""
    return 64 * float(jnp.finfo(dtype_of_design(dtype)).eps)


@program("fit_intercept")
def _basis(A: Any, present: Any, origin: Any, fit_intercept: bool) -> Basis:
    return orthonormal(A, present, origin, fit_intercept)
