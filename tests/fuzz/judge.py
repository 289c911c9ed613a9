"""The verdict on every model of a batch.

    false CONVERGED    in 80-bit arithmetic kkt > 2 tol + rounding; or the linear program finds the classes separated and
                       Newton's method no minimum; or the minimum is further away than was promised: with a gap,
                       J - J* <= gap + eps J + rounding; without one, a logit of a row is off by more than 1e-2
    false SEPARATED    the linear program finds no direction, and Newton's method a minimum that is lower by more than the
                       verdict promises (`jaxlr.Status`: eps^0.6 exp(-5)), or the very parameters that were handed back
    false other        INVALID or NONFINITE where every class has weight
    undecided          the linear program or Newton's method did not say, and nothing else did

Rounding of coefficients to the dtype moves a logit by eps (sum_j |x_ij coef_j| + |intercept|), and the residual by a quarter of
that; no rounded coefficients would do better.
"""

from collections import Counter
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.sparse import csr_array

import jaxlr
from jaxlr import Status
from tests.fuzz import exact
from tests.fuzz.drawn import Drawn
from tests.fuzz.exact import LONG, Model
from tests.fuzz.existence import separated
from tests.fuzz.refine import reach_of, refine

KKT_FACTOR = 2
LOGIT = 1e-2
LEFT = np.exp(-5)


class Judged(NamedTuple):
    """Of a batch: its status, what was wrong with it ("" where nothing was), and how far logits are from the minimum's."""

    status: np.ndarray
    wrong: np.ndarray
    off: np.ndarray


def fit_drawn(drawn: Drawn) -> Any:
    """The library's answer, as a Fit of NumPy arrays."""
    form, options = drawn.form, {}
    if form.K > 2:
        options["num_classes"] = form.K
    if form.penalty in ("l1", "both", "bounds", "groups"):
        options["l1"] = drawn.l1
    if form.penalty != "none":
        options["l2"] = drawn.l2
    if form.penalty == "partial":
        options["penalty_factor"] = drawn.factor
    if form.penalty == "bounds":
        options |= {"lower": drawn.lower, "upper": drawn.upper}
    if form.penalty == "groups":
        options |= {"l1_group": drawn.l1_group, "groups": drawn.groups}
    arrays = {"sample_weight": drawn.weight, "offset": drawn.offset} | options
    arrays = {k: v.astype(form.dtype) if k not in ("groups", "num_classes") else v for k, v in arrays.items()}
    X = csr_array(drawn.X[0].astype(form.dtype)) if form.sparse else drawn.X.astype(form.dtype)
    y = drawn.y if drawn.y.dtype == int and form.K > 2 else drawn.y.astype(form.dtype)
    return jax.tree.map(np.asarray, jaxlr.fit(X, y, fit_intercept=form.fit_intercept, solver=form.solver, **arrays))


def judge(drawn: Drawn, fit: Any) -> Judged:
    """What is true of each model, and what the library says."""
    model, status = exact.model_of(drawn), np.asarray(fit.status)
    B, dtype = len(status), drawn.form.dtype
    eps = float(np.finfo(dtype).eps)
    coef, intercept = (np.asarray(leaf).astype(LONG).reshape(B, *shape) for leaf, shape in _shapes(model, fit))
    wrong = np.full(B, "", object)
    off = np.zeros(B)

    classes = np.einsum("bm,bcm->bc", np.nan_to_num(model.w), model.shares)
    if classes.shape[1] == 1:
        classes = np.einsum("bm,bcm->bc", np.nan_to_num(model.w), np.concatenate([1 - model.shares, model.shares], axis=1))
    valid = np.all(classes > 0, axis=1)
    refused = np.isin(status, [Status.INVALID, Status.NONFINITE, Status.NOT_RUN])
    wrong[valid & refused] = "false other"
    one_class = ~valid & (drawn.form.fit_intercept | (np.nan_to_num(model.w).sum(axis=1) == 0))
    wrong[one_class & (status == Status.CONVERGED)] = "false CONVERGED: a class without weight"
    valid &= ~refused

    penalized = (model.l1 + model.l2 + model.by_group > 0) | (np.isfinite(model.lower) & np.isfinite(model.upper))
    bounded = np.all(penalized, axis=1)
    asked = np.flatnonzero(valid & ~bounded)
    program = np.zeros(B, int)
    program[asked] = separated(model, asked)

    at = np.flatnonzero(valid & (status == Status.CONVERGED))
    if len(at):
        _judge_converged(exact.take(model, at), coef[at], intercept[at], jax.tree.map(lambda leaf: leaf[at], fit),
                         program[at], bounded[at], eps, at, wrong, off)  # fmt: skip
    at = np.flatnonzero(valid & (status == Status.SEPARATED))
    wrong[at[bounded[at]]] = "false SEPARATED: every column has a penalty"
    at = at[(program[at] < 1) & ~bounded[at]]
    if len(at):
        own = exact.take(model, at)
        minimum = refine(own, coef[at].copy(), intercept[at])
        z = exact.logits(own, coef[at], intercept[at])
        left = exact.objective(own, coef[at], z) - exact.objective(own, minimum.coef, minimum.z)
        known = minimum.found & (program[at] == 0)
        false = known & ((left > eps**0.6 * LEFT) | (reach_of(minimum.z - z) <= LOGIT))
        wrong[at] = np.where(false, "false SEPARATED", np.where(known, "", "undecided SEPARATED"))
        wrong[at[separated(model._replace(eps=exact.EPS), at) == 1]] = ""  # by what may be rounding, but stands there
    return Judged(status, wrong, off)


