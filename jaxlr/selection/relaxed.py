"""The relaxed lasso: what an absolute penalty chose, with less of its shrinkage.

    params = gamma params_penalized + (1 - gamma) params_refitted,    0 <= gamma <= 1

the second those of the columns that the first did not set to 0, without a penalty (Hastie, Tibshirani & Tibshirani 2020,
Statistical Science 35, eq. 6; R's glmnet 4.1, relax=TRUE). Of several classes a column counts that any of them uses.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.compilation.program import program
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


def check_gamma(gamma: Any) -> np.ndarray:
    """The shares as an array.

    Args:
        gamma: in [0, 1], any shape.

    Raises:
        ValueError: they are something else.
    """
    shares = np.asarray(gamma)
    if shares.dtype.kind not in "iuf" or not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"expected gamma in [0, 1], 1 for the penalized estimate itself, got {gamma!r}")
    return shares


def relaxed(fit_models: Callable[..., Fit], fits: Fit, gamma: np.ndarray, bounds: dict[str, Any], factor: Any) -> Fit:
    """Blend fits with those of their columns alone.

    Args:
        fit_models: with bounds, strengths and a start to a Fit of the same data and weights.
        fits: penalized (*batch).
        gamma: shares of the penalized estimate, that broadcast against the batch.
        bounds: "lower" and "upper" of the fits (n,), or None.
        factor: penalty_factor of the fits (n,): what it leaves without a penalty counts. None is 1.

    Returns:
        Fit of the broadcast batch: kkt and gap are the larger of both, steps their sum, the status that of the fit that failed;
        the value is NaN where gamma is not 1.
    """
    coef = np.asarray(fits.params.coef)
    classes = tuple(range(fits.status.ndim, coef.ndim - 1))
    used = np.any(coef != 0, axis=classes)
    if factor is not None:
        used = used | (np.asarray(factor) == 0)
    ends = {"lower": -np.inf, "upper": np.inf} | {name: bound for name, bound in bounds.items() if bound is not None}
    alone = fit_models(**{name: np.where(used, end, 0.0) for name, end in ends.items()}, l1=0.0, l2=0.0, l1_group=0.0)
    return _blended(fits, alone, jnp.asarray(gamma, coef.dtype))


@program()
def _blended(fits: Fit, alone: Fit, gamma: jax.Array) -> Fit:
    batch = jnp.broadcast_shapes(fits.status.shape, gamma.shape)
    whole = jnp.broadcast_to(gamma, batch)

    def blend(penalized: jax.Array, refitted: jax.Array) -> jax.Array:
        share = whole.reshape(batch + (1,) * (penalized.ndim - fits.status.ndim))
        # NaN of a fit that counts for nothing is nothing.
        parts = jnp.where(share > 0, share * penalized, 0), jnp.where(share < 1, (1 - share) * refitted, 0)
        return parts[0] + parts[1]

    both = whole < 1
    failed = jnp.where(fits.status != Status.CONVERGED, fits.status, jnp.where(both, alone.status, Status.CONVERGED))
    return replace(
        fits,
        params=jax.tree.map(blend, fits.params, alone.params),
        value=jnp.where(both, jnp.nan, fits.value),
        kkt=jnp.where(both, jnp.maximum(fits.kkt, alone.kkt), fits.kkt),
        gap=jnp.where(both, jnp.maximum(fits.gap, alone.gap), fits.gap),
        status=failed.astype(fits.status.dtype),
        num_steps=fits.num_steps + jnp.where(both, alone.num_steps, 0),
    )
