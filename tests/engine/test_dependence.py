"""Which columns of a call are known to have no penalty."""

import numpy as np

from jaxlr import Problem
from jaxlr.engine.dependence import unpenalized

INF = np.inf
X, Y = np.eye(6, 3), np.arange(6) % 2


def test_a_column_between_two_bounds_has_an_estimate_without_a_penalty():
    """Any other may go for ever: with no bound, with one, or with an infinite one."""
    problem = Problem(X, Y, lower=np.array([0, -INF, -1]), upper=np.array([1, 1, INF]))
    assert unpenalized(problem).tolist() == [False, True, True]
    assert unpenalized(Problem(X, Y, upper=np.zeros(3))).all()


def test_a_member_without_a_penalty_has_one_on_no_column_and_a_factor_of_0_takes_it_from_some():
    strengths, factor = np.array([0, 0.1]), np.array([1, 0, INF])
    found = unpenalized(Problem(X, Y, l2=strengths, penalty_factor=factor))
    assert found.tolist() == [[True, True, False], [False, True, False]]
