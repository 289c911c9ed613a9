"""Tables with categories become sparse designs, and further tables the same columns; what would be lost is refused."""

import pickle
import sys

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

import jaxlr
from jaxlr.preprocessing import design_matrix

pytestmark = pytest.mark.usefixtures("x64")

COLUMNS = {
    "age": [30.0, 41.0, 52.0, 33.0, 60.5, 20.0],
    "color": ["red", "blue", "red", "green", "blue", "red"],
    "member": [True, False, True, True, False, False],
    "year": [2001, 2002, 2003, 2002, 2001, 2003],
}
SIZES, SIZE = ["S", "M", "L", "XL"], list("SMLSML")
PANDAS = pd.DataFrame(COLUMNS | {"size": pd.Categorical(SIZE, categories=SIZES)})
POLARS = pl.DataFrame(COLUMNS | {"size": pl.Series(SIZE, dtype=pl.Enum(SIZES))})
TABLES = pytest.mark.parametrize("table", [PANDAS, POLARS], ids=["pandas", "polars"])
FORMULAS = [
    None, "age + color", "~ 0 + color + size", "color:size", "color + age:color", "C(year) + np.log(age)",
    "bs(age, df=4) + center(age)", "poly(age, degree=2)", "C(color, contr.sum) * member", ". - year",
    "scale(age) + C(color.str.upper())",
]  # fmt: skip


def rows_of(table, rows):
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


@TABLES
def test_every_column_and_level_has_a_name(table):
    design = design_matrix(table)
    assert isinstance(design.matrix, scipy.sparse.csc_array)
    assert design.matrix.dtype == np.float64
    levels = [*(f"color[{level}]" for level in ("blue", "green", "red")), *(f"size[{level}]" for level in SIZES)]
    assert design.names == ("age", *levels[:3], "member", "year", *levels[3:])
    design = design_matrix(table, penalized=False)
    assert design.names == ("age", "color[T.green]", "color[T.red]", "member", "year", "size[T.M]", "size[T.L]", "size[T.XL]")


@TABLES
@pytest.mark.parametrize("drop", [False, True])
def test_columns_are_those_of_get_dummies_and_of_the_one_hot_encoder(table, drop):
    design = design_matrix(table, penalized=not drop)
    dummies = pd.get_dummies(PANDAS, prefix_sep="[T." if drop else "[", drop_first=drop, dtype=float)
    named = pd.DataFrame(design.matrix.toarray(), columns=[name.rstrip("]") for name in design.names])
    pd.testing.assert_frame_equal(named[dummies.columns], dummies.astype(float))
    encoder = OneHotEncoder(categories=[["blue", "green", "red"], SIZES], drop="first" if drop else None)
    encoded = encoder.fit_transform(PANDAS[["color", "size"]])
    ours = [j for j, name in enumerate(design.names) if "[" in name]
    assert (design.matrix[:, ours] != encoded).nnz == 0


@TABLES
def test_interactions_are_products(table):
    age, color, size = np.array(COLUMNS["age"]), np.array(COLUMNS["color"]), np.array(SIZE)
    red, green, large = (1.0 * (color == "red"), 1.0 * (color == "green"), 1.0 * (size == "L"))
    design = design_matrix(table, "color + age:color + color:size")
    column = dict(zip(design.names, design.matrix.toarray().T, strict=True))
    assert len(column) == 3 + 3 + 12
    np.testing.assert_array_equal(column["age:color[red]"], age * red)
    np.testing.assert_array_equal(column["color[green]:size[L]"], green * large)
    design = design_matrix(table, "age * color", penalized=False)
    assert design.names == ("age", "color[T.green]", "color[T.red]", "age:color[T.green]", "age:color[T.red]")
    np.testing.assert_array_equal(design.matrix.toarray(), np.stack([age, green, red, age * green, age * red], axis=1))


@TABLES
def test_an_intercept_is_no_column_but_counts_for_the_coding(table):
    for formula in ("color", "~ color", "1 + color"):
        assert design_matrix(table, formula, penalized=False).names == ("color[T.green]", "color[T.red]")
    full = ("color[blue]", "color[green]", "color[red]")
    for formula in ("0 + color", "color - 1"):
        assert design_matrix(table, formula, penalized=False).names == full
    assert design_matrix(table, "color").names == full


