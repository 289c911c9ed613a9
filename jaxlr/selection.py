"""Cross-validation over penalties: every fold and every penalty is one model of one batch.

    score[fold, penalty] = metric on the rows that the fold holds out
    mean = average over folds        standard_error = sd over folds (1 / (k - 1)) / sqrt(k)

The one-standard-error rule takes the strongest penalty whose mean is within one standard error of the best (Hastie,
Tibshirani & Friedman, The Elements of Statistical Learning, 2009, section 7.10.1).
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr import metrics as metric_functions
from jaxlr.checks import Data, checked_arrays
from jaxlr.fitting import fit
from jaxlr.frames import data_frame
from jaxlr.model import Params, logits
from jaxlr.numerics import sigmoid
from jaxlr.resampling import stratified_kfold
from jaxlr.result import Fit
from jaxlr.status import Status


def _accuracy(y: Array, z: Array, sample_weight: Array) -> Array:
    return metric_functions.accuracy(y, (z >= 0).astype(jnp.int32), sample_weight=sample_weight)


# By name: the score of logits, and 1 where more is better or -1 where less is.
_METRICS: dict[str, tuple[Callable, int]] = {
    "log_loss": (lambda y, z, s: metric_functions.log_loss(y, z, sample_weight=s), -1),
    "accuracy": (_accuracy, 1),
    "brier": (lambda y, z, s: metric_functions.brier(y, sigmoid(z), sample_weight=s), -1),
    "roc_auc": (lambda y, z, s: metric_functions.roc_auc(y, z, sample_weight=s), 1),
    "average_precision": (lambda y, z, s: metric_functions.average_precision(y, z, sample_weight=s), 1),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Scores of every fold and penalty, and the choice.

    Attributes:
        fits: Fit of shape (k, *grid).
        scores: by metric, (k, *grid), on the held-out rows; NaN for a model that did not converge.
        mean: by metric, (*grid); NaN where a fold is.
        standard_error: by metric, (*grid).
        best: index of the best mean of the selecting metric, a tuple into the grid; None where no mean is a number.
        one_se: index of the strongest penalty within one standard error of the best; None likewise.
        refit: Fit on all rows at the chosen penalty; None when refit=False or nothing could be chosen.
        l1: strengths (*grid).
        l2: strengths (*grid).
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    fits: Any
    scores: Any
    mean: Any
    standard_error: Any
    best: Any = field(metadata={"static": True})
    one_se: Any = field(metadata={"static": True})
    refit: Any
    l1: Any
    l2: Any

    def __str__(self) -> str:
        count, *grid = np.shape(self.fits.status)
        lines = [f"{count} folds x {int(np.prod(grid, dtype=int))} penalties, grid {tuple(grid)}"]
        for label, at in (("best", self.best), ("one standard error", self.one_se)):
            if at is not None:
                scores = [f"{name} {mean[at]:.4g} +- {self.standard_error[name][at]:.2g}" for name, mean in self.mean.items()]
                lines.append(f"  {label}: l1 {self.l1[at]:.3g}, l2 {self.l2[at]:.3g} at {at}: {', '.join(scores)}")
        return "\n".join([*lines, str(self.fits)])

    def _repr_html_(self) -> str:
        """What notebooks show: the choice, and the card of the fits."""
        return f"<pre>{str(self).removesuffix(str(self.fits)).rstrip()}</pre>{self.fits._repr_html_()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as dictionaries of NumPy arrays, strings and None.

        Returns:
            The fields by name; "scores", "mean" and "standard_error" by metric, and fits as `Fit.to_dict` gives them.
        """
        by_metric = {"scores": self.scores, "mean": self.mean, "standard_error": self.standard_error}
        arrays = jax.tree.map(np.asarray, by_metric | {"l1": self.l1, "l2": self.l2})
        refit = None if self.refit is None else self.refit.to_dict()
        return arrays | {"best": self.best, "one_se": self.one_se, "fits": self.fits.to_dict(), "refit": refit}

    def to_pandas(self) -> Any:
        """A table with a row for each penalty.

        Returns:
            pandas.DataFrame: "l1", "l2", by metric the mean and its standard error ("log_loss", "log_loss_se"), how many folds
            converged, and whether it is the "best" or the "one_se" choice.

        Raises:
            ImportError: pandas is not installed.

        Example:
            >>> import jax, numpy as np
            >>> X, y = np.arange(12.0, dtype=np.float32)[:, None], np.arange(12) % 2
            >>> cv = cross_validate(X, y, l2=np.array([1.0, 0.1]), folds=3, key=jax.random.key(0))
            >>> list(cv.to_pandas().columns)
            ['l1', 'l2', 'log_loss', 'log_loss_se', 'num_converged', 'best', 'one_se']
        """
        grid = np.shape(self.l2)
        columns = {"l1": self.l1, "l2": self.l2}
        for name in self.mean:
            columns |= {name: self.mean[name], f"{name}_se": self.standard_error[name]}
        columns["num_converged"] = np.sum(np.asarray(self.fits.converged), axis=0)
        for name, at in (("best", self.best), ("one_se", self.one_se)):
            columns[name] = np.zeros(grid, bool)
            if at is not None:
                columns[name][at] = True
        return data_frame(columns, grid, "penalty")


