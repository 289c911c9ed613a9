"""The one program of a batch: designs outside, then the lanes that share a design, then a path of penalties."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlr.batching.axes import axes_of, cores_of, map_leaves, split
from jaxlr.batching.lanes import Models, fit_design
from jaxlr.batching.large import fit_large
from jaxlr.batching.loops import loop
from jaxlr.batching.wide import fit_wide
from jaxlr.compilation.program import program
from jaxlr.linalg.dot import AnyArray
from jaxlr.linalg.moments import column_moments
from jaxlr.linalg.sparse import Sparse
from jaxlr.model.problem import Problem, summing_to_1
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings

_MOST_DIGITS = 0.25  # of the variance in the mean square: one bit of a deviation is lost
_FEW = 0.02  # rows times eps: products, whose terms are added one after the other, lose no more digits up to there


@program("batch", "settings")
def fit_batch(models: Models, tol: Array, batch: tuple[int, ...], settings: Settings) -> Fit:
    """Fit every member of a batch in one program: Fit, the batch shape in front.

    Args:
        models: every leaf with its batch axes in front (..., *core); `present` (..., m), `deviation` and `columns` where they
            are known already.
        tol: on the KKT residual, ().
        batch: static; shape to which all batch axes broadcast.
        settings: static.
    """
    cores = cores_of(settings.likelihood, settings.fit_intercept)
    if settings.large:
        one = map_leaves(lambda core, leaf: leaf.reshape(leaf.shape[len(core.lead(leaf)) :]), cores, models)
        return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape), fit_large(one.problem, tol, settings))
    if models.present is None and models.problem.sample_weight is not None:
        models = replace(models, present=rows_with_weight(models.problem.X, models.problem.sample_weight))
    if settings.standardize and models.deviation is None:
        models = replace(models, deviation=_deviations(models.problem))
    axes = axes_of(models, cores, batch, settings.solver)
    arranged = split(models, cores, axes)
    mapped = functools.partial(
        fit_wide if settings.wide else fit_design,
        axes=arranged.lanes,
        num_lanes=axes.num_lanes,
        has_path=bool(axes.path),
        tol=tol,
        settings=settings,
    )
    if axes.designs:
        mapped = (loop if settings.one_by_one else jax.vmap)(mapped, in_axes=(arranged.designs,))
    return jax.tree.map(axes.join, mapped(arranged.models))


def _deviations(problem: Problem) -> Float[Array, "... n"]:
    """Standard deviation of every column under every row of weights, with the batch axes of X and weights."""
    X, s = jax.lax.stop_gradient((problem.X, problem.sample_weight))
    w = summing_to_1(jnp.ones(X.shape[:-1], X.dtype) if s is None else s)
    if isinstance(X, Sparse):
        least = _MOST_DIGITS if X.shape[0] * float(jnp.finfo(X.dtype).eps) < _FEW else float("inf")
        return X.moments_of_lanes(w.reshape(-1, w.shape[-1]), least)[1].reshape(*w.shape[:-1], X.shape[1])
    rank = max(X.ndim - 2, w.ndim - 1)
    X, w = (a.reshape((1,) * (rank + core - a.ndim) + a.shape) for a, core in ((X, 2), (w, 1)))
    return column_moments(X, w)[1]


def rows_with_weight(X: Any, s: Float[AnyArray, "... m"]) -> Bool[AnyArray, "... m"]:
    """Rows that have weight in some model of their design, with the batch axes of X; in arrays of NumPy or JAX."""
    xp = s.__array_namespace__()
    s = xp.where(xp.isinf(s), 0, s)
    # A member that became NaN throughout had weight somewhere: without it the others would be computed otherwise.
    s = xp.where(xp.isnan(s), xp.all(~(s > 0), axis=-1, keepdims=True).astype(s.dtype), s)
    s = s.reshape((1,) * (X.ndim - 1 - s.ndim) + s.shape)
    batch_of_X = (1,) * (s.ndim + 1 - X.ndim) + X.shape[:-2]
    shared = tuple(axis for axis, size in enumerate(batch_of_X) if size == 1)
    return xp.max(s, axis=shared, keepdims=True) > 0


def rows_of_design(X: Any, s: Float[AnyArray, "... m"]) -> Bool[AnyArray, "... m"]:
    """The same without the axes in front that X does not have."""
    present = rows_with_weight(X, s)
    return present.reshape(present.shape[present.ndim - X.ndim + 1 :])