@pytest.mark.slow
@pytest.mark.parametrize("penalized", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_pandas_and_polars_have_the_same_design(formula, penalized):
    one, other = (design_matrix(table, formula, penalized=penalized) for table in (PANDAS, POLARS))
    assert one.names == other.names
    np.testing.assert_array_equal(one.matrix.toarray(), other.matrix.toarray())
    np.testing.assert_array_equal(one.transform(POLARS).toarray(), one.matrix.toarray())


@pytest.mark.slow
@TABLES
@pytest.mark.parametrize("penalized", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_rows_keep_their_coding_whichever_rows_are_with_them(table, formula, penalized):
    design = design_matrix(table, formula, penalized=penalized)
    copied = pickle.loads(pickle.dumps(design))
    for rows in ([5, 4, 3, 2, 1, 0], [2], [0, 0, 5], []):
        for coding in (design, copied):
            matrix = coding.transform(rows_of(table, rows))
            np.testing.assert_array_equal(matrix.toarray(), design.matrix.toarray()[rows])


def test_a_spline_keeps_its_knots():
    design = design_matrix(PANDAS, "bs(age, df=5, degree=3, include_intercept=True)")
    np.testing.assert_allclose(design.matrix.toarray().sum(axis=1), 1, rtol=1e-14)
    between = design.transform(pd.DataFrame({"age": [25.0, 55.0]}))
    alone = [design.transform(pd.DataFrame({"age": [age]})).toarray()[0] for age in (25.0, 55.0)]
    np.testing.assert_array_equal(between.toarray(), alone)
    np.testing.assert_allclose(between.toarray().sum(axis=1), 1, rtol=1e-14)
    with pytest.raises(ValueError, match="bs"):
        design.transform(pd.DataFrame({"age": [99.0]}))


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
LEVELS = NAMES.filter(lambda level: not level.startswith("__"))


@st.composite
def tables(draw):
    m = draw(st.integers(1, 8))
    kinds = [st.floats(-1e6, 1e6), st.integers(-(2**40), 2**40), st.booleans(), LEVELS, st.sampled_from("abc")]
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    return pd.DataFrame({name: draw(st.lists(draw(st.sampled_from(kinds)), min_size=m, max_size=m)) for name in names})


@given(tables(), st.booleans(), st.randoms(use_true_random=False))
def test_the_rows_of_a_table_in_any_order_are_the_rows_of_the_matrix(table, penalized, random):
    levels = {name: sorted(set(values)) for name, values in table.items() if isinstance(values[0], str)}
    assume(penalized or len(levels) < table.shape[1] or any(len(of) > 1 for of in levels.values()))
    design = design_matrix(table, penalized=penalized)
    assert len(set(design.names)) == design.matrix.shape[1]
    expected = []
    for name, values in table.items():
        kept = levels.get(name, [None])[0 if penalized or name not in levels else 1 :]
        expected += [values == level if name in levels else values.astype(float) for level in kept]
    np.testing.assert_array_equal(design.matrix.toarray(), np.stack(expected, axis=1).astype(float))
    rows = list(range(len(table)))
    random.shuffle(rows)
    columns = list(table.columns)
    random.shuffle(columns)
    assert (design.transform(table.iloc[rows][columns]) != design.matrix[rows]).nnz == 0


@TABLES
def test_unknown_levels_are_refused_by_name(table):
    design = design_matrix(table, "age + color + C(year)")
    new = type(table)({"age": [1.0, 2.0, 3.0], "color": ["pink", "red", "mauve"], "year": [2001, 1999, 2002]})
    with pytest.raises(ValueError, match="levels that the first table had") as refusal:
        design.transform(new)
    for part in (
        "'color' has 'pink', 'mauve' in 2 rows, first at row 0; known are 'blue', 'green', 'red'",
        "'C(year)' has 1999 in 1 row, first at row 1; known are 2001, 2002, 2003",
        'unknown="zero"',
    ):
        assert part in str(refusal.value)


@TABLES
@pytest.mark.parametrize("penalized", [True, False])
def test_unknown_levels_become_zeros_where_that_was_asked_for(table, penalized):
    design = design_matrix(table, "age + color + C(year)", penalized=penalized, unknown="zero")
    new = type(table)({"age": [1.0, 2.0], "color": ["pink", "red"], "year": [2002, 1999]})
    rows = [dict(zip(design.names, row, strict=True)) for row in design.transform(new).toarray()]
    of, year = ("color[T.red]", "C(year)[T.2002]") if not penalized else ("color[red]", "C(year)[2002]")
    assert [{name: x for name, x in row.items() if x} for row in rows] == [{"age": 1, year: 1}, {"age": 2, of: 1}]
    assert (design.transform(table) != design.matrix).nnz == 0


def test_what_equals_a_level_only_nearly_is_no_silent_zero():
    design = design_matrix(pd.DataFrame({"a": [True, False]}), "C(a)")
    assert design.transform(pd.DataFrame({"a": [1, 0]})).toarray().tolist() == [[0, 1], [1, 0]]
    design = design_matrix(pd.DataFrame({"a": [1, 2]}), "C(a)")
    assert design.transform(pd.DataFrame({"a": [2.0, 1.0]})).toarray().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    "holes",
    [
        pd.DataFrame({"x": [1.0, 2.0, 3.0], "hole": [1.0, np.nan, np.nan]}),
        pd.DataFrame({"x": [1.0, 2.0, 3.0], "hole": ["a", None, np.nan]}),
        pd.DataFrame({"x": [1.0, 2.0, 3.0], "hole": pd.Categorical(["a", None, None])}),
        pd.DataFrame({"x": [1.0, 2.0, 3.0], "hole": pd.array([True, None, None], dtype="boolean")}),
        pd.DataFrame({"x": [1.0, 2.0, 3.0], "hole": pd.array([1, None, None], dtype="Int64")}),
        pl.DataFrame({"x": [1.0, 2.0, 3.0], "hole": [1.0, None, float("nan")]}),
        pl.DataFrame({"x": [1.0, 2.0, 3.0], "hole": ["a", None, None]}),
        pl.DataFrame({"x": [1.0, 2.0, 3.0], "hole": [True, None, None]}),
        pl.DataFrame({"x": [1.0, 2.0, 3.0], "hole": pl.Series(["a", None, None], dtype=pl.Enum(["a"]))}),
    ],
)
def test_missing_values_are_refused_where_they_are_used(holes):
    for formula in (None, "x + hole", "C(hole)", "x:hole", ".", "poly(hole, degree=2)"):
        with pytest.raises(ValueError, match="column 'hole' has 2 missing values, first at row 1"):
            design_matrix(holes, formula)
    design = design_matrix(holes, "x")
    assert design.matrix.toarray().tolist() == [[1.0], [2.0], [3.0]]
    whole = design_matrix(rows_of(holes, [0, 0]))
    with pytest.raises(ValueError, match="column 'hole' has 2 missing values"):
        whole.transform(holes)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.date_range("2020", periods=2), "datetime64"),
        ([pd.Timedelta(1), pd.Timedelta(2)], "timedelta64"),
        ([1, "a"], "mixed-integer objects"),
        ([b"a", b"b"], "bytes objects"),
        ([1j, 2j], "complex128"),
        ([[1], [2]], "mixed objects"),
    ],
)
def test_what_is_neither_number_nor_category_is_refused(column, kind):
    with pytest.raises(ValueError, match=f"column 'a' is of .*{kind}.*neither numbers nor text nor categories"):
        design_matrix(pd.DataFrame({"a": column}))


