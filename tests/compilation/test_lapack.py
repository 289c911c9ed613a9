"""No two calls of LAPACK in a program that do not wait for each other: on two cores they can wait for ever."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr.compilation import program
from tests.compilation.lapack import unordered

pytestmark = pytest.mark.usefixtures("x64")

M = 12
rng = np.random.default_rng(0)
X = rng.normal(size=(4, M, 3))
NEAR = np.concatenate([X[..., :2], X[..., 1:2] + 1e-8 * X[..., 2:]], axis=-1)
Y, OFFSET = (rng.random(M) < 0.5).astype(float), rng.normal(size=M)
LABELS = np.arange(M) % 3
FITS = {
    "a basis, an offset": lambda: jaxlr.fit(NEAR, Y, offset=OFFSET),
    "three classes": lambda: jaxlr.fit(NEAR, LABELS, offset=np.stack([OFFSET] * 3, axis=1), num_classes=3),
    "bounds": lambda: jaxlr.fit(X, Y, lower=0.0),
    "conjugate gradients": lambda: jaxlr.fit(X, Y, offset=OFFSET, solver="newton_cg"),
    "l1": lambda: jaxlr.fit(X, Y, l1=0.01),
    "Firth": lambda: jaxlr.fit_firth(X, Y),
    "strata": lambda: jaxlr.fit_conditional(X, LABELS == 0, np.arange(M) // 3),
    "columns": lambda: jaxlr.fit_columns(X[0].T, Y, covariates=X[1]),
    "columns of three classes": lambda: jaxlr.fit_columns(X[0].T, LABELS, num_classes=3),
    "resamples": lambda: jaxlr.fit_bootstrap(jax.random.key(0), NEAR[0], Y, 5),
}
OF_MODELS = {
    "standard_errors": {},
    "covariance": {"kind": "HC3"},
    "influence": {},
    "leave_one_out": {},
    "predictions": {},
    "marginal_effects": {},
    "comparisons": {"low": NEAR[0], "high": NEAR[0] + 1},
    "wald_test": {"R": np.eye(4)[:2]},
    "score_test": {"columns": X[1].T},
    "profile_intervals": {},
    "profile_tests": {},
    "summary": {},
}


CHECKED = {}  # programs that a test of this file has looked at, not to be compiled anew


class _SeenError(Exception):
    pass


def pairs_of(call, monkeypatch, whole=False):
    """Of the first program that a call asks for, or of all of them."""
    found, compiled = [], program._found

    def traced(anew, known, given, statics):
        found.extend(unordered(anew().trace(**given, **statics).jaxpr.jaxpr))
        if not whole:
            raise _SeenError
        return compiled(anew, known, given, statics)

    monkeypatch.setattr(program, "_found", traced)
    monkeypatch.setattr(program, "_loaded", CHECKED if whole else {})
    with contextlib.suppress(_SeenError):
        call()
    return found


@pytest.mark.parametrize("name", FITS)
def test_each_factor_of_a_fit_waits_for_the_one_before(name, monkeypatch):
    assert not pairs_of(FITS[name], monkeypatch)


@pytest.mark.parametrize("name", OF_MODELS)
def test_each_factor_of_a_statistic_waits_for_the_one_before(name, monkeypatch):
    fit, problem = jaxlr.fit(NEAR[0], Y), jaxlr.Problem(NEAR[0], Y)
    assert not pairs_of(lambda: getattr(jaxlr.inference, name)(fit, problem, **OF_MODELS[name]), monkeypatch, whole=True)


def test_each_factor_of_an_interval_waits_for_the_one_before_with_firth_and_classes(monkeypatch):
    firth, three = jaxlr.fit_firth(X[0], Y), jaxlr.fit(X[0], LABELS, num_classes=3)
    assert not pairs_of(lambda: jaxlr.inference.profile_intervals(firth, jaxlr.Problem(X[0], Y)), monkeypatch)
    assert not pairs_of(lambda: jaxlr.inference.profile_intervals(three, jaxlr.Problem(X[0], LABELS)), monkeypatch)


def test_each_factor_of_a_gradient_waits_for_the_one_before():
    total = lambda X: jnp.sum(jaxlr.fit(X, Y).params.coef)  # noqa: E731
    of_sets = lambda X: jnp.sum(jaxlr.fit_conditional(X, LABELS == 0, np.arange(M) // 3).params.coef)  # noqa: E731
    for function in (total, of_sets):
        assert not unordered(jax.make_jaxpr(jax.grad(function))(X[0]).jaxpr)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"l1": 0.01}, {"num_classes": 3}])
def test_each_factor_of_a_stream_waits_for_the_one_before(options, monkeypatch):
    y = LABELS if options.get("num_classes") else Y
    stream = lambda: jaxlr.fit_stream(lambda: [(X[0], y)], num_samples=4, key=jax.random.key(0), **options)  # noqa: E731
    assert not pairs_of(stream, monkeypatch, whole=True)


def test_two_that_wait_for_nothing_are_found():
    both = jax.make_jaxpr(lambda H: jnp.linalg.cholesky(H) + jnp.linalg.cholesky(2 * H))
    chain = jax.make_jaxpr(lambda H: jnp.linalg.cholesky(jnp.linalg.cholesky(H)))
    assert unordered(both(np.eye(2)).jaxpr)
    assert not unordered(chain(np.eye(2)).jaxpr)
