"""Data made from a key of jax.random: pure functions, jit- and vmap-able over keys, of the default float, labels int32."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxlr.inputs.checks import check_count, check_key, real_array
from jaxlr.inputs.memory import check_room
from jaxlr.inputs.tables import is_concrete
from jaxlr.model.logistic import sigmoid
from jaxlr.model.predict import Params, logits


def two_moons(key: Array, m: int = 100, *, noise: ArrayLike = 0.24) -> tuple[Float[Array, "m 2"], Int[Array, " m"]]:
    """Two interleaved half circles of radius 1, which no line separates.

    Class 0 lies on (cos t, sin t), class 1 on (1 - cos t, 1/2 - sin t), t evenly spaced from 0 to pi; class 0 comes first.

    Args:
        key: of `jax.random`.
        m: static, number of rows; class 0 has m // 2.
        noise: standard deviation of the normal noise on each coordinate, in units of the radius.

    Returns:
        X (m, 2) and y (m,).

    Raises:
        TypeError: key is no key of jax.random.
        ValueError: m is no integer >= 1, or noise is negative or not finite.
        MemoryError: the rows would not fit.

    Example:
        >>> import jax
        >>> X, y = two_moons(jax.random.key(0), 100, noise=0.0)
        >>> X.shape, int(y.sum()), X[0].tolist()
        ((100, 2), 50, [1.0, 0.0])
    """
    check_key(key)
    check_count("m", m, 1)
    _check_number("noise", noise, 0.0)
    check_room("m rows", m, 2)
    upper, lower = (jnp.linspace(0, jnp.pi, count) for count in (m // 2, m - m // 2))
    x1 = jnp.concatenate([jnp.cos(upper), 1 - jnp.cos(lower)])
    x2 = jnp.concatenate([jnp.sin(upper), 0.5 - jnp.sin(lower)])
    X = jnp.stack([x1, x2], axis=1)
    return X + noise * jax.random.normal(key, X.shape), (jnp.arange(m) >= m // 2).astype(jnp.int32)


def clouds(
    key: Array,
    m: int = 100,
    *,
    num_informative: int = 2,
    num_redundant: int = 0,
    num_noise: int = 0,
    separation: ArrayLike = 1.0,
) -> tuple[Float[Array, "m n"], Int[Array, " m"]]:
    """Two normal clouds, with columns that repeat what others say and columns that say nothing.

    Informative columns: class centers at opposite corners of a cube with sides of 2 separation, around which each class has
    a covariance of its own. Redundant columns: random combinations of the informative ones. Noise: standard normal. They
    stand in this order, and class 0 comes first. (After Guyon 2003, Design of experiments for the NIPS 2003 variable
    selection benchmark, section 3.)

    Args:
        key: of `jax.random`.
        m: static, number of rows; class 0 has m // 2.
        num_informative: static, >= 1.
        num_redundant: static.
        num_noise: static.
        separation: half the side of the cube, in units of a cloud; 0 makes the classes share one center.

    Returns:
        X (m, n), n the sum of the three numbers, and y (m,).

    Raises:
        TypeError: key is no key of jax.random.
        ValueError: m or num_informative is no integer >= 1, another number none >= 0, or separation is not finite.
        MemoryError: the rows would not fit.

    Example:
        >>> import jax
        >>> X, y = clouds(jax.random.key(0), 60, num_informative=2, num_redundant=1, num_noise=3)
        >>> X.shape
        (60, 6)
    """
    check_key(key)
    least = {
        "m": (m, 1),
        "num_informative": (num_informative, 1),
        "num_redundant": (num_redundant, 0),
        "num_noise": (num_noise, 0),
    }
    for name, (count, smallest) in least.items():
        check_count(name, count, smallest)
    _check_number("separation", separation, -np.inf)
    check_room("m rows", m, num_informative + num_redundant + num_noise)
    corner, spread, point, mix, noise = jax.random.split(key, 5)
    y = (jnp.arange(m) >= m // 2).astype(jnp.int32)
    center = separation * jax.random.rademacher(corner, (num_informative,), float)
    shape = jax.random.uniform(spread, (2, num_informative, num_informative), minval=-1.0, maxval=1.0)
    points = jax.random.normal(point, (m, num_informative))
    informative = jnp.einsum("mi,mij->mj", points, shape[y]) + jnp.where(y == 1, 1, -1)[:, None] * center[None, :]
    combine = jax.random.uniform(mix, (num_informative, num_redundant), minval=-1.0, maxval=1.0)
    columns = [informative, informative @ combine, jax.random.normal(noise, (m, num_noise))]
    return jnp.concatenate(columns, axis=1), y


def logistic(key: Array, params: Params, m: int) -> tuple[Float[Array, "m n"], Int[Array, " m"]]:
    """Data of a logistic regression with known parameters: standard normal columns, labels drawn from the model.

    Args:
        key: of `jax.random`.
        params: coef (n,) and intercept ().
        m: static, number of rows.

    Returns:
        X (m, n) and y (m,).

    Raises:
        TypeError: key is no key of jax.random.
        ValueError: m is no integer >= 1, or params are not those of one model, or not finite.
        MemoryError: the rows would not fit.

    Example:
        >>> import jax, numpy as np
        >>> X, y = logistic(jax.random.key(0), Params(np.array([1.0, -1.0]), np.array(0.0)), 50)
        >>> X.shape, y.shape
        ((50, 2), (50,))
    """
    check_key(key)
    check_count("m", m, 1)
    if not isinstance(params, Params):
        raise TypeError(f"expected params to be jaxlr.Params, got {type(params).__name__}; give coef and intercept")
    coef, intercept = np.shape(params.coef), np.shape(params.intercept)
    if len(coef) != 1 or intercept != ():
        raise ValueError(
            f"expected params of one model, coef (n,) and intercept (), got shapes {coef} and {intercept}; take one of a batch"
        )
    for name, value in params._asdict().items():
        _check_number(name, value, -np.inf, one=False)
    check_room("m rows", m, *coef)
    design, label = jax.random.split(key)
    X = jax.random.normal(design, (m, len(params.coef)))
    return X, jax.random.bernoulli(label, sigmoid(logits(params, X))).astype(jnp.int32)


def separable(key: Array, m: int = 100, n: int = 2, *, margin: ArrayLike = 0.5) -> tuple[Float[Array, "m n"], Int[Array, " m"]]:
    """Completely separated classes: standard normal rows pushed off a random hyperplane through 0, so that no estimate exists.

    Args:
        key: of `jax.random`.
        m: static, number of rows, >= 2; both classes occur.
        n: static, number of columns.
        margin: the smallest distance of a row from the hyperplane, > 0.

    Returns:
        X (m, n) and y (m,).

    Raises:
        TypeError: key is no key of jax.random.
        ValueError: m is no integer >= 2, n none >= 1, or margin is not > 0 and finite.
        MemoryError: the rows would not fit.

    Example:
        >>> import jax
        >>> X, y = separable(jax.random.key(0), 20, margin=1.0)
        >>> X.shape, int(y.min()), int(y.max())
        ((20, 2), 0, 1)
    """
    check_key(key)
    check_count("m", m, 2)
    check_count("n", n, 1)
    _check_number("margin", margin, float(np.finfo(np.float32).tiny))
    check_room("m rows", m, n)
    normal, rows = jax.random.split(key)
    direction = jax.random.normal(normal, (n,))
    direction = direction / jnp.linalg.norm(direction)
    y = jnp.arange(m) % 2
    X = jax.random.normal(rows, (m, n))
    side = jnp.where(y == 1, 1, -1)
    distance = X @ direction
    moved = side * (jnp.abs(distance) + margin)
    return X + (moved - distance)[:, None] * direction[None, :], y.astype(jnp.int32)


def _check_number(name: str, value: ArrayLike, least: float, one: bool = True) -> None:
    given = real_array(name, value)
    if one and given.ndim:
        raise ValueError(f"expected {name} to be one number, got shape {given.shape}; map over several with jax.vmap")
    if is_concrete(given) and not np.all(np.isfinite(np.asarray(given)) & (np.asarray(given) >= least)):
        raise ValueError(f"expected {name} to be finite{f' and >= {least:.2g}' if np.isfinite(least) else ''}, got {value}")
