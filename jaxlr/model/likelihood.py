"""The two likelihoods, as static objects: what a solver, a certificate or a statistic asks of a model's rows."""

from typing import NamedTuple

from jaxlr.model.params import Params, SoftmaxParams


class Binary(NamedTuple):
    """One logit a row, labels in [0, 1]."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Axes of classes: none."""
        return ()

    @property
    def params_type(self) -> type[Params]:
        """The parameters of such a model."""
        return Params


class Multinomial(NamedTuple):
    """A logit for each class and row, labels 0..K-1.

    Attributes:
        num_classes: K.
    """

    num_classes: int

    @property
    def classes(self) -> tuple[int, ...]:
        """Axes of classes."""
        return (self.num_classes,)

    @property
    def params_type(self) -> type[SoftmaxParams]:
        """The parameters of such a model."""
        return SoftmaxParams


Likelihood = Binary | Multinomial


def likelihood_of(num_classes: int | None) -> Likelihood:
    """The likelihood that `num_classes` of a fit names.

    Args:
        num_classes: K, None for the binary model.

    Returns:
        Static, hashable.
    """
    return Binary() if num_classes is None else Multinomial(num_classes)
