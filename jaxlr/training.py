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

from jaxlr.checks import Data, check_classes, checked_arrays
from jaxlr.model import Params
from jaxlr.objective import Problem, gradient, loss
from jaxlr.status import Status


class TrainingState(NamedTuple):
    """What resuming needs beside the parameters.

    Attributes:
        optimizer: state of the optimizer, a pytree.
        num_epochs: int32, epochs done so far; the key of an epoch is that of `train` folded with their number.
    """

    optimizer: Any
    num_epochs: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Training:
    """One training run; under `jax.vmap` a batch of them.

    Attributes:
        params: coef (n,) and intercept () after the last epoch; of a run that diverged, the last finite ones.
        losses: J over all rows after each epoch (num_epochs,), in nats per unit of weight; NaN once a run has diverged.
        status: int32 (), MAX_STEPS, or NONFINITE where parameters or a loss were not finite; see `jaxlr.Status`.
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
        init: start, coef (n,) and intercept (); None is 0. A Training is resumed, its optimizer state included.
        l2: strength of the squared penalty (), on the scale of the mean loss; the intercept is never penalized.
        sample_weight: (m,) >= 0; None is 1. A batch without weight makes no step.
        offset: (m,), added to the logits; None is 0.
        fit_intercept: static. Without it the gradient of the intercept is 0.

    Returns:
        Training.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes do not fit, X has batch axes, values are not finite or out of range, or no row has weight.

    Example:
        >>> import jax, numpy as np, optax
        >>> X, y = np.array([[0], [1], [2], [3]]), np.array([0, 1, 0, 1])
        >>> runs = jax.vmap(lambda rate: train(X, y, optax.sgd(rate), num_epochs=50))(np.array([0.01, 0.1, 1.0]))
        >>> runs.losses.shape
        (3, 50)
    """
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(f"expected optimizer to be an optax.GradientTransformation, got {type(optimizer).__name__}")
    for name, number in (("num_epochs", num_epochs), ("batch_size", 1 if batch_size is None else batch_size)):
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
            raise ValueError(f"expected {name} to be an integer >= 1, got {number!r}")
    if init is not None and not isinstance(init, (Params, Training)):
        raise TypeError(f"expected init to be jaxlr.Params or jaxlr.Training, got {type(init).__name__}")
    params = init.params if isinstance(init, Training) else init
    start = {} if params is None else {"coef": params.coef, "intercept": params.intercept}
    data = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "l2": l2}
    arrays, batch = checked_arrays(data | start)
    if batch:
        raise ValueError(f"expected one problem, X (m, n) and y (m,), got batch axes {batch}; map train with jax.vmap")
    check_classes(y, sample_weight, False, True)
    zero = jnp.zeros((), arrays["X"].dtype)
    params = Params(arrays.pop("coef", jnp.zeros_like(arrays["X"][0])), arrays.pop("intercept", zero))
    size = min(int(batch_size or len(arrays["y"])), len(arrays["y"]))
    state = init.state if isinstance(init, Training) else None
    return _run(arrays, params, state, key, optimizer, size, int(num_epochs), bool(fit_intercept))


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
    state = TrainingState(optimizer.init(params), jnp.int32(0)) if state is None else state
    in_order = None if key is not None else _batches(problem, jnp.arange(len(problem.y)), batch_size)

    def step(carry, batch: Problem):
        params, optimizer_state = carry
        value, g = loss(params, batch), gradient(params, batch)
        updates, following = update(
            g, optimizer_state, params, value=value, grad=g, value_fn=lambda params: loss(params, batch)
        )
        ahead = _either(True, (optax.apply_updates(params, updates), following), carry)
        if batch.sample_weight is None:
            return ahead, None
        return _either(jnp.any(batch.sample_weight > 0), ahead, carry), None

    def epoch(carry, number: Array):
        if key is None:
            batches = in_order
        else:
            order = jax.random.permutation(jax.random.fold_in(key, number), len(problem.y))
            batches = _batches(problem, order, batch_size)
        ahead, _ = jax.lax.scan(step, carry, batches)
        params, _ = ahead
        finite = jnp.all(jnp.isfinite(params.coef)) & jnp.isfinite(params.intercept)
        return _either(finite, ahead, carry), jnp.where(finite, loss(params, problem), jnp.nan)

    numbers = state.num_epochs + jnp.arange(num_epochs, dtype=jnp.int32)
    (params, optimizer_state), losses = jax.lax.scan(epoch, (params, state.optimizer), numbers)
    status = jnp.where(jnp.all(jnp.isfinite(losses)), Status.MAX_STEPS, Status.NONFINITE).astype(jnp.int32)
    state = TrainingState(optimizer_state, state.num_epochs + num_epochs)
    return Training(params=params, losses=losses, status=status, state=state)


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
