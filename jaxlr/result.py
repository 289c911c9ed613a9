"""What a fit hands back: parameters, and with every model the evidence of how it ended."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxlr.checks import is_concrete
from jaxlr.status import SolverError, Status

_LISTED = 5  # failed models named one by one in the text


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Fit:
    """One fitted model, or a batch; the batch axes lead every field.

    Attributes:
        params: coef (..., n) and intercept (...), in the units of the data; of a multinomial model coef (..., K, n) and
            intercept (..., K). A failed model keeps its last finite iterate
            and has NaN only where nothing finite was ever there.
        value: the objective J at params (...), in nats per unit of weight.
        kkt: KKT residual at params (...), see `jaxlr.kkt_residual`; this is what tol is compared with.
        gap: bound on J(params) - min J (...), see `jaxlr.duality_gap`; inf where none can be given.
        status: int32 (...), see `jaxlr.Status`.
        num_steps: int32 (...), steps of the solver.
        solver: its name, static.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    params: Any
    value: Any
    kkt: Any
    gap: Any
    status: Any
    num_steps: Any
    solver: str = field(metadata={"static": True})

    @property
    def converged(self) -> jax.Array:
        """True where the status is CONVERGED (...)."""
        return jax.numpy.asarray(self.status) == Status.CONVERGED

    def __str__(self) -> str:
        if any(not is_concrete(leaf) for leaf in jax.tree.leaves(self)):
            return f"Fit({self.solver}, traced)"
        status, kkt, steps = np.asarray(self.status), np.asarray(self.kkt), np.asarray(self.num_steps)
        shape = f", shape {status.shape}" if status.ndim else ""
        done = int(np.sum(status == Status.CONVERGED))
        lines = [f"{status.size} model{'s' if status.size > 1 else ''} by {self.solver}{shape}: {done} converged"]
        lines += _failures(status, kkt)
        if done:
            worst = np.max(np.where(status == Status.CONVERGED, kkt, -np.inf))
            gap = np.max(np.where(status == Status.CONVERGED, np.asarray(self.gap), -np.inf))
            lines.append(f"  converged: worst kkt {worst:.1e}, worst duality gap {gap:.1e}")
        lines.append(f"  steps: {steps.min()} to {steps.max()}")
        return "\n".join(lines)


def raise_on_failure(fit: Fit) -> None:
    """Raise unless every model converged.

    Args:
        fit: of one model or a batch, outside jit.

    Raises:
        SolverError: names how many models failed, how, where, and what to do.

    Example:
        >>> import numpy as np
        >>> from jaxlr import fit
        >>> raise_on_failure(fit(np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1]), l2=0.1))
    """
    status = np.asarray(fit.status)
    failed = int(np.sum(status != Status.CONVERGED))
    if failed:
        causes = "\n".join(_failures(status, np.asarray(fit.kkt)))
        raise SolverError(f"{failed} of {status.size} models did not converge:\n{causes}")


def _failures(status: np.ndarray, kkt: np.ndarray) -> list[str]:
    lines = []
    for cause in list(Status)[1:]:
        members = np.argwhere(status == cause)
        if not len(members):
            continue
        where = ""
        if status.ndim:
            named = ", ".join(str(tuple(map(int, member))) for member in members[:_LISTED])
            where = f" at {named}{', ...' if len(members) > _LISTED else ''}"
        with np.errstate(invalid="ignore"):
            residuals = kkt[status == cause]
            worst = f" (worst kkt {np.nanmax(residuals):.1e})" if not np.isnan(residuals).all() else ""
        lines.append(f"  {len(members)} {cause.name}{where}{worst}: {cause.advice}")
    return lines
