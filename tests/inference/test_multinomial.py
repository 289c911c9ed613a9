"""Standard errors of multinomial models against the binary ones, and against differences of refits."""

import jax
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, Status, fit, inference
from jaxlr.inference import wald

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 2)) + np.array([0.0, 50.0])
LABELS = (X[:, 0] + RNG.normal(size=80) > -0.5).astype(int) + (X[:, 1] + RNG.normal(size=80) > 50.5)
S = RNG.integers(1, 4, 80).astype(float)


def test_two_classes_have_the_errors_of_the_binary_model():
    y = (LABELS > 0).astype(int)
    two = wald(fit(X, y, num_classes=2, sample_weight=S), Problem(X, y, S))
    one = inference.wald(fit(X, y, sample_weight=S), Problem(X, y, S))
    for name in ("estimate", "standard_error", "z", "p_value", "lower", "upper"):
        got, expected = getattr(two, name), getattr(one, name)
        np.testing.assert_allclose(got.coef[1], expected.coef, rtol=1e-8)  # both converged to tol
        np.testing.assert_allclose(got.intercept[1], expected.intercept, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_errors_are_those_of_the_inverse_hessian(fit_intercept):
    design = X - [0.0, 50.0]
    problem = Problem(design, LABELS, S, fit_intercept=fit_intercept)
    found = fit(design, LABELS, num_classes=3, sample_weight=S, fit_intercept=fit_intercept)
    parameters = 3 if fit_intercept else 2

    def mean_loss(x):  # class 0 is the base
        whole = jax.numpy.concatenate([jax.numpy.zeros((1, parameters)), x.reshape(2, parameters)])
        intercept = whole[:, 2] if fit_intercept else jax.numpy.zeros(3)
        return jaxlr.loss(jaxlr.SoftmaxParams(whole[:, :2], intercept), problem)

    parts = [found.params.coef, found.params.intercept[:, None]][: 1 + fit_intercept]
    whole = np.concatenate([np.asarray(part) for part in parts], axis=1)
    H = jax.hessian(mean_loss)((whole - whole[0])[1:].ravel())
    expected = np.sqrt(np.diag(np.linalg.inv(S.sum() * np.asarray(H)))).reshape(2, parameters)
    errors = wald(found, problem).standard_error
    np.testing.assert_allclose(errors.coef[1:], expected[:, :2], rtol=1e-9)
    if fit_intercept:
        np.testing.assert_allclose(errors.intercept[1:], expected[:, 2], rtol=1e-9)
    else:
        assert np.isnan(errors.intercept).all()


def test_every_base_is_another_view_of_the_same_differences():
    found, problem = fit(X, LABELS, num_classes=3), Problem(X, LABELS)
    first, last, none = (wald(found, problem, base=base) for base in (0, 2, None))
    np.testing.assert_allclose(first.standard_error.coef[2], last.standard_error.coef[0], rtol=1e-10)
    np.testing.assert_allclose(none.estimate.coef, found.params.coef)
    assert np.isfinite(none.standard_error.coef).all()


@pytest.mark.slow
def test_a_batch_has_the_errors_of_its_members_and_nan_where_one_failed():
    weights = np.stack([S, np.where(LABELS == 2, 0, S), np.ones(80)])
    batch = fit(X, LABELS, num_classes=3, sample_weight=weights)
    errors = wald(batch, Problem(X, LABELS, weights)).standard_error
    assert Status(int(batch.status[1])) == Status.INVALID
    assert np.isnan(errors.coef[1]).all()
    one = wald(fit(X, LABELS, num_classes=3), Problem(X, LABELS)).standard_error
    np.testing.assert_allclose(errors.coef[2, 1:], one.coef[1:], rtol=1e-8)


def test_an_offset_counts():
    rng = np.random.default_rng(10)
    offset = rng.normal(size=(80, 3))
    found = fit(X, LABELS, num_classes=3, offset=offset)
    assert np.isfinite(wald(found, Problem(X, LABELS, offset=offset)).standard_error.coef[1:]).all()
    with pytest.raises(ValueError, match="expected the problem that was fitted"):
        wald(found, Problem(X, LABELS))


def test_what_has_no_such_errors_is_refused():
    found, problem = fit(X, LABELS, num_classes=3, l2=0.1), Problem(X, LABELS, l2=0.1)
    with pytest.raises(ValueError, match="expected an unpenalized fit"):
        wald(found, problem)
    with pytest.raises(ValueError, match="expected base to be an integer >= 0, got True"):
        wald(fit(X, LABELS, num_classes=3), Problem(X, LABELS), base=True)
    with pytest.raises(ValueError, match="expected base None or a class from 0 to 2, got 3"):
        wald(fit(X, LABELS, num_classes=3), Problem(X, LABELS), base=3)
    with pytest.raises(ValueError, match="expected base None or a class from 0 to 0, got 1"):
        wald(fit(X, LABELS > 0), Problem(X, LABELS > 0), base=1)