def cross_validate(
    X: Data,
    y: Data,
    *,
    l1: Data = 0.0,
    l2: Data = 0.0,
    folds: int | Data = 10,
    key: Array | None = None,
    metrics: Sequence[str] = ("log_loss",),
    select: str = "log_loss",
    rule: str = "best",
    refit: bool = True,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    **options: Any,
) -> CrossValidation:
    """Fit every penalty on every fold in one call, score the held-out rows, choose, and refit on all rows.

    Args:
        X: design (m, n).
        y: labels (m,), 0/1.
        l1: strengths of the absolute penalty.
        l2: strengths of the squared penalty; l1 and l2 broadcast to the grid: l1 (a, 1) and l2 (b,) to (a, b), and
            `jaxlr.glmnet_path` to one path.
        folds: number of stratified folds (needs a key), or training weights (k, m): rows of weight 0 are held out.
        key: a key of `jax.random`, for an integer `folds`.
        metrics: names to score: "log_loss", "brier", "accuracy" (threshold 1/2), "roc_auc", "average_precision".
        select: the metric that chooses; it is scored even if `metrics` does not name it.
        rule: "best", or "one_se" for the strongest penalty, l1 + l2, within one standard error of the best.
        refit: whether to fit the chosen penalty on all rows.
        sample_weight: (m,) >= 0; counts in training and in the scores. None is 1.
        offset: (m,); None is 0.
        **options: further arguments of `jaxlr.fit`: penalty_factor, fit_intercept, standardize, init, solver, tol,
            max_steps.

    Returns:
        CrossValidation. A model that did not converge scores NaN, and its penalty cannot be chosen.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; an integer `folds` without key; unknown metric or rule; a fold that holds
            out nothing.

    Warns:
        UserWarning: a penalty has no score in some fold, and so cannot be chosen.

    Example:
        >>> import jax, numpy as np
        >>> from jaxlr.datasets import breast_cancer
        >>> X, y, *_ = breast_cancer()
        >>> X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
        >>> cv = cross_validate(X, y, l2=np.array([1.0, 1e-2]), folds=5, key=jax.random.key(0))
        >>> cv.best, cv.fits.converged.shape
        ((1,), (5, 2))
    """
    if isinstance(metrics, str):
        raise TypeError(f'expected metrics as a tuple of names, got the string "{metrics}"; write ("{metrics}",)')
    names = tuple(dict.fromkeys([*metrics, select]))
    if unknown := [name for name in names if name not in _METRICS]:
        raise ValueError(f"expected metrics among {', '.join(_METRICS)}, got {', '.join(map(repr, unknown))}")
    if rule not in ("best", "one_se"):
        raise ValueError(f'expected rule "best" or "one_se", got {rule!r}')
    fields = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    fields |= {"penalty_factor": options.get("penalty_factor")}
    _, batch = checked_arrays(fields)
    if batch:
        raise ValueError(
            f"expected one problem, X (m, n), y (m,) and so on, got batch axes {batch}; the grid is that of l1 and l2"
        )
    if not np.all(np.isin(np.asarray(y), (0, 1))):
        raise ValueError("expected labels 0/1 for the scores, got soft labels; round them, or score the fits yourself")
    training = _training_weights(folds, key, y, np.shape(X)[0])
    grid = np.broadcast_shapes(np.shape(l1), np.shape(l2))
    s = np.ones(np.shape(X)[0]) if sample_weight is None else np.asarray(sample_weight)

    per_fold = np.expand_dims(training * s, tuple(range(1, 1 + len(grid))))
    fits = fit(X, y, sample_weight=per_fold, offset=offset, l1=l1, l2=l2, **options)
    held_out = (training == 0) * s
    dtype = fits.kkt.dtype
    scores = _score(fits, *(jnp.asarray(a, dtype) for a in (X, y, held_out)), _maybe(offset, dtype), names)
    mean = {name: jnp.mean(score, axis=0) for name, score in scores.items()}
    count = training.shape[0]
    error = {name: jnp.std(score, axis=0, ddof=1) / count**0.5 for name, score in scores.items() if count > 1}
    error |= {name: jnp.full_like(mean[name], jnp.nan) for name in names if count == 1}

    strength = np.broadcast_to(np.asarray(l1) + np.asarray(l2), grid)
    best, one_se = _choose(np.asarray(mean[select] * _METRICS[select][1]), np.asarray(error[select]), strength)
    chosen = None
    if dropped := int(np.sum(np.isnan(np.asarray(mean[select])))):
        outcome = "nothing is chosen" if best is None else "the choice is among the others"
        warnings.warn(
            f"{dropped} of {strength.size} penalties lack a {select} in some fold: {outcome}; look at print(cv.fits)",
            stacklevel=2,
        )
    if best is not None and refit:
        at = best if rule == "best" else one_se
        chosen_l1, chosen_l2 = (np.broadcast_to(np.asarray(strengths), grid)[at] for strengths in (l1, l2))
        chosen = fit(X, y, sample_weight=sample_weight, offset=offset, l1=chosen_l1, l2=chosen_l2, **options)
    l1, l2 = (np.broadcast_to(np.asarray(strengths, dtype), grid) for strengths in (l1, l2))
    return CrossValidation(
        fits=fits, scores=scores, mean=mean, standard_error=error, best=best, one_se=one_se, refit=chosen, l1=l1, l2=l2
    )


