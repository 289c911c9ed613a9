"""Is it a minimum? The certificates of jaxlr for the parameters that any solver handed back.

    KKT residual <= tol, and no direction without a penalty separates the classes

A small residual alone proves nothing where columns have no penalty: along a direction that separates the classes the gradient
vanishes at infinity, and every solver that stops at a small gradient stops somewhere on the way.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.inference.separation import separated_rows
from jaxlr.inputs.checks import checked
from jaxlr.model.certificates import duality_gap, kkt_residual, standard_units
from jaxlr.model.objective import gradient
from jaxlr.model.params import Parameters, Params, SoftmaxParams
from jaxlr.model.problem import Problem, bounds_of, penalty_of
from jaxlr.testing.fitted import params_from


class Certified(NamedTuple):
    """What `check_certified` found.

    Attributes:
        params: as they were read, float64.
        kkt: `jaxlr.kkt_residual`.
        gap: `jaxlr.duality_gap`, inf where it gives no bound.
    """

    params: Params | SoftmaxParams
    kkt: float
    gap: float


def check_certified(params: Any, problem: Problem, tol: float) -> Certified:
    """Whether parameters are the minimum of a problem, whatever found them: the KKT residual is at most tol, and, where columns
    or the intercept have no penalty, no direction of these separates the classes (by linear programming).

    All is computed in float64.

    Args:
        params: `jaxlr.Params`, `jaxlr.SoftmaxParams` or a `jaxlr.Fit` of one model; (coef, intercept) as arrays; a fitted
            classifier of scikit-learn; results of statsmodels.
        problem: the `jaxlr.Problem` that they should solve: scikit-learn's C is l2 = `jaxlr.l2_from_C` (C, sum of the weights).
            y may be the labels that a classifier of scikit-learn was given.
        tol: on the KKT residual.

    Returns:
        Certified: the parameters as they were read, their residual, and the bound on J - min J.

    Raises:
        AssertionError: numbers that are not finite, a residual over tol (where, how large, and C beside l2 where a classifier
            has one), or classes that can be separated: which columns do it.
        TypeError, ValueError: what came holds no parameters, or not of n columns; strata.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> X, y = np.array([[0.0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> problem = Problem(X, y, l2=0.25)  # C = 1, N = 4
        >>> model = LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(X, y)
        >>> check_certified(model, problem, 1e-10).gap < 1e-20
        True
        >>> check_certified((np.array([0.5]), np.array(-0.7)), problem, 1e-10)
        Traceback (most recent call last):
            ...
        AssertionError: check_certified: KKT residual 0.0..., allowed 1e-10; largest at ...
        >>> separated = Problem(X, np.array([0, 0, 1, 1]))
        >>> check_certified((np.array([60.0]), np.array(-90.0)), separated, 1e-10)
        Traceback (most recent call last):
            ...
        AssertionError: check_certified: no minimum exists, the classes can be separated (complete separation) by ...
    """
    if problem.strata is not None:
        raise ValueError(
            "expected a problem without strata, got one of matched sets: no linear program here says whether they are "
            "separated; jaxlr.fit_conditional certifies its own"
        )
    fitted = params
    with jax.enable_x64(True):
        problem = _in_float64(problem, getattr(fitted, "classes_", None))
        params = params_from(fitted, problem.X.shape[1])
        _check_separation(problem, params)
        leaves = [name for name, leaf in zip(params._fields, params, strict=True) if not np.all(np.isfinite(leaf))]
        assert not leaves, f"check_certified: {' and '.join(leaves)} not finite, {params}"
        kkt, gap = float(kkt_residual(params, problem)), float(duality_gap(params, problem))
        if not kkt <= tol:
            raise AssertionError(
                f"check_certified: KKT residual {kkt:.3g}, allowed {tol:.3g}; {_where(params, problem)}; "
                f"J - min J <= {gap:.3g}{_other_penalty(fitted, problem)}"
            )
    return Certified(params, kkt, gap)


def _in_float64(problem: Problem, classes: Any) -> Problem:
    """All numbers in float64, and labels that a classifier was given as 0, 1, ..."""
    X = checked({"X": problem.X})[0]["X"]  # also a table or a sparse matrix
    y = np.asarray(problem.y)
    if classes is not None and np.all(np.isin(y, classes)):
        y = np.searchsorted(classes, y)
    fields = ("sample_weight", "offset", "l1", "l2", "penalty_factor", "lower", "upper", "l1_group")
    given = {name: getattr(problem, name) for name in fields}
    wide = {name: None if value is None else np.asarray(value, float) for name, value in given.items()}
    return replace(problem, X=np.asarray(X, float), y=y.astype(float), **wide)


def _where(params: Parameters, problem: Problem) -> str:
    """The parameter whose condition is furthest from holding."""
    coef, g, (mean, sd) = jnp.asarray(params.coef), gradient(params, problem), standard_units(problem)
    of_columns = np.asarray(penalty_of(problem).violations(g.coef - mean * g.intercept[..., None], coef) / sd)
    of_intercepts = np.abs(np.asarray(g.intercept))
    if np.max(of_columns, initial=0) < np.max(of_intercepts):
        k = f"[{np.argmax(of_intercepts)}]" if of_intercepts.ndim else ""
        return f"largest at intercept{k}, where the mean residual is {np.max(of_intercepts):.3g}"
    at = np.unravel_index(np.argmax(of_columns), of_columns.shape)
    return f"largest at coef[{', '.join(map(str, at))}] = {np.asarray(coef)[at]:.6g}"


def _other_penalty(fitted: Any, problem: Problem) -> str:
    """The commonest reason, that a classifier was fitted with another penalty than the problem has."""
    C = np.ravel(getattr(fitted, "C_", getattr(fitted, "C", np.nan)))
    if not len(C) or not np.all(np.isfinite(C)):
        return ""
    total = float(np.sum(np.ones(len(problem.y)) if problem.sample_weight is None else problem.sample_weight))
    total_penalty = np.max(np.asarray(problem.l1) + np.asarray(problem.l2))
    if np.isclose(1 / (C[0] * total), total_penalty, rtol=1e-6):
        return ""
    return f". C = {C[0]:.6g} is l1 + l2 = {1 / (C[0] * total):.6g}, the problem has {total_penalty:.6g}"


def _check_separation(problem: Problem, params: Params | SoftmaxParams) -> None:
    """No direction of what has neither a penalty nor two bounds separates the classes."""
    n = problem.X.shape[1]
    free = ~np.asarray(penalty_of(problem).bounding)
    s = np.ones(len(problem.X)) if problem.sample_weight is None else problem.sample_weight
    present = s > 0
    if not np.any(present):
        raise AssertionError("check_certified: no row has weight, and nothing can be estimated")
    if not np.any(free) and not problem.fit_intercept:
        return
    X = problem.X[present][:, free]
    X = X - np.median(X, axis=0) if problem.fit_intercept else X
    A = np.column_stack([X, np.ones((len(X), int(problem.fit_intercept)))])
    rows = _margins(A, problem.y[present], params)
    bounds = bounds_of(problem, n, jnp.dtype(float))
    signs = np.zeros((0, rows.shape[1]))
    if bounds is not None:
        lower, upper = (np.isfinite(np.asarray(bound)[free]) for bound in bounds)
        one = np.eye(A.shape[1])[: free.sum()]
        one = np.concatenate([one[lower], -one[upper]])
        signs = np.kron(np.eye(rows.shape[1] // A.shape[1]), one)
    every = np.concatenate([rows, signs])
    direction, strict = separated_rows(every, np.ones(len(every)), fit_intercept=False)
    strict = strict[: len(rows)]
    if direction is None or not np.any(strict):
        return
    moved = np.abs(direction.coef).reshape(-1, A.shape[1]).max(axis=0) * np.max(np.abs(A), axis=0)
    names = [f"column {j}" for j in np.flatnonzero(free)] + ["the intercept"] * problem.fit_intercept
    which = [name for name, size in zip(names, moved, strict=True) if size > 1e-6 * moved.max()]
    kind = "complete" if np.all(strict) else "quasi-complete"
    raise AssertionError(
        f"check_certified: no minimum exists, the classes can be separated ({kind} separation) by {', '.join(which[:8])}; "
        "whatever was found, a solver stopped on the way to infinity"
    )


def _margins(A: np.ndarray, y: np.ndarray, params: Params | SoftmaxParams) -> np.ndarray:
    """Rows whose product with a direction is >= 0 where it has every row on its own side: of K classes, for each class that a
    row has, that class against every other one."""
    if isinstance(params, Params):
        return np.concatenate([A[y > 0], -A[y < 1]])
    K = len(params.intercept)
    shares = np.eye(K)[y.astype(int)] if y.ndim == 1 else y
    against = np.eye(K)[:, None] - np.eye(K)  # [own, other] = e_own - e_other
    pairs = [
        np.einsum("k,ij->ikj", against[own, other], A[shares[:, own] > 0]).reshape(-1, K * A.shape[1])
        for own in range(K)
        for other in range(K)
        if own != other
    ]
    return np.concatenate(pairs)
