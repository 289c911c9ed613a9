"""The table that people know: estimates, standard errors, z, p, and how well the model fits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxlr.inference.goodness import Goodness, goodness_of_fit
from jaxlr.inference.matched_sets import goodness_of_sets, sets_and_cases
from jaxlr.inference.over_models import check_given
from jaxlr.inference.printed import binary_text, multinomial_text
from jaxlr.inference.profile import profile_intervals, profile_tests
from jaxlr.inference.rank import dependences, equations
from jaxlr.inference.wald import wald
from jaxlr.inputs.checks import Data
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.problem import Problem
from jaxlr.results.display import data_frame
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_COLUMNS = ("estimate", "standard_error", "z", "p_value", "lower", "upper")
_INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class Summary:
    """A table of one model or of a batch, as plain NumPy arrays; `str` prints one model.

    Attributes:
        names: of the terms, the intercept first, as R has it.
        table: by column ("estimate", "standard_error", "z", "p_value", "lower", "upper"), each (..., terms), of K classes
            (..., classes, terms). For Firth's estimates p_value, lower and upper are those of the profile penalized likelihood,
            and z is absent.
        goodness: see `goodness_of_fit`, each (...).
        level: of the intervals.
        status: int (...), see `jaxlr.Status`.
        solver: of the fit.
        num_steps: (...).
        classes: of K classes those that have a block of the table: all but the base; of two classes in one logit ().
        base: that they are compared with; None where the parameters sum to 0 over the classes, or there is but one block.
        kind: of the covariance.
        dependent: which columns depend on those before them (..., n): they have errors of NaN, and as a rule coefficients of 0.
        equations: of one model, how, such as "x3 = x1 - x2"; of a batch ().
        sets: of one model with strata how many of them have a case and a control, and how many cases these have; else None.
    """

    names: tuple[str, ...]
    table: dict[str, np.ndarray]
    goodness: Goodness
    level: float
    status: np.ndarray
    solver: str
    num_steps: np.ndarray
    classes: tuple[int, ...] = ()
    base: int | None = None
    kind: str = "model"
    dependent: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    equations: tuple[str, ...] = ()
    sets: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dictionary of strings, numbers and arrays.

        Returns:
            "terms" (names), each column of the table, each measure of fit, "level", "status", "solver", "kind", "dependent",
            "equations" and "sets"; of K classes "classes" and "base" too.
        """
        goodness, test = self.goodness._asdict(), self.goodness.pearson
        goodness["pearson"] = None if test is None else test._asdict()
        of_classes = {"classes": list(self.classes), "base": self.base} if self.classes else {}
        return {"terms": list(self.names), **of_classes, **self.table, **goodness, "level": self.level,
                "status": self.status, "solver": self.solver, "kind": self.kind, "dependent": self.dependent,
                "equations": list(self.equations), "sets": self.sets}  # fmt: skip

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame, a row for each term, of K classes for each class and term; of a batch, with the
        index of the model in front.

        Returns:
            DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        inner = {"class": self.classes} if self.classes else {}
        return data_frame(self.table, self.status.shape, "model", inner | {"term": self.names})

    def __str__(self) -> str:
        if self.status.ndim:
            failed = int(np.sum(self.status != Status.CONVERGED))
            return f"Summary of {self.status.size} models, shape {self.status.shape}, {failed} not converged; see to_pandas()"
        status = Status(int(self.status))
        if status != Status.CONVERGED:
            return f"{status.name}: {status.advice}"
        goodness, steps = jax.tree.map(float, self.goodness), f"{int(self.num_steps)} steps of {self.solver}"
        lost = len(self.equations)
        num_slopes = len(self.names) - (_INTERCEPT in self.names) - lost
        free = len(self.classes) - (self.base is None)  # classes
        if not self.classes:
            text = binary_text(self.names, self.table, goodness, num_slopes, self.level, steps)
        else:
            sizes = free * num_slopes, free * (len(self.names) - lost)
            text = multinomial_text(self.names, self.classes, self.table, goodness, *sizes, self.level, steps)
        slopes = np.asarray(self.table["estimate"])[..., _INTERCEPT in self.names :]
        held = np.all(slopes == 0, axis=tuple(range(slopes.ndim - 1)))[self.dependent]
        notes = [
            f"Not determined{', held at 0' if zero else ''}: {line}" for zero, line in zip(held, self.equations, strict=True)
        ]
        kind = [] if self.kind == "model" else [f"Standard errors: {self.kind}"]
        sets = [f"{self.sets[0]} matched sets with a case and a control, {self.sets[1]} cases in them"] if self.sets else []
        return "\n".join([text, *sets, *kind, *notes])


