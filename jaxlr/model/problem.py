"""One problem: its data and penalties, and what follows from these alone."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.inputs.checks import core_axes
from jaxlr.inputs.tables import check_aligned
from jaxlr.linalg.dot import AnyArray, aligned
from jaxlr.linalg.operators import Design, as_design
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.bounds import Bounded
from jaxlr.model.groups import AnyPenalty, Grouped
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.norms import Groups, as_groups, largest, sums
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.penalty import Penalty
from jaxlr.model.strata import Strata, centered, strata_of


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """Data and penalties of one logistic regression: a pytree, without validation (`jaxlr.fit` checks).

    Attributes:
        X: design (m, n); its floating dtype is that of everything else.
        y: labels (m,), 0/1 of any dtype, or soft labels in [0, 1], such as successes / trials with sample_weight = trials; for
            `SoftmaxParams` the labels 0..K-1, or probabilities of the classes (m, K).
        sample_weight: (m,) >= 0; None is 1. A weight k means the row k times, a weight 0 that the row is not there.
        offset: (m,), added to the logits, for `SoftmaxParams` (m, K); None is 0.
        l1: strength of the absolute penalty, () or one per column (n,), >= 0, on the scale of the mean loss.
        l2: strength of the squared penalty, () or one per column (n,), >= 0, on the scale of the mean loss.
        penalty_factor: (n,) >= 0, multiplies both strengths, inf holds a coefficient at 0 whatever they are; None is 1.
        fit_intercept: static; without it the intercept of the parameters is ignored.
        lower: bounds of the coefficients (n,), of every class alike, -inf for none; None is none.
        upper: likewise, inf for none.
        l1_group: strength of the norms of groups (), >= 0, on the scale of the mean loss; None is none.
        groups: integers (n,), the same for columns that are together; their penalty_factor is one number, or their penalty NaN.
            Without l1_group they count for nothing.
        strata: labels (m,) of any kind, known outside jit, the same for rows of a matched set: the likelihood is then the
            conditional one (`jaxlr.fit_conditional`), of hard labels, weights that are 0 or the same within a stratum, and
            no intercept, so that fit_intercept is False (in in_axes it has to be given). Of `Params` alone.

    Example:
        A batch maps over the fields that differ, here over four l2:

        >>> import jax, numpy as np
        >>> from jaxlr import loss
        >>> X, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
        >>> problems = Problem(X, y, l2=np.ones(4, np.float32))
        >>> axes = Problem(X=None, y=None, l1=None, l2=0)
        >>> start = Params(np.zeros(3, np.float32), np.zeros((), np.float32))
        >>> jax.vmap(loss, in_axes=(None, axes))(start, problems).shape
        (4,)
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    X: Any
    y: Any
    sample_weight: Any = None
    offset: Any = None
    l1: Any = 0.0
    l2: Any = 0.0
    penalty_factor: Any = None
    fit_intercept: bool = field(default=True, metadata={"static": True})
    lower: Any = None
    upper: Any = None
    l1_group: Any = None
    groups: Any = None
    strata: Any = None

    def __post_init__(self) -> None:
        if self.strata is not None:
            if not isinstance(self.strata, Strata):
                rows = {"X": self.X, "y": self.y, "sample_weight": self.sample_weight, "offset": self.offset}
                check_aligned(rows | {"strata": self.strata}, core_axes() | {"strata": "m"})
                object.__setattr__(self, "strata", strata_of(self.strata))
            object.__setattr__(self, "fit_intercept", False)


def design(problem: Problem) -> Design | Sparse:
    """X (m, n) as a design: its dtype is the problem's."""
    return as_design(problem.X)


def dtype_of(problem: Problem) -> jnp.dtype:
    """The floating dtype that everything computed from the problem has."""
    return design(problem).dtype


def check_one(params: Params | SoftmaxParams, problem: Problem) -> None:
    """Refuse parameters and rows that are not those of ONE problem: a column (m, 1) or a batch would broadcast, to something
    else."""
    classes = likelihood_of_params(params).classes
    if problem.strata is not None and classes:
        raise TypeError(
            f"expected jaxlr.Params of a problem with strata, got {type(params).__name__}; it has one coefficient a column"
        )
    X = problem.X if hasattr(problem.X, "shape") else np.asarray(problem.X)
    m, n = shape = (*X.shape[-2:], 1, 1)[:2]
    allowed = {"X": (X, [shape]), "y": (problem.y, [(m,), *[(m, K) for K in classes]])}
    allowed |= {"sample_weight": (problem.sample_weight, [(m,)]), "offset": (problem.offset, [(m, *classes)])}
    allowed |= {"coef": (params.coef, [(*classes, n)]), "intercept": (params.intercept, [classes])}
    for name, (value, shapes) in allowed.items():
        got = X.shape if name == "X" else np.shape(value)
        if value is not None and got not in shapes:
            wanted = " or ".join(map(str, shapes))
            raise ValueError(
                f"expected {name} {wanted} of one problem with X {X.shape}, got shape {got}; np.ravel takes a column, jax.vmap "
                "a batch"
            )


def within_strata(problem: Problem) -> Problem:
    """A problem with strata, its columns about their means within them, over the rows that have weight."""
    present = None if problem.sample_weight is None else jnp.asarray(problem.sample_weight) != 0
    return replace(problem, X=centered(design(problem).to_array(), problem.strata, present))


