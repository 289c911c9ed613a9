"""How good predictions are: y first, weighted, jit- and vmap-able, over batch axes in front."""

from jaxlr.metrics.counts import Confusion as Confusion
from jaxlr.metrics.counts import accuracy as accuracy
from jaxlr.metrics.counts import balanced_accuracy as balanced_accuracy
from jaxlr.metrics.counts import confusion as confusion
from jaxlr.metrics.counts import f1 as f1
from jaxlr.metrics.means import Calibration as Calibration
from jaxlr.metrics.means import brier as brier
from jaxlr.metrics.means import calibration as calibration
from jaxlr.metrics.means import log_loss as log_loss
from jaxlr.metrics.ranking import PrecisionRecall as PrecisionRecall
from jaxlr.metrics.ranking import RocCurve as RocCurve
from jaxlr.metrics.ranking import average_precision as average_precision
from jaxlr.metrics.ranking import precision_recall as precision_recall
from jaxlr.metrics.ranking import roc_auc as roc_auc
from jaxlr.metrics.ranking import roc_auc_pairs as roc_auc_pairs
from jaxlr.metrics.ranking import roc_curve as roc_curve
