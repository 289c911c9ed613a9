"""What cross-validation hands back: all fits and scores, and the choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxlr.results.display import data_frame


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Scores of every fold and penalty, and the choice.

    With folds="loo" k is 1: fits are those of all rows, scores and means the same numbers, those of all held-out logits.

    Attributes:
        fits: Fit of shape (k, *grid).
        folds: k, or "loo"; static.
        scores: by metric, (k, *grid), on the held-out rows; NaN for a model that did not converge.
        mean: by metric, (*grid); NaN where a fold is.
        standard_error: by metric, (*grid), over the folds; with "loo" over the rows, NaN for a metric that is no mean of these.
        best: index of the best mean of the selecting metric, a tuple into the grid; None where no mean is a number.
        one_se: index of the strongest penalty within one standard error of the best; None likewise.
        refit: Fit on all rows at the chosen penalty; None when refit=False or nothing could be chosen.
        l1: strengths (*grid).
        l2: strengths (*grid).
        l1_group: strengths (*grid); None without groups.
        gamma: shares of the penalized estimates in the fits (*grid), see `jaxlr.cross_validate`; None where all are 1.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    fits: Any
    folds: Any = field(metadata={"static": True})
    scores: Any
    mean: Any
    standard_error: Any
    best: Any = field(metadata={"static": True})
    one_se: Any = field(metadata={"static": True})
    refit: Any
    l1: Any
    l2: Any
    l1_group: Any = None
    gamma: Any = None

    @property
    def _strengths(self) -> dict[str, Any]:
        beside = {"l1_group": self.l1_group, "gamma": self.gamma}
        return {"l1": self.l1, "l2": self.l2} | {name: values for name, values in beside.items() if values is not None}

    def __str__(self) -> str:
        grid = np.shape(self.l2)
        folds = "leave-one-out" if self.folds == "loo" else f"{self.folds} folds"
        lines = [f"{folds} x {int(np.prod(grid, dtype=int))} penalties, grid {grid}"]
        for label, at in (("best", self.best), ("one standard error", self.one_se)):
            if at is not None:
                scores = [f"{name} {mean[at]:.4g} +- {self.standard_error[name][at]:.2g}" for name, mean in self.mean.items()]
                chosen = ", ".join(f"{name} {values[at]:.3g}" for name, values in self._strengths.items())
                lines.append(f"  {label}: {chosen} at {at}: {', '.join(scores)}")
        return "\n".join([*lines, str(self.fits)])

    def _repr_html_(self) -> str:
        """What notebooks show: the choice, and the card of the fits."""
        return f"<pre>{str(self).removesuffix(str(self.fits)).rstrip()}</pre>{self.fits._repr_html_()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as dictionaries of NumPy arrays, numbers, strings and None.

        Returns:
            The fields by name; "scores", "mean" and "standard_error" by metric, and fits as `Fit.to_dict` gives them.
        """
        by_metric = {"scores": self.scores, "mean": self.mean, "standard_error": self.standard_error}
        arrays = jax.tree.map(np.asarray, by_metric | self._strengths)
        refit = None if self.refit is None else self.refit.to_dict()
        return arrays | {
            "folds": self.folds,
            "best": self.best,
            "one_se": self.one_se,
            "fits": self.fits.to_dict(),
            "refit": refit,
        }

    def to_pandas(self) -> Any:
        """A table with a row for each penalty.

        Returns:
            pandas.DataFrame: "l1", "l2" ("l1_group", "gamma"), by metric the mean and its standard error ("log_loss",
            "log_loss_se"), how many folds converged, and whether it is the "best" or the "one_se" choice.

        Raises:
            ImportError: pandas is not installed.

        Example:
            >>> import jax, numpy as np
            >>> X, y = np.arange(12.0, dtype=np.float32)[:, None], np.arange(12) % 2
            >>> from jaxlr import cross_validate
            >>> cv = cross_validate(X, y, l2=np.array([1.0, 0.1]), folds=3, key=jax.random.key(0))
            >>> list(cv.to_pandas().columns)
            ['l1', 'l2', 'log_loss', 'log_loss_se', 'num_converged', 'best', 'one_se']
        """
        grid = np.shape(self.l2)
        columns = dict(self._strengths)
        for name in self.mean:
            columns |= {name: self.mean[name], f"{name}_se": self.standard_error[name]}
        columns["num_converged"] = np.sum(np.asarray(self.fits.converged), axis=0)
        for name, at in (("best", self.best), ("one_se", self.one_se)):
            columns[name] = np.zeros(grid, bool)
            if at is not None:
                columns[name][at] = True
        return data_frame(columns, grid, "penalty")


def choose(goodness: np.ndarray, error: np.ndarray, strength: np.ndarray) -> tuple[tuple[int, ...] | None, ...]:
    """The index of the best penalty, and that of the strongest within one standard error of it; None where there is none.

    Args:
        goodness: (*grid), NaN for what cannot be chosen.
        error: standard errors (*grid).
        strength: of the penalties (*grid).
    """
    if np.all(np.isnan(goodness)):
        return None, None
    best = np.unravel_index(np.nanargmax(goodness), goodness.shape)
    close = goodness >= goodness[best] - np.nan_to_num(error[best])  # NaN is not close
    one_se = np.unravel_index(np.argmax(np.where(close, strength, -np.inf)), strength.shape)
    return tuple(map(int, best)), tuple(map(int, one_se))


def grid_of(fields: Mapping[str, Any]) -> tuple[int, ...]:
    """The grid to which they broadcast.

    Args:
        fields: strengths and shares by name.

    Raises:
        ValueError: they do not.
    """
    shapes = {name: np.shape(values) for name, values in fields.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ValueError(
            f"expected {', '.join(shapes)} that broadcast to a grid, got {listed}; [:, None] adds an axis"
        ) from None
