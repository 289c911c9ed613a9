"""Exact fits of data larger than memory: all models of a batch in each pass over blocks of rows.

The objective is that of `jaxlr.fit`, whose minimum depends on the rows only through sums over them. Each pass adds up, for
every model that still runs, what a Newton step asks for (`jaxlr.streaming.sums`), and the same sums are the evidence of where
it is (`jaxlr.streaming.points`). The first pass looks at the columns and takes a sample, to whose fit the second pass adds up;
near the minimum each step squares the error, and the last one needs no pass to be proved (`jaxlr.streaming.proved`): three to
six passes are usual, however many rows and models there are.
With more than 512 columns, all of them with a penalty, no Hessian of all columns is summed (`jaxlr.streaming.wide`): six to
eight passes to 1e-5 where a pass can sum one Gram matrix for all models, else up to tens.
"""

import os

import jax
from jax.typing import ArrayLike
from jaxtyping import Array
from tqdm.auto import tqdm

from jaxlr.engine.chunks import deferred_interrupt
from jaxlr.inputs.checks import Data
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.results.fit import Fit
from jaxlr.streaming.blocks import Blocks, Reader
from jaxlr.streaming.models import Asked
from jaxlr.streaming.processes import InterruptedPassError
from jaxlr.streaming.run import Run


def fit_stream(
    blocks: Blocks,
    *,
    num_classes: int | None = None,
    folds: int | None = None,
    num_samples: int | None = None,
    key: Array | None = None,
    l1: Data = 0.0,
    l2: Data = 0.0,
    lower: Data | None = None,
    upper: Data | None = None,
    penalty_factor: Data | None = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    init: Params | SoftmaxParams | None = None,
    tol: ArrayLike | None = None,
    max_steps: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Fit:
    """Fit logistic regressions to rows that come in blocks, and do not stand in memory together.

    The models, their statuses and their evidence are those of `jaxlr.fit` on all rows, to tol: every verdict is proved, and no
    row is left out. All models of the batch share each pass. All sums are in float64, whatever the dtype of the blocks and of
    the results, and whether JAX computes in float64 outside or not.

    In a job that `jax.distributed` joined every process makes the same call with blocks of its own
    (`jaxlr.streaming.own_parts`), and gets the same answer to the last bit: that of one process with the rows of all, those of
    one process after those of another, but for the rounding of sums.

    Args:
        blocks: a callable that returns a fresh iterator for each pass, of (X, y) or of mappings with "X" (r, n), "y" (..., r)
            or soft labels of K classes (..., r, K), and where wanted "sample_weight" (..., r) and "offset" (..., r), with
            num_classes (..., r, K), as in `jaxlr.fit`: axes in front are batch axes. Any number of rows r; arrays, tables,
            sparse X of SciPy, which are made dense a block at a time. All passes have to bring the same rows in the same
            order. `jaxlr.streaming` makes such callables of arrays and files.
        num_classes: K >= 2 of the multinomial model; None is the binary one.
        folds: K training sets made from key and row number, on an axis of K in front of the batch: each K rows that follow each
            other are dealt to the K folds in a random order, one to each is held out.
        num_samples: k bootstrap resamples made likewise, on an axis of k in front: a row counts Poisson(1) times, which is the
            usual bootstrap for many rows.
        key: of `jax.random`, with folds or num_samples.
        l1, l2, penalty_factor, lower, upper: strengths, factors and bounds, as in `jaxlr.fit`.
        fit_intercept: without it the intercepts are 0.
        standardize: True measures penalties in standard deviations of the columns under each model's own weights.
        init: start, as in `jaxlr.fit`, such as the estimates of the rows before new ones came; None is the minimum over the
            sampled rows.
        tol: on the KKT residual, > 0; None is 1e-10 for results in float64 and 1e-5 in float32.
        max_steps: passes with steps, >= 1; None is 200.
        checkpoint: path of a file to which every finished pass writes what it found. Where it is there already a call with the
            same arguments goes on from it, to the same answer; it is gone when the call returns. Of many processes the first
            alone writes and reads it.
        progress: True shows a bar on stderr, with rows, passes and models that run; of many processes the first does.

    Returns:
        Fit, its fields with the batch shape in front (a column without a penalty that depends on those before it has a
        coefficient of 0, and a warning names it), `num_passes` after how many passes over the rows each model ended. gap
        comes from the sums of the last pass alone (`jaxlr.streaming.points`): a rigorous bound, inf where `jaxlr.duality_gap`
        is, and further from the minimum than any that converged. Where a last step shorter than sqrt(tol / 10) logits is
        proved and not seen, value is that of the quadratic, and kkt and gap are bounds (`jaxlr.streaming.proved`).

    Raises:
        TypeError: an argument or a field of a block has the wrong type.
        ValueError: values or shapes are not what they must be, with block and row; blocks are others than in the first pass;
            columns without a penalty are nearer to the span of others than 1e-5 of their standard deviation (`jaxlr.fit` tells
            them apart down to 1e-9, sums of products cannot), but not in it, or are in it under the weights of some models
            only, or without a penalty in some models only; a checkpoint is of another call.
        MemoryError: the Hessians of all models, or with many columns sums, steps and sampled rows, need more than is free.
        RuntimeError: another process raised something, whose words it has.
        KeyboardInterrupt: after the first pass its attribute `fit` is the Fit so far, NOT_RUN where models had not ended; in
            all processes, when one of them was interrupted.

    Example:
        >>> import numpy as np
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
        >>> found = fit_stream(lambda: ((X[i : i + 2], y[i : i + 2]) for i in (0, 2)), l2=np.array([0.1, 1.0]))
        >>> found.converged.tolist(), found.num_passes.tolist()
        ([True, True], [2, 2])

    References:
        Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), equations 4.20 to 4.26 (Newton's method).
        Sums over blocks of rows: Miller 1992, Applied Statistics 41, algorithm AS 274 (the package biglm).
    """
    asked = Asked(
        num_classes=num_classes,
        l1=l1,
        l2=l2,
        lower=lower,
        upper=upper,
        penalty_factor=penalty_factor,
        fit_intercept=fit_intercept,
        standardize=standardize,
        init=init,
        folds=folds,
        num_samples=num_samples,
        key=key,
        tol=tol,
        max_steps=max_steps,
    )
    asked.checked()
    run = Run(asked, Reader(blocks, num_classes), checkpoint)
    with (
        jax.enable_x64(True),
        deferred_interrupt() as interrupted,
        tqdm(unit=" rows", unit_scale=True, disable=not progress or jax.process_index() > 0) as bar,
    ):
        try:
            while not run.ended:
                run.go_on(bar, interrupted)
        except InterruptedPassError:
            pass
    if not run.ended:
        raise run.interrupt()
    if checkpoint is not None and jax.process_index() == 0 and os.path.exists(checkpoint):
        os.remove(checkpoint)
    return run.fit()
