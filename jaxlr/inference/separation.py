"""Whether a direction separates the classes, by linear programming: the proof behind the status SEPARATED.

    (2 y_i - 1) (x_i . d + d_0) >= 0  in every row,   > 0 in some row (quasi) or in all of them (complete)

Along such a direction the likelihood grows for ever, so that no finite estimate exists; without one it does (Albert &
Anderson 1984, Biometrika 71). Konis 2007, Linear programming algorithms for detecting separated data in binary logistic
regression models, section 4: maximize the sum of the margins, each between 0 and 1. A direction can be scaled until its
margins over 0 are all at least 1: in the optimum they are 1, and the others 0. The direction is then made orthogonal to the
rows of margin 0, as exactly as numbers are, and must have all others on their side still: what the tolerance of the linear
program let through is no proof.
"""

import numpy as np

from jaxlr.inputs.checks import Data, checked
from jaxlr.model.params import Params


def separation(X: Data, y: Data, sample_weight: Data | None = None, *, fit_intercept: bool = True) -> str:
    """Whether the classes are separated, by linear programming on the host.

    Args:
        X: design (m, n).
        y: labels (m,), 0/1 or soft; a soft label is a row of either class.
        sample_weight: (m,) >= 0; rows of weight 0 do not count.
        fit_intercept: whether the model has an intercept.

    Returns:
        "complete" (some direction has every row on its own side), "quasi" (on its own side or on the boundary), or "none":
        the estimate without a penalty exists. Margins under 1e-9 of the spread of the columns are not told from 0.

    Raises:
        TypeError, ValueError: no real arrays, shapes that do not fit, labels outside [0, 1], NaN, or no row of positive weight.
        RuntimeError: the solver of the linear program gave up.

    Example:
        >>> import numpy as np
        >>> separation(np.array([[0], [1], [2], [3]]), np.array([0, 0, 1, 1]))
        'complete'

    References:
        Albert & Anderson 1984, Biometrika 71, section 3; Konis 2007, section 4.
    """
    rows, _ = _signed_rows(X, y, sample_weight, fit_intercept)
    d, strict = _direction(rows)
    return "none" if d is None else "complete" if np.all(strict) else "quasi"


def separating_direction(X: Data, y: Data, sample_weight: Data | None = None, *, fit_intercept: bool = True) -> Params | None:
    """The proof of a separation: a direction that has every row on its own side or on the boundary, and as many as possible
    off it.

    Args:
        X: design (m, n).
        y: labels (m,), 0/1 or soft.
        sample_weight: (m,) >= 0.
        fit_intercept: whether the model has an intercept.

    Returns:
        Params, coef (n,) and intercept (), float64, its largest margin 1; None where nothing separates.

    Raises:
        TypeError, ValueError, RuntimeError: as `separation`.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 0, 1, 1])
        >>> direction = separating_direction(X, y)
        >>> bool(np.all((2 * y - 1) * (X @ direction.coef + direction.intercept) > 0))
        True

    References:
        Konis 2007, section 4.
    """
    rows, (center, scale) = _signed_rows(X, y, sample_weight, fit_intercept)
    d, _ = _direction(rows)
    if d is None:
        return None
    coef = d[: len(scale)] / scale
    intercept = d[-1] - coef @ center if fit_intercept else 0.0
    largest = np.max(np.abs(np.asarray(X, float) @ coef + intercept))
    return Params(coef / largest, np.float64(intercept / largest))


def _signed_rows(
    X: Data, y: Data, sample_weight: Data | None, fit_intercept: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Rows (2 y - 1) (x, 1) of columns that are centered and scaled, each once; center and scale."""
    given, _, batch = checked({"X": X, "y": y, "sample_weight": sample_weight})
    if batch:
        raise ValueError(f"expected one problem, X (m, n) and y (m,), got batch axes {batch}; call it for each")
    X, y = np.asarray(given["X"], float), np.asarray(given["y"], float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(given["sample_weight"], float)
    X, y = X[s > 0], y[s > 0]
    if not len(y):
        raise ValueError("expected rows of positive sample_weight, got none; give some row weight")
    if not (np.all(np.isfinite(X)) and np.all(np.isfinite(y))):
        raise ValueError("expected finite X and y, got NaN or infinity; drop or impute those rows")
    # Medians, so that a row far out does not squeeze the others together; then every row is divided by its largest entry, which
    # moves no margin across 0.
    center = np.median(X, axis=0) if fit_intercept else np.zeros(X.shape[1])
    away = np.abs(X - center)
    scale = np.nan_to_num(np.nanmedian(np.where(away > 0, away, np.nan), axis=0)) if np.any(away) else np.zeros(X.shape[1])
    scale = np.where(scale > 0, scale, 1)
    A = np.column_stack([(X - center) / scale, np.ones((len(y), int(fit_intercept)))])
    rows = np.concatenate([A[y > 0], -A[y < 1]])
    largest = np.max(np.abs(rows), axis=1, keepdims=True, initial=0)
    return np.unique(rows / np.where(largest > 0, largest, 1), axis=0), (center, scale)


def _direction(rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """A direction with as many margins over 0 as there can be, and which these are; None where there are none.

    Variables are d and a margin t_i in [0, 1] for each row: maximize sum t subject to rows d >= t.
    """
    from scipy.optimize import linprog  # takes as long to import as all of jaxlr
    from scipy.sparse import csr_array, eye_array, hstack

    m, k = rows.shape
    found = linprog(
        np.concatenate([np.zeros(k), -np.ones(m)]),
        A_ub=hstack([csr_array(-rows), eye_array(m)], format="csr"),
        b_ub=np.zeros(m),
        bounds=[(None, None)] * k + [(0, 1)] * m,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status != 0:
        raise RuntimeError(f"the linear program ended without an answer: {found.message}")
    d, strict = found.x[:k], found.x[k:] > 0.5
    if not np.any(strict):
        return None, strict
    if not np.all(strict):
        _, sizes, basis = np.linalg.svd(rows[~strict], full_matrices=False)
        basis = basis[sizes > max(m, k) * np.finfo(float).eps * sizes[0]]
        for _ in range(2):  # the second time takes away the rounding of the first
            d = d - basis.T @ (basis @ d)
    noise = 64 * k * np.finfo(float).eps * (np.abs(rows[strict]) @ np.abs(d))
    return (d, strict) if np.all(rows[strict] @ d > noise) else (None, strict)
