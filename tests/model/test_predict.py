"""Predictions of a Fit: the columns of a table go by name, whatever their order."""

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest

from jaxlr import Params, SoftmaxParams, fit, logits, predict, predict_proba

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(RNG.normal(size=(60, 3)), columns=["age", "dose", "weight"])
Y = (TABLE["age"] - 2 * TABLE["dose"] + RNG.logistic(size=60) > 0).to_numpy().astype(int)
SWAPPED = TABLE[["weight", "age", "dose"]]


@pytest.mark.parametrize("function", [logits, predict_proba, predict])
@pytest.mark.parametrize("options", [{}, {"num_classes": 3}], ids=["two classes", "three classes"])
def test_another_order_of_the_columns_is_put_right(function, options):
    y = RNG.integers(0, 3, 60) if options else Y
    found = fit(TABLE, y, l2=np.array([0.1, 0.01]), **options)
    expected = np.asarray(function(found.params, TABLE.to_numpy()))
    more = SWAPPED.assign(height="tall", age=SWAPPED["age"])  # what the fit does not name may be of any kind
    for table in (TABLE, SWAPPED, more):
        np.testing.assert_array_equal(function(found, table), expected)
    np.testing.assert_array_equal(function(found, TABLE.to_numpy()), expected)  # without names by position
    assert not np.array_equal(function(found.params, SWAPPED), expected)


def test_data_frames_of_polars_go_by_name_too():
    found = fit(TABLE, Y, l2=0.1)
    table = pl.from_dict({name: SWAPPED[name].to_numpy() for name in SWAPPED.columns})
    np.testing.assert_array_equal(predict_proba(found, table), predict_proba(found, TABLE))


@pytest.mark.parametrize("function", [logits, predict_proba, predict])
def test_a_missing_column_is_refused_by_name(function):
    found = fit(TABLE, Y, l2=0.1)
    with pytest.raises(ValueError, match=r"none named 'dose'; it has 'weight', 'age'$"):
        function(found, SWAPPED.drop(columns="dose"))
    with pytest.raises(ValueError, match="two named 'age'"):
        function(found, pd.concat([TABLE, TABLE[["age"]]], axis=1))


def test_a_fit_stands_for_its_parameters_under_jit_and_vmap():
    X = TABLE.to_numpy()
    found = fit(X, Y, l2=np.array([0.1, 0.01]))
    expected = np.asarray(predict_proba(found.params, X))
    np.testing.assert_array_equal(predict_proba(found, X), expected)
    eps = np.finfo(float).eps  # programs differ by rounding
    np.testing.assert_allclose(jax.jit(lambda f: predict_proba(f, X))(found), expected, rtol=8 * eps)
    named = fit(TABLE, Y, l2=np.array([0.1, 0.01]))
    np.testing.assert_allclose(jax.vmap(lambda f: predict_proba(f, SWAPPED))(named), expected, rtol=8 * eps)


def test_a_probability_at_the_threshold_is_one():
    at = Params(np.array([1.0]), np.array(0.0))
    assert predict(at, np.array([[0.0], [-1e-9]])).tolist() == [1, 0]
    assert predict(at, np.array([[40.0], [0.0]]), threshold=1.0).tolist() == [1, 0]  # a sigmoid that has rounded to 1
    assert predict(at, np.array([[40.0], [0.0]]), threshold=np.nan).tolist() == [-1, -1]


@pytest.mark.parametrize("function", [logits, predict_proba, predict])
def test_an_offset_that_is_a_column_is_refused(function):
    binary, three = Params(np.ones(3), np.array(0.0)), SoftmaxParams(np.ones((3, 3)), np.zeros(3))
    for params, shape in ((binary, (60, 1)), (binary, (1,)), (three, (3, 60)), (three, (60, 3, 1))):
        with pytest.raises(ValueError, match=r"expected an offset that goes with logits \(60.* np.ravel takes a column"):
            function(params, TABLE.to_numpy(), offset=np.zeros(shape))
