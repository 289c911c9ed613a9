"""Is a gradient that of its loss? Held against automatic differentiation, and against differences of the loss.

Rounding of logits, of their residuals and of sums of m terms is what a right gradient may differ by,

    |g_j - d_j|  <=  (16 + sqrt(m)) eps (sum_i w_i |x_ij| (1 + size_i) + l2_j |coef_j|),    size_i = sum_j |x_ij coef_j| + ...

and along a direction v that moves no logit by more than 1, a central difference with h = eps^(1/3) by (1/50 + that scale of J)
eps^(2/3): the third derivative of the logistic loss is at most 1 / (6 sqrt 3).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.linalg.operators import as_design
from jaxlr.model.params import Parameters
from jaxlr.model.problem import Problem, penalty_of, row_weights

_NUM_DIRECTIONS = 3


class GradientErrors(NamedTuple):
    """What `check_gradient` measured.

    Attributes:
        autodiff: the largest |gradient - jax.grad(loss)| of all parameters.
        differences: the largest |gradient . v - (J(params + h v) - J(params - h v)) / 2 h| of the directions v.
    """

    autodiff: float
    differences: float


def check_gradient(
    loss: Callable[[Parameters, Problem], Any],
    gradient: Callable[[Parameters, Problem], Parameters],
    params: Parameters,
    problem: Problem,
) -> GradientErrors:
    """Whether a gradient is that of the loss, to rounding.

    Both are called with the problem without what has kinks (l1, groups, bounds): the gradient of a penalized logistic loss is
    that of its smooth part.

    Args:
        loss: from (params, problem) to a scalar, such as `jaxlr.loss`; JAX has to be able to trace it.
        gradient: from (params, problem) to a gradient of the structure of params, such as `jaxlr.gradient`.
        params: `jaxlr.Params` or `jaxlr.SoftmaxParams`, of the dtype of X.
        problem: one `jaxlr.Problem`, float32 or float64.

    Returns:
        GradientErrors: what was measured.

    Raises:
        AssertionError: another structure, a number that is not finite, or a difference beyond rounding: which parameter, both
            numbers, and what was allowed.

    Example:
        >>> from jaxlr import Params, gradient, loss
        >>> problem = Problem(np.float32([[0], [1], [2]]), np.array([0, 1, 0]), l2=0.1)
        >>> params = Params(np.float32([0.5]), np.float32(-1))
        >>> check_gradient(loss, gradient, params, problem).autodiff < 1e-6
        True
        >>> check_gradient(loss, lambda *of: gradient(*of)._replace(intercept=np.float32(0)), params, problem)
        Traceback (most recent call last):
            ...
        AssertionError: check_gradient: at intercept the gradient is 0, jax.grad of the loss 0.0488...; allowed ...
    """
    smooth = replace(problem, l1=0.0, l1_group=None, lower=None, upper=None)
    g, found = gradient(params, smooth), jax.grad(loss)(params, smooth)
    expected = jax.tree.structure(params)
    assert jax.tree.structure(g) == expected, f"check_gradient: the gradient is {jax.tree.structure(g)}, params are {expected}"
    scale, of_loss, reach = _scales(params, smooth)
    eps = float(jnp.finfo(as_design(problem.X).dtype).eps)
    m = as_design(problem.X).shape[0]
    terms = (16 + m**0.5) * eps
    autodiff = max(
        _compare(name, np.asarray(a, float), np.asarray(b, float), np.asarray(terms * size))
        for name, a, b, size in zip(params._fields, g, found, scale, strict=True)
    )
    rng, off = np.random.default_rng(0), []
    for _ in range(_NUM_DIRECTIONS):
        v = jax.tree.map(lambda leaf, r: np.asarray(rng.uniform(-1, 1, np.shape(leaf)) * r), params, reach)
        off.append(_difference(loss, params, smooth, g, v, eps ** (1 / 3), eps ** (2 / 3) * (0.02 + terms / eps * of_loss)))
    return GradientErrors(autodiff, max(off))


def _scales(params: Parameters, problem: Problem) -> tuple[Parameters, float, Parameters]:
    """The sizes of the sums that make a gradient, of those that make J, and steps of each parameter that move no logit by more
    than 1 together."""
    X = np.abs(np.asarray(as_design(problem.X).to_array(), float))
    w, l2 = np.asarray(row_weights(problem), float), np.asarray(penalty_of(problem).l2, float)
    X = np.where(w[:, None] > 0, X, 0)
    coef, intercept = (np.abs(np.asarray(leaf, float)) for leaf in params)
    offset = 0.0 if problem.offset is None else np.abs(np.asarray(problem.offset, float)).T
    size = np.where(w > 0, coef @ X.T + intercept[..., None] + offset, 0)  # (K, m) or (m,)
    size = 1 + (size if size.ndim == 1 else size.max(axis=0))
    one = float(w @ size)
    sums = type(params)(np.broadcast_to((w * size) @ X, coef.shape) + l2 * coef, np.full(intercept.shape, one))
    of_loss = one + float(np.sum(l2 * coef**2))
    widest = (X.shape[1] + 1) * np.maximum(X.max(axis=0, initial=0), np.sqrt(l2))
    steps = np.divide(1, widest, out=np.ones_like(widest), where=widest > 0)
    return sums, of_loss, type(params)(np.broadcast_to(steps, coef.shape), np.full(intercept.shape, 1 / (X.shape[1] + 1)))


def _compare(name: str, g: np.ndarray, found: np.ndarray, allowed: np.ndarray) -> float:
    assert g.shape == found.shape, f"check_gradient: {name} of the gradient has the shape {g.shape}, expected {found.shape}"
    off = np.abs(g - found)
    wrong = ~(off <= allowed)
    if np.any(wrong):
        at = np.unravel_index(np.argmax(np.where(wrong, np.nan_to_num(off, nan=np.inf), -1)), off.shape)
        where = f"{name}[{', '.join(map(str, at))}]" if at else name
        raise AssertionError(
            f"check_gradient: at {where} the gradient is {g[at]:.9g}, jax.grad of the loss {found[at]:.9g}; "
            f"allowed is a difference of {allowed[at]:.2g}, that of rounding"
        )
    return float(np.max(off, initial=0))


def _difference(
    loss: Callable, params: Parameters, problem: Problem, g: Parameters, v: Parameters, h: float, allowed: float
) -> float:
    def at(t: float) -> Parameters:
        return jax.tree.map(lambda leaf, step: (np.asarray(leaf, float) + t * step).astype(leaf.dtype), params, v)

    ahead, behind = at(h), at(-h)
    moved = jax.tree.map(lambda a, b: (np.asarray(a, float) - np.asarray(b, float)) / (2 * h), ahead, behind)  # as rounded
    along = sum(float(np.sum(np.asarray(a, float) * b)) for a, b in zip(g, moved, strict=True))
    found = (float(loss(ahead, problem)) - float(loss(behind, problem))) / (2 * h)
    assert abs(along - found) <= allowed, (
        f"check_gradient: along coef {v[0]}, intercept {v[1]} the gradient gives {along:.9g}, differences of the loss "
        f"{found:.9g}; allowed is {allowed:.2g}, that of rounding and of the third derivative"
    )
    return abs(along - found)
