"""Bootstrap intervals from the fits of resamples.

    percentile    (Q_a, Q_1-a)                          a = (1 - level) / 2, Q the quantiles of the resampled estimates
    basic         (2 estimate - Q_1-a, 2 estimate - Q_a)

Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 13.3; Davison & Hinkley, Bootstrap Methods and their
Application (1997), eqs. 5.6 and 5.18.
"""

import warnings

import jax.numpy as jnp
import numpy as np

from jaxlr.inference.fitted import as_params, check_base, estimates
from jaxlr.inference.tails import normal_quantile
from jaxlr.inference.wald import Intervals
from jaxlr.results.fit import Fit, check_fit
from jaxlr.results.status import Status

_METHODS = ("percentile", "basic")


def bootstrap_intervals(
    fit: Fit, resamples: Fit, *, level: float = 0.95, method: str = "percentile", base: int | None = 0
) -> Intervals:
    """Intervals for every parameter from resamples.

    Args:
        fit: of all rows (...).
        resamples: (k, ...), by `jaxlr.fit_bootstrap`, or by `jaxlr.fit_firth` with weights of `jaxlr.bootstrap` or
            `jaxlr.cluster_bootstrap`.
        level: in (0, 1).
        method: "percentile" or "basic".
        base: of K classes, the one whose parameters are subtracted from those of every class; None takes those of the fits.

    Returns:
        Intervals (...), those of the base at 0; NaN where the fit is not CONVERGED, or none of its resamples.

    Raises:
        ValueError: an unknown method, a base that is no class, shapes that do not fit, no resample of any fit converged; level
            not in (0, 1).

    Warns:
        UserWarning: some resamples did not converge (separated ones have no estimate) and do not count, which makes intervals
        too short; `jaxlr.fit_firth` has an estimate for each.

    Example:
        >>> import jax, jaxlr
        >>> X, y = jaxlr.datasets.two_moons(jax.random.key(0), 40)
        >>> fit, resamples = jaxlr.fit(X, y, l2=0.1), jaxlr.fit_bootstrap(jax.random.key(1), X, y, 200, l2=0.1)
        >>> bootstrap_intervals(fit, resamples).lower.coef.shape
        (2,)

    References:
        Davison & Hinkley 1997, eqs. 5.6 (basic) and 5.18 (percentile).
    """
    check_fit("fit", fit)
    check_fit("resamples", resamples)
    normal_quantile(level)
    if not (isinstance(method, str) and method in _METHODS):
        raise ValueError(f"expected method {' or '.join(map(repr, _METHODS))}, got {method!r}")
    check_base(fit.params, base)
    shapes = [np.shape(resamples.params.coef), np.shape(fit.params.coef)]
    if type(resamples.params) is not type(fit.params) or shapes[0][1:] != shapes[1]:
        raise ValueError(
            f"expected resamples (k, ...) of the fit, with coefficients (k, {', '.join(map(str, shapes[1]))}), got "
            f"{shapes[0]}; resample the columns of the fit"
        )
    draws, estimate = estimates(resamples.params, base), estimates(fit.params, base)
    converged = np.asarray(resamples.status) == Status.CONVERGED
    if not np.any(converged):
        raise ValueError("expected resamples that converged, got none; use fit_firth, whose estimates always exist")
    if not np.all(converged):
        warnings.warn(
            f"{np.sum(~converged)} of {converged.size} resamples did not converge and do not count; intervals are too short "
            "where these are separated: use fit_firth with weights of jaxlr.bootstrap",
            stacklevel=2,
        )
    outside = (1 - level) / 2
    of_model = (...,) + (None,) * (estimate.ndim - np.ndim(fit.status))  # every parameter of a model counts, or none
    lower, upper = jnp.nanquantile(
        jnp.where(converged[of_model], draws, jnp.nan), jnp.asarray([outside, 1 - outside], draws.dtype), axis=0
    )
    here = jnp.asarray(fit.status == Status.CONVERGED)[of_model]
    lower, upper = (jnp.where(here, end, jnp.nan) for end in (lower, upper))
    if method == "basic":
        lower, upper = 2 * estimate - upper, 2 * estimate - lower
    return Intervals(*(as_params(end, fit.params) for end in (estimate, lower, upper)))
