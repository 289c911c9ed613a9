"""What a fit hands back: parameters, and with every model the evidence of how it ended."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxlr.inputs.tables import is_concrete
from jaxlr.results.display import data_frame, evidence, failures, fit_as_html, headline
from jaxlr.results.status import SolverError, Status


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Fit:
    """One fitted model, or a batch; the batch axes lead every field.

    Attributes:
        params: coef (..., n) and intercept (...), in the units of the data; of a multinomial model coef (..., K, n) and
            intercept (..., K). A failed model keeps its last finite iterate
            and has NaN only where nothing finite was ever there.
        value: the objective J at params (...), in nats per unit of weight.
        kkt: KKT residual at params (...), see `jaxlr.kkt_residual`; this is what tol is compared with. Without a penalty and
            with columns near the span of others: in their orthonormal basis, before the coefficients are rounded on X.
        gap: bound on J(params) - min J (...), see `jaxlr.duality_gap`; inf where none can be given.
        status: int32 (...), see `jaxlr.Status`.
        num_steps: int32 (...), steps of the solver.
        solver: its name, static.
        names: of the columns, one each, where X was a table; None otherwise; static (fits of tables with other names have
            another tree structure: ``dataclasses.replace(fit, names=None)`` makes them alike).
        num_passes: int32 (...), passes over the rows after which the model ended, of `jaxlr.fit_stream`; None otherwise.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    params: Any
    value: Any
    kkt: Any
    gap: Any
    status: Any
    num_steps: Any
    solver: str = field(metadata={"static": True})
    names: tuple[str, ...] | None = field(default=None, metadata={"static": True})
    num_passes: Any = None

    @property
    def converged(self) -> jax.Array:
        """True where the status is CONVERGED (...)."""
        return jax.numpy.asarray(self.status) == Status.CONVERGED

    def __str__(self) -> str:
        if any(not is_concrete(leaf) for leaf in jax.tree.leaves(self)):
            return f"Fit({self.solver}, traced)"
        return "\n".join(
            [headline(self), *(f"  {line}" for line in [*failures(self.status, self.kkt).values(), *evidence(self)])]
        )

    def _repr_html_(self) -> str:
        """What notebooks show."""
        if any(not is_concrete(leaf) for leaf in jax.tree.leaves(self)):
            return f"<pre>{self}</pre>"
        return fit_as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dictionary of NumPy arrays, strings and None, for those who want no pytree.

        Returns:
            "coef", "intercept", "value", "kkt", "gap", "status" (integers), "num_steps", "num_passes" (None
            but of `jaxlr.fit_stream`), "solver" and "names".
        """
        arrays = {"coef": self.params.coef, "intercept": self.params.intercept, "value": self.value, "kkt": self.kkt}
        arrays |= {"gap": self.gap, "status": self.status, "num_steps": self.num_steps}
        arrays |= {} if self.num_passes is None else {"num_passes": self.num_passes}
        whole = {"num_passes": None, "solver": self.solver, "names": self.names}
        return whole | {name: np.asarray(value) for name, value in arrays.items()}

    def to_pandas(self, **known: Any) -> Any:
        """A table with a row for each model.

        Args:
            **known: what tells the models apart, such as ``l2=grid``, by the name of its column: numbers or strings that
                broadcast to the batch shape.

        Returns:
            pandas.DataFrame, indexed by the axes of the batch: what is known, "status" (names), "num_steps", "value", "kkt",
            "gap", "intercept", and a column "coef_NAME" for each column of X; of multinomial models "intercept_CLASS" and
            "coef_CLASS_NAME".

        Raises:
            ImportError: pandas is not installed.
            ValueError: something does not broadcast to the batch shape, or has the name of another column.

        Example:
            >>> import numpy as np
            >>> from jaxlr import fit
            >>> l2 = np.array([1.0, 0.1])
            >>> path = fit(np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1]), l2=l2)
            >>> list(path.to_pandas(l2=l2).columns)
            ['l2', 'status', 'num_steps', 'value', 'kkt', 'gap', 'intercept', 'coef_x0']
        """
        fields = self.to_dict()
        shape, coef = fields["status"].shape, fields["coef"]
        names = [f"x{column}" for column in range(coef.shape[-1])] if self.names is None else self.names
        of_class = [""] if coef.ndim == len(shape) + 1 else [f"_{k}" for k in range(coef.shape[-2])]
        parameters = [f"intercept{k}" for k in of_class] + [f"coef{k}_{name}" for k in of_class for name in names]
        if taken := {"status", "num_steps", "value", "kkt", "gap", *parameters} & set(known):
            raise ValueError(
                f"expected names that the table does not have, got {', '.join(sorted(taken))}; choose another name"
            )
        columns = {}
        for name, value in known.items():
            try:
                columns[name] = np.broadcast_to(np.asarray(value), shape)
            except ValueError:
                raise ValueError(
                    f"expected {name} to broadcast to the batch {shape}, got {value!r}; one for each model"
                ) from None
        columns["status"] = np.vectorize(lambda code: Status(code).name, otypes=[object])(fields["status"])
        columns |= {name: fields[name] for name in ("num_steps", "value", "kkt", "gap")}
        values = np.concatenate([fields["intercept"].reshape(*shape, -1), coef.reshape(*shape, -1)], axis=-1)
        columns |= {name: values[..., column] for column, name in enumerate(parameters)}
        return data_frame(columns, shape, "model")


def check_fit(name: str, fit: object) -> None:
    """Refuse what is no Fit, or one whose parameters are none."""
    if not isinstance(fit, Fit):
        hint = "; pass its refit" if hasattr(fit, "refit") else "; pass the result of jaxlr.fit"
        raise TypeError(f"expected {name} to be a jaxlr.Fit, got {type(fit).__name__}{hint}")


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
    check_fit("fit", fit)
    if causes := failures(fit.status, fit.kkt):
        status = np.asarray(fit.status)
        lines = "\n".join(f"  {line}" for line in causes.values())
        raise SolverError(f"{np.sum(status != Status.CONVERGED)} of {status.size} models did not converge:\n{lines}")
