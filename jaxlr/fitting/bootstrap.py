"""Fit bootstrap resamples whose weights are made inside the program.

Resample i (Efron 1979, Annals of Statistics 7) weights row r by the number of times that it was drawn; it is row i of
`jaxlr.bootstrap`, with clusters of `jaxlr.cluster_bootstrap`, a function of (key, i) alone. A chunk of resamples is drawn,
fitted and forgotten before the next, so that the weights of a million never stand in memory at once. Every resample starts from
the fit of all rows.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from jaxlr.batching.axes import Core
from jaxlr.batching.lanes import Models
from jaxlr.batching.loops import in_groups
from jaxlr.batching.program import fit_batch
from jaxlr.compilation.program import program
from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.memory import models_side_by_side
from jaxlr.engine.run import before, run
from jaxlr.fitting.fit import start_of
from jaxlr.inputs.checks import Data, DesignData, check_count, check_key, core_axes
from jaxlr.inputs.clusters import cluster_numbers
from jaxlr.inputs.tables import check_aligned
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Settings
from jaxlr.weights import resample


def fit_bootstrap(
    key: Array,
    X: DesignData,
    y: Data,
    num_samples: int,
    *,
    clusters: Data | None = None,
    num_classes: int | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    l1_group: Data = 0.0,
    groups: Data | None = None,
    lower: Data | None = None,
    upper: Data | None = None,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | SoftmaxParams | None = None,
    solver: str = "auto",
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    progress: bool = False,
) -> Fit:
    """Fit bootstrap resamples of one problem.

    Args:
        key: a key of `jax.random`; resample i depends on it only through ``jax.random.fold_in(key, i)``.
        X: design (m, n), sparse too.
        y: labels (m,), as in `jaxlr.fit`.
        num_samples: static, number of resamples k, >= 1.
        clusters: labels (m,) of any kind, as in `jaxlr.cluster_bootstrap`: whole clusters are drawn. None draws rows.
        sample_weight: (m,), multiplied by the counts.
        batch_size: resamples at a time, whose weights are all of them that stands in memory.
        num_classes, offset, l1, l2, l1_group, groups, lower, upper, penalty_factor, fit_intercept, standardize: as in
            `jaxlr.fit`, without axes.
        init, solver, tol, max_steps, mesh, progress: likewise; `init` is where the fit of all rows starts.

    Returns:
        Fit (k,). A resample that lacks a class, or whose classes are separated, says so in its status.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; batch axes; num_samples less than 1; clusters
            that `jaxlr.cluster_bootstrap` refuses.

    Example:
        >>> import jax
        >>> from jaxlr.datasets import two_moons
        >>> X, y = two_moons(jax.random.key(0), 40)
        >>> resamples = fit_bootstrap(jax.random.key(1), X, y, 100, l2=0.1)
        >>> resamples.params.coef.std(axis=0).shape, bool(resamples.converged.all())  # standard errors
        ((2,), True)

    References:
        Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 6.2 (standard errors).
    """
    check_count("num_samples", num_samples, 1)
    check_key(key)
    rows = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "clusters": clusters}
    check_aligned(rows, core_axes(num_classes) | {"clusters": "m"})
    given = Arguments(
        X=X,
        y=y,
        num_classes=num_classes,
        sample_weight=sample_weight,
        offset=offset,
        l1=l1,
        l2=l2,
        l1_group=l1_group,
        groups=groups,
        lower=lower,
        upper=upper,
        penalty_factor=penalty_factor,
        fit_intercept=fit_intercept,
        standardize=standardize,
        init=init,
        solver=solver,
        tol=tol,
        max_steps=max_steps,
        batch_size=batch_size,
        mesh=mesh,
        progress=progress,
    )
    call = prepare(given, models_per_problem=int(num_samples))
    if call.batch:
        raise ValueError(f"expected one problem, X (m, n), y (m,) and so on, got batch axes {call.batch}; map with jax.vmap")
    cluster, sizes = (None, None) if clusters is None else _clusters(clusters, call.traits.m)
    settings = call.settings._replace(large=False)  # resamples have weights
    many = call._replace(batch=(int(num_samples),), settings=settings, drawn=call.traits.m)
    with before(many):
        start = start_of(given)
    typed = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
    many = many._replace(
        program=_program,
        models=replace(call.models, start=start),
        own=(typed, np.arange(num_samples, dtype=np.int32), cluster, sizes),
        own_cores=(Core(""), Core("", dtype=np.int32), Core("m", dtype=np.int32), Core("g", dtype=np.int32)),
    )
    return run(many)


def _clusters(clusters: Data, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's cluster (m,), and how many rows each has (g,)."""
    cluster, num_clusters = cluster_numbers(clusters, m)
    return cluster, np.bincount(cluster, minlength=num_clusters).astype(np.int32)


@program("batch", "settings")
def _program(
    models: Models,
    tol: Array,
    key: Array,
    numbers: Int[Array, " k"],
    cluster: Int[Array, " m"] | None,
    sizes: Int[Array, " g"] | None,
    batch: tuple[int, ...],
    settings: Settings,
) -> Fit:
    """The resamples of a chunk, those side by side that are worth their memory."""
    del batch
    X, s = models.problem.X, models.problem.sample_weight
    s = jnp.ones(X.shape[0], X.dtype) if s is None else s
    units = X.shape[0] if sizes is None else sizes.shape[0]  # that are drawn

    def fit_group(numbers: Array) -> Fit:
        counts = jax.vmap(resample, in_axes=(None, 0, None))(key, numbers, units)
        counts = counts if cluster is None else counts[:, cluster]
        weighted = replace(models.problem, sample_weight=counts.astype(s.dtype) * s[None, :])
        return fit_batch(replace(models, problem=weighted, present=s > 0), tol, numbers.shape, settings)

    return in_groups(fit_group, numbers, models_side_by_side(X.shape[0]))
