"""What is drawn is what was asked for; and `import jaxlr` waits for no Hypothesis."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

import jaxlr
from jaxlr.testing import designs, labels, problems, problems_with_params

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.slow
def test_importing_the_package_does_not_import_hypothesis():
    code = (
        "import sys, jaxlr; assert 'hypothesis' not in sys.modules; jaxlr.testing.problems; assert 'hypothesis' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(problems(separated=True))
def test_separated_classes_are_separated(problem):
    kind = jaxlr.separation(problem.X, problem.y, problem.sample_weight, fit_intercept=problem.fit_intercept)
    assert kind in ("quasi", "complete")


@given(designs(8, 3, collinear=True))
def test_collinear_columns_depend_on_the_others_or_the_intercept(X):
    assert np.linalg.matrix_rank(np.column_stack([X, np.ones(8)])) < 4


@given(designs(8, 3, badly_scaled=True))
def test_badly_scaled_columns_are_whole_numbers_of_float32(X):
    np.testing.assert_array_equal(X, X.astype(np.float32).astype(float))


@given(problems_with_params(weighted=True, soft=True, fit_intercept=False, shapes=[(4, 2)]))
def test_what_was_asked_for_is_there(case):
    problem, params = case
    assert problem.X.shape == (4, 2)
    assert params.coef.shape == (2,)
    assert not problem.fit_intercept
    for side in (problem.y, 1 - problem.y):
        assert np.sum(problem.sample_weight * side) > 0
    assert problem.offset.shape == (4,)


@settings(max_examples=1)
@given(problems(weighted=False, l2=labels(5).map(lambda y: 0.5)))
def test_without_weights_there_are_none(problem):
    assert problem.sample_weight is None
    assert problem.offset is None
    assert problem.l2 == 0.5


def test_separated_soft_labels_are_refused():
    @given(problems(separated=True, soft=True))
    def drawing(problem):
        pass

    with pytest.raises(ValueError, match="expected hard labels"):
        drawing()
