"""Random combinations of good and bad arguments for every public call: what ends in words, and what does not.

``python -m tests.bad_arguments SEED COUNT`` prints a line for each offence, and how many calls it made. A process of its own,
in the configuration of most users: without the type checker of the tests, which would refuse before the library does.
"""

import datetime
import decimal
import os
import re
import signal
import sys
import tempfile
import traceback
import warnings
from dataclasses import fields, replace
from random import Random

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import scipy.sparse
from jax.experimental import sparse as jax_sparse

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, inference, metrics, preprocessing
from jaxlr.datasets import clouds, logistic, separable, two_moons

SECONDS = 60  # for one call, compilation included
INTERNALS = re.compile(
    r"XlaRuntimeError|JaxRuntimeError|dot_general|[Tt]raced|Tracer|broadcast_shapes|Incompatible shapes for broadcasting|"
    r"incompatible shapes|shaped_abstractify|ConcretizationTypeError|RESOURCE_EXHAUSTED|INVALID_ARGUMENT|INTERNAL:|pjit|"
    r"ShapedArray|has no attribute|not subscriptable|unhashable|lax\.|eqns|scan |while_loop|got an unexpected keyword"
)
M = 12
rng = np.random.default_rng(0)
X = rng.normal(size=(M, 2)).round(2)
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0])
LABELS = np.arange(M) % 3
STRATA = np.arange(M) // 2
KEY = jax.random.key(0)


def broken():
    matrix = scipy.sparse.csr_array(X)
    matrix.indices[0] = 10**6
    return matrix


