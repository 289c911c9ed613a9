"""Callbacks of scikit-learn (1.9 and later): progress bars and monitors of scores, told of each step.

A program knows of no Python between its steps. With callbacks a model is therefore fitted with a limit of one step, then of
two, and so on: what a callback sees after k steps is the estimator with max_iter=k, for more time. As there, a task of its own
tells of every step, and an empty one of the end; a callback that answers True ends the fit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxlr.estimator.absent import fit_rows
from jaxlr.estimator.rows import Rows
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status


@contextmanager
def root_task(estimator: Any, rows: Rows, sample_weight: Any, tasks: int) -> Iterator[Any]:
    """The task of a whole fit, for callbacks.

    Args:
        estimator: one of this package.
        rows: what is fitted.
        sample_weight: as the fit was given it.
        tasks: how many others it has at most.

    Yields:
        The context of tasks within it; None where nothing is to be told.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield None
        return
    context = estimator._init_callback_context(max_subtasks=tasks)
    data = _data(rows, sample_weight)
    context.call_on_fit_task_begin(estimator=estimator, **data)
    yield context if getattr(estimator, "_skl_callbacks", []) else None
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={}, **data)


@contextmanager
def task(estimator: Any, context: Any, name: str) -> Iterator[None]:
    """A task within another: of a context that `root_task` gave, which may be None."""
    if context is None:
        yield
        return
    inner = context.subcontext(task_name=name)
    inner.call_on_fit_task_begin(estimator=estimator)
    yield
    inner.call_on_fit_task_end(estimator=estimator)


def fit_by_steps(estimator: Any, rows: Rows, C: float, l1_ratio: float, *, init: Any, context: Any, sample_weight: Any) -> Fit:
    """Fit with more and more steps, and tell of each.

    Args:
        estimator: a `LogisticRegressor` with callbacks.
        rows: without axes of weights beside that of the models.
        C: inverse strength.
        l1_ratio: share of l1.
        init: coef and intercept to start from; None is 0.
        context: that of `root_task`.
        sample_weight: as the fit was given it.

    Returns:
        As `jaxlr.estimator.absent.fit_rows`.
    """
    data, most, budget, running = _data(rows, sample_weight), int(estimator.max_iter), 0, True
    fits = fit_rows(estimator, rows, C, l1_ratio, init=init, max_steps=0)
    while True:
        step = context.subcontext(task_name="newton-iter")
        step.call_on_fit_task_begin(estimator=estimator, reconstruction_attributes=_reached(fits), **data)
        budget += 1
        if running and most:
            fits = fit_rows(estimator, rows, C, l1_ratio, init=init, max_steps=budget)
            running = budget == 1 or fits.num_steps.max() == budget  # else nothing was left to do
        if not running:
            step.call_on_fit_task_end(estimator=estimator)
            return fits
        stop = step.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=_reached(fits), **data)
        running = not stop and budget < most and np.any(fits.status == Status.MAX_STEPS)


def _data(rows: Rows, sample_weight: Any) -> dict[str, Any]:
    """What a callback may ask for."""
    return {"X": rows.X, "y": rows.y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}


def _reached(fits: Fit) -> dict[str, Any]:
    """What an estimator predicts with, had its fit ended here."""
    return {"coef_": fits.params[0], "intercept_": fits.params[1]}
