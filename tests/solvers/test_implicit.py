"""Derivatives of a fit: finite differences of refits, closed forms, and NaN where there is no minimum that moves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Status
from tests.helpers import quick

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
M, N = 30, 3
X = RNG.standard_normal((M, N))
Y = 0.1 + 0.8 * (X @ [1.0, -0.5, 0.2] + RNG.logistic(size=M) > 0)  # soft, so that it can move both ways
WEIGHTS = RNG.uniform(0.5, 2, (2, M))
ONE = {
    "X": X, "y": Y, "sample_weight": WEIGHTS[0], "offset": RNG.standard_normal(M) / 3, "l2": np.array(0.1),
    "penalty_factor": np.array([0.5, 2, 1]),
}  # fmt: skip
GRID = np.logspace(0, -3, 8)
CASES = {
    "ridge": (ONE, {}),
    "unpenalized": (ONE | {"l2": np.array(0.0)}, {}),
    "designs": (ONE | {"X": np.stack([X, X + 1, X])}, {}),
    "standardized": (ONE | {"X": X * [1, 5, 0.2] + 3, "sample_weight": WEIGHTS}, {"standardize": True}),
    "path": ({"X": X, "y": Y, "sample_weight": WEIGHTS[:, None], "l2": GRID}, {}),
    "conjugate gradients": (
        ONE | {"y": np.stack([Y, 1 - Y])[:, None], "l2": GRID}, {"solver": "newton_cg", "fit_intercept": False}
    ),
    "lasso": (ONE | {"l1": np.array(0.08), "l2": np.array(0.0)}, {}),
    "elastic net": (ONE | {"l1": np.array(0.08), "X": X * [1, 5, 0.2] + 3}, {"standardize": True}),
    "lasso of many columns": ({"X": np.random.default_rng(5).standard_normal((M, 140)), "y": Y, "l1": np.array(0.12)}, {}),
    "wide": ({"X": RNG.standard_normal((10, 14)), "y": Y[:10], "l2": np.array([0.3, 0.02])}, {}),
}  # fmt: skip


def numbers(fit):
    """Coef, intercept, value, kkt and gap of every model, as the rows of a matrix."""
    columns = [fit.params.coef, *(leaf[..., None] for leaf in (fit.params.intercept, fit.value, fit.kkt, fit.gap))]
    return jnp.concatenate(columns, axis=-1).reshape(-1, fit.params.coef.shape[-1] + 4)


@functools.cache
def program(options):
    """From fields to (models, numbers, *field), the derivatives in every field by reverse mode, and the numbers."""

    def fitted(fields, tol):
        got = numbers(jaxlr.fit(**fields, tol=tol, **dict(options)))
        return got, got

    return jax.jit(jax.jacrev(fitted, has_aux=True))


def derivatives_of(fields, tol=1e-12, **options):
    derivatives, values = program(tuple(options.items()))(fields, tol)
    return {name: np.asarray(value) for name, value in derivatives.items()}, np.asarray(values)


def refit(X, y, sample_weight=None, offset=0.0, l1=0.0, l2=0.0, penalty_factor=1.0, fit_intercept=True, standardize=False):
    """Coef, intercept and value of one model, all digits of them, by plain Newton steps in NumPy.

    With l1 they are those on the support that proximal gradient steps end with.
    """
    w = np.ones(len(y)) if sample_weight is None else sample_weight
    w = w / w.sum()
    scale = np.sqrt(w @ (X - w @ X) ** 2) if standardize else np.ones(X.shape[1])
    absolute, penalty = l1 * penalty_factor * scale, l2 * penalty_factor * scale**2
    A = X
    if fit_intercept:
        A, absolute, penalty = np.column_stack([X, np.ones(len(y))]), np.append(absolute, 0), np.append(penalty, 0)
    x = np.zeros(A.shape[1])

    def gradient(x):
        p = 1 / (1 + np.exp(-(A @ x + offset)))
        return A.T @ (w * (p - y)) + penalty * x, (A.T * (w * p * (1 - p))) @ A + np.diag(penalty)

    if l1 > 0:
        step = 1 / (np.linalg.norm((A.T * w) @ A, 2) / 4 + penalty.max())
        for _ in range(4000):
            x = x - step * gradient(x)[0]
            x = np.sign(x) * np.maximum(np.abs(x) - step * absolute, 0)
    free = (x != 0) | (absolute == 0)
    for _ in range(15):
        g, H = gradient(x)
        x[free] -= np.linalg.solve(H[np.ix_(free, free)], (g + absolute * np.sign(x))[free])
    z = A @ x + offset
    value = w @ (np.logaddexp(0, z) - y * z) + absolute @ np.abs(x) + penalty @ x**2 / 2
    return np.concatenate([x if fit_intercept else np.append(x, 0), [value]])


def refits(fields, solver=None, **options):
    """Those of every model of a batch, as rows."""
    del solver
    core = {"X": 2, "l1": 0, "l2": 0}
    rank = {name: np.ndim(value) - core.get(name, 1) for name, value in fields.items()}
    batch = np.broadcast_shapes(*(np.shape(value)[: rank[name]] for name, value in fields.items()))
    full = {name: np.broadcast_to(value, batch + np.shape(value)[rank[name] :]) for name, value in fields.items()}
    return np.stack([refit(**{name: value[at] for name, value in full.items()}, **options) for at in np.ndindex(*batch)])


def differences(fields, name, direction, h=3e-6, **options):
    """Central differences of refits."""
    ends = (refits(fields | {name: fields[name] + t * direction}, **options) for t in (h, -h))
    return np.subtract(*ends) / (2 * h)


def assert_derivatives(got, fields, name, direction=None, **options):
    """Those of coef, intercept and value along a direction, to 1e-7 of the largest; those of kkt and gap are 0."""
    field = np.asarray(fields[name])
    if direction is None:
        rng = np.random.default_rng(1)
        direction = rng.uniform(0.5, 1, field.shape) * rng.choice([-1, 1], field.shape)
    along, expected = np.tensordot(got, direction, field.ndim), differences(fields, name, direction, **options)
    np.testing.assert_allclose(along[:, :-2], expected, rtol=0, atol=1e-7 * np.max(np.abs(expected)), err_msg=name)
    assert not along[:, -2:].any()


@pytest.mark.parametrize("case", quick(CASES, "lasso"))
def test_derivatives_are_the_differences_of_refits_in_every_field(case):
    fields, options = CASES[case]
    derivatives, values = derivatives_of(fields, **options)
    np.testing.assert_allclose(values[:, :-2], refits(fields, **options), rtol=0, atol=1e-9)
    for name in fields:
        assert_derivatives(derivatives[name], fields, name, **options)


@pytest.mark.slow
def test_the_refits_may_be_those_of_fit_itself():
    derivatives, _ = derivatives_of(ONE)
    up, down = (derivatives_of(ONE | {"l2": ONE["l2"] + t})[1] for t in (1e-5, -1e-5))
    np.testing.assert_allclose(derivatives["l2"][0, :-2], (up - down)[0, :-2] / 2e-5, rtol=1e-7)


@pytest.mark.slow
def test_the_value_moves_as_the_objective_does_at_the_same_parameters():
    derivatives, values = derivatives_of(ONE)
    coef, w = values[0, :N], ONE["sample_weight"] / ONE["sample_weight"].sum()
    np.testing.assert_allclose(derivatives["l2"][0, N + 1], ONE["penalty_factor"] @ coef**2 / 2, rtol=1e-12)
    z = X @ coef + values[0, N] + ONE["offset"]
    np.testing.assert_allclose(derivatives["y"][0, N + 1], -w * z, rtol=0, atol=1e-14)


@pytest.mark.slow
def test_an_intercept_alone_moves_with_the_logit_of_the_mean():
    derivatives, values = derivatives_of(ONE | {"X": 0 * X, "offset": np.zeros(M)})
    w = ONE["sample_weight"] / ONE["sample_weight"].sum()
    p = w @ Y
    assert not values[0, :N].any()
    np.testing.assert_allclose(derivatives["y"][0, N], w / (p * (1 - p)), rtol=1e-12)


def test_origin_and_units_of_columns_do_not_matter():
    unit, origin = np.array([1e-8, 1.0, 1e8]), np.array([1e-8, -1e4, 1e9])
    free = ONE | {"l2": np.array(0.0)}
    expected, _ = derivatives_of(free)
    got, _ = derivatives_of(free | {"X": X * unit + origin})
    for name in ("y", "sample_weight", "offset"):
        coef, intercept = got[name][0, :N], got[name][0, N]
        # To shift by 1e4 costs four digits of the column itself.
        np.testing.assert_allclose(coef * unit[:, None], expected[name][0, :N], rtol=0, atol=1e-9)
        np.testing.assert_allclose(intercept + origin @ coef, expected[name][0, N], rtol=0, atol=1e-9)


def test_a_row_without_weight_has_the_derivative_of_its_return():
    absent = np.arange(M) < 3
    fields = ONE | {"sample_weight": np.where(absent, 0, WEIGHTS[0])}
    derivatives, _ = derivatives_of(fields)
    assert_derivatives(derivatives["sample_weight"], fields, "sample_weight", np.eye(M)[1])
    assert not derivatives["X"][:, :, absent].any()
    assert not derivatives["y"][:, :, absent].any()
    filled, _ = derivatives_of(fields | {"X": np.where(absent[:, None], 1e300, X)})
    for name in ("y", "X", "sample_weight"):
        np.testing.assert_allclose(filled[name][:, :, ~absent], derivatives[name][:, :, ~absent], rtol=0, atol=1e-12)


def test_a_column_that_is_constant_in_the_rows_of_one_member_alone_stays_at_0_there():
    """Its J = log(1 + exp(-c)) + l2 c^2 / 2, whose minimum has l2 c = p, the probability of a wrong label."""
    X, y, weights = np.array([[1.0, 7.0], [-1.0, 7.0], [5.0, 100.0]]), np.array([1, 0, 0]), np.array([[1.0, 1, 0], [1, 1, 1]])
    fitted = lambda l2: jaxlr.fit(X, y, sample_weight=weights, l2=l2, standardize=True).params.coef[0]  # noqa: E731
    coef, slope = jax.jvp(fitted, (0.1,), (1.0,))
    p = 1 / (1 + np.exp(coef[0]))
    np.testing.assert_allclose(0.1 * coef[0], p, rtol=1e-12)
    np.testing.assert_allclose(slope, [-coef[0] / (0.1 + p * (1 - p)), 0], rtol=1e-10)
    assert float(coef[1]) == 0


@pytest.mark.slow
def test_a_constant_column_that_is_held_at_zero_stays_there():
    fields, options = CASES["standardized"]
    constant = fields | {"X": np.where(np.arange(N) == 1, 7.0, fields["X"])}
    got, values = derivatives_of(constant, **options)
    assert not values[:, 1].any()
    others = fields | {name: fields[name][..., [0, 2]] for name in ("X", "penalty_factor")}
    for name in ("y", "sample_weight", "l2"):
        assert not got[name][:, 1].any()
        assert_derivatives(np.delete(got[name], 1, axis=1), others, name, **options)


@pytest.mark.slow
def test_forward_mode_under_vmap_and_in_float32_is_the_same_to_its_digits():
    rng = np.random.default_rng(10)
    names = ("X", "sample_weight", "l2")
    given = {name: np.float32(value) for name, value in ONE.items()}
    direction = {name: rng.standard_normal((2, *ONE[name].shape)).astype(np.float32) for name in names}

    def along(direction):
        moving = {name: given[name] for name in names}
        return jax.jvp(lambda moving: numbers(jaxlr.fit(**given | moving)), (moving,), (direction,))[1][0]

    got, (derivatives, _) = jax.jit(jax.vmap(along))(direction), derivatives_of(ONE)
    assert got.dtype == np.float32
    for i in range(2):
        expected = sum(np.tensordot(derivatives[name][0], direction[name][i], ONE[name].ndim) for name in names)
        np.testing.assert_allclose(got[i], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_reverse_over_reverse_is_forward_over_reverse():
    def scalar(moving):
        fit = jaxlr.fit(ONE["X"], ONE["y"], **moving)
        return jnp.sum(jnp.sin(fit.params.coef)) + fit.value

    moving = {name: ONE[name] for name in ("l2", "penalty_factor", "sample_weight")}
    got, expected = jax.jacrev(jax.grad(scalar))(moving), jax.jacfwd(jax.grad(scalar))(moving)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("across", [lambda f, x: f(x[0]), jax.lax.map], ids=["alone", "in a scan"])
def test_second_derivatives_are_the_differences_of_the_first(across):
    rng = np.random.default_rng(10)

    # Forward over reverse: in a scan JAX has forgotten the custom rule by then.
    def scalar(moving):
        fitted = functools.partial(jaxlr.fit, ONE["X"], ONE["y"], sample_weight=moving["sample_weight"], tol=1e-12)
        return jnp.sum(across(lambda l2: jnp.sum(jnp.sin(numbers(fitted(l2=l2))[0, :-2])), moving["l2"][None]))

    names, h = ("l2", "sample_weight"), 1e-5
    moving = {name: ONE[name] for name in names}
    direction = {name: rng.standard_normal(ONE[name].shape) for name in names}
    both = jax.jit(lambda moving: jax.jvp(jax.grad(scalar), (moving,), (direction,)))
    _, got = both(moving)
    up, down = (both({name: ONE[name] + t * direction[name] for name in names})[0] for t in (h, -h))
    for name in names:
        expected = (np.asarray(up[name]) - np.asarray(down[name])) / (2 * h)
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.slow
def test_a_model_that_did_not_converge_has_no_derivatives_and_its_neighbours_have_theirs():
    separated, missing = X.copy(), X.copy()
    separated[:, 0], missing[3, 1] = Y > 0.5, np.nan
    fields = ONE | {"X": np.stack([X, separated, missing]), "y": np.round(Y), "l2": np.array(0.0)}
    assert np.asarray(jaxlr.fit(**fields).status).tolist() == [Status.CONVERGED, Status.SEPARATED, Status.NONFINITE]
    derivatives, _ = derivatives_of(fields)
    alone = fields | {"X": X}
    for name in ("y", "sample_weight", "l2"):
        assert_derivatives(derivatives[name][:1], alone, name)
        assert np.isnan(derivatives[name][1:, : N + 2]).all()
    assert_derivatives(derivatives["X"][:1, :, 0], alone, "X")
    assert not derivatives["X"][0, :, 1:].any()
    for model in (1, 2):
        assert np.isnan(derivatives["X"][model, : N + 2, model]).all()
        assert not np.delete(derivatives["X"][model], model, axis=1).any()


def test_a_tolerance_that_is_not_reached_leaves_no_derivatives():
    derivatives, values = derivatives_of(ONE, tol=1e-300)
    assert np.isfinite(values).all()
    assert np.isnan(derivatives["l2"][0, : N + 2]).all()


@pytest.mark.slow
def test_one_model_per_column():
    def fitted(l2):
        return numbers(jaxlr.fit_columns(X[:, 1:].T, Y, covariates=X[:, :1], l2=l2, tol=1e-12, batch_size=1))

    fields = {"X": np.stack([X[:, [0, 1]], X[:, [0, 2]]]), "y": Y, "l2": np.array(0.1)}
    assert_derivatives(jax.jit(jax.jacfwd(fitted))(0.1), fields, "l2")


@pytest.mark.slow
def test_resamples():
    key = jax.random.key(0)

    def fitted(l2):
        return numbers(jaxlr.fit_bootstrap(key, X, Y, 3, l2=l2, tol=1e-12, batch_size=2))

    fields = {"X": X, "y": Y, "l2": np.array(0.1), "sample_weight": np.asarray(jaxlr.bootstrap(key, M, 3))}
    assert_derivatives(jax.jit(jax.jacfwd(fitted))(0.1), fields, "l2")


@pytest.mark.slow
@pytest.mark.parametrize("constant", [3.7, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_constant_column_beside_the_intercept_has_derivatives(constant):
    """Of what is determined: the probabilities, here of the null model with one column more."""
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.normal(size=(30, 2)), np.full(30, constant)])
    y, ones = rng.integers(0, 2, 30), np.ones(30)

    def first(offset, columns):
        return jaxlr.predict_proba(jaxlr.fit(X[:, :columns], y, offset=offset, tol=1e-13).params, X[:, :columns])[0]

    found, expected = (jax.jit(jax.grad(first), static_argnums=1)(0.1 * ones * np.arange(30) / 30, k) for k in (3, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
