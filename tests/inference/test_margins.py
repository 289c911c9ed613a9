"""Laws of predictions, marginal effects and comparisons: autodiff, batches, weights, dependent columns, refusals."""

import functools
import inspect
import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxlr
from jaxlr import Problem, inference
from jaxlr.inference.marginal_effects import _medians

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(3)
M, N, K = 80, 3, 3
X = RNG.standard_normal((M, N)) * [1, 5, 0.2] + [0, 30, 1]
X[:, 2] = X[:, 2] > 1
Y = (X @ [0.8, -0.1, 1.0] + 2 + RNG.logistic(size=M) > 0).astype(float)
LABELS = np.clip(np.round(X[:, 0] + RNG.standard_normal(M)), -1, 1).astype(int) + 1
S = RNG.integers(0, 4, (2, M)).astype(float)
OFFSET = RNG.standard_normal(M)
CLUSTERS = np.arange(M) // 4
NEW = X[:7] + 0.5
KINDS = ["model", "HC0", "HC1", "HC2", "HC3", "sampling", "cluster", "HAC"]
NAMES = ["binary", "offset", "no intercept", "classes"]
METHODS = ["dydx", "eyex", "dyex", "eydx"]
MORE = {"cluster": {"clusters": CLUSTERS}, "HAC": {"lags": 3}}


def options(kind):
    return {"kind": kind} | MORE.get(kind, {})


def by_autodiff(function, fit, problem, **kind):
    """Values and standard errors of a function of the parameters, by its Jacobian and the covariance of all of them."""
    values, unravel = ravel_pytree(fit.params)
    shape = np.shape(fit.params.coef)
    order = np.arange(values.size)
    if len(shape) == 2:  # the parameters of a class stand together in a covariance
        order = np.concatenate([order[: shape[0] * shape[1]].reshape(shape), order[-shape[0] :, None]], axis=1).ravel()
    G = np.asarray(jax.jacobian(lambda vector: function(unravel(vector)))(values))[..., order]
    V = np.asarray(inference.covariance(fit, problem, base=None if len(shape) == 2 else 0, **kind))
    return np.asarray(function(fit.params)), np.sqrt(np.einsum("...i,ij,...j->...", G, V, G))


def check_against_autodiff(found, function, fit, problem, **kind):
    estimate, error = by_autodiff(function, fit, problem, **kind)
    np.testing.assert_allclose(found.estimate, estimate, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-9)  # V has the condition of columns far from 0, about 1e5
    np.testing.assert_allclose(found.upper - found.lower, 2 * 1.959963984540054 * error, rtol=1e-9)


@functools.cache
def models():
    return {
        "binary": (jaxlr.fit(X, Y, sample_weight=S[0]), Problem(X, Y, S[0])),
        "offset": (jaxlr.fit(X, Y, offset=OFFSET), Problem(X, Y, offset=OFFSET)),
        "no intercept": (jaxlr.fit(X, Y, fit_intercept=False), Problem(X, Y, fit_intercept=False)),
        "classes": (jaxlr.fit(X, LABELS, num_classes=K), Problem(X, LABELS)),
    }


def grid(*axes, quick):
    """All combinations, those that are not quick under -m slow."""
    return [pytest.param(*case, marks=() if case in quick else pytest.mark.slow) for case in itertools.product(*axes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), grid(NAMES, KINDS, quick=[("binary", "HC3"), ("classes", "cluster"), ("offset", "model")])
)
def test_errors_of_predictions_are_those_of_the_covariance(name, kind):
    if name == "classes" and kind in ("HC2", "HC3"):
        return
    fit, problem = models()[name]
    offset = OFFSET[:7] if name == "offset" else None
    found = inference.predictions(fit, problem, NEW, offset=offset, level=0.9, **options(kind))

    def log_odds(params):
        p = jaxlr.predict_proba(params, NEW, offset)
        return jnp.log(p) - jnp.log1p(-p)

    eta, error = by_autodiff(log_odds, fit, problem, **options(kind))
    p, reach = 1 / (1 + np.exp(-eta)), 1.6448536269514722
    np.testing.assert_allclose(found.proba, jaxlr.predict_proba(fit, NEW, offset), rtol=1e-14)
    np.testing.assert_allclose(found.standard_error, p * (1 - p) * error, rtol=1e-9)
    np.testing.assert_allclose(found.lower, 1 / (1 + np.exp(-eta + reach * error)), rtol=1e-9)
    np.testing.assert_allclose(found.upper, 1 / (1 + np.exp(-eta - reach * error)), rtol=1e-9)


