"""Cross-validation over penalties: every fold and every penalty is one model of one batch.

Scores are those of the rows that a fold holds out, by the models that it trains (`jaxlr.selection.held_out`).
With folds="loo" every row is a fold of its own, and one batch of models, the grid, stands for all of them
(`jaxlr.selection.leave_one_out`); errors are then those of a mean over the rows (`jaxlr.metrics.measures`).

The one-standard-error rule takes the strongest penalty whose mean is within one standard error of the best (Hastie,
Tibshirani & Friedman, The Elements of Statistical Learning, 2009, section 7.10.1).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.fitting.fit import fit
from jaxlr.inputs.checks import Data, DesignData, check_flag, checked_arrays, is_zero
from jaxlr.metrics.measures import Measure, measures
from jaxlr.model.likelihood import likelihood_of
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit
from jaxlr.selection.absent import fit_present, of_comparable_folds
from jaxlr.selection.folds import training_weights
from jaxlr.selection.held_out import scores_of_folds
from jaxlr.selection.leave_one_out import check_size, scores_of_rows
from jaxlr.selection.relaxed import check_gamma, relaxed
from jaxlr.selection.scores import CrossValidation, choose, grid_of


def cross_validate(
    X: DesignData,
    y: Data,
    *,
    l1: Data = 0.0,
    l2: Data = 0.0,
    l1_group: Data = 0.0,
    groups: Data | None = None,
    gamma: Data | None = None,
    folds: int | str | Data = 10,
    key: Array | None = None,
    metrics: Sequence[str] = ("log_loss",),
    select: str = "log_loss",
    rule: str = "best",
    refit: bool = True,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    num_classes: int | None = None,
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
) -> CrossValidation:
    """Fit every penalty on every fold in one call, score the held-out rows, choose, and refit on all rows.

    Args:
        X: design (m, n), sparse too.
        y: labels (m,), 0/1; with num_classes integers 0..num_classes - 1; soft labels as in `jaxlr.fit`, whose folds are those
            of the most probable class, scored as the hard ones they stand for.
        l1: strengths of the absolute penalty.
        l2: strengths of the squared penalty; l1, l2 and l1_group broadcast to the grid: l1 (a, 1) and l2 (b,) to (a, b), and
            `jaxlr.glmnet_path` to one path.
        l1_group: strengths of the norms of groups.
        groups: integers (n,), as in `jaxlr.fit`.
        gamma: the relaxed lasso, shares in [0, 1] that belong to the grid: 1 is the penalized estimate, 0 that of the columns
            it uses without a penalty, and between them both are blended; gamma (g, 1) and l1 (a,) to (g, a). None is 1.
        folds: number of stratified folds (needs a key); training weights (k, m): rows of weight 0 are held out, and a class
            that none of the others has gets probability 0 (`jaxlr.selection.absent`); or "loo" for approximate leave-one-out:
            each row is held out with all its weight, but the grid is fitted once, on all rows, and the logits of a row without
            itself are those of `jaxlr.inference.leave_one_out`. Rankings are those of all
            held-out logits. With `standardize` columns keep the deviations of all rows. Good where each row is one of many;
            where without one the classes are all but separated or l1 lets other columns in (few rows for the columns, weak
            penalties), scores can be far off.
        key: a key of `jax.random`, for an integer `folds`.
        metrics: names to score: "log_loss", "brier", "accuracy", "balanced_accuracy", "f1" (threshold 1/2), "roc_auc",
            "average_precision". Of more classes all but the last: the most probable class is predicted, "brier" sums over the
            classes, "f1" and "roc_auc" are means over the classes, the latter of each against the rest.
        select: the metric that chooses; it is scored even if `metrics` does not name it.
        rule: "best", or "one_se" for the strongest penalty, l1 + l2 + l1_group, within one standard error of the best; of
            several shares gamma the first.
        refit: whether to fit the chosen penalty on all rows.
        sample_weight: (m,) >= 0; counts in training and in the scores. None is 1.
        offset: (m,), with num_classes (m, K); None is 0.
        num_classes: K >= 2 for multinomial models, as in `jaxlr.fit`; None is the binary model.
        lower, upper, penalty_factor, fit_intercept, standardize, init, solver, tol, max_steps, batch_size, mesh, progress: as
            in `jaxlr.fit`; with "loo" no bounds, groups or gamma.

    Returns:
        CrossValidation. A model that did not converge scores NaN, and its penalty cannot be chosen; with "loo" neither can one
        whose Hessian is singular. With gamma < 1 fits are blends: kkt and gap the larger of both, value NaN. Standard errors
        are over the folds, with "loo" over the rows, and NaN for what is no mean over these.

    Raises:
        TypeError, ValueError: as `jaxlr.fit`; an integer `folds` without key; unknown metric or rule; a fold that holds
            out nothing; with "loo" soft labels, the rule "one_se" for what is no mean over rows, or models of more than 4,096
            coefficients (other than those that l1 holds at 0, or of more columns than rows with l2 alone).

    Warns:
        UserWarning: a penalty lacks a score in some fold, and cannot be chosen; or a fold lacks all, and the others choose.

    Example:
        >>> import jax, numpy as np
        >>> from jaxlr.datasets import breast_cancer
        >>> X, y, *_ = breast_cancer()
        >>> X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
        >>> cv = cross_validate(X, y, l2=np.array([1.0, 1e-2]), folds=5, key=jax.random.key(0))
        >>> cv.best, cv.fits.converged.shape
        ((1,), (5, 2))
        >>> cross_validate(X, y, l2=np.array([1.0, 1e-2]), folds="loo").best
        (1,)

    References:
        Rad & Maleki 2020, Journal of the Royal Statistical Society B 82 (approximate leave-one-out); Gatz & Smith 1995,
        Atmospheric Environment 29, 1185 (its standard errors under weights); Hastie, Tibshirani & Tibshirani 2020, Statistical
        Science 35, eq. 6 (the relaxed lasso).
    """
    loo = isinstance(folds, str) and folds == "loo"
    names, known = _metrics(metrics, select, num_classes)
    _check_rule(rule, refit)
    if loo:
        _check_rows(known[select], select, rule, not (lower is None and upper is None and gamma is None and is_zero(l1_group)))
    fields = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    of_columns = {"lower": lower, "upper": upper, "penalty_factor": penalty_factor}
    arrays, soft = _one_problem(fields | of_columns, num_classes, loo)
    data = Problem(arrays["X"], arrays["y"], offset=arrays.get("offset"), l1=None, l2=None, fit_intercept=fit_intercept)
    m = arrays["X"].shape[0]
    training = np.ones((1, m)) if loo else training_weights(folds, key, _classes(y) if soft else y, m)
    s = np.ones(m) if sample_weight is None else np.asarray(sample_weight)
    strengths: dict[str, Any] = {"l1": l1, "l2": l2, "l1_group": l1_group}
    penalties = strengths if gamma is None else strengths | {"gamma": check_gamma(gamma)}
    grid = grid_of(penalties)
    fit_models = functools.partial(
        fit, X, groups=groups, lower=lower, upper=upper, penalty_factor=penalty_factor, fit_intercept=fit_intercept,
        standardize=standardize, init=init, solver=solver, tol=tol, max_steps=max_steps, batch_size=batch_size, mesh=mesh,
        progress=progress,
    )  # fmt: skip

    def fitted(s: Any, gamma: Any = None, **strengths: Any) -> Fit:
        own = functools.partial(fit_models, y, num_classes=num_classes, offset=offset, sample_weight=s)
        fits, bounds = own(**strengths), {"lower": lower, "upper": upper}
        return fits if gamma is None else relaxed(own, fits, gamma, bounds, penalty_factor, replace(data, sample_weight=s))

    weights = np.expand_dims(training * s, tuple(range(1, 1 + len(grid))))
    whole = replace(data, sample_weight=weights, l1=l1, l2=l2, penalty_factor=arrays.get("penalty_factor"))
    if loo:
        check_size(whole, likelihood_of(num_classes))
    if num_classes is not None and fit_intercept and init is None and gamma is None and not (loo or soft):
        fits = fit_present(fit_models, np.asarray(arrays["y"]), arrays.get("offset"), num_classes, weights, **strengths)
    else:
        fits = fitted(weights, **penalties)
    if loo:
        scores, errors = scores_of_rows(fits, whole, names, standardize)
        mean, error = ({name: of_rows[0] for name, of_rows in both.items()} for both in (scores, errors))
        selecting, its_error, dropped = mean[select], error[select], np.isnan(mean[select])
    else:
        held_out = replace(data, sample_weight=((training == 0) * s).astype(fits.kkt.dtype))
        scores, mean, error = scores_of_folds(fits, held_out, names, soft)
        selecting, its_error, dropped = of_comparable_folds(scores[select], fits.converged, select)
    strength = np.broadcast_to(sum(map(np.asarray, strengths.values())), grid)
    best, one_se = choose(np.asarray(known[select].sign * selecting), np.asarray(its_error), strength)
    _warn_about_dropped(dropped, select if loo else f"{select} in some fold", best)
    chosen = None
    if refit and best is not None and one_se is not None:
        at = best if rule == "best" else one_se
        chosen = fitted(sample_weight, **{name: np.broadcast_to(values, grid)[at] for name, values in penalties.items()})
    penalties = {name: np.broadcast_to(np.asarray(values, fits.kkt.dtype), grid) for name, values in penalties.items()}
    penalties |= {"l1_group": None} if groups is None else {}
    return CrossValidation(
        fits=fits, folds="loo" if loo else len(training), scores=scores, mean=mean, standard_error=error, best=best,
        one_se=one_se, refit=chosen, **penalties,
    )  # fmt: skip


def _metrics(metrics: Sequence[str], select: str, num_classes: int | None) -> tuple[tuple[str, ...], dict[str, Measure]]:
    """The metrics to score by name, the selecting one among them, and all that there are for such models."""
    if isinstance(metrics, str) or not (np.iterable(metrics) and all(isinstance(name, str) for name in (*metrics, select))):
        raise TypeError(f'expected metrics as a tuple of names, got {metrics!r} to select by {select!r}; write ("accuracy",)')
    names, known = tuple(dict.fromkeys([*metrics, select])), measures(likelihood_of(num_classes))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"expected metrics among {', '.join(known)}, got {', '.join(map(repr, unknown))}")
    return names, known


def _check_rule(rule: str, refit: bool) -> None:
    check_flag("refit", refit)
    if not (isinstance(rule, str) and rule in ("best", "one_se")):
        raise ValueError(f'expected rule "best" or "one_se", got {rule!r}')


def _check_rows(measure: Measure, select: str, rule: str, beyond: bool) -> None:
    """Refuse what leave-one-out has no answer to: errors of what is no mean of rows, and penalties beyond l1 and l2."""
    if rule == "one_se" and measure.rows is None:
        raise ValueError(f'expected rule "best" to select by {select} with folds="loo", got "one_se": its score is no mean')
    if beyond:
        raise ValueError('expected no bounds, l1_group or gamma with folds="loo", got some; pass folds=10 and a key')


def _one_problem(fields: dict[str, Any], num_classes: int | None, loo: bool) -> tuple[dict[str, Any], bool]:
    """The fields of one problem as arrays, and whether its labels are soft."""
    arrays, batch = checked_arrays(fields, num_classes, sparse=not loo)
    if batch:
        raise ValueError(
            f"expected one problem, X (m, n) and so on, got batch axes {batch}; the grid is that of strengths and gamma"
        )
    soft = np.ndim(arrays["y"]) == 2 or (num_classes is None and not np.all(np.isin(np.asarray(fields["y"]), (0, 1))))
    if soft and loo:
        raise ValueError('expected labels 0/1, or of num_classes, with folds="loo", got soft labels; pass folds=10 and a key')
    return arrays, soft


def _classes(y: Data) -> np.ndarray:
    """The most probable class of soft labels, by which folds are stratified."""
    y = np.asarray(y)
    return y.argmax(axis=-1) if y.ndim == 2 else (y > 0.5).astype(int)


def _warn_about_dropped(dropped: Any, lacking: str, best: tuple[int, ...] | None) -> None:
    """Say how many penalties cannot be chosen."""
    if count := int(np.sum(dropped)):
        outcome = "nothing is chosen" if best is None else "the choice is among the others"
        warnings.warn(f"{count} of {np.size(dropped)} penalties lack a {lacking}: {outcome}; see print(cv.fits)", stacklevel=3)
