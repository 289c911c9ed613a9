"""One vocabulary of errors: each message says what was expected, what came, and what to do; every one is read here.

The table has a call for each place that raises, and what its message says of what came. The place is known from the traceback,
so that a message which no call of the table reaches is told, unless it stands in a short list with the reason.
"""

import ast
import re
import traceback
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pandas as pd
import pytest
import scipy.sparse
from jax.experimental import sparse as jax_sparse

import jaxlr
from jaxlr import Params, Problem, SoftmaxParams, datasets, inference, plots, preprocessing
from jaxlr.engine import memory
from jaxlr.estimator import LogisticRegressor
from jaxlr.inputs import sparse as sparse_inputs
from jaxlr.linalg.operators import as_design
from jaxlr.model.norms import as_groups
from tests import messages_of_estimators, messages_of_streams
from tests.helpers import known_fit

PACKAGE = Path(jaxlr.__file__).parent

pytestmark = pytest.mark.usefixtures("x64", "untyped")


@pytest.fixture(scope="module", autouse=True)
def untyped():
    """Without the type checker of the tests, which refuses before the package does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


M = 12
rng = np.random.default_rng(0)
X = rng.normal(size=(M, 2)).round(2)
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0])
LABELS, STRATA, KEY = np.arange(M) % 3, np.arange(M) // 2, jax.random.key(0)
P = Problem(X, Y)
NAN, HOLE = np.full(M, np.nan), X.copy()
HOLE[3, 1] = np.nan
CSR = scipy.sparse.csr_array(X)
FRAME = pd.DataFrame(X, columns=["a", "b"])
MADE = {}


def made(name):
    """Fits that several calls are about, each made once; where none is needed, of any numbers."""
    make = {
        "fit": lambda: jaxlr.fit(X, Y),
        "null": lambda: jaxlr.fit(X[:, :1], Y),
        "batch": lambda: jax.tree.map(lambda leaf: np.stack([leaf, leaf]), made("fit")),
        "classes": lambda: replace(made("fit"), params=SoftmaxParams(np.ones((3, 2)), np.ones(3))),
        "firth": lambda: replace(made("fit"), solver="firth"),
        "sets": lambda: jaxlr.fit_conditional(X, Y, STRATA),
        "resamples": lambda: jaxlr.fit_bootstrap(KEY, X, Y, 4, l2=0.1),
        "copies": lambda: jaxlr.fit(np.c_[X, X[:, 0]], Y, sample_weight=np.stack([np.ones(M), np.arange(M) % 3 > 0])),
        "cv": lambda: jaxlr.cross_validate(X, Y, l2=[1.0, 0.1], folds=2, key=KEY),
        "influence": lambda: inference.influence(made("fit"), P),
        "wald": lambda: inference.wald(made("fit"), P),
        "predictions": lambda: inference.predictions(made("fit"), P),
        "binary": lambda: known_fit(np.full(np.shape(BINARY.X)[1], 0.1), 0.3),
        "design": lambda: preprocessing.design_matrix(pd.DataFrame({"a": [1.0, 2.0], "c": ["x", "y"]})),
    }
    if name not in MADE:
        MADE[name] = make[name]()
    return MADE[name]


def fit(**changes):
    return jaxlr.fit(**{"X": X, "y": Y} | changes)


def stat(name, *further, problem=P, of="fit", **options):
    return getattr(inference, name)(made(of), problem, *further, **options)


def broken():
    matrix = scipy.sparse.csr_array(X)
    matrix.indices[0] = 10**6
    return matrix


def jitted(function, value=1.0):
    return jax.jit(lambda x: jax.tree.leaves(function(x)))(value)


def with_room(module, monkeypatch_bytes, call):
    """A call on a device that has so many bytes free."""
    before = module.bytes_free
    module.bytes_free = lambda *_: monkeypatch_bytes
    try:
        return call()
    finally:
        module.bytes_free = before


def mesh(*names):
    return jax.make_mesh((1,) * len(names), names)


BINARY = Problem(np.c_[Y[::-1], X[:, 0]], Y)
MATCHED = Problem(X, Y, strata=STRATA)
# (call, what its message says of what came and what to do)
TABLE = {
    # what comes in
    "None": (lambda: fit(y=None), "expected y to be real arrays, got None"),
    "a mask": (lambda: fit(X=np.ma.masked_array(X, X > 0)), "X to be a dense array without mask, got MaskedArray; make it"),
    "tracers": (lambda: jitted(lambda x: fit(l2=[x, x])), "l2 to be one array, got a list of tracers; jnp.stack them"),
    "sparse ones": (lambda: fit(X=[CSR, CSR]), "got a list of sparse ones; several designs have to be dense"),
    "text": (lambda: fit(y=Y.astype(str)), "y to be a real array, got dtype <U21; pass y =="),
    "objects": (lambda: fit(y=[object()] * M), "y to be a real array, got dtype object; encode the classes as 0 and 1"),
    "ragged": (lambda: fit(X=[[1.0, 2.0], [3.0]], y=[0, 1]), "X to be a real array, got a list"),
    "no key": (lambda: jaxlr.kfold(0, 9, 3), r"a key of jax.random, such as jax.random.key\(0\), got 0"),
    "keys": (lambda: jaxlr.kfold(jax.random.split(KEY), 9, 3), r"got keys of shape \(2,\); map over them with vmap"),
    "a count": (lambda: jaxlr.bootstrap(KEY, 9, 1.5), "num_samples to be an integer >= 1, got 1.5"),
    "no rows": (lambda: fit(X=X[:0], y=Y[:0]), r"X with at least one row, got shape \(0, 2\); pass rows"),
    "no members": (lambda: fit(l2=np.zeros(0)), r"at least one model, got batch shape \(0,\); leave out"),
    "too few axes": (lambda: fit(X=X[0]), r"X with at least 2 axes, \(\.\.\., m, n\), got shape \(2,\)"),
    "classes of offsets": (
        lambda: fit(y=LABELS, num_classes=3, offset=np.zeros((M, 2))),
        r"offset \(..., m, K\) with K = 3 classes, got shape",
    ),
    "another length": (lambda: fit(y=Y[1:]), r"y \(..., m\) with last axis 12 to match X \(12, 2\), got shape \(11,\)"),
    "a column of y": (lambda: fit(y=Y[:, None]), r"got shape \(12, 1\); batch axes lead: .* pass np.ravel\(y\)"),
    "a negative probability": (lambda: fit(y=np.eye(3)[LABELS] - 0.1, num_classes=3), "soft labels >= 0, .*, got -0.1"),
    "a row of probabilities": (
        lambda: fit(y=np.eye(3)[LABELS] * 0.5, num_classes=3),
        "got 0.5 in row 0, off by 0.5; divide by the sums",
    ),
    "a row of nearly probabilities": (
        lambda: fit(y=np.eye(3)[LABELS] * (1 + 1e-6), num_classes=3),
        "got 1 in row 0, off by 1e-06; divide by the sums",
    ),
    "probabilities of other classes": (
        lambda: fit(y=np.full((M, 2), 0.5), num_classes=3),
        r"got shape \(12, 2\); soft labels have a column for each of the 3 classes",
    ),
    "a key for weights": (
        lambda: fit(sample_weight=KEY),
        "sample_weight to be an array, got a key of jax.random; pass",
    ),
    "a key for a tol": (lambda: fit(tol=KEY), "tol to be an array, got a key of jax.random"),
    "a key for strata": (lambda: jaxlr.fit_conditional(X, Y, strata=KEY), "strata to be an array, got a key of jax.random"),
    "an estimator": (
        lambda: jaxlr.predict_proba(LogisticRegressor(), X),
        r"got LogisticRegressor; of an estimator pass Params\(coef_\[0\]",
    ),
    "an estimator of a stream": (
        lambda: jaxlr.predict_stream(LogisticRegressor(multi_class="ovr"), lambda: [X]),
        'got LogisticRegressor; the models of "ovr" are no Params: call its own predict_proba',
    ),
    "a hole in the only column": (
        lambda: jaxlr.fit_columns(HOLE.T[1:], Y, l2=0.1),
        r"expected finite columns, got nan first at index \(0, 3\)",
    ),
    "a hole in a covariate": (
        lambda: jaxlr.fit_columns(X.T, Y, covariates=HOLE, l2=0.1),
        "expected finite covariates, got column 1 has 1 missing value, first at row 3",
    ),
    "a hole in a covariate of a scan": (
        lambda: jaxlr.association_scan(X.T, Y, covariates=HOLE),
        "expected finite covariates, got column 1 has 1 missing value, first at row 3",
    ),
    "a hole in the only column of a scan": (
        lambda: jaxlr.association_scan(HOLE.T[1:], Y),
        r"expected finite columns, got nan first at index \(0, 3\)",
    ),
    "X turned": (lambda: fit(X=X.T), r"the axes of X look transposed, pass X.T"),
    "clashing batches": (lambda: fit(y=np.stack([Y] * 2), l2=np.ones(3)), r"got y \(2,\), l2 \(3,\); \[:, None\] adds an axis"),
    "a NaN": (lambda: fit(X=HOLE), "column 1 has 1 missing value, first at row 3; drop or impute"),
    "a NaN of a table": (lambda: fit(X=FRAME.mask(np.isnan(HOLE))), "column 'b' has 1 missing value, first at row 3"),
    "a NaN of a sparse X": (lambda: fit(X=scipy.sparse.csr_array(HOLE), l2=0.1), "nan first in row 3, column 1"),
    "an infinite l2": (lambda: fit(l2=np.inf), "expected finite l2, got inf; penalty_factor = inf holds"),
    "parameters beyond the rows": (
        lambda: jaxlr.fit_firth(np.eye(3), [0, 1, 0]),
        "no more parameters than rows, got X with 3 rows and 3 columns; use fit with l2 > 0",
    ),
    "a negative l2": (lambda: fit(l2=-0.5), "l2 >= 0, got -0.5"),
    "a subnormal": (lambda: fit(l2=1e-320), r"l2 that float64 can hold, 0 or from 2.2e-308 to 1.8e\+308, got 1e-320; 0 leaves"),
    "a bound": (lambda: fit(lower=np.inf), r"lower to be numbers, or -inf for no bound, got inf first at index \(0,\); None"),
    "crossed bounds": (lambda: fit(lower=1.0, upper=[2.0, 0.0]), r"lower <= upper, got 1.0 > 0.0 first at index \(1,\); swap"),
    "a bound beside 0": (
        lambda: jaxlr.fit(FRAME, Y, l2=0.1, penalty_factor=[1.0, np.inf], lower=[-9.0, 0.1]),
        "bounds around 0 where penalty_factor is inf, .* got lower = 0.1 for column 'b'; give it a finite factor",
    ),
    "labels": (lambda: fit(y=2 * Y - 1), "got values from -1 to 1; pass y == 1"),
    "fractions": (lambda: fit(y=LABELS + 0.5, num_classes=4), "integer labels 0..3, got 0.5; number the classes from 0"),
    "too many classes": (lambda: fit(y=LABELS, num_classes=2), "labels 0..1 of num_classes = 2, got 0 to 2; pass np.unique"),
    "no weight": (lambda: fit(sample_weight=np.zeros(M)), "got weights that are all 0; give some row weight"),
    "one class": (lambda: fit(y=np.ones(M)), "both classes among the rows of positive weight, got only y = 1; no finite"),
    "a class missing": (lambda: fit(y=LABELS % 2, num_classes=3), r"all 3 classes among .* got none of \[2\]; no finite"),
    "one cluster": (lambda: jaxlr.cluster_bootstrap(KEY, [1] * M, 2), "at least two clusters, got 1: nothing varies"),
    "traced clusters": (
        lambda: jitted(lambda c: jaxlr.cluster_bootstrap(KEY, c, 2), STRATA),
        "clusters to be known outside jit.* got a tracer",
    ),
    "axes of clusters": (lambda: jaxlr.cluster_bootstrap(KEY, np.eye(3), 2), r"one label a row, got shape \(3, 3\); repeat"),
    "labels missing": (lambda: jaxlr.cluster_bootstrap(KEY, [1, None, 2], 2), "got missing ones; give them labels"),
    "no hash": (lambda: jaxlr.cluster_bootstrap(KEY, [[1], [2]], 2), "labels that have a hash, .*, got others; make these"),
    "groups traced": (lambda: jitted(lambda g: fit(l1_group=0.1, groups=g), np.arange(2)), "got a tracer; close over them"),
    "groups of text": (lambda: fit(l1_group=0.1, groups=["a", "b"]), "groups to be integers, got list of dtype <U1; np.unique"),
    "groups of others": (lambda: fit(l1_group=0.1, groups=[1, 2, 3]), r"groups \(2,\), .* got shape \(3,\); a column of no"),
    "no groups": (lambda: fit(l1_group=0.1), r"beside l1_group, got None; np.arange\(n\) puts each alone"),
    "factors of a group": (
        lambda: fit(l1_group=0.1, groups=[5, 5], penalty_factor=[1.0, 2.0]),
        "got several in group 5; give its columns the same",
    ),
    "complex sparse": (lambda: fit(X=scipy.sparse.csr_array(X + 1j)), "got a sparse matrix of dtype complex128; convert it"),
    "complex BCOO": (lambda: fit(X=jax_sparse.BCOO.fromdense(X + 1j)), "got a BCOO of dtype complex128; convert it to float"),
    "another kind": (lambda: fit(X=jax_sparse.CSR.fromdense(jnp.asarray(X))), "X as BCSR or BCOO, .*, got CSR; convert"),
    "batches of BCOO": (lambda: fit(X=jax_sparse.BCOO.fromdense(jnp.ones((2, M, 2)), n_batch=1)), "in BCOO, got BCOO.*; pass"),
    "a sparse vector": (lambda: fit(X=scipy.sparse.coo_array(Y)), r"got a sparse array of shape \(12,\); reshape it"),
    "broken": (lambda: fit(X=broken()), r"entries of its shape \(12, 2\), got a broken matrix: "),
    "no place": (
        lambda: with_room(sparse_inputs, 10, lambda: fit(X=CSR)),
        r"in the 9.31e-09 GiB that are free, got one of shape \(12, 2\)",
    ),
    "names twice": (lambda: fit(X=pd.DataFrame(X, columns=["a", "a"])), "got two named 'a'; rename one"),
    "a column missing": (lambda: jaxlr.logits(jaxlr.fit(FRAME, Y, l2=0.1), FRAME[["a"]]), "got none named 'b'; it has 'a'"),
    "sparse columns": (
        lambda: fit(y=pd.Series(pd.arrays.SparseArray(Y))),
        "y without sparse columns, got some; make them dense first",
    ),
    "a column of text": (lambda: fit(X=FRAME.assign(c="x")), r"numeric columns in X, got 'c' \(.*\); convert numbers with"),
    "other labels of rows": (
        lambda: fit(X=FRAME, y=pd.Series(Y, index=range(5, 17))),
        r"X and y with the same labels of the rows .* got different",
    ),
    "dates": (lambda: jaxlr.sigmoid(np.array(["2026-01-01"], "datetime64[D]")), "a real array, got"),
    "a complex design": (lambda: as_design(jnp.asarray(X + 1j)), "a real array, got dtype complex128"),
    # the arguments of a fit
    "a smooth solver": (lambda: fit(l1=0.1, solver="newton"), 'l1 = 0, .* for solver "newton", got an l1; use "proximal"'),
    "a solver": (lambda: fit(solver="lbfgs"), "got 'lbfgs'"),
    "steps": (lambda: fit(max_steps=0), r"max_steps to be an integer from 1 to 2\*\*31 - 1, got 0"),
    "a start": (lambda: fit(init=made("fit")), r"init to be jaxlr.Params\(coef, intercept\), got Fit; pass fit.params"),
    "nothing": (lambda: fit(X=X[:, :0], fit_intercept=False), "got X without columns and fit_intercept=False; leave that True"),
    "a tol": (lambda: fit(tol=-1.0), "tol to be one finite number > 0 in float64, got -1.0; leave it out"),
    "an infinite tol": (lambda: fit(tol=np.inf), "one finite number > 0 in float64, got inf"),
    "a flag": (lambda: fit(standardize=1), "standardize to be True or False, known outside jit, got 1"),
    "no mesh": (lambda: fit(mesh=2), "mesh to be a jax.sharding.Mesh, .* got 2"),
    "axes of a mesh": (lambda: fit(mesh=mesh("a", "b")), r"got axes \('a', 'b'\); name them in jax.make_mesh"),
    "no memory": (
        lambda: with_room(memory, 10**6, lambda: fit(y=np.broadcast_to(Y, (100_000, M)), l2=0.1, batch_size=100_000)),
        "100000 of 100000 models at a time.* in the 0.000931 GiB that the device has free, got a need of up to .*batch_size",
    ),
    "batches of a bootstrap": (
        lambda: jaxlr.fit_bootstrap(KEY, X, Y, 2, l2=[0.1, 1.0]),
        r"got batch axes \(2,\); map with jax.vmap",
    ),
    "own factors": (
        lambda: jaxlr.fit_columns(X.T, Y, l2=0.1, penalty_factor=[1.0, 1.0]),
        r"penalty_factor \(1,\), .* got shape \(2,\); leave",
    ),
    "batches of columns": (lambda: jaxlr.fit_columns(X.T, Y, l2=[0.1, 1.0]), r"got batch axes \(2,\); call once for each"),
    "one column": (lambda: jaxlr.fit_columns(X[:, 0], Y), r"got shape \(12,\); one column is columns\[None\]"),
    "covariates": (
        lambda: jaxlr.fit_columns(X.T, Y, covariates=X[1:]),
        r"covariates \(m, c\) with m = 12 .* got shape \(11, 2\)",
    ),
    "y of columns": (lambda: jaxlr.fit_columns(X, Y), r"match columns \(12, 2\), got shape \(12,\); .* pass columns.T"),
    "few rows": (
        lambda: jaxlr.fit_columns(X.T[:, :3], Y[:3], covariates=np.c_[X, X**2][:3]),
        "got 3 rows and 6 parameters; leave",
    ),
    "no set": (lambda: jaxlr.fit_conditional(X, Y, np.arange(M)), "got none, so that nothing can be compared; strata are"),
    "soft cases": (lambda: jaxlr.fit_conditional(X, Y / 2, STRATA), "got 0.5; cases are 1, controls 0"),
    "weights of a set": (
        lambda: jaxlr.fit_conditional(X, Y, STRATA, sample_weight=np.arange(M) + 1.0),
        "got 1.0 and 2.0 in one of them; the weight",
    ),
    "Firth's rows": (lambda: jaxlr.fit_firth(X[:2], Y[:2]), "got X with 2 rows and 2 columns; use fit with l2 > 0"),
    "Firth in jit": (
        lambda: jitted(lambda y: jaxlr.fit_firth(X, y, only=np.array(True)), Y),
        "got a tracer; leave only out there",
    ),
    "only": (lambda: jaxlr.fit_firth(X, Y, only=np.ones(2)), r"batch \(\), got float64 of shape \(2,\); such as"),
    "an optimizer": (lambda: jaxlr.train(X, Y, optax.sgd, num_epochs=1), "GradientTransformation, got function; call it"),
    "a flag of train": (lambda: jaxlr.train(X, Y, optax.sgd(0.1), num_epochs=1, fit_intercept=0), "got 0"),
    "a start of train": (
        lambda: jaxlr.train(X, Y, optax.sgd(0.1), num_epochs=1, init=made("fit")),
        "jaxlr.Training, got Fit; pass fit.params",
    ),
    "batches of train": (
        lambda: jaxlr.train(X, Y, optax.sgd(0.1), num_epochs=1, l2=[0.1]),
        r"got batch axes \(1,\); map train",
    ),
    "another optimizer": (
        lambda: jaxlr.train(X, Y, optax.adam(0.1), num_epochs=1, init=jaxlr.train(X, Y, optax.sgd(0.1), num_epochs=1)),
        "got another state; init comes from another optimizer",
    ),
    # tables with categories
    "unknown": (lambda: preprocessing.design_matrix(FRAME, unknown="drop"), 'unknown to be "refuse" or "zero", got \'drop\''),
    "a formula of two": (
        lambda: preprocessing.design_matrix(FRAME, ["a", "b"]),
        "a string or None, got list; write it as text",
    ),
    "no rows of a table": (lambda: preprocessing.design_matrix(FRAME[:0]), "a table with rows, .*, got none; pass rows"),
    "two sides": (lambda: preprocessing.design_matrix(FRAME, "a ~ b"), "got 'a ~ b'; labels are the y of the fit"),
    "no columns of a table": (lambda: preprocessing.design_matrix(FRAME, "1"), "beside the intercept, .* got none; name"),
    "names of a table twice": (
        lambda: preprocessing.design_matrix(pd.DataFrame({"c": ["x", "y"], "c[x]": [1.0, 2.0]})),
        "got two named 'c\\[x\\]'; rename",
    ),
    "infinite columns": (lambda: preprocessing.design_matrix(FRAME, "np.log(0 * a)"), r"infinite ones in .* \(12 rows\); fill"),
    "another level": (
        lambda: made("design").transform(pd.DataFrame({"a": [1.0], "c": ["z"]})),
        r"got others: 'c' has 'z' in 1 row, first at row 0",
    ),
    "no formula": (lambda: preprocessing.design_matrix(FRAME, "a +* b"), r"a formula of formulaic, got 'a \+\* b': "),
    "no such column": (lambda: preprocessing.design_matrix(FRAME, "d"), "evaluated on the columns 'a', 'b', got"),
    "a name of a level": (
        lambda: preprocessing.design_matrix(pd.DataFrame({"c": ["__x", "y"]})),
        "got '__x', 'y'; rename levels",
    ),
    "no use": (
        lambda: made("design").transform(pd.DataFrame({"a": [1.0]})),
        "got a table whose column 'c' is not in the table",
    ),
    "no table": (lambda: preprocessing.design_matrix(X), "a DataFrame of pandas or polars, got ndarray; make it one"),
    # models and their parameters
    "no params": (lambda: jaxlr.logits(3.0, X), "jaxlr.Params or jaxlr.SoftmaxParams, got float"),
    "groups of a problem": (lambda: as_groups(np.ones(2), jnp.float64), "groups to be integers, got dtype float64; np.unique"),
    "classes of sets": (
        lambda: jaxlr.loss(SoftmaxParams(np.ones((3, 2)), np.zeros(3)), MATCHED),
        "with strata, got SoftmaxParams; it has one",
    ),
    "a probability of sets": (lambda: jaxlr.predict(made("sets"), X), "got a conditional one, which knows no probability"),
    "columns of X": (lambda: jaxlr.logits(Params(np.ones(3), 0.0), X), r"got X \(12, 2\) and coef \(3,\); give X the columns"),
    "offsets of classes": (
        lambda: jaxlr.logits(SoftmaxParams(np.ones((3, 2)), np.zeros(3)), X, np.ones(M)),
        r"got shape \(12,\); one a row is offset",
    ),
    "a threshold": (lambda: jaxlr.predict(made("classes"), X, threshold=0.3), "got 0.3: the most probable one is taken"),
    "a validation": (lambda: jaxlr.logits(made("cv"), X), "or a Fit, got CrossValidation; pass its refit"),
    "no groups of a problem": (
        lambda: jaxlr.loss(Params(np.ones(2), 0.0), Problem(X, Y, l1_group=0.1)),
        r"with l1_group, got None; np.arange\(n\)",
    ),
    "a column of labels": (
        lambda: jaxlr.loss(Params(np.ones(2), 0.0), Problem(X, Y[:, None])),
        r"y \(12,\) of one problem with X \(12, 2\), got shape \(12, 1\); np.ravel takes a column",
    ),
    "strata of others": (
        lambda: jaxlr.loss(Params(np.ones(2), 0.0), Problem(X, Y, strata=STRATA[:-2])),
        r"strata \(12,\), .* got 10 of them; label",
    ),
    "intercepts of classes": (
        lambda: jaxlr.logits(SoftmaxParams(np.ones((3, 2)), np.zeros(2)), X),
        r"coef \(3, 2\), got shape \(2,\); one for each",
    ),
    "an offset": (
        lambda: jaxlr.logits(Params(np.ones(2), 0.0), X, np.ones(3)),
        r"logits \(12,\), got shape \(3,\); one number",
    ),
    "no params of datasets": (lambda: datasets.logistic(KEY, X, 9), "jaxlr.Params, got ndarray; give coef and intercept"),
    "classes of datasets": (
        lambda: datasets.logistic(KEY, Params(np.ones((2, 2)), np.zeros(2)), 9),
        r"got shapes \(2, 2\) and \(2,\); take one",
    ),
    "a number": (lambda: datasets.two_moons(KEY, 9, noise=-1.0), "noise to be finite and >= 0, got -1.0"),
    "one number": (
        lambda: datasets.clouds(KEY, 9, separation=[1.0, 2.0]),
        r"separation to be one number, got shape \(2,\); map",
    ),
    "rows without room": (
        lambda: datasets.two_moons(KEY, 2**50),
        r"m rows that fit in the .* got a need of .* GiB; ask for fewer",
    ),
    # weights, scalers, results
    "y of folds": (lambda: jaxlr.stratified_kfold(KEY, np.ones((2, 3)), 2), r"y \(m,\), got shape \(2, 3\); call once"),
    "folds": (lambda: jaxlr.kfold(KEY, 9, 10), "from 2 to the number of rows, 9, got 10"),
    "labels without rows": (
        lambda: jaxlr.class_weight(np.zeros(0), "balanced"),
        r"labels \(\.\.\., m\), got shape \(0,\); pass",
    ),
    "half a result": (
        lambda: jaxlr.io.save("nowhere", jaxlr.Params(None, 0.0)),
        "whole Params, got one that holds a NoneType as coef; save its parts",
    ),
    "labels of weights": (lambda: jaxlr.class_weight(LABELS, "balanced"), r"labels 0/1, got \[0 1 2\]; pass y == k"),
    "negative weights": (lambda: jaxlr.class_weight(Y, {0: 1.0, 1: -1.0}), "got {0: 1.0, 1: -1.0}"),
    "weights of classes": (lambda: jaxlr.class_weight(Y, "equal"), "got 'equal'"),
    "an array of weights": (lambda: jaxlr.class_weight(Y, np.ones(2)), "got ndarray; name both classes"),
    "one class to weigh": (lambda: jaxlr.class_weight(np.ones(M), "balanced"), "got one class; weigh one class by hand"),
    "batches of a scaler": (lambda: preprocessing.fit_scaler(np.stack([X, X])), r"got axes \(2,\) in front; map with jax.vmap"),
    "no weight of a scaler": (lambda: preprocessing.fit_scaler(X, np.zeros(M)), "got weights that are all 0; give some row"),
    "a sparse X to scale": (
        lambda: preprocessing.standardize(CSR, preprocessing.fit_scaler(X)),
        "got a sparse one, which would become dense; fit it",
    ),
    "batches to scale": (
        lambda: preprocessing.standardize(np.stack([X, X]), preprocessing.fit_scaler(X)),
        r"got shape \(2, 12, 2\); map with",
    ),
    "intercepts to unscale": (
        lambda: preprocessing.unscale_params(Params(np.ones(2), np.zeros(3)), preprocessing.fit_scaler(X)),
        r"got shapes \(2,\) and \(3,\); one intercept a model",
    ),
    "a scaler of batches": (
        lambda: preprocessing.standardize(X, preprocessing.Scaler(np.ones((2, 2)), np.ones(2))),
        r"got \(2, 2\) and \(2,\); map",
    ),
    "no scaler": (lambda: preprocessing.standardize(X, X), "a Scaler, got ndarray; pass the result of fit_scaler"),
    "a fit to unscale": (
        lambda: preprocessing.unscale_params(made("fit"), X),
        "jaxlr.Params, got Fit; of a Fit pass fit.params",
    ),
    "columns of a scaler": (
        lambda: preprocessing.standardize(X[:, :1], preprocessing.fit_scaler(X)),
        "got 1 columns; fit a scaler to these",
    ),
    "a failure": (
        lambda: jaxlr.raise_on_failure(jaxlr.fit(np.c_[X, Y], Y)),
        "1 of 1 models did not converge:\n.*SEPARATED.* add a penalty",
    ),
    "no fit": (lambda: jaxlr.raise_on_failure(made("cv")), "fit to be a jaxlr.Fit, got CrossValidation; pass its refit"),
    "a column of a table": (
        lambda: made("batch").to_pandas(l2=[1, 2, 3]),
        r"l2 to broadcast to the batch \(2,\), got \[1, 2, 3\]",
    ),
    "a name of a table": (lambda: made("batch").to_pandas(kkt=1.0), "got kkt; choose another name"),
    "no result": (lambda: jaxlr.io.save("nowhere", {}), "got dict; save its parts"),
    "no path": (lambda: jaxlr.io.load(0), "path to be a string or os.PathLike, got int; name a file"),
    "a traced result": (lambda: jitted(lambda x: jaxlr.io.save("nowhere", Params(x, x))), "got a tracer in coef; return it"),
    "text in a result": (
        lambda: jaxlr.io.save("nowhere", Params(np.array(["a"]), 0.0)),
        "numbers in coef, got ndarray of dtype <U1",
    ),
    "a foreign file": (lambda: jaxlr.io.load(__file__), "test_messages.py, which is none, or is cut off; save it anew"),
    # selection
    "a rule": (lambda: jaxlr.cross_validate(X, Y, rule="first"), "got 'first'"),
    "an error of rankings": (
        lambda: jaxlr.cross_validate(X, Y, folds="loo", rule="one_se", select="roc_auc"),
        'got "one_se": its score is no mean',
    ),
    "bounds without rows": (lambda: jaxlr.cross_validate(X, Y, folds="loo", lower=0.0), "got some; pass folds=10 and a key"),
    "batches to choose": (
        lambda: jaxlr.cross_validate(np.stack([X, X]), Y, folds=2, key=KEY),
        r"got batch axes \(2,\); the grid is that of strengths",
    ),
    "soft labels to score": (
        lambda: jaxlr.cross_validate(X, Y / 2, folds="loo"),
        "got soft labels; pass folds=10 and a key",
    ),
    "one metric": (lambda: jaxlr.cross_validate(X, Y, metrics="brier"), r"got 'brier' to select by 'log_loss'; write"),
    "metrics": (lambda: jaxlr.cross_validate(X, Y, metrics=("f9",)), "metrics among log_loss, .*, got 'f9'"),
    "folds of text": (lambda: jaxlr.cross_validate(X, Y, folds="ten"), "got 'ten'"),
    "NaN in folds": (lambda: jaxlr.cross_validate(X, Y, folds=np.eye(M) * np.nan), r"got nan first at index \(0, 0\); 0 holds"),
    "folds of all": (lambda: jaxlr.cross_validate(X, Y, folds=np.ones((2, M))), "got one without; bootstrap counts"),
    "folds of one class": (
        lambda: jaxlr.cross_validate(X, LABELS, num_classes=3, l2=0.1, folds=np.equal(LABELS, [[0], [1]]) * 1.0),
        "two classes or more in every fold, got those of .0.",
    ),
    "no key of folds": (lambda: jaxlr.cross_validate(X, Y, folds=3), "a key for folds=3, got None; pass key"),
    "too many for loo": (
        lambda: jaxlr.cross_validate(np.ones((2, 5000)), [0, 1], l2=0.1, penalty_factor=np.ones(5000), folds="loo"),
        "at most 4096 coefficients .*, got 500.: the Hessian",
    ),
    "a traced factor": (
        lambda: jitted(lambda f: jaxlr.l1_max(replace(P, penalty_factor=f)), np.ones(2)),
        "got a tracer: they say which columns",
    ),
    "no problem of a path": (lambda: jaxlr.l1_max(X), "problem to be a jaxlr.Problem, got ndarray; give it X and y"),
    "l1 of sets": (lambda: jaxlr.l1_max(MATCHED), "got some: matched sets have no l1; use jaxlr.fit_conditional"),
    "batches of l1": (lambda: jaxlr.l1_max(replace(P, X=np.stack([X, X]))), r"got batch axes \(2,\); map with jax.vmap"),
    "bounds away from 0": (
        lambda: jaxlr.l1_max(replace(P, lower=1.0)),
        "got others: no l1 holds such a coefficient at 0; give",
    ),
    "gamma": (lambda: jaxlr.cross_validate(X, Y, gamma=2.0, folds=2, key=KEY), "gamma in .*, got 2.0"),
    "no grid": (
        lambda: jaxlr.cross_validate(X, Y, l1=[0.1, 0.2], l2=[0.1, 0.2, 0.3], folds=2, key=KEY),
        r"got l1 \(2,\), l2 \(3,\); \[:, None",
    ),
    "a traced path": (lambda: jitted(lambda x: jaxlr.glmnet_path(x, Y), X), "got tracers; close over them"),
    "batches of paths": (lambda: jaxlr.glmnet_path(np.stack([X, X]), Y), r"got batch axes \(2,\); call once for each"),
    "alpha": (lambda: jaxlr.glmnet_path(X, Y, alpha=[0.5, 1.0]), r"got \[0.5, 1.0\]; one path for each share of l1"),
    "ratio": (lambda: jaxlr.glmnet_path(X, Y, ratio=2.0), r"ratio to be one number in \(0, 1\), got 2.0"),
    "factors of 0": (
        lambda: jaxlr.glmnet_path(X, Y, penalty_factor=[0.0, 0.0]),
        "got penalty_factor that is 0 everywhere; fit",
    ),
    "constants": (lambda: jaxlr.glmnet_path(np.ones((M, 2)), Y), "got none; no strength holds anything at 0"),
    "a separated null model": (
        lambda: jaxlr.glmnet_path(np.c_[X, Y], Y, penalty_factor=[1.0, 1.0, 0.0]),
        "got columns of penalty_factor 0 that separate",
    ),
    "alpha of a net": (lambda: jaxlr.elastic_net(-1.0, 0.5), "alpha >= 0, got -1.0"),
    "a share": (lambda: jaxlr.elastic_net(1.0, 1.5), r"l1_ratio in \[0, 1\], got 1.5"),
    "C": (lambda: jaxlr.l2_from_C(0.0, 9), "C > 0, got 0.0"),
    # statistics
    "a measure": (lambda: stat("comparisons", X, X, measure="ratio"), "got 'ratio'"),
    "no low": (lambda: stat("comparisons", None, X), "got None; low may be the X of the problem"),
    "rows of low and high": (lambda: stat("comparisons", X, X[1:]), r"got \[12, 11\] rows; make both of one X"),
    "weights of rows": (lambda: stat("comparisons", X, X, sample_weight=np.ones(3)), r"got \(3,\); None is that of the"),
    "rows without weights": (lambda: stat("comparisons", X[:3], X[:3]), "got 3 rows; np.ones"),
    "weights of 0": (lambda: stat("comparisons", X, X, sample_weight=np.zeros(M)), "got others; weigh rows by numbers"),
    "no problem": (lambda: stat("covariance", problem=X), "problem to be a jaxlr.Problem, got ndarray; give it the data"),
    "a problem of one row": (
        lambda: stat("covariance", problem=Problem(X[0], Y)),
        r"X \(..., m, n\), got shape \(2,\); give it",
    ),
    "no intervals": (lambda: inference.odds_ratios(made("fit")), "jaxlr.inference.wald, got Fit; pass those of a fit"),
    "a df without end": (
        lambda: inference.log_chi_square_tail(1.0, 2**62),
        "df up to 1000000, .* got 4611686018427387904; the",
    ),
    "a base": (lambda: stat("covariance", base=1), "got 1; leave it out"),
    "no such base": (
        lambda: stat("covariance", of="classes", problem=Problem(X, LABELS), base=7),
        "a class from 0 to 2, got 7",
    ),
    "trials of classes": (
        lambda: stat("goodness_of_fit", of="classes", problem=Problem(X, LABELS), trials=np.ones(M)),
        "got some; leave them out",
    ),
    "trials of sets": (lambda: stat("summary", of="sets", problem=MATCHED, trials=np.ones(M)), "got some; leave them out"),
    "groups of classes": (
        lambda: stat("hosmer_lemeshow", of="classes", problem=Problem(X, LABELS)),
        "got a multinomial one; test a class",
    ),
    "weights of groups": (
        lambda: inference.hosmer_lemeshow(fit(sample_weight=np.full(M, 0.5)), replace(P, sample_weight=np.full(M, 0.5))),
        "got others; refit with counts",
    ),
    "R": (lambda: stat("wald_test", np.eye(2)), r"R \(q, 3\), .* got shape \(2, 2\); the intercept comes last"),
    "r": (lambda: stat("wald_test", np.eye(3), np.ones(2)), r"r of one number or \(3,\), got shape \(2,\); one number is"),
    "NaN in R": (lambda: stat("wald_test", np.eye(3) * np.nan), "got NaN or infinities; leave such hypotheses out"),
    "one hypothesis twice": (lambda: stat("wald_test", np.ones((2, 3))), "got rows of R that do; leave them out"),
    "influence of classes": (
        lambda: stat("influence", of="classes", problem=Problem(X, LABELS)),
        "got a multinomial one; fit y == k",
    ),
    "Firth without rows": (lambda: stat("leave_one_out", of="firth"), "got Firth's, whose penalty is another without each row"),
    "Firth's ratio": (lambda: inference.likelihood_ratio(made("firth"), made("null"), P), "got Firth's; use"),
    "ratio of sets": (
        lambda: inference.likelihood_ratio(made("fit"), made("sets"), P),
        "got one by 'newton' and one by 'conditional'; fit both",
    ),
    "ratio of classes": (
        lambda: inference.likelihood_ratio(made("classes"), made("null"), Problem(X, LABELS)),
        "multinomial with 3 classes and one binary",
    ),
    "ratio turned": (
        lambda: inference.likelihood_ratio(made("null"), made("fit"), Problem(X[:, :1], Y)),
        "got df = -1; swap them",
    ),
    "a ratio with l2": (
        lambda: inference.likelihood_ratio(made("fit"), made("null"), replace(P, l2=0.1)),
        r"l1 or l2 > 0 .*; fit both without",
    ),
    "rows of a ratio": (
        lambda: inference.likelihood_ratio(made("fit"), made("null"), P, smaller_problem=Problem(X[:9, :1], Y[:9])),
        "got 12 and 9; fit the same rows twice",
    ),
    "strata of a ratio": (
        lambda: inference.likelihood_ratio(
            made("sets"), made("sets"), MATCHED, smaller_problem=Problem(X, Y, strata=np.arange(M) // 4)
        ),
        "the same strata in both problems, got others; fit the same matched sets",
    ),
    "labels of a ratio": (
        lambda: inference.likelihood_ratio(made("fit"), made("null"), P, smaller_problem=Problem(X[:, :1], 1 - Y)),
        "the same y in both problems, got others; fit the same rows twice",
    ),
    "df": (lambda: inference.likelihood_ratio(made("fit"), made("null"), P, df=0), "got 0; None counts columns"),
    "a method of effects": (lambda: stat("marginal_effects", method="dx"), "got 'dx'"),
    "a place of effects": (lambda: stat("marginal_effects", at="mode"), "got 'mode'"),
    "offsets of effects": (lambda: stat("marginal_effects", offset=np.ones(M)), "got one with at='overall', .*; leave it out"),
    "logs of discrete": (
        lambda: stat("marginal_effects", method="eyex", problem=BINARY, of="binary", discrete=[0]),
        "got 'eyex': their logarithm is that of 0",
    ),
    "a discrete column of no names": (
        lambda: stat("marginal_effects", discrete=["x"]),
        r"columns from 0 to 1 \(they have no names\), got 'x'",
    ),
    "one discrete": (lambda: stat("marginal_effects", discrete=0), "got 0"),
    "discrete text": (lambda: stat("marginal_effects", discrete="all"), "got 'all'; list one column too"),
    "discrete in jit": (
        lambda: jitted(lambda x: inference.marginal_effects(made("fit"), replace(P, X=x), discrete="binary"), X),
        "got a tracer; list the columns",
    ),
    "discrete numbers": (lambda: stat("marginal_effects", discrete=[1]), "got other numbers in column 1; compare any two"),
    "no such discrete": (lambda: stat("marginal_effects", discrete=[2]), r"columns from 0 to 1 \(they have no names\), got 2"),
    "a batch elsewhere": (
        lambda: inference.for_marginaleffects(made("batch"), replace(P, l2=np.array([0.1, 0.2])), FRAME),
        r"got a batch \(2,\); take one",
    ),
    "offset elsewhere": (
        lambda: inference.for_marginaleffects(made("fit"), replace(P, offset=NAN), FRAME),
        "got one; fit without",
    ),
    "no table elsewhere": (lambda: inference.for_marginaleffects(made("fit"), P, X), "got ndarray; make one of the X"),
    "columns elsewhere": (
        lambda: inference.for_marginaleffects(made("fit"), P, FRAME.assign(c=1.0)),
        "2 columns of the fit, got 3; leave the others",
    ),
    "rows elsewhere": (
        lambda: inference.for_marginaleffects(made("fit"), P, FRAME + 1),
        "got one with other numbers; other rows",
    ),
    "a kind": (lambda: stat("covariance", kind="HC9"), "got 'HC9'"),
    "a kind of classes": (
        lambda: stat("covariance", of="classes", problem=Problem(X, LABELS), kind="HC3"),
        "got a multinomial one; use",
    ),
    "clusters without": (lambda: stat("covariance", clusters=STRATA), "got clusters .* and kind 'model'"),
    "a small sample": (lambda: stat("covariance", small_sample="clusters"), "got 'clusters' and kind 'model'"),
    "lags": (lambda: stat("covariance", kind="HAC", lags=20), "the number of rows, 12, got 20; scores"),
    "ways": (
        lambda: stat("covariance", kind="cluster", clusters=np.ones((2, 2, 2))),
        r"got shape \(2, 2, 2\); labels go along",
    ),
    "l1 of a statistic": (lambda: stat("covariance", problem=replace(P, l1=0.1)), "its covariance, got one with it, whose"),
    "l2 of a statistic": (lambda: stat("covariance", problem=replace(P, l2=0.1)), r"got l2 > 0 .*; pass penalized=True"),
    "no strata": (lambda: stat("covariance", of="sets"), "with strata for a fit by 'conditional', got none; those of"),
    "a batch of problems": (
        lambda: stat("covariance", problem=replace(P, y=np.stack([Y, Y]))),
        r"batch \(\) of the fit, got one of \(2,\); give each",
    ),
    "other data": (
        lambda: stat("covariance", problem=replace(P, y=1 - Y)),
        r"at the estimate is not 0 \(.*\); give it the X, y",
    ),
    "bounds of a statistic": (lambda: stat("covariance", problem=replace(P, lower=0.0)), "got some: .*; resample instead"),
    "factors of a statistic": (
        lambda: stat("covariance", problem=replace(P, penalty_factor=[1.0, np.inf])),
        "got inf, which holds a coefficient at 0; leave",
    ),
    "groups of a statistic": (
        lambda: stat("covariance", problem=replace(P, l1_group=0.1, groups=[0, 1])),
        "got one with it, .*; resample instead",
    ),
    "sets of a statistic": (
        lambda: stat("influence", of="sets", problem=MATCHED),
        "got some; a conditional fit has covariance",
    ),
    "robust sets": (lambda: stat("covariance", of="sets", problem=MATCHED, kind="HC0"), "got 'HC0'; resample strata instead"),
    "a method of resamples": (lambda: inference.bootstrap_intervals(made("fit"), made("resamples"), method="bca"), "got 'bca'"),
    "other resamples": (
        lambda: inference.bootstrap_intervals(made("null"), made("resamples")),
        r"got \(4, 2\); resample the columns of the fit",
    ),
    "failed resamples": (
        lambda: inference.bootstrap_intervals(made("fit"), replace(made("resamples"), status=np.ones(4, np.int32))),
        "got none; use fit_firth",
    ),
    "new rows": (lambda: stat("predictions", X[:, :1]), r"X \(r, 2\), the columns of the fit, got shape \(12, 1\)"),
    "offsets of new rows": (lambda: stat("predictions", X, offset=np.ones(M)), "the fit is without offset, got"),
    "offsets of no rows": (lambda: stat("predictions", offset=np.ones(M)), "got one without, .*; leave it out"),
    "lengths of offsets": (
        lambda: inference.predictions(fit(offset=np.ones(M)), replace(P, offset=np.ones(M)), X, offset=np.ones(3)),
        r"offset \(\.\.\., 12\), got \(3,\); one number a row",
    ),
    "batches of rows": (lambda: stat("predictions", np.stack([X, X])), r"those of the fit, \(\), got \(2,\); rows that all"),
    "a scan in jit": (lambda: jitted(lambda x: jaxlr.association_scan(x, Y), X.T), "got tracers; use jaxlr.fit_columns there"),
    "promising": (lambda: jaxlr.association_scan(X.T, Y, promising=2.0), r"in \(0, 1\], got 2.0"),
    "columns of a scan": (lambda: jaxlr.association_scan(X[:, 0], Y), r"got shape \(12,\); one column is columns\[None\]"),
    "y of a scan": (lambda: jaxlr.association_scan(X, Y), r"columns \(12, 2\), got shape \(12,\)"),
    "covariates of a scan": (
        lambda: jaxlr.association_scan(X.T, Y, covariates=X[:, 0]),
        r"got shape \(12,\); one is covariates\[:, None\]",
    ),
    "covariates that decide": (
        lambda: jaxlr.association_scan(X.T, Y, covariates=Y[:, None] * 1.0),
        "got .*completely in 12 rows",
    ),
    "columns of a test": (lambda: stat("score_test", X), r"columns \(k, 12\), one test each, got shape \(12, 2\)"),
    "designs to separate": (lambda: jaxlr.separation(np.stack([X, X]), Y), r"got batch axes \(2,\); call it for each"),
    "no rows to separate": (lambda: jaxlr.separation(X, Y, np.zeros(M)), "got none; give some row weight"),
    "names": (lambda: stat("summary", names=[1, 2]), r"got \[1, 2\]; make strings of them with str"),
    "number of names": (lambda: stat("summary", names=["a"]), "expected 2 names, one a column, got 1; leave out"),
    "a level": (lambda: stat("wald", level=95), r"level in \(0, 1\), such as 0.95, got 95"),
    "rows of trials": (lambda: stat("goodness_of_fit", trials=np.ones(3)), r"trials \(..., 12\), .* got shape \(3,\); np.full"),
    "batches of trials": (
        lambda: stat("goodness_of_fit", trials=np.ones((2, M))),
        r"batch axes of the fit, \(\), got shape \(2, 12\); trials that",
    ),
    "half a trial": (lambda: stat("goodness_of_fit", trials=np.full(M, 0.5)), "got 0.5; count the trials of each row"),
    "weights of trials": (lambda: stat("goodness_of_fit", trials=np.full(M, 2)), "got weight 1 of 2 trials; fit with"),
    # figures
    "a drawing of others": (
        lambda: plots.decision_boundary(Params(np.ones(2), 0.0), X[:, :1], Y),
        r"got shape \(12, 1\); pass",
    ),
    "a drawing of many": (lambda: plots.decision_boundary(made("batch").params, X, Y), "got .*; draw them one by one"),
    "no forest": (lambda: plots.forest(made("wald"), ["a", "b"]), 'intervals by method, got Wald; pass such as {"Wald"'),
    "no influence": (lambda: plots.influence(made("fit")), "an Influence, got Fit; pass jaxlr.inference.influence"),
    "no validation": (lambda: plots.cv_curve(made("fit"), np.array([1.0, 0.1])), "a CrossValidation, got Fit; pass the result"),
    "a metric that is not there": (
        lambda: plots.cv_curve(made("cv"), np.array([1.0, 0.1]), metric="f1"),
        "that was scored, log_loss, got 'f1'",
    ),
    "no logarithms": (lambda: plots.qq(np.array([0.5, 0.1])), "finite and <= 0, got 0.5; pass log_p"),
    "a number of none": (lambda: plots.qq(NAN), "got none that is a number; look at the status"),
    "no fit to map": (lambda: plots.convergence_map(made("cv")), "a Fit, got CrossValidation; pass the result of jaxlr.fit"),
    "no predictions": (lambda: plots.predicted(X[:, 0], made("fit")), "with their intervals, got Fit; jaxlr.predict_proba"),
}

# What no call of the table reaches, by a piece of its text, and why.
UNREACHED = {
    "mesh axis": "needs several devices; tests/engine/test_devices.py reads it in a process that has them",
    "X dealt out by": "likewise",
    "formulaic for design_matrix": "formulaic is installed here",
    "marginaleffects for for_marginaleffects": "marginaleffects is installed here",
    "a table of numbers, got categories": "marginaleffects alone makes such a call; tests/inference/test_margins.py",
    "got NaN among its variances": "likewise",
    "entries, rows and columns in a sparse X": "takes 2^31 of them",
    "an answer of the linear program": "no data are known that leave the program without one",
    "y = successes / trials": "needs a fit of groups; tests/inference/test_goodness.py",
    "where columns of the larger fit share coefficients": "needs dependent columns in resamples; tests/inference/test_rank.py",
    "one problem beside the columns": "one text for two calls, of which the checks before refuse the other's batches",
    "finite X and y": "its checks refuse these numbers before, but for a NaN in a part of a batch",
    "module 'jaxlr' has no attribute": "Python's own words for a name that is not there",
    "models did not converge": "a summary of failures, not a refusal",
    "of a problem with l1_group": "reached through jit, where the place is that of the jitted function",
}
TABLE |= {f"stream: {name}": row for name, row in messages_of_streams.TABLE.items()}
TABLE |= {f"estimator: {name}": row for name, row in messages_of_estimators.TABLE.items()}
UNREACHED |= messages_of_streams.UNREACHED
PLOTS = "tests/plots read the messages of figures; the table has one of each file"
FURTHER_WORDS = {
    "SolverError",
    "_UnreadableError",
    "AttributeError",
    "RuntimeError",
    "AssertionError",
}  # no refusal of an argument


def constant_text(node):
    """The literal text of a message, with {} for what is put in."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)


