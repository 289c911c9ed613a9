"""Rounds of conjugate gradients: however often the preconditioner is made again, the minimum, the steps and the verdicts."""

from functools import partialmethod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Status
from jaxlr.batching import rounds
from jaxlr.linalg.dense import Dense, Rough

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 240, 12
X = RNG.standard_normal((M, N)) @ np.diag(np.logspace(0, -2, N)) @ RNG.standard_normal((N, N))
Z = X @ RNG.standard_normal((N, 3)) * 20
Y = (Z + RNG.logistic(size=Z.shape) > 0).T.astype(float)
LABELS = np.argmax(Z + RNG.gumbel(size=Z.shape), axis=1)
GRID = np.logspace(-1, -7, 6)
TOL = 1e-10


@pytest.fixture
def made(monkeypatch):
    """How often H is made, where a few products over the usual ones are worth it; programs of other tests have other
    max_steps."""
    counted = []

    def counting(design, d, original):
        jax.debug.callback(lambda: counted.append(1))
        return original(design, d)

    for kind in (Dense, Rough):
        monkeypatch.setattr(kind, "half_gram", partialmethod(counting, original=kind.half_gram))
    monkeypatch.setattr(rounds, "_THIN", 10**9)
    monkeypatch.setattr(rounds, "_LEAST", 1)
    return counted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("y", "options"),
    [(Y[0], {"l2": GRID}), (Y[:, None], {"l2": GRID}), (Y, {"l2": 1e-6}), (LABELS, {"num_classes": 3, "l2": 1e-5})],
    ids=["points", "targets", "lanes", "classes"],
)
def test_the_minimum_does_not_depend_on_how_often_it_is_made(made, y, options):
    got = jax.block_until_ready(jaxlr.fit(X, y, solver="newton_cg", max_steps=181, **options))
    jax.effects_barrier()
    assert len(made) > 1
    expected = jaxlr.fit(X, y, solver="newton", **options)
    assert bool(got.converged.all())
    # Both gradients are <= tol; J is bent by l2 at least, and by the data wherever that is less than their own curvature.
    difference = np.abs(np.asarray(got.value) - np.asarray(expected.value))
    assert np.all(difference <= np.asarray(got.gap) + np.asarray(expected.gap) + 8 * np.finfo(float).eps)
    assert np.all(np.asarray(got.kkt) <= TOL)


@pytest.mark.slow
def test_steps_of_all_rounds_count_towards_the_limit(made):
    fit = jax.block_until_ready(jaxlr.fit(X, Y[0], l2=1e-7, solver="newton_cg", max_steps=5))
    jax.effects_barrier()
    assert len(made) > 1
    assert int(fit.status) == Status.MAX_STEPS
    assert int(fit.num_steps) == 5


@pytest.mark.slow
def test_a_model_that_is_done_stays_as_it_is_while_others_go_on(made):
    y = np.stack([Y[0], Y[0], np.where(np.arange(M) == 7, np.nan, Y[0])])
    fits = jax.jit(lambda y: jaxlr.fit(X, y, l2=jnp.array([10.0, 1e-7, 1e-7]), solver="newton_cg", max_steps=183))(y)
    jax.effects_barrier()
    assert len(made) > 1
    assert np.asarray(fits.status).tolist() == [Status.CONVERGED, Status.CONVERGED, Status.NONFINITE]
    assert int(fits.num_steps[0]) < int(fits.num_steps[1])


NORMAL = RNG.standard_normal((400, 400))
FEW_NEEDED = {"l2": 0.1, "tol": 1e-3}


def test_no_hessian_is_made_where_few_products_do_without(made, monkeypatch):
    monkeypatch.setattr(rounds, "_THIN", 12)
    y = (NORMAL[:, 0] + RNG.logistic(size=400) > 0).astype(float)
    fit = jax.block_until_ready(jaxlr.fit(NORMAL, y, solver="newton_cg", max_steps=187, **FEW_NEEDED))
    jax.effects_barrier()
    assert not made
    wanted = jaxlr.fit(NORMAL, y, solver="newton", l2=0.1)
    assert fit.converged
    assert float(fit.value - wanted.value) <= float(fit.gap)
    # J is bent by l2 at least along each coefficient, here in standard deviations of about 1.
    np.testing.assert_allclose(fit.params.coef, wanted.params.coef, atol=1.1 * 400**0.5 * 1e-3 / 0.1)


def test_derivatives_need_no_hessian_either():
    y = (NORMAL[:, 0] > 0).astype(float)
    y[::3] = 1 - y[::3]
    slopes = [
        jax.grad(lambda l2, solver=solver: jnp.sum(jaxlr.fit(NORMAL, y, l2=l2, solver=solver).params.coef))(1.0)
        for solver in ("newton_cg", "newton")
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-7)  # tol over l2


@pytest.mark.parametrize("y", [Y[0], pytest.param(Y[:2, None], marks=pytest.mark.slow)], ids=["a path", "targets"])
def test_a_hessian_is_made_where_going_without_fell_short(made, monkeypatch, y):
    monkeypatch.setattr(rounds, "_DEAR", 0)
    monkeypatch.setattr(rounds, "_products", lambda directions, d, l2, tol: 0 * tol)
    got = jax.block_until_ready(jaxlr.fit(X, y, l2=GRID, solver="newton_cg", max_steps=188))
    jax.effects_barrier()
    assert made
    wanted = jaxlr.fit(X, y, l2=GRID, solver="newton")
    assert got.converged.all()
    difference = np.abs(np.asarray(got.value) - np.asarray(wanted.value))
    assert np.all(difference <= np.asarray(got.gap) + np.asarray(wanted.gap) + 8 * np.finfo(float).eps)
