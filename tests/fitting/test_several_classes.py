"""What fits of several classes share with binary ones: derivatives, the span of the rows, working sets, resamples, columns,
folds, chunks, interrupts and strengths."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Problem, SoftmaxParams, Status
from jaxlr.batching import strategy
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(3)
M, N, K = 40, 4, 3
X = RNG.normal(size=(M, N)) + np.array([0, 0, 2, -1])
LABELS = (RNG.uniform(size=M) * K).astype(int)
S = RNG.uniform(0.5, 2, M)
OFFSET = RNG.normal(size=(M, K)) / 3
WIDE = RNG.normal(size=(20, 45))
MANY = RNG.normal(size=(M, 300))
TOL = 1e-10  # of fit in float64
CASES = {
    "ridge": ({"X": X, "sample_weight": S, "offset": OFFSET, "l2": 0.1, "penalty_factor": np.array([0.5, 2, 1, 1])}, {}),
    "unpenalized": ({"X": X, "sample_weight": S, "l2": 0.0}, {}),
    "standardized": ({"X": X * [1, 5, 0.2, 1], "sample_weight": S, "l2": 0.05}, {"standardize": True}),
    "conjugate gradients": ({"X": X, "sample_weight": S, "l2": np.array([0.3, 0.03])}, {"solver": "newton_cg"}),
    "elastic net": ({"X": X, "offset": OFFSET, "l1": 0.03, "l2": 0.02}, {}),
    "lasso, a column without a penalty": ({"X": X, "l1": 0.03, "penalty_factor": np.array([0.0, 1, 1, 1])}, {}),
    "lasso of many columns": ({"X": MANY, "l1": 0.2}, {}),
    "wide": ({"X": WIDE, "l2": 0.05}, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", quick(CASES, "ridge"))
def test_derivatives_are_the_differences_of_refits(case):
    fields, options = CASES[case]
    fields = {name: np.asarray(value, float) for name, value in fields.items()}
    labels, rng = LABELS[: len(fields["X"])], np.random.default_rng(0)

    @jax.jit
    def numbers(fields):
        fit = jaxlr.fit(y=labels, num_classes=K, tol=1e-13, **options, **fields)
        return jnp.concatenate([fit.params.coef.ravel(), fit.params.intercept.ravel(), fit.value.ravel()])

    direction = {name: rng.normal(size=value.shape) * np.where(value == 0, 0, 1) for name, value in fields.items()}
    _, forward = jax.jvp(numbers, (fields,), (direction,))
    h = 1e-5
    up, down = (numbers({name: fields[name] + side * h * direction[name] for name in fields}) for side in (1, -1))
    expected = (np.asarray(up) - np.asarray(down)) / (2 * h)
    # Differences of refits are off by h^2 times third derivatives, and by rounding over h.
    np.testing.assert_allclose(forward, expected, rtol=0, atol=1e-7 * max(1, np.abs(expected).max()))
    ones = np.cos(np.arange(len(expected)))
    slopes = jax.grad(lambda fields: jnp.sum(ones * numbers(fields)))(fields)
    reverse = sum(float(np.sum(np.asarray(slopes[name]) * direction[name])) for name in fields)
    np.testing.assert_allclose(reverse, ones @ np.asarray(forward), rtol=1e-9)


@pytest.mark.slow
def test_more_columns_than_rows_are_fitted_in_the_span_of_the_rows():
    l2 = np.logspace(0, -3, 8)
    found = jaxlr.fit(WIDE, LABELS[:20], num_classes=K, l2=l2)
    whole = jaxlr.fit(WIDE, LABELS[:20], num_classes=K, l2=l2, penalty_factor=np.ones(45))  # factors take the other road
    assert bool(found.converged.all())
    assert bool(whole.converged.all())
    # Two minima: gradients <= tol, and l2 at least bends J.
    np.testing.assert_allclose(found.params.coef, whole.params.coef, rtol=0, atol=4 * TOL * np.sqrt(45) / l2.min())
    assert float(found.gap.max()) <= 1e-15


@pytest.mark.slow
def test_working_sets_find_the_lasso_of_all_columns(monkeypatch):
    options = {"num_classes": K, "l1": 0.12}
    few = jaxlr.fit(MANY, LABELS, **options)
    monkeypatch.setattr(strategy, "usual_room", lambda m, k, has_l2, num_classes: k)
    whole = jaxlr.fit(MANY, LABELS, **options)
    assert bool(few.converged)
    assert bool(whole.converged)
    np.testing.assert_array_equal(np.asarray(few.params.coef) == 0, np.asarray(whole.params.coef) == 0)
    np.testing.assert_allclose(few.params.coef, whole.params.coef, rtol=0, atol=1e-7)  # of the curvature on the support
    problem = Problem(MANY, LABELS, l1=0.12)
    assert float(jaxlr.kkt_residual(few.params, problem)) <= TOL
    assert float(few.value - whole.value) <= float(few.gap) + 1e-15


@pytest.mark.slow
def test_resamples_are_fits_under_their_counts():
    key, options = jax.random.key(1), {"num_classes": K, "l2": 0.05}
    found = jaxlr.fit_bootstrap(key, X, LABELS, 9, sample_weight=S, **options)
    expected = jaxlr.fit(X, LABELS, sample_weight=np.asarray(jaxlr.bootstrap(key, M, 9)) * S, **options)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.params.coef, expected.params.coef, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_a_model_for_each_column_is_the_fit_of_its_columns():
    columns = np.random.default_rng(8).normal(size=(3, M))
    options = {"num_classes": K, "sample_weight": S, "offset": OFFSET}
    found = jaxlr.fit_columns(columns, LABELS, covariates=X, penalty_factor=np.array([1, 1, 1, 1, 0.5]), l2=0.02, **options)
    assert found.params.coef.shape == (3, K, N + 1)
    for k, column in enumerate(columns):
        alone = jaxlr.fit(np.column_stack([X, column]), LABELS, l2=0.02, penalty_factor=np.array([1, 1, 1, 1, 0.5]), **options)
        np.testing.assert_allclose(found.params.coef[k], alone.params.coef, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.value[k], alone.value, rtol=1e-13)


@pytest.mark.slow
def test_chunks_and_a_mesh_are_the_models_of_the_whole():
    weights = np.random.default_rng(9).integers(0, 3, (11, M)) + 1.0
    whole = jaxlr.fit(X, LABELS, num_classes=K, l2=0.1, sample_weight=weights)
    mesh = jax.make_mesh((1,), ("models",))
    for options in ({"batch_size": 4}, {"mesh": mesh}):
        found = jaxlr.fit(X, LABELS, num_classes=K, l2=0.1, sample_weight=weights, **options)
        np.testing.assert_allclose(found.params.coef, whole.params.coef, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_the_bar_counts_and_an_interrupt_keeps_what_was_fitted(capsys, monkeypatch):
    weights = np.ones((6, M))
    original, calls = jaxlr.engine.chunks._write, []

    def interrupting(*arguments):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(jaxlr.engine.chunks, "_write", interrupting)
    with pytest.raises(KeyboardInterrupt, match="4 of 6 models were fitted") as caught:
        jaxlr.fit(X, LABELS, num_classes=K, l2=0.1, sample_weight=weights, batch_size=2, progress=True)
    assert "models" in capsys.readouterr().err
    fit = caught.value.fit
    assert isinstance(fit.params, SoftmaxParams)
    assert np.asarray(fit.status).tolist() == [Status.CONVERGED] * 4 + [Status.NOT_RUN] * 2
    assert np.isnan(fit.params.coef[4:]).all()


@pytest.mark.slow
def test_at_the_largest_strength_nothing_is_left_and_below_it_something():
    factor = np.array([0.0, 1, 2, 1])
    most = float(jaxlr.l1_max(Problem(X, LABELS, S, OFFSET, penalty_factor=factor), num_classes=K))
    options = {"num_classes": K, "sample_weight": S, "offset": OFFSET, "penalty_factor": factor}
    fits = jaxlr.fit(X, LABELS, l1=np.array([most, 0.98 * most]), **options)
    assert not np.asarray(fits.params.coef[0, :, 1:]).any()
    assert np.asarray(fits.params.coef[1, :, 1:]).any()


@pytest.mark.slow
def test_a_path_begins_where_nothing_is_left():
    path = jaxlr.glmnet_path(X, LABELS, num_classes=K, num_strengths=3)
    first = jaxlr.fit(X, LABELS, num_classes=K, standardize=True, **path)
    assert not np.asarray(first.params.coef[0]).any()
    assert np.asarray(first.params.coef[1]).any()


@pytest.mark.slow
def test_folds_are_scored_as_they_are_fitted():
    l2, key = np.array([1.0, 0.1]), jax.random.key(0)
    cv = jaxlr.cross_validate(X, LABELS, num_classes=K, l2=l2, offset=OFFSET, folds=3, key=key, metrics=("accuracy",))
    folds = np.asarray(jaxlr.stratified_kfold(key, LABELS, 3))
    fits = jaxlr.fit(X, LABELS, num_classes=K, offset=OFFSET, l2=l2, sample_weight=folds[:, None])
    proba = np.asarray(jaxlr.predict_proba(fits.params, X, OFFSET))
    losses = -np.log(np.take_along_axis(proba, np.broadcast_to(LABELS[:, None], (3, 2, M, 1)), axis=-1)[..., 0])
    held_out = (folds == 0)[:, None, :]
    expected = (losses * held_out).sum(-1) / held_out.sum(-1)
    np.testing.assert_allclose(cv.scores["log_loss"], expected, rtol=1e-8)  # both fits converged to tol
