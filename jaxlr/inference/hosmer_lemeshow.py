"""Hosmer and Lemeshow's test of calibration: do the ones come as often as the model says, from its lowest probabilities to its
highest?

    H = sum_g (O_g - E_g)^2 (1 / E_g + 1 / (N_g - E_g)),    O_g = sum_i s_i y_i,  E_g = sum_i s_i p_i,  N_g = sum_i s_i

over the rows of each of G groups, cut at the quantiles j / G of the fitted probabilities: chi-square with G - 2 degrees of
freedom in simulations of a right model (Hosmer & Lemeshow 1980, Communications in Statistics A 9, section 3). The quantiles are
Hyndman & Fan's type 7 (1996, The American Statistician 50), as in R's ResourceSelection::hoslem.test; software that cuts
elsewhere has another H.

Of N sorted copies of rows the j-th cut lies between those of the numbers floor((N - 1) j / G) and the next, so that only the
first decides who is below. A cut at the smallest probability, where many rows share it, is no cut.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlr.inference.fitted import fitted
from jaxlr.inference.over_models import check_given, over_models
from jaxlr.inference.tails import Test, chi_square_test
from jaxlr.inputs.checks import check_count
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.likelihood import likelihood_of_params
from jaxlr.model.logistic import residual, sigmoid
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem
from jaxlr.results.fit import Fit

_ULPS = 16  # by which logits of equal rows may differ, as the sums of their products are rounded


def hosmer_lemeshow(fit: Fit, problem: Problem, *, num_groups: int = 10, penalized: bool = False) -> Test:
    """Test whether observed shares are the fitted probabilities, in groups of rows from the lowest to the highest of these.

    Args:
        fit: of two classes, unpenalized, its batch shape in front; Firth's too.
        problem: its data, each field with the batch axes that it had there. A weight k is the row k times, and a row of trials
            (y = successes / trials) is all of them.
        num_groups: G >= 3, static.
        penalized: whether a fit with l2 > 0 is accepted; for that the distribution is not known.

    Returns:
        Test (...), df (...) two less than the groups that have rows: equal probabilities stay together, so that they may be
        fewer than G. NaN where a model is not CONVERGED, or has two groups or one.

    Raises:
        ValueError: several classes; a penalized fit, unless asked for; num_groups is no integer >= 3; weights that are no
            counts; the data of another fit.

    Example:
        >>> import numpy as np, jaxlr
        >>> X, y = np.arange(40)[:, None], np.arange(40) % 3 < 1 + np.arange(40) // 30
        >>> test = hosmer_lemeshow(jaxlr.fit(X, y), jaxlr.Problem(X, y))
        >>> float(test.df), round(float(test.p_value), 2)
        (8.0, 0.94)

    References:
        Hosmer, Lemeshow & Sturdivant 2013, Applied Logistic Regression, section 5.2.2, eq. 5.7.
    """
    check_given(fit, problem)
    if likelihood_of_params(fit.params).classes:
        raise ValueError(
            "expected a fit of two classes in one logit for its Hosmer-Lemeshow test, got a multinomial one; test a class "
            "against the others in a fit of y == k"
        )
    check_count("num_groups", num_groups, 3)
    s = problem.sample_weight
    if s is not None and is_concrete(s) and not np.array_equal(np.asarray(s), np.round(np.asarray(s))):
        raise ValueError("expected whole numbers in sample_weight, which count rows in groups, got others; refit with counts")
    return chi_square_test(*over_models(_hosmer_lemeshow, fit, problem, penalized=penalized, options=(int(num_groups),)))


def _hosmer_lemeshow(params: Params, problem: Problem, num_groups: int, basis: int) -> tuple[Array, Array]:
    z = fitted(params, problem, basis).z
    s = jnp.ones_like(z) if problem.sample_weight is None else jnp.asarray(problem.sample_weight, z.dtype)
    z = jnp.where(s > 0, z, jnp.inf)  # rows without weight go last
    order = jnp.argsort(z)
    z, s, y = z[order], s[order], problem.y[order]
    group = _groups(z, s, num_groups)
    member = group[None, :] == jnp.arange(num_groups, dtype=group.dtype)[:, None]
    of_rows = (s * residual(z, y), s * sigmoid(z), s * sigmoid(-z), s)
    excess, ones, zeros, there = (jnp.sum(jnp.where(member, rows[None, :], 0), axis=1) for rows in of_rows)
    each = sum(jnp.where(excess == 0, 0, excess * (excess / jnp.where(excess == 0, 1, part))) for part in (ones, zeros))
    return jnp.sum(each), jnp.sum((there > 0).astype(z.dtype)) - 2


def _groups(z: Array, s: Array, num_groups: int) -> Array:
    """The group of each row (m,), of logits in ascending order."""
    eps = float(jnp.finfo(z.dtype).eps)
    rounding = _ULPS * eps * (1 + jnp.max(jnp.where(s > 0, jnp.abs(z), 0)))
    larger = jnp.diff(z, prepend=z[:1]) > rounding
    value = jnp.cumsum(larger, dtype=jnp.int32)  # the same of equal ones
    copies = jnp.cumsum(s)
    # (N - 1) j / G, its whole multiples of G apart, which keeps it exact for any number of copies
    rest = jnp.mod(copies[-1] - 1, num_groups)
    j = jnp.asarray(np.arange(1, num_groups), z.dtype)
    within, fuzz = rest * j / num_groups, _ULPS * num_groups * eps
    whole = jnp.floor(within + fuzz)
    number = jnp.round((copies[-1] - 1 - rest) / num_groups) * j + whole
    below, above = (value[jnp.searchsorted(copies, number + more, side="right")] for more in (0, 1))
    is_cut = (below > 0) | ((above > 0) & (within - whole > fuzz))
    return jnp.sum((is_cut[:, None] & (value[None, :] > below[:, None])).astype(jnp.int32), axis=0)
