"""Standard errors, tests, intervals and measures of fit, for one model or a batch."""

from jaxlr.inference.covariance import covariance as covariance
from jaxlr.inference.covariance import standard_errors as standard_errors
from jaxlr.inference.goodness import Goodness as Goodness
from jaxlr.inference.goodness import goodness_of_fit as goodness_of_fit
from jaxlr.inference.hosmer_lemeshow import hosmer_lemeshow as hosmer_lemeshow
from jaxlr.inference.hypotheses import wald_test as wald_test
from jaxlr.inference.influence import Influence as Influence
from jaxlr.inference.influence import influence as influence
from jaxlr.inference.leave_one_out import LeaveOneOut as LeaveOneOut
from jaxlr.inference.leave_one_out import leave_one_out as leave_one_out
from jaxlr.inference.likelihood_ratio import likelihood_ratio as likelihood_ratio
from jaxlr.inference.profile import profile_intervals as profile_intervals
from jaxlr.inference.profile import profile_tests as profile_tests
from jaxlr.inference.resampled import bootstrap_intervals as bootstrap_intervals
from jaxlr.inference.score_test import score_test as score_test
from jaxlr.inference.summary import Summary as Summary
from jaxlr.inference.summary import summary as summary
from jaxlr.inference.tails import Test as Test
from jaxlr.inference.tails import log_chi_square_tail as log_chi_square_tail
from jaxlr.inference.tails import log_normal_tails as log_normal_tails
from jaxlr.inference.wald import Intervals as Intervals
from jaxlr.inference.wald import Wald as Wald
from jaxlr.inference.wald import odds_ratios as odds_ratios
from jaxlr.inference.wald import wald as wald