def test_dates_of_polars_are_refused():
    with pytest.raises(ValueError, match="column 'a' is of dtype datetime64"):
        design_matrix(pl.DataFrame({"a": [1, 2]}).select(pl.col("a").cast(pl.Date)))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array(["x", "y"], dtype="string"), [[1, 0], [0, 1]]),
        (pd.Series(["x", "y"], dtype=object), [[1, 0], [0, 1]]),
        (pd.Categorical(["y", "x"], categories=["y", "x"], ordered=True), [[1, 0], [0, 1]]),
        (pd.Categorical([2, 1]), [[0, 1], [1, 0]]),
        (pd.array([1, 200], dtype="UInt8"), [[1], [200]]),
        (pd.array([True, False], dtype="boolean"), [[1], [0]]),
        (pd.Series([True, False], dtype=object), [[1], [0]]),
        (pd.arrays.SparseArray([0.0, 2.0]), [[0], [2]]),
        (np.array([1.5, 2.5], np.float32), [[1.5], [2.5]]),
        (np.array([2**63, 1], np.uint64), [[2.0**63], [1]]),
    ],
)
def test_dtypes(column, expected):
    assert design_matrix(pd.DataFrame({"a": column})).matrix.toarray().tolist() == expected


def test_levels_of_a_categorical_of_polars_are_sorted():
    design = design_matrix(pl.DataFrame({"a": pl.Series(["y", "x"], dtype=pl.Categorical)}))
    assert design.names == ("a[x]", "a[y]")


