"""A call on its way: pass after pass, each written to the checkpoint, and what is known at any moment as a Fit.

Of many processes all make the same passes, each over rows of its own. Numbers of rows are those of one stream, the rows of the
first process and then those of the next: a look that counts them comes first. The first process alone writes the checkpoint,
and decides where the models go.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlr.engine.arguments import checked_tol
from jaxlr.inputs.checks import dtype_of_design
from jaxlr.model.certificates import with_rounding
from jaxlr.results.fit import Fit
from jaxlr.results.status import Status
from jaxlr.solvers.descent import RUNNING
from jaxlr.streaming import checkpoint as files
from jaxlr.streaming.ahead import ahead
from jaxlr.streaming.blocks import Reader, Rows
from jaxlr.streaming.calls import Call, Progress
from jaxlr.streaming.dependent import independent
from jaxlr.streaming.first import First, center_and_unit, first_pass, of_all_processes, thinned
from jaxlr.streaming.frames import rounded
from jaxlr.streaming.loop import next_pass
from jaxlr.streaming.models import Asked, lay_out
from jaxlr.streaming.passes import shape_of
from jaxlr.streaming.processes import (
    InterruptedPassError,
    bytes_of_first,
    check_alike,
    number_rows,
    of_first,
    ragged,
    together,
)
from jaxlr.streaming.resamples import typed
from jaxlr.streaming.resumed import identity, of_arrays, to_arrays
from jaxlr.streaming.start import begin
from jaxlr.streaming.sums import Frame
from jaxlr.streaming.wide import check_memory, is_coercive, is_wide

_SAMPLE, _SAMPLE_NUMBERS = 2**17, 2**25  # rows that the start is fitted to, at most, and their numbers
_SMALL_SAMPLE = 2**14  # that is never too dear
_SHARE, _SHARE_OF_MANY = 7, 64  # of the rows, in a sample that saves a pass with Hessians, and one without
_READ = 2**13  # rows of a block of the first pass


class Run:
    """A call on its way: pass after pass, each in the checkpoint."""

    def __init__(self, asked: Asked, reader: Reader, checkpoint: str | os.PathLike[str] | None) -> None:
        self.asked, self.reader, self.checkpoint = asked, reader, checkpoint
        self.likelihood, self.resamples = asked.checked()
        self.x64 = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        self.call: Call | None = None
        self.progress: Progress | None = None
        self.prints: list[np.ndarray] = []
        self.growth = 1.0  # see `jaxlr.streaming.dependent`

    @property
    def ended(self) -> bool:
        """Whether no model runs any more."""
        return self.progress is not None and not len(self.progress.running)

    def go_on(self, bar: Any, interrupted: list[bool]) -> None:
        """One more pass, or what an earlier process found."""

        def told(count: int) -> None:
            bar.update(count)
            if interrupted:
                raise InterruptedPassError

        mark = files.digest(identity(self.asked, self.x64) | {"checkpoint": self.checkpoint is not None})
        if self.call is None or self.progress is None:
            if self._resumed(mark):
                return
            progress = self._begun(bar, told)
        else:
            call, now = self.call, self.progress
            bar.set_description(f"pass {now.passes + 1}, {len(now.running)} of {call.batch.size} models")
            progress = together(lambda: next_pass(call, self.reader, now, told))
        # Hessians of the sample stay where they are: with them too the first process decides.
        agreed = of_first(progress._replace(chord=None, sample=None))
        own = {"chord": progress.chord, "sample": progress.sample}
        self.progress = agreed._replace(**own, exact=bool(agreed.exact), passes=int(agreed.passes))
        together(lambda: self._save(mark))

    def _resumed(self, mark: str) -> bool:
        """Whether there is a checkpoint; what it knows is known now."""
        first = jax.process_index() == 0
        said = ", ".join(f"{name}={value}" for name, value in vars(self.asked).items() if value is not None)
        check_alike("the same arguments", f"{said} ({mark[:12]})")
        path = self.checkpoint
        if path is None:
            return False
        content = bytes_of_first(together(lambda: files.read(path) if first else None))
        if content is None:
            return False
        self.progress, self.prints, center, unit, self.growth = of_arrays(files.load(content, path, mark), self.reader)
        self.call = together(lambda: self._call(center, unit))
        return True

    def _begun(self, bar: Any, told: Callable[[int], None]) -> Progress:
        """The first pass, and where the models start."""
        reader, fit_intercept = self.reader, bool(self.asked.fit_intercept)
        bar.set_description("pass 1")
        number_rows(reader, told)
        resamples = math.prod(self.resamples.axes)
        most = lambda n, weights: _sample_size(n, weights * resamples)  # noqa: E731
        own = together(lambda: first_pass(self._rows(told), most, fit_intercept))
        first = of_all_processes(own, most)
        assert reader.prints is not None
        self.prints = ragged(np.frombuffer(reader.prints, np.uint64))
        m = sum(int(np.sum(its >> np.uint64(32))) for its in self.prints)
        frame = of_first(center_and_unit(first.moments, fit_intercept))
        batch = together(lambda: self._call(*frame)).batch
        columns, self.growth = independent(first, *frame, batch, fit_intercept, lambda: self._rows(told), reader.kind)

        def begun(first: First) -> Progress:
            if columns is not None:
                self.reader.columns = columns
                first = first._replace(sample=first.sample | {"X": first.sample["X"][:, columns]})
            call = self.call = self._call(*(frame if columns is None else (part[columns] for part in frame)))
            worth = 0 if call.wide else m // (_SHARE if call.shape.cheap else _SHARE_OF_MANY)
            return begin(call, thinned(first, max(worth, _SMALL_SAMPLE)), m)

        progress = together(lambda: begun(first))
        return progress if columns is None else progress._replace(passes=progress.passes + 1)

    def _save(self, mark: str) -> None:
        if self.checkpoint is None or jax.process_index() > 0:
            return
        assert self.call is not None and self.progress is not None  # noqa: PT018
        frame = self.call.frame
        arrays = to_arrays(self.progress, self.reader, self.prints, frame, self.growth)
        files.save(self.checkpoint, mark, arrays)

    def _rows(self, told: Callable[[int], None]) -> Iterator[Rows]:
        reading = ahead(self.reader.rows(_READ))
        try:
            for block in reading:
                yield block
                told(block.size)
        finally:
            reading.close()

    def _call(self, center: np.ndarray, unit: np.ndarray) -> Call:
        asked, kind = self.asked, self.reader.handed
        assert kind is not None
        with jax.enable_x64(self.x64):
            dtype = dtype_of_design(kind.dtypes["X"])
        if (columns := self.reader.columns) is not None:
            asked = asked.of_columns(columns)
        batch = lay_out(asked, kind, self.resamples, dtype)
        tol = float(checked_tol(asked.tol, np.dtype(np.float64) if asked.tol is not None else dtype)) / self.growth
        steps = self.likelihood if batch.kinked else self.likelihood.in_contrasts()
        shape = shape_of(batch, steps, kind.n, kind.n + int(asked.fit_intercept), self.resamples)
        frame = Frame(center, unit, typed(asked.key))
        call = Call(asked, self.likelihood, steps, self.resamples, batch, shape, frame, dtype, tol, False)
        coercive = is_coercive(batch, call.bounds)
        wide = is_wide(shape, coercive)
        check_memory(shape, coercive, wide, _sample_size(kind.n, shape.weights))
        return call._replace(wide=wide)

    def fit(self) -> Fit:
        """What is known now."""
        assert self.call is not None and self.progress is not None  # noqa: PT018
        call, state, shape = self.call, self.progress.state, self.call.batch.shape
        running = state.status == RUNNING
        x = np.where(running.reshape(-1, *(1,) * (state.x.ndim - 1)), state.origin, state.x)
        with jax.enable_x64(True):
            model = self.progress.model
            _, params = rounded(x, call.bounds, model, call.frame, call.steps, call.batch.kinked, str(call.dtype))
            coef, intercept = (np.asarray(part) for part in params)
        gap = with_rounding(state.gap, state.kkt, self.likelihood.params_type(coef, intercept), call.frame.center)
        gap = np.where(np.isnan(gap), np.inf, gap)  # of a model without weight
        passes = np.where(self.progress.ended > 0, self.progress.ended, self.progress.passes)
        number = lambda values, dtype: jnp.asarray(values.astype(dtype).reshape((*shape, *values.shape[1:])))  # noqa: E731
        kind, columns = self.reader.kind, self.reader.columns
        if columns is not None:
            own, coef = coef, np.zeros((*coef.shape[:-1], len(columns)), coef.dtype)
            coef[..., columns] = own
        return Fit(
            params=self.likelihood.params_type(number(coef, call.dtype), number(intercept, call.dtype)),
            value=number(state.value, call.dtype),
            kkt=number(state.kkt * self.growth, call.dtype),
            gap=number(gap, call.dtype),
            status=number(np.where(running, np.int32(Status.NOT_RUN), state.status), np.int32),
            num_steps=number(state.num_steps, np.int32),
            num_passes=number(passes, np.int32),
            solver="stream",
            names=None if kind is None else kind.names,
        )

    def interrupt(self) -> KeyboardInterrupt:
        """With what is known, once the first pass has ended."""
        if self.progress is None:
            return KeyboardInterrupt("no pass over the rows had ended")
        done = np.sum(self.progress.state.status != RUNNING)
        of = len(self.progress.state.status)
        error = KeyboardInterrupt(f"{done} of {of} models had ended: all are in its attribute fit")
        error.fit = self.fit()  # pyright: ignore[reportAttributeAccessIssue]
        return error


def _sample_size(n: int, weights: int) -> int:
    """Rows of the sample, at most; of a row the weights of all resamples are numbers too."""
    return max(min(_SAMPLE, _SAMPLE_NUMBERS // (n + weights)), 64)
