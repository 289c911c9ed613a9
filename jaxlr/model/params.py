"""The parameters of the two models: a type for each, which says which model it is.

    Params           logit      z   = X . coef + intercept + offset               P(y = 1) = sigmoid(z)
    SoftmaxParams    logits     z_k = X . coef_k + intercept_k + offset_k         P(y = k) = exp(z_k) / sum_l exp(z_l)

Batch axes stand in front. The multinomial parametrization is the symmetric one: no class is the base, and what is added to all
classes alike changes no probability.
"""

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable


@runtime_checkable
class HasParams(Protocol):
    """A Fit, or whatever else holds the parameters of models."""

    @property
    def params(self) -> Any:
        """Params or SoftmaxParams."""
        ...


class Params(NamedTuple):
    """Parameters of one model or of a batch.

    Attributes:
        coef: coefficients (..., n).
        intercept: intercepts (...); zeros for a model without one.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    coef: Any
    intercept: Any


class SoftmaxParams(NamedTuple):
    """Parameters of one multinomial model of K classes, or of a batch.

    Attributes:
        coef: coefficients (..., K, n).
        intercept: intercepts (..., K); zeros for a model without.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    coef: Any
    intercept: Any


Parameters = TypeVar("Parameters", Params, SoftmaxParams)
