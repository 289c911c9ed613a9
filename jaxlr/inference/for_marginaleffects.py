"""A fit as the Python package marginaleffects takes it, for its grids, contrasts, hypotheses and figures of one model.

marginaleffects asks a model for coefficients, their covariance, and predictions of a table at any coefficients; it takes the
derivatives itself, by differences (Arel-Bundock, Greifer & Heiss 2024, Journal of Statistical Software 111).
"""

import importlib
from typing import Any

import numpy as np

from jaxlr.inference.covariance import covariance
from jaxlr.inference.fitted import estimates
from jaxlr.inference.over_models import check_given
from jaxlr.inputs.checks import real_array
from jaxlr.inputs.sparse import is_sparse, sparse_design, to_dense
from jaxlr.inputs.tables import column_names, in_order
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


def for_marginaleffects(fit: Fit, problem: Problem, table: Any, design: Any = None, *, penalized: bool = False) -> Any:
    """One fit as a model of marginaleffects (`pip install "jaxlr[marginaleffects]"`), for its `slopes`, `comparisons`, plots.

    Its `vcov` is True for "model", a kind of `jaxlr.inference.covariance` that needs no further argument, or the matrix that
    this returns. Weights of the fit are none of its averages: give them as its `wts`. Of K classes the group of an estimate is
    the number of its class. Its derivatives are differences: errors have about 6 digits, those of slopes 3.

    Args:
        fit: one model, CONVERGED.
        problem: its data, without offset.
        table: the rows of the fit, a DataFrame of pandas or polars with the variables that are asked about: numbers, or
            categories (no strings), which marginaleffects 0.6 reads with polars before 2.0.
        design: the `jaxlr.preprocessing.DesignMatrix` that X was made with; None where the columns of the table are those of X.
        penalized: as in `jaxlr.inference.covariance`.

    Returns:
        A marginaleffects ModelAbstract.

    Raises:
        ImportError: marginaleffects is not installed.
        TypeError: the table is no DataFrame.
        ValueError: a batch, a fit that is not CONVERGED or has parameters that are not determined; an offset; a table
            of other rows, or without a column of the fit; as `covariance`.

    Example:
        >>> import numpy as np, pandas as pd, jaxlr, marginaleffects
        >>> table = pd.DataFrame({"dose": [0.0, 1, 2, 3, 4, 5], "old": [1, 0, 0, 1, 0, 1]}, dtype="float32")
        >>> y = np.array([0, 1, 0, 1, 0, 1])
        >>> model = for_marginaleffects(jaxlr.fit(table, y), jaxlr.Problem(table, y), table)
        >>> slopes = marginaleffects.avg_slopes(model)
        >>> [slopes[name].round(2).to_list() for name in ("estimate", "std_error")]
        [[0.07, 0.31], [0.1, 0.38]]
    """
    try:
        classes = importlib.import_module("marginaleffects.classes")
        polars = importlib.import_module("polars")
    except ImportError as error:
        raise ImportError(
            'expected marginaleffects for for_marginaleffects, got no such package; pip install "jaxlr[marginaleffects]"'
        ) from error
    check_given(fit, problem)
    if np.ndim(fit.status):
        raise ValueError(f"expected one model, got a batch {np.shape(fit.status)}; take one by jax.tree.map")
    if problem.offset is not None:
        raise ValueError(
            "expected a fit without offset, which a table of marginaleffects has no place for, got one; fit without one"
        )
    likelihood = likelihood_of_params(fit.params)
    num_parameters = np.shape(fit.params.coef)[-1] + 1
    free = slice(num_parameters if likelihood.classes else 0, None)  # class 0 is the base
    names = _checked_table(fit, problem, table, design)
    data, types = _as_shown(in_order(table, names) if design is None else table, polars)

    def covariance_of(kind: str) -> np.ndarray:
        return np.asarray(covariance(fit, problem, kind=kind, penalized=penalized), float)[free, free]

    model_based = covariance_of("model")
    if not np.isfinite(model_based).all():
        raise ValueError(
            "expected a CONVERGED fit whose data determine all parameters, got NaN among its variances; look at its status, "
            "and drop dependent columns"
        )

    class Model(classes.ModelAbstract):
        """As marginaleffects sees it."""

        def validation(self) -> None:  # that of 0.6 refuses numbers that are not whole of polars 2.0
            self.validate_coef()
            self.validate_modeldata()
            self.vault.variables_type = types

        def get_exog(self, newdata: Any) -> np.ndarray:
            return _design_of(newdata, design, names)

        def get_vcov(self, vcov: Any = True) -> np.ndarray | None:
            if vcov is False or vcov is None:
                return None
            return model_based if vcov is True else covariance_of(vcov)

        def get_predict(self, params: np.ndarray, newdata: Any) -> Any:
            X = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
            # In float64, whatever the fit is in: it moves parameters by about 1e-8.
            whole = np.pad(np.asarray(params, float), (free.start, 0)).reshape(*likelihood.classes, num_parameters)
            return _predicted(X @ whole[..., :-1].T + whole[..., -1], polars)

    of_class = [""] if not likelihood.classes else [f" [{k}]" for k in range(1, *likelihood.classes)]
    coef = np.asarray(estimates(fit.params, 0), float).reshape(-1)[free]
    vault = classes.ModelVault(
        coef=coef,
        coefnames=np.array([name + k for k in of_class for name in [*names, "intercept"]]),
        formula=lambda newdata: (None, newdata),
        modeldata=data,
        package="jaxlr",
        variable_names=["P(y = 1)", *data.columns],
    )
    return Model(fit, vault)


