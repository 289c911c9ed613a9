"""How a fit ended: one integer a model, a sentence of advice for each, and the error that `raise_on_failure` raises."""

from enum import IntEnum


class Status(IntEnum):
    """Outcome of one model; int32 in a Fit, and the values never change.

    SEPARATED is the verdict on six Newton steps below kkt <= min(tol, eps^0.6), times the rarity of the rarest class (of two
    4 p (1 - p)), that go on while the gradient vanishes. A minimum so far out that it is lower by less than eps^0.6 exp(-5)
    (float64: 3e-12, float32: 5e-7) cannot be told from none by that; `jaxlr.separating_direction` tells.
    """

    CONVERGED = 0
    MAX_STEPS = 1
    STALLED = 2
    SEPARATED = 3
    NONFINITE = 4
    INVALID = 5
    NOT_RUN = 6

    @property
    def advice(self) -> str:
        """One sentence: what happened, and what to do about it."""
        return _ADVICE[self]


_ADVICE = {
    Status.CONVERGED: "the optimality conditions hold to tol.",
    Status.MAX_STEPS: "the step limit came before tol was reached; raise max_steps.",
    Status.STALLED: "no further progress in this dtype; accept the residual in kkt, raise tol, use float64, or drop columns "
    "that others nearly make up.",
    Status.SEPARATED: "a direction separates the classes, so no finite estimate exists; add a penalty (l2 > 0), "
    "or take jaxlr.fit_firth; jaxlr.separating_direction finds the direction.",
    Status.NONFINITE: "NaN or infinity in the data or on the way; look for missing values or overflowing columns.",
    Status.INVALID: "no row has weight, all weight is in one class, no matched set has a case and a control, or a value is "
    "out of range; nothing can be estimated.",
    Status.NOT_RUN: "the call was interrupted before this model ran; fit it again.",
}


class SolverError(RuntimeError):
    """Raised by `raise_on_failure` when a model did not converge."""
