"""Scalar functions of the logit, right to the last digits at every dtype.

    sigmoid(z)          = 1 / (1 + exp(-z))                   = s
    log_sigmoid(z)      = log s                               = min(z, 0) - log1p(exp(-|z|))
    logistic_loss(z, y) = log(1 + exp(z)) - y z               = c |z| + log1p(exp(-|z|)),  c = y if z < 0 else 1 - y
    residual(z, y)      = d loss / d z  = s - y               = v - y if z < 0 else (1 - y) - v,  v = e / (1 + e), e = exp(-|z|)
    curvature(z)        = d2 loss / d z2 = s (1 - s)          = s(z) s(-z)

The forms on the right add only terms of one sign, so nothing cancels. Each function has its derivative written down too
(``jax.custom_jvp``), because automatic differentiation would go back to ``s - y`` and ``s (1 - s)``, which have no
correct digit past z = 19 in float32. All are elementwise and broadcast; integers and booleans become the default float;
16-bit floats are computed in float32 and rounded once. NaN in, NaN out; +-inf give the limits.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.inputs.tables import as_floating
from jaxlr.linalg.dot import dot


def sigmoid(z: ArrayLike) -> Float[Array, "..."]:
    """The probability 1 / (1 + exp(-z)) of a logit.

    In [0, 1], and monotone over all float32 on CPU; rounding gives exactly 1 from z = 17 (float32) or 37 (float64) on.

    Args:
        z: logits, any shape, any real dtype.

    Returns:
        Array of z's shape and dtype (the default float for integers and booleans).

    Raises:
        TypeError: z is not real.

    Example:
        >>> float(sigmoid(0.0))
        0.5
    """
    z, dtype = _widen(z)
    return _sigmoid(z).astype(dtype)


def log_sigmoid(z: ArrayLike) -> Float[Array, "..."]:
    """The log-probability log(1 / (1 + exp(-z))) of a logit: tends to z as z -> -inf, never NaN for a number.

    Args:
        z: logits, any shape, any real dtype.

    Returns:
        Array of z's shape and dtype, <= 0.

    Raises:
        TypeError: z is not real.

    Example:
        >>> float(log_sigmoid(-1000.0))
        -1000.0
    """
    z, dtype = _widen(z)
    return _log_sigmoid(z).astype(dtype)


def logistic_loss(z: ArrayLike, y: ArrayLike) -> Float[Array, "..."]:
    """The loss log(1 + exp(z)) - y z of logit z under label y: minus the Bernoulli log-likelihood, in nats.

    Never negative; tends to 0 where z is right and to |z| where it is wrong. The form c |z| + log1p(exp(-|z|)) keeps all
    digits for soft labels as well, where log(1 + exp(z)) - y z would cancel.

    Args:
        z: logits, any shape, any real dtype; its dtype decides.
        y: labels in [0, 1] (bool, int or float; soft labels allowed), broadcast against z.

    Returns:
        Array of the broadcast shape, z's dtype.

    Raises:
        TypeError: z or y is not real.

    Example:
        >>> float(logistic_loss(-1000.0, 1))
        1000.0
    """
    z, y, dtype = _widen_both(z, y)
    return _logistic_loss(z, y).astype(dtype)


def residual(z: ArrayLike, y: ArrayLike) -> Float[Array, "..."]:
    """The derivative of the loss in the logit, sigmoid(z) - y, without cancellation.

    Args:
        z: logits, any shape, any real dtype; its dtype decides.
        y: labels in [0, 1], broadcast against z.

    Returns:
        Array of the broadcast shape, z's dtype, in [-1, 1].

    Raises:
        TypeError: z or y is not real.

    Example:
        >>> float(residual(0.0, 1))
        -0.5
    """
    z, y, dtype = _widen_both(z, y)
    return _residual(z, y).astype(dtype)


def curvature(z: ArrayLike) -> Float[Array, "..."]:
    """The second derivative of the loss in the logit, sigmoid(z) sigmoid(-z): even in z, at most 1/4 up to rounding.

    Args:
        z: logits, any shape, any real dtype.

    Returns:
        Array of z's shape and dtype.

    Raises:
        TypeError: z is not real.

    Example:
        >>> float(curvature(0.0))
        0.25
    """
    z, dtype = _widen(z)
    return _curvature(z).astype(dtype)


def balanced_residuals(z: Float[Array, " m"], y: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " m"]:
    """Residuals r with sum_i w_i r_i = 0 and y + r in [0, 1], for weights that sum to 1.

    One Newton step of the intercept towards that equation, cut so that the root is never passed by far, then those of the
    heavier sign are shrunk by what is left.
    """
    slope, bend = dot(jnp.stack([residual(z, y), curvature(z)]), w)
    newton = -slope / bend
    step = jnp.sign(newton) * jnp.log1p(jnp.abs(newton))  # as the solver's: safe from any start, Newton's near the root
    r = residual(z + jnp.where(jnp.isnan(step), 0, step), y)
    above, below = dot(jnp.stack([jnp.maximum(r, 0), jnp.maximum(-r, 0)]), w)
    lighter = jnp.minimum(above, below)
    side = jnp.where(r > 0, above, below)
    return r * jnp.where(side > 0, lighter / side, 1)


def divergence(z: Float[Array, " m"], y: Float[Array, " m"], r: Float[Array, " m"]) -> Float[Array, " m"]:
    """An upper bound on KL(p || sigmoid(z)) for p = y + r in [0, 1]: the smaller of two.

    Chi-square, (p - sigmoid(z))^2 / curvature(z), keeps its digits however small it is; it can overflow far from the optimum,
    where KL without its negative entropies, loss(z, y) - r z, is finite.
    """
    difference = jnp.abs(r - residual(z, y))  # |p - sigmoid(z)|; its square may vanish together with the curvature
    chi_square = jnp.where(difference == 0, 0, difference * (difference / curvature(z)))
    cross_entropy = logistic_loss(z, y) - r * z
    return jnp.minimum(chi_square, cross_entropy + 4 * jnp.finfo(z.dtype).eps * jnp.abs(r * z))


def _widen(z: ArrayLike) -> tuple[Array, jnp.dtype]:
    z = as_floating(z)
    return (z.astype(jnp.float32) if z.dtype.itemsize < 4 else z), z.dtype


def _widen_both(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array, jnp.dtype]:
    z, dtype = _widen(z)
    z, y = jnp.broadcast_arrays(z, as_floating(y).astype(z.dtype))
    return z, y, dtype


def _with_derivative(derivative: Callable[[Array], Array]) -> Callable[[Callable[[Array], Array]], Callable[[Array], Array]]:
    """Give a function of z alone its derivative by name, so that it is as exact as the function itself."""

    def decorate(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        owned = jax.custom_jvp(function)
        owned.defjvp(lambda z, dz: (owned(*z), derivative(*z) * dz[0]))
        return owned

    return decorate


def _third_derivative(z: Array) -> Array:
    return -_curvature(z) * jnp.tanh(z / 2)


def _smaller_share(z: Array) -> Array:
    """sigmoid(-|z|), the probability of the less probable label."""
    e = jnp.exp(-jnp.abs(z))
    return e / (1 + e)


@_with_derivative(_third_derivative)
def _curvature(z: Array) -> Array:
    v = _smaller_share(z)
    return v * (1 - v)  # of v <= 1/2, whose error weighs less the nearer it is to that


@_with_derivative(_curvature)
def _sigmoid(z: Array) -> Array:
    return jax.nn.sigmoid(z)


@_with_derivative(lambda z: _sigmoid(-z))
def _log_sigmoid(z: Array) -> Array:
    return jnp.minimum(z, 0) - jnp.log1p(jnp.exp(-jnp.abs(z)))


@jax.custom_jvp
def _residual(z: Array, y: Array) -> Array:
    v = _smaller_share(z)
    return jnp.where(z < 0, v - y, (1 - y) - v)


@jax.custom_jvp
def _logistic_loss(z: Array, y: Array) -> Array:
    c = jnp.where(z < 0, y, 1 - y)
    linear = jnp.where(c == 0, 0, c * jnp.abs(z))  # 0 * inf
    return linear + jnp.log1p(jnp.exp(-jnp.abs(z)))


def _residual_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    return _residual(z, y), _sum_of_tangents((lambda: _curvature(z), dz), (lambda: -jnp.ones_like(y), dy))


def _logistic_loss_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    return _logistic_loss(z, y), _sum_of_tangents((lambda: _residual(z, y), dz), (lambda: -z, dy))


def _sum_of_tangents(*terms):
    # A label that is not differentiated has a symbolic zero for its tangent: leave it out, or -z * 0 is NaN at +-inf.
    products = [slope() * tangent for slope, tangent in terms if not isinstance(tangent, SymbolicZero)]
    return sum(products[1:], products[0])


_residual.defjvp(_residual_jvp, symbolic_zeros=True)
_logistic_loss.defjvp(_logistic_loss_jvp, symbolic_zeros=True)
