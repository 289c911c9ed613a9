"""Folds and bootstrap weights of a row from (key, number of the row) alone: no memory of the number of rows, the same at each
pass.

Folds. Each K rows that follow each other are dealt to the K folds, one to each, in a random order of their own: a training
weight is 0 where a row is held out. As in `jaxlr.kfold` the sizes of the folds differ by at most one row.

Bootstrap. A count of a row is Poisson(1), which the multinomial count of the usual bootstrap is for many rows; the counts of
different rows are independent, so that their sum varies about m by sqrt(m) (Hanley & MacGibbon 2006, Computer Methods and
Programs in Biomedicine 83; Chamandy, Muralidharan, Najmi & Naidu 2012, Estimating uncertainty for massive data streams, Google
Research).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt64

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import check_count, check_key

_LOW = np.uint64(2**32 - 1)
# P(count <= j) of Poisson(1), in units of 2^-32.
_UP_TO = np.cumsum([math.exp(-1) / math.factorial(j) for j in range(13)]) * 2.0**32


class Resamples(NamedTuple):
    """How rows are weighted anew; static.

    Attributes:
        folds: K, or 0 where there are none.
        samples: of the bootstrap, or 0.
    """

    folds: int = 0
    samples: int = 0

    @property
    def axes(self) -> tuple[int, ...]:
        """The axis that they put in front of the batch."""
        return tuple(size for size in (self.folds or self.samples,) if size)


def checked_resamples(folds: int | None, num_samples: int | None, key: Any) -> Resamples:
    """How rows are weighted anew, as the caller asks for it. Raises TypeError, ValueError."""
    if folds is not None and num_samples is not None:
        raise ValueError("expected folds or num_samples, got both; call once for each")
    if folds is not None:
        if not isinstance(folds, (int, np.integer)):
            raise TypeError(
                f"expected folds to be an integer, got {type(folds).__name__}; folds of your own are sample_weight (k, rows) "
                "in the blocks"
            )
        check_count("folds", folds, 2)
    if num_samples is not None:
        check_count("num_samples", num_samples, 1)
    if folds is not None or num_samples is not None:
        check_key(key)
    elif key is not None:
        raise ValueError("expected folds or num_samples beside key, got neither; without them nothing is random")
    return Resamples(int(folds or 0), int(num_samples or 0))


def typed(key: Any) -> Any:
    """A key of `jax.random`, of its numbers where it is an older one; None of None."""
    return key if key is None or jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


@program("resamples")
def resample_weights(key: Array, row: UInt64[Array | np.ndarray, " r"], resamples: Resamples) -> Float[Array, "k r"]:
    """Weights of rows.

    Args:
        key: typed.
        row: their numbers.
        resamples: static, not none.
    """
    if resamples.folds:
        K = np.uint64(resamples.folds)
        drawn = jax.vmap(lambda group: jax.random.bits(_folded(key, group), (resamples.folds,), jnp.uint32))(row // K)
        place = jnp.argsort(jnp.argsort(drawn, axis=1), axis=1)  # a random order of the folds
        fold = jnp.take_along_axis(place, (row % K).astype(jnp.int32)[:, None], axis=1)[:, 0]
        return (fold[None, :] != jnp.arange(resamples.folds)[:, None]).astype(jnp.float64)

    def counts(sample: Array) -> Array:
        own = jax.random.fold_in(key, sample)
        drawn = jax.vmap(lambda row: jax.random.bits(_folded(own, row), (), jnp.uint32))(row)
        return jnp.searchsorted(jnp.asarray(_UP_TO), drawn.astype(jnp.float64), side="right").astype(jnp.float64)

    return jax.lax.map(counts, jnp.arange(resamples.samples, dtype=jnp.uint32))


def _folded(key: Array, number: Array) -> Array:
    """A key for a number of 64 bits."""
    high, low = (number >> np.uint64(32)).astype(jnp.uint32), (number & _LOW).astype(jnp.uint32)
    return jax.random.fold_in(jax.random.fold_in(key, high), low)
