"""Labels that are no numbers from 0 to 1: the message says what to pass in their place."""

import numpy as np
import polars
import pytest

import jaxlr
from jaxlr.inputs.labels import advice

X = np.random.default_rng(0).normal(size=(12, 2))
CODES = np.arange(12) % 2
ADVICE = {
    "1 and 2": (CODES + 1, "got values from 1 to 2; pass y == 2$"),
    "0 and 100": (100 * CODES, "got values from 0 to 100; pass y == 100$"),
    "-1 and 1": (2 * CODES - 1, "pass y == 1$"),
    "text": (np.where(CODES, "yes", "no"), "pass y == 'yes'$"),
    "classes": (
        np.arange(12) % 4 + 1,
        r"for 4 classes pass np.unique\(y, return_inverse=True\)\[1\] with num_classes=4, for counts",
    ),
    "text of classes": (np.array(["a", "b", "c"])[np.arange(12) % 3], r"for 3 classes pass np.unique\(y, .* num_classes=3$"),
    "objects": (np.where(CODES, "yes", "no").astype(object), "got dtype object; pass y == 'yes'$"),
    "missing": (np.array(["a", None, "b"] * 4, object), "drop the rows without a label, the first of 4 is row 1$"),
    "numbers": (X[:, 0] * 3, "for two classes pass y > threshold$"),
    "complex numbers": (
        np.arange(12) % 3 + 1j,
        "got dtype complex128; encode the classes as 0 and 1, or 0..K-1 with num_classes=K$",
    ),
    "twos alone": (np.full(12, 2), "pass y == 2 if that is y = 1$"),
    "a column": (CODES[:, None], r"pass np.ravel\(y\)$"),
    "one-hot of two": (np.eye(2)[CODES], r"pass y\[:, 1\] of one-hot rows, y.T for a model of each column; for successes"),
    "one-hot of four": (
        np.eye(4)[np.arange(12) % 4],
        r"pass y.argmax\(axis=-1\) with num_classes=4 of one-hot rows, y.T for a model of each column$",
    ),
    "successes and failures": (
        np.stack([CODES + 3, 9 - CODES], axis=1),
        "pass y.T; for successes and failures pass y",
    ),
}


@pytest.mark.parametrize("case", ADVICE.values(), ids=ADVICE)
def test_what_to_pass_in_place_of_other_labels(case):
    labels, message = case
    with pytest.raises((ValueError, TypeError), match=message):
        jaxlr.fit(X, labels)


def test_what_is_advised_is_what_was_meant():
    wanted = jaxlr.fit(X, CODES, l2=0.1).params.coef
    for labels in (CODES + 1, 100 * CODES, 2 * CODES - 1, np.where(CODES, "yes", "no")):
        fix = advice(labels).removeprefix("pass ")
        np.testing.assert_array_equal(jaxlr.fit(X, eval(fix, {"y": labels}), l2=0.1).params.coef, wanted)
    with pytest.raises(ValueError, match=r"got 1.0 to 3.0; pass np.unique\(y, return_inverse=True\)\[1\], which numbers"):
        jaxlr.fit(X, np.arange(12.0) % 3 + 1, num_classes=3)


@pytest.mark.parametrize("dtype", [polars.String, polars.Categorical], ids=str)
def test_a_column_of_polars_that_holds_no_numbers_is_named(dtype):
    table = polars.DataFrame({"age": X[:, 0], "site": polars.Series(["u", "v"] * 6, dtype=dtype), "old": X[:, 1] > 0})
    with pytest.raises(
        TypeError, match=rf"expected numeric columns in X, got 'site' \({dtype.__name__}\); convert numbers with cast"
    ):
        jaxlr.fit(table, CODES)
    assert jaxlr.fit(table[["age", "old"]], CODES, l2=0.1).names == ("age", "old")
