"""The check of gradients passes ours on all kinds of problems, and finds a thousandth in one parameter."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, gradient, loss
from jaxlr.testing import check_gradient, problems_with_params

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)), RNG.integers(0, 2, 20)
PARAMS = Params(np.array([0.5, -1.0, 2.0]), np.array(0.25))
FULL = Problem(X, Y, RNG.uniform(0, 2, 20), RNG.standard_normal(20), l1=0.1, l2=0.2, penalty_factor=np.array([0, 1, 2.0]))


@pytest.mark.slow
@given(problems_with_params(badly_scaled=True), st.booleans())
def test_the_gradient_passes_in_any_units(case, narrow):
    problem, params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), case) if narrow else case
    check_gradient(loss, gradient, params, problem)


def test_the_gradient_of_classes_groups_and_bounds_passes():
    labels = np.arange(20) % 3
    classes = SoftmaxParams(RNG.standard_normal((3, 3)), RNG.standard_normal(3))
    check_gradient(loss, gradient, classes, Problem(X, labels, l2=0.1, offset=RNG.standard_normal((20, 3))))
    check_gradient(loss, gradient, PARAMS, Problem(X, Y, l2=0.1, l1_group=0.3, groups=np.array([0, 0, 1]), upper=np.zeros(3)))


def test_what_was_measured_comes_back():
    measured = check_gradient(loss, gradient, PARAMS, FULL)
    assert 0 <= measured.autodiff < 1e-14
    assert 0 < measured.differences < 1e-8


@pytest.mark.parametrize("leaf", ["coef", "intercept"])
def test_a_thousandth_too_much_is_found_and_named(leaf):
    def wrong(params, problem):
        g = gradient(params, problem)
        return g._replace(**{leaf: np.asarray(getattr(g, leaf)) * np.array(1.001)})

    with pytest.raises(AssertionError, match=rf"check_gradient: at {leaf}.*jax.grad of the loss.*allowed"):
        check_gradient(loss, wrong, PARAMS, FULL)


def test_a_small_column_does_not_hide_its_mistake():
    small = Problem(X * np.array([1, 1, 1e-9]), Y)

    def wrong(params, problem):
        g = gradient(params, problem)
        return g._replace(coef=np.asarray(g.coef) * np.array([1, 1, 1.001]))

    with pytest.raises(AssertionError, match=r"at coef\[2\]"):
        check_gradient(loss, wrong, PARAMS, small)


def test_a_loss_whose_own_derivative_is_wrong_is_found_by_differences():
    @jax.custom_jvp
    def own(z):
        return jaxlr.logistic_loss(z, 1.0)

    own.defjvp(lambda z, dz: (own(*z), 0.999 * jaxlr.residual(z[0], 1.0) * dz[0]))

    def wrong_loss(params, problem):
        return jax.vmap(own)(problem.X @ params.coef + params.intercept).mean()

    with pytest.raises(AssertionError, match="differences of the loss"):
        check_gradient(wrong_loss, jax.grad(wrong_loss), PARAMS, Problem(X, np.ones(20)))


def test_another_structure_or_shape_or_nan_is_refused():
    with pytest.raises(AssertionError, match="PyTreeDef"):
        check_gradient(loss, lambda *of: tuple(gradient(*of)), PARAMS, FULL)
    with pytest.raises(AssertionError, match="has the shape"):
        check_gradient(loss, lambda *of: gradient(*of)._replace(intercept=np.zeros(1)), PARAMS, FULL)
    with pytest.raises(AssertionError, match="at intercept the gradient is nan"):
        check_gradient(loss, lambda *of: gradient(*of)._replace(intercept=np.array(np.nan)), PARAMS, FULL)
