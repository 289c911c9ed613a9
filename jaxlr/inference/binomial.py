"""Binomial probabilities and deviances to their last digits, however many trials there are.

    log C(n, s) q^s (1 - q)^(n - s)  at its largest, q = s / n
        = d(n) - d(s) - d(n - s) + log(n / (2 pi s (n - s))) / 2                                             0 where s = 0 or n
    KL(y || p) = D(y, p) + D(1 - y, 1 - p),    D(x, M) = x log(x / M) + M - x >= 0

with d(n) = log n! - log(sqrt(2 pi n) (n / e)^n), the error of Stirling's formula. Nothing large is subtracted from anything
large (Loader 2000, Fast and accurate computation of binomial probabilities, sections 2 and 3; R's dbinom).
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlr.model.logistic import log_sigmoid, residual, sigmoid

_EXACT = (  # d(1) to d(15); d(0) is not used
    0.0, 0.0810614667953272582, 0.0413406959554092941, 0.0276779256849983391, 0.0207906721037650931, 0.0166446911898211922,
    0.013876128823070748, 0.0118967099458917701, 0.0104112652619720965, 0.00925546218271273292, 0.00833056343336287126,
    0.00757367548795184079, 0.00694284010720952987, 0.00640899418800420707, 0.00595137011275884774, 0.00555473355196280137,
)  # fmt: skip
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)  # of 1 / n, 1 / n^3 ...: from n = 16 on the next is 1e-16
_NEAR, _TERMS = 0.1, 9  # as Loader's: of v <= 0.1, the next term is v^20 / 21


def stirling_error(n: Float[Array, "..."]) -> Float[Array, "..."]:
    """d(n) of whole numbers n >= 1.

    Args:
        n: (...).

    Returns:
        (...), > 0.

    Example:
        >>> round(float(stirling_error(jnp.ones(()))), 6)  # 1 - log(2 pi) / 2
        0.081061

    References:
        Loader 2000, section 2; Abramowitz & Stegun 1964, eq. 6.1.41.
    """
    few = n < len(_EXACT)
    table = jnp.asarray(np.array(_EXACT), n.dtype)[jnp.where(few, n, 0).astype(jnp.int32)]
    inverse = 1 / jnp.where(few, len(_EXACT), n)
    series = jnp.zeros_like(n)
    for coefficient in reversed(_SERIES):
        series = series * inverse**2 + coefficient
    return jnp.where(few, table, series * inverse)


def log_saturated(successes: Float[Array, "..."], trials: Float[Array, "..."]) -> Float[Array, "..."]:
    """The log-probability of the successes if their share were the probability: the most that any model can give them.

    Args:
        successes: whole numbers (...) from 0 to trials.
        trials: whole numbers (...) >= 0.

    Returns:
        (...), <= 0.

    Example:
        >>> n = jnp.full((), 2.0)
        >>> round(float(jnp.exp(log_saturated(n / 2, n))), 6)
        0.5

    References:
        Loader 2000, eq. 5.
    """
    failures = trials - successes
    inside = (successes > 0) & (failures > 0)
    s, f, n = (jnp.where(inside, number, 1) for number in (successes, failures, trials))
    n = jnp.where(inside, n, 2)
    spread = jnp.log(n / s / f / (2 * math.pi)) / 2
    return jnp.where(inside, stirling_error(n) - stirling_error(s) - stirling_error(f) + spread, 0)


def kullback_leibler(z: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
    """KL(y || sigmoid(z)) of each row: its loss over that of its best logit, half of its deviance.

    Args:
        z: logits.
        y: shares of successes, in [0, 1].

    Returns:
        (m,) >= 0, to relative precision where y is near the probability too.

    Example:
        >>> round(float(kullback_leibler(jnp.zeros(1), jnp.ones(1))[0]), 6)
        0.693147

    References:
        Loader 2000, section 3.
    """
    r = residual(z, y)
    return _deviance(y, sigmoid(z), log_sigmoid(z), r) + _deviance(1 - y, sigmoid(-z), log_sigmoid(-z), -r)


def _deviance(
    x: Float[Array, " m"], mean: Float[Array, " m"], log_mean: Float[Array, " m"], more: Float[Array, " m"]
) -> Float[Array, " m"]:
    """D(x, M), from M, log M and M - x; a series in (x - M) / (x + M) where that is small."""
    total = x + mean
    v = -more / jnp.where(total > 0, total, 1)
    near = jnp.abs(v) < _NEAR
    square, series = jnp.where(near, v, 0) ** 2, jnp.zeros_like(x)
    for j in range(_TERMS, 0, -1):
        series = square * (series + 1 / (2 * j + 1))
    far = jnp.where(x > 0, x * (jnp.log(jnp.where(x > 0, x, 1)) - jnp.where(near, 0, log_mean)), 0) + more
    return jnp.where(near, -more * v + 2 * x * jnp.where(near, v, 0) * series, far)
