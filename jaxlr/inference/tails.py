"""Tails of the normal and the chi-square distribution, to their last digits however far out: as logarithms.

    P(|Z| > |z|) = erfc(|z| / sqrt 2)
    P(chi2_k > x) = sum_{j < k/2} exp(-t) t^j / j!,  t = x / 2,                                  k even
                  = erfc(sqrt t) + sum_{j <= (k-1)/2} exp(-t) t^(j - 1/2) / Gamma(j + 1/2),      k odd

(Abramowitz & Stegun 1964, eqs. 26.4.4 and 26.4.5.) All terms are positive: nothing cancels.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import check_count
from jaxlr.inputs.tables import as_wide, is_concrete

_MOST_UNROLLED, _MOST_TERMS = 100, 10**6  # degrees of freedom: terms of a program, and of a loop


class Test(NamedTuple):
    """A test statistic and how far out it lies.

    Attributes:
        statistic: (...), chi-square with df degrees of freedom where the null hypothesis holds, for many rows.
        df: how many parameters the hypothesis fixes; (...) where that differs between models.
        p_value: (...), P(chi-square > statistic).
        log_p: (...), its natural logarithm, finite also where p_value has underflowed.
    """

    __test__ = False  # pytest is not to collect it

    statistic: Any
    df: Any
    p_value: Any
    log_p: Any


@program("df")
def _chi_square_tails(statistic: ArrayLike, df: int) -> tuple[Array, Array, Array]:
    statistic = jnp.maximum(statistic, 0)
    log_p = log_chi_square_tail(statistic, df)
    return statistic, jnp.exp(log_p), log_p


def chi_square_test(statistic: ArrayLike, df: Any) -> Test:
    """The test of a chi-square statistic, >= 0 but for rounding; df is one integer >= 1, or an array of whole numbers, a tracer
    too, that broadcasts against the statistics: NaN under 1."""
    if is_concrete(df) and np.any(np.asarray(df) > _MOST_TERMS):
        raise ValueError(
            f"expected df up to {_MOST_TERMS}, terms of a sum, got {np.max(df)}; the normal distribution is close there"
        )
    if isinstance(df, (int, np.integer)) and df <= _MOST_UNROLLED:
        statistic, p_value, log_p = _chi_square_tails(statistic, int(df))
        return Test(statistic, int(df), p_value, log_p)
    statistic, p_value, log_p = _tails_of_each(as_wide(statistic), df)
    return Test(statistic, df, p_value, log_p)


@program()
def _tails_of_each(statistic: ArrayLike, df: ArrayLike) -> tuple[Array, Array, Array]:
    """The same sum, term by term up to the largest df."""
    statistic = jnp.asarray(statistic)
    statistic, df = jnp.broadcast_arrays(statistic, jnp.asarray(df, statistic.dtype))
    known = df >= 1
    x, df = (jnp.where(known, jnp.maximum(value, 0), 1) for value in (statistic, df))
    odd, t = df % 2, x / 2
    positive, log_t = t > 0, _log_in_terms(t)

    def with_term(j: Array, log_p: Array) -> Array:
        power = j.astype(t.dtype) + odd / 2
        log_term = jnp.where(positive, power * log_t, jnp.where(power == 0, 0, -jnp.inf)) - jax.lax.lgamma(power + 1) - t
        return jnp.where(2 * power < df - 1, jnp.logaddexp(log_p, log_term), log_p)

    first = jnp.where(odd == 1, log_normal_tails(jnp.sqrt(x)), -jnp.inf)
    log_p = jnp.minimum(jax.lax.fori_loop(0, (jnp.max(df) // 2).astype(jnp.int32), with_term, first), 0)
    statistic, log_p = (jnp.where(known, value, jnp.nan) for value in (jnp.maximum(statistic, 0), log_p))
    return statistic, jnp.exp(log_p), log_p


def log_normal_tails(z: ArrayLike) -> Float[Array, "..."]:
    """log P(|Z| > |z|) of a standard normal Z.

    Args:
        z: (...).

    Returns:
        (...), <= 0; of 16 bits in the default float.

    Raises:
        TypeError: z is not real.

    Example:
        >>> import numpy as np
        >>> round(float(log_normal_tails(np.float32(40.0))), 2)
        -803.92
    """
    return _log_tails(as_wide(z))


@program()
def _log_tails(z: Array) -> Float[Array, "..."]:
    z = jnp.abs(z)
    far = 37 if z.dtype == jnp.float64 else 12  # erfc underflows soon after
    near = jnp.log(jax.scipy.special.erfc(jnp.minimum(z, far) * math.sqrt(0.5)))
    u = 1 / jnp.maximum(z, far) ** 2  # asymptotic series, Abramowitz & Stegun 1964, eq. 26.2.12: its last term is under eps
    series = -u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u * (1 - 11 * u)))))
    beyond = 0.5 * math.log(2 / math.pi) - z**2 / 2 - jnp.log(jnp.maximum(z, far)) + jnp.log1p(series)
    return jnp.where(jnp.isnan(z), jnp.nan, jnp.where(z < far, near, beyond))


def log_chi_square_tail(x: ArrayLike, df: int) -> Float[Array, "..."]:
    """log P(chi-square > x) with df degrees of freedom.

    Args:
        x: (...), >= 0.
        df: >= 1.

    Returns:
        (...), <= 0; of 16 bits in the default float.

    Raises:
        TypeError: x is not real.
        ValueError: df is no integer from 1 to a million.

    Example:
        >>> import numpy as np
        >>> round(float(jnp.exp(log_chi_square_tail(np.float32(5.991465), 2))), 4)
        0.05
    """
    check_count("df", df, 1)
    if df > _MOST_UNROLLED:
        return chi_square_test(as_wide(x), df).log_p
    return _log_tail(as_wide(x), int(df))


@program("df")
def _log_tail(x: Array, df: int) -> Float[Array, "..."]:
    t = x / 2
    log_t = _log_in_terms(t)
    terms = [log_normal_tails(jnp.sqrt(x))] if df % 2 else []
    for j in range(df // 2):
        power = j + 0.5 if df % 2 else j
        at_zero = 0.0 if power == 0 else -jnp.inf
        terms.append(jnp.where(t > 0, power * log_t, at_zero) - math.lgamma(power + 1) - t)
    return jnp.minimum(jax.scipy.special.logsumexp(jnp.stack(terms), axis=0), 0)


def _log_in_terms(t: Array) -> Array:
    """log t as the terms multiply it, 0 at the ends, where it is that of no number and exp(-t) or t^j decides alone."""
    return jnp.log(jnp.where((t > 0) & (t < jnp.inf), t, 1))


def normal_quantile(level: float) -> float:
    """z with P(|Z| <= z) = level.

    Raises:
        ValueError: level is not a number in (0, 1).
    """
    from scipy.special import ndtri

    if not isinstance(level, (float, np.floating, jax.Array, np.ndarray)) or np.ndim(level) or not 0 < level < 1:
        raise ValueError(f"expected level in (0, 1), such as 0.95, got {level!r}")
    return float(-ndtri((1 - level) / 2))
