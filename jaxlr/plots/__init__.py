"""Figures: each function draws on `ax` (None makes a new figure) and returns the Axes; no global style is touched."""

from jaxlr.plots.boundaries import decision_boundary as decision_boundary
from jaxlr.plots.cross_validation import cv_curve as cv_curve
from jaxlr.plots.evidence import forest as forest
from jaxlr.plots.evidence import manhattan as manhattan
from jaxlr.plots.evidence import qq as qq
from jaxlr.plots.influence import influence as influence
from jaxlr.plots.models import coefficient_path as coefficient_path
from jaxlr.plots.models import sigmoid_curve as sigmoid_curve
from jaxlr.plots.predictions import calibration as calibration
from jaxlr.plots.predictions import precision_recall as precision_recall
from jaxlr.plots.predictions import predicted as predicted
from jaxlr.plots.predictions import roc as roc
from jaxlr.plots.runs import convergence_map as convergence_map
from jaxlr.plots.runs import heat_map as heat_map
from jaxlr.plots.runs import losses as losses
