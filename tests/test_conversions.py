"""Penalties and weights of other systems mean the same here."""

import numpy as np
import pytest

import jaxlr

RNG = np.random.default_rng(5)
X = RNG.normal(size=(50, 3))
Y = (RNG.random(50) < 1 / (1 + np.exp(-X @ [1.0, 0.0, -1.0]))).astype(float)


def test_l2_from_c_minimizes_scikit_learns_objective():
    # scikit-learn: C sum_i s_i l_i + |coef|^2 / 2, whose gradient must vanish where ours does.
    rng = np.random.default_rng(10)
    C, s = 0.7, rng.integers(1, 4, 50).astype(float)
    fit = jaxlr.fit(X, Y, sample_weight=s, l2=jaxlr.l2_from_C(C, s.sum()))
    coef = np.asarray(fit.params.coef)
    r = 1 / (1 + np.exp(-(X @ coef + float(fit.params.intercept)))) - Y
    gradient = C * X.T @ (s * r) + coef
    assert np.abs(gradient).max() <= 1e-10 * C * s.sum() * X.std(0).max()


def test_elastic_net_splits_alpha():
    l1, l2 = jaxlr.elastic_net(np.array([2.0, 4.0]), 0.25)
    assert (l1.tolist(), l2.tolist()) == ([0.5, 1.0], [1.5, 3.0])


def test_balanced_weights_make_the_classes_weigh_the_same_and_sum_to_m():
    y = np.array([0, 0, 0, 1])
    s = np.asarray(jaxlr.class_weight(y, "balanced"))
    assert s[y == 1].sum() == s[y == 0].sum() == 2.0
    both = np.asarray(jaxlr.class_weight(np.stack([y, 1 - y]), "balanced"))
    assert np.array_equal(both[0], s)
    assert np.array_equal(both[1], s)


def test_class_weights_by_name():
    assert jaxlr.class_weight(np.array([True, False]), {0: 1.0, 1: 5.0}).tolist() == [5.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxlr.l2_from_C(0.0, 10), "expected C > 0"),
        (lambda: jaxlr.l2_from_C(1.0, -1), "expected weight_sum > 0"),
        (lambda: jaxlr.elastic_net(-1.0, 0.5), "expected alpha >= 0"),
        (lambda: jaxlr.elastic_net(1.0, 1.5), "expected l1_ratio in"),
        (lambda: jaxlr.class_weight(np.array([0, 1]), "even"), 'expected "balanced"'),
        (lambda: jaxlr.class_weight(np.array([0, 2]), "balanced"), "expected labels 0/1"),
        (lambda: jaxlr.class_weight(np.array([1, 1]), "balanced"), "both classes"),
        (lambda: jaxlr.class_weight(np.array([0, 1]), {1: 2.0}), "for the classes 0 and 1"),
        (lambda: jaxlr.class_weight(np.array([0, 1]), {0: -1.0, 1: 2.0}), "expected finite weights"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
