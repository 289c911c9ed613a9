"""Labels of clusters and strata: equal as in Python, of any kind, and of the rows that they stand beside."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, fit_conditional, inference
from jaxlr.inputs.clusters import numbered

pytestmark = pytest.mark.usefixtures("x64")


def masked(values):
    return np.ma.masked_array(values, mask=[False, False, True, False])


@pytest.mark.parametrize(("labels", "numbers"), [
    ([1, "1", 1, 1.0], [0, 1, 0, 0]),
    ([2**53, 2**53 + 1, float(2**53), 2**53 + 1], [0, 1, 0, 1]),
    ([("a", 1), ("a", 2), ("a", 1), ("b", 1)], [0, 1, 0, 2]),
    (np.array(["x", "", "x", ""]), [0, 1, 0, 1]),
    (np.ma.masked_array([5, 6, 5, 6]), [0, 1, 0, 1]),
    (np.array(["2020-01-02", "2020-01-01"] * 2, "datetime64[ns]"), [0, 1, 0, 1]),
])  # fmt: skip
def test_labels_are_the_same_where_python_says_so(labels, numbers):
    found, count = numbered("strata", labels, 4)
    assert found.tolist() == numbers
    assert count == max(numbers) + 1


@pytest.mark.parametrize("labels", [
    ["a", float("nan"), "a", "b"], ["a", None, "a", "b"], [(1, float("nan")), (1, 2), (1, 2), (1, 3)],
    masked([1, 2, 3, 4]), masked([1.0, 2.0, 3.0, 4.0]), masked(np.array(list("abcd"))), ["a", np.ma.masked, "b", "b"],
    np.array(["2020-01-01", "NaT"] * 2, "datetime64[ns]"), np.array([1.0, np.nan, 1, 2]),
    np.array([(1.0, "a"), (np.nan, "a")] * 2, dtype=[("x", float), ("y", "U1")]),
])  # fmt: skip
def test_missing_labels_are_refused(labels):
    with pytest.raises(ValueError, match="expected a label for each row of strata, got missing ones"):
        numbered("strata", labels, 4)


@pytest.mark.parametrize("kind", ["Int64", "category", "string"])
def test_missing_labels_of_series_are_refused(kind):
    pd = pytest.importorskip("pandas")
    series = pd.Series([1, 2, None, 1] if kind == "Int64" else ["1", "2", None, "1"], dtype=kind)
    with pytest.raises(ValueError, match="missing ones"):
        numbered("strata", series)
    assert numbered("strata", series[[0, 1, 3]])[0].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="missing ones"):
        numbered("strata", [1, pd.NaT, pd.NA, 2])
    assert numbered("strata", pd.MultiIndex.from_arrays([[1, 1, 2], [1, 1, 2]]))[0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(("labels", "message"), [
    (None, "expected strata (4,), one label a row, got None"), ("set", "expected strata (4,), one label a row, got 'set'"),
    (np.zeros((4, 1)), "got shape (4, 1)"), ([[1], [2], [1], [2]], "labels that have a hash"),
    ([{}, {}, {}, {}], "labels that have a hash"),
])  # fmt: skip
def test_what_is_no_label_is_refused_in_words(labels, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011, the words are compared
        numbered("strata", labels, 4)
    assert message in str(refused.value)


@pytest.mark.slow
def test_labels_of_rows_in_another_order_are_refused():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    groups = pd.Series(np.repeat(np.arange(20), 3))
    X, y = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"]), pd.Series(np.tile([1, 0, 0], 20))
    other = groups.sample(frac=1, random_state=0)
    fit, rows = fit_conditional(X, y, groups), jaxlr.fit(X, y)
    problem = Problem(X, y)
    assert bool(fit.converged)
    by_position = fit_conditional(X, y, other.to_numpy())
    assert not np.allclose(by_position.params.coef, fit.params.coef)
    refused = [
        ("strata", lambda: fit_conditional(X, y, other)),
        ("strata", lambda: fit_conditional(X.to_numpy(), y, other)),
        ("strata", lambda: Problem(X, y, strata=other)),
        ("strata", lambda: Problem(X.to_numpy(), y.to_numpy(), offset=pd.Series(np.zeros(60)), strata=other)),
        ("clusters", lambda: inference.covariance(rows, problem, kind="cluster", clusters=other)),
        ("clusters", lambda: inference.wald(rows, problem, kind="cluster", clusters=pd.DataFrame({"g": other}))),
        ("clusters", lambda: inference.wald_test(rows, problem, np.eye(3)[:1], kind="cluster", clusters=other)),
        ("clusters", lambda: jaxlr.fit_bootstrap(jax.random.key(0), X, y, 3, clusters=other)),
    ]
    for name, call in refused:
        with pytest.raises(ValueError, match=f"and {name} with the same labels of the rows"):
            call()
    np.testing.assert_array_equal(fit_conditional(X, y, groups.to_numpy()).params.coef, fit.params.coef)
    found, same = (inference.covariance(rows, problem, kind="cluster", clusters=c) for c in (groups, list(groups)))
    np.testing.assert_array_equal(found, same)


def test_clusters_of_ways_may_be_tables_of_unlike_columns():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    fit, problem = jaxlr.fit(X, y), Problem(X, y)
    first, second = np.arange(60) // 4, np.arange(60) % 12
    V = inference.covariance(fit, problem, kind="cluster", clusters=np.column_stack([first, second]))
    names = [f"firm {number}" for number in first]
    table = pd.DataFrame({"firm": names, "year": second})
    for ways in (table, list(zip(names, second.tolist(), strict=True))):
        np.testing.assert_array_equal(inference.covariance(fit, problem, kind="cluster", clusters=ways), V)