def sites():
    """(file, first line, last line, class, text) of each message of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                text = node.exc.args[0]
                if isinstance(text, (ast.JoinedStr, ast.Constant)):
                    file = str(path.relative_to(PACKAGE))
                    yield file, node.lineno, node.end_lineno, ast.unparse(node.exc.func), constant_text(text)


SITES = list(sites())
SAID = {}


def said(name):
    """The message of a call, and the file and line that raised it."""
    if name not in SAID:
        try:
            TABLE[name][0]()
        except (ValueError, TypeError, MemoryError, FileNotFoundError, jaxlr.SolverError) as error:
            ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(PACKAGE) in frame.filename]
            SAID[name] = str(error), str(Path(ours[-1].filename).relative_to(PACKAGE)), ours[-1].lineno
        else:
            raise AssertionError(f"nothing was raised by {name}")
    return SAID[name]


@pytest.mark.parametrize("name", TABLE)
def test_a_message_says_what_came_and_what_to_do(name):
    message, *_ = said(name)
    assert re.search(TABLE[name][1], message), message


@pytest.mark.parametrize("site", SITES, ids=lambda site: f"{site[0]}:{site[1]}")
def test_a_message_begins_with_what_was_expected_and_goes_on_with_what_came(site):
    *_, kind, text = site
    own = any(text.startswith(piece) for piece in messages_of_estimators.OWN)
    if kind not in FURTHER_WORDS and not own and not text.startswith("{}, in "):  # another message, and the block
        assert re.match(r"expected .*\b(got|found)\b", text, re.DOTALL), text


def test_every_message_is_read_or_its_absence_argued():
    seen = [said(name)[1:] for name in TABLE]
    unread = [
        f"{file}:{first} {text}"
        for file, first, last, kind, text in SITES
        if not any(file == own and first <= line <= last for own, line in seen)
        and not any(piece in text for piece in UNREACHED)
        and kind
        not in (
            "AssertionError",
            "_UnreadableError",
        )  # what checks find, tests/testing; a part of the message of `load`; tests/test_io.py and test_fuzzed_files.py
        and not file.startswith("plots/")  # PLOTS
    ]
    assert not unread, "\n".join(unread)


def test_what_is_argued_to_be_unread_is_there_and_is_not_read():
    for piece in UNREACHED:
        assert any(piece in text for *_, text in SITES), piece
