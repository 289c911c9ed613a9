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
from jaxtyping import Array, Float, Num

from jaxlr.batching.loops import in_groups
from jaxlr.batching.strategy import products_fit
from jaxlr.compilation.program import program
from jaxlr.engine.memory import models_side_by_side
from jaxlr.fitting.columns import check_enough_rows, fit_columns
from jaxlr.fitting.firth import fit_firth
from jaxlr.fitting.fit import fit
from jaxlr.inference.likelihood_ratio import ratio_test
from jaxlr.inference.limit import left_out_in_the_limit
from jaxlr.inference.profile import profile_tests
from jaxlr.inference.rank import dependences
from jaxlr.inference.score_test import score_test
from jaxlr.inference.tails import Test, chi_square_test, log_normal_tails
from jaxlr.inputs.checks import Data, checked, core_axes, real_array
from jaxlr.inputs.labels import hint_of_counts
from jaxlr.inputs.own_columns import checked_columns
from jaxlr.inputs.tables import check_aligned, column_names, is_concrete
from jaxlr.linalg.cholesky import inverse_root
from jaxlr.linalg.dot import dot
from jaxlr.model.logistic import curvature
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem, row_weights, weight_sum
from jaxlr.results.fit import Fit, raise_on_failure
from jaxlr.results.status import Status
from jaxlr.solvers.working import prepare, to_working, with_own


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
    k, dtype = len(given), common.dtype
    rows: dict[str, Any] = {
        name: None if value is None else real_array(name, value)
        for name, value in (("sample_weight", sample_weight), ("offset", offset))
    }
    _, _, batch = checked({"X": common if covariates is None else covariates, "y": labels, **rows})
    if batch:
        raise ValueError(f"expected one problem beside the columns, got batch axes {batch}; call once for each")
    check_enough_rows(common, sample_weight, np.ones(common.shape[1] + 1, bool), True)
    common, origin = _near_0(common, sample_weight)
    null, left_out = fit(common, labels, **rows), np.zeros(len(common), bool)
    if int(null.status) != Status.CONVERGED:
        left_out = left_out_in_the_limit(common, labels, sample_weight, column_names(covariates))
        if np.any(left_out):
            rows["sample_weight"] = np.where(left_out, 0, 1 if sample_weight is None else np.asarray(rows["sample_weight"]))
            check_enough_rows(common, rows["sample_weight"], np.ones(common.shape[1] + 1, bool), True)
            null = fit(common, labels, **rows)
    raise_on_failure(null)
    problem, small = Problem(common, labels, **rows), null
    if (held := dependences(null, problem)) is not None:  # beside the others alone the models are the same
        common = common[:, np.asarray(held.dependent) == 0]
        problem, small = Problem(common, labels, **rows), fit(common, labels, **rows)
    score = score_test(small, problem, given)

    chosen = ~(np.asarray(score.p_value) > promising) if promising < 1 else np.ones(k, bool)
    status = np.full(k, Status.NOT_RUN, np.int32)
    estimate, error, ratio = (np.full(k, np.nan, dtype) for _ in range(3))
    if np.any(chosen):
        own = given if np.all(chosen) else np.asarray(given)[chosen]
        fits = fit_columns(own, labels, covariates=common, batch_size=batch_size, progress=progress, **rows)
        status[chosen] = fits.status
        estimate[chosen], error[chosen] = _own(fits, own, problem)
        # of a constant one `fit_columns` knows that it is one, and not only that it is near the span of the others
        status[chosen & np.isnan(error) & (status == Status.CONVERGED)] = Status.STALLED
        ratio[chosen] = ratio_test(fits, small, problem, 1).statistic
    firth = status == Status.SEPARATED
    if np.any(firth):
        own = np.asarray(given)[firth]
        designs = np.concatenate([np.broadcast_to(common, (len(own), *common.shape)), own[:, :, None]], axis=2)
        fits = fit_firth(designs, labels, batch_size=batch_size, **rows)
        estimate[firth], error[firth] = _own(fits, own, problem)
        ratio[firth] = profile_tests(fits, Problem(designs, labels, **rows)).statistic.coef[:, -1]
        firth[np.flatnonzero(firth)] = np.asarray(fits.status) == Status.CONVERGED
    estimate, ratio = (np.where(np.isnan(error), np.nan, value) for value in (estimate, ratio))
    z = estimate / error
    log_p = np.asarray(log_normal_tails(z))
    wald = Test(z**2, 1, np.exp(log_p), log_p)
    null = replace(
        null, params=null.params._replace(intercept=null.params.intercept - dot(null.params.coef, jnp.asarray(origin)))
    )
    return Scan(score, estimate, error, wald, chi_square_test(ratio, 1), status, firth, null, left_out)


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


def _own(fits: Fit, columns: Any, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of the own columns, NaN where a model is not CONVERGED."""
    found = np.asarray(fits.status) == Status.CONVERGED
    errors = _own_errors(columns, fits.params, problem)
    return np.where(found, np.asarray(fits.params.coef)[:, -1], np.nan), np.where(found, errors, np.nan)


@program()
def _own_errors(columns: Num[Array, "k m"], params: Params, problem: Problem) -> Float[Array, " k"]:
    """Standard error of the own column's coefficient in every model: a corner of the inverse information.

    What the covariates give is one matrix product for all models of a group, as in `jaxlr.fitting.columns`.
    """
    common = problem.X
    columns = jnp.asarray(columns, common.dtype)
    m, c = common.shape
    with_products = products_fit(m, c + 1, 1, common.dtype.itemsize)
    working = prepare(common, None, True, with_products)
    w, total = row_weights(problem), weight_sum(problem)

    def one(member: tuple[Array, Params]) -> Array:
        own, mine = member
        design = with_own(working, own, None, True)
        x = to_working(Params(jnp.roll(mine.coef, 1), mine.intercept), design)
        z = design.A.times(x) + (0 if problem.offset is None else problem.offset)
        root = inverse_root(total * design.A.gram(w * curvature(z)))
        return jnp.sqrt(jnp.sum(root[:, 0] ** 2)) / design.unit[0]

    return in_groups(jax.vmap(one), (columns, params), models_side_by_side(m if with_products else m * (c + 1)))
