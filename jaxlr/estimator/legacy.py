"""Attributes of a cross-validated estimator as scikit-learn had them before 1.10 (`use_legacy_attributes`)."""

from typing import Any

import numpy as np


def with_legacy_attributes(estimator: Any) -> None:
    """Lay out what a `LogisticRegressorCV` found by class.

    C_, l1_ratio_ become (1 or K,), coefs_paths_ and scores_ dictionaries by class of (k, c, r, n + 1) and (k, c, r), n_iter_
    becomes (1, k, c, r); the axis r is there where l1_ratios was given.

    Args:
        estimator: fitted, with the attributes of today.
    """
    ratios, paths = estimator.l1_ratios, np.moveaxis(estimator.coefs_paths_, 1, 2)  # (k, c, r, 1 or K, n + 1)
    scores, steps = (np.moveaxis(part, 1, 2) for part in (estimator.scores_, estimator.n_iter_))
    if ratios is None or isinstance(ratios, str):
        paths, scores, steps = paths[:, :, 0], scores[:, :, 0], steps[:, :, 0]
        estimator.l1_ratios_ = np.array([None])
    classes = estimator.classes_[1:] if len(estimator.classes_) == 2 else estimator.classes_
    estimator.coefs_paths_ = {label: paths[..., i, :] for i, label in enumerate(classes)}
    estimator.scores_ = {label: scores.copy() for label in classes}
    estimator.n_iter_ = steps[None]
    estimator.C_, estimator.l1_ratio_ = (np.full(len(classes), part) for part in (estimator.C_, estimator.l1_ratio_))
