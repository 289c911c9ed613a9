"""Tables in, with names that are kept and that errors say; tables and dictionaries out."""

import jax
import numpy as np
import pandas as pd
import pytest

import jaxlr
from jaxlr import Problem, inference
from jaxlr.inputs.tables import table_numbers
from jaxlr.streaming import from_arrays

pytestmark = pytest.mark.usefixtures("x64")

X, Y, NAMES, _ = jaxlr.datasets.low_birth_weight()
TABLE = pd.DataFrame(X, columns=list(NAMES))
SERIES = pd.Series(Y)
L2 = np.logspace(0, -2, 8)


@pytest.fixture(scope="module")
def path():
    return jaxlr.fit(TABLE, SERIES, l2=L2)


@pytest.mark.slow
def test_a_table_is_its_numbers_and_the_fit_knows_the_names(path):
    bare = jaxlr.fit(X, Y, l2=L2)
    assert path.names == tuple(NAMES)
    assert bare.names is None
    for one, other in zip(jax.tree.leaves(path), jax.tree.leaves(bare), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(jaxlr.logits(path.params, TABLE), jaxlr.logits(path.params, X))


def test_columns_of_unlike_dtypes_are_floats():
    mixed = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] > 120, "c": pd.array(X[:, 4].astype(int), dtype="Int64")})
    expected = jaxlr.fit(np.column_stack([X[:, 0], X[:, 1] > 120, X[:, 4]]), Y, l2=0.1)
    labels = pd.Series(Y == 1, dtype="boolean")
    np.testing.assert_array_equal(jaxlr.fit(mixed, labels, l2=0.1).params.coef, expected.params.coef)


def test_large_integers_beside_float32_keep_their_digits():
    """Columns that hold pandas.NA were brought to float32, which has not 2^24 + 1, where NumPy has float64."""
    table = pd.DataFrame({"a": np.ones(2, np.float32), "b": pd.array([2**24 + 1, 3], dtype="Int64")})
    assert jaxlr.logits(jaxlr.Params(np.array([0.0, 1.0]), np.array(0.0)), table).tolist() == [2**24 + 1, 3]
    assert table_numbers("X", table[["a"]].assign(b=pd.array([1, None], "Int16"))).dtype == np.float32


@pytest.mark.parametrize("dtype", [">f8", np.longdouble, ">f4", ">i4"])
def test_arrays_that_jax_has_not_count_as_numbers(dtype):
    """As FITS files and instruments have them: an error of JAX or NumPy came of the bytes in the other order."""
    wanted, given = np.round(X).astype(np.dtype(dtype).newbyteorder("=")), np.round(X).astype(dtype)
    wanted = wanted.astype(np.float64) if dtype is np.longdouble else wanted
    params = jaxlr.Params(np.arange(X.shape[1]) / 100, np.array(0.0))
    np.testing.assert_array_equal(jaxlr.predict_proba(params, given), jaxlr.predict_proba(params, wanted))
    np.testing.assert_array_equal(
        jaxlr.fit(given, Y.astype(dtype), l2=0.1).params.coef, jaxlr.fit(wanted, Y, l2=0.1).params.coef
    )
    (proba,) = jaxlr.predict_stream(params, lambda: [given])
    np.testing.assert_allclose(proba, jaxlr.predict_proba(params, wanted), rtol=1e-6)
    stream = jaxlr.fit_stream(from_arrays(given, Y), l2=0.1)
    np.testing.assert_array_equal(stream.params.coef, jaxlr.fit_stream(from_arrays(wanted, Y), l2=0.1).params.coef)


@pytest.mark.slow
def test_names_reach_the_summary_and_the_figures(path):
    fit = jaxlr.fit(TABLE, SERIES)
    assert inference.summary(fit, Problem(TABLE, SERIES)).names == ("(Intercept)", *NAMES)
    legend = jaxlr.plots.coefficient_path(L2, path).get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} <= set(NAMES)
    one = jaxlr.fit(TABLE[["age", "lwt"]], SERIES, l2=0.1)
    assert jaxlr.plots.decision_boundary(one.params, TABLE[["age", "lwt"]], SERIES).get_ylabel() == "lwt"


