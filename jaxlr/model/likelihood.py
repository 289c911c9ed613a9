"""The two likelihoods, as static objects: all that solvers, certificates and statistics ask of the loss of a row.

                    logits z       loss l(z, y)                        residual dl/dz      curvature d2l/dz2
    Binary          (m,)           log(1 + exp(z)) - y z               sigmoid(z) - y      c = p (1 - p)
    Multinomial     (K, m)         logsumexp_k z_k - z_y               p_k - [y = k]       diag(p) - p p'

Classes stand in front of rows and columns, so that the same lines serve both: logits and residuals (*classes, m), parameters
(*classes, k). A solver moves in coordinates x = Q' params: for classes without an absolute penalty Q holds the contrasts
(K, K - 1), all that sums to 0 over the classes, so that the Hessian has no null space of its own; else it is the identity.

Along a change dz of the logits both losses are quasi-self-concordant, |l'''| <= R l'' (Bach 2010, Electronic Journal of
Statistics 4, section 2), with R = `reach`: the third derivative of logsumexp is the third cumulant of a number that varies by
at most R, hence at most R times its variance, the second derivative.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jaxlr.linalg.dot import aligned
from jaxlr.model.binary import Binary
from jaxlr.model.multinomial import Multinomial
from jaxlr.model.params import Params, SoftmaxParams

Likelihood = Binary | Multinomial


def likelihood_of(num_classes: int | None) -> Likelihood:
    """The likelihood that `num_classes` of a fit names, static and hashable; None is the binary one."""
    return Binary() if num_classes is None else Multinomial(num_classes)


def likelihood_of_params(params: Any) -> Likelihood:
    """The likelihood whose parameters these are, of one model or a batch.

    Raises:
        TypeError: they are something else.
    """
    if isinstance(params, SoftmaxParams):
        return Multinomial(jnp.shape(params.coef)[-2])
    if isinstance(params, Params):
        return Binary()
    fix = "give coef and intercept"
    if getattr(params, "multi_class", None) == "ovr":
        fix = 'the models of "ovr" are no Params: call its own predict_proba, for each block of rows'
    elif hasattr(params, "predict_proba"):
        fix = "of an estimator pass Params(coef_[0], intercept_[0]), of several classes SoftmaxParams(coef_, intercept_)"
    got = "an array" if isinstance(params, jax.Array) else type(params).__name__  # not the name of a tracer
    raise TypeError(f"expected jaxlr.Params or jaxlr.SoftmaxParams, got {got}; {fix}")


def alike(vector: Shaped[Array, " k"], x: Float[Array, "*B k"]) -> Shaped[Array, " parameters"]:
    """A vector over columns, once for each coordinate of the classes: of the length of x.ravel()."""
    return jnp.broadcast_to(aligned(vector, x), x.shape).ravel()
