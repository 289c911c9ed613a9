"""Verification for others: problems drawn by Hypothesis, and checks that say in words what they found.

`problems`, `designs`, `labels`, `params_of` and `problems_with_params` are strategies; `check_gradient`,
`check_bounds_of_sigmoid` and `check_limits_of_loss` take the functions of any implementation, `check_certified` the result
of any solver. Needs Hypothesis: ``pip install "jaxlr[testing]"``.
"""

from jaxlr.testing.certified import Certified as Certified
from jaxlr.testing.certified import check_certified as check_certified
from jaxlr.testing.functions import check_bounds_of_sigmoid as check_bounds_of_sigmoid
from jaxlr.testing.functions import check_limits_of_loss as check_limits_of_loss
from jaxlr.testing.gradients import GradientErrors as GradientErrors
from jaxlr.testing.gradients import check_gradient as check_gradient
from jaxlr.testing.strategies import designs as designs
from jaxlr.testing.strategies import labels as labels
from jaxlr.testing.strategies import params_of as params_of
from jaxlr.testing.strategies import problems as problems
from jaxlr.testing.strategies import problems_with_params as problems_with_params
