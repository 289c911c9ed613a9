"""Whether a direction separates the classes, by linear programming: the proof behind the status SEPARATED.

    (2 y_i - 1) (x_i . d + d_0) >= 0  in every row,   > 0 in some row (quasi) or in all of them (complete)

Along such a direction the likelihood grows for ever, so that no finite estimate exists; without one it does (Albert &
Anderson 1984, Biometrika 71). Konis 2007, Linear programming algorithms for detecting separated data in binary logistic
regression models, section 4: maximize the sum of the margins, each between 0 and 1. A direction can be scaled until its
margins over 0 are all at least 1: in the optimum they are 1, and the others 0. The direction is then made orthogonal to the
rows of margin 0, as exactly as numbers are, and must have all others on their side still: what the tolerance of the linear
program let through is no proof.

The columns are given to the linear program in an orthonormal basis. Of nearly dependent columns that keeps directions and
margins near 1, but what tells them apart is all cancellation: margins are known in twice the digits, as the data were given.
"""

import numpy as np

from jaxlr.inputs.checks import Data, DesignData, check_flag, checked
from jaxlr.model.params import Params


def separation(X: DesignData, y: Data, sample_weight: Data | None = None, *, fit_intercept: bool = True) -> str:
    """Whether the classes are separated, by linear programming on the host.

    Args:
        X: design (m, n).
        y: labels (m,), 0/1 or soft; a soft label is a row of either class.
        sample_weight: (m,) >= 0; rows of weight 0 do not count.
        fit_intercept: whether the model has an intercept.

    Returns:
        "complete" (some direction has every row on its own side), "quasi" (on its own side or on the boundary), or "none":
        the estimate without a penalty exists. Margins under 1e-9 of the spread of the columns are not told from 0, nor are
        columns within 1e-10 of the span of others from their combination.

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
    rows, _, (_, scale) = _signed_rows(X, y, sample_weight, fit_intercept)
    d, strict = _direction(rows, len(scale) + fit_intercept)
    return "none" if d is None else "complete" if np.all(strict) else "quasi"


def separating_direction(
    X: DesignData, y: Data, sample_weight: Data | None = None, *, fit_intercept: bool = True
) -> Params | None:
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
    return separated_rows(X, y, sample_weight, fit_intercept=fit_intercept)[0]


def separated_rows(
    X: DesignData, y: Data, sample_weight: Data | None = None, *, fit_intercept: bool = True
) -> tuple[Params | None, np.ndarray]:
    """The direction of `separating_direction`, and the rows (m,) that it has off the boundary: all that any direction has."""
    rows, which, (center, scale) = _signed_rows(X, y, sample_weight, fit_intercept)
    d, strict = _direction(rows, len(scale) + fit_intercept)
    if d is None:
        return None, np.zeros(len(which), bool)
    coef = d[: len(scale)] / scale
    intercept = d[-1] - coef @ center if fit_intercept else 0.0
    design = np.asarray(checked({"X": X, "y": y})[0]["X"], float)
    largest = np.max(np.abs(design @ coef + intercept))
    return Params(coef / largest, np.float64(intercept / largest)), (which >= 0) & strict[which]


def _signed_rows(
    X: DesignData, y: Data, sample_weight: Data | None, fit_intercept: bool
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Rows (2 y - 1) (x, 1) of columns that are centered and scaled, each once, and behind them what rounding took away from x;
    which of them stands for each row that was given, -1 for one without weight; center and scale."""
    check_flag("fit_intercept", fit_intercept)
    given, _, batch = checked({"X": X, "y": y, "sample_weight": sample_weight})
    if batch:
        raise ValueError(f"expected one problem, X (m, n) and y (m,), got batch axes {batch}; call it for each")
    X, y = np.asarray(given["X"], float), np.asarray(given["y"], float)
    s = np.ones(len(y)) if sample_weight is None else np.asarray(given["sample_weight"], float)
    which, given_rows = np.full(len(y), -1), np.flatnonzero(s > 0)
    X, y = X[s > 0], y[s > 0]
    if not len(y):
        raise ValueError("expected rows of positive sample_weight, got none; give some row weight")
    if not (np.all(np.isfinite(X)) and np.all(np.isfinite(y))):
        raise ValueError("expected finite X and y, got NaN or infinity; drop or impute those rows")
    # Medians, so that a row far out does not squeeze the others together; it is divided by its largest entry, which moves no
    # margin across 0. Units are powers of 2, so that no division rounds away what tells nearly dependent columns apart.
    center = np.median(X, axis=0) if fit_intercept else np.zeros(X.shape[1])
    A, lost = _sum(X, -center)
    away = np.abs(A).T
    scale = _power_of_2(np.array([np.median(column[column > 0]) if np.any(column) else 1.0 for column in away]))
    A = np.column_stack([A / scale, np.ones((len(y), int(fit_intercept))), lost / scale])
    rows = np.concatenate([A[y > 0], -A[y < 1]])
    rows, numbers = np.unique(rows / _power_of_2(np.maximum(_largest(rows), 1)), axis=0, return_inverse=True)
    which[np.concatenate([given_rows[y > 0], given_rows[y < 1]])] = numbers.ravel()  # of a soft label one: both are at 0
    return rows, which, (center, scale)


