"""jaxlr: logistic regression in JAX, one model or a million, each with the evidence that it converged."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxlr import preprocessing as preprocessing
from jaxlr.fitting.bootstrap import fit_bootstrap as fit_bootstrap
from jaxlr.fitting.columns import fit_columns as fit_columns
from jaxlr.fitting.fit import fit as fit
from jaxlr.model.certificates import duality_gap as duality_gap
from jaxlr.model.certificates import kkt_residual as kkt_residual
from jaxlr.model.logistic import curvature as curvature
from jaxlr.model.logistic import log_sigmoid as log_sigmoid
from jaxlr.model.logistic import logistic_loss as logistic_loss
from jaxlr.model.logistic import residual as residual
from jaxlr.model.logistic import sigmoid as sigmoid
from jaxlr.model.objective import gradient as gradient
from jaxlr.model.objective import hessian as hessian
from jaxlr.model.objective import hvp as hvp
from jaxlr.model.objective import loss as loss
from jaxlr.model.params import Params as Params
from jaxlr.model.params import SoftmaxParams as SoftmaxParams
from jaxlr.model.predict import logits as logits
from jaxlr.model.predict import predict as predict
from jaxlr.model.predict import predict_proba as predict_proba
from jaxlr.model.problem import Problem as Problem
from jaxlr.model.softmax import log_softmax as log_softmax
from jaxlr.model.softmax import logsumexp as logsumexp
from jaxlr.results.fit import Fit as Fit
from jaxlr.results.fit import raise_on_failure as raise_on_failure
from jaxlr.results.status import SolverError as SolverError
from jaxlr.results.status import Status as Status
from jaxlr.selection.null_model import l1_max as l1_max
from jaxlr.selection.strengths import elastic_net as elastic_net
from jaxlr.selection.strengths import glmnet_path as glmnet_path
from jaxlr.selection.strengths import l2_from_C as l2_from_C
from jaxlr.weights import bootstrap as bootstrap
from jaxlr.weights import class_weight as class_weight
from jaxlr.weights import cluster_bootstrap as cluster_bootstrap
from jaxlr.weights import kfold as kfold
from jaxlr.weights import stratified_kfold as stratified_kfold

if TYPE_CHECKING:
    from jaxlr import datasets as datasets
    from jaxlr import inference as inference
    from jaxlr import io as io
    from jaxlr import metrics as metrics
    from jaxlr import streaming as streaming
    from jaxlr.fitting.conditional import fit_conditional as fit_conditional
    from jaxlr.fitting.firth import fit_firth as fit_firth
    from jaxlr.fitting.training import Training as Training
    from jaxlr.fitting.training import train as train
    from jaxlr.inference.scan import Scan as Scan
    from jaxlr.inference.scan import association_scan as association_scan
    from jaxlr.inference.separation import separating_direction as separating_direction
    from jaxlr.inference.separation import separation as separation
    from jaxlr.selection.cross_validate import cross_validate as cross_validate
    from jaxlr.selection.scores import CrossValidation as CrossValidation
    from jaxlr.streaming.fit import fit_stream as fit_stream
    from jaxlr.streaming.predict import predict_stream as predict_stream
    from jaxlr.streaming.score import score_stream as score_stream

__version__ = "0.1.0"

# Imported when it is first used: `import jaxlr` waits for one model's fit alone, and for none of matplotlib, scikit-learn,
# Hypothesis, optax and scipy.
_ROOMS = "datasets", "estimator", "inference", "io", "metrics", "plots", "streaming", "testing"
_HOMES = {
    "jaxlr.fitting.conditional": ("fit_conditional",),
    "jaxlr.fitting.firth": ("fit_firth",),
    "jaxlr.fitting.training": ("Training", "train"),
    "jaxlr.inference.scan": ("Scan", "association_scan"),
    "jaxlr.inference.separation": ("separating_direction", "separation"),
    "jaxlr.selection.cross_validate": ("cross_validate",),
    "jaxlr.selection.scores": ("CrossValidation",),
    "jaxlr.streaming.fit": ("fit_stream",),
    "jaxlr.streaming.predict": ("predict_stream",),
    "jaxlr.streaming.score": ("score_stream",),
}
_ON_USE = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"jaxlr.{name}")
    if name not in _ON_USE:
        raise AttributeError(f"module 'jaxlr' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_ON_USE[name]), name)
    return found


def __dir__() -> list[str]:
    """Also what is not imported yet, for completion."""
    return sorted({*globals(), *_ROOMS, *_ON_USE} - {"Any", "TYPE_CHECKING", "importlib"})