def summary(
    fit: Fit,
    problem: Problem,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    kind: str = "model",
    clusters: Data | None = None,
    lags: int | None = None,
    small_sample: bool | str = True,
    base: int | None = 0,
    trials: Data | None = None,
    penalized: bool = False,
) -> Summary:
    """Summarize a fit as R's summary of a glm does; of Firth's estimates as logistf's does; of K classes as statsmodels'
    MNLogit does, a block for every class against the base; of matched sets with the measures of the conditional likelihood.

    Degrees of freedom and BIC count a row of weight k as k rows, where R counts one, unless trials are given. A column that
    depends on those before it is held at 0, as in R, and does not count; the text says how it depends on them.

    Args:
        fit: by `jaxlr.fit`, `jaxlr.fit_firth` or `jaxlr.fit_conditional`, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        names: n names of the columns; None takes those of the fit, and numbers them where it has none.
        level: of the intervals, in (0, 1).
        kind, clusters, lags, small_sample: of the covariance, as in `covariance`; for Firth's estimates of the standard errors
            alone.
        base: of K classes the one that all are compared with, as in `covariance`.
        trials: of rows that are groups, as in `goodness_of_fit`.
        penalized: whether a fit with l2 > 0 is accepted, as in `covariance`.

    Returns:
        Summary.

    Raises:
        TypeError: names are no strings.
        ValueError: as `wald`; the number of names is not that of the columns.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> table = summary(jaxlr.fit(X, y), jaxlr.Problem(X, y), names=["dose"])
        >>> table.names, round(float(table.table["p_value"][1]), 3)
        (('(Intercept)', 'dose'), 0.403)

    References:
        McCullagh & Nelder 1989, sections 4.4 and 5.2.4; Heinze & Schemper 2002, Statistics in Medicine 21.
    """
    check_given(fit, problem)
    if trials is not None and problem.strata is not None:
        raise ValueError("expected no trials with strata, whose cases are rows, got some; leave them out")
    n = fit.params.coef.shape[-1]
    names = _checked_names(fit.names if names is None else names, n)
    tests = wald(
        fit, problem, level=level, kind=kind, clusters=clusters, lags=lags, small_sample=small_sample, base=base,
        penalized=penalized,
    )  # fmt: skip
    if fit.solver == "firth":
        interval = profile_intervals(fit, problem, level=level)
        found = {"estimate": fit.params, "standard_error": tests.standard_error, "p_value": profile_tests(fit, problem).p_value,
                 "lower": interval.lower, "upper": interval.upper}  # fmt: skip
    else:
        found = {name: getattr(tests, name) for name in _COLUMNS}
    classes = tuple(k for size in likelihood_of_params(fit.params).classes for k in range(size) if k != base)

    def column(params: Any) -> np.ndarray:
        first = [np.asarray(params.intercept)[..., None]] if problem.fit_intercept else []
        whole = np.concatenate([*first, np.asarray(params.coef)], axis=-1)
        return whole[..., classes, :] if classes else whole

    def told(equation: str) -> str:
        constant = problem.strata is not None and equation.endswith(" = 0")
        return f"{equation.removesuffix(' = 0')} is constant within strata" if constant else equation

    if problem.strata is None:
        goodness = goodness_of_fit(fit, problem, trials=trials, penalized=penalized)
    else:
        goodness = goodness_of_sets(fit, problem, penalized)
    held = dependences(fit, problem)
    none = np.zeros((*np.shape(fit.status), n), bool)
    return Summary(
        names=(*([_INTERCEPT] if problem.fit_intercept else []), *names),
        table={name: column(params) for name, params in found.items()},
        goodness=jax.tree.map(np.asarray, goodness),
        level=level,
        status=np.asarray(fit.status),
        solver=fit.solver,
        num_steps=np.asarray(fit.num_steps),
        classes=classes,
        base=base if classes else None,
        kind=kind,
        dependent=none if held is None else np.asarray(held.dependent) == 1,
        equations=() if held is None or none.ndim > 1 else tuple(map(told, equations(held, names))),
        sets=None if problem.strata is None else sets_and_cases(problem),
    )


def _checked_names(names: Any, n: int) -> list[str]:
    """A name for each of n columns; None numbers them."""
    if names is None:
        return [f"x{column}" for column in range(n)]
    listed: list[Any] = list(names) if np.iterable(names) and not isinstance(names, str) else [None]
    if not all(isinstance(name, str) for name in listed):
        raise TypeError(f"expected {n} names of columns in a list of strings, got {names!r}; make strings of them with str")
    if len(listed) != n:
        raise ValueError(f"expected {n} names, one a column, got {len(listed)}; leave out that of the intercept")
    return listed
