"""The parameters of scikit-learn's two classes: what is allowed, in its words, and what they mean for the model.

Each parameter of its classes is taken, and the guide examples/scikit_learn.md has the table of what each does. The penalty is

    l1 = share / (C sum(s))        l2 = (1 - share) / (C sum(s))        share = l1_ratio, or 0 and 1 for penalty="l2" and "l1"

Those that choose or steer one of its solvers change no answer beyond `tol`, since the minimum is one: `solver`, `dual`,
`intercept_scaling` (an intercept is never penalized), `random_state`, `n_jobs`. Of the names of solvers two are ours too, and
liblinear's keeps what is about data: float64, and two classes.

Its FutureWarnings are kept where code that is written now will do something else, or fail, with scikit-learn 1.10. Defaults
are already those of 1.10, and need none.
"""

import warnings
from numbers import Number, Real
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

_OURS = {
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "multi_class": [StrOptions({"multinomial", "ovr"})],
    "lower": [Real, "array-like", None],
    "upper": [Real, "array-like", None],
    "groups": ["array-like", None],
}
# 1.10 takes penalty and n_jobs out of its own lists: what is not listed is not checked
CONSTRAINTS: dict[str, Any] = LogisticRegression._parameter_constraints | _OURS
CONSTRAINTS_CV: dict[str, Any] = (
    LogisticRegressionCV._parameter_constraints
    | _OURS
    | {"l1_ratios": ["array-like", None, Hidden(StrOptions({"warn"}))], "use_legacy_attributes": ["boolean"]}
)
_SOLVERS = {"newton-cholesky": "newton", "newton-cg": "newton_cg"}
_REACHED = 64  # units of rounding of the dtype: what the residual of a mean over rows comes down to
_PENALTY = (
    "'penalty' was deprecated in scikit-learn 1.8 and is gone from its 1.10. Use {ratio}=0 instead of penalty='l2', "
    "{ratio}=1 instead of penalty='l1', {ratio} between 0 and 1 instead of penalty='elasticnet', and C=inf instead of "
    "penalty=None."
)


def tolerance(estimator: Any, dtype: Any) -> float | None:
    """What `jaxlr.fit` is asked for: the tol of an estimator, or what the dtype can reach where that is more; 0 is that."""
    return None if estimator.tol is None else max(float(estimator.tol), _REACHED * float(np.finfo(dtype).eps))


def solver(estimator: Any, l1_ratio: Any) -> str:
    """The solver that is asked for by name, where there is no absolute penalty and no bound; else "auto"."""
    plain = estimator.groups is None and estimator.lower is None and estimator.upper is None and not np.any(l1_ratio)
    return _SOLVERS.get(estimator.solver, "auto") if plain else "auto"


def strength_and_share(estimator: Any) -> tuple[float, float]:
    """C, and the share of the absolute penalty, that `penalty`, `C` and `l1_ratio` of a `LogisticRegressor` mean.

    Args:
        estimator: with parameters as CONSTRAINTS has them.

    Raises:
        ValueError: penalty="elasticnet" without a share.

    Warns:
        FutureWarning: `penalty`, l1_ratio=None or `n_jobs` is given, which scikit-learn 1.10 refuses.
        UserWarning: two parameters contradict each other; the penalty holds.
    """
    penalty, ratio, C = vars(estimator)["penalty"], estimator.l1_ratio, float(estimator.C)
    if estimator.n_jobs is not None:
        _warn(
            f"'n_jobs' has no effect, and is gone from scikit-learn 1.10. You provided 'n_jobs={estimator.n_jobs}', please "
            "leave it unspecified.",
            FutureWarning,
        )
    if penalty == "deprecated":
        if ratio is None:
            _warn(
                "'l1_ratio=None' was deprecated in scikit-learn 1.8 and is refused by its 1.10. Use l1_ratio=0.", FutureWarning
            )
        return C, float(ratio or 0)
    _warn(_PENALTY.format(ratio="l1_ratio"), FutureWarning)
    if penalty == "elasticnet":
        if ratio is None:
            raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
        return C, float(ratio)
    if ratio is not None and 0 < ratio < 1:
        _warn(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})", UserWarning)
    if penalty is None:
        if C != 1:
            _warn("Setting penalty=None will ignore the C and l1_ratio parameters", UserWarning)
        return np.inf, 0.0
    share = float(penalty == "l1")
    if ratio != share:
        _warn(f"Inconsistent values: penalty={penalty} with l1_ratio={ratio}. Please use l1_ratio only.", UserWarning)
    return C, share


def shares(estimator: Any) -> np.ndarray:
    """The shares of the absolute penalty (r,) that `penalty` and `l1_ratios` of a `LogisticRegressorCV` mean.

    Raises and warns as `strength_and_share`; with legacy attributes there is a FutureWarning also where l1_ratios is not given,
    since their shapes will change.
    """
    penalty, ratios = vars(estimator)["penalty"], estimator.l1_ratios
    by_default = isinstance(ratios, str)
    if by_default and estimator.use_legacy_attributes:
        _warn(
            "The default value for l1_ratios will change from None to (0.0,) in scikit-learn 1.10, and attributes have an axis "
            "for it then. To avoid this warning, give l1_ratios=(0,), or use_legacy_attributes=False.",
            FutureWarning,
        )
    if penalty == "deprecated" and ratios is None:
        _warn("'l1_ratios=None' was deprecated in scikit-learn 1.8 and is refused by its 1.10. Use (0,).", FutureWarning)
    if penalty != "deprecated":
        _warn(_PENALTY.format(ratio="l1_ratios"), FutureWarning)
    given = None if by_default else ratios
    if penalty in ("l1", "l2"):
        if given is not None:
            _warn(f"l1_ratios parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})", UserWarning)
        given = (float(penalty == "l1"),) if given is None else given
    if penalty == "deprecated" and given is None:
        given = (0.0,)
    if given is None or len(given) == 0 or any(not isinstance(r, Number) or not 0 <= float(r) <= 1 for r in given):  # pyright: ignore[reportArgumentType]
        raise ValueError(f"l1_ratios must be an array-like of numbers between 0 and 1; got (l1_ratios={ratios!r})")
    return np.asarray(given, float)


def check_groups(groups: Any, l1_ratio: Any) -> None:
    """Refuse groups (n,), not None, that none of the shares l1_ratio of the penalty belongs to."""
    if groups is not None and not np.any(np.asarray(l1_ratio, float) != 0):
        raise ValueError(
            f"expected l1_ratio > 0 beside groups, whose share of the penalty it is, got {l1_ratio}; raise it, or leave groups"
        )


def _warn(message: str, kind: type[Warning]) -> None:
    warnings.warn(message, kind, stacklevel=5)  # this, the caller, fit, scikit-learn's wrapper of it, and then the line
