"""Rows of which something is asked of a fit, its own or new ones, in the working columns of each model."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlr.inference.fitted import Fitted
from jaxlr.inputs.checks import Data, real_array
from jaxlr.inputs.sparse import is_sparse, sparse_design, to_dense
from jaxlr.inputs.tables import DesignData, in_order
from jaxlr.linalg.dot import dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


class Rows(NamedTuple):
    """Rows of a design.

    Attributes:
        X: (..., r, n).
        offset: of their logits (..., r), of K classes (..., r, K); None is 0.
    """

    X: Any
    offset: Any


def checked_rows(fit: Fit, problem: Problem, X: DesignData | None, offset: Data | None, name: str = "X") -> Rows | None:
    """New rows as arrays of the dtype of the fit, None for those of the problem.

    Raises:
        TypeError: no real numbers.
        ValueError: shapes that do not go with the fit, an offset without rows, or rows without one that the fit has.
    """
    if X is None:
        if offset is not None:
            raise ValueError(
                "expected an offset with X only, got one without, and the rows of the problem have that of the problem; leave "
                "it out"
            )
        return None
    classes = likelihood_of_params(fit.params).classes
    dtype, batch, n = jnp.asarray(fit.params.coef).dtype, np.shape(fit.status), np.shape(fit.params.coef)[-1]
    X = X if fit.names is None else in_order(X, fit.names)
    given_rows: Any = X
    rows = to_dense(sparse_design(given_rows)) if is_sparse(given_rows) else real_array(name, given_rows)
    if rows.ndim < 2 or rows.shape[-1] != n:
        hint = "; one row is a matrix of one row, X[None]" if rows.shape == (n,) else ""
        raise ValueError(f"expected {name} (r, {n}), the columns of the fit, got shape {rows.shape}{hint}")
    if (offset is None) != (problem.offset is None):
        there, what = ("with", "none") if offset is None else ("without", "one")
        raise ValueError(f"expected an offset of {name} where the fit has one: the fit is {there} offset, got {what}")
    given = Rows(jnp.asarray(rows, dtype), None)
    if offset is not None:
        moved = real_array("offset", offset)
        own = moved.shape[max(0, moved.ndim - 1 - len(classes)) :]
        if own != (rows.shape[-2], *classes):
            raise ValueError(
                f"expected offset (..., {', '.join(map(str, (rows.shape[-2], *classes)))}), got {moved.shape}; one number a row"
            )
        given = given._replace(offset=jnp.asarray(moved, dtype))
    for what, value, core in ((name, given.X, 2), ("offset", given.offset, 1 + len(classes))):
        lead = () if value is None else value.shape[: value.ndim - core]
        if len(lead) > len(batch) or any(size not in (1, whole) for size, whole in zip(lead[::-1], batch[::-1], strict=False)):
            raise ValueError(
                f"expected batch axes of {what} that broadcast to those of the fit, {batch}, got {lead}; rows that all models "
                "share have none"
            )
    return given


def coordinates(model: Fitted, X: Float[Array, "r n"]) -> tuple[Float[Array, "r k"], Bool[Array, " r"]]:
    """Rows in the working columns of a model, and whether its data determine their logits: those of a row that breaks a
    dependence among the columns of the fit they do not (Searle, Linear Models, 1971, section 5.4)."""
    working, n = model.working, len(model.working.unit)
    centered = X - working.center[None, :]
    rows = dot(centered, model.back[:n])
    if model.system.A.shape[1] > n:
        rows = rows + jnp.eye(n + 1, dtype=rows.dtype)[n][None, :]
    if working.basis is None or model.weights is None:
        return rows, jnp.ones(len(X), bool)

    def free(of_columns: Array) -> Array:
        return jnp.take(of_columns, working.free, axis=-1, mode="fill", fill_value=0)

    dependent, weights = working.basis.dependent[None, :], model.weights
    own, origin = free(centered / working.unit[None, :]), free(jnp.abs(working.center / working.unit))
    rest, size = own - dot(own, weights.T), jnp.abs(own) + origin[None, :]
    most = jnp.finfo(rows.dtype).eps ** 0.6 * (size + dot(size, jnp.abs(weights).T))
    return rows, jnp.all(~dependent | (jnp.abs(rest) <= most), axis=1)
