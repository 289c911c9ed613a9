"""No problem of the fuzzer ends with a false verdict; and the fuzzer finds those that are planted."""

from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxlr import Status
from tests.fuzz import exact
from tests.fuzz.drawn import FORMS, Form, draw
from tests.fuzz.existence import separated
from tests.fuzz.judge import fit_drawn, judge
from tests.fuzz.refine import refine
from tests.fuzz.run import fuzz, table

pytestmark = pytest.mark.usefixtures("x64")

FEW = [Form(12, 3), Form(12, 3, penalty="l1"), Form(12, 2, 3, "bounds")]


def assert_nothing_false(counts: dict[str, Counter], found: list[str]) -> None:
    print(table(counts))
    assert not [line for line in found if line.startswith("false")], "\n".join(found)
    undecided = sum(line.startswith("undecided") for line in found)
    assert undecided <= 0.01 * sum(value for name, value in counts["all"].items() if name.isupper())


@pytest.mark.slow
def test_a_hundred_hard_problems_have_no_false_verdict():
    assert_nothing_false(*fuzz(120, 1, FEW))


@pytest.mark.slow
def test_thousands_of_hard_problems_have_no_false_verdict():
    assert_nothing_false(*fuzz(3000, 2, FORMS))


def test_linear_programs_and_newton_agree_where_a_minimum_exists():
    drawn = draw(np.random.default_rng(5), Form(12, 3), 60)
    model = exact.model_of(drawn)
    start = np.zeros((60, 1, 3), exact.LONG), np.zeros((60, 1), exact.LONG)
    found, program = refine(model, *start).found, separated(model, np.arange(60))
    known = program >= 0
    assert known.sum() >= 55
    assert 10 < np.sum(found[known]) < 50
    assert not np.any(found[program == 1])
    assert np.mean(found[known] == (program[known] == 0)) > 0.9  # from 0 some of Newton's steps are many


@pytest.fixture(scope="module")
def honest():
    drawn = draw(np.random.default_rng(6), Form(12, 3), 40)
    return drawn, fit_drawn(drawn)


def planted(honest, status, to, **changed):
    """What is found false once the models of one status are said to have another, or other parameters."""
    drawn, fit = honest
    which = fit.status == status
    assert which.any()
    params = jax.tree.map(lambda leaf: leaf.copy(), fit.params)
    for name, by in changed.items():
        getattr(params, name)[which] += by
    return judge(drawn, replace(fit, status=np.where(which, to, fit.status), params=params)).wrong[which]


@pytest.mark.slow
def test_separated_classes_that_are_said_to_have_an_estimate_are_found(honest):
    assert all(wrong.startswith("false CONVERGED") for wrong in planted(honest, Status.SEPARATED, Status.CONVERGED))


@pytest.mark.slow
def test_estimates_that_are_said_to_be_separated_are_found(honest):
    wrong = planted(honest, Status.CONVERGED, Status.SEPARATED)
    assert np.mean(wrong == "false SEPARATED") > 0.5  # Newton's method from 0 does not always get there


def test_an_intercept_that_is_off_by_a_millionth_is_found(honest):
    wrong = planted(honest, Status.CONVERGED, Status.CONVERGED, intercept=1e-6)
    assert np.mean([one.startswith("false CONVERGED") for one in wrong]) > 0.7  # a rare row's weight hides a millionth


def test_a_valid_problem_that_is_refused_is_found(honest):
    assert all(wrong == "false other" for wrong in planted(honest, Status.CONVERGED, Status.INVALID))