def average(fit, problem, at, method, discrete):
    """The function of parameters that an average marginal effect is, with the slopes of each row by autodiff."""
    s = np.ones(M) if problem.sample_weight is None else problem.sample_weight
    offset = problem.offset
    rows, w = (X, s / s.sum()) if at == "overall" else (np.average(X, axis=0, weights=s)[None], np.ones(1))
    if offset is not None:
        offset = offset if at == "overall" else np.average(offset, weights=s)[None]
    change = jnp.log if method.startswith("ey") else (lambda p: p)

    def proba(params, x, o):
        return change(jaxlr.predict_proba(params, x[None], None if o is None else o[None])[0])

    def function(params):
        slopes = jax.vmap(jax.jacobian(proba, argnums=1), (None, 0, None if offset is None else 0))(params, rows, offset)
        if method.endswith("ex"):
            slopes = slopes * (rows if slopes.ndim == 2 else rows[:, None, :])
        for j in discrete:
            one, zero = (change(jaxlr.predict_proba(params, np.where(np.arange(N) == j, v, rows), offset)) for v in (1, 0))
            slopes = slopes.at[..., j].set(one - zero)
        return jnp.tensordot(w, slopes, 1)

    return function


QUICK = [("binary", "overall", "eyex")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "at", "method"), grid(NAMES, ["overall", "mean"], METHODS, quick=QUICK))
def test_effects_and_their_errors_are_those_of_autodiff(name, at, method):
    fit, problem = models()[name]
    for kind in ("model", "cluster"):
        for discrete in ((), (2,)) if method.endswith("dx") else ((),):
            found = inference.marginal_effects(fit, problem, at=at, method=method, discrete=discrete, **options(kind))
            check_against_autodiff(found, average(fit, problem, at, method, discrete), fit, problem, **options(kind))


MEASURES = ["difference", "log_ratio", "log_odds_ratio"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "measure"), grid(NAMES, MEASURES, quick=[("binary", "log_odds_ratio"), ("classes", "log_ratio")])
)
def test_comparisons_and_their_errors_are_those_of_autodiff(name, measure):
    fit, problem = models()[name]
    low, high, offset = X, X + np.array([1, 0, 0.5]), problem.offset
    s = np.ones(M) if problem.sample_weight is None else problem.sample_weight
    change = {"difference": lambda p: p, "log_ratio": jnp.log, "log_odds_ratio": lambda p: jnp.log(p) - jnp.log1p(-p)}[measure]

    def function(params):
        one, zero = (change(jnp.tensordot(s / s.sum(), jaxlr.predict_proba(params, rows, offset), 1)) for rows in (high, low))
        return one - zero

    found = inference.comparisons(fit, problem, low, high, measure=measure, offset=offset)
    check_against_autodiff(found, function, fit, problem)
    few = inference.comparisons(fit, problem, low[:9], high[:9], measure=measure, sample_weight=np.arange(9.0),
                                offset=None if offset is None else offset[:9])  # fmt: skip
    s = np.concatenate([np.arange(9.0), np.zeros(M - 9)])
    check_against_autodiff(few, function, fit, problem)


