"""Rows of weights over one shared X: folds, bootstraps and classes, so that every resample has the same shape.

A row of `kfold` or `stratified_kfold` has 1 where a row of data trains and 0 where it is held out; a row of `bootstrap` or
`cluster_bootstrap` counts how often each row of data was drawn. All are of the default float.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxlr.compilation.program import program
from jaxlr.inputs.checks import check_count, check_key, real_array
from jaxlr.inputs.clusters import cluster_numbers
from jaxlr.inputs.memory import check_room
from jaxlr.inputs.tables import Data, as_floating, is_concrete


def kfold(key: Array, m: int, num_folds: int) -> Float[Array, "k m"]:
    """Random folds whose sizes differ by at most one row.

    Args:
        key: a key of `jax.random`.
        m: number of rows.
        num_folds: k, from 2 to m.

    Returns:
        Training weights (k, m): each column has one 0.

    Raises:
        TypeError: key is none.
        ValueError: num_folds is not in 2..m.
        MemoryError: the weights would not fit.

    Example:
        >>> import jax
        >>> kfold(jax.random.key(0), 6, 3).sum(axis=1).tolist()
        [4.0, 4.0, 4.0]
    """
    check_key(key)
    check_count("m", m, 1)
    _check_num_folds(num_folds, m)
    check_room("folds of m rows", num_folds, m)
    return _kfold(key, m, num_folds)


@program("m", "num_folds")
def _kfold(key: Array, m: int, num_folds: int) -> Array:
    return _training_weights(jax.random.permutation(key, m), num_folds)


def stratified_kfold(key: Array, y: ArrayLike, num_folds: int) -> Float[Array, "k m"]:
    """Random folds in which each class is spread as evenly as it can be: its counts differ by at most one row.

    Args:
        key: a key of `jax.random`.
        y: labels (m,), 0/1.
        num_folds: k, from 2 to m.

    Returns:
        Training weights (k, m): each column has one 0.

    Raises:
        TypeError: key is none.
        ValueError: num_folds is not in 2..m, or y is not (m,).
        MemoryError: the weights would not fit.

    Example:
        >>> import jax, numpy as np
        >>> y = np.array([0, 0, 0, 0, 1, 1])
        >>> (np.asarray(stratified_kfold(jax.random.key(0), y, 2)) @ y).tolist()
        [1.0, 1.0]
    """
    check_key(key)
    y = real_array("y", y)
    if np.ndim(y) != 1:
        raise ValueError(f"expected y (m,), got shape {np.shape(y)}; call once for each of several")
    _check_num_folds(num_folds, np.shape(y)[0])
    check_room("folds of m rows", num_folds, np.shape(y)[0])
    return _stratified_kfold(key, y, num_folds)


@program("num_folds")
def _stratified_kfold(key: Array, y: Data, num_folds: int) -> Array:
    y = as_floating(y)
    shuffled = jax.random.permutation(key, y.shape[0])
    return _training_weights(shuffled[jnp.argsort(y[shuffled], stable=True)], num_folds)


def bootstrap(key: Array, m: int, num_samples: int) -> Float[Array, "k m"]:
    """Bootstrap resamples (Efron 1979, Annals of Statistics 7): m draws with replacement, as counts.

    Args:
        key: a key of `jax.random`; row i depends on it only through ``jax.random.fold_in(key, i)``.
        m: number of rows, >= 1.
        num_samples: k, >= 1.

    Returns:
        Multinomial counts (k, m), each row summing to m.

    Raises:
        TypeError: key is none.
        ValueError: m or num_samples is less than 1.
        MemoryError: the weights would not fit.

    Example:
        >>> import jax
        >>> bootstrap(jax.random.key(0), 5, 2).sum(axis=1).tolist()
        [5.0, 5.0]
    """
    check_key(key)
    check_count("m", m, 1)
    check_count("num_samples", num_samples, 1)
    check_room("resamples of m rows", num_samples, m)
    return _bootstrap(key, m, num_samples)


@program("m", "num_samples")
def _bootstrap(key: Array, m: int, num_samples: int) -> Array:
    return jax.vmap(lambda i: resample(key, i, m))(jnp.arange(num_samples))


def cluster_bootstrap(key: Array, clusters: Data, num_samples: int) -> Float[Array, "k m"]:
    """Bootstrap resamples of whole clusters: as many draws with replacement as there are clusters, as counts of their rows.

    For rows that depend on each other within clusters (patients of a clinic, years of a firm), which `bootstrap` would tear
    apart.

    Args:
        key: a key of `jax.random`; row i depends on it only through ``jax.random.fold_in(key, i)``.
        clusters: labels (m,) of any kind, known outside jit; how they are called makes no difference.
        num_samples: k, >= 1.

    Returns:
        Counts (k, m), the same for all rows of a cluster; over the clusters they sum to the number of clusters.

    Raises:
        TypeError: key is none; clusters are not known.
        ValueError: not one label a row, missing labels, fewer than two clusters, or num_samples less than 1.
        MemoryError: the weights would not fit.

    Example:
        >>> import jax
        >>> counts = cluster_bootstrap(jax.random.key(0), ["a", "a", "b", "c", "c"], 100)
        >>> counts.shape, bool((counts[:, 0] == counts[:, 1]).all()), set((counts[:, 0] + counts[:, 2] + counts[:, 3]).tolist())
        ((100, 5), True, {3.0})

    References:
        Davison & Hinkley, Bootstrap Methods and their Application (1997), section 3.8, strategy 1; Cameron, Gelbach & Miller
        2008, Review of Economics and Statistics 90, section II.C (pairs cluster bootstrap).
    """
    check_key(key)
    check_count("num_samples", num_samples, 1)
    numbers, num_clusters = cluster_numbers(clusters)
    check_room("resamples of clusters", num_samples, len(numbers))
    return _cluster_bootstrap(key, numbers, num_clusters, num_samples)


@program("num_clusters", "num_samples")
def _cluster_bootstrap(key: Array, numbers: Data, num_clusters: int, num_samples: int) -> Array:
    return _bootstrap(key, num_clusters, num_samples)[:, jnp.asarray(numbers)]


def resample(key: Array, i: Int[Array, ""], m: int) -> Float[Array, " m"]:
    """Counts of the rows in resample i of `bootstrap`."""
    drawn = jax.random.randint(jax.random.fold_in(key, i), (m,), 0, m)
    return jnp.zeros(m, jnp.result_type(float)).at[drawn].add(1)


def _training_weights(order: Array, num_folds: int) -> Array:
    """Deal the rows, in this order, to the folds like cards."""
    fold_of_row = jnp.zeros_like(order).at[order].set(jnp.arange(order.shape[0], dtype=order.dtype) % num_folds)
    return (fold_of_row[None, :] != jnp.arange(num_folds, dtype=order.dtype)[:, None]).astype(jnp.result_type(float))


def _check_num_folds(num_folds: int, m: int) -> None:
    if not isinstance(num_folds, (int, np.integer)) or not 2 <= num_folds <= m:
        raise ValueError(f"expected num_folds to be an integer from 2 to the number of rows, {m}, got {num_folds!r}")


def class_weight(y: Data, weights: str | Mapping[int, float]) -> Float[Array, "*batch m"]:
    """Sample weights from weights of the classes.

    Args:
        y: labels (..., m), 0/1.
        weights: {0: a, 1: b}, or "balanced": m / (2 m_c) for a class of m_c rows (King & Zeng 2001, Political Analysis 9,
            section 4.2), so that both classes weigh the same and the weights sum to m.

    Returns:
        sample_weight (..., m), the default float.

    Raises:
        TypeError: weights is neither, or labels are no real array.
        ValueError: weights are not those of 0 and 1, labels are not 0/1, or there are none; with "balanced", one class has no
            row.

    Example:
        >>> import numpy as np
        >>> class_weight(np.array([0, 0, 0, 1]), {0: 1.0, 1: 3.0}).tolist()
        [1.0, 1.0, 1.0, 3.0]
    """
    y = real_array("y", y)
    if 0 in np.shape(y) or not np.ndim(y):
        raise ValueError(f"expected labels (..., m), got shape {np.shape(y)}; pass those of all rows")
    if is_concrete(y) and not np.all(np.isin(np.asarray(y), (0, 1))):
        raise ValueError(f"expected labels 0/1, got {np.unique(np.asarray(y))[:5]}; pass y == k")
    if isinstance(weights, str):
        if weights != "balanced":
            raise ValueError(f'expected "balanced" or {{0: a, 1: b}}, got {weights!r}')
        if is_concrete(y) and np.any(np.ptp(np.asarray(y, np.int8), axis=-1) == 0):
            raise ValueError('expected both classes in y for "balanced", got one class; weigh one class by hand')
        return _balanced(y)
    if not isinstance(weights, Mapping):
        raise TypeError(f'expected weights "balanced" or {{0: a, 1: b}}, got {type(weights).__name__}; name both classes')
    numbers = all(isinstance(w, (int, float, np.integer, np.floating)) for w in weights.values())
    if set(weights) != {0, 1} or not numbers or not all(np.isfinite(w) and w >= 0 for w in weights.values()):
        raise ValueError(f"expected finite weights >= 0 for the classes 0 and 1, got {dict(weights)}")
    return _chosen(y, float(weights[0]), float(weights[1]))


@program()
def _balanced(y: Data) -> Float[Array, "*batch m"]:
    share_of_ones = jnp.mean(as_floating(y) == 1, axis=-1, keepdims=True, dtype=jnp.result_type(float))
    return _chosen(y, 0.5 / (1 - share_of_ones), 0.5 / share_of_ones)


@program()
def _chosen(y: Data, weight_0: ArrayLike, weight_1: ArrayLike) -> Float[Array, "*batch m"]:
    return jnp.where(as_floating(y) == 1, weight_1, weight_0)
