"""Approximate leave-one-out: what every model predicts for each row when it is fitted to all the others, in one Newton step.

Without row i the weights of the others sum to 1 again, so that J becomes

    J_i(x) = sum_{j != i} w_j / (1 - w_i) l_j(x) + pen(x)

At the minimum of J, where sum_j w_j r_j a_j = -pen', its gradient is -(w_i / (1 - w_i)) (r_i a_i + pen'), and its Hessian
(H - w_i c_i a_i a_i' - w_i pen'') / (1 - w_i). The Newton step, without the w_i pen'', which is a share 1 / m of it, changes
logit i (Sherman & Morrison, with q_i of `jaxlr.inference.leverage` and v = A H^-1 pen') to

    z_i + w_i (r_i q_i + v_i) / (1 - w_i c_i q_i)                 of K classes  z_i + (I - w_i q_i W_i)^-1 w_i (q_i r_i + v_i)

With l1 everything is restricted to the coefficients that are not 0, and pen' holds l1 sign(x). Rad & Maleki 2020, Journal of
the Royal Statistical Society B 82, section 3; of nonsmooth penalties Wang, Zhou, Lu, Maleki & Mirrokni 2018, ICML, section 3.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlr.batching.lanes import Models
from jaxlr.batching.wide import in_span
from jaxlr.inference.fitted import fitted
from jaxlr.inference.leverage import leverage, remainder
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.linalg.dot import aligned, einsum
from jaxlr.model.likelihood import Multinomial, likelihood_of_params
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.predict import logits
from jaxlr.model.problem import Problem, row_weights
from jaxlr.results.fit import Fit
from jaxlr.solvers.working import prepare


class LeaveOneOut(NamedTuple):
    """Of every model of a fit.

    Attributes:
        logits: of each row by the model of the others (..., m), of K classes (..., m, K).
        log_loss: their mean loss under the weights (...), in nats.
    """

    logits: Any
    log_loss: Any


def leave_one_out(fit: Fit, problem: Problem) -> LeaveOneOut:
    """Held-out logits and log loss of every row, without fitting again: about one Newton step a model.

    Args:
        fit: by `jaxlr.fit`, its batch shape in front: unpenalized or with l1 and l2, of two classes or several.
        problem: its data and penalties, each field with the batch axes that it had there.

    Returns:
        LeaveOneOut, of the dtype of the fit, with derivatives in all numbers of the fit and the problem. NaN where a model is
        not CONVERGED, or its Hessian is singular as far as the dtype can tell; and for a row without which the others determine
        no logit of it, since its leverage is 1. A row is left out with all its weight; one without weight has the logit of the
        model.

    Raises:
        ValueError: Firth's estimates; the data of another fit; shapes that do not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y, *_ = jaxlr.datasets.low_birth_weight()
        >>> l2 = np.array([1.0, 0.01, 0.0001])
        >>> loss = leave_one_out(jaxlr.fit(X, y, l2=l2), jaxlr.Problem(X, y, l2=l2)).log_loss
        >>> int(np.argmin(loss))
        1

    References:
        Rad & Maleki 2020, Journal of the Royal Statistical Society B 82, eq. 10.
    """
    check_given(fit, problem)
    if fit.solver == "firth":
        raise ValueError(
            "expected estimates by jaxlr.fit, got Firth's, whose penalty is another without each row; fit again without it"
        )
    return LeaveOneOut(*over_models(_leave_one_out, fit, problem, penalized=True, absolute=True, by_row=True))


def _leave_one_out(params: Params | SoftmaxParams, problem: Problem, basis: int) -> tuple[Array, Array]:
    z = held_out_logits(params, problem, basis)
    likelihood, w = likelihood_of_params(params), row_weights(problem)
    return z.T, jnp.sum(w * likelihood.losses(z, jnp.asarray(problem.y, z.dtype)))


def held_out_logits(params: Params | SoftmaxParams, problem: Problem, basis: int) -> Float[Array, "*K m"]:
    """Of one model: the logits of each row by the model of the others, the classes in front."""
    everywhere = logits(params, problem.X, problem.offset).T
    if _lies_in_the_span_of_its_rows(problem):
        params, problem = _in_span(params, problem)
    model = fitted(params, problem, basis)
    system, likelihood, penalty = model.system, model.system.likelihood, model.system.penalty
    rows = leverage(model, 0.0 if problem.l1 is None else float(jnp.finfo(model.z.dtype).eps) ** 0.625)  # l1 may keep copies
    v = rows.of_gradient(penalty.smooth_slope(model.x) + aligned(penalty.l1, model.x) * jnp.sign(model.x))
    r = likelihood.reduce(likelihood.residual(model.z, system.y))
    if isinstance(likelihood, Multinomial):
        q = einsum("pbm,pdm->mbd", rows.moved, rows.moved)
        bent = likelihood.curvature(model.z, system.w)
        contrasts = jnp.asarray(likelihood.basis.T, q.dtype)[:, :, None]  # W in the coordinates, a column at a time
        W = jnp.stack([likelihood.reduce(bent.times(jnp.broadcast_to(b, model.z.shape))) for b in contrasts], axis=1)
        pushed = aligned(system.w, r) * (einsum("mbd,dm->bm", q, r) + v)
        rest = jnp.eye(len(contrasts), dtype=q.dtype)[None] - einsum("mbd,dem->mbe", q, W)
        known = ~jnp.isnan(remainder(1 - jnp.linalg.det(rest)))[:, None, None]
        moved = jnp.where(known, jnp.linalg.solve(rest, pushed.T[:, :, None]), jnp.nan)
        z = model.z + likelihood.expand(moved[:, :, 0].T)
    else:
        q, c = jnp.sum(rows.moved**2, axis=0), likelihood.curvature(model.z, system.w).diagonal()
        z = model.z + system.w * (r * q + v) / remainder(c * q)
    return jnp.where(aligned(system.w, z) > 0, z, everywhere)


def _lies_in_the_span_of_its_rows(problem: Problem) -> bool:
    """Whether there are more columns than rows, with one squared penalty for all and no other, as in `jaxlr.batching.wide`."""
    m, n = jnp.shape(problem.X)
    return n > m and problem.l1 is None and problem.penalty_factor is None


def _in_span(params: Params | SoftmaxParams, problem: Problem) -> tuple[Params | SoftmaxParams, Problem]:
    """The same model on as many columns as rows: a held-out model lies in the span of the other rows."""
    present = None if problem.sample_weight is None else problem.sample_weight > 0
    working = prepare(problem.X, present, problem.fit_intercept)
    inside, _, _ = in_span(Models(problem=problem, start=params), working)
    return inside.start, inside.problem