def test_true_and_false_are_1_and_0_in_arithmetic_too():
    table = pd.DataFrame({"smoke": [True, True], "drink": [True, False]})
    assert design_matrix(table, "I(smoke + drink)").matrix.toarray().ravel().tolist() == [2, 1]
    assert design_matrix(table, "I(smoke - drink)").matrix.toarray().ravel().tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [pl.Int128, pl.Struct({"x": pl.Int64})])
def test_kinds_of_polars_that_numpy_lacks_matter_only_where_they_are_used(dtype):
    odd = [1, 2] if dtype == pl.Int128 else [{"x": 1}, {"x": 2}]
    table = pl.DataFrame({"a": [1, 2], "odd": pl.Series(odd, dtype=dtype)})
    assert design_matrix(table, "a").names == ("a",)


def test_products_of_integers_do_not_overflow():
    large = pd.DataFrame({"a": [3_000_000, 10], "year": [2001, 2002]})
    assert design_matrix(large, "a:a:a + I(a**4)").matrix.toarray()[0].tolist() == [3e6, 81e24]
    assert design_matrix(large, "C(year)").names == ("C(year)[2001]", "C(year)[2002]")
    table = pd.DataFrame({"a": np.array([200, 250], np.uint8), "b": np.array([2**62, 2**61])})
    assert design_matrix(table, "a:b + b:I(b)").matrix.toarray().tolist() == [
        [200 * 2.0**62, 2.0**124],
        [250 * 2.0**61, 2.0**122],
    ]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ age", "right-hand side"),
        ("age | color", "right-hand side"),
        ("age +", "formula of formulaic"),
        ("hight", "columns 'age', 'color', 'member', 'year', 'size'.*hight"),
        ("1", "beside the intercept"),
        ("np.log(age - 30)", "finite numbers.*'np.log\\(age - 30\\)' \\(2 rows\\)"),
        ("C(color, levels=['red', 'blue'])", "'green' in 1 row"),
        ("age.nothing()", "nothing"),
        ("color.str.(age)", "formula of formulaic"),
    ],
)
@TABLES
def test_formulas_that_cannot_be_followed_are_refused(table, formula, message):
    with pytest.raises(ValueError, match=message):
        design_matrix(table, formula)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"a": ["__x", "y"]}), "begin with '__'"),
        (pd.DataFrame({"a": pd.Categorical([1, "1"], categories=[1, "1"])}), "names differ"),
        (pd.DataFrame({"a": ["x", "y"], "a[x]": [1, 2]}), "two named 'a\\[x\\]'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two named 'a'"),
        (pd.DataFrame({"a": [np.inf, 1.0]}), "finite numbers.*'a'"),
    ],
)
def test_tables_whose_columns_would_be_lost_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        design_matrix(table)


def test_further_tables_have_the_columns_of_the_first_in_their_kinds():
    design = design_matrix(PANDAS, "age + color")
    with pytest.raises(ValueError, match="column 'color' is not in the table"):
        design.transform(PANDAS[["age"]])
    with pytest.raises(ValueError, match="column 'age' holds categories, and held numbers"):
        design.transform(PANDAS.assign(age="old"))
    assert (design.transform(PANDAS[["color", "age"]]) != design.matrix).nnz == 0


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="DataFrame of pandas or polars, got ndarray"):
        design_matrix(np.ones((2, 2)))
    with pytest.raises(ValueError, match='"refuse" or "zero"'):
        design_matrix(PANDAS, unknown="ignore")


