"""The table that people know: estimates, standard errors, z, p, and how well the model fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlr.inference.goodness import Goodness, goodness_of_fit
from jaxlr.inference.profile import profile_intervals, profile_tests
from jaxlr.inference.wald import wald
from jaxlr.model.problem import Problem
from jaxlr.results.display import data_frame
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_COLUMNS = ("estimate", "standard_error", "z", "p_value", "lower", "upper")
_HEADINGS = {"estimate": "Estimate", "standard_error": "Std. Error", "z": "z value", "p_value": "Pr(>|z|)", "lower": "lower",
             "upper": "upper"}  # fmt: skip
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class Summary:
    """A table of one model or of a batch, as plain NumPy arrays; `str` prints one model.

    Attributes:
        names: of the terms, the intercept first, as R has it.
        table: by column ("estimate", "standard_error", "z", "p_value", "lower", "upper"), each (..., terms). For Firth's
            estimates p_value, lower and upper are those of the profile penalized likelihood, and z is absent.
        goodness: see `goodness_of_fit`, each (...).
        level: of the intervals.
        status: int (...), see `jaxlr.Status`.
        solver: of the fit.
        num_steps: (...).
    """

    names: tuple[str, ...]
    table: dict[str, np.ndarray]
    goodness: Goodness
    level: float
    status: np.ndarray
    solver: str
    num_steps: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dictionary of strings, numbers and arrays.

        Returns:
            "terms" (names), each column of the table, each measure of fit, "level", "status" and "solver".
        """
        goodness = {name: np.asarray(value) for name, value in self.goodness._asdict().items()}
        return {"terms": list(self.names), **self.table, **goodness, "level": self.level, "status": self.status,
                "solver": self.solver}  # fmt: skip

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame, a row for each term; of a batch, with the index of the model in front.

        Returns:
            DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self.table, self.status.shape, "model", self.names)

    def __str__(self) -> str:
        if self.status.ndim:
            failed = int(np.sum(self.status != Status.CONVERGED))
            return f"Summary of {self.status.size} models, shape {self.status.shape}, {failed} not converged; see to_pandas()"
        status = Status(int(self.status))
        if status != Status.CONVERGED:
            return f"{status.name}: {status.advice}"
        shown = {name: [f"{value:.{3 if name == 'p_value' else 5}g}" for value in self.table[name]] for name in self.table}
        order = [name for name in _COLUMNS if name in shown]
        width = {name: max(len(_HEADINGS[name]), *(len(value) for value in shown[name])) + 2 for name in order}
        wide = max(map(len, self.names))
        lines = [" " * wide + "".join(f"{_HEADINGS[name]:>{width[name]}}" for name in order)]
        for i, term in enumerate(self.names):
            numbers = "".join(f"{shown[name][i]:>{width[name]}}" for name in order)
            lines.append(f"{term:<{wide}}{numbers} {_stars(self.table['p_value'][i])}".rstrip())
        g = Goodness(*map(float, self.goodness))
        null_df = g.df_residual + len(self.names) - (_INTERCEPT in self.names)
        steps = f"{int(self.num_steps)} steps of {self.solver}"
        lines += [
            "---",
            "Signif. codes: 0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1",
            "",
            f"    Null deviance: {g.null_deviance:.5g}  on {null_df:.6g} degrees of freedom",
            f"Residual deviance: {g.deviance:.5g}  on {g.df_residual:.6g} degrees of freedom",
            f"AIC: {g.aic:.5g}   BIC: {g.bic:.5g}   McFadden's R2: {g.mcfadden:.4f}",
            f"Log-likelihood: {g.log_likelihood:.6g}   {100 * self.level:.6g}% intervals   {steps}",
        ]
        return "\n".join(lines)


def summary(
    fit: Fit,
    problem: Problem,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    kind: str = "model",
    penalized: bool = False,
) -> Summary:
    """Summarize a fit as R's summary of a glm does; of Firth's estimates as logistf's does.

    Degrees of freedom and BIC count a row of weight k as k rows, where R counts one.

    Args:
        fit: by `jaxlr.fit` or `jaxlr.fit_firth`, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        names: n names of the columns; None takes those of the fit, and numbers them where it has none.
        level: of the intervals, in (0, 1).
        kind: of the covariance, as in `covariance`; for Firth's estimates of the standard errors alone.
        penalized: whether a fit with l2 > 0 is accepted, as in `covariance`.

    Returns:
        Summary.

    Raises:
        ValueError: as `wald`; the number of names is not that of the columns.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> table = summary(jaxlr.fit(X, y), jaxlr.Problem(X, y), names=["dose"])
        >>> table.names, round(float(table.table["p_value"][1]), 3)
        (('(Intercept)', 'dose'), 0.403)

    References:
        McCullagh & Nelder 1989, section 4.4; Heinze & Schemper 2002, Statistics in Medicine 21.
    """
    n = fit.params.coef.shape[-1]
    given_names = fit.names if names is None else names
    names = [f"x{column}" for column in range(n)] if given_names is None else list(given_names)
    if len(names) != n or isinstance(given_names, str):
        raise ValueError(f"expected {n} names, one a column, got {len(names)}")
    tests = wald(fit, problem, level=level, kind=kind, penalized=penalized)
    if fit.solver == "firth":
        interval = profile_intervals(fit, problem, level=level)
        found = {"estimate": fit.params, "standard_error": tests.standard_error, "p_value": profile_tests(fit, problem).p_value,
                 "lower": interval.lower, "upper": interval.upper}  # fmt: skip
    else:
        found = {name: getattr(tests, name) for name in _COLUMNS}

    def column(params: Any) -> np.ndarray:
        first = [np.asarray(params.intercept)[..., None]] if problem.fit_intercept else []
        return np.concatenate([*first, np.asarray(params.coef)], axis=-1)

    return Summary(
        names=(*([_INTERCEPT] if problem.fit_intercept else []), *names),
        table={name: column(params) for name, params in found.items()},
        goodness=Goodness(*map(np.asarray, goodness_of_fit(fit, problem, penalized=penalized))),
        level=level,
        status=np.asarray(fit.status),
        solver=fit.solver,
        num_steps=np.asarray(fit.num_steps),
    )


def _stars(value: float) -> str:
    return next((stars for most, stars in _STARS if value < most), "")
