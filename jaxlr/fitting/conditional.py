"""Matched sets: conditional logistic regression, for one model or a batch (`jaxlr.model.conditional`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxlr.batching.axes import Core, cores_of, member_of
from jaxlr.batching.designs import prepare_design
from jaxlr.batching.lanes import Models
from jaxlr.batching.loops import over_members
from jaxlr.batching.program import rows_of_design
from jaxlr.compilation.program import program
from jaxlr.engine.arguments import Arguments, prepare
from jaxlr.engine.memory import models_side_by_side
from jaxlr.engine.plan import Call
from jaxlr.engine.run import run
from jaxlr.inputs.checks import Data, checked, core_axes, real_array
from jaxlr.inputs.tables import check_aligned, column_names, is_concrete
from jaxlr.model.params import Params
from jaxlr.model.problem import row_weights, within_strata
from jaxlr.model.strata import Strata, centered, strata_of
from jaxlr.results.fit import Fit
from jaxlr.solvers.solve import Member, Settings, solve_one
from jaxlr.solvers.working import units_of


def fit_conditional(
    X: Data,
    y: Data,
    strata: Any,
    *,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    l2: Data = 0.0,
    penalty_factor: Data | None = None,
    init: Params | None = None,
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> Fit:
    """Fit logistic regressions of matched sets by the exact conditional likelihood: pairs, one case of many, many of many.

    Every stratum has a constant of its own, which the condition on its number of cases takes away; there is no intercept. A
    stratum without a case or without a control says nothing about the coefficients; but its rows count in the sum of the
    weights that l2 is measured by. For standard errors, tests and tables give `jaxlr.inference` the Problem with the same
    strata: `wald`, `wald_test`, `odds_ratios`, `likelihood_ratio`, `summary`.

    Args:
        X: design (..., m, n). A column that is constant within every stratum, or varies by rounding alone (at most 16 eps of
            its size), has the coefficient 0.
        y: (..., m), 1 for cases and 0 for controls.
        strata: labels (m,) of any kind, tuples too, known outside jit, the same for rows of a matched set; all models have
            them. A series has the index of the tables.
        sample_weight: (..., m): a weight 0 leaves a row out, the others of a stratum have one weight, k for k such strata.
        offset, l2, penalty_factor, tol, max_steps, batch_size, progress: as in `jaxlr.fit`.
        init: as in `jaxlr.fit`; its intercept does not count.

    Returns:
        Fit, with solver "conditional", the intercept 0. `value` is minus the conditional log-likelihood over the sum of the
        weights of all rows, and the penalty; `kkt` is measured in deviations within strata; `gap` is finite where every column
        has an l2. SEPARATED where the likelihood increases for ever, as where some combination of the columns is larger in the
        cases than in the controls of every stratum; INVALID where no stratum has both. Logits rank the rows of a stratum;
        probabilities of single rows would need its constant.

    Raises:
        TypeError, ValueError, MemoryError, KeyboardInterrupt: as `jaxlr.fit`; labels other than 0 and 1; strata that are
            missing, tracers, or of rows in another order; weights that differ within a stratum; no stratum with a case and a
            control in any model.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[1], [0], [2], [4], [3], [1]]), np.array([1, 0, 1, 0, 1, 0])
        >>> fit = fit_conditional(X, y, strata=["a", "a", "b", "b", "c", "c"])
        >>> bool(fit.converged), round(float(fit.params.coef[0]), 3)
        (True, 0.226)

    References:
        Breslow & Day 1980, Statistical Methods in Cancer Research 1, chapter 7; Gail, Lubin & Rubinstein 1981, Biometrika 68
        (the recursion).
    """
    rows = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    check_aligned(rows | {"strata": strata}, core_axes() | {"strata": "m"})
    _check_hard(y)
    start = init._asdict() if isinstance(init, Params) else {}
    arrays, dtype, _ = checked(rows | {"l2": l2, "penalty_factor": penalty_factor} | start)
    n = arrays["X"].shape[-1]
    if not n:  # a column of zeros in their place, under a penalty of which nothing comes but a gap of 0
        l2 = np.ones(np.shape(l2))
        penalty_factor = None if penalty_factor is None else _one_column(penalty_factor, 1.0)
        init = init._replace(coef=_one_column(init.coef, 0.0)) if isinstance(init, Params) else init
    sets = _checked_strata(strata, arrays["y"], arrays.get("sample_weight"))
    given = Arguments(
        X=_within(arrays["X"], dtype, sets, arrays.get("sample_weight")),
        y=y,
        sample_weight=sample_weight,
        offset=offset,
        l2=l2,
        penalty_factor=penalty_factor,
        fit_intercept=False,
        init=init,
        solver="newton",
        tol=tol,
        max_steps=max_steps,
        batch_size=batch_size,
        progress=progress,
    )
    fits = run(_call_of_sets(prepare(given), sets, n, column_names(X)))
    return replace(fits, params=fits.params._replace(coef=fits.params.coef[..., :n]))


def _check_hard(y: Any) -> None:
    """Refuse labels that are neither 0 nor 1, where they are known."""
    values: Any = real_array("y", y)
    if is_concrete(values):
        values = np.asarray(values)
        other = values[(values != 0) & (values != 1) & (values == values)]  # noqa: PLR0124, a NaN is one of its model alone
        if other.size:
            raise ValueError(f"expected labels 0 or 1 of matched sets, got {other[0]}; cases are 1, controls 0")


def _checked_strata(labels: Any, y: Any, sample_weight: Any) -> Strata:
    """The strata, of no more cases than there are; weights that differ within strata refused."""
    strata = strata_of(labels, y.shape[-1])
    if sample_weight is not None and is_concrete(sample_weight):
        s = np.asarray(sample_weight, float)
        for block in strata.blocks:
            own = np.where(block >= 0, s[..., block], 0)
            least = np.min(own, axis=-1, where=own > 0, initial=np.inf)
            most = np.max(own, axis=-1)
            if np.any(mixed := (most > 0) & (least < most)):
                one = own[mixed][0]
                raise ValueError(
                    f"expected the same sample_weight in all rows of a stratum, or 0, got {one[one > 0].min()} and {one.max()} "
                    "in one of them; the weight of a matched set is that of each of its rows"
                )
    if not (is_concrete(y) and is_concrete(sample_weight)):
        return strata
    strata = strata.known(y, sample_weight)
    if not strata.blocks:
        raise ValueError(
            "expected a stratum with a case and a control of positive weight, got none, so that nothing can be compared; "
            "strata are the labels of matched sets, the same for all rows of one"
        )
    return strata


def _one_column(of_none: Any, value: float) -> np.ndarray:
    """A value for one column, with the batch axes of those for none at all (..., 0)."""
    return np.full((*np.shape(of_none)[:-1], 1), value)


def _within(X: Any, dtype: Any, strata: Strata, sample_weight: Any) -> Any:
    """The columns about their means within strata; where there is none, one of zeros, whose coefficient is 0."""
    known = not isinstance(X, jax.Array) and is_concrete(sample_weight)
    X = np.asarray(X, np.promote_types(X.dtype, dtype)) if known else jnp.asarray(X).astype(dtype)
    present = None
    if sample_weight is not None:
        s: Any = np.asarray(sample_weight, X.dtype) if known else jnp.asarray(sample_weight).astype(dtype)
        present = rows_of_design(X, s)
    X = centered(X, strata, present).astype(dtype)
    return X if X.shape[-1] else (np if known else jnp).zeros((*X.shape[:-1], 1), X.dtype)


def _call_of_sets(call: Call, strata: Strata, n: int, names: tuple[str, ...] | None) -> Call:
    """The call of models of matched sets, from that of models of their rows."""
    basis, coercive = call.traits.free, call.settings.coercive
    settings = call.settings._replace(
        solver="conditional",
        wide=False,
        large=False,
        products=False,
        one_by_one=False,
        basis=basis,
        unsure=not coercive and basis < call.traits.n,
    )
    return call._replace(
        program=_program,
        own=(strata,),
        own_cores=(jax.tree.map(lambda numbers: Core("sr"[: numbers.ndim], dtype=np.int32), strata),),
        settings=settings,
        traits=call.traits._replace(num_designs=call.traits.num_models),
        names=names,
        drawn=strata.numbers(call.traits.n),
    )


@program("batch", "settings")
def _program(models: Models, tol: Array, strata: Strata, batch: tuple[int, ...], settings: Settings) -> Fit:
    """The models of a chunk, those side by side that are worth their memory; every one about its own means."""
    cores = cores_of(settings.likelihood, settings.fit_intercept)

    def one(member: tuple[Array, ...]) -> Fit:
        mine = member_of(models, cores, batch, member)
        problem = within_strata(replace(mine.problem, strata=strata))
        present = None if problem.sample_weight is None else problem.sample_weight != 0
        working = prepare_design(problem, present, None, settings)
        units = units_of(working, row_weights(problem), False)
        return solve_one(Member(problem, working, units), mine.start, tol, settings)

    m, n = models.problem.X.shape[-2:]
    return over_members(one, batch, models_side_by_side(m * n + strata.numbers(n)))