@pytest.mark.slow
def test_effects_at_rows_are_those_of_each_row():
    for name in ("binary", "offset", "classes"):
        fit, problem = models()[name]
        offset = None if problem.offset is None else problem.offset[:5]
        found = inference.marginal_effects(fit, problem, at=X[:5], offset=offset, discrete=[2])
        for i in range(5):
            rows, own = X[i : i + 1], None if offset is None else offset[i : i + 1]
            estimate, error = by_autodiff(functools.partial(at_row, rows=rows, offset=own), fit, problem)
            np.testing.assert_allclose(np.asarray(found.estimate)[i], estimate, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(np.asarray(found.standard_error)[i], error, rtol=1e-9)


def at_row(params, rows, offset):
    slopes = jax.jacobian(lambda x: jaxlr.predict_proba(params, x, offset)[0])(rows)[..., 0, :]
    one, zero = (jaxlr.predict_proba(params, np.where(np.arange(N) == 2, v, rows), offset)[0] for v in (1, 0))
    return slopes.at[..., 2].set(one - zero)


# --- batches, weights, dtypes -----------------------------------------------------------------------------------------------


def everything(fit, problem, rows=NEW, **kind):
    """All three functions, each with a batch in front of all its fields."""
    low = np.asarray(problem.X)[..., :, :]
    return (
        inference.predictions(fit, problem, rows, **kind),
        inference.predictions(fit, problem, **kind),
        inference.marginal_effects(fit, problem, discrete=[2], **kind),
        inference.marginal_effects(fit, problem, at="median", **kind),
        inference.marginal_effects(fit, problem, at=rows, method="eyex", **kind),
        inference.comparisons(fit, problem, low, low + np.array([1.0, 0, 0]), **kind),
    )


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_a_batch_is_each_of_its_models(several):
    labels = [np.stack([LABELS, (LABELS + 1) % 3]), {"num_classes": K}] if several else [np.stack([Y, 1 - Y]), {}]
    y, more = labels
    fits, problem = jaxlr.fit(X, y, sample_weight=S[:, None] + 1, **more), Problem(X, y, S[:, None] + 1)
    batch = everything(fits, problem, np.stack([NEW, NEW + 1]), kind="HC0")
    for i, j in ((0, 1), (1, 0)):
        own = Problem(X, y[j], S[i] + 1)
        one = everything(jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], fits), own, NEW + j, kind="HC0")
        for whole, single in zip(jax.tree.leaves(batch), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(np.asarray(whole)[i, j], single, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.slow
def test_a_weight_is_so_many_rows(several):
    y, more = (LABELS, {"num_classes": K}) if several else (Y, {})
    copies = np.repeat(np.arange(M), S[0].astype(int))
    fit, problem = jaxlr.fit(X, y, sample_weight=S[0], tol=1e-13, **more), Problem(X, y, S[0])
    again, repeated = jaxlr.fit(X[copies], y[copies], tol=1e-13, **more), Problem(X[copies], y[copies])
    for place in ("overall", "mean", "median"):
        ours, theirs = (
            inference.marginal_effects(f, p, at=place, discrete=[2]) for f, p in ((fit, problem), (again, repeated))
        )
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
    ours = inference.predictions(fit, problem)
    theirs = inference.predictions(again, repeated)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(one)[copies], other, rtol=1e-9)


@pytest.mark.slow
def test_a_model_that_failed_is_nan_and_changes_no_other():
    y = np.stack([Y, X[:, 0] > 0])  # the second is separated
    fits, problem = jaxlr.fit(X, y), Problem(X, y)
    assert np.asarray(fits.status).tolist() == [jaxlr.Status.CONVERGED, jaxlr.Status.SEPARATED]
    alone = everything(jaxlr.fit(X, Y), Problem(X, Y))
    for whole, single in zip(jax.tree.leaves(everything(fits, problem)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(np.asarray(whole)[0], single, rtol=1e-9, atol=1e-14)
        assert np.isnan(np.asarray(whole)[1]).all()


@pytest.mark.slow
def test_float32_has_its_own_digits():
    data = X.astype(np.float32), Y.astype(np.float32)
    found = everything(jaxlr.fit(*data, tol=1e-6), Problem(*data), NEW.astype(np.float32))
    expected = everything(jaxlr.fit(X, Y), Problem(X, Y))
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("standard_error", "lower", "upper"):
            assert getattr(ours, name).dtype == np.float32
            size = np.max(np.abs(getattr(theirs, name)))
            # A residual of 1e-6 in the units of the columns, over a curvature of 0.1, of columns 30 from 0.
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=2e-4 * size)


@pytest.mark.slow
def test_they_run_inside_jit_and_vmap_and_have_derivatives():
    def functions(y, X):
        fit, problem = jaxlr.fit(X, y, l2=0.1), Problem(X, y, l2=0.1)
        effects = inference.marginal_effects(fit, problem, discrete=[2], penalized=True)
        predicted = inference.predictions(fit, problem, NEW, penalized=True)
        return effects.standard_error, predicted.upper, inference.comparisons(fit, problem, X, X + 1, penalized=True).z

    plain = functions(Y, X)
    for ours, theirs in zip(jax.jit(functions)(Y, X), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    mapped = jax.vmap(functions, (0, None))(np.stack([Y, 1 - Y]), X)
    for ours, theirs in zip(mapped, plain, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-9)
    step, move = 1e-5, (np.arange(M) == 4)[:, None] * np.array([1.0, 1.0, 0.0])
    moved = [functions(Y, X + sign * step * move) for sign in (1, -1)]
    slopes = jax.jvp(lambda X: functions(Y, X), (X,), (move,))[1]
    for slope, up, down in zip(slopes, *moved, strict=True):
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-5, atol=1e-8)  # the step squared, over itself eps


@pytest.mark.slow
def test_estimates_of_firth_have_predictions_and_effects():
    fit = jaxlr.fit_firth(X, X[:, 0] > 0)
    found = inference.predictions(fit, Problem(X, X[:, 0] > 0))
    assert np.isfinite(found.standard_error).all()
    assert (found.lower < found.proba).all()
    assert (found.proba <= found.upper).all()  # both may be 1


@pytest.mark.slow
def test_intervals_stay_between_0_and_1_where_probabilities_leave_the_dtype():
    fit, problem = models()["binary"]
    far = X[:2] * np.array([1e4, 0, 0])
    found = inference.predictions(fit, problem, far)
    assert np.isin(found.proba, [0, 1]).all()
    for end in (found.lower, found.upper):
        assert ((end >= 0) & (end <= 1)).all()


@pytest.mark.slow
def test_estimates_are_those_of_the_other_label_with_the_other_sign_next_to_0_and_1():
    """Risks of 1 - 1e-12 and of 1e-320 lose nothing, in measures that are odd in the labels."""
    X = np.column_stack([RNG.standard_normal(M), np.arange(M) % 2])
    y = (RNG.uniform(size=M) < 1 / (1 + np.exp(-X[:, 0] - 0.5))).astype(float)
    fits = [(jaxlr.fit(X, labels), Problem(X, labels)) for labels in (y, 1 - y)]
    slope = float(fits[0][0].params.coef[1])
    for far, measures in ((28.0, ["difference", "log_odds_ratio"]), (-740.0, ["log_ratio", "log_odds_ratio"])):
        shift = (far - float(fits[0][0].params.intercept)) / float(fits[0][0].params.coef[0])
        low, high = (np.array([[shift, value]]) for value in (0.0, 1.0))
        for measure in measures:
            one, other = (inference.comparisons(*fit, low, high, measure=measure, sample_weight=np.ones(1)) for fit in fits)
            if measure != "log_ratio":
                np.testing.assert_allclose(one.estimate, -np.asarray(other.estimate), rtol=1e-11)
                np.testing.assert_allclose(one.standard_error, other.standard_error, rtol=1e-9)
            if measure != "difference":  # of one row it is the coefficient
                np.testing.assert_allclose(one.estimate, slope, rtol=1e-11)
        assert np.isfinite(one.standard_error)
    row = np.array([[(-690 - float(fits[0][0].params.intercept)) / float(fits[0][0].params.coef[0]), 0.0]])
    effect = inference.marginal_effects(*fits[0], at=row)
    predicted = inference.predictions(*fits[0], row)
    assert (np.asarray(effect.standard_error) > 0).all()
    assert predicted.standard_error[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e160, 1e-160])
def test_units_of_columns_change_no_test(unit):
    expected = inference.marginal_effects(jaxlr.fit(X, Y), Problem(X, Y))
    moved = X * np.array([unit, 1, 1])
    found = inference.marginal_effects(jaxlr.fit(moved, Y), Problem(moved, Y))
    np.testing.assert_allclose(found.z, expected.z, rtol=1e-9)


def test_a_median_of_an_even_number_of_rows_lies_between_the_two_in_the_middle():
    columns, copies = np.array([[9.0, -1.0], [1.0, 0.5], [4.0, 7.0], [np.nan, 0.0]]), np.array([1.0, 3.0, 2.0, 0.0])
    found = jax.jit(jax.vmap(_medians, (None, 0)))(columns, np.stack([copies, np.array([1.0, 1, 1, 0])]))
    assert found.tolist() == [
        np.median(np.repeat(columns, s, axis=0), axis=0).tolist() for s in (copies.astype(int), [1, 1, 1, 0])
    ]


@pytest.mark.slow
@pytest.mark.parametrize("m", [3001, 200_001])
def test_medians_are_medians_in_float32(m):
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.exponential(size=m), rng.uniform(size=m) < 0.51]).astype(np.float32)
    y = (rng.uniform(size=m) < 1 / (1 + np.exp(1 - X.sum(axis=1)))).astype(np.float32)
    fit, problem = jaxlr.fit(X, y), Problem(X, y)
    found = inference.marginal_effects(fit, problem, at="median")
    expected = inference.marginal_effects(fit, problem, at=np.median(X, axis=0)[None])
    np.testing.assert_allclose(found.estimate, expected.estimate[0], rtol=1e-5)