def _training_weights(folds: int | Data, key: Array | None, y: Data, m: int) -> np.ndarray:
    if isinstance(folds, (int, np.integer)):
        if key is None:
            raise ValueError(f"expected a key for folds={folds}; pass key=jax.random.key(...), or weights (k, m) as folds")
        if not isinstance(key, jax.Array):
            raise TypeError(f"expected a key of jax.random, such as jax.random.key(0), got {key!r}")
        return np.asarray(stratified_kfold(key, np.asarray(y), int(folds)))
    try:
        training: np.ndarray = np.asarray(folds, float)
    except (TypeError, ValueError):
        training = np.empty(0)
    if training.ndim != 2 or training.shape[1] != m:
        form = f"weights (k, {m}), 0 where a row is held out"
        raise ValueError(f"expected folds to be an integer or {form}, got {type(folds).__name__} of shape {training.shape}")
    if not np.all(np.isfinite(training) & (training >= 0)):
        raise ValueError("expected finite training weights >= 0 in folds")
    if np.any(np.all(training != 0, axis=1)):
        raise ValueError("expected every fold to hold out rows (weight 0), got one without; bootstrap counts may lack them")
    return training


def _maybe(value: Data | None, dtype: jnp.dtype) -> Array | None:
    return None if value is None else jnp.asarray(value, dtype)


@functools.partial(jax.jit, static_argnames="names")
def _score(fits: Fit, X: Array, y: Array, held_out: Array, offset: Array | None, names: tuple[str, ...]) -> dict[str, Array]:
    """By metric, the score of every model (k, *grid) on its held-out rows (k, m)."""

    def of_one(params: Params, status: Array, s: Array) -> dict[str, Array]:
        z = logits(params, X, offset)
        return {name: jnp.where(status == Status.CONVERGED, _METRICS[name][0](y, z, s), jnp.nan) for name in names}

    scored = of_one
    for _ in range(fits.status.ndim - 1):
        scored = jax.vmap(scored, in_axes=(0, 0, None))
    return jax.vmap(scored)(fits.params, fits.status, held_out)


def _choose(
    goodness: np.ndarray, error: np.ndarray, strength: np.ndarray
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    if np.all(np.isnan(goodness)):
        return None, None
    best = np.unravel_index(np.nanargmax(goodness), goodness.shape)
    close = goodness >= goodness[best] - np.nan_to_num(error[best])  # NaN is not close
    one_se = np.unravel_index(np.argmax(np.where(close, strength, -np.inf)), strength.shape)
    return tuple(map(int, best)), tuple(map(int, one_se))
