"""Influence and approximate leave-one-out: their formulas in NumPy, refits without a row, laws of weights and batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, inference
from tests.helpers import known_fit

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(3)
M, N = 60, 3
X = RNG.standard_normal((M, N)) * [1, 5, 0.2] + [0, 30, 1]
Y = (X @ [0.8, -0.1, 1.0] + 2 + RNG.logistic(size=M) > 0).astype(float)
LABELS = np.digitize(X[:, 0] + RNG.logistic(size=M), [-1, 1])
S = RNG.integers(0, 4, (2, M)).astype(float)
A = np.column_stack([X, np.ones(M)])
CONDITION = 1e5  # of the columns as they are, which the formulas in NumPy lose
EPS = np.finfo(np.float64).eps


def member(tree, i):
    return jax.tree.map(lambda leaf: np.asarray(leaf[i]), tree)


def test_influence_of_groups_that_each_have_a_parameter_is_that_of_their_shares():
    """h = 1 / n in a group of n rows; alone in one, a row determines its parameter, and nothing is known without it."""
    group = np.repeat(np.arange(3), [4, 3, 1])
    y, p = np.array([1, 0, 0, 0, 1, 1, 0, 0.4]), np.array([1 / 4, 2 / 3, 0.4])[group]
    z = np.log(p / (1 - p))[[0, 4, 7]]
    fit = known_fit(z[1:] - z[0], z[0])
    found = inference.influence(fit, Problem((group[:, None] == [1, 2]).astype(float), y))
    h, pearson = 1 / np.array([4, 3, 1])[group], (y - p) / np.sqrt(p * (1 - p))
    cook = pearson[:-1] ** 2 * h[:-1] / ((1 - h[:-1]) ** 2 * 3)
    np.testing.assert_allclose(found.leverage, h, rtol=64 * EPS)
    np.testing.assert_allclose(found.pearson, pearson, rtol=64 * EPS, atol=64 * EPS)
    np.testing.assert_allclose(found.cooks_distance, [*cook, np.nan], rtol=256 * EPS)


@pytest.mark.slow
def test_influence_is_that_of_the_formulas_for_every_member_of_a_batch():
    fits = jaxlr.fit(X, Y, sample_weight=S)
    found = inference.influence(fits, Problem(X, Y, S))
    for i, s in enumerate(S):
        got, p = member(found, i), np.asarray(jaxlr.predict_proba(member(fits.params, i), X))
        inverse = np.linalg.inv((A.T * (s * p * (1 - p))) @ A)
        h = s * p * (1 - p) * np.sum((A @ inverse) * A, axis=1)
        pearson = (Y - p) * np.sqrt(s / (p * (1 - p)))
        deviance = np.sign(Y - p) * np.sqrt(-2 * s * np.log(np.where(Y == 1, p, 1 - p)))
        # One Newton step without the row, of which only the gradient is left.
        one_step = (A @ inverse) * (s * (Y - p) / (1 - h))[:, None]
        expected = {
            "leverage": h,
            "pearson": pearson,
            "deviance": deviance,
            "standardized_pearson": pearson / np.sqrt(1 - h),
            "standardized_deviance": deviance / np.sqrt(1 - h),
            "cooks_distance": pearson**2 * h / ((1 - h) ** 2 * 4),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(got, name), value, rtol=0, atol=CONDITION * 64 * EPS, err_msg=name)
        dfbeta = np.column_stack([got.dfbeta.coef, got.dfbeta.intercept])
        np.testing.assert_allclose(dfbeta, one_step, rtol=0, atol=CONDITION * 64 * EPS * np.abs(one_step).max())
        np.testing.assert_allclose(np.sum(got.leverage), N + 1, rtol=16 * M * EPS)  # the trace of a projection
        np.testing.assert_allclose(np.sum(got.deviance**2), inference.goodness_of_fit(fits, Problem(X, Y, S)).deviance[i])


@pytest.mark.slow
def test_dfbeta_is_what_a_refit_changes():
    whole = jaxlr.fit(X, Y)
    without = jaxlr.fit(X, Y, sample_weight=1 - np.eye(M))
    found = inference.influence(whole, Problem(X, Y)).dfbeta
    error = np.asarray(inference.standard_errors(whole, Problem(X, Y)).coef)
    moved = (np.asarray(whole.params.coef) - np.asarray(without.params.coef)) / error
    assert without.converged.all()
    # To first order: what is left is of the square of the change.
    np.testing.assert_allclose(np.asarray(found.coef) / error, moved, rtol=0, atol=2 * np.max(np.abs(moved)) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("label", [0.1, 0.4, 0.6])
def test_a_row_that_determines_a_parameter_alone_has_leverage_1_and_nothing_without_it(label):
    columns = np.column_stack([X[:, 0], np.arange(M) == 7])
    soft = np.where(np.arange(M) == 7, label, Y)
    fit, problem = jaxlr.fit(columns, soft), Problem(columns, soft)
    found = inference.influence(fit, problem)
    np.testing.assert_allclose(found.leverage[7], 1, rtol=0, atol=64 * M * EPS)
    held_out = inference.leave_one_out(fit, problem).logits
    for field in (found.standardized_pearson, found.cooks_distance, found.dfbeta.intercept, held_out):
        assert np.isnan(np.asarray(field)).tolist() == (np.arange(M) == 7).tolist()
    assert np.isnan(np.asarray(inference.covariance(fit, problem, kind="HC3"))).all()


@pytest.mark.slow
def test_residuals_of_rows_that_the_model_meets_are_0():
    fit = jaxlr.fit(X, Y)
    met = np.asarray(jaxlr.predict_proba(fit.params, X))
    for y in (met, np.full(M, 0.3)):
        found = inference.influence(jaxlr.fit(X, y), Problem(X, y))
        for residuals in (found.deviance, found.pearson):
            np.testing.assert_allclose(residuals, 0, rtol=0, atol=1e-9)  # what tol leaves
    far = np.concatenate([X[:, :1], [[3e4]]])
    y = np.append(X[:, 0] + np.sin(np.arange(M)) > 0, True)
    found = inference.influence(jaxlr.fit(far, y), Problem(far, y))
    assert [float(getattr(found, name)[M]) for name in ("leverage", "pearson", "deviance", "cooks_distance")] == [0] * 4


@pytest.mark.slow
def test_dfbeta_of_firth_is_what_a_refit_of_firth_changes():
    fit = jaxlr.fit_firth(X, Y)
    found = np.asarray(inference.influence(fit, Problem(X, Y)).dfbeta.coef)
    without = jaxlr.fit_firth(X, Y, sample_weight=1 - np.eye(M))
    assert without.converged.all()
    change = np.asarray(fit.params.coef) - np.asarray(without.params.coef)
    raw = np.asarray(inference.influence(jaxlr.fit(X, Y), Problem(X, Y)).dfbeta.coef)
    size = np.sqrt(np.mean(change**2, axis=0))
    off, off_of_raw = (np.sqrt(np.mean((values - change) ** 2, axis=0)) / size for values in (found, raw))
    assert np.all(off < 0.15)  # of first order, with 60 rows
    assert np.all(off < off_of_raw)
    with pytest.raises(ValueError, match="Firth"):
        inference.leave_one_out(fit, Problem(X, Y))


@pytest.mark.slow
def test_copies_that_a_lasso_keeps_both_do_not_disturb_leave_one_out():
    copied, l1 = np.column_stack([X[:, 0], X[:, 0], X[:, 1]]), np.array([0.01, 0.05])
    found = inference.leave_one_out(jaxlr.fit(copied, Y, l1=l1), Problem(copied, Y, l1=l1))
    alone = inference.leave_one_out(jaxlr.fit(X[:, :2], Y, l1=l1), Problem(X[:, :2], Y, l1=l1))
    np.testing.assert_allclose(found.logits, alone.logits, rtol=0, atol=1e-6)  # what tol leaves, and the jitter


@pytest.mark.slow
def test_influence_refuses_several_classes_and_penalties_that_were_not_asked_for():
    with pytest.raises(ValueError, match="two classes"):
        inference.influence(jaxlr.fit(X, LABELS, num_classes=3), Problem(X, LABELS))
    ridge = jaxlr.fit(X, Y, l2=0.1)
    with pytest.raises(ValueError, match="unpenalized"):
        inference.influence(ridge, Problem(X, Y, l2=0.1))
    h = inference.influence(ridge, Problem(X, Y, l2=0.1), penalized=True).leverage
    assert 1 < np.sum(h) < N + 1


def held_out(X, y, **penalty):
    """Logits and log loss of every row by the model of the others, fitted."""
    fits = jaxlr.fit(X, y, sample_weight=1 - np.eye(len(y)), **penalty)
    assert fits.converged.all()
    coef, intercept = (np.asarray(part) for part in fits.params)
    z = np.einsum("i...n,in->i...", coef, X) + intercept
    if z.ndim == 1:
        return z, np.mean(np.logaddexp(0, z) - y * z)
    return z, -np.mean((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))[np.arange(len(y)), y])


PENALTIES = {
    "none": {}, "ridge": {"l2": 0.1}, "weak ridge": {"l2": 1e-3}, "lasso": {"l1": 0.02}, "elastic net": {"l1": 0.01, "l2": 0.05}
}  # fmt: skip


_SOME = (("ridge", None),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        pytest.param(name, classes, marks=() if (name, classes) in _SOME else pytest.mark.slow)
        for name in PENALTIES
        for classes in (None, 3)
    ],
)
def test_leave_one_out_is_near_refits(name, classes):
    penalty, columns = PENALTIES[name], RNG.standard_normal((150, 4))
    score = columns @ [1.0, -0.5, 0.5, 0.0] + RNG.logistic(size=150)
    y = (score > 0).astype(float) if classes is None else np.digitize(score, [-1, 1])
    fit = jaxlr.fit(columns, y, num_classes=classes, **penalty)
    found = inference.leave_one_out(fit, Problem(columns, y, **penalty))
    z, loss = held_out(columns, y, num_classes=classes, **penalty)
    np.testing.assert_allclose(found.log_loss, loss, rtol=0.02)
    loss_here = np.asarray(fit.value) if not penalty else float(jaxlr.loss(fit.params, Problem(columns, y)))
    # Most of the optimism is seen; with l1 a coefficient may leave the support, or enter it, with a row.
    assert abs(found.log_loss - loss) < (0.25 if "l1" in penalty else 0.1) * (loss - loss_here)
    assert np.shape(found.logits) == np.shape(z)
    fitted = columns @ np.asarray(fit.params.coef).T + np.asarray(fit.params.intercept)
    assert np.abs(found.logits - z).mean() < 0.2 * np.abs(fitted - z).mean()


@pytest.mark.slow
def test_leave_one_out_of_a_batch_is_that_of_its_members_and_ignores_rows_without_weight():
    l2, columns = np.array([1.0, 1e-2]), X.copy()
    columns[S[0] == 0] = 7.0
    fits = jaxlr.fit(columns, Y, sample_weight=S[0], l2=l2)
    found = inference.leave_one_out(fits, Problem(columns, Y, S[0], l2=l2))
    kept = S[0] > 0
    for i in range(2):
        alone = jaxlr.fit(X[kept], Y[kept], sample_weight=S[0][kept], l2=l2[i])
        expected = inference.leave_one_out(alone, Problem(X[kept], Y[kept], S[0][kept], l2=l2[i]))
        np.testing.assert_allclose(found.log_loss[i], expected.log_loss, rtol=1e-9)  # tol of the fits
        np.testing.assert_allclose(np.asarray(found.logits)[i, kept], expected.logits, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_the_derivative_of_leave_one_out_in_the_penalty_is_that_of_differences():
    def loss(log_l2):
        l2 = jnp.exp(log_l2)
        return inference.leave_one_out(jaxlr.fit(X, Y, l2=l2), Problem(X, Y, l2=l2)).log_loss

    step = 1e-4  # the error of central differences is of its square
    slope = (loss(-3 + step) - loss(-3 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(loss)(-3.0), slope, rtol=1e-5)


@pytest.mark.slow
def test_derivatives_in_the_columns_are_those_of_differences():
    direction = RNG.standard_normal((M, N)) * X.std(0)

    def loss(t):
        moved = X + t * direction
        return inference.leave_one_out(jaxlr.fit(moved, Y, l2=0.1), Problem(moved, Y, l2=0.1)).log_loss

    def error(t):
        moved = X + t * direction
        return inference.standard_errors(jaxlr.fit(moved, Y), Problem(moved, Y)).coef[0]

    step = 1e-4  # the error of central differences is of its square
    for function in (loss, error):
        slope = (function(step) - function(-step)) / (2 * step)
        np.testing.assert_allclose(jax.grad(function)(0.0), slope, rtol=1e-5)


@pytest.mark.slow
def test_a_row_without_weight_has_the_logit_of_the_model():
    fit = jaxlr.fit(X, Y, sample_weight=S[0], l2=0.1)
    found = inference.leave_one_out(fit, Problem(X, Y, S[0], l2=0.1)).logits
    absent = S[0] == 0
    np.testing.assert_allclose(found[absent], jaxlr.logits(fit.params, X)[absent], rtol=64 * EPS)
    assert (np.asarray(found)[~absent] != jaxlr.logits(fit.params, X)[~absent]).all()


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_more_columns_than_rows_are_served_in_the_span_of_the_rows(classes):
    wide, l2 = np.hstack([X, RNG.standard_normal((M, 2 * M))]), np.array([1.0, 0.1])
    y = Y if classes is None else LABELS
    fits = jaxlr.fit(wide, y, sample_weight=S[0], l2=l2, num_classes=classes)
    found = inference.leave_one_out(fits, Problem(wide, y, S[0], l2=l2))
    # A penalty factor keeps the columns as they are.
    whole = inference.leave_one_out(fits, Problem(wide, y, S[0], l2=l2, penalty_factor=np.ones(wide.shape[1])))
    np.testing.assert_allclose(found.logits, whole.logits, rtol=0, atol=CONDITION * 64 * EPS)
    np.testing.assert_allclose(found.log_loss, whole.log_loss, rtol=CONDITION * 64 * EPS)


@pytest.mark.slow
def test_what_did_not_converge_is_nan():
    separated = (X[:, 0] > 0).astype(float)
    fit = jaxlr.fit(X, separated)
    assert np.isnan(inference.influence(fit, Problem(X, separated)).leverage).all()
    assert np.isnan(inference.leave_one_out(fit, Problem(X, separated)).log_loss)
