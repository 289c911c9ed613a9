"""Do a sigmoid and a loss keep the laws of the logistic function, at every size that a float can have?

    sigmoid    in [0, 1], growing, sigmoid(0) = 1/2, sigmoid(-z) = 1 - sigmoid(z), tails exp(z), derivative s (1 - s)
    loss       l(z, y) >= 0, log 2 at 0, convex, l(z, 1) = l(-z, 0), to 0 where z is right and |z| where it is wrong

Both are asked in float32 and in float64, at 0, subnormals, everything in between, the largest numbers, infinity and NaN, by
NumPy arrays: the functions of JAX, NumPy, SciPy and others can be asked alike.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

_DTYPES = (np.float32, np.float64)
_ULPS = 8  # an exponential of 4, a sum and a quotient


def check_bounds_of_sigmoid(sigmoid: Callable[[Any], Any]) -> dict[str, float]:
    """Whether a sigmoid keeps its bounds, its symmetry and its tails, in float32 and float64.

    Args:
        sigmoid: elementwise, from an array of logits to probabilities of the same dtype, such as `jaxlr.sigmoid`.

    Returns:
        For each dtype by name, the largest relative error on z <= 0, in eps.

    Raises:
        AssertionError: which law, at which logit, what came, and what was expected.

    Example:
        >>> from jaxlr import sigmoid
        >>> max(check_bounds_of_sigmoid(sigmoid).values()) < 4
        True
        >>> check_bounds_of_sigmoid(lambda z: np.tanh(z / 2) / 2 + 0.5)
        Traceback (most recent call last):
            ...
        AssertionError: check_bounds_of_sigmoid (float32): ... tail exp(z) ...
    """
    worst = {}
    for dtype in _DTYPES:
        name = f"check_bounds_of_sigmoid ({np.dtype(dtype).name})"
        refuse = partial(_refuse, name)
        eps, z = float(np.finfo(dtype).eps), _grid(dtype)
        s = _evaluated(sigmoid, z, name)
        refuse(~np.isfinite(s), z, s, "NaN or infinity, expected a number in [0, 1]")
        refuse((s < 0) | (s > 1), z, s, "outside [0, 1]")
        refuse(s[z == 0] != 0.5, z[z == 0], s[z == 0], "expected 1/2 at 0")
        falls = np.append(np.diff(s) < -_ULPS * eps * s[1:], False)
        refuse(falls, z, s, "falls from here to the next larger logit: expected to grow, up to rounding")
        other = s[::-1]  # the grid is symmetric
        refuse(np.abs(1 - s - other) > _ULPS * eps, z, s, "sigmoid(-z) and 1 - sigmoid(z) differ by more than 8 eps")
        exact = _sigmoid(z)
        left = z <= 0
        off = _errors(s, exact, dtype)
        refuse((off > _ULPS) & left, z, s, "expected the tail exp(z) / (1 + exp(z)) to 8 eps", exact)
        refuse(np.abs(s - exact) > _ULPS * eps, z, s, "expected 1 / (1 + exp(-z)) to 8 eps", exact)
        ends = _evaluated(sigmoid, np.array([-np.inf, np.inf, np.nan], dtype), name)
        right = [ends[0] == 0, ends[1] == 1, np.isnan(ends[2])]
        refuse(~np.array(right), np.array([-np.inf, np.inf, np.nan]), ends, "expected 0, 1 and NaN at -inf, inf and NaN")
        _check_slope(sigmoid, dtype, name)
        worst[np.dtype(dtype).name] = float(np.max(off[left]))
    return worst


def _check_slope(sigmoid: Callable[[Any], Any], dtype: type, name: str) -> None:
    """The derivative s (1 - s), by central differences that leave eps^(2/3)."""
    eps = float(np.finfo(dtype).eps)
    z = np.linspace(-20, 20, 401).astype(dtype)
    h = eps ** (1 / 3)
    ahead, behind = (z + dtype(h)).astype(dtype), (z - dtype(h)).astype(dtype)
    step = ahead.astype(float) - behind.astype(float)  # as rounded
    slope = (_evaluated(sigmoid, ahead, name) - _evaluated(sigmoid, behind, name)) / step
    exact = _sigmoid(z) * _sigmoid(-z)
    allowed = (0.125 / 6 + _ULPS) * eps ** (2 / 3)  # |s'''| <= 1 / 8
    _refuse(name, np.abs(slope - exact) > allowed, z, slope, "the derivative is not s (1 - s)", exact)


def check_limits_of_loss(loss: Callable[[Any, Any], Any]) -> dict[str, float]:
    """Whether a logistic loss is finite, convex, symmetric and right in its limits, in float32 and float64.

    Args:
        loss: elementwise, from logits and labels in [0, 1] (arrays of one shape and dtype) to losses, such as
            `jaxlr.logistic_loss`.

    Returns:
        For each dtype by name, the largest error of all logits, hard labels and soft ones, relative to 1 + |z|, in eps.

    Raises:
        AssertionError: which law, at which logit and label, what came, and what was expected.

    Example:
        >>> from jaxlr import logistic_loss
        >>> max(check_limits_of_loss(logistic_loss).values()) < 4
        True
        >>> check_limits_of_loss(lambda z, y: np.log1p(np.exp(z)) - y * z)
        Traceback (most recent call last):
            ...
        AssertionError: check_limits_of_loss (float32, label 0): at z = ... the value is inf: NaN or infinity, expected ...
    """
    worst = {}
    for dtype in _DTYPES:
        eps, z, errors = float(np.finfo(dtype).eps), _grid(dtype), []
        size = 1 + np.abs(z.astype(float))
        for y in (0.0, 1.0, 0.25):
            name = f"check_limits_of_loss ({np.dtype(dtype).name}, label {y:g})"
            refuse = partial(_refuse, name)
            value = _evaluated(lambda z, y=y: loss(z, np.full_like(z, y)), z, name)
            exact = _loss(z, y)
            refuse(~np.isfinite(value), z, value, "NaN or infinity, expected a number", exact)
            refuse(value < 0, z, value, "expected >= 0: a probability is at most 1")
            refuse(np.abs(value[z == 0] - np.log(2)) > _ULPS * eps, z[z == 0], value[z == 0], "expected log 2 at 0")
            mirrored = _evaluated(lambda z, y=y: loss(z, np.full_like(z, 1 - y)), -z, name)
            off = np.abs(value - mirrored)
            refuse(off > _ULPS * eps * size, z, value, "expected the loss of -z under the label 1 - y", mirrored)
            _check_convexity(z.astype(float), value, _ULPS * eps * size, refuse)
            limit = np.where(z < 0, y, 1 - y) * np.abs(z.astype(float))
            far = np.abs(z) > -2 * np.log(eps)
            off = np.abs(value - limit)
            refuse(far & (off > _ULPS * eps * size), z, value, "expected y |z| or (1 - y) |z| far from 0", limit)
            off = np.abs(value - exact) / (eps * size)
            refuse(off > _ULPS, z, value, "expected log(1 + exp(z)) - y z to 8 eps (1 + |z|)", exact)
            ends = np.array([-np.inf, np.inf, np.nan], dtype)
            expected = np.array([np.inf if y > 0 else 0, np.inf if y < 1 else 0, np.nan])
            value = _evaluated(lambda z, y=y: loss(z, np.full_like(z, y)), ends, name)
            same = (value == expected) | (np.isnan(value) & np.isnan(expected))
            refuse(~same, ends, value, "expected the limits", expected)
            errors.append(np.max(off))
        worst[np.dtype(dtype).name] = float(max(errors))
    return worst


def _check_convexity(z: np.ndarray, value: np.ndarray, allowed: np.ndarray, refuse: Callable) -> None:
    """No point lies above the chord of its neighbours, nor of those at some distance."""
    for k in (1, 10, 100):
        left, mid, right = slice(None, -2 * k), slice(k, -k), slice(2 * k, None)
        share = (z[mid] - z[left]) / (z[right] - z[left])
        chord = (1 - share) * value[left] + share * value[right]
        above = value[mid] - chord > allowed[left] + allowed[mid] + allowed[right]
        refuse(above, z[mid], value[mid], "above the chord of its neighbours: expected a convex loss", chord)


def _grid(dtype: type) -> np.ndarray:
    """Logits of all sizes, symmetric and ascending, the largest a quarter of the largest number there is and that itself."""
    info = np.finfo(dtype)
    most = float(np.log(float(info.max)))
    sizes = np.geomspace(float(info.tiny) * 4, most, 300)
    middle = np.linspace(0, 2 * most, 1601)[1:]
    large = np.geomspace(2 * most, float(info.max) / 4, 60)[1:]
    z = np.unique(np.concatenate([sizes, middle, large, [float(info.smallest_subnormal), float(info.max)]]).astype(dtype))
    return np.concatenate([-z[::-1], np.zeros(1, dtype), z])


def _sigmoid(z: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(z.astype(np.longdouble)))
    return np.asarray(np.where(z >= 0, 1, e) / (1 + e), float)


def _loss(z: np.ndarray, y: float) -> np.ndarray:
    far = np.abs(z.astype(np.longdouble))
    return np.asarray(np.where(z < 0, y, 1 - y) * far + np.log1p(np.exp(-far)), float)


def _errors(value: np.ndarray, exact: np.ndarray, dtype: type) -> np.ndarray:
    """Relative errors in eps; results that are no normal numbers may be flushed to 0."""
    info = np.finfo(dtype)
    off = np.maximum(np.abs(value - exact) - float(info.tiny), 0)
    return off / (float(info.eps) * np.maximum(exact, float(info.tiny)))


def _evaluated(function: Callable[[Any], Any], z: np.ndarray, name: str) -> np.ndarray:
    """The function's values in float64."""
    with jax.enable_x64(True), np.errstate(all="ignore"):
        value = np.asarray(function(z))
    if value.shape != z.shape or value.dtype != z.dtype:
        raise AssertionError(f"{name}: {value.dtype} {value.shape} came out of {z.dtype} {z.shape}, expected the same")
    return value.astype(float)


def _refuse(
    name: str, wrong: np.ndarray, z: np.ndarray, value: np.ndarray, law: str, expected: np.ndarray | None = None
) -> None:
    """Raises at the logit of the smallest size where something is wrong."""
    if np.any(wrong):
        at = min(np.flatnonzero(wrong), key=lambda i: abs(z[i]))
        instead = "" if expected is None else f", here {expected[at]:.9g}"
        raise AssertionError(f"{name}: at z = {z[at]:.9g} the value is {value[at]:.9g}: {law}{instead}")