def test_without_formulaic_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "formulaic", None)
    with pytest.raises(ImportError, match=r"jaxlr\[formula\]"):
        design_matrix(PANDAS)


def clinic(m):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"ward": rng.choice(list("abcdef"), m), "sex": rng.choice(["f", "m"], m), "age": rng.normal(50, 9, m)})
    z = 0.05 * (table["age"] - 50) + 1.0 * (table["ward"] == "b") - 0.7 * (table["sex"] == "m")
    return table, (rng.uniform(size=m) < 1 / (1 + np.exp(-z))).astype(int)


@pytest.mark.parametrize("formula", [None, "bs(age, df=4) + ward*sex"])
def test_designs_are_fitted_and_predict(formula):
    table, y = clinic(300)
    design = design_matrix(table, formula)
    fit = jaxlr.fit(design.matrix, y, l2=1e-2)
    assert jaxlr.Status(int(fit.status)) == jaxlr.Status.CONVERGED
    p = np.asarray(jaxlr.predict_proba(fit.params, design.matrix))
    assert np.abs(p - np.asarray(jaxlr.predict_proba(fit.params, design.transform(table[::-1])))[::-1]).max() <= 1e-12
    assert np.abs(p.mean() - y.mean()) <= 1e-6


@pytest.mark.slow
def test_two_codings_without_a_penalty_are_one_model():
    table, y = clinic(300)
    reference = design_matrix(table, "age + ward + sex", penalized=False)
    means = design_matrix(table, "0 + ward + age + sex", penalized=False)
    one = jaxlr.fit(reference.matrix, y)
    other = jaxlr.fit(means.matrix, y, fit_intercept=False)
    coef, full = (dict(zip(d.names, map(float, fit.params.coef), strict=True)) for d, fit in ((reference, one), (means, other)))
    assert len(coef) == 1 + 5 + 1
    assert jax.numpy.allclose(one.value, other.value, rtol=1e-8)
    for ward in "bcdef":
        assert abs(coef[f"ward[T.{ward}]"] - (full[f"ward[{ward}]"] - full["ward[a]"])) <= 1e-5
    assert abs(float(one.params.intercept) - full["ward[a]"]) <= 1e-4


def test_a_column_named_1_is_not_the_intercept():
    table = pd.DataFrame(np.arange(12.0).reshape(4, 3))
    for formula in (None, ".", "`0` + `1` + `2`"):
        design = design_matrix(table, formula)
        assert design.names == ("0", "1", "2")
        np.testing.assert_array_equal(design.matrix.toarray(), table.to_numpy())
        np.testing.assert_array_equal(design.transform(table[[2, 1, 0]]).toarray(), table.to_numpy())
    with pytest.raises(ValueError, match="'1' has 1 missing value"):
        design_matrix(pd.DataFrame({"a": [1.0, 2], "1": [np.nan, 1]}))
    letters = design_matrix(pd.DataFrame({"1": ["a", "b", "a"]}), penalized=False)
    assert letters.names == ("1[T.b]",)


def test_other_names_with_a_1_stay_what_they_are():
    """ "column 1" stood for "1" inside: it was renamed, "column 10" to "10" too, and beside a "1" one of the two was lost."""
    table = pd.DataFrame({"1": [1.0, 2, 3], "column 1": [3.0, 1, 1], "column 10": [0.0, 1, 0]})
    for formula in (None, ".", "`1` + `column 1` + `column 10`"):
        design = design_matrix(table, formula)
        assert design.names == ("1", "column 1", "column 10")
        np.testing.assert_array_equal(design.matrix.toarray(), table.to_numpy())
    with pytest.raises(ValueError, match=r"got '1 \+ 1 \+ nothing'.*nothing"):
        design_matrix(table, "`1` + nothing")


def test_text_that_looks_like_a_number_keeps_its_digits():
    table = pd.DataFrame({"version": ["3.0", "3", "3.10"], "x[1.0]": [1.0, 2, 3]})
    assert design_matrix(table).names == ("version[3]", "version[3.0]", "version[3.10]", "x[1.0]")


def test_a_table_without_rows_is_refused():
    with pytest.raises(ValueError, match="expected a table with rows"):
        design_matrix(pd.DataFrame({"a": [1.0], "c": ["x"]})[:0])
