"""The road of the textbooks: mini-batch gradient descent with any optax optimizer, for ONE problem; `jax.vmap` makes the sweep.

    params <- params + optimizer(g),        g = gradient of J on the rows of the batch (jaxlr.gradient: analytic)

J on a batch is the weighted mean loss of its own rows plus the whole l2 term. An epoch passes once over all rows; its last
batch may be short, and counts by its own size. (Robbins & Monro 1951, Annals of Mathematical Statistics 22; Goodfellow,
Bengio & Courville, Deep Learning, 2016, algorithm 8.1.) A fixed number of epochs proves nothing: to minimize J, use
`jaxlr.fit`.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxlr.inputs.checks import Data, check_count, check_flag, check_key, checked_arrays
from jaxlr.inputs.labels import check_classes
from jaxlr.model.objective import gradient, loss
from jaxlr.model.params import Params
from jaxlr.model.problem import Problem
from jaxlr.results.status import Status


class TrainingState(NamedTuple):
    """What resuming needs beside the parameters.

    Attributes:
        optimizer: state of the optimizer, a pytree.
        num_epochs: int32, epochs done so far; the key of an epoch is that of `train` folded with their number.
        diverged: bool, whether an epoch ended with parameters or a loss that were not finite; once True it stays.
    """

    optimizer: Any
    num_epochs: Any
    diverged: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Training:
    """One training run; under `jax.vmap` a batch of them.

    A run that has diverged stays so, also when it is resumed: its parameters and its optimizer rest where they were last
    finite, and its losses are NaN from that epoch on. To start afresh from there, pass `init=run.params`.

    Attributes:
        params: coef (n,) and intercept () after the last epoch; of a run that diverged, the last finite ones.
        losses: J over all rows after each epoch (num_epochs,), in nats per unit of weight; NaN once a run has diverged.
        status: int32 (), MAX_STEPS; NONFINITE where the run diverged; INVALID where a label is outside [0, 1], l2 or a weight
            negative, or no row has weight (what is not traced is refused instead; losses and parameters are then as they
            came out, and mean nothing). See `jaxlr.Status`.
        state: TrainingState. Pass the whole Training as `init` to go on.
    """

    # Any: as a pytree it also holds in_axes, shapes and None.
    params: Any
    losses: Any
    status: Any
    state: Any


def train(
    X: Data,
    y: Data,
    optimizer: optax.GradientTransformation,
    *,
    batch_size: int | None = None,
    num_epochs: int,
    key: Array | None = None,
    init: Params | Training | None = None,
    l2: Data = 0.0,
    sample_weight: Data | None = None,
    offset: Data | None = None,
    fit_intercept: bool = True,
) -> Training:
    """Train one logistic regression for a fixed number of epochs.

    Works under `jax.jit` and `jax.vmap` over anything: the numbers inside the optimizer (the example maps a learning rate),
    keys, starts, penalties, labels, rows. Outside them, calls with the same optimizer object share one compilation.

    Args:
        X: design (m, n); its floating dtype (32 or 64 bits) is that of everything else.
        y: labels (m,), 0/1 of any dtype, or soft labels in [0, 1].
        optimizer: any `optax.GradientTransformation`; one with extra arguments (lbfgs, polyak_sgd) is given the value of J
            on the batch, its gradient and its function.
        batch_size: static, rows a step; None is all rows.
        num_epochs: static, passes over the rows, >= 1.
        key: of `jax.random`; rows are shuffled anew for each epoch. None takes them in their order.
        init: start, coef (n,) and intercept (); None is 0. A Training is resumed, its optimizer state included: epochs in
            two calls are those of one call.
        l2: strength of the squared penalty (), on the scale of the mean loss; the intercept is never penalized.
        sample_weight: (m,) >= 0; None is 1. A batch without weight makes no step.
        offset: (m,), added to the logits; None is 0.
        fit_intercept: static. Without it the intercept is 0 throughout, whatever init and the optimizer say.

    Returns:
        Training.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, X has batch axes, values are not finite or out of range, no row has weight, or init is
            a Training by another optimizer or of another dtype.

    Example:
        >>> import jax, numpy as np, optax
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> runs = jax.vmap(lambda rate: train(X, y, optax.sgd(rate), num_epochs=50))(np.array([0.01, 0.1, 1.0]))
        >>> runs.losses.shape
        (3, 50)
    """
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        hint = "; call it, as in optax.adam(0.1)" if callable(optimizer) else ""
        raise TypeError(f"expected optimizer to be an optax.GradientTransformation, got {type(optimizer).__name__}{hint}")
    check_count("num_epochs", num_epochs, 1)
    check_count("batch_size", 1 if batch_size is None else batch_size, 1)
    if key is not None:
        check_key(key)
    check_flag("fit_intercept", fit_intercept)
    if init is not None and not isinstance(init, (Params, Training)):
        hint = "; pass fit.params" if hasattr(init, "params") else ""
        raise TypeError(f"expected init to be jaxlr.Params or jaxlr.Training, got {type(init).__name__}{hint}")
    params = init.params if isinstance(init, Training) else init
    start = {} if params is None else {"coef": params.coef, "intercept": params.intercept}
    data = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "l2": l2}
    arrays, batch = checked_arrays(data | start)
    if batch:
        raise ValueError(f"expected one problem, X (m, n) and y (m,), got batch axes {batch}; map train with jax.vmap")
    check_classes(y, sample_weight, fit_intercept=False)
    zero = jnp.zeros((), arrays["X"].dtype)
    params = Params(arrays.pop("coef", jnp.zeros_like(arrays["X"][0])), arrays.pop("intercept", zero))
    params = params if fit_intercept else params._replace(intercept=zero)
    if isinstance(init, Training):
        _check_same_optimizer(init, optimizer, params)
    size = min(int(batch_size or len(arrays["y"])), len(arrays["y"]))
    state = init.state if isinstance(init, Training) else None
    # Till it is ready XLA may read NumPy arrays where they lie, and the next batch of a stream may be written there.
    return jax.block_until_ready(_run(arrays, params, state, key, optimizer, size, int(num_epochs), bool(fit_intercept)))


@functools.partial(jax.jit, static_argnames=("optimizer", "batch_size", "num_epochs", "fit_intercept"))
def _run(
    arrays: dict[str, Array],
    params: Params,
    state: TrainingState | None,
    key: Array | None,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    num_epochs: int,
    fit_intercept: bool,
) -> Training:
    update = optax.with_extra_args_support(optimizer).update
    problem = Problem(**arrays, fit_intercept=fit_intercept)
    state = TrainingState(optimizer.init(params), jnp.int32(0), jnp.array(False)) if state is None else state
    in_order = None if key is not None else _batches(problem, jnp.arange(len(problem.y)), batch_size)

    def step(carry, batch: Problem):
        params, optimizer_state = carry
        value, g = loss(params, batch), gradient(params, batch)
        updates, following = update(
            g, optimizer_state, params, value=value, grad=g, value_fn=lambda params: loss(params, batch)
        )
        moved: Any = optax.apply_updates(params, updates)
        if not fit_intercept:  # noise moves it without a gradient
            moved = moved._replace(intercept=jnp.zeros_like(params.intercept))
        ahead = _either(True, (moved, following), carry)
        if batch.sample_weight is None:
            return ahead, None
        return _either(jnp.any(batch.sample_weight > 0), ahead, carry), None

    def epoch(carry, number: Array):
        last, diverged = carry
        if key is None:
            batches = in_order
        else:
            order = jax.random.permutation(jax.random.fold_in(key, number), len(problem.y))
            batches = _batches(problem, order, batch_size)
        ahead, _ = jax.lax.scan(step, last, batches)
        params, _ = ahead
        value = loss(params, problem)
        diverged |= ~(jnp.all(jnp.isfinite(params.coef)) & jnp.isfinite(params.intercept) & jnp.isfinite(value))
        return (_either(~diverged, ahead, last), diverged), jnp.where(diverged, jnp.nan, value)

    numbers = state.num_epochs + jnp.arange(num_epochs, dtype=jnp.int32)
    carry = (params, state.optimizer), state.diverged
    ((params, optimizer_state), diverged), losses = jax.lax.scan(epoch, carry, numbers)
    status = jnp.where(diverged, Status.NONFINITE, Status.MAX_STEPS)
    status = jnp.where(_is_invalid(problem), Status.INVALID, status).astype(jnp.int32)
    state = TrainingState(optimizer_state, state.num_epochs + num_epochs, diverged)
    return Training(params=params, losses=losses, status=status, state=state)


def _is_invalid(problem: Problem) -> Array:
    """No weight, or values that only tracers get past the checks."""
    invalid = (jnp.max(jnp.abs(problem.y - 0.5)) > 0.5) | (problem.l2 < 0)
    s = problem.sample_weight
    return invalid if s is None else invalid | (jnp.max(s) == 0) | (jnp.min(s) < 0)


def _check_same_optimizer(init: Training, optimizer: optax.GradientTransformation, params: Params) -> None:
    """Refuse a state that the optimizer cannot have made, before optax fails in its own words or goes on with nonsense."""
    expected = params, jax.eval_shape(optimizer.init, params)
    given: tuple[Any, Any] = init.params, init.state.optimizer
    shapes = [[(jnp.shape(leaf), leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (given, expected)]
    if jax.tree.structure(given) != jax.tree.structure(expected) or shapes[0] != shapes[1]:
        raise ValueError(
            f"expected init to be a Training of dtype {params.coef.dtype} by the optimizer given, got another state; init "
            "comes from another optimizer or dtype: pass init.params to start afresh"
        )


def _either(condition: Array | bool, new: Any, old: Any) -> Any:
    """New or old, in old's dtypes: a float64 learning rate does not widen the state of a float32 run."""

    def choose(new: Array, old: Array) -> Array:
        new = jnp.asarray(new, None if jnp.issubdtype(old.dtype, jax.dtypes.prng_key) else old.dtype)
        return new if condition is True else jnp.where(condition, new, old)

    return jax.tree.map(choose, new, old)


def _batches(problem: Problem, order: Array, batch_size: int) -> Problem:
    """The problem's rows in that order, cut into batches (b, batch_size, ...); a short last one is filled with weight 0."""
    m = len(order)
    num_batches = -(-m // batch_size)
    rows = jnp.pad(order, (0, num_batches * batch_size - m)).reshape(num_batches, batch_size)
    weight = None if problem.sample_weight is None else problem.sample_weight[rows]
    if m % batch_size:
        filled = np.arange(num_batches * batch_size).reshape(num_batches, batch_size) < m
        weight = jnp.where(filled, 1 if weight is None else weight, jnp.zeros((), problem.y.dtype))
    return Problem(
        X=problem.X[rows],
        y=problem.y[rows],
        sample_weight=weight,
        offset=None if problem.offset is None else problem.offset[rows],
        l2=jnp.broadcast_to(problem.l2, (num_batches,)),
        l1=jnp.zeros(num_batches, problem.X.dtype),
        fit_intercept=problem.fit_intercept,
    )
