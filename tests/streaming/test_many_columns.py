"""Streams of many columns are fits of all rows: by working columns, and by the Hessian of a sample that learns from steps."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, Problem, Status, fit, fit_stream, kkt_residual, loss
from jaxlr.model.likelihood import likelihood_of
from jaxlr.model.penalty import Penalty
from jaxlr.streaming import inside, run, wide
from jaxlr.streaming.passes import Shape
from jaxlr.streaming.points import Here, Model
from jaxlr.streaming.resamples import Resamples, resample_weights
from jaxlr.streaming.sample import Sample
from jaxlr.streaming.secants import Pairs, no_pairs, with_pair
from jaxlr.streaming.surrogate import direction

pytestmark = pytest.mark.usefixtures("x64")

M, N = 1200, 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, N))
X[:, 1:] = 0.6 * X[:, :-1] + 0.8 * X[:, 1:]
X = X * np.geomspace(0.1, 10, N) + 3
COEF = np.where(np.arange(N) % 7 == 0, 1, 0) / np.geomspace(0.1, 10, N)
LATENT = (X - 3) @ COEF - 0.5 + RNG.logistic(size=M)
Y, THREE = (LATENT > 0).astype(int), np.digitize(LATENT, [-1, 1])
WEIGHT = RNG.integers(0, 3, M).astype(float)
OFFSET = RNG.normal(size=M)


def blocks(y=Y, X=X, **fields):
    return jaxlr.streaming.from_arrays(X, y, rows=250, **fields)


@pytest.fixture
def many(monkeypatch):
    """What is decided on the host, as if 40 columns were many, of which few are inside at first; a quarter of the rows or less
    are sampled."""
    monkeypatch.setattr(wide, "_FEW", 0)
    monkeypatch.setattr(wide, "_WORK", 0)
    monkeypatch.setattr(inside, "_LEAST", 16)
    monkeypatch.setattr(run, "_SAMPLE", 300)
    return monkeypatch


def agree(found, wanted):
    assert found.converged.all() and wanted.converged.all()  # noqa: PT018
    # kkt <= 1e-12, over curvatures of 1e-2 and more in units of the columns.
    ours, theirs = (np.asarray(fits.params.coef) * np.geomspace(0.1, 10, N) for fits in (found, wanted))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=2e-10)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-12)
    assert np.max(found.kkt) <= 1e-12
    assert np.max(found.gap) <= 1e-10


CASES = {
    "ridge path": {"l2": np.array([0.1, 0.01])},
    "elastic net": {"l1": np.array([0.05, 0.005]), "l2": 0.01},
    "lasso": {"l1": 0.01, "penalty_factor": np.linspace(0.5, 2, N)},
    "standardized": {"l1": 0.01, "l2": 0.02, "standardize": True},
    "no intercept": {"l2": 0.05, "fit_intercept": False},
    "bounds": {"l2": 0.01, "lower": 0.0, "upper": 0.2},
    "three classes": {"l2": 0.02, "num_classes": 3},
    "lasso of three classes": {"l1": 0.01, "l2": 0.001, "num_classes": 3},
}
ROADS = [
    pytest.param(name, road, marks=[] if (name, road) in (("ridge path", "surrogate"), ("elastic net", "inside")) else slow)
    for slow in [pytest.mark.slow]
    for name, arguments in CASES.items()
    for road in (["surrogate", "inside"] if "l1" in arguments or "lower" in arguments else ["surrogate"])
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "road"), ROADS)
def test_a_stream_of_many_columns_is_a_fit_of_all_rows(many, name, road):
    if road == "surrogate":
        many.setattr(inside, "_HESSIANS", 0)
    arguments = CASES[name]
    y = THREE if "num_classes" in arguments else Y
    found = fit_stream(blocks(y), **arguments, tol=1e-12)
    agree(found, fit(X, y, **arguments, tol=1e-12))
    assert np.max(found.num_passes) <= (9 if road == "inside" else 20)


@pytest.mark.slow
@pytest.mark.parametrize("kinks", [False, True])
def test_without_a_gram_matrix_there_are_more_passes_to_the_same(many, kinks):
    many.setattr(wide, "_GRAM", 0)
    many.setattr(inside, "_HESSIANS", 0)
    arguments = {"l1": 0.01, "l2": 0.01} if kinks else {"l2": 0.01}
    found = fit_stream(blocks(), **arguments, tol=1e-12)
    agree(found, fit(X, Y, **arguments, tol=1e-12))
    assert np.max(found.num_passes) <= 50


@pytest.mark.slow
def test_weights_offsets_targets_and_folds(many):
    targets, key = np.stack([Y, 1 - Y]), jax.random.key(1)
    given = {"sample_weight": WEIGHT, "offset": OFFSET}
    found = fit_stream(blocks(targets, **given), l2=0.02, tol=1e-12)
    agree(found, fit(X, targets, **given, l2=0.02, tol=1e-12))
    found = fit_stream(blocks(), l1=0.01, l2=0.01, folds=3, key=key, tol=1e-12)
    weights = np.asarray(resample_weights(key, np.arange(M, dtype=np.uint64), Resamples(folds=3)))
    agree(found, fit(X, Y, sample_weight=weights, l1=0.01, l2=0.01, tol=1e-12))


@pytest.mark.slow
def test_more_columns_in_use_than_there_is_room_for_go_on_by_the_surrogate(many):
    """Room for 20 of 40 at most, of which the weaker strength takes more."""
    many.setattr(inside, "_WORTH", 10)
    arguments = {"l1": np.array([0.05, 1e-4]), "l2": 0.001}
    found = fit_stream(blocks(), **arguments, tol=1e-12)
    wanted = fit(X, Y, **arguments, tol=1e-12)
    assert np.sum(np.asarray(wanted.params.coef) != 0, axis=1).tolist()[1] > 20
    agree(found, wanted)


@pytest.mark.slow
def test_513_columns_are_many():
    wider = np.random.default_rng(1).normal(size=(900, 520))
    y = (wider[:, :5].sum(axis=1) + RNG.logistic(size=900) > 0).astype(int)
    for arguments in ({"l2": np.full(5, 0.1)}, {"l1": np.geomspace(0.05, 0.03, 5)}):
        found, wanted = fit_stream(blocks(y, wider), **arguments, tol=1e-12), fit(wider, y, **arguments, tol=1e-12)
        assert found.converged.all()
        np.testing.assert_allclose(found.params.coef, wanted.params.coef, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"l2": 0.01}, pytest.param({"l1": 0.02, "l2": 0.01}, marks=pytest.mark.slow)], ids=str)
def test_the_evidence_is_that_of_the_parameters_handed_back(many, arguments):
    found = fit_stream(blocks(), **arguments, max_steps=2)
    problem, best = Problem(X, Y, **arguments), fit(X, Y, **arguments)
    params = Params(found.params.coef, found.params.intercept)
    assert Status(int(found.status)) == Status.MAX_STEPS
    np.testing.assert_allclose(found.value, loss(params, problem), rtol=1e-13)
    np.testing.assert_allclose(found.kkt, kkt_residual(params, problem), rtol=1e-6, atol=1e-14)
    assert 0 < float(found.value - best.value) <= float(found.gap) + 1e-15  # rounding of J


@pytest.mark.slow
def test_a_tol_under_the_rounding_of_sums_is_stalled_and_a_model_without_a_class_invalid(many):
    targets = np.stack([Y, np.zeros_like(Y)])
    found = fit_stream(blocks(targets), l2=0.1, tol=1e-30)
    assert np.asarray(found.status).tolist() == [Status.STALLED, Status.INVALID]
    assert float(found.kkt[0]) <= 1e-14


@pytest.mark.slow
def test_a_rare_class_is_asked_for_a_smaller_residual(many):
    """Where an intercept has next to no curvature a small gradient shows little: tol alone would leave it free to move."""
    rare = np.where(np.arange(M) < 3, 1, 0)
    narrow = X.astype(np.float32)
    found = fit_stream(blocks(rare, narrow), l2=np.float32(0.1))
    assert bool(found.converged)
    rarity = 4 * 3 / M * (1 - 3 / M)
    assert float(found.kkt) <= 2.5e-3 * rarity < 2.5e-5


class Stopping:
    """Blocks that do something at block `at` of all that are read."""

    def __init__(self, at, do):
        self.read, self.at, self.do = 0, at, do

    def __call__(self):
        for block in blocks()():
            if self.read == self.at:
                self.do()
            self.read += 1
            yield block


def fail():
    raise OSError("the disk is gone")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"l2": 0.01}, {"l1": np.array([0.05, 0.01]), "l2": 0.01}], ids=str)
def test_a_call_goes_on_where_another_ended_to_the_same_bits(many, tmp_path, arguments):
    path = tmp_path / "state.npz"
    expected = fit_stream(blocks(), **arguments)
    with pytest.raises(OSError, match="disk is gone"):
        fit_stream(Stopping(4 * 5 + 2, fail), **arguments, checkpoint=path)
    with np.load(path) as file:
        assert {"sample.A", "trail.g"} <= set(file.files)
        assert ("urgency" in file.files) == ("l1" in arguments)
        assert ("pairs.y" in file.files) == ("l1" not in arguments)
    found = fit_stream(blocks(), **arguments, checkpoint=path)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.array_equal(one, other)
    assert not path.exists()


@pytest.mark.slow
def test_an_interrupt_hands_back_what_is_known(many):
    with pytest.raises(KeyboardInterrupt, match="0 of 1 models had ended") as caught:
        fit_stream(Stopping(4 * 5 + 2, lambda: os.kill(os.getpid(), signal.SIGINT)), l2=0.01)
    assert Status(int(caught.value.fit.status)) == Status.NOT_RUN
    assert int(caught.value.fit.num_passes) == 4


def test_memory_is_known_before_it_is_spent(many):
    shape = Shape(lanes=500, k=2001, pairs=1, classes=1, n=2000, weights=1)
    assert wide.is_wide(shape, True) and not wide.is_wide(shape, False)  # noqa: PT018
    # 60 GiB of Hessians, with their sums; the other road takes 2.
    assert shape.hessian_bytes > 55 * 2**30 > 2.5 * 2**30 > wide.wide_bytes(shape, 2**14) > 2**30
    many.setattr(wide, "bytes_free", lambda: 2**10)
    with pytest.raises(MemoryError, match=r"sampled rows of 1 models of 41 columns that .* need of .* GiB; fit fewer"):
        fit_stream(blocks(), l2=0.1)
    many.setattr(wide, "_FEW", 512)
    with pytest.raises(MemoryError, match=r"expected Hessians of 1 models of 41 columns .* give every column an l1 or l2"):
        fit_stream(blocks())


def test_the_columns_inside_are_those_that_are_urgent():
    urgency = np.array([0.1, np.inf, -np.inf, -0.5, 0.3, -0.1])
    assert inside.chosen(urgency, 3, True).columns.tolist() == [0, 1, 4, 6]
    assert inside.chosen(urgency, 6, False).columns.tolist() == [0, 1, 2, 3, 4, 5]
    assert not inside.overflows(urgency, 6)
    assert inside.overflows(np.full(200, np.inf), 150)


def surroundings(k=6, r=400):
    """Rows, and a model at 0 that has a step behind it."""
    rng = np.random.default_rng(3)
    A = np.c_[rng.normal(size=(r, k - 1)) @ rng.normal(size=(k - 1, k - 1)), np.ones(r)].astype(np.float32)
    penalty = Penalty(jnp.zeros(k), jnp.r_[jnp.full(k - 1, 0.1), 0])
    one = jnp.ones(())
    model = Model(penalty, jnp.zeros(k), jnp.ones(k), one, one, one)
    here = Here(jnp.asarray(rng.normal(size=k)), None, one, one, one)
    return Sample(jnp.asarray(A), jnp.full(r, 1 / r, jnp.float32), None), model, here, rng


found = jax.jit(direction, static_argnums=6)


def of_first(pairs):
    return Pairs(*(jnp.asarray(part[0]) for part in pairs))


@pytest.mark.slow
def test_the_direction_is_newton_s_on_a_gram_matrix_of_all_rows():
    """Then a is 1 up to the noise of its estimate; at 0 both curvatures are 1/4."""
    rows, model, here, _ = surroundings()
    whole = np.asarray(rows.A, float).T @ np.asarray(rows.A, float) / 4 / len(rows.A)
    rows = rows._replace(gram=jnp.asarray(3 * whole, jnp.float32))  # of another scale, which b finds
    none = of_first(no_pairs(2, (6,), 1))
    d, decrement = found(jnp.zeros(6), here, rows, none, model, jnp.asarray(1e-9), likelihood_of(None))
    H = whole + np.diag([0.1] * 5 + [0])
    H += np.diag(1e-5 * np.mean(np.square(np.ones(6))) * np.ones(6))  # the damping, at a residual of 1
    left = H @ np.asarray(d) + np.asarray(here.g)
    assert np.max(np.abs(left)) <= 0.05  # of 1: 0.03 are allowed to conjugate gradients, beside damping and float32
    np.testing.assert_allclose(float(decrement) ** 2, float(-d @ here.g), rtol=0.1)


@pytest.mark.slow
def test_a_step_that_was_taken_is_known_from_then_on():
    """B s = y whatever the rows say: along s the direction is that of the change that was seen."""
    rows, model, here, rng = surroundings()
    s = jnp.asarray(rng.normal(size=6))
    y = jnp.asarray(np.diag(np.geomspace(0.1, 30, 6)) @ np.asarray(s))
    pairs = with_pair(of_first(no_pairs(3, (6,), 1)), s, y)
    d, _ = found(jnp.zeros(6), here._replace(g=-y), rows, pairs, model, jnp.asarray(1e-9), likelihood_of(None))
    np.testing.assert_allclose(d, s, atol=0.05 * float(jnp.max(jnp.abs(s))))  # 0.03 are allowed to conjugate gradients
    assert np.array_equal(with_pair(pairs, s, -y).y, pairs.y)  # no convex function has that
    assert np.array_equal(with_pair(pairs, 0 * s, y).y, pairs.y)
