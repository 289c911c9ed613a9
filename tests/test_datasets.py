"""The data sets are what their sources say."""

import numpy as np

import jaxlr


def test_breast_cancer_has_the_published_counts():
    data = jaxlr.datasets.breast_cancer()
    assert data.X.shape == (569, 30)
    assert (data.y == 1).sum() == 357
    assert len(data.feature_names) == 30
    assert data.target_names[1] == "benign"
    # Street, Wolberg & Mangasarian 1993: mean radius of the first patient 17.99, malignant.
    assert data.X[0, 0] == 17.99
    assert data.y[0] == 0


def test_discount_codes_are_the_nine_customers():
    data = jaxlr.datasets.discount_codes()
    assert dict(zip(data.X[:, 0].tolist(), data.y.tolist(), strict=True)) == {
        50: 0, 10: 1, 20: 1, 5: 1, 95: 0, 70: 0, 100: 0, 200: 0, 0: 1,
    }  # fmt: skip


def test_data_are_float64_with_integer_labels():
    for data in (jaxlr.datasets.breast_cancer(), jaxlr.datasets.discount_codes()):
        assert data.X.dtype == np.float64
        assert set(np.unique(data.y)) == {0, 1}