# --- columns that depend on each other --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "HC0"])
def test_dependent_columns_change_nothing_for_rows_that_keep_the_dependence(kind):
    both = np.column_stack([X, X[:, 0] - 2 * X[:, 1], np.full(M, 3.0)])
    fit, problem = jaxlr.fit(X, Y), Problem(X, Y)
    wider, wide = jaxlr.fit(both, Y), Problem(both, Y)
    new = np.column_stack([NEW, NEW[:, 0] - 2 * NEW[:, 1], np.full(len(NEW), 3.0)])
    expected = inference.predictions(fit, problem, NEW, kind=kind)
    for ours, theirs in zip(inference.predictions(wider, wide, new, kind=kind), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    for column in (3, 4):
        broken = new.copy()
        broken[2, column] += 0.1
        found = inference.predictions(wider, wide, broken, kind=kind)
        assert np.isnan(found.standard_error).tolist() == np.isnan(found.upper).tolist() == (np.arange(len(NEW)) == 2).tolist()
        np.testing.assert_allclose(found.proba, inference.predictions(fit, problem, NEW).proba, rtol=1e-9)
    for method in ("dydx", "eyex"):
        ours = inference.marginal_effects(wider, wide, method=method, kind=kind)
        theirs = inference.marginal_effects(fit, problem, method=method, kind=kind)
        np.testing.assert_allclose(ours.standard_error, np.append(theirs.standard_error, [np.nan] * 2), rtol=1e-9)
    assert np.isnan(inference.comparisons(wider, wide, both, both + np.eye(5)[4]).standard_error)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_far_from_0_hides_no_broken_dependence(dtype):
    a, year = RNG.standard_normal(M), 2000 + RNG.standard_normal(M)
    far = np.column_stack([a, a, year if dtype == np.float32 else year + 1e8]).astype(dtype)
    fit, problem = jaxlr.fit(far, Y.astype(dtype)), Problem(far, Y.astype(dtype))
    new = far[:2].copy()
    new[0, 1] += 0.1
    assert np.isnan(inference.predictions(fit, problem, new).standard_error).tolist() == [True, False]
    assert np.isnan(inference.comparisons(fit, problem, far, far + np.array([0, 1, 0], dtype)).standard_error)


@pytest.mark.slow
def test_columns_near_the_span_of_others_and_far_from_0_keep_the_digits_of_predictions():
    nearly = np.column_stack([X, X[:, 0] + 1e-7 * RNG.standard_normal(M)]) + np.array([1e5, 0, 0, 1e5])
    apart = np.column_stack([X, (nearly[:, 3] - nearly[:, 0]) * 1e7])  # the same span
    found = inference.predictions(jaxlr.fit(nearly, Y), Problem(nearly, Y))
    expected = inference.predictions(jaxlr.fit(apart, Y), Problem(apart, Y))
    # The difference of two columns of 1e5 is known to 1e-11, of 1e-7: four digits of the fourth column, as it is given.
    np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=2e-3)


