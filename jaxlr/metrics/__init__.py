"""How good predictions are: y first, weighted, jit- and vmap-able, over batch axes in front."""

from jaxlr.metrics.means import Calibration as Calibration
from jaxlr.metrics.means import Confusion as Confusion
from jaxlr.metrics.means import accuracy as accuracy
from jaxlr.metrics.means import brier as brier
from jaxlr.metrics.means import calibration as calibration
from jaxlr.metrics.means import confusion as confusion
from jaxlr.metrics.means import log_loss as log_loss
from jaxlr.metrics.ranking import PrecisionRecall as PrecisionRecall
from jaxlr.metrics.ranking import RocCurve as RocCurve
from jaxlr.metrics.ranking import average_precision as average_precision
from jaxlr.metrics.ranking import precision_recall as precision_recall
from jaxlr.metrics.ranking import roc_auc as roc_auc
from jaxlr.metrics.ranking import roc_curve as roc_curve
