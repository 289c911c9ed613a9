"""Influence of the rows on an estimate: leverage, residuals, Cook's distance, and what each row's deletion changes.

    leverage      h_i = s_i c_i a_i' H^-1 a_i        c = p (1 - p),  H = sum_i s_i c_i a_i a_i' (+ the squared penalty)
    Pearson       (y_i - p_i) sqrt(s_i / c_i)
    deviance      sign(y_i - p_i) sqrt(2 s_i KL(y_i || p_i))
    standardized  over sqrt(1 - h_i)
    Cook          Pearson_i^2 h_i / ((1 - h_i)^2 k)
    DFBETA        coef - coef without row i  =  H^-1 a_i s_i e_i / (1 - h_i),  to first order

with e = y - p, for Firth's estimates y - p + h (1/2 - p), whose sum over the rows is 0 there (Heinze & Schemper 2002,
Statistics in Medicine 21, eq. 2). A penalty is that of the sum over the rows, and stays as it is without one of them.

Pregibon 1981, Annals of Statistics 9, sections 3 and 4; Cook & Weisberg, Residuals and Influence in Regression (1982), section
5.2. A row of weight k stands here as one, deleted with all of its copies, as R's hatvalues and cooks.distance have it.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxlr.inference.binomial import kullback_leibler
from jaxlr.inference.fitted import as_params, fitted
from jaxlr.inference.leverage import leverage, remainder
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.linalg.dot import dot
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.logistic import sigmoid
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit


class Influence(NamedTuple):
    """What each row does to a model; arrays (..., m), 0 in rows without weight.

    Attributes:
        leverage: h in [0, 1], their sum the degrees of freedom of the model.
        pearson: residuals of variance 1 - h.
        deviance: residuals whose squares sum to the deviance.
        standardized_pearson: of variance 1.
        standardized_deviance: likewise.
        cooks_distance: how far the deletion of the row moves all estimates, in units of their covariance, over k.
        dfbeta: how much larger each estimate is with the row than without it: Params of coef (..., m, n), intercept (..., m).
    """

    leverage: Any
    pearson: Any
    deviance: Any
    standardized_pearson: Any
    standardized_deviance: Any
    cooks_distance: Any
    dfbeta: Any


def influence(fit: Fit, problem: Problem, *, penalized: bool = False) -> Influence:
    """Leverage, residuals, Cook's distance and DFBETA of every row, in every model of a fit.

    Args:
        fit: of two classes, its batch shape in front; Firth's too.
        problem: its data, each field with the batch axes that it had there.
        penalized: whether a fit with l2 > 0 is accepted; H then holds the penalty, and k is still the number of parameters.

    Returns:
        Influence, of the dtype of the fit; NaN where a model is not CONVERGED, and DFBETA for parameters that are not
        determined, as in `covariance`. A row that determines a parameter alone has leverage 1 to within rounding, and NaN for
        all that is divided by 1 - h.

    Raises:
        ValueError: several classes; a penalized fit, unless asked for; the data of another fit; shapes that do not fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.array([[0], [1], [2], [3], [9]]), np.array([0, 1, 0, 1, 0])
        >>> found = influence(jaxlr.fit(X, y), jaxlr.Problem(X, y))
        >>> np.asarray(found.leverage, float).round(2).tolist(), int(np.argmax(found.cooks_distance))
        ([0.4, 0.28, 0.22, 0.22, 0.87], 4)

    References:
        Pregibon 1981, Annals of Statistics 9, eqs. 3.4 (leverage), 4.3 (one step without a row).
    """
    check_given(fit, problem)
    if likelihood_of_params(fit.params).classes:
        raise ValueError(
            "expected a fit of two classes in one logit for its influence, got a multinomial one; fit y == k for one class"
        )
    firth = fit.solver == "firth"
    return over_models(_influence, fit, problem, penalized=penalized, options=(firth,), by_row=True)


def _influence(params: Params, problem: Problem, firth: bool, basis: int) -> Influence:
    model = fitted(params, problem, basis)
    system, likelihood = model.system, model.system.likelihood
    w, s, y, z = system.w, system.total * system.w, system.y, model.z
    root, moved = leverage(model)
    c, r = likelihood.curvature(z, jnp.ones_like(w)).diagonal(), likelihood.residual(z, y)
    h = w * c * jnp.sum(moved**2, axis=0)
    rest = remainder(h)
    pearson = -jnp.where(r == 0, 0, r * jnp.sqrt(s / jnp.where(r == 0, 1, c)))  # a curvature may underflow
    deviance = -jnp.sign(r) * jnp.sqrt(2 * s * kullback_leibler(z, y))
    score = r + h * (sigmoid(z) - 0.5) / jnp.where(s > 0, s, 1) if firth else r
    dx = dot(root.T, moved) * (-w * score / rest)[None, :]
    return Influence(
        leverage=h,
        pearson=pearson,
        deviance=deviance,
        standardized_pearson=pearson / jnp.sqrt(rest),
        standardized_deviance=deviance / jnp.sqrt(rest),
        cooks_distance=s * r**2 * w * jnp.sum(moved**2, axis=0) / (rest**2 * model.num_parameters),
        dfbeta=as_params(dot(dx.T, model.determined.T), params),
    )