# --- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, p: inference.predictions(f, p, NEW[:, :2]), r"expected X \(r, 3\).*got shape \(7, 2\)"),
        (lambda f, p: inference.predictions(f, p, NEW[0]), r"one row is a matrix of one row, X\[None\]"),
        (lambda f, p: inference.predictions(f, p, NEW, offset=np.ones(7)), "the fit is without offset, got one"),
        (lambda f, p: inference.predictions(f, p, offset=np.ones(M)), "expected an offset with X only"),
        (lambda f, p: inference.predictions(f, p, np.stack([NEW] * 2)), r"batch axes of X that broadcast.*\(\), got \(2,\)"),
        (lambda f, p: inference.predictions(f, p, level=95.0), r"expected level in \(0, 1\)"),
        (lambda f, p: inference.predictions(f, Problem(X, Y, l2=0.1)), "expected an unpenalized fit"),
        (lambda f, p: inference.predictions(f, Problem(X + 1, 1 - Y)), "expected the problem that was fitted"),
        (lambda f, p: inference.marginal_effects(f, p, at="mode"), "expected at 'overall', 'mean', 'median', or rows"),
        (lambda f, p: inference.marginal_effects(f, p, method="dxdy"), "expected method 'dydx', 'eyex', 'dyex', 'eydx', got"),
        (lambda f, p: inference.marginal_effects(f, p, method="eyex", discrete=[2]), '"dydx" or "eydx" for discrete columns'),
        (
            lambda f, p: inference.marginal_effects(f, p, discrete=[3]),
            r"discrete columns from 0 to 2 \(they have no names\), got 3",
        ),
        (lambda f, p: inference.marginal_effects(f, p, discrete=["age"]), r"from 0 to 2 \(they have no names\), got 'age'"),
        (lambda f, p: inference.marginal_effects(f, p, discrete="dummies"), 'expected discrete to be "binary" or a list'),
        (lambda f, p: inference.marginal_effects(f, p, at="mean", offset=np.ones(1)), "expected an offset with rows only"),
        (lambda f, p: inference.comparisons(f, p, X, X[:5]), r"of the same rows, got \[80, 5\] rows"),
        (lambda f, p: inference.comparisons(f, p, NEW, NEW), "expected low and high of the 80 rows of the problem.*np.ones"),
        (lambda f, p: inference.comparisons(f, p, NEW, NEW, sample_weight=np.ones(3)), r"expected sample_weight \(7,\)"),
        (lambda f, p: inference.comparisons(f, p, NEW, NEW, sample_weight=-np.ones(7)), "expected finite sample_weight >= 0"),
        (
            lambda f, p: jax.jit(lambda f: inference.comparisons(f, p, NEW, NEW, sample_weight=-np.ones(7)))(f),
            "expected finite sample_weight >= 0",
        ),
        (
            lambda f, p: inference.comparisons(f, p, X, X, measure="ratio"),
            "expected measure 'difference', 'log_ratio', 'log_odds",
        ),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call(jaxlr.fit(X, Y), Problem(X, Y))