@pytest.mark.slow
def test_every_road_to_a_fit_keeps_the_names():
    cv = jaxlr.cross_validate(TABLE, SERIES, l2=L2, folds=3, key=jax.random.key(0))
    assert cv.fits.names == cv.refit.names == tuple(NAMES)
    assert jaxlr.fit_bootstrap(jax.random.key(0), TABLE, SERIES, 3, l2=0.1).names == tuple(NAMES)
    assert jaxlr.fit_columns(X.T[:2], SERIES, covariates=TABLE[["smoke"]], l2=0.1).names == ("smoke", "column")
    assert jaxlr.fit(TABLE, SERIES, num_classes=2, l2=0.1).names == tuple(NAMES)
    assert jax.jit(lambda l2: jaxlr.fit(TABLE, SERIES, l2=l2))(0.1).names == tuple(NAMES)


def test_errors_name_the_column_and_the_row():
    table = TABLE.copy()
    table.loc[[17, 20, 30], "age"] = np.nan
    with pytest.raises(ValueError, match="column 'age' has 3 missing values, first at row 17; drop or impute"):
        jaxlr.fit(table, SERIES)
    table.loc[3, "ui"] = np.inf
    shuffled = table.iloc[::-1]
    with pytest.raises(ValueError, match=r"first at row 158 \(index 30\); column 'ui' has 1 missing or infinite value, first"):
        jaxlr.fit(shuffled, SERIES.iloc[::-1])
    with pytest.raises(ValueError, match="column 0 has 3 missing values, first at row 17"):
        jaxlr.fit(table.to_numpy(), SERIES)


def test_columns_that_are_no_numbers_are_named():
    table = TABLE.assign(sex="m", seen=pd.Timestamp("2020-01-01"), kind=pd.Categorical(["a"] * len(TABLE)))
    with pytest.raises(TypeError, match=r"numeric columns in X, got 'sex' \(.*\), 'seen' .*, 'kind' \(category\); convert"):
        jaxlr.fit(table, SERIES)


def test_rows_in_another_order_are_refused():
    with pytest.raises(ValueError, match=r"X and y with the same labels of the rows .* pass y.to_numpy\(\)"):
        jaxlr.fit(TABLE, SERIES.iloc[::-1])


@pytest.mark.slow
def test_a_path_is_a_table_with_a_row_for_each_model(path):
    table = path.to_pandas(l2=L2)
    assert table.shape == (8, 7 + len(NAMES))
    assert table.index.name == "model"
    assert (table.status == "CONVERGED").all()
    np.testing.assert_array_equal(table.l2, L2)
    np.testing.assert_array_equal(table.coef_smoke, path.params.coef[:, list(NAMES).index("smoke")])
    assert jaxlr.fit(X[:, :1], Y).to_pandas().shape == (1, 7)
    with pytest.raises(ValueError, match="broadcast"):
        path.to_pandas(l2=L2[:3])


@pytest.mark.slow
def test_a_batch_is_indexed_by_its_axes():
    fits = jaxlr.fit(X[:, :2], Y, l2=L2[:, None], sample_weight=np.ones((3, len(Y))))
    table = fits.to_pandas(l2=L2[:, None])
    assert table.index.names == ["model_0", "model_1"]
    assert table.loc[(2, 1), "l2"] == L2[2]
    assert table.loc[(2, 1), "coef_x0"] == fits.params.coef[2, 1, 0]


@pytest.mark.slow
def test_models_of_several_classes_have_a_column_for_each_class_and_column():
    fits = jaxlr.fit(TABLE[["age", "lwt"]], np.arange(len(Y)) % 3, num_classes=3, l2=L2)
    table = fits.to_pandas(l2=L2)
    own = [f"intercept_{k}" for k in range(3)] + [f"coef_{k}_{name}" for k in range(3) for name in ("age", "lwt")]
    assert table.columns.tolist() == ["l2", "status", "num_steps", "value", "kkt", "gap", *own]
    np.testing.assert_array_equal(table[own[:3]], fits.params.intercept)
    np.testing.assert_array_equal(table[own[3:]], np.reshape(fits.params.coef, (len(L2), 6)))
    np.testing.assert_array_equal(fits.to_dict()["coef"], fits.params.coef)