def _direction(rows: np.ndarray, k: int) -> tuple[np.ndarray | None, np.ndarray]:
    """A direction (k,) with as many margins over 0 as there can be, and which these are; None where there are none.

    Variables are d, in an orthonormal basis of the columns, and a margin t_i in [0, 1] for each row: maximize sum t subject to
    rows d >= t. In the columns themselves nearly dependent ones make d so large that the solver ends without an answer.
    """
    from scipy.optimize import linprog  # takes as long to import as all of jaxlr
    from scipy.sparse import csr_array, eye_array, hstack

    m, eps = len(rows), float(np.finfo(float).eps)
    _, sizes, basis = np.linalg.svd(rows[:, :k], full_matrices=False)
    kept = sizes > eps**0.75 * np.max(sizes, initial=0)
    if not np.any(kept):
        return None, np.zeros(m, bool)
    basis = basis[kept].T / sizes[kept]
    A = _product(rows, np.concatenate([basis, basis[: rows.shape[1] - k]]))
    unit = _power_of_2(_largest(A))
    A = A / unit
    r = A.shape[1]
    precise = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        np.concatenate([np.zeros(r), -np.ones(m)]),
        A_ub=hstack([csr_array(-A), eye_array(m)], format="csr"),
        b_ub=np.zeros(m),
        bounds=[(None, None)] * r + [(0, 1)] * m,
        method="highs",
        options=precise,
    )
    if found.status != 0:
        raise RuntimeError(f"expected an answer of the linear program, got none ({found.message}); give columns similar sizes")
    d, strict = found.x[:r], found.x[r:] > 0.5
    if not np.any(strict):
        return None, strict

    def proof(d: np.ndarray) -> np.ndarray | None:
        if not np.all(strict):
            _, sizes, on_boundary = np.linalg.svd(A[~strict], full_matrices=False)
            on_boundary = on_boundary[sizes > max(m, r) * eps * sizes[0]]
            for _ in range(2):  # the second time takes away the rounding of the first
                d = d - on_boundary.T @ (on_boundary @ d)
        margins, d = A @ d * unit[:, 0], basis @ d
        noise = 64 * k * eps * (np.abs(rows[:, :k]) @ np.abs(d))  # what rounding of the data can do
        return d if np.all(margins[strict] > noise[strict]) else None

    if (proved := proof(d)) is None:  # it may be far along a ray, where rounding hides margins: the shortest one that has these
        found = linprog(
            np.ones(2 * r), A_ub=np.hstack([-A, A]), b_ub=np.where(strict, -1.0, 0.0), method="highs", options=precise
        )
        proved = proof(found.x[:r] - found.x[r:]) if found.status == 0 else None
    return proved, strict


def _largest(rows: np.ndarray) -> np.ndarray:
    return np.max(np.abs(rows), axis=1, keepdims=True, initial=0)


def _power_of_2(x: np.ndarray) -> np.ndarray:
    """The one at or below; 1 for 0."""
    return np.where(x > 0, np.ldexp(0.5, np.frexp(x)[1]), 1)


def _sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b, and what rounding takes away from it (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    high = 134217729 * a - (134217729 * a - a)  # 2^27 + 1 (Dekker)
    return high, a - high


def _product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A B as in twice the digits, then rounded (Ogita, Rump & Oishi 2005, SIAM Journal on Scientific Computing 26, Dot2)."""
    total = rest = np.zeros((len(A), B.shape[1]))
    for a, b in zip(A.T[:, :, None], B, strict=True):
        (high, low), (other_high, other_low), product = _halves(a), _halves(b), a * b
        total, lost = _sum(total, product)
        rest = rest + lost + (((high * other_high - product) + high * other_low + low * other_high) + low * other_low)
    return total + rest