@pytest.mark.slow
def test_rows_of_tables_go_by_name():
    import pandas as pd

    table = pd.DataFrame(X, columns=["a", "b", "c"])
    fit, problem = jaxlr.fit(table, Y), Problem(table, Y)
    expected = everything(jaxlr.fit(X, Y), Problem(X, Y))
    turned = pd.DataFrame(NEW, columns=["a", "b", "c"])[["c", "a", "b"]]
    found = inference.predictions(fit, problem, turned), inference.marginal_effects(fit, problem, discrete=["c"])
    for ours, theirs in zip(found, (expected[0], expected[2]), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    with pytest.raises(ValueError, match="got none named 'b'"):
        inference.predictions(fit, problem, turned[["a", "c"]])
    with pytest.raises(ValueError, match="expected discrete columns from 0 to 2 or 'a', 'b', 'c', got 'd'"):
        inference.marginal_effects(fit, problem, discrete=["d"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, p: inference.marginal_effects(f, p, discrete=2), "a list of indices or names of columns, got 2"),
        (lambda f, p: inference.marginal_effects(f, p, discrete=np.arange(N) == 2), "a list of indices or names of columns"),
        (lambda f, p: inference.comparisons(f, p, None, X), "got None; low may be the X of the problem"),
    ],
)
def test_what_is_no_list_of_columns_and_no_rows_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        jaxlr_unchecked(call)


