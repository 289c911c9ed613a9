"""The table that people know: estimates, standard errors, z, p, and how well the model fits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inference.goodness import Goodness, goodness_of_fit
from jaxlr.inference.profile import profile_intervals, profile_tests
from jaxlr.inference.tails import chi_square_test
from jaxlr.inference.wald import wald
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.params import SoftmaxParams
from jaxlr.model.problem import Problem
from jaxlr.results.display import data_frame
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status

_COLUMNS = ("estimate", "standard_error", "z", "p_value", "lower", "upper")
_HEADINGS = {"estimate": "Estimate", "standard_error": "Std. Error", "z": "z value", "p_value": "Pr(>|z|)", "lower": "lower",
             "upper": "upper"}  # fmt: skip
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_INTERCEPT = "(Intercept)"
_CODES = ("---", "Signif. codes: 0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1")


@dataclass(frozen=True)
class Summary:
    """A table of one model or of a batch, as plain NumPy arrays; `str` prints one model.

    Attributes:
        names: of the terms, the intercept first, as R has it; of K classes those of every class but the base, class by class,
            such as "y=1: age".
        table: by column ("estimate", "standard_error", "z", "p_value", "lower", "upper"), each (..., terms). For Firth's
            estimates p_value, lower and upper are those of the profile penalized likelihood, and z is absent.
        goodness: see `goodness_of_fit`, each (...).
        level: of the intervals.
        status: int (...), see `jaxlr.Status`.
        solver: of the fit.
        num_steps: (...).
        classes: of several classes those that have a block of terms, else ().
        base: the class that they are compared with, None without one.
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
        return "\n".join(_blocks(self) if self.classes else [*_rows(self, self.names, slice(None)), *_ending(self)])


def summary(
    fit: Fit,
    problem: Problem,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    kind: str = "model",
    base: int | None = 0,
    penalized: bool = False,
) -> Summary:
    """Summarize a fit as R's summary of a glm does; of Firth's estimates as logistf's does; of several classes as statsmodels'
    MNLogit does, a block for every class against the base.

    Degrees of freedom and BIC count a row of weight k as k rows, where R counts one.

    Args:
        fit: by `jaxlr.fit` or `jaxlr.fit_firth`, its batch shape in front.
        problem: its data, each field with the batch axes that it had there.
        names: n names of the columns; None takes those of the fit, and numbers them where it has none.
        level: of the intervals, in (0, 1).
        kind: of the covariance, as in `covariance`; for Firth's estimates of the standard errors alone.
        base: of K classes the one that all are compared with, as in `covariance`.
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
    tests = wald(fit, problem, level=level, kind=kind, base=base, penalized=penalized)
    if fit.solver == "firth":
        interval = profile_intervals(fit, problem, level=level)
        found = {"estimate": fit.params, "standard_error": tests.standard_error, "p_value": profile_tests(fit, problem).p_value,
                 "lower": interval.lower, "upper": interval.upper}  # fmt: skip
    else:
        found = {name: getattr(tests, name) for name in _COLUMNS}
    terms = (*([_INTERCEPT] if problem.fit_intercept else []), *names)
    num_classes = math.prod(likelihood_of_params(fit.params).classes) if isinstance(fit.params, SoftmaxParams) else 0
    classes = tuple(k for k in range(num_classes) if k != base)

    def column(params: Any) -> np.ndarray:
        first = [np.asarray(params.intercept)[..., None]] if problem.fit_intercept else []
        whole = np.concatenate([*first, np.asarray(params.coef)], axis=-1)
        return whole[..., classes, :].reshape(*whole.shape[:-2], -1) if classes else whole

    return Summary(
        names=tuple(f"y={k}: {term}" for k in classes for term in terms) if classes else terms,
        table={name: column(params) for name, params in found.items()},
        goodness=Goodness(*map(np.asarray, goodness_of_fit(fit, problem, penalized=penalized))),
        level=level,
        status=np.asarray(fit.status),
        solver=fit.solver,
        num_steps=np.asarray(fit.num_steps),
        classes=classes,
        base=base if classes else None,
    )


def _rows(table: Summary, names: tuple[str, ...], where: slice) -> list[str]:
    """The lines of some terms, with their headings."""
    columns = {name: column[where] for name, column in table.table.items()}
    shown = {name: [f"{value:.{3 if name == 'p_value' else 5}g}" for value in columns[name]] for name in columns}
    order = [name for name in _COLUMNS if name in shown]
    width = {name: max(len(_HEADINGS[name]), *(len(value) for value in shown[name])) + 2 for name in order}
    wide = max(map(len, names))
    lines = [" " * wide + "".join(f"{_HEADINGS[name]:>{width[name]}}" for name in order)]
    for i, term in enumerate(names):
        numbers = "".join(f"{shown[name][i]:>{width[name]}}" for name in order)
        lines.append(f"{term:<{wide}}{numbers} {_stars(columns['p_value'][i])}".rstrip())
    return lines


def _ending(table: Summary) -> list[str]:
    """What stands under the terms of a binary model."""
    g = Goodness(*map(float, table.goodness))
    null_df = g.df_residual + len(table.names) - (_INTERCEPT in table.names)
    return [
        *_CODES,
        "",
        f"    Null deviance: {g.null_deviance:.5g}  on {null_df:.6g} degrees of freedom",
        f"Residual deviance: {g.deviance:.5g}  on {g.df_residual:.6g} degrees of freedom",
        f"AIC: {g.aic:.5g}   BIC: {g.bic:.5g}   McFadden's R2: {g.mcfadden:.4f}",
        f"Log-likelihood: {g.log_likelihood:.6g}   {_notes(table)}",
    ]


def _blocks(table: Summary) -> list[str]:
    """A model of several classes: what statsmodels prints above the terms, then a block for each class."""
    g = Goodness(*map(float, table.goodness))
    size = len(table.names) // len(table.classes)
    with_intercept = table.names[0].endswith(_INTERCEPT)
    df_model = (len(table.classes) - (table.base is None)) * (size - with_intercept)
    ratio = chi_square_test(jnp.asarray(2 * (g.log_likelihood - g.null_log_likelihood)), df_model) if df_model else None
    lines = [
        f"No. observations: {g.df_residual + df_model + with_intercept * (len(table.classes) - (table.base is None)):.6g}   "
        f"Df residuals: {g.df_residual:.6g}   Df model: {df_model}",
        f"Log-likelihood: {g.log_likelihood:.6g}   LL-null: {g.null_log_likelihood:.6g}   Pseudo R-squ.: {g.mcfadden:.4g}"
        + ("" if ratio is None else f"   LLR p-value: {float(ratio.p_value):.4g}"),
        f"AIC: {g.aic:.5g}   BIC: {g.bic:.5g}   {_notes(table)}",
    ]
    against = "" if table.base is None else f" against y={table.base}"
    for place, k in enumerate(table.classes):
        where = slice(place * size, (place + 1) * size)
        terms = tuple(name.removeprefix(f"y={k}: ") for name in table.names[where])
        lines += ["", f"y={k}{against}", *_rows(table, terms, where)]
    return [*lines, *_CODES]


def _notes(table: Summary) -> str:
    return f"{100 * table.level:.6g}% intervals   {int(table.num_steps)} steps of {table.solver}"


def _stars(value: float) -> str:
    return next((stars for most, stars in _STARS if value < most), "")
