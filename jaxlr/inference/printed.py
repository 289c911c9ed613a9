"""How a summary looks in print: of two classes as R prints a glm, of several as statsmodels prints MNLogit."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlr.inference.goodness import Goodness
from jaxlr.inference.tails import log_chi_square_tail

_HEADINGS = {"estimate": "Estimate", "standard_error": "Std. Error", "z": "z value", "p_value": "Pr(>|z|)", "lower": "lower",
             "upper": "upper"}  # fmt: skip
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_WIDTHS = {"estimate": 10, "standard_error": 11, "z": 11, "p_value": 11, "lower": 12, "upper": 12}


def binary_text(
    names: Sequence[str], table: Mapping[str, np.ndarray], goodness: Goodness, num_slopes: int, level: float, steps: str
) -> str:
    """The lines of a model of two classes; `table` has columns (terms,), and `num_slopes` terms are not in the null model."""
    shown = {name: [f"{value:.{3 if name == 'p_value' else 5}g}" for value in table[name]] for name in table}
    order = [name for name in _HEADINGS if name in shown]
    width = {name: max(map(len, [_HEADINGS[name], *shown[name]])) + 2 for name in order}
    wide = max(map(len, names), default=0)
    lines = [" " * wide + "".join(f"{_HEADINGS[name]:>{width[name]}}" for name in order)]
    for i, term in enumerate(names):
        numbers = "".join(f"{shown[name][i]:>{width[name]}}" for name in order)
        lines.append(f"{term:<{wide}}{numbers} {_stars(table['p_value'][i])}".rstrip())
    g = goodness
    lines += [
        "---",
        "Signif. codes: 0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1",
        "",
        f"    Null deviance: {g.null_deviance:.5g}  on {g.df_residual + num_slopes:.6g} degrees of freedom",
        f"Residual deviance: {g.deviance:.5g}  on {g.df_residual:.6g} degrees of freedom",
        f"AIC: {g.aic:.5g}   BIC: {g.bic:.5g}   McFadden's R2: {g.mcfadden:.4f}",
        f"Log-likelihood: {g.log_likelihood:.6g}   {100 * level:.6g}% intervals   {steps}",
    ]
    return "\n".join(lines)


def multinomial_text(
    names: Sequence[str],
    classes: Sequence[int],
    table: Mapping[str, np.ndarray],
    goodness: Goodness,
    num_slopes: int,
    num_parameters: int,
    level: float,
    steps: str,
) -> str:
    """The lines of a model of several classes, a block for each of `classes`; `table` has columns (classes, terms), and
    `num_slopes` of `num_parameters` free parameters are not in the null model."""
    g, wide = goodness, max(11, *map(len, names))
    rule = wide + sum(_WIDTHS.values())
    ratio = jnp.maximum(2 * (g.log_likelihood - g.null_log_likelihood), 0)
    p_value = np.exp(log_chi_square_tail(ratio, num_slopes)) if num_slopes else np.nan
    pairs = [
        ("Model:", "Multinomial", "No. Observations:", f"{g.df_residual + num_parameters:.6g}"),
        ("Method:", steps, "Df Residuals:", f"{g.df_residual:.6g}"),
        ("converged:", "True", "Df Model:", f"{num_slopes}"),
        ("AIC:", f"{g.aic:.5g}", "Pseudo R-squ.:", f"{g.mcfadden:.4g}"),
        ("BIC:", f"{g.bic:.5g}", "Log-Likelihood:", f"{g.log_likelihood:.5g}"),
        ("Intervals:", f"{100 * level:.6g}%", "LL-Null:", f"{g.null_log_likelihood:.5g}"),
        ("", "", "LLR p-value:", f"{p_value:.4g}"),
    ]
    half = rule // 2 - 1
    lines = ["=" * rule]
    for left, what, right, number in pairs:
        lines.append(f"{left:<11}{what:>{half - 11}}   {right:<18}{number:>{rule - half - 21}}".rstrip())
    tail = (1 - level) / 2
    headings = dict(zip(_WIDTHS, ("coef", "std err", "z", "P>|z|", f"[{tail:.4g}", f"{1 - tail:.4g}]"), strict=True))
    for block, label in enumerate(classes):
        title = "".join(f"{headings[name]:>{width}}" for name, width in _WIDTHS.items())
        lines += [
            "=" * rule if block == 0 else "-" * rule,
            f"{f'y={label}':>{min(wide, 10)}}{'':<{wide - min(wide, 10)}}{title}",
        ]
        lines += ["-" * rule]
        for i, term in enumerate(names):
            values = {name: _number(column[block, i], 4 if name == "estimate" else 3) for name, column in table.items()}
            lines.append(f"{term:<{wide}}" + "".join(f"{values[name]:>{width}}" for name, width in _WIDTHS.items()))
    return "\n".join([*lines, "=" * rule])


def _number(value: Any, digits: int) -> str:
    """So many decimals; large and tiny numbers as powers of ten."""
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.{digits - 1}e}"


def _stars(value: float) -> str:
    return next((stars for most, stars in _STARS if value < most), "")
