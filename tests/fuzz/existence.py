"""Does a minimum exist? By linear programming on all directions that no penalty and no pair of bounds stops.

    maximize sum_i t_i      (own class against each other one) d >= t_i,   0 <= t_i <= 1,   |d_j| <= 1e3, 1e6, 1e8

A minimum exists exactly where the largest sum is 0 (Albert & Anderson 1984; a penalized direction costs more than the bounded
gain). Columns are those of the orthonormal basis of 80-bit arithmetic, and the margins that the program found are computed
again there: a margin of 1 against rounding of 1e8 eps.
"""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack

from tests.fuzz.exact import Model, take
from tests.fuzz.refine import basis_of

_LONGEST = (1e3, 1e6, 1e8)  # numbers of 1e8 in one row with others of 1 are no problem for a linear program but now and then


def separated(model: Model, which: np.ndarray) -> np.ndarray:
    """For each of these problems (numbers of the batch): 1 where the classes are separated, 0 where not, -1 where the program
    did not say."""
    own = take(model, which)
    A, loose = basis_of(own)
    n = loose.shape[1]
    added = np.zeros(A.shape[2] - n, bool)  # the intercept
    penalized = (own.l1 + own.l2 + own.by_group > 0) | (np.isfinite(own.lower) & np.isfinite(own.upper))
    answers = np.zeros(len(which), int)
    for i in range(len(which)):
        present = own.w[i] > 0
        free = np.append(~penalized[i], ~added)
        below = np.append(np.isfinite(own.lower[i]), added)[free]
        above = np.append(np.isfinite(own.upper[i]), added)[free]
        answers[i] = _answer(A[i][present][:, free], own.shares[i][:, present], below, above)
    return answers


def _answer(A: np.ndarray, shares: np.ndarray, below: np.ndarray, above: np.ndarray) -> int:
    """Of one problem: columns, labels (c, m), and which coefficients may only grow or only fall."""
    size = np.abs(A).max(axis=0, initial=0)
    A = A[:, size > 0] / size[size > 0]
    below, above = below[size > 0], above[size > 0]
    k = A.shape[1]
    if not k:
        return 0
    if len(shares) == 1:
        y = shares[0]
        rows = np.concatenate([A[y > 0], -A[y < 1]])
    else:
        K = len(shares)
        rows, below, above = _of_classes(A, shares), np.tile(below, K), np.tile(above, K)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = np.unique((rows / np.where(largest > 0, largest, 1)).astype(float), axis=0)
    known = -1
    for longest in _LONGEST:
        gained, d = _largest_sum(rows, longest, below, above, k if len(shares) > 1 else 0)
        if d is not None and gained > 0.5 and np.all(rows @ d >= -1e-8):
            return 1
        known = 0 if d is not None and gained < 1e-6 else -1
    return known


def _largest_sum(
    rows: np.ndarray, longest: float, below: np.ndarray, above: np.ndarray, k: int
) -> tuple[float, np.ndarray | None]:
    """The linear program: its value and direction, None where it ends without an answer. Of several classes the first k
    coefficients stay 0 where none is bounded: what is added to all classes alike moves no margin."""
    m, p = rows.shape
    limits = [(0.0 if b else -longest, 0.0 if a else longest) for b, a in zip(below, above, strict=True)]
    limits[:k] = [(0.0, 0.0) if limit[0] < 0 < limit[1] else limit for limit in limits[:k]]
    found = linprog(
        np.append(np.zeros(p), -np.ones(m)),
        A_ub=hstack([csr_array(-rows), eye_array(m)], format="csr"),
        b_ub=np.zeros(m),
        bounds=limits + [(0, 1)] * m,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return (-found.fun, found.x[:p]) if found.status == 0 else (np.nan, None)


def _of_classes(A: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """For each class that a row has, that class against every other one: (rows, K k)."""
    K, k = len(shares), A.shape[1]
    pairs = []
    for own in range(K):
        for other in range(K):
            if own != other:
                rows = np.zeros((int(np.sum(shares[own] > 0)), K, k), A.dtype)
                rows[:, own], rows[:, other] = A[shares[own] > 0], -A[shares[own] > 0]
                pairs.append(rows.reshape(-1, K * k))
    return np.concatenate(pairs)
