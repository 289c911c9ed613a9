"""What is left of the likelihood where columns separate the classes: its limit along a separating direction.

    l(params + t d)  ->  the log-likelihood of the rows with x_i . d + d_0 = 0,    t -> infinity

Every other row is on its own side of d: it is predicted perfectly in the limit, and adds nothing to likelihood, score or
information. The d with the most such rows leaves others that nothing separates, for a d' that separated them would make
d + e d' one with more: these have an estimate, and the columns that make up d depend on the others there (Albert & Anderson
1984, Biometrika 71, section 3, on quasicomplete separation; Geyer 2009, Electronic Journal of Statistics 3, section 3, on
generic directions of recession; Correia, Guimaraes & Zylkin 2021, Verifying the existence of maximum likelihood estimates for
generalized linear models, section 3).
"""

import warnings
from collections.abc import Sequence

import numpy as np

from jaxlr.inference.separation import separated_rows
from jaxlr.inputs.checks import Data

_SHARE = 1e-6  # of the largest margin: what moves logits less is rounding of the linear program


def left_out_in_the_limit(X: np.ndarray, y: Data, sample_weight: Data | None, names: Sequence[str] | None) -> np.ndarray:
    """Rows that covariates, with an intercept, predict perfectly (m,); a warning says which covariates these are.

    Args:
        X: covariates (m, c), near 0.
        y: labels (m,).
        sample_weight: (m,), None is 1.
        names: of the covariates; None numbers them.

    Returns:
        Booleans (m,), none where nothing separates.

    Raises:
        ValueError: no row is left.
    """
    direction, rows = separated_rows(X, y, sample_weight)
    if direction is None:
        return rows
    there = np.ones(len(X), bool) if sample_weight is None else np.asarray(sample_weight) > 0
    moved = np.abs(direction.coef) * np.ptp(np.asarray(X, float)[there], axis=0)
    chosen = np.flatnonzero(moved > _SHARE * np.max(moved)).tolist()
    complete = np.array_equal(rows, there)
    if complete:  # whatever goes with one that does it alone is in the direction too
        alone = [j for j in chosen if separated_rows(X[:, [j]], y, sample_weight)[0] is not None]
        chosen = alone or chosen
    named = [repr(names[j]) if names else str(j) for j in chosen]
    them = "it" if len(named) == 1 else "them"
    which = f"covariate {named[0]}, which separates" if len(named) == 1 else f"covariates {', '.join(named)}, which separate"
    if complete:
        raise ValueError(
            f"expected covariates that leave some rows undecided, got {which} the classes completely in {np.sum(there)} rows "
            f"of {X.shape[1]} covariates and an intercept, so that no column has a test; drop {them}, or penalize {them}, with "
            "jaxlr.fit_columns(..., l2=l2, penalty_factor=factor)"
        )
    warnings.warn(
        f"{which} the classes in {np.sum(rows)} of {np.sum(there)} rows: the columns are tested on the others, in "
        f"the limit of maximum likelihood; drop {them} to test on all rows",
        stacklevel=3,
    )
    return rows