def _as_shown(table: Any, polars: Any) -> tuple[Any, dict[str, str]]:
    """The table of polars, and what each column holds in marginaleffects' words."""
    data = table if isinstance(table, polars.DataFrame) else polars.from_pandas(table)
    data = data.cast({polars.Float32: polars.Float64})  # marginaleffects moves columns by 1e-4 of their range
    types = {column.name: _type_of(column) for column in data}
    if "character" in types.values() and int(polars.__version__.split(".")[0]) > 1:
        raise ValueError(
            "expected a table of numbers, got categories, which marginaleffects 0.6 reads with polars before 2.0; give it the "
            "numbers of the design"
        )
    return data, types


def _predicted(z: np.ndarray, polars: Any) -> Any:
    """Probabilities of logits (m,), or (m, K) class after class, as a table of polars."""
    from scipy.special import expit, softmax

    rows = {"rowid": np.arange(len(z), dtype=np.int32)}
    if z.ndim == 1:
        return polars.DataFrame(rows | {"estimate": expit(z)})
    classes = enumerate(softmax(z, axis=1).T)
    return polars.concat([polars.DataFrame(rows | {"group": [str(k)] * len(z), "estimate": p}) for k, p in classes])


def _checked_table(fit: Fit, problem: Problem, table: Any, design: Any) -> tuple[str, ...]:
    """Names of the columns of X, which a table, or its coding, has in the rows of the fit."""
    columns = column_names(table)
    if columns is None:
        raise TypeError(
            f"expected a DataFrame of pandas or polars, got {type(table).__name__}; make one of the X that was fitted"
        )
    n = np.shape(fit.params.coef)[-1]
    names = design.names if design is not None else fit.names or column_names(problem.X) or columns
    if len(names) != n:
        raise ValueError(f"expected a table of the {n} columns of the fit, got {len(names)}; leave the others out")
    X = real_array("X", to_dense(sparse_design(problem.X)) if is_sparse(problem.X) else problem.X)
    own = _design_of(table, design, names)
    if own.shape != X.shape or not np.array_equal(own.astype(X.dtype), np.asarray(X)):
        raise ValueError(
            "expected the table of the rows that were fitted, got one with other numbers; other rows are the newdata of the "
            "functions of marginaleffects"
        )
    return names


def _design_of(table: Any, design: Any, names: tuple[str, ...]) -> np.ndarray:
    """X of a table, by the names of its columns."""
    if design is not None:
        return np.asarray(design.transform(table.to_pandas() if hasattr(table, "to_pandas") else table).toarray())
    return np.asarray(in_order(table, names).to_numpy(), float)


def _type_of(column: Any) -> str:
    """As marginaleffects calls what a column of polars holds."""
    if not column.dtype.is_numeric():
        return "boolean" if str(column.dtype) == "Boolean" else "character"
    if np.isin(column.to_numpy(), [0, 1]).all():
        return "binary"
    return "integer" if column.dtype.is_integer() else "numeric"
