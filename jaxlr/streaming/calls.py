"""A call: what stays the same from pass to pass, and what passes have found."""

from typing import Any, NamedTuple

import numpy as np

from jaxlr.engine.arguments import DEFAULT_MAX_STEPS
from jaxlr.model.likelihood import Likelihood
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming.models import Asked, Batch
from jaxlr.streaming.passes import Shape
from jaxlr.streaming.points import Model
from jaxlr.streaming.resamples import Resamples
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.states import State
from jaxlr.streaming.sums import Frame, Plan


class Call(NamedTuple):
    """What stays the same from pass to pass.

    Attributes:
        asked: the arguments.
        likelihood: as the caller names it; steps: in the coordinates of the steps.
        resamples, batch, shape: of the models.
        frame: of the columns.
        dtype: of the results.
        tol: on the KKT residual.
        wide: whether there are many columns (`jaxlr.streaming.wide`).
    """

    asked: Asked
    likelihood: Likelihood
    steps: Likelihood
    resamples: Resamples
    batch: Batch
    shape: Shape
    frame: Frame
    dtype: Any
    tol: float
    wide: bool

    @property
    def k(self) -> int:
        """Working columns, with the intercept."""
        return self.frame.center.shape[0] + int(self.asked.fit_intercept)

    @property
    def max_steps(self) -> int:
        """Limit of steps."""
        return DEFAULT_MAX_STEPS if self.asked.max_steps is None else int(self.asked.max_steps)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of the coefficients on X (L, n)."""
        fields, n = self.batch.fields, self.frame.center.shape[0]
        if "lower" not in fields and "upper" not in fields:
            return None
        none = np.full((self.batch.size, n), np.inf)
        return fields.get("lower", -none), fields.get("upper", none)

    def plan(self, exact: bool, measures: bool, inside: int | None = None, shared: bool = False) -> Plan:
        """Of a pass, with the Hessians of so many columns, None for all."""
        shape = self.shape if inside is None else self.shape._replace(k=inside)
        flags = exact, measures, shape.products, shared
        return Plan(self.steps, bool(self.asked.fit_intercept), self.resamples, self.batch.kinked, *flags)


class Progress(NamedTuple):
    """What passes have found; NumPy arrays and numbers.

    Attributes:
        state: of the models (L,).
        model: once they are measured.
        chord: Hessians of the sample (L, *P, k, k), or None.
        exact: whether Hessians are summed.
        passes: so far; ended: after which each model ended (L,), 0 before.
        sample: rows in memory, of many columns, or for the first step; None else.
        urgency: of these columns (n,), with kinks (`jaxlr.streaming.inside`); None else.
    """

    state: State
    model: Model | None
    chord: Any
    exact: bool
    passes: int
    ended: np.ndarray
    sample: Sample | None = None
    urgency: np.ndarray | None = None

    @property
    def running(self) -> np.ndarray:
        """Numbers of the models that run."""
        return np.flatnonzero(self.state.status == RUNNING)