def jaxlr_unchecked(call):
    """Without the annotation checker of the suite, as users call it."""
    names = ("marginal_effects", "comparisons")
    bare = types.SimpleNamespace(**{name: inspect.unwrap(getattr(inference, name)) for name in names})
    types.FunctionType(call.__code__, call.__globals__ | {"inference": bare})(jaxlr.fit(X, Y), Problem(X, Y))


@pytest.mark.slow
def test_sparse_rows_are_rows():
    import scipy.sparse

    fit, problem = models()["binary"]
    for ours, theirs in zip(
        inference.predictions(fit, problem, scipy.sparse.csr_array(NEW)), inference.predictions(fit, problem, NEW), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_no_rows_have_no_predictions():
    fit, problem = models()["binary"]
    assert [part.shape for part in inference.predictions(fit, problem, X[:0])] == [(0,)] * 4
    assert inference.marginal_effects(fit, problem, at=X[:0]).estimate.shape == (0, N)


def test_columns_of_0_and_1_are_found_in_sparse_designs_too():
    import scipy.sparse

    sparse = scipy.sparse.csr_array(X)
    found = inference.marginal_effects(jaxlr.fit(sparse, Y), Problem(sparse, Y), discrete="binary")
    expected = inference.marginal_effects(jaxlr.fit(X, Y), Problem(X, Y), discrete=[2])
    np.testing.assert_allclose(found.estimate, expected.estimate, rtol=1e-9)


@pytest.mark.slow
def test_clusters_of_other_rows_are_refused():
    import pandas as pd

    table, clusters = pd.DataFrame(X, columns=["a", "b", "c"]), pd.Series(CLUSTERS).iloc[::-1]
    fit, problem = jaxlr.fit(table, Y), Problem(table, Y)
    for call in (inference.predictions, inference.marginal_effects, lambda *given, **more: inference.comparisons(
        *given, table, table, **more)):  # fmt: skip
        with pytest.raises(ValueError, match="X and clusters with the same labels of the rows"):
            call(fit, problem, kind="cluster", clusters=clusters)
        assert call(fit, problem, kind="cluster", clusters=clusters.sort_index()) is not None
