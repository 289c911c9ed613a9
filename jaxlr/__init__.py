"""jaxlr: logistic regression in JAX, one model or a million, each with the evidence that it converged."""

import importlib
from typing import Any

from jaxlr import datasets as datasets
from jaxlr import inference as inference
from jaxlr import io as io
from jaxlr import metrics as metrics
from jaxlr import preprocessing as preprocessing
from jaxlr.association import Scan as Scan
from jaxlr.association import association_scan as association_scan
from jaxlr.certificates import duality_gap as duality_gap
from jaxlr.certificates import kkt_residual as kkt_residual
from jaxlr.conversions import class_weight as class_weight
from jaxlr.conversions import elastic_net as elastic_net
from jaxlr.conversions import l2_from_C as l2_from_C
from jaxlr.cross_validation import CrossValidation as CrossValidation
from jaxlr.fitting import fit as fit
from jaxlr.fitting_bootstrap import fit_bootstrap as fit_bootstrap
from jaxlr.fitting_columns import fit_columns as fit_columns
from jaxlr.fitting_firth import fit_firth as fit_firth
from jaxlr.fitting_softmax import fit_softmax as fit_softmax
from jaxlr.linear_separation import separating_direction as separating_direction
from jaxlr.linear_separation import separation as separation
from jaxlr.model import Params as Params
from jaxlr.model import logits as logits
from jaxlr.model import predict as predict
from jaxlr.model import predict_proba as predict_proba
from jaxlr.numerics import curvature as curvature
from jaxlr.numerics import log_sigmoid as log_sigmoid
from jaxlr.numerics import logistic_loss as logistic_loss
from jaxlr.numerics import residual as residual
from jaxlr.numerics import sigmoid as sigmoid
from jaxlr.objective import Problem as Problem
from jaxlr.objective import gradient as gradient
from jaxlr.objective import hessian as hessian
from jaxlr.objective import hvp as hvp
from jaxlr.objective import loss as loss
from jaxlr.penalty_path import glmnet_path as glmnet_path
from jaxlr.penalty_path import l1_max as l1_max
from jaxlr.resampling import bootstrap as bootstrap
from jaxlr.resampling import kfold as kfold
from jaxlr.resampling import stratified_kfold as stratified_kfold
from jaxlr.result import Fit as Fit
from jaxlr.result import raise_on_failure as raise_on_failure
from jaxlr.selection import cross_validate as cross_validate
from jaxlr.softmax import SoftmaxParams as SoftmaxParams
from jaxlr.softmax import log_softmax as log_softmax
from jaxlr.softmax import logsumexp as logsumexp
from jaxlr.softmax import softmax_logits as softmax_logits
from jaxlr.softmax import softmax_predict as softmax_predict
from jaxlr.softmax import softmax_predict_proba as softmax_predict_proba
from jaxlr.softmax_certificates import softmax_duality_gap as softmax_duality_gap
from jaxlr.softmax_certificates import softmax_kkt_residual as softmax_kkt_residual
from jaxlr.softmax_objective import softmax_gradient as softmax_gradient
from jaxlr.softmax_objective import softmax_hvp as softmax_hvp
from jaxlr.softmax_objective import softmax_loss as softmax_loss
from jaxlr.status import SolverError as SolverError
from jaxlr.status import Status as Status
from jaxlr.training import Training as Training
from jaxlr.training import train as train

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What is imported when it is first used: `import jaxlr` waits for neither matplotlib nor scikit-learn."""
    if name in ("plots", "estimator"):
        return importlib.import_module(f"jaxlr.{name}")
    raise AttributeError(f"module 'jaxlr' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Also what is not imported yet, for completion."""
    return sorted([name for name in globals() if name not in ("Any", "importlib")] + ["estimator", "plots"])