# Functions, so that what one call does to a value is not seen by the next.
JUNK = {
    "None": lambda: None,
    "True": lambda: True,
    "text": lambda: "text",
    "empty text": lambda: "",
    "bytes": lambda: b"abc",
    "an object": object,
    "a type": lambda: int,
    "a function": lambda: len,
    "a generator": lambda: (i for i in range(M)),
    "3": lambda: 3,
    "0": lambda: 0,
    "-1": lambda: -1,
    "1.5": lambda: 1.5,
    "-0.5": lambda: -0.5,
    "NaN": lambda: np.nan,
    "inf": lambda: np.inf,
    "-inf": lambda: -np.inf,
    "1e308": lambda: 1e308,
    "1e-320": lambda: 1e-320,
    "1j": lambda: 1j,
    "2**40": lambda: 2**40,
    "2**62": lambda: 2**62,
    "10**30": lambda: 10**30,
    "-10**30": lambda: -(10**30),
    "1e400": lambda: decimal.Decimal("1e400"),
    "a decimal": lambda: decimal.Decimal(1),
    "a date": lambda: datetime.date(2026, 1, 1),
    "[]": list,
    "[[]]": lambda: [[]],
    "()": tuple,
    "{}": dict,
    "a set": lambda: {1, 2},
    "{0: 1}": lambda: {0: 1, 1: 2},
    "ragged": lambda: [[1, 2], [3]],
    "mixed": lambda: [1, "a", None],
    "ragged rows": lambda: [[1.0, 2.0]] * (M - 1) + [[1.0]],
    "a range": lambda: range(M),
    "strings": lambda: ["a", "b"] * (M // 2),
    "Nones": lambda: [None] * M,
    "nested": lambda: [[[1.0] * 2] * M] * 2,
    "(0,)": lambda: np.zeros(0),
    "(0, 2)": lambda: np.zeros((0, 2)),
    "(m, 0)": lambda: np.zeros((M, 0)),
    "(0, 0)": lambda: np.zeros((0, 0)),
    "(m,)": lambda: np.ones(M),
    "zeros (m,)": lambda: np.zeros(M),
    "(m - 1,)": lambda: np.ones(M - 1),
    "(m, 1)": lambda: np.ones((M, 1)),
    "(m, 2)": X.copy,
    "(2, m)": X.T.copy,
    "(3, m, 2)": lambda: np.stack([X] * 3),
    "(2, 2)": lambda: np.eye(2),
    "(2,)": lambda: np.ones(2),
    "(1,)": lambda: np.ones(1),
    "(3,)": lambda: np.array([0.1, 0.2, 0.3]),
    "(1, 1, 1, 1)": lambda: np.ones((1, 1, 1, 1)),
    "(m, m)": lambda: np.ones((M, M)),
    "(3, m)": lambda: np.ones((3, M)),
    "labels -1/1": lambda: 2 * Y - 1,
    "three classes": LABELS.copy,
    "negative (m,)": lambda: -np.ones(M),
    "NaN (m,)": lambda: np.full(M, np.nan),
    "one NaN (m,)": lambda: np.where(np.arange(M) == 3, np.nan, 1.0),
    "NaN (m, 2)": lambda: np.full((M, 2), np.nan),
    "inf (m, 2)": lambda: X * np.inf,
    "huge (m, 2)": lambda: X * 1e308,
    "tiny (m, 2)": lambda: X * 1e-310,
    "1e200 (m,)": lambda: np.full(M, 1e200),
    "largest (m,)": lambda: np.full(M, 1.7e308),
    "subnormal (m,)": lambda: np.full(M, 1e-320),
    "objects (m,)": lambda: np.array([object()] * M),
    "numbers as objects": lambda: Y.astype(object),
    "text (m,)": lambda: Y.astype(str),
    "complex (m,)": lambda: Y + 1j,
    "complex (m, 2)": lambda: X + 0j,
    "bool (m,)": lambda: Y > 0,
    "float16 (m, 2)": lambda: X.astype(np.float16),
    "bfloat16 (m, 2)": lambda: jnp.asarray(X, jnp.bfloat16),
    "longdouble (m, 2)": lambda: X.astype(np.longdouble),
    "uint64": lambda: np.full(M, 2**64 - 1, np.uint64),
    "int64": lambda: np.full(M, -(2**63)),
    "dates (m,)": lambda: np.full(M, "2026-01-01", "datetime64[D]"),
    "int8 (m, 2)": lambda: np.full((M, 2), 100, np.int8),
    "records": lambda: np.zeros(M, [("a", float), ("b", int)]),
    "masked": lambda: np.ma.masked_array(X, X > 0),
    "a matrix": lambda: np.asmatrix(X),
    "an array ()": lambda: np.array(0.5),
    "jax (m,)": lambda: jnp.asarray(Y),
    "jax (m, 2)": lambda: jnp.asarray(X),
    "jax float32": lambda: jnp.asarray(X, jnp.float32),
    "a frame": lambda: pd.DataFrame(X, columns=["a", "b"]),
    "a frame with text": lambda: pd.DataFrame({"a": X[:, 0], "b": ["x"] * M}),
    "twice a name": lambda: pd.DataFrame(X, columns=["a", "a"]),
    "an empty frame": pd.DataFrame,
    "another index": lambda: pd.Series(Y, index=range(5, 5 + M)),
    "a series": lambda: pd.Series(Y),
    "a series of text": lambda: pd.Series(["a"] * M),
    "missing": lambda: pd.Series([pd.NA] * M, dtype="Int64"),
    "categories": lambda: pd.Series(Y, dtype="category"),
    "CSR": lambda: scipy.sparse.csr_array(X),
    "COO int": lambda: scipy.sparse.coo_matrix((X > 0).astype(int)),
    "sparse (m,)": lambda: scipy.sparse.coo_array(Y.astype(float)),
    "broken CSR": broken,
    "complex CSR": lambda: scipy.sparse.csr_array(X + 1j),
    "BCOO": lambda: jax_sparse.BCOO.fromdense(jnp.asarray(X)),
    "BCOO (m,)": lambda: jax_sparse.BCOO.fromdense(jnp.asarray(Y)),
    "sparse ones": lambda: [scipy.sparse.csr_array(X)] * 2,
    "a key": lambda: KEY,
    "keys": lambda: jax.random.split(KEY, 3),
    "an old key": lambda: jax.random.PRNGKey(0),
    "half a key": lambda: jnp.zeros(2, jnp.int32),
    "Params": lambda: Params(np.ones(2), np.array(0.0)),
    "SoftmaxParams": lambda: SoftmaxParams(np.ones((3, 2)), np.zeros(3)),
    "Params of junk": lambda: Params(None, "a"),
    "Params of others": lambda: Params(np.ones(3), np.zeros(2)),
    "a Problem": lambda: Problem(X, Y),
    "a Fit": lambda: FITS["fit"],
    "a Fit of others": lambda: FITS["batch"],
    "a Fit of classes": lambda: FITS["classes"],
    "a Firth": lambda: FITS["firth"],
    "a lasso": lambda: FITS["l1"],
    "a conditional": lambda: FITS["conditional"],
    "a scaler": lambda: preprocessing.Scaler(np.ones(2), np.ones(2)),
    "a scaler of junk": lambda: preprocessing.Scaler("a", None),
    "optax": lambda: optax.sgd(0.1),
    "an optimizer": lambda: optax.sgd,
    "a mesh": lambda: jax.make_mesh((1,), ("models",)),
    "a mesh of others": lambda: jax.make_mesh((1, 1), ("a", "b")),
    "a shape": lambda: jax.ShapeDtypeStruct((M, 2), np.float64),
    "a path": lambda: os.path.join(tempfile.gettempdir(), "nowhere", "x"),
}


COMMON = "num_classes sample_weight offset l1 l2 penalty_factor fit_intercept standardize tol max_steps batch_size progress"
ARGUMENTS = f"{COMMON} l1_group groups lower upper init solver mesh"
OF_KIND = "kind clusters lags small_sample penalized"
DATA = {"X": X, "y": Y}
OF_FIT = {"fit": "FIT", "problem": Problem(X, Y)}
PLAIN = {"l2": 0.1}
# name: (function, arguments that are right, further names)
DOORS = {
    "fit": (jaxlr.fit, DATA | PLAIN, ARGUMENTS),
    "fit of classes": (jaxlr.fit, {"X": X, "y": LABELS, "num_classes": 3} | PLAIN, ARGUMENTS),
    "fit_bootstrap": (jaxlr.fit_bootstrap, {"key": KEY, **DATA, "num_samples": 3, **PLAIN}, ARGUMENTS + " clusters"),
    "fit_columns": (jaxlr.fit_columns, {"columns": X.T, "y": Y, **PLAIN}, COMMON + " covariates mesh"),
    "fit_firth": (jaxlr.fit_firth, DATA, "only sample_weight offset fit_intercept init tol max_steps batch_size mesh"),
    "fit_conditional": (
        jaxlr.fit_conditional,
        {**DATA, "strata": STRATA},
        "sample_weight offset l2 penalty_factor init tol max_steps",
    ),
    "fit_stream": (
        jaxlr.fit_stream,
        {"blocks": lambda: iter([(X[:6], Y[:6]), (X[6:], Y[6:])]), **PLAIN},
        "num_classes folds num_samples key l1 lower upper penalty_factor fit_intercept standardize init tol max_steps "
        "checkpoint",
    ),
    "blocks of soft labels": (
        lambda **block: jaxlr.fit_stream(lambda: iter([block, {"X": X, "y": np.eye(3)[LABELS]}]), l2=0.1, num_classes=3),
        {"X": X, "y": np.eye(3)[LABELS]},
        "sample_weight offset",
    ),
    "blocks": (
        lambda **block: jaxlr.fit_stream(lambda: iter([block, {"X": X, "y": Y}]), l2=0.1),
        DATA,
        "sample_weight offset",
    ),
    "train": (
        jaxlr.train,
        {**DATA, "optimizer": optax.sgd(0.1), "num_epochs": 2},
        "batch_size key init l2 sample_weight offset fit_intercept",
    ),
    "cross_validate": (
        jaxlr.cross_validate,
        {**DATA, "l2": [1.0, 0.1], "folds": 2, "key": KEY},
        ARGUMENTS + " gamma metrics select rule refit",
    ),
    "leave-one-out": (
        jaxlr.cross_validate,
        {**DATA, "l2": [1.0, 0.1], "folds": "loo"},
        ARGUMENTS + " metrics select rule",
    ),
    "glmnet_path": (
        jaxlr.glmnet_path,
        DATA,
        "alpha num_strengths ratio groups penalty_factor sample_weight offset standardize fit_intercept num_classes",
    ),
    "l1_max": (jaxlr.l1_max, {"problem": Problem(X, Y)}, "num_classes"),
    "association_scan": (
        jaxlr.association_scan,
        {"columns": X.T, "y": Y},
        "covariates sample_weight offset promising batch_size progress",
    ),
    "kfold": (jaxlr.kfold, {"key": KEY, "m": M, "num_folds": 3}, ""),
    "stratified_kfold": (jaxlr.stratified_kfold, {"key": KEY, "y": Y, "num_folds": 3}, ""),
    "bootstrap": (jaxlr.bootstrap, {"key": KEY, "m": M, "num_samples": 3}, ""),
    "cluster_bootstrap": (jaxlr.cluster_bootstrap, {"key": KEY, "clusters": STRATA, "num_samples": 3}, ""),
    "class_weight": (jaxlr.class_weight, {"y": Y, "weights": "balanced"}, ""),
    "l2_from_C": (jaxlr.l2_from_C, {"C": 1.0, "weight_sum": 12.0}, ""),
    "elastic_net": (jaxlr.elastic_net, {"alpha": 1.0, "l1_ratio": 0.5}, ""),
    "separation": (jaxlr.separation, DATA, "sample_weight fit_intercept"),
    "separating_direction": (jaxlr.separating_direction, DATA, "sample_weight fit_intercept"),
    "logits": (jaxlr.logits, {"params": "FIT", "X": X}, "offset"),
    "predict_proba": (jaxlr.predict_proba, {"params": "FIT", "X": X}, "offset"),
    "predict": (jaxlr.predict, {"params": "FIT", "X": X}, "offset threshold"),
    "raise_on_failure": (jaxlr.raise_on_failure, {"fit": "FIT"}, ""),
    "covariance": (inference.covariance, OF_FIT, OF_KIND + " base"),
    "standard_errors": (inference.standard_errors, OF_FIT, OF_KIND + " base"),
    "wald": (inference.wald, OF_FIT, OF_KIND + " base level"),
    "wald_test": (inference.wald_test, OF_FIT | {"R": np.eye(3)[:1]}, OF_KIND + " base r"),
    "likelihood_ratio": (
        inference.likelihood_ratio,
        {"larger": "FIT", "smaller": "NULL", "problem": Problem(X, Y)},
        "smaller_problem df",
    ),
    "score_test": (inference.score_test, OF_FIT | {"columns": X.T**2}, ""),
    "profile_intervals": (inference.profile_intervals, OF_FIT, "level base"),
    "profile_tests": (inference.profile_tests, OF_FIT, "base"),
    "bootstrap_intervals": (
        inference.bootstrap_intervals,
        {"fit": "FIT", "resamples": "RESAMPLES"},
        "level method base",
    ),
    "odds_ratios": (inference.odds_ratios, {"intervals": "WALD"}, ""),
    "goodness_of_fit": (inference.goodness_of_fit, OF_FIT, "trials penalized"),
    "hosmer_lemeshow": (inference.hosmer_lemeshow, OF_FIT, "num_groups penalized"),
    "influence": (inference.influence, OF_FIT, "penalized"),
    "leave_one_out": (inference.leave_one_out, OF_FIT, ""),
    "predictions": (inference.predictions, OF_FIT, OF_KIND + " X offset level"),
    "marginal_effects": (inference.marginal_effects, OF_FIT, OF_KIND + " at method discrete offset level"),
    "comparisons": (
        inference.comparisons,
        OF_FIT | {"low": X, "high": X + 1},
        OF_KIND + " measure sample_weight offset level",
    ),
    "summary": (inference.summary, OF_FIT, OF_KIND + " names level base trials"),
    "for_marginaleffects": (inference.for_marginaleffects, OF_FIT | {"table": pd.DataFrame(X, columns=["x0", "x1"])}, ""),
    "log_chi_square_tail": (inference.log_chi_square_tail, {"x": 1.0, "df": 2}, ""),
    "log_normal_tails": (inference.log_normal_tails, {"z": 1.0}, ""),
    **{
        name: (getattr(metrics, name), {"y": Y, given: value}, "sample_weight")
        for given, value, names in (
            ("predicted", Y, "accuracy confusion"),
            ("logits", X[:, 0], "log_loss"),
            ("proba", Y * 0.5, "brier"),
            ("score", X[:, 0], "roc_auc roc_curve precision_recall average_precision"),
        )
        for name in names.split()
    },
    "calibration": (metrics.calibration, {"y": Y, "proba": Y * 0.5}, "sample_weight num_bins"),
    "two_moons": (two_moons, {"key": KEY, "m": M}, "noise"),
    "clouds": (clouds, {"key": KEY, "m": M}, "num_informative num_redundant num_noise separation"),
    "logistic": (logistic, {"key": KEY, "params": Params(np.ones(2), np.array(0.0)), "m": M}, ""),
    "separable": (separable, {"key": KEY, "m": M}, "n margin"),
    "fit_scaler": (preprocessing.fit_scaler, {"X": X}, "sample_weight"),
    "standardize": (preprocessing.standardize, {"X": X, "scaler": preprocessing.Scaler(np.ones(2), np.ones(2))}, ""),
    "unscale_params": (
        preprocessing.unscale_params,
        {"params": Params(np.ones(2), np.array(0.0)), "scaler": preprocessing.Scaler(np.ones(2), np.ones(2))},
        "",
    ),
    "design_matrix": (
        preprocessing.design_matrix,
        {"table": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})},
        "formula unknown",
    ),
    "save": (jaxlr.io.save, {"path": os.devnull + "/x", "result": "FIT"}, ""),
    "to_pandas": (lambda known: FITS["batch"].to_pandas(l2=known), {"known": [0.1, 0.2, 0.3]}, ""),
}
MEMORY = {"num_samples", "m", "n", "num_informative", "num_redundant", "num_noise", "num_strengths", "num_bins", "num_epochs"}
FITS = {}


