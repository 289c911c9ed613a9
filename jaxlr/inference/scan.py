"""A complete association scan: one column after the other beside the same covariates, each with its tests.

    1. score tests of all columns, from the fit of the covariates alone
    2. fits of the promising columns (by default all), with Wald's and the likelihood-ratio test
    3. Firth's estimates, with their likelihood-ratio test, for the columns that separate the classes

as association studies do it (Chang et al. 2015, GigaScience 4, on PLINK; Mbatchou et al. 2021, Nature Genetics 53, on
REGENIE's fallback to Firth).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlr.fitting.columns import check_enough_rows
from jaxlr.fitting.fit import fit
from jaxlr.inference.fitted_columns import tests_of_columns
from jaxlr.inference.limit import left_out_in_the_limit
from jaxlr.inference.rank import dependences
from jaxlr.inference.score_test import score_test
from jaxlr.inference.tails import Test, chi_square_test, log_normal_tails
from jaxlr.inputs.checks import Data, checked, core_axes, real_array
from jaxlr.inputs.labels import hint_of_counts
from jaxlr.inputs.own_columns import checked_columns
from jaxlr.inputs.tables import check_aligned, column_names, is_concrete
from jaxlr.linalg.dot import dot
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit, raise_on_failure
from jaxlr.results.status import Status


@dataclass(frozen=True)
class Scan:
    """An association scan of k columns; NaN where a test was not made.

    Attributes:
        score: score tests of all columns.
        estimate: coefficient of each column (k,), by maximum likelihood, where that separates by Firth's.
        standard_error: (k,), of the information at the estimate.
        wald: tests z^2 of the estimates.
        likelihood_ratio: tests against the covariates alone; for Firth's estimates of the penalized likelihood.
        status: int32 (k,), of the fit by maximum likelihood; STALLED for a column that has no estimate, as one that is constant
            or a combination of covariates, and NOT_RUN where the column was not promising.
        firth: (k,), whether the estimate is Firth's.
        null: the Fit of the covariates alone, of the rows that are not left out.
        left_out: (m,), the rows that covariates predict perfectly, where these separate the classes.
    """

    score: Test
    estimate: Any
    standard_error: Any
    wald: Test
    likelihood_ratio: Test
    status: Any
    firth: Any
    null: Fit
    left_out: np.ndarray


def association_scan(
    columns: Data,
    y: Data,
    *,
    covariates: Data | None = None,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    promising: float = 1.0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Scan:
    """Test every column for association with y, beside covariates and an intercept.

    Args:
        columns: (k, m), one test each, such as genotypes 0, 1, 2; the floating dtype is that of everything else.
        y: labels (m,), 0/1, or shares of 1 as in `jaxlr.fit`, such as successes / trials with sample_weight = trials.
        covariates: (m, c), in every model; None is none.
        sample_weight: (m,) >= 0.
        offset: (m,), such as a prediction from the rest of a genome.
        promising: columns whose score test has a p-value up to this are fitted; 1 is all.
        batch_size: models at a time, as in `jaxlr.fit`.
        progress: whether to show a bar.

    Returns:
        Scan. A column that is constant, or a combination of covariates, has NaN for all its tests. A covariate that is so
        changes nothing for the others, nor does one that separates the classes in some rows: the tests are then those of the
        other rows without it, the limit of maximum likelihood, and a warning names it.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit_columns`, such as fewer rows of positive weight
            than parameters; covariates separate the classes in all rows; promising is not in (0, 1]; inside jit.
        SolverError: the fit of the covariates alone failed.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> genotypes, y = rng.binomial(2, 0.3, size=(20, 200)), rng.integers(0, 2, 200)
        >>> scan = association_scan(genotypes, y)
        >>> scan.score.p_value.shape, bool(np.all(scan.status == 0))
        ((20,), True)

    References:
        Balding 2006, Nature Reviews Genetics 7, box 3; Heinze & Schemper 2002, Statistics in Medicine 21.
    """
    if not all(is_concrete(value) for value in (columns, y, covariates, sample_weight, offset)):
        raise TypeError(
            "expected a call outside jit, for what is fitted depends on the tests before, got tracers; use jaxlr.fit_columns "
            "there"
        )
    if not (isinstance(promising, (int, float, np.integer, np.floating)) and 0 < promising <= 1):
        raise ValueError(f"expected promising to be a p-value in (0, 1], got {promising!r}")
    given, labels, common = _checked(columns, y, covariates, sample_weight, offset)
    rows: dict[str, Any] = {
        name: None if value is None else real_array(name, value)
        for name, value in (("sample_weight", sample_weight), ("offset", offset))
    }
    _, _, batch = checked({"X": common if covariates is None else covariates, "y": labels, **rows})
    if batch:
        raise ValueError(f"expected one problem beside the columns, got batch axes {batch}; call once for each")
    check_enough_rows(common, sample_weight, np.ones(common.shape[1] + 1, bool), True)
    common, origin = _near_0(common, sample_weight)
    null, rows, left_out = _null_model(common, labels, rows, column_names(covariates))
    raise_on_failure(null)
    problem, small = Problem(common, labels, **rows), null
    if (held := dependences(null, problem)) is not None:  # beside the others alone the models are the same
        common = common[:, np.asarray(held.dependent) == 0]
        problem, small = Problem(common, labels, **rows), fit(common, labels, **rows)
    score = score_test(small, problem, given)

    chosen = ~(np.asarray(score.p_value) > promising) if promising < 1 else np.ones(len(given), bool)
    status, estimate, error, ratio, firth = tests_of_columns(given, chosen, small, problem, batch_size, progress)
    z = estimate / error
    log_p = np.asarray(log_normal_tails(z))
    wald = Test(z**2, 1, np.exp(log_p), log_p)
    null = replace(
        null, params=null.params._replace(intercept=null.params.intercept - dot(null.params.coef, jnp.asarray(origin)))
    )
    return Scan(score, estimate, error, wald, chi_square_test(ratio, 1), status, firth, null, left_out)


def _null_model(
    common: np.ndarray, labels: Any, rows: dict[str, Any], names: tuple[str, ...] | None
) -> tuple[Fit, dict[str, Any], np.ndarray]:
    """The model of the covariates alone, weights and offset of its rows, and which rows (m,) covariates that separate the
    classes there left out."""
    null, left_out = fit(common, labels, **rows), np.zeros(len(common), bool)
    if int(null.status) != Status.CONVERGED:
        left_out = left_out_in_the_limit(common, labels, rows["sample_weight"], names)
        if np.any(left_out):
            s = 1 if rows["sample_weight"] is None else np.asarray(rows["sample_weight"])
            rows = rows | {"sample_weight": np.where(left_out, 0, s)}
            check_enough_rows(common, rows["sample_weight"], np.ones(common.shape[1] + 1, bool), True)
            null = fit(common, labels, **rows)
    return null, rows, left_out


def _checked(
    columns: Data, y: Data, covariates: Data | None, sample_weight: Data | None, offset: Data | None
) -> tuple[Any, Any, Float[np.ndarray, "m c"]]:
    """Columns (k, m), labels (m,) and covariates of one dtype."""
    check_aligned(
        {"columns": columns, "covariates": covariates, "y": y, "sample_weight": sample_weight, "offset": offset},
        core_axes() | {"columns": "m", "covariates": "mn"},
    )
    given, _ = checked_columns(columns, covariates, "test")
    k, m = given.shape
    labels = real_array("y", y)
    if labels.shape != (m,):
        hint = "; the axes look transposed, pass columns.T" if labels.shape == (k,) else hint_of_counts(labels.shape, m)
        raise ValueError(f"expected y ({m},) to match columns {given.shape}, got shape {labels.shape}{hint}")
    if covariates is not None and np.ndim(covariates) != 2:
        raise ValueError(f"expected covariates (m, c), got shape {np.shape(covariates)}; one is covariates[:, None]")
    floating = jnp.issubdtype(given.dtype, jnp.floating) and given.dtype.itemsize >= 4
    given = given if floating else np.asarray(given, jnp.zeros(0).dtype)
    common = np.zeros((m, 0)) if covariates is None else real_array("covariates", covariates)
    return given, labels, np.asarray(common, jax.dtypes.canonicalize_dtype(given.dtype))


def _near_0(common: np.ndarray, sample_weight: Data | None) -> tuple[np.ndarray, np.ndarray]:
    """Covariates less their medians among the rows of weight, which only the intercept feels: differences of numbers near each
    other are exact, and no digits of the logits are lost to their size."""
    there = np.ones(len(common), bool) if sample_weight is None else np.asarray(sample_weight) > 0
    origin = np.median(common[there], axis=0) if np.any(there) else np.zeros_like(common[0])
    return common - origin, origin