@pytest.mark.slow
def test_a_fit_is_a_dictionary_of_arrays(path):
    found = path.to_dict()
    assert set(found) == {"coef", "intercept", "value", "kkt", "gap", "status", "num_steps", "solver", "names"}
    assert all(isinstance(found[name], np.ndarray) for name in found if name not in ("solver", "names"))


@pytest.mark.slow
def test_a_cross_validation_is_a_table_of_penalties():
    cv = jaxlr.cross_validate(TABLE, SERIES, l2=L2, folds=3, key=jax.random.key(0), metrics=("roc_auc",))
    table = cv.to_pandas()
    assert table.columns.tolist() == [
        "l1", "l2", "log_loss", "log_loss_se", "roc_auc", "roc_auc_se", "num_converged", "best", "one_se"
    ]  # fmt: skip
    assert table.best.to_numpy().nonzero()[0].tolist() == list(cv.best)
    np.testing.assert_array_equal(table.l2, L2)
    assert (table.num_converged == 3).all()
    np.testing.assert_array_equal(cv.to_dict()["scores"]["log_loss"], cv.scores["log_loss"])
    assert f"best: l1 0, l2 {L2[cv.best]:.3g}" in str(cv)


@pytest.mark.slow
def test_a_summary_is_a_table_of_terms():
    table = inference.summary(jaxlr.fit(TABLE, SERIES), Problem(X, Y)).to_pandas()
    assert table.index.tolist() == ["(Intercept)", *NAMES]


@pytest.mark.slow
def test_what_has_no_rows_is_not_aligned_with_them():
    strengths, factors = pd.Series([0.1, 1.0]), pd.Series(np.arange(1.0, len(NAMES) + 1), index=list(NAMES))
    got = jaxlr.fit(TABLE, SERIES, l2=strengths, penalty_factor=factors)
    np.testing.assert_array_equal(got.params.coef, jaxlr.fit(X, Y, l2=strengths, penalty_factor=factors.to_numpy()).params.coef)
    with pytest.raises(ValueError, match="X and penalty_factor with the same labels of the columns"):
        jaxlr.fit(TABLE, SERIES, l2=0.1, penalty_factor=factors.iloc[::-1])


@pytest.mark.slow
def test_a_table_of_targets_has_a_row_for_each_and_the_labels_of_the_rows_of_x_as_columns():
    targets = pd.DataFrame({"low": Y, "not low": 1 - Y})
    with pytest.raises(ValueError, match=r"y\.T for a model of each column"):
        jaxlr.fit(TABLE, targets, l2=0.1)
    assert jaxlr.fit(TABLE, targets.T, l2=0.1).kkt.shape == (2,)
    with pytest.raises(ValueError, match="X and y with the same labels of the rows"):
        jaxlr.fit(TABLE, targets.T[targets.index[::-1]], l2=0.1)


def test_every_entrance_checks_the_labels():
    columns, backwards = TABLE[["age", "lwt"]].T, SERIES.iloc[::-1]
    for call in (jaxlr.fit_columns, jaxlr.association_scan):
        with pytest.raises(ValueError, match="columns and y with the same labels of the rows"):
            call(columns, backwards)
    with pytest.raises(ValueError, match="y and score with the same labels"):
        jaxlr.metrics.roc_auc(SERIES, TABLE.age.iloc[::-1])


def test_names_that_collide_are_refused():
    with pytest.raises(ValueError, match="got two named 'age'"):
        jaxlr.fit(TABLE.rename(columns={"lwt": "age"}), SERIES, l2=0.1)


def test_known_values_cannot_hide_a_column(path):
    with pytest.raises(ValueError, match="names that the table does not have, got kkt"):
        path.to_pandas(kkt=1.0)