def make_fits():
    FITS["fit"] = jaxlr.fit(X, Y)
    FITS["null"] = jaxlr.fit(X[:, :1], Y)
    FITS["batch"] = jaxlr.fit(X, Y, l2=np.array([0.1, 0.2, 0.3]))
    FITS["classes"] = jaxlr.fit(X, LABELS, num_classes=3)
    FITS["firth"] = jaxlr.fit_firth(X, Y)
    FITS["l1"] = jaxlr.fit(X, Y, l1=0.01)
    FITS["conditional"] = jaxlr.fit_conditional(X, Y, STRATA, l2=0.1)
    FITS["resamples"] = jaxlr.fit_bootstrap(KEY, X, Y, 5, l2=0.1)
    FITS["wald"] = inference.wald(FITS["fit"], Problem(X, Y))


def drawn(chance):
    """A door, and for the arguments that are not right what they are: a label of JUNK, and where it goes in."""
    door = chance.choice(list(DOORS))
    _, right, further = DOORS[door]
    names = [*right, *further.split()]
    names = chance.sample(names, min(chance.choice((1, 1, 1, 2, 2, 3)), len(names)))
    bad = {name: (chance.choice(list(JUNK)), chance.random()) for name in names}
    if "blocks" in bad and callable(JUNK[bad["blocks"][0]]()):
        del bad["blocks"]  # what the caller's own code raises is its own
    return door, bad


