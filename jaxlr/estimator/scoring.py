"""Scores of the models of cross-validation on the rows that their folds hold out.

Scores that `jaxlr.estimator.scores` knows by name are computed for all models of a fold at once,

    z = X_held_out coef' + intercept + offset

and what scikit-learn's scorer would be given of each follows from z, so that both are the same to rounding. Other names,
functions and scorers score model by model; and so does a fold that lacks a class, where scikit-learn has its own way with what
is undefined.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import make_scorer
from sklearn.utils.validation import _check_method_params
from tqdm.auto import tqdm

from jaxlr.estimator.linear import log_probabilities
from jaxlr.estimator.rows import Rows
from jaxlr.estimator.scores import Score, folds_at_once, known_scores, scores_of


def held_out_scores(
    estimator: Any,
    params: tuple[np.ndarray, np.ndarray],
    converged: np.ndarray,
    rows: Rows,
    held_out: Sequence[Any],
    of_scorer: dict[str, Any],
) -> np.ndarray:
    """Score the models of every fold on the rows that it holds out; a bar shows them where the estimator is verbose.

    Args:
        estimator: a `LogisticRegressorCV` with `classes_`.
        params: coef (k, r, c, 1 or K, n) and intercept (k, r, c, 1 or K).
        converged: (k, r, c).
        rows: all of them.
        held_out: indices, or a mask, for each of k folds.
        of_scorer: what scorers are given beside, such as sample_weight (m,).

    Returns:
        (k, r, c); NaN where a model did not converge.

    Raises:
        Whatever the scorer does.
    """
    name, several = "accuracy" if estimator.scoring is None else estimator.scoring, len(estimator.classes_) > 2
    num_classes = len(estimator.classes_) if several else None
    known = known_scores(num_classes).get(name) if isinstance(name, str) and set(of_scorer) <= {"sample_weight"} else None
    known = None if known is not None and known.of_ones and estimator.classes_[-1] != 1 else known
    scorer, scores, folds = _scorer(estimator), np.full(converged.shape, np.nan), range(len(held_out))
    given = [_check_method_params(rows.X, of_scorer, indices=of_fold) if of_scorer else {} for of_fold in held_out]
    codes = [rows.codes[of_fold] for of_fold in held_out]
    offsets = [None if rows.offset is None else rows.offset[of_fold] for of_fold in held_out]
    by_metric, of = [], "" if known is None else known.of
    if known is not None:
        by_metric = [k for k in folds if _is_defined(known, codes[k], given[k], len(estimator.classes_))]
    there = converged[..., None]
    coef, intercept = np.where(there[..., None], params[0], 0), np.where(there, params[1], 0)  # no NaN to be scored
    with tqdm(total=int(converged.sum()), unit=" models", disable=not estimator.verbose) as bar:
        most_rows = max(map(len, codes))
        at_once = folds_at_once(len(by_metric), converged[0].size, most_rows, num_classes)
        for some in (by_metric[start : start + at_once] for start in range(0, len(by_metric), at_once)):
            judged = []
            for k in some:
                of_fold = (part[k].reshape(-1, *part.shape[3:]) for part in (coef, intercept))
                z = _logits(rows.X[held_out[k]], tuple(of_fold), offsets[k])
                judged.append(_judged(of, z, estimator.multi_class if several else ""))
            weights = [np.asarray(given[k].get("sample_weight", np.ones(len(codes[k])))) for k in some]
            scored = scores_of(name, [codes[k] for k in some], judged, weights, num_classes, most_rows)
            scores[some] = np.where(converged[some], scored.reshape(len(some), *converged.shape[1:]), np.nan)
            bar.update(int(converged[some].sum()))
        for k in sorted(set(folds) - set(by_metric)):
            X, y = rows.X[held_out[k]], rows.y[held_out[k]]
            for r, c in np.argwhere(converged[k]):
                model = estimator._of_fold(coef[k, r, c], intercept[k, r, c], offsets[k])
                scores[k, r, c] = scorer(model, X, y, **given[k])
                bar.update()
    return scores


def _is_defined(score: Score, codes: np.ndarray, given: dict[str, Any], num_classes: int) -> bool:
    """Whether the score of a fold is a matter of the metric alone."""
    by_class = np.bincount(codes, given.get("sample_weight"), num_classes)
    there = by_class.all() if score.every_class else by_class.any()
    return bool(there) and (score.weighted or not given)


def _logits(X: Any, params: tuple[np.ndarray, ...], offset: np.ndarray | None) -> np.ndarray:
    """Logits (models, h), or (models, h, K), of coef (models, 1 or K, n) and intercept, as in `decision_function`."""
    coef, intercept = params
    z = X @ coef.reshape(-1, coef.shape[-1]).T + intercept.ravel()
    z = np.moveaxis(z.reshape(-1, *intercept.shape), 0, 1)
    z = z if offset is None else z + offset.reshape(1, len(offset), -1)
    return z[..., 0] if z.shape[-1] == 1 else z


def _judged(of: str, z: np.ndarray, multi_class: str) -> np.ndarray:
    """What a scorer is given of models with these logits; for classes their numbers."""
    if of == "logits":
        return z
    if of == "predicted":
        return z.argmax(axis=-1) if multi_class else z > 0
    if of == "proba":
        proba = np.exp(log_probabilities(z, multi_class))
        return proba if multi_class else proba[..., 1]
    eps = np.finfo(z.dtype).eps  # scikit-learn's loss keeps probabilities within [eps, 1 - eps]
    if multi_class:
        return np.clip(log_probabilities(z, multi_class), np.log(eps), np.log1p(-eps))
    most = np.log1p(-eps) - np.log(eps)
    return np.clip(z, -most, most)


def _scorer(estimator: Any) -> Callable:
    """A scorer that knows all classes, also where the rows held out lack one."""
    scorer, classes = estimator._get_scorer(), estimator.classes_
    score = getattr(scorer, "_score_func", None)
    known = {} if score is None else inspect.signature(score).parameters
    if score is None or "labels" not in known:
        return scorer
    options = {"labels": classes} | ({"pos_label": classes[-1]} if "pos_label" in known and len(classes) == 2 else {})
    options |= scorer._kwargs
    return make_scorer(score, greater_is_better=scorer._sign == 1, response_method=scorer._response_method, **options)