def _shapes(model: Model, fit: Any) -> Any:
    c, n = model.shares.shape[1], model.X.shape[2]
    return zip(fit.params, ((c, n), (c,)), strict=True)


def _judge_converged(
    model: Model, coef: np.ndarray, intercept: np.ndarray, fit: Any, program: np.ndarray, bounded: np.ndarray,
    eps: float, at: np.ndarray, wrong: np.ndarray, off: np.ndarray,
) -> None:  # fmt: skip
    z = exact.logits(model, coef, intercept)
    terms = np.abs(coef) @ np.swapaxes(np.abs(model.X), 1, 2) + np.abs(intercept)[..., None]
    blur = np.asarray((terms + np.abs(model.offset)).max(axis=(1, 2)) * eps, float)
    tol = 1e-10 if eps < 1e-10 else 1e-5
    kkt = np.asarray(exact.kkt(model, coef, intercept), float)
    minimum = refine(model, coef.copy(), intercept)
    moved = np.asarray(reach_of(minimum.z - z), float)
    off[at] = moved

    J = exact.objective(model, coef, z)
    best = exact.objective(model, minimum.coef, minimum.z)
    excess = np.asarray(J - best, float)
    kinks = np.asarray(exact.penalties(model._replace(l2=0 * model.l2), coef), float)
    # What the dtype tells of J, and 80 bits of the logits.
    slack = 100 * blur**2 + eps * (np.abs(np.asarray(J, float)) + 8 * kinks) + 4 * exact.EPS / eps * blur
    say = np.full(len(at), "", object)
    say[~minimum.found] = "undecided CONVERGED"
    say[~minimum.found & (program == 1)] = "false CONVERGED: separated"
    say[minimum.found & bounded & (excess > np.asarray(fit.gap, float) * (1 + 1e-6) + slack)] = "false CONVERGED: gap"
    say[minimum.found & ~bounded & (moved > LOGIT + 4 * blur)] = "false CONVERGED: far"
    say[kkt > KKT_FACTOR * tol + blur] = "false CONVERGED: kkt"
    wrong[at] = say


def tally(drawn: Drawn, judged: Judged, counts: dict[str, Counter]) -> None:
    """Adds up by kind of columns, by penalty, and by what else a form is."""
    form = drawn.form
    other = "sparse" if form.sparse else "float32" if form.dtype == np.float32 else f"K = {form.K}"
    other = form.solver if form.solver != "auto" else "no intercept" if not form.fit_intercept else other
    other = "soft classes" if form.soft else other
    for i, kind in enumerate(drawn.columns):
        for key in (f"columns: {kind}", f"penalty: {form.penalty}", f"form: {other}", "all"):
            count = counts.setdefault(key, Counter())
            count[Status(int(judged.status[i])).name] += 1
            if judged.wrong[i]:
                count[judged.wrong[i].split(" ")[0] + " " + judged.wrong[i].split(" ")[1].rstrip(":")] += 1
            if judged.status[i] == Status.CONVERGED and not judged.wrong[i]:
                count["worst"] = max(count["worst"], judged.off[i])