def value_of(name, label, share):
    """Junk, or a Problem with junk in one of its fields."""
    if name == "problem" and share < 0.7:
        names = [field.name for field in fields(Problem)]
        return replace(Problem(X, Y), **{names[int(share / 0.7 * len(names))]: JUNK[label]()})
    if name in ("params", "init") and share < 0.3:
        return Params(JUNK[label](), np.array(0.0)) if share < 0.2 else Params(np.ones(2), JUNK[label]())
    return JUNK[label]()


def called(door, bad):
    """What a call with these bad arguments does that it should not, in words; None where it ends as it should."""
    function, right, _ = DOORS[door]
    signal.alarm(SECONDS)
    try:
        arguments = {
            name: FITS[value.lower()] if isinstance(value, str) and value.isupper() else value for name, value in right.items()
        }
        arguments |= {name: value_of(name, *drawn) for name, drawn in bad.items()}
        jax.block_until_ready(function(**arguments))
        return None
    except (ValueError, TypeError, MemoryError) as error:
        text = str(error)
        if isinstance(error, MemoryError) and not (MEMORY & set(bad) and text):
            return said(error)
        return (
            said(error)
            if INTERNALS.search(text) or (not text.startswith("expected") and not isinstance(error, MemoryError))
            else None
        )
    except OSError as error:  # of a path
        return None if door in ("save", "fit_stream") else said(error)
    except jaxlr.SolverError as error:
        return None if door == "raise_on_failure" else said(error)
    except Exception as error:
        return said(error)
    finally:
        signal.alarm(0)


def said(error):
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/jaxlr/" in frame.filename]
    place = f"{ours[-1].filename.split('/jaxlr/')[-1]}:{ours[-1].lineno}" if ours else "nowhere"
    return f"{place} {type(error).__name__}: {' '.join(str(error).split())[:200]}"


class HangError(Exception):
    """A call took too long."""


def ring(*_):
    raise HangError(f"no end after {SECONDS} s")


def main(seed, count):
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, ring)
    make_fits()
    chance = Random(seed)
    for number in range(count):
        door, bad = drawn(chance)
        if found := called(door, bad):
            print(f"{door}({', '.join(f'{name}={label}' for name, (label, _) in bad.items())}): {found}", flush=True)
        if number % 1000 == 999:
            jax.clear_caches()
    print(f"{count} calls", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