def row_weights(problem: Problem) -> Float[Array, " m"]:
    """The weights of the mean, w = s / sum(s); NaN where no row has weight."""
    X = design(problem)
    if problem.sample_weight is None:
        return jnp.full(X.shape[0], 1 / X.shape[0], X.dtype)
    return summing_to_1(jnp.asarray(problem.sample_weight, X.dtype))


def summing_to_1(s: Float[AnyArray, "... m"]) -> Float[AnyArray, "... m"]:
    """Weights over their sum, in arrays of NumPy or JAX: divided by the largest first, so that no sum overflows."""
    xp = s.__array_namespace__()
    most = xp.max(s, axis=-1, keepdims=True)
    unit = xp.where(most > 1, 0.25, 1).astype(s.dtype)  # XLA multiplies by 1 / most, which may be a subnormal: then 0
    s = (s * unit) / (most * unit)
    return s / xp.sum(s, axis=-1, keepdims=True)


def weight_sum(problem: Problem) -> Float[Array, "..."]:
    """sum(s): how many rows there are, a weight k counting k times, of one problem or with batch axes in front."""
    X = design(problem)
    if problem.sample_weight is None:
        return jnp.asarray(X.shape[-2], X.dtype)
    return jnp.sum(jnp.asarray(problem.sample_weight, X.dtype), axis=-1)


def penalty_of(problem: Problem) -> AnyPenalty:
    """The penalty of every column, penalty factors multiplied in, with that of the groups; l1=None is 0."""
    X = design(problem)
    factor, held = jnp.ones((), X.dtype), None
    if problem.penalty_factor is not None:
        factor, held = finite_factor(jnp.asarray(problem.penalty_factor, X.dtype))
    given = (0.0 if problem.l1 is None else problem.l1, problem.l2)
    strengths = (factor * jnp.asarray(strength, X.dtype) for strength in given)
    penalty = Penalty(*(jnp.broadcast_to(strength, X.shape[1:]) for strength in strengths))
    if held is not None:
        penalty = penalty._replace(l1=jnp.where(held, jnp.inf, penalty.l1))
    bounds = bounds_of(problem, X.shape[1], X.dtype)
    by_column = penalty if bounds is None else Bounded(*penalty, *bounds)
    if problem.l1_group is None:
        return by_column
    if problem.groups is None:
        raise ValueError("expected groups (n,) of a problem with l1_group, got None; np.arange(n) puts each alone")
    groups = as_groups(problem.groups, X.dtype)
    return Grouped(by_column, strengths_of_groups(problem, groups), groups.weights, groups.number)


def finite_factor(factor: Float[Array, "... n"]) -> tuple[Float[Array, "... n"], Bool[Array, "... n"]]:
    """The penalty factors without those that are infinite, which hold a coefficient at 0; and which these are."""
    held = jnp.isposinf(factor)
    return jnp.where(held, 0, factor), held


def strengths_of_groups(problem: Problem, groups: Groups) -> Float[Array, " n"]:
    """lambda of each column's group: l1_group times the root of its size, and the penalty factor of its columns.

    Args:
        problem: with l1_group.
        groups: of its columns.
    """
    strength = jnp.asarray(problem.l1_group, groups.weights.dtype) * groups.multiplier
    if problem.penalty_factor is None:
        return strength
    factor, _ = finite_factor(jnp.asarray(problem.penalty_factor, strength.dtype))
    mean = sums(factor, groups.number) / sums(jnp.ones_like(factor), groups.number)
    same = largest(factor, groups.number) == -largest(-factor, groups.number)
    return strength * jnp.where(same, mean, jnp.nan)  # outside jit the checks refuse the others


def bounds_of(problem: Problem, n: int, dtype: jnp.dtype) -> tuple[Float[Array, " n"], Float[Array, " n"]] | None:
    """The lower and the upper bound of every column; None where there are none at all."""
    if problem.lower is None and problem.upper is None:
        return None
    lower, upper = (-jnp.inf if problem.lower is None else problem.lower, jnp.inf if problem.upper is None else problem.upper)
    return jnp.broadcast_to(jnp.asarray(lower, dtype), (n,)), jnp.broadcast_to(jnp.asarray(upper, dtype), (n,))


def problem_logits(params: Params | SoftmaxParams, problem: Problem) -> Float[Array, "*K m"]:
    """The logits of the problem's rows, the classes in front; only the offset in rows of weight 0, where finite fillers may
    overflow."""
    z = linear_change(params, problem)
    return z if problem.offset is None else z + jnp.asarray(problem.offset, z.dtype).T


def linear_change(params: Params | SoftmaxParams, problem: Problem) -> Float[Array, "*K m"]:
    """What parameters add to the logits of the rows that have weight; 0 in the others. The intercept counts only where it is
    fitted."""
    X = design(problem)
    z = X.times(jnp.asarray(params.coef, X.dtype))
    if problem.fit_intercept:
        z = z + jnp.asarray(params.intercept, X.dtype)[..., None]
    if problem.sample_weight is None:
        return z
    return jnp.where(aligned(jnp.asarray(problem.sample_weight), z) > 0, z, 0)
