"""Training: what the tutorials print, any optimizer, exact resumption, and many runs in one program."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr import Params, Problem, Status, train
from tests.helpers import assert_tree_close, count_traces, quick

pytestmark = pytest.mark.usefixtures("x64")

EPS = float(np.finfo(np.float64).eps)
M, N = 53, 3
RNG = np.random.default_rng(4)
X = RNG.normal(size=(M, N))
Y = (RNG.random(M) < 1 / (1 + np.exp(-X @ [1.0, -1.0, 0.5]))).astype(int)
S = RNG.integers(0, 4, M).astype(float)


def by_hand(orders, batch_size, rate, l2=0.0, sample_weight=None, fit_intercept=True):
    """Gradient descent in NumPy: orders (epochs, m) of the rows. Parameters and losses after each epoch."""
    s = np.ones(M) if sample_weight is None else sample_weight
    w, b, losses = np.zeros(N), 0.0, []
    for order in orders:
        for start in range(0, M, batch_size):
            rows = order[start : start + batch_size]
            if s[rows].sum() == 0:
                continue
            r = 1 / (1 + np.exp(-(X[rows] @ w + b))) - Y[rows]
            share = s[rows] / s[rows].sum()
            w, b = w - rate * ((share * r) @ X[rows] + l2 * w), b - rate * fit_intercept * (share * r).sum()
        z = X @ w + b
        losses.append(np.average(np.logaddexp(0, z) - Y * z, weights=s) + l2 / 2 * w @ w)
    return w, b, np.array(losses)


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weight", [None, S], ids=["plain", "weighted"])
@pytest.mark.parametrize("batch_size", quick([None, 1, 10, 53, 1000], None, 10))  # 10 leaves a last batch of 3
def test_plain_gradient_descent_is_that_of_numpy(batch_size, weight, fit_intercept):
    orders = [np.arange(M)] * 7
    options = {"l2": 0.1, "sample_weight": weight, "fit_intercept": fit_intercept}
    run = train(X, Y, optax.sgd(0.3), batch_size=batch_size, num_epochs=7, **options)
    w, b, losses = by_hand(orders, batch_size or M, 0.3, **options)
    np.testing.assert_allclose(run.params.coef, w, rtol=0, atol=500 * EPS)
    np.testing.assert_allclose(run.params.intercept, b, rtol=0, atol=500 * EPS)
    np.testing.assert_allclose(run.losses, losses, rtol=500 * EPS)
    assert Status(int(run.status)) == Status.MAX_STEPS


def test_a_key_shuffles_the_rows_anew_each_epoch():
    key = jax.random.key(5)
    orders = [np.asarray(jax.random.permutation(jax.random.fold_in(key, epoch), M)) for epoch in range(6)]
    run = train(X, Y, optax.sgd(0.3), batch_size=10, num_epochs=6, key=key)
    w, _, losses = by_hand(orders, 10, 0.3)
    np.testing.assert_allclose(run.params.coef, w, rtol=0, atol=500 * EPS)
    np.testing.assert_allclose(run.losses, losses, rtol=500 * EPS)


def test_a_batch_whose_rows_have_no_weight_moves_nothing():
    weight = np.where((np.arange(M) >= 10) & (np.arange(M) < 20), 0.0, S)
    run = train(X, Y, optax.sgd(0.3), batch_size=10, num_epochs=2, sample_weight=weight)
    w, _, losses = by_hand([np.arange(M)] * 2, 10, 0.3, sample_weight=weight)
    np.testing.assert_allclose(run.params.coef, w, rtol=0, atol=500 * EPS)
    np.testing.assert_allclose(run.losses, losses, rtol=500 * EPS)


def test_a_diverged_run_that_is_resumed_at_a_rate_that_would_do_stays_diverged():
    on = jax.jit(lambda rate, init: train(X, Y, optax.sgd(rate), num_epochs=2, init=init))
    run = train(X, Y, optax.sgd(0.1), num_epochs=1)
    diverged = on(np.inf, run)
    for lost in (diverged, on(0.1, diverged)):
        assert Status(int(lost.status)) == Status.NONFINITE
        assert np.isnan(lost.losses[-1])
    assert Status(int(on(0.1, run).status)) == Status.MAX_STEPS


OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.05),
    "adamw": optax.adamw(0.05),
    "schedule": optax.adam(optax.cosine_decay_schedule(0.1, 100)),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.5)),
    "plateau": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    "polyak": optax.polyak_sgd(),
    "multi": optax.MultiSteps(optax.sgd(0.3), 3).gradient_transformation(),
    "noisy": optax.noisy_sgd(0.1, eta=0.01, gamma=0.5, key=0),
    "lbfgs": optax.lbfgs(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(OPTIMIZERS, "adam"))
def test_any_optimizer_trains_and_resumes_to_the_last_bit(name):
    split = (1, 4, 8)[list(OPTIMIZERS).index(name) % 3]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax is not written for strict modes
        options = {"batch_size": None if name == "lbfgs" else 20, "key": jax.random.key(0), "l2": 0.01}
        whole = train(X, Y, OPTIMIZERS[name], num_epochs=9, **options)
        part = train(X, Y, OPTIMIZERS[name], num_epochs=split, **options)
        rest = train(X, Y, OPTIMIZERS[name], num_epochs=9 - split, init=part, **options)
    assert float(whole.losses[-1]) < np.log(2)
    assert_tree_close(rest.params, whole.params, 0)
    np.testing.assert_array_equal(np.append(part.losses, rest.losses), whole.losses)
    assert int(rest.state.num_epochs) == 9


@pytest.mark.slow
@pytest.mark.parametrize("split", quick([1, 3, 5], 3))
def test_a_run_that_has_diverged_stays_diverged_also_when_resumed(split):
    def recovering(gradient, count, params=None):  # the step does not depend on where it is: it would come back
        return jax.tree.map(lambda g: jnp.where(count == 2, 1e308, -0.1 * g), gradient), count + 1

    optimizer = optax.GradientTransformation(lambda params: jnp.int32(0), recovering)
    run = jax.jit(lambda init, n: train(X * 1e3, Y, optimizer, num_epochs=n, init=init), static_argnums=1)
    before, whole, part = run(None, 2), run(None, 6), run(None, split)
    rest = run(part, 6 - split)
    assert np.isfinite(whole.losses).tolist() == [True, True, False, False, False, False]
    assert_tree_close(whole.params, before.params, 0)
    assert_tree_close(rest.params, whole.params, 0)
    np.testing.assert_array_equal(np.append(part.losses, rest.losses), whole.losses)
    assert {int(run.status) for run in (whole, rest)} == {Status.NONFINITE}
    afresh = run(whole.params, 2)
    assert Status(int(afresh.status)) == Status.MAX_STEPS


@pytest.mark.slow
def test_without_an_intercept_it_is_zero_from_the_start_whatever_the_optimizer_does():
    start, options = Params(np.ones(N), np.array(3.0)), {"num_epochs": 3, "fit_intercept": False}
    with jax.numpy_dtype_promotion("standard"):
        noisy = train(X, Y, optax.noisy_sgd(0.1, eta=0.1, gamma=0.5, key=0), init=start, **options)
    assert float(noisy.params.intercept) == 0
    given, zero = (train(X, Y, optax.sgd(0.1), init=init, **options) for init in (start, start._replace(intercept=0.0)))
    assert_tree_close(given.params, zero.params, 0)


def test_bad_values_that_only_a_tracer_brings_are_a_status():
    cases = {
        "fine": (Y, S, 0.1, Status.MAX_STEPS),
        "label 2": (2.0 * Y, S, 0.1, Status.INVALID),
        "label -1": (2.0 * Y - 1, S, 0.1, Status.INVALID),
        "negative weight": (Y, S - 1, 0.1, Status.INVALID),
        "no weight": (Y, 0 * S, 0.1, Status.INVALID),
        "negative l2": (Y, S, -0.1, Status.INVALID),
        "NaN label": (Y * np.nan, S, 0.1, Status.NONFINITE),
    }
    y, s, l2, expected = (np.array(column, float) for column in zip(*cases.values(), strict=True))
    one = lambda y, s, l2: train(X, y, optax.sgd(0.1), num_epochs=2, sample_weight=s, l2=l2).status  # noqa: E731
    got = jax.jit(jax.vmap(one))(y, s, l2)
    assert dict(zip(cases, map(Status, got.tolist()), strict=True)) == dict(zip(cases, map(Status, expected), strict=True))


@pytest.mark.slow
def test_lbfgs_reaches_the_minimum_that_fit_certifies():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run = train(X, Y, optax.lbfgs(), num_epochs=40, l2=0.1)
    best = jaxlr.fit(X, Y, l2=0.1)
    np.testing.assert_allclose(run.params.coef, best.params.coef, rtol=0, atol=1e-7)
    assert float(run.losses[-1]) - float(best.value) <= 8 * EPS


@pytest.mark.slow
def test_one_program_maps_over_rates_keys_starts_penalties_weights_and_targets():
    def one(rate, key, start, l2, weight, y):
        return train(X, y, optax.sgd(rate), batch_size=20, num_epochs=3, key=key, init=start, l2=l2, sample_weight=weight)

    k = 4
    rng = np.random.default_rng(0)
    batch = (
        np.logspace(-2, 0, k),
        jax.random.split(jax.random.key(0), k),
        Params(rng.normal(size=(k, N)), rng.normal(size=k)),
        np.logspace(-3, 0, k),
        rng.random((k, M)),
        rng.random((k, M)),
    )
    mapped = jax.jit(jax.vmap(one))(*batch)
    for i in range(k):
        single = one(*jax.tree.map(lambda leaf, i=i: leaf[i], batch))
        assert_tree_close(jax.tree.map(lambda leaf, i=i: leaf[i], mapped), single, 256)


def test_new_values_do_not_trace_again():
    run, traces = count_traces(lambda X, y, rate, l2, key: train(X, y, optax.sgd(rate), num_epochs=2, l2=l2, key=key))
    for i in range(3):
        run(jnp.asarray(X + i), jnp.asarray(Y), jnp.asarray(0.1 + i), jnp.asarray(0.1 * i), jax.random.key(i))
    assert traces() == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_dtype_is_that_of_the_design_also_under_a_rate_of_another(dtype):
    with jax.numpy_dtype_promotion("standard"):
        run = train(X.astype(dtype), Y, optax.sgd(np.float32(0.1), momentum=0.9), num_epochs=2)
    assert {leaf.dtype for leaf in (*run.params, run.losses)} == {np.dtype(dtype)}


@given(log_scale=st.floats(-300, 300), log_rate=st.floats(-3, 3), seed=st.integers(0, 99))
def test_at_no_scale_of_the_inputs_is_there_a_silent_nan(log_scale, log_rate, seed):
    run = _at(np.random.default_rng(seed).normal(size=(M, N)) * 10**log_scale, 10**log_rate)
    assert np.isfinite(run.params.coef).all()  # the last finite ones
    bad = not np.isfinite(run.losses).all()
    assert Status(int(run.status)) == (Status.NONFINITE if bad else Status.MAX_STEPS)


@jax.jit
def _at(X, rate):
    return train(X, Y, optax.sgd(rate), batch_size=20, num_epochs=5)


@pytest.mark.slow
def test_a_run_that_diverges_is_named_and_its_neighbours_go_on():
    scales = np.array([1.0, 1e200, 1.0])
    runs = jax.vmap(lambda scale: train(X * scale, Y, optax.sgd(1e200 * scale), num_epochs=5))(scales)
    assert [Status(int(status)) for status in runs.status][1] == Status.NONFINITE
    calm = jax.vmap(lambda scale: train(X * scale, Y, optax.sgd(0.1), num_epochs=5))(scales)
    alone = train(X, Y, optax.sgd(0.1), num_epochs=5)
    assert Status(int(calm.status[0])) == Status.MAX_STEPS
    np.testing.assert_array_equal(np.asarray(calm.losses[0]), np.asarray(calm.losses[2]))
    np.testing.assert_allclose(calm.losses[0], alone.losses, rtol=64 * EPS)


@pytest.mark.slow
def test_a_stream_may_reuse_one_buffer():
    memory = np.empty(M * N * 40 + 8)
    buffer = memory[-memory.ctypes.data % 64 // 8 :][: M * N * 40].reshape(40 * M, N)  # so aligned JAX reads it where it lies
    chunks, labels = np.random.default_rng(1).normal(size=(3, 40 * M, N)), np.tile(Y, 40)
    reused, fresh = None, None
    for chunk in chunks:
        buffer[:] = chunk
        reused = train(buffer, labels, optax.sgd(0.1), num_epochs=20, batch_size=10, init=reused)
    buffer[:] = 0
    for chunk in chunks:
        fresh = train(chunk, labels, optax.sgd(0.1), num_epochs=20, batch_size=10, init=fresh)
    assert_tree_close((reused.params, reused.losses), (fresh.params, fresh.losses), 0)


@pytest.mark.slow
def test_streamed_batches_are_one_epoch_over_them():
    optimizer, run = optax.adam(0.05), None
    with jax.numpy_dtype_promotion("standard"):
        for start in range(0, M, 10):
            run = train(X[start : start + 10], Y[start : start + 10], optimizer, num_epochs=1, init=run)
        whole = train(X, Y, optimizer, batch_size=10, num_epochs=1)
    assert_tree_close(run.params, whole.params, 64)


train_unchecked = inspect.unwrap(train)  # without the annotation checker of the suite, as users call it


def sgd():
    return train(X, Y, optax.sgd(0.1), num_epochs=1)


REFUSED = {
    "an optimizer by name": (lambda: train(X, Y, "adam", num_epochs=1), TypeError, "optimizer"),
    "no epoch": (lambda: train(X, Y, optax.sgd(0.1), num_epochs=0), ValueError, "num_epochs"),
    "an empty batch": (lambda: train(X, Y, optax.sgd(0.1), num_epochs=1, batch_size=0), ValueError, "batch_size"),
    "labels -1/1": (lambda: train(X, 2 * Y - 1, optax.sgd(0.1), num_epochs=1), ValueError, "labels"),
    "NaN": (lambda: train(X * np.nan, Y, optax.sgd(0.1), num_epochs=1), ValueError, "finite X"),
    "batch axes": (lambda: train(X, np.stack([Y, Y]), optax.sgd(0.1), num_epochs=1), ValueError, "jax.vmap"),
    "no weight": (lambda: train(X, Y, optax.sgd(0.1), num_epochs=1, sample_weight=0 * S), ValueError, "all 0"),
    "a start of another kind": (lambda: train(X, Y, optax.sgd(0.1), num_epochs=1, init=(0, 0)), TypeError, "init"),
    "a maker of optimizers": (
        lambda: train_unchecked(X, Y, optax.adam, num_epochs=1), TypeError, r"call it, as in optax.adam\(0.1\)",
    ),
    "a fit to start at": (
        lambda: train_unchecked(X, Y, optax.sgd(0.1), num_epochs=1, init=jaxlr.fit(X, Y)), TypeError, "pass fit.params",
    ),
    "a word for a switch": (
        lambda: train_unchecked(X, Y, optax.sgd(0.1), num_epochs=1, fit_intercept="no"), TypeError, "True or False",
    ),
    "a number for a key": (
        lambda: train_unchecked(X, Y, optax.sgd(0.1), num_epochs=1, key=0), TypeError, "expected a key of jax.random",
    ),
    "keys": (
        lambda: train(X, Y, optax.sgd(0.1), num_epochs=1, key=jax.random.split(jax.random.key(0))), ValueError, "one key",
    ),
    "a run by another optimizer": (
        lambda: train(X, Y, optax.adam(0.1), num_epochs=1, init=sgd()), ValueError, "pass init.params to start afresh",
    ),
    "a run in another dtype": (
        lambda: train(np.float32(X), Y, optax.sgd(0.1), num_epochs=1, init=sgd()), ValueError, "of dtype float32",
    ),
    "a negative penalty": (lambda: train(X, Y, optax.sgd(0.1), num_epochs=1, l2=-1.0), ValueError, "l2 >= 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused_in_words(case):
    call, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        call()


def test_gradients_are_the_analytic_ones():
    run = train(X, Y, optax.sgd(1.0), num_epochs=1, l2=0.1)
    g = jaxlr.gradient(Params(np.zeros(N), np.zeros(())), Problem(X, Y, l2=0.1))
    assert_tree_close(run.params, Params(-g.coef, -g.intercept), 4)
