"""Every front door is a program for CPU, GPU and TPU, also where none of these devices is: `jax.export` lowers for all."""

import jax
import numpy as np
import pytest
from jax import export

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, inference
from tests.helpers import quick

M, N = 20, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((M, N)).astype(np.float32)
Y = (np.arange(M) % 2).astype(np.float32)
LABELS = (np.arange(M) % 3).astype(np.float32)
PARAMS = Params(np.zeros(N, np.float32), np.zeros((), np.float32))
CLASSES = SoftmaxParams(np.zeros((3, N), np.float32), np.zeros(3, np.float32))
GRID = np.array([1e-1, 1e-2], np.float32)

DOORS = {
    "fit": lambda X: jaxlr.fit(X, Y),
    "fit, a path": lambda X: jaxlr.fit(X, Y, l2=np.logspace(-1, -3, 10, dtype=np.float32)),
    "fit, l1": lambda X: jaxlr.fit(X, Y, l1=GRID, standardize=True),
    "fit, conjugate gradients": lambda X: jaxlr.fit(X, Y, l2=GRID, solver="newton_cg"),
    "fit, wide": lambda X: jaxlr.fit(X.T, Y[:N], l2=0.1),
    "fit, classes": lambda X: jaxlr.fit(X, LABELS, num_classes=3, l2=GRID),
    "fit, classes, l1": lambda X: jaxlr.fit(X, LABELS, num_classes=3, l1=GRID),
    "fit_firth": lambda X: jaxlr.fit_firth(X, Y),
    "fit_bootstrap": lambda X: jaxlr.fit_bootstrap(jax.random.key(0), X, Y, 4, l2=0.1),
    "fit_columns": lambda X: jaxlr.fit_columns(X.T, Y),
    "gradient of a fit": jax.grad(lambda X: jaxlr.fit(X, Y, l2=0.1).params.coef.sum()),
    "predict": lambda X: (jaxlr.logits(PARAMS, X), jaxlr.predict_proba(PARAMS, X), jaxlr.predict(PARAMS, X)),
    "predict, classes": lambda X: (jaxlr.predict_proba(CLASSES, X), jaxlr.predict(CLASSES, X)),
    "objective": lambda X: [f(PARAMS, Problem(X, Y)) for f in (jaxlr.loss, jaxlr.gradient, jaxlr.hessian)],
    "certificates": lambda X: [f(PARAMS, Problem(X, Y, l2=0.1)) for f in (jaxlr.kkt_residual, jaxlr.duality_gap)],
    "certificates, classes": lambda X: [
        f(CLASSES, Problem(X, LABELS, l2=0.1)) for f in (jaxlr.kkt_residual, jaxlr.duality_gap)
    ],
    "l1_max": lambda X: jaxlr.l1_max(Problem(X, Y)),
    "wald": lambda X: inference.wald(jaxlr.fit(X, Y), Problem(X, Y)),
    "profile_intervals": lambda X: inference.profile_intervals(jaxlr.fit(X, Y), Problem(X, Y)),
    "score_test": lambda X: inference.score_test(jaxlr.fit(X[:, :1], Y), Problem(X[:, :1], Y), X.T[1:]),
    "metrics": lambda X: (jaxlr.metrics.log_loss(Y, X[:, 0]), jaxlr.metrics.roc_auc(Y, X[:, 0])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(DOORS, "fit", "fit, l1", "fit, classes"))
def test_it_lowers_for_every_platform(name):
    platforms = ("cpu", "cuda", "tpu")
    lowered = export.export(jax.jit(DOORS[name]), platforms=platforms)(jax.ShapeDtypeStruct((M, N), np.float32))
    assert lowered.platforms == platforms


def test_no_option_of_the_compiler_is_unknown():
    """The package asks for options where this XLA knows them, and the tests' flags did not end this process."""
    from jaxlr.compilation.program import quick_options

    jax.jit(lambda: 0).lower().compile(quick_options())
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        jax.jit(lambda: 0).lower().compile({"xla_no_such_option": True})
